/* SPDX-License-Identifier: MIT */
/* URLs of requests: what is sent, whose origin it is, where a Location leads, and what is refused. */
#include "url_check.h"
#include "http/url_build.h"

#include <stdlib.h>

/* ---- what is sent ------------------------------------------------------------------------ */

static void a_url_is_sent_as_written_but_for_its_fragment(void)
{
    static const char *const table[][2] = {
        {"http://h", "http://h/"},
        {"http://h/", "http://h/"},
        {"http://h/a/b?c=d&e", "http://h/a/b?c=d&e"},
        {"http://h/a#fragment", "http://h/a"},
        {"http://h/a?b#c?d", "http://h/a?b"},
        {"http://h?a=b", "http://h/?a=b"},
        {"HTTPS://h/A", "https://h/A"},
        {"https://h:443/a", "https://h:443/a"},
        {"http://h:8080/a", "http://h:8080/a"},
        {"http://h:/a", "http://h/a"},
        {"http://h/a/../b/./c//d", "http://h/a/../b/./c//d"},
        {"http://h/%2e%2e/%2F?%zz=%", "http://h/%2e%2e/%2F?%zz=%"},
        {"http://h/a@b:c;d,(e)!$&'*+=~?/?@:", "http://h/a@b:c;d,(e)!$&'*+=~?/?@:"},
        {"http://h/?where=[a]{b}|\"c\"<d>^`", "http://h/?where=[a]{b}|\"c\"<d>^`"},
        {"http://[::1]:80/a", "http://[::1]:80/a"},
        {"http://a_b-c.example./", "http://a_b-c.example./"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct url url = parse(table[i][0]);

        check_text(url.text, table[i][1]);
        weir__url_clear(&url);
    }
}

static void what_is_shown_has_no_query(void)
{
    static const char *const table[][2] = {
        {"http://h/a?token=secret", "http://h/a"},
        {"http://h?token=secret", "http://h/"},
        {"http://h/a?b?secret", "http://h/a"},
        {"http://h/a", "http://h/a"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct url url = parse(table[i][0]);

        check_text(url.shown, table[i][1]);
        weir__url_clear(&url);
    }
}

static void a_cleared_url_is_none_and_may_be_cleared_again(void)
{
    struct url url = parse("http://h/a?b");

    weir__url_clear(&url);
    check(url.text == NULL && url.shown == NULL && url.origin[0] == '\0');
    weir__url_clear(&url);
}

/* ---- origins ----------------------------------------------------------------------------- */

static void an_origin_has_a_lower_case_host_and_always_a_port(void)
{
    check_origin("http://h/a", "http://h:80");
    check_origin("https://h/a", "https://h:443");
    check_origin("hTTps://API.Example.COM/A", "https://api.example.com:443");
    check_origin("http://h:0080/", "http://h:80");
    check_origin("http://h:65535", "http://h:65535");
    check_origin("http://h:1?a", "http://h:1");
    check_origin("http://h#f", "http://h:80");
}

static void an_address_has_one_origin_however_it_is_written(void)
{
    check_origin("http://127.0.0.1/", "http://127.0.0.1:80");
    check_origin("http://0x7f.1/", "http://127.0.0.1:80");
    check_origin("http://2130706433/", "http://127.0.0.1:80");
    check_origin("http://[::1]/", "http://[::1]:80");
    check_origin("http://[0:0::0:1]/", "http://[::1]:80");
    check_origin("http://[2001:DB8::A]:8080/", "http://[2001:db8::a]:8080");
    check_origin("http://[::ffff:127.0.0.1]/", "http://[::ffff:127.0.0.1]:80");
    check_origin("http://[::FFFF:7f00:1]/", "http://[::ffff:127.0.0.1]:80");
}

static void the_longest_host_fits_into_an_origin(void)
{
    char text[400];
    char origin[400];
    char host[256];

    memset(host, 'h', 254);
    host[63] = host[127] = host[191] = '.';
    host[254] = '\0';
    snprintf(text, sizeof text, "https://%s:65535/", host);
    snprintf(origin, sizeof origin, "https://%s:65535", host);
    check_origin(text, origin);

    snprintf(text, sizeof text, "https://%sh/", host);
    check_invalid(text, "254");
}

static void two_urls_are_of_one_origin_when_scheme_host_and_port_agree(void)
{
    check(weir_http_same_origin("http://h/a", "HTTP://H:80/b?c#d"));
    check(weir_http_same_origin("https://h", "https://h:443/"));
    check(weir_http_same_origin("http://[::1]/", "http://[0::1]:80/"));
    check(!weir_http_same_origin("http://h/", "https://h/"));
    check(!weir_http_same_origin("http://h/", "http://h:81/"));
    check(!weir_http_same_origin("http://h/", "http://i/"));
    check(!weir_http_same_origin("http://h/", "http://h.evil/"));
    check(!weir_http_same_origin("https://h:80/", "http://h:80/"));
}

static void what_is_no_url_has_no_origin_to_share(void)
{
    check(!weir_http_same_origin("http://u@h/", "http://u@h/"));
    check(!weir_http_same_origin("http://h/", "/a"));
    check(!weir_http_same_origin("", ""));
    check(!weir_http_same_origin("ftp://h/", "ftp://h/"));
    check(!weir_http_same_origin("http://h/", "http://h\\@i/"));
}

/* ---- refusals ---------------------------------------------------------------------------- */

static void a_character_that_may_not_stand_in_a_url_is_refused_with_its_position(void)
{
    static const struct {
        const char *text;
        const char *part;
    } table[] = {
        {"http://h/a b", "position 11: this character must be percent-encoded"},
        {"http://h/a?b=\xC3\xA9", "position 14: this character must be percent-encoded"},
        {"http://h/a\\b", "position 11: this character must be percent-encoded"},
        {"http://h/a\r\nX: y", "position 11: a control character"},
        {"http://h/a\tb", "position 11: a control character"},
        {"http://h/a#\x7F", "position 12: a control character"},
        {"http://h/\x01", "position 10: a control character"},
        {"http://h\n/", "position 9: a control character"},
        {"http://h /", "position 9: this character is not allowed in a host"},
        {"http://h\\.evil/", "position 9: this character is not allowed in a host"},
        {" http://h/", "position 1"},
        {"http://h/ ", "position 10"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_invalid(table[i].text, table[i].part);
}

static void only_http_and_https_are_schemes(void)
{
    static const char *const table[] = {
        "",       "h",        "/a",          "//h/a",         "http:",     "http:/h",
        "http:h", "ftp://h/", "file:///etc", "javascript:1",  "httpx://h", "http//h",
        "h://h/", "https:/h", "mailto:a@b",  "gopher://h:70", "ws://h/",   "xhttp://h/",
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_invalid(table[i], "must begin with http:// or https://");
}

static void a_user_or_password_is_refused_and_not_shown(void)
{
    static const char *const table[] = {
        "http://user@h/",     "http://user:hunter2@h/", "http://:hunter2@h/",
        "http://@h/",         "http://h@i@j/",          "http://h\\@i/",
        "http://h:80@i/",     "http://[::1]@i/",        "http://us er:hunter2@h/",
        "https://u:hunter2@", "http://u:hunter2@h:0/",
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        check_invalid(table[i], "must not hold a user or password");
        check(strstr(error.text, "hunter2") == NULL);
    }
}

static void a_host_has_nothing_to_decode_and_nothing_that_ends_it_for_others(void)
{
    static const char *const table[] = {
        "http://h%2fevil/",   "http://h%00/",   "http://%68/", "http://h;i/",    "http://h,i/",
        "http://h<i/",        "http://h*/",     "http://h$/",  "http://[::1]i/", "http://h[::1]/",
        "http://[::1%25lo]/", "http://[v1.a]/", "http://[]/",  "http://[::1",    "http://[:::1]/",
        "http://[1.2.3.4]/",  "http://[::g]/",
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_invalid(table[i], "");
    check_invalid("http:///a", "position 8: expected a host");
    check_invalid("http://", "position 8: expected a host");
    check_invalid("http://?a", "expected a host");
    check_invalid("https://:443/", "position 9: expected a host");
}

static void a_port_is_from_1_to_65535(void)
{
    check_invalid("http://h:0/", "position 10: expected a port from 1 to 65535");
    check_invalid("http://h:65536/", "position 10: expected a port from 1 to 65535");
    check_invalid("http://h:4294967376/", "position 10: expected a port from 1 to 65535");
    check_invalid("http://h:+80/", "position 10: expected a port of digits");
    check_invalid("http://h:8a/", "position 11: expected a port of digits");
    check_invalid("http://h:80:80/", "position 12: expected a port of digits");
}

static void no_error_shows_the_query(void)
{
    check_invalid("http://h:x/?token=hunter2", "");
    check(strstr(error.text, "hunter2") == NULL);
    check_invalid("http://h/?token=hunter2 ", "");
    check(strstr(error.text, "hunter2") == NULL);
    check_invalid("ftp://h/?token=hunter2", "");
    check(strstr(error.text, "hunter2") == NULL);
}

/* "http://h/" and so many letters, malloc'ed. */
static char *long_url(size_t size)
{
    char *text = malloc(size + 1);

    if (text == NULL)
        abort();
    memset(text, 'a', size);
    memcpy(text, "http://h/", 9);
    text[size] = '\0';
    return text;
}

static void a_url_has_at_most_64_kibibytes(void)
{
    char *longest = long_url(URL_LIMIT);
    char *longer = long_url(URL_LIMIT + 1);
    struct url url = parse(longest);
    struct url none = {0};

    check_text(url.text, longest);
    check_int(weir__url_parse(longer, &none, &error), WEIR_LIMIT);
    check_contains(error.text, "65536 bytes");
    check(none.text == NULL);
    weir__url_clear(&url);

    /* Its own path is longer than what was given. */
    memset(longer, 'a', URL_LIMIT);
    memcpy(longer, "http://h?", 9);
    longer[URL_LIMIT] = '\0';
    check_int(weir__url_parse(longer, &none, &error), WEIR_LIMIT);
    check(none.text == NULL);
    free(longest);
    free(longer);
}

/* ---- where a Location leads -------------------------------------------------------------- */

struct redirect {
    const char *location;
    const char *text;
};

static void check_redirects(const char *base_text, const struct redirect *table, size_t count)
{
    struct url base = parse(base_text);

    for (size_t i = 0; i < count; i++) {
        struct url url = {0};

        if (weir__url_resolve(&base, table[i].location, &url, &error) != WEIR_OK)
            printf("# %s: %s\n", table[i].location, error.text);
        check_text(url.text, table[i].text);
        weir__url_clear(&url);
    }
    weir__url_clear(&base);
}

/* The examples of RFC 3986 (5.4), as far as they lead somewhere and the fragment is left out. */
static void a_relative_location_is_resolved_as_rfc_3986_says(void)
{
    static const struct redirect table[] = {
        {"g", "http://a/b/c/g"},      {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},    {"/g", "http://a/g"},
        {"//g", "http://g/"},         {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},  {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},    {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},    {"g;x?y#s", "http://a/b/c/g;x?y"},
        {".", "http://a/b/c/"},       {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},     {"../..", "http://a/"},
        {"../../g", "http://a/g"},    {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},       {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},    {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},   {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"}, {"g?y/../x", "http://a/b/c/g?y/../x"},
    };

    check_redirects("http://a/b/c/d;p?q", table, COUNT_OF(table));
}

static void an_absolute_location_replaces_all(void)
{
    static const struct redirect table[] = {
        {"https://other/x?y#z", "https://other/x?y"},
        {"HTTP://Other", "http://Other/"},
        {"http://other:8080/a/../b", "http://other:8080/b"},
        {"//other:81/x", "https://other:81/x"},
        {"//[::1]/x", "https://[::1]/x"},
    };

    check_redirects("https://h:8443/a/b?secret", table, COUNT_OF(table));
}

static void a_location_is_trimmed_and_encoded_where_browsers_do(void)
{
    static const struct redirect table[] = {
        {" \t/x \t", "http://h/x"},
        {"/a b", "http://h/a%20b"},
        {"/caf\xC3\xA9?\xC3\xA9", "http://h/caf%C3%A9?%C3%A9"},
        {"http://i/a b", "http://i/a%20b"},
        {"/100%", "http://h/100%"},
        {"/{id}|^`<x>\"", "http://h/%7Bid%7D%7C%5E%60%3Cx%3E%22"},
        {"/p?q={a b}&r=x|y", "http://h/p?q=%7Ba%20b%7D&r=x%7Cy"},
        {"http://i/a|b", "http://i/a%7Cb"},
        {"?", "http://h/?"},
        {"/p?#f", "http://h/p?"},
        {"/caf\xE9", "http://h/caf%E9"}, /* Latin-1: as the bytes are */
        {"\xC3\xBC/../\xE9", "http://h/%E9"},
        {"//b\xC3\xBC.de/\xC3\xBC", "http://xn--b-eha.de/%C3%BC"},
        {"HTTPS://B\xC3\x9C.de:81?\xC3\xBC", "https://xn--b-eha.de:81/?%C3%BC"},
        {"https://\xC3\xBC\xE3\x80\x82"
         "de/{}",
         "https://xn--tda.de/%7B%7D"},
        {"/http://b\xC3\xBC.de", "http://h/http://b%C3%BC.de"},
        {"x//b\xC3\xBC.de", "http://h/x//b%C3%BC.de"},
        {"?u=//b\xC3\xBC.de", "http://h/?u=//b%C3%BC.de"},
    };

    check_redirects("http://h/", table, COUNT_OF(table));
}

static void a_backslash_or_a_path_of_slashes_does_not_leave_the_origin(void)
{
    static const char *const table[] = {
        "/\\evil/x", "\\\\evil/x", "/..//evil/x", "/.//evil/x", ".//evil", "\\/evil",
        "/%2F/evil", "?//evil/",   "#//evil/",    "x//evil",    "./:evil",
    };
    struct url base = parse("https://h/a/b");

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct url url = {0};

        check_int(weir__url_resolve(&base, table[i], &url, &error), WEIR_OK);
        check_text(url.origin, "https://h:443");
        weir__url_clear(&url);
    }
    weir__url_clear(&base);
}

static void where_nobody_follows_is_a_protocol_error_without_secrets(void)
{
    static const struct redirect table[] = {
        {"", "empty"},
        {" \t", "empty"},
        {"/a\r\nX: y", "position 3: a control character"},
        {" /a\tb", "position 4: a control character"},
        {"/\x7F", "a control character"},
        {"ftp://h/?hunter2", "must begin with http:// or https://"},
        {"file:///etc/passwd", "must begin with http:// or https://"},
        {"g+-.1:hunter2", "must begin with http:// or https://"},
        {"javascript:hunter2()", "must begin with http:// or https://"},
        {"http:/h/x", "must begin with http:// or https://"},
        {"https:x", "must begin with http:// or https://"},
        {"http://user:hunter2@h/", "must not hold a user or password"},
        {"//user:hunter2@h/", "must not hold a user or password"},
        {"//evil\\@h/", "must not hold a user or password"},
        {"//ev il/", "is not allowed in a host"},
        {"//b\xFC.de/", "must be UTF-8"},
        {"//b%C3%BC.de/", "is not allowed in a host"},
        {"//ev\xEF\xBC\x8Fil/", "is not allowed in a host"},
        {"http://b\xC3\xBC\xC3\xBC..de/?hunter2", "and a dot only between two names"},
        {"//", "expected a host"},
        {"///x", "expected a host"},
        {"http://h:0/?hunter2", "expected a port"},
    };
    struct url base = parse("https://h/a/b?hunter2");

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct url url = {0};

        error = (weir_error){0};
        check_int(weir__url_resolve(&base, table[i].location, &url, &error), WEIR_PROTOCOL);
        check_contains(error.text, table[i].text);
        check(strstr(error.text, "hunter2") == NULL);
        check(strstr(error.text, "basic_auth") == NULL);
        check(url.text == NULL);
    }
    weir__url_clear(&base);
}

static void a_location_too_long_is_a_protocol_error(void)
{
    struct url base = parse("http://h/");
    struct url url = {0};
    char *text = long_url(URL_LIMIT + 1);

    check_int(weir__url_resolve(&base, text, &url, &error), WEIR_PROTOCOL);
    check_contains(error.text, "65536");

    /* It grows beyond by what has to be encoded. */
    memset(text + 9, ' ', URL_LIMIT - 10);
    text[URL_LIMIT - 1] = 'a';
    text[URL_LIMIT] = '\0';
    check_int(weir__url_resolve(&base, text, &url, &error), WEIR_PROTOCOL);
    check_contains(error.text, "65536");
    check(url.text == NULL);
    free(text);
    weir__url_clear(&base);
}

/* ---- building ---------------------------------------------------------------------------- */

static void check_segment(const char *url, const char *segment, const char *expected)
{
    char *built = NULL;

    check_int(weir__url_add_segment(url, segment, &built, &error), WEIR_OK);
    check_text(built, expected);
    free(built);
}

static void a_segment_stays_one_segment_whatever_it_contains(void)
{
    check_segment("http://h/", "a", "http://h/a");
    check_segment("http://h/a", "b", "http://h/a/b");
    check_segment("http://h/a/", "b", "http://h/a/b");
    check_segment("http://h/a?q=/&r", "b", "http://h/a/b?q=/&r");
    check_segment("http://h/a", "a/b?c", "http://h/a/a%2Fb%3Fc");
    check_segment("http://h/a", "../admin", "http://h/a/..%2Fadmin");
    check_segment("http://h/a", "%2e%2e", "http://h/a/%252e%252e");
    check_segment("http://h/a", "...", "http://h/a/...");
    check_segment("http://h/a", "1#x&y=z;\r\n", "http://h/a/1%23x%26y%3Dz%3B%0D%0A");
    check_segment("http://h/a", "caf\xC3\xA9 \xFF", "http://h/a/caf%C3%A9%20%FF");
    check_segment("http://h/a", "A-z.0_9~", "http://h/a/A-z.0_9~");
}

static void a_segment_that_would_lead_elsewhere_is_refused(void)
{
    static const char *const table[] = {"", ".", ".."};

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char *built = NULL;

        check_int(weir__url_add_segment("http://h/a", table[i], &built, &error), WEIR_INVALID);
        check_contains(error.text, "path segment");
        check(built == NULL);
    }
}

static void check_query(const char *url, const char *name, const char *value, const char *expected)
{
    char *built = NULL;

    check_int(weir__url_add_query(url, name, value, &built, &error), WEIR_OK);
    check_text(built, expected);
    free(built);
}

static void a_query_grows_by_encoded_pairs(void)
{
    check_query("http://h/a", "b", "c", "http://h/a?b=c");
    check_query("http://h/a?b=c", "d", "", "http://h/a?b=c&d=");
    check_query("http://h/a?", "b", "c", "http://h/a?b=c");
    check_query("http://h/a?b&", "c", "d", "http://h/a?b&c=d");
    check_query("http://h/a", "a&b=c", "d e+f", "http://h/a?a%26b%3Dc=d%20e%2Bf");
    check_query("http://h/a", "where", "(Title,eq,x)~and(n,gt,1)",
                "http://h/a?where=%28Title%2Ceq%2Cx%29~and%28n%2Cgt%2C1%29");
    check_query("http://h/a", "q", "#\n\xC3\xA9", "http://h/a?q=%23%0A%C3%A9");
}

static void a_pair_of_the_query_has_a_name(void)
{
    char *built = NULL;

    check_int(weir__url_add_query("http://h/", "", "x", &built, &error), WEIR_INVALID);
    check(built == NULL);
}

static void what_would_be_too_long_is_not_built(void)
{
    char *part = long_url(URL_LIMIT);
    char *built = NULL;

    check_int(weir__url_add_segment("http://h/", part, &built, &error), WEIR_LIMIT);
    check_int(weir__url_add_query("http://h/", "a", part, &built, &error), WEIR_LIMIT);
    check_int(weir__url_add_query("http://h/", part, "a", &built, &error), WEIR_LIMIT);
    check(built == NULL);
    free(part);
}

static void all_but_the_unreserved_characters_are_encoded(void)
{
    char all[256];
    size_t plain = 0;

    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    char *encoded = weir__url_encode(all);
    check_int(strlen(encoded), 66 + 3 * (255 - 66));
    for (const char *at = encoded; *at != '\0'; at++) {
        plain += *at != '%';
        if (*at == '%')
            at += 2;
    }
    check_int(plain, 66);
    check(strncmp(encoded, "%01%02%03", 9) == 0);
    free(encoded);
}

int main(void)
{
    run(a_url_is_sent_as_written_but_for_its_fragment);
    run(what_is_shown_has_no_query);
    run(a_cleared_url_is_none_and_may_be_cleared_again);
    run(an_origin_has_a_lower_case_host_and_always_a_port);
    run(an_address_has_one_origin_however_it_is_written);
    run(the_longest_host_fits_into_an_origin);
    run(two_urls_are_of_one_origin_when_scheme_host_and_port_agree);
    run(what_is_no_url_has_no_origin_to_share);
    run(a_character_that_may_not_stand_in_a_url_is_refused_with_its_position);
    run(only_http_and_https_are_schemes);
    run(a_user_or_password_is_refused_and_not_shown);
    run(a_host_has_nothing_to_decode_and_nothing_that_ends_it_for_others);
    run(a_port_is_from_1_to_65535);
    run(no_error_shows_the_query);
    run(a_url_has_at_most_64_kibibytes);
    run(a_relative_location_is_resolved_as_rfc_3986_says);
    run(an_absolute_location_replaces_all);
    run(a_location_is_trimmed_and_encoded_where_browsers_do);
    run(a_backslash_or_a_path_of_slashes_does_not_leave_the_origin);
    run(where_nobody_follows_is_a_protocol_error_without_secrets);
    run(a_location_too_long_is_a_protocol_error);
    run(a_segment_stays_one_segment_whatever_it_contains);
    run(a_segment_that_would_lead_elsewhere_is_refused);
    run(a_query_grows_by_encoded_pairs);
    run(a_pair_of_the_query_has_a_name);
    run(what_would_be_too_long_is_not_built);
    run(all_but_the_unreserved_characters_are_encoded);
    return check_done();
}
