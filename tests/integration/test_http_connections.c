/* SPDX-License-Identifier: MIT */
/* Requests over connections that were used before: nothing is sent twice that must not be, and nothing is
 * left over from the last borrower. */
#include "http_steps.h"
#include "unit/chance.h"

#include <stdatomic.h>

/* ---- lost connections -------------------------------------------------------------------- */

/* Reads whole requests and closes the connection without an answer: all of a method but GET, or GET
 * only where a path says so; the first `drops` of them. */
struct dropper {
    enum peer_end how;
    atomic_int drops;   /* still to come */
    atomic_int arrived; /* those which were dropped, and the others with a body */
};

static bool drop(struct peer_exchange *x, void *arg)
{
    struct dropper *dropper = arg;
    bool is_plain = strcmp(x->method, "GET") == 0 && strcmp(x->target, "/lost") != 0;

    if (!peer_read_body(x))
        return false;
    if (is_plain)
        return peer_reply(x, 200, "", "hello", 5);
    atomic_fetch_add(&dropper->arrived, 1);
    if (atomic_fetch_sub(&dropper->drops, 1) <= 0)
        return peer_reply(x, 201, "", "made", 4);
    x->end = dropper->how;
    return false;
}

static const enum peer_end ends[] = {PEER_FIN, PEER_RST};

/* Pitfall 1: libcurl by itself would send the request again. */
static void a_post_lost_in_flight_arrives_once_and_is_ambiguous(void)
{
    for (int i = 0; i < 4; i++) {
        bool is_reused = i >= 2;
        const char *method = i % 2 == 0 ? "POST" : "PATCH";
        struct dropper dropper = {.how = ends[i % 2], .drops = 1000};
        struct peer *peer = start_peer(drop, &dropper);
        weir_http *session = open_quick();
        char url[PEER_URL_SIZE];

        peer_url(peer, "/", url);
        if (is_reused)
            check_int(get(session, url).http, 200);
        struct outcome o = send_to(session, method, url, -1);
        check_outcome(o, WEIR_AMBIGUOUS);
        check_int(o.report.attempts, 1);
        check_int(o.report.opened, is_reused ? 0 : 1);
        check(o.report.was_sent);
        check_int(o.report.cause, WEIR_CAUSE_UNKNOWN);
        check_contains(o.error.text, method);
        check_int(atomic_load(&dropper.arrived), 1);
        check_int(peer_connections(peer), 1);
        check_int(get(session, url).http, 200);
        close_session(session);
        check_int(atomic_load(&dropper.arrived), 1);
        peer_stop(peer);
    }
}

/* Pitfall 1 */
static void a_post_with_an_idempotency_key_is_repeated_with_the_same_key(void)
{
    for (int i = 0; i < 2; i++) {
        struct dropper dropper = {.how = ends[i], .drops = 1};
        struct peer *peer = start_peer(drop, &dropper);
        weir_http *session = open_quick();
        char url[PEER_URL_SIZE];

        if (i == 1)
            check_int(get(session, peer_url(peer, "/", url)).http, 200);
        weir_http_request *request = new_request("POST", peer_url(peer, "/", url));
        weir_http_request_body(request, "payload", 7, NULL);
        weir_http_request_idempotency_key(request, "key-4711");
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
        check_int(o.http, 201);
        check_int(o.report.attempts, 2);
        check_int(atomic_load(&dropper.arrived), 2);
        check_int(peer_saw_times(peer, "Idempotency-Key: key-4711\r\n"), 2);
        check_int(peer_saw_times(peer, "payload"), 2);
        weir_http_request_close(request);
        close_session(session);
        peer_stop(peer);
    }
}

