/* SPDX-License-Identifier: MIT */
/* The PostgreSQL driver against a real server: connecting, values, prepared statements, sessions, limits of time. */
#include "postgres_session.h"
#include "relay.h"

#include <unistd.h>

static struct session observer; /* a connection that only looks on */

static bool took_less_than(weir_time start, int64_t ms)
{
    weir_time taken = weir_now() - start;

    if (taken >= ms * WEIR_MS)
        printf("# took %lld ms, not less than %lld\n", (long long)(taken / WEIR_MS), (long long)ms);
    return taken < ms * WEIR_MS;
}

/* ---- connecting ---------------------------------------------------------------------------- */

static void tcp_with_a_password_that_needs_encoding_connects(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    check_text(answer(&s, "SELECT current_user"), "weir");
    check_text(answer(&s, "SHOW application_name"), "weir");
    check_text(answer(&s, "SHOW client_encoding"), "UTF8");
    check_text(answer(&s, "SHOW datestyle"), "ISO, MDY");
    check_text(answer(&s, "SHOW statement_timeout"), "29800ms");
    session_close(&s);
}

static void options_of_the_url_reach_the_session_and_survive_discard(void)
{
    struct session s;
    char url[512];

    snprintf(url, sizeof(url), "%s&options=-c%%20search_path%%3Dpg_catalog%%20-c%%20statement_timeout%%3D7s",
             need_env("WEIR_TEST_PG_SOCKET_URL"));
    session_open(&s, url);
    check_text(answer(&s, "SHOW search_path"), "pg_catalog");
    check_text(answer(&s, "SHOW statement_timeout"), "7s");
    must(&s, "SET search_path TO public");
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_text(answer(&s, "SHOW search_path"), "pg_catalog");
    session_close(&s);
}

static void a_wrong_password_is_refused_and_shown_nowhere(void)
{
    struct session s;
    char url[256];

    snprintf(url, sizeof(url), "postgresql://weir:hunter2@127.0.0.1:%d/weir",
             relay_port_of(need_env("WEIR_TEST_PG_URL")));
    check(session_init(&s, url, 8));
    check_int(session_connect(&s, SOON), WEIR_CONNECT);
    check_contains(s.error.text, "password authentication failed for user \"weir\"");
    check_int(s.error.status, WEIR_CONNECT);
    check(strstr(s.error.text, "hunter2") == NULL);
    check(strchr(s.error.text, '\n') == NULL);
    session_close(&s);
}

static void a_refused_port_fails_at_once(void)
{
    struct session s;
    weir_time start = weir_now();

    check(session_init(&s, "postgresql://weir:hunter2@127.0.0.1:1/weir", 8));
    check_int(session_connect(&s, SOON), WEIR_CONNECT);
    check_contains(s.error.text, "Connection refused");
    check(took_less_than(start, 2000));
    session_close(&s);
}

static void a_server_that_accepts_and_says_nothing_costs_the_deadline_only(void)
{
    struct session s;
    struct relay relay;
    char url[512];

    check(relay_start(&relay, relay_port_of(need_env("WEIR_TEST_PG_URL"))));
    atomic_store(&relay.is_silent, true);
    check(session_init(&s, relay_url(need_env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url)), 8));
    weir_time start = weir_now();
    check_int(session_connect(&s, weir_deadline_in(200)), WEIR_CONNECT);
    check(took_less_than(start, 1000));
    check(weir_now() - start >= 200 * WEIR_MS);
    check_contains(s.error.text, "did not answer in time");
    check(strstr(s.error.text, need_env("WEIR_TEST_PG_PASSWORD")) == NULL);
    check(strstr(s.error.text, "p%40ss") == NULL);
    session_close(&s);
    relay_stop(&relay);
}

static void hosts_are_tried_in_order_until_one_answers(void)
{
    struct session s;
    char url[512];
    const char *good = need_env("WEIR_TEST_PG_URL");
    const char *host = strrchr(good, '@') + 1;

    snprintf(url, sizeof(url), "%.*s127.0.0.1:1,%s", (int)(host - good), good, host);
    check(session_init(&s, url, 8));
    check_int(session_connect(&s, SOON), WEIR_OK);
    if (s.conn != NULL)
        check_text(answer(&s, "SELECT 1"), "1");
    session_close(&s);
}

static void an_option_that_nobody_knows_is_refused_by_its_name(void)
{
    struct session s;

    check(!session_init(&s, "postgresql://localhost/weir?pool_sise=5", 8));
    check_int(s.error.status, WEIR_INVALID);
    check_contains(s.error.text, "pool_sise");
    session_close(&s);
}

