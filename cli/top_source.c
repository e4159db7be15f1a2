/* SPDX-License-Identifier: MIT */
/* Asking a server for the figures of its pools: one request, sent again each interval. */
#include "top_source.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <weir/http.h>

#include "common/lock.h"

#define LONGEST_PAUSE_MS 10000
#define FIRST_PAUSE_MS 500

struct top_source {
    weir_http *session;
    weir_http_request *request;
    int interval_ms;
    int failures; /* in a row; of the thread that asks */
    struct top_snapshot draft;
    pthread_t thread;
    bool has_thread;
    uint32_t
        is_stopping; /* 0, then 1: set by top_source_close(), read and slept on by the thread; atomic,
                             relaxed, for it publishes nothing but itself */

    struct weir__mutex lock;
    struct top_snapshot snapshot; /* guarded by it */
};

/* ---- Asking once -------------------------------------------------------------------------- */

static void publish(struct top_source *source)
{
    source->draft.count++;
    weir__lock(&source->lock);
    source->snapshot = source->draft;
    weir__unlock(&source->lock);
}

static void fail(struct top_source *source, enum top_state state, const char *problem)
{
    source->draft.state = state;
    source->failures++;
    top_copy_text(source->draft.problem, sizeof source->draft.problem, problem);
    publish(source);
}

/* The server's own word for a refusal, {"detail": …}, or only its status. */
static void fail_by_status(struct top_source *source, int status, const char *body, size_t size)
{
    json_t *answer = json_loadb(body, size, 0, NULL);
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    char answered[24], text[256];

    snprintf(answered, sizeof answered, "it answered %d", status);
    if (status == 401 || status == 403)
        snprintf(text, sizeof text, "the server refuses the token: %s",
                 detail != NULL ? detail : answered);
    else
        snprintf(text, sizeof text, "the server answered %d%s%s", status,
                 detail != NULL ? ": " : "", detail != NULL ? detail : "");
    json_decref(answer);
    fail(source, status == 401 || status == 403 ? TOP_REFUSED : TOP_LOST, text);
}

static void take_answer(struct top_source *source, const weir_http_response *response)
{
    struct top_figures *read = malloc(sizeof *read);
    struct top_snapshot *draft = &source->draft;
    int status = weir_http_response_status(response);
    size_t size;
    const char *body = weir_http_response_body(response, &size);
    weir_error error;

    if (status != 200) {
        fail_by_status(source, status, body, size);
    } else if (read == NULL) {
        fail(source, TOP_LOST, "out of memory");
    } else if (top_figures_read(body, size, weir_now(), draft->has_figures ? &draft->figures : NULL,
                                read, &error) != WEIR_OK) {
        fail(source, TOP_LOST, error.text);
    } else {
        source->failures = 0;
        draft->state = TOP_LIVE;
        draft->has_figures = true;
        draft->problem[0] = '\0';
        draft->figures = *read;
        publish(source);
    }
    free(read);
}

void top_source_ask(struct top_source *source)
{
    weir_http_response *response;
    weir_error error;

    if (weir_http_send(source->session, source->request, WEIR_DEADLINE_DEFAULT, &response,
                       &error) != WEIR_OK) {
        fail(source, TOP_LOST, error.text);
        return;
    }
    take_answer(source, response);
    weir_http_response_close(response);
}

/* ---- Asking again and again --------------------------------------------------------------- */

static bool is_stopping(struct top_source *source)
{
    return __atomic_load_n(&source->is_stopping, __ATOMIC_RELAXED) != 0;
}

/* The interval, after failures a pause that doubles. */
static int pause_ms(const struct top_source *source)
{
    int pause = FIRST_PAUSE_MS;

    for (int i = 1; i < source->failures && pause < LONGEST_PAUSE_MS; i++)
        pause *= 2;
    if (pause > LONGEST_PAUSE_MS)
        pause = LONGEST_PAUSE_MS;
    return source->failures == 0 || pause < source->interval_ms ? source->interval_ms : pause;
}

static void *run(void *arg)
{
    struct top_source *source = arg;

    while (!is_stopping(source) && source->draft.state != TOP_REFUSED) {
        weir_time until = weir_deadline_in(pause_ms(source));

        while (!is_stopping(source) && weir_now() < until)
            weir_wait(&source->is_stopping, 0, until);
        if (!is_stopping(source))
            top_source_ask(source);
    }
    return NULL;
}

weir_status top_source_start(struct top_source *source, weir_error *reterr)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&source->thread, NULL, run, source);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return weir_error_set(reterr, WEIR_SYSTEM, "start a thread: %s", strerror(error));
    source->has_thread = true;
    return WEIR_OK;
}

bool top_source_read(struct top_source *source, struct top_snapshot *snapshot)
{
    weir__lock(&source->lock);
    bool has_changed = source->snapshot.count != snapshot->count;
    if (has_changed)
        *snapshot = source->snapshot;
    weir__unlock(&source->lock);
    return has_changed;
}

/* ---- Opening and closing ------------------------------------------------------------------ */

/* Every failure is shown as it is, and the next asking is the retry. */
static weir_status open_session(struct top_source *source, weir_error *reterr)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.name = "top";
    options.connect_timeout_ms = 3000;
    options.try_timeout_ms = 5000;
    options.total_timeout_ms = 8000;
    options.max_body_bytes = 4 << 20;
    options.retry.total = WEIR_RETRY_DISABLED;
    options.follow_redirects = false;
    options.use_breaker = false;
    options.use_budget = false;
    return weir_http_open(&options, &source->session, reterr);
}

static weir_status open_request(struct top_source *source, const char *url, const char *token,
                                weir_error *reterr)
{
    size_t size = strlen(url);
    char *base;

    while (size > 0 && url[size - 1] == '/')
        size--;
    base = malloc(size + sizeof "/api/v1/pools");
    if (base == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "weir top: out of memory");
    memcpy(base, url, size);
    strcpy(base + size, "/api/v1/pools");
    weir_status status = weir_http_request_open("GET", base, &source->request, reterr);
    free(base);
    if (status != WEIR_OK)
        return status;
    status = weir_http_request_bearer(source->request, token);
    if (status != WEIR_OK)
        weir_error_set(reterr, status, "%s", weir_http_request_error(source->request)->text);
    return status;
}

weir_status top_source_open(const char *url, const char *token, int interval_ms,
                            struct top_source **ret_source, weir_error *reterr)
{
    struct top_source *source = calloc(1, sizeof *source);

    if (source == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "weir top: out of memory");
    source->interval_ms = interval_ms;
    weir__mutex_init(&source->lock);
    weir_status status = open_session(source, reterr);
    if (status == WEIR_OK)
        status = open_request(source, url, token, reterr);
    if (status != WEIR_OK) {
        top_source_close(source);
        return status;
    }
    *ret_source = source;
    return WEIR_OK;
}

void top_source_close(struct top_source *source)
{
    if (source == NULL)
        return;
    if (source->has_thread) {
        __atomic_store_n(&source->is_stopping, 1, __ATOMIC_RELAXED);
        weir_wake(&source->is_stopping);
        weir_http_request_cancel(source->request);
        pthread_join(source->thread, NULL);
    }
    weir_http_request_close(source->request);
    weir_http_close(source->session);
    weir__mutex_clear(&source->lock);
    free(source);
}
