/* SPDX-License-Identifier: MIT */
/* The parts of the PostgreSQL driver that need no server: statuses, session marks, values. */
#include "check.h"
#include "db/drivers/postgres.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

/* ---- statuses ------------------------------------------------------------------------------ */

static void a_fatal_error_is_a_disconnect_whatever_its_code(void)
{
    check_int(weir__pg_status_of("57P01", "FATAL"), WEIR_DISCONNECTED);
    check_int(weir__pg_status_of("25P03", "FATAL"), WEIR_DISCONNECTED);
    check_int(weir__pg_status_of("XX000", "PANIC"), WEIR_DISCONNECTED);
    check_int(weir__pg_status_of("25P03", "ERROR"), WEIR_QUERY);
}

static void connection_classes_disconnect_and_shutdown_codes_too(void)
{
    check_int(weir__pg_status_of("08000", "ERROR"), WEIR_DISCONNECTED);
    check_int(weir__pg_status_of("08006", NULL), WEIR_DISCONNECTED);
    check_int(weir__pg_status_of("57P01", "ERROR"), WEIR_DISCONNECTED);
    check_int(weir__pg_status_of("57P02", "ERROR"), WEIR_DISCONNECTED);
    check_int(weir__pg_status_of("57P03", "ERROR"), WEIR_DISCONNECTED);
}

static void conflicts_ask_for_a_retry_and_cancels_are_timeouts(void)
{
    check_int(weir__pg_status_of("40001", "ERROR"), WEIR_RETRY);
    check_int(weir__pg_status_of("40P01", "ERROR"), WEIR_RETRY);
    check_int(weir__pg_status_of("40002", "ERROR"), WEIR_QUERY);
    check_int(weir__pg_status_of("57014", "ERROR"), WEIR_TIMEOUT);
    check_int(weir__pg_status_of("23505", "ERROR"), WEIR_QUERY);
    check_int(weir__pg_status_of(NULL, NULL), WEIR_QUERY);
}

/* ---- session marks ------------------------------------------------------------------------- */

static void temporary_objects_are_seen_where_they_are_created(void)
{
    check(weir__pg_touches_session("CREATE TEMP TABLE t (a int)"));
    check(weir__pg_touches_session("create\n\ttemporary view v as select 1"));
    check(weir__pg_touches_session("CREATE LOCAL TEMP SEQUENCE s"));
    check(weir__pg_touches_session("CREATE OR REPLACE TEMP VIEW v AS SELECT 1"));
    check(weir__pg_touches_session("SELECT 1 AS a INTO TEMP t"));
    check(weir__pg_touches_session("CREATE TABLE pg_temp.t (a int)"));
}

static void words_that_only_look_temporary_are_not_taken_for_it(void)
{
    check(!weir__pg_touches_session("SELECT temp, temperature FROM weather"));
    check(!weir__pg_touches_session("CREATE TABLE templates (a int)"));
    check(!weir__pg_touches_session("INSERT INTO temperature VALUES (1)"));
    check(!weir__pg_touches_session("UPDATE t SET hold = true"));
    check(!weir__pg_touches_session(""));
}

static void session_functions_and_held_cursors_are_seen(void)
{
    check(weir__pg_touches_session("SELECT set_config('a.b', 'c', false)"));
    check(weir__pg_touches_session("SELECT pg_advisory_lock(1)"));
    check(weir__pg_touches_session("select pg_catalog.PG_TRY_ADVISORY_LOCK_SHARED(1)"));
    check(!weir__pg_touches_session("SELECT pg_advisory_xact_lock(1)"));
    check(weir__pg_touches_session("DECLARE c CURSOR WITH HOLD FOR SELECT 1"));
    check(!weir__pg_touches_session("DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1"));
}

