/* SPDX-License-Identifier: MIT */
/* Numbers that look random and need not be secret: splitmix64, by Steele, Lea and Flood. */
#ifndef WEIR_COMMON_RANDOM_H
#define WEIR_COMMON_RANDOM_H

#include <stdint.h>

/* A number that looks random, from one that counts. */
static inline uint64_t weir__scatter(uint64_t n)
{
    n += UINT64_C(0x9E3779B97F4A7C15);
    n = (n ^ (n >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94D049BB133111EB);
    return n ^ (n >> 31);
}

/* The next of a sequence. */
static inline uint64_t weir__scatter_next(uint64_t *state)
{
    uint64_t number = weir__scatter(*state);

    *state += UINT64_C(0x9E3779B97F4A7C15);
    return number;
}

#endif
