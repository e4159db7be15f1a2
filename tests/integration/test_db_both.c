/* SPDX-License-Identifier: MIT */
/* Values, parameters, results and schemas of weir/db.h: what holds whatever the engine. */
#include "db_both.h"

/* ---- opening ---------------------------------------------------------------------------- */

static void opening_connects_to_nothing_and_shows_no_password(void)
{
    weir_pool_stats stats;
    weir_db *fresh = NULL;

    must_be_ok(weir_db_open(url, NULL, &fresh, &error));
    weir_pool_get_stats(weir_db_pool(fresh), &stats);
    check_int(stats.connects, 0);
    check_text(weir_db_engine(fresh), is_postgres ? "postgresql" : "sqlite");
    check(strstr(weir_db_url(fresh), "p%40ss") == NULL);
    if (is_postgres)
        check_contains(weir_db_url(fresh), "weir:***@");
    weir_db_close(fresh);
}

static void the_url_sets_options_and_refuses_what_it_does_not_know(void)
{
    static const char *const wrong[] = {"pool_size=many", "pool_size=-1", "max_overflow=-2",
                                        "max_result_bytes=5", "no_such_option=1"};
    char text[600];
    weir_db *fresh = NULL;
    weir_pool_stats stats;
    char join = strchr(url, '?') != NULL ? '&' : '?';

    snprintf(text, sizeof(text), "%s%cpool_size=2&max_overflow=0&pool_timeout=0.05", url, join);
    must_be_ok(weir_db_open(text, NULL, &fresh, &error));
    weir_pool_get_stats(weir_db_pool(fresh), &stats);
    check_int(stats.pool_size, 2);
    check_int(stats.slots, 2);
    weir_db_close(fresh);

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        snprintf(text, sizeof(text), "%s%c%s", url, join, wrong[i]);
        fresh = NULL;
        check_int(weir_db_open(text, NULL, &fresh, &error), WEIR_INVALID);
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(wrong[i], "="), wrong[i]);
        check_contains(error.text, name);
        check(fresh == NULL);
    }
}

