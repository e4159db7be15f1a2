/* SPDX-License-Identifier: MIT */
/* Characters of HTTP's texts, ASCII in every locale. */
#ifndef WEIR_HTTP_TEXT_H
#define WEIR_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool weir__is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char weir__lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool weir__is_alphanumeric(char c)
{
    char lower = weir__lower(c);

    return weir__is_digit(c) || (lower >= 'a' && lower <= 'z');
}

static inline bool weir__is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* NUL, CR and LF among them; a tab as well. */
static inline bool weir__is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* tchar of RFC 9110 (5.6.2): !#$%&'*+-.^_`|~, digits and letters, a bit for each character of ASCII. */
static inline bool weir__is_token_char(char c)
{
    static const uint64_t tokens[2] = {UINT64_C(0x03FF6CFA00000000), UINT64_C(0x57FFFFFFC7FFFFFE)};
    unsigned char code = (unsigned char)c;

    return code < 128 && (tokens[code / 64] >> code % 64 & 1) != 0;
}

/* How many characters at the beginning of a text of this size are a token's. */
static inline size_t weir__token_length(const char *text, size_t size)
{
    size_t length = 0;

    while (length < size && weir__is_token_char(text[length]))
        length++;
    return length;
}

/* Whether there is a control among eight characters, without a look at each: taking 0x20 from a byte
 * below it sets its highest bit, which was clear; so does taking 1 from a byte that 0x7F made 0. */
static inline bool weir__has_control(const char *eight)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t bytes = 0;

    memcpy(&bytes, eight, sizeof bytes);
    uint64_t deletes = bytes ^ (each * 0x7F);
    return (((bytes - each * 0x20) & ~bytes) | ((deletes - each) & ~deletes)) & (each * 0x80);
}

/* Where the first character stands that no header's value may hold; `size`: there is none. */
static inline size_t weir__value_fault(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while (size - i >= 8 && !weir__has_control(value + i))
            i += 8;
        if (i < size && weir__is_control(value[i]) && value[i] != '\t')
            return i;
    }
    return size;
}

/* Cut blanks off both ends of a text that need not end with a zero. */
static inline void weir__trim(const char **text, size_t *size)
{
    while (*size > 0 && weir__is_blank((*text)[*size - 1]))
        (*size)--;
    while (*size > 0 && weir__is_blank(**text)) {
        (*text)++;
        (*size)--;
    }
}

/* The next element of a list with commas and blanks between them (RFC 9110, 5.6.1), from *at on; *at is
 * then behind it. false: there is none. */
static inline bool weir__next_element(const char **at, const char **ret_element, size_t *ret_size)
{
    static const char between[] = ", \t";

    *ret_element = *at + strspn(*at, between);
    *ret_size = strcspn(*ret_element, between);
    *at = *ret_element + *ret_size;
    return *ret_size > 0;
}

/* Whether two names are the same, in any case. */
static inline bool weir__is_same_name(const char *name, const char *other)
{
    for (; *name != '\0' && weir__lower(*name) == weir__lower(*other); name++)
        other++;
    return weir__lower(*name) == weir__lower(*other);
}

/* The method itself, static, where it is one of those that RFC 9110 and 5789 name; NULL for one that anybody
 * may invent, so that labels and names of spans stay few. */
static inline const char *weir__known_method(const char *method)
{
    static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};

    for (size_t i = 0; method != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], method) == 0)
            return known[i];
    return NULL;
}

#endif
