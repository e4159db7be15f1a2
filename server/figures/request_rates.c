/* SPDX-License-Identifier: MIT */
/* How many requests the server answered lately, how many of them with an error, and how long they took. */
#include "request_rates.h"

#include <stdlib.h>
#include <string.h>

#include "common/lock.h"

/* Buckets, eight for each doubling from 16 us on; what takes more than four minutes is in the last. */
#define LEAST (16 * WEIR_US)
#define PER_DOUBLING 8
#define BUCKETS (24 * PER_DOUBLING)

#define STEPS 60
#define WINDOW (60 * WEIR_SECOND)

struct step {
    weir_time began;
    weir_time ended;
    weir_time max;
    uint32_t requests;
    uint32_t refused;
    uint32_t failed;
    uint32_t buckets[BUCKETS];
};

struct request_rates {
    struct weir__mutex lock;
    /* Guarded by it. */
    struct step current;
    uint64_t count; /* steps that have ended; number n stands at n % STEPS */
    struct step steps[STEPS];
};

struct request_rates *request_rates_open(weir_time now)
{
    struct request_rates *rates = calloc(1, sizeof *rates);

    if (rates == NULL)
        return NULL;
    rates->current.began = now;
    weir__mutex_init(&rates->lock);
    return rates;
}

void request_rates_close(struct request_rates *rates)
{
    if (rates == NULL)
        return;
    weir__mutex_clear(&rates->lock);
    free(rates);
}

/* ---- Times -------------------------------------------------------------------------------- */

/* The greatest time of a bucket. */
static weir_time bound_of(int bucket)
{
    weir_time base = LEAST << (bucket / PER_DOUBLING);

    return base + base * (bucket % PER_DOUBLING + 1) / PER_DOUBLING;
}

static int bucket_of(weir_time duration)
{
    int bucket = 0;

    while (bucket + PER_DOUBLING < BUCKETS && duration > bound_of(bucket + PER_DOUBLING - 1))
        bucket += PER_DOUBLING;
    while (bucket + 1 < BUCKETS && duration > bound_of(bucket))
        bucket++;
    return bucket;
}

static weir_time quantile(const struct step *step, double share)
{
    double wanted = share * step->requests;
    uint64_t seen = 0;

    for (int i = 0; i < BUCKETS - 1; i++) {
        seen += step->buckets[i];
        if (seen > 0 && (double)seen >= wanted)
            return bound_of(i) < step->max ? bound_of(i) : step->max;
    }
    return step->max;
}

/* ---- Counting ----------------------------------------------------------------------------- */

void request_rates_count(struct request_rates *rates, unsigned status, weir_time duration)
{
    int bucket = bucket_of(duration);

    weir__lock(&rates->lock);
    rates->current.requests++;
    rates->current.refused += status >= 400 && status < 500;
    rates->current.failed += status >= 500;
    rates->current.buckets[bucket]++;
    if (duration > rates->current.max)
        rates->current.max = duration;
    weir__unlock(&rates->lock);
}

static void add(struct step *sum, const struct step *step)
{
    sum->requests += step->requests;
    sum->refused += step->refused;
    sum->failed += step->failed;
    if (step->max > sum->max)
        sum->max = step->max;
    for (int i = 0; i < BUCKETS; i++)
        sum->buckets[i] += step->buckets[i];
}

static void describe(const struct step *step, struct request_figures *ret_figures)
{
    *ret_figures = (struct request_figures){
        .span = step->ended - step->began,
        .requests = step->requests,
        .refused = step->refused,
        .failed = step->failed,
        .p50 = quantile(step, 0.5),
        .p99 = quantile(step, 0.99),
        .max = step->max,
    };
}

void request_rates_step(struct request_rates *rates, weir_time now,
                        struct request_figures *ret_figures)
{
    weir__lock(&rates->lock);
    struct step ended = rates->current;
    ended.ended = now;
    rates->steps[rates->count++ % STEPS] = ended;
    rates->current = (struct step){.began = now};
    weir__unlock(&rates->lock);
    describe(&ended, ret_figures);
}

void request_rates_lately(struct request_rates *rates, weir_time now,
                          struct request_figures *ret_figures)
{
    struct step sum = {.began = now, .ended = now};

    weir__lock(&rates->lock);
    uint64_t least = rates->count > STEPS ? rates->count - STEPS : 0;
    for (uint64_t n = rates->count; n > least; n--) {
        const struct step *step = &rates->steps[(n - 1) % STEPS];

        if (step->ended <= now - WINDOW)
            break;
        if (n == rates->count)
            sum.ended = step->ended;
        sum.began = step->began;
        add(&sum, step);
    }
    weir__unlock(&rates->lock);
    if (sum.began == now)
        sum.ended = now;
    describe(&sum, ret_figures);
}
