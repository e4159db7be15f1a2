/* SPDX-License-Identifier: MIT */
/* What metrics show of a pool: its statistics. */
#include <weir/metrics.h>
#include <weir/pool.h>

#define POOL_LABEL "db.client.connection.pool.name"

#define SECONDS(bound) (double)(bound) / (double)WEIR_SECOND,
static const double bounds[] = {WEIR_HISTOGRAM_BOUND_MAP(SECONDS)};
#undef SECONDS

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

/* One row of the table: all but the name and what is counted. */
#define COUNTER(name_, unit_, description_)                                                        \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_COUNTER, .unit = (unit_),                             \
        .description = (description_), .labels = {POOL_LABEL}, .max_series = 1024                  \
    }
#define GAUGE(name_, unit_, description_)                                                          \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_GAUGE, .unit = (unit_),                               \
        .description = (description_), .labels = {POOL_LABEL}, .max_series = 1024                  \
    }
#define TIMES(name_, description_)                                                                 \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_HISTOGRAM, .unit = "s",                               \
        .description = (description_), .labels = {POOL_LABEL}, .bounds = bounds,                   \
        .bound_count = sizeof bounds / sizeof *bounds, .per_unit = (double)WEIR_SECOND             \
    }

static const weir_metric_options table[POOL_METRICS] = {
    /* "_count" at the end of a name is for histograms in Prometheus' text. */
    [COUNT] = {.name = "db.client.connection.count",
               .kind = WEIR_METRIC_GAUGE,
               .unit = "{connection}",
               .description = "Connections of the pool that are idle or in use",
               .prometheus_name = "db_client_connections",
               .labels = {POOL_LABEL, "db.client.connection.state"},
               .max_series = 1024},
    [IDLE_MAX] = GAUGE("db.client.connection.idle.max", "{connection}",
                       "Connections kept when nobody uses them (pool_size)"),
    [IDLE_MIN] = GAUGE("db.client.connection.idle.min", "{connection}",
                       "Connections opened before they are needed: none"),
    [MAX] = GAUGE("db.client.connection.max", "{connection}",
                  "Most connections at once (pool_size and max_overflow)"),
    [PENDING] = GAUGE("db.client.connection.pending_requests", "{request}",
                      "Callers that wait for a connection"),
    [TIMEOUTS] = COUNTER("db.client.connection.timeouts", "{timeout}",
                         "Callers that got no connection in time"),
    [CREATE_TIME] = TIMES("db.client.connection.create_time", "Time it took to open a connection"),
    [WAIT_TIME] =
        TIMES("db.client.connection.wait_time", "Time that callers waited, also those who gave up"),
    [USE_TIME] = TIMES("db.client.connection.use_time",
                       "Time between checkout and return, of one checkout in use_time_every"),
    [OPEN] = GAUGE("weir.pool.open_connections", "{connection}",
                   "Connections that are open, detached ones not counted"),
    [PEER_LIMIT] = GAUGE("weir.pool.peer_limit", "{connection}",
                         "Connections the server accepts, as its last refusal showed; 0: no known "
                         "limit"),
    [CHECKOUTS] = COUNTER("weir.pool.checkouts", "{checkout}", "Connections checked out"),
    [WAITS] = COUNTER("weir.pool.waits", "{request}", "Callers that waited"),
    [HANDED_OVER] = COUNTER("weir.pool.handed_over", "{checkout}",
                            "Connections given directly to the caller that had waited "
                            "longest"),
    [OVERTAKEN] = COUNTER("weir.pool.overtaken", "{checkout}",
                          "Newcomers served before a waiter (handoff_after_us)"),
    [REFUSED] = COUNTER("weir.pool.refused", "{request}",
                        "Callers refused because max_waiters were in the queue"),
    [PEER_REFUSALS] = COUNTER("weir.pool.peer_refusals", "{connection}",
                              "Connections that the server refused because it has too many"),
    [CONNECTS] = COUNTER("weir.pool.connects", "{connection}", "Connections opened"),
    [CONNECT_ERRORS] =
        COUNTER("weir.pool.connect_errors", "{connection}", "Connections that could not be opened"),
    [RECYCLED] = COUNTER("weir.pool.recycled", "{connection}",
                         "Connections replaced because of their age (pool_recycle)"),
    [INVALIDATED] = {.name = "weir.pool.invalidated",
                     .unit = "{connection}",
                     .description = "Connections discarded early, by reason",
                     .labels = {POOL_LABEL, "weir.reason"},
                     .max_series = 1024},
    [CLOSES] = COUNTER("weir.pool.closes", "{connection}", "Connections closed, for any reason"),
    [DETACHED] = COUNTER("weir.pool.detached", "{connection}",
                         "Connections that their holder took out of the pool"),
    [PINGS] = COUNTER("weir.pool.pings", "{ping}", "Connections checked for liveness"),
    [PING_FAILURES] =
        COUNTER("weir.pool.ping_failures", "{ping}", "Connections that failed the liveness check"),
    [RESETS] = COUNTER("weir.pool.resets", "{connection}",
                       "Returned connections that the driver was asked to reset"),
    [LEAKS] = COUNTER("weir.pool.leaks", "{connection}",
                      "Connections out for longer than leak_report_after_ms"),
    [NESTED] = COUNTER("weir.pool.nested", "{request}",
                       "Callers that held a connection of the same pool already"),
    [MISUSES] = COUNTER("weir.pool.misuses", "{misuse}", "Leases returned twice"),
};

static void write_times(weir_metrics_writer *writer, const weir_metric *metric,
                        const char *const *values, const weir_histogram *histogram)
{
    weir_metrics_write_histogram(writer, metric, values, histogram->buckets,
                                 (double)histogram->sum / (double)WEIR_SECOND);
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
    weir_metric *const *metrics = weir_metrics_writer_table(writer);
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
    write_times(writer, metrics[CREATE_TIME], values, &stats.create_time);
    write_times(writer, metrics[WAIT_TIME], values, &stats.wait_time);
    write_times(writer, metrics[USE_TIME], values, &stats.use_time);
}

weir_status weir_metrics_watch_pool(weir_metrics *metrics, weir_pool *pool, weir_error *reterr)
{
    return weir_metrics_add_table_source(metrics, table, POOL_METRICS, write_pool, pool, reterr);
}

void weir_metrics_unwatch_pool(weir_metrics *metrics, weir_pool *pool)
{
    weir_metrics_remove_source(metrics, write_pool, pool);
}
