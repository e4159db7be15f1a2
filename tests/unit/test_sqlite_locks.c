/* SPDX-License-Identifier: MIT */
/* SQLite through weir_db with many connections at once: locks, writers, readers. */
#include "db_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static void begin(weir_conn *conn, weir_tx kind)
{
    weir_error error = {0};

    check_status(weir_conn_begin(conn, kind, &error), WEIR_OK, error);
}

static void rollback(weir_conn *conn)
{
    weir_error error = {0};

    check_status(weir_conn_rollback(conn, &error), WEIR_OK, error);
}

/* A database in memory with a table t (x). */
static weir_db *open_with_table(const char *url)
{
    weir_db *db = fixture_open(url, NULL);

    fixture_run_in(db, "CREATE TABLE t (x INTEGER PRIMARY KEY)");
    return db;
}

/* ---- locks ------------------------------------------------------------------------------- */

/* The milliseconds until a write of another holder gave up. */
static int64_t time_refused_write(weir_db *db, weir_time deadline, const char *part)
{
    weir_conn *holder = fixture_acquire(db);
    weir_conn *other = fixture_acquire(db);
    weir_error error = {0};

    begin(holder, WEIR_TX_WRITE);
    fixture_run(holder, "INSERT INTO t VALUES (1)");
    weir_conn_set_deadline(other, deadline);
    weir_time start = weir_now();
    check_status(weir_conn_query(other, "INSERT INTO t VALUES (2)", NULL, 0, NULL, &error),
                 WEIR_TIMEOUT, error);
    int64_t waited = (weir_now() - start) / WEIR_MS;
    check_contains(error.text, part);
    check_text(error.sqlstate, "55P03");
    rollback(holder);
    weir_conn_set_deadline(other, WEIR_DEADLINE_NEVER);
    fixture_run(other, "INSERT INTO t VALUES (2)");
    fixture_run(other, "DELETE FROM t");
    weir_conn_release(holder);
    weir_conn_release(other);
    return waited;
}

static void waiting_for_a_writer_ends_at_busy_timeout_or_at_the_deadline(void)
{
    char url[300];

    for (int in_memory = 0; in_memory < 2; in_memory++) {
        snprintf(url, sizeof url, "%s?busy_timeout_ms=150",
                 in_memory ? "sqlite:///:memory:" : fixture_url("busy.db"));
        weir_db *db = open_with_table(url);
        int64_t waited = time_refused_write(db, WEIR_DEADLINE_NEVER, "busy_timeout_ms (150)");
        check(waited >= 149 && waited < 1000);
        waited = time_refused_write(db, weir_deadline_in(40), "deadline");
        check(waited >= 35 && waited < 500);
        weir_db_close(db);
    }
}

static void writing_from_an_old_view_asks_for_a_retry(void)
{
    weir_db *db = open_with_table(fixture_url("snapshot.db"));
    weir_conn *first = fixture_acquire(db);
    weir_conn *second = fixture_acquire(db);

    fixture_run(first, "BEGIN");
    check_int(fixture_int(first, "SELECT count(*) FROM t"), 0);
    fixture_run(second, "INSERT INTO t VALUES (1)");
    fixture_fail(first, "INSERT INTO t VALUES (2)", WEIR_RETRY, "40001");
    fixture_run(first, "ROLLBACK");
    fixture_run(first, "INSERT INTO t VALUES (2)");
    weir_conn_release(first);
    weir_conn_release(second);
    weir_db_close(db);
}

#define WRITERS 8
#define WRITES 150

static _Atomic int failures;

/* Single inserts and read-then-write transactions by turns. */
static void *write_rows(void *arg)
{
    weir_db *db = arg;
    weir_error error = {0};

    for (int i = 0; i < WRITES; i++) {
        weir_conn *conn = NULL;
        weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error);
        if (status == WEIR_OK && i % 2 == 0)
            status = weir_conn_query(conn, "INSERT INTO t DEFAULT VALUES", NULL, 0, NULL, &error);
        else if (status == WEIR_OK) {
            status = weir_conn_begin(conn, WEIR_TX_WRITE, &error);
            if (status == WEIR_OK)
                status = weir_conn_query(conn, "SELECT max(x) FROM t", NULL, 0, NULL, &error);
            if (status == WEIR_OK)
                status = weir_conn_query(conn, "INSERT INTO t SELECT max(x) + 1 FROM t", NULL, 0,
                                         NULL, &error);
            if (status == WEIR_OK)
                status = weir_conn_commit(conn, &error);
        }
        if (status != WEIR_OK) {
            failures++;
            printf("# writer: %s\n", error.text);
        }
        weir_conn_release(conn);
    }
    return NULL;
}

