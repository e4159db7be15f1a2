/* SPDX-License-Identifier: MIT */
/* What a database and its connections are made of; for engine.c, conn.c and transaction.c only. */
#ifndef WEIR_DB_CONN_H
#define WEIR_DB_CONN_H

#include "db/driver.h"
#include "db/events.h"

#include <stdatomic.h>

struct weir_db {
    const struct db_driver *driver;
    struct db_config config;
    struct weir_url *url;
    char *name;             /* what config.options.pool.name points to */
    char *application_name; /* and config.options.application_name */
    weir_pool *pool;
    struct db_listeners listeners;

    /* The opener's, and one for every open connection: leases may outlive weir_db_close(). */
    atomic_size_t references;
};

/*
 * A connection, what the pool lends: made by its connect and ended by its close. Between two loans
 * depth is 0 and the deadline is of no meaning.
 */
struct weir_conn {
    const struct db_driver *driver;
    weir_db *db;
    void *native; /* the driver's */
    struct statement_cache statements;

    weir_lease lease;   /* of the present loan; all zero otherwise */
    weir_time deadline; /* of every statement of this loan */
    int depth;          /* begins without their end */
    bool is_lost;
    bool is_spent;   /* it may be inside a transaction that nobody knows of: fit for return only */
    bool is_stopped; /* a statement of this loan was stopped, and may not have ended yet */
    bool has_baseline; /* the driver was told that the listeners are done; see struct db_driver */
};

/* A connection over the driver's `native`, for the pool. On failure `native` is still the caller's. */
weir_status weir__conn_new(weir_db *db, void *native, weir_conn **ret_conn, weir_error *reterr);

/* End it together with the driver's. */
void weir__conn_close(weir_conn *conn);

/* When a statement that starts now must be over. */
weir_time weir__conn_statement_deadline(const weir_conn *conn);

/* Run one statement without parameters whose rows nobody wants, whatever state the transaction is in. */
weir_status weir__conn_run(weir_conn *conn, const char *sql, weir_time deadline,
                           weir_error *reterr);

/* The same without telling the listeners: it is part of something that they are told of. */
weir_status weir__conn_run_quietly(weir_conn *conn, const char *sql, weir_time deadline,
                                   weir_error *reterr);

/* Run a script: all of it or nothing. */
weir_status weir__conn_run_script(weir_conn *conn, const char *sql, weir_error *reterr);

/* When a rollback that begins now must be over: it runs after deadlines have passed and statements have
 * failed, so it has a time of its own, that of the pool's reset, which would have to do it otherwise. */
weir_time weir__conn_rollback_deadline(const weir_conn *conn);

/* WEIR_DISCONNECTED when the connection is known to be lost. */
weir_status weir__conn_check_alive(const weir_conn *conn, weir_error *reterr);

/* Wait for the end of a statement that was stopped, after which state() is the present one again.
 * WEIR_TIMEOUT when it does not come in time. */
weir_status weir__conn_await_stop(weir_conn *conn, weir_time deadline, weir_error *reterr);

/* Take note of a driver's answer, and give it back. */
weir_status weir__conn_note(weir_conn *conn, weir_status status);

#endif
