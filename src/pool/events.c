/* SPDX-License-Identifier: MIT */
/* Listeners: kept in a short array that only grows, called with no lock held. */
#include "pool/core.h"

const char *weir_pool_event_name(weir_pool_event_kind kind)
{
    switch (kind) {
#define EVENT_NAME(name, word, text)                                                               \
    case WEIR_EVENT_##name:                                                                        \
        return word;
        WEIR_POOL_EVENT_MAP(EVENT_NAME)
#undef EVENT_NAME
    case WEIR_EVENT_COUNT:
        break;
    }
    return "unknown";
}

const char *weir_reason_name(weir_reason reason)
{
    switch (reason) {
#define REASON_NAME(name, word)                                                                    \
    case WEIR_REASON_##name:                                                                       \
        return word;
        WEIR_REASON_MAP(REASON_NAME)
#undef REASON_NAME
    case WEIR_REASON_COUNT:
        break;
    }
    return "unknown";
}

static weir_status add_locked(weir_pool *pool, const struct pool_listener *listener)
    WEIR_REQUIRES(pool->lock)
{
    int count = atomic_load_explicit(&pool->listener_count, memory_order_relaxed);

    if (count == LISTENERS)
        return WEIR_FULL;
    pool->listeners[count] = *listener;
    /* Whoever sees the count sees the listener too. */
    atomic_store_explicit(&pool->listener_count, count + 1, memory_order_release);
    atomic_fetch_or_explicit(&pool->listener_mask, listener->mask, memory_order_relaxed);
    if ((listener->mask & WEIR_EVENT_EACH_LOAN) != 0)
        atomic_store_explicit(&pool->is_plain, false, memory_order_relaxed);
    return WEIR_OK;
}

weir_status weir_pool_listen(weir_pool *pool, unsigned mask, weir_pool_listener *listener,
                             void *arg, weir_error *reterr)
{
    struct pool_listener added = {mask & WEIR_EVENT_ALL, listener, arg};

    weir__lock(&pool->lock);
    weir_status status = add_locked(pool, &added);
    weir__unlock(&pool->lock);
    if (status != WEIR_OK)
        weir_error_set(reterr, status, "pool \"%s\": it already has %d listeners, the maximum",
                       pool->name, LISTENERS);
    return status;
}

weir_status weir__emit(weir_pool *pool, weir_pool_event_kind kind, const weir_pool_event *event)
{
    if (!weir__is_heard(pool, kind))
        return WEIR_OK;

    weir_pool_event complete = *event;
    weir_status status = WEIR_OK;
    int count = atomic_load_explicit(&pool->listener_count, memory_order_acquire);

    complete.kind = kind;
    complete.pool = pool;
    for (int i = 0; i < count; i++) {
        const struct pool_listener *listener = &pool->listeners[i];

        if ((listener->mask & WEIR_EVENT_BIT(kind)) == 0)
            continue;
        weir_status answer = listener->function(&complete, listener->arg);
        if (status == WEIR_OK)
            status = answer;
    }
    return status;
}

weir_status weir__emit_timed(weir_pool *pool, struct weir_slot *slot, weir_pool_event_kind kind,
                             weir_reason reason, const weir_error *error, weir_time duration)
{
    if (!weir__is_heard(pool, kind))
        return WEIR_OK;

    weir_pool_event event = {
        .reason = reason,
        .connection = slot->connection,
        .connection_id = atomic_load_explicit(&slot->connection_id, memory_order_relaxed),
        .file = atomic_load_explicit(&slot->file, memory_order_relaxed),
        .line = atomic_load_explicit(&slot->line, memory_order_relaxed),
        .thread = atomic_load_explicit(&slot->thread, memory_order_relaxed),
        .error = error,
        .duration = duration,
    };
    return weir__emit(pool, kind, &event);
}

weir_status weir__emit_for(weir_pool *pool, struct weir_slot *slot, weir_pool_event_kind kind,
                           weir_reason reason, const weir_error *error)
{
    return weir__emit_timed(pool, slot, kind, reason, error, 0);
}
