/* SPDX-License-Identifier: MIT */
/* Any text as a URL, with any texts added to it and any Location after it: no way out of the origin or the path. */
#include "fuzz.h"

#include "http/url_build.h"

#include <curl/curl.h>

/* The URL, a segment, a name, a value and a Location, each on a line of its own. */
const char *const fuzz_seeds[] = {
    "http://h/a?b\nsegment\nname\nvalue\n../other",
    "https://API.Example.com:8443/v2/../x?w=(a,b)#top\na/b?c\nq\n1&2\n/login?next=%2F",
    "http://[2001:db8::1]:80/\n..%2f\n#\n?\n//other:81/x y#z",
    "http://0x7f.1\n%2e%2e\n=\n\nhttps://other/a/./b/../c",
    "http://user:password@h/\n.\n\n\n?x",
    "http://h\\@evil/\n\\\n\\\n\\\n/\\evil",
    "\xC3\xA9\n\xC3\xA9\n\xC3\xA9\n\xC3\xA9\n/\xC3\xA9",
    "http:/\n//\n///\n.//\n/..//evil",
    "%2F%2e%00",
    "http://GR\xC3\x9CN.\xE6\x97\xA5\xE3\x80\x82z:81/?\na\nb\nc\n//\xC3\xBC.\xF0\x9F\x92\xA9/",
    "http://fa\xC3\x9F.xn--bcher-kva\n\n\n\nhttps://\xEF\xBC\x91.0.0.1/",
    "http://a\xD7\x90\xE2\x80\x8D\xE2\x84\x80.h\n\n\n\n//h\xEF\xBC\x8Fother",
    NULL,
};

/* The next line, or "" when there is none; the text is cut there. */
static char *take_line(char **text)
{
    static char none[] = "";
    char *line = *text;
    if (line == NULL)
        return none;

    char *end = strchr(line, '\n');
    *text = end == NULL ? NULL : end + 1;
    if (end != NULL)
        *end = '\0';
    return line;
}

/* ---- what holds of every URL ------------------------------------------------------------- */

static void check_characters(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        must(*at > ' ' && *at < 0x7F && *at != '\\' && *at != '#');
}

/* Its text is a URL that means the same. */
static void check_stable(const struct url *url)
{
    struct url again = {0};

    must(weir__url_parse(url->text, &again, NULL) == WEIR_OK);
    must(strcmp(again.text, url->text) == 0);
    must(strcmp(again.shown, url->shown) == 0);
    must(strcmp(again.origin, url->origin) == 0);
    must(weir_http_same_origin(url->text, url->shown));
    weir__url_clear(&again);
}

