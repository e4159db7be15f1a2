/* SPDX-License-Identifier: MIT */
/* Lending: who gets a slot, who waits and is served in which order, and how it ends. */
#include "unit/steps.h"

#include <unistd.h>

static weir_pool *the_pool;
static weir_lease held[4];
static weir_lease got[4];
static weir_status answers[4];
static int depth; /* how many waiters the clock holds on this thread */

static void open_and_hold(const weir_pool_options *options, int count)
{
    the_pool = fake_open(&f, options);
    for (int i = 0; i < count; i++)
        held[i] = take(the_pool);
    memset(got, 0, sizeof got);
    depth = 0;
}

static void give_back_and_close(int count)
{
    for (int i = 0; i < count; i++)
        give(the_pool, &held[i]);
    weir_pool_close(the_pool);
    check_int(f.live, 0);
}

static uint64_t stat_handed_over(void)
{
    weir_pool_stats s;

    weir_pool_get_stats(the_pool, &s);
    return s.handed_over;
}

/* ---- without waiting --------------------------------------------------------------------- */

static void try_acquire_takes_an_idle_one_or_opens_one_but_never_waits(void)
{
    weir_pool *pool = open_pool(1, 1);
    weir_lease a = {0};
    weir_lease b = {0};
    weir_lease c = {0};

    check_int(weir_pool_try_acquire(pool, &a, &e), WEIR_OK);
    check_int(weir_pool_release(&a), WEIR_OK);
    check_int(weir_pool_try_acquire(pool, &a, &e), WEIR_OK);
    check_int(fake_number(&a), 1);
    check_int(weir_pool_try_acquire(pool, &b, &e), WEIR_OK);
    check_int(weir_pool_try_acquire(pool, &c, &e), WEIR_TIMEOUT);
    check_int(weir_pool_try_acquire(pool, &c, NULL), WEIR_TIMEOUT);
    check(c.pool == NULL);
    check_int(f.waits, 0);
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

static void lifo_takes_the_lowest_idle_slot(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 4, 0);
    o.use_lifo = true;
    open_and_hold(&o, 4);

    give(the_pool, &held[3]);
    give(the_pool, &held[1]);
    give(the_pool, &held[2]);
    weir_lease a = take(the_pool);
    weir_lease b = take(the_pool);
    check_int(fake_number(&a), 2);
    check_int(fake_number(&b), 3);
    give(the_pool, &b);
    give(the_pool, &a);
    a = take(the_pool);
    check_int(fake_number(&a), 2);
    give(the_pool, &a);
    give(the_pool, &held[0]);
    weir_pool_close(the_pool);
}