static void tls_is_used_when_asked_for_and_carries_large_results(void)
{
    struct session s;
    weir_result *result = NULL;
    char url[512];

    must(&observer, "ALTER SYSTEM SET ssl = on");
    must(&observer, "SELECT pg_reload_conf()");
    if (!comes_to(&observer, "SHOW ssl", "on")) {
        printf("# the server has no certificate (openssl is not installed): not tested\n");
        must(&observer, "ALTER SYSTEM RESET ssl");
        return;
    }
    snprintf(url, sizeof(url), "%s?sslmode=require", need_env("WEIR_TEST_PG_URL"));
    session_open(&s, url);
    check(((struct pg_conn *)s.conn)->is_tls);
    check_text(answer(&s, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "true");
    check_int(session_query(&s, "SELECT repeat('x', n) FROM generate_series(1, 4000) AS n", NULL, SOON,
                            &result),
              WEIR_OK);
    check_int(weir_result_row_count(result), 4000);
    check_int(weir_result_value(result, 3999, 0).size, 4000);
    weir_result_close(result);
    check(driver.look(s.conn));
    session_close(&s);
    must(&observer, "ALTER SYSTEM RESET ssl");
    must(&observer, "SELECT pg_reload_conf()");
}

static void a_closed_connection_is_no_longer_counted_by_the_server(void)
{
    static const char count[] =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weir' AND pid <> "
        "pg_backend_pid()";

    for (int i = 0; i < 30; i++) {
        struct session s;
        session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
        check_text(answer(&observer, count), "1");
        session_close(&s);
        check_text(answer(&observer, count), "0");
    }
}

/* ---- values -------------------------------------------------------------------------------- */

static void every_type_comes_as_its_own(void)
{
    static const struct {
        const char *sql;
        weir_type type;
        const char *text;
    } cases[] = {
        {"SELECT NULL::int", WEIR_NULL, "NULL"},
        {"SELECT true", WEIR_BOOL, "true"},
        {"SELECT 1 = 2", WEIR_BOOL, "false"},
        {"SELECT (-32768)::smallint", WEIR_INT, "-32768"},
        {"SELECT 2147483647", WEIR_INT, "2147483647"},
        {"SELECT (-9223372036854775808)::bigint", WEIR_INT, "-9223372036854775808"},
        {"SELECT 9223372036854775807", WEIR_INT, "9223372036854775807"},
        {"SELECT 4294967295::oid", WEIR_INT, "4294967295"},
        {"SELECT 0.1::float8", WEIR_DOUBLE, "0.10000000000000001"},
        {"SELECT 'Infinity'::float8", WEIR_DOUBLE, "inf"},
        {"SELECT 12345678901234567890.123456789", WEIR_TEXT, "12345678901234567890.123456789"},
        {"SELECT 'NaN'::numeric", WEIR_TEXT, "NaN"},
        {"SELECT 'grüezi'", WEIR_TEXT, "grüezi"},
        {"SELECT ''", WEIR_TEXT, ""},
        {"SELECT 'a'::char(3)", WEIR_TEXT, "a  "},
        {"SELECT '{\"a\": [1, null]}'::json", WEIR_JSON, "{\"a\": [1, null]}"},
        {"SELECT '{\"b\":1,\"a\":2}'::jsonb", WEIR_JSON, "{\"a\": 2, \"b\": 1}"},
        {"SELECT DATE '2024-02-29'", WEIR_TIMESTAMP, "2024-02-29"},
        {"SELECT TIMESTAMP '2024-02-29 12:30:00.5'", WEIR_TIMESTAMP, "2024-02-29T12:30:00.5"},
        {"SELECT TIMESTAMPTZ '2024-02-29 12:30:00+00'", WEIR_TIMESTAMP,
         "2024-02-29T18:00:00+05:30"},
        {"SELECT TIMESTAMP 'infinity'", WEIR_TEXT, "infinity"},
        {"SELECT DATE '0044-03-15 BC'", WEIR_TEXT, "0044-03-15 BC"},
        {"SELECT TIME '12:30'", WEIR_TEXT, "12:30:00"},
        {"SELECT INTERVAL '1 day'", WEIR_TEXT, "1 day"},
        {"SELECT '00000000-0000-0000-0000-00000000000a'::uuid", WEIR_TEXT,
         "00000000-0000-0000-0000-00000000000a"},
        {"SELECT ARRAY[1,2]", WEIR_TEXT, "{1,2}"},
    };
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        weir_result *result = NULL;
        char room[128];
        check_int(session_query(&s, cases[i].sql, NULL, SOON, &result), WEIR_OK);
        weir_value value = weir_result_value(result, 0, 0);
        if (value.type != cases[i].type)
            printf("# %s\n", cases[i].sql);
        check_int(value.type, cases[i].type);
        check_text(value_text(value, room, sizeof(room)), cases[i].text);
        weir_result_close(result);
    }
    must(&s, "SET timezone TO 'UTC'");
    check_text(answer(&s, "SELECT TIMESTAMPTZ '2024-02-29 12:30:00.25+00'"),
               "2024-02-29T12:30:00.25+00:00");
    must(&s, "SET datestyle TO 'German'");
    check_text(answer(&s, "SELECT DATE '2024-02-29'"), "29.02.2024");
    session_close(&s);
}

static void bytes_make_the_round_trip_in_both_output_forms(void)
{
    static const char *const forms[] = {"SET bytea_output TO hex", "SET bytea_output TO escape"};
    struct session s;
    char bytes[1000];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (int form = 0; form < 2; form++) {
        weir_value values[] = {weir_blob(bytes, sizeof(bytes)), weir_blob("", 0)};
        weir_result *result = NULL;
        must(&s, forms[form]);
        check_int(session_query(&s, "SELECT $1::bytea, $2::bytea", values, SOON, &result), WEIR_OK);
        weir_value back = weir_result_value(result, 0, 0);
        check_int(back.type, WEIR_BLOB);
        check_int(back.size, sizeof(bytes));
        check(back.size == sizeof(bytes) && memcmp(back.text, bytes, sizeof(bytes)) == 0);
        check_int(weir_result_value(result, 0, 1).type, WEIR_BLOB);
        check_int(weir_result_value(result, 0, 1).size, 0);
        weir_result_close(result);
    }
    session_close(&s);
}

