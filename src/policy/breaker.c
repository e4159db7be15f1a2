/* SPDX-License-Identifier: MIT */
/* The circuit breaker: who may call, and what a result changes. */
#include "common/option.h"
#include "policy/chance.h"
#include "policy/window.h"

const char *weir_breaker_state_name(weir_breaker_state state)
{
    static const char *const names[] = {
        [WEIR_BREAKER_CLOSED] = "closed",
        [WEIR_BREAKER_OPEN] = "open",
        [WEIR_BREAKER_HALF_OPEN] = "half_open",
        [WEIR_BREAKER_DISABLED] = "disabled",
        [WEIR_BREAKER_METRICS_ONLY] = "metrics_only",
        [WEIR_BREAKER_FORCED_OPEN] = "forced_open",
    };

    return state < COUNT_OF(names) ? names[state] : "unknown";
}

/* ---- options ----------------------------------------------------------------------------- */

#define DAY_MS 86400000
#define NUMBER(field, low, high) OPTION_FIELD(weir_breaker_options, OPTION_INT, field, low, high)

static const struct option_row rows[] = {
    NUMBER(failure_rate_threshold, 1, 100),
    NUMBER(slow_call_rate_threshold, 1, 100),
    NUMBER(slow_call_duration_ms, 0, DAY_MS),
    NUMBER(window, WEIR_WINDOW_COUNT, WEIR_WINDOW_TIME),
    NUMBER(window_size, 1, WEIR_BREAKER_CALLS_MAX),
    NUMBER(minimum_calls, 1, 1000000),
    NUMBER(wait_in_open_ms, 1, DAY_MS),
    NUMBER(wait_in_open_max_ms, 1, DAY_MS),
    NUMBER(wait_jitter_percent, 0, 100),
    NUMBER(permitted_calls_in_half_open, 1, WEIR_BREAKER_PERMITS_MAX),
    NUMBER(permit_lease_ms, 1, DAY_MS),
};

static weir_status check_options(const weir_breaker_options *o, weir_error *reterr)
{
    weir_status status = option_check_all(o, rows, COUNT_OF(rows), reterr);

    if (status == WEIR_OK && o->window == WEIR_WINDOW_TIME)
        status =
            option_check_range("window_size", o->window_size, 1, WEIR_BREAKER_SECONDS_MAX, reterr);
    if (status == WEIR_OK)
        status = option_check_range("wait_in_open_max_ms", o->wait_in_open_max_ms,
                                    o->wait_in_open_ms, DAY_MS, reterr);
    return status;
}

/* ---- states ------------------------------------------------------------------------------ */

/* The one place where the state changes. Results of the stay before are late from now on. */
static void enter(weir_breaker *b, weir_breaker_state state)
{
    b->state = state;
    b->epoch++;
    b->open_until = 0;
    b->is_exceeded = false;
    b->half_open = (weir_breaker_counts){0};
    for (int i = 0; i < WEIR_BREAKER_PERMITS_MAX; i++)
        b->leases[i].token = 0;
}

/* Enter a state whose own calls fill the window, or one without a window. An open breaker keeps
 * that of the CLOSED before it. */
static void enter_afresh(weir_breaker *b, weir_breaker_state state)
{
    enter(b, state);
    weir__window_clear(b);
    b->opened_in_a_row = 0;
    b->window_epoch =
        state == WEIR_BREAKER_CLOSED || state == WEIR_BREAKER_METRICS_ONLY ? b->epoch : 0;
}

static weir_time wait_in_open(const weir_breaker *b, uint64_t random)
{
    weir_time most = b->options.wait_in_open_max_ms * WEIR_MS;
    weir_time wait = b->options.wait_in_open_ms * WEIR_MS;

    for (unsigned i = 1; i < b->opened_in_a_row && wait < most; i++)
        wait *= 2;
    if (wait > most)
        wait = most;
    weir_time span = wait / 100 * b->options.wait_jitter_percent;
    return wait - span + weir__chance(random, 2 * span);
}

static weir_breaker_change trip(weir_breaker *b, weir_time now, uint64_t random)
{
    enter(b, WEIR_BREAKER_OPEN);
    b->opened_in_a_row++;
    b->open_until = weir__after(now, wait_in_open(b, random));
    return WEIR_BREAKER_OPENED;
}

/* ---- thresholds -------------------------------------------------------------------------- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many calls make a rate: resilience4j's minimum, bounded by what can ever be counted. */
static uint32_t calls_needed(const weir_breaker *b)
{
    uint32_t minimum = (uint32_t)b->options.minimum_calls;

    if (b->state == WEIR_BREAKER_HALF_OPEN)
        return smaller(minimum, (uint32_t)b->options.permitted_calls_in_half_open);
    return b->options.window == WEIR_WINDOW_COUNT
               ? smaller(minimum, (uint32_t)b->options.window_size)
               : minimum;
}

