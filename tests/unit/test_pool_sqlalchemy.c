/* SPDX-License-Identifier: MIT */
/* The counters, waits and replacements of SQLAlchemy's QueuePool, as its own tests expect them. */
#include "unit/steps.h"

/*
 * The names in the comments are those of SQLAlchemy's test/engine/test_pool.py; what is checked is
 * its behaviour, in our own words. Where weir mends a fault of the model, the test says so.
 */

/* ---- counters ---------------------------------------------------------------------------- */

static void a_fresh_pool_is_empty_and_says_so_byte_for_byte(void)
{
    weir_pool *pool = open_pool(5, 10);
    char line[200];
    char cut[10];

    weir_pool_status_line(pool, line, sizeof line);
    check_text(line,
               "Pool size: 5  Connections in pool: 0 Current Overflow: -5 Current Checked out "
               "connections: 0");
    check_int(weir_pool_status_line(pool, cut, sizeof cut), (int)strlen(line));
    check_text(cut, "Pool size");
    check_int(weir_pool_status_line(pool, NULL, 0), (int)strlen(line));
    check_int(f.opened, 0);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_queuepool_close: pool_size 3, max_overflow -1. */
static void counters_follow_six_connections_out_and_in_without_a_limit(void)
{
    weir_pool *pool = open_pool(3, -1);
    weir_lease c[6];
    static const int overflow[] = {-2, -1, 0, 1, 2, 3};

    for (int i = 0; i < 6; i++) {
        c[i] = take(pool);
        check_status(pool, 3, 0, overflow[i], i + 1);
    }
    give(pool, &c[3]);
    check_status(pool, 3, 1, 3, 5);
    give(pool, &c[2]);
    check_status(pool, 3, 2, 3, 4);
    give(pool, &c[1]);
    check_status(pool, 3, 3, 3, 3);
    give(pool, &c[0]);
    check_status(pool, 3, 3, 2, 2);
    give(pool, &c[4]);
    give(pool, &c[5]);
    check_status(pool, 3, 3, 0, 0);
    check_int(f.live, 3);
    c[0] = take(pool);
    c[1] = take(pool);
    check_status(pool, 3, 1, 0, 2);
    give(pool, &c[1]);
    check_status(pool, 3, 2, 0, 1);
    give(pool, &c[0]);
    check_status(pool, 3, 3, 0, 0);
    check_int(f.opened, 6);
    weir_pool_close(pool);
    check_int(f.live, 0);
}

/* QueuePoolTest.test_no_overflow. */
static void with_overflow_0_the_fourth_waits_and_times_out(void)
{
    weir_pool *pool = open_pool(3, 0);
    weir_lease c[3];

    for (int i = 0; i < 3; i++) {
        c[i] = take(pool);
        check_status(pool, 3, 0, i - 2, i + 1);
    }
    refused(pool, WEIR_TIMEOUT);
    check_status(pool, 3, 0, 0, 3);
    for (int i = 0; i < 3; i++) {
        give(pool, &c[i]);
        check_status(pool, 3, i + 1, 0, 2 - i);
    }
    check_int(f.opened, 3);
    check_int(f.behaviour[FAKE_CLOSE].calls, 0);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_max_overflow. */
static void with_overflow_2_the_sixth_waits_and_two_are_closed_on_return(void)
{
    weir_pool *pool = open_pool(3, 2);
    weir_lease c[5];

    for (int i = 0; i < 5; i++) {
        c[i] = take(pool);
        check_status(pool, 3, 0, i - 2, i + 1);
    }
    refused(pool, WEIR_TIMEOUT);
    check_status(pool, 3, 0, 2, 5);
    for (int i = 0; i < 3; i++) {
        give(pool, &c[i]);
        check_status(pool, 3, i + 1, 2, 4 - i);
    }
    give(pool, &c[3]);
    check_status(pool, 3, 3, 1, 1);
    give(pool, &c[4]);
    check_status(pool, 3, 3, 0, 0);
    check_int(f.live, 3);
    check_int(f.max_live, 5);
    weir_pool_close(pool);
}

static void with_pool_size_0_everything_is_kept_and_overflow_stays_0(void)
{
    weir_pool *pool = open_pool(0, 0);
    weir_lease c[40];
    char line[200];
    weir_pool_stats s;

    for (int i = 0; i < 40; i++)
        c[i] = take(pool);
    weir_pool_status_line(pool, line, sizeof line);
    check_text(line, "Pool size: 0  Connections in pool: 0 Current Overflow: 0 Current Checked out "
                     "connections: 40");
    for (int i = 0; i < 30; i++)
        give(pool, &c[i]);
    weir_pool_status_line(pool, line, sizeof line);
    check_text(line,
               "Pool size: 0  Connections in pool: 30 Current Overflow: 0 Current Checked out "
               "connections: 10");
    weir_pool_get_stats(pool, &s);
    check_int(s.slots, WEIR_POOL_CEILING);
    check_int(s.max_overflow, WEIR_POOL_CEILING);
    for (int i = 30; i < 40; i++)
        give(pool, &c[i]);
    check_int(f.live, 40);
    weir_pool_close(pool);
    check_int(f.live, 0);
}

/* QueuePoolTest.test_overflow_no_gc: four at a time, five times: ten are closed, two stay. */
static void overflow_is_closed_in_every_round_and_the_kept_are_used_again(void)
{
    weir_pool *pool = open_pool(2, 2);
    weir_lease c[4];

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++)
            c[i] = take(pool);
        for (int i = 0; i < 4; i++)
            give(pool, &c[i]);
    }
    check_int(f.opened, 12);
    check_int(f.behaviour[FAKE_CLOSE].calls, 10);
    check_int(f.live, 2);
    weir_pool_close(pool);
}