static void bytes_are_never_taken_for_another_type(void)
{
    struct session s;
    weir_value four_bytes = weir_blob("\0\0\0\7", 4);
    weir_value number = weir_int(7);

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TEMP TABLE typed (n int)");
    check_int(session_query(&s, "INSERT INTO typed VALUES ($1)", &four_bytes, SOON, NULL),
              WEIR_QUERY);
    check_text(s.error.sqlstate, "42804");
    check_int(session_query(&s, "INSERT INTO typed VALUES ($1)", &number, SOON, NULL), WEIR_OK);
    check_int(session_query(&s, "INSERT INTO typed VALUES ($1)", &four_bytes, SOON, NULL),
              WEIR_QUERY);
    check_text(answer(&s, "SELECT sum(n) FROM typed"), "7");
    session_close(&s);
}

static void every_double_comes_back_as_it_went(void)
{
    static const double doubles[] = {0.1, -0.0, 1e-308, 5e-324, 1.7976931348623157e308, 1.0 / 3};
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(doubles) / sizeof(*doubles); i++) {
        weir_value value = weir_double(doubles[i]);
        weir_result *result = NULL;
        check_int(session_query(&s, "SELECT $1::float8", &value, SOON, &result), WEIR_OK);
        double back = weir_result_value(result, 0, 0).real;
        check(memcmp(&back, &doubles[i], sizeof(back)) == 0);
        weir_result_close(result);
    }
    session_close(&s);
}

static void writes_tell_how_many_rows_they_changed_and_reads_do_not(void)
{
    static const struct {
        const char *sql;
        int changed;
    } cases[] = {
        {"CREATE TEMP TABLE counted (n int)", 0},
        {"INSERT INTO counted SELECT generate_series(1, 10)", 10},
        {"UPDATE counted SET n = n + 1 WHERE n > 5", 5},
        {"SELECT * FROM counted", 0},
        {"DELETE FROM counted WHERE n < 4 RETURNING n", 3},
        {"MERGE INTO counted c USING (SELECT 1) s ON c.n = 4 WHEN MATCHED THEN DELETE", 1},
        {"DROP TABLE counted", 0},
    };
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        weir_result *result = NULL;
        check_int(session_query(&s, cases[i].sql, NULL, SOON, &result), WEIR_OK);
        check_int(weir_result_changed(result), cases[i].changed);
        weir_result_close(result);
    }
    session_close(&s);
}

/* ---- prepared statements ------------------------------------------------------------------- */

#define PREPARED "SELECT count(*) FROM pg_prepared_statements"

static void a_statement_is_prepared_once_and_uncached_ones_never(void)
{
    struct session s;
    weir_value value = weir_int(5);

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_text(answer(&s, PREPARED), "1");
    for (int i = 0; i < 3; i++)
        check_text(answer_to(&s, "SELECT $1::int + 1", &value), "6");
    check_text(answer(&s, PREPARED), "2");
    session_close(&s);

    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 0));
    check_int(session_connect(&s, SOON), WEIR_OK);
    check_text(answer_to(&s, "SELECT $1::int + 1", &value), "6");
    value = weir_blob("abc", 3);
    check_text(answer_to(&s, "SELECT length($1)", &value), "3");
    check_text(answer(&s, PREPARED), "0");
    session_close(&s);
}

static void a_statement_survives_the_change_of_its_table(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TEMP TABLE growing (a int)");
    must(&s, "INSERT INTO growing VALUES (1)");
    check_text(answer(&s, "SELECT * FROM growing"), "1");
    must(&s, "ALTER TABLE growing ALTER a TYPE text");
    weir_result *result = NULL;
    check_int(session_query(&s, "SELECT * FROM growing", NULL, SOON, &result), WEIR_OK);
    check_int(weir_result_value(result, 0, 0).type, WEIR_TEXT);
    weir_result_close(result);
    must(&s, "ALTER TABLE growing ADD b int DEFAULT 7");
    check_int(session_query(&s, "SELECT * FROM growing", NULL, SOON, &result), WEIR_OK);
    check_int(weir_result_column_count(result), 2);
    check_text(weir_result_column_name(result, 1), "b");
    weir_result_close(result);
    must(&s, "ALTER TABLE growing RENAME b TO c");
    check_int(session_query(&s, "SELECT * FROM growing", NULL, SOON, &result), WEIR_OK);
    check_text(weir_result_column_name(result, 1), "c");
    weir_result_close(result);
    session_close(&s);
}

