/* SPDX-License-Identifier: MIT */
/* Receives what PostgreSQL answers to a statement: its columns, its rows, its end and its errors. */
#include "db/drivers/postgres_result.h"

#include <stdlib.h>
#include <string.h>

/* Results up to this size, in bytes, are small; see weir__pg_receive_rows(). */
#define SMALL_RESULT 65536

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
static struct columns *columns_of(const struct pg_run *run, const PGresult *rows)
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

static void open_result(struct pg_run *run, const PGresult *rows)
{
    struct columns *columns = columns_of(run, rows);

    if (columns == NULL) {
        weir__pg_fail(run, weir_error_set(run->reterr, WEIR_NO_MEMORY,
                                          "out of memory for the columns of a result"));
        return;
    }
    weir__pg_fail(run, weir__result_new(columns, 1, run->conn->config->options.max_result_bytes,
                                        &run->result, run->reterr));
    weir__columns_unref(columns);
}

static void take_rows(struct pg_run *run, const PGresult *rows)
{
    struct cell *cells = NULL;

    if (!run->wants_rows || run->status != WEIR_OK)
        return;
    if (run->result == NULL)
        open_result(run, rows);
    for (int row = 0; row < PQntuples(rows) && run->status == WEIR_OK; row++) {
        weir__pg_fail(run, weir__result_add_row(run->result, &cells, run->reterr));
        if (run->status == WEIR_OK)
            weir__pg_fail(run, weir__pg_read_row(run->result, rows, row, cells, run->reterr));
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

static void take_end(struct pg_run *run, PGresult *done)
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
static bool is_ours(const struct pg_run *run, const PGresult *failed)
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

static enum pg_failure cause_of(const struct pg_run *run, const PGresult *failed)
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

static void take_error(struct pg_run *run, const PGresult *failed)
{
    run->has_ended = true;
    if (run->status != WEIR_OK)
        return;
    run->cause = cause_of(run, failed);
    weir__pg_fail(run, weir__pg_error(run->conn, failed, run->reterr));
}

/* COPY speaks a protocol of its own that weir has no calls for. */
static void refuse_copy(struct pg_run *run)
{
    run->conn->is_broken = true;
    weir__pg_fail(
        run, weir_error_set(run->reterr, WEIR_UNSUPPORTED,
                            "COPY FROM STDIN and COPY TO STDOUT cannot be run as statements; the "
                            "connection will be closed"));
}

/* Take one result; false when there is no use in waiting for more. */
static bool take(struct pg_run *run, PGresult *result)
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
static void receive(struct pg_run *run)
{
    struct pg_conn *conn = run->conn;
    int64_t max_bytes = conn->config->options.max_result_bytes;
    PGresult *result = NULL;

    conn->asked_at = run->start;
    for (;;) {
        weir_status status = weir__pg_next(conn, run->deadline, max_bytes, &result);
        if (status == WEIR_TIMEOUT)
            weir__pg_fail(run, weir__pg_timeout(run->reterr));
        if (status == WEIR_LIMIT)
            weir__pg_fail(run, weir_error_set(run->reterr, WEIR_LIMIT,
                                              "the result is larger than max_result_bytes (%lld)",
                                              (long long)max_bytes));
        if (status != WEIR_OK)
            break;
        if (result == NULL) {
            conn->answered_after = run->start;
            weir__pg_note_end(conn);
            if (!run->has_ended)
                weir__pg_fail(run, weir__pg_no_answer(conn, run->reterr));
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

void weir__pg_receive_rows(struct pg_run *run)
{
    struct pg_prepared *prepared = run->prepared;

    if (prepared == NULL || !prepared->is_small)
        PQsetSingleRowMode(run->conn->pg);
    receive(run);
    if (prepared != NULL)
        prepared->is_small =
            run->status == WEIR_OK && (run->result == NULL || run->result->bytes <= SMALL_RESULT);
}
