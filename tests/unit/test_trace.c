/* SPDX-License-Identifier: MIT */
/* Spans: who is whose child, what is recorded, what finds room in them. */
#include "unit/trace_steps.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const weir_trace_context remote = {
    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {1, 2, 3, 4, 5, 6, 7, 8}, true};

/* ---- trees ------------------------------------------------------------------------------- */

static void a_root_without_a_parent_begins_a_trace(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    check(weir_span_begin_root(tracer, &root, "GET /", WEIR_SPAN_SERVER, NULL, NULL));
    check(weir_trace_current() == &root);
    check(!is_zero_id(root.context.trace_id, 16) && !is_zero_id(root.context.span_id, 8));
    check(root.context.is_sampled);
    weir_span_end(&root);
    check(weir_trace_current() == NULL);

    weir_span seen = finished(tracer, 0);
    check_text(seen.name, "GET /");
    check_int(seen.kind, WEIR_SPAN_SERVER);
    check(is_zero_id(seen.parent_id, 8));
    check(is_same_id(seen.context.span_id, root.context.span_id, 8));
    check(!seen.has_failed && weir_span_message(&seen) == NULL);
    weir_tracer_close(tracer);
}

static void a_root_continues_the_trace_that_called_it(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    check(weir_span_begin_root(tracer, &root, "GET /", WEIR_SPAN_SERVER, &remote, "a=1,b=2"));
    check(is_same_id(root.context.trace_id, remote.trace_id, 16));
    check(is_same_id(root.parent_id, remote.span_id, 8));
    check(!is_same_id(root.context.span_id, remote.span_id, 8));
    check_text(weir_trace_current()->tracestate, "a=1,b=2");
    weir_span_end(&root);
    check(finished(tracer, 0).tracestate == NULL);
    weir_tracer_close(tracer);
}

static void what_begins_below_is_a_child_and_ends_before(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;
    weir_span child;
    weir_span grandchild;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, "a=1");
    check(weir_span_begin(&child, "child", WEIR_SPAN_INTERNAL));
    check(weir_trace_current() == &child);
    check(weir_span_begin(&grandchild, "grandchild", WEIR_SPAN_CLIENT));
    check(is_child_of(&child, &root) && is_child_of(&grandchild, &child));
    weir_span_end(&grandchild);
    check(weir_trace_current() == &child);
    weir_span_end(&child);
    check(weir_trace_current() == &root);
    weir_span_end(&root);

    check_int(weir_tracer_count(tracer), 3);
    weir_span inner = finished(tracer, 0);
    weir_span outer = finished(tracer, 2);
    check_text(inner.name, "grandchild");
    check_text(outer.name, "root");
    check(inner.started >= outer.started);
    check(inner.started + inner.duration <= outer.started + outer.duration);
    check(inner.wall == outer.wall);
    weir_tracer_close(tracer);
}

static void without_a_current_span_nothing_is_recorded(void)
{
    weir_trace_context context = remote;
    weir_span span;

    check(!weir_span_begin(&span, "child", WEIR_SPAN_INTERNAL));
    check(weir_trace_current() == NULL);
    weir_span_set_text(&span, "key", "text");
    check_int(span.attribute_count, 0);
    weir_span_end(&span);
    check(!weir_span_begin_past(&span, "past", WEIR_SPAN_INTERNAL, 5));
    weir_span_end(&span);
    check(!weir_trace_call(&context));
    check(is_same_id(context.span_id, remote.span_id, 8));
}

static void without_a_tracer_a_root_is_nothing(void)
{
    weir_span root;

    check(!weir_span_begin_root(NULL, &root, "root", WEIR_SPAN_SERVER, &remote, "a=1"));
    check(weir_trace_current() == NULL);
    weir_span_end(&root);
}

