/* SPDX-License-Identifier: MIT */
/* The figures of the backend: its pools, databases and session, the requests it answers, its process. */
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lock.h"
#include "managers/db_manager.h"
#include "managers/http_session_manager.h"
#include "managers/suggestions_db_manager.h"

enum {
    CONNECTIONS,
    WORKERS_BUSY,
    QUEUED,
    OUTBOUND_BUSY,
    OUTBOUND_QUEUED,
    REJECTED,
    REAPED,
    LISTENER_METRICS
};

/* The series of requests that are alike, found again by pointer and number; routes, and the methods
 * known here, are static. */
#define CACHE_ENTRIES 64
struct cache_entry {
    const char *route;
    const char *method;
    unsigned status;
    bool is_complete;
    weir_series *series; /* NULL: not used yet */
};

#define DATABASES 2

struct server_metrics {
    weir_metrics *registry;
    weir_metric *request_duration;
    struct listener *listener;
    struct db_handle *databases[DATABASES]; /* held while watched; NULL: not watched */
    struct http_handle *session;            /* the same */

    struct weir__mutex lock;
    struct cache_entry entries[CACHE_ENTRIES]; /* guarded by lock */
};

/* ---- Opening ------------------------------------------------------------------------------ */

static const double request_bounds[] = {WEIR_METRIC_REQUEST_BOUNDS};

static const weir_metric_options request_duration = {
    .name = "http.server.request.duration",
    .kind = WEIR_METRIC_HISTOGRAM,
    .unit = "s",
    .description = "Time from a request's first line to the last byte of its answer",
    .labels = {"http.request.method", "url.scheme", "http.route", "http.response.status_code",
               "error.type"},
    .bounds = request_bounds,
    .bound_count = sizeof request_bounds / sizeof *request_bounds,
    .per_unit = (double)WEIR_SECOND,
    .max_series = 1024,
};

weir_status server_metrics_open(struct server_metrics **ret_metrics, weir_error *reterr)
{
    struct server_metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open metrics: out of memory");
    weir__mutex_init(&metrics->lock);
    weir_status status = weir_metrics_open(&metrics->registry, reterr);
    if (status == WEIR_OK)
        status = weir_metrics_watch_process(metrics->registry, reterr);
    if (status == WEIR_OK)
        status = weir_metrics_add_table(metrics->registry, &request_duration, 1,
                                        &metrics->request_duration, reterr);
    if (status != WEIR_OK) {
        server_metrics_close(metrics);
        return status;
    }
    *ret_metrics = metrics;
    return WEIR_OK;
}

void server_metrics_close(struct server_metrics *metrics)
{
    if (metrics == NULL)
        return;
    weir_metrics_close(metrics->registry);
    weir__mutex_clear(&metrics->lock);
    free(metrics);
}

weir_metrics *server_metrics_registry(struct server_metrics *metrics)
{
    return metrics->registry;
}

/* ---- Watching ----------------------------------------------------------------------------- */

static void unwatch_database(struct server_metrics *metrics, struct db_handle **watched)
{
    if (*watched == NULL)
        return;
    weir_metrics_unwatch_db(metrics->registry, db_handle_db(*watched));
    managed_db_put_engine(*watched);
    *watched = NULL;
}

/* The engine that the manager has now, in place of the former one. One that is watched already stays: what
 * it tells of its statements cannot be ended, and would be told twice. */
static weir_status watch_database(struct server_metrics *metrics, struct managed_db *manager,
                                  struct db_handle **watched, weir_error *reterr)
{
    struct db_handle *handle;

    weir_status status = managed_db_get_engine(manager, &handle, reterr);
    if (status != WEIR_OK)
        return status;
    if (handle == *watched) {
        managed_db_put_engine(handle);
        return WEIR_OK;
    }
    unwatch_database(metrics, watched);
    status = weir_metrics_watch_db(metrics->registry, db_handle_db(handle), reterr);
    if (status == WEIR_OK)
        *watched = handle;
    else
        managed_db_put_engine(handle);
    return status;
}

static weir_status watch_session(struct server_metrics *metrics, weir_error *reterr)
{
    struct http_handle *handle;

    if (metrics->session != NULL)
        return WEIR_OK;
    weir_status status = http_manager_get_session(&handle, reterr);
    if (status != WEIR_OK)
        return status;
    status = weir_metrics_watch_http(metrics->registry, http_handle_session(handle), reterr);
    if (status == WEIR_OK)
        metrics->session = handle;
    else
        http_manager_put_session(handle);
    return status;
}

weir_status server_metrics_watch(struct server_metrics *metrics, weir_error *reterr)
{
    weir_status status = watch_database(metrics, db_manager(), &metrics->databases[0], reterr);

    if (status == WEIR_OK)
        status = watch_database(metrics, suggestions_db_manager(), &metrics->databases[1], reterr);
    if (status == WEIR_OK)
        status = watch_session(metrics, reterr);
    return status;
}

