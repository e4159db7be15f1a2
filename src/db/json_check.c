/* SPDX-License-Identifier: MIT */
/* Is this text one JSON value? Without recursion, so that depth costs no stack. */
#include "common/hex.h"
#include "common/utf8.h"
#include "db/result.h"

#include <string.h>

#define DEEPEST 512

typedef const unsigned char *bytes;

/* Each of these passes one thing and returns what follows it, or NULL when it is not there. */

static bytes skip_space(bytes at, bytes end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static bytes pass_word(bytes at, bytes end, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(end - at) < size || memcmp(at, word, size) != 0)
        return NULL;
    return at + size;
}

static bytes pass_digits(bytes at, bytes end)
{
    bytes start = at;

    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at == start ? NULL : at;
}

static bytes pass_number(bytes at, bytes end)
{
    if (at < end && *at == '-')
        at++;
    bool is_zero = at < end && *at == '0';
    bytes integer = at;
    at = pass_digits(at, end);
    if (at == NULL || (is_zero && at - integer > 1))
        return NULL;
    if (at < end && *at == '.')
        at = pass_digits(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = pass_digits(at, end);
    }
    return at;
}

static bytes pass_escape(bytes at, bytes end)
{
    if (end - at < 2)
        return NULL;
    if (at[1] != 'u')
        return strchr("\"\\/bfnrt", at[1]) != NULL && at[1] != '\0' ? at + 2 : NULL;
    if (end - at < 6)
        return NULL;
    for (int i = 2; i < 6; i++)
        if (hex_digit((char)at[i]) < 0)
            return NULL;
    return at + 6;
}

static bytes pass_string(bytes at, bytes end)
{
    if (at == end || *at != '"')
        return NULL;
    for (at++; at != NULL && at < end;) {
        if (*at == '"')
            return at + 1;
        if (*at < 0x20)
            return NULL;
        if (*at == '\\') {
            at = pass_escape(at, end);
            continue;
        }
        size_t length = utf8_length((const char *)at, (const char *)end);
        at = length == 0 ? NULL : at + length;
    }
    return NULL;
}

static bytes pass_scalar(bytes at, bytes end)
{
    if (at == end)
        return NULL;
    switch (*at) {
    case '"':
        return pass_string(at, end);
    case 't':
        return pass_word(at, end, "true");
    case 'f':
        return pass_word(at, end, "false");
    case 'n':
        return pass_word(at, end, "null");
    default:
        return pass_number(at, end);
    }
}

/* `"key" :` up to the value. */
static bytes pass_key(bytes at, bytes end)
{
    at = pass_string(skip_space(at, end), end);
    if (at == NULL)
        return NULL;
    at = skip_space(at, end);
    return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

/* The open brackets: their closing characters, innermost last. */
struct nest {
    char closers[DEEPEST];
    int depth;
};

/* Behind a value: a comma and the next value of the container (its key passed), or the ends of as
 * many containers as end here. */
static bytes pass_after_value(struct nest *nest, bytes at, bytes end)
{
    while (nest->depth > 0) {
        at = skip_space(at, end);
        if (at == end)
            return NULL;
        char closer = nest->closers[nest->depth - 1];
        if (*at == ',')
            return closer == '}' ? pass_key(at + 1, end) : skip_space(at + 1, end);
        if ((char)*at != closer)
            return NULL;
        at++;
        nest->depth--;
    }
    return at;
}

/* A value's beginning: a scalar and what ends behind it, or one bracket deeper. */
static bytes pass_step(struct nest *nest, bytes at, bytes end)
{
    if (at == end || (*at != '[' && *at != '{')) {
        at = pass_scalar(at, end);
        return at == NULL ? NULL : pass_after_value(nest, at, end);
    }
    if (nest->depth == DEEPEST)
        return NULL;

    char closer = *at == '{' ? '}' : ']';
    nest->closers[nest->depth++] = closer;
    at = skip_space(at + 1, end);
    if (at < end && (char)*at == closer)
        return pass_after_value(nest, at, end);
    return closer == '}' ? pass_key(at, end) : at;
}

bool weir__json_is_valid(const char *text, size_t size)
{
    bytes at = (bytes)text;
    bytes end = at + size;
    struct nest nest = {.depth = 0};

    at = skip_space(at, end);
    do
        at = pass_step(&nest, at, end);
    while (at != NULL && nest.depth > 0);
    return at != NULL && skip_space(at, end) == end;
}
