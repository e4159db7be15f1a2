/* SPDX-License-Identifier: MIT */
/* Bodies of requests that are sent once or again, and what the caller's readers and sinks do to a call. */
#include "http_steps.h"
#include "unit/chance.h"

/* ---- sent again -------------------------------------------------------------------------- */

#define BIG_SIZE 150000

static char big[BIG_SIZE];

/* Answers 503 first, or closes the connection, and keeps what came as a body. */
struct taker {
    bool closes;
    bool redirects;
    int count;
    int64_t sizes[8];
    uint64_t hashes[8];
};

static bool take(struct peer_exchange *x, void *arg)
{
    struct taker *taker = arg;

    if (!peer_read_body(x))
        return false;
    taker->sizes[taker->count] = x->body_size;
    taker->hashes[taker->count] = x->body_hash;
    if (taker->count++ > 0)
        return peer_reply(x, 200, "", "hello", 5);
    if (taker->closes)
        return false;
    return taker->redirects ? peer_reply(x, 307, "Location: /there\r\n", NULL, 0)
                            : peer_reply(x, 503, "", NULL, 0);
}

static weir_status read_big(void *arg, char *buffer, size_t size, size_t *ret_size,
                            weir_error *reterr)
{
    size_t *position = arg;
    size_t left = BIG_SIZE - *position;

    (void)reterr;
    *ret_size = left < size ? left : size;
    memcpy(buffer, big + *position, *ret_size);
    *position += *ret_size;
    return WEIR_OK;
}

static weir_status rewind_big(void *arg, weir_error *reterr)
{
    (void)reterr;
    *(size_t *)arg = 0;
    return WEIR_OK;
}

/* Pitfall 21: in memory, from a reader that knows its size, and from one that does not. */
static void a_body_is_sent_whole_again_with_every_repeat_and_redirect(void)
{
    for (int i = 0; i < 9; i++) {
        struct taker taker = {.closes = i % 3 == 1, .redirects = i % 3 == 2};
        struct peer *peer = start_peer(take, &taker);
        weir_http *session = open_quick();
        size_t position = 0;
        weir_http_reader reader = {read_big, rewind_big, &position, i / 3 == 1 ? BIG_SIZE : -1};
        char url[PEER_URL_SIZE];

        weir_http_request *request = new_request("PUT", peer_url(peer, "/", url));
        if (i / 3 == 0)
            weir_http_request_body(request, big, BIG_SIZE, NULL);
        else
            weir_http_request_reader(request, &reader, NULL);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
        check_int(o.report.attempts, 2);
        weir_http_request_close(request);
        close_session(session);
        peer_stop(peer);
        check_int(taker.count, 2);
        for (int k = 0; k < 2; k++) {
            check_int(taker.sizes[k], BIG_SIZE);
            check(taker.hashes[k] == peer_hash(PEER_HASH_START, big, BIG_SIZE));
        }
    }
}

/* Pitfall 21 */
static void a_body_that_cannot_be_read_again_is_sent_once_and_the_error_says_so(void)
{
    for (int i = 0; i < 2; i++) {
        struct taker taker = {.closes = i == 1};
        struct peer *peer = start_peer(take, &taker);
        weir_http *session = open_quick();
        size_t position = 0;
        weir_http_reader reader = {read_big, NULL, &position, BIG_SIZE};
        char url[PEER_URL_SIZE];

        weir_http_request *request = new_request("PUT", peer_url(peer, "/", url));
        weir_http_request_reader(request, &reader, NULL);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, i == 1 ? WEIR_DISCONNECTED : WEIR_RESPONSE);
        check_int(o.report.attempts, 1);
        check_int(o.report.cause, WEIR_CAUSE_BODY);
        check_contains(o.error.text, weir_retry_cause_text(WEIR_CAUSE_BODY));
        weir_http_request_close(request);
        close_session(session);
        peer_stop(peer);
        check_int(taker.count, 1);
    }
}

/* Pitfall 21: as long as nothing of it was sent, there is nothing to read again. */
static void a_body_that_cannot_be_read_again_outlives_attempts_that_find_no_server(void)
{
    weir_http *session = open_quick();
    size_t position = 0;
    weir_http_reader reader = {read_big, NULL, &position, BIG_SIZE};
    char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", peer_unused_port());
    weir_http_request *request = new_request("PUT", url);
    weir_http_request_reader(request, &reader, NULL);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_CONNECT);
    check_int(o.report.attempts, 4);
    check_int(position, 0);
    weir_http_request_close(request);
    close_session(session);
}

