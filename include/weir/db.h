/* SPDX-License-Identifier: MIT */
/* Pooled databases: SQLite and PostgreSQL through the same URLs, values and calls. */
#ifndef WEIR_DB_H
#define WEIR_DB_H

#include <weir/pool.h>
#include <weir/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- URL --------------------------------------------------------------------------------- */

/*
 * The parts of a database URL.
 *
 *   sqlite:///relative.db   sqlite:////absolute.db   sqlite:///:memory:   sqlite://  (= :memory:)
 *   postgresql://user:password@host:port/database?option=value&…
 *   postgresql://user@/database?host=/var/run/postgresql          (unix socket)
 *   postgresql://host1:5432,host2:5433/database                   (tried in order)
 *
 * SQLAlchemy's spellings are accepted too: `postgres://`, `postgresql+psycopg2://`, `sqlite+pysqlite://` and
 * the like. Every part is percent-decoded. Query options of the pool (weir_pool_options_set) and of the
 * database (weir_db_options) are applied. For PostgreSQL, all others are passed on to libpq (sslmode,
 * sslrootcert, target_session_attrs, …; `ssl` means sslmode, and client_encoding can only be UTF8). For SQLite,
 * two parameters of its own URIs are accepted (mode=ro, rw, or rwc, the default; immutable=1, by which you
 * promise that nothing writes to the file); any other is an error. A relative path is resolved against the
 * working directory at weir_db_open().
 */
typedef struct weir_url weir_url;

/*
 * Parse a URL. The caller owns *ret_url and ends it with weir_url_close().
 *
 * Errors:  WEIR_INVALID with the position (1 = first byte) and what was expected there. The
 *          password never appears in an error. WEIR_UNSUPPORTED for a scheme that this build has no
 *          driver for, WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_url_parse(const char *text, weir_url **ret_url,
                                                    weir_error *reterr);
WEIR_API void weir_url_close(weir_url *url);

/* Return the engine that a URL names: "sqlite" or "postgresql". Static. */
WEIR_API const char *weir_url_engine(const weir_url *url);

/* Return the URL as it may be shown and logged: `***` replaces the password and the value of every query option
 * that may hold a secret (password, passfile, sslpassword, sslkey). Valid as long as the URL. */
WEIR_API const char *weir_url_redacted(const weir_url *url);

/* ---- engine ------------------------------------------------------------------------------ */

/*
 * A database: a URL, its driver and its pool. Open one per database and process; any thread may use it.
 *
 * SQLite is opened in WAL mode, with foreign keys on and its schema protected. A text in double quotes is
 * always a name, never a string. ATTACH, DETACH and extensions are refused. A connection on which a holder
 * created temporary objects or set PRAGMAs is closed on return, so that the next holder sees none of it. In
 * sqlite:///:memory: (at most 1 GiB), an open transaction that reads blocks writers; in WAL files it does not.
 * Writers of one file within this process take turns, first come, first served, whichever weir_db they use;
 * readers do not wait. If a file is removed or replaced, weir notices it within 100 ms while it uses the file
 * (WEIR_DISCONNECTED), and does not open the new file while the old one's -wal or -shm is beside it.
 */
typedef struct weir_db weir_db;

