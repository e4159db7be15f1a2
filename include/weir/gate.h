/* SPDX-License-Identifier: MIT */
/* A gate before an origin: so many requests per period, and none while it asked for a pause. */
#ifndef WEIR_GATE_H
#define WEIR_GATE_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A token bucket that holds `burst` tokens and gains `rate` of them evenly over each period, and a
 * door in front of it that a 429 or 503 with Retry-After closes for every caller, not only for the
 * one that received it. Retries of one request cannot outlast a server that blocks for 30 seconds;
 * not sending until then can.
 *
 *     weir_gate_pass pass;
 *     do {
 *         if (!weir_gate_reserve(&gate, now, deadline, &pass)) -> not before pass.at: give up
 *         sleep until pass.at
 *     } while (!weir_gate_enter(&gate, &pass, now));
 *     send
 *
 * Each caller reserves an instant of its own, so nobody has to be woken, nobody overtakes, and all
 * are spread as the rate allows. All functions are arithmetic on what they are given; they read no
 * clock and take no lock.
 * Threads: one at a time; the caller's lock guards a gate that is shared.
 */

/* Options. Start from WEIR_GATE_OPTIONS_DEFAULT. */
typedef struct weir_gate_options {
    /* Requests per period. Default 0: no limit, only the door. 0 to 1000000. */
    int rate;

    /* Milliseconds; default 1000, 1 to 86400000. */
    int period_ms;

    /* How many may be sent at once after a rest. Default 1: evenly spaced; 1 to 100000. With a
     * burst of n, a server that counts over a period may see rate + n - 1 in one. */
    int burst;

    /* The longest time the door stays closed at a server's request. Seconds; default 21600, 0 to
     * 31536000. */
    int max_closed_s;
} weir_gate_options;

#define WEIR_GATE_OPTIONS_DEFAULT                                                                  \
    {                                                                                              \
        0, 1000, 1, 21600                                                                          \
    }

/* A gate, on the caller's memory; nothing to give up. The fields are weir's. */
typedef struct weir_gate {
    weir_gate_options options;
    weir_time full_at; /* when the bucket will be full, if nothing more is taken out of it */
    weir_time closed_until;
    uint64_t closings;
} weir_gate;

/* Begin open and full. `options` may be NULL. Errors: WEIR_INVALID names the option, its value and
 * its range; *ret_gate is then untouched. */
WEIR_API WEIR_MUST_CHECK weir_status weir_gate_init(weir_gate *ret_gate,
                                                    const weir_gate_options *options,
                                                    weir_error *reterr);

/* A place in time: send at `at`, unless the door was closed meanwhile. */
typedef struct weir_gate_pass {
    weir_time at;
    uint64_t closings;
} weir_gate_pass;

/*
 * Reserve the next free instant, which is `now` when nothing stands in the way.
 *
 * false: that would be at the deadline or after it (WEIR_DEADLINE_NEVER: no limit;
 * WEIR_DEADLINE_NOW: only at once). Nothing is reserved, and ret_pass->at tells when it would have
 * been. A pass that is not used costs its token; there is no giving back, because later ones may
 * already stand behind it.
 */
WEIR_API WEIR_MUST_CHECK bool weir_gate_reserve(weir_gate *gate, weir_time now, weir_time deadline,
                                                weir_gate_pass *ret_pass);

/* Go through at the reserved instant or later. false: it is not that late yet, or the door was
 * closed after the reservation, which is void then: reserve again. */
WEIR_API WEIR_MUST_CHECK bool weir_gate_enter(const weir_gate *gate, const weir_gate_pass *pass,
                                              weir_time now);

/*
 * Close the door for all callers until `until`, at most max_closed_s from now; never for less long
 * than it is closed already. Every pass that is not used yet is void. When it opens, the bucket is
 * full: give a rate, and those who wait go through one after another instead of all at once.
 */
WEIR_API void weir_gate_close(weir_gate *gate, weir_time now, weir_time until);

#ifdef __cplusplus
}
#endif

#endif
