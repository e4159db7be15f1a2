/* SPDX-License-Identifier: MIT */
/* Listeners of a database: told of each statement when it has ended, on the thread that ran it. */
#include "db/events.h"

#include "common/lock.h"
#include "db/conn.h"

#include <string.h>

/* ---- what a statement does --------------------------------------------------------------- */

/* Commands of SQL, PostgreSQL and SQLite, the frequent ones first. What is not among them is OTHER, so
 * that whatever a program sends, the words stay few. */
static const char *const operations[] = {
    "SELECT",  "INSERT",    "UPDATE", "DELETE",  "BEGIN",    "COMMIT",     "ROLLBACK", "WITH",
    "RELEASE", "SAVEPOINT", "START",  "END",     "ABORT",    "MERGE",      "REPLACE",  "VALUES",
    "TABLE",   "CREATE",    "ALTER",  "DROP",    "TRUNCATE", "COPY",       "CALL",     "DO",
    "EXPLAIN", "ANALYZE",   "VACUUM", "REINDEX", "PRAGMA",   "SET",        "RESET",    "SHOW",
    "LOCK",    "DECLARE",   "FETCH",  "MOVE",    "CLOSE",    "PREPARE",    "EXECUTE",  "DISCARD",
    "LISTEN",  "UNLISTEN",  "NOTIFY", "GRANT",   "REVOKE",   "DEALLOCATE", "REFRESH",  "COMMENT"};

/* Opening parentheses and empty statements may stand before the first word. */
const char *weir__operation_of(const char *sql, enum sql_dialect dialect)
{
    const char *end = sql + strlen(sql);
    struct token token;

    do
        token = weir__token_next(&sql, end, dialect);
    while (token.kind == TOKEN_OTHER && (*token.at == '(' || *token.at == ';'));
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (weir__token_is_word(&token, operations[i]))
            return operations[i];
    return "OTHER";
}

/* ---- listening --------------------------------------------------------------------------- */

weir_status weir__db_listen(weir_db *db, const struct db_listener *listener, weir_error *reterr)
{
    static struct weir__mutex adding = WEIR_MUTEX_INITIALIZER;
    struct db_listeners *listeners = &db->listeners;

    weir__lock(&adding);
    int count = atomic_load_explicit(&listeners->count, memory_order_relaxed);
    if (count < DB_LISTENERS) {
        listeners->entries[count] = *listener;
        /* Whoever sees the count sees the listener too. */
        atomic_store_explicit(&listeners->count, count + 1, memory_order_release);
    }
    weir__unlock(&adding);
    if (count < DB_LISTENERS)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_FULL, "db \"%s\": it already has %d listeners, the maximum",
                          weir_pool_name(db->pool), DB_LISTENERS);
}

void weir__db_listeners_clear(struct db_listeners *listeners)
{
    int count = atomic_load_explicit(&listeners->count, memory_order_acquire);

    for (int i = 0; i < count; i++)
        if (listeners->entries[i].free_arg != NULL)
            listeners->entries[i].free_arg(listeners->entries[i].arg);
}

weir_status weir_db_listen(weir_db *db, weir_db_listener *listener, void *arg, weir_error *reterr)
{
    return weir_db_listen_when(db, NULL, listener, arg, reterr);
}

weir_status weir_db_listen_when(weir_db *db, bool (*wants)(void *arg), weir_db_listener *listener,
                                void *arg, weir_error *reterr)
{
    return weir__db_listen(db, &(struct db_listener){listener, wants, arg, NULL}, reterr);
}

/* ---- telling ----------------------------------------------------------------------------- */

void weir__observed_begin(struct observed_statement *observed, weir_conn *conn,
                          const char *operation, const char *sql, weir_error *reterr)
{
    weir_db *db = conn->db;
    enum conn_state state = conn->is_lost ? CONN_LOST : conn->driver->state(conn->native);

    observed->event = (weir_db_event){
        .db = db,
        .engine = db->driver->engine,
        .database = db->url->database == NULL ? "" : db->url->database,
        .operation = operation,
        .sql = sql,
        .connection_id = weir_lease_connection_id(&conn->lease),
        .in_transaction = state == CONN_TRANSACTION || state == CONN_FAILED,
    };
    observed->error = reterr == NULL ? &observed->own : reterr;
    observed->started = weir_now();
}

void weir__observed_end(struct observed_statement *observed, weir_status status, size_t rows)
{
    struct db_listeners *listeners = &observed->event.db->listeners;
    int count = atomic_load_explicit(&listeners->count, memory_order_acquire);

    observed->event.duration = weir_now() - observed->started;
    observed->event.rows = rows;
    observed->event.status = status;
    observed->event.error = status == WEIR_OK ? NULL : observed->error;
    for (int i = 0; i < count; i++)
        listeners->entries[i].function(&observed->event, listeners->entries[i].arg);
}
