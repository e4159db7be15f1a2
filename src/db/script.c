/* SPDX-License-Identifier: MIT */
/* Scripts: all of one or nothing of it, on every engine. */
#include "db/conn.h"

/*
 * Outside a transaction the drivers make one of the script: PostgreSQL's server does so by itself with
 * several statements of one message, SQLite's driver begins one. Inside one a savepoint does it. What
 * the script itself began and did not end is undone as well when it fails: who asks for the next
 * statement knows nothing of a transaction that is half done.
 */
static void undo(weir_conn *conn, bool is_nested)
{
    weir_time deadline = weir__conn_rollback_deadline(conn);
    enum conn_state state = conn->driver->state(conn->native);

    if (state != CONN_TRANSACTION && state != CONN_FAILED)
        return;
    if (!is_nested)
        (void)weir__conn_run_quietly(conn, "ROLLBACK", deadline, NULL);
    else if (weir__conn_run_quietly(conn, "ROLLBACK TO SAVEPOINT weir_script", deadline, NULL) ==
             WEIR_OK)
        (void)weir__conn_run_quietly(conn, "RELEASE SAVEPOINT weir_script", deadline, NULL);
}

weir_status weir__conn_run_script(weir_conn *conn, const char *sql, weir_error *reterr)
{
    weir_time deadline = weir__conn_statement_deadline(conn);
    bool is_nested = conn->driver->state(conn->native) == CONN_TRANSACTION;
    weir_status status = WEIR_OK;

    if (is_nested)
        status = weir__conn_run_quietly(conn, "SAVEPOINT weir_script", deadline, reterr);
    if (status != WEIR_OK)
        return status;
    status = weir__conn_note(conn, conn->driver->script(conn->native, sql, deadline, reterr));
    /* A script that ended the transaction around it has taken the savepoint along. */
    if (status == WEIR_OK && is_nested && conn->driver->state(conn->native) == CONN_TRANSACTION)
        status = weir__conn_run_quietly(conn, "RELEASE SAVEPOINT weir_script", deadline, reterr);
    if (status != WEIR_OK && !conn->is_lost)
        undo(conn, is_nested);
    return status;
}
