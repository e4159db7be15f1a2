/* SPDX-License-Identifier: MIT */
/* What a session tells of itself: its events in their order, its counters, and no secret in either. */
#include "http_site.h"

#define NEVER WEIR_DEADLINE_NEVER
#define ALL_EVENTS (WEIR_EVENT_BIT(WEIR_HTTP_EVENT_COUNT) - 1u)

/* ---- a stage ---------------------------------------------------------------------------------- */

/* A site whose "/" is answered with the statuses of a script, one after another, the last for ever. */
struct stage {
    struct scene_clock clock;
    struct peer *peer;
    const int *statuses; /* ends with 0; 1 closes the connection instead */
    const char *headers;
    int at;
    pthread_mutex_t lock;
    char url[PEER_URL_SIZE];
    char origin[PEER_URL_SIZE];
    weir_http *session;
    struct ear ear;
};

static bool follow_script(struct peer_exchange *x, void *arg)
{
    struct stage *stage = arg;

    if (!peer_read_body(x))
        return false;
    pthread_mutex_lock(&stage->lock);
    int status = stage->statuses[stage->at];
    const char *headers = status == 200 ? "" : stage->headers;
    if (stage->statuses[stage->at + 1] != 0)
        stage->at++;
    pthread_mutex_unlock(&stage->lock);
    return status != 1 && peer_reply(x, status, headers, "x", 1);
}

/* Options may be changed before stage_open(). No jitter, so that pauses are exact. */
static weir_http_options stage_begin(struct stage *stage, const int *statuses, const char *headers)
{
    memset(stage, 0, sizeof *stage);
    scene_clock_init(&stage->clock);
    pthread_mutex_init(&stage->lock, NULL);
    stage->statuses = statuses;
    stage->headers = headers;
    stage->peer = peer_start(&(struct peer_options){.handler = follow_script, .arg = stage});
    peer_url(stage->peer, "/?token=s3cret", stage->url);
    peer_url(stage->peer, "", stage->origin);
    weir_http_options o = scene_options(&stage->clock);
    o.retry.jitter = WEIR_JITTER_NONE;
    return o;
}

static void stage_open(struct stage *stage, const weir_http_options *options)
{
    stage->session = scene_open(options);
    ear_attach(&stage->ear, stage->session, ALL_EVENTS);
}

static void stage_close(struct stage *stage)
{
    weir_http_close(stage->session);
    peer_stop(stage->peer);
}

/* The events so far are these, in this order, ended by WEIR_HTTP_EVENT_COUNT. */
static void heard_in_order(const struct ear *ear, const weir_http_event_kind *kinds)
{
    int i = 0;

    for (; kinds[i] != WEIR_HTTP_EVENT_COUNT && i < ear->count; i++)
        check_text(weir_http_event_name(ear->heard[i].event.kind), weir_http_event_name(kinds[i]));
    check_int(kinds[i], WEIR_HTTP_EVENT_COUNT);
    check_int(ear->count, i);
}

#define HEARD(ear, ...)                                                                            \
    heard_in_order((ear), (const weir_http_event_kind[]){__VA_ARGS__, WEIR_HTTP_EVENT_COUNT})
#define ATTEMPT WEIR_HTTP_EVENT_ATTEMPT
#define RETRY WEIR_HTTP_EVENT_RETRY
#define REDIRECT WEIR_HTTP_EVENT_REDIRECT
#define BREAKER WEIR_HTTP_EVENT_BREAKER
#define COOL_DOWN WEIR_HTTP_EVENT_COOL_DOWN
#define REQUEST WEIR_HTTP_EVENT_REQUEST

/* What every event of a stage must be, whatever its kind. */
static void check_common(const struct stage *stage, const char *method)
{
    char shown[PEER_URL_SIZE];

    peer_url(stage->peer, "/", shown);
    for (int i = 0; i < stage->ear.count; i++) {
        const struct heard *h = &stage->ear.heard[i];

        check(h->event.session == stage->session);
        check_text(h->origin, stage->origin);
        check_text(h->method, method);
        check_text(h->url, shown);
    }
}

/* ---- one call ------------------------------------------------------------------------------- */

