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

/* When a waiter has to look by itself: a returned connection finds it, but nobody else tells it that the
 * pause is over after which the peer is asked for one more. */
static weir_time next_look_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    return g->peer.limit > 0 && g->peer.retry_at > now ? g->peer.retry_at : WEIR_DEADLINE_NEVER;
}

/* Behind whom one comes who was in the line already: before those who began their acquire later. */
static struct waiter *place_by_age_locked(weir_pool *pool, const struct waiter *waiter)
    WEIR_REQUIRES(pool->lock)
{
    struct waiter *before = weir__guarded_locked(pool)->last;

    while (before != NULL && before->since > waiter->since)
        before = before->previous;
    return before;
}

/* Into the line behind another, or as the first of all when that is NULL. */
static void enqueue_locked(weir_pool *pool, struct waiter *waiter, struct waiter *before,
                           weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    waiter->previous = before;
    waiter->next = before != NULL ? before->next : g->first;
    if (before != NULL)
        before->next = waiter;
    else
        g->first = waiter;
    if (waiter->next != NULL)
        waiter->next->previous = waiter;
    else
        g->last = waiter;
    g->waiters++;
    waiter->look_at = next_look_locked(pool, now);
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

/* Whether the first in line sleeps on although a pause will be over: it came before there was one. */
static bool is_unaware_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    return weir__guarded_locked(pool)->first->look_at == WEIR_DEADLINE_NEVER &&
           next_look_locked(pool, now) != WEIR_DEADLINE_NEVER;
}

/* Let the first in line look for itself, when there is one and something to find. One that was told
 * and has not looked yet need not be told again. */
static _Atomic uint32_t *nudge_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->first == NULL || g->is_closing ||
        atomic_load_explicit(&g->first->signal, memory_order_relaxed) == WAITER_NUDGED)
        return NULL;
    if (!weir__slots_any_free_locked(pool, now) && !is_unaware_locked(pool, now))
        return NULL;
    signal_locked(g->first, WAITER_NUDGED);
    return &g->first->signal;
}

weir_time weir__line_now(weir_pool *pool)
{
    bool is_needed = pool->options.handoff_after_us > 0 ||
                     atomic_load_explicit(&pool->peer_limit, memory_order_relaxed) != 0;

    return is_needed ? weir__pool_now(pool) : 0;
}

/* Whether the first in line has waited so long that nobody may overtake it any more. */
static bool is_strict_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    weir_time grace = pool->options.handoff_after_us * WEIR_US;

    return grace == 0 || now - weir__guarded_locked(pool)->first->since >= grace;
}

/* Whether a slot that is LEASED to the caller is of use to another: it has a connection, or the peer would
 * take one in its place. */
static bool is_of_use_locked(weir_pool *pool, enum slot_state fate, weir_time now)
    WEIR_REQUIRES(pool->lock)
{
    if (fate == SLOT_IDLE || weir__guarded_locked(pool)->peer.limit == 0)
        return true;

    int others = weir__slots_count_taken_locked(pool) - 1;
    if (!weir__slots_may_open_locked(pool, others, now))
        return false;
    weir__slots_note_open_locked(pool, others, now);
    return true;
}

/* Free a slot that is LEASED to the caller: to the first in line, or to whoever comes. Returns the
 * word to wake, or NULL. */
static _Atomic uint32_t *free_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state fate,
                                     weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->first != NULL && is_strict_locked(pool, now) && is_of_use_locked(pool, fate, now))
        return hand_over_locked(pool, slot, fate);
    weir__slots_move_locked(pool, slot, fate);
    return nudge_locked(pool, now);
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
    weir_time now = weir__line_now(pool);

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
        now = weir__line_now(pool);
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
static weir_status may_wait_locked(weir_pool *pool, struct request *request)
    WEIR_REQUIRES(pool->lock)
{
    assert(request->is_resolved);
    if (request->deadline != WEIR_DEADLINE_NEVER && request->deadline <= request->started)
        return WEIR_TIMEOUT;
    if (weir__guarded_locked(pool)->waiters >= pool->options.max_waiters)
        return WEIR_FULL;
    return WEIR_OK;
}

