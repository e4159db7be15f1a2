/* SPDX-License-Identifier: MIT */
/* NocoDB's filter clause: which grammar, which quotes, what is refused, and how `column:value` is read. */
#include "nocodb_where.h"

#include "check.h"

#include <stdlib.h>

static char clause_text[NOCODB_WHERE_BYTES + 1];

/* The clause of conditions, or the error's text. */
static const char *where(const struct nocodb_condition *conditions, size_t count,
                         enum nocodb_dialect dialect)
{
    char *clause = NULL;
    weir_error error = {0};

    weir_status status = nocodb_where(conditions, count, dialect, &clause, &error);
    check(status == WEIR_OK || status == WEIR_INVALID);
    snprintf(clause_text, sizeof clause_text, "%s", status == WEIR_OK ? clause : error.text);
    free(clause);
    return clause_text;
}

static const char *where_one(const char *column, enum nocodb_op op, const char *value,
                             enum nocodb_dialect dialect)
{
    const struct nocodb_condition condition = {column, op, value};

    return where(&condition, 1, dialect);
}

static const char *like(const char *column, const char *value)
{
    return where_one(column, NOCODB_LIKE, value, NOCODB_V2);
}

static void each_kind_of_condition_has_its_operator(void)
{
    check_text(like("Name", "Smith"), "(Name,like,%Smith%)");
    check_text(where_one("Year", NOCODB_EQ, "-1.5e+3", NOCODB_V2), "(Year,eq,-1.5e+3)");
    check_text(where_one("Alive", NOCODB_EQ, "false", NOCODB_V2), "(Alive,eq,false)");
    check_text(where_one("Note", NOCODB_BLANK, NULL, NOCODB_V2), "(Note,is,blank)");
    check_text(where_one("Id", NOCODB_GT, "-12345678901234567890", NOCODB_V2),
               "(Id,gt,-12345678901234567890)");
}

static void conditions_are_joined_and_none_is_the_empty_clause(void)
{
    const struct nocodb_condition conditions[] = {
        {"a", NOCODB_LIKE, "x"}, {"b", NOCODB_EQ, "1"}, {"c", NOCODB_BLANK, NULL}};

    check_text(where(conditions, 3, NOCODB_V2), "(a,like,%x%)~and(b,eq,1)~and(c,is,blank)");
    check_text(where(conditions, 3, NOCODB_V3),
               "(\"a\",like,\"%x%\")~and(\"b\",eq,1)~and(\"c\",is,blank)");
    check_text(where(NULL, 0, NOCODB_V2), "");
    check_text(where(NULL, 0, NOCODB_V3), "");
}

static void the_older_grammar_serves_wherever_it_can(void)
{
    check_text(like("Na me", "it's \"x\""), "(Na me,like,%it's \"x\"%)");
    check_text(like("\xc3\x84", " \xf0\x9f\x98\x80 "), "(\xc3\x84,like,% \xf0\x9f\x98\x80 %)");
    check_text(like("null", "null"), "(null,like,%null%)");
    check_text(like("a\\", "b\\"), "(a\\,like,%b\\%)");
    check_text(like("a=&#@", "50%_"), "(a=&#@,like,%50%_%)");
}

static void structure_in_a_name_or_text_puts_all_of_them_in_quotes(void)
{
    const struct nocodb_condition conditions[] = {{"a", NOCODB_LIKE, "x,y"}, {"b", NOCODB_GT, "1"}};

    check_text(where(conditions, 2, NOCODB_V2), "@(\"a\",like,\"%x,y%\")~and(\"b\",gt,1)");
    check_text(like("Size (cm)", "3"), "@(\"Size (cm)\",like,\"%3%\")");
    check_text(like("a", "x)~and(b,eq,1"), "@(\"a\",like,\"%x)~and(b,eq,1%\")");
    check_text(like("a", "~"), "@(\"a\",like,\"%~%\")");
    check_text(like(" a", "x"), "@(\" a\",like,\"%x%\")");
    check_text(like("a ", "x"), "@(\"a \",like,\"%x%\")");
    check_text(like("a", "say \"x\","), "@(\"a\",like,'%say \"x\",%')");
    check_text(like("it's, a", "it's"), "@(\"it's, a\",like,\"%it's%\")");
    check_text(where_one("a,b", NOCODB_BLANK, NULL, NOCODB_V2), "@(\"a,b\",is,blank)");
}

