/* SPDX-License-Identifier: MIT */
/* The pool on the machine's clock: its hot path, the coarse clock it reads, and no wall clock anywhere. */
#include "unit/steps.h"

#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* ---- the wall clock ---------------------------------------------------------------------- */

/* Linked with --wrap: what weir's objects ask of the clocks comes here. */
static _Atomic int wall_clock_reads;

int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
time_t __wrap_time(time_t *ret_time);
int __wrap_gettimeofday(struct timeval *ret_time, void *zone);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    wall_clock_reads += clock != CLOCK_MONOTONIC;
    return __real_clock_gettime(clock, ret_time);
}

time_t __wrap_time(time_t *ret_time)
{
    wall_clock_reads++;
    if (ret_time != NULL)
        *ret_time = 0;
    return 0;
}

int __wrap_gettimeofday(struct timeval *ret_time, void *zone)
{
    (void)zone;
    wall_clock_reads++;
    *ret_time = (struct timeval){0};
    return 0;
}

/* ---- pools on the machine's clock -------------------------------------------------------- */

static weir_pool *open_on_machine_clock(const weir_driver *driver, weir_pool_options *o)
{
    weir_pool *pool = NULL;

    fake_init(&f);
    o->clock = NULL;
    check_int(weir_pool_open(o, driver, &f, &pool, &e), WEIR_OK);
    return pool;
}

/* A driver that neither looks nor resets: what the hot path is for. */
static weir_pool *open_plain(int pool_size, int use_time_every)
{
    static const weir_driver plain = {
        .connect = fake_connect, .close = fake_close, .ping = fake_ping};
    fake_init(&f);
    weir_pool_options o = fake_options(&f, pool_size, 0);

    o.use_time_every = use_time_every;
    weir_pool *pool = open_on_machine_clock(&plain, &o);
    check(pool->is_plain);
    return pool;
}

static void the_hot_path_lends_the_same_slot_and_counts_every_loan(void)
{
    weir_pool *pool = open_plain(3, 64);
    weir_pool_stats s;
    struct weir_slot *slot = NULL;

    for (int i = 0; i < 6400; i++) {
        weir_lease c = {0};
        check_int(weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &c, &e), WEIR_OK);
        check(slot == NULL || c.slot == slot);
        slot = c.slot;
        check_int(weir_pool_release(&c), WEIR_OK);
        check(c.pool == NULL && c.slot == NULL && c.connection == NULL);
    }
    weir_pool_get_stats(pool, &s);
    check_int(s.checkouts, 6400);
    check_int(s.connects, 1);
    check_int(s.resets, 0);
    check_int(s.use_time.count, 100);
    check_int(s.idle, 1);
    check_int(pool_check_live(pool, &f), 0);
    weir_pool_close(pool);
}

/* Let a connection look as if it had rested for so long. */
static void let_rest(struct weir_slot *slot, weir_time duration)
{
    atomic_fetch_sub(&slot->last_used, duration);
    atomic_fetch_sub(&slot->fresh_until, duration);
}

/* Warm the thread's hint, so that what follows takes the hot path. */
static weir_lease warm_lease(weir_pool *pool)
{
    for (int i = 0; i < 3; i++) {
        weir_lease c = take(pool);
        give(pool, &c);
    }
    return take(pool);
}

static void the_hot_path_refuses_stale_leases_and_leaves_the_slot_alone(void)
{
    weir_pool *pool = open_plain(1, 64);
    weir_lease c = warm_lease(pool);
    weir_lease stale = c;
    weir_lease copy = stale;

    give(pool, &c);
    let_rest(stale.slot, WEIR_SECOND);
    check_int(weir_pool_release(&copy), WEIR_MISUSE);
    check_int(pool_check_live(pool, &f), 0);
    c = take(pool);
    /* What was returned twice does not count as used in between. */
    check_int(f.behaviour[FAKE_PING].calls, 1);
    copy = stale;
    let_rest(stale.slot, WEIR_SECOND);
    weir_time fresh_until = atomic_load(&stale.slot->fresh_until);
    check_int(weir_pool_release(&copy), WEIR_MISUSE);
    check_int(atomic_load(&stale.slot->fresh_until), fresh_until);
    check_int(weir_pool_discard(&copy, NULL), WEIR_MISUSE);
    give(pool, &c);
    weir_pool_close(pool);
}

