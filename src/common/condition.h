/* SPDX-License-Identifier: MIT */
/* A condition variable that waits by weir's clock, with what every C library has: musl has no pthread_cond_clockwait(). */
#ifndef WEIR_COMMON_CONDITION_H
#define WEIR_COMMON_CONDITION_H

#include <pthread.h>
#include <time.h>

#include <weir/clock.h>

#include "common/lock.h"

static inline void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Wait until signalled (0) or until the instant (ETIMEDOUT); WEIR_DEADLINE_NEVER is no limit. May return 0 for no reason. */
static inline int condition_wait(pthread_cond_t *condition, struct weir__mutex *lock,
                                 weir_time until) WEIR_REQUIRES(lock)
{
    weir_time instant = until > 0 ? until : 0;
    struct timespec at = {.tv_sec = (time_t)(instant / WEIR_SECOND),
                          .tv_nsec = (long)(instant % WEIR_SECOND)};

    return until == WEIR_DEADLINE_NEVER ? pthread_cond_wait(condition, &lock->raw)
                                        : pthread_cond_timedwait(condition, &lock->raw, &at);
}

#endif
