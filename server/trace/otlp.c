/* SPDX-License-Identifier: MIT */
/* Export of finished spans: OTLP over HTTP, in JSON, on a thread that no other waits for. */
#include "otlp.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <weir/http.h>

#include "common/condition.h"
#include "log/log.h"
#include "span_json.h"
#include "text/text.h"
#include "text/urltext.h"
#include "threads/thread_start.h"

/* What is read of a collector's answer. */
#define ANSWER_BYTES 65536

/* How often trouble is said in the log. */
#define SAY_EVERY (60 * WEIR_SECOND)

/* The longest that a stop waits for the collector, however far its deadline is. */
#define LAST_WORDS (3 * WEIR_SECOND)

#define HEADERS_MAX 16

struct header {
    char *name;
    char *value;
};

struct otlp {
    /* fixed before the thread starts */
    weir_tracer *tracer;
    weir_http *session;
    char *endpoint;
    char *service_name;
    char instance_id[WEIR_TRACE_ID_SIZE];
    struct header headers[HEADERS_MAX];
    size_t header_count;
    int timeout_ms;
    int delay_ms;
    uint64_t batch;
    pthread_t thread;

    /* The thread counts, anyone reads. */
    _Atomic uint64_t exported;
    _Atomic uint64_t missed;
    _Atomic uint64_t failed;
    _Atomic uint64_t failures;

    /* When everything must have been sent; WEIR_DEADLINE_NEVER until otlp_stop() says so. */
    _Atomic weir_time ends_at;

    struct weir__mutex lock;
    pthread_cond_t changed;
    bool is_done_locked;               /* the thread sends no more */
    weir_http_request *request_locked; /* on its way; NULL: none */

    /* the thread's own */
    uint64_t position;
    weir_time said_at; /* 0: nothing to say was said yet */
    uint64_t unsaid;   /* spans that were not taken since then */
};

/* ---- Headers ------------------------------------------------------------------------------ */

static weir_status wrong_headers(weir_error *reterr, const char *why)
{
    return weir_error_set(reterr, WEIR_INVALID, "OTEL_EXPORTER_OTLP_HEADERS: %s", why);
}

static void trim(const char **text, size_t *size)
{
    while (*size > 0 && (*text)[*size - 1] == ' ')
        (*size)--;
    while (*size > 0 && **text == ' ') {
        (*text)++;
        (*size)--;
    }
}

/* One "name=value", as W3C's Baggage writes it. */
static weir_status add_header(struct otlp *otlp, const char *text, size_t size, weir_error *reterr)
{
    const char *equals = memchr(text, '=', size);
    struct header *header = &otlp->headers[otlp->header_count];

    trim(&text, &size);
    if (size == 0)
        return WEIR_OK;
    if (equals == NULL)
        return wrong_headers(reterr, "must be name=value, separated by commas");
    if (otlp->header_count == HEADERS_MAX)
        return wrong_headers(reterr, "more than 16");
    const char *value = equals + 1;
    size_t name_size = (size_t)(equals - text);
    size_t value_size = size - name_size - 1;
    trim(&text, &name_size);
    trim(&value, &value_size);
    otlp->header_count++;
    header->name = strndup(text, name_size);
    header->value = strndup(value, value_size);
    if (header->name == NULL || header->value == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    if (!url_decode(header->value, value_size, false, header->value, &value_size))
        return wrong_headers(reterr, "a value is not percent-encoded UTF-8");
    return WEIR_OK;
}

static weir_status read_headers(struct otlp *otlp, const char *text, weir_error *reterr)
{
    weir_status status = WEIR_OK;

    while (status == WEIR_OK && text != NULL && *text != '\0') {
        size_t size = strcspn(text, ",");

        status = add_header(otlp, text, size, reterr);
        text += size + (text[size] == ',');
    }
    return status;
}

static void clear_headers(struct otlp *otlp)
{
    for (size_t i = 0; i < otlp->header_count; i++) {
        if (otlp->headers[i].value != NULL)
            explicit_bzero(otlp->headers[i].value, strlen(otlp->headers[i].value));
        free(otlp->headers[i].name);
        free(otlp->headers[i].value);
    }
}

/* ---- One batch ---------------------------------------------------------------------------- */

/* A request that was not taken yet says nothing of the headers' values. */
static weir_status make_request(const struct otlp *otlp, weir_http_request **ret_request,
                                weir_error *reterr)
{
    weir_http_request *request = NULL;
    weir_status status = weir_http_request_open("POST", otlp->endpoint, &request, reterr);

    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < otlp->header_count && status == WEIR_OK; i++)
        if (weir_http_request_secret(request, otlp->headers[i].name, otlp->headers[i].value) !=
            WEIR_OK)
            status = wrong_headers(reterr, "a name or value that no header can have");
    if (status != WEIR_OK) {
        weir_http_request_close(request);
        return status;
    }
    *ret_request = request;
    return WEIR_OK;
}

