/* SPDX-License-Identifier: MIT */
/* The growing text, the spans of time, and the log's lines. */
#include "config/duration.h"
#include "log/log.h"
#include "log/log_repeats.h"
#include "text/text.h"

#include <weir/trace.h>

#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void texts_grow_and_are_handed_over(void)
{
    struct text text = {0};

    for (int i = 0; i < 1000; i++)
        text_addf(&text, "%03d,", i);
    check_int(text.size, 4000);
    char *all = text_take(&text);
    check(all != NULL && strncmp(all + 3996, "999,", 5) == 0);
    check(text.data == NULL && text.size == 0);
    free(all);
}

static void an_empty_text_is_the_empty_string(void)
{
    struct text text = {0};
    char *all = text_take(&text);

    check_text(all, "");
    free(all);
}

static void json_strings_are_quoted_and_escaped(void)
{
    struct text text = {0};

    text_add_json(&text, "a\"b\\\n\x01é");
    char *all = text_take(&text);
    check_text(all, "\"a\\\"b\\\\\\n\\u0001é\"");
    free(all);
}

static void what_is_not_utf8_becomes_the_replacement_character(void)
{
    struct text text = {0};

    text_add_repaired(&text, "\xff");
    text_add_repaired(&text, "é\xc3z\xed\xa0\x80");
    text_add_json(&text, "a\"\xe2\x82");
    char *all = text_take(&text);
    check_text(all, "\uFFFDé\uFFFDz\uFFFD\uFFFD\uFFFD\"a\\\"\uFFFD\uFFFD\"");
    free(all);
}

static void a_text_that_failed_stays_failed_until_it_was_asked(void)
{
    struct text text = {0};

    text_add(&text, "before");
    text.has_failed = true; /* as when memory ran out */
    text_add(&text, "after");
    text_add_json(&text, "after");
    text_add_repaired(&text, "after");
    check(text_take(&text) == NULL);
    text_add(&text, "again");
    char *all = text_take(&text);
    check_text(all, "again");
    free(all);
}

static void distance_counts_edits_and_swapped_neighbours(void)
{
    check_int(text_distance("serve", "serve"), 0);
    check_int(text_distance("serv", "serve"), 1);
    check_int(text_distance("sevre", "serve"), 1);
    check_int(text_distance("prot", "port"), 1);
    check_int(text_distance("", "abc"), 3);
    check_int(text_distance("kitten", "sitting"), 3);
    check_int(
        text_distance("0123456789012345678901234567890123456789012345678901234567890123", "a"), 99);
}

static void durations_are_read_in_every_unit(void)
{
    static const struct {
        const char *text;
        int64_t ms;
    } fine[] = {{"0", 0},
                {"30", 30000},
                {"2.5", 2500},
                {"500ms", 500},
                {"10s", 10000},
                {"2m", 120000},
                {"1h", 3600000},
                {"7d", 604800000},
                {"0.25s", 250},
                {"1.5h", 5400000},
                {"0.0001s", 0},
                {"36525d", 3155760000000},
                {"1.9999999s", 1999}};
    static const char *const wrong[] = {"",    "-1",  "+1",     " 1",  "1 s",
                                        "s",   "1.",  ".5",     "1x",  "1sec",
                                        "1e3", "0x1", "36526d", "nan", "99999999999999999999"};

    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        int64_t ms = -1;
        check(duration_parse(fine[i].text, &ms));
        check_int(ms, fine[i].ms);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms = -1;
        check(!duration_parse(wrong[i], &ms));
        check_int(ms, -1);
    }
}

/* ---- The log, through a pipe --------------------------------------------------------------- */

static int reader, writer;

static void open_log(void)
{
    int ends[2];

    check(pipe2(ends, O_CLOEXEC) == 0);
    reader = ends[0];
    writer = ends[1];
    log_set_descriptor(writer);
}

/* Everything written since; the log goes nowhere afterwards. */
static const char *close_log(void)
{
    static char all[1 << 17];
    size_t used = 0;
    ssize_t got;

    log_set_descriptor(STDERR_FILENO);
    close(writer);
    while ((got = read(reader, all + used, sizeof all - 1 - used)) > 0)
        used += (size_t)got;
    close(reader);
    all[used] = '\0';
    return all;
}

static void a_line_has_stamp_level_and_text(void)
{
    open_log();
    log_write(LOG_LEVEL_INFO, "hello %d", 42);
    const char *line = close_log();
    check_int(strlen(line), 24 + 9 + 9);
    check(line[4] == '-' && line[10] == 'T' && line[23] == 'Z');
    check_text(line + 24, " INFO    hello 42\n");
}

static void lines_below_the_level_are_not_written(void)
{
    open_log();
    log_set_level(LOG_LEVEL_WARNING);
    check(!log_is_on(LOG_LEVEL_INFO));
    check(log_is_on(LOG_LEVEL_ERROR));
    log_write(LOG_LEVEL_INFO, "unheard");
    log_write(LOG_LEVEL_ERROR, "heard");
    log_set_level(LOG_LEVEL_INFO);
    const char *all = close_log();
    check(strstr(all, "unheard") == NULL);
    check_contains(all, "ERROR   heard\n");
}

