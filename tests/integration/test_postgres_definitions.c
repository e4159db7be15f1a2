/* SPDX-License-Identifier: MIT */
/* Changes of tables, functions and names on PostgreSQL that weir sees, and when each connection knows of them. */
#include "postgres_changes.h"

#define INSERT "INSERT INTO measures VALUES ($1)"

static weir_db *db;
static weir_error error;

static weir_status conn_run(weir_conn *conn, const char *sql)
{
    return weir_conn_query(conn, sql, NULL, 0, NULL, &error);
}

static weir_status conn_give(weir_conn *conn, const char *sql, weir_value value)
{
    weir_param param = {NULL, value};

    return weir_conn_query(conn, sql, &param, 1, NULL, &error);
}

static const char *conn_answer_to(weir_conn *conn, const char *sql, const weir_param *param)
{
    static char room[256];
    char storage[256];
    weir_result *rows = NULL;

    if (weir_conn_query(conn, sql, param, param != NULL, &rows, &error) != WEIR_OK)
        return error.text;
    snprintf(room, sizeof(room), "%s",
             value_text(weir_result_value(rows, 0, 0), storage, sizeof(storage)));
    weir_result_close(rows);
    return room;
}

static const char *conn_answer(weir_conn *conn, const char *sql)
{
    return conn_answer_to(conn, sql, NULL);
}

/* Both look for names in the schema `earlier` before `public`. */
static void open_two(weir_conn **one, weir_conn **other)
{
    char url[512];

    snprintf(url, sizeof(url), "%s&options=-c%%20search_path%%3Dearlier%%2Cpublic",
             need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(weir_db_open(url, NULL, &db, &error), WEIR_OK);
    check_int(weir_db_acquire(db, SOON, one, &error), WEIR_OK);
    check_int(weir_db_acquire(db, SOON, other, &error), WEIR_OK);
}

static void close_two(weir_conn *one, weir_conn *other)
{
    weir_conn_release(one);
    weir_conn_release(other);
    weir_db_close(db);
}

/* `public.measures` is of this type, and there is a schema that comes before. */
static void set_stage(const char *type)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "CREATE SCHEMA earlier; CREATE TABLE measures (v %s)", type);
    change(sql);
}

static void clear_stage(void)
{
    change("DROP SCHEMA earlier CASCADE; DROP TABLE IF EXISTS measures");
}

/* ---- on any connection -------------------------------------------------------------------- */

static void a_change_on_any_connection_is_known_to_all_at_once(void)
{
    weir_conn *one;
    weir_conn *other;

    set_stage("real");
    open_two(&one, &other);
    check_int(conn_give(one, INSERT, weir_double(0.1)), WEIR_OK);
    check_int(conn_run(other, "ALTER TABLE measures ALTER v TYPE double precision USING 0.1"),
              WEIR_OK);
    check_int(conn_give(one, INSERT, weir_double(0.1)), WEIR_OK);
    check_text(conn_answer(one, EXACT), "2");

    /* In a transaction: for itself at once, for others when it has committed. */
    check_int(conn_give(other, INSERT, weir_double(0.1)), WEIR_OK);
    check_int(weir_conn_begin(one, WEIR_TX_WRITE, &error), WEIR_OK);
    check_int(weir_conn_script(one, "DELETE FROM measures; ALTER TABLE measures ALTER v TYPE real",
                               &error),
              WEIR_OK);
    check_int(conn_give(one, INSERT, weir_double(0.5)), WEIR_OK);
    check_int(weir_conn_rollback(one, &error), WEIR_OK);
    check_int(conn_give(one, INSERT, weir_double(0.1)), WEIR_OK);
    check_text(conn_answer(one, EXACT), "4");
    check_int(weir_conn_begin(one, WEIR_TX_WRITE, &error), WEIR_OK);
    check_int(weir_conn_script(one, "ALTER TABLE measures ALTER v TYPE numeric", &error), WEIR_OK);
    check_int(weir_conn_commit(one, &error), WEIR_OK);
    check_int(conn_give(other, INSERT, weir_text("0.10000000000000000000001")), WEIR_OK);
    check_text(conn_answer(other, "SELECT max(v)::text FROM measures"),
               "0.10000000000000000000001");
    close_two(one, other);
    clear_stage();
}