/* How many spans a collector that took the request did not want. */
static uint64_t count_rejected(const weir_http_response *response)
{
    size_t size;
    const char *body = weir_http_response_body(response, &size);
    json_t *answer = json_loadb(body, size, 0, NULL);
    const json_t *rejected =
        json_object_get(json_object_get(answer, "partialSuccess"), "rejectedSpans");
    /* Protobuf's JSON writes it as a text, and readers take both. */
    long long count = json_is_string(rejected) ? strtoll(json_string_value(rejected), NULL, 10)
                                               : json_integer_value(rejected);

    json_decref(answer);
    return count > 0 ? (uint64_t)count : 0;
}

static void keep_request(struct otlp *otlp, weir_http_request *request)
{
    weir__lock(&otlp->lock);
    otlp->request_locked = request;
    weir__unlock(&otlp->lock);
}

static weir_time batch_deadline(struct otlp *otlp)
{
    weir_time end = atomic_load(&otlp->ends_at);
    weir_time own = weir_now() + otlp->timeout_ms * WEIR_MS;

    return own < end ? own : end;
}

/* Send one body. *ret_rejected is how many of its spans the collector did not want. */
static weir_status post(struct otlp *otlp, const char *body, size_t size, uint64_t *ret_rejected,
                        weir_error *reterr)
{
    weir_http_request *request = NULL;
    weir_http_response *response = NULL;
    weir_status status = make_request(otlp, &request, reterr);

    if (status != WEIR_OK)
        return status;
    status = weir_http_request_body(request, body, size, "application/json");
    keep_request(otlp, request);
    if (status == WEIR_OK)
        status = weir_http_send(otlp->session, request, batch_deadline(otlp), &response, reterr);
    else
        weir_error_set(reterr, status, "out of memory");
    keep_request(otlp, NULL);
    if (status == WEIR_OK) {
        int code = weir_http_response_status(response);

        if (code < 200 || code > 299)
            status = weir_error_set(reterr, WEIR_RESPONSE, "the collector answered %d", code);
        else
            *ret_rejected = count_rejected(response);
    }
    weir_http_response_close(response);
    weir_http_request_close(request);
    return status;
}

/* Gather what is finished, up to a batch; how many spans it is. */
static uint64_t gather(struct otlp *otlp, struct text *body)
{
    const struct span_resource resource = {otlp->service_name, otlp->instance_id};
    uint64_t count = 0;
    weir_span span;

    while (count < otlp->batch) {
        uint64_t expected = otlp->position + 1;

        if (!weir_tracer_read(otlp->tracer, &otlp->position, &span))
            break;
        atomic_fetch_add(&otlp->missed, otlp->position - expected);
        if (count == 0)
            span_json_begin_otlp(body, &resource);
        span_json_add_otlp(body, &span, count == 0);
        count++;
    }
    if (count > 0)
        span_json_end_otlp(body);
    return count;
}

/* ---- The thread --------------------------------------------------------------------------- */

