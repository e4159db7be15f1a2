/* SPDX-License-Identifier: MIT */
/* The builder of requests: what it lets through, what it refuses, and that the first failure stays. */
#include "check.h"
#include "http/request.h"

#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static weir_error error;

static weir_http_request *open_request(const char *url)
{
    weir_http_request *request = NULL;

    error = (weir_error){0};
    check_int(weir_http_request_open("GET", url, &request, &error), WEIR_OK);
    check_text(error.text, "");
    if (request == NULL)
        abort();
    return request;
}

/* The error that the request keeps has this status and this in its text, and not that. */
static void check_kept(const weir_http_request *request, weir_status status, const char *part,
                       const char *secret)
{
    const weir_error *kept = weir_http_request_error(request);

    check(kept != NULL);
    if (kept == NULL)
        return;
    check_int(kept->status, status);
    check_contains(kept->text, part);
    check(secret == NULL || strstr(kept->text, secret) == NULL);
}

/* One header on a request of its own: refused so. */
static void check_header_refused(const char *name, const char *value, weir_status status,
                                 const char *part)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_header(request, name, value), status);
    check_kept(request, status, part, "hunter2");
    check_int(request->field_count, 0);
    weir_http_request_close(request);
}

static void check_line(const char *name, const char *value, const char *line)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_header(request, name, value), WEIR_OK);
    check(weir_http_request_error(request) == NULL);
    check_int(request->field_count, 1);
    check_text(request->field_count == 1 ? request->fields[0].line : NULL, line);
    weir_http_request_close(request);
}

/* ---- method and URL ---------------------------------------------------------------------- */

static void a_method_is_a_token_kept_as_written(void)
{
    static const char *const good[] = {"GET", "get", "PROPFIND", "M-SEARCH", "X!#$%&'*+.^_`|~1"};
    static const char *const bad[] = {"",          "GET ",   " GET",   "GE\rT",   "GET\nX: y",
                                      "G\xC3\x84", "GET\t/", "GET(1)", "CONNECT", "connect"};

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        weir_http_request *request = NULL;

        check_int(weir_http_request_open(good[i], "http://h/", &request, &error), WEIR_OK);
        check_text(request->method, good[i]);
        weir_http_request_close(request);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        weir_http_request *request = NULL;

        check_int(weir_http_request_open(bad[i], "http://h/", &request, &error), WEIR_INVALID);
        check_contains(error.text, "method");
        check(request == NULL);
    }
}

static void a_method_has_at_most_64_characters(void)
{
    weir_http_request *request = NULL;
    char method[66];

    memset(method, 'M', 65);
    method[65] = '\0';
    check_int(weir_http_request_open(method, "http://h/", &request, &error), WEIR_INVALID);
    check(request == NULL);
    check_int(weir_http_request_open(method + 1, "http://h/", &request, &error), WEIR_OK);
    weir_http_request_close(request);
}

static void a_method_and_a_name_have_no_separators_and_are_not_empty(void)
{
    weir_http_request *request = NULL;

    check_int(weir_http_request_open("", "http://h/", &request, &error), WEIR_INVALID);
    for (const char *c = "\"(),/:;<=>?@[\\]{} \t\r\n\x7F\x80\xFF"; *c != '\0'; c++) {
        char text[] = {'a', *c, 'b', '\0'};

        check_int(weir_http_request_open(text, "http://h/", &request, &error), WEIR_INVALID);
        check(request == NULL);
        request = open_request("http://h/");
        check_int(weir_http_request_header(request, text, "x"), WEIR_INVALID);
        check_int(weir_http_request_header(request, "", "x"), WEIR_INVALID);
        check_int(weir_http_request_header(request, "If-None-Match", "x"), WEIR_OK);
        weir_http_request_close(request);
        request = NULL;
    }
}

static void a_bad_url_makes_no_request(void)
{
    weir_http_request *request = NULL;

    check_int(weir_http_request_open("GET", "http://u:hunter2@h/", &request, &error), WEIR_INVALID);
    check(strstr(error.text, "hunter2") == NULL);
    check(request == NULL);
    weir_http_request_close(request);
}

