/* SPDX-License-Identifier: MIT */
/* Servers that break, stall, babble and lie: each ends in the right error, in time, and no slot is lost. */
#include "http_deaf.h"
#include "http_steps.h"

#include <signal.h>
#include <stdatomic.h>

#define TRY_MS 60

/* ---- what a broken server does ----------------------------------------------------------- */

static bool finish(struct peer_exchange *x)
{
    (void)x;
    return false;
}

static bool reset(struct peer_exchange *x)
{
    x->end = PEER_RST;
    return false;
}

static bool half_close(struct peer_exchange *x)
{
    peer_half_close(x);
    return peer_hang(x);
}

/* One byte every few milliseconds, for ever. */
static bool drip(struct peer_exchange *x)
{
    while (peer_pause(x, 10) && peer_print(x, "a"))
        continue;
    return false;
}

static bool drip_lines(struct peer_exchange *x)
{
    while (peer_pause(x, 10) && peer_print(x, "X-Line: 1\r\n"))
        continue;
    return false;
}

static bool early_hints_for_ever(struct peer_exchange *x)
{
    while (peer_print(x, "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"))
        continue;
    return false;
}

struct fault {
    const char *path;
    const char *text;                     /* written first */
    bool (*then)(struct peer_exchange *); /* what follows */
    weir_status expected;
    int attempts; /* with one repeat allowed */
};

#define SWITCHING                                                                                  \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

