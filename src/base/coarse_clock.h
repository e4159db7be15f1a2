/* SPDX-License-Identifier: MIT */
/* The present instant for a nanosecond: a word that a thread refreshes while somebody reads it. */
#ifndef WEIR_BASE_COARSE_CLOCK_H
#define WEIR_BASE_COARSE_CLOCK_H

#include <weir/clock.h>

#include <stdatomic.h>

/* How old the answer of weir__coarse_now() may be when the machine is not starved. */
#define WEIR__COARSE_STEP (50 * WEIR_MS)

/*
 * The last instant published, or WEIR__COARSE_UNKNOWN: ask the clock. Unknown is later than every
 * instant, so that who only asks "is it too late?" is sent the careful way without asking twice.
 *
 * Written under the lock of coarse_clock.c only: to an instant by the thread and by a reader that found it
 * unknown, to unknown by the thread (to learn whether anybody still reads) and in a forked child.
 * Read relaxed: it is a number, and orders nothing.
 */
#define WEIR__COARSE_UNKNOWN INT64_MAX
extern _Atomic weir_time weir__coarse_word;

/* The slow half of weir__coarse_now(): read the clock, publish it, wake the thread. */
weir_time weir__coarse_read(void);

/*
 * CLOCK_MONOTONIC, up to WEIR__COARSE_STEP late, for the price of one load. Only between a
 * weir__coarse_clock_start() and its weir__coarse_clock_stop() is it cheaper than the clock; it is right always.
 */
static inline weir_time weir__coarse_now(void)
{
    weir_time now = atomic_load_explicit(&weir__coarse_word, memory_order_relaxed);

    return now != WEIR__COARSE_UNKNOWN ? now : weir__coarse_read();
}

/* Count one user of the coarse clock in or out. The thread lives while there is one, and sleeps without
 * waking once a second has passed in which nobody asked. */
void weir__coarse_clock_start(void);
void weir__coarse_clock_stop(void);

#endif
