/* SPDX-License-Identifier: MIT */
/* A rate limiter for one origin: so many requests per period, and none during a cool-down that the origin asked for. */
#ifndef WEIR_RATE_LIMIT_H
#define WEIR_RATE_LIMIT_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A token bucket that holds `burst` tokens and gains `rate` of them evenly over each period, and a
 * cool-down, begun by a 429 or 503 with Retry-After, in which nobody sends, not only the caller that
 * received it. Retries of one request cannot outlast a server that blocks for 30 seconds; not sending
 * until then can.
 *
 *     weir_rate_limiter_pass pass;
 *     do {
 *         if (!weir_rate_limiter_reserve(&rate_limit, now, deadline, &pass)) -> not before pass.at: give up
 *         sleep until pass.at
 *     } while (!weir_rate_limiter_enter(&rate_limit, &pass, now));
 *     send
 *
 * Each caller reserves an instant of its own, so nobody has to be woken, nobody overtakes, and all
 * are spread as the rate allows. All functions are arithmetic on what they are given; they read no
 * clock and take no lock.
 * Threads: one at a time; the caller's lock guards a rate limiter that is shared.
 */

/* Options. Start from WEIR_RATE_LIMIT_OPTIONS_DEFAULT. */
typedef struct weir_rate_limit_options {
    /* Requests per period. Default 0: no limit, only cool-downs. 0 to 1000000. */
    int rate;

    /* Milliseconds; default 1000, 1 to 86400000. */
    int period_ms;

    /* How many may be sent at once after a rest. Default 1: evenly spaced; 1 to 100000. With a
     * burst of n, a server that counts over a period may see rate + n - 1 in one. */
    int burst;

    /* The longest cool-down that a server can ask for. Seconds; default 21600, 0 to
     * 31536000. */
    int max_cool_down_s;
} weir_rate_limit_options;

#define WEIR_RATE_LIMIT_OPTIONS_DEFAULT                                                            \
    {                                                                                              \
        0, 1000, 1, 21600                                                                          \
    }

/* A rate limiter, on the caller's memory; nothing to give up. The fields are weir's. */
typedef struct weir_rate_limiter {
    weir_rate_limit_options options;
    weir_time full_at; /* when the bucket will be full, if nothing more is taken out of it */
    weir_time cool_down_until;
    uint64_t cool_downs;
} weir_rate_limiter;

/* Begin full, without a cool-down. `options` may be NULL. Errors: WEIR_INVALID names the option, its value and
 * its range; *ret_limiter is then untouched. */
WEIR_API WEIR_MUST_CHECK weir_status weir_rate_limiter_init(weir_rate_limiter *ret_limiter,
                                                            const weir_rate_limit_options *options,
                                                            weir_error *reterr);

/* A place in time: send at `at`, unless a cool-down began meanwhile. */
typedef struct weir_rate_limiter_pass {
    weir_time at;
    uint64_t cool_downs;
} weir_rate_limiter_pass;

/*
 * Reserve the next free instant, which is `now` when nothing stands in the way.
 *
 * false: that would be at the deadline or after it (WEIR_DEADLINE_NEVER: no limit;
 * WEIR_DEADLINE_NOW: only at once). Nothing is reserved, and ret_pass->at tells when it would have
 * been. A pass that is not used costs its token; there is no giving back, because later ones may
 * already stand behind it.
 */
WEIR_API WEIR_MUST_CHECK bool weir_rate_limiter_reserve(weir_rate_limiter *limiter, weir_time now,
                                                        weir_time deadline,
                                                        weir_rate_limiter_pass *ret_pass);

/* Go through at the reserved instant or later. false: it is not that late yet, or a
 * cool-down began after the reservation, which is void then: reserve again. */
WEIR_API WEIR_MUST_CHECK bool weir_rate_limiter_enter(const weir_rate_limiter *limiter,
                                                      const weir_rate_limiter_pass *pass,
                                                      weir_time now);

/*
 * Let no caller send until `until`, at most max_cool_down_s from now; a cool-down never becomes shorter.
 * Every pass that is not used yet is void. At its end the bucket is full: give a rate, and those who wait
 * go through one after another instead of all at once.
 */
WEIR_API void weir_rate_limiter_cool_down(weir_rate_limiter *limiter, weir_time now,
                                          weir_time until);

#ifdef __cplusplus
}
#endif

#endif
