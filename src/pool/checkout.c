/* SPDX-License-Identifier: MIT */
/* Checkout and checkin of a connection: acquire, and the ways to give back. Both fast paths take no lock. */
#include "pool/validation.h"

#include <stdlib.h>
#include <string.h>

/*
 * What a thread remembers of the pools it uses: the slot it borrowed last, and the word that stands
 * there once that loan is back. If nobody else used the slot since, one swap takes it again, without
 * reading the word first (a read of a word just swapped waits for the swap). A pool's id chooses the
 * place; two pools that share one only lose the fast path.
 */
struct hint {
    struct weir_slot *slot; /* valid as long as the pool of this id is */
    uint64_t word;
    uint64_t pool_id;
    int thread; /* the kernel's id of this thread, where the hot path finds it */
};

#define HINTS 4

/* Both ends of the hot path begin a cache line: where they begin within one is otherwise left to what stands
 * before them, and was seen to cost 8 % of an acquire and release. */
#define HOT __attribute__((aligned(64)))

static _Thread_local struct hint hints[HINTS] __attribute__((tls_model("initial-exec")));

/* A forked child's one thread has another id than the one it copied. */
static void forget_hints(void)
{
    memset(hints, 0, sizeof hints);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_hints);
}

void weir__checkout_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
    weir__thread_init();
}

static struct hint *hint_of(weir_pool *pool)
{
    return &hints[pool->id % HINTS];
}

static void remember(weir_pool *pool, struct weir_slot *slot, uint64_t token)
{
    if (!pool->has_hints)
        return;
    *hint_of(pool) =
        (struct hint){slot, token - SLOT_LEASED + SLOT_IDLE, pool->id, weir__this_thread()};
}

/* ---- acquire ----------------------------------------------------------------------------- */

/* Look through the slots from `start` for an idle one that nobody waits for. */
static struct weir_slot *scan(weir_pool *pool, int start, uint64_t *ret_token)
{
    int high_water = atomic_load_explicit(&pool->high_water, memory_order_relaxed);
    int at = high_water > 0 ? start % high_water : 0;

    for (int i = 0; i < high_water; i++, at = at + 1 < high_water ? at + 1 : 0) {
        struct weir_slot *slot = &pool->slots[at];
        uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

        if ((word & SLOT_HAS_WAITERS) != 0)
            return NULL;
        while (slot_state(word) == SLOT_IDLE && (word & SLOT_HAS_WAITERS) == 0) {
            if (!slot_try_take(slot, &word))
                continue;
            *ret_token = slot_taken(word) & ~SLOT_FLAGS;
            return slot;
        }
    }
    return NULL;
}

/* The lock-free half, without or with the hint tried before. */
static struct weir_slot *take_lock_free(weir_pool *pool, uint64_t *ret_token)
{
    struct hint *hint = hint_of(pool);

    if (pool->options.use_lifo)
        return scan(pool, 0, ret_token);
    return scan(pool,
                hint->pool_id == pool->id ? (int)(hint->slot - pool->slots) : weir__this_thread(),
                ret_token);
}

/* Say who holds the slot: before validation, so that one who opens for long is seen too. Who reads
 * this thread there reads this loan's place and time with it. */
static inline __attribute__((always_inline)) void stamp(struct weir_slot *slot, weir_time now,
                                                        const char *file, int line, int thread)
{
    slot_note(&slot->acquired_at, now);
    slot_note(&slot->file, file);
    slot_note(&slot->line, line);
    if (atomic_load_explicit(&slot->thread, memory_order_relaxed) != thread)
        atomic_store_explicit(&slot->thread, thread, memory_order_release);
}

static void fill_lease(weir_pool *pool, struct weir_slot *slot, uint64_t token,
                       weir_lease *ret_lease)
{
    slot_bump(&slot->counts[COUNT_CHECKOUTS]);
    *ret_lease = (weir_lease){slot->connection, pool, slot, token};
}

static bool is_timed(struct weir_slot *slot)
{
    return atomic_load_explicit(&slot->counts[COUNT_CHECKOUTS], memory_order_relaxed) >=
           slot->timed_at;
}

