/* SPDX-License-Identifier: MIT */
/* URLs: checked, encoded, taken apart by libcurl's parser, compared by origin. */
#ifndef WEIR_HTTP_URL_H
#define WEIR_HTTP_URL_H

#include <weir/http.h>

#include <curl/curl.h>

/* The longest URL, in bytes, and the longest name of an origin ("https://host:443"). */
#define URL_LIMIT 65536
#define ORIGIN_SIZE 280

/*
 * An absolute http or https URL, which one url_clear() frees. All zero is none. `text` is what is
 * sent, `parts` the same as libcurl has taken it apart, so that it need not for each attempt,
 * `shown` the text without its query, for errors and events, `origin` the scheme, host in lower
 * case and port, always written.
 */
struct url {
    char *text;
    CURLU *parts;
    char *shown;
    char origin[ORIGIN_SIZE];
};

/*
 * Check and take apart. The path stays as it is, "." and ".." included (CURLOPT_PATH_AS_IS). Hosts
 * are ASCII names without escapes, IPv4 or IPv6 addresses without a zone. Errors: WEIR_INVALID with
 * the position of a character that may not stand in a URL, or the reason (scheme, user or password,
 * no host, port); never with the query. WEIR_LIMIT, WEIR_NO_MEMORY. *ret_url is untouched then.
 */
weir_status weir__url_parse(const char *text, struct url *ret_url, weir_error *reterr);

/*
 * Where a Location leads from `base`: RFC 3986 (5.2), with blanks around it cut off, what browsers
 * encode encoded, and the fragment dropped. Errors: WEIR_PROTOCOL, saying why nobody follows it there;
 * WEIR_NO_MEMORY. *ret_url is untouched then.
 */
weir_status weir__url_resolve(const struct url *base, const char *location, struct url *ret_url,
                              weir_error *reterr);

void weir__url_clear(struct url *url);

/* The reason in an error of weir__url_parse(), without its position, which may be one in a text that
 * nobody else has seen, and without the advice to those who write requests. *ret_size bytes. */
const char *weir__url_reason(const weir_error *error, int *ret_size);

#endif
