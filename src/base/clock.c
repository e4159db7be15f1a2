/* SPDX-License-Identifier: MIT */
/* The machine's clock and the futex that waits by it. */
#include <weir/clock.h>

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The kernel's numbers, here because not every C library comes with the kernel's headers: those of
 * Debian's musl-tools do not. They are part of the kernel's interface and never change. */
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_WAKE_PRIVATE (1 | FUTEX_PRIVATE_FLAG)
#define FUTEX_WAIT_BITSET_PRIVATE (9 | FUTEX_PRIVATE_FLAG)
#define FUTEX_BITSET_MATCH_ANY 0xffffffff

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

/* Wait on the futex until an absolute instant of CLOCK_MONOTONIC, NULL for no limit. */
#ifdef SYS_futex_time64
/*
 * A 32-bit machine. Its SYS_futex reads 32 bits of seconds, whatever this file's time_t is;
 * SYS_futex_time64 reads 64 and came with Linux 5.1. Before that the old call serves: 32 bits of
 * monotonic seconds are 68 years of uptime.
 */
static void futex_wait(uint32_t *word, uint32_t expected, const struct timespec *until)
{
    struct {
        int64_t seconds, nanoseconds;
    } wide = {0};
    struct {
        long seconds, nanoseconds;
    } narrow = {0};

    if (until != NULL) {
        wide.seconds = until->tv_sec;
        wide.nanoseconds = until->tv_nsec;
        narrow.seconds = until->tv_sec > LONG_MAX ? LONG_MAX : (long)until->tv_sec;
        narrow.nanoseconds = until->tv_nsec;
    }
    long status = syscall(SYS_futex_time64, word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                          until != NULL ? &wide : NULL, NULL, FUTEX_BITSET_MATCH_ANY);
    if (status != 0 && errno == ENOSYS)
        syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                until != NULL ? &narrow : NULL, NULL, FUTEX_BITSET_MATCH_ANY);
}
#else
static void futex_wait(uint32_t *word, uint32_t expected, const struct timespec *until)
{
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, until, NULL,
            FUTEX_BITSET_MATCH_ANY);
}
#endif

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
    futex_wait(word, expected, timeout);
    errno = saved_errno;
}

void weir_wake(uint32_t *word)
{
    int saved_errno = errno;

    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved_errno;
}