static void segments_and_pairs_go_into_the_url(void)
{
    weir_http_request *request = open_request("https://API.example/v2?a=b#c");

    check_int(weir_http_request_segment(request, "tables"), WEIR_OK);
    check_int(weir_http_request_query(request, "where", "(a,eq,b c)"), WEIR_OK);
    check_int(weir_http_request_segment(request, "../x?y"), WEIR_OK);
    check_text(weir_http_request_url(request),
               "https://API.example/v2/tables/..%2Fx%3Fy?a=b&where=%28a%2Ceq%2Cb%20c%29");
    check_text(request->url.shown, "https://API.example/v2/tables/..%2Fx%3Fy");
    check_text(request->url.origin, "https://api.example:443");
    check(weir_http_request_error(request) == NULL);
    weir_http_request_close(request);
}

static void a_url_that_grows_too_long_stays_as_it_was(void)
{
    weir_http_request *request = open_request("http://h/");
    char *part = malloc(30001);

    if (part == NULL)
        abort();
    memset(part, ' ', 30000);
    part[30000] = '\0';
    check_int(weir_http_request_segment(request, part), WEIR_LIMIT);
    check_text(weir_http_request_url(request), "http://h/");
    check_kept(request, WEIR_LIMIT, "65536", NULL);
    free(part);
    weir_http_request_close(request);
}

/* ---- the first failure ------------------------------------------------------------------- */

static void the_first_failure_stays_and_each_call_tells_its_own(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_header(request, "A", "b"), WEIR_OK);
    check(weir_http_request_error(request) == NULL);
    check_int(weir_http_request_segment(request, ".."), WEIR_INVALID);
    check_int(weir_http_request_header(request, "C", "d"), WEIR_OK);
    check_int(weir_http_request_try_timeout(request, 0), WEIR_INVALID);
    check_int(weir_http_request_header(request, "Bad Name", "d"), WEIR_INVALID);
    check_kept(request, WEIR_INVALID, "path segment", NULL);
    check_int(request->field_count, 2);
    weir_http_request_close(request);
}

/* ---- header fields ----------------------------------------------------------------------- */

static void a_field_is_a_line_with_its_value_trimmed(void)
{
    check_line("Accept", "text/html", "Accept: text/html");
    check_line("X", " \ta b\t c \t", "X: a b\t c");
    check_line("X", "caf\xC3\xA9 \xFF", "X: caf\xC3\xA9 \xFF");
    check_line("X", "a;b:c", "X: a;b:c");
}

static void an_empty_value_is_sent_as_an_empty_field(void)
{
    check_line("X", "", "X;");
    check_line("X", " \t ", "X;");
}

static void control_characters_are_refused_in_a_value(void)
{
    for (int c = 1; c < 256; c++) {
        char value[] = {'h', 'u', (char)c, 'x', '\0'};

        if (c == '\t' || (c >= 0x20 && c != 0x7F)) {
            weir_http_request *request = open_request("http://h/");
            check_int(weir_http_request_header(request, "X", value), WEIR_OK);
            weir_http_request_close(request);
            continue;
        }
        check_header_refused("X", value, WEIR_INVALID, "header X, position 3 of its value");
    }
    check_header_refused("X", "hunter2\r\nEvil: yes", WEIR_INVALID, "position 8 of its value");
    check_header_refused("X", "hunter2\n", WEIR_INVALID, "position 8 of its value");
}

static void a_name_is_a_token(void)
{
    check_header_refused("", "hunter2", WEIR_INVALID, "must not be empty");
    check_header_refused("A B", "hunter2", WEIR_INVALID, "header name, position 2");
    check_header_refused("A:", "hunter2", WEIR_INVALID, "header name, position 2");
    check_header_refused("A;", "hunter2", WEIR_INVALID, "header name, position 2");
    check_header_refused(" A", "hunter2", WEIR_INVALID, "header name, position 1");
    check_header_refused("A\r\nB", "hunter2", WEIR_INVALID, "header name, position 2");
    check_header_refused("\xC3\xA9", "hunter2", WEIR_INVALID, "header name, position 1");
}

