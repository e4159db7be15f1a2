/* SPDX-License-Identifier: MIT */
/* Listeners that make spans of what pools, databases and HTTP sessions tell. */
#include <weir/trace.h>

#include <weir/db.h>
#include <weir/http.h>
#include <weir/pool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pools ------------------------------------------------------------------------------- */

static void fail_with(weir_span *span, const weir_error *error)
{
    if (error != NULL)
        weir_span_fail(span, weir_status_name(error->status), error->text);
}

weir_status weir_trace_on_pool_event(const weir_pool_event *event, void *arg)
{
    static const struct {
        weir_pool_event_kind kind;
        const char *name;
    } kinds[] = {{WEIR_EVENT_WAIT, "wait"},
                 {WEIR_EVENT_TIMEOUT, "wait"},
                 {WEIR_EVENT_CONNECT, "connect"},
                 {WEIR_EVENT_PING, "ping"},
                 {WEIR_EVENT_PING_FAILURE, "ping"}};
    const char *what = NULL;
    char name[WEIR_SPAN_NAME];
    weir_span span;

    (void)arg;
    if (!weir_trace_wants(NULL))
        return WEIR_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == event->kind)
            what = kinds[i].name;
    if (what == NULL)
        return WEIR_OK;
    snprintf(name, sizeof name, "%s %s", what, weir_pool_name(event->pool));
    weir_span_begin_past(&span, name, WEIR_SPAN_INTERNAL, event->duration);
    weir_span_set_text(&span, "db.client.connection.pool.name", weir_pool_name(event->pool));
    if (event->connection_id != 0)
        weir_span_set_number(&span, "weir.connection.id", (int64_t)event->connection_id);
    if (event->file != NULL) {
        weir_span_set_text(&span, "code.file.path", event->file);
        weir_span_set_number(&span, "code.line.number", event->line);
    }
    fail_with(&span, event->error);
    weir_span_end(&span);
    return WEIR_OK;
}

/* ---- databases --------------------------------------------------------------------------- */

static void describe_statement(weir_span *span, const weir_db_event *event)
{
    char
        text[WEIR_SPAN_VALUE_MAX + 8]; /* so that it is the span that cuts it, between characters */

    weir_span_set_text(span, "db.system.name", event->engine);
    if (event->database[0] != '\0')
        weir_span_set_text(span, "db.namespace", event->database);
    weir_span_set_text(span, "db.operation.name", event->operation);
    if (event->sql != NULL) {
        weir_sql_without_values(event->sql, text, sizeof text);
        weir_span_set_text(span, "db.query.text", text);
    }
    if (event->rows > 0)
        weir_span_set_number(span, "db.response.returned_rows", (int64_t)event->rows);
    if (event->connection_id != 0)
        weir_span_set_number(span, "weir.connection.id", (int64_t)event->connection_id);
}

/* Without the error's text, in which databases quote values. */
static void describe_refusal(weir_span *span, const weir_db_event *event)
{
    const char *state = event->error != NULL ? event->error->sqlstate : "";

    if (state[0] != '\0')
        weir_span_set_text(span, "db.response.status_code", state);
    weir_span_fail(span, state[0] != '\0' ? state : weir_status_name(event->status), NULL);
}

void weir_trace_on_db_event(const weir_db_event *event, void *arg)
{
    char name[WEIR_SPAN_NAME];
    weir_span span;

    (void)arg;
    if (!weir_trace_wants(NULL))
        return;
    snprintf(name, sizeof name, "%s%s%s", event->operation, event->database[0] != '\0' ? " " : "",
             event->database);
    weir_span_begin_past(&span, name, WEIR_SPAN_CLIENT, event->duration);
    describe_statement(&span, event);
    if (event->status != WEIR_OK)
        describe_refusal(&span, event);
    weir_span_end(&span);
}

/* ---- HTTP sessions ----------------------------------------------------------------------- */

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

/* Methods are few where they name a span, whatever a program sends. */
static const char *known_method(const char *method)
{
    static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                          "CONNECT", "OPTIONS", "TRACE", "PATCH"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i], method) == 0)
            return methods[i];
    return NULL;
}

static void describe_response(weir_span *span, const weir_http_event *event)
{
    char digits[16];

    if (event->status > 0) {
        weir_span_set_number(span, "http.response.status_code", event->status);
        weir_span_set_text(span, "network.protocol.version", "1.1");
    }
    if (event->error != NULL) {
        fail_with(span, event->error);
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
    const char *method = known_method(event->method);
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
