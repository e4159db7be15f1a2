/* SPDX-License-Identifier: MIT */
/* What a pool's listeners hear, in which order, and what their answers do. */
#include "unit/steps.h"

#include <unistd.h>

/* The names in the comments are those of SQLAlchemy's test/engine/test_pool.py. */

/* PoolEventsTest.test_first_connect_event_fires_once, test_connect_event_fires_subsequent,
 * test_checkout_event_fires_subsequent, test_checkin_event, test_reset_event. */
static void events_come_in_order_with_the_connection_they_are_about(void)
{
    weir_pool *pool = open_pool(5, 0);
    fake_listen(pool, &heard);
    int here = __LINE__ + 1;
    weir_lease a = take(pool);

    for (int i = 0; i < heard.count; i++) {
        check_int(heard.events[i].number, 1);
        check_int(heard.events[i].connection_id, weir_lease_connection_id(&a));
        check_text(heard.events[i].file, __FILE__);
        check_int(heard.events[i].line, here);
        check_int(heard.events[i].thread, gettid());
        check_int(heard.events[i].error, WEIR_OK);
        check_int(heard.events[i].reason, WEIR_REASON_NONE);
    }
    check_text(fake_heard(&heard), "first_connect connect checkout");
    weir_lease b = take(pool);
    check_int(heard.events[0].number, 2);
    check_text(fake_heard(&heard), "connect checkout");
    give(pool, &b);
    check_int(heard.events[0].number, 2);
    check_int(heard.events[1].number, 2);
    check_text(fake_heard(&heard), "reset checkin");
    give(pool, &a);
    heard.count = 0;
    a = take(pool);
    check_text(fake_heard(&heard), "checkout");
    give(pool, &a);
    weir_pool_close(pool);
}

/* PoolEventsTest.test_close: not at the return, but at the dispose. */
static void close_comes_when_the_connection_is_closed_and_names_no_holder(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);

    fake_listen(pool, &heard);
    give(pool, &c);
    check_text(fake_heard(&heard), "reset checkin");
    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, NULL), WEIR_OK);
    check_int(heard.events[0].number, 1);
    check_int(heard.events[0].reason, WEIR_REASON_DISPOSED);
    check(heard.events[0].file == NULL && heard.events[0].line == 0);
    check_int(heard.events[0].thread, 0);
    check_text(fake_heard(&heard), "close");
    weir_pool_close(pool);
    check_text(fake_heard(&heard), "");
}

/* PoolEventsTest.test_detach, test_detach_close, and no checkin for a detached one. */
static void a_detached_connection_gives_detach_and_close_detached_only(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);

    fake_listen(pool, &heard);
    check_int(weir_pool_detach(&c), WEIR_OK);
    check_int(heard.events[0].number, 1);
    check_int(heard.events[0].connection_id, weir_lease_connection_id(&c));
    check_text(fake_heard(&heard), "detach");
    give(pool, &c);
    check_int(heard.events[0].number, 1);
    check_int(heard.events[0].connection_id, 1);
    check_text(fake_heard(&heard), "close_detached");
    weir_pool_close(pool);
}

/* PoolEventsTest.test_invalidate_event_exception, _no_exception, test_soft_invalidate_event. */
static void invalidate_carries_its_cause_and_the_checkin_after_it_no_connection(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);
    weir_error cause;

    fake_listen(pool, &heard);
    weir_error_set(&cause, WEIR_DISCONNECTED, "gone");
    discard(pool, &c, &cause);
    check_int(heard.events[0].number, 1);
    check_int(heard.events[0].error, WEIR_DISCONNECTED);
    check_int(heard.events[0].reason, WEIR_REASON_DISCARDED);
    check_int(heard.events[1].reason, WEIR_REASON_DISCARDED);
    check_int(heard.events[2].number, 0);
    check_int(heard.events[2].connection_id, 0);
    check_text(fake_heard(&heard), "invalidate close checkin");

    c = take(pool);
    heard.count = 0;
    discard(pool, &c, NULL);
    check_int(heard.events[0].error, WEIR_OK);
    heard.count = 0;

    c = take(pool);
    heard.count = 0;
    check_int(weir_pool_soft_invalidate(&c), WEIR_OK);
    check_int(heard.events[0].number, 3);
    check_text(fake_heard(&heard), "soft_invalidate");
    give(pool, &c);
    check_text(fake_heard(&heard), "reset checkin");
    c = take(pool);
    check_int(heard.events[0].reason, WEIR_REASON_SOFT);
    check_text(fake_heard(&heard), "close connect checkout");
    give(pool, &c);
    weir_pool_close(pool);
}