/* Pitfall 1 */
static void a_get_or_put_lost_in_flight_is_repeated(void)
{
    for (int i = 0; i < 8; i++) {
        bool is_reused = i >= 4;
        bool is_put = i % 2 == 1;
        struct dropper dropper = {.how = ends[i / 2 % 2], .drops = 1};
        struct peer *peer = start_peer(drop, &dropper);
        weir_http *session = open_quick();
        char url[PEER_URL_SIZE];

        if (is_reused)
            check_int(get(session, peer_url(peer, "/", url)).http, 200);
        struct outcome o =
            send_to(session, is_put ? "PUT" : "GET", peer_url(peer, "/lost", url), -1);
        check_outcome(o, WEIR_OK);
        check_int(o.http, 201);
        check_int(o.report.attempts, 2);
        check_int(o.report.resends, is_reused ? 1 : 0);
        check_int(atomic_load(&dropper.arrived), 2);
        check_int(peer_connections(peer), 2);
        close_session(session);
        peer_stop(peer);
    }
}

/* Answers only when two are there, so that two connections rest afterwards; "/lost" never. */
static bool answer_two_or_drop(struct peer_exchange *x, void *arg)
{
    (void)arg;
    if (strcmp(x->target, "/lost") == 0)
        return false;
    return peer_hold(x) && peer_reply(x, 200, "", "hello", 5);
}

/* Of five attempts two find a connection that was used before: the first is repeated at once, the second
 * counts as a repeat like the others. */
static void a_call_is_resent_at_once_on_a_new_connection_only_once(void)
{
    struct peer *peer = start_peer(answer_two_or_drop, NULL);
    weir_http *session = open_quick();
    struct call calls[2];
    char url[PEER_URL_SIZE];

    peer_url(peer, "/", url);
    for (int i = 0; i < 2; i++)
        call_start(&calls[i], session, "GET", url, -1);
    check(peer_wait(peer, PEER_HELD, 2));
    peer_let_go(peer);
    for (int i = 0; i < 2; i++)
        check_int(call_join(&calls[i]).http, 200);
    struct outcome o = send_to(session, "GET", peer_url(peer, "/lost", url), -1);
    check_outcome(o, WEIR_DISCONNECTED);
    check_int(o.report.resends, 1);
    check_int(o.report.attempts, 5);
    check_int(o.report.opened, 3);
    check_int(o.report.cause, WEIR_CAUSE_EXHAUSTED);
    check_int(origin_of(session, url).resends, 1);
    check_int(peer_requests(peer), 7);
    close_session(session);
    peer_stop(peer);
}

static void a_get_that_is_always_lost_ends_when_no_repeat_is_left(void)
{
    struct dropper dropper = {.how = PEER_FIN, .drops = 1000};
    struct peer *peer = start_peer(drop, &dropper);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    struct outcome o = send_to(session, "GET", peer_url(peer, "/lost", url), -1);
    check_outcome(o, WEIR_DISCONNECTED);
    check_int(o.report.attempts, 4);
    check_int(o.report.cause, WEIR_CAUSE_EXHAUSTED);
    check_int(atomic_load(&dropper.arrived), 4);
    close_session(session);
    peer_stop(peer);
}

static bool never_answer(struct peer_exchange *x, void *arg)
{
    (void)arg;
    return peer_read_body(x) && peer_hang(x);
}

