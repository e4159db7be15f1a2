/* SPDX-License-Identifier: MIT */
/* Results as JSON text, written in one pass into one growing buffer. */
#include "base/double_text.h"
#include "common/hex.h"
#include "common/utf8.h"
#include "db/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Written here and not through a tree of JSON objects: a tree takes an allocation or two for each value
 * (five times the CPU with jansson, measured on 1000 rows of 5 columns), and would parse and print
 * again what JSON columns hold already, changing their numbers. Columns of the same name become keys
 * of the same name, of which most readers take the last.
 */
struct writer {
    char *text;
    size_t size;
    size_t capacity;
    weir_error *reterr;
};

/* The keys of a row as they are written, `"name":`, key i from ends[i - 1] to ends[i]. */
struct keys {
    struct writer text;
    size_t *ends;
};

/* ---- leaves ------------------------------------------------------------------------------ */

static weir_status no_memory(struct writer *w)
{
    return weir_error_set(w->reterr, WEIR_NO_MEMORY, "JSON: out of memory for %zu bytes", w->size);
}

/* Make room for `size` more bytes, the caller's to fill and to count; NULL when there is none. */
static char *room(struct writer *w, size_t size)
{
    if (w->capacity - w->size < size) {
        size_t capacity = w->capacity * 2 > w->size + size ? w->capacity * 2 : w->size + size;
        if (capacity < 256)
            capacity = 256;
        char *text = realloc(w->text, capacity);
        if (text == NULL)
            return NULL;
        w->text = text;
        w->capacity = capacity;
    }
    return w->text + w->size;
}

static weir_status write_bytes(struct writer *w, const char *bytes, size_t size)
{
    char *to = room(w, size);
    if (to == NULL)
        return no_memory(w);

    memcpy(to, bytes, size);
    w->size += size;
    return WEIR_OK;
}

static weir_status write_int(struct writer *w, int64_t integer)
{
    char digits[20];
    size_t count = 0;
    uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    char *to = room(w, sizeof digits + 1);
    if (to == NULL)
        return no_memory(w);

    do
        digits[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (integer < 0)
        *to++ = '-';
    w->size += count + (integer < 0);
    while (count > 0)
        *to++ = digits[--count];
    return WEIR_OK;
}

/* Always with a point or an exponent, so that it stays a double for its reader. */
static weir_status write_double(struct writer *w, double real)
{
    if (!isfinite(real))
        return write_bytes(w, "null", 4);

    char text[WEIR__DOUBLE_ROOM + 2];
    size_t size = weir__double_write(real, text);
    if (strpbrk(text, ".e") == NULL) {
        memcpy(text + size, ".0", 2);
        size += 2;
    }
    return write_bytes(w, text, size);
}

static weir_status write_base64(struct writer *w, const char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = (size + 2) / 3 * 4 + 2;
    const unsigned char *at = (const unsigned char *)bytes;
    char *to = room(w, length);
    if (to == NULL)
        return no_memory(w);

    *to++ = '"';
    for (size_t left = size; left > 0; at += 3, left -= left < 3 ? left : 3) {
        uint32_t three = (uint32_t)at[0] << 16 | (left > 1 ? (uint32_t)at[1] << 8 : 0) |
                         (left > 2 ? (uint32_t)at[2] : 0);
        *to++ = digits[three >> 18];
        *to++ = digits[three >> 12 & 63];
        *to++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[three & 63] : '=';
    }
    *to = '"';
    w->size += length;
    return WEIR_OK;
}

/* ---- strings ----------------------------------------------------------------------------- */

/* The longest a byte can become: \u001f. */
#define LONGEST_ESCAPE 6

static char *write_escape(char *to, unsigned char c)
{
    static const char *const short_form = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (const char *at = short_form; *at != '\0'; at += 2) {
        if ((unsigned char)*at == c) {
            *to++ = '\\';
            *to++ = at[1];
            return to;
        }
    }
    memcpy(to, "\\u00", 4);
    return hex_write(to + 4, &c, 1);
}

/* Bytes taken at a time, so that the room for the worst case stays small. */
#define STRING_STEP 1024

/* The characters that begin before `stop`, escaped; returns what follows them. */
static const unsigned char *write_characters(struct writer *w, char *to, const unsigned char *at,
                                             const unsigned char *stop, const unsigned char *end)
{
    while (at < stop) {
        if (*at < 0x20 || *at == '"' || *at == '\\') {
            to = write_escape(to, *at++);
            continue;
        }
        size_t length = utf8_length((const char *)at, (const char *)end);
        if (length == 0) {
            to = (char *)memcpy(to, UTF8_REPLACEMENT, 3) + 3;
            at++;
        }
        for (; length > 0; length--)
            *to++ = (char)*at++;
    }
    w->size = (size_t)(to - w->text);
    return at;
}

/* A string with its quotes. */
static weir_status write_string(struct writer *w, const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + size;
    weir_status status = write_bytes(w, "\"", 1);

    while (status == WEIR_OK && at < end) {
        const unsigned char *stop = end - at > STRING_STEP ? at + STRING_STEP : end;
        char *to = room(w, (STRING_STEP + 3) * LONGEST_ESCAPE);
        if (to == NULL)
            return no_memory(w);
        at = write_characters(w, to, at, stop, end);
    }
    return status == WEIR_OK ? write_bytes(w, "\"", 1) : status;
}

/* A value that is JSON already. Bytes of no character can only stand inside its strings. */
static weir_status write_json(struct writer *w, const char *at, size_t size)
{
    const char *end = at + size;
    weir_status status = WEIR_OK;

    while (status == WEIR_OK && at < end) {
        size_t span = utf8_span(at, end);
        status = write_bytes(w, at, span);
        at += span;
        if (at < end && status == WEIR_OK) {
            status = write_bytes(w, UTF8_REPLACEMENT, 3);
            at++;
        }
    }
    return status;
}

/* ---- rows -------------------------------------------------------------------------------- */

static weir_status write_cell(struct writer *w, const weir_result *result, size_t row,
                              size_t column)
{
    const struct cell *cell = &result->cells[row * result->columns->count + column];

    switch ((weir_type)cell->type) {
    case WEIR_NULL:
        break;
    case WEIR_BOOL:
        return cell->boolean ? write_bytes(w, "true", 4) : write_bytes(w, "false", 5);
    case WEIR_INT:
        return write_int(w, cell->integer);
    case WEIR_DOUBLE:
        return write_double(w, cell->real);
    case WEIR_BLOB:
        return write_base64(w, cell->text, cell->size);
    case WEIR_JSON:
        return write_json(w, cell->text, cell->size);
    case WEIR_TEXT:
    case WEIR_TIMESTAMP:
        return write_string(w, cell->text, cell->size);
    }
    return write_bytes(w, "null", 4);
}

static weir_status write_row(struct writer *w, const weir_result *result, const struct keys *keys,
                             size_t row)
{
    weir_status status = write_bytes(w, "{", 1);
    size_t start = 0;

    for (size_t i = 0; i < weir_result_column_count(result) && status == WEIR_OK; i++) {
        /* A key carries the comma before it, which the first goes without. */
        size_t from = i == 0 ? start + 1 : start;
        status = write_bytes(w, keys->text.text + from, keys->ends[i] - from);
        start = keys->ends[i];
        if (status == WEIR_OK)
            status = write_cell(w, result, row, i);
    }
    return status == WEIR_OK ? write_bytes(w, "}", 1) : status;
}

static void clear_keys(struct keys *keys)
{
    free(keys->text.text);
    free(keys->ends);
}

static weir_status make_keys(const weir_result *result, struct keys *keys, weir_error *reterr)
{
    size_t count = weir_result_column_count(result);
    weir_status status = WEIR_OK;

    *keys = (struct keys){.text.reterr = reterr, .ends = malloc((count + 1) * sizeof(size_t))};
    if (keys->ends == NULL)
        return no_memory(&keys->text);
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        const char *name = result->columns->names[i];
        status = write_bytes(&keys->text, ",", 1);
        if (status == WEIR_OK)
            status = write_string(&keys->text, name, strlen(name));
        if (status == WEIR_OK)
            status = write_bytes(&keys->text, ":", 1);
        keys->ends[i] = keys->text.size;
    }
    if (status != WEIR_OK)
        clear_keys(keys);
    return status;
}

