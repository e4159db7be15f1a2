/* SPDX-License-Identifier: MIT */
/* What a pool is and did, at one moment: statistics, the status line, and who holds what. */
#include "pool/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t read_count(struct weir_slot *slot, enum slot_count count)
{
    return atomic_load_explicit(&slot->counts[count], memory_order_relaxed);
}

static void add_gauges(struct weir_slot *slot, weir_pool_stats *stats)
{
    enum slot_state state = slot_state(atomic_load_explicit(&slot->word, memory_order_relaxed));

    stats->idle += state == SLOT_IDLE || state == SLOT_EMPTY;
    stats->leased += state == SLOT_LEASED;
    stats->cancelling +=
        state == SLOT_LEASED && atomic_load_explicit(&slot->is_cancelling, memory_order_relaxed);
    stats->connections += atomic_load_explicit(&slot->connection_id, memory_order_relaxed) != 0;
}

static void add_counters(struct weir_slot *slot, weir_pool_stats *stats)
{
    stats->checkouts += read_count(slot, COUNT_CHECKOUTS);
    stats->connects += read_count(slot, COUNT_CONNECTS);
    stats->connect_errors += read_count(slot, COUNT_CONNECT_ERRORS);
    stats->closes += read_count(slot, COUNT_CLOSES);
    stats->detached += read_count(slot, COUNT_DETACHED);
    stats->pings += read_count(slot, COUNT_PINGS);
    stats->ping_failures += read_count(slot, COUNT_PING_FAILURES);
    stats->resets += read_count(slot, COUNT_RESETS);
    for (int i = 0; i < WEIR_REASON_COUNT; i++)
        stats->closed_by[i] += atomic_load_explicit(&slot->closed_by[i], memory_order_relaxed);
    weir__histogram_add(&slot->wait_time, &stats->wait_time);
    weir__histogram_add(&slot->create_time, &stats->create_time);
    weir__histogram_add(&slot->use_time, &stats->use_time);
}

void weir_pool_get_stats(weir_pool *pool, weir_pool_stats *ret_stats)
{
    weir_pool_stats stats;
    weir_time now = weir__queue_now(pool);

    memset(&stats, 0, sizeof stats);
    stats.pool_size = pool->options.pool_size;
    stats.slots = pool->slot_count;
    stats.max_overflow = pool->slot_count - pool->options.pool_size;
    stats.timeouts = atomic_load_explicit(&pool->timeouts, memory_order_relaxed);
    stats.refused = atomic_load_explicit(&pool->refused, memory_order_relaxed);
    stats.peer_refusals = atomic_load_explicit(&pool->peer_refusals, memory_order_relaxed);
    stats.misuses = atomic_load_explicit(&pool->misuses, memory_order_relaxed);
    stats.leaks = atomic_load_explicit(&pool->leaks, memory_order_relaxed);
    stats.nested = atomic_load_explicit(&pool->nested, memory_order_relaxed);
    stats.handed_over = atomic_load_explicit(&pool->handed_over, memory_order_relaxed);
    stats.overtaken = atomic_load_explicit(&pool->overtaken, memory_order_relaxed);

    weir__lock(&pool->lock);
    struct guarded *g = weir__guarded_locked(pool);
    int high_water = atomic_load_explicit(&pool->high_water, memory_order_relaxed);
    for (int i = 0; i < high_water; i++)
        add_gauges(&pool->slots[i], &stats);
    stats.waiters = g->waiters;
    stats.peer_limit = weir__peer_limit(&g->peer, now);
    stats.is_closed = g->is_closing;
    stats.overflow = g->counted - pool->options.pool_size;
    weir__histogram_add(&g->failed_wait_time, &stats.wait_time);
    weir__unlock(&pool->lock);

    for (int i = 0; i < high_water; i++)
        add_counters(&pool->slots[i], &stats);
    stats.waits = stats.wait_time.count;
    *ret_stats = stats;
}

