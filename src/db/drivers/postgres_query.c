/* SPDX-License-Identifier: MIT */
/* Statements and scripts on PostgreSQL: preparing them, running them, taking in their results. */
#include "db/drivers/postgres.h"
#include "db/events.h"

#include <stdlib.h>
#include <string.h>

/* Results up to this size, in bytes, are small; see receive_rows(). */
#define SMALL_RESULT 65536

/* Fit for a statement, and time left for it: one whose deadline has passed is never sent. */
static weir_status check_usable(struct pg_conn *conn, weir_time now, weir_time deadline,
                                weir_error *reterr)
{
    weir_status status = weir__pg_await_stop(conn, deadline, reterr);
    enum conn_state state = weir__pg_state(conn);

    if (status != WEIR_OK)
        return status;
    if (state == CONN_LOST)
        return weir_error_set(reterr, WEIR_DISCONNECTED, "the connection is lost");
    if (state == CONN_BROKEN)
        return weir_error_set(reterr, WEIR_DISCONNECTED,
                              "an earlier statement on this connection could not be stopped");
    return now >= deadline ? weir__pg_timeout(reterr) : WEIR_OK;
}

/* ---- one statement ------------------------------------------------------------------------- */

/* What an error says about the statement as it was sent. */
enum failure {
    FAILURE_ITS_OWN,      /* nothing: it is the statement's */
    FAILURE_LOST,         /* the server no longer has what was prepared */
    FAILURE_STALE,        /* or what a pooler has under its text; its table was altered */
    FAILURE_MAY_BE_STALE, /* types of before may be the cause */
};

/* What is known of a statement while its results come in. */
struct run {
    struct pg_conn *conn;
    struct pg_prepared *prepared; /* NULL when it is not */
    weir_time start;
    weir_time deadline;
    const char *sql;
    bool is_script;
    struct pg_effects effects;
    bool wants_rows;
    bool was_idle;      /* outside a transaction when it began */
    bool has_ended;     /* the server said how a statement ended */
    bool begins;        /* it was BEGIN or START TRANSACTION */
    enum failure cause; /* what may be done about its error */
    int tries;          /* that failed because it was lost or stale */
    enum pg_way way;
    uint64_t edition; /* of the text it was sent with */
    weir_result *result;
    weir_status status;
    weir_error *reterr;
};

static void fail(struct run *run, weir_status status)
{
    if (run->status == WEIR_OK)
        run->status = status;
}

static bool has_names(const struct columns *columns, const PGresult *rows)
{
    if (columns->count != (size_t)PQnfields(rows))
        return false;
    for (int i = 0; i < (int)columns->count; i++) {
        if (strcmp(columns->names[i], PQfname(rows, i)) != 0)
            return false;
    }
    return true;
}

static struct columns *read_names(const PGresult *rows)
{
    const char *names_inline[64];
    const char **names = names_inline;
    size_t count = (size_t)PQnfields(rows);

    if (count > 64 && (names = malloc(count * sizeof(*names))) == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        names[i] = PQfname(rows, (int)i);
    struct columns *columns = weir__columns_new(count, names);
    if (names != names_inline)
        free(names);
    return columns;
}

/*
 * The columns of a result: those of the statement's last one when they have the same names, which the
 * server sends with each. A command may have others each time: FETCH from a cursor that was declared
 * again, EXECUTE of a name that was prepared again. A prepared query has the same while it is
 * prepared: the server (12 to 18) refuses it when types or names are others (0A000). Behind a pooler
 * it is prepared in several sessions. The caller owns a reference.
 */
static struct columns *columns_of(const struct run *run, const PGresult *rows)
{
    struct pg_prepared *prepared = run->prepared;
    struct columns *columns = prepared != NULL ? prepared->columns : NULL;

