/* SPDX-License-Identifier: MIT */
/* Secrets and other people's settings: what stays with its origin, what is never sent, what is refused before. */
#include "http_certs.h"
#include "http_site.h"

#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- pitfall 6: secrets stay with the origin that they are for --------------------------------- */

static const char *const secret_names[] = {
    "Authorization", "Cookie", "Proxy-Authorization", "X-API-Key", "xc-token", "xc-auth", "X-Mine"};

/* Add every kind of secret, each with "s3cret" in it, and two headers that are none. */
static void add_secrets(weir_http_request *request)
{
    weir_http_request_header(request, "Authorization", "Custom s3cret");
    weir_http_request_header(request, "COOKIE", "sid=s3cret");
    weir_http_request_header(request, "proxy-authorization", "Custom s3cret");
    weir_http_request_header(request, "x-api-key", "s3cret");
    weir_http_request_header(request, "XC-Token", "s3cret");
    weir_http_request_header(request, "xc-auth", "s3cret");
    check_int(weir_http_request_secret(request, "X-Mine", "s3cret"), WEIR_OK);
    weir_http_request_header(request, "X-Plain", "yes");
    weir_http_request_header(request, "Idempotency-Key", "key-1");
}

static bool has_header(const struct note *note, const char *name)
{
    char line[64];

    snprintf(line, sizeof line, "\r\n%s:", name);
    return strcasestr(note->head, line) != NULL;
}

static int count_secrets(const struct note *note)
{
    int count = 0;

    for (size_t i = 0; i < sizeof secret_names / sizeof secret_names[0]; i++)
        count += has_header(note, secret_names[i]);
    return count;
}

/* A request with all secrets, whose redirects must all be followed. */
static void send_secrets(weir_http *session, const char *url)
{
    struct call s = call_make(session, "GET", url);

    add_secrets(s.request);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    call_end(&s);
}

static void all_secrets_go_to_the_own_origin_also_after_redirects_within_it(void)
{
    static struct site one;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&one, NULL);
    site_lead(&one, "/", 302, "/two");
    site_lead_to(&one, "/two", 307, &one, "/three");
    send_secrets(session, peer_url(one.peer, "/", url));
    check_int(one.count, 3);
    for (int i = 0; i < 3; i++) {
        check_int(count_secrets(&one.notes[i]), 7);
        check(has_header(&one.notes[i], "X-Plain"));
        check(!has_header(&one.notes[i], "Referer"));
    }
    weir_http_close(session);
    site_close(&one);
}

static void no_secret_reaches_another_origin_and_none_comes_back_on_the_way_back(void)
{
    static struct site one;
    static struct site two;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&one, NULL);
    site_open(&two, NULL);
    site_lead_to(&one, "/", 302, &two, "/");
    site_lead_to(&two, "/", 307, &one, "/back");
    site_lead(&one, "/back", 308, "/end");
    send_secrets(session, peer_url(one.peer, "/", url));
    check_int(one.count, 3);
    check_int(two.count, 1);
    check_int(count_secrets(&one.notes[0]), 7);
    check_int(count_secrets(&two.notes[0]), 0);
    check_int(count_secrets(&one.notes[1]), 0);
    check_int(count_secrets(&one.notes[2]), 0);
    check(!peer_saw(two.peer, "s3cret"));
    check(has_header(&two.notes[0], "X-Plain"));
    check(has_header(&two.notes[0], "Idempotency-Key"));

    /* The host that is named is the one that is asked. */
    snprintf(url, sizeof url, "Host: 127.0.0.1:%d\r\n", peer_port(two.peer));
    check_contains(two.notes[0].head, url);

    /* The next call begins anew, also over the same connections. */
    send_secrets(session, peer_url(one.peer, "/", url));
    check_int(count_secrets(&one.notes[3]), 7);
    check_int(count_secrets(&two.notes[1]), 0);
    weir_http_close(session);
    site_close(&one);
    site_close(&two);
}