/* Pitfall 1: silence tells as little as a loss. */
static void a_post_without_an_answer_in_time_is_ambiguous_and_not_repeated(void)
{
    struct peer *peer = start_peer(never_answer, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.try_timeout_ms = 100;
    weir_http *session = open_session(&options);
    struct outcome o = send_to(session, "POST", peer_url(peer, "/", url), -1);
    check_outcome(o, WEIR_AMBIGUOUS);
    check_took(o, 100, 100);
    check_int(o.report.attempts, 1);
    check_int(peer_requests(peer), 1);
    o = send_to(session, "POST", url, 50); /* and the deadline of all is no different */
    check_outcome(o, WEIR_AMBIGUOUS);
    check_took(o, 50, 50);
    check_int(peer_requests(peer), 2);
    close_session(session);
    peer_stop(peer);
}

/* The server saw nothing, so any method may be repeated and nothing is ambiguous. */
static void a_post_that_finds_no_server_is_repeated_and_not_ambiguous(void)
{
    weir_http *session = open_quick();
    char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", peer_unused_port());
    struct outcome o = send_to(session, "POST", url, -1);
    check_outcome(o, WEIR_CONNECT);
    check_int(o.report.attempts, 4);
    check(!o.report.was_sent);
    check_int(o.report.status, 0);
    close_session(session);
}

/* Pitfall 3: an end that came while the connection rested is seen before anything is sent. */
static void a_post_never_goes_over_a_connection_that_ended_while_it_rested(void)
{
    struct peer *peer = start_peer(say_hello, NULL);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    peer_url(peer, "/", url);
    for (int i = 0; i < 4; i++) {
        struct outcome o = send_to(session, "POST", url, -1);
        check_outcome(o, WEIR_OK);
        check_int(o.report.attempts, 1);
        check_int(o.report.opened, 1);
        check(peer_end_idle(peer, 1, ends[i % 2]));
    }
    check_int(peer_requests(peer), 4);
    close_session(session);
    peer_stop(peer);
}

/* Says that the connection ends, and leaves that to the other side. */
static bool say_the_end(struct peer_exchange *x, void *arg)
{
    return peer_reply(x, 200, arg, "hello", 5);
}

/* A "close" counts wherever it stands among the options of the connection. */
static void a_connection_whose_end_was_said_is_not_used_again(void)
{
    static char last[][64] = {
        "Connection: close\r\n",
        "Connection: keep-alive, close\r\n",
        "Connection: keep-alive , Close\r\n",
        "Connection: x,CLOSE,y\r\n",
        "Connection: keep-alive\r\nConnection: x, close\r\n",
        "Connection: close\r\nConnection: keep-alive\r\n",
    };
    static char not_last[][64] = {
        "Connection: keep-alive\r\n",
        "X-Connection: close\r\n",
    };
    char url[PEER_URL_SIZE];

    for (size_t i = 0; i < sizeof last / sizeof last[0] + sizeof not_last / sizeof not_last[0];
         i++) {
        bool is_last = i < sizeof last / sizeof last[0];
        char *fields = is_last ? last[i] : not_last[i - sizeof last / sizeof last[0]];
        struct peer *peer = start_peer(say_the_end, fields);
        weir_http *session = open_quick();

        for (int sent = 0; sent < 3; sent++) {
            struct outcome o = send_to(session, "POST", peer_url(peer, "/", url), -1);
            check_outcome(o, WEIR_OK);
            check_int(o.report.attempts, 1);
        }
        if (peer_connections(peer) != (is_last ? 3 : 1))
            printf("# %s", fields);
        check_int(peer_connections(peer), is_last ? 3 : 1);
        close_session(session);
        peer_stop(peer);
    }
}

/* POST is answered with a redirect, and what it leads to is lost. */
static bool redirect_and_lose(struct peer_exchange *x, void *arg)
{
    if (!peer_read_body(x) || strcmp(x->method, "GET") == 0)
        return false;
    return peer_reply(x, *(const int *)arg, "Location: /done\r\n", NULL, 0);
}

/* To send it again would be to post it twice. */
static void a_post_that_was_redirected_to_a_get_is_ambiguous_when_that_is_lost(void)
{
    static const struct {
        const char *method;
        int status;
        bool has_key;
        weir_status expected;
    } cases[] = {
        {"POST", 303, false, WEIR_AMBIGUOUS},   {"POST", 302, false, WEIR_AMBIGUOUS},
        {"PATCH", 303, false, WEIR_AMBIGUOUS},  {"POST", 303, true, WEIR_DISCONNECTED},
        {"PUT", 303, false, WEIR_DISCONNECTED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = cases[i].status;
        struct peer *peer = start_peer(redirect_and_lose, &status);
        weir_http *session = open_quick();
        char url[PEER_URL_SIZE];
        int before = check_failures_in_test;

        weir_http_request *request = new_request(cases[i].method, peer_url(peer, "/", url));
        if (cases[i].has_key)
            weir_http_request_idempotency_key(request, "key");
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, cases[i].expected);
        if (o.status == WEIR_AMBIGUOUS)
            check_contains(o.error.text, "was carried out");
        if (check_failures_in_test != before)
            printf("# %s %d: %s\n", cases[i].method, status, o.error.text);
        weir_http_request_close(request);
        close_session(session);
        peer_stop(peer);
    }
}

/* ---- a server that closes when it likes -------------------------------------------------- */

#define RANDOM_THREADS 4
#define RANDOM_SENDS 100

struct whims {
    pthread_mutex_t lock;
    uint64_t random;
};

static uint64_t whim(struct whims *whims)
{
    pthread_mutex_lock(&whims->lock);
    uint64_t random = draw(&whims->random);
    pthread_mutex_unlock(&whims->lock);
    return random;
}

/* Answers the first request of every connection, and after that does not always. */
static bool answer_at_whim(struct peer_exchange *x, void *arg)
{
    uint64_t random = whim(arg);

    x->end = ends[random % 2];
    if (x->number > 1 && random / 2 % 4 == 0)
        return false;
    if (!peer_reply(x, 200, "", "hello", 5))
        return false;
    if (random / 8 % 4 != 0)
        return true;
    peer_pause(x, (int)(random / 32 % 3));
    return false;
}

static void *send_many_gets(void *arg)
{
    struct call *call = arg;

    for (int i = 0; i < RANDOM_SENDS && call->outcome.status == WEIR_OK; i++)
        call->outcome = send_request(call->session, call->request, -1);
    return NULL;
}

/* Pitfall 3 */
static void no_get_fails_where_a_server_closes_used_connections_at_random(void)
{
    struct whims whims = {PTHREAD_MUTEX_INITIALIZER, 20240};
    struct peer *peer = start_peer(answer_at_whim, &whims);
    weir_http *session = open_quick();
    struct call calls[RANDOM_THREADS];
    char url[PEER_URL_SIZE];

    peer_url(peer, "/", url);
    for (int i = 0; i < RANDOM_THREADS; i++) {
        calls[i] = (struct call){.session = session, .request = new_request("GET", url)};
        check_int(pthread_create(&calls[i].thread, NULL, send_many_gets, &calls[i]), 0);
    }
    for (int i = 0; i < RANDOM_THREADS; i++) {
        struct outcome o = call_join(&calls[i]);
        check_outcome(o, WEIR_OK);
        check_int(o.http, 200);
    }
    weir_http_origin origin = origin_of(session, url);
    check_int(origin.responses[2], RANDOM_THREADS * RANDOM_SENDS);
    check(origin.resends > 0);
    check(origin.reused > RANDOM_SENDS);
    check_int(origin.attempts, RANDOM_THREADS * RANDOM_SENDS + origin.failed_read);
    close_session(session);
    peer_stop(peer);
}

/* ---- what one borrower leaves for the next ----------------------------------------------- */

/* Keeps the head of the last request; answers with all a browser would remember. */
static bool keep_head(struct peer_exchange *x, void *arg)
{
    char *head = arg;

    if (!peer_read_body(x))
        return false;
    snprintf(head, 4096, "%s%s", x->head, x->body);
    return peer_reply(x, 200,
                      "Set-Cookie: session=sweet; Path=/\r\n"
                      "Strict-Transport-Security: max-age=1000\r\n"
                      "Alt-Svc: h2=\":443\"\r\nWWW-Authenticate: Basic realm=\"r\"\r\n",
                      "hello", 5);
}

static weir_status read_some(void *arg, char *buffer, size_t size, size_t *ret_size,
                             weir_error *reterr)
{
    int *left = arg;

    (void)size, (void)reterr;
    memset(buffer, 'r', 100);
    *ret_size = *left > 0 ? 100 : 0;
    (*left)--;
    return WEIR_OK;
}

static weir_status ignore_piece(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)arg, (void)data, (void)size, (void)reterr;
    return WEIR_OK;
}