/* Find a slot, or put the waiter in line. *ret_slot is NULL in the second case. */
static weir_status take_or_enqueue_locked(weir_pool *pool, struct request *request,
                                          struct waiter *waiter, weir_time now,
                                          struct weir_slot **ret_slot, uint64_t *ret_ticket)
    WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    bool is_first = g->first == NULL;

    if (g->is_closing)
        return WEIR_CLOSED;
    *ret_slot = NULL;
    if (is_first || pool->options.handoff_after_us > 0)
        *ret_slot = weir__slots_take_free_locked(pool, now, ret_ticket);
    if (*ret_slot != NULL) {
        if (!is_first)
            atomic_fetch_add_explicit(&pool->overtaken, 1, memory_order_relaxed);
        return WEIR_OK;
    }
    weir_status status = may_wait_locked(pool, request);
    if (status != WEIR_OK)
        return status;
    if (is_first)
        *ret_slot = weir__slots_want_locked(pool, ret_ticket);
    if (*ret_slot == NULL)
        enqueue_locked(pool, waiter, g->last, now);
    return WEIR_OK;
}

/* Something may be had, and others are before the one who noticed: it is the first's. */
static _Atomic uint32_t *serve_first_locked(weir_pool *pool, weir_time now)
    WEIR_REQUIRES(pool->lock)
{
    uint64_t ticket;
    struct weir_slot *slot = weir__slots_take_free_locked(pool, now, &ticket);

    if (slot == NULL)
        return NULL;
    return hand_over_locked(pool, slot, slot->connection != NULL ? SLOT_IDLE : slot->origin);
}

/*
 * After a wake-up or at the deadline: has the waiter a slot, or does it go on waiting? A grant that
 * raced with the deadline is taken. *ret_word is somebody else to wake.
 */
static weir_status look_again_locked(weir_pool *pool, struct waiter *waiter, weir_time now,
                                     bool is_late, _Atomic uint32_t **ret_word)
    WEIR_REQUIRES(pool->lock)
{
    uint32_t signal = atomic_load_explicit(&waiter->signal, memory_order_acquire);
    bool is_first = weir__guarded_locked(pool)->first == waiter;

    if (signal == WAITER_GRANTED)
        return WEIR_OK;
    if (signal == WAITER_CLOSED)
        return WEIR_CLOSED;
    bool has_to_look = signal == WAITER_NUDGED || (!is_late && now >= waiter->look_at);
    waiter->slot = NULL;
    if (has_to_look && is_first)
        waiter->slot = weir__slots_take_free_locked(pool, now, &waiter->ticket);
    else if (has_to_look && !is_late)
        *ret_word = serve_first_locked(pool, now);
    waiter->look_at = next_look_locked(pool, now);
    signal_locked(waiter, WAITER_ASLEEP);
    if (waiter->slot == NULL && !is_late)
        return WEIR_RETRY;
    unlink_locked(pool, waiter);
    *ret_word = nudge_locked(pool, now);
    return waiter->slot != NULL ? WEIR_OK : WEIR_TIMEOUT;
}

/* Sleep in line until there is a slot, the pool closes or the deadline passes. */
static weir_status stand_in_line(weir_pool *pool, struct waiter *waiter, weir_time deadline)
{
    for (;;) {
        weir__pool_wait(pool, &waiter->signal, WAITER_ASLEEP,
                        deadline < waiter->look_at ? deadline : waiter->look_at);

        uint32_t signal = atomic_load_explicit(&waiter->signal, memory_order_acquire);
        if (signal == WAITER_GRANTED)
            return WEIR_OK;
        if (signal == WAITER_CLOSED)
            return WEIR_CLOSED;
        weir_time now = weir__pool_now(pool);
        bool is_late = deadline != WEIR_DEADLINE_NEVER && now >= deadline;
        if (signal == WAITER_ASLEEP && !is_late && now < waiter->look_at)
            continue;

        _Atomic uint32_t *word = NULL;
        weir__lock(&pool->lock);
        weir_status status = look_again_locked(pool, waiter, now, is_late, &word);
        weir__unlock(&pool->lock);
        wake(word);
        if (status != WEIR_RETRY)
            return status;
    }
}

/* Whoever leaves the line while a pause lasts leaves somebody in it who will look when it is over. */
static void pass_the_watch(weir_pool *pool)
{
    weir_time now = weir__line_now(pool);

    weir__lock(&pool->lock);
    _Atomic uint32_t *word = nudge_locked(pool, now);
    weir__unlock(&pool->lock);
    wake(word);
}

/* Who gave up has no slot to count in. */
static void count_failed_wait(weir_pool *pool, const struct waiter *waiter)
{
    weir_time waited = weir__pool_now(pool) - waiter->queued_at;

    weir__lock(&pool->lock);
    weir__histogram_observe(&weir__guarded_locked(pool)->failed_wait_time, waited);
    weir__unlock(&pool->lock);
}