static void an_open_connection_is_preferred_to_a_place_without_one(void)
{
    weir_pool *pool = open_pool(3, 0);
    weir_lease a = take(pool);
    weir_lease b = take(pool);

    discard(pool, &a, NULL);
    give(pool, &b);
    b = take(pool);
    check_int(fake_number(&b), 2);
    a = take(pool);
    check_status(pool, 3, 0, -1, 2); /* the empty place before a new one */
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

/* ---- the line ---------------------------------------------------------------------------- */

static void refuse_the_next(struct fake *fake)
{
    weir_lease none = {0};
    weir_time before = fake->now;

    fake->on_wait = NULL;
    check_int(weir_pool_acquire(the_pool, WEIR_DEADLINE_NEVER, &none, &e), WEIR_FULL);
    check_contains(e.text, "max_waiters");
    check_int(weir_pool_try_acquire(the_pool, &none, &e), WEIR_TIMEOUT);
    check_int(fake->now, before);
    check_int(pool_check(the_pool), 0);
}

static void one_waiter_too_many_is_refused_at_once(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.max_waiters = 1;
    open_and_hold(&o, 1);
    weir_pool_stats s;

    f.on_wait = refuse_the_next;
    refused(the_pool, WEIR_TIMEOUT);
    weir_pool_get_stats(the_pool, &s);
    check_int(s.refused, 1);
    check_int(s.timeouts, 2);
    check_int(s.waiters, 0);
    give_back_and_close(1);

    o.max_waiters = 0;
    open_and_hold(&o, 1);
    refused(the_pool, WEIR_FULL);
    give_back_and_close(1);
}

static void (*when_all_wait)(void);

/* Let three wait, the first at the bottom; when the third does, something happens. */
static void wait_three_deep(struct fake *fake)
{
    int mine = ++depth;

    check_int(pool_check(the_pool), 0);
    if (mine == 3) {
        fake->on_wait = NULL;
        when_all_wait();
        check_int(pool_check(the_pool), 0);
        return;
    }
    answers[mine] = weir_pool_acquire(the_pool, WEIR_DEADLINE_DEFAULT, &got[mine], &e);
}

static void acquire_three_deep(void (*then)(void))
{
    when_all_wait = then;
    f.on_wait = wait_three_deep;
    answers[0] = weir_pool_acquire(the_pool, WEIR_DEADLINE_DEFAULT, &got[0], &e);
    f.on_wait = NULL;
}

static void release_all_three(void)
{
    for (int i = 0; i < 3; i++) {
        weir_pool_stats s;

        check_int(weir_pool_release(&held[i]), WEIR_OK);
        weir_pool_get_stats(the_pool, &s);
        check_int(s.waiters, 2 - i);
        check_int(s.idle, 0);
        check_int(s.leased, 3);
    }
}

static void slots_go_to_those_who_wait_in_the_order_they_came(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 3, 0);
    open_and_hold(&o, 3);

    acquire_three_deep(release_all_three);
    for (int i = 0; i < 3; i++) {
        check_int(answers[i], WEIR_OK);
        check_int(fake_number(&got[i]), i + 1);
        held[i] = got[i];
    }
    check_int(f.now, FAKE_START);
    check_int(stat_handed_over(), 3);
    check_int(f.opened, 3);
    give_back_and_close(3);
}

static void discard_all_three(void)
{
    for (int i = 0; i < 3; i++)
        check_int(weir_pool_discard(&held[i], NULL), WEIR_OK);
    check_int(f.live, 0);
}

/* bb8#167, #194, #225: broken connections that come back serve those who wait, by new connects. */
static void broken_returns_serve_all_who_wait(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 1);
    open_and_hold(&o, 3);

    acquire_three_deep(discard_all_three);
    for (int i = 0; i < 3; i++) {
        check_int(answers[i], WEIR_OK);
        check(fake_number(&got[i]) > 3);
        held[i] = got[i];
    }
    check_int(f.now, FAKE_START);
    check_int(f.max_live, 3);
    give_back_and_close(3);
}

static void detach_one_release_two(void)
{
    check_int(weir_pool_detach(&held[0]), WEIR_OK);
    check_int(weir_pool_release(&held[1]), WEIR_OK);
    f.behaviour[FAKE_RESET].fail_next = 1;
    check_int(weir_pool_release(&held[2]), WEIR_OK);
}

static void a_detach_and_a_failed_reset_serve_waiters_too(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 3, 0);
    open_and_hold(&o, 3);

    acquire_three_deep(detach_one_release_two);
    check_int(fake_number(&got[1]), 2);
    check(fake_number(&got[0]) > 3 && fake_number(&got[2]) > 3);
    check_int(f.live, 4);
    give(the_pool, &held[0]);
    for (int i = 0; i < 3; i++)
        held[i] = got[i];
    give_back_and_close(3);
}

static struct weir_slot *opening;
static uint64_t opening_token;

static void fail_the_open(struct fake *fake)
{
    fake->on_wait = NULL;
    weir__slot_free(the_pool, opening, opening_token, opening->origin);
    check_int(pool_check(the_pool), 0);
    check_int(stat_handed_over(), 1);
}

/* SQLAlchemy leaves this waiter asleep although the place is free; puddle and database/sql do not.
 * The other one, who holds the right to open, is played by the routine that such a one calls. */
static void a_failed_open_hands_the_right_to_open_to_the_waiter(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    open_and_hold(&o, 0);
    struct acquire acquire = {.deadline = WEIR_DEADLINE_DEFAULT};

    check_int(weir__queue_take(the_pool, &acquire, &opening, &opening_token, &e), WEIR_OK);
    check_int(opening->origin, SLOT_VACANT);
    f.on_wait = fail_the_open;
    check_int(weir_pool_acquire(the_pool, WEIR_DEADLINE_NEVER, &held[0], &e), WEIR_OK);
    check_int(f.now, FAKE_START);
    give_back_and_close(1);
}

