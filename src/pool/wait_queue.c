/* SPDX-License-Identifier: MIT */
/* The queue of those who wait for a slot, and who is served next: under the pool's lock. */
#include "pool/core.h"

#include <assert.h>
#include <stdlib.h>

/* ---- the queue --------------------------------------------------------------------------- */

static void unmark_waiters_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->has_waiters && !g->is_closing && g->first == NULL)
        weir__slots_unmark_waiters_locked(pool);
}

/* When a waiter has to check by itself: a returned connection finds it, but nobody else tells it that the
 * pause is over after which the peer is asked for one more. */
static weir_time next_check_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    return g->peer.limit > 0 && g->peer.retry_at > now ? g->peer.retry_at : WEIR_DEADLINE_NEVER;
}

/* Behind whom one comes who was queued already: before those who began their acquire later. */
static struct waiter *place_by_age_locked(weir_pool *pool, const struct waiter *waiter)
    WEIR_REQUIRES(pool->lock)
{
    struct waiter *before = weir__guarded_locked(pool)->last;

    while (before != NULL && before->since > waiter->since)
        before = before->previous;
    return before;
}

/* Into the queue behind another, or as the first of all when that is NULL. */
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
    waiter->check_at = next_check_locked(pool, now);
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
    unmark_waiters_locked(pool);
}

/*
 * Tell a waiter. The caller wakes its word after unlocking; from the store on, the node is gone
 * when the signal is final. The release order hands over what the slot's last holder wrote.
 */
static void signal_locked(struct waiter *waiter, enum waiter_signal signal)
{
    atomic_store_explicit(&waiter->signal, (uint32_t)signal, memory_order_release);
}

/* Hand a slot that is LEASED to the caller to the first waiter. */
static _Atomic uint32_t *hand_over_locked(weir_pool *pool, struct weir_slot *slot,
                                          enum slot_state fate) WEIR_REQUIRES(pool->lock)
{
    struct waiter *waiter = weir__guarded_locked(pool)->first;
    _Atomic uint32_t *word = &waiter->signal;

    unlink_locked(pool, waiter);
    waiter->slot = slot;
    waiter->token = weir__slots_lease_locked(pool, slot, fate);
    atomic_fetch_add_explicit(&pool->handed_over, 1, memory_order_relaxed);
    signal_locked(waiter, WAITER_GRANTED);
    return word;
}

/* Whether the first waiter sleeps on although a pause will be over: it came before there was one. */
static bool is_unaware_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock)
{
    return weir__guarded_locked(pool)->first->check_at == WEIR_DEADLINE_NEVER &&
           next_check_locked(pool, now) != WEIR_DEADLINE_NEVER;
}

/* Let the first waiter check for itself, when there is one and something to find. One that was told
 * and has not checked yet need not be told again. */
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

bool weir__queue_is_strict_locked(weir_pool *pool, weir_time now)
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

_Atomic uint32_t *weir__queue_give_locked(weir_pool *pool, struct weir_slot *slot,
                                          enum slot_state fate, weir_time now)
{
    struct guarded *g = weir__guarded_locked(pool);

    if (g->first != NULL && weir__queue_is_strict_locked(pool, now) &&
        is_of_use_locked(pool, fate, now))
        return hand_over_locked(pool, slot, fate);
    weir__slots_move_locked(pool, slot, fate);
    return nudge_locked(pool, now);
}

/* ---- taking ------------------------------------------------------------------------------ */

/* Why no slot can be had without waiting, or WEIR_OK when the caller may wait. */
static weir_status may_wait_locked(weir_pool *pool, struct acquire *acquire)
    WEIR_REQUIRES(pool->lock)
{
    assert(acquire->is_resolved);
    if (acquire->deadline != WEIR_DEADLINE_NEVER && acquire->deadline <= acquire->started)
        return WEIR_TIMEOUT;
    if (weir__guarded_locked(pool)->waiters >= pool->options.max_waiters)
        return WEIR_FULL;
    return WEIR_OK;
}

/* Find a slot, or queue the waiter. *ret_slot is NULL in the second case. */
static weir_status take_or_enqueue_locked(weir_pool *pool, struct acquire *acquire,
                                          struct waiter *waiter, weir_time now,
                                          struct weir_slot **ret_slot, uint64_t *ret_token)
    WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    bool is_first = g->first == NULL;

    if (g->is_closing)
        return WEIR_CLOSED;
    *ret_slot = NULL;
    if (is_first || pool->options.handoff_after_us > 0)
        *ret_slot = weir__slots_take_free_locked(pool, now, ret_token);
    if (*ret_slot != NULL) {
        if (!is_first)
            atomic_fetch_add_explicit(&pool->overtaken, 1, memory_order_relaxed);
        return WEIR_OK;
    }
    weir_status status = may_wait_locked(pool, acquire);
    if (status != WEIR_OK)
        return status;
    if (is_first)
        *ret_slot = weir__slots_mark_waiters_locked(pool, ret_token);
    if (*ret_slot == NULL)
        enqueue_locked(pool, waiter, g->last, now);
    return WEIR_OK;
}