static void the_same_port_under_another_name_is_another_origin(void)
{
    static struct site one;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&one, NULL);
    site_lead(&one, "/", 302, peer_url_at(one.peer, "localhost", "/there", url));
    send_secrets(session, peer_url(one.peer, "/", url));
    check_int(one.count, 2);
    check_int(count_secrets(&one.notes[1]), 0);
    weir_http_close(session);
    site_close(&one);
}

static void another_scheme_is_another_origin_both_ways(void)
{
    static struct site plain;
    static struct site tls;
    struct certs certs;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);

    certs_make(&certs);
    site_open(&plain, NULL);
    site_open_tls(&tls, NULL, certs.good, certs.good_key);
    site_lead_to(&tls, "/down", 302, &plain, "/there");
    site_lead_to(&plain, "/up", 302, &tls, "/there");
    o.verify_tls = true;
    o.ca_file = certs.ca;
    weir_http *session = scene_open(&o);
    send_secrets(session, peer_url(tls.peer, "/down", url));
    check_int(count_secrets(&tls.notes[0]), 7);
    check_int(count_secrets(&plain.notes[0]), 0);
    send_secrets(session, peer_url(plain.peer, "/up", url));
    check_int(count_secrets(&plain.notes[1]), 7);
    check_int(count_secrets(&tls.notes[1]), 0);
    weir_http_close(session);
    site_close(&plain);
    site_close(&tls);
    certs_remove(&certs);
}

static void bearer_and_basic_authorization_stay_behind_too(void)
{
    static struct site one;
    static struct site two;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&one, NULL);
    site_open(&two, NULL);
    site_lead_to(&one, "/", 302, &two, "/");
    for (int is_basic = 0; is_basic < 2; is_basic++) {
        struct call s = site_request(session, &one, "GET", "/");
        if (is_basic)
            weir_http_request_basic_auth(s.request, "hunter", "s3cret");
        else
            weir_http_request_bearer(s.request, "s3cret");
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        call_end(&s);
    }
    check_contains(one.notes[0].head, "Authorization: Bearer s3cret\r\n");
    check_contains(one.notes[1].head, "Authorization: Basic aHVudGVyOnMzY3JldA==\r\n");
    check(!has_header(&two.notes[0], "Authorization"));
    check(!has_header(&two.notes[1], "Authorization"));
    weir_http_close(session);
    site_close(&one);
    site_close(&two);
}

/* A header of one request must not be on the next one over the same connection. */
static void nothing_of_a_request_stays_on_its_connection(void)
{
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    struct call s = site_request(session, &site, "POST", "/");
    add_secrets(s.request);
    weir_http_request_body(s.request, "s3cret", 6, "text/s3cret");
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    call_end(&s);
    check(peer_saw(site.peer, "s3cret"));
    peer_forget(site.peer);
    static const char *const next[] = {"GET", "POST", "HEAD", "DELETE", "GET"};
    for (int i = 0; i < 5; i++) {
        s = site_send(session, &site, next[i], "/");
        check(call_is(&s, WEIR_OK, 200));
        check_text(site_last(&site)->method, next[i]);
        check_text(site_last(&site)->body, "");
        check(!has_header(site_last(&site), "Content-Type"));
        check(!has_header(site_last(&site), "X-Plain"));
    }
    check(!peer_saw(site.peer, "s3cret"));
    check_int(peer_connections(site.peer), 1);
    weir_http_close(session);
    site_close(&site);
}

/* ---- pitfall 7: the environment, netrc, proxies --------------------------------------------------- */

static const char *const proxy_names[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                          "HTTPS_PROXY", "all_proxy",  "ALL_PROXY"};

/* Settings of other programs, which point to a proxy and to a password. */
struct surroundings {
    char home[64];
    char netrc[96];
};

