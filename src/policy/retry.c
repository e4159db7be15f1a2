/* SPDX-License-Identifier: MIT */
/* What follows an attempt: a retry, its response, or an error. */
#include "common/option.h"
#include "policy/backoff.h"
#include "policy/chance.h"
#include "policy/retry_after.h"

#include <stdio.h>

/* ---- words ------------------------------------------------------------------------------- */

/* ASCII only: no locale has a say in what a method is. */
static bool is_same(const char *name, const char *upper)
{
    for (; *name != '\0' && *upper != '\0'; name++, upper++)
        if ((*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name) != *upper)
            return false;
    return *name == *upper;
}

unsigned weir_method_of(const char *name)
{
    static const char *const names[] = {"GET", "HEAD",   "OPTIONS", "TRACE",
                                        "PUT", "DELETE", "POST",    "PATCH"};

    for (unsigned i = 0; i < COUNT_OF(names); i++)
        if (is_same(name, names[i]))
            return WEIR_METHOD_GET << i;
    return WEIR_METHOD_OTHER;
}

static const struct {
    const char *name;
    const char *text;
} causes[] = {
    [WEIR_CAUSE_FINAL] = {"final", "it needs no retry"},
    [WEIR_CAUSE_BACKOFF] = {"backoff", "it is retried after a back-off"},
    [WEIR_CAUSE_RETRY_AFTER] = {"retry_after", "it is retried at the time the server gave"},
    [WEIR_CAUSE_REDIRECT] = {"redirect", "it was redirected"},
    [WEIR_CAUSE_METHOD] = {"method", "the method may not be retried"},
    [WEIR_CAUSE_UNKNOWN] = {"unknown",
                            "it may have been carried out, and the method may not be retried"},
    [WEIR_CAUSE_DISABLED] = {"disabled", "retries are disabled"},
    [WEIR_CAUSE_EXHAUSTED] = {"exhausted", "no retries are left"},
    [WEIR_CAUSE_BODY] = {"body", "the body cannot be sent again"},
    [WEIR_CAUSE_INVALID] = {"invalid", "the Retry-After is invalid"},
    [WEIR_CAUSE_TOO_LONG] = {"too_long", "the Retry-After is longer than retry_after_max"},
    [WEIR_CAUSE_DEADLINE] = {"deadline", "a retry would pass the deadline"},
    [WEIR_CAUSE_BUDGET] = {"budget", "the budget for retries is spent"},
    [WEIR_CAUSE_REFUSED] = {"refused", "it was not attempted"},
};

const char *weir_retry_cause_name(weir_retry_cause cause)
{
    return cause < COUNT_OF(causes) ? causes[cause].name : "unknown";
}

const char *weir_retry_cause_text(weir_retry_cause cause)
{
    return cause < COUNT_OF(causes) ? causes[cause].text : "unknown";
}

/* ---- options ----------------------------------------------------------------------------- */

static weir_status check_statuses(const int *statuses, weir_error *reterr)
{
    for (int i = 0; i < WEIR_RETRY_STATUSES && statuses[i] != 0; i++)
        if (statuses[i] < 100 || statuses[i] > 599)
            return weir_error_set(reterr, WEIR_INVALID, "status_forcelist %d: must be 100 to 599",
                                  statuses[i]);
    return WEIR_OK;
}

#define DAY_MS 86400000
#define RETRIES_MAX 1000000
#define NUMBER(field, low, high) OPTION_FIELD(weir_retry_options, OPTION_INT, field, low, high)