/* Something may be had, and others are before the one who noticed: it is the first's. */
static _Atomic uint32_t *serve_first_locked(weir_pool *pool, weir_time now)
    WEIR_REQUIRES(pool->lock)
{
    uint64_t token;
    struct weir_slot *slot = weir__slots_take_free_locked(pool, now, &token);

    if (slot == NULL)
        return NULL;
    return hand_over_locked(pool, slot, slot->connection != NULL ? SLOT_IDLE : slot->origin);
}

/*
 * After a wake-up or at the deadline: has the waiter a slot, or does it go on waiting? A grant that
 * raced with the deadline is taken. *ret_word is somebody else to wake.
 */
static weir_status check_again_locked(weir_pool *pool, struct waiter *waiter, weir_time now,
                                      bool is_late, _Atomic uint32_t **ret_word)
    WEIR_REQUIRES(pool->lock)
{
    uint32_t signal = atomic_load_explicit(&waiter->signal, memory_order_acquire);
    bool is_first = weir__guarded_locked(pool)->first == waiter;

    if (signal == WAITER_GRANTED)
        return WEIR_OK;
    if (signal == WAITER_CLOSED)
        return WEIR_CLOSED;
    bool has_to_check = signal == WAITER_NUDGED || (!is_late && now >= waiter->check_at);
    waiter->slot = NULL;
    if (has_to_check && is_first)
        waiter->slot = weir__slots_take_free_locked(pool, now, &waiter->token);
    else if (has_to_check && !is_late)
        *ret_word = serve_first_locked(pool, now);
    waiter->check_at = next_check_locked(pool, now);
    signal_locked(waiter, WAITER_ASLEEP);
    if (waiter->slot == NULL && !is_late)
        return WEIR_RETRY;
    unlink_locked(pool, waiter);
    *ret_word = nudge_locked(pool, now);
    return waiter->slot != NULL ? WEIR_OK : WEIR_TIMEOUT;
}

/* Sleep in the queue until there is a slot, the pool closes or the deadline passes. */
static weir_status sleep_in_queue(weir_pool *pool, struct waiter *waiter, weir_time deadline)
{
    for (;;) {
        weir__pool_wait(pool, &waiter->signal, WAITER_ASLEEP,
                        deadline < waiter->check_at ? deadline : waiter->check_at);

        uint32_t signal = atomic_load_explicit(&waiter->signal, memory_order_acquire);
        if (signal == WAITER_GRANTED)
            return WEIR_OK;
        if (signal == WAITER_CLOSED)
            return WEIR_CLOSED;
        weir_time now = weir__pool_now(pool);
        bool is_late = deadline != WEIR_DEADLINE_NEVER && now >= deadline;
        if (signal == WAITER_ASLEEP && !is_late && now < waiter->check_at)
            continue;

        _Atomic uint32_t *word = NULL;
        weir__lock(&pool->lock);
        weir_status status = check_again_locked(pool, waiter, now, is_late, &word);
        weir__unlock(&pool->lock);
        weir__queue_wake(word);
        if (status != WEIR_RETRY)
            return status;
    }
}

/* Whoever leaves the queue while a pause lasts leaves somebody in it who will check when it is over. */
static void pass_the_watch(weir_pool *pool)
{
    weir_time now = weir__queue_now(pool);

    weir__lock(&pool->lock);
    _Atomic uint32_t *word = nudge_locked(pool, now);
    weir__unlock(&pool->lock);
    weir__queue_wake(word);
}

/* Who gave up has no slot to count in. */
static void count_failed_wait(weir_pool *pool, const struct waiter *waiter)
{
    weir_time waited = weir__pool_now(pool) - waiter->queued_at;

    weir__lock(&pool->lock);
    weir__histogram_observe(&weir__guarded_locked(pool)->failed_wait_time, waited);
    weir__unlock(&pool->lock);
}

/* Wait in the queue where the waiter is already. */
static weir_status await_slot(weir_pool *pool, struct acquire *acquire, struct waiter *waiter)
{
    WEIR_PROBE1(wait, pool->options.name);
    weir_status status = sleep_in_queue(pool, waiter, acquire->deadline);
    if (status != WEIR_OK) {
        count_failed_wait(pool, waiter);
        return status;
    }
    if (atomic_load_explicit(&pool->peer_limit, memory_order_relaxed) != 0)
        pass_the_watch(pool);
    weir__report_wait(pool, acquire, waiter);
    return WEIR_OK;
}