static void a_stale_plan_inside_a_transaction_asks_to_repeat_it(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TEMP TABLE growing (a int)");
    check_text(answer(&s, "SELECT * FROM growing"), "(no row)");
    must(&s, "ALTER TABLE growing ADD b int");
    must(&s, "BEGIN");
    check_int(run_sql(&s, "SELECT * FROM growing"), WEIR_RETRY);
    check_int(s.error.status, WEIR_RETRY);
    check_text(s.error.sqlstate, "0A000");
    check_int(driver.state(s.conn), CONN_FAILED);
    must(&s, "ROLLBACK");
    must(&s, "BEGIN");
    check_int(run_sql(&s, "SELECT * FROM growing"), WEIR_OK);
    must(&s, "COMMIT");
    session_close(&s);
}

static void statements_that_others_deallocated_are_prepared_anew(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_text(answer(&s, "SELECT 41 + 1"), "42");
    must(&s, "DEALLOCATE ALL");
    check_text(answer(&s, "SELECT 41 + 1"), "42");

    /* One by one, which no tag tells; its name is the last one given. */
    char deallocate[64];
    snprintf(deallocate, sizeof(deallocate), "DEALLOCATE weir_%llu",
             (unsigned long long)((struct pg_conn *)s.conn)->last_name);
    check_int(driver.script(s.conn, deallocate, SOON, &s.error), WEIR_OK);
    check_text(answer(&s, "SELECT 41 + 1"), "42");
    session_close(&s);
}

static void a_name_that_is_taken_is_passed_over(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(driver.script(s.conn, "PREPARE weir_1 AS SELECT 'theirs'", SOON, &s.error), WEIR_OK);
    check_text(answer(&s, "SELECT 'ours'"), "ours");
    check_text(answer(&s, "SELECT 'ours'"), "ours");
    session_close(&s);
}

static void dropped_statements_do_not_pile_up_on_the_server(void)
{
    struct session s;
    char sql[64];

    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 4));
    check_int(session_connect(&s, SOON), WEIR_OK);
    for (int i = 0; i < 200; i++) {
        snprintf(sql, sizeof(sql), "SELECT %d", i);
        check(atoi(answer(&s, sql)) == i);
    }
    check(atoi(answer(&s, PREPARED)) <= 4 + 16 + 1);

    /* In a transaction they wait, because a failing DEALLOCATE would break it. */
    must(&s, "BEGIN");
    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof(sql), "SELECT -%d", i);
        check(atoi(answer(&s, sql)) == -i);
    }
    must(&s, "COMMIT");
    for (int i = 0; i < 20; i++) {
        snprintf(sql, sizeof(sql), "SELECT 1 + %d", i);
        check(atoi(answer(&s, sql)) == 1 + i);
    }
    check(atoi(answer(&s, PREPARED)) <= 4 + 16 + 1);
    session_close(&s);
}

static void a_statement_that_cannot_be_prepared_leaves_nothing_behind(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (int i = 0; i < 3; i++) {
        check_int(run_sql(&s, "SELEKT 1"), WEIR_QUERY);
        check_text(s.error.sqlstate, "42601");
        check_contains(s.error.text, "syntax error at or near \"SELEKT\"");
        check_int(driver.state(s.conn), CONN_IDLE);
    }
    check_int(run_sql(&s, "SELECT 1; SELECT 2"), WEIR_QUERY);
    check_text(answer(&s, PREPARED), "1");
    session_close(&s);
}

/* ---- errors -------------------------------------------------------------------------------- */

static void errors_have_their_sqlstate_and_keep_the_connection(void)
{
    static const struct {
        const char *sql;
        const char *sqlstate;
        weir_status status;
    } cases[] = {
        {"SELECT 1/0", "22012", WEIR_QUERY},
        {"SELECT * FROM nowhere", "42P01", WEIR_QUERY},
        {"SELECT nothing FROM pg_class", "42703", WEIR_QUERY},
        {"INSERT INTO strict VALUES (1, 1, 'a')", "23505", WEIR_QUERY},
        {"INSERT INTO strict VALUES (2, 99, 'a')", "23503", WEIR_QUERY},
        {"INSERT INTO strict VALUES (3, 1, NULL)", "23502", WEIR_QUERY},
        {"INSERT INTO strict VALUES (-1, 1, 'a')", "23514", WEIR_QUERY},
        {"INSERT INTO strict VALUES (3, 1, 'too long')", "22001", WEIR_QUERY},
        {"DO $$ BEGIN RAISE serialization_failure; END $$", "40001", WEIR_RETRY},
        {"DO $$ BEGIN RAISE deadlock_detected; END $$", "40P01", WEIR_RETRY},
    };
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TEMP TABLE parent (id int PRIMARY KEY)");
    must(&s, "INSERT INTO parent VALUES (1)");
    must(&s, "CREATE TEMP TABLE strict (id int PRIMARY KEY CHECK (id > 0), parent int REFERENCES "
             "parent, name varchar(3) NOT NULL)");
    must(&s, "INSERT INTO strict VALUES (1, 1, 'one')");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        check_int(run_sql(&s, cases[i].sql), cases[i].status);
        check_int(s.error.status, cases[i].status);
        check_text(s.error.sqlstate, cases[i].sqlstate);
        check_int(driver.state(s.conn), CONN_IDLE);
    }
    check_text(answer(&s, "SELECT count(*) FROM strict"), "1");
    session_close(&s);
}

