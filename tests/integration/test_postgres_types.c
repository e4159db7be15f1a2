/* SPDX-License-Identifier: MIT */
/* PostgreSQL decides once which types a prepared statement's parameters have: what of it weir keeps right. */
#include "postgres_session.h"

/* `observer` is another program, whose changes nobody tells the session under test. */
static void change(const char *sql)
{
    check_int(driver.script(observer.conn, sql, SOON, &observer.error), WEIR_OK);
}

/* As if all that is prepared had been for longer than prepared_max_age_ms. */
static void grow_old(struct session *s)
{
    weir_time age = (s->config.options.prepared_max_age_ms + 1) * WEIR_MS;

    for (struct statement *at = s->cache.newest; at != NULL; at = at->older) {
        struct pg_prepared *prepared = at->prepared;
        if (prepared == NULL)
            continue;
        prepared->checked_at -= age;
        if (prepared->unprepared_at != 0)
            prepared->unprepared_at -= age;
    }
}

static weir_status give(struct session *s, const char *sql, weir_value value)
{
    return session_query(s, sql, &value, SOON, NULL);
}

/* ---- what others change ----------------------------------------------------------------- */

static void an_enum_that_was_made_anew_is_found(void)
{
    struct session s;

    change("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE moods (m mood)");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(give(&s, "INSERT INTO moods VALUES ($1)", weir_text("sad")), WEIR_OK);
    check_int(give(&s, "INSERT INTO moods VALUES ($1)", weir_text("happy")), WEIR_OK);
    change("ALTER TABLE moods ALTER m TYPE text; DROP TYPE mood; "
           "CREATE TYPE mood AS ENUM ('sad', 'happy', 'glad'); "
           "ALTER TABLE moods ALTER m TYPE mood USING m::mood");
    for (int i = 0; i < 3; i++)
        check_int(give(&s, "INSERT INTO moods VALUES ($1)", weir_text("glad")), WEIR_OK);
    check_text(answer(&s, "SELECT count(*) FROM moods WHERE m = 'glad'"), "3");
    session_close(&s);
    change("DROP TABLE moods; DROP TYPE mood");
}

static void a_function_whose_argument_changed_is_called_as_it_is_now(void)
{
    struct session s;
    weir_value five = weir_int(5);
    weir_value half = weir_text("2.5");

    change("CREATE FUNCTION twice(n int) RETURNS text LANGUAGE sql AS 'SELECT (n * 2)::text'");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_text(answer_to(&s, "SELECT twice($1)", &five), "10");
    change("DROP FUNCTION twice(int); "
           "CREATE FUNCTION twice(n numeric) RETURNS text LANGUAGE sql AS 'SELECT (n * 2)::text'");
    check_text(answer_to(&s, "SELECT twice($1)", &half), "5.0");
    change("DROP FUNCTION twice(numeric); "
           "CREATE FUNCTION twice(n text) RETURNS text LANGUAGE sql AS 'SELECT n || n'");
    check_text(answer_to(&s, "SELECT twice($1)", &half), "2.52.5");
    session_close(&s);
    change("DROP FUNCTION twice(text)");
}

static void a_column_of_another_type_takes_its_values(void)
{
    struct session s;
    weir_value seven = weir_int(7);
    weir_value word = weir_text("seven");

    change("CREATE TABLE keys (k int); INSERT INTO keys VALUES (7)");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_text(answer_to(&s, "SELECT count(*) FROM keys WHERE k = $1", &seven), "1");
    change("ALTER TABLE keys DROP k; ALTER TABLE keys ADD k text; UPDATE keys SET k = 'seven'");
    check_text(answer_to(&s, "SELECT count(*) FROM keys WHERE k = $1", &word), "1");
    check_text(answer_to(&s, "SELECT count(*) FROM keys WHERE k = $1", &word), "1");
    change("ALTER TABLE keys DROP k; ALTER TABLE keys ADD k bigint; UPDATE keys SET k = 1 << 30");
    weir_value large = weir_int(1 << 30);
    check_text(answer_to(&s, "SELECT count(*) FROM keys WHERE k = $1", &large), "1");
    session_close(&s);
    change("DROP TABLE keys");
}

#define EXACT "SELECT count(*) FROM measures WHERE v::numeric = 0.1"

