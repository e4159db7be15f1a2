/* SPDX-License-Identifier: MIT */
/* Options: a row of a table for each says all there is to know of it, and these functions do the rest. */
#ifndef WEIR_COMMON_OPTION_H
#define WEIR_COMMON_OPTION_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <weir/base.h>

#include "common/count_of.h"

/* What the field is. */
enum option_kind { OPTION_INT, OPTION_INT64, OPTION_SIZE, OPTION_BOOL, OPTION_WORD };

struct option_row {
    const char *field; /* its name in C, for errors about the field */
    const char
        *name; /* its name as text, as in URLs, for errors about the text; NULL: never text */
    enum option_kind kind;
    size_t offset;
    int64_t low, high; /* in the unit of the field; of an OPTION_WORD the first and last value */
    int64_t scale;     /* how many of the field's units one of the text's is; 0 is 1 */
    /* What the values of an OPTION_WORD are called, from `low` on; ends with NULL. */
    const char *const *words;
};

/* A whole number that is never text, and the two with a name in URLs. */
#define OPTION_FIELD(type, kind, field, low, high)                                                 \
    {                                                                                              \
#field, NULL, kind, offsetof(type, field), low, high, 1, NULL                              \
    }
#define OPTION_NAMED(type, kind, field, name, low, high, scale)                                    \
    {                                                                                              \
#field, name, kind, offsetof(type, field), low, high, scale, NULL                          \
    }
#define OPTION_WORDS(type, field, name, last, words)                                               \
    {                                                                                              \
#field, name, OPTION_WORD, offsetof(type, field), 0, last, 1, words                        \
    }

/* ---- The field ---------------------------------------------------------------------------- */

static inline int64_t option_load(const void *options, const struct option_row *row)
{
    const char *at = (const char *)options + row->offset;
    int64_t wide;
    uint64_t positive;
    size_t size;
    bool truth;
    int number;

    switch (row->kind) {
    case OPTION_INT64:
        memcpy(&wide, at, sizeof wide);
        return wide;
    case OPTION_SIZE:
        memcpy(&size, at, sizeof size);
        positive = size; /* of 64 bits here, whatever the machine has */
        return positive > INT64_MAX ? INT64_MAX : (int64_t)positive;
    case OPTION_BOOL:
        memcpy(&truth, at, sizeof truth);
        return truth;
    case OPTION_INT:
    case OPTION_WORD: /* an enum */
        break;
    }
    memcpy(&number, at, sizeof number);
    return number;
}

static inline void option_store(void *options, const struct option_row *row, int64_t value)
{
    char *at = (char *)options + row->offset;
    size_t size = (size_t)value;
    bool truth = value != 0;
    int number = (int)value;

    switch (row->kind) {
    case OPTION_INT64:
        memcpy(at, &value, sizeof value);
        return;
    case OPTION_SIZE:
        memcpy(at, &size, sizeof size);
        return;
    case OPTION_BOOL:
        memcpy(at, &truth, sizeof truth);
        return;
    case OPTION_INT:
    case OPTION_WORD:
        break;
    }
    memcpy(at, &number, sizeof number);
}

/* "rollback, commit or none" */
static inline void option_list_words(const struct option_row *row, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; row->words[i] != NULL && used < size; i++) {
        const char *between = i == 0 ? "" : row->words[i + 1] == NULL ? " or " : ", ";
        int added = snprintf(out + used, size - used, "%s%s", between, row->words[i]);
        used += added > 0 ? (size_t)added : 0;
    }
}

/* WEIR_INVALID for a number that is out of its range, with the field, the value and the range. */
static inline weir_status option_check_range(const char *field, int64_t value, int64_t low,
                                             int64_t high, weir_error *reterr)
{
    if (value >= low && value <= high)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_INVALID, "%s %" PRId64 ": must be %" PRId64 " to %" PRId64,
                          field, value, low, high);
}

