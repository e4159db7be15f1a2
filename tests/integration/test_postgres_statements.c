/* SPDX-License-Identifier: MIT */
/* PostgreSQL through its driver: values, prepared statements, errors, the schema. */
#include "postgres_session.h"

/* ---- values ----------------------------------------------------------------------------- */

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

/* ---- prepared statements ---------------------------------------------------------------- */

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

static void expect_column(struct session *s, const char *sql, const char *name)
{
    weir_result *result = NULL;

    check_int(session_query(s, sql, NULL, SOON, &result), WEIR_OK);
    check_text(weir_result_column_name(result, 0), name);
    weir_result_close(result);
}

static void a_column_that_another_connection_renames_has_its_new_name_at_once(void)
{
    static const char *const queries[] = {"SELECT * FROM renamed", "TABLE renamed",
                                          "/* a view */ SELECT * FROM renamed_view",
                                          "WITH r AS (SELECT * FROM renamed) SELECT * FROM r"};
    struct session s;
    struct session other;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    session_open(&other, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&other, "CREATE TABLE renamed (a int)");
    must(&other, "CREATE VIEW renamed_view AS SELECT * FROM renamed");
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
            expect_column(&s, queries[i], "a");
    }
    must(&other, "ALTER TABLE renamed RENAME a TO b");
    must(&other, "ALTER VIEW renamed_view RENAME a TO b");
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
            expect_column(&s, queries[i], "b");
    }
    must(&other, "DROP TABLE renamed CASCADE");
    session_close(&other);
    session_close(&s);
}

static void a_stale_plan_inside_a_transaction_asks_to_repeat_it(void)
{
    struct session s;
    struct session other;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    session_open(&other, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TABLE growing (a int)");
    check_text(answer(&s, "SELECT * FROM growing"), "(no row)");
    must(&other, "ALTER TABLE growing ADD b int");
    must(&s, "BEGIN");
    check_int(run_sql(&s, "SELECT * FROM growing"), WEIR_RETRY);
    check_int(s.error.status, WEIR_RETRY);
    check_text(s.error.sqlstate, "0A000");
    check_int(driver.state(s.conn), CONN_FAILED);
    must(&s, "ROLLBACK");
    must(&s, "BEGIN");
    check_int(run_sql(&s, "SELECT * FROM growing"), WEIR_OK);
    must(&s, "COMMIT");

    /* A change that this connection has seen costs nobody a transaction. */
    must(&s, "ALTER TABLE growing ADD c int");
    must(&s, "BEGIN");
    check_int(run_sql(&s, "SELECT * FROM growing"), WEIR_OK);
    must(&s, "ALTER TABLE growing ADD d int");
    check_int(run_sql(&s, "SELECT * FROM growing"), WEIR_OK);
    must(&s, "COMMIT");
    must(&s, "DROP TABLE growing");
    session_close(&other);
    session_close(&s);
}

static void statements_that_others_deallocated_are_prepared_anew(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_text(answer(&s, "SELECT 41 + 1"), "42");
    must(&s, "DEALLOCATE ALL");
    check_text(answer(&s, "SELECT 41 + 1"), "42");
    must(&s, "BEGIN");
    must(&s, "DEALLOCATE ALL");
    check_text(answer(&s, "SELECT 41 + 1"), "42");
    must(&s, "COMMIT");

    /* One by one, whose names no tag tells; this one's is the last one given. */
    char deallocate[64] = "DEALLOCATE ";
    weir__pg_name(s.conn, ((struct pg_conn *)s.conn)->last_name, deallocate + strlen(deallocate));
    check_int(driver.script(s.conn, deallocate, SOON, &s.error), WEIR_OK);
    check_text(answer(&s, "SELECT 41 + 1"), "42");
    session_close(&s);
}

/* Take the names that this session gives next, as another would behind a pooler that shares them. */
static void take_names(struct session *s, int count)
{
    struct pg_conn *conn = s->conn;

    for (int i = 1; i <= count; i++) {
        char sql[128];
        char name[48];
        weir__pg_name(conn, conn->last_name + (uint64_t)i, name);
        snprintf(sql, sizeof(sql), "PREPARE %s AS SELECT 'theirs'", name);
        check_int(driver.script(s->conn, sql, SOON, &s->error), WEIR_OK);
    }
}

static void names_that_are_taken_cost_nothing_but_the_preparing(void)
{
    struct session s;
    weir_value value = weir_text("ours");

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    take_names(&s, 9);
    check_text(answer(&s, "SELECT 'ours'"), "ours");
    check_text(answer_to(&s, "SELECT $1::text", &value), "ours");
    check_text(answer_to(&s, "SELECT $1::text", &value), "ours");
    check_text(answer(&s, PREPARED), "9");
    session_close(&s);

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "BEGIN");
    take_names(&s, 9);
    check_text(answer_to(&s, "SELECT $1::text", &value), "ours");
    check_text(answer_to(&s, "SELECT $1::text", &value), "ours");
    check_int(driver.state(s.conn), CONN_TRANSACTION);
    must(&s, "COMMIT");
    session_close(&s);
}

