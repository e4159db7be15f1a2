/* SPDX-License-Identifier: MIT */
/* UTF-8, as strict as Unicode wants it. */
#ifndef WEIR_COMMON_UTF8_H
#define WEIR_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What is shown in place of a byte that belongs to no character: U+FFFD. */
#define UTF8_REPLACEMENT "\xEF\xBF\xBD"

/*
 * The bytes of the character that begins at `at` (at < end), 1 to 4; 0 when it is none: cut off,
 * overlong, half of a surrogate pair, or above U+10FFFF. A zero byte is a character.
 */
static inline size_t utf8_length(const char *at, const char *end)
{
    const unsigned char *bytes = (const unsigned char *)at;
    unsigned char lead = bytes[0];
    size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    if (length <= 1)
        return length;
    if (lead > 0xF4 || (size_t)(end - at) < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    if ((lead == 0xE0 && bytes[1] < 0xA0) || (lead == 0xED && bytes[1] > 0x9F) ||
        (lead == 0xF0 && bytes[1] < 0x90) || (lead == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return length;
}

/* How many of the bytes from `at` on are whole characters; end - at when all are. */
static inline size_t utf8_span(const char *at, const char *end)
{
    const char *start = at;

    while (at < end) {
        uint64_t eight;
        if ((size_t)(end - at) >= sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t length = utf8_length(at, end);
        if (length == 0)
            break;
        at += length;
    }
    return (size_t)(at - start);
}

static inline bool utf8_is_valid(const char *bytes, size_t size)
{
    return utf8_span(bytes, bytes + size) == size;
}

/* Where a text that goes on beyond `limit` bytes is cut, so that no character is split. */
static inline size_t utf8_cut(const char *text, size_t limit)
{
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80)
        limit--;
    return limit;
}

#endif