    if (columns != NULL && run->way == PG_PREPARED && prepared->has_same_columns &&
        columns->count == (size_t)PQnfields(rows)) {
        atomic_fetch_add_explicit(&columns->references, 1, memory_order_relaxed);
        return columns;
    }
    if (columns == NULL || !has_names(columns, rows)) {
        columns = read_names(rows);
        if (columns == NULL || prepared == NULL)
            return columns;
        weir__columns_unref(prepared->columns);
        prepared->columns = columns;
    }
    prepared->has_same_columns =
        run->way == PG_PREPARED && prepared->is_select && !run->conn->is_pooled;
    atomic_fetch_add_explicit(&columns->references, 1, memory_order_relaxed);
    return columns;
}

static void open_result(struct run *run, const PGresult *rows)
{
    struct columns *columns = columns_of(run, rows);

    if (columns == NULL) {
        fail(run, weir_error_set(run->reterr, WEIR_NO_MEMORY,
                                 "out of memory for the columns of a result"));
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

    run->has_ended = true;
    run->begins = tag[0] == 'B' || (tag[0] == 'S' && tag[1] == 'T');
    weir__pg_note_command(run->conn, tag);
    weir__pg_note_change(run->conn, tag, run->sql, run->effects, run->is_script);
    take_rows(run, done);
    if (run->result != NULL)
        run->result->changed = changed_rows(done, tag);
}

/* Whether a statement speaks of prepared statements of its own. */
static bool names_statements(const char *sql)
{
    return strcasestr(sql, "execute") != NULL || strcasestr(sql, "deallocate") != NULL;
}

/*
 * 26000: weir's own statement is missing, when the error names it (messages are translated, names
 * are not, and weir's are random), or when a pooler, which knows it by another name, could say no
 * more. Functions raise 26000 as well, with a context or from another source function, and so do
 * EXECUTE and DEALLOCATE.
 */
static bool is_ours(const struct run *run, const PGresult *failed)
{
    const char *message = PQresultErrorField(failed, PG_DIAG_MESSAGE_PRIMARY);
    const char *function = PQresultErrorField(failed, PG_DIAG_SOURCE_FUNCTION);

    if (message != NULL && strstr(message, run->prepared->name) != NULL)
        return true;
    return PQresultErrorField(failed, PG_DIAG_CONTEXT) == NULL && !names_statements(run->sql) &&
           (function == NULL || strcmp(function, "FetchPreparedStatement") == 0);
}

/* Errors that parameters of a type of before can be the cause of, as it was seen on 15: an enum that
 * was made anew (XX000), a function of another type (42883), a column (22P02, 22003, 42804 …). */
static bool may_be_stale(const char *sqlstate)
{
    static const char *const states[] = {"XX000", "0A000", "42883", "42804", "42725",
                                         "42P18", "42846", "22P02", "22P03", "22003",
                                         "22007", "22008", "22023"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strcmp(sqlstate, states[i]) == 0)
            return true;
    }
    return false;
}

static enum failure cause_of(const struct run *run, const PGresult *failed)
{
    const char *sqlstate = PQresultErrorField(failed, PG_DIAG_SQLSTATE);

    if (run->is_script || sqlstate == NULL)
        return FAILURE_ITS_OWN;
    if (run->way == PG_PREPARED && strcmp(sqlstate, "26000") == 0)
        return is_ours(run, failed) ? FAILURE_LOST : FAILURE_ITS_OWN;
    /* EXECUTE of the caller's own is his own; nothing that could be done would make it another. */
    if (weir__pg_is_stale(failed) && !names_statements(run->sql))
        return FAILURE_STALE;
    return may_be_stale(sqlstate) ? FAILURE_MAY_BE_STALE : FAILURE_ITS_OWN;
}

static void take_error(struct run *run, const PGresult *failed)
{
    run->has_ended = true;
    if (run->status != WEIR_OK)
        return;
    run->cause = cause_of(run, failed);
    fail(run, weir__pg_error(run->conn, failed, run->reterr));
}

/* COPY speaks a protocol of its own that weir has no calls for. */
static void refuse_copy(struct run *run)
{
    run->conn->is_broken = true;
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
        weir_status status = weir__pg_next(conn, run->deadline, max_bytes, &result);
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
            weir__pg_note_end(conn);
            if (!run->has_ended)
                fail(run, weir__pg_no_answer(conn, run->reterr));
            return;
        }
        bool goes_on = take(run, result);
        PQclear(result);
        if (!goes_on)
            break;
    }
    if (!conn->is_broken)
        weir__pg_stop(conn);
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

