/* SPDX-License-Identifier: MIT */
/* Results: building, reading, the byte limit, dates, JSON; and schemas with the quoting of names. */
#include "check.h"
#include "db/reflect.h"
#include "db/result.h"

#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#define NO_LIMIT ((int64_t)1 << 40)

static weir_result *new_result(size_t count, const char *const *names, int64_t limit)
{
    struct columns *columns = weir__columns_new(count, names);
    weir_result *result = NULL;
    weir_error error;

    check_int(weir__result_new(columns, 0, limit, &result, &error), WEIR_OK);
    weir__columns_unref(columns);
    return result;
}

static weir_result *new_column(int64_t limit)
{
    static const char *const names[] = {"c"};

    return new_result(1, names, limit);
}

static struct cell *add_row(weir_result *result)
{
    struct cell *cells = NULL;
    weir_error error;

    check_int(weir__result_add_row(result, &cells, &error), WEIR_OK);
    return cells;
}

static void set_text(weir_result *result, struct cell *cell, weir_type type, const char *text)
{
    weir_error error;

    check_int(weir__cell_set_text(result, cell, type, text, strlen(text), &error), WEIR_OK);
}

/* ---- values ------------------------------------------------------------------------------ */

static void makers_make_what_they_say(void)
{
    check_int(weir_null().type, WEIR_NULL);
    check(weir_bool(true).type == WEIR_BOOL && weir_bool(true).boolean);
    check(weir_int(INT64_MIN).type == WEIR_INT && weir_int(INT64_MIN).integer == INT64_MIN);
    check(weir_double(0.5).type == WEIR_DOUBLE && weir_double(0.5).real == 0.5);
    check(weir_text("ab").type == WEIR_TEXT && weir_text("ab").size == 2);
    check_int(weir_text(NULL).type, WEIR_NULL);
    check_int(weir_json(NULL).type, WEIR_NULL);
    check_int(weir_timestamp(NULL).type, WEIR_NULL);
    check(weir_text_n("abc", 2).size == 2);
    check(weir_blob("", 0).type == WEIR_BLOB);
    check_text(weir_type_name(WEIR_TIMESTAMP), "timestamp");
    check_text(weir_type_name((weir_type)99), "unknown");
}

/* ---- building ---------------------------------------------------------------------------- */

static void every_type_comes_back_as_it_was_set(void)
{
    static const char *const names[] = {"n", "b", "i", "d", "t", "x"};
    weir_result *result = new_result(6, names, NO_LIMIT);
    struct cell *cells = add_row(result);

    weir__cell_set_bool(&cells[1], true);
    weir__cell_set_int(&cells[2], INT64_MAX);
    weir__cell_set_double(&cells[3], -0.25);
    set_text(result, &cells[4], WEIR_TEXT, "text");
    set_text(result, &cells[5], WEIR_BLOB, "");
    check_int(weir_result_row_count(result), 1);
    check_int(weir_result_column_count(result), 6);
    check_int(weir_result_value(result, 0, 0).type, WEIR_NULL);
    check(weir_result_value(result, 0, 1).boolean);
    check(weir_result_value(result, 0, 2).integer == INT64_MAX);
    check(weir_result_value(result, 0, 3).real == -0.25);
    check_text(weir_result_value(result, 0, 4).text, "text");
    check_int(weir_result_value(result, 0, 5).type, WEIR_BLOB);
    check_int(weir_result_value(result, 0, 5).size, 0);
    check_text(weir_result_column_name(result, 5), "x");
    check_int(weir_result_column_index(result, "d"), 3);
    weir_result_close(result);
}

