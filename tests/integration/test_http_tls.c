/* SPDX-License-Identifier: MIT */
/* HTTPS: whom a session trusts, how connections end, and what goes wrong below HTTP. */
#include "http/session.h"

#include "http_certs.h"
#include "http_steps.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <unistd.h>

#define TRY_MS (HAS_SANITIZER ? 1000 : 150)

static struct certs certs;

static struct peer *start_tls(peer_handler *handler, const char *cert, const char *key, void *arg)
{
    return peer_start(
        &(struct peer_options){.handler = handler, .cert_file = cert, .key_file = key, .arg = arg});
}

static struct peer *start_good(peer_handler *handler, void *arg)
{
    return start_tls(handler, certs.good, certs.good_key, arg);
}

/* The quick options, and trust in the test's own authority. */
static weir_http_options trusting_options(void)
{
    weir_http_options o = quick_options();

    o.verify_tls = true;
    o.ca_file = certs.ca;
    return o;
}

static weir_http *open_trusting(void)
{
    weir_http_options o = trusting_options();

    return open_session(&o);
}

/* ---- whom it trusts ---------------------------------------------------------------------- */

static void requests_share_a_connection_whose_server_is_known(void)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    struct peer *peer = start_good(say_hello, NULL);
    weir_http *session = open_trusting();
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 20; i++) {
        struct outcome o = get(session, peer_url_at(peer, hosts[i % 2], "/", url));
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
    }
    check_int(peer_connections(peer), 2);
    close_session(session);
    peer_stop(peer);
}

/* One for the session that meets a bad one: whom it trusts to be good, where it trusts anybody. */
static struct peer *start_neighbour(const char *ca)
{
    return ca == certs.ca ? start_good(say_hello, NULL) : start_peer(say_hello, NULL);
}

/* A certificate that is wrong stays wrong: it is tried once, nothing is sent, and other origins of the
 * session are none the worse for it. */
static void a_server_that_cannot_be_trusted_gets_nothing_and_is_tried_once(void)
{
    const struct {
        const char *cert;
        const char *key;
        const char *host;
        const char *ca;
    } cases[] = {
        {certs.wrong, certs.wrong_key, "127.0.0.1", certs.ca},
        {certs.wrong, certs.wrong_key, "localhost", certs.ca},
        {certs.expired, certs.expired_key, "localhost", certs.ca},
        {certs.self, certs.self_key, "localhost", certs.ca},
        {certs.good, certs.good_key, "localhost", NULL}, /* the system does not know its issuer */
        {certs.good, certs.good_key, "localhost", certs.self},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *peer = start_tls(say_hello, cases[i].cert, cases[i].key, NULL);
        struct peer *neighbour = start_neighbour(cases[i].ca);
        weir_http_options options = quick_options();
        char url[PEER_URL_SIZE];
        char healthy[PEER_URL_SIZE];
        int before = check_failures_in_test;

        options.verify_tls = true;
        options.ca_file = cases[i].ca;
        weir_http *session = open_session(&options);
        peer_url_at(peer, cases[i].host, "/?token=secret", url);
        peer_url(neighbour, "/", healthy);
        for (int k = 0; k < 2; k++) {
            struct outcome o = send_to(session, k == 0 ? "GET" : "POST", url, -1);
            check_outcome(o, WEIR_CONNECT);
            check_contains(o.error.text, "certificate");
            check_contains(o.error.text, cases[i].host);
            check(strstr(o.error.text, "secret") == NULL);
            check_int(o.error.native, 60); /* CURLE_PEER_FAILED_VERIFICATION */
            check_int(o.report.attempts, 1);
            check(!o.report.was_sent);
            check_text(get(session, healthy).body, "hello");
        }
        check_int(peer_connections(neighbour), 1);
        weir_http *lenient = (options.verify_tls = false, open_session(&options));
        check_text(get(lenient, url).body, "hello");
        check_int(peer_requests(peer), 1);
        if (check_failures_in_test != before)
            printf("# case %zu\n", i);
        close_session(lenient);
        close_session(session);
        peer_stop(peer);
        peer_stop(neighbour);
    }
}