static void errors_do_not_quote_the_values_of_rows(void)
{
    struct session s;
    weir_value secret = weir_text("swordfish");

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TEMP TABLE accounts (word text PRIMARY KEY, n int NOT NULL)");
    check_int(session_query(&s, "INSERT INTO accounts VALUES ($1, 1)", &secret, SOON, NULL), WEIR_OK);
    check_int(session_query(&s, "INSERT INTO accounts VALUES ($1, 1)", &secret, SOON, NULL),
              WEIR_QUERY);
    check_contains(s.error.text, "accounts_pkey");
    check(strstr(s.error.text, "swordfish") == NULL);
    check_int(session_query(&s, "INSERT INTO accounts VALUES ($1 || 'x', NULL)", &secret, SOON, NULL),
              WEIR_QUERY);
    check(strstr(s.error.text, "swordfish") == NULL);
    session_close(&s);
}

static void a_script_stops_at_its_first_error_and_the_connection_goes_on(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(driver.script(s.conn,
                            "CREATE TEMP TABLE one (a int); -- a comment; with a semicolon\n"
                            "INSERT INTO one VALUES (1); SELECT * FROM one;",
                            SOON, &s.error),
              WEIR_OK);
    check_int(driver.script(s.conn, "INSERT INTO one VALUES (2); SELECT 1/0; INSERT INTO one VALUES (3)",
                            SOON, &s.error),
              WEIR_QUERY);
    check_text(s.error.sqlstate, "22012");
    check(strcmp(answer(&s, "SELECT count(*) FROM one WHERE a = 3"), "0") == 0);
    check_int(driver.script(s.conn, "", SOON, &s.error), WEIR_OK);
    session_close(&s);
}

static void a_read_transaction_refuses_to_write(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, driver.begin_sql(WEIR_TX_READ));
    check_text(answer(&s, "SHOW transaction_isolation"), "repeatable read");
    check_int(run_sql(&s, "CREATE TABLE unwanted (a int)"), WEIR_QUERY);
    check_text(s.error.sqlstate, "25006");
    must(&s, "ROLLBACK");
    must(&s, driver.begin_sql(WEIR_TX_SERIALIZABLE));
    check_text(answer(&s, "SHOW transaction_isolation"), "serializable");
    must(&s, "ROLLBACK");
    must(&s, driver.begin_sql(WEIR_TX_WRITE));
    check_int(driver.state(s.conn), CONN_TRANSACTION);
    must(&s, "ROLLBACK");
    session_close(&s);
}

/* ---- the return ---------------------------------------------------------------------------- */

static void a_clean_connection_is_reset_without_a_word(void)
{
    struct session s;
    char changed[128];
    char sql[200];

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    snprintf(sql, sizeof(sql), "SELECT state_change::text FROM pg_stat_activity WHERE pid = %s",
             answer(&s, "SELECT pg_backend_pid()"));
    snprintf(changed, sizeof(changed), "%s", answer(&observer, sql));
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_text(answer(&observer, sql), changed);
    session_close(&s);
}

static void an_open_transaction_ends_as_asked(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TABLE kept (a int)");
    must(&s, "BEGIN");
    must(&s, "INSERT INTO kept VALUES (1)");
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_text(answer(&observer, "SELECT count(*) FROM kept"), "0");
    must(&s, "BEGIN");
    must(&s, "INSERT INTO kept VALUES (2)");
    check_int(driver.reset(s.conn, WEIR_RESET_COMMIT, SOON, &s.error), WEIR_OK);
    check_text(answer(&observer, "SELECT count(*) FROM kept"), "1");
    must(&s, "BEGIN");
    must(&s, "INSERT INTO kept VALUES (3)");
    check_int(run_sql(&s, "SELECT 1/0"), WEIR_QUERY);
    check_int(driver.state(s.conn), CONN_FAILED);
    check_int(driver.reset(s.conn, WEIR_RESET_COMMIT, SOON, &s.error), WEIR_OK);
    check_int(driver.state(s.conn), CONN_IDLE);
    check_text(answer(&observer, "SELECT count(*) FROM kept"), "1");
    must(&s, "BEGIN");
    check_int(driver.reset(s.conn, WEIR_RESET_NONE, SOON, &s.error), WEIR_OK);
    check_int(driver.state(s.conn), CONN_TRANSACTION);
    must(&s, "ROLLBACK");
    must(&s, "DROP TABLE kept");
    session_close(&s);
}

static void what_a_holder_did_to_the_session_is_gone_afterwards(void)
{
    static const struct {
        const char *dirt;
        const char *look;
        const char *clean;
    } cases[] = {
        {"SET work_mem TO '64kB'", "SHOW work_mem", "4MB"},
        {"SELECT set_config('work_mem', '64kB', false)", "SHOW work_mem", "4MB"},
        {"CREATE TEMP TABLE litter (a int)", "SELECT to_regclass('pg_temp.litter') IS NULL", "true"},
        {"SELECT 1 AS a INTO TEMPORARY litter", "SELECT to_regclass('pg_temp.litter') IS NULL",
         "true"},
        {"LISTEN gossip", "SELECT count(*) FROM pg_listening_channels()", "0"},
        {"SELECT pg_advisory_lock(1)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0"},
        {"SET ROLE pg_monitor", "SELECT current_user", "weir"},
        {"PREPARE litter AS SELECT 1",
         "SELECT count(*) FROM pg_prepared_statements WHERE name = 'litter'", "0"},
        {"DO $$ BEGIN SET work_mem TO '64kB'; END $$", "SHOW work_mem", "4MB"},
    };
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        must(&s, cases[i].dirt);
        if (strcmp(answer(&s, cases[i].look), cases[i].clean) == 0) {
            check_failures_in_test++;
            printf("# %s left no dirt to clean\n", cases[i].dirt);
        }
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, cases[i].look), cases[i].clean);
    }
    session_close(&s);
}

