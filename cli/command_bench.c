/* SPDX-License-Identifier: MIT */
/* `weir bench`: measure, print, and write what was asked for. */
#include "commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "server/managers/pool_url.h"
#include "target.h"

#define SECONDS_LEAST 0.1
#define SECONDS_MOST 60.0

static const char *const names[] = {"url",  "seconds", "concurrency", "statement",
                                    "json", "html",    NULL};

static volatile sig_atomic_t was_interrupted;

static void on_signal(int number)
{
    (void)number;
    was_interrupted = 1;
}

static bool is_stopped(void)
{
    return was_interrupted != 0;
}

static void print_help(void)
{
    printf(
        "Usage: weir bench [OPTION]...\n"
        "Measure what pooling saves: the time of a statement and the connections opened, with a\n"
        "pool and with a connection opened for each statement. A SQLite file that does not exist\n"
        "is not created: a database in memory takes its place, and the report says so.\n\n"
        "  --url URL          the database [SQL_CONN_STRING, from the environment or .env]\n"
        "  --statement SQL    the statement to repeat; without parameters [SELECT 1]\n"
        "  --seconds N        time for each level, each way, %.1f to %.0f [2]\n"
        "  --concurrency N,N  threads, up to %d levels of 1 to %d [1,4,16]\n"
        "  --json FILE        write the figures; - is standard output, without the table\n"
        "  --html FILE        write a report with plots, one file that fetches nothing\n",
        SECONDS_LEAST, SECONDS_MOST, BENCH_LEVELS, BENCH_THREADS);
}

static int fail(int status, const char *text)
{
    fprintf(stderr, "weir bench: %s\n", text);
    return status;
}

/* ---- the command line -------------------------------------------------------------------- */

static bool read_seconds(const char *text, double *ret_seconds)
{
    char *end;

    if (text == NULL) {
        *ret_seconds = 2;
        return true;
    }
    if ((*text < '0' || *text > '9') && *text != '.')
        return false; /* strtod() would take blanks, signs and words */
    *ret_seconds = strtod(text, &end);
    if (*end == 's')
        end++;
    return *end == '\0' && *ret_seconds >= SECONDS_LEAST && *ret_seconds <= SECONDS_MOST;
}

static bool read_levels(const char *text, struct bench_options *options)
{
    const char *at = text != NULL ? text : "1,4,16";

    for (;;) {
        char *end;
        if (*at < '0' || *at > '9' || options->level_count == BENCH_LEVELS)
            return false;
        unsigned long level = strtoul(at, &end, 10);
        if (level < 1 || level > BENCH_THREADS)
            return false;
        options->levels[options->level_count++] = (int)level;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        at = end + 1;
    }
}

/* What is to be measured, malloc'ed. */
struct target {
    char *url;
    struct target_missing missing;
    char *note; /* "" or NULL: none */
};

static void clear_target(struct target *target)
{
    free(target->url);
    free(target->missing.url);
    free(target->note);
}

/* The URL that was given, or the configured one; false after saying why not. */
static bool find_target(const struct flags *flags, struct target *target)
{
    const char *given = flags_get(flags, "url");
    const struct config_flag flag = {"sql-conn-string", given};
    struct config config;
    weir_error error;

    if (config_load(&flag, given != NULL, ".env", &config, &error) != WEIR_OK) {
        fail(EXIT_USAGE, error.text);
        return false;
    }
    target->url = strdup(config.sql_conn_string);
    target->note = config.unused_database != NULL ? strdup(config.unused_database) : NULL;
    config_clear(&config);
    if (target->url == NULL || target_stand_in(&target->url, &target->missing, &error) != WEIR_OK) {
        fail(EXIT_USAGE, "out of memory");
        return false;
    }
    if (target->note != NULL && target->note[0] != '\0')
        fprintf(stderr, "weir bench: %s\n", target->note);
    return true;
}

/* ---- reports ----------------------------------------------------------------------------- */

/* Open a file before the measuring, so that it is not done for nothing; what it holds stays until there
 * is something better. NULL is "not asked for". */
static bool open_report(const char *path, FILE **ret_file)
{
    *ret_file = NULL;
    if (path == NULL)
        return true;
    *ret_file = strcmp(path, "-") == 0 ? stdout : fopen(path, "abe");
    if (*ret_file != NULL)
        return true;
    fprintf(stderr, "weir bench: write %s: %s\n", path, strerror(errno));
    return false;
}

