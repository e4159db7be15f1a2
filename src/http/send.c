/* SPDX-License-Identifier: MIT */
/* Sending: hops from origin to origin, attempts at each, until there is a response or an error. */
#include "http/call.h"
#include "probes.h"

#include <stdio.h>
#include <string.h>

/* What follows an attempt. */
enum next { NEXT_ATTEMPT, NEXT_HOP, NEXT_RESPONSE, NEXT_ERROR };

/* ---- retrying --------------------------------------------------------------------------- */

static void tell_retry(struct call *call, const weir_retry_decision *decision)
{
    weir_error error;
    weir_http_event event = weir__call_event(call, WEIR_HTTP_EVENT_RETRY);

    WEIR_PROBE3(retry, &call->origin->name[0], call->report->attempts,
                weir_retry_cause_name(decision->cause));
    if (!weir__http_is_heard(call->session, WEIR_HTTP_EVENT_RETRY))
        return;
    event.status = call->attempt.status;
    event.delay = decision->delay;
    event.cause = decision->cause;
    if (call->classification.status != WEIR_OK) {
        weir_error_set(&error, call->classification.status, "%s", call->failure);
        event.error = &error;
    }
    weir__http_emit(call->session, &event);
}

/* Pause before a retry. A session that closes meanwhile ends it. */
static enum next pause_until(struct call *call, const weir_retry_decision *decision)
{
    call->reason = WEIR_HTTP_REASON_RETRY;
    tell_retry(call, decision);
    return weir__call_sleep(call, decision->at, &call->report->paused) ? NEXT_ATTEMPT : NEXT_ERROR;
}

/* The connection had died at rest: another attempt, at once. */
static enum next resend(struct call *call)
{
    call->has_resent = true;
    call->report->resends++;
    call->reason = WEIR_HTTP_REASON_RESEND;
    tell_retry(call, &call->decision);
    return NEXT_ATTEMPT;
}

/* Whether the request may be sent twice, by its method, its key or its policy. */
static bool may_repeat(const struct call *call)
{
    return (call->attempt.method & (WEIR_METHODS_IDEMPOTENT | call->retry->allowed_methods)) != 0 ||
           call->attempt.has_idempotency_key;
}

/* ---- redirects --------------------------------------------------------------------------- */

/* Go on to where the response leads. */
static enum next hop(struct call *call)
{
    const char *location = weir_http_response_header(call->response, "Location");
    struct url next = {0};
    weir_error error;

    if (weir__url_resolve(call->url, location, &next, &error) != WEIR_OK) {
        call->classification.status = error.status;
        snprintf(call->failure, WEIR_ERROR_TEXT, "%s", error.text);
        return NEXT_ERROR;
    }
    if (weir__becomes_get(call)) {
        call->has_acted = call->has_acted || !may_repeat(call);
        call->method = "GET";
        call->has_body = false;
        call->has_turned = true;
    }
    /* Once the way has left the request's own origin its secrets stay behind, even where it leads
     * back: that is for the other one to say, then. */
    call->drops_secrets =
        call->drops_secrets || strcmp(next.origin, call->request->url.origin) != 0;
    weir__url_clear(&call->hop);
    call->hop = next;
    call->url = &call->hop;
    call->report->redirects++;
    call->reason = WEIR_HTTP_REASON_REDIRECT;
    call->retry_state.failures = 0; /* a redirect ends the row; only its own state saw it */

    weir_http_event event = weir__call_event(call, WEIR_HTTP_EVENT_REDIRECT);
    event.status = call->attempt.status;
    weir__http_emit(call->session, &event);
    return NEXT_HOP;
}

static enum next redirect(struct call *call)
{
    const weir_retry_decision *decision = &call->decision;

    if (decision->verdict == WEIR_VERDICT_RETURN)
        return NEXT_RESPONSE;
    if (decision->verdict == WEIR_VERDICT_FAIL) {
        call->classification.status =
            decision->cause == WEIR_CAUSE_EXHAUSTED ? WEIR_LIMIT : WEIR_RESPONSE;
        snprintf(call->failure, WEIR_ERROR_TEXT, "redirect with status %d was not followed; %s",
                 call->attempt.status,
                 decision->cause == WEIR_CAUSE_EXHAUSTED ? "no redirects are left"
                                                         : weir_retry_cause_text(decision->cause));
        return NEXT_ERROR;
    }
    if (decision->delay > 0 && pause_until(call, decision) != NEXT_ATTEMPT)
        return NEXT_ERROR;
    return hop(call);
}

/* ---- after an attempt -------------------------------------------------------------------- */