/* Options. Start from WEIR_DB_OPTIONS_DEFAULT. Options in the URL's query override these. */
typedef struct weir_db_options {
    /* The pool's options. Its name also names the database in errors. use_time_every defaults to 1 here. */
    weir_pool_options pool;

    /* Longest time one statement may take; never beyond the connection's deadline
     * (weir_conn_set_deadline). A statement that reaches it is stopped; PostgreSQL may still be running it
     * when the call returns (cancel_timeout_ms). Milliseconds; default 30000, 0 to 86400000. 0: no limit.
     * URL: statement_timeout_ms. */
    int statement_timeout_ms;

    /* Longest time to open one connection, including the lookup of the host name; never beyond the
     * acquire's deadline. With several hosts, or several addresses of one host, each gets an equal share
     * of the time left. Milliseconds; default 10000, 1 to 3600000. URL: connect_timeout (seconds, as
     * libpq spells it). */
    int connect_timeout_ms;

    /* Prepared statements kept per connection; the least recently used is dropped first. Default 128, 0 to
     * 10000. 0: prepare nothing (best behind PgBouncer before 1.21 in transaction mode). With libpq before
     * 17, a PostgreSQL session may hold up to as many dropped statements as well. URL:
     * statement_cache_size. */
    int statement_cache_size;

    /* SQLite: how long to wait for other writers, both in this process's queue and for another process's
     * lock. Milliseconds; default 5000, 0 to 3600000; never beyond the statement's own limit. URL:
     * busy_timeout_ms. */
    int busy_timeout_ms;

    /* Largest result kept in memory; a larger one is WEIR_LIMIT. Bytes; default 268435456 (256 MiB), 1024
     * to 2^40. URL: max_result_bytes. */
    int64_t max_result_bytes;

    /* PostgreSQL: how long weir keeps trying to cancel a statement that reached its deadline before it
     * gives up the connection. The slot stays taken meanwhile, since the server still counts the session.
     * Then weir shuts down its sending side of the socket, and the slot stays taken until the server
     * closes its side, for at most 30 times as long. Milliseconds; default 10000, 1 to 3600000. URL:
     * cancel_timeout_ms. */
    int cancel_timeout_ms;

    /* What PostgreSQL shows in pg_stat_activity. NULL, the default: what PGAPPNAME or a service file
     * says, or else "weir". Copied, at most 63 bytes. URL: application_name. */
    const char *application_name;

    /* PostgreSQL: how long a prepared statement is used before weir asks the server whether the names in it
     * still mean the same and its types are unchanged. The server does not report such changes; see
     * weir_conn_query(). Milliseconds; default 20000, 0 to 86400000. 0: no prepared statement is used again.
     * URL: prepared_max_age_ms. */
    int prepared_max_age_ms;
} weir_db_options;

#define WEIR_DB_OPTIONS_DEFAULT                                                                    \
    {                                                                                              \
        {"db",                                                                                     \
         5,                                                                                        \
         10,                                                                                       \
         30000,                                                                                    \
         3600,                                                                                     \
         10,                                                                                       \
         true,                                                                                     \
         500,                                                                                      \
         5000,                                                                                     \
         5000,                                                                                     \
         false,                                                                                    \
         WEIR_RESET_ROLLBACK,                                                                      \
         0,                                                                                        \
         1024,                                                                                     \
         1,                                                                                        \
         0,                                                                                        \
         WEIR_NESTED_ALLOW,                                                                        \
         NULL},                                                                                    \
            30000, 10000, 128, 5000, (int64_t)256 << 20, 10000, NULL, 20000                        \
    }

/*
 * Open a database. This opens no connection, so it succeeds even while the server is down. The exception is
 * sqlite:///:memory:, whose content lives as long as the weir_db and is shared by the whole pool.
 * `options` may be NULL. The caller owns *ret_db and closes it with weir_db_close().
 *
 * Errors:  as weir_url_parse(); WEIR_INVALID for an option, with its allowed range.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_db_open(const char *url, const weir_db_options *options,
                                                  weir_db **ret_db, weir_error *reterr);

/* Dispose of the pool (weir_pool_dispose()). Everything else stays until weir_db_close(). */
WEIR_API weir_status weir_db_dispose(weir_db *db, weir_time deadline, weir_error *reterr);

/* Dispose of the database without waiting, and free it. Its memory stays until the last connection is
 * returned. NULL is fine. */
WEIR_API void weir_db_close(weir_db *db);

/*
 * Return the database's pool, for statistics, listeners and eviction. In the pool's events, `connection` is a
 * weir_conn. A listener may run statements on it at FIRST_CONNECT and CONNECT, and the session settings
 * that it makes there (SET, PRAGMA) hold for every lease: if a holder changes more of a PostgreSQL or
 * SQLite session than its transaction, the pool cleans or replaces the connection on return.
 *
 * weir_db_engine() returns the engine ("sqlite", "postgresql"), weir_db_url() the URL without secrets. Both are
 * valid until weir_db_close().
 */
WEIR_API weir_pool *weir_db_pool(weir_db *db);
WEIR_API const char *weir_db_engine(const weir_db *db);
WEIR_API const char *weir_db_url(const weir_db *db);

/*
 * A statement that has ended. Valid only during the call, as is everything it points to.
 *
 * `sql` is the text as the program passed it. It never contains parameters, but it does contain whatever
 * the program wrote into the text: pass secrets as parameters.
 */
