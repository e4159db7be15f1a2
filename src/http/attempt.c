/* SPDX-License-Identifier: MIT */
/* One attempt: admitted, made, judged, and told to the origin's policies and counts. */
#include "http/call.h"

/* ---- what it was ------------------------------------------------------------------------- */

static void describe_attempt(struct call *call, const struct transfer *t)
{
    const weir_http_request *request = call->request;
    weir_attempt *a = &call->attempt;

    *a = (weir_attempt){
        .kind = call->classification.kind,
        .timed_out = call->classification.timed_out,
        .method = weir_method_of(call->method),
        .has_idempotency_key = request->has_idempotency_key,
        .was_sent = t != NULL && t->was_sent,
        .is_rewindable = !call->has_body || !request->has_reader ||
                         request->reader.rewind != NULL || !request->is_reader_begun,
    };
    call->leads_elsewhere = a->kind == WEIR_ATTEMPT_RESPONSE && weir__follows(call) &&
                            weir__is_redirect(call->response);
    if (a->kind != WEIR_ATTEMPT_RESPONSE && call->classification.proxy_status == 0)
        return;
    if (a->kind == WEIR_ATTEMPT_RESPONSE)
        a->status = call->response->status;
    a->retry_after = call->retry_after;
    a->retry_after_count = weir__response_values(call->response, "Retry-After", call->retry_after,
                                                 RESPONSE_FIELDS_LIMIT);
}

/* ---- what the origin learns of it -------------------------------------------------------- */

/* How long a 429 or 503 asks everybody to stay away, or a proxy that opens no tunnel there; 0: it does
 * not. */
static weir_time pause_for_all(const struct call *call, int unstated_pause_ms)
{
    int status = call->attempt.status;

    if (call->classification.proxy_status != 0)
        return call->asked_pause > 0 ? call->asked_pause : 0;

    if (status != 429 && status != 503)
        return 0;
    if (call->asked_pause >= 0)
        return call->asked_pause;
    return status == 429 ? unstated_pause_ms * WEIR_MS : 0;
}

static void count_attempt_locked(struct origin_counts *c, const struct call *call,
                                 const struct transfer *t) WEIR_REQUIRES(call->origin->lock)
{
    c->attempts++;
    c->opened += (uint64_t)t->opened;
    c->reused += t->is_reused;
    if (call->classification.kind == WEIR_ATTEMPT_RESPONSE)
        c->responses[call->attempt.status < 600 ? call->attempt.status / 100 : 0]++;
    c->failed_connect += call->classification.kind == WEIR_ATTEMPT_CONNECT;
    c->failed_read += call->classification.kind == WEIR_ATTEMPT_READ;
    c->failed_other += call->classification.kind == WEIR_ATTEMPT_OTHER && t->stop != STOP_SIGNALLED;
}

/* How long an answer in HTTP/1.0 is believed to be what the origin speaks. */
#define HTTP_1_0_BELIEVED (60 * WEIR_SECOND)

/* The last answer says what the origin speaks, whatever became of its body; not if its connection was
 * evicted since, for then it says what the origin spoke. */
static void learn_version_locked(struct call *call, const struct transfer *t)
    WEIR_REQUIRES(call->origin->lock)
{
    weir_time evicted_at = atomic_load_explicit(&call->session->evicted_at, memory_order_acquire);

    if (t->sends == 0 || t->response->status == 0 || call->evicted_at != evicted_at)
        return;
    call->origin->http_1_0_until = t->response->is_http_1_0 ? call->now + HTTP_1_0_BELIEVED : 0;
    call->origin->http_1_0_evicted_at = call->evicted_at;
}

/* What is to be told once the lock is released. */
struct pending_events {
    bool has_breaker;
    weir_breaker_state breaker;
    weir_time pause; /* 0: none */
    bool is_trim_due;
};

/* How often the pool of an origin in use is looked through for connections that rest too long. */
#define TRIM_EVERY WEIR_SECOND

/* Close it, and report for how long it is closed now, which may be less than was asked for. Returns
 * the same if that is news, else 0. */
static weir_time cool_down_locked(struct call *call, weir_time pause)
    WEIR_REQUIRES(call->origin->lock)
{
    struct origin *origin = call->origin;
    weir_time before = origin->rate_limit.cool_down_until;

    weir_rate_limiter_cool_down(&origin->rate_limit, call->now,
                                pause > INT64_MAX - call->now ? INT64_MAX : call->now + pause);
    if (origin->rate_limit.cool_down_until <= call->now) /* max_cool_down_s is 0 */
        return 0;
    call->report->retry_after = origin->rate_limit.cool_down_until - call->now;
    if (origin->rate_limit.cool_down_until == before)
        return 0;
    origin->cool_downs++;
    return call->report->retry_after;
}

