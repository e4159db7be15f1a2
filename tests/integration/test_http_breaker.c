/* SPDX-License-Identifier: MIT */
/* The breaker of an origin on the wire: what opens it, for how long, and what a refusal is. */
#include "breaker_scene.h"

/* ---- what opens it ------------------------------------------------------------------------- */

static void a_server_that_fails_every_call_gets_no_more_than_make_a_rate(void)
{
    struct scene scene;

    scene_begin(&scene, 503);
    call_times(&scene, CALLS, WEIR_RESPONSE, 0);
    call_times(&scene, 5, WEIR_REFUSED, 0);
    check_int(peer_requests(scene.server.peer), CALLS);
    check_int(stats_of(&scene).state, WEIR_BREAKER_OPEN);
    check_int(stats_of(&scene).not_permitted, 5);
    scene_end(&scene);
}

static void a_server_that_closes_every_connection_gets_no_more_either(void)
{
    struct scene scene;

    scene_begin(&scene, 503);
    atomic_store(&scene.server.mood, SERVER_DROPS);
    call_times(&scene, CALLS, WEIR_DISCONNECTED, 0);
    call_times(&scene, 5, WEIR_REFUSED, 0);
    check_int(peer_requests(scene.server.peer), CALLS);
    scene_end(&scene);
}

static void a_server_that_is_not_there_or_silent_counts_too(void)
{
    struct scene scene;
    char url[PEER_URL_SIZE];

    scene_begin(&scene, 503);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_unused_port());
    for (int i = 0; i < CALLS + 1; i++) {
        struct call s = fetch(scene.session, "GET", url, NEVER);
        check(call_is(&s, i < CALLS ? WEIR_CONNECT : WEIR_REFUSED, 0));
    }

    atomic_store(&scene.server.mood, SERVER_HANGS);
    for (int i = 0; i < CALLS + 1; i++) {
        struct call s = call_make(scene.session, "GET", scene.server.url);
        weir_http_request_try_timeout(s.request, 20);
        s.deadline = NEVER;
        call_go(&s);
        check(call_is(&s, i < CALLS ? WEIR_TIMEOUT : WEIR_REFUSED, 0));
        call_end(&s);
    }
    scene_end(&scene);
}

/* Pitfall 18. */
static void a_404_or_a_429_does_not_open_it(void)
{
    struct scene scene;

    scene_begin(&scene, 404);
    call_times(&scene, 2 * CALLS, WEIR_OK, 404);
    atomic_store(&scene.server.status, 429);
    call_times(&scene, 2 * CALLS, WEIR_RESPONSE, 0);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).counts.calls, CALLS);
    check_int(stats_of(&scene).counts.failed, 0);
    check_int(peer_requests(scene.server.peer), 4 * CALLS);
    scene_end(&scene);
}

/* Pitfall 18: what our own pool refuses says nothing about the server. */
static void waiting_in_vain_for_a_connection_does_not_open_it(void)
{
    struct server server;
    weir_http_options o = breaker_options(NULL);

    o.pool_maxsize = 1;
    o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    o.acquire_timeout_ms = 200; /* the holder makes its connection in it */
    server_start(&server, NULL, 200, "");
    atomic_store(&server.mood, SERVER_HOLDS);
    weir_http *session = scene_open(&o);
    struct call holder = call_make(session, "GET", server.url);

    call_start(&holder);
    check(peer_wait(server.peer, PEER_HELD, 1));
    for (int i = 0; i < 2 * CALLS; i++) {
        struct call s = get(session, server.url);
        check(call_is(&s, WEIR_TIMEOUT, 0));
        check_int(s.report.attempts, 0);
        check(!s.report.was_sent);
    }
    weir_http_origin origin = scene_origin(session, server.origin);
    check_int(origin.breaker.state, WEIR_BREAKER_CLOSED);
    check_int(origin.breaker.counts.calls, 0);
    check_int(origin.refused, 2 * CALLS);
    peer_let_go(server.peer);
    check_int(call_join(&holder), WEIR_OK);
    check_int(peer_requests(server.peer), 1);
    call_end(&holder);
    weir_http_close(session);
    server_stop(&server);
}

static void cancelling_a_call_does_not_open_it(void)
{
    struct scene scene;

    scene_begin(&scene, 200);
    atomic_store(&scene.server.mood, SERVER_HANGS);
    for (int i = 0; i < CALLS + 1; i++) {
        struct call s = call_make(scene.session, "GET", scene.server.url);
        s.deadline = NEVER;
        call_start(&s);
        check(peer_wait(scene.server.peer, PEER_REQUESTS, i + 1));
        weir_http_request_cancel(s.request);
        check_int(call_join(&s), WEIR_CANCELLED);
        call_end(&s);
    }
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).counts.failed, 0);
    scene_end(&scene);
}

