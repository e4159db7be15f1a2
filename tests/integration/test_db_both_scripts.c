/* SPDX-License-Identifier: MIT */
/* Scripts on SQLite and on PostgreSQL: all of one or nothing, wherever and however it fails. */
#include "db_both.h"

#include "db/conn.h"

static weir_conn *conn; /* of the test that runs */

static void start_over(void)
{
    conn = borrow();
    must_on(conn, "DROP TABLE IF EXISTS scripted");
    must_on(conn, "CREATE TABLE scripted (n INTEGER PRIMARY KEY, t TEXT)");
}

static void finish(void)
{
    must_on(conn, "DROP TABLE scripted");
    weir_conn_release(conn);
}

/* The rows as a sum: each test adds powers of two. */
static int64_t rows(void)
{
    return number_on(conn, "SELECT coalesce(sum(n), 0) FROM scripted");
}

static bool is_outside(void)
{
    return conn->driver->state(conn->native) == CONN_IDLE;
}

/* Run a script that must fail so. */
static void must_fail(const char *sql, const char *sqlstate)
{
    check_int(weir_conn_script(conn, sql, &error), WEIR_QUERY);
    if (strcmp(error.sqlstate, sqlstate) != 0)
        printf("# %s: %s\n", sql, error.text);
    check_text(error.sqlstate, sqlstate);
}

static void a_script_runs_in_order(void)
{
    start_over();
    must_be_ok(weir_conn_script(conn,
                                "INSERT INTO scripted VALUES (1, 'a;b'); -- first; second\n"
                                "UPDATE scripted SET n = 2;\n/* ; */ SELECT 1;;\n",
                                &error));
    check_int(number_on(conn, "SELECT count(*) FROM scripted WHERE n = 2 AND t = 'a;b'"), 1);
    check(is_outside());
    finish();
}

/* Whatever the fault: of grammar, of a name, of a value, of the last statement. */
static void a_script_that_fails_leaves_nothing(void)
{
    static const char *const faults[][2] = {{"SELEKT 2", "42601"},
                                            {"INSERT INTO nowhere VALUES (1)", "42P01"},
                                            {"INSERT INTO scripted VALUES (1, 'again')", "23505"},
                                            {"SELECT missing FROM scripted", "42703"}};

    start_over();
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        char script[200];
        snprintf(script, sizeof script,
                 "INSERT INTO scripted VALUES (1, 'a'); CREATE TABLE made (n INTEGER); %s; "
                 "INSERT INTO scripted VALUES (4, 'c')",
                 faults[i][0]);
        must_fail(script, faults[i][1]);
        check_int(rows(), 0);
        check(is_outside());
        must_on(conn, "CREATE TABLE made (n INTEGER)");
        must_on(conn, "DROP TABLE made");
    }
    finish();
}

/* What its own COMMIT stored stays; what came since is undone, also when its BEGIN stands in between. */
static void a_script_with_transactions_of_its_own_runs_as_written(void)
{
    start_over();
    must_be_ok(weir_conn_script(conn,
                                "BEGIN; INSERT INTO scripted VALUES (1, ''); COMMIT; "
                                "INSERT INTO scripted VALUES (2, '')",
                                &error));
    check_int(rows(), 3);
    must_fail("BEGIN; INSERT INTO scripted VALUES (4, ''); COMMIT; "
              "INSERT INTO scripted VALUES (8, ''); SELEKT",
              "42601");
    check_int(rows(), is_postgres ? 3 : 7); /* PostgreSQL reads all of it before it runs any */
    must_on(conn, "DELETE FROM scripted");
    must_fail("INSERT INTO scripted VALUES (1, ''); BEGIN; INSERT INTO scripted VALUES (2, ''); "
              "COMMIT; INSERT INTO scripted VALUES (4, ''); INSERT INTO nowhere VALUES (1)",
              "42P01");
    check_int(rows(), 3);
    must_on(conn, "DELETE FROM scripted");
    must_fail("INSERT INTO scripted VALUES (1, ''); BEGIN; INSERT INTO scripted VALUES (2, ''); "
              "INSERT INTO nowhere VALUES (1); COMMIT",
              "42P01");
    check_int(rows(), 0);
    check(is_outside());
    must_be_ok(weir_conn_script(conn,
                                "INSERT INTO scripted VALUES (1, ''); BEGIN; "
                                "INSERT INTO scripted VALUES (2, ''); ROLLBACK; "
                                "INSERT INTO scripted VALUES (4, '')",
                                &error));
    check_int(rows(), 4);
    check(is_outside());
    finish();
}

