/* SPDX-License-Identifier: MIT */
/* A peer that takes fewer connections than the pool may have: who waits, who opens, and when again. */
#include "unit/steps.h"

#include "pool/peer.h"

#include <stdatomic.h>
#include <time.h>

static weir_pool *the_pool;
static weir_lease held[8];
static weir_lease got;

/* A pool of `size` before a peer that takes `room`, all of which are lent. */
static void open_before(int room, int size)
{
    the_pool = open_pool(size, 0);
    f.room = room;
    for (int i = 0; i < room; i++)
        held[i] = take(the_pool);
    fake_listen(the_pool, &heard);
    got = (weir_lease){0};
}

static void give_back_and_close(int count)
{
    f.on_wait = NULL;
    f.room = 0;
    for (int i = 0; i < count; i++)
        give(the_pool, &held[i]);
    weir_pool_close(the_pool);
    check_int(f.live, 0);
}

static weir_pool_stats stats(void)
{
    weir_pool_stats s;

    weir_pool_get_stats(the_pool, &s);
    return s;
}

/* ---- who waits --------------------------------------------------------------------------- */

static void return_the_first(struct fake *fake)
{
    fake->on_wait = NULL;
    check_int(stats().waiters, 1);
    check_int(stats().peer_limit, 2);
    check_int(pool_check(the_pool), 0);
    check_int(weir_pool_release(&held[0]), WEIR_OK);
}

static void who_finds_the_peer_full_is_served_by_what_comes_back(void)
{
    open_before(2, 5);
    f.on_wait = return_the_first;
    got = take(the_pool);
    check_int(fake_number(&got), 1);
    check_int(f.now, FAKE_START);
    check_int(heard.events[0].error, WEIR_FULL);
    check_contains(heard.text, "the peer accepts no more than 2 connections");
    check_contains(heard.text, "too many clients already");
    check(heard.events[0].duration >= 50 * WEIR_MS && heard.events[0].duration <= 100 * WEIR_MS);
    check_text(fake_heard(&heard), "peer_limit reset checkin wait checkout");
    check_int(stats().peer_refusals, 1);
    check_int(stats().connect_errors, 1);
    check_int(stats().waits, 1);
    check_int(stats().timeouts, 0);
    check_int(stats().overflow, -3);
    held[0] = got;
    give_back_and_close(2);
}

static void newcomers_open_nothing_while_the_limit_is_fresh(void)
{
    open_before(2, 5);
    f.on_wait = return_the_first;
    held[0] = take(the_pool);
    int asked = f.behaviour[FAKE_CONNECT].calls;
    for (int i = 0; i < 20; i++) {
        f.on_wait = return_the_first;
        held[0] = take(the_pool);
    }
    check_int(f.behaviour[FAKE_CONNECT].calls, asked);
    check_int(stats().connect_errors, 1);
    give_back_and_close(2);
}

static void return_while_it_is_refused(struct fake *fake)
{
    fake->behaviour[FAKE_CONNECT].hook = NULL;
    check_int(weir_pool_release(&held[1]), WEIR_OK);
}

static void what_came_back_while_it_was_refused_is_taken_without_waiting(void)
{
    open_before(2, 5);
    f.behaviour[FAKE_CONNECT].hook = return_while_it_is_refused;
    got = take(the_pool);
    check_int(fake_number(&got), 2);
    check_int(f.waits, 0);
    held[1] = got;
    give_back_and_close(2);
}

static struct weir_slot *opening;
static uint64_t opening_token;
static struct acquire older;

static void release_for_the_older(struct fake *fake)
{
    fake->on_wait = NULL;
    check_int(stats().waiters, 2);
    check_int(pool_check(the_pool), 0);
    check_int(weir_pool_release(&held[0]), WEIR_OK);
}

/* The older one, whose connect is refused while the younger waits, is played here. */
static void be_refused_as_the_older(struct fake *fake)
{
    weir_error cause;

    weir_error_set(&cause, WEIR_CONNECT, "too many clients already");
    fake->on_wait = release_for_the_older;
    check_int(weir__queue_retake(the_pool, &older, &opening, &opening_token, &cause), WEIR_OK);
    check_int(stats().waiters, 1);
    check(opening->connection == held[2].connection);
    check_int(weir_pool_release(&held[1]), WEIR_OK);
}

static void who_was_refused_stands_before_those_who_came_later(void)
{
    open_before(2, 3);
    held[2] = held[0];
    older = (struct acquire){.deadline = f.now + WEIR_SECOND};
    check_int(weir__queue_take(the_pool, &older, &opening, &opening_token, &e), WEIR_OK);
    older.began = f.now;
    f.now += WEIR_MS;
    f.on_wait = be_refused_as_the_older;
    got = take(the_pool);
    check_int(fake_number(&got), 2);
    check_int(f.behaviour[FAKE_CONNECT].calls, 2);
    weir__slot_free(the_pool, opening, opening_token, SLOT_IDLE);
    held[0] = got;
    give_back_and_close(1);
}