/* A waiter's own open fails: the right goes on to the next waiter, and none is left behind. */
static void every_failing_call_in_turn_leaves_all_slots_in_place(void)
{
    for (int call = FAKE_CONNECT; call < FAKE_CALLS; call++) {
        fake_init(&f);
        weir_pool_options o = fake_options(&f, 2, 1);
        o.ping_bypass_ms = 0;
        open_and_hold(&o, 3);
        for (int i = 0; i < 3; i++)
            give(the_pool, &held[i]);
        for (int round = 0; round < 20; round++) {
            f.behaviour[call].fail_next = 1 + round % 3;
            for (int i = 0; i < 3; i++) {
                weir_status status = weir_pool_acquire(the_pool, f.now + WEIR_MS, &held[i], &e);
                check((status == WEIR_OK) == (held[i].pool != NULL));
                check_int(pool_check_live(the_pool, &f), 0);
            }
            f.behaviour[call].fail_next = round % 2;
            for (int i = 0; i < 3; i++)
                give(the_pool, &held[i]);
            f.behaviour[call].fail_next = 0;
        }
        for (int i = 0; i < 3; i++)
            held[i] = take(the_pool);
        refused(the_pool, WEIR_TIMEOUT);
        check_int(f.max_live, 3);
        give_back_and_close(3);
    }
}

/* ---- the deadline and the grant ---------------------------------------------------------- */

static void release_the_first(struct fake *fake)
{
    fake->on_wait = NULL;
    check_int(weir_pool_release(&held[0]), WEIR_OK);
}

static void release_the_first_late(struct fake *fake)
{
    fake->now = FAKE_START + 100 * WEIR_MS;
    release_the_first(fake);
}

static void a_grant_at_the_very_deadline_is_taken(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    open_and_hold(&o, 1);
    weir_lease c = {0};

    f.on_wait = release_the_first_late;
    check_int(weir_pool_acquire(the_pool, FAKE_START + 100 * WEIR_MS, &c, &e), WEIR_OK);
    check_int(fake_number(&c), 1);
    held[0] = c;
    give_back_and_close(1);
}

static void grant_between_the_look_and_the_lock(struct fake *fake)
{
    fake->on_wait = NULL;
    fake->now = FAKE_START + 100 * WEIR_MS;
    fake->on_now = release_the_first;
}

/* The waiter has seen that it is late and has no grant; the grant comes before it takes the lock. */
static void a_grant_that_races_with_the_timeout_is_taken_and_not_lost(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    open_and_hold(&o, 1);
    weir_lease c = {0};

    f.on_wait = grant_between_the_look_and_the_lock;
    check_int(weir_pool_acquire(the_pool, FAKE_START + 100 * WEIR_MS, &c, &e), WEIR_OK);
    check(held[0].pool == NULL);
    check_int(fake_number(&c), 1);
    check_int(stat_handed_over(), 1);
    held[0] = c;
    give_back_and_close(1);
}

static void release_none(void)
{
}

static void those_who_time_out_leave_the_line_whole(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    open_and_hold(&o, 1);

    acquire_three_deep(release_none);
    for (int i = 0; i < 3; i++)
        check_int(answers[i], WEIR_TIMEOUT);
    check_int(pool_check_live(the_pool, &f), 0);
    give(the_pool, &held[0]);
    held[0] = take(the_pool);
    give_back_and_close(1);
}

/* ---- overtaking -------------------------------------------------------------------------- */

static void overtake_once(struct fake *fake)
{
    weir_lease newcomer = {0};

    fake->on_wait = NULL;
    check_int(weir_pool_release(&held[0]), WEIR_OK);
    check_int(pool_check(the_pool), 0);
    check_int(weir_pool_acquire(the_pool, WEIR_DEADLINE_NOW, &newcomer, &e), WEIR_OK);
    check_int(pool_check(the_pool), 0);
    held[0] = newcomer;
    fake->on_wait = release_the_first;
}

