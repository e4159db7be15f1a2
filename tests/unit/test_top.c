/* SPDX-License-Identifier: MIT */
/* What `weir top` reads and draws, without a server and without a terminal. */
#include "top_view.h"

#include "check.h"

#include <stdlib.h>

static struct top_snapshot snapshot;
static struct top_page page;
static struct top_view view;

static const char two_pools[] =
    "{\"pools\": ["
    "{\"name\": \"main\", \"is_initialized\": true, \"size\": 5, \"idle\": 1, \"used\": 2, "
    "\"overflow\": -2, \"waiters\": 0, \"settings\": {\"max_overflow\": 10}, "
    "\"counters\": {\"checkouts\": 100, \"timeouts\": 0}, "
    "\"times\": {\"wait\": {\"p50_ms\": 0.25, \"p99_ms\": 1500}}, \"holders\": ["
    "{\"connection\": 7, \"file\": \"young.c\", \"line\": 1, \"thread\": 11, \"age_ms\": 5},"
    "{\"connection\": 8, \"file\": \"old.c\", \"line\": 2, \"thread\": 12, \"age_ms\": 65000}]},"
    "{\"name\": \"second\", \"is_initialized\": true, \"size\": 1, \"idle\": 0, \"used\": 1, "
    "\"overflow\": 0, \"waiters\": 3, \"settings\": {\"max_overflow\": 0}, "
    "\"counters\": {\"checkouts\": 9, \"timeouts\": 4}, \"holders\": []}],"
    "\"http\": {\"origins\": [{\"origin\": \"https://api.example\", \"breaker\": {\"state\": "
    "\"open\"}, \"cool_down\": 12.5, \"budget_balance\": 0, \"reuse_rate\": 0.75, "
    "\"in_flight\": 2, \"counters\": {\"requests\": 40, \"responses\": {\"2xx\": 30, \"4xx\": 6, "
    "\"5xx\": 4}}}]}}";

static weir_status read_at(const char *json, weir_time at, const struct top_figures *before,
                           struct top_figures *ret_figures)
{
    return top_figures_read(json, strlen(json), at, before, ret_figures, NULL);
}

static void begin(const char *json)
{
    memset(&snapshot, 0, sizeof snapshot);
    snapshot.state = TOP_LIVE;
    snapshot.has_figures = true;
    view = (struct top_view){.url = "http://x", .width = 160, .height = 40};
    check_int(read_at(json, WEIR_SECOND, NULL, &snapshot.figures), WEIR_OK);
    top_view_arrange(&view, &snapshot.figures);
}

/* The text of a line, or "" beyond the last. Valid until the next call. */
static const char *line(size_t number)
{
    static char text[TOP_COLUMNS + 1];
    const struct top_line *found = &page.lines[number];

    text[0] = '\0';
    if (number < page.count)
        snprintf(text, sizeof text, "%.*s", (int)found->size, found->text);
    return text;
}

static const char *line_with(const char *part)
{
    for (size_t i = 0; i < page.count; i++) {
        if (strstr(line(i), part) != NULL)
            return line(i);
    }
    return "";
}

static void figures_are_read_and_the_oldest_loan_comes_first(void)
{
    begin(two_pools);
    const struct top_pool *pool = &snapshot.figures.pools[0];
    check_int(snapshot.figures.pool_count, 2);
    check_text(pool->name, "main");
    check_int(pool->size + 100 * pool->max_overflow, 1005);
    check_int(pool->overflow, -2);
    check_int(pool->holder_count, 2);
    check_text(pool->holders[0].file, "old.c");
    check_int(snapshot.figures.origin_count, 1);
    check_int(snapshot.figures.origins[0].server_errors, 4);
    check(snapshot.figures.origins[0].has_budget);
}

static void a_rate_is_the_difference_over_the_time_and_unknown_after_a_restart(void)
{
    static struct top_figures before, after;

    check_int(read_at("{\"pools\": [{\"name\": \"a\", \"counters\": {\"checkouts\": 10}}]}",
                      WEIR_SECOND, NULL, &before),
              WEIR_OK);
    check(before.pools[0].checkouts_per_second < 0);
    check_int(read_at("{\"pools\": [{\"name\": \"b\"}, {\"name\": \"a\", \"counters\": "
                      "{\"checkouts\": 15}}]}",
                      3 * WEIR_SECOND, &before, &after),
              WEIR_OK);
    check(after.pools[0].checkouts_per_second < 0);
    check(after.pools[1].checkouts_per_second == 2.5);
    check_int(read_at("{\"pools\": [{\"name\": \"a\", \"counters\": {\"checkouts\": 3}}]}",
                      4 * WEIR_SECOND, &after, &before),
              WEIR_OK);
    check(before.pools[0].checkouts_per_second < 0);
}

static void what_is_no_answer_of_the_server_is_an_error(void)
{
    static const char *const all[] = {
        "", "{", "[]", "5", "{}", "{\"pools\": {}}", "{\"pools\": 1}"};
    static struct top_figures figures;
    weir_error error = {0};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_int(read_at(all[i], 1, NULL, &figures), WEIR_PROTOCOL);
    check_int(top_figures_read("{}", 2, 1, NULL, &figures, &error), WEIR_PROTOCOL);
    check_contains(error.text, "weir serve");
}

static void members_that_are_missing_or_of_another_kind_are_nothing(void)
{
    begin("{\"pools\": [null, 5, {}, [], {\"name\": 5, \"is_initialized\": true, \"size\": \"x\", "
          "\"holders\": [null, {\"age_ms\": \"x\"}], \"times\": []}], \"http\": "
          "{\"origins\": [null, {\"breaker\": 5}]}}");
    check_int(snapshot.figures.pool_count, 5);
    check_int(snapshot.figures.origin_count, 2);
    top_view_draw(&view, &snapshot, &page);
    check(page.count > 10);
}