static void say_failure(struct otlp *otlp, uint64_t spans, const weir_error *error)
{
    weir_time now = weir_now();

    otlp->unsaid += spans;
    if (otlp->said_at != 0 && now - otlp->said_at < SAY_EVERY)
        return;
    log_write(LOG_LEVEL_WARNING, "traces: %llu spans were not exported: %s",
              (unsigned long long)otlp->unsaid, error->text);
    otlp->said_at = now;
    otlp->unsaid = 0;
}

static void say_success(struct otlp *otlp)
{
    if (otlp->said_at == 0)
        return;
    log_write(LOG_LEVEL_INFO, "traces: the collector takes spans again; %llu more were lost",
              (unsigned long long)otlp->unsaid);
    otlp->said_at = 0;
    otlp->unsaid = 0;
}

static void count_batch(struct otlp *otlp, uint64_t spans, uint64_t rejected, weir_status status,
                        const weir_error *error)
{
    if (rejected > spans)
        rejected = spans;
    atomic_fetch_add(&otlp->exported, status == WEIR_OK ? spans - rejected : 0);
    atomic_fetch_add(&otlp->failed, status == WEIR_OK ? rejected : spans);
    atomic_fetch_add(&otlp->failures, status != WEIR_OK);
    if (status == WEIR_OK)
        say_success(otlp);
    else
        say_failure(otlp, spans, error);
}

/* Send one batch; false: there was none. */
static bool export_batch(struct otlp *otlp)
{
    struct text body = {0};
    uint64_t rejected = 0;
    weir_error error;
    weir_status status;

    uint64_t spans = gather(otlp, &body);
    if (spans == 0)
        return false;
    if (body.has_failed)
        status = weir_error_set(&error, WEIR_NO_MEMORY, "out of memory");
    else
        status = post(otlp, body.data, body.size, &rejected, &error);
    count_batch(otlp, spans, rejected, status, &error);
    text_clear(&body);
    return true;
}

static bool is_over(struct otlp *otlp)
{
    return weir_now() >= atomic_load(&otlp->ends_at);
}

static void *export_spans(void *arg)
{
    struct otlp *otlp = arg;

    while (atomic_load(&otlp->ends_at) == WEIR_DEADLINE_NEVER) {
        weir_tracer_wait(otlp->tracer, otlp->position + otlp->batch,
                         weir_now() + otlp->delay_ms * WEIR_MS);
        while (!is_over(otlp) && export_batch(otlp))
            continue;
    }
    while (!is_over(otlp) && export_batch(otlp))
        continue;
    atomic_fetch_add(&otlp->failed, weir_tracer_count(otlp->tracer) - otlp->position);
    weir__lock(&otlp->lock);
    otlp->is_done_locked = true;
    pthread_cond_broadcast(&otlp->changed);
    weir__unlock(&otlp->lock);
    return NULL;
}

/* ---- Starting and stopping ---------------------------------------------------------------- */

static weir_status open_session(struct otlp *otlp, const char *certificate, weir_error *reterr)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_error error;

    options.name = "otlp";
    options.pool_connections = 1;
    options.pool_maxsize = 1;
    options.try_timeout_ms = otlp->timeout_ms;
    options.follow_redirects = false;
    options.max_body_bytes = ANSWER_BYTES;
    options.ca_file = certificate;
    options.retry.total = 2;
    /* A span that comes twice is one span, by its id. */
    options.retry.allowed_methods |= WEIR_METHOD_POST;
    /* What the protocol calls retryable. */
    memcpy(options.retry.status_forcelist, (const int[5]){429, 502, 503, 504, 0}, 5 * sizeof(int));
    weir_status status = weir_http_open(&options, &otlp->session, &error);
    if (status != WEIR_OK)
        weir_error_set(reterr, status, "export of traces: %s", error.text);
    return status;
}

static weir_status check_endpoint(struct otlp *otlp, weir_error *reterr)
{
    weir_http_request *request = NULL;
    weir_error error;
    weir_status status = make_request(otlp, &request, &error);

    weir_http_request_close(request);
    if (status != WEIR_OK)
        weir_error_set(reterr, status, "export of traces: %s", error.text);
    return status;
}

