/* SPDX-License-Identifier: MIT */
/* The rate limiter of an origin on the wire: a rate, a pause that a server asks all callers for, and waiting at it. */
#include "http_scene.h"

#define NEVER WEIR_DEADLINE_NEVER

static weir_http_options rate_limit_options(struct scene_clock *clock)
{
    weir_http_options o = scene_options(clock);

    o.retry.total = 0;
    return o;
}

/* ---- the rate ---------------------------------------------------------------------------------- */

static void five_a_second_leave_200_ms_after_each_other(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 200, "");
    weir_http_options o = rate_limit_options(&clock);
    o.rate_limit.rate = 5;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < 12; i++) {
        struct call s = fetch(session, "GET", server.url, NEVER);
        check(call_is(&s, WEIR_OK, 200));
        check_int(s.report.waited, i == 0 ? 0 : 200 * WEIR_MS);
        check_int(s.report.paused, 0);
        check_int(server.came[i] - CLOCK_START, i * 200 * WEIR_MS);
    }
    weir_http_close(session);
    server_stop(&server);
}

static void a_burst_leaves_at_once_and_the_rest_evenly(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 200, "");
    weir_http_options o = rate_limit_options(&clock);
    o.rate_limit.rate = 5;
    o.rate_limit.burst = 3;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < 6; i++) {
        struct call s = fetch(session, "GET", server.url, NEVER);
        check(call_is(&s, WEIR_OK, 200));
        check_int(server.came[i] - CLOCK_START, i < 3 ? 0 : (i - 2) * 200 * WEIR_MS);
    }
    weir_http_close(session);
    server_stop(&server);
}

static void repeats_are_rate_limited_too(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 503, "");
    weir_http_options o = rate_limit_options(&clock);
    o.rate_limit.rate = 1;
    o.retry.total = 3;
    o.retry.backoff_factor_ms = 0;
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", server.url, NEVER);

    check(call_is(&s, WEIR_RESPONSE, 0));
    check_int(s.report.waited, 3 * WEIR_SECOND);
    for (int i = 0; i < 4; i++)
        check_int(server.came[i] - CLOCK_START, i * WEIR_SECOND);
    weir_http_close(session);
    server_stop(&server);
}

static void who_cannot_be_through_before_the_deadline_is_refused_at_once(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 200, "");
    weir_http_options o = rate_limit_options(&clock);
    o.rate_limit.rate = 1;
    o.rate_limit.period_ms = 10000;
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", server.url, CLOCK_START + WEIR_SECOND);
    check(call_is(&s, WEIR_OK, 200));
    s = fetch(session, "GET", server.url, CLOCK_START + WEIR_SECOND);
    check(call_is(&s, WEIR_REFUSED, 0));
    check_int(s.report.retry_after, 10 * WEIR_SECOND);
    check_int(s.report.cause, WEIR_CAUSE_REFUSED);
    check_int(scene_clock_now(&clock.clock), CLOCK_START);
    check_contains(s.error.text, "rate limiter");
    check_contains(s.error.text, server.origin);
    check_int(peer_requests(server.peer), 1);
    check_int(scene_origin(session, server.origin).refused, 1);
    weir_http_close(session);
    server_stop(&server);
}

#define CROWD 16

/* By the machine's clock: 100 a second for a crowd that comes at once. */
static void a_crowd_leaves_one_by_one(void)
{
    static struct call crowd[CROWD];
    struct server server;
    weir_http_options o = rate_limit_options(NULL);

    o.rate_limit.rate = 100;
    server_start(&server, NULL, 200, "");
    weir_http *session = scene_open(&o);
    weir_time begun = weir_now();
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = call_make(session, "GET", server.url);
        call_start(&crowd[i]);
    }
    for (int i = 0; i < CROWD; i++) {
        check_int(call_join(&crowd[i]), WEIR_OK);
        call_end(&crowd[i]);
    }
    /* The kernel may wake one late and the next one in time, but nobody leaves before its instant. */
    for (int i = 0; i < CROWD; i++)
        check(server.came[i] - begun >= i * 10 * WEIR_MS);
    weir_http_close(session);
    server_stop(&server);
}

/* ---- a server that asks for a pause -------------------------------------------------------------- */

