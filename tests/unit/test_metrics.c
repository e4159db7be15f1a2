/* SPDX-License-Identifier: MIT */
/* Metrics of one's own: what is counted, what is refused, what is bounded, and the text that comes of it. */
#include "unit/metrics_text.h"

#include "observe/number.h"
#include "observe/registry.h"

#include <math.h>

/* ---- values ------------------------------------------------------------------------------ */

static void what_is_added_to_a_counter_is_its_value(void)
{
    open_metrics();
    weir_metric_options o = counter("app.jobs.finished", "queue");
    o.unit = "{job}";
    o.description = "Jobs done";
    weir_metric *jobs = add(&o);

    weir_series_add(series_of(jobs, "mail"), 3);
    weir_series_add(series_of(jobs, "mail"), 4);
    weir_series_add(series_of(jobs, "print"), 1);
    weir_series_add(series_of(jobs, "print"), -5);
    check_int(weir_series_value(series_of(jobs, "mail")), 7);
    check_text(render(), "# HELP app_jobs_finished_total Jobs done\n"
                         "# TYPE app_jobs_finished_total counter\n"
                         "app_jobs_finished_total{queue=\"mail\"} 7\n"
                         "app_jobs_finished_total{queue=\"print\"} 1\n");
    close_metrics();
}

static void a_gauge_goes_up_and_down_and_can_be_set(void)
{
    open_metrics();
    weir_metric_options o = counter("app.depth", NULL);
    o.kind = WEIR_METRIC_GAUGE;
    weir_series *depth = weir_metric_series(add(&o), NULL);

    weir_series_add(depth, 5);
    weir_series_add(depth, -8);
    check_text(render(), "# TYPE app_depth gauge\napp_depth -3\n");
    weir_series_set(depth, 40);
    weir_series_add(depth, 2);
    check_text(render(), "# TYPE app_depth gauge\napp_depth 42\n");
    close_metrics();
}

static const double bounds[] = {0.005, 0.3, 1};

static weir_metric_options histogram(const char *name)
{
    weir_metric_options o = counter(name, NULL);

    o.kind = WEIR_METRIC_HISTOGRAM;
    o.bounds = bounds;
    o.bound_count = 3;
    return o;
}

static void a_value_at_a_bound_is_counted_below_it(void)
{
    open_metrics();
    weir_metric_options o = histogram("app.time");
    o.unit = "s";
    o.per_unit = 1e9;
    weir_series *series = weir_metric_series(add(&o), NULL);

    weir_series_record(series, 5 * WEIR_MS);
    weir_series_record(series, 5 * WEIR_MS + 1);
    weir_series_record(series, 300 * WEIR_MS);
    weir_series_record(series, WEIR_SECOND);
    weir_series_record(series, WEIR_SECOND + 1);
    weir_series_record(series, -7);
    check_int(weir_series_value(series), 6);
    check_text(render(), "# TYPE app_time_seconds histogram\n"
                         "app_time_seconds_bucket{le=\"0.005\"} 2\n"
                         "app_time_seconds_bucket{le=\"0.3\"} 4\n"
                         "app_time_seconds_bucket{le=\"1\"} 5\n"
                         "app_time_seconds_bucket{le=\"+Inf\"} 6\n"
                         "app_time_seconds_sum 2.310000002\n"
                         "app_time_seconds_count 6\n");
    close_metrics();
}

static void a_bound_between_two_whole_numbers_parts_them(void)
{
    open_metrics();
    weir_metric_options o = histogram("app.size");
    const double halves[] = {0, 2.5, 1e300};
    o.bounds = halves;
    weir_series *series = weir_metric_series(add(&o), NULL);

    for (int64_t i = 0; i < 5; i++)
        weir_series_record(series, i);
    weir_series_record(series, INT64_MAX);
    render();
    check_line("app_size_bucket{le=\"0\"} 1");
    check_line("app_size_bucket{le=\"2.5\"} 3");
    check_line("app_size_bucket{le=\"1e+300\"} 6");
    check_line("app_size_bucket{le=\"+Inf\"} 6");
    close_metrics();
}

