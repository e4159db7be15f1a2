/* SPDX-License-Identifier: MIT */
/* Every allocation of weir's on the way of a request fails once: no crash, no leak, and the next one works. */
#include "alloc_fail.h"
#include "http_certs.h"
#include "http_peer.h"

#include <weir/http.h>

static struct peer *peer;   /* http */
static struct peer *secure; /* https */
static struct certs certs;
static weir_error error;

static bool is_fine(weir_status status)
{
    return alloc_fail_is_fine(status, &error);
}

/* By way of a 503 and a redirect to the answer, which has many header fields and a body of some size. */
static bool answer(struct peer_exchange *x, void *arg)
{
    static const char body[50000];
    char headers[8192];
    const char *target = x->target;

    (void)arg;
    if (!peer_read_body(x))
        return false;
    if (strncmp(target, "/first", 6) == 0 && x->number == 1)
        return peer_reply(x, 503, "Retry-After: 0\r\n", "busy", 4);
    if (strncmp(target, "/first", 6) == 0)
        return peer_reply(x, 307, "Location: /second/../answer?a=b\r\n", "go", 2);
    headers[0] = '\0';
    for (int i = 0; i < 60; i++)
        strcat(headers, "X-Field: a value of some length, so that all do not fit\r\n");
    return peer_reply(x, strcmp(target, "/404") == 0 ? 404 : 200, headers, body, sizeof(body));
}

static weir_http *open_session(void)
{
    weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http *session = NULL;

    o.name = "alloc";
    o.retry.backoff_factor_ms = 0;
    o.ca_file = certs.ca;
    o.no_proxy = "127.0.0.1";
    o.user_agent = "weir-test";
    if (!is_fine(weir_http_open(&o, &session, &error)))
        check(session == NULL);
    return session;
}

static bool build(weir_http_request *request)
{
    static const char body[100000];

    return is_fine(weir_http_request_segment(request, "a b")) &&
           is_fine(weir_http_request_query(request, "q", "x y")) &&
           is_fine(weir_http_request_header(request, "X-One", "1")) &&
           is_fine(weir_http_request_bearer(request, "token")) &&
           is_fine(weir_http_request_basic_auth(request, "user", "password")) &&
           is_fine(weir_http_request_idempotency_key(request, NULL)) &&
           is_fine(weir_http_request_body(request, body, sizeof(body), "text/plain"));
}

static void check_response(weir_http_response *response, int status)
{
    size_t size = 0;
    const char *name = NULL;
    const char *value = NULL;

    check_int(weir_http_response_status(response), status);
    weir_http_response_body(response, &size);
    check_int(size, 50000);
    check(weir_http_response_header_at(response, 60, &name, &value));
    check(!weir_http_response_header_at(response, 61, &name, &value));
    check_contains(weir_http_response_url(response), status == 404 ? "/404" : "/answer?a=b");
    weir_http_response_close(response);
}

static int missed; /* calls that went well, with an attempt that there was no memory to list */

/* The list of the attempts of a call: complete, or it says what is not there. */
static void check_attempts(const weir_http_request *request, bool went_well)
{
    const weir_http_report *report = weir_http_request_report(request);
    const weir_http_attempt *attempt;
    unsigned number = 0;
    unsigned count = 0;

    for (; (attempt = weir_http_request_attempt_at(request, count)) != NULL; count++) {
        check(attempt->number > number);
        check_contains(attempt->url, "http");
        check(attempt->failure == WEIR_OK || attempt->text[0] != '\0');
        number = attempt->number;
    }
    check_int(count + report->unlisted, report->attempts);
    missed += went_well && report->unlisted == 1;
}

/* A POST with everything in it, by two detours. A request that was built in part is not sent: it keeps
 * its first failure. */
static void post(weir_http *session, struct peer *to)
{
    weir_http_request *request = NULL;
    weir_http_response *response = NULL;
    char url[PEER_URL_SIZE];

    if (!is_fine(weir_http_request_open("POST", peer_url(to, "/first", url), &request, &error))) {
        check(request == NULL);
        return;
    }
    bool is_built = build(request);
    weir_status status = weir_http_send(session, request, WEIR_DEADLINE_DEFAULT, &response, &error);
    check(is_built || status == WEIR_NO_MEMORY);
    check_attempts(request, status == WEIR_OK);
    if (is_fine(status))
        check_response(response, 200);
    weir_http_request_close(request);
}

static void get(weir_http *session, struct peer *to, const char *path, int status)
{
    weir_http_response *response = NULL;
    char url[PEER_URL_SIZE];

    if (is_fine(weir_http_get(session, peer_url(to, path, url), &response, &error)))
        check_response(response, status);
    else
        check(response == NULL);
}

/* Whatever failed before, it takes one more request; nothing is lent meanwhile. */
static void check_works(weir_http *session)
{
    static weir_http_origin origins[4];
    long failing = atomic_exchange(&alloc_fail_in, -1);
    size_t count = weir_http_get_origins(session, origins, 4);

    for (size_t i = 0; i < count && i < 4; i++) {
        check_int(origins[i].pool.leased, 0);
        check_int(origins[i].in_flight, 0);
    }
    get(session, peer, "/answer?a=b", 200);
    atomic_store(&alloc_fail_in, failing);
}

static void over_http(void)
{
    weir_http *session = open_session();

    if (session == NULL)
        return;
    post(session, peer);
    get(session, peer, "/404", 404);
    check_works(session);
    weir_http_maintain(session);
    weir_http_close(session);
}

static void over_https(void)
{
    weir_http *session = open_session();

    if (session == NULL)
        return;
    post(session, secure);
    check_works(session);
    weir_http_close(session);
}

