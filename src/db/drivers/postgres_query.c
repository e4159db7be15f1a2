/* SPDX-License-Identifier: MIT */
/* Runs statements and scripts on PostgreSQL, and runs them again where that is right. */
#include "db/drivers/postgres_result.h"
#include "db/events.h"

#include <stdlib.h>
#include <string.h>

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

static weir_status send_unprepared(struct pg_run *run, const struct statement *statement,
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

static weir_status send_statement(struct pg_run *run, const struct statement *statement,
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
static void run_once(struct pg_run *run, struct statement *statement,
                     const struct pg_params *params)
{
    run->prepared = statement->prepared;
    run->effects =
        run->prepared != NULL ? run->prepared->effects : weir__pg_effects_of(statement->text);
    run->conn->is_dirty |= run->effects.touches_session;
    run->has_ended = false;
    run->cause = FAILURE_ITS_OWN;
    weir__pg_fail(run, send_statement(run, statement, params));
    if (run->status == WEIR_OK)
        weir__pg_receive_rows(run);
}

static void run_unprepared(struct pg_run *run, struct statement *statement,
                           struct pg_params *params)
{
    weir_result_close(run->result);
    run->result = NULL;
    run->status = WEIR_OK;
    run->start = weir_now();
    run->way = PG_UNPREPARED;
    run_once(run, statement, params);
}

/* Outside of a transaction again, so that all was rolled back. */
static bool is_undone(const struct pg_run *run)
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
static void run_again(struct pg_run *run, struct statement *statement, struct pg_params *params)
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

static void run_while_stale(struct pg_run *run, struct statement *statement,
                            struct pg_params *params)
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
static void look_into_error(struct pg_run *run, struct statement *statement,
                            struct pg_params *params)
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

static void run_statement(struct pg_run *run, struct statement *statement, struct pg_params *params)
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
static void commit_what_others_began(struct pg_run *run)
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
    struct pg_run run = {
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
    struct pg_run run = {
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
    weir__pg_receive_rows(&run);
    return run.status;
}
