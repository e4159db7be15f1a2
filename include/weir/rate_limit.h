/* SPDX-License-Identifier: MIT */
/* A rate limiter for one origin: it limits requests per period, and sends none during a cool-down. */
#ifndef WEIR_RATE_LIMIT_H
#define WEIR_RATE_LIMIT_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * It is a token bucket that holds `burst` tokens and gains `rate` tokens evenly over each period. It also has a
 * cool-down, which a 429 or 503 with Retry-After begins and during which no caller sends, not only the one that
 * received it. The retries of one request end before a server that blocks for 30 seconds answers again; a pause
 * of all callers lasts long enough.
 *
 *     weir_rate_limiter_pass pass;
 *     do {
 *         if (!weir_rate_limiter_reserve(&rate_limit, now, deadline, &pass)) -> not before pass.at: give up
 *         sleep until pass.at
 *     } while (!weir_rate_limiter_enter(&rate_limit, &pass, now));
 *     send
 *
 * Each caller reserves an instant of its own. So no caller needs to be woken, none overtakes another, and all
 * are spread as the rate allows. The functions compute only from their arguments; they read no clock and
 * take no lock.
 * Threads: one at a time; guard a shared rate limiter with a lock of your own.
 */

/* Options. Start from WEIR_RATE_LIMIT_OPTIONS_DEFAULT. */
typedef struct weir_rate_limit_options {
    /* Requests per period. Default 0: no limit, only cool-downs. 0 to 1000000. */
    int rate;

    /* Milliseconds; default 1000, 1 to 86400000. */
    int period_ms;

    /* How many requests may be sent at once after an idle period. Default 1 (evenly spaced), 1 to 100000. With
     * a burst of n, a server that counts per period may see rate + n - 1 requests in one period. */
    int burst;

    /* The longest cool-down that a server can ask for. Seconds; default 21600, 0 to
     * 31536000. */
    int max_cool_down_s;
} weir_rate_limit_options;

#define WEIR_RATE_LIMIT_OPTIONS_DEFAULT                                                            \
    {                                                                                              \
        0, 1000, 1, 21600                                                                          \
    }

/* A rate limiter, in the caller's memory; there is nothing to free. The fields belong to weir. */
typedef struct weir_rate_limiter {
    weir_rate_limit_options options;
    weir_time full_at; /* when the bucket will be full, if nothing more is taken out of it */
    weir_time cool_down_until;
    uint64_t cool_downs;
} weir_rate_limiter;

/* Initialize a rate limiter with a full bucket and no cool-down. `options` may be NULL. Errors: WEIR_INVALID
 * names the option, its value and its range; *ret_limiter is then untouched. */
WEIR_API WEIR_MUST_CHECK weir_status weir_rate_limiter_init(weir_rate_limiter *ret_limiter,
                                                            const weir_rate_limit_options *options,
                                                            weir_error *reterr);

/* A reservation: send at `at`, unless a cool-down began meanwhile. */
typedef struct weir_rate_limiter_pass {
    weir_time at;
    uint64_t cool_downs;
} weir_rate_limiter_pass;

/*
 * Reserve the next free instant, which is `now` if no rate and no cool-down prevents it.
 *
 * false: that instant is at or after the deadline (WEIR_DEADLINE_NEVER: no limit; WEIR_DEADLINE_NOW: only `now`
 * is acceptable). Nothing is reserved, and ret_pass->at is the instant that was free. An unused pass costs its
 * token; it cannot be returned, because later passes may already depend on it.
 */
WEIR_API WEIR_MUST_CHECK bool weir_rate_limiter_reserve(weir_rate_limiter *limiter, weir_time now,
                                                        weir_time deadline,
                                                        weir_rate_limiter_pass *ret_pass);

/* Use a pass, at its instant or later. false: the instant has not come yet, or a cool-down began after the
 * reservation and made it void; reserve again. */
WEIR_API WEIR_MUST_CHECK bool weir_rate_limiter_enter(const weir_rate_limiter *limiter,
                                                      const weir_rate_limiter_pass *pass,
                                                      weir_time now);

/*
 * Begin a cool-down: no caller may send until `until`, which is limited to max_cool_down_s from now. A cool-down
 * never becomes shorter. Every unused pass becomes void. At the end of the cool-down the bucket is full: set
 * a rate, so that the waiting callers pass one after another instead of all at once.
 */
WEIR_API void weir_rate_limiter_cool_down(weir_rate_limiter *limiter, weir_time now,
                                          weir_time until);

#ifdef __cplusplus
}
#endif

#endif
