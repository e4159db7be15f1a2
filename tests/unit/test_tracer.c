/* SPDX-License-Identifier: MIT */
/* The tracer's ring: what readers find, what they miss, and how they wait. */
#include "alloc_fail.h"
#include "unit/trace_steps.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static void finish(weir_tracer *tracer, int64_t number)
{
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_set_number(&root, "number", number);
    weir_span_end(&root);
}

static void options_out_of_range_are_refused_by_name(void)
{
    static const struct {
        weir_tracer_options options;
        const char *text;
    } cases[] = {{{-0.1, 2048}, "sample_ratio -0.1: must be 0 to 1"},
                 {{1.5, 2048}, "sample_ratio 1.5: must be 0 to 1"},
                 {{__builtin_nan(""), 2048}, "must be 0 to 1"},
                 {{1, 15}, "capacity 15: must be 16 to 65536"},
                 {{1, 65537}, "capacity 65537: must be 16 to 65536"}};
    weir_tracer *tracer = NULL;
    weir_error error;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_int(weir_tracer_open(&cases[i].options, &tracer, &error), WEIR_INVALID);
        check_contains(error.text, cases[i].text);
    }
    check(tracer == NULL);
    check_int(weir_tracer_open(NULL, &tracer, NULL), WEIR_OK);
    weir_tracer_close(tracer);
    weir_tracer_close(NULL);
}

static void open_and_record(void)
{
    weir_tracer *tracer = NULL;
    weir_status status = weir_tracer_open(NULL, &tracer, NULL);

    check(status == WEIR_OK || status == WEIR_NO_MEMORY);
    if (status != WEIR_OK)
        return;
    finish(tracer, 1);
    weir_tracer_close(tracer);
}

static void an_allocation_that_fails_leaves_nothing_behind_and_spans_need_none(void)
{
    check_int(alloc_fail_each(open_and_record), 2);
}

static void a_reader_gets_every_span_once_and_in_order(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    uint64_t position = 0;
    weir_span span;

    check(!weir_tracer_read(tracer, &position, &span));
    check_int(position, 0);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 16; i++)
            finish(tracer, round * 16 + i);
        for (int i = 0; i < 16; i++) {
            check(weir_tracer_read(tracer, &position, &span));
            check_int(number_of(&span, "number"), round * 16 + i);
            check_int(position, round * 16 + i + 1);
        }
        check(!weir_tracer_read(tracer, &position, &span));
    }
    weir_tracer_close(tracer);
}

static void a_slow_reader_goes_on_with_the_oldest_and_sees_how_many_it_missed(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    uint64_t position = 0;
    weir_span span;

    for (int i = 0; i < 40; i++)
        finish(tracer, i);
    check_int(weir_tracer_count(tracer), 40);
    check(weir_tracer_read(tracer, &position, &span));
    check_int(number_of(&span, "number"), 24);
    check_int(position, 25);
    for (int i = 25; i < 40; i++)
        check(weir_tracer_read(tracer, &position, &span));
    check_int(number_of(&span, "number"), 39);
    check(!weir_tracer_read(tracer, &position, &span));
    weir_tracer_close(tracer);
}

static void two_readers_do_not_take_from_each_other(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    uint64_t first = 0;
    uint64_t second = 0;
    weir_span span;

    finish(tracer, 7);
    check(weir_tracer_read(tracer, &first, &span));
    check(weir_tracer_read(tracer, &second, &span));
    check_int(number_of(&span, "number"), 7);
    check(!weir_tracer_read(tracer, &first, &span));
    weir_tracer_close(tracer);
}

static void a_position_beyond_the_newest_waits_for_it(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    uint64_t position = 2;
    weir_span span;

    finish(tracer, 0);
    check(!weir_tracer_read(tracer, &position, &span));
    check_int(position, 2);
    finish(tracer, 1);
    finish(tracer, 2);
    check(weir_tracer_read(tracer, &position, &span));
    check_int(number_of(&span, "number"), 2);
    weir_tracer_close(tracer);
}

/* ---- waiting ----------------------------------------------------------------------------- */

static void a_wait_ends_at_its_instant(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_time until = weir_now() + 20 * WEIR_MS;

    weir_tracer_wait(tracer, 1, until);
    check(weir_now() >= until);
    weir_tracer_wait(tracer, 1, WEIR_DEADLINE_NOW);
    weir_tracer_close(tracer);
}

static void a_wait_for_what_is_there_does_not_sleep(void)
{
    weir_tracer *tracer = open_tracer(1, 16);

    finish(tracer, 0);
    weir_tracer_wait(tracer, 1, WEIR_DEADLINE_NEVER);
    weir_tracer_wait(tracer, 0, WEIR_DEADLINE_NEVER);
    weir_tracer_close(tracer);
}

