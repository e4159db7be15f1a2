/* SPDX-License-Identifier: MIT */
/* The parser of `.env` files: a cursor that knows its line and column, and a list of pairs. */
#include "dotenv.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

#define MAX_FILE_SIZE ((size_t)1 << 20)

struct pair {
    char *name;
    char *value;
    int line;
};

struct dotenv {
    struct pair *pairs;
    size_t count;
    size_t capacity;
};

/* Where the parser stands. The bytes are checked beforehand: UTF-8 without NUL. */
struct cursor {
    const char *at;
    const char *end;
    const char *line_start;
    int line;
};

static weir_status expected(const struct cursor *cursor, const char *what, weir_error *reterr)
{
    weir_error_set(reterr, WEIR_INVALID, "line %d, column %d: expected %s", cursor->line,
                   (int)(cursor->at - cursor->line_start) + 1, what);
    return WEIR_INVALID;
}

/* The byte under the cursor; 0 at the end of the file. */
static char peek(const struct cursor *cursor)
{
    return cursor->at < cursor->end ? *cursor->at : '\0';
}

static void step(struct cursor *cursor)
{
    if (*cursor->at++ == '\n') {
        cursor->line++;
        cursor->line_start = cursor->at;
    }
}

static bool at_line_end(const struct cursor *cursor)
{
    char c = peek(cursor);

    return c == '\0' || c == '\n' ||
           (c == '\r' && (cursor->at + 1 == cursor->end || cursor->at[1] == '\n'));
}

static void skip_blanks(struct cursor *cursor)
{
    while (peek(cursor) == ' ' || peek(cursor) == '\t')
        cursor->at++;
}

static void skip_to_line_end(struct cursor *cursor)
{
    while (!at_line_end(cursor))
        cursor->at++;
}

/* Step over blanks, a comment and the line's end, which must come now. */
static weir_status end_line(struct cursor *cursor, const char *what, weir_error *reterr)
{
    skip_blanks(cursor);
    if (peek(cursor) == '#')
        skip_to_line_end(cursor);
    if (!at_line_end(cursor))
        return expected(cursor, what, reterr);
    if (peek(cursor) == '\r')
        cursor->at++;
    if (peek(cursor) == '\n')
        step(cursor);
    return WEIR_OK;
}

static bool is_name_byte(char c, bool is_first)
{
    return c == '_' || (isascii(c) && (isalpha(c) || (!is_first && isdigit(c))));
}

static weir_status read_name(struct cursor *cursor, const char **ret_name, size_t *ret_size,
                             weir_error *reterr)
{
    const char *start = cursor->at;

    while (is_name_byte(peek(cursor), cursor->at == start))
        cursor->at++;
    if (cursor->at == start)
        return expected(cursor, "a name (letters, digits and _, not beginning with a digit)",
                        reterr);
    *ret_name = start;
    *ret_size = (size_t)(cursor->at - start);
    return WEIR_OK;
}

/* Everything to the line's end or to a # after a blank, without blanks at its end. */
static size_t read_plain(struct cursor *cursor, char *out)
{
    const char *start = cursor->at;
    size_t size;

    while (!at_line_end(cursor) &&
           !(peek(cursor) == '#' &&
             (cursor->at == start || cursor->at[-1] == ' ' || cursor->at[-1] == '\t')))
        cursor->at++;
    size = (size_t)(cursor->at - start);
    while (size > 0 && (start[size - 1] == ' ' || start[size - 1] == '\t'))
        size--;
    memcpy(out, start, size);
    return size;
}

static weir_status read_escape(struct cursor *cursor, char *ret_byte, weir_error *reterr)
{
    static const char written[] = "nrt\"'\\$", meant[] = "\n\r\t\"'\\$";
    char c = peek(cursor);
    const char *found = c != '\0' ? strchr(written, c) : NULL;

    if (found == NULL)
        return expected(cursor, "one of n r t \" ' \\ $ after the backslash", reterr);
    *ret_byte = meant[found - written];
    cursor->at++;
    return WEIR_OK;
}