/* End the text and hand it over, or free it. */
static weir_status finish(struct writer *w, weir_status status, char **ret_text, size_t *ret_size)
{
    if (status == WEIR_OK)
        status = write_bytes(w, "", 1);
    if (status != WEIR_OK) {
        free(w->text);
        return status;
    }
    *ret_text = w->text;
    if (ret_size != NULL)
        *ret_size = w->size - 1;
    return WEIR_OK;
}

/* ---- public ------------------------------------------------------------------------------ */

weir_status weir_result_to_json(const weir_result *result, char **ret_text, size_t *ret_size,
                                weir_error *reterr)
{
    struct writer w = {.reterr = reterr};
    struct keys keys;
    weir_status status = make_keys(result, &keys, reterr);
    if (status != WEIR_OK)
        return status;

    status = write_bytes(&w, "[", 1);
    for (size_t row = 0; row < result->row_count && status == WEIR_OK; row++) {
        if (row > 0)
            status = write_bytes(&w, ",", 1);
        if (status == WEIR_OK)
            status = write_row(&w, result, &keys, row);
    }
    if (status == WEIR_OK)
        status = write_bytes(&w, "]", 1);
    clear_keys(&keys);
    return finish(&w, status, ret_text, ret_size);
}

weir_status weir_result_row_to_json(const weir_result *result, size_t row, char **ret_text,
                                    size_t *ret_size, weir_error *reterr)
{
    if (row >= result->row_count)
        return weir_error_set(reterr, WEIR_NOT_FOUND,
                              "JSON: there is no row %zu in a result of %zu rows", row,
                              result->row_count);

    struct writer w = {.reterr = reterr};
    struct keys keys;
    weir_status status = make_keys(result, &keys, reterr);
    if (status != WEIR_OK)
        return status;

    status = write_row(&w, result, &keys, row);
    clear_keys(&keys);
    return finish(&w, status, ret_text, ret_size);
}

/* Whether text of a value is not UTF-8 in full. Blobs have no text. */
static bool is_broken(const struct cell *cell)
{
    if (cell->type != WEIR_TEXT && cell->type != WEIR_JSON && cell->type != WEIR_TIMESTAMP)
        return false;
    return !utf8_is_valid(cell->text, cell->size);
}

bool weir_result_is_utf8(const weir_result *result, size_t *ret_row, size_t *ret_column)
{
    size_t count = weir_result_column_count(result);

    for (size_t i = 0; i < result->row_count * count; i++) {
        if (!is_broken(&result->cells[i]))
            continue;
        if (ret_row != NULL)
            *ret_row = i / count;
        if (ret_column != NULL)
            *ret_column = i % count;
        return false;
    }
    return true;
}
