/* SPDX-License-Identifier: MIT */
/* Labels as Prometheus' text writes them, from values that may be anything. */
#include "observe/labels.h"

#include "common/hash.h"
#include "common/utf8.h"

#include <string.h>

/* `size` 0: a byte that is part of no character. */
static size_t escape_character(const char *at, size_t size, bool quotes, char *to)
{
    if (size == 0) {
        memcpy(to, UTF8_REPLACEMENT, 3);
        return 3;
    }
    if (at[0] == '\\' || at[0] == '\n' || (at[0] == '"' && quotes)) {
        to[0] = '\\';
        to[1] = at[0] == '\n' ? 'n' : at[0];
        return 2;
    }
    memcpy(to, at, size);
    return size;
}

size_t weir__escape(const char *text, bool quotes, char *to)
{
    /* Far enough that a character across the limit is seen whole, and left out. */
    const char *end = text + strnlen(text, WEIR_METRIC_VALUE_MAX + 3);
    const char *limit = end - text > WEIR_METRIC_VALUE_MAX ? text + WEIR_METRIC_VALUE_MAX : end;
    size_t used = 0;

    while (text < limit) {
        size_t size = utf8_length(text, end);

        if (size > (size_t)(limit - text))
            break;
        if (size == 1 && *text != '\\' && *text != '\n' && *text != '"')
            to[used++] = *text;
        else
            used += escape_character(text, size, quotes, to + used);
        text += size > 0 ? size : 1;
    }
    to[used] = '\0';
    return used;
}

size_t weir__labels_write(const char *const *names, const char *const *values, size_t count,
                          char *to)
{
    size_t used = 0;

    to[0] = '\0';
    for (size_t i = 0; i < count && values != NULL; i++) {
        if (values[i] == NULL || values[i][0] == '\0')
            continue;
        if (used > 0)
            to[used++] = ',';
        size_t size = strlen(names[i]);
        memcpy(to + used, names[i], size);
        used += size;
        memcpy(to + used, "=\"", 2);
        used += 2;
        used += weir__escape(values[i], true, to + used);
        memcpy(to + used, "\"", 2);
        used++;
    }
    return used;
}

uint32_t weir__labels_hash(const char *labels, size_t size)
{
    return (uint32_t)hash_bytes(labels, size);
}