static void every_kind_of_event_has_a_name(void)
{
    check_text(weir_http_event_name(WEIR_HTTP_EVENT_ATTEMPT), "attempt");
    check_text(weir_http_event_name(WEIR_HTTP_EVENT_REQUEST), "request");
    check_text(weir_http_event_name(WEIR_HTTP_EVENT_COUNT), "unknown");
}

static void a_success_is_an_attempt_and_a_request(void)
{
    static struct stage stage;
    weir_http_options o = stage_begin(&stage, (const int[]){200, 0}, "");

    stage_open(&stage, &o);
    for (int i = 0; i < 2; i++) {
        struct call s = get(stage.session, stage.url);
        check(call_is(&s, WEIR_OK, 200));
    }
    HEARD(&stage.ear, ATTEMPT, REQUEST, ATTEMPT, REQUEST);
    check_common(&stage, "GET");
    for (int i = 0; i < 4; i++) {
        const struct heard *h = &stage.ear.heard[i];
        check_int(h->event.attempt, 1);
        check_int(h->event.status, 200);
        check_int(h->event.curl_code, 0);
        check(h->event.error == NULL);
    }
    check(!stage.ear.heard[0].event.is_reused);
    check(stage.ear.heard[2].event.is_reused);
    check_int(stage.ear.heard[1].event.cause, WEIR_CAUSE_FINAL);
    stage_close(&stage);
}

static void a_repeat_is_told_between_the_attempts_with_its_pause(void)
{
    static struct stage stage;
    weir_http_options o = stage_begin(&stage, (const int[]){503, 1, 200, 0}, "");

    stage_open(&stage, &o);
    struct call s = get(stage.session, stage.url);
    check(call_is(&s, WEIR_OK, 200));
    HEARD(&stage.ear, ATTEMPT, RETRY, ATTEMPT, RETRY, ATTEMPT, REQUEST);
    check_common(&stage, "GET");

    const struct heard *first = ear_at(&stage.ear, RETRY, 0);
    check_int(first->event.attempt, 1);
    check_int(first->event.status, 503);
    check_int(first->event.delay, 300 * WEIR_MS);
    check_int(first->event.cause, WEIR_CAUSE_BACKOFF);
    check_int(ear_at(&stage.ear, ATTEMPT, 0)->event.status, 503);
    check_int(ear_at(&stage.ear, ATTEMPT, 0)->status, WEIR_OK);

    /* The second was lost over the connection of the first. */
    const struct heard *lost = ear_at(&stage.ear, ATTEMPT, 1);
    check_int(lost->event.attempt, 2);
    check_int(lost->event.status, 0);
    check(lost->event.is_reused);
    check_int(lost->status, WEIR_DISCONNECTED);
    check(lost->text[0] != '\0');
    const struct heard *again = ear_at(&stage.ear, RETRY, 1);
    check_int(again->event.attempt, 2);
    check_int(again->event.delay, 0);
    check_int(again->status, WEIR_DISCONNECTED);

    const struct heard *end = ear_at(&stage.ear, REQUEST, 0);
    check_int(end->event.attempt, 3);
    check_int(end->event.status, 200);
    check_int(end->event.duration, 300 * WEIR_MS);
    check_int(end->event.duration, s.report.elapsed);
    check_int(end->event.cause, WEIR_CAUSE_FINAL);
    check_int(s.report.resends, 1);
    stage_close(&stage);
}

static void a_failure_is_told_with_the_error_that_the_caller_gets(void)
{
    static struct stage stage;
    weir_http_options o = stage_begin(&stage, (const int[]){503, 0}, "");

    o.retry.total = 1;
    stage_open(&stage, &o);
    struct call s = fetch(stage.session, "PUT", stage.url, NEVER);
    check(call_is(&s, WEIR_RESPONSE, 0));
    HEARD(&stage.ear, ATTEMPT, RETRY, ATTEMPT, REQUEST);
    check_common(&stage, "PUT");
    const struct heard *end = ear_at(&stage.ear, REQUEST, 0);
    check_int(end->status, WEIR_RESPONSE);
    check_int(end->event.status, 503);
    check_int(end->event.attempt, 2);
    check_int(end->event.cause, WEIR_CAUSE_EXHAUSTED);
    check_text(end->text, s.error.text);
    stage_close(&stage);
}

