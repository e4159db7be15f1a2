/* SPDX-License-Identifier: MIT */
/* The attempts of a call, listed: which, where to, why, how long, how each ended, and nothing secret. */
#include "http_site.h"

#define NEVER WEIR_DEADLINE_NEVER
#define LISTED 32

/* ---- looking --------------------------------------------------------------------------------- */

static size_t count_listed(const weir_http_request *request)
{
    size_t count = 0;

    while (weir_http_request_attempt_at(request, count) != NULL)
        count++;
    check(weir_http_request_attempt_at(request, count + 1) == NULL);
    check(weir_http_request_attempt_at(request, SIZE_MAX) == NULL);
    return count;
}

/* What holds for every list: it is complete but for what it says is left out, in order, its times are those of
 * the report, and an attempt has either failed, with a text, or a response. */
static size_t check_list(const struct call *s)
{
    const weir_http_report *r = weir_http_request_report(s->request);
    size_t count = count_listed(s->request);
    weir_time spent = 0;
    unsigned number = 0;

    check_int(count + r->unlisted, r->attempts);
    for (size_t i = 0; i < count; i++) {
        const weir_http_attempt *a = weir_http_request_attempt_at(s->request, i);
        check(a->number > number && a->number <= r->attempts);
        check((a->number == 1) == (a->reason == WEIR_HTTP_REASON_FIRST));
        check((a->failure == WEIR_OK) == (a->text[0] == '\0'));
        check((a->failure == WEIR_OK) ==
              (a->kind == WEIR_ATTEMPT_RESPONSE || a->kind == WEIR_ATTEMPT_REDIRECT));
        check(a->waited >= 0 && a->paused >= 0 && a->duration >= 0);
        number = a->number;
        spent += a->waited + a->paused + a->duration;
    }
    check(spent <= r->elapsed);
    return count;
}

/* An attempt, all zero when there is none. */
static weir_http_attempt at(const struct call *s, size_t index)
{
    const weir_http_attempt *a = weir_http_request_attempt_at(s->request, index);

    if (a != NULL)
        return *a;
    printf("# no attempt %zu is listed\n", index);
    check(a != NULL);
    return (weir_http_attempt){.method = "", .url = "", .text = "?"};
}

