/* SPDX-License-Identifier: MIT */
/* Statements without their values: nothing that was written as a value may be left in the text. */
#include "check.h"

#include <weir/trace.h>

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
    becomes("SELECT E'it\\'s secret', x", "SELECT E?, x");
    becomes("SELECT e'\\\\', 'secret'", "SELECT e?, ?");
    becomes("SELECT 'no escape\\', x", "SELECT ?, x");
    becomes("SELECT X'414243', N'secret', U&'secret'", "SELECT X?, N?, U&?");
    becomes("SELECT $$secret$$, $tag$ it's $$ secret $tag$, $1", "SELECT ?, ?, $1");
    becomes("SELECT namee'\\'", "SELECT namee?");
    becomes("SELECT e 'no escape\\', x", "SELECT e ?, x");
}

/* PostgreSQL joins what stands on the next line, and its backslashes are those of the first part. */
static void an_escape_string_goes_on_behind_a_line_break(void)
{
    becomes("SELECT E'a'\n'b\\'secret', x", "SELECT E?, x");
    becomes("SELECT e'' \t\r 'it\\'s' \n\n'\\\\\\'secret' , x", "SELECT e? , x");
    becomes("SELECT E'a' -- it's\n--\n 'b\\'secret', x", "SELECT E?, x");
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
    run(what_never_ends_goes_to_the_end_of_the_text);
    run(the_text_ends_where_its_room_does);
    return check_done();
}
