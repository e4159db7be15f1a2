/* SPDX-License-Identifier: MIT */
/* The text of a statement without the values in it. */
#include <weir/trace.h>

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What may stand within a name; everything beyond ASCII may. */
static bool is_of_name(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* Each of these is given where something begins and returns where it ends, the end of the text at the
 * latest. */

/* Where an escape string goes on: PostgreSQL joins what stands behind a line break to it, comments to the end of
 * their lines or not. NULL: nowhere. */
static const char *find_continuation(const char *at)
{
    bool has_break = false;

    for (; is_blank(*at) || (at[0] == '-' && at[1] == '-'); at++) {
        if (*at == '-')
            at += strcspn(at, "\n\r");
        if (*at == '\0')
            return NULL;
        has_break = has_break || *at == '\n' || *at == '\r';
    }
    return has_break && *at == '\'' ? at : NULL;
}

static const char *skip_quoted(const char *at, bool has_escapes)
{
    char quote = *at++;

    for (; *at != '\0'; at++) {
        if (has_escapes && at[0] == '\\' && at[1] != '\0') {
            at++;
        } else if (at[0] == quote && at[1] == quote) {
            at++;
        } else if (at[0] == quote) {
            const char *next = has_escapes ? find_continuation(at + 1) : NULL;
            if (next == NULL)
                return at + 1;
            at = next;
        }
    }
    return at;
}

/* $$…$$ and $tag$…$tag$; `at` itself when it is neither. */
static const char *skip_dollar_quoted(const char *at)
{
    size_t size = 1;

    if (is_digit(at[1]))
        return at;
    while (is_of_name(at[size]))
        size++;
    if (at[size++] != '$')
        return at;
    for (const char *end = strchr(at + size, '$'); end != NULL; end = strchr(end + 1, '$'))
        if (strncmp(end, at, size) == 0)
            return end + size;
    return at + strlen(at);
}

static const char *skip_number(const char *at)
{
    bool is_hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');

    for (;; at++) {
        bool has_sign = (at[0] == 'e' || at[0] == 'E') && (at[1] == '+' || at[1] == '-');

        if (has_sign && !is_hex)
            at++;
        else if (!is_of_name(*at) && *at != '.')
            return at;
    }
}

/* A comment in a comment counts: PostgreSQL has it so. */
static const char *skip_comment(const char *at)
{
    int depth = 0;

    if (at[0] == '-')
        return at + strcspn(at, "\n");
    while (*at != '\0') {
        bool opens = at[0] == '/' && at[1] == '*';
        bool closes = at[0] == '*' && at[1] == '/';

        at += opens || closes ? 2 : 1;
        depth += opens - closes;
        if (closes && depth == 0)
            break;
    }
    return at;
}

static bool begins_comment(const char *at)
{
    return (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
}

static const char *skip_space(const char *at)
{
    while (is_blank(*at) || begins_comment(at))
        at = is_blank(*at) ? at + 1 : skip_comment(at);
    return at;
}

static const char *skip_name(const char *at)
{
    while (is_of_name(*at) || *at == '$')
        at++;
    return at;
}

/* Where the token at `at` ends, and whether it is a value. */
static const char *skip_token(const char *at, bool follows_e, bool *ret_is_value)
{
    const char *end = at;

    *ret_is_value = true;
    if (*at == '\'')
        return skip_quoted(at, follows_e);
    if (is_digit(*at))
        return skip_number(at);
    if (*at == '$')
        end = skip_dollar_quoted(at);
    if (end > at)
        return end;
    *ret_is_value = false;
    if (*at == '"' || *at == '`')
        return skip_quoted(at, false);
    if (is_of_name(*at))
        return skip_name(at);
    if ((*at == '$' || *at == '?') && is_digit(at[1]))
        return skip_name(at + 1);
    if ((*at == '$' || *at == ':' || *at == '@') && is_of_name(at[1]) && !is_digit(at[1]))
        return skip_name(at + 1);
    return at + 1;
}

/* Whether the token is the E before an escape string. */
static bool is_e(const char *at, const char *end, const char *next)
{
    return next == end && end - at == 1 && (*at == 'e' || *at == 'E');
}

/* Whether the tokens from `at` on come to `goal`, so that none of them, and no comment, goes past it. */
static bool reaches(const char *at, const char *goal)
{
    bool follows_e = false;

    for (at = skip_space(at); at < goal;) {
        bool is_value;
        const char *end = skip_token(at, follows_e, &is_value);
        const char *next = skip_space(end);

        follows_e = is_e(at, end, next);
        at = next;
    }
    return at == goal;
}

/*
 * Where the bracket that opens at `at` closes. SQLite ends a name there, whatever is in it; PostgreSQL
 * has ARRAY['x'] and a[1], and the dialect is not known. NULL: the two would read what stands behind it
 * differently, values as names too.
 */
static const char *find_close(const char *at)
{
    const char *close = strchr(at, ']');

    return close != NULL && reaches(at + 1, close) ? close : NULL;
}

size_t weir_sql_without_values(const char *sql, char *ret_text, size_t size)
{
    size_t used = 0;
    const char *at = skip_space(sql);
    const char *close = at; /* up to here all brackets are known to be read alike */
    bool follows_e = false;

    while (*at != '\0' && used + 1 < size) {
        if (*at == '[' && at >= close)
            close = find_close(at);
        if (close == NULL) {
            ret_text[used++] = '?';
            break;
        }
        bool is_value;
        const char *end = skip_token(at, follows_e, &is_value);
        const char *next = skip_space(end);
        size_t length = is_value ? 1 : (size_t)(end - at);

        if (length > size - 1 - used)
            length = size - 1 - used;
        memcpy(ret_text + used, is_value ? "?" : at, length);
        used += length;
        follows_e = is_e(at, end, next);
        if (next > end && *next != '\0' && used + 1 < size)
            ret_text[used++] = ' ';
        at = next;
    }
    ret_text[used] = '\0';
    return used;
}