static const struct option_row rows[] = {
    NUMBER(total, WEIR_RETRY_DISABLED, RETRIES_MAX),
    NUMBER(connect, WEIR_RETRY_DISABLED, RETRIES_MAX),
    NUMBER(read, WEIR_RETRY_DISABLED, RETRIES_MAX),
    NUMBER(redirect, WEIR_RETRY_DISABLED, RETRIES_MAX),
    NUMBER(status, WEIR_RETRY_DISABLED, RETRIES_MAX),
    NUMBER(other, WEIR_RETRY_DISABLED, RETRIES_MAX),
    NUMBER(allowed_methods, 0, WEIR_METHOD_ANY),
    NUMBER(backoff_factor_ms, 0, DAY_MS),
    NUMBER(backoff_max_ms, 0, DAY_MS),
    NUMBER(jitter, WEIR_JITTER_NONE, WEIR_JITTER_DECORRELATED),
    NUMBER(backoff_jitter_ms, 0, DAY_MS),
    NUMBER(retry_after_max_s, 0, 31536000),
    NUMBER(retry_after_action, WEIR_RETRY_AFTER_FAIL, WEIR_RETRY_AFTER_WAIT),
};

weir_status weir_retry_check(const weir_retry_options *o, weir_error *reterr)
{
    weir_status status = option_check_all(o, rows, COUNT_OF(rows), reterr);

    if (status != WEIR_OK)
        return status;
    return check_statuses(o->status_forcelist, reterr);
}

void weir_retry_init(weir_retry_state *ret_state, const weir_retry_options *options)
{
    *ret_state = (weir_retry_state){
        .total = options->total,
        .connect = options->connect,
        .read = options->read,
        .redirect = options->redirect,
        .status = options->status,
        .other = options->other,
    };
}

/* ---- what the server asks for ------------------------------------------------------------ */

/* The Retry-After of one attempt. */
struct asked {
    bool is_present;
    bool is_valid;
    weir_time delay;
};

/* To urllib3 one that is invalid is there all the same. Of several valid ones weir takes the longest, so as to
 * be too early for none of them. */
static struct asked read_retry_after(const weir_retry_options *options, weir_retry_state *state,
                                     const weir_attempt *attempt, int64_t wall_now)
{
    if (!options->respect_retry_after)
        return (struct asked){0};

    struct retry_after read = weir__retry_after_read(options, attempt, wall_now);
    state->invalid_retry_afters += (unsigned)read.invalid;
    return (struct asked){
        .is_present = read.valid > 0 || (options->urllib3_rules && read.invalid > 0),
        .is_valid = read.valid > 0,
        .delay = read.longest,
    };
}

static bool is_forced(const weir_retry_options *options, int status)
{
    const int *statuses = options->status_forcelist;

    for (int i = 0; i < WEIR_RETRY_STATUSES && statuses[i] != 0; i++)
        if (statuses[i] == status)
            return true;
    return false;
}

/* RFCs 9110 and 6585 give Retry-After a meaning for these; urllib3's RETRY_AFTER_STATUS_CODES. */
static bool is_retry_after_status(int status)
{
    return status == 413 || status == 429 || status == 503;
}

/* ---- may it be retried ------------------------------------------------------------------ */

static bool is_repeatable(const weir_retry_options *options, const weir_attempt *attempt)
{
    if (options->allowed_methods == 0 || (attempt->method & options->allowed_methods) != 0)
        return true;
    return attempt->has_idempotency_key && !options->urllib3_rules;
}

static weir_retry_cause cause_of_response(const weir_retry_options *options,
                                          const weir_retry_state *state,
                                          const weir_attempt *attempt, const struct asked *asked)
{
    if (!is_forced(options, attempt->status)) {
        if (!asked->is_present || !is_retry_after_status(attempt->status))
            return WEIR_CAUSE_FINAL;
        if (options->urllib3_rules && state->total <= 0)
            return WEIR_CAUSE_FINAL;
    }
    return is_repeatable(options, attempt) ? WEIR_CAUSE_BACKOFF : WEIR_CAUSE_METHOD;
}

/* Of a failure with the request in flight. */
static weir_retry_cause cause_of_failure(const weir_retry_options *options,
                                         const weir_attempt *attempt)
{
    bool is_harmless =
        options->urllib3_rules ? attempt->kind == WEIR_ATTEMPT_OTHER : !attempt->was_sent;

    return is_harmless || is_repeatable(options, attempt) ? WEIR_CAUSE_BACKOFF : WEIR_CAUSE_UNKNOWN;
}

