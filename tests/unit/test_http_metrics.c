/* SPDX-License-Identifier: MIT */
/* What watching shows of an HTTP session. */
#include "unit/metrics_text.h"

#include "http/session.h"

static struct {
    weir_http_origin origins[100];
    size_t count;
    bool is_out_of_memory; /* it counts its origins, but lists none */
} http;

static weir_http *session;

/* Called in place of weir's own by what shows the session. */
size_t __wrap_weir_http_get_origins(weir_http *of, weir_http_origin *origins, size_t capacity);

size_t __wrap_weir_http_get_origins(weir_http *of, weir_http_origin *origins, size_t capacity)
{
    check(of == session);
    for (size_t i = 0; i < http.count && i < capacity && !http.is_out_of_memory; i++)
        origins[i] = http.origins[i];
    return http.count;
}

static void open_session(void)
{
    weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;

    o.name = "api";
    session = NULL;
    check_int(weir_http_open(&o, &session, &e), WEIR_OK);
}

static void watch_http(size_t origins)
{
    memset(&http, 0, sizeof http);
    http.count = origins;
    for (size_t i = 0; i < origins; i++) {
        snprintf(http.origins[i].name, sizeof http.origins[i].name, "https://h%zu.example:443", i);
        http.origins[i].budget_balance = -1;
    }
    open_metrics();
    open_session();
    check_int(weir_metrics_watch_http(registry, session, &e), WEIR_OK);
    check_int(session->listeners[0].mask,
              WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT) | WEIR_EVENT_BIT(WEIR_HTTP_EVENT_REQUEST));
}

static void unwatch_http(void)
{
    weir_metrics_unwatch_http(registry, session);
    weir_http_close(session);
    close_metrics();
}

#define ORIGIN_(host, port)                                                                        \
    "{weir_session_name=\"api\",server_address=\"" host "\",server_port=\"" port "\""
#define ORIGIN ORIGIN_("h0.example", "443")

static void an_origin_is_shown_with_its_policies(void)
{
    watch_http(1);
    weir_http_origin *o = &http.origins[0];
    o->has_pool = true;
    o->pool.leased = 3;
    o->pool.idle = 2;
    o->pool.waiters = 4;
    o->pool.timeouts = 5;
    o->breaker.state = WEIR_BREAKER_HALF_OPEN;
    o->breaker.not_permitted = 6;
    o->budget_balance = 7;
    o->budget_denied = 8;
    o->cool_downs = 9;
    o->cool_down_until = weir_now() + 1000 * WEIR_SECOND;
    o->in_flight = 10;
    o->requests = 11;
    o->attempts = 12;
    o->opened = 13;
    o->reused = 14;
    o->resends = 15;
    o->redirects = 16;
    o->failed_connect = 17;
    o->failed_read = 18;
    o->failed_other = 19;
    o->refused = 20;
    o->cancelled = 21;
    o->causes[WEIR_CAUSE_BACKOFF] = 22;
    o->causes[WEIR_CAUSE_BUDGET] = 23;
    render();
    check_line("http_client_open_connections" ORIGIN ",http_connection_state=\"active\"} 3");
    check_line("http_client_open_connections" ORIGIN ",http_connection_state=\"idle\"} 2");
    check_line("http_client_active_requests" ORIGIN "} 10");
    check_line("weir_http_pending_requests" ORIGIN "} 4");
    check_line("weir_http_connection_timeouts_total" ORIGIN "} 5");
    check_line("weir_http_breaker_state" ORIGIN ",weir_breaker_state=\"half_open\"} 1");
    check_line("weir_http_breaker_state" ORIGIN ",weir_breaker_state=\"open\"} 0");
    check_line("weir_http_breaker_state" ORIGIN ",weir_breaker_state=\"closed\"} 0");
    check_line("weir_http_breaker_rejected_total" ORIGIN "} 6");
    check_line("weir_http_budget_balance" ORIGIN "} 7");
    check_line("weir_http_budget_denied_total" ORIGIN "} 8");
    check_line("weir_http_cool_downs_total" ORIGIN "} 9");
    check_contains(text, "weir_http_cool_down_seconds" ORIGIN "} 999.");
    check_line("weir_http_requests_total" ORIGIN "} 11");
    check_line("weir_http_attempts_total" ORIGIN "} 12");
    check_line("weir_http_connections_opened_total" ORIGIN "} 13");
    check_line("weir_http_connections_reused_total" ORIGIN "} 14");
    check_line("weir_http_resends_total" ORIGIN "} 15");
    check_line("weir_http_redirects_total" ORIGIN "} 16");
    check_line("weir_http_failures_total" ORIGIN ",weir_failure=\"connect\"} 17");
    check_line("weir_http_failures_total" ORIGIN ",weir_failure=\"read\"} 18");
    check_line("weir_http_failures_total" ORIGIN ",weir_failure=\"other\"} 19");
    check_line("weir_http_refused_total" ORIGIN "} 20");
    check_line("weir_http_cancelled_total" ORIGIN "} 21");
    check_line("weir_http_retry_decisions_total" ORIGIN ",weir_retry_cause=\"backoff\"} 22");
    check_line("weir_http_retry_decisions_total" ORIGIN ",weir_retry_cause=\"budget\"} 23");
    check_line("weir_http_wait_time_seconds_count" ORIGIN "} 0");
    check_line("weir_http_origins{weir_session_name=\"api\"} 1");
    unwatch_http();
}