static const struct fault faults[] = {
    /* lost */
    {"/fin", "", finish, WEIR_DISCONNECTED, 2},
    {"/rst", "", reset, WEIR_DISCONNECTED, 2},
    {"/half-closed", "", half_close, WEIR_DISCONNECTED, 2},
    {"/fin-in-the-status", "HTTP/1.1 20", finish, WEIR_DISCONNECTED, 2},
    {"/fin-after-the-status", OK, finish, WEIR_DISCONNECTED, 2},
    {"/fin-in-the-head", OK "Content-Le", finish, WEIR_DISCONNECTED, 2},
    {"/rst-in-the-head", OK "Content-Le", reset, WEIR_DISCONNECTED, 2},
    {"/fin-after-a-1xx", "HTTP/1.1 100 Continue\r\n\r\n", finish, WEIR_DISCONNECTED, 2},
    {"/short-body", OK "Content-Length: 100\r\n\r\nnot yet 100", finish, WEIR_DISCONNECTED, 2},
    {"/short-body-rst", OK "Content-Length: 100\r\n\r\nnot yet 100", reset, WEIR_DISCONNECTED, 2},
    {"/short-body-half-closed", OK "Content-Length: 100\r\n\r\nnot yet", half_close,
     WEIR_DISCONNECTED, 2},
    {"/short-chunk", OK "Transfer-Encoding: chunked\r\n\r\n64\r\nnot yet", finish,
     WEIR_DISCONNECTED, 2},
    {"/no-last-chunk", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n", finish,
     WEIR_DISCONNECTED, 2},
    {"/rst-without-length", OK "\r\nand so o", reset, WEIR_DISCONNECTED, 2},
    /* silent and slow: pitfall 13 */
    {"/silent", "", peer_hang, WEIR_TIMEOUT, 2},
    {"/silent-in-the-head", OK "Content-Le", peer_hang, WEIR_TIMEOUT, 2},
    {"/silent-after-a-1xx", "HTTP/1.1 100 Continue\r\n\r\n", peer_hang, WEIR_TIMEOUT, 2},
    {"/silent-in-the-body", OK "Content-Length: 100\r\n\r\nnot yet", peer_hang, WEIR_TIMEOUT, 2},
    {"/silent-in-a-chunk", OK "Transfer-Encoding: chunked\r\n\r\n64\r\nn", peer_hang, WEIR_TIMEOUT,
     2},
    {"/silent-without-length", OK "\r\nand so o", peer_hang, WEIR_TIMEOUT, 2},
    {"/drip-status", "HTTP/1.1 200 ", drip, WEIR_TIMEOUT, 2},
    {"/drip-head", OK, drip_lines, WEIR_TIMEOUT, 2},
    {"/drip-body", OK "Content-Length: 1000000\r\n\r\n", drip, WEIR_TIMEOUT, 2},
    {"/drip-without-length", OK "\r\n", drip, WEIR_TIMEOUT, 2},
    /* not HTTP */
    {"/http-0.9", "<html>hello</html>", finish, WEIR_PROTOCOL, 1},
    {"/ssh", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", peer_hang, WEIR_PROTOCOL, 1},
    {"/smtp", "220 mail.test ESMTP\r\n", peer_hang, WEIR_PROTOCOL, 1},
    {"/tls", "\x16\x03\x01\x02\x2a\x01\x03\x03", peer_hang, WEIR_PROTOCOL, 1},
    {"/no-status", "HTTP/1.1 none OK\r\nContent-Length: 0\r\n\r\n", finish, WEIR_PROTOCOL, 1},
    {"/http-7", "HTTP/7.3 200 OK\r\nContent-Length: 0\r\n\r\n", finish, WEIR_PROTOCOL, 1},
    {"/bad-length", OK "Content-Length: five\r\n\r\nhello", finish, WEIR_PROTOCOL, 1},
    {"/negative-length", OK "Content-Length: -5\r\n\r\nhello", finish, WEIR_PROTOCOL, 1},
    /* libcurl does not tell these from a lost connection */
    {"/bad-chunk", OK "Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello", finish, WEIR_DISCONNECTED,
     2},
    {"/bad-chunk-end", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", finish,
     WEIR_DISCONNECTED, 2},
    {"/control-in-a-field",
     OK "X-Field: a\x01"
        "b\r\nContent-Length: 0\r\n\r\n",
     finish, WEIR_PROTOCOL, 1},
    {"/101-and-fin", SWITCHING, finish, WEIR_DISCONNECTED, 2},
    {"/101-and-silent", SWITCHING, peer_hang, WEIR_TIMEOUT, 2},
    /* endless */
    {"/1xx-for-ever", "", early_hints_for_ever, WEIR_LIMIT, 1},
};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

static bool break_down(struct peer_exchange *x, void *arg)
{
    (void)arg;
    if (!peer_read_body(x))
        return false;
    for (int i = 0; i < FAULTS; i++) {
        if (strcmp(x->target, faults[i].path) != 0)
            continue;
        peer_print(x, faults[i].text);
        return faults[i].then(x);
    }
    return peer_reply(x, 200, "", "hello", 5);
}

/* What a request that is not safe to repeat ends with, where another ends with `status`. */
static weir_status as_post(weir_status status)
{
    return status == WEIR_DISCONNECTED || status == WEIR_TIMEOUT ? WEIR_AMBIGUOUS : status;
}

/* Only those which would never end have little time, so that a busy machine spoils no other. */
static struct outcome send_fault(weir_http *session, const struct fault *fault, const char *method,
                                 const char *url)
{
    weir_http_request *request = new_request(method, url);

    if (method[0] == 'P')
        weir_http_request_body(request, "payload", 7, NULL);
    if (fault->expected == WEIR_TIMEOUT)
        weir_http_request_try_timeout(request, TRY_MS);
    struct outcome o = send_request(session, request, -1);
    weir_http_request_close(request);
    return o;
}

/* Send GET and POST to each fault, and after each something to the same and to another origin. */
static void every_fault_ends_in_its_error_in_time_and_no_slot_is_lost(void)
{
    struct peer *broken = start_peer(break_down, NULL);
    struct peer *healthy = start_peer(say_hello, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.retry.total = 1;
    options.pool_maxsize = 1;
    options.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    weir_http *session = open_session(&options);
    for (int i = 0; i < 2 * FAULTS; i++) {
        const struct fault *fault = &faults[i / 2];
        bool is_post = i % 2 == 1;
        int before = check_failures_in_test;

        peer_url(broken, fault->path, url);
        weir_http_evict_all(session); /* so that none is repeated for having been used before */
        struct outcome o = send_fault(session, fault, is_post ? "POST" : "GET", url);
        check_outcome(o, is_post ? as_post(fault->expected) : fault->expected);
        check_int(o.report.attempts, is_post ? 1 : fault->attempts);
        check(o.report.was_sent);
        check_took(o, 0, 2 * TRY_MS);
        check(strstr(o.error.text, "127.0.0.1") != NULL);
        check_at_rest(session);
        o = get(session, peer_url(broken, "/", url));
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
        check_int(o.report.attempts, 1);
        o = get(session, peer_url(healthy, "/", url));
        check_outcome(o, WEIR_OK);
        if (check_failures_in_test != before)
            printf("# %s %s\n", is_post ? "POST" : "GET", fault->path);
    }
    check(peer_wait(broken, PEER_OPEN, 1));
    close_session(session);
    peer_stop(broken);
    peer_stop(healthy);
}

/* Pitfall 13 */
static void the_deadline_of_all_holds_over_every_attempt(void)
{
    static const char *const paths[] = {"/silent", "/drip-body", "/drip-head", "/fin"};
    struct peer *peer = start_peer(break_down, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.try_timeout_ms = 60;
    options.retry.total = 1000000;
    options.retry.backoff_factor_ms = 10;
    options.retry.backoff_max_ms = 10;
    options.retry.jitter = WEIR_JITTER_NONE;
    weir_http *session = open_session(&options);
    for (int i = 0; i < 4; i++) {
        struct outcome o = send_to(session, "GET", peer_url(peer, paths[i], url), 200);
        check(o.status == WEIR_TIMEOUT || (i == 3 && o.status == WEIR_DISCONNECTED));
        check_took(o, 200 - 15, 200);
        check(o.report.attempts >= 2);
    }
    close_session(session);
    peer_stop(peer);
}

/* ---- finding nobody ---------------------------------------------------------------------- */

static void a_refused_connection_is_an_error_at_once(void)
{
    weir_http_options options = quick_options();
    char url[64];

    options.retry.total = 1;
    weir_http *session = open_session(&options);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", peer_unused_port());
    struct outcome o = get(session, url);
    check_outcome(o, WEIR_CONNECT);
    check_int(o.error.native, 7); /* CURLE_COULDNT_CONNECT */
    check_int(o.report.attempts, 2);
    check_took(o, 0, 0);
    check_contains(o.error.text, "127.0.0.1");
    check_int(origin_of(session, url).failed_connect, 2);
    close_session(session);
}

static void a_server_that_does_not_accept_costs_connect_timeout(void)
{
    weir_http_options options = quick_options();
    struct deaf deaf;

    options.retry.total = 1;
    options.connect_timeout_ms = TRY_MS;
    deaf_open(&deaf);
    weir_http *session = open_session(&options);
    struct outcome o = send_to(session, "POST", deaf.url, -1);
    check_outcome(o, WEIR_CONNECT);
    check_int(o.report.attempts, 2);
    check(!o.report.was_sent);
    check_took(o, 2 * TRY_MS, 2 * TRY_MS);
    close_session(session);
    deaf_close(&deaf);
}

/* However near the deadline is, if it is not the one that comes first. */
static void a_connect_timeout_before_the_deadline_is_no_deadline(void)
{
    weir_http_options options = quick_options();
    struct deaf deaf;

    options.retry.total = 0;
    options.connect_timeout_ms = TRY_MS;
    deaf_open(&deaf);
    weir_http *session = open_session(&options);
    struct outcome o = send_to(session, "GET", deaf.url, 20 * TRY_MS);
    check_outcome(o, WEIR_CONNECT);
    check(strstr(o.error.text, "deadline") == NULL);
    o = send_to(session, "GET", deaf.url, TRY_MS / 2);
    check_outcome(o, WEIR_TIMEOUT);
    check_contains(o.error.text, "the deadline passed");
    close_session(session);
    deaf_close(&deaf);
}

/* Neither while somebody connects to one and another waits in its line, nor after refusals. */
static void a_server_that_cannot_be_reached_is_no_matter_to_other_origins(void)
{
    struct peer *healthy = start_peer(say_hello, NULL);
    weir_http_options options = quick_options();
    struct call calls[2];
    struct deaf deaf;
    char url[PEER_URL_SIZE];
    char refused_url[64];

    options.pool_maxsize = 1;
    options.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    options.connect_timeout_ms = 20000;
    options.try_timeout_ms = 20000;
    deaf_open(&deaf);
    snprintf(refused_url, sizeof(refused_url), "http://127.0.0.1:%d/", peer_unused_port());
    weir_http *session = open_session(&options);
    for (int i = 0; i < 2; i++)
        call_start(&calls[i], session, "GET", deaf.url, -1);
    wait_for_waiters(session, deaf.url, 1);
    for (int i = 0; i < 20; i++) {
        struct outcome o = get(session, refused_url);
        check_outcome(o, WEIR_CONNECT);
        o = get(session, peer_url(healthy, "/", url));
        check_outcome(o, WEIR_OK);
        check_int(o.report.attempts, 1);
        check_took(o, 0, 0);
    }
    check_int(peer_connections(healthy), 1);
    check_int(origin_of(session, deaf.url).in_flight, 2);
    for (int i = 0; i < 2; i++)
        weir_http_request_cancel(calls[i].request);
    for (int i = 0; i < 2; i++)
        check_int(call_join(&calls[i]).status, WEIR_CANCELLED);
    close_session(session);
    deaf_close(&deaf);
    peer_stop(healthy);
}

static bool turn_away(struct peer_exchange *x, void *arg)
{
    x->end = *(const enum peer_end *)arg;
    return false;
}

static void a_server_that_closes_what_it_accepts_is_lost_each_time(void)
{
    static const enum peer_end ends[] = {PEER_FIN, PEER_RST};

    for (int i = 0; i < 2; i++) {
        enum peer_end end = ends[i];
        struct peer *peer = peer_start(
            &(struct peer_options){.handler = say_hello, .greeter = turn_away, .arg = &end});
        weir_http_options options = quick_options();
        char url[PEER_URL_SIZE];

        options.retry.total = 2;
        weir_http *session = open_session(&options);
        struct outcome o = get(session, peer_url(peer, "/", url));
        /* A reset may be faster than libcurl's look at the connection that it opened. */
        check(o.status == WEIR_DISCONNECTED || (end == PEER_RST && o.status == WEIR_CONNECT));
        check_int(o.report.attempts, 3);
        check_int(peer_connections(peer), 3);
        close_session(session);
        peer_stop(peer);
    }
}

/* ---- answers that are unusual and right --------------------------------------------------- */

/* Answers "/answer" with its argument, as it stands, and everything else with "second". */
static bool answer_raw(struct peer_exchange *x, void *arg)
{
    if (!peer_read_body(x))
        return false;
    if (strcmp(x->target, "/answer") != 0)
        return peer_reply(x, 200, "", "second", 6);
    return peer_print(x, arg);
}

#define POISON "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

static const struct answer {
    const char *method;
    const char *text;
    int status;
    const char *body;
    int connections; /* for it and the next request; 0: libcurl does not tell */
} answers[] = {
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 1},
    {"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, "", 1},
    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", 304, "", 1},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 200, "", 1},
    {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", 1},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", 1},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "", 1},
    {"GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n",
     200, "hello!", 1},
    {"GET",
     "HTTP/1.1 103 Early Hints\r\nX-Hint: early\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
     "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 4\r\n\r\nmade",
     201, "made", 1},
    {"POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok",
     1},
    {"GET", "HTTP/1.1 299 \xff\xfe odd\r\nContent-Length: 2\r\n\r\nok", 299, "ok", 1},
    {"GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", 1},
    /* Pitfall 24: what comes beyond the response is nobody's answer. */
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" POISON, 200, "hello", 2},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", 200, "hello", 2},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n" POISON, 204, "", 0},
    {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n" POISON, 304, "", 0},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" POISON, 200, "", 0},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" POISON, 200,
     "a", 0},
};

