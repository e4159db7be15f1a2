/* SPDX-License-Identifier: MIT */
/* A breaker half-open on the wire: who probes, and that nothing holds it there. Pitfall 17. */
#include "breaker_scene.h"

#define THREADS 64 /* that come at once */

static void start_crowd(struct scene *scene, struct call *crowd, int count)
{
    for (int i = 0; i < count; i++) {
        crowd[i] = call_make(scene->session, "GET", scene->server.url);
        crowd[i].deadline = NEVER;
        call_start(&crowd[i]);
    }
}

/* How many of them ended how. */
struct tally {
    int ok;
    int refused;
    int other;
};

static struct tally end_crowd(struct call *crowd, int count)
{
    struct tally tally = {0};

    for (int i = 0; i < count; i++) {
        call_join(&crowd[i]);
        tally.ok += crowd[i].status == WEIR_OK;
        tally.refused += crowd[i].status == WEIR_REFUSED;
        tally.other += crowd[i].status != WEIR_OK && crowd[i].status != WEIR_REFUSED;
        call_end(&crowd[i]);
    }
    return tally;
}

static void
of_64_threads_that_come_at_once_when_it_half_opens_only_the_permitted_reach_the_server(void)
{
    static struct call crowd[THREADS];
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
    static struct call crowd[THREADS];
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
static struct call hang_probe(struct scene *scene, int try_timeout_ms)
{
    struct call probe = call_make(scene->session, "GET", scene->server.url);

    atomic_store(&scene->server.mood, SERVER_HANGS);
    weir_http_request_try_timeout(probe.request, try_timeout_ms);
    probe.deadline = NEVER;
    return probe;
}

static void half_open_one_permit(struct scene *scene)
{
    weir_http_options o = scene_prepare(scene, 503);

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
    struct call probe = hang_probe(&scene, 50);
    call_go(&probe);
    check(call_is(&probe, WEIR_TIMEOUT, 0));
    check_int(stats_of(&scene).state, WEIR_BREAKER_OPEN);
    check_int(stats_of(&scene).opened_in_a_row, 2);
    atomic_store(&scene.server.mood, SERVER_REPLIES);
    call_times(&scene, 1, WEIR_REFUSED, 0);
    scene_clock_move(&scene.clock, 120 * WEIR_SECOND + 1);
    call_times(&scene, 2, WEIR_OK, 200);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    call_end(&probe);
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
    struct call first = call_make(session, "GET", server.url);
    weir_http_request_try_timeout(first.request, 10);
    call_go(&first);
    check(call_is(&first, WEIR_TIMEOUT, 0));
    call_end(&first);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);

    struct call probe = call_make(session, "GET", server.url);
    call_start(&probe);
    check(peer_wait(server.peer, PEER_HELD, 1));
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    struct call other = fetch(session, "GET", server.url, NEVER);
    check(call_is(&other, WEIR_REFUSED, 0));
    check_int(call_join(&probe), WEIR_TIMEOUT);
    weir_breaker_stats stats = scene_origin(session, server.origin).breaker;
    check_int(stats.state, WEIR_BREAKER_OPEN);
    check_int(stats.opened_in_a_row, 2);
    check_int(stats.expired, 0);
    call_end(&probe);
    weir_http_close(session);
    server_stop(&server);
}

static void a_probe_that_hangs_for_longer_than_its_lease_does_not_hold_it_half_open(void)
{
    struct scene scene;

    half_open_one_permit(&scene);
    struct call probe = hang_probe(&scene, 30000);
    call_start(&probe);
    check(peer_wait(scene.server.peer, PEER_HELD, 1));
    atomic_store(&scene.server.mood, SERVER_REPLIES);
    call_times(&scene, 1, WEIR_REFUSED, 0);
    scene_clock_move(&scene.clock, 5 * WEIR_SECOND);
    call_times(&scene, 2, WEIR_OK, 200);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).expired, 1);

    /* And what becomes of it in the end changes nothing. */
    weir_http_request_cancel(probe.request);
    check_int(call_join(&probe), WEIR_CANCELLED);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).counts.failed, 0);
    call_end(&probe);
    scene_end(&scene);
}

static void a_probe_that_is_cancelled_gives_its_permit_back(void)
{
    struct scene scene;

    half_open_one_permit(&scene);
    struct call probe = hang_probe(&scene, 30000);
    call_start(&probe);
    check(peer_wait(scene.server.peer, PEER_HELD, 1));
    check_int(stats_of(&scene).permits_out, 1);
    weir_http_request_cancel(probe.request);
    check_int(call_join(&probe), WEIR_CANCELLED);
    check_int(stats_of(&scene).state, WEIR_BREAKER_HALF_OPEN);
    check_int(stats_of(&scene).permits_out, 0);
    atomic_store(&scene.server.mood, SERVER_REPLIES);
    call_times(&scene, 1, WEIR_OK, 200);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    call_end(&probe);
    scene_end(&scene);
}