static void a_connection_that_does_not_come_about_has_libcurls_code(void)
{
    static struct stage stage;
    char url[PEER_URL_SIZE];
    weir_http_options o = stage_begin(&stage, (const int[]){200, 0}, "");

    o.retry.total = 0;
    stage_open(&stage, &o);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", peer_unused_port());
    struct call s = get(stage.session, url);
    check(call_is(&s, WEIR_CONNECT, 0));
    check_int(scene_origin(stage.session, url).failed_connect, 1);
    check_int(scene_origin(stage.session, url).opened, 0);
    HEARD(&stage.ear, ATTEMPT, REQUEST);
    check_int(stage.ear.heard[0].event.curl_code, 7); /* CURLE_COULDNT_CONNECT */
    check_int(stage.ear.heard[0].status, WEIR_CONNECT);
    check_int(stage.ear.heard[1].event.curl_code, 7);
    check_int(s.error.native, 7);
    check_int(s.report.curl_code, 7);
    check(!s.report.was_sent);
    stage_close(&stage);
}

static void a_redirect_is_told_with_where_it_leads(void)
{
    static struct site one;
    static struct site two;
    static struct ear ear;
    char shown[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);

    site_open(&one, NULL);
    site_open(&two, NULL);
    site_lead_to(&one, "/", 303, &two, "/there?token=s3cret");
    weir_http *session = scene_open(&o);
    ear_attach(&ear, session, ALL_EVENTS);
    struct call s = site_send(session, &one, "POST", "/");
    check(call_is(&s, WEIR_OK, 200));
    HEARD(&ear, ATTEMPT, REDIRECT, ATTEMPT, REQUEST);
    check_text(ear.heard[0].url, peer_url(one.peer, "/", shown));
    check_text(ear.heard[0].method, "POST");
    check_int(ear.heard[1].event.status, 303);
    for (int i = 1; i < 4; i++) {
        check_text(ear.heard[i].url, peer_url(two.peer, "/there", shown));
        check_text(ear.heard[i].origin, peer_url(two.peer, "", shown));
        check_text(ear.heard[i].method, "GET");
    }
    check_int(ear.heard[3].event.attempt, 2);
    weir_http_close(session);
    site_close(&one);
    site_close(&two);
}

/* ---- breaker and rate limiter ---------------------------------------------------------------------------- */

static void the_breaker_is_told_when_it_opens_probes_and_closes(void)
{
    static struct stage stage;
    weir_http_options o = stage_begin(&stage, (const int[]){500, 500, 200, 0}, "");

    o.retry.total = 0;
    o.use_breaker = true;
    o.breaker.window_size = 2;
    o.breaker.permitted_calls_in_half_open = 1;
    stage_open(&stage, &o);
    for (int i = 0; i < 3; i++)
        get(stage.session, stage.url);
    HEARD(&stage.ear, ATTEMPT, REQUEST, ATTEMPT, BREAKER, REQUEST, REQUEST);
    check_common(&stage, "GET");
    check_int(stage.ear.heard[3].event.breaker, WEIR_BREAKER_OPEN);
    check_int(stage.ear.heard[5].status, WEIR_REFUSED);
    check_int(stage.ear.heard[5].event.attempt, 0);
    check_int(stage.ear.heard[5].event.cause, WEIR_CAUSE_REFUSED);

    stage.ear.count = 0;
    scene_clock_move(&stage.clock, 100 * WEIR_SECOND);
    struct call s = get(stage.session, stage.url);
    check(call_is(&s, WEIR_OK, 200));
    HEARD(&stage.ear, BREAKER, ATTEMPT, BREAKER, REQUEST);
    check_int(stage.ear.heard[0].event.breaker, WEIR_BREAKER_HALF_OPEN);
    check_int(stage.ear.heard[2].event.breaker, WEIR_BREAKER_CLOSED);
    stage_close(&stage);
}

