/* SPDX-License-Identifier: MIT */
/* A pool's time: the machine's clock or the injected one, and when an acquire must end. */
#include "pool/core.h"

weir_time weir__pool_now(weir_pool *pool)
{
    weir_clock *clock = pool->options.clock;

    return clock == NULL ? weir_now() : clock->now(clock);
}

weir_time weir__queue_now(weir_pool *pool)
{
    bool is_needed = pool->options.handoff_after_us > 0 ||
                     atomic_load_explicit(&pool->peer_limit, memory_order_relaxed) != 0;

    return is_needed ? weir__pool_now(pool) : 0;
}

void weir__pool_wait(weir_pool *pool, _Atomic uint32_t *word, uint32_t expected, weir_time until)
{
    weir_clock *clock = pool->options.clock;

    if (clock == NULL)
        weir__park(word, expected, until);
    else
        clock->wait(clock, (uint32_t *)(uintptr_t)word, expected, until);
}

weir_time weir__acquire_deadline(weir_pool *pool, struct acquire *acquire)
{
    if (acquire->is_resolved)
        return acquire->deadline;
    acquire->is_resolved = true;
    acquire->started = weir__pool_now(pool);
    if (acquire->deadline == WEIR_DEADLINE_DEFAULT)
        acquire->deadline = pool->options.pool_timeout_ms < 0 ? WEIR_DEADLINE_NEVER
                            : pool->options.pool_timeout_ms == 0
                                ? WEIR_DEADLINE_NOW
                                : acquire->started + pool->options.pool_timeout_ms * WEIR_MS;
    return acquire->deadline;
}
