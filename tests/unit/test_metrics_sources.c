/* SPDX-License-Identifier: MIT */
/* Sources: figures kept elsewhere, asked at each rendering, until they are removed. */
#include "unit/metrics_text.h"

#include "observe/registry.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>

static weir_metric *temperature;
static weir_metric *spread;
static const double bounds[] = {1, 2};

static void add_metrics(void)
{
    open_metrics();
    weir_metric_options o = counter("app.temperature", "room");
    o.kind = WEIR_METRIC_GAUGE;
    o.max_series = 3;
    temperature = add(&o);
    o.name = "app.spread";
    o.kind = WEIR_METRIC_HISTOGRAM;
    o.bounds = bounds;
    o.bound_count = 2;
    spread = add(&o);
}

static void write_room(weir_metrics_writer *writer, const char *room, double degrees)
{
    const char *const values[] = {room};

    weir_metrics_write(writer, temperature, values, degrees);
}

/* ---- figures ----------------------------------------------------------------------------- */

static void kitchen(weir_metrics_writer *writer, void *arg)
{
    write_room(writer, "kitchen", *(double *)arg);
}

static void a_source_is_asked_at_each_rendering(void)
{
    double degrees = 20.5;

    add_metrics();
    check_int(weir_metrics_add_source(registry, kitchen, &degrees, &e), WEIR_OK);
    check_text(render(), "# TYPE app_temperature gauge\napp_temperature{room=\"kitchen\"} 20.5\n");
    degrees = -1;
    check_text(render(), "# TYPE app_temperature gauge\napp_temperature{room=\"kitchen\"} -1\n");
    weir_metrics_remove_source(registry, kitchen, &degrees);
    check_text(render(), "");
    close_metrics();
}

static void figures_of_the_same_labels_are_added_up(void)
{
    double one = 1.5;
    double two = 2;

    add_metrics();
    weir_series_add(series_of(temperature, "kitchen"), 10);
    check_int(weir_metrics_add_source(registry, kitchen, &one, &e), WEIR_OK);
    check_int(weir_metrics_add_source(registry, kitchen, &two, &e), WEIR_OK);
    render();
    check_line("app_temperature{room=\"kitchen\"} 13.5");
    close_metrics();
}

static void rooms(weir_metrics_writer *writer, void *arg)
{
    char room[16];

    for (int i = 0; i < *(int *)arg; i++) {
        snprintf(room, sizeof room, "r%d", i);
        write_room(writer, room, 1 << i);
    }
}

static void what_a_source_writes_beyond_max_series_is_overflow(void)
{
    int count = 3;

    add_metrics();
    check_int(weir_metrics_add_source(registry, rooms, &count, &e), WEIR_OK);
    render();
    check(strstr(text, "overflow") == NULL);
    count = 6;
    check_text(render(), "# TYPE app_temperature gauge\n"
                         "app_temperature{otel_metric_overflow=\"true\"} 56\n"
                         "app_temperature{room=\"r0\"} 1\n"
                         "app_temperature{room=\"r1\"} 2\n"
                         "app_temperature{room=\"r2\"} 4\n");
    /* What was counted has its place before what is written. */
    weir_series_add(series_of(temperature, "counted"), 7);
    render();
    check_line("app_temperature{room=\"counted\"} 7");
    check_line("app_temperature{otel_metric_overflow=\"true\"} 60");
    close_metrics();
}

static void values(weir_metrics_writer *writer, void *arg)
{
    const uint64_t buckets[] = {1, 2, 3};
    const char *const room[] = {"hall"};

    (void)arg;
    weir_metrics_write_histogram(writer, spread, room, buckets, 11.25);
    /* The other's metrics are left alone. */
    weir_metrics_write(writer, spread, room, 5);
    weir_metrics_write_histogram(writer, temperature, room, buckets, 1);
}

static void a_source_can_write_a_histogram(void)
{
    add_metrics();
    check_int(weir_metrics_add_source(registry, values, NULL, &e), WEIR_OK);
    weir_series_record(series_of(spread, "hall"), 2);
    check_text(render(), "# TYPE app_spread histogram\n"
                         "app_spread_bucket{room=\"hall\",le=\"1\"} 1\n"
                         "app_spread_bucket{room=\"hall\",le=\"2\"} 4\n"
                         "app_spread_bucket{room=\"hall\",le=\"+Inf\"} 7\n"
                         "app_spread_sum{room=\"hall\"} 13.25\n"
                         "app_spread_count{room=\"hall\"} 7\n");
    close_metrics();
}

static void strange(weir_metrics_writer *writer, void *arg)
{
    (void)arg;
    write_room(writer, "nan", NAN);
    write_room(writer, "inf", INFINITY);
    write_room(writer, "\"\n", -INFINITY);
}

static void numbers_that_are_none_are_written_as_prometheus_does(void)
{
    add_metrics();
    check_int(weir_metrics_add_source(registry, strange, NULL, &e), WEIR_OK);
    render();
    check_line("app_temperature{room=\"nan\"} NaN");
    check_line("app_temperature{room=\"inf\"} +Inf");
    check_line("app_temperature{room=\"\\\"\\n\"} -Inf");
    close_metrics();
}

