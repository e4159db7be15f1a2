/* SPDX-License-Identifier: MIT */
/* URLs: checked, encoded, taken apart, compared. No error of this file quotes one: any part may be a secret. */
#include "http/url.h"

#include "http/host.h"
#include "http/text.h"
#include "http/url_build.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is read, what of it is known, and who hears of the first fault. */
struct reading {
    const char *text;
    const char *host; /* brackets of IPv6 included */
    const char *host_end;
    const char *authority_end;
    char *international; /* the URL with its host in ASCII, malloc'ed; NULL: it is so already */
    bool is_https;
    unsigned port;
    weir_error *reterr;
};

/* ---- leaves ------------------------------------------------------------------------------ */

static weir_status invalid_at(const struct reading *r, const char *at, const char *fault)
{
    return weir_error_set(r->reterr, WEIR_INVALID, "URL, position %zu: %s",
                          (size_t)(at - r->text) + 1, fault);
}

/* What libcurl's parser found, after our own checks have passed. */
static weir_status curl_failed(CURLUcode code, weir_error *reterr)
{
    if (code == CURLUE_OUT_OF_MEMORY)
        return weir__url_no_memory(reterr);
    return weir_error_set(reterr, WEIR_INVALID, "URL: %s", curl_url_strerror(code));
}

