/* SPDX-License-Identifier: MIT */
/* HTTP sessions: each attempt as it ends, and each origin as the session shows it. */
#include "observe/watch.h"

#include <stdio.h>
#include <string.h>

/* The labels that all figures of an origin begin with. */
#define ORIGIN_LABELS "weir.session.name", "server.address", "server.port"

/* Origins shown of one session: those used last. Where redirects lead is for others to say. */
#define ORIGINS_SHOWN 64

static const double request_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                        0.5,   0.75, 1,     2.5,  5,     7.5, 10};
static const double send_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75,
                                     1,     2.5,  5,     7.5,  10,    30,  60,   120};

enum {
    REQUEST_DURATION,
    OPEN_CONNECTIONS,
    ACTIVE_REQUESTS,
    SEND_DURATION,
    ORIGINS,
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
    HTTP_METRICS
};
_Static_assert(HTTP_METRICS <= INSTRUMENTS_MAX, "room for every metric of a session");

static const weir_metric_options descriptions[HTTP_METRICS] = {
    [REQUEST_DURATION] =
        HISTOGRAM("http.client.request.duration", request_bounds,
                  "Time of an attempt, from having a connection to its end", ORIGIN_LABELS,
                  "http.request.method", "http.response.status_code", "error.type"),
    [OPEN_CONNECTIONS] = GAUGE("http.client.open_connections", "{connection}",
                               "Connections that carry a request (active) or wait for one (idle)",
                               ORIGIN_LABELS, "http.connection.state"),
    [ACTIVE_REQUESTS] = GAUGE("http.client.active_requests", "{request}",
                              "Requests under way, waits and pauses included", ORIGIN_LABELS),
    [SEND_DURATION] = HISTOGRAM("weir.http.send.duration", send_bounds,
                                "Total time of a request: waits, attempts, pauses and redirects",
                                ORIGIN_LABELS, "http.request.method", "error.type"),
    [ORIGINS] = GAUGE("weir.http.origins", "{origin}", "Origins that the session remembers",
                      "weir.session.name"),
    [REQUESTS] = COUNTER("weir.http.requests", "{request}", "Requests begun", ORIGIN_LABELS),
    [ATTEMPTS] = COUNTER("weir.http.attempts", "{attempt}",
                         "Attempts made, repeats and redirects included", ORIGIN_LABELS),
    [OPENED] = COUNTER("weir.http.connections.opened", "{connection}", "Connections opened",
                       ORIGIN_LABELS),
    [REUSED] = COUNTER("weir.http.connections.reused", "{attempt}",
                       "Attempts over a connection that was used before", ORIGIN_LABELS),
    [RESENDS] =
        COUNTER("weir.http.resends", "{attempt}",
                "Attempts repeated at once because an old connection was dead", ORIGIN_LABELS),
    [REDIRECTS] = COUNTER("weir.http.redirects", "{redirect}", "Redirects followed", ORIGIN_LABELS),
    [FAILURES] = COUNTER("weir.http.failures", "{attempt}",
                         "Attempts that ended without a response, by what failed", ORIGIN_LABELS,
                         "weir.failure"),
    [REFUSED] =
        COUNTER("weir.http.refused", "{request}",
                "Requests not sent: breaker, rate limiter or pool refused them", ORIGIN_LABELS),
    [CANCELLED] =
        COUNTER("weir.http.cancelled", "{request}", "Requests that were cancelled", ORIGIN_LABELS),
    [DECISIONS] =
        COUNTER("weir.http.retry.decisions", "{decision}",
                "What followed an attempt: backoff and retry_after are repeats, the others "
                "say why there was none",
                ORIGIN_LABELS, "weir.retry.cause"),
    [BUDGET_BALANCE] = GAUGE("weir.http.budget.balance", "{attempt}",
                             "Repeats that the retry budget could pay for now", ORIGIN_LABELS),
    [BUDGET_DENIED] = COUNTER("weir.http.budget.denied", "{attempt}",
                              "Repeats not made because the retry budget was spent", ORIGIN_LABELS),
    [BREAKER_STATE] = GAUGE("weir.http.breaker.state", "",
                            "1 for the state that the circuit breaker is in, 0 for the others",
                            ORIGIN_LABELS, "weir.breaker.state"),
    [BREAKER_REJECTED] = COUNTER("weir.http.breaker.rejected", "{attempt}",
                                 "Attempts that the circuit breaker refused", ORIGIN_LABELS),
    [COOL_DOWN] =
        GAUGE("weir.http.cool_down", "s",
              "Time left of the cool-down that the origin asked for; 0: none", ORIGIN_LABELS),
    [COOL_DOWNS] = COUNTER("weir.http.cool_downs", "{cool_down}",
                           "Times that the origin asked for a pause", ORIGIN_LABELS),
    [PENDING] = GAUGE("weir.http.pending_requests", "{request}",
                      "Requests that wait for a connection", ORIGIN_LABELS),
    [TIMEOUTS] = COUNTER("weir.http.connection_timeouts", "{timeout}",
                         "Requests that got no connection in time", ORIGIN_LABELS),
    [WAIT_TIME] = HISTOGRAM("weir.http.wait_time", weir__pool_bounds,
                            "Time that requests waited, also those that gave up", ORIGIN_LABELS),
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

/* Methods that anybody may invent share one value. */
static const char *known_method(const char *method)
{
    static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};

    for (size_t i = 0; method != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], method) == 0)
            return known[i];
    return "_OTHER";
}

