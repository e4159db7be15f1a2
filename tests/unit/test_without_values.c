/* SPDX-License-Identifier: MIT */
/* Statements without their values: nothing that was written as a value may be left in the text. */
#include "check.h"

#include <weir/db.h>

#include <string.h>

static void becomes(const char *sql, const char *expected)
{
    char text[512];
    size_t size = weir_sql_without_values(sql, text, sizeof text);

    check_text(text, expected);
    check_int(size, strlen(text));
}

static void names_and_parameters_stay_as_they_are(void)
{
    becomes("SELECT a, \"b c\", `d`, t1.c2 FROM t1", "SELECT a, \"b c\", `d`, t1.c2 FROM t1");
    becomes("SELECT :name, $1, $23, ?1, ?, @p, x::int4",
            "SELECT :name, $1, $23, ?1, ?, @p, x::int4");
    becomes("SELECT \"it\"\"s 'quoted'\" FROM t", "SELECT \"it\"\"s 'quoted'\" FROM t");
    becomes("SELECT a$1 FROM größe2", "SELECT a$1 FROM größe2");
    becomes("", "");
}

static void numbers_become_question_marks(void)
{
    becomes("SELECT 1", "SELECT ?");
    becomes("SELECT -1.5e-10, .5, 0xFF, 1_000, 5.", "SELECT -?, .?, ?, ?, ?");
    becomes("LIMIT 10 OFFSET 20", "LIMIT ? OFFSET ?");
    becomes("x=1+2", "x=?+?");
    becomes("0xE+1", "?+?");
    becomes("a[1:2]", "a[?:?]");
    becomes("1e", "?");
}

static void strings_of_every_kind_become_question_marks(void)
{
    becomes("SELECT 'secret'", "SELECT ?");
    becomes("SELECT 'it''s secret', 'b'", "SELECT ?, ?");
    becomes("SELECT e'\\\\', 'secret'", "SELECT e?, ?");
    becomes("SELECT 'no escape\\', x", "SELECT ?, x");
    becomes("SELECT X'414243', N'secret', U&'secret'", "SELECT X?, N?, U&?");
    becomes("SELECT $$secret$$, $tag$ 'it' is $$ secret $tag$, $1", "SELECT ?, ?, $1");
    becomes("SELECT namee'\\'", "SELECT namee?");
    becomes("SELECT e 'no escape\\', x", "SELECT e ?, x");
}

/* PostgreSQL joins what stands on the next line, and its backslashes are those of the first part. */
static void an_escape_string_goes_on_behind_a_line_break(void)
{
    becomes("SELECT E'a'\n'b', x", "SELECT E?, x");
    becomes("SELECT e'' \t\r '' \n\n'secret' , x", "SELECT e? , x");
    becomes("SELECT E'a' -- its\n--\n 'b secret', x", "SELECT E?, x");
    becomes("SELECT E'a'\n'secret\\", "SELECT E?");
    becomes("SELECT E'a' 'no escape\\', x", "SELECT E? ?, x");
    becomes("SELECT E'a' /* \n */ 'no escape\\', x", "SELECT E? ?, x");
    becomes("SELECT E'a'\n, 'no escape\\', x", "SELECT E? , ?, x");
    becomes("SELECT 'a'\n'no escape\\', x", "SELECT ? ?, x");
    becomes("SELECT E'a' -- secret", "SELECT E?");
}

static void comments_vanish_and_space_shrinks(void)
{
    becomes("SELECT a -- secret\n  FROM t", "SELECT a FROM t");
    becomes("/* secret */ SELECT /* a /* nested */ secret */ a\t\n\r FROM/**/t  ",
            "SELECT a FROM t");
    becomes("SELECT a--secret", "SELECT a");
    becomes("  \n ", "");
    becomes("a - -1 / 2", "a - -? / ?");
    becomes("'a'/*x*/'b'", "? ?");
}

/* SQLite's [name] ends at the first bracket, whatever is in it; to PostgreSQL it is a subscript. */
static void brackets_are_read_as_subscripts(void)
{
    becomes("SELECT ARRAY['secret'], ARRAY['it''s', \"b\"]", "SELECT ARRAY[?], ARRAY[?, \"b\"]");
    becomes("SELECT a[1], a[1:2][3], b FROM t", "SELECT a[?], a[?:?][?], b FROM t");
    becomes("SELECT ARRAY[[1, 2], ['x', 'y']], 'z'", "SELECT ARRAY[[?, ?], [?, ?]], ?");
    becomes("SELECT ARRAY[ [E'it\\'s'] , [$$x$$] /* it's */ ], b", "SELECT ARRAY[ [E?] , [?] ], b");
    becomes("SELECT [a b], [c] FROM [t 1] WHERE x = 'secret'",
            "SELECT [a b], [c] FROM [t ?] WHERE x = ?");
    becomes("SELECT [it's his's] FROM t WHERE a = 'secret'", "SELECT [it?s] FROM t WHERE a = ?");
    becomes("SELECT '[it', \"[it\", 'secret'", "SELECT ?, \"[it\", ?");
}