int weir_pool_status_line(weir_pool *pool, char *buffer, size_t size)
{
    weir_pool_stats stats;

    weir_pool_get_stats(pool, &stats);
    /* SQLAlchemy says an overflow of 0 for a pool without a size. */
    return snprintf(buffer, size,
                    "Pool size: %d  Connections in pool: %d Current Overflow: %d Current Checked "
                    "out connections: %d",
                    stats.pool_size, stats.idle, stats.pool_size == 0 ? 0 : stats.overflow,
                    stats.leased);
}

/* ---- holders ----------------------------------------------------------------------------- */

/*
 * Each load is an acquire so that the second look at the word comes after them all. The thread is
 * read first, because it is written last: where it says who, the rest is that holder's.
 */
bool weir__read_holder(struct weir_slot *slot, weir_time now, weir_pool_holder *holder)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

    if (slot_state(word) != SLOT_LEASED)
        return false;
    holder->thread = atomic_load_explicit(&slot->thread, memory_order_acquire);
    holder->connection_id = atomic_load_explicit(&slot->connection_id, memory_order_acquire);
    holder->file = atomic_load_explicit(&slot->file, memory_order_acquire);
    holder->line = atomic_load_explicit(&slot->line, memory_order_acquire);
    holder->age = now - atomic_load_explicit(&slot->acquired_at, memory_order_acquire);
    if (holder->age < 0)
        holder->age = 0;
    holder->is_cancelling = atomic_load_explicit(&slot->is_cancelling, memory_order_acquire);

    uint64_t again = atomic_load_explicit(&slot->word, memory_order_relaxed);
    return (again & ~SLOT_FLAGS) == (word & ~SLOT_FLAGS);
}

/* Insert by age, longest first; what falls off the end was younger than all that stay. */
static void insert_holder(weir_pool_holder *holders, size_t capacity, size_t count,
                          const weir_pool_holder *holder)
{
    size_t at = count < capacity ? count : capacity;

    while (at > 0 && holders[at - 1].age < holder->age) {
        if (at < capacity)
            holders[at] = holders[at - 1];
        at--;
    }
    if (at < capacity)
        holders[at] = *holder;
}

size_t weir_pool_get_holders(weir_pool *pool, weir_pool_holder *holders, size_t capacity)
{
    weir_time now = weir__pool_now(pool);
    int high_water = atomic_load_explicit(&pool->high_water, memory_order_relaxed);
    size_t count = 0;

    for (int i = 0; i < high_water; i++) {
        weir_pool_holder holder;

        if (!weir__read_holder(&pool->slots[i], now, &holder))
            continue;
        insert_holder(holders, capacity, count, &holder);
        count++;
    }
    return count;
}

const char *weir__base_name(const char *file)
{
    const char *slash = file == NULL ? NULL : strrchr(file, '/');

    if (file == NULL)
        return "?";
    return slash == NULL ? file : slash + 1;
}

void weir__describe_holders(weir_pool *pool, char *buffer, size_t size)
{
    enum { SHOWN = 8 };
    weir_pool_holder holders[SHOWN];
    size_t count = weir_pool_get_holders(pool, holders, SHOWN);
    size_t used = 0;

    if (count == 0)
        snprintf(buffer, size, "nobody now");
    for (size_t i = 0; i < count && i < SHOWN && used < size; i++) {
        const weir_pool_holder *h = &holders[i];
        char who[32] = "being cancelled";

        if (!h->is_cancelling)
            snprintf(who, sizeof who, "thread %d", h->thread);
        used += (size_t)snprintf(buffer + used, size - used, "%s%s:%d (%s, %.2f s)",
                                 i == 0 ? "" : ", ", weir__base_name(h->file), h->line, who,
                                 (double)h->age / (double)WEIR_SECOND);
    }
    if (count > SHOWN && used < size)
        snprintf(buffer + used, size - used, " and %zu more", count - SHOWN);
}
