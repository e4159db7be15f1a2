/* SPDX-License-Identifier: MIT */
/* The ladder a connection climbs before it is lent, and the one deadline above all its rungs. */
#include "unit/steps.h"

static weir_pool *shared_pool;

/* A pool of two idle connections, 1 and 2, opened just now, whose events are heard from here on. */
static weir_pool *open_two_idle(const weir_pool_options *options)
{
    weir_pool *pool = fake_open(&f, options);
    weir_lease a = take(pool);
    weir_lease b = take(pool);

    give(pool, &b);
    give(pool, &a);
    fake_listen(pool, &heard);
    return pool;
}

static weir_pool *open_two(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 0);
    return open_two_idle(&o);
}

static int calls(enum fake_call call)
{
    return f.behaviour[call].calls;
}

/* ---- the order of the rungs -------------------------------------------------------------- */

/* Make everything true that disqualifies a connection, then take the reasons away one by one. */
static void checks_run_from_the_cheapest_to_the_dearest(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_recycle_s = 60;
    weir_pool *pool = fake_open(&f, &o);
    static const weir_reason reasons[] = {WEIR_REASON_SOFT, WEIR_REASON_RECYCLED, WEIR_REASON_STALE,
                                          WEIR_REASON_PING};

    fake_listen(pool, &heard);
    for (int rung = 0; rung < 4; rung++) {
        weir_lease c = take(pool);
        if (rung == 0)
            check_int(weir_pool_soft_invalidate(&c), WEIR_OK);
        give(pool, &c);
        f.now += rung <= 1 ? 61 * WEIR_SECOND : WEIR_SECOND;
        f.behaviour[FAKE_IS_ALIVE].fail_next = rung <= 2;
        f.behaviour[FAKE_PING].fail_next = 1;
        heard.count = 0;
        int looks = calls(FAKE_IS_ALIVE);
        int pings = calls(FAKE_PING);

        c = take(pool);
        for (int i = 0; i < heard.count; i++)
            if (heard.events[i].kind == WEIR_EVENT_CLOSE)
                check_int(heard.events[i].reason, reasons[rung]);
        check_int(calls(FAKE_IS_ALIVE) - looks, rung >= 2);
        check_int(calls(FAKE_PING) - pings, rung >= 3);
        check_int(fake_number(&c), rung + 2);
        f.behaviour[FAKE_IS_ALIVE].fail_next = 0;
        f.behaviour[FAKE_PING].fail_next = 0;
        give(pool, &c);
    }
    weir_pool_close(pool);
}