static weir_status send_unprepared(struct run *run, const struct statement *statement,
                                   const struct pg_params *params)
{
    char *storage = NULL;
    const char *sql = weir__pg_text(statement, run->edition, &storage);
    Oid inline_types[PG_INLINE_PARAMS];
    Oid *types = inline_types;
    const Oid *declared = params->declared;
    weir_status status = WEIR_OK;

    if (params->count > PG_INLINE_PARAMS && declared == NULL)
        types = calloc((size_t)params->count, sizeof(*types));
    if (sql == NULL || types == NULL) {
        status = weir_error_set(run->reterr, WEIR_NO_MEMORY,
                                "send a statement with %d parameters: out of "
                                "memory",
                                params->count);
    } else {
        if (declared == NULL && weir__pg_types_write(params, params->typing, types))
            declared = types;
        if (!PQsendQueryParams(run->conn->pg, sql, params->count, declared, params->texts,
                               params->lengths, params->formats, 0))
            status = weir__pg_error(run->conn, NULL, run->reterr);
    }
    free(storage);
    if (types != inline_types)
        free(types);
    return status;
}

static weir_status send_statement(struct run *run, const struct statement *statement,
                                  const struct pg_params *params)
{
    if (run->way != PG_PREPARED || run->prepared == NULL) {
        run->edition = weir__pg_edition(run->conn, false);
        return send_unprepared(run, statement, params);
    }
    run->edition = run->prepared->edition;
    if (!PQsendQueryPrepared(run->conn->pg, run->prepared->name, params->count, params->texts,
                             params->lengths, params->formats, 0))
        return weir__pg_error(run->conn, NULL, run->reterr);
    return WEIR_OK;
}

/* Run it once, as make_ready() has said. */
static void run_once(struct run *run, struct statement *statement, const struct pg_params *params)
{
    run->prepared = statement->prepared;
    run->effects =
        run->prepared != NULL ? run->prepared->effects : weir__pg_effects_of(statement->text);
    run->conn->is_dirty |= run->effects.touches_session;
    run->has_ended = false;
    run->cause = FAILURE_ITS_OWN;
    fail(run, send_statement(run, statement, params));
    if (run->status == WEIR_OK)
        receive_rows(run);
}

static void run_unprepared(struct run *run, struct statement *statement, struct pg_params *params)
{
    weir_result_close(run->result);
    run->result = NULL;
    run->status = WEIR_OK;
    run->start = weir_now();
    run->way = PG_UNPREPARED;
    run_once(run, statement, params);
}

/* Outside of a transaction again, so that all was rolled back. */
static bool is_undone(const struct run *run)
{
    return run->was_idle && weir__pg_state(run->conn) == CONN_IDLE;
}

/*
 * What was prepared is of no use any more: the server does not have it (26000), or its table was
 * altered ("cached plan must not change result type"). Such a statement fails before it does
 * anything, so outside a transaction it is run again, unprepared. A pooler may find that, too, by
 * its text (Odyssey since 1.5), so there it goes with the remark of a new edition, and once more
 * when another connection had that prepared before the next change. Inside a transaction this has
 * failed and is the caller's to retry.
 */
static void run_again(struct run *run, struct statement *statement, struct pg_params *params)
{
    struct pg_prepared *prepared = statement->prepared;

    if (run->cause == FAILURE_LOST) {
        prepared->was_lost = !run->conn->saw_deallocate;
        prepared->name[0] = '\0';
        weir__pg_note_loss(run->conn);
    } else {
        weir__pg_renew_edition(run->conn, run->edition);
        if (prepared != NULL)
            weir__pg_unprepare(run->conn, prepared);
    }
    run->cause = FAILURE_ITS_OWN;
    if (is_undone(run) && ++run->tries < PG_TRIES)
        run_unprepared(run, statement, params);
    else if (run->status == WEIR_QUERY)
        run->status = weir__pg_stale(run->reterr);
}

static void run_while_stale(struct run *run, struct statement *statement, struct pg_params *params)
{
    while (run->cause == FAILURE_LOST || run->cause == FAILURE_STALE)
        run_again(run, statement, params);
}

