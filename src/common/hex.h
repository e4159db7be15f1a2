/* SPDX-License-Identifier: MIT */
/* Hexadecimal digits, and percent-encoding (RFC 3986, 2.1). */
#ifndef WEIR_COMMON_HEX_H
#define WEIR_COMMON_HEX_H

#include <stddef.h>
#include <stdint.h>

/* The value of a digit, in either case; -1: it is none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Write bytes as digits, two for each, in small letters and without a terminator. Returns the end. */
static inline char *hex_write(char *to, const void *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *at = (const uint8_t *)bytes;

    for (size_t i = 0; i < count; i++) {
        *to++ = digits[at[i] >> 4];
        *to++ = digits[at[i] & 15];
    }
    return to;
}

/* The byte that the `%XX` at `at` stands for; -1: two digits do not follow before `end`. */
static inline int percent_read(const char *at, const char *end)
{
    int high = end - at >= 3 ? hex_digit(at[1]) : -1;
    int low = high >= 0 ? hex_digit(at[2]) : -1;

    return low >= 0 ? high * 16 + low : -1;
}

/* Write a byte as `%XX`, in capital letters as RFC 3986 wants it. Returns the end. */
static inline char *percent_write(char *to, char byte)
{
    static const char digits[] = "0123456789ABCDEF";

    *to++ = '%';
    *to++ = digits[(unsigned char)byte >> 4];
    *to++ = digits[byte & 15];
    return to;
}

#endif
