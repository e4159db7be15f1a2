/* SPDX-License-Identifier: MIT */
/* Any text as SQL: what was translated once has no names left, and is left alone by a second pass. */
#include "fuzz.h"

#include "db/params.h"

const char *const fuzz_seeds[] = {
    "SELECT * FROM t WHERE id = :id AND name = :name",
    "SELECT $1, $2::text, a[1:2], b[:lo:hi]",
    "E'a\\'b' || $tag$ :x $tag$ || 'it''s' -- :c\n/* /* :d */ */",
    "\"a\"\"b\" `c` [d:e] $$ $$ $a$",
    ":a",
    "::int",
    ":=",
    "E'\n'",
    "$x$",
    "/*",
    NULL,
};

static void check(const char *text, enum sql_dialect dialect)
{
    struct translation once;
    struct translation twice;
    weir_error error = {0};
    weir_status status = weir__translate(text, dialect, &once, &error);
    must(status == WEIR_OK || status == WEIR_INVALID);
    if (status != WEIR_OK) {
        must(error.text[0] != '\0');
        return;
    }

    must(once.text_size == strlen(once.text));
    for (int i = 0; once.names != NULL && i < once.param_count; i++)
        must(once.names[i][0] != '\0');
    must(weir__translate(once.text, dialect, &twice, &error) == WEIR_OK);
    must(twice.names == NULL);
    must(strcmp(once.text, twice.text) == 0);
    /* $1 is found again; ?1 is none of the scanner's. */
    must(twice.param_count == (dialect == DIALECT_POSTGRES ? once.param_count : 0));
    weir__translation_clear(&once);
    weir__translation_clear(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    check(text, DIALECT_SQLITE);
    check(text, DIALECT_POSTGRES);
    free(text);
    return 0;
}
