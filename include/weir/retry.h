/* SPDX-License-Identifier: MIT */
/* A retry policy decides whether and when to retry a failed request; its options are named after urllib3's. */
#ifndef WEIR_RETRY_H
#define WEIR_RETRY_H

#include <weir/budget.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * After each attempt, the caller says how it ended, and weir_retry_next() answers: retry after a delay,
 * return the response, or fail. The functions compute only from their arguments: they read no clock, draw
 * no random number, do not sleep, take no lock and allocate nothing.
 * Threads: any; use a state, and a shared budget, from one thread at a time.
 */

/* ---- words ------------------------------------------------------------------------------- */

/* Methods, as bits to be combined. */
#define WEIR_METHOD_GET 0x001u
#define WEIR_METHOD_HEAD 0x002u
#define WEIR_METHOD_OPTIONS 0x004u
#define WEIR_METHOD_TRACE 0x008u
#define WEIR_METHOD_PUT 0x010u
#define WEIR_METHOD_DELETE 0x020u
#define WEIR_METHOD_POST 0x040u
#define WEIR_METHOD_PATCH 0x080u
#define WEIR_METHOD_OTHER 0x100u /* every method that has no bit of its own */
#define WEIR_METHOD_ANY 0x1FFu

/* The methods that RFC 9110 (9.2.2) calls idempotent: sending such a request twice has the same effect as
 * sending it once. urllib3's DEFAULT_ALLOWED_METHODS. */
#define WEIR_METHODS_IDEMPOTENT 0x03Fu

/* Return the bit of a method, given its name in upper or lower case. */
WEIR_API unsigned weir_method_of(const char *name);

/* Two special values of a counter: urllib3's None and False. */
#define WEIR_RETRY_UNLIMITED (-1)
#define WEIR_RETRY_DISABLED (-2)

/*
 * How a delay is drawn from a back-off b, with r random from 0 to 1. b starts at backoff_factor and doubles
 * with each failure, up to backoff_max.
 */
typedef enum weir_jitter {
    WEIR_JITTER_NONE,        /* b */
    WEIR_JITTER_ADDITIVE,    /* min(backoff_max, b + r * backoff_jitter), as in urllib3 */
    WEIR_JITTER_FULL,        /* r * b */
    WEIR_JITTER_EQUAL,       /* b/2 + r * b/2 */
    WEIR_JITTER_DECORRELATED /* min(backoff_max, a value from backoff_factor to 3 * the last one) */
} weir_jitter;

/* What to do when a server asks for a longer pause than retry_after_max. */
typedef enum weir_retry_after_action {
    WEIR_RETRY_AFTER_FAIL, /* do not retry */
    WEIR_RETRY_AFTER_WAIT  /* retry after retry_after_max, which is earlier than the server asked */
} weir_retry_after_action;

#define WEIR_RETRY_STATUSES 16