weir_status weir__queue_take(weir_pool *pool, struct acquire *acquire, struct weir_slot **ret_slot,
                             uint64_t *ret_token, weir_error *reterr)
{
    (void)weir__acquire_deadline(pool, acquire);
    struct waiter waiter = {.since = acquire->started, .queued_at = acquire->started};
    weir_time now = weir__queue_now(pool);

    weir__lock(&pool->lock);
    weir_status status = take_or_enqueue_locked(pool, acquire, &waiter, now, ret_slot, ret_token);
    weir__unlock(&pool->lock);
    if (status == WEIR_OK && *ret_slot != NULL)
        return WEIR_OK;
    if (status == WEIR_OK)
        status = await_slot(pool, acquire, &waiter);
    if (status != WEIR_OK)
        return weir__report_no_slot(pool, acquire, status, reterr);

    *ret_slot = waiter.slot;
    *ret_token = waiter.token;
    return WEIR_OK;
}

/* ---- what the peer takes ------------------------------------------------------------------- */

static void publish_limit_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    atomic_store_explicit(&pool->peer_limit, weir__guarded_locked(pool)->peer.limit,
                          memory_order_relaxed);
}

void weir__queue_note_opened(weir_pool *pool, weir_time began, weir_time now)
{
    weir__lock(&pool->lock);
    weir__peer_opened(&weir__guarded_locked(pool)->peer, weir__slots_count_open_locked(pool),
                      pool->slot_count, began, now);
    publish_limit_locked(pool);
    _Atomic uint32_t *word = nudge_locked(pool, now);
    weir__unlock(&pool->lock);
    weir__queue_wake(word);
}

/*
 * Remember a refusal. False when the pool has nothing else, open or being opened, that could be waited
 * for: then nothing was learned but that the connect failed.
 */
static bool learn_locked(weir_pool *pool, const struct acquire *acquire, weir_time now)
    WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    bool has_others = weir__slots_count_taken_locked(pool) > 1;

    if (has_others)
        weir__peer_refused(&g->peer, weir__slots_count_open_locked(pool), acquire->began, now,
                           weir__scatter(pool->id ^ (uint64_t)now));
    else
        g->peer = (struct peer){0};
    publish_limit_locked(pool);
    return has_others;
}

/* Free the slot, which nobody else could open either, and take another or a place in the queue. */
static weir_status requeue_locked(weir_pool *pool, struct acquire *acquire, struct waiter *waiter,
                                  weir_time now, struct weir_slot **slot, uint64_t *token)
    WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);

    weir_status status = may_wait_locked(pool, acquire);
    if (status != WEIR_OK)
        return status;
    slot_forget_thread(pool, *slot);
    weir__slots_move_locked(pool, *slot, (*slot)->origin);
    *slot = weir__slots_take_free_locked(pool, now, token);
    if (*slot == NULL && g->first == NULL)
        *slot = weir__slots_mark_waiters_locked(pool, token);
    if (*slot == NULL)
        enqueue_locked(pool, waiter, place_by_age_locked(pool, waiter), now);
    return WEIR_OK;
}

weir_status weir__queue_retake(weir_pool *pool, struct acquire *acquire, struct weir_slot **slot,
                               uint64_t *token, weir_error *reterr)
{
    struct weir_slot *given_up = *slot;
    weir_time now = weir__pool_now(pool);
    struct waiter waiter = {.since = acquire->started, .queued_at = now};
    weir_status status = WEIR_CONNECT;

    weir__lock(&pool->lock);
    bool is_limit = learn_locked(pool, acquire, now);
    struct peer peer = weir__guarded_locked(pool)->peer;
    if (weir__guarded_locked(pool)->is_closing)
        status = WEIR_CLOSED;
    else if (is_limit)
        status = requeue_locked(pool, acquire, &waiter, now, slot, token);
    weir__unlock(&pool->lock);
    if (is_limit)
        weir__report_limit(pool, acquire, &peer, now, reterr);
    if (status != WEIR_OK)
        weir__slot_free(pool, given_up, *token, given_up->origin);
    if (status == WEIR_CONNECT)
        return status;
    if (status == WEIR_OK && *slot == NULL) {
        status = await_slot(pool, acquire, &waiter);
        *slot = waiter.slot;
        *token = waiter.token;
    }
    return status == WEIR_OK ? WEIR_OK : weir__report_no_slot(pool, acquire, status, reterr);
}

/* ---- closing ----------------------------------------------------------------------------- */

void weir__queue_close(weir_pool *pool)
{
    weir__lock(&pool->lock);
    struct guarded *g = weir__guarded_locked(pool);
    struct waiter *waiter = g->first;

    g->is_closing = true;
    weir__slots_mark_closing_locked(pool);
    weir__slots_vacate_empty_locked(pool);
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
