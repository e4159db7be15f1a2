/* SPDX-License-Identifier: MIT */
/* JSON from outside: what is refused, and objects put together as text. */
#include "text/json_text.h"

#include "check.h"

#include <stdlib.h>

static weir_status parse(const char *text, size_t size)
{
    json_t *json = NULL;
    weir_status status = json_text_parse(text, size, &json, NULL);

    json_decref(json);
    return status;
}

static weir_status parse_text(const char *text)
{
    return parse(text, strlen(text));
}

static void json_is_taken_and_everything_else_is_not(void)
{
    check(parse_text("{\"a\":[1,2.5,null,true,\"x\"]}") == WEIR_OK);
    check(parse_text("7") == WEIR_OK);
    check(parse_text(" {} \n") == WEIR_OK);
    check(parse_text("") == WEIR_INVALID);
    check(parse_text("{") == WEIR_INVALID);
    check(parse_text("{\"a\":}") == WEIR_INVALID);
    check(parse_text("{\"a\":1,}") == WEIR_INVALID);
    check(parse_text("{} {}") == WEIR_INVALID);
    check(parse_text("{'a':1}") == WEIR_INVALID);
    check(parse_text("NaN") == WEIR_INVALID);
    check(parse_text("{\"a\":1,\"a\":2}") == WEIR_INVALID);
    check(parse_text("{\"a\":1,\"\\u0061\":2}") == WEIR_INVALID);
    check(parse_text("\"\\u0000\"") == WEIR_INVALID);
    check(parse_text("\"\\ud800\"") == WEIR_INVALID);
    check(parse_text("\"\xff\"") == WEIR_INVALID);
    check(parse_text("\"\xc0\xaf\"") == WEIR_INVALID);
    check(parse_text("\"\xed\xa0\x80\"") == WEIR_INVALID);
    check(parse("{}\0", 3) == WEIR_INVALID);
    check(parse("{\"a\":null\0}", 11) == WEIR_INVALID);
    check(parse("{\"a\":1\0}", 8) == WEIR_INVALID);
    check(parse("\"a\0b\"", 5) == WEIR_INVALID);
}

static void large_numbers_are_taken_and_endless_ones_are_not(void)
{
    check(parse_text("123456789012345678901234567890") == WEIR_OK);
    check(parse_text("1e308") == WEIR_OK);
    check(parse_text("1e999") == WEIR_INVALID);
}

static void errors_name_the_place(void)
{
    json_t *json;
    weir_error error;

    check(json_text_parse("{\n\"a\" 1}", 8, &json, &error) == WEIR_INVALID);
    check_contains(error.text, "malformed JSON at line 2, column 5");
    check(json_text_parse("\"\\u0000\"", 8, &json, &error) == WEIR_INVALID);
    check_text(error.text, "malformed JSON at line 1, column 8: \\u0000 is not allowed");
}

static void nesting_has_a_limit(void)
{
    char deep[2 * JSON_TEXT_MAX_DEPTH + 4];

    memset(deep, '[', JSON_TEXT_MAX_DEPTH);
    memset(deep + JSON_TEXT_MAX_DEPTH, ']', JSON_TEXT_MAX_DEPTH);
    check(parse(deep, (size_t)2 * JSON_TEXT_MAX_DEPTH) == WEIR_OK);
    memset(deep, '[', JSON_TEXT_MAX_DEPTH + 1);
    memset(deep + JSON_TEXT_MAX_DEPTH + 1, ']', JSON_TEXT_MAX_DEPTH + 1);
    check(parse(deep, (size_t)2 * JSON_TEXT_MAX_DEPTH + 2) == WEIR_LIMIT);

    /* Brackets in strings nest nothing, escaped quotes end no string. */
    char text[4096] = "\"\\\"";
    memset(text + 3, '[', 500);
    strcpy(text + 503, "\"");
    check(parse_text(text) == WEIR_OK);
}

static void a_million_open_brackets_are_refused_quickly(void)
{
    size_t size = 1 << 20;
    char *deep = malloc(size);

    memset(deep, '[', size);
    check(parse(deep, size) == WEIR_LIMIT);
    free(deep);
}

/* The raw text of a member, "(none)" without one. */
static const char *member_of(const char *text, const char *name)
{
    static char out[256];
    size_t size = 0;
    const char *found = json_text_member(text, strlen(text), name, &size);

    snprintf(out, sizeof out, "%.*s", found != NULL ? (int)size : 6,
             found != NULL ? found : "(none)");
    return out;
}