static void one_message_is_one_line_whatever_is_in_it(void)
{
    open_log();
    log_write(LOG_LEVEL_INFO, "%s", "a\nb\r\tc\x1b[2J\x7f \xff \xc2\x9b \xc3\xa9");
    check_text(close_log() + 33, "a\\nb\\r\\tc\\x1b[2J\\x7f \\xff \\xc2\\x9b \xc3\xa9\n");
}

static void in_json_a_line_is_one_object_with_what_it_is_about(void)
{
    struct log_about about = {.pool = "ma\"in", .connection_id = 7};

    open_log();
    log_set_format(LOG_FORMAT_JSON);
    log_write_about(LOG_LEVEL_INFO, &about, "%s", "say \"hi\\\"\n\xff \xc2\x9b \xc3\xa9");
    log_write(LOG_LEVEL_INFO, "plain");
    log_set_format(LOG_FORMAT_TEXT);
    const char *line = close_log();
    check(strncmp(line, "{\"time\":\"20", 11) == 0);
    check_contains(line, "Z\",\"level\":\"INFO\",\"message\":\"say \\\"hi\\\\\\\"\\n\\u00ff "
                         "\\u00c2\\u009b \xc3\xa9\",\"pool\":\"ma\\\"in\",\"connection\":7}\n");
    check_contains(line, "\"message\":\"plain\"}\n");
}