/* WEIR_CAUSE_BACKOFF when it may be, whatever its counters and the clock say. */
static weir_retry_cause cause_of(const weir_retry_options *options, const weir_retry_state *state,
                                 const weir_attempt *attempt, const struct asked *asked)
{
    switch (attempt->kind) {
    case WEIR_ATTEMPT_RESPONSE:
        return cause_of_response(options, state, attempt, asked);
    case WEIR_ATTEMPT_READ:
    case WEIR_ATTEMPT_OTHER:
        return cause_of_failure(options, attempt);
    case WEIR_ATTEMPT_REFUSED:
        return WEIR_CAUSE_REFUSED;
    case WEIR_ATTEMPT_REDIRECT:
    case WEIR_ATTEMPT_CONNECT:
        break;
    }
    return WEIR_CAUSE_BACKOFF;
}

static bool needs_body_again(const weir_attempt *attempt)
{
    if (attempt->kind == WEIR_ATTEMPT_RESPONSE || attempt->kind == WEIR_ATTEMPT_REDIRECT)
        return true;
    return attempt->kind != WEIR_ATTEMPT_CONNECT && attempt->was_sent;
}

/* ---- counters ---------------------------------------------------------------------------- */

static int *counter_of(weir_retry_state *state, weir_attempt_kind kind)
{
    switch (kind) {
    case WEIR_ATTEMPT_RESPONSE:
        return &state->status;
    case WEIR_ATTEMPT_REDIRECT:
        return &state->redirect;
    case WEIR_ATTEMPT_CONNECT:
        return &state->connect;
    case WEIR_ATTEMPT_READ:
        return &state->read;
    case WEIR_ATTEMPT_OTHER:
    case WEIR_ATTEMPT_REFUSED:
        break;
    }
    return &state->other;
}

/* Take one retry of its kind from both counters, or say why not. */
static weir_retry_cause spend(const weir_retry_options *options, weir_retry_state *state,
                              const weir_attempt *attempt)
{
    int *kind = counter_of(state, attempt->kind);

    if (state->total == WEIR_RETRY_DISABLED || *kind == WEIR_RETRY_DISABLED) {
        bool is_zero = options->urllib3_rules && attempt->kind == WEIR_ATTEMPT_RESPONSE;
        return is_zero ? WEIR_CAUSE_EXHAUSTED : WEIR_CAUSE_DISABLED;
    }
    if (state->total == 0 || *kind == 0)
        return WEIR_CAUSE_EXHAUSTED;
    if (state->total != WEIR_RETRY_UNLIMITED)
        state->total--;
    if (*kind != WEIR_RETRY_UNLIMITED)
        (*kind)--;
    return WEIR_CAUSE_BACKOFF;
}

/* ---- when -------------------------------------------------------------------------------- */

/* Set how long to wait, and say what asked for it or what forbids it. A Retry-After of 0 or a date
 * that has passed asks for nothing. */
static weir_retry_cause choose_delay(const weir_retry_options *options, weir_retry_state *state,
                                     const weir_attempt *attempt, const struct asked *asked,
                                     uint64_t random, weir_time *ret_delay)
{
    weir_time most = options->retry_after_max_s * WEIR_SECOND;

    if (asked->is_present && !asked->is_valid)
        return WEIR_CAUSE_INVALID;
    if (asked->delay > most && options->retry_after_action == WEIR_RETRY_AFTER_FAIL)
        return WEIR_CAUSE_TOO_LONG;
    if (asked->delay > 0) {
        *ret_delay = (asked->delay < most ? asked->delay : most) +
                     weir__retry_after_spread(options, state, random);
        return WEIR_CAUSE_RETRY_AFTER;
    }
    if (attempt->kind == WEIR_ATTEMPT_REDIRECT)
        return WEIR_CAUSE_REDIRECT;
    *ret_delay = weir__backoff(options, state, random);
    return WEIR_CAUSE_BACKOFF;
}

/* ---- the decision ------------------------------------------------------------------------ */

static bool is_repeat(weir_retry_cause cause)
{
    return cause == WEIR_CAUSE_BACKOFF || cause == WEIR_CAUSE_RETRY_AFTER ||
           cause == WEIR_CAUSE_REDIRECT;
}

