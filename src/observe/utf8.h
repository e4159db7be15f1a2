/* SPDX-License-Identifier: MIT */
/* One step through UTF-8, as strict as Unicode wants it. */
#ifndef WEIR_OBSERVE_UTF8_H
#define WEIR_OBSERVE_UTF8_H

#include <stddef.h>

/*
 * The bytes of the character that begins at `at` (at < end), 1 to 4; 0 when it is none: cut off,
 * overlong, half of a surrogate pair, or above U+10FFFF.
 */
static inline size_t weir__character(const char *at, const char *end)
{
    const unsigned char *byte = (const unsigned char *)at;
    size_t size = byte[0] < 0x80   ? 1
                  : byte[0] < 0xC2 ? 0
                  : byte[0] < 0xE0 ? 2
                  : byte[0] < 0xF0 ? 3
                  : byte[0] < 0xF5 ? 4
                                   : 0;

    if (size <= 1 || (size_t)(end - at) < size)
        return size <= 1 ? size : 0;
    for (size_t i = 1; i < size; i++)
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    if ((byte[0] == 0xE0 && byte[1] < 0xA0) || (byte[0] == 0xED && byte[1] > 0x9F) ||
        (byte[0] == 0xF0 && byte[1] < 0x90) || (byte[0] == 0xF4 && byte[1] > 0x8F))
        return 0;
    return size;
}

#endif