/* One use in so many is measured. */
static void begin_use(weir_pool *pool, struct weir_slot *slot)
{
    if (!is_timed(slot))
        return;
    slot->timed_at = atomic_load_explicit(&slot->counts[COUNT_CHECKOUTS], memory_order_relaxed) +
                     (uint64_t)pool->options.use_time_every;
    atomic_store_explicit(&slot->use_started, weir__pool_now(pool), memory_order_relaxed);
}

/* Validate the connection of a slot in hand, or open one, and lease the slot or free it. */
static __attribute__((noinline)) weir_status
finish_checkout(weir_pool *pool, struct weir_slot *slot, uint64_t token, struct acquire *acquire,
                weir_lease *ret_lease, weir_error *reterr)
{
    weir_error unheard;
    weir_status status = WEIR_OK;

    if (reterr == NULL)
        reterr = &unheard;
    do {
        weir_time now = weir__pool_coarse_now(pool);

        stamp(slot, now, acquire->file, acquire->line, weir__this_thread());
        acquire->is_peer_full = false;
        status = weir__slot_ready(pool, slot, now, acquire, reterr);
        if (acquire->is_peer_full)
            status = weir__queue_retake(pool, acquire, &slot, &token, reterr);
        else if (status != WEIR_OK)
            weir__slot_free(pool, slot, token, slot->connection != NULL ? SLOT_IDLE : slot->origin);
        if (status != WEIR_OK)
            return status;
    } while (acquire->is_peer_full);
    begin_use(pool, slot);
    remember(pool, slot, token);
    fill_lease(pool, slot, token, ret_lease);
    WEIR_PROBE2(acquire, pool->options.name, acquire->waited);
    return WEIR_OK;
}

static __attribute__((noinline)) weir_status acquire_slowly(weir_pool *pool, weir_time deadline,
                                                            weir_lease *ret_lease,
                                                            weir_error *reterr, const char *file,
                                                            int line)
{
    struct acquire acquire = {.deadline = deadline, .file = file, .line = line};
    uint64_t token = 0;

    if (pool->options.nested != WEIR_NESTED_ALLOW) {
        weir_status status = weir__check_nested(pool, &acquire, reterr);
        if (status != WEIR_OK)
            return status;
    }
    struct weir_slot *slot = take_lock_free(pool, &token);
    if (slot == NULL) {
        weir_status status = weir__queue_take(pool, &acquire, &slot, &token, reterr);
        if (status != WEIR_OK)
            return status;
    }
    return finish_checkout(pool, slot, token, &acquire, ret_lease, reterr);
}

/* The hint's slot is taken: go on with the validation. The arguments are the hot path's own, so that it
 * can jump here. */
static __attribute__((noinline)) weir_status finish_hinted(weir_pool *pool, weir_time deadline,
                                                           weir_lease *ret_lease,
                                                           weir_error *reterr, const char *file,
                                                           int line)
{
    struct acquire acquire = {.deadline = deadline, .file = file, .line = line};
    struct hint *hint = hint_of(pool);

    return finish_checkout(pool, hint->slot, slot_taken(hint->word), &acquire, ret_lease, reterr);
}

/* Whether an idle connection can be lent without a call to anything: driver, listener or clock. */
static inline bool is_ready(weir_pool *pool, struct weir_slot *slot, weir_time now)
{
    return atomic_load_explicit(&pool->is_plain, memory_order_relaxed) && !is_timed(slot) &&
           now <= atomic_load_explicit(&slot->fresh_until, memory_order_relaxed) &&
           slot_is_current(pool, slot);
}

/* The hot path: the thread's own slot is as the thread left it, and fresh. It calls nothing: what
 * it cannot settle by comparing, it jumps to. */