/* ---- timeouts ---------------------------------------------------------------------------- */

/* QueuePoolTest.test_timeout, and the words of its error (code 3o7r). */
static void an_acquire_gives_up_after_exactly_pool_timeout(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 3, 0);
    o.pool_timeout_ms = 2000;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c[3] = {take(pool), take(pool), take(pool)};

    refused(pool, WEIR_TIMEOUT);
    check_int(f.now - FAKE_START, 2 * WEIR_SECOND);
    check_contains(e.text,
                   "limit of size 3 overflow 0 reached, connection timed out, timeout 2.00");
    for (int i = 0; i < 3; i++)
        give(pool, &c[i]);
    weir_pool_close(pool);
}

static void a_pool_timeout_of_0_fails_at_once_and_minus_1_waits_for_ever(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_timeout_ms = 0;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c = take(pool);

    refused(pool, WEIR_TIMEOUT);
    check_int(f.now, FAKE_START);
    check_int(f.waits, 0);
    give(pool, &c);
    weir_pool_close(pool);

    o.pool_timeout_ms = -1;
    pool = fake_open(&f, &o);
    c = take(pool);
    f.spurious = 5000;
    /* Only a deadline of its own ends this wait; the pool's default would be for ever. */
    weir_lease none = {0};
    check_int(weir_pool_acquire(pool, f.now + 3 * WEIR_SECOND, &none, &e), WEIR_TIMEOUT);
    check_int(f.now - FAKE_START, 3 * WEIR_SECOND);
    f.spurious = 0;
    give(pool, &c);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_overflow_reset_on_failed_connect. */
static void a_failed_connect_gives_its_place_back(void)
{
    weir_pool *pool = open_pool(2, 3);
    weir_lease c[3] = {take(pool), take(pool), take(pool)};

    check_status(pool, 2, 0, 1, 3);
    f.behaviour[FAKE_CONNECT].fail_next = 1;
    refused(pool, WEIR_CONNECT);
    check_status(pool, 2, 0, 1, 3);
    for (int i = 0; i < 3; i++)
        give(pool, &c[i]);
    weir_pool_close(pool);
}

static weir_pool *hook_pool;

static void acquire_two_others(struct fake *fake)
{
    weir_lease a = {0};
    weir_lease b = {0};

    fake->behaviour[FAKE_CONNECT].hook = NULL;
    check_int(weir_pool_acquire(hook_pool, WEIR_DEADLINE_DEFAULT, &a, NULL), WEIR_OK);
    check_int(weir_pool_acquire(hook_pool, WEIR_DEADLINE_DEFAULT, &b, NULL), WEIR_OK);
    check_int(fake->now, FAKE_START);
    check_int(weir_pool_release(&a), WEIR_OK);
    check_int(weir_pool_release(&b), WEIR_OK);
    fake->behaviour[FAKE_CONNECT].takes = 2 * WEIR_SECOND;
}

/* QueuePoolTest.test_hanging_connect_within_overflow. */
static void a_hanging_connect_delays_nobody_else(void)
{
    weir_pool *pool = open_pool(2, 3);
    weir_lease c[2] = {take(pool), take(pool)};

    hook_pool = pool;
    f.behaviour[FAKE_CONNECT].hook = acquire_two_others;
    weir_lease slow = take(pool);
    check_int(fake_number(&slow), 5);
    give(pool, &slow);
    give(pool, &c[0]);
    give(pool, &c[1]);
    weir_pool_close(pool);
}

/* ---- replacement ------------------------------------------------------------------------- */

/* QueuePoolTest.test_recycle: strictly older than pool_recycle, by the time before the connect. */
static void a_connection_is_recycled_when_it_is_older_than_recycle_and_not_before(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_recycle_s = 30;
    o.pool_pre_ping = false;
    weir_pool *pool = fake_open(&f, &o);

    f.behaviour[FAKE_CONNECT].takes = 5 * WEIR_SECOND;
    weir_lease c = take(pool);
    f.behaviour[FAKE_CONNECT].takes = 0;
    check_int(fake_number(&c), 1);
    give(pool, &c);
    f.now = FAKE_START + 30 * WEIR_SECOND;
    c = take(pool);
    check_int(fake_number(&c), 1);
    give(pool, &c);
    f.now++;
    c = take(pool);
    check_int(fake_number(&c), 2);
    check_status(pool, 1, 0, 0, 1);

    f.now += 60 * WEIR_SECOND; /* one in use is not high_water */
    check_int(f.behaviour[FAKE_CLOSE].calls, 1);
    give(pool, &c);
    check_int(f.behaviour[FAKE_CLOSE].calls, 1);
    c = take(pool);
    check_int(fake_number(&c), 3);
    give(pool, &c);
    weir_pool_close(pool);
}

static void recycle_minus_1_is_never(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_recycle_s = -1;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c = take(pool);

    give(pool, &c);
    f.now += 400 * 24 * 3600 * WEIR_SECOND;
    c = take(pool);
    check_int(fake_number(&c), 1);
    give(pool, &c);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_invalidate, test_reconnect, test_recycle_on_invalidate,
 * test_detach_via_invalidate. */
static void invalidate_closes_now_and_keeps_the_place_for_another(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);

    give(pool, &c);
    c = take(pool);
    check_int(fake_number(&c), 1);
    discard(pool, &c, NULL);
    check(c.connection == NULL && c.pool == NULL);
    check_int(f.live, 0);
    check_status(pool, 1, 1, 0, 0);
    c = take(pool);
    check_int(fake_number(&c), 2);
    give(pool, &c);
    check_status(pool, 1, 1, 0, 0);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_recycle_on_soft_invalidate. */
static void soft_invalidate_replaces_at_the_next_checkout_in_the_same_place(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);
    struct weir_slot *slot = c.slot;

    check_int(weir_pool_soft_invalidate(&c), WEIR_OK);
    check_int(f.live, 1);
    check(((struct fake_connection *)c.connection)->is_open);
    give(pool, &c);
    check_int(f.live, 1);
    check_status(pool, 1, 1, 0, 0);
    c = take(pool);
    check_int(fake_number(&c), 2);
    check(c.slot == slot);
    check_int(f.live, 1);
    give(pool, &c);
    weir_pool_close(pool);
}

/* What QueuePoolTest._assert_cleanup_on_pooled_reconnect asks of a pool of 1 + 2 whose one idle
 * connection has to be replaced while the server is down, then up. */
static void check_cleanup_on_reconnect(weir_pool *pool)
{
    check_status(pool, 1, 1, 0, 0);
    f.behaviour[FAKE_CONNECT].fail_next = -1;
    refused(pool, WEIR_CONNECT);
    check_status(pool, 1, 1, 0, 0);
    f.behaviour[FAKE_CONNECT].fail_next = 0;
    heard.answers_left[WEIR_EVENT_CHECKOUT] = 0;

    weir_lease a = take(pool);
    check_status(pool, 1, 0, 0, 1);
    weir_lease b = take(pool);
    check_status(pool, 1, 0, 1, 2);
    weir_lease c = take(pool);
    check_status(pool, 1, 0, 2, 3);
    give(pool, &c);
    give(pool, &b);
    give(pool, &a);
    check_status(pool, 1, 1, 0, 0);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_error_on_pooled_reconnect_cleanup_invalidate. */
static void a_failed_reconnect_after_invalidate_keeps_the_place(void)
{
    weir_pool *pool = open_pool(1, 2);
    weir_lease c = take(pool);

    discard(pool, &c, NULL);
    check_cleanup_on_reconnect(pool);
}

/* QueuePoolTest.test_error_on_pooled_reconnect_cleanup_recycle. */
static void a_failed_reconnect_after_recycle_keeps_the_place(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 2);
    o.pool_recycle_s = 1;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c = take(pool);

    give(pool, &c);
    f.now += 1500 * WEIR_MS;
    check_cleanup_on_reconnect(pool);
}

/* QueuePoolTest.test_error_on_pooled_reconnect_cleanup_wcheckout_event. */
static void a_failed_reconnect_after_a_listeners_disconnect_keeps_the_place(void)
{
    weir_pool *pool = open_pool(1, 2);
    weir_lease c = take(pool);

    give(pool, &c);
    fake_listen(pool, &heard);
    fake_answer(&heard, WEIR_EVENT_CHECKOUT, WEIR_DISCONNECTED, -1);
    check_cleanup_on_reconnect(pool);
}

/* QueuePoolTest.test_detach: the place is free at once, the connection is really closed later. */
static void detach_frees_the_place_and_release_then_really_closes(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease a = take(pool);

    check_int(weir_pool_detach(&a), WEIR_OK);
    check_int(fake_number(&a), 1);
    check_status(pool, 1, 1, 0, 0);
    weir_lease b = take(pool);
    check_int(fake_number(&b), 2);
    check_int(f.behaviour[FAKE_CLOSE].calls, 0);
    give(pool, &a);
    check_int(f.behaviour[FAKE_CLOSE].calls, 1);
    check(!f.connections[0].is_open);
    check_status(pool, 1, 0, 0, 1);
    give(pool, &b);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_dispose_closes_pooled. The model lets a connection come back to a disposed
 * pool and its counters go wrong; here it is closed and they stay right. */
static void dispose_closes_the_idle_now_and_the_others_as_they_come_back(void)
{
    weir_pool *pool = open_pool(2, 0);
    weir_lease a = take(pool);
    weir_lease b = take(pool);

    give(pool, &a);
    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, &e), WEIR_TIMEOUT);
    check(!f.connections[0].is_open && f.connections[1].is_open);
    check_status(pool, 2, 0, -1, 1);
    give(pool, &b);
    check(!f.connections[1].is_open);
    check_status(pool, 2, 0, -2, 0);
    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, &e), WEIR_OK);
    refused(pool, WEIR_CLOSED);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_no_double_checkin: refused, and counted. */
