/* SPDX-License-Identifier: MIT */
/* A pool lends connections of any kind, to one holder at a time, under a deadline. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include <weir/event.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Words: a pool has `pool_size + max_overflow` slots. A slot is vacant, or counts as one connection
 * that is idle or leased. Up to pool_size connections are kept when they come back; those above,
 * the overflow, are closed on return. The vocabulary and the meaning of -1 and 0 are those of
 * SQLAlchemy's QueuePool.
 *
 * Whoever acquires when every slot is leased waits in the queue, first come, first served; a returned
 * connection goes directly to the one who has waited longest and nobody can overtake.
 */
typedef struct weir_pool weir_pool;

/* What a returned connection is cleaned with. */
typedef enum weir_reset {
    WEIR_RESET_ROLLBACK, /* roll back an open transaction */
    WEIR_RESET_COMMIT,   /* commit an open transaction; one that has failed is rolled back */
    WEIR_RESET_NONE      /* leave the connection as it is */
} weir_reset;

/* What becomes of an acquire by a thread that holds a connection of the same pool already. Threads
 * that each hold one and wait for another can wait for each other for ever. */
typedef enum weir_nested {
    WEIR_NESTED_ALLOW, /* nothing; it is not even noticed */
    WEIR_NESTED_WARN,  /* the event NESTED */
    WEIR_NESTED_REFUSE /* the event NESTED, and the acquire fails with WEIR_MISUSE */
} weir_nested;

/*
 * What a pool needs to know of the thing it lends.
 *
 * Every function is called without locks held, and for one connection by one thread at a time.
 * `arg` is the pointer given to weir_pool_open(). Deadlines are absolute (weir/clock.h) and never
 * one of the special values except WEIR_DEADLINE_NEVER. A function that fails fills *reterr whenever
 * that is not NULL: listeners are shown it.
 */
typedef struct weir_driver {
    /*
     * Open a connection. Must return by the deadline, with *ret_connection not NULL on success.
     *
     * WEIR_FULL says that the peer answers, but takes no more connections than it has. The acquire
     * then waits for one of the pool's others, as if the pool had no more slots; the pool opens no
     * more than the peer took, and tries one more after a pause that grows with each refusal (100 ms
     * to 5 s, up to half of it cut at random). Where the pool has no other, the acquire fails with
     * WEIR_CONNECT and the driver's text.
     */
    weir_status (*connect)(void *arg, weir_time deadline, void **ret_connection,
                           weir_error *reterr);

    /* Close it, in bounded time. When it returns, the other side no longer counts it, as far as
     * that can be known: only then is the slot used for another. */
    void (*close)(void *arg, void *connection);

    /* A liveness check without a round trip (well under a microsecond): false when the other side has hung
     * up or sent something unasked. NULL: always fine. */
    bool (*is_alive)(void *arg, void *connection);

    /* One round trip that proves it is alive. NULL: never pinged, whatever pool_pre_ping says. */
    weir_status (*ping)(void *arg, void *connection, weir_time deadline, weir_error *reterr);

    /* Make it fit for the next holder; with WEIR_RESET_NONE only say whether it is (not lost, not in
     * the middle of something). Must not do I/O when it is clean already. Anything but WEIR_OK
     * closes the connection; WEIR_CONNECT says that the other side is no longer the one asked for, and
     * all connections opened before are replaced as well, as after a failed ping. NULL: always
     * fit. */
    weir_status (*reset)(void *arg, void *connection, weir_reset how, weir_time deadline,
                         weir_error *reterr);
} weir_driver;

/* The largest number of slots a pool can have: what max_overflow -1 and pool_size 0 stand for. */
#define WEIR_POOL_CEILING 1024

/*
 * Options. Start from WEIR_POOL_OPTIONS_DEFAULT and assign: zero keeps its own meaning. Values out
 * of range are refused by weir_pool_open() with an error that names the option and its range.
 */