/* No error tells of this one: the value would go through `real` and come out as 0.10000000149. */
static void nothing_is_sent_as_the_type_of_before_for_longer_than_the_limit(void)
{
    struct session s;

    change("CREATE TABLE measures (v real)");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    change("ALTER TABLE measures ALTER v TYPE double precision; DELETE FROM measures");
    grow_old(&s);
    for (int i = 0; i < 3; i++)
        check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    check_text(answer(&s, EXACT), "3");

    /* Inside a transaction, too; and again. */
    change("ALTER TABLE measures ALTER v TYPE real; DELETE FROM measures");
    grow_old(&s);
    must(&s, "BEGIN");
    check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.5)), WEIR_OK);
    check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.5)), WEIR_OK);
    must(&s, "COMMIT");
    change("ALTER TABLE measures ALTER v TYPE double precision; DELETE FROM measures");
    grow_old(&s);
    must(&s, "BEGIN");
    for (int i = 0; i < 3; i++)
        check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    must(&s, "COMMIT");
    check_text(answer(&s, EXACT), "3");
    session_close(&s);

    /* With a limit of 0 at once. */
    change("ALTER TABLE measures ALTER v TYPE real");
    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 16));
    s.config.options.prepared_max_age_ms = 0;
    check_int(session_connect(&s, SOON), WEIR_OK);
    for (int i = 0; i < 3; i++)
        check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    change("ALTER TABLE measures ALTER v TYPE double precision; DELETE FROM measures");
    check_int(give(&s, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    check_text(answer(&s, EXACT), "1");
    session_close(&s);
    change("DROP TABLE measures");
}

static void old_statements_that_still_hold_stay_prepared(void)
{
    struct session s;
    weir_value one = weir_int(1);
    char before[64];

    change("CREATE TABLE steady (v int); INSERT INTO steady VALUES (1)");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_text(answer_to(&s, "SELECT v FROM steady WHERE v = $1", &one), "1");
    snprintf(before, sizeof(before), "%s",
             answer(&s, "SELECT string_agg(name, ',') FROM pg_prepared_statements"));
    for (int i = 0; i < 10; i++) {
        grow_old(&s);
        for (int use = 0; use < 3; use++)
            check_text(answer_to(&s, "SELECT v FROM steady WHERE v = $1", &one), "1");
    }
    check_text(answer(&s, "SELECT string_agg(name, ',') FROM pg_prepared_statements"), before);
    session_close(&s);
    change("DROP TABLE steady");
}

static void inside_a_transaction_the_error_stays_and_the_next_one_is_right(void)
{
    struct session s;

    change("CREATE TABLE noted (v int)");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(give(&s, "INSERT INTO noted VALUES ($1)", weir_text("1")), WEIR_OK);
    change("ALTER TABLE noted ALTER v TYPE text");
    must(&s, "BEGIN");
    check_int(give(&s, "INSERT INTO noted VALUES ($1)", weir_text("one")), WEIR_QUERY);
    check_text(s.error.sqlstate, "22P02");
    check_int(driver.state(s.conn), CONN_FAILED);
    must(&s, "ROLLBACK");
    must(&s, "BEGIN");
    check_int(give(&s, "INSERT INTO noted VALUES ($1)", weir_text("one")), WEIR_OK);
    must(&s, "COMMIT");
    check_text(answer(&s, "SELECT count(*) FROM noted"), "2");
    session_close(&s);
    change("DROP TABLE noted");
}

/* ---- what runs twice, and what does not ------------------------------------------------- */

static void an_error_of_the_statement_s_own_runs_it_once(void)
{
    static const char *const codes[] = {"22P02", "26000", "42883", "0A000", "XX000"};
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    change("CREATE SEQUENCE runs; CREATE FUNCTION fails(code text) RETURNS int LANGUAGE plpgsql AS "
           "$$BEGIN PERFORM nextval('runs'); RAISE 'mine' USING ERRCODE = code; END$$; "
           "SELECT nextval('runs')");
    for (int i = 0; i < 5; i++) {
        char expected[24];
        for (int use = 0; use < 2; use++) {
            check_int(give(&s, "SELECT fails($1)", weir_text(codes[i])), WEIR_QUERY);
            check_text(s.error.sqlstate, codes[i]);
            check_text(s.error.text, "mine");
        }
        snprintf(expected, sizeof(expected), "%d", 3 + 2 * i);
        check_text(answer(&s, "SELECT last_value FROM runs"), expected);
        must(&s, "BEGIN");
        check_int(give(&s, "SELECT fails($1)", weir_text(codes[i])), WEIR_QUERY);
        check_int(s.error.status, WEIR_QUERY);
        must(&s, "ROLLBACK");
        change("SELECT setval('runs', last_value - 1) FROM runs");
    }
    session_close(&s);
    change("DROP FUNCTION fails; DROP SEQUENCE runs");
}

static void a_procedure_is_never_called_twice(void)
{
    struct session s;

    change("CREATE TABLE calls (n text)");
    change("CREATE PROCEDURE note(v int) LANGUAGE plpgsql AS $$BEGIN INSERT INTO calls VALUES (v);"
           " COMMIT; RAISE 'half done' USING ERRCODE = '22P02'; END$$");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(give(&s, "CALL note($1)", weir_int(1)), WEIR_QUERY);
    check_text(s.error.text, "half done");
    check_text(answer(&s, "SELECT count(*) FROM calls"), "1");
    change("DROP PROCEDURE note; CREATE PROCEDURE note(v text) LANGUAGE plpgsql AS "
           "$$BEGIN INSERT INTO calls VALUES (v); COMMIT; RAISE 'half done'; END$$");
    check_int(give(&s, "/* again */ CALL note($1)", weir_int(2)), WEIR_QUERY);
    check_int(give(&s, "CALL note($1)", weir_int(3)), WEIR_QUERY);
    check_int(give(&s, "CALL note($1)", weir_text("four")), WEIR_QUERY);
    check_text(s.error.text, "half done");
    check_text(answer(&s, "SELECT string_agg(n, ',' ORDER BY n) FROM calls"), "1,2,3,four");
    change("DROP PROCEDURE note; CREATE PROCEDURE note(v int) LANGUAGE plpgsql AS "
           "$$BEGIN INSERT INTO calls VALUES (v); COMMIT; RAISE 'half done'; END$$");
    check_int(give(&s, "CALL note($1)", weir_text("5")), WEIR_QUERY);
    check_text(s.error.sqlstate, "42883");
    check_int(give(&s, "CALL note($1)", weir_text("6")), WEIR_QUERY);
    check_text(s.error.text, "half done");
    check_text(answer(&s, "SELECT string_agg(n, ',' ORDER BY n) FROM calls"), "1,2,3,6,four");
    session_close(&s);
    change("DROP PROCEDURE note; DROP TABLE calls");
}

static void only_a_missing_statement_of_weir_s_own_is_prepared_again(void)
{
    struct session s;
    char deallocate[64] = "DEALLOCATE ";
    weir_value one = weir_int(1);

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "BEGIN");
    check_int(run_sql(&s, "EXECUTE nobody"), WEIR_QUERY);
    check_text(s.error.sqlstate, "26000");
    must(&s, "ROLLBACK");

    check_text(answer_to(&s, "SELECT $1::int", &one), "1");
    weir__pg_name(s.conn, ((struct pg_conn *)s.conn)->last_name, deallocate + strlen(deallocate));
    check_int(driver.script(s.conn, deallocate, SOON, &s.error), WEIR_OK);
    must(&s, "BEGIN");
    check_int(give(&s, "SELECT $1::int", one), WEIR_RETRY);
    must(&s, "ROLLBACK");
    check_text(answer_to(&s, "SELECT $1::int", &one), "1");
    session_close(&s);
}