/* A request that may have been carried out, and is not safe to send again. */
static bool is_ambiguous(const struct call *call, weir_retry_cause cause)
{
    return call->attempt.kind == WEIR_ATTEMPT_READ && call->attempt.was_sent &&
           (cause == WEIR_CAUSE_UNKNOWN || !may_repeat(call));
}

/* Add to what went wrong why it was not retried. */
static void add_reason(struct call *call, const char *reason)
{
    size_t length = strlen(call->failure);

    snprintf(call->failure + length, WEIR_ERROR_TEXT - length, "; %s", reason);
}

static enum next conclude(struct call *call, const weir_retry_decision *decision)
{
    const char *reason = weir_retry_cause_text(decision->cause);

    if (decision->cause == WEIR_CAUSE_BODY && call->has_lost_chunks)
        reason = "the body cannot be sent again: its length is unknown, and the server answered "
                 "in HTTP/1.0, which has no chunked bodies";
    if (decision->verdict == WEIR_VERDICT_RETRY)
        return pause_until(call, decision);
    if (decision->verdict == WEIR_VERDICT_RETURN)
        return NEXT_RESPONSE;
    if (call->attempt.kind == WEIR_ATTEMPT_RESPONSE) {
        call->classification.status = WEIR_RESPONSE;
        snprintf(call->failure, WEIR_ERROR_TEXT, "status %d", call->attempt.status);
    }
    if (is_ambiguous(call, decision->cause)) {
        call->classification.status = WEIR_AMBIGUOUS;
        reason = "it may have been carried out, so it was not retried";
    }
    add_reason(call, reason);
    return NEXT_ERROR;
}

/* What a sink has seen cannot be taken back. */
static enum next give_up_on_sink(struct call *call)
{
    if (is_ambiguous(call, WEIR_CAUSE_BODY))
        call->classification.status = WEIR_AMBIGUOUS;
    add_reason(call, "the sink already had part of the body, so it was not retried");
    return NEXT_ERROR;
}

static enum next abandon(struct call *call)
{
    if (call->classification.status == WEIR_CANCELLED)
        weir__is_signalled(call); /* which of the two it was */
    return NEXT_ERROR;
}

static enum next after_attempt(struct call *call)
{
    switch (call->next_step) {
    case STEP_REDIRECT:
        return redirect(call);
    case STEP_DELIVERED:
        return give_up_on_sink(call);
    case STEP_RESEND:
        return resend(call);
    case STEP_POLICY:
        return conclude(call, &call->decision);
    case STEP_ABANDON:
        break;
    }
    return abandon(call);
}

/* ---- the whole --------------------------------------------------------------------------- */

/* One origin: attempts until something else is called for. */
static enum next stay(struct call *call)
{
    enum next next = NEXT_ATTEMPT;

    call->is_deposited = false;
    while (next == NEXT_ATTEMPT) {
        if (call->now >= call->deadline) {
            weir__refuse(call, WEIR_TIMEOUT, "the deadline passed");
            return NEXT_ERROR;
        }
        weir__attempt(call);
        next = after_attempt(call);
        if (next != NEXT_RESPONSE)
            weir__call_now(call);
    }
    if (next == NEXT_ERROR && call->classification.status == WEIR_CANCELLED) {
        weir__lock(&call->origin->lock);
        call->origin->counts.cancelled++;
        weir__unlock(&call->origin->lock);
    }
    return next;
}

/* From the origin that led here to the next. */
static enum next move_on(struct call *call)
{
    weir_error error;

    weir__origin_end_call(call->session, call->origin, NULL);
    call->origin = NULL;
    weir_status status =
        weir__origin_begin_call(call->session, call->url->origin, NULL, &call->origin, &error);
    if (status == WEIR_OK)
        return stay(call);
    weir__refuse(call, status, "%s", error.text);
    return NEXT_ERROR;
}

/* What was answered with a redirect to a GET was carried out, whatever became of the GET: nobody may
 * take its failure for leave to send the first again. */