/* The budget counts a request once, by its first attempt at an origin; one that this machine could not
 * make is none. */
static void deposit_locked(struct call *call) WEIR_REQUIRES(call->origin->lock)
{
    if (call->is_deposited || call->classification.system_errno != 0)
        return;
    call->is_deposited = true;
    weir_budget_deposit(&call->origin->budget, call->now);
}

/* The attempt is over, `now`: the origin learns of it, and says what follows. */
static struct pending_events record_attempt(struct call *call, const struct transfer *t,
                                            const weir_permit *permit, weir_time begun)
{
    weir_moment moment = weir__moment_of(call);
    weir_time now = call->now;
    struct pending_events pending = {0};

    weir__lock(&call->origin->lock);
    deposit_locked(call);
    if (call->session->options.use_breaker)
        weir_breaker_record(&call->origin->breaker, permit,
                            call->classification.is_ours ? WEIR_OUTCOME_IGNORED
                                                         : weir_breaker_classify(&call->attempt),
                            now - begun, now, weir__origin_random_locked(call->origin));
    pending.has_breaker = weir__breaker_is_untold_locked(call->origin, &pending.breaker);
    pending.pause = pause_for_all(call, call->origin->unstated_pause_ms);
    if (pending.pause > 0)
        pending.pause = cool_down_locked(call, pending.pause);
    count_attempt_locked(&call->origin->counts, call, t);
    learn_version_locked(call, t);
    pending.is_trim_due = now >= call->origin->trim_at;
    if (pending.is_trim_due)
        call->origin->trim_at = now + TRIM_EVERY;
    weir__decide_locked(call, &moment);
    weir__unlock(&call->origin->lock);
    return pending;
}

static void tell_listeners(struct call *call, const struct transfer *t,
                           const struct pending_events *pending, weir_time duration)
{
    weir_error error;

    if (weir__http_is_heard(call->session, WEIR_HTTP_EVENT_ATTEMPT)) {
        weir_http_event event = weir__call_event(call, WEIR_HTTP_EVENT_ATTEMPT);

        event.status = call->attempt.status;
        event.curl_code = (int)t->code;
        event.is_reused = t->is_reused;
        event.duration = duration;
        if (t->propagation->traceparent[0] != '\0')
            event.trace = &t->propagation->context;
        if (call->classification.status != WEIR_OK) {
            weir_error_set(&error, call->classification.status, "%s", call->failure);
            event.error = &error;
        }
        weir__http_emit(call->session, &event);
    }
    if (pending->has_breaker)
        weir__tell_breaker(call, pending->breaker);
    if (pending->pause > 0) {
        weir_http_event event = weir__call_event(call, WEIR_HTTP_EVENT_COOL_DOWN);

        event.status = call->attempt.status;
        event.delay = pending->pause;
        weir__http_emit(call->session, &event);
    }
}

/* ---- the attempt ------------------------------------------------------------------------- */

/* How long it may take, and whether that is less than it should have. */
static int time_for_attempt(const struct call *call, weir_time now, bool *ret_is_cut_short)
{
    int timeout_ms = call->request->try_timeout_ms > 0 ? call->request->try_timeout_ms
                                                       : call->session->options.try_timeout_ms;

    *ret_is_cut_short = false;
    if (call->deadline == WEIR_DEADLINE_NEVER || call->deadline - now >= timeout_ms * WEIR_MS)
        return timeout_ms;
    *ret_is_cut_short = true;
    weir_time left_ms = (call->deadline - now + WEIR_MS - 1) / WEIR_MS;
    return left_ms > 0 ? (int)left_ms : 1;
}

/* A dirty handle, or one whose connection failed, is not worth keeping: a new one costs less than
 * the connection that it needs anyway. */
static void give_back(struct attempt_permit *permit, const struct transfer *t)
{
    bool is_clean = t->stop == STOP_ENOUGH || (t->stop == STOP_NONE && t->code == CURLE_OK);

    weir_pool_release(&permit->total);
    if (is_clean)
        weir_pool_release(&permit->lease);
    else
        weir_pool_discard(&permit->lease, NULL);
}

