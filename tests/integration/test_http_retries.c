/* SPDX-License-Identifier: MIT */
/* Repeats of HTTP requests: spread, Retry-After, budget, what is not safe to repeat, cancelling. */
#include "http_scene.h"
#include "unit/chance.h"

#define NEVER WEIR_DEADLINE_NEVER

/* ---- pitfall 19: clients that failed together come back apart ----------------------------- */

#define CLIENTS 1000
#define CROWDS 10

/* Of a spread that is even, one in 10^12 is less so: a threshold that no run passes by accident. */
#define NO_CHANCE 105.0

/* One of the crowds: a session of its own, whose calls fail at the same instant. */
struct crowd {
    const char *url;
    weir_jitter jitter;
    pthread_t thread;
    weir_time pauses[CLIENTS / CROWDS];
    int attempts;
};

static void *fail_together(void *arg)
{
    struct crowd *crowd = arg;
    struct scene_clock clock;

    scene_clock_init(&clock);
    weir_http_options o = scene_options(&clock);
    o.retry.total = 1;
    o.retry.jitter = crowd->jitter;
    weir_http *session = scene_open(&o);
    for (int i = 0; i < CLIENTS / CROWDS; i++) {
        struct call s = fetch(session, "GET", crowd->url, NEVER);
        crowd->attempts += (int)s.report.attempts;
        crowd->pauses[i] = s.report.paused;
    }
    weir_http_close(session);
    return NULL;
}

static double unevenness_of_pauses(weir_jitter jitter)
{
    static struct crowd crowds[CROWDS];
    static weir_time pauses[CLIENTS];
    weir_retry_options defaults = WEIR_RETRY_OPTIONS_DEFAULT;
    struct server server;
    int attempts = 0;

    server_start(&server, NULL, 503, "");
    memset(crowds, 0, sizeof crowds);
    for (int i = 0; i < CROWDS; i++) {
        crowds[i].url = server.url;
        crowds[i].jitter = jitter;
        if (pthread_create(&crowds[i].thread, NULL, fail_together, &crowds[i]) != 0)
            bail_out("no thread");
    }
    for (int i = 0; i < CROWDS; i++) {
        pthread_join(crowds[i].thread, NULL);
        memcpy(&pauses[i * (CLIENTS / CROWDS)], crowds[i].pauses, sizeof crowds[i].pauses);
        attempts += crowds[i].attempts;
    }
    check_int(attempts, 2 * CLIENTS);
    check_int(peer_requests(server.peer), 2 * CLIENTS);
    server_stop(&server);
    return unevenness(pauses, CLIENTS, 0, defaults.backoff_factor_ms * WEIR_MS);
}

static void a_thousand_clients_that_failed_together_come_back_spread_over_the_whole_back_off(void)
{
    check_int(((weir_retry_options)WEIR_RETRY_OPTIONS_DEFAULT).jitter, WEIR_JITTER_FULL);
    check(unevenness_of_pauses(WEIR_JITTER_FULL) < NO_CHANCE);
}

static void without_jitter_or_with_half_of_it_the_same_measure_sees_that_they_come_together(void)
{
    check(unevenness_of_pauses(WEIR_JITTER_NONE) > NO_CHANCE);
    check(unevenness_of_pauses(WEIR_JITTER_EQUAL) > NO_CHANCE);
}

/* ---- pitfalls 4 and 5: Retry-After -------------------------------------------------------- */

static const char huge[] = "Retry-After: 99999999999999999999999999999999999999999999999999999999"
                           "99999999999999999999999999999999999999999999999999999999999999999\r\n";

/* No field is one too many, up to as many as a response may have. */
#define AFTER_FOUR "Retry-After: 1\r\nRetry-After: 2\r\nRetry-After: 1\r\nRetry-After: 0\r\n"