typedef struct weir_pool_options {
    /* The pool's name in errors, logs and metrics. Copied; 1 to 63 bytes, no control characters. */
    const char *name;

    /* Connections kept for reuse. Default 5, 0 to 1024. 0: no limit on either count, as if
     * max_overflow were -1. Raise it to the number of threads that use the database at once, as
     * far as the database can bear it; it is opened on demand, never in advance. */
    int pool_size;

    /* Connections above pool_size in a rush, closed when they come back. Default 10, -1 to 1024.
     * 0: pool_size is a hard cap. -1: as many as make the whole pool WEIR_POOL_CEILING. */
    int max_overflow;

    /* How long WEIR_DEADLINE_DEFAULT lets an acquire take in all, waiting, opening and pinging
     * included. Milliseconds; default 30000, -1 to 86400000. 0: never wait. -1: no limit. */
    int pool_timeout_ms;

    /* Age at which a connection is replaced at its next checkout. Seconds; default 3600, -1 to
     * 31536000. -1: never. Set it below the idle limit of firewalls and servers between. */
    int pool_recycle_s;

    /* Each connection's pool_recycle_s is shortened by a random part of up to this many percent, so
     * that those opened together do not expire together. Default 10, 0 to 100. */
    int recycle_jitter_percent;

    /* Ask a connection that was idle for longer than ping_bypass_ms to prove that it is alive
     * before it is lent. Default true. The first that does not answer marks every connection
     * opened before that moment for replacement. */
    bool pool_pre_ping;

    /* A connection used this recently is lent without a ping (the look at its socket is never
     * skipped). Milliseconds; default 500, 0 to 3600000. 0: always ping. HikariCP's
     * aliveBypassWindow. */
    int ping_bypass_ms;

    /* How long a ping may take; never beyond the acquire's own deadline. Milliseconds; default
     * 5000, 1 to 3600000. */
    int ping_timeout_ms;

    /* How long a reset may take; after that the connection is closed. Milliseconds; default 5000,
     * 1 to 3600000. */
    int reset_timeout_ms;

    /* Slots have no queue order. false (default): a thread comes back to the slot it used last,
     * which keeps it in that core's cache and spreads use over the slots. true: the lowest idle
     * slot is taken, so that use stays on the fewest connections and the rest go idle and can be
     * trimmed by the server. SQLAlchemy's words mean the strict order of an idle queue. */
    bool use_lifo;

    /* What a returned connection is cleaned with. Default WEIR_RESET_ROLLBACK. */
    weir_reset reset_on_return;

    /* 0 (default): nobody overtakes a waiter. Above: while the one who has waited longest has
     * waited for less than this, a freed slot may be taken by a newcomer that happens to be
     * running. Buys throughput at saturation with a bounded unfairness. Microseconds; 0 to
     * 10000000. */
    int handoff_after_us;

    /* How many may wait in the queue; the next is refused at once with WEIR_FULL. Default 1024, 0 to
     * 1000000. */
    int max_waiters;

    /* One checkout in this many has its use time measured, by two reads of the precise clock.
     * Default 64, 1 to 1048576. 1 measures all, for some 40 ns a checkout. */
    int use_time_every;

    /* A lease that has been out for longer than this is reported as a leak by weir_pool_maintain(), once.
     * Milliseconds; default 0: none is; up to 86400000. HikariCP's leakDetectionThreshold. A pool
     * that watches for leaks does not lend by its shortest path. */
    int leak_report_after_ms;

    /* What becomes of an acquire by a thread that holds a connection of this pool. Default
     * WEIR_NESTED_ALLOW, which costs nothing; the others look through the slots at each acquire,
     * some nanoseconds for each that was ever used, and give up the shortest path. A connection that
     * was given back by another thread, or detached, is not held any more. */
    weir_nested nested;

    /* NULL: the machine's clock. Must outlive the pool. For tests. */
    weir_clock *clock;
} weir_pool_options;

#define WEIR_POOL_OPTIONS_DEFAULT                                                                  \
    {                                                                                              \
        "pool",                  /* name */                                                        \
            5,                   /* pool_size */                                                   \
            10,                  /* max_overflow */                                                \
            30000,               /* pool_timeout_ms */                                             \
            3600,                /* pool_recycle_s */                                              \
            10,                  /* recycle_jitter_percent */                                      \
            true,                /* pool_pre_ping */                                               \
            500,                 /* ping_bypass_ms */                                              \
            5000,                /* ping_timeout_ms */                                             \
            5000,                /* reset_timeout_ms */                                            \
            false,               /* use_lifo */                                                    \
            WEIR_RESET_ROLLBACK, /* reset_on_return */                                             \
            0,                   /* handoff_after_us */                                            \
            1024,                /* max_waiters */                                                 \
            64,                  /* use_time_every */                                              \
            0,                   /* leak_report_after_ms */                                        \
            WEIR_NESTED_ALLOW,   /* nested */                                                      \
            NULL                 /* clock */                                                       \
    }

