/* SPDX-License-Identifier: MIT */
/* SQLite through weir_db: transactions, deadlines, and what one holder leaves to the next. */
#include "db_fixture.h"

static weir_error ignored;

static void begin(weir_conn *conn, weir_tx kind)
{
    weir_error error = {0};

    check_status(weir_conn_begin(conn, kind, &error), WEIR_OK, error);
}

static void commit(weir_conn *conn)
{
    weir_error error = {0};

    check_status(weir_conn_commit(conn, &error), WEIR_OK, error);
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

/* ---- transactions ------------------------------------------------------------------------ */

static void what_is_committed_stays_and_what_is_rolled_back_goes(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);

    begin(conn, WEIR_TX_WRITE);
    check_int(weir_conn_depth(conn), 1);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    commit(conn);
    check_int(weir_conn_depth(conn), 0);
    begin(conn, WEIR_TX_SERIALIZABLE);
    fixture_run(conn, "INSERT INTO t VALUES (2)");
    rollback(conn);
    check_int(fixture_int(conn, "SELECT sum(x) FROM t"), 1);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void nested_transactions_are_savepoints(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);

    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (2)");
    begin(conn, WEIR_TX_WRITE);
    check_int(weir_conn_depth(conn), 3);
    fixture_run(conn, "INSERT INTO t VALUES (4)");
    commit(conn);
    rollback(conn); /* takes the committed inner one with it */
    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (8)");
    commit(conn);
    commit(conn);
    check_int(fixture_int(conn, "SELECT sum(x) FROM t"), 9);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void nesting_ends_at_32_and_begins_must_have_their_ends(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    check_status(weir_conn_commit(conn, &error), WEIR_INVALID, error);
    check_status(weir_conn_rollback(conn, &error), WEIR_INVALID, error);
    for (int i = 0; i < 32; i++)
        begin(conn, WEIR_TX_WRITE);
    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_INVALID, error);
    check_contains(error.text, "32");
    for (int i = 0; i < 32; i++)
        commit(conn);
    check_int(weir_conn_depth(conn), 0);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_transaction_begun_by_a_statement_is_not_taken_over(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    fixture_run(conn, "BEGIN");
    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_QUERY, error);
    check_text(error.sqlstate, "25001");
    fixture_run(conn, "COMMIT");
    begin(conn, WEIR_TX_WRITE);
    commit(conn);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_failed_commit_ends_the_transaction(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    fixture_run(conn, "CREATE TABLE t (x INTEGER PRIMARY KEY, "
                      "y REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (1, 99)");
    check_status(weir_conn_commit(conn, &error), WEIR_QUERY, error);
    check_text(error.sqlstate, "23503");
    check_int(weir_conn_depth(conn), 0);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (1, 1)");
    commit(conn);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* RAISE(ROLLBACK) is one way in which SQLite ends a transaction by itself. */
static void nothing_is_stored_behind_a_transaction_that_ended_by_itself(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    fixture_run(conn, "CREATE TRIGGER r BEFORE INSERT ON t WHEN new.x = 13 "
                      "BEGIN SELECT RAISE(ROLLBACK, 'unlucky'); END");
    for (int ending = 0; ending < 2; ending++) {
        begin(conn, WEIR_TX_WRITE);
        begin(conn, WEIR_TX_WRITE);
        fixture_run(conn, "INSERT INTO t VALUES (1)");
        fixture_fail(conn, "INSERT INTO t VALUES (13)", WEIR_QUERY, "P0001");
        fixture_fail(conn, "INSERT INTO t VALUES (2)", WEIR_QUERY, "25P02");
        check_status(weir_conn_script(conn, "INSERT INTO t VALUES (2)", &error), WEIR_QUERY, error);
        check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_QUERY, error);
        if (ending == 0) {
            rollback(conn);
            rollback(conn);
        } else {
            check_status(weir_conn_commit(conn, &error), WEIR_QUERY, error);
            check_text(error.sqlstate, "25P02");
            check_status(weir_conn_commit(conn, &error), WEIR_QUERY, error);
        }
        check_int(weir_conn_depth(conn), 0);
        check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    }
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_transaction_for_reading_sees_one_moment_and_cannot_write(void)
{
    weir_db *db = open_with_table(fixture_url("reading.db"));
    weir_conn *reader = fixture_acquire(db);
    weir_conn *writer = fixture_acquire(db);

    begin(reader, WEIR_TX_READ);
    check_int(fixture_int(reader, "SELECT count(*) FROM t"), 0);
    fixture_run(writer, "INSERT INTO t VALUES (1)");
    check_int(fixture_int(reader, "SELECT count(*) FROM t"), 0);
    fixture_fail(reader, "INSERT INTO t VALUES (2)", WEIR_QUERY, "25006");
    begin(reader, WEIR_TX_WRITE); /* a savepoint */
    fixture_fail(reader, "DELETE FROM t", WEIR_QUERY, "25006");
    commit(reader);
    commit(reader);
    fixture_run(reader, "INSERT INTO t VALUES (2)");
    check_int(fixture_int(writer, "SELECT count(*) FROM t"), 2);
    weir_conn_release(reader);
    weir_conn_release(writer);
    weir_db_close(db);
}

/* ---- deadlines --------------------------------------------------------------------------- */

static const char endless[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

static void check_stopped(weir_conn *conn, const char *sql, int64_t least_ms)
{
    weir_error error = {0};
    weir_time start = weir_now();

    check_status(weir_conn_query(conn, sql, NULL, 0, NULL, &error), WEIR_TIMEOUT, error);
    int64_t took = (weir_now() - start) / WEIR_MS;
    check(took >= least_ms && took < least_ms + 2000);
    check_text(error.sqlstate, "57014");
}

static void a_statement_stops_at_its_timeout_and_the_connection_goes_on(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:?statement_timeout_ms=60", NULL);
    weir_conn *conn = fixture_acquire(db);

    check_stopped(conn, endless, 60);
    check_int(fixture_int(conn, "SELECT 1"), 1);
    weir_conn_set_deadline(conn, weir_deadline_in(10));
    check_stopped(conn, endless, 10);
    weir_conn_set_deadline(conn, WEIR_DEADLINE_NOW);
    check_stopped(conn, endless, 0);
    check_stopped(conn, "SELECT 1", 0); /* not even begun */
    weir_conn_release(conn);
    conn = fixture_acquire(db); /* a new loan has no deadline */
    check_int(fixture_int(conn, "SELECT 1"), 1);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_write_stopped_inside_a_transaction_takes_it_along(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:?statement_timeout_ms=60");
    weir_conn *conn = fixture_acquire(db);

    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    check_stopped(conn,
                  "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n) "
                  "SELECT i FROM n",
                  60);
    fixture_fail(conn, "INSERT INTO t VALUES (2)", WEIR_QUERY, "25P02");
    rollback(conn);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_rollback_works_after_the_deadline(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    begin(conn, WEIR_TX_WRITE);
    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    weir_conn_set_deadline(conn, WEIR_DEADLINE_NOW);
    rollback(conn);
    rollback(conn);
    weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
    begin(conn, WEIR_TX_WRITE);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    weir_conn_set_deadline(conn, WEIR_DEADLINE_NOW);
    check_status(weir_conn_commit(conn, &error), WEIR_TIMEOUT, error); /* and so is rolled back */
    check_int(weir_conn_depth(conn), 0);
    weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- from one holder to the next --------------------------------------------------------- */

/* One connection only, so that the next holder would get the same one. */
static weir_db *open_single(weir_reset reset)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    options.pool.pool_size = 1;
    options.pool.max_overflow = 0;
    options.pool.reset_on_return = reset;
    weir_db *db = fixture_open("sqlite:///:memory:", &options);

    fixture_run_in(db, "CREATE TABLE t (x INTEGER PRIMARY KEY)");
    return db;
}

static int64_t count_after_release(weir_db *db)
{
    weir_conn *conn = fixture_acquire(db);
    int64_t count = fixture_int(conn, "SELECT count(*) FROM t");

    check_int(weir_conn_depth(conn), 0);
    weir_conn_release(conn);
    return count;
}

static void an_open_transaction_ends_on_return_as_the_pool_says(void)
{
    static const weir_reset resets[] = {WEIR_RESET_ROLLBACK, WEIR_RESET_COMMIT};

    for (int i = 0; i < 2; i++) {
        weir_db *db = open_single(resets[i]);
        weir_conn *conn = fixture_acquire(db);
        begin(conn, WEIR_TX_WRITE);
        begin(conn, WEIR_TX_WRITE);
        fixture_run(conn, "INSERT INTO t VALUES (1)");
        weir_conn_release(conn);
        check_int(count_after_release(db), i);

        conn = fixture_acquire(db);
        begin(conn, WEIR_TX_READ);
        weir_conn_release(conn);
        fixture_run_in(db, "INSERT INTO t VALUES (2)"); /* it reads no more */
        check_int(count_after_release(db), i + 1);
        weir_db_close(db);
    }
}

static uint64_t connects(weir_db *db)
{
    weir_pool_stats stats;

    weir_pool_get_stats(weir_db_pool(db), &stats);
    return stats.connects;
}

static void the_next_holder_sees_nothing_of_a_changed_session(void)
{
    weir_db *db = open_single(WEIR_RESET_ROLLBACK);

    fixture_run_in(db, "CREATE TEMP TABLE mine (x)");
    weir_conn *conn = fixture_acquire(db);
    fixture_fail(conn, "SELECT * FROM mine", WEIR_QUERY, "42P01");
    fixture_run(conn, "PRAGMA foreign_keys = OFF");
    weir_conn_release(conn);
    conn = fixture_acquire(db);
    check_int(fixture_int(conn, "PRAGMA foreign_keys"), 1);
    fixture_run(conn, "PRAGMA query_only(1)");
    weir_conn_release(conn);
    fixture_run_in(db, "INSERT INTO t VALUES (1)");
    check_int(connects(db), 4);

    /* Asking is not changing. */
    fixture_run_in(db, "PRAGMA table_info(t)");
    fixture_run_in(db, "PRAGMA foreign_keys");
    check_int(connects(db), 4);
    weir_db_close(db);
}

static void a_cached_statement_that_changes_the_session_does_so_each_time(void)
{
    weir_db *db = open_single(WEIR_RESET_NONE);

    fixture_run_in(db, "PRAGMA foreign_keys = OFF");
    weir_conn *conn = fixture_acquire(db);
    check_int(fixture_int(conn, "PRAGMA foreign_keys"), 0); /* as it was left */
    fixture_run(conn, "PRAGMA foreign_keys = OFF");
    weir_conn_release(conn);
    check_int(connects(db), 1);
    weir_db_close(db);
}

static void vacuum_works_although_attach_does_not(void)
{
    weir_db *db = open_with_table(fixture_url("vacuum.db"));
    weir_conn *conn = fixture_acquire(db);

    fixture_run(conn, "VACUUM");
    fixture_fail(conn, "ATTACH '' AS x", WEIR_QUERY, "42501");
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_file_that_was_replaced_is_opened_anew(void)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    options.pool.ping_bypass_ms = 0;
    weir_db *db = fixture_open(fixture_url("gone.db"), &options);

    fixture_run_in(db, "CREATE TABLE t (x)");
    unlink(fixture_path("gone.db"));
    unlink(fixture_path("gone.db-wal"));
    unlink(fixture_path("gone.db-shm"));
    weir_conn *conn = fixture_acquire(db);
    fixture_fail(conn, "SELECT * FROM t", WEIR_QUERY, "42P01");
    check_int(connects(db), 2);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- loans ------------------------------------------------------------------------------- */

static void a_loan_outlives_the_database(void)
{
    weir_db *db = open_with_table("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_conn *detached = fixture_acquire(db);
    weir_error error = {0};

    check_int(weir_pool_detach(weir_conn_lease(detached)), WEIR_OK);
    check_status(weir_db_dispose(db, WEIR_DEADLINE_NOW, &error), WEIR_TIMEOUT, error);
    weir_db_close(db);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    check_int(fixture_int(detached, "SELECT count(*) FROM t"), 1);
    weir_conn_release(conn);
    weir_conn_release(detached);
}

static void every_slot_comes_back_whichever_way(void)
{
    weir_db *db = open_single(WEIR_RESET_ROLLBACK);
    weir_pool_stats stats;

    for (int i = 0; i < 5; i++) {
        weir_conn *conn = fixture_acquire(db);
        if (i % 2 == 0)
            weir_conn_release(conn);
        else
            weir_conn_discard(conn);
    }
    weir_conn_release(NULL);
    weir_conn_discard(NULL);
    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.leased, 0);
    check_int(stats.checkouts, 6);
    check_int(stats.connects, 3);
    weir_db_close(db);
    weir_db_close(NULL);
}

static weir_status prepare_session(const weir_pool_event *event, void *arg)
{
    (void)arg;
    return weir_conn_query(event->connection, "SELECT 1", NULL, 0, NULL, &ignored);
}

static void a_listener_may_run_statements_on_a_new_connection(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_error error = {0};

    check_status(weir_pool_listen(weir_db_pool(db), WEIR_EVENT_BIT(WEIR_EVENT_CONNECT),
                                  prepare_session, NULL, &error),
                 WEIR_OK, error);
    fixture_run_in(db, "SELECT 1");
    check_int(connects(db), 1);
    weir_db_close(db);
}

int main(void)
{
    fixture_start();
    run(what_is_committed_stays_and_what_is_rolled_back_goes);
    run(nested_transactions_are_savepoints);
    run(nesting_ends_at_32_and_begins_must_have_their_ends);
    run(a_transaction_begun_by_a_statement_is_not_taken_over);
    run(a_failed_commit_ends_the_transaction);
    run(nothing_is_stored_behind_a_transaction_that_ended_by_itself);
    run(a_transaction_for_reading_sees_one_moment_and_cannot_write);
    run(a_statement_stops_at_its_timeout_and_the_connection_goes_on);
    run(a_write_stopped_inside_a_transaction_takes_it_along);
    run(a_rollback_works_after_the_deadline);
    run(an_open_transaction_ends_on_return_as_the_pool_says);
    run(the_next_holder_sees_nothing_of_a_changed_session);
    run(a_cached_statement_that_changes_the_session_does_so_each_time);
    run(vacuum_works_although_attach_does_not);
    run(a_file_that_was_replaced_is_opened_anew);
    run(a_loan_outlives_the_database);
    run(every_slot_comes_back_whichever_way);
    run(a_listener_may_run_statements_on_a_new_connection);
    fixture_stop();
    return check_done();
}