/*
 * The error may come of types that the parameters no longer have. That is for the server to say, and
 * only when it does the statement runs again: it has failed and was rolled back, so what it did is
 * undone, except for what no rollback undoes (sequences, what functions do elsewhere). CALL may
 * have committed half of its work and never runs twice. Inside a transaction the error stays.
 */
static void look_into_error(struct run *run, struct statement *statement, struct pg_params *params)
{
    struct pg_prepared *prepared = statement->prepared;

    if (run->way == PG_UNPREPARED) {
        weir__pg_forget_types(run->conn, statement, params);
        return;
    }
    if (params->count == 0)
        return;
    prepared->checked_at = 0; /* long ago */
    if (!is_undone(run) || strcmp(weir__operation_of(run->sql, DIALECT_POSTGRES), "CALL") == 0 ||
        !weir__pg_is_outdated(run->conn, statement, params, run->deadline))
        return;
    weir__pg_renew_edition(run->conn, prepared->edition);
    weir__pg_unprepare(run->conn, prepared);
    weir__pg_forget_types(run->conn, statement, params);
    weir_result_close(run->result);
    run->result = NULL;
    run->status = weir__pg_make_ready(run->conn, statement, params, &run->start, run->deadline,
                                      &run->way, run->reterr);
    if (run->status == WEIR_OK)
        run_once(run, statement, params);
}

static void run_statement(struct run *run, struct statement *statement, struct pg_params *params)
{
    run->status = weir__pg_make_ready(run->conn, statement, params, &run->start, run->deadline,
                                      &run->way, run->reterr);
    if (run->status != WEIR_OK)
        return;
    run_once(run, statement, params);
    run_while_stale(run, statement, params);
    if (run->cause == FAILURE_MAY_BE_STALE) {
        look_into_error(run, statement, params);
        run_while_stale(run, statement, params);
    }
}

/*
 * Outside of a transaction each statement stands for itself. pgpool-II 4.3.5 in raw mode begins a
 * transaction of its own for the first write of a session by the extended protocol, and leaves it
 * open: what was stored would be rolled back when the connection is released.
 */
static void commit_what_others_began(struct run *run)
{
    if (run->status == WEIR_OK && run->was_idle && !run->begins &&
        PQtransactionStatus(run->conn->pg) == PQTRANS_INTRANS)
        run->status = weir__pg_command(run->conn, "COMMIT", run->deadline, NULL, run->reterr);
}

weir_status weir__pg_query(void *arg, struct statement *statement, const weir_value *values,
                           weir_time deadline, weir_result **ret_result, weir_error *reterr)
{
    struct pg_conn *conn = arg;
    struct pg_params params;
    weir_time now = weir_now();
    struct run run = {
        .conn = conn,
        .sql = statement->text,
        .start = now,
        .deadline = deadline,
        .wants_rows = ret_result != NULL,
        .reterr = reterr,
    };

    run.status = check_usable(conn, now, deadline, reterr);
    if (run.status != WEIR_OK)
        return run.status;
    run.was_idle = PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
    bool commits_failed = weir__pg_commits_failed(conn, statement->text);
    run.status = weir__pg_params_init(&params, statement, values, reterr);
    if (run.status == WEIR_OK)
        run_statement(&run, statement, &params);
    commit_what_others_began(&run);
    weir__pg_params_clear(&params);
    if (run.status == WEIR_OK && commits_failed)
        run.status = weir__pg_commit_failed(reterr);

    const struct pg_prepared *prepared = statement->prepared;
    if (run.status != WEIR_OK && prepared != NULL && prepared->name[0] == '\0' &&
        !prepared->is_typed)
        weir__pg_forget(conn, statement); /* nothing worth keeping is known of it */
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
        .sql = sql,
        .is_script = true,
        .start = now,
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
    run.effects = weir__pg_effects_of(sql);
    conn->is_dirty |= run.effects.touches_session;
    if (!PQsendQuery(conn->pg, sql))
        return weir__pg_error(conn, NULL, reterr);
    receive_rows(&run);
    return run.status;
}
