/* SPDX-License-Identifier: MIT */
/* Declares how the types of a statement's parameters are found: used by postgres_prepare.c. */
#ifndef WEIR_DB_POSTGRES_INFER_TYPES_H
#define WEIR_DB_POSTGRES_INFER_TYPES_H

#include "db/drivers/postgres.h"

/* A statement that is being prepared. */
struct pg_job {
    struct pg_conn *conn;
    const struct statement *statement;
    const struct pg_params *params;
    weir_time deadline;
    bool is_named; /* prepare it, not only ask */
    uint64_t edition;
    bool met_stale; /* the last try failed because a pooler had the text from before a change */

    uint64_t number; /* of its name; 0: none */
    char name[48];
    enum pg_typing typing;
    enum pg_typing first_typing;
    uint64_t tried;
    struct pg_description first;
    Oid *types; /* room for all parameters */
};

/* Whether the server says by this error that it had to guess a type. */
bool weir__pg_is_guess(const weir_error *error);

/*
 * Parse and describe the statement with as few declared types as the server accepts. On success the job
 * has the name, the typing and the description that were found. Errors as weir__pg_error().
 */
weir_status weir__pg_resolve_types(struct pg_job *job, weir_error *reterr);

#endif
