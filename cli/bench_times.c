/* SPDX-License-Identifier: MIT */
/* A histogram whose buckets double in width with each power of two. */
#include "bench.h"

/* Below BENCH_STEPS each value has a bucket; above, each power of two has BENCH_STEPS of them. */
static unsigned bucket_of(weir_time value)
{
    uint64_t rest = value < 0 ? 0 : (uint64_t)value;
    unsigned shift = 0;

    if (rest >= BENCH_STEPS)
        shift = 63u - (unsigned)__builtin_clzll(rest) - 5u;
    unsigned at = shift * BENCH_STEPS + (unsigned)(rest >> shift);
    return at < BENCH_BUCKETS ? at : BENCH_BUCKETS - 1;
}

/* The greatest value of a bucket. */
static weir_time top_of(unsigned bucket)
{
    unsigned shift = bucket < 2 * BENCH_STEPS ? 0 : bucket / BENCH_STEPS - 1;
    uint64_t step = bucket - shift * BENCH_STEPS;

    return (weir_time)(((step + 1) << shift) - 1);
}

void bench_times_add(struct bench_times *times, weir_time value)
{
    times->count++;
    times->sum += value;
    if (value > times->most)
        times->most = value;
    times->buckets[bucket_of(value)]++;
}

void bench_times_merge(struct bench_times *times, const struct bench_times *other)
{
    times->count += other->count;
    times->sum += other->sum;
    if (other->most > times->most)
        times->most = other->most;
    for (unsigned i = 0; i < BENCH_BUCKETS; i++)
        times->buckets[i] += other->buckets[i];
}

weir_time bench_times_quantile(const struct bench_times *times, double fraction)
{
    double wanted = fraction * (double)times->count;
    uint64_t seen = 0;

    for (unsigned i = 0; i < BENCH_BUCKETS && times->count > 0; i++) {
        seen += times->buckets[i];
        if (seen > 0 && (double)seen >= wanted)
            return top_of(i) < times->most ? top_of(i) : times->most;
    }
    return times->most;
}
