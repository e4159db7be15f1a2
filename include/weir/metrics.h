/* SPDX-License-Identifier: MIT */
/* Metrics: weir's and the program's counters, gauges and histograms, named by OpenTelemetry's conventions. */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Terms, as in OpenTelemetry: a metric has a name, a unit and labels, and each combination of label values is
 * a series. A program makes one weir_metrics, lets it watch its pools, databases and sessions, adds metrics
 * of its own, and writes them all as Prometheus' text with weir_metrics_render().
 *
 * Figures come in two ways. A program counts into a series, which takes no lock. Or a source, a function
 * that is called at each rendering, writes figures that are kept elsewhere. Pools are watched by a source,
 * so watching one costs nothing while connections are checked out and returned.
 *
 * Everything is bounded: the number of metrics (WEIR_METRICS_MAX), the labels of each, the bytes of a value,
 * and the series of each metric (max_series). Beyond max_series, values are counted in one more series, with
 * the single label otel_metric_overflow="true", so that values from outside cannot fill the memory.
 */
typedef struct weir_metrics weir_metrics;
typedef struct weir_metric weir_metric;
typedef struct weir_series weir_series;

#define WEIR_METRICS_MAX 512        /* metrics of a weir_metrics */
#define WEIR_METRICS_SOURCES_MAX 64 /* sources */
#define WEIR_METRIC_LABELS_MAX 8    /* labels of a metric */
#define WEIR_METRIC_BOUNDS_MAX 64   /* bounds of a histogram */
#define WEIR_METRIC_VALUE_MAX 255   /* bytes of a label's value; longer ones are cut */

/* Make an empty registry of metrics. The caller ends it with weir_metrics_close(). Errors: WEIR_NO_MEMORY. */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_open(weir_metrics **ret_metrics,
                                                       weir_error *reterr);

/*
 * Free the registry, its metrics and their series. No call on any of them may be in progress or follow.
 * Databases and sessions report for their whole life, so those that were watched must be closed first, and
 * their last connections returned. NULL is fine.
 */
WEIR_API void weir_metrics_close(weir_metrics *metrics);

/* ---- your own metrics -------------------------------------------------------------------- */

typedef enum weir_metric_kind {
    WEIR_METRIC_COUNTER, /* only grows */
    WEIR_METRIC_GAUGE,   /* goes up and down; OpenTelemetry's Gauge and UpDownCounter */
    WEIR_METRIC_HISTOGRAM
} weir_metric_kind;

/* What a metric is. Start from WEIR_METRIC_OPTIONS_DEFAULT and assign. All texts are copied. */
typedef struct weir_metric_options {
    /* "app.jobs.finished": a letter, then letters, digits, `_` and `.`; at most 127 bytes. */
    const char *name;

    /* What is counted. Default WEIR_METRIC_COUNTER. */
    weir_metric_kind kind;

    /* The unit in UCUM's notation: "s", "By", "1" (a ratio), "Cel", "J", "V", "A", "W", "m", "g", "Hz"; an
     * annotation in braces, such as "{job}"; or "" (default), none. Prometheus' unit follows from it. */
    const char *unit;

    /* One sentence. Default "". */
    const char *description;

    /* The name in Prometheus' text; NULL (default): it is derived from `name` as described at
     * weir_metrics_render(). Letters, digits and `_`. */
    const char *prometheus_name;

    /* The names of the labels, in the same form as a metric's name, at most 63 bytes each; NULL ends the
     * list. A histogram cannot have a label "le". */
    const char *labels[WEIR_METRIC_LABELS_MAX];

    /* Histograms: the upper, inclusive bounds of the buckets, rising, in `unit`; one more bucket is
     * for what is above the last. 1 to WEIR_METRIC_BOUNDS_MAX. */
    const double *bounds;
    size_t bound_count;

    /* Series count whole numbers; this says how many of them make one `unit`. Default 1, above 0. With 1e9, a
     * metric in seconds counts nanoseconds (weir_time). */
    double per_unit;

    /* The most series of this metric, not counting the overflow series. Default 256, 1 to 4096. */
    int max_series;
} weir_metric_options;

#define WEIR_METRIC_OPTIONS_DEFAULT                                                                \
    {                                                                                              \
        NULL, WEIR_METRIC_COUNTER, "", "", NULL, {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}, \
            NULL, 0, 1, 256                                                                        \
    }

/*
 * Add a metric. It stays until weir_metrics_close(). If a metric with the same name, kind, unit, labels,
 * bounds and per_unit exists already, the call returns that one.
 *
 * Errors:  WEIR_INVALID names the option; it is also the error for a name that a different metric has, here
 *          or in Prometheus' text. WEIR_FULL, WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_add(weir_metrics *metrics,
                                                      const weir_metric_options *options,
                                                      weir_metric **ret_metric, weir_error *reterr);

/*
 * Add the metrics of a table, `count` of them, each as weir_metrics_add() does; ret_metrics has room for as
 * many and receives them in the table's order. A row needs only a name: every other field that is zero or NULL
 * takes its default, which is "" for unit and description, 1 for per_unit and 256 for max_series. If a row is
 * refused, those before it stay. Errors and threads: as weir_metrics_add().
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_add_table(weir_metrics *metrics,
                                                            const weir_metric_options *table,
                                                            size_t count, weir_metric **ret_metrics,
                                                            weir_error *reterr);

/* The bounds that OpenTelemetry's conventions advise for durations of requests, in seconds. An array may go
 * on after them: `static const double bounds[] = {WEIR_METRIC_REQUEST_BOUNDS, 30, 60};`. */