/* The status that came, be it of a response that was lost; 0: none. */
static int status_of(const struct transfer *t)
{
    return t->sends > 0 ? t->response->status : 0;
}

static void note_transfer(struct call *call, const struct transfer *t)
{
    weir_http_report *r = call->report;

    r->attempts++;
    r->opened += (unsigned)t->opened;
    r->curl_code = (int)t->code;
    r->was_sent = r->was_sent || t->was_sent;
    if (status_of(t) > 0)
        r->status = status_of(t);
    call->is_reused = t->is_reused;
    call->is_answered = t->is_answered;
    call->has_delivered = call->has_delivered || t->has_delivered;
    call->has_lost_chunks = t->is_chunked && t->sends > 0 && t->response->is_http_1_0;
    call->request->is_reader_begun = call->request->is_reader_begun || t->has_read;
}

/* For who asks for the list afterwards. */
static void list_attempt(struct call *call, const struct transfer *t, weir_time duration)
{
    weir_http_report *r = call->report;
    struct history *history = &call->request->history;
    weir_http_attempt attempt = {
        .number = r->attempts,
        .reason = call->reason,
        .method = call->method,
        .url = call->url->shown,
        .is_reused = t->is_reused,
        .status = status_of(t),
        .kind = call->attempt.kind,
        .failure = call->classification.status,
        .text = call->classification.status != WEIR_OK ? call->failure : "",
        .curl_code = (int)t->code,
        .cause = call->decision.cause,
        .waited = r->waited - call->waited_before,
        .paused = r->paused - call->paused_before,
        .duration = duration,
    };

    call->waited_before = r->waited;
    call->paused_before = r->paused;
    weir__history_add(history, &attempt, &call->request->url);
    r->unlisted = r->attempts - (unsigned)history->count;
}

static void end_attempt(struct call *call, struct attempt_permit *permit, struct transfer *t,
                        weir_time begun)
{
    if (t->ended != 0)
        call->now = t->ended;
    else
        weir__call_now(call);
    weir_time ended = call->now;
    describe_attempt(call, t);
    /* The cool-down before the handle: whoever waits for that must find it. */
    struct pending_events pending = record_attempt(call, t, &permit->breaker, begun);
    give_back(permit, t);
    list_attempt(call, t, ended - begun);
    tell_listeners(call, t, &pending, ended - begun);
    if (pending.is_trim_due)
        weir_pool_trim(call->origin->pool, call->session->options.idle_timeout_ms);
}

static void make_attempt(struct call *call, struct attempt_permit *permit, weir_time begun)
{
    bool is_cut_short = false;
    struct transfer_room room;
    struct transfer t = {
        .session = call->session,
        .request = call->request,
        .url = call->url,
        .method = call->method,
        .has_body = call->has_body,
        .is_chunked = weir__is_chunked(call),
        .is_from_start = !call->request->is_reader_begun,
        .has_turned = call->has_turned,
        .drops_secrets = call->drops_secrets,
        .follows = weir__follows(call),
        .max_body_bytes = call->request->max_body_bytes >= 0
                              ? call->request->max_body_bytes
                              : call->session->options.max_body_bytes,
        .propagation = &room.propagation,
        .dial = &room.dial,
        .response = call->response,
        .error = &room.error,
        .fields = room.fields,
    };

    room.error.status = WEIR_OK;
    room.error.native = 0;
    room.error.sqlstate[0] = '\0';
    room.error.text[0] = '\0';
    t.timeout_ms = time_for_attempt(call, begun, &is_cut_short);
    weir__response_clear(call->response);
    weir__propagate(call->request, t.propagation);
    weir__transfer_run(&t, permit->lease.connection);
    note_transfer(call, &t);
    call->classification = weir__classify(&t, is_cut_short, call->failure);
    end_attempt(call, permit, &t, begun);
}

void weir__attempt(struct call *call)
{
    struct attempt_permit permit;

    call->is_answered = false;
    call->is_reused = false;
    call->report->retry_after = 0;
    if (!weir__acquire_permit(call, &permit)) {
        weir__decide(call, STEP_ABANDON,
                     (weir_retry_decision){WEIR_VERDICT_FAIL, WEIR_CAUSE_REFUSED, 0, 0});
        describe_attempt(call, NULL);
        weir__lock(&call->origin->lock);
        call->origin->counts.refused += call->classification.status != WEIR_CANCELLED;
        weir__unlock(&call->origin->lock);
        return;
    }
    make_attempt(call, &permit, permit.at);
}