/* ---- who does not ------------------------------------------------------------------------ */

static void with_nothing_open_the_peers_answer_is_the_callers(void)
{
    the_pool = open_pool(5, 0);
    fake_listen(the_pool, &heard);
    f.behaviour[FAKE_CONNECT].status = WEIR_FULL;
    f.behaviour[FAKE_CONNECT].fail_next = 3;
    for (int i = 0; i < 3; i++) {
        refused(the_pool, WEIR_CONNECT);
        check_contains(e.text, "fake connect");
    }
    check_int(f.behaviour[FAKE_CONNECT].calls, 3);
    check_int(f.waits, 0);
    check_int(stats().peer_limit, 0);
    check_int(stats().peer_refusals, 0);
    check_text(fake_heard(&heard), "");
    check_status(the_pool, 5, 0, -5, 0);
    held[0] = take(the_pool);
    give_back_and_close(1);
}

static void who_never_waits_is_told_at_once(void)
{
    open_before(2, 5);
    for (int i = 0; i < 2; i++) {
        check_int(weir_pool_try_acquire(the_pool, &got, i == 0 ? &e : NULL), WEIR_TIMEOUT);
        check_contains(e.text, "limit of 2 connections that the peer accepts reached");
        check_int(pool_check_live(the_pool, &f), 0);
    }
    check_int(f.waits, 0);
    check_int(f.behaviour[FAKE_CONNECT].calls, 3);
    check_int(stats().timeouts, 2);
    check_text(fake_heard(&heard), "peer_limit timeout timeout");
    give_back_and_close(2);
}

static void the_deadline_bounds_the_wait_and_says_whose_limit_it_was(void)
{
    open_before(2, 5);
    weir_time began = f.now;
    check_int(weir_pool_acquire(the_pool, began + 30 * WEIR_MS, &got, &e), WEIR_TIMEOUT);
    check_int(f.now, began + 30 * WEIR_MS);
    check_contains(e.text, "limit of 2 connections that the peer accepts reached");
    check_contains(e.text, "test_pool_peer.c");
    check_text(fake_heard(&heard), "peer_limit timeout");
    check_int(stats().timeouts, 1);
    check_int(pool_check_live(the_pool, &f), 0);
    give_back_and_close(2);
}

static void nobody_waits_where_nobody_may(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 5, 0);
    o.max_waiters = 0;
    the_pool = fake_open(&f, &o);
    f.room = 1;
    held[0] = take(the_pool);
    refused(the_pool, WEIR_FULL);
    refused(the_pool, WEIR_FULL);
    check_int(f.waits, 0);
    check_int(f.behaviour[FAKE_CONNECT].calls, 2);
    give_back_and_close(1);
}

static void close_meanwhile(struct fake *fake)
{
    fake->on_wait = NULL;
    check_int(weir_pool_dispose(the_pool, WEIR_DEADLINE_NOW, NULL), WEIR_TIMEOUT);
}

static void who_waits_for_a_full_peer_is_told_of_the_pools_end(void)
{
    open_before(2, 5);
    f.on_wait = close_meanwhile;
    refused(the_pool, WEIR_CLOSED);
    give_back_and_close(2);
}

/* ---- again ------------------------------------------------------------------------------- */

static void make_room(struct fake *fake)
{
    fake->on_wait = NULL;
    fake->room = 0;
}

static void after_the_pause_the_first_in_line_tries_one_more(void)
{
    open_before(2, 4);
    f.on_wait = make_room;
    weir_time began = f.now;
    held[2] = take(the_pool);
    check_int(fake_number(&held[2]), 3);
    check(f.now - began >= 50 * WEIR_MS && f.now - began <= 100 * WEIR_MS);
    check_text(fake_heard(&heard), "peer_limit wait connect checkout");
    check_int(stats().peer_limit, 3);

    /* It took one more, so the next need not wait; and then there is no limit left to speak of. */
    held[3] = take(the_pool);
    check(f.now - began <= 100 * WEIR_MS);
    check_int(stats().peer_limit, 0);
    give_back_and_close(4);
}

static void the_pauses_grow_to_five_seconds_and_no_further(void)
{
    open_before(2, 5);
    weir_time began = f.now;
    int asked = f.behaviour[FAKE_CONNECT].calls;
    check_int(weir_pool_acquire(the_pool, began + 60 * WEIR_SECOND, &got, &e), WEIR_TIMEOUT);
    int tries = f.behaviour[FAKE_CONNECT].calls - asked;
    printf("# %d tries in a minute\n", tries);
    check(tries >= 5 + 60 / 5 - 1 && tries <= 2 * (6 + 60 / 5));
    check_int(stats().peer_refusals, tries);
    check_int(stats().peer_limit, 2);
    check_int(pool_check_live(the_pool, &f), 0);
    give_back_and_close(2);
}