static void what_quotes_cannot_hold_is_refused_with_the_column(void)
{
    check_text(like("Name", "a'b\"c,"),
               "filter on column \"Name\": its value holds both kinds of quotes, which NocoDB's "
               "filters cannot express here");
    check_contains(where_one("Name", NOCODB_LIKE, "a'b\"c", NOCODB_V3), "both kinds of quotes");
    check_contains(where_one("a'b\"c", NOCODB_EQ, "1", NOCODB_V3), "its name holds both kinds");
    check_contains(where_one("a\\", NOCODB_EQ, "1", NOCODB_V3), "its name ends with a backslash");
    check_contains(like("a\\", "x,y"), "its name ends with a backslash");
    check_text(where_one("a\\b", NOCODB_LIKE, "x\\", NOCODB_V3), "(\"a\\b\",like,\"%x\\%\")");
}

static void what_no_filter_can_say_is_refused(void)
{
    check_contains(like("", "x"), "the name of a column is empty");
    check_contains(like("a", ""), "column \"a\": its value is empty");
    check_contains(like("a\nb", "x"), "the name of a column holds a control character");
    check_contains(like("a", "x\x7f"), "holds a control character");
    check_contains(like("a", "x\xc2\x85"), "holds a control character");
    check_contains(like("a", "x\xe2\x80\xa8y"),
                   "column \"a\": its value holds a line or paragraph sep");
    check_contains(like("a\xe2\x80\xa9", "x"),
                   "the name of a column holds a line or paragraph sep");
    check_contains(where_one("a", NOCODB_LIKE, "\xe2\x80\xa9", NOCODB_V3), "(U+2028, U+2029)");
    check_text(like("a", "\xe2\x80\xa7\xe2\x80\xaa"), "(a,like,%\xe2\x80\xa7\xe2\x80\xaa%)");
    check_contains(like("a", "\xff"), "is not UTF-8");
    check_contains(like("a\xc0\xaf", "x"), "is not UTF-8");
    check_contains(where_one("a", NOCODB_EQ, "x", NOCODB_V2), "neither a number nor true or false");
    check_contains(where_one("a", NOCODB_EQ, "1,2", NOCODB_V2), "neither a number");
    check_contains(where_one("a", NOCODB_EQ, "", NOCODB_V2), "neither a number");
    check_contains(where_one("a", NOCODB_EQ, "-", NOCODB_V2), "neither a number");
    check_contains(where_one("a", NOCODB_GT, "1.5", NOCODB_V2), "no whole number");
    check_contains(where_one("a", NOCODB_GT, "-", NOCODB_V2), "no whole number");
}

static void clauses_have_a_limit(void)
{
    struct nocodb_condition many[NOCODB_WHERE_CONDITIONS + 1];
    char text[NOCODB_WHERE_BYTES];

    for (size_t i = 0; i <= NOCODB_WHERE_CONDITIONS; i++)
        many[i] = (struct nocodb_condition){"a", NOCODB_EQ, "1"};
    check_contains(where(many, NOCODB_WHERE_CONDITIONS, NOCODB_V2), "(a,eq,1)~and(a,eq,1)");
    check_text(where(many, NOCODB_WHERE_CONDITIONS + 1, NOCODB_V2),
               "33 filters: at most 32 are possible");
    memset(text, 'x', sizeof text);
    text[NOCODB_WHERE_BYTES - 10] = '\0';
    check_text(like("a", text), "the filters are 8001 bytes long: at most 8000");
    text[NOCODB_WHERE_BYTES - 11] = '\0';
    check_int(strlen(like("a", text)), 8000);
}

