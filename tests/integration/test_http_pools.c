/* SPDX-License-Identifier: MIT */
/* The pools of an HTTP session: how many connections there are, who waits for them, when they go. */
#include "base/park.h"
#include "http/session.h"

#include "http_steps.h"

#include <stdatomic.h>

#define CROWD 32

/* "/hold…" is answered when the test lets go, everything else at once. */
static bool answer_or_hold(struct peer_exchange *x, void *arg)
{
    (void)arg;
    if (!peer_read_body(x) || (strncmp(x->target, "/hold", 5) == 0 && !peer_hold(x)))
        return false;
    return peer_reply(x, 200, "", "hello", 5);
}

/* Begin `count` GETs on threads, and wait until the peer holds all of them. */
static void hold_many(struct call *calls, int count, weir_http *session, struct peer *peer)
{
    char url[PEER_URL_SIZE];

    peer_url(peer, "/hold", url);
    for (int i = 0; i < count; i++)
        call_start(&calls[i], session, "GET", url, -1);
    check(peer_wait(peer, PEER_HELD, count));
}

static void join_all(struct call *calls, int count)
{
    for (int i = 0; i < count; i++) {
        struct outcome o = call_join(&calls[i]);
        check_outcome(o, WEIR_OK);
        check_int(o.http, 200);
    }
}

/* ---- how many ---------------------------------------------------------------------------- */

/* Pitfall 23 */
static void one_caller_uses_one_connection(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    peer_url(peer, "/", url);
    for (int i = 0; i < 50; i++) {
        struct outcome o = send_to(session, i % 2 == 0 ? "GET" : "POST", url, -1);
        check_outcome(o, WEIR_OK);
        check_int(o.report.opened, i == 0);
    }
    check_int(peer_connections(peer), 1);
    weir_http_origin origin = origin_of(session, url);
    check_int(origin.opened, 1);
    check_int(origin.reused, 49);
    check_int(origin.requests, 50);
    close_session(session);
    peer_stop(peer);
}

static void *send_five(void *arg)
{
    struct call *call = arg;

    for (int i = 0; i < 5 && call->outcome.status == WEIR_OK; i++)
        call->outcome = send_request(call->session, call->request, -1);
    return NULL;
}

/* Pitfall 23 */
static void a_crowd_shares_pool_maxsize_connections_where_it_has_to_wait(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call calls[CROWD];
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.pool_maxsize = 4;
    o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    weir_http *session = open_session(&o);
    peer_url(peer, "/", url);
    for (int i = 0; i < CROWD; i++) {
        calls[i] = (struct call){.session = session, .request = new_request("GET", url)};
        check_int(pthread_create(&calls[i].thread, NULL, send_five, &calls[i]), 0);
    }
    join_all(calls, CROWD);
    check_int(peer_requests(peer), 5 * CROWD);
    check(peer_connections(peer) <= 4);
    check_int(origin_of(session, url).opened, peer_connections(peer));
    close_session(session);
    peer_stop(peer);
}

/* Pitfall 23 */
static void overflow_opens_more_connections_and_keeps_pool_maxsize(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call calls[12];
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.pool_maxsize = 2;
    o.max_per_origin = 8;
    weir_http *session = open_session(&o);
    hold_many(calls, 8, session, peer);
    peer_url(peer, "/hold", url);
    for (int i = 8; i < 12; i++) /* and beyond max_per_origin they wait */
        call_start(&calls[i], session, "GET", url, -1);
    wait_for_waiters(session, url, 4);
    check_int(peer_connections(peer), 8);
    peer_let_go(peer);
    join_all(calls, 12);
    check(peer_wait(peer, PEER_OPEN, 2));
    check_int(peer_most_connections(peer), 8);
    int connections = peer_connections(peer);
    for (int i = 0; i < 4; i++)
        check_int(get(session, url).http, 200);
    check_int(peer_connections(peer), connections);
    check_int(peer_open_connections(peer), 2);
    close_session(session);
    peer_stop(peer);
}