static void out_of_range_is_null_and_never_more(void)
{
    weir_result *result = new_column(NO_LIMIT);

    check_int(weir_result_value(result, 0, 0).type, WEIR_NULL);
    add_row(result);
    check_int(weir_result_value(result, 1, 0).type, WEIR_NULL);
    check_int(weir_result_value(result, 0, 1).type, WEIR_NULL);
    check_int(weir_result_value(result, SIZE_MAX, SIZE_MAX).type, WEIR_NULL);
    check(weir_result_column_name(result, 1) == NULL);
    check_int(weir_result_column_index(result, "none"), -1);
    weir_result_close(result);
    weir_result_close(NULL);
}

static void a_result_without_columns_counts_its_rows(void)
{
    weir_result *result = NULL;
    weir_error error;

    check_int(weir__result_new(NULL, 3, NO_LIMIT, &result, &error), WEIR_OK);
    add_row(result);
    add_row(result);
    check_int(weir_result_row_count(result), 2);
    check_int(weir_result_column_count(result), 0);
    check_int(weir_result_value(result, 0, 0).type, WEIR_NULL);
    weir_result_close(result);
}

/* Texts of many sizes, so that they fall inside, across and alone in chunks; none may move. */
static void many_rows_keep_every_text(void)
{
    static const char *const names[] = {"i", "t"};
    weir_result *result = new_result(2, names, NO_LIMIT);
    char *text = malloc(40000);

    memset(text, 'x', 40000);
    for (int i = 0; i < 3000; i++) {
        struct cell *cells = add_row(result);
        weir_error error;
        size_t size = (size_t)(i % 100 == 99 ? 30000 : i % 37 * i % 211);
        weir__cell_set_int(&cells[0], i);
        check_int(weir__cell_set_text(result, &cells[1], WEIR_TEXT, text, size, &error), WEIR_OK);
    }
    bool all_right = true;
    for (int i = 0; i < 3000; i++) {
        size_t size = (size_t)(i % 100 == 99 ? 30000 : i % 37 * i % 211);
        weir_value value = weir_result_value(result, (size_t)i, 1);
        all_right &= weir_result_value(result, (size_t)i, 0).integer == i;
        all_right &=
            value.size == size && memcmp(value.text, text, size) == 0 && value.text[size] == '\0';
    }
    check(all_right);
    free(text);
    weir_result_close(result);
}

static void wide_rows_and_row_hints_are_only_a_matter_of_memory(void)
{
    const char *names[1600];
    for (int i = 0; i < 1600; i++)
        names[i] = "column";
    struct columns *columns = weir__columns_new(1600, names);
    weir_error error;

    for (size_t hint = 0; hint <= 1000000; hint = hint * 100 + 1) {
        weir_result *result = NULL;
        check_int(weir__result_new(columns, hint, 1 << 20, &result, &error), WEIR_OK);
        for (int i = 0; i < 3; i++)
            weir__cell_set_int(&add_row(result)[1599], i);
        check(weir_result_value(result, 2, 1599).integer == 2);
        check_int(weir_result_value(result, 2, 0).type, WEIR_NULL);
        weir_result_close(result);
    }
    weir__columns_unref(columns);
}

static void the_byte_limit_counts_cells_and_texts(void)
{
    weir_result *result = new_column(1024);
    struct cell *cells = NULL;
    char text[1024] = {0};
    weir_error error = {0};

    add_row(result);
    cells = add_row(result);
    check_int(result->bytes, 32);
    check_int(weir__cell_set_text(result, cells, WEIR_BLOB, text, 992, &error), WEIR_LIMIT);
    check_contains(error.text, "max_result_bytes (1024)");
    check_int(cells->type, WEIR_NULL);
    check_int(weir__cell_set_text(result, cells, WEIR_BLOB, text, 991, &error), WEIR_OK);
    check_int(weir__result_add_row(result, &cells, &error), WEIR_LIMIT);
    check_int(weir_result_row_count(result), 2);
    weir_result_close(result);
}

