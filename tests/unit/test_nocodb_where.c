/* SPDX-License-Identifier: MIT */
/* NocoDB's filter clause: which grammar, which quotes, what is refused, and how `column:value` is read. */
#include "services/nocodb_where.h"

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
    check_text(where_one("Zip", NOCODB_TEXT, "8001", NOCODB_V2), "(Zip,eq,8001)");
    check_text(where_one("Year", NOCODB_LT, "1.5", NOCODB_V2), "(Year,lt,1.5)");
    check_text(where_one("Year", NOCODB_LE, "-1", NOCODB_V2), "(Year,lte,-1)");
    check_text(where_one("Year", NOCODB_GE, "1e3", NOCODB_V3), "(\"Year\",gte,1e3)");
    check_text(where_one("Note", NOCODB_BLANK, NULL, NOCODB_V2), "(Note,is,blank)");
    check_text(where_one("Id", NOCODB_GT, "-12345678901234567890", NOCODB_V2),
               "(Id,gt,-12345678901234567890)");
}

/* On SQLite NocoDB takes `true` for a text, which no Checkbox equals. */
static void truth_is_a_number_on_every_backend(void)
{
    check_text(where_one("Alive", NOCODB_EQ, "true", NOCODB_V2), "(Alive,eq,1)");
    check_text(where_one("Alive", NOCODB_EQ, "false", NOCODB_V2), "(Alive,eq,0)");
    check_text(where_one("Alive", NOCODB_EQ, "true", NOCODB_V3), "(\"Alive\",eq,1)");
    check_text(where_one("Alive", NOCODB_TEXT, "true", NOCODB_V2), "(Alive,eq,true)");
}

static void days_are_said_to_be_exact(void)
{
    check_text(where_one("Day", NOCODB_EQ, "2024-02-29", NOCODB_V2),
               "(Day,eq,exactDate,2024-02-29)");
    check_text(where_one("Day", NOCODB_GE, "2024-01-31", NOCODB_V3),
               "(\"Day\",gte,exactDate,2024-01-31)");
    check_text(where_one("Name", NOCODB_TEXT, "2024-01-31", NOCODB_V2), "(Name,eq,2024-01-31)");
    check_contains(where_one("At", NOCODB_LT, "2024-01-31 10:20", NOCODB_V2), "nor a day");
    check_contains(where_one("At", NOCODB_EQ, "2023-02-29", NOCODB_V2), "nor a day");
}

static void a_checkbox_is_unset_where_it_is_neither(void)
{
    check_text(where_one("Done", NOCODB_UNSET, NULL, NOCODB_V2),
               "(Done,notchecked)~and(Done,neq,0)");
    check_text(where_one("Done", NOCODB_UNSET, NULL, NOCODB_V3),
               "(\"Done\",notchecked)~and(\"Done\",neq,0)");
    check_text(where_one("D,", NOCODB_UNSET, NULL, NOCODB_V2),
               "@(\"D,\",notchecked)~and(\"D,\",neq,0)");
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
    check_text(where_one("a\\", NOCODB_TEXT, "b\\", NOCODB_V2), "(a\\,eq,b\\)");
    check_text(like("a", "x,'\","), "(a,like,%x,'\",%)");
    check_text(where_one("a", NOCODB_TEXT, "x, y", NOCODB_V2), "(a,eq,x, y)");
    check_text(where_one("a", NOCODB_TEXT, "", NOCODB_V2), "(a,eq,)");
    check_text(like("a=&#@", "50%_"), "(a=&#@,like,%50%_%)");
}

static void structure_in_a_name_or_text_puts_all_of_them_in_quotes(void)
{
    const struct nocodb_condition conditions[] = {{"a", NOCODB_LIKE, "x)y"}, {"b", NOCODB_GT, "1"}};

    check_text(where(conditions, 2, NOCODB_V2), "@(\"a\",like,\"%x)y%\")~and(\"b\",gt,1)");
    check_text(where_one("a", NOCODB_TEXT, " x", NOCODB_V2), "@(\"a\",eq,\" x\")");
    check_text(like("Size (cm)", "3"), "@(\"Size (cm)\",like,\"%3%\")");
    check_text(like("a", "x)~and(b,eq,1"), "@(\"a\",like,\"%x)~and(b,eq,1%\")");
    check_text(like("a", "~"), "@(\"a\",like,\"%~%\")");
    check_text(like(" a", "x"), "@(\" a\",like,\"%x%\")");
    check_text(like("a ", "x"), "@(\"a \",like,\"%x%\")");
    check_text(like("a", "say \"x\"("), "@(\"a\",like,'%say \"x\"(%')");
    check_text(like("it's, a", "it's"), "@(\"it's, a\",like,\"%it's%\")");
    check_text(where_one("a,b", NOCODB_BLANK, NULL, NOCODB_V2), "@(\"a,b\",is,blank)");
}

