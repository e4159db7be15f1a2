/* SPDX-License-Identifier: MIT */
/* Finished spans as JSON: as OTLP wants them, and as the console does. */
#include "span_json.h"

#include <inttypes.h>

static bool has_parent(const weir_span *span)
{
    for (size_t i = 0; i < sizeof span->parent_id; i++)
        if (span->parent_id[i] != 0)
            return true;
    return false;
}

static void add_id(struct text *text, const char *key, const char *id)
{
    text_addf(text, "\"%s\":\"%s\"", key, id);
}

static void add_ids(struct text *text, const weir_span *span, const char *const keys[3])
{
    char id[WEIR_TRACE_ID_SIZE];

    weir_trace_id_format(&span->context, id);
    add_id(text, keys[0], id);
    weir_span_id_format(span->context.span_id, id);
    text_add(text, ",");
    add_id(text, keys[1], id);
    if (!has_parent(span))
        return;
    weir_span_id_format(span->parent_id, id);
    text_add(text, ",");
    add_id(text, keys[2], id);
}

/* ---- OTLP --------------------------------------------------------------------------------- */

static void add_text_attribute(struct text *text, const char *key, const char *value)
{
    text_addf(text, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    text_add_json(text, value);
    text_add(text, "}}");
}

void span_json_begin_otlp(struct text *text, const struct span_resource *resource)
{
    text_add(text, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    add_text_attribute(text, "service.name", resource->service_name);
    text_add(text, ",");
    add_text_attribute(text, "service.version", weir_version());
    text_add(text, ",");
    add_text_attribute(text, "service.instance.id", resource->instance_id);
    text_addf(text,
              "]},\"scopeSpans\":[{\"scope\":{\"name\":\"weir\",\"version\":\"%s\"},\"spans\":[",
              weir_version());
}

/* The numbers of OTLP's enum SpanKind. */
static int otlp_kind(weir_span_kind kind)
{
    switch (kind) {
    case WEIR_SPAN_SERVER:
        return 2;
    case WEIR_SPAN_CLIENT:
        return 3;
    case WEIR_SPAN_INTERNAL:
        break;
    }
    return 1;
}

static void add_otlp_attributes(struct text *text, const weir_span *span)
{
    text_add(text, "\"attributes\":[");
    for (size_t i = 0; i < span->attribute_count; i++) {
        const char *value = weir_span_attribute_text(span, i);

        text_add(text, i > 0 ? "," : "");
        if (value != NULL)
            add_text_attribute(text, span->attributes[i].key, value);
        else
            text_addf(text, "{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRId64 "\"}}",
                      span->attributes[i].key, span->attributes[i].number);
    }
    text_add(text, "]");
}

/* Whole numbers of 64 bits are texts in protobuf's JSON. */
void span_json_add_otlp(struct text *text, const weir_span *span, bool is_first)
{
    static const char *const keys[] = {"traceId", "spanId", "parentSpanId"};
    weir_time started = span->started + span->wall;

    text_add(text, is_first ? "{" : ",{");
    add_ids(text, span, keys);
    text_add(text, ",\"name\":");
    text_add_json(text, span->name);
    text_addf(text,
              ",\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64
              "\",",
              otlp_kind(span->kind), started, started + span->duration);
    add_otlp_attributes(text, span);
    if (span->dropped_attributes > 0)
        text_addf(text, ",\"droppedAttributesCount\":%u", span->dropped_attributes);
    if (span->has_failed) {
        text_add(text, ",\"status\":{\"code\":2,\"message\":");
        text_add_json(text, weir_span_message(span) != NULL ? weir_span_message(span) : "");
        text_add(text, "}");
    }
    text_add(text, "}");
}

void span_json_end_otlp(struct text *text)
{
    text_add(text, "]}]}]}");
}

/* ---- The console -------------------------------------------------------------------------- */

static const char *kind_name(weir_span_kind kind)
{
    switch (kind) {
    case WEIR_SPAN_SERVER:
        return "server";
    case WEIR_SPAN_CLIENT:
        return "client";
    case WEIR_SPAN_INTERNAL:
        break;
    }
    return "internal";
}

static void add_attributes(struct text *text, const weir_span *span)
{
    text_add(text, "\"attributes\":{");
    for (size_t i = 0; i < span->attribute_count; i++) {
        const char *value = weir_span_attribute_text(span, i);

        text_addf(text, "%s\"%s\":", i > 0 ? "," : "", span->attributes[i].key);
        if (value != NULL)
            text_add_json(text, value);
        else
            text_addf(text, "%" PRId64, span->attributes[i].number);
    }
    text_add(text, "}");
}

void span_json_add(struct text *text, const weir_span *span)
{
    static const char *const keys[] = {"trace_id", "span_id", "parent_id"};

    text_add(text, "{");
    add_ids(text, span, keys);
    text_add(text, ",\"name\":");
    text_add_json(text, span->name);
    text_addf(text, ",\"kind\":\"%s\",\"started_ms\":%.3f,\"duration_ms\":%.6f,\"has_failed\":%s,",
              kind_name(span->kind), (double)(span->started + span->wall) / 1e6,
              (double)span->duration / 1e6, span->has_failed ? "true" : "false");
    if (weir_span_message(span) != NULL) {
        text_add(text, "\"message\":");
        text_add_json(text, weir_span_message(span));
        text_add(text, ",");
    }
    add_attributes(text, span);
    text_add(text, "}");
}