static void check_writers(const char *url)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    options.busy_timeout_ms = 60000;
    options.statement_timeout_ms = 0;
    weir_db *db = fixture_open(url, &options);
    pthread_t threads[WRITERS];

    failures = 0;
    fixture_run_in(db, "CREATE TABLE t (x INTEGER PRIMARY KEY)");
    for (int i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_rows, db);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    check_int(failures, 0);
    weir_conn *conn = fixture_acquire(db);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), WRITERS * WRITES);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void many_writers_wait_for_each_other_without_an_error(void)
{
    check_writers(fixture_url("writers.db"));
    check_writers("sqlite:///:memory:");
}

/* Threads that open a new file at the same time all want to change its journal mode. */
static void *open_new_file(void *arg)
{
    weir_db *db = fixture_open(arg, NULL);
    weir_conn *conn = NULL;
    weir_error error = {0};

    if (weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error) != WEIR_OK) {
        failures++;
        printf("# opener: %s\n", error.text);
    }
    weir_conn_release(conn);
    weir_db_close(db);
    return NULL;
}

static void a_new_file_may_be_opened_by_many_at_once(void)
{
    failures = 0;
    for (int round = 0; round < 10; round++) {
        char name[32];
        char url[256];
        pthread_t threads[WRITERS];

        snprintf(name, sizeof name, "opened%d.db", round);
        snprintf(url, sizeof url, "%s", fixture_url(name));
        for (int i = 0; i < WRITERS; i++)
            pthread_create(&threads[i], NULL, open_new_file, url);
        for (int i = 0; i < WRITERS; i++)
            pthread_join(threads[i], NULL);
    }
    check_int(failures, 0);
}

#define READERS 8
#define READS 400

/* Results that go from the thread that asked to the one that closes them. */
static _Atomic(weir_result *) mailbox[READERS];

/* Ask by key, look at the answer, and leave it to the next thread to close. */
static void *read_rows(void *arg)
{
    static _Atomic int last;
    int me = last++ % READERS;
    weir_db *db = arg;

    for (int i = 0; i < READS; i++) {
        weir_param key = {"x", weir_int(i % 10)};
        weir_result *result = NULL;
        weir_error error = {0};
        if (weir_db_query(db, "SELECT x, x + 1 AS y FROM t WHERE x = :x", &key, 1, &result,
                          &error) != WEIR_OK ||
            weir_result_value(result, 0, 1).integer != i % 10 + 1) {
            failures++;
            printf("# reader: %s\n", error.text);
        }
        weir_result_close(atomic_exchange(&mailbox[(me + i) % READERS], result));
        if (i % 50 == 0)
            weir_pool_evict_all(weir_db_pool(db));
    }
    return NULL;
}

static void results_may_be_closed_by_any_thread_while_connections_come_and_go(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:?pool_size=3&max_overflow=2");
    pthread_t threads[READERS];

    failures = 0;
    fixture_run_in(db, "INSERT INTO t VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)");
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, read_rows, db);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    weir_db_close(db);
    for (int i = 0; i < READERS; i++)
        weir_result_close(atomic_exchange(&mailbox[i], NULL));
    check_int(failures, 0);
}

int main(void)
{
    fixture_start();
    run(waiting_for_a_writer_ends_at_busy_timeout_or_at_the_deadline);
    run(writing_from_an_old_view_asks_for_a_retry);
    run(many_writers_wait_for_each_other_without_an_error);
    run(a_new_file_may_be_opened_by_many_at_once);
    run(results_may_be_closed_by_any_thread_while_connections_come_and_go);
    fixture_stop();
    return check_done();
}
