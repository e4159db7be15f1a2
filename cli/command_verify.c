/* SPDX-License-Identifier: MIT */
/* `weir verify`: run the checks, print what they saw. */
#include "commands.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/text/text.h"
#include "verify.h"

#define RESULTS_LIMIT 32
#define ONLY_LIMIT 32
#define GRACE (3 * WEIR_SECOND) /* for a check in progress when a signal comes */

/* What one run has come to. */
struct tally {
    int passed, failed, skipped;
    struct text json; /* the checks, separated by commas */
};

/* What the command line asks for, besides the configuration. */
struct request {
    bool is_json;
    bool is_list;
    const char *only[ONLY_LIMIT];
    size_t only_count;
};

static volatile sig_atomic_t was_interrupted;

static void on_signal(int number)
{
    (void)number;
    was_interrupted = 1;
}

static void print_help(void)
{
    printf(
        "Usage: weir verify [OPTION]...\n"
        "Check that pooling works here: on the configured databases and NocoDB, or on a database\n"
        "in memory when nothing is configured or its SQLite file does not exist yet. The first\n"
        "lines say what was used; then comes one line for each check. Nothing is left behind.\n\n"
        "  --only NAME   run this check alone; may be given several times\n"
        "  --list        print the names of the checks and what each proves\n"
        "  --json        print JSON instead of lines\n\n"
        "and the options of `weir serve`, from flags, the environment and a file .env.\n"
        "Exit status: 0 all passed or did not apply, 1 one failed, 2 wrong usage.\n");
}

static void print_list(void)
{
    for (const struct verify_check *check = verify_checks; check->name != NULL; check++)
        printf("%-14s %s\n", check->name, check->claim);
}

/* ---- reading the command line ------------------------------------------------------------ */

static bool is_check(const char *name)
{
    const char *names[RESULTS_LIMIT] = {0};
    size_t count = 0;

    for (const struct verify_check *check = verify_checks; check->name != NULL; check++) {
        if (strcmp(check->name, name) == 0)
            return true;
        names[count++] = check->name;
    }
    const char *guess = nearest(name, names);
    fprintf(stderr, "weir verify: no check %s", name);
    if (guess != NULL)
        fprintf(stderr, "; did you mean %s?", guess);
    fprintf(stderr, "\n`weir verify --list` lists them.\n");
    return false;
}

/* Split the flags into ours and the configuration's, which stay. */
static bool read_request(struct flags *flags, struct request *request)
{
    size_t kept = 0;

    for (size_t i = 0; i < flags->count; i++) {
        if (strcmp(flags->list[i].name, "only") != 0) {
            flags->list[kept++] = flags->list[i];
        } else {
            if (!is_check(flags->list[i].value) || request->only_count == ONLY_LIMIT)
                return false;
            request->only[request->only_count++] = flags->list[i].value;
        }
    }
    flags->count = kept;
    return true;
}

static bool is_wanted(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->only_count; i++) {
        if (strcmp(request->only[i], name) == 0)
            return true;
    }
    return request->only_count == 0;
}

/* ---- saying what was found --------------------------------------------------------------- */

/* One line, on a terminal, that the result overwrites. After a signal a check may still end, so that
 * it takes down what it set up, but not for long. */
static bool show_progress(void *arg, weir_time elapsed)
{
    static weir_time interrupted_at;

    if (was_interrupted && interrupted_at == 0)
        interrupted_at = elapsed;
    if (arg != NULL && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K… %s (%.0f s)", (const char *)arg,
                (double)elapsed / (double)WEIR_SECOND);
    return !was_interrupted || elapsed < interrupted_at + GRACE;
}

static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static void say(const struct request *request, struct tally *tally,
                const struct verify_check *check, const char *label,
                const struct verify_finding *finding, weir_time took)
{
    static const char *const marks[] = {"✓", "✗", "–"};
    static const char *const words[] = {"pass", "fail", "skip"};

    tally->passed += finding->outcome == VERIFY_PASS;
    tally->failed += finding->outcome == VERIFY_FAIL;
    tally->skipped += finding->outcome == VERIFY_SKIP;
    if (!request->is_json) {
        printf("%s %s%s%s%s: %s\n", marks[finding->outcome], check->name, label != NULL ? " (" : "",
               label != NULL ? label : "", label != NULL ? ")" : "", finding->text);
        fflush(stdout);
        return;
    }
    text_add(&tally->json, tally->passed + tally->failed + tally->skipped > 1 ? ",\n  " : "\n  ");
    text_addf(&tally->json, "{\"name\": \"%s\", \"database\": ", check->name);
    if (label != NULL)
        text_add_json(&tally->json, label);
    else
        text_add(&tally->json, "null");
    text_addf(&tally->json,
              ", \"outcome\": \"%s\", \"seconds\": %.3f, \"claim\": ", words[finding->outcome],
              (double)took / (double)WEIR_SECOND);
    text_add_json(&tally->json, check->claim);
    text_add(&tally->json, ", \"text\": ");
    text_add_json(&tally->json, finding->text);
    text_add(&tally->json, "}");
}

