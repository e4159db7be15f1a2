/* SPDX-License-Identifier: MIT */
/* What tests of databases share: a directory that goes away, and calls that check themselves. */
#ifndef WEIR_TESTS_DB_FIXTURE_H
#define WEIR_TESTS_DB_FIXTURE_H

#include "check.h"

#include <weir/db.h>

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

static char fixture_directory[64];

/* Make the directory of this run; every file of the tests is in it. */
static inline void fixture_start(void)
{
    strcpy(fixture_directory, "/tmp/weir-test-XXXXXX");
    if (mkdtemp(fixture_directory) == NULL)
        abort();
}

static inline int fixture_remove(const char *path, const struct stat *info, int kind,
                                 struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void fixture_stop(void)
{
    nftw(fixture_directory, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* "sqlite:////tmp/…/<name>", valid until the next call. */
static inline const char *fixture_url(const char *name)
{
    static char url[256];

    snprintf(url, sizeof url, "sqlite:///%s/%s", fixture_directory, name);
    return url;
}

static inline const char *fixture_path(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", fixture_directory, name);
    return path;
}

/* Check a status and show the error's text when it is another. */
#define check_status(actual, expected, error)                                                      \
    do {                                                                                           \
        weir_status check_is = (actual);                                                           \
        if (check_is != (expected)) {                                                              \
            check_failures_in_test++;                                                              \
            printf("# %s:%d: %s is %s, not %s: %s\n", __FILE__, __LINE__, #actual,                 \
                   weir_status_name(check_is), #expected,                                          \
                   check_is == WEIR_OK ? "" : (error).text);                                       \
        }                                                                                          \
    } while (0)

/* A database, or the end of the test program: nothing can be tested without. */
static inline weir_db *fixture_open(const char *url, const weir_db_options *options)
{
    weir_db *db = NULL;
    weir_error error = {0};

    if (weir_db_open(url, options, &db, &error) != WEIR_OK) {
        printf("Bail out! open %s: %s\n", url, error.text);
        exit(1);
    }
    return db;
}

static inline weir_conn *fixture_acquire(weir_db *db)
{
    weir_conn *conn = NULL;
    weir_error error = {0};

    if (weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error) != WEIR_OK) {
        printf("Bail out! acquire: %s\n", error.text);
        exit(1);
    }
    return conn;
}

/* Run a statement without parameters that must succeed. */
static inline void fixture_run(weir_conn *conn, const char *sql)
{
    weir_error error = {0};

    check_status(weir_conn_query(conn, sql, NULL, 0, NULL, &error), WEIR_OK, error);
}

static inline void fixture_run_in(weir_db *db, const char *sql)
{
    weir_conn *conn = fixture_acquire(db);

    fixture_run(conn, sql);
    weir_conn_release(conn);
}

/* Run a statement that must fail so. */
static inline void fixture_fail(weir_conn *conn, const char *sql, weir_status status,
                                const char *sqlstate)
{
    weir_error error = {0};

    check_status(weir_conn_query(conn, sql, NULL, 0, NULL, &error), status, error);
    check_int(error.status, status);
    if (strcmp(error.sqlstate, sqlstate) != 0)
        printf("# %s: %s\n", sql, error.text);
    check_text(error.sqlstate, sqlstate);
}

/* The one integer that a statement answers; -1 after a failed check. */
static inline int64_t fixture_int(weir_conn *conn, const char *sql)
{
    weir_result *result = NULL;
    weir_error error = {0};
    int64_t integer = -1;

    check_status(weir_conn_query(conn, sql, NULL, 0, &result, &error), WEIR_OK, error);
    if (result != NULL) {
        check_int(weir_result_value(result, 0, 0).type, WEIR_INT);
        integer = weir_result_value(result, 0, 0).integer;
    }
    weir_result_close(result);
    return integer;
}

/* The result of a statement as JSON must be this. */
static inline void fixture_json(weir_conn *conn, const char *sql, const char *expected)
{
    weir_result *result = NULL;
    weir_error error = {0};
    char *text = NULL;

    check_status(weir_conn_query(conn, sql, NULL, 0, &result, &error), WEIR_OK, error);
    if (result == NULL)
        return;
    check_status(weir_result_to_json(result, &text, NULL, &error), WEIR_OK, error);
    if (text != NULL)
        check_text(text, expected);
    free(text);
    weir_result_close(result);
}

#endif