static void what_quotes_cannot_hold_is_refused_with_the_column(void)
{
    check_text(like("Name", "a'b\"c("),
               "filter on column \"Name\": its value holds both kinds of quotes, which NocoDB's "
               "filters cannot express here");
    check_contains(where_one("Name", NOCODB_LIKE, "a'b\"c", NOCODB_V3), "both kinds of quotes");
    check_contains(where_one("a'b\"c", NOCODB_EQ, "1", NOCODB_V3), "its name holds both kinds");
    check_contains(where_one("a\\", NOCODB_EQ, "1", NOCODB_V3), "its name ends with a backslash");
    check_contains(like("a\\", "x(y"), "its name ends with a backslash");
    check_contains(where_one("a", NOCODB_TEXT, "x\\", NOCODB_V3),
                   "its value ends with a backslash");
    check_text(where_one("a\\b", NOCODB_TEXT, "x\\y", NOCODB_V3), "(\"a\\b\",eq,\"x\\y\")");
}

/* What stands for a backslash is another thing on PostgreSQL than on SQLite. */
static void a_text_to_be_contained_may_not_have_a_backslash(void)
{
    static const char *const texts[] = {"\\", "a\\b", "C:\\", "100\\%", "\\_,"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_contains(like("Path", texts[i]), "column \"Path\": its value holds a backslash");
        check_contains(where_one("Path", NOCODB_LIKE, texts[i], NOCODB_V3), "write _ in its place");
    }
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
    check_contains(where_one("a", NOCODB_EQ, "x", NOCODB_V2),
                   "neither a number, true, false nor a day");
    check_contains(where_one("a", NOCODB_EQ, "1,2", NOCODB_V2), "neither a number");
    check_contains(where_one("a", NOCODB_EQ, "", NOCODB_V2), "neither a number");
    check_contains(where_one("a", NOCODB_EQ, "-", NOCODB_V2), "neither a number");
    check_contains(where_one("a", NOCODB_GT, "true", NOCODB_V2), "neither a number nor a day");
    check_contains(where_one("a", NOCODB_LE, "2024-02-30", NOCODB_V2),
                   "neither a number nor a day");
    check_contains(where_one("a", NOCODB_LT, "", NOCODB_V2), "neither a number nor a day");
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

static enum nocodb_op parameter; /* how the next texts are read */

static void reads_as(const char *text, const char *column, enum nocodb_op op, const char *value)
{
    struct nocodb_condition condition = {0};
    char *memory = NULL;
    weir_error error = {0};

    check(nocodb_condition_parse(parameter, text, &condition, &memory, &error) == WEIR_OK);
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

static void a_text_to_be_equal_is_a_text_unless_it_is_a_truth_a_date_or_null(void)
{
    parameter = NOCODB_TEXT;
    reads_as("Zip:8001", "Zip", NOCODB_TEXT, "8001");
    reads_as("Name:a\\b", "Name", NOCODB_TEXT, "a\\b");
    reads_as("Name:", "Name", NOCODB_TEXT, "");
    reads_as("Name:\"\"", "Name", NOCODB_TEXT, "");
    reads_as("Alive:true", "Alive", NOCODB_EQ, "true");
    reads_as("Name:\"true\"", "Name", NOCODB_TEXT, "true");
    reads_as("Day:2024-01-31", "Day", NOCODB_EQ, "2024-01-31");
    reads_as("Name:\"2024-01-31\"", "Name", NOCODB_TEXT, "2024-01-31");
    reads_as("Note:null", "Note", NOCODB_BLANK, NULL);
    reads_as("Note:\"null\"", "Note", NOCODB_TEXT, "null");
    parameter = NOCODB_LIKE;
    reads_as("Day:2024-01-31", "Day", NOCODB_LIKE, "2024-01-31");
}

static void a_comparison_takes_its_value_as_it_stands(void)
{
    parameter = NOCODB_GE;
    reads_as("Year:2000", "Year", NOCODB_GE, "2000");
    reads_as("Day:2024-01-31", "Day", NOCODB_GE, "2024-01-31");
    reads_as("Year:null", "Year", NOCODB_GE, "null");
    parameter = NOCODB_LIKE;
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
        check(nocodb_condition_parse(NOCODB_LIKE, wrong[i], &condition, &memory, &error) ==
              WEIR_INVALID);
        check_text(error.text, "must be column:value, as in Name:Smith");
    }
    check(memory == NULL);
}

int main(void)
{
    run(each_kind_of_condition_has_its_operator);
    run(truth_is_a_number_on_every_backend);
    run(days_are_said_to_be_exact);
    run(a_checkbox_is_unset_where_it_is_neither);
    run(conditions_are_joined_and_none_is_the_empty_clause);
    run(the_older_grammar_serves_wherever_it_can);
    run(structure_in_a_name_or_text_puts_all_of_them_in_quotes);
    run(what_quotes_cannot_hold_is_refused_with_the_column);
    run(a_text_to_be_contained_may_not_have_a_backslash);
    run(what_no_filter_can_say_is_refused);
    run(clauses_have_a_limit);
    run(a_value_that_is_json_is_what_json_says);
    run(any_other_value_is_a_text_as_it_stands);
    run(a_text_to_be_equal_is_a_text_unless_it_is_a_truth_a_date_or_null);
    run(a_comparison_takes_its_value_as_it_stands);
    run(a_column_in_quotes_may_hold_a_colon);
    run(what_names_no_column_is_refused);
    return check_done();
}
