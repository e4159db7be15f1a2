/* SPDX-License-Identifier: MIT */
/* For tests: a PostgreSQL database whose statements run into their deadlines, and the server seen from outside. */
#ifndef WEIR_TESTS_CANCEL_SCENE_H
#define WEIR_TESTS_CANCEL_SCENE_H

#include "check.h"
#include "relay.h"

#include <weir/db.h>

#include <libpq-fe.h>
#include <signal.h>

#define OURS "FROM pg_stat_activity WHERE application_name = 'weir'"

/* Statements that end at once when they are cancelled, and some that do so late: in the compiler of
 * expressions, and within one call of a function that never looks for a cancel. */
#define SLEEP "SELECT pg_sleep(20)"
/* Half a second and more without a look at whether it is cancelled. */
#define POWERS                                                                                     \
    "(3::numeric ^ 250000) + (3::numeric ^ 249999) + (3::numeric ^ 249998) + (3::numeric ^ "       \
    "249997)"
#define STUBBORN "SELECT length((" POWERS ")::text)"

static weir_error error; /* of the last call of the main thread that failed */

static inline const char *env(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        printf("Bail out! %s is not set: run this through tests/with_postgres.sh\n", name);
        exit(1);
    }
    return value;
}

static inline void nap(int ms)
{
    poll(NULL, 0, ms);
}

/* ---- the server, seen from outside --------------------------------------------------------- */

static PGconn *observer; /* bare libpq, so that what is tested does not measure itself */

/* The first value of the first row as a number; -1 when there is none. */
static inline long observe(const char *sql)
{
    PGresult *rows = PQexec(observer, sql);
    long number = -1;

    if (PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) > 0)
        number = strtol(PQgetvalue(rows, 0, 0), NULL, 10);
    else if (PQresultStatus(rows) != PGRES_COMMAND_OK)
        printf("# %s: %s", sql, PQerrorMessage(observer));
    PQclear(rows);
    return number;
}

static inline void observe_from_now(void)
{
    observer = PQconnectdb(env("WEIR_TEST_PG_SOCKET_URL"));
    if (PQstatus(observer) != CONNECTION_OK) {
        printf("Bail out! %s\n", PQerrorMessage(observer));
        exit(1);
    }
    PQclear(PQexec(observer, "SET client_min_messages TO warning"));
}

/* Ask until the answer is as wanted, for at most `ms`. */
static inline bool comes_to(const char *sql, long wanted, int ms)
{
    weir_time until = weir_deadline_in(ms);

    while (observe(sql) != wanted) {
        if (weir_now() > until)
            return false;
        nap(2);
    }
    return true;
}

/* ---- databases ----------------------------------------------------------------------------- */

static inline weir_db *open_db(const char *url, int pool_size, int cancel_timeout_ms)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *db = NULL;

    options.pool.pool_size = pool_size;
    options.pool.max_overflow = 0;
    options.pool.leak_report_after_ms = 1;
    options.pool.nested = WEIR_NESTED_WARN;
#ifndef WITHOUT_CANCEL_TIMEOUT
    options.cancel_timeout_ms = cancel_timeout_ms;
#endif
    if (weir_db_open(url, &options, &db, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return db;
}

static inline weir_pool_stats stats_of(weir_db *db)
{
    weir_pool_stats stats;

    weir_pool_get_stats(weir_db_pool(db), &stats);
    return stats;
}

/* Every slot came back, and the server counts nobody afterwards. */
static inline void close_db(weir_db *db)
{
    check_int(weir_db_dispose(db, weir_deadline_in(20000), &error), WEIR_OK);
    check_int(stats_of(db).leased, 0);
    check_int(stats_of(db).misuses, 0);
    weir_db_close(db);
    check(comes_to("SELECT count(*) " OURS, 0, 5000));
}

static inline weir_conn *acquire(weir_db *db)
{
    weir_conn *conn = NULL;

    if (weir_db_acquire(db, weir_deadline_in(20000), &conn, &error) != WEIR_OK) {
        printf("Bail out! acquire: %s\n", error.text);
        exit(1);
    }
    return conn;
}

static inline weir_status run_for(weir_conn *conn, const char *sql, int ms, weir_error *why)
{
    weir_conn_set_deadline(conn, weir_deadline_in(ms));
    return weir_conn_query(conn, sql, NULL, 0, NULL, why);
}

static inline int64_t number_of(weir_conn *conn, const char *sql)
{
    weir_result *rows = NULL;
    int64_t number = -1;

    weir_conn_set_deadline(conn, weir_deadline_in(20000));
    if (weir_conn_query(conn, sql, NULL, 0, &rows, &error) == WEIR_OK)
        number = weir_result_value(rows, 0, 0).integer;
    else
        printf("# %s: %s\n", sql, error.text);
    weir_result_close(rows);
    return number;
}

#endif