/* DeprecatedPoolListenerTest.test_listeners, the part on invalidation and detaching: how many
 * connect, checkout and checkin events there are after each step. */
static void events_count_up_as_the_model_counts_them(void)
{
    weir_pool *pool = open_pool(5, 0);
    weir_lease c = take(pool);

    fake_listen(pool, &heard);
    give(pool, &c);
    heard.count = 0;
    c = take(pool);
    check_text(fake_heard(&heard), "checkout");
    discard(pool, &c, NULL);
    check_text(fake_heard(&heard), "invalidate close checkin");
    c = take(pool);
    check_text(fake_heard(&heard), "connect checkout");
    check_int(weir_pool_detach(&c), WEIR_OK);
    weir_lease d = take(pool);
    check_text(fake_heard(&heard), "detach connect checkout");
    give(pool, &c);
    check_text(fake_heard(&heard), "close_detached");
    give(pool, &d);
    check_text(fake_heard(&heard), "reset checkin");
    weir_pool_close(pool);
}

/* PoolEventsTest.test_connect_event_fails_invalidates, and the counters: a place that was never
 * open does not stay counted. */
static void a_listener_that_refuses_a_new_connection_has_it_closed(void)
{
    weir_pool *pool = open_pool(1, 1);

    fake_listen(pool, &heard);
    fake_answer(&heard, WEIR_EVENT_CONNECT, WEIR_QUERY, 1);
    refused(pool, WEIR_QUERY);
    check_contains(e.text, "a listener refused the new connection");
    check_int(heard.events[2].reason, WEIR_REASON_HOOK);
    check_text(fake_heard(&heard), "first_connect connect invalidate close");
    check_status(pool, 1, 0, -1, 0);
    weir_lease c = take(pool);
    check_int(fake_number(&c), 2);
    check_text(fake_heard(&heard), "connect checkout");
    discard(pool, &c, NULL);
    check_status(pool, 1, 1, 0, 0);
    heard.count = 0;

    /* The place that is counted already stays counted. */
    fake_answer(&heard, WEIR_EVENT_CONNECT, WEIR_QUERY, 1);
    refused(pool, WEIR_QUERY);
    check_status(pool, 1, 1, 0, 0);
    c = take(pool);
    give(pool, &c);
    weir_pool_close(pool);
    check_int(f.live, 0);
}

/* SQLAlchemy's exec_once_unless_exception: what is to be done once is done until it succeeded. */
static void a_refused_first_connect_comes_again(void)
{
    weir_pool *pool = open_pool(1, 0);

    fake_listen(pool, &heard);
    fake_answer(&heard, WEIR_EVENT_FIRST_CONNECT, WEIR_CONNECT, 1);
    refused(pool, WEIR_CONNECT);
    check_text(fake_heard(&heard), "first_connect invalidate close");
    weir_lease c = take(pool);
    check_text(fake_heard(&heard), "first_connect connect checkout");
    discard(pool, &c, NULL);
    heard.count = 0;
    c = take(pool);
    check_text(fake_heard(&heard), "connect checkout");
    give(pool, &c);
    weir_pool_close(pool);
}

/* What the other thread does while the first one is in its listener. */
static weir_status (*meanwhile)(weir_pool *pool, weir_lease *lease);

static weir_status acquire_in_time(weir_pool *pool, weir_lease *lease)
{
    return weir_pool_acquire(pool, f.now + WEIR_MS, lease, &e);
}

static weir_status acquire_with_the_pools_own_timeout(weir_pool *pool, weir_lease *lease)
{
    return weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, lease, &e);
}

static weir_status try_to_acquire(weir_pool *pool, weir_lease *lease)
{
    return weir_pool_try_acquire(pool, lease, &e);
}

