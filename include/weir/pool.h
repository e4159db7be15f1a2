/* SPDX-License-Identifier: MIT */
/* A pool leases connections of any kind, to one holder at a time, under a deadline. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include <weir/event.h>
#include <weir/histogram.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Terms: a pool has `pool_size + max_overflow` slots. A slot is either vacant or counts as one connection,
 * idle or leased. Up to pool_size connections are kept when they are returned; those above it, the
 * overflow, are closed. The option names, and the meanings of -1 and 0, are those of SQLAlchemy's
 * QueuePool.
 *
 * When every slot is leased, an acquire waits in the wait queue, first come, first served. A returned
 * connection goes directly to the longest waiter; no newcomer can take it, unless handoff_after_us is set.
 */
typedef struct weir_pool weir_pool;

/* How a returned connection is reset. */
typedef enum weir_reset {
    WEIR_RESET_ROLLBACK, /* roll back an open transaction */
    WEIR_RESET_COMMIT,   /* commit an open transaction; one that has failed is rolled back */
    WEIR_RESET_NONE      /* leave the connection as it is */
} weir_reset;

/* What happens when a thread that already holds a connection of a pool acquires another one from it.
 * Threads that each hold one connection and wait for a second can deadlock. */
typedef enum weir_nested {
    WEIR_NESTED_ALLOW, /* nothing; the pool does not check */
    WEIR_NESTED_WARN,  /* the pool reports the event NESTED */
    WEIR_NESTED_REFUSE /* the pool reports NESTED, and the acquire fails with WEIR_MISUSE */
} weir_nested;

/*
 * The functions with which a pool opens, checks, resets and closes its connections.
 *
 * The pool holds no lock when it calls them, and calls them for one connection from one thread at a time. `arg`
 * is the `driver_arg` given to weir_pool_open(). Deadlines are absolute (weir/clock.h); the only special value
 * among them is WEIR_DEADLINE_NEVER. A function that fails must fill *reterr unless reterr is NULL, because
 * listeners receive that error.
 */
typedef struct weir_driver {
    /*
     * Open a connection. Must return by the deadline; on success, *ret_connection must not be NULL.
     *
     * WEIR_FULL means that the peer is up but accepts no more connections. The acquire then waits for one
     * of the pool's other connections, as if the pool had no more slots. The pool opens no more than the
     * peer accepted, and tries one more after a pause that grows with each refusal (100 ms to 5 s, of
     * which up to half is cut at random). If the pool has no other connection, the acquire fails with
     * WEIR_CONNECT and the driver's text.
     */
    weir_status (*connect)(void *arg, weir_time deadline, void **ret_connection,
                           weir_error *reterr);

    /* Close the connection, in bounded time. Return only when the peer no longer counts the connection, as far
     * as that can be known; the pool then uses the slot for another connection. */
    void (*close)(void *arg, void *connection);

    /* Check that the connection is alive, without a round trip (well under a microsecond). Return false if
     * the peer has hung up or sent unsolicited data. NULL: every connection counts as alive. */
    bool (*is_alive)(void *arg, void *connection);

    /* Prove with one round trip that the connection is alive. NULL: connections are never pinged, whatever
     * pool_pre_ping says. */
    weir_status (*ping)(void *arg, void *connection, weir_time deadline, weir_error *reterr);

    /* Make the connection fit for the next holder; with WEIR_RESET_NONE, only check whether it is (not
     * lost, not in the middle of an operation). Must not do I/O if the connection is already clean. Any
     * status but WEIR_OK closes the connection. WEIR_CONNECT also says that the peer is no longer the one
     * asked for: all connections opened before are then replaced as well, as after a failed ping. NULL:
     * every connection counts as fit. */
    weir_status (*reset)(void *arg, void *connection, weir_reset how, weir_time deadline,
                         weir_error *reterr);
} weir_driver;

/* The largest number of slots a pool can have; max_overflow -1 and pool_size 0 mean this number. */
#define WEIR_POOL_CEILING 1024

/*
 * Options. Start from WEIR_POOL_OPTIONS_DEFAULT and assign: zero keeps its own meaning. Values out
 * of range are refused by weir_pool_open() with an error that names the option and its range.
 */