#define WEIR_METRIC_REQUEST_BOUNDS                                                                 \
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10

/*
 * Return the series for these label values, one for each label in order; NULL or "" leaves a label out.
 * `values` may be NULL if the metric has no labels. The series is valid as long as the metrics: on a hot
 * path, ask once and keep it.
 *
 * Never NULL: if there are max_series already, or memory has run out, it returns the overflow series.
 * Values are cut to WEIR_METRIC_VALUE_MAX bytes, and what is not UTF-8 in them becomes U+FFFD.
 * Threads: any. Takes a lock only when the series is new.
 */
WEIR_API weir_series *weir_metric_series(weir_metric *metric, const char *const *values);

/*
 * Count into a series. add() is for counters and gauges; a counter ignores a negative amount. set() is for
 * gauges. record() is for histograms, and takes a negative value as 0. On a metric of another kind they do
 * nothing.
 * Threads: any, at the same time; none waits for another.
 */
WEIR_API void weir_series_add(weir_series *series, int64_t amount);
WEIR_API void weir_series_set(weir_series *series, int64_t value);
WEIR_API void weir_series_record(weir_series *series, int64_t value);

/* Return the count so far, or for a histogram the number of recorded values. Threads: any. */
WEIR_API int64_t weir_series_value(const weir_series *series);

/* ---- figures kept elsewhere -------------------------------------------------------------- */

/* Where a source writes to; valid during its call only. */
typedef struct weir_metrics_writer weir_metrics_writer;

/* A source; it is called at each rendering, on the thread that renders, with no lock held. If several
 * threads render, it is called by several at once. It must be quick, never wait, and not render. */
typedef void weir_metrics_source(weir_metrics_writer *writer, void *arg);

/* Add a source. Errors: WEIR_FULL; WEIR_ALREADY for the same source with the same `arg`. Threads: any. */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_add_source(weir_metrics *metrics,
                                                             weir_metrics_source *source, void *arg,
                                                             weir_error *reterr);

/*
 * Add the metrics of a table, as weir_metrics_add_table() does, and a source that writes them. The source
 * finds them with weir_metrics_writer_table(), so that the caller does not have to keep them.
 * Errors: as weir_metrics_add_table() and weir_metrics_add_source(). Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_add_table_source(weir_metrics *metrics,
                                                                   const weir_metric_options *table,
                                                                   size_t count,
                                                                   weir_metrics_source *source,
                                                                   void *arg, weir_error *reterr);

/*
 * Remove a source. The call waits for calls of the source that are in progress; after it, there are none, so
 * you may free what `arg` points to. Does nothing if there is no such source.
 * Threads: any, but not from a source.
 */
WEIR_API void weir_metrics_remove_source(weir_metrics *metrics, weir_metrics_source *source,
                                         void *arg);

/*
 * Write one figure, in the metric's unit: the value of a counter or gauge; or the buckets of a histogram (not
 * cumulative, one more than there are bounds) and the sum of what was recorded. Figures with the same labels,
 * from several sources or counted in a series, are added up. `values` is as in weir_metric_series().
 */
WEIR_API void weir_metrics_write(weir_metrics_writer *writer, const weir_metric *metric,
                                 const char *const *values, double value);
WEIR_API void weir_metrics_write_histogram(weir_metrics_writer *writer, const weir_metric *metric,
                                           const char *const *values, const uint64_t *buckets,
                                           double sum);

/* Return the metrics of the table that the source was added with, in the table's order, or NULL if it was added
 * without a table. */
WEIR_API weir_metric *const *weir_metrics_writer_table(const weir_metrics_writer *writer);

/* Memory for a source, suitably aligned; it is valid until the rendering ends, and you do not free it. Returns
 * NULL if memory has run out; the rendering then fails with WEIR_NO_MEMORY and returns no partial text. */
WEIR_API void *weir_metrics_writer_alloc(weir_metrics_writer *writer, size_t size);

/* ---- rendering --------------------------------------------------------------------------- */

/* The Content-Type of what weir_metrics_render() makes. */
#define WEIR_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * Write all metrics that have a series as Prometheus' text. The text ends with a zero; *ret_size (ret_size
 * may be NULL) is its length. The caller frees *ret_text with free().
 *
 * Names follow OpenTelemetry's rules for Prometheus: `.` becomes `_`, the unit is appended (_seconds, _bytes,
 * _ratio, _celsius, …) unless the name has it already, and counters end with _total. Metrics are sorted by
 * name, and series by their labels.
 *
 * It waits for other threads only while it reads short lists. Errors: WEIR_NO_MEMORY. Threads: any, at the same
 * time.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_render(weir_metrics *metrics, char **ret_text,
                                                         size_t *ret_size, weir_error *reterr);

/* ---- watching weir ----------------------------------------------------------------------- */

/*
 * Pools, databases and HTTP sessions are watched by functions of their own libraries, declared in their own
 * headers: weir_metrics_watch_pool() in weir/pool.h, weir_metrics_watch_db() in weir/db.h and
 * weir_metrics_watch_http() in weir/http.h.
 */

/*
 * Watch this process, with the metrics of Prometheus' own clients: process_cpu_seconds_total,
 * process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds, process_max_fds,
 * process_start_time_seconds, process_threads; and weir_build_info.
 *
 * Errors:  WEIR_ALREADY, WEIR_FULL, WEIR_NO_MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_watch_process(weir_metrics *metrics,
                                                                weir_error *reterr);

#ifdef __cplusplus
}
#endif

#endif
