/* SPDX-License-Identifier: MIT */
/* Content-Lengths as servers should not send them, and as they may (RFC 9112, 6.3). */
#include "http_steps.h"

/* The fields that say how long a body of "hello" is. */
static const char *const wrong[] = {
    "Content-Length: 5\r\nContent-Length: 3",
    "Content-Length: 3\r\nX: y\r\nContent-Length: 5",
    "Content-Length: 5, 5",
    "Content-Length: 5,3",
    "Content-Length: 5;",
    "Content-Length: 5 5",
    "Content-Length: 5x",
    "Content-Length: 5.0",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: - 5",
    "Content-Length: 0x5",
    "Content-Length: 5e0",
    "Content-Length:",
    "Content-Length: five",
    "Content-Length: \"5\"",
    "Content-Length: 9223372036854775808",
    "Content-Length: 18446744073709551621",
    "Content-Length: 5000000000000000000000000000000000000000",
};
static const char *const right[] = {
    "Content-Length: 5",
    "content-length:5",
    "Content-Length:  \t5 \t ",
    "Content-Length: 005",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 05\r\nContent-Length: 5",
};
/* Heads of which two readers may take two different things, and "hello" in chunks, to the end. libcurl (7.88)
 * reads no field over the end of its line, and keeps the first status. */
