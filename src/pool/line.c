/* SPDX-License-Identifier: MIT */
/* The line of those who wait, and all that follows when a slot is freed: under the pool's lock. */
#include "pool/core.h"

#include <assert.h>
#include <stdlib.h>

/* ---- the line ---------------------------------------------------------------------------- */

static void unwant_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->is_wanted && !g->is_closing && g->first == NULL)
        weir__slots_unwant_locked(pool);
}

static void enqueue_locked(weir_pool *pool, struct waiter *waiter) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    waiter->next = NULL;
    waiter->previous = g->last;
    if (g->last != NULL)
        g->last->next = waiter;
    else
        g->first = waiter;
    g->last = waiter;
    g->waiters++;
}

static void unlink_locked(weir_pool *pool, struct waiter *waiter) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        g->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    else
        g->last = waiter->previous;
    g->waiters--;
    unwant_locked(pool);
}

/*
 * Tell a waiter. The caller wakes its word after unlocking; from the store on, the node is gone
 * when the signal is final. The release order hands over what the slot's last holder wrote.
 */
static void signal_locked(struct waiter *waiter, enum waiter_signal signal)
{
    atomic_store_explicit(&waiter->signal, (uint32_t)signal, memory_order_release);
}

/* Hand a slot that is LEASED to the caller to the first in line. */
static _Atomic uint32_t *hand_over_locked(weir_pool *pool, struct weir_slot *slot,
                                          enum slot_state fate) WEIR_REQUIRES(pool->lock)
{
    struct waiter *waiter = weir__guarded_locked(pool)->first;
    _Atomic uint32_t *word = &waiter->signal;

    unlink_locked(pool, waiter);
    waiter->slot = slot;
    waiter->ticket = weir__slots_lease_locked(pool, slot, fate);
    atomic_fetch_add_explicit(&pool->handed_over, 1, memory_order_relaxed);
    signal_locked(waiter, WAITER_GRANTED);
    return word;
}

/* Let the first in line look for itself, when there is one and something to find. One that was told
 * and has not looked yet need not be told again. */
static _Atomic uint32_t *nudge_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->first == NULL || g->is_closing ||
        atomic_load_explicit(&g->first->signal, memory_order_relaxed) == WAITER_NUDGED)
        return NULL;
    if (!weir__slots_any_free_locked(pool))
        return NULL;
    signal_locked(g->first, WAITER_NUDGED);
    return &g->first->signal;
}

/* The present, where it decides who may overtake whom. Read before the lock is taken: an injected
 * clock is somebody else's code. */
static weir_time handoff_now(weir_pool *pool)
{
    return pool->options.handoff_after_us > 0 ? weir__pool_now(pool) : 0;
}

/* Whether the first in line has waited so long that nobody may overtake it any more. */
static bool is_strict_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    weir_time grace = pool->options.handoff_after_us * WEIR_US;

    return grace == 0 || now - weir__guarded_locked(pool)->first->since >= grace;
}

/* Free a slot that is LEASED to the caller: to the first in line, or to whoever comes. Returns the
 * word to wake, or NULL. */
static _Atomic uint32_t *free_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state fate,
                                     weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->first != NULL && is_strict_locked(pool, now))
        return hand_over_locked(pool, slot, fate);
    weir__slots_move_locked(pool, slot, fate);
    return nudge_locked(pool);
}

static void wake(_Atomic uint32_t *word)
{
    if (word != NULL)
        weir__unpark(word);
}

/*
 * Something came back to a closing pool: tell the one who disposes, and say whether it was the last
 * thing out of a pool that its owner gave up. In the same critical section as the return itself:
 * after the lock is let go, the pool may be gone.
 */
static bool settle_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
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
    bool has_tick = pool->options.clock == NULL;

    weir__mutex_clear(&pool->lock);
    free(pool->slots);
    free(pool);
    if (has_tick)
        weir__tick_stop();
}