/* Check what an attempt was and how it ended. */
#define check_attempt(a, why, how, code, what)                                                     \
    do {                                                                                           \
        check_text(weir_http_reason_name((a).reason), why);                                        \
        check_int((a).kind, WEIR_ATTEMPT_##how);                                                   \
        check_int((a).status, code);                                                               \
        check_text(weir_retry_cause_name((a).cause), what);                                        \
    } while (0)

static weir_http *open_exact(struct scene_clock *clock)
{
    weir_http_options o = scene_options(clock);

    o.retry.jitter = WEIR_JITTER_NONE; /* pauses are exact */
    return scene_open(&o);
}

/* ---- one attempt ----------------------------------------------------------------------------- */

static void every_reason_has_a_name(void)
{
    check_text(weir_http_reason_name(WEIR_HTTP_REASON_FIRST), "first");
    check_text(weir_http_reason_name(WEIR_HTTP_REASON_RETRY), "retry");
    check_text(weir_http_reason_name(WEIR_HTTP_REASON_RESEND), "resend");
    check_text(weir_http_reason_name(WEIR_HTTP_REASON_REDIRECT), "redirect");
    check_text(weir_http_reason_name(WEIR_HTTP_REASON_COUNT), "unknown");
}

static void nothing_is_listed_before_the_first_call(void)
{
    struct call s = call_make(NULL, "GET", "http://127.0.0.1/");

    check_int(count_listed(s.request), 0);
    call_end(&s);
}

static void what_goes_well_is_one_attempt(void)
{
    static struct site site;
    char url[PEER_URL_SIZE];

    site_open(&site, NULL);
    weir_http *session = open_exact(NULL);
    for (int i = 0; i < 2; i++) {
        struct call s = site_request(session, &site, "PUT", "/a%20b?token=s3cret");
        weir_http_request_body(s.request, "x", 1, NULL);
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        check_int(check_list(&s), 1);
        weir_http_attempt a = at(&s, 0);
        check_attempt(a, "first", RESPONSE, 200, "final");
        check_int(a.number, 1);
        check_text(a.method, "PUT");
        check_text(a.url, peer_url(site.peer, "/a%20b", url));
        check(a.is_reused == (i == 1));
        check_int(a.failure, WEIR_OK);
        check_int(a.curl_code, 0);
        check_int(a.paused, 0);
        check(a.duration > 0);
        check_int(s.report.unlisted, 0);
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

static void a_status_that_is_not_repeated_is_a_response(void)
{
    static struct site site;

    site_open(&site, NULL);
    site_route(&site, "/missing", 404, "");
    site_route(&site, "/elsewhere", 302, "Location: /\r\n");
    weir_http *session = open_exact(NULL);
    struct call s = site_request(session, &site, "GET", "/missing");
    call_go(&s);
    check(call_is(&s, WEIR_OK, 404));
    check_int(check_list(&s), 1);
    check_attempt(at(&s, 0), "first", RESPONSE, 404, "final");
    call_end(&s);

    s = site_request(session, &site, "GET", "/elsewhere");
    weir_http_request_follow_redirects(s.request, false);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 302));
    check_int(check_list(&s), 1);
    check_attempt(at(&s, 0), "first", RESPONSE, 302, "final");
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

/* ---- redirects ------------------------------------------------------------------------------- */

static void redirects_are_listed_with_the_method_and_url_of_each(void)
{
    static struct site one;
    static struct site two;
    char url[PEER_URL_SIZE];

    site_open(&one, NULL);
    site_open(&two, NULL);
    site_lead_to(&one, "/orders?key=s3cret", 303, &two, "/made?id=s3cret");
    site_lead_to(&two, "/made?id=s3cret", 307, &one, "/back");
    weir_http *session = open_exact(NULL);
    struct call s = site_request(session, &one, "POST", "/orders?key=s3cret");
    weir_http_request_body(s.request, "{}", 2, "application/json");
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_int(check_list(&s), 3);

    check_attempt(at(&s, 0), "first", REDIRECT, 303, "redirect");
    check_text(at(&s, 0).method, "POST");
    check_text(at(&s, 0).url, peer_url(one.peer, "/orders", url));
    check_attempt(at(&s, 1), "redirect", REDIRECT, 307, "redirect");
    check_text(at(&s, 1).method, "GET");
    check_text(at(&s, 1).url, peer_url(two.peer, "/made", url));
    check(!at(&s, 1).is_reused);
    check_attempt(at(&s, 2), "redirect", RESPONSE, 200, "final");
    check_text(at(&s, 2).method, "GET");
    check_text(at(&s, 2).url, peer_url(one.peer, "/back", url));
    check(at(&s, 2).is_reused);
    call_end(&s);
    weir_http_close(session);
    site_close(&one);
    site_close(&two);
}

static void a_redirect_that_waits_first_tells_its_pause(void)
{
    static struct site site;
    struct scene_clock clock;

    scene_clock_init(&clock);
    site_open(&site, &clock);
    site_route(&site, "/", 302, "Location: /there\r\nRetry-After: 3\r\n");
    weir_http *session = open_exact(&clock);
    struct call s = site_request(session, &site, "GET", "/");
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_int(check_list(&s), 2);
    check_attempt(at(&s, 0), "first", REDIRECT, 302, "retry_after");
    check_attempt(at(&s, 1), "redirect", RESPONSE, 200, "final");
    check_int(at(&s, 0).paused, 0);
    check_int(at(&s, 1).paused, 3 * WEIR_SECOND);
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

/* ---- repeats --------------------------------------------------------------------------------- */

static void a_repeat_tells_why_and_after_which_pause(void)
{
    static struct site site;
    struct scene_clock clock;

    scene_clock_init(&clock);
    site_open(&site, &clock);
    site_route(&site, "/", 503, "Retry-After: 7\r\n");
    site_route(&site, "/", 502, "");
    site_route(&site, "/", 200, "");
    weir_http *session = open_exact(&clock);
    struct call s = site_request(session, &site, "GET", "/");
    s.deadline = NEVER;
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_int(check_list(&s), 3);
    check_attempt(at(&s, 0), "first", RESPONSE, 503, "retry_after");
    check_attempt(at(&s, 1), "retry", RESPONSE, 502, "backoff");
    check_attempt(at(&s, 2), "retry", RESPONSE, 200, "final");
    check_int(at(&s, 0).paused, 0);
    check_int(at(&s, 1).paused, 7 * WEIR_SECOND);
    check_int(at(&s, 2).paused, 600 * WEIR_MS);
    check_int(s.report.paused, 7600 * WEIR_MS);
    check(at(&s, 1).is_reused && at(&s, 2).is_reused);
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

/* Each attempt of a failed call, with libcurl's words and the system's. */
static void a_server_that_refuses_is_listed_though_the_call_failed(void)
{
    char url[PEER_URL_SIZE];
    struct scene_clock clock;
    weir_retry_options twice = WEIR_RETRY_OPTIONS_DEFAULT;

    twice.total = 2;
    scene_clock_init(&clock);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x", peer_unused_port());
    weir_http *session = open_exact(&clock);
    struct call s = call_make(session, "POST", url);
    weir_http_request_retry(s.request, &twice);
    call_go(&s);
    check(call_is(&s, WEIR_CONNECT, 0));
    check_int(check_list(&s), 3);
    check_attempt(at(&s, 0), "first", CONNECT, 0, "backoff");
    check_attempt(at(&s, 1), "retry", CONNECT, 0, "backoff");
    check_attempt(at(&s, 2), "retry", CONNECT, 0, "exhausted");
    for (size_t i = 0; i < 3; i++) {
        check_text(at(&s, i).method, "POST");
        check_text(at(&s, i).url, url);
        check_int(at(&s, i).failure, WEIR_CONNECT);
        check_contains(at(&s, i).text, "no connection: ");
        check_contains(at(&s, i).text, "refused");
        check(strlen(at(&s, i).text) < WEIR_ERROR_TEXT);
        check(at(&s, i).curl_code != 0);
        check(!at(&s, i).is_reused);
    }
    check(at(&s, 1).paused > 0);
    call_end(&s);
    weir_http_close(session);
}

/* The second request of the first connection is dropped without a word. */
static bool drop_the_second(struct peer_exchange *x, void *arg)
{
    (void)arg;
    return (x->connection != 1 || x->number != 2) && peer_reply(x, 200, "", "ok", 2);
}

static void a_connection_that_died_at_rest_is_told_from_other_repeats(void)
{
    char url[PEER_URL_SIZE];
    struct peer *peer = peer_start(&(struct peer_options){.handler = drop_the_second});
    weir_http *session = open_exact(NULL);

    get(session, peer_url(peer, "/", url));
    struct call s = call_make(session, "GET", url);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_int(check_list(&s), 2);
    check_attempt(at(&s, 0), "first", READ, 0, "backoff");
    check(at(&s, 0).is_reused);
    check_int(at(&s, 0).failure, WEIR_DISCONNECTED);
    check_contains(at(&s, 0).text, "connection lost");
    check_attempt(at(&s, 1), "resend", RESPONSE, 200, "final");
    check(!at(&s, 1).is_reused);
    check_int(at(&s, 1).paused, 0);
    check_int(s.report.resends, 1);
    call_end(&s);
    weir_http_close(session);
    peer_stop(peer);
}

/* ---- other ends ------------------------------------------------------------------------------ */

static bool break_off(struct peer_exchange *x, void *arg)
{
    (void)arg;
    peer_print(x, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal");
    return false;
}

static void a_response_whose_body_is_lost_tells_its_status(void)
{
    static const struct {
        const char *method;
        weir_status status;
        weir_retry_cause cause;
    } cases[] = {{"GET", WEIR_DISCONNECTED, WEIR_CAUSE_EXHAUSTED},
                 {"POST", WEIR_AMBIGUOUS, WEIR_CAUSE_UNKNOWN}};
    char url[PEER_URL_SIZE];
    weir_retry_options none = WEIR_RETRY_OPTIONS_DEFAULT;
    struct peer *peer = peer_start(&(struct peer_options){.handler = break_off});
    weir_http *session = open_exact(NULL);

    none.total = 0;
    for (size_t i = 0; i < 2; i++) {
        struct call s = call_make(session, cases[i].method, peer_url(peer, "/", url));
        weir_http_request_retry(s.request, &none);
        call_go(&s);
        check(call_is(&s, cases[i].status, 0));
        check_int(check_list(&s), 1);
        check_attempt(at(&s, 0), "first", READ, 200, weir_retry_cause_name(cases[i].cause));
        check_int(at(&s, 0).failure, WEIR_DISCONNECTED);
        call_end(&s);
    }
    weir_http_close(session);
    peer_stop(peer);
}

static weir_status refuse_piece(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)arg, (void)data, (void)size;
    return weir_error_set(reterr, WEIR_SYSTEM, "the disk is full");
}

static void what_a_sink_refuses_and_what_is_cancelled_is_listed(void)
{
    struct server server;
    weir_http *session = open_exact(NULL);

    server_start(&server, NULL, 200, "");
    struct call s = call_make(session, "GET", server.url);
    weir_http_request_sink(s.request, refuse_piece, NULL);
    call_go(&s);
    check(call_is(&s, WEIR_SYSTEM, 0));
    check_int(check_list(&s), 1);
    check_attempt(at(&s, 0), "first", OTHER, 200, "refused");
    check_int(at(&s, 0).failure, WEIR_SYSTEM);
    check_text(at(&s, 0).text, "the disk is full");
    call_end(&s);

    atomic_store(&server.mood, SERVER_HANGS);
    s = call_make(session, "GET", server.url);
    call_start(&s);
    check(peer_wait(server.peer, PEER_HELD, 1));
    weir_http_request_cancel(s.request);
    call_join(&s);
    check(call_is(&s, WEIR_CANCELLED, 0));
    check_int(check_list(&s), 1);
    check_attempt(at(&s, 0), "first", OTHER, 0, "refused");
    check_int(at(&s, 0).failure, WEIR_CANCELLED);
    call_end(&s);
    weir_http_close(session);
    server_stop(&server);
}

static void what_was_not_made_is_not_listed(void)
{
    static struct site site;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);
    weir_error error;

    o.use_breaker = true;
    site_open(&site, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_unused_port());
    site_lead(&site, "/", 302, url);
    weir_http *session = scene_open(&o);
    check_int(weir_http_set_breaker(session, url, WEIR_BREAKER_FORCED_OPEN, &error), WEIR_OK);
    struct call s = call_make(session, "GET", url);
    call_go(&s);
    check(call_is(&s, WEIR_REFUSED, 0));
    check_int(check_list(&s), 0);
    call_end(&s);

    s = site_request(session, &site, "GET", "/");
    call_go(&s);
    check(call_is(&s, WEIR_REFUSED, 0));
    check_int(check_list(&s), 1);
    check_attempt(at(&s, 0), "first", REDIRECT, 302, "redirect");
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

static void a_wait_for_the_rate_limit_is_told_by_the_attempt_that_it_was_for(void)
{
    static struct site site;
    struct scene_clock clock;
    char url[PEER_URL_SIZE];
    weir_rate_limit_options slow = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
    weir_error error;

    scene_clock_init(&clock);
    site_open(&site, &clock);
    site_lead(&site, "/", 302, "/there");
    weir_http *session = open_exact(&clock);
    slow.rate = 1;
    slow.burst = 1;
    peer_url(site.peer, "/", url);
    check_int(weir_http_set_rate_limit(session, url, &slow, 0, &error), WEIR_OK);
    struct call s = call_make(session, "GET", url);
    s.deadline = NEVER;
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_int(check_list(&s), 2);
    check_int(at(&s, 0).waited, 0);
    check(at(&s, 1).waited > 0);
    check_int(at(&s, 1).waited, s.report.waited);
    check_int(at(&s, 1).paused, 0);
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

/* ---- how much of it -------------------------------------------------------------------------- */

static void of_more_attempts_than_are_listed_the_first_and_the_last_are(void)
{
    static const unsigned redirects[] = {LISTED - 2, LISTED - 1, LISTED, LISTED + 9};
    static struct site site;

    site_open(&site, NULL);
    site_lead(&site, "/", 302, "/");
    weir_http *session = open_exact(NULL);
    for (size_t i = 0; i < 4; i++) {
        weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
        unsigned attempts = redirects[i] + 1;

        o.redirect = (int)redirects[i];
        struct call s = site_request(session, &site, "GET", "/");
        weir_http_request_retry(s.request, &o);
        call_go(&s);
        check(call_is(&s, WEIR_LIMIT, 0));
        check_int(s.report.attempts, attempts);
        size_t count = check_list(&s);
        check_int(count, attempts < LISTED ? attempts : LISTED);
        check_int(s.report.unlisted, attempts - count);
        for (unsigned k = 0; k + 1 < count; k++) {
            check_int(at(&s, k).number, k + 1);
            check_int(at(&s, k).cause, WEIR_CAUSE_REDIRECT);
        }
        check_int(at(&s, count - 1).number, attempts);
        check_attempt(at(&s, count - 1), "redirect", REDIRECT, 302, "exhausted");
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

static void a_second_call_forgets_the_attempts_of_the_first(void)
{
    static struct site site;
    char url[PEER_URL_SIZE];

    site_open(&site, NULL);
    site_lead(&site, "/", 302, "/a");
    site_lead(&site, "/a", 302, "/b");
    weir_http *session = open_exact(NULL);
    struct call s = site_request(session, &site, "GET", "/");
    call_go(&s);
    check_int(check_list(&s), 3);
    site_reset(&site);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_int(check_list(&s), 1);
    check_attempt(at(&s, 0), "first", RESPONSE, 200, "final");
    check_text(at(&s, 0).url, peer_url(site.peer, "/", url));

    s.deadline = WEIR_DEADLINE_NOW;
    call_go(&s);
    check(call_is(&s, WEIR_TIMEOUT, 0));
    check_int(check_list(&s), 0);
    s.deadline = WEIR_DEADLINE_DEFAULT;
    call_go(&s);
    check_int(check_list(&s), 1);
    weir_http_request_header(s.request, "a b", "no token");
    call_go(&s);
    check(call_is(&s, WEIR_INVALID, 0));
    check_int(check_list(&s), 0);
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

/* Whatever is added to the request afterwards. */
static void the_url_that_was_sent_stays_in_the_list(void)
{
    static struct site site;
    char url[PEER_URL_SIZE];

    site_open(&site, NULL);
    weir_http *session = open_exact(NULL);
    for (int redirects = 0; redirects < 2; redirects++) {
        site_reset(&site);
        if (redirects > 0)
            site_lead(&site, "/", 302, "/there");
        struct call s = site_request(session, &site, "GET", "/");
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        for (int i = 0; i < 3; i++) {
            weir_http_request_segment(s.request, "more");
            weir_http_request_query(s.request, "page", "2");
            check_text(at(&s, 0).url, peer_url(site.peer, "/", url));
        }
        call_go(&s);
        check_int(check_list(&s), 1);
        check_text(at(&s, 0).url, peer_url(site.peer, "/more/more/more", url));
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static void no_secret(const struct call *s)
{
    const weir_http_attempt *a;

    for (size_t i = 0; (a = weir_http_request_attempt_at(s->request, i)) != NULL; i++) {
        check(strstr(a->url, "s3cret") == NULL);
        check(strstr(a->text, "s3cret") == NULL);
        check(strchr(a->url, '?') == NULL);
    }
}

static void no_secret_of_a_request_or_location_is_in_the_list(void)
{
    static struct site site;
    char nobody[PEER_URL_SIZE];
    const char *const ways[] = {"/there?token=s3cret",             /* a query is left out */
                                "http://user:s3cret@127.0.0.1:9/", /* not followed, nor quoted */
                                nobody};
    static const weir_status ends[] = {WEIR_OK, WEIR_PROTOCOL, WEIR_CONNECT};
    struct scene_clock clock;

    snprintf(nobody, sizeof nobody, "http://127.0.0.1:%d/x?s3cret#s3cret", peer_unused_port());
    scene_clock_init(&clock);
    site_open(&site, &clock);
    weir_http *session = open_exact(&clock);
    for (size_t i = 0; i < 3; i++) {
        site_reset(&site);
        site_lead(&site, "/start?api_key=s3cret", 307, ways[i]);
        struct call s = site_request(session, &site, "GET", "/start");
        weir_http_request_query(s.request, "api_key", "s3cret");
        weir_http_request_bearer(s.request, "s3cret");
        weir_http_request_secret(s.request, "X-Mine", "s3cret");
        call_go(&s);
        check(call_is(&s, ends[i], i == 0 ? 200 : 0));
        check_int(check_list(&s), i == 0 ? 2 : i == 1 ? 1 : 5);
        check_attempt(at(&s, 0), "first", REDIRECT, 307, "redirect");
        no_secret(&s);
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

int main(void)
{
    run(every_reason_has_a_name);
    run(nothing_is_listed_before_the_first_call);
    run(what_goes_well_is_one_attempt);
    run(a_status_that_is_not_repeated_is_a_response);
    run(redirects_are_listed_with_the_method_and_url_of_each);
    run(a_redirect_that_waits_first_tells_its_pause);
    run(a_repeat_tells_why_and_after_which_pause);
    run(a_server_that_refuses_is_listed_though_the_call_failed);
    run(a_connection_that_died_at_rest_is_told_from_other_repeats);
    run(a_response_whose_body_is_lost_tells_its_status);
    run(what_a_sink_refuses_and_what_is_cancelled_is_listed);
    run(what_was_not_made_is_not_listed);
    run(a_wait_for_the_rate_limit_is_told_by_the_attempt_that_it_was_for);
    run(of_more_attempts_than_are_listed_the_first_and_the_last_are);
    run(a_second_call_forgets_the_attempts_of_the_first);
    run(the_url_that_was_sent_stays_in_the_list);
    run(no_secret_of_a_request_or_location_is_in_the_list);
    return check_done();
}