static const char *const two_ways[] = {
    "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity,\r\n chunked",
    "HTTP/1.1 200 OK\r\nA: b\r\ntransfer-encoding: \t\r\n\tchunked\r\nC: d",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 5",
    "HTTP/1.1 204 No Content\r\nHTTP/1.1 200 OK: yes\r\nContent-Length: 15",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\nHTTP/1.1 200 OK: yes",
    "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nHTTP/1.1 304 Not: modified",
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int number_of(const struct peer_exchange *x)
{
    return (int)strtol(strrchr(x->target, '/') + 1, NULL, 10);
}

/* "/wrong/N" and "/right/N": these fields; "/204/N" and "/304/N": wrong ones where no body may be;
 * "/chunked/N" and "/before/N": wrong ones behind and before a Transfer-Encoding, which do not count;
 * "/identity/N": behind one that says nothing. "/status/N": the first wrong one with that status;
 * "/two/N": that head. */
static bool answer_in_chunks(struct peer_exchange *x, const char *first, const char *second)
{
    return peer_print(x, "HTTP/1.1 200 OK\r\n") && peer_print(x, first) && peer_print(x, "\r\n") &&
           peer_print(x, second) && peer_print(x, "\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
}

static bool answer(struct peer_exchange *x, void *arg)
{
    int number = number_of(x);

    (void)arg;
    if (!peer_read_body(x))
        return false;
    if (strncmp(x->target, "/right/", 7) == 0)
        return peer_print(x, "HTTP/1.1 200 OK\r\n") && peer_print(x, right[number]) &&
               peer_print(x, "\r\n\r\nhello");
    if (strncmp(x->target, "/204/", 5) == 0 || strncmp(x->target, "/304/", 5) == 0)
        return peer_print(x, x->target[1] == '2' ? "HTTP/1.1 204 No Content\r\n"
                                                 : "HTTP/1.1 304 Not Modified\r\n") &&
               peer_print(x, wrong[number]) && peer_print(x, "\r\n\r\n");
    if (strncmp(x->target, "/status/", 8) == 0) {
        char line[64];
        snprintf(line, sizeof line, "HTTP/1.1 %d As it is\r\n", number);
        return peer_print(x, line) && peer_print(x, wrong[0]) && peer_print(x, "\r\n\r\nhello");
    }
    if (strncmp(x->target, "/chunked/", 9) == 0)
        return answer_in_chunks(x, "Transfer-Encoding: chunked", wrong[number]);
    if (strncmp(x->target, "/before/", 8) == 0)
        return answer_in_chunks(x, wrong[number], "Transfer-Encoding: chunked");
    if (strncmp(x->target, "/identity/", 10) == 0)
        return peer_print(x, "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n") &&
               peer_print(x, wrong[number]) && peer_print(x, "\r\n\r\nhello") && false;
    if (strncmp(x->target, "/two/", 5) == 0)
        return peer_print(x, two_ways[number]) &&
               peer_print(x, "\r\n\r\n5\r\nhello\r\n0\r\n\r\n") && false;
    bool is_head = strcmp(x->method, "HEAD") == 0;
    bool is_written = peer_print(x, "HTTP/1.1 200 OK\r\n") && peer_print(x, wrong[number]) &&
                      peer_print(x, is_head ? "\r\n\r\n" : "\r\n\r\nhello");
    return is_head && is_written; /* nobody knows where another ends */
}

static struct peer *peer;

static struct outcome ask(weir_http *session, const char *method, const char *kind, int number)
{
    char path[64];
    char url[PEER_URL_SIZE];

    snprintf(path, sizeof path, "/%s/%d", kind, number);
    return send_to(session, method, peer_url(peer, path, url), -1);
}

static weir_http *open_single(void)
{
    weir_http_options options = quick_options();

    options.retry.total = 0;
    return open_session(&options);
}

static void a_length_that_is_none_is_a_protocol_error(void)
{
    weir_http *session = open_single();

    for (int i = 0; i < (int)COUNT(wrong); i++) {
        int before = check_failures_in_test;
        struct outcome o = ask(session, "GET", "wrong", i);
        check_outcome(o, WEIR_PROTOCOL);
        check_contains(o.error.text, "Content-Length");
        o = ask(session, "POST", "wrong", i);
        check_outcome(o, WEIR_PROTOCOL);
        if (check_failures_in_test != before)
            printf("# %s\n", wrong[i]);
    }
    close_session(session);
}

static void a_length_is_digits_and_may_be_repeated(void)
{
    weir_http *session = open_single();

    for (int i = 0; i < (int)COUNT(right); i++) {
        struct outcome o = ask(session, "GET", "right", i);
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
        check(!o.is_truncated);
    }
    close_session(session);
}

static void check_whole(const struct outcome *o, int http, const char *body)
{
    check_outcome(*o, WEIR_OK);
    check_int(o->http, http);
    check_text(o->body, body);
    check(!o->is_truncated);
}

static void it_is_not_asked_for_where_it_says_nothing(void)
{
    weir_http *session = open_single();

    for (int i = 0; i < (int)COUNT(wrong); i++) {
        int before = check_failures_in_test;
        struct outcome o = ask(session, "HEAD", "wrong", i);
        check_whole(&o, 200, "");
        o = ask(session, "GET", "204", i);
        check_whole(&o, 204, "");
        o = ask(session, "GET", "304", i);
        check_whole(&o, 304, "");
        o = ask(session, "GET", "chunked", i);
        check_whole(&o, 200, "hello");
        o = ask(session, "POST", "chunked", i);
        check_whole(&o, 200, "hello");
        check_int(o.report.opened, 0); /* nothing of it is left in the connection */
        if (check_failures_in_test != before)
            printf("# %s\n", wrong[i]);
    }
    for (int i = 0; i < (int)COUNT(right); i++) { /* and it is asked for again */
        struct outcome o = ask(session, "GET", "right", i);
        check_whole(&o, 200, "hello");
        o = ask(session, "GET", "chunked", 0);
        check_whole(&o, 200, "hello");
    }
    close_session(session);
}

static const char *first_value(int i)
{
    const char *value = strchr(wrong[i], ':') + 1;

    return value + strspn(value, " ");
}

/* Where chunks are announced behind it, libcurl has read it by then. 7.88 takes a
 * sign for the beginning of a number, 8.14 does not, and 8.22 refuses whatever is none as a whole. */
static void before_chunks_are_announced_it_must_begin_with_a_number(void)
{
    weir_http *session = open_single();
    bool is_strict = ask(session, "GET", "before", 0).status != WEIR_OK;

    for (int i = 0; i < (int)COUNT(wrong); i++) {
        int before = check_failures_in_test;
        struct outcome o = ask(session, "GET", "before", i);
        bool is_refused = *first_value(i) < '0' || *first_value(i) > '9';
        if (is_strict || *first_value(i) == '+')
            is_refused = o.status != WEIR_OK;
        if (is_refused) {
            check_outcome(o, WEIR_PROTOCOL);
            check_contains(o.error.text, "Invalid Content-Length");
        } else {
            check_whole(&o, 200, "hello");
        }
        if (check_failures_in_test != before)
            printf("# %s\n", wrong[i]);
    }
    close_session(session);
}

static void a_transfer_encoding_that_says_nothing_excuses_nothing(void)
{
    weir_http *session = open_single();

    for (int i = 0; i < (int)COUNT(wrong); i++) {
        struct outcome o = ask(session, "GET", "identity", i);
        check_outcome(o, WEIR_PROTOCOL);
        check_contains(o.error.text, "Content-Length");
    }
    close_session(session);
}

/* Whose head cannot be believed has no status either. */
static void a_status_does_not_make_it_right(void)
{
    static const int statuses[] = {302, 404, 429, 503};
    weir_http *session = open_single();

    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct outcome o = ask(session, "GET", "status", statuses[i]);
        check_outcome(o, WEIR_PROTOCOL);
    }
    close_session(session);
}

/* A newer libcurl may put a field together before anybody sees it, and then there is one way only. */
static void a_head_that_can_be_read_in_two_ways_is_read_in_none(void)
{
    weir_http *session = open_single();

    for (int i = 0; i < (int)COUNT(two_ways); i++) {
        int before = check_failures_in_test;
        struct outcome o = ask(session, "GET", "two", i);
        if (o.status == WEIR_OK)
            check_text(o.body, "hello");
        else
            check_outcome(o, WEIR_PROTOCOL);
        if (check_failures_in_test != before)
            printf("# %s: %d \"%s\"\n", two_ways[i], o.http, o.body);
    }
    close_session(session);
}

int main(void)
{
    peer = start_peer(answer, NULL);
    run(a_length_that_is_none_is_a_protocol_error);
    run(a_length_is_digits_and_may_be_repeated);
    run(it_is_not_asked_for_where_it_says_nothing);
    run(before_chunks_are_announced_it_must_begin_with_a_number);
    run(a_transfer_encoding_that_says_nothing_excuses_nothing);
    run(a_status_does_not_make_it_right);
    run(a_head_that_can_be_read_in_two_ways_is_read_in_none);
    peer_stop(peer);
    return check_done();
}
