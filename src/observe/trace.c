/* SPDX-License-Identifier: MIT */
/* Spans: begun, given attributes and ended on one thread, whose current span they may be. */
#include <weir/trace.h>

#include "common/utf8.h"
#include "observe/trace_ids.h"
#include "observe/tracer.h"

#include <string.h>
#include <time.h>

static _Thread_local weir_span *current __attribute__((tls_model("initial-exec")));

/* ---- texts ------------------------------------------------------------------------------- */

/* Copy whole characters into `room` bytes, with a zero behind them. Returns their length. */
static size_t copy_text(char *to, size_t room, const char *text, size_t limit)
{
    const char *end = text + strnlen(text, limit + 4);
    size_t used = 0;

    if (limit > room - 1)
        limit = room - 1;
    while (text < end) {
        size_t size = utf8_length(text, end);

        if (used + (size > 0 ? size : 1) > limit)
            break;
        if (size == 0)
            to[used] = '?';
        else
            memcpy(to + used, text, size);
        used += size > 0 ? size : 1;
        text += size > 0 ? size : 1;
    }
    to[used] = '\0';
    return used;
}

/* Keep a text with the span; 0: there is no room for any. */
static uint16_t keep_text(weir_span *span, const char *text)
{
    size_t room = sizeof span->texts - span->text_used;
    uint16_t at = span->text_used;

    if (room == 0 || (room == 1 && *text != '\0'))
        return 0;
    size_t size = copy_text(span->texts + at, room, text, WEIR_SPAN_VALUE_MAX);
    span->text_used = (uint16_t)(at + size + 1);
    return at;
}

/* ---- beginning --------------------------------------------------------------------------- */

static weir_time wall_offset(weir_time now)
{
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    return (weir_time)wall.tv_sec * WEIR_SECOND + wall.tv_nsec - now;
}

/* Neither recorded nor current. Arrays are left as they are: begin() costs no more than it needs. */
static void clear(weir_span *span)
{
    span->context = (weir_trace_context){0};
    memset(span->parent_id, 0, sizeof span->parent_id);
    span->kind = WEIR_SPAN_INTERNAL;
    span->has_failed = false;
    span->started = 0;
    span->wall = 0;
    span->duration = 0;
    span->tracestate = NULL;
    span->tracer = NULL;
    span->outer = NULL;
    span->is_current = false;
    span->message = 0;
    span->text_used = 1;
    span->attribute_count = 0;
    span->dropped_attributes = 0;
    span->name[0] = '\0';
    span->texts[0] = '\0';
}

static void make_current(weir_span *span)
{
    span->outer = current;
    span->is_current = true;
    current = span;
}

static const char *usable_tracestate(const char *tracestate)
{
    size_t size = tracestate != NULL ? strnlen(tracestate, WEIR_TRACESTATE_MAX + 1) : 0;

    if (size == 0 || size > WEIR_TRACESTATE_MAX)
        return NULL;
    for (size_t i = 0; i < size; i++)
        if (tracestate[i] < ' ' || tracestate[i] > '~')
            return NULL;
    return tracestate;
}

static void record(weir_span *span, weir_tracer *tracer, const char *name, weir_span_kind kind)
{
    span->tracer = tracer;
    span->kind = kind;
    copy_text(span->name, sizeof span->name, name, sizeof span->name);
    span->started = weir_now();
}

bool weir_span_begin_root(weir_tracer *tracer, weir_span *span, const char *name,
                          weir_span_kind kind, const weir_trace_context *parent,
                          const char *tracestate)
{
    clear(span);
    if (tracer == NULL)
        return false;
    if (parent != NULL) {
        span->context = *parent;
        memcpy(span->parent_id, parent->span_id, sizeof span->parent_id);
        span->tracestate = usable_tracestate(tracestate);
    } else {
        weir__random_id(span->context.trace_id, sizeof span->context.trace_id);
        span->context.is_sampled = weir__tracer_samples(tracer, span->context.trace_id);
    }
    weir__random_id(span->context.span_id, sizeof span->context.span_id);
    make_current(span);
    if (!span->context.is_sampled || !weir__tracer_is_usable(tracer))
        return false;
    record(span, tracer, name, kind);
    span->wall = wall_offset(span->started);
    return true;
}