static void a_young_waiter_may_be_overtaken_and_then_gets_its_turn(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.handoff_after_us = 100;
    open_and_hold(&o, 1);
    weir_pool_stats s;

    f.on_wait = overtake_once;
    check_int(weir_pool_acquire(the_pool, WEIR_DEADLINE_NEVER, &got[0], &e), WEIR_OK);
    weir_pool_get_stats(the_pool, &s);
    check_int(s.overtaken, 1);
    check_int(s.handed_over, 0);
    held[0] = got[0];
    give_back_and_close(1);
}

static void release_when_aged(struct fake *fake)
{
    weir_lease newcomer = {0};

    fake->on_wait = NULL;
    fake->now += 100 * WEIR_US;
    check_int(weir_pool_release(&held[0]), WEIR_OK);
    check_int(pool_check(the_pool), 0);
    check_int(weir_pool_try_acquire(the_pool, &newcomer, &e), WEIR_TIMEOUT);
}

static void a_waiter_of_that_age_is_overtaken_by_nobody(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.handoff_after_us = 100;
    open_and_hold(&o, 1);
    weir_pool_stats s;

    f.on_wait = release_when_aged;
    check_int(weir_pool_acquire(the_pool, WEIR_DEADLINE_NEVER, &got[0], &e), WEIR_OK);
    weir_pool_get_stats(the_pool, &s);
    check_int(s.overtaken, 0);
    check_int(s.handed_over, 1);
    held[0] = got[0];
    give_back_and_close(1);
}

static void release_three_to_one(struct fake *fake)
{
    fake->on_wait = NULL;
    for (int i = 0; i < 3; i++) {
        check_int(weir_pool_release(&held[i]), WEIR_OK);
        check_int(pool_check(the_pool), 0);
    }
}

/* The waiter is told of the first; meanwhile the others come back too, and are overflow. */
static void no_more_rest_than_are_kept_while_a_waiter_is_on_its_way(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 2);
    o.handoff_after_us = 100;
    open_and_hold(&o, 3);

    f.on_wait = release_three_to_one;
    check_int(weir_pool_acquire(the_pool, WEIR_DEADLINE_NEVER, &got[0], &e), WEIR_OK);
    check_int(pool_check_live(the_pool, &f), 0);
    give(the_pool, &got[0]);
    check_status(the_pool, 1, 1, 0, 0);
    give_back_and_close(0);
}

static void give_up_before_the_third(void)
{
    /* The first is told of the free slot, but its thread is slow; the others' time runs out. */
    check_int(weir_pool_release(&held[0]), WEIR_OK);
}

static void nobody_is_stranded_when_those_behind_give_up(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.handoff_after_us = 10000000;
    o.pool_timeout_ms = 1000;
    o.pool_pre_ping = false;
    open_and_hold(&o, 1);

    acquire_three_deep(give_up_before_the_third);
    check_int(answers[0], WEIR_OK);
    check_int(answers[1], WEIR_TIMEOUT);
    check_int(answers[2], WEIR_TIMEOUT);
    held[0] = got[0];
    give_back_and_close(1);
}

/* ---- closing ----------------------------------------------------------------------------- */

static void dispose_now(void)
{
    check_int(weir_pool_dispose(the_pool, WEIR_DEADLINE_NOW, &e), WEIR_TIMEOUT);
}

static void dispose_tells_all_who_wait_at_once(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 0);
    open_and_hold(&o, 2);

    acquire_three_deep(dispose_now);
    for (int i = 0; i < 3; i++) {
        check_int(answers[i], WEIR_CLOSED);
        check(got[i].pool == NULL);
    }
    check_int(f.now, FAKE_START);
    refused(the_pool, WEIR_CLOSED);
    check_contains(e.text, "pool \"fake\": closed");
    weir_pool_stats s;
    weir_pool_get_stats(the_pool, &s);
    check(s.is_closed);
    give_back_and_close(2);
}

