/* SPDX-License-Identifier: MIT */
/* What the listener makes of the attempts of an HTTP session. */
#include "unit/trace_scene.h"

#include <weir/http.h>

static weir_http_event attempt(void)
{
    return (weir_http_event){
        .kind = WEIR_HTTP_EVENT_ATTEMPT,
        .origin = "https://api.example.com:8443",
        .method = "GET",
        .url = "https://api.example.com:8443/v2/tables",
        .attempt = 1,
        .status = 200,
        .is_reused = true,
        .duration = 40 * WEIR_MS,
    };
}

static void an_attempt_is_a_span_of_the_id_that_was_sent(void)
{
    weir_http_event event = attempt();
    weir_trace_context sent;

    begin_trace();
    check(weir_trace_call(&sent));
    event.trace = &sent;
    weir_trace_on_http_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check(is_same_id(span.context.span_id, sent.span_id, 8));
    check(is_child_of(&span, &root));
    check_text(span.name, "GET");
    check_int(span.kind, WEIR_SPAN_CLIENT);
    check_int(span.duration, 40 * WEIR_MS);
    check_text(text_of(&span, "http.request.method"), "GET");
    check_text(text_of(&span, "url.full"), "https://api.example.com:8443/v2/tables");
    check_text(text_of(&span, "server.address"), "api.example.com");
    check_int(number_of(&span, "server.port"), 8443);
    check_int(number_of(&span, "http.response.status_code"), 200);
    check_text(text_of(&span, "network.protocol.version"), "1.1");
    check_int(number_of(&span, "weir.connection.is_reused"), 1);
    check(find_attribute(&span, "http.request.resend_count") == NULL && !span.has_failed);
    end_trace();
}

static void a_repeat_is_counted_and_an_error_status_is_a_failure(void)
{
    weir_http_event event = attempt();

    event.attempt = 3;
    event.status = 503;
    event.origin = "http://[::1]:80";
    begin_trace();
    weir_trace_on_http_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check_int(number_of(&span, "http.request.resend_count"), 2);
    check_text(text_of(&span, "server.address"), "::1");
    check_int(number_of(&span, "server.port"), 80);
    check(span.has_failed && weir_span_message(&span) == NULL);
    check_text(text_of(&span, "error.type"), "503");
    event.status = 399;
    weir_trace_on_http_event(&event, NULL);
    check(!finished(tracer, 1).has_failed);
    end_trace();
}

static void an_attempt_without_a_response_is_named_by_its_status(void)
{
    weir_http_event event = attempt();
    weir_error error = {WEIR_CONNECT, 7, "", "connection refused"};

    event.status = 0;
    event.error = &error;
    event.method = "PURGE";
    begin_trace();
    weir_trace_on_http_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "HTTP");
    check_text(text_of(&span, "http.request.method"), "_OTHER");
    check_text(text_of(&span, "http.request.method_original"), "PURGE");
    check_text(text_of(&span, "error.type"), "connect");
    check_text(weir_span_message(&span), "connection refused");
    check(find_attribute(&span, "http.response.status_code") == NULL);
    check(find_attribute(&span, "network.protocol.version") == NULL);
    end_trace();
}

static void other_events_of_a_session_are_no_spans(void)
{
    weir_http_event event = attempt();

    begin_trace();
    for (int kind = 0; kind < WEIR_HTTP_EVENT_COUNT; kind++) {
        event.kind = (weir_http_event_kind)kind;
        if (kind != WEIR_HTTP_EVENT_ATTEMPT)
            weir_trace_on_http_event(&event, NULL);
    }
    check_int(weir_tracer_count(tracer), 0);
    check_int(WEIR_TRACE_HTTP_EVENTS, WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT));
    end_trace();
}

int main(void)
{
    run(an_attempt_is_a_span_of_the_id_that_was_sent);
    run(a_repeat_is_counted_and_an_error_status_is_a_failure);
    run(an_attempt_without_a_response_is_named_by_its_status);
    run(other_events_of_a_session_are_no_spans);
    return check_done();
}