/* In whole numbers: 1 of 3 is below 34 % and not below 33 %. */
static bool reaches(uint32_t part, uint32_t calls, int threshold)
{
    return (uint64_t)part * 100 >= (uint64_t)threshold * calls;
}

static bool is_over(const weir_breaker_options *o, uint32_t failed, uint32_t slow, uint32_t calls)
{
    return reaches(failed, calls, o->failure_rate_threshold) ||
           reaches(slow, calls, o->slow_call_rate_threshold);
}

/* ---- asking ------------------------------------------------------------------------------ */

static weir_breaker_lease *find_lease(weir_breaker *b, uint64_t token)
{
    for (int i = 0; i < b->options.permitted_calls_in_half_open; i++)
        if (b->leases[i].token == token)
            return &b->leases[i];
    return NULL;
}

static void expire_leases(weir_breaker *b, weir_time now)
{
    for (int i = 0; i < b->options.permitted_calls_in_half_open; i++) {
        if (b->leases[i].token != 0 && b->leases[i].expires <= now) {
            b->leases[i].token = 0;
            b->expired++;
        }
    }
}

static uint32_t leases_out(const weir_breaker *b)
{
    uint32_t out = 0;

    for (int i = 0; i < b->options.permitted_calls_in_half_open; i++)
        out += b->leases[i].token != 0;
    return out;
}

/* Permits out and results in are together never more than the permitted calls. */
static bool lend_permit(weir_breaker *b, weir_time now, weir_permit *ret_permit)
{
    expire_leases(b, now);
    if (leases_out(b) + b->half_open.calls >= (uint32_t)b->options.permitted_calls_in_half_open)
        return false;

    weir_breaker_lease *lease = find_lease(b, 0);
    lease->token = ++b->last_token;
    lease->expires = weir__after(now, b->options.permit_lease_ms * WEIR_MS);
    *ret_permit = (weir_permit){b->epoch, lease->token};
    return true;
}

bool weir_breaker_acquire(weir_breaker *b, weir_time now, weir_permit *ret_permit)
{
    bool is_permitted = false;

    if (b->state == WEIR_BREAKER_OPEN && now > b->open_until)
        enter(b, WEIR_BREAKER_HALF_OPEN);
    switch (b->state) {
    case WEIR_BREAKER_CLOSED:
    case WEIR_BREAKER_DISABLED:
    case WEIR_BREAKER_METRICS_ONLY:
        *ret_permit = (weir_permit){b->epoch, 0};
        is_permitted = true;
        break;
    case WEIR_BREAKER_HALF_OPEN:
        is_permitted = lend_permit(b, now, ret_permit);
        break;
    case WEIR_BREAKER_OPEN:
    case WEIR_BREAKER_FORCED_OPEN:
        break;
    }
    b->not_permitted += !is_permitted;
    return is_permitted;
}

/* ---- telling ----------------------------------------------------------------------------- */

weir_breaker_outcome weir_breaker_classify(const weir_attempt *attempt)
{
    switch (attempt->kind) {
    case WEIR_ATTEMPT_RESPONSE:
    case WEIR_ATTEMPT_REDIRECT:
        return attempt->status >= 500 ? WEIR_OUTCOME_FAILURE : WEIR_OUTCOME_SUCCESS;
    case WEIR_ATTEMPT_REFUSED:
        return WEIR_OUTCOME_IGNORED;
    case WEIR_ATTEMPT_CONNECT:
    case WEIR_ATTEMPT_READ:
    case WEIR_ATTEMPT_OTHER:
        break;
    }
    return WEIR_OUTCOME_FAILURE;
}

/* Of a call that began in the window's own state, which may be over. */
static weir_breaker_change record_in_window(weir_breaker *b, bool is_late, bool is_failed,
                                            bool is_slow, weir_time now, uint64_t random)
{
    weir__window_add(b, is_failed, is_slow, now);
    if (is_late || b->total.calls < calls_needed(b) ||
        !is_over(&b->options, b->total.failed, b->total.slow, b->total.calls))
        return WEIR_BREAKER_UNCHANGED;
    if (b->state == WEIR_BREAKER_CLOSED)
        return trip(b, now, random);
    if (b->is_exceeded)
        return WEIR_BREAKER_UNCHANGED;
    b->is_exceeded = true;
    return WEIR_BREAKER_EXCEEDED;
}

/*
 * Of a permitted call. The rate is taken over the calls needed: what has failed already is over the
 * threshold even if all the rest succeeds, or below it even if all the rest fails.
 */
