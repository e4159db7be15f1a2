/* SPDX-License-Identifier: MIT */
/* Sending: hops from origin to origin, attempts at each, until there is a response or an error. */
#include "http/sending.h"
#include "probes.h"

#include <stdio.h>
#include <string.h>

/* What follows an attempt. */
enum next { NEXT_ATTEMPT, NEXT_HOP, NEXT_RESPONSE, NEXT_ERROR };

/* ---- repeating --------------------------------------------------------------------------- */

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
    s->reason = WEIR_HTTP_REASON_RETRY;
    tell_retry(s, decision);
    return weir__sending_sleep(s, decision->at, &s->report->paused) ? NEXT_ATTEMPT : NEXT_ERROR;
}

/* The connection had died at rest: another attempt, at once. */
static enum next resend(struct sending *s)
{
    s->has_resent = true;
    s->report->resends++;
    s->reason = WEIR_HTTP_REASON_RESEND;
    tell_retry(s, &s->decision);
    return NEXT_ATTEMPT;
}

/* Whether the request may be sent twice, by its method, its key or its policy. */
static bool may_repeat(const struct sending *s)
{
    return (s->attempt.method & (WEIR_METHODS_IDEMPOTENT | s->retry->allowed_methods)) != 0 ||
           s->attempt.has_idempotency_key;
}

/* ---- redirects --------------------------------------------------------------------------- */

/* Go on to where the response leads. */
static enum next hop(struct sending *s)
{
    const char *location = weir_http_response_header(s->response, "Location");
    struct url next = {0};
    weir_error error;

    if (weir__url_resolve(s->url, location, &next, &error) != WEIR_OK) {
        s->judgement.status = error.status;
        snprintf(s->failure, WEIR_ERROR_TEXT, "%s", error.text);
        return NEXT_ERROR;
    }
    if (weir__becomes_get(s)) {
        s->has_acted = s->has_acted || !may_repeat(s);
        s->method = "GET";
        s->has_body = false;
        s->has_turned = true;
    }
    /* Once the way has left the request's own origin its secrets stay behind, even where it leads
     * back: that is for the other one to say, then. */
    s->drops_secrets = s->drops_secrets || strcmp(next.origin, s->request->url.origin) != 0;
    weir__url_clear(&s->hop);
    s->hop = next;
    s->url = &s->hop;
    s->report->redirects++;
    s->reason = WEIR_HTTP_REASON_REDIRECT;
    s->retry_state.failures = 0; /* a redirect ends the row; only its own state saw it */

    weir_http_event event = weir__sending_event(s, WEIR_HTTP_EVENT_REDIRECT);
    event.status = s->attempt.status;
    weir__http_emit(s->session, &event);
    return NEXT_HOP;
}

static enum next redirect(struct sending *s)
{
    const weir_retry_decision *decision = &s->decision;

    if (decision->verdict == WEIR_VERDICT_RETURN)
        return NEXT_RESPONSE;
    if (decision->verdict == WEIR_VERDICT_FAIL) {
        s->judgement.status = decision->cause == WEIR_CAUSE_EXHAUSTED ? WEIR_LIMIT : WEIR_RESPONSE;
        snprintf(s->failure, WEIR_ERROR_TEXT, "status %d leads elsewhere; %s", s->attempt.status,
                 decision->cause == WEIR_CAUSE_EXHAUSTED ? "no redirects are left"
                                                         : weir_retry_cause_text(decision->cause));
        return NEXT_ERROR;
    }
    if (decision->delay > 0 && pause_until(s, decision) != NEXT_ATTEMPT)
        return NEXT_ERROR;
    return hop(s);
}

/* ---- after an attempt -------------------------------------------------------------------- */

/* A request that may have been carried out, and is not safe to send again. */
static bool is_ambiguous(const struct sending *s, weir_retry_cause cause)
{
    return s->attempt.kind == WEIR_ATTEMPT_READ && s->attempt.was_sent &&
           (cause == WEIR_CAUSE_UNKNOWN || !may_repeat(s));
}

