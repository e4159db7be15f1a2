/* SPDX-License-Identifier: MIT */
/* The words of the slots, as they change under the pool's lock: states, flags, and what is free. */
#include "pool/core.h"

/* Slots that were ever leased: the others are VACANT, unmarked, and skipped. */
static int high_water_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    return atomic_load_explicit(&pool->high_water, memory_order_relaxed);
}

/* ---- flags ------------------------------------------------------------------------------- */

static void set_flag_locked(weir_pool *pool, uint64_t flag) WEIR_REQUIRES(pool->lock)
{
    for (int i = 0; i < high_water_locked(pool); i++)
        atomic_fetch_or_explicit(&pool->slots[i].word, flag, memory_order_relaxed);
}

static void clear_flag_locked(weir_pool *pool, uint64_t flag) WEIR_REQUIRES(pool->lock)
{
    for (int i = 0; i < high_water_locked(pool); i++)
        atomic_fetch_and_explicit(&pool->slots[i].word, ~flag, memory_order_relaxed);
}

/* Make OVER_CAPACITY say whether more connections count than are kept. */
static void mark_over_capacity_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    bool is_over_capacity = g->counted > pool->kept;

    if (is_over_capacity == g->is_over_capacity)
        return;
    g->is_over_capacity = is_over_capacity;
    if (is_over_capacity)
        set_flag_locked(pool, SLOT_OVER_CAPACITY);
    else
        clear_flag_locked(pool, SLOT_OVER_CAPACITY);
}

/* ---- slots ------------------------------------------------------------------------------- */

/*
 * Change the state of a slot that nobody can take lock-free: one that is LEASED to the caller, or
 * VACANT, EMPTY, or IDLE and wanted. Only flags can change besides, and those only under the lock,
 * so a store is enough; release order publishes what the holder wrote.
 */
uint64_t weir__slots_move_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state state)
{
    struct guarded *g = weir__guarded_locked(pool);
    uint64_t old = atomic_load_explicit(&slot->word, memory_order_relaxed);
    uint64_t new = (old & ~(SLOT_STATE | SLOT_FLAGS)) | (uint64_t)state;

    if (state == SLOT_LEASED)
        new += SLOT_GENERATION;
    new |= (g->has_waiters ? SLOT_HAS_WAITERS : 0) | (g->is_over_capacity ? SLOT_OVER_CAPACITY : 0);
    g->counted += (state != SLOT_VACANT) - (slot_state(old) != SLOT_VACANT);
    atomic_store_explicit(&slot->word, new, memory_order_release);
    mark_over_capacity_locked(pool);
    return new & ~SLOT_FLAGS;
}

uint64_t weir__slots_lease_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state origin)
{
    slot->origin = origin;
    return weir__slots_move_locked(pool, slot, SLOT_LEASED);
}

/* Take an IDLE slot, wanted or not, against those who take lock-free. */
bool weir__slots_take_idle_locked(struct weir_slot *slot, uint64_t *ret_token)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

    while (slot_state(word) == SLOT_IDLE) {
        if (!slot_try_take(slot, &word))
            continue;
        *ret_token = slot_taken(word) & ~SLOT_FLAGS;
        return true;
    }
    return false;
}

/* One slot more, when there is one left. */
static struct weir_slot *raise_high_water_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    int high_water = high_water_locked(pool);

    if (high_water == pool->slot_count)
        return NULL;
    atomic_store_explicit(&pool->high_water, high_water + 1, memory_order_relaxed);
    return &pool->slots[high_water];
}

/* ---- what the peer takes ------------------------------------------------------------------- */

bool weir__slots_may_open_locked(weir_pool *pool, int taken, weir_time now)
{
    struct guarded *g = weir__guarded_locked(pool);

    return g->peer.limit == 0 || weir__peer_allows(&g->peer, taken, now);
}

void weir__slots_note_open_locked(weir_pool *pool, int taken, weir_time now)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->peer.limit > 0)
        weir__peer_attempt(&g->peer, taken, now, weir__scatter(pool->id ^ (uint64_t)now));
}

/* ---- taking -------------------------------------------------------------------------------- */

/* Take a free slot: an open connection first, then one that is counted already, then a new one. */
struct weir_slot *weir__slots_take_free_locked(weir_pool *pool, weir_time now, uint64_t *ret_token)
{
    struct weir_slot *empty = NULL;
    struct weir_slot *vacant = NULL;
    int taken = 0;

    for (int i = 0; i < high_water_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];