static void a_429_with_retry_after_closes_it_for_every_caller_of_that_origin_alone(void)
{
    struct scene_clock clock;
    struct server server;
    struct server other;

    scene_clock_init(&clock);
    server_start(&server, &clock, 429, "Retry-After: 30\r\n");
    server_start(&other, &clock, 200, "");
    weir_http_options o = rate_limit_options(&clock);
    o.use_budget = true;
    weir_http *session = scene_open(&o);
    weir_time soon = CLOCK_START + WEIR_SECOND;
    struct call first = fetch(session, "GET", server.url, soon);
    check(call_is(&first, WEIR_RESPONSE, 0));
    check_int(first.error.native, 429);
    check_int(first.report.retry_after, 30 * WEIR_SECOND);

    /* Another caller, in another thread, with another path and method. */
    char path[PEER_URL_SIZE];
    struct call second = call_make(session, "PUT", peer_url(server.peer, "/else", path));
    second.deadline = soon;
    call_start(&second);
    call_join(&second);
    check(call_is(&second, WEIR_REFUSED, 0));
    check(second.took < AT_ONCE);
    check_int(second.report.retry_after, 30 * WEIR_SECOND);
    check_int(second.report.attempts, 0);
    check(!second.report.was_sent);
    call_end(&second);
    check_int(peer_requests(server.peer), 1);

    struct call elsewhere = fetch(session, "GET", other.url, soon);
    check(call_is(&elsewhere, WEIR_OK, 200));
    weir_http_origin origin = scene_origin(session, server.origin);
    check_int(origin.cool_downs, 1);
    check_int(origin.cool_down_until, CLOCK_START + 30 * WEIR_SECOND);
    check_int(scene_origin(session, other.origin).cool_down_until, 0);

    /* Who has the time waits until it opens. */
    atomic_store(&server.status, 200);
    struct call patient = fetch(session, "GET", server.url, NEVER);
    check(call_is(&patient, WEIR_OK, 200));
    check_int(patient.report.waited, 30 * WEIR_SECOND);
    check_int(server.came[1] - CLOCK_START, 30 * WEIR_SECOND);
    check_int(scene_origin(session, server.origin).cool_down_until, 0);
    weir_http_close(session);
    server_stop(&server);
    server_stop(&other);
}

/* Two requests, and how much later the second one is than the first. */
static void check_pause(int status, const char *headers, int unstated_pause_ms, int pause_s)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, status, headers);
    weir_http_options o = rate_limit_options(&clock);
    o.unstated_pause_ms = unstated_pause_ms;
    weir_http *session = scene_open(&o);
    fetch(session, "GET", server.url, NEVER);
    fetch(session, "GET", server.url, NEVER);
    check_int(server.came[1] - server.came[0], pause_s * WEIR_SECOND);
    check_int(scene_origin(session, server.origin).cool_downs, pause_s == 0 ? 0 : 2);
    weir_http_close(session);
    server_stop(&server);
}

static void a_503_with_retry_after_closes_it_and_a_500_or_one_without_does_not(void)
{
    check_pause(503, "Retry-After: 7\r\n", 0, 7);
    check_pause(503, "Retry-After: 7\r\nRetry-After: 9\r\nRetry-After: x\r\n", 0, 9);
    check_pause(503, "", 0, 0);
    check_pause(500, "Retry-After: 7\r\n", 0, 0);
    check_pause(200, "Retry-After: 7\r\n", 0, 0);
    check_pause(429, "", 0, 0);
    check_pause(429, "Retry-After: 0\r\n", 0, 0);
    check_pause(429, "Retry-After: x\r\n", 0, 0);
}

/* Some servers block for a while and do not say so. */
static void a_429_that_does_not_say_for_how_long_closes_it_for_unstated_pause(void)
{
    check_pause(429, "", 30000, 30);
    check_pause(429, "Retry-After: x\r\n", 30000, 30);
    check_pause(429, "Retry-After: 7\r\n", 30000, 7);
    check_pause(429, "Retry-After: 0\r\n", 30000, 0);
    check_pause(503, "", 30000, 0);
}

