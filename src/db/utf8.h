/* SPDX-License-Identifier: MIT */
/* One step through UTF-8, as strict as Unicode wants it. */
#ifndef WEIR_DB_UTF8_H
#define WEIR_DB_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The bytes of the character that begins at `at` (at < end), 1 to 4; 0 when it is none: cut off,
 * overlong, half of a surrogate pair, or above U+10FFFF.
 */
static inline size_t weir__utf8_length(const unsigned char *at, const unsigned char *end)
{
    unsigned char lead = *at;
    size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    if (length <= 1)
        return length;
    if (lead > 0xF4 || (size_t)(end - at) < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if ((lead == 0xE0 && at[1] < 0xA0) || (lead == 0xED && at[1] > 0x9F) ||
        (lead == 0xF0 && at[1] < 0x90) || (lead == 0xF4 && at[1] > 0x8F))
        return 0;
    return length;
}

/* How many of the bytes from `at` on are whole characters; end - at when all are. */
static inline size_t weir__utf8_span(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *start = at;

    while (at < end) {
        uint64_t eight;
        if ((size_t)(end - at) >= sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t length = weir__utf8_length(at, end);
        if (length == 0)
            break;
        at += length;
    }
    return (size_t)(at - start);
}

#endif
