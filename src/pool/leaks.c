/* SPDX-License-Identifier: MIT */
/* Who keeps a connection for too long, and who takes a second one while holding a first. */
#include "pool/core.h"

/* ---- nested ------------------------------------------------------------------------------ */

/* Find a loan of this thread. */
static bool find_own(weir_pool *pool, int thread, weir_pool_holder *ret_holder)
{
    weir_time now = weir__pool_coarse_now(pool);
    int high_water = atomic_load_explicit(&pool->high_water, memory_order_relaxed);

    for (int i = 0; i < high_water; i++)
        if (weir__read_holder(&pool->slots[i], now, ret_holder) && ret_holder->thread == thread)
            return true;
    return false;
}

weir_status weir__check_nested(weir_pool *pool, const struct acquire *acquire, weir_error *reterr)
{
    weir_pool_holder held;
    int thread = weir__this_thread();
    if (!find_own(pool, thread, &held))
        return WEIR_OK;

    weir_error error;
    weir_pool_event event = {.connection_id = held.connection_id,
                             .file = acquire->file,
                             .line = acquire->line,
                             .thread = thread,
                             .error = &error,
                             .duration = held.age};
    atomic_fetch_add_explicit(&pool->nested, 1, memory_order_relaxed);
    weir_error_set(&error, WEIR_MISUSE,
                   "pool \"%s\": thread %d acquires at %s:%d while it holds the connection that it "
                   "acquired at %s:%d",
                   pool->name, thread, weir__base_name(acquire->file), acquire->line,
                   weir__base_name(held.file), held.line);
    weir__emit(pool, WEIR_EVENT_NESTED, &event);
    if (pool->options.nested != WEIR_NESTED_REFUSE)
        return WEIR_OK;
    if (reterr != NULL)
        *reterr = error;
    return WEIR_MISUSE;
}

/* ---- leaks ------------------------------------------------------------------------------- */

/* Whether this is the first report of the loan that began then. The next loan of the slot begins after
 * the report, which is later than this beginning, so no two that are reported have the same one. */
static bool is_first_report(struct weir_slot *slot, weir_time acquired_at)
{
    return atomic_exchange_explicit(&slot->leak_told, acquired_at, memory_order_relaxed) !=
           acquired_at;
}

static void report_leak(weir_pool *pool, const weir_pool_holder *holder)
{
    weir_pool_event event = {.connection_id = holder->connection_id,
                             .file = holder->file,
                             .line = holder->line,
                             .thread = holder->thread,
                             .duration = holder->age};

    atomic_fetch_add_explicit(&pool->leaks, 1, memory_order_relaxed);
    weir__emit(pool, WEIR_EVENT_LEAK, &event);
}

void weir_pool_maintain(weir_pool *pool)
{
    weir_time limit = pool->options.leak_report_after_ms * WEIR_MS;
    weir_time now = weir__pool_coarse_now(pool);
    int high_water = atomic_load_explicit(&pool->high_water, memory_order_relaxed);

    if (limit == 0)
        return;
    for (int i = 0; i < high_water; i++) {
        struct weir_slot *slot = &pool->slots[i];
        weir_pool_holder holder;

        /* Without a thread or a connection it is on its way in or out, and nobody's to lose. */
        if (weir__read_holder(slot, now, &holder) && holder.thread != 0 &&
            holder.connection_id != 0 && holder.age > limit &&
            is_first_report(slot, now - holder.age))
            report_leak(pool, &holder);
    }
}
