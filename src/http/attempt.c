/* SPDX-License-Identifier: MIT */
/* One attempt: admitted, made, judged, and told to the origin's policies and counts. */
#include "http/sending.h"

weir_http_event weir__sending_event(const struct sending *s, weir_http_event_kind kind)
{
    return (weir_http_event){
        .kind = kind,
        .session = s->session,
        .origin = s->url->origin,
        .method = s->method,
        .url = s->url->shown,
        .attempt = s->report->attempts,
    };
}

/* ---- what it was ------------------------------------------------------------------------- */

static void describe_attempt(struct sending *s, const struct transfer *t)
{
    const weir_http_request *request = s->request;
    weir_attempt *a = &s->attempt;

    *a = (weir_attempt){
        .kind = s->judgement.kind,
        .timed_out = s->judgement.timed_out,
        .method = weir_method_of(s->method),
        .has_idempotency_key = request->has_idempotency_key,
        .was_sent = t != NULL && t->was_sent,
        .is_rewindable = !s->has_body || !request->has_reader || request->reader.rewind != NULL ||
                         !request->is_reader_begun,
    };
    s->leads_elsewhere =
        a->kind == WEIR_ATTEMPT_RESPONSE && weir__follows(s) && weir__is_redirect(s->response);
    if (a->kind != WEIR_ATTEMPT_RESPONSE && s->judgement.proxy_status == 0)
        return;
    if (a->kind == WEIR_ATTEMPT_RESPONSE)
        a->status = s->response->status;
    a->retry_after = s->retry_after;
    a->retry_after_count =
        weir__response_values(s->response, "Retry-After", s->retry_after, RESPONSE_FIELDS_LIMIT);
}

/* ---- what the origin learns of it -------------------------------------------------------- */

/* How long a 429 or 503 asks everybody to stay away, or a proxy that opens no tunnel there; 0: it does
 * not. */
static weir_time pause_for_all(const struct sending *s, int unstated_pause_ms)
{
    int status = s->attempt.status;

    if (s->judgement.proxy_status != 0)
        return s->asked_pause > 0 ? s->asked_pause : 0;

    if (status != 429 && status != 503)
        return 0;
    if (s->asked_pause >= 0)
        return s->asked_pause;
    return status == 429 ? unstated_pause_ms * WEIR_MS : 0;
}

static void count_attempt_locked(struct origin_counts *c, const struct sending *s,
                                 const struct transfer *t)
{
    c->attempts++;
    c->opened += (uint64_t)t->opened;
    c->reused += t->is_reused;
    if (s->judgement.kind == WEIR_ATTEMPT_RESPONSE)
        c->responses[s->attempt.status < 600 ? s->attempt.status / 100 : 0]++;
    c->failed_connect += s->judgement.kind == WEIR_ATTEMPT_CONNECT;
    c->failed_read += s->judgement.kind == WEIR_ATTEMPT_READ;
    c->failed_other += s->judgement.kind == WEIR_ATTEMPT_OTHER && t->stop != STOP_SIGNALLED;
}

/* How long an answer in HTTP/1.0 is believed to be what the origin speaks. */
#define HTTP_1_0_BELIEVED (60 * WEIR_SECOND)

/* The last answer says what the origin speaks, whatever became of its body; not if its connection was
 * evicted since, for then it says what the origin spoke. */
static void learn_version_locked(struct sending *s, const struct transfer *t)
{
    weir_time evicted_at = atomic_load_explicit(&s->session->evicted_at, memory_order_acquire);

    if (t->sends == 0 || t->response->status == 0 || s->evicted_at != evicted_at)
        return;
    s->origin->http_1_0_until = t->response->is_http_1_0 ? s->now + HTTP_1_0_BELIEVED : 0;
    s->origin->http_1_0_evicted_at = s->evicted_at;
}

/* What is to be told once the lock is released. */
struct news {
    bool has_breaker;
    weir_breaker_state breaker;
    weir_time pause; /* 0: none */
    bool is_trim_due;
};

/* How often the pool of an origin in use is looked through for connections that rest too long. */
#define TRIM_EVERY WEIR_SECOND

/* Close it, and report for how long it is closed now, which may be less than was asked for. Returns
 * the same if that is news, else 0. */
