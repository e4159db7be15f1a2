/* SPDX-License-Identifier: MIT */
/* The SQLite driver: what the pool asks between two holders, and the table of it all. */
#include "db/drivers/sqlite.h"

const char weir__sqlite_begin_read[] = "BEGIN DEFERRED /* for reading */";

/* ---- between two holders ----------------------------------------------------------------- */

/* There is no other side to ask. What can happen is that the file was removed or replaced: writes
 * would go to where nobody finds them. */
static bool is_alive(void *arg)
{
    return weir__sqlite_is_alive(arg, true, NULL) == WEIR_OK;
}

static weir_status ping(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)deadline;
    return weir__sqlite_is_alive(arg, false, reterr);
}

static weir_status end_transaction(struct sqlite_conn *conn, weir_reset how, weir_error *reterr)
{
    int code = SQLITE_OK;

    if (how == WEIR_RESET_COMMIT && weir__sqlite_is_alive(conn, true, reterr) != WEIR_OK)
        return WEIR_DISCONNECTED;
    code =
        sqlite3_exec(conn->db, how == WEIR_RESET_COMMIT ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    if (code != SQLITE_OK && !sqlite3_get_autocommit(conn->db))
        code = sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    return sqlite3_get_autocommit(conn->db) ? WEIR_OK : weir__sqlite_error(conn, code, reterr);
}

/*
 * End an open transaction. Temporary objects, PRAGMAs and the like cannot be undone one by one, so
 * such a connection is given up and the next holder gets a new one; with WEIR_RESET_NONE it is
 * left as it is.
 */
static weir_status reset(void *arg, weir_reset how, weir_time deadline, weir_error *reterr)
{
    struct sqlite_conn *conn = arg;
    if (how == WEIR_RESET_NONE)
        return WEIR_OK;

    if (!sqlite3_get_autocommit(conn->db)) {
        weir__sqlite_start(conn, deadline);
        weir_status status = end_transaction(conn, how, reterr);
        weir__sqlite_end(conn);
        if (status != WEIR_OK)
            return status;
    }
    conn->is_reading = false;
    if (conn->is_dirty)
        return weir_error_set(
            reterr, WEIR_DISCONNECTED,
            "sqlite: the session was changed (temporary objects or PRAGMAs): closed "
            "so that the next holder sees none of it");
    return WEIR_OK;
}

static void keep_baseline(void *arg)
{
    struct sqlite_conn *conn = arg;

    conn->is_dirty = false;
}

static enum conn_state state(void *arg)
{
    struct sqlite_conn *conn = arg;

    if (conn->is_lost)
        return CONN_LOST;
    if (conn->is_broken)
        return CONN_BROKEN;
    return sqlite3_get_autocommit(conn->db) ? CONN_IDLE : CONN_TRANSACTION;
}

static const char *begin_sql(weir_tx kind)
{
    return kind == WEIR_TX_READ ? weir__sqlite_begin_read : "BEGIN IMMEDIATE";
}

const struct db_driver weir__sqlite_driver = {
    .engine = "sqlite",
    .dialect = DIALECT_SQLITE,
    .engine_open = weir__sqlite_engine_open,
    .engine_close = weir__sqlite_engine_close,
    .connect = weir__sqlite_connect,
    .close = weir__sqlite_close,
    .keep_baseline = keep_baseline,
    .is_alive = is_alive,
    .ping = ping,
    .reset = reset,
    .query = weir__sqlite_query,
    .forget = weir__sqlite_forget,
    .script = weir__sqlite_script,
    .state = state,
    .begin_sql = begin_sql,
    .reflect = weir__sqlite_reflect,
};