static void what_a_text_creates_is_for_all_unless_it_is_surely_temporary(void)
{
    static const struct {
        const char *sql;
        unsigned changes;
    } cases[] = {
        {"CREATE TABLE t AS SELECT 1 AS a", PG_CHANGE_ALL},
        {"create/**/unlogged table t as execute p", PG_CHANGE_ALL},
        {"CREATE MATERIALIZED VIEW v AS SELECT 1 AS a", PG_CHANGE_ALL},
        {"EXPLAIN (ANALYZE) CREATE TABLE t AS SELECT 1 AS a", PG_CHANGE_ALL},
        {"SELECT 1 AS a INTO t", PG_CHANGE_ALL},
        {"SELECT 1INTO t", PG_CHANGE_ALL},
        {"SELECT 1.5INTO TEMP t", PG_CHANGE_OWN},
        {"(WITH w AS (SELECT 1 AS a) SELECT a INTO TABLE t FROM w)", PG_CHANGE_ALL},
        {"SELECT insert INTO t FROM words", PG_CHANGE_ALL},
        {"SELECT f() merge INTO t", PG_CHANGE_ALL},

        {"CREATE TEMP TABLE t AS SELECT 1 AS a", PG_CHANGE_OWN},
        {"CREATE OR REPLACE LOCAL TEMPORARY VIEW v AS SELECT 1", PG_CHANGE_OWN},
        {"CREATE TABLE IF NOT EXISTS \"pg_temp\".t (a int)", PG_CHANGE_OWN},
        {"CREATE OR REPLACE FUNCTION pg_temp . f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
         PG_CHANGE_OWN},
        {"SELECT 1 AS a INTO /* x */ TEMP t", PG_CHANGE_OWN},
        {"SELECT 1 AS a INTO GLOBAL TEMPORARY TABLE t", PG_CHANGE_OWN},
        {"SELECT 1 AS a INTO temp \"from\" FROM words", PG_CHANGE_OWN},
        {"SELECT 1 AS a INTO pg_temp.t", PG_CHANGE_OWN},

        {"CREATE TABLE \"PG_TEMP\".t (a int)", PG_CHANGE_ALL},
        {"CREATE TABLE pg_temp_3.t (a int)", PG_CHANGE_ALL},
        {"CREATE TABLE pg_temp (a int)", PG_CHANGE_ALL},
        {"CREATE INDEX ON pg_temp.t (a)", PG_CHANGE_ALL},
        {"CREATE DOMAIN type pg_temp.base", PG_CHANGE_ALL},
        {"CREATE FUNCTION f(a pg_temp.t) RETURNS int LANGUAGE sql AS 'SELECT 1'", PG_CHANGE_ALL},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'CREATE TEMP TABLE t (a int)'",
         PG_CHANGE_ALL},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path TO pg_temp AS 'SELECT 1'",
         PG_CHANGE_ALL},
        {"SELECT 1 AS a INTO temp", PG_CHANGE_ALL},
        {"SELECT 1 AS a INTO temp FROM words", PG_CHANGE_ALL},
        {"(SELECT 1 AS a INTO temp) UNION SELECT 2", PG_CHANGE_ALL},
        {"SELECT 1 AS a INTO temp.t", PG_CHANGE_ALL},
        {"SELECT 1 AS a INTO TEMP t; CREATE TABLE u (a int)", PG_CHANGE_OWN | PG_CHANGE_ALL},

        {"SELECT 'CREATE TABLE t AS SELECT 1 INTO u', \"create\", $$ INTO t $$", 0},
        {"SELECT 1 -- INTO t", 0},
        {"INSERT INTO t SELECT 1", 0},
        {"; INSERT INTO t SELECT 1; INSERT /* x */ INTO t SELECT 2; SELECT 3", 0},
        {"WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM w", 0},
        {"WITH w AS (MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE RETURNING 1) TABLE w",
         0},
        {"", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (weir__pg_creates(cases[i].sql) != cases[i].changes)
            printf("# %s\n", cases[i].sql);
        check_int(weir__pg_creates(cases[i].sql), cases[i].changes);
    }
}

/* Whether a text touches the session does not change when its blanks become comments. */
static void check_touches(const char *sql, bool is_expected)
{
    static const char *const comments[] = {"/**/", "/* temp /* in */ side */", " -- hold\n",
                                           "\n\t"};

    if (weir__pg_touches_session(sql) != is_expected)
        printf("# %s\n", sql);
    check(weir__pg_touches_session(sql) == is_expected);
    for (size_t i = 0; i < sizeof comments / sizeof *comments; i++) {
        char text[1024];
        size_t size = 0;
        for (const char *at = sql; *at != '\0'; at++)
            size += (size_t)(*at == ' ' ? sprintf(text + size, "%s", comments[i])
                                        : sprintf(text + size, "%c", *at));
        if (weir__pg_touches_session(text) != is_expected)
            printf("# %s\n", text);
        check(weir__pg_touches_session(text) == is_expected);
    }
}

