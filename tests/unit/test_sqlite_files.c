/* SPDX-License-Identifier: MIT */
/* SQLite files that are removed or replaced while they are in use: noticed soon, and nothing is written. */
#include "db_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* A file is looked at every 100 ms; a starved machine is given more until a look must have been. */
#define SOON (1500 * WEIR_MS)

static weir_db *open_with_row(const char *name)
{
    weir_db *db = fixture_open(fixture_url(name), NULL);

    fixture_run_in(db, "CREATE TABLE t (x)");
    fixture_run_in(db, "INSERT INTO t VALUES ('former')");
    return db;
}

/* "<name><suffix>" in the test's directory; two may be in use at once. */
static const char *path_of(const char *name, const char *suffix)
{
    static char paths[2][300];
    static int next;
    char *path = paths[next++ % 2];

    snprintf(path, sizeof paths[0], "%s/%s%s", fixture_directory, name, suffix);
    return path;
}

static bool exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}

static void remove_sides(const char *name)
{
    unlink(path_of(name, "-wal"));
    unlink(path_of(name, "-shm"));
}

/* A database of its own, closed, to be put into another's place; its table holds one word. */
static void make_other(const char *name)
{
    weir_db *db = fixture_open(fixture_url(name), NULL);

    fixture_run_in(db, "CREATE TABLE t (x)");
    fixture_run_in(db, "INSERT INTO t VALUES ('latter')");
    weir_db_close(db);
    check(!exists(path_of(name, "-wal")));
}

/* The bytes of a file: *ret_size of them, freed by the caller. */
static char *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 20);

    *ret_size = file == NULL ? 0 : fread(bytes, 1, 1 << 20, file);
    if (file != NULL)
        fclose(file);
    return bytes;
}

static void check_refused(weir_db *db, const char *part)
{
    weir_conn *conn = NULL;
    weir_error error = {0};

    check_status(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error), WEIR_CONNECT, error);
    check_contains(error.text, part);
    weir_conn_release(conn);
}

/* Let more than the time between two looks pass. */
static void pass_a_look(void)
{
    weir_time until = weir_now() + 150 * WEIR_MS;

    while (weir_now() < until)
        ;
}

/* ---- noticed ----------------------------------------------------------------------------- */

/* Write until it fails, and say how long after `start` the last success was. */
static weir_time write_until_it_fails(weir_db *db, weir_conn *held, weir_time start,
                                      weir_error *ret_error)
{
    weir_time last = start;
    weir_status status = WEIR_OK;

    while (status == WEIR_OK && weir_now() - start < 10 * WEIR_SECOND) {
        weir_conn *conn = held;
        if (held == NULL)
            status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, ret_error);
        if (status == WEIR_OK)
            status = weir_conn_query(conn, "INSERT INTO t VALUES (1)", NULL, 0, NULL, ret_error);
        if (status == WEIR_OK)
            last = weir_now();
        if (held == NULL)
            weir_conn_release(conn);
    }
    return last - start;
}

static void a_busy_loan_notices_that_its_file_was_removed(void)
{
    weir_db *db = open_with_row("loan.db");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    fixture_run(conn, "INSERT INTO t VALUES (0)");
    weir_time start = weir_now();
    unlink(path_of("loan.db", ""));
    check(write_until_it_fails(db, conn, start, &error) < SOON);
    check_int(error.status, WEIR_DISCONNECTED);
    check_text(error.sqlstate, "08006");
    check_contains(error.text, "removed or replaced");
    check(weir_conn_is_lost(conn));
    weir_conn_release(conn);
    weir_db_close(db);
}

