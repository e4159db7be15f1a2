/* SPDX-License-Identifier: MIT */
/* Text as it travels in a URL. */
#include "urltext.h"

#include "common/hex.h"
#include "common/utf8.h"

bool url_decode(const char *text, size_t size, bool plus_is_space, char *out, size_t *ret_size)
{
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (c == '%') {
            int byte = percent_read(text + i, text + size);

            if (byte < 0)
                return false;
            c = (char)byte;
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