/* Add to what went wrong why it was not repeated. */
static void add_reason(struct sending *s, const char *reason)
{
    size_t length = strlen(s->failure);

    snprintf(s->failure + length, WEIR_ERROR_TEXT - length, "; %s", reason);
}

static enum next conclude(struct sending *s, const weir_retry_decision *decision)
{
    const char *reason = weir_retry_cause_text(decision->cause);

    if (decision->cause == WEIR_CAUSE_BODY && s->has_lost_chunks)
        reason = "the body cannot be sent again: it has no known length, and the answer came in "
                 "HTTP/1.0, and HTTP/1.0 has no chunked bodies";
    if (decision->verdict == WEIR_VERDICT_RETRY)
        return pause_until(s, decision);
    if (decision->verdict == WEIR_VERDICT_RETURN)
        return NEXT_RESPONSE;
    if (s->attempt.kind == WEIR_ATTEMPT_RESPONSE) {
        s->judgement.status = WEIR_RESPONSE;
        snprintf(s->failure, WEIR_ERROR_TEXT, "status %d", s->attempt.status);
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
    if (is_ambiguous(s, WEIR_CAUSE_BODY))
        s->judgement.status = WEIR_AMBIGUOUS;
    add_reason(s, "the sink had a part of the body already, so it was not repeated");
    return NEXT_ERROR;
}

static enum next abandon(struct sending *s)
{
    if (s->judgement.status == WEIR_CANCELLED)
        weir__is_signalled(s); /* which of the two it was */
    return NEXT_ERROR;
}

static enum next after_attempt(struct sending *s)
{
    switch (s->course) {
    case COURSE_REDIRECT:
        return redirect(s);
    case COURSE_SUNK:
        return give_up_on_sink(s);
    case COURSE_RESEND:
        return resend(s);
    case COURSE_POLICY:
        return conclude(s, &s->decision);
    case COURSE_ABANDON:
        break;
    }
    return abandon(s);
}

/* ---- the whole --------------------------------------------------------------------------- */

/* One origin: attempts until something else is called for. */
static enum next stay(struct sending *s)
{
    enum next next = NEXT_ATTEMPT;

    s->is_deposited = false;
    while (next == NEXT_ATTEMPT) {
        if (s->now >= s->deadline) {
            weir__refuse(s, WEIR_TIMEOUT, "the deadline passed");
            return NEXT_ERROR;
        }
        weir__attempt(s);
        next = after_attempt(s);
        if (next != NEXT_RESPONSE)
            weir__sending_now(s);
    }
    if (next == NEXT_ERROR && s->judgement.status == WEIR_CANCELLED) {
        pthread_mutex_lock(&s->origin->lock);
        s->origin->counts.cancelled++;
        pthread_mutex_unlock(&s->origin->lock);
    }
    return next;
}

/* From the origin that led here to the next. */
static enum next move_on(struct sending *s)
{
    weir_error error;