static void comments_are_blanks_to_what_changes_the_session(void)
{
    check_touches("CREATE TEMP TABLE t (a int)", true);
    check_touches("CREATE LOCAL TEMPORARY TABLE t AS SELECT 1", true);
    check_touches("CREATE OR REPLACE TEMP VIEW v AS SELECT 1", true);
    check_touches("SELECT 1 AS a INTO TEMP t", true);
    check_touches("WITH x AS (SELECT 1) SELECT * INTO TEMPORARY TABLE t FROM x", true);
    check_touches("DECLARE c CURSOR WITH HOLD FOR SELECT 1", true);
    check_touches("DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT 1", false);
    check_touches("UPDATE pg_settings SET setting = '64kB' WHERE name = 'work_mem'", true);
    check_touches("UPDATE ONLY pg_catalog . \"pg_settings\" SET setting = 1", true);
    check_touches("SELECT setting FROM pg_settings WHERE name = 'work_mem'", false);
    check_touches("DO $x$ BEGIN PERFORM 1; END $x$", true);
    check_touches("SELECT 1; ; DO 'BEGIN END'", true);
    check_touches("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", false);
}

static void words_of_a_comment_change_nothing(void)
{
    check(!weir__pg_touches_session("SELECT 1 /* set_config('a', 'b', false) */"));
    check(
        !weir__pg_touches_session("/* create temp */ SELECT 1 -- with hold, pg_advisory_lock(1)"));
    check(!weir__pg_touches_session("CREATE /* temp */ TABLE t (a int)"));
    check(!weir__pg_touches_session("/* a /* nested */ pg_temp */ SELECT 1"));
}

static void quoted_and_escaped_names_are_read(void)
{
    check_touches("SELECT \"set_config\"('a.b', 'c', false)", true);
    check_touches("CREATE TABLE \"pg_temp\" . t (a int)", true);
    check_touches("CREATE FUNCTION pg_temp_3.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", true);
    check_touches("SELECT pg_catalog.\"pg_try_advisory_lock\" (1)", true);
    check_touches("SELECT U&\"set!005fconfig\" UESCAPE '!' ('a.b', 'c', false)", true);
    check_touches("SELECT u & 'x' FROM t", false);
    check_touches("SELECT set_configuration, \"temp\" FROM hold", false);
    check_touches("INSERT INTO temp VALUES (1)", false);
    check_touches("INSERT INTO temporary . t VALUES (1)", false);
    check(weir__pg_touches_session("SELECT 1INTO TEMP t"));
    check(weir__pg_touches_session("SELECT $1INTO TEMP t"));
}

static void a_string_is_read_as_if_somebody_ran_it(void)
{
    check_touches("SELECT run('CREATE TEMP TABLE t (a int)')", true);
    check_touches("SELECT run($x$SELECT 'set_config'$x$)", true);
    check_touches("SELECT run('SELECT run(''SELECT pg_advisory_lock(1)'')')", true);
    check_touches("SELECT run(E'SELECT\\nset_config(1)')", false); /* the n belongs to the name */
    check_touches("SELECT query_to_xml($1, true, true, '')", true);
    check(!weir__pg_touches_session("SELECT 'it''s warm', 'C:\\temp', '', E'\\''"));
    check(!weir__pg_touches_session("SELECT 'unfinished"));
    check(weir__pg_touches_session("SELECT $a$ $b$ $c$ $d$ $e$ $f$ x $f$ $e$ $d$ $c$ $b$ $a$"));
}

static bool marks_dirty(const char *tag)
{
    struct pg_conn conn = {0};

    weir__pg_note_command(&conn, tag);
    return conn.is_dirty;
}

static void command_tags_that_change_the_session_mark_it(void)
{
    static const char *const dirty[] = {"SET",     "RESET", "LISTEN",         "LOAD",
                                        "PREPARE", "DO",    "DEALLOCATE ALL", "DISCARD TEMP",
                                        "UNLISTEN"};
    static const char *const clean[] = {"SELECT 1",
                                        "INSERT 0 1",
                                        "UPDATE 3",
                                        "DELETE 2",
                                        "BEGIN",
                                        "COMMIT",
                                        "ROLLBACK",
                                        "SAVEPOINT",
                                        "RELEASE",
                                        "DROP TABLE",
                                        "PREPARE TRANSACTION",
                                        ""};

    for (size_t i = 0; i < sizeof(dirty) / sizeof(*dirty); i++)
        check(marks_dirty(dirty[i]));
    for (size_t i = 0; i < sizeof(clean) / sizeof(*clean); i++)
        check(!marks_dirty(clean[i]));
}

static void taking_all_prepared_statements_away_begins_a_new_epoch(void)
{
    struct pg_conn conn = {0};

    weir__pg_note_command(&conn, "DEALLOCATE");
    check_int(conn.epoch, 0);
    weir__pg_note_command(&conn, "DEALLOCATE ALL");
    check_int(conn.epoch, 1);
    weir__pg_note_command(&conn, "DISCARD ALL");
    check_int(conn.epoch, 2);
}