/* With a deadline a minute away: how often it is sent, and whether the header was valid. */
static const struct {
    const char *headers;
    int attempts;
    int invalid; /* per response */
    weir_retry_cause cause;
} asked[] = {
    {"Retry-After: 999999\r\n", 1, 0, WEIR_CAUSE_TOO_LONG},
    {"Retry-After: 9223372036854775807\r\n", 1, 0, WEIR_CAUSE_TOO_LONG},
    {"Retry-After: 9223372036854775808\r\n", 1, 0, WEIR_CAUSE_TOO_LONG},
    {"Retry-After: 18446744073709551616\r\n", 1, 0, WEIR_CAUSE_TOO_LONG},
    {huge, 1, 0, WEIR_CAUSE_TOO_LONG},
    {"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", 1, 0, WEIR_CAUSE_TOO_LONG},
    {"Retry-After: 21600\r\n", 1, 0, WEIR_CAUSE_DEADLINE},
    {"Retry-After: 60\r\n", 1, 0, WEIR_CAUSE_DEADLINE},
    {"Retry-After: -1\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: 1.5\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: +1\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: soon\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: 2, 2\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: Tue, 31 Feb 2034 23:59:59 GMT\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After:\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: 1\r\nRetry-After: junk\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: -5\r\nRetry-After: junk\r\n", 4, 2, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: 1\r\nRetry-After: 999999\r\n", 1, 0, WEIR_CAUSE_TOO_LONG},
    {AFTER_FOUR "Retry-After: 999999\r\n", 1, 0, WEIR_CAUSE_TOO_LONG},
    {AFTER_FOUR "Retry-After: 60\r\n", 1, 0, WEIR_CAUSE_DEADLINE},
    {AFTER_FOUR "Retry-After: junk\r\n", 4, 1, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: 0\r\n", 4, 0, WEIR_CAUSE_EXHAUSTED},
    {"Retry-After: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 4, 0, WEIR_CAUSE_EXHAUSTED},
};

static void no_retry_after_is_waited_for_beyond_the_deadline_and_invalid_ones_are_counted(void)
{
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        struct scene_clock clock;
        struct server server;

        scene_clock_init(&clock);
        server_start(&server, &clock, 503, asked[i].headers);
        weir_http_options o = scene_options(&clock);
        weir_http *session = scene_open(&o);
        struct call s = fetch(session, "GET", server.url, CLOCK_START + 60 * WEIR_SECOND);
        weir_http_origin origin = scene_origin(session, server.origin);

        check(call_is(&s, WEIR_RESPONSE, 0));
        check_int(s.error.native, 503);
        check_text(weir_retry_cause_name(s.report.cause), weir_retry_cause_name(asked[i].cause));
        check_int(peer_requests(server.peer), asked[i].attempts);
        check(scene_clock_now(&clock.clock) < CLOCK_START + 60 * WEIR_SECOND);
        check_int(origin.invalid_retry_afters, asked[i].attempts * asked[i].invalid);
        check_int(origin.causes[asked[i].cause], 1);
        if (check_failures_in_test > 0)
            printf("# with %s", asked[i].headers);
        weir_http_close(session);
        server_stop(&server);
    }
}

static void the_longest_of_several_retry_afters_is_waited_for(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 503, "Retry-After: 7\r\nRetry-After: junk\r\nRetry-After: 3\r\n");
    weir_http_options o = scene_options(&clock);
    o.retry.total = 1;
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", server.url, NEVER);

    check_int(s.report.attempts, 2);
    check(server.came[1] - server.came[0] >= 7 * WEIR_SECOND);
    check(server.came[1] - server.came[0] <= 7300 * WEIR_MS);
    weir_http_close(session);
    server_stop(&server);
}

static void a_pause_that_would_reach_the_deadline_is_not_begun(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 503, "Retry-After: 1\r\n");
    weir_http_options o = scene_options(&clock);
    o.retry.jitter = WEIR_JITTER_NONE;
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", server.url, CLOCK_START + WEIR_SECOND);

    check(call_is(&s, WEIR_RESPONSE, 0));
    check_int(s.report.cause, WEIR_CAUSE_DEADLINE);
    check_int(s.report.retry_after, WEIR_SECOND);
    check_int(scene_clock_now(&clock.clock), CLOCK_START);
    check_contains(s.error.text, "deadline");
    weir_http_close(session);
    server_stop(&server);
}