/* Before the checks, so that nobody takes them for those of another database. */
static void say_databases(const struct verification *verification)
{
    for (size_t i = 0; i < verification->database_count; i++) {
        const struct verify_database *database = &verification->databases[i];

        printf("Database %s: %s", database->label, database->shown);
        if (database->missing.url != NULL)
            printf(", in place of %s, which %s", database->missing.url, database->missing.reason);
        printf("\n");
    }
}

static void add_database(struct text *json, const struct verify_database *database)
{
    text_addf(json, "{\"name\": \"%s\", \"url\": ", database->label);
    text_add_json(json, database->shown);
    text_add(json, ", \"in_place_of\": ");
    target_add_missing(json, &database->missing);
    text_add(json, "}");
}

/* The rest of the report: {"databases": […], "note": …, */
static void add_databases(struct text *json, const struct verification *verification)
{
    const char *note = verification->config->unused_database;

    text_add(json, "\"databases\": [");
    for (size_t i = 0; i < verification->database_count; i++) {
        text_add(json, i > 0 ? ", " : "");
        add_database(json, &verification->databases[i]);
    }
    text_add(json, "], \"note\": ");
    if (note != NULL && note[0] != '\0')
        text_add_json(json, note);
    else
        text_add(json, "null");
}

static void say_all(const struct request *request, const struct verification *verification,
                    struct tally *tally)
{
    struct text about = {0};

    if (!request->is_json) {
        printf("%d passed, %d failed, %d not applicable\n", tally->passed, tally->failed,
               tally->skipped);
        return;
    }
    add_databases(&about, verification);
    char *databases = text_take(&about);
    char *checks = text_take(&tally->json);
    printf("{\"version\": \"%s\", %s, \"passed\": %d, \"failed\": %d, \"skipped\": %d, "
           "\"checks\": [%s\n]}\n",
           weir_version(), databases != NULL ? databases : "\"databases\": null", tally->passed,
           tally->failed, tally->skipped, checks != NULL ? checks : "");
    free(databases);
    free(checks);
}

/* ---- running ----------------------------------------------------------------------------- */

/* Run a check on each database it is about. false: it has not come back. */
static bool run_check(const struct verify_check *check, const struct verification *verification,
                      const struct request *request, struct tally *tally)
{
    size_t times = check->is_per_database ? verification->database_count : 1;
    bool has_ended = true;

    for (size_t i = 0; i < times && !was_interrupted; i++) {
        const struct verify_database *database =
            check->is_per_database ? &verification->databases[i] : NULL;
        struct verify_finding finding;
        weir_time begin = weir_now();
        has_ended &= verify_run_check(check, verification, database, show_progress,
                                      (void *)(uintptr_t)check->name, &finding);
        clear_progress();
        say(request, tally, check, database != NULL ? database->label : NULL, &finding,
            weir_now() - begin);
    }
    return has_ended;
}

static int run_all(struct config *config, const struct request *request)
{
    static struct verification verification; /* outlives a check that does not come back */
    struct tally tally = {0};
    weir_error error;
    bool have_ended = true;

    if (verify_open(config, &verification, &error) != WEIR_OK) {
        fprintf(stderr, "weir verify: %s\n", error.text);
        return EXIT_FAILURE;
    }
    if (!request->is_json)
        say_databases(&verification);
    for (const struct verify_check *check = verify_checks; check->name != NULL && !was_interrupted;
         check++) {
        if (is_wanted(request, check->name))
            have_ended &= run_check(check, &verification, request, &tally);
    }
    say_all(request, &verification, &tally);
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    int status = tally.failed > 0 || was_interrupted || !is_written ? EXIT_FAILURE : EXIT_SUCCESS;
    if (!have_ended)
        _exit(status); /* a check is still at work on what would be taken down */
    verify_close(&verification);
    return status;
}

int command_verify(int argc, char **argv)
{
    const char *names[MAX_FLAGS] = {"only"};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    struct request request = {0};
    struct flags flags;
    struct config config;
    weir_error error;

    for (size_t i = 0; config_option_flag(i) != NULL && i + 2 < MAX_FLAGS; i++)
        names[i + 1] = config_option_flag(i);
    request.is_json = flags_take_switch(&argc, argv, "--json");
    request.is_list = flags_take_switch(&argc, argv, "--list");
    if (!flags_read(argc, argv, names, &flags) || !read_request(&flags, &request))
        return EXIT_USAGE;
    if (flags_answer(&flags, print_help))
        return EXIT_SUCCESS;
    if (request.is_list) {
        print_list();
        return EXIT_SUCCESS;
    }
    if (config_load(flags.list, flags.count, ".env", &config, &error) != WEIR_OK) {
        fprintf(stderr, "weir verify: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (config.unused_database != NULL && config.unused_database[0] != '\0')
        fprintf(stderr, "weir verify: %s\n", config.unused_database);
    /* The checks provoke what a log would warn of. */
    log_set_level(flags_get(&flags, "log-level") != NULL ? (enum log_level)config.log_level
                                                         : LOG_LEVEL_ERROR);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int status = run_all(&config, &request);
    config_clear(&config);
    return status;
}