static void the_hot_path_sees_what_disqualifies_a_connection(void)
{
    weir_pool *pool = open_plain(1, 64);
    weir_lease c = warm_lease(pool);

    check_int(weir_pool_soft_invalidate(&c), WEIR_OK);
    give(pool, &c);
    c = take(pool);
    check_int(fake_number(&c), 2);
    give(pool, &c);
    c = warm_lease(pool);
    weir_pool_evict_all(pool);
    give(pool, &c);
    check_int(f.live, 0);
    c = take(pool);
    give(pool, &c);
    let_rest(&pool->slots[0], WEIR_SECOND);
    f.behaviour[FAKE_PING].fail_next = 1;
    c = take(pool);
    check_int(fake_number(&c), 4);
    give(pool, &c);
    atomic_store(&pool->slots[0].expires_at, weir_now() - WEIR_SECOND);
    let_rest(&pool->slots[0], 3600 * WEIR_SECOND);
    c = take(pool);
    check_int(fake_number(&c), 5);
    give(pool, &c);
    weir_pool_close(pool);
}

static void a_listener_that_comes_late_is_heard_on_the_hot_path_too(void)
{
    weir_pool *pool = open_plain(1, 64);
    weir_lease c = warm_lease(pool);

    give(pool, &c);
    fake_listen(pool, &heard);
    c = take(pool);
    check_text(fake_heard(&heard), "checkout");
    give(pool, &c);
    check_text(fake_heard(&heard), "reset checkin");
    weir_pool_close(pool);
}

/* Of those who never expire and are never pinged, the checkout need not know the time; but whoever
 * keeps one for long is told from one who has just come. */
static void the_age_of_a_holder_is_known_even_when_the_coarse_clock_is_asleep(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_pre_ping = false;
    o.pool_recycle_s = -1;
    o.use_time_every = 64;
    static const weir_driver bare = {.connect = fake_connect, .close = fake_close};
    weir_pool *pool = open_on_machine_clock(&bare, &o);
    weir_lease c = warm_lease(pool);
    weir_pool_holder h;
    weir_time limit = weir_now() + 20 * WEIR_SECOND;

    give(pool, &c);
    while (atomic_load(&weir__coarse_word) != WEIR__COARSE_UNKNOWN && weir_now() < limit)
        usleep(1000);
    c = take(pool);
    usleep(5000);
    check_int(weir_pool_get_holders(pool, &h, 1), 1);
    check(h.age >= 5 * WEIR_MS);
    check(h.age < 20 * WEIR_SECOND);
    give(pool, &c);
    weir_pool_close(pool);
}

static void the_hot_path_ends_when_the_pool_is_disposed(void)
{
    weir_pool *pool = open_plain(1, 64);
    weir_lease c = warm_lease(pool);

    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, NULL), WEIR_TIMEOUT);
    give(pool, &c);
    check_int(f.live, 0);
    refused(pool, WEIR_CLOSED);
    weir_pool_close(pool);
}

/* A thread remembers few pools; more of them, and new ones where old ones were, are not mixed up. */
static void pools_that_share_a_place_in_the_memory_of_a_thread_are_not_mixed_up(void)
{
    weir_pool *pools[9];

    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 9; i++)
            pools[i] = open_plain(2, 64);
        for (int i = 0; i < 200; i++) {
            weir_pool *pool = pools[i * 7 % 9];
            weir_lease c = {0};
            check_int(weir_pool_acquire(pool, WEIR_DEADLINE_NOW, &c, &e), WEIR_OK);
            check(c.slot >= pool->slots && c.slot < pool->slots + pool->slot_count);
            check_int(weir_pool_release(&c), WEIR_OK);
        }
        for (int i = 0; i < 9; i++) {
            check_int(pool_check(pools[i]), 0);
            weir_pool_close(pools[i]);
        }
    }
}