static weir_retry_decision end(const weir_retry_options *options, const weir_attempt *attempt,
                               weir_retry_cause cause)
{
    bool may_return =
        cause == WEIR_CAUSE_FINAL || cause == WEIR_CAUSE_METHOD || cause == WEIR_CAUSE_DISABLED;
    bool is_returned = false;

    if (attempt->kind == WEIR_ATTEMPT_RESPONSE)
        is_returned = may_return || !options->raise_on_status ||
                      (!options->urllib3_rules && !is_forced(options, attempt->status));
    if (attempt->kind == WEIR_ATTEMPT_REDIRECT)
        is_returned = may_return || !options->raise_on_redirect;
    if (cause == WEIR_CAUSE_INVALID)
        is_returned = false;
    return (weir_retry_decision){
        .verdict = is_returned ? WEIR_VERDICT_RETURN : WEIR_VERDICT_FAIL,
        .cause = cause,
    };
}

weir_retry_decision weir_retry_next(const weir_retry_options *options, weir_retry_state *state,
                                    const weir_attempt *attempt, const weir_moment *moment,
                                    weir_budget *budget)
{
    struct asked asked = read_retry_after(options, state, attempt, moment->wall_now);
    bool is_redirect = attempt->kind == WEIR_ATTEMPT_REDIRECT;
    weir_time delay = 0;

    state->attempts += attempt->kind != WEIR_ATTEMPT_REFUSED;
    state->failures = is_redirect ? 0 : state->failures + 1;

    weir_retry_cause cause = cause_of(options, state, attempt, &asked);
    if (cause == WEIR_CAUSE_BACKOFF)
        cause = spend(options, state, attempt);
    if (cause == WEIR_CAUSE_BACKOFF && !attempt->is_rewindable && needs_body_again(attempt))
        cause = WEIR_CAUSE_BODY;
    if (cause == WEIR_CAUSE_BACKOFF)
        cause = choose_delay(options, state, attempt, &asked, moment->random, &delay);

    weir_time at = weir__after(moment->now, delay);
    if (is_repeat(cause) && moment->deadline != WEIR_DEADLINE_NEVER && at >= moment->deadline)
        cause = WEIR_CAUSE_DEADLINE;
    if (is_repeat(cause) && !is_redirect && budget != NULL &&
        !weir_budget_withdraw(budget, attempt->timed_out, moment->now))
        cause = WEIR_CAUSE_BUDGET;
    if (!is_repeat(cause))
        return end(options, attempt, cause);
    return (weir_retry_decision){WEIR_VERDICT_RETRY, cause, delay, at};
}

/* ---- in words ---------------------------------------------------------------------------- */

static const char *what_happened(const weir_attempt *attempt)
{
    switch (attempt->kind) {
    case WEIR_ATTEMPT_CONNECT:
        return attempt->timed_out ? "connect timeout" : "no connection";
    case WEIR_ATTEMPT_READ:
        return attempt->timed_out ? "read timeout" : "connection lost";
    case WEIR_ATTEMPT_REFUSED:
        return "refused";
    case WEIR_ATTEMPT_RESPONSE:
    case WEIR_ATTEMPT_REDIRECT:
    case WEIR_ATTEMPT_OTHER:
        break;
    }
    return attempt->timed_out ? "timeout" : "failure";
}

int weir_retry_describe(const weir_retry_state *state, const weir_attempt *attempt,
                        const weir_retry_decision *decision, char *buffer, size_t size)
{
    const char *plural = state->attempts == 1 ? "" : "s";
    const char *why = weir_retry_cause_text(decision->cause);

    if (attempt->kind == WEIR_ATTEMPT_RESPONSE || attempt->kind == WEIR_ATTEMPT_REDIRECT)
        return snprintf(buffer, size, "status %d after %u attempt%s: %s", attempt->status,
                        state->attempts, plural, why);
    return snprintf(buffer, size, "%s after %u attempt%s: %s", what_happened(attempt),
                    state->attempts, plural, why);
}
