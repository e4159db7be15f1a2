/* SPDX-License-Identifier: MIT */
/* Text as it travels in a URL. */
#ifndef WEIR_SERVER_URLTEXT_H
#define WEIR_SERVER_URLTEXT_H

#include <stdbool.h>
#include <stddef.h>

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