static void surround(struct surroundings *around, const char *proxy)
{
    snprintf(around->home, sizeof around->home, "/tmp/weir-home-XXXXXX");
    if (mkdtemp(around->home) == NULL)
        bail_out("no directory");
    snprintf(around->netrc, sizeof around->netrc, "%s/.netrc", around->home);
    FILE *file = fopen(around->netrc, "w");
    if (file == NULL)
        bail_out("no .netrc");
    fputs("machine 127.0.0.1 login hunter password s3cret\n"
          "default login hunter password s3cret\n",
          file);
    fclose(file);
    chmod(around->netrc, 0600);
    setenv("HOME", around->home, 1);
    setenv("NETRC", around->netrc, 1);
    for (size_t i = 0; i < sizeof proxy_names / sizeof proxy_names[0]; i++)
        setenv(proxy_names[i], proxy, 1);
}

static void unsurround(const struct surroundings *around)
{
    for (size_t i = 0; i < sizeof proxy_names / sizeof proxy_names[0]; i++)
        unsetenv(proxy_names[i]);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    unsetenv("NETRC");
    unlink(around->netrc);
    rmdir(around->home);
}

static void proxies_of_the_environment_and_netrc_are_not_asked(void)
{
    static struct site site;
    static struct site proxy;
    struct surroundings around;
    char url[PEER_URL_SIZE];

    site_open(&site, NULL);
    site_open(&proxy, NULL);
    surround(&around, peer_url(proxy.peer, "", url));
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);
    struct call s = site_send(session, &site, "GET", "/");
    check(call_is(&s, WEIR_OK, 200));
    site_route(&site, "/locked", 401, "WWW-Authenticate: Basic realm=\"x\"\r\n");
    s = site_send(session, &site, "GET", "/locked");
    check(call_is(&s, WEIR_OK, 401));
    check_int(site.count, 2);
    check_int(peer_connections(proxy.peer), 0);
    check(!peer_saw(site.peer, "Authorization"));
    weir_http_close(session);
    unsurround(&around);
    site_close(&site);
    site_close(&proxy);
}

static void proxy_from_environment_asks_it_and_heeds_no_proxy(void)
{
    weir_error error;
    static struct site site;
    static struct site proxy;
    struct surroundings around;
    char url[PEER_URL_SIZE];

    site_open(&site, NULL);
    site_open(&proxy, NULL);
    surround(&around, peer_url(proxy.peer, "", url));
    weir_http_options o = scene_options(NULL);
    o.proxy_from_environment = true;
    weir_http *session = scene_open(&o);
    struct call s = get(session, "http://nowhere.invalid/path?q=1");
    check(call_is(&s, WEIR_OK, 200));
    check_int(proxy.count, 1);
    check_text(proxy.notes[0].target, "http://nowhere.invalid/path?q=1");
    check_contains(proxy.notes[0].head, "Host: nowhere.invalid\r\n");
    check(!peer_saw(proxy.peer, "Authorization"));
    weir_http_close(session);

    setenv("no_proxy", "127.0.0.1", 1);
    session = scene_open(&o);
    s = site_send(session, &site, "GET", "/");
    check(call_is(&s, WEIR_OK, 200));
    check_int(site.count, 1);
    check_int(proxy.count, 1);
    weir_http_close(session);

    setenv("no_proxy", "*.test, 127.0.0.0/8:80", 1);
    check_int(weir_http_open(&o, &session, &error), WEIR_INVALID);
    check_contains(error.text, "no_proxy of the environment, position 20: expected a number");
    unsurround(&around);
    site_close(&site);
    site_close(&proxy);
}

