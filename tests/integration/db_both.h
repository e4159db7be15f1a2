/* SPDX-License-Identifier: MIT */
/* For tests of weir/db.h that run on SQLite and on PostgreSQL: short ways to ask, and the run. */
#ifndef WEIR_TESTS_DB_BOTH_H
#define WEIR_TESTS_DB_BOTH_H

#include "check.h"

#include <weir/db.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static weir_db *db;     /* the engine under test */
static const char *url; /* and its URL */
static bool is_postgres;
static weir_error error; /* of the last call that failed */

/* ---- short ways to ask ------------------------------------------------------------------ */

static void failed(const char *sql, const char *file, int line)
{
    check_failures_in_test++;
    printf("# %s:%d: %s: %s: %s\n", file, line, sql, weir_status_name(error.status), error.text);
}

#define must(sql)                                                                                  \
    do {                                                                                           \
        if (weir_db_query(db, sql, NULL, 0, NULL, &error) != WEIR_OK)                              \
            failed(sql, __FILE__, __LINE__);                                                       \
    } while (0)

#define must_on(conn, sql)                                                                         \
    do {                                                                                           \
        if (weir_conn_query(conn, sql, NULL, 0, NULL, &error) != WEIR_OK)                          \
            failed(sql, __FILE__, __LINE__);                                                       \
    } while (0)

#define must_be_ok(call)                                                                           \
    do {                                                                                           \
        if ((call) != WEIR_OK)                                                                     \
            failed(#call, __FILE__, __LINE__);                                                     \
    } while (0)

static weir_conn *borrow(void)
{
    weir_conn *conn = NULL;

    if (weir_db_acquire(db, weir_deadline_in(10000), &conn, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return conn;
}

static int64_t number_on(weir_conn *conn, const char *sql)
{
    weir_result *result = NULL;

    if (weir_conn_query(conn, sql, NULL, 0, &result, &error) != WEIR_OK) {
        failed(sql, __FILE__, __LINE__);
        return -1;
    }
    int64_t number = weir_result_value(result, 0, 0).integer;
    weir_result_close(result);
    return number;
}

static inline int64_t number(const char *sql)
{
    weir_conn *conn = borrow();
    int64_t answer = number_on(conn, sql);

    weir_conn_release(conn);
    return answer;
}

static inline weir_result *rows_of(const char *sql, const weir_param *params, size_t count)
{
    weir_result *result = NULL;

    if (weir_db_query(db, sql, params, count, &result, &error) != WEIR_OK)
        failed(sql, __FILE__, __LINE__);
    return result;
}

/* ---- running ---------------------------------------------------------------------------- */
static void every_connection_came_back(void)
{
    weir_pool_stats stats;

    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.leased, 0);
    check_int(stats.misuses, 0);
    check_int(stats.connect_errors, 0);
}

static void run_on_engine(const char *engine, const char *name, void (*test)(void))
{
    if (!check_is_chosen(name))
        return;
    check_failures_in_test = 0;
    test();
    check_tests_run++;
    check_failed_tests += check_failures_in_test != 0;
    printf("%s %d - %s: %s\n", check_failures_in_test ? "not ok" : "ok", check_tests_run, engine,
           name);
    fflush(stdout);
}

#define on(test) run_on_engine(engine, #test, test)

/* Written by each program: all its tests. */
static void run_all(const char *engine);

static void run_engine(const char *engine, const char *engine_url)
{
    url = engine_url;
    is_postgres = strcmp(engine, "postgresql") == 0;
    if (weir_db_open(url, NULL, &db, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    run_all(engine);
    on(every_connection_came_back);
    weir_db_close(db);
}

static int run_both(void)
{
    char directory[] = "/tmp/weir-both.XXXXXX";
    char path[64];

    if (mkdtemp(directory) == NULL || getenv("WEIR_TEST_PG_URL") == NULL) {
        printf("Bail out! no directory, or not run through tests/with_postgres.sh\n");
        return 1;
    }
    snprintf(path, sizeof(path), "sqlite:///%s/both.db", directory);
    run_engine("sqlite", path);
    run_engine("postgresql", getenv("WEIR_TEST_PG_URL"));
    snprintf(path, sizeof(path), "rm -rf %s", directory);
    return system(path) != 0 ? 1 : check_done();
}

#endif
