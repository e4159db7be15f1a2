/* SPDX-License-Identifier: MIT */
/* Characters of HTTP's texts, ASCII in every locale. */
#ifndef WEIR_HTTP_TEXT_H
#define WEIR_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

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

/* tchar of RFC 9110 (5.6.2). */
static inline bool weir__is_token_char(char c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    if (weir__is_alphanumeric(c)) /* nearly all of them, in every response */
        return true;
    for (size_t i = 0; i < sizeof marks - 1; i++)
        if (c == marks[i])
            return true;
    return false;
}

/* How many characters at the beginning of a text of this size are a token's. */
static inline size_t weir__token_length(const char *text, size_t size)
{
    size_t length = 0;

    while (length < size && weir__is_token_char(text[length]))
        length++;
    return length;
}

/* Where the first character stands that no header's value may hold; `size`: there is none. */
static inline size_t weir__value_fault(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (weir__is_control(value[i]) && value[i] != '\t')
            return i;
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

/* Whether two names are the same, in any case. */
static inline bool weir__is_same_name(const char *name, const char *other)
{
    for (; *name != '\0' && weir__lower(*name) == weir__lower(*other); name++)
        other++;
    return weir__lower(*name) == weir__lower(*other);
}

#endif
