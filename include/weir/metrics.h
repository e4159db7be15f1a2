/* SPDX-License-Identifier: MIT */
/* Metrics: counters, gauges and histograms of weir and of the program, in OpenTelemetry's names and Prometheus' text. */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include <weir/db.h>
#include <weir/http.h>
#include <weir/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Words, OpenTelemetry's: a metric has a name, a unit and labels; each combination of the labels'
 * values is a series of its own. A program makes one weir_metrics, lets it watch its pools,
 * databases and sessions, adds metrics of its own, and shows them all with weir_metrics_render().
 *
 * Figures come in two ways. A program counts into a series, which takes no lock; or a source, a
 * function called at each rendering, writes figures that are kept elsewhere. Watching a pool is the
 * second, so it costs nothing while connections are lent.
 *
 * Everything is bounded: the metrics (WEIR_METRICS_MAX), the labels of each, the bytes of a value,
 * and the series of each metric (max_series). What is counted beyond that goes to one series more,
 * whose only label is otel_metric_overflow="true", so that values from outside cannot fill the memory.
 */
typedef struct weir_metrics weir_metrics;
typedef struct weir_metric weir_metric;
typedef struct weir_series weir_series;

#define WEIR_METRICS_MAX 512        /* metrics of a weir_metrics */
#define WEIR_METRICS_SOURCES_MAX 64 /* sources */
#define WEIR_METRIC_LABELS_MAX 8    /* labels of a metric */
#define WEIR_METRIC_BOUNDS_MAX 64   /* bounds of a histogram */
#define WEIR_METRIC_VALUE_MAX 255   /* bytes of a label's value; longer ones are cut */

/* Make one, without metrics. The caller ends it with weir_metrics_close(). Errors: WEIR_NO_MEMORY. */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_open(weir_metrics **ret_metrics,
                                                       weir_error *reterr);

/*
 * Free it, its metrics and their series. No call on any of them may follow or be in progress: what
 * tells of itself for its whole life (a database, a session) must have been closed before, and its last
 * connection have come back. NULL is fine.
 */
WEIR_API void weir_metrics_close(weir_metrics *metrics);

/* ---- metrics of one's own ---------------------------------------------------------------- */

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

    /* The unit in the words of UCUM: "s", "By", "1" (a share), "Cel", "J", "V", "A", "W", "m", "g",
     * "Hz"; or "{job}", a remark in braces; or "" (default), none. Prometheus' unit words follow. */
    const char *unit;

    /* One sentence. Default "". */
    const char *description;

    /* The name in Prometheus' text; NULL (default): weir_metrics_render() says how it is made.
     * Letters, digits and `_`. */
    const char *prometheus_name;

    /* The names of the labels, as those of metrics, at most 63 bytes each; NULL ends them. In a
     * histogram none is "le". */
    const char *labels[WEIR_METRIC_LABELS_MAX];

    /* Histograms: the upper, inclusive bounds of the buckets, rising, in `unit`; one more bucket is
     * for what is above the last. 1 to WEIR_METRIC_BOUNDS_MAX. */
    const double *bounds;
    size_t bound_count;

    /* What is counted are whole numbers; how many of them make one `unit`. Default 1. 1e9 in a metric
     * in seconds: what is counted are nanoseconds (weir_time). Above 0. */
    double per_unit;

    /* How many series there can be, the one for overflow not counted. Default 256, 1 to 4096. */
    int max_series;
} weir_metric_options;

#define WEIR_METRIC_OPTIONS_DEFAULT                                                                \
    {                                                                                              \
        NULL, WEIR_METRIC_COUNTER, "", "", NULL, {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}, \
            NULL, 0, 1, 256                                                                        \
    }

/*
 * Add a metric. It stays until weir_metrics_close(). When there is one of that name with the same
 * kind, unit, labels, bounds and per_unit already, that is given.
 *
 * Errors:  WEIR_INVALID names the option; also for a name that is taken, by a different metric or in
 *          Prometheus' text. WEIR_FULL, WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_add(weir_metrics *metrics,
                                                      const weir_metric_options *options,
                                                      weir_metric **ret_metric, weir_error *reterr);

/*
 * The series of these values, one for each label in their order; NULL and "" leave a label out.
 * `values` may be NULL where there is no label. Valid as long as the metrics: where it matters, ask
 * once and keep it.
 *
 * Never NULL: when there are max_series already, or no memory is left, it is the series for overflow.
 * Values are cut to WEIR_METRIC_VALUE_MAX bytes, and what is not UTF-8 in them becomes U+FFFD.
 * Threads: any. Takes a lock only when the series is new.
 */