static weir_breaker_change record_half_open(weir_breaker *b, bool is_failed, bool is_slow,
                                            weir_time now, uint64_t random)
{
    uint32_t needed = calls_needed(b);
    weir_breaker_counts *seen = &b->half_open;

    seen->calls++;
    seen->failed += is_failed;
    seen->slow += is_slow;

    uint32_t to_come = needed - seen->calls;
    if (is_over(&b->options, seen->failed, seen->slow, needed))
        return trip(b, now, random);
    if (is_over(&b->options, seen->failed + to_come, seen->slow + to_come, needed))
        return WEIR_BREAKER_UNCHANGED;
    enter_afresh(b, WEIR_BREAKER_CLOSED);
    return WEIR_BREAKER_RECLOSED;
}

weir_breaker_change weir_breaker_record(weir_breaker *b, const weir_permit *permit,
                                        weir_breaker_outcome outcome, weir_time duration,
                                        weir_time now, uint64_t random)
{
    bool is_late = permit->epoch != b->epoch;
    bool is_failed = outcome == WEIR_OUTCOME_FAILURE;
    bool is_slow = duration > b->options.slow_call_duration_ms * WEIR_MS;
    bool is_permitted = !is_late && b->state == WEIR_BREAKER_HALF_OPEN;
    weir_breaker_lease *lease =
        is_permitted && permit->token != 0 ? find_lease(b, permit->token) : NULL;

    b->late += is_late || (is_permitted && lease == NULL);
    if (lease != NULL)
        lease->token = 0;
    if (outcome == WEIR_OUTCOME_IGNORED)
        return WEIR_BREAKER_UNCHANGED;
    if (lease != NULL)
        return record_half_open(b, is_failed, is_slow, now, random);
    if (permit->epoch != 0 && permit->epoch == b->window_epoch)
        return record_in_window(b, is_late, is_failed, is_slow, now, random);
    return WEIR_BREAKER_UNCHANGED;
}

/* ---- by hand ----------------------------------------------------------------------------- */

weir_breaker_change weir_breaker_open_until(weir_breaker *b, weir_time until)
{
    if (b->state == WEIR_BREAKER_OPEN && until > b->open_until)
        b->open_until = until;
    if (b->state != WEIR_BREAKER_CLOSED && b->state != WEIR_BREAKER_HALF_OPEN)
        return WEIR_BREAKER_UNCHANGED;
    enter(b, WEIR_BREAKER_OPEN);
    b->open_until = until;
    return WEIR_BREAKER_OPENED;
}

weir_status weir_breaker_set(weir_breaker *b, weir_breaker_state state, weir_error *reterr)
{
    if (state != WEIR_BREAKER_CLOSED && state != WEIR_BREAKER_DISABLED &&
        state != WEIR_BREAKER_METRICS_ONLY && state != WEIR_BREAKER_FORCED_OPEN)
        return weir_error_set(reterr, WEIR_INVALID,
                              "state %s: must be closed, disabled, metrics_only or forced_open",
                              weir_breaker_state_name(state));
    enter_afresh(b, state);
    return WEIR_OK;
}

weir_status weir_breaker_init(weir_breaker *ret_breaker, const weir_breaker_options *options,
                              weir_error *reterr)
{
    static const weir_breaker_options defaults = WEIR_BREAKER_OPTIONS_DEFAULT;
    const weir_breaker_options *o = options == NULL ? &defaults : options;
    weir_status status = check_options(o, reterr);

    if (status != WEIR_OK)
        return status;
    *ret_breaker = (weir_breaker){.options = *o};
    enter_afresh(ret_breaker, WEIR_BREAKER_CLOSED);
    return WEIR_OK;
}

/* ---- looking ----------------------------------------------------------------------------- */

static double rate(uint32_t part, uint32_t calls, uint32_t needed)
{
    return calls == 0 || calls < needed ? -1.0 : 100.0 * part / calls;
}

void weir_breaker_get_stats(weir_breaker *b, weir_time now, weir_breaker_stats *ret_stats)
{
    bool is_half_open = b->state == WEIR_BREAKER_HALF_OPEN;

    weir__window_advance(b, now);
    weir_breaker_counts counts = is_half_open ? b->half_open : b->total;
    uint32_t needed = calls_needed(b);
    *ret_stats = (weir_breaker_stats){
        .state = b->state,
        .open_until = b->open_until,
        .opened_in_a_row = b->opened_in_a_row,
        .counts = counts,
        .failure_rate = rate(counts.failed, counts.calls, needed),
        .slow_call_rate = rate(counts.slow, counts.calls, needed),
        .permits_out = (int)leases_out(b),
        .not_permitted = b->not_permitted,
        .late = b->late,
        .expired = b->expired,
    };
}
