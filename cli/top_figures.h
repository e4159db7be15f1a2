/* SPDX-License-Identifier: MIT */
/* What `weir top` shows, read from the JSON of GET /api/v1/pools. */
#ifndef WEIR_CLI_TOP_FIGURES_H
#define WEIR_CLI_TOP_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/base.h>
#include <weir/clock.h>

/* Of more than these, the rest is left out. */
#define TOP_POOLS 16
#define TOP_HOLDERS 64
#define TOP_ORIGINS 32

/* Texts are printable ASCII: whatever else came is written out, as \xe2, and what is too long is cut. */
struct top_holder {
    bool is_cancelling; /* given back, and its statement still being cancelled */
    int64_t connection, line, thread;
    char file[64]; /* "" : not known */
    double age_ms;
};

struct top_pool {
    char name[40];
    bool is_initialized; /* if not, the name is all there is */
    int64_t size, max_overflow, used, idle, overflow, waiters;
    double wait_p50_ms, wait_p99_ms;
    int64_t checkouts, timeouts;
    double checkouts_per_second; /* below 0: not known */
    size_t holder_count;
    struct top_holder holders[TOP_HOLDERS]; /* the one that holds longest first */
};

struct top_origin {
    char name[128];
    char breaker[24];
    double cool_down; /* seconds */
    bool has_budget;
    int64_t budget;
    double reuse_rate;
    int64_t in_flight, requests, ok, client_errors, server_errors;
    double requests_per_second; /* below 0: not known */
};

struct top_figures {
    weir_time at; /* when they came */
    size_t pool_count, origin_count;
    struct top_pool pools[TOP_POOLS];
    struct top_origin origins[TOP_ORIGINS];
};

/* Copy a text from outside, so that a terminal can show it: see above. `size` is that of `out`. */
void top_copy_text(char *out, size_t size, const char *text);

/*
 * Read them. `before` is what came before, for the rates, or NULL.
 * Errors: WEIR_PROTOCOL for what is no answer of GET /api/v1/pools; *ret_figures is then undefined.
 */
WEIR_MUST_CHECK weir_status top_figures_read(const char *json, size_t size, weir_time at,
                                             const struct top_figures *before,
                                             struct top_figures *ret_figures, weir_error *reterr);

#endif
