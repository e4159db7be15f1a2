/* SPDX-License-Identifier: MIT */
/* Sending: hops from origin to origin, attempts at each, until there is a response or an error. */
#include "http/sending.h"
#include "probes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What follows an attempt. */
enum next { NEXT_ATTEMPT, NEXT_HOP, NEXT_RESPONSE, NEXT_ERROR };

/* ---- deciding ---------------------------------------------------------------------------- */

static weir_moment this_moment(struct sending *s)
{
    struct timespec wall;
    weir_moment moment = {.now = weir__http_now(s->session), .deadline = s->deadline};

    if (s->attempt.retry_after_count == 0) /* the wall clock is for its dates */
        return moment;
    clock_gettime(CLOCK_REALTIME, &wall);
    moment.wall_now = (int64_t)wall.tv_sec * WEIR_SECOND + wall.tv_nsec;
    return moment;
}

static void note_retry_after(struct sending *s, const weir_moment *moment)
{
    s->report->retry_after = 0;
    for (size_t i = 0; i < s->attempt.retry_after_count; i++) {
        weir_time delay = 0;
        if (weir_retry_after_parse(s->attempt.retry_after[i], moment->wall_now, &delay) &&
            delay > s->report->retry_after)
            s->report->retry_after = delay;
    }
}

/* Ask the policy, with the origin's budget. */
static weir_retry_decision decide(struct sending *s, const weir_retry_options *options,
                                  weir_retry_state *state)
{
    weir_moment moment = this_moment(s);
    unsigned invalid = state->invalid_retry_afters;
    struct origin_counts *counts = &s->origin->counts;

    if (s->attempt.retry_after_count > 0)
        note_retry_after(s, &moment);
    pthread_mutex_lock(&s->origin->lock);
    moment.random = weir__origin_random_locked(s->origin);
    weir_retry_decision decision =
        weir_retry_next(options, state, &s->attempt, &moment,
                        s->session->options.use_budget ? &s->origin->budget : NULL);
    counts->causes[decision.cause]++;
    counts->budget_denied += decision.cause == WEIR_CAUSE_BUDGET;
    counts->invalid_retry_afters += state->invalid_retry_afters - invalid;
    pthread_mutex_unlock(&s->origin->lock);
    s->report->cause = decision.cause;
    return decision;
}

static void tell_retry(struct sending *s, const weir_retry_decision *decision)
{
    weir_error error;
    weir_http_event event = weir__sending_event(s, WEIR_HTTP_EVENT_RETRY);

    WEIR_PROBE3(retry, &s->origin->name[0], s->report->attempts,
                weir_retry_cause_name(decision->cause));
    if (!weir__http_is_heard(s->session, WEIR_HTTP_EVENT_RETRY))
        return;
    event.status = s->attempt.status;
    event.delay = decision->delay;
    event.cause = decision->cause;
    if (s->judgement.status != WEIR_OK) {
        weir_error_set(&error, s->judgement.status, "%s", s->failure);
        event.error = &error;
    }
    weir__http_emit(s->session, &event);
}

/* Pause before a repeat. A session that closes meanwhile ends it. */
static enum next pause_until(struct sending *s, const weir_retry_decision *decision)
{
    tell_retry(s, decision);
    return weir__sending_sleep(s, decision->at, &s->report->paused) ? NEXT_ATTEMPT : NEXT_ERROR;
}

/* ---- a connection that died while it rested ---------------------------------------------- */

/*
 * A server closes idle connections without notice, and a request may meet that on its way. If it
 * may be repeated at all it is, at once and on a new connection (RFC 9112, 9.3.1), once per sending
 * and at the budget's expense. urllib3 counts it as any other failure.
 */
static bool may_resend(const struct sending *s)
{
    const weir_retry_options *o = s->retry;
    bool is_safe = o->allowed_methods == 0 || (o->allowed_methods & s->attempt.method) != 0 ||
                   s->attempt.has_idempotency_key || !s->attempt.was_sent;

    return s->judgement.kind == WEIR_ATTEMPT_READ && s->is_reused && !s->is_answered &&
           !s->judgement.timed_out && !s->has_resent && !o->urllib3_rules && is_safe &&
           s->attempt.is_rewindable && o->total != 0 && o->total != WEIR_RETRY_DISABLED &&
           o->read != 0 && o->read != WEIR_RETRY_DISABLED;
}

