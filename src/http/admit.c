/* SPDX-License-Identifier: MIT */
/* Leave to make one attempt: the breaker, the rate limiter, a handle of the origin's pool, a place of max_total. */
#include "http/sending.h"
#include "probes.h"

#include <stdio.h>

/* A wait longer than this may have changed what the breaker, the rate limiter and the connection say. */
#define STALE_PERMIT WEIR_MS

bool weir__breaker_news_locked(struct origin *origin, weir_breaker_state *ret_state)
{
    if (origin->breaker.state == origin->told_state)
        return false;
    origin->told_state = origin->breaker.state;
    *ret_state = origin->breaker.state;
    return true;
}

void weir__tell_breaker(const struct sending *sending, weir_breaker_state state)
{
    weir_http_event event = weir__sending_event(sending, WEIR_HTTP_EVENT_BREAKER);

    WEIR_PROBE2(breaker, &sending->origin->name[0], weir_breaker_state_name(state));
    event.breaker = state;
    weir__http_emit(sending->session, &event);
}

void weir__refuse(struct sending *s, weir_status status, const char *format, ...)
{
    va_list args;

    s->judgement = (struct judgement){.kind = WEIR_ATTEMPT_REFUSED, .is_ours = true};
    s->judgement.status = status;
    va_start(args, format);
    vsnprintf(s->failure, WEIR_ERROR_TEXT, format, args);
    va_end(args);
}

bool weir__is_signalled(struct sending *s)
{
    uint32_t word = atomic_load_explicit(&s->request->word, memory_order_acquire);

    if (word == SIGNAL_NONE)
        return false;
    if (word == SIGNAL_CANCELLED)
        weir__refuse(s, WEIR_CANCELLED, "cancelled");
    else
        weir__refuse(s, WEIR_CLOSED, "the session \"%s\" is closed", s->session->options.name);
    return true;
}

bool weir__sending_sleep(struct sending *s, weir_time until, weir_time *add_to)
{
    weir_time begun = weir__sending_now(s);

    while (weir__sending_now(s) < until && !weir__is_signalled(s))
        weir__http_wait(s->session, &s->request->word, SIGNAL_NONE, until);
    *add_to += s->now - begun;
    return !weir__is_signalled(s);
}

/* ---- chunks ------------------------------------------------------------------------------ */

bool weir__is_chunked(const struct sending *s)
{
    return s->has_body && s->request->has_reader && s->request->reader.size < 0;
}

/* Refuse a body in chunks to an origin that speaks HTTP/1.0 (RFC 9112, 6.1). That is forgotten after a while,
 * and with the connections: there may be a newer server now, which whoever only uploads would never see. */
static bool lacks_chunks(struct sending *s)
{
    if (!weir__is_chunked(s))
        return false;

    weir_time evicted_at = atomic_load_explicit(&s->session->evicted_at, memory_order_acquire);
    pthread_mutex_lock(&s->origin->lock);
    bool is_http_1_0 =
        s->origin->http_1_0_until > s->now && s->origin->http_1_0_evicted_at == evicted_at;
    pthread_mutex_unlock(&s->origin->lock);
    if (is_http_1_0)
        weir__refuse(
            s, WEIR_UNSUPPORTED,
            "%s answered in HTTP/1.0, which has no body of unknown length; the reader needs a "
            "size",
            s->origin->name);
    return is_http_1_0;
}

/* Whether nothing is to be sent, whatever the origin's policies say. */
static bool is_barred(struct sending *s)
{
    return weir__is_signalled(s) || lacks_chunks(s);
}

/* ---- breaker and rate limiter -------------------------------------------------------------------- */

/* Ask the breaker, with the origin's lock. */
static bool permit_locked(struct sending *s, weir_time now, weir_permit *ret_permit)
{
    return !s->session->options.use_breaker ||
           weir_breaker_acquire(&s->origin->breaker, now, ret_permit);
}