static void forget_text(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* ---- characters ------------------------------------------------------------------------- */

/* What a URL may hold as it stands. A backslash is none of it, which some take for a slash. */
static bool is_plain(char c)
{
    return c != ' ' && c != '\\' && (unsigned char)c < 0x80;
}

/* The same of a Location. Servers write there what no URL may hold (RFC 3986, 2), and refuse it in the
 * request that follows: it is encoded, as browsers do. */
static bool is_plain_in_location(char c)
{
    return is_plain(c) && strchr("\"<>^`{|}", c) == NULL;
}

/* In a host there is nothing to be encoded: what is not ASCII is of an international name. */
static bool is_plain_in_host(char c)
{
    return (unsigned char)c >= 0x80 || is_plain_in_location(c);
}

/* ---- our own look ------------------------------------------------------------------------ */

/* The length of `scheme` when the text begins with it, in any case; 0 otherwise. */
static size_t scheme_length(const char *text, const char *scheme)
{
    size_t i = 0;

    for (; scheme[i] != '\0'; i++)
        if (weir__lower(text[i]) != scheme[i])
            return 0;
    return i;
}

static weir_status read_scheme(struct reading *r, const char **ret_at)
{
    size_t https = scheme_length(r->text, "https://");
    size_t http = scheme_length(r->text, "http://");

    if (https + http == 0)
        return invalid_at(r, r->text, "must begin with http:// or https://");
    r->is_https = https > 0;
    *ret_at = r->text + https + http;
    return WEIR_OK;
}

/* Before anything else is said of the URL, so that everything else may take it for plain ASCII, but for
 * the host. */
static weir_status check_characters(const struct reading *r)
{
    for (const char *at = r->text; *at != '\0'; at++) {
        if (weir__is_control(*at))
            return invalid_at(r, at, "a control character is not allowed in a URL");
        if (is_plain(*at) || at < r->authority_end) /* which is looked at by itself */
            continue;
        return invalid_at(r, at,
                          "this character must be percent-encoded; weir_http_request_segment() and "
                          "weir_http_request_query() do so");
    }
    return WEIR_OK;
}

static weir_status read_port(struct reading *r, const char *at)
{
    unsigned port = 0;

    for (const char *digit = at; digit < r->authority_end; digit++) {
        if (!weir__is_digit(*digit))
            return invalid_at(r, digit, "expected a port of digits only");
        port = port * 10 + (unsigned)(*digit - '0');
        if (port > 65535)
            return invalid_at(r, at, "expected a port from 1 to 65535");
    }
    if (at < r->authority_end && port == 0)
        return invalid_at(r, at, "expected a port from 1 to 65535");
    if (port > 0)
        r->port = port;
    return WEIR_OK;
}

static weir_status read_ipv6(struct reading *r)
{
    size_t size = (size_t)(r->authority_end - r->host);
    const char *close = memchr(r->host, ']', size);
    if (close == NULL)
        return invalid_at(r, r->host, "expected ] after an IPv6 address");

    for (const char *at = r->host + 1; at < close; at++)
        if (!weir__is_alphanumeric(*at) && *at != ':' && *at != '.')
            return invalid_at(r, at, "expected an IPv6 address, without a zone, between [ and ]");
    r->host_end = close + 1;
    if (r->host_end < r->authority_end && *r->host_end != ':')
        return invalid_at(r, r->host_end, "expected a port or the path after an IPv6 address");
    return WEIR_OK;
}

/* The same URL with its host in ASCII. */
static weir_status replace_host(struct reading *r, const char *ascii)
{
    size_t before = (size_t)(r->host - r->text);
    size_t size = strlen(ascii);
    size_t after = strlen(r->host_end) + 1;
    char *whole = malloc(before + size + after);

    if (whole == NULL)
        return weir__url_no_memory(r->reterr);
    memcpy(whole, r->text, before);
    memcpy(whole + before, ascii, size);
    memcpy(whole + before + size, r->host_end, after);
    r->international = whole;
    return WEIR_OK;
}

static weir_status read_name(struct reading *r)
{
    size_t authority = (size_t)(r->authority_end - r->host);
    const char *colon = memchr(r->host, ':', authority);
    char ascii[HOST_LIMIT + 1];
    struct host_fault fault;

    r->host_end = colon == NULL ? r->authority_end : colon;
    size_t size = (size_t)(r->host_end - r->host);
    weir_status status = weir__host_to_ascii(r->host, size, ascii, &fault);
    if (status == WEIR_NO_MEMORY)
        return weir__url_no_memory(r->reterr);
    if (status != WEIR_OK)
        return invalid_at(r, fault.at, fault.what);
    return weir__host_is_international(r->host, size) ? replace_host(r, ascii) : WEIR_OK;
}

/* All that weir itself wants of a URL. What it lets through, any parser reads in one way. */
static weir_status read_url(struct reading *r)
{
    weir_status status = read_scheme(r, &r->host);
    if (status != WEIR_OK)
        return status;

    r->authority_end = r->host + strcspn(r->host, "/?#");
    r->port = r->is_https ? 443 : 80;
    if (memchr(r->host, '@', (size_t)(r->authority_end - r->host)) != NULL)
        return weir_error_set(r->reterr, WEIR_INVALID,
                              "URL: must not hold a user or password; "
                              "weir_http_request_basic_auth() sends them");
    if ((status = check_characters(r)) != WEIR_OK ||
        (status = *r->host == '[' ? read_ipv6(r) : read_name(r)) != WEIR_OK)
        return status;
    return read_port(r, r->host_end + (r->host_end < r->authority_end));
}

/* ---- libcurl's look ---------------------------------------------------------------------- */

/* One way of writing each address: [::1] and [0:0:0:0:0:0:0:1] are one host. */
static weir_status write_ipv6(const char *host, char *ret_text, weir_error *reterr)
{
    char inside[INET6_ADDRSTRLEN] = "";
    struct in6_addr address;
    size_t size = strlen(host);

    if (size > 2 && size - 2 < sizeof inside)
        memcpy(inside, host + 1, size - 2);
    if (inet_pton(AF_INET6, inside, &address) != 1)
        return weir_error_set(reterr, WEIR_INVALID, "URL: its IPv6 address is malformed");
    ret_text[0] = '[';
    inet_ntop(AF_INET6, &address, ret_text + 1, INET6_ADDRSTRLEN);
    memcpy(ret_text + strlen(ret_text), "]", 2);
    return WEIR_OK;
}

/* From the host as libcurl reads it, which knows the ways of writing an IPv4 address. */
static weir_status write_origin(CURLU *handle, const struct reading *r, struct url *url)
{
    char lower[HOST_LIMIT + 1] = "";
    char *host = NULL;
    CURLUcode code = curl_url_get(handle, CURLUPART_HOST, &host, 0);
    if (code != CURLUE_OK)
        return curl_failed(code, r->reterr);

    weir_status status = WEIR_OK;
    if (host[0] == '[')
        status = write_ipv6(host, lower, r->reterr);
    else
        for (size_t i = 0; host[i] != '\0' && i < HOST_LIMIT; i++)
            lower[i] = weir__lower(host[i]);
    curl_free(host);
    snprintf(url->origin, sizeof url->origin, "%s://%s:%u", r->is_https ? "https" : "http", lower,
             r->port);
    return status;
}

/* Whether there is a query and nothing in it: libcurl sends its mark, and leaves it out of the text. */
static bool has_empty_query(const char *text)
{
    const char *mark = text + strcspn(text, "?#");

    return mark[0] == '?' && (mark[1] == '\0' || mark[1] == '#');
}

static weir_status write_texts(CURLU *handle, const struct reading *r, struct url *url)
{
    weir_error *reterr = r->reterr;
    char *text = NULL;
    CURLUcode code = curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(handle, CURLUPART_URL, &text, 0);
    if (code != CURLUE_OK || text == NULL)
        return curl_failed(code, reterr);

    size_t size = strlen(text);
    if (size <= URL_LIMIT) {
        size_t path = strcspn(text, "?");
        bool lacks_mark = path == size && has_empty_query(r->text);
        url->text = malloc(size + sizeof "?");
        if (url->text != NULL)
            strcpy(stpcpy(url->text, text), lacks_mark ? "?" : "");
        url->shown = strndup(text, path);
    }
    curl_free(text);
    if (size > URL_LIMIT)
        return weir__url_too_long(reterr);
    return url->text == NULL || url->shown == NULL ? weir__url_no_memory(reterr) : WEIR_OK;
}

static weir_status take_apart(CURLU *handle, const struct reading *r, unsigned flags,
                              struct url *url)
{
    const char *text = r->international != NULL ? r->international : r->text;
    CURLUcode code = curl_url_set(handle, CURLUPART_URL, text, flags | CURLU_DISALLOW_USER);
    if (code != CURLUE_OK)
        return curl_failed(code, r->reterr);

    weir_status status = write_origin(handle, r, url);
    if (status != WEIR_OK)
        return status;
    return write_texts(handle, r, url);
}

/* `flags`: CURLU_PATH_AS_IS, or none to take "." and ".." out of the path. */
static weir_status parse(const char *text, unsigned flags, struct url *ret_url, weir_error *reterr)
{
    struct reading r = {
        .text = text, .host = text, .host_end = text, .authority_end = text, .reterr = reterr};
    struct url url = {0};
    if (strnlen(text, URL_LIMIT + 1) > URL_LIMIT)
        return weir__url_too_long(reterr);
    weir_status status = read_url(&r);
    if (status == WEIR_OK && (url.parts = curl_url()) == NULL)
        status = weir__url_no_memory(reterr);
    if (status == WEIR_OK)
        status = take_apart(url.parts, &r, flags, &url);
    forget_text(r.international);
    if (status != WEIR_OK) {
        weir__url_clear(&url);
        return status;
    }
    *ret_url = url;
    return WEIR_OK;
}

weir_status weir__url_parse(const char *text, struct url *ret_url, weir_error *reterr)
{
    return parse(text, CURLU_PATH_AS_IS, ret_url, reterr);
}

void weir__url_clear(struct url *url)
{
    forget_text(url->text);
    forget_text(url->shown);
    curl_url_cleanup(url->parts);
    *url = (struct url){0};
}

/* ---- where a Location leads -------------------------------------------------------------- */

/* Whether it names a scheme of its own (RFC 3986, 3.1). */
static bool has_scheme(const char *reference)
{
    const char *at = reference;

    if (!weir__is_alphanumeric(*at) || weir__is_digit(*at))
        return false;
    while (weir__is_alphanumeric(*at) || *at == '+' || *at == '-' || *at == '.')
        at++;
    return *at == ':';
}

/* Where the authority of a reference ends, if it has one; else 0. */
static size_t authority_size(const char *reference, size_t size)
{
    const char *at = memchr(reference, ':', size);
    size_t begin = at != NULL && has_scheme(reference) ? (size_t)(at - reference) + 1 : 0;

    if (size - begin < 2 || memcmp(reference + begin, "//", 2) != 0)
        return 0;
    begin += 2;
    while (begin < size && strchr("/?#\\", reference[begin]) == NULL)
        begin++;
    return begin;
}

/* What of the base stands in front of a reference (RFC 3986, 5.2.2): all but its query in front of a
 * query, for example. `base->text` and `shown` always have a path, a slash at least. */
static size_t prefix_length(const struct url *base, const char *reference)
{
    size_t scheme = strcspn(base->text, ":") + 1;
    size_t authority = scheme + 2;

    if (has_scheme(reference))
        return 0;
    if (strncmp(reference, "//", 2) == 0)
        return scheme;
    if (*reference == '/')
        return authority + strcspn(base->text + authority, "/");
    if (*reference == '?')
        return strlen(base->shown);
    if (*reference == '\0')
        return strlen(base->text);
    return (size_t)(strrchr(base->shown, '/') - base->shown) + 1;
}

/* A Location without blanks around it and without its fragment, which is nothing to send. */
static weir_status clean(const char *location, const char **ret_from, size_t *ret_size,
                         weir_error *reterr)
{
    const char *from = location;
    size_t size = strnlen(location, URL_LIMIT + 1);
    if (size > URL_LIMIT)
        return weir_error_set(reterr, WEIR_PROTOCOL, "Location: longer than %d bytes", URL_LIMIT);

    weir__trim(&from, &size);
    if (size == 0)
        return weir_error_set(reterr, WEIR_PROTOCOL, "Location: is empty");
    for (size_t i = 0; i < size; i++)
        if (weir__is_control(from[i]))
            return weir_error_set(reterr, WEIR_PROTOCOL,
                                  "Location, position %zu: a control character",
                                  (size_t)(from - location) + i + 1);
    const char *fragment = memchr(from, '#', size);
    *ret_from = from;
    *ret_size = fragment == NULL ? size : (size_t)(fragment - from);
    return WEIR_OK;
}

const char *weir__url_reason(const weir_error *error, int *ret_size)
{
    const char *reason = strstr(error->text, ": ");

    reason = reason == NULL ? error->text : reason + 2;
    *ret_size = (int)strcspn(reason, ";");
    return reason;
}

static weir_status nobody_follows(const weir_error *why, weir_error *reterr)
{
    int size;
    const char *reason = weir__url_reason(why, &size);

    if (why->status == WEIR_NO_MEMORY)
        return weir__url_no_memory(reterr);
    return weir_error_set(reterr, WEIR_PROTOCOL, "unsupported redirect target: %.*s", size, reason);
}

weir_status weir__url_resolve(const struct url *base, const char *location, struct url *ret_url,
                              weir_error *reterr)
{
    const char *from = NULL;
    size_t size = 0;
    weir_error why;
    weir_status status = clean(location, &from, &size, reterr);
    if (status != WEIR_OK)
        return status;

    /* The reference is encoded first, and then what belongs in front of it is put there. */
    size_t longest = strlen(base->text);
    char *room = malloc(longest + 3 * size + 1);
    if (room == NULL)
        return weir__url_no_memory(reterr);
    char *reference = room + longest;
    size_t authority = authority_size(from, size);
    char *path = weir__url_put_encoded(reference, from, authority, is_plain_in_host);
    *weir__url_put_encoded(path, from + authority, size - authority, is_plain_in_location) = '\0';
    size_t prefix = prefix_length(base, reference);
    memcpy(reference - prefix, base->text, prefix);
    status = parse(reference - prefix, 0, ret_url, &why);
    explicit_bzero(room, longest + 3 * size + 1);
    free(room);
    return status == WEIR_OK ? WEIR_OK : nobody_follows(&why, reterr);
}

/* ------------------------------------------------------------------------------------------ */

bool weir_http_same_origin(const char *url, const char *other)
{
    struct url first = {0};
    struct url second = {0};
    bool is_same = weir__url_parse(url, &first, NULL) == WEIR_OK &&
                   weir__url_parse(other, &second, NULL) == WEIR_OK &&
                   strcmp(first.origin, second.origin) == 0;

    weir__url_clear(&first);
    weir__url_clear(&second);
    return is_same;
}
