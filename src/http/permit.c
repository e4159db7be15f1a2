/* SPDX-License-Identifier: MIT */
/* The permit to make one attempt: the breaker, the rate limiter, a handle of the origin's pool, a place of max_total. */
#include "http/call.h"
#include "probes.h"

#include <stdio.h>

/* A wait longer than this may have changed what the breaker, the rate limiter and the connection say. */
#define STALE_PERMIT WEIR_MS

void weir__refuse(struct call *call, weir_status status, const char *format, ...)
{
    va_list args;

    call->classification = (struct classification){.kind = WEIR_ATTEMPT_REFUSED, .is_ours = true};
    call->classification.status = status;
    va_start(args, format);
    vsnprintf(call->failure, WEIR_ERROR_TEXT, format, args);
    va_end(args);
}

bool weir__is_signalled(struct call *call)
{
    uint32_t word = atomic_load_explicit(&call->request->word, memory_order_acquire);

    if (word == SIGNAL_NONE)
        return false;
    if (word == SIGNAL_CANCELLED)
        weir__refuse(call, WEIR_CANCELLED, "cancelled");
    else
        weir__refuse(call, WEIR_CLOSED, "the session \"%s\" is closed",
                     call->session->options.name);
    return true;
}

bool weir__call_sleep(struct call *call, weir_time until, weir_time *add_to)
{
    weir_time begun = weir__call_now(call);

    while (weir__call_now(call) < until && !weir__is_signalled(call))
        weir__http_wait(call->session, &call->request->word, SIGNAL_NONE, until);
    *add_to += call->now - begun;
    return !weir__is_signalled(call);
}

/* ---- chunks ------------------------------------------------------------------------------ */

/* Refuse a body in chunks to an origin that speaks HTTP/1.0 (RFC 9112, 6.1). That is forgotten after a while,
 * and with the connections: there may be a newer server now, which whoever only uploads would never see. */
static bool lacks_chunks(struct call *call)
{
    if (!weir__is_chunked(call))
        return false;

    weir_time evicted_at = atomic_load_explicit(&call->session->evicted_at, memory_order_acquire);
    weir__lock(&call->origin->lock);
    bool is_http_1_0 =
        call->origin->http_1_0_until > call->now && call->origin->http_1_0_evicted_at == evicted_at;
    weir__unlock(&call->origin->lock);
    if (is_http_1_0)
        weir__refuse(
            call, WEIR_UNSUPPORTED,
            "%s answered in HTTP/1.0, which has no body of unknown length; the reader needs a "
            "size",
            call->origin->name);
    return is_http_1_0;
}

/* Whether nothing is to be sent, whatever the origin's policies say. */
static bool is_barred(struct call *call)
{
    return weir__is_signalled(call) || lacks_chunks(call);
}

/* ---- breaker and rate limiter -------------------------------------------------------------------- */

/* Ask the breaker, with the origin's lock. */
static bool permit_locked(struct call *call, weir_time now, weir_permit *ret_permit)
    WEIR_REQUIRES(call->origin->lock)
{
    return !call->session->options.use_breaker ||
           weir_breaker_acquire(&call->origin->breaker, now, ret_permit);
}

/* Give a permit back that was not used. */
static void return_permit_locked(struct call *call, weir_time now, const weir_permit *permit)
    WEIR_REQUIRES(call->origin->lock)
{
    if (call->session->options.use_breaker)
        weir_breaker_record(&call->origin->breaker, permit, WEIR_OUTCOME_IGNORED, 0, now, 0);
}

static bool refuse_by_breaker(struct call *call, weir_breaker_state state, weir_time open_for)
{
    call->report->retry_after = open_for > 0 ? open_for : 0;
    if (state == WEIR_BREAKER_OPEN && open_for > 0)
        weir__refuse(call, WEIR_REFUSED, "the circuit breaker of %s is open for another %.3f s",
                     call->origin->name, (double)open_for / (double)WEIR_SECOND);
    else
        weir__refuse(call, WEIR_REFUSED,
                     "the circuit breaker of %s is %s and lets no more requests through",
                     call->origin->name, weir_breaker_state_name(state));
    return false;
}

static bool refuse_by_rate_limit(struct call *call, weir_time wait)
{
    call->report->retry_after = wait;
    weir__refuse(call, WEIR_REFUSED,
                 "the rate limiter of %s sends nothing for another %.3f s, which is "
                 "beyond the deadline",
                 call->origin->name, (double)wait / (double)WEIR_SECOND);
    return false;
}

/* What the two said, looked up in one go under the origin's lock. */
struct answer {
    bool is_permitted;
    bool is_in_time;
    bool is_pending;
    weir_breaker_state state;
    weir_time open_for;
    weir_rate_limiter_pass pass;
};

/* Ask both. A permit is kept only if the rate limiter lets through at once: none is held while waiting. */
static struct answer ask(struct call *call, weir_time now, const weir_rate_limiter_pass *held,
                         weir_permit *ret_permit)
{
    struct answer answer = {0};

    weir__lock(&call->origin->lock);
    answer.is_permitted = permit_locked(call, now, ret_permit);
    answer.state = call->origin->breaker.state;
    answer.open_for = call->origin->breaker.open_until - now;
    answer.is_pending = weir__breaker_is_untold_locked(call->origin, &answer.state);
    if (answer.is_permitted && held != NULL &&
        weir_rate_limiter_enter(&call->origin->rate_limit, held, now)) {
        answer.is_in_time = true;
        answer.pass = *held;
    } else if (answer.is_permitted) {
        answer.is_in_time =
            weir_rate_limiter_reserve(&call->origin->rate_limit, now, call->deadline, &answer.pass);
        if (!answer.is_in_time || answer.pass.at > now)
            return_permit_locked(call, now, ret_permit);
    }
    weir__unlock(&call->origin->lock);
    if (answer.is_pending) {
        weir__tell_breaker(call, answer.state);
        weir__call_now(call); /* that may have taken long */
    }
    return answer;
}

