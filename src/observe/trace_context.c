/* SPDX-License-Identifier: MIT */
/* W3C Trace Context: the header that says which span of which trace a request belongs to. */
#include <weir/trace.h>

#include "common/hex.h"

#include <string.h>

/* "00-" trace id "-" span id "-" flags. */
#define TRACE_ID_AT 3
#define SPAN_ID_AT 36
#define FLAGS_AT 53
#define LENGTH 55

#define FLAG_SAMPLED 1

/* The value of a digit; -1 for anything but those that the recommendation allows, which has no capital letters. */
static int digit(char c)
{
    return c >= 'A' && c <= 'F' ? -1 : hex_digit(c);
}

/* Read bytes in hexadecimal; stops before the end of a text that is too short. */
static bool read_bytes(const char *text, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = digit(text[2 * i]);
        int low = high >= 0 ? digit(text[2 * i + 1]) : -1;

        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Each step looks only at what stands before the end, because those before it found no zero. */
bool weir_traceparent_parse(const char *text, weir_trace_context *ret_context)
{
    weir_trace_context context;
    uint8_t version;
    uint8_t flags;

    if (text == NULL || !read_bytes(text, &version, 1) || version == 0xFF ||
        text[TRACE_ID_AT - 1] != '-' ||
        !read_bytes(text + TRACE_ID_AT, context.trace_id, sizeof context.trace_id) ||
        text[SPAN_ID_AT - 1] != '-' ||
        !read_bytes(text + SPAN_ID_AT, context.span_id, sizeof context.span_id) ||
        text[FLAGS_AT - 1] != '-' || !read_bytes(text + FLAGS_AT, &flags, 1))
        return false;
    if (text[LENGTH] != '\0' && (version == 0 || text[LENGTH] != '-'))
        return false;
    if (is_zero(context.trace_id, sizeof context.trace_id) ||
        is_zero(context.span_id, sizeof context.span_id))
        return false;
    context.is_sampled = (flags & FLAG_SAMPLED) != 0;
    *ret_context = context;
    return true;
}

static void write_bytes(const uint8_t *bytes, size_t count, char *text)
{
    *hex_write(text, bytes, count) = '\0';
}

void weir_trace_id_format(const weir_trace_context *context, char ret_text[WEIR_TRACE_ID_SIZE])
{
    write_bytes(context->trace_id, sizeof context->trace_id, ret_text);
}

void weir_span_id_format(const uint8_t span_id[8], char ret_text[WEIR_SPAN_ID_SIZE])
{
    write_bytes(span_id, 8, ret_text);
}

void weir_traceparent_format(const weir_trace_context *context,
                             char ret_text[WEIR_TRACEPARENT_SIZE])
{
    memcpy(ret_text, "00-", TRACE_ID_AT);
    weir_trace_id_format(context, ret_text + TRACE_ID_AT);
    ret_text[SPAN_ID_AT - 1] = '-';
    weir_span_id_format(context->span_id, ret_text + SPAN_ID_AT);
    ret_text[FLAGS_AT - 1] = '-';
    memcpy(ret_text + FLAGS_AT, context->is_sampled ? "01" : "00", 3);
}