static void every_answer_is_read_to_its_end_and_no_further(void)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct answer *answer = &answers[i];
        int before = check_failures_in_test;
        struct peer *peer = start_peer(answer_raw, (void *)(uintptr_t)answer->text);
        weir_http *session = open_quick();
        char url[PEER_URL_SIZE];

        struct outcome o = send_to(session, answer->method, peer_url(peer, "/answer", url), -1);
        check_outcome(o, WEIR_OK);
        check_int(o.http, answer->status);
        check_text(o.body, answer->body);
        check_int(o.size, strlen(answer->body));
        check_int(o.report.attempts, 1);
        o = get(session, peer_url(peer, "/next", url));
        check_outcome(o, WEIR_OK);
        check_text(o.body, "second");
        check_int(o.report.attempts, 1);
        if (answer->connections > 0)
            check_int(peer_connections(peer), answer->connections);
        if (check_failures_in_test != before)
            printf("# answer %zu: %s\n", i, answer->text);
        close_session(session);
        peer_stop(peer);
    }
}

static void the_header_of_a_1xx_is_no_part_of_the_response(void)
{
    static char text[] = "HTTP/1.1 103 Early Hints\r\nX-Hint: early\r\n\r\n"
                         "HTTP/1.1 200 OK\r\nX-Late: late\r\n"
                         "Content-Length: 0\r\n\r\n";
    struct peer *peer = start_peer(answer_raw, text);
    weir_http *session = open_quick();
    weir_http_response *response = NULL;
    char url[PEER_URL_SIZE];

    check_int(weir_http_get(session, peer_url(peer, "/answer", url), &response, &error), WEIR_OK);
    if (response != NULL) {
        check(weir_http_response_header(response, "X-Hint") == NULL);
        check_text(weir_http_response_header(response, "x-late"), "late");
    }
    weir_http_response_close(response);
    close_session(session);
    peer_stop(peer);
}