static void a_request_that_is_sent_again_sends_its_body_from_the_beginning(void)
{
    for (int i = 0; i < 6; i++) {
        /* Known size, chunks; after a 503, after a lost connection, after a redirect that was kept. */
        struct taker taker = {.closes = i / 2 == 1, .redirects = i / 2 == 2};
        struct peer *peer = start_peer(take, &taker);
        weir_http *session = open_quick();
        weir_retry_options none = WEIR_RETRY_OPTIONS_DEFAULT;
        size_t position = 0;
        weir_http_reader reader = {read_big, rewind_big, &position, i % 2 == 0 ? BIG_SIZE : -1};
        char url[PEER_URL_SIZE];

        none.total = 0;
        weir_http_request *request = new_request("POST", peer_url(peer, "/", url));
        weir_http_request_reader(request, &reader, NULL);
        weir_http_request_retry(request, &none);
        weir_http_request_follow_redirects(request, false);
        send_request(session, request, -1);
        for (int k = 1; k <= 2; k++) {
            struct outcome o = send_request(session, request, -1);
            check_outcome(o, WEIR_OK);
            check_int(o.http, 200);
        }
        weir_http_request_close(request);
        close_session(session);
        peer_stop(peer);
        check_int(taker.count, 3);
        for (int k = 0; k <= 2; k++) {
            check_int(taker.sizes[k], BIG_SIZE);
            check(taker.hashes[k] == peer_hash(PEER_HASH_START, big, BIG_SIZE));
        }
    }
}

static void check_refused_until_it_is_given_another_reader(weir_http *session, struct peer *peer,
                                                           weir_http_request *request)
{
    size_t position = 0;
    weir_http_reader reader = {read_big, NULL, &position, BIG_SIZE};
    int before = peer_requests(peer);

    for (int k = 0; k < 2; k++) {
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_INVALID);
        check_contains(o.error.text, "has no rewind");
        check_int(o.report.attempts, 0);
        check_int(o.report.cause, WEIR_CAUSE_BODY);
        check(!o.report.was_sent);
    }
    check_int(peer_requests(peer), before);
    weir_http_request_reader(request, &reader, NULL);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_OK);
}

static void a_reader_without_rewind_is_refused_a_second_call_before_anything_is_sent(void)
{
    for (int i = 0; i < 3; i++) {
        struct taker taker = {.count = i == 0, .closes = i == 1};
        struct peer *peer = start_peer(take, &taker);
        weir_http *session = open_quick();
        weir_http *other = open_quick();
        size_t position = 0;
        weir_http_reader reader = {read_big, NULL, &position, i == 2 ? -1 : BIG_SIZE};
        char url[PEER_URL_SIZE];

        weir_http_request *request = new_request("POST", peer_url(peer, "/", url));
        weir_http_request_reader(request, &reader, NULL);
        send_request(session, request, -1);
        /* Over another session it is the same reader. */
        check_refused_until_it_is_given_another_reader(i == 2 ? other : session, peer, request);
        weir_http_request_close(request);
        close_session(session);
        close_session(other);
        peer_stop(peer);
        check_int(taker.sizes[taker.count - 1], BIG_SIZE);
    }
}

static void a_reader_that_was_not_read_yet_needs_no_rewind_for_a_second_call(void)
{
    struct taker taker = {.count = 1};
    struct peer *peer = start_peer(take, &taker);
    weir_http *session = open_quick();
    size_t position = 0;
    weir_http_reader reader = {read_big, NULL, &position, BIG_SIZE};
    char url[PEER_URL_SIZE];

    weir_http_request *request = new_request("PUT", peer_url(peer, "/", url));
    weir_http_request_reader(request, &reader, NULL);
    weir_http_request_cancel(request);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_CANCELLED);
    o = send_request(session, request, -1);
    check_outcome(o, WEIR_OK);
    weir_http_request_close(request);
    close_session(session);
    peer_stop(peer);
    check_int(taker.sizes[1], BIG_SIZE);
}

/* More than the size that was announced would be a request of its own to the server. */
static weir_status read_too_much(void *arg, char *buffer, size_t size, size_t *ret_size,
                                 weir_error *reterr)
{
    static const char text[] = "helloGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    size_t *position = arg;
    size_t step = *position < 3 ? 3 : sizeof text - 1 - *position;

    (void)size, (void)reterr;
    memcpy(buffer, text + *position, step);
    *position += step;
    *ret_size = step;
    return WEIR_OK;
}

