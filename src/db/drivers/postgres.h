/* SPDX-License-Identifier: MIT */
/* What the files of the PostgreSQL driver share: the connection, waiting, values, errors. */
#ifndef WEIR_DB_POSTGRES_H
#define WEIR_DB_POSTGRES_H

#include "db/driver.h"
#include "db/drivers/postgres_cancel.h"

#include <libpq-fe.h>

#include <stdatomic.h>

/* What target_session_attrs can ask for. */
enum pg_role { PG_ANY, PG_READ_WRITE, PG_READ_ONLY, PG_PRIMARY, PG_STANDBY, PG_PREFER_STANDBY };

/* The server's object ids of its own types never change. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_JSONB = 3802
};

/* How many statements that are not kept a connection remembers; a power of two. */
#define PG_TYPED_PLACES 256

/* How many names wait to be closed at most. */
#define PG_DROPPED 64

struct pg_params;

/* How much the server is told of parameters' types. */
enum pg_typing {
    PG_UNTYPED, /* only what is bytes: everything else takes the type that its place has */
    PG_TYPED,   /* all but texts and NULLs */
    PG_TEXTUAL  /* those are text */
};

/* Whose definitions a statement may have changed: bits. */
enum pg_change { PG_CHANGE_OWN = 1, PG_CHANGE_ALL = 2 };

/* What the text of a statement or a script says that it may do beside its work; see
 * weir__pg_effects_of(). */
struct pg_effects {
    bool touches_session;
    unsigned creates; /* enum pg_change: for whom */
};

/* What the server says of a statement: a fingerprint of its parameters' types and of the names and
 * types of its columns; and bit i: parameter i + 1 is taken for text. */
struct pg_description {
    uint64_t fingerprint;
    uint64_t texts;
};

/*
 * What the connections of one database share, in db_config.engine_state. Every word but the first is
 * written and read in relaxed order: nothing else is published with it, and who has seen a change happen
 * also sees its count, because they are ordered by what made them see it.
 */
struct pg_engine {
    /* Grows when a connection has changed definitions (ALTER, CREATE, DROP …): released after the
     * edition that belongs to it, and acquired before that is read. */
    _Atomic uint64_t definitions;

    /* What texts are prepared with behind them; 0: nothing. See weir__pg_renew_edition(). */
    _Atomic uint64_t edition;

    /* How often the server no longer had a statement that nobody took away. */
    _Atomic uint32_t losses;
};

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
    bool is_direct; /* nothing stands between, as the server sees it; weir__pg_set_up() */

    enum pg_role wanted;
    bool is_fitting;    /* it was what `wanted` says before its first loan */
    bool was_read_only; /* a statement failed because of it (25006) */
    const char *note;   /* what is left out of the session's settings; NULL: nothing. Static */

    bool met_stale; /* the last error of the server's was weir__pg_is_stale() */

    bool is_lost;   /* the server said goodbye or the socket broke */
    bool is_broken; /* a statement could not be ended: fit for closing only */
    bool is_silent; /* and the server did not answer, so closing does not wait for it either */

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
    uint64_t name_prefix; /* random, so that no two connections give the same names; 0: none yet */
    uint64_t last_name;
    bool saw_deallocate; /* somebody takes statements away by hand */
    bool has_collided;   /* a name of ours was taken: nothing is prepared any more */

    /* Grows when names may mean something else on this connection alone (search_path, role,
     * temporary tables); enum pg_change of the statement under way, and of the open transaction. */
    uint64_t own_definitions;
    unsigned changes_now;
    unsigned changes_open;

    /* When names in what is prepared were last looked up anew, and weir__pg_definitions() then. */
    weir_time plans_at;
    uint64_t plans_definitions;

    /* Statements that are not kept, by their hash, whose parameters' types are known. */
    uint64_t typed[PG_TYPED_PLACES];

    /* Names that nobody uses any more, not yet closed on the server; and how many stay there because
     * they cannot be closed, in this epoch. */
    uint64_t dropped[PG_DROPPED];
    int dropped_count;
    int64_t abandoned_count;
    uint64_t abandoned_epoch;

    struct pg_cancel cancel;
};