static void a_limit_is_forgotten_a_minute_after_the_last_refusal(void)
{
    open_before(2, 5);
    check_int(weir_pool_try_acquire(the_pool, &got, NULL), WEIR_TIMEOUT);
    f.now += 59 * WEIR_SECOND;
    check_int(stats().peer_limit, 2);
    f.now += 2 * WEIR_SECOND;
    check_int(stats().peer_limit, 0);
    f.room = 0;
    held[2] = take(the_pool);
    give_back_and_close(3);
}

static void a_connection_that_ended_is_replaced_without_a_pause(void)
{
    open_before(2, 5);
    check_int(weir_pool_try_acquire(the_pool, &got, NULL), WEIR_TIMEOUT);
    weir_time began = f.now;
    discard(the_pool, &held[0], NULL);
    held[0] = take(the_pool);
    check_int(f.now, began);
    check_int(fake_number(&held[0]), 3);
    check_int(stats().peer_limit, 2);
    give_back_and_close(2);
}

static void discard_the_first(struct fake *fake)
{
    fake->on_wait = NULL;
    check_int(weir_pool_discard(&held[0], NULL), WEIR_OK);
    check_int(pool_check(the_pool), 0);
}

static void a_broken_return_gives_the_right_to_open_in_its_place(void)
{
    open_before(2, 5);
    f.on_wait = discard_the_first;
    weir_time began = f.now;
    held[0] = take(the_pool);
    check_int(f.now, began);
    check_int(fake_number(&held[0]), 3);
    give_back_and_close(2);
}

static void lose_both_and_let_nobody_in(struct fake *fake)
{
    fake->on_wait = NULL;
    fake->behaviour[FAKE_CONNECT].fail_next = -1;
    check_int(weir_pool_discard(&held[0], NULL), WEIR_OK);
    check_int(weir_pool_discard(&held[1], NULL), WEIR_OK);
}

/* Nothing is left that could be waited for: what the peer says is the answer again. */
static void who_waits_is_not_stranded_when_the_last_connection_is_lost(void)
{
    open_before(2, 5);
    f.behaviour[FAKE_CONNECT].status = WEIR_FULL;
    f.on_wait = lose_both_and_let_nobody_in;
    weir_time began = f.now;
    refused(the_pool, WEIR_CONNECT);
    check_int(f.now, began);
    check_int(stats().peer_limit, 0);
    f.behaviour[FAKE_CONNECT].fail_next = 0;
    give_back_and_close(0);
}

static weir_lease second;

static void wait_as_the_second(struct fake *fake)
{
    fake->on_wait = make_room;
    check_int(weir_pool_acquire(the_pool, WEIR_DEADLINE_DEFAULT, &second, &e), WEIR_OK);
    check_int(pool_check(the_pool), 0);
}

/* The younger one notices first that the pause is over; the older is served by it, then itself. */
static void what_a_younger_waiter_finds_is_the_oldests(void)
{
    open_before(2, 4);
    f.on_wait = wait_as_the_second;
    got = take(the_pool);
    check_int(f.opened, 4);
    held[2] = second;
    held[3] = got;
    give_back_and_close(4);
}

/* ---- the arithmetic ---------------------------------------------------------------------- */

static void of_many_refusals_at_once_one_counts(void)
{
    struct peer one = {0};
    struct peer many = {0};
    weir_time now = 1000 * WEIR_SECOND;

    weir__peer_refused(&one, 4, now, now + WEIR_MS, 7);
    for (int i = 0; i < 12; i++)
        weir__peer_refused(&many, 4, now, now + WEIR_MS + i, 7);
    check_int(many.retry_at, one.retry_at);
    check_int(many.refused, 1);
    check_int(many.limit, 4);
    check(weir__peer_allows(&many, 3, now + 2 * WEIR_MS));
    check(!weir__peer_allows(&many, 4, now + 2 * WEIR_MS));
    check(weir__peer_allows(&many, 4, many.retry_at));
}

static void one_attempt_at_a_time_is_let_beyond_the_limit(void)
{
    struct peer peer = {0};
    weir_time now = 1000 * WEIR_SECOND;

    weir__peer_refused(&peer, 4, now, now, UINT64_MAX);
    now = peer.retry_at;
    weir__peer_attempt(&peer, 4, now, UINT64_MAX);
    check(!weir__peer_allows(&peer, 5, now + 199 * WEIR_MS));
    check(weir__peer_allows(&peer, 5, now + 200 * WEIR_MS));
    weir__peer_opened(&peer, 5, 16, now, now + WEIR_MS);
    check_int(peer.limit, 5);
    check(weir__peer_allows(&peer, 5, now + WEIR_MS));
    weir__peer_opened(&peer, 16, 16, now + WEIR_MS, now + 2 * WEIR_MS);
    check_int(peer.limit, 0);
}

