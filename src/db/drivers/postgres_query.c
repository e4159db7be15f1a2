/* SPDX-License-Identifier: MIT */
/* Statements and scripts on PostgreSQL: preparing them, running them, taking in their results. */
#include "db/drivers/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Statements to deallocate are collected and go in one round trip. */
#define DROPPED_BATCH 16

#define BYTEA_OID 17

/* Results up to this size, in bytes, are small; see receive_rows(). */
#define SMALL_RESULT 65536

/* Fit for a statement, and time left for it: one whose deadline has passed is never sent. */
static weir_status check_usable(struct pg_conn *conn, weir_time now, weir_time deadline,
                                weir_error *reterr)
{
    enum conn_state state = weir__pg_state(conn);

    if (state == CONN_LOST)
        return weir_error_set(reterr, WEIR_DISCONNECTED, "the connection is lost");
    if (state == CONN_DOUBTFUL)
        return weir_error_set(reterr, WEIR_DISCONNECTED,
                              "an earlier statement on this connection could not be stopped");
    return now >= deadline ? weir__pg_timeout(reterr) : WEIR_OK;
}

/* ---- prepared statements ------------------------------------------------------------------- */

static void prepared_free(struct pg_prepared *prepared)
{
    weir__columns_unref(prepared->columns);
    free(prepared);
}

void weir__pg_forget(void *arg, struct statement *statement)
{
    struct pg_conn *conn = arg;
    struct pg_prepared *prepared = statement->prepared;

    statement->prepared = NULL;
    if (prepared == NULL)
        return;
    if (prepared->epoch != conn->epoch || conn->is_lost) {
        prepared_free(prepared);
        return;
    }
    prepared->next_dropped = conn->dropped;
    conn->dropped = prepared;
    conn->dropped_count++;
}

/* Let the server forget one batch of dropped statements. One that it has forgotten already is an
 * error nobody needs to hear of; inside a transaction that error would do harm, so not there. */
static weir_status deallocate_dropped(struct pg_conn *conn, weir_time deadline, weir_error *reterr)
{
    char sql[DROPPED_BATCH * (sizeof("DEALLOCATE ;") + sizeof(conn->dropped->name))] = "";
    size_t used = 0;

    if (conn->dropped_count < DROPPED_BATCH || PQtransactionStatus(conn->pg) != PQTRANS_IDLE)
        return WEIR_OK;
    for (int i = 0; i < DROPPED_BATCH; i++) {
        struct pg_prepared *prepared = conn->dropped;
        if (prepared->epoch == conn->epoch)
            used +=
                (size_t)snprintf(sql + used, sizeof(sql) - used, "DEALLOCATE %s;", prepared->name);
        conn->dropped = prepared->next_dropped;
        conn->dropped_count--;
        prepared_free(prepared);
    }
    weir_status status = weir__pg_command(conn, sql, deadline, NULL, reterr);
    return status == WEIR_QUERY ? WEIR_OK : status;
}

/* Throw away what still comes of a statement that has its error. */
static weir_status finish(struct pg_conn *conn, weir_time deadline)
{
    PGresult *rest = NULL;

    while (weir__pg_next(conn, deadline, INT64_MAX, &rest) == WEIR_OK) {
        if (rest == NULL)
            return WEIR_OK;
        PQclear(rest);
    }
    conn->is_doubtful = conn->is_silent = true;
    return WEIR_TIMEOUT;
}

static weir_status send_prepare(struct pg_conn *conn, const struct statement *statement,
                                const struct pg_prepared *prepared, weir_error *reterr)
{
    Oid types[64] = {0};
    int declared = 0;

    for (int i = 0; i < 64; i++) {
        if (prepared->blobs >> i & 1) {
            types[i] = BYTEA_OID;
            declared = i + 1;
        }
    }
    if (PQsendPrepare(conn->pg, prepared->name, statement->text, declared, types))
        return WEIR_OK;
    return weir__pg_error(conn, NULL, reterr);
}

/*
 * Prepare the statement on the server. *ret_is_taken: the name exists there (somebody prepared it
 * by hand, or a proxy shares one server session among clients); the next name may be free.
 */
