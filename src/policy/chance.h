/* SPDX-License-Identifier: MIT */
/* Chance and time for policies: a share of 64 random bits, and instants that do not overflow. */
#ifndef WEIR_POLICY_CHANCE_H
#define WEIR_POLICY_CHANCE_H

#include <weir/clock.h>

/* A time from 0 to `span`, both included and all equally likely: floor(random * (span + 1) / 2^64),
 * multiplied by halves because not every target has 128 bits. */
static inline weir_time weir__chance(uint64_t random, weir_time span)
{
    uint64_t n = (uint64_t)span + 1;
    uint64_t low = (random & 0xFFFFFFFFu) * (n & 0xFFFFFFFFu);
    uint64_t across = (random & 0xFFFFFFFFu) * (n >> 32);
    uint64_t other = (random >> 32) * (n & 0xFFFFFFFFu);
    uint64_t carry = ((low >> 32) + (across & 0xFFFFFFFFu) + (other & 0xFFFFFFFFu)) >> 32;

    return (weir_time)((random >> 32) * (n >> 32) + (across >> 32) + (other >> 32) + carry);
}

/* The instant `delay` (not negative) after `now`, at most the end of time. */
static inline weir_time weir__after(weir_time now, weir_time delay)
{
    if (now > 0 && delay > INT64_MAX - now)
        return INT64_MAX;
    return now + delay;
}

#endif