static void a_full_pool_fails_at_once_where_it_is_told_to(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call calls[2];
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.pool_maxsize = 2;
    o.pool_block = WEIR_HTTP_WHEN_FULL_FAIL;
    weir_http *session = open_session(&o);
    hold_many(calls, 2, session, peer);
    struct outcome refused = get(session, peer_url(peer, "/", url));
    check_outcome(refused, WEIR_FULL);
    check_took(refused, 0, 0);
    check_int(refused.report.attempts, 0);
    check(!refused.report.was_sent);
    check_int(origin_of(session, url).refused, 1);
    peer_let_go(peer);
    join_all(calls, 2);
    check_int(get(session, url).http, 200);
    check_int(peer_connections(peer), 2);
    close_session(session);
    peer_stop(peer);
}

/* ---- waiting in the queue --------------------------------------------------------------------- */

/* Pitfall 22 */
static void waiting_in_line_is_no_part_of_an_attempts_time_and_is_reported(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call first;
    struct call second;
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.pool_maxsize = 1;
    o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    weir_http *session = open_session(&o);
    hold_many(&first, 1, session, peer);
    peer_url(peer, "/", url);
    second = (struct call){.session = session, .request = new_request("POST", url), .ms = -1};
    check_int(weir_http_request_try_timeout(second.request, HAS_SANITIZER ? 300 : 100), WEIR_OK);
    check_int(pthread_create(&second.thread, NULL, call_run, &second), 0);
    wait_for_waiters(session, url, 1);
    nap(HAS_SANITIZER ? 400 : 150);
    peer_let_go(peer);
    struct outcome waited = call_join(&second);
    check_outcome(waited, WEIR_OK);
    check_int(waited.report.attempts, 1);
    check(waited.report.waited >= (HAS_SANITIZER ? 400 : 150) * WEIR_MS);
    check(waited.report.waited <= waited.report.elapsed);
    join_all(&first, 1);
    close_session(session);
    peer_stop(peer);
}

/* Pitfall 22 */
static void nobody_waits_in_line_for_longer_than_acquire_timeout(void)
{
    static const int timeouts[] = {0, 80};
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call first[2];
    char url[PEER_URL_SIZE];
    weir_http *sessions[2];

    for (int i = 0; i < 2; i++) {
        weir_http_options o = quick_options();
        o.pool_maxsize = 1;
        o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
        o.acquire_timeout_ms = timeouts[i];
        sessions[i] = open_session(&o);
        call_start(&first[i], sessions[i], "GET", peer_url(peer, "/hold", url), -1);
        check(peer_wait(peer, PEER_HELD, i + 1));
        struct outcome late = get(sessions[i], peer_url(peer, "/", url));
        check_outcome(late, WEIR_TIMEOUT);
        check_took(late, timeouts[i], timeouts[i]);
        check_contains(late.error.text, "connection");
        check_int(late.report.attempts, 0);
        check(late.report.waited >= timeouts[i] * WEIR_MS);
        late = send_to(sessions[i], "POST", url, 40); /* nor beyond the deadline of all */
        check_outcome(late, WEIR_TIMEOUT);
        check_took(late, timeouts[i] / 2, timeouts[i] / 2);
        check(!late.report.was_sent);
    }
    check_int(peer_requests(peer), 2);
    peer_let_go(peer);
    join_all(first, 2);
    for (int i = 0; i < 2; i++) {
        check_int(get(sessions[i], url).http, 200);
        close_session(sessions[i]);
    }
    peer_stop(peer);
}

static void the_line_holds_max_waiters(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call calls[2];
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.pool_maxsize = 1;
    o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    o.max_waiters = 1;
    weir_http *session = open_session(&o);
    hold_many(calls, 1, session, peer);
    call_start(&calls[1], session, "GET", peer_url(peer, "/", url), -1);
    wait_for_waiters(session, url, 1);
    struct outcome refused = get(session, url);
    check_outcome(refused, WEIR_FULL);
    check_took(refused, 0, 0);
    peer_let_go(peer);
    join_all(calls, 2);
    close_session(session);
    peer_stop(peer);
}