/* libcurl, which connects, reads the same scheme, host and port out of it. */
static void check_second_reader(const struct url *url)
{
    char *scheme = NULL;
    char *host = NULL;
    char *port = NULL;
    char *user = NULL;
    char origin[ORIGIN_SIZE + 16];
    CURLU *handle = curl_url();

    must(handle != NULL);
    must(curl_url_set(handle, CURLUPART_URL, url->text, 0) == CURLUE_OK);
    must(curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK);
    must(curl_url_get(handle, CURLUPART_HOST, &host, 0) == CURLUE_OK);
    must(curl_url_get(handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK);
    must(curl_url_get(handle, CURLUPART_USER, &user, 0) == CURLUE_NO_USER);
    snprintf(origin, sizeof origin, "%s://%s:%s", scheme, host, port);
    must(host[0] == '[' || strcasecmp(origin, url->origin) == 0);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(handle);
}

static void check_url(const struct url *url)
{
    size_t shown = strlen(url->shown);
    size_t authority = strcspn(url->origin, "/") + 2;

    must(strlen(url->text) <= URL_LIMIT);
    check_characters(url->text);
    must(strncmp(url->text, url->shown, shown) == 0);
    must(url->text[shown] == '\0' || url->text[shown] == '?');
    must(strchr(url->shown, '?') == NULL);
    must(memchr(url->text + authority, '@', strcspn(url->text + authority, "/")) == NULL);
    check_stable(url);
    check_second_reader(url);
}

/* ---- building ---------------------------------------------------------------------------- */

/* "." and ".." taken out, as a server does: the segment is still the last one. */
static void check_level(const struct url *base, const struct url *url, const char *encoded)
{
    struct url folded = {0};

    must(weir__url_resolve(base, url->text, &folded, NULL) == WEIR_OK);
    const char *last = strrchr(folded.shown, '/');
    must(last != NULL && strcmp(last + 1, encoded) == 0);
    weir__url_clear(&folded);
}

static void check_segment(const struct url *base, const char *segment)
{
    struct url url = {0};
    char *built = NULL;
    weir_status status = weir__url_add_segment(base->text, segment, &built, NULL);

    must(status == WEIR_OK || status == WEIR_INVALID || status == WEIR_LIMIT);
    must((status == WEIR_OK) == (built != NULL));
    if (built == NULL)
        return;
    char *encoded = weir__url_encode(segment);
    size_t path = strlen(base->shown);
    path -= base->shown[path - 1] == '/';
    must(encoded != NULL && strpbrk(encoded, "/?#\\") == NULL);
    must(weir__url_parse(built, &url, NULL) == WEIR_OK);
    check_url(&url);
    must(strcmp(url.origin, base->origin) == 0);
    must(strncmp(url.shown, base->shown, path) == 0 && url.shown[path] == '/');
    must(strcmp(url.shown + path + 1, encoded) == 0);
    must(strcmp(url.text + strlen(url.shown), base->text + strlen(base->shown)) == 0);
    check_level(base, &url, encoded);
    weir__url_clear(&url);
    free(encoded);
    free(built);
}

static void check_query(const struct url *base, const char *name, const char *value)
{
    struct url url = {0};
    char *built = NULL;
    weir_status status = weir__url_add_query(base->text, name, value, &built, NULL);

    must(status == WEIR_OK || status == WEIR_INVALID || status == WEIR_LIMIT);
    must((status == WEIR_OK) == (built != NULL));
    if (built == NULL)
        return;
    size_t old = strlen(base->text);
    must(weir__url_parse(built, &url, NULL) == WEIR_OK);
    check_url(&url);
    must(strcmp(url.origin, base->origin) == 0);
    must(strcmp(url.shown, base->shown) == 0);
    must(strncmp(url.text, base->text, old) == 0);
    /* One pair: one "=", and a "&" in front of it at most. */
    const char *pair = url.text + old;
    must(strcspn(pair + 1, "&?#/") == strlen(pair + 1));
    must(strchr(pair, '=') != NULL && strchr(pair, '=') == strrchr(pair, '='));
    weir__url_clear(&url);
    free(built);
}

/* ---- where a Location leads -------------------------------------------------------------- */

static void check_location(const struct url *base, const char *location)
{
    struct url url = {0};
    weir_error error = {0};
    weir_status status = weir__url_resolve(base, location, &url, &error);

    must(status == WEIR_OK || status == WEIR_PROTOCOL);
    must((status == WEIR_OK) == (url.text != NULL));
    must((status == WEIR_OK) == (error.text[0] == '\0'));
    if (status != WEIR_OK)
        return;
    check_url(&url);
    location += strspn(location, " \t");
    if (strncmp(location, "//", 2) != 0 && strncasecmp(location, "http", 4) != 0)
        must(strcmp(url.origin, base->origin) == 0);
    weir__url_clear(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char *rest = text;
    char *line = take_line(&rest);
    struct url url = {0};
    weir_error error = {0};
    weir_status status = weir__url_parse(line, &url, &error);

    must(status == WEIR_OK || status == WEIR_INVALID || status == WEIR_LIMIT);
    must((status == WEIR_OK) == (url.text != NULL));
    must((status == WEIR_OK) == (error.text[0] == '\0'));
    if (status != WEIR_OK) {
        must(!weir_http_same_origin(line, line));
        must(weir__url_parse("http://h/a/../b/?c", &url, NULL) == WEIR_OK);
    }
    check_url(&url);
    check_segment(&url, take_line(&rest));
    line = take_line(&rest);
    check_query(&url, line, take_line(&rest));
    check_location(&url, take_line(&rest));
    weir__url_clear(&url);
    free(text);
    return 0;
}