/* ---- what weir sees --------------------------------------------------------------------- */

static weir_db *db;
static weir_error error;

static weir_status conn_give(weir_conn *conn, const char *sql, weir_value value)
{
    weir_param param = {NULL, value};

    return weir_conn_query(conn, sql, &param, 1, NULL, &error);
}

static const char *conn_answer(weir_conn *conn, const char *sql)
{
    static char room[256];
    weir_result *rows = NULL;

    if (weir_conn_query(conn, sql, NULL, 0, &rows, &error) != WEIR_OK)
        return error.text;
    value_text(weir_result_value(rows, 0, 0), room, sizeof(room));
    weir_result_close(rows);
    return room;
}

static void open_two(weir_conn **one, weir_conn **other)
{
    check_int(weir_db_open(need_env("WEIR_TEST_PG_SOCKET_URL"), NULL, &db, &error), WEIR_OK);
    check_int(weir_db_acquire(db, SOON, one, &error), WEIR_OK);
    check_int(weir_db_acquire(db, SOON, other, &error), WEIR_OK);
}

static void close_two(weir_conn *one, weir_conn *other)
{
    weir_conn_release(one);
    weir_conn_release(other);
    weir_db_close(db);
}

static void a_change_on_any_connection_is_known_to_all_at_once(void)
{
    weir_conn *one;
    weir_conn *other;

    change("CREATE TABLE measures (v real)");
    open_two(&one, &other);
    check_int(conn_give(one, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    check_int(weir_conn_query(other, "ALTER TABLE measures ALTER v TYPE double precision USING 0.1",
                              NULL, 0, NULL, &error),
              WEIR_OK);
    check_int(conn_give(one, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    check_text(conn_answer(one, EXACT), "2");

    /* In a transaction: for itself at once, for others when it has committed. */
    check_int(conn_give(other, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    check_int(weir_conn_begin(one, WEIR_TX_WRITE, &error), WEIR_OK);
    check_int(weir_conn_script(one, "DELETE FROM measures; ALTER TABLE measures ALTER v TYPE real",
                               &error),
              WEIR_OK);
    check_int(conn_give(one, "INSERT INTO measures VALUES ($1)", weir_double(0.5)), WEIR_OK);
    check_int(weir_conn_rollback(one, &error), WEIR_OK);
    check_int(conn_give(one, "INSERT INTO measures VALUES ($1)", weir_double(0.1)), WEIR_OK);
    check_text(conn_answer(one, EXACT), "4");
    check_int(weir_conn_begin(one, WEIR_TX_WRITE, &error), WEIR_OK);
    check_int(weir_conn_script(one, "ALTER TABLE measures ALTER v TYPE numeric", &error), WEIR_OK);
    check_int(weir_conn_commit(one, &error), WEIR_OK);
    check_int(conn_give(other, "INSERT INTO measures VALUES ($1)",
                        weir_text("0.10000000000000000000001")),
              WEIR_OK);
    check_text(conn_answer(other, "SELECT max(v)::text FROM measures"),
               "0.10000000000000000000001");
    close_two(one, other);
    change("DROP TABLE measures");
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

/* ---- names ------------------------------------------------------------------------------ */

static const char *name_of(struct session *s, const char *sql)
{
    static char room[64];
    weir_result *result = NULL;

    if (session_query(s, sql, NULL, SOON, &result) != WEIR_OK)
        return s->error.text;
    snprintf(room, sizeof(room), "%s", weir_result_column_name(result, 0));
    weir_result_close(result);
    return room;
}

static void columns_have_the_names_of_this_result(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "BEGIN");
    must(&s, "DECLARE c CURSOR FOR SELECT 1 AS first");
    check_text(name_of(&s, "FETCH ALL FROM c"), "first");
    must(&s, "CLOSE c");
    must(&s, "DECLARE c CURSOR FOR SELECT 2 AS second");
    check_text(name_of(&s, "FETCH ALL FROM c"), "second");
    must(&s, "CLOSE c");
    must(&s, "DECLARE c CURSOR FOR SELECT 2 AS first, 3 AS more");
    check_text(name_of(&s, "FETCH ALL FROM c"), "first");
    must(&s, "COMMIT");

    must(&s, "CREATE FUNCTION pg_temp.open_one(name text) RETURNS refcursor LANGUAGE plpgsql AS "
             "$$DECLARE r refcursor := 'r'; BEGIN OPEN r FOR EXECUTE 'SELECT 1 AS ' || name; "
             "RETURN r; END$$");
    for (int i = 0; i < 3; i++) {
        char sql[64];
        char name[8];
        snprintf(name, sizeof(name), "n%d", i);
        snprintf(sql, sizeof(sql), "SELECT pg_temp.open_one('%s')", name);
        must(&s, "BEGIN");
        must(&s, sql);
        check_text(name_of(&s, "FETCH ALL FROM r"), name);
        must(&s, "COMMIT");
    }

    must(&s, "PREPARE p AS SELECT 1 AS one");
    check_text(name_of(&s, "EXECUTE p"), "one");
    must(&s, "DEALLOCATE p");
    must(&s, "PREPARE p AS SELECT 2 AS two");
    check_text(name_of(&s, "EXECUTE p"), "two");
    must(&s, "DEALLOCATE ALL");
    session_close(&s);
}

/* ---- numbers and guesses ---------------------------------------------------------------- */

static void doubles_are_what_somebody_would_write(void)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {2.675, "2.675"},
                 {-0.0, "0"},
                 {1e22, "10000000000000000000000"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {123456.789, "123456.789"}};
    struct session s;
    weir_value value = weir_double(2.675);

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        weir_value given = weir_double(cases[i].value);
        check_text(answer_to(&s, "SELECT $1::numeric::text", &given), cases[i].text);
    }
    check_text(answer_to(&s, "SELECT round($1::numeric, 2)::text", &value), "2.68");
    must(&s, "CREATE TEMP TABLE prices (p numeric, t text)");
    check_int(give(&s, "INSERT INTO prices VALUES ($1)", value), WEIR_OK);
    check_int(give(&s, "INSERT INTO prices (t) VALUES ($1)", value), WEIR_OK);
    check_text(answer_to(&s, "SELECT count(*) FROM prices WHERE p = $1", &value), "1");
    check_text(answer(&s, "SELECT max(t) FROM prices"), "2.675");
    session_close(&s);
}

struct guess {
    const char *sql;
    weir_value values[2];
    const char *answer;
};

static void check_guesses(struct session *s, const struct guess *guesses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int use = 0; use < 3; use++) {
            if (use == 1)
                grow_old(s);
            const char *got = answer_to(s, guesses[i].sql, guesses[i].values);
            if (strcmp(got, guesses[i].answer) != 0)
                printf("# %s\n", guesses[i].sql);
            check_text(got, guesses[i].answer);
        }
    }
}

static void a_type_is_sent_where_the_server_would_have_to_guess(void)
{
    const struct guess guesses[] = {
        {"SELECT $1 IS NULL", {weir_int(5)}, "false"},
        {"SELECT $1 IS NULL AS t", {weir_text("x")}, "false"},
        {"SELECT $1 IS NULL AS n", {weir_null()}, "true"},
        {"SELECT ($1 IS NULL OR 1 = $2)", {weir_null(), weir_int(1)}, "true"},
        {"SELECT $1 + $2", {weir_int(40), weir_int(2)}, "42"},
        {"SELECT $1 + $2 AS d", {weir_double(0.25), weir_double(0.5)}, "0.75"},
        {"SELECT $1 + $2 AS m", {weir_int(1), weir_double(0.5)}, "1.5"},
        {"SELECT $1 + $2 AS l", {weir_int((int64_t)1 << 40), weir_int(1)}, "1099511627777"},
        {"SELECT -$1", {weir_int(7)}, "-7"},
        {"SELECT abs($1)", {weir_int(-7)}, "7"},
        {"SELECT $1 > $2", {weir_int(10), weir_int(9)}, "true"},
        {"SELECT greatest($1, $2)", {weir_double(10), weir_double(9)}, "10"},
        {"SELECT coalesce($1, $2) + 1", {weir_null(), weir_int(2)}, "3"},
        {"SELECT $1", {weir_int(3)}, "3"},
        {"SELECT jsonb_build_object('k', $1)", {weir_int(1)}, "{\"k\": 1}"},
        {"SELECT jsonb_build_object('t', $1)", {weir_text("x")}, "{\"t\": \"x\"}"},
        {"SELECT jsonb_build_object('b', $1)", {weir_bool(true)}, "{\"b\": true}"},
        {"SELECT jsonb_build_object('j', $1)", {weir_json("[1]")}, "{\"j\": [1]}"},
        {"SELECT jsonb_build_array($1, $2)", {weir_null(), weir_text("y")}, "[null, \"y\"]"},
        {"SELECT to_jsonb($1)", {weir_double(1.5)}, "1.5"},
        {"SELECT concat($1, $2)", {weir_text("a"), weir_int(1)}, "a1"},
        {"SELECT format('%s-%s', $1, $2)", {weir_int(1), weir_text("b")}, "1-b"},
        {"SELECT pg_typeof($1)::text", {weir_timestamp("2024-02-29")}, "date"},
        {"SELECT date_trunc('day', $1)::text",
         {weir_timestamp("2024-02-29T12:30:00")},
         "2024-02-29 00:00:00"},
        {"SELECT pg_typeof($1)::text AS z",
         {weir_timestamp("2024-02-29T12:30:00+02:00")},
         "timestamp with time zone"},
    };
    struct session s;

    for (int cached = 0; cached < 2; cached++) {
        for (int inside = 0; inside < 2; inside++) {
            check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), cached ? 128 : 0));
            check_int(session_connect(&s, SOON), WEIR_OK);
            if (inside)
                must(&s, "BEGIN");
            check_guesses(&s, guesses, sizeof(guesses) / sizeof(*guesses));
            check_int(driver.state(s.conn), inside ? CONN_TRANSACTION : CONN_IDLE);
            session_close(&s);
        }
    }
}

