/* SPDX-License-Identifier: MIT */
/* Statements of SQLite: prepared once, run under a deadline. */
#include "db/drivers/sqlite.h"

#include "db/events.h"

#include <stdlib.h>
#include <string.h>

/* ---- compiling --------------------------------------------------------------------------- */

/* Compile the first statement of `sql`; *ret_stmt is NULL for nothing but blanks and comments. */
static weir_status compile(struct sqlite_conn *conn, const char *sql, unsigned flags,
                           sqlite3_stmt **ret_stmt, const char **ret_tail, weir_error *reterr)
{
    conn->is_preparing = true;
    conn->was_dirty_text = conn->was_asking = conn->was_begin = conn->was_outsider = false;
    int code = sqlite3_prepare_v3(conn->db, sql, -1, flags, ret_stmt, ret_tail);
    conn->is_preparing = false;
    return code == SQLITE_OK ? WEIR_OK : weir__sqlite_error(conn, code, reterr);
}

/* The one statement that the authorizer does not hear of. */
static bool is_vacuum(sqlite3_stmt *stmt)
{
    const char *sql = sqlite3_sql(stmt);

    return sql != NULL && strcmp(weir__operation_of(sql, DIALECT_SQLITE), "VACUUM") == 0;
}

/* What is known of a statement once it is compiled. sqlite3_stmt_readonly() says false of BEGIN IMMEDIATE
 * and BEGIN EXCLUSIVE, which take the lock, and of `PRAGMA journal_mode`, which only asks. */
static void classify(const struct sqlite_conn *conn, struct sqlite_prepared *prepared)
{
    prepared->is_readonly = conn->was_asking || sqlite3_stmt_readonly(prepared->stmt);
    prepared->is_dirty = conn->was_dirty_text;
    prepared->is_begin = conn->was_begin;
    prepared->is_outsider = conn->was_outsider || is_vacuum(prepared->stmt);
}

/* There may be blanks and comments after a statement, but not another one. */
static weir_status check_tail(struct sqlite_conn *conn, const char *tail, weir_error *reterr)
{
    sqlite3_stmt *next = NULL;

    if (*tail == '\0')
        return WEIR_OK;
    weir_status status = compile(conn, tail, 0, &next, &tail, NULL);
    if (status == WEIR_OK && next == NULL)
        return WEIR_OK;
    sqlite3_finalize(next);
    return weir__sqlite_refuse(reterr, "42601",
                               "more than one statement: run it as a script, or one at a time");
}

static weir_status check_parameters(sqlite3_stmt *stmt, int expected, weir_error *reterr)
{
    if (sqlite3_bind_parameter_count(stmt) == expected)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_INVALID,
                          "sqlite: ?, @name and $name are not parameters here: write :name or $1");
}

static weir_status prepare(struct sqlite_conn *conn, const struct statement *statement,
                           struct sqlite_prepared *prepared, weir_error *reterr)
{
    const char *tail;
    weir_status status =
        compile(conn, statement->text, statement->is_cached ? SQLITE_PREPARE_PERSISTENT : 0,
                &prepared->stmt, &tail, reterr);
    if (status == WEIR_OK && prepared->stmt == NULL)
        status = weir__sqlite_refuse(reterr, "42601", "the text contains no statement");
    if (status == WEIR_OK) {
        classify(conn, prepared);
        status = check_tail(conn, tail, reterr);
    }
    if (status == WEIR_OK)
        status = check_parameters(prepared->stmt, statement->param_count, reterr);
    if (status != WEIR_OK) {
        sqlite3_finalize(prepared->stmt);
        return status;
    }
    prepared->begins_read = strcmp(statement->text, weir__sqlite_begin_read) == 0;
    return WEIR_OK;
}

static void clear_prepared(struct sqlite_prepared *prepared)
{
    sqlite3_finalize(prepared->stmt);
    weir__columns_unref(prepared->columns);
    free(prepared->refinements);
}

/* Prepare on first use, for as long as the cache keeps the statement. */
static weir_status prepare_cached(struct sqlite_conn *conn, struct statement *statement,
                                  weir_error *reterr)
{
    struct sqlite_prepared *prepared = calloc(1, sizeof *prepared);
    if (prepared == NULL) {
        weir_error_set(reterr, WEIR_NO_MEMORY, "sqlite: out of memory for a statement");
        return WEIR_NO_MEMORY;
    }

    weir_status status = prepare(conn, statement, prepared, reterr);
    if (status != WEIR_OK) {
        free(prepared);
        return status;
    }
    statement->prepared = prepared;
    return WEIR_OK;
}

void weir__sqlite_forget(void *conn, struct statement *statement)
{
    struct sqlite_prepared *prepared = statement->prepared;

    (void)conn;
    clear_prepared(prepared);
    free(prepared);
    statement->prepared = NULL;
}