#define BORROWERS 9

/* A request of every kind that sets something. */
static weir_http_request *borrower(int kind, const char *url, weir_http_reader *reader)
{
    static const char *const methods[BORROWERS] = {"POST",    "PUT", "HEAD",   "PURGE", "GET",
                                                   "OPTIONS", "GET", "DELETE", "PATCH"};
    weir_http_request *request = new_request(methods[kind], url);

    if (kind == 0)
        weir_http_request_body(request, "first-body", 10, "text/first");
    if (kind == 1)
        weir_http_request_reader(request, reader, "text/second");
    if (kind == 4) {
        weir_http_request_header(request, "X-Tenant", "first-tenant");
        weir_http_request_header(request, "User-Agent", "first-agent");
        weir_http_request_header(request, "Accept-Encoding", "identity");
        weir_http_request_bearer(request, "first-token");
    }
    if (kind == 5)
        weir_http_request_basic_auth(request, "first-user", "first-password");
    if (kind == 6) {
        weir_http_request_sink(request, ignore_piece, NULL);
        weir_http_request_try_timeout(request, 1000);
        weir_http_request_max_body(request, 5);
    }
    if (kind == 7)
        weir_http_request_body(request, "", 0, NULL);
    if (kind == 8)
        weir_http_request_idempotency_key(request, "first-key");
    return request;
}

