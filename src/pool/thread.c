/* SPDX-License-Identifier: MIT */
/* The kernel's id of the calling thread, as the lists of holders and the events name it. */
#include "pool/core.h"

#include <unistd.h>

static _Thread_local int thread __attribute__((tls_model("initial-exec"))); /* 0 until asked */

/* A forked child's one thread has another id than the one it copied. */
static void forget_thread(void)
{
    thread = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_thread);
}

void weir__thread_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
}

__attribute__((noinline)) int weir__this_thread(void)
{
    if (thread == 0)
        thread = (int)gettid();
    return thread;
}
