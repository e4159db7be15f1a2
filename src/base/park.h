/* SPDX-License-Identifier: MIT */
/* Sleep on a 32-bit word until it changes or a deadline passes (Linux futex, CLOCK_MONOTONIC). */
#ifndef WEIR_BASE_PARK_H
#define WEIR_BASE_PARK_H

#include <weir/clock.h>

#include <stdatomic.h>

/* Sleep while *word == expected, at most until `until`. May return early for no reason. */
void weir__park(_Atomic uint32_t *word, uint32_t expected, weir_time until);

/* Wake those who sleep on `word`. The word may already be gone: a waiter that saw its new value
 * may have returned and unwound its stack, and waking nobody there is harmless. */
void weir__unpark(_Atomic uint32_t *word);

#endif