/* Adds a metric while the registry is being rendered, and writes to it at once. */
static void late(weir_metrics_writer *writer, void *arg)
{
    weir_metric_options o = counter("app.late", NULL);

    (void)arg;
    weir_metrics_write(writer, add(&o), NULL, 1);
}

static void a_metric_added_by_a_source_is_shown_the_next_time(void)
{
    add_metrics();
    check_int(weir_metrics_add_source(registry, late, NULL, &e), WEIR_OK);
    check_text(render(), "");
    check_text(render(), "# TYPE app_late_total counter\napp_late_total 1\n");
    close_metrics();
}

static weir_metric *foreign;

static void write_foreign(weir_metrics_writer *writer, void *arg)
{
    (void)arg;
    weir_metrics_write(writer, foreign, NULL, 1);
}

static void what_is_written_to_another_registry_is_dropped(void)
{
    weir_metrics *other;
    weir_metric_options o = counter("app.x", NULL);

    add_metrics();
    check_int(weir_metrics_open(&other, &e), WEIR_OK);
    check_int(weir_metrics_add(other, &o, &foreign, &e), WEIR_OK);
    check_int(weir_metrics_add_source(registry, write_foreign, NULL, &e), WEIR_OK);
    check_text(render(), "");
    weir_metrics_close(other);
    close_metrics();
}

/* ---- adding and removing ----------------------------------------------------------------- */

static void a_source_is_there_once_and_there_are_so_many(void)
{
    double degrees[WEIR_METRICS_SOURCES_MAX + 1] = {0};

    add_metrics();
    for (int i = 0; i < WEIR_METRICS_SOURCES_MAX; i++)
        check_int(weir_metrics_add_source(registry, kitchen, &degrees[i], &e), WEIR_OK);
    check_int(weir_metrics_add_source(registry, kitchen, &degrees[0], &e), WEIR_ALREADY);
    double *more = &degrees[WEIR_METRICS_SOURCES_MAX];
    check_int(weir_metrics_add_source(registry, kitchen, more, &e), WEIR_FULL);
    check_contains(e.text, "64");
    weir_metrics_remove_source(registry, kitchen, more);
    weir_metrics_remove_source(registry, kitchen, &degrees[7]);
    check_int(weir_metrics_add_source(registry, kitchen, more, &e), WEIR_OK);
    close_metrics();
}

/* Two threads render, and are inside the source; a third removes it. */
static struct scene {
    _Atomic int entered;
    _Atomic int left;
    _Atomic bool may_leave;
    _Atomic bool is_removed; /* the third has returned */
    int left_when_removed;
} scene;

static bool is_being_removed(void)
{
    struct source *sources = registry->guarded.sources;
    bool is_removed = false;

    weir__lock(&registry->lock);
    for (int i = 0; i < WEIR_METRICS_SOURCES_MAX; i++)
        is_removed |= sources[i].function != NULL && sources[i].is_removed;
    weir__unlock(&registry->lock);
    return is_removed;
}

static void slow(weir_metrics_writer *writer, void *arg)
{
    (void)writer, (void)arg;
    bool is_expected = atomic_fetch_add(&scene.entered, 1) < 2;
    while (is_expected && !atomic_load(&scene.may_leave))
        sched_yield();
    atomic_fetch_add(&scene.left, 1);
}

static void *render_once(void *arg)
{
    char *rendered = NULL;

    (void)arg;
    if (weir_metrics_render(registry, &rendered, NULL, NULL) == WEIR_OK)
        free(rendered);
    return NULL;
}

static void *remove_slow(void *arg)
{
    (void)arg;
    weir_metrics_remove_source(registry, slow, NULL);
    scene.left_when_removed = atomic_load(&scene.left);
    atomic_store(&scene.is_removed, true);
    return NULL;
}

static void removing_waits_for_the_calls_in_progress_and_no_other_follows(void)
{
    pthread_t renderers[2];
    pthread_t remover;

    add_metrics();
    scene = (struct scene){0};
    check_int(weir_metrics_add_source(registry, slow, NULL, &e), WEIR_OK);
    for (int i = 0; i < 2; i++)
        pthread_create(&renderers[i], NULL, render_once, NULL);
    while (atomic_load(&scene.entered) < 2)
        sched_yield();
    pthread_create(&remover, NULL, remove_slow, NULL);
    while (!is_being_removed() && !atomic_load(&scene.is_removed))
        sched_yield();
    check_int(weir_metrics_add_source(registry, slow, NULL, &e), WEIR_OK);
    weir_metrics_remove_source(registry, slow, NULL);
    check(!atomic_load(&scene.is_removed));
    check_text(render(), ""); /* by a third thread, which must not enter */
    atomic_store(&scene.may_leave, true);
    pthread_join(remover, NULL);
    check_int(scene.left_when_removed, 2);
    for (int i = 0; i < 2; i++)
        pthread_join(renderers[i], NULL);
    check_int(atomic_load(&scene.entered), 2);
    close_metrics();
}

/* ---- tables ------------------------------------------------------------------------------ */

