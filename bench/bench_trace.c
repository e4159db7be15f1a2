/* SPDX-License-Identifier: MIT */
/*
 * What tracing costs where nothing is recorded, and what a recorded span costs. The same work with and
 * without takes turns in short rounds, and the ratio is the median of the rounds' ratios. With --check,
 * a ratio above its limit is a failure.
 */
#include "bench.h"
#include "items.h"
#include "nothing.h"

#include <weir/db.h>
#include <weir/trace.h>

#include <string.h>
#include <time.h>

#define ROUNDS 200
#define LIMIT 1.05

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- a pool of nothing ------------------------------------------------------------------- */

static weir_pool *open_pool(bool is_traced)
{
    const weir_driver driver = {.connect = connect_nothing, .close = close_nothing};
    const weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;
    weir_pool *pool = NULL;

    bench_must(weir_pool_open(&options, &driver, NULL, &pool, NULL) == WEIR_OK, "weir_pool_open");
    if (is_traced)
        bench_must(weir_pool_listen(pool, WEIR_TRACE_POOL_EVENTS, weir_trace_on_pool_event, NULL,
                                    NULL) == WEIR_OK,
                   "weir_pool_listen");
    return pool;
}

static void cycle(void *arg, int count)
{
    for (int i = 0; i < count; i++) {
        weir_lease lease;

        bench_must(weir_pool_acquire(arg, WEIR_DEADLINE_DEFAULT, &lease, NULL) == WEIR_OK,
                   "acquire");
        weir_pool_release(&lease);
    }
}

/* ---- SQLite in memory -------------------------------------------------------------------- */

static weir_db *open_db(bool is_traced)
{
    weir_db *db = open_items();

    if (is_traced) {
        bench_must(weir_pool_listen(weir_db_pool(db), WEIR_TRACE_POOL_EVENTS,
                                    weir_trace_on_pool_event, NULL, NULL) == WEIR_OK,
                   "weir_pool_listen");
        bench_must(weir_db_listen_when(db, weir_trace_wants, weir_trace_on_db_event, NULL, NULL) ==
                       WEIR_OK,
                   "weir_db_listen_when");
    }
    return db;
}

/* ---- measuring --------------------------------------------------------------------------- */

/* Nanoseconds of one, within an unsampled span where there is a tracer. */
static double time_round(void (*work)(void *arg, int count), void *arg, int count,
                         weir_tracer *tracer)
{
    weir_span root;

    weir_span_begin_root(tracer, &root, "round", WEIR_SPAN_SERVER, NULL, NULL);
    double start = thread_seconds();
    work(arg, count);
    double took = thread_seconds() - start;
    weir_span_end(&root);
    return took / count * 1e9;
}

static bool compare(const char *title, void (*work)(void *arg, int count), void *plain,
                    void *traced, int count, weir_tracer *tracer)
{
    static double without[ROUNDS], with[ROUNDS], ratios[ROUNDS];

    time_round(work, plain, count, NULL);
    time_round(work, traced, count, tracer);
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2 == 0)
            without[i] = time_round(work, plain, count, NULL);
        with[i] = time_round(work, traced, count, tracer);
        if (i % 2 != 0)
            without[i] = time_round(work, plain, count, NULL);
        ratios[i] = with[i] / without[i];
    }
    double ratio = bench_median(ratios, ROUNDS);
    printf("%-38s %8.1f ns %8.1f ns %7.3f   limit %.2f   middle half %.3f to %.3f\n", title,
           bench_median(without, ROUNDS), bench_median(with, ROUNDS), ratio, LIMIT,
           ratios[ROUNDS / 4], ratios[ROUNDS - 1 - ROUNDS / 4]);
    return ratio <= LIMIT;
}

/* ---- spans ------------------------------------------------------------------------------- */

static void begin_and_end(void *arg, int count)
{
    for (int i = 0; i < count; i++) {
        weir_span root;

        weir_span_begin_root(arg, &root, "GET /", WEIR_SPAN_SERVER, NULL, NULL);
        weir_span_end(&root);
    }
}

/* A root with the attributes of a request, and one statement below it. */
static void record_request(void *arg, int count)
{
    for (int i = 0; i < count; i++) {
        weir_span root;
        weir_span child;

        weir_span_begin_root(arg, &root, "GET /", WEIR_SPAN_SERVER, NULL, NULL);
        weir_span_set_text(&root, "http.request.method", "GET");
        weir_span_set_text(&root, "http.route", "/api/v1/tables/{table}");
        weir_span_set_text(&root, "url.path", "/api/v1/tables/Jurisdictions");
        weir_span_begin_past(&child, "SELECT laws", WEIR_SPAN_CLIENT, WEIR_MS);
        weir_span_set_text(&child, "db.query.text", "SELECT * FROM \"Jurisdictions\" LIMIT :limit");
        weir_span_end(&child);
        weir_span_set_number(&root, "http.response.status_code", 200);
        weir_span_end(&root);
    }
}

static void print_cost(const char *title, void (*work)(void *arg, int count), weir_tracer *tracer)
{
    double samples[ROUNDS];

    for (int i = 0; i < ROUNDS; i++)
        samples[i] = time_round(work, tracer, 1000, NULL);
    printf("%-38s %8.1f ns\n", title, bench_median(samples, ROUNDS));
}

static weir_tracer *open_tracer(double sample_ratio)
{
    weir_tracer_options options = WEIR_TRACER_OPTIONS_DEFAULT;
    weir_tracer *tracer = NULL;

    options.sample_ratio = sample_ratio;
    bench_must(weir_tracer_open(&options, &tracer, NULL) == WEIR_OK, "weir_tracer_open");
    return tracer;
}

int main(int argc, char **argv)
{
    bool checks = argc > 1 && strcmp(argv[1], "--check") == 0;
    weir_tracer *unsampled = open_tracer(0);
    weir_tracer *sampled = open_tracer(1);
    weir_pool *pools[] = {open_pool(false), open_pool(true)};
    weir_db *dbs[] = {open_db(false), open_db(true)};

    printf("tracing on but unsampled, CPU of the thread\n");
    printf("%-38s %11s %11s %7s\n", "", "without", "with", "ratio");
    bool is_within =
        compare("acquire+release of a no-op resource", cycle, pools[0], pools[1], 20000, unsampled);
    is_within &=
        compare("SELECT by key, SQLite in memory", ask_items, dbs[0], dbs[1], 500, unsampled);
    printf("\nspans\n");
    print_cost("an unsampled request", begin_and_end, unsampled);
    print_cost("a recorded request", begin_and_end, sampled);
    print_cost("a recorded request and its statement", record_request, sampled);
    for (int i = 0; i < 2; i++) {
        weir_pool_close(pools[i]);
        weir_db_close(dbs[i]);
    }
    weir_tracer_close(unsampled);
    weir_tracer_close(sampled);
    return checks && !is_within;
}
