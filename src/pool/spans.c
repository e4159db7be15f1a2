/* SPDX-License-Identifier: MIT */
/* The spans of a pool: waiting, opening, pinging. */
#include <weir/pool.h>
#include <weir/trace.h>

#include <stdio.h>

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
    if (event->error != NULL)
        weir_span_fail(&span, weir_status_name(event->error->status), event->error->text);
    weir_span_end(&span);
    return WEIR_OK;
}
