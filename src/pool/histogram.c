/* SPDX-License-Identifier: MIT */
/* Histograms with fixed buckets, written by a slot's holder and added up in a snapshot. */
#include "pool/core.h"

#define BOUND(bound) bound,
const weir_time weir_histogram_bounds[WEIR_HISTOGRAM_BUCKETS - 1] = {
    WEIR_HISTOGRAM_BOUND_MAP(BOUND)};
#undef BOUND

static int bucket_of(weir_time value)
{
    int low = 0;
    int high = WEIR_HISTOGRAM_BUCKETS - 1;

    while (low < high) {
        int middle = (low + high) / 2;

        if (value <= weir_histogram_bounds[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void weir__histogram_observe(struct histogram *histogram, weir_time value)
{
    if (value < 0)
        value = 0;
    slot_bump(&histogram->buckets[bucket_of(value)]);
    weir_time sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum, sum + value, memory_order_relaxed);
    if (value > atomic_load_explicit(&histogram->max, memory_order_relaxed))
        atomic_store_explicit(&histogram->max, value, memory_order_relaxed);
}

void weir__histogram_add(const struct histogram *from, weir_histogram *to)
{
    weir_time max = atomic_load_explicit(&from->max, memory_order_relaxed);

    to->sum += atomic_load_explicit(&from->sum, memory_order_relaxed);
    if (max > to->max)
        to->max = max;
    for (int i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&from->buckets[i], memory_order_relaxed);

        to->buckets[i] += n;
        to->count += n;
    }
}

weir_time weir_histogram_quantile(const weir_histogram *histogram, double q)
{
    if (histogram->count == 0)
        return 0;
    if (q < 0)
        q = 0;
    if (q > 1)
        q = 1;

    double wanted = q * (double)histogram->count;
    uint64_t seen = 0;
    for (int i = 0; i < WEIR_HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted)
            return weir_histogram_bounds[i] < histogram->max ? weir_histogram_bounds[i]
                                                             : histogram->max;
    }
    return histogram->max;
}