/* Pitfall 5, by the machine's clock. */
static void a_repeat_never_comes_before_its_retry_after(void)
{
    struct server server;
    weir_http_options o = scene_options(NULL);

    server_start(&server, NULL, 429, "Retry-After: 1\r\n");
    o.retry.total = 1;
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", server.url, NEVER);

    check_int(s.report.attempts, 2);
    check(server.came[1] - server.answered[0] >= WEIR_SECOND);
    check(server.came[1] - server.answered[0] < 3 * WEIR_SECOND);
    weir_http_close(session);
    server_stop(&server);
}

static void a_repeat_never_comes_before_a_retry_after_that_is_a_date(void)
{
    struct server server;
    struct timespec wall;
    struct tm date;
    char headers[64];
    weir_http_options o = scene_options(NULL);

    o.retry.total = 1;
    clock_gettime(CLOCK_REALTIME, &wall);
    time_t second = wall.tv_sec + 2;
    strftime(headers, sizeof headers, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n",
             gmtime_r(&second, &date));
    server_start(&server, NULL, 503, headers);
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", server.url, NEVER);
    weir_time now = weir_now();
    clock_gettime(CLOCK_REALTIME, &wall);

    /* The wall clock at the instant the second request came. */
    int64_t came = wall.tv_sec * WEIR_SECOND + wall.tv_nsec - (now - server.came[1]);
    check_int(s.report.attempts, 2);
    check(came >= second * WEIR_SECOND);
    check(came < (second + 2) * WEIR_SECOND);
    weir_http_close(session);
    server_stop(&server);
}

/* ---- pitfall 20: the budget ---------------------------------------------------------------- */

/* `count` requests, a millisecond after each other, to a server that fails all; what it received. */
static int storm(int count, enum server_mood mood)
{
    struct scene_clock clock;
    struct server server;
    int failed = 0;

    scene_clock_init(&clock);
    server_start(&server, NULL, 503, "");
    atomic_store(&server.mood, mood);
    weir_http_options o = scene_options(&clock);
    o.use_budget = true;
    o.retry.backoff_factor_ms = 0;
    weir_http *session = scene_open(&o);
    struct call s = call_make(session, "GET", server.url);
    s.deadline = NEVER;
    for (int i = 0; i < count; i++) {
        scene_clock_set(&clock, CLOCK_START + i * WEIR_MS);
        failed += call_go(&s) != WEIR_OK;
    }
    call_end(&s);
    weir_http_origin origin = scene_origin(session, server.origin);
    int received = peer_requests(server.peer);

    check_int(failed, count);
    check_int(origin.requests, count);
    check_int(origin.attempts, received);
    check_int(origin.budget_balance, 0);
    check(origin.budget_denied > 0);
    weir_http_close(session);
    server_stop(&server);
    return received;
}

/* A fifth of what was asked for, and ten a second for the ten seconds of the window, saved up. */
static void ten_seconds_of_a_thousand_failures_each_bring_2100_repeats_and_no_more(void)
{
    check_int(storm(10000, SERVER_REPLIES), 10000 + 10000 / 5 + 10 * 10);
}

static void the_budget_holds_for_connections_that_are_lost_too(void)
{
    check_int(storm(1000, SERVER_DROPS), 1000 + 1000 / 5 + 10 * 10);
}

/* ---- what is not safe to repeat ------------------------------------------------------------ */

/* The keys of the requests, in order. */
struct keys {
    int count;
    char keys[16][80];
    char bodies[16][16];
    pthread_mutex_t lock;
};