/* Pitfall 8: what one session overlooks, another does not, though they meet the same server. */
static void a_session_that_checks_and_one_that_does_not_share_nothing(void)
{
    struct peer *peer = start_tls(say_hello, certs.self, certs.self_key, NULL);
    weir_http_options options = trusting_options();
    char url[PEER_URL_SIZE];

    weir_http *strict = open_session(&options);
    options.verify_tls = false;
    weir_http *lenient = open_session(&options);
    peer_url(peer, "/", url);
    for (int i = 0; i < 5; i++) {
        struct outcome o = get(lenient, url);
        check_outcome(o, WEIR_OK);
        check_int(o.report.opened, i == 0);
        o = get(strict, url);
        check_outcome(o, WEIR_CONNECT);
    }
    check_int(peer_requests(peer), 5);
    close_session(strict);
    close_session(lenient);
    peer_stop(peer);
}

/* Certificates of the system as libcurl would read them; NULL: it has none here. */
static X509_STORE *read_system_store(void)
{
    X509_STORE *store = X509_STORE_new();
    CURL *easy = curl_easy_init();
    char *file = NULL;

    if (easy == NULL || curl_easy_getinfo(easy, CURLINFO_CAINFO, &file) != CURLE_OK ||
        file == NULL || access(file, R_OK) != 0 || X509_STORE_load_file(store, file) != 1) {
        X509_STORE_free(store);
        store = NULL;
    }
    curl_easy_cleanup(easy);
    return store;
}

/* No server here has a certificate of the world's, so this looks inside. */
static void without_a_word_the_systems_certificates_are_trusted(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    X509_STORE *expected = read_system_store();
    X509_STORE *store = NULL;

    if (expected == NULL) {
        printf("# the system has no file of certificates\n");
        return;
    }
    weir_http *session = open_session(&options);
    check(session->trust != NULL);
    if (session->trust != NULL) {
        memcpy(&store, session->trust, sizeof store); /* which is the first there */
        int count = sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
        check(count > 0);
        check_int(count, sk_X509_OBJECT_num(X509_STORE_get0_objects(expected)));
    }
    weir_http_close(session);
    X509_STORE_free(expected);
}

static void a_directory_of_certificates_is_trusted(void)
{
    struct peer *peer = start_good(say_hello, NULL);
    struct peer *stranger = start_tls(say_hello, certs.self, certs.self_key, NULL);
    weir_http_options options = trusting_options();
    char url[PEER_URL_SIZE];

    options.ca_file = NULL;
    options.ca_path = certs.directory;
    weir_http *session = open_session(&options);
    struct outcome o = get(session, peer_url(peer, "/", url));
    check_outcome(o, WEIR_OK);
    check_text(o.body, "hello");
    o = get(session, peer_url(stranger, "/", url));
    check_outcome(o, WEIR_CONNECT);
    close_session(session);
    check_int(unlink(certs.link), 0); /* and without it that is a directory of nothing */
    session = open_session(&options);
    o = get(session, peer_url(peer, "/", url));
    check_outcome(o, WEIR_CONNECT);
    close_session(session);
    peer_stop(peer);
    peer_stop(stranger);
}

/* ---- who it is ---------------------------------------------------------------------------- */

static void ask_for_a_certificate(SSL_CTX *tls, void *arg)
{
    (void)arg;
    check_int(SSL_CTX_load_verify_file(tls, certs.ca), 1);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
}