/* ---- running ----------------------------------------------------------------------------- */

/* SQLite has no transactions for reading only, so that promise of WEIR_TX_READ is kept here. */
static weir_status check_reading(struct sqlite_conn *conn, const struct sqlite_prepared *prepared,
                                 weir_error *reterr)
{
    if (!conn->is_reading)
        return WEIR_OK;
    if (sqlite3_get_autocommit(conn->db)) {
        conn->is_reading = false;
        return WEIR_OK;
    }
    if (prepared->is_readonly)
        return WEIR_OK;
    return weir__sqlite_refuse(reterr, "25006", "a read transaction (WEIR_TX_READ) cannot write");
}

/* A table may have changed since the last run; SQLite has then compiled the statement anew at its
 * first step. */
static weir_status describe_if_new(struct sqlite_prepared *prepared, weir_error *reterr)
{
    if (prepared->columns != NULL &&
        sqlite3_stmt_status(prepared->stmt, SQLITE_STMTSTATUS_REPREPARE, 0) == prepared->recompiled)
        return WEIR_OK;
    return weir__sqlite_describe(prepared, reterr);
}

/* What a write has done when its rows cannot be kept is undone: ended as it stands, it would be stored
 * although its holder hears of an error. */
static void undo_write(struct sqlite_conn *conn, sqlite3_stmt *stmt)
{
    sqlite3_interrupt(conn->db);
    (void)sqlite3_step(stmt);
}

/* Step to the end. `code` is that of the first step. */
static weir_status read_rows(struct sqlite_conn *conn, struct sqlite_prepared *prepared, int code,
                             weir_result *result, weir_error *reterr)
{
    while (code == SQLITE_ROW) {
        weir_status status =
            result == NULL ? WEIR_OK : weir__sqlite_read_row(prepared, result, reterr);
        if (status != WEIR_OK)
            return status;
        code = sqlite3_step(prepared->stmt);
    }
    return code == SQLITE_DONE ? WEIR_OK : weir__sqlite_error(conn, code, reterr);
}