static void a_cursor_with_hold_is_closed_on_return(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "BEGIN");
    must(&s, "DECLARE held CURSOR WITH HOLD FOR SELECT 1");
    must(&s, "COMMIT");
    check_text(answer(&s, "SELECT count(*) FROM pg_cursors WHERE name = 'held'"), "1");
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_text(answer(&s, "SELECT count(*) FROM pg_cursors WHERE name = 'held'"), "0");
    session_close(&s);
}

static void copy_is_refused_and_its_connection_is_only_fit_for_closing(void)
{
    static const char *const copies[] = {"COPY pg_class TO STDOUT", "COPY pg_class FROM STDIN"};

    for (int by_script = 0; by_script < 2; by_script++) {
        for (int i = 0; i < 2; i++) {
            struct session s;
            session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
            weir_status status = by_script ? driver.script(s.conn, copies[i], SOON, &s.error)
                                           : run_sql(&s, copies[i]);
            check_int(status, WEIR_UNSUPPORTED);
            check_int(driver.state(s.conn), CONN_DOUBTFUL);
            check_int(run_sql(&s, "SELECT 1"), WEIR_DISCONNECTED);
            check(!driver.look(s.conn));
            check(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error) != WEIR_OK);
            weir_time start = weir_now();
            session_close(&s);
            check(took_less_than(start, 900));
        }
    }
}

/* ---- disconnects --------------------------------------------------------------------------- */

static void terminate(struct session *s, const char *pid)
{
    char sql[100];

    (void)s;
    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%s, 5000)", pid);
    check_text(answer(&observer, sql), "true");
}

static void a_session_killed_while_idle_fails_the_look(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check(driver.look(s.conn));
    terminate(&s, answer(&s, "SELECT pg_backend_pid()"));
    check(!driver.look(s.conn));
    check_int(driver.state(s.conn), CONN_LOST);
    session_close(&s);
}

static void a_session_killed_unnoticed_is_a_disconnect_for_the_next_statement(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    terminate(&s, answer(&s, "SELECT pg_backend_pid()"));
    check_int(run_sql(&s, "SELECT 1"), WEIR_DISCONNECTED);
    check_text(s.error.sqlstate, "57P01");
    check_int(driver.state(s.conn), CONN_LOST);
    check_int(run_sql(&s, "SELECT 1"), WEIR_DISCONNECTED);
    check(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error) != WEIR_OK);
    session_close(&s);
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    terminate(&s, answer(&s, "SELECT pg_backend_pid()"));
    check_int(driver.ping(s.conn, SOON, &s.error), WEIR_DISCONNECTED);
    session_close(&s);
}

static void a_statement_that_kills_its_own_session_is_a_disconnect(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    check_int(run_sql(&s, "SELECT pg_terminate_backend(pg_backend_pid())"), WEIR_DISCONNECTED);
    check_text(s.error.sqlstate, "57P01");
    check_int(driver.state(s.conn), CONN_LOST);
    session_close(&s);
}

static void news_from_the_server_are_not_mistaken_for_its_end(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "LISTEN gossip");
    for (int i = 0; i < 50; i++) {
        must(&observer, "NOTIFY gossip, 'hear, hear'");
        check(driver.look(s.conn));
    }
    must(&s, "DO $$ BEGIN RAISE WARNING 'careful'; END $$");
    check(driver.look(s.conn));
    check_int(driver.ping(s.conn, SOON, &s.error), WEIR_OK);
    session_close(&s);
}

/* ---- limits of time and size --------------------------------------------------------------- */

static void a_statement_past_its_deadline_is_stopped_and_the_connection_lives(void)
{
    struct session s;
    char sql[200];

    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    snprintf(sql, sizeof(sql), "SELECT state FROM pg_stat_activity WHERE pid = %s",
             answer(&s, "SELECT pg_backend_pid()"));
    for (int i = 0; i < 5; i++) {
        weir_time start = weir_now();
        check_int(session_query(&s, "SELECT pg_sleep(30)", NULL, weir_deadline_in(300), NULL),
                  WEIR_TIMEOUT);
        check(took_less_than(start, 320));
        check_text(s.error.sqlstate, "57014");
        check_int(driver.state(s.conn), CONN_IDLE);
        check_text(answer(&observer, sql), "idle");
        check_text(answer(&s, "SELECT 1"), "1");
    }
    session_close(&s);
}

static void a_cancel_never_hits_the_next_statement(void)
{
    struct session s;
    int stopped = 0;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (int i = 0; i < 100; i++) {
        /* Ends about when its deadline does, so that cancel and end race each other. */
        weir_status status = session_query(&s, "SELECT pg_sleep(0.009)", NULL, weir_deadline_in(10), NULL);
        stopped += status == WEIR_TIMEOUT;
        if (driver.state(s.conn) != CONN_IDLE) {
            session_close(&s);
            session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
        }
        check_text(answer(&s, "SELECT count(*) FROM generate_series(1, 1000)"), "1000");
    }
    printf("# %d of 100 were stopped\n", stopped);
    session_close(&s);
}

