/* SPDX-License-Identifier: MIT */
/* The scanner of SQL: what is a parameter, in either engine's eyes, and what is left alone. */
#include "check.h"
#include "db/params.h"

#include <stdlib.h>

#define PG DIALECT_POSTGRES
#define LITE DIALECT_SQLITE

/* Translate and compare; `names` are those expected, separated by spaces, or "" for positional. */
static void check_sql(enum sql_dialect dialect, const char *sql, const char *expected, int count,
                      const char *names)
{
    struct translation t;
    weir_error error = {0};
    weir_status status = weir__translate(sql, dialect, &t, &error);
    if (status != WEIR_OK) {
        printf("# %s: %s\n", sql, error.text);
        check_int(status, WEIR_OK);
        return;
    }

    char found[256] = "";
    for (int i = 0; t.names != NULL && i < t.param_count; i++) {
        if (i > 0)
            strcat(found, " ");
        strcat(found, t.names[i]);
    }
    check_text(t.text, expected);
    check_int(t.text_size, strlen(t.text));
    check_int(t.param_count, count);
    check_text(found, names);
    weir__translation_clear(&t);
}

static void check_both(const char *sql, const char *lite, const char *pg, int count,
                       const char *names)
{
    check_sql(LITE, sql, lite, count, names);
    check_sql(PG, sql, pg, count, names);
}

/* Neither engine sees a parameter. */
static void check_alone(const char *sql)
{
    check_both(sql, sql, sql, 0, "");
}

static void names_become_numbers_and_the_same_name_the_same_number(void)
{
    check_both("SELECT :a", "SELECT ?1", "SELECT $1", 1, "a");
    check_both(":a + :b + :a", "?1 + ?2 + ?1", "$1 + $2 + $1", 2, "a b");
    check_both("(:a,:ab,:a_b1)", "(?1,?2,?3)", "($1,$2,$3)", 3, "a ab a_b1");
    check_both("LIMIT:n", "LIMIT?1", "LIMIT $1", 1, "n"); /* LIMIT$1 would be a name */
    check_both("$:a", "$?1", "$ $1", 1, "a");
    check_both(":\xC3\xA9t\xC3\xA9", "?1", "$1", 1, "\xC3\xA9t\xC3\xA9");
    check_both(":a:b", "?1?2", "$1 $2", 2, "a b");
    check_both("x = :a::text", "x = ?1::text", "x = $1::text", 1, "a");
    check_both(":A :a", "?1 ?2", "$1 $2", 2, "A a");
}

static void positional_parameters_keep_their_numbers(void)
{
    check_both("SELECT $1, $2", "SELECT ?1, ?2", "SELECT $1, $2", 2, "");
    check_both("$2 $1 $2", "?2 ?1 ?2", "$2 $1 $2", 2, "");
    check_both("$12", "?12", "$12", 12, "");
    check_both("($1)", "(?1)", "($1)", 1, "");
}

static void more_than_nine_names_grow_the_text(void)
{
    check_both(":a:b:c:d:e:f:g:h:i:j:k", "?1?2?3?4?5?6?7?8?9?10?11",
               "$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11", 11, "a b c d e f g h i j k");
}

static void strings_and_quoted_names_are_left_alone(void)
{
    check_alone("SELECT ':a'");
    check_alone("SELECT 'it''s :a'");
    check_alone("SELECT '$1'");
    check_alone("SELECT \":a\"");
    check_alone("SELECT \"a\"\":b\"");
    check_alone("'unfinished :a");
    check_alone("\"unfinished :a");
    check_both("':a' :b ':c'", "':a' ?1 ':c'", "':a' $1 ':c'", 1, "b");
    check_both("'\\' :a", "'\\' ?1", "'\\' $1", 1, "a");
}

static void only_sqlite_has_backquotes_and_bracketed_names(void)
{
    check_sql(LITE, "`:a` :b", "`:a` ?1", 1, "b");
    check_sql(LITE, "`a``:b`", "`a``:b`", 0, "");
    check_sql(LITE, "[:a] :b", "[:a] ?1", 1, "b");
    check_sql(LITE, "[a[:b] :c", "[a[:b] ?1", 1, "c");
    check_sql(LITE, "[unfinished :a", "[unfinished :a", 0, "");
    check_sql(PG, "`:a`", "`$1`", 1, "a");
}

static void escape_strings_are_postgresql_s(void)
{
    check_sql(PG, "E'\\' :a' :b", "E'\\' :a' $1", 1, "b");
    check_sql(PG, "e'\\\\' :a", "e'\\\\' $1", 1, "a");
    check_sql(PG, "E'it''s \\' :a' :b", "E'it''s \\' :a' $1", 1, "b");
    check_sql(PG, "aE'\\' :a", "aE'\\' $1", 1, "a");
    check_sql(PG, "E'unfinished \\", "E'unfinished \\", 0, "");
    check_sql(PG, "E'a\\''\n  '\\' :a' :b", "E'a\\''\n  '\\' :a' $1", 1, "b");
    check_sql(PG, "E'a' -- :x\n '\\' :a' :b", "E'a' -- :x\n '\\' :a' $1", 1, "b");
    check_sql(PG, "E'a' '\\' :b", "E'a' '\\' $1", 1, "b");
    check_sql(LITE, "E'\\' :a", "E'\\' ?1", 1, "a");
}

