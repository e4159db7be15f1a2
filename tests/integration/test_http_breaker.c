/* SPDX-License-Identifier: MIT */
/* The breaker of an origin on the wire: what opens it, who probes, and that nothing holds it half-open. */
#include "http_scene.h"

#define NEVER WEIR_DEADLINE_NEVER
#define CALLS 8    /* make a rate */
#define PERMITS 3  /* half-open */
#define THREADS 64 /* that come at once */

/* Opens after CALLS failures for a minute, without jitter; nothing is repeated. */
static weir_http_options breaker_options(struct scene_clock *clock)
{
    weir_http_options o = scene_options(clock);

    o.use_breaker = true;
    o.breaker.window_size = CALLS;
    o.breaker.minimum_calls = CALLS;
    o.breaker.permitted_calls_in_half_open = PERMITS;
    o.breaker.wait_in_open_ms = 60000;
    o.breaker.wait_jitter_percent = 0;
    o.retry.total = 0;
    return o;
}

/* A clock, a server and a session, as most tests here need them. */
struct scene {
    struct scene_clock clock;
    struct server server;
    weir_http *session;
};

static void scene_begin(struct scene *scene, int status)
{
    scene_clock_init(&scene->clock);
    scene->clock.stands = true;
    server_start(&scene->server, &scene->clock, status, "");
    weir_http_options o = breaker_options(&scene->clock);
    scene->session = scene_open(&o);
}

static void scene_end(struct scene *scene)
{
    weir_http_close(scene->session);
    server_stop(&scene->server);
}

static struct sending call(struct scene *scene)
{
    return fetch(scene->session, "GET", scene->server.url, NEVER);
}

static weir_breaker_stats stats_of(struct scene *scene)
{
    return scene_origin(scene->session, scene->server.origin).breaker;
}

static void call_times(struct scene *scene, int count, weir_status status, int code)
{
    for (int i = 0; i < count; i++) {
        struct sending s = call(scene);
        check(sending_is(&s, status, code));
    }
}

/* Let it open by failures. */
static void open_it(struct scene *scene)
{
    atomic_store(&scene->server.status, 503);
    for (int i = 0; i < CALLS; i++)
        call(scene);
    check_int(stats_of(scene).state, WEIR_BREAKER_OPEN);
}

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
        struct sending s = fetch(scene.session, "GET", url, NEVER);
        check(sending_is(&s, i < CALLS ? WEIR_CONNECT : WEIR_REFUSED, 0));
    }

    atomic_store(&scene.server.mood, SERVER_HANGS);
    for (int i = 0; i < CALLS + 1; i++) {
        struct sending s = sending_make(scene.session, "GET", scene.server.url);
        weir_http_request_try_timeout(s.request, 20);
        s.deadline = NEVER;
        sending_go(&s);
        check(sending_is(&s, i < CALLS ? WEIR_TIMEOUT : WEIR_REFUSED, 0));
        sending_end(&s);
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
    o.pool_block = WEIR_POOL_BLOCK;
    o.acquire_timeout_ms = 1;
    server_start(&server, NULL, 200, "");
    atomic_store(&server.mood, SERVER_HOLDS);
    weir_http *session = scene_open(&o);
    struct sending holder = sending_make(session, "GET", server.url);

    sending_start(&holder);
    check(peer_wait(server.peer, PEER_HELD, 1));
    for (int i = 0; i < 2 * CALLS; i++) {
        struct sending s = get(session, server.url);
        check(sending_is(&s, WEIR_TIMEOUT, 0));
        check_int(s.report.attempts, 0);
        check(!s.report.was_sent);
    }
    weir_http_origin origin = scene_origin(session, server.origin);
    check_int(origin.breaker.state, WEIR_BREAKER_CLOSED);
    check_int(origin.breaker.counts.calls, 0);
    check_int(origin.refused, 2 * CALLS);
    peer_let_go(server.peer);
    check_int(sending_join(&holder), WEIR_OK);
    check_int(peer_requests(server.peer), 1);
    sending_end(&holder);
    weir_http_close(session);
    server_stop(&server);
}

