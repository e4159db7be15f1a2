/* SPDX-License-Identifier: MIT */
/* Every allocation of the metrics fails once: no crash, no leak, and counting goes on. */
#include "alloc_fail.h"
#include "unit/steps.h"

#include <weir/metrics.h>

static const double bounds[] = {1, 2, 3};

static bool is_fine(weir_status status)
{
    check(status == WEIR_OK || status == WEIR_NO_MEMORY);
    return status == WEIR_OK;
}

static void write_something(weir_metrics_writer *writer, void *arg)
{
    static const char *const values[] = {"written"};

    weir_metrics_write(writer, arg, values, 1);
}

/* A series is always given; without memory it is the one for overflow, and nothing is lost. */
static void count(weir_metric *metric)
{
    char value[16];
    int64_t total = 0;

    for (int i = 0; i < 5; i++) {
        const char *const values[] = {value};

        snprintf(value, sizeof value, "v%d", i);
        weir_series *series = weir_metric_series(metric, values);
        check(series != NULL);
        int64_t before = weir_series_value(series);
        weir_series_add(series, 1);
        weir_series_record(series, 2);
        total += weir_series_value(series) - before;
    }
    check_int(total, 5);
}

static void render(weir_metrics *metrics)
{
    char *text = NULL;
    size_t size = 12345;

    if (is_fine(weir_metrics_render(metrics, &text, &size, &e))) {
        check(strlen(text) == size);
    } else {
        check(text == NULL && size == 12345);
        check_contains(e.text, "render metrics: out of memory");
    }
    free(text);
}

/* A database and a session that are nothing but what the metrics ask of them. */
static struct stand_in {
    weir_pool *pool;
    weir_db_listener *db_listener;
    weir_http_listener *http_listener;
} stand_in;

static weir_pool *pool_of(weir_db *db)
{
    (void)db;
    return stand_in.pool;
}

static weir_status listen_to_db(weir_db *db, weir_db_listener *listener, void *arg,
                                weir_error *reterr)
{
    (void)db, (void)arg, (void)reterr;
    stand_in.db_listener = listener;
    return WEIR_OK;
}

static const char *name_of(const weir_http *session)
{
    (void)session;
    return "api";
}

static size_t list_origins(weir_http *session, weir_http_origin *origins, size_t capacity)
{
    (void)session;
    check(capacity > 0);
    snprintf(origins[0].name, sizeof origins[0].name, "http://h:1");
    return 1;
}

static weir_status listen_to_http(weir_http *session, unsigned mask, weir_http_listener *listener,
                                  void *arg, weir_error *reterr)
{
    (void)session, (void)mask, (void)arg, (void)reterr;
    stand_in.http_listener = listener;
    return WEIR_OK;
}

static void watch_db(weir_metrics *metrics, weir_pool *pool)
{
    static const weir_metrics_db functions = {pool_of, listen_to_db};
    weir_db *db = (weir_db *)(void *)&stand_in;
    const weir_db_event event = {
        .db = db, .engine = "sqlite", .database = "x", .operation = "SELECT", .rows = 1};

    stand_in.pool = pool;
    if (!is_fine(weir_metrics_watch_db_with(metrics, db, &functions, &e)))
        return;
    stand_in.db_listener(&event, metrics);
    stand_in.db_listener(&event, metrics);
    render(metrics);
    weir_metrics_unwatch_pool(metrics, pool);
}

static void watch_http(weir_metrics *metrics)
{
    static const weir_metrics_http functions = {name_of, list_origins, listen_to_http};
    weir_http *session = (weir_http *)(void *)&stand_in;
    const weir_http_event event = {.kind = WEIR_HTTP_EVENT_ATTEMPT,
                                   .session = session,
                                   .origin = "http://h:1",
                                   .method = "GET",
                                   .status = 200};

    if (!is_fine(weir_metrics_watch_http_with(metrics, session, &functions, &e)))
        return;
    stand_in.http_listener(&event, metrics);
    render(metrics);
    weir_metrics_unwatch_http(metrics, session);
}

static void watch(weir_metrics *metrics)
{
    weir_pool *pool = NULL;

    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 1);
    if (!is_fine(weir_pool_open(&o, &fake_driver, &f, &pool, &e)))
        return;
    if (is_fine(weir_metrics_watch_pool(metrics, pool, &e)))
        render(metrics);
    weir_metrics_unwatch_pool(metrics, pool);
    watch_db(metrics, pool);
    watch_http(metrics);
    if (is_fine(weir_metrics_watch_process(metrics, &e)))
        render(metrics);
    weir_pool_close(pool);
}

static void a_life_of_metrics(void)
{
    weir_metrics *metrics = NULL;
    weir_metric *metric = NULL;
    weir_metric_options o = WEIR_METRIC_OPTIONS_DEFAULT;

    if (!is_fine(weir_metrics_open(&metrics, &e)))
        return;
    o.name = "app.counter";
    o.labels[0] = "label";
    if (is_fine(weir_metrics_add(metrics, &o, &metric, &e))) {
        count(metric);
        check(weir_metrics_add_source(metrics, write_something, metric, &e) == WEIR_OK);
    }
    o.name = "app.histogram";
    o.kind = WEIR_METRIC_HISTOGRAM;
    o.bounds = bounds;
    o.bound_count = 3;
    if (is_fine(weir_metrics_add(metrics, &o, &metric, &e)))
        count(metric);
    render(metrics);
    watch(metrics);
    weir_metrics_close(metrics);
}

static void every_allocation_fails_once(void)
{
    check(alloc_fail_each(a_life_of_metrics) > 150);
}

int main(void)
{
    run(every_allocation_fails_once);
    return check_done();
}