    weir__origin_leave(s->session, s->origin, NULL);
    s->origin = NULL;
    weir_status status = weir__origin_visit(s->session, s->url->origin, NULL, &s->origin, &error);
    if (status == WEIR_OK)
        return stay(s);
    weir__refuse(s, status, "%s", error.text);
    return NEXT_ERROR;
}

/* What was answered with a redirect to a GET was carried out, whatever became of the GET: nobody may
 * take its failure for leave to send the first again. */
static void keep_from_repeating(struct sending *s)
{
    switch (s->judgement.status) {
    case WEIR_SYSTEM: /* unless it is what a reader or sink said */
        if (s->judgement.system_errno == 0)
            return;
        break;
    case WEIR_CONNECT:
    case WEIR_DISCONNECTED:
    case WEIR_TIMEOUT:
    case WEIR_REFUSED:
    case WEIR_FULL:
        break;
    default:
        return;
    }
    s->judgement.status = WEIR_AMBIGUOUS;
    add_reason(s, "the request that was redirected here was carried out, and is not safe to "
                  "repeat");
}

/* The code of the layer that failed. */
static int native_of(const struct sending *s)
{
    if (s->judgement.status == WEIR_RESPONSE)
        return s->report->status;
    return s->judgement.system_errno != 0 ? s->judgement.system_errno : s->report->curl_code;
}

static weir_status report_error(struct sending *s, weir_error *reterr)
{
    const weir_http_report *r = s->report;
    weir_status status = s->judgement.status;

    weir_error_set(reterr, status, "%s %s: %s (%u attempt%s, %.3f s)", s->method, s->url->shown,
                   s->failure, r->attempts, r->attempts == 1 ? "" : "s",
                   (double)r->elapsed / (double)WEIR_SECOND);
    if (reterr != NULL)
        reterr->native = native_of(s);
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
    weir__history_clear(&s->request->history);
    s->retry = request->has_retry ? &request->retry : &s->session->options.retry;
    s->redirect = *s->retry;
    s->redirect.total = WEIR_RETRY_UNLIMITED;
    weir_retry_init(&s->retry_state, s->retry);
    weir_retry_init(&s->redirect_state, &s->redirect);
    s->url = &request->url;
    s->method = request->method;
    /* Servers want a length with these even where there is nothing; with HEAD nothing is sent. */
    s->has_body = request->has_body || weir__is_method(s, "POST") || weir__is_method(s, "PUT") ||
                  weir__is_method(s, "PATCH");
    if (weir__is_method(s, "HEAD"))
        s->has_body = false;
}

/* The response is the caller's now, or freed. */
static weir_status finish(struct sending *s, enum next next, weir_http_response **ret_response,
                          weir_error *reterr)
{
    weir_error error;
    weir_status status = WEIR_OK;

    s->report->elapsed = s->now - s->started;
    if (next == NEXT_RESPONSE && !weir__response_set_url(s->response, s->url->text)) {
        weir__refuse(s, WEIR_NO_MEMORY, "out of memory");
        next = NEXT_ERROR;
    }
    if (next == NEXT_ERROR && s->has_acted)
        keep_from_repeating(s);
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

/* A body that an earlier sending has read, and that cannot be read again. */
static weir_status check_reader(struct sending *s, weir_error *reterr)
{
    const weir_http_request *request = s->request;

    if (!s->has_body || !request->has_reader || !request->is_reader_begun ||
        request->reader.rewind != NULL)
        return WEIR_OK;
    s->report->cause = WEIR_CAUSE_BODY;
    return weir_error_set(reterr, WEIR_INVALID,
                          "%s %s: an earlier sending has read its body, and the reader has no "
                          "rewind; give the request another reader",
                          s->method, s->url->shown);
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
    char failure[WEIR_ERROR_TEXT];
    const char *retry_after[RESPONSE_FIELDS_LIMIT];
    struct sending s = {.session = session,
                        .request = request,
                        .report = &request->report,
                        .retry_after = retry_after,
                        .failure = failure,
                        .file = file,
                        .line = line};

    failure[0] = '\0';
    s.started = weir__sending_now(&s);
    begin(&s);
    if (request->error.status != WEIR_OK) {
        if (reterr != NULL)
            *reterr = request->error;
        return request->error.status;
    }
    weir_status status = check_reader(&s, reterr);
    if (status == WEIR_OK)
        status = resolve_deadline(session, s.started, &deadline, reterr);
    if (status == WEIR_OK)
        status = weir__origin_visit(session, s.url->origin, request, &s.origin, reterr);
    if (status != WEIR_OK) {
        atomic_store_explicit(&request->word, SIGNAL_NONE, memory_order_release);
        return status;
    }
    s.deadline = deadline;
    s.response = weir__response_new();

    enum next next = NEXT_ERROR;
    if (s.response != NULL)
        next = stay(&s);
    else
        weir__refuse(&s, WEIR_NO_MEMORY, "out of memory");
    while (next == NEXT_HOP)
        next = move_on(&s);
    status = finish(&s, next, ret_response, reterr);
    weir__origin_leave(session, s.origin, request);
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
