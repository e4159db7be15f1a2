/* SPDX-License-Identifier: MIT */
/* Every allocation of URLs, requests, responses and options fails once, libcurl's too: no crash, no leak. */
#include "alloc_fail.h"
#include "http/decode.h"
#include "http/url_build.h"
#include "http/options.h"
#include "http/request.h"
#include "http/response.h"

#include <weir/metrics.h>

#include <curl/curl.h>

static weir_error error;

static bool is_fine(weir_status status)
{
    return alloc_fail_is_fine(status, &error);
}

/* ---- URLs -------------------------------------------------------------------------------- */

static void parse_urls(void)
{
    static const char *const texts[] = {"http://h",
                                        "https://User.example:8443/a/../b?c=d#e",
                                        "http://0x7f.1/",
                                        "http://[0:0::1]:80/?q",
                                        "http://b\xC3\xBC.de/?q",
                                        "http://\xE2\x98\x83.net"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct url url = {0};

        if (is_fine(weir__url_parse(texts[i], &url, &error)))
            check(url.text != NULL && url.shown != NULL && url.origin[0] != '\0');
        else
            check(url.text == NULL && url.shown == NULL);
        weir__url_clear(&url);
    }
}

static void compare_origins(void)
{
    /* Without memory nobody is of one's own origin. */
    if (!weir_http_same_origin("http://h/a", "http://H:80/b"))
        check(atomic_load(&alloc_fail_in) < 0);
}

static void resolve_locations(void)
{
    static const char *const locations[] = {"a b/../c?d#e", "/x",        "?y",
                                            "#z",           "//other/x", "https://other/a/./b"};
    struct url base = {0};

    if (!is_fine(weir__url_parse("http://h/a/b", &base, &error)))
        return;
    for (size_t i = 0; i < sizeof locations / sizeof locations[0]; i++) {
        struct url url = {0};

        if (!is_fine(weir__url_resolve(&base, locations[i], &url, &error)))
            check(url.text == NULL);
        weir__url_clear(&url);
    }
    weir__url_clear(&base);
}

static void build_urls(void)
{
    char *encoded = weir__url_encode("a b");
    char *built = NULL;

    check(encoded != NULL || atomic_load(&alloc_fail_in) < 0);
    free(encoded);
    if (is_fine(weir__url_add_segment("http://h/a?b", "c d", &built, &error)))
        free(built);
    built = NULL;
    if (is_fine(weir__url_add_query("http://h/a?b", "c", "d e", &built, &error)))
        free(built);
}

/* ---- requests ---------------------------------------------------------------------------- */

static weir_status read_nothing(void *arg, char *buffer, size_t size, size_t *ret_size,
                                weir_error *reterr)
{
    (void)arg;
    (void)buffer;
    (void)size;
    (void)reterr;
    *ret_size = 0;
    return WEIR_OK;
}

static void fill_request(weir_http_request *request, bool *is_whole)
{
    const weir_http_reader reader = {read_nothing, NULL, NULL, 0};
    const weir_status statuses[] = {
        weir_http_request_segment(request, "a b"),
        weir_http_request_query(request, "c", "d"),
        weir_http_request_header(request, "Accept", "text/html"),
        weir_http_request_header(request, "X-Empty", ""),
        weir_http_request_secret(request, "X-Mine", "secret"),
        weir_http_request_bearer(request, "token"),
        weir_http_request_basic_auth(request, "user", "password"),
        weir_http_request_idempotency_key(request, NULL),
        weir_http_request_body(request, "text", 4, "text/plain"),
        weir_http_request_reader(request, &reader, "text/csv"),
        weir_http_request_body(request, "other", 5, "text/html"),
    };

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        *is_whole = is_fine(statuses[i]) && *is_whole;
}

static void build_request(void)
{
    weir_http_request *request = NULL;
    bool is_whole = true;
    if (!is_fine(weir_http_request_open("POST", "https://h/v2", &request, &error))) {
        check(request == NULL);
        return;
    }

    fill_request(request, &is_whole);
    check((weir_http_request_error(request) == NULL) == is_whole);
    if (is_whole)
        check_text(weir_http_request_url(request), "https://h/v2/a%20b?c=d");
    else
        check_int(weir_http_request_error(request)->status, WEIR_NO_MEMORY);
    weir_http_request_close(request);
}

/* ---- responses --------------------------------------------------------------------------- */

static bool add_line(weir_http_response *response, const char *line)
{
    return is_fine(weir__response_add_line(response, line, strlen(line), 65536, &error));
}

/* More than the first pieces of memory hold, of each kind. */
static bool fill_response(weir_http_response *response)
{
    char long_line[1500];

    if (!add_line(response, "HTTP/1.1 200 OK\r\n"))
        return false;
    for (int i = 0; i < 40; i++)
        if (!add_line(response, "Name: value\r\n"))
            return false;
    memset(long_line, 'x', sizeof long_line);
    memcpy(long_line, "Long: ", 6);
    long_line[sizeof long_line - 1] = '\0';
    if (!add_line(response, long_line))
        return false;
    long_line[0] = ' ';
    if (!add_line(response, long_line))
        return false;
    for (int i = 0; i < 10; i++)
        if (!is_fine(weir__response_add_body(response, long_line, sizeof long_line, &error)))
            return false;
    return true;
}

