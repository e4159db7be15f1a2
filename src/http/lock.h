/* SPDX-License-Identifier: MIT */
/* The lock of a session, and that of each of its origins. */
#ifndef WEIR_HTTP_LOCK_H
#define WEIR_HTTP_LOCK_H

#include <pthread.h>

/* Make a lock that is held for a few comparisons at a time: who finds it taken spins a little before it
 * sleeps, which costs two system calls. */
static inline void weir__lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t spins;

    pthread_mutexattr_init(&spins);
#ifdef __GLIBC__ /* elsewhere there is no such kind, and the lock is a plain one */
    pthread_mutexattr_settype(&spins, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(lock, &spins);
    pthread_mutexattr_destroy(&spins);
}

#endif
