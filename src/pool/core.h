/* SPDX-License-Identifier: MIT */
/* The pool's own struct and what its files share. Who may change what stands on the fields. */
#ifndef WEIR_POOL_CORE_H
#define WEIR_POOL_CORE_H

#include "base/coarse_clock.h"
#include "base/park.h"
#include "common/lock.h"
#include "common/random.h"
#include "probes.h"
#include "pool/peer.h"
#include "pool/slots.h"

#define LISTENERS 8
#define NAME_SIZE 64

/* What a waiter finds in its signal. */
enum waiter_signal {
    WAITER_ASLEEP,
    WAITER_GRANTED, /* `slot` is leased to it */
    WAITER_NUDGED,  /* a slot may be free: check, and sleep on if it is not */
    WAITER_CLOSED   /* the pool closes; it has left the queue */
};

/*
 * One who waits, on its own stack. Linked while queued. All under the lock, except that the waiter
 * itself reads its signal; once that says GRANTED or CLOSED nobody else touches the node.
 */
struct waiter {
    struct waiter *next;
    struct waiter *previous;
    struct weir_slot *slot;
    uint64_t token;
    weir_time since;     /* the acquire began: who returns to the queue is placed by it */
    weir_time queued_at; /* it entered the queue */
    weir_time check_at; /* it wakes then to check whether the peer takes more; NEVER: it need not */
    _Atomic uint32_t signal;
};

struct pool_listener {
    unsigned mask;
    weir_pool_listener *function;
    void *arg;
};

/* How far the one FIRST_CONNECT of a pool has come. */
enum first_connect { FIRST_CONNECT_DUE, FIRST_CONNECT_NOW, FIRST_CONNECT_DONE };

/* A connection that left the pool and is not yet closed. */
struct detached {
    struct detached *next;
    uint64_t connection_id;
    bool is_claimed; /* somebody is closing it */
};

/* What the lock guards. */
struct guarded {
    struct waiter *first;
    struct waiter *last;
    int waiters;
    int counted; /* slots that are not VACANT; changed by weir__slots_move_locked() alone */
    bool is_over_capacity; /* OVER_CAPACITY stands in every word */
    bool has_waiters;      /* HAS_WAITERS stands in every word */
    bool is_closing;
    bool is_orphaned; /* given up by its owner: the last lease frees it */
    struct detached *detached;
    struct peer peer;                  /* what is known of how many connections the peer takes */
    struct histogram failed_wait_time; /* of those who left the queue without a slot */
};

struct weir_pool {
    /* immutable after open */
    weir_pool_options options;
    char name[NAME_SIZE];
    weir_driver driver;
    void *driver_arg;
    struct weir_slot *slots;
    int slot_count;
    int kept; /* how many connections may stay idle */
    uint64_t id;
    bool has_hints;        /* threads come back to their slot, time is the machine's, and an acquire
                            * need not ask what its thread holds */
    bool is_watched;       /* leaks or nested acquires are looked for: a slot's thread is 0 from its
                            * return on until the next holder has said who it is */
    weir_time ping_bypass; /* idle for longer is pinged; -1: always, INT64_MAX: never */
    weir_time recycle;

    /* read by every checkout, written hardly ever */
    _Atomic int high_water; /* slots below this index were leased once; grows under the lock */
    _Atomic uint32_t epoch; /* connections of an older one are replaced; only grows */
    _Atomic bool is_plain;  /* has_hints, and nobody takes part in a loan: no driver call, no
                             * listener for WEIR_EVENT_EACH_LOAN, no watch; falls once */
    _Atomic unsigned listener_mask;            /* what any listener wants; grows under the lock */
    _Atomic int listener_count;                /* grows under the lock */
    struct pool_listener listeners[LISTENERS]; /* written under the lock before the count says so */

    _Atomic uint64_t next_connection_id;
    _Atomic uint32_t first_connect; /* enum first_connect; those who open meanwhile sleep on it */
    _Atomic uint32_t returned;      /* moves on every return while closing; dispose sleeps on it */

    _Atomic int peer_limit; /* guarded.peer.limit, for who must read the clock before the lock */

    /* counted by those who hold no slot */
    _Atomic uint64_t timeouts;
    _Atomic uint64_t refused;
    _Atomic uint64_t peer_refusals;
    _Atomic uint64_t misuses;
    _Atomic uint64_t leaks;
    _Atomic uint64_t nested;
    _Atomic uint64_t handed_over;
    _Atomic uint64_t overtaken;

    _Alignas(128) struct weir__mutex lock;
    struct guarded guarded;
};

/* The one way to what the lock guards. */
static inline struct guarded *weir__guarded_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    return &pool->guarded;
}