static void max_total_holds_over_all_origins(void)
{
    struct peer *peers[2] = {start_peer(answer_or_hold, NULL), start_peer(answer_or_hold, NULL)};
    struct call calls[2];
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.max_total = 2;
    o.acquire_timeout_ms = 60;
    weir_http *session = open_session(&o);
    hold_many(calls, 2, session, peers[0]);
    struct outcome late = get(session, peer_url(peers[1], "/", url));
    check_outcome(late, WEIR_TIMEOUT);
    check_took(late, 60, 60);
    check_int(late.report.attempts, 0);
    check_int(peer_connections(peers[1]), 0);
    peer_let_go(peers[0]);
    join_all(calls, 2);
    check_int(get(session, url).http, 200);
    close_session(session);
    peer_stop(peers[0]);
    peer_stop(peers[1]);
}

/* max_total has a line of its own, in which they stand who have a connection of their origin. */
static void the_line_for_max_total_holds_max_waiters_too(void)
{
    struct peer *peers[2] = {start_peer(answer_or_hold, NULL), start_peer(answer_or_hold, NULL)};
    struct call calls[2];
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.max_total = 1;
    o.max_waiters = 1;
    weir_http *session = open_session(&o);
    hold_many(calls, 1, session, peers[0]);
    call_start(&calls[1], session, "GET", peer_url(peers[1], "/", url), -1);
    weir_pool_stats total = {0};
    for (int i = 0; i < 10000 && total.waiters != 1; i++) {
        nap(1);
        weir_pool_get_stats(session->total, &total);
    }
    check_int(total.waiters, 1);
    struct outcome refused = get(session, url);
    check_outcome(refused, WEIR_FULL);
    check_contains(refused.error.text, "max_total");
    check_int(refused.report.attempts, 0);
    check(!refused.report.was_sent);
    check_int(peer_connections(peers[1]), 0);
    peer_let_go(peers[0]);
    join_all(calls, 2);
    check_int(get(session, url).http, 200);
    close_session(session);
    peer_stop(peers[0]);
    peer_stop(peers[1]);
}

/* ---- when they go ------------------------------------------------------------------------ */

static void a_connection_that_rested_too_long_is_not_used_again(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.idle_timeout_ms = 50;
    weir_http *session = open_session(&o);
    check_int(get(session, peer_url(peer, "/", url)).http, 200);
    nap(60);
    struct outcome again = get(session, url);
    check_int(again.http, 200);
    check_int(again.report.attempts, 1);
    check_int(again.report.opened, 1);
    check(peer_wait(peer, PEER_OPEN, 1));
    nap(60);
    weir_http_maintain(session);
    check(peer_wait(peer, PEER_OPEN, 0));
    close_session(session);
    peer_stop(peer);
}

static void a_pool_in_use_lets_go_of_what_rests_too_long(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    weir_http_options o = quick_options();
    struct call rush[3];
    char url[PEER_URL_SIZE];

    o.idle_timeout_ms = 200;
    weir_http *session = open_session(&o);
    peer_url(peer, "/hold", url);
    for (int i = 0; i < 3; i++)
        call_start(&rush[i], session, "GET", url, -1);
    check(peer_wait(peer, PEER_HELD, 3));
    peer_let_go(peer);
    for (int i = 0; i < 3; i++)
        check_int(call_join(&rush[i]).http, 200);
    check_int(peer_open_connections(peer), 3);
    peer_url(peer, "/", url);
    weir_time until = weir_deadline_in(10000);
    while (peer_open_connections(peer) > 1 && weir_now() < until) {
        check_int(get(session, url).http, 200);
        nap(20);
    }
    check_int(peer_open_connections(peer), 1);
    check_int(peer_connections(peer), 3);
    close_session(session);
    peer_stop(peer);
}

static void without_an_idle_timeout_no_connection_is_used_twice(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.idle_timeout_ms = 0;
    weir_http *session = open_session(&o);
    for (int i = 1; i <= 3; i++) {
        check_int(get(session, peer_url(peer, "/", url)).http, 200);
        check_int(peer_connections(peer), i);
        check(peer_wait(peer, PEER_OPEN, 0));
    }
    close_session(session);
    peer_stop(peer);
}

