/* SPDX-License-Identifier: MIT */
/* A leased connection: statements with their parameters, scripts, deadlines. */
#include "db/conn.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Statements with no more parameters than this need no memory for their values. */
#define INLINE_VALUES 16

/* ---- coming and going -------------------------------------------------------------------- */

static void forget_statement(void *arg, struct statement *statement)
{
    weir_conn *conn = arg;

    conn->driver->forget(conn->native, statement);
}

weir_status weir__conn_new(weir_db *db, void *native, weir_conn **ret_conn, weir_error *reterr)
{
    weir_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect: out of memory");

    conn->driver = db->driver;
    conn->db = db;
    conn->native = native;
    conn->deadline = WEIR_DEADLINE_NEVER;
    weir_status status = weir__statement_cache_init(&conn->statements, db->driver->dialect,
                                                    (size_t)db->config.options.statement_cache_size,
                                                    forget_statement, conn, reterr);
    if (status != WEIR_OK) {
        free(conn);
        return status;
    }
    *ret_conn = conn;
    return WEIR_OK;
}

void weir__conn_close(weir_conn *conn)
{
    weir__statement_cache_clear(&conn->statements);
    conn->driver->close(conn->native);
    free(conn);
}

/* ---- what every statement asks first ----------------------------------------------------- */

weir_status weir__conn_check_alive(const weir_conn *conn, weir_error *reterr)
{
    if (conn->is_spent)
        return weir_error_set(reterr, WEIR_DISCONNECTED,
                              "a begin, commit or rollback reached its deadline and may still take "
                              "effect: release the connection and acquire another");
    if (!conn->is_lost)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_DISCONNECTED,
                          "the connection was already lost: release it and acquire another");
}

weir_status weir__conn_note(weir_conn *conn, weir_status status)
{
    if (status == WEIR_DISCONNECTED)
        conn->is_lost = true;
    else if (status != WEIR_OK && conn->driver->await_stop != NULL)
        conn->is_stopped = true;
    return status;
}

weir_status weir__conn_await_stop(weir_conn *conn, weir_time deadline, weir_error *reterr)
{
    if (!conn->is_stopped)
        return WEIR_OK;
    weir_status status = conn->driver->await_stop(conn->native, deadline, reterr);
    if (status != WEIR_OK)
        return status;

    enum conn_state state = conn->driver->state(conn->native);
    conn->is_stopped = false;
    if (state != CONN_LOST && state != CONN_BROKEN)
        return WEIR_OK;
    return weir__conn_note(conn, weir_error_set(reterr, WEIR_DISCONNECTED,
                                                "an earlier statement on this connection could not "
                                                "be stopped: release it and acquire another"));
}

/* Limits of a second and more are counted from the coarse clock, which lags by some milliseconds and
 * costs a quarter of the precise one: this is asked before every statement. */
static weir_time now_for_limit(int timeout_ms)
{
    struct timespec t;
    if (timeout_ms < 1000)
        return weir_now();

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (weir_time)t.tv_sec * WEIR_SECOND + t.tv_nsec;
}

weir_time weir__conn_statement_deadline(const weir_conn *conn)
{
    int timeout_ms = conn->db->config.options.statement_timeout_ms;
    if (timeout_ms == 0)
        return conn->deadline;

    weir_time limit = now_for_limit(timeout_ms) + timeout_ms * WEIR_MS;
    return conn->deadline < limit ? conn->deadline : limit;
}

/* What begins too late is not begun: its effect could not be told from that of one in time. */
static weir_status check_in_time(weir_time deadline, weir_error *reterr)
{
    if (deadline == WEIR_DEADLINE_NEVER || weir_now() < deadline)
        return WEIR_OK;
    weir_error_set(reterr, WEIR_TIMEOUT, "the deadline passed before the statement started");
    if (reterr != NULL)
        memcpy(reterr->sqlstate, "57014", 6);
    return WEIR_TIMEOUT;
}

/*
 * Whether a statement may run now. The database may have ended a transaction by itself (SQLite rolls
 * back when a write is interrupted or the disk is full); what follows would then be stored although
 * what came before is gone, so it is refused until the holder has taken note by a rollback.
 */
static weir_status check_ready(weir_conn *conn, weir_error *reterr)
{
    weir_status status = weir__conn_check_alive(conn, reterr);
    if (status == WEIR_OK)
        status = check_in_time(conn->deadline, reterr);
    if (status == WEIR_OK && conn->is_stopped)
        status = weir__conn_await_stop(conn, weir__conn_statement_deadline(conn), reterr);
    if (status != WEIR_OK || conn->depth == 0 || conn->driver->state(conn->native) != CONN_IDLE)
        return status;

    weir_error_set(
        reterr, WEIR_QUERY,
        "the transaction is already over (the database rolled it back after an error, or a "
        "statement ended it): call weir_conn_rollback() and begin again");
    if (reterr != NULL)
        memcpy(reterr->sqlstate, "25P02", 6);
    return WEIR_QUERY;
}

