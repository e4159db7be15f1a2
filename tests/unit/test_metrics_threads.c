/* SPDX-License-Identifier: MIT */
/* Metrics under many threads: nothing is lost, nothing is counted twice, and every rendering is well-formed. */
#include "unit/metrics_text.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define ROUNDS 4000
#define SERIES 40 /* more than the metric has room for */

static const double bounds[] = {10, 100, 1000};
static weir_metric *hits;
static weir_metric *sizes;
static weir_metric *level;
static _Atomic int going;

static void add_metrics(void)
{
    open_metrics();
    weir_metric_options o = counter("app.hits", "who");
    o.max_series = SERIES / 2;
    hits = add(&o);
    o = counter("app.level", NULL);
    o.kind = WEIR_METRIC_GAUGE;
    level = add(&o);
    o.name = "app.sizes";
    o.kind = WEIR_METRIC_HISTOGRAM;
    o.bounds = bounds;
    o.bound_count = 3;
    sizes = add(&o);
}

static void *count(void *arg)
{
    weir_series *size = weir_metric_series(sizes, NULL);
    weir_series *depth = weir_metric_series(level, NULL);
    char who[16];

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(who, sizeof who, "w%d", i % SERIES);
        weir_series_add(series_of(hits, who), 1);
        weir_series_record(size, i % 2000);
        weir_series_add(depth, i % 2 == 0 ? 1 : -1);
    }
    atomic_fetch_sub(&going, 1);
    return arg;
}

static double number_after(const char *rendered, const char *name)
{
    const char *at = strstr(rendered, name);

    return at != NULL ? strtod(at + strlen(name), NULL) : 0;
}

/* The sum of a counter over all of its series. */
static long long total_of(const char *rendered, const char *name)
{
    long long total = 0;

    for (const char *at = rendered; (at = strstr(at, name)) != NULL; at++)
        if (at == rendered || at[-1] == '\n')
            total += strtoll(strstr(at, "} ") + 2, NULL, 10);
    return total;
}

/* Render for as long as somebody counts; counts never fall, and what belongs together agrees. */
static void *watch(void *arg)
{
    long long seen = 0;
    double observed = 0;

    while (atomic_load(&going) > 0) {
        char *rendered = NULL;

        if (weir_metrics_render(registry, &rendered, NULL, NULL) != WEIR_OK)
            return arg;
        long long now = total_of(rendered, "app_hits_total{");
        double values = number_after(rendered, "\napp_sizes_count ");
        bool is_fine = now >= seen && values >= observed &&
                       values == number_after(rendered, "app_sizes_bucket{le=\"+Inf\"} ");
        seen = now;
        observed = values;
        free(rendered);
        if (!is_fine)
            return arg;
    }
    return NULL;
}

static void nothing_is_lost_and_nothing_counted_twice(void)
{
    pthread_t threads[THREADS];
    pthread_t watcher;
    void *complaint = NULL;

    add_metrics();
    atomic_store(&going, THREADS);
    pthread_create(&watcher, NULL, watch, &going);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(watcher, &complaint);
    check(complaint == NULL);

    render();
    check_int(total_of(text, "app_hits_total{"), THREADS * ROUNDS);
    check_line("app_level 0");
    check_int(weir_series_value(weir_metric_series(sizes, NULL)), THREADS * ROUNDS);
    long long sum = 0;
    for (int i = 0; i < ROUNDS; i++)
        sum += i % 2000;
    check_int(number_after(text, "\napp_sizes_sum "), THREADS * sum);
    int shown = 0;
    for (const char *at = text; (at = strstr(at, "app_hits_total{who=")) != NULL; at++)
        shown++;
    check_int(shown, SERIES / 2);
    close_metrics();
}

/* ---- adding and removing meanwhile ------------------------------------------------------- */

/* A figure that is freed as soon as its source is removed. */
static void write_figure(weir_metrics_writer *writer, void *arg)
{
    weir_metrics_write(writer, level, NULL, *(int *)arg);
}

static void *come_and_go(void *arg)
{
    for (int i = 0; i < ROUNDS / 10; i++) {
        int *figure = malloc(sizeof *figure);
        char name[32];
        weir_metric *metric;

        if (figure == NULL)
            break;
        *figure = 1;
        if (weir_metrics_add_source(registry, write_figure, figure, NULL) != WEIR_OK)
            break;
        snprintf(name, sizeof name, "app.m%d", i % 100);
        weir_metric_options o = counter(name, "a");
        if (weir_metrics_add(registry, &o, &metric, NULL) == WEIR_OK)
            weir_series_add(series_of(metric, "x"), 1);
        weir_metrics_remove_source(registry, write_figure, figure);
        free(figure);
    }
    atomic_fetch_sub(&going, 1);
    return arg;
}

static void *render_on(void *arg)
{
    (void)arg;
    while (atomic_load(&going) > 0) {
        char *rendered = NULL;

        if (weir_metrics_render(registry, &rendered, NULL, NULL) == WEIR_OK)
            free(rendered);
    }
    return NULL;
}

static void metrics_and_sources_come_and_go_while_others_render(void)
{
    pthread_t threads[4];

    add_metrics();
    atomic_store(&going, 2);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i < 2 ? come_and_go : render_on, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    render();
    check(strstr(text, "app_level") == NULL);
    check_int(total_of(text, "app_m0_total{"), 2 * ROUNDS / 10 / 100);
    close_metrics();
}

int main(void)
{
    run(nothing_is_lost_and_nothing_counted_twice);
    run(metrics_and_sources_come_and_go_while_others_render);
    return check_done();
}
