/* SPDX-License-Identifier: MIT */
/* A database of this process behind a name: initialized once, used by any thread, disposed once. */
#ifndef WEIR_SERVER_MANAGED_DB_H
#define WEIR_SERVER_MANAGED_DB_H

#include <stdbool.h>

#include <weir/db.h>

#include "common/lock.h"
#include "loans.h"
#include "pool_history.h"

/* What initialize() takes besides the URL; pool options in the URL's query win over these. */
struct managed_db_options {
    int pool_size;
    int max_overflow;
    int pool_timeout_ms;
    int pool_recycle_s;
    bool pool_pre_ping;
    bool echo;        /* log every statement, without its parameters */
    bool shows_loans; /* keep each loan in the history of connections */
};

struct db_handle;

/* A manager. The instances are static, one per database of the process; see db_manager.h and
 * suggestions_db_manager.h. */
struct managed_db {
    const char *name;      /* in messages: "DatabaseManager" */
    const char *pool_name; /* in the pool's errors and figures: "main" */
    struct managed_db_options defaults;
    struct weir__mutex lock;         /* guards `handle_locked` */
    struct db_handle *handle_locked; /* NULL while not initialized */
};

/*
 * Open the database, without connecting. `options` may be NULL for the manager's defaults.
 *
 * Errors:  WEIR_ALREADY, with a warning in the log, when it is initialized; the first stays.
 *          WEIR_INVALID "Connection string is required" for an empty or NULL URL; otherwise as
 *          weir_db_open().
 * Threads: any.
 */
WEIR_MUST_CHECK weir_status managed_db_initialize(struct managed_db *manager, const char *url,
                                                  const struct managed_db_options *options,
                                                  weir_error *reterr);

/*
 * Open the same database again, with other options of its pool, for managed_db_take(), or for
 * managed_db_put_engine() where it is not wanted after all. Nothing has changed so far.
 *
 * Errors:  as managed_db_initialize() but for WEIR_ALREADY; WEIR_NOT_READY; WEIR_UNSUPPORTED for a
 *          database in memory, which would be lost.
 * Threads: any.
 */
WEIR_MUST_CHECK weir_status managed_db_prepare(struct managed_db *manager, const char *url,
                                               const struct managed_db_options *options,
                                               struct db_handle **ret_next, weir_error *reterr);

/*
 * Use what was prepared from now on. Who is in the middle of something, or in the queue, finishes on the
 * former pool, whose connections at rest are closed at once, the others as they come back; until then
 * there may be as many as both pools allow. The figures of the pool begin anew.
 *
 * Errors:  WEIR_CLOSED, when the manager was disposed meanwhile; what was prepared is closed then.
 * Threads: any.
 */
WEIR_MUST_CHECK weir_status managed_db_take(struct managed_db *manager, struct db_handle *next,
                                            weir_error *reterr);

/* Log what the level DEBUG tells of its pool also where that level came after the pool. Errors: as
 * managed_db_get_engine(), WEIR_FULL. Threads: the one that reopens. */
WEIR_MUST_CHECK weir_status managed_db_follow_closely(struct managed_db *manager,
                                                      weir_error *reterr);

bool managed_db_is_initialized(struct managed_db *manager);

/*
 * The engine, held: it stays usable, though it may be disposed meanwhile, until it is given back
 * with managed_db_put_engine().
 *
 * Errors:  WEIR_NOT_READY "<name> not initialized. Call initialize() first."
 * Threads: any.
 */
WEIR_MUST_CHECK weir_status managed_db_get_engine(struct managed_db *manager,
                                                  struct db_handle **ret_handle,
                                                  weir_error *reterr);
void managed_db_put_engine(struct db_handle *handle);
weir_db *db_handle_db(const struct db_handle *handle);

/* The lives of its connections. Valid as long as the engine is held. */
struct pool_history *db_handle_history(const struct db_handle *handle);

/* What its connections are lent for. Under the same terms. */
struct loans *db_handle_loans(const struct db_handle *handle);

