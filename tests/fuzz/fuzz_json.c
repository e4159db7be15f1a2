/* SPDX-License-Identifier: MIT */
/* Any bytes as JSON: the check of JSON columns agrees with jansson's parser, and as text they become valid JSON. */
#include "fuzz.h"

#include "db/result.h"

#include <jansson.h>

const char *const fuzz_seeds[] = {
    "{\"a\": [1, -2.5e+3, true, false, null], \"b\": {\"\\u00e9\\n\": \"\xC3\xA9\"}}",
    "[[[[]]],{},\"\"]",
    "[1,2",
    "{\"a\":",
    " 0 ",
    "\"\\\"",
    "-0.0E-1",
    "\xE2\x82\xAC",
    ",",
    "}",
    NULL,
};

/* What jansson refuses although RFC 8259 allows it: numbers that are too large for it, halves of
 * surrogate pairs, and zeros in keys. */
static int is_beyond_jansson(const json_error_t *error, const char *text)
{
    return json_error_code(error) == json_error_numeric_overflow || strstr(text, "\\u") != NULL;
}

/* As a value of a result, text is written as JSON that any reader takes, and so is valid JSON of a
 * database that does not look at its bytes. */
static void write_as_json(const char *text, size_t size)
{
    static const char *const names[] = {"c"};
    struct columns *columns = weir__columns_new(1, names);
    weir_result *result = NULL;
    struct cell *cells = NULL;
    weir_error error;
    char *written = NULL;
    size_t written_size = 0;

    must(columns != NULL);
    must(weir__result_new(columns, 0, 1 << 20, &result, &error) == WEIR_OK);
    must(weir__result_add_row(result, &cells, &error) == WEIR_OK);
    must(weir__cell_set_text(result, cells, WEIR_TEXT, text, size, &error) == WEIR_OK);
    must(weir_result_to_json(result, &written, &written_size, &error) == WEIR_OK);
    must(weir__json_is_valid(written, written_size));
    if (strstr(text, "\xEF\xBF\xBD") == NULL)
        must(weir_result_is_utf8(result, NULL, NULL) == (strstr(written, "\xEF\xBF\xBD") == NULL));
    free(written);
    weir_result_close(result);
    weir__columns_unref(columns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* jansson ends at a zero byte; and what fits here cannot nest deeper than the check allows. */
    if (size > 1024 || memchr(data, 0, size) != NULL)
        return 0;

    char *text = fuzz_text(data, size);
    json_error_t error;
    bool is_valid = weir__json_is_valid(text, size);
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    must(json == NULL || is_valid);
    must(json != NULL || !is_valid || is_beyond_jansson(&error, text));
    json_decref(json);
    write_as_json(text, size);
    free(text);
    return 0;
}
