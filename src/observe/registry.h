/* SPDX-License-Identifier: MIT */
/* The inside of a weir_metrics: metrics and series that are only ever added, and the sources. */
#ifndef WEIR_OBSERVE_REGISTRY_H
#define WEIR_OBSERVE_REGISTRY_H

#include <weir/metrics.h>

#include <stdatomic.h>

#include "common/lock.h"
#include "observe/number.h"

/* Where the chains of a hash of series begin. */
#define CHAINS 64

/* Threads count into one of these, so that they seldom meet on a cache line; a reader adds them up. */
#define SHARDS 8
#define SHARD_ALIGN 64

/* The only label of the series for overflow. */
#define OVERFLOW_LABELS "otel_metric_overflow=\"true\""

/*
 * One series. Never moved or freed before its registry, so a pointer to it is a handle.
 *
 * Cells: a shard of a counter or gauge has one word, its value; of a histogram one for each bucket and
 * then the sum. All are written with relaxed order by anyone: they are numbers, and order nothing.
 */
struct weir_series {
    struct weir_metric *metric;
    struct weir_series *next;          /* of the metric; fixed before it is published */
    struct weir_series *next_in_chain; /* the same */
    _Atomic int64_t *cells;
    uint32_t hash;
    char labels[]; /* as in Prometheus' text: `a="x",b="y"` */
};

/* A metric: all that is read without a lock is fixed, or an atomic that only grows. */
struct weir_metric {
    weir_metrics *metrics;
    size_t index; /* its place in the registry; set before it is published */
    weir_metric_kind kind;
    double per_unit;
    int max_series;
    const char *name;
    const char *unit;
    const char *help;    /* the description, escaped */
    const char *exposed; /* the name in Prometheus' text */
    size_t label_count;
    const char *labels[WEIR_METRIC_LABELS_MAX]; /* likewise */
    size_t bound_count;
    const double *bounds;
    const int64_t *limits; /* the bounds as what is counted */
    char (*bound_texts)[NUMBER_ROOM];

    size_t shards;
    size_t stride; /* words from one shard to the next */
    struct weir_series *overflow;
    atomic_bool is_overflowing; /* somebody was given the series for overflow */

    /* Written under the registry's lock, with release; whoever sees a series sees it whole. */
    _Atomic(struct weir_series *) newest;
    _Atomic(struct weir_series *) chains[CHAINS];
    _Atomic int series_count; /* only a hint to who does not hold the lock */
};

struct source {
    weir_metrics_source *function; /* NULL: the place is free */
    void *arg;
    weir_metric **table; /* the metrics it was added with, in memory of its own; NULL: none */
    int running;         /* calls in progress */
    bool is_removed;
};

struct guarded {
    struct source sources[WEIR_METRICS_SOURCES_MAX];
};

struct weir_metrics {
    _Atomic size_t count; /* grows under the lock, after the pointer was written */
    weir_metric *all[WEIR_METRICS_MAX];

    struct weir__mutex lock;
    pthread_cond_t returned; /* a removed source has come back */
    struct guarded guarded;
};

/* The one way to what the lock guards. */
static inline struct guarded *weir__metrics_guarded_locked(weir_metrics *metrics)
    WEIR_REQUIRES(metrics->lock)
{
    return &metrics->guarded;
}

/* describe.c: make a metric that stands nowhere yet; the caller frees it with weir__metric_free(). */
weir_status weir__metric_make(weir_metrics *metrics, const weir_metric_options *options,
                              weir_metric **ret_metric, weir_error *reterr);
void weir__metric_free(weir_metric *metric);
/* Whether both are the same to who counts; whether their names would meet in Prometheus' text. */
bool weir__metric_equals(const weir_metric *one, const weir_metric *other);
bool weir__metric_clashes(const weir_metric *one, const weir_metric *other);

/* series.c: make a series that stands nowhere yet (free() it); NULL: no memory. What was counted in
 * bucket or value `word`, all shards together. */
struct weir_series *weir__series_make(weir_metric *metric, const char *labels, size_t size,
                                      uint32_t hash);
int64_t weir__series_read(const struct weir_series *series, size_t word);

/* registry.c: begin and end a call of the source at this place; false: there is none. */
bool weir__source_enter(weir_metrics *metrics, size_t index, struct source *ret_source);
void weir__source_leave(weir_metrics *metrics, size_t index);

#endif