static weir_status run_for_result(struct sqlite_conn *conn, struct sqlite_prepared *prepared,
                                  weir_result **ret_result, weir_error *reterr)
{
    weir_result *result = NULL;
    int code = sqlite3_step(prepared->stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return weir__sqlite_error(conn, code, reterr);

    weir_status status = describe_if_new(prepared, reterr);
    if (status == WEIR_OK)
        status = weir__result_new(prepared->columns, 0, conn->config->options.max_result_bytes,
                                  &result, reterr);
    if (status == WEIR_OK)
        status = read_rows(conn, prepared, code, result, reterr);
    if (status != WEIR_OK) {
        if (!prepared->is_readonly)
            undo_write(conn, prepared->stmt);
        weir_result_close(result);
        return status;
    }
    *ret_result = result;
    return WEIR_OK;
}

static weir_status run(struct sqlite_conn *conn, struct sqlite_prepared *prepared,
                       weir_result **ret_result, weir_error *reterr)
{
    if (prepared->is_readonly && ret_result != NULL)
        return run_for_result(conn, prepared, ret_result, reterr);
    if (ret_result == NULL)
        return read_rows(conn, prepared, sqlite3_step(prepared->stmt), NULL, reterr);

    /* sqlite3_changes() is of the last INSERT, UPDATE or DELETE; only the total tells whether this
     * statement was one that changed anything. */
    sqlite3_int64 before = sqlite3_total_changes64(conn->db);
    weir_status status = run_for_result(conn, prepared, ret_result, reterr);
    if (status == WEIR_OK && sqlite3_total_changes64(conn->db) != before)
        (*ret_result)->changed = sqlite3_changes64(conn->db);
    return status;
}

static weir_status run_prepared(struct sqlite_conn *conn, struct sqlite_prepared *prepared,
                                const weir_value *values, int count, weir_result **ret_result,
                                weir_error *reterr)
{
    weir_status status = check_reading(conn, prepared, reterr);
    if (status != WEIR_OK)
        return status;
    int code = weir__sqlite_bind(prepared->stmt, values, count);
    if (code != SQLITE_OK)
        return weir__sqlite_error(conn, code, reterr);
    if (!prepared->is_readonly && (status = weir__sqlite_take_turn(conn, reterr)) != WEIR_OK)
        return status;

    conn->is_dirty |= prepared->is_dirty;
    status = run(conn, prepared, ret_result, reterr);
    sqlite3_reset(prepared->stmt);
    if (status == WEIR_OK && prepared->begins_read)
        conn->is_reading = true;
    return status;
}

static weir_status query(struct sqlite_conn *conn, struct statement *statement,
                         const weir_value *values, weir_result **ret_result, weir_error *reterr)
{
    weir_status status = WEIR_OK;

    if (statement->is_cached) {
        if (statement->prepared == NULL)
            status = prepare_cached(conn, statement, reterr);
        return status != WEIR_OK ? status
                                 : run_prepared(conn, statement->prepared, values,
                                                statement->param_count, ret_result, reterr);
    }

    struct sqlite_prepared once = {0};
    status = prepare(conn, statement, &once, reterr);
    if (status != WEIR_OK)
        return status;
    status = run_prepared(conn, &once, values, statement->param_count, ret_result, reterr);
    clear_prepared(&once);
    return status;
}

weir_status weir__sqlite_query(void *arg, struct statement *statement, const weir_value *values,
                               weir_time deadline, struct weir_result **ret_result,
                               weir_error *reterr)
{
    struct sqlite_conn *conn = arg;
    weir_status status = weir__sqlite_begin_work(conn, deadline, reterr);
    if (status != WEIR_OK)
        return status;

    status = query(conn, statement, values, ret_result, reterr);
    if (status != WEIR_OK || (conn->turn.pool == NULL && !conn->is_still))
        return weir__sqlite_end_work(conn, status, false, reterr);
    status = weir__sqlite_end_work(conn, status, true, reterr);
    if (status != WEIR_OK && ret_result != NULL) {
        weir_result_close(*ret_result);
        *ret_result = NULL;
    }
    return status;
}

/* ---- scripts ----------------------------------------------------------------------------- */

/*
 * A script is one transaction, as PostgreSQL has it by itself: ours is begun before the first statement
 * that writes outside of one. A BEGIN of the script's own makes the transaction the script's, with all
 * that was written since the last one ended; its COMMIT or ROLLBACK ends either.
 */
static int execute(struct sqlite_conn *conn, const char *sql)
{
    return sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

static weir_status begin_for_script(struct sqlite_conn *conn, weir_error *reterr)
{
    weir_status status = weir__sqlite_take_turn(conn, reterr);
    if (status != WEIR_OK)
        return status;
    int code = execute(conn, "BEGIN IMMEDIATE");
    return code == SQLITE_OK ? WEIR_OK : weir__sqlite_error(conn, code, reterr);
}

/* Run one. *is_ours: the open transaction is that of the script as a whole. */
static weir_status run_of_script(struct sqlite_conn *conn, struct sqlite_prepared *prepared,
                                 bool *is_ours, weir_error *reterr)
{
    bool is_outside = sqlite3_get_autocommit(conn->db);
    weir_status status = WEIR_OK;

    *is_ours &= !is_outside;
    if (*is_ours && prepared->is_begin) {
        *is_ours = false;
        return WEIR_OK;
    }
    if (*is_ours && prepared->is_outsider)
        return weir__sqlite_refuse(
            reterr, "25001",
            "VACUUM, and PRAGMAs such as foreign_keys and journal_mode, do not work within a "
            "transaction, and a script is one: put them first, or put BEGIN and COMMIT around "
            "the rest");
    if (is_outside && !prepared->is_readonly && !prepared->is_begin && !prepared->is_outsider) {
        status = begin_for_script(conn, reterr);
        *is_ours = status == WEIR_OK;
    }
    return status == WEIR_OK ? run_prepared(conn, prepared, NULL, 0, NULL, reterr) : status;
}

static weir_status script(struct sqlite_conn *conn, const char *sql, weir_error *reterr)
{
    weir_status status = WEIR_OK;
    bool is_ours = false;

    while (status == WEIR_OK && *sql != '\0') {
        struct sqlite_prepared once = {0};
        status = compile(conn, sql, 0, &once.stmt, &sql, reterr);
        if (status != WEIR_OK || once.stmt == NULL)
            continue;
        classify(conn, &once);
        status = check_parameters(once.stmt, 0, reterr);
        if (status == WEIR_OK)
            status = run_of_script(conn, &once, &is_ours, reterr);
        clear_prepared(&once);
    }
    if (status != WEIR_OK || !is_ours || sqlite3_get_autocommit(conn->db))
        return status;
    int code = execute(conn, "COMMIT");
    return code == SQLITE_OK ? WEIR_OK : weir__sqlite_error(conn, code, reterr);
}

weir_status weir__sqlite_script(void *arg, const char *sql, weir_time deadline, weir_error *reterr)
{
    struct sqlite_conn *conn = arg;
    weir_status status = weir__sqlite_begin_work(conn, deadline, reterr);
    if (status != WEIR_OK)
        return status;

    status = script(conn, sql, reterr);
    return weir__sqlite_end_work(conn, status, conn->turn.pool != NULL, reterr);
}
