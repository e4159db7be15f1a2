/* SPDX-License-Identifier: MIT */
/* The text of a statement without the values in it. */
#include <weir/db.h>

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

/* PostgreSQL and SQLite read a statement differently here and there, and which of them is meant is not known: each
 * is a reader of its own. */
enum dialect { POSTGRES, SQLITE };

struct reader {
    enum dialect dialect;
    const char *at; /* the token; at the end of the text an empty one */
    const char *end;
    const char *next; /* the token behind it: what is between them are blanks and comments */
    bool is_value;
};

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

/* PostgreSQL's $$…$$ and $tag$…$tag$; `at` itself when it is neither. */
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

/* A line's comment goes to its end, which a CR is to PostgreSQL. A comment in a comment counts there, too. */
static const char *skip_comment(enum dialect dialect, const char *at)
{
    int depth = 0;

    if (at[0] == '-')
        return at + strcspn(at, dialect == POSTGRES ? "\n\r" : "\n");
    while (*at != '\0') {
        bool opens = at[0] == '/' && at[1] == '*' && (depth == 0 || dialect == POSTGRES);
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

static const char *skip_space(enum dialect dialect, const char *at)
{
    while (is_blank(*at) || begins_comment(at))
        at = is_blank(*at) ? at + 1 : skip_comment(dialect, at);
    return at;
}

static const char *skip_name(const char *at)
{
    while (is_of_name(*at) || *at == '$')
        at++;
    return at;
}

/* Where the value at `at` ends; `at` itself when it is none. To SQLite an open bracket that is never closed makes
 * all of the rest unreadable. */
static const char *skip_value(enum dialect dialect, const char *at, bool follows_e)
{
    if (*at == '\'')
        return skip_quoted(at, dialect == POSTGRES && follows_e);
    if (is_digit(*at))
        return skip_number(at);
    if (*at == '[' && dialect == SQLITE && strchr(at, ']') == NULL)
        return at + strlen(at);
    return *at == '$' && dialect == POSTGRES ? skip_dollar_quoted(at) : at;
}

/* The same of all else. SQLite's [name] ends at the first ], whatever is in it. */
static const char *skip_other(enum dialect dialect, const char *at)
{
    if (*at == '"' || (*at == '`' && dialect == SQLITE))
        return skip_quoted(at, false);
    if (*at == '[' && dialect == SQLITE)
        return strchr(at, ']') + 1;
    if (is_of_name(*at))
        return skip_name(at);
    if (*at == '$' && dialect == SQLITE)
        return skip_name(at + 1);
    if ((*at == '$' || *at == '?') && is_digit(at[1]))
        return skip_name(at + 1);
    if ((*at == '$' || *at == ':' || *at == '@') && is_of_name(at[1]) && !is_digit(at[1]))
        return skip_name(at + 1);
    return at + 1;
}

/* Whether the token is the E before an escape string. */
static bool is_e(const struct reader *reader)
{
    return reader->next == reader->end && reader->end - reader->at == 1 &&
           (*reader->at == 'e' || *reader->at == 'E');
}

/* Go on to the next token. */
static void read_token(struct reader *reader)
{
    bool follows_e = is_e(reader);
    const char *at = reader->next;

    reader->at = at;
    reader->end = skip_value(reader->dialect, at, follows_e);
    reader->is_value = reader->end > at;
    if (!reader->is_value && *at != '\0')
        reader->end = skip_other(reader->dialect, at);
    reader->next = skip_space(reader->dialect, reader->end);
}

static struct reader begin(enum dialect dialect, const char *sql)
{
    const char *first = skip_space(dialect, sql);
    struct reader reader = {.dialect = dialect, .at = sql, .end = sql, .next = first};

    read_token(&reader);
    return reader;
}

/* Whether any of the token is in a value or a comment to the reader, who is as far as that afterwards. */
static bool is_hidden(struct reader *reader, const struct reader *token)
{
    const char *seen = token->at; /* up to here nothing is */

    while (reader->end <= seen && *reader->at != '\0')
        read_token(reader);
    while (seen < token->end) {
        if (reader->at > seen || reader->is_value || *reader->at == '\0')
            return true;
        seen = reader->end;
        if (seen < token->end)
            read_token(reader);
    }
    return false;
}

size_t weir_sql_without_values(const char *sql, char *ret_text, size_t size)
{
    struct reader reader = begin(POSTGRES, sql);
    struct reader other = begin(SQLITE, sql);
    size_t used = 0;
    bool has_space = false;
    bool was_hidden = false;    /* the last token was */
    bool was_ambiguous = false; /* and by the other reading alone */

    for (; *reader.at != '\0' && used + 1 < size; read_token(&reader)) {
        bool is_ambiguous = !reader.is_value && is_hidden(&other, &reader);
        bool hides = reader.is_value || is_ambiguous;
        bool goes_on = hides && was_hidden && (is_ambiguous || was_ambiguous);
        size_t length = hides ? 1 : (size_t)(reader.end - reader.at);

        if (!goes_on && has_space)
            ret_text[used++] = ' ';
        if (length > size - 1 - used)
            length = size - 1 - used;
        if (!goes_on) {
            memcpy(ret_text + used, hides ? "?" : reader.at, length);
            used += length;
        }
        was_ambiguous = is_ambiguous || (goes_on && was_ambiguous);
        was_hidden = hides;
        has_space = reader.next > reader.end;
    }
    ret_text[used] = '\0';
    return used;
}
