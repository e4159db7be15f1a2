/* SPDX-License-Identifier: MIT */
/* A text that grows: append what you like, ask once at the end whether memory sufficed. */
#ifndef WEIR_SERVER_TEXT_H
#define WEIR_SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/base.h>

/*
 * All zero is an empty text. After an append that could not be made, normally for want of memory,
 * `has_failed` stays true, later appends do nothing, and text_take() gives NULL: callers check
 * there and nowhere else.
 */
struct text {
    char *data; /* NULL or zero-terminated */
    size_t size;
    size_t capacity;
    bool has_failed;
};

void text_add_n(struct text *text, const char *bytes, size_t size);
void text_add(struct text *text, const char *string);
void text_addf(struct text *text, const char *format, ...) WEIR_PRINTF(2, 3);

/* Append what is UTF-8 as it is, and U+FFFD for each byte that is part of no character. */
void text_add_repaired(struct text *text, const char *string);

/* Append a JSON string, quoted and escaped, repaired as above. */
void text_add_json(struct text *text, const char *string);

/* The whole as malloc'ed string that the caller frees, "" for an empty text; NULL when memory ran
 * out. The text is empty afterwards. */
char *text_take(struct text *text);

/* Free it and make it empty. */
void text_clear(struct text *text);

/* malloc'ed printf; NULL when memory ran out. */
char *text_format(const char *format, ...) WEIR_PRINTF(1, 2);

/*
 * How many edits (insert, drop, replace, swap neighbours) lead from one word to the other, for "did
 * you mean"; at most 99, and 99 for words longer than 63 bytes.
 */
unsigned text_distance(const char *a, const char *b);

#endif
