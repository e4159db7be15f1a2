/* SPDX-License-Identifier: MIT */
/* What was measured, as a table for people and as JSON for programs. */
#include "bench.h"

#include <inttypes.h>
#include <string.h>

#include "server/text/text.h"

static const char *const way_names[BENCH_WAYS] = {"pooled", "unpooled"};

const char *const bench_limits[] = {
    "Each thread runs one statement after another and does nothing in between: a program that does "
    "more saves the same time per statement, which is then a smaller part of its total.",
    "Unpooled means that a connection is opened for each statement and closed after it, as in a "
    "CGI script or with SQLAlchemy's NullPool; a program that keeps one connection per thread has "
    "no churn, but no bound either.",
    "The pool has as many connections as there are threads, so nobody waits: what a smaller pool "
    "costs is not shown.",
    "The times are those of this machine and this database at this moment, with whatever else they "
    "were doing; the two ways were measured in turn, so their ratio is steadier than either.",
    "Each time runs from asking for a connection to having the answer. The return comes after it; "
    "where that closes a connection to a server, it waits until the server has ended the session. "
    "That wait is included in the statements per second.",
    "Quantiles are accurate to 3 %; the maximum is exact.",
    NULL,
};

static double ms(weir_time time)
{
    return (double)time / (double)WEIR_MS;
}

static double quantile_ms(const struct bench_figures *figures, double fraction)
{
    return ms(bench_times_quantile(&figures->times, fraction));
}

/* ---- the table --------------------------------------------------------------------------- */

static void print_row(const struct bench_level *level, enum bench_way way, FILE *out)
{
    const struct bench_figures *figures = &level->ways[way];

    fprintf(out,
            "%7d  %-8s  %9.4f  %9.4f  %9.4f  %9.4f  %12.0f  %10" PRIu64 "  %10" PRIu64 "  %6" PRIu64
            "\n",
            level->concurrency, way_names[way], quantile_ms(figures, 0.5),
            quantile_ms(figures, 0.9), quantile_ms(figures, 0.99), ms(figures->times.most),
            bench_rate(figures), figures->times.count, figures->opened, figures->errors);
}

static void print_gain(const struct bench_level *level, FILE *out)
{
    double pooled = quantile_ms(&level->ways[BENCH_POOLED], 0.5);
    double unpooled = quantile_ms(&level->ways[BENCH_UNPOOLED], 0.5);
    uint64_t asked = level->ways[BENCH_POOLED].times.count;

    fprintf(out,
            "%d %s: pooling %s %.4f ms per statement at the median (%.4f against %.4f ms, %.1f "
            "times) and avoided %" PRIu64 " connections for %" PRIu64 " statements\n",
            level->concurrency, level->concurrency == 1 ? "thread" : "threads",
            unpooled >= pooled ? "saved" : "cost",
            ms(bench_saved(level) < 0 ? -bench_saved(level) : bench_saved(level)), pooled, unpooled,
            pooled > 0 ? unpooled / pooled : 0, bench_avoided(level), asked);
}

void bench_print_table(const struct bench_result *result, FILE *out)
{
    const struct target_missing *missing = &result->options->missing;

    fprintf(out, "%s, %s, %.3g s of each, in %d rounds\n", result->url, result->options->statement,
            result->options->seconds, BENCH_ROUNDS);
    if (missing->url != NULL)
        fprintf(out, "in place of %s, which %s\n", missing->url, missing->reason);
    fputs("\n", out);
    fprintf(out, "%7s  %-8s  %9s  %9s  %9s  %9s  %12s  %10s  %10s  %6s\n", "threads", "", "p50 ms",
            "p90 ms", "p99 ms", "max ms", "statements/s", "statements", "opened", "errors");
    for (int i = 0; i < result->level_count; i++) {
        print_row(&result->levels[i], BENCH_POOLED, out);
        print_row(&result->levels[i], BENCH_UNPOOLED, out);
    }
    fputs("\n", out);
    for (int i = 0; i < result->level_count; i++)
        print_gain(&result->levels[i], out);
    fputs("\nWhat this does not show:\n", out);
    for (size_t i = 0; bench_limits[i] != NULL; i++)
        fprintf(out, "- %s\n", bench_limits[i]);
    if (result->level_count < result->options->level_count)
        fprintf(out, "\nIt %s: %d of %d levels are complete.\n",
                result->was_interrupted ? "was interrupted" : "failed", result->level_count,
                result->options->level_count);
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void add_way(struct text *text, const struct bench_level *level, enum bench_way way)
{
    const struct bench_figures *figures = &level->ways[way];
    uint64_t count = figures->times.count;

    text_addf(text,
              "\"%s\": {\"p50_ms\": %.6f, \"p90_ms\": %.6f, \"p99_ms\": %.6f, \"max_ms\": %.6f, "
              "\"mean_ms\": %.6f, \"statements_per_second\": %.3f, \"statements\": %" PRIu64
              ", \"connections_opened\": %" PRIu64 ", \"errors\": %" PRIu64 "}",
              way_names[way], quantile_ms(figures, 0.5), quantile_ms(figures, 0.9),
              quantile_ms(figures, 0.99), ms(figures->times.most),
              count > 0 ? ms(figures->times.sum) / (double)count : 0, bench_rate(figures), count,
              figures->opened, figures->errors);
}

static void add_level(struct text *text, const struct bench_level *level)
{
    text_addf(text, "{\"concurrency\": %d, ", level->concurrency);
    add_way(text, level, BENCH_POOLED);
    text_add(text, ", ");
    add_way(text, level, BENCH_UNPOOLED);
    text_addf(text, ", \"saved_ms_p50\": %.6f, \"connections_avoided\": %" PRIu64 "}",
              ms(bench_saved(level)), bench_avoided(level));
}

char *bench_to_json(const struct bench_result *result)
{
    struct text text = {0};

    text_addf(&text, "{\"version\": \"%s\", \"engine\": \"%s\", \"url\": ", weir_version(),
              result->engine);
    text_add_json(&text, result->url);
    text_add(&text, ", \"in_place_of\": ");
    target_add_missing(&text, &result->options->missing);
    text_add(&text, ", \"note\": ");
    if (result->options->note != NULL && result->options->note[0] != '\0')
        text_add_json(&text, result->options->note);
    else
        text_add(&text, "null");
    text_add(&text, ", \"statement\": ");
    text_add_json(&text, result->options->statement);
    text_addf(&text, ", \"seconds\": %.3f, \"rounds\": %d, \"interrupted\": %s, \"levels\": [",
              result->options->seconds, BENCH_ROUNDS, result->was_interrupted ? "true" : "false");
    for (int i = 0; i < result->level_count; i++) {
        text_add(&text, i > 0 ? ", " : "");
        add_level(&text, &result->levels[i]);
    }
    text_add(&text, "], \"limits\": [");
    for (size_t i = 0; bench_limits[i] != NULL; i++) {
        text_add(&text, i > 0 ? ", " : "");
        text_add_json(&text, bench_limits[i]);
    }
    text_add(&text, "]}\n");
    return text_take(&text);
}
