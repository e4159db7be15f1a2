/* SPDX-License-Identifier: MIT */
/* Declares the run of one statement: postgres_query.c sends it, postgres_result.c receives its answer. */
#ifndef WEIR_DB_POSTGRES_RESULT_H
#define WEIR_DB_POSTGRES_RESULT_H

#include "db/drivers/postgres.h"

/* What an error says about the statement as it was sent. */
enum pg_failure {
    FAILURE_ITS_OWN,      /* nothing: it is the statement's */
    FAILURE_LOST,         /* the server no longer has what was prepared */
    FAILURE_STALE,        /* or what a pooler has under its text; its table was altered */
    FAILURE_MAY_BE_STALE, /* types of before may be the cause */
};

/* What is known of a statement while its results come in. */
struct pg_run {
    struct pg_conn *conn;
    struct pg_prepared *prepared; /* NULL when it is not */
    weir_time start;
    weir_time deadline;
    const char *sql;
    bool is_script;
    struct pg_effects effects;
    bool wants_rows;
    bool was_idle;         /* outside a transaction when it began */
    bool has_ended;        /* the server said how a statement ended */
    bool begins;           /* it was BEGIN or START TRANSACTION */
    enum pg_failure cause; /* what may be done about its error */
    int tries;             /* that failed because it was lost or stale */
    enum pg_way way;
    uint64_t edition; /* of the text it was sent with */
    weir_result *result;
    weir_status status;
    weir_error *reterr;
};

/* Keep the first failure of the run. */
static inline void weir__pg_fail(struct pg_run *run, weir_status status)
{
    if (run->status == WEIR_OK)
        run->status = status;
}

/*
 * Receive all of what was sent.
 *
 * Rows are read one by one, so that no result grows beyond its limit before anybody looks. That
 * costs a few hundred instructions per row, so a prepared statement whose last result was small
 * is read in one piece, and only watched for receiving too much.
 */
void weir__pg_receive_rows(struct pg_run *run);

#endif
