/* SPDX-License-Identifier: MIT */
/*
 * What metrics cost: counting, finding a series, rendering, and the same work watched and not watched.
 * The latter two take turns in short rounds, and the ratio is the median of the rounds' ratios. With
 * --check, acquire+release at more than 1.5 times its price is a failure.
 */
#include "bench.h"
#include "items.h"
#include "nothing.h"

#include <weir/db.h>
#include <weir/metrics.h>

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define ROUNDS 100
#define LIMIT 1.5

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Nanoseconds of the thread's processor time for one. */
static double time_round(void (*work)(void *arg, int count), void *arg, int count)
{
    double began = thread_seconds();

    work(arg, count);
    return (thread_seconds() - began) * 1e9 / count;
}

static void print_cost(const char *title, void (*work)(void *arg, int count), void *arg, int count)
{
    double samples[ROUNDS];

    for (int i = 0; i < ROUNDS; i++)
        samples[i] = time_round(work, arg, count);
    printf("%-46s %9.1f ns\n", title, bench_median(samples, ROUNDS));
}

/* ---- counting ---------------------------------------------------------------------------- */

static const double bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};
static const char *const labels[] = {"db.system.name", "db.namespace", "db.operation.name",
                                     "db.client.connection.pool.name"};
static const char *const values[] = {"postgresql", "shop", "SELECT", "main"};

static weir_metric *add_metric(weir_metrics *metrics, const char *name, weir_metric_kind kind)
{
    weir_metric_options options = WEIR_METRIC_OPTIONS_DEFAULT;
    weir_metric *metric = NULL;

    options.name = name;
    options.kind = kind;
    options.unit = "s";
    options.per_unit = 1e9;
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        options.labels[i] = labels[i];
    if (kind == WEIR_METRIC_HISTOGRAM) {
        options.bounds = bounds;
        options.bound_count = sizeof bounds / sizeof *bounds;
    }
    bench_must(weir_metrics_add(metrics, &options, &metric, NULL) == WEIR_OK, "weir_metrics_add");
    return metric;
}

static void add(void *arg, int count)
{
    for (int i = 0; i < count; i++)
        weir_series_add(arg, 1);
}

static void record(void *arg, int count)
{
    for (int i = 0; i < count; i++)
        weir_series_record(arg, 3 * WEIR_MS);
}

static void find(void *arg, int count)
{
    for (int i = 0; i < count; i++)
        bench_must(weir_metric_series(arg, values) != NULL, "weir_metric_series");
}

static void add_by_thread(void *arg, int number)
{
    (void)number;
    add(arg, 1000000);
}

/* Two threads on one series: the wall time of one add, as each of them sees it. */
static void print_contended(weir_series *series)
{
    double samples[9];

    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        samples[i] = (double)bench_run_threads(2, add_by_thread, series) / 1e6;
    printf("%-46s %9.1f ns\n", "add to a counter, two threads (wall time)",
           bench_median(samples, sizeof samples / sizeof *samples));
}

/* ---- a pool of nothing ------------------------------------------------------------------- */

static weir_status hear_nothing(const weir_pool_event *event, void *arg)
{
    (void)event, (void)arg;
    return WEIR_OK;
}

