/* SPDX-License-Identifier: MIT */
/* Statements that reached their deadline: cancelled and drained by threads of the process, off the caller's clock. */
#ifndef WEIR_DB_POSTGRES_CANCEL_H
#define WEIR_DB_POSTGRES_CANCEL_H

#include <weir/db.h>

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pg_conn;

/* Something to run on a thread of the process; `task` is the caller's, until run() is called. */
struct pg_task {
    struct pg_task *next;
    void (*run)(struct pg_task *task);
};

/* ---- one connection that is being cancelled (postgres_cancel.c) ---------------------------- */

enum cancel_phase {
    CANCEL_NONE,   /* the connection is its holder's */
    CANCEL_RUNNING /* it is the canceller's, and nobody else touches the session */
};

/* What a step led to. */
enum cancel_end {
    CANCEL_GOES_ON,
    CANCEL_CLEAN, /* the statement has ended and no cancel is on its way: as good as new */
    CANCEL_BROKEN /* only to be closed */
};

/*
 * One in every connection, so that stopping a statement needs no memory. `phase` goes to RUNNING
 * by the holder and back under the canceller's lock, in release order: who sees NONE sees what the
 * canceller found.
 */
struct pg_cancel {
    _Atomic int phase;
    struct pg_conn *conn;

    /* under the canceller's lock */
    struct pg_cancel *next;
    struct pg_cancel *previous;
    bool is_stepped;   /* somebody works on it at this moment, without the lock */
    bool has_lease;    /* its holder has gone: give `lease` back in the end */
    bool is_discarded; /* and have the connection closed */
    weir_lease lease;
    struct pg_task task; /* that gives it back */

    /* of whoever has set is_stepped */
    bool was_null;    /* for weir__pg_take() */
    bool is_drained;  /* the statement's end was read */
    bool is_shut;     /* given up: the sending side is closed, the socket's end is awaited */
    bool wants_write; /* a part of the statement is not sent yet */
    bool is_capped;   /* a cancel is due, but too many of its server are on their way */
    weir_time send_at;
    weir_time pause; /* to the next cancel */
    weir_time shut_at;
    weir_time close_at;
    struct pg_request *request; /* on its way; NULL: none */

    int poll_index; /* the watcher's: of its socket in this round; 0: it is new, -1: not polled */
};

/* Begin: all but `phase` and the links. */
void weir__pg_cancel_begin(struct pg_cancel *cancel, weir_time now);

/* Go on, without blocking: read what has come, give up in time. */
enum cancel_end weir__pg_cancel_step(struct pg_cancel *cancel, weir_time now);

/* What to poll its socket for; 0: nothing, it has said all that it had to. */
int weir__pg_cancel_events(const struct pg_cancel *cancel);

/* When to step even if nothing comes. */
weir_time weir__pg_cancel_next(const struct pg_cancel *cancel, weir_time now);

/* ---- cancel requests (postgres_request.c) -------------------------------------------------- */

/*
 * Send one, if the connection is to have one now, and note when the next is due. It is on its way
 * until it was answered: the server closes the connection of a request when it has sent the signal.
 */
void weir__pg_request_start(struct pg_cancel *cancel, weir_time now);

/* Whether it was answered, or failed; then it is freed, and cancel->request is NULL. */
void weir__pg_request_step(struct pg_cancel *cancel, weir_time now);

/* Forget one that is on its way. */
void weir__pg_request_abandon(struct pg_cancel *cancel);

/* The socket and events to poll for it; -1: it has none of ours. */
int weir__pg_request_socket(const struct pg_cancel *cancel, short *ret_events);

/* ---- threads (postgres_canceller.c, postgres_workers.c) ------------------------------------ */

/*
 * A request was answered, or failed: whoever sent it goes on with its connection, so that a
 * statement that ends at once needs no other thread. `request` is only compared, for it may be
 * freed already; NULL: nobody waits for it any more.
 */
void weir__pg_canceller_answered(const struct pg_request *request);

/* False: no thread can be had. */
bool weir__pg_workers_run(struct pg_task *task);

/* Start a detached thread that takes no signals. */
bool weir__pg_thread_start(void *(*run)(void *));

/* Around a fork both are held, so that the child finds them whole; in the child, there are no threads,
 * no tasks and no requests. */
void weir__pg_workers_hold(void);
void weir__pg_workers_let_go(bool is_child);
void weir__pg_requests_hold(void);
void weir__pg_requests_let_go(bool is_child);

#endif