static void a_server_that_asks_is_shown_the_sessions_own_certificate(void)
{
    static const struct {
        const char *cert_file;
        const char *key_file;
    } cases[] = {{certs.client, certs.client_key}, {certs.client_both, NULL}, {NULL, NULL}};
    struct peer *peer = peer_start(&(struct peer_options){.handler = say_hello,
                                                          .cert_file = certs.good,
                                                          .key_file = certs.good_key,
                                                          .prepare_tls = ask_for_a_certificate});
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 3; i++) {
        weir_http_options options = trusting_options();

        options.cert_file = cases[i].cert_file;
        options.key_file = cases[i].key_file;
        options.retry.total = 0;
        weir_http *session = open_session(&options);
        struct outcome o = get(session, peer_url(peer, "/", url));
        if (cases[i].cert_file != NULL) {
            check_outcome(o, WEIR_OK);
            check_text(o.body, "hello");
            check_int(get(session, url).report.opened, 0);
        } else {
            /* By TLS 1.3 a client learns that it was turned away after it has sent its request. */
            check(o.status == WEIR_DISCONNECTED || o.status == WEIR_CONNECT);
        }
        check_int(peer_requests(peer), i == 0 ? 2 : 4);
        close_session(session);
    }
    peer_stop(peer);
}

/* ---- how connections end ----------------------------------------------------------------- */

#define IDLE 8

static bool answer_or_hold(struct peer_exchange *x, void *arg)
{
    (void)arg;
    if (strcmp(x->target, "/hold") == 0 && !peer_hold(x))
        return false;
    return peer_reply(x, 200, "", "hello", 5);
}

/* Pitfall 2: libcurl 7.88 does not see a close_notify, and with several idle connections that have
 * one it fails without dialling. */
static void requests_after_the_server_closed_all_idle_connections_succeed(void)
{
    static const enum peer_end ends[] = {PEER_FIN, PEER_RST, PEER_ABRUPT};

    for (int i = 0; i < 3; i++) {
        struct peer *peer = start_good(answer_or_hold, NULL);
        weir_http *session = open_trusting();
        struct call calls[IDLE];
        char url[PEER_URL_SIZE];

        for (int k = 0; k < IDLE; k++)
            call_start(&calls[k], session, "GET", peer_url(peer, "/hold", url), -1);
        check(peer_wait(peer, PEER_HELD, IDLE));
        peer_let_go(peer);
        for (int k = 0; k < IDLE; k++)
            check_int(call_join(&calls[k]).http, 200);
        check_int(peer_open_connections(peer), IDLE);
        check(peer_end_idle(peer, IDLE, ends[i]));
        for (int k = 0; k < 20; k++) {
            struct outcome o = send_to(session, k % 2 == 0 ? "POST" : "GET", url, -1);
            check_outcome(o, WEIR_OK);
            check_int(o.report.attempts, 1);
        }
        check_int(peer_requests(peer), IDLE + 20);
        close_session(session);
        peer_stop(peer);
    }
}

/* Writes a response as it stands, and closes the connection. */
static bool answer_and_end(struct peer_exchange *x, void *arg)
{
    const enum peer_end *end = arg;

    if (strcmp(x->target, "/lost") != 0)
        peer_print(x, "HTTP/1.1 200 OK\r\n\r\nto the end");
    x->end = *end;
    return false;
}

static void a_response_that_ends_with_its_connection_is_whole(void)
{
    enum peer_end end = PEER_FIN;
    struct peer *peer = start_good(answer_and_end, &end);
    weir_http *session = open_trusting();
    char url[PEER_URL_SIZE];

    for (int i = 1; i <= 2; i++) {
        struct outcome o = get(session, peer_url(peer, "/", url));
        check_outcome(o, WEIR_OK);
        check_text(o.body, "to the end");
        check_int(peer_connections(peer), i);
    }
    close_session(session);
    peer_stop(peer);
}

static void a_request_lost_in_flight_is_classified_as_without_tls(void)
{
    static const enum peer_end ends[] = {PEER_FIN, PEER_RST, PEER_ABRUPT};

    for (int i = 0; i < 3; i++) {
        enum peer_end end = ends[i];
        struct peer *peer = start_good(answer_and_end, &end);
        weir_http_options options = trusting_options();
        char url[PEER_URL_SIZE];

        options.retry.total = 1;
        weir_http *session = open_session(&options);
        struct outcome o = get(session, peer_url(peer, "/lost", url));
        check_outcome(o, WEIR_DISCONNECTED);
        check_int(o.report.attempts, 2);
        o = send_to(session, "POST", url, -1);
        check_outcome(o, WEIR_AMBIGUOUS);
        check_int(o.report.attempts, 1);
        check_int(peer_requests(peer), 3);
        close_session(session);
        peer_stop(peer);
    }
}