/* Answers with the header fields of its argument, whose first line is repeated until the last. */
static bool answer_with(struct peer_exchange *x, void *arg)
{
    return peer_reply(x, 200, arg, "hello", 5);
}

static void a_servers_keep_alive_shortens_the_rest(void)
{
    static const struct {
        const char *headers;
        int connections; /* for three requests, the last after 1.1 s */
    } cases[] = {
        {"Keep-Alive: timeout=1\r\n", 3},
        {"Keep-Alive: max=100, timeout=2\r\nConnection: keep-alive\r\n", 2},
        {"Keep-Alive: timeout=600\r\n", 1},
        {"Keep-Alive: timeout=, max=\r\n", 1},
        {"Connection: close\r\n", 3},
    };
    enum { CASES = sizeof(cases) / sizeof(cases[0]) };
    struct peer *peers[CASES];
    char url[PEER_URL_SIZE];
    weir_http *session = open_quick();

    for (int i = 0; i < CASES; i++) {
        peers[i] = start_peer(answer_with, (void *)(uintptr_t)cases[i].headers);
        for (int k = 0; k < 2; k++)
            check_int(get(session, peer_url(peers[i], "/", url)).http, 200);
    }
    nap(1100);
    for (int i = 0; i < CASES; i++) {
        check_int(get(session, peer_url(peers[i], "/", url)).http, 200);
        check_int(peer_connections(peers[i]), cases[i].connections);
    }
    close_session(session);
    for (int i = 0; i < CASES; i++)
        peer_stop(peers[i]);
}

static void a_connection_that_grew_old_is_replaced(void)
{
    static const struct {
        int lifetime_s;
        int connections; /* for two requests at once and one after 1.1 s */
    } cases[] = {{1, 2}, {-1, 1}};
    struct peer *peers[2];
    weir_http *sessions[2];
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 2; i++) {
        weir_http_options o = quick_options();
        o.max_lifetime_s = cases[i].lifetime_s;
        o.lifetime_jitter_percent = 0;
        peers[i] = start_peer(answer_or_hold, NULL);
        sessions[i] = open_session(&o);
        for (int k = 0; k < 2; k++)
            check_int(get(sessions[i], peer_url(peers[i], "/", url)).http, 200);
    }
    nap(1100);
    for (int i = 0; i < 2; i++) {
        struct outcome o = get(sessions[i], peer_url(peers[i], "/", url));
        check_int(o.http, 200);
        check_int(o.report.attempts, 1);
        check_int(peer_connections(peers[i]), cases[i].connections);
        check(peer_wait(peers[i], PEER_OPEN, 1));
        close_session(sessions[i]);
        peer_stop(peers[i]);
    }
}

/* The machine's clock, and so much later. */
static _Atomic weir_time ahead;

static weir_time later_now(weir_clock *clock)
{
    (void)clock;
    return weir_now() + atomic_load(&ahead);
}

static void later_wait(weir_clock *clock, uint32_t *word, uint32_t expected, weir_time until)
{
    (void)clock;
    weir__park((_Atomic uint32_t *)word, expected,
               until == WEIR_DEADLINE_NEVER ? until : until - atomic_load(&ahead));
}

/* Or all would be opened anew together, each time. */
static void connections_opened_together_grow_old_one_by_one(void)
{
    enum { TOGETHER = 20 };
    weir_clock clock = {later_now, later_wait};
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call calls[TOGETHER];
    weir_http_options o = quick_options();

    o.clock = &clock;
    o.idle_timeout_ms = 86400000;
    o.max_lifetime_s = 7200;
    o.lifetime_jitter_percent = 100;
    weir_http *session = open_session(&o);
    hold_many(calls, TOGETHER, session, peer);
    peer_let_go(peer);
    join_all(calls, TOGETHER);
    check_int(peer_connections(peer), TOGETHER);

    peer_hold_again(peer);
    atomic_store(&ahead, 3600 * WEIR_SECOND); /* half of a lifetime */
    hold_many(calls, TOGETHER, session, peer);
    peer_let_go(peer);
    join_all(calls, TOGETHER);
    int replaced = peer_connections(peer) - TOGETHER;
    check(replaced > 0);
    check(replaced < TOGETHER);

    peer_hold_again(peer);
    atomic_store(&ahead, 7201 * WEIR_SECOND); /* the first of them have lived for more than that */
    hold_many(calls, TOGETHER, session, peer);
    peer_let_go(peer);
    join_all(calls, TOGETHER);
    check(peer_connections(peer) >= 2 * TOGETHER);
    atomic_store(&ahead, 0);
    close_session(session);
    peer_stop(peer);
}

