/* SPDX-License-Identifier: MIT */
/* Deadlines of running statements, kept by one thread of the process. */
#ifndef WEIR_DB_SQLITE_WATCH_H
#define WEIR_DB_SQLITE_WATCH_H

#include <weir/clock.h>

#include <sqlite3.h>
#include <stdatomic.h>

/*
 * One connection's running statement.
 *
 * `until` is WEIR_DEADLINE_NEVER between statements. Its connection's thread sets it to a deadline
 * before a statement and back after it; the watching thread swaps it from a deadline that has passed to
 * WATCH_FIRED and interrupts the connection, again and again until the statement has ended: an interrupt
 * that comes before the first step is forgotten by SQLite at that step.
 */
struct sqlite_watch {
    _Atomic weir_time until;
    sqlite3 *db;
    struct sqlite_watch *next; /* the list of all, under its lock */
    struct sqlite_watch *previous;
};

#define WATCH_FIRED WEIR_DEADLINE_DEFAULT

/* When the watching thread looks again by itself; WEIR_DEADLINE_NEVER: it does not run. */
extern _Atomic weir_time weir__sqlite_watch_wakes_at;

/* Count a connection in, before its first statement, and out, before it is closed. */
void weir__sqlite_watch_add(struct sqlite_watch *watch, sqlite3 *db);
void weir__sqlite_watch_remove(struct sqlite_watch *watch);

/* The slow halves: wake the thread, or start it; wait until it has let go of the connection. */
void weir__sqlite_watch_wake(void);
void weir__sqlite_watch_wait(void);

/*
 * Between these two the connection is interrupted once the deadline has passed. Both stores and the
 * load between them are sequentially consistent: either the thread, having published when it will wake,
 * sees the deadline, or this sees that it would wake too late.
 */
static inline void weir__sqlite_watch_start(struct sqlite_watch *watch, weir_time deadline)
{
    if (deadline == WEIR_DEADLINE_NEVER)
        return;
    atomic_store(&watch->until, deadline);
    if (deadline < atomic_load(&weir__sqlite_watch_wakes_at))
        weir__sqlite_watch_wake();
}

static inline void weir__sqlite_watch_stop(struct sqlite_watch *watch)
{
    if (atomic_load_explicit(&watch->until, memory_order_relaxed) == WEIR_DEADLINE_NEVER)
        return;
    if (atomic_exchange(&watch->until, WEIR_DEADLINE_NEVER) == WATCH_FIRED)
        weir__sqlite_watch_wait();
}

/* Whether the running statement was interrupted. */
static inline bool weir__sqlite_watch_has_fired(struct sqlite_watch *watch)
{
    return atomic_load_explicit(&watch->until, memory_order_relaxed) == WATCH_FIRED;
}

#endif