/* Pitfalls 8 and 24 */
static void a_plain_get_is_the_same_whatever_its_connection_carried_before(void)
{
    char head[4096] = "";
    char plain[4096] = "";
    struct peer *peer = start_peer(keep_head, head);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    peer_url(peer, "/", url);
    check_int(get(session, url).http, 200);
    strcpy(plain, head);
    check(strncmp(plain, "GET / HTTP/1.1\r\n", 16) == 0);
    for (int kind = 0; kind < BORROWERS; kind++) {
        int left = 3;
        weir_http_reader reader = {.read = read_some, .arg = &left, .size = -1};
        weir_http_request *request = borrower(kind, url, &reader);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
        check(strcmp(head, plain) != 0 || kind == 6);
        weir_http_request_close(request);
        o = get(session, url);
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
        check_text(head, plain);
    }
    check_int(peer_connections(peer), 1);
    check_int(peer_requests(peer), 1 + 2 * BORROWERS);
    check_int(peer_saw_times(peer, "first-token"), 1);
    check_int(peer_saw_times(peer, "first-body"), 1);
    check(!peer_saw(peer, "sweet"));
    close_session(session);
    peer_stop(peer);
}

int main(void)
{
    run(a_post_lost_in_flight_arrives_once_and_is_ambiguous);
    run(a_post_with_an_idempotency_key_is_repeated_with_the_same_key);
    run(a_get_or_put_lost_in_flight_is_repeated);
    run(a_call_is_resent_at_once_on_a_new_connection_only_once);
    run(a_get_that_is_always_lost_ends_when_no_repeat_is_left);
    run(a_post_without_an_answer_in_time_is_ambiguous_and_not_repeated);
    run(a_post_that_finds_no_server_is_repeated_and_not_ambiguous);
    run(a_post_never_goes_over_a_connection_that_ended_while_it_rested);
    run(a_connection_whose_end_was_said_is_not_used_again);
    run(a_post_that_was_redirected_to_a_get_is_ambiguous_when_that_is_lost);
    run(no_get_fails_where_a_server_closes_used_connections_at_random);
    run(a_plain_get_is_the_same_whatever_its_connection_carried_before);
    return check_done();
}