static void keep_from_repeating(struct call *call)
{
    switch (call->classification.status) {
    case WEIR_SYSTEM: /* unless it is what a reader or sink said */
        if (call->classification.system_errno == 0)
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
    call->classification.status = WEIR_AMBIGUOUS;
    add_reason(call, "the request that was redirected here was carried out, and is not safe to "
                     "retry");
}

/* The code of the layer that failed. */
static int native_of(const struct call *call)
{
    if (call->classification.status == WEIR_RESPONSE)
        return call->report->status;
    return call->classification.system_errno != 0 ? call->classification.system_errno
                                                  : call->report->curl_code;
}

static weir_status report_error(struct call *call, weir_error *reterr)
{
    const weir_http_report *r = call->report;
    weir_status status = call->classification.status;

    weir_error_set(reterr, status, "%s %s: %s (%u attempt%s, %.3f s)", call->method,
                   call->url->shown, call->failure, r->attempts, r->attempts == 1 ? "" : "s",
                   (double)r->elapsed / (double)WEIR_SECOND);
    if (reterr != NULL)
        reterr->native = native_of(call);
    return status;
}

static void tell_end(struct call *call, const weir_error *error)
{
    weir_http_event event = weir__call_event(call, WEIR_HTTP_EVENT_REQUEST);

    event.status = call->report->status;
    event.curl_code = call->report->curl_code;
    event.duration = call->report->elapsed;
    event.cause = call->report->cause;
    event.error = error;
    weir__http_emit(call->session, &event);
}

static void begin(struct call *call)
{
    const weir_http_request *request = call->request;

    *call->report = (weir_http_report){0};
    weir__history_clear(&call->request->history);
    call->retry = request->has_retry ? &request->retry : &call->session->options.retry;
    call->redirect = *call->retry;
    call->redirect.total = WEIR_RETRY_UNLIMITED;
    weir_retry_init(&call->retry_state, call->retry);
    weir_retry_init(&call->redirect_state, &call->redirect);
    call->url = &request->url;
    call->method = request->method;
    /* Servers want a length with these even where there is nothing; with HEAD nothing is sent. */
    call->has_body = request->has_body || weir__is_method(call, "POST") ||
                     weir__is_method(call, "PUT") || weir__is_method(call, "PATCH");
    if (weir__is_method(call, "HEAD"))
        call->has_body = false;
}

/* The response is the caller's now, or freed. */
static weir_status finish(struct call *call, enum next next, weir_http_response **ret_response,
                          weir_error *reterr)
{
    weir_error error;
    weir_status status = WEIR_OK;

    call->report->elapsed = call->now - call->started;
    if (next == NEXT_RESPONSE && !weir__response_set_url(call->response, call->url->text)) {
        weir__refuse(call, WEIR_NO_MEMORY, "out of memory");
        next = NEXT_ERROR;
    }
    if (next == NEXT_ERROR && call->has_acted)
        keep_from_repeating(call);
    if (next == NEXT_ERROR)
        status = report_error(call, &error);
    tell_end(call, status == WEIR_OK ? NULL : &error);
    if (status == WEIR_OK)
        *ret_response = call->response;
    else
        weir_http_response_close(call->response);
    if (status != WEIR_OK && reterr != NULL)
        *reterr = error;
    weir__url_clear(&call->hop);
    return status;
}

/* A body that an earlier call has read, and that cannot be read again. */
static weir_status check_reader(struct call *call, weir_error *reterr)
{
    const weir_http_request *request = call->request;

    if (!call->has_body || !request->has_reader || !request->is_reader_begun ||
        request->reader.rewind != NULL)
        return WEIR_OK;
    call->report->cause = WEIR_CAUSE_BODY;
    return weir_error_set(reterr, WEIR_INVALID,
                          "%s %s: an earlier call has read its body, and the reader has no "
                          "rewind; give the request another reader",
                          call->method, call->url->shown);
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
    struct call call = {.session = session,
                        .request = request,
                        .report = &request->report,
                        .retry_after = retry_after,
                        .failure = failure,
                        .file = file,
                        .line = line};

    failure[0] = '\0';
    call.started = weir__call_now(&call);
    begin(&call);
    if (request->error.status != WEIR_OK) {
        if (reterr != NULL)
            *reterr = request->error;
        return request->error.status;
    }
    weir_status status = check_reader(&call, reterr);
    if (status == WEIR_OK)
        status = resolve_deadline(session, call.started, &deadline, reterr);
    if (status == WEIR_OK)
        status = weir__origin_begin_call(session, call.url->origin, request, &call.origin, reterr);
    if (status != WEIR_OK) {
        atomic_store_explicit(&request->word, SIGNAL_NONE, memory_order_release);
        return status;
    }
    call.deadline = deadline;
    call.response = weir__response_new();

    enum next next = NEXT_ERROR;
    if (call.response != NULL)
        next = stay(&call);
    else
        weir__refuse(&call, WEIR_NO_MEMORY, "out of memory");
    while (next == NEXT_HOP)
        next = move_on(&call);
    status = finish(&call, next, ret_response, reterr);
    weir__origin_end_call(session, call.origin, request);
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