static void what_frames_the_message_is_not_the_users(void)
{
    static const char *const names[] = {
        "Host",    "Content-Length", "Transfer-Encoding", "Expect", "Connection", "Upgrade", "TE",
        "Trailer", "hOST",           "content-length"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        check_header_refused(names[i], "hunter2", WEIR_INVALID, "is set by weir itself");
    check_line("Hosts", "a", "Hosts: a");
    check_line("T", "a", "T: a");
}

static void known_and_marked_secrets_are_secret(void)
{
    static const char *const names[] = {"Authorization",       "Cookie",   "X-API-Key",
                                        "Proxy-Authorization", "xc-token", "xc-auth",
                                        "AUTHORIZATION",       "XC-Token", "cookie"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        weir_http_request *request = open_request("http://h/");

        check_int(weir_http_request_header(request, names[i], "hunter2"), WEIR_OK);
        check_int(weir_http_request_header(request, "X-Plain", "a"), WEIR_OK);
        check_int(weir_http_request_secret(request, "X-Mine", "hunter2"), WEIR_OK);
        check(request->fields[0].is_secret);
        check(!request->fields[1].is_secret);
        check(request->fields[2].is_secret);
        weir_http_request_close(request);
    }
}

static void fields_of_one_name_are_kept_in_order(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_header(request, "Cookie", "a=1"), WEIR_OK);
    check_int(weir_http_request_header(request, "Accept", "b"), WEIR_OK);
    check_int(weir_http_request_header(request, "Cookie", "c=2"), WEIR_OK);
    check_text(request->fields[0].line, "Cookie: a=1");
    check_text(request->fields[2].line, "Cookie: c=2");
    weir_http_request_close(request);
}

static void fields_that_weir_adds_by_itself_are_noticed_in_any_case(void)
{
    weir_http_request *request = open_request("http://h/");

    check(!request->has_accept_encoding && !request->has_range && !request->has_content_type);
    check_int(weir_http_request_header(request, "rANGE", "bytes=0-1"), WEIR_OK);
    check(request->has_range && !request->has_accept_encoding);
    check_int(weir_http_request_header(request, "ACCEPT-ENCODING", ""), WEIR_OK);
    check(request->has_accept_encoding && !request->has_content_type);
    check_int(weir_http_request_header(request, "Content-type", "text/plain"), WEIR_OK);
    check(request->has_content_type && !request->has_idempotency_key);
    weir_http_request_close(request);
}

static void a_request_has_at_most_128_fields(void)
{
    weir_http_request *request = open_request("http://h/");

    for (int i = 0; i < 128; i++)
        check_int(weir_http_request_header(request, "A", "b"), WEIR_OK);
    check_int(weir_http_request_header(request, "A", "hunter2"), WEIR_LIMIT);
    check_kept(request, WEIR_LIMIT, "128", "hunter2");
    check_int(request->field_count, 128);
    weir_http_request_close(request);
}

static void fields_have_at_most_64_kibibytes_together(void)
{
    weir_http_request *request = open_request("http://h/");
    char *value = malloc(65537);

    if (value == NULL)
        abort();
    memset(value, 'v', 65536);
    value[65536] = '\0';
    check_int(weir_http_request_header(request, "A", value), WEIR_LIMIT);
    check_int(weir_http_request_header(request, "A", value + 4), WEIR_LIMIT);
    check_int(request->field_count, 0);
    /* "A: ", the value and the end of the line are 65536 bytes. */
    check_int(weir_http_request_header(request, "A", value + 5), WEIR_OK);
    check_int(request->fields_size, 65536);
    check_int(weir_http_request_header(request, "B", ""), WEIR_LIMIT);
    check_int(request->field_count, 1);
    check_kept(request, WEIR_LIMIT, "65536", NULL);
    free(value);
    weir_http_request_close(request);
}

/* ---- credentials ------------------------------------------------------------------------- */

static void a_bearer_token_is_a_secret_field(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_bearer(request, "a.b-c_d~e+f/g=="), WEIR_OK);
    check_text(request->fields[0].line, "Authorization: Bearer a.b-c_d~e+f/g==");
    check(request->fields[0].is_secret);
    weir_http_request_close(request);
}

