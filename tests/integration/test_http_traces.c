/* SPDX-License-Identifier: MIT */
/* The traceparent that leaves with each attempt, and the span that it names. */
#include "http_site.h"
#include "unit/trace_steps.h"

static struct site site;
static struct site other;
static weir_http *session;
static weir_tracer *tracer;
static weir_span root;

static void set_up(double sample_ratio, const weir_trace_context *parent, const char *tracestate)
{
    weir_http_options o = scene_options(NULL);

    o.retry.total = 2;
    o.retry.backoff_factor_ms = 1;
    site_open(&site, NULL);
    site_open(&other, NULL);
    session = scene_open(&o);
    check_int(
        weir_http_listen(session, WEIR_TRACE_HTTP_EVENTS, weir_trace_on_http_event, NULL, NULL),
        WEIR_OK);
    tracer = open_tracer(sample_ratio, 64);
    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, parent, tracestate);
}

static void tear_down(void)
{
    weir_span_end(&root);
    weir_http_close(session);
    site_close(&site);
    site_close(&other);
    weir_tracer_close(tracer);
}

/* How often a field came with a request. */
static int count_fields(const struct note *note, const char *name)
{
    int count = 0;

    for (const char *at = strcasestr(note->head, name); at != NULL; at = strcasestr(at + 1, name))
        count += at > note->head && at[-1] == '\n';
    return count;
}

/* The traceparent that came with a request; all zero: none, or not exactly one. */
static weir_trace_context sent_with(const struct note *note)
{
    weir_trace_context context = {0};
    char text[WEIR_TRACEPARENT_SIZE];
    const char *at = strcasestr(note->head, "\r\ntraceparent: ");

    if (at == NULL || count_fields(note, "traceparent:") != 1)
        return context;
    snprintf(text, sizeof text, "%.55s", at + strlen("\r\ntraceparent: "));
    check(weir_traceparent_parse(text, &context));
    return context;
}

/* Whether the finished span of that number is a child of the root, under the id that a request told. */
static bool is_span_of(uint64_t number, const struct note *note)
{
    weir_span span = finished(tracer, number);
    weir_trace_context sent = sent_with(note);

    return is_child_of(&span, &root) && is_same_id(span.context.span_id, sent.span_id, 8) &&
           is_same_id(span.context.trace_id, sent.trace_id, 16) && sent.is_sampled;
}

static void an_attempt_tells_the_server_the_id_of_its_span(void)
{
    set_up(1, NULL, NULL);
    struct call s = site_send(session, &site, "GET", "/path?key=secret");
    check(call_is(&s, WEIR_OK, 200));
    check_int(weir_tracer_count(tracer), 1);
    check(is_span_of(0, site_last(&site)));
    weir_span span = finished(tracer, 0);
    check_text(span.name, "GET");
    check_contains(text_of(&span, "url.full"), "/path");
    check(strstr(text_of(&span, "url.full"), "secret") == NULL);
    check_text(text_of(&span, "server.address"), "127.0.0.1");
    check_int(number_of(&span, "server.port"), peer_port(site.peer));
    check_int(count_fields(site_last(&site), "tracestate:"), 0);
    tear_down();
}

static void each_attempt_has_a_span_and_an_id_of_its_own(void)
{
    set_up(1, NULL, NULL);
    site_route(&site, "/", 503, "");
    struct call s = site_send(session, &site, "GET", "/");
    check(call_is(&s, WEIR_RESPONSE, 0));
    check_int(s.report.attempts, 3);
    check_int(weir_tracer_count(tracer), 3);
    for (int i = 0; i < 3; i++) {
        check(is_span_of((uint64_t)i, &site.notes[i]));
        weir_span span = finished(tracer, (uint64_t)i);
        check_int(number_of(&span, "http.request.resend_count"), i == 0 ? NO_NUMBER : i);
        check_text(text_of(&span, "error.type"), "503");
    }
    check(!is_same_id(sent_with(&site.notes[0]).span_id, sent_with(&site.notes[1]).span_id, 8));
    tear_down();
}

static void redirects_are_traced_and_other_origins_told(void)
{
    set_up(1, NULL, NULL);
    site_lead_to(&site, "/", 302, &other, "/there");
    struct call s = site_send(session, &site, "GET", "/");
    check(call_is(&s, WEIR_OK, 200));
    check_int(weir_tracer_count(tracer), 2);
    check(is_span_of(0, site_last(&site)));
    check(is_span_of(1, site_last(&other)));
    tear_down();
}