/* ---- events ------------------------------------------------------------------------------ */

/* What failed: a response's own status where that is the error, else weir's word. */
static const char *error_type(const weir_http_event *event, const char *status)
{
    if (event->error != NULL && event->status < 400)
        return weir_status_name(event->error->status);
    return event->status >= 400 ? status : "";
}

static void hear(const weir_http_event *event, void *arg)
{
    weir_metrics *metrics = arg;
    weir_metric *const *instruments = metrics->http_instruments.metrics;
    struct address address;
    char status[16] = "";

    split_origin(event->origin, &address);
    if (event->status > 0)
        snprintf(status, sizeof status, "%d", event->status);
    const char *name = metrics->http_functions.name(event->session);
    const char *method = known_method(event->method);
    const char *error = error_type(event, status);
    const char *const attempt_labels[] = {name, address.host, address.port, method, status, error};
    const char *const call_labels[] = {name, address.host, address.port, method, error};

    if (event->kind == WEIR_HTTP_EVENT_ATTEMPT)
        weir_series_record(weir_metric_series(instruments[REQUEST_DURATION], attempt_labels),
                           event->duration);
    if (event->kind == WEIR_HTTP_EVENT_REQUEST)
        weir_series_record(weir_metric_series(instruments[SEND_DURATION], call_labels),
                           event->duration);
}

/* ---- origins ----------------------------------------------------------------------------- */

/* Where the figures of one origin go, with room for one label of their own. */
struct origin_writer {
    weir_metrics_writer *writer;
    weir_metric *const *instruments;
    const char *values[4];
};

static void write_value(struct origin_writer *to, int metric, const char *own, double value)
{
    to->values[3] = own;
    weir_metrics_write(to->writer, to->instruments[metric], to->values, value);
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
    write_value(to, COOL_DOWN, NULL, closed_for > 0 ? (double)closed_for / NANOSECONDS : 0);
}

static void write_pool(struct origin_writer *to, const weir_pool_stats *pool)
{
    write_value(to, OPEN_CONNECTIONS, "active", pool->leased);
    write_value(to, OPEN_CONNECTIONS, "idle", pool->idle);
    write_value(to, PENDING, NULL, pool->waiters);
    write_value(to, TIMEOUTS, NULL, (double)pool->timeouts);
    weir__write_times(to->writer, to->instruments[WAIT_TIME], to->values, &pool->wait_time);
}

static void write_origin(weir_metrics_writer *writer, const char *session,
                         const weir_http_origin *origin)
{
    struct address address;
    struct origin_writer to = {writer,
                               writer->metrics->http_instruments.metrics,
                               {session, address.host, address.port, NULL}};

    split_origin(origin->name, &address);
    write_counters(&to, origin);
    write_policies(&to, origin);
    if (origin->has_pool)
        write_pool(&to, &origin->pool);
}

static void write_session(weir_metrics_writer *writer, void *arg)
{
    const weir_metrics_http *functions = &writer->metrics->http_functions;
    const char *name = functions->name(arg);
    weir_http_origin *origins = weir_metrics_writer_alloc(writer, ORIGINS_SHOWN * sizeof *origins);

    if (origins == NULL)
        return;
    /* A name stays empty where the session had no memory to list its origins. */
    memset(origins, 0, ORIGINS_SHOWN * sizeof *origins);
    size_t count = functions->get_origins(arg, origins, ORIGINS_SHOWN);
    weir_metrics_write(writer, writer->metrics->http_instruments.metrics[ORIGINS], &name,
                       (double)count);
    for (size_t i = 0; i < count && i < ORIGINS_SHOWN; i++)
        if (origins[i].name[0] != '\0')
            write_origin(writer, name, &origins[i]);
}

/* ---- watching ---------------------------------------------------------------------------- */

weir_status weir_metrics_watch_http_with(weir_metrics *metrics, weir_http *session,
                                         const weir_metrics_http *functions, weir_error *reterr)
{
    weir_status status = weir__instruments_prepare(metrics, &metrics->http_instruments,
                                                   descriptions, HTTP_METRICS, reterr);

    if (status != WEIR_OK)
        return status;
    weir__lock(&metrics->lock);
    if (metrics->http_functions.name == NULL)
        metrics->http_functions = *functions;
    weir__unlock(&metrics->lock);
    status = weir_metrics_add_source(metrics, write_session, session, reterr);
    if (status != WEIR_OK)
        return status;
    status = functions->listen(
        session, WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT) | WEIR_EVENT_BIT(WEIR_HTTP_EVENT_REQUEST),
        hear, metrics, reterr);
    if (status != WEIR_OK)
        weir_metrics_remove_source(metrics, write_session, session);
    return status;
}

void weir_metrics_unwatch_http(weir_metrics *metrics, weir_http *session)
{
    weir_metrics_remove_source(metrics, write_session, session);
}