/*
 * What the driver keeps of a statement. It is prepared on the server while it has a name and
 * `epoch` is the connection's; without a name it remembers how to send it.
 *
 * PostgreSQL decides once, when it prepares a statement, which types its parameters have, and never
 * looks again: after ALTER TABLE it plans anew with the old types (plancache.c of 15 and 18). Nor does it
 * look whether a name means another object, because one was created in an earlier schema, before the
 * object of before changes. So a statement is used only until somebody changes definitions, and at
 * most for prepared_max_age_ms; then it is described anew, and prepared anew when anything differs.
 */
struct pg_prepared {
    char name[48]; /* "": not prepared */
    uint64_t number;
    uint64_t epoch;
    uint64_t edition;        /* of its text */
    uint64_t definitions;    /* weir__pg_definitions() before it was last described */
    weir_time checked_at;    /* and when that was */
    weir_time unprepared_at; /* when it last ran unprepared because it was old; 0: never */
    struct pg_description description;

    enum pg_typing typing;       /* how much the server is told of its parameters' types */
    enum pg_typing first_typing; /* with which it could be described at first */
    uint64_t blobs;              /* bit i: parameter i + 1 was declared bytea */
    uint64_t tried;              /* and this one could not be declared a number */
    Oid *types;                  /* what was declared above PG_UNTYPED; else NULL */
    bool is_typed;               /* typing is resolved */
    int misfits;                 /* how often values did not fit `types` */
    bool was_lost;               /* the server no longer had it: not prepared any more */

    struct pg_effects effects;
    bool is_small; /* its last result was; see weir__pg_receive_rows() */
    bool is_select;
    bool names_nothing;      /* it is BEGIN, COMMIT, SET …: nothing can be out of date */
    bool has_same_columns;   /* as long as it is prepared, each result has `columns` */
    struct columns *columns; /* of its last rows */
};

/* ---- postgres_connect.c ------------------------------------------------------------------- */

weir_status weir__pg_engine_open(struct db_config *config, weir_error *reterr);
weir_status weir__pg_connect(struct db_config *config, weir_time deadline, void **ret_conn,
                             weir_error *reterr);
void weir__pg_close(void *conn);

/* ---- postgres.c --------------------------------------------------------------------------- */

enum conn_state weir__pg_state(void *conn);

/* ---- postgres_definitions.c ---------------------------------------------------------------- */

weir_status weir__pg_engine_new(struct db_config *config, weir_error *reterr);
void weir__pg_engine_close(struct db_config *config);

static inline struct pg_engine *weir__pg_engine(const struct pg_conn *conn)
{
    return conn->config->engine_state;
}

/* The count of all changes of definitions that this connection knows of. Both only grow, so the
 * sum is the same only when neither has. */
static inline uint64_t weir__pg_definitions(const struct pg_conn *conn)
{
    return conn->own_definitions +
           atomic_load_explicit(&weir__pg_engine(conn)->definitions, memory_order_acquire);
}

/* For whom a text may create something, by CREATE or by SELECT … INTO: enum pg_change; 0: it does not. A
 * function's body is a string, and not looked into: creating it creates the function alone. */
unsigned weir__pg_creates(const char *sql);

/*
 * Take note of what a completed command may have changed; weir__pg_note_end() makes it known, once
 * the server has answered all (it commits after the command's tag), and again when an open
 * transaction has ended. `sql` is the text it came from, alone or in a script, with its effects.
 */
void weir__pg_note_change(struct pg_conn *conn, const char *tag, const char *sql,
                          struct pg_effects effects, bool is_script);
void weir__pg_note_end(struct pg_conn *conn);
void weir__pg_note_close(struct pg_conn *conn);

/*
 * A statement of this edition turned out to be out of date on the server: from now on texts are
 * prepared with another remark behind them. A pooler finds what it has prepared by its text
 * (PgBouncer 1.21 and later) and would hand out the same stale statement for every new name.
 */