/* Commands for one connection, as one script or one by one. */
static void conn_run_all(weir_conn *conn, const char *const commands[3], bool is_script)
{
    char script[512] = "";

    for (int i = 0; i < 3 && commands[i] != NULL; i++) {
        if (!is_script)
            check_int(conn_run(conn, commands[i]), WEIR_OK);
        strcat(strcat(script, commands[i]), "; ");
    }
    if (is_script)
        check_int(weir_conn_script(conn, script, &error), WEIR_OK);
}

/* What `measures` means becomes double by commands on `other`, and `one` goes by it at once. */
static void check_known(const char *const commands[3], bool is_script)
{
    weir_conn *one;
    weir_conn *other;

    set_stage("real");
    open_two(&one, &other);
    for (int use = 0; use < 2; use++)
        check_int(conn_give(one, INSERT, weir_double(0.5)), WEIR_OK);
    conn_run_all(other, commands, is_script);
    for (int use = 0; use < 2; use++)
        check_int(conn_give(one, INSERT, weir_double(0.1)), WEIR_OK);
    if (strcmp(conn_answer(one, EXACT), "2") != 0) {
        check_failures_in_test++;
        printf("# %s %s: %s of two are exact\n", commands[0], is_script ? "in a script" : "alone",
               conn_answer(one, EXACT));
    }
    close_two(one, other);
    clear_stage();
}

static void whatever_makes_a_table_another_is_known_to_all_at_once(void)
{
    static const char *const changes[][3] = {
        {"DROP TABLE measures", "CREATE TABLE measures (v double precision)", NULL},
        {"BEGIN", "ALTER TABLE measures ALTER v TYPE double precision", "COMMIT"},
        {"CREATE TABLE earlier.measures (v double precision)", NULL, NULL},
        {"CREATE TABLE earlier.draft (v double precision)",
         "ALTER TABLE earlier.draft RENAME TO measures", NULL},
        {"DO $$BEGIN ALTER TABLE measures ALTER v TYPE double precision; END$$", NULL, NULL},
        {"DO $$BEGIN CREATE TABLE earlier.measures (v double precision); END$$", NULL, NULL},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        check_known(changes[i], false);
        check_known(changes[i], true);
    }
}

/* The tag of all these is SELECT or EXPLAIN. */
static void a_table_made_of_a_query_is_known_to_all_at_once(void)
{
    static const char *const changes[][3] = {
        {"CREATE TABLE earlier.measures AS SELECT 0.5::float8 AS v", NULL, NULL},
        {"SELECT 0.5::float8 AS v INTO earlier.measures", NULL, NULL},
        {"WITH w AS (SELECT 0.5::float8 AS v) (SELECT v INTO TABLE earlier.measures FROM w)", NULL,
         NULL},
        {"PREPARE made AS SELECT 0.5::float8 AS v",
         "CREATE UNLOGGED TABLE earlier.measures AS EXECUTE made", NULL},
        {"EXPLAIN ANALYZE CREATE TABLE earlier.measures AS SELECT 0.5::float8 AS v", NULL, NULL},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        check_known(changes[i], false);
        check_known(changes[i], true);
    }
}

static void a_view_that_keeps_its_rows_is_known_to_all_at_once(void)
{
    static const char find[] = "SELECT count(*) FROM measures WHERE v = $1";
    weir_param tenth = {NULL, weir_double(0.1)};
    weir_conn *one;
    weir_conn *other;

    set_stage("real");
    open_two(&one, &other);
    check_text(conn_answer_to(one, find, &tenth), "0");
    check_text(conn_answer_to(one, find, &tenth), "0");
    check_int(
        conn_run(other, "CREATE MATERIALIZED VIEW earlier.measures AS SELECT 0.1::float8 AS v"),
        WEIR_OK);
    check_text(conn_answer_to(one, find, &tenth), "1");
    close_two(one, other);
    clear_stage();
}