/* What the server asked for, unless the cool-down is shorter or longer. */
static void a_report_says_how_long_the_cool_down_lasts(void)
{
    static const struct {
        int status;
        const char *headers;
        int unstated_pause_ms;
        weir_time expected;
    } cases[] = {
        {429, "Retry-After: 7\r\n", 30000, 7 * WEIR_SECOND},
        {429, "", 30000, 30 * WEIR_SECOND},
        {429, "Retry-After: -1\r\n", 30000, 30 * WEIR_SECOND},
        {429, "", 0, 0},
        {503, "Retry-After: 7\r\n", 30000, 7 * WEIR_SECOND},
        {503, "", 30000, 0},
        {429, "Retry-After: 99999999999999999999\r\n", 0, 21600 * WEIR_SECOND},
        {503, "Retry-After: 9223372036\r\n", 0, 21600 * WEIR_SECOND},
        {500, "Retry-After: 7\r\n", 30000, 7 * WEIR_SECOND},
    };
    weir_rate_limit_options never = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene_clock clock;
        struct server server;

        scene_clock_init(&clock);
        server_start(&server, &clock, cases[i].status, cases[i].headers);
        weir_http_options o = rate_limit_options(&clock);
        o.unstated_pause_ms = cases[i].unstated_pause_ms;
        weir_http *session = scene_open(&o);
        check_int(fetch(session, "GET", server.url, NEVER).report.retry_after, cases[i].expected);
        weir_time until = scene_origin(session, server.origin).cool_down_until;
        if (cases[i].status != 500)
            check_int(until == 0 ? 0 : until - CLOCK_START, cases[i].expected);

        /* A rate limiter that never cools down leaves what the server said. */
        never.max_cool_down_s = 0;
        weir_error error;
        check_int(weir_http_set_rate_limit(session, server.url, &never, cases[i].unstated_pause_ms,
                                           &error),
                  WEIR_OK);
        weir_time said = fetch(session, "GET", server.url, NEVER).report.retry_after;
        check(strstr(cases[i].headers, "-1") != NULL || cases[i].headers[0] == '\0'
                  ? said == 0
                  : said >= cases[i].expected);
        check_int(scene_origin(session, server.origin).cool_down_until, 0);
        weir_http_close(session);
        server_stop(&server);
    }
}

/* Its repeats wait for it as all others do. */
static void a_repeat_waits_for_the_end_of_the_cool_down(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 429, "");
    weir_http_options o = rate_limit_options(&clock);
    o.unstated_pause_ms = 30000;
    o.retry.total = 1;
    o.retry.jitter = WEIR_JITTER_NONE;
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", server.url, NEVER);

    check(call_is(&s, WEIR_RESPONSE, 0));
    check_int(s.report.attempts, 2);
    check_int(server.came[1] - server.came[0], 30 * WEIR_SECOND);
    check_int(s.report.paused, 300 * WEIR_MS);
    check_int(s.report.waited, 29700 * WEIR_MS);
    weir_http_close(session);
    server_stop(&server);
}

static void it_stays_closed_no_longer_than_max_closed(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 429, "Retry-After: 9223372036854775807\r\n");
    weir_http_options o = rate_limit_options(&clock);
    o.rate_limit.max_cool_down_s = 60;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < 2; i++)
        fetch(session, "GET", server.url, NEVER);
    check_int(server.came[1] - server.came[0], 60 * WEIR_SECOND);
    weir_http_close(session);
    server_stop(&server);
}

static void an_origin_may_have_a_rate_limit_of_its_own(void)
{
    struct scene_clock clock;
    struct server server;
    struct server other;
    weir_rate_limit_options rate_limit = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
    weir_error error;

    scene_clock_init(&clock);
    server_start(&server, &clock, 200, "");
    server_start(&other, &clock, 200, "");
    weir_http_options o = rate_limit_options(&clock);
    weir_http *session = scene_open(&o);
    rate_limit.rate = 2;
    check_int(weir_http_set_rate_limit(session, server.url, &rate_limit, 5000, &error), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        fetch(session, "GET", server.url, NEVER);
        fetch(session, "GET", other.url, NEVER);
        check_int(server.came[i] - CLOCK_START, i * 500 * WEIR_MS);
        check_int(other.came[i] - server.came[i], 0);
    }
    atomic_store(&server.status, 429);
    atomic_store(&other.status, 429);
    for (int i = 3; i < 5; i++) {
        fetch(session, "GET", other.url, NEVER);
        fetch(session, "GET", server.url, NEVER);
    }
    check_int(other.came[4] - server.came[3], 0);
    check_int(server.came[4] - server.came[3], 5 * WEIR_SECOND);

    /* Setting it opens it. */
    check_int(weir_http_set_rate_limit(session, server.url, &rate_limit, 0, &error), WEIR_OK);
    fetch(session, "GET", server.url, NEVER);
    check_int(server.came[5] - server.came[4], 0);
    rate_limit.burst = 0;
    check_int(weir_http_set_rate_limit(session, server.url, &rate_limit, 0, &error), WEIR_INVALID);
    check_contains(error.text, "burst");
    rate_limit.burst = 1;
    check_int(weir_http_set_rate_limit(session, server.url, &rate_limit, -1, &error), WEIR_INVALID);
    check_contains(error.text, "unstated_pause_ms");
    check_int(weir_http_set_rate_limit(session, "nowhere", &rate_limit, 0, &error), WEIR_INVALID);
    weir_http_close(session);
    server_stop(&server);
    server_stop(&other);
}