static weir_status open_another_meanwhile(const weir_pool_event *event, void *arg)
{
    weir_lease other = {0};
    weir_pool_stats s;

    check_int(meanwhile(event->pool, &other), WEIR_TIMEOUT);
    check_int(e.status, WEIR_TIMEOUT);
    check_contains(e.text, "deadline passed");
    check(strstr(e.text, "refused") == NULL);
    check(other.pool == NULL);
    check_text(fake_heard(arg), "first_connect timeout");
    weir_pool_get_stats(event->pool, &s);
    check_int(s.timeouts, 1);
    check_int(s.closes, 0);
    check_int(s.connections, 2);
    check_int(s.idle, 1);
    return WEIR_OK;
}

/*
 * PoolFirstConnectSyncTest.test_sync: nobody gets a connection before the first_connect is done.
 * The listener plays the other thread, which can therefore only wait in vain; what it opened is kept
 * for whoever comes next, and offered to the listeners then.
 */
static void open_during_the_first_connect(weir_status (*how)(weir_pool *pool, weir_lease *lease))
{
    weir_pool *pool = open_pool(2, 0);

    meanwhile = how;
    fake_listen(pool, &heard);
    check_int(weir_pool_listen(pool, WEIR_EVENT_BIT(WEIR_EVENT_FIRST_CONNECT),
                               open_another_meanwhile, &heard, &e),
              WEIR_OK);
    weir_lease a = take(pool);
    check_text(fake_heard(&heard), "connect checkout");
    check_status(pool, 2, 1, 0, 1);

    /* The pool's own timeout is so long that what rested meanwhile is pinged. */
    weir_lease b = take(pool);
    check_text(fake_heard(&heard), how == acquire_with_the_pools_own_timeout
                                       ? "ping connect checkout"
                                       : "connect checkout");
    check_int(f.opened, 2);
    give(pool, &b);
    heard.count = 0;
    b = take(pool);
    check_text(fake_heard(&heard), "checkout");
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
    check_int(f.live, 0);
}

static void others_who_open_wait_until_the_first_connect_is_done(void)
{
    open_during_the_first_connect(acquire_in_time);
    open_during_the_first_connect(acquire_with_the_pools_own_timeout);
}

static void a_try_does_not_wait_for_the_first_connect_of_another(void)
{
    open_during_the_first_connect(try_to_acquire);
    check_int(f.waits, 0);
}

static weir_status open_one_and_leave_it(const weir_pool_event *event, void *arg)
{
    weir_lease other = {0};

    (void)arg;
    if (f.opened == 1)
        check_int(weir_pool_try_acquire(event->pool, &other, &e), WEIR_TIMEOUT);
    return WEIR_OK;
}

/* A place whose connection rested counts, also when a listener refuses that connection later. */
static void a_connection_kept_from_the_first_connect_can_still_be_refused(void)
{
    weir_pool *pool = open_pool(2, 0);

    fake_listen(pool, &heard);
    check_int(weir_pool_listen(pool, WEIR_EVENT_BIT(WEIR_EVENT_FIRST_CONNECT),
                               open_one_and_leave_it, NULL, &e),
              WEIR_OK);
    weir_lease a = take(pool);
    heard.count = 0;
    fake_answer(&heard, WEIR_EVENT_CONNECT, WEIR_QUERY, 1);
    refused(pool, WEIR_QUERY);
    check_contains(e.text, "a listener refused the new connection");
    check_text(fake_heard(&heard), "connect invalidate close");
    check_status(pool, 2, 1, 0, 1);
    give(pool, &a);
    weir_pool_close(pool);
}

static weir_status lend_the_kept_one_to_a_waiter(const weir_pool_event *event, void *arg)
{
    weir_lease other = {0};

    (void)arg;
    if (f.opened < 3)
        check_int(weir_pool_try_acquire(event->pool, &other, &e), WEIR_TIMEOUT);
    return WEIR_OK;
}

