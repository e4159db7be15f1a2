/* SPDX-License-Identifier: MIT */
/* One call of weir_http_send(): what it knows from the first attempt to the last. */
#ifndef WEIR_HTTP_CALL_H
#define WEIR_HTTP_CALL_H

#include "http/classify.h"
#include "http/session_origins.h"

/* What follows an attempt. */
enum next_step {
    STEP_ABANDON,   /* it ended by our own doing, or was not made: an error */
    STEP_REDIRECT,  /* it leads elsewhere; `decision` says whether to go there */
    STEP_DELIVERED, /* its sink has a part of the body already: an error */
    STEP_RESEND,    /* its connection had died at rest: another, at once */
    STEP_POLICY     /* as `decision` says */
};

/* On the stack of the thread that sends. */
struct call {
    /* the whole */
    weir_http *session;
    weir_http_request *request;
    weir_http_report *report;
    weir_time started;
    weir_time now; /* when the clock was read last: weir__call_now() */
    weir_time deadline;
    const char *file;
    int line;

    /* retries: one state for all hops, and one for the redirects alone */
    const weir_retry_options *retry;
    weir_retry_options redirect;
    weir_retry_state retry_state;
    weir_retry_state redirect_state;
    bool has_resent;

    /* of the report, when the latest attempt had ended */
    weir_time waited_before;
    weir_time paused_before;

    /* the present hop */
    const struct url *url; /* the request's own, or `hop` */
    struct url hop;
    const char *method;
    bool has_body;
    bool has_acted;  /* a redirect answered what must not be sent again; a GET since */
    bool has_turned; /* a redirect made it a GET: what described its content is gone */
    bool drops_secrets;
    bool is_deposited;     /* the budget of this hop's origin knows of it */
    struct origin *origin; /* visited; NULL: none */

    weir_http_reason reason; /* why the next attempt is made */

    /* the latest attempt */
    weir_http_response *response;
    weir_attempt attempt;
    weir_time evicted_at;     /* the session's, before its handle was lent */
    const char **retry_after; /* room for RESPONSE_FIELDS_LIMIT */
    weir_time asked_pause;    /* the longest Retry-After that can be read; -1: none */
    bool is_reused;
    bool is_answered;
    bool has_delivered;
    bool has_lost_chunks; /* it was sent in chunks, and answered in HTTP/1.0, which has none */
    bool leads_elsewhere; /* a redirect that is to be followed */
    struct classification classification;
    char *failure; /* WEIR_ERROR_TEXT bytes: what went wrong, unless its status is OK */
    enum next_step next_step;
    weir_retry_decision decision; /* whoever made it */
};

/* Read the clock, and remember what it said. */
static inline weir_time weir__call_now(struct call *call)
{
    return call->now = weir__http_now(call->session);
}

/* permit.c: the permit to make one attempt. */
struct attempt_permit {
    weir_time at; /* when it was given */
    weir_permit breaker;
    weir_rate_limiter_pass pass;
    weir_lease total; /* of max_total */
    weir_lease lease; /* of the origin's pool: the handle */
};

/*
 * Pass the breaker and the rate limiter of the origin and borrow a handle, all before the deadline. What is
 * refused fills in the classification as an attempt that was not made.
 */
bool weir__acquire_permit(struct call *call, struct attempt_permit *ret_permit);

/* Whether the body has no known length, and so goes out in chunks. */
bool weir__is_chunked(const struct call *call);

/* attempt.c: make one attempt, or have it refused; fills in `attempt`, `classification` and `next_step`. */
void weir__attempt(struct call *call);

/* decide.c: say what follows, and why. */
void weir__decide(struct call *call, enum next_step step, weir_retry_decision decision);

/* The moment in which an attempt is over, `now`, and what it asks for by Retry-After; then what
 * follows. */
weir_moment weir__moment_of(struct call *call);
void weir__decide_locked(struct call *call, weir_moment *moment) WEIR_REQUIRES(call->origin->lock);

/* Whether redirects are followed. */
bool weir__follows(const struct call *call);

/* Whether a redirect of the attempt's status asks for GET: 303 does, and 301 and 302 do for POST, as
 * browsers and requests have it. */
bool weir__becomes_get(const struct call *call);
bool weir__is_method(const struct call *call, const char *method);

/* Sleep until an instant. False: the request was cancelled or the session closed. */
bool weir__call_sleep(struct call *call, weir_time until, weir_time *add_to);

/* Fill in the classification of something that did not reach the wire. */
void weir__refuse(struct call *call, weir_status status, const char *format, ...) WEIR_PRINTF(3, 4);

/* Fill it in for a request that was cancelled or whose session is closed, if so. */
bool weir__is_signalled(struct call *call);

/* An event with what a call always knows; `kind` is to be set. */
weir_http_event weir__call_event(const struct call *call, weir_http_event_kind kind);

/* The state of the breaker, if listeners do not know it yet; to be told without the lock. */
bool weir__breaker_is_untold_locked(struct origin *origin, weir_breaker_state *ret_state)
    WEIR_REQUIRES(origin->lock);
void weir__tell_breaker(const struct call *call, weir_breaker_state state);

#endif
