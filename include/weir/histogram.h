/* SPDX-License-Identifier: MIT */
/* A histogram of times, with the same buckets everywhere. */
#ifndef WEIR_HISTOGRAM_H
#define WEIR_HISTOGRAM_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The bucket bounds of every histogram, in nanoseconds, upper and inclusive; one more bucket holds what is
 * above the last bound. They are listed as X(bound), so that a program can convert them to its own unit;
 * weir_histogram_bounds is an array of them. */
#define WEIR_HISTOGRAM_BOUND_MAP(X)                                                                \
    X(10 * WEIR_US)                                                                                \
    X(25 * WEIR_US)                                                                                \
    X(50 * WEIR_US)                                                                                \
    X(100 * WEIR_US)                                                                               \
    X(250 * WEIR_US)                                                                               \
    X(500 * WEIR_US)                                                                               \
    X(WEIR_MS)                                                                                     \
    X(2500 * WEIR_US)                                                                              \
    X(5 * WEIR_MS)                                                                                 \
    X(10 * WEIR_MS)                                                                                \
    X(25 * WEIR_MS)                                                                                \
    X(50 * WEIR_MS)                                                                                \
    X(100 * WEIR_MS)                                                                               \
    X(250 * WEIR_MS)                                                                               \
    X(500 * WEIR_MS)                                                                               \
    X(WEIR_SECOND)                                                                                 \
    X(2500 * WEIR_MS)                                                                              \
    X(5 * WEIR_SECOND)                                                                             \
    X(10 * WEIR_SECOND)                                                                            \
    X(30 * WEIR_SECOND)
#define WEIR_HISTOGRAM_BUCKETS 21
WEIR_API extern const weir_time weir_histogram_bounds[WEIR_HISTOGRAM_BUCKETS - 1];

typedef struct weir_histogram {
    uint64_t count;
    weir_time sum; /* nanoseconds */
    weir_time max;
    uint64_t buckets[WEIR_HISTOGRAM_BUCKETS]; /* not cumulative */
} weir_histogram;

/*
 * The value at or below which the fraction `q` (0 to 1) of the observations lie, in nanoseconds:
 * the upper bound of its bucket, and never above the largest observation. 0 if there are no observations.
 */
WEIR_API weir_time weir_histogram_quantile(const weir_histogram *histogram, double q);

#ifdef __cplusplus
}
#endif

#endif