/* Evicted comes before all: after one failed ping the other is replaced without a look or a ping. */
static void an_evicted_connection_is_replaced_without_a_look(void)
{
    weir_pool *pool = open_two();

    f.now += WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = 1;
    weir_lease a = take(pool);
    check_int(calls(FAKE_PING), 1);
    check_int(calls(FAKE_IS_ALIVE), 1);
    f.behaviour[FAKE_IS_ALIVE].fail_next = 1;
    heard.count = 0;
    weir_lease b = take(pool);
    check_int(heard.events[0].reason, WEIR_REASON_EVICTED);
    check_text(fake_heard(&heard), "close connect checkout");
    check_int(calls(FAKE_PING), 1);
    check_int(calls(FAKE_IS_ALIVE), 1);
    check_int(f.live, 2);
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

static void a_stale_socket_replaces_this_connection_and_no_other(void)
{
    weir_pool *pool = open_two();

    f.behaviour[FAKE_IS_ALIVE].fail_next = 1;
    weir_lease a = take(pool);
    check_int(fake_number(&a), 3);
    check_int(heard.events[0].reason, WEIR_REASON_STALE);
    check_text(fake_heard(&heard), "invalidate close connect checkout");
    weir_lease b = take(pool);
    check(fake_number(&b) <= 2);
    check_int(f.opened, 3);
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

static void a_connection_just_opened_is_not_pinged_and_not_looked_at(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.ping_bypass_ms = 0;
    weir_pool *pool = fake_open(&f, &o);

    f.behaviour[FAKE_CONNECT].takes = WEIR_SECOND;
    weir_lease c = take(pool);
    check_int(calls(FAKE_PING), 0);
    check_int(calls(FAKE_IS_ALIVE), 0);
    give(pool, &c);
    c = take(pool);
    check_int(calls(FAKE_PING), 1);
    check_int(calls(FAKE_IS_ALIVE), 1);
    give(pool, &c);
    weir_pool_close(pool);
}

static void the_ping_is_skipped_within_the_window_and_not_after_it(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c = take(pool);

    /* Idle time counts from the return, not from the checkout. */
    f.now += 10 * WEIR_SECOND;
    give(pool, &c);
    f.now += 500 * WEIR_MS;
    c = take(pool);
    check_int(calls(FAKE_PING), 0);
    check_int(calls(FAKE_IS_ALIVE), 1);
    give(pool, &c);
    f.now += 500 * WEIR_MS + 1;
    c = take(pool);
    check_int(calls(FAKE_PING), 1);
    give(pool, &c);
    weir_pool_close(pool);
}

static void without_pre_ping_or_without_a_ping_nothing_is_pinged(void)
{
    weir_driver mute = fake_driver;
    mute.ping = NULL;
    mute.is_alive = NULL;
    mute.reset = NULL;

    for (int i = 0; i < 2; i++) {
        fake_init(&f);
        weir_pool_options o = fake_options(&f, 1, 0);
        o.pool_pre_ping = i == 1;
        weir_pool *pool = NULL;
        check_int(weir_pool_open(&o, i == 0 ? &fake_driver : &mute, &f, &pool, &e), WEIR_OK);
        weir_lease c = take(pool);
        give(pool, &c);
        f.now += 3000 * WEIR_SECOND;
        c = take(pool);
        check_int(calls(FAKE_PING), 0);
        check_int(fake_number(&c), 1);
        give(pool, &c);
        check_int(calls(FAKE_RESET), i == 0 ? 2 : 0);
        weir_pool_close(pool);
    }
}

/* ---- invalidate-all ---------------------------------------------------------------------- */

static void the_first_failed_ping_replaces_all_older_connections(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 4, 0);
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c[4];

    for (int i = 0; i < 4; i++)
        c[i] = take(pool);
    for (int i = 0; i < 3; i++)
        give(pool, &c[i]);
    f.now += WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = -1;
    for (int i = 0; i < 3; i++) {
        c[i] = take(pool);
        check_int(fake_number(&c[i]), 5 + i);
    }
    check_int(calls(FAKE_PING), 1);
    check_int(f.max_live, 4);
    /* The one on loan at that moment may finish, and is closed when it comes back. */
    check(f.connections[3].is_open);
    give(pool, &c[3]);
    check(!f.connections[3].is_open);
    for (int i = 0; i < 3; i++)
        give(pool, &c[i]);
    check_int(f.live, 3);
    weir_pool_close(pool);
}

static void ping_another_meanwhile(struct fake *fake)
{
    weir_lease other = {0};

    fake->behaviour[FAKE_PING].hook = NULL;
    check_int(weir_pool_acquire(shared_pool, WEIR_DEADLINE_DEFAULT, &other, &e), WEIR_OK);
    check_int(fake_number(&other), 3);
    check_int(weir_pool_release(&other), WEIR_OK);
}

static void pings_that_fail_together_end_the_epoch_only_once(void)
{
    weir_pool *pool = open_two();

    shared_pool = pool;
    f.now += WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = 2;
    f.behaviour[FAKE_PING].hook = ping_another_meanwhile;
    weir_lease a = take(pool);
    check_int(calls(FAKE_PING), 2);
    check_int(fake_number(&a), 4);
    check_int(atomic_load(&pool->epoch), 1);
    /* Number 3 was opened after the first failure, and the second one spares it. */
    weir_lease b = take(pool);
    check_int(fake_number(&b), 3);
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

static void a_reset_that_finds_another_server_replaces_all_that_were_opened_before(void)
{
    weir_pool *pool = open_two();
    weir_pool_stats stats;

    weir_lease a = take(pool);
    f.behaviour[FAKE_RESET].fail_next = 1;
    f.behaviour[FAKE_RESET].status = WEIR_CONNECT;
    give(pool, &a);
    check_int(atomic_load(&pool->epoch), 1);
    a = take(pool);
    weir_lease b = take(pool);
    check(fake_number(&a) > 2 && fake_number(&b) > 2);
    give(pool, &a);
    give(pool, &b);
    weir_pool_get_stats(pool, &stats);
    check_int(stats.closed_by[WEIR_REASON_RESET], 1);
    check_int(stats.closed_by[WEIR_REASON_EVICTED], 1);
    /* Any other failure costs its own connection only. */
    a = take(pool);
    f.behaviour[FAKE_RESET].fail_next = 1;
    f.behaviour[FAKE_RESET].status = WEIR_DISCONNECTED;
    give(pool, &a);
    check_int(atomic_load(&pool->epoch), 1);
    weir_pool_close(pool);
}

static void a_ping_cut_short_by_the_callers_deadline_blames_no_other(void)
{
    weir_pool *pool = open_two();
    weir_lease none = {0};

    f.now += 10 * WEIR_SECOND;
    weir_time deadline = f.now + WEIR_SECOND;
    f.behaviour[FAKE_PING].takes = 30 * WEIR_SECOND;
    check_int(weir_pool_acquire(pool, deadline, &none, &e), WEIR_TIMEOUT);
    check_int(f.now, deadline);
    check_int(f.behaviour[FAKE_PING].deadline, deadline);
    check_int(atomic_load(&pool->epoch), 0);
    check_int(f.live, 1);
    check_status(pool, 2, 2, 0, 0);
    f.behaviour[FAKE_PING].takes = 0;
    weir_lease a = take(pool);
    weir_lease b = take(pool);
    check_int(f.opened, 3);
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

static void a_ping_that_used_up_its_own_time_blames_all(void)
{
    weir_pool *pool = open_two();

    f.now += 10 * WEIR_SECOND;
    f.behaviour[FAKE_PING].takes = 30 * WEIR_SECOND;
    weir_time before = f.now;
    weir_lease a = take(pool);
    check_int(f.now - before, 5 * WEIR_SECOND);
    check_int(atomic_load(&pool->epoch), 1);
    give(pool, &a);
    weir_pool_close(pool);
}

static void a_ping_without_a_callers_deadline_has_its_own(void)
{
    static const weir_time deadlines[] = {WEIR_DEADLINE_NOW, WEIR_DEADLINE_NEVER,
                                          WEIR_DEADLINE_DEFAULT};
    weir_pool *pool = open_two();

    for (int i = 0; i < 3; i++) {
        weir_lease c = {0};
        f.now += WEIR_SECOND;
        check_int(weir_pool_acquire(pool, deadlines[i], &c, &e), WEIR_OK);
        check_int(calls(FAKE_PING), i + 1);
        check_int(f.behaviour[FAKE_PING].deadline, f.now + 5 * WEIR_SECOND);
        give(pool, &c);
    }
    weir_pool_close(pool);
}

/* ---- one absolute deadline --------------------------------------------------------------- */

static weir_lease held;

static void discard_after_two_seconds(struct fake *fake)
{
    fake->on_wait = NULL;
    fake->now += 2 * WEIR_SECOND;
    check_int(weir_pool_discard(&held, NULL), WEIR_OK);
}

static void waiting_and_opening_share_one_deadline(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_timeout_ms = 5000;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease none = {0};

    held = take(pool);
    f.on_wait = discard_after_two_seconds;
    f.behaviour[FAKE_CONNECT].takes = 60 * WEIR_SECOND;
    check_int(weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &none, &e), WEIR_TIMEOUT);
    check_int(f.behaviour[FAKE_CONNECT].deadline, FAKE_START + 5 * WEIR_SECOND);
    check_int(f.now, FAKE_START + 5 * WEIR_SECOND);
    check_status(pool, 1, 1, 0, 0);
    weir_pool_close(pool);
}

static void pinging_and_opening_share_one_deadline(void)
{
    weir_pool *pool = open_two();

    f.now += WEIR_SECOND;
    weir_time deadline = f.now + 8 * WEIR_SECOND;
    f.behaviour[FAKE_PING].takes = 6 * WEIR_SECOND; /* ends at ping_timeout, after 5 */
    f.behaviour[FAKE_CONNECT].takes = 6 * WEIR_SECOND;
    weir_lease none = {0};
    check_int(weir_pool_acquire(pool, deadline, &none, &e), WEIR_TIMEOUT);
    check_int(f.behaviour[FAKE_CONNECT].deadline, deadline);
    check_int(f.now, deadline);
    weir_pool_close(pool);
}

static void wakes_for_no_reason_do_not_add_up(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_timeout_ms = 250;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c = take(pool);

    f.spurious = 1000000;
    refused(pool, WEIR_TIMEOUT);
    check_int(f.now - FAKE_START, 250 * WEIR_MS);
    check_int(f.waits, 250);
    give(pool, &c);
    weir_pool_close(pool);
}

static void with_deadline_now_only_the_driver_bounds_the_opening(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = {0};

    f.behaviour[FAKE_CONNECT].takes = 100 * WEIR_SECOND;
    check_int(weir_pool_try_acquire(pool, &c, &e), WEIR_OK);
    check_int(f.behaviour[FAKE_CONNECT].deadline, WEIR_DEADLINE_NEVER);
    give(pool, &c);
    weir_pool_close(pool);
}

/* Under overload many come too late already; each would close a good connection, and open none. */
static void one_who_comes_after_its_deadline_costs_no_connection(void)
{
    weir_pool *pool = open_two();
    weir_lease c = {0};
    weir_pool_stats s;

    f.now += WEIR_SECOND;
    check_int(weir_pool_acquire(pool, f.now - WEIR_MS, &c, &e), WEIR_TIMEOUT);
    check_int(calls(FAKE_PING), 0);
    check_int(f.live, 2);
    check_text(fake_heard(&heard), "timeout");
    check_contains(e.text, "deadline passed");
    check_status(pool, 2, 2, 0, 0);
    weir_pool_get_stats(pool, &s);
    check_int(s.timeouts, 1);

    /* Nor does it open one. */
    weir_pool_evict_all(pool);
    heard.count = 0;
    check_int(weir_pool_acquire(pool, f.now, &c, &e), WEIR_TIMEOUT);
    check_int(calls(FAKE_CONNECT), 2);
    check_text(fake_heard(&heard), "timeout");
    check_status(pool, 2, 2, 0, 0);

    /* One that needs neither is still lent: it is there. */
    weir_lease a = take(pool);
    give(pool, &a);
    check_int(weir_pool_acquire(pool, f.now - WEIR_MS, &c, &e), WEIR_OK);
    give(pool, &c);
    weir_pool_close(pool);
}

/* ---- rest -------------------------------------------------------------------------------- */

static void trimming_closes_what_rested_long_enough_and_nothing_else(void)
{
    weir_pool *pool = open_pool(3, 0);
    weir_lease a = take(pool), b = take(pool), c = take(pool);
    weir_pool_stats s;

    give(pool, &a);
    f.now += 10 * WEIR_SECOND;
    give(pool, &b);
    f.now += 20 * WEIR_SECOND - 1;
    weir_pool_trim(pool, 30000);
    check_int(f.live, 3);
    f.now += 1;
    weir_pool_trim(pool, 30000);
    check_int(f.live, 2);
    check_status(pool, 3, 1, -1, 1);
    f.now += 60 * WEIR_SECOND;
    weir_pool_trim(pool, -1);
    check_int(f.live, 2);
    weir_pool_trim(pool, 0);
    check_int(f.live, 1); /* the one on loan */
    give(pool, &c);
    weir_pool_get_stats(pool, &s);
    check_int(s.closed_by[WEIR_REASON_IDLE], 2);
    check_int(s.connections, 1);

    /* The vacant slots serve again. */
    a = take(pool);
    b = take(pool);
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

/* ---- age --------------------------------------------------------------------------------- */

static void recycle_times_are_spread_within_the_jitter(void)
{
    static const int percents[] = {0, 10, 100};

    for (int i = 0; i < 3; i++) {
        fake_init(&f);
        weir_pool_options o = fake_options(&f, 400, 0);
        o.pool_recycle_s = 1000;
        o.recycle_jitter_percent = percents[i];
        weir_pool *pool = fake_open(&f, &o);
        weir_lease c[400];
        weir_time low = INT64_MAX;
        weir_time high = 0;

        for (int j = 0; j < 400; j++) {
            c[j] = take(pool);
            weir_time age = atomic_load(&c[j].slot->expires_at) - FAKE_START;
            low = age < low ? age : low;
            high = age > high ? age : high;
        }
        weir_time span = 10 * percents[i] * WEIR_SECOND;
        check(low >= 1000 * WEIR_SECOND - span && high <= 1000 * WEIR_SECOND);
        check(high - low >= span / 10 * 9);
        for (int j = 0; j < 400; j++)
            check_int(weir_pool_release(&c[j]), WEIR_OK);
        weir_pool_close(pool);
    }
}

static void evict_meanwhile(struct fake *fake)
{
    fake->behaviour[FAKE_CONNECT].hook = NULL;
    weir_pool_evict_all(shared_pool);
}

/* The server may have failed over between the connect and its end. */
static void a_connection_that_was_being_opened_during_an_eviction_counts_as_older(void)
{
    weir_pool *pool = open_pool(1, 0);

    shared_pool = pool;
    f.behaviour[FAKE_CONNECT].hook = evict_meanwhile;
    weir_lease c = take(pool);
    check_int(fake_number(&c), 1);
    give(pool, &c);
    check_int(f.live, 0);
    c = take(pool);
    give(pool, &c);
    check_int(f.live, 1);
    weir_pool_close(pool);
}

static void eviction_closes_the_idle_now_and_the_leased_on_return(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 3, 1);
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c[4];
    weir_pool_stats s;

    for (int i = 0; i < 4; i++)
        c[i] = take(pool);
    give(pool, &c[0]);
    give(pool, &c[1]);
    fake_listen(pool, &heard);
    weir_pool_evict_all(pool);
    check_int(heard.events[0].reason, WEIR_REASON_EVICTED);
    check(heard.events[0].file == NULL);
    check_text(fake_heard(&heard), "close close");
    check_int(f.live, 2);
    check_status(pool, 3, 2, 1, 2);
    give(pool, &c[2]);
    check_text(fake_heard(&heard), "close checkin");
    check_status(pool, 3, 3, 1, 1);
    give(pool, &c[3]);
    check_status(pool, 3, 3, 0, 0);
    check_int(f.live, 0);
    for (int i = 0; i < 4; i++)
        c[i] = take(pool);
    check_int(f.max_live, 4);
    for (int i = 0; i < 4; i++)
        give(pool, &c[i]);
    weir_pool_get_stats(pool, &s);
    check_int(s.closed_by[WEIR_REASON_EVICTED], 4);
    weir_pool_close(pool);
}

int main(void)
{
    run(checks_run_from_the_cheapest_to_the_dearest);
    run(an_evicted_connection_is_replaced_without_a_look);
    run(a_stale_socket_replaces_this_connection_and_no_other);
    run(a_connection_just_opened_is_not_pinged_and_not_looked_at);
    run(the_ping_is_skipped_within_the_window_and_not_after_it);
    run(without_pre_ping_or_without_a_ping_nothing_is_pinged);
    run(the_first_failed_ping_replaces_all_older_connections);
    run(pings_that_fail_together_end_the_epoch_only_once);
    run(a_reset_that_finds_another_server_replaces_all_that_were_opened_before);
    run(a_ping_cut_short_by_the_callers_deadline_blames_no_other);
    run(a_ping_that_used_up_its_own_time_blames_all);
    run(a_ping_without_a_callers_deadline_has_its_own);
    run(waiting_and_opening_share_one_deadline);
    run(pinging_and_opening_share_one_deadline);
    run(wakes_for_no_reason_do_not_add_up);
    run(with_deadline_now_only_the_driver_bounds_the_opening);
    run(one_who_comes_after_its_deadline_costs_no_connection);
    run(trimming_closes_what_rested_long_enough_and_nothing_else);
    run(recycle_times_are_spread_within_the_jitter);
    run(a_connection_that_was_being_opened_during_an_eviction_counts_as_older);
    run(eviction_closes_the_idle_now_and_the_leased_on_return);
    return check_done();
}
