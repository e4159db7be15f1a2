/* SPDX-License-Identifier: MIT */
/* Seeded random bits for tests, and whether instants are spread as chance would spread them. */
#ifndef WEIR_TESTS_CHANCE_H
#define WEIR_TESTS_CHANCE_H

#include <weir/clock.h>

/* SplitMix64: the same bits in every run. */
static inline uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#define SPREAD_BINS 20

/* The 99.9 % quantile of chi-squared with 19 degrees of freedom: what is above it is not chance. */
#define SPREAD_LIMIT 43.82

/* Pearson's chi-squared of `count` instants against an even spread over [low, high]; an instant
 * outside of it is infinitely unlikely. */
static inline double unevenness(const weir_time *instants, int count, weir_time low, weir_time high)
{
    int bins[SPREAD_BINS] = {0};
    double expected = (double)count / SPREAD_BINS;
    double sum = 0;

    for (int i = 0; i < count; i++) {
        if (instants[i] < low || instants[i] > high)
            return 1e300;
        bins[(instants[i] - low) * SPREAD_BINS / (high - low + 1)]++;
    }
    for (int i = 0; i < SPREAD_BINS; i++)
        sum += (bins[i] - expected) * (bins[i] - expected) / expected;
    return sum;
}

#endif