/* Who acquires, and by when. */
struct acquire {
    weir_time deadline; /* as given; resolved by weir__acquire_deadline() */
    bool is_resolved;
    weir_time started; /* when it was resolved */
    weir_time waited;  /* in the queue */
    bool is_peer_full; /* the peer refused its connection because it has too many */
    weir_time began;   /* and that opening began then */
    const char *file;
    int line;
};

/* time.c: the pool's clock, precise and cheap. */
weir_time weir__pool_now(weir_pool *pool);
static inline weir_time weir__pool_coarse_now(weir_pool *pool)
{
    return pool->options.clock == NULL ? weir__coarse_now() : weir__pool_now(pool);
}
/* The present, where the queue depends on it (handoff_after_us, or a limit of the peer), else 0. Read it
 * before the lock is taken: an injected clock is somebody else's code. */
weir_time weir__queue_now(weir_pool *pool);
void weir__pool_wait(weir_pool *pool, _Atomic uint32_t *word, uint32_t expected, weir_time until);
/* The absolute deadline of an acquire, computed from pool_timeout once when it is first asked for. */
weir_time weir__acquire_deadline(weir_pool *pool, struct acquire *acquire);

/* checkout.c: to be called before the first lease of the process. */
void weir__checkout_init(void);

/* thread.c: the kernel's id of this thread, asked for once. */
int weir__this_thread(void);
/* The same, for functions that run in the child after each fork. */
void weir__thread_init(void);

/* slots.c: the words, all under the lock. */

/*
 * Change the state of a slot that nobody can take lock-free: one that is LEASED to the caller, or
 * VACANT, EMPTY, or IDLE and wanted. Returns the word without flags.
 */
uint64_t weir__slots_move_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state state)
    WEIR_REQUIRES(pool->lock);
/* The same to LEASED; returns the token. `origin` is where a failed open puts it back. */
uint64_t weir__slots_lease_locked(weir_pool *pool, struct weir_slot *slot, enum slot_state origin)
    WEIR_REQUIRES(pool->lock);
/* Take this one if it is IDLE, against those who take lock-free. */
bool weir__slots_take_idle_locked(struct weir_slot *slot, uint64_t *ret_token);
/* Take an open connection, else a slot that is counted already, else a new one; NULL: none free, or
 * none in which the peer would have another opened. `now` counts only where a limit of the peer is
 * known, and is 0 from who did not know of it. */
struct weir_slot *weir__slots_take_free_locked(weir_pool *pool, weir_time now, uint64_t *ret_token)
    WEIR_REQUIRES(pool->lock);
/* Take an idle connection of an epoch before `epoch` or not used since; NULL: none left. */
struct weir_slot *weir__slots_take_old_locked(weir_pool *pool, uint32_t epoch,
                                              weir_time unused_since, uint64_t *ret_token)
    WEIR_REQUIRES(pool->lock);
bool weir__slots_any_free_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock);
/* Whether another connection may be opened beside those in `taken` slots; and that one is. */
bool weir__slots_may_open_locked(weir_pool *pool, int taken, weir_time now)
    WEIR_REQUIRES(pool->lock);
void weir__slots_note_open_locked(weir_pool *pool, int taken, weir_time now)
    WEIR_REQUIRES(pool->lock);
/* HAS_WAITERS into every word, or the slot that turned out IDLE meanwhile. */
struct weir_slot *weir__slots_mark_waiters_locked(weir_pool *pool, uint64_t *ret_token)
    WEIR_REQUIRES(pool->lock);
void weir__slots_unmark_waiters_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock);
/* HAS_WAITERS into every word whatever stands there: the pool closes. */
void weir__slots_mark_closing_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock);
/* How many are IDLE or EMPTY, which is what pool_size limits; how many are LEASED. */
int weir__slots_count_resting_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock);
int weir__slots_count_leased_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock);
/* How many are IDLE or LEASED: have a connection, or are about to. How many have one. */
int weir__slots_count_taken_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock);
int weir__slots_count_open_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock);
void weir__slots_vacate_empty_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock);

/* wait_queue.c: who waits, and who is served next. */
weir_status weir__queue_take(weir_pool *pool, struct acquire *acquire, struct weir_slot **ret_slot,
                             uint64_t *ret_token, weir_error *reterr);
/*
 * The peer refused a connection in *slot because it has too many: remember that, and return to the
 * queue, to one's place by age, for as long as others of the pool are open. The slot is free afterwards,
 * whatever comes of it; *slot and *token are the new ones on success. *reterr is the peer's answer, and
 * stays when there is nothing to wait for.
 */
weir_status weir__queue_retake(weir_pool *pool, struct acquire *acquire, struct weir_slot **slot,
                               uint64_t *token, weir_error *reterr);
/* A connection was opened, from `began` on. */
void weir__queue_note_opened(weir_pool *pool, weir_time began, weir_time now);
/* Give a slot that is LEASED to the caller to the first waiter, or leave it in the state `fate` to whoever
 * comes. Returns the word to wake once the lock is released, or NULL. */
