/* SPDX-License-Identifier: MIT */
/* weir_wait() and weir_wake() for words that C knows to be atomic. */
#ifndef WEIR_BASE_PARK_H
#define WEIR_BASE_PARK_H

#include <weir/clock.h>

#include <stdatomic.h>

static inline void weir__park(_Atomic uint32_t *word, uint32_t expected, weir_time until)
{
    weir_wait((uint32_t *)(uintptr_t)word, expected, until);
}

static inline void weir__unpark(_Atomic uint32_t *word)
{
    weir_wake((uint32_t *)(uintptr_t)word);
}

#endif