/* ---- giving back ------------------------------------------------------------------------- */

bool weir__line_owns(struct weir_slot *slot, uint64_t ticket)
{
    return (atomic_load_explicit(&slot->word, memory_order_relaxed) & ~SLOT_FLAGS) == ticket;
}

/* Whether a slot about to rest must not: the pool closes, or enough rest already. One that is handed
 * over does not rest; where newcomers may overtake, others may rest while somebody waits. */
static bool is_surplus_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->is_closing)
        return true;
    if (!g->is_over || (g->first != NULL && is_strict_locked(pool, now)))
        return false;
    return weir__slots_count_resting_locked(pool) >= pool->kept;
}

void weir__line_free(weir_pool *pool, struct weir_slot *slot, uint64_t ticket, enum slot_state fate)
{
    weir_time now = handoff_now(pool);

    weir__lock(&pool->lock);
    assert(weir__line_owns(slot, ticket));
    (void)ticket;
    if (fate != SLOT_VACANT && is_surplus_locked(pool, now)) {
        bool is_closing = weir__guarded_locked(pool)->is_closing;

        /* Closing takes time and the slot stays the caller's meanwhile; one who comes to wait
         * during it gets the right to open. */
        weir__unlock(&pool->lock);
        if (slot->connection != NULL)
            weir__slot_close(pool, slot, is_closing ? WEIR_REASON_DISPOSED : WEIR_REASON_OVERFLOW,
                             NULL);
        now = handoff_now(pool);
        weir__lock(&pool->lock);
        fate = SLOT_VACANT;
    }
    slot_forget_thread(pool, slot);
    _Atomic uint32_t *word = free_locked(pool, slot, fate, now);
    bool is_last = settle_locked(pool);
    weir__unlock(&pool->lock);
    wake(word);
    if (is_last)
        destroy(pool);
}

/* ---- taking ------------------------------------------------------------------------------ */

/* Why no slot can be had without waiting, or WEIR_OK when the caller may stand in line. */
static weir_status may_wait_locked(weir_pool *pool, struct request *request, weir_time deadline)
    WEIR_REQUIRES(pool->lock)
{
    if (deadline != WEIR_DEADLINE_NEVER && deadline <= request->started)
        return WEIR_TIMEOUT;
    if (weir__guarded_locked(pool)->waiters >= pool->options.max_waiters)
        return WEIR_FULL;
    return WEIR_OK;
}

/* Find a slot, or put the waiter in line. *ret_slot is NULL in the second case. */
static weir_status take_or_enqueue_locked(weir_pool *pool, struct request *request,
                                          weir_time deadline, struct waiter *waiter,
                                          struct weir_slot **ret_slot, uint64_t *ret_ticket)
    WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    bool is_first = g->first == NULL;

    if (g->is_closing)
        return WEIR_CLOSED;
    *ret_slot = NULL;
    if (is_first || pool->options.handoff_after_us > 0)
        *ret_slot = weir__slots_take_free_locked(pool, ret_ticket);
    if (*ret_slot != NULL) {
        if (!is_first)
            atomic_fetch_add_explicit(&pool->overtaken, 1, memory_order_relaxed);
        return WEIR_OK;
    }
    weir_status status = may_wait_locked(pool, request, deadline);
    if (status != WEIR_OK)
        return status;
    if (is_first)
        *ret_slot = weir__slots_want_locked(pool, ret_ticket);
    if (*ret_slot == NULL)
        enqueue_locked(pool, waiter);
    return WEIR_OK;
}

/*
 * After a wake-up or at the deadline: has the waiter a slot, or does it go on waiting? A grant that
 * raced with the deadline is taken. *ret_word is somebody else to wake.
 */
