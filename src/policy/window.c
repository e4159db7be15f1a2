/* SPDX-License-Identifier: MIT */
/* Sliding windows: a ring whose sum follows what enters and what leaves. */
#include "policy/window.h"

#define CALL_IS_THERE 1u
#define CALL_FAILED 2u
#define CALL_SLOW 4u

void weir__window_clear(weir_breaker *b)
{
    b->total = (weir_breaker_counts){0};
    b->newest = 0;
    for (int i = 0; i < WEIR_BREAKER_CALLS_MAX && b->options.window == WEIR_WINDOW_COUNT; i++)
        b->ring.calls[i] = 0;
    for (int i = 0; i < WEIR_BREAKER_SECONDS_MAX && b->options.window == WEIR_WINDOW_TIME; i++)
        b->ring.seconds[i] = (weir_breaker_counts){0};
}

static void count(weir_breaker_counts *counts, bool is_failed, bool is_slow)
{
    counts->calls++;
    counts->failed += is_failed;
    counts->slow += is_slow;
}

static void add_call(weir_breaker *b, bool is_failed, bool is_slow)
{
    uint8_t *call = &b->ring.calls[b->newest];

    b->total.calls -= (*call & CALL_IS_THERE) != 0;
    b->total.failed -= (*call & CALL_FAILED) != 0;
    b->total.slow -= (*call & CALL_SLOW) != 0;
    *call = (uint8_t)(CALL_IS_THERE | (is_failed ? CALL_FAILED : 0) | (is_slow ? CALL_SLOW : 0));
    count(&b->total, is_failed, is_slow);
    b->newest = (b->newest + 1) % b->options.window_size;
}

void weir__window_advance(weir_breaker *b, weir_time now)
{
    int64_t second = now / WEIR_SECOND;
    int size = b->options.window_size;

    if (b->options.window == WEIR_WINDOW_COUNT)
        return;
    if (second - b->newest > size)
        b->newest = second - size;
    while (b->newest < second) {
        weir_breaker_counts *oldest = &b->ring.seconds[++b->newest % size];

        b->total.calls -= oldest->calls;
        b->total.failed -= oldest->failed;
        b->total.slow -= oldest->slow;
        *oldest = (weir_breaker_counts){0};
    }
}

void weir__window_add(weir_breaker *b, bool is_failed, bool is_slow, weir_time now)
{
    if (b->options.window == WEIR_WINDOW_COUNT) {
        add_call(b, is_failed, is_slow);
        return;
    }
    weir__window_advance(b, now);
    count(&b->ring.seconds[b->newest % b->options.window_size], is_failed, is_slow);
    count(&b->total, is_failed, is_slow);
}
