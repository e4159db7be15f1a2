/* SPDX-License-Identifier: MIT */
/* What the connections of a pool are checked out for: the request, its trace, and the last statement of each. */
#ifndef WEIR_SERVER_LOANS_H
#define WEIR_SERVER_LOANS_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/trace.h>

struct loans;

/* Bytes of a statement that are kept, and of its text without values, terminating zeros included. */
#define LOAN_STATEMENT_SIZE 1024
#define LOAN_ROUTE_SIZE 128

struct loan {
    uint64_t connection_id;
    char route[LOAN_ROUTE_SIZE];         /* "GET /api/v1/tables/{table}"; "": no request's doing */
    char trace_id[WEIR_TRACE_ID_SIZE];   /* "": in no trace that is recorded */
    char statement[LOAN_STATEMENT_SIZE]; /* without its values; "": none yet */
};

/* For a pool of at most `connections`. The caller ends it with loans_close(). NULL: out of memory. */
struct loans *loans_open(int connections);
void loans_close(struct loans *loans);

/* The request that this thread works for from now on; both texts must outlive it. NULL: none. */
void loans_set_request(const char *method, const char *pattern);

/*
 * A connection was lent to this thread, for its request and in its trace; it is about to run a statement,
 * of which a copy is kept; it is about to be given back. Threads: the holder.
 */
void loans_begin(struct loans *loans, uint64_t connection_id);
void loans_set_statement(struct loans *loans, uint64_t connection_id, const char *sql);
void loans_end(struct loans *loans, uint64_t connection_id);

/*
 * What a connection is lent for; with `is_cancelling` what it was lent for last, since the statement that
 * is being cancelled is that one. False: nothing is known. Threads: any.
 */
bool loans_find(struct loans *loans, uint64_t connection_id, bool is_cancelling,
                struct loan *ret_loan);

#endif