static void cancelling_a_call_does_not_open_it(void)
{
    struct scene scene;

    scene_begin(&scene, 200);
    atomic_store(&scene.server.mood, SERVER_HANGS);
    for (int i = 0; i < CALLS + 1; i++) {
        struct sending s = sending_make(scene.session, "GET", scene.server.url);
        s.deadline = NEVER;
        sending_start(&s);
        check(peer_wait(scene.server.peer, PEER_REQUESTS, i + 1));
        weir_http_request_cancel(s.request);
        check_int(sending_join(&s), WEIR_CANCELLED);
        sending_end(&s);
    }
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).counts.failed, 0);
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

    struct sending s = sending_make(session, "GET", server.url);
    weir_retry_options many = WEIR_RETRY_OPTIONS_DEFAULT;
    many.total = WEIR_RETRY_UNLIMITED;
    weir_http_request_retry(s.request, &many);
    s.deadline = NEVER;
    sending_go(&s);
    check(sending_is(&s, WEIR_REFUSED, 0));
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
    sending_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

/* The breaker sees each attempt: one that opens under a request ends its repeats. */
static void it_opens_between_the_attempts_of_one_request_too(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, NULL, 503, "");
    weir_http_options o = breaker_options(&clock);
    o.breaker.window_size = 2;
    o.retry.total = 10;
    weir_http *session = scene_open(&o);
    struct sending s = fetch(session, "GET", server.url, NEVER);

    check(sending_is(&s, WEIR_REFUSED, 0));
    check_int(s.report.attempts, 2);
    check_int(s.report.status, 503);
    check(s.report.was_sent);
    check_int(peer_requests(server.peer), 2);
    weir_http_close(session);
    server_stop(&server);
}

static void who_stood_in_line_for_a_connection_while_it_opened_is_refused(void)
{
    struct scene_clock clock;
    struct server server;
    weir_error error;

    scene_clock_init(&clock);
    clock.stands = true;
    server_start(&server, NULL, 200, "");
    atomic_store(&server.mood, SERVER_HOLDS);
    weir_http_options o = breaker_options(&clock);
    o.pool_maxsize = 1;
    o.pool_block = WEIR_POOL_BLOCK;
    weir_http *session = scene_open(&o);
    struct sending holder = sending_make(session, "GET", server.url);
    struct sending waiter = sending_make(session, "GET", server.url);

    sending_start(&holder);
    check(peer_wait(server.peer, PEER_HELD, 1));
    sending_start(&waiter);
    scene_clock_await_sleeper(&clock, 0);
    scene_clock_move(&clock, WEIR_SECOND);
    check_int(weir_http_set_breaker(session, server.url, WEIR_BREAKER_FORCED_OPEN, &error),
              WEIR_OK);
    peer_let_go(server.peer);
    check_int(sending_join(&holder), WEIR_OK);
    sending_join(&waiter);
    check(sending_is(&waiter, WEIR_REFUSED, 0));
    check_int(waiter.report.waited, WEIR_SECOND);
    check_int(peer_requests(server.peer), 1);
    sending_end(&holder);
    sending_end(&waiter);
    weir_http_close(session);
    server_stop(&server);
}