static void a_wake_before_the_wait_is_not_lost(void)
{
    weir_tracer *tracer = open_tracer(1, 16);

    weir_tracer_wake(tracer);
    weir_tracer_wait(tracer, 1, WEIR_DEADLINE_NEVER);
    weir_time until = weir_now() + 5 * WEIR_MS;
    weir_tracer_wait(tracer, 1, until); /* it counts once */
    check(weir_now() >= until);
    weir_tracer_close(tracer);
}

struct sleeper {
    weir_tracer *tracer;
    uint64_t count;
    _Atomic bool is_awake;
};

static void *sleep_on(void *arg)
{
    struct sleeper *sleeper = arg;

    weir_tracer_wait(sleeper->tracer, sleeper->count, WEIR_DEADLINE_NEVER);
    atomic_store(&sleeper->is_awake, true);
    return NULL;
}

static void the_last_span_that_is_waited_for_wakes_the_reader(void)
{
    struct sleeper sleeper = {.tracer = open_tracer(1, 16), .count = 20};
    pthread_t thread;

    check(pthread_create(&thread, NULL, sleep_on, &sleeper) == 0);
    for (int i = 0; i < 19; i++)
        finish(sleeper.tracer, i);
    check(!atomic_load(&sleeper.is_awake));
    finish(sleeper.tracer, 19);
    pthread_join(thread, NULL);
    weir_tracer_close(sleeper.tracer);
}

static void a_wake_ends_the_wait(void)
{
    struct sleeper sleeper = {.tracer = open_tracer(1, 16), .count = 20};
    pthread_t thread;

    check(pthread_create(&thread, NULL, sleep_on, &sleeper) == 0);
    weir_tracer_wake(sleeper.tracer);
    pthread_join(thread, NULL);
    weir_tracer_close(sleeper.tracer);
}

/* ---- threads ----------------------------------------------------------------------------- */

#define WRITERS 4
#define SPANS_EACH 5000

static void *write_spans(void *arg)
{
    for (int i = 0; i < SPANS_EACH; i++) {
        weir_span root;
        weir_span child;

        weir_span_begin_root(arg, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
        weir_span_set_text(&root, "text", "the same text in every span");
        weir_span_begin(&child, "child", WEIR_SPAN_INTERNAL);
        weir_span_end(&child);
        weir_span_set_number(&root, "number", i);
        weir_span_end(&root);
    }
    return NULL;
}

/* One reader that gets what it can while four threads write. */
static void what_is_read_and_what_is_missed_add_up_to_what_was_written(void)
{
    weir_tracer *tracer = open_tracer(1, 64);
    pthread_t threads[WRITERS];
    uint64_t total = (uint64_t)2 * WRITERS * SPANS_EACH;
    uint64_t position = 0;
    uint64_t read = 0;
    uint64_t missed = 0;
    weir_span span;

    for (int i = 0; i < WRITERS; i++)
        check(pthread_create(&threads[i], NULL, write_spans, tracer) == 0);
    while (position < total) {
        uint64_t before = position;

        weir_tracer_wait(tracer, position + 1, WEIR_DEADLINE_NEVER);
        if (!weir_tracer_read(tracer, &position, &span))
            continue;
        read++;
        missed += position - before - 1;
        bool is_child = strcmp(span.name, "child") == 0;
        check(is_child || strcmp(text_of(&span, "text"), "the same text in every span") == 0);
        check_int(span.attribute_count, is_child ? 0 : 2);
        check(is_zero_id(span.parent_id, 8) == !is_child);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    check_int(read + missed, total);
    check(read > 0);
    weir_tracer_close(tracer);
}

int main(void)
{
    run(options_out_of_range_are_refused_by_name);
    run(an_allocation_that_fails_leaves_nothing_behind_and_spans_need_none);
    run(a_reader_gets_every_span_once_and_in_order);
    run(a_slow_reader_goes_on_with_the_oldest_and_sees_how_many_it_missed);
    run(two_readers_do_not_take_from_each_other);
    run(a_position_beyond_the_newest_waits_for_it);
    run(a_wait_ends_at_its_instant);
    run(a_wait_for_what_is_there_does_not_sleep);
    run(a_wake_before_the_wait_is_not_lost);
    run(the_last_span_that_is_waited_for_wakes_the_reader);
    run(a_wake_ends_the_wait);
    run(what_is_read_and_what_is_missed_add_up_to_what_was_written);
    return check_done();
}