/* Options. Start from WEIR_RETRY_OPTIONS_DEFAULT and assign; weir_retry_check() checks the ranges. */
typedef struct weir_retry_options {
    /* Retries of any kind. Default 3, 0 to 1000000, or WEIR_RETRY_UNLIMITED, or WEIR_RETRY_DISABLED: never
     * retry, and pass on the result. The five options below have the same range and count one kind each; a
     * retry must fit into both `total` and its kind. */
    int total;

    /* After failures to connect: refused, unreachable, unknown name, connect timeout. The server
     * saw nothing, so any method is retried. Default WEIR_RETRY_UNLIMITED. */
    int connect;

    /* After a connection that was lost, or silent for too long, with the request in flight. Default
     * WEIR_RETRY_UNLIMITED. */
    int read;

    /* Redirects followed. Default 30, which is requests' limit. They count in `total` too, as in
     * urllib3; keep a state for redirects alone to count them apart. */
    int redirect;

    /* After responses whose status asks for it. Default WEIR_RETRY_UNLIMITED. */
    int status;

    /* After all other failures, such as TLS errors, which a retry does not fix: an invalid certificate stays
     * invalid. Default 0. */
    int other;

    /* Methods that may be retried after they may have reached the server (WEIR_METHOD_…). Default
     * WEIR_METHODS_IDEMPOTENT. POST and PATCH are retried only when their bit is set here or the
     * attempt has an Idempotency-Key. 0 means any method, as in urllib3. */
    unsigned allowed_methods;

    /* Statuses that are retried; the list ends at the first 0. Default 429, 500, 502, 503, 504; each 100 to
     * 599. 413, 429 and 503 with a Retry-After are retried even if they are not listed; when no retries are
     * left, such a response is returned and never treated as a failure. */
    int status_forcelist[WEIR_RETRY_STATUSES];

    /* The back-off's first value. Milliseconds; default 300, 0 to 86400000. 0: no back-off. */
    int backoff_factor_ms;

    /* The largest back-off. Milliseconds; default 120000, 0 to 86400000. */
    int backoff_max_ms;

    /* How the delay is drawn from the back-off. Default WEIR_JITTER_FULL, so that clients that failed together
     * do not retry together. */
    weir_jitter jitter;

    /* For WEIR_JITTER_ADDITIVE. Milliseconds; default 0, 0 to 86400000. */
    int backoff_jitter_ms;

    /* Wait at least as long as a Retry-After says. Default true. A random part of up to the
     * back-off is added to it, except with WEIR_JITTER_NONE and WEIR_JITTER_ADDITIVE. */
    bool respect_retry_after;

    /* The longest Retry-After that is waited for, and what happens with longer ones. Seconds; default
     * 21600, 0 to 31536000. Default WEIR_RETRY_AFTER_FAIL. */
    int retry_after_max_s;
    weir_retry_after_action retry_after_action;

    /* When no retry is left for a status of the forcelist: fail (true, the default), or return the last
     * response. raise_on_redirect: the same for redirects. */
    bool raise_on_status;
    bool raise_on_redirect;

    /*
     * Decide as urllib3 2 does where weir would decide otherwise. Default false.
     *  - The first retry in a series of failures is immediate.
     *  - A Retry-After may be any date that Python's email.utils reads: without weekday or seconds, with a zone
     *    by number or name (a missing or unknown zone counts as UTC), with a two-digit year (69 to 99 mean
     *    1969 to 1999), with the month in full, or with day 31 in June; see weir_retry_after_asked().
     *  - An invalid Retry-After fails the request. Several fields are joined with commas into one value, which
     *    is valid only if the first field is a date. (weir ignores and counts invalid ones, and takes the
     *    longest of several valid ones.)
     *  - After errors of the kind `other`, any method is retried.
     *  - An Idempotency-Key makes no difference, nor does it matter whether anything was sent.
     *  - A 413 with Retry-After is returned if `total` is unlimited or used up, and fails if only `status`
     *    is.
     *  - With total or status disabled, a status of the forcelist fails.
     */
    bool urllib3_rules;
} weir_retry_options;

#define WEIR_RETRY_OPTIONS_DEFAULT                                                                 \
    {                                                                                              \
        3, WEIR_RETRY_UNLIMITED, WEIR_RETRY_UNLIMITED, 30, WEIR_RETRY_UNLIMITED, 0,                \
            WEIR_METHODS_IDEMPOTENT, {429, 500, 502, 503, 504, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},   \
            300, 120000, WEIR_JITTER_FULL, 0, true, 21600, WEIR_RETRY_AFTER_FAIL, true, true,      \
            false                                                                                  \
    }

/*
 * What `Retry(total=3, backoff_factor=0.3, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=["HEAD",
 * "GET", "OPTIONS", "POST", "PUT", "DELETE"])` does in urllib3 2, with exactly the same pauses: no jitter, POST
 * is retried, and a Retry-After of more than six hours is cut to six hours.
 */
