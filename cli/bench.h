/* SPDX-License-Identifier: MIT */
/* `weir bench`: what pooling saves on a database, measured with it and without it. */
#ifndef WEIR_CLI_BENCH_H
#define WEIR_CLI_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <weir/db.h>

#include "target.h"

/* ---- times ------------------------------------------------------------------------------- */

/* Times in buckets that are at most a thirty-second wide, so that a quantile is right to 3 %. */
#define BENCH_STEPS 32
#define BENCH_BUCKETS (60 * BENCH_STEPS)

struct bench_times {
    uint64_t count;
    weir_time sum;
    weir_time most;
    uint32_t buckets[BENCH_BUCKETS];
};

void bench_times_add(struct bench_times *times, weir_time value);
void bench_times_merge(struct bench_times *times, const struct bench_times *other);

/* The value at or below which the fraction lies; the greatest seen at most, 0 when there are none. */
weir_time bench_times_quantile(const struct bench_times *times, double fraction);

/* ---- measuring --------------------------------------------------------------------------- */

#define BENCH_LEVELS 8
#define BENCH_THREADS 128
#define BENCH_ROUNDS 4

struct bench_options {
    const char *url;               /* without the pool's options */
    struct target_missing missing; /* the file that it stands in for, being in memory */
    const char *note;              /* a sentence for the JSON report; NULL or "": none */
    const char *statement;
    double seconds; /* of each level in each way, over all rounds */
    int levels[BENCH_LEVELS];
    int level_count;
};

/* One way of getting a connection at one level. */
struct bench_figures {
    struct bench_times times; /* from the acquire to the answer; giving back is not in it */
    weir_time measured;
    uint64_t opened; /* connections; the pool's own also before the measuring begins */
    uint64_t errors;
};

enum bench_way { BENCH_POOLED, BENCH_UNPOOLED, BENCH_WAYS };

struct bench_level {
    int concurrency;
    struct bench_figures ways[BENCH_WAYS];
};

struct bench_result {
    const struct bench_options *options;
    char *url; /* without secrets */
    const char *engine;
    int level_count; /* measured */
    bool was_interrupted;
    struct bench_level levels[BENCH_LEVELS];
};

/* How far the measuring is. */
struct bench_progress {
    int concurrency;
    int round; /* counted from 1, of BENCH_ROUNDS */
    enum bench_way way;
    double share;        /* of the whole, 0 to 1 */
    double seconds_left; /* of measuring; what opening and closing take comes on top */
};

typedef void bench_say(const struct bench_progress *progress);

/*
 * Measure. `is_stopped` is asked often and ends it early, with the levels that are whole. `say`, which
 * may be NULL, is told what is measured, several times a second, on the caller's thread.
 *
 * The caller ends *ret_result with bench_result_clear(), also after a failure: the levels before the one
 * that failed are whole.
 *
 * Errors: those of the first statement that failed, with the level; WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status bench_run(const struct bench_options *options, bool (*is_stopped)(void),
                                      bench_say *say, struct bench_result *ret_result,
                                      weir_error *reterr);
void bench_result_clear(struct bench_result *result);

/* Statements per second. */
double bench_rate(const struct bench_figures *figures);

/* By how much the median is shorter with the pool, and how many connections its statements did without. */
weir_time bench_saved(const struct bench_level *level);
uint64_t bench_avoided(const struct bench_level *level);

/* ---- reports ----------------------------------------------------------------------------- */

/* What the figures do not show: one sentence each, NULL-terminated. */
extern const char *const bench_limits[];

void bench_print_table(const struct bench_result *result, FILE *out);

/* Both malloc'ed; NULL when memory ran out. */
char *bench_to_json(const struct bench_result *result);
char *bench_to_html(const struct bench_result *result);

#endif
