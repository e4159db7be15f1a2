/* SPDX-License-Identifier: MIT */
/* Once the head of a response is complete its status counts, whatever becomes of a body nobody needs. */
#include "http_steps.h"

#include <zlib.h>

/* ---- bodies that break ------------------------------------------------------------------- */

/* What becomes of the body; each is the first segment of a path. */
static const char *const fates[] = {"cut",   "reset",    "chunk-cut",   "no-chunk", "no-gzip",
                                    "rot13", "cut-gzip", "bad-trailer", "bomb"};
#define FATES (sizeof fates / sizeof fates[0])

/* Waits for the end of the attempt; not with the others, because it takes its time. */
static const char hang[] = "hang";

static unsigned char gzip[64];
static size_t gzip_size;
static unsigned char bomb[32768];
static size_t bomb_size;

static bool is_path(const struct peer_exchange *x, const char *fate)
{
    size_t size = strlen(fate);

    return strncmp(x->target + 1, fate, size) == 0 && x->target[size + 1] == '/';
}

static bool write_trailers(struct peer_exchange *x)
{
    bool is_there = peer_print(x, "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n");

    while (is_there)
        is_there = peer_print(x, "X-Trailer: some value of some length, so that it ends\r\n");
    return false;
}

/* Write what comes after the status and its own fields. */
static bool break_body(struct peer_exchange *x)
{
    if (is_path(x, "chunk-cut"))
        return peer_print(x, "Transfer-Encoding: chunked\r\n\r\n10\r\nno") && false;
    if (is_path(x, "no-chunk"))
        return peer_print(x, "Transfer-Encoding: chunked\r\n\r\nno chunk\r\n") && false;
    if (is_path(x, "no-gzip"))
        return peer_print(x, "Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip");
    if (is_path(x, "rot13"))
        return peer_print(x, "Content-Encoding: rot13\r\nContent-Length: 4\r\n\r\nnopq");
    if (is_path(x, "bad-trailer"))
        return write_trailers(x);
    if (is_path(x, "cut-gzip"))
        return peer_print(x, "Content-Encoding: gzip\r\n\r\n") &&
               peer_write(x, gzip, gzip_size - 1) && false;
    if (is_path(x, "bomb"))
        return peer_print(x, "Content-Encoding: gzip\r\n\r\n") && peer_write(x, bomb, bomb_size) &&
               false;
    peer_print(x, "Content-Length: 100\r\n\r\nsome of it");
    if (is_path(x, hang))
        return peer_hang(x);
    x->end = is_path(x, "reset") ? PEER_RST : PEER_FIN;
    return false;
}

/* "/cut/503": a body of that fate with that status; "/": whole. */
static bool answer(struct peer_exchange *x, void *arg)
{
    const char *status = strrchr(x->target, '/') + 1;
    char line[64];

    (void)arg;
    if (!peer_read_body(x))
        return false;
    if (strcmp(x->target, "/") == 0)
        return peer_reply(x, 200, "", "hello", 5);
    snprintf(line, sizeof line, "HTTP/1.1 %s As it is\r\n", status);
    peer_print(x, line);
    if (strcmp(status, "429") == 0 || strcmp(status, "503") == 0)
        peer_print(x, "Retry-After: 40\r\n");
    if (status[0] == '3')
        peer_print(x, "Location: /\r\n");
    return break_body(x);
}

static void squeeze(unsigned char *out, size_t room, size_t zeros, size_t *ret_size)
{
    z_stream z = {0};
    unsigned char *in = calloc(1, zeros);

    if (in == NULL || deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        printf("Bail out! no gzip\n");
        exit(1);
    }
    z.next_in = in;
    z.avail_in = (uInt)zeros;
    z.next_out = out;
    z.avail_out = (uInt)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
        printf("Bail out! no room for gzip\n");
        exit(1);
    }
    *ret_size = z.total_out;
    deflateEnd(&z);
    free(in);
}

static struct peer *peer;

static const char *path_url(const char *fate, int status, char url[PEER_URL_SIZE])
{
    char path[64];

    snprintf(path, sizeof path, "/%s/%d", fate, status);
    return peer_url(peer, path, url);
}

/* An error's body is kept as far as a bomb needs it to be one. */
static weir_http_options large_options(void)
{
    weir_http_options options = quick_options();

    options.max_error_bytes = 16777216;
    options.retry.total = 0;
    return options;
}

static void say_which(int before, const char *fate, int status)
{
    if (check_failures_in_test != before)
        printf("# %s, %d\n", fate, status);
}

