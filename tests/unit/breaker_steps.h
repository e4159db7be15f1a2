/* SPDX-License-Identifier: MIT */
/* One breaker, one clock, and the steps that the tests of breakers take with them. */
#ifndef WEIR_TESTS_BREAKER_STEPS_H
#define WEIR_TESTS_BREAKER_STEPS_H

#include "check.h"

#include <weir/breaker.h>

#define QUICK WEIR_MS
#define S WEIR_SECOND

static weir_error e;
static weir_breaker b;
static weir_time now;
static uint64_t luck; /* the random bits of the next wait; half of 2^64 is no jitter */

/* What must hold between any two calls. */
static inline void check_invariant(void)
{
    weir_breaker_stats s;
    weir_breaker_counts sum = {0};

    weir_breaker_get_stats(&b, now, &s);
    check(s.state != WEIR_BREAKER_HALF_OPEN ||
          s.permits_out + (int)s.counts.calls <= b.options.permitted_calls_in_half_open);
    check(s.state == WEIR_BREAKER_HALF_OPEN || s.permits_out == 0);
    check(s.counts.failed <= s.counts.calls && s.counts.slow <= s.counts.calls);
    for (int i = 0; i < b.options.window_size; i++) {
        bool counts_calls = b.options.window == WEIR_WINDOW_COUNT;
        sum.calls += counts_calls ? b.ring.calls[i] & 1u : b.ring.seconds[i].calls;
        sum.failed += counts_calls ? (b.ring.calls[i] & 2u) / 2 : b.ring.seconds[i].failed;
        sum.slow += counts_calls ? (b.ring.calls[i] & 4u) / 4 : b.ring.seconds[i].slow;
    }
    check_int(sum.calls, b.total.calls);
    check_int(sum.failed, b.total.failed);
    check_int(sum.slow, b.total.slow);
}

static inline void make(weir_breaker_options o)
{
    now = 1000 * S;
    luck = (uint64_t)1 << 63;
    check_int(weir_breaker_init(&b, &o, &e), WEIR_OK);
}

/* 10 calls make a rate; it waits for 60 s; 4 permits. */
static inline weir_breaker_options small(void)
{
    weir_breaker_options o = WEIR_BREAKER_OPTIONS_DEFAULT;

    o.window_size = 10;
    o.minimum_calls = 10;
    o.permitted_calls_in_half_open = 4;
    return o;
}

static inline weir_permit permit(void)
{
    weir_permit p = {0};

    check(weir_breaker_acquire(&b, now, &p));
    check_invariant();
    return p;
}

static inline void refused(void)
{
    weir_permit p = {77, 77};

    check(!weir_breaker_acquire(&b, now, &p));
    check(p.epoch == 77 && p.token == 77);
    check_invariant();
}

static inline weir_breaker_change tell(weir_permit p, weir_breaker_outcome outcome,
                                       weir_time duration)
{
    weir_breaker_change change = weir_breaker_record(&b, &p, outcome, duration, now, luck);

    check_invariant();
    return change;
}

static inline weir_breaker_change succeed(void)
{
    return tell(permit(), WEIR_OUTCOME_SUCCESS, QUICK);
}

static inline weir_breaker_change fail(void)
{
    return tell(permit(), WEIR_OUTCOME_FAILURE, QUICK);
}

static inline weir_breaker_stats stats(void)
{
    weir_breaker_stats s;

    weir_breaker_get_stats(&b, now, &s);
    return s;
}

static inline void open_it(void)
{
    while (b.state == WEIR_BREAKER_CLOSED)
        fail();
    check_int(b.state, WEIR_BREAKER_OPEN);
}

static inline void half_open_it(void)
{
    open_it();
    now = b.open_until + 1;
}

#endif