static void a_bound_is_a_whole_number_where_only_the_multiplication_says_otherwise(void)
{
    open_metrics();
    weir_metric_options o = histogram("app.price");
    const double prices[] = {0.29, 0.57}; /* a hundred times these are a little too little */
    o.bounds = prices;
    o.bound_count = 2;
    o.per_unit = 100;
    weir_series *series = weir_metric_series(add(&o), NULL);

    check((double)(prices[0] * 100) < 29 && (double)(prices[1] * 100) < 57);
    weir_series_record(series, 29);
    weir_series_record(series, 57);
    render();
    check_line("app_price_bucket{le=\"0.29\"} 1");
    check_line("app_price_bucket{le=\"0.57\"} 2");
    close_metrics();
}

static void what_does_not_fit_the_kind_does_nothing(void)
{
    open_metrics();
    weir_metric_options o = counter("app.counter", NULL);
    weir_series *number = weir_metric_series(add(&o), NULL);
    o = histogram("app.histogram");
    weir_series *spread = weir_metric_series(add(&o), NULL);
    o = counter("app.gauge", NULL);
    o.kind = WEIR_METRIC_GAUGE;
    weir_series *level = weir_metric_series(add(&o), NULL);

    weir_series_add(number, 2);
    weir_series_set(number, 9);
    weir_series_record(number, 9);
    weir_series_add(spread, 9);
    weir_series_set(spread, 9);
    weir_series_record(level, 9);
    check_int(weir_series_value(number), 2);
    check_int(weir_series_value(spread), 0);
    check_int(weir_series_value(level), 0);
    close_metrics();
}

static void a_series_is_found_again_and_its_handle_stays(void)
{
    open_metrics();
    weir_metric_options o = counter("app.many", "number");
    o.max_series = 1000;
    weir_metric *metric = add(&o);
    weir_series *first = series_of(metric, "0");
    char number[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(number, sizeof number, "%d", i);
        weir_series_add(series_of(metric, number), i);
    }
    check(series_of(metric, "0") == first);
    for (int i = 0; i < 1000; i++) {
        snprintf(number, sizeof number, "%d", i);
        check_int(weir_series_value(series_of(metric, number)), i);
    }
    close_metrics();
}

/* ---- names ------------------------------------------------------------------------------- */

static void check_name(const char *name, weir_metric_kind kind, const char *unit,
                       const char *expected)
{
    weir_metric_options o = counter(name, NULL);

    open_metrics();
    o.kind = kind;
    o.unit = unit;
    if (kind == WEIR_METRIC_HISTOGRAM) {
        o.bounds = bounds;
        o.bound_count = 3;
    }
    weir_metric *metric = add(&o);
    check_text(metric != NULL ? metric->exposed : NULL, expected);
    close_metrics();
}

static void units_and_total_follow_a_name_that_does_not_have_them(void)
{
    check_name("a.b", WEIR_METRIC_COUNTER, "", "a_b_total");
    check_name("a.b.total", WEIR_METRIC_COUNTER, "", "a_b_total");
    check_name("a.b", WEIR_METRIC_GAUGE, "s", "a_b_seconds");
    check_name("a.seconds", WEIR_METRIC_GAUGE, "s", "a_seconds");
    check_name("a.milliseconds", WEIR_METRIC_GAUGE, "s", "a_milliseconds_seconds");
    check_name("a.b", WEIR_METRIC_COUNTER, "By", "a_b_bytes_total");
    check_name("a.b", WEIR_METRIC_HISTOGRAM, "By", "a_b_bytes");
    check_name("a.b", WEIR_METRIC_GAUGE, "1", "a_b_ratio");
    check_name("a.b", WEIR_METRIC_COUNTER, "1", "a_b_total");
    check_name("a.b", WEIR_METRIC_GAUGE, "{job}", "a_b");
    check_name("a.b", WEIR_METRIC_GAUGE, "Cel", "a_b_celsius");
}

static void a_name_for_prometheus_is_taken_as_it_is(void)
{
    open_metrics();
    weir_metric_options o = counter("a.b", NULL);
    o.unit = "s";
    o.prometheus_name = "other";
    weir_metric_series(add(&o), NULL);
    check_text(render(), "# TYPE other counter\nother 0\n");
    close_metrics();
}