/* Here it is the pool that notices, and what it finds at the path is no database to write to. */
static void a_busy_pool_notices_that_its_file_was_replaced(void)
{
    weir_db *db = open_with_row("pool.db");
    weir_error error = {0};

    make_other("pool-other.db");
    fixture_run_in(db, "INSERT INTO t VALUES (0)");
    weir_time start = weir_now();
    check_int(rename(path_of("pool-other.db", ""), path_of("pool.db", "")), 0);
    check(write_until_it_fails(db, NULL, start, &error) < SOON);
    check(error.status == WEIR_CONNECT || error.status == WEIR_DISCONNECTED);
    check_refused(db, "belong to the old file");
    weir_db_close(db);
    remove_sides("pool.db");
}

static void a_transaction_is_not_committed_to_a_removed_file(void)
{
    weir_db *db = open_with_row("commit.db");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK, error);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    check_int(rename(path_of("commit.db", ""), path_of("commit-away.db", "")), 0);
    pass_a_look();
    check_status(weir_conn_commit(conn, &error), WEIR_DISCONNECTED, error);
    weir_conn_release(conn);
    check_int(rename(path_of("commit-away.db", ""), path_of("commit.db", "")), 0);
    conn = fixture_acquire(db);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 1);
    weir_conn_release(conn);
    weir_db_close(db);
}

static _Atomic bool has_begun;

static void *remove_meanwhile(void *arg)
{
    while (!has_begun)
        ;
    pass_a_look();
    unlink(arg);
    return NULL;
}