static bool answer_twice(struct peer_exchange *x, void *arg)
{
    if (x->connection > 1)
        return peer_reply(x, 200, "", "second", 6);
    if (!peer_reply(x, 200, "", "hello", 5) || !peer_hold(x) || !peer_print(x, POISON))
        return false;
    atomic_store((atomic_bool *)arg, true);
    return peer_hang(x);
}

/* Pitfall 24 */
static void what_a_resting_connection_says_is_nobodys_answer(void)
{
    atomic_bool has_spoken = false;
    struct peer *peer = start_peer(answer_twice, &has_spoken);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    check_text(get(session, peer_url(peer, "/", url)).body, "hello");
    check(peer_wait(peer, PEER_HELD, 1));
    peer_let_go(peer);
    while (!atomic_load(&has_spoken))
        nap(1);
    struct outcome o = get(session, url);
    check_outcome(o, WEIR_OK);
    check_text(o.body, "second");
    check_int(o.report.attempts, 1);
    close_session(session);
    peer_stop(peer);
}

/* ---- uploads that go wrong --------------------------------------------------------------- */

#define LARGE (4 * 1024 * 1024)

/* Reads some of the body, then resets the connection, stops reading, or answers without the rest. */
static bool refuse_upload(struct peer_exchange *x, void *arg)
{
    (void)arg;
    peer_skip_body(x, 65536);
    if (strcmp(x->target, "/stall") == 0)
        return peer_hang(x);
    if (strcmp(x->target, "/413") == 0) {
        peer_reply(x, 413, "Connection: close\r\n", "too large", 9);
        peer_half_close(x);
        return peer_skip_body(x, LARGE) < 0;
    }
    x->end = PEER_RST;
    return false;
}

