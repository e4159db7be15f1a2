/* SPDX-License-Identifier: MIT */
/* Redirects: which are followed, with what, where to, how often, and through whose breaker and rate limiter. */
#include "http_site.h"

/* ---- method and body ----------------------------------------------------------------------------- */

static const int codes[] = {301, 302, 303, 307, 308};

/* The method of the second request, by the code of the first one's answer. */
static const struct {
    const char *method;
    const char *next[5];
} methods[] = {
    {"GET", {"GET", "GET", "GET", "GET", "GET"}},
    {"HEAD", {"HEAD", "HEAD", "HEAD", "HEAD", "HEAD"}},
    {"POST", {"GET", "GET", "GET", "POST", "POST"}},
    {"PUT", {"PUT", "PUT", "GET", "PUT", "PUT"}},
    {"PATCH", {"PATCH", "PATCH", "GET", "PATCH", "PATCH"}},
    {"DELETE", {"DELETE", "DELETE", "GET", "DELETE", "DELETE"}},
};

static bool carries_body(const char *method)
{
    return method[0] == 'P';
}

static void check_second_request(const struct site *site, const char *first, const char *second)
{
    bool has_body = carries_body(first) && strcmp(first, second) == 0;
    const struct note *note = site_last(site);

    check_text(note->method, second);
    check_text(note->target, "/there");
    check_text(note->body, has_body ? "{\"a\":1}" : "");
    check((strcasestr(note->head, "Content-Type: application/json") != NULL) == has_body);
    check((strcasestr(note->head, "Content-Length: 7") != NULL) == has_body);
    check(strcasestr(note->head, "X-Plain: yes") != NULL);
}