static void a_shortened_value_ends_where_it_should(void)
{
    weir_result *result = new_column(NO_LIMIT);
    struct cell *cells = add_row(result);
    char *room;
    weir_error error;

    check_int(weir__cell_reserve(result, cells, WEIR_TEXT, 10, &room, &error), WEIR_OK);
    memcpy(room, "abc", 3);
    weir__cell_shorten(cells, 3);
    check_text(weir_result_value(result, 0, 0).text, "abc");
    check_int(weir_result_value(result, 0, 0).size, 3);
    weir_result_close(result);
}

/* ---- dates ------------------------------------------------------------------------------- */

static void check_date(const char *text, const char *expected)
{
    char room[WEIR_TIMESTAMP_ROOM + 1] = "";
    size_t length = weir__timestamp_normalise(text, strlen(text), room);

    room[length] = '\0';
    check_text(room, expected);
}

static void dates_are_written_in_iso_8601(void)
{
    check_date("2024-02-29", "2024-02-29");
    check_date("2024-02-29 12:30:00", "2024-02-29T12:30:00");
    check_date("2024-02-29T12:30:00", "2024-02-29T12:30:00");
    check_date("2024-02-29 12:30", "2024-02-29T12:30");
    check_date("2024-02-29 12:30:00.5", "2024-02-29T12:30:00.5");
    check_date("2024-02-29 12:30:00.123456789", "2024-02-29T12:30:00.123456789");
    check_date("2024-02-29 12:30:00Z", "2024-02-29T12:30:00+00:00");
    check_date("2024-02-29 12:30:00+00", "2024-02-29T12:30:00+00:00");
    check_date("2024-02-29 12:30:00-0330", "2024-02-29T12:30:00-03:30");
    check_date("2024-02-29 12:30:00.25+05:45", "2024-02-29T12:30:00.25+05:45");
    check_date("1890-01-01 00:00:00+01:23:45", "1890-01-01T00:00:00+01:23:45");
}