static void a_reader_that_gives_more_than_its_size_smuggles_nothing(void)
{
    struct taker taker = {0};
    struct peer *peer = start_peer(take, &taker);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    for (size_t begin = 0; begin <= 3; begin += 3) {
        size_t position = begin;
        weir_http_reader reader = {read_too_much, NULL, &position, 5};
        weir_http_request *request = new_request("POST", peer_url(peer, "/", url));

        weir_http_request_reader(request, &reader, NULL);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_INVALID);
        check_contains(o.error.text, "the reader of the body returned");
        weir_http_request_close(request);
    }
    close_session(session);
    peer_stop(peer);
    check_int(taker.count, 0);
}

/* What the caller's own functions fail with, and how they say so. */
struct refusal {
    enum { SINK, READER, REWIND, FAILING } failing;
    enum { SAYS_NOTHING, SAYS_STATUS, SAYS_ALL, SAYING } says;
};

static weir_status refuse(const struct refusal *refusal, weir_error *reterr)
{
    if (refusal->says == SAYS_STATUS)
        reterr->status = WEIR_FULL;
    if (refusal->says == SAYS_ALL)
        return weir_error_set(reterr, WEIR_FULL, "the disk is full");
    return WEIR_FULL;
}

static weir_status refuse_piece(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)data, (void)size;
    return refuse(arg, reterr);
}

static weir_status read_or_refuse(void *arg, char *buffer, size_t size, size_t *ret_size,
                                  weir_error *reterr)
{
    const struct refusal *refusal = arg;

    if (refusal->failing == READER)
        return refuse(refusal, reterr);
    *ret_size = 1;
    if (size > 0)
        buffer[0] = 'x';
    return WEIR_OK;
}

static weir_status refuse_rewind(void *arg, weir_error *reterr)
{
    return refuse(arg, reterr);
}

static void what_the_callers_functions_fail_with_ends_the_call(void)
{
    static const char *const said[] = {
        "the sink refused the body: ", "the reader of the body failed: ",
        "the reader of the body cannot rewind: "};
    for (int i = 0; i < FAILING * SAYING; i++) {
        struct taker taker = {.count = i / SAYING == REWIND ? 0 : 1};
        struct peer *peer = start_peer(take, &taker);
        weir_http *session = open_quick();
        char url[PEER_URL_SIZE];
        struct refusal refusal = {i / SAYING, i % SAYING};
        weir_http_reader reader = {read_or_refuse, refuse_rewind, &refusal, 1};
        int before = check_failures_in_test;

        weir_http_request *request = new_request("PUT", peer_url(peer, "/", url));
        weir_http_request_reader(request, &reader, NULL);
        if (refusal.failing == SINK)
            weir_http_request_sink(request, refuse_piece, &refusal);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_FULL);
        check_int(o.report.attempts, refusal.failing == REWIND ? 2 : 1);
        if (refusal.says == SAYS_ALL)
            check_contains(o.error.text, "the disk is full");
        else
            check_contains(o.error.text, said[refusal.failing]);
        weir_http_request_close(request);
        if (check_failures_in_test != before)
            printf("# %s: \"%s\"\n", said[refusal.failing], o.error.text);
        close_session(session);
        peer_stop(peer);
    }
}

/* What a sink was given, one piece after the other. */
struct sunk {
    size_t size;
    char text[64];
};

static weir_status keep_piece(void *arg, const char *data, size_t size, weir_error *reterr)
{
    struct sunk *sunk = arg;

    (void)reterr;
    check(sunk->size + size < sizeof(sunk->text));
    if (sunk->size + size < sizeof(sunk->text))
        memcpy(sunk->text + sunk->size, data, size);
    sunk->size += size;
    return WEIR_OK;
}

static weir_status count_pieces(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)data, (void)size, (void)reterr;
    (*(int *)arg)++;
    return WEIR_OK;
}

/* Half a body and the end; by path with a status that a policy may want to repeat, or an error, which
 * is over after the first one with "/503". */
static bool break_off(struct peer_exchange *x, void *arg)
{
    (void)arg;
    if (!peer_read_body(x))
        return false;
    if (strcmp(x->target, "/202") == 0)
        return peer_reply(x, 202, "", "accepted", 8);
    if (strcmp(x->target, "/404") == 0)
        return peer_reply(x, 404, "", "no such thing", 13);
    if (strcmp(x->target, "/503") == 0)
        return x->number == 1 ? peer_reply(x, 503, "", "busy", 4)
                              : peer_reply(x, 200, "", "hello", 5);
    peer_print(x, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    return false;
}

static void a_post_that_breaks_off_in_a_sink_is_ambiguous(void)
{
    static const char *const methods[] = {"POST", "PUT"};
    struct peer *peer = start_peer(break_off, NULL);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 2; i++) {
        int pieces = 0;
        weir_http_request *request = new_request(methods[i], peer_url(peer, "/", url));

        weir_http_request_sink(request, count_pieces, &pieces);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, i == 0 ? WEIR_AMBIGUOUS : WEIR_DISCONNECTED);
        check_int(pieces, 1);
        weir_http_request_close(request);
    }
    check_int(peer_requests(peer), 2);
    close_session(session);
    peer_stop(peer);
}