static void a_second_checkin_is_refused(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);
    weir_lease copy = c;
    weir_pool_stats s;

    give(pool, &c);
    check_int(weir_pool_release(&c), WEIR_OK); /* a lease of nothing: nothing to do */
    check_int(weir_pool_release(&copy), WEIR_MISUSE);
    weir_pool_get_stats(pool, &s);
    check_int(s.misuses, 1);
    check_status(pool, 1, 1, 0, 0);
    weir_pool_close(pool);
}

/* ---- waiters ----------------------------------------------------------------------------- */

static weir_lease held[2];

static void invalidate_one(struct fake *fake)
{
    fake->on_wait = NULL;
    check_int(weir_pool_discard(&held[0], NULL), WEIR_OK);
}

/* QueuePoolTest.test_waiters_handled and test_notify_waiters. */
static void a_waiter_is_served_when_another_is_invalidated(void)
{
    static const int overflows[] = {0, 3};

    for (int i = 0; i < 2; i++) {
        weir_pool *pool = open_pool(1, overflows[i]);
        weir_lease others[3];

        held[0] = take(pool);
        for (int j = 0; j < overflows[i]; j++)
            others[j] = take(pool);
        f.on_wait = invalidate_one;
        weir_lease c = {0};
        check_int(weir_pool_acquire(pool, WEIR_DEADLINE_NEVER, &c, &e), WEIR_OK);
        check_int(fake_number(&c), overflows[i] + 2);
        check_int(f.now, FAKE_START);
        give(pool, &c);
        for (int j = 0; j < overflows[i]; j++)
            give(pool, &others[j]);
        weir_pool_close(pool);
    }
}