/* A quoted value; the cursor stands on its opening quote. */
static weir_status read_quoted(struct cursor *cursor, char *out, size_t *ret_size,
                               weir_error *reterr)
{
    struct cursor opening = *cursor;
    char quote = *cursor->at++;
    size_t size = 0;

    while (peek(cursor) != quote) {
        if (cursor->at == cursor->end)
            return expected(&opening, "a closing quote for the value that begins here", reterr);
        if (quote == '"' && peek(cursor) == '\\') {
            cursor->at++;
            weir_status status = read_escape(cursor, &out[size], reterr);
            if (status != WEIR_OK)
                return status;
            size++;
            continue;
        }
        out[size++] = *cursor->at;
        step(cursor);
    }
    cursor->at++;
    *ret_size = size;
    return WEIR_OK;
}

static weir_status read_value(struct cursor *cursor, char *out, size_t *ret_size,
                              weir_error *reterr)
{
    if (peek(cursor) != '"' && peek(cursor) != '\'') {
        *ret_size = read_plain(cursor, out);
        return end_line(cursor, "the end of the line", reterr);
    }
    weir_status status = read_quoted(cursor, out, ret_size, reterr);
    if (status != WEIR_OK)
        return status;
    return end_line(cursor, "the end of the line after the closing quote", reterr);
}

static weir_status add_pair(struct dotenv *dotenv, const char *name, size_t name_size,
                            const char *value, size_t value_size, int line, weir_error *reterr)
{
    if (dotenv->count == dotenv->capacity) {
        size_t capacity = dotenv->capacity == 0 ? 16 : dotenv->capacity * 2;
        struct pair *pairs = reallocarray(dotenv->pairs, capacity, sizeof *pairs);
        if (pairs == NULL)
            return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
        dotenv->pairs = pairs;
        dotenv->capacity = capacity;
    }
    struct pair pair = {strndup(name, name_size), strndup(value, value_size), line};
    if (pair.name == NULL || pair.value == NULL) {
        free(pair.name);
        free(pair.value);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    }
    dotenv->pairs[dotenv->count++] = pair;
    return WEIR_OK;
}

/* Step over the word `export` when a name follows it. */
static void skip_export(struct cursor *cursor)
{
    if (cursor->end - cursor->at > 7 && strncmp(cursor->at, "export", 6) == 0 &&
        (cursor->at[6] == ' ' || cursor->at[6] == '\t')) {
        struct cursor word = *cursor;
        cursor->at += 7;
        skip_blanks(cursor);
        if (!is_name_byte(peek(cursor), true))
            *cursor = word;
    }
}

/* One line that is neither blank nor a comment. `scratch` has room for the longest value. */
static weir_status read_pair(struct cursor *cursor, struct dotenv *dotenv, char *scratch,
                             weir_error *reterr)
{
    const char *name;
    size_t name_size, value_size;
    int line = cursor->line;

    skip_export(cursor);
    weir_status status = read_name(cursor, &name, &name_size, reterr);
    if (status != WEIR_OK)
        return status;
    skip_blanks(cursor);
    if (peek(cursor) != '=')
        return expected(cursor, "= after the name", reterr);
    cursor->at++;
    skip_blanks(cursor);
    status = read_value(cursor, scratch, &value_size, reterr);
    if (status != WEIR_OK)
        return status;
    return add_pair(dotenv, name, name_size, scratch, value_size, line, reterr);
}

/* The position of the first byte that cannot stand in any `.env` file. */
static weir_status check_bytes(const struct cursor *start, weir_error *reterr)
{
    struct cursor cursor = *start;

    while (cursor.at < cursor.end) {
        size_t size = utf8_length(cursor.at, cursor.end);
        if (size == 0 || *cursor.at == '\0')
            return expected(&cursor, "UTF-8 text without NUL", reterr);
        if (size == 1)
            step(&cursor);
        else
            cursor.at += size;
    }
    return WEIR_OK;
}