static struct outcome upload(weir_http *session, const char *method, const char *url)
{
    char *body = calloc(1, LARGE);
    weir_http_request *request = new_request(method, url);

    check_int(weir_http_request_body(request, body, LARGE, NULL), WEIR_OK);
    free(body);
    struct outcome o = send_request(session, request, -1);
    weir_http_request_close(request);
    return o;
}

/* Pitfall 15: with SIGPIPE as it is by default, which would end this process. */
static void a_reset_under_a_large_upload_raises_no_signal(void)
{
    struct peer *peer = start_peer(refuse_upload, NULL);
    weir_http *session = open_quick();
    struct sigaction action;
    sigset_t signals;
    char url[PEER_URL_SIZE];

    check_int(sigaction(SIGPIPE, NULL, &action), 0);
    check(action.sa_handler == SIG_DFL);
    for (int i = 0; i < 20; i++) {
        struct outcome o = upload(session, i % 2 == 0 ? "POST" : "PUT", peer_url(peer, "/", url));
        check_outcome(o, i % 2 == 0 ? WEIR_AMBIGUOUS : WEIR_DISCONNECTED);
        check_int(o.report.attempts, i % 2 == 0 ? 1 : 4);
    }
    check_int(sigaction(SIGPIPE, NULL, &action), 0);
    check(action.sa_handler == SIG_DFL);
    check_int(pthread_sigmask(SIG_SETMASK, NULL, &signals), 0);
    check_int(sigismember(&signals, SIGPIPE), 0);
    check_int(sigpending(&signals), 0);
    check_int(sigismember(&signals, SIGPIPE), 0);
    close_session(session);
    peer_stop(peer);
}