static bool resends(struct sending *s)
{
    struct origin *origin = s->origin;
    weir_time now = weir__http_now(s->session);

    if (!may_resend(s) || now >= s->deadline)
        return false;
    pthread_mutex_lock(&origin->lock);
    bool is_paid =
        !s->session->options.use_budget || weir_budget_withdraw(&origin->budget, false, now);
    origin->counts.resends += is_paid;
    pthread_mutex_unlock(&origin->lock);
    if (!is_paid)
        return false;
    s->has_resent = true;
    s->report->resends++;
    weir_retry_decision at_once = {WEIR_VERDICT_RETRY, WEIR_CAUSE_BACKOFF, 0, now};
    tell_retry(s, &at_once);
    return true;
}

/* ---- redirects --------------------------------------------------------------------------- */

static bool is_method(const struct sending *s, const char *method)
{
    return strcmp(s->method, method) == 0;
}

/* 303 asks for GET; 301 and 302 do for POST, as browsers and requests have it. */
static bool becomes_get(const struct sending *s, int status)
{
    if (status == 303)
        return !is_method(s, "GET") && !is_method(s, "HEAD");
    return (status == 301 || status == 302) && is_method(s, "POST");
}

/* Go on to where the response leads. */
static enum next hop(struct sending *s, int status)
{
    const char *location = weir_http_response_header(s->response, "Location");
    struct url next = {0};
    weir_error error;

    if (weir__url_resolve(s->url, location, &next, &error) != WEIR_OK) {
        s->judgement.status = error.status;
        snprintf(s->failure, sizeof s->failure, "%s", error.text);
        return NEXT_ERROR;
    }
    if (becomes_get(s, status)) {
        s->method = "GET";
        s->has_body = false;
    }
    /* Once the way has left the request's own origin its secrets stay behind, even where it leads
     * back: that is for the other one to say, then. */
    s->drops_secrets = s->drops_secrets || strcmp(next.origin, s->request->url.origin) != 0;
    weir__url_clear(&s->hop);
    s->hop = next;
    s->url = &s->hop;
    s->report->redirects++;
    s->retry_state.failures = 0; /* a redirect ends the row; only its own state saw it */

    weir_http_event event = weir__sending_event(s, WEIR_HTTP_EVENT_REDIRECT);
    event.status = status;
    weir__http_emit(s->session, &event);
    return NEXT_HOP;
}

static enum next redirect(struct sending *s)
{
    int status = s->response->status;

    s->attempt.kind = WEIR_ATTEMPT_REDIRECT;
    if (becomes_get(s, status))
        s->attempt.is_rewindable = true;
    weir_retry_decision decision = decide(s, &s->redirect, &s->redirect_state);
    if (decision.verdict == WEIR_VERDICT_RETURN)
        return NEXT_RESPONSE;
    if (decision.verdict == WEIR_VERDICT_FAIL) {
        s->judgement.status = decision.cause == WEIR_CAUSE_EXHAUSTED ? WEIR_LIMIT : WEIR_RESPONSE;
        snprintf(s->failure, sizeof s->failure, "status %d leads elsewhere; %s", status,
                 decision.cause == WEIR_CAUSE_EXHAUSTED ? "no redirects are left"
                                                        : weir_retry_cause_text(decision.cause));
        return NEXT_ERROR;
    }
    pthread_mutex_lock(&s->origin->lock);
    s->origin->counts.redirects++;
    pthread_mutex_unlock(&s->origin->lock);
    if (decision.delay > 0 && pause_until(s, &decision) != NEXT_ATTEMPT)
        return NEXT_ERROR;
    return hop(s, status);
}

/* ---- after an attempt -------------------------------------------------------------------- */

/* A request that may have been carried out, and is not safe to send again. */
static bool is_ambiguous(const struct sending *s, weir_retry_cause cause)
{
    return s->attempt.kind == WEIR_ATTEMPT_READ && s->attempt.was_sent &&
           (cause == WEIR_CAUSE_UNKNOWN || ((s->attempt.method & WEIR_METHODS_IDEMPOTENT) == 0 &&
                                            (s->attempt.method & s->retry->allowed_methods) == 0 &&
                                            !s->attempt.has_idempotency_key));
}

