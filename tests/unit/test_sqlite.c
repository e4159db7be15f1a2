/* SPDX-License-Identifier: MIT */
/* SQLite through weir_db: opening, values, parameters, errors, results, reflection. */
#include "db_fixture.h"

#include <math.h>
#include <sys/stat.h>

/* ---- opening ----------------------------------------------------------------------------- */

static void memory_is_shared_by_the_whole_pool_and_by_nobody_else(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_db *other = fixture_open("sqlite://", NULL);
    weir_conn *first = fixture_acquire(db);
    weir_conn *second = fixture_acquire(db);
    weir_conn *elsewhere = fixture_acquire(other);

    check(first != second);
    fixture_run(first, "CREATE TABLE t (x)");
    fixture_run(second, "INSERT INTO t VALUES (7)");
    check_int(fixture_int(first, "SELECT x FROM t"), 7);
    fixture_fail(elsewhere, "SELECT x FROM t", WEIR_QUERY, "42P01");
    weir_conn_discard(first);
    weir_conn_discard(second);
    first = fixture_acquire(db); /* no connection was left, the content was */
    check_int(fixture_int(first, "SELECT x FROM t"), 7);
    weir_conn_release(first);
    weir_conn_release(elsewhere);
    weir_db_close(db);
    weir_db_close(other);
}

static void a_file_is_made_in_wal_mode_with_foreign_keys_on(void)
{
    weir_db *db = fixture_open(fixture_url("new.db"), NULL);
    weir_conn *conn = fixture_acquire(db);

    check_text(weir_db_engine(db), "sqlite");
    check_contains(weir_db_url(db), "new.db");
    fixture_json(conn, "PRAGMA journal_mode", "[{\"journal_mode\":\"wal\"}]");
    check_int(fixture_int(conn, "PRAGMA foreign_keys"), 1);
    check_int(access(fixture_path("new.db"), F_OK), 0);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void check_connect_fails(const char *url, const char *part)
{
    weir_db *db = fixture_open(url, NULL);
    weir_conn *conn = NULL;
    weir_error error = {0};

    check_status(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error), WEIR_CONNECT, error);
    check_contains(error.text, part);
    check(conn == NULL);
    weir_db_close(db);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(fixture_path(name), "w");

    fputs(text, file);
    fclose(file);
}

static void what_cannot_be_opened_says_why_and_where(void)
{
    check_connect_fails(fixture_url("no/such/x.db"), "/no/such\" does not exist: create it");
    check_connect_fails(fixture_url(""), "it is a directory");
    write_file("plain.txt",
               "this is not a database, and long enough to be read as a header of one, "
               "which has a hundred bytes at least");
    check_connect_fails(fixture_url("plain.txt"), "not a SQLite database");
    check_connect_fails(fixture_url("plain.txt/x.db"), "is not a directory");
}