static void receive_response(void)
{
    weir_http_response *response = weir__response_new();
    size_t size = 0;

    if (response == NULL)
        return;
    if (fill_response(response)) {
        check_int(weir__response_values(response, "name", NULL, 0), 40);
        weir_http_response_body(response, &size);
        check_int(size, 15000);
        weir__response_clear(response);
        fill_response(response);
    }
    weir_http_response_close(response);
}

/* ---- codings ----------------------------------------------------------------------------- */

/* "hello" as each of them. */
static const struct {
    const char *list;
    const char *data;
    size_t size;
} bodies[] = {
    {"gzip",
     "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86"
     "\xa6\x10\x36\x05\x00\x00\x00",
     25},
    {"deflate", "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15", 13},
    {"deflate, deflate",
     "\x78\x9c\xab\x98\x73\xda\xe3\xec\xc9\x93\xec\x0c\x6c\x3a\x4c\xa2\x00\x2c"
     "\xd9\x04\xd7",
     21},
#ifdef WEIR_WITH_BROTLI
    {"br",
     "\x0b\x02\x80"
     "hello"
     "\x03",
     9},
#endif
};

static bool keep_hello(void *arg, const char *data, size_t size)
{
    size_t *taken = arg;

    check(*taken + size <= 5 && memcmp(data, &"hello"[*taken], size) == 0);
    *taken += size;
    return true;
}

static void decode_bodies(void)
{
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct decoder *decoder = NULL;
        size_t taken = 0;

        if (!is_fine(
                weir__decoder_open(&bodies[i].list, 1, 100, keep_hello, &taken, &decoder, &error)))
            continue;
        if (is_fine(weir__decoder_add(decoder, bodies[i].data, bodies[i].size, &error))) {
            check_int(weir__decoder_end(decoder, &error), WEIR_OK);
            check_int(taken, 5);
        }
        weir__decoder_close(decoder);
    }
}

/* ---- options ----------------------------------------------------------------------------- */

static void check_and_copy_options(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http_options copy;

    options.proxy = "socks5h://user:password@r\xC3\xA9lay:1080";
    options.no_proxy = "localhost,.\xC3\xA9";
    options.ca_file = "ca.pem";
    is_fine(weir__http_options_check(&options, &error));
    if (is_fine(weir__http_options_copy(&options, &copy, &error)))
        weir__http_options_clear(&copy);
}

/* ------------------------------------------------------------------------------------------ */

static void watch_session(void)
{
    weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_metrics *metrics = NULL;
    weir_http *session = NULL;
    char *text = NULL;

    if (!is_fine(weir_metrics_open(&metrics, &error)))
        return;
    if (is_fine(weir_http_open(&o, &session, &error))) {
        if (is_fine(weir_metrics_watch_http(metrics, session, &error))) {
            if (is_fine(weir_metrics_render(metrics, &text, NULL, &error)))
                free(text);
            weir_metrics_unwatch_http(metrics, session);
        }
        weir_http_close(session);
    }
    weir_metrics_close(metrics);
}

static void a_watched_session_without_memory_leaks_nothing(void)
{
    check(alloc_fail_each(watch_session) > 50);
}

static void a_url_without_memory_is_an_error(void)
{
    check(alloc_fail_each(parse_urls) >= 20);
}

static void without_memory_no_origin_is_the_same(void)
{
    check(alloc_fail_each(compare_origins) >= 10);
}

static void a_location_without_memory_leads_nowhere(void)
{
    check(alloc_fail_each(resolve_locations) >= 30);
}

static void a_url_that_grows_without_memory_leaks_nothing(void)
{
    check_int(alloc_fail_each(build_urls), 3);
}

static void a_request_keeps_that_there_was_no_memory(void)
{
    check(alloc_fail_each(build_request) >= 30);
}

static void a_response_without_memory_leaks_nothing(void)
{
    check(alloc_fail_each(receive_response) >= 8);
}

static void a_coding_without_memory_is_an_error(void)
{
    check(alloc_fail_each(decode_bodies) >= 10);
}

static void options_without_memory_leak_nothing(void)
{
    check(alloc_fail_each(check_and_copy_options) >= 6);
}

int main(void)
{
    /* libcurl's allocations come to the test as weir's own do. */
    if (curl_global_init_mem(CURL_GLOBAL_NOTHING, __wrap_malloc, __wrap_free, __wrap_realloc,
                             __wrap_strdup, __wrap_calloc) != CURLE_OK)
        return 1;
    run(a_url_without_memory_is_an_error);
    run(without_memory_no_origin_is_the_same);
    run(a_location_without_memory_leads_nowhere);
    run(a_url_that_grows_without_memory_leaks_nothing);
    run(a_request_keeps_that_there_was_no_memory);
    run(a_response_without_memory_leaks_nothing);
    run(a_coding_without_memory_is_an_error);
    run(options_without_memory_leak_nothing);
    run(a_watched_session_without_memory_leaks_nothing);
    return check_done();
}