/* A child of the current span, if that one is recorded. */
static bool begin_child(weir_span *span, const char *name, weir_span_kind kind)
{
    const weir_span *parent = current;

    clear(span);
    if (parent == NULL || parent->tracer == NULL)
        return false;
    span->context = parent->context;
    memcpy(span->parent_id, parent->context.span_id, sizeof span->parent_id);
    weir__random_id(span->context.span_id, sizeof span->context.span_id);
    span->tracestate = parent->tracestate;
    span->wall = parent->wall;
    record(span, parent->tracer, name, kind);
    return true;
}

bool weir_span_begin(weir_span *span, const char *name, weir_span_kind kind)
{
    if (!begin_child(span, name, kind))
        return false;
    make_current(span);
    return true;
}

bool weir_span_begin_past(weir_span *span, const char *name, weir_span_kind kind,
                          weir_time duration)
{
    if (!begin_child(span, name, kind))
        return false;
    span->duration = duration > 0 ? duration : 0;
    span->started -= span->duration;
    return true;
}

/* ---- attributes -------------------------------------------------------------------------- */

void weir_span_rename(weir_span *span, const char *name)
{
    if (span->tracer != NULL)
        copy_text(span->name, sizeof span->name, name, sizeof span->name);
}

/* The place for a key's value: its own, or a new one; NULL: there is none left. */
static weir_span_attribute *attribute_of(weir_span *span, const char *key)
{
    for (size_t i = 0; i < span->attribute_count; i++)
        if (strcmp(span->attributes[i].key, key) == 0)
            return &span->attributes[i];
    if (span->attribute_count == WEIR_SPAN_ATTRIBUTES)
        return NULL;
    return &span->attributes[span->attribute_count];
}

static void set(weir_span *span, const char *key, int64_t number, uint16_t text)
{
    weir_span_attribute *attribute = attribute_of(span, key);

    if (attribute == NULL) {
        span->dropped_attributes++;
        return;
    }
    if (attribute == &span->attributes[span->attribute_count])
        span->attribute_count++;
    *attribute = (weir_span_attribute){key, number, text};
}

void weir_span_set_text(weir_span *span, const char *key, const char *text)
{
    if (span->tracer == NULL || text == NULL)
        return;
    uint16_t at = attribute_of(span, key) != NULL ? keep_text(span, text) : 0;
    if (at == 0)
        span->dropped_attributes++;
    else
        set(span, key, 0, at);
}

void weir_span_set_number(weir_span *span, const char *key, int64_t number)
{
    if (span->tracer != NULL)
        set(span, key, number, 0);
}

void weir_span_fail(weir_span *span, const char *error_type, const char *message)
{
    if (span->tracer == NULL)
        return;
    span->has_failed = true;
    weir_span_set_text(span, "error.type", error_type);
    if (message != NULL)
        span->message = keep_text(span, message);
}

const char *weir_span_attribute_text(const weir_span *span, size_t index)
{
    if (index >= span->attribute_count || span->attributes[index].text == 0)
        return NULL;
    return span->texts + span->attributes[index].text;
}

const char *weir_span_message(const weir_span *span)
{
    return span->message != 0 ? span->texts + span->message : NULL;
}

/* ---- ending ------------------------------------------------------------------------------ */

/* Usually it is the innermost one; one that is ended too early leaves the others in their order. */
static void leave(weir_span *span)
{
    weir_span **link = &current;

    while (*link != NULL && *link != span)
        link = &(*link)->outer;
    if (*link != NULL)
        *link = span->outer;
}

void weir_span_end(weir_span *span)
{
    weir_tracer *tracer = span->tracer;

    if (span->is_current) {
        leave(span);
        if (tracer != NULL)
            span->duration = weir_now() - span->started;
    }
    span->is_current = false;
    span->tracer = NULL;
    if (tracer != NULL && weir__tracer_is_usable(tracer))
        weir__tracer_push(tracer, span);
}

/* ---- the current span -------------------------------------------------------------------- */

const weir_span *weir_trace_current(void)
{
    return current;
}

bool weir_trace_wants(void *arg)
{
    (void)arg;
    return current != NULL && current->tracer != NULL;
}

bool weir_trace_call(weir_trace_context *ret_context)
{
    if (current == NULL)
        return false;
    *ret_context = current->context;
    weir__random_id(ret_context->span_id, sizeof ret_context->span_id);
    return true;
}