HOT weir_status weir_pool_acquire_at(weir_pool *pool, weir_time deadline, weir_lease *ret_lease,
                                     weir_error *reterr, const char *file, int line)
{
    struct hint *hint = hint_of(pool);
    if (hint->pool_id != pool->id)
        return acquire_slowly(pool, deadline, ret_lease, reterr, file, line);

    struct weir_slot *slot = hint->slot;
    uint64_t word = hint->word;
    if (!slot_try_take(slot, &word))
        return acquire_slowly(pool, deadline, ret_lease, reterr, file, line);

    weir_time now = atomic_load_explicit(&weir__coarse_word, memory_order_relaxed);
    if (!is_ready(pool, slot, now))
        return finish_hinted(pool, deadline, ret_lease, reterr, file, line);
    hint->word = word + SLOT_GENERATION;
    stamp(slot, now, file, line, hint->thread);
    fill_lease(pool, slot, slot_taken(word), ret_lease);
    WEIR_PROBE2(acquire, pool->options.name, (weir_time)0);
    return WEIR_OK;
}

/* ---- giving back ------------------------------------------------------------------------- */

static weir_status misuse(weir_pool *pool)
{
    atomic_fetch_add_explicit(&pool->misuses, 1, memory_order_relaxed);
    return WEIR_MISUSE;
}

/* Returns how long it was, 0 where it was not measured. */
static weir_time end_use(weir_pool *pool, const weir_lease *lease)
{
    struct weir_slot *slot = lease->slot;
    weir_time started = atomic_load_explicit(&slot->use_started, memory_order_relaxed);

    slot_freshen(pool, slot, weir__pool_coarse_now(pool));
    if (started == 0)
        return 0;
    weir_time used = weir__pool_now(pool) - started;
    weir__histogram_observe(&slot->use_time, used);
    atomic_store_explicit(&slot->use_started, 0, memory_order_relaxed);
    return used;
}

/* Whether a connection can be put to rest as it is: nobody takes part, nothing is measured, and it is
 * known already that it was in use at this step of the coarse clock. */
static inline bool is_simple_return(weir_pool *pool, struct weir_slot *slot, weir_time now)
{
    return atomic_load_explicit(&pool->is_plain, memory_order_relaxed) &&
           now == atomic_load_explicit(&slot->last_used, memory_order_relaxed) &&
           atomic_load_explicit(&slot->use_started, memory_order_relaxed) == 0 &&
           slot_is_current(pool, slot);
}

/* The token of a detached lease is its connection's id. */
static weir_status close_detached(weir_lease *lease)
{
    weir_lease loan = *lease;
    weir_pool *pool = loan.pool;

    if (!weir__detached_claim(pool, loan.token))
        return misuse(pool);
    *lease = (weir_lease){0};
    weir_pool_event event = {.connection = loan.connection, .connection_id = loan.token};
    weir__emit(pool, WEIR_EVENT_CLOSE_DETACHED, &event);
    WEIR_PROBE2(close, pool->options.name, "detached");
    pool->driver.close(pool->driver_arg, loan.connection);
    weir__detached_drop(pool, loan.token);
    return WEIR_OK;
}

/* Put a slot with an open connection to rest, under the lock: somebody waits, or the lease is not
 * what it says. */
static __attribute__((noinline)) weir_status put_slowly(weir_lease *lease)
{
    weir_pool *pool = lease->pool;

    if (!slot_claim(lease->slot, &lease->token))
        return misuse(pool);
    weir__slot_free(pool, lease->slot, lease->token, SLOT_IDLE);
    *lease = (weir_lease){0};
    return WEIR_OK;
}

/* Put a slot with an open connection to rest: one swap, when nobody waits. After it the pool may be
 * gone. */
static inline weir_status put(weir_lease *lease)
{
    if (!slot_try_put(lease->slot, lease->token))
        return put_slowly(lease);
    *lease = (weir_lease){0};
    return WEIR_OK;
}

/* What broke a connection, for one that is given back to be closed. */
struct breakage {
    const weir_error *cause;
};

