/* SPDX-License-Identifier: MIT */
/* Declares what the files of the canceller share: its state, its list and its thread. */
#ifndef WEIR_DB_POSTGRES_CANCELLER_H
#define WEIR_DB_POSTGRES_CANCELLER_H

#include "common/condition.h"
#include "common/list.h"
#include "db/drivers/postgres.h"

/* With nothing to watch for so long the watcher ends. */
#define PG_LINGER WEIR_SECOND

/* The one canceller of the process. Its lock guards all that follows the lock. */
struct pg_canceller {
    struct weir__mutex lock;
    pthread_cond_t changed; /* a connection ended, or is not stepped any more */
    struct pg_cancel *first;
    struct pg_cancel *last;
    int giving_back; /* leases, at this moment, by the watcher or a worker */
    bool is_watched; /* the watcher runs */
    bool is_ending;  /* no more cancels are sent */
    bool is_exiting; /* nothing is touched any more */
    int wake_fd;     /* the watcher's; -1: none */
    int exit_handlers;
};

extern struct pg_canceller weir__pg_canceller;

/* ---- postgres_canceller_watch.c ------------------------------------------------------------ */

/* Wake the watcher, if it sleeps. */
void weir__pg_canceller_wake_locked(void) WEIR_REQUIRES(weir__pg_canceller.lock);

/* Take a connection out of the list. */
static inline void weir__pg_canceller_unlink_locked(struct pg_cancel *cancel)
    WEIR_REQUIRES(weir__pg_canceller.lock)
{
    LIST_REMOVE(cancel, next, previous, weir__pg_canceller.first, weir__pg_canceller.last);
}

/* From here on the connection is its holder's again. */
static inline void weir__pg_canceller_end_phase(struct pg_cancel *cancel)
{
    atomic_store_explicit(&cancel->phase, CANCEL_NONE, memory_order_release);
}

/* Add a connection that is out of the list to those that are given back without the lock. */
void weir__pg_canceller_collect_locked(struct pg_cancel *cancel, struct pg_cancel **ended)
    WEIR_REQUIRES(weir__pg_canceller.lock);

/* Give back one connection that was collected; the task is the one in its struct pg_cancel. */
void weir__pg_canceller_give_back(struct pg_task *task);

/* Start the watcher, unless it runs. False: no thread can be had, or the process ends. */
bool weir__pg_canceller_start_locked(void) WEIR_REQUIRES(weir__pg_canceller.lock);

/* ---- postgres_canceller_exit.c ------------------------------------------------------------- */

/* Prepare the canceller for forks; once, before its lock is first taken. */
void weir__pg_canceller_init(void);

/* Have the process wait, at its end, for what is in progress. Once for the process, and once more when
 * there is a TLS library that may have registered its own end since. Without it the process ends all
 * the same. */
void weir__pg_canceller_register_exit_locked(bool is_tls) WEIR_REQUIRES(weir__pg_canceller.lock);

#endif