static bool hello_after_release(struct peer_exchange *x, void *arg)
{
    (void)arg;
    if (strcmp(x->target, "/held") == 0 && !peer_hold(x))
        return false;
    return peer_read_body(x) && peer_reply(x, 200, "", "hello", 5);
}

struct post {
    weir_http *session;
    const char *url;
    const char *method;
    struct outcome outcome;
};

static void *send_post(void *arg)
{
    struct post *post = arg;

    post->outcome = send_to(post->session, post->method, post->url, -1);
    return NULL;
}

/* The pool looked at it before the wait, and libcurl does not see a close_notify. */
static void a_connection_that_dies_while_its_holder_waits_for_max_total_is_replaced(void)
{
    struct peer *peer = start_good(hello_after_release, NULL);
    struct peer *other = start_good(hello_after_release, NULL);
    weir_http_options options = trusting_options();
    char url[PEER_URL_SIZE];
    char held[PEER_URL_SIZE];
    pthread_t threads[2];

    options.max_total = 1;
    weir_http *session = open_session(&options);
    peer_url(peer, "/", url);
    struct outcome o = send_to(session, "GET", url, -1);
    check_outcome(o, WEIR_OK);
    struct post blocker = {session, peer_url(other, "/held", held), "GET", {0}};
    struct post post = {session, url, "POST", {0}};
    check_int(pthread_create(&threads[0], NULL, send_post, &blocker), 0);
    check(peer_wait(other, PEER_HELD, 1));
    check_int(pthread_create(&threads[1], NULL, send_post, &post), 0);
    weir_http_origin origins[2];
    do /* until it has its connection and waits for its turn on the wire */
        nap(1);
    while (weir_http_get_origins(session, origins, 2) != 2 || origins[0].pool.leased != 1 ||
           origins[1].pool.leased != 1);
    nap(20);
    check(peer_end_idle(peer, 1, PEER_FIN));
    nap(20);
    peer_let_go(other);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    check_outcome(blocker.outcome, WEIR_OK);
    check_outcome(post.outcome, WEIR_OK);
    check_int(post.outcome.report.attempts, 1);
    check_int(post.outcome.report.opened, 1);
    /* And nothing of it is left in the handle. */
    check_int(send_to(session, "GET", url, -1).report.opened, 0);
    close_session(session);
    peer_stop(peer);
    peer_stop(other);
}

/* ---- which HTTP it speaks ---------------------------------------------------------------- */

#define OFFERS_SIZE 256

/* Adds what a client offers to the text at `arg`, as "[h2,http/1.1]", and takes h2 if it can. */
static int record_and_prefer_h2(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_size,
                                const unsigned char *offered, unsigned offered_size, void *arg)
{
    static const unsigned char wanted[] = "\x02h2\x08http/1.1";
    size_t used = strlen(arg);
    char *text = arg;
    unsigned char *chosen = NULL;

    (void)ssl;
    for (unsigned i = 0; i < offered_size && used < OFFERS_SIZE; i += 1U + offered[i])
        used += (size_t)snprintf(text + used, OFFERS_SIZE - used, "%c%.*s", i == 0 ? '[' : ',',
                                 offered[i], (const char *)offered + i + 1);
    if (used < OFFERS_SIZE)
        snprintf(text + used, OFFERS_SIZE - used, "]");
    int found =
        SSL_select_next_proto(&chosen, ret_size, wanted, sizeof wanted - 1, offered, offered_size);
    *ret_chosen = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void prefer_h2(SSL_CTX *tls, void *arg)
{
    SSL_CTX_set_alpn_select_cb(tls, record_and_prefer_h2, arg);
}

/* Pitfall 25: what HTTP/2 says on a connection at rest looks to libcurl like its end, and a server's
 * GOAWAY like a failure. */
static void a_server_that_would_rather_speak_http_2_is_offered_http_1_1_alone(void)
{
    char offers[OFFERS_SIZE] = "";
    struct peer *peer = peer_start(&(struct peer_options){.handler = say_hello,
                                                          .arg = offers,
                                                          .cert_file = certs.good,
                                                          .key_file = certs.good_key,
                                                          .prepare_tls = prefer_h2});
    weir_http *session = open_trusting();
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 4; i++) {
        struct outcome o = get(session, peer_url(peer, "/", url));
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
        if (i == 1) /* the third request goes over a second connection */
            check(peer_end_idle(peer, 1, PEER_FIN));
    }
    check_int(peer_connections(peer), 2);
    check_int(peer_saw_times(peer, "GET / HTTP/1.1\r\n"), 4);
    close_session(session);
    peer_stop(peer);
    check_text(offers, "[http/1.1][http/1.1]");
}