static bool note_key(struct peer_exchange *x, void *arg)
{
    struct keys *keys = arg;

    if (!peer_read_body(x))
        return false;
    pthread_mutex_lock(&keys->lock);
    if (keys->count < 16) {
        int i = keys->count++;
        if (peer_header(x, "Idempotency-Key", keys->keys[i], sizeof keys->keys[i]) == NULL)
            keys->keys[i][0] = '\0';
        snprintf(keys->bodies[i], sizeof keys->bodies[i], "%s", x->body);
    }
    pthread_mutex_unlock(&keys->lock);
    return peer_reply(x, 503, "", "no", 2);
}

/* POST to a server that fails, with a key as given: NULL a random one, "" none. */
static struct call post(weir_http *session, const char *url, const char *key)
{
    struct call s = call_make(session, "POST", url);

    s.deadline = NEVER;
    weir_http_request_body(s.request, "{\"n\":1}", 7, "application/json");
    if (key == NULL || key[0] != '\0')
        weir_http_request_idempotency_key(s.request, key);
    call_go(&s);
    call_end(&s);
    return s;
}

static void a_post_is_repeated_with_a_key_only_which_stays_the_same_for_its_attempts(void)
{
    static struct keys keys;
    struct scene_clock clock;
    char url[PEER_URL_SIZE];

    keys = (struct keys){.lock = PTHREAD_MUTEX_INITIALIZER};
    struct peer *peer = peer_start(&(struct peer_options){.handler = note_key, .arg = &keys});
    scene_clock_init(&clock);
    weir_http_options o = scene_options(&clock);
    weir_http *session = scene_open(&o);
    peer_url(peer, "/", url);

    struct call bare = post(session, url, "");
    check(call_is(&bare, WEIR_OK, 503));
    check_int(bare.report.cause, WEIR_CAUSE_METHOD);
    check_int(keys.count, 1);
    check_text(keys.keys[0], "");

    struct call first = post(session, url, NULL);
    struct call second = post(session, url, NULL);
    struct call given = post(session, url, "order-77");
    check(call_is(&first, WEIR_RESPONSE, 0));
    check(call_is(&second, WEIR_RESPONSE, 0));
    check(call_is(&given, WEIR_RESPONSE, 0));
    check_int(keys.count, 1 + 3 * 4);
    for (int i = 1; i < 5; i++) {
        check_text(keys.keys[i], keys.keys[1]);
        check_text(keys.keys[i + 4], keys.keys[5]);
        check_text(keys.keys[i + 8], "order-77");
    }
    check(strlen(keys.keys[1]) >= 32);
    check(strcmp(keys.keys[1], keys.keys[5]) != 0);
    for (int i = 0; i < keys.count; i++)
        check_text(keys.bodies[i], "{\"n\":1}");
    weir_http_close(session);
    peer_stop(peer);
}

/* Pitfall 1, by retries: what may have been carried out is not sent again, and said to be unclear. */
static void a_post_whose_connection_is_lost_is_ambiguous_and_a_get_is_not(void)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, NULL, 503, "");
    atomic_store(&server.mood, SERVER_DROPS);
    weir_http_options o = scene_options(&clock);
    weir_http *session = scene_open(&o);

    struct call s = fetch(session, "POST", server.url, NEVER);
    check(call_is(&s, WEIR_AMBIGUOUS, 0));
    check_int(s.report.cause, WEIR_CAUSE_UNKNOWN);
    check(s.report.was_sent);
    check_int(peer_requests(server.peer), 1);

    s = fetch(session, "GET", server.url, NEVER);
    check(call_is(&s, WEIR_DISCONNECTED, 0));
    check_int(s.report.cause, WEIR_CAUSE_EXHAUSTED);
    check_int(peer_requests(server.peer), 1 + 4);
    check_contains(s.error.text, "4 attempts");
    weir_http_close(session);
    server_stop(&server);
}

