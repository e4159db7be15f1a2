/* SPDX-License-Identifier: MIT */
/* Pools, as their statistics show them. */
#include "observe/watch.h"

#define POOL_LABEL "db.client.connection.pool.name"

const double weir__pool_bounds[WEIR_HISTOGRAM_BUCKETS - 1] = {
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
    0.025,   0.05,     0.1,     0.25,   0.5,     1,      2.5,   5,      10,    30};

enum {
    COUNT,
    IDLE_MAX,
    IDLE_MIN,
    MAX,
    PENDING,
    TIMEOUTS,
    CREATE_TIME,
    WAIT_TIME,
    USE_TIME,
    OPEN,
    PEER_LIMIT,
    CHECKOUTS,
    WAITS,
    HANDED_OVER,
    OVERTAKEN,
    REFUSED,
    PEER_REFUSALS,
    CONNECTS,
    CONNECT_ERRORS,
    RECYCLED,
    INVALIDATED,
    CLOSES,
    DETACHED,
    PINGS,
    PING_FAILURES,
    RESETS,
    LEAKS,
    NESTED,
    MISUSES,
    POOL_METRICS
};
_Static_assert(POOL_METRICS <= INSTRUMENTS_MAX, "room for every metric of a pool");

static const weir_metric_options descriptions[POOL_METRICS] = {
    /* "_count" at the end of a name is for histograms in Prometheus' text. */
    [COUNT] = {.name = "db.client.connection.count",
               .kind = WEIR_METRIC_GAUGE,
               .unit = "{connection}",
               .description = "Connections of the pool that are idle or in use",
               .prometheus_name = "db_client_connections",
               .labels = {POOL_LABEL, "db.client.connection.state"},
               .per_unit = 1,
               .max_series = 1024},
    [IDLE_MAX] = GAUGE("db.client.connection.idle.max", "{connection}",
                       "Connections kept when nobody uses them (pool_size)", POOL_LABEL),
    [IDLE_MIN] = GAUGE("db.client.connection.idle.min", "{connection}",
                       "Connections opened before they are needed: none", POOL_LABEL),
    [MAX] = GAUGE("db.client.connection.max", "{connection}",
                  "Most connections at once (pool_size and max_overflow)", POOL_LABEL),
    [PENDING] = GAUGE("db.client.connection.pending_requests", "{request}",
                      "Callers that wait for a connection", POOL_LABEL),
    [TIMEOUTS] = COUNTER("db.client.connection.timeouts", "{timeout}",
                         "Callers that got no connection in time", POOL_LABEL),
    [CREATE_TIME] = HISTOGRAM("db.client.connection.create_time", weir__pool_bounds,
                              "Time it took to open a connection", POOL_LABEL),
    [WAIT_TIME] = HISTOGRAM("db.client.connection.wait_time", weir__pool_bounds,
                            "Time that callers waited, also those who gave up", POOL_LABEL),
    [USE_TIME] = HISTOGRAM("db.client.connection.use_time", weir__pool_bounds,
                           "Time between checkout and return, of one checkout in use_time_every",
                           POOL_LABEL),
    [OPEN] = GAUGE("weir.pool.open_connections", "{connection}",
                   "Connections that are open, detached ones not counted", POOL_LABEL),
    [PEER_LIMIT] = GAUGE("weir.pool.peer_limit", "{connection}",
                         "Connections the server accepts, as its last refusal showed; 0: no known "
                         "limit",
                         POOL_LABEL),
    [CHECKOUTS] = COUNTER("weir.pool.checkouts", "{checkout}", "Connections lent", POOL_LABEL),
    [WAITS] = COUNTER("weir.pool.waits", "{request}", "Callers that waited", POOL_LABEL),
    [HANDED_OVER] = COUNTER("weir.pool.handed_over", "{checkout}",
                            "Connections given directly to the caller that had waited "
                            "longest",
                            POOL_LABEL),
    [OVERTAKEN] = COUNTER("weir.pool.overtaken", "{checkout}",
                          "Newcomers served before a waiter (handoff_after_us)", POOL_LABEL),
    [REFUSED] = COUNTER("weir.pool.refused", "{request}",
                        "Callers refused because max_waiters were in the queue", POOL_LABEL),
    [PEER_REFUSALS] =
        COUNTER("weir.pool.peer_refusals", "{connection}",
                "Connections that the server refused because it has too many", POOL_LABEL),
    [CONNECTS] = COUNTER("weir.pool.connects", "{connection}", "Connections opened", POOL_LABEL),
    [CONNECT_ERRORS] = COUNTER("weir.pool.connect_errors", "{connection}",
                               "Connections that could not be opened", POOL_LABEL),
    [RECYCLED] = COUNTER("weir.pool.recycled", "{connection}",
                         "Connections replaced because of their age (pool_recycle)", POOL_LABEL),
    [INVALIDATED] = COUNTER("weir.pool.invalidated", "{connection}",
                            "Connections discarded early, by reason", POOL_LABEL, "weir.reason"),
    [CLOSES] = COUNTER("weir.pool.closes", "{connection}", "Connections closed, for any reason",
                       POOL_LABEL),
    [DETACHED] = COUNTER("weir.pool.detached", "{connection}",
                         "Connections that their holder took out of the pool", POOL_LABEL),
    [PINGS] = COUNTER("weir.pool.pings", "{ping}", "Connections checked for liveness", POOL_LABEL),
    [PING_FAILURES] = COUNTER("weir.pool.ping_failures", "{ping}",
                              "Connections that failed the liveness check", POOL_LABEL),
    [RESETS] = COUNTER("weir.pool.resets", "{connection}",
                       "Returned connections that the driver was asked to reset", POOL_LABEL),
    [LEAKS] = COUNTER("weir.pool.leaks", "{connection}",
                      "Connections out for longer than leak_report_after_ms", POOL_LABEL),
    [NESTED] = COUNTER("weir.pool.nested", "{request}",
                       "Callers that held a connection of the same pool already", POOL_LABEL),
    [MISUSES] = COUNTER("weir.pool.misuses", "{misuse}", "Leases returned twice", POOL_LABEL),
};

