/* SPDX-License-Identifier: MIT */
/* Values: their makers, the words of their types, and the writing of dates in ISO 8601. */
#include "db/result.h"

#include <string.h>

const char *weir_type_name(weir_type type)
{
    static const char *const names[] = {
        [WEIR_NULL] = "null",     [WEIR_BOOL] = "boolean",        [WEIR_INT] = "integer",
        [WEIR_DOUBLE] = "double", [WEIR_TEXT] = "text",           [WEIR_BLOB] = "blob",
        [WEIR_JSON] = "json",     [WEIR_TIMESTAMP] = "timestamp",
    };

    if ((size_t)type >= sizeof names / sizeof names[0])
        return "unknown";
    return names[type];
}

weir_value weir_null(void)
{
    return (weir_value){.type = WEIR_NULL};
}

weir_value weir_bool(bool boolean)
{
    return (weir_value){.type = WEIR_BOOL, .boolean = boolean};
}

weir_value weir_int(int64_t integer)
{
    return (weir_value){.type = WEIR_INT, .integer = integer};
}

weir_value weir_double(double real)
{
    return (weir_value){.type = WEIR_DOUBLE, .real = real};
}

static weir_value text_of(weir_type type, const char *text, size_t size)
{
    if (text == NULL)
        return weir_null();
    return (weir_value){.type = type, .text = text, .size = size};
}

weir_value weir_text(const char *text)
{
    return text_of(WEIR_TEXT, text, text == NULL ? 0 : strlen(text));
}

weir_value weir_text_n(const char *text, size_t size)
{
    return text_of(WEIR_TEXT, text, size);
}

weir_value weir_blob(const void *bytes, size_t size)
{
    return text_of(WEIR_BLOB, bytes, size);
}

weir_value weir_json(const char *text)
{
    return text_of(WEIR_JSON, text, text == NULL ? 0 : strlen(text));
}

weir_value weir_timestamp(const char *iso8601)
{
    return text_of(WEIR_TIMESTAMP, iso8601, iso8601 == NULL ? 0 : strlen(iso8601));
}

/* ---- dates ------------------------------------------------------------------------------- */

/* A reader over a database's text and the room where its ISO 8601 form grows. */
struct rewrite {
    const char *at;
    const char *end;
    char *to;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool copy_digits(struct rewrite *r, int count)
{
    if (r->end - r->at < count)
        return false;
    for (int i = 0; i < count; i++) {
        if (!is_digit(r->at[i]))
            return false;
        r->to[i] = r->at[i];
    }
    r->at += count;
    r->to += count;
    return true;
}

static bool copy_char(struct rewrite *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    *r->to++ = c;
    r->at++;
    return true;
}

/* yyyy-mm-dd. A year of five digits or more is no ISO 8601 without an agreement, hence refused. */
static bool rewrite_date(struct rewrite *r)
{
    return copy_digits(r, 4) && copy_char(r, '-') && copy_digits(r, 2) && copy_char(r, '-') &&
           copy_digits(r, 2);
}

/* hh:mm, hh:mm:ss, and up to nine digits of a second. */
static bool rewrite_clock(struct rewrite *r)
{
    if (!copy_digits(r, 2) || !copy_char(r, ':') || !copy_digits(r, 2))
        return false;
    if (!copy_char(r, ':'))
        return true;
    if (!copy_digits(r, 2))
        return false;
    if (!copy_char(r, '.'))
        return true;

    int digits = 0;
    while (digits < 9 && copy_digits(r, 1))
        digits++;
    return digits > 0;
}

/* Z, +hh, +hhmm, +hh:mm, or +hh:mm:ss as in zones of the nineteenth century. */
static bool rewrite_zone(struct rewrite *r)
{
    if (r->at == r->end)
        return true;
    if (*r->at == 'Z' || *r->at == 'z') {
        r->at++;
        memcpy(r->to, "+00:00", 6);
        r->to += 6;
        return true;
    }
    if (!copy_char(r, '+') && !copy_char(r, '-'))
        return false;
    if (!copy_digits(r, 2))
        return false;
    if (r->at == r->end) {
        memcpy(r->to, ":00", 3);
        r->to += 3;
        return true;
    }
    if (!copy_char(r, ':'))
        *r->to++ = ':';
    if (!copy_digits(r, 2))
        return false;
    return !copy_char(r, ':') || copy_digits(r, 2);
}

size_t weir__timestamp_normalise(const char *text, size_t size, char *room)
{
    struct rewrite r = {text, text + size, room};

    if (!rewrite_date(&r))
        return 0;
    if (r.at == r.end)
        return (size_t)(r.to - room);
    if (*r.at != ' ' && *r.at != 'T' && *r.at != 't')
        return 0;
    r.at++;
    *r.to++ = 'T';
    if (!rewrite_clock(&r) || !rewrite_zone(&r) || r.at != r.end)
        return 0;
    return (size_t)(r.to - room);
}
