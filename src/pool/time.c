/* SPDX-License-Identifier: MIT */
/* A pool's time: the machine's clock or the injected one, and when a request must end. */
#include "pool/core.h"

weir_time weir__pool_now(weir_pool *pool)
{
    weir_clock *clock = pool->options.clock;

    return clock == NULL ? weir_now() : clock->now(clock);
}

void weir__pool_wait(weir_pool *pool, _Atomic uint32_t *word, uint32_t expected, weir_time until)
{
    weir_clock *clock = pool->options.clock;

    if (clock == NULL)
        weir__park(word, expected, until);
    else
        clock->wait(clock, (uint32_t *)(uintptr_t)word, expected, until);
}

weir_time weir__request_deadline(weir_pool *pool, struct request *request)
{
    if (request->is_resolved)
        return request->deadline;
    request->is_resolved = true;
    request->started = weir__pool_now(pool);
    if (request->deadline == WEIR_DEADLINE_DEFAULT)
        request->deadline = pool->options.pool_timeout_ms < 0 ? WEIR_DEADLINE_NEVER
                            : pool->options.pool_timeout_ms == 0
                                ? WEIR_DEADLINE_NOW
                                : request->started + pool->options.pool_timeout_ms * WEIR_MS;
    return request->deadline;
}
