/* SPDX-License-Identifier: MIT */
/* A registry of metrics, their series, and the sources that are asked at each rendering. */
#include "observe/registry.h"

#include <stdlib.h>
#include <string.h>

#include "observe/labels.h"

weir_status weir_metrics_open(weir_metrics **ret_metrics, weir_error *reterr)
{
    weir_metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open metrics: out of memory");
    weir__mutex_init(&metrics->lock);
    pthread_cond_init(&metrics->returned, NULL);
    *ret_metrics = metrics;
    return WEIR_OK;
}

/* Of sources that were not removed. */
static void free_tables(weir_metrics *metrics)
{
    weir__lock(&metrics->lock);
    struct source *sources = weir__metrics_guarded_locked(metrics)->sources;
    for (size_t i = 0; i < WEIR_METRICS_SOURCES_MAX; i++)
        free(sources[i].table);
    weir__unlock(&metrics->lock);
}

void weir_metrics_close(weir_metrics *metrics)
{
    if (metrics == NULL)
        return;
    size_t count = atomic_load_explicit(&metrics->count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        weir__metric_free(metrics->all[i]);
    free_tables(metrics);
    pthread_cond_destroy(&metrics->returned);
    weir__mutex_clear(&metrics->lock);
    free(metrics);
}

/* ---- metrics ----------------------------------------------------------------------------- */

/* Put it into the registry, or find what stands in its way or in its place. */
static weir_status add_locked(weir_metrics *metrics, weir_metric *made, weir_metric **ret_other)
    WEIR_REQUIRES(metrics->lock)
{
    size_t count = atomic_load_explicit(&metrics->count, memory_order_relaxed);

    *ret_other = NULL;
    for (size_t i = 0; i < count; i++) {
        weir_metric *other = metrics->all[i];
        bool is_namesake = strcmp(other->name, made->name) == 0;

        if (!is_namesake && !weir__metric_clashes(other, made))
            continue;
        *ret_other = other;
        return is_namesake && weir__metric_equals(other, made) ? WEIR_ALREADY : WEIR_INVALID;
    }
    if (count == WEIR_METRICS_MAX)
        return WEIR_FULL;
    made->index = count;
    metrics->all[count] = made;
    atomic_store_explicit(&metrics->count, count + 1, memory_order_release);
    return WEIR_OK;
}

weir_status weir_metrics_add(weir_metrics *metrics, const weir_metric_options *options,
                             weir_metric **ret_metric, weir_error *reterr)
{
    weir_metric *made;
    weir_metric *other;

    weir_status status = weir__metric_make(metrics, options, &made, reterr);
    if (status != WEIR_OK)
        return status;
    weir__lock(&metrics->lock);
    status = add_locked(metrics, made, &other);
    weir__unlock(&metrics->lock);
    if (status == WEIR_OK) {
        *ret_metric = made;
        return WEIR_OK;
    }
    if (status == WEIR_INVALID)
        weir_error_set(reterr, status,
                       "metric \"%s\": the name is taken by \"%s\", which is another metric (%s in "
                       "Prometheus' text)",
                       options->name, other->name, other->exposed);
    if (status == WEIR_FULL)
        weir_error_set(reterr, status, "metric \"%s\": there are already %d, the maximum",
                       options->name, WEIR_METRICS_MAX);
    weir__metric_free(made);
    if (status != WEIR_ALREADY)
        return status;
    *ret_metric = other;
    return WEIR_OK;
}

static weir_metric_options with_defaults(const weir_metric_options *row)
{
    weir_metric_options options = *row;

    if (options.unit == NULL)
        options.unit = "";
    if (options.description == NULL)
        options.description = "";
    if (options.per_unit == 0)
        options.per_unit = 1;
    if (options.max_series == 0)
        options.max_series = 256;
    return options;
}

weir_status weir_metrics_add_table(weir_metrics *metrics, const weir_metric_options *table,
                                   size_t count, weir_metric **ret_metrics, weir_error *reterr)
{
    weir_metric *made[WEIR_METRICS_MAX];

    if (count > WEIR_METRICS_MAX)
        return weir_error_set(reterr, WEIR_FULL, "table of %zu metrics: %d are the maximum", count,
                              WEIR_METRICS_MAX);
    for (size_t i = 0; i < count; i++) {
        weir_metric_options options = with_defaults(&table[i]);
        weir_status status = weir_metrics_add(metrics, &options, &made[i], reterr);

        if (status != WEIR_OK)
            return status;
    }
    memcpy(ret_metrics, made, count * sizeof *made);
    return WEIR_OK;
}

/* ---- series ------------------------------------------------------------------------------ */

static struct weir_series *find(weir_metric *metric, const char *labels, uint32_t hash)
{
    struct weir_series *series =
        atomic_load_explicit(&metric->chains[hash % CHAINS], memory_order_acquire);

    while (series != NULL && (series->hash != hash || strcmp(series->labels, labels) != 0))
        series = series->next_in_chain;
    return series;
}

static struct weir_series *overflow(weir_metric *metric)
{
    atomic_store_explicit(&metric->is_overflowing, true, memory_order_relaxed);
    return metric->overflow;
}

/* Add the series that was made, unless another thread was quicker, or there is no room. */
static struct weir_series *publish_locked(weir_metric *metric, struct weir_series *made)
    WEIR_REQUIRES(metric->metrics->lock)
{
    struct weir_series *present = find(metric, made->labels, made->hash);
    _Atomic(struct weir_series *) *chain = &metric->chains[made->hash % CHAINS];

    if (present != NULL)
        return present;
    int count = atomic_load_explicit(&metric->series_count, memory_order_relaxed);
    if (count >= metric->max_series)
        return NULL;
    made->next = atomic_load_explicit(&metric->newest, memory_order_relaxed);
    made->next_in_chain = atomic_load_explicit(chain, memory_order_relaxed);
    atomic_store_explicit(chain, made, memory_order_release);
    atomic_store_explicit(&metric->newest, made, memory_order_release);
    atomic_store_explicit(&metric->series_count, count + 1, memory_order_relaxed);
    return made;
}

weir_series *weir_metric_series(weir_metric *metric, const char *const *values)
{
    char labels[LABELS_ROOM];
    size_t size = weir__labels_write(metric->labels, values, metric->label_count, labels);
    uint32_t hash = weir__labels_hash(labels, size);

    struct weir_series *series = find(metric, labels, hash);
    if (series != NULL)
        return series;
    if (atomic_load_explicit(&metric->series_count, memory_order_relaxed) >= metric->max_series)
        return overflow(metric);
    struct weir_series *made = weir__series_make(metric, labels, size, hash);
    if (made == NULL)
        return overflow(metric);
    weir__lock(&metric->metrics->lock);
    series = publish_locked(metric, made);
    weir__unlock(&metric->metrics->lock);
    if (series != made)
        free(made);
    return series != NULL ? series : overflow(metric);
}

/* ---- sources ----------------------------------------------------------------------------- */

static struct source *find_source_locked(weir_metrics *metrics, weir_metrics_source *function,
                                         const void *arg) WEIR_REQUIRES(metrics->lock)
{
    struct source *sources = weir__metrics_guarded_locked(metrics)->sources;

    for (size_t i = 0; i < WEIR_METRICS_SOURCES_MAX; i++)
        if (sources[i].function == function && !sources[i].is_removed &&
            (function == NULL || sources[i].arg == arg))
            return &sources[i];
    return NULL;
}

static weir_status add_source_locked(weir_metrics *metrics, const struct source *source)
    WEIR_REQUIRES(metrics->lock)
{
    if (find_source_locked(metrics, source->function, source->arg) != NULL)
        return WEIR_ALREADY;
    struct source *place = find_source_locked(metrics, NULL, NULL);
    if (place == NULL)
        return WEIR_FULL;
    *place = *source;
    return WEIR_OK;
}

static weir_status add_source(weir_metrics *metrics, const struct source *source,
                              weir_error *reterr)
{
    weir__lock(&metrics->lock);
    weir_status status = add_source_locked(metrics, source);
    weir__unlock(&metrics->lock);
    if (status == WEIR_FULL)
        weir_error_set(reterr, status, "metrics: there are already %d sources, the maximum",
                       WEIR_METRICS_SOURCES_MAX);
    if (status == WEIR_ALREADY)
        weir_error_set(reterr, status, "metrics: this source was already added");
    return status;
}

weir_status weir_metrics_add_source(weir_metrics *metrics, weir_metrics_source *source, void *arg,
                                    weir_error *reterr)
{
    return add_source(metrics, &(struct source){.function = source, .arg = arg}, reterr);
}

weir_status weir_metrics_add_table_source(weir_metrics *metrics, const weir_metric_options *table,
                                          size_t count, weir_metrics_source *source, void *arg,
                                          weir_error *reterr)
{
    struct source made = {.function = source, .arg = arg};

    made.table = malloc((count + 1) * sizeof *made.table);
    if (made.table == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "add table of metrics: out of memory");
    weir_status status = weir_metrics_add_table(metrics, table, count, made.table, reterr);
    if (status == WEIR_OK)
        status = add_source(metrics, &made, reterr);
    if (status != WEIR_OK)
        free(made.table);
    return status;
}

/* The place stays taken until the last call has come back, so that it is not given to another. */
void weir_metrics_remove_source(weir_metrics *metrics, weir_metrics_source *source, void *arg)
{
    weir_metric **table = NULL;

    weir__lock(&metrics->lock);
    struct source *place = find_source_locked(metrics, source, arg);
    if (place != NULL) {
        place->is_removed = true;
        while (place->running > 0)
            pthread_cond_wait(&metrics->returned, &metrics->lock.raw);
        table = place->table;
        *place = (struct source){0};
    }
    weir__unlock(&metrics->lock);
    free(table);
}

bool weir__source_enter(weir_metrics *metrics, size_t index, struct source *ret_source)
{
    weir__lock(&metrics->lock);
    struct source *source = &weir__metrics_guarded_locked(metrics)->sources[index];
    bool is_there = source->function != NULL && !source->is_removed;
    if (is_there) {
        source->running++;
        *ret_source = *source;
    }
    weir__unlock(&metrics->lock);
    return is_there;
}

void weir__source_leave(weir_metrics *metrics, size_t index)
{
    weir__lock(&metrics->lock);
    struct source *source = &weir__metrics_guarded_locked(metrics)->sources[index];
    source->running--;
    if (source->is_removed && source->running == 0)
        pthread_cond_broadcast(&metrics->returned);
    weir__unlock(&metrics->lock);
}
