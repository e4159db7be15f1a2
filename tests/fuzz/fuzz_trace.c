/* SPDX-License-Identifier: MIT */
/* Any text as a traceparent, and any as a statement whose values must not be seen. */
#include "fuzz.h"

#include <weir/db.h>
#include <weir/trace.h>

const char *const fuzz_seeds[] = {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later",
    "00000000000000000000000000000000",
    "0000000000000000",
    "SELECT a, 'b''c' FROM \"t\" WHERE x = 1.5e-3 AND y = :y",
    "E'\\''",
    "$tag$ x $tag$",
    "/* /* */ */",
    "-- \n",
    "SELECT ARRAY[['x'], [E'\\'']], a[1] FROM [t 1]",
    "it's",
    "a'b\"c'd\"e",
    "a/*b",
    NULL,
};

static void check_traceparent(const char *text)
{
    weir_trace_context context = {.is_sampled = true};
    char again[WEIR_TRACEPARENT_SIZE];

    if (!weir_traceparent_parse(text, &context)) {
        must(context.is_sampled && context.trace_id[0] == 0);
        return;
    }
    must(strlen(text) >= 55);
    must(text[0] != '0' || text[1] != '0' || strlen(text) == 55);
    weir_traceparent_format(&context, again);
    must(strlen(again) == 55);
    must(memcmp(text + 2, again + 2, 51) == 0);
    must(weir_traceparent_parse(again, &context));
}

/* Quotes that are left belong to names. */
static void check_statement(const char *text)
{
    char stripped[600];
    char again[600];
    size_t size = weir_sql_without_values(text, stripped, sizeof stripped);

    must(size < sizeof stripped && strlen(stripped) == size);
    must(size <= 2 * strlen(text));
    if (strchr(stripped, '"') == NULL && strchr(stripped, '`') == NULL)
        must(strchr(stripped, '\'') == NULL);
    for (size_t i = 0; i < size; i++)
        must(stripped[i] != '\n' || memchr(stripped, '"', size) != NULL ||
             memchr(stripped, '`', size) != NULL);
    for (size_t room = 1; room < 20; room++) {
        size_t part = weir_sql_without_values(text, again, room);
        must(part < room && strncmp(again, stripped, part) == 0);
    }
}

/* As a name of SQLite's, in brackets, it must not bring out a value that stands behind it: one word, which
 * nothing that is left out of the name can put together. */
static void check_bracketed(const char *text)
{
    static const char value[] = "hunter2";
    char statement[600];
    char stripped[1200];

    if (strchr(text, ']') != NULL || strstr(text, value) != NULL || strlen(text) > 500)
        return;
    snprintf(statement, sizeof statement, "SELECT [%s], '%s', '\n*/ %s\"`$$ ' FROM t", text, value,
             value);
    weir_sql_without_values(statement, stripped, sizeof stripped);
    must(strstr(stripped, value) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    check_traceparent(text);
    check_statement(text);
    check_bracketed(text);
    free(text);
    return 0;
}
