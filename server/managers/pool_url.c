/* SPDX-License-Identifier: MIT */
/* Options by libweir's own table of them: what it knows is taken out, what it does not stays. */
#include "pool_url.h"

#include <stdlib.h>
#include <string.h>

#include "text/text.h"
#include "text/urltext.h"

#define NAME_LIMIT 64
#define VALUE_LIMIT 256

/* Decode `size` bytes into `out` of `room` bytes; false when that cannot be. */
static bool decode(const char *text, size_t size, char *out, size_t room)
{
    size_t length;

    return size < room && url_decode(text, size, false, out, &length);
}

/* Whether a pair `name=value` is the caller's business, and set it if so. */
static bool take(const char *pair, size_t size, weir_pool_options *pool)
{
    char name[NAME_LIMIT], value[VALUE_LIMIT];
    const char *equals = memchr(pair, '=', size);

    if (equals == NULL)
        return false;
    size_t name_size = (size_t)(equals - pair);
    if (!decode(pair, name_size, name, sizeof name) ||
        !decode(equals + 1, size - name_size - 1, value, sizeof value))
        return false;
    return strcmp(name, "application_name") == 0 ||
           weir_pool_options_set(pool, name, value, NULL) == WEIR_OK;
}

weir_status pool_url_split(const char *url, char **ret_url, weir_pool_options *pool)
{
    weir_pool_options options = *pool;
    struct text rest = {0};
    const char *query = strchr(url, '?');
    char separator = '?';

    text_add_n(&rest, url, query != NULL ? (size_t)(query - url) : strlen(url));
    for (const char *at = query; at != NULL && at[0] != '\0' && at[1] != '\0';) {
        size_t size = strcspn(++at, "&");
        if (!take(at, size, &options)) {
            text_add_n(&rest, &separator, 1);
            text_add_n(&rest, at, size);
            separator = '&';
        }
        at += size;
    }
    char *whole = text_take(&rest);
    if (whole == NULL)
        return WEIR_NO_MEMORY;
    *ret_url = whole;
    *pool = options;
    return WEIR_OK;
}