static void a_timeout_on_the_machines_clock_is_not_early_and_hardly_late(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    weir_pool *pool = open_on_machine_clock(&fake_driver, &o);
    weir_lease c = take(pool);
    weir_lease none = {0};
    weir_time before = weir_now();

    check_int(weir_pool_acquire(pool, before + 30 * WEIR_MS, &none, &e), WEIR_TIMEOUT);
    weir_time took = weir_now() - before;
    check(took >= 30 * WEIR_MS);
    check(took < 2 * WEIR_SECOND);
    check_int(weir_pool_dispose(pool, weir_now() + 30 * WEIR_MS, &e), WEIR_TIMEOUT);
    give(pool, &c);
    weir_pool_close(pool);
}

/* HikariCP#354, #559, #746: a step of the wall clock can change nothing where it is never read. */
static void no_part_of_the_pool_reads_the_wall_clock(void)
{
    wall_clock_reads = 0;
    the_hot_path_lends_the_same_slot_and_counts_every_loan();
    the_hot_path_sees_what_disqualifies_a_connection();
    a_timeout_on_the_machines_clock_is_not_early_and_hardly_late();
    check_int(wall_clock_reads, 0);
#ifndef __USE_TIME_BITS64 /* with which a 32-bit C library calls these functions by other names */
    (void)time(NULL);     /* the counter works */
    check_int(wall_clock_reads, 1);
#endif
}

/* ---- the coarse clock ---------------------------------------------------------------------------- */

static void the_coarse_clock_follows_the_clock_while_it_is_read(void)
{
    weir__coarse_clock_start();
    weir_time start = weir_now();
    weir_time last = weir__coarse_now();
    weir_time worst = 0;

    while (weir_now() < start + 200 * WEIR_MS) {
        weir_time tick = weir__coarse_now();
        weir_time now = weir_now();

        check(tick <= now);
        check(tick >= last);
        worst = now - tick > worst ? now - tick : worst;
        last = tick;
    }
    /* A starved machine may be later than WEIR__COARSE_STEP, but not by orders of magnitude. */
    check(worst < 20 * WEIR__COARSE_STEP);
    weir__coarse_clock_stop();
}

static void without_a_user_the_coarse_clock_is_the_clock(void)
{
    for (int i = 0; i < 100; i++) {
        weir_time before = weir_now();
        weir_time tick = weir__coarse_now();

        check(tick >= before && tick <= weir_now());
        check_int(atomic_load(&weir__coarse_word), WEIR__COARSE_UNKNOWN);
    }
}

/* The word is cleared to learn whether anybody reads, and stays so when nobody does. */
static void the_coarse_clock_goes_to_sleep_when_nobody_reads_and_wakes_for_one_who_does(void)
{
    weir__coarse_clock_start();
    for (int round = 0; round < 2; round++) {
        weir_time limit = weir_now() + 20 * WEIR_SECOND;

        check(weir__coarse_now() > 0);
        check(atomic_load(&weir__coarse_word) != WEIR__COARSE_UNKNOWN);
        while (atomic_load(&weir__coarse_word) != WEIR__COARSE_UNKNOWN && weir_now() < limit)
            usleep(10000);
        check_int(atomic_load(&weir__coarse_word), WEIR__COARSE_UNKNOWN);
    }
    weir__coarse_clock_stop();
}

int main(void)
{
    run(the_hot_path_lends_the_same_slot_and_counts_every_loan);
    run(the_hot_path_refuses_stale_leases_and_leaves_the_slot_alone);
    run(the_hot_path_sees_what_disqualifies_a_connection);
    run(a_listener_that_comes_late_is_heard_on_the_hot_path_too);
    run(the_age_of_a_holder_is_known_even_when_the_coarse_clock_is_asleep);
    run(the_hot_path_ends_when_the_pool_is_disposed);
    run(pools_that_share_a_place_in_the_memory_of_a_thread_are_not_mixed_up);
    run(a_timeout_on_the_machines_clock_is_not_early_and_hardly_late);
    run(no_part_of_the_pool_reads_the_wall_clock);
    run(the_coarse_clock_follows_the_clock_while_it_is_read);
    run(without_a_user_the_coarse_clock_is_the_clock);
    run(the_coarse_clock_goes_to_sleep_when_nobody_reads_and_wakes_for_one_who_does);
    return check_done();
}