static void a_cool_down_is_told(void)
{
    static struct stage stage;
    weir_http_options o = stage_begin(&stage, (const int[]){429, 200, 0}, "Retry-After: 30\r\n");

    stage_open(&stage, &o);
    struct call s = get(stage.session, stage.url);
    check(call_is(&s, WEIR_OK, 200));
    HEARD(&stage.ear, ATTEMPT, COOL_DOWN, RETRY, ATTEMPT, REQUEST);
    check_common(&stage, "GET");
    check_int(stage.ear.heard[1].event.delay, 30 * WEIR_SECOND);
    check_int(stage.ear.heard[1].event.status, 429);
    check_int(stage.ear.heard[2].event.delay, 30 * WEIR_SECOND);
    check_int(stage.ear.heard[2].event.cause, WEIR_CAUSE_RETRY_AFTER);
    stage_close(&stage);
}

/* ---- listeners --------------------------------------------------------------------------------- */

static void a_listener_hears_what_its_mask_says_and_a_ninth_one_is_refused(void)
{
    static struct stage stage;
    static struct ear ears[7];
    weir_error error = {0};
    weir_http_options o = stage_begin(&stage, (const int[]){503, 200, 0}, "");

    stage_open(&stage, &o);
    for (int i = 0; i < 6; i++)
        ear_attach(&ears[i], stage.session, WEIR_EVENT_BIT(i));
    ear_attach(&ears[6], stage.session, 0);
    check_int(weir_http_listen(stage.session, ALL_EVENTS, ear_listen, &ears[6], &error), WEIR_FULL);
    check_contains(error.text, "8");
    struct call s = get(stage.session, stage.url);
    check(call_is(&s, WEIR_OK, 200));
    check_int(stage.ear.count, 4);
    check_int(ears[ATTEMPT].count, 2);
    check_int(ears[RETRY].count, 1);
    check_int(ears[REQUEST].count, 1);
    check_int(ears[REDIRECT].count + ears[BREAKER].count + ears[COOL_DOWN].count, 0);
    check_int(ear_count(&ears[ATTEMPT], ATTEMPT), 2);
    check_int(ears[6].count, 0);
    stage_close(&stage);
}

/* ---- secrets ------------------------------------------------------------------------------------- */

static void no_text_holds(const struct stage *stage, const struct call *s, const char *secret)
{
    check(strstr(s->error.text, secret) == NULL);
    for (int i = 0; i < stage->ear.count; i++) {
        const struct heard *h = &stage->ear.heard[i];
        check(strstr(h->text, secret) == NULL);
        check(strstr(h->url, secret) == NULL);
        check(strstr(h->origin, secret) == NULL);
        check(strstr(h->method, secret) == NULL);
    }
}

/* One way in which a call ends, with secrets wherever it can carry them. */
static void end_discreetly(const char *method, const int *statuses, const char *headers,
                           const char *url, weir_status status)
{
    static struct stage stage;
    weir_http_options o = stage_begin(&stage, statuses, headers);

    o.use_breaker = true;
    o.max_header_bytes = 1024;
    o.unstated_pause_ms = 1000;
    stage_open(&stage, &o);
    struct call s = call_make(stage.session, method, url == NULL ? stage.url : url);
    weir_http_request_bearer(s.request, "s3cret");
    weir_http_request_secret(s.request, "X-Mine", "s3cret");
    weir_http_request_header(s.request, "X-Other", "s3cret");
    weir_http_request_query(s.request, "password", "s3cret");
    weir_http_request_body(s.request, "s3cret", 6, "text/plain");
    s.deadline = CLOCK_START + 100 * WEIR_SECOND;
    call_go(&s);
    check_text(weir_status_name(s.status), weir_status_name(status));
    check(stage.ear.count >= 2);
    no_text_holds(&stage, &s, "s3cret");
    call_end(&s);
    stage_close(&stage);
}