/* ---- reset on return --------------------------------------------------------------------- */

/* ResetOnReturnTest.test_plain_rollback, test_plain_commit, test_plain_none, and
 * PoolDialectTest.test_queue_pool: one reset per return, none per invalidation. */
static void each_return_resets_in_the_chosen_way(void)
{
    for (int how = WEIR_RESET_ROLLBACK; how <= WEIR_RESET_NONE; how++) {
        fake_init(&f);
        weir_pool_options o = fake_options(&f, 1, 0);
        o.reset_on_return = (weir_reset)how;
        weir_pool *pool = fake_open(&f, &o);

        f.last_reset = (weir_reset)(how == 0);
        for (int i = 1; i <= 3; i++) {
            weir_lease c = take(pool);
            check_int(f.behaviour[FAKE_RESET].calls, i - 1);
            give(pool, &c);
            check_int(f.behaviour[FAKE_RESET].calls, i);
            check_int(f.last_reset, how);
            check_int(f.behaviour[FAKE_RESET].deadline, f.now + 5 * WEIR_SECOND);
        }
        weir_lease c = take(pool);
        discard(pool, &c, NULL);
        check_int(f.behaviour[FAKE_RESET].calls, 3);
        weir_pool_close(pool);
    }
}

/* sqlalchemy#4225: a failed reset invalidates the connection and gives the place back. */
static void a_failed_reset_invalidates_but_gives_the_place_back(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);

    fake_listen(pool, &heard);
    f.behaviour[FAKE_RESET].fail_next = 1;
    give(pool, &c);
    check_int(f.live, 0);
    check_int(heard.events[1].error, WEIR_DISCONNECTED);
    check_int(heard.events[1].reason, WEIR_REASON_RESET);
    check_text(fake_heard(&heard), "reset invalidate close checkin");
    check_status(pool, 1, 1, 0, 0);
    c = take(pool);
    check_int(fake_number(&c), 2);
    give(pool, &c);
    weir_pool_close(pool);
}

