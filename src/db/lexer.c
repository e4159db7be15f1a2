/* SPDX-License-Identifier: MIT */
/* SQL as tokens: just enough of both engines' lexers to tell words from strings, names and comments. */
#include "db/lexer.h"

#include <string.h>
#include <strings.h>

/* ---- characters -------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Both engines take every byte above ASCII as a letter. */
bool weir__is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

bool weir__is_name_char(char c)
{
    return weir__is_name_start(c) || is_digit(c);
}

/* PostgreSQL takes a vertical tab for white space since version 16 only; before it is an error there. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Whether these two characters stand at `at`. */
static bool is_pair(const char *at, const char *end, char first, char second)
{
    return end - at >= 2 && at[0] == first && at[1] == second;
}

/* ---- comments ---------------------------------------------------------------------------- */

/* A lone carriage return ends a line for PostgreSQL, but not for SQLite. */
static const char *skip_line_comment(const char *at, const char *end, enum sql_dialect dialect)
{
    while (at < end && *at != '\n' && (*at != '\r' || dialect == DIALECT_SQLITE))
        at++;
    return at;
}

/* PostgreSQL's comments nest, SQLite's do not. */
static const char *skip_block_comment(const char *at, const char *end, bool nests)
{
    int depth = 1;

    for (at += 2; at < end; at++) {
        if (is_pair(at, end, '*', '/')) {
            at++;
            if (--depth == 0)
                return at + 1;
        } else if (nests && is_pair(at, end, '/', '*')) {
            at++;
            depth++;
        }
    }
    return end;
}

/* ---- strings and names ------------------------------------------------------------------- */

/* The token from `at` to `stop`, of which what stands between the quotes begins at `inside`. `quotes` is
 * the size of the end quote; 0 where it is missing. */
static struct token quoted(enum token_kind kind, const char *at, const char *inside,
                           const char *stop, size_t quotes)
{
    return (struct token){kind, at, (size_t)(stop - at), inside, (size_t)(stop - inside) - quotes};
}

/* From an opening quote to behind its end; a doubled quote stands for one. */
static struct token read_quoted(const char *at, const char *end, char quote, char closing,
                                enum token_kind kind)
{
    for (const char *c = at + 1; c < end; c++) {
        if (*c != closing)
            continue;
        if (quote != closing || !is_pair(c, end, quote, quote))
            return quoted(kind, at, at + 1, c + 1, 1);
        c++;
    }
    return quoted(kind, at, at + 1, end, 0);
}

/* Where a string literal goes on: after white space with a line break in it, PostgreSQL joins the
 * next quote to it, and that part has the escapes of the first. NULL when it does not go on. */
static const char *find_continuation(const char *at, const char *end)
{
    bool has_break = false;

    for (; at < end; at++) {
        if (is_pair(at, end, '-', '-')) {
            at = skip_line_comment(at, end, DIALECT_POSTGRES);
            if (at == end)
                return NULL;
        }
        has_break |= *at == '\n' || *at == '\r';
        if (!is_space(*at))
            break;
    }
    return has_break && at < end && *at == '\'' ? at : NULL;
}

/* E'…', from its E: a backslash takes the next character with it. */
static struct token read_escape_string(const char *at, const char *end)
{
    for (const char *c = at + 2; c < end; c++) {
        if (*c == '\\' && c + 1 < end) {
            c++;
        } else if (is_pair(c, end, '\'', '\'')) {
            c++;
        } else if (*c == '\'') {
            const char *next = find_continuation(c + 1, end);
            if (next == NULL)
                return quoted(TOKEN_STRING, at, at + 2, c + 1, 1);
            c = next;
        }
    }
    return quoted(TOKEN_STRING, at, at + 2, end, 0);
}

/* $tag$…$tag$, or the dollar alone when it opens no such string. */
static struct token read_dollar(const char *at, const char *end)
{
    const char *tag_end = at + 1;
    if (tag_end < end && weir__is_name_start(*tag_end))
        while (tag_end < end && weir__is_name_char(*tag_end))
            tag_end++;
    if (tag_end == end || *tag_end != '$')
        return (struct token){.kind = TOKEN_OTHER, .at = at, .size = 1};

    size_t size = (size_t)(tag_end - at) + 1;
    for (const char *c = tag_end + 1; (size_t)(end - c) >= size; c++)
        if (*c == '$' && memcmp(c, at, size) == 0)
            return quoted(TOKEN_STRING, at, tag_end + 1, c + size, size);
    return quoted(TOKEN_STRING, at, tag_end + 1, end, 0);
}

/* A name, keyword or number, or the string that an E before it makes an escape string. In both
 * engines a dollar inside a name belongs to it. */
static struct token read_word(const char *at, const char *end, enum sql_dialect dialect)
{
    const char *stop = at;
    while (stop < end && (weir__is_name_char(*stop) || (*stop == '$' && !is_digit(*at))))
        stop++;

    bool is_e = stop - at == 1 && (*at == 'e' || *at == 'E');
    if (is_e && stop < end && *stop == '\'' && dialect == DIALECT_POSTGRES)
        return read_escape_string(at, end);
    return (struct token){.kind = TOKEN_WORD, .at = at, .size = (size_t)(stop - at)};
}

/* SQLite's own parameter, `?` or `?12`. */
static struct token read_question_mark(const char *at, const char *end)
{
    const char *stop = at + 1;
    while (stop < end && is_digit(*stop))
        stop++;
    return (struct token){.kind = TOKEN_OTHER, .at = at, .size = (size_t)(stop - at)};
}

static struct token blank(const char *at, const char *stop)
{
    return (struct token){.kind = TOKEN_BLANK, .at = at, .size = (size_t)(stop - at)};
}

/* ---- the tokens -------------------------------------------------------------------------- */

struct token weir__token_at(const char *at, const char *end, enum sql_dialect dialect)
{
    bool is_sqlite = dialect == DIALECT_SQLITE;
    const char *stop = at;

    if (at == end)
        return (struct token){.kind = TOKEN_END, .at = at};
    while (stop < end && is_space(*stop))
        stop++;
    if (stop > at)
        return blank(at, stop);
    if (is_pair(at, end, '-', '-'))
        return blank(at, skip_line_comment(at, end, dialect));
    if (is_pair(at, end, '/', '*'))
        return blank(at, skip_block_comment(at, end, !is_sqlite));
    if (*at == '\'')
        return read_quoted(at, end, '\'', '\'', TOKEN_STRING);
    if (*at == '"' || (*at == '`' && is_sqlite))
        return read_quoted(at, end, *at, *at, TOKEN_NAME);
    if (*at == '[' && is_sqlite)
        return read_quoted(at, end, '[', ']', TOKEN_NAME);
    if (*at == '$' && !is_sqlite)
        return read_dollar(at, end);
    if (*at == '?' && is_sqlite)
        return read_question_mark(at, end);
    if (weir__is_name_char(*at))
        return read_word(at, end, dialect);
    return (struct token){.kind = TOKEN_OTHER, .at = at, .size = 1};
}

struct token weir__token_next(const char **at, const char *end, enum sql_dialect dialect)
{
    struct token token;

    do {
        token = weir__token_at(*at, end, dialect);
        *at += token.size;
    } while (token.kind == TOKEN_BLANK);
    return token;
}

bool weir__token_is_word(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && strlen(word) == token->size &&
           strncasecmp(token->at, word, token->size) == 0;
}