static void a_disposed_database_lends_no_more(void)
{
    weir_db *fresh = NULL;
    weir_conn *conn = NULL;

    must_be_ok(weir_db_open(url, NULL, &fresh, &error));
    must_be_ok(weir_db_query(fresh, "SELECT 1", NULL, 0, NULL, &error));
    must_be_ok(weir_db_acquire(fresh, WEIR_DEADLINE_DEFAULT, &conn, &error));
    check_int(weir_db_dispose(fresh, weir_deadline_in(20), &error), WEIR_TIMEOUT);
    check_contains(error.text, "test_db_both.c");
    check_int(weir_db_query(fresh, "SELECT 1", NULL, 0, NULL, &error), WEIR_CLOSED);
    check_int(weir_conn_query(conn, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    weir_db_close(fresh);
    check_int(weir_conn_query(conn, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    weir_conn_release(conn);
}

/* ---- values ----------------------------------------------------------------------------- */

static void make_values_table(void)
{
    must("DROP TABLE IF EXISTS all_types");
    must(is_postgres
             ? "CREATE TABLE all_types (id INTEGER PRIMARY KEY, b BOOLEAN, i BIGINT, d DOUBLE "
               "PRECISION, t TEXT, x BYTEA, j JSON, w TIMESTAMP)"
             : "CREATE TABLE all_types (id INTEGER PRIMARY KEY, b BOOLEAN, i BIGINT, d DOUBLE "
               "PRECISION, t TEXT, x BLOB, j JSON, w TIMESTAMP)");
}

static const char insert_values[] =
    "INSERT INTO all_types (id, b, i, d, t, x, j, w) VALUES (:id, :b, :i, :d, :t, :x, :j, :w)";

static void values_of_every_type_come_back_as_they_went(void)
{
    static const char bytes[] = {0, 1, (char)255, '\'', '\\', 0};
    const weir_param params[] = {
        {"id", weir_int(1)},
        {"b", weir_bool(true)},
        {"i", weir_int(INT64_MIN)},
        {"d", weir_double(0.1)},
        {"t", weir_text("Zürich '; DROP TABLE all_types; -- \\ \"")},
        {"x", weir_blob(bytes, sizeof(bytes))},
        {"j", weir_json("{\"a\": [1, 2.5, null, \"ü\"]}")},
        {"w", weir_timestamp("2024-02-29T12:30:00.5")},
    };

    make_values_table();
    must_be_ok(weir_db_query(db, insert_values, params, COUNT_OF(params), NULL, &error));
    weir_result *rows = rows_of("SELECT id, b, i, d, t, x, j, w FROM all_types", NULL, 0);
    check_int(weir_result_row_count(rows), 1);
    check_int(weir_result_column_count(rows), 8);
    for (size_t i = 0; i < COUNT_OF(params); i++) {
        weir_value value = weir_result_value(rows, 0, i);
        check_text(weir_result_column_name(rows, i), params[i].name);
        check_int(value.type, params[i].value.type);
        check(value.boolean == params[i].value.boolean);
        check_int(value.integer, params[i].value.integer);
        check(value.real == params[i].value.real);
        check_int(value.size, params[i].value.size);
        check(value.size == params[i].value.size &&
              (value.size == 0 || memcmp(value.text, params[i].value.text, value.size) == 0));
    }
    weir_result_close(rows);
}

static void nulls_of_every_type_come_back_as_nulls(void)
{
    static const char *const names[] = {"b", "i", "d", "t", "x", "j", "w"};
    weir_param params[8] = {{"id", weir_int(2)}};

    make_values_table();
    for (size_t i = 0; i < COUNT_OF(names); i++)
        params[i + 1] = (weir_param){names[i], weir_null()};
    must_be_ok(weir_db_query(db, insert_values, params, COUNT_OF(params), NULL, &error));
    weir_result *rows = rows_of("SELECT b, i, d, t, x, j, w FROM all_types WHERE id = 2", NULL, 0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        check_int(weir_result_value(rows, 0, i).type, WEIR_NULL);
    weir_result_close(rows);

    check_int(weir_text(NULL).type, WEIR_NULL);
}

static void empty_text_and_empty_bytes_are_not_null(void)
{
    weir_param params[] = {
        {"id", weir_int(3)},        {"b", weir_bool(false)},
        {"i", weir_int(INT64_MAX)}, {"d", weir_double(-0.0)},
        {"t", weir_text("")},       {"x", weir_blob("", 0)},
        {"j", weir_json("null")},   {"w", weir_timestamp("2024-02-29")},
    };

    make_values_table();
    must_be_ok(weir_db_query(db, insert_values, params, COUNT_OF(params), NULL, &error));
    weir_result *rows = rows_of("SELECT b, i, t, x, j FROM all_types WHERE id = 3", NULL, 0);
    check_int(weir_result_value(rows, 0, 0).type, WEIR_BOOL);
    check(!weir_result_value(rows, 0, 0).boolean);
    check_int(weir_result_value(rows, 0, 1).integer, INT64_MAX);
    check_int(weir_result_value(rows, 0, 2).type, WEIR_TEXT);
    check_text(weir_result_value(rows, 0, 2).text, "");
    check_int(weir_result_value(rows, 0, 3).type, WEIR_BLOB);
    check_int(weir_result_value(rows, 0, 3).size, 0);
    check_int(weir_result_value(rows, 0, 4).type, WEIR_JSON);
    check_text(weir_result_value(rows, 0, 4).text, "null");
    weir_result_close(rows);
}

static void timestamps_are_iso_8601_however_they_were_written(void)
{
    static const struct {
        const char *written;
        const char *read;
    } cases[] = {
        {"2024-02-29T12:30:00", "2024-02-29T12:30:00"},
        {"2024-02-29 12:30:00", "2024-02-29T12:30:00"},
        {"2024-02-29 12:30:00.25", "2024-02-29T12:30:00.25"},
        {"1999-12-31 23:59:59", "1999-12-31T23:59:59"},
    };

    make_values_table();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        weir_param params[] = {{"id", weir_int((int64_t)i)}, {"w", weir_text(cases[i].written)}};
        must_be_ok(weir_db_query(db, "INSERT INTO all_types (id, w) VALUES (:id, :w)", params, 2,
                                 NULL, &error));
        weir_result *rows = rows_of("SELECT w FROM all_types WHERE id = :id", params, 1);
        check_int(weir_result_value(rows, 0, 0).type, WEIR_TIMESTAMP);
        check_text(weir_result_value(rows, 0, 0).text, cases[i].read);
        weir_result_close(rows);
    }
}

static void what_is_out_of_range_is_null_and_not_undefined(void)
{
    weir_result *rows = rows_of("SELECT 1 AS one", NULL, 0);

    check_int(weir_result_value(rows, 1, 0).type, WEIR_NULL);
    check_int(weir_result_value(rows, 0, 1).type, WEIR_NULL);
    check(weir_result_column_name(rows, 1) == NULL);
    check_int(weir_result_column_index(rows, "one"), 0);
    check_int(weir_result_column_index(rows, "two"), -1);
    weir_result_close(rows);
}

/* ---- parameters ------------------------------------------------------------------------- */

static void parameters_stand_by_name_or_by_place(void)
{
    const weir_param named[] = {{"b", weir_text("B")}, {"a", weir_text("A")}};
    const weir_param placed[] = {{NULL, weir_text("A")}, {NULL, weir_text("B")}};
    static const char *const sqls[] = {
        "SELECT CAST(:a AS TEXT) || CAST(:b AS TEXT) || CAST(:a AS TEXT) || ':c' -- :d\n /* $9 */",
        "SELECT CAST($1 AS TEXT) || CAST($2 AS TEXT) || CAST($1 AS TEXT) || ':c' -- :d\n /* :e */"};

    for (int i = 0; i < 2; i++) {
        weir_result *rows = rows_of(sqls[i], i == 0 ? named : placed, 2);
        check_text(weir_result_value(rows, 0, 0).text, "ABA:c");
        weir_result_close(rows);
    }
}

static void wrong_parameters_are_named_and_cost_nothing(void)
{
    const weir_param one[] = {{"a", weir_int(1)}};
    const weir_param two[] = {{"a", weir_int(1)}, {"typo", weir_int(2)}};
    const weir_param placed[] = {{NULL, weir_int(1)}};
    weir_conn *conn = borrow();

    check_int(weir_conn_query(conn, "SELECT :a, :missing", one, 1, NULL, &error), WEIR_INVALID);
    check_contains(error.text, "missing");
    check_int(weir_conn_query(conn, "SELECT :a", two, 2, NULL, &error), WEIR_INVALID);
    check_contains(error.text, "typo");
    check_int(weir_conn_query(conn, "SELECT :a", placed, 1, NULL, &error), WEIR_INVALID);
    check_int(weir_conn_query(conn, "SELECT $1", one, 1, NULL, &error), WEIR_INVALID);
    check_int(weir_conn_query(conn, "SELECT :a, $1", one, 1, NULL, &error), WEIR_INVALID);
    check_int(weir_conn_query(conn, "SELECT $2", placed, 1, NULL, &error), WEIR_INVALID);
    check_int(number_on(conn, "SELECT 7"), 7);
    weir_conn_release(conn);
}

/* ---- results ---------------------------------------------------------------------------- */

static void json_is_the_same_on_every_engine(void)
{
    static const char bytes[] = {0, 1, 2};
    const weir_param params[] = {
        {"id", weir_int(1)},
        {"b", weir_bool(true)},
        {"i", weir_int(-5)},
        {"d", weir_double(2.5)},
        {"t", weir_text("\"ü\"\n\\")},
        {"x", weir_blob(bytes, 3)},
        {"j", weir_json("{\"k\":[1]}")},
        {"w", weir_timestamp("2024-02-29T12:30:00")},
    };
    char *text = NULL;
    size_t size = 0;

    make_values_table();
    must_be_ok(weir_db_query(db, insert_values, params, COUNT_OF(params), NULL, &error));
    must("INSERT INTO all_types (id) VALUES (2)");
    weir_result *rows = rows_of("SELECT * FROM all_types ORDER BY id", NULL, 0);
    must_be_ok(weir_result_to_json(rows, &text, &size, &error));
    check_text(text,
               "[{\"id\":1,\"b\":true,\"i\":-5,\"d\":2.5,\"t\":\"\\\"ü\\\"\\n\\\\\",\"x\":\"AAEC\","
               "\"j\":{\"k\":[1]},\"w\":\"2024-02-29T12:30:00\"},"
               "{\"id\":2,\"b\":null,\"i\":null,\"d\":null,\"t\":null,\"x\":null,\"j\":null,"
               "\"w\":null}]");
    check_int(size, text == NULL ? 0 : strlen(text));
    free(text);
    must_be_ok(weir_result_row_to_json(rows, 1, &text, NULL, &error));
    check_contains(text, "{\"id\":2,");
    free(text);
    check_int(weir_result_row_to_json(rows, 2, &text, NULL, &error), WEIR_NOT_FOUND);
    weir_result_close(rows);

    rows = rows_of("SELECT * FROM all_types WHERE id > 99", NULL, 0);
    must_be_ok(weir_result_to_json(rows, &text, NULL, &error));
    check_text(text, "[]");
    check_int(weir_result_column_count(rows), 8);
    free(text);
    weir_result_close(rows);
}

static void writes_tell_how_many_rows_they_changed(void)
{
    static const struct {
        const char *sql;
        int changed;
    } cases[] = {
        {"INSERT INTO counted VALUES (1), (2), (3)", 3},
        {"UPDATE counted SET n = n + 10", 3},
        {"SELECT n FROM counted", 0},
        {"DELETE FROM counted WHERE n = 11", 1},
        {"UPDATE counted SET n = 0 WHERE n = 99", 0},
        {"DROP TABLE counted", 0},
    };

    must("DROP TABLE IF EXISTS counted");
    must("CREATE TABLE counted (n INTEGER)");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        weir_result *rows = rows_of(cases[i].sql, NULL, 0);
        check_int(weir_result_changed(rows), cases[i].changed);
        weir_result_close(rows);
    }
}

#define MANY "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < "

static void large_results_arrive_whole_and_outlive_their_connection(void)
{
    weir_result *rows = rows_of(MANY "200000) SELECT n, 'row ' || n AS t FROM s", NULL, 0);
    int64_t sum = 0;

    check_int(weir_result_row_count(rows), 200000);
    for (size_t i = 0; i < weir_result_row_count(rows); i++)
        sum += weir_result_value(rows, i, 0).integer;
    check_int(sum, (int64_t)200000 * 200001 / 2);
    check_text(weir_result_value(rows, 123455, 1).text, "row 123456");
    weir_result_close(rows);
}

static void a_result_above_the_limit_is_refused_and_the_connection_stays(void)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *narrow = NULL;
    weir_conn *conn = NULL;
    weir_result *rows = NULL;

    options.max_result_bytes = 100000;
    must_be_ok(weir_db_open(url, &options, &narrow, &error));
    must_be_ok(weir_db_acquire(narrow, WEIR_DEADLINE_DEFAULT, &conn, &error));
    check_int(weir_conn_query(conn, MANY "10000000) SELECT n, 'some text' FROM s", NULL, 0, &rows,
                              &error),
              WEIR_LIMIT);
    check(rows == NULL);
    check_int(number_on(conn, "SELECT 5"), 5);
    check_int(
        weir_conn_query(conn, MANY "500) SELECT n, 'some text' FROM s", NULL, 0, &rows, &error),
        WEIR_OK);
    weir_result_close(rows);
    weir_conn_release(conn);
    weir_db_close(narrow);
}

/* ---- reflection ------------------------------------------------------------------------- */

static void the_schema_tells_tables_columns_and_keys(void)
{
    weir_schema *schema = NULL;

    must("DROP VIEW IF EXISTS titles");
    must("DROP TABLE IF EXISTS books");
    must("DROP TABLE IF EXISTS \"Odd \"\"Name\"\"\"");
    must("CREATE TABLE \"Odd \"\"Name\"\"\" (\"Alpha-3 Code\" VARCHAR(3) PRIMARY KEY, active "
         "BOOLEAN NOT "
         "NULL)");
    must("CREATE TABLE books (a INTEGER, b INTEGER, title TEXT NOT NULL DEFAULT 'none', country "
         "VARCHAR(3) "
         "REFERENCES \"Odd \"\"Name\"\"\" (\"Alpha-3 Code\"), PRIMARY KEY (b, a))");
    must("CREATE VIEW titles AS SELECT title FROM books");
    must_be_ok(weir_db_reflect(db, &schema, &error));
    const weir_table *odd = weir_schema_find(schema, "Odd \"Name\"");
    const weir_table *books = weir_schema_find(schema, "books");
    const weir_table *titles = weir_schema_find(schema, "titles");
    check(odd != NULL && books != NULL && titles != NULL);
    check(weir_schema_find(schema, "BOOKS") == NULL);
    if (odd != NULL && books != NULL && titles != NULL) {
        check(titles->is_view && !books->is_view);
        check_int(odd->column_count, 2);
        check_text(odd->columns[0].name, "Alpha-3 Code");
        check_int(odd->columns[0].type, WEIR_TEXT);
        check_int(odd->columns[0].primary_key, 1);
        check_int(odd->columns[1].type, WEIR_BOOL);
        check(!odd->columns[1].is_nullable);
        check_int(books->columns[0].primary_key, 2);
        check_int(books->columns[1].primary_key, 1);
        check_int(books->columns[0].type, WEIR_INT);
        check(books->columns[2].has_default && !books->columns[2].is_nullable);
        check(books->columns[3].is_nullable && !books->columns[3].has_default);
        check_int(books->foreign_key_count, 1);
        if (books->foreign_key_count == 1) {
            check_text(books->foreign_keys[0].column, "country");
            check_text(books->foreign_keys[0].foreign_table, "Odd \"Name\"");
            check_text(books->foreign_keys[0].foreign_column, "Alpha-3 Code");
        }
    }
    for (size_t i = 1; i < weir_schema_table_count(schema); i++)
        check(strcmp(weir_schema_table(schema, i - 1)->name, weir_schema_table(schema, i)->name) <
              0);
    weir_schema_close(schema);
}

static void a_reflected_name_can_be_quoted_and_used(void)
{
    char quoted[64];
    char sql[128];

    check_int(weir_quote_name("Odd \"Name\"", quoted, sizeof(quoted)), 14);
    check_text(quoted, "\"Odd \"\"Name\"\"\"");
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", quoted);
    check_int(number(sql), 0);
}

/* ---- all -------------------------------------------------------------------------------- */

static void run_all(const char *engine)
{
    on(opening_connects_to_nothing_and_shows_no_password);
    on(the_url_sets_options_and_refuses_what_it_does_not_know);
    on(a_disposed_database_lends_no_more);
    on(values_of_every_type_come_back_as_they_went);
    on(nulls_of_every_type_come_back_as_nulls);
    on(empty_text_and_empty_bytes_are_not_null);
    on(timestamps_are_iso_8601_however_they_were_written);
    on(what_is_out_of_range_is_null_and_not_undefined);
    on(parameters_stand_by_name_or_by_place);
    on(wrong_parameters_are_named_and_cost_nothing);
    on(json_is_the_same_on_every_engine);
    on(writes_tell_how_many_rows_they_changed);
    on(large_results_arrive_whole_and_outlive_their_connection);
    on(a_result_above_the_limit_is_refused_and_the_connection_stays);
    on(the_schema_tells_tables_columns_and_keys);
    on(a_reflected_name_can_be_quoted_and_used);
}

int main(void)
{
    return run_both();
}
