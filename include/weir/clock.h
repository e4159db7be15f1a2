/* SPDX-License-Identifier: MIT */
/* Time as weir counts it: monotonic nanoseconds, absolute deadlines, and a clock that tests can replace. */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Monotonic nanoseconds since an arbitrary start. Never the wall clock: a step of NTP or of the
 * administrator changes no age and no deadline. */
typedef int64_t weir_time;

#define WEIR_US ((weir_time)1000)
#define WEIR_MS ((weir_time)1000000)
#define WEIR_SECOND ((weir_time)1000000000)

/*
 * Deadlines are absolute instants of weir_now(). Three values are special wherever a deadline is
 * taken: the configured timeout counted from now, do not wait at all, and wait for ever.
 */
#define WEIR_DEADLINE_DEFAULT INT64_MIN
#define WEIR_DEADLINE_NOW ((weir_time)0)
#define WEIR_DEADLINE_NEVER INT64_MAX

/* The present instant of CLOCK_MONOTONIC. Threads: any. */
WEIR_API weir_time weir_now(void);

/*
 * The instant `ms` milliseconds from now, for a deadline: weir_pool_acquire(pool,
 * weir_deadline_in(250), …). Negative means WEIR_DEADLINE_NEVER, 0 means WEIR_DEADLINE_NOW.
 * Threads: any.
 */
WEIR_API weir_time weir_deadline_in(int64_t ms);

/*
 * Sleep while *word == expected, until woken by weir_wake() on it or until the instant
 * (WEIR_DEADLINE_NEVER: no limit). May return early for no reason. `word` is naturally aligned and read
 * atomically; whoever changes it does so before waking. errno stays as it was.
 *
 * The machine's half of a weir_clock, for clocks of one's own and for whoever waits by weir's clock.
 * Threads: any.
 */
WEIR_API void weir_wait(uint32_t *word, uint32_t expected, weir_time until);

/* Wake all who sleep on the word. It may be gone already: a waiter that saw its new value may have
 * returned and unwound its stack, and waking nobody there is harmless. Threads: any. */
WEIR_API void weir_wake(uint32_t *word);

/*
 * A clock. NULL in an option means the machine's; tests inject their own.
 *
 * now():  the present instant, never going back.
 * wait(): sleep while *word == expected, until woken by a wake on `word` or until now() >= until
 *         (WEIR_DEADLINE_NEVER: no limit); may return early for no reason. `word` is 32 bits,
 *         naturally aligned, and read atomically.
 * Both are called without locks held, from any thread.
 */
typedef struct weir_clock weir_clock;
struct weir_clock {
    weir_time (*now)(weir_clock *clock);
    void (*wait)(weir_clock *clock, uint32_t *word, uint32_t expected, weir_time until);
};

#ifdef __cplusplus
}
#endif

#endif