static weir_status prepare_named(struct pg_conn *conn, const struct statement *statement,
                                 struct pg_prepared *prepared, weir_time deadline,
                                 bool *ret_is_taken, weir_error *reterr)
{
    PGresult *answer = NULL;

    snprintf(prepared->name, sizeof(prepared->name), "weir_%llu",
             (unsigned long long)++conn->last_name);
    weir_status status = send_prepare(conn, statement, prepared, reterr);
    if (status != WEIR_OK)
        return status;
    weir_time patience = weir__pg_patience(weir_now(), deadline);
    if (weir__pg_next(conn, patience, INT64_MAX, &answer) != WEIR_OK) {
        weir__pg_stop(conn, deadline);
        return weir__pg_timeout(reterr);
    }
    if (PQresultStatus(answer) != PGRES_COMMAND_OK) {
        const char *sqlstate = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
        *ret_is_taken = sqlstate != NULL && strcmp(sqlstate, "42P05") == 0;
        status = weir__pg_error(conn, answer, reterr);
    }
    PQclear(answer);
    if (finish(conn, deadline) != WEIR_OK && status == WEIR_OK)
        status = weir__pg_timeout(reterr);
    return status;
}

static weir_status prepare(struct pg_conn *conn, struct statement *statement, uint64_t blobs,
                           weir_time deadline, weir_error *reterr)
{
    bool is_taken = false;
    struct pg_prepared *prepared = calloc(1, sizeof(*prepared));

    if (prepared == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "no memory to prepare a statement");
    prepared->epoch = conn->epoch;
    prepared->blobs = blobs;
    prepared->touches_session = weir__pg_touches_session(statement->text);
    weir_status status = deallocate_dropped(conn, deadline, reterr);
    if (status == WEIR_OK)
        status = prepare_named(conn, statement, prepared, deadline, &is_taken, reterr);
    if (is_taken && weir__pg_state(conn) == CONN_IDLE)
        status = prepare_named(conn, statement, prepared, deadline, &is_taken, reterr);
    if (status == WEIR_OK)
        statement->prepared = prepared;
    else
        prepared_free(prepared);
    return status;
}

/* ---- one statement ------------------------------------------------------------------------- */

/* What is known of a statement while its results come in. */
struct run {
    struct pg_conn *conn;
    struct pg_prepared *prepared; /* NULL when it is not */
    weir_time start;
    weir_time patience; /* until when to wait, and then to stop it */
    weir_time deadline;
    bool wants_rows;
    bool is_stale; /* the server no longer has, or no longer likes, what was prepared */
    weir_result *result;
    weir_status status;
    weir_error *reterr;
};

static void fail(struct run *run, weir_status status)
{
    if (run->status == WEIR_OK)
        run->status = status;
}

/* The columns of a result: those of the prepared statement, or its own. The caller owns a
 * reference. */
static struct columns *columns_of(struct run *run, const PGresult *rows)
{
    const char *names_inline[64];
    const char **names = names_inline;
    size_t count = (size_t)PQnfields(rows);

