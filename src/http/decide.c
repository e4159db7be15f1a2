/* SPDX-License-Identifier: MIT */
/* What follows an attempt, by the request's policy and the origin's budget. */
#include "http/call.h"

#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- when it was asked ------------------------------------------------------------------- */

/* The wall clock is for the dates of Retry-After, and read for no other response. */
static int64_t wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * WEIR_SECOND + now.tv_nsec;
}

weir_moment weir__moment_of(struct call *call)
{
    weir_moment moment = {.deadline = call->deadline};

    call->asked_pause = -1;
    if (call->attempt.retry_after_count > 0) {
        moment.wall_now = wall_now();
        weir__call_now(call); /* not before it: nobody may come before the date */
    }
    moment.now = call->now;
    weir_time asked = 0;
    if (weir_retry_after_asked(call->retry, &call->attempt, moment.wall_now, &asked))
        call->asked_pause = asked;
    call->report->retry_after = call->asked_pause > 0 ? call->asked_pause : 0;
    return moment;
}

/* ---- what follows ------------------------------------------------------------------------ */

void weir__decide(struct call *call, enum next_step step, weir_retry_decision decision)
{
    call->next_step = step;
    call->decision = decision;
    call->report->cause = decision.cause;
}

/* ---- the policy -------------------------------------------------------------------------- */

/* What was decided by it or in its place. */
static void note_locked(struct call *call, weir_retry_decision decision)
    WEIR_REQUIRES(call->origin->lock)
{
    weir__decide(call, STEP_POLICY, decision);
    call->origin->counts.causes[decision.cause]++;
}

/* Ask it, with the origin's budget. */
static void ask_locked(struct call *call, const weir_retry_options *options,
                       weir_retry_state *state, weir_moment *moment)
    WEIR_REQUIRES(call->origin->lock)
{
    unsigned invalid = state->invalid_retry_afters;
    struct origin_counts *counts = &call->origin->counts;

    moment->random = weir__origin_random_locked(call->origin);
    note_locked(call,
                weir_retry_next(options, state, &call->attempt, moment,
                                call->session->options.use_budget ? &call->origin->budget : NULL));
    counts->budget_denied += call->decision.cause == WEIR_CAUSE_BUDGET;
    counts->invalid_retry_afters += state->invalid_retry_afters - invalid;
}

/* ---- a connection that died while it rested ---------------------------------------------- */

/* Whether the connection ended before the server had read anything of this request: it broke, or the
 * server said that it had waited long enough for one (408) while ours was on its way. That can only
 * be told where no body was sent, which it may have waited for. */
static bool died_at_rest(const struct call *call)
{
    if (!call->is_reused)
        return false;
    if (call->classification.kind == WEIR_ATTEMPT_RESPONSE)
        return call->attempt.status == 408 && !call->has_body &&
               weir__response_says_close(call->response);
    return call->classification.kind == WEIR_ATTEMPT_READ && !call->is_answered &&
           !call->classification.timed_out;
}

/*
 * A server closes idle connections without notice, and a request may meet that on its way. If it
 * may be retried at all it is, at once and on a new connection (RFC 9112, 9.3.1), once per call
 * and at the budget's expense. urllib3 counts it as any other failure.
 */
static bool may_resend(const struct call *call)
{
    const weir_retry_options *o = call->retry;
    bool is_safe = o->allowed_methods == 0 || (o->allowed_methods & call->attempt.method) != 0 ||
                   call->attempt.has_idempotency_key || !call->attempt.was_sent;

    return died_at_rest(call) && !call->has_resent && !o->urllib3_rules && is_safe &&
           call->attempt.is_rewindable && o->total != 0 && o->total != WEIR_RETRY_DISABLED &&
           o->read != 0 && o->read != WEIR_RETRY_DISABLED;
}

static bool resends_locked(struct call *call) WEIR_REQUIRES(call->origin->lock)
{
    struct origin *origin = call->origin;

    if (!may_resend(call) || call->now >= call->deadline)
        return false;
    bool is_paid = !call->session->options.use_budget ||
                   weir_budget_withdraw(&origin->budget, false, call->now);
    origin->counts.resends += is_paid;
    return is_paid;
}

/* ---- redirects --------------------------------------------------------------------------- */

bool weir__is_method(const struct call *call, const char *method)
{
    return strcmp(call->method, method) == 0;
}

bool weir__becomes_get(const struct call *call)
{
    int status = call->attempt.status;

    if (status == 303)
        return !weir__is_method(call, "GET") && !weir__is_method(call, "HEAD");
    return (status == 301 || status == 302) && weir__is_method(call, "POST");
}

static void redirect_locked(struct call *call, weir_moment *moment)
    WEIR_REQUIRES(call->origin->lock)
{
    call->attempt.kind = WEIR_ATTEMPT_REDIRECT;
    if (weir__becomes_get(call))
        call->attempt.is_rewindable = true;
    ask_locked(call, &call->redirect, &call->redirect_state, moment);
    call->next_step = STEP_REDIRECT;
    call->origin->counts.redirects += call->decision.verdict == WEIR_VERDICT_RETRY;
}

/* ---- retries ----------------------------------------------------------------------------- */

/* Where it could only be sent in chunks again, to a server that has none, it cannot be sent again. A redirect
 * may lead to another server; whether that one has chunks is asked there. */
static void ask_for_repeat_locked(struct call *call, weir_moment *moment)
    WEIR_REQUIRES(call->origin->lock)
{
    if (call->has_lost_chunks)
        call->attempt.is_rewindable = false;
    ask_locked(call, call->retry, &call->retry_state, moment);
}

/* ---- the whole --------------------------------------------------------------------------- */

bool weir__follows(const struct call *call)
{
    return call->request->follow_redirects < 0 ? call->session->options.follow_redirects
                                               : call->request->follow_redirects != 0;
}

void weir__decide_locked(struct call *call, weir_moment *moment)
{
    bool is_response = call->classification.kind == WEIR_ATTEMPT_RESPONSE;

    if (call->classification.is_ours)
        weir__decide(call, STEP_ABANDON,
                     (weir_retry_decision){WEIR_VERDICT_FAIL, WEIR_CAUSE_REFUSED, 0, 0});
    else if (call->leads_elsewhere)
        redirect_locked(call, moment);
    else if ((is_response || !call->has_delivered) &&
             resends_locked(call)) /* a 408, which no sink gets */
        weir__decide(call, STEP_RESEND,
                     (weir_retry_decision){WEIR_VERDICT_RETRY, WEIR_CAUSE_BACKOFF, 0, 0});
    else if (call->has_delivered &&
             is_response) /* its sink gets no other, whatever the policy would say */
        note_locked(call, (weir_retry_decision){WEIR_VERDICT_RETURN, WEIR_CAUSE_FINAL, 0, 0});
    else if (call->has_delivered)
        weir__decide(call, STEP_DELIVERED,
                     (weir_retry_decision){WEIR_VERDICT_FAIL, WEIR_CAUSE_BODY, 0, 0});
    else
        ask_for_repeat_locked(call, moment);
}
