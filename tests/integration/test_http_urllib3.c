/* SPDX-License-Identifier: MIT */
/* The preset of urllib3 on the wire: its table row by row, attempt by attempt. */
#include "http_certs.h"
#include "http_scene.h"
#include "unit/urllib3_table.h"

#define NEVER WEIR_DEADLINE_NEVER

/* Preset, change, and a rate limiter without cool-downs: urllib3 has none. */
static weir_http_options row_options(const struct urllib3_row *row, struct scene_clock *clock)
{
    weir_http_options o = scene_options(clock);

    o.retry = (weir_retry_options)WEIR_RETRY_OPTIONS_URLLIB3;
    if (row->change != NULL)
        row->change(&o.retry);
    o.rate_limit.max_cool_down_s = 0;
    if (row->timed_out)
        o.try_timeout_ms = 60;
    return o;
}

static void row_server(const struct urllib3_row *row, struct scene_clock *clock, char *headers,
                       size_t size, struct server *ret_server)
{
    int length = 0;

    headers[0] = '\0';
    for (int i = 0; i < 2 && row->asks[i] != NULL; i++)
        length +=
            snprintf(headers + length, size - (size_t)length, "Retry-After: %s\r\n", row->asks[i]);
    server_start(ret_server, clock, row->status, headers);
    if (row->kind == WEIR_ATTEMPT_READ)
        atomic_store(&ret_server->mood, row->timed_out ? SERVER_HANGS : SERVER_DROPS);
    if (row->kind == WEIR_ATTEMPT_CONNECT)
        snprintf(ret_server->url, sizeof ret_server->url, "http://127.0.0.1:%d/",
                 peer_unused_port());
}

/* The status that a row's end becomes. */
static weir_status row_status(const struct urllib3_row *row)
{
    if (row->verdict == WEIR_VERDICT_RETURN)
        return WEIR_OK;
    if (row->kind == WEIR_ATTEMPT_RESPONSE)
        return WEIR_RESPONSE;
    if (row->kind == WEIR_ATTEMPT_CONNECT)
        return WEIR_CONNECT;
    if (row->cause == WEIR_CAUSE_UNKNOWN)
        return WEIR_AMBIGUOUS;
    return row->timed_out ? WEIR_TIMEOUT : WEIR_DISCONNECTED;
}

/* What the server saw, what listeners heard, and where the clock stands agree with the row. */
static void check_pauses(const struct urllib3_row *row, struct server *server,
                         const struct ear *ear, const struct call *s)
{
    weir_time sum = 0;

    for (int i = 0; i + 1 < row->attempts; i++) {
        weir_time pause = row->sleeps_ms[i] * WEIR_MS;

        sum += pause;
        check_int(ear_at(ear, WEIR_HTTP_EVENT_RETRY, i)->event.delay, pause);
        if (row->kind != WEIR_ATTEMPT_CONNECT)
            check_int(server->came[i + 1] - server->came[i], pause);
    }
    check_int(s->report.paused, sum);
    check_int(server_now(server) - CLOCK_START, sum);
}

static void play(const struct urllib3_row *row)
{
    static struct ear ear;
    struct scene_clock clock;
    struct server server;
    char headers[128];

    scene_clock_init(&clock);
    row_server(row, &clock, headers, sizeof headers, &server);
    weir_http_options o = row_options(row, &clock);
    weir_http *session = scene_open(&o);
    ear_attach(&ear, session, WEIR_EVENT_BIT(WEIR_HTTP_EVENT_RETRY));
    struct call s = fetch(session, row->method, server.url, NEVER);

    check(call_is(&s, row_status(row), row->verdict == WEIR_VERDICT_RETURN ? row->status : 0));
    check_text(weir_retry_cause_name(s.report.cause), weir_retry_cause_name(row->cause));
    check_int(s.report.attempts, row->attempts);
    check_int(s.report.status, row->status);
    check_int(s.report.resends, 0);
    check_int(ear_count(&ear, WEIR_HTTP_EVENT_RETRY), row->attempts - 1);
    check_int(peer_requests(server.peer), row->kind == WEIR_ATTEMPT_CONNECT ? 0 : row->attempts);
    if (s.status == WEIR_RESPONSE)
        check_int(s.error.native, row->status);
    check_pauses(row, &server, &ear, &s);
    weir_http_close(session);
    server_stop(&server);
}