void weir_conn_set_deadline(weir_conn *conn, weir_time deadline)
{
    conn->deadline = deadline == WEIR_DEADLINE_DEFAULT ? WEIR_DEADLINE_NEVER : deadline;
}

bool weir_conn_is_lost(const weir_conn *conn)
{
    return conn->is_lost || conn->driver->state(conn->native) == CONN_LOST;
}

const char *weir_conn_note(const weir_conn *conn)
{
    return conn->driver->note == NULL ? NULL : conn->driver->note(conn->native);
}

/* ---- parameters -------------------------------------------------------------------------- */

static weir_status invalid(weir_error *reterr, const char *what, const char *name)
{
    return weir_error_set(reterr, WEIR_INVALID, "parameter :%.64s %s", name, what);
}

static const weir_param *find_param(const weir_param *params, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (params[i].name != NULL && strcmp(params[i].name, name) == 0)
            return &params[i];
    return NULL;
}

static bool has_name(const struct statement *statement, const char *name)
{
    for (int i = 0; i < statement->param_count; i++)
        if (strcmp(statement->names[i], name) == 0)
            return true;
    return false;
}

/* More values than names, though every name has its value: one is unknown or given twice. */
static weir_status explain_surplus(const struct statement *statement, const weir_param *params,
                                   size_t count, weir_error *reterr)
{
    for (size_t i = 0; i < count; i++) {
        if (params[i].name == NULL)
            return weir_error_set(reterr, WEIR_INVALID,
                                  "parameter %zu has no name, but the statement has :%.64s", i + 1,
                                  statement->names[0]);
        if (!has_name(statement, params[i].name))
            return invalid(reterr, "is not in the statement", params[i].name);
        if (find_param(params, i, params[i].name) != NULL)
            return invalid(reterr, "is given twice", params[i].name);
    }
    return WEIR_OK;
}

/* Names are distinct in the statement, so equal counts and a value for each leave none over. */
static weir_status bind_named(const struct statement *statement, const weir_param *params,
                              size_t count, weir_value *values, weir_error *reterr)
{
    for (size_t i = 0; i < (size_t)statement->param_count; i++) {
        const char *name = statement->names[i];
        const weir_param *param;
        if (i < count && params[i].name != NULL && strcmp(params[i].name, name) == 0)
            param = &params[i];
        else
            param = find_param(params, count, name);
        if (param == NULL)
            return invalid(reterr, "has no value", name);
        values[i] = param->value;
    }
    if (count != (size_t)statement->param_count)
        return explain_surplus(statement, params, count, reterr);
    return WEIR_OK;
}

static weir_status bind_positional(const struct statement *statement, const weir_param *params,
                                   size_t count, weir_value *values, weir_error *reterr)
{
    size_t wanted = (size_t)statement->param_count;

    for (size_t i = 0; i < count; i++)
        if (params[i].name != NULL)
            return wanted == 0
                       ? invalid(reterr, "is not in the statement", params[i].name)
                       : invalid(reterr, "is named, but the statement uses $1", params[i].name);
    if (count < wanted)
        return weir_error_set(reterr, WEIR_INVALID, "parameter $%zu has no value", count + 1);
    if (count > wanted)
        return weir_error_set(reterr, WEIR_INVALID, "parameter $%zu is not in the statement",
                              wanted + 1);
    for (size_t i = 0; i < count; i++)
        values[i] = params[i].value;
    return WEIR_OK;
}

/* ---- statements -------------------------------------------------------------------------- */

static weir_status run_bound(weir_conn *conn, struct statement *statement, const weir_param *params,
                             size_t count, weir_result **ret_result, weir_error *reterr)
{
    weir_value inline_values[INLINE_VALUES];
    weir_value *values = inline_values;
    weir_value *storage = NULL;
    if (statement->param_count > INLINE_VALUES) {
        values = storage = malloc((size_t)statement->param_count * sizeof *values);
        if (storage == NULL)
            return weir_error_set(reterr, WEIR_NO_MEMORY,
                                  "statement: out of memory for %d parameters",
                                  statement->param_count);
    }

    weir_status status = statement->names != NULL
                             ? bind_named(statement, params, count, values, reterr)
                             : bind_positional(statement, params, count, values, reterr);
    if (status == WEIR_OK)
        status = conn->driver->query(conn->native, statement, values,
                                     weir__conn_statement_deadline(conn), ret_result, reterr);
    free(storage);
    return weir__conn_note(conn, status);
}

static weir_status query(weir_conn *conn, const char *sql, const weir_param *params,
                         size_t param_count, weir_result **ret_result, weir_error *reterr)
{
    struct statement *statement;
    weir_status status = check_ready(conn, reterr);
    if (status == WEIR_OK)
        status = weir__statement_get(&conn->statements, sql, &statement, reterr);
    if (status != WEIR_OK)
        return status;

    status = run_bound(conn, statement, params, param_count, ret_result, reterr);
    weir__statement_done(&conn->statements, statement);
    return status;
}