static void a_damaged_file_is_an_error_and_no_crash(void)
{
    weir_db *db = fixture_open(fixture_url("damaged.db"), NULL);
    weir_error error = {0};

    fixture_run_in(db, "CREATE TABLE t (x)");
    fixture_run_in(db,
                   "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                   "LIMIT 5000) SELECT hex(randomblob(20)) FROM n");
    fixture_run_in(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    weir_db_close(db);

    FILE *file = fopen(fixture_path("damaged.db"), "r+");
    for (long at = 4096; at < 200000; at++) {
        fseek(file, at, SEEK_SET);
        fputc(0xA5, file);
    }
    fclose(file);
    db = fixture_open(fixture_url("damaged.db"), NULL);
    weir_conn *conn = fixture_acquire(db);
    check_status(weir_conn_query(conn, "SELECT count(x) FROM t", NULL, 0, NULL, &error), WEIR_QUERY,
                 error);
    check_text(error.sqlstate, "XX001");
    check_contains(error.text, "malformed");
    weir_conn_release(conn);
    weir_db_close(db);
}

/* Root may write anything, so this test puts on another user for a while. */
static void a_file_that_cannot_be_written_can_be_read(void)
{
    weir_db *db = fixture_open(fixture_url("fixed.db"), NULL);
    bool is_root = geteuid() == 0;

    fixture_run_in(db, "CREATE TABLE t (x)");
    fixture_run_in(db, "PRAGMA journal_mode=DELETE");
    weir_db_close(db);
    chmod(fixture_path("fixed.db"), 0444);
    chmod(fixture_directory, 0555);
    if (is_root && seteuid(65534) != 0)
        return;

    db = fixture_open(fixture_url("fixed.db"), NULL);
    weir_conn *conn = fixture_acquire(db);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    fixture_fail(conn, "INSERT INTO t VALUES (1)", WEIR_QUERY, "25006");
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    weir_conn_release(conn);
    weir_db_close(db);
    check_connect_fails(fixture_url("denied.db"), "no permission");
    if (is_root)
        check_int(seteuid(0), 0);
    chmod(fixture_directory, 0755);
}

static void check_open_fails(const char *url, const weir_db_options *options, const char *part)
{
    weir_db *db = NULL;
    weir_error error = {0};

    check_status(weir_db_open(url, options, &db, &error), WEIR_INVALID, error);
    check_contains(error.text, part);
    check(db == NULL);
}

static void options_out_of_range_are_named_with_their_range(void)
{
    check_open_fails("sqlite:///x.db?bogus=1", NULL, "unknown option bogus");
    check_open_fails("sqlite:///x.db?pool_size=x", NULL, "pool_size");
    check_open_fails("sqlite:///x.db?statement_timeout_ms=-1", NULL, "0 to 86400000");
    check_open_fails("sqlite:///x.db?statement_timeout_ms=1x", NULL, "statement_timeout_ms");
    check_open_fails("sqlite:///x.db?connect_timeout=0", NULL, "1 to 3600");
    check_open_fails("sqlite:///x.db?statement_cache_size=10001", NULL, "0 to 10000");
    check_open_fails("sqlite:///x.db?busy_timeout_ms=99999999999999999999", NULL, "0 to 3600000");
    check_open_fails("sqlite:///x.db?max_result_bytes=1", NULL, "1024 to 1099511627776");

    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    options.statement_cache_size = -1;
    check_open_fails("sqlite:///x.db", &options, "statement_cache_size -1: must be 0 to 10000");
    options.statement_cache_size = 0;
    options.connect_timeout_ms = 0;
    check_open_fails("sqlite:///x.db", &options, "connect_timeout_ms 0: must be 1 to 3600000");
    options.connect_timeout_ms = 1;
    options.pool.pool_size = 99999;
    check_open_fails("sqlite:///x.db", &options, "pool_size");
}

static void options_of_the_url_win(void)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    options.pool.pool_size = 7;
    options.pool.max_overflow = 8;
    options.pool.name = "orders";
    weir_db *db =
        fixture_open("sqlite:///:memory:?pool_size=3&statement_timeout_ms=1000", &options);

    check_int(weir_pool_get_options(weir_db_pool(db))->pool_size, 3);
    check_int(weir_pool_get_options(weir_db_pool(db))->max_overflow, 8);
    check_text(weir_pool_name(weir_db_pool(db)), "orders");
    weir_db_close(db);
}

/* ---- values ------------------------------------------------------------------------------ */

static const char types_table[] =
    "CREATE TABLE v (id INTEGER PRIMARY KEY, b BOOLEAN, i BIGINT, d REAL, t TEXT, x BLOB, j JSON, "
    "ts TIMESTAMP, dt DATE)";

