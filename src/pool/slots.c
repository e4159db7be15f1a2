/* SPDX-License-Identifier: MIT */
/* The words of the slots, as they change under the pool's lock: states, flags, and what is free. */
#include "pool/core.h"

/* Slots that were ever leased: the others are VACANT, unmarked, and not worth a look. */
static int touched_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    return atomic_load_explicit(&pool->touched, memory_order_relaxed);
}

/* ---- flags ------------------------------------------------------------------------------- */

static void set_flag_locked(weir_pool *pool, uint64_t flag) WEIR_REQUIRES(pool->lock)
{
    for (int i = 0; i < touched_locked(pool); i++)
        atomic_fetch_or_explicit(&pool->slots[i].word, flag, memory_order_relaxed);
}

static void clear_flag_locked(weir_pool *pool, uint64_t flag) WEIR_REQUIRES(pool->lock)
{
    for (int i = 0; i < touched_locked(pool); i++)
        atomic_fetch_and_explicit(&pool->slots[i].word, ~flag, memory_order_relaxed);
}

/* Make OVER say whether more connections count than are kept. */
static void mark_over_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    bool is_over = g->counted > pool->kept;

    if (is_over == g->is_over)
        return;
    g->is_over = is_over;
    if (is_over)
        set_flag_locked(pool, SLOT_OVER);
    else
        clear_flag_locked(pool, SLOT_OVER);
}

/* ---- slots ------------------------------------------------------------------------------- */

/*
 * Change the state of a slot that nobody can take lock-free: one that is LEASED to the caller, or
 * VACANT, HOLLOW, or IDLE and wanted. Only flags can change besides, and those only under the lock,
 * so a store is enough; release order publishes what the holder wrote.
 */
uint64_t weir__slots_move_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state state)
{
    struct guarded *g = weir__guarded_locked(pool);
    uint64_t old = atomic_load_explicit(&slot->word, memory_order_relaxed);
    uint64_t new = (old & ~(SLOT_STATE | SLOT_FLAGS)) | (uint64_t)state;

    if (state == SLOT_LEASED)
        new += SLOT_TURN;
    new |= (g->is_wanted ? SLOT_WANT : 0) | (g->is_over ? SLOT_OVER : 0);
    g->counted += (state != SLOT_VACANT) - (slot_state(old) != SLOT_VACANT);
    atomic_store_explicit(&slot->word, new, memory_order_release);
    mark_over_locked(pool);
    return new & ~SLOT_FLAGS;
}

uint64_t weir__slots_lease_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state origin)
{
    slot->origin = origin;
    return weir__slots_move_locked(pool, slot, SLOT_LEASED);
}

/* Take an IDLE slot, wanted or not, against those who take lock-free. */
bool weir__slots_take_idle_locked(struct weir_slot *slot, uint64_t *ret_ticket)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

    while (slot_state(word) == SLOT_IDLE) {
        if (!slot_try_take(slot, &word))
            continue;
        *ret_ticket = slot_taken(word) & ~SLOT_FLAGS;
        return true;
    }
    return false;
}

/* One slot more for all to look at, when there is one left. */
static struct weir_slot *touch_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    int touched = touched_locked(pool);

    if (touched == pool->slot_count)
        return NULL;
    atomic_store_explicit(&pool->touched, touched + 1, memory_order_relaxed);
    return &pool->slots[touched];
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
struct weir_slot *weir__slots_take_free_locked(weir_pool *pool, weir_time now, uint64_t *ret_ticket)
{
    struct weir_slot *hollow = NULL;
    struct weir_slot *vacant = NULL;
    int taken = 0;

    for (int i = 0; i < touched_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];