/* Answers well, and 60 ms later by the clock. */
static bool answer_late(struct peer_exchange *x, void *arg)
{
    scene_clock_move(arg, 60 * WEIR_MS);
    return peer_reply(x, 200, "", "ok", 2);
}

static void a_server_that_answers_well_but_slowly_opens_it_where_that_counts(void)
{
    static const int durations_ms[] = {20, 60}; /* beyond which a call is slow */

    for (int i = 0; i < 2; i++) {
        struct scene_clock clock;
        char url[PEER_URL_SIZE];
        weir_http_options o = breaker_options(&clock);

        scene_clock_init(&clock);
        struct peer *peer =
            peer_start(&(struct peer_options){.handler = answer_late, .arg = &clock});
        o.breaker.slow_call_duration_ms = durations_ms[i];
        weir_http *session = scene_open(&o);
        for (int k = 0; k < CALLS + 1; k++) {
            struct call s = fetch(session, "GET", peer_url(peer, "/", url), NEVER);
            bool is_let_through = i == 1 || k < CALLS;
            check(call_is(&s, is_let_through ? WEIR_OK : WEIR_REFUSED, is_let_through ? 200 : 0));
        }
        check_int(scene_origin(session, peer_url(peer, "", url)).breaker.counts.slow,
                  i == 0 ? CALLS : 0);
        weir_http_close(session);
        peer_stop(peer);
    }
}

/* Or all clients would try again together. */
static void how_long_it_stays_open_is_not_the_same_for_all(void)
{
    struct scene scene;
    weir_http_options o = scene_prepare(&scene, 503);
    char url[PEER_URL_SIZE];
    char host[] = "a.localhost";
    weir_time first = 0;
    int others = 0;

    o.breaker.wait_jitter_percent = 20;
    o.breaker.window_size = 1;
    o.breaker.minimum_calls = 1;
    scene.session = scene_open(&o);
    for (; host[0] < 'i'; host[0]++) {
        fetch(scene.session, "GET", peer_url_at(scene.server.peer, host, "/", url), NEVER);
        peer_url_at(scene.server.peer, host, "", url);
        weir_breaker_stats stats = scene_origin(scene.session, url).breaker;
        weir_time wait = stats.open_until - CLOCK_START;

        check_int(stats.state, WEIR_BREAKER_OPEN);
        check(wait >= 48 * WEIR_SECOND && wait <= 72 * WEIR_SECOND);
        first = first == 0 ? wait : first;
        others += wait != first;
    }
    check(others > 0);
    scene_end(&scene);
}

/* ---- what a refusal is ------------------------------------------------------------------------ */

/* Pitfall 18. */
static void a_refusal_comes_at_once_and_is_neither_repeated_nor_charged(void)
{
    struct server server;
    struct scene_clock clock;

    scene_clock_init(&clock);
    clock.stands = true;
    server_start(&server, NULL, 503, "");
    weir_http_options o = breaker_options(&clock);
    o.use_budget = true;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < CALLS; i++)
        get(session, server.url);
    int64_t balance = scene_origin(session, server.origin).budget_balance;

    struct call s = call_make(session, "GET", server.url);
    weir_retry_options many = WEIR_RETRY_OPTIONS_DEFAULT;
    many.total = WEIR_RETRY_UNLIMITED;
    weir_http_request_retry(s.request, &many);
    s.deadline = NEVER;
    call_go(&s);
    check(call_is(&s, WEIR_REFUSED, 0));
    check_int(s.report.attempts, 0);
    check_int(s.report.cause, WEIR_CAUSE_REFUSED);
    check_int(s.report.retry_after, 60 * WEIR_SECOND);
    check(!s.report.was_sent);
    check(s.took < AT_ONCE);
    check_contains(s.error.text, "breaker");
    check_contains(s.error.text, server.origin);
    weir_http_origin origin = scene_origin(session, server.origin);
    check(origin.budget_balance >= balance);
    check_int(origin.refused, 1);
    check_int(peer_requests(server.peer), CALLS);
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

