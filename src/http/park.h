/* SPDX-License-Identifier: MIT */
/* Sleep on a 32-bit word until it changes or a deadline passes (Linux futex, CLOCK_MONOTONIC). */
#ifndef WEIR_HTTP_PARK_H
#define WEIR_HTTP_PARK_H

#include <weir/clock.h>

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleep while *word == expected, at most until `until` (WEIR_DEADLINE_NEVER: no limit). May return
 * early for no reason. errno stays as it was. */
static inline void weir__http_park(_Atomic uint32_t *word, uint32_t expected, weir_time until)
{
    int saved_errno = errno;
    struct timespec at;
    struct timespec *timeout = NULL;

    if (until != WEIR_DEADLINE_NEVER) {
        weir_time instant = until > 0 ? until : 0;
        at.tv_sec = (time_t)(instant / WEIR_SECOND);
        at.tv_nsec = (long)(instant % WEIR_SECOND);
        timeout = &at;
    }
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, timeout, NULL,
            FUTEX_BITSET_MATCH_ANY);
    errno = saved_errno;
}

/* Wake all who sleep on the word. */
static inline void weir__http_unpark(_Atomic uint32_t *word)
{
    int saved_errno = errno;

    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved_errno;
}

#endif