/* Give a permit back that was not used. */
static void return_permit_locked(struct sending *s, weir_time now, const weir_permit *permit)
{
    if (s->session->options.use_breaker)
        weir_breaker_record(&s->origin->breaker, permit, WEIR_OUTCOME_IGNORED, 0, now, 0);
}

static bool refuse_by_breaker(struct sending *s, weir_breaker_state state, weir_time open_for)
{
    s->report->retry_after = open_for > 0 ? open_for : 0;
    if (state == WEIR_BREAKER_OPEN && open_for > 0)
        weir__refuse(s, WEIR_REFUSED, "the circuit breaker of %s is open for another %.3f s",
                     s->origin->name, (double)open_for / (double)WEIR_SECOND);
    else
        weir__refuse(s, WEIR_REFUSED, "the circuit breaker of %s is %s and lets no more through",
                     s->origin->name, weir_breaker_state_name(state));
    return false;
}

static bool refuse_by_rate_limit(struct sending *s, weir_time wait)
{
    s->report->retry_after = wait;
    weir__refuse(s, WEIR_REFUSED,
                 "the rate limiter of %s sends nothing for another %.3f s, which is "
                 "beyond the deadline",
                 s->origin->name, (double)wait / (double)WEIR_SECOND);
    return false;
}

/* What the two said, looked up in one go under the origin's lock. */
struct answer {
    bool is_permitted;
    bool is_in_time;
    bool is_news;
    weir_breaker_state state;
    weir_time open_for;
    weir_rate_limiter_pass pass;
};

/* Ask both. A permit is kept only if the rate limiter lets through at once: none is held while waiting. */
static struct answer ask(struct sending *s, weir_time now, const weir_rate_limiter_pass *held,
                         weir_permit *ret_permit)
{
    struct origin *origin = s->origin;
    struct answer answer = {0};

    pthread_mutex_lock(&origin->lock);
    answer.is_permitted = permit_locked(s, now, ret_permit);
    answer.state = origin->breaker.state;
    answer.open_for = origin->breaker.open_until - now;
    answer.is_news = weir__breaker_news_locked(origin, &answer.state);
    if (answer.is_permitted && held != NULL &&
        weir_rate_limiter_enter(&origin->rate_limit, held, now)) {
        answer.is_in_time = true;
        answer.pass = *held;
    } else if (answer.is_permitted) {
        answer.is_in_time =
            weir_rate_limiter_reserve(&origin->rate_limit, now, s->deadline, &answer.pass);
        if (!answer.is_in_time || answer.pass.at > now)
            return_permit_locked(s, now, ret_permit);
    }
    pthread_mutex_unlock(&origin->lock);
    if (answer.is_news) {
        weir__tell_breaker(s, answer.state);
        weir__sending_now(s); /* that may have taken long */
    }
    return answer;
}

/* Fill in permit and pass. */
static bool pass_policies(struct sending *s, struct admission *admission)
{
    bool has_pass = false;

    for (;;) {
        weir_time now = s->now;
        struct answer answer = ask(s, now, has_pass ? &admission->pass : NULL, &admission->permit);

        if (!answer.is_permitted)
            return refuse_by_breaker(s, answer.state, answer.open_for);
        /* Another may have moved the rate limiter's instant beyond a deadline that is about to pass. */
        if (!answer.is_in_time && weir__sending_now(s) >= s->deadline) {
            weir__refuse(s, WEIR_TIMEOUT, "the deadline passed");
            return false;
        }
        if (!answer.is_in_time)
            return refuse_by_rate_limit(s, answer.pass.at - now);
        admission->pass = answer.pass;
        if (answer.pass.at <= now)
            return true;
        has_pass = true;
        if (!weir__sending_sleep(s, answer.pass.at, &s->report->waited))
            return false;
    }
}

/* What became of leave to make an attempt. */
enum leave {
    LEAVE_GIVEN,
    LEAVE_REFUSED,
    LEAVE_VOID /* a cool-down began in a wait for a handle: all has to be asked for again */
};

/* After such a wait, the permit may be one of a breaker that opened meanwhile, and the pass one of a
 * cool-down. */
