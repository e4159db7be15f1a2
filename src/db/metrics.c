/* SPDX-License-Identifier: MIT */
/* What metrics show of a database: its pool, and each statement as it ends. */
#include "db/conn.h"

#include <weir/metrics.h>

#include <stdlib.h>
#include <string.h>

static const double duration_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};
static const double row_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

enum { DURATION, ROWS, DB_METRICS };

#define DB_LABELS                                                                                  \
    "db.system.name", "db.namespace", "db.operation.name", "db.client.connection.pool.name"

static const weir_metric_options table[DB_METRICS] = {
    [DURATION] = {.name = "db.client.operation.duration",
                  .kind = WEIR_METRIC_HISTOGRAM,
                  .unit = "s",
                  .description = "Time of a statement",
                  .labels = {DB_LABELS, "error.type", "db.response.status_code"},
                  .bounds = duration_bounds,
                  .bound_count = sizeof duration_bounds / sizeof *duration_bounds,
                  .per_unit = (double)WEIR_SECOND},
    [ROWS] = {.name = "db.client.response.returned_rows",
              .kind = WEIR_METRIC_HISTOGRAM,
              .unit = "{row}",
              .description = "Rows that a statement returned",
              .labels = {DB_LABELS},
              .bounds = row_bounds,
              .bound_count = sizeof row_bounds / sizeof *row_bounds},
};

/*
 * Where successful statements of one operation go, found without putting their labels together. Operations
 * are static, so the pointer tells. The first to need a place has it for good; who finds it taken by another
 * operation goes the long way. Anyone may set a series, from NULL to the one that the labels give, with
 * release, so that who finds it sees it whole.
 */
#define PLACES 64
struct place {
    _Atomic(const char *) operation;
    _Atomic(weir_series *) series[DB_METRICS];
};

/* One pair of a database and its metrics; lives as long as the database. */
struct db_metrics {
    weir_metric *metrics[DB_METRICS];
    const char *pool; /* its name, the database's own copy */
    struct place places[PLACES];
};

/* ---- series ------------------------------------------------------------------------------ */

static weir_series *find_series(struct db_metrics *own, int metric, const weir_db_event *event)
{
    bool has_failed = event->status != WEIR_OK;
    const char *const values[] = {
        event->engine,
        event->database,
        event->operation,
        own->pool,
        has_failed ? weir_status_name(event->status) : NULL,
        has_failed && event->error != NULL ? event->error->sqlstate : NULL,
    };

    return weir_metric_series(own->metrics[metric], values);
}

/* NULL: another operation has it. */
static struct place *place_of(struct db_metrics *own, const char *operation)
{
    struct place *place = &own->places[(uintptr_t)operation / 4 % PLACES];
    const char *holder = atomic_load_explicit(&place->operation, memory_order_relaxed);

    if (holder == NULL &&
        atomic_compare_exchange_strong_explicit(&place->operation, &holder, operation,
                                                memory_order_relaxed, memory_order_relaxed))
        return place;
    return holder == operation ? place : NULL;
}

static weir_series *series_of(struct db_metrics *own, int metric, const weir_db_event *event)
{
    struct place *place = event->status == WEIR_OK ? place_of(own, event->operation) : NULL;

    if (place == NULL)
        return find_series(own, metric, event);
    weir_series *series = atomic_load_explicit(&place->series[metric], memory_order_acquire);
    if (series != NULL)
        return series;
    series = find_series(own, metric, event);
    atomic_store_explicit(&place->series[metric], series, memory_order_release);
    return series;
}

/* The others return no rows by their nature, and would only add to the first bucket. */
static bool returns_rows(const weir_db_event *event)
{
    return event->status == WEIR_OK && (event->rows > 0 || strcmp(event->operation, "SELECT") == 0);
}

static void count_statement(const weir_db_event *event, void *arg)
{
    weir_series_record(series_of(arg, DURATION, event), event->duration);
    if (returns_rows(event))
        weir_series_record(series_of(arg, ROWS, event), (int64_t)event->rows);
}

/* ---- watching ---------------------------------------------------------------------------- */

weir_status weir_metrics_watch_db(weir_metrics *metrics, weir_db *db, weir_error *reterr)
{
    struct db_metrics *own = calloc(1, sizeof *own);

    if (own == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "watch db \"%s\": out of memory", db->name);
    const struct db_listener listener = {.function = count_statement, .arg = own, .free_arg = free};
    own->pool = db->name;
    weir_status status = weir_metrics_add_table(metrics, table, DB_METRICS, own->metrics, reterr);
    if (status != WEIR_OK)
        goto fail;
    status = weir_metrics_watch_pool(metrics, db->pool, reterr);
    if (status != WEIR_OK)
        goto fail;
    status = weir__db_listen(db, &listener, reterr);
    if (status == WEIR_OK)
        return WEIR_OK;
    weir_metrics_unwatch_pool(metrics, db->pool);

fail:
    free(own);
    return status;
}

void weir_metrics_unwatch_db(weir_metrics *metrics, weir_db *db)
{
    weir_metrics_unwatch_pool(metrics, db->pool);
}
