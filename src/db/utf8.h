/* SPDX-License-Identifier: MIT */
/* One step through UTF-8, as strict as Unicode wants it. */
#ifndef WEIR_DB_UTF8_H
#define WEIR_DB_UTF8_H

#include <stddef.h>

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

#endif