/* ---- waiting at it --------------------------------------------------------------------------------- */

enum ending { ENDS_BY_CANCEL, ENDS_BY_DISPOSE, ENDS_BY_TIME };

/* A caller waits for the cool-down to end, and then this happens. */
static void end_a_wait(enum ending how, weir_status status)
{
    struct scene_clock clock;
    struct server server;
    weir_error error;

    scene_clock_init(&clock);
    clock.stands = true;
    server_start(&server, &clock, 429, "Retry-After: 30\r\n");
    weir_http_options o = rate_limit_options(&clock);
    weir_http *session = scene_open(&o);
    fetch(session, "GET", server.url, NEVER);
    atomic_store(&server.status, 200);
    struct call s = call_make(session, "GET", server.url);

    s.deadline = CLOCK_START + 40 * WEIR_SECOND;
    call_start(&s);
    scene_clock_await_sleeper(&clock, 0);
    weir_time begun = weir_now();
    if (how == ENDS_BY_CANCEL)
        weir_http_request_cancel(s.request);
    if (how == ENDS_BY_DISPOSE)
        check_int(weir_http_dispose(session, NEVER, &error), WEIR_OK);
    if (how == ENDS_BY_TIME)
        scene_clock_move(&clock, 30 * WEIR_SECOND);
    call_join(&s);
    check(how == ENDS_BY_TIME || weir_now() - begun < AT_ONCE);
    check(call_is(&s, status, status == WEIR_OK ? 200 : 0));
    check_int(peer_requests(server.peer), status == WEIR_OK ? 2 : 1);
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

static void cancelling_ends_the_wait_at_once(void)
{
    end_a_wait(ENDS_BY_CANCEL, WEIR_CANCELLED);
}

static void disposing_ends_the_wait_at_once(void)
{
    end_a_wait(ENDS_BY_DISPOSE, WEIR_CLOSED);
}

static void the_wait_ends_when_it_opens(void)
{
    end_a_wait(ENDS_BY_TIME, WEIR_OK);
}

/* Closed for longer while somebody waits: the place in time is void, and another one is taken. */
static void who_waits_while_it_is_closed_again_waits_for_the_later_instant(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    clock.stands = true;
    server_start(&server, &clock, 429, "Retry-After: 60\r\n");
    weir_http_options o = rate_limit_options(&clock);
    o.rate_limit.rate = 1;
    o.rate_limit.period_ms = 10000;
    weir_http *session = scene_open(&o);

    /* The first is on its way, the second has a place ten seconds later; then the answer closes it. */
    atomic_store(&server.mood, SERVER_HOLDS);
    struct call first = call_make(session, "GET", server.url);
    struct call second = call_make(session, "GET", server.url);
    first.deadline = second.deadline = NEVER;
    call_start(&first);
    check(peer_wait(server.peer, PEER_HELD, 1));
    call_start(&second);
    scene_clock_await_sleeper(&clock, 0);
    peer_let_go(server.peer);
    check_int(call_join(&first), WEIR_RESPONSE);
    atomic_store(&server.status, 200);
    scene_clock_move(&clock, 10 * WEIR_SECOND);
    struct call third = fetch(session, "GET", server.url, CLOCK_START + 11 * WEIR_SECOND);
    check(call_is(&third, WEIR_REFUSED, 0));
    check_int(peer_requests(server.peer), 1);
    scene_clock_move(&clock, 60 * WEIR_SECOND);
    check_int(call_join(&second), WEIR_OK);
    check(server.came[1] - CLOCK_START >= 60 * WEIR_SECOND);
    call_end(&first);
    call_end(&second);
    weir_http_close(session);
    server_stop(&server);
}

static bool block_slowly(struct peer_exchange *x, void *arg)
{
    (void)arg;
    return peer_pause(x, 50) && peer_reply(x, 429, "Retry-After: 60\r\n", NULL, 0);
}

/* What waits in the queue for a connection meanwhile is not sent either. */
static void a_cool_down_holds_back_those_who_wait_for_a_connection(void)
{
    enum { SENDERS = 4 };
    struct peer *peer = peer_start(&(struct peer_options){.handler = block_slowly});
    weir_http_options o = rate_limit_options(NULL);
    struct call senders[SENDERS];
    char url[PEER_URL_SIZE];
    int refused = 0;

    o.pool_maxsize = 1;
    o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = call_make(session, "GET", peer_url(peer, "/", url));
        senders[i].deadline = weir_deadline_in(5000);
    }
    for (int i = 0; i < SENDERS; i++)
        call_start(&senders[i]);
    for (int i = 0; i < SENDERS; i++) {
        refused += call_join(&senders[i]) == WEIR_REFUSED;
        check(senders[i].report.retry_after > 50 * WEIR_SECOND);
        call_end(&senders[i]);
    }
    check_int(refused, SENDERS - 1);
    check_int(peer_requests(peer), 1);
    weir_http_origin origin = scene_origin(session, peer_url(peer, "", url));
    check_int(origin.attempts, 1);
    check_int(origin.pool.leased, 0);
    check_int(origin.in_flight, 0);
    weir_http_close(session);
    peer_stop(peer);
}

