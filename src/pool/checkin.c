/* SPDX-License-Identifier: MIT */
/* What comes back to the pool: a slot goes to the first waiter or to rest, and the last one ends a closed pool. */
#include "pool/core.h"

#include <assert.h>
#include <stdlib.h>

/* ---- the end of a closed pool ------------------------------------------------------------- */

/*
 * Something came back to a closing pool: tell the one who disposes, and say whether it was the last
 * thing out of a pool that its owner gave up. In the same critical section as the return itself:
 * after the lock is let go, the pool may be gone.
 */
static bool note_return_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (!g->is_closing)
        return false;
    atomic_fetch_add_explicit(&pool->returned, 1, memory_order_release);
    weir__unpark(&pool->returned);
    return g->is_orphaned && g->detached == NULL && weir__slots_count_leased_locked(pool) == 0;
}

static void destroy(weir_pool *pool)
{
    bool has_coarse_clock = pool->options.clock == NULL;

    weir__mutex_clear(&pool->lock);
    free(pool->slots);
    free(pool);
    if (has_coarse_clock)
        weir__coarse_clock_stop();
}

/* ---- a slot ------------------------------------------------------------------------------ */

bool weir__slot_owns(struct weir_slot *slot, uint64_t token)
{
    return (atomic_load_explicit(&slot->word, memory_order_relaxed) & ~SLOT_FLAGS) == token;
}

/* Whether a slot about to rest must not: the pool closes, or enough rest already. One that is handed
 * over does not rest; where newcomers may overtake, others may rest while somebody waits. */
static bool is_surplus_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->is_closing)
        return true;
    if (!g->is_over_capacity || (g->first != NULL && weir__queue_is_strict_locked(pool, now)))
        return false;
    return weir__slots_count_resting_locked(pool) >= pool->kept;
}

void weir__slot_free(weir_pool *pool, struct weir_slot *slot, uint64_t token, enum slot_state fate)
{
    weir_time now = weir__queue_now(pool);

    weir__lock(&pool->lock);
    assert(weir__slot_owns(slot, token));
    (void)token;
    if (fate != SLOT_VACANT && is_surplus_locked(pool, now)) {
        bool is_closing = weir__guarded_locked(pool)->is_closing;

        /* Closing takes time and the slot stays the caller's meanwhile; one who comes to wait
         * during it gets the right to open. */
        weir__unlock(&pool->lock);
        if (slot->connection != NULL)
            weir__slot_close(pool, slot, is_closing ? WEIR_REASON_DISPOSED : WEIR_REASON_OVERFLOW,
                             NULL);
        now = weir__queue_now(pool);
        weir__lock(&pool->lock);
        fate = SLOT_VACANT;
    }
    slot_forget_thread(pool, slot);
    _Atomic uint32_t *word = weir__queue_give_locked(pool, slot, fate, now);
    bool is_last = note_return_locked(pool);
    weir__unlock(&pool->lock);
    weir__queue_wake(word);
    if (is_last)
        destroy(pool);
}

/* ---- a pool that closes -------------------------------------------------------------------- */

struct weir_slot *weir__slots_take_old(weir_pool *pool, uint32_t epoch, weir_time unused_since,
                                       uint64_t *ret_token)
{
    weir__lock(&pool->lock);
    struct weir_slot *found = weir__slots_take_old_locked(pool, epoch, unused_since, ret_token);
    weir__unlock(&pool->lock);
    return found;
}

int weir__slots_count_leased(weir_pool *pool)
{
    weir__lock(&pool->lock);
    int leased = weir__slots_count_leased_locked(pool);
    weir__unlock(&pool->lock);
    return leased;
}

void weir__pool_orphan(weir_pool *pool)
{
    weir__lock(&pool->lock);
    weir__guarded_locked(pool)->is_orphaned = true;
    bool is_last = note_return_locked(pool);
    weir__unlock(&pool->lock);
    if (is_last)
        destroy(pool);
}

/* ---- detached ---------------------------------------------------------------------------- */

void weir__detached_add(weir_pool *pool, struct detached *detached)
{
    weir__lock(&pool->lock);
    struct guarded *g = weir__guarded_locked(pool);
    detached->next = g->detached;
    g->detached = detached;
    weir__unlock(&pool->lock);
}

static struct detached **find_detached_locked(weir_pool *pool, uint64_t connection_id)
    WEIR_REQUIRES(pool->lock)
{
    struct detached **link = &weir__guarded_locked(pool)->detached;

    while (*link != NULL && (*link)->connection_id != connection_id)
        link = &(*link)->next;
    return link;
}

bool weir__detached_claim(weir_pool *pool, uint64_t connection_id)
{
    weir__lock(&pool->lock);
    struct detached *detached = *find_detached_locked(pool, connection_id);
    bool is_first = detached != NULL && !detached->is_claimed;
    if (is_first)
        detached->is_claimed = true;
    weir__unlock(&pool->lock);
    return is_first;
}

void weir__detached_drop(weir_pool *pool, uint64_t connection_id)
{
    weir__lock(&pool->lock);
    struct detached **link = find_detached_locked(pool, connection_id);
    struct detached *detached = *link;
    assert(detached != NULL); /* claimed, and dropped once by its claimant */
    *link = detached->next;
    bool is_last = note_return_locked(pool);
    weir__unlock(&pool->lock);
    free(detached);
    if (is_last)
        destroy(pool);
}