/* What a request says of its URL is what the server is asked for, and its redirects likewise. */
static void the_url_of_a_request_is_what_was_on_the_wire(void)
{
    static const char *const targets[] = {"/p?", "/?", "/p?a=%41&b", "/p//q?x?", "/p"};
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char url[PEER_URL_SIZE];

        site_reset(&site);
        site_lead(&site, "/from", 302, targets[i]);
        struct call s = site_request(session, &site, "GET", targets[i]);
        check_text(weir_http_request_url(s.request), peer_url(site.peer, targets[i], url));
        call_go(&s);
        check_text(site_last(&site)->target, targets[i]);
        call_end(&s);
        s = site_request(session, &site, "GET", "/from");
        call_go(&s);
        check_text(site_last(&site)->target, targets[i]);
        check_text(weir_http_response_url(s.response), url);
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

/* libcurl quotes a proxy that it cannot use, password and all. */
static void a_proxy_of_the_environment_that_cannot_be_used_is_not_quoted(void)
{
    static const char *const proxies[] = {
        "http://user:hun#s3cret@127.0.0.1:3128", "ftp://user:s3cret@127.0.0.1:3128",
        "http://user:s3cret@127.0.0.1:99999", "http://user:s3cret@[::1", "://user:s3cret@x"};

    for (size_t i = 0; i < sizeof proxies / sizeof proxies[0]; i++) {
        struct surroundings around;
        weir_http_options o = scene_options(NULL);

        surround(&around, proxies[i]);
        o.proxy_from_environment = true;
        o.retry.total = 0;
        weir_http *session = scene_open(&o);
        struct call s = get(session, "http://nowhere.invalid/");
        check(s.status != WEIR_OK);
        check(strstr(s.error.text, "s3cret") == NULL);
        weir_http_close(session);
        unsurround(&around);
    }
}

static void the_proxy_of_the_options_is_asked_whatever_the_environment_says(void)
{
    static struct site site;
    static struct site proxy;
    struct surroundings around;
    char url[PEER_URL_SIZE];

    site_open(&site, NULL);
    site_open(&proxy, NULL);
    surround(&around, "http://127.0.0.1:1");
    setenv("NO_PROXY", "*", 1);
    setenv("no_proxy", "*", 1);
    weir_http_options o = scene_options(NULL);
    o.proxy = peer_url(proxy.peer, "", url);
    o.no_proxy = "direct.invalid, 127.0.0.1";
    weir_http *session = scene_open(&o);
    struct call s = get(session, "http://nowhere.invalid/");
    check(call_is(&s, WEIR_OK, 200));
    check_int(proxy.count, 1);
    s = site_send(session, &site, "GET", "/");
    check(call_is(&s, WEIR_OK, 200));
    check_int(proxy.count, 1);
    check_int(site.count, 1);
    weir_http_close(session);

    o.no_proxy = NULL;
    session = scene_open(&o);
    s = site_send(session, &site, "GET", "/by-proxy");
    check(call_is(&s, WEIR_OK, 200));
    check_int(proxy.count, 2);
    check_int(site.count, 1);
    weir_http_close(session);
    unsurround(&around);
    site_close(&site);
    site_close(&proxy);
}

/* No text that anybody may read holds what must stay secret. */
static void check_discreet(const struct ear *ear, const struct call *s, const char *secret)
{
    check(strstr(s->error.text, secret) == NULL);
    for (int i = 0; i < ear->count; i++) {
        check(strstr(ear->heard[i].text, secret) == NULL);
        check(strstr(ear->heard[i].url, secret) == NULL);
        check(strstr(ear->heard[i].origin, secret) == NULL);
    }
}

static void a_proxys_password_goes_to_the_proxy_alone_and_into_no_text(void)
{
    static struct site proxy;
    static struct site site;
    static struct ear ear;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);

    site_open(&proxy, NULL);
    site_open(&site, NULL);
    snprintf(url, sizeof url, "http://hunter:s3cret@127.0.0.1:%d", peer_port(proxy.peer));
    o.proxy = url;
    o.no_proxy = "127.0.0.1";
    o.retry.total = 0;
    weir_http *session = scene_open(&o);
    ear_attach(&ear, session, ~0u);
    site_lead_to(&proxy, "http://nowhere.invalid/", 302, &site, "/");
    struct call s = get(session, "http://nowhere.invalid/");
    check(call_is(&s, WEIR_OK, 200));
    check_contains(proxy.notes[0].head, "Proxy-Authorization: Basic aHVudGVyOnMzY3JldA==\r\n");
    check_int(site.count, 1);
    check(!peer_saw(site.peer, "Authorization"));
    check(!peer_saw(site.peer, "s3cret"));

    /* A tunnel that is refused: the proxy learns neither the path nor the secrets of the request. */
    site_route(&proxy, "nowhere.invalid:443", 407, "Proxy-Authenticate: Basic realm=\"x\"\r\n");
    s = call_make(session, "GET", "https://nowhere.invalid/path");
    weir_http_request_bearer(s.request, "t0ken");
    call_go(&s);
    check(call_is(&s, WEIR_CONNECT, 0));
    check_text(site_last(&proxy)->method, "CONNECT");
    check(!peer_saw(proxy.peer, "t0ken"));
    check(!peer_saw(proxy.peer, "/path"));
    check_discreet(&ear, &s, "s3cret");
    check_discreet(&ear, &s, "t0ken");
    call_end(&s);

    /* A proxy that is not there any more. */
    site_close(&proxy);
    s = get(session, "http://nowhere.invalid/");
    check(call_is(&s, WEIR_CONNECT, 0));
    check_discreet(&ear, &s, "s3cret");
    check_discreet(&ear, &s, "hunter");
    weir_http_close(session);
    site_close(&site);
}