static void each_code_goes_on_with_the_method_and_body_that_it_asks_for(void)
{
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0] * 5; i++) {
        const char *method = methods[i / 5].method;
        const char *next = methods[i / 5].next[i % 5];

        site_reset(&site);
        site_lead(&site, "/", codes[i % 5], "/there");
        struct call s = site_request(session, &site, method, "/");
        if (carries_body(method))
            weir_http_request_body(s.request, "{\"a\":1}", 7, "application/json");
        weir_http_request_header(s.request, "X-Plain", "yes");
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        check_int(s.report.redirects, 1);
        check_int(s.report.attempts, 2);
        check_int(site.count, 2);
        check_second_request(&site, method, next);
        if (check_failures_in_test > 0)
            printf("# with %s and %d\n", method, codes[i % 5]);
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

static void a_content_type_that_was_added_by_hand_goes_with_the_body_only(void)
{
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (int keeps = 0; keeps < 2; keeps++) {
        site_reset(&site);
        site_lead(&site, "/", keeps ? 307 : 303, "/there");
        struct call s = site_request(session, &site, "POST", "/");
        weir_http_request_header(s.request, "content-type", "text/by-hand");
        weir_http_request_body(s.request, "x", 1, "text/given");
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        check_contains(site.notes[0].head, "content-type: text/by-hand\r\n");
        check(strstr(site.notes[0].head, "text/given") == NULL);
        check((strstr(site.notes[1].head, "text/by-hand") != NULL) == keeps);
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

/* Fields of a content that stays behind (RFC 9110, 15.4), and some that only look like them. */
static const char *const of_content[] = {
    "Content-Encoding", "Content-Language", "content-location", "Content-Disposition",
    "Content-MD5",      "CONTENT-DIGEST",   "Content-Range",    "Repr-Digest",
    "digest",           "Last-Modified"};
static const char *const of_request[] = {"Digest-Wanted", "Accept-Language", "X-Content-Type",
                                         "If-Modified-Since", "Contented"};

static void add_all(weir_http_request *request, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        weir_http_request_header(request, names[i], "x-value");
}

static int count_all(const struct note *note, const char *const *names, size_t count)
{
    int found = 0;

    for (size_t i = 0; i < count; i++) {
        char line[64];

        snprintf(line, sizeof line, "\r\n%s: x-value\r\n", names[i]);
        found += strstr(note->head, line) != NULL;
    }
    return found;
}

static void what_describes_a_body_goes_when_the_body_does(void)
{
    static const struct {
        const char *method;
        int status;
        int kept;
    } cases[] = {{"POST", 301, 0},  {"POST", 302, 0}, {"POST", 303, 0},   {"PUT", 303, 0},
                 {"POST", 307, 10}, {"PUT", 302, 10}, {"DELETE", 303, 0}, {"GET", 303, 10}};
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        site_reset(&site);
        site_lead(&site, "/", cases[i].status, "/there");
        site_lead(&site, "/there", 307, "/further"); /* they do not come back */
        struct call s = site_request(session, &site, cases[i].method, "/");
        add_all(s.request, of_content, 10);
        add_all(s.request, of_request, 5);
        weir_http_request_header(s.request, "Content-Language", ""); /* an empty one, too */
        if (cases[i].method[0] == 'P')
            weir_http_request_body(s.request, "x", 1, "text/plain");
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        check_int(site.count, 3);
        check_int(count_all(&site.notes[0], of_content, 10), 10);
        for (int k = 1; k < 3; k++) {
            check_int(count_all(&site.notes[k], of_content, 10), cases[i].kept);
            check_int(count_all(&site.notes[k], of_request, 5), 5);
            check((strstr(site.notes[k].head, "Content-Language:\r\n") != NULL) ==
                  (cases[i].kept > 0));
        }
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

/* A body that is read while it is sent. */
struct text_reader {
    size_t at;
    int rewinds;
};

static weir_status read_text(void *arg, char *buffer, size_t size, size_t *ret_size,
                             weir_error *reterr)
{
    static const char text[] = "from a reader";
    struct text_reader *r = arg;
    size_t left = sizeof text - 1 - r->at;

    (void)reterr;
    *ret_size = left < size ? left : size;
    memcpy(buffer, text + r->at, *ret_size);
    r->at += *ret_size;
    return WEIR_OK;
}

static weir_status rewind_text(void *arg, weir_error *reterr)
{
    struct text_reader *r = arg;

    (void)reterr;
    r->at = 0;
    r->rewinds++;
    return WEIR_OK;
}

static void a_body_from_a_reader_is_read_again_if_it_can_be(void)
{
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    site_lead(&site, "/", 307, "/there");
    for (int can_rewind = 0; can_rewind < 2; can_rewind++) {
        struct text_reader text = {0};
        weir_http_reader reader = {read_text, can_rewind ? rewind_text : NULL, &text, 13};
        struct call s = site_request(session, &site, "PUT", "/");

        weir_http_request_reader(s.request, &reader, "text/plain");
        call_go(&s);
        check_int(site.count, can_rewind ? 3 : 1);
        check_text(site_last(&site)->body, "from a reader");
        check_int(text.rewinds, can_rewind);
        if (can_rewind) {
            check(call_is(&s, WEIR_OK, 200));
        } else {
            check(call_is(&s, WEIR_RESPONSE, 0));
            check_int(s.error.native, 307);
            check_int(s.report.cause, WEIR_CAUSE_BODY);
            check_contains(s.error.text, "body");
        }
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

static weir_status collect(void *arg, const char *data, size_t size, weir_error *reterr)
{
    (void)reterr;
    strncat(arg, data, size);
    return WEIR_OK;
}

static bool send_away(struct peer_exchange *x, void *arg)
{
    (void)arg;
    return peer_reply(x, 302, "Location: /there\r\n", "moved", 5);
}

static void a_redirect_that_is_passed_on_has_its_body(void)
{
    struct peer *peer = peer_start(&(struct peer_options){.handler = send_away});
    weir_http_options o = scene_options(NULL);
    char url[PEER_URL_SIZE];

    for (int i = 0; i < 3; i++) {
        o.follow_redirects = i != 0;
        o.retry.redirect = i == 1 ? WEIR_RETRY_DISABLED : 2;
        o.retry.raise_on_redirect = i != 2;
        weir_http *session = scene_open(&o);
        weir_http_response *response = NULL;
        weir_error error;
        check_int(weir_http_get(session, peer_url(peer, "/", url), &response, &error), WEIR_OK);
        if (response != NULL) {
            check_int(weir_http_response_status(response), 302);
            check_text(weir_http_response_body(response, NULL), "moved");
        }
        weir_http_response_close(response);
        weir_http_close(session);
    }
    check_int(peer_requests(peer), 1 + 1 + 3);
    peer_stop(peer);
}

static void a_sink_is_given_the_last_body_only(void)
{
    static struct site site;
    char text[64] = "";
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    site_lead(&site, "/", 302, "/there");
    struct call s = site_request(session, &site, "GET", "/");
    weir_http_request_sink(s.request, collect, text);
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_text(text, "here");
    call_end(&s);
    weir_http_close(session);
    site_close(&site);
}

/* ---- where to ------------------------------------------------------------------------------------ */

static void a_location_is_taken_from_where_it_was_said(void)
{
    static const struct {
        const char *location; /* @ stands for the site's host and port */
        const char *target;
    } rows[] = {
        {"http://@/abs?q=1", "/abs?q=1"},
        {"HTTP://@/abs", "/abs"},
        {"http://@", "/"},
        {"//@/net", "/net"},
        {"/path", "/path"},
        {"sibling", "/a/sibling"},
        {"./sibling", "/a/sibling"},
        {"../up", "/up"},
        {"../../../up", "/up"},
        {"?x=2", "/a/b?x=2"},
        {"/path#fragment", "/path"},
        {"  /blanks\t", "/blanks"},
        {"/with space", "/with%20space"},
        {"/f\xC3\xBCr", "/f%C3%BCr"},
        {"/kept%2Fas%20is", "/kept%2Fas%20is"},
        {"a:b/relative", NULL}, /* "a" would be a scheme */
        {"./a:b", "/a/a:b"},
        {"://x/", "/a/://x/"}, /* and no scheme is none */
    };
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char location[256];
        char full[PEER_URL_SIZE];
        const char *at = strchr(rows[i].location, '@');

        if (at == NULL)
            snprintf(location, sizeof location, "%s", rows[i].location);
        else
            snprintf(location, sizeof location, "%.*s127.0.0.1:%d%s", (int)(at - rows[i].location),
                     rows[i].location, peer_port(site.peer), at + 1);
        site_reset(&site);
        site_lead(&site, "/a/b?x=1", 302, location);
        struct call s = site_request(session, &site, "GET", "/a/b?x=1");
        call_go(&s);
        if (rows[i].target == NULL) {
            check(call_is(&s, WEIR_PROTOCOL, 0));
        } else {
            check(call_is(&s, WEIR_OK, 200));
            check_text(site_last(&site)->target, rows[i].target);
            check_text(s.response == NULL ? NULL : weir_http_response_url(s.response),
                       peer_url(site.peer, rows[i].target, full));
        }
        call_end(&s);
    }
    weir_http_close(session);
    site_close(&site);
}

/* Pitfalls 6 and 12. */
static void nobody_follows_to_another_scheme_to_a_user_and_password_or_to_nowhere(void)
{
    static const char *const locations[] = {
        "",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,hi",
        "gopher://127.0.0.1:70/",
        "scp://127.0.0.1/",
        "http://",
        "http:///nowhere",
        "http:nowhere",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://127.0.0.1:0/",
        "http://[::1/",
        "http://hunter:hunter2@127.0.0.1/",
        "//hunter:hunter2@127.0.0.1/",
        "http://hunter2@127.0.0.1/",
        "http://127.0.0.1%2Fhunter2/",
        "http://host name/hunter2",
        "http://127.0.0.1\\@hunter2/",
    };
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (size_t i = 0; i < sizeof locations / sizeof locations[0]; i++) {
        site_reset(&site);
        site_lead(&site, "/", 302, locations[i]);
        struct call s = site_send(session, &site, "GET", "/");
        check(call_is(&s, WEIR_PROTOCOL, 0));
        check(strstr(s.error.text, "unsupported redirect target: ") != NULL ||
              strstr(s.error.text, "Location: ") != NULL);
        check(strstr(s.error.text, "hunter2") == NULL);
        check_int(s.report.status, 302);
        check_int(s.report.redirects, 0);
        check_int(site.count, 1);
        if (check_failures_in_test > 0)
            printf("# to %s: %s\n", locations[i], s.error.text);
    }
    weir_http_close(session);
    site_close(&site);
}

static void what_is_no_redirect_is_returned(void)
{
    static const struct {
        int status;
        const char *headers;
    } rows[] = {
        {300, "Location: /there\r\n"},  {304, "Location: /there\r\n"},
        {305, "Location: /there\r\n"},  {306, "Location: /there\r\n"},
        {201, "Location: /there\r\n"},  {302, ""},
        {307, "Locations: /there\r\n"},
    };
    static struct site site;
    weir_http_options o = scene_options(NULL);
    weir_http *session = scene_open(&o);

    site_open(&site, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        site_reset(&site);
        site_route(&site, "/", rows[i].status, rows[i].headers);
        struct call s = site_send(session, &site, "GET", "/");
        check(call_is(&s, WEIR_OK, rows[i].status));
        check_int(s.report.redirects, 0);
        check_int(site.count, 1);
    }
    weir_http_close(session);
    site_close(&site);
}

static void without_follow_redirects_the_answer_is_returned_as_it_is(void)
{
    static struct site site;
    weir_http_options o = scene_options(NULL);

    site_open(&site, NULL);
    site_lead(&site, "/", 302, "/there");
    for (int by_request = 0; by_request < 2; by_request++) {
        o.follow_redirects = by_request;
        weir_http *session = scene_open(&o);
        struct call s = site_request(session, &site, "GET", "/");

        if (by_request)
            weir_http_request_follow_redirects(s.request, false);
        call_go(&s);
        check(call_is(&s, WEIR_OK, 302));
        check_text(weir_http_response_header(s.response, "location"), "/there");
        check_text(weir_http_response_body(s.response, NULL), "away");
        check_int(s.report.redirects, 0);

        /* And the other way round. */
        weir_http_request_follow_redirects(s.request, true);
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        check_text(weir_http_response_body(s.response, NULL), "here");
        call_end(&s);
        weir_http_close(session);
    }
    site_close(&site);
}

/* ---- how often ----------------------------------------------------------------------------------- */

/* A loop over two sites, with a limit of redirects; -3: the default. */
static struct call go_round(int limit, bool raises, int *ret_requests)
{
    static struct site one;
    static struct site two;
    weir_http_options o = scene_options(NULL);

    site_open(&one, NULL);
    site_open(&two, NULL);
    site_lead_to(&one, "/", 302, &two, "/");
    site_lead_to(&two, "/", 307, &one, "/");
    if (limit != -3)
        o.retry.redirect = limit;
    o.retry.raise_on_redirect = raises;
    o.retry.total = 0;
    weir_http *session = scene_open(&o);
    struct call s = site_send(session, &one, "GET", "/");
    *ret_requests = one.count + two.count;
    weir_http_close(session);
    site_close(&one);
    site_close(&two);
    return s;
}

static void a_loop_ends_at_the_limit_of_redirects_which_do_not_count_as_repeats(void)
{
    int requests = 0;

    struct call s = go_round(5, true, &requests);
    check(call_is(&s, WEIR_LIMIT, 0));
    check_int(requests, 6);
    check_int(s.report.redirects, 5);
    check_int(s.report.cause, WEIR_CAUSE_EXHAUSTED);
    check_contains(s.error.text, "307");

    s = go_round(0, true, &requests);
    check(call_is(&s, WEIR_LIMIT, 0));
    check_int(requests, 1);
    s = go_round(-3, true, &requests);
    check(call_is(&s, WEIR_LIMIT, 0));
    check_int(requests, 31);
}

static void without_raise_on_redirect_the_last_one_is_returned(void)
{
    int requests = 0;

    struct call s = go_round(4, false, &requests);
    check(call_is(&s, WEIR_OK, 302));
    check_int(requests, 5);
    s = go_round(WEIR_RETRY_DISABLED, true, &requests);
    check(call_is(&s, WEIR_OK, 302));
    check_int(requests, 1);
    check_int(s.report.cause, WEIR_CAUSE_DISABLED);
}

/* One site that leads to another, which fails, on a clock; `first` is what the one says before. */
struct way {
    struct scene_clock clock;
    struct site one;
    struct site two;
    weir_http *session;
};

static struct call go_to_a_failure(struct way *way, int first)
{
    scene_clock_init(&way->clock);
    site_open(&way->one, &way->clock);
    site_open(&way->two, &way->clock);
    if (first != 0)
        site_route(&way->one, "/", first, "");
    site_lead_to(&way->one, "/", 302, &way->two, "/down");
    site_route(&way->two, "/down", 503, "");
    weir_http_options o = scene_options(&way->clock);
    o.retry.jitter = WEIR_JITTER_NONE;
    way->session = scene_open(&o);
    struct call s = site_send(way->session, &way->one, "GET", "/");
    check(call_is(&s, WEIR_RESPONSE, 0));
    return s;
}

static void way_close(struct way *way)
{
    weir_http_close(way->session);
    site_close(&way->one);
    site_close(&way->two);
}

static void a_failure_behind_a_redirect_is_repeated_there(void)
{
    static struct way way;
    struct call s = go_to_a_failure(&way, 0);

    check_int(way.one.count, 1);
    check_int(way.two.count, 4);
    check_int(s.report.attempts, 5);
    check_int(s.report.redirects, 1);
    way_close(&way);
}

/* weir_retry_state.failures: what fails behind a redirect is a first failure again. */
static void a_redirect_ends_the_row_of_failures(void)
{
    static struct way way;
    struct call s = go_to_a_failure(&way, 503);

    check_int(s.report.attempts, 5);
    check_int(way.one.came[1] - way.one.came[0], 300 * WEIR_MS);
    check_int(way.two.came[1] - way.two.came[0], 300 * WEIR_MS);
    check_int(way.two.came[2] - way.two.came[1], 600 * WEIR_MS);
    way_close(&way);
}

static void what_was_sent_before_a_redirect_stays_sent(void)
{
    static struct site site;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);

    o.retry.total = 0;
    site_open(&site, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", peer_unused_port());
    site_lead(&site, "/", 307, url);
    weir_http *session = scene_open(&o);
    struct call s = site_send(session, &site, "POST", "/");
    check(call_is(&s, WEIR_CONNECT, 0));
    check_int(s.report.attempts, 2);
    check_int(s.report.status, 307);
    check(s.report.was_sent);
    check_contains(s.error.text, url);
    weir_http_close(session);
    site_close(&site);
}

static void a_redirect_with_retry_after_is_followed_then(void)
{
    static struct site site;
    struct scene_clock clock;

    scene_clock_init(&clock);
    site_open(&site, &clock);
    site_route(&site, "/", 302, "Location: /there\r\nRetry-After: 3\r\n");
    weir_http_options o = scene_options(&clock);
    o.retry.jitter = WEIR_JITTER_NONE;
    weir_http *session = scene_open(&o);
    struct call s = site_send(session, &site, "GET", "/");

    check(call_is(&s, WEIR_OK, 200));
    check_int(site.came[1] - site.came[0], 3 * WEIR_SECOND);
    check_int(s.report.paused, 3 * WEIR_SECOND);
    weir_http_close(session);
    site_close(&site);
}

static void the_deadline_holds_over_all_redirects_together(void)
{
    static struct site site;
    char url[PEER_URL_SIZE];
    weir_http_options o = scene_options(NULL);

    site_open(&site, NULL);
    site.pause_ms = 40;
    site_lead(&site, "/", 302, "/");
    o.retry.redirect = WEIR_RETRY_UNLIMITED;
    weir_http *session = scene_open(&o);
    struct call s = fetch(session, "GET", peer_url(site.peer, "/", url), weir_deadline_in(200));

    check(call_is(&s, WEIR_TIMEOUT, 0));
    check(s.took >= 199 * WEIR_MS);
    check(s.took < 200 * WEIR_MS + AT_ONCE);
    check(peer_requests(site.peer) >= 2 && peer_requests(site.peer) <= 5);
    check_contains(s.error.text, "deadline");
    weir_http_close(session);
    site_close(&site);
}

/* ---- through whose breaker and rate limiter ------------------------------------------------------------------ */

static void each_hop_passes_the_breaker_and_rate_limiter_of_its_own_origin(void)
{
    static struct site one;
    static struct site two;
    struct scene_clock clock;
    char url[PEER_URL_SIZE];
    weir_rate_limit_options slow = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
    weir_error error;

    scene_clock_init(&clock);
    site_open(&one, &clock);
    site_open(&two, &clock);
    site_lead_to(&one, "/", 302, &two, "/");
    weir_http_options o = scene_options(&clock);
    o.use_breaker = true;
    weir_http *session = scene_open(&o);
    peer_url(two.peer, "/", url);
    slow.rate = 1;
    check_int(weir_http_set_rate_limit(session, url, &slow, 0, &error), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        struct call s = site_send(session, &one, "GET", "/");
        check(call_is(&s, WEIR_OK, 200));
        check_int(two.came[i] - CLOCK_START, i * WEIR_SECOND);
        check_int(s.report.waited, i == 0 ? 0 : WEIR_SECOND);
    }

    check_int(weir_http_set_breaker(session, url, WEIR_BREAKER_FORCED_OPEN, &error), WEIR_OK);
    struct call s = site_send(session, &one, "GET", "/");
    check(call_is(&s, WEIR_REFUSED, 0));
    check_int(s.report.redirects, 1);
    check_int(s.report.attempts, 1);
    check(s.report.was_sent);
    check_int(two.count, 3);

    /* And each origin counts what it saw. */
    weir_http_origin first = scene_origin(session, peer_url(one.peer, "", url));
    weir_http_origin second = scene_origin(session, peer_url(two.peer, "", url));
    check_int(first.redirects, 4);
    check_int(first.responses[3], 4);
    check_int(first.requests, 4);
    check_int(second.redirects, 0);
    check_int(second.responses[2], 3);
    check_int(second.refused, 1);
    check_int(first.breaker.counts.failed, 0);
    weir_http_close(session);
    site_close(&one);
    site_close(&two);
}

int main(void)
{
    run(each_code_goes_on_with_the_method_and_body_that_it_asks_for);
    run(a_content_type_that_was_added_by_hand_goes_with_the_body_only);
    run(what_describes_a_body_goes_when_the_body_does);
    run(a_body_from_a_reader_is_read_again_if_it_can_be);
    run(a_redirect_that_is_passed_on_has_its_body);
    run(a_sink_is_given_the_last_body_only);
    run(a_location_is_taken_from_where_it_was_said);
    run(nobody_follows_to_another_scheme_to_a_user_and_password_or_to_nowhere);
    run(what_is_no_redirect_is_returned);
    run(without_follow_redirects_the_answer_is_returned_as_it_is);
    run(a_loop_ends_at_the_limit_of_redirects_which_do_not_count_as_repeats);
    run(without_raise_on_redirect_the_last_one_is_returned);
    run(a_failure_behind_a_redirect_is_repeated_there);
    run(a_redirect_ends_the_row_of_failures);
    run(what_was_sent_before_a_redirect_stays_sent);
    run(a_redirect_with_retry_after_is_followed_then);
    run(the_deadline_holds_over_all_redirects_together);
    run(each_hop_passes_the_breaker_and_rate_limiter_of_its_own_origin);
    return check_done();
}
