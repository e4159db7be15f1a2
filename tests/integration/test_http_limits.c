/* SPDX-License-Identifier: MIT */
/* Responses without end or measure: each is cut where the options say, and memory stays bounded. */
#include "http_steps.h"

#include <stdatomic.h>

/* ---- compressed bodies ------------------------------------------------------------------- */

#define ZEROS 10485760
#define BLOB 65536

struct blob {
    char data[BLOB];
    size_t size;
};

static struct blob bomb;   /* 10 MiB of zeros, gzipped */
static struct blob nested; /* the same, gzipped twice */
static struct blob small;  /* 1000 zeros, gzipped */

static void make_blob(struct blob *blob, const char *command)
{
    FILE *pipe = popen(command, "r");

    blob->size = pipe == NULL ? 0 : fread(blob->data, 1, BLOB, pipe);
    if (pipe == NULL || pclose(pipe) != 0 || blob->size == 0 || blob->size == BLOB) {
        printf("Bail out! %s\n", command);
        exit(1);
    }
}

/* The compressed answers: by path the body, the encoding and the status. */
static bool answer_compressed(struct peer_exchange *x, void *arg)
{
    const char *path = x->target;
    atomic_int *count = arg;
    char encoding[128] = "Content-Encoding: gzip\r\n";
    int status = 200;
    const struct blob *blob = strstr(path, "small") != NULL    ? &small
                              : strstr(path, "nested") != NULL ? &nested
                                                               : &bomb;

    if (strstr(path, "nested") != NULL)
        strcpy(encoding, "Content-Encoding: gzip, gzip\r\n");
    if (strstr(path, "chain") != NULL)
        strcpy(encoding, "Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip\r\n");
    if (strstr(path, "plain") != NULL || (strstr(path, "/503") != NULL && atomic_load(count) > 0))
        return peer_reply(x, 200, "", "hello", 5);
    atomic_fetch_add(count, 1);
    if (strstr(path, "/503") != NULL)
        status = 503;
    if (strstr(path, "/404") != NULL)
        status = 404;
    if (strstr(path, "/302") != NULL) {
        status = 302;
        strcat(encoding, "Location: /plain\r\n");
    }
    if (strstr(path, "wrong") != NULL)
        return peer_reply(x, 200, encoding, "this is no gzip", 15);
    if (strstr(path, "cut") != NULL) {
        peer_print(x, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n");
        peer_write(x, blob->data, blob->size / 2);
        return false;
    }
    return peer_reply(x, status, encoding, blob->data, blob->size);
}

/* Another origin of the same session is none the worse for what one did. */
static void check_neighbour(weir_http *session, struct peer *neighbour)
{
    char url[PEER_URL_SIZE];
    struct outcome o = get(session, peer_url(neighbour, "/", url));

    check_outcome(o, WEIR_OK);
    check_text(o.body, "hello");
    check_int(o.report.attempts, 1);
    check_int(peer_connections(neighbour), 1);
}

static struct outcome get_compressed(const char *path, const weir_http_options *options)
{
    atomic_int count = 0;
    struct peer *peer = start_peer(answer_compressed, &count);
    struct peer *neighbour = start_peer(say_hello, NULL);
    weir_http *session = open_session(options);
    char url[PEER_URL_SIZE];

    check_neighbour(session, neighbour);
    struct outcome o = get(session, peer_url(peer, path, url));
    check_neighbour(session, neighbour);
    check_text(get(session, peer_url(peer, "/plain", url)).body, "hello");
    close_session(session);
    peer_stop(peer);
    peer_stop(neighbour);
    return o;
}

/* Pitfall 9 */
static void a_body_that_expands_too_far_is_cut_once_and_for_all(void)
{
    static const char *const paths[] = {"/bomb", "/nested"};
    weir_http_options options = quick_options();

    for (int i = 0; i < 2; i++) {
        struct outcome o = get_compressed(paths[i], &options);
        check_outcome(o, WEIR_LIMIT);
        check_contains(o.error.text, "max_expansion");
        check_int(o.report.attempts, 1);
    }
}

/* Where expansion is not what is limited, its size is. */
static void a_body_that_may_expand_is_cut_by_its_size_alone(void)
{
    weir_http_options options = quick_options();

    options.max_expansion = 10000;
    options.max_body_bytes = ZEROS - 1;
    struct outcome o = get_compressed("/bomb", &options);
    check_outcome(o, WEIR_LIMIT);
    check_contains(o.error.text, "max_body_bytes");
    options.max_body_bytes = ZEROS;
    o = get_compressed("/bomb", &options);
    check_outcome(o, WEIR_OK);
    check_int(o.size, ZEROS);
}

/* Pitfall 9: bodies that nobody asked for are not expanded to their end. */
static void a_bomb_in_an_error_or_a_redirect_stops_nothing(void)
{
    static const char *const paths[] = {"/503", "/503-nested", "/302", "/302-nested"};
    weir_http_options options = quick_options();

    for (int i = 0; i < 4; i++) {
        struct outcome o = get_compressed(paths[i], &options);
        check_outcome(o, WEIR_OK);
        check_int(o.http, 200);
        check_text(o.body, "hello");
        check_int(o.report.attempts, 2);
    }
    struct outcome o = get_compressed("/404-nested", &options);
    check_outcome(o, WEIR_OK);
    check_int(o.http, 404);
    check_int(o.size, options.max_error_bytes);
    check(o.is_truncated);
}

/* Pitfall 10: limits count what was decoded. */
static void the_limit_of_a_body_counts_decoded_bytes(void)
{
    weir_http_options options = quick_options();

    options.max_body_bytes = 1000;
    struct outcome o = get_compressed("/small", &options);
    check_outcome(o, WEIR_OK);
    check_int(o.size, 1000);
    options.max_body_bytes = 999;
    o = get_compressed("/small", &options);
    check_outcome(o, WEIR_LIMIT);
    check_contains(o.error.text, "max_body_bytes");
}

static void what_is_not_to_be_decompressed_comes_as_it_is(void)
{
    weir_http_options options = quick_options();

    options.decompress = false;
    struct outcome o = get_compressed("/bomb", &options);
    check_outcome(o, WEIR_OK);
    check_int(o.size, bomb.size);
    check(memcmp(o.body, bomb.data, sizeof(o.body) - 1) == 0);
}

static void a_chain_of_many_encodings_is_refused(void)
{
    weir_http_options options = quick_options();
    struct outcome o = get_compressed("/chain", &options);

    check(o.status == WEIR_PROTOCOL || o.status == WEIR_LIMIT);
}

static void a_compressed_body_that_is_wrong_or_breaks_off_is_no_success(void)
{
    weir_http_options options = quick_options();
    struct outcome o = get_compressed("/wrong", &options);

    check_outcome(o, WEIR_PROTOCOL);
    check_int(o.report.attempts, 1);
    o = get_compressed("/small-cut", &options);
    check_outcome(o, WEIR_DISCONNECTED);
    check_int(o.report.attempts, 4);
}

/* ---- bodies without end ------------------------------------------------------------------ */

#define MEBIBYTE 1048576

/* Writes chunks or bytes until the other side has had enough. */
static bool babble(struct peer_exchange *x, void *arg)
{
    static const char zeros[65536];
    bool is_chunked = strstr(x->target, "chunked") != NULL;
    bool is_huge = strstr(x->target, "huge") != NULL;
    const char *status = strstr(x->target, "error") != NULL      ? "404 Not Found"
                         : strstr(x->target, "redirect") != NULL ? "302 Found\r\nLocation: /"
                                                                 : "200 OK";
    atomic_int *hung_up = arg;

    if (strcmp(x->target, "/") == 0)
        return peer_reply(x, 200, "", "hello", 5);
    peer_print(x, "HTTP/1.1 ");
    peer_print(x, status);
    peer_print(x, is_chunked ? "\r\nTransfer-Encoding: chunked\r\n\r\n"
                  : is_huge  ? "\r\nContent-Length: 4611686018427387904\r\n\r\n"
                             : "\r\n\r\n");
    while ((!is_chunked || peer_print(x, "10000\r\n")) && peer_write(x, zeros, sizeof(zeros)) &&
           (!is_chunked || peer_print(x, "\r\n")))
        continue;
    atomic_fetch_add(hung_up, 1);
    return false;
}

/* Pitfall 10 */
static void a_body_without_end_is_cut_at_its_limit_and_the_connection_closed(void)
{
    static const char *const paths[] = {"/chunked", "/unmeasured", "/huge"};
    atomic_int hung_up = 0;
    struct peer *peer = start_peer(babble, &hung_up);
    struct peer *neighbour = start_peer(say_hello, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.max_body_bytes = MEBIBYTE;
    weir_http *session = open_session(&options);
    for (int i = 0; i < 3; i++) {
        struct outcome o = get(session, peer_url(peer, paths[i], url));
        check_outcome(o, WEIR_LIMIT);
        check_contains(o.error.text, "max_body_bytes");
        check_int(o.report.attempts, 1);
        check_neighbour(session, neighbour);
        check_text(get(session, peer_url(peer, "/", url)).body, "hello");
    }
    check(peer_wait(peer, PEER_OPEN, 1));
    check_int(atomic_load(&hung_up), 3);
    close_session(session);
    peer_stop(peer);
    peer_stop(neighbour);
}

static void an_error_without_end_is_kept_up_to_max_error_bytes(void)
{
    static const char *const paths[] = {"/error-chunked", "/error-unmeasured", "/error-huge"};
    atomic_int hung_up = 0;
    struct peer *peer = start_peer(babble, &hung_up);
    struct peer *neighbour = start_peer(say_hello, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.max_error_bytes = 1000;
    weir_http *session = open_session(&options);
    for (int i = 0; i < 3; i++) {
        struct outcome o = get(session, peer_url(peer, paths[i], url));
        check_outcome(o, WEIR_OK);
        check_int(o.http, 404);
        check_int(o.size, 1000);
        check(o.is_truncated);
        check_neighbour(session, neighbour);
        check_text(get(session, peer_url(peer, "/", url)).body, "hello");
    }
    check(peer_wait(peer, PEER_OPEN, 1));
    check_int(atomic_load(&hung_up), 3);
    close_session(session);
    peer_stop(peer);
    peer_stop(neighbour);
}

/* Pitfall 9 */
static void a_redirect_without_end_is_cut_at_max_error_bytes_and_followed(void)
{
    static const char *const paths[] = {"/redirect-chunked", "/redirect-unmeasured",
                                        "/redirect-huge"};
    atomic_int hung_up = 0;
    struct peer *peer = start_peer(babble, &hung_up);
    struct peer *neighbour = start_peer(say_hello, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.max_error_bytes = 1000;
    weir_http *session = open_session(&options);
    for (int i = 0; i < 3; i++) {
        struct outcome o = get(session, peer_url(peer, paths[i], url));
        check_outcome(o, WEIR_OK);
        check_int(o.http, 200);
        check_text(o.body, "hello");
        check_int(o.report.attempts, 2);
        check_int(o.report.redirects, 1);
        check_neighbour(session, neighbour);
    }
    check(peer_wait(peer, PEER_OPEN, 1));
    check_int(atomic_load(&hung_up), 3);
    close_session(session);
    peer_stop(peer);
    peer_stop(neighbour);
}

static weir_status count_bytes(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)data, (void)reterr;
    *(size_t *)arg += size;
    return WEIR_OK;
}

/* Pitfall 10 */
static void a_sink_is_given_no_more_than_the_limit(void)
{
    atomic_int hung_up = 0;
    struct peer *peer = start_peer(babble, &hung_up);
    weir_http *session = open_quick();
    size_t bytes = 0;
    char url[PEER_URL_SIZE];

    weir_http_request *request = new_request("GET", peer_url(peer, "/chunked", url));
    check_int(weir_http_request_sink(request, count_bytes, &bytes), WEIR_OK);
    check_int(weir_http_request_max_body(request, MEBIBYTE), WEIR_OK);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_LIMIT);
    check_int(o.report.attempts, 1);
    check(bytes <= MEBIBYTE);
    check(bytes > MEBIBYTE / 2);
    weir_http_request_close(request);
    close_session(session);
    peer_stop(peer);
}

/* ---- headers without end ----------------------------------------------------------------- */

/* Writes a header as the path says: until the other side has had enough, or exactly so much. */
static bool write_header(struct peer_exchange *x, void *arg)
{
    static char line[MEBIBYTE + 3];
    bool is_there = true;

    (void)arg;
    if (strcmp(x->target, "/") == 0)
        return peer_reply(x, 200, "", "hello", 5);
    peer_print(x, "HTTP/1.1 200 OK\r\n");
    if (strcmp(x->target, "/line") == 0) {
        memset(line, 'a', MEBIBYTE);
        memcpy(line, "X-Long: ", 8);
        memcpy(line + MEBIBYTE, "\r\n", 3);
        is_there = peer_print(x, line);
    }
    while (strcmp(x->target, "/fields") == 0 && is_there)
        is_there = peer_print(x, "X-Field: some value of some length, so that it is soon over\r\n");
    for (int i = 0; i < 1000 && strcmp(x->target, "/cookies") == 0 && is_there; i++)
        is_there = peer_print(x, "Set-Cookie: a=1\r\n");
    if (strcmp(x->target, "/folded") == 0)
        peer_print(x, "X-Folded: begins\r\n");
    while (strcmp(x->target, "/folded") == 0 && is_there)
        is_there = peer_print(x, "  and more of the last\r\n");
    if (strcmp(x->target, "/trailers") == 0) {
        peer_print(x, "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n");
        while (is_there)
            is_there = peer_print(x, "X-Trailer: some value of some length, so that it ends\r\n");
    }
    return is_there && peer_print(x, "Content-Length: 0\r\n\r\n");
}

/* Pitfall 10 */
static void a_header_without_measure_is_cut_at_its_limit(void)
{
    static const char *const paths[] = {"/line", "/fields", "/cookies", "/folded", "/trailers"};
    struct peer *peer = start_peer(write_header, NULL);
    struct peer *neighbour = start_peer(say_hello, NULL);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 5; i++) {
        int before = check_failures_in_test;
        struct outcome o = get(session, peer_url(peer, paths[i], url));
        check_outcome(o, WEIR_LIMIT);
        check_contains(o.error.text, "header");
        check_int(o.report.attempts, 1);
        check_took(o, 0, 0);
        check_neighbour(session, neighbour);
        check_text(get(session, peer_url(peer, "/", url)).body, "hello");
        if (check_failures_in_test != before)
            printf("# %s\n", paths[i]);
    }
    check(peer_wait(peer, PEER_OPEN, 1));
    close_session(session);
    peer_stop(peer);
    peer_stop(neighbour);
}

/* The most memory that this program ever had, in KiB. Not getrusage()'s, which remembers that of the
 * program that started this one. */
static long most_memory(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long kib = 0;

    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (file != NULL)
        fclose(file);
    check(kib > 0);
    return kib;
}

static long memory_before;

/* All of the above together needed less than one bomb would. */
static void nothing_of_this_took_much_memory(void)
{
    long grown = most_memory() - memory_before;

    if (HAS_SANITIZER)
        printf("# with a sanitizer the memory says nothing: %ld KiB more\n", grown);
    else
        check(grown < ZEROS / 1024);
}

int main(void)
{
    make_blob(&bomb, "head -c 10485760 /dev/zero | gzip");
    make_blob(&nested, "head -c 10485760 /dev/zero | gzip | gzip");
    make_blob(&small, "head -c 1000 /dev/zero | gzip");
    run(the_limit_of_a_body_counts_decoded_bytes);
    memory_before = most_memory();
    run(a_body_that_expands_too_far_is_cut_once_and_for_all);
    run(a_bomb_in_an_error_or_a_redirect_stops_nothing);
    run(what_is_not_to_be_decompressed_comes_as_it_is);
    run(a_chain_of_many_encodings_is_refused);
    run(a_compressed_body_that_is_wrong_or_breaks_off_is_no_success);
    run(a_body_without_end_is_cut_at_its_limit_and_the_connection_closed);
    run(an_error_without_end_is_kept_up_to_max_error_bytes);
    run(a_redirect_without_end_is_cut_at_max_error_bytes_and_followed);
    run(a_sink_is_given_no_more_than_the_limit);
    run(a_header_without_measure_is_cut_at_its_limit);
    run(nothing_of_this_took_much_memory);
    run(a_body_that_may_expand_is_cut_by_its_size_alone); /* and then kept whole */
    return check_done();
}
