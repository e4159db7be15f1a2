/* SPDX-License-Identifier: MIT */
/* Text as it travels in a URL: percent-decoding and the check that bytes are UTF-8. */
#include "urltext.h"

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The second byte's range rules out overlong forms, surrogates and what lies above U+10FFFF. */
static bool second_byte_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_continuation(second);
    }
}

size_t utf8_char_size(const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    size_t need;

    if (size == 0)
        return 0;
    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        need = 2;
    else if (at[0] >= 0xe0 && at[0] <= 0xef)
        need = 3;
    else if (at[0] >= 0xf0 && at[0] <= 0xf4)
        need = 4;
    else
        return 0;
    if (size < need || !second_byte_fits(at[0], at[1]))
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (!is_continuation(at[i]))
            return 0;
    }
    return need;
}

bool utf8_is_valid(const char *bytes, size_t size)
{
    while (size > 0) {
        size_t step = utf8_char_size(bytes, size);

        if (step == 0)
            return false;
        bytes += step;
        size -= step;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool url_decode(const char *text, size_t size, bool plus_is_space, char *out, size_t *ret_size)
{
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (c == '%') {
            int high = size - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = size - i > 2 ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0')
            return false;
        out[length++] = c;
    }
    out[length] = '\0';
    *ret_size = length;
    return utf8_is_valid(out, length);
}