static weir_status look_again_locked(weir_pool *pool, struct waiter *waiter, bool is_late,
                                     _Atomic uint32_t **ret_word) WEIR_REQUIRES(pool->lock)
{
    uint32_t signal = atomic_load_explicit(&waiter->signal, memory_order_acquire);

    if (signal == WAITER_GRANTED)
        return WEIR_OK;
    if (signal == WAITER_CLOSED)
        return WEIR_CLOSED;
    waiter->slot =
        signal == WAITER_NUDGED ? weir__slots_take_free_locked(pool, &waiter->ticket) : NULL;
    signal_locked(waiter, WAITER_ASLEEP);
    if (waiter->slot == NULL && !is_late)
        return WEIR_RETRY;
    unlink_locked(pool, waiter);
    *ret_word = nudge_locked(pool);
    return waiter->slot != NULL ? WEIR_OK : WEIR_TIMEOUT;
}

/* Sleep in line until there is a slot, the pool closes or the deadline passes. */
static weir_status stand_in_line(weir_pool *pool, struct waiter *waiter, weir_time deadline)
{
    for (;;) {
        weir__pool_wait(pool, &waiter->signal, WAITER_ASLEEP, deadline);

        uint32_t signal = atomic_load_explicit(&waiter->signal, memory_order_acquire);
        if (signal == WAITER_GRANTED)
            return WEIR_OK;
        if (signal == WAITER_CLOSED)
            return WEIR_CLOSED;
        bool is_late = deadline != WEIR_DEADLINE_NEVER && weir__pool_now(pool) >= deadline;
        if (signal == WAITER_ASLEEP && !is_late)
            continue;

        _Atomic uint32_t *word = NULL;
        weir__lock(&pool->lock);
        weir_status status = look_again_locked(pool, waiter, is_late, &word);
        weir__unlock(&pool->lock);
        wake(word);
        if (status != WEIR_RETRY)
            return status;
    }
}

static weir_status report_no_slot(weir_pool *pool, struct request *request, weir_status status,
                                  weir_error *reterr)
{
    if (status == WEIR_CLOSED)
        return weir_error_set(reterr, status, "pool \"%s\": closed, no connection can be acquired",
                              pool->name);
    if (status == WEIR_FULL) {
        atomic_fetch_add_explicit(&pool->refused, 1, memory_order_relaxed);
        return weir_error_set(reterr, status,
                              "pool \"%s\": %d callers already wait, the most that max_waiters "
                              "allows",
                              pool->name, pool->options.max_waiters);
    }

    weir_error error;
    char holders[WEIR_ERROR_TEXT - 256];
    weir_time waited = weir__pool_now(pool) - request->started;

    atomic_fetch_add_explicit(&pool->timeouts, 1, memory_order_relaxed);
    weir__describe_holders(pool, holders, sizeof holders);
    weir_error_set(&error, status,
                   "pool \"%s\": limit of size %d overflow %d reached, connection timed out, "
                   "timeout %.2f; held by: %s",
                   pool->name, pool->options.pool_size, pool->slot_count - pool->options.pool_size,
                   (double)waited / (double)WEIR_SECOND, holders);
    weir_pool_event event = {.file = request->file,
                             .line = request->line,
                             .thread = weir__this_thread(),
                             .error = &error,
                             .duration = waited};
    weir__emit(pool, WEIR_EVENT_TIMEOUT, &event);
    if (reterr != NULL)
        *reterr = error;
    return status;
}

/* It stood in line and has a slot now: count how long, and tell those who listen. */
static void report_wait(weir_pool *pool, struct request *request, const struct waiter *waiter)
{
    struct weir_slot *slot = waiter->slot;

    request->waited = weir__pool_now(pool) - waiter->since;
    weir__histogram_observe(&slot->wait_time, request->waited);
    if (!weir__is_heard(pool, WEIR_EVENT_WAIT))
        return;
    weir_pool_event event = {
        .connection = slot->connection,
        .connection_id = atomic_load_explicit(&slot->connection_id, memory_order_relaxed),
        .file = request->file,
        .line = request->line,
        .thread = weir__this_thread(),
        .duration = request->waited,
    };
    weir__emit(pool, WEIR_EVENT_WAIT, &event);
}