static weir_pool *open_pool(weir_metrics *metrics)
{
    const weir_driver driver = {.connect = connect_nothing, .close = close_nothing};
    const weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;
    weir_pool *pool = NULL;

    bench_must(weir_pool_open(&options, &driver, NULL, &pool, NULL) == WEIR_OK, "weir_pool_open");
    if (metrics == NULL)
        return pool;
    bench_must(weir_metrics_watch_pool(metrics, pool, NULL) == WEIR_OK, "weir_metrics_watch_pool");
    bench_must(weir_pool_listen(pool, WEIR_EVENT_ALL & ~WEIR_EVENT_EACH_LOAN, hear_nothing, NULL,
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

static weir_db *open_db(weir_metrics *metrics)
{
    weir_db *db = open_items();

    if (metrics != NULL)
        bench_must(weir_metrics_watch_db(metrics, db, NULL) == WEIR_OK, "weir_metrics_watch_db");
    return db;
}

/* ---- rendering --------------------------------------------------------------------------- */

static void render(void *arg, int count)
{
    for (int i = 0; i < count; i++) {
        char *text = NULL;

        bench_must(weir_metrics_render(arg, &text, NULL, NULL) == WEIR_OK, "weir_metrics_render");
        free(text);
    }
}

static void print_render(weir_metrics *metrics)
{
    char *text = NULL;
    size_t size = 0;
    char title[64];

    bench_must(weir_metrics_render(metrics, &text, &size, NULL) == WEIR_OK, "weir_metrics_render");
    free(text);
    snprintf(title, sizeof title, "render two pools, a database, a process: %zu KiB", size / 1024);
    print_cost(title, render, metrics, 5);
}

/* Somebody who looks far more often than any Prometheus, until told to stop. */
static _Atomic bool is_over;

static void *look(void *arg)
{
    const struct timespec pause = {0, 10 * WEIR_MS};

    while (!atomic_load(&is_over)) {
        render(arg, 1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- the comparison ---------------------------------------------------------------------- */

static double compare(const char *title, void (*work)(void *arg, int count), void *plain,
                      void *watched, int count)
{
    double without[ROUNDS];
    double with[ROUNDS];
    double ratios[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        without[i] = time_round(work, plain, count);
        with[i] = time_round(work, watched, count);
        ratios[i] = with[i] / without[i];
    }
    double ratio = bench_median(ratios, ROUNDS);
    printf("%-46s %9.1f ns %9.1f ns %6.2f\n", title, bench_median(without, ROUNDS),
           bench_median(with, ROUNDS), ratio);
    return ratio;
}

int main(int argc, char **argv)
{
    bool checks = argc > 1 && strcmp(argv[1], "--check") == 0;
    weir_metrics *metrics = NULL;
    pthread_t looker;

    bench_must(weir_metrics_open(&metrics, NULL) == WEIR_OK, "weir_metrics_open");
    bench_must(weir_metrics_watch_process(metrics, NULL) == WEIR_OK, "weir_metrics_watch_process");
    weir_metric *counter = add_metric(metrics, "bench.counter", WEIR_METRIC_COUNTER);
    weir_metric *histogram = add_metric(metrics, "bench.histogram", WEIR_METRIC_HISTOGRAM);
    weir_pool *pools[] = {open_pool(NULL), open_pool(metrics)};
    weir_db *dbs[] = {open_db(NULL), open_db(metrics)};

    printf("metrics, processor time of the thread\n");
    print_cost("add to a counter", add, weir_metric_series(counter, values), 20000);
    print_cost("record in a histogram", record, weir_metric_series(histogram, values), 20000);
    print_cost("find a series of four labels", find, counter, 5000);
    print_contended(weir_metric_series(counter, values));
    print_render(metrics);

    printf("\n%-46s %12s %12s %6s\n", "rendered a hundred times a second", "without", "with",
           "ratio");
    bench_must(pthread_create(&looker, NULL, look, metrics) == 0, "pthread_create");
    double ratio = compare("acquire+release of a no-op resource", cycle, pools[0], pools[1], 20000);
    compare("SELECT by key, SQLite in memory", ask_items, dbs[0], dbs[1], 500);
    atomic_store(&is_over, true);
    pthread_join(looker, NULL);

    weir_metrics_unwatch_pool(metrics, pools[1]);
    weir_metrics_unwatch_db(metrics, dbs[1]);
    for (int i = 0; i < 2; i++) {
        weir_pool_close(pools[i]);
        weir_db_close(dbs[i]);
    }
    weir_metrics_close(metrics);
    return checks && ratio > LIMIT;
}
