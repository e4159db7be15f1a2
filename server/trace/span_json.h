/* SPDX-License-Identifier: MIT */
/* Finished spans as JSON: as OTLP wants them, and as the console does. */
#ifndef WEIR_SERVER_SPAN_JSON_H
#define WEIR_SERVER_SPAN_JSON_H

#include <weir/trace.h>

#include "text/text.h"

/* Who the spans come from. */
struct span_resource {
    const char *service_name;
    const char *instance_id; /* differs between two processes of one service */
};

/* The body of an OTLP/HTTP request (ExportTraceServiceRequest in JSON): begin it, add spans, end it. */
void span_json_begin_otlp(struct text *text, const struct span_resource *resource);
void span_json_add_otlp(struct text *text, const weir_span *span, bool is_first);
void span_json_end_otlp(struct text *text);

/* One span as an object of its own, with plain attributes. */
void span_json_add(struct text *text, const weir_span *span);

#endif