static void each_origin_has_a_breaker_of_its_own(void)
{
    struct scene scene;
    struct server other;

    scene_begin(&scene, 503);
    server_start(&other, NULL, 200, "");
    open_it(&scene);
    struct sending s = fetch(scene.session, "GET", other.url, NEVER);
    check(sending_is(&s, WEIR_OK, 200));
    s = call(&scene);
    check(sending_is(&s, WEIR_REFUSED, 0));
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

/* ---- half-open: pitfall 17 ---------------------------------------------------------------------- */

static void start_crowd(struct scene *scene, struct sending *crowd, int count)
{
    for (int i = 0; i < count; i++) {
        crowd[i] = sending_make(scene->session, "GET", scene->server.url);
        crowd[i].deadline = NEVER;
        sending_start(&crowd[i]);
    }
}

/* How many of them ended how. */
struct tally {
    int ok;
    int refused;
    int other;
};

static struct tally end_crowd(struct sending *crowd, int count)
{
    struct tally tally = {0};

    for (int i = 0; i < count; i++) {
        sending_join(&crowd[i]);
        tally.ok += crowd[i].status == WEIR_OK;
        tally.refused += crowd[i].status == WEIR_REFUSED;
        tally.other += crowd[i].status != WEIR_OK && crowd[i].status != WEIR_REFUSED;
        sending_end(&crowd[i]);
    }
    return tally;
}

static void
of_64_threads_that_come_at_once_when_it_half_opens_only_the_permitted_reach_the_server(void)
{
    static struct sending crowd[THREADS];
    static struct ear ear;
    struct scene scene;

    scene_begin(&scene, 503);
    open_it(&scene);
    ear_attach(&ear, scene.session, WEIR_EVENT_BIT(WEIR_HTTP_EVENT_REQUEST));
    scene_clock_move(&scene.clock, 60 * WEIR_SECOND + 1);
    atomic_store(&scene.server.mood, SERVER_HOLDS);
    atomic_store(&scene.server.status, 200);
    start_crowd(&scene, crowd, THREADS);
    check(peer_wait(scene.server.peer, PEER_HELD, PERMITS));
    /* Those that are refused end, while the probes are held. */
    ear_await(&ear, WEIR_HTTP_EVENT_REQUEST, THREADS - PERMITS);
    check_int(peer_requests(scene.server.peer), CALLS + PERMITS);
    check_int(stats_of(&scene).state, WEIR_BREAKER_HALF_OPEN);
    check_int(stats_of(&scene).permits_out, PERMITS);
    peer_let_go(scene.server.peer);
    struct tally tally = end_crowd(crowd, THREADS);
    check_int(tally.ok, PERMITS);
    check_int(tally.refused, THREADS - PERMITS);
    check_int(peer_requests(scene.server.peer), CALLS + PERMITS);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);

    atomic_store(&scene.server.mood, SERVER_REPLIES);
    start_crowd(&scene, crowd, THREADS);
    check_int(end_crowd(crowd, THREADS).ok, THREADS);
    scene_end(&scene);
}

static void a_server_that_still_fails_gets_no_more_than_the_permitted_probes(void)
{
    static struct sending crowd[THREADS];
    struct scene scene;

    scene_begin(&scene, 503);
    open_it(&scene);
    for (int round = 1; round <= 3; round++) {
        int before = peer_requests(scene.server.peer);
        weir_time until = stats_of(&scene).open_until;

        check_int(until - scene_clock_now(&scene.clock.clock), 60 * WEIR_SECOND << (round - 1));
        scene_clock_set(&scene.clock, until);
        call_times(&scene, 1, WEIR_REFUSED, 0);
        scene_clock_set(&scene.clock, until + 1);
        start_crowd(&scene, crowd, THREADS);
        struct tally tally = end_crowd(crowd, THREADS);
        int probes = peer_requests(scene.server.peer) - before;
        check(probes >= 1 && probes <= PERMITS);
        check_int(tally.other, probes);
        check_int(tally.refused, THREADS - probes);
        check_int(stats_of(&scene).state, WEIR_BREAKER_OPEN);
    }
    scene_end(&scene);
}

/* A probe that the server never answers, from the moment it is there. */
static struct sending hang_probe(struct scene *scene, int try_timeout_ms)
{
    struct sending probe = sending_make(scene->session, "GET", scene->server.url);

    atomic_store(&scene->server.mood, SERVER_HANGS);
    weir_http_request_try_timeout(probe.request, try_timeout_ms);
    probe.deadline = NEVER;
    return probe;
}

static void half_open_one_permit(struct scene *scene)
{
    scene_clock_init(&scene->clock);
    scene->clock.stands = true;
    server_start(&scene->server, &scene->clock, 503, "");
    weir_http_options o = breaker_options(&scene->clock);
    o.breaker.permitted_calls_in_half_open = 1;
    o.breaker.permit_lease_ms = 5000;
    o.try_timeout_ms = 2500; /* which asks for no longer lease */
    scene->session = scene_open(&o);
    open_it(scene);
    scene_clock_move(&scene->clock, 60 * WEIR_SECOND + 1);
    atomic_store(&scene->server.status, 200);
}

static void a_probe_that_hangs_until_its_timeout_reopens_it_and_the_next_one_closes_it(void)
{
    struct scene scene;

    half_open_one_permit(&scene);
    struct sending probe = hang_probe(&scene, 50);
    sending_go(&probe);
    check(sending_is(&probe, WEIR_TIMEOUT, 0));
    check_int(stats_of(&scene).state, WEIR_BREAKER_OPEN);
    check_int(stats_of(&scene).opened_in_a_row, 2);
    atomic_store(&scene.server.mood, SERVER_REPLIES);
    call_times(&scene, 1, WEIR_REFUSED, 0);
    scene_clock_move(&scene.clock, 120 * WEIR_SECOND + 1);
    call_times(&scene, 2, WEIR_OK, 200);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    sending_end(&probe);
    scene_end(&scene);
}