typedef struct weir_db_event {
    weir_db *db;          /* weir_db_pool(db) is the pool of the statement's connection */
    const char *engine;   /* "sqlite" or "postgresql"; static */
    const char *database; /* the name or path in the URL, or ":memory:"; "" if it has none */

    /* The statement's first word in upper case (SELECT, INSERT, BEGIN, …) if it is one of a few dozen known
     * ones, otherwise OTHER; REFLECT for weir_conn_reflect(). Static. */
    const char *operation;
    const char *sql;         /* NULL for REFLECT, which runs several statements of weir's own */
    weir_time duration;      /* nanoseconds */
    size_t rows;             /* rows in the result; 0 if the caller wanted no result */
    weir_status status;      /* what the call returned */
    const weir_error *error; /* with SQLSTATE; NULL if status is WEIR_OK */
    uint64_t connection_id;  /* as in the pool's events; 0 before the connection's first checkout */
    bool in_transaction;     /* whether a transaction was open before it: true for COMMIT */
} weir_db_event;

/*
 * Called on the thread that ran the statement, with no lock held; a slow listener delays only that thread.
 * It must not use the connection.
 */
typedef void weir_db_listener(const weir_db_event *event, void *arg);

/*
 * Add a listener that is called after every statement, whether it succeeded or failed: each
 * weir_conn_query() (also through weir_db_query()), weir_conn_script() and weir_conn_reflect(), and each
 * statement that begin, commit and rollback send. What the pool does by itself (pings, resets) is in the
 * pool's events. A database takes up to 8 listeners, for its whole life, and calls them in the order in
 * which they were added. Without a listener, nothing is measured.
 *
 * Errors:  WEIR_FULL.
 * Threads: any; the listener may miss statements in progress at that moment.
 */
WEIR_API weir_status weir_db_listen(weir_db *db, weir_db_listener *listener, void *arg,
                                    weir_error *reterr);

/*
 * Add a listener that wants only some statements. `wants` is called with the same argument before each
 * statement, on the statement's thread, and must be quick. If no listener wants the statement, nothing is
 * measured. The listener may still be called for a statement that it did not want, if another one did.
 */
WEIR_API weir_status weir_db_listen_when(weir_db *db, bool (*wants)(void *arg),
                                         weir_db_listener *listener, void *arg, weir_error *reterr);

/*
 * Watch a database with metrics (weir/metrics.h): its pool, as weir_metrics_watch_pool() does, and each
 * statement as OpenTelemetry's db.client.operation.duration and db.client.response.returned_rows, with the
 * labels db.system.name, db.namespace, db.operation.name, error.type (the name of the status),
 * db.response.status_code (the SQLSTATE) and db.client.connection.pool.name.
 *
 * Watch a database once. It reports its statements until it is closed and its last connection is returned,
 * so the metrics must live longer. weir_metrics_unwatch_db() stops watching the pool; call it before
 * weir_db_close().
 *
 * Errors:  as weir_metrics_watch_pool(), and WEIR_FULL when the database has no room for a listener.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_watch_db(struct weir_metrics *metrics,
                                                           weir_db *db, weir_error *reterr);
WEIR_API void weir_metrics_unwatch_db(struct weir_metrics *metrics, weir_db *db);

/* A listener that records each statement as a child span of the thread's current span (weir/trace.h). */
WEIR_API void weir_trace_on_db_event(const weir_db_event *event, void *arg);

/*
 * Write the text of a statement as its span shows it, for a program's own logs and pages: strings of every
 * kind and numbers become "?", comments are removed, and whatever separates words becomes one space. Names,
 * bare or in "" or ``, and parameters stay.
 *
 * The function does not know the dialect. Where PostgreSQL and SQLite read a statement differently (subscripts
 * or names in [ ], E'\'', $$…$$, a nested comment or one with a CR in it), it shows only what both of them read
 * as names and operators; whatever either of them reads as a value or a comment becomes one "?".
 *
 * Writes at most `size` bytes (at least 1) including the terminating zero, and may cut inside a character;
 * returns the length. Threads: any.
 */
WEIR_API size_t weir_sql_without_values(const char *sql, char *ret_text, size_t size);

/* ---- connection -------------------------------------------------------------------------- */

/* A leased connection. Only one thread may use it at a time. */
typedef struct weir_conn weir_conn;

/*
 * Acquire a connection from the database's pool, exactly as weir_pool_acquire() does. Return it with
 * weir_conn_release().
 */
#define weir_db_acquire(db, deadline, ret_conn, reterr)                                            \
    weir_db_acquire_at(db, deadline, ret_conn, reterr, __FILE__, __LINE__)
WEIR_API WEIR_MUST_CHECK weir_status weir_db_acquire_at(weir_db *db, weir_time deadline,
                                                        weir_conn **ret_conn, weir_error *reterr,
                                                        const char *file, int line);

/*
 * Return the connection. An open transaction is ended as reset_on_return says (rolled back by default). A
 * connection that is lost, or in an uncertain state, is closed instead. NULL is fine.
 */