static void an_unsampled_trace_is_passed_on_and_not_recorded(void)
{
    set_up(0, NULL, NULL);
    struct call s = site_send(session, &site, "GET", "/");
    check(call_is(&s, WEIR_OK, 200));
    weir_trace_context sent = sent_with(site_last(&site));
    check(is_same_id(sent.trace_id, root.context.trace_id, 16) && !sent.is_sampled);
    check(!is_same_id(sent.span_id, root.context.span_id, 8));
    check_int(weir_tracer_count(tracer), 0);
    tear_down();
}

static void a_tracestate_goes_on_as_it_came(void)
{
    static const weir_trace_context parent = {{1}, {2}, true};

    set_up(1, &parent, "vendor=a b,other=1");
    struct call s = site_request(session, &site, "POST", "/");
    weir_http_request_body(s.request, "{}", 2, "application/json");
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check_contains(site_last(&site)->head, "\r\ntracestate: vendor=a b,other=1\r\n");
    check(is_same_id(sent_with(site_last(&site)).trace_id, parent.trace_id, 16));
    check_text(site_last(&site)->body, "{}");
    call_end(&s);
    tear_down();
}

static void a_request_with_a_traceparent_of_its_own_keeps_it(void)
{
    static const char own[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const weir_trace_context parent = {{1}, {2}, true};
    char text[WEIR_TRACEPARENT_SIZE];

    set_up(1, &parent, "a=1");
    struct call s = site_request(session, &site, "GET", "/");
    weir_http_request_header(s.request, "Traceparent", own);
    call_go(&s);
    weir_trace_context sent = sent_with(site_last(&site));
    weir_traceparent_format(&sent, text);
    check_text(text, own);
    check_int(count_fields(site_last(&site), "tracestate:"), 0);
    check_int(weir_tracer_count(tracer), 1);
    check(!is_same_id(finished(tracer, 0).context.span_id, sent.span_id, 8));
    call_end(&s);
    tear_down();
}

static void outside_of_a_trace_nothing_is_sent(void)
{
    set_up(1, NULL, NULL);
    weir_span_end(&root);
    struct call s = site_send(session, &site, "GET", "/");
    check(call_is(&s, WEIR_OK, 200));
    check_int(count_fields(site_last(&site), "traceparent:"), 0);
    check_int(weir_tracer_count(tracer), 1);
    tear_down();
}

/* As many fields as a request can have, a body in chunks, and what tracing adds. */
static weir_status read_nothing(void *arg, char *buffer, size_t size, size_t *ret_size,
                                weir_error *reterr)
{
    (void)arg, (void)buffer, (void)size, (void)reterr;
    *ret_size = 0;
    return WEIR_OK;
}

static void a_request_full_of_fields_has_room_for_it(void)
{
    static const weir_trace_context parent = {{1}, {2}, true};
    const weir_http_reader reader = {read_nothing, NULL, NULL, -1};
    char name[16];
    int added = 0;

    set_up(1, &parent, "a=1");
    struct call s = site_request(session, &site, "POST", "/");
    check_int(weir_http_request_reader(s.request, &reader, "text/plain"), WEIR_OK);
    while (added < 1000) {
        snprintf(name, sizeof name, "x%d", added);
        if (weir_http_request_header(s.request, name, "") != WEIR_OK)
            break;
        added++;
    }
    check(added > 100 && added < 1000);
    weir_http_request_close(s.request);
    s = site_request(session, &site, "POST", "/");
    check_int(weir_http_request_reader(s.request, &reader, "text/plain"), WEIR_OK);
    for (int i = 0; i < added; i++) {
        snprintf(name, sizeof name, "x%d", i);
        check_int(weir_http_request_header(s.request, name, ""), WEIR_OK);
    }
    call_go(&s);
    check(call_is(&s, WEIR_OK, 200));
    check(peer_saw(site.peer, "\r\ntracestate: a=1\r\n"));
    check(peer_saw(site.peer, "\r\ntraceparent: 00-01000000000000000000000000000000-"));
    check(peer_saw(site.peer, "chunked"));
    call_end(&s);
    tear_down();
}

int main(void)
{
    run(an_attempt_tells_the_server_the_id_of_its_span);
    run(each_attempt_has_a_span_and_an_id_of_its_own);
    run(redirects_are_traced_and_other_origins_told);
    run(an_unsampled_trace_is_passed_on_and_not_recorded);
    run(a_tracestate_goes_on_as_it_came);
    run(a_request_with_a_traceparent_of_its_own_keeps_it);
    run(outside_of_a_trace_nothing_is_sent);
    run(a_request_full_of_fields_has_room_for_it);
    return check_done();
}