static void no_event_and_no_error_holds_a_secret_whatever_happens(void)
{
    static const int ok[] = {200, 0};
    static const int unavailable[] = {503, 0};
    static const int dropped[] = {200, 1, 0};
    static const int lost[] = {1, 0};
    static const int found[] = {302, 0};
    static const int limited[] = {429, 0};
    char long_header[2048];
    char refused[PEER_URL_SIZE];

    memset(long_header, 'a', sizeof long_header);
    memcpy(long_header, "X-L: s3cret", 11);
    memcpy(long_header + sizeof long_header - 3, "\r\n", 3);
    snprintf(refused, sizeof refused, "http://127.0.0.1:%d/?token=s3cret", peer_unused_port());

    end_discreetly("GET", ok, "", NULL, WEIR_OK);
    end_discreetly("GET", dropped, "", NULL, WEIR_OK);
    end_discreetly("GET", unavailable, "", NULL, WEIR_RESPONSE);
    end_discreetly("GET", limited, "", NULL, WEIR_RESPONSE);
    end_discreetly("GET", limited, "Retry-After: s3cret\r\n", NULL, WEIR_RESPONSE);
    end_discreetly("GET", limited, "Retry-After: 3600\r\n", NULL, WEIR_RESPONSE);
    end_discreetly("GET", unavailable, long_header, NULL, WEIR_LIMIT);
    end_discreetly("GET", lost, "", NULL, WEIR_DISCONNECTED);
    end_discreetly("POST", lost, "", NULL, WEIR_AMBIGUOUS);
    end_discreetly("GET", found, "Location: /?token=s3cret\r\n", NULL, WEIR_LIMIT);
    end_discreetly("GET", found, "Location: ftp://s3cret/\r\n", NULL, WEIR_PROTOCOL);
    end_discreetly("GET", found, "Location: //u:s3cret@127.0.0.1/\r\n", NULL, WEIR_PROTOCOL);
    end_discreetly("GET", ok, "", refused, WEIR_CONNECT);
}

static void a_refusal_by_breaker_or_rate_limit_holds_no_secret_either(void)
{
    static struct stage stage;
    weir_error error;
    weir_http_options o = stage_begin(&stage, (const int[]){429, 0}, "Retry-After: 3600\r\n");

    o.use_breaker = true;
    stage_open(&stage, &o);
    struct call s = fetch(stage.session, "GET", stage.url, CLOCK_START + WEIR_SECOND);
    s = fetch(stage.session, "GET", stage.url, CLOCK_START + WEIR_SECOND);
    check(call_is(&s, WEIR_REFUSED, 0));
    no_text_holds(&stage, &s, "s3cret");
    check_int(weir_http_set_breaker(stage.session, stage.url, WEIR_BREAKER_FORCED_OPEN, &error),
              WEIR_OK);
    s = fetch(stage.session, "GET", stage.url, NEVER);
    check(call_is(&s, WEIR_REFUSED, 0));
    no_text_holds(&stage, &s, "s3cret");
    check_text(scene_origin(stage.session, stage.origin).name, stage.origin);
    stage_close(&stage);
}

/* ---- counters ------------------------------------------------------------------------------------ */

/* 1: the connection is closed without a word. Each row of the story takes some of them. */
static const int story[] = {200, 200, 404, 503, 503, 503, 200, 1, 201, 429, 0};

static void tell_story(struct stage *stage)
{
    weir_time soon = CLOCK_START + 20 * WEIR_SECOND;

    struct call s = fetch(stage->session, "GET", stage->url, soon); /* opens a connection */
    check(call_is(&s, WEIR_OK, 200));
    s = fetch(stage->session, "GET", stage->url, soon); /* uses it again, and so on */
    check(call_is(&s, WEIR_OK, 200));
    s = fetch(stage->session, "GET", stage->url, soon);
    check(call_is(&s, WEIR_OK, 404));
    s = fetch(stage->session, "GET", stage->url, soon);
    check(call_is(&s, WEIR_RESPONSE, 0)); /* 503 three times */
    check_int(s.report.attempts, 3);
    s = fetch(stage->session, "GET", stage->url, soon);
    check(call_is(&s, WEIR_OK, 200));
    s = fetch(stage->session, "DELETE", stage->url, soon); /* lost, sent again at once */
    check(call_is(&s, WEIR_OK, 201));
    check_int(s.report.resends, 1);
    pthread_mutex_lock(&stage->lock);
    stage->headers = "Retry-After: 30\r\nRetry-After: junk\r\n";
    pthread_mutex_unlock(&stage->lock);
    s = fetch(stage->session, "POST", stage->url, soon); /* begins a cool-down */
    check(call_is(&s, WEIR_OK, 429));
    s = fetch(stage->session, "GET", stage->url, soon);
    check(call_is(&s, WEIR_REFUSED, 0));
}

