/* SPDX-License-Identifier: MIT */
/* What metrics show of an HTTP session: each attempt and call as it ends, and each origin as it is. */
#include "http/session.h"

#include <weir/metrics.h>

#include "http/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The labels that all figures of an origin begin with. */
#define ORIGIN_LABELS "weir.session.name", "server.address", "server.port"

/* Origins shown of one session: those used last. Where redirects lead is for others to say. */
#define ORIGINS_SHOWN 64

static const double request_bounds[] = {WEIR_METRIC_REQUEST_BOUNDS};
static const double send_bounds[] = {WEIR_METRIC_REQUEST_BOUNDS, 30, 60, 120};

#define SECONDS(bound) (double)(bound) / (double)WEIR_SECOND,
static const double wait_bounds[] = {WEIR_HISTOGRAM_BOUND_MAP(SECONDS)};
#undef SECONDS

/* One row of the tables below: all but the name, what is counted, and the labels of its own. */
#define COUNTER(name_, unit_, description_, ...)                                                   \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_COUNTER, .unit = (unit_),                             \
        .description = (description_), .labels = {ORIGIN_LABELS, __VA_ARGS__}, .max_series = 1024  \
    }
#define GAUGE(name_, unit_, description_, ...)                                                     \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_GAUGE, .unit = (unit_),                               \
        .description = (description_), .labels = {ORIGIN_LABELS, __VA_ARGS__}, .max_series = 1024  \
    }
#define HISTOGRAM(name_, bounds_, description_, ...)                                               \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_HISTOGRAM, .unit = "s",                               \
        .description = (description_), .labels = {ORIGIN_LABELS, __VA_ARGS__},                     \
        .bounds = (bounds_), .bound_count = sizeof(bounds_) / sizeof *(bounds_),                   \
        .per_unit = (double)WEIR_SECOND                                                            \
    }

/* Counted as calls and their attempts end. */
enum { REQUEST_DURATION, SEND_DURATION, CALL_METRICS };

static const weir_metric_options call_metrics[CALL_METRICS] = {
    [REQUEST_DURATION] =
        HISTOGRAM("http.client.request.duration", request_bounds,
                  "Duration of an attempt, from the checkout of its connection to its end",
                  "http.request.method", "http.response.status_code", "error.type"),
    [SEND_DURATION] = HISTOGRAM("weir.http.send.duration", send_bounds,
                                "Total time of a request: waits, attempts, pauses and redirects",
                                "http.request.method", "error.type"),
};

/* Read from the session at each rendering. */
enum {
    ORIGINS,
    OPEN_CONNECTIONS,
    ACTIVE_REQUESTS,
    REQUESTS,
    ATTEMPTS,
    OPENED,
    REUSED,
    RESENDS,
    REDIRECTS,
    FAILURES,
    REFUSED,
    CANCELLED,
    DECISIONS,
    BUDGET_BALANCE,
    BUDGET_DENIED,
    BREAKER_STATE,
    BREAKER_REJECTED,
    COOL_DOWN,
    COOL_DOWNS,
    PENDING,
    TIMEOUTS,
    WAIT_TIME,
    ORIGIN_METRICS
};