/* ---- what is returned -------------------------------------------------------------------- */

static void check_status(weir_http *session, const char *fate, int status)
{
    int before = check_failures_in_test;
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 2; i++) {
        struct outcome o =
            send_to(session, i == 0 ? "GET" : "POST", path_url(fate, status, url), -1);
        if (i == 0 && status == 500) {
            check_outcome(o, WEIR_RESPONSE);
            check_int(o.error.native, 500);
            continue;
        }
        check_outcome(o, WEIR_OK);
        check_int(o.http, status);
        check(o.is_truncated);
        check_int(o.report.attempts, 1);
        check_int(o.report.status, status);
    }
    say_which(before, fate, status);
}

static void a_status_that_needs_no_body_is_returned_without_it(void)
{
    static const int statuses[] = {400, 401, 403, 404, 418, 500, 501};
    weir_http_options options = large_options();
    weir_http *session = open_session(&options);

    for (size_t i = 0; i < FATES; i++)
        for (size_t j = 0; j < sizeof statuses / sizeof statuses[0]; j++)
            check_status(session, fates[i], statuses[j]);
    close_session(session);
}

/* The body's fate is told beside, by libcurl's code too where it is one. */
static void what_came_of_the_body_is_kept(void)
{
    weir_http_options options = large_options();
    char url[PEER_URL_SIZE];

    options.try_timeout_ms = 300;
    weir_http *session = open_session(&options);
    struct outcome o = get(session, path_url("cut", 404, url));
    check_text(o.body, "some of it");
    check_int(o.report.curl_code, 18); /* CURLE_PARTIAL_FILE */
    o = get(session, path_url("no-gzip", 404, url));
    check_int(o.size, 0);
    check_int(o.report.curl_code, 61); /* CURLE_BAD_CONTENT_ENCODING */
    o = get(session, path_url(hang, 404, url));
    check_outcome(o, WEIR_OK);
    check_int(o.http, 404);
    check(o.is_truncated);
    check_text(o.body, "some of it");
    check_int(o.report.curl_code, 28); /* CURLE_OPERATION_TIMEDOUT */
    o = get(session, peer_url(peer, "/", url));
    check_outcome(o, WEIR_OK);
    check(!o.is_truncated);
    close_session(session);
}

/* What has the answer in its body is lost with it. */
static void a_success_is_none_without_its_body(void)
{
    weir_http_options options = large_options();
    char url[PEER_URL_SIZE];

    options.try_timeout_ms = 300;
    options.max_body_bytes = 16777216;
    weir_http *session = open_session(&options);
    for (size_t i = 0; i < FATES; i++) {
        int before = check_failures_in_test;
        struct outcome o = get(session, path_url(fates[i], 200, url));
        check(o.status == WEIR_DISCONNECTED || o.status == WEIR_PROTOCOL || o.status == WEIR_LIMIT);
        say_which(before, fates[i], 200);
    }
    struct outcome o = get(session, path_url(hang, 200, url));
    check_outcome(o, WEIR_TIMEOUT);
    o = send_to(session, "POST", path_url("cut", 200, url), -1);
    check_outcome(o, WEIR_AMBIGUOUS);
    close_session(session);
}

/* ---- what goes by it --------------------------------------------------------------------- */

/* 40 seconds are longer than it has, so it fails at once, and nobody else is let through. */
static void check_pause(const char *fate, int status)
{
    weir_http_options options = large_options();
    int before = check_failures_in_test;
    char url[PEER_URL_SIZE];

    options.retry.total = 3;
    options.try_timeout_ms = 300;
    weir_http *session = open_session(&options);
    struct outcome o = get(session, path_url(fate, status, url));
    check_outcome(o, WEIR_RESPONSE);
    check_int(o.error.native, status);
    check_int(o.report.attempts, 1);
    check(o.report.retry_after > 30 * WEIR_SECOND);
    o = get(session, peer_url(peer, "/", url));
    check_outcome(o, WEIR_REFUSED);
    check_int(o.report.attempts, 0);
    close_session(session);
    say_which(before, fate, status);
}

static void a_retry_after_is_heeded_without_a_body(void)
{
    for (size_t i = 0; i < FATES; i++) {
        check_pause(fates[i], 503);
        check_pause(fates[i], 429);
    }
    check_pause(hang, 503);
    check_pause(hang, 429);
}

