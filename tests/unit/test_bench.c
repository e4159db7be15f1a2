/* SPDX-License-Identifier: MIT */
/* `weir bench`: its quantiles, what it counts, and its reports. */
#include "bench.h"

#include "check.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "server/managers/pool_url.h"
#include "target.h"

static bool never(void)
{
    return false;
}

static bool at_once(void)
{
    return true;
}

static void quantiles_are_right_to_three_percent_over_the_whole_range(void)
{
    static struct bench_times times;
    weir_time value = 1;

    check_int(bench_times_quantile(&times, 0.5), 0);
    for (int i = 0; i < 200 && value < INT64_MAX / 4; i++) {
        times = (struct bench_times){0};
        bench_times_add(&times, value);
        bench_times_add(&times, INT64_MAX / 2);
        weir_time found = bench_times_quantile(&times, 0.5);
        check(found >= value && (double)found <= (double)value * 1.04);
        check_int(bench_times_quantile(&times, 1), INT64_MAX / 2);
        value += value / 3 + 1;
    }
}

static void quantiles_of_a_thousand_values_are_where_they_lie(void)
{
    static struct bench_times times, rest;

    for (int i = 1; i <= 500; i++)
        bench_times_add(&times, i * WEIR_US);
    for (int i = 501; i <= 1000; i++)
        bench_times_add(&rest, i * WEIR_US);
    bench_times_merge(&times, &rest);
    check_int(times.count, 1000);
    check_int(times.most, 1000 * WEIR_US);
    weir_time half = bench_times_quantile(&times, 0.5), most = bench_times_quantile(&times, 0.99);
    check(half >= 500 * WEIR_US && half <= 516 * WEIR_US);
    check(most >= 990 * WEIR_US && most <= 1000 * WEIR_US);
}

static struct bench_result measured;

static weir_status measure(const struct bench_options *options, bool (*is_stopped)(void),
                           weir_error *reterr)
{
    return bench_run(options, is_stopped, NULL, &measured, reterr);
}

static void a_pool_opens_at_most_one_connection_per_thread_and_its_absence_one_per_statement(void)
{
    const struct bench_options options = {
        .url = "sqlite:///:memory:", .statement = "SELECT 1", .seconds = 0.1, {1, 3}, 2};
    weir_error error = {0};

    check(measure(&options, never, &error) == WEIR_OK);
    check_text(error.text, "");
    check_int(measured.level_count, 2);
    check(!measured.was_interrupted);
    for (int i = 0; i < 2; i++) {
        const struct bench_level *level = &measured.levels[i];
        const struct bench_figures *pooled = &level->ways[BENCH_POOLED];
        const struct bench_figures *unpooled = &level->ways[BENCH_UNPOOLED];
        check_int(level->concurrency, options.levels[i]);
        check(pooled->opened >= 1 && pooled->opened <= (uint64_t)level->concurrency);
        check(unpooled->times.count > 0);
        check_int(unpooled->opened, unpooled->times.count);
        check_int(bench_avoided(level), pooled->times.count - pooled->opened);
        check_int(pooled->errors + unpooled->errors, 0);
        check(bench_rate(pooled) > 0);
    }
    bench_result_clear(&measured);
}

static void a_statement_that_fails_is_said_before_anything_is_measured(void)
{
    const struct bench_options options = {
        .url = "sqlite:///:memory:", .statement = "SELECT nothing", .seconds = 60, {2}, 1};
    weir_error error;

    check(measure(&options, never, &error) == WEIR_QUERY);
    check_contains(error.text, "with 2 threads: ");
    check_contains(error.text, "nothing");
    check_int(measured.level_count, 0);
    bench_result_clear(&measured);
}

static void an_interrupted_run_has_the_levels_that_are_whole(void)
{
    const struct bench_options options = {
        .url = "sqlite:///:memory:", .statement = "SELECT 1", .seconds = 60, {1, 2}, 2};

    check(measure(&options, at_once, NULL) == WEIR_OK);
    check(measured.was_interrupted);
    check_int(measured.level_count, 0);
    bench_result_clear(&measured);
}

static int told;
static double told_last;
static bool told_back;