static void values_come_back_as_their_declared_types_say(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_param params[] = {
        {"b", weir_bool(true)},
        {"i", weir_int(INT64_MIN)},
        {"d", weir_double(0.1)},
        {"t", weir_text_n("a\0b", 3)},
        {"x", weir_blob("\x00\xFF", 2)},
        {"j", weir_json("{\"a\": [1, 2.50]}")},
        {"ts", weir_timestamp("2024-02-29 12:30:00.5Z")},
        {"dt", weir_timestamp("2024-02-29")},
    };
    weir_result *r = NULL;
    weir_error error = {0};

    fixture_run(conn, types_table);
    check_status(weir_conn_query(conn, "INSERT INTO v VALUES (1, :b, :i, :d, :t, :x, :j, :ts, :dt)",
                                 params, 8, NULL, &error),
                 WEIR_OK, error);
    check_status(weir_conn_query(conn, "SELECT * FROM v", NULL, 0, &r, &error), WEIR_OK, error);
    check(weir_result_value(r, 0, 1).type == WEIR_BOOL && weir_result_value(r, 0, 1).boolean);
    check(weir_result_value(r, 0, 2).integer == INT64_MIN);
    check(weir_result_value(r, 0, 3).real == (double)0.1);
    check_int(weir_result_value(r, 0, 4).size, 3);
    check_int(weir_result_value(r, 0, 5).type, WEIR_BLOB);
    check_int(weir_result_value(r, 0, 6).type, WEIR_JSON);
    check_text(weir_result_value(r, 0, 6).text, "{\"a\": [1, 2.50]}");
    check_int(weir_result_value(r, 0, 7).type, WEIR_TIMESTAMP);
    check_text(weir_result_value(r, 0, 7).text, "2024-02-29T12:30:00.5+00:00");
    check_text(weir_result_value(r, 0, 8).text, "2024-02-29");
    weir_result_close(r);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void values_that_do_not_fit_their_declared_type_come_as_they_are(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);

    fixture_run(conn, types_table);
    fixture_run(conn, "INSERT INTO v (b, i, d, j, ts) VALUES (2, 'many', 1, '{', 'yesterday')");
    fixture_run(conn, "INSERT INTO v (b, ts) VALUES ('yes', 1700000000)");
    fixture_run(conn, "INSERT INTO v (id) VALUES (3)");
    fixture_json(conn, "SELECT b, i, d, j, ts FROM v ORDER BY id",
                 "[{\"b\":2,\"i\":\"many\",\"d\":1.0,\"j\":\"{\",\"ts\":\"yesterday\"},"
                 "{\"b\":\"yes\",\"i\":null,\"d\":null,\"j\":null,\"ts\":1700000000},"
                 "{\"b\":null,\"i\":null,\"d\":null,\"j\":null,\"ts\":null}]");
    weir_conn_release(conn);
    weir_db_close(db);
}

