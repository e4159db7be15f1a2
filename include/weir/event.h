/* SPDX-License-Identifier: MIT */
/* The events that a pool reports to its listeners: the ten pool events of SQLAlchemy, and seven more. */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The events of a pool: name, word, when.
 *
 * The first ten are those of SQLAlchemy's pool (PoolEvents), at the same moments. As there, `checkin` may
 * come without a connection (if it was discarded) and does not come for a detached connection, and `reset`
 * comes whenever a returned connection is kept, whatever reset_on_return says.
 */
#define WEIR_POOL_EVENT_MAP(X)                                                                     \
    X(CONNECT, "connect", "a connection was opened")                                               \
    X(FIRST_CONNECT, "first_connect", "the pool's first connection was opened; before `connect`")  \
    X(CHECKOUT, "checkout", "a connection is about to be lent")                                    \
    X(CHECKIN, "checkin", "a connection came back")                                                \
    X(RESET, "reset", "a returned connection is about to be reset")                                \
    X(INVALIDATE, "invalidate", "a connection is thrown away before its time")                     \
    X(SOFT_INVALIDATE, "soft_invalidate", "a connection is to be replaced at its next checkout")   \
    X(CLOSE, "close", "a connection of the pool is about to be closed")                            \
    X(DETACH, "detach", "a connection leaves the pool")                                            \
    X(CLOSE_DETACHED, "close_detached", "a detached connection is about to be closed")             \
    X(TIMEOUT, "timeout", "an acquire gave up at its deadline")                                    \
    X(PING_FAILURE, "ping_failure", "a connection did not answer its ping")                        \
    X(WAIT, "wait", "an acquire that waited was given a connection")                               \
    X(LEAK, "leak", "a lease has been out for longer than leak_report_after_ms; once per loan")    \
    X(NESTED, "nested", "a thread that holds a connection of this pool acquires another")          \
    X(PING, "ping", "a connection answered its ping")                                              \
    X(PEER_LIMIT, "peer_limit", "the peer takes no more connections; those there are must do")

typedef enum weir_pool_event_kind {
#define WEIR_POOL_EVENT_ENUM(name, word, text) WEIR_EVENT_##name,
    WEIR_POOL_EVENT_MAP(WEIR_POOL_EVENT_ENUM)
#undef WEIR_POOL_EVENT_ENUM
        WEIR_EVENT_COUNT
} weir_pool_event_kind;

/* Masks for weir_pool_listen(). */
#define WEIR_EVENT_BIT(kind) (1u << (unsigned)(kind))
#define WEIR_EVENT_ALL ((1u << (unsigned)WEIR_EVENT_COUNT) - 1u)

/* The word of an event ("soft_invalidate"), static. "unknown" for any other value. */
WEIR_API const char *weir_pool_event_name(weir_pool_event_kind kind);

struct weir_pool;

/* Why a connection was closed or thrown away; WEIR_REASON_NONE where no reason applies. */
#define WEIR_REASON_MAP(X)                                                                         \
    X(NONE, "none")                                                                                \
    X(DISCARDED, "discarded")                                                                      \
    X(SOFT, "soft-invalidated")                                                                    \
    X(EVICTED, "evicted")                                                                          \
    X(IDLE, "idle-timeout")                                                                        \
    X(RECYCLED, "recycled")                                                                        \
    X(STALE, "stale-socket")                                                                       \
    X(PING, "ping-failed")                                                                         \
    X(RESET, "reset-failed")                                                                       \
    X(HOOK, "refused-by-listener")                                                                 \
    X(OVERFLOW, "overflow")                                                                        \
    X(DISPOSED, "disposed")

typedef enum weir_reason {
#define WEIR_REASON_ENUM(name, word) WEIR_REASON_##name,
    WEIR_REASON_MAP(WEIR_REASON_ENUM)
#undef WEIR_REASON_ENUM
        WEIR_REASON_COUNT
} weir_reason;

/* The word of a reason, static. */
WEIR_API const char *weir_reason_name(weir_reason reason);

/* One event. Valid during the call only; so is everything it points to. */
typedef struct weir_pool_event {
    weir_pool_event_kind kind;
    weir_reason reason; /* INVALIDATE and CLOSE; NONE elsewhere */
    struct weir_pool *pool;
    void *connection; /* what the driver opened; NULL at TIMEOUT, LEAK, NESTED, PEER_LIMIT, for
                             * a CHECKIN without a connection, and at a WAIT that was given the right to open one */
    uint64_t connection_id; /* counts up from 1 within the pool; 0 when there is no connection; at
                             * LEAK that of the loan, at NESTED of the one held already */
    const char *file;       /* where it was or is to be acquired; NULL where nobody holds it */
    int line;
    int thread; /* the kernel's id of the thread that acquired it, or tries to; 0: not known (any more) */
    const weir_error *error; /* TIMEOUT, PING_FAILURE, INVALIDATE after one, NESTED (where the held
                              * one was acquired) and PEER_LIMIT (the limit, and what the peer
                              * answered); else NULL */
    /* CONNECT: how long opening took. WAIT, TIMEOUT: how long it waited (at TIMEOUT opening and
     * pinging included). PING, PING_FAILURE: how long the ping took. CLOSE: the connection's age. LEAK: how
     * long the lease has been out. NESTED: how long the held one has been. PEER_LIMIT: until one more is
     * tried. Nanoseconds; 0 elsewhere. */
    weir_time duration;
} weir_pool_event;

/* The events that every lease causes. A listener for other events only does not cost a pool its fast path. */
#define WEIR_EVENT_EACH_LOAN                                                                       \
    (WEIR_EVENT_BIT(WEIR_EVENT_CHECKOUT) | WEIR_EVENT_BIT(WEIR_EVENT_CHECKIN) |                    \
     WEIR_EVENT_BIT(WEIR_EVENT_RESET))

/*
 * A listener; it is called on the thread that causes the event, with no lock held. A slow listener delays
 * only that thread. It must not acquire from the same pool.
 *
 * The returned status matters for three events and is ignored for the others:
 *   FIRST_CONNECT, CONNECT   not WEIR_OK: the connection is closed and the acquire fails with this
 *                            status (a place for `SET search_path …`). A refused FIRST_CONNECT comes
 *                            again with the next connection. Acquires that open connections meanwhile
 *                            wait until FIRST_CONNECT is done, each until its own deadline; one that may
 *                            not wait fails at once with WEIR_TIMEOUT. The connection of an acquire that
 *                            gives up stays in the pool, and is announced when it is next taken.
 *   CHECKOUT                 WEIR_DISCONNECTED: the connection is replaced, and the new one is offered
 *                            once more. Any other failure: the connection goes back to the pool and the
 *                            acquire fails with this status. A CHECKIN follows each failed CHECKOUT.
 */
typedef weir_status weir_pool_listener(const weir_pool_event *event, void *arg);

#ifdef __cplusplus
}
#endif

#endif
