/* SPDX-License-Identifier: MIT */
/* Any text as SQL: its tokens fill it without a gap, and comments are blanks to what changes a session. */
#include "fuzz.h"

#include "db/drivers/postgres.h"

const char *const fuzz_seeds[] = {
    "CREATE /* x */ TEMP TABLE t (a int)",
    "SELECT 1 INTO /**/ TEMPORARY t",
    "DECLARE c CURSOR WITH -- x\n HOLD FOR SELECT 1",
    "UPDATE ONLY pg_catalog.\"pg_settings\" SET setting = 1",
    "SELECT U&\"set\\005fconfig\"('a', 'b', false)",
    "DO $x$ BEGIN END $x$; SELECT 1INTO TEMP t",
    "SELECT E'a\\'b'\n'c' || $tag$ pg_advisory_lock(1) $tag$ || 'it''s' /* /* d */ */",
    "INSERT INTO temp VALUES ('set_config')",
    "`a``b` [c d] ?12a$1",
    NULL,
};

static void check_tokens(const char *text, const char *end, enum sql_dialect dialect)
{
    const char *at = text;

    while (at < end) {
        struct token token = weir__token_at(at, end, dialect);
        must(token.kind != TOKEN_END && token.at == at && token.size > 0);
        must(token.size <= (size_t)(end - at));
        if (token.kind == TOKEN_STRING || token.kind == TOKEN_NAME) {
            must(token.inside > at && token.inside <= at + token.size);
            must(token.inside_size <= (size_t)(at + token.size - token.inside));
        }
        at += token.size;
    }
    must(at == end);
    must(weir__token_at(at, end, dialect).kind == TOKEN_END);
}

/* The text with a comment in place of each blank. malloc'ed. */
static char *with_comments(const char *text, const char *end)
{
    char *copy = malloc((size_t)(end - text) * 4 + 1);
    char *to = copy;

    must(copy != NULL);
    for (const char *at = text; at < end;) {
        struct token token = weir__token_at(at, end, DIALECT_POSTGRES);
        bool is_blank = token.kind == TOKEN_BLANK;
        memcpy(to, is_blank ? "/**/" : at, is_blank ? 4 : token.size);
        to += is_blank ? 4 : token.size;
        at += token.size;
    }
    *to = '\0';
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const char *end = text + strlen(text);

    check_tokens(text, end, DIALECT_SQLITE);
    check_tokens(text, end, DIALECT_POSTGRES);
    char *commented = with_comments(text, end);
    must(weir__pg_touches_session(text) == weir__pg_touches_session(commented));
    free(commented);
    free(text);
    return 0;
}