/* Add to what went wrong why it was not repeated. */
static void add_reason(struct sending *s, const char *reason)
{
    size_t length = strlen(s->failure);

    snprintf(s->failure + length, sizeof s->failure - length, "; %s", reason);
}

static enum next conclude(struct sending *s, const weir_retry_decision *decision)
{
    const char *reason = weir_retry_cause_text(decision->cause);

    if (decision->verdict == WEIR_VERDICT_RETRY)
        return pause_until(s, decision);
    if (decision->verdict == WEIR_VERDICT_RETURN)
        return NEXT_RESPONSE;
    if (s->attempt.kind == WEIR_ATTEMPT_RESPONSE) {
        s->judgement.status = WEIR_RESPONSE;
        snprintf(s->failure, sizeof s->failure, "status %d", s->attempt.status);
    }
    if (is_ambiguous(s, decision->cause)) {
        s->judgement.status = WEIR_AMBIGUOUS;
        reason = "it may have been carried out, so it was not repeated";
    }
    add_reason(s, reason);
    return NEXT_ERROR;
}

/* What a sink has seen cannot be taken back. */
static enum next give_up_on_sink(struct sending *s)
{
    s->report->cause = WEIR_CAUSE_BODY;
    add_reason(s, "the sink had a part of the body already, so it was not repeated");
    return NEXT_ERROR;
}

static enum next after_attempt(struct sending *s)
{
    if (s->judgement.is_ours) {
        s->report->cause = WEIR_CAUSE_REFUSED;
        if (s->judgement.status == WEIR_CANCELLED)
            weir__is_signalled(s); /* which of the two it was */
        return NEXT_ERROR;
    }
    if (s->judgement.kind == WEIR_ATTEMPT_RESPONSE && weir__follows(s) &&
        weir__is_redirect(s->response))
        return redirect(s);
    if (s->has_sunk && s->judgement.kind != WEIR_ATTEMPT_RESPONSE)
        return give_up_on_sink(s);
    if (resends(s))
        return NEXT_ATTEMPT;
    weir_retry_decision decision = decide(s, s->retry, &s->retry_state);
    return conclude(s, &decision);
}

/* ---- the whole --------------------------------------------------------------------------- */

/* One origin: attempts until something else is called for. */
static enum next visit(struct sending *s)
{
    weir_error error;
    enum next next = NEXT_ATTEMPT;

    if (weir__origin_take(s->session, s->url->origin, &s->origin, &error) != WEIR_OK) {
        weir__refuse(s, error.status, "%s", error.text);
        return NEXT_ERROR;
    }
    pthread_mutex_lock(&s->origin->lock);
    s->origin->counts.requests++;
    s->origin->counts.under_way++;
    pthread_mutex_unlock(&s->origin->lock);
    s->is_deposited = false;
    while (next == NEXT_ATTEMPT) {
        if (weir__http_now(s->session) >= s->deadline) {
            weir__refuse(s, WEIR_TIMEOUT, "the deadline passed");
            next = NEXT_ERROR;
            break;
        }
        weir__attempt(s);
        next = after_attempt(s);
    }
    pthread_mutex_lock(&s->origin->lock);
    s->origin->counts.under_way--;
    s->origin->counts.cancelled += next == NEXT_ERROR && s->judgement.status == WEIR_CANCELLED;
    pthread_mutex_unlock(&s->origin->lock);
    weir__origin_put(s->session, s->origin);
    return next;
}

static weir_status report_error(struct sending *s, weir_error *reterr)
{
    const weir_http_report *r = s->report;
    weir_status status = s->judgement.status;

    weir_error_set(reterr, status, "%s %s: %s (%u attempt%s, %.3f s)", s->method, s->url->shown,
                   s->failure, r->attempts, r->attempts == 1 ? "" : "s",
                   (double)r->elapsed / (double)WEIR_SECOND);
    if (reterr != NULL)
        reterr->native = status == WEIR_RESPONSE ? r->status : r->curl_code;
    return status;
}