/* ---- values -------------------------------------------------------------------------------- */

static struct statement statement_of(int param_count)
{
    return (struct statement){.text = "", .param_count = param_count};
}

static const char *text_of(weir_value value, struct pg_params *params)
{
    struct statement statement = statement_of(1);

    check_int(weir__pg_params_init(params, &statement, &value, NULL), WEIR_OK);
    return params->texts[0];
}

static void numbers_are_written_exactly(void)
{
    struct pg_params params;

    check_text(text_of(weir_int(0), &params), "0");
    check_text(text_of(weir_int(-7), &params), "-7");
    check_text(text_of(weir_int(INT64_MAX), &params), "9223372036854775807");
    check_text(text_of(weir_int(INT64_MIN), &params), "-9223372036854775808");
    check_text(text_of(weir_double(0.1), &params), "0.1");
    check_text(text_of(weir_double(2.675), &params), "2.675");
    check_text(text_of(weir_double(-0.0), &params), "-0");
    check_text(text_of(weir_double(5e-324), &params), "5e-324");
    check(strtod(text_of(weir_double(-1.7976931348623157e308), &params), NULL) ==
          (double)-1.7976931348623157e308);
    check_text(text_of(weir_double((double)NAN), &params), "NaN");
    check_text(text_of(weir_double(-(double)INFINITY), &params), "-Infinity");
    check_text(text_of(weir_bool(true), &params), "t");
    check(text_of(weir_null(), &params) == NULL);
}

static void numbers_have_a_point_in_every_locale(void)
{
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_CH.UTF-8"};
    struct pg_params params;

    for (size_t i = 0; i < sizeof(comma) / sizeof(*comma); i++) {
        if (setlocale(LC_ALL, comma[i]) != NULL)
            check_text(text_of(weir_double(1.5), &params), "1.5");
    }
    setlocale(LC_ALL, "C");
}

static void text_is_copied_and_ended_though_its_source_is_not(void)
{
    struct pg_params params;
    const char source[3] = {'a', 'b', 'c'};

    check_text(text_of(weir_text_n(source, 2), &params), "ab");
    check_text(text_of(weir_text(""), &params), "");
    weir__pg_params_clear(&params);
}

static void a_zero_byte_in_text_is_refused_by_the_parameters_name(void)
{
    const char *const names[] = {"first", "second"};
    weir_value values[] = {weir_int(1), weir_text_n("a\0b", 3)};
    struct statement statement = {.text = "", .param_count = 2, .names = names};
    struct pg_params params;
    weir_error error;

    check_int(weir__pg_params_init(&params, &statement, values, &error), WEIR_INVALID);
    check_contains(error.text, ":second");
    weir__pg_params_clear(&params);
    statement.names = NULL;
    check_int(weir__pg_params_init(&params, &statement, values, &error), WEIR_INVALID);
    check_contains(error.text, "$2");
    weir__pg_params_clear(&params);
}

static void blobs_are_binary_and_marked_by_their_place(void)
{
    weir_value values[70];
    struct statement statement = statement_of(70);
    struct pg_params params;

    for (int i = 0; i < 70; i++)
        values[i] = weir_null();
    values[0] = weir_blob("\0\1", 2);
    values[63] = weir_blob("", 0);
    check_int(weir__pg_params_init(&params, &statement, values, NULL), WEIR_OK);
    check_int(params.formats[0], 1);
    check_int(params.lengths[0], 2);
    check_int(params.formats[1], 0);
    check(params.texts[63] != NULL);
    check(params.blobs == (((uint64_t)1 << 63) | 1));
    check(!params.has_late_blob);
    weir__pg_params_clear(&params);

    values[64] = weir_blob("x", 1);
    check_int(weir__pg_params_init(&params, &statement, values, NULL), WEIR_OK);
    check(params.has_late_blob);
    weir__pg_params_clear(&params);
}

static void many_and_long_parameters_move_to_the_heap_unharmed(void)
{
    enum { COUNT = 300, SIZE = 1000 };
    static char texts[COUNT][SIZE];
    static weir_value values[COUNT];
    struct statement statement = statement_of(COUNT);
    struct pg_params params;

    for (int i = 0; i < COUNT; i++) {
        memset(texts[i], 'a' + i % 26, SIZE);
        values[i] = weir_text_n(texts[i], (size_t)i);
    }
    check_int(weir__pg_params_init(&params, &statement, values, NULL), WEIR_OK);
    for (int i = 0; i < COUNT; i++) {
        check_int(strlen(params.texts[i]), i);
        check(memcmp(params.texts[i], texts[i], (size_t)i) == 0);
    }
    weir__pg_params_clear(&params);
}