/* Over a connection that was used before, to a server that closes it without a word, and all others. */
static void lose_an_old_connection(const char *method, const weir_retry_options *retry,
                                   unsigned attempts, unsigned resends)
{
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 200, "");
    weir_http_options o = scene_options(&clock);
    weir_http *session = scene_open(&o);
    fetch(session, "GET", server.url, NEVER);
    atomic_store(&server.mood, SERVER_DROPS);
    struct call s = call_make(session, method, server.url);
    s.deadline = NEVER;
    weir_http_request_retry(s.request, retry);
    call_go(&s);
    check_int(s.report.attempts, attempts);
    check_int(s.report.resends, resends);
    if (resends > 0)
        check_int(server.came[2] - server.came[1], 0);
    check_int(peer_requests(server.peer), 1 + attempts);
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

/* At once and besides the repeats, unless there are none; urllib3 knows no difference. */
static void what_is_lost_with_an_old_connection_is_sent_once_more_over_a_new_one(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    weir_retry_options urllib3 = WEIR_RETRY_OPTIONS_URLLIB3;

    lose_an_old_connection("GET", &o, 5, 1);
    lose_an_old_connection("POST", &o, 1, 0);
    lose_an_old_connection("GET", &urllib3, 4, 0);
    o.total = 0;
    lose_an_old_connection("GET", &o, 1, 0);
    o.total = 3;
    o.read = 0;
    lose_an_old_connection("GET", &o, 1, 0);
}

static void a_deadline_that_has_passed_sends_nothing(void)
{
    const weir_time deadlines[] = {WEIR_DEADLINE_NOW, CLOCK_START - 1, CLOCK_START};
    struct scene_clock clock;
    struct server server;

    scene_clock_init(&clock);
    server_start(&server, &clock, 200, "");
    weir_http_options o = scene_options(&clock);
    weir_http *session = scene_open(&o);
    for (int i = 0; i < 3; i++) {
        struct call s = fetch(session, "GET", server.url, deadlines[i]);
        check(call_is(&s, WEIR_TIMEOUT, 0));
        check_int(s.report.attempts, 0);
    }
    check_int(peer_requests(server.peer), 0);
    weir_http_close(session);
    server_stop(&server);
}

static void a_request_may_have_repeats_of_its_own(void)
{
    struct scene_clock clock;
    struct server server;
    weir_retry_options none = WEIR_RETRY_OPTIONS_DEFAULT;
    weir_retry_options bad = WEIR_RETRY_OPTIONS_DEFAULT;

    scene_clock_init(&clock);
    server_start(&server, NULL, 503, "");
    weir_http_options o = scene_options(&clock);
    weir_http *session = scene_open(&o);
    struct call s = call_make(session, "GET", server.url);

    none.total = WEIR_RETRY_DISABLED;
    check_int(weir_http_request_retry(s.request, &none), WEIR_OK);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 503));
    check_int(s.report.attempts, 1);
    bad.backoff_factor_ms = -1;
    check_int(weir_http_request_retry(s.request, &bad), WEIR_INVALID);
    check_contains(weir_http_request_error(s.request)->text, "backoff_factor_ms");
    call_go(&s);
    check(call_is(&s, WEIR_INVALID, 0));
    check_int(peer_requests(server.peer), 1);
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

/* ---- ended from outside -------------------------------------------------------------------- */

enum ending { ENDS_BY_CANCEL, ENDS_BY_DISPOSE };