static void check_refused(const weir_metric_options *options, const char *why)
{
    weir_metric *metric = NULL;

    memset(&e, 0, sizeof e);
    check_int(weir_metrics_add(registry, options, &metric, &e), WEIR_INVALID);
    check(metric == NULL);
    check_contains(e.text, why);
}

static void malformed_options_are_refused_by_name(void)
{
    char name[200];
    const double falling[] = {1, 2, 2};
    const double infinite[] = {1, 2, INFINITY};

    open_metrics();
    memset(name, 'n', sizeof name);
    name[128] = '\0';
#define REFUSED(why, ...)                                                                          \
    do {                                                                                           \
        weir_metric_options o = counter("app.x", NULL);                                            \
        __VA_ARGS__;                                                                               \
        check_refused(&o, why);                                                                    \
    } while (0)
    REFUSED("metric name \"\"", o.name = NULL);
    REFUSED("metric name \"\"", o.name = "");
    REFUSED("metric name \"1x\"", o.name = "1x");
    REFUSED("metric name \"a b\"", o.name = "a b");
    REFUSED("127 bytes at most", o.name = name);
    REFUSED("kind 3", o.kind = (weir_metric_kind)3);
    REFUSED("unit \"ms\"", o.unit = "ms");
    REFUSED("unit \"{a b}\"", o.unit = "{a b}");
    REFUSED("unit \"{\"", o.unit = "{");
    REFUSED("unit \"\"", o.unit = NULL);
    REFUSED("prometheus_name \"a.b\"", o.prometheus_name = "a.b");
    REFUSED("prometheus_name \"\"", o.prometheus_name = "");
    REFUSED("label \"\"", o.labels[0] = "");
    REFUSED("label \"a-b\"", o.labels[0] = "a-b");
    REFUSED("label \"__name__\"", o.labels[0] = "__name__");
    REFUSED("label \"a_b\" is taken", o.labels[0] = "a.b", o.labels[1] = "a_b");
    REFUSED("is taken", o.labels[0] = "otel.metric.overflow");
    REFUSED("bound_count 0", o.kind = WEIR_METRIC_HISTOGRAM);
    REFUSED("bound_count 65", o = histogram("app.x"), o.bound_count = 65);
    REFUSED("bound_count 3", o.bounds = bounds, o.bound_count = 3);
    REFUSED("bounds", o = histogram("app.x"), o.bounds = falling);
    REFUSED("bounds", o = histogram("app.x"), o.bounds = infinite);
    REFUSED("label \"le\" is taken", o = histogram("app.x"), o.labels[0] = "le");
    REFUSED("per_unit 0", o.per_unit = 0);
    REFUSED("per_unit inf", o.per_unit = INFINITY);
    REFUSED("max_series 0", o.max_series = 0);
    REFUSED("max_series 4097", o.max_series = 4097);
#undef REFUSED
    check_text(render(), "");
    close_metrics();
}

static void the_same_metric_added_twice_is_one(void)
{
    open_metrics();
    weir_metric_options o = histogram("app.time");
    o.labels[0] = "a";
    weir_metric *metric = add(&o);

    o.description = "said later";
    o.max_series = 3;
    check(add(&o) == metric);
    o.per_unit = 2;
    check_refused(&o, "\"app.time\": the name is taken by \"app.time\"");
    o.per_unit = 1;
    o.labels[0] = "b";
    check_refused(&o, "taken");
    o.labels[0] = "a";
    o.bound_count = 2;
    check_refused(&o, "taken");
    close_metrics();
}

static void names_that_would_meet_in_the_text_are_refused(void)
{
    open_metrics();
    weir_metric_options o = histogram("app.time");
    add(&o);
    o = counter("app_time", NULL);
    o.kind = WEIR_METRIC_GAUGE;
    check_refused(&o, "taken by \"app.time\"");
    o.name = "app.time.count";
    check_refused(&o, "taken by \"app.time\"");
    o.name = "app.time.bucket";
    check_refused(&o, "taken by \"app.time\"");
    o.name = "app.time.max";
    add(&o);
    o.name = "app.spread.sum";
    add(&o);
    o = histogram("app.spread");
    check_refused(&o, "taken by \"app.spread.sum\"");
    close_metrics();
}