static void everything_else_takes_the_type_of_its_place(void)
{
    const struct guess guesses[] = {
        {"SELECT takes_int($1)", {weir_int(5)}, "int 5"},
        {"SELECT takes_small($1)", {weir_int(5)}, "small 5"},
        {"SELECT count(*) FROM places WHERE n = $1", {weir_double(0.1)}, "1"},
        {"SELECT count(*) FROM places WHERE s = $1", {weir_int(3)}, "1"},
        {"SELECT count(*) FROM places WHERE t = $1", {weir_int(3)}, "1"},
        {"SELECT count(*) FROM places WHERE u = $1",
         {weir_text("00000000-0000-0000-0000-00000000000A")},
         "1"},
        {"SELECT count(*) FROM places WHERE t LIKE $1", {weir_int(3)}, "1"},
        {"SELECT t || $1 FROM places", {weir_int(4)}, "34"},
        {"SELECT 1 FROM places LIMIT $1", {weir_int(1)}, "1"},
        {"SELECT n::text FROM places WHERE w > $1", {weir_text("2024-01-01")}, "0.1"},
    };
    struct session s;

    change("CREATE TABLE places (n numeric, s smallint, t text, u uuid, w timestamptz); "
           "INSERT INTO places VALUES (0.1, 3, '3', '00000000-0000-0000-0000-00000000000a', now());"
           "CREATE FUNCTION takes_int(n int) RETURNS text LANGUAGE sql AS $$SELECT 'int ' || n$$;"
           "CREATE FUNCTION takes_small(n smallint) RETURNS text LANGUAGE sql AS "
           "$$SELECT 'small ' || n$$");
    for (int cached = 0; cached < 2; cached++) {
        check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), cached ? 128 : 0));
        check_int(session_connect(&s, SOON), WEIR_OK);
        check_guesses(&s, guesses, sizeof(guesses) / sizeof(*guesses));
        must(&s, "BEGIN");
        check_guesses(&s, guesses, sizeof(guesses) / sizeof(*guesses));
        session_close(&s);
    }
    change("DROP TABLE places; DROP FUNCTION takes_int; DROP FUNCTION takes_small");
}

