/* SPDX-License-Identifier: MIT */
/* The machine's clock and the futex that waits by it. */
#include <weir/clock.h>

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

weir_time weir_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (weir_time)t.tv_sec * WEIR_SECOND + t.tv_nsec;
}

weir_time weir_deadline_in(int64_t ms)
{
    if (ms < 0)
        return WEIR_DEADLINE_NEVER;
    if (ms == 0)
        return WEIR_DEADLINE_NOW;

    weir_time now = weir_now();
    if (ms > (INT64_MAX - now) / WEIR_MS)
        return WEIR_DEADLINE_NEVER;
    return now + ms * WEIR_MS;
}

void weir_wait(uint32_t *word, uint32_t expected, weir_time until)
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
    /* FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC instant, so early returns add nothing up. */
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, timeout, NULL,
            FUTEX_BITSET_MATCH_ANY);
    errno = saved_errno;
}

void weir_wake(uint32_t *word)
{
    int saved_errno = errno;

    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved_errno;
}