static weir_time cool_down_locked(struct sending *s, weir_time pause)
{
    struct origin *origin = s->origin;
    weir_time before = origin->rate_limit.cool_down_until;

    weir_rate_limiter_cool_down(&origin->rate_limit, s->now,
                                pause > INT64_MAX - s->now ? INT64_MAX : s->now + pause);
    if (origin->rate_limit.cool_down_until <= s->now) /* max_cool_down_s is 0 */
        return 0;
    s->report->retry_after = origin->rate_limit.cool_down_until - s->now;
    if (origin->rate_limit.cool_down_until == before)
        return 0;
    origin->cool_downs++;
    return s->report->retry_after;
}

/* The budget counts a request once, by its first attempt at an origin; one that this machine could not
 * make is none. */
static void deposit_locked(struct sending *s)
{
    if (s->is_deposited || s->judgement.system_errno != 0)
        return;
    s->is_deposited = true;
    weir_budget_deposit(&s->origin->budget, s->now);
}

/* The attempt is over, `now`: the origin learns of it, and says what follows. */
static struct news settle(struct sending *s, const struct transfer *t, const weir_permit *permit,
                          weir_time begun)
{
    struct origin *origin = s->origin;
    weir_moment moment = weir__moment_of(s);
    weir_time now = s->now;
    struct news news = {0};

    pthread_mutex_lock(&origin->lock);
    deposit_locked(s);
    if (s->session->options.use_breaker)
        weir_breaker_record(&origin->breaker, permit,
                            s->judgement.is_ours ? WEIR_OUTCOME_IGNORED
                                                 : weir_breaker_judge(&s->attempt),
                            now - begun, now, weir__origin_random_locked(origin));
    news.has_breaker = weir__breaker_news_locked(origin, &news.breaker);
    news.pause = pause_for_all(s, origin->unstated_pause_ms);
    if (news.pause > 0)
        news.pause = cool_down_locked(s, news.pause);
    count_attempt_locked(&origin->counts, s, t);
    learn_version_locked(s, t);
    news.is_trim_due = now >= origin->trim_at;
    if (news.is_trim_due)
        origin->trim_at = now + TRIM_EVERY;
    weir__decide_locked(s, &moment);
    pthread_mutex_unlock(&origin->lock);
    return news;
}

static void tell_listeners(struct sending *s, const struct transfer *t, const struct news *news,
                           weir_time duration)
{
    weir_error error;

    if (weir__http_is_heard(s->session, WEIR_HTTP_EVENT_ATTEMPT)) {
        weir_http_event event = weir__sending_event(s, WEIR_HTTP_EVENT_ATTEMPT);

        event.status = s->attempt.status;
        event.curl_code = (int)t->code;
        event.is_reused = t->is_reused;
        event.duration = duration;
        if (t->propagation->traceparent[0] != '\0')
            event.trace = &t->propagation->context;
        if (s->judgement.status != WEIR_OK) {
            weir_error_set(&error, s->judgement.status, "%s", s->failure);
            event.error = &error;
        }
        weir__http_emit(s->session, &event);
    }
    if (news->has_breaker)
        weir__tell_breaker(s, news->breaker);
    if (news->pause > 0) {
        weir_http_event event = weir__sending_event(s, WEIR_HTTP_EVENT_COOL_DOWN);

        event.status = s->attempt.status;
        event.delay = news->pause;
        weir__http_emit(s->session, &event);
    }
}

/* ---- the attempt ------------------------------------------------------------------------- */

/* How long it may take, and whether that is less than it should have. */
static int time_for_attempt(const struct sending *s, weir_time now, bool *ret_is_cut_short)
{
    int timeout_ms = s->request->try_timeout_ms > 0 ? s->request->try_timeout_ms
                                                    : s->session->options.try_timeout_ms;

    *ret_is_cut_short = false;
    if (s->deadline == WEIR_DEADLINE_NEVER || s->deadline - now >= timeout_ms * WEIR_MS)
        return timeout_ms;
    *ret_is_cut_short = true;
    weir_time left_ms = (s->deadline - now + WEIR_MS - 1) / WEIR_MS;
    return left_ms > 0 ? (int)left_ms : 1;
}

/* A dirty handle, or one whose connection failed, is not worth keeping: a new one costs less than
 * the connection that it needs anyway. */
static void give_back(struct admission *admission, const struct transfer *t)
{
    bool is_clean = t->stop == STOP_ENOUGH || (t->stop == STOP_NONE && t->code == CURLE_OK);

    weir_pool_release(&admission->leave);
    if (is_clean)
        weir_pool_release(&admission->lease);
    else
        weir_pool_discard(&admission->lease, NULL);
}

