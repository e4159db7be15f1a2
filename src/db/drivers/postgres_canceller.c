/* SPDX-License-Identifier: MIT */
/*
 * Cancels statements that reached their deadline: what the driver asks of the canceller, which is
 * one thread of the process, for all databases, that watches over the connections until each is fit for
 * use again or at its end (postgres_canceller_watch.c).
 *
 * Its lock guards the list of them. What a connection is asked and answers is read by the watcher
 * without the lock, while is_stepped keeps others from taking the connection out of the list.
 */
#include "db/drivers/postgres_canceller.h"

#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void append_locked(struct pg_cancel *cancel) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    LIST_ADD_LAST(cancel, next, previous, weir__pg_canceller.first, weir__pg_canceller.last);
}

/* Whether the watcher is to look at once. Mostly whoever sends the first cancel sees the end too, and
 * the watcher, who sleeps for PG_LINGER at most, need not. */
static bool needs_watcher(const struct pg_cancel *cancel)
{
    short events;

    return cancel->request == NULL || weir__pg_request_socket(cancel, &events) >= 0 ||
           cancel->shut_at < cancel->send_at + PG_LINGER;
}

void weir__pg_stop(struct pg_conn *conn)
{
    struct pg_cancel *cancel = &conn->cancel;

    pthread_once(&once, weir__pg_canceller_init);
    cancel->conn = conn;
    weir__pg_cancel_begin(cancel, weir_now());
    weir__pg_request_start(cancel, cancel->send_at);
    weir__lock(&weir__pg_canceller.lock);
    weir__pg_canceller_register_exit_locked(conn->is_tls);
    bool is_watched = weir__pg_canceller_start_locked() && !weir__pg_canceller.is_exiting;
    if (is_watched) {
        atomic_store_explicit(&cancel->phase, CANCEL_RUNNING, memory_order_relaxed);
        append_locked(cancel);
        if (needs_watcher(cancel))
            weir__pg_canceller_wake_locked();
    }
    weir__unlock(&weir__pg_canceller.lock);
    if (is_watched)
        return;
    /* No thread: the connection is closed, which the server notices, and closing waits a little. */
    weir__pg_request_abandon(cancel);
    conn->is_broken = true;
}

weir_status weir__pg_await_stop(void *arg, weir_time deadline, weir_error *reterr)
{
    struct pg_conn *conn = arg;
    bool is_in_time = true;

    if (!weir__pg_is_cancelling(conn))
        return WEIR_OK;
    weir__lock(&weir__pg_canceller.lock);
    while (weir__pg_is_cancelling(conn) && is_in_time)
        is_in_time =
            condition_wait(&weir__pg_canceller.changed, &weir__pg_canceller.lock, deadline) == 0;
    bool is_running = weir__pg_is_cancelling(conn);
    weir__unlock(&weir__pg_canceller.lock);
    if (!is_running)
        return WEIR_OK;
    weir_error_set(reterr, WEIR_TIMEOUT,
                   "the previous statement, which reached its deadline, is still being cancelled");
    if (reterr != NULL)
        memcpy(reterr->sqlstate, "57014", sizeof("57014"));
    return WEIR_TIMEOUT;
}

bool weir__pg_hand_over(void *arg, const weir_lease *lease, bool is_discarded)
{
    struct pg_conn *conn = arg;
    struct pg_cancel *cancel = &conn->cancel;

    weir__lock(&weir__pg_canceller.lock);
    bool is_running = weir__pg_is_cancelling(conn) && !weir__pg_canceller.is_exiting;
    if (is_running) {
        cancel->lease = *lease;
        cancel->has_lease = true;
        cancel->is_discarded = is_discarded;
    }
    weir__unlock(&weir__pg_canceller.lock);
    return is_running;
}

void weir__pg_take_back(struct pg_conn *conn)
{
    struct pg_cancel *cancel = &conn->cancel;

    if (!weir__pg_is_cancelling(conn))
        return;
    weir__lock(&weir__pg_canceller.lock);
    while (cancel->is_stepped)
        condition_wait(&weir__pg_canceller.changed, &weir__pg_canceller.lock, WEIR_DEADLINE_NEVER);
    bool is_running = weir__pg_is_cancelling(conn);
    if (is_running) {
        weir__pg_canceller_unlink_locked(cancel);
        weir__pg_canceller_end_phase(cancel);
    }
    weir__unlock(&weir__pg_canceller.lock);
    if (!is_running)
        return;
    weir__pg_request_abandon(cancel);
    conn->is_broken = true;
    conn->is_silent = !cancel->is_drained;
}
