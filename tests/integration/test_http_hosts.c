/* SPDX-License-Identifier: MIT */
/* Hosts with names of other scripts: what goes out is their ASCII form, everywhere. */
#include "http/session.h"

#include "http_certs.h"
#include "http_steps.h"

#include <openssl/ssl.h>

/* libcurl looks names below localhost up by itself. */
#define BOOKS                                                                                      \
    "b\xC3\xBC"                                                                                    \
    "cher.localhost"
#define LOUD_BOOKS                                                                                 \
    "B\xC3\x9C"                                                                                    \
    "CHER\xE3\x80\x82Localhost"
#define ASCII_BOOKS "xn--bcher-kva.localhost"

/* "/to1": a redirect to the second of the places, whose "~" is the port. */
static bool lead(struct peer_exchange *x, void *arg)
{
    char line[512];
    const char *const *locations = arg;

    if (strncmp(x->target, "/to", 3) != 0)
        return peer_reply(x, 200, "", "hello", 5);
    const char *location = locations[atoi(x->target + 3)];
    snprintf(line, sizeof line, "Location: %.*s%d%s\r\n", (int)strcspn(location, "~"), location,
             peer_port(x->peer), strchr(location, '~') + 1);
    return peer_reply(x, 302, line, NULL, 0);
}

/* ---- one host ---------------------------------------------------------------------------- */

static void both_forms_of_a_name_are_one_origin(void)
{
    static const char *const hosts[] = {BOOKS, LOUD_BOOKS, ASCII_BOOKS, "XN--BCHER-KVA.localhost"};
    struct peer *peer = start_peer(say_hello, NULL);
    weir_http *session = open_quick();
    weir_http_origin origins[4];
    char url[PEER_URL_SIZE];
    char host[PEER_URL_SIZE];

    for (size_t i = 0; i < 8; i++) {
        weir_http_request *request =
            new_request("GET", peer_url_at(peer, hosts[i % 4], "/p?q", url));
        weir_http_response *response = NULL;
        check_int(weir_http_send(session, request, WEIR_DEADLINE_DEFAULT, &response, &error),
                  WEIR_OK);
        if (response != NULL && i % 4 < 3) {
            check_text(weir_http_request_url(request), peer_url_at(peer, ASCII_BOOKS, "/p?q", url));
            check_text(weir_http_response_url(response), url);
        }
        weir_http_response_close(response);
        weir_http_request_close(request);
    }
    check_int(peer_connections(peer), 1);
    check_int(peer_requests(peer), 8);
    check_int((int)weir_http_get_origins(session, origins, 4), 1);
    snprintf(host, sizeof host, "http://" ASCII_BOOKS ":%d", peer_port(peer));
    check_text(origins[0].name, host);
    snprintf(host, sizeof host, "\r\nHost: " ASCII_BOOKS ":%d\r\n", peer_port(peer));
    check_int(peer_saw_times(peer, host), 6);
    check(!peer_saw(peer, "\xC3"));
    close_session(session);
    peer_stop(peer);
}

static void what_is_no_name_is_refused_before_anything_goes_out(void)
{
    static const char *const hosts[] = {"b\xFC"
                                        "cher.localhost",
                                        "b%C3%BC"
                                        "cher.localhost",
                                        "\xC3\xBC..localhost", "a\xD7\x90.localhost"};
    weir_http_request *request = NULL;
    char url[128];

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(url, sizeof url, "http://%s/?hunter2", hosts[i]);
        error = (weir_error){0};
        check_int(weir_http_request_open("GET", url, &request, &error), WEIR_INVALID);
        check_contains(error.text, "URL, position ");
        check(strstr(error.text, "hunter2") == NULL);
        check(request == NULL);
    }
}

/* ---- redirects --------------------------------------------------------------------------- */

static void a_location_leads_to_an_international_host(void)
{
    static const char *locations[] = {
        "http://" BOOKS ":~/caf\xC3\xA9?\xE9",
        "//" LOUD_BOOKS ":~/{\xE9}",
        "http://" ASCII_BOOKS ":~/a b",
        "http://b%C3%BC"
        "cher.localhost:~/",
        "http://b\xFC"
        "cher.localhost:~/",
    };
    static const char *const targets[] = {"GET /caf%C3%A9?%E9 ", "GET /%7B%E9%7D ", "GET /a%20b "};
    struct peer *peer = start_peer(lead, locations);
    weir_http *session = open_quick();
    char path[16];
    char url[PEER_URL_SIZE];

    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "/to%zu", i);
        struct outcome o = get(session, peer_url(peer, path, url));
        check_outcome(o, i < 3 ? WEIR_OK : WEIR_PROTOCOL);
        if (i < 3) {
            check_int(o.http, 200);
            check(peer_saw(peer, targets[i]));
        } else {
            check_contains(o.error.text, "unsupported redirect target");
        }
    }
    check_int(peer_connections(peer), 2); /* one for each origin */
    snprintf(url, sizeof url, "\r\nHost: " ASCII_BOOKS ":%d\r\n", peer_port(peer));
    check_int(peer_saw_times(peer, url), 3);
    close_session(session);
    peer_stop(peer);
}