URLLIB3_TABLE(URLLIB3_TEST)

/* "…, -0500" for an instant so many seconds ahead, without a weekday. */
static void write_date(char *text, size_t size, int ahead_s, const char *zone, int offset_s)
{
    time_t at = time(NULL) + ahead_s + offset_s;
    struct tm parts;
    char date[64];

    gmtime_r(&at, &parts);
    strftime(date, sizeof date, "%d %b %Y %H:%M:%S", &parts);
    snprintf(text, size, "Retry-After: %s %s\r\n", date, zone);
}

/* Everybody's rate limiter, too, not only the request's own pause. */
static void a_date_that_python_reads_is_waited_for_by_the_rule_alone(void)
{
    static const struct {
        const char *zone;
        int offset_s;
    } zones[] = {{"-0500", -18000}, {"PDT", -25200}, {"+0200", 7200}, {"", 0}};

    for (int i = 0; i < 8; i++) {
        struct scene_clock clock;
        struct server server;
        char headers[128];
        weir_retry_options urllib3 = WEIR_RETRY_OPTIONS_URLLIB3;
        bool is_urllib3 = i % 2 == 1;

        write_date(headers, sizeof headers, 100, zones[i / 2].zone, zones[i / 2].offset_s);
        scene_clock_init(&clock);
        server_start(&server, &clock, 429, headers);
        weir_http_options o = scene_options(&clock);
        if (is_urllib3)
            o.retry = urllib3;
        o.retry.total = 1;
        weir_http *session = scene_open(&o);
        struct call s = fetch(session, "GET", server.url, NEVER);
        check(call_is(&s, WEIR_RESPONSE, 0));
        weir_http_origin origin = scene_origin(session, server.origin);
        if (is_urllib3) {
            check(s.report.paused > 90 * WEIR_SECOND && s.report.paused <= 100 * WEIR_SECOND);
            check(origin.cool_down_until > server_now(&server) + 90 * WEIR_SECOND);
            check_int(origin.invalid_retry_afters, 0);
        } else {
            check(s.report.paused < WEIR_SECOND);
            check_int(origin.cool_down_until, 0);
            check_int(origin.invalid_retry_afters, 2);
        }
        weir_http_close(session);
        server_stop(&server);
    }
}

/* Its errors of the kind `other`, TLS above all; weir does not think that they pass. */
static void urllib3_repeats_a_wrong_certificate_and_weirs_default_does_not(void)
{
    struct scene_clock clock;
    struct certs certs;
    char url[PEER_URL_SIZE];

    scene_clock_init(&clock);
    certs_make(&certs);
    struct peer *peer = peer_start(&(struct peer_options){
        .handler = server_act, .cert_file = certs.self, .key_file = certs.self_key});
    weir_http_options o = scene_options(&clock);
    o.verify_tls = true;
    o.ca_file = certs.ca;
    weir_http *session = scene_open(&o);
    struct call s = call_make(session, "PATCH", peer_url(peer, "/", url));

    s.deadline = NEVER;
    call_go(&s);
    check(call_is(&s, WEIR_CONNECT, 0));
    check_int(s.report.attempts, 1);
    weir_http_request_retry(s.request, &(weir_retry_options)WEIR_RETRY_OPTIONS_URLLIB3);
    call_go(&s);
    check(call_is(&s, WEIR_CONNECT, 0));
    check_int(s.report.attempts, 4);
    check_int(s.report.paused, 1800 * WEIR_MS);
    check_int(peer_requests(peer), 0);
    call_end(&s);
    weir_http_close(session);
    peer_stop(peer);
    certs_remove(&certs);
}

int main(void)
{
    URLLIB3_TABLE(URLLIB3_RUN)
    run(a_date_that_python_reads_is_waited_for_by_the_rule_alone);
    run(urllib3_repeats_a_wrong_certificate_and_weirs_default_does_not);
    return check_done();
}