static void a_deadline_in_the_past_sends_nothing(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(session_query(&s, "SELECT 1", NULL, weir_now() - 1, NULL), WEIR_TIMEOUT);
    check_int(driver.state(s.conn), CONN_IDLE);
    check_text(answer(&s, "SELECT 1"), "1");
    session_close(&s);
}

static void the_server_stops_a_statement_on_its_own_at_statement_timeout(void)
{
    struct session s;

    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 8));
    s.config.options.statement_timeout_ms = 200;
    check_int(session_connect(&s, SOON), WEIR_OK);
    check_text(answer(&s, "SHOW statement_timeout"), "160ms");
    weir_time start = weir_now();
    check_int(session_query(&s, "SELECT pg_sleep(30)", NULL, weir_deadline_in(200), NULL), WEIR_TIMEOUT);
    check(took_less_than(start, 300));
    check_int(driver.state(s.conn), CONN_IDLE);
    session_close(&s);
}

static void a_peer_that_falls_silent_costs_no_more_than_each_deadline(void)
{
    struct session s;
    struct relay relay;
    char url[512];
    weir_time start;

    check(relay_start(&relay, relay_port_of(need_env("WEIR_TEST_PG_URL"))));
    relay_url(need_env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url));
    for (int step = 0; step < 3; step++) {
        session_open(&s, url);
        must(&s, "BEGIN");
        atomic_store(&relay.is_silent, true);
        check(driver.look(s.conn)); /* silence alone is no sign of death */
        start = weir_now();
        if (step == 0)
            check_int(session_query(&s, "SELECT 1", NULL, weir_deadline_in(200), NULL), WEIR_TIMEOUT);
        if (step == 1)
            check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, weir_deadline_in(200), &s.error),
                      WEIR_TIMEOUT);
        if (step == 2)
            check_int(driver.ping(s.conn, weir_deadline_in(200), &s.error), WEIR_TIMEOUT);
        check(took_less_than(start, 300));
        check_int(driver.state(s.conn), CONN_DOUBTFUL);
        start = weir_now();
        session_close(&s);
        check(took_less_than(start, 100));
        atomic_store(&relay.is_silent, false);
    }
    relay_stop(&relay);
}

static void a_result_above_its_limit_is_stopped_in_the_middle(void)
{
    struct session s;
    weir_result *result = NULL;

    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 8));
    s.config.options.max_result_bytes = 1 << 20;
    check_int(session_connect(&s, SOON), WEIR_OK);
    weir_time start = weir_now();
    check_int(session_query(&s, "SELECT repeat('x', 1000) FROM generate_series(1, 10000000)", NULL,
                            SOON, &result),
              WEIR_LIMIT);
    check(result == NULL);
    check(took_less_than(start, 3000));
    check_contains(s.error.text, "1048576");
    check_int(driver.state(s.conn), CONN_IDLE);
    check_int(session_query(&s, "SELECT repeat('x', 1000) FROM generate_series(1, 900)", NULL, SOON,
                            &result),
              WEIR_OK);
    check_int(weir_result_row_count(result), 900);
    weir_result_close(result);
    session_close(&s);
}

static void a_large_parameter_and_a_large_value_pass(void)
{
    enum { SIZE = 20 << 20 };
    struct session s;
    char *text = malloc(SIZE);
    weir_result *result = NULL;

    memset(text, 'x', SIZE);
    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    weir_value value = weir_text_n(text, SIZE);
    check_int(session_query(&s, "SELECT $1::text", &value, SOON, &result), WEIR_OK);
    check_int(weir_result_value(result, 0, 0).size, SIZE);
    weir_result_close(result);
    session_close(&s);
    free(text);
}

/* ---- reflection ---------------------------------------------------------------------------- */

static const weir_column *column_of(const weir_table *table, const char *name)
{
    for (size_t i = 0; table != NULL && i < table->column_count; i++) {
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    }
    return NULL;
}

static void reflect_domains_and_keys(const weir_schema *schema)
{
    const weir_table *table = weir_schema_find(schema, "Mixed Case");
    check(table != NULL && !table->is_view);
    const weir_column *a = column_of(table, "A Key");
    const weir_column *b = column_of(table, "b");
    const weir_column *positive = column_of(table, "positive");
    if (a == NULL || b == NULL || positive == NULL) {
        check(!"the columns are there");
        return;
    }
    check_int(a->primary_key, 2);
    check_int(b->primary_key, 1);
    check_int(positive->primary_key, 0);
    check_text(a->sql_type, "character varying(64)");
    check_int(a->type, WEIR_TEXT);
    check(a->has_default && !a->is_nullable);
    check_text(positive->sql_type, "small_positive");
    check_int(positive->type, WEIR_INT);
    check(!positive->is_nullable);

    const weir_table *child = weir_schema_find(schema, "child");
    check(child != NULL && child->foreign_key_count == 2);
    if (child != NULL && child->foreign_key_count == 2) {
        check_text(child->foreign_keys[0].column, "x");
        check_text(child->foreign_keys[0].foreign_table, "Mixed Case");
        check_text(child->foreign_keys[0].foreign_column, "b");
        check_text(child->foreign_keys[1].foreign_column, "A Key");
    }
    check(column_of(child, "id") != NULL && column_of(child, "id")->has_default);
}