static void a_token_with_anything_but_visible_ascii_is_refused_and_not_shown(void)
{
    static const char *const bad[] = {
        "",          "hunter2\n",   "hunter2 x",      " hunter2", "hunter2\r\n",
        "hunter2\t", "hunter2\x7F", "hunter2\xC3\xA9"};

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        weir_http_request *request = open_request("http://h/");

        check_int(weir_http_request_bearer(request, bad[i]), WEIR_INVALID);
        check_kept(request, WEIR_INVALID, "bearer token", "hunter2");
        check_int(request->field_count, 0);
        weir_http_request_close(request);
    }
}

static void check_basic(const char *user, const char *password, const char *line)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_basic_auth(request, user, password), WEIR_OK);
    check_text(request->fields[0].line, line);
    check(request->fields[0].is_secret);
    weir_http_request_close(request);
}

/* The first two are the examples of RFC 7617. */
static void basic_auth_is_user_colon_password_in_base64(void)
{
    check_basic("Aladdin", "open sesame", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    check_basic("test", "123\xC2\xA3", "Authorization: Basic dGVzdDoxMjPCow==");
    check_basic("", "", "Authorization: Basic Og==");
    check_basic("a", "b:c", "Authorization: Basic YTpiOmM=");
    check_basic("ab", "c\xFF\xFF", "Authorization: Basic YWI6Y///");
}

static void basic_auth_refuses_a_colon_in_the_user_and_control_characters(void)
{
    static const struct {
        const char *user;
        const char *password;
        const char *part;
    } bad[] = {
        {"a:b", "hunter2", "must not contain a colon"},
        {"a\nb", "hunter2", "position 2 of the user"},
        {"a", "hunter2\r", "position 8 of the password"},
        {"a", "hunter2\x7F", "position 8 of the password"},
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        weir_http_request *request = open_request("http://h/");

        check_int(weir_http_request_basic_auth(request, bad[i].user, bad[i].password),
                  WEIR_INVALID);
        check_kept(request, WEIR_INVALID, bad[i].part, "hunter2");
        check_int(request->field_count, 0);
        weir_http_request_close(request);
    }
}

static void credentials_have_a_limit(void)
{
    weir_http_request *request = open_request("http://h/");
    char *text = malloc(65538);

    if (text == NULL)
        abort();
    memset(text, 'a', 65537);
    text[65537] = '\0';
    check_int(weir_http_request_bearer(request, text), WEIR_LIMIT);
    check_int(weir_http_request_bearer(request, text + 1), WEIR_LIMIT);
    check_int(weir_http_request_basic_auth(request, text, text), WEIR_LIMIT);
    check_int(weir_http_request_basic_auth(request, "a", text + 10), WEIR_LIMIT);
    check_int(request->field_count, 0);
    free(text);
    weir_http_request_close(request);
}

/* ---- the key of a request ---------------------------------------------------------------- */

static void a_key_is_drawn_from_128_random_bits(void)
{
    char lines[2][64];

    for (int i = 0; i < 2; i++) {
        weir_http_request *request = open_request("http://h/");

        check_int(weir_http_request_idempotency_key(request, NULL), WEIR_OK);
        check(request->has_idempotency_key);
        snprintf(lines[i], sizeof lines[i], "%s", request->fields[0].line);
        check(strncmp(lines[i], "Idempotency-Key: ", 17) == 0);
        check_int(strspn(lines[i] + 17, "0123456789abcdef"), 32);
        check_int(strlen(lines[i]), 17 + 32);
        weir_http_request_close(request);
    }
    check(strcmp(lines[0], lines[1]) != 0);
}

static void a_key_may_be_given_by_either_function(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_idempotency_key(request, "order-1"), WEIR_OK);
    check_text(request->fields[0].line, "Idempotency-Key: order-1");
    check(request->has_idempotency_key);
    weir_http_request_close(request);

    request = open_request("http://h/");
    check_int(weir_http_request_header(request, "idempotency-key", "order-1"), WEIR_OK);
    check(request->has_idempotency_key);
    weir_http_request_close(request);
}