/* Half-open with one permit, while the only place of max_total is held by a call to `busy`. */
static struct call half_open_and_busy(struct scene *scene, struct server *busy)
{
    weir_http_options o = scene_prepare(scene, 503);

    server_start(busy, NULL, 200, "");
    atomic_store(&busy->mood, SERVER_HOLDS);
    o.breaker.permitted_calls_in_half_open = 1;
    o.max_total = 1;
    o.acquire_timeout_ms = 200; /* the holder makes its connection in it */
    scene->session = scene_open(&o);
    open_it(scene);
    scene_clock_move(&scene->clock, 60 * WEIR_SECOND + 1);
    atomic_store(&scene->server.status, 200);
    return call_make(scene->session, "GET", busy->url);
}

static void end_busy(struct scene *scene, struct server *busy, struct call *holder)
{
    peer_let_go(busy->peer);
    check_int(call_join(holder), WEIR_OK);
    check_int(stats_of(scene).permits_out, 0);
    check_int(peer_requests(scene->server.peer), CALLS);
    call_times(scene, 1, WEIR_OK, 200);
    check_int(stats_of(scene).state, WEIR_BREAKER_CLOSED);
    call_end(holder);
    scene_end(scene);
    server_stop(busy);
}

/* A permit that was taken and then found no connection free must not be lost. */
static void a_probe_that_gets_no_connection_gives_its_permit_back(void)
{
    struct scene scene;
    struct server busy;
    struct call holder = half_open_and_busy(&scene, &busy);

    scene.clock.stands = false;
    call_start(&holder);
    check(peer_wait(busy.peer, PEER_HELD, 1));
    call_times(&scene, 3, WEIR_TIMEOUT, 0);
    check_int(stats_of(&scene).permits_out, 0);
    end_busy(&scene, &busy, &holder);
}

/* Nor that of one that is no longer wanted when its turn has come. */
static void a_probe_that_is_cancelled_in_line_gives_its_permit_back(void)
{
    struct scene scene;
    struct server busy;
    struct call holder = half_open_and_busy(&scene, &busy);
    struct call probe = call_make(scene.session, "GET", scene.server.url);

    call_start(&holder);
    check(peer_wait(busy.peer, PEER_HELD, 1));
    call_start(&probe);
    scene_clock_await_sleeper(&scene.clock, 0);
    check_int(stats_of(&scene).permits_out, 1);
    weir_http_request_cancel(probe.request);
    peer_let_go(busy.peer);
    call_join(&probe);
    check(call_is(&probe, WEIR_CANCELLED, 0));
    call_end(&probe);
    end_busy(&scene, &busy, &holder);
}

/* Nor while it waits for the rate limit, which could be for longer than its lease. */
static void a_probe_that_has_to_wait_for_the_rate_limit_takes_its_permit_afterwards(void)
{
    struct scene scene;
    weir_http_options o = scene_prepare(&scene, 503);

    scene.clock.stands = false;
    o.breaker.permitted_calls_in_half_open = 1;
    o.breaker.wait_in_open_ms = 1000;
    o.rate_limit.rate = 1;
    o.rate_limit.period_ms = 10000;
    scene.session = scene_open(&o);
    open_it(&scene);
    scene_clock_move(&scene.clock, 1001 * WEIR_MS);
    atomic_store(&scene.server.status, 200);
    struct call s = call(&scene);
    check(call_is(&s, WEIR_OK, 200));
    check_int(s.report.waited, 8999 * WEIR_MS);
    check_int(scene.server.came[CALLS] - CLOCK_START, CALLS * 10 * WEIR_SECOND);
    check_int(stats_of(&scene).state, WEIR_BREAKER_CLOSED);
    check_int(stats_of(&scene).expired, 0);
    scene_end(&scene);
}

int main(void)
{
    run(of_64_threads_that_come_at_once_when_it_half_opens_only_the_permitted_reach_the_server);
    run(a_server_that_still_fails_gets_no_more_than_the_permitted_probes);
    run(a_probe_that_hangs_until_its_timeout_reopens_it_and_the_next_one_closes_it);
    run(a_permit_is_leased_for_two_timeouts_at_least);
    run(a_probe_that_hangs_is_heard_whatever_lease_was_given);
    run(a_probe_that_hangs_for_longer_than_its_lease_does_not_hold_it_half_open);
    run(a_probe_that_is_cancelled_gives_its_permit_back);
    run(a_probe_that_gets_no_connection_gives_its_permit_back);
    run(a_probe_that_is_cancelled_in_line_gives_its_permit_back);
    run(a_probe_that_has_to_wait_for_the_rate_limit_takes_its_permit_afterwards);
    return check_done();
}