/* ---- below HTTP -------------------------------------------------------------------------- */

/* What a server does with a connection before TLS begins. */
static bool greet_with(struct peer_exchange *x, void *arg)
{
    const char *text = arg;

    if (text[0] == '\0')
        return peer_hang(x);
    if (strcmp(text, "reset") == 0)
        x->end = PEER_RST;
    else if (strcmp(text, "close") != 0)
        peer_print(x, text);
    return false;
}

static void a_handshake_that_fails_is_no_connection_and_in_time(void)
{
    static const char *const greetings[] = {
        "",      "HTTP/1.1 400 Bad Request\r\n\r\n",
        "reset", "\x15\x03\x03\x00\x02\x02\x28" /* alert: handshake failure */,
        "close", "\x16\x03\x03\x40\x01 and nonsense"};

    for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
        struct peer *peer =
            peer_start(&(struct peer_options){.handler = say_hello,
                                              .greeter = greet_with,
                                              .arg = (void *)(uintptr_t)greetings[i],
                                              .cert_file = certs.good,
                                              .key_file = certs.good_key});
        weir_http_options options = trusting_options();
        char url[PEER_URL_SIZE];
        int before = check_failures_in_test;

        options.connect_timeout_ms = TRY_MS;
        options.retry.total = 1;
        weir_http *session = open_session(&options);
        struct outcome o = send_to(session, "POST", peer_url(peer, "/", url), -1);
        check_outcome(o, WEIR_CONNECT);
        check(!o.report.was_sent);
        check_took(o, 0, 2 * TRY_MS);
        check_int(peer_connections(peer), o.report.attempts);
        if (check_failures_in_test != before)
            printf("# greeting %zu\n", i);
        close_session(session);
        peer_stop(peer);
    }
}

static void https_to_an_http_server_and_the_reverse_fail_at_once(void)
{
    struct peer *plain = start_peer(say_hello, NULL);
    struct peer *tls = start_good(say_hello, NULL);
    weir_http_options options = trusting_options();
    char url[PEER_URL_SIZE];

    options.retry.total = 0;
    weir_http *session = open_session(&options);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", peer_port(plain));
    /* The server waits for the end of a line, which a ClientHello need not contain. */
    struct outcome o = send_to(session, "GET", url, TRY_MS);
    check(o.status == WEIR_CONNECT || o.status == WEIR_TIMEOUT);
    check_took(o, 0, TRY_MS);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", peer_port(tls));
    o = get(session, url);
    check(o.status == WEIR_PROTOCOL || o.status == WEIR_DISCONNECTED);
    check_took(o, 0, TRY_MS);
    check_int(peer_requests(plain) + peer_requests(tls), 0);
    close_session(session);
    peer_stop(plain);
    peer_stop(tls);
}

#define LARGE (4 * 1024 * 1024)

static bool reset_upload(struct peer_exchange *x, void *arg)
{
    (void)arg;
    peer_skip_body(x, 65536);
    x->end = PEER_RST;
    return false;
}