/*
 * Make a pool. Opens no connection.
 *
 * `driver` is copied, except what its functions use through `driver_arg`, which must outlive the
 * pool and every lease of it. The caller owns *ret_pool and ends it with weir_pool_close().
 *
 * Errors:  WEIR_INVALID names the option, its value and its range; WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_pool_open(const weir_pool_options *options,
                                                    const weir_driver *driver, void *driver_arg,
                                                    weir_pool **ret_pool, weir_error *reterr);

/*
 * A loan: one connection, for one holder, until it is given back.
 *
 * Filled by an acquire, on the caller's own memory. `connection` is what the driver opened, valid
 * until the lease is given back. The other fields are weir's. A lease that was given back, or a
 * copy of one, is recognised and refused (WEIR_MISUSE) as long as the pool lives, even if the same
 * slot has been lent again meanwhile. All zero is a lease of nothing, and giving that back does nothing.
 */
typedef struct weir_lease {
    void *connection;
    weir_pool *pool;
    struct weir_slot *slot; /* NULL: detached, or nothing */
    uint64_t token;
} weir_lease;

/*
 * Borrow a connection.
 *
 * Takes an idle one, or opens one more, or, when there are as many as there may be or as the peer
 * takes, waits in the queue until the deadline (weir/clock.h;
 * WEIR_DEADLINE_DEFAULT means pool_timeout from now, WEIR_DEADLINE_NOW never waits in the queue). Opening
 * is done by the caller's own thread under the same deadline; with WEIR_DEADLINE_NOW, or a
 * pool_timeout of 0, only the driver's own limit bounds the opening, since nobody is waited for. Before a connection is lent it is validated:
 * not evicted, not over its age, its socket quiet, and, if it was idle for longer than
 * ping_bypass_ms, its ping answered; one that fails is closed and replaced in place.
 *
 * Errors:  WEIR_TIMEOUT with the current holders in the text, WEIR_FULL when max_waiters already
 *          wait, WEIR_CLOSED, WEIR_MISUSE for a nested acquire that is to be refused (weir_nested),
 *          WEIR_CONNECT or whatever the driver or a listener answered. *ret_lease is then untouched.
 * Threads: any. The lease may be given back by another thread than the one that acquired it.
 */
#define weir_pool_acquire(pool, deadline, ret_lease, reterr)                                       \
    weir_pool_acquire_at(pool, deadline, ret_lease, reterr, __FILE__, __LINE__)
#define weir_pool_try_acquire(pool, ret_lease, reterr)                                             \
    weir_pool_acquire_at(pool, WEIR_DEADLINE_NOW, ret_lease, reterr, __FILE__, __LINE__)

/* The function behind both: `file` (static storage) and `line` say where, for the lists of holders.
 * For wrappers that pass on the place of their own caller. */
WEIR_API WEIR_MUST_CHECK weir_status weir_pool_acquire_at(weir_pool *pool, weir_time deadline,
                                                          weir_lease *ret_lease, weir_error *reterr,
                                                          const char *file, int line);

/*
 * Give a connection back for reuse, and clear the lease.
 *
 * The connection is reset, and closed instead of kept when the reset fails, when it was evicted
 * meanwhile, or when it is overflow that nobody waits for. A detached one is closed.
 *
 * Cannot fail for a valid lease and does not allocate. WEIR_MISUSE: the lease was given back
 * before; nothing was done.
 * Threads: any.
 */
WEIR_API weir_status weir_pool_release(weir_lease *lease);

/*
 * Give a connection back as broken: it is closed, and its slot opens another when next used.
 * SQLAlchemy's invalidate(). `error`, which may be NULL, is shown to listeners as the cause.
 * Otherwise as weir_pool_release().
 */
WEIR_API weir_status weir_pool_discard(weir_lease *lease, const weir_error *error);

/*
 * Let the holder finish, but replace the connection at its next checkout. SQLAlchemy's
 * invalidate(soft=True). WEIR_MISUSE when the lease is not held.
 * Threads: the holder.
 */
WEIR_API weir_status weir_pool_soft_invalidate(weir_lease *lease);

/*
 * Say that the holder is done with a loan whose connection is still being cancelled, and that whoever
 * does that gives it back. The slot stays leased, so that the pool's limit holds for as long as the
 * other side counts the connection; but nobody holds it any more: it is no leak, no reason to refuse
 * a nested acquire, and lists of holders say what it is (is_cancelling). Copies of the lease are
 * refused from here on. Does nothing to a detached one. WEIR_MISUSE when the lease is not held.
 * Threads: the holder.
 */
