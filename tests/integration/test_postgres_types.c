/* SPDX-License-Identifier: MIT */
/* PostgreSQL decides once which types a prepared statement's parameters have: what of it weir keeps right. */
#include "postgres_changes.h"

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

static void what_cannot_be_prepared_in_time_costs_no_session(void)
{
    struct session s;
    weir_value one = weir_int(1);

    change("CREATE TABLE busy (v int)");
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    char before[32];
    snprintf(before, sizeof(before), "%s", answer(&s, "SELECT pg_backend_pid()"));
    change("BEGIN; LOCK TABLE busy");
    check_int(
        session_query(&s, "SELECT v FROM busy WHERE v = $1", &one, weir_deadline_in(200), NULL),
        WEIR_TIMEOUT);
    change("ROLLBACK");
    check_text(answer_to(&s, "SELECT v FROM busy WHERE v = $1", &one), "(no row)");
    check_text(answer(&s, "SELECT pg_backend_pid()"), before);
    session_close(&s);
    change("DROP TABLE busy");
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

    session_close(&s);
}

/* The text of EXECUTE is the same, and kept; so is another with a value. */
static void columns_have_the_names_of_what_was_prepared_last(void)
{
    static const char *const ends[] = {"DEALLOCATE p", "DEALLOCATE ALL", "DISCARD ALL", NULL};
    struct session s;
    char sql[80];
    char name[8];

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        snprintf(sql, sizeof(sql), "PREPARE p(int) AS SELECT $1 AS %s", name);
        check_int(driver.script(s.conn, sql, SOON, &s.error), WEIR_OK);
        for (int use = 0; use < 3; use++) {
            check_text(name_of(&s, "EXECUTE p(1)"), name);
            check_text(answer(&s, "EXECUTE p(1)"), "1");
            check_text(name_of(&s, "EXECUTE p(2)"), name);
        }
        if (ends[i % 4] != NULL)
            must(&s, ends[i % 4]);
        else
            check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    }
    session_close(&s);
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
    run(what_cannot_be_prepared_in_time_costs_no_session);
    run(an_error_of_the_statement_s_own_runs_it_once);
    run(a_procedure_is_never_called_twice);
    run(only_a_missing_statement_of_weir_s_own_is_prepared_again);
    run(columns_have_the_names_of_this_result);
    run(columns_have_the_names_of_what_was_prepared_last);
    session_close(&observer);
    return check_done();
}
