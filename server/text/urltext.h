/* SPDX-License-Identifier: MIT */
/* Text as it travels in a URL: percent-decoding and the check that bytes are UTF-8. */
#ifndef WEIR_SERVER_URLTEXT_H
#define WEIR_SERVER_URLTEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are well-formed UTF-8: shortest form only, no surrogates, nothing above
 * U+10FFFF. NUL counts as well-formed. */
bool utf8_is_valid(const char *bytes, size_t size);

/* The length in bytes of the well-formed character at the start of `bytes`; 0 when there is none
 * (or size is 0). */
size_t utf8_char_size(const char *bytes, size_t size);

/*
 * Decode %XX, and with plus_is_space "+" too, into `out`, which has room for size + 1 bytes and
 * may be the input itself. A zero byte ends the result.
 *
 * Returns false, with `out` undefined, when a "%" is not followed by two hexadecimal digits, or
 * when the result holds a NUL or is not UTF-8: such text means different things to different
 * readers, so nobody gets to read it.
 */
bool url_decode(const char *text, size_t size, bool plus_is_space, char *out, size_t *ret_size);

#endif
