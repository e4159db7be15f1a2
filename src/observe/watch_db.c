/* SPDX-License-Identifier: MIT */
/* Databases: each statement as it ends. */
#include "observe/watch.h"

#include <stdlib.h>
#include <string.h>

static const double duration_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};
static const double row_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

enum { DURATION, ROWS, DB_METRICS };
_Static_assert(DB_METRICS <= INSTRUMENTS_MAX, "room for every metric of a database");

#define DB_LABELS                                                                                  \
    "db.system.name", "db.namespace", "db.operation.name", "db.client.connection.pool.name"

static const weir_metric_options descriptions[DB_METRICS] = {
    [DURATION] = HISTOGRAM("db.client.operation.duration", duration_bounds, "Time of a statement",
                           DB_LABELS, "error.type", "db.response.status_code"),
    [ROWS] = {.name = "db.client.response.returned_rows",
              .kind = WEIR_METRIC_HISTOGRAM,
              .unit = "{row}",
              .description = "Rows that a statement returned",
              .labels = {DB_LABELS},
              .bounds = row_bounds,
              .bound_count = sizeof row_bounds / sizeof *row_bounds,
              .per_unit = 1,
              .max_series = 256},
};

/* ---- series ------------------------------------------------------------------------------ */

static weir_series *find_series(weir_metric *metric, const weir_db_event *event, const char *pool)
{
    bool has_failed = event->status != WEIR_OK;
    const char *const values[] = {
        event->engine,
        event->database,
        event->operation,
        pool,
        has_failed ? weir_status_name(event->status) : NULL,
        has_failed && event->error != NULL ? event->error->sqlstate : NULL,
    };

    return weir_metric_series(metric, values);
}

/* The others return no rows by their nature, and would only add to the first bucket. */
static bool returns_rows(const weir_db_event *event)
{
    return event->status == WEIR_OK && (event->rows > 0 || strcmp(event->operation, "SELECT") == 0);
}

struct series {
    weir_series *duration;
    weir_series *rows; /* NULL where none were returned */
};

static struct series find_both(weir_metrics *metrics, const weir_db_event *event, const char *pool)
{
    weir_metric *const *instruments = metrics->db_instruments.metrics;

    return (struct series){
        find_series(instruments[DURATION], event, pool),
        returns_rows(event) ? find_series(instruments[ROWS], event, pool) : NULL,
    };
}

/*
 * Where statements go that succeed: engine and operation are static, so the pointers tell. Names may
 * be another database's at the same place, so they are kept and compared. The first to need a place
 * has it for good; who finds it taken by others goes the long way.
 */
struct db_cache_entry {
    const char *engine;
    const char *operation;
    char database[128];
    char pool[64];
    struct series series;
};

static bool is_for(const struct db_cache_entry *entry, const weir_db_event *event, const char *pool)
{
    return entry->engine == event->engine && entry->operation == event->operation &&
           strcmp(entry->database, event->database) == 0 && strcmp(entry->pool, pool) == 0;
}

static void add_cache_entry(_Atomic(struct db_cache_entry *) *place, const weir_db_event *event,
                            const char *pool, struct series series)
{
    struct db_cache_entry *made;
    struct db_cache_entry *present = NULL;

    if (strlen(event->database) >= sizeof made->database || strlen(pool) >= sizeof made->pool)
        return;
    made = malloc(sizeof *made);
    if (made == NULL)
        return;
    *made = (struct db_cache_entry){
        .engine = event->engine, .operation = event->operation, .series = series};
    strcpy(made->database, event->database);
    strcpy(made->pool, pool);
    if (!atomic_compare_exchange_strong_explicit(place, &present, made, memory_order_release,
                                                 memory_order_relaxed))
        free(made);
}

static struct series series_of(weir_metrics *metrics, const weir_db_event *event)
{
    const char *pool = weir_pool_name(metrics->db_functions.pool(event->db));
    uintptr_t hash = (uintptr_t)event->operation / 4 ^ (uintptr_t)event->db / 64;
    _Atomic(struct db_cache_entry *) *place = &metrics->db_cache[hash % DB_CACHE_ENTRIES];
    const struct db_cache_entry *entry = atomic_load_explicit(place, memory_order_acquire);

    if (event->status != WEIR_OK)
        return find_both(metrics, event, pool);

    bool is_known = entry != NULL && is_for(entry, event, pool);
    if (is_known && (entry->series.rows != NULL || !returns_rows(event)))
        return entry->series;
    struct series series = find_both(metrics, event, pool);
    if (entry == NULL)
        add_cache_entry(place, event, pool, series);
    return series;
}

void weir__db_cache_free(weir_metrics *metrics)
{
    for (size_t i = 0; i < DB_CACHE_ENTRIES; i++)
        free(atomic_load_explicit(&metrics->db_cache[i], memory_order_acquire));
}

/* ---- watching ---------------------------------------------------------------------------- */

static void hear(const weir_db_event *event, void *arg)
{
    struct series series = series_of(arg, event);

    weir_series_record(series.duration, event->duration);
    if (returns_rows(event))
        weir_series_record(series.rows, (int64_t)event->rows);
}

weir_status weir_metrics_watch_db_with(weir_metrics *metrics, weir_db *db,
                                       const weir_metrics_db *functions, weir_error *reterr)
{
    weir_pool *pool = functions->pool(db);
    weir_status status = weir__instruments_prepare(metrics, &metrics->db_instruments, descriptions,
                                                   DB_METRICS, reterr);

    if (status != WEIR_OK)
        return status;
    weir__lock(&metrics->lock);
    if (metrics->db_functions.pool == NULL)
        metrics->db_functions = *functions;
    weir__unlock(&metrics->lock);
    status = weir_metrics_watch_pool(metrics, pool, reterr);
    if (status != WEIR_OK)
        return status;
    status = functions->listen(db, hear, metrics, reterr);
    if (status != WEIR_OK)
        weir_metrics_unwatch_pool(metrics, pool);
    return status;
}
