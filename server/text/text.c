/* SPDX-License-Identifier: MIT */
/* The growing text, and the distance between two words. */
#include "text.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

/* Make room for `more` bytes and the terminating zero. */
static bool reserve(struct text *text, size_t more)
{
    if (text->has_failed)
        return false;
    if (more < text->capacity - text->size && text->capacity > 0)
        return true;

    size_t wanted = text->size + more + 1;
    size_t capacity = text->capacity < 128 ? 256 : text->capacity * 2;
    if (capacity < wanted)
        capacity = wanted;
    char *data = wanted > more ? realloc(text->data, capacity) : NULL;
    if (data == NULL) {
        text_clear(text);
        text->has_failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_add_n(struct text *text, const char *bytes, size_t size)
{
    if (!reserve(text, size))
        return;
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_n(text, string, strlen(string));
}

WEIR_PRINTF(2, 0)
static void add_formatted(struct text *text, const char *format, va_list args)
{
    char *piece = NULL;
    int size = vasprintf(&piece, format, args);

    if (size < 0) {
        text_clear(text);
        text->has_failed = true;
        return;
    }
    text_add_n(text, piece, (size_t)size);
    free(piece);
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_formatted(text, format, args);
    va_end(args);
}

void text_add_repaired(struct text *text, const char *string)
{
    const char *end = string + strlen(string);

    while (string < end) {
        size_t size = utf8_span(string, end);
        text_add_n(text, string, size);
        string += size;
        if (string == end)
            return;
        text_add(text, UTF8_REPLACEMENT);
        string++;
    }
}

void text_add_json(struct text *text, const char *string)
{
    struct text valid = {0};

    text_add_repaired(&valid, string);
    char *copy = text_take(&valid);
    json_t *json = copy != NULL ? json_string(copy) : NULL;
    char *quoted = json != NULL ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

    json_decref(json);
    free(copy);
    if (quoted == NULL) {
        text_clear(text);
        text->has_failed = true;
        return;
    }
    text_add(text, quoted);
    free(quoted);
}

char *text_take(struct text *text)
{
    char *data = NULL;

    if (reserve(text, 0)) {
        data = text->data;
        data[text->size] = '\0';
        text->data = NULL;
    }
    text_clear(text);
    return data;
}

void text_clear(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

char *text_format(const char *format, ...)
{
    struct text text = {0};
    va_list args;

    va_start(args, format);
    add_formatted(&text, format, args);
    va_end(args);
    return text_take(&text);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    unsigned edits[64][64];

    if (rows > 63 || columns > 63)
        return 99;
    for (size_t i = 0; i <= rows; i++) {
        for (size_t j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                edits[i][j] = (unsigned)(i + j);
                continue;
            }
            edits[i][j] = edits[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            edits[i][j] = least(edits[i][j], least(edits[i - 1][j], edits[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                edits[i][j] = least(edits[i][j], edits[i - 2][j - 2] + 1);
        }
    }
    return edits[rows][columns];
}