/* ---- column:value ---------------------------------------------------------------------------- */

static void reads_as(const char *text, const char *column, enum nocodb_op op, const char *value)
{
    struct nocodb_condition condition = {0};
    char *memory = NULL;
    weir_error error = {0};

    check(nocodb_condition_parse(text, &condition, &memory, &error) == WEIR_OK);
    check_text(condition.column, column);
    check_int(condition.op, op);
    if (value == NULL)
        check(condition.value == NULL);
    else
        check_text(condition.value, value);
    free(memory);
}

static void a_value_that_is_json_is_what_json_says(void)
{
    reads_as("Year:2020", "Year", NOCODB_EQ, "2020");
    reads_as("Year:-1.50e3", "Year", NOCODB_EQ, "-1.50e3");
    reads_as("n:123456789012345678901234567890", "n", NOCODB_EQ, "123456789012345678901234567890");
    reads_as("Alive:true", "Alive", NOCODB_EQ, "true");
    reads_as("Note:null", "Note", NOCODB_BLANK, NULL);
    reads_as("Note:\"null\"", "Note", NOCODB_LIKE, "null");
    reads_as("Note:\"2020\"", "Note", NOCODB_LIKE, "2020");
    reads_as("Note:\"a\\\"b\\u00e9\\\\\"", "Note", NOCODB_LIKE, "a\"b\xc3\xa9\\");
}

static void any_other_value_is_a_text_as_it_stands(void)
{
    reads_as("Name:Smith & Co", "Name", NOCODB_LIKE, "Smith & Co");
    reads_as("Url:https://x:1", "Url", NOCODB_LIKE, "https://x:1");
    reads_as("Name:", "Name", NOCODB_LIKE, "");
    reads_as("Name: 5", "Name", NOCODB_LIKE, " 5");
    reads_as("Name:5 ", "Name", NOCODB_LIKE, "5 ");
    reads_as("Name:05", "Name", NOCODB_LIKE, "05");
    reads_as("Name:+5", "Name", NOCODB_LIKE, "+5");
    reads_as("Name:NULL", "Name", NOCODB_LIKE, "NULL");
    reads_as("Name:[1]", "Name", NOCODB_LIKE, "[1]");
    reads_as("Name:\"x", "Name", NOCODB_LIKE, "\"x");
    reads_as("Name:\"x\"y", "Name", NOCODB_LIKE, "\"x\"y");
}

static void a_column_in_quotes_may_hold_a_colon(void)
{
    reads_as("\"a:b\":x", "a:b", NOCODB_LIKE, "x");
    reads_as("\"a\\\"b\":1", "a\"b", NOCODB_EQ, "1");
    reads_as("\"a\"b:x", "\"a\"b", NOCODB_LIKE, "x");
    reads_as("\"a:x", "\"a", NOCODB_LIKE, "x");
}

static void what_names_no_column_is_refused(void)
{
    static const char *const wrong[] = {"", ":", ":x", "Name", "\"Name\""};
    struct nocodb_condition condition;
    char *memory = NULL;
    weir_error error;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check(nocodb_condition_parse(wrong[i], &condition, &memory, &error) == WEIR_INVALID);
        check_text(error.text, "filter: must be column:value, as in filter=Name:Smith");
    }
    check(memory == NULL);
}

int main(void)
{
    run(each_kind_of_condition_has_its_operator);
    run(conditions_are_joined_and_none_is_the_empty_clause);
    run(the_older_grammar_serves_wherever_it_can);
    run(structure_in_a_name_or_text_puts_all_of_them_in_quotes);
    run(what_quotes_cannot_hold_is_refused_with_the_column);
    run(what_no_filter_can_say_is_refused);
    run(clauses_have_a_limit);
    run(a_value_that_is_json_is_what_json_says);
    run(any_other_value_is_a_text_as_it_stands);
    run(a_column_in_quotes_may_hold_a_colon);
    run(what_names_no_column_is_refused);
    return check_done();
}
