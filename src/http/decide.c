/* SPDX-License-Identifier: MIT */
/* What follows an attempt, by the request's policy and the origin's budget. */
#include "http/sending.h"

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

weir_moment weir__moment_of(struct sending *s)
{
    weir_moment moment = {.deadline = s->deadline};

    s->asked_pause = -1;
    if (s->attempt.retry_after_count > 0) {
        moment.wall_now = wall_now();
        weir__sending_now(s); /* not before it: nobody may come before the date */
    }
    moment.now = s->now;
    weir_time asked = 0;
    if (weir_retry_after_asked(s->retry, &s->attempt, moment.wall_now, &asked))
        s->asked_pause = asked;
    s->report->retry_after = s->asked_pause > 0 ? s->asked_pause : 0;
    return moment;
}

/* ---- what follows ------------------------------------------------------------------------ */

void weir__decide(struct sending *s, enum course course, weir_retry_decision decision)
{
    s->course = course;
    s->decision = decision;
    s->report->cause = decision.cause;
}

/* ---- the policy -------------------------------------------------------------------------- */

/* What was decided by it or in its place. */
static void note_locked(struct sending *s, weir_retry_decision decision)
{
    weir__decide(s, COURSE_POLICY, decision);
    s->origin->counts.causes[decision.cause]++;
}

/* Ask it, with the origin's budget. */
static void ask_locked(struct sending *s, const weir_retry_options *options,
                       weir_retry_state *state, weir_moment *moment)
{
    unsigned invalid = state->invalid_retry_afters;
    struct origin_counts *counts = &s->origin->counts;

    moment->random = weir__origin_random_locked(s->origin);
    note_locked(s, weir_retry_next(options, state, &s->attempt, moment,
                                   s->session->options.use_budget ? &s->origin->budget : NULL));
    counts->budget_denied += s->decision.cause == WEIR_CAUSE_BUDGET;
    counts->invalid_retry_afters += state->invalid_retry_afters - invalid;
}

/* ---- a connection that died while it rested ---------------------------------------------- */

/* Whether the connection ended before the server had read anything of this request: it broke, or the
 * server said that it had waited long enough for one (408) while ours was on its way. That can only
 * be told where no body was sent, which it may have waited for. */
static bool died_at_rest(const struct sending *s)
{
    if (!s->is_reused)
        return false;
    if (s->judgement.kind == WEIR_ATTEMPT_RESPONSE)
        return s->attempt.status == 408 && !s->has_body && weir__response_says_close(s->response);
    return s->judgement.kind == WEIR_ATTEMPT_READ && !s->is_answered && !s->judgement.timed_out;
}

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

    return died_at_rest(s) && !s->has_resent && !o->urllib3_rules && is_safe &&
           s->attempt.is_rewindable && o->total != 0 && o->total != WEIR_RETRY_DISABLED &&
           o->read != 0 && o->read != WEIR_RETRY_DISABLED;
}

static bool resends_locked(struct sending *s)
{
    struct origin *origin = s->origin;

    if (!may_resend(s) || s->now >= s->deadline)
        return false;
    bool is_paid =
        !s->session->options.use_budget || weir_budget_withdraw(&origin->budget, false, s->now);
    origin->counts.resends += is_paid;
    return is_paid;
}

/* ---- redirects --------------------------------------------------------------------------- */

bool weir__is_method(const struct sending *s, const char *method)
{
    return strcmp(s->method, method) == 0;
}

bool weir__becomes_get(const struct sending *s)
{
    int status = s->attempt.status;

    if (status == 303)
        return !weir__is_method(s, "GET") && !weir__is_method(s, "HEAD");
    return (status == 301 || status == 302) && weir__is_method(s, "POST");
}

static void redirect_locked(struct sending *s, weir_moment *moment)
{
    s->attempt.kind = WEIR_ATTEMPT_REDIRECT;
    if (weir__becomes_get(s))
        s->attempt.is_rewindable = true;
    ask_locked(s, &s->redirect, &s->redirect_state, moment);
    s->course = COURSE_REDIRECT;
    s->origin->counts.redirects += s->decision.verdict == WEIR_VERDICT_RETRY;
}

/* ---- repeats ----------------------------------------------------------------------------- */

/* Where it could only be sent in chunks again, to a server that has none, it cannot be sent again. A redirect
 * may lead to another server; whether that one has chunks is asked there. */
static void ask_for_repeat_locked(struct sending *s, weir_moment *moment)
{
    if (s->has_lost_chunks)
        s->attempt.is_rewindable = false;
    ask_locked(s, s->retry, &s->retry_state, moment);
}

/* ---- the whole --------------------------------------------------------------------------- */

bool weir__follows(const struct sending *s)
{
    return s->request->follow_redirects < 0 ? s->session->options.follow_redirects
                                            : s->request->follow_redirects != 0;
}

void weir__decide_locked(struct sending *s, weir_moment *moment)
{
    bool is_response = s->judgement.kind == WEIR_ATTEMPT_RESPONSE;

    if (s->judgement.is_ours)
        weir__decide(s, COURSE_ABANDON,
                     (weir_retry_decision){WEIR_VERDICT_FAIL, WEIR_CAUSE_REFUSED, 0, 0});
    else if (s->leads_elsewhere)
        redirect_locked(s, moment);
    else if ((is_response || !s->has_sunk) && resends_locked(s)) /* a 408, which no sink gets */
        weir__decide(s, COURSE_RESEND,
                     (weir_retry_decision){WEIR_VERDICT_RETRY, WEIR_CAUSE_BACKOFF, 0, 0});
    else if (s->has_sunk && is_response) /* its sink gets no other, whatever the policy would say */
        note_locked(s, (weir_retry_decision){WEIR_VERDICT_RETURN, WEIR_CAUSE_FINAL, 0, 0});
    else if (s->has_sunk)
        weir__decide(s, COURSE_SUNK,
                     (weir_retry_decision){WEIR_VERDICT_FAIL, WEIR_CAUSE_BODY, 0, 0});
    else
        ask_for_repeat_locked(s, moment);
}