weir_status weir__line_take(weir_pool *pool, struct request *request, struct weir_slot **ret_slot,
                            uint64_t *ret_ticket, weir_error *reterr)
{
    weir_time deadline = weir__request_deadline(pool, request);
    struct waiter waiter = {.since = request->started};

    weir__lock(&pool->lock);
    weir_status status =
        take_or_enqueue_locked(pool, request, deadline, &waiter, ret_slot, ret_ticket);
    weir__unlock(&pool->lock);
    if (status == WEIR_OK && *ret_slot != NULL)
        return WEIR_OK;
    if (status == WEIR_OK) {
        WEIR_PROBE1(wait, pool->options.name);
        status = stand_in_line(pool, &waiter, deadline);
        if (status != WEIR_OK)
            atomic_fetch_add_explicit(&pool->failed_waits, 1, memory_order_relaxed);
    }
    if (status != WEIR_OK)
        return report_no_slot(pool, request, status, reterr);

    report_wait(pool, request, &waiter);
    *ret_slot = waiter.slot;
    *ret_ticket = waiter.ticket;
    return WEIR_OK;
}

/* ---- closing ----------------------------------------------------------------------------- */

void weir__line_close(weir_pool *pool)
{
    weir__lock(&pool->lock);
    struct guarded *g = weir__guarded_locked(pool);
    struct waiter *waiter = g->first;

    g->is_closing = true;
    weir__slots_want_for_ever_locked(pool);
    weir__slots_vacate_hollow_locked(pool);
    g->first = NULL;
    g->last = NULL;
    g->waiters = 0;
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        _Atomic uint32_t *word = &waiter->signal;

        signal_locked(waiter, WAITER_CLOSED);
        /* Woken under the lock, once in a pool's life: there is no list to keep them on. */
        weir__unpark(word);
        waiter = next;
    }
    weir__unlock(&pool->lock);
}

struct weir_slot *weir__line_take_idle(weir_pool *pool, uint32_t epoch, weir_time unused_since,
                                       uint64_t *ret_ticket)
{
    weir__lock(&pool->lock);
    struct weir_slot *found = weir__slots_take_old_locked(pool, epoch, unused_since, ret_ticket);
    weir__unlock(&pool->lock);
    return found;
}

int weir__line_count_leased(weir_pool *pool)
{
    weir__lock(&pool->lock);
    int leased = weir__slots_count_leased_locked(pool);
    weir__unlock(&pool->lock);
    return leased;
}

void weir__line_orphan(weir_pool *pool)
{
    weir__lock(&pool->lock);
    weir__guarded_locked(pool)->is_orphaned = true;
    bool is_last = settle_locked(pool);
    weir__unlock(&pool->lock);
    if (is_last)
        destroy(pool);
}

/* ---- detached ---------------------------------------------------------------------------- */

void weir__line_add_detached(weir_pool *pool, struct detached *detached)
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

bool weir__line_claim_detached(weir_pool *pool, uint64_t connection_id)
{
    weir__lock(&pool->lock);
    struct detached *detached = *find_detached_locked(pool, connection_id);
    bool is_first = detached != NULL && !detached->is_claimed;
    if (is_first)
        detached->is_claimed = true;
    weir__unlock(&pool->lock);
    return is_first;
}

void weir__line_drop_detached(weir_pool *pool, uint64_t connection_id)
{
    weir__lock(&pool->lock);
    struct detached **link = find_detached_locked(pool, connection_id);
    struct detached *detached = *link;
    assert(detached != NULL); /* claimed, and dropped once by its claimant */
    *link = detached->next;
    bool is_last = settle_locked(pool);
    weir__unlock(&pool->lock);
    free(detached);
    if (is_last)
        destroy(pool);
}
