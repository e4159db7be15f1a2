/* SPDX-License-Identifier: MIT */
/* A budget for retries: it limits them to a share of the requests that are sent for the first time. */
#ifndef WEIR_BUDGET_H
#define WEIR_BUDGET_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A leaky bucket, after Finagle's RetryBudget. Every request deposits a fraction of a retry, every retry
 * withdraws a whole one, and both are forgotten when the window has passed. A server that fails every request
 * therefore receives at most `percent` more load, plus a floor of min_per_second; without a budget, three
 * retries would quadruple its load.
 *
 * Use one budget per origin, for retries and hedges together. The functions compute in whole numbers; they
 * read no clock and take no lock. Instants are those of weir_now(); one that is earlier than the last one
 * counts as the last one.
 * Threads: one at a time; guard a shared budget with a lock of your own.
 */

/* Options. Start from WEIR_BUDGET_OPTIONS_DEFAULT. */
typedef struct weir_budget_options {
    /* Retries allowed per hundred requests. Default 20, 0 to 100. 0: only the floor. */
    int percent;

    /* Retries allowed per second at any load, so that a client with few requests can retry at all; unused
     * ones are saved for the length of the window. Default 10, 0 to 10000. */
    int min_per_second;

    /* How long requests and retries are remembered. Seconds; default 10, 1 to 60. */
    int window_s;

    /* A retry after a timeout costs two, because the server may still be working on the first request.
     * Default false. AWS's SDKs do this. */
    bool timeouts_cost_double;
} weir_budget_options;

#define WEIR_BUDGET_OPTIONS_DEFAULT                                                                \
    {                                                                                              \
        20, 10, 10, false                                                                          \
    }

#define WEIR_BUDGET_SLICES 10

/* A budget, in the caller's memory; there is nothing to free. The fields belong to weir. */
typedef struct weir_budget {
    weir_budget_options options;
    int64_t slice;                      /* the newest tenth of a window, counted from 0 */
    int64_t slices[WEIR_BUDGET_SLICES]; /* hundredths of retries: deposits minus withdrawals */
} weir_budget;

/* Initialize a budget with the floor of a whole window. `options` may be NULL. Errors: WEIR_INVALID names the
 * option and its range; *ret_budget is then untouched. */
WEIR_API WEIR_MUST_CHECK weir_status weir_budget_init(weir_budget *ret_budget,
                                                      const weir_budget_options *options,
                                                      weir_error *reterr);

/* Count one request, when it is sent for the first time. Never for a retry. */
WEIR_API void weir_budget_deposit(weir_budget *budget, weir_time now);

/*
 * Pay for one retry. Pay when you decide on it, not when you send it, because a retry that is still waiting to
 * be sent is already future load. Returns false if the budget cannot pay; nothing was withdrawn then: do not retry.
 * `timed_out`: the failure was a timeout.
 */
WEIR_API WEIR_MUST_CHECK bool weir_budget_withdraw(weir_budget *budget, bool timed_out,
                                                   weir_time now);

/* Return how many retries the budget could pay for at `now`. */
WEIR_API int64_t weir_budget_balance(weir_budget *budget, weir_time now);

#ifdef __cplusplus
}
#endif

#endif