static void members_are_found_as_they_were_written(void)
{
    const char *text = " { \"a\" : 0.10 , \"b\":{\"a\":[1, \"}\"]} ,\"\\u0063\": \"x\\\"y\" , "
                       "\"d\":123456789012345678901234567890 } ";

    check_text(member_of(text, "a"), "0.10");
    check_text(member_of(text, "b"), "{\"a\":[1, \"}\"]}");
    check_text(member_of(text, "c"), "\"x\\\"y\"");
    check_text(member_of(text, "d"), "123456789012345678901234567890");
    check_text(member_of(text, "e"), "(none)");
    check_text(member_of("{}", "a"), "(none)");
    check_text(member_of("[1]", "a"), "(none)");
}

static void merges(const char *base, const char *over, const char *expected)
{
    char *merged = json_text_merge(base, strlen(base), over, strlen(over));

    check_text(merged, expected);
    free(merged);
}

static void merging_lays_one_object_over_another(void)
{
    merges("{}", "{}", "{}");
    merges("{\"a\":1}", "{}", "{\"a\":1}");
    merges("{}", "{\"a\":1}", "{\"a\":1}");
    merges("{ \"a\" : 1 , \"b\": 2.50 }", "{\"b\":3}", "{\"a\":1,\"b\":3}");
    merges("{\"a\":{\"x\":1}}", "{\"a\":{\"y\":null}}", "{\"a\":{\"y\":null}}");
    merges("{\"\\u0061\":1,\"n\":10000000000000000000001}", "{\"a\":null}",
           "{\"n\":10000000000000000000001,\"a\":null}");
}

static void merging_what_is_no_object_gives_nothing(void)
{
    check(json_text_merge("[]", 2, "{}", 2) == NULL);
    check(json_text_merge("{}", 2, "[]", 2) == NULL);
    check(json_text_merge("", 0, "{}", 2) == NULL);
}

static void picking_keeps_the_named_members(void)
{
    static const char *const names[] = {"b", "d"};
    const char *text = "{\"a\":1, \"b\" : [ 1 ], \"c\":3}";
    char *picked = json_text_pick(text, strlen(text), names, 2);

    check_text(picked, "{\"b\":[ 1 ]}");
    free(picked);
    picked = json_text_pick("{\"a\":1}", 7, names, 2);
    check_text(picked, "{}");
    free(picked);
}

static void truncated_text_is_never_read_beyond_its_end(void)
{
    const char *whole = "{\"a\":{\"b\":[\"\\\"\",1]},\"c\":\"d\\\\\",\"e\":1.5}";
    size_t length = strlen(whole), size;

    for (size_t i = 0; i < length; i++) {
        char *exact = malloc(i + 1); /* so that a sanitizer sees a byte too far */
        memcpy(exact, whole, i);
        (void)json_text_member(exact, i, "zzz", &size);
        check(parse(exact, i) == WEIR_INVALID);
        free(exact);
    }
}

static void elements_of_an_array_are_found_as_they_stand(void)
{
    static const char text[] = " [ {\"a\":[1,\"],\"]} , 1.10,\"x\\\"y\",null ,[] ] ";
    static const char *const expected[] = {"{\"a\":[1,\"],\"]}", "1.10", "\"x\\\"y\"", "null",
                                           "[]"};
    struct json_text_walk walk;
    const char *value;
    size_t size, count = 0;

    check(parse_text(text) == WEIR_OK);
    check(json_text_array(text, strlen(text), &walk));
    for (; json_text_next(&walk, &value, &size); count++) {
        check(count < 5 && size == strlen(expected[count]) &&
              memcmp(value, expected[count], size) == 0);
    }
    check_int(count, 5);
    check(json_text_array("[]", 2, &walk) && !json_text_next(&walk, &value, &size));
    check(!json_text_array("{}", 2, &walk));
    check(!json_text_array("1", 1, &walk));
}

int main(void)
{
    run(json_is_taken_and_everything_else_is_not);
    run(large_numbers_are_taken_and_endless_ones_are_not);
    run(errors_name_the_place);
    run(nesting_has_a_limit);
    run(a_million_open_brackets_are_refused_quickly);
    run(members_are_found_as_they_were_written);
    run(merging_lays_one_object_over_another);
    run(merging_what_is_no_object_gives_nothing);
    run(picking_keeps_the_named_members);
    run(truncated_text_is_never_read_beyond_its_end);
    run(elements_of_an_array_are_found_as_they_stand);
    return check_done();
}
