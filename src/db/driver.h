/* SPDX-License-Identifier: MIT */
/* What an engine's driver offers to the rest of src/db: the seam between SQL in general and one engine. */
#ifndef WEIR_DB_DRIVER_H
#define WEIR_DB_DRIVER_H

#include "db/params.h"
#include "db/reflect.h"
#include "db/result.h"
#include "db/statement.h"
#include "db/url.h"

#include <weir/db.h>

/* One database's settings as its driver sees them; lives as long as the weir_db. */
struct db_config {
    const struct weir_url *url;
    weir_db_options options; /* resolved: URL options applied, strings owned by the weir_db */
    void *engine_state;      /* the driver's own, from engine_open() */
};

/* How a connection stands, read from the driver without I/O. */
enum conn_state {
    CONN_IDLE,        /* outside a transaction */
    CONN_TRANSACTION, /* inside one */
    CONN_FAILED,      /* inside one that can only be rolled back */
    CONN_CANCELLING,  /* its last statement reached a limit and is being stopped: await_stop() */
    CONN_BROKEN,      /* mid-statement, mid-copy, or unknown: only to be closed */
    CONN_LOST
};

/*
 * One engine. `conn` is the driver's connection object. The first five calls are the pool's;
 * deadlines are absolute or WEIR_DEADLINE_NEVER. A statement (db/statement.h) carries its text in the
 * engine's own dialect, with $1…$n (PostgreSQL) or ?1…?n (SQLite) for the parameters, and a pointer
 * `prepared` that is the driver's: query() fills it on first use when statement->is_cached, forget()
 * lets go of it when the cache drops the statement. values[i] belongs to placeholder i + 1, and there
 * are statement->param_count of them. query() with ret_result NULL keeps no rows.
 *
 * A connection that query() reported as WEIR_DISCONNECTED answers CONN_LOST or CONN_BROKEN to
 * state() from then on. One whose statement reached its deadline or grew too large and has not ended
 * yet answers CONN_CANCELLING, and later what came of it.
 */
struct db_driver {
    const char *engine; /* "sqlite" */
    enum sql_dialect dialect;

    /* Per database: state shared by its connections (SQLite's :memory: anchor). May be NULL both. */
    weir_status (*engine_open)(struct db_config *config, weir_error *reterr);
    void (*engine_close)(struct db_config *config);

    weir_status (*connect)(struct db_config *config, weir_time deadline, void **ret_conn,
                           weir_error *reterr);
    void (*close)(void *conn);

    /* Before a new connection's first loan: what its CONNECT listeners have made of the session by now
     * is what every loan starts from, not what a holder left behind. */
    void (*keep_baseline)(void *conn);
    bool (*is_alive)(void *conn); /* NULL: always fine */
    weir_status (*ping)(void *conn, weir_time deadline, weir_error *reterr);
    weir_status (*reset)(void *conn, weir_reset how, weir_time deadline, weir_error *reterr);

    weir_status (*query)(void *conn, struct statement *statement, const weir_value *values,
                         weir_time deadline, struct weir_result **ret_result, weir_error *reterr);
    void (*forget)(void *conn, struct statement *statement);
    weir_status (*script)(void *conn, const char *sql, weir_time deadline, weir_error *reterr);
    enum conn_state (*state)(void *conn);

    /* weir_conn_note(). NULL: never anything. */
    const char *(*note)(const void *conn);

    /* For engines that go on stopping a statement after its call has returned (CONN_CANCELLING); NULL
     * both for others. Wait until it has ended; WEIR_TIMEOUT when it does not by then. */
    weir_status (*await_stop)(void *conn, weir_time deadline, weir_error *reterr);
    /* Have the driver give the lease back, or discard it, when it has ended. False: it has already,
     * and the lease is still the caller's. */
    bool (*hand_over)(void *conn, const weir_lease *lease, bool is_discarded);

    /* The text that starts a transaction of this kind. */
    const char *(*begin_sql)(weir_tx kind);

    /* Read the schema (db/reflect.h fills it). */
    weir_status (*reflect)(void *conn, weir_time deadline, struct weir_schema **ret_schema,
                           weir_error *reterr);
};

extern const struct db_driver weir__sqlite_driver;
extern const struct db_driver weir__postgres_driver;

#endif