static weir_status parse_lines(struct cursor *cursor, struct dotenv *dotenv, char *scratch,
                               weir_error *reterr)
{
    while (cursor->at < cursor->end) {
        skip_blanks(cursor);
        weir_status status = at_line_end(cursor) || peek(cursor) == '#'
                                 ? end_line(cursor, "the end of the line", reterr)
                                 : read_pair(cursor, dotenv, scratch, reterr);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

weir_status dotenv_parse(const char *text, size_t size, struct dotenv **ret_dotenv,
                         weir_error *reterr)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    size_t skipped = size >= 3 && memcmp(text, byte_order_mark, 3) == 0 ? 3 : 0;
    struct cursor cursor = {text + skipped, text + size, text + skipped, 1};

    if (size > MAX_FILE_SIZE)
        return weir_error_set(reterr, WEIR_INVALID, "larger than 1 MiB");
    weir_status status = check_bytes(&cursor, reterr);
    if (status != WEIR_OK)
        return status;

    struct dotenv *dotenv = calloc(1, sizeof *dotenv);
    char *scratch = malloc(size + 1);
    if (dotenv == NULL || scratch == NULL)
        status = weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    else
        status = parse_lines(&cursor, dotenv, scratch, reterr);
    if (scratch != NULL)
        explicit_bzero(scratch, size + 1);
    free(scratch);
    if (status != WEIR_OK) {
        dotenv_close(dotenv);
        return status;
    }
    *ret_dotenv = dotenv;
    return WEIR_OK;
}

weir_status dotenv_read(const char *path, struct dotenv **ret_dotenv, weir_error *reterr)
{
    FILE *file = fopen(path, "re");

    if (file == NULL && errno == ENOENT)
        return dotenv_parse("", 0, ret_dotenv, reterr);
    char *text = file != NULL ? malloc(MAX_FILE_SIZE + 1) : NULL;
    if (text == NULL) {
        int code = errno;
        weir_error_set(reterr, WEIR_SYSTEM, "read %s: %s", path, strerror(code));
        if (reterr != NULL)
            reterr->native = code;
        if (file != NULL)
            fclose(file);
        return WEIR_SYSTEM;
    }

    weir_error error = {0};
    size_t size = fread(text, 1, MAX_FILE_SIZE + 1, file);
    weir_status status = ferror(file) ? weir_error_set(&error, WEIR_SYSTEM, "%s", strerror(errno))
                                      : dotenv_parse(text, size, ret_dotenv, &error);
    explicit_bzero(text, size);
    free(text);
    fclose(file);
    if (status != WEIR_OK)
        return weir_error_set(reterr, status, "read %s: %s", path, error.text);
    return WEIR_OK;
}

const char *dotenv_get(const struct dotenv *dotenv, const char *name)
{
    for (size_t i = dotenv->count; i-- > 0;) {
        if (strcmp(dotenv->pairs[i].name, name) == 0)
            return dotenv->pairs[i].value;
    }
    return NULL;
}

const char *dotenv_name_at(const struct dotenv *dotenv, size_t index)
{
    return index < dotenv->count ? dotenv->pairs[index].name : NULL;
}

int dotenv_line_at(const struct dotenv *dotenv, size_t index)
{
    return index < dotenv->count ? dotenv->pairs[index].line : 0;
}

void dotenv_close(struct dotenv *dotenv)
{
    if (dotenv == NULL)
        return;
    for (size_t i = 0; i < dotenv->count; i++) {
        explicit_bzero(dotenv->pairs[i].value, strlen(dotenv->pairs[i].value));
        free(dotenv->pairs[i].value);
        free(dotenv->pairs[i].name);
    }
    free(dotenv->pairs);
    free(dotenv);
}