#define WEIR_RETRY_OPTIONS_URLLIB3                                                                 \
    {                                                                                              \
        3, WEIR_RETRY_UNLIMITED, WEIR_RETRY_UNLIMITED, WEIR_RETRY_UNLIMITED, WEIR_RETRY_UNLIMITED, \
            WEIR_RETRY_UNLIMITED,                                                                  \
            WEIR_METHOD_HEAD | WEIR_METHOD_GET | WEIR_METHOD_OPTIONS | WEIR_METHOD_POST |          \
                WEIR_METHOD_PUT | WEIR_METHOD_DELETE,                                              \
            {429, 500, 502, 503, 504, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 300, 120000,               \
            WEIR_JITTER_NONE, 0, true, 21600, WEIR_RETRY_AFTER_WAIT, true, true, true              \
    }

/* Check options before their first use. Errors: WEIR_INVALID names the option, its value and its
 * range. */
WEIR_API WEIR_MUST_CHECK weir_status weir_retry_check(const weir_retry_options *options,
                                                      weir_error *reterr);

/* ---- attempts ---------------------------------------------------------------------------- */

/* How an attempt ended. */
typedef enum weir_attempt_kind {
    WEIR_ATTEMPT_RESPONSE, /* a response, whatever its status */
    WEIR_ATTEMPT_REDIRECT, /* a redirect that the caller would follow */
    WEIR_ATTEMPT_CONNECT,  /* no connection could be opened */
    WEIR_ATTEMPT_READ,     /* the connection was lost, or no response came in time */
    WEIR_ATTEMPT_OTHER,    /* any other failure */
    WEIR_ATTEMPT_REFUSED   /* not made at all: our own pool, rate limiter or breaker refused it */
} weir_attempt_kind;

/* One attempt and its request. Start from {0} and assign. */
typedef struct weir_attempt {
    weir_attempt_kind kind;
    int status;      /* the status of a response; 0 if there is none */
    bool timed_out;  /* whether a failure was a timeout */
    unsigned method; /* weir_method_of() */

    /* The values of the response's Retry-After header fields; they are read during the call only. */
    const char *const *retry_after;
    size_t retry_after_count;

    /* The request has an Idempotency-Key, by which the server recognises a retry. */
    bool has_idempotency_key;

    /* For a failure: at least one byte of the request may have been sent. If unknown, set it to true. */
    bool was_sent;

    /* The request can be sent again from the beginning: it has no body, or one that can be read again. */
    bool is_rewindable;
} weir_attempt;

/* The moment at which a decision is made. */
typedef struct weir_moment {
    weir_time now;      /* weir_now(), read after the attempt ended */
    int64_t wall_now;   /* nanoseconds since 1970 UTC, for a Retry-After that is a date */
    weir_time deadline; /* of all attempts and pauses together, or WEIR_DEADLINE_NEVER */
    uint64_t random;    /* 64 random bits, new for each decision */
} weir_moment;

/* How many retries a request has left. It is in the caller's memory, one per request; read it, but do not
 * write to it. */
typedef struct weir_retry_state {
    int total, connect, read, redirect, status, other;
    unsigned attempts;             /* attempts made so far */
    unsigned failures;             /* consecutive failures; a redirect begins again at 0 */
    unsigned invalid_retry_afters; /* invalid Retry-After fields that were ignored */
    weir_time last_delay;          /* for WEIR_JITTER_DECORRELATED */
} weir_retry_state;

/* Begin a request. */
WEIR_API void weir_retry_init(weir_retry_state *ret_state, const weir_retry_options *options);

typedef enum weir_retry_verdict {
    WEIR_VERDICT_RETRY,  /* send it again (or to where it was redirected), not before `at` */
    WEIR_VERDICT_RETURN, /* return the response */
    WEIR_VERDICT_FAIL    /* return an error; the attempt's kind and the cause say which */
} weir_retry_verdict;

/* Why a decision was made. The first four go with a retry or a final response; the others say why there is
 * no retry. */
typedef enum weir_retry_cause {
    WEIR_CAUSE_FINAL,       /* a response that needs no retry */
    WEIR_CAUSE_BACKOFF,     /* retried after a back-off */
    WEIR_CAUSE_RETRY_AFTER, /* retried or redirected at the time that the server asked for */
    WEIR_CAUSE_REDIRECT,    /* redirected at once */
    WEIR_CAUSE_METHOD,      /* the response came, but the method may not be retried */
    WEIR_CAUSE_UNKNOWN,     /* it failed in flight, and may have been carried out */
    WEIR_CAUSE_DISABLED,    /* retries of this kind are disabled */
    WEIR_CAUSE_EXHAUSTED,   /* no retries are left */
    WEIR_CAUSE_BODY,        /* the body cannot be sent again */
    WEIR_CAUSE_INVALID,     /* the Retry-After is invalid (urllib3_rules) */
    WEIR_CAUSE_TOO_LONG,    /* the Retry-After is longer than retry_after_max */
    WEIR_CAUSE_DEADLINE,    /* the retry would begin at the deadline or after it */
    WEIR_CAUSE_BUDGET,      /* too many retries already go to this origin */
    WEIR_CAUSE_REFUSED      /* no attempt was made, so there is nothing to retry */
} weir_retry_cause;

/* Return the word that metrics use for a cause ("retry_after"), or a phrase for people. Static, never NULL. */
WEIR_API const char *weir_retry_cause_name(weir_retry_cause cause);
WEIR_API const char *weir_retry_cause_text(weir_retry_cause cause);

typedef struct weir_retry_decision {
    weir_retry_verdict verdict;
    weir_retry_cause cause;
    weir_time delay; /* with WEIR_VERDICT_RETRY, how long to wait from `now`; otherwise 0 */
    weir_time at;    /* with WEIR_VERDICT_RETRY, the instant now + delay; otherwise 0 */
} weir_retry_decision;

/*
 * Decide what follows an attempt, and count it.
 *
 * A retry never begins before the instant of a valid Retry-After (WEIR_RETRY_AFTER_WAIT is the only
 * exception), and never at or after the deadline: no pause begins that would reach it. `budget` may be NULL.
 * It is charged last, only for retries that go ahead, and never for redirects.
 */
WEIR_API WEIR_MUST_CHECK weir_retry_decision weir_retry_next(const weir_retry_options *options,
                                                             weir_retry_state *state,
                                                             const weir_attempt *attempt,
                                                             const weir_moment *moment,
                                                             weir_budget *budget);

/*
 * Describe in one line how a request ended, for an error text: `status 503 after 4 attempts: no retries
 * are left`. Cut to `size`, always terminated. Returns the whole length, as snprintf does.
 */
WEIR_API int weir_retry_describe(const weir_retry_state *state, const weir_attempt *attempt,
                                 const weir_retry_decision *decision, char *buffer, size_t size);

/* ---- Retry-After ------------------------------------------------------------------------- */

/*
 * Read the value of one Retry-After: a whole number of seconds, or a date in any of the three forms
 * of RFC 9110 (IMF-fixdate, RFC 850, asctime), with optional spaces or tabs around it.
 *
 * *ret_delay is the time from `wall_now`, the present (nanoseconds since 1970 UTC). It is 0 for a time in the
 * past, and INT64_MAX if it would overflow (after about 292 years). A two-digit year is taken as a year from 49
 * years ago to 50 years ahead. The weekday is not checked against the date.
 *
 * Returns false, and leaves *ret_delay unchanged, for anything else: signs, fractions, units, lists, other
 * zones, days that the month does not have.
 */
WEIR_API WEIR_MUST_CHECK bool weir_retry_after_parse(const char *text, int64_t wall_now,
                                                     weir_time *ret_delay);

/*
 * Combine an attempt's Retry-After fields as the options say: take the longest of the valid ones; or with
 * urllib3_rules, join all fields into the one value that urllib3 sees, where a date is whatever Python's
 * email.utils.parsedate_tz() reads: the forms above and those of RFC 5322, with
 *   - an optional weekday, with or without a comma after it, and the day and month in either order,
 *   - the month short or in full, in any case,
 *   - years of four digits or fewer; 0 to 68 mean 2000 to 2068, 69 to 99 mean 1969 to 1999,
 *   - the time as 08:49:37, 08:49, 8.49.37 or 8.49, the zone behind it after a blank or a sign,
 *   - the zone as +0100 or as UT, UTC, GMT, Z or North America's AST to PDT; any other zone, or none, is UTC,
 *   - days that the month does not have: 31 June means 1 July.
 * Extra words at the end are ignored. The year must be from 1 to 9999. Together, several fields may have at
 * most 500 bytes. Use this to pause all callers; weir_retry_next() reads the fields itself.
 *
 * Returns false, and leaves *ret_delay unchanged, if no field is valid. The option respect_retry_after makes
 * no difference here.
 */
WEIR_API WEIR_MUST_CHECK bool weir_retry_after_asked(const weir_retry_options *options,
                                                     const weir_attempt *attempt, int64_t wall_now,
                                                     weir_time *ret_delay);

#ifdef __cplusplus
}
#endif

#endif
