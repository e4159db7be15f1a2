/* SPDX-License-Identifier: MIT */
/* The header lines by which the other side's spans become children of ours. */
#include "http/propagate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool has_traceparent(const weir_http_request *request)
{
    static const char name[] = "traceparent";

    for (size_t i = 0; i < request->field_count; i++) {
        const char *line = request->fields[i].line;

        if (strncasecmp(line, name, sizeof name - 1) == 0 &&
            (line[sizeof name - 1] == ':' || line[sizeof name - 1] == ';'))
            return true;
    }
    return false;
}

void weir__propagate(const weir_http_request *request, struct propagation *ret_propagation)
{
    struct propagation *p = ret_propagation;
    char text[WEIR_TRACEPARENT_SIZE];

    p->traceparent[0] = '\0';
    p->tracestate[0] = '\0';
    if (weir_trace_current() == NULL || has_traceparent(request) || !weir_trace_call(&p->context))
        return;
    weir_traceparent_format(&p->context, text);
    snprintf(p->traceparent, sizeof p->traceparent, "traceparent: %s", text);
    const char *state = weir_trace_current()->tracestate;
    if (state != NULL)
        snprintf(p->tracestate, sizeof p->tracestate, "tracestate: %s", state);
}