static bool answer_without_length(struct peer_exchange *x, void *arg)
{
    (void)arg;
    peer_print(x, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end");
    return false;
}

static void a_response_that_ends_with_its_connection_is_whole(void)
{
    struct peer *peer = start_peer(answer_without_length, NULL);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    for (int i = 1; i <= 2; i++) {
        struct outcome o = get(session, peer_url(peer, "/", url));
        check_outcome(o, WEIR_OK);
        check_text(o.body, "to the end");
        check_int(o.report.attempts, 1);
        check_int(peer_connections(peer), i);
    }
    close_session(session);
    peer_stop(peer);
}

static void evicting_replaces_those_at_rest_now_and_those_in_use_afterwards(void)
{
    struct peer *peer = start_peer(answer_or_hold, NULL);
    struct call call;
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    peer_url(peer, "/", url);
    hold_many(&call, 1, session, peer);
    check_int(get(session, url).http, 200);
    check_int(peer_open_connections(peer), 2);
    weir_http_evict_all(session);
    check(peer_wait(peer, PEER_OPEN, 1));
    peer_let_go(peer);
    join_all(&call, 1);
    check(peer_wait(peer, PEER_OPEN, 0));
    check_int(get(session, url).http, 200);
    check_int(get(session, url).http, 200);
    check_int(peer_connections(peer), 3);
    close_session(session);
    peer_stop(peer);
}

/* ---- which origins ----------------------------------------------------------------------- */

static void the_origin_used_least_recently_loses_its_connections(void)
{
    struct peer *peers[3];
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.pool_connections = 2;
    weir_http *session = open_session(&o);
    for (int i = 0; i < 3; i++) {
        peers[i] = start_peer(answer_or_hold, NULL);
        check_int(get(session, peer_url(peers[i], "/", url)).http, 200);
    }
    check(peer_wait(peers[0], PEER_OPEN, 0));
    check_int(get(session, peer_url(peers[1], "/", url)).http, 200);
    check_int(get(session, peer_url(peers[0], "/", url)).http, 200);
    check(peer_wait(peers[2], PEER_OPEN, 0));
    check_int(peer_connections(peers[0]), 2);
    check_int(peer_connections(peers[1]), 1);
    check(!origin_of(session, peer_url(peers[2], "/", url)).has_pool);
    check_int(origin_of(session, url).requests, 1); /* what it counted it still knows */
    check_int(weir_http_get_origins(session, NULL, 0), 3);
    close_session(session);
    for (int i = 0; i < 3; i++)
        peer_stop(peers[i]);
}

static void an_origin_with_a_request_in_flight_keeps_its_connections(void)
{
    struct peer *peers[3];
    struct call call;
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    o.pool_connections = 1;
    weir_http *session = open_session(&o);
    for (int i = 0; i < 3; i++)
        peers[i] = start_peer(answer_or_hold, NULL);
    hold_many(&call, 1, session, peers[0]);
    for (int i = 1; i < 3; i++)
        check_int(get(session, peer_url(peers[i], "/", url)).http, 200);
    check_int(peer_open_connections(peers[0]), 1);
    peer_let_go(peers[0]);
    join_all(&call, 1);
    check_int(peer_connections(peers[0]), 1);
    check_int(get(session, peer_url(peers[1], "/", url)).http, 200);
    check(peer_wait(peers[0], PEER_OPEN, 0)); /* one origin's connections are kept again */
    check(peer_wait(peers[2], PEER_OPEN, 0));
    close_session(session);
    for (int i = 0; i < 3; i++)
        peer_stop(peers[i]);
}

/* What is remembered of origins nobody uses any more is bounded, but not what was set by hand. */
static void the_oldest_of_too_many_origins_are_forgotten_unless_set_by_hand(void)
{
    enum { KNOWN = 1024, MANY = KNOWN + 50 };
    static weir_http_origin origins[KNOWN];
    weir_http_options o = quick_options();
    int port = peer_unused_port();
    char url[PEER_URL_SIZE];

    o.use_breaker = true;
    o.retry.total = 0;
    weir_http *session = open_session(&o);
    weir_status set =
        weir_http_set_breaker(session, "http://set.localhost/", WEIR_BREAKER_FORCED_OPEN, &error);
    check_int(set, WEIR_OK);
    for (int i = 1; i < MANY; i++) {
        snprintf(url, sizeof url, "http://h%d.localhost:%d/", i, port);
        struct outcome failed = get(session, url);
        check_outcome(failed, WEIR_CONNECT);
        if (i < KNOWN)
            check_int(weir_http_get_origins(session, NULL, 0), i + 1);
    }
    check_int(weir_http_get_origins(session, origins, KNOWN), KNOWN);
    for (int i = 0; i < KNOWN - 1; i++) {
        snprintf(url, sizeof url, "http://h%d.localhost:%d", MANY - 1 - i, port);
        check_text(origins[i].name, url);
        check_int(origins[i].has_pool, i < o.pool_connections);
    }
    check_text(origins[KNOWN - 1].name, "http://set.localhost:80");
    struct outcome refused = get(session, "http://set.localhost/");
    check_outcome(refused, WEIR_REFUSED);
    check_int(refused.report.attempts, 0);
    close_session(session);
}

/* ---- what a session calls itself ----------------------------------------------------------- */

static void a_session_says_who_it_is_as_it_was_told(void)
{
    weir_http_options o = quick_options();
    const char *const names[] = {o.user_agent, "my own/1.0 (of mine)", ""};
    const char *const lines[] = {"\r\nUser-Agent: weir/" WEIR_VERSION "\r\n",
                                 "\r\nUser-Agent: my own/1.0 (of mine)\r\n", NULL};

    for (int i = 0; i < 3; i++) {
        struct peer *peer = start_peer(say_hello, NULL);
        char url[PEER_URL_SIZE];

        o.user_agent = names[i];
        weir_http *session = open_session(&o);
        check_int(get(session, peer_url(peer, "/", url)).http, 200);
        check_int(send_to(session, "POST", url, -1).http, 200);
        if (lines[i] != NULL)
            check_int(peer_saw_times(peer, lines[i]), 2);
        check_int(peer_saw_times(peer, "User-Agent"), lines[i] != NULL ? 2 : 0);
        close_session(session);
        peer_stop(peer);
    }
}

int main(void)
{
    run(one_caller_uses_one_connection);
    run(a_crowd_shares_pool_maxsize_connections_where_it_has_to_wait);
    run(overflow_opens_more_connections_and_keeps_pool_maxsize);
    run(a_full_pool_fails_at_once_where_it_is_told_to);
    run(waiting_in_line_is_no_part_of_an_attempts_time_and_is_reported);
    run(nobody_waits_in_line_for_longer_than_acquire_timeout);
    run(the_line_holds_max_waiters);
    run(max_total_holds_over_all_origins);
    run(the_line_for_max_total_holds_max_waiters_too);
    run(a_connection_that_rested_too_long_is_not_used_again);
    run(a_pool_in_use_lets_go_of_what_rests_too_long);
    run(without_an_idle_timeout_no_connection_is_used_twice);
    run(a_servers_keep_alive_shortens_the_rest);
    run(a_connection_that_grew_old_is_replaced);
    run(connections_opened_together_grow_old_one_by_one);
    run(a_response_that_ends_with_its_connection_is_whole);
    run(evicting_replaces_those_at_rest_now_and_those_in_use_afterwards);
    run(the_origin_used_least_recently_loses_its_connections);
    run(an_origin_with_a_request_in_flight_keeps_its_connections);
    run(the_oldest_of_too_many_origins_are_forgotten_unless_set_by_hand);
    run(a_session_says_who_it_is_as_it_was_told);
    return check_done();
}
