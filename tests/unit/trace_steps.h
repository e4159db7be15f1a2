/* SPDX-License-Identifier: MIT */
/* What the tests of traces share: a tracer, and what has come into its ring. */
#ifndef WEIR_TESTS_TRACE_STEPS_H
#define WEIR_TESTS_TRACE_STEPS_H

#include "check.h"

#include <weir/trace.h>

#include <string.h>

static inline weir_tracer *open_tracer(double sample_ratio, int capacity)
{
    weir_tracer_options options = WEIR_TRACER_OPTIONS_DEFAULT;
    weir_tracer *tracer = NULL;

    options.sample_ratio = sample_ratio;
    options.capacity = capacity;
    check_int(weir_tracer_open(&options, &tracer, NULL), WEIR_OK);
    return tracer;
}

static inline bool is_same_id(const uint8_t *id, const uint8_t *other, size_t size)
{
    return memcmp(id, other, size) == 0;
}

static inline bool is_zero_id(const uint8_t *id, size_t size)
{
    static const uint8_t zero[16];

    return memcmp(id, zero, size) == 0;
}

static inline bool is_child_of(const weir_span *child, const weir_span *parent)
{
    return is_same_id(child->context.trace_id, parent->context.trace_id, 16) &&
           is_same_id(child->parent_id, parent->context.span_id, 8) &&
           !is_same_id(child->context.span_id, parent->context.span_id, 8);
}

/* The attribute of that key; NULL: it has none. */
static inline const weir_span_attribute *find_attribute(const weir_span *span, const char *key)
{
    for (size_t i = 0; i < span->attribute_count; i++)
        if (strcmp(span->attributes[i].key, key) == 0)
            return &span->attributes[i];
    return NULL;
}

static inline const char *text_of(const weir_span *span, const char *key)
{
    const weir_span_attribute *attribute = find_attribute(span, key);

    return attribute == NULL
               ? NULL
               : weir_span_attribute_text(span, (size_t)(attribute - span->attributes));
}

/* A number that no test sets: the key is not there, or has a text. */
#define NO_NUMBER INT64_MIN

static inline int64_t number_of(const weir_span *span, const char *key)
{
    const weir_span_attribute *attribute = find_attribute(span, key);

    return attribute == NULL || attribute->text != 0 ? NO_NUMBER : attribute->number;
}

/* The finished span of that number. */
static inline weir_span finished(weir_tracer *tracer, uint64_t number)
{
    weir_span span = {0};
    uint64_t position = number;

    check(weir_tracer_read(tracer, &position, &span));
    check_int(position, number + 1);
    return span;
}

#endif