static void texts_from_outside_are_written_out_and_cut(void)
{
    char out[16];

    top_copy_text(out, sizeof out, "plain ~");
    check_text(out, "plain ~");
    top_copy_text(out, sizeof out, "a\x1b[2J\xc3\xa9");
    check_text(out, "a\\x1b[2J\\xc~");
    top_copy_text(out, sizeof out, "0123456789abcdef");
    check_text(out, "0123456789abcd~");
    top_copy_text(out, 1, "x");
    check_text(out, "");
}

static void numbers_that_no_server_has_do_no_harm(void)
{
    begin("{\"pools\": [{\"name\": \"a\", \"is_initialized\": true, \"size\": 9223372036854775807, "
          "\"used\": 9223372036854775807, \"idle\": 9223372036854775807, \"waiters\": "
          "-9223372036854775808, \"settings\": {\"max_overflow\": 9223372036854775807}, \"times\": "
          "{\"wait\": {\"p50_ms\": 1e308, \"p99_ms\": -1e308}}, \"holders\": [{\"age_ms\": "
          "1e308}]}]}");
    top_view_draw(&view, &snapshot, &page);
    check_contains(line_with("> a"), "1000000000000000");
}

static void each_line_says_what_it_is_about(void)
{
    begin(two_pools);
    top_view_draw(&view, &snapshot, &page);
    check_contains(line(0), "live");
    check_contains(line_with("> main"), "5+10     2     1    -2");
    check_contains(line_with("> main"), "250us    1.5s       -");
    check_contains(line_with("> main"), "calm        [####=...................]");
    check_contains(line_with("  second"), "saturated   [########################]");
    check_contains(line_with("old.c:2"), "12    65.0s");
    check_contains(line_with("https://api.example"), "open          12.5s      0   75%         2");
    check_contains(line_with("https://api.example"), "30      6      4");
}

static void of_many_holders_those_that_fit_are_shown_and_the_rest_counted(void)
{
    static char json[8192];
    size_t size = (size_t)snprintf(json, sizeof json,
                                   "{\"pools\": [{\"name\": \"a\", "
                                   "\"is_initialized\": true, \"holders\": [");

    for (int i = 0; i < 50; i++)
        size += (size_t)snprintf(json + size, sizeof json - size, "%s{\"file\": \"f%d.c\"}",
                                 i > 0 ? "," : "", i);
    snprintf(json + size, sizeof json - size, "]}]}");
    begin(json);
    view.height = 20;
    top_view_draw(&view, &snapshot, &page);
    check_int(page.count, 20);
    check_contains(line_with(" more"), "and 40 more");
    check_contains(line_with("HTTP ORIGIN"), "BREAKER");
    view.height = TOP_LINES;
    top_view_draw(&view, &snapshot, &page);
    check_text(line_with(" more"), "");
}

static void no_page_is_larger_than_the_screen(void)
{
    begin(two_pools);
    for (size_t width = 0; width < 300; width += 7) {
        for (size_t height = 0; height < 300; height += 5) {
            view.width = width;
            view.height = height;
            view.has_help = height % 2 == 1;
            top_view_draw(&view, &snapshot, &page);
            check(page.count <= height && page.count <= TOP_LINES);
            for (size_t i = 0; i < page.count; i++)
                check(page.lines[i].size <= width && page.lines[i].size <= TOP_COLUMNS);
        }
    }
}

static void the_chosen_pool_stays_chosen_when_the_order_changes(void)
{
    begin(two_pools);
    check_text(view.chosen, "main");
    top_view_move(&view, &snapshot.figures, 1);
    check_text(view.chosen, "second");
    view.order = TOP_BY_WAITERS;
    top_view_arrange(&view, &snapshot.figures);
    check_text(snapshot.figures.pools[0].name, "second");
    check_text(view.chosen, "second");
    top_view_move(&view, &snapshot.figures, -1);
    check_text(view.chosen, "main");
    view.order = TOP_BY_NAME;
    top_view_arrange(&view, &snapshot.figures);
    check_text(snapshot.figures.pools[0].name, "main");
    memcpy(view.chosen, "gone", 5);
    top_view_arrange(&view, &snapshot.figures);
    check_text(view.chosen, "main");
}

static void a_lost_server_is_said_so_and_what_was_known_stays(void)
{
    begin(two_pools);
    snapshot.state = TOP_LOST;
    memcpy(snapshot.problem, "connect refused", 16);
    view.is_paused = true;
    top_view_draw(&view, &snapshot, &page);
    check_contains(line(0), "lost, trying again  paused");
    check_contains(line(1), "connect refused");
    check_contains(line_with("> main"), "5+10");
}

int main(void)
{
    run(figures_are_read_and_the_oldest_loan_comes_first);
    run(a_rate_is_the_difference_over_the_time_and_unknown_after_a_restart);
    run(what_is_no_answer_of_the_server_is_an_error);
    run(members_that_are_missing_or_of_another_kind_are_nothing);
    run(texts_from_outside_are_written_out_and_cut);
    run(numbers_that_no_server_has_do_no_harm);
    run(each_line_says_what_it_is_about);
    run(of_many_holders_those_that_fit_are_shown_and_the_rest_counted);
    run(no_page_is_larger_than_the_screen);
    run(the_chosen_pool_stays_chosen_when_the_order_changes);
    run(a_lost_server_is_said_so_and_what_was_known_stays);
    return check_done();
}
