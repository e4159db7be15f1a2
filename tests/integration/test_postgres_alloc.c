/* SPDX-License-Identifier: MIT */
/* Every allocation of weir's on the way to PostgreSQL fails once: no crash and no leak. */
#include "alloc_fail.h"

#include <weir/db.h>

#define MANY 40

static weir_error error;

static bool is_fine(weir_status status)
{
    return alloc_fail_is_fine(status, &error);
}

static void ask_with_many_parameters(weir_conn *conn)
{
    weir_param params[MANY];
    char sql[512] = "SELECT length($1)";
    weir_result *rows = NULL;

    params[0] = (weir_param){NULL, weir_blob("\0\1\2", 3)};
    for (int i = 1; i < MANY; i++) {
        params[i] = (weir_param){NULL, weir_text("a text of some length, so that many do not fit")};
        snprintf(sql + strlen(sql), sizeof(sql) - strlen(sql), ",$%d", i + 1);
    }
    for (int i = 0; i < 2; i++) {
        if (!is_fine(weir_conn_query(conn, sql, params, MANY, &rows, &error)))
            continue;
        check_int(weir_result_value(rows, 0, 0).integer, 3);
        check_int(weir_result_column_count(rows), MANY);
        weir_result_close(rows);
    }
}

static void ask_for_rows(weir_conn *conn)
{
    const weir_param param = {"n", weir_int(3000)};
    weir_result *rows = NULL;

    if (is_fine(
            weir_conn_query(conn,
                            "SELECT n, 'text ' || n AS t, decode('00ff', 'hex') AS b, now() AS w, "
                            "n * 0.5::float8 AS d FROM generate_series(1, CAST(:n AS int)) AS n",
                            &param, 1, &rows, &error))) {
        check_int(weir_result_row_count(rows), 3000);
        check_text(weir_result_value(rows, 2999, 1).text, "text 3000");
        weir_result_close(rows);
    }
}

static void change_the_session(weir_conn *conn)
{
    if (is_fine(weir_conn_begin(conn, WEIR_TX_WRITE, &error)) &&
        is_fine(
            weir_conn_script(conn, "SET LOCAL work_mem TO '1MB'; SELECT 1; SELECT 2", &error)) &&
        is_fine(weir_conn_commit(conn, &error)))
        check_int(weir_conn_depth(conn), 0);
}

static weir_db *open_db(const char *options)
{
    char url[512];
    weir_db *db = NULL;

    snprintf(url, sizeof(url), "%s&pool_size=1&max_overflow=0%s", getenv("WEIR_TEST_PG_SOCKET_URL"),
             options);
    return is_fine(weir_db_open(url, NULL, &db, &error)) ? db : NULL;
}

static void use_a_database(const char *options)
{
    weir_db *db = open_db(options);
    weir_conn *conn = NULL;
    weir_schema *schema = NULL;

    if (db == NULL)
        return;
    if (is_fine(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error))) {
        ask_with_many_parameters(conn);
        ask_for_rows(conn);
        change_the_session(conn);
        weir_conn_release(conn);
    }
    if (is_fine(weir_db_reflect(db, &schema, &error)))
        weir_schema_close(schema);
    check(is_fine(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error)) ||
          error.status == WEIR_NO_MEMORY);
    weir_db_close(db);
}

static void use_with_cache(void)
{
    use_a_database("&options=-c%20search_path%3Dpublic");
}

static void use_without_cache(void)
{
    use_a_database("&statement_cache_size=0");
}

/* Cancelling allocates, too; when it cannot, the connection is closed and the slot is free. */
static void run_into_a_deadline(void)
{
    weir_db *db = open_db("");
    weir_conn *conn = NULL;

    if (db == NULL)
        return;
    if (is_fine(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error))) {
        weir_conn_set_deadline(conn, weir_deadline_in(100));
        weir_status status = weir_conn_query(conn, "SELECT pg_sleep(1)", NULL, 0, NULL, &error);
        check(status == WEIR_TIMEOUT || status == WEIR_NO_MEMORY);
        weir_conn_release(conn);
    }
    if (is_fine(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error)))
        weir_conn_release(conn);
    weir_db_close(db);
}

static void every_allocation_may_fail_with_a_statement_cache(void)
{
    check(alloc_fail_each(use_with_cache) > 20);
}

static void every_allocation_may_fail_without_a_statement_cache(void)
{
    check(alloc_fail_each(use_without_cache) > 20);
}

static void every_allocation_may_fail_while_a_statement_is_stopped(void)
{
    check(alloc_fail_each(run_into_a_deadline) > 5);
}

int main(void)
{
    if (getenv("WEIR_TEST_PG_SOCKET_URL") == NULL) {
        printf("Bail out! run this through tests/with_postgres.sh\n");
        return 1;
    }
    run(every_allocation_may_fail_with_a_statement_cache);
    run(every_allocation_may_fail_without_a_statement_cache);
    run(every_allocation_may_fail_while_a_statement_is_stopped);
    return check_done();
}