WEIR_API void weir_conn_release(weir_conn *conn);

/* Return the connection to be closed. NULL is fine. */
WEIR_API void weir_conn_discard(weir_conn *conn);

/* Return the underlying lease, for weir_pool_detach() and weir_pool_soft_invalidate(). Valid until release. */
WEIR_API weir_lease *weir_conn_lease(weir_conn *conn);

/* Set the instant by which every later statement on this lease must end. WEIR_DEADLINE_NEVER, which holds
 * at the start of a lease, leaves only statement_timeout_ms. A statement that would begin after the
 * deadline fails with WEIR_TIMEOUT; a rollback has a limit of its own, reset_timeout_ms. */
WEIR_API void weir_conn_set_deadline(weir_conn *conn, weir_time deadline);

/*
 * Run one statement and keep its whole result.
 *
 * `sql` is one statement with `:name` or `$1` parameters; neither is recognised inside strings, quoted
 * names, dollar quotes, comments and casts (`::`). The statement is prepared on first use and found again
 * by its text. Outside a transaction, each statement is a transaction of its own.
 *
 * PostgreSQL: a parameter has the type that its place in the statement requires, or the type of its value if
 * the place determines none. If a table changes, a prepared statement's parameters take the new types: at once
 * if the change was made by ALTER, CREATE, DROP, DO, GRANT, REVOKE or SELECT … INTO on a connection of this
 * weir_db, and within prepared_max_age_ms if it was made in any other way, including by a function. Until then,
 * a value may still be converted to the old type. A statement that fails outside a transaction because it was
 * prepared before such a change is run once more (never CALL).
 *
 * ret_result may be NULL if you do not need the rows. Otherwise the caller owns *ret_result and closes it
 * with weir_result_close(). The result does not depend on the connection.
 *
 * Errors:  WEIR_QUERY with SQLSTATE and message: the connection stays usable (in PostgreSQL an open transaction
 *          must be rolled back). WEIR_RETRY: serialization failure or deadlock. WEIR_DISCONNECTED: the
 *          connection is lost and will be closed on release; it is unknown whether a write took effect.
 *          WEIR_TIMEOUT: the statement was stopped at its deadline; again, it is unknown whether a write took
 *          effect. WEIR_LIMIT. WEIR_INVALID: a parameter is missing or unknown, or named and positional
 *          parameters are mixed; the text names the parameter.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_conn_query(weir_conn *conn, const char *sql,
                                                     const weir_param *params, size_t param_count,
                                                     weir_result **ret_result, weir_error *reterr);

/*
 * Run statements without parameters, separated by semicolons (a schema, for example): all of them, or none
 * if one fails. Outside a transaction, the script is a transaction of its own. Inside one, only the script
 * is undone if it fails, and the transaction goes on. A script with its own BEGIN, COMMIT and the like runs
 * as written: what it committed stays, consecutive statements outside its transactions form one
 * transaction, and if the script fails, a transaction that it left open is rolled back. A statement that
 * cannot run within a transaction (VACUUM, some PRAGMAs in SQLite, CREATE DATABASE and others in
 * PostgreSQL) is an error, 25001, after other statements. The whole script has the time limit of one
 * statement.
 *
 * Errors as weir_conn_query().
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_conn_script(weir_conn *conn, const char *sql,
                                                      weir_error *reterr);

/* Acquire (default deadline), run one statement, release. */
#define weir_db_query(db, sql, params, param_count, ret_result, reterr)                            \
    weir_db_query_at(db, sql, params, param_count, ret_result, reterr, __FILE__, __LINE__)
WEIR_API WEIR_MUST_CHECK weir_status weir_db_query_at(weir_db *db, const char *sql,
                                                      const weir_param *params, size_t param_count,
                                                      weir_result **ret_result, weir_error *reterr,
                                                      const char *file, int line);

/* Whether the connection is known to be lost. Does no I/O. */
WEIR_API bool weir_conn_is_lost(const weir_conn *conn);

/*
 * Return a sentence for the log that names the session settings that weir did not make, and why (behind a
 * pooler, weir sets nothing that the next client would inherit); or NULL, the usual case, if it made them all.
 * The text is static; it is known from the event CONNECT on.
 */
WEIR_API const char *weir_conn_note(const weir_conn *conn);

/* ---- transactions ------------------------------------------------------------------------ */

typedef enum weir_tx {
    /* In SQLite it takes the write lock at once (BEGIN IMMEDIATE), so that no later write fails for want of it. */
    WEIR_TX_WRITE,
    WEIR_TX_READ,        /* one consistent snapshot, no writes */
    WEIR_TX_SERIALIZABLE /* PostgreSQL's SERIALIZABLE; in SQLite the same as WEIR_TX_WRITE */
} weir_tx;

