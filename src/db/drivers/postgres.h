/* SPDX-License-Identifier: MIT */
/* What the files of the PostgreSQL driver share: the connection, waiting, values, errors. */
#ifndef WEIR_DB_POSTGRES_H
#define WEIR_DB_POSTGRES_H

#include "db/driver.h"

#include <libpq-fe.h>

/* What target_session_attrs can ask for. */
enum pg_role { PG_ANY, PG_READ_WRITE, PG_READ_ONLY, PG_PRIMARY, PG_STANDBY, PG_PREFER_STANDBY };

/*
 * One connection; one thread at a time. libpq is used without blocking throughout, so that every
 * deadline holds. Only three flags are ours; whether a transaction is open, libpq reads from the
 * protocol.
 */
struct pg_conn {
    PGconn *pg;
    const struct db_config *config;
    bool is_tls;

    /* A pooler stands between, which may give each transaction another session: what is set for the
     * session would be left to others. Known from process numbers that differ. */
    bool is_pooled;

    enum pg_role wanted;
    bool is_fitting;    /* it was what `wanted` says before its first loan */
    bool was_read_only; /* a statement failed because of it (25006) */
    const char *note;   /* what is left out of the session's settings; NULL: nothing. Static */

    bool is_lost;     /* the server said goodbye or the socket broke */
    bool is_doubtful; /* a statement could not be ended: fit for closing only */
    bool is_silent;   /* and the server did not answer, so closing does not wait for it either */

    /* Whether the session was changed in ways that outlive a transaction (SET, LISTEN, temporary
     * tables …). On a loan such a connection is cleaned with DISCARD ALL; see reset(). */
    bool is_dirty;
    bool has_own_settings; /* of CONNECT listeners, made before the first loan */

    weir_time answered_after; /* when the last statement began that was answered to its end */
    weir_time asked_at;       /* when a statement began that nobody has waited for yet; else 0 */

    /* Of the result under way: how often the socket was read, and at least how many bytes came
     * since that is worth counting. */
    int reads;
    int64_t received;

    /* Counts the times the server forgot everything prepared; see struct pg_prepared. */
    uint64_t epoch;
    uint64_t last_name;

    /* Prepared statements nobody uses any more, not yet deallocated on the server. */
    struct pg_prepared *dropped;
    size_t dropped_count;
};

/*
 * What the driver keeps of a prepared statement. It exists on the server as long as `epoch` is the
 * connection's.
 */
struct pg_prepared {
    char name[24];
    uint64_t epoch;
    uint64_t blobs;          /* bit i: parameter i + 1 was declared bytea */
    bool touches_session;    /* its text may change the session; weir__pg_touches_session() */
    bool is_small;           /* its last result was; see receive_rows() */
    struct columns *columns; /* NULL until its first rows */
    struct pg_prepared *next_dropped;
};

/* ---- postgres_connect.c ------------------------------------------------------------------- */

weir_status weir__pg_engine_open(struct db_config *config, weir_error *reterr);
weir_status weir__pg_connect(struct db_config *config, weir_time deadline, void **ret_conn,
                             weir_error *reterr);
void weir__pg_close(void *conn);

/* ---- postgres.c --------------------------------------------------------------------------- */

enum conn_state weir__pg_state(void *conn);

/* ---- postgres_query.c --------------------------------------------------------------------- */

weir_status weir__pg_query(void *conn, struct statement *statement, const weir_value *values,
                           weir_time deadline, weir_result **ret_result, weir_error *reterr);
weir_status weir__pg_script(void *conn, const char *sql, weir_time deadline, weir_error *reterr);
void weir__pg_forget(void *conn, struct statement *statement);

/* ---- postgres_wait.c ---------------------------------------------------------------------- */

/* Sleep until `fd` is ready for `events`, or the deadline. `now` is weir_now() or a moment
 * earlier. The events that came; 0 at the deadline. */
int weir__pg_poll(int fd, int events, weir_time now, weir_time deadline);

/*
 * The next result of what was sent; NULL in *ret_result when there are no more. The caller clears
 * it. A broken connection shows as a result that is an error, and in is_lost.
 *
 * Errors, without a text:  WEIR_TIMEOUT: nothing came by the deadline. WEIR_LIMIT: this
 * one result has grown beyond max_bytes and is not yet complete.
 */