static void there_are_so_many_metrics_and_no_more(void)
{
    char name[32];
    weir_metric *metric = NULL;

    open_metrics();
    for (int i = 0; i < WEIR_METRICS_MAX; i++) {
        snprintf(name, sizeof name, "app.m%d", i);
        weir_metric_options o = counter(name, NULL);
        metric = add(&o);
    }
    weir_series_add(weir_metric_series(metric, NULL), 1);
    weir_metric_options one_more = counter("app.more", NULL);
    check_int(weir_metrics_add(registry, &one_more, &metric, &e), WEIR_FULL);
    check_contains(e.text, "512");
    check_text(render(), "# TYPE app_m511_total counter\napp_m511_total 1\n");
    close_metrics();
}

/* ---- bounds ------------------------------------------------------------------------------ */

static void what_is_beyond_max_series_is_counted_as_overflow(void)
{
    open_metrics();
    weir_metric_options o = counter("app.visits", "who");
    o.max_series = 2;
    weir_metric *visits = add(&o);

    weir_series_add(series_of(visits, "a"), 1);
    weir_series_add(series_of(visits, "b"), 2);
    render();
    check(strstr(text, "overflow") == NULL);
    weir_series_add(series_of(visits, "c"), 4);
    weir_series_add(series_of(visits, "d"), 8);
    weir_series_add(series_of(visits, "a"), 16);
    check_text(render(), "# TYPE app_visits_total counter\n"
                         "app_visits_total{otel_metric_overflow=\"true\"} 12\n"
                         "app_visits_total{who=\"a\"} 17\n"
                         "app_visits_total{who=\"b\"} 2\n");
    close_metrics();
}

static void values_that_are_left_out_leave_their_label_out(void)
{
    open_metrics();
    weir_metric_options o = counter("app.x", "a");
    o.labels[1] = "b.c";
    weir_metric *metric = add(&o);
    const char *const both[] = {"1", "2"};
    const char *const first[] = {"1", NULL};
    const char *const second[] = {"", "2"};

    weir_metric_series(metric, both);
    weir_metric_series(metric, first);
    weir_metric_series(metric, second);
    weir_metric_series(metric, NULL);
    check_text(render(), "# TYPE app_x_total counter\n"
                         "app_x_total 0\n"
                         "app_x_total{a=\"1\"} 0\n"
                         "app_x_total{a=\"1\",b_c=\"2\"} 0\n"
                         "app_x_total{b_c=\"2\"} 0\n");
    close_metrics();
}

/* One value alone in a metric, as the text shows it. */
static void check_value(const char *value, const char *expected)
{
    char line[2048];

    open_metrics();
    weir_metric_options o = counter("app.x", "v");
    series_of(add(&o), value);
    render();
    snprintf(line, sizeof line, "app_x_total{v=\"%s\"} 0", expected);
    check_line(line);
    close_metrics();
}