/* An instant that the old rate limiter gave is none of the new one. */
static void who_waits_for_a_rate_limit_that_is_set_anew_goes_by_the_new_one(void)
{
    struct scene_clock clock;
    struct server server;
    weir_rate_limit_options slow = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
    weir_error error;

    scene_clock_init(&clock);
    clock.stands = true;
    server_start(&server, &clock, 200, "");
    weir_http_options o = rate_limit_options(&clock);
    slow.rate = 1;
    slow.period_ms = 10000;
    o.rate_limit = slow;
    weir_http *session = scene_open(&o);
    fetch(session, "GET", server.url, NEVER);
    struct call second = call_make(session, "GET", server.url);
    second.deadline = NEVER;
    call_start(&second);
    scene_clock_await_sleeper(&clock, 0);
    slow.period_ms = 60000;
    check_int(weir_http_set_rate_limit(session, server.url, &slow, 0, &error), WEIR_OK);
    fetch(session, "GET", server.url, NEVER);
    check_int(peer_requests(server.peer), 2);
    scene_clock_move(&clock, 10 * WEIR_SECOND);
    scene_clock_await_sleeper(&clock, CLOCK_START + 60 * WEIR_SECOND);
    scene_clock_move(&clock, 50 * WEIR_SECOND);
    check_int(call_join(&second), WEIR_OK);
    check_int(server.came[2] - CLOCK_START, 60 * WEIR_SECOND);
    call_end(&second);
    weir_http_close(session);
    server_stop(&server);
}

int main(void)
{
    run(five_a_second_leave_200_ms_after_each_other);
    run(a_burst_leaves_at_once_and_the_rest_evenly);
    run(repeats_are_rate_limited_too);
    run(who_cannot_be_through_before_the_deadline_is_refused_at_once);
    run(a_crowd_leaves_one_by_one);
    run(a_429_with_retry_after_closes_it_for_every_caller_of_that_origin_alone);
    run(a_503_with_retry_after_closes_it_and_a_500_or_one_without_does_not);
    run(a_429_that_does_not_say_for_how_long_closes_it_for_unstated_pause);
    run(a_report_says_how_long_the_cool_down_lasts);
    run(a_repeat_waits_for_the_end_of_the_cool_down);
    run(it_stays_closed_no_longer_than_max_closed);
    run(an_origin_may_have_a_rate_limit_of_its_own);
    run(cancelling_ends_the_wait_at_once);
    run(disposing_ends_the_wait_at_once);
    run(the_wait_ends_when_it_opens);
    run(who_waits_while_it_is_closed_again_waits_for_the_later_instant);
    run(a_cool_down_holds_back_those_who_wait_for_a_connection);
    run(who_waits_for_a_rate_limit_that_is_set_anew_goes_by_the_new_one);
    return check_done();
}