static const weir_metric_options origin_metrics[ORIGIN_METRICS] = {
    [ORIGINS] = {.name = "weir.http.origins",
                 .kind = WEIR_METRIC_GAUGE,
                 .unit = "{origin}",
                 .description = "Origins that the session remembers",
                 .labels = {"weir.session.name"},
                 .max_series = 1024},
    [OPEN_CONNECTIONS] = GAUGE("http.client.open_connections", "{connection}",
                               "Connections that carry a request (active) or wait for one (idle)",
                               "http.connection.state"),
    [ACTIVE_REQUESTS] = GAUGE("http.client.active_requests", "{request}",
                              "Requests in flight, waits and pauses included", NULL),
    [REQUESTS] = COUNTER("weir.http.requests", "{request}", "Requests begun", NULL),
    [ATTEMPTS] = COUNTER("weir.http.attempts", "{attempt}",
                         "Attempts made, retries and redirects included", NULL),
    [OPENED] = COUNTER("weir.http.connections.opened", "{connection}", "Connections opened", NULL),
    [REUSED] = COUNTER("weir.http.connections.reused", "{attempt}",
                       "Attempts over a connection that was used before", NULL),
    [RESENDS] = COUNTER("weir.http.resends", "{attempt}",
                        "Attempts repeated at once because an old connection was dead", NULL),
    [REDIRECTS] = COUNTER("weir.http.redirects", "{redirect}", "Redirects followed", NULL),
    [FAILURES] = COUNTER("weir.http.failures", "{attempt}",
                         "Attempts that ended without a response, by what failed", "weir.failure"),
    [REFUSED] = COUNTER("weir.http.refused", "{request}",
                        "Requests not sent: breaker, rate limiter or pool refused them", NULL),
    [CANCELLED] = COUNTER("weir.http.cancelled", "{request}", "Requests that were cancelled", NULL),
    [DECISIONS] =
        COUNTER("weir.http.retry.decisions", "{decision}",
                "What followed an attempt: backoff and retry_after are retries, the others "
                "say why there was none",
                "weir.retry.cause"),
    [BUDGET_BALANCE] = GAUGE("weir.http.budget.balance", "{attempt}",
                             "Retries that the retry budget could pay for now", NULL),
    [BUDGET_DENIED] = COUNTER("weir.http.budget.denied", "{attempt}",
                              "Retries not made because the retry budget was spent", NULL),
    [BREAKER_STATE] = GAUGE("weir.http.breaker.state", "",
                            "1 for the state that the circuit breaker is in, 0 for the others",
                            "weir.breaker.state"),
    [BREAKER_REJECTED] = COUNTER("weir.http.breaker.rejected", "{attempt}",
                                 "Attempts that the circuit breaker refused", NULL),
    [COOL_DOWN] = GAUGE("weir.http.cool_down", "s",
                        "Time left of the cool-down that the origin asked for; 0: none", NULL),
    [COOL_DOWNS] = COUNTER("weir.http.cool_downs", "{cool_down}",
                           "Times that the origin asked for a pause", NULL),
    [PENDING] = GAUGE("weir.http.pending_requests", "{request}",
                      "Requests that wait for a connection", NULL),
    [TIMEOUTS] = COUNTER("weir.http.connection_timeouts", "{timeout}",
                         "Requests that got no connection in time", NULL),
    [WAIT_TIME] = HISTOGRAM("weir.http.wait_time", wait_bounds,
                            "Time that requests waited, also those that gave up", NULL),
};

/* ---- labels ------------------------------------------------------------------------------ */

/* The parts of "https://[::1]:443", which may be cut at its end. */
struct address {
    char host[WEIR_METRIC_VALUE_MAX + 1];
    char port[8];
};

static void split_origin(const char *origin, struct address *ret)
{
    const char *host = strstr(origin, "://");
    const char *port = strrchr(origin, ':');

    host = host != NULL ? host + 3 : origin;
    if (port != NULL && (port < host || strchr(port, ']') != NULL))
        port = NULL;
    size_t size = port != NULL ? (size_t)(port - host) : strlen(host);
    snprintf(ret->host, sizeof ret->host, "%.*s", (int)size, host);
    snprintf(ret->port, sizeof ret->port, "%s", port != NULL ? port + 1 : "");
}

/* One pair of a session and its metrics; lives as long as the session. */
struct http_metrics {
    weir_metric *metrics[CALL_METRICS];
};

/* ---- events ------------------------------------------------------------------------------ */

/* What failed: a response's own status where that is the error, else weir's word. */
static const char *error_type(const weir_http_event *event, const char *status)
{
    if (event->error != NULL && event->status < 400)
        return weir_status_name(event->error->status);
    return event->status >= 400 ? status : "";
}

static void count_call(const weir_http_event *event, void *arg)
{
    const struct http_metrics *own = arg;
    struct address address;
    char status[16] = "";

    split_origin(event->origin, &address);
    if (event->status > 0)
        snprintf(status, sizeof status, "%d", event->status);
    const char *name = weir_http_name(event->session);
    const char *known = weir__known_method(event->method);
    const char *method = known != NULL ? known : "_OTHER";
    const char *error = error_type(event, status);
    const char *const attempt_labels[] = {name, address.host, address.port, method, status, error};
    const char *const call_labels[] = {name, address.host, address.port, method, error};

    if (event->kind == WEIR_HTTP_EVENT_ATTEMPT)
        weir_series_record(weir_metric_series(own->metrics[REQUEST_DURATION], attempt_labels),
                           event->duration);
    if (event->kind == WEIR_HTTP_EVENT_REQUEST)
        weir_series_record(weir_metric_series(own->metrics[SEND_DURATION], call_labels),
                           event->duration);
}

/* ---- origins ----------------------------------------------------------------------------- */

/* Where the figures of one origin go, with room for one label of their own. */
struct origin_writer {
    weir_metrics_writer *writer;
    weir_metric *const *metrics;
    const char *values[4];
};

static void write_value(struct origin_writer *to, int metric, const char *own, double value)
{
    to->values[3] = own;
    weir_metrics_write(to->writer, to->metrics[metric], to->values, value);
}

