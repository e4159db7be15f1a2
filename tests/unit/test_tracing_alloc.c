/* SPDX-License-Identifier: MIT */
/* Every allocation of the backend's traces fails once: no crash, no leak, no wrong count. */
#include "alloc_fail.h"

#include "trace/otlp.h"
#include "managers/pool_history.h"
#include "trace/span_json.h"
#include "trace/tracing.h"

static weir_error error;

/* What a call may answer here. True when it went well. */
static bool is_fine(weir_status status)
{
    if (status != WEIR_OK && status != WEIR_NO_MEMORY)
        printf("# %s: %s\n", weir_status_name(status), error.text);
    check(status == WEIR_OK || status == WEIR_NO_MEMORY);
    return status == WEIR_OK;
}

static void record(weir_tracer *tracer)
{
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_span_set_text(&root, "key", "text");
    weir_span_end(&root);
}

/* With a collector that nobody is. */
static void trace_and_export(void)
{
    static char endpoint[] = "http://127.0.0.1:1";
    static char headers[] = "a=b,c=d%20e";
    static char name[] = "weir";
    const struct config config = {
        .otel_exporter_otlp_endpoint = endpoint,
        .otel_exporter_otlp_headers = headers,
        .otel_service_name = name,
        .otel_traces_sampler_arg = 1000000,
        .otel_exporter_otlp_timeout = 100,
        .otel_bsp_schedule_delay = 3600000,
        .otel_bsp_max_queue_size = 16,
        .otel_bsp_max_export_batch_size = 16,
    };
    struct tracing *tracing = NULL;

    if (!is_fine(tracing_open(&config, NULL, &tracing, &error)))
        return;
    record(tracing_tracer(tracing));
    weir_status status = tracing_stop(tracing, weir_deadline_in(1000), &error);
    check_int(status, WEIR_TIMEOUT); /* one span was not taken */
    check_contains(error.text, "1 spans");
    tracing_close(tracing);
}

static void write_spans(void)
{
    const struct span_resource resource = {"weir", "instance"};
    struct text text = {0};
    weir_tracer *tracer = NULL;
    weir_span span;
    uint64_t position = 0;

    if (!is_fine(weir_tracer_open(NULL, &tracer, &error)))
        return;
    record(tracer);
    check(weir_tracer_read(tracer, &position, &span));
    span_json_begin_otlp(&text, &resource);
    span_json_add_otlp(&text, &span, true);
    span_json_end_otlp(&text);
    check(text.has_failed || strstr(text.data, "\"root\"") != NULL);
    text_clear(&text);
    weir_tracer_close(tracer);
}

static weir_status open_nothing(void *arg, weir_time deadline, void **ret_connection,
                                weir_error *reterr)
{
    static int nothing;

    (void)arg, (void)deadline, (void)reterr;
    *ret_connection = &nothing;
    return WEIR_OK;
}

static void close_nothing(void *arg, void *connection)
{
    (void)arg, (void)connection;
}

static void keep_history(void)
{
    const weir_driver driver = {.connect = open_nothing, .close = close_nothing};
    const weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;
    struct pool_history *history = NULL;
    weir_pool *pool = NULL;
    weir_lease lease;

    if (!is_fine(weir_pool_open(&options, &driver, NULL, &pool, &error)))
        return;
    if (is_fine(pool_history_open(pool, true, &history, &error))) {
        check(weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &lease, NULL) == WEIR_OK);
        weir_pool_release(&lease);
        json_decref(pool_history_json(history));
    }
    weir_pool_close(pool);
    pool_history_close(history);
}

static void options_that_cannot_be_used_are_refused_without_a_trace_of_them(void)
{
    static const struct {
        const char *endpoint;
        const char *headers;
        const char *text;
    } cases[] = {{"http://h", "hush", "must be name=value"},
                 {"http://h", "a=b,c=hush%f", "not percent-encoded"},
                 {"http://h", "a=%00hush", "not percent-encoded"},
                 {"http://h", "a b=hush", "a name or value that no header can have"},
                 {"http://h", "=hush", "a name or value that no header can have"},
                 {"ftp://h", NULL, "export of traces"},
                 {"", NULL, "export of traces"}};
    weir_tracer *tracer = NULL;

    check(is_fine(weir_tracer_open(NULL, &tracer, &error)));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct otlp_options options = {.endpoint = cases[i].endpoint,
                                             .headers = cases[i].headers,
                                             .service_name = "weir",
                                             .timeout_ms = 100,
                                             .delay_ms = 100,
                                             .batch = 1};
        struct otlp *otlp = NULL;
        check_int(otlp_start(&options, tracer, &otlp, &error), WEIR_INVALID);
        check_contains(error.text, cases[i].text);
        check(strstr(error.text, "hush") == NULL && otlp == NULL);
    }
    weir_tracer_close(tracer);
}

static void an_export_that_cannot_allocate_counts_its_spans(void)
{
    check(alloc_fail_each(trace_and_export) > 8);
}

static void a_body_that_cannot_grow_is_given_up(void)
{
    check(alloc_fail_each(write_spans) > 0);
}

static void a_history_that_cannot_be_kept_is_refused(void)
{
    check(alloc_fail_each(keep_history) >= 3);
}

int main(void)
{
    run(options_that_cannot_be_used_are_refused_without_a_trace_of_them);
    run(an_export_that_cannot_allocate_counts_its_spans);
    run(a_body_that_cannot_grow_is_given_up);
    run(a_history_that_cannot_be_kept_is_refused);
    return check_done();
}
