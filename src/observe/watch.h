/* SPDX-License-Identifier: MIT */
/* What the watchers of weir's own parts share. */
#ifndef WEIR_OBSERVE_WATCH_H
#define WEIR_OBSERVE_WATCH_H

#include "observe/collect.h"

/* Nanoseconds counted in a metric in seconds. */
#define NANOSECONDS 1e9

/* One instrument: all but the name, what is counted, and the labels at their defaults. */
#define COUNTER(name_, unit_, description_, ...)                                                   \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_COUNTER, .unit = (unit_),                             \
        .description = (description_), .labels = {__VA_ARGS__}, .per_unit = 1, .max_series = 1024  \
    }
#define GAUGE(name_, unit_, description_, ...)                                                     \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_GAUGE, .unit = (unit_),                               \
        .description = (description_), .labels = {__VA_ARGS__}, .per_unit = 1, .max_series = 1024  \
    }
#define HISTOGRAM(name_, bounds_, description_, ...)                                               \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_HISTOGRAM, .unit = "s",                               \
        .description = (description_), .labels = {__VA_ARGS__}, .bounds = (bounds_),               \
        .bound_count = sizeof(bounds_) / sizeof *(bounds_), .per_unit = NANOSECONDS,               \
        .max_series = 256                                                                          \
    }

/* weir_histogram_bounds, in seconds. */
extern const double weir__pool_bounds[WEIR_HISTOGRAM_BUCKETS - 1];

/* Write a pool's histogram into a metric with those bounds. */
void weir__write_times(weir_metrics_writer *writer, const weir_metric *metric,
                       const char *const *values, const weir_histogram *histogram);

/* watch_db.c: a part of weir_metrics_close(). */
void weir__db_cache_free(weir_metrics *metrics);

#endif
