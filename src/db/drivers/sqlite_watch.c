/* SPDX-License-Identifier: MIT */
/* The thread that interrupts statements of SQLite at their deadlines. */
#include "db/drivers/sqlite_watch.h"

#include "common/list.h"
#include "common/lock.h"

#include <pthread.h>
#include <signal.h>

/* How often a statement that has passed its deadline is interrupted again, and how long the thread
 * stays when no statement with a deadline runs. */
#define AGAIN_AFTER (10 * WEIR_MS)
#define LINGER (2 * WEIR_SECOND)

_Atomic weir_time weir__sqlite_watch_wakes_at = WEIR_DEADLINE_NEVER;

static struct {
    struct weir__mutex lock;
    struct sqlite_watch *first;
    struct sqlite_watch *last;
    pthread_t thread;
    uint32_t generation; /* of the thread that may run; one that finds another ends */
    bool is_running;
    bool has_thread; /* to be joined */
    bool has_fork_handler;

    /* Counted up to wake the thread, which sleeps on it. */
    _Atomic uint32_t calls;
} all = {.lock = WEIR_MUTEX_INITIALIZER};

/* ---- the thread -------------------------------------------------------------------------- */

/* Interrupt what is late, and say when to look again; WEIR_DEADLINE_NEVER: nothing runs. */
static weir_time scan_locked(weir_time now) WEIR_REQUIRES(all.lock)
{
    weir_time earliest = WEIR_DEADLINE_NEVER;

    for (struct sqlite_watch *watch = all.first; watch != NULL; watch = watch->next) {
        weir_time until = atomic_load(&watch->until);
        if (until != WATCH_FIRED && until > now) {
            earliest = until < earliest ? until : earliest;
            continue;
        }
        /* The one who ends the statement finds FIRED and waits for the lock. */
        if (until != WATCH_FIRED &&
            !atomic_compare_exchange_strong(&watch->until, &until, WATCH_FIRED))
            continue;
        sqlite3_interrupt(watch->db);
        earliest = now + AGAIN_AFTER < earliest ? now + AGAIN_AFTER : earliest;
    }
    return earliest;
}

/* Publish when the thread will look again, unless a statement with an earlier deadline has come. */
static bool publish_locked(weir_time wakes_at) WEIR_REQUIRES(all.lock)
{
    atomic_store(&weir__sqlite_watch_wakes_at, wakes_at);
    return scan_locked(weir_now()) >= wakes_at;
}

static void *watch_thread(void *arg)
{
    uint32_t mine = (uint32_t)(uintptr_t)arg;
    bool was_idle = false;

    weir__lock(&all.lock);
    while (all.generation == mine) {
        uint32_t calls = atomic_load(&all.calls);
        weir_time now = weir_now();
        weir_time until = scan_locked(now);
        bool is_idle = until == WEIR_DEADLINE_NEVER;
        if (is_idle && was_idle && publish_locked(WEIR_DEADLINE_NEVER))
            break;
        if (is_idle)
            until = now + LINGER;
        if (!publish_locked(until))
            continue;

        weir__unlock(&all.lock);
        weir_wait((uint32_t *)(uintptr_t)&all.calls, calls, until);
        weir__lock(&all.lock);
        was_idle = is_idle && calls == atomic_load(&all.calls);
    }
    if (all.generation == mine)
        all.is_running = false;
    weir__unlock(&all.lock);
    return NULL;
}

/* ---- its life ---------------------------------------------------------------------------- */

/* The child of a fork has no thread; its lock is as the forking thread left it. */
static void before_fork(void) WEIR_ACQUIRES(all.lock)
{
    weir__lock(&all.lock);
}

static void after_fork_in_parent(void) WEIR_RELEASES(all.lock)
{
    weir__unlock(&all.lock);
}

static void after_fork_in_child(void) WEIR_RELEASES(all.lock)
{
    all.is_running = all.has_thread = false;
    all.generation++;
    atomic_store(&weir__sqlite_watch_wakes_at, WEIR_DEADLINE_NEVER);
    weir__unlock(&all.lock);
}

/* Without the thread deadlines are still looked at, every so many steps of SQLite's machine. */
static void start_thread_locked(void) WEIR_REQUIRES(all.lock)
{
    sigset_t every;
    sigset_t saved;

    if (!all.has_fork_handler)
        all.has_fork_handler =
            pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    /* One that ended because it was idle does nothing more than return. */
    if (all.has_thread)
        pthread_join(all.thread, NULL);
    /* The program's signals are for the program's threads. */
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &saved);
    all.has_thread =
        pthread_create(&all.thread, NULL, watch_thread, (void *)(uintptr_t)all.generation) == 0;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    all.is_running = all.has_thread;
    if (all.has_thread)
        pthread_setname_np(all.thread, "weir-sqlite");
}

void weir__sqlite_watch_wake(void)
{
    weir__lock(&all.lock);
    if (!all.is_running)
        start_thread_locked();
    atomic_fetch_add(&all.calls, 1);
    weir__unlock(&all.lock);
    weir_wake((uint32_t *)(uintptr_t)&all.calls);
}

void weir__sqlite_watch_wait(void)
{
    weir__lock(&all.lock);
    weir__unlock(&all.lock);
}

/* ---- connections ------------------------------------------------------------------------- */

void weir__sqlite_watch_add(struct sqlite_watch *watch, sqlite3 *db)
{
    watch->db = db;
    atomic_init(&watch->until, WEIR_DEADLINE_NEVER);
    weir__lock(&all.lock);
    LIST_ADD_FIRST(watch, next, previous, all.first, all.last);
    weir__unlock(&all.lock);
}

/* With the last connection the thread ends, so that the library can be unloaded. */
void weir__sqlite_watch_remove(struct sqlite_watch *watch)
{
    weir__lock(&all.lock);
    LIST_REMOVE(watch, next, previous, all.first, all.last);
    bool is_over = all.first == NULL && all.has_thread;
    pthread_t thread = all.thread;
    if (is_over) {
        all.has_thread = all.is_running = false;
        all.generation++;
        atomic_store(&weir__sqlite_watch_wakes_at, WEIR_DEADLINE_NEVER);
        atomic_fetch_add(&all.calls, 1);
    }
    weir__unlock(&all.lock);
    if (!is_over)
        return;
    weir_wake((uint32_t *)(uintptr_t)&all.calls);
    pthread_join(thread, NULL);
}