static void a_malformed_proxy_is_refused_without_its_password(void)
{
    static const char *const proxies[] = {
        "ftp://hunter:s3cret@127.0.0.1:1", "http://hunter:s3cret@",
        "http://hunter:s3cret@127.0.0.1:99999", "http://hunter:s3cret@127.0.0.1\r\n:1"};

    for (size_t i = 0; i < sizeof proxies / sizeof proxies[0]; i++) {
        weir_http_options o = scene_options(NULL);
        weir_http *session = NULL;
        weir_error error = {0};

        o.proxy = proxies[i];
        check_int(weir_http_open(&o, &session, &error), WEIR_INVALID);
        check_contains(error.text, "proxy");
        check(strstr(error.text, "s3cret") == NULL);
        check(session == NULL);
    }
}

/* ---- pitfalls 11 and 12: what would be read as something else --------------------------------------- */

static void line_breaks_and_control_characters_are_refused_before_anything_is_sent(void)
{
    static const struct {
        const char *name;
        const char *value;
    } rows[] = {
        {"X-A", "s3cret\r\nX-B: 1"}, {"X-A", "s3cret\nX-B: 1"},
        {"X-A", "s3cret\rX-B: 1"},   {"X-A", "s3cret\x01"},
        {"X-A", "s3cret\x7F"},       {"X-A\r\nX-B", "s3cret"},
        {"X-A\n", "s3cret"},         {"X A", "s3cret"},
        {"X-A:", "s3cret"},          {"", "s3cret"},
        {"X-\xC3\xA4", "s3cret"},
    };
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] * 2; i++) {
        const char *name = rows[i / 2].name;
        const char *value = rows[i / 2].value;
        struct call s = site_request(session, &site, "GET", "/");

        check_int(i % 2 ? weir_http_request_secret(s.request, name, value)
                        : weir_http_request_header(s.request, name, value),
                  WEIR_INVALID);
        check(strstr(weir_http_request_error(s.request)->text, "s3cret") == NULL);
        call_go(&s);
        check(call_is(&s, WEIR_INVALID, 0));
        check(strstr(s.error.text, "s3cret") == NULL);
        call_end(&s);
    }
    struct call s = site_request(session, &site, "POST", "/");
    check_int(weir_http_request_body(s.request, "x", 1, "text/plain\r\nX-B: 1"), WEIR_INVALID);
    call_end(&s);
    s = site_request(session, &site, "POST", "/");
    check_int(weir_http_request_bearer(s.request, "s3cret\r\nX-B: 1"), WEIR_INVALID);
    check_int(weir_http_request_idempotency_key(s.request, "k\r\nX-B: 1"), WEIR_INVALID);
    check_int(weir_http_request_basic_auth(s.request, "hunter:2", "s3cret"), WEIR_INVALID);
    call_go(&s);
    check(call_is(&s, WEIR_INVALID, 0));
    call_end(&s);
    check_int(peer_connections(site.peer), 0);
    weir_http_close(session);
    site_close(&site);
}