static void a_redirect_is_followed_without_a_body(void)
{
    static const int statuses[] = {301, 302, 303, 307, 308};
    weir_http_options options = large_options();
    char url[PEER_URL_SIZE];

    options.try_timeout_ms = 500;
    weir_http *session = open_session(&options);
    for (size_t i = 0; i < FATES; i++)
        for (size_t j = 0; j < sizeof statuses / sizeof statuses[0]; j++) {
            int before = check_failures_in_test;
            struct outcome o = send_to(session, j % 2 == 0 ? "GET" : "POST",
                                       path_url(fates[i], statuses[j], url), -1);
            check_outcome(o, WEIR_OK);
            check_text(o.body, "hello");
            check(!o.is_truncated);
            check_int(o.report.redirects, 1);
            say_which(before, fates[i], statuses[j]);
        }
    struct outcome o = get(session, path_url(hang, 302, url));
    check_outcome(o, WEIR_OK);
    check_text(o.body, "hello");
    close_session(session);
}

/* It says where it leads in its head. */
static void a_redirect_that_is_not_followed_is_returned(void)
{
    weir_http_options options = large_options();
    char url[PEER_URL_SIZE];

    options.follow_redirects = false;
    weir_http *session = open_session(&options);
    for (size_t i = 0; i < FATES - 1; i++) {
        int before = check_failures_in_test;
        struct outcome o = get(session, path_url(fates[i], 301, url));
        check_outcome(o, WEIR_OK);
        check_int(o.http, 301);
        check(o.is_truncated);
        say_which(before, fates[i], 301);
    }
    close_session(session);
}

static weir_status count_bytes(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)data, (void)reterr;
    *(size_t *)arg += size;
    return WEIR_OK;
}

/* The same for one that is too large: it is kept, or given to the sink, up to the limit. */
static void a_status_that_needs_no_body_has_none_that_is_too_large(void)
{
    static const int statuses[] = {300, 301, 302, 305, 308, 399};
    weir_http_options options = large_options();
    char url[PEER_URL_SIZE];

    options.follow_redirects = false;
    weir_http *session = open_session(&options);
    for (int limit = 0; limit <= 8; limit += 4)
        for (size_t i = 0; i < 2 * sizeof statuses / sizeof statuses[0]; i++) {
            int before = check_failures_in_test;
            int status = statuses[i / 2];
            weir_http_request *request = new_request("GET", path_url("cut", status, url));
            size_t sunk = 0;
            if (i % 2 == 1)
                weir_http_request_sink(request, count_bytes, &sunk);
            weir_http_request_max_body(request, limit);
            struct outcome o = send_request(session, request, -1);
            check_outcome(o, WEIR_OK);
            check_int(o.http, status);
            check(o.is_truncated);
            check_int(i % 2 == 1 ? sunk : o.size, limit);
            weir_http_request_close(request);
            say_which(before, "cut", status);
        }
    struct outcome o = get(session, path_url("bomb", 301, url));
    check_outcome(o, WEIR_OK);
    check(o.is_truncated);
    close_session(session);
}

/* A 404 is no failure of the server, however it is wrapped; a 500 is one. */
static void the_breaker_goes_by_the_status(void)
{
    weir_http_options options = large_options();
    char url[PEER_URL_SIZE];

    options.use_breaker = true;
    options.breaker.minimum_calls = 5;
    options.breaker.window_size = 5;
    weir_http *session = open_session(&options);
    for (size_t i = 0; i < FATES; i++)
        get(session, path_url(fates[i], 404, url));
    struct outcome o = get(session, peer_url(peer, "/", url));
    check_outcome(o, WEIR_OK);
    for (int i = 0; i < 5; i++)
        get(session, path_url("no-gzip", 500, url));
    o = get(session, peer_url(peer, "/", url));
    check_outcome(o, WEIR_REFUSED);
    close_session(session);
}

int main(void)
{
    squeeze(gzip, sizeof gzip, 10, &gzip_size);
    squeeze(bomb, sizeof bomb, 8388608, &bomb_size);
    peer = start_peer(answer, NULL);
    run(a_status_that_needs_no_body_is_returned_without_it);
    run(what_came_of_the_body_is_kept);
    run(a_success_is_none_without_its_body);
    run(a_retry_after_is_heeded_without_a_body);
    run(a_redirect_is_followed_without_a_body);
    run(a_redirect_that_is_not_followed_is_returned);
    run(a_status_that_needs_no_body_has_none_that_is_too_large);
    run(the_breaker_goes_by_the_status);
    peer_stop(peer);
    return check_done();
}