static void write_counters(struct origin_writer *to, const weir_http_origin *origin)
{
    const struct {
        int metric;
        uint64_t value;
    } figures[] = {
        {REQUESTS, origin->requests},
        {ATTEMPTS, origin->attempts},
        {OPENED, origin->opened},
        {REUSED, origin->reused},
        {RESENDS, origin->resends},
        {REDIRECTS, origin->redirects},
        {REFUSED, origin->refused},
        {CANCELLED, origin->cancelled},
        {BUDGET_DENIED, origin->budget_denied},
        {BREAKER_REJECTED, origin->breaker.not_permitted},
        {COOL_DOWNS, origin->cool_downs},
    };

    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        write_value(to, figures[i].metric, NULL, (double)figures[i].value);
    write_value(to, FAILURES, "connect", (double)origin->failed_connect);
    write_value(to, FAILURES, "read", (double)origin->failed_read);
    write_value(to, FAILURES, "other", (double)origin->failed_other);
    for (int i = 0; i <= WEIR_CAUSE_REFUSED; i++)
        write_value(to, DECISIONS, weir_retry_cause_name((weir_retry_cause)i),
                    (double)origin->causes[i]);
}

static void write_policies(struct origin_writer *to, const weir_http_origin *origin)
{
    weir_time closed_for = origin->cool_down_until - weir_now();

    write_value(to, ACTIVE_REQUESTS, NULL, origin->in_flight);
    if (origin->budget_balance >= 0)
        write_value(to, BUDGET_BALANCE, NULL, (double)origin->budget_balance);
    for (int i = 0; i <= WEIR_BREAKER_FORCED_OPEN; i++)
        write_value(to, BREAKER_STATE, weir_breaker_state_name((weir_breaker_state)i),
                    origin->breaker.state == (weir_breaker_state)i);
    write_value(to, COOL_DOWN, NULL, closed_for > 0 ? (double)closed_for / (double)WEIR_SECOND : 0);
}

static void write_pool(struct origin_writer *to, const weir_pool_stats *pool)
{
    write_value(to, OPEN_CONNECTIONS, "active", pool->leased);
    write_value(to, OPEN_CONNECTIONS, "idle", pool->idle);
    write_value(to, PENDING, NULL, pool->waiters);
    write_value(to, TIMEOUTS, NULL, (double)pool->timeouts);
    weir_metrics_write_histogram(to->writer, to->metrics[WAIT_TIME], to->values,
                                 pool->wait_time.buckets,
                                 (double)pool->wait_time.sum / (double)WEIR_SECOND);
}

static void write_origin(weir_metrics_writer *writer, const char *session,
                         const weir_http_origin *origin)
{
    struct address address;
    struct origin_writer to = {
        writer, weir_metrics_writer_table(writer), {session, address.host, address.port, NULL}};

    split_origin(origin->name, &address);
    write_counters(&to, origin);
    write_policies(&to, origin);
    if (origin->has_pool)
        write_pool(&to, &origin->pool);
}

static void write_session(weir_metrics_writer *writer, void *arg)
{
    weir_metric *const *metrics = weir_metrics_writer_table(writer);
    const char *name = weir_http_name(arg);
    weir_http_origin *origins = weir_metrics_writer_alloc(writer, ORIGINS_SHOWN * sizeof *origins);

    if (origins == NULL)
        return;
    /* A name stays empty where the session had no memory to list its origins. */
    memset(origins, 0, ORIGINS_SHOWN * sizeof *origins);
    size_t count = weir_http_get_origins(arg, origins, ORIGINS_SHOWN);
    weir_metrics_write(writer, metrics[ORIGINS], &name, (double)count);
    for (size_t i = 0; i < count && i < ORIGINS_SHOWN; i++)
        if (origins[i].name[0] != '\0')
            write_origin(writer, name, &origins[i]);
}

/* ---- watching ---------------------------------------------------------------------------- */

weir_status weir_metrics_watch_http(weir_metrics *metrics, weir_http *session, weir_error *reterr)
{
    struct http_metrics *own = calloc(1, sizeof *own);

    if (own == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "watch http \"%s\": out of memory",
                              weir_http_name(session));
    const struct http_listener listener = {
        .mask = WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT) | WEIR_EVENT_BIT(WEIR_HTTP_EVENT_REQUEST),
        .function = count_call,
        .arg = own,
        .free_arg = free,
    };
    weir_status status =
        weir_metrics_add_table(metrics, call_metrics, CALL_METRICS, own->metrics, reterr);
    if (status != WEIR_OK)
        goto fail;
    status = weir_metrics_add_table_source(metrics, origin_metrics, ORIGIN_METRICS, write_session,
                                           session, reterr);
    if (status != WEIR_OK)
        goto fail;
    status = weir__http_listen(session, &listener, reterr);
    if (status == WEIR_OK)
        return WEIR_OK;
    weir_metrics_remove_source(metrics, write_session, session);

fail:
    free(own);
    return status;
}

void weir_metrics_unwatch_http(weir_metrics *metrics, weir_http *session)
{
    weir_metrics_remove_source(metrics, write_session, session);
}