static weir_status look_at_sigpipe(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)data, (void)size, (void)reterr;
    check_int(sigaction(SIGPIPE, NULL, arg), 0);
    return WEIR_OK;
}

/* Pitfall 15: the handler is the process's, so changing it for a moment would change it for all threads. */
static void libcurl_does_not_touch_the_handler_of_sigpipe(void)
{
    struct peer *peer = start_peer(say_hello, NULL);
    weir_http *session = open_quick();
    struct sigaction meanwhile = {.sa_handler = SIG_IGN};
    char url[PEER_URL_SIZE];

    weir_http_request *request = new_request("GET", peer_url(peer, "/", url));
    weir_http_request_sink(request, look_at_sigpipe, &meanwhile);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_OK);
    check(meanwhile.sa_handler == SIG_DFL);
    weir_http_request_close(request);
    close_session(session);
    peer_stop(peer);
}

static void an_upload_that_nobody_reads_ends_with_its_time(void)
{
    struct peer *peer = start_peer(refuse_upload, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.try_timeout_ms = TRY_MS;
    options.retry.total = 1;
    weir_http *session = open_session(&options);
    struct outcome o = upload(session, "POST", peer_url(peer, "/stall", url));
    check_outcome(o, WEIR_AMBIGUOUS);
    check_took(o, TRY_MS, TRY_MS);
    o = upload(session, "PUT", url);
    check_outcome(o, WEIR_TIMEOUT);
    check_int(o.report.attempts, 2);
    close_session(session);
    peer_stop(peer);
}

static void an_answer_in_the_middle_of_an_upload_is_the_answer(void)
{
    struct peer *peer = start_peer(refuse_upload, NULL);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    struct outcome o = upload(session, "POST", peer_url(peer, "/413", url));
    check_outcome(o, WEIR_OK);
    check_int(o.http, 413);
    check_text(o.body, "too large");
    check_int(o.report.attempts, 1);
    close_session(session);
    peer_stop(peer);
}

int main(void)
{
    sigset_t pipe_signal;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &pipe_signal, NULL);
    signal(SIGPIPE, SIG_DFL);
    run(every_fault_ends_in_its_error_in_time_and_no_slot_is_lost);
    run(the_deadline_of_all_holds_over_every_attempt);
    run(a_refused_connection_is_an_error_at_once);
    run(a_server_that_does_not_accept_costs_connect_timeout);
    run(a_connect_timeout_before_the_deadline_is_no_deadline);
    run(a_server_that_cannot_be_reached_is_no_matter_to_other_origins);
    run(a_server_that_closes_what_it_accepts_is_lost_each_time);
    run(every_answer_is_read_to_its_end_and_no_further);
    run(the_header_of_a_1xx_is_no_part_of_the_response);
    run(what_a_resting_connection_says_is_nobodys_answer);
    run(a_reset_under_a_large_upload_raises_no_signal);
    run(libcurl_does_not_touch_the_handler_of_sigpipe);
    run(an_upload_that_nobody_reads_ends_with_its_time);
    run(an_answer_in_the_middle_of_an_upload_is_the_answer);
    return check_done();
}