static void dispose_waits_for_the_last_lease_and_no_longer(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 0);
    open_and_hold(&o, 2);

    give(the_pool, &held[1]);
    f.on_wait = release_the_first_late;
    check_int(weir_pool_dispose(the_pool, WEIR_DEADLINE_NEVER, &e), WEIR_OK);
    check_int(f.now, FAKE_START + 100 * WEIR_MS);
    check_int(f.live, 0);
    check_int(weir_pool_dispose(the_pool, WEIR_DEADLINE_NEVER, &e), WEIR_OK);
    weir_pool_close(the_pool);
}

static void dispose_reports_who_still_holds_what_since_when(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 0);
    o.pool_timeout_ms = 700;
    open_and_hold(&o, 0);
    char where[64];

    int line = __LINE__ + 1;
    held[0] = take(the_pool);
    f.now += WEIR_SECOND;
    held[1] = take(the_pool);
    snprintf(where, sizeof where, "test_pool.c:%d (thread %d, 1.70 s)", line, (int)gettid());
    check_int(weir_pool_dispose(the_pool, WEIR_DEADLINE_DEFAULT, &e), WEIR_TIMEOUT);
    check_int(f.now, FAKE_START + 1700 * WEIR_MS);
    check_contains(e.text, "pool \"fake\": disposed, but 2 connections still leased; held by: ");
    check_contains(e.text, where);
    check_contains(e.text, "0.70 s)");
    give_back_and_close(2);
}

static void a_closed_pool_lives_until_its_last_lease_is_back(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 4, 0);
    open_and_hold(&o, 4);

    check_int(weir_pool_detach(&held[3]), WEIR_OK);
    weir_pool_close(the_pool);
    check_int(f.live, 4);
    check_int(weir_pool_soft_invalidate(&held[0]), WEIR_OK);
    check_int(weir_pool_release(&held[0]), WEIR_OK);
    check_int(weir_pool_discard(&held[1], NULL), WEIR_OK);
    check_int(f.live, 2);
    check_int(weir_pool_detach(&held[2]), WEIR_OK);
    weir_lease stale = held[2];
    check_int(weir_pool_release(&held[2]), WEIR_OK);
    check_int(weir_pool_release(&stale), WEIR_MISUSE);
    check_int(f.live, 1);
    check_int(weir_pool_discard(&held[3], NULL), WEIR_OK);
    check_int(f.live, 0);
    check_int(f.faults, 0);
}

static void a_detached_connection_outlives_dispose_and_is_then_really_closed(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    open_and_hold(&o, 1);

    check_int(weir_pool_detach(&held[0]), WEIR_OK);
    check_int(weir_pool_dispose(the_pool, WEIR_DEADLINE_NOW, &e), WEIR_OK);
    check_int(f.live, 1);
    check_int(weir_lease_connection_id(&held[0]), 1);
    give_back_and_close(1);
}

int main(void)
{
    run(try_acquire_takes_an_idle_one_or_opens_one_but_never_waits);
    run(lifo_takes_the_lowest_idle_slot);
    run(an_open_connection_is_preferred_to_a_place_without_one);
    run(one_waiter_too_many_is_refused_at_once);
    run(slots_go_to_those_who_wait_in_the_order_they_came);
    run(broken_returns_serve_all_who_wait);
    run(a_detach_and_a_failed_reset_serve_waiters_too);
    run(a_failed_open_hands_the_right_to_open_to_the_waiter);
    run(every_failing_call_in_turn_leaves_all_slots_in_place);
    run(a_grant_at_the_very_deadline_is_taken);
    run(a_grant_that_races_with_the_timeout_is_taken_and_not_lost);
    run(those_who_time_out_leave_the_line_whole);
    run(a_young_waiter_may_be_overtaken_and_then_gets_its_turn);
    run(a_waiter_of_that_age_is_overtaken_by_nobody);
    run(no_more_rest_than_are_kept_while_a_waiter_is_on_its_way);
    run(nobody_is_stranded_when_those_behind_give_up);
    run(dispose_tells_all_who_wait_at_once);
    run(dispose_waits_for_the_last_lease_and_no_longer);
    run(dispose_reports_who_still_holds_what_since_when);
    run(a_closed_pool_lives_until_its_last_lease_is_back);
    run(a_detached_connection_outlives_dispose_and_is_then_really_closed);
    return check_done();
}