/* Otherwise its result would come when another has its permit, and be dropped, each time. */
static void a_permit_is_leased_for_two_timeouts_at_least(void)
{
    static const int cases[][3] = {{30000, 60000, 60000},
                                   {120000, 60000, 240000},
                                   {1000, 60000, 60000},
                                   {86400000, 1, 86400000}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;

        o.try_timeout_ms = cases[i][0];
        o.breaker.permit_lease_ms = cases[i][1];
        weir_http *session = scene_open(&o);
        check_int(weir_http_get_options(session)->breaker.permit_lease_ms, cases[i][2]);
        weir_http_close(session);
    }
}

static void a_probe_that_hangs_is_heard_whatever_lease_was_given(void)
{
    struct server server;

    server_start(&server, NULL, 200, "");
    atomic_store(&server.mood, SERVER_HANGS);
    weir_http_options o = breaker_options(NULL);
    o.breaker.window_size = 1;
    o.breaker.minimum_calls = 1;
    o.breaker.wait_in_open_ms = 1;
    o.breaker.permitted_calls_in_half_open = 1;
    o.breaker.permit_lease_ms = 1;
    o.try_timeout_ms = 500;
    weir_http *session = scene_open(&o);
    struct sending first = sending_make(session, "GET", server.url);
    weir_http_request_try_timeout(first.request, 10);
    sending_go(&first);
    check(sending_is(&first, WEIR_TIMEOUT, 0));
    sending_end(&first);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);

    struct sending probe = sending_make(session, "GET", server.url);
    sending_start(&probe);
    check(peer_wait(server.peer, PEER_HELD, 1));
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    struct sending other = fetch(session, "GET", server.url, NEVER);
    check(sending_is(&other, WEIR_REFUSED, 0));
    check_int(sending_join(&probe), WEIR_TIMEOUT);
    weir_breaker_stats stats = scene_origin(session, server.origin).breaker;
    check_int(stats.state, WEIR_BREAKER_OPEN);
    check_int(stats.opened_in_a_row, 2);
    check_int(stats.expired, 0);
    sending_end(&probe);
    weir_http_close(session);
    server_stop(&server);
}

static void a_probe_that_hangs_for_longer_than_its_lease_does_not_hold_it_half_open(void)
{
    struct scene scene;

    half_open_one_permit(&scene);
    struct sending probe = hang_probe(&scene, 30000);
    sending_start(&probe);
    check(peer_wait(scene.server.peer, PEER_HELD, 1));
    atomic_store(&scene.server.mood, SERVER_REPLIES);
    call_times(&scene, 1, WEIR_REFUSED, 0);
    scene_clock_move(&scene.clock, 5 * WEIR_SECOND);
    call_times(&scene, 2, WEIR_OK, 200);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).expired, 1);

    /* And what becomes of it in the end changes nothing. */
    weir_http_request_cancel(probe.request);
    check_int(sending_join(&probe), WEIR_CANCELLED);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).counts.failed, 0);
    sending_end(&probe);
    scene_end(&scene);
}

static void a_probe_that_is_cancelled_gives_its_permit_back(void)
{
    struct scene scene;

    half_open_one_permit(&scene);
    struct sending probe = hang_probe(&scene, 30000);
    sending_start(&probe);
    check(peer_wait(scene.server.peer, PEER_HELD, 1));
    check_int(stats_of(&scene).permits_out, 1);
    weir_http_request_cancel(probe.request);
    check_int(sending_join(&probe), WEIR_CANCELLED);
    check_int(stats_of(&scene).state, WEIR_BREAKER_HALF_OPEN);
    check_int(stats_of(&scene).permits_out, 0);
    atomic_store(&scene.server.mood, SERVER_REPLIES);
    call_times(&scene, 1, WEIR_OK, 200);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    sending_end(&probe);
    scene_end(&scene);
}

