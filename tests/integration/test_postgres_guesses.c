/* SPDX-License-Identifier: MIT */
/* What PostgreSQL makes of values: doubles, types that it would have to guess, bytes of no encoding. */
#include "postgres_changes.h"

/* ---- numbers ---------------------------------------------------------------------------- */

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
    free(json);
    weir_result_close(result);
    session_close(&s);
    must(&observer, "DROP DATABASE plain");
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
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
