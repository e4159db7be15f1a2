/* SPDX-License-Identifier: MIT */
/* Finds out which types PostgreSQL must be told for a statement's parameters, by asking the server. */
#include "db/drivers/postgres_infer_types.h"

#include <stdlib.h>
#include <string.h>

/* What the server says when it had to guess: 42P18 and 42725 ($1 IS NULL, $1 + $2), 42804 (a
 * polymorphic function of nothing but unknowns), 42883 (coalesce($1, $2) + 1, where text was the
 * guess). */
bool weir__pg_is_guess(const weir_error *error)
{
    static const char *const states[] = {"42P18", "42725", "42804", "42883"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strcmp(error->sqlstate, states[i]) == 0)
            return true;
    }
    return false;
}

static bool is_collision(const weir_error *error)
{
    return strcmp(error->sqlstate, "42P05") == 0;
}

static bool is_in_transaction(const struct pg_conn *conn)
{
    return PQtransactionStatus(conn->pg) == PQTRANS_INTRANS;
}

static weir_status ask_as(struct pg_job *job, enum pg_typing typing, bool is_guarded,
                          struct pg_description *ret_description, weir_error *reterr)
{
    char *storage = NULL;
    struct pg_question question = {
        .name = job->name,
        .text = weir__pg_text(job->statement, job->edition, &storage),
        .types = job->types,
        .type_count = job->params->count,
        .is_guarded = is_guarded,
    };

    if (question.text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "prepare a statement: out of memory");
    job->met_stale = false;
    if (!weir__pg_types_write(job->params, typing, job->types))
        question.type_count = 0;
    job->number = 0;
    job->name[0] = '\0';
    if (job->is_named) {
        job->number = ++job->conn->last_name;
        weir__pg_name(job->conn, job->number, job->name);
    }
    weir_status status = weir__pg_ask(job->conn, &question, job->deadline, ret_description, reterr);
    free(storage);
    if (status == WEIR_OK)
        job->typing = typing;
    job->met_stale = status == WEIR_QUERY && job->conn->met_stale;
    return status;
}

/*
 * The same, in a way that a transaction survives when the server cannot tell the types: then it has
 * rolled back to before. Where there is nothing to guess no savepoint is set.
 */
static weir_status try_once(struct pg_job *job, enum pg_typing typing,
                            struct pg_description *ret_description, weir_error *reterr)
{
    bool is_guarded = job->params->count > 0 && is_in_transaction(job->conn);
    weir_status status = ask_as(job, typing, is_guarded, ret_description, reterr);

    if (status != WEIR_QUERY || !is_guarded)
        return status;
    weir_status undone = weir__pg_command(
        job->conn, "ROLLBACK TO SAVEPOINT " PG_GUARD "; RELEASE SAVEPOINT " PG_GUARD, job->deadline,
        NULL, reterr);
    return undone == WEIR_OK ? status : undone;
}

/* What a pooler has under this text is out of date: nothing has happened yet, so another text is
 * tried, unless the transaction has failed by it and is its owner's to retry. */
static weir_status try_as(struct pg_job *job, enum pg_typing typing,
                          struct pg_description *ret_description, weir_error *reterr)
{
    weir_status status = try_once(job, typing, ret_description, reterr);

    for (int tries = 1; status == WEIR_QUERY && job->met_stale; tries++) {
        weir__pg_renew_edition(job->conn, job->edition);
        job->edition = weir__pg_edition(job->conn, job->is_named);
        if (PQtransactionStatus(job->conn->pg) == PQTRANS_INERROR || tries == PG_TRIES)
            return weir__pg_stale(reterr);
        status = try_once(job, typing, ret_description, reterr);
    }
    return status;
}

/*
 * Numbers that the server took for text, because nothing in the statement told it otherwise
 * (SELECT $1 > $2 compares texts, and 10 is less than 9): declare them, if it takes that. It does not
 * where text is what the place wants.
 */
static weir_status try_numbers(struct pg_job *job, weir_error *reterr)
{
    struct pg_job typed = *job;
    struct pg_description description;
    weir_status status;

    if ((job->params->numbers & job->first.texts & ~job->tried) == 0)
        return WEIR_OK;
    job->tried |= job->params->numbers;
    status = try_as(&typed, PG_TYPED, &description, reterr);
    if (status == WEIR_QUERY)
        return WEIR_OK;
    if (job->number != 0)
        weir__pg_drop_name(job->conn, job->number);
    *job = typed;
    return status;
}

/* Fail as the server does, also a transaction that was saved for further tries. */
static weir_status give_up(struct pg_job *job, weir_status status, const weir_error *first,
                           weir_error *reterr)
{
    struct pg_description none;

    if (is_in_transaction(job->conn) && status == WEIR_QUERY)
        status = ask_as(job, PG_UNTYPED, false, &none, reterr);
    else if (reterr != NULL)
        *reterr = *first;
    return status;
}

/* Find the least that the server has to be told; try more only when it could not do with less. */
weir_status weir__pg_resolve_types(struct pg_job *job, weir_error *reterr)
{
    weir_error first = {0};
    weir_error later;
    enum pg_typing typing = PG_UNTYPED;
    weir_status status = try_as(job, typing, &job->first, &first);

    if (status == WEIR_QUERY && is_collision(&first)) {
        job->conn->has_collided = true;
        job->is_named = false;
        job->edition = weir__pg_edition(job->conn, false);
        status = try_as(job, typing, &job->first, &first);
    }
    weir_status first_status = status;
    while (status == WEIR_QUERY && weir__pg_is_guess(&first) && typing < PG_TEXTUAL)
        status = try_as(job, ++typing, &job->first, &later);
    if (status != WEIR_OK && status != WEIR_QUERY && typing > PG_UNTYPED) {
        first = later; /* the connection's end, a deadline: news that matters more */
        first_status = status;
    }
    if (status != WEIR_OK)
        return give_up(job, first_status, &first, reterr);
    job->first_typing = typing;
    return typing == PG_UNTYPED ? try_numbers(job, reterr) : WEIR_OK;
}