static void empty_and_missing_values_are_two_things(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_param params[] = {
        {NULL, weir_text("")},   {NULL, weir_blob("", 0)}, {NULL, weir_null()},
        {NULL, weir_text(NULL)}, {NULL, weir_double(NAN)},
    };
    weir_result *r = NULL;
    weir_error error = {0};

    check_status(weir_conn_query(conn, "SELECT $1, $2, $3, $4, $5", params, 5, &r, &error), WEIR_OK,
                 error);
    check_int(weir_result_value(r, 0, 0).type, WEIR_TEXT);
    check_text(weir_result_value(r, 0, 0).text, "");
    check_int(weir_result_value(r, 0, 1).type, WEIR_BLOB);
    for (size_t i = 2; i < 5; i++)
        check_int(weir_result_value(r, 0, i).type, WEIR_NULL);
    weir_result_close(r);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- parameters -------------------------------------------------------------------------- */

static void check_params(weir_conn *conn, const char *sql, const weir_param *params, size_t count,
                         const char *part)
{
    weir_error error = {0};

    check_status(weir_conn_query(conn, sql, params, count, NULL, &error), WEIR_INVALID, error);
    check_contains(error.text, part);
}

static void parameters_that_do_not_match_are_named(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_param a = {"a", weir_int(1)};
    weir_param ab[] = {{"a", weir_int(1)}, {"b", weir_int(2)}};
    weir_param aa[] = {{"a", weir_int(1)}, {"a", weir_int(2)}};
    weir_param one = {NULL, weir_int(1)};
    weir_param a_and_one[] = {{"a", weir_int(1)}, {NULL, weir_int(2)}};

    check_params(conn, "SELECT :a, :b", &a, 1, ":b has no value");
    check_params(conn, "SELECT :a", NULL, 0, ":a has no value");
    check_params(conn, "SELECT :a", ab, 2, ":b is not in");
    check_params(conn, "SELECT :a", aa, 2, ":a is given twice");
    check_params(conn, "SELECT :a", a_and_one, 2, "parameter 2 has no name");
    check_params(conn, "SELECT :a", &one, 1, ":a has no value");
    check_params(conn, "SELECT $1", &a, 1, ":a is named");
    check_params(conn, "SELECT $1, $2", &one, 1, "$2 has no value");
    check_params(conn, "SELECT 1", &one, 1, "$1 is not in");
    check_params(conn, "SELECT 1", &a, 1, ":a is not in");
    check_params(conn, "SELECT :a, $1", ab, 2, "both");
    check_params(conn, "SELECT ?", NULL, 0, "write :name or $1");
    check_params(conn, "SELECT @a", NULL, 0, "write :name or $1");
    check_params(conn, "SELECT $a", NULL, 0, "write :name or $1");
    weir_conn_release(conn);
    weir_db_close(db);
}

static void parameters_are_found_in_any_order_and_number(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_param params[40];
    char names[40][8];
    char sql[512] = "SELECT ";
    weir_result *r = NULL;
    weir_error error = {0};

    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        params[39 - i] = (weir_param){names[i], weir_int(i)};
        sprintf(sql + strlen(sql), "%s:p%d", i ? "," : "", i);
    }
    check_status(weir_conn_query(conn, sql, params, 40, &r, &error), WEIR_OK, error);
    bool all_right = true;
    for (size_t i = 0; i < 40; i++)
        all_right &= weir_result_value(r, 0, i).integer == (int64_t)i;
    check(all_right);
    weir_result_close(r);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- errors ------------------------------------------------------------------------------ */

static void errors_carry_their_sqlstate_and_leave_the_connection_usable(void)
{
    static const struct {
        const char *sql;
        const char *sqlstate;
    } table[] = {
        {"SELEKT 1", "42601"},
        {"SELECT 'open", "42601"},
        {"SELECT (", "42601"},
        {"", "42601"},
        {" -- nothing\n", "42601"},
        {"SELECT 1; SELECT 2", "42601"},
        {"SELECT * FROM nowhere", "42P01"},
        {"SELECT nosuch FROM t", "42703"},
        {"SELECT \"nosuch\" FROM t", "42703"},
        {"INSERT INTO t (nosuch) VALUES (1)", "42703"},
        {"SELECT nofunction(1)", "42883"},
        {"CREATE TABLE t (x)", "42P07"},
        {"INSERT INTO t (id, u) VALUES (2, 1)", "23505"},
        {"INSERT INTO t (id) VALUES (1)", "23505"},
        {"INSERT INTO t (id, f) VALUES (2, 99)", "23503"},
        {"INSERT INTO t (id, n) VALUES (2, NULL)", "23502"},
        {"INSERT INTO t (id, c) VALUES (2, -1)", "23514"},
        {"INSERT INTO t (id) VALUES ('x')", "42804"},
        {"ROLLBACK TO nowhere", "3B001"},
        {"COMMIT", "25P01"},
        {"ATTACH 'other.db' AS o", "42501"},
        {"DETACH main", "42501"},
        {"SELECT load_extension('x')", "42501"},
        {"SELECT json_extract('{', '$.a')", "22P02"},
    };
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);

    fixture_run(conn, "CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, f REFERENCES t, "
                      "n NOT NULL DEFAULT 0, c CHECK (c > 0))");
    fixture_run(conn, "INSERT INTO t (id, u) VALUES (1, 1)");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fixture_fail(conn, table[i].sql, WEIR_QUERY, table[i].sqlstate);
        check_int(fixture_int(conn, "SELECT count(*) FROM t"), 1);
    }
    check(!weir_conn_is_lost(conn));
    weir_conn_release(conn);
    weir_db_close(db);
}

static void blanks_and_comments_may_follow_a_statement(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);

    check_int(fixture_int(conn, "SELECT 5; -- five\n ; /* and */ "), 5);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- results ----------------------------------------------------------------------------- */

