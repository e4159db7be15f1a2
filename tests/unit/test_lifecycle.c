/* SPDX-License-Identifier: MIT */
/* The lifecycle: order, failure half-way, and what a stop does in spite of failures. */
#include <weir/lifecycle.h>

#include "check.h"

#include <pthread.h>
#include <stdlib.h>

/* What happened, in order, one word per step. */
static char story[2048];

struct fake {
    const char *name;
    weir_status start_status, drain_status, stop_status;
    weir_time seen_deadline;
};

static void note(const char *verb, const char *name)
{
    size_t used = strlen(story);

    snprintf(story + used, sizeof story - used, "%s %s;", verb, name);
}

static weir_status answer(struct fake *fake, const char *verb, weir_status status,
                          weir_time deadline, weir_error *reterr)
{
    note(verb, fake->name);
    fake->seen_deadline = deadline;
    if (status == WEIR_OK)
        return WEIR_OK;
    weir_error_set(reterr, status, "%s broke", fake->name);
    reterr->native = 42;
    memcpy(reterr->sqlstate, "57P01", 6);
    return status;
}

static weir_status fake_start(void *arg, weir_time deadline, weir_error *reterr)
{
    struct fake *fake = arg;
    return answer(fake, "start", fake->start_status, deadline, reterr);
}

static weir_status fake_drain(void *arg, weir_time deadline, weir_error *reterr)
{
    struct fake *fake = arg;
    return answer(fake, "drain", fake->drain_status, deadline, reterr);
}

static weir_status fake_stop(void *arg, weir_time deadline, weir_error *reterr)
{
    struct fake *fake = arg;
    return answer(fake, "stop", fake->stop_status, deadline, reterr);
}

static void observe(void *arg, const char *part, const char *step, const weir_error *error)
{
    size_t *errors = arg;

    note(step, part);
    *errors += error != NULL;
}

static weir_lifecycle *open_with(struct fake *fakes, size_t count,
                                 weir_lifecycle_observer *observer, void *arg)
{
    weir_lifecycle *lifecycle = NULL;

    story[0] = '\0';
    check(weir_lifecycle_open(observer, arg, &lifecycle, NULL) == WEIR_OK);
    for (size_t i = 0; i < count; i++) {
        weir_part part = {fakes[i].name, fake_start, fake_drain, fake_stop, &fakes[i]};
        check(weir_lifecycle_add(lifecycle, &part, NULL) == WEIR_OK);
    }
    return lifecycle;
}