static void a_past_span_is_never_current_and_ends_when_it_was_begun(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;
    weir_span past;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_time before = weir_now();
    check(weir_span_begin_past(&past, "past", WEIR_SPAN_CLIENT, 7 * WEIR_SECOND));
    weir_time after = weir_now();
    check(weir_trace_current() == &root);
    check(is_child_of(&past, &root));
    check(past.started >= before - 7 * WEIR_SECOND && past.started <= after - 7 * WEIR_SECOND);
    weir_span_end(&past);
    check_int(finished(tracer, 0).duration, 7 * WEIR_SECOND);
    check(weir_span_begin_past(&past, "past", WEIR_SPAN_CLIENT, -5));
    weir_span_end(&past);
    check_int(finished(tracer, 1).duration, 0);
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

static void a_root_within_another_trace_is_a_root(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span outer;
    weir_span inner;

    weir_span_begin_root(tracer, &outer, "outer", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_begin_root(tracer, &inner, "inner", WEIR_SPAN_INTERNAL, NULL, NULL);
    check(!is_same_id(outer.context.trace_id, inner.context.trace_id, 16));
    check(is_zero_id(inner.parent_id, 8));
    weir_span_end(&inner);
    check(weir_trace_current() == &outer);
    weir_span_end(&outer);
    weir_tracer_close(tracer);
}

static void ending_too_early_leaves_the_inner_spans_in_order(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;
    weir_span middle;
    weir_span inner;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_begin(&middle, "middle", WEIR_SPAN_INTERNAL);
    weir_span_begin(&inner, "inner", WEIR_SPAN_INTERNAL);
    weir_span_end(&middle);
    check(weir_trace_current() == &inner);
    weir_span_end(&inner);
    check(weir_trace_current() == &root);
    weir_span_end(&root);
    check(weir_trace_current() == NULL);
    weir_tracer_close(tracer);
}

static void ending_twice_counts_once(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_end(&root);
    weir_span_end(&root);
    check_int(weir_tracer_count(tracer), 1);
    weir_tracer_close(tracer);
}

static void a_call_belongs_to_the_current_trace_under_an_id_of_its_own(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_trace_context first;
    weir_trace_context second;
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    check(weir_trace_call(&first) && weir_trace_call(&second));
    check(is_same_id(first.trace_id, root.context.trace_id, 16) && first.is_sampled);
    check(!is_same_id(first.span_id, root.context.span_id, 8));
    check(!is_same_id(first.span_id, second.span_id, 8));
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

static void a_start_may_be_set_back_and_is_part_of_the_duration(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    root.started -= WEIR_SECOND;
    weir_span_end(&root);
    weir_time duration = finished(tracer, 0).duration;
    check(duration >= WEIR_SECOND && duration < 60 * WEIR_SECOND);
    weir_tracer_close(tracer);
}

static void the_wall_clock_of_a_span_is_that_of_its_beginning(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    struct timespec before;
    struct timespec after;
    weir_span root;

    clock_gettime(CLOCK_REALTIME, &before);
    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    clock_gettime(CLOCK_REALTIME, &after);
    weir_time at = root.started + root.wall;
    /* A millisecond for the two clocks, which are not read in one instant. */
    check(at >= before.tv_sec * WEIR_SECOND + before.tv_nsec - WEIR_MS);
    check(at <= after.tv_sec * WEIR_SECOND + after.tv_nsec + WEIR_MS);
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

/* ---- sampling ---------------------------------------------------------------------------- */

static void an_unsampled_root_is_passed_on_but_nothing_of_it_recorded(void)
{
    weir_tracer *tracer = open_tracer(0, 16);
    weir_trace_context context;
    weir_span root;
    weir_span child;

    check(!weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL));
    check(weir_trace_current() == &root);
    check(weir_trace_call(&context));
    check(!context.is_sampled);
    check(is_same_id(context.trace_id, root.context.trace_id, 16));
    check(!is_zero_id(context.trace_id, 16));
    check(!weir_span_begin(&child, "child", WEIR_SPAN_INTERNAL));
    check(weir_trace_current() == &root);
    weir_span_end(&child);
    weir_span_set_text(&root, "key", "text");
    weir_span_fail(&root, "timeout", "text");
    weir_span_end(&root);
    check(weir_trace_current() == NULL);
    check_int(weir_tracer_count(tracer), 0);
    weir_tracer_close(tracer);
}

static void the_callers_flag_decides_whatever_the_ratio_is(void)
{
    weir_tracer *never = open_tracer(0, 16);
    weir_tracer *always = open_tracer(1, 16);
    weir_trace_context unsampled = remote;
    weir_span root;

    unsampled.is_sampled = false;
    check(weir_span_begin_root(never, &root, "root", WEIR_SPAN_SERVER, &remote, NULL));
    weir_span_end(&root);
    check_int(weir_tracer_count(never), 1);
    check(!weir_span_begin_root(always, &root, "root", WEIR_SPAN_SERVER, &unsampled, NULL));
    check(is_same_id(weir_trace_current()->context.trace_id, remote.trace_id, 16));
    weir_span_end(&root);
    check_int(weir_tracer_count(always), 0);
    weir_tracer_close(never);
    weir_tracer_close(always);
}

/* 4000 of 16000 are expected, with a standard deviation of 55. */
static void about_the_share_asked_for_is_sampled(void)
{
    weir_tracer *tracer = open_tracer(0.25, 16);
    int sampled = 0;

    for (int i = 0; i < 16000; i++) {
        weir_span root;
        sampled += weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
        weir_span_end(&root);
    }
    check(sampled > 4000 - 10 * 55 && sampled < 4000 + 10 * 55);
    check_int(weir_tracer_count(tracer), sampled);
    weir_tracer_close(tracer);
}

/* ---- texts and numbers ------------------------------------------------------------------- */

static void attributes_are_texts_or_numbers_and_can_be_replaced(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_set_text(&root, "http.route", "/a");
    weir_span_set_number(&root, "http.response.status_code", 200);
    weir_span_set_text(&root, "nothing", NULL);
    weir_span_set_text(&root, "empty", "");
    weir_span_set_text(&root, "http.route", "/b");
    weir_span_set_number(&root, "empty", -1);
    weir_span_rename(&root, "GET /b");
    weir_span_end(&root);
    weir_span_set_text(&root, "late", "text");

    weir_span seen = finished(tracer, 0);
    check_int(seen.attribute_count, 3);
    check_text(text_of(&seen, "http.route"), "/b");
    check_int(number_of(&seen, "http.response.status_code"), 200);
    check_int(number_of(&seen, "empty"), -1);
    check(find_attribute(&seen, "nothing") == NULL && find_attribute(&seen, "late") == NULL);
    check(weir_span_attribute_text(&seen, 3) == NULL);
    check_text(seen.name, "GET /b");
    check_int(seen.dropped_attributes, 0);
    weir_tracer_close(tracer);
}

static void a_failure_has_a_type_and_a_message(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_fail(&root, "timeout", "nobody came");
    weir_span_end(&root);
    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_fail(&root, "503", NULL);
    weir_span_end(&root);

    weir_span seen = finished(tracer, 0);
    check(seen.has_failed);
    check_text(text_of(&seen, "error.type"), "timeout");
    check_text(weir_span_message(&seen), "nobody came");
    seen = finished(tracer, 1);
    check(seen.has_failed && weir_span_message(&seen) == NULL);
    check_text(text_of(&seen, "error.type"), "503");
    weir_tracer_close(tracer);
}

static void attributes_beyond_the_room_are_counted_and_left_out(void)
{
    static const char keys[WEIR_SPAN_ATTRIBUTES + 2][3] = {
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"};
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    for (int i = 0; i < WEIR_SPAN_ATTRIBUTES + 1; i++)
        weir_span_set_number(&root, keys[i], i);
    weir_span_set_text(&root, keys[WEIR_SPAN_ATTRIBUTES + 1], "text");
    weir_span_set_number(&root, keys[0], 100);
    weir_span_end(&root);

    weir_span seen = finished(tracer, 0);
    check_int(seen.attribute_count, WEIR_SPAN_ATTRIBUTES);
    check_int(seen.dropped_attributes, 2);
    check_int(number_of(&seen, keys[0]), 100);
    check_int(number_of(&seen, keys[WEIR_SPAN_ATTRIBUTES - 1]), WEIR_SPAN_ATTRIBUTES - 1);
    weir_tracer_close(tracer);
}

/* `size` bytes of "é", which has two, before them one byte if `is_odd`. */
static const char *accents(size_t size, bool is_odd)
{
    static char text[3000];
    size_t used = 0;

    if (is_odd)
        text[used++] = 'x';
    while (used < size) {
        memcpy(text + used, "\xC3\xA9", 2);
        used += 2;
    }
    text[used] = '\0';
    return text;
}

static void long_texts_are_cut_between_characters(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    weir_span_begin_root(tracer, &root, accents(1000, false), WEIR_SPAN_SERVER, NULL, NULL);
    check_int(strlen(root.name), WEIR_SPAN_NAME - 2);
    weir_span_rename(&root, accents(1000, true));
    check_int(strlen(root.name), WEIR_SPAN_NAME - 1);
    weir_span_set_text(&root, "even", accents(1000, false));
    check_int(strlen(text_of(&root, "even")), WEIR_SPAN_VALUE_MAX - 1);
    weir_span_set_text(&root, "odd", accents(1000, true));
    /* A byte at the beginning, and one zero behind each text. */
    check_int(strlen(text_of(&root, "odd")), WEIR_SPAN_TEXT - 1 - WEIR_SPAN_VALUE_MAX - 1 - 1 + 1);
    check(memcmp(text_of(&root, "odd"), accents(1000, true), strlen(text_of(&root, "odd"))) == 0);
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

static void texts_that_find_no_room_are_counted(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    char filling[WEIR_SPAN_VALUE_MAX + 1];
    weir_span root;

    memset(filling, 'x', WEIR_SPAN_VALUE_MAX);
    filling[WEIR_SPAN_VALUE_MAX] = '\0';
    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_set_text(&root, "a", filling);
    weir_span_set_text(&root, "b", filling);
    check_int(strlen(text_of(&root, "b")), WEIR_SPAN_TEXT - 1 - 512 - 1);
    check_int(root.text_used, WEIR_SPAN_TEXT);
    weir_span_set_text(&root, "c", "text");
    weir_span_set_text(&root, "d", "");
    weir_span_fail(&root, "timeout", "nobody came");
    check_int(root.dropped_attributes, 3);
    check(root.has_failed && weir_span_message(&root) == NULL);
    weir_span_set_number(&root, "e", 5);
    check_int(number_of(&root, "e"), 5);
    weir_span_end(&root);
    check_int(strlen(text_of(&(weir_span[]){finished(tracer, 0)}[0], "a")), WEIR_SPAN_VALUE_MAX);
    weir_tracer_close(tracer);
}

static void what_is_not_utf8_becomes_a_question_mark(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;

    weir_span_begin_root(tracer, &root, "a\xFFz", WEIR_SPAN_SERVER, NULL, NULL);
    check_text(root.name, "a?z");
    weir_span_set_text(&root, "a", "\xC3(\xE2\x82\xAC\xED\xA0\x80\xF0\x9F\x98\x80\xC0\xAF\xE2\x82");
    check_text(text_of(&root, "a"), "?(\xE2\x82\xAC???\xF0\x9F\x98\x80????");
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

static void a_tracestate_that_nobody_could_pass_on_is_left_out(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    char text[WEIR_TRACESTATE_MAX + 2];
    weir_span root;

    memset(text, 'x', sizeof text);
    text[WEIR_TRACESTATE_MAX] = '\0';
    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, &remote, text);
    check(root.tracestate == text);
    weir_span_end(&root);
    text[WEIR_TRACESTATE_MAX] = 'x';
    text[WEIR_TRACESTATE_MAX + 1] = '\0';
    const char *const unfit[] = {text, "", "a=\r\nX: y", "a=\t", "a=\xC3\xA9", "a=\x7F"};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, &remote, unfit[i]);
        check(root.tracestate == NULL);
        weir_span_end(&root);
    }
    /* It belongs to the traceparent that it came with. */
    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, "a=1");
    check(root.tracestate == NULL);
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

/* ---- threads and processes --------------------------------------------------------------- */

#define IDS 20000

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(uint64_t));
}

static void *make_ids(void *arg)
{
    weir_tracer *tracer = open_tracer(0, 16);
    uint64_t *ids = arg;

    for (int i = 0; i < IDS; i++) {
        weir_span root;
        check(weir_trace_current() == NULL);
        weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
        memcpy(&ids[i], root.context.span_id, sizeof ids[i]);
        weir_span_end(&root);
    }
    weir_tracer_close(tracer);
    return NULL;
}

static void no_id_comes_twice_in_any_thread(void)
{
    static uint64_t ids[4][IDS];
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        check(pthread_create(&threads[i], NULL, make_ids, ids[i]) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, (size_t)4 * IDS, sizeof(uint64_t), compare_ids);
    for (size_t i = 1; i < (size_t)4 * IDS; i++)
        check((&ids[0][0])[i] != (&ids[0][0])[i - 1]);
    check(ids[0][0] != 0);
}

static void a_forked_child_makes_other_ids_and_leaves_the_ring_alone(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span root;
    uint64_t ids[2];
    int ends[2];

    weir_span_begin_root(tracer, &root, "before", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_end(&root);
    check(pipe(ends) == 0);
    pid_t child = fork();
    bool is_recorded = weir_span_begin_root(tracer, &root, "after", WEIR_SPAN_SERVER, NULL, NULL);
    memcpy(&ids[0], root.context.span_id, sizeof ids[0]);
    weir_span_end(&root);
    if (child == 0) {
        uint64_t position = 0;
        bool is_right = !is_recorded && weir_tracer_count(tracer) == 0 &&
                        !weir_tracer_read(tracer, &position, &root);
        weir_tracer_wait(tracer, 1, WEIR_DEADLINE_NEVER);
        _exit(write(ends[1], ids, sizeof *ids) == (ssize_t)sizeof *ids && is_right ? 0 : 1);
    }
    int result = 0;
    check(read(ends[0], &ids[1], sizeof ids[1]) == (ssize_t)sizeof ids[1]);
    check(waitpid(child, &result, 0) == child && result == 0);
    check(ids[0] != ids[1]);
    check(is_recorded);
    check_int(weir_tracer_count(tracer), 2);
    close(ends[0]);
    close(ends[1]);
    weir_tracer_close(tracer);
}

int main(void)
{
    run(a_root_without_a_parent_begins_a_trace);
    run(a_root_continues_the_trace_that_called_it);
    run(what_begins_below_is_a_child_and_ends_before);
    run(without_a_current_span_nothing_is_recorded);
    run(without_a_tracer_a_root_is_nothing);
    run(a_past_span_is_never_current_and_ends_when_it_was_begun);
    run(a_root_within_another_trace_is_a_root);
    run(ending_too_early_leaves_the_inner_spans_in_order);
    run(ending_twice_counts_once);
    run(a_call_belongs_to_the_current_trace_under_an_id_of_its_own);
    run(a_start_may_be_set_back_and_is_part_of_the_duration);
    run(the_wall_clock_of_a_span_is_that_of_its_beginning);
    run(an_unsampled_root_is_passed_on_but_nothing_of_it_recorded);
    run(the_callers_flag_decides_whatever_the_ratio_is);
    run(about_the_share_asked_for_is_sampled);
    run(attributes_are_texts_or_numbers_and_can_be_replaced);
    run(a_failure_has_a_type_and_a_message);
    run(attributes_beyond_the_room_are_counted_and_left_out);
    run(long_texts_are_cut_between_characters);
    run(texts_that_find_no_room_are_counted);
    run(what_is_not_utf8_becomes_a_question_mark);
    run(a_tracestate_that_nobody_could_pass_on_is_left_out);
    run(no_id_comes_twice_in_any_thread);
    run(a_forked_child_makes_other_ids_and_leaves_the_ring_alone);
    return check_done();
}