/* A permit that was taken and then found no connection free must not be lost. */
static void a_probe_that_gets_no_connection_gives_its_permit_back(void)
{
    struct scene_clock clock;
    struct server server;
    struct server busy;

    scene_clock_init(&clock);
    server_start(&server, NULL, 503, "");
    server_start(&busy, NULL, 200, "");
    atomic_store(&busy.mood, SERVER_HOLDS);
    weir_http_options o = breaker_options(&clock);
    o.breaker.permitted_calls_in_half_open = 1;
    o.max_total = 1;
    o.acquire_timeout_ms = 10;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < CALLS; i++)
        fetch(session, "GET", server.url, NEVER);
    scene_clock_move(&clock, 60 * WEIR_SECOND + 1);
    atomic_store(&server.status, 200);

    struct sending holder = sending_make(session, "GET", busy.url);
    holder.deadline = NEVER;
    sending_start(&holder);
    check(peer_wait(busy.peer, PEER_HELD, 1));
    for (int i = 0; i < 3; i++) {
        struct sending s = fetch(session, "GET", server.url, NEVER);
        check(sending_is(&s, WEIR_TIMEOUT, 0));
    }
    check_int(scene_origin(session, server.origin).breaker.permits_out, 0);
    peer_let_go(busy.peer);
    check_int(sending_join(&holder), WEIR_OK);
    struct sending s = fetch(session, "GET", server.url, NEVER);
    check(sending_is(&s, WEIR_OK, 200));
    check_int(scene_origin(session, server.origin).breaker.state, WEIR_BREAKER_CLOSED);
    sending_end(&holder);
    weir_http_close(session);
    server_stop(&server);
    server_stop(&busy);
}

/* Nor while it waits at the gate, which could be for longer than its lease. */
static void a_probe_that_has_to_wait_at_the_gate_takes_its_permit_afterwards(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 503, "");
    weir_http_options o = breaker_options(&clock);
    o.breaker.permitted_calls_in_half_open = 1;
    o.breaker.wait_in_open_ms = 1000;
    o.gate.rate = 1;
    o.gate.period_ms = 10000;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < CALLS; i++)
        fetch(session, "GET", server.url, NEVER);
    check_int(scene_origin(session, server.origin).breaker.state, WEIR_BREAKER_OPEN);
    scene_clock_move(&clock, 1001 * WEIR_MS);
    atomic_store(&server.status, 200);
    struct sending s = fetch(session, "GET", server.url, NEVER);
    check(sending_is(&s, WEIR_OK, 200));
    check_int(s.report.waited, 8999 * WEIR_MS);
    check_int(server.came[CALLS] - CLOCK_START, CALLS * 10 * WEIR_SECOND);
    check_int(scene_origin(session, server.origin).breaker.state, WEIR_BREAKER_CLOSED);
    check_int(scene_origin(session, server.origin).breaker.expired, 0);
    weir_http_close(session);
    server_stop(&server);
}

int main(void)
{
    run(a_server_that_fails_every_call_gets_no_more_than_make_a_rate);
    run(a_server_that_closes_every_connection_gets_no_more_either);
    run(a_server_that_is_not_there_or_silent_counts_too);
    run(a_404_or_a_429_does_not_open_it);
    run(waiting_in_vain_for_a_connection_does_not_open_it);
    run(cancelling_a_call_does_not_open_it);
    run(a_refusal_comes_at_once_and_is_neither_repeated_nor_charged);
    run(it_opens_between_the_attempts_of_one_request_too);
    run(who_stood_in_line_for_a_connection_while_it_opened_is_refused);
    run(each_origin_has_a_breaker_of_its_own);
    run(it_can_be_set_by_hand);
    run(of_64_threads_that_come_at_once_when_it_half_opens_only_the_permitted_reach_the_server);
    run(a_server_that_still_fails_gets_no_more_than_the_permitted_probes);
    run(a_probe_that_hangs_until_its_timeout_reopens_it_and_the_next_one_closes_it);
    run(a_permit_is_leased_for_two_timeouts_at_least);
    run(a_probe_that_hangs_is_heard_whatever_lease_was_given);
    run(a_probe_that_hangs_for_longer_than_its_lease_does_not_hold_it_half_open);
    run(a_probe_that_is_cancelled_gives_its_permit_back);
    run(a_probe_that_gets_no_connection_gives_its_permit_back);
    run(a_probe_that_has_to_wait_at_the_gate_takes_its_permit_afterwards);
    return check_done();
}