static void methods_and_urls_that_could_be_read_in_two_ways_are_refused(void)
{
    static const char *const bad_methods[] = {"GET / HTTP/1.1\r\nX:", "GE T", "", "GET\n",
                                              "G\xC3\x84T"};
    static const char *const urls[] = {
        "http://127.0.0.1/\r\nX-B: 1",
        "http://127.0.0.1/a b",
        "http://127.0.0.1\\@other/",
        "http://hunter:s3cret@127.0.0.1/",
        "http://127.0.0.1%2Fother/",
        "http:///nowhere",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "127.0.0.1",
        "",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1/\x7F",
    };
    weir_http_request *request = NULL;
    weir_error error;

    for (size_t i = 0; i < sizeof bad_methods / sizeof bad_methods[0]; i++)
        check_int(weir_http_request_open(bad_methods[i], "http://127.0.0.1/", &request, &error),
                  WEIR_INVALID);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        check_int(weir_http_request_open("GET", urls[i], &request, &error), WEIR_INVALID);
        check(strstr(error.text, "s3cret") == NULL);
    }
    check(request == NULL);
}

static void a_segment_or_query_pair_stays_what_it_is_on_the_wire(void)
{
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    struct call s = site_request(session, &site, "GET", "/records?v=1");
    check_int(weir_http_request_segment(s.request, "../admin?x=#%2f"), WEIR_OK);
    check_int(weir_http_request_query(s.request, "q&a", "1=2 + 3&x=\r\n"), WEIR_OK);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_text(site.notes[0].target,
               "/records/..%2Fadmin%3Fx%3D%23%252f?v=1&q%26a=1%3D2%20%2B%203%26x%3D%0D%0A");
    check_int(weir_http_request_segment(s.request, ".."), WEIR_INVALID);
    call_go(&s);
    check(call_is(&s, WEIR_INVALID, 0));
    check_int(site.count, 1);
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

int main(void)
{
    run(all_secrets_go_to_the_own_origin_also_after_redirects_within_it);
    run(no_secret_reaches_another_origin_and_none_comes_back_on_the_way_back);
    run(the_same_port_under_another_name_is_another_origin);
    run(another_scheme_is_another_origin_both_ways);
    run(bearer_and_basic_authorization_stay_behind_too);
    run(nothing_of_a_request_stays_on_its_connection);
    run(proxies_of_the_environment_and_netrc_are_not_asked);
    run(the_url_of_a_request_is_what_was_on_the_wire);
    run(proxy_from_environment_asks_it_and_heeds_no_proxy);
    run(a_proxy_of_the_environment_that_cannot_be_used_is_not_quoted);
    run(the_proxy_of_the_options_is_asked_whatever_the_environment_says);
    run(a_proxys_password_goes_to_the_proxy_alone_and_into_no_text);
    run(a_malformed_proxy_is_refused_without_its_password);
    run(line_breaks_and_control_characters_are_refused_before_anything_is_sent);
    run(methods_and_urls_that_could_be_read_in_two_ways_are_refused);
    run(a_segment_or_query_pair_stays_what_it_is_on_the_wire);
    return check_done();
}