static enum leave renew_permit(struct sending *s, struct admission *admission)
{
    weir_time now = s->now;
    weir_breaker_state state = WEIR_BREAKER_CLOSED;

    pthread_mutex_lock(&s->origin->lock);
    return_permit_locked(s, now, &admission->permit);
    bool is_open = weir_rate_limiter_enter(&s->origin->rate_limit, &admission->pass, now);
    bool is_permitted = is_open && permit_locked(s, now, &admission->permit);
    bool is_news = weir__breaker_news_locked(s->origin, &state);
    weir_time open_for = s->origin->breaker.open_until - now;
    state = s->origin->breaker.state;
    pthread_mutex_unlock(&s->origin->lock);
    if (is_news)
        weir__tell_breaker(s, state);
    if (!is_open)
        return LEAVE_VOID;
    if (is_permitted)
        return LEAVE_GIVEN;
    refuse_by_breaker(s, state, open_for);
    return LEAVE_REFUSED;
}

static void abandon_permit(struct sending *s, const weir_permit *permit)
{
    pthread_mutex_lock(&s->origin->lock);
    return_permit_locked(s, s->now, permit);
    pthread_mutex_unlock(&s->origin->lock);
}

/* ---- a handle ---------------------------------------------------------------------------- */

/* Both lines end at the same instant. */
static weir_time acquire_until(const struct sending *s, weir_time now)
{
    const weir_http_options *options = &s->session->options;
    weir_time until = now + options->acquire_timeout_ms * WEIR_MS;

    if (options->pool_block == WEIR_POOL_FAIL || options->acquire_timeout_ms == 0)
        return WEIR_DEADLINE_NOW;
    return until < s->deadline ? until : s->deadline;
}

static bool refuse_by_pool(struct sending *s, weir_status status, const weir_error *error)
{
    bool fails_at_once = s->session->options.pool_block == WEIR_POOL_FAIL;

    weir__refuse(s, status == WEIR_TIMEOUT && fails_at_once ? WEIR_FULL : status, "%s",
                 error->text);
    if (status == WEIR_SYSTEM)
        s->judgement.system_errno = error->native;
    return false;
}

static bool borrow(struct sending *s, struct admission *admission, weir_time begun)
{
    weir_time until = acquire_until(s, begun);
    weir_error error;

    weir_status status =
        weir_pool_acquire_at(s->origin->pool, until, &admission->lease, &error, s->file, s->line);
    if (status == WEIR_OK)
        status = weir_pool_acquire_at(s->session->total, until, &admission->leave, &error, s->file,
                                      s->line);
    if (status != WEIR_OK)
        return refuse_by_pool(s, status, &error);
    return true;
}

static enum leave hold(struct sending *s, struct admission *admission)
{
    weir_time begun = s->now;
    s->evicted_at = atomic_load_explicit(&s->session->evicted_at, memory_order_acquire);
    enum leave leave = borrow(s, admission, begun) ? LEAVE_GIVEN : LEAVE_REFUSED;
    weir_time waited = weir__sending_now(s) - begun;

    admission->at = begun + waited;
    s->report->waited += waited;
    if (leave == LEAVE_REFUSED) {
        abandon_permit(s, &admission->permit);
    } else if (waited > STALE_PERMIT) {
        weir__handle_check_again(admission->lease.connection);
        leave = renew_permit(s, admission);
    }
    if (leave == LEAVE_GIVEN && is_barred(s)) {
        abandon_permit(s, &admission->permit);
        leave = LEAVE_REFUSED;
    }
    return leave;
}

bool weir__admit(struct sending *s, struct admission *ret_admission)
{
    enum leave leave = LEAVE_VOID;

    while (leave == LEAVE_VOID) {
        *ret_admission = (struct admission){0};
        if (is_barred(s) || !pass_policies(s, ret_admission))
            return false;
        leave = hold(s, ret_admission);
        if (leave == LEAVE_GIVEN)
            return true;
        weir_pool_release(&ret_admission->leave);
        weir_pool_release(&ret_admission->lease);
    }
    return false;
}
