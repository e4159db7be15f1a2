/* SPDX-License-Identifier: MIT */
/* Workers: bounded, in order, each work run or cancelled exactly once, and a stop that keeps its deadline. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http/workers.h"

/* A rate limiter that holds work until the test opens it. */
static pthread_mutex_t rate_limit_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rate_limit_changed = PTHREAD_COND_INITIALIZER;
static bool rate_limit_is_open;
static unsigned arrived;

static void reset_rate_limit(void)
{
    pthread_mutex_lock(&rate_limit_lock);
    rate_limit_is_open = false;
    arrived = 0;
    pthread_mutex_unlock(&rate_limit_lock);
}

static void end_cool_down(void)
{
    pthread_mutex_lock(&rate_limit_lock);
    rate_limit_is_open = true;
    pthread_cond_broadcast(&rate_limit_changed);
    pthread_mutex_unlock(&rate_limit_lock);
}

static void *end_cool_down_elsewhere(void *arg)
{
    end_cool_down();
    return arg;
}

static void wait_for_arrivals(unsigned count)
{
    pthread_mutex_lock(&rate_limit_lock);
    while (arrived < count)
        pthread_cond_wait(&rate_limit_changed, &rate_limit_lock);
    pthread_mutex_unlock(&rate_limit_lock);
}

struct item {
    struct work work;
    atomic_uint runs;
    atomic_uint cancels;
    unsigned order;
};

static atomic_uint next_order;

static struct item *item_of(struct work *work)
{
    return (struct item *)((char *)work - offsetof(struct item, work));
}

static void run_item(struct work *work)
{
    item_of(work)->order = atomic_fetch_add(&next_order, 1);
    atomic_fetch_add(&item_of(work)->runs, 1);
}

static void run_item_when_released(struct work *work)
{
    pthread_mutex_lock(&rate_limit_lock);
    arrived++;
    pthread_cond_broadcast(&rate_limit_changed);
    while (!rate_limit_is_open)
        pthread_cond_wait(&rate_limit_changed, &rate_limit_lock);
    pthread_mutex_unlock(&rate_limit_lock);
    run_item(work);
}

static void cancel_item(struct work *work)
{
    atomic_fetch_add(&item_of(work)->cancels, 1);
}

static struct workers *start(int threads, int queue_limit)
{
    struct workers *workers = NULL;
    weir_error error;

    check_int(workers_start(threads, queue_limit, &workers, &error), WEIR_OK);
    return workers;
}

static bool submit(struct workers *workers, struct item *item, void (*function)(struct work *))
{
    item->work.run = function;
    item->work.cancel = cancel_item;
    if (!workers_claim(workers))
        return false;
    workers_push(workers, &item->work);
    return true;
}

/* Stopping cancels what waits, so a test that wants everything run waits for that first. */
static void wait_until_idle(struct workers *workers)
{
    weir_time until = weir_deadline_in(10000);
    unsigned running = 1;
    unsigned waiting = 1;

    while (running + waiting > 0 && weir_now() < until) {
        sched_yield();
        workers_count(workers, &running, &waiting);
    }
    check_int(running + waiting, 0);
}

static void every_work_runs_exactly_once(void)
{
    enum { COUNT = 2000 };
    struct workers *workers = start(4, COUNT);
    struct item *items = calloc(COUNT, sizeof(*items));
    unsigned runs = 0;

    for (int i = 0; i < COUNT; i++)
        check(submit(workers, &items[i], run_item));
    wait_until_idle(workers);
    check(workers_stop(workers, WEIR_DEADLINE_NEVER));
    for (int i = 0; i < COUNT; i++)
        runs += atomic_load(&items[i].runs) == 1 && atomic_load(&items[i].cancels) == 0;
    check_int(runs, COUNT);
    free(items);
}

static void one_worker_serves_in_order(void)
{
    struct workers *workers = start(1, 10);
    struct item items[5] = {0};

    reset_rate_limit();
    atomic_store(&next_order, 0);
    check(submit(workers, &items[0], run_item_when_released));
    for (int i = 1; i < 5; i++)
        check(submit(workers, &items[i], run_item));
    end_cool_down();
    wait_until_idle(workers);
    check(workers_stop(workers, WEIR_DEADLINE_NEVER));
    for (unsigned i = 0; i < 5; i++)
        check_int(items[i].order, i);
}

