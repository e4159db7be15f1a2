/* SPDX-License-Identifier: MIT */
/* Threads that leave signals to the program. */
#ifndef WEIR_SERVER_THREAD_START_H
#define WEIR_SERVER_THREAD_START_H

#include <pthread.h>
#include <signal.h>

/* pthread_create() of a thread with every signal blocked. Returns 0 or the errno. */
static inline int thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg)
{
    sigset_t all;
    sigset_t before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(ret_thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

#endif