/* Overflow that nobody could be lent is closed as any overflow is; the listeners never saw it. */
static void a_connection_kept_from_the_first_connect_is_closed_when_it_is_surplus(void)
{
    weir_pool *pool = open_pool(1, 2);

    fake_listen(pool, &heard);
    check_int(weir_pool_listen(pool, WEIR_EVENT_BIT(WEIR_EVENT_FIRST_CONNECT),
                               lend_the_kept_one_to_a_waiter, NULL, &e),
              WEIR_OK);
    weir_lease a = take(pool);
    check_text(fake_heard(&heard), "first_connect timeout connect checkout");
    check_status(pool, 1, 1, 1, 1);
    give(pool, &a);
    check_status(pool, 1, 1, 0, 0);
    weir_pool_close(pool);
    check_int(f.live, 0);
}

/* QueuePoolTest.test_connect_handler_not_called_for_recycled. */
static void connect_is_not_heard_for_a_reconnect_that_failed(void)
{
    weir_pool *pool = open_pool(2, 2);
    weir_lease a = take(pool);
    weir_lease b = take(pool);

    give(pool, &a);
    give(pool, &b);
    weir_pool_evict_all(pool);
    fake_listen(pool, &heard);
    f.behaviour[FAKE_CONNECT].fail_next = 1;
    refused(pool, WEIR_CONNECT);
    check_text(fake_heard(&heard), "");
    a = take(pool);
    check_text(fake_heard(&heard), "connect checkout");
    give(pool, &a);
    weir_pool_close(pool);
}

/* QueuePoolTest.test_userspace_disconnectionerror_weakref_finalizer: replaced, not reset. */
static void a_listeners_disconnect_at_checkout_replaces_the_connection_once(void)
{
    weir_pool *pool = open_pool(1, 2);
    weir_lease c = take(pool);

    give(pool, &c);
    fake_listen(pool, &heard);
    fake_answer(&heard, WEIR_EVENT_CHECKOUT, WEIR_DISCONNECTED, 1);
    c = take(pool);
    check_int(fake_number(&c), 2);
    check_int(heard.events[1].reason, WEIR_REASON_HOOK);
    check_text(fake_heard(&heard), "checkout invalidate close connect checkout");
    check_int(f.behaviour[FAKE_RESET].calls, 1);
    give(pool, &c);
    heard.count = 0;

    /* Two attempts, then it is given up; the place is kept. */
    fake_answer(&heard, WEIR_EVENT_CHECKOUT, WEIR_DISCONNECTED, -1);
    refused(pool, WEIR_DISCONNECTED);
    check_contains(e.text, "a checkout listener refused");
    check_text(fake_heard(&heard),
               "checkout invalidate close connect checkout invalidate close checkin");
    check_status(pool, 1, 1, 0, 0);
    check_int(f.live, 0);
    weir_pool_close(pool);
}

static void a_checkout_that_was_heard_ends_with_a_checkin_when_its_reconnect_fails(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);

    give(pool, &c);
    fake_listen(pool, &heard);
    fake_answer(&heard, WEIR_EVENT_CHECKOUT, WEIR_DISCONNECTED, 1);
    f.behaviour[FAKE_CONNECT].fail_next = 1;
    refused(pool, WEIR_CONNECT);
    check_text(fake_heard(&heard), "checkout invalidate close checkin");
    check_status(pool, 1, 1, 0, 0);
    weir_pool_close(pool);
}

/* Any other failure of a checkout listener: the connection goes back, and so does its place. */
static void another_failure_at_checkout_puts_the_connection_back(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);

    give(pool, &c);
    fake_listen(pool, &heard);
    fake_answer(&heard, WEIR_EVENT_CHECKOUT, WEIR_QUERY, 1);
    refused(pool, WEIR_QUERY);
    check_text(fake_heard(&heard), "checkout checkin");
    check_status(pool, 1, 1, 0, 0);
    check_int(f.live, 1);
    c = take(pool);
    check_int(fake_number(&c), 1);
    give(pool, &c);
    weir_pool_close(pool);
}

static weir_status note_order(const weir_pool_event *event, void *arg)
{
    static int called;

    (void)event;
    *(int *)arg = ++called;
    return WEIR_OK;
}

