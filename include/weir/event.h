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
    X(CHECKOUT, "checkout", "a connection is about to be checked out")                             \
    X(CHECKIN, "checkin", "a connection was returned")                                             \
    X(RESET, "reset", "a returned connection is about to be reset")                                \
    X(INVALIDATE, "invalidate", "a connection is discarded early")                                 \
    X(SOFT_INVALIDATE, "soft_invalidate", "a connection will be replaced at its next checkout")    \
    X(CLOSE, "close", "a connection of the pool is about to be closed")                            \
    X(DETACH, "detach", "a connection leaves the pool")                                            \
    X(CLOSE_DETACHED, "close_detached", "a detached connection is about to be closed")             \
    X(TIMEOUT, "timeout", "an acquire gave up at its deadline")                                    \
    X(PING_FAILURE, "ping_failure", "a connection did not answer its ping")                        \
    X(WAIT, "wait",                                                                                \
      "an acquire that waited was given a connection, or a slot in which it opens one")            \
    X(LEAK, "leak", "a lease was held longer than leak_report_after_ms; once per checkout")        \
    X(NESTED, "nested", "a thread that holds a connection of this pool acquires another")          \
    X(PING, "ping", "a connection answered its ping")                                              \
    X(PEER_LIMIT, "peer_limit",                                                                    \
      "the peer accepts no more connections; the pool continues with those it has")

typedef enum weir_pool_event_kind {
#define WEIR_POOL_EVENT_ENUM(name, word, text) WEIR_EVENT_##name,
    WEIR_POOL_EVENT_MAP(WEIR_POOL_EVENT_ENUM)
#undef WEIR_POOL_EVENT_ENUM
        WEIR_EVENT_COUNT
} weir_pool_event_kind;

/* Masks for weir_pool_listen(). */
#define WEIR_EVENT_BIT(kind) (1u << (unsigned)(kind))
#define WEIR_EVENT_ALL ((1u << (unsigned)WEIR_EVENT_COUNT) - 1u)

/* Return the word for an event ("soft_invalidate"), or "unknown" for any other value. Static. */
WEIR_API const char *weir_pool_event_name(weir_pool_event_kind kind);

struct weir_pool;

/* Why a connection was closed or discarded; WEIR_REASON_NONE where no reason applies. */
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

/* Return the word for a reason. Static. */
WEIR_API const char *weir_reason_name(weir_reason reason);

/* One event. It is valid only during the call, as is everything it points to. */
typedef struct weir_pool_event {
    weir_pool_event_kind kind;
    weir_reason reason; /* of INVALIDATE and CLOSE; WEIR_REASON_NONE for the others */
    struct weir_pool *pool;
    /* What the driver opened. NULL for TIMEOUT, LEAK, NESTED and PEER_LIMIT, for a CHECKIN without a
     * connection, and for a WAIT that may now open a connection. */
    void *connection;
    /* Counted from 1 within the pool; 0 if there is no connection. For LEAK, that of the leaked lease; for
     * NESTED, that of the connection already held. */
    uint64_t connection_id;
    const char *file; /* where it was acquired, or is being acquired; NULL if nobody holds it */
    int line;
    int thread; /* the kernel's id of the thread that acquires or acquired it; 0: unknown */
    /* For TIMEOUT and PING_FAILURE; for INVALIDATE, the error that caused it, if any; for NESTED, where the
     * held connection was acquired; for PEER_LIMIT, the limit and the peer's answer; otherwise NULL. */
    const weir_error *error;
    /* CONNECT: how long opening took. WAIT, TIMEOUT: how long the acquire waited (for TIMEOUT, including
     * opening and pinging). PING, PING_FAILURE: how long the ping took. CLOSE: the connection's age. LEAK:
     * how long the lease has been held. NESTED: how long the other connection has been held. PEER_LIMIT:
     * the time until the pool tries to open one more. Nanoseconds; 0 for the others. */
    weir_time duration;
} weir_pool_event;

/* The events of every checkout. A listener for other events alone does not disable the pool's fast path. */
#define WEIR_EVENT_EACH_LOAN                                                                       \
    (WEIR_EVENT_BIT(WEIR_EVENT_CHECKOUT) | WEIR_EVENT_BIT(WEIR_EVENT_CHECKIN) |                    \
     WEIR_EVENT_BIT(WEIR_EVENT_RESET))

/*
 * A listener; it is called on the thread that causes the event, with no lock held. A slow listener delays
 * only that thread. It must not acquire from the same pool.
 *
 * The returned status matters for three events and is ignored for the others:
 *   FIRST_CONNECT, CONNECT   not WEIR_OK: the connection is closed and the acquire fails with this status
 *                            (use it for `SET search_path …`, for example). After a refused FIRST_CONNECT,
 *                            the event is emitted again for the next connection. Other acquires that open
 *                            connections meanwhile wait until FIRST_CONNECT is done, each until its own
 *                            deadline; one that may not wait fails at once with WEIR_TIMEOUT. If an acquire
 *                            gives up, its connection stays in the pool, and CONNECT is emitted for it when
 *                            it is next checked out.
 *   CHECKOUT                 WEIR_DISCONNECTED: the connection is replaced, and the new one is offered
 *                            once more. Any other failure: the connection goes back to the pool and the
 *                            acquire fails with this status. A CHECKIN follows each failed CHECKOUT.
 */
typedef weir_status weir_pool_listener(const weir_pool_event *event, void *arg);

#ifdef __cplusplus
}
#endif

#endif