WEIR_API weir_series *weir_metric_series(weir_metric *metric, const char *const *values);

/*
 * Count. add(): counters and gauges; a counter ignores what is below 0. set(): gauges. record():
 * histograms, where a value below 0 is taken for 0. On a metric of another kind they do nothing.
 * Threads: any, at once; none waits for another.
 */
WEIR_API void weir_series_add(weir_series *series, int64_t amount);
WEIR_API void weir_series_set(weir_series *series, int64_t value);
WEIR_API void weir_series_record(weir_series *series, int64_t value);

/* What was counted so far; of a histogram, how many values. Threads: any. */
WEIR_API int64_t weir_series_value(const weir_series *series);

/* ---- figures kept elsewhere -------------------------------------------------------------- */

/* Where a source writes to; valid during its call only. */
typedef struct weir_metrics_writer weir_metrics_writer;

/* A source: called at each rendering, by the thread that renders, with no lock held; by several
 * at once when several render. It must be quick, wait for nothing, and not render. */
typedef void weir_metrics_source(weir_metrics_writer *writer, void *arg);

/* Errors: WEIR_FULL; WEIR_ALREADY for the same source with the same `arg`. Threads: any. */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_add_source(weir_metrics *metrics,
                                                             weir_metrics_source *source, void *arg,
                                                             weir_error *reterr);

/*
 * Call the source no more. When this returns, no call of it is in progress, so that what `arg` points
 * to may go; it waits for those that are. Does nothing when there is no such source.
 * Threads: any, but not from a source.
 */
WEIR_API void weir_metrics_remove_source(weir_metrics *metrics, weir_metrics_source *source,
                                         void *arg);

/*
 * Write one figure, in the metric's unit: its value (counters, gauges), or its buckets, not
 * cumulative, as many as bounds and one more, and the sum of what was recorded. Figures of the same
 * labels, from several sources or also counted, are added up; the values are as in
 * weir_metric_series().
 */
WEIR_API void weir_metrics_write(weir_metrics_writer *writer, const weir_metric *metric,
                                 const char *const *values, double value);
WEIR_API void weir_metrics_write_histogram(weir_metrics_writer *writer, const weir_metric *metric,
                                           const char *const *values, const uint64_t *buckets,
                                           double sum);

/* ---- rendering --------------------------------------------------------------------------- */

/* The Content-Type of what weir_metrics_render() makes. */
#define WEIR_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * All metrics that have a series, as Prometheus' text. Terminated by a zero; ret_size, which may be
 * NULL, is its length. The caller frees *ret_text with free().
 *
 * Names are made as OpenTelemetry says for Prometheus: `.` becomes `_`, the unit's word follows
 * (_seconds, _bytes, _ratio, _celsius, …) where it does not stand there already, and _total at the end
 * of counters. Metrics are in the order of their names, series in that of their labels.
 *
 * Waits for no other thread except to read short lists. Errors: WEIR_NO_MEMORY. Threads: any, at once.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_render(weir_metrics *metrics, char **ret_text,
                                                         size_t *ret_size, weir_error *reterr);

/* ---- watching weir ----------------------------------------------------------------------- */