/* Wait in the line where the waiter is already. */
static weir_status await_slot(weir_pool *pool, struct request *request, struct waiter *waiter)
{
    WEIR_PROBE1(wait, pool->options.name);
    weir_status status = stand_in_line(pool, waiter, request->deadline);
    if (status != WEIR_OK) {
        count_failed_wait(pool, waiter);
        return status;
    }
    if (atomic_load_explicit(&pool->peer_limit, memory_order_relaxed) != 0)
        pass_the_watch(pool);
    weir__report_wait(pool, request, waiter);
    return WEIR_OK;
}

weir_status weir__line_take(weir_pool *pool, struct request *request, struct weir_slot **ret_slot,
                            uint64_t *ret_ticket, weir_error *reterr)
{
    (void)weir__request_deadline(pool, request);
    struct waiter waiter = {.since = request->started, .queued_at = request->started};
    weir_time now = weir__line_now(pool);

    weir__lock(&pool->lock);
    weir_status status = take_or_enqueue_locked(pool, request, &waiter, now, ret_slot, ret_ticket);
    weir__unlock(&pool->lock);
    if (status == WEIR_OK && *ret_slot != NULL)
        return WEIR_OK;
    if (status == WEIR_OK)
        status = await_slot(pool, request, &waiter);
    if (status != WEIR_OK)
        return weir__report_no_slot(pool, request, status, reterr);

    *ret_slot = waiter.slot;
    *ret_ticket = waiter.ticket;
    return WEIR_OK;
}

/* ---- what the peer takes ------------------------------------------------------------------- */

static void publish_limit_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    atomic_store_explicit(&pool->peer_limit, weir__guarded_locked(pool)->peer.limit,
                          memory_order_relaxed);
}

void weir__line_note_opened(weir_pool *pool, weir_time began, weir_time now)
{
    weir__lock(&pool->lock);
    weir__peer_opened(&weir__guarded_locked(pool)->peer, weir__slots_count_open_locked(pool),
                      pool->slot_count, began, now);
    publish_limit_locked(pool);
    _Atomic uint32_t *word = nudge_locked(pool, now);
    weir__unlock(&pool->lock);
    wake(word);
}

/*
 * Remember a refusal. False when the pool has nothing else, open or being opened, that could be waited
 * for: then nothing was learned but that the connect failed.
 */
static bool learn_locked(weir_pool *pool, const struct request *request, weir_time now)
    WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    bool has_others = weir__slots_count_taken_locked(pool) > 1;

    if (has_others)
        weir__peer_refused(&g->peer, weir__slots_count_open_locked(pool), request->began, now,
                           weir__scatter(pool->id ^ (uint64_t)now));
    else
        g->peer = (struct peer){0};
    publish_limit_locked(pool);
    return has_others;
}

/* Free the slot, which nobody else could open either, and take another or a place in line. */
static weir_status requeue_locked(weir_pool *pool, struct request *request, struct waiter *waiter,
                                  weir_time now, struct weir_slot **slot, uint64_t *ticket)
    WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    weir_status status = may_wait_locked(pool, request);
    if (status != WEIR_OK)
        return status;
    slot_forget_thread(pool, *slot);
    weir__slots_move_locked(pool, *slot, (*slot)->origin);
    *slot = weir__slots_take_free_locked(pool, now, ticket);
    if (*slot == NULL && g->first == NULL)
        *slot = weir__slots_want_locked(pool, ticket);
    if (*slot == NULL)
        enqueue_locked(pool, waiter, place_by_age_locked(pool, waiter), now);
    return WEIR_OK;
}

weir_status weir__line_retake(weir_pool *pool, struct request *request, struct weir_slot **slot,
                              uint64_t *ticket, weir_error *reterr)
{
    struct weir_slot *given_up = *slot;
    weir_time now = weir__pool_now(pool);
    struct waiter waiter = {.since = request->started, .queued_at = now};
    weir_status status = WEIR_CONNECT;

    weir__lock(&pool->lock);
    bool is_limit = learn_locked(pool, request, now);
    struct peer peer = weir__guarded_locked(pool)->peer;
    if (weir__guarded_locked(pool)->is_closing)
        status = WEIR_CLOSED;
    else if (is_limit)
        status = requeue_locked(pool, request, &waiter, now, slot, ticket);
    weir__unlock(&pool->lock);
    if (is_limit)
        weir__report_limit(pool, request, &peer, now, reterr);
    if (status != WEIR_OK)
        weir__line_free(pool, given_up, *ticket, given_up->origin);
    if (status == WEIR_CONNECT)
        return status;
    if (status == WEIR_OK && *slot == NULL) {
        status = await_slot(pool, request, &waiter);
        *slot = waiter.slot;
        *ticket = waiter.ticket;
    }
    return status == WEIR_OK ? WEIR_OK : weir__report_no_slot(pool, request, status, reterr);
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
