/* SPDX-License-Identifier: MIT */
/* For tests of HTTP sessions: sessions with short timeouts, and calls in one line. */
#ifndef WEIR_TESTS_HTTP_STEPS_H
#define WEIR_TESTS_HTTP_STEPS_H

#include "check.h"
#include "http_peer.h"

#include <weir/http.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

/* How much later than its deadline a call may return on a busy machine, in ms. */
#define SLACK_MS (HAS_SANITIZER ? 1500 : 300)

static weir_error error; /* of the last call of the main thread that failed */

/* The defaults, but for short times, and without breaker and budget, which would remember the faults
 * that a test makes. */
static inline weir_http_options quick_options(void)
{
    weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;

    o.connect_timeout_ms = 2000;
    o.try_timeout_ms = 5000;
    o.total_timeout_ms = 20000;
    o.acquire_timeout_ms = 10000;
    o.retry.backoff_factor_ms = 1;
    o.use_breaker = false;
    o.use_budget = false;
    o.verify_tls = false; /* or each session would read the system's certificates */
    return o;
}

static inline weir_http *open_session(const weir_http_options *options)
{
    weir_http *session = NULL;

    if (weir_http_open(options, &session, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return session;
}

static inline weir_http *open_quick(void)
{
    weir_http_options o = quick_options();

    return open_session(&o);
}

/* ---- calls ------------------------------------------------------------------------------- */

/* What came of a call, in memory of its own. */
struct outcome {
    weir_status status;
    int http; /* status of the response; 0: none */
    size_t size;
    char body[256]; /* its beginning */
    bool is_truncated;
    weir_http_report report;
    weir_error error;
    weir_time elapsed;
};

/* Send a request with a deadline in `ms` (-1: the session's default). */
static inline struct outcome send_request(weir_http *session, weir_http_request *request, int ms)
{
    struct outcome o = {.status = WEIR_OK};
    weir_http_response *response = NULL;
    weir_time start = weir_now();

    o.status =
        weir_http_send(session, request, ms < 0 ? WEIR_DEADLINE_DEFAULT : weir_deadline_in(ms),
                       &response, &o.error);
    o.elapsed = weir_now() - start;
    o.report = *weir_http_request_report(request);
    if (o.status != WEIR_OK)
        return o;
    o.http = weir_http_response_status(response);
    o.is_truncated = weir_http_response_is_truncated(response);
    const char *body = weir_http_response_body(response, &o.size);
    memcpy(o.body, body, o.size < sizeof(o.body) ? o.size : sizeof(o.body) - 1);
    weir_http_response_close(response);
    return o;
}

static inline weir_http_request *new_request(const char *method, const char *url)
{
    weir_http_request *request = NULL;

    if (weir_http_request_open(method, url, &request, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return request;
}

/* Send a request with nothing in it but, with POST, PUT and PATCH, the body "payload". */
static inline struct outcome send_to(weir_http *session, const char *method, const char *url,
                                     int ms)
{
    weir_http_request *request = new_request(method, url);

    if (method[0] == 'P')
        weir_http_request_body(request, "payload", 7, "text/plain");
    struct outcome o = send_request(session, request, ms);
    weir_http_request_close(request);
    return o;
}

static inline struct outcome get(weir_http *session, const char *url)
{
    return send_to(session, "GET", url, -1);
}

/* Check how a call ended; says why when it is otherwise. */
#define check_outcome(outcome, expected) check_outcome_at(&(outcome), expected, __FILE__, __LINE__)

static inline void check_outcome_at(const struct outcome *o, weir_status expected, const char *file,
                                    int line)
{
    if (o->status == expected)
        return;
    check_failures_in_test++;
    printf("# %s:%d: %s, not %s: %s\n", file, line, weir_status_name(o->status),
           weir_status_name(expected), o->status == WEIR_OK ? o->body : o->error.text);
}

/* Check that a call took at least `low` and at most `high` ms, give or take what a machine does. */
#define check_took(outcome, low, high) check_took_at(&(outcome), low, high, __FILE__, __LINE__)

static inline void check_took_at(const struct outcome *o, int low, int high, const char *file,
                                 int line)
{
    double ms = (double)o->elapsed / (double)WEIR_MS;

    if (ms >= low - 1 && ms <= high + SLACK_MS)
        return;
    check_failures_in_test++;
    printf("# %s:%d: took %.1f ms, not %d to %d\n", file, line, ms, low, high);
}

/* ---- sending from elsewhere -------------------------------------------------------------- */

/* A call on a thread of its own. */
struct call {
    weir_http *session;
    weir_http_request *request;
    int ms;
    struct outcome outcome;
    pthread_t thread;
};

static inline void *call_run(void *arg)
{
    struct call *call = arg;

    call->outcome = send_request(call->session, call->request, call->ms);
    return NULL;
}

static inline void call_start(struct call *call, weir_http *session, const char *method,
                              const char *url, int ms)
{
    call->session = session;
    call->request = new_request(method, url);
    call->ms = ms;
    if (method[0] == 'P')
        weir_http_request_body(call->request, "payload", 7, "text/plain");
    if (pthread_create(&call->thread, NULL, call_run, call) != 0) {
        printf("Bail out! no thread\n");
        exit(1);
    }
}

static inline struct outcome call_join(struct call *call)
{
    pthread_join(call->thread, NULL);
    weir_http_request_close(call->request);
    return call->outcome;
}

/* ---- looking ----------------------------------------------------------------------------- */

/* Let time pass, where its passing is the subject. */
static inline void nap(int ms)
{
    poll(NULL, 0, ms);
}

#define ORIGINS_LOOKED_AT 16

/* What the session tells of the origin of `url`; all zero when it knows none. */
static inline weir_http_origin origin_of(weir_http *session, const char *url)
{
    static weir_http_origin origins[ORIGINS_LOOKED_AT];
    weir_http_origin none = {.name = ""};
    size_t count = weir_http_get_origins(session, origins, ORIGINS_LOOKED_AT);

    for (size_t i = 0; i < count && i < ORIGINS_LOOKED_AT; i++)
        if (weir_http_same_origin(origins[i].name, url))
            return origins[i];
    return none;
}

/* Wait until so many stand in the line of an origin's pool. */
static inline void wait_for_waiters(weir_http *session, const char *url, int count)
{
    for (int i = 0; i < 10000 && origin_of(session, url).pool.waiters != count; i++)
        nap(1);
    check_int(origin_of(session, url).pool.waiters, count);
}

/* Check that nothing is lent, waited for or under way: no slot was lost. */
static inline void check_at_rest(weir_http *session)
{
    static weir_http_origin origins[ORIGINS_LOOKED_AT];
    size_t count = weir_http_get_origins(session, origins, ORIGINS_LOOKED_AT);

    for (size_t i = 0; i < count && i < ORIGINS_LOOKED_AT; i++) {
        check_int(origins[i].pool.leased, 0);
        check_int(origins[i].pool.waiters, 0);
        check_int(origins[i].pool.misuses, 0);
        check_int(origins[i].in_flight, 0);
    }
}

/* Check that all is at rest, and end the session. */
static inline void close_session(weir_http *session)
{
    check_at_rest(session);
    check_int(weir_http_dispose(session, weir_deadline_in(2000), &error), WEIR_OK);
    weir_http_close(session);
}

/* ---- the other side ---------------------------------------------------------------------- */

static inline struct peer *start_peer(peer_handler *handler, void *arg)
{
    return peer_start(&(struct peer_options){.handler = handler, .arg = arg});
}

/* 200 and "hello". */
static inline bool say_hello(struct peer_exchange *x, void *arg)
{
    (void)arg;
    return peer_reply(x, 200, "", "hello", 5);
}

#endif
