/* SPDX-License-Identifier: MIT */
/* The figures of the last ten minutes, one moment a second, for a console that is opened now. */
#ifndef WEIR_SERVER_FIGURES_HISTORY_H
#define WEIR_SERVER_FIGURES_HISTORY_H

#include <stddef.h>
#include <stdint.h>

/* Moments that are kept, and pools in each of them. */
#define FIGURES_HISTORY_MOMENTS 600
#define FIGURES_HISTORY_POOLS 2

struct figures_moment {
    int64_t at_ms; /* since 1970 */
    struct {
        uint32_t used, idle, waiters;
    } pools[FIGURES_HISTORY_POOLS];
    /* Of the requests that ended since the moment before. */
    uint32_t requests, failed, p99_us;
};

struct figures_history;

/* The pools' names, which have static storage. The caller ends it with figures_history_close(). NULL: no
 * memory. */
struct figures_history *figures_history_open(const char *const names[FIGURES_HISTORY_POOLS]);
void figures_history_close(struct figures_history *history);

/* Keep a moment; the oldest makes room. Threads: any. */
void figures_history_add(struct figures_history *history, const struct figures_moment *moment);

/*
 * {"at": […], "pools": [{"name", "used": […], "idle": […], "waiters": […]}, …], "requests": […],
 * "failed": […], "p99_us": […]}, as malloc'ed text: a column for each figure, the oldest moment first.
 * Takes some tens of microseconds. NULL: out of memory. Threads: any.
 */
char *figures_history_json(struct figures_history *history);

#endif