/*
 * Show what weir_pool_get_stats() says of a pool at each rendering: OpenTelemetry's
 * db.client.connection.* and weir.pool.*, with the label db.client.connection.pool.name. Pools of the
 * same name are added up.
 *
 * The pool must not be closed before weir_metrics_unwatch_pool(), which waits for a rendering that is
 * reading it; disposed it may be.
 *
 * Errors:  WEIR_ALREADY when it is watched, WEIR_FULL, WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_watch_pool(weir_metrics *metrics, weir_pool *pool,
                                                             weir_error *reterr);
WEIR_API void weir_metrics_unwatch_pool(weir_metrics *metrics, weir_pool *pool);

/*
 * Show a database: its pool, as above, and each statement: OpenTelemetry's
 * db.client.operation.duration and db.client.response.returned_rows, with the labels db.system.name,
 * db.namespace, db.operation.name, error.type (a status' word), db.response.status_code (a SQLSTATE)
 * and db.client.connection.pool.name.
 *
 * Once per database, for its whole life: it goes on telling of its statements until it is closed and its
 * last connection has come back, so the metrics must live longer. weir_metrics_unwatch_db() ends the
 * rest, and must come before weir_db_close().
 *
 * Errors:  as weir_metrics_watch_pool(), and WEIR_FULL when the database has no room for a listener.
 * Threads: any.
 */
static inline WEIR_MUST_CHECK weir_status weir_metrics_watch_db(weir_metrics *metrics, weir_db *db,
                                                                weir_error *reterr);
static inline void weir_metrics_unwatch_db(weir_metrics *metrics, weir_db *db);

/*
 * Show an HTTP session: http.client.request.duration of each attempt, http.client.open_connections
 * and http.client.active_requests, and weir.http.*: requests, attempts, connections opened and reused,
 * repeats by cause, budget, breaker, rate limiter and waits; with the labels weir.session.name, server.address
 * and server.port. The 64 origins used last are shown.
 *
 * Once per session, for its whole life, and ended, as a database.
 *
 * Errors:  as weir_metrics_watch_pool(), and WEIR_FULL when the session has no room for a listener.
 * Threads: any.
 */
static inline WEIR_MUST_CHECK weir_status weir_metrics_watch_http(weir_metrics *metrics,
                                                                  weir_http *session,
                                                                  weir_error *reterr);
WEIR_API void weir_metrics_unwatch_http(weir_metrics *metrics, weir_http *session);

/*
 * Show this process as Prometheus' own clients do: process_cpu_seconds_total,
 * process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds, process_max_fds,
 * process_start_time_seconds, process_threads; and weir_build_info.
 *
 * Errors:  WEIR_ALREADY, WEIR_FULL, WEIR_NO_MEMORY.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_watch_process(weir_metrics *metrics,
                                                                weir_error *reterr);

/*
 * How watching databases and sessions works: libweir links neither libweir-db nor libweir-http, so the program, which links
 * what it uses, hands it the functions it needs. All sessions of a program have the same ones.
 */
typedef struct weir_metrics_db {
    weir_pool *(*pool)(weir_db *db);
    weir_status (*listen)(weir_db *db, weir_db_listener *listener, void *arg, weir_error *reterr);
} weir_metrics_db;

typedef struct weir_metrics_http {
    const char *(*name)(const weir_http *session);
    size_t (*get_origins)(weir_http *session, weir_http_origin *origins, size_t capacity);
    weir_status (*listen)(weir_http *session, unsigned mask, weir_http_listener *listener,
                          void *arg, weir_error *reterr);
} weir_metrics_http;

WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_watch_db_with(weir_metrics *metrics, weir_db *db,
                                                                const weir_metrics_db *functions,
                                                                weir_error *reterr);
WEIR_API WEIR_MUST_CHECK weir_status
weir_metrics_watch_http_with(weir_metrics *metrics, weir_http *session,
                             const weir_metrics_http *functions, weir_error *reterr);

static inline WEIR_MUST_CHECK weir_status weir_metrics_watch_db(weir_metrics *metrics, weir_db *db,
                                                                weir_error *reterr)
{
    const weir_metrics_db functions = {weir_db_pool, weir_db_listen};

    return weir_metrics_watch_db_with(metrics, db, &functions, reterr);
}

static inline void weir_metrics_unwatch_db(weir_metrics *metrics, weir_db *db)
{
    weir_metrics_unwatch_pool(metrics, weir_db_pool(db));
}

static inline WEIR_MUST_CHECK weir_status weir_metrics_watch_http(weir_metrics *metrics,
                                                                  weir_http *session,
                                                                  weir_error *reterr)
{
    const weir_metrics_http functions = {weir_http_name, weir_http_get_origins, weir_http_listen};

    return weir_metrics_watch_http_with(metrics, session, &functions, reterr);
}

#ifdef __cplusplus
}
#endif

#endif
