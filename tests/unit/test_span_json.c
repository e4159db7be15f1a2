/* SPDX-License-Identifier: MIT */
/* Spans as JSON: well-formed whatever is in them, and in the words of OTLP. */
#include "unit/trace_steps.h"

#include "trace/span_json.h"

#include <jansson.h>
#include <stdlib.h>

static const weir_trace_context caller = {{0xAB, 1}, {0xCD, 2}, true};

static weir_span make_span(weir_tracer *tracer, const weir_trace_context *parent, const char *text)
{
    weir_span span;

    weir_span_begin_root(tracer, &span, text, WEIR_SPAN_SERVER, parent, NULL);
    weir_span_set_text(&span, "http.route", text);
    weir_span_set_number(&span, "http.response.status_code", INT64_MIN);
    weir_span_fail(&span, "500", text);
    weir_span_end(&span);
    return finished(tracer, weir_tracer_count(tracer) - 1);
}

static json_t *as_otlp(const weir_span *spans, size_t count)
{
    const struct span_resource resource = {"my \"service\"", "instance"};
    struct text text = {0};

    span_json_begin_otlp(&text, &resource);
    for (size_t i = 0; i < count; i++)
        span_json_add_otlp(&text, &spans[i], i == 0);
    span_json_end_otlp(&text);
    json_t *json = text.has_failed ? NULL : json_loadb(text.data, text.size, 0, NULL);
    check(json != NULL);
    text_clear(&text);
    return json;
}

static json_t *at(const json_t *json, const char *key)
{
    return json_object_get(json_is_array(json) ? json_array_get(json, 0) : json, key);
}

static json_t *spans_of(const json_t *json)
{
    return at(at(at(json, "resourceSpans"), "scopeSpans"), "spans");
}

static const char *text_at(const json_t *json, const char *key)
{
    return json_string_value(at(json, key));
}

static void a_span_is_written_in_the_words_of_otlp(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span span = make_span(tracer, &caller, "name");
    json_t *json = as_otlp(&span, 1);
    json_t *written = json_array_get(spans_of(json), 0);
    char start[32];
    char end[32];

    snprintf(start, sizeof start, "%lld", (long long)(span.started + span.wall));
    snprintf(end, sizeof end, "%lld", (long long)(span.started + span.wall + span.duration));
    check_text(text_at(written, "traceId"), "ab010000000000000000000000000000");
    check_text(text_at(written, "parentSpanId"), "cd02000000000000");
    check_int(strlen(text_at(written, "spanId")), 16);
    check_text(text_at(written, "startTimeUnixNano"), start);
    check_text(text_at(written, "endTimeUnixNano"), end);
    check_int(json_integer_value(at(written, "kind")), 2);
    check_int(json_integer_value(at(at(written, "status"), "code")), 2);
    check_text(text_at(at(written, "status"), "message"), "name");
    const json_t *attributes = at(written, "attributes");
    check_int(json_array_size(attributes), 3);
    check_text(text_at(at(attributes, "value"), "stringValue"), "name");
    check_text(text_at(at(json_array_get(attributes, 1), "value"), "intValue"),
               "-9223372036854775808");
    check(at(written, "droppedAttributesCount") == NULL);
    const json_t *resource = at(at(at(json, "resourceSpans"), "resource"), "attributes");
    check_text(text_at(resource, "key"), "service.name");
    check_text(text_at(at(resource, "value"), "stringValue"), "my \"service\"");
    json_decref(json);
    weir_tracer_close(tracer);
}

static void a_root_has_no_parent_and_what_went_well_no_status(void)
{
    static const weir_span_kind kinds[] = {WEIR_SPAN_INTERNAL, WEIR_SPAN_SERVER, WEIR_SPAN_CLIENT};
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span spans[3];

    for (int i = 0; i < 3; i++) {
        weir_span_begin_root(tracer, &spans[i], "root", kinds[i], NULL, NULL);
        for (int n = 0; n < WEIR_SPAN_ATTRIBUTES + 2; n++)
            weir_span_set_text(&spans[i], n % 2 == 0 ? "a" : "b", "");
        spans[i].dropped_attributes = 2;
        weir_span_end(&spans[i]);
    }
    json_t *json = as_otlp(spans, 3);
    check_int(json_array_size(spans_of(json)), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *written = json_array_get(spans_of(json), i);
        check_int(json_integer_value(at(written, "kind")), (int)i + 1);
        check(at(written, "parentSpanId") == NULL && at(written, "status") == NULL);
        check_int(json_integer_value(at(written, "droppedAttributesCount")), 2);
    }
    json_decref(json);
    weir_tracer_close(tracer);
}

static void hostile_texts_stay_texts_in_both_forms(void)
{
    static const char *const texts[] = {
        "\"},{\"a\":\"",    "\\", "\x01\x1F\x7F\n\t",          "</script><script>alert(1)</script>",
        "\xE2\x80\xAE\x61", "",   "\xFF\xFE\xC3(\xED\xA0\x80", "\xF0\x9F\x98\x80"};
    weir_tracer *tracer = open_tracer(1, 16);

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weir_span span = make_span(tracer, NULL, texts[i]);
        json_t *json = as_otlp(&span, 1);
        struct text text = {0};

        check_text(text_at(json_array_get(spans_of(json), 0), "name"), span.name);
        json_decref(json);
        span_json_add(&text, &span);
        json = json_loadb(text.data, text.size, 0, NULL);
        check_text(text_at(json, "name"), span.name);
        check_text(text_at(json, "message"), weir_span_message(&span));
        check_text(text_at(at(json, "attributes"), "http.route"), text_of(&span, "http.route"));
        check_int(json_object_size(at(json, "attributes")), 3);
        json_decref(json);
        text_clear(&text);
    }
    weir_tracer_close(tracer);
}

static void the_consoles_form_is_plain(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_span span = make_span(tracer, &caller, "name");
    struct text text = {0};

    span_json_add(&text, &span);
    json_t *json = json_loadb(text.data, text.size, 0, NULL);
    check_text(text_at(json, "trace_id"), "ab010000000000000000000000000000");
    check_text(text_at(json, "parent_id"), "cd02000000000000");
    check_text(text_at(json, "kind"), "server");
    check(json_is_true(at(json, "has_failed")));
    check(json_real_value(at(json, "duration_ms")) >= 0);
    double started_ms = json_real_value(at(json, "started_ms"));
    check(started_ms * 1e6 > (double)(span.started + span.wall) - 1e4 &&
          started_ms * 1e6 < (double)(span.started + span.wall) + 1e4);
    json_decref(json);
    text_clear(&text);
    weir_tracer_close(tracer);
}

int main(void)
{
    run(a_span_is_written_in_the_words_of_otlp);
    run(a_root_has_no_parent_and_what_went_well_no_status);
    run(hostile_texts_stay_texts_in_both_forms);
    run(the_consoles_form_is_plain);
    return check_done();
}