/* The status that came, be it of a response that was lost; 0: none. */
static int status_of(const struct transfer *t)
{
    return t->sends > 0 ? t->response->status : 0;
}

static void note_transfer(struct sending *s, const struct transfer *t)
{
    weir_http_report *r = s->report;

    r->attempts++;
    r->opened += (unsigned)t->opened;
    r->curl_code = (int)t->code;
    r->was_sent = r->was_sent || t->was_sent;
    if (status_of(t) > 0)
        r->status = status_of(t);
    s->is_reused = t->is_reused;
    s->is_answered = t->is_answered;
    s->has_sunk = s->has_sunk || t->has_sunk;
    s->has_lost_chunks = t->is_chunked && t->sends > 0 && t->response->is_http_1_0;
    s->request->is_reader_begun = s->request->is_reader_begun || t->has_read;
}

/* For who asks for the list afterwards. */
static void list_attempt(struct sending *s, const struct transfer *t, weir_time duration)
{
    weir_http_report *r = s->report;
    struct history *history = &s->request->history;
    weir_http_attempt attempt = {
        .number = r->attempts,
        .reason = s->reason,
        .method = s->method,
        .url = s->url->shown,
        .is_reused = t->is_reused,
        .status = status_of(t),
        .kind = s->attempt.kind,
        .failure = s->judgement.status,
        .text = s->judgement.status != WEIR_OK ? s->failure : "",
        .curl_code = (int)t->code,
        .cause = s->decision.cause,
        .waited = r->waited - s->waited_before,
        .paused = r->paused - s->paused_before,
        .duration = duration,
    };

    s->waited_before = r->waited;
    s->paused_before = r->paused;
    weir__history_add(history, &attempt, &s->request->url);
    r->unlisted = r->attempts - (unsigned)history->count;
}

static void make_attempt(struct sending *s, struct admission *admission, weir_time begun)
{
    bool is_cut_short = false;
    struct transfer_room room;
    struct transfer t = {
        .session = s->session,
        .request = s->request,
        .url = s->url,
        .method = s->method,
        .has_body = s->has_body,
        .is_chunked = weir__is_chunked(s),
        .is_from_start = !s->request->is_reader_begun,
        .has_turned = s->has_turned,
        .drops_secrets = s->drops_secrets,
        .follows = weir__follows(s),
        .max_body_bytes = s->request->max_body_bytes >= 0 ? s->request->max_body_bytes
                                                          : s->session->options.max_body_bytes,
        .propagation = &room.propagation,
        .dial = &room.dial,
        .response = s->response,
        .error = &room.error,
        .fields = room.fields,
    };

    room.error.status = WEIR_OK;
    room.error.native = 0;
    room.error.sqlstate[0] = '\0';
    room.error.text[0] = '\0';
    t.timeout_ms = time_for_attempt(s, begun, &is_cut_short);
    weir__response_clear(s->response);
    weir__propagate(s->request, t.propagation);
    weir__transfer_run(&t, admission->lease.connection);
    note_transfer(s, &t);
    s->judgement = weir__judge(&t, is_cut_short, s->failure);

    if (t.ended != 0)
        s->now = t.ended;
    else
        weir__sending_now(s);
    weir_time ended = s->now;
    describe_attempt(s, &t);
    /* The cool-down before the handle: whoever waits for that must find it. */
    struct news news = settle(s, &t, &admission->permit, begun);
    give_back(admission, &t);
    list_attempt(s, &t, ended - begun);
    tell_listeners(s, &t, &news, ended - begun);
    if (news.is_trim_due)
        weir_pool_trim(s->origin->pool, s->session->options.idle_timeout_ms);
}

void weir__attempt(struct sending *s)
{
    struct admission admission;

    s->is_answered = false;
    s->is_reused = false;
    s->report->retry_after = 0;
    if (!weir__admit(s, &admission)) {
        weir__decide(s, COURSE_ABANDON,
                     (weir_retry_decision){WEIR_VERDICT_FAIL, WEIR_CAUSE_REFUSED, 0, 0});
        describe_attempt(s, NULL);
        pthread_mutex_lock(&s->origin->lock);
        s->origin->counts.refused += s->judgement.status != WEIR_CANCELLED;
        pthread_mutex_unlock(&s->origin->lock);
        return;
    }
    make_attempt(s, &admission, admission.at);
}
