/* SPDX-License-Identifier: MIT */
/* Ends the canceller with the process, and begins it anew in a child of a fork. */
#include "db/drivers/postgres_canceller.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* How long the end of the process waits for what is being read or given back at that moment. */
#define EXIT_GRACE WEIR_SECOND

static bool has_request_locked(void) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    struct pg_cancel *c = weir__pg_canceller.first;

    while (c != NULL && !c->is_stepped && c->request == NULL)
        c = c->next;
    return c != NULL;
}

/* What is on its way is waited for: PgBouncer 1.18 bears no other end of a cancel (its issue 801). */
static void await_requests_locked(weir_time deadline) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    weir__pg_canceller.is_ending = true;
    while (weir__pg_canceller.is_watched && has_request_locked() &&
           condition_wait(&weir__pg_canceller.changed, &weir__pg_canceller.lock, deadline) == 0)
        continue;
}

/*
 * Registered when it is first needed, so it runs before what the program and libpq's TLS library
 * registered earlier: whoever closes a pool after this finds its leases given back.
 */
static void at_exit(void)
{
    weir_time deadline = weir_now() + EXIT_GRACE;
    struct pg_cancel *ended = NULL;

    weir__lock(&weir__pg_canceller.lock);
    await_requests_locked(deadline);
    weir__pg_canceller.is_exiting = true;
    weir__pg_canceller_wake_locked();
    for (struct pg_cancel *c = weir__pg_canceller.first, *next; c != NULL; c = next) {
        while (c->is_stepped &&
               condition_wait(&weir__pg_canceller.changed, &weir__pg_canceller.lock, deadline) == 0)
            continue;
        next = c->next;
        if (c->is_stepped || !c->has_lease)
            continue;
        weir__pg_canceller_unlink_locked(c);
        weir__pg_request_abandon(c);
        c->conn->is_broken = c->conn->is_silent = true;
        weir__pg_canceller_collect_locked(c, &ended);
    }
    weir__unlock(&weir__pg_canceller.lock);
    while (ended != NULL) {
        struct pg_cancel *next = ended->next;
        weir__pg_canceller_give_back(&ended->task);
        ended = next;
    }
    weir__lock(&weir__pg_canceller.lock);
    while ((weir__pg_canceller.giving_back > 0 || weir__pg_canceller.is_watched) &&
           condition_wait(&weir__pg_canceller.changed, &weir__pg_canceller.lock, deadline) == 0)
        continue;
    weir__unlock(&weir__pg_canceller.lock);
}

static void before_fork(void) WEIR_ACQUIRES(weir__pg_canceller.lock)
{
    weir__lock(&weir__pg_canceller.lock);
    weir__pg_workers_hold();
    weir__pg_requests_hold();
}

static void after_fork_in_parent(void) WEIR_RELEASES(weir__pg_canceller.lock)
{
    weir__pg_requests_let_go(false);
    weir__pg_workers_let_go(false);
    weir__unlock(&weir__pg_canceller.lock);
}

/* The child has neither the threads nor a right to the connections: it begins anew. */
static void after_fork_in_child(void) WEIR_RELEASES(weir__pg_canceller.lock)
{
    if (weir__pg_canceller.wake_fd >= 0)
        close(weir__pg_canceller.wake_fd);
    weir__pg_canceller.wake_fd = -1;
    weir__pg_canceller.first = weir__pg_canceller.last = NULL;
    weir__pg_canceller.giving_back = 0;
    weir__pg_canceller.is_watched = false;
    condition_init(&weir__pg_canceller.changed);
    weir__pg_requests_let_go(true);
    weir__pg_workers_let_go(true);
    weir__unlock(&weir__pg_canceller.lock);
}

void weir__pg_canceller_init(void)
{
    condition_init(&weir__pg_canceller.changed);
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void weir__pg_canceller_register_exit_locked(bool is_tls) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    int wanted = is_tls ? 2 : 1;

    while (weir__pg_canceller.exit_handlers < wanted) {
        (void)atexit(at_exit);
        weir__pg_canceller.exit_handlers++;
    }
}