static void tell_end(struct sending *s, const weir_error *error)
{
    weir_http_event event = weir__sending_event(s, WEIR_HTTP_EVENT_REQUEST);

    event.status = s->report->status;
    event.curl_code = s->report->curl_code;
    event.duration = s->report->elapsed;
    event.cause = s->report->cause;
    event.error = error;
    weir__http_emit(s->session, &event);
}

static void begin(struct sending *s)
{
    const weir_http_request *request = s->request;

    *s->report = (weir_http_report){0};
    s->retry = request->has_retry ? &request->retry : &s->session->options.retry;
    s->redirect = *s->retry;
    s->redirect.total = WEIR_RETRY_UNLIMITED;
    weir_retry_init(&s->retry_state, s->retry);
    weir_retry_init(&s->redirect_state, &s->redirect);
    s->url = &request->url;
    s->method = request->method;
    /* Servers want a length with these even where there is nothing; with HEAD nothing is sent. */
    s->has_body =
        request->has_body || is_method(s, "POST") || is_method(s, "PUT") || is_method(s, "PATCH");
    if (is_method(s, "HEAD"))
        s->has_body = false;
}

/* The response is the caller's now, or freed. */
static weir_status finish(struct sending *s, enum next next, weir_http_response **ret_response,
                          weir_error *reterr)
{
    weir_error error;
    weir_status status = WEIR_OK;

    s->report->elapsed = weir__http_now(s->session) - s->started;
    if (next == NEXT_RESPONSE && !weir__response_set_url(s->response, s->url->text)) {
        weir__refuse(s, WEIR_NO_MEMORY, "out of memory");
        next = NEXT_ERROR;
    }
    if (next == NEXT_ERROR)
        status = report_error(s, &error);
    tell_end(s, status == WEIR_OK ? NULL : &error);
    if (status == WEIR_OK)
        *ret_response = s->response;
    else
        weir_http_response_close(s->response);
    if (status != WEIR_OK && reterr != NULL)
        *reterr = error;
    weir__url_clear(&s->hop);
    return status;
}

static weir_status resolve_deadline(const weir_http *session, weir_time started,
                                    weir_time *deadline, weir_error *reterr)
{
    if (*deadline == WEIR_DEADLINE_DEFAULT)
        *deadline = started + session->options.total_timeout_ms * WEIR_MS;
    if (*deadline > started)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_TIMEOUT, "http \"%s\": the deadline has passed",
                          session->options.name);
}

weir_status weir_http_send_at(weir_http *session, weir_http_request *request, weir_time deadline,
                              weir_http_response **ret_response, weir_error *reterr,
                              const char *file, int line)
{
    struct sending s = {.session = session,
                        .request = request,
                        .report = &request->report,
                        .started = weir__http_now(session),
                        .file = file,
                        .line = line};

    begin(&s);
    if (request->error.status != WEIR_OK) {
        if (reterr != NULL)
            *reterr = request->error;
        return request->error.status;
    }
    weir_status status = resolve_deadline(session, s.started, &deadline, reterr);
    if (status == WEIR_OK)
        status = weir__session_enter(session, request, reterr);
    if (status != WEIR_OK)
        return status;
    s.deadline = deadline;
    s.response = weir__response_new();

    enum next next = NEXT_HOP;
    if (s.response == NULL) {
        weir__refuse(&s, WEIR_NO_MEMORY, "out of memory");
        next = NEXT_ERROR;
    }
    while (next == NEXT_HOP)
        next = visit(&s);
    status = finish(&s, next, ret_response, reterr);
    weir__session_leave(session, request);
    atomic_store_explicit(&request->word, SIGNAL_NONE, memory_order_release);
    return status;
}

weir_status weir_http_get_at(weir_http *session, const char *url, weir_http_response **ret_response,
                             weir_error *reterr, const char *file, int line)
{
    weir_http_request *request = NULL;
    weir_status status = weir_http_request_open("GET", url, &request, reterr);

    if (status == WEIR_OK)
        status = weir_http_send_at(session, request, WEIR_DEADLINE_DEFAULT, ret_response, reterr,
                                   file, line);
    weir_http_request_close(request);
    return status;
}