static void no_two_connections_give_the_same_names(void)
{
    struct session s[3];
    char names[3][48];

    for (int i = 0; i < 3; i++) {
        session_open(&s[i], need_env("WEIR_TEST_PG_SOCKET_URL"));
        must(&s[i], "SELECT 1");
        snprintf(names[i], sizeof(names[i]), "%s",
                 answer(&s[i], "SELECT min(name) FROM pg_prepared_statements"));
        check(strncmp(names[i], "weir_", 5) == 0);
    }
    check(strcmp(names[0], names[1]) != 0 && strcmp(names[1], names[2]) != 0 &&
          strcmp(names[0], names[2]) != 0);
    for (int i = 0; i < 3; i++)
        session_close(&s[i]);
}

static void dropped_statements_do_not_pile_up_on_the_server(void)
{
    /* Those in use, what asks, and what waits to be closed or, by an older libpq, cannot be. */
    const int most = 4 + 1 + (PG_CAN_CLOSE ? 1 : 4);
    struct session s;
    char sql[64];

    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 4));
    check_int(session_connect(&s, SOON), WEIR_OK);
    for (int i = 0; i < 200; i++) {
        snprintf(sql, sizeof(sql), "SELECT %d", i);
        check(atoi(answer(&s, sql)) == i);
    }
    check(atoi(answer(&s, PREPARED)) <= most);

    must(&s, "BEGIN");
    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof(sql), "SELECT -%d", i);
        check(atoi(answer(&s, sql)) == -i);
    }
    check(atoi(answer(&s, PREPARED)) <= most);
    must(&s, "COMMIT");

    /* Where they stay, preparing goes on when the session has been cleaned. */
    must(&s, "DISCARD ALL");
    check_text(answer(&s, PREPARED), "1");
    must(&s, "SELECT 1");
    check_text(answer(&s, PREPARED), "2");
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

/* ---- errors ----------------------------------------------------------------------------- */

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
    check_int(session_query(&s, "INSERT INTO accounts VALUES ($1, 1)", &secret, SOON, NULL),
              WEIR_OK);
    check_int(session_query(&s, "INSERT INTO accounts VALUES ($1, 1)", &secret, SOON, NULL),
              WEIR_QUERY);
    check_contains(s.error.text, "accounts_pkey");
    check(strstr(s.error.text, "swordfish") == NULL);
    check_int(
        session_query(&s, "INSERT INTO accounts VALUES ($1 || 'x', NULL)", &secret, SOON, NULL),
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
    check_int(driver.script(s.conn,
                            "INSERT INTO one VALUES (2); SELECT 1/0; INSERT INTO one VALUES (3)",
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

/* ---- reflection ------------------------------------------------------------------------- */

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
        check(weir_schema_find(schema, "seen") != NULL &&
              weir_schema_find(schema, "seen")->is_view);
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
    run(every_type_comes_as_its_own);
    run(bytes_make_the_round_trip_in_both_output_forms);
    run(bytes_are_never_taken_for_another_type);
    run(every_double_comes_back_as_it_went);
    run(writes_tell_how_many_rows_they_changed_and_reads_do_not);
    run(a_statement_is_prepared_once_and_uncached_ones_never);
    run(a_statement_survives_the_change_of_its_table);
    run(a_column_that_another_connection_renames_has_its_new_name_at_once);
    run(a_stale_plan_inside_a_transaction_asks_to_repeat_it);
    run(statements_that_others_deallocated_are_prepared_anew);
    run(names_that_are_taken_cost_nothing_but_the_preparing);
    run(no_two_connections_give_the_same_names);
    run(dropped_statements_do_not_pile_up_on_the_server);
    run(a_statement_that_cannot_be_prepared_leaves_nothing_behind);
    run(errors_have_their_sqlstate_and_keep_the_connection);
    run(errors_do_not_quote_the_values_of_rows);
    run(a_script_stops_at_its_first_error_and_the_connection_goes_on);
    run(a_read_transaction_refuses_to_write);
    run(the_schema_is_read_with_domains_and_composite_keys);
    session_close(&observer);
    return check_done();
}