void weir__write_times(weir_metrics_writer *writer, const weir_metric *metric,
                       const char *const *values, const weir_histogram *histogram)
{
    weir_metrics_write_histogram(writer, metric, values, histogram->buckets,
                                 (double)histogram->sum / NANOSECONDS);
}

/* Those closed because somebody or something found fault with them. Overflow, rest, age and the end
 * of the pool are no fault. */
static bool is_fault(weir_reason reason)
{
    switch (reason) {
    case WEIR_REASON_DISCARDED:
    case WEIR_REASON_SOFT:
    case WEIR_REASON_EVICTED:
    case WEIR_REASON_STALE:
    case WEIR_REASON_PING:
    case WEIR_REASON_RESET:
    case WEIR_REASON_HOOK:
        return true;
    case WEIR_REASON_NONE:
    case WEIR_REASON_IDLE:
    case WEIR_REASON_RECYCLED:
    case WEIR_REASON_OVERFLOW:
    case WEIR_REASON_DISPOSED:
    case WEIR_REASON_COUNT:
        break;
    }
    return false;
}

static void write_invalidated(weir_metrics_writer *writer, const weir_metric *metric,
                              const char *name, const weir_pool_stats *stats)
{
    for (int i = 0; i < WEIR_REASON_COUNT; i++) {
        const char *const values[] = {name, weir_reason_name((weir_reason)i)};

        if (is_fault((weir_reason)i))
            weir_metrics_write(writer, metric, values, (double)stats->closed_by[i]);
    }
}

static void write_states(weir_metrics_writer *writer, const weir_metric *metric, const char *name,
                         const weir_pool_stats *stats)
{
    const char *const idle[] = {name, "idle"};
    const char *const used[] = {name, "used"};

    weir_metrics_write(writer, metric, idle, stats->idle);
    weir_metrics_write(writer, metric, used, stats->leased);
}

static void write_pool(weir_metrics_writer *writer, void *arg)
{
    weir_metric *const *metrics = writer->metrics->pool_instruments.metrics;
    const char *name = weir_pool_name(arg);
    const char *const values[] = {name};
    weir_pool_stats stats;

    weir_pool_get_stats(arg, &stats);
    const struct {
        int metric;
        double value;
    } figures[] = {
        {IDLE_MAX, stats.pool_size},
        {IDLE_MIN, 0},
        {MAX, stats.slots},
        {PENDING, stats.waiters},
        {TIMEOUTS, (double)stats.timeouts},
        {OPEN, stats.connections},
        {PEER_LIMIT, stats.peer_limit},
        {CHECKOUTS, (double)stats.checkouts},
        {WAITS, (double)stats.waits},
        {HANDED_OVER, (double)stats.handed_over},
        {OVERTAKEN, (double)stats.overtaken},
        {REFUSED, (double)stats.refused},
        {PEER_REFUSALS, (double)stats.peer_refusals},
        {CONNECTS, (double)stats.connects},
        {CONNECT_ERRORS, (double)stats.connect_errors},
        {RECYCLED, (double)stats.closed_by[WEIR_REASON_RECYCLED]},
        {CLOSES, (double)stats.closes},
        {DETACHED, (double)stats.detached},
        {PINGS, (double)stats.pings},
        {PING_FAILURES, (double)stats.ping_failures},
        {RESETS, (double)stats.resets},
        {LEAKS, (double)stats.leaks},
        {NESTED, (double)stats.nested},
        {MISUSES, (double)stats.misuses},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        weir_metrics_write(writer, metrics[figures[i].metric], values, figures[i].value);
    write_states(writer, metrics[COUNT], name, &stats);
    write_invalidated(writer, metrics[INVALIDATED], name, &stats);
    weir__write_times(writer, metrics[CREATE_TIME], values, &stats.create_time);
    weir__write_times(writer, metrics[WAIT_TIME], values, &stats.wait_time);
    weir__write_times(writer, metrics[USE_TIME], values, &stats.use_time);
}

weir_status weir_metrics_watch_pool(weir_metrics *metrics, weir_pool *pool, weir_error *reterr)
{
    weir_status status = weir__instruments_prepare(metrics, &metrics->pool_instruments,
                                                   descriptions, POOL_METRICS, reterr);

    return status == WEIR_OK ? weir_metrics_add_source(metrics, write_pool, pool, reterr) : status;
}

void weir_metrics_unwatch_pool(weir_metrics *metrics, weir_pool *pool)
{
    weir_metrics_remove_source(metrics, write_pool, pool);
}
