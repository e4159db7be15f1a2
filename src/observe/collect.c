/* SPDX-License-Identifier: MIT */
/* One collection: what was counted and what the sources write, by metric and labels, at one moment. */
#include "observe/collect.h"

#include <stdlib.h>
#include <string.h>

#include "observe/labels.h"

#define BLOCK_SIZE 32768

struct block {
    struct block *next;
    size_t used;
    size_t size;
    max_align_t bytes[];
};

void *weir_metrics_writer_alloc(weir_metrics_writer *writer, size_t size)
{
    struct block *block = writer->arena.newest;

    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (block == NULL || size > block->size - block->used) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

        block = malloc(sizeof *block + room);
        if (block == NULL) {
            writer->has_failed = true;
            return NULL;
        }
        *block = (struct block){writer->arena.newest, 0, room};
        writer->arena.newest = block;
    }
    void *memory = (char *)block->bytes + block->used;
    block->used += size;
    return memory;
}

/* ---- samples ----------------------------------------------------------------------------- */

static struct sample *make_sample(weir_metrics_writer *writer, const weir_metric *metric,
                                  const char *labels, size_t size, uint32_t hash)
{
    bool is_histogram = metric->kind == WEIR_METRIC_HISTOGRAM;
    size_t buckets = is_histogram ? (metric->bound_count + 1) * sizeof(uint64_t) : 0;
    struct sample *sample = weir_metrics_writer_alloc(writer, sizeof *sample + size + 1);
    uint64_t *counts = sample != NULL ? weir_metrics_writer_alloc(writer, buckets) : NULL;

    if (counts == NULL)
        return NULL;
    memset(counts, 0, buckets);
    *sample = (struct sample){.hash = hash, .buckets = is_histogram ? counts : NULL};
    memcpy(sample->labels, labels, size);
    sample->labels[size] = '\0';
    return sample;
}

static bool open_table(weir_metrics_writer *writer, struct table *table)
{
    if (table->chains != NULL)
        return true;
    table->chains = weir_metrics_writer_alloc(writer, CHAINS * sizeof *table->chains);
    if (table->chains == NULL)
        return false;
    for (size_t i = 0; i < CHAINS; i++)
        table->chains[i] = NULL;
    return true;
}

static void link_sample(struct table *table, struct sample *sample)
{
    sample->next = table->first;
    table->first = sample;
    table->shown++;
}

static struct sample *overflow_sample(weir_metrics_writer *writer, const weir_metric *metric,
                                      struct table *table)
{
    if (table->overflow != NULL)
        return table->overflow;
    table->overflow = make_sample(writer, metric, OVERFLOW_LABELS, strlen(OVERFLOW_LABELS), 0);
    if (table->overflow != NULL)
        link_sample(table, table->overflow);
    return table->overflow;
}

/* The sample of these labels, of overflow when there are too many; NULL: no memory. */
static struct sample *sample_of(weir_metrics_writer *writer, const weir_metric *metric,
                                const char *labels, size_t size, uint32_t hash)
{
    struct table *table = &writer->tables[metric->index];

    if (!open_table(writer, table))
        return NULL;
    struct sample **chain = &table->chains[hash % CHAINS];
    for (struct sample *sample = *chain; sample != NULL; sample = sample->next_in_chain)
        if (sample->hash == hash && strcmp(sample->labels, labels) == 0)
            return sample;
    if (table->count == (size_t)metric->max_series)
        return overflow_sample(writer, metric, table);

    struct sample *sample = make_sample(writer, metric, labels, size, hash);
    if (sample == NULL)
        return NULL;
    sample->next_in_chain = *chain;
    *chain = sample;
    link_sample(table, sample);
    table->count++;
    return sample;
}

/* ---- what was counted -------------------------------------------------------------------- */

static void read_series(const weir_metric *metric, const struct weir_series *series,
                        struct sample *sample)
{
    bool is_histogram = metric->kind == WEIR_METRIC_HISTOGRAM;
    size_t value_word = is_histogram ? metric->bound_count + 1 : 0;

    for (size_t i = 0; is_histogram && i <= metric->bound_count; i++)
        sample->buckets[i] += (uint64_t)weir__series_read(series, i);
    sample->value += (double)weir__series_read(series, value_word) / metric->per_unit;
}

static void read_metric(weir_metrics_writer *writer, weir_metric *metric)
{
    const struct weir_series *series = atomic_load_explicit(&metric->newest, memory_order_acquire);

    for (; series != NULL; series = series->next) {
        struct sample *sample =
            sample_of(writer, metric, series->labels, strlen(series->labels), series->hash);
        if (sample != NULL)
            read_series(metric, series, sample);
    }
    if (!atomic_load_explicit(&metric->is_overflowing, memory_order_relaxed))
        return;
    struct sample *sample = overflow_sample(writer, metric, &writer->tables[metric->index]);
    if (sample != NULL)
        read_series(metric, metric->overflow, sample);
}

/* ---- what sources write ------------------------------------------------------------------ */

/* NULL: nothing to write to. A metric added since the collection began is for the next one. */
static struct sample *sample_for(weir_metrics_writer *writer, const weir_metric *metric,
                                 const char *const *values)
{
    char labels[LABELS_ROOM];

    if (metric->metrics != writer->metrics || metric->index >= writer->count)
        return NULL;
    size_t size = weir__labels_write(metric->labels, values, metric->label_count, labels);
    return sample_of(writer, metric, labels, size, weir__labels_hash(labels, size));
}

void weir_metrics_write(weir_metrics_writer *writer, const weir_metric *metric,
                        const char *const *values, double value)
{
    struct sample *sample =
        metric->kind != WEIR_METRIC_HISTOGRAM ? sample_for(writer, metric, values) : NULL;

    if (sample != NULL)
        sample->value += value;
}

void weir_metrics_write_histogram(weir_metrics_writer *writer, const weir_metric *metric,
                                  const char *const *values, const uint64_t *buckets, double sum)
{
    struct sample *sample =
        metric->kind == WEIR_METRIC_HISTOGRAM ? sample_for(writer, metric, values) : NULL;

    if (sample == NULL)
        return;
    for (size_t i = 0; i <= metric->bound_count; i++)
        sample->buckets[i] += buckets[i];
    sample->value += sum;
}

weir_metric *const *weir_metrics_writer_table(const weir_metrics_writer *writer)
{
    return writer->source_table;
}

static void ask_sources(weir_metrics_writer *writer)
{
    for (size_t i = 0; i < WEIR_METRICS_SOURCES_MAX; i++) {
        struct source source;

        if (!weir__source_enter(writer->metrics, i, &source))
            continue;
        writer->source_table = source.table;
        source.function(writer, source.arg);
        weir__source_leave(writer->metrics, i);
    }
}

/* ---- the whole --------------------------------------------------------------------------- */

weir_metrics_writer *weir__collect(weir_metrics *metrics)
{
    size_t count = atomic_load_explicit(&metrics->count, memory_order_acquire);
    weir_metrics_writer *writer = calloc(1, sizeof *writer + count * sizeof writer->tables[0]);

    if (writer == NULL)
        return NULL;
    writer->metrics = metrics;
    writer->count = count;
    for (size_t i = 0; i < count; i++)
        read_metric(writer, metrics->all[i]);
    ask_sources(writer);
    if (!writer->has_failed)
        return writer;
    weir__collection_close(writer);
    return NULL;
}

void weir__collection_close(weir_metrics_writer *writer)
{
    struct block *block = writer->arena.newest;

    while (block != NULL) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
    free(writer);
}