static void values_of_other_types_are_declared_as_what_they_are(void)
{
    static const char sql[] = "SELECT jsonb_build_object('k', $1)";
    const struct guess guesses[] = {
        {sql, {weir_int(1)}, "{\"k\": 1}"},
        {sql, {weir_int((int64_t)1 << 40)}, "{\"k\": 1099511627776}"},
        {sql, {weir_int(1)}, "{\"k\": 1}"},
        {sql, {weir_null()}, "{\"k\": null}"},
        {sql, {weir_text("x")}, "{\"k\": \"x\"}"},
        {sql, {weir_double(0.5)}, "{\"k\": 0.5}"},
        {sql, {weir_bool(false)}, "{\"k\": false}"},
        {"SELECT $1 < $2", {weir_text("10"), weir_text("9")}, "true"},
        {"SELECT $1 < $2", {weir_int(10), weir_int(9)}, "false"},
    };
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_guesses(&s, guesses, sizeof(guesses) / sizeof(*guesses));
    session_close(&s);
}

/* A statement whose values change their types with each use is not prepared each time. */
static void values_that_change_their_types_pile_up_nothing(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TEMP TABLE mixed (t text)");
    for (int i = 0; i < 60; i++) {
        const weir_value values[] = {weir_int(7), weir_text("x"), weir_double(0.5), weir_null()};
        static const char *const built[] = {"{\"k\": 7}", "{\"k\": \"x\"}", "{\"k\": 0.5}",
                                            "{\"k\": null}"};
        check_text(answer_to(&s, "SELECT jsonb_build_object('k', $1)", &values[i % 4]),
                   built[i % 4]);
        check_int(give(&s, "INSERT INTO mixed VALUES ($1)", values[i % 4]), WEIR_OK);
    }
    check_text(answer(&s, "SELECT string_agg(DISTINCT t, ',' ORDER BY t) FROM mixed"), "0.5,7,x");
    check(((struct pg_conn *)s.conn)->last_name < 60);
    session_close(&s);
}