static void hear(const struct bench_progress *progress)
{
    told++;
    told_back |= progress->share < told_last || progress->share > 1;
    told_last = progress->share;
    check(progress->round >= 1 && progress->round <= BENCH_ROUNDS);
    check(progress->seconds_left >= 0 && progress->seconds_left <= 0.8);
    check(progress->concurrency == (progress->share < 0.5 ? 1 : 2));
}

static void who_waits_is_told_how_far_it_is_from_the_beginning_to_the_end(void)
{
    struct bench_options options = {.url = "sqlite://",
                                    .statement = "SELECT 1",
                                    .seconds = 0.2,
                                    .levels = {1, 2},
                                    .level_count = 2};
    weir_error error;

    told = 0;
    told_last = 0;
    check(bench_run(&options, never, hear, &measured, &error) == WEIR_OK);
    check(told >= 2 * BENCH_ROUNDS * BENCH_WAYS);
    check(!told_back);
    check(told_last >= 15.0 / 16);
    bench_result_clear(&measured);
}

static void reports_escape_what_they_are_given(void)
{
    const struct bench_options options = {.url = "sqlite:///:memory:",
                                          .statement =
                                              "SELECT '</script><script>alert(1)</script>'",
                                          .seconds = 0.1,
                                          {1},
                                          1};

    check(measure(&options, never, NULL) == WEIR_OK);
    char *html = bench_to_html(&measured);
    char *json = bench_to_json(&measured);
    check(html != NULL && strstr(html, "<script>alert") == NULL);
    check_contains(html, "&lt;script&gt;alert(1)");
    check_contains(html, "\\u003cscript>alert(1)");
    check_contains(html, "Chart.js v");
    check_contains(json, "</script><script>alert(1)");
    free(html);
    free(json);
    bench_result_clear(&measured);
}

/* ---- the URL ----------------------------------------------------------------------------- */

static void split(const char *url, const char *expected, int pool_size)
{
    weir_pool_options pool = WEIR_POOL_OPTIONS_DEFAULT;
    char *rest = NULL;

    check(pool_url_split(url, &rest, &pool) == WEIR_OK);
    check_text(rest, expected);
    check_int(pool.pool_size, pool_size);
    free(rest);
}

static void the_options_of_a_pool_are_taken_out_of_a_url_and_no_others(void)
{
    split("postgresql://u:p@h/d", "postgresql://u:p@h/d", 5);
    split("postgresql://h/d?pool_size=7", "postgresql://h/d", 7);
    split("postgresql://h/d?sslmode=require&pool_size=7&connect_timeout=3&application_name=x",
          "postgresql://h/d?sslmode=require&connect_timeout=3", 7);
    split("postgresql://h/d?pool%5Fsize=%38&host=/s", "postgresql://h/d?host=/s", 8);
    split("sqlite:///x.db?pool_size=many", "sqlite:///x.db?pool_size=many", 5);
    split("sqlite:///x.db?pool_size", "sqlite:///x.db?pool_size", 5);
    split("sqlite:///x.db?", "sqlite:///x.db", 5);
}

static void path_of(const char *url, const char *expected)
{
    char *path = target_sqlite_path(url);

    if (expected == NULL)
        check(path == NULL);
    else
        check_text(path, expected);
    free(path);
}

static void the_file_of_a_sqlite_url_is_found_and_memory_is_none(void)
{
    path_of("sqlite:///a%20b.db?pool_size=1", "a b.db");
    path_of("sqlite:////var/x.db", "/var/x.db");
    path_of("sqlite+pysqlite:///x.db", "x.db");
    path_of("sqlite:///:memory:", NULL);
    path_of("sqlite://", NULL);
    path_of("postgresql://h/d", NULL);
    path_of("nonsense", NULL);
}

int main(void)
{
    run(quantiles_are_right_to_three_percent_over_the_whole_range);
    run(quantiles_of_a_thousand_values_are_where_they_lie);
    run(a_pool_opens_at_most_one_connection_per_thread_and_its_absence_one_per_statement);
    run(a_statement_that_fails_is_said_before_anything_is_measured);
    run(an_interrupted_run_has_the_levels_that_are_whole);
    run(who_waits_is_told_how_far_it_is_from_the_beginning_to_the_end);
    run(reports_escape_what_they_are_given);
    run(the_options_of_a_pool_are_taken_out_of_a_url_and_no_others);
    run(the_file_of_a_sqlite_url_is_found_and_memory_is_none);
    return check_done();
}
