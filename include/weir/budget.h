/* SPDX-License-Identifier: MIT */
/* A budget for repeats: what may be sent again, as a share of what was sent at first. */
#ifndef WEIR_BUDGET_H
#define WEIR_BUDGET_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A bucket that leaks, after Finagle's RetryBudget. Every request puts a share of a repeat in,
 * every repeat takes a whole one out, and both are forgotten when the window has passed. While a
 * server fails every request, it therefore receives at most `percent` of its load on top, plus a
 * floor of min_per_second; without a budget, three retries make it four times its load.
 *
 * One budget per origin, for retries and hedges together. All functions are arithmetic in whole
 * numbers: they read no clock and take no lock. Instants are weir_now()'s; one that lies before an
 * earlier one counts as that.
 * Threads: one at a time; the caller's lock guards a budget that is shared.
 */

/* Options. Start from WEIR_BUDGET_OPTIONS_DEFAULT. */
typedef struct weir_budget_options {
    /* Repeats allowed per hundred requests. Default 20, 0 to 100. 0: only the floor. */
    int percent;

    /* Repeats allowed per second whatever the load, so that a client with few requests can repeat
     * at all; saved up over the window. Default 10, 0 to 10000. */
    int min_per_second;

    /* How long requests and repeats are remembered. Seconds; default 10, 1 to 60. */
    int window_s;

    /* A repeat after a timeout costs two: the server may still be at work on the first. Default
     * false. AWS's SDKs do so. */
    bool timeouts_cost_double;
} weir_budget_options;

#define WEIR_BUDGET_OPTIONS_DEFAULT                                                                \
    {                                                                                              \
        20, 10, 10, false                                                                          \
    }

#define WEIR_BUDGET_SLICES 10

/* A budget, on the caller's memory; nothing to give up. The fields are weir's. */
typedef struct weir_budget {
    weir_budget_options options;
    int64_t slice;                      /* the newest tenth of a window, counted from 0 */
    int64_t slices[WEIR_BUDGET_SLICES]; /* hundredths of repeats put in less those taken out */
} weir_budget;

/* Begin with the floor of a whole window. `options` may be NULL. Errors: WEIR_INVALID names the
 * option and its range; *ret_budget is then untouched. */
WEIR_API WEIR_MUST_CHECK weir_status weir_budget_init(weir_budget *ret_budget,
                                                      const weir_budget_options *options,
                                                      weir_error *reterr);

/* Count one request, when it is sent for the first time. Never for a repeat. */
WEIR_API void weir_budget_deposit(weir_budget *budget, weir_time now);

/*
 * Pay for one repeat, when it is decided and not when it is sent: repeats that sleep before they go
 * out are load that is on its way. false: it cannot be paid, nothing was taken, do not repeat.
 * `timed_out`: what failed was a timeout.
 */
WEIR_API WEIR_MUST_CHECK bool weir_budget_withdraw(weir_budget *budget, bool timed_out,
                                                   weir_time now);

/* How many repeats could be paid at this instant. */
WEIR_API int64_t weir_budget_balance(weir_budget *budget, weir_time now);

#ifdef __cplusplus
}
#endif

#endif
