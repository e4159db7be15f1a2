/* SPDX-License-Identifier: MIT */
/* A circuit breaker: it refuses calls to a failing server for a while, then lets a few through as probes. */
#ifndef WEIR_BREAKER_H
#define WEIR_BREAKER_H

#include <weir/retry.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The states, thresholds and comparisons are resilience4j's:
 *
 *             rate >= threshold                        a call strictly after the wait
 *   CLOSED ------------------------> OPEN ------------------------------> HALF_OPEN
 *     ^                               ^                                     |   |
 *     |                               +------- rate >= threshold -----------+   |
 *     +------------------------------------------- below ----------------------+
 *
 * Three more states are entered and left by hand: DISABLED (all calls pass, none is counted), METRICS_ONLY
 * (all calls pass and are counted) and FORCED_OPEN (no call passes).
 *
 * It differs from resilience4j in three ways. A permit of HALF_OPEN is a lease, so that a result that never
 * comes cannot hold the breaker there forever. The breaker decides as soon as no outstanding result could
 * change the outcome. And the wait doubles each time the breaker opens again without having closed, with
 * jitter, so that clients do not all try again at the same time.
 *
 * For every call, ask weir_breaker_acquire() first and report the result to weir_breaker_record(). Use one
 * breaker per origin; each retry goes through it as a call of its own. The functions compute only from their
 * arguments: they read no clock, draw no random number, allocate nothing and take no lock.
 * Threads: one at a time; guard a shared breaker with a lock of your own.
 */

typedef enum weir_breaker_state {
    WEIR_BREAKER_CLOSED,
    WEIR_BREAKER_OPEN,
    WEIR_BREAKER_HALF_OPEN,
    WEIR_BREAKER_DISABLED,
    WEIR_BREAKER_METRICS_ONLY,
    WEIR_BREAKER_FORCED_OPEN
} weir_breaker_state;

/* Return the word that metrics use for a state ("half_open"), or "unknown" for any other value. Static. */
WEIR_API const char *weir_breaker_state_name(weir_breaker_state state);

typedef enum weir_breaker_window {
    WEIR_WINDOW_COUNT, /* the last window_size calls */
    WEIR_WINDOW_TIME   /* the calls of the last window_size seconds, including the present one */
} weir_breaker_window;

#define WEIR_BREAKER_CALLS_MAX 1024
#define WEIR_BREAKER_SECONDS_MAX 300
#define WEIR_BREAKER_PERMITS_MAX 64

/* Options. Start from WEIR_BREAKER_OPTIONS_DEFAULT. */
typedef struct weir_breaker_options {
    /* Open when at least this share of calls failed. Percent; default 50, 1 to 100. */
    int failure_rate_threshold;

    /* Open when at least this share of calls was slow; a slow failure counts as both.
     * Percent; default 100, 1 to 100. */
    int slow_call_rate_threshold;

    /* A call that took longer than this is slow. Milliseconds; default 60000, 0 to 86400000. */
    int slow_call_duration_ms;

    /* Which calls are counted. Default WEIR_WINDOW_COUNT with 100. Size: 1 to 1024 calls, 1 to 300
     * seconds. */
    weir_breaker_window window;
    int window_size;

    /* The breaker decides nothing before the window has this many calls. Default 100, 1 to 1000000; with
     * WEIR_WINDOW_COUNT, a value above window_size counts as window_size. */
    int minimum_calls;

    /* How long the breaker stays open. Milliseconds; default 60000, 1 to 86400000. The wait doubles each time
     * the breaker opens again without having closed, up to wait_in_open_max_ms: default 300000 (Envoy's
     * limit for ejecting a host), wait_in_open_ms to 86400000. If both are equal, the wait never grows. */
    int wait_in_open_ms;
    int wait_in_open_max_ms;

    /* Each wait is this much shorter or longer, at random. Percent; default 20, 0 to 100. */
    int wait_jitter_percent;

    /* How many calls HALF_OPEN lets through, and how many may be in flight at once. Default 10, 1 to 64. */
    int permitted_calls_in_half_open;

    /* How long such a call may hold its permit before another call gets it. Milliseconds; default 60000, 1 to
     * 86400000. Set it to twice the timeout of your calls. */
    int permit_lease_ms;
} weir_breaker_options;

#define WEIR_BREAKER_OPTIONS_DEFAULT                                                               \
    {                                                                                              \
        50, 100, 60000, WEIR_WINDOW_COUNT, 100, 100, 60000, 300000, 20, 10, 60000                  \
    }

/* Numbers of calls by how they ended. */
typedef struct weir_breaker_counts {
    uint32_t calls;
    uint32_t failed;
    uint32_t slow;
} weir_breaker_counts;

/* A permit of HALF_OPEN that a call holds. */
typedef struct weir_breaker_lease {
    uint64_t token; /* 0: no call holds it */
    weir_time expires;
} weir_breaker_lease;

