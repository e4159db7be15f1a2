/* SPDX-License-Identifier: MIT */
/* Exponential back-off and its jitters. */
#include "policy/backoff.h"
#include "policy/chance.h"

static weir_time smaller(weir_time a, weir_time b)
{
    return a < b ? a : b;
}

/* min(backoff_max, backoff_factor * 2^(failures - 1)). Options are at most a day, so that the last
 * doubling cannot overflow. */
static weir_time grown(const weir_retry_options *options, unsigned failures)
{
    weir_time most = options->backoff_max_ms * WEIR_MS;
    weir_time value = options->backoff_factor_ms * WEIR_MS;

    for (unsigned i = 1; i < failures && value > 0 && value < most; i++)
        value *= 2;
    return smaller(value, most);
}

static weir_time decorrelated(const weir_retry_options *options, weir_time last, uint64_t random)
{
    weir_time low = options->backoff_factor_ms * WEIR_MS;
    weir_time high = 3 * (last > low ? last : low);

    return smaller(options->backoff_max_ms * WEIR_MS, low + weir__chance(random, high - low));
}

static weir_time drawn(const weir_retry_options *options, const weir_retry_state *state,
                       uint64_t random)
{
    weir_time value = grown(options, state->failures);

    switch (options->jitter) {
    case WEIR_JITTER_ADDITIVE:
        return smaller(options->backoff_max_ms * WEIR_MS,
                       value + weir__chance(random, options->backoff_jitter_ms * WEIR_MS));
    case WEIR_JITTER_FULL:
        return weir__chance(random, value);
    case WEIR_JITTER_EQUAL:
        return value - value / 2 + weir__chance(random, value / 2);
    case WEIR_JITTER_DECORRELATED:
        return decorrelated(options, state->last_delay, random);
    case WEIR_JITTER_NONE:
        break;
    }
    return value;
}

weir_time weir__backoff(const weir_retry_options *options, weir_retry_state *state, uint64_t random)
{
    if (options->urllib3_rules && state->failures <= 1)
        return 0;
    state->last_delay = drawn(options, state, random);
    return state->last_delay;
}

weir_time weir__retry_after_spread(const weir_retry_options *options, const weir_retry_state *state,
                                   uint64_t random)
{
    if (options->jitter == WEIR_JITTER_NONE || options->jitter == WEIR_JITTER_ADDITIVE)
        return 0;
    return weir__chance(random, grown(options, state->failures));
}