static void what_is_no_date_is_left_to_be_text(void)
{
    static const char *const texts[] = {
        "",
        "infinity",
        "-infinity",
        "now",
        "2024",
        "2024-2-29",
        "2024-02-29 ",
        "2024-02-29 1:30",
        "2024-02-29 12:30:00.",
        "2024-02-29 12:30:00.1234567890",
        "2024-02-29 12:30:00+0",
        "2024-02-29 12:30:00 +02",
        "2024-02-29 12:30:00 BC",
        "12024-02-29",
        "2024-02-29x",
        "2024-02-29 12:30:00+01:2",
        "20240229",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_date(texts[i], "");
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void check_json(const weir_result *result, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    weir_error error = {0};
    weir_status status = weir_result_to_json(result, &text, &size, &error);

    check_int(status, WEIR_OK);
    check_text(text, expected);
    check_int(size, strlen(expected));
    free(text);
}

static void a_result_is_an_array_of_objects(void)
{
    static const char *const names[] = {"id", "a \"b\"", "x"};
    weir_result *result = new_result(3, names, NO_LIMIT);

    check_json(result, "[]");
    struct cell *cells = add_row(result);
    weir__cell_set_int(&cells[0], INT64_MIN);
    set_text(result, &cells[1], WEIR_TEXT, "q\" b\\ n\n t\t \x01 / \xE2\x82\xAC");
    set_text(result, &cells[2], WEIR_JSON, "{\"k\": [1.50, 1e400]}");
    cells = add_row(result);
    weir__cell_set_bool(&cells[0], false);
    set_text(result, &cells[1], WEIR_TIMESTAMP, "2024-02-29T00:00:00");
    check_json(result,
               "[{\"id\":-9223372036854775808,\"a \\\"b\\\"\":\"q\\\" b\\\\ n\\n t\\t \\u0001 / "
               "\xE2\x82\xAC\",\"x\":{\"k\": [1.50, 1e400]}},"
               "{\"id\":false,\"a \\\"b\\\"\":\"2024-02-29T00:00:00\",\"x\":null}]");

    char *text = NULL;
    weir_error error = {0};
    check_int(weir_result_row_to_json(result, 1, &text, NULL, &error), WEIR_OK);
    check_text(text, "{\"id\":false,\"a \\\"b\\\"\":\"2024-02-29T00:00:00\",\"x\":null}");
    free(text);
    check_int(weir_result_row_to_json(result, 2, &text, NULL, &error), WEIR_NOT_FOUND);
    weir_result_close(result);
}

static void check_double(double real, const char *expected)
{
    weir_result *result = new_column(NO_LIMIT);
    char text[64];

    weir__cell_set_double(add_row(result), real);
    snprintf(text, sizeof text, "[{\"c\":%s}]", expected);
    check_json(result, text);
    weir_result_close(result);
}

static void doubles_are_as_short_as_they_can_be(void)
{
    check_double(0.1, "0.1");
    check_double(1, "1.0");
    check_double(-0.0, "-0.0");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(5e-324, "5e-324");
    check_double(1e22, "1e+22");
    check_double(123456789012345680.0, "1.2345678901234568e+17");
    check_double(NAN, "null");
    check_double(-INFINITY, "null");
}

static void doubles_have_a_point_in_every_locale(void)
{
    /* Where the locale is not installed, this repeats the test before it. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    check_double(0.5, "0.5");
    check_double(1e22, "1e+22");
    setlocale(LC_ALL, "C");
}

static void check_base64(const char *bytes, size_t size, const char *expected)
{
    weir_result *result = new_column(NO_LIMIT);
    char text[64];
    weir_error error;

    check_int(weir__cell_set_text(result, add_row(result), WEIR_BLOB, bytes, size, &error),
              WEIR_OK);
    snprintf(text, sizeof text, "[{\"c\":\"%s\"}]", expected);
    check_json(result, text);
    weir_result_close(result);
}

/* The vectors of RFC 4648. */
static void blobs_are_written_in_base64(void)
{
    check_base64("", 0, "");
    check_base64("f", 1, "Zg==");
    check_base64("fo", 2, "Zm8=");
    check_base64("foo", 3, "Zm9v");
    check_base64("foob", 4, "Zm9vYg==");
    check_base64("fooba", 5, "Zm9vYmE=");
    check_base64("foobar", 6, "Zm9vYmFy");
    check_base64("\xFF\xFE\x00", 3, "//4A");
}

#define FFFD "\xEF\xBF\xBD"

static void bytes_of_no_character_are_replaced_one_by_one(void)
{
    static const struct {
        const char *text;
        const char *written;
    } broken[] = {
        {"\x80", FFFD},
        {"\xC3", FFFD},
        {"\xC0\x80", FFFD FFFD},
        {"\xED\xA0\x80", FFFD FFFD FFFD},
        {"\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD},
        {"\xF0\x8F\xBF\xBF", FFFD FFFD FFFD FFFD},
        {"caf\xE9 cr\xE8me", "caf" FFFD " cr" FFFD "me"},
        {"ok\xE2\x82", "ok" FFFD FFFD},
    };

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        static const char *const names[] = {"a", "c"};
        char expected[128];
        size_t row = 9;
        size_t column = 9;
        weir_result *result = new_result(2, names, NO_LIMIT);
        add_row(result);
        check(weir_result_is_utf8(result, &row, &column));
        check_int(row, 9);
        set_text(result, &add_row(result)[1], WEIR_TEXT, broken[i].text);
        snprintf(expected, sizeof expected, "[{\"a\":null,\"c\":null},{\"a\":null,\"c\":\"%s\"}]",
                 broken[i].written);
        check_json(result, expected);
        check(!weir_result_is_utf8(result, &row, &column));
        check_int(row, 1);
        check_int(column, 1);
        check(!weir_result_is_utf8(result, NULL, NULL));
        check_text(weir_result_value(result, 1, 1).text, broken[i].text);
        weir_result_close(result);
    }
}

static void json_values_and_names_are_utf8_too(void)
{
    static const char *const names[] = {"n\xFF"};
    weir_result *result = new_result(1, names, NO_LIMIT);

    set_text(result, add_row(result), WEIR_JSON, "{\"long enough\": \"a\xFF\xC3\xA9\"}");
    check(!weir_result_is_utf8(result, NULL, NULL));
    check_json(result, "[{\"n" FFFD "\":{\"long enough\": \"a" FFFD "\xC3\xA9\"}}]");
    weir_result_close(result);

    /* A blob is no text. */
    weir_error error;
    result = new_column(NO_LIMIT);
    check_int(weir__cell_set_text(result, add_row(result), WEIR_BLOB, "\xFF", 1, &error), WEIR_OK);
    check(weir_result_is_utf8(result, NULL, NULL));
    weir_result_close(result);
}

/* Every character there is, in texts that cross the writer's steps: another parser must read back
 * the same. */
static void a_parser_reads_back_every_character(void)
{
    weir_result *result = new_column(NO_LIMIT);
    char *all = malloc(0x110000 * 4);
    size_t size = 0;

    for (unsigned c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        if (c < 0x80) {
            all[size++] = (char)c;
        } else if (c < 0x800) {
            all[size++] = (char)(0xC0 | c >> 6);
            all[size++] = (char)(0x80 | (c & 63));
        } else if (c < 0x10000) {
            all[size++] = (char)(0xE0 | c >> 12);
            all[size++] = (char)(0x80 | (c >> 6 & 63));
            all[size++] = (char)(0x80 | (c & 63));
        } else {
            all[size++] = (char)(0xF0 | c >> 18);
            all[size++] = (char)(0x80 | (c >> 12 & 63));
            all[size++] = (char)(0x80 | (c >> 6 & 63));
            all[size++] = (char)(0x80 | (c & 63));
        }
    }
    weir_error error;
    char *text = NULL;
    size_t text_size = 0;
    check_int(weir__cell_set_text(result, add_row(result), WEIR_TEXT, all, size, &error), WEIR_OK);
    check_int(weir_result_to_json(result, &text, &text_size, &error), WEIR_OK);
    check(weir__json_is_valid(text, text_size));

    json_t *json = json_loadb(text, text_size, JSON_ALLOW_NUL, NULL);
    json_t *value = json_object_get(json_array_get(json, 0), "c");
    check(json_is_string(value) && json_string_length(value) == size &&
          memcmp(json_string_value(value), all, size) == 0);
    json_decref(json);
    free(text);
    free(all);
    weir_result_close(result);
}

static void json_is_told_from_what_only_looks_like_it(void)
{
    static const char *const good[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.5e-3",
        "1E400",
        "\"\"",
        "\"\\u00e9\\n\"",
        "[]",
        "{}",
        " [ 1 , [ ] , { \"a\" : { } , \"b\" : [ null ] } ] ",
        "123456789012345678901234567890",
        "{\"a\":1,\"a\":2}",
        "\t\n\r 1",
    };
    static const char *const bad[] = {
        "",           " ",
        "nul",        "nullx",
        "01",         "-",
        "1.",         ".5",
        "1e",         "+1",
        "\"",         "\"\\x\"",
        "\"\\u12\"",  "\"\n\"",
        "[1,]",       "[,1]",
        "[1 2]",      "[",
        "]",          "{",
        "}",          "{\"a\"}",
        "{\"a\":}",   "{a:1}",
        "{\"a\":1,}", "[1}",
        "{]",         "1 2",
        "[] []",      "'a'",
        "\"\xFF\"",   "NaN",
        "[1],",       "{\"a\":1 \"b\":2}",
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!weir__json_is_valid(good[i], strlen(good[i])))
            printf("# refused: %s\n", good[i]);
        check(weir__json_is_valid(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (weir__json_is_valid(bad[i], strlen(bad[i])))
            printf("# accepted: %s\n", bad[i]);
        check(!weir__json_is_valid(bad[i], strlen(bad[i])));
    }
}

static void json_may_nest_512_deep(void)
{
    char text[2 * 513];

    for (size_t depth = 512; depth <= 513; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        check_int(weir__json_is_valid(text, 2 * depth), depth == 512);
    }
}

/* ---- schemas ----------------------------------------------------------------------------- */

static void a_schema_is_found_in_name_order(void)
{
    static const char *const names[] = {"b", "a", "C", "a b"};
    weir_schema *schema;
    weir_error error;

    check_int(weir__schema_new(&schema, &error), WEIR_OK);
    check(weir_schema_find(schema, "a") == NULL);
    for (size_t i = 0; i < 4; i++) {
        struct schema_table *table;
        check_int(weir__schema_add_table(schema, names[i], i == 3, &table, &error), WEIR_OK);
        check(weir__schema_table_named(schema, names[i]) == table);
        for (int k = 0; k < 5; k++) {
            weir_column column = {.name = "c", .sql_type = "INT", .primary_key = k};
            check_int(weir__schema_add_column(table, &column, &error), WEIR_OK);
        }
        weir_foreign_key key = {.column = "c", .foreign_table = "a", .foreign_column = NULL};
        check_int(weir__schema_add_foreign_key(table, &key, &error), WEIR_OK);
    }
    check(weir__schema_table_named(schema, "none") == NULL);
    weir__schema_finish(schema);

    check_int(weir_schema_table_count(schema), 4);
    check_text(weir_schema_table(schema, 0)->name, "C");
    check_text(weir_schema_table(schema, 3)->name, "b");
    check(weir_schema_table(schema, 4) == NULL);
    check(weir_schema_find(schema, "c") == NULL);
    const weir_table *table = weir_schema_find(schema, "a b");
    check(table != NULL && table->is_view && table->column_count == 5);
    check(table != NULL && table->columns[4].primary_key == 4);
    check(table != NULL && table->foreign_keys[0].foreign_column == NULL);
    weir_schema_close(schema);
    weir_schema_close(NULL);
}

static void names_are_quoted_and_cut_as_snprintf_cuts(void)
{
    char buffer[16];

    check_int(weir_quote_name("Alpha-3 Code", buffer, sizeof buffer), 14);
    check_text(buffer, "\"Alpha-3 Code\"");
    check_int(weir_quote_name("a\"b", buffer, sizeof buffer), 6);
    check_text(buffer, "\"a\"\"b\"");
    check_int(weir_quote_name("a long name of it", buffer, sizeof buffer), 19);
    check_text(buffer, "\"a long name of");
    check_int(weir_quote_name("abc", buffer, 0), 5);
    check_int(weir_quote_name("", buffer, 3), 2);
    check_text(buffer, "\"\"");
}

int main(void)
{
    run(makers_make_what_they_say);
    run(every_type_comes_back_as_it_was_set);
    run(out_of_range_is_null_and_never_more);
    run(a_result_without_columns_counts_its_rows);
    run(many_rows_keep_every_text);
    run(wide_rows_and_row_hints_are_only_a_matter_of_memory);
    run(the_byte_limit_counts_cells_and_texts);
    run(a_shortened_value_ends_where_it_should);
    run(dates_are_written_in_iso_8601);
    run(what_is_no_date_is_left_to_be_text);
    run(a_result_is_an_array_of_objects);
    run(doubles_are_as_short_as_they_can_be);
    run(doubles_have_a_point_in_every_locale);
    run(blobs_are_written_in_base64);
    run(bytes_of_no_character_are_replaced_one_by_one);
    run(json_values_and_names_are_utf8_too);
    run(a_parser_reads_back_every_character);
    run(json_is_told_from_what_only_looks_like_it);
    run(json_may_nest_512_deep);
    run(a_schema_is_found_in_name_order);
    run(names_are_quoted_and_cut_as_snprintf_cuts);
    return check_done();
}