static void connections_opened_beside_the_refused_raise_the_limit_and_prove_no_room(void)
{
    struct peer peer = {0};
    weir_time now = 1000 * WEIR_SECOND;

    weir__peer_refused(&peer, 0, now, now + WEIR_MS, 7);
    check_int(peer.limit, 1);
    weir__peer_opened(&peer, 3, 16, now, now + 2 * WEIR_MS);
    check_int(peer.limit, 3);
    check(!weir__peer_allows(&peer, 3, now + 3 * WEIR_MS));
}

/* ---- threads ----------------------------------------------------------------------------- */

static _Atomic int live;
static _Atomic int max_live;
static _Atomic int refusals;
static _Atomic int failures;
static _Atomic int served;

static weir_status connect_to_few(void *arg, weir_time deadline, void **ret_connection,
                                  weir_error *reterr)
{
    static int something;

    (void)arg, (void)deadline;
    if (atomic_fetch_add(&live, 1) >= 4) {
        atomic_fetch_sub(&live, 1);
        atomic_fetch_add(&refusals, 1);
        return weir_error_set(reterr, WEIR_FULL, "too many");
    }
    int now = atomic_load(&live);
    if (now > atomic_load(&max_live))
        atomic_store(&max_live, now);
    *ret_connection = &something;
    return WEIR_OK;
}

static void close_one_of_few(void *arg, void *connection)
{
    (void)arg, (void)connection;
    atomic_fetch_sub(&live, 1);
}

static void *borrow_often(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        weir_lease lease;
        weir_status status = weir_pool_acquire(arg, weir_deadline_in(20000), &lease, NULL);

        if (status != WEIR_OK) {
            atomic_fetch_add(&failures, 1);
            continue;
        }
        atomic_fetch_add(&served, 1);
        if (i % 97 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); /* some work */
        if (i % 101 == 0)
            status = weir_pool_discard(&lease, NULL);
        else
            status = weir_pool_release(&lease);
        if (status != WEIR_OK)
            atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

static void sixteen_threads_share_the_four_that_the_peer_takes(void)
{
    const weir_driver driver = {.connect = connect_to_few, .close = close_one_of_few};
    weir_pool_options o = WEIR_POOL_OPTIONS_DEFAULT;
    pthread_t threads[16];
    weir_pool_stats s;
    weir_pool *pool;

    o.pool_size = 16;
    o.max_overflow = 0;
    check_int(weir_pool_open(&o, &driver, NULL, &pool, NULL), WEIR_OK);
    for (int i = 0; i < 16; i++)
        check_int(pthread_create(&threads[i], NULL, borrow_often, pool), 0);
    for (int i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    weir_pool_get_stats(pool, &s);
    printf("# served %d, refused by the peer %d, attempts %d\n", atomic_load(&served),
           atomic_load(&refusals), (int)(s.connects + s.connect_errors));
    check_int(atomic_load(&failures), 0);
    check_int(atomic_load(&served), 16 * 2000);
    check_int(atomic_load(&max_live), 4);
    check(atomic_load(&refusals) <= 400);
    check_int(s.peer_refusals, atomic_load(&refusals));
    check_int(s.waiters, 0);
    weir_pool_close(pool);
    check_int(atomic_load(&live), 0);
}

int main(void)
{
    run(who_finds_the_peer_full_is_served_by_what_comes_back);
    run(newcomers_open_nothing_while_the_limit_is_fresh);
    run(what_came_back_while_it_was_refused_is_taken_without_waiting);
    run(who_was_refused_stands_before_those_who_came_later);
    run(with_nothing_open_the_peers_answer_is_the_callers);
    run(who_never_waits_is_told_at_once);
    run(the_deadline_bounds_the_wait_and_says_whose_limit_it_was);
    run(nobody_waits_where_nobody_may);
    run(who_waits_for_a_full_peer_is_told_of_the_pools_end);
    run(after_the_pause_the_first_in_line_tries_one_more);
    run(the_pauses_grow_to_five_seconds_and_no_further);
    run(a_limit_is_forgotten_a_minute_after_the_last_refusal);
    run(a_connection_that_ended_is_replaced_without_a_pause);
    run(a_broken_return_gives_the_right_to_open_in_its_place);
    run(who_waits_is_not_stranded_when_the_last_connection_is_lost);
    run(what_a_younger_waiter_finds_is_the_oldests);
    run(of_many_refusals_at_once_one_counts);
    run(one_attempt_at_a_time_is_let_beyond_the_limit);
    run(connections_opened_beside_the_refused_raise_the_limit_and_prove_no_room);
    run(sixteen_threads_share_the_four_that_the_peer_takes);
    return check_done();
}