        if (weir__slots_take_idle_locked(slot, ret_ticket))
            return slot;
        enum slot_state state = slot_state(atomic_load_explicit(&slot->word, memory_order_relaxed));
        if (state == SLOT_HOLLOW && hollow == NULL)
            hollow = slot;
        if (state == SLOT_VACANT && vacant == NULL)
            vacant = slot;
        taken += state == SLOT_LEASED;
    }
    if (!weir__slots_may_open_locked(pool, taken, now))
        return NULL;
    if (hollow == NULL && vacant == NULL)
        vacant = touch_locked(pool);
    if (hollow != NULL || vacant != NULL)
        weir__slots_note_open_locked(pool, taken, now);
    if (hollow != NULL) {
        *ret_ticket = weir__slots_lease_locked(pool, hollow, SLOT_HOLLOW);
        return hollow;
    }
    if (vacant != NULL)
        *ret_ticket = weir__slots_lease_locked(pool, vacant, SLOT_VACANT);
    return vacant;
}

/*
 * Put WANT into every word, as the first in line must. One that turns out IDLE meanwhile is the
 * caller's: nobody can take it lock-free any more, and WANT is taken back.
 */
struct weir_slot *weir__slots_want_locked(weir_pool *pool, uint64_t *ret_ticket)
{
    for (int i = 0; i < touched_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];
        uint64_t old = atomic_fetch_or_explicit(&slot->word, SLOT_WANT, memory_order_acquire);

        if (slot_state(old) != SLOT_IDLE)
            continue;
        *ret_ticket = weir__slots_lease_locked(pool, slot, SLOT_IDLE);
        clear_flag_locked(pool, SLOT_WANT);
        return slot;
    }
    weir__guarded_locked(pool)->is_wanted = true;
    return NULL;
}

void weir__slots_unwant_locked(weir_pool *pool)
{
    weir__guarded_locked(pool)->is_wanted = false;
    clear_flag_locked(pool, SLOT_WANT);
}

void weir__slots_want_for_ever_locked(weir_pool *pool)
{
    weir__guarded_locked(pool)->is_wanted = true;
    set_flag_locked(pool, SLOT_WANT);
}

bool weir__slots_any_free_locked(weir_pool *pool, weir_time now)
{
    bool is_any_closed = false;

    for (int i = 0; i < touched_locked(pool); i++) {
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
                                              weir_time unused_since, uint64_t *ret_ticket)
{
    for (int i = 0; i < touched_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];
        bool is_old = atomic_load_explicit(&slot->epoch, memory_order_relaxed) < epoch ||
                      atomic_load_explicit(&slot->last_used, memory_order_relaxed) < unused_since;

        if (is_old && weir__slots_take_idle_locked(slot, ret_ticket))
            return slot;
    }
    return NULL;
}

/* Connections at rest: what pool_size limits. */
int weir__slots_count_resting_locked(weir_pool *pool)
{
    int kept = 0;

    for (int i = 0; i < touched_locked(pool); i++) {
        enum slot_state state =
            slot_state(atomic_load_explicit(&pool->slots[i].word, memory_order_relaxed));
        kept += state == SLOT_IDLE || state == SLOT_HOLLOW;
    }
    return kept;
}

int weir__slots_count_leased_locked(weir_pool *pool)
{
    int leased = 0;

    for (int i = 0; i < touched_locked(pool); i++)
        leased += slot_state(atomic_load_explicit(&pool->slots[i].word, memory_order_relaxed)) ==
                  SLOT_LEASED;
    return leased;
}

/* What holds no connection need not be counted when nobody can come back for it. */
void weir__slots_vacate_hollow_locked(weir_pool *pool)
{
    for (int i = 0; i < touched_locked(pool); i++) {
        struct weir_slot *slot = &pool->slots[i];

        if (slot_state(atomic_load_explicit(&slot->word, memory_order_relaxed)) == SLOT_HOLLOW)
            weir__slots_move_locked(pool, slot, SLOT_VACANT);
    }
}

int weir__slots_count_taken_locked(weir_pool *pool)
{
    int taken = 0;

    for (int i = 0; i < touched_locked(pool); i++) {
        enum slot_state state =
            slot_state(atomic_load_explicit(&pool->slots[i].word, memory_order_relaxed));
        taken += state == SLOT_IDLE || state == SLOT_LEASED;
    }
    return taken;
}

int weir__slots_count_open_locked(weir_pool *pool)
{
    int open = 0;

    for (int i = 0; i < touched_locked(pool); i++)
        open += atomic_load_explicit(&pool->slots[i].connection_id, memory_order_relaxed) != 0;
    return open;
}
