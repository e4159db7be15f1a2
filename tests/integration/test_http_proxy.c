/* SPDX-License-Identifier: MIT */
/* Proxies that work: tunnels by CONNECT and by SOCKS, what each is told, and what comes back through them. */
#include "http_certs.h"
#include "http_steps.h"
#include "relay.h"

static struct certs certs;

/* All of its tunnels lead to one server, whatever was asked for. */
struct proxy {
    struct peer *peer;
    int server_port;
    int status;          /* of the answer to CONNECT */
    const char *headers; /* of it, unless the status is 200; NULL: a challenge */
    bool is_old;         /* it speaks HTTP/1.0 */
    char asked[64]; /* by SOCKS: "name server.invalid" or "address 127.0.0.1"; for after its end */
};

/* ---- the other side ---------------------------------------------------------------------- */

static bool carry(int from, int to)
{
    char buffer[16384];
    ssize_t count = recv(from, buffer, sizeof buffer, 0);

    for (ssize_t sent = 0; sent < count;) {
        ssize_t step = send(to, buffer + sent, (size_t)(count - sent), MSG_NOSIGNAL);
        if (step <= 0)
            return false;
        sent += step;
    }
    return count > 0;
}

/* Carry bytes both ways until one side ends, which a peer that is stopped brings about. */
static void tunnel(const struct peer_exchange *x, int port)
{
    int server = relay_connect(port);
    struct pollfd polls[2] = {{.fd = x->fd, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    bool goes_on = server >= 0;

    while (goes_on && poll(polls, 2, -1) > 0) {
        goes_on = polls[0].revents == 0 || carry(x->fd, server);
        goes_on = goes_on && (polls[1].revents == 0 || carry(server, x->fd));
    }
    if (server >= 0)
        close(server);
}

static bool answer_connect(struct peer_exchange *x, void *arg)
{
    const struct proxy *proxy = arg;

    if (strcmp(x->method, "CONNECT") != 0)
        return peer_reply(x, 501, "", "", 0);
    if (proxy->status != 200)
        return peer_reply(x, proxy->status,
                          proxy->headers != NULL ? proxy->headers
                                                 : "Proxy-Authenticate: Basic realm=\"x\"\r\n",
                          "no", 2);
    if (peer_print(x, proxy->is_old ? "HTTP/1.0 " : "HTTP/1.1 ") &&
        peer_print(x, "200 Connection established\r\nX-From-Proxy: yes\r\n\r\n"))
        tunnel(x, proxy->server_port);
    return false;
}

/* Exactly so many bytes; false: it ended before. */
static bool receive(const struct peer_exchange *x, unsigned char *data, size_t size)
{
    return recv(x->fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* What a request of SOCKS asks for, by the type of address that it has. */
static bool read_address(const struct peer_exchange *x, int type, char *asked, size_t size)
{
    unsigned char data[256] = {0};
    char address[INET6_ADDRSTRLEN] = "";
    unsigned char port[2];

    if (type == 3) {
        if (!receive(x, data, 1) || !receive(x, data + 1, data[0]) || !receive(x, port, 2))
            return false;
        snprintf(asked, size, "name %.*s", data[0], (char *)data + 1);
        return true;
    }
    if (!receive(x, data, type == 1 ? 4 : 16) || !receive(x, port, 2))
        return false;
    inet_ntop(type == 1 ? AF_INET : AF_INET6, data, address, sizeof address);
    snprintf(asked, size, "address %s", address);
    return true;
}

/* RFC 1928, without authentication. */
static bool greet_by_socks(struct peer_exchange *x, void *arg)
{
    static const unsigned char is_connected[] = {5, 0, 0, 1, 127, 0, 0, 1, 0, 0};
    struct proxy *proxy = arg;
    unsigned char data[256];

    if (!receive(x, data, 2) || data[0] != 5 || !receive(x, data + 2, data[1]) ||
        !peer_write(x, "\x05\0", 2) || !receive(x, data, 4) || data[1] != 1 ||
        !read_address(x, data[3], proxy->asked, sizeof proxy->asked))
        return false;
    if (peer_write(x, is_connected, sizeof is_connected))
        tunnel(x, proxy->server_port);
    return false;
}

static void start_proxy(struct proxy *proxy, const struct peer *server, bool is_socks)
{
    *proxy = (struct proxy){.server_port = peer_port(server), .status = 200};
    proxy->peer = peer_start(&(struct peer_options){
        .handler = answer_connect, .greeter = is_socks ? greet_by_socks : NULL, .arg = proxy});
}

static weir_http *open_by(const struct proxy *proxy, const char *scheme)
{
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    snprintf(url, sizeof url, "%s://127.0.0.1:%d", scheme, peer_port(proxy->peer));
    o.proxy = url;
    o.retry.total = 0;
    o.verify_tls = true;
    o.ca_file = certs.ca;
    return open_session(&o);
}

static bool say_from_server(struct peer_exchange *x, void *arg)
{
    (void)arg;
    return peer_reply(x, 200, "X-From-Server: yes\r\n", "hello", 5);
}

static struct peer *start_server(void)
{
    return peer_start(&(struct peer_options){
        .handler = say_from_server, .cert_file = certs.good, .key_file = certs.good_key});
}

/* ---- CONNECT ------------------------------------------------------------------------------ */

static void https_goes_through_one_tunnel_of_which_the_proxy_learns_host_and_port(void)
{
    struct peer *server = start_server();
    struct proxy proxy;
    char url[PEER_URL_SIZE];
    char line[PEER_URL_SIZE];

    start_proxy(&proxy, server, false);
    weir_http *session = open_by(&proxy, "http");
    peer_url_at(server, "localhost", "/path?token=secret", url);
    for (int i = 0; i < 5; i++) {
        struct outcome o = get(session, url);
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
        check_int(o.report.opened, i == 0);
    }
    check_int(peer_requests(server), 5);
    check_int(peer_connections(server), 1);
    check_int(peer_connections(proxy.peer), 1);
    snprintf(line, sizeof line, "CONNECT localhost:%d HTTP/1.1\r\n", peer_port(server));
    check_int(peer_saw_times(proxy.peer, line), 1);
    check(!peer_saw(proxy.peer, "path") && !peer_saw(proxy.peer, "secret"));

    /* A tunnel whose server has gone is seen to be dead, like any other connection. */
    check(peer_end_idle(server, 1, PEER_FIN));
    check(peer_wait(proxy.peer, PEER_OPEN, 0));
    struct outcome o = send_to(session, "POST", url, -1);
    check_outcome(o, WEIR_OK);
    check_int(o.report.attempts, 1);
    check_int(o.report.opened, 1);
    check_int(peer_connections(proxy.peer), 2);
    close_session(session);
    peer_stop(proxy.peer);
    peer_stop(server);
}

static void the_header_of_the_answer_to_connect_is_none_of_the_responses(void)
{
    struct peer *server = start_server();
    struct proxy proxy;
    weir_http_response *response = NULL;
    char url[PEER_URL_SIZE];

    start_proxy(&proxy, server, false);
    weir_http *session = open_by(&proxy, "http");
    weir_http_request *request = new_request("GET", peer_url(server, "/", url));
    check_int(weir_http_send(session, request, WEIR_DEADLINE_DEFAULT, &response, &error), WEIR_OK);
    if (response != NULL) {
        check_int(weir_http_response_status(response), 200);
        check_text(weir_http_response_header(response, "X-From-Server"), "yes");
        check(weir_http_response_header(response, "X-From-Proxy") == NULL);
    }
    weir_http_response_close(response);
    weir_http_request_close(request);
    close_session(session);
    peer_stop(proxy.peer);
    peer_stop(server);
}

static weir_status read_once(void *arg, char *buffer, size_t size, size_t *ret_size,
                             weir_error *reterr)
{
    int *reads = arg;

    (void)reterr;
    *ret_size = (*reads)++ == 0 && size > 5 ? 5 : 0;
    memcpy(buffer, "piece", *ret_size);
    return WEIR_OK;
}

static bool take_body(struct peer_exchange *x, void *arg)
{
    (void)arg;
    return peer_read_body(x) && peer_reply(x, 200, "", x->body, (size_t)x->body_size);
}

/* Many proxies answer CONNECT in HTTP/1.0, whatever the server behind them speaks. */
static void what_a_proxy_speaks_is_not_what_the_server_speaks(void)
{
    struct peer *server = peer_start(&(struct peer_options){
        .handler = take_body, .cert_file = certs.good, .key_file = certs.good_key});
    struct proxy proxy;
    char url[PEER_URL_SIZE];

    start_proxy(&proxy, server, false);
    proxy.is_old = true;
    weir_http *session = open_by(&proxy, "http");
    for (int i = 0; i < 4; i++) {
        int reads = 0;
        weir_http_reader reader = {read_once, NULL, &reads, -1};

        if (i == 2)
            weir_http_evict_all(session); /* a new tunnel, where the server is known */
        weir_http_request *request =
            new_request("POST", peer_url_at(server, "localhost", "/", url));
        weir_http_request_reader(request, &reader, NULL);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
        check_text(o.body, "piece");
        weir_http_request_close(request);
    }
    check_int(peer_saw_times(server, "POST / HTTP/1.1\r\n"), 4);
    check_int(peer_connections(proxy.peer), 2);
    close_session(session);
    peer_stop(proxy.peer);
    peer_stop(server);
}

static void a_tunnel_that_is_refused_is_no_connection_and_the_server_sees_nothing(void)
{
    static const int answers[] = {407, 403, 502};
    struct peer *server = start_server();
    struct proxy proxy;
    char url[PEER_URL_SIZE];
    char text[PEER_URL_SIZE + 32];

    peer_url_at(server, "localhost", "/", url);
    for (int i = 0; i < 3; i++) {
        start_proxy(&proxy, server, false);
        proxy.status = answers[i];
        weir_http *session = open_by(&proxy, "http");
        struct outcome o = get(session, url);
        check_outcome(o, WEIR_CONNECT);
        snprintf(text, sizeof text, "GET %s: no connection: ", url);
        check(strncmp(o.error.text, text, strlen(text)) == 0);
        snprintf(text, sizeof text, "%d", answers[i]);
        check_contains(o.error.text, text);
        check(!o.report.was_sent);
        check_int(o.report.attempts, 1);
        check_int(peer_requests(proxy.peer), 1);
        close_session(session);
        peer_stop(proxy.peer);
    }
    check_int(peer_connections(server), 0);
    peer_stop(server);
}

/* A session that repeats, and whose breaker would open at once. */
static weir_http *open_eager(const struct proxy *proxy)
{
    weir_http_options o = quick_options();
    char url[PEER_URL_SIZE];

    snprintf(url, sizeof url, "http://127.0.0.1:%d", peer_port(proxy->peer));
    o.proxy = url;
    o.use_breaker = true;
    o.use_budget = true;
    o.breaker.minimum_calls = 1;
    o.breaker.window_size = 1;
    o.retry.total = 2;
    return open_session(&o);
}

static void a_4xx_to_connect_is_final_and_no_matter_of_the_server(void)
{
    static const int answers[] = {400, 403, 404, 407, 429, 451};
    struct peer *server = start_server();
    char url[PEER_URL_SIZE];
    char text[64];

    peer_url_at(server, "localhost", "/", url);
    for (int i = 0; i < 6; i++) {
        struct proxy proxy;

        start_proxy(&proxy, server, false);
        proxy.status = answers[i];
        weir_http *session = open_eager(&proxy);
        for (int k = 0; k < 3; k++) {
            struct outcome o = send_to(session, k == 1 ? "POST" : "GET", url, -1);
            check_outcome(o, WEIR_CONNECT);
            snprintf(text, sizeof text, "the proxy answered CONNECT with status %d", answers[i]);
            check_contains(o.error.text, text);
            check_int(o.report.attempts, 1);
            check_int(o.report.status, 0);
            check(!o.report.was_sent);
            check_int(peer_requests(proxy.peer), k + 1);
        }
        weir_http_origin origin = origin_of(session, url);
        check_int(origin.breaker.state, WEIR_BREAKER_CLOSED);
        check_int(origin.breaker.counts.calls, 0);
        close_session(session);
        peer_stop(proxy.peer);
    }
    peer_stop(server);
}

static void a_5xx_to_connect_is_a_server_that_cannot_be_reached(void)
{
    struct peer *server = start_server();
    struct proxy proxy;
    char url[PEER_URL_SIZE];

    peer_url_at(server, "localhost", "/", url);
    start_proxy(&proxy, server, false);
    proxy.status = 502;
    weir_http *session = open_eager(&proxy);
    struct outcome o = get(session, url);
    check_outcome(o, WEIR_REFUSED); /* a second attempt, before which the breaker opened */
    check_int(peer_requests(proxy.peer), 1);
    check_int(origin_of(session, url).breaker.state, WEIR_BREAKER_OPEN);
    close_session(session);
    peer_stop(proxy.peer);
    peer_stop(server);
}

static void the_retry_after_of_a_proxy_that_opens_no_tunnel_is_heeded(void)
{
    static const int answers[] = {429, 403, 503};
    struct peer *server = start_server();
    char url[PEER_URL_SIZE];

    peer_url_at(server, "localhost", "/", url);
    for (int i = 0; i < 3; i++) {
        struct proxy proxy;

        start_proxy(&proxy, server, false);
        proxy.status = answers[i];
        proxy.headers = "Retry-After: 5\r\nRetry-After: 3600\r\n";
        weir_http_options options = quick_options();
        char proxy_url[PEER_URL_SIZE];
        options.proxy = peer_url(proxy.peer, "", proxy_url);
        weir_http *session = open_session(&options);
        for (int k = 0; k < 2; k++) {
            /* A 5xx would be repeated, but not so soon. */
            struct outcome o = get(session, url);
            check_outcome(o, k == 0 ? WEIR_CONNECT : WEIR_REFUSED);
            check(o.report.retry_after > 3590 * WEIR_SECOND);
            check(o.report.retry_after <= 3600 * WEIR_SECOND);
            check_int(peer_requests(proxy.peer), 1);
        }
        close_session(session);
        peer_stop(proxy.peer);
    }
    peer_stop(server);
}

/* ---- without ------------------------------------------------------------------------------ */

static void what_no_proxy_names_is_reached_without_and_nothing_else(void)
{
    struct peer *server = start_peer(say_hello, NULL);
    char with_port[64];
    const struct {
        const char *list;
        bool localhost, address;
    } cases[] = {
        {"*", true, true},
        {"localhost", true, false},
        {"127.0.0.0/8", false, true},
        {with_port, true, false},
        {"localhost:1", false, false},
        {"*.localhost", false, false},
        {"[::1], ::1/128", false, false},
    };

    snprintf(with_port, sizeof with_port, "x.test,localhost:%d", peer_port(server));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy proxy;
        weir_http_options o = quick_options();
        char proxy_url[PEER_URL_SIZE];
        char url[PEER_URL_SIZE];

        start_proxy(&proxy, server, false);
        o.proxy = peer_url(proxy.peer, "", proxy_url);
        o.no_proxy = cases[i].list;
        weir_http *session = open_session(&o);
        for (int k = 0; k < 2; k++) {
            /* Its own kind of a request, after which the handle begins anew. */
            const char *method = k == 0 ? "GET" : "POST";
            struct outcome by_name =
                send_to(session, method, peer_url_at(server, "localhost", "/", url), -1);
            check_int(by_name.http, cases[i].localhost ? 200 : 501);
            struct outcome by_address = send_to(session, method, peer_url(server, "/", url), -1);
            check_int(by_address.http, cases[i].address ? 200 : 501);
        }
        /* The mark of an empty query goes along on both ways. */
        get(session, peer_url(server, "/p?", url));
        check(peer_saw(cases[i].address ? server : proxy.peer,
                       cases[i].address ? "GET /p? HTTP/1.1\r\n" : "/p? HTTP/1.1\r\n"));
        check(cases[i].address || peer_saw(proxy.peer, "GET http://127.0.0.1:"));
        close_session(session);
        peer_stop(proxy.peer);
        peer_forget(server);
    }
    peer_stop(server);
}

/* ---- SOCKS -------------------------------------------------------------------------------- */

static void socks5h_is_told_the_name_and_socks5_the_address(void)
{
    static const struct {
        const char *scheme;
        const char *host;
        const char *asked;
        const char *or_asked;
    } cases[] = {
        /* Here nobody could look that name up. */
        {"socks5h", "server.invalid", "name server.invalid", ""},
        {"socks5h", "localhost", "name localhost", ""},
        {"socks5", "localhost", "address 127.0.0.1", "address ::1"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer *server = start_peer(say_hello, NULL);
        struct proxy proxy;
        char url[PEER_URL_SIZE];

        start_proxy(&proxy, server, true);
        weir_http *session = open_by(&proxy, cases[i].scheme);
        peer_url_at(server, cases[i].host, "/", url);
        for (int k = 0; k < 3; k++) {
            struct outcome o = get(session, url);
            check_outcome(o, WEIR_OK);
            check_text(o.body, "hello");
            check_int(o.report.opened, k == 0);
        }
        check_int(peer_connections(proxy.peer), 1);
        check_int(peer_connections(server), 1);
        close_session(session);
        peer_stop(proxy.peer);
        peer_stop(server);
        if (cases[i].or_asked[0] == '\0' || strcmp(proxy.asked, cases[i].or_asked) != 0)
            check_text(proxy.asked, cases[i].asked);
    }
}

static void https_goes_through_socks_too(void)
{
    struct peer *server = start_server();
    struct proxy proxy;
    char url[PEER_URL_SIZE];

    start_proxy(&proxy, server, true);
    weir_http *session = open_by(&proxy, "socks5h");
    for (int i = 0; i < 3; i++) {
        struct outcome o = get(session, peer_url_at(server, "localhost", "/", url));
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
    }
    check_int(peer_connections(server), 1);
    close_session(session);
    peer_stop(proxy.peer);
    peer_stop(server);
    check_text(proxy.asked, "name localhost");
}

int main(void)
{
    certs_make(&certs);
    run(https_goes_through_one_tunnel_of_which_the_proxy_learns_host_and_port);
    run(the_header_of_the_answer_to_connect_is_none_of_the_responses);
    run(what_a_proxy_speaks_is_not_what_the_server_speaks);
    run(a_tunnel_that_is_refused_is_no_connection_and_the_server_sees_nothing);
    run(a_4xx_to_connect_is_final_and_no_matter_of_the_server);
    run(a_5xx_to_connect_is_a_server_that_cannot_be_reached);
    run(the_retry_after_of_a_proxy_that_opens_no_tunnel_is_heeded);
    run(what_no_proxy_names_is_reached_without_and_nothing_else);
    run(socks5h_is_told_the_name_and_socks5_the_address);
    run(https_goes_through_socks_too);
    certs_remove(&certs);
    return check_done();
}