weir_status weir__pg_next(struct pg_conn *conn, weir_time deadline, int64_t max_bytes,
                          PGresult **ret_result);

/*
 * When to stop waiting for an answer and ask the server to cancel, so that the cancelled
 * statement's end still comes before the deadline.
 */
weir_time weir__pg_patience(weir_time now, weir_time deadline);

/*
 * Cancel the running statement and throw away what still comes of it, until `deadline`. Whatever
 * cannot be ended by then leaves the connection doubtful.
 */
void weir__pg_stop(struct pg_conn *conn, weir_time deadline);

/*
 * Run one command of the driver's own. *ret_result, which may be NULL, is its last result,
 * cleared by the caller. Errors as weir__pg_error(); WEIR_TIMEOUT leaves the connection doubtful.
 */
weir_status weir__pg_command(struct pg_conn *conn, const char *sql, weir_time deadline,
                             PGresult **ret_result, weir_error *reterr);

/* ---- postgres_error.c --------------------------------------------------------------------- */

/* The status of a SQLSTATE; `severity` (not localized) may be NULL. */
weir_status weir__pg_status_of(const char *sqlstate, const char *severity);

/*
 * Fill *reterr from a failed result (NULL: from the connection) and return the status. The text
 * is the server's message and hint, never its detail, which quotes values of the row.
 */
weir_status weir__pg_error(struct pg_conn *conn, const PGresult *failed, weir_error *reterr);

/* Fill *reterr with WEIR_CONNECT, the SQLSTATE, and libpq's words of a connection that it could not
 * open with verbose errors. */
void weir__pg_refusal(PGconn *pg, weir_error *reterr);

/* The deadline of a statement passed. */
weir_status weir__pg_timeout(weir_error *reterr);

/* ---- postgres_values.c -------------------------------------------------------------------- */

/* Parameters as libpq takes them. Small sets need no allocation. */
#define PG_INLINE_PARAMS 16
#define PG_INLINE_BYTES 512

struct pg_params {
    int count;
    const char **texts;
    int *lengths;
    int *formats;
    uint64_t blobs;
    bool has_late_blob; /* one beyond the 64th, which `blobs` cannot say */
    const char *inline_texts[PG_INLINE_PARAMS];
    int inline_lengths[PG_INLINE_PARAMS];
    int inline_formats[PG_INLINE_PARAMS];
    char inline_bytes[PG_INLINE_BYTES];
    void *storage;
};

/* Errors: WEIR_INVALID for text with a zero byte, WEIR_LIMIT, WEIR_NO_MEMORY. Blobs stay where they
 * are, so `values` must outlive it. End with weir__pg_params_clear(), also after an error. */
weir_status weir__pg_params_init(struct pg_params *params, const struct statement *statement,
                                 const weir_value *values, weir_error *reterr);
void weir__pg_params_clear(struct pg_params *params);

/* The type that values of a PostgreSQL type come as. */
weir_type weir__pg_type(Oid oid);

/* Write one row into cells. Errors: WEIR_LIMIT, WEIR_NO_MEMORY. */
weir_status weir__pg_read_row(weir_result *result, const PGresult *rows, int row,
                              struct cell *cells, weir_error *reterr);

/* ---- postgres_session.c ------------------------------------------------------------------- */

/*
 * Whether this text may change the session without its command tag telling, or without succeeding:
 * temporary objects, set_config() and UPDATE pg_settings, session-level advisory locks (which stay when
 * their statement fails), cursors WITH HOLD, DO. Comments are blanks; strings are read as if somebody
 * ran them. Errs on the side of yes. What a function or procedure does inside itself cannot be seen, nor
 * is the place of a sequence in a session (currval, lastval) taken for a change.
 */
bool weir__pg_touches_session(const char *sql);

/* Take note of a completed command. `tag` is PQcmdStatus(). */
void weir__pg_note_command(struct pg_conn *conn, const char *tag);

/* Whether the transaction has failed and this text would commit it. The server says yes to that and
 * rolls back; weir__pg_commit_failed() is the error to give instead. */
bool weir__pg_commits_failed(const struct pg_conn *conn, const char *sql);
weir_status weir__pg_commit_failed(weir_error *reterr);

/* ---- postgres_reflect.c ------------------------------------------------------------------- */

weir_status weir__pg_reflect(void *conn, weir_time deadline, struct weir_schema **ret_schema,
                             weir_error *reterr);

#endif