/* The file was there when it began; what it stored is lost all the same. */
static void a_long_write_whose_file_was_removed_meanwhile_is_no_success(void)
{
    char url[300];
    snprintf(url, sizeof url, "%s?statement_timeout_ms=0", fixture_url("long.db"));
    weir_db_close(open_with_row("long.db"));
    weir_db *db = fixture_open(url, NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_result *result = NULL;
    weir_error error = {0};
    char path[300];
    pthread_t thread;

    snprintf(path, sizeof path, "%s", path_of("long.db", ""));
    has_begun = false;
    pthread_create(&thread, NULL, remove_meanwhile, path);
    has_begun = true;
    check_status(weir_conn_query(conn,
                                 "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
                                 "i + 1 FROM n WHERE i < 3000000) SELECT max(i) FROM n",
                                 NULL, 0, &result, &error),
                 WEIR_DISCONNECTED, error);
    check(result == NULL);
    pthread_join(thread, NULL);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- refused ----------------------------------------------------------------------------- */

/* Neither the new file nor the former one's -wal is touched, not even after all connections to the
 * former one are closed; and it goes on as soon as the two are gone. */
static void a_replaced_file_is_not_opened_with_the_wal_of_the_former(void)
{
    weir_db *db = open_with_row("replaced.db");
    size_t new_size;
    size_t wal_size;
    size_t size;

    make_other("replaced-other.db");
    check_int(rename(path_of("replaced-other.db", ""), path_of("replaced.db", "")), 0);
    char *new_bytes = read_file(path_of("replaced.db", ""), &new_size);
    char *wal_bytes = read_file(path_of("replaced.db", "-wal"), &wal_size);
    check(wal_size > 0);
    pass_a_look();
    check_refused(db, "belong to the old file: put the old file back, or remove these two");
    weir_db_close(db);
    for (int i = 0; i < 2; i++) {
        db = fixture_open(fixture_url("replaced.db"), NULL);
        check_refused(db, "belong to the old file");
        if (i == 0)
            weir_db_close(db);
    }
    char *bytes = read_file(path_of("replaced.db", ""), &size);
    check(size == new_size && memcmp(bytes, new_bytes, size) == 0);
    free(bytes);
    bytes = read_file(path_of("replaced.db", "-wal"), &size);
    check(size == wal_size && memcmp(bytes, wal_bytes, size) == 0);
    free(bytes);

    remove_sides("replaced.db");
    weir_conn *conn = fixture_acquire(db);
    fixture_json(conn, "SELECT x FROM t", "[{\"x\":\"latter\"}]");
    weir_conn_release(conn);
    weir_db_close(db);
    free(new_bytes);
    free(wal_bytes);
}

static void a_removed_file_is_not_made_anew_beside_its_wal_and_may_be_put_back(void)
{
    weir_db *db = open_with_row("removed.db");

    check_int(rename(path_of("removed.db", ""), path_of("removed-away.db", "")), 0);
    pass_a_look();
    check_refused(db, "removed while it was in use, and its -wal and -shm are still there");
    check(!exists(path_of("removed.db", "")));
    check(exists(path_of("removed.db", "-wal")));
    check_int(rename(path_of("removed-away.db", ""), path_of("removed.db", "")), 0);
    weir_conn *conn = fixture_acquire(db);
    fixture_json(conn, "SELECT x FROM t", "[{\"x\":\"former\"}]");
    weir_conn_release(conn);
    weir_db_close(db);
}

/* Copied over, byte by byte, it is still the same file: that nobody can see. Renamed together with its
 * sides, it is another as a whole. */
static void a_file_that_was_replaced_as_a_whole_is_used(void)
{
    weir_db *db = open_with_row("whole.db");
    weir_db *other = open_with_row("whole-other.db");

    fixture_run_in(other, "UPDATE t SET x = 'moved'");
    for (int i = 0; i < 3; i++) {
        static const char *const suffixes[] = {"-shm", "-wal", ""};
        check_int(rename(path_of("whole-other.db", suffixes[i]), path_of("whole.db", suffixes[i])),
                  0);
    }
    pass_a_look();
    weir_conn *conn = fixture_acquire(db);
    fixture_json(conn, "SELECT x FROM t", "[{\"x\":\"moved\"}]");
    weir_conn_release(conn);
    weir_db_close(other);
    weir_db_close(db);
}

static void a_link_that_was_turned_is_followed(void)
{
    weir_db *former = open_with_row("first.db");
    make_other("second.db");
    check_int(symlink("first.db", path_of("current.db", "")), 0);
    weir_db *db = fixture_open(fixture_url("current.db"), NULL);

    weir_conn *conn = fixture_acquire(db);
    fixture_json(conn, "SELECT x FROM t", "[{\"x\":\"former\"}]");
    weir_conn_release(conn);
    unlink(path_of("current.db", ""));
    check_int(symlink("second.db", path_of("current.db", "")), 0);
    pass_a_look();
    conn = fixture_acquire(db);
    fixture_json(conn, "SELECT x FROM t", "[{\"x\":\"latter\"}]");
    weir_conn_release(conn);
    fixture_run_in(former, "INSERT INTO t VALUES (1)");
    weir_db_close(db);
    weir_db_close(former);
}

static void a_relative_path_stays_where_it_was(void)
{
    char before[300];
    weir_db *db;

    if (getcwd(before, sizeof before) == NULL || chdir(fixture_directory) != 0)
        abort();
    db = fixture_open("sqlite:///relative.db", NULL);
    fixture_run_in(db, "CREATE TABLE t (x)");
    if (chdir("/") != 0)
        abort();
    weir_pool_evict_all(weir_db_pool(db));
    fixture_run_in(db, "INSERT INTO t VALUES (1)");
    pass_a_look();
    fixture_run_in(db, "INSERT INTO t VALUES (2)");
    weir_db_close(db);
    check(exists(path_of("relative.db", "")));
    if (chdir(before) != 0)
        abort();
}

int main(void)
{
    fixture_start();
    run(a_busy_loan_notices_that_its_file_was_removed);
    run(a_busy_pool_notices_that_its_file_was_replaced);
    run(a_transaction_is_not_committed_to_a_removed_file);
    run(a_long_write_whose_file_was_removed_meanwhile_is_no_success);
    run(a_replaced_file_is_not_opened_with_the_wal_of_the_former);
    run(a_removed_file_is_not_made_anew_beside_its_wal_and_may_be_put_back);
    run(a_file_that_was_replaced_as_a_whole_is_used);
    run(a_link_that_was_turned_is_followed);
    run(a_relative_path_stays_where_it_was);
    fixture_stop();
    return check_done();
}