/* Pitfall 15: OpenSSL writes without MSG_NOSIGNAL. */
static void a_reset_under_a_large_upload_raises_no_signal(void)
{
    struct peer *peer = start_good(reset_upload, NULL);
    weir_http *session = open_trusting();
    char *body = calloc(1, LARGE);
    sigset_t signals;
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 10; i++) {
        weir_http_request *request = new_request("POST", peer_url(peer, "/", url));
        check_int(weir_http_request_body(request, body, LARGE, NULL), WEIR_OK);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_AMBIGUOUS);
        weir_http_request_close(request);
    }
    free(body);
    check_int(peer_requests(peer), 10);
    check_int(pthread_sigmask(SIG_SETMASK, NULL, &signals), 0);
    check_int(sigismember(&signals, SIGPIPE), 0);
    check_int(sigpending(&signals), 0);
    check_int(sigismember(&signals, SIGPIPE), 0);
    close_session(session);
    peer_stop(peer);
}

/* Pitfall 15: saying goodbye on connections whose other side is gone raises none either. */
static void closing_connections_that_were_reset_raises_no_signal(void)
{
    struct peer *peer = start_good(say_hello, NULL);
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 10; i++) {
        weir_http *session = open_trusting();
        check_text(get(session, peer_url(peer, "/", url)).body, "hello");
        check(peer_end_idle(peer, 1, i % 2 == 0 ? PEER_RST : PEER_FIN));
        if (i % 4 < 2)
            weir_http_evict_all(session);
        close_session(session);
    }
    peer_stop(peer);
}

static void what_cannot_be_used_as_a_certificate_is_said_at_open(void)
{
    const struct {
        const char *ca_file, *ca_path, *cert_file, *key_file, *text;
    } cases[] = {
        {"/nowhere/ca.pem", NULL, NULL, NULL, "ca_file \"/nowhere/ca.pem\""},
        {certs.good_key, NULL, NULL, NULL, "no certificates can be read"},
        {NULL, "/nowhere/ca", NULL, NULL, "ca_path \"/nowhere/ca\": is not a directory"},
        {NULL, certs.ca, NULL, NULL, "is not a directory"},
        {certs.ca, NULL, "/nowhere/cert.pem", certs.client_key, "cert_file \"/nowhere/cert.pem\""},
        {certs.ca, NULL, certs.client_key, certs.client_key, "no certificate can be read"},
        {certs.ca, NULL, certs.client, "/nowhere/key.pem", "key_file \"/nowhere/key.pem\""},
        {certs.ca, NULL, certs.client, certs.good_key, "that fits the certificate"},
        {certs.ca, NULL, certs.client, NULL, "no key"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;
        weir_http *session = NULL;

        o.ca_file = cases[i].ca_file;
        o.ca_path = cases[i].ca_path;
        o.cert_file = cases[i].cert_file;
        o.key_file = cases[i].key_file;
        check_int(weir_http_open(&o, &session, &error), WEIR_INVALID);
        check(session == NULL);
        check_contains(error.text, cases[i].text);
    }
}

int main(void)
{
    sigset_t pipe_signal;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &pipe_signal, NULL);
    signal(SIGPIPE, SIG_DFL);
    certs_make(&certs);
    run(requests_share_a_connection_whose_server_is_known);
    run(a_server_that_cannot_be_trusted_gets_nothing_and_is_tried_once);
    run(a_session_that_checks_and_one_that_does_not_share_nothing);
    run(without_a_word_the_systems_certificates_are_trusted);
    run(a_server_that_asks_is_shown_the_sessions_own_certificate);
    run(requests_after_the_server_closed_all_idle_connections_succeed);
    run(a_response_that_ends_with_its_connection_is_whole);
    run(a_request_lost_in_flight_is_classified_as_without_tls);
    run(a_connection_that_dies_while_its_holder_waits_for_max_total_is_replaced);
    run(a_server_that_would_rather_speak_http_2_is_offered_http_1_1_alone);
    run(a_handshake_that_fails_is_no_connection_and_in_time);
    run(https_to_an_http_server_and_the_reverse_fail_at_once);
    run(a_reset_under_a_large_upload_raises_no_signal);
    run(closing_connections_that_were_reset_raises_no_signal);
    run(what_cannot_be_used_as_a_certificate_is_said_at_open);
    run(a_directory_of_certificates_is_trusted);
    certs_remove(&certs);
    return check_done();
}
