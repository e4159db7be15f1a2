/* SPDX-License-Identifier: MIT */
/* Every allocation of the metrics fails once: no crash, no leak, and counting goes on. */
#include "alloc_fail.h"
#include "unit/steps.h"

#include <weir/metrics.h>
#include <weir/pool.h>

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
    check(alloc_fail_each(a_life_of_metrics) > 100);
}

int main(void)
{
    run(every_allocation_fails_once);
    return check_done();
}
