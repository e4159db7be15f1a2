/* SPDX-License-Identifier: MIT */
/* A span for each request, around its handler. */
#include "traced_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "managers/loans.h"

/* How much of a path and a Host is kept. */
#define PATH_SIZE 300
#define HOST_SIZE 256

static void set_cut(weir_span *span, const char *key, const char *value, size_t size)
{
    char cut[PATH_SIZE];

    snprintf(cut, size < sizeof cut ? size : sizeof cut, "%s", value);
    weir_span_set_text(span, key, cut);
}

/* "example.com:8000", "[::1]:8000", "example.com". */
static void describe_host(weir_span *span, const char *host)
{
    const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    char address[HOST_SIZE];

    if (host[0] == '[')
        host++;
    size_t size = end != NULL ? (size_t)(end - host) : strlen(host);
    if (size == 0 || size >= sizeof address)
        return;
    memcpy(address, host, size);
    address[size] = '\0';
    weir_span_set_text(span, "server.address", address);
    if (end != NULL && *end == ']')
        end++;
    if (end != NULL && *end == ':' && end[1] >= '0' && end[1] <= '9')
        weir_span_set_number(span, "server.port", strtol(end + 1, NULL, 10));
}

static void describe_request(weir_span *span, const struct http_route *route,
                             const struct http_request *request)
{
    const char *host = http_request_header(request, "Host");

    weir_span_set_text(span, "http.request.method", http_request_method(request));
    weir_span_set_text(span, "url.scheme", "http");
    weir_span_set_text(span, "http.route", route->pattern);
    set_cut(span, "url.path", http_request_path(request), PATH_SIZE);
    weir_span_set_text(span, "client.address", http_request_client_ip(request));
    weir_span_set_text(span, "weir.request.id", http_request_id(request));
    if (host != NULL)
        describe_host(span, host);
}

static void describe_response(weir_span *span, const struct http_response *response)
{
    char status[16];

    weir_span_set_number(span, "http.response.status_code", response->status);
    if (response->status < 500)
        return;
    snprintf(status, sizeof status, "%u", response->status);
    weir_span_fail(span, status, NULL);
}

/* W3C Trace Context: of several callers none is believed. */
static bool read_caller(const struct http_request *request, weir_trace_context *ret_caller)
{
    return http_request_header_at(request, "traceparent", 1) == NULL &&
           weir_traceparent_parse(http_request_header(request, "traceparent"), ret_caller);
}

/* The fields in the order they came, as one; NULL when there is none, or more than is passed on. */
static const char *join_state(const struct http_request *request, char out[WEIR_TRACESTATE_MAX + 1])
{
    const char *state = http_request_header(request, "tracestate");
    size_t size = 0;

    if (state == NULL || http_request_header_at(request, "tracestate", 1) == NULL)
        return state;
    for (size_t i = 0; (state = http_request_header_at(request, "tracestate", i)) != NULL; i++) {
        if (state[0] == '\0')
            continue;
        int added = snprintf(out + size, WEIR_TRACESTATE_MAX + 1 - size, "%s%s",
                             size > 0 ? "," : "", state);
        if (added < 0 || (size_t)added > WEIR_TRACESTATE_MAX - size)
            return NULL;
        size += (size_t)added;
    }
    return size > 0 ? out : NULL;
}

/* The span includes the wait for a worker. */
static void handle_traced(void *arg, const struct http_request *request,
                          struct http_response *response)
{
    const struct traced_route *traced = arg;
    const struct http_route *route = &traced->route;
    char name[WEIR_SPAN_NAME];
    weir_trace_context caller;
    weir_span span;

    char state[WEIR_TRACESTATE_MAX + 1];
    bool has_caller = read_caller(request, &caller);
    bool is_recorded =
        weir_span_begin_root(traced->tracer, &span, "", WEIR_SPAN_SERVER,
                             has_caller ? &caller : NULL, join_state(request, state));
    weir_trace_id_format(&span.context, response->trace_id);
    if (is_recorded) {
        snprintf(name, sizeof name, "%s %s", http_request_method(request), route->pattern);
        weir_span_rename(&span, name);
        span.started = http_request_arrived(request);
        describe_request(&span, route, request);
    }
    loans_set_request(http_request_method(request), route->pattern);
    route->handler(route->arg, request, response);
    loans_set_request(NULL, NULL);
    if (is_recorded)
        describe_response(&span, response);
    weir_span_end(&span);
}

/* Whoever watches the server asks often, and would see little but the asking. */
static bool is_watching(const char *pattern)
{
    static const char *const watching[] = {"/api/v1/traces", "/api/v1/pools",
                                           "/api/v1/pools/{name}/connections"};

    for (size_t i = 0; i < sizeof watching / sizeof *watching; i++)
        if (strcmp(watching[i], pattern) == 0)
            return true;
    return false;
}

void trace_routes(weir_tracer *tracer, struct http_route *routes, size_t count,
                  struct traced_route *storage)
{
    for (size_t i = 0; i < count; i++) {
        if (routes[i].is_inline || is_watching(routes[i].pattern))
            continue;
        storage[i] = (struct traced_route){.route = routes[i], .tracer = tracer};
        routes[i].handler = handle_traced;
        routes[i].arg = &storage[i];
    }
}
