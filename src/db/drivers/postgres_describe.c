/* SPDX-License-Identifier: MIT */
/* Asking PostgreSQL what a statement is, and the names of those it keeps. */
#include "common/hash.h"
#include "db/drivers/postgres.h"

#include <stdio.h>

/* ---- names --------------------------------------------------------------------------------- */

void weir__pg_name(struct pg_conn *conn, uint64_t number, char name[48])
{
    if (conn->name_prefix == 0)
        conn->name_prefix = weir__pg_random() | 1;
    snprintf(name, 48, "weir_%016llx_%llu", (unsigned long long)conn->name_prefix,
             (unsigned long long)number);
}

void weir__pg_drop_name(struct pg_conn *conn, uint64_t number)
{
    if (PG_CAN_CLOSE && conn->dropped_count < PG_DROPPED) {
        conn->dropped[conn->dropped_count++] = number;
        return;
    }
    if (conn->abandoned_epoch != conn->epoch) {
        conn->abandoned_epoch = conn->epoch;
        conn->abandoned_count = 0;
    }
    conn->abandoned_count++;
}

/* ---- asking the server what a statement is ------------------------------------------------- */

/* Names that nobody uses any more go along with the next question. Returns how many answers they
 * bring, or -1. */
static int send_closes(struct pg_conn *conn)
{
    int count = 0;

#ifdef WEIR_WITH_PQ_CLOSE
    char name[48];

    for (; count < conn->dropped_count; count++) {
        weir__pg_name(conn, conn->dropped[count], name);
        if (!PQsendClosePrepared(conn->pg, name))
            return -1;
    }
#endif
    conn->dropped_count = 0;
    return count;
}

/* Send all of it with one Sync behind, so that it costs one round trip. Returns how many answers come
 * before that of the description, or -1. */
static int send_question(struct pg_conn *conn, const struct pg_question *question)
{
    PGconn *pg = conn->pg;
    int before;

    if (!PQenterPipelineMode(pg) || (before = send_closes(conn)) < 0)
        return -1;
    if (question->is_guarded &&
        !PQsendQueryParams(pg, "SAVEPOINT " PG_GUARD, 0, NULL, NULL, NULL, NULL, 0))
        return -1;
    if (question->forgets_plans &&
        !PQsendQueryParams(pg, "DISCARD PLANS", 0, NULL, NULL, NULL, NULL, 0))
        return -1;
    if (!PQsendPrepare(pg, question->name, question->text, question->type_count, question->types) ||
        !PQsendDescribePrepared(pg, question->name))
        return -1;
    if (question->is_guarded &&
        !PQsendQueryParams(pg, "RELEASE SAVEPOINT " PG_GUARD, 0, NULL, NULL, NULL, NULL, 0))
        return -1;
    before += question->is_guarded + question->forgets_plans;
    return PQpipelineSync(pg) ? before + 1 : -1;
}

static struct pg_description read_description(const PGresult *answer)
{
    struct pg_description description = {.fingerprint = (uint64_t)PQnparams(answer)};

    for (int i = 0; i < PQnparams(answer); i++) {
        Oid type = PQparamtype(answer, i);
        description.fingerprint = hash_mix(description.fingerprint, type);
        if (type == OID_TEXT && i < 64)
            description.texts |= (uint64_t)1 << i;
    }
    for (int i = 0; i < PQnfields(answer); i++) {
        description.fingerprint = hash_mix(description.fingerprint, PQftype(answer, i));
        description.fingerprint = hash_mix(description.fingerprint, (uint64_t)PQfmod(answer, i));
        for (const char *at = PQfname(answer, i); *at != '\0'; at++)
            description.fingerprint = hash_mix(description.fingerprint, (unsigned char)*at);
    }
    return description;
}

weir_status weir__pg_ask(struct pg_conn *conn, const struct pg_question *question,
                         weir_time deadline, struct pg_description *ret_description,
                         weir_error *reterr)
{
    weir_status status = weir__pg_await_stop(conn, deadline, reterr);
    weir_status waited;
    PGresult *answer = NULL;

    if (status != WEIR_OK)
        return status;
    int before = send_question(conn, question);
    if (before < 0) {
        conn->is_broken = true;
        return weir__pg_error(conn, NULL, reterr);
    }
    while ((waited = weir__pg_next(conn, deadline, INT64_MAX, &answer)) == WEIR_OK &&
           answer != NULL) {
        ExecStatusType kind = PQresultStatus(answer);
        if (kind == PGRES_COMMAND_OK && before-- == 0)
            *ret_description = read_description(answer);
        else if (kind != PGRES_COMMAND_OK && kind != PGRES_PIPELINE_ABORTED && status == WEIR_OK)
            status = weir__pg_error(conn, answer, reterr);
        PQclear(answer);
    }
    if (waited != WEIR_OK) {
        weir__pg_stop(conn);
        return status == WEIR_OK ? weir__pg_timeout(reterr) : status;
    }
    if (status == WEIR_OK && before >= 0)
        return weir__pg_no_answer(conn, reterr);
    return status;
}
