/* SPDX-License-Identifier: MIT */
/* The thread that keeps weir__coarse_word fresh while it is read, and sleeps while it is not. */
#include "base/coarse_clock.h"

#include "base/park.h"
#include "common/lock.h"

#include <signal.h>

/* After so many rounds the word is cleared: a reader that finds it so proves that there are readers. */
#define ROUNDS_BETWEEN_PROOFS 20

_Atomic weir_time weir__coarse_word = WEIR__COARSE_UNKNOWN;

static struct {
    struct weir__mutex lock;
    _Atomic uint32_t changes; /* the thread sleeps while it stays the same */
    pthread_t thread;
    int users;
    uint32_t generation; /* of the thread that may run; one that finds another ends */
    bool is_running;
    bool has_fork_handler;
} coarse = {.lock = WEIR_MUTEX_INITIALIZER};

static void publish_locked(weir_time instant) WEIR_REQUIRES(coarse.lock)
{
    atomic_store_explicit(&weir__coarse_word, instant, memory_order_relaxed);
}

static void wake_locked(void) WEIR_REQUIRES(coarse.lock)
{
    atomic_fetch_add_explicit(&coarse.changes, 1, memory_order_relaxed);
    weir__unpark(&coarse.changes);
}

weir_time weir__coarse_read(void)
{
    weir_time now = weir_now();

    weir__lock(&coarse.lock);
    if (coarse.is_running) {
        publish_locked(now);
        wake_locked();
    }
    weir__unlock(&coarse.lock);
    return now;
}

/* Sleep until woken, or for one step when there are readers to serve. */
static void sleep_locked(bool has_readers) WEIR_REQUIRES(coarse.lock)
{
    uint32_t seen = atomic_load_explicit(&coarse.changes, memory_order_relaxed);

    weir__unlock(&coarse.lock);
    weir__park(&coarse.changes, seen,
               has_readers ? weir_now() + WEIR__COARSE_STEP : WEIR_DEADLINE_NEVER);
    weir__lock(&coarse.lock);
}

static void *coarse_clock_thread(void *arg)
{
    uint32_t mine = (uint32_t)(uintptr_t)arg;

    weir__lock(&coarse.lock);
    for (unsigned round = 0; coarse.generation == mine; round++) {
        bool has_readers =
            atomic_load_explicit(&weir__coarse_word, memory_order_relaxed) != WEIR__COARSE_UNKNOWN;

        if (has_readers)
            publish_locked(round % ROUNDS_BETWEEN_PROOFS == 0 ? WEIR__COARSE_UNKNOWN : weir_now());
        sleep_locked(has_readers);
    }
    weir__unlock(&coarse.lock);
    return NULL;
}

/* The child has no thread: it reads the clock until a pool of its own starts one. Its lock is as
 * the forking thread left it, which is why fork waits for it. */
static void before_fork(void) WEIR_UNCHECKED
{
    weir__lock(&coarse.lock);
}

static void after_fork_in_parent(void) WEIR_UNCHECKED
{
    weir__unlock(&coarse.lock);
}

static void after_fork_in_child(void) WEIR_UNCHECKED
{
    coarse.is_running = false;
    publish_locked(WEIR__COARSE_UNKNOWN);
    weir__unlock(&coarse.lock);
}

/* Without the thread everything works, at the price of a clock read per checkout. */
static void start_thread_locked(void) WEIR_REQUIRES(coarse.lock)
{
    sigset_t all;
    sigset_t saved;

    if (!coarse.has_fork_handler)
        coarse.has_fork_handler =
            pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    /* The program's signals are for the program's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    coarse.is_running = pthread_create(&coarse.thread, NULL, coarse_clock_thread,
                                       (void *)(uintptr_t)coarse.generation) == 0;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (coarse.is_running)
        pthread_setname_np(coarse.thread, "weir-clock");
}

void weir__coarse_clock_start(void)
{
    weir__lock(&coarse.lock);
    coarse.users++;
    if (!coarse.is_running)
        start_thread_locked();
    weir__unlock(&coarse.lock);
}

void weir__coarse_clock_stop(void)
{
    weir__lock(&coarse.lock);
    bool is_last = --coarse.users == 0 && coarse.is_running;
    pthread_t thread = coarse.thread;
    if (is_last) {
        coarse.is_running = false;
        coarse.generation++;
        publish_locked(WEIR__COARSE_UNKNOWN);
        wake_locked();
    }
    weir__unlock(&coarse.lock);
    if (is_last)
        pthread_join(thread, NULL);
}