/* What a body does when it is called does not make its function one of the session's own. */
static void an_overload_is_known_to_all_at_once_whatever_its_body_does(void)
{
    static const char *const bodies[] = {
        "CREATE TEMP TABLE IF NOT EXISTS scratch (a int)",
        "PERFORM set_config('work_mem', '4MB', true)",
        "PERFORM pg_advisory_lock(1)",
        "PERFORM 1",
    };
    weir_param tenth = {NULL, weir_double(0.1)};
    char sql[256];

    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        weir_conn *one;
        weir_conn *other;

        change("CREATE FUNCTION f(v real) RETURNS float8 LANGUAGE sql AS 'SELECT v::float8'");
        open_two(&one, &other);
        for (int use = 0; use < 2; use++)
            check_text(conn_answer_to(one, "SELECT f($1)::numeric::text", &tenth),
                       "0.100000001490116");
        snprintf(sql, sizeof(sql),
                 "CREATE FUNCTION f(v float8) RETURNS float8 LANGUAGE plpgsql AS $$BEGIN %s; "
                 "RETURN v; END$$",
                 bodies[i]);
        check_int(conn_run(other, sql), WEIR_OK);
        check_text(conn_answer_to(one, "SELECT f($1)::numeric::text", &tenth), "0.1");
        close_two(one, other);
        change("DROP FUNCTION f(real); DROP FUNCTION f(float8)");
    }
}

/* A schema of the search_path that may not be used is passed over. */
static void a_schema_that_may_be_used_from_now_on_is_known_to_all_at_once(void)
{
    weir_conn *one;
    weir_conn *other;

    set_stage("real");
    change("CREATE ROLE plain; CREATE TABLE earlier.measures (v double precision); "
           "GRANT ALL ON measures, earlier.measures TO plain");
    open_two(&one, &other);
    check_int(conn_run(one, "SET ROLE plain"), WEIR_OK);
    for (int use = 0; use < 2; use++)
        check_int(conn_give(one, INSERT, weir_double(0.5)), WEIR_OK);
    check_int(conn_run(other, "GRANT USAGE ON SCHEMA earlier TO plain"), WEIR_OK);
    check_int(conn_give(one, INSERT, weir_double(0.1)), WEIR_OK);
    check_text(conn_answer(other, "SELECT count(*) FROM earlier.measures WHERE v::numeric = 0.1"),
               "1");
    close_two(one, other);
    clear_stage();
    change("DROP ROLE plain");
}

/* ---- on the connection itself ------------------------------------------------------------- */

static void run_both_ways(struct session *s, const char *sql, bool is_script)
{
    if (!is_script)
        must(s, sql);
    else
        check_int(driver.script(s->conn, sql, SOON, &s->error), WEIR_OK);
}

/* `measures` is a real before this and a double after it. */
static void check_own(const char *before, const char *sql, bool is_script)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(driver.script(s.conn, before, SOON, &s.error), WEIR_OK);
    for (int use = 0; use < 2; use++)
        check_int(give(&s, INSERT, weir_double(0.5)), WEIR_OK);
    run_both_ways(&s, sql, is_script);
    for (int use = 0; use < 2; use++)
        check_int(give(&s, INSERT, weir_double(0.1)), WEIR_OK);
    if (strcmp(answer(&s, EXACT), "2") != 0) {
        check_failures_in_test++;
        printf("# %s %s: %s of two are exact\n", sql, is_script ? "in a script" : "alone",
               answer(&s, EXACT));
    }
    session_close(&s);
}