void weir__pg_renew_edition(struct pg_conn *conn, uint64_t edition);

/*
 * The edition of texts that are parsed now: under a name, or not. Without a pooler between, what has
 * no name is parsed each time, and its text stays as it is. Odyssey (1.5.2, xplan.c) finds the unnamed
 * statement by its text as well.
 */
uint64_t weir__pg_edition(const struct pg_conn *conn, bool is_named);

/* The statement's text in that edition, which lies in *ret_storage where it is another, and is the
 * caller's to free. NULL: out of memory. */
const char *weir__pg_text(const struct statement *statement, uint64_t edition, char **ret_storage);

/* How often a statement is tried in all that a pooler has only as it was before a change: each time
 * with a text that no pooler has yet, unless others use the same edition, and their table changes. */
#define PG_TRIES 5

/* A random number that is not 0. */
uint64_t weir__pg_random(void);

/* ---- postgres_describe.c ------------------------------------------------------------------- */

/* libpq can close a prepared statement by the protocol since 17. As text, DEALLOCATE, it would reach
 * a server behind a pooler that knows the statement by another name, or another's by that name. */
#ifdef WEIR_WITH_PQ_CLOSE
#define PG_CAN_CLOSE true
#else
#define PG_CAN_CLOSE false
#endif

/* The savepoint of a question inside a transaction. */
#define PG_GUARD "weir_types"

/* A text to be parsed under a name ("": the unnamed statement, which the next one replaces) with
 * these types declared, inside a savepoint or not. */
struct pg_question {
    const char *name;
    const char *text;
    const Oid *types;
    int type_count;
    bool is_guarded;
    bool forgets_plans; /* names in whatever is prepared are looked up anew, too */
};

/* Have a statement parsed and described, in one round trip. Errors as weir__pg_error(). */
weir_status weir__pg_ask(struct pg_conn *conn, const struct pg_question *question,
                         weir_time deadline, struct pg_description *ret_description,
                         weir_error *reterr);

/* The name of this number on this connection. */
void weir__pg_name(struct pg_conn *conn, uint64_t number, char name[48]);

/* It is no longer used: it is closed along with the next question, where that is possible. */
void weir__pg_drop_name(struct pg_conn *conn, uint64_t number);

/* ---- postgres_prepare.c -------------------------------------------------------------------- */

/*
 * Make the statement ready: prepare it, see whether what is prepared still holds, or find out which
 * types to send, which is then params->typing. *ret_way says how to run it. Nothing has run then.
 * *now is the present, on return too. Errors as weir__pg_error().
 */
enum pg_way { PG_PREPARED, PG_UNPREPARED };

weir_status weir__pg_make_ready(struct pg_conn *conn, struct statement *statement,
                                struct pg_params *params, weir_time *now, weir_time deadline,
                                enum pg_way *ret_way, weir_error *reterr);

/* Whether a prepared statement is out of date: the server describes it otherwise than before. Asks
 * the server, outside of transactions only; false also when there is no answer. */
bool weir__pg_is_outdated(struct pg_conn *conn, const struct statement *statement,
                          const struct pg_params *params, weir_time deadline);

/* Which parameters are of which type is to be asked again. */
void weir__pg_forget_types(struct pg_conn *conn, struct statement *statement,
                           const struct pg_params *params);

/* The statement is no longer to be used on the server, and is prepared anew when it is needed. */
void weir__pg_unprepare(struct pg_conn *conn, struct pg_prepared *prepared);

/* The server no longer had a statement of weir's. Where nobody takes statements away by hand, a
 * pooler gave it to another session, and there is no use in preparing behind it. */
void weir__pg_note_loss(struct pg_conn *conn);

void weir__pg_forget(void *conn, struct statement *statement);

/* ---- postgres_query.c --------------------------------------------------------------------- */

weir_status weir__pg_query(void *conn, struct statement *statement, const weir_value *values,
                           weir_time deadline, weir_result **ret_result, weir_error *reterr);
