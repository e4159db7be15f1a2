/* SPDX-License-Identifier: MIT */
/* The PostgreSQL driver: how a connection stands, and the pool's questions to it. */
#include "db/drivers/postgres_connect.h"

#include <poll.h>

/* See pg_is_alive(). */
#define FRESH (100 * WEIR_US)

/* A socket that always has something to say is not idle. */
#define MOST_LOOKS 16

/* ---- state --------------------------------------------------------------------------------- */

enum conn_state weir__pg_state(void *arg)
{
    const struct pg_conn *conn = arg;

    if (weir__pg_is_cancelling(conn))
        return CONN_CANCELLING;
    if (conn->is_lost)
        return CONN_LOST;
    if (conn->is_broken)
        return CONN_BROKEN;
    switch (PQtransactionStatus(conn->pg)) {
    case PQTRANS_IDLE:
        return CONN_IDLE;
    case PQTRANS_INTRANS:
        return CONN_TRANSACTION;
    case PQTRANS_INERROR:
        return CONN_FAILED;
    case PQTRANS_ACTIVE:
        return CONN_BROKEN;
    default:
        return CONN_LOST;
    }
}

/* ---- the pool's questions ------------------------------------------------------------------ */

/*
 * An idle server says nothing, except now and then a notice, a notification or a change of setting,
 * which are read and thrown away. Only then is it known whether its last word was a goodbye.
 *
 * A connection that has answered a statement begun within FRESH is not looked at again: a server
 * takes longer than that to end a session, so the socket could not show more than the answer did.
 */
static bool pg_is_alive(void *arg)
{
    struct pg_conn *conn = arg;
    struct pollfd poller = {.fd = PQsocket(conn->pg), .events = POLLIN | POLLRDHUP};

    if (weir__pg_is_cancelling(conn) || conn->is_lost || conn->is_broken)
        return false;
    if (weir_now() - conn->answered_after < FRESH)
        return true;
    for (int i = 0; i < MOST_LOOKS; i++) {
        if (poll(&poller, 1, 0) == 0)
            return !conn->is_lost;
        if ((poller.revents & ~POLLIN) != 0 || !PQconsumeInput(conn->pg))
            break;
        for (PGnotify *notify; (notify = PQnotifies(conn->pg)) != NULL;)
            PQfreemem(notify);
        if (conn->is_lost)
            break;
    }
    conn->is_lost = true;
    return false;
}

/* The empty statement: one round trip, and nothing to parse, plan or run; with its end the server
 * reports whether it has become a standby or is none any more. One that does not report is asked. */
static weir_status pg_ping(void *arg, weir_time deadline, weir_error *reterr)
{
    struct pg_conn *conn = arg;

    if (conn->wanted == PG_ANY || !conn->is_fitting)
        return weir__pg_command(conn, "", deadline, NULL, reterr);
    if (!weir__pg_reports_role(conn))
        return weir__pg_check_role(conn, true, deadline, reterr);
    weir_status status = weir__pg_command(conn, "", deadline, NULL, reterr);
    return status == WEIR_OK ? weir__pg_check_role(conn, false, deadline, reterr) : status;
}

static void pg_keep_baseline(void *arg)
{
    struct pg_conn *conn = arg;

    conn->has_own_settings = conn->is_dirty;
    conn->is_dirty = false;
    conn->is_fitting = conn->is_fitting && weir__pg_fits(conn);
}

/*
 * What a holder changed for the session (is_dirty) is undone with DISCARD ALL, which leads back to
 * what the connection was begun with, and takes the prepared statements along. A connection that
 * started with settings of its listeners is closed instead, since DISCARD ALL would take those away,
 * too.
 */
static weir_status clean_session(struct pg_conn *conn, weir_time deadline, weir_error *reterr)
{
    if (conn->has_own_settings)
        return weir_error_set(
            reterr, WEIR_DISCONNECTED,
            "the session was changed, and resetting it would undo what its CONNECT "
            "listener set: closed");
    weir_status status = weir__pg_command(conn, "DISCARD ALL", deadline, NULL, reterr);
    if (status != WEIR_OK)
        return status;
    conn->epoch++;
    conn->is_dirty = false;
    return weir__pg_set_up(conn, deadline, reterr);
}

/*
 * Whether the server is still what was asked for, once the session is as it was begun: read from
 * what the server reported, and asked only after a statement that failed for it. A transaction
 * that was read-only by the program's own wish fails the same way.
 */
static weir_status look_at_role(struct pg_conn *conn, weir_time deadline, weir_error *reterr)
{
    bool must_ask = conn->was_read_only;

    conn->was_read_only = false;
    if (conn->wanted == PG_ANY || !conn->is_fitting)
        return WEIR_OK;
    return weir__pg_check_role(conn, must_ask, deadline, reterr);
}

/* A clean, idle session costs no round trip. */
static weir_status pg_reset(void *arg, weir_reset how, weir_time deadline, weir_error *reterr)
{
    struct pg_conn *conn = arg;
    weir_status status = weir__pg_await_stop(conn, deadline, reterr);
    enum conn_state state = weir__pg_state(conn);

    if (status != WEIR_OK)
        return status;
    if (state == CONN_LOST || state == CONN_BROKEN)
        return weir_error_set(reterr, WEIR_DISCONNECTED,
                              "the connection was returned in the middle of a statement");
    if (how == WEIR_RESET_NONE && (state != CONN_IDLE || conn->is_dirty))
        return WEIR_OK;
    if (state == CONN_TRANSACTION && how == WEIR_RESET_COMMIT)
        status = weir__pg_command(conn, "COMMIT", deadline, NULL, reterr);
    else if (state != CONN_IDLE)
        status = weir__pg_command(conn, "ROLLBACK", deadline, NULL, reterr);
    if (status == WEIR_OK && conn->is_dirty)
        status = clean_session(conn, deadline, reterr);
    return status == WEIR_OK ? look_at_role(conn, deadline, reterr) : status;
}

static const char *pg_note(const void *arg)
{
    const struct pg_conn *conn = arg;

    return conn->note;
}

/* READ WRITE would override default_transaction_read_only, with which a role, a database or the URL
 * guards itself: only what was asked for is said. */
static const char *pg_begin_sql(weir_tx kind)
{
    switch (kind) {
    case WEIR_TX_READ:
        return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    case WEIR_TX_SERIALIZABLE:
        return "BEGIN ISOLATION LEVEL SERIALIZABLE";
    case WEIR_TX_WRITE:
        break;
    }
    return "BEGIN";
}

const struct db_driver weir__postgres_driver = {
    .engine = "postgresql",
    .dialect = DIALECT_POSTGRES,
    .engine_open = weir__pg_engine_open,
    .engine_close = weir__pg_engine_close,
    .connect = weir__pg_connect,
    .close = weir__pg_close,
    .keep_baseline = pg_keep_baseline,
    .is_alive = pg_is_alive,
    .ping = pg_ping,
    .reset = pg_reset,
    .query = weir__pg_query,
    .forget = weir__pg_forget,
    .script = weir__pg_script,
    .state = weir__pg_state,
    .note = pg_note,
    .await_stop = weir__pg_await_stop,
    .hand_over = weir__pg_hand_over,
    .begin_sql = pg_begin_sql,
    .reflect = weir__pg_reflect,
};