    if (run->prepared != NULL && run->prepared->columns != NULL &&
        run->prepared->columns->count == count) {
        atomic_fetch_add_explicit(&run->prepared->columns->references, 1, memory_order_relaxed);
        return run->prepared->columns;
    }
    if (count > 64 && (names = malloc(count * sizeof(*names))) == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        names[i] = PQfname(rows, (int)i);
    struct columns *columns = weir__columns_new(count, names);
    if (names != names_inline)
        free(names);
    if (columns != NULL && run->prepared != NULL && run->prepared->columns == NULL) {
        atomic_fetch_add_explicit(&columns->references, 1, memory_order_relaxed);
        run->prepared->columns = columns;
    }
    return columns;
}

static void open_result(struct run *run, const PGresult *rows)
{
    struct columns *columns = columns_of(run, rows);

    if (columns == NULL) {
        fail(run, weir_error_set(run->reterr, WEIR_NO_MEMORY, "no memory for a result's columns"));
        return;
    }
    fail(run, weir__result_new(columns, 1, run->conn->config->options.max_result_bytes,
                               &run->result, run->reterr));
    weir__columns_unref(columns);
}

static void take_rows(struct run *run, const PGresult *rows)
{
    struct cell *cells = NULL;

    if (!run->wants_rows || run->status != WEIR_OK)
        return;
    if (run->result == NULL)
        open_result(run, rows);
    for (int row = 0; row < PQntuples(rows) && run->status == WEIR_OK; row++) {
        fail(run, weir__result_add_row(run->result, &cells, run->reterr));
        if (run->status == WEIR_OK)
            fail(run, weir__pg_read_row(run->result, rows, row, cells, run->reterr));
    }
}

/* INSERT, UPDATE, DELETE and MERGE tell how many rows they changed; the count of a SELECT is
 * none. */
static int64_t changed_rows(PGresult *done, const char *tag)
{
    if (tag[0] == 'S')
        return 0;
    if (strncmp(tag, "INSERT ", 7) == 0 || strncmp(tag, "UPDATE ", 7) == 0 ||
        strncmp(tag, "DELETE ", 7) == 0 || strncmp(tag, "MERGE ", 6) == 0)
        return strtoll(PQcmdTuples(done), NULL, 10);
    return 0;
}

static void take_end(struct run *run, PGresult *done)
{
    const char *tag = PQcmdStatus(done);

    weir__pg_note_command(run->conn, tag);
    take_rows(run, done);
    if (run->result != NULL)
        run->result->changed = changed_rows(done, tag);
}

static void take_error(struct run *run, const PGresult *failed)
{
    const char *sqlstate = PQresultErrorField(failed, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(failed, PG_DIAG_SOURCE_FUNCTION);

    if (run->status != WEIR_OK)
        return;
    if (run->prepared != NULL && sqlstate != NULL) {
        /* 0A000 has many causes; its message is translated, the name of the function is not. */
        bool is_plan = strcmp(sqlstate, "0A000") == 0 && function != NULL &&
                       strcmp(function, "RevalidateCachedQuery") == 0;
        run->is_stale = is_plan || strcmp(sqlstate, "26000") == 0;
    }
    fail(run, weir__pg_error(run->conn, failed, run->reterr));
}

/* COPY speaks a protocol of its own that weir has no calls for. */
static void refuse_copy(struct run *run)
{
    run->conn->is_doubtful = true;
    fail(run, weir_error_set(run->reterr, WEIR_UNSUPPORTED,
                             "COPY FROM STDIN and COPY TO STDOUT cannot be run as statements; the "
                             "connection will be closed"));
}

/* Take one result; false when there is no use in waiting for more. */
static bool take(struct run *run, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        take_rows(run, result);
        return run->status == WEIR_OK;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        take_end(run, result);
        return true;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        refuse_copy(run);
        return false;
    default:
        take_error(run, result);
        return true;
    }
}

/* Take all results of what was sent, and stop it when it takes too long or gives too much. */
static void receive(struct run *run)
{
    struct pg_conn *conn = run->conn;
    int64_t max_bytes = conn->config->options.max_result_bytes;
    PGresult *result = NULL;

    conn->asked_at = run->start;
    for (;;) {
        weir_status status = weir__pg_next(conn, run->patience, max_bytes, &result);
        if (status == WEIR_TIMEOUT)
            fail(run, weir__pg_timeout(run->reterr));
        if (status == WEIR_LIMIT)
            fail(run, weir_error_set(run->reterr, WEIR_LIMIT,
                                     "the result is larger than max_result_bytes (%lld)",
                                     (long long)max_bytes));
        if (status != WEIR_OK)
            break;
        if (result == NULL) {
            conn->answered_after = run->start;
            return;
        }
        bool goes_on = take(run, result);
        PQclear(result);
        if (!goes_on)
            break;
    }
    if (!conn->is_doubtful)
        weir__pg_stop(conn, run->deadline);
}

/*
 * Rows are read one by one, so that no result grows beyond its limit before anybody looks. That
 * costs a few hundred instructions per row, so a prepared statement whose last result was small
 * is read in one piece, and only watched for receiving too much.
 */
static void receive_rows(struct run *run)
{
    struct pg_prepared *prepared = run->prepared;

    if (prepared == NULL || !prepared->is_small)
        PQsetSingleRowMode(run->conn->pg);
    receive(run);
    if (prepared != NULL)
        prepared->is_small =
            run->status == WEIR_OK && (run->result == NULL || run->result->bytes <= SMALL_RESULT);
}

/* The declared types of blobs, so that their binary bytes are not taken for anything else. NULL
 * when there is no memory. */
static Oid *types_of(const struct pg_params *params)
{
    Oid *types = calloc((size_t)params->count, sizeof(*types));

    for (int i = 0; types != NULL && i < params->count; i++)
        types[i] = params->formats[i] == 1 ? BYTEA_OID : 0;
    return types;
}

static weir_status send_statement(struct run *run, const struct statement *statement,
                                  const struct pg_params *params)
{
    PGconn *pg = run->conn->pg;
    Oid *types = NULL;
    int is_sent;

    if (run->prepared != NULL) {
        is_sent = PQsendQueryPrepared(pg, run->prepared->name, params->count, params->texts,
                                      params->lengths, params->formats, 0);
    } else {
        if ((params->blobs != 0 || params->has_late_blob) && (types = types_of(params)) == NULL)
            return weir_error_set(run->reterr, WEIR_NO_MEMORY, "no memory for %d parameters",
                                  params->count);
        is_sent = PQsendQueryParams(pg, statement->text, params->count, types, params->texts,
                                    params->lengths, params->formats, 0);
        free(types);
    }
    return is_sent ? WEIR_OK : weir__pg_error(run->conn, NULL, run->reterr);
}

/* Run it once, preparing it before if that is worth it. */
static void run_once(struct run *run, struct statement *statement, const struct pg_params *params)
{
    struct pg_conn *conn = run->conn;
    struct pg_prepared *prepared = statement->prepared;

    if (prepared != NULL && (prepared->epoch != conn->epoch || prepared->blobs != params->blobs)) {
        weir__pg_forget(conn, statement);
        prepared = NULL;
    }
    if (prepared == NULL && statement->is_cached && !params->has_late_blob) {
        fail(run, prepare(conn, statement, params->blobs, run->deadline, run->reterr));
        if (run->status != WEIR_OK)
            return;
        run->start = weir_now();
        prepared = statement->prepared;
    }
    run->prepared = prepared;
    conn->is_dirty |=
        prepared != NULL ? prepared->touches_session : weir__pg_touches_session(statement->text);
    fail(run, send_statement(run, statement, params));
    if (run->status != WEIR_OK)
        return;
    receive_rows(run);
}

/*
 * The server no longer has what was prepared (26000), or its table was altered since ("cached
 * plan must not change result type"). Such a statement fails before it does anything, so outside
 * a transaction it is prepared anew and run again; inside one the transaction has failed and is
 * the caller's to repeat.
 */
static void run_again(struct run *run, struct statement *statement, const struct pg_params *params,
                      bool was_idle)
{
    weir__pg_forget(run->conn, statement);
    weir_result_close(run->result);
    run->result = NULL;
    if (was_idle && weir__pg_state(run->conn) == CONN_IDLE) {
        run->status = WEIR_OK;
        run->start = weir_now();
        run_once(run, statement, params);
    } else if (run->status == WEIR_QUERY) {
        run->status = WEIR_RETRY;
        if (run->reterr != NULL)
            run->reterr->status = WEIR_RETRY;
    }
}

weir_status weir__pg_query(void *arg, struct statement *statement, const weir_value *values,
                           weir_time deadline, weir_result **ret_result, weir_error *reterr)
{
    struct pg_conn *conn = arg;
    struct pg_params params;
    weir_time now = weir_now();
    struct run run = {
        .conn = conn,
        .start = now,
        .patience = weir__pg_patience(now, deadline),
        .deadline = deadline,
        .wants_rows = ret_result != NULL,
        .reterr = reterr,
    };

    run.status = check_usable(conn, now, deadline, reterr);
    if (run.status != WEIR_OK)
        return run.status;
    bool was_idle = PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
    bool commits_failed = weir__pg_commits_failed(conn, statement->text);
    run.status = weir__pg_params_init(&params, statement, values, reterr);
    if (run.status == WEIR_OK)
        run_once(&run, statement, &params);
    if (run.is_stale)
        run_again(&run, statement, &params, was_idle);
    weir__pg_params_clear(&params);
    if (run.status == WEIR_OK && commits_failed)
        run.status = weir__pg_commit_failed(reterr);
    if (run.status == WEIR_OK && ret_result != NULL)
        *ret_result = run.result;
    else
        weir_result_close(run.result);
    return run.status;
}

weir_status weir__pg_script(void *arg, const char *sql, weir_time deadline, weir_error *reterr)
{
    struct pg_conn *conn = arg;
    weir_time now = weir_now();
    struct run run = {
        .conn = conn,
        .start = now,
        .patience = weir__pg_patience(now, deadline),
        .deadline = deadline,
        .reterr = reterr,
    };

    run.status = check_usable(conn, now, deadline, reterr);
    if (run.status != WEIR_OK)
        return run.status;
    /* The server would go on with what follows the commit. */
    if (weir__pg_commits_failed(conn, sql)) {
        run.status = weir__pg_command(conn, "ROLLBACK", deadline, NULL, reterr);
        return run.status == WEIR_OK ? weir__pg_commit_failed(reterr) : run.status;
    }
    conn->is_dirty |= weir__pg_touches_session(sql);
    if (!PQsendQuery(conn->pg, sql))
        return weir__pg_error(conn, NULL, reterr);
    receive_rows(&run);
    return run.status;
}