/* What no type helps fails as the server says, and as it says it: the transaction has failed. */
static void what_cannot_be_guessed_fails_as_it_would(void)
{
    static const struct {
        const char *sql;
        const char *sqlstate;
    } cases[] = {{"SELECT nowhere($1)", "42883"},
                 {"SELECT array_length($1, 1)", "42804"},
                 {"SELECT $1 IS NULL FROM nowhere", "42P01"}};
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        check_int(give(&s, cases[i].sql, weir_int(1)), WEIR_QUERY);
        check(strcmp(s.error.sqlstate, cases[i].sqlstate) == 0 ||
              strcmp(s.error.sqlstate, "42P18") == 0);
        char outside[sizeof(s.error.text)];
        snprintf(outside, sizeof(outside), "%s", s.error.text);
        must(&s, "BEGIN");
        check_int(give(&s, cases[i].sql, weir_int(1)), WEIR_QUERY);
        check_text(s.error.text, outside);
        check_int(driver.state(s.conn), CONN_FAILED);
        must(&s, "ROLLBACK");
    }
    session_close(&s);
}

/* ---- bytes ------------------------------------------------------------------------------ */

static void a_database_that_knows_no_encoding_gives_its_bytes(void)
{
    static const char url_end[] = "/weir?";
    const char *url = need_env("WEIR_TEST_PG_SOCKET_URL");
    const char *at = strstr(url, url_end);
    char ascii_url[512];
    struct session s;
    weir_result *result = NULL;
    char *json = NULL;

    must(&observer, "CREATE DATABASE plain ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' "
                    "TEMPLATE template0");
    snprintf(ascii_url, sizeof(ascii_url), "%.*s/plain?%s", (int)(at - url), url,
             at + strlen(url_end));
    session_open(&s, ascii_url);
    must(&s, "CREATE TABLE words (w text)");
    must(&s, "INSERT INTO words VALUES ('fine'), (E'caf\\351'), ('gr\xC3\xBCn'), (NULL)");
    check_int(session_query(&s, "SELECT w FROM words", NULL, SOON, &result), WEIR_OK);
    check_int(weir_result_row_count(result), 4);
    check_text(weir_result_value(result, 1, 0).text, "caf\xE9");
    size_t row = 0;
    check(!weir_result_is_utf8(result, &row, NULL));
    check_int(row, 1);
    check_int(weir_result_to_json(result, &json, NULL, &s.error), WEIR_OK);
    check_text(json, "[{\"w\":\"fine\"},{\"w\":\"caf\xEF\xBF\xBD\"},{\"w\":\"gr\xC3\xBCn\"},"
                     "{\"w\":null}]");
    weir_text_free(json);
    weir_result_close(result);
    session_close(&s);
    must(&observer, "DROP DATABASE plain");
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    run(an_enum_that_was_made_anew_is_found);
    run(a_function_whose_argument_changed_is_called_as_it_is_now);
    run(a_column_of_another_type_takes_its_values);
    run(nothing_is_sent_as_the_type_of_before_for_longer_than_the_limit);
    run(old_statements_that_still_hold_stay_prepared);
    run(inside_a_transaction_the_error_stays_and_the_next_one_is_right);
    run(an_error_of_the_statement_s_own_runs_it_once);
    run(a_procedure_is_never_called_twice);
    run(only_a_missing_statement_of_weir_s_own_is_prepared_again);
    run(a_change_on_any_connection_is_known_to_all_at_once);
    run(the_search_path_decides_which_table_it_is);
    run(other_settings_change_nothing_about_names);
    run(columns_have_the_names_of_this_result);
    run(doubles_are_what_somebody_would_write);
    run(a_type_is_sent_where_the_server_would_have_to_guess);
    run(everything_else_takes_the_type_of_its_place);
    run(values_of_other_types_are_declared_as_what_they_are);
    run(values_that_change_their_types_pile_up_nothing);
    run(what_cannot_be_guessed_fails_as_it_would);
    run(a_database_that_knows_no_encoding_gives_its_bytes);
    session_close(&observer);
    return check_done();
}