/* A session: one connection on loan, and the hold on its engine. */
struct db_session {
    weir_conn *conn;
    struct db_handle *handle;
};

/*
 * Borrow a connection. `deadline` bounds the wait, as does the pool's own timeout, and every
 * statement of the session. End it with db_session_end().
 *
 * Errors:  as managed_db_get_engine() and weir_db_acquire().
 * Threads: any.
 */
#define managed_db_get_session(manager, deadline, ret_session, reterr)                             \
    managed_db_get_session_at(manager, deadline, ret_session, reterr, __FILE__, __LINE__)
WEIR_MUST_CHECK weir_status managed_db_get_session_at(struct managed_db *manager,
                                                      weir_time deadline,
                                                      struct db_session *ret_session,
                                                      weir_error *reterr, const char *file,
                                                      int line);
void db_session_end(struct db_session *session);

/* Run one statement in a session, logging it if the manager echoes. As weir_conn_query(). */
WEIR_MUST_CHECK weir_status db_session_query(struct db_session *session, const char *sql,
                                             const weir_param *params, size_t param_count,
                                             weir_result **ret_result, weir_error *reterr);

/* Whether the session's database is SQLite. */
bool db_session_is_sqlite(const struct db_session *session);

/* How failed statements are retried. */
struct db_retry {
    int max_retries; /* beyond the first attempt */
    int retry_delay_ms;
    bool retries_empty_results; /* also retry a statement that gave no row */
};

#define DB_RETRY_DEFAULT                                                                           \
    {                                                                                              \
        3, 500, false                                                                              \
    }
#define DB_RETRY_NONE                                                                              \
    {                                                                                              \
        0, 0, false                                                                                \
    }

/*
 * Borrow a connection, run one statement, give it back.
 *
 * A serialization failure or deadlock (WEIR_RETRY) undid the statement, so it is retried; a lost
 * connection only if `is_repeatable`, since a write may or may not have been stored. Each repetition
 * comes retry_delay_ms after the failure and never if that would be past the deadline.
 *
 * Errors: the last one, as managed_db_get_session() and weir_conn_query().
 */
#define managed_db_query(manager, retry, is_repeatable, sql, params, param_count, deadline,        \
                         ret_result, reterr)                                                       \
    managed_db_query_at(manager, retry, is_repeatable, sql, params, param_count, deadline,         \
                        ret_result, reterr, __FILE__, __LINE__)
WEIR_MUST_CHECK weir_status managed_db_query_at(struct managed_db *manager,
                                                const struct db_retry *retry, bool is_repeatable,
                                                const char *sql, const weir_param *params,
                                                size_t param_count, weir_time deadline,
                                                weir_result **ret_result, weir_error *reterr,
                                                const char *file, int line);

/* Commit the session's transaction. As weir_conn_commit(). */
WEIR_MUST_CHECK weir_status db_session_commit(struct db_session *session, weir_error *reterr);

/*
 * Ask the database something, for a health check. A pool whose every connection is open and lent is
 * busy, not broken: WEIR_OK.
 *
 * With needs_writes, a database that only reads fails with 25006: PostgreSQL is asked, and of SQLite, as of a
 * full disk (53100), the last failure of a write counts for ten seconds, or until a write succeeds.
 *
 * Errors:  as managed_db_query().
 * Threads: any.
 */
WEIR_MUST_CHECK weir_status managed_db_check(struct managed_db *manager, bool needs_writes,
                                             weir_time deadline, weir_error *reterr);

/* One step of the pool's housekeeping, which reports connections that have been out for a minute
 * (leak_report_after_ms in the URL). Call it about once a second. Threads: any. */
void managed_db_maintain(struct managed_db *manager);

/*
 * Close the database: waiters and newcomers are refused, connections on loan awaited until the
 * deadline. Idempotent; afterwards initialize() works again.
 *
 * Errors:  WEIR_TIMEOUT, with who still holds what; they are closed as they come back.
 * Threads: any.
 */
weir_status managed_db_dispose(struct managed_db *manager, weir_time deadline, weir_error *reterr);

#endif
