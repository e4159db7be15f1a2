/* SPDX-License-Identifier: MIT */
/* Builds URLs: percent-encodes, adds path segments and query pairs. No error of this file quotes one. */
#include "http/url_build.h"

#include "common/hex.h"
#include "http/text.h"

#include <stdlib.h>
#include <string.h>

weir_status weir__url_too_long(weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_LIMIT, "URL: longer than %d bytes", URL_LIMIT);
}

weir_status weir__url_no_memory(weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_NO_MEMORY, "URL: out of memory");
}

static bool is_unreserved(char c)
{
    return weir__is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

char *weir__url_put_encoded(char *to, const char *text, size_t size, bool (*stays)(char c))
{
    for (size_t i = 0; i < size; i++) {
        if (stays(text[i]))
            *to++ = text[i];
        else
            to = percent_write(to, text[i]);
    }
    return to;
}

char *weir__url_encode(const char *text)
{
    size_t size = strlen(text);
    char *encoded = malloc(3 * size + 1);

    if (encoded != NULL)
        *weir__url_put_encoded(encoded, text, size, is_unreserved) = '\0';
    return encoded;
}

/* Whether the parts together can still be a URL; so no size below overflows either. */
static bool is_within_limit(const char *url, const char *part, const char *other)
{
    const size_t most = URL_LIMIT + 1;

    return strnlen(url, most) + strnlen(part, most) + strnlen(other, most) <= URL_LIMIT;
}

weir_status weir__url_add_segment(const char *url, const char *segment, char **ret_url,
                                  weir_error *reterr)
{
    if (segment[0] == '\0' || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
        return weir_error_set(reterr, WEIR_INVALID,
                              "path segment: must not be empty, \".\" or \"..\"");
    if (!is_within_limit(url, segment, ""))
        return weir__url_too_long(reterr);

    size_t path = strcspn(url, "?#");
    size_t size = strlen(segment);
    char *built = malloc(strlen(url) + 3 * size + sizeof "/");
    if (built == NULL)
        return weir__url_no_memory(reterr);
    memcpy(built, url, path);
    char *at = built + path;
    if (path == 0 || at[-1] != '/')
        *at++ = '/';
    at = weir__url_put_encoded(at, segment, size, is_unreserved);
    memcpy(at, url + path, strlen(url + path) + 1);
    *ret_url = built;
    return WEIR_OK;
}

weir_status weir__url_add_query(const char *url, const char *name, const char *value,
                                char **ret_url, weir_error *reterr)
{
    if (name[0] == '\0')
        return weir_error_set(reterr, WEIR_INVALID, "query: a name must not be empty");
    if (!is_within_limit(url, name, value))
        return weir__url_too_long(reterr);

    size_t size = strcspn(url, "#");
    const char *query = memchr(url, '?', size);
    char *built = malloc(size + 3 * (strlen(name) + strlen(value)) + sizeof "?=");
    if (built == NULL)
        return weir__url_no_memory(reterr);
    memcpy(built, url, size);
    char *at = built + size;
    if (query == NULL)
        *at++ = '?';
    else if (at[-1] != '?' && at[-1] != '&')
        *at++ = '&';
    at = weir__url_put_encoded(at, name, strlen(name), is_unreserved);
    *at++ = '=';
    *weir__url_put_encoded(at, value, strlen(value), is_unreserved) = '\0';
    *ret_url = built;
    return WEIR_OK;
}