static void hostile_values_stay_inside_their_quotes(void)
{
    check_value("plain", "plain");
    check_value("\"} 1\nevil 2", "\\\"} 1\\nevil 2");
    check_value("back\\slash\\", "back\\\\slash\\\\");
    check_value("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80",
                "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
    check_value("\xFF", "\xEF\xBF\xBD");
    check_value("a\xC3", "a\xEF\xBF\xBD");
    check_value("\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD");                 /* overlong */
    check_value("\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* a surrogate */
    check_value("\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    check_value("\xE0\x80\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    check_value("\r\t\x01", "\r\t\x01");
}

static void long_values_are_cut_between_characters(void)
{
    char value[1000];
    char expected[1000];

    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    snprintf(expected, sizeof expected, "%.255s", value);
    check_value(value, expected);
    memcpy(value + 253, "\xE2\x82\xAC", 3); /* ends one byte too late */
    snprintf(expected, sizeof expected, "%.253s", value);
    check_value(value, expected);
    memcpy(value + 252, "\xE2\x82\xAC", 3); /* just fits */
    snprintf(expected, sizeof expected, "%.255s", value);
    check_value(value, expected);
    value[255] = '\0';
    check_value(value, expected);
}

static void what_reads_the_same_is_one_series(void)
{
    open_metrics();
    weir_metric_options o = counter("app.x", "v");
    weir_metric *metric = add(&o);

    check(series_of(metric, "\xFF") == series_of(metric, "\xFE"));
    check(series_of(metric, "\xEF\xBF\xBD") == series_of(metric, "\xFE"));
    check(series_of(metric, "a\nb") != series_of(metric, "a\\nb"));
    close_metrics();
}

static void the_largest_labels_fit(void)
{
    char name[WEIR_METRIC_LABELS_MAX][64];
    char value[WEIR_METRIC_VALUE_MAX + 1];
    const char *values[WEIR_METRIC_LABELS_MAX];
    weir_metric_options o = counter("app.x", NULL);

    open_metrics();
    memset(value, 0xFF, sizeof value);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < WEIR_METRIC_LABELS_MAX; i++) {
        memset(name[i], 'n', sizeof name[i]);
        name[i][0] = (char)('a' + i);
        name[i][63] = '\0';
        o.labels[i] = name[i];
        values[i] = value;
    }
    weir_metric_series(add(&o), values);
    render();
    check_int(strlen(text), strlen("# TYPE app_x_total counter\napp_x_total{} 0\n") +
                                8 * (63 + 3 + 3 * WEIR_METRIC_VALUE_MAX) + 7);
    close_metrics();
}

static void a_description_stays_on_its_line(void)
{
    open_metrics();
    weir_metric_options o = counter("app.x", NULL);
    o.description = "one\ntwo \\ \"three\" \xFF";
    weir_metric_series(add(&o), NULL);
    render();
    check_line("# HELP app_x_total one\\ntwo \\\\ \"three\" \xEF\xBF\xBD");
    close_metrics();
}

static void numbers_are_short_and_exact_and_have_a_point(void)
{
    char number[NUMBER_ROOM];
    const struct {
        double value;
        const char *text;
    } all[] = {
        {0, "0"},
        {-3, "-3"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {123456789.125, "123456789.125"},
        {9007199254740993.0, "9007199254740992"},
        {1e300, "1e+300"},
        {5e-324, "5e-324"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {NAN, "NaN"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        weir__number_write(all[i].value, number);
        check_text(number, all[i].text);
    }
    weir__double_clean("-0,005e-07", number);
    check_text(number, "-0.005e-07");
    weir__double_clean("1\xD9\xAB"
                       "5",
                       number); /* the Arabic one is two bytes */
    check_text(number, "1.5");
}

int main(void)
{
    run(what_is_added_to_a_counter_is_its_value);
    run(a_gauge_goes_up_and_down_and_can_be_set);
    run(a_value_at_a_bound_is_counted_below_it);
    run(a_bound_between_two_whole_numbers_parts_them);
    run(a_bound_is_a_whole_number_where_only_the_multiplication_says_otherwise);
    run(what_does_not_fit_the_kind_does_nothing);
    run(a_series_is_found_again_and_its_handle_stays);
    run(units_and_total_follow_a_name_that_does_not_have_them);
    run(a_name_for_prometheus_is_taken_as_it_is);
    run(malformed_options_are_refused_by_name);
    run(the_same_metric_added_twice_is_one);
    run(names_that_would_meet_in_the_text_are_refused);
    run(there_are_so_many_metrics_and_no_more);
    run(what_is_beyond_max_series_is_counted_as_overflow);
    run(values_that_are_left_out_leave_their_label_out);
    run(hostile_values_stay_inside_their_quotes);
    run(long_values_are_cut_between_characters);
    run(what_reads_the_same_is_one_series);
    run(the_largest_labels_fit);
    run(a_description_stays_on_its_line);
    run(numbers_are_short_and_exact_and_have_a_point);
    return check_done();
}