/* What one of them takes for a value or a comment is not shown; the two read on until they agree again. */
static void brackets_that_are_read_differently_show_no_value(void)
{
    becomes("SELECT [it's] FROM t WHERE a = 'hunter2'", "SELECT [it?");
    becomes("SELECT [a\"b] FROM t WHERE a = 'hunter2' AND \"c\" = 1", "SELECT [a?c?");
    becomes("SELECT a, [a`b] FROM t WHERE a = '`hunter2'", "SELECT a, [a`b] FROM t WHERE a = ?");
    becomes("SELECT [a'b\"c'd\"e], ' hunter2 \"x'", "SELECT [a?d?");
    becomes("SELECT [a--b], 'x\n'', hunter2'", "SELECT [a ?");
    becomes("SELECT [a/*b], '*/ hunter2'", "SELECT [a ?");
    becomes("SELECT [a $$b], '$$ hunter2'", "SELECT [a ?");
    becomes("SELECT [E'\\'b'] FROM t WHERE a = 'hunter2'", "SELECT [E?] FROM t WHERE a = ?");
    becomes("SELECT [E'\\'b], ' hunter2 '", "SELECT [E?");
    becomes("SELECT a[1], ARRAY['a]b'], 'c'", "SELECT a[?], ARRAY[?");
    becomes("SELECT [it's FROM t WHERE a = 'hunter2'", "SELECT ?");
    becomes("SELECT a[1", "SELECT a?");
}

static void escapes_that_are_read_differently_show_no_value(void)
{
    becomes("SELECT E'it\\'s secret', x", "SELECT E?");
    becomes("SELECT e'a\\', 'hunter2' AS \"b'\"", "SELECT e?\"");
    becomes("SELECT E'\\' , 'hunter2', x", "SELECT E?");
    becomes("SELECT E'a'\n'b\\'hunter2', x", "SELECT E?");
    becomes("SELECT E'it\\'s', x, 'it''s', y FROM t", "SELECT E?");
    becomes("SELECT E'\\'\\'', x FROM t WHERE y = 'hunter2'", "SELECT E?, x FROM t WHERE y = ?");
}

static void dollars_that_are_read_differently_show_no_value(void)
{
    becomes("SELECT $$ , 'a$$', 'hunter2'", "SELECT ??");
    becomes("SELECT $a$ it's $a$, hunter2, 'b'", "SELECT ?");
    becomes("SELECT $$ /* $$, hunter2 */, a", "SELECT ?, a");
    becomes("DO $$ BEGIN RAISE 'hunter2'; END $$", "DO ?");
}

static void comments_that_are_read_differently_show_no_value(void)
{
    becomes("SELECT /* a /* b */ 'hunter2' AS c, ' */ '", "SELECT ?");
    becomes("SELECT a /* /* */, 'hunter2' */, b", "SELECT a , b");
    becomes("SELECT a /* /* */ ' */ hunter2 ', b", "SELECT a ?");
    becomes("SELECT a -- b\r hunter2\n, c", "SELECT a ? , c");
    becomes("SELECT a -- it's\r\n, b -- hunter2\r\n", "SELECT a , b");
    becomes("SELECT a -- b\r 'x\n hunter2'", "SELECT a ?");
}

static void what_never_ends_goes_to_the_end_of_the_text(void)
{
    becomes("SELECT 'secret", "SELECT ?");
    becomes("SELECT 'secret''", "SELECT ?");
    becomes("SELECT E'secret\\", "SELECT E?");
    becomes("SELECT $$secret$", "SELECT ?");
    becomes("SELECT $a$secret$b$", "SELECT ?");
    becomes("SELECT \"name", "SELECT \"name");
    becomes("SELECT /* secret /* */", "SELECT");
    becomes("$", "$");
    becomes("$a", "$a");
}

static void the_text_ends_where_its_room_does(void)
{
    const char *sql = "SELECT 'secret', abc FROM t";
    char whole[64];

    weir_sql_without_values(sql, whole, sizeof whole);
    for (size_t room = 1; room < sizeof whole; room++) {
        char text[66];

        memset(text, '#', sizeof text);
        size_t size = weir_sql_without_values(sql, text, room);
        check(size < room && text[size] == '\0' && text[room] == '#');
        check(strncmp(text, whole, size) == 0);
        check(size == room - 1 || size == strlen(whole));
    }
}

int main(void)
{
    run(names_and_parameters_stay_as_they_are);
    run(numbers_become_question_marks);
    run(strings_of_every_kind_become_question_marks);
    run(an_escape_string_goes_on_behind_a_line_break);
    run(comments_vanish_and_space_shrinks);
    run(brackets_are_read_as_subscripts);
    run(brackets_that_are_read_differently_show_no_value);
    run(escapes_that_are_read_differently_show_no_value);
    run(dollars_that_are_read_differently_show_no_value);
    run(comments_that_are_read_differently_show_no_value);
    run(what_never_ends_goes_to_the_end_of_the_text);
    run(the_text_ends_where_its_room_does);
    return check_done();
}
