/* SPDX-License-Identifier: MIT */
/* A slot: one atomic word that says who may touch it, and what its holder knows of the connection. */
#ifndef WEIR_POOL_SLOTS_H
#define WEIR_POOL_SLOTS_H

#include <weir/pool.h>

#include <stdatomic.h>

/*
 * The word of a slot
 *
 *     63                                8   4        3               2         1   0
 *    +-----------------------------------+-------+---------------+-------------+-------+
 *    | generation: counts the leases     | unused| OVER_CAPACITY | HAS_WAITERS | state |
 *    +-----------------------------------+-------+---------------+-------------+-------+
 *
 * Three transitions are lock-free, each one compare-and-swap by whoever wins it:
 *     IDLE, no HAS_WAITERS       -> LEASED, generation + 1    acquire   (order: acquire)
 *     LEASED, neither flag       -> IDLE, same generation     release   (order: release)
 *     LEASED                     -> LEASED, generation + 1    claim     (order: relaxed)
 * Every other write is made under the pool's lock, and, while the slot is LEASED, only at the wish
 * of its holder; the two flags alone may be set and cleared (under the lock) in any state.
 *
 * HAS_WAITERS    somebody waits, or the pool is closing. It stands in every word or in none, whenever
 *                the lock is free, so a releaser cannot miss it: it is in the word that its swap
 *                compares.
 * OVER_CAPACITY  more connections count than are kept, so a release must ask under the lock whether
 *                its connection is to be closed. In every word or in none, as HAS_WAITERS.
 * generation     makes each lease's word unique: a lease given back twice compares unequal. The word
 *                without its flags is the lease's token.
 */
enum slot_state {
    SLOT_VACANT, /* no connection, and none counted */
    SLOT_IDLE,   /* a connection nobody uses */
    SLOT_EMPTY,  /* counted, but its connection was closed: the next holder opens another */
    SLOT_LEASED  /* somebody's: lent, or being opened, checked or closed */
};

#define SLOT_STATE UINT64_C(3)
#define SLOT_HAS_WAITERS UINT64_C(4)
#define SLOT_OVER_CAPACITY UINT64_C(8)
#define SLOT_FLAGS (SLOT_HAS_WAITERS | SLOT_OVER_CAPACITY)
#define SLOT_GENERATION UINT64_C(256)

/* What a slot's holder counts, with no one else writing. */
enum slot_count {
    COUNT_CHECKOUTS,
    COUNT_CONNECTS,
    COUNT_CONNECT_ERRORS,
    COUNT_CLOSES,
    COUNT_PINGS,
    COUNT_PING_FAILURES,
    COUNT_RESETS,
    COUNT_DETACHED,
    SLOT_COUNTS
};

/* A histogram with one writer at a time; readers may be late, never torn. */
struct histogram {
    _Atomic weir_time sum;
    _Atomic weir_time max;
    _Atomic uint64_t buckets[WEIR_HISTOGRAM_BUCKETS];
};

/*
 * One slot. Two cache lines for the loan itself (aligned to a pair, which some processors fetch
 * together), then what is only counted. All fields but the word belong to the holder; atomics among
 * them may be read by anybody for the lists of holders and the statistics.
 */
struct weir_slot {
    _Alignas(128) _Atomic uint64_t word;
    void *connection;
    _Atomic weir_time last_used;
    _Atomic weir_time expires_at;  /* after this instant it is replaced; INT64_MIN: soft */
    _Atomic weir_time fresh_until; /* up to this instant neither replaced nor pinged */
    _Atomic weir_time acquired_at;
    const char *_Atomic file;
    _Atomic int line;
    _Atomic int thread;
    uint64_t timed_at;              /* the checkout whose use is measured next */
    _Atomic weir_time use_started;  /* 0: this use is not measured */
    _Atomic uint64_t connection_id; /* 0: none open */
    _Atomic uint32_t epoch;         /* the pool's when it was opened */
    enum slot_state origin; /* VACANT or EMPTY while nothing is open: where a failed open puts it */
    weir_time opened_at;
    _Atomic weir_time leak_told; /* acquired_at of the loan that was last reported as a leak;
                                  * written by weir_pool_maintain(), once per loan */

    _Atomic bool is_cancelling; /* its holder is done; see weir_pool_set_cancelling() */

    _Atomic uint64_t counts[SLOT_COUNTS];
    _Atomic uint64_t closed_by[WEIR_REASON_COUNT];
    struct histogram wait_time;
    struct histogram create_time;
    struct histogram use_time;

    weir_time open_took;
    bool is_announced; /* the listeners know of the connection */
};

static inline enum slot_state slot_state(uint64_t word)
{
    return (enum slot_state)(word & SLOT_STATE);
}

/* The word of the lease that begins when an IDLE `word` is taken. */
static inline uint64_t slot_taken(uint64_t word)
{
    return word - SLOT_IDLE + SLOT_LEASED + SLOT_GENERATION;
}

/* The lock-free acquire: IDLE, not wanted -> LEASED. On failure *word is what stands there now. */
static inline bool slot_try_take(struct weir_slot *slot, uint64_t *word)
{
    return atomic_compare_exchange_strong_explicit(&slot->word, word, slot_taken(*word),
                                                   memory_order_acquire, memory_order_relaxed);
}

/* The lock-free release: exactly this loan, without flags -> IDLE. Fails for any other word. */
static inline bool slot_try_put(struct weir_slot *slot, uint64_t token)
{
    return atomic_compare_exchange_strong_explicit(&slot->word, &token,
                                                   token - SLOT_LEASED + SLOT_IDLE,
                                                   memory_order_release, memory_order_relaxed);
}

/*
 * The right to end a loan, given once: the loan's word changes, so that a copy of the lease is refused
 * from here on, while its connection is still being reset or closed. Orders nothing: the one who
 * claims holds the slot already.
 */
static inline bool slot_claim(struct weir_slot *slot, uint64_t *token)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

    while ((word & ~SLOT_FLAGS) == *token) {
        if (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word + SLOT_GENERATION,
                                                   memory_order_relaxed, memory_order_relaxed))
            continue;
        *token += SLOT_GENERATION;
        return true;
    }
    return false;
}

/* Count, by the holder: a plain addition, made atomic only for those who read. */
static inline void slot_bump(_Atomic uint64_t *count)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/*
 * Store only what changes. A locked swap waits until earlier stores have left the processor, and a
 * loop that borrows at one place stores the same things every time.
 */
#define slot_note(place, value)                                                                    \
    do {                                                                                           \
        if (atomic_load_explicit(place, memory_order_relaxed) != (value))                          \
            atomic_store_explicit(place, value, memory_order_relaxed);                             \
    } while (0)

#endif
