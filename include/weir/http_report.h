/* SPDX-License-Identifier: MIT */
/* What an HTTP session (weir/http.h) reports of its calls, attempts, events and origins. */
#ifndef WEIR_HTTP_REPORT_H
#define WEIR_HTTP_REPORT_H

#include <weir/breaker.h>
#include <weir/pool.h>
#include <weir/retry.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- calls ------------------------------------------------------------------------------- */

/* The outcome of the latest call of a request, successful or not. */
typedef struct weir_http_report {
    unsigned attempts;  /* attempts made, including those after redirects */
    unsigned resends;   /* attempts made at once because a reused connection was dead */
    unsigned redirects; /* redirects followed */
    unsigned opened;    /* connections opened for the call */
    int status;         /* status of the last response; 0: there was none */
    int curl_code; /* libcurl's result of the last attempt; with a response, that of its body */
    weir_retry_cause cause; /* why there was no further attempt */
    weir_time elapsed;      /* duration of the whole call, in nanoseconds */
    weir_time waited;       /* part of it spent in queues and for rate limits */
    weir_time paused;       /* part of it spent between attempts */
    /* How long the origin asked clients to wait, or how long its breaker or rate limiter will still refuse
     * calls; 0 if neither applies. */
    weir_time retry_after;
    bool was_sent;     /* part of the request may have reached a server */
    unsigned unlisted; /* attempts that weir_http_request_attempt_at() leaves out */
} weir_http_report;

/* Why an attempt was made: name, word, meaning. */
#define WEIR_HTTP_REASON_MAP(X)                                                                    \
    X(FIRST, "first", "it is the first attempt of its call")                                       \
    X(RETRY, "retry", "the previous attempt is retried")                                           \
    X(RESEND, "resend",                                                                            \
      "the previous attempt is retried at once: its connection had died while idle")               \
    X(REDIRECT, "redirect", "the response to the previous attempt redirected here")

typedef enum weir_http_reason {
#define WEIR_HTTP_REASON_ENUM(name, word, text) WEIR_HTTP_REASON_##name,
    WEIR_HTTP_REASON_MAP(WEIR_HTTP_REASON_ENUM)
#undef WEIR_HTTP_REASON_ENUM
        WEIR_HTTP_REASON_COUNT
} weir_http_reason;

/* Return the word for a reason, or "unknown" for any other value. Static. */
WEIR_API const char *weir_http_reason_name(weir_http_reason reason);

/* One attempt of a call. All times in nanoseconds. */
typedef struct weir_http_attempt {
    unsigned
        number; /* counted from 1 within the call, including attempts that the list leaves out */
    weir_http_reason reason;
    const char *method; /* as sent: GET after a 303 */
    const char *url;    /* as sent, but without its query, which may contain secrets */
    bool is_reused;     /* it used a connection that was used before */
    int status;         /* status of its response, even if the body was lost; 0: there was none */
    weir_attempt_kind kind; /* how it ended */
    weir_status failure;    /* how it failed; WEIR_OK: there was a response, whatever its status */
    const char *text;       /* what went wrong, as in an error's text; "" if `failure` is WEIR_OK */
    int curl_code;          /* libcurl's result; with a response, that of its body */
    weir_retry_cause cause; /* why another attempt followed, or why none did */
    weir_time waited;       /* time spent before it, in queues and for rate limits */
    weir_time paused;       /* time between the end of the previous attempt and this one */
    weir_time duration;     /* from the end of its waits to its own end, including connecting */
} weir_http_attempt;

/* ---- events ------------------------------------------------------------------------------ */

#define WEIR_HTTP_EVENT_MAP(X)                                                                     \
    X(ATTEMPT, "attempt", "an attempt ended")                                                      \
    X(RETRY, "retry", "an attempt will be retried, after `delay`")                                 \
    X(REDIRECT, "redirect", "a redirect will be followed, to `url`")                               \
    X(BREAKER, "breaker", "the origin's breaker opened, closed, or began to let probes through")   \
    X(COOL_DOWN, "cool_down", "the origin asked for a pause of `delay`")                           \
    X(REQUEST, "request", "a call ended")

typedef enum weir_http_event_kind {
#define WEIR_HTTP_EVENT_ENUM(name, word, text) WEIR_HTTP_EVENT_##name,
    WEIR_HTTP_EVENT_MAP(WEIR_HTTP_EVENT_ENUM)
#undef WEIR_HTTP_EVENT_ENUM
        WEIR_HTTP_EVENT_COUNT
} weir_http_event_kind;

/* Return the word for an event, or "unknown" for any other value. Static. */
WEIR_API const char *weir_http_event_name(weir_http_event_kind kind);

/* One event. It is valid only during the call, as is everything it points to. */
typedef struct weir_http_event {
    weir_http_event_kind kind;
    struct weir_http *session;
    const char *origin; /* "https://api.example.com:443" */
    const char *method;
    const char *url;  /* without its query, which may contain secrets */
    unsigned attempt; /* counted from 1 within the call */
    int status;       /* status of the response; 0: there was none */
    int curl_code;
    bool is_reused;             /* ATTEMPT: it used a connection that was used before */
    weir_time duration;         /* ATTEMPT, REQUEST */
    weir_time delay;            /* RETRY, COOL_DOWN */
    weir_retry_cause cause;     /* RETRY, REQUEST */
    weir_breaker_state breaker; /* BREAKER: the new state */
    const weir_error *error;    /* the error; NULL if nothing failed */
    /* ATTEMPT: the span that its traceparent named (weir/trace.h); NULL: weir sent none. */
    const struct weir_trace_context *trace;
} weir_http_event;

/* ---- origins ----------------------------------------------------------------------------- */

/* A snapshot of an origin. Gauges are exact while no call is in progress; counters only grow, for as long as
 * the session remembers the origin. It remembers at least the 1024 most recently used ones. */
typedef struct weir_http_origin {
    char name[280]; /* "https://api.example.com:443", cut if it is longer */
    bool has_pool;  /* its connections are kept; otherwise `pool` is all zero */
    weir_pool_stats pool;
    weir_breaker_stats breaker;
    int64_t budget_balance; /* retries that the budget could pay for now; -1: there is no budget */
    weir_time cool_down_until; /* an instant of weir_now(); 0: no cool-down */
    int in_flight;             /* calls in flight */
    /* counters */
    uint64_t requests;     /* calls that began here or were redirected here */
    uint64_t attempts;     /* attempts made */
    uint64_t opened;       /* connections opened */
    uint64_t reused;       /* attempts on a connection that was used before */
    uint64_t resends;      /* attempts retried at once because a reused connection was dead */
    uint64_t redirects;    /* redirects that were followed */
    uint64_t responses[6]; /* responses by the first digit of the status; [0]: all others */
    uint64_t failed_connect;
    uint64_t failed_read;
    uint64_t failed_other;
    /* Attempts that were not made: refused by breaker, rate limiter or pool, with a body of unknown size for
     * an HTTP/1.0 server, or because the session was closed. */
    uint64_t refused;
    uint64_t cancelled;
    uint64_t cool_downs; /* cool-downs that the origin asked for and that began or grew longer */
    uint64_t budget_denied;
    uint64_t invalid_retry_afters;
    uint64_t causes[WEIR_CAUSE_REFUSED + 1]; /* decisions of weir_retry_next(), by cause */
} weir_http_origin;

#ifdef __cplusplus
}
#endif

#endif
