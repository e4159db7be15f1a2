/* SPDX-License-Identifier: MIT */
/* Threads in the background: how they sleep, are woken and are stopped, also when the time is over already. */
#include "threads/background.h"

#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

struct worker {
    _Atomic unsigned rounds;
    _Atomic bool is_stuck;
    _Atomic bool blocks_signals;
};

static void nap(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void work(struct background *background, void *arg)
{
    struct worker *worker = arg;
    sigset_t mask;

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    atomic_store(&worker->blocks_signals,
                 sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP));
    do {
        atomic_fetch_add(&worker->rounds, 1);
        while (atomic_load(&worker->is_stuck))
            nap();
    } while (background_sleep(background, weir_now() + 3600 * WEIR_SECOND));
}

static void work_often(struct background *background, void *arg)
{
    struct worker *worker = arg;

    while (background_sleep(background, weir_now() + 2 * WEIR_MS))
        atomic_fetch_add(&worker->rounds, 1);
}

static void end_at_once(struct background *background, void *arg)
{
    (void)background, (void)arg;
}

static struct background *start(background_work *work_of, struct worker *worker)
{
    struct background *background = NULL;

    check(background_start("test", work_of, worker, &background, NULL) == WEIR_OK);
    return background;
}

static void await_rounds(struct worker *worker, unsigned count)
{
    weir_time limit = weir_deadline_in(10000);

    while (atomic_load(&worker->rounds) < count && weir_now() < limit)
        nap();
    check(atomic_load(&worker->rounds) >= count);
}

static void one_that_sleeps_is_stopped_however_long_the_deadline_is_over(void)
{
    const weir_time deadlines[] = {WEIR_DEADLINE_NOW, 1, weir_now() - 1, WEIR_DEADLINE_NEVER};

    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        struct worker worker = {0};
        struct background *background = start(work, &worker);

        await_rounds(&worker, 1);
        weir_time before = weir_now();
        check(background_stop(background, deadlines[i]) == WEIR_OK);
        check(weir_now() - before < WEIR_SECOND);
        check(atomic_load(&worker.rounds) == 1);
    }
    check(background_stop(NULL, WEIR_DEADLINE_NOW) == WEIR_OK);
}

static void one_that_works_is_waited_for_until_the_deadline_and_a_moment_at_least(void)
{
    struct worker worker = {.is_stuck = true};
    struct background *background = start(work, &worker);

    await_rounds(&worker, 1);
    weir_time before = weir_now();
    check(background_stop(background, WEIR_DEADLINE_NOW) == WEIR_TIMEOUT);
    check(weir_now() - before >= BACKGROUND_GRACE);
    before = weir_now();
    check(background_stop(background, before + 3 * BACKGROUND_GRACE) == WEIR_TIMEOUT);
    check(weir_now() - before >= 3 * BACKGROUND_GRACE);
    atomic_store(&worker.is_stuck, false);
    check(background_stop(background, weir_deadline_in(10000)) == WEIR_OK);
    check(atomic_load(&worker.rounds) == 1);
}

static void sleeping_ends_at_its_instant(void)
{
    struct worker worker = {0};
    struct background *background = start(work_often, &worker);

    await_rounds(&worker, 3);
    check(background_stop(background, WEIR_DEADLINE_NEVER) == WEIR_OK);
}

static void one_that_has_ended_by_itself_is_stopped_all_the_same(void)
{
    check(background_stop(start(end_at_once, NULL), WEIR_DEADLINE_NEVER) == WEIR_OK);
}

static void signals_are_left_to_the_program(void)
{
    struct worker worker = {0};
    struct background *background = start(work, &worker);

    await_rounds(&worker, 1);
    check(atomic_load(&worker.blocks_signals));
    check(background_stop(background, WEIR_DEADLINE_NEVER) == WEIR_OK);
}

int main(void)
{
    run(one_that_sleeps_is_stopped_however_long_the_deadline_is_over);
    run(one_that_works_is_waited_for_until_the_deadline_and_a_moment_at_least);
    run(sleeping_ends_at_its_instant);
    run(one_that_has_ended_by_itself_is_stopped_all_the_same);
    run(signals_are_left_to_the_program);
    return check_done();
}