/* Fill in permit and pass. */
static bool pass_policies(struct call *call, struct attempt_permit *permit)
{
    bool has_pass = false;

    for (;;) {
        weir_time now = call->now;
        struct answer answer = ask(call, now, has_pass ? &permit->pass : NULL, &permit->breaker);

        if (!answer.is_permitted)
            return refuse_by_breaker(call, answer.state, answer.open_for);
        /* Another may have moved the rate limiter's instant beyond a deadline that is about to pass. */
        if (!answer.is_in_time && weir__call_now(call) >= call->deadline) {
            weir__refuse(call, WEIR_TIMEOUT, "the deadline passed");
            return false;
        }
        if (!answer.is_in_time)
            return refuse_by_rate_limit(call, answer.pass.at - now);
        permit->pass = answer.pass;
        if (answer.pass.at <= now)
            return true;
        has_pass = true;
        if (!weir__call_sleep(call, answer.pass.at, &call->report->waited))
            return false;
    }
}

/* What became of a permit. */
enum permit_state {
    PERMIT_GIVEN,
    PERMIT_REFUSED,
    PERMIT_VOID /* a cool-down began in a wait for a handle: all has to be asked for again */
};

/* After such a wait, the permit may be one of a breaker that opened meanwhile, and the pass one of a
 * cool-down. */
static enum permit_state renew_permit(struct call *call, struct attempt_permit *permit)
{
    weir_time now = call->now;
    weir_breaker_state state = WEIR_BREAKER_CLOSED;

    weir__lock(&call->origin->lock);
    return_permit_locked(call, now, &permit->breaker);
    bool is_open = weir_rate_limiter_enter(&call->origin->rate_limit, &permit->pass, now);
    bool is_permitted = is_open && permit_locked(call, now, &permit->breaker);
    bool is_pending = weir__breaker_is_untold_locked(call->origin, &state);
    weir_time open_for = call->origin->breaker.open_until - now;
    state = call->origin->breaker.state;
    weir__unlock(&call->origin->lock);
    if (is_pending)
        weir__tell_breaker(call, state);
    if (!is_open)
        return PERMIT_VOID;
    if (is_permitted)
        return PERMIT_GIVEN;
    refuse_by_breaker(call, state, open_for);
    return PERMIT_REFUSED;
}

static void abandon_permit(struct call *call, const weir_permit *permit)
{
    weir__lock(&call->origin->lock);
    return_permit_locked(call, call->now, permit);
    weir__unlock(&call->origin->lock);
}

/* ---- a handle ---------------------------------------------------------------------------- */

/* Both waits end at the same instant. */
static weir_time acquire_until(const struct call *call, weir_time now)
{
    const weir_http_options *options = &call->session->options;
    weir_time until = now + options->acquire_timeout_ms * WEIR_MS;

    if (options->pool_block == WEIR_HTTP_WHEN_FULL_FAIL || options->acquire_timeout_ms == 0)
        return WEIR_DEADLINE_NOW;
    return until < call->deadline ? until : call->deadline;
}

static bool refuse_by_pool(struct call *call, weir_status status, const weir_error *error)
{
    bool fails_at_once = call->session->options.pool_block == WEIR_HTTP_WHEN_FULL_FAIL;

    weir__refuse(call, status == WEIR_TIMEOUT && fails_at_once ? WEIR_FULL : status, "%s",
                 error->text);
    if (status == WEIR_SYSTEM)
        call->classification.system_errno = error->native;
    return false;
}

static bool borrow(struct call *call, struct attempt_permit *permit, weir_time begun)
{
    weir_time until = acquire_until(call, begun);
    weir_error error;

    weir_status status = weir_pool_acquire_at(call->origin->pool, until, &permit->lease, &error,
                                              call->file, call->line);
    if (status == WEIR_OK)
        status = weir_pool_acquire_at(call->session->total, until, &permit->total, &error,
                                      call->file, call->line);
    if (status != WEIR_OK)
        return refuse_by_pool(call, status, &error);
    return true;
}

static enum permit_state hold(struct call *call, struct attempt_permit *permit)
{
    weir_time begun = call->now;
    call->evicted_at = atomic_load_explicit(&call->session->evicted_at, memory_order_acquire);
    enum permit_state state = borrow(call, permit, begun) ? PERMIT_GIVEN : PERMIT_REFUSED;
    weir_time waited = weir__call_now(call) - begun;

    permit->at = begun + waited;
    call->report->waited += waited;
    if (state == PERMIT_REFUSED) {
        abandon_permit(call, &permit->breaker);
    } else if (waited > STALE_PERMIT) {
        weir__handle_check_again(permit->lease.connection);
        state = renew_permit(call, permit);
    }
    if (state == PERMIT_GIVEN && is_barred(call)) {
        abandon_permit(call, &permit->breaker);
        state = PERMIT_REFUSED;
    }
    return state;
}

bool weir__acquire_permit(struct call *call, struct attempt_permit *ret_permit)
{
    enum permit_state state = PERMIT_VOID;

    while (state == PERMIT_VOID) {
        *ret_permit = (struct attempt_permit){0};
        if (is_barred(call) || !pass_policies(call, ret_permit))
            return false;
        state = hold(call, ret_permit);
        if (state == PERMIT_GIVEN)
            return true;
        weir_pool_release(&ret_permit->total);
        weir_pool_release(&ret_permit->lease);
    }
    return false;
}