static void check_counts(const weir_http_origin *origin)
{
    check_int(origin->requests, 8);
    check_int(origin->attempts, 10);
    check_int(origin->opened, 2);
    check_int(origin->reused, 8);
    check_int(origin->resends, 1);
    check_int(origin->responses[2], 4);
    check_int(origin->responses[4], 2);
    check_int(origin->responses[5], 3);
    check_int(origin->responses[0] + origin->responses[1] + origin->responses[3], 0);
    check_int(origin->failed_read, 1);
    check_int(origin->failed_connect + origin->failed_other, 0);
    check_int(origin->refused, 1);
    check_int(origin->cancelled, 0);
    check_int(origin->redirects, 0);
    check_int(origin->cool_downs, 1);
    check_int(origin->invalid_retry_afters, 1);
    check_int(origin->budget_denied, 0);
    check_int(origin->in_flight, 0);
    check_int(origin->causes[WEIR_CAUSE_FINAL], 5);
    check_int(origin->causes[WEIR_CAUSE_BACKOFF], 2);
    check_int(origin->causes[WEIR_CAUSE_EXHAUSTED], 1);
    check_int(origin->causes[WEIR_CAUSE_METHOD], 1);
}

static void the_counters_of_an_origin_add_up(void)
{
    static struct stage stage;
    weir_http_origin origins[2];
    weir_http_options o = stage_begin(&stage, story, "");

    o.retry.total = 2;
    o.use_budget = true;
    stage_open(&stage, &o);
    check_int(weir_http_get_origins(stage.session, origins, 2), 0);
    tell_story(&stage);
    check_int(weir_http_get_origins(stage.session, origins, 2), 1);
    check_int(weir_http_get_origins(stage.session, NULL, 0), 1);
    check_text(origins[0].name, stage.origin);
    check_counts(&origins[0]);
    /* A hundred to begin with, a fifth for each of seven requests that were sent, less three repeats. */
    check_int(origins[0].budget_balance, 98);
    check_int(origins[0].cool_down_until, CLOCK_START + 30900 * WEIR_MS);
    check(origins[0].has_pool);
    check_int(origins[0].pool.leased, 0);
    check_int(peer_requests(stage.peer), 10);
    check_int(peer_connections(stage.peer), 2);
    stage_close(&stage);
}

static void origins_are_listed_with_the_one_used_last_in_front(void)
{
    static const int ok[] = {200, 0};
    static struct stage stages[3];
    weir_http_origin origins[3];
    weir_http_options o = scene_options(NULL);

    o.pool_connections = 2;
    for (int i = 0; i < 3; i++)
        stage_begin(&stages[i], ok, "");
    weir_http *session = scene_open(&o);
    for (int i = 0; i < 3; i++) {
        struct call s = get(session, stages[i].url);
        check(call_is(&s, WEIR_OK, 200));
    }
    check_int(weir_http_get_origins(session, origins, 3), 3);
    for (int i = 0; i < 3; i++) {
        check_text(origins[i].name, stages[2 - i].origin);
        check_int(origins[i].requests, 1);
        check_int(origins[i].budget_balance, -1);
        check_int(origins[i].has_pool, i < 2);
    }
    check_int(weir_http_get_origins(session, origins, 1), 3);
    weir_http_close(session);
    for (int i = 0; i < 3; i++)
        peer_stop(stages[i].peer);
}

int main(void)
{
    run(every_kind_of_event_has_a_name);
    run(a_success_is_an_attempt_and_a_request);
    run(a_repeat_is_told_between_the_attempts_with_its_pause);
    run(a_failure_is_told_with_the_error_that_the_caller_gets);
    run(a_connection_that_does_not_come_about_has_libcurls_code);
    run(a_redirect_is_told_with_where_it_leads);
    run(the_breaker_is_told_when_it_opens_probes_and_closes);
    run(a_cool_down_is_told);
    run(a_listener_hears_what_its_mask_says_and_a_ninth_one_is_refused);
    run(no_event_and_no_error_holds_a_secret_whatever_happens);
    run(a_refusal_by_breaker_or_rate_limit_holds_no_secret_either);
    run(the_counters_of_an_origin_add_up);
    run(origins_are_listed_with_the_one_used_last_in_front);
    return check_done();
}
