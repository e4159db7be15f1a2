/* SPDX-License-Identifier: MIT */
/* The checks of a connection that only compare: inline, for the validation and for the hot path. */
#ifndef WEIR_POOL_VALIDATION_H
#define WEIR_POOL_VALIDATION_H

#include "pool/core.h"

/* Whether a connection was opened since the last eviction. */
static inline bool slot_is_current(weir_pool *pool, struct weir_slot *slot)
{
    return atomic_load_explicit(&slot->epoch, memory_order_relaxed) ==
           atomic_load_explicit(&pool->epoch, memory_order_relaxed);
}

/* What disqualifies an open connection, if anything. */
static inline weir_reason slot_outdated(weir_pool *pool, struct weir_slot *slot, weir_time now)
{
    weir_time expires = atomic_load_explicit(&slot->expires_at, memory_order_relaxed);

    if (!slot_is_current(pool, slot))
        return WEIR_REASON_EVICTED;
    if (now > expires)
        return expires == INT64_MIN ? WEIR_REASON_SOFT : WEIR_REASON_RECYCLED;
    return WEIR_REASON_NONE;
}

static inline bool slot_needs_ping(weir_pool *pool, struct weir_slot *slot, weir_time now)
{
    return now - atomic_load_explicit(&slot->last_used, memory_order_relaxed) > pool->ping_bypass;
}

/* It was in use now: until the earlier of its expiry and its next ping, comparing is enough. Never
 * for ever, which would be fresh by an unknown time too, and its holder's age then unknown. */
static inline void slot_freshen(weir_pool *pool, struct weir_slot *slot, weir_time now)
{
    weir_time expires = atomic_load_explicit(&slot->expires_at, memory_order_relaxed);

    atomic_store_explicit(&slot->last_used, now, memory_order_relaxed);
    if (expires == INT64_MIN)
        return;
    weir_time until = pool->ping_bypass < expires - now ? now + pool->ping_bypass : expires;
    until = until < WEIR__COARSE_UNKNOWN ? until : WEIR__COARSE_UNKNOWN - 1;
    atomic_store_explicit(&slot->fresh_until, until, memory_order_relaxed);
}

#endif