weir_status weir_conn_query(weir_conn *conn, const char *sql, const weir_param *params,
                            size_t param_count, weir_result **ret_result, weir_error *reterr)
{
    if (!db_is_heard(&conn->db->listeners))
        return query(conn, sql, params, param_count, ret_result, reterr);

    struct observed_statement observed;
    weir__observed_begin(&observed, conn, weir__operation_of(sql, conn->driver->dialect), sql,
                         reterr);
    weir_status status = query(conn, sql, params, param_count, ret_result, observed.error);
    bool has_rows = status == WEIR_OK && ret_result != NULL;
    weir__observed_end(&observed, status, has_rows ? weir_result_row_count(*ret_result) : 0);
    return status;
}

weir_status weir__conn_run_quietly(weir_conn *conn, const char *sql, weir_time deadline,
                                   weir_error *reterr)
{
    struct statement *statement;
    weir_status status = check_in_time(deadline, reterr);
    if (status == WEIR_OK)
        status = weir__statement_get(&conn->statements, sql, &statement, reterr);
    if (status != WEIR_OK)
        return status;

    status = conn->driver->query(conn->native, statement, NULL, deadline, NULL, reterr);
    weir__statement_done(&conn->statements, statement);
    return weir__conn_note(conn, status);
}

weir_status weir__conn_run(weir_conn *conn, const char *sql, weir_time deadline, weir_error *reterr)
{
    if (!db_is_heard(&conn->db->listeners))
        return weir__conn_run_quietly(conn, sql, deadline, reterr);

    struct observed_statement observed;
    weir__observed_begin(&observed, conn, weir__operation_of(sql, conn->driver->dialect), sql,
                         reterr);
    weir_status status = weir__conn_run_quietly(conn, sql, deadline, observed.error);
    weir__observed_end(&observed, status, 0);
    return status;
}

static weir_status script(weir_conn *conn, const char *sql, weir_error *reterr)
{
    weir_status status = check_ready(conn, reterr);
    return status == WEIR_OK ? weir__conn_run_script(conn, sql, reterr) : status;
}

weir_status weir_conn_script(weir_conn *conn, const char *sql, weir_error *reterr)
{
    if (!db_is_heard(&conn->db->listeners))
        return script(conn, sql, reterr);

    struct observed_statement observed;
    weir__observed_begin(&observed, conn, weir__operation_of(sql, conn->driver->dialect), sql,
                         reterr);
    weir_status status = script(conn, sql, observed.error);
    weir__observed_end(&observed, status, 0);
    return status;
}

static weir_status reflect(weir_conn *conn, weir_schema **ret_schema, weir_error *reterr)
{
    weir_status status = check_ready(conn, reterr);
    if (status != WEIR_OK)
        return status;
    return weir__conn_note(conn,
                           conn->driver->reflect(conn->native, weir__conn_statement_deadline(conn),
                                                 ret_schema, reterr));
}

weir_status weir_conn_reflect(weir_conn *conn, weir_schema **ret_schema, weir_error *reterr)
{
    if (!db_is_heard(&conn->db->listeners))
        return reflect(conn, ret_schema, reterr);

    struct observed_statement observed;
    weir__observed_begin(&observed, conn, "REFLECT", NULL, reterr);
    weir_status status = reflect(conn, ret_schema, observed.error);
    weir__observed_end(&observed, status, 0);
    return status;
}

/* ---- giving back ------------------------------------------------------------------------- */

weir_lease *weir_conn_lease(weir_conn *conn)
{
    return &conn->lease;
}

/* The lease leaves the connection before it is given back: from then on another may hold both. */
static weir_lease take_lease(weir_conn *conn)
{
    weir_lease lease = conn->lease;

    conn->lease = (weir_lease){0};
    return lease;
}

/*
 * A statement that reached its deadline goes on until the server has noticed. Whoever gives the
 * connection back does not wait for that: the lease goes to the driver, which gives it back then, so
 * that the slot stays taken for as long as the server counts the session.
 */
static bool hand_over(weir_conn *conn, bool is_discarded)
{
    if (!conn->is_stopped || conn->driver->state(conn->native) != CONN_CANCELLING)
        return false;
    weir_lease lease = take_lease(conn);
    if (weir_pool_set_cancelling(&lease) == WEIR_OK &&
        conn->driver->hand_over(conn->native, &lease, is_discarded))
        return true;
    conn->lease = lease;
    return false;
}

void weir_conn_discard(weir_conn *conn)
{
    if (conn == NULL || hand_over(conn, true))
        return;

    weir_lease lease = take_lease(conn);
    weir_pool_discard(&lease, NULL);
}

void weir_conn_release(weir_conn *conn)
{
    if (conn == NULL || hand_over(conn, false))
        return;

    enum conn_state state = conn->is_lost ? CONN_LOST : conn->driver->state(conn->native);
    weir_lease lease = take_lease(conn);
    if (state == CONN_LOST || state == CONN_BROKEN)
        weir_pool_discard(&lease, NULL);
    else
        weir_pool_release(&lease);
}