static void a_key_is_neither_empty_nor_one_of_two(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_idempotency_key(request, ""), WEIR_INVALID);
    check_int(weir_http_request_header(request, "Idempotency-Key", " "), WEIR_INVALID);
    check(!request->has_idempotency_key);
    check_int(weir_http_request_idempotency_key(request, "a"), WEIR_OK);
    check_int(weir_http_request_idempotency_key(request, NULL), WEIR_INVALID);
    check_int(weir_http_request_header(request, "IDEMPOTENCY-KEY", "b"), WEIR_INVALID);
    check_int(request->field_count, 1);
    weir_http_request_close(request);
}

/* ---- the body ---------------------------------------------------------------------------- */

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

static void a_body_is_copied_with_its_zeros_and_its_type(void)
{
    weir_http_request *request = open_request("http://h/");
    char data[] = "a\0b";

    check(!request->has_body);
    check_int(weir_http_request_body(request, data, 3, " application/json\t"), WEIR_OK);
    data[0] = 'x';
    check(request->has_body && !request->has_reader);
    check_int(request->body_size, 3);
    check(memcmp(request->body, "a\0b", 3) == 0);
    check_text(request->content_type, "application/json");
    weir_http_request_close(request);
}

static void an_empty_body_is_a_body(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_body(request, NULL, 0, NULL), WEIR_OK);
    check(request->has_body && request->body_size == 0 && request->content_type == NULL);
    weir_http_request_close(request);
}

static void a_new_body_replaces_the_old_one(void)
{
    weir_http_request *request = open_request("http://h/");
    const weir_http_reader reader = {read_nothing, NULL, &error, -1};

    check_int(weir_http_request_body(request, "old", 3, "text/plain"), WEIR_OK);
    check_int(weir_http_request_reader(request, &reader, "text/csv"), WEIR_OK);
    check(request->has_body && request->has_reader);
    check(request->body == NULL && request->body_size == 0);
    check(request->reader.arg == &error && request->reader.size == -1);
    check_text(request->content_type, "text/csv");

    check_int(weir_http_request_body(request, "new", 3, NULL), WEIR_OK);
    check(request->has_body && !request->has_reader);
    check(memcmp(request->body, "new", 3) == 0);
    check(request->content_type == NULL);
    weir_http_request_close(request);
}

static void a_refused_body_leaves_the_old_one(void)
{
    weir_http_request *request = open_request("http://h/");
    const weir_http_reader bad = {read_nothing, NULL, NULL, -2};
    const weir_http_reader good = {read_nothing, NULL, NULL, 0};

    check_int(weir_http_request_body(request, "old", 3, "text/plain"), WEIR_OK);
    check_int(weir_http_request_body(request, "new", 3, "text/plain\r\nX: y"), WEIR_INVALID);
    check_kept(request, WEIR_INVALID, "header Content-Type, position 11 of its value", "X: y");
    check_int(weir_http_request_reader(request, &bad, NULL), WEIR_INVALID);
    check_int(weir_http_request_reader(request, &good, "\x01"), WEIR_INVALID);
    check(!request->has_reader);
    check(memcmp(request->body, "old", 3) == 0);
    check_text(request->content_type, "text/plain");
    weir_http_request_close(request);
}

/* ---- how it is sent ---------------------------------------------------------------------- */

static void a_new_request_has_nothing_of_its_own(void)
{
    weir_http_request *request = open_request("http://h/");
    const weir_http_report *report = weir_http_request_report(request);

    check(request->sink == NULL && !request->has_retry && request->try_timeout_ms == 0);
    check(request->max_body_bytes == -1 && request->follow_redirects == -1);
    check_int(atomic_load(&request->word), SIGNAL_NONE);
    check(report->attempts == 0 && report->status == 0 && !report->was_sent);
    weir_http_request_close(request);
}