static void check_changed(weir_conn *conn, const char *sql, int64_t expected)
{
    weir_result *result = NULL;
    weir_error error = {0};

    check_status(weir_conn_query(conn, sql, NULL, 0, &result, &error), WEIR_OK, error);
    if (result != NULL && weir_result_changed(result) != expected)
        printf("# %s\n", sql);
    check_int(result == NULL ? -1 : weir_result_changed(result), expected);
    weir_result_close(result);
}

static void changed_counts_the_rows_of_writes_only(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);

    check_changed(conn, "CREATE TABLE t (x)", 0);
    check_changed(conn, "INSERT INTO t VALUES (1), (2), (3)", 3);
    check_changed(conn, "SELECT * FROM t", 0);
    check_changed(conn, "CREATE TABLE u AS SELECT * FROM t", 0);
    check_changed(conn, "UPDATE t SET x = 0 WHERE x > 1", 2);
    check_changed(conn, "UPDATE t SET x = 0 WHERE x > 9", 0);
    check_changed(conn, "CREATE INDEX i ON t (x)", 0);
    check_changed(conn, "DELETE FROM t WHERE x = 0 RETURNING x", 2);
    check_changed(conn, "DELETE FROM t", 1);
    check_changed(conn, "DROP TABLE u", 0);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_result_above_the_limit_is_refused_and_the_connection_goes_on(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:?max_result_bytes=10000", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_result *result = NULL;
    weir_error error = {0};

    check_status(weir_conn_query(conn, "SELECT hex(zeroblob(6000))", NULL, 0, &result, &error),
                 WEIR_LIMIT, error);
    check(result == NULL);
    check_int(fixture_int(conn, "SELECT 1"), 1);
    fixture_run(conn, "SELECT hex(zeroblob(6000))"); /* nobody keeps it */
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_write_whose_rows_are_too_many_is_undone(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:?max_result_bytes=1024", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_result *result = NULL;
    weir_error error = {0};
    static const char many[] = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                               "SELECT i + 1 FROM n LIMIT 500) SELECT i FROM n RETURNING x";

    fixture_run(conn, "CREATE TABLE t (x)");
    check_status(weir_conn_query(conn, many, NULL, 0, &result, &error), WEIR_LIMIT, error);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    fixture_run(conn, many); /* without its rows it fits */
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 500);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_changed_table_shows_in_statements_prepared_before(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *first = fixture_acquire(db);
    weir_conn *second = fixture_acquire(db);

    fixture_run(first, "CREATE TABLE t (x TEXT)");
    fixture_run(first, "INSERT INTO t VALUES (1)");
    fixture_json(first, "SELECT * FROM t", "[{\"x\":\"1\"}]");
    fixture_run(second, "ALTER TABLE t ADD COLUMN y BOOLEAN DEFAULT 1");
    fixture_json(first, "SELECT * FROM t", "[{\"x\":\"1\",\"y\":true}]");
    fixture_run(second, "ALTER TABLE t RENAME COLUMN x TO z");
    fixture_json(first, "SELECT * FROM t", "[{\"z\":\"1\",\"y\":true}]");
    fixture_run(second, "DROP TABLE t");
    fixture_fail(first, "SELECT * FROM t", WEIR_QUERY, "42P01");
    weir_conn_release(first);
    weir_conn_release(second);
    weir_db_close(db);
}

static void a_result_outlives_its_connection_and_its_database(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_result *result = NULL;
    weir_error error = {0};

    check_status(weir_db_query(db, "SELECT 'kept' AS name", NULL, 0, &result, &error), WEIR_OK,
                 error);
    weir_db_close(db);
    check_text(weir_result_value(result, 0, 0).text, "kept");
    check_text(weir_result_column_name(result, 0), "name");
    weir_result_close(result);
}

static void without_a_statement_cache_everything_works_too(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:?statement_cache_size=0", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_param id = {"id", weir_int(1)};
    weir_result *result = NULL;
    weir_error error = {0};

    fixture_run(conn, "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)");
    check_status(weir_conn_query(conn, "INSERT INTO t VALUES (:id, 'one') RETURNING n", &id, 1,
                                 &result, &error),
                 WEIR_OK, error);
    check_text(weir_result_value(result, 0, 0).text, "one");
    weir_result_close(result);
    fixture_fail(conn, "SELEKT", WEIR_QUERY, "42601");
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- scripts ----------------------------------------------------------------------------- */

static void a_script_runs_wholly_or_not_at_all(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};

    check_status(weir_conn_script(conn,
                                  "CREATE TABLE a (x); -- one\n\n INSERT INTO a VALUES ('it''s;');"
                                  "SELECT * FROM a;",
                                  &error),
                 WEIR_OK, error);
    check_status(weir_conn_script(conn, "", &error), WEIR_OK, error);
    check_status(weir_conn_script(conn, "CREATE TABLE b (x); SELEKT; CREATE TABLE c (x)", &error),
                 WEIR_QUERY, error);
    check_text(error.sqlstate, "42601");
    check_status(weir_conn_script(conn, "SELECT ?", &error), WEIR_INVALID, error);
    check_int(fixture_int(conn, "SELECT count(*) FROM sqlite_schema"), 1);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* What SQLite does not do within a transaction comes first, or stands outside of the script's own. */
static void what_works_outside_transactions_only_is_refused_behind_a_write(void)
{
    static const char *const outsiders[] = {"VACUUM", "PRAGMA foreign_keys = OFF",
                                            "PRAGMA journal_mode = DELETE", "PRAGMA wal_checkpoint",
                                            "/* x */ vacuum"};
    weir_db *db = fixture_open(fixture_url("outsiders.db"), NULL);
    weir_error error = {0};
    char script[200];

    for (size_t i = 0; i < sizeof outsiders / sizeof outsiders[0]; i++) {
        weir_conn *conn = fixture_acquire(db);
        snprintf(script, sizeof script, "CREATE TABLE a (x); %s", outsiders[i]);
        check_status(weir_conn_script(conn, script, &error), WEIR_QUERY, error);
        check_text(error.sqlstate, "25001");
        check_int(fixture_int(conn, "SELECT count(*) FROM sqlite_schema"), 0);
        snprintf(script, sizeof script, "%s; CREATE TABLE a (x); SELEKT", outsiders[i]);
        check_status(weir_conn_script(conn, script, &error), WEIR_QUERY, error);
        check_text(error.sqlstate, "42601");
        check_int(fixture_int(conn, "SELECT count(*) FROM sqlite_schema"), 0);
        snprintf(script, sizeof script, "BEGIN; CREATE TABLE a (x); COMMIT; %s; DROP TABLE a",
                 outsiders[i]);
        check_status(weir_conn_script(conn, script, &error), WEIR_OK, error);
        weir_conn_release(conn);
    }
    weir_conn *conn = fixture_acquire(db);
    check_status(weir_conn_script(conn, "PRAGMA user_version = 7; SELEKT", &error), WEIR_QUERY,
                 error);
    check_int(fixture_int(conn, "PRAGMA user_version"), 0);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- reflection -------------------------------------------------------------------------- */

static void check_column(const weir_table *table, size_t at, const char *name, weir_type type,
                         bool is_nullable, bool has_default, int primary_key)
{
    if (at >= table->column_count) {
        check(at < table->column_count);
        return;
    }
    const weir_column *column = &table->columns[at];
    check_text(column->name, name);
    check_text(weir_type_name(column->type), weir_type_name(type));
    check_int(column->is_nullable, is_nullable);
    check_int(column->has_default, has_default);
    check_int(column->primary_key, primary_key);
}

static const char schema_sql[] =
    "CREATE TABLE \"Jurisdictions\" (id INTEGER PRIMARY KEY, \"Alpha-3 Code\" VARCHAR(3) NOT NULL, "
    "active BOOLEAN DEFAULT 1, area NUMERIC, made TIMESTAMP, doc JSON, raw BLOB, anything, "
    "half REAL AS (area / 2));"
    "CREATE TABLE pair (a TEXT, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID;"
    "CREATE TABLE child (j INTEGER REFERENCES \"Jurisdictions\", pa TEXT, pb INTEGER, "
    "FOREIGN KEY (pb, pa) REFERENCES pair (b, a));"
    "CREATE VIEW names AS SELECT \"Alpha-3 Code\" AS code, 1 + 1 AS two FROM \"Jurisdictions\";"
    "CREATE VIEW broken AS SELECT * FROM gone;"
    "CREATE VIRTUAL TABLE words USING fts5(word);";

static void reflection_tells_tables_columns_and_keys(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    weir_schema *schema = NULL;
    weir_error error = {0};

    check_status(weir_conn_script(conn, schema_sql, &error), WEIR_OK, error);
    weir_conn_release(conn);
    check_status(weir_db_reflect(db, &schema, &error), WEIR_OK, error);
    if (schema == NULL)
        return;
    check_int(weir_schema_table_count(schema), 6);

    const weir_table *table = weir_schema_find(schema, "Jurisdictions");
    check_int(table->column_count, 9);
    check_column(table, 0, "id", WEIR_INT, false, true, 1);
    check_column(table, 1, "Alpha-3 Code", WEIR_TEXT, false, false, 0);
    check_text(table->columns[1].sql_type, "VARCHAR(3)");
    check_column(table, 2, "active", WEIR_BOOL, true, true, 0);
    check_column(table, 3, "area", WEIR_DOUBLE, true, false, 0);
    check_column(table, 4, "made", WEIR_TIMESTAMP, true, false, 0);
    check_column(table, 5, "doc", WEIR_JSON, true, false, 0);
    check_column(table, 6, "raw", WEIR_BLOB, true, false, 0);
    check_column(table, 7, "anything", WEIR_TEXT, true, false, 0);
    check_column(table, 8, "half", WEIR_DOUBLE, true, true, 0);
    check(weir_schema_find(schema, "jurisdictions") == NULL);

    table = weir_schema_find(schema, "pair");
    check_column(table, 0, "a", WEIR_TEXT, false, false, 2);
    check_column(table, 1, "b", WEIR_INT, false, false, 1);

    table = weir_schema_find(schema, "child");
    check_int(table->foreign_key_count, 3);
    check_text(table->foreign_keys[0].column, "j");
    check_text(table->foreign_keys[0].foreign_table, "Jurisdictions");
    check(table->foreign_keys[0].foreign_column == NULL);
    check_text(table->foreign_keys[2].column, "pa");
    check_text(table->foreign_keys[2].foreign_column, "a");

    table = weir_schema_find(schema, "names");
    check(table->is_view);
    check_column(table, 0, "code", WEIR_TEXT, true, false, 0);
    check(weir_schema_find(schema, "broken")->is_view);
    check_int(weir_schema_find(schema, "words")->column_count, 1);
    weir_schema_close(schema);
    weir_db_close(db);
}

int main(void)
{
    fixture_start();
    run(memory_is_shared_by_the_whole_pool_and_by_nobody_else);
    run(a_file_is_made_in_wal_mode_with_foreign_keys_on);
    run(what_cannot_be_opened_says_why_and_where);
    run(a_damaged_file_is_an_error_and_no_crash);
    run(a_file_that_cannot_be_written_can_be_read);
    run(options_out_of_range_are_named_with_their_range);
    run(options_of_the_url_win);
    run(values_come_back_as_their_declared_types_say);
    run(values_that_do_not_fit_their_declared_type_come_as_they_are);
    run(empty_and_missing_values_are_two_things);
    run(parameters_that_do_not_match_are_named);
    run(parameters_are_found_in_any_order_and_number);
    run(errors_carry_their_sqlstate_and_leave_the_connection_usable);
    run(blanks_and_comments_may_follow_a_statement);
    run(changed_counts_the_rows_of_writes_only);
    run(a_result_above_the_limit_is_refused_and_the_connection_goes_on);
    run(a_write_whose_rows_are_too_many_is_undone);
    run(a_changed_table_shows_in_statements_prepared_before);
    run(a_result_outlives_its_connection_and_its_database);
    run(without_a_statement_cache_everything_works_too);
    run(a_script_runs_wholly_or_not_at_all);
    run(what_works_outside_transactions_only_is_refused_behind_a_write);
    run(reflection_tells_tables_columns_and_keys);
    fixture_stop();
    return check_done();
}