/*
 * Begin, commit or roll back a transaction, or a savepoint inside one. A begin inside a transaction sets a
 * savepoint; the matching commit releases it, and the matching rollback rolls back to it. Depth is limited
 * to 32.
 *
 * The commit of a transaction in which a statement failed returns WEIR_QUERY with SQLSTATE 25P02 and rolls
 * the transaction back. So does COMMIT or END sent as a statement, although PostgreSQL itself reports that
 * as a success.
 *
 * A database may end a transaction by itself (SQLite does if a write is stopped or the disk is full).
 * Statements are then refused with SQLSTATE 25P02 until weir_conn_rollback(), so that later statements are not
 * stored without the earlier ones that were undone.
 *
 * Errors:  as weir_conn_query(); WEIR_INVALID for a commit or rollback without a begin. After a failed
 *          commit, the transaction is over and was not stored; but after WEIR_DISCONNECTED or
 *          WEIR_TIMEOUT, it is unknown whether it was stored.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_conn_begin(weir_conn *conn, weir_tx kind,
                                                     weir_error *reterr);
WEIR_API WEIR_MUST_CHECK weir_status weir_conn_commit(weir_conn *conn, weir_error *reterr);
WEIR_API weir_status weir_conn_rollback(weir_conn *conn, weir_error *reterr);

/* Return how many begins are open on this lease; 0 outside a transaction. */
WEIR_API int weir_conn_depth(const weir_conn *conn);

/* ---- reflection -------------------------------------------------------------------------- */

typedef struct weir_column {
    const char *name;
    const char *sql_type; /* as the database writes it: "character varying(64)", "INTEGER" */
    weir_type type;       /* the type of its values in results */
    bool is_nullable;  /* it may store a null; true also while its NOT NULL is not yet validated */
    bool has_default;  /* a row can be stored without giving a value for it */
    int primary_key;   /* its position in the primary key, from 1; 0: not part of it */
    bool is_generated; /* it is computed from other columns and cannot be written */
} weir_column;

/* One pair of columns of a foreign key. Those of PostgreSQL's partitions count as the partition's own. */
typedef struct weir_foreign_key {
    const char *column;
    const char *foreign_table;
    const char *foreign_column; /* NULL in SQLite for a primary key that is not named */
    bool is_enforced;           /* the database checks it; false for NOT ENFORCED (PostgreSQL 18) */
    /* A PERIOD (PostgreSQL 18): the ranges of the foreign rows together must cover the range of this row.
     * Otherwise the two columns must be equal. */
    bool is_period;
} weir_foreign_key;

typedef struct weir_table {
    const char *name;
    bool is_view;
    size_t column_count;
    const weir_column *columns;
    size_t foreign_key_count;
    const weir_foreign_key *foreign_keys;
} weir_table;

/* The tables and views of a database at one moment, in name order: in SQLite all of the main file except
 * SQLite's own, in PostgreSQL those of the schemas on the search_path. */
typedef struct weir_schema weir_schema;

/* Read the schema: weir_conn_reflect() through a leased connection, under its deadline; weir_db_reflect()
 * through one that it acquires with the default deadline. A connection that was outside a transaction is
 * outside one afterwards, even on failure. The caller closes *ret_schema with weir_schema_close(). Errors:
 * as weir_conn_query(); for weir_db_reflect() also as weir_db_acquire(). */
WEIR_API WEIR_MUST_CHECK weir_status weir_conn_reflect(weir_conn *conn, weir_schema **ret_schema,
                                                       weir_error *reterr);
WEIR_API WEIR_MUST_CHECK weir_status weir_db_reflect(weir_db *db, weir_schema **ret_schema,
                                                     weir_error *reterr);
WEIR_API void weir_schema_close(weir_schema *schema);
WEIR_API size_t weir_schema_table_count(const weir_schema *schema);
WEIR_API const weir_table *weir_schema_table(const weir_schema *schema, size_t index);
/* Find a table by its exact name; NULL if there is none. */
WEIR_API const weir_table *weir_schema_find(const weir_schema *schema, const char *name);

/*
 * Quote a name that came from reflection, for use in SQL ("Jurisdictions" → `"Jurisdictions"`, inner quotes
 * doubled). Writes at most `size` bytes, terminated; returns the whole length, as snprintf does.
 */
WEIR_API size_t weir_quote_name(const char *name, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
