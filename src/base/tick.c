/* SPDX-License-Identifier: MIT */
/* The thread that keeps weir__tick_word fresh while it is read, and sleeps while it is not. */
#include "base/tick.h"

#include "base/lock.h"
#include "base/park.h"

#include <signal.h>

/* After so many rounds the word is cleared: a reader that finds it so proves that there are readers. */
#define ROUNDS_BETWEEN_PROOFS 20

_Atomic weir_time weir__tick_word = WEIR__TICK_UNKNOWN;

static struct {
    struct weir__mutex lock;
    _Atomic uint32_t changes; /* the thread sleeps while it stays the same */
    pthread_t thread;
    int users;
    uint32_t generation; /* of the thread that may run; one that finds another ends */
    bool is_running;
    bool has_fork_handler;
} tick = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

static void publish_locked(weir_time instant) WEIR_REQUIRES(tick.lock)
{
    atomic_store_explicit(&weir__tick_word, instant, memory_order_relaxed);
}

static void wake_locked(void) WEIR_REQUIRES(tick.lock)
{
    atomic_fetch_add_explicit(&tick.changes, 1, memory_order_relaxed);
    weir__unpark(&tick.changes);
}

weir_time weir__tick_read(void)
{
    weir_time now = weir_now();

    weir__lock(&tick.lock);
    if (tick.is_running) {
        publish_locked(now);
        wake_locked();
    }
    weir__unlock(&tick.lock);
    return now;
}

/* Sleep until woken, or for one tick when there are readers to serve. */
static void sleep_locked(bool has_readers) WEIR_REQUIRES(tick.lock)
{
    uint32_t seen = atomic_load_explicit(&tick.changes, memory_order_relaxed);

    weir__unlock(&tick.lock);
    weir__park(&tick.changes, seen, has_readers ? weir_now() + WEIR__TICK : WEIR_DEADLINE_NEVER);
    weir__lock(&tick.lock);
}

static void *tick_thread(void *arg)
{
    uint32_t mine = (uint32_t)(uintptr_t)arg;

    weir__lock(&tick.lock);
    for (unsigned round = 0; tick.generation == mine; round++) {
        bool has_readers =
            atomic_load_explicit(&weir__tick_word, memory_order_relaxed) != WEIR__TICK_UNKNOWN;

        if (has_readers)
            publish_locked(round % ROUNDS_BETWEEN_PROOFS == 0 ? WEIR__TICK_UNKNOWN : weir_now());
        sleep_locked(has_readers);
    }
    weir__unlock(&tick.lock);
    return NULL;
}

/* The child has no thread: it reads the clock until a pool of its own starts one. Its lock is as
 * the forking thread left it, which is why fork waits for it. */
static void before_fork(void) WEIR_UNCHECKED
{
    weir__lock(&tick.lock);
}

static void after_fork_in_parent(void) WEIR_UNCHECKED
{
    weir__unlock(&tick.lock);
}

static void after_fork_in_child(void) WEIR_UNCHECKED
{
    tick.is_running = false;
    publish_locked(WEIR__TICK_UNKNOWN);
    weir__unlock(&tick.lock);
}

/* Without the thread everything works, at the price of a clock read per checkout. */
static void start_thread_locked(void) WEIR_REQUIRES(tick.lock)
{
    sigset_t all;
    sigset_t saved;

    if (!tick.has_fork_handler)
        tick.has_fork_handler =
            pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    /* The program's signals are for the program's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    tick.is_running =
        pthread_create(&tick.thread, NULL, tick_thread, (void *)(uintptr_t)tick.generation) == 0;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (tick.is_running)
        pthread_setname_np(tick.thread, "weir-tick");
}

void weir__tick_start(void)
{
    weir__lock(&tick.lock);
    tick.users++;
    if (!tick.is_running)
        start_thread_locked();
    weir__unlock(&tick.lock);
}

void weir__tick_stop(void)
{
    weir__lock(&tick.lock);
    bool is_last = --tick.users == 0 && tick.is_running;
    pthread_t thread = tick.thread;
    if (is_last) {
        tick.is_running = false;
        tick.generation++;
        publish_locked(WEIR__TICK_UNKNOWN);
        wake_locked();
    }
    weir__unlock(&tick.lock);
    if (is_last)
        pthread_join(thread, NULL);
}