static void a_temporary_table_made_of_a_query_is_known_at_once(void)
{
    static const char *const ways[] = {
        "CREATE TEMP TABLE measures AS SELECT 0.5::float8 AS v",
        "SELECT 0.5::float8 AS v INTO TEMP measures",
        "SELECT 0.5::float8 AS v INTO/**/LOCAL TEMPORARY TABLE measures",
        "SELECT 0.5::float8 AS v INTO pg_temp.measures",
        "CREATE TABLE pg_temp.measures AS EXECUTE made",
        "EXPLAIN (ANALYZE) CREATE TEMP TABLE measures AS EXECUTE made",
    };

    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        for (int is_script = 0; is_script < 2; is_script++) {
            set_stage("real");
            check_own("PREPARE made AS SELECT 0.5::float8 AS v", ways[i], is_script);
            clear_stage();
        }
    }
}

static void a_temporary_table_that_is_gone_is_known_at_once(void)
{
    static const char *const ways[] = {
        "DISCARD TEMP",
        "discard /* all */ TEMPORARY",
        "DISCARD ALL",
        "DROP TABLE pg_temp.measures",
        "ALTER TABLE pg_temp.measures RENAME TO others",
    };

    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        for (int is_script = 0; is_script < 2; is_script++) {
            set_stage("double precision");
            check_own("CREATE TEMP TABLE measures (v real)", ways[i], is_script);
            clear_stage();
        }
    }
}

/* And when what made it was undone, or did not outlive its transaction. */
static void a_temporary_table_ends_with_its_transaction(void)
{
    static const char *const ways[][2] = {
        {"CREATE TEMP TABLE measures ON COMMIT DROP AS SELECT 0.5::real AS v", "COMMIT"},
        {"SELECT 0.5::real AS v INTO TEMP measures", "ROLLBACK"},
        {"SAVEPOINT a; SELECT 0.5::real AS v INTO TEMP measures", "ROLLBACK TO a; COMMIT"},
    };
    char sql[256];

    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        set_stage("double precision");
        snprintf(sql, sizeof(sql), "BEGIN; %s", ways[i][0]);
        check_own(sql, ways[i][1], true);
        clear_stage();
    }
}

static void the_search_path_decides_which_table_it_is(void)
{
    static const char *const ways[][3] = {
        {"SET search_path TO one", "SET search_path TO two", NULL},
        {"SET SCHEMA 'one'", "SELECT set_config('search_path', 'two', false)", NULL},
        {"SET search_path TO one", "BEGIN; SET LOCAL search_path TO two", "COMMIT"},
        {"SET search_path TO two; SET search_path TO one",
         "RESET search_path; SET search_path = two", NULL},
    };
    struct session s;

    change("CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.measures (v real); "
           "CREATE TABLE two.measures (v double precision)");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        change("DELETE FROM two.measures");
        check_int(driver.script(s.conn, ways[i][0], SOON, &s.error), WEIR_OK);
        for (int use = 0; use < 2; use++)
            check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
        check_int(driver.script(s.conn, ways[i][1], SOON, &s.error), WEIR_OK);
        for (int use = 0; use < 3; use++)
            check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
        if (ways[i][2] != NULL)
            check_int(driver.script(s.conn, ways[i][2], SOON, &s.error), WEIR_OK);
        check_text(answer(&s, "SELECT count(*) FROM two.measures WHERE v::numeric = 0.1"), "3");
    }
    session_close(&s);
    change("DROP SCHEMA one CASCADE; DROP SCHEMA two CASCADE");
}

