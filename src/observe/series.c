/* SPDX-License-Identifier: MIT */
/* Series: made once, counted into by any thread without a lock. */
#include "observe/registry.h"

#include <stdlib.h>
#include <string.h>

/* Which shard this thread counts into, from 1; 0: not chosen yet. Program-wide, so that threads are
 * spread evenly whatever they count. */
static _Atomic unsigned next_shard;
static _Thread_local unsigned own_shard __attribute__((tls_model("initial-exec")));

static size_t this_shard(void)
{
    if (own_shard == 0)
        own_shard = atomic_fetch_add_explicit(&next_shard, 1, memory_order_relaxed) % SHARDS + 1;
    return own_shard - 1;
}

static size_t round_up(size_t size)
{
    return (size + SHARD_ALIGN - 1) / SHARD_ALIGN * SHARD_ALIGN;
}

struct weir_series *weir__series_make(weir_metric *metric, const char *labels, size_t size,
                                      uint32_t hash)
{
    size_t head = round_up(sizeof(struct weir_series) + size + 1);
    size_t words = metric->shards * metric->stride;
    struct weir_series *series = aligned_alloc(SHARD_ALIGN, head + words * sizeof(int64_t));

    if (series == NULL)
        return NULL;
    series->metric = metric;
    series->next = NULL;
    series->next_in_chain = NULL;
    series->hash = hash;
    series->cells = (_Atomic int64_t *)((char *)series + head);
    for (size_t i = 0; i < words; i++)
        atomic_init(&series->cells[i], 0);
    memcpy(series->labels, labels, size);
    series->labels[size] = '\0';
    return series;
}

int64_t weir__series_read(const struct weir_series *series, size_t word)
{
    const weir_metric *metric = series->metric;
    int64_t sum = 0;

    for (size_t i = 0; i < metric->shards; i++)
        sum +=
            atomic_load_explicit(&series->cells[i * metric->stride + word], memory_order_relaxed);
    return sum;
}

/* Which bucket a value belongs to. */
static size_t bucket_of(const weir_metric *metric, int64_t value)
{
    size_t low = 0;
    size_t high = metric->bound_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (value <= metric->limits[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void weir_series_add(weir_series *series, int64_t amount)
{
    const weir_metric *metric = series->metric;

    if (metric->kind == WEIR_METRIC_HISTOGRAM ||
        (metric->kind == WEIR_METRIC_COUNTER && amount < 0))
        return;
    size_t shard = metric->shards > 1 ? this_shard() : 0;
    atomic_fetch_add_explicit(&series->cells[shard * metric->stride], amount, memory_order_relaxed);
}

void weir_series_set(weir_series *series, int64_t value)
{
    if (series->metric->kind == WEIR_METRIC_GAUGE)
        atomic_store_explicit(&series->cells[0], value, memory_order_relaxed);
}

void weir_series_record(weir_series *series, int64_t value)
{
    const weir_metric *metric = series->metric;

    if (metric->kind != WEIR_METRIC_HISTOGRAM)
        return;
    if (value < 0)
        value = 0;
    _Atomic int64_t *cells = &series->cells[this_shard() * metric->stride];
    atomic_fetch_add_explicit(&cells[bucket_of(metric, value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cells[metric->bound_count + 1], value, memory_order_relaxed);
}

int64_t weir_series_value(const weir_series *series)
{
    const weir_metric *metric = series->metric;
    int64_t sum = 0;

    if (metric->kind != WEIR_METRIC_HISTOGRAM)
        return weir__series_read(series, 0);
    for (size_t i = 0; i <= metric->bound_count; i++)
        sum += weir__series_read(series, i);
    return sum;
}