WEIR_API weir_status weir_pool_set_cancelling(weir_lease *lease);

/*
 * Take the connection out of the pool for good: its slot is free for another at once, and the
 * server may therefore see one connection more than the pool's limit. The lease keeps the
 * connection; weir_pool_release() or weir_pool_discard() then really close it, also after
 * weir_pool_dispose(). WEIR_MISUSE when the lease is not held or already detached; WEIR_NO_MEMORY:
 * nothing was done.
 * Threads: the holder.
 */
WEIR_API weir_status weir_pool_detach(weir_lease *lease);

/*
 * Replace every connection opened before this call: idle ones are closed now, leased ones when they
 * come back. The pool goes on serving and its bound holds throughout. For a failover or a change
 * of password.
 * Threads: any.
 */
WEIR_API void weir_pool_evict_all(weir_pool *pool);

/*
 * Close the idle connections that nobody has used for `idle_ms` milliseconds or longer; their slots
 * are vacant afterwards. Negative closes none. For a pool that shall shrink when the rush is over:
 * call it now and then.
 * Threads: any.
 */
WEIR_API void weir_pool_trim(weir_pool *pool, int64_t idle_ms);

/*
 * One step of housekeeping, for whoever owns the pool to call now and then (each second, say): emits
 * LEAK for each lease that has been out for longer than leak_report_after_ms and was not reported
 * yet, with its place, thread and age. Looks at each slot once and takes no lock.
 * Threads: any; not from a listener or driver of this pool.
 */
WEIR_API void weir_pool_maintain(weir_pool *pool);

/*
 * Stop lending: new acquires and those who wait fail with WEIR_CLOSED at once, idle connections are
 * closed, and the call waits until every lease has come back or the deadline passes.
 *
 * WEIR_TIMEOUT: some have not; the text says who holds what since when. They are closed as they
 * come back. May be called again, to wait longer. WEIR_DEADLINE_DEFAULT means pool_timeout.
 * Threads: any; not from a listener or driver of this pool.
 */
WEIR_API weir_status weir_pool_dispose(weir_pool *pool, weir_time deadline, weir_error *reterr);

/*
 * Dispose without waiting and give up the pool. Its memory lives on until the last lease has come
 * back (leases stay valid and are closed on return), so no lease is ever left dangling. No call
 * other than on such leases may follow or be in progress. NULL is fine.
 */
WEIR_API void weir_pool_close(weir_pool *pool);

/*
 * Hear of events: `listener` is called with `arg` for each kind in `mask` (WEIR_EVENT_BIT,
 * WEIR_EVENT_ALL), after those added before it. Up to 8 per pool, for the pool's whole life.
 *
 * Errors:  WEIR_FULL.
 * Threads: any; events that are being emitted at that moment may be missed.
 */
WEIR_API weir_status weir_pool_listen(weir_pool *pool, unsigned mask, weir_pool_listener *listener,
                                      void *arg, weir_error *reterr);

/* Bucket bounds of every histogram, in nanoseconds, upper and inclusive; one more bucket for what is
 * above the last: 10, 25, 50, 100, 250, 500 µs, 1, 2.5, 5, 10, 25, 50, 100, 250, 500 ms, 1, 2.5, 5,
 * 10, 30 s. */
#define WEIR_HISTOGRAM_BUCKETS 21
WEIR_API extern const weir_time weir_histogram_bounds[WEIR_HISTOGRAM_BUCKETS - 1];

typedef struct weir_histogram {
    uint64_t count;
    weir_time sum; /* nanoseconds */
    weir_time max;
    uint64_t buckets[WEIR_HISTOGRAM_BUCKETS]; /* not cumulative */
} weir_histogram;

/*
 * The value at or below which the fraction `q` (0 to 1) of the observations lie, in nanoseconds:
 * the upper bound of its bucket, and never above the greatest seen. 0 when there are none.
 */
WEIR_API weir_time weir_histogram_quantile(const weir_histogram *histogram, double q);

