/* SPDX-License-Identifier: MIT */
/* Builds URLs: percent-encodes, adds path segments and query pairs. */
#ifndef WEIR_HTTP_URL_BUILD_H
#define WEIR_HTTP_URL_BUILD_H

#include "http/url.h"

/* Percent-encode all but the unreserved characters of RFC 3986; malloc'ed, NULL: out of memory. */
char *weir__url_encode(const char *text);

/* The URL with one segment added to its path, in front of a query; or one pair added to its query.
 * The slash, `?` or `&` between is not doubled. malloc'ed. Errors: WEIR_INVALID for the segments "",
 * "." and ".." and a name that is "", WEIR_LIMIT, WEIR_NO_MEMORY. */
weir_status weir__url_add_segment(const char *url, const char *segment, char **ret_url,
                                  weir_error *reterr);
weir_status weir__url_add_query(const char *url, const char *name, const char *value,
                                char **ret_url, weir_error *reterr);

/* Write `size` bytes of the text, percent-encoding those that may not stay. `to` has room for three times as many.
 * Returns where the written text ends; no zero follows it. */
char *weir__url_put_encoded(char *to, const char *text, size_t size, bool (*stays)(char c));

/* The errors of every function that reads or builds a URL. */
weir_status weir__url_too_long(weir_error *reterr);
weir_status weir__url_no_memory(weir_error *reterr);

#endif