_Atomic uint32_t *weir__queue_give_locked(weir_pool *pool, struct weir_slot *slot,
                                          enum slot_state fate, weir_time now)
    WEIR_REQUIRES(pool->lock);
static inline void weir__queue_wake(_Atomic uint32_t *word)
{
    if (word != NULL)
        weir__unpark(word);
}
/* Whether the first waiter has waited so long that nobody may overtake it any more. */
bool weir__queue_is_strict_locked(weir_pool *pool, weir_time now) WEIR_REQUIRES(pool->lock);
/* Refuse from now on; those who wait are told. May be called again. */
void weir__queue_close(weir_pool *pool);

/* checkin.c: what comes back. */
/* The one routine that frees a slot. The token is the slot's present lease, and the caller's. */
void weir__slot_free(weir_pool *pool, struct weir_slot *slot, uint64_t token, enum slot_state fate);
bool weir__slot_owns(struct weir_slot *slot, uint64_t token);
/* Take one idle connection of an epoch older than `epoch` (any when closing) or not used since an
 * instant; NULL: none left. */
struct weir_slot *weir__slots_take_old(weir_pool *pool, uint32_t epoch, weir_time unused_since,
                                       uint64_t *ret_token);
int weir__slots_count_leased(weir_pool *pool);
/* Give the pool up; frees it now or with its last lease. */
void weir__pool_orphan(weir_pool *pool);
void weir__detached_add(weir_pool *pool, struct detached *detached);
/* The right to close it, given once; after closing, drop the record, and with it perhaps the pool. */
bool weir__detached_claim(weir_pool *pool, uint64_t connection_id);
void weir__detached_drop(weir_pool *pool, uint64_t connection_id);

/* connection.c: the connection of a slot one holds. No lock. */
/* At checkout: leave an open, validated connection in the slot, or say why not. */
weir_status weir__slot_ready(weir_pool *pool, struct weir_slot *slot, weir_time now,
                             struct acquire *acquire, weir_error *reterr);
/* On return: reset it, or close it when that fails or it is outdated. */
void weir__slot_clean(weir_pool *pool, struct weir_slot *slot);
void weir__slot_close(weir_pool *pool, struct weir_slot *slot, weir_reason reason,
                      const weir_error *cause);

/* From here on nobody holds the slot, until the next holder says so. In a pool that is not watched
 * what stands there is only shown, and stays. */
static inline void slot_forget_thread(weir_pool *pool, struct weir_slot *slot)
{
    if (pool->is_watched)
        atomic_store_explicit(&slot->thread, 0, memory_order_relaxed);
    slot_note(&slot->is_cancelling, false);
}

/* events.c */
weir_status weir__emit(weir_pool *pool, weir_pool_event_kind kind, const weir_pool_event *event);
static inline bool weir__is_heard(weir_pool *pool, weir_pool_event_kind kind)
{
    return (atomic_load_explicit(&pool->listener_mask, memory_order_relaxed) &
            WEIR_EVENT_BIT(kind)) != 0;
}
weir_status weir__emit_for(weir_pool *pool, struct weir_slot *slot, weir_pool_event_kind kind,
                           weir_reason reason, const weir_error *error);
/* The same with a duration. */
weir_status weir__emit_timed(weir_pool *pool, struct weir_slot *slot, weir_pool_event_kind kind,
                             weir_reason reason, const weir_error *error, weir_time duration);

/* histogram.c */
void weir__histogram_observe(struct histogram *histogram, weir_time value);
void weir__histogram_add(const struct histogram *from, weir_histogram *to);

/* options.c */
weir_status weir__pool_options_check(const weir_pool_options *options, weir_error *reterr);

/* report.c: why there is no slot (the status, with its error, counters and event); that there is one
 * after a time in the queue; that the peer takes no more. */
weir_status weir__report_no_slot(weir_pool *pool, struct acquire *acquire, weir_status status,
                                 weir_error *reterr);
void weir__report_wait(weir_pool *pool, struct acquire *acquire, const struct waiter *waiter);
void weir__report_limit(weir_pool *pool, const struct acquire *acquire, const struct peer *peer,
                        weir_time now, const weir_error *cause);

/* stats.c */
void weir__describe_holders(weir_pool *pool, char *buffer, size_t size);
/* Read who holds a slot; false when nobody does, or it changed hands during the reading. */
bool weir__read_holder(struct weir_slot *slot, weir_time now, weir_pool_holder *holder);
/* The last part of a path is enough to find the place, and says nothing of the build machine. */
const char *weir__base_name(const char *file);

/* leaks.c: what a pool that is watched asks of an acquire before it begins. */
weir_status weir__check_nested(weir_pool *pool, const struct acquire *acquire, weir_error *reterr);

#endif
