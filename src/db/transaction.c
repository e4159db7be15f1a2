/* SPDX-License-Identifier: MIT */
/* Transactions, and savepoints by nesting. */
#include "db/conn.h"

#include <stdio.h>
#include <string.h>

#define DEEPEST 32

/* Room for `ROLLBACK TO SAVEPOINT weir_31`. */
#define CONTROL_TEXT 64

/* ---- leaves ------------------------------------------------------------------------------ */

/* The savepoint of nesting `depth` (2 and more) has this number in its name. */
static weir_status run_on_savepoint(weir_conn *conn, const char *verb, int depth,
                                    weir_time deadline, weir_error *reterr)
{
    char sql[CONTROL_TEXT];

    snprintf(sql, sizeof sql, "%s weir_%d", verb, depth);
    return weir__conn_run(conn, sql, deadline, reterr);
}

static weir_status failed(weir_error *reterr, const char *sqlstate, const char *text)
{
    weir_error_set(reterr, WEIR_QUERY, "%s", text);
    if (reterr != NULL)
        memcpy(reterr->sqlstate, sqlstate, sizeof reterr->sqlstate);
    return WEIR_QUERY;
}

weir_time weir__conn_rollback_deadline(const weir_conn *conn)
{
    return weir_now() + conn->db->config.options.pool.reset_timeout_ms * WEIR_MS;
}

/* A begin or commit that reached its deadline may still take effect, or not. What the holder ran next
 * could be part of a transaction that is rolled back on return, so nothing more runs on this loan. */
static void note_late(weir_conn *conn, weir_status status)
{
    if (status == WEIR_TIMEOUT && conn->driver->state(conn->native) == CONN_CANCELLING)
        conn->is_spent = true;
}

static weir_status undo_level(weir_conn *conn, weir_error *reterr)
{
    weir_time deadline = weir__conn_rollback_deadline(conn);
    weir_status status = weir__conn_await_stop(conn, deadline, reterr);

    if (status != WEIR_OK)
        return status;
    if (conn->driver->state(conn->native) == CONN_IDLE)
        return WEIR_OK;
    if (conn->depth == 1)
        return weir__conn_run(conn, "ROLLBACK", deadline, reterr);

    status = run_on_savepoint(conn, "ROLLBACK TO SAVEPOINT", conn->depth, deadline, reterr);
    if (status == WEIR_OK)
        status = run_on_savepoint(conn, "RELEASE SAVEPOINT", conn->depth, deadline, reterr);
    return status;
}

/*
 * Undo the innermost level, whatever became of it. The depth is the caller's to lower. Where that does
 * not end in time nothing more may run: it would run inside what was to be undone.
 */
static weir_status undo(weir_conn *conn, weir_error *reterr)
{
    weir_status status = undo_level(conn, reterr);

    if (status == WEIR_TIMEOUT)
        conn->is_spent = true;
    return status;
}

/* ---- public ------------------------------------------------------------------------------ */

weir_status weir_conn_begin(weir_conn *conn, weir_tx kind, weir_error *reterr)
{
    weir_time deadline = weir__conn_statement_deadline(conn);
    weir_status status = weir__conn_check_alive(conn, reterr);
    if (status == WEIR_OK)
        status = weir__conn_await_stop(conn, deadline, reterr);
    if (status != WEIR_OK)
        return status;

    enum conn_state state = conn->driver->state(conn->native);
    if (conn->depth == 0 && state != CONN_IDLE)
        return failed(reterr, "25001", "begin: a transaction that a statement began is still open");
    if (conn->depth > 0 && state == CONN_IDLE)
        return failed(reterr, "25P02",
                      "begin: the outer transaction is already over (the database "
                      "rolled it back): call weir_conn_rollback() first");
    if (conn->depth == DEEPEST)
        return weir_error_set(reterr, WEIR_INVALID, "begin: nested deeper than %d", DEEPEST);

    if (conn->depth == 0)
        status = weir__conn_run(conn, conn->driver->begin_sql(kind), deadline, reterr);
    else
        status = run_on_savepoint(conn, "SAVEPOINT", conn->depth + 1, deadline, reterr);
    if (status == WEIR_OK)
        conn->depth++;
    if (conn->depth == 0)
        note_late(conn, status);
    return status;
}

/* Commit the innermost level of a transaction that is in order. */
static weir_status commit_level(weir_conn *conn, weir_error *reterr)
{
    weir_time deadline = weir__conn_statement_deadline(conn);

    if (conn->depth == 1)
        return weir__conn_run(conn, "COMMIT", deadline, reterr);
    return run_on_savepoint(conn, "RELEASE SAVEPOINT", conn->depth, deadline, reterr);
}

weir_status weir_conn_commit(weir_conn *conn, weir_error *reterr)
{
    if (conn->depth == 0)
        return weir_error_set(reterr, WEIR_INVALID, "commit: no transaction was begun");

    weir_status status = weir__conn_check_alive(conn, reterr);
    if (status == WEIR_OK)
        status = weir__conn_await_stop(conn, weir__conn_statement_deadline(conn), reterr);
    if (status == WEIR_OK) {
        enum conn_state state = conn->driver->state(conn->native);
        /* PostgreSQL answers a COMMIT of a failed transaction with a quiet rollback. */
        if (state == CONN_FAILED)
            status = failed(reterr, "25P02",
                            "commit: a statement in the transaction failed: "
                            "rolled back");
        else if (state == CONN_IDLE)
            status = failed(reterr, "25P02",
                            "commit: the transaction is already over (the database "
                            "rolled it back, or a statement ended it)");
        else
            status = commit_level(conn, reterr);
        if (conn->depth == 1)
            note_late(conn, status);
    }
    if (status != WEIR_OK && !conn->is_lost && !conn->is_spent)
        (void)undo(conn, NULL);
    conn->depth--;
    return status;
}

weir_status weir_conn_rollback(weir_conn *conn, weir_error *reterr)
{
    if (conn->depth == 0)
        return weir_error_set(reterr, WEIR_INVALID, "rollback: no transaction was begun");

    weir_status status = weir__conn_check_alive(conn, reterr);
    if (status == WEIR_OK)
        status = undo(conn, reterr);
    conn->depth--;
    return status;
}

int weir_conn_depth(const weir_conn *conn)
{
    return conn->depth;
}