/* A call that pauses for an hour, ended meanwhile. */
static void end_a_pause(enum ending how, weir_status status)
{
    struct scene_clock clock;
    struct server server;
    weir_error error;

    scene_clock_init(&clock);
    clock.stands = true;
    server_start(&server, NULL, 503, "Retry-After: 3600\r\n");
    weir_http_options o = scene_options(&clock);
    o.rate_limit.max_cool_down_s = 0;
    weir_http *session = scene_open(&o);
    struct call s = call_make(session, "GET", server.url);

    s.deadline = NEVER;
    call_start(&s);
    scene_clock_await_sleeper(&clock, 0);
    weir_time begun = weir_now();
    if (how == ENDS_BY_CANCEL)
        weir_http_request_cancel(s.request);
    else
        check_int(weir_http_dispose(session, NEVER, &error), WEIR_OK);
    call_join(&s);
    check(weir_now() - begun < AT_ONCE);
    check(call_is(&s, status, 0));
    check_int(peer_requests(server.peer), 1);

    /* The request itself can be sent again, unless there is nothing any more to send it over. */
    atomic_store(&server.status, 200);
    call_go(&s);
    if (how == ENDS_BY_CANCEL)
        check(call_is(&s, WEIR_OK, 200));
    else
        check(call_is(&s, WEIR_CLOSED, 0));
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

static void cancelling_ends_a_pause_at_once(void)
{
    end_a_pause(ENDS_BY_CANCEL, WEIR_CANCELLED);
}

static void disposing_ends_a_pause_at_once(void)
{
    end_a_pause(ENDS_BY_DISPOSE, WEIR_CLOSED);
}

static void cancelling_ends_an_attempt_on_the_wire_at_once(void)
{
    struct server server;
    weir_http_options o = scene_options(NULL);

    server_start(&server, NULL, 200, "");
    weir_http *session = scene_open(&o);
    struct call s = call_make(session, "GET", server.url);

    /* Many times, because the sender may not sleep yet when it is cancelled; and over a connection used
     * before, where libcurl has no timer of its own that would end its sleep. */
    for (int i = 1; i <= 20; i++) {
        atomic_store(&server.mood, SERVER_REPLIES);
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        atomic_store(&server.mood, SERVER_HANGS);
        call_start(&s);
        check(peer_wait(server.peer, PEER_REQUESTS, 2 * i));
        weir_time begun = weir_now();
        weir_http_request_cancel(s.request);
        call_join(&s);
        check(weir_now() - begun < AT_ONCE);
        check(call_is(&s, WEIR_CANCELLED, 0));
        check_int(s.report.attempts, 1);
        check(s.report.was_sent);
        check_int(scene_origin(session, server.origin).cancelled, i);
    }
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

static void cancelling_before_the_call_ends_the_next_one_only(void)
{
    struct server server;
    weir_http_options o = scene_options(NULL);

    server_start(&server, NULL, 200, "");
    weir_http *session = scene_open(&o);
    struct call s = call_make(session, "GET", server.url);

    weir_http_request_cancel(s.request);
    call_go(&s);
    check(call_is(&s, WEIR_CANCELLED, 0));
    check_int(peer_requests(server.peer), 0);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

int main(void)
{
    run(a_thousand_clients_that_failed_together_come_back_spread_over_the_whole_back_off);
    run(without_jitter_or_with_half_of_it_the_same_measure_sees_that_they_come_together);
    run(no_retry_after_is_waited_for_beyond_the_deadline_and_invalid_ones_are_counted);
    run(the_longest_of_several_retry_afters_is_waited_for);
    run(a_pause_that_would_reach_the_deadline_is_not_begun);
    run(a_repeat_never_comes_before_its_retry_after);
    run(a_repeat_never_comes_before_a_retry_after_that_is_a_date);
    run(ten_seconds_of_a_thousand_failures_each_bring_2100_repeats_and_no_more);
    run(the_budget_holds_for_connections_that_are_lost_too);
    run(a_post_is_repeated_with_a_key_only_which_stays_the_same_for_its_attempts);
    run(a_post_whose_connection_is_lost_is_ambiguous_and_a_get_is_not);
    run(what_is_lost_with_an_old_connection_is_sent_once_more_over_a_new_one);
    run(a_deadline_that_has_passed_sends_nothing);
    run(a_request_may_have_repeats_of_its_own);
    run(cancelling_ends_a_pause_at_once);
    run(disposing_ends_a_pause_at_once);
    run(cancelling_ends_an_attempt_on_the_wire_at_once);
    run(cancelling_before_the_call_ends_the_next_one_only);
    return check_done();
}