/* Reset the connection, or close it when it is broken, and free the slot. */
static __attribute__((noinline)) weir_status give_back(weir_lease *lease,
                                                       const struct breakage *broken)
{
    weir_pool *pool = lease->pool;
    if (pool == NULL)
        return WEIR_OK;
    if (lease->slot == NULL)
        return close_detached(lease);

    struct weir_slot *slot = lease->slot;
    if (!slot_claim(slot, &lease->token))
        return misuse(pool);
    weir_time used = end_use(pool, lease);
    WEIR_PROBE2(release, pool->options.name, used);
    if (broken != NULL)
        weir__slot_close(pool, slot, WEIR_REASON_DISCARDED, broken->cause);
    else
        weir__slot_clean(pool, slot);
    weir__emit_for(pool, slot, WEIR_EVENT_CHECKIN, WEIR_REASON_NONE, NULL);
    if (slot->connection != NULL) {
        remember(pool, slot, lease->token);
        slot_forget_thread(pool, slot);
        return put(lease);
    }
    weir__slot_free(pool, slot, lease->token, SLOT_EMPTY);
    *lease = (weir_lease){0};
    return WEIR_OK;
}

HOT weir_status weir_pool_release(weir_lease *lease)
{
    struct weir_slot *slot = lease->slot;
    if (slot == NULL)
        return give_back(lease, NULL);

    weir_pool *pool = lease->pool;
    weir_time now = atomic_load_explicit(&weir__coarse_word, memory_order_relaxed);
    if (!is_simple_return(pool, slot, now))
        return give_back(lease, NULL);
    WEIR_PROBE2(release, pool->options.name, (weir_time)0);
    return put(lease);
}

weir_status weir_pool_discard(weir_lease *lease, const weir_error *error)
{
    return give_back(lease, &(struct breakage){error});
}

weir_status weir_pool_soft_invalidate(weir_lease *lease)
{
    weir_pool *pool = lease->pool;
    if (pool == NULL || lease->slot == NULL)
        return WEIR_MISUSE;

    struct weir_slot *slot = lease->slot;
    if (!weir__slot_owns(slot, lease->token))
        return misuse(pool);
    atomic_store_explicit(&slot->expires_at, INT64_MIN, memory_order_relaxed);
    atomic_store_explicit(&slot->fresh_until, INT64_MIN, memory_order_relaxed);
    weir__emit_for(pool, slot, WEIR_EVENT_SOFT_INVALIDATE, WEIR_REASON_NONE, NULL);
    return WEIR_OK;
}

weir_status weir_pool_set_cancelling(weir_lease *lease)
{
    weir_pool *pool = lease->pool;
    if (pool == NULL || lease->slot == NULL)
        return WEIR_OK;

    struct weir_slot *slot = lease->slot;
    if (!slot_claim(slot, &lease->token))
        return misuse(pool);
    atomic_store_explicit(&slot->thread, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->is_cancelling, true, memory_order_relaxed);
    /* Not this step's, so that the return does not take the way that forgets nobody. */
    atomic_store_explicit(&slot->last_used, INT64_MIN, memory_order_relaxed);
    return WEIR_OK;
}

weir_status weir_pool_detach(weir_lease *lease)
{
    weir_pool *pool = lease->pool;
    if (pool == NULL || lease->slot == NULL)
        return WEIR_MISUSE;

    struct weir_slot *slot = lease->slot;
    struct detached *detached = malloc(sizeof *detached);
    if (detached == NULL)
        return WEIR_NO_MEMORY;
    if (!slot_claim(slot, &lease->token)) {
        free(detached);
        return misuse(pool);
    }

    uint64_t token = lease->token;
    *detached = (struct detached){.connection_id = weir_lease_connection_id(lease)};
    (void)end_use(pool, lease);
    weir__emit_for(pool, slot, WEIR_EVENT_DETACH, WEIR_REASON_NONE, NULL);
    weir__detached_add(pool, detached);
    slot->connection = NULL;
    slot->origin = SLOT_EMPTY;
    atomic_store_explicit(&slot->connection_id, 0, memory_order_relaxed);
    slot_bump(&slot->counts[COUNT_DETACHED]);
    lease->slot = NULL;
    lease->token = detached->connection_id;
    weir__slot_free(pool, slot, token, SLOT_EMPTY);
    return WEIR_OK;
}

uint64_t weir_lease_connection_id(const weir_lease *lease)
{
    if (lease->pool == NULL)
        return 0;
    if (lease->slot == NULL)
        return lease->token;
    return atomic_load_explicit(&lease->slot->connection_id, memory_order_relaxed);
}