static void other_settings_change_nothing_about_names(void)
{
    static const char *const harmless[] = {"SET LOCAL work_mem TO '1MB'", "SET app.role TO 'x'",
                                           "SELECT set_config('app.user', 'schema', true)",
                                           "SELECT 1 AS search_path", "RESET app.role"};
    static const char *const telling[] = {"SET \"search_path\" TO public",
                                          "SET ROLE NONE",
                                          "RESET ALL",
                                          "SET SESSION AUTHORIZATION DEFAULT",
                                          "SELECT set_config('search_' || 'path', 'public', true)",
                                          "CREATE TEMP TABLE shadow (v int)"};
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
        uint64_t before = weir__pg_definitions(s.conn);
        must(&s, harmless[i]);
        check_int(weir__pg_definitions(s.conn) - before, 0);
    }
    for (size_t i = 0; i < sizeof(telling) / sizeof(*telling); i++) {
        uint64_t before = weir__pg_definitions(s.conn);
        uint64_t shared = atomic_load(&weir__pg_engine(s.conn)->definitions);
        must(&s, telling[i]);
        check_int(weir__pg_definitions(s.conn) - before, 1);
        check_int(atomic_load(&weir__pg_engine(s.conn)->definitions) - shared, 0);
    }
    session_close(&s);
}

/* Others prepare nothing anew for what only this session has, and nobody for what changes no name. */
static void what_is_the_session_s_own_is_known_to_it_alone(void)
{
    static const struct {
        const char *sql;
        int own;
        int shared;
    } cases[] = {
        {"CREATE TEMP TABLE a AS SELECT 1 AS v", 1, 0},
        {"SELECT 1 AS v INTO TEMP b", 1, 0},
        {"CREATE FUNCTION pg_temp.g() RETURNS int LANGUAGE sql AS 'SELECT 1'", 1, 0},
        {"DISCARD TEMP", 1, 0},
        {"DISCARD PLANS", 0, 0},
        {"SELECT 1 AS v", 0, 0},
        {"SELECT 'CREATE TABLE x AS SELECT 1 INTO y'", 0, 0},
        {"INSERT INTO measures SELECT 1 WHERE false", 0, 0},
        {"WITH w AS (INSERT INTO measures VALUES (1) RETURNING v) SELECT v FROM w", 0, 0},
        {"PREPARE p AS INSERT INTO measures VALUES (1)", 0, 0},
        {"EXECUTE p", 0, 0},
        {"SELECT 1 AS v INTO temp FROM measures", 0, 1},
        {"DROP TABLE temp", 0, 1},
        {"CREATE TABLE earlier.c AS SELECT 1 AS v", 0, 1},
    };
    struct session s;

    set_stage("real");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pg_conn *conn = s.conn;
        uint64_t own = conn->own_definitions;
        uint64_t shared = atomic_load(&weir__pg_engine(conn)->definitions);
        must(&s, cases[i].sql);
        if (conn->own_definitions - own != (uint64_t)cases[i].own ||
            atomic_load(&weir__pg_engine(conn)->definitions) - shared !=
                (uint64_t)cases[i].shared) {
            check_failures_in_test++;
            printf("# %s is counted otherwise\n", cases[i].sql);
        }
    }
    session_close(&s);
    clear_stage();
}

/* ---- tables of the same types --------------------------------------------------------------- */

/* PostgreSQL goes on with the table that it found first. Nothing tells of it but where the rows are. */
static void check_found(const char *sql, bool is_by_others, bool is_in_transaction)
{
    static const char count[] = "SELECT count(*) FROM measures";
    struct session s;

    set_stage("real");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(driver.script(s.conn,
                            "SET search_path TO earlier, public; CREATE TEMP TABLE one (v int)",
                            SOON, &s.error),
              WEIR_OK);
    if (is_in_transaction)
        must(&s, "BEGIN");
    for (int use = 0; use < 3; use++) {
        check_int(give(&s, INSERT, weir_double(0.5)), WEIR_OK);
        answer(&s, count);
    }
    check_int(driver.script(is_by_others ? observer.conn : s.conn, sql, SOON, &s.error), WEIR_OK);
    if (is_by_others)
        grow_old(&s);
    for (int use = 1; use <= 3; use++) {
        char expected[8];
        check_int(give(&s, INSERT, weir_double(0.5)), WEIR_OK);
        snprintf(expected, sizeof(expected), "%d", use);
        check_text(answer(&s, count), expected);
    }
    check_text(answer(&s, "SELECT count(*) FROM public.measures"), "3");
    if (is_in_transaction)
        must(&s, "ROLLBACK");
    if (is_in_transaction)
        check_text(answer(&s, count), "0");
    session_close(&s);
    clear_stage();
}