        if (weir__slots_take_idle_locked(slot, ret_token))
            return slot;
        enum slot_state state = slot_state(atomic_load_explicit(&slot->word, memory_order_relaxed));
        if (state == SLOT_EMPTY && empty == NULL)
            empty = slot;
        if (state == SLOT_VACANT && vacant == NULL)
            vacant = slot;
        taken += state == SLOT_LEASED;
    }
    if (!weir__slots_may_open_locked(pool, taken, now))
        return NULL;
    if (empty == NULL && vacant == NULL)
        vacant = raise_high_water_locked(pool);
    if (empty != NULL || vacant != NULL)
        weir__slots_note_open_locked(pool, taken, now);
    if (empty != NULL) {
        *ret_token = weir__slots_lease_locked(pool, empty, SLOT_EMPTY);
        return empty;
    }
    if (vacant != NULL)
        *ret_token = weir__slots_lease_locked(pool, vacant, SLOT_VACANT);
    return vacant;
}

/*
 * Put HAS_WAITERS into every word, as the first waiter must. One that turns out IDLE meanwhile is the
 * caller's: nobody can take it lock-free any more, and HAS_WAITERS is taken back.
 */
struct weir_slot *weir__slots_mark_waiters_locked(weir_pool *pool, uint64_t *ret_token)
{
    for (int i = 0; i < high_water_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];
        uint64_t old =
            atomic_fetch_or_explicit(&slot->word, SLOT_HAS_WAITERS, memory_order_acquire);

        if (slot_state(old) != SLOT_IDLE)
            continue;
        *ret_token = weir__slots_lease_locked(pool, slot, SLOT_IDLE);
        clear_flag_locked(pool, SLOT_HAS_WAITERS);
        return slot;
    }
    weir__guarded_locked(pool)->has_waiters = true;
    return NULL;
}

void weir__slots_unmark_waiters_locked(weir_pool *pool)
{
    weir__guarded_locked(pool)->has_waiters = false;
    clear_flag_locked(pool, SLOT_HAS_WAITERS);
}

void weir__slots_mark_closing_locked(weir_pool *pool)
{
    weir__guarded_locked(pool)->has_waiters = true;
    set_flag_locked(pool, SLOT_HAS_WAITERS);
}

bool weir__slots_any_free_locked(weir_pool *pool, weir_time now)
{
    bool is_any_closed = false;

    for (int i = 0; i < high_water_locked(pool); i++) {
        enum slot_state state =
            slot_state(atomic_load_explicit(&pool->slots[i].word, memory_order_relaxed));

        if (state == SLOT_IDLE)
            return true;
        is_any_closed |= state != SLOT_LEASED;
    }
    return is_any_closed &&
           weir__slots_may_open_locked(pool, weir__slots_count_taken_locked(pool), now);
}

struct weir_slot *weir__slots_take_old_locked(weir_pool *pool, uint32_t epoch,
                                              weir_time unused_since, uint64_t *ret_token)
{
    for (int i = 0; i < high_water_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];
        bool is_old = atomic_load_explicit(&slot->epoch, memory_order_relaxed) < epoch ||
                      atomic_load_explicit(&slot->last_used, memory_order_relaxed) < unused_since;

        if (is_old && weir__slots_take_idle_locked(slot, ret_token))
            return slot;
    }
    return NULL;
}

/* Connections at rest: what pool_size limits. */
int weir__slots_count_resting_locked(weir_pool *pool)
{
    int kept = 0;

    for (int i = 0; i < high_water_locked(pool); i++) {
        enum slot_state state =
            slot_state(atomic_load_explicit(&pool->slots[i].word, memory_order_relaxed));
        kept += state == SLOT_IDLE || state == SLOT_EMPTY;
    }
    return kept;
}

int weir__slots_count_leased_locked(weir_pool *pool)
{
    int leased = 0;

    for (int i = 0; i < high_water_locked(pool); i++)
        leased += slot_state(atomic_load_explicit(&pool->slots[i].word, memory_order_relaxed)) ==
                  SLOT_LEASED;
    return leased;
}

/* What holds no connection need not be counted when nobody can come back for it. */
void weir__slots_vacate_empty_locked(weir_pool *pool)
{
    for (int i = 0; i < high_water_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];

        if (slot_state(atomic_load_explicit(&slot->word, memory_order_relaxed)) == SLOT_EMPTY)
            weir__slots_move_locked(pool, slot, SLOT_VACANT);
    }
}

int weir__slots_count_taken_locked(weir_pool *pool)
{
    int taken = 0;

    for (int i = 0; i < high_water_locked(pool); i++) {
        enum slot_state state =
            slot_state(atomic_load_explicit(&pool->slots[i].word, memory_order_relaxed));
        taken += state == SLOT_IDLE || state == SLOT_LEASED;
    }
    return taken;
}

int weir__slots_count_open_locked(weir_pool *pool)
{
    int open = 0;

    for (int i = 0; i < high_water_locked(pool); i++)
        open += atomic_load_explicit(&pool->slots[i].connection_id, memory_order_relaxed) != 0;
    return open;
}