static void listeners_are_called_in_the_order_they_came_and_by_their_mask(void)
{
    weir_pool *pool = open_pool(1, 0);
    int order[8] = {0};

    for (int i = 0; i < 8; i++) {
        unsigned mask =
            i == 3 ? WEIR_EVENT_BIT(WEIR_EVENT_DETACH) : WEIR_EVENT_BIT(WEIR_EVENT_CONNECT);
        check_int(weir_pool_listen(pool, mask, note_order, &order[i], &e), WEIR_OK);
    }
    check_int(weir_pool_listen(pool, WEIR_EVENT_ALL, note_order, &order[0], &e), WEIR_FULL);
    check_contains(e.text, "8 listeners");
    weir_lease c = take(pool);
    for (int i = 0; i < 8; i++)
        check_int(order[i], i == 3 ? 0 : i < 3 ? i + 1 : i);
    give(pool, &c);
    weir_pool_close(pool);
}

/* The two that are weir's own. */
static void a_timeout_and_a_failed_ping_are_heard_with_their_errors(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);
    weir_lease none = {0};

    fake_listen(pool, &heard);
    int here = __LINE__ + 1;
    check_int(weir_pool_acquire(pool, f.now + WEIR_MS, &none, NULL), WEIR_TIMEOUT);
    check_int(heard.events[0].error, WEIR_TIMEOUT);
    check_int(heard.events[0].number, 0);
    check_text(heard.events[0].file, __FILE__);
    check_int(heard.events[0].line, here);
    check_text(fake_heard(&heard), "timeout");

    give(pool, &c);
    heard.count = 0;
    f.now += WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = 1;
    c = take(pool);
    check_int(heard.events[0].error, WEIR_DISCONNECTED);
    check_int(heard.events[0].number, 1);
    check_int(heard.events[1].error, WEIR_DISCONNECTED);
    check_int(heard.events[1].reason, WEIR_REASON_PING);
    check_text(fake_heard(&heard), "ping_failure invalidate close connect checkout");
    give(pool, &c);
    weir_pool_close(pool);
}

static void every_event_and_reason_has_its_word(void)
{
    static const char *const words[] = {
        "connect",    "first_connect",   "checkout", "checkin", "reset",
        "invalidate", "soft_invalidate", "close",    "detach",  "close_detached",
        "timeout",    "ping_failure",    "wait",     "leak",    "nested",
        "ping",       "peer_limit"};

    check_int(sizeof words / sizeof words[0], WEIR_EVENT_COUNT);
    for (int i = 0; i < WEIR_EVENT_COUNT; i++)
        check_text(weir_pool_event_name((weir_pool_event_kind)i), words[i]);
    check_text(weir_pool_event_name(WEIR_EVENT_COUNT), "unknown");
    check_text(weir_reason_name(WEIR_REASON_OVERFLOW), "overflow");
    check_text(weir_reason_name(WEIR_REASON_COUNT), "unknown");
}

int main(void)
{
    run(events_come_in_order_with_the_connection_they_are_about);
    run(close_comes_when_the_connection_is_closed_and_names_no_holder);
    run(a_detached_connection_gives_detach_and_close_detached_only);
    run(invalidate_carries_its_cause_and_the_checkin_after_it_no_connection);
    run(events_count_up_as_the_model_counts_them);
    run(a_listener_that_refuses_a_new_connection_has_it_closed);
    run(a_refused_first_connect_comes_again);
    run(others_who_open_wait_until_the_first_connect_is_done);
    run(a_try_does_not_wait_for_the_first_connect_of_another);
    run(a_connection_kept_from_the_first_connect_can_still_be_refused);
    run(a_connection_kept_from_the_first_connect_is_closed_when_it_is_surplus);
    run(connect_is_not_heard_for_a_reconnect_that_failed);
    run(a_listeners_disconnect_at_checkout_replaces_the_connection_once);
    run(a_checkout_that_was_heard_ends_with_a_checkin_when_its_reconnect_fails);
    run(another_failure_at_checkout_puts_the_connection_back);
    run(listeners_are_called_in_the_order_they_came_and_by_their_mask);
    run(a_timeout_and_a_failed_ping_are_heard_with_their_errors);
    run(every_event_and_reason_has_its_word);
    return check_done();
}
