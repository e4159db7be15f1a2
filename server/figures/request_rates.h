/* SPDX-License-Identifier: MIT */
/* How many requests the server answered lately, how many of them with an error, and how long they took. */
#ifndef WEIR_SERVER_REQUEST_RATES_H
#define WEIR_SERVER_REQUEST_RATES_H

#include <stdint.h>

#include <weir/clock.h>

struct request_rates;

/* Made as of `now`. The caller ends it with request_rates_close(). NULL: out of memory. */
struct request_rates *request_rates_open(weir_time now);
void request_rates_close(struct request_rates *rates);

/* Count one that was answered. Threads: any. */
void request_rates_count(struct request_rates *rates, unsigned status, weir_time duration);

/* What happened in a span of time. Times are right to a tenth; 0 when there was nothing. */
struct request_figures {
    weir_time span;
    uint64_t requests;
    uint64_t refused; /* of these, with 4xx */
    uint64_t failed;  /* with 5xx */
    weir_time p50;
    weir_time p99;
    weir_time max;
};

/* End a step, about once a second, and tell what happened in it; and what happened in the last minute, in
 * the steps that have ended. Threads: any. */
void request_rates_step(struct request_rates *rates, weir_time now,
                        struct request_figures *ret_figures);
void request_rates_lately(struct request_rates *rates, weir_time now,
                          struct request_figures *ret_figures);

#endif