static void a_parameter_beyond_a_gigabyte_is_refused_unread(void)
{
    weir_value value = weir_blob("x", (size_t)1 << 30);
    struct statement statement = statement_of(1);
    struct pg_params params;

    check_int(weir__pg_params_init(&params, &statement, &value, NULL), WEIR_LIMIT);
    weir__pg_params_clear(&params);
}

static void types_of_the_server_become_types_of_weir(void)
{
    check_int(weir__pg_type(16), WEIR_BOOL);
    check_int(weir__pg_type(20), WEIR_INT);
    check_int(weir__pg_type(701), WEIR_DOUBLE);
    check_int(weir__pg_type(1700), WEIR_TEXT);
    check_int(weir__pg_type(17), WEIR_BLOB);
    check_int(weir__pg_type(3802), WEIR_JSON);
    check_int(weir__pg_type(1082), WEIR_TIMESTAMP);
    check_int(weir__pg_type(1083), WEIR_TEXT);
    check_int(weir__pg_type(2950), WEIR_TEXT);
    check_int(weir__pg_type(999999), WEIR_TEXT);
}

/* ---- results ------------------------------------------------------------------------------- */

/* What is read of a bytea value that a server wrote as `text`. */
static weir_status read_bytea(char *text, weir_result **ret_result)
{
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc column = {.name = (char[]){"b"}, .typid = 17};
    struct columns *columns = weir__columns_new(1, (const char *const[]){"b"});
    struct cell *cells;
    weir_error error;

    check(PQsetResultAttrs(rows, 1, &column) != 0);
    check(PQsetvalue(rows, 0, 0, text, (int)strlen(text)) != 0);
    check_int(weir__result_new(columns, 1, 1 << 20, ret_result, &error), WEIR_OK);
    check_int(weir__result_add_row(*ret_result, &cells, &error), WEIR_OK);
    weir__columns_unref(columns);
    weir_status status = weir__pg_read_row(*ret_result, rows, 0, cells, &error);
    PQclear(rows);
    return status;
}

/* PostgreSQL writes small letters; libpq, and so every other client, takes both. */
static void a_bytea_value_may_have_digits_of_either_case(void)
{
    char texts[][8] = {"\\x0aF3", "\\x0af3", "\\x0AF3"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        weir_result *result = NULL;
        check_int(read_bytea(texts[i], &result), WEIR_OK);
        weir_value value = weir_result_value(result, 0, 0);
        check_int(value.type, WEIR_BLOB);
        check(value.size == 2 && memcmp(value.text, "\x0A\xF3", 2) == 0);
        weir_result_close(result);
    }
}

static void a_bytea_value_of_other_characters_is_refused(void)
{
    char texts[][8] = {"\\x0aG3", "\\x0a 3", "\\xx0"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        weir_result *result = NULL;
        check_int(read_bytea(texts[i], &result), WEIR_QUERY);
        weir_result_close(result);
    }
}

int main(void)
{
    run(a_fatal_error_is_a_disconnect_whatever_its_code);
    run(connection_classes_disconnect_and_shutdown_codes_too);
    run(conflicts_ask_for_a_retry_and_cancels_are_timeouts);
    run(temporary_objects_are_seen_where_they_are_created);
    run(words_that_only_look_temporary_are_not_taken_for_it);
    run(session_functions_and_held_cursors_are_seen);
    run(what_a_text_creates_is_for_all_unless_it_is_surely_temporary);
    run(comments_are_blanks_to_what_changes_the_session);
    run(words_of_a_comment_change_nothing);
    run(quoted_and_escaped_names_are_read);
    run(a_string_is_read_as_if_somebody_ran_it);
    run(command_tags_that_change_the_session_mark_it);
    run(taking_all_prepared_statements_away_begins_a_new_epoch);
    run(numbers_are_written_exactly);
    run(numbers_have_a_point_in_every_locale);
    run(text_is_copied_and_ended_though_its_source_is_not);
    run(a_zero_byte_in_text_is_refused_by_the_parameters_name);
    run(blobs_are_binary_and_marked_by_their_place);
    run(many_and_long_parameters_move_to_the_heap_unharmed);
    run(a_parameter_beyond_a_gigabyte_is_refused_unread);
    run(types_of_the_server_become_types_of_weir);
    run(a_bytea_value_may_have_digits_of_either_case);
    run(a_bytea_value_of_other_characters_is_refused);
    return check_done();
}