/* A breaker, in the caller's memory; there is nothing to free. The fields belong to weir. */
typedef struct weir_breaker {
    weir_breaker_options options;
    weir_breaker_state state;
    uint64_t epoch;        /* grows with each change of state */
    uint64_t window_epoch; /* the epoch whose calls the window holds; 0: none */
    weir_time open_until;
    unsigned opened_in_a_row;
    bool is_exceeded; /* METRICS_ONLY: WEIR_BREAKER_EXCEEDED was already returned */

    weir_breaker_counts half_open; /* results since the breaker became HALF_OPEN */
    weir_breaker_lease leases[WEIR_BREAKER_PERMITS_MAX];
    uint64_t last_token;

    weir_breaker_counts total; /* the sum of the window */
    int64_t newest;            /* COUNT: the index for the next call; TIME: the newest second */
    union {
        uint8_t calls[WEIR_BREAKER_CALLS_MAX];
        weir_breaker_counts seconds[WEIR_BREAKER_SECONDS_MAX];
    } ring;

    uint64_t not_permitted;
    uint64_t late;
    uint64_t expired;
} weir_breaker;

/* Initialize a breaker; it begins CLOSED. `options` may be NULL. Errors: WEIR_INVALID names the option, its
 * value and its range; *ret_breaker is then untouched. */
WEIR_API WEIR_MUST_CHECK weir_status weir_breaker_init(weir_breaker *ret_breaker,
                                                       const weir_breaker_options *options,
                                                       weir_error *reterr);

/* Permission to make one call; pass it back with the result. A permit of {0} allows nothing; a result recorded
 * with it counts as late. */
typedef struct weir_permit {
    uint64_t epoch;
    uint64_t token;
} weir_permit;

/*
 * Ask to make a call. false: refused; do not make the call, and do not record it. A refusal is not a failure
 * of the call: do not retry it at once, and do not charge it to a budget.
 *
 * The first caller that asks strictly after an open breaker's wait makes it HALF_OPEN, and then competes for
 * a permit like any other.
 */
WEIR_API WEIR_MUST_CHECK bool weir_breaker_acquire(weir_breaker *breaker, weir_time now,
                                                   weir_permit *ret_permit);

typedef enum weir_breaker_outcome {
    WEIR_OUTCOME_SUCCESS,
    WEIR_OUTCOME_FAILURE,
    WEIR_OUTCOME_IGNORED /* says nothing about the server: the permit is returned */
} weir_breaker_outcome;

/*
 * Classify an attempt for the breaker. No connection, a lost or silent connection and a 5xx are failures.
 * Any other response is a success, even a 429, because a server that refuses is alive. What was refused on
 * this side (a full pool, a cool-down) is ignored.
 */
WEIR_API weir_breaker_outcome weir_breaker_classify(const weir_attempt *attempt);

/* What a result changed. */
typedef enum weir_breaker_change {
    WEIR_BREAKER_UNCHANGED,
    WEIR_BREAKER_OPENED,
    WEIR_BREAKER_RECLOSED,
    WEIR_BREAKER_EXCEEDED /* METRICS_ONLY: it would have opened; returned once */
} weir_breaker_change;

/*
 * Record the result of a call and how long it took. `random`: 64 random bits, for the wait's jitter.
 *
 * A result that comes after the state has changed does not change the state. If its call began in CLOSED, it
 * is still counted in that window, until the window is emptied. If its lease expired and went to another
 * call, it is dropped.
 */
WEIR_API weir_breaker_change weir_breaker_record(weir_breaker *breaker, const weir_permit *permit,
                                                 weir_breaker_outcome outcome, weir_time duration,
                                                 weir_time now, uint64_t random);

/*
 * Open the breaker until an instant, without jitter and without counting a failure, as for a 429 or 503 with
 * a Retry-After. A breaker that is open already can only stay open for longer; states set by hand do not
 * change.
 */
WEIR_API weir_breaker_change weir_breaker_open_until(weir_breaker *breaker, weir_time until);

/*
 * Set a state by hand: CLOSED (with an empty window, as if new), DISABLED, METRICS_ONLY (with an empty window)
 * or FORCED_OPEN. OPEN and HALF_OPEN cannot be set (weir_breaker_open_until() opens it); they are WEIR_INVALID.
 */
WEIR_API weir_status weir_breaker_set(weir_breaker *breaker, weir_breaker_state state,
                                      weir_error *reterr);

/* A snapshot of a breaker. */
typedef struct weir_breaker_stats {
    weir_breaker_state state; /* stays OPEN after the wait until a call comes */
    weir_time open_until;     /* 0 unless OPEN */
    unsigned opened_in_a_row;
    weir_breaker_counts counts; /* of the window, or while HALF_OPEN of the permitted calls */
    double failure_rate;        /* percent; -1 while fewer than minimum_calls are counted */
    double slow_call_rate;
    int permits_out;
    uint64_t not_permitted; /* calls refused */
    uint64_t late;          /* results that came too late to change anything */
    uint64_t expired;       /* leases that expired */
} weir_breaker_stats;

WEIR_API void weir_breaker_get_stats(weir_breaker *breaker, weir_time now,
                                     weir_breaker_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