static void the_queue_refuses_at_its_limit_and_not_before(void)
{
    struct workers *workers = start(2, 3);
    struct item items[6] = {0};
    unsigned running;
    unsigned waiting;

    reset_rate_limit();
    for (int i = 0; i < 5; i++)
        check(submit(workers, &items[i], run_item_when_released));
    check(!submit(workers, &items[5], run_item_when_released));
    wait_for_arrivals(2);
    workers_count(workers, &running, &waiting);
    check_int(running, 2);
    check_int(waiting, 3);
    end_cool_down();
    check(workers_stop(workers, weir_deadline_in(10000)));
}

static void without_a_queue_only_free_workers_count(void)
{
    struct workers *workers = start(1, 0);
    struct item items[2] = {0};

    reset_rate_limit();
    check(submit(workers, &items[0], run_item_when_released));
    check(!workers_claim(workers));
    end_cool_down();
    wait_until_idle(workers);
    check(submit(workers, &items[1], run_item));
    check(workers_stop(workers, weir_deadline_in(10000)));
    check_int(atomic_load(&items[0].runs), 1);
}

static void stopping_cancels_what_waits_and_lets_finish_what_runs(void)
{
    struct workers *workers = start(1, 10);
    struct item items[3] = {0};
    pthread_t opener;

    reset_rate_limit();
    for (int i = 0; i < 3; i++)
        check(submit(workers, &items[i], run_item_when_released));
    wait_for_arrivals(1);
    check(!workers_stop(workers, WEIR_DEADLINE_NOW));
    check_int(atomic_load(&items[1].cancels), 1);
    check_int(atomic_load(&items[2].cancels), 1);
    check_int(atomic_load(&items[0].runs), 0);
    check(!workers_claim(workers));
    pthread_create(&opener, NULL, end_cool_down_elsewhere, NULL);
    check(workers_stop(workers, weir_deadline_in(10000)));
    pthread_join(opener, NULL);
    check_int(atomic_load(&items[0].runs), 1);
    check_int(atomic_load(&items[0].cancels), 0);
}

static void a_stop_that_can_not_succeed_keeps_its_deadline(void)
{
    struct workers *workers = start(1, 0);
    struct item item = {0};
    weir_time before;

    reset_rate_limit();
    check(submit(workers, &item, run_item_when_released));
    wait_for_arrivals(1);
    before = weir_now();
    check(!workers_stop(workers, before + 50 * WEIR_MS));
    check(weir_now() - before >= 50 * WEIR_MS);
    check(weir_now() - before < 2 * WEIR_SECOND);
    end_cool_down();
    check(workers_stop(workers, weir_deadline_in(10000)));
}

static void a_claim_made_before_the_stop_is_cancelled_when_pushed_after_it(void)
{
    struct workers *workers = start(2, 0);
    struct item busy = {0};
    struct item late = {.work = {.run = run_item, .cancel = cancel_item}};

    reset_rate_limit();
    check(submit(workers, &busy, run_item_when_released));
    wait_for_arrivals(1);
    check(workers_claim(workers));
    check(!workers_stop(workers, WEIR_DEADLINE_NOW));
    workers_push(workers, &late.work);
    check_int(atomic_load(&late.cancels), 1);
    check_int(atomic_load(&late.runs), 0);
    end_cool_down();
    check(workers_stop(workers, weir_deadline_in(10000)));
}

int main(void)
{
    run(every_work_runs_exactly_once);
    run(one_worker_serves_in_order);
    run(the_queue_refuses_at_its_limit_and_not_before);
    run(without_a_queue_only_free_workers_count);
    run(stopping_cancels_what_waits_and_lets_finish_what_runs);
    run(a_stop_that_can_not_succeed_keeps_its_deadline);
    run(a_claim_made_before_the_stop_is_cancelled_when_pushed_after_it);
    return check_done();
}
