/* SPDX-License-Identifier: MIT */
/* A mutex that clang's -Wthread-safety can follow. */
#ifndef WEIR_COMMON_LOCK_H
#define WEIR_COMMON_LOCK_H

#include <pthread.h>

#if defined(__clang__)
#define WEIR_CAPABILITY(name) __attribute__((capability(name)))
#define WEIR_REQUIRES(lock) __attribute__((requires_capability(lock)))
#define WEIR_ACQUIRES(lock) __attribute__((acquire_capability(lock)))
#define WEIR_RELEASES(lock) __attribute__((release_capability(lock)))
#define WEIR_UNCHECKED __attribute__((no_thread_safety_analysis))
#else
#define WEIR_CAPABILITY(name)
#define WEIR_REQUIRES(lock)
#define WEIR_ACQUIRES(lock)
#define WEIR_RELEASES(lock)
#define WEIR_UNCHECKED
#endif

struct WEIR_CAPABILITY("mutex") weir__mutex {
    pthread_mutex_t raw;
};

#define WEIR_MUTEX_INITIALIZER                                                                     \
    {                                                                                              \
        .raw = PTHREAD_MUTEX_INITIALIZER                                                           \
    }

static inline void weir__mutex_init(struct weir__mutex *mutex)
{
    pthread_mutex_init(&mutex->raw, NULL);
}

/* One that is held for a few comparisons at a time: who finds it taken spins a little before it sleeps, which
 * costs two system calls. */
static inline void weir__mutex_init_adaptive(struct weir__mutex *mutex)
{
    pthread_mutexattr_t spins;

    pthread_mutexattr_init(&spins);
#ifdef __GLIBC__ /* elsewhere there is no such kind, and the lock is a plain one */
    pthread_mutexattr_settype(&spins, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(&mutex->raw, &spins);
    pthread_mutexattr_destroy(&spins);
}

static inline void weir__mutex_clear(struct weir__mutex *mutex)
{
    pthread_mutex_destroy(&mutex->raw);
}

static inline void weir__lock(struct weir__mutex *mutex) WEIR_ACQUIRES(mutex) WEIR_UNCHECKED
{
    pthread_mutex_lock(&mutex->raw);
}

static inline void weir__unlock(struct weir__mutex *mutex) WEIR_RELEASES(mutex) WEIR_UNCHECKED
{
    pthread_mutex_unlock(&mutex->raw);
}

#endif
