/* SPDX-License-Identifier: MIT */
/* Time as weir counts it: monotonic nanoseconds, absolute deadlines, and a clock that tests can replace. */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Monotonic nanoseconds since an arbitrary start. Never the wall clock: when NTP or an administrator sets
 * the clock, no age and no deadline changes. */
typedef int64_t weir_time;

#define WEIR_US ((weir_time)1000)
#define WEIR_MS ((weir_time)1000000)
#define WEIR_SECOND ((weir_time)1000000000)

/*
 * A deadline is an absolute time on the clock of weir_now(). Three special values are accepted in place of any
 * deadline; they mean, in this order: the configured timeout from now, do not wait, and wait forever.
 */
#define WEIR_DEADLINE_DEFAULT INT64_MIN
#define WEIR_DEADLINE_NOW ((weir_time)0)
#define WEIR_DEADLINE_NEVER INT64_MAX

/* Return the current time of CLOCK_MONOTONIC. Threads: any. */
WEIR_API weir_time weir_now(void);

/*
 * Return the instant `ms` milliseconds from now, for a deadline: weir_pool_acquire(pool,
 * weir_deadline_in(250), …). Negative means WEIR_DEADLINE_NEVER, 0 means WEIR_DEADLINE_NOW.
 * Threads: any.
 */
WEIR_API weir_time weir_deadline_in(int64_t ms);

/*
 * Sleep while *word == expected, until weir_wake() is called on it or the instant `until` comes
 * (WEIR_DEADLINE_NEVER: no limit). May wake spuriously. `word` is naturally aligned and read atomically;
 * change it before you call weir_wake(). errno is preserved.
 *
 * This is how the machine's weir_clock waits; use it in a clock of your own, or to wait on weir's clock.
 * Threads: any.
 */
WEIR_API void weir_wait(uint32_t *word, uint32_t expected, weir_time until);

/* Wake all threads that sleep on the word. The word's memory may already have been freed, because a waiter that
 * saw the new value may have returned and unwound its stack; the wake is then harmless. Threads: any. */
WEIR_API void weir_wake(uint32_t *word);

/*
 * A clock. NULL in an option means the machine's; tests inject their own.
 *
 * now():  the current time; it never goes backwards.
 * wait(): sleep while *word == expected, until a wake on `word` or until now() >= until
 *         (WEIR_DEADLINE_NEVER: no limit); may wake spuriously. `word` is 32 bits, naturally aligned,
 *         and read atomically.
 * Both are called from any thread, with no lock held.
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