static void close_report(FILE *file)
{
    if (file != NULL && file != stdout)
        fclose(file);
}

static bool write_report(FILE *file, char *text)
{
    /* What is no regular file cannot be cut, and need not be. */
    if (text != NULL && file != stdout)
        (void)!ftruncate(fileno(file), 0);
    bool is_written = text != NULL && fputs(text, file) >= 0 && fflush(file) == 0;
    free(text);
    return is_written;
}

/* One line that is written over, for people who wait; a file or a pipe gets none. */
static void show_progress(const struct bench_progress *progress)
{
    enum { CELLS = 20 };
    int full = (int)(progress->share * CELLS);
    int seconds = (int)(progress->seconds_left + 0.999);

    fprintf(stderr, "\r\033[K[%.*s%.*s] %3.0f %%, %d s left: %d %s, round %d of %d, %s", full,
            "####################", CELLS - full, "....................", progress->share * 100,
            seconds, progress->concurrency, progress->concurrency == 1 ? "thread" : "threads",
            progress->round, BENCH_ROUNDS, progress->way == BENCH_POOLED ? "pooled" : "unpooled");
}

static int report(const struct bench_result *result, FILE *json, FILE *html)
{
    bool is_written = true;

    if (json != stdout && html != stdout)
        bench_print_table(result, stdout);
    if (json != NULL)
        is_written = write_report(json, bench_to_json(result));
    if (html != NULL)
        is_written = write_report(html, bench_to_html(result)) && is_written;
    is_written = fflush(stdout) == 0 && is_written;
    if (!is_written)
        return fail(EXIT_FAILURE, "a report could not be written");
    return result->was_interrupted ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int measure(struct bench_options *options, FILE *json, FILE *html)
{
    struct bench_result *result = malloc(sizeof *result);
    weir_error error;

    if (result == NULL)
        return fail(EXIT_FAILURE, "out of memory");
    bool is_watched = isatty(STDERR_FILENO) == 1;
    weir_status status =
        bench_run(options, is_stopped, is_watched ? show_progress : NULL, result, &error);
    if (is_watched)
        fprintf(stderr, "\r\033[K");
    int code = EXIT_SUCCESS;
    if (status == WEIR_OK || result->level_count > 0)
        code = report(result, json, html);
    if (status != WEIR_OK)
        code = fail(EXIT_FAILURE, error.text);
    bench_result_clear(result);
    free(result);
    return code;
}

/* Measure a target, leaving a file of SQLite as it was. */
static int run_on(const struct target *target, struct bench_options *options, FILE *json,
                  FILE *html)
{
    weir_pool_options unused = WEIR_POOL_OPTIONS_DEFAULT;
    char *split;

    if (pool_url_split(target->url, &split, &unused) != WEIR_OK)
        return fail(EXIT_FAILURE, "out of memory");
    char *path = target_remember_mode(split);
    options->url = split;
    options->missing = target->missing;
    options->note = target->note;
    int status = measure(options, json, html);
    target_restore_mode(split, path);
    free(split);
    return status;
}

static int run(struct bench_options *options, const struct flags *flags)
{
    FILE *json = NULL, *html = NULL;
    struct target target = {0};
    int status = EXIT_USAGE;

    if (find_target(flags, &target) && open_report(flags_get(flags, "json"), &json) &&
        open_report(flags_get(flags, "html"), &html))
        status = run_on(&target, options, json, html);
    close_report(json);
    close_report(html);
    clear_target(&target);
    return status;
}

int command_bench(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct bench_options options = {.statement = "SELECT 1"};
    struct flags flags;

    if (!flags_read(argc, argv, names, &flags))
        return EXIT_USAGE;
    if (flags_answer(&flags, print_help))
        return EXIT_SUCCESS;
    if (!read_seconds(flags_get(&flags, "seconds"), &options.seconds))
        return fail(EXIT_USAGE, "--seconds: must be 0.1 to 60");
    if (!read_levels(flags_get(&flags, "concurrency"), &options))
        return fail(EXIT_USAGE,
                    "--concurrency: must be up to 8 numbers from 1 to 128, as in 1,4,16");
    if (flags_get(&flags, "statement") != NULL)
        options.statement = flags_get(&flags, "statement");
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return run(&options, &flags);
}