/* Where all else would be repeated: GET, and three repeats left. Over a used connection too. */
static void a_get_that_breaks_off_in_a_sink_is_not_repeated_and_the_error_says_so(void)
{
    for (int i = 0; i < 2; i++) {
        struct peer *peer = start_peer(break_off, NULL);
        weir_http *session = open_quick();
        struct sunk sunk = {0};
        char url[PEER_URL_SIZE];

        if (i == 1)
            check_int(get(session, peer_url(peer, "/202", url)).http, 202);
        weir_http_request *request = new_request("GET", peer_url(peer, "/", url));
        weir_http_request_sink(request, keep_piece, &sunk);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_DISCONNECTED);
        check_int(o.report.attempts, 1);
        check_int(o.report.resends, 0);
        check_int(o.report.cause, WEIR_CAUSE_BODY);
        check_contains(o.error.text, "the sink already had part");
        check_text(sunk.text, "hello");
        check_int(peer_requests(peer), i + 1);
        weir_http_request_close(request);
        close_session(session);
        peer_stop(peer);
    }
}

/* And does not keep its call from being repeated. */
static void the_body_of_an_error_is_in_the_response_and_no_sink_sees_it(void)
{
    struct peer *peer = start_peer(break_off, NULL);
    weir_http *session = open_quick();
    struct sunk sunk = {0};
    char url[PEER_URL_SIZE];

    weir_http_request *request = new_request("GET", peer_url(peer, "/404", url));
    weir_http_request_sink(request, keep_piece, &sunk);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_OK);
    check_int(o.http, 404);
    check_text(o.body, "no such thing");
    check_int(sunk.size, 0);
    weir_http_request_close(request);

    weir_http_evict_all(session); /* so that the 503 is the first answer of a connection */
    request = new_request("GET", peer_url(peer, "/503", url));
    weir_http_request_sink(request, keep_piece, &sunk);
    o = send_request(session, request, -1);
    check_outcome(o, WEIR_OK);
    check_int(o.http, 200);
    check_int(o.report.attempts, 2);
    check_int(o.size, 0);
    check_text(sunk.text, "hello");
    weir_http_request_close(request);
    close_session(session);
    peer_stop(peer);
}

static void a_sink_that_has_a_body_is_given_no_other_whatever_its_status(void)
{
    struct peer *peer = start_peer(break_off, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];
    int pieces = 0;

    options.retry.status_forcelist[0] = 202;
    options.retry.status_forcelist[1] = 0;
    weir_http *session = open_session(&options);
    weir_http_request *request = new_request("GET", peer_url(peer, "/202", url));
    weir_http_request_sink(request, count_pieces, &pieces);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_OK);
    check_int(o.http, 202);
    check_int(pieces, 1);
    check_int(peer_requests(peer), 1);
    weir_http_request_close(request);
    close_session(session);
    peer_stop(peer);
}

int main(void)
{
    uint64_t random = 1;

    for (int i = 0; i < BIG_SIZE; i++)
        big[i] = (char)draw(&random);
    run(a_body_is_sent_whole_again_with_every_repeat_and_redirect);
    run(a_body_that_cannot_be_read_again_is_sent_once_and_the_error_says_so);
    run(a_body_that_cannot_be_read_again_outlives_attempts_that_find_no_server);
    run(a_request_that_is_sent_again_sends_its_body_from_the_beginning);
    run(a_reader_without_rewind_is_refused_a_second_call_before_anything_is_sent);
    run(a_reader_that_was_not_read_yet_needs_no_rewind_for_a_second_call);
    run(a_reader_that_gives_more_than_its_size_smuggles_nothing);
    run(what_the_callers_functions_fail_with_ends_the_call);
    run(a_post_that_breaks_off_in_a_sink_is_ambiguous);
    run(a_get_that_breaks_off_in_a_sink_is_not_repeated_and_the_error_says_so);
    run(the_body_of_an_error_is_in_the_response_and_no_sink_sees_it);
    run(a_sink_that_has_a_body_is_given_no_other_whatever_its_status);
    return check_done();
}