static void limits_of_a_request_have_the_ranges_of_the_sessions(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_try_timeout(request, 1), WEIR_OK);
    check_int(weir_http_request_try_timeout(request, 86400000), WEIR_OK);
    check_int(weir_http_request_max_body(request, 0), WEIR_OK);
    check_int(request->max_body_bytes, 0);
    check_int(weir_http_request_max_body(request, (int64_t)1 << 53), WEIR_OK);
    check_int(weir_http_request_follow_redirects(request, false), WEIR_OK);
    check_int(request->follow_redirects, 0);
    check_int(weir_http_request_follow_redirects(request, true), WEIR_OK);
    check_int(request->follow_redirects, 1);
    check(weir_http_request_error(request) == NULL);

    check_int(weir_http_request_try_timeout(request, 86400001), WEIR_INVALID);
    check_kept(request, WEIR_INVALID, "try_timeout_ms 86400001: must be 1 to 86400000", NULL);
    check_int(weir_http_request_try_timeout(request, 0), WEIR_INVALID);
    check_int(weir_http_request_max_body(request, -1), WEIR_INVALID);
    check_int(weir_http_request_max_body(request, ((int64_t)1 << 53) + 1), WEIR_INVALID);
    check_int(request->try_timeout_ms, 86400000);
    check_int(request->max_body_bytes, (int64_t)1 << 53);
    weir_http_request_close(request);
}

static void repeats_of_a_request_are_checked_and_copied(void)
{
    weir_http_request *request = open_request("http://h/");
    weir_retry_options retry = WEIR_RETRY_OPTIONS_DEFAULT;

    retry.total = -5;
    check_int(weir_http_request_retry(request, &retry), WEIR_INVALID);
    check_kept(request, WEIR_INVALID, "retry: total -5: must be", NULL);
    check(!request->has_retry);
    retry.total = 7;
    check_int(weir_http_request_retry(request, &retry), WEIR_OK);
    retry.total = 8;
    check(request->has_retry);
    check_int(request->retry.total, 7);
    weir_http_request_close(request);
}

static weir_status swallow(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)arg;
    (void)data;
    (void)size;
    (void)reterr;
    return WEIR_OK;
}

static void a_sink_is_kept_with_its_argument(void)
{
    weir_http_request *request = open_request("http://h/");

    check_int(weir_http_request_sink(request, swallow, &error), WEIR_OK);
    check(request->sink == swallow && request->sink_arg == &error);
    weir_http_request_close(request);
}

int main(void)
{
    run(a_method_is_a_token_kept_as_written);
    run(a_method_has_at_most_64_characters);
    run(a_method_and_a_name_have_no_separators_and_are_not_empty);
    run(a_bad_url_makes_no_request);
    run(segments_and_pairs_go_into_the_url);
    run(a_url_that_grows_too_long_stays_as_it_was);
    run(the_first_failure_stays_and_each_call_tells_its_own);
    run(a_field_is_a_line_with_its_value_trimmed);
    run(an_empty_value_is_sent_as_an_empty_field);
    run(control_characters_are_refused_in_a_value);
    run(a_name_is_a_token);
    run(what_frames_the_message_is_not_the_users);
    run(known_and_marked_secrets_are_secret);
    run(fields_of_one_name_are_kept_in_order);
    run(fields_that_weir_adds_by_itself_are_noticed_in_any_case);
    run(a_request_has_at_most_128_fields);
    run(fields_have_at_most_64_kibibytes_together);
    run(a_bearer_token_is_a_secret_field);
    run(a_token_with_anything_but_visible_ascii_is_refused_and_not_shown);
    run(basic_auth_is_user_colon_password_in_base64);
    run(basic_auth_refuses_a_colon_in_the_user_and_control_characters);
    run(credentials_have_a_limit);
    run(a_key_is_drawn_from_128_random_bits);
    run(a_key_may_be_given_by_either_function);
    run(a_key_is_neither_empty_nor_one_of_two);
    run(a_body_is_copied_with_its_zeros_and_its_type);
    run(an_empty_body_is_a_body);
    run(a_new_body_replaces_the_old_one);
    run(a_refused_body_leaves_the_old_one);
    run(a_new_request_has_nothing_of_its_own);
    run(limits_of_a_request_have_the_ranges_of_the_sessions);
    run(repeats_of_a_request_are_checked_and_copied);
    run(a_sink_is_kept_with_its_argument);
    return check_done();
}