/* A pool at one moment. Gauges are exact when nothing moves; counters only grow. */
typedef struct weir_pool_stats {
    /* settings */
    int pool_size;
    int max_overflow; /* after pool_size 0 and max_overflow -1 were resolved: slots - pool_size */
    int slots;        /* the hard limit */
    /* gauges */
    int idle;   /* SQLAlchemy's checkedin(): idle, also those whose connection is to be reopened */
    int leased; /* checkedout() */
    int cancelling; /* of the leased: given back, and still being cancelled */
    int overflow; /* overflow(): counted connections - pool_size; negative before the pool is full */
    int connections; /* connections open now, detached ones not counted */
    int waiters;
    int peer_limit; /* connections that the peer takes, as its last refusal told; 0: none refused
                     * within the last minute, or the pool got more meanwhile */
    bool is_closed;
    /* counters */
    uint64_t checkouts;
    uint64_t waits;       /* acquires that waited and have left it: wait_time.count */
    uint64_t handed_over; /* slots given directly to a waiter */
    uint64_t overtaken;   /* times a newcomer was served before a waiter (handoff_after_us) */
    uint64_t timeouts;
    uint64_t refused;        /* WEIR_FULL */
    uint64_t peer_refusals;  /* connections that the peer refused because it has too many, while
                              * others of the pool were open; connect_errors counts them too */
    uint64_t connects;       /* opened */
    uint64_t connect_errors; /* failed to open */
    uint64_t closes;         /* closed, detached ones not counted */
    uint64_t detached;
    uint64_t pings;
    uint64_t ping_failures;
    uint64_t resets;  /* returned connections that the driver was asked to reset */
    uint64_t misuses; /* leases given back twice */
    uint64_t leaks;   /* leases reported by weir_pool_maintain() */
    uint64_t nested;  /* acquires by threads that held a connection already, unless allowed */
    uint64_t closed_by[WEIR_REASON_COUNT]; /* why they were closed */
    /* times */
    weir_histogram wait_time;   /* of acquires that waited, also of those that gave up */
    weir_histogram create_time; /* of successful opens */
    weir_histogram use_time;    /* of one checkout in use_time_every */
} weir_pool_stats;

/* Take a snapshot. Threads: any; costs the lock for some nanoseconds per slot. */
WEIR_API void weir_pool_get_stats(weir_pool *pool, weir_pool_stats *ret_stats);

/*
 * The line SQLAlchemy's QueuePool.status() gives, byte for byte:
 * `Pool size: 5  Connections in pool: 0 Current Overflow: -5 Current Checked out connections: 0`.
 * Cut to `size`, always terminated. Returns the whole length, as snprintf does. Threads: any.
 */
WEIR_API int weir_pool_status_line(weir_pool *pool, char *buffer, size_t size);

/* Who holds a connection. */
typedef struct weir_pool_holder {
    uint64_t connection_id; /* 0 while it is still being opened */
    const char *file;
    int line;
    int thread;    /* the kernel's thread id of the acquirer; 0 when nobody holds it any more */
    weir_time age; /* nanoseconds since the checkout */
    bool is_cancelling; /* given back, and still being cancelled: weir_pool_set_cancelling() */
} weir_pool_holder;

/* List up to `capacity` current holders, longest first. Returns how many there are in all. Threads:
 * any. */
WEIR_API size_t weir_pool_get_holders(weir_pool *pool, weir_pool_holder *holders, size_t capacity);

/* The id that events and holders show for the connection of a lease; 0 for a lease of nothing. Threads:
 * the holder. */
WEIR_API uint64_t weir_lease_connection_id(const weir_lease *lease);

/* The name and the options given at open, in the pool's own copy. Valid until weir_pool_close(). */
WEIR_API const char *weir_pool_name(const weir_pool *pool);
WEIR_API const weir_pool_options *weir_pool_get_options(const weir_pool *pool);

/*
 * Set one option by its URL name and text, as in `?pool_size=5&pool_timeout=2.5`: pool_size,
 * max_overflow, pool_timeout (seconds, fractions allowed), pool_recycle (seconds), recycle_jitter
 * (percent), pool_pre_ping (true/false/1/0), ping_bypass_ms, ping_timeout_ms, reset_timeout_ms,
 * pool_use_lifo, pool_reset_on_return (rollback/commit/none), handoff_after_us, max_waiters,
 * use_time_every, leak_report_after_ms, pool_nested (allow/warn/refuse).
 *
 * Errors:  WEIR_NOT_FOUND for a name it does not know; WEIR_INVALID with the allowed values.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_pool_options_set(weir_pool_options *options,
                                                           const char *name, const char *text,
                                                           weir_error *reterr);

#ifdef __cplusplus
}
#endif

#endif