/* A transaction that it leaves open when it succeeds is the holder's, as after a BEGIN. */
static void a_transaction_that_a_script_leaves_open_is_open(void)
{
    start_over();
    must_be_ok(weir_conn_script(conn, "BEGIN; INSERT INTO scripted VALUES (1, '')", &error));
    check(!is_outside());
    must_on(conn, "ROLLBACK");
    check_int(rows(), 0);
    finish();
}

static void a_script_within_a_transaction_is_undone_alone(void)
{
    start_over();
    for (int nested = 0; nested < 2; nested++) {
        must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
        must_on(conn, "INSERT INTO scripted VALUES (1, '')");
        if (nested)
            must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
        must_fail("INSERT INTO scripted VALUES (2, ''); INSERT INTO nowhere VALUES (1)", "42P01");
        check_int(rows(), 1);
        must_fail("SELEKT", "42601");
        must_be_ok(weir_conn_script(
            conn, "INSERT INTO scripted VALUES (4, ''); INSERT INTO scripted VALUES (8, '')",
            &error));
        check_int(weir_conn_depth(conn), 1 + nested);
        if (nested)
            must_be_ok(weir_conn_commit(conn, &error));
        must_be_ok(weir_conn_commit(conn, &error));
        check_int(rows(), 13);
        must_on(conn, "DELETE FROM scripted");
    }
    finish();
}

static void a_script_that_ends_the_transaction_around_it_is_told_so(void)
{
    start_over();
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_be_ok(weir_conn_script(conn, "INSERT INTO scripted VALUES (1, ''); COMMIT", &error));
    check_int(weir_conn_query(conn, "INSERT INTO scripted VALUES (2, '')", NULL, 0, NULL, &error),
              WEIR_QUERY);
    check_text(error.sqlstate, "25P02");
    must_be_ok(weir_conn_rollback(conn, &error));
    check_int(rows(), 1);
    finish();
}

static void a_script_for_reading_writes_nothing(void)
{
    start_over();
    must_be_ok(weir_conn_begin(conn, WEIR_TX_READ, &error));
    must_be_ok(weir_conn_script(conn, "SELECT 1; SELECT n FROM scripted", &error));
    must_fail("SELECT 1; INSERT INTO scripted VALUES (1, '')", "25006");
    check_int(rows(), 0);
    must_be_ok(weir_conn_commit(conn, &error));
    finish();
}

/* One statement that runs outside of transactions only is no script to speak of. */
static void what_runs_outside_transactions_only_runs_alone(void)
{
    start_over();
    must_be_ok(weir_conn_script(conn, "VACUUM", &error));
    must_fail("INSERT INTO scripted VALUES (1, ''); VACUUM", "25001");
    check_int(rows(), 0);
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO scripted VALUES (1, '')");
    must_fail("VACUUM", "25001");
    must_be_ok(weir_conn_commit(conn, &error));
    check_int(rows(), 1);
    finish();
}

static void run_all(const char *engine)
{
    on(a_script_runs_in_order);
    on(a_script_that_fails_leaves_nothing);
    on(a_script_with_transactions_of_its_own_runs_as_written);
    on(a_transaction_that_a_script_leaves_open_is_open);
    on(a_script_within_a_transaction_is_undone_alone);
    on(a_script_that_ends_the_transaction_around_it_is_told_so);
    on(a_script_for_reading_writes_nothing);
    on(what_runs_outside_transactions_only_runs_alone);
}

int main(void)
{
    return run_both();
}