static void an_origin_without_pool_and_budget_shows_neither(void)
{
    watch_http(1);
    render();
    check(strstr(text, "http_client_open_connections") == NULL);
    check(strstr(text, "weir_http_budget_balance") == NULL);
    check_line("weir_http_cool_down_seconds" ORIGIN "} 0");
    unwatch_http();
}

static void of_many_origins_those_used_last_are_shown(void)
{
    watch_http(100);
    render();
    check_line("weir_http_origins{weir_session_name=\"api\"} 100");
    check_line("weir_http_requests_total" ORIGIN_("h63.example", "443") "} 0");
    check(strstr(text, "h64.example") == NULL);
    check(strstr(text, "overflow") == NULL);
    http.is_out_of_memory = true;
    check_contains(render(), "weir_http_origins");
    check(strstr(text, "weir_http_requests_total") == NULL);
    unwatch_http();
}

static void tell_http(weir_http_event_kind kind, const char *origin, const char *method, int status,
                      weir_time duration, const weir_error *error)
{
    const weir_http_event event = {
        .kind = kind,
        .session = session,
        .origin = origin,
        .method = method,
        .url = "never shown",
        .status = status,
        .duration = duration,
        .error = error,
    };

    session->listeners[0].function(&event, session->listeners[0].arg);
}

static void attempts_and_requests_are_shown_by_origin_method_and_status(void)
{
    const weir_error lost = {.status = WEIR_DISCONNECTED};
    const weir_error status = {.status = WEIR_RESPONSE};

    watch_http(0);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, "https://h0.example:443", "GET", 200, 20 * WEIR_MS, NULL);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, "https://h0.example:443", "GET", 503, 30 * WEIR_MS, &status);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, "http://[::1]:8080", "BREW", 0, WEIR_SECOND, &lost);
    tell_http(WEIR_HTTP_EVENT_REQUEST, "https://h0.example:443", "GET", 200, 50 * WEIR_SECOND,
              NULL);
    render();
#define ATTEMPT_COUNT "http_client_request_duration_seconds_count"
    check_line(ATTEMPT_COUNT ORIGIN
               ",http_request_method=\"GET\",http_response_status_code=\"200\"} 1");
    check_line(ATTEMPT_COUNT ORIGIN ",http_request_method=\"GET\",http_response_status_code=\"503\""
                                    ",error_type=\"503\"} 1");
    check_line(ATTEMPT_COUNT ORIGIN_(
        "[::1]", "8080") ",http_request_method=\"_OTHER\",error_type=\"disconnected\"} 1");
    check_line("weir_http_send_duration_seconds_bucket" ORIGIN
               ",http_request_method=\"GET\",le=\"30\"} 0");
    check_line("weir_http_send_duration_seconds_bucket" ORIGIN
               ",http_request_method=\"GET\",le=\"60\"} 1");
    check(strstr(text, "never shown") == NULL);
    unwatch_http();
}

static void origins_from_outside_are_bounded(void)
{
    char origin[280];

    watch_http(0);
    for (int i = 0; i < 1000; i++) {
        snprintf(origin, sizeof origin, "http://h%d.example:80", i);
        tell_http(WEIR_HTTP_EVENT_ATTEMPT, origin, "GET", 200, WEIR_MS, NULL);
    }
    memset(origin, 'x', sizeof origin);
    origin[sizeof origin - 1] = '\0'; /* cut before its port */
    memcpy(origin, "http://", 7);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, origin, "GET", 200, WEIR_MS, NULL);
    render();
    check_line(ATTEMPT_COUNT "{otel_metric_overflow=\"true\"} 745");
    unwatch_http();
}

static void ignore(const weir_http_event *event, void *arg)
{
    (void)event, (void)arg;
}

static void a_session_without_room_for_a_listener_is_not_watched(void)
{
    open_metrics();
    open_session();
    for (int i = 0; i < SESSION_LISTENERS; i++)
        check_int(weir_http_listen(session, 0, ignore, NULL, &e), WEIR_OK);
    check_int(weir_metrics_watch_http(registry, session, &e), WEIR_FULL);
    check_contains(e.text, "8 listeners");
    check_text(render(), "");
    weir_http_close(session);
    close_metrics();
}

static void a_session_is_watched_once(void)
{
    watch_http(1);
    check_int(weir_metrics_watch_http(registry, session, &e), WEIR_ALREADY);
    unwatch_http();
}

int main(void)
{
    run(an_origin_is_shown_with_its_policies);
    run(an_origin_without_pool_and_budget_shows_neither);
    run(of_many_origins_those_used_last_are_shown);
    run(attempts_and_requests_are_shown_by_origin_method_and_status);
    run(origins_from_outside_are_bounded);
    run(a_session_without_room_for_a_listener_is_not_watched);
    run(a_session_is_watched_once);
    return check_done();
}
