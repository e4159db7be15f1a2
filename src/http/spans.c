/* SPDX-License-Identifier: MIT */
/* The span of an attempt. */
#include <weir/http.h>
#include <weir/trace.h>

#include "http/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The host and port of "https://host:port"; an IPv6 host without its brackets. */
static void describe_origin(weir_span *span, const char *origin)
{
    const char *host = strstr(origin, "://");
    const char *colon = strrchr(origin, ':');
    char address[256];

    if (host == NULL || colon < host + 3)
        return;
    host += 3;
    bool has_brackets = *host == '[' && colon > host + 1 && colon[-1] == ']';
    int size = (int)(colon - host) - (has_brackets ? 2 : 0);
    snprintf(address, sizeof address, "%.*s", size, has_brackets ? host + 1 : host);
    weir_span_set_text(span, "server.address", address);
    weir_span_set_number(span, "server.port", strtol(colon + 1, NULL, 10));
}

static void describe_response(weir_span *span, const weir_http_event *event)
{
    char digits[16];

    if (event->status > 0) {
        weir_span_set_number(span, "http.response.status_code", event->status);
        weir_span_set_text(span, "network.protocol.version", "1.1");
    }
    if (event->error != NULL) {
        weir_span_fail(span, weir_status_name(event->error->status), event->error->text);
    } else if (event->status >= 400) {
        snprintf(digits, sizeof digits, "%d", event->status);
        weir_span_fail(span, digits, NULL);
    }
}

void weir_trace_on_http_event(const weir_http_event *event, void *arg)
{
    weir_span span;

    (void)arg;
    if (event->kind != WEIR_HTTP_EVENT_ATTEMPT || !weir_trace_wants(NULL))
        return;
    const char *method = weir__known_method(event->method);
    weir_span_begin_past(&span, method != NULL ? method : "HTTP", WEIR_SPAN_CLIENT,
                         event->duration);
    if (event->trace != NULL)
        memcpy(span.context.span_id, event->trace->span_id, sizeof span.context.span_id);
    weir_span_set_text(&span, "http.request.method", method != NULL ? method : "_OTHER");
    if (method == NULL)
        weir_span_set_text(&span, "http.request.method_original", event->method);
    weir_span_set_text(&span, "url.full", event->url);
    describe_origin(&span, event->origin);
    if (event->attempt > 1)
        weir_span_set_number(&span, "http.request.resend_count", (int64_t)event->attempt - 1);
    weir_span_set_number(&span, "weir.connection.is_reused", event->is_reused);
    describe_response(&span, event);
    weir_span_end(&span);
}
