/* SPDX-License-Identifier: MIT */
/* How often a busy connection looks whether its file is still there: at most every 100 ms, and not less often. */
#include "db_fixture.h"

#include <sys/stat.h>

#define STATEMENTS 10000
#define LOOK_EVERY (100 * WEIR_MS)

/* The clock that is asked lags by one tick of the kernel's, 10 ms at most. */
#define LAG (10 * WEIR_MS)

/* ---- what weir's objects ask the system about files comes here ----------------------------- */

static long looks;

/* With 64-bit sizes of files, glibc calls a function by its name with 64. */
#define WRAP(name, parameters, arguments)                                                          \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        looks++;                                                                                   \
        return __real_##name arguments;                                                            \
    }

WRAP(stat, (const char *path, struct stat *info), (path, info))
WRAP(stat64, (const char *path, struct stat *info), (path, info))
WRAP(lstat, (const char *path, struct stat *info), (path, info))
WRAP(lstat64, (const char *path, struct stat *info), (path, info))
WRAP(fstat, (int fd, struct stat *info), (fd, info))
WRAP(fstat64, (int fd, struct stat *info), (fd, info))
WRAP(fstatat, (int at, const char *path, struct stat *info, int flags), (at, path, info, flags))
WRAP(fstatat64, (int at, const char *path, struct stat *info, int flags), (at, path, info, flags))
WRAP(access, (const char *path, int mode), (path, mode))

/* ---- many statements ---------------------------------------------------------------------- */

/* Runs one statement. */
typedef weir_status step(void *arg, weir_error *reterr);

/*
 * At least 10,000 of them, for at least 700 ms. However long the machine lets a thread wait, a statement
 * that begins when a look is due looks.
 */
static void check_looks(step *run_one, void *arg)
{
    weir_error error = {0};
    weir_time began = weir_now();
    weir_time looked_at = began;
    long missed = 0;
    long count = 0;

    check_int(run_one(arg, &error), WEIR_OK); /* prepares it */
    looks = 0;
    for (weir_time now = weir_now(); count < STATEMENTS || now - began < 7 * LOOK_EVERY; count++) {
        long before = looks;
        bool is_due = now - looked_at >= LOOK_EVERY + LAG;
        if (run_one(arg, &error) != WEIR_OK) {
            check_status(error.status, WEIR_OK, error);
            return;
        }
        now = weir_now();
        if (looks > before)
            looked_at = now;
        missed += is_due && looks == before;
    }
    weir_time took = weir_now() - began;
    printf("# %ld statements in %lld ms: %ld looks\n", count, (long long)(took / WEIR_MS), looks);
    check(looks <= took / LOOK_EVERY + 2);
    check(looks > 0);
    check_int(missed, 0);
}

static weir_status read_on(void *arg, weir_error *reterr)
{
    return weir_conn_query(arg, "SELECT x FROM t", NULL, 0, NULL, reterr);
}

static weir_status write_on(void *arg, weir_error *reterr)
{
    return weir_conn_query(arg, "UPDATE t SET x = x + 1", NULL, 0, NULL, reterr);
}

static weir_status read_through_the_pool(void *arg, weir_error *reterr)
{
    return weir_db_query(arg, "SELECT x FROM t", NULL, 0, NULL, reterr);
}

static weir_db *open_with_row(const char *name)
{
    weir_db *db = fixture_open(fixture_url(name), NULL);

    fixture_run_in(db, "CREATE TABLE t (x)");
    fixture_run_in(db, "INSERT INTO t VALUES (1)");
    return db;
}

static void statements_on_a_loan_look_every_100_ms(void)
{
    weir_db *db = open_with_row("loan.db");
    weir_conn *conn = fixture_acquire(db);

    check_looks(read_on, conn);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void writes_in_a_transaction_look_every_100_ms(void)
{
    weir_db *db = open_with_row("writes.db");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK, error);
    check_looks(write_on, conn);
    check_status(weir_conn_rollback(conn, &error), WEIR_OK, error);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void loans_of_one_statement_each_look_every_100_ms(void)
{
    weir_db *db = open_with_row("loans.db");

    check_looks(read_through_the_pool, db);
    weir_db_close(db);
}

int main(void)
{
    fixture_start();
    run(statements_on_a_loan_look_every_100_ms);
    run(writes_in_a_transaction_look_every_100_ms);
    run(loans_of_one_statement_each_look_every_100_ms);
    fixture_stop();
    return check_done();
}