/* Its own secrets go along to the same host in its other form, and to no other. */
static void a_secret_goes_to_the_other_form_and_to_no_other_host(void)
{
    static const char *locations[] = {
        "http://" BOOKS ":~/house",
        "http://b\xC3\xBB"
        "cher.localhost:~/away",
    };
    struct peer *peer = start_peer(lead, locations);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 2; i++) {
        weir_http_request *request =
            new_request("GET", peer_url_at(peer, ASCII_BOOKS, i == 0 ? "/to0" : "/to1", url));
        weir_http_request_bearer(request, "hunter2");
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
        check_int(o.report.redirects, 1);
        check_int(peer_saw_times(peer, "hunter2"), i == 0 ? 2 : 1);
        peer_forget(peer);
        weir_http_request_close(request);
    }
    close_session(session);
    peer_stop(peer);
}

/* ---- TLS --------------------------------------------------------------------------------- */

static char asked_name[256];

static int note_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert, (void)arg;
    snprintf(asked_name, sizeof asked_name, "%s", name != NULL ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

static void watch_names(SSL_CTX *tls, void *arg)
{
    (void)arg;
    SSL_CTX_set_tlsext_servername_callback(tls, note_name);
}

static void a_certificate_is_that_of_the_ascii_form(void)
{
    static const struct {
        const char *host;
        const char *name;
        weir_status status;
    } cases[] = {
        {BOOKS, ASCII_BOOKS, WEIR_OK},
        {LOUD_BOOKS, ASCII_BOOKS, WEIR_OK},
        {"b\xC3\xBB"
         "cher.localhost",
         "xn--bcher-eva.localhost", WEIR_CONNECT},
    };
    struct certs certs;
    char url[PEER_URL_SIZE];

    certs_make(&certs);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer *peer = peer_start(&(struct peer_options){.handler = say_hello,
                                                              .cert_file = certs.good,
                                                              .key_file = certs.good_key,
                                                              .prepare_tls = watch_names});
        weir_http_options options = quick_options();

        options.verify_tls = true;
        options.ca_file = certs.ca;
        weir_http *session = open_session(&options);
        struct outcome o = get(session, peer_url_at(peer, cases[i].host, "/", url));
        check_outcome(o, cases[i].status);
        close_session(session);
        peer_stop(peer);
        check_text(asked_name, cases[i].name);
    }
    certs_remove(&certs);
}

/* ---- proxies ----------------------------------------------------------------------------- */

static void a_proxy_has_such_a_name_and_hosts_past_it_too(void)
{
    struct peer *proxy = start_peer(say_hello, NULL);
    struct peer *peer = start_peer(say_hello, NULL);
    weir_http_options options = quick_options();
    char by[PEER_URL_SIZE];
    char url[PEER_URL_SIZE];

    options.proxy = peer_url_at(proxy, LOUD_BOOKS, "", by);
    options.no_proxy = "other.test, *.\xC3\xBC.localhost";
    weir_http *session = open_session(&options);
    struct outcome o = get(session, peer_url_at(peer, "\xC3\xBC.localhost", "/a", url));
    check_outcome(o, WEIR_OK);
    check_int(peer_requests(proxy), 1);
    snprintf(url, sizeof url, "GET http://xn--tda.localhost:%d/a ", peer_port(peer));
    check(peer_saw(proxy, url));
    o = get(session, peer_url_at(peer, "a.\xC3\x9C.localhost", "/b", url));
    check_outcome(o, WEIR_OK);
    check_int(peer_requests(proxy), 1);
    check_int(peer_requests(peer), 1);
    close_session(session);
    peer_stop(peer);
    peer_stop(proxy);
}

int main(void)
{
    run(both_forms_of_a_name_are_one_origin);
    run(what_is_no_name_is_refused_before_anything_goes_out);
    run(a_location_leads_to_an_international_host);
    run(a_secret_goes_to_the_other_form_and_to_no_other_host);
    run(a_certificate_is_that_of_the_ascii_form);
    run(a_proxy_has_such_a_name_and_hosts_past_it_too);
    return check_done();
}