static void dollar_quotes_are_postgresql_s(void)
{
    check_sql(PG, "$$ :a $1 $$ :b", "$$ :a $1 $$ $1", 1, "b");
    check_sql(PG, "$x$ $$ :a $y$ $x$ :b", "$x$ $$ :a $y$ $x$ $1", 1, "b");
    check_sql(PG, "$x$ $x $ $x$:b", "$x$ $x $ $x$ $1", 1, "b");
    check_sql(PG, "$x1$ :a $x1$ :b", "$x1$ :a $x1$ $1", 1, "b");
    check_sql(PG, "$unfinished$ :a", "$unfinished$ :a", 0, "");
    check_sql(PG, "a$b$ :c", "a$b$ $1", 1, "c");
    check_sql(PG, "a$1 :c", "a$1 $1", 1, "c");
    check_sql(PG, "$ :a", "$ $1", 1, "a");
    check_sql(LITE, "$x$ :a", "$x$ ?1", 1, "a");
}

static void comments_are_left_alone_and_nest_only_in_postgresql(void)
{
    check_both("-- :a\n:b", "-- :a\n?1", "-- :a\n$1", 1, "b");
    check_both("/* :a */ :b", "/* :a */ ?1", "/* :a */ $1", 1, "b");
    check_sql(PG, "/* /* :a */ :b */ :c", "/* /* :a */ :b */ $1", 1, "c");
    check_sql(LITE, "/* /* :a */ :b */", "/* /* :a */ ?1 */", 1, "b");
    check_sql(PG, "-- :a\r:b", "-- :a\r$1", 1, "b");
    check_sql(LITE, "-- :a\r:b", "-- :a\r:b", 0, "");
    check_alone("-- :a");
    check_alone("/* :a");
    check_alone("/* it's :a */");
    check_alone("-- it's :a");
    check_both("1 - :a / :b * :c", "1 - ?1 / ?2 * ?3", "1 - $1 / $2 * $3", 3, "a b c");
}

static void casts_slices_and_assignments_are_left_alone(void)
{
    check_alone("x::int");
    check_alone("a := b");
    check_sql(PG, "a[1:2]", "a[1:2]", 0, "");
    check_sql(PG, "a[1:n]", "a[1:n]", 0, "");
    check_sql(PG, "a[f(x):n]", "a[f(x):n]", 0, "");
    check_sql(PG, "a[b[1]:n]", "a[b[1]:n]", 0, "");
    check_sql(PG, "a[:n]", "a[$1]", 1, "n");
    check_sql(PG, "a[:lo:hi]", "a[$1:hi]", 1, "lo");
    check_sql(PG, "ARRAY[:a,:b]", "ARRAY[$1,$2]", 2, "a b");
    check_sql(PG, "a[1:2] = :b", "a[1:2] = $1", 1, "b");
    check_sql(PG, "] x:b", "] x $1", 1, "b");
    check_alone("a : b");
    check_alone("a :1");
}

static void check_fault(enum sql_dialect dialect, const char *sql, const char *part)
{
    struct translation t;
    weir_error error = {0};

    check_int(weir__translate(sql, dialect, &t, &error), WEIR_INVALID);
    check_contains(error.text, part);
}

static void faults_are_named(void)
{
    check_fault(PG, "SELECT :name, $1", "both :name and $1");
    check_fault(LITE, "SELECT $2, :name", "both :name and $2");
    check_fault(PG, "SELECT $0", "$1, not $0");
    check_fault(PG, "SELECT $00", "$1, not $0");
    check_fault(PG, "SELECT $65536", "65535");
    check_fault(LITE, "SELECT $32767", "32766");
    check_fault(PG, "SELECT $99999999999999999999", "65535");
}

/* :p0, :p1, … up to `count`, then all of them once more. */
static char *many_names(int count)
{
    char *sql = malloc((size_t)count * 2 * 10 + 1);
    char *to = sql;

    for (int i = 0; sql != NULL && i < 2 * count; i++)
        to += sprintf(to, ":p%d ", i % count);
    return sql;
}

static void thousands_of_names_are_found_again(void)
{
    char *sql = many_names(30000);
    struct translation t;
    weir_error error = {0};
    if (sql == NULL)
        return;

    check_int(weir__translate(sql, LITE, &t, &error), WEIR_OK);
    check_int(t.param_count, 30000);
    check_text(t.names[29999], "p29999");
    check(strcmp(t.text + t.text_size - 7, "?30000 ") == 0);
    weir__translation_clear(&t);
    free(sql);

    sql = many_names(32767);
    check_int(weir__translate(sql, LITE, &t, &error), WEIR_INVALID);
    free(sql);
}

static void an_empty_text_is_a_statement_of_nothing(void)
{
    check_alone("");
    check_alone(":");
    check_alone("$");
    check_alone(" \n;");
}

int main(void)
{
    run(names_become_numbers_and_the_same_name_the_same_number);
    run(positional_parameters_keep_their_numbers);
    run(more_than_nine_names_grow_the_text);
    run(strings_and_quoted_names_are_left_alone);
    run(only_sqlite_has_backquotes_and_bracketed_names);
    run(escape_strings_are_postgresql_s);
    run(dollar_quotes_are_postgresql_s);
    run(comments_are_left_alone_and_nest_only_in_postgresql);
    run(casts_slices_and_assignments_are_left_alone);
    run(faults_are_named);
    run(thousands_of_names_are_found_again);
    run(an_empty_text_is_a_statement_of_nothing);
    return check_done();
}