static void parts_start_in_order_and_drain_then_stop_in_reverse(void)
{
    struct fake fakes[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    weir_lifecycle *lifecycle = open_with(fakes, 3, NULL, NULL);

    check(weir_lifecycle_phase(lifecycle) == WEIR_PHASE_NEW);
    check(weir_lifecycle_start(lifecycle, 77, NULL) == WEIR_OK);
    check(weir_lifecycle_phase(lifecycle) == WEIR_PHASE_RUNNING);
    check(fakes[1].seen_deadline == 77);
    check(weir_lifecycle_stop(lifecycle, 99, NULL) == WEIR_OK);
    check(weir_lifecycle_phase(lifecycle) == WEIR_PHASE_STOPPED);
    check(fakes[1].seen_deadline == 99);
    check_text(story, "start a;start b;start c;drain c;drain b;drain a;stop c;stop b;stop a;");
    weir_lifecycle_close(lifecycle);
}

static void a_failed_start_stops_what_was_started_and_names_the_part(void)
{
    struct fake fakes[] = {
        {.name = "a"}, {.name = "b", .start_status = WEIR_SYSTEM}, {.name = "c"}};
    weir_lifecycle *lifecycle = open_with(fakes, 3, NULL, NULL);
    weir_error error;

    check(weir_lifecycle_start(lifecycle, 1, &error) == WEIR_SYSTEM);
    check_text(error.text, "start b: b broke");
    check(error.status == WEIR_SYSTEM);
    check_int(error.native, 42);
    check_text(error.sqlstate, "57P01");
    check_text(story, "start a;start b;stop a;");
    check(weir_lifecycle_phase(lifecycle) == WEIR_PHASE_STOPPED);

    check(weir_lifecycle_start(lifecycle, 1, &error) == WEIR_ALREADY);
    check(weir_lifecycle_stop(lifecycle, 1, &error) == WEIR_OK);
    check_text(story, "start a;start b;stop a;");
    weir_lifecycle_close(lifecycle);
}

static void a_part_that_cannot_drain_does_not_keep_the_others_from_stopping(void)
{
    struct fake fakes[] = {{.name = "a", .stop_status = WEIR_SYSTEM},
                           {.name = "b", .drain_status = WEIR_TIMEOUT, .stop_status = WEIR_CLOSED},
                           {.name = "c"}};
    weir_lifecycle *lifecycle = open_with(fakes, 3, NULL, NULL);
    weir_error error;

    check(weir_lifecycle_start(lifecycle, 1, NULL) == WEIR_OK);
    check(weir_lifecycle_stop(lifecycle, 1, &error) == WEIR_TIMEOUT);
    check_text(error.text, "drain b: b broke");
    check_text(story, "start a;start b;start c;drain c;drain b;drain a;stop c;stop b;stop a;");
    check(weir_lifecycle_stop(lifecycle, 1, &error) == WEIR_OK);
    weir_lifecycle_close(lifecycle);
}

static void the_first_failed_stop_is_the_one_returned(void)
{
    struct fake fakes[] = {{.name = "a", .stop_status = WEIR_SYSTEM},
                           {.name = "b", .stop_status = WEIR_CLOSED}};
    weir_lifecycle *lifecycle = open_with(fakes, 2, NULL, NULL);
    weir_error error;

    check(weir_lifecycle_start(lifecycle, 1, NULL) == WEIR_OK);
    check(weir_lifecycle_stop(lifecycle, 1, &error) == WEIR_CLOSED);
    check_text(error.text, "stop b: b broke");
    weir_lifecycle_close(lifecycle);
}

static void the_observer_hears_each_step_and_the_failures(void)
{
    struct fake fakes[] = {{.name = "a", .drain_status = WEIR_TIMEOUT}};
    size_t errors = 0;
    weir_lifecycle *lifecycle = open_with(fakes, 1, observe, &errors);

    check(weir_lifecycle_start(lifecycle, 1, NULL) == WEIR_OK);
    check_int(errors, 0);
    check(weir_lifecycle_stop(lifecycle, 1, NULL) == WEIR_TIMEOUT);
    check_int(errors, 1);
    check_text(story, "starting a;start a;started a;draining a;drain a;drained a;stopping a;"
                      "stop a;stopped a;");
    weir_lifecycle_close(lifecycle);
}

static weir_status fail_silently(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline, (void)reterr;
    return WEIR_TIMEOUT;
}

static void a_part_that_says_nothing_still_gets_a_sentence(void)
{
    weir_lifecycle *lifecycle = open_with(NULL, 0, NULL, NULL);
    weir_part part = {.name = "mute", .start = fail_silently};
    weir_error error;

    check(weir_lifecycle_add(lifecycle, &part, NULL) == WEIR_OK);
    check(weir_lifecycle_start(lifecycle, 1, &error) == WEIR_TIMEOUT);
    check_text(error.text, "start mute: the deadline passed");
    weir_lifecycle_close(lifecycle);
}

static void functions_may_be_left_out(void)
{
    weir_lifecycle *lifecycle = open_with(NULL, 0, NULL, NULL);
    weir_part part = {.name = "bare"};

    check(weir_lifecycle_add(lifecycle, &part, NULL) == WEIR_OK);
    check(weir_lifecycle_start(lifecycle, WEIR_DEADLINE_NEVER, NULL) == WEIR_OK);
    check(weir_lifecycle_stop(lifecycle, WEIR_DEADLINE_NEVER, NULL) == WEIR_OK);
    weir_lifecycle_close(lifecycle);
}

static void parts_are_refused_without_a_name_too_late_or_beyond_thirty_two(void)
{
    weir_lifecycle *lifecycle = open_with(NULL, 0, NULL, NULL);
    weir_part part = {0};
    weir_error error;

    check(weir_lifecycle_add(lifecycle, &part, &error) == WEIR_INVALID);
    part.name = "";
    check(weir_lifecycle_add(lifecycle, &part, &error) == WEIR_INVALID);
    part.name = "one";
    for (int i = 0; i < 32; i++)
        check(weir_lifecycle_add(lifecycle, &part, &error) == WEIR_OK);
    check(weir_lifecycle_add(lifecycle, &part, &error) == WEIR_FULL);
    check_contains(error.text, "one");
    check(weir_lifecycle_start(lifecycle, 1, NULL) == WEIR_OK);
    check(weir_lifecycle_add(lifecycle, &part, &error) == WEIR_INVALID);
    check_contains(error.text, "begun");
    check(weir_lifecycle_stop(lifecycle, 1, NULL) == WEIR_OK);
    weir_lifecycle_close(lifecycle);
    weir_lifecycle_close(NULL);
}

static void stopping_before_the_start_does_nothing(void)
{
    struct fake fakes[] = {{.name = "a"}};
    weir_lifecycle *lifecycle = open_with(fakes, 1, NULL, NULL);

    check(weir_lifecycle_stop(lifecycle, 1, NULL) == WEIR_OK);
    check(weir_lifecycle_phase(lifecycle) == WEIR_PHASE_NEW);
    check_text(story, "");
    weir_lifecycle_close(lifecycle);
}

static void *stop_it(void *arg)
{
    weir_status status = weir_lifecycle_stop(arg, 1, NULL);
    check(status == WEIR_OK);
    return NULL;
}

static void two_threads_that_stop_at_once_stop_each_part_once(void)
{
    for (int round = 0; round < 200; round++) {
        struct fake fakes[] = {{.name = "a"}};
        weir_lifecycle *lifecycle = open_with(fakes, 1, NULL, NULL);
        pthread_t threads[2];

        check(weir_lifecycle_start(lifecycle, 1, NULL) == WEIR_OK);
        for (int i = 0; i < 2; i++)
            check(pthread_create(&threads[i], NULL, stop_it, lifecycle) == 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        check_text(story, "start a;drain a;stop a;");
        weir_lifecycle_close(lifecycle);
    }
}

int main(void)
{
    run(parts_start_in_order_and_drain_then_stop_in_reverse);
    run(a_failed_start_stops_what_was_started_and_names_the_part);
    run(a_part_that_cannot_drain_does_not_keep_the_others_from_stopping);
    run(the_first_failed_stop_is_the_one_returned);
    run(the_observer_hears_each_step_and_the_failures);
    run(a_part_that_says_nothing_still_gets_a_sentence);
    run(functions_may_be_left_out);
    run(parts_are_refused_without_a_name_too_late_or_beyond_thirty_two);
    run(stopping_before_the_start_does_nothing);
    run(two_threads_that_stop_at_once_stop_each_part_once);
    return check_done();
}
