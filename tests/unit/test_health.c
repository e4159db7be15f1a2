/* SPDX-License-Identifier: MIT */
/* The health checks: what the report says, and that neither asking nor stopping waits for a check. */
#include "figures/health.h"

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "log/log.h"

/* A check that answers as told, or waits until it is let go. */
struct fake {
    _Atomic int status;
    _Atomic bool is_stuck;
    _Atomic unsigned calls;
};

static weir_status fake_check(void *arg, weir_time deadline, weir_error *reterr)
{
    struct fake *fake = arg;

    (void)deadline;
    atomic_fetch_add(&fake->calls, 1);
    while (atomic_load(&fake->is_stuck))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    weir_status status = (weir_status)atomic_load(&fake->status);
    return status == WEIR_OK ? status : weir_error_set(reterr, status, "it is down");
}

/* Poll the report until it reads so, for at most five seconds. */
static bool comes_to_read(struct health *health, const char *expected, bool expected_ready)
{
    weir_time deadline = weir_deadline_in(5000);

    while (weir_now() < deadline) {
        bool is_ready;
        char *report = health_report(health, &is_ready);
        bool is_it = strcmp(report, expected) == 0 && is_ready == expected_ready;
        free(report);
        if (is_it)
            return true;
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    return false;
}

static struct health *start(struct fake *fakes)
{
    const struct health_component components[] = {{"one", fake_check, &fakes[0], NULL},
                                                  {"two", fake_check, &fakes[1], NULL}};
    struct health *health = NULL;

    check(health_start(components, 2, &health, NULL) == WEIR_OK);
    return health;
}

static void the_report_has_a_line_for_each_component_and_follows_its_state(void)
{
    struct fake fakes[2] = {{0}};
    struct health *health = start(fakes);

    check(comes_to_read(health, "server: ok\none: ok\ntwo: ok\n", true));
    atomic_store(&fakes[1].status, WEIR_CONNECT);
    check(comes_to_read(health, "server: ok\none: ok\ntwo: it is down\n", false));
    atomic_store(&fakes[1].status, WEIR_OK);
    check(comes_to_read(health, "server: ok\none: ok\ntwo: ok\n", true));
    health_set_draining(health);
    check(comes_to_read(health, "server: draining\none: ok\ntwo: ok\n", false));
    check(health_stop(health, weir_deadline_in(5000)) == WEIR_OK);
}

static void before_the_first_check_nothing_is_ready_and_asking_does_not_wait(void)
{
    struct fake fakes[2] = {{.is_stuck = true}};
    struct health *health = start(fakes);

    weir_time before = weir_now();
    check(comes_to_read(health, "server: ok\none: not checked yet\ntwo: not checked yet\n", false));
    check(weir_now() - before < WEIR_SECOND);
    atomic_store(&fakes[0].is_stuck, false);
    check(comes_to_read(health, "server: ok\none: ok\ntwo: ok\n", true));
    check(health_stop(health, weir_deadline_in(5000)) == WEIR_OK);
}

static void stopping_does_not_wait_for_a_stuck_check_beyond_its_deadline(void)
{
    /* Left running: static, since the check goes on using it. */
    static struct fake fakes[2] = {{.is_stuck = true}};
    struct health *health = start(fakes);

    weir_time before = weir_now();
    check(health_stop(health, weir_deadline_in(50)) == WEIR_TIMEOUT);
    check(weir_now() - before < WEIR_SECOND);
    /* The check comes back; once it does, the thread can be joined after all. */
    atomic_store(&fakes[0].is_stuck, false);
    check(health_stop(health, weir_deadline_in(5000)) == WEIR_OK);
}

static void stopping_interrupts_the_pause_between_checks(void)
{
    struct fake fakes[2] = {{0}};
    struct health *health = start(fakes);

    check(comes_to_read(health, "server: ok\none: ok\ntwo: ok\n", true));
    weir_time before = weir_now();
    check(health_stop(health, weir_deadline_in(5000)) == WEIR_OK);
    check(weir_now() - before < WEIR_SECOND / 2);
    check(health_stop(NULL, 0) == WEIR_OK);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    run(the_report_has_a_line_for_each_component_and_follows_its_state);
    run(before_the_first_check_nothing_is_ready_and_asking_does_not_wait);
    run(stopping_does_not_wait_for_a_stuck_check_beyond_its_deadline);
    run(stopping_interrupts_the_pause_between_checks);
    return check_done();
}