static weir_status read_chunk(void *arg, char *buffer, size_t size, size_t *ret_size,
                              weir_error *reterr)
{
    int *left = arg;

    (void)reterr;
    *ret_size = *left > 0 && size > 10 ? 10 : 0;
    memset(buffer, 'x', *ret_size);
    (*left)--;
    return WEIR_OK;
}

static weir_status rewind_chunks(void *arg, weir_error *reterr)
{
    (void)reterr;
    *(int *)arg = 3;
    return WEIR_OK;
}

static void hear(const weir_http_event *event, void *arg)
{
    (void)event;
    (*(int *)arg)++;
}

/* With a reader, a listener, a rate limiter and a breaker of the origin's own, and an origin that is let go. */
static void with_the_rest(void)
{
    weir_http *session = open_session();
    weir_http_request *request = NULL;
    weir_http_response *response = NULL;
    weir_rate_limit_options rate_limit = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
    int events = 0;
    int left = 3;
    const weir_http_reader reader = {read_chunk, rewind_chunks, &left, -1};
    char url[PEER_URL_SIZE];

    if (session == NULL)
        return;
    is_fine(weir_http_listen(session, ~0u, hear, &events, &error));
    is_fine(weir_http_set_rate_limit(session, peer_url(peer, "/", url), &rate_limit, 0, &error));
    is_fine(weir_http_set_breaker(session, url, WEIR_BREAKER_CLOSED, &error));
    if (is_fine(weir_http_request_open("PUT", peer_url(peer, "/first", url), &request, &error))) {
        is_fine(weir_http_request_reader(request, &reader, "text/plain"));
        if (is_fine(weir_http_send(session, request, WEIR_DEADLINE_DEFAULT, &response, &error)))
            check_response(response, 200);
        weir_http_request_close(request);
    }
    check_works(session);
    check(events > 0);
    weir_http_close(session);
}

static void every_allocation_on_the_way_fails_once(void)
{
    missed = 0;
    check(alloc_fail_each(over_http) > 20);
    check_int(missed, 2); /* one for each attempt but the first, which needs no memory */
    check(alloc_fail_each(over_https) > 20);
    check(alloc_fail_each(with_the_rest) > 20);
}

/* Send and give the response back; how much of what was allocated meanwhile is kept. */
static long keeps(weir_http *session, weir_http_request *request, size_t attempts)
{
    weir_http_response *response = NULL;
    long alive = atomic_load(&alloc_fail_alive);

    check(is_fine(weir_http_send(session, request, WEIR_DEADLINE_DEFAULT, &response, &error)));
    weir_http_response_close(response);
    check_int(weir_http_request_report(request)->attempts, attempts);
    check(weir_http_request_attempt_at(request, attempts - 1) != NULL);
    check(weir_http_request_attempt_at(request, attempts) == NULL);
    return atomic_load(&alloc_fail_alive) - alive;
}

static void the_list_of_one_attempt_takes_no_memory_and_others_are_freed(void)
{
    weir_http *session = open_session();
    weir_http_request *request = NULL;
    char url[PEER_URL_SIZE];

    get(session, peer, "/answer?a=b", 200); /* the connection, its origin and pool */
    long alive = atomic_load(&alloc_fail_alive);
    check(is_fine(
        weir_http_request_open("GET", peer_url(peer, "/answer?a=b", url), &request, &error)));
    check_int(keeps(session, request, 1), 0);
    check_int(keeps(session, request, 1), 0);
    weir_http_request_close(request);

    check(is_fine(weir_http_request_open("GET", peer_url(peer, "/first", url), &request, &error)));
    check_int(keeps(session, request, 2), 1);
    check_int(keeps(session, request, 2), 0); /* another in the place of that */
    weir_http_request_segment(request, "more");
    weir_http_request_close(request);
    check_int(atomic_load(&alloc_fail_alive), alive);
    weir_http_close(session);
}

/* ---- no_proxy ---------------------------------------------------------------------------- */

static const char *list_name; /* what the list of hosts without a proxy is called */
static bool is_named;

static void open_with_list(void)
{
    weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http *session = NULL;
    char text[64];

    o.name = "alloc";
    o.ca_file = certs.ca;
    o.proxy_from_environment = strstr(list_name, "environment") != NULL;
    if (!o.proxy_from_environment) {
        o.proxy = "http://127.0.0.1:9";
        o.no_proxy = "localhost";
    }
    if (is_fine(weir_http_open(&o, &session, &error))) {
        weir_http_close(session);
        return;
    }
    if (strcasestr(error.text, "no_proxy") == NULL)
        return;
    is_named = true;
    snprintf(text, sizeof text, "%s: out of memory", list_name);
    check_contains(error.text, text);
}

static void a_list_without_memory_is_called_what_it_is(void)
{
    static const char *const names[] = {"no_proxy", "NO_PROXY of the environment",
                                        "no_proxy of the environment"};

    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    for (size_t i = 0; i < 3; i++) {
        if (i > 0)
            setenv(i == 1 ? "NO_PROXY" : "no_proxy", "localhost", 1);
        list_name = names[i];
        is_named = false;
        alloc_fail_each(open_with_list);
        check(is_named);
    }
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
}

int main(void)
{
    certs_make(&certs);
    peer = peer_start(&(struct peer_options){.handler = answer});
    secure = peer_start(&(struct peer_options){
        .handler = answer, .cert_file = certs.good, .key_file = certs.good_key});
    run(every_allocation_on_the_way_fails_once);
    run(the_list_of_one_attempt_takes_no_memory_and_others_are_freed);
    run(a_list_without_memory_is_called_what_it_is);
    peer_stop(peer);
    peer_stop(secure);
    certs_remove(&certs);
    return check_done();
}