enum { OPEN_DOORS, VISITS, STAYS, HOUSE_METRICS };

static const weir_metric_options house[HOUSE_METRICS] = {
    [OPEN_DOORS] = {.name = "house.open_doors", .kind = WEIR_METRIC_GAUGE, .unit = "{door}"},
    [VISITS] = {.name = "house.visits", .labels = {"house"}},
    [STAYS] = {.name = "house.stays",
               .kind = WEIR_METRIC_HISTOGRAM,
               .unit = "s",
               .bounds = bounds,
               .bound_count = 2},
};

static void write_house(weir_metrics_writer *writer, void *arg)
{
    weir_metric *const *metrics = weir_metrics_writer_table(writer);
    const char *const values[] = {arg};
    uint64_t *buckets = weir_metrics_writer_alloc(writer, 3 * sizeof *buckets);

    check(buckets != NULL);
    buckets[0] = 1;
    buckets[1] = 0;
    buckets[2] = 2;
    weir_metrics_write(writer, metrics[OPEN_DOORS], NULL, 3);
    weir_metrics_write(writer, metrics[VISITS], values, 4);
    weir_metrics_write_histogram(writer, metrics[STAYS], NULL, buckets, 7.5);
}

static void without_table(weir_metrics_writer *writer, void *arg)
{
    *(bool *)arg = weir_metrics_writer_table(writer) == NULL;
}

static void a_table_is_added_in_its_order_with_its_defaults(void)
{
    weir_metric *metrics[HOUSE_METRICS] = {NULL};
    weir_metric_options o = WEIR_METRIC_OPTIONS_DEFAULT;
    weir_metric *again = NULL;

    open_metrics();
    check_int(weir_metrics_add_table(registry, house, HOUSE_METRICS, metrics, &e), WEIR_OK);
    check_text(metrics[VISITS]->name, "house.visits");
    check_int(metrics[VISITS]->max_series, 256);
    check_int(metrics[STAYS]->kind, WEIR_METRIC_HISTOGRAM);
    o.name = "house.visits";
    o.labels[0] = "house";
    check_int(weir_metrics_add(registry, &o, &again, &e), WEIR_OK);
    check(again == metrics[VISITS]);
    close_metrics();
}

static void a_table_with_a_bad_row_is_refused_and_gives_nothing(void)
{
    weir_metric_options table[] = {house[OPEN_DOORS], house[VISITS]};
    weir_metric *metrics[] = {NULL, NULL};
    double unused = 0;

    open_metrics();
    table[1].name = "1st";
    check_int(weir_metrics_add_table(registry, table, 2, metrics, &e), WEIR_INVALID);
    check_contains(e.text, "1st");
    check(metrics[0] == NULL && metrics[1] == NULL);
    check_int(weir_metrics_add_table_source(registry, table, 2, write_house, &unused, &e),
              WEIR_INVALID);
    check_text(render(), "");
    check_int(weir_metrics_add_table(registry, house, WEIR_METRICS_MAX + 1, metrics, &e),
              WEIR_FULL);
    close_metrics();
}

static void a_source_with_a_table_finds_its_metrics(void)
{
    static char mine[] = "mine";
    static char yours[] = "yours";
    bool has_none = false;

    open_metrics();
    check_int(weir_metrics_add_table_source(registry, house, HOUSE_METRICS, write_house, mine, &e),
              WEIR_OK);
    check_int(weir_metrics_add_source(registry, without_table, &has_none, &e), WEIR_OK);
    check_int(weir_metrics_add_table_source(registry, house, HOUSE_METRICS, write_house, yours, &e),
              WEIR_OK);
    check_int(weir_metrics_add_table_source(registry, house, HOUSE_METRICS, write_house, yours, &e),
              WEIR_ALREADY);
    render();
    check(has_none);
    check_line("house_open_doors 6");
    check_line("house_visits_total{house=\"mine\"} 4");
    check_line("house_visits_total{house=\"yours\"} 4");
    check_line("house_stays_seconds_bucket{le=\"1\"} 2");
    check_line("house_stays_seconds_count 6");
    check_line("house_stays_seconds_sum 15");
    weir_metrics_remove_source(registry, write_house, mine);
    render();
    check_line("house_open_doors 3");
    close_metrics(); /* also what belongs to a source that was not removed */
}

int main(void)
{
    run(a_source_is_asked_at_each_rendering);
    run(figures_of_the_same_labels_are_added_up);
    run(what_a_source_writes_beyond_max_series_is_overflow);
    run(a_source_can_write_a_histogram);
    run(numbers_that_are_none_are_written_as_prometheus_does);
    run(a_metric_added_by_a_source_is_shown_the_next_time);
    run(what_is_written_to_another_registry_is_dropped);
    run(a_source_is_there_once_and_there_are_so_many);
    run(removing_waits_for_the_calls_in_progress_and_no_other_follows);
    run(a_table_is_added_in_its_order_with_its_defaults);
    run(a_table_with_a_bad_row_is_refused_and_gives_nothing);
    run(a_source_with_a_table_finds_its_metrics);
    return check_done();
}