weir_status weir__pg_script(void *conn, const char *sql, weir_time deadline, weir_error *reterr);

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

/* Read what is there, and count it in conn->received. False: the socket is gone, and
 * PQgetResult() answers at once, with the reason. */
bool weir__pg_read(struct pg_conn *conn);

/* What is next of what was read; libpq must not be busy. `was_null` is false before the first. True:
 * that was nothing of the caller's, and more must be read. */
bool weir__pg_take(struct pg_conn *conn, bool *was_null, PGresult **ret_result);

/*
 * Run one command of the driver's own. *ret_result, which may be NULL, is its last result,
 * cleared by the caller. Errors as weir__pg_error(); WEIR_TIMEOUT leaves it being cancelled.
 */
weir_status weir__pg_command(struct pg_conn *conn, const char *sql, weir_time deadline,
                             PGresult **ret_result, weir_error *reterr);

/* ---- postgres_canceller.c ------------------------------------------------------------------ */

/*
 * Stop the running statement, without waiting for anything: from here on the connection is the
 * canceller's (CONN_CANCELLING), which asks the server to cancel until the statement has ended,
 * and throws away what still comes of it. Where that cannot be begun the connection is broken.
 */
void weir__pg_stop(struct pg_conn *conn);

/* Whether it is the canceller's: then nobody else may touch the session. */
static inline bool weir__pg_is_cancelling(const struct pg_conn *conn)
{
    return atomic_load_explicit(&conn->cancel.phase, memory_order_acquire) == CANCEL_RUNNING;
}

/* As struct db_driver has them. */
weir_status weir__pg_await_stop(void *conn, weir_time deadline, weir_error *reterr);
bool weir__pg_hand_over(void *conn, const weir_lease *lease, bool is_discarded);

/* Before closing: take it from the canceller, however far that has come. */
void weir__pg_take_back(struct pg_conn *conn);

/* ---- postgres_error.c --------------------------------------------------------------------- */

/* The status of a SQLSTATE; `severity` (not localized) may be NULL. */
weir_status weir__pg_status_of(const char *sqlstate, const char *severity);

/*
 * Fill *reterr from a failed result (NULL: from the connection) and return the status. The text
 * is the server's message and hint, never its detail, which quotes values of the row.
 */
weir_status weir__pg_error(struct pg_conn *conn, const PGresult *failed, weir_error *reterr);

/* Whether it is about a statement that was parsed before its table was altered ("cached plan must not
 * change result type"), and not within a function. It fails before it does anything. */
bool weir__pg_is_stale(const PGresult *failed);

/* The error of such a statement in *reterr is one that goes away when its transaction is retried. */
weir_status weir__pg_stale(weir_error *reterr);

/* Fill *reterr with WEIR_CONNECT, the SQLSTATE, and libpq's words of a connection that it could not
 * open with verbose errors. */
void weir__pg_refusal(PGconn *pg, weir_error *reterr);

/* There was no answer at all to what was sent: nobody knows what came of it, and what comes next may
 * be meant for something else. */
weir_status weir__pg_no_answer(struct pg_conn *conn, weir_error *reterr);

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
    const weir_value *values;
    uint64_t blobs;        /* bit i: parameter i + 1 is one */
    uint64_t numbers;      /* and this is an integer or a double */
    bool has_late_blob;    /* one beyond the 64th, which `blobs` cannot say */
    enum pg_typing typing; /* what to declare when the statement is sent unprepared: */
    const Oid *declared;   /* these types, or those that belong to the values */
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

/* Write the types to declare, 0 for those that the server decides; whether there are any. */
bool weir__pg_types_write(const struct pg_params *params, enum pg_typing typing, Oid *types);

/* Whether these values can be sent as what was declared for them. */
bool weir__pg_types_fit(const struct pg_params *params, const Oid *types);

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

static inline struct pg_effects weir__pg_effects_of(const char *sql)
{
    return (struct pg_effects){weir__pg_touches_session(sql), weir__pg_creates(sql)};
}

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
