/* SPDX-License-Identifier: MIT */
/* Labels as Prometheus' text writes them, from values that may be anything. */
#include "observe/labels.h"

#include <string.h>

#include "observe/utf8.h"

/* `size` 0: a byte that is part of no character. */
static size_t escape_character(const char *at, size_t size, bool quotes, char *to)
{
    if (size == 0) {
        memcpy(to, "\xEF\xBF\xBD", 3);
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
        size_t size = weir__character(text, end);

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

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 32;
}

/* Eight bytes at a time. */
uint32_t weir__labels_hash(const char *labels, size_t size)
{
    uint64_t hash = size;
    uint64_t word = 0;
    size_t at = 0;

    for (; at + sizeof word <= size; at += sizeof word) {
        memcpy(&word, labels + at, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, labels + at, size - at);
    return (uint32_t)mix(hash, word);
}