typedef struct weir_pool_options {
    /* The pool's name in errors, logs and metrics. Copied; 1 to 63 bytes, no control characters. */
    const char *name;

    /* Connections kept for reuse. Default 5, 0 to 1024. 0: no limit on either count, as if
     * max_overflow were -1. Raise it to the number of threads that use the database at once, if the
     * database can handle that many. Connections are opened on demand, never in advance. */
    int pool_size;

    /* Connections that may be opened above pool_size; each is closed when it is returned. Default 10, -1 to
     * 1024. 0: pool_size is a hard cap. -1: the whole pool may grow to WEIR_POOL_CEILING. */
    int max_overflow;

    /* Longest time that an acquire with WEIR_DEADLINE_DEFAULT may take: waiting, opening and pinging
     * together. Milliseconds; default 30000, -1 to 86400000. 0: never wait. -1: no limit. */
    int pool_timeout_ms;

    /* Age at which a connection is replaced at its next checkout. Seconds; default 3600, -1 to
     * 31536000. -1: never. Set it below the idle limits of the firewalls and servers on the path. */
    int pool_recycle_s;

    /* Each connection's pool_recycle_s is shortened by a random part of up to this many percent, so
     * that those opened together do not expire together. Default 10, 0 to 100. */
    int recycle_jitter_percent;

    /* Ping a connection that was idle for longer than ping_bypass_ms before it is leased. Default true.
     * The first failed ping marks every connection opened before that moment for replacement. */
    bool pool_pre_ping;

    /* A connection used this recently is leased without a ping (the check of its socket is never
     * skipped). Milliseconds; default 500, 0 to 3600000. 0: always ping. HikariCP's
     * aliveBypassWindow. */
    int ping_bypass_ms;

    /* How long a ping may take; never beyond the acquire's own deadline. Milliseconds; default
     * 5000, 1 to 3600000. */
    int ping_timeout_ms;

    /* How long a reset may take; after that the connection is closed. Milliseconds; default 5000,
     * 1 to 3600000. */
    int reset_timeout_ms;

    /* Which idle slot an acquire takes. false (default): the slot that the thread used last, which keeps
     * it in that core's cache and spreads use over the slots. true: the lowest idle slot, so that use
     * stays on the fewest connections, and the server can close the others, which stay idle. Idle slots
     * form no queue; SQLAlchemy's option of this name means the strict order of an idle queue. */
    bool use_lifo;

    /* How a returned connection is reset. Default WEIR_RESET_ROLLBACK. */
    weir_reset reset_on_return;

    /* How long a newcomer may overtake waiters. 0 (default): never. Above 0: as long as the longest waiter
     * has waited for less than this, a newcomer that happens to be running may take a freed slot. This
     * trades bounded unfairness for throughput at saturation. Microseconds; 0 to 10000000. */
    int handoff_after_us;

    /* How many acquires may wait in the queue; the next one fails at once with WEIR_FULL. Default 1024, 0
     * to 1000000. */
    int max_waiters;

    /* Measure the use time of one checkout in this many, with two reads of the precise clock. Default 64,
     * 1 to 1048576. 1 measures every checkout, at a cost of some 40 ns each. */
    int use_time_every;

    /* weir_pool_maintain() reports a lease that is held for longer than this as a leak, once. Milliseconds;
     * default 0 (no reports), up to 86400000. HikariCP's leakDetectionThreshold. A pool that watches for
     * leaks gives up its fast path. */
    int leak_report_after_ms;

    /* What happens when a thread that holds a connection of this pool acquires another one. Default
     * WEIR_NESTED_ALLOW, which costs nothing. The other values scan the slots at each acquire, some
     * nanoseconds for each slot that was ever used, and give up the fast path. A connection that another
     * thread returned, or that was detached, no longer counts as held. */
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
 * `driver` is copied. `driver_arg` is not; it must outlive the pool and all of its leases. The caller owns
 * *ret_pool and closes it with weir_pool_close().
 *
 * Errors:  WEIR_INVALID names the option, its value and its range; WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_pool_open(const weir_pool_options *options,
                                                    const weir_driver *driver, void *driver_arg,
                                                    weir_pool **ret_pool, weir_error *reterr);

/*
 * A lease: one connection, for one holder, until it is returned.
 *
 * The caller provides the memory, and an acquire fills it. `connection` is what the driver opened; it is
 * valid until the lease is returned. The other fields belong to weir. As long as the pool lives, it
 * recognises and refuses (WEIR_MISUSE) a lease that was already returned, or a copy of one, even if the
 * slot has been leased again. A zeroed lease is empty; releasing it does nothing.
 */
typedef struct weir_lease {
    void *connection;
    weir_pool *pool;
    struct weir_slot *slot; /* NULL: the lease is detached or empty */
    uint64_t token;
} weir_lease;

/*
 * Acquire a connection.
 *
 * Takes an idle connection, or opens a new one. If the pool has as many as it may have, or as the peer accepts,
 * the call waits in the queue until the deadline (weir/clock.h): WEIR_DEADLINE_DEFAULT means pool_timeout from
 * now, and WEIR_DEADLINE_NOW never waits in the queue. The calling thread opens the connection itself, under
 * the same deadline; with WEIR_DEADLINE_NOW, or a pool_timeout of 0, only the driver's own limit bounds the
 * opening, because such a call never waits for another caller.
 *
 * A connection is validated before it is leased: it must not be evicted or too old, its socket must be
 * quiet, and if it was idle for longer than ping_bypass_ms, it must answer a ping. One that fails is closed,
 * and another is opened in the same slot.
 *
 * Errors:  WEIR_TIMEOUT, with the current holders in the text; WEIR_FULL when max_waiters callers already
 *          wait; WEIR_CLOSED; WEIR_MISUSE for a nested acquire under WEIR_NESTED_REFUSE; WEIR_CONNECT, or
 *          whatever status the driver or a listener returned. *ret_lease is then untouched.
 * Threads: any. A thread other than the one that acquired the lease may return it.
 */
#define weir_pool_acquire(pool, deadline, ret_lease, reterr)                                       \
    weir_pool_acquire_at(pool, deadline, ret_lease, reterr, __FILE__, __LINE__)
#define weir_pool_try_acquire(pool, ret_lease, reterr)                                             \
    weir_pool_acquire_at(pool, WEIR_DEADLINE_NOW, ret_lease, reterr, __FILE__, __LINE__)

/* The function behind both macros. `file` (static storage) and `line` are the place that lists of holders
 * show; a wrapper passes its own caller's. */
WEIR_API WEIR_MUST_CHECK weir_status weir_pool_acquire_at(weir_pool *pool, weir_time deadline,
                                                          weir_lease *ret_lease, weir_error *reterr,
                                                          const char *file, int line);

/*
 * Return a connection for reuse, and clear the lease.
 *
 * The pool resets the connection and keeps it. It closes the connection instead if the reset fails, if the
 * connection was evicted meanwhile, or if it is overflow and no acquire waits. A detached connection is
 * closed.
 *
 * Never fails for a valid lease, and does not allocate. WEIR_MISUSE: the lease was already returned; the
 * call did nothing.
 * Threads: any.
 */
WEIR_API weir_status weir_pool_release(weir_lease *lease);

/*
 * Return a connection as broken: the pool closes it, and opens another when the slot is next used. This is
 * SQLAlchemy's invalidate(). Listeners receive `error`, which may be NULL, as the cause. Otherwise the
 * same as weir_pool_release().
 */
WEIR_API weir_status weir_pool_discard(weir_lease *lease, const weir_error *error);

/*
 * Let the holder finish, but replace the connection at its next checkout. SQLAlchemy's
 * invalidate(soft=True). WEIR_MISUSE when the lease is not held.
 * Threads: the holder.
 */
WEIR_API weir_status weir_pool_soft_invalidate(weir_lease *lease);

/*
 * Mark a lease whose holder is done while its statement is still being cancelled; the code that cancels
 * then returns the lease. The slot stays leased, so that the pool's limit holds for as long as the peer
 * counts the connection. But the lease no longer has a holder: it is not reported as a leak, it does not
 * make another acquire nested, and lists of holders show it with is_cancelling set. Copies of the lease
 * are refused from now on. Does nothing to a detached lease. WEIR_MISUSE when the lease is not held.
 * Threads: the holder.
 */
WEIR_API weir_status weir_pool_set_cancelling(weir_lease *lease);

/*
 * Take the connection out of the pool for good. Its slot is free for another connection at once, so the
 * server may see one more connection than the pool's limit. The lease keeps the connection;
 * weir_pool_release() or weir_pool_discard() then closes it, even after weir_pool_dispose(). WEIR_MISUSE
 * when the lease is not held or already detached; WEIR_NO_MEMORY: the call did nothing.
 * Threads: the holder.
 */
WEIR_API weir_status weir_pool_detach(weir_lease *lease);

/*
 * Replace every connection opened before this call: idle ones are closed now, leased ones when they are
 * returned. The pool keeps serving, and stays within its limit throughout. Use it after a failover or a
 * change of password.
 * Threads: any.
 */
WEIR_API void weir_pool_evict_all(weir_pool *pool);

/*
 * Close the connections that have been idle for `idle_ms` milliseconds or longer, which leaves their slots
 * vacant. A negative value closes none. Call it now and then if the pool should shrink after a peak.
 * Threads: any.
 */
WEIR_API void weir_pool_trim(weir_pool *pool, int64_t idle_ms);

/*
 * Run one step of housekeeping. The pool's owner should call it regularly, about once a second. It emits
 * LEAK for each lease that has been held for longer than leak_report_after_ms and was not yet reported,
 * with its place, thread and age. It reads each slot once and takes no lock.
 * Threads: any; not from a listener or driver of this pool.
 */
WEIR_API void weir_pool_maintain(weir_pool *pool);

/*
 * Shut the pool down: new and waiting acquires fail with WEIR_CLOSED at once, idle connections are closed,
 * and the call waits until every lease is returned or the deadline passes.
 *
 * WEIR_TIMEOUT: some leases are still held; the text lists the holders and how long they have held them. Their
 * connections are closed when they are returned. Call it again to wait longer. WEIR_DEADLINE_DEFAULT means
 * pool_timeout. Threads: any; not from a listener or driver of this pool.
 */
WEIR_API weir_status weir_pool_dispose(weir_pool *pool, weir_time deadline, weir_error *reterr);

/*
 * Dispose of the pool without waiting, and free it. Its memory stays until the last lease is returned
 * (leases stay valid, and their connections are closed on return), so no lease is ever left dangling.
 * Apart from calls on such leases, no call on the pool may be in progress or follow. NULL is fine.
 */
WEIR_API void weir_pool_close(weir_pool *pool);

/*
 * Add a listener. It is called with `arg` for each kind of event in `mask` (WEIR_EVENT_BIT,
 * WEIR_EVENT_ALL), after the listeners that were added before it. A pool takes up to 8, for its whole life.
 *
 * Errors:  WEIR_FULL.
 * Threads: any; the listener may miss events that are being emitted at that moment.
 */
WEIR_API weir_status weir_pool_listen(weir_pool *pool, unsigned mask, weir_pool_listener *listener,
                                      void *arg, weir_error *reterr);

/* A snapshot of a pool. Gauges are exact while no call is in progress; counters only grow. */
typedef struct weir_pool_stats {
    /* settings */
    int pool_size;
    int max_overflow; /* slots - pool_size, with pool_size 0 and max_overflow -1 resolved */
    int slots;        /* the hard limit of connections */
    /* gauges */
    int idle;   /* SQLAlchemy's checkedin(); includes slots whose connection must be opened again */
    int leased; /* SQLAlchemy's checkedout() */
    int cancelling; /* leased connections that were returned while their statement is still being cancelled */
    int overflow; /* SQLAlchemy's overflow(): counted connections - pool_size; negative until the pool is full */
    int connections; /* connections open now, without detached ones */
    int waiters;
    int peer_limit; /* how many connections the peer accepts, as its last refusal showed; 0: it refused none
                     * within the last minute, or the pool has opened more since */
    bool is_closed;
    /* counters */
    uint64_t checkouts;
    uint64_t waits;       /* acquires that ended their wait, successful or not: wait_time.count */
    uint64_t handed_over; /* slots handed directly to a waiter */
    uint64_t overtaken;   /* times a newcomer was served before a waiter (handoff_after_us) */
    uint64_t timeouts;
    uint64_t refused; /* acquires refused with WEIR_FULL */
    /* Connections that the peer refused because it had too many, while the pool had others open;
     * connect_errors counts them too. */
    uint64_t peer_refusals;
    uint64_t connects;       /* connections opened */
    uint64_t connect_errors; /* connections that could not be opened */
    uint64_t closes;         /* connections closed, without detached ones */
    uint64_t detached;
    uint64_t pings;
    uint64_t ping_failures;
    uint64_t resets;  /* returned connections that the driver was asked to reset */
    uint64_t misuses; /* leases returned twice */
    uint64_t leaks;   /* leases reported by weir_pool_maintain() */
    uint64_t nested;  /* acquires by threads that already held a connection, unless allowed */
    uint64_t closed_by[WEIR_REASON_COUNT]; /* closes, by reason */
    /* times */
    weir_histogram wait_time;   /* of acquires that waited, including those that gave up */
    weir_histogram create_time; /* of successful opens */
    weir_histogram use_time;    /* of one checkout in use_time_every */
} weir_pool_stats;

/* Take a snapshot. Threads: any; holds the pool's lock for some nanoseconds per slot. */
WEIR_API void weir_pool_get_stats(weir_pool *pool, weir_pool_stats *ret_stats);

/*
 * Write the line that SQLAlchemy's QueuePool.status() returns, byte for byte:
 * `Pool size: 5  Connections in pool: 0 Current Overflow: -5 Current Checked out connections: 0`.
 * The text is truncated to `size` bytes, including the terminating NUL. Returns the whole length, as snprintf
 * does. Threads: any.
 */
WEIR_API int weir_pool_status_line(weir_pool *pool, char *buffer, size_t size);

/* Who holds a connection. */
typedef struct weir_pool_holder {
    uint64_t connection_id; /* 0 while it is still being opened */
    const char *file;
    int line;
    int thread;         /* the kernel's id of the thread that acquired it; 0: it was returned */
    weir_time age;      /* nanoseconds since the checkout */
    bool is_cancelling; /* returned, and still being cancelled: weir_pool_set_cancelling() */
} weir_pool_holder;

/* List up to `capacity` current holders, longest first. Returns how many there are in total. Threads: any. */
WEIR_API size_t weir_pool_get_holders(weir_pool *pool, weir_pool_holder *holders, size_t capacity);

/* Return the id that events and lists of holders show for a lease's connection; 0 for an empty lease.
 * Threads: the holder. */
WEIR_API uint64_t weir_lease_connection_id(const weir_lease *lease);

/* Return the name and the options given at open, in the pool's own copy. Valid until weir_pool_close(). */
WEIR_API const char *weir_pool_name(const weir_pool *pool);
WEIR_API const weir_pool_options *weir_pool_get_options(const weir_pool *pool);

/*
 * Set one option by its URL name and text, as in `?pool_size=5&pool_timeout=2.5`: pool_size,
 * max_overflow, pool_timeout (seconds, fractions allowed), pool_recycle (seconds), recycle_jitter
 * (percent), pool_pre_ping (true/false/1/0), ping_bypass_ms, ping_timeout_ms, reset_timeout_ms,
 * pool_use_lifo, pool_reset_on_return (rollback/commit/none), handoff_after_us, max_waiters,
 * use_time_every, leak_report_after_ms, pool_nested (allow/warn/refuse).
 *
 * Errors: WEIR_NOT_FOUND for an unknown name; WEIR_INVALID with the allowed values.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_pool_options_set(weir_pool_options *options,
                                                           const char *name, const char *text,
                                                           weir_error *reterr);

/* An option as weir_pool_options_set() takes it: its name, and its value by kind. */
typedef enum weir_setting_kind {
    WEIR_SETTING_NUMBER, /* `number`, in the unit of the text: seconds for pool_timeout */
    WEIR_SETTING_BOOL,   /* `number` is 0 or 1 */
    WEIR_SETTING_WORD    /* `word`, such as "rollback"; NULL if the value has no word */
} weir_setting_kind;

typedef struct weir_pool_setting {
    const char *name;
    weir_setting_kind kind;
    double number;
    const char *word;
} weir_pool_setting;

/*
 * Get the option at an index, counted from 0. The indexes cover every option that weir_pool_options_set()
 * takes, in the order of the struct, for programs that show the settings of their pools. The texts are static.
 *
 * Returns false if the index is beyond the last option. Threads: any.
 */
WEIR_API bool weir_pool_options_get(const weir_pool_options *options, size_t index,
                                    weir_pool_setting *ret_setting);

struct weir_metrics;

/*
 * Watch a pool with metrics (weir/metrics.h): each rendering shows its weir_pool_get_stats() as OpenTelemetry's
 * db.client.connection.* and as weir.pool.*, with the label db.client.connection.pool.name. The figures of
 * pools with the same name are added up.
 *
 * Call weir_metrics_unwatch_pool(), which waits for a rendering that is reading the pool, before you close
 * the pool. The pool may be disposed of before that.
 *
 * Errors:  WEIR_ALREADY when it is watched, WEIR_FULL, WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_watch_pool(struct weir_metrics *metrics,
                                                             weir_pool *pool, weir_error *reterr);
WEIR_API void weir_metrics_unwatch_pool(struct weir_metrics *metrics, weir_pool *pool);

/* A listener that records what a pool does, as child spans of the thread's current span (weir/trace.h), and the
 * mask of the events that it needs. */
#define WEIR_TRACE_POOL_EVENTS                                                                     \
    (WEIR_EVENT_BIT(WEIR_EVENT_WAIT) | WEIR_EVENT_BIT(WEIR_EVENT_TIMEOUT) |                        \
     WEIR_EVENT_BIT(WEIR_EVENT_CONNECT) | WEIR_EVENT_BIT(WEIR_EVENT_PING) |                        \
     WEIR_EVENT_BIT(WEIR_EVENT_PING_FAILURE))
WEIR_API weir_status weir_trace_on_pool_event(const weir_pool_event *event, void *arg);

#ifdef __cplusplus
}
#endif

#endif
