/* SPDX-License-Identifier: MIT */
/* For tests of URLs: what is parsed, and what is refused. */
#ifndef WEIR_TESTS_URL_CHECK_H
#define WEIR_TESTS_URL_CHECK_H

#include "check.h"
#include "http/url.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static weir_error error;

/* The parsed URL; all zero after a failed check. */
static struct url parse(const char *text)
{
    struct url url = {0};
    weir_status status = weir__url_parse(text, &url, &error);

    if (status != WEIR_OK)
        printf("# %s: %s\n", text, error.text);
    check_int(status, WEIR_OK);
    return url;
}

static void check_origin(const char *text, const char *origin)
{
    struct url url = parse(text);

    check_text(url.origin, origin);
    weir__url_clear(&url);
}

/* Refused with this in its text, and nothing written. */
static void check_invalid(const char *text, const char *part)
{
    static const struct url none;
    struct url url = {0};

    error = (weir_error){0};
    check_int(weir__url_parse(text, &url, &error), WEIR_INVALID);
    check_contains(error.text, part);
    check(memcmp(&url, &none, sizeof url) == 0);
}

#endif
