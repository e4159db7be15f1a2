/* SPDX-License-Identifier: MIT */
/* The span of a statement. */
#include <weir/db.h>
#include <weir/trace.h>

#include <stdio.h>

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