int main(void)
{
    run(a_fresh_pool_is_empty_and_says_so_byte_for_byte);
    run(counters_follow_six_connections_out_and_in_without_a_limit);
    run(with_overflow_0_the_fourth_waits_and_times_out);
    run(with_overflow_2_the_sixth_waits_and_two_are_closed_on_return);
    run(with_pool_size_0_everything_is_kept_and_overflow_stays_0);
    run(overflow_is_closed_in_every_round_and_the_kept_are_used_again);
    run(an_acquire_gives_up_after_exactly_pool_timeout);
    run(a_pool_timeout_of_0_fails_at_once_and_minus_1_waits_for_ever);
    run(a_failed_connect_gives_its_place_back);
    run(a_hanging_connect_delays_nobody_else);
    run(a_connection_is_recycled_when_it_is_older_than_recycle_and_not_before);
    run(recycle_minus_1_is_never);
    run(invalidate_closes_now_and_keeps_the_place_for_another);
    run(soft_invalidate_replaces_at_the_next_checkout_in_the_same_place);
    run(a_failed_reconnect_after_invalidate_keeps_the_place);
    run(a_failed_reconnect_after_recycle_keeps_the_place);
    run(a_failed_reconnect_after_a_listeners_disconnect_keeps_the_place);
    run(detach_frees_the_place_and_release_then_really_closes);
    run(dispose_closes_the_idle_now_and_the_others_as_they_come_back);
    run(a_second_checkin_is_refused);
    run(a_waiter_is_served_when_another_is_invalidated);
    run(each_return_resets_in_the_chosen_way);
    run(a_failed_reset_invalidates_but_gives_the_place_back);
    return check_done();
}
