/* SPDX-License-Identifier: MIT */
/* The rate limiter: a token bucket kept as one instant, and a cool-down. */
#include <weir/rate_limit.h>

#include "common/option.h"
#include "policy/chance.h"

#define NUMBER(field, low, high) OPTION_FIELD(weir_rate_limit_options, OPTION_INT, field, low, high)

static const struct option_row rows[] = {
    NUMBER(rate, 0, 1000000),
    NUMBER(period_ms, 1, 86400000),
    NUMBER(burst, 1, 100000),
    NUMBER(max_cool_down_s, 0, 31536000),
};

weir_status weir_rate_limiter_init(weir_rate_limiter *ret_limiter,
                                   const weir_rate_limit_options *options, weir_error *reterr)
{
    static const weir_rate_limit_options defaults = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
    const weir_rate_limit_options *o = options == NULL ? &defaults : options;
    weir_status status = option_check_all(o, rows, COUNT_OF(rows), reterr);

    if (status == WEIR_OK)
        *ret_limiter =
            (weir_rate_limiter){.options = *o, .full_at = INT64_MIN, .cool_down_until = INT64_MIN};
    return status;
}

static weir_time later(weir_time a, weir_time b)
{
    return a > b ? a : b;
}

/* The time one token takes to come, rounded up so that the rate is never exceeded. */
static weir_time interval(const weir_rate_limiter *limiter)
{
    weir_time period = limiter->options.period_ms * WEIR_MS;

    return limiter->options.rate == 0
               ? 0
               : (period + limiter->options.rate - 1) / limiter->options.rate;
}

/* A token is there as soon as the bucket lacks no more than all the others (known as GCRA). The
 * others' time fits: at most 10^5 tokens of a day each. */
static weir_time next_token(const weir_rate_limiter *limiter, weir_time now)
{
    if (limiter->full_at <= now)
        return now;
    return later(now, limiter->full_at - (limiter->options.burst - 1) * interval(limiter));
}

bool weir_rate_limiter_reserve(weir_rate_limiter *limiter, weir_time now, weir_time deadline,
                               weir_rate_limiter_pass *ret_pass)
{
    weir_time open = later(now, limiter->cool_down_until);
    weir_time at = next_token(limiter, open);
    bool is_at_once = at == now && deadline == WEIR_DEADLINE_NOW;

    *ret_pass = (weir_rate_limiter_pass){at, limiter->cool_downs};
    if (!is_at_once && deadline != WEIR_DEADLINE_NEVER && at >= deadline)
        return false;
    limiter->full_at = weir__after(later(limiter->full_at, at), interval(limiter));
    return true;
}

bool weir_rate_limiter_enter(const weir_rate_limiter *limiter, const weir_rate_limiter_pass *pass,
                             weir_time now)
{
    return pass->cool_downs == limiter->cool_downs && now >= pass->at;
}

void weir_rate_limiter_cool_down(weir_rate_limiter *limiter, weir_time now, weir_time until)
{
    weir_time most = weir__after(now, limiter->options.max_cool_down_s * WEIR_SECOND);

    if (until > most)
        until = most;
    if (until <= now || until <= limiter->cool_down_until)
        return;
    limiter->cool_down_until = until;
    limiter->full_at = until;
    limiter->cool_downs++;
}