/* The breaker sees each attempt: one that opens under a request ends its repeats. */
static void it_opens_between_the_attempts_of_one_request_too(void)
{
    struct scene scene;
    weir_http_options o = scene_prepare(&scene, 503);

    scene.clock.stands = false;
    o.breaker.window_size = 2;
    o.retry.total = 10;
    scene.session = scene_open(&o);
    struct call s = call(&scene);
    check(call_is(&s, WEIR_REFUSED, 0));
    check_int(s.report.attempts, 2);
    check_int(s.report.status, 503);
    check(s.report.was_sent);
    check_int(peer_requests(scene.server.peer), 2);
    scene_end(&scene);
}

static void who_stood_in_line_for_a_connection_while_it_opened_is_refused(void)
{
    struct scene scene;
    weir_http_options o = scene_prepare(&scene, 200);
    weir_error error;

    atomic_store(&scene.server.mood, SERVER_HOLDS);
    o.pool_maxsize = 1;
    o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    scene.session = scene_open(&o);
    const char *url = scene.server.url;
    struct call holder = call_make(scene.session, "GET", url);
    struct call waiter = call_make(scene.session, "GET", url);

    call_start(&holder);
    check(peer_wait(scene.server.peer, PEER_HELD, 1));
    call_start(&waiter);
    scene_clock_await_sleeper(&scene.clock, 0);
    scene_clock_move(&scene.clock, WEIR_SECOND);
    check_int(weir_http_set_breaker(scene.session, url, WEIR_BREAKER_FORCED_OPEN, &error), WEIR_OK);
    peer_let_go(scene.server.peer);
    check_int(call_join(&holder), WEIR_OK);
    call_join(&waiter);
    check(call_is(&waiter, WEIR_REFUSED, 0));
    check_int(waiter.report.waited, WEIR_SECOND);
    check_int(peer_requests(scene.server.peer), 1);
    call_end(&holder);
    call_end(&waiter);
    scene_end(&scene);
}

static void each_origin_has_a_breaker_of_its_own(void)
{
    struct scene scene;
    struct server other;

    scene_begin(&scene, 503);
    server_start(&other, NULL, 200, "");
    open_it(&scene);
    struct call s = fetch(scene.session, "GET", other.url, NEVER);
    check(call_is(&s, WEIR_OK, 200));
    s = call(&scene);
    check(call_is(&s, WEIR_REFUSED, 0));
    scene_end(&scene);
    server_stop(&other);
}

static void it_can_be_set_by_hand(void)
{
    struct scene scene;
    weir_error error;

    scene_begin(&scene, 200);
    weir_http *session = scene.session;
    const char *url = scene.server.url;
    check_int(weir_http_set_breaker(session, url, WEIR_BREAKER_FORCED_OPEN, &error), WEIR_OK);
    call_times(&scene, 2, WEIR_REFUSED, 0);
    atomic_store(&scene.server.status, 503);
    check_int(weir_http_set_breaker(session, url, WEIR_BREAKER_DISABLED, &error), WEIR_OK);
    call_times(&scene, 2 * CALLS, WEIR_RESPONSE, 0);
    check_int(weir_http_set_breaker(session, url, WEIR_BREAKER_CLOSED, &error), WEIR_OK);
    call_times(&scene, CALLS, WEIR_RESPONSE, 0);
    call_times(&scene, 1, WEIR_REFUSED, 0);
    check_int(weir_http_set_breaker(session, url, WEIR_BREAKER_OPEN, &error), WEIR_INVALID);
    check_int(weir_http_set_breaker(session, "ftp://127.0.0.1/", WEIR_BREAKER_CLOSED, &error),
              WEIR_INVALID);
    scene_end(&scene);
}

int main(void)
{
    run(a_server_that_fails_every_call_gets_no_more_than_make_a_rate);
    run(a_server_that_closes_every_connection_gets_no_more_either);
    run(a_server_that_is_not_there_or_silent_counts_too);
    run(a_404_or_a_429_does_not_open_it);
    run(waiting_in_vain_for_a_connection_does_not_open_it);
    run(cancelling_a_call_does_not_open_it);
    run(a_server_that_answers_well_but_slowly_opens_it_where_that_counts);
    run(how_long_it_stays_open_is_not_the_same_for_all);
    run(a_refusal_comes_at_once_and_is_neither_repeated_nor_charged);
    run(it_opens_between_the_attempts_of_one_request_too);
    run(who_stood_in_line_for_a_connection_while_it_opened_is_refused);
    run(each_origin_has_a_breaker_of_its_own);
    run(it_can_be_set_by_hand);
    return check_done();
}