static void a_json_line_that_is_too_long_is_cut_inside_its_message(void)
{
    char message[9000];
    struct log_about about = {.pool = "main", .connection_id = 1};

    memset(message, '"', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    open_log();
    log_set_format(LOG_FORMAT_JSON);
    log_write_about(LOG_LEVEL_INFO, &about, "%s", message);
    log_set_format(LOG_FORMAT_TEXT);
    const char *line = close_log();
    check(strlen(line) < 4096);
    check_contains(line, "\\\"\",\"pool\":\"main\",\"connection\":1}\n");
}

static void a_line_names_the_trace_that_its_thread_works_for(void)
{
    weir_trace_context parent = {{1, 2, 3}, {4}, true};
    weir_tracer *tracer = NULL;
    weir_span span;
    char id[WEIR_TRACE_ID_SIZE];
    weir_error error;

    check_int(weir_tracer_open(NULL, &tracer, &error), WEIR_OK);
    weir_trace_id_format(&parent, id);
    open_log();
    weir_span_begin_root(tracer, &span, "work", WEIR_SPAN_SERVER, &parent, NULL);
    log_write(LOG_LEVEL_INFO, "within");
    log_set_format(LOG_FORMAT_JSON);
    log_write(LOG_LEVEL_INFO, "within");
    log_set_format(LOG_FORMAT_TEXT);
    weir_span_end(&span);
    log_write(LOG_LEVEL_INFO, "after");
    const char *all = close_log();
    check_contains(all, "within, trace 01020300000000000000000000000000\n");
    check_contains(all, "\"within\",\"trace_id\":\"01020300000000000000000000000000\"}\n");
    check_contains(all, "INFO    after\n");
    weir_tracer_close(tracer);
}

static void warnings_that_repeat_are_counted_instead_of_written(void)
{
    open_log();
    for (int i = 0; i < 100; i++)
        log_write(LOG_LEVEL_WARNING, "pool \"main\": timeout after %d ms", i);
    log_write(LOG_LEVEL_WARNING, "another");
    for (int i = 0; i < 20; i++)
        log_write(LOG_LEVEL_INFO, "all of these");
    log_maintain(true);
    const char *all = close_log();
    check_contains(all, "timeout after 4 ms");
    check(strstr(all, "timeout after 6 ms") == NULL);
    check_contains(all, "WARNING another\n");
    check_contains(all, "WARNING 95 more like this: pool \"main\": timeout after 5 ms\n");
    int count = 0;
    for (const char *at = all; (at = strstr(at, "all of these")) != NULL; at++)
        count++;
    check_int(count, 20);
}

static void a_message_is_heard_again_when_its_window_is_over(void)
{
    static struct repeats repeats;
    struct held_back held;

    for (int i = 0; i < 8; i++)
        check(repeats_admit(&repeats, NULL, "same 1", WEIR_SECOND) == (i < REPEATS_LET_THROUGH));
    check(!repeats_take(&repeats, 10 * WEIR_SECOND, false, &held));
    check(repeats_take(&repeats, 11 * WEIR_SECOND, false, &held));
    check_int(held.count, 3);
    check(!held.is_mixed);
    check_text(held.sample, "same 1");
    check(!repeats_take(&repeats, 99 * WEIR_SECOND, true, &held));
    check(repeats_admit(&repeats, NULL, "same 2", 11 * WEIR_SECOND));
}

static void of_one_kind_only_the_first_is_written_whatever_it_says(void)
{
    static struct repeats repeats;
    struct held_back held;
    char message[32];

    for (int i = 0; i < 100; i++) {
        snprintf(message, sizeof message, "request %c%c", 'a' + i % 26, 'a' + i / 26);
        check(repeats_admit(&repeats, "answered 503", message, WEIR_SECOND) == (i == 0));
        check(repeats_admit(&repeats, "answered 500", message, WEIR_SECOND) == (i == 0));
    }
    check(repeats_take(&repeats, 12 * WEIR_SECOND, false, &held));
    check_int(held.count, 99);
    check_text(held.sample, "request ba");
    check(repeats_take(&repeats, 12 * WEIR_SECOND, false, &held));
    check_int(held.count, 99);
    check(!repeats_take(&repeats, 12 * WEIR_SECOND, false, &held));
}

/* Nothing is written without bound, and nothing is lost from the count. */
static void more_messages_than_there_are_places_are_counted_together(void)
{
    enum { MANY = 20 * REPEATS_MESSAGES };
    static struct repeats repeats;
    struct held_back held;
    char message[32];
    int written = 0, counted = 0, mixed = 0;

    for (int i = 0; i < MANY; i++) {
        snprintf(message, sizeof message, "%c%c%c", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676);
        written += repeats_admit(&repeats, NULL, message, WEIR_SECOND);
    }
    check_int(written, REPEATS_MESSAGES + REPEATS_LET_THROUGH);
    check(!repeats_admit(&repeats, "a kind", "something quite different", 2 * WEIR_SECOND));
    while (repeats_take(&repeats, 12 * WEIR_SECOND, false, &held)) {
        counted += (int)held.count;
        mixed += held.is_mixed;
    }
    check_int(written + counted, MANY + 1);
    check_int(mixed, 1);
    check(repeats_admit(&repeats, NULL, "something quite different", 13 * WEIR_SECOND));
}

static void a_long_sample_is_cut_between_characters(void)
{
    static struct repeats repeats;
    struct held_back held;
    char message[400] = "";

    for (int i = 0; i < 120; i++)
        strcat(message, "\xc3\xa9");
    for (int i = 0; i < 6; i++)
        repeats_admit(&repeats, NULL, message, 0);
    check(repeats_take(&repeats, 0, true, &held));
    check_int(strlen(held.sample), 158);
}

static void long_messages_are_cut_and_still_end_the_line(void)
{
    char message[9000];

    memset(message, '\n', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    open_log();
    log_write(LOG_LEVEL_INFO, "%s", message);
    log_write(LOG_LEVEL_INFO, "next");
    const char *all = close_log();
    const char *end = strchr(all, '\n');
    check(end != NULL && end - all < 4095);
    check_contains(all, "INFO    next\n");
}

static void a_reader_that_does_not_read_stops_nobody_and_learns_what_it_missed(void)
{
    static char sink[1 << 17];

    open_log();
    for (int i = 0; i < 5000; i++)
        log_write(LOG_LEVEL_INFO, "line %d of a log nobody reads at the moment", i);
    check(read(reader, sink, sizeof sink) > 0);
    log_write(LOG_LEVEL_INFO, "read again");
    const char *all = close_log();
    check_contains(all, "log lines dropped: nobody read them in time\n");
    check_contains(all, "INFO    read again\n");
}

static void levels_are_words_in_any_case(void)
{
    enum log_level level = LOG_LEVEL_INFO;

    check(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    check(log_level_parse("Error", &level) && level == LOG_LEVEL_ERROR);
    check(!log_level_parse("verbose", &level) && level == LOG_LEVEL_ERROR);
}

int main(void)
{
    run(texts_grow_and_are_handed_over);
    run(an_empty_text_is_the_empty_string);
    run(json_strings_are_quoted_and_escaped);
    run(what_is_not_utf8_becomes_the_replacement_character);
    run(a_text_that_failed_stays_failed_until_it_was_asked);
    run(distance_counts_edits_and_swapped_neighbours);
    run(durations_are_read_in_every_unit);
    run(a_line_has_stamp_level_and_text);
    run(lines_below_the_level_are_not_written);
    run(one_message_is_one_line_whatever_is_in_it);
    run(in_json_a_line_is_one_object_with_what_it_is_about);
    run(a_json_line_that_is_too_long_is_cut_inside_its_message);
    run(a_line_names_the_trace_that_its_thread_works_for);
    run(warnings_that_repeat_are_counted_instead_of_written);
    run(a_message_is_heard_again_when_its_window_is_over);
    run(of_one_kind_only_the_first_is_written_whatever_it_says);
    run(more_messages_than_there_are_places_are_counted_together);
    run(a_long_sample_is_cut_between_characters);
    run(long_messages_are_cut_and_still_end_the_line);
    run(a_reader_that_does_not_read_stops_nobody_and_learns_what_it_missed);
    run(levels_are_words_in_any_case);
    return check_done();
}