static void another_table_of_the_same_types_is_found(void)
{
    for (int in_transaction = 0; in_transaction < 2; in_transaction++) {
        check_found("CREATE TEMP TABLE measures (v real)", false, in_transaction);
        check_found("SELECT 0.5::real AS v INTO TEMP measures LIMIT 0", false, in_transaction);
        check_found("CREATE TABLE earlier.measures (v real)", false, in_transaction);
        check_found("CREATE TABLE earlier.measures AS SELECT 0.5::real AS v LIMIT 0", true,
                    in_transaction);
    }
}

static void another_function_of_the_same_types_is_found(void)
{
    struct session s;
    weir_value one = weir_int(1);

    set_stage("real");
    change("CREATE FUNCTION public.f(int) RETURNS text LANGUAGE sql AS $$SELECT 'public'$$");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "SET search_path TO earlier, public");
    for (int use = 0; use < 3; use++)
        check_text(answer_to(&s, "SELECT f($1)", &one), "public");
    change("CREATE FUNCTION earlier.f(int) RETURNS text LANGUAGE sql AS $$SELECT 'earlier'$$");
    grow_old(&s);
    must(&s, "BEGIN READ ONLY");
    for (int use = 0; use < 3; use++)
        check_text(answer_to(&s, "SELECT f($1)", &one), "earlier");
    must(&s, "COMMIT");
    session_close(&s);
    clear_stage();
    change("DROP FUNCTION public.f");
}

/* ---- what is not seen ---------------------------------------------------------------------- */

/* Calls are too many to suspect each of them: what they change is noticed when the time has passed. */
static void what_a_call_changes_is_noticed_after_the_limit(void)
{
    static const char *const calls[] = {"SELECT make()", "CALL remake()", "EXECUTE called",
                                        "CREATE TEMP TABLE x AS SELECT 1; SELECT make()"};
    struct session s;

    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        set_stage("real");
        change("CREATE FUNCTION make() RETURNS int LANGUAGE plpgsql AS "
               "$$BEGIN ALTER TABLE measures ALTER v TYPE double precision; RETURN 1; END$$; "
               "CREATE PROCEDURE remake() LANGUAGE sql AS 'SELECT make()'");
        session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
        must(&s, "PREPARE called AS SELECT make()");
        for (int use = 0; use < 2; use++)
            check_int(give(&s, INSERT, weir_double(0.5)), WEIR_OK);
        run_both_ways(&s, calls[i], true);
        grow_old(&s);
        for (int use = 0; use < 3; use++)
            check_int(give(&s, INSERT, weir_double(0.1)), WEIR_OK);
        check_text(answer(&s, EXACT), "3");
        session_close(&s);
        change("DROP PROCEDURE remake; DROP FUNCTION make");
        clear_stage();
    }
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    run(a_change_on_any_connection_is_known_to_all_at_once);
    run(whatever_makes_a_table_another_is_known_to_all_at_once);
    run(a_table_made_of_a_query_is_known_to_all_at_once);
    run(a_view_that_keeps_its_rows_is_known_to_all_at_once);
    run(an_overload_is_known_to_all_at_once_whatever_its_body_does);
    run(a_schema_that_may_be_used_from_now_on_is_known_to_all_at_once);
    run(a_temporary_table_made_of_a_query_is_known_at_once);
    run(a_temporary_table_that_is_gone_is_known_at_once);
    run(a_temporary_table_ends_with_its_transaction);
    run(the_search_path_decides_which_table_it_is);
    run(other_settings_change_nothing_about_names);
    run(what_is_the_session_s_own_is_known_to_it_alone);
    run(another_table_of_the_same_types_is_found);
    run(another_function_of_the_same_types_is_found);
    run(what_a_call_changes_is_noticed_after_the_limit);
    session_close(&observer);
    return check_done();
}