static void the_schema_is_read_with_domains_and_composite_keys(void)
{
    struct session s;
    weir_schema *schema = NULL;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(
        driver.script(
            s.conn,
            "CREATE DOMAIN positive AS int CHECK (VALUE > 0);"
            "CREATE DOMAIN small_positive AS positive NOT NULL CHECK (VALUE < 9);"
            "CREATE TABLE \"Mixed Case\" (\"A Key\" varchar(64) DEFAULT 'a', dropped int, b int,"
            " positive small_positive, PRIMARY KEY (b, \"A Key\") INCLUDE (positive));"
            "ALTER TABLE \"Mixed Case\" DROP dropped;"
            "CREATE TABLE child (id int GENERATED ALWAYS AS IDENTITY, x int, y text,"
            " FOREIGN KEY (x, y) REFERENCES \"Mixed Case\" (b, \"A Key\"));"
            "CREATE VIEW seen AS SELECT 1 AS one; CREATE TABLE bare ();"
            "CREATE SCHEMA hidden; CREATE TABLE hidden.secret (a int);",
            SOON, &s.error),
        WEIR_OK);
    check_int(driver.reflect(s.conn, SOON, &schema, &s.error), WEIR_OK);
    if (schema != NULL) {
        reflect_domains_and_keys(schema);
        check(weir_schema_find(schema, "seen") != NULL && weir_schema_find(schema, "seen")->is_view);
        check(weir_schema_find(schema, "bare") != NULL &&
              weir_schema_find(schema, "bare")->column_count == 0);
        check(weir_schema_find(schema, "secret") == NULL);
        check(weir_schema_find(schema, "pg_class") == NULL);
        check_int(weir_schema_table_count(schema), 4);
    }
    check_int(driver.state(s.conn), CONN_IDLE);
    weir_schema_close(schema);
    check_int(driver.script(s.conn,
                            "DROP VIEW seen; DROP TABLE bare, child, \"Mixed Case\";"
                            "DROP SCHEMA hidden CASCADE; DROP DOMAIN small_positive, positive",
                            SOON, &s.error),
              WEIR_OK);
    session_close(&s);
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    run(tcp_with_a_password_that_needs_encoding_connects);
    run(options_of_the_url_reach_the_session_and_survive_discard);
    run(a_wrong_password_is_refused_and_shown_nowhere);
    run(a_refused_port_fails_at_once);
    run(a_server_that_accepts_and_says_nothing_costs_the_deadline_only);
    run(hosts_are_tried_in_order_until_one_answers);
    run(an_option_that_nobody_knows_is_refused_by_its_name);
    run(tls_is_used_when_asked_for_and_carries_large_results);
    run(a_closed_connection_is_no_longer_counted_by_the_server);
    run(every_type_comes_as_its_own);
    run(bytes_make_the_round_trip_in_both_output_forms);
    run(bytes_are_never_taken_for_another_type);
    run(every_double_comes_back_as_it_went);
    run(writes_tell_how_many_rows_they_changed_and_reads_do_not);
    run(a_statement_is_prepared_once_and_uncached_ones_never);
    run(a_statement_survives_the_change_of_its_table);
    run(a_stale_plan_inside_a_transaction_asks_to_repeat_it);
    run(statements_that_others_deallocated_are_prepared_anew);
    run(a_name_that_is_taken_is_passed_over);
    run(dropped_statements_do_not_pile_up_on_the_server);
    run(a_statement_that_cannot_be_prepared_leaves_nothing_behind);
    run(errors_have_their_sqlstate_and_keep_the_connection);
    run(errors_do_not_quote_the_values_of_rows);
    run(a_script_stops_at_its_first_error_and_the_connection_goes_on);
    run(a_read_transaction_refuses_to_write);
    run(a_clean_connection_is_reset_without_a_word);
    run(an_open_transaction_ends_as_asked);
    run(what_a_holder_did_to_the_session_is_gone_afterwards);
    run(a_cursor_with_hold_is_closed_on_return);
    run(copy_is_refused_and_its_connection_is_only_fit_for_closing);
    run(a_session_killed_while_idle_fails_the_look);
    run(a_session_killed_unnoticed_is_a_disconnect_for_the_next_statement);
    run(a_statement_that_kills_its_own_session_is_a_disconnect);
    run(news_from_the_server_are_not_mistaken_for_its_end);
    run(a_statement_past_its_deadline_is_stopped_and_the_connection_lives);
    run(a_cancel_never_hits_the_next_statement);
    run(a_deadline_in_the_past_sends_nothing);
    run(the_server_stops_a_statement_on_its_own_at_statement_timeout);
    run(a_peer_that_falls_silent_costs_no_more_than_each_deadline);
    run(a_result_above_its_limit_is_stopped_in_the_middle);
    run(a_large_parameter_and_a_large_value_pass);
    run(the_schema_is_read_with_domains_and_composite_keys);
    session_close(&observer);
    return check_done();
}