/* The same for a field, whatever it is; of words they are listed. */
static inline weir_status option_check(const void *options, const struct option_row *row,
                                       weir_error *reterr)
{
    int64_t value = option_load(options, row);
    char words[96];

    if (row->kind == OPTION_BOOL || (value >= row->low && value <= row->high))
        return WEIR_OK;
    if (row->words == NULL)
        return option_check_range(row->field, value, row->low, row->high, reterr);
    option_list_words(row, words, sizeof words);
    return weir_error_set(reterr, WEIR_INVALID, "%s %" PRId64 ": must be %s", row->field, value,
                          words);
}

/* The first that is out of its range. */
static inline weir_status option_check_all(const void *options, const struct option_row *rows,
                                           size_t count, weir_error *reterr)
{
    weir_status status = WEIR_OK;

    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = option_check(options, &rows[i], reterr);
    return status;
}

/* ---- Text --------------------------------------------------------------------------------- */

static inline const struct option_row *option_find(const struct option_row *rows, size_t count,
                                                   const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].name != NULL && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/*
 * Read a decimal number, in thousandths, and nothing else: no sign but '-', no blanks, no hexadecimal,
 * no exponent, and no locale's idea of a decimal point. What is finer than a thousandth, or has more than
 * fifteen digits, is no number either.
 */
static inline bool option_parse_decimal(const char *text, int64_t *ret_thousandths)
{
    bool is_negative = *text == '-';
    const char *p = text + is_negative;
    int64_t value = 0;
    int64_t unit = 1000;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9' && value < INT64_C(100000000000000); p++)
        value = value * 10 + (*p - '0');
    value *= unit;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9' && (unit > 1 || *p == '0'); p++) {
            unit /= 10;
            value += unit * (*p - '0');
        }
    }
    *ret_thousandths = is_negative ? -value : value;
    return *p == '\0';
}

static inline bool option_parse_bool(const char *text, bool *ret_value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret_value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* The value of a text, in the unit of the field. */
static inline bool option_parse(const struct option_row *row, const char *text, int64_t *ret_value)
{
    int64_t scale = row->scale > 0 ? row->scale : 1;
    int64_t value;
    bool truth;

    if (row->kind == OPTION_BOOL) {
        if (!option_parse_bool(text, &truth))
            return false;
        *ret_value = truth;
        return true;
    }
    if (row->kind == OPTION_WORD) {
        for (int64_t i = 0; row->words[i] != NULL; i++) {
            if (strcasecmp(text, row->words[i]) == 0) {
                *ret_value = row->low + i;
                return true;
            }
        }
        return false;
    }
    /* -1 is a word of its own and no amount of seconds; nothing else below 0 is anything. */
    if (!option_parse_decimal(text, &value) || (value < 0 && value != -1000) ||
        value > INT64_MAX / scale)
        return false;
    if (value > 0)
        value *= scale;
    *ret_value = value / 1000;
    return value % 1000 == 0 && *ret_value >= row->low && *ret_value <= row->high;
}

/*
 * Set the field from a text. WEIR_INVALID, with the option as it is called in text, what was given, and what it
 * must be.
 */
static inline weir_status option_set(void *options, const struct option_row *row, const char *text,
                                     weir_error *reterr)
{
    char must_be[96] = "true or false";
    int64_t value;

    if (option_parse(row, text, &value)) {
        option_store(options, row, value);
        return WEIR_OK;
    }
    if (row->kind == OPTION_WORD)
        option_list_words(row, must_be, sizeof must_be);
    else if (row->kind != OPTION_BOOL && row->scale <= 1)
        snprintf(must_be, sizeof must_be, "%" PRId64 " to %" PRId64, row->low, row->high);
    else if (row->kind != OPTION_BOOL) /* in a URL's seconds -1 stays -1 */
        snprintf(must_be, sizeof must_be, "%g to %g seconds",
                 row->low > 0 ? (double)row->low / (double)row->scale : (double)row->low,
                 (double)row->high / (double)row->scale);
    return weir_error_set(reterr, WEIR_INVALID, "%s=%s: must be %s", row->name, text, must_be);
}

#endif
