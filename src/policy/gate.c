/* SPDX-License-Identifier: MIT */
/* The gate: a token bucket kept as one instant, and a door. */
#include <weir/gate.h>

#include "policy/chance.h"
#include "policy/range.h"

weir_status weir_gate_init(weir_gate *ret_gate, const weir_gate_options *options,
                           weir_error *reterr)
{
    static const weir_gate_options defaults = WEIR_GATE_OPTIONS_DEFAULT;
    const weir_gate_options *o = options == NULL ? &defaults : options;
    const struct range ranges[] = {
        {"rate", o->rate, 0, 1000000},
        {"period_ms", o->period_ms, 1, 86400000},
        {"burst", o->burst, 1, 100000},
        {"max_closed_s", o->max_closed_s, 0, 31536000},
    };
    weir_status status = weir__check_ranges(ranges, COUNT_OF(ranges), reterr);

    if (status == WEIR_OK)
        *ret_gate = (weir_gate){.options = *o, .full_at = INT64_MIN, .closed_until = INT64_MIN};
    return status;
}

static weir_time later(weir_time a, weir_time b)
{
    return a > b ? a : b;
}

/* The time one token takes to come, rounded up so that the rate is never exceeded. */
static weir_time interval(const weir_gate *gate)
{
    weir_time period = gate->options.period_ms * WEIR_MS;

    return gate->options.rate == 0 ? 0 : (period + gate->options.rate - 1) / gate->options.rate;
}

/* A token is there as soon as the bucket lacks no more than all the others (known as GCRA). The
 * others' time fits: at most 10^5 tokens of a day each. */
static weir_time next_token(const weir_gate *gate, weir_time now)
{
    if (gate->full_at <= now)
        return now;
    return later(now, gate->full_at - (gate->options.burst - 1) * interval(gate));
}

bool weir_gate_reserve(weir_gate *gate, weir_time now, weir_time deadline, weir_gate_pass *ret_pass)
{
    weir_time open = later(now, gate->closed_until);
    weir_time at = next_token(gate, open);
    bool is_at_once = at == now && deadline == WEIR_DEADLINE_NOW;

    *ret_pass = (weir_gate_pass){at, gate->closings};
    if (!is_at_once && deadline != WEIR_DEADLINE_NEVER && at >= deadline)
        return false;
    gate->full_at = weir__after(later(gate->full_at, at), interval(gate));
    return true;
}

bool weir_gate_enter(const weir_gate *gate, const weir_gate_pass *pass, weir_time now)
{
    return pass->closings == gate->closings && now >= pass->at;
}

void weir_gate_close(weir_gate *gate, weir_time now, weir_time until)
{
    weir_time most = weir__after(now, gate->options.max_closed_s * WEIR_SECOND);

    if (until > most)
        until = most;
    if (until <= now || until <= gate->closed_until)
        return;
    gate->closed_until = until;
    gate->full_at = until;
    gate->closings++;
}