static weir_status copy_options(struct otlp *otlp, const struct otlp_options *options,
                                weir_error *reterr)
{
    weir_trace_context random;

    otlp->timeout_ms = options->timeout_ms;
    otlp->delay_ms = options->delay_ms;
    otlp->batch = (uint64_t)options->batch;
    otlp->endpoint = strdup(options->endpoint);
    otlp->service_name = strdup(options->service_name);
    if (otlp->endpoint == NULL || otlp->service_name == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    if (getrandom(random.trace_id, sizeof random.trace_id, 0) < 0)
        return weir_error_set(reterr, WEIR_SYSTEM, "cannot get random bytes: %s", strerror(errno));
    weir_trace_id_format(&random, otlp->instance_id);
    return read_headers(otlp, options->headers, reterr);
}

static void free_otlp(struct otlp *otlp)
{
    weir_http_close(otlp->session);
    clear_headers(otlp);
    pthread_cond_destroy(&otlp->changed);
    weir__mutex_clear(&otlp->lock);
    free(otlp->endpoint);
    free(otlp->service_name);
    free(otlp);
}

weir_status otlp_start(const struct otlp_options *options, weir_tracer *tracer,
                       struct otlp **ret_otlp, weir_error *reterr)
{
    struct otlp *otlp = calloc(1, sizeof *otlp);

    if (otlp == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "export of traces: out of memory");
    otlp->tracer = tracer;
    atomic_init(&otlp->ends_at, WEIR_DEADLINE_NEVER);
    weir__mutex_init(&otlp->lock);
    condition_init(&otlp->changed);
    weir_status status = copy_options(otlp, options, reterr);
    if (status == WEIR_OK)
        status = check_endpoint(otlp, reterr);
    if (status == WEIR_OK)
        status = open_session(otlp, options->certificate, reterr);
    if (status == WEIR_OK) {
        int code = thread_start(&otlp->thread, export_spans, otlp);
        if (code != 0)
            status = weir_error_set(reterr, WEIR_SYSTEM,
                                    "export of traces: cannot start a thread: %s", strerror(code));
    }
    if (status != WEIR_OK) {
        free_otlp(otlp);
        return status;
    }
    *ret_otlp = otlp;
    return WEIR_OK;
}

void otlp_get_stats(struct otlp *otlp, struct otlp_stats *ret_stats)
{
    ret_stats->exported = atomic_load(&otlp->exported);
    ret_stats->missed = atomic_load(&otlp->missed);
    ret_stats->failed = atomic_load(&otlp->failed);
    ret_stats->failures = atomic_load(&otlp->failures);
}

/* Wait until the thread has sent everything, or cut what it is sending at the deadline. */
static void await_end(struct otlp *otlp, weir_time deadline)
{
    weir__lock(&otlp->lock);
    while (!otlp->is_done_locked &&
           condition_wait(&otlp->changed, &otlp->lock, deadline) != ETIMEDOUT)
        continue;
    if (otlp->request_locked != NULL)
        weir_http_request_cancel(otlp->request_locked);
    weir__unlock(&otlp->lock);
    pthread_join(otlp->thread, NULL);
}

weir_status otlp_stop(struct otlp *otlp, weir_time deadline, weir_error *reterr)
{
    weir_time latest = weir_now() + LAST_WORDS;
    weir_time end = deadline < 0 ? 0 : deadline < latest ? deadline : latest;
    struct otlp_stats before;
    struct otlp_stats after;

    if (otlp == NULL)
        return WEIR_OK;
    otlp_get_stats(otlp, &before);
    atomic_store(&otlp->ends_at, end);
    weir_tracer_wake(otlp->tracer);
    await_end(otlp, end);
    otlp_get_stats(otlp, &after);
    free_otlp(otlp);
    if (after.failed == before.failed)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_TIMEOUT, "%llu spans were not exported",
                          (unsigned long long)(after.failed - before.failed));
}