void server_metrics_unwatch(struct server_metrics *metrics)
{
    for (size_t i = 0; i < DATABASES; i++)
        unwatch_database(metrics, &metrics->databases[i]);
    if (metrics->session == NULL)
        return;
    weir_metrics_unwatch_http(metrics->registry, http_handle_session(metrics->session));
    http_manager_put_session(metrics->session);
    metrics->session = NULL;
}

static const weir_metric_options listener_metrics[LISTENER_METRICS] = {
    [CONNECTIONS] = {.name = "weir.server.connections",
                     .kind = WEIR_METRIC_GAUGE,
                     .unit = "{connection}",
                     .description = "Connections of clients"},
    [WORKERS_BUSY] = {.name = "weir.server.workers.busy",
                      .kind = WEIR_METRIC_GAUGE,
                      .unit = "{worker}",
                      .description = "Workers that run a handler"},
    [QUEUED] = {.name = "weir.server.requests.queued",
                .kind = WEIR_METRIC_GAUGE,
                .unit = "{request}",
                .description = "Requests that wait for a worker"},
    [OUTBOUND_BUSY] = {.name = "weir.server.outbound.busy",
                       .kind = WEIR_METRIC_GAUGE,
                       .unit = "{worker}",
                       .description = "Workers that run a handler which waits for NocoDB"},
    [OUTBOUND_QUEUED] = {.name = "weir.server.outbound.queued",
                         .kind = WEIR_METRIC_GAUGE,
                         .unit = "{request}",
                         .description = "Requests that wait for such a worker"},
    [REJECTED] = {.name = "weir.server.requests.rejected",
                  .unit = "{request}",
                  .description = "Requests answered 503 because connections, queue or memory for "
                                 "bodies were full"},
    [REAPED] = {.name = "weir.server.connections.reaped",
                .unit = "{connection}",
                .description = "Client connections closed because they timed out"},
};

static void write_listener(weir_metrics_writer *writer, void *arg)
{
    weir_metric *const *all = weir_metrics_writer_table(writer);
    struct server_metrics *metrics = arg;
    struct listener_stats stats;

    listener_stats(metrics->listener, &stats);
    const double values[LISTENER_METRICS] = {
        [CONNECTIONS] = stats.connections,
        [WORKERS_BUSY] = stats.workers_busy,
        [QUEUED] = stats.queued,
        [OUTBOUND_BUSY] = stats.outbound_busy,
        [OUTBOUND_QUEUED] = stats.outbound_queued,
        [REJECTED] = (double)stats.rejected_full,
        [REAPED] = (double)stats.reaped,
    };
    for (size_t i = 0; i < LISTENER_METRICS; i++)
        weir_metrics_write(writer, all[i], NULL, values[i]);
}

weir_status server_metrics_watch_listener(struct server_metrics *metrics, struct listener *listener,
                                          weir_error *reterr)
{
    metrics->listener = listener;
    return weir_metrics_add_table_source(metrics->registry, listener_metrics, LISTENER_METRICS,
                                         write_listener, metrics, reterr);
}

void server_metrics_unwatch_listener(struct server_metrics *metrics)
{
    weir_metrics_remove_source(metrics->registry, write_listener, metrics);
}

/* ---- Requests ----------------------------------------------------------------------------- */

/* Methods that anybody may invent share one value. */
static const char *known_method(const char *method)
{
    static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], method) == 0)
            return known[i];
    return "_OTHER";
}

static weir_series *series_of(struct server_metrics *metrics, const struct cache_entry *like)
{
    char status[16] = "";

    if (like->status > 0)
        snprintf(status, sizeof status, "%u", like->status);
    const char *error = !like->is_complete ? "incomplete" : like->status >= 500 ? status : "";
    const char *const values[] = {like->method, "http", like->route, status, error};
    return weir_metric_series(metrics->request_duration, values);
}

static size_t place_of(const struct cache_entry *like)
{
    uintptr_t sum =
        (uintptr_t)like->route / 8 + (uintptr_t)like->method / 8 + like->status + like->is_complete;

    return (sum ^ sum >> 6) % CACHE_ENTRIES;
}

void server_metrics_count_request(struct server_metrics *metrics, const struct http_access *access)
{
    struct cache_entry like = {access->route, known_method(access->method), access->status,
                               access->is_complete, NULL};
    struct cache_entry *place = &metrics->entries[place_of(&like)];
    struct cache_entry found;

    weir__lock(&metrics->lock);
    found = *place;
    weir__unlock(&metrics->lock);
    if (found.series == NULL || found.route != like.route || found.method != like.method ||
        found.status != like.status || found.is_complete != like.is_complete) {
        like.series = series_of(metrics, &like);
        found = like;
        weir__lock(&metrics->lock);
        *place = like;
        weir__unlock(&metrics->lock);
    }
    weir_series_record(found.series, access->duration);
}
