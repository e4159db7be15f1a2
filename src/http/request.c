/* SPDX-License-Identifier: MIT */
/* Requests: built piece by piece, the first failure kept. No error of this file quotes a value. */
#include "http/request_build.h"

#include "http/options.h"
#include "http/text.h"
#include "http/url_build.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest method, in bytes. */
#define METHOD_LIMIT 64

/* ---- leaves ------------------------------------------------------------------------------ */

weir_status weir__request_keep(weir_http_request *request, weir_status status,
                               const weir_error *error)
{
    if (status != WEIR_OK && request->error.status == WEIR_OK)
        request->error = *error;
    return status;
}

weir_status weir__request_no_memory(weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_NO_MEMORY, "request: out of memory");
}

void weir__free_secret(char *text, size_t size)
{
    if (text != NULL)
        explicit_bzero(text, size);
    free(text);
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (weir__is_same_name(name, names[i]))
            return true;
    return false;
}

/* Fields that say where the message goes and where it ends: a second opinion in a field of the user's
 * would split it in two. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"Host",   "Content-Length", "Transfer-Encoding",
                                        "Expect", "Connection",     "Upgrade",
                                        "TE",     "Trailer"};

    return is_one_of(name, names, sizeof names / sizeof names[0]);
}

static bool is_secret(const char *name)
{
    static const char *const names[] = {"Authorization", "Cookie",   "Proxy-Authorization",
                                        "X-API-Key",     "xc-token", "xc-auth"};

    return is_one_of(name, names, sizeof names / sizeof names[0]);
}

/* ---- opening and closing ----------------------------------------------------------------- */

static weir_status check_method(const char *method, weir_error *reterr)
{
    size_t size = strnlen(method, METHOD_LIMIT + 1);
    size_t fault = weir__token_length(method, size);

    if (size == 0 || size > METHOD_LIMIT)
        return weir_error_set(reterr, WEIR_INVALID, "method: must have 1 to %d characters",
                              METHOD_LIMIT);
    if (fault < size)
        return weir_error_set(reterr, WEIR_INVALID,
                              "method, position %zu: must be letters, digits and !#$%%&'*+-.^_`|~",
                              fault + 1);
    if (weir__is_same_name(method, "CONNECT"))
        return weir_error_set(
            reterr, WEIR_INVALID,
            "method CONNECT: opens a tunnel, not a request; use the option proxy");
    return WEIR_OK;
}

static weir_http_request *new_request(const char *method)
{
    weir_http_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;

    request->method = strdup(method);
    request->max_body_bytes = -1;
    request->follow_redirects = -1;
    weir__mutex_init(&request->lock);
    return request;
}

weir_status weir_http_request_open(const char *method, const char *url,
                                   weir_http_request **ret_request, weir_error *reterr)
{
    weir_status status = check_method(method, reterr);
    if (status != WEIR_OK)
        return status;

    weir_http_request *request = new_request(method);
    if (request == NULL || request->method == NULL)
        status = weir__request_no_memory(reterr);
    else
        status = weir__url_parse(url, &request->url, reterr);
    if (status != WEIR_OK) {
        weir_http_request_close(request);
        return status;
    }
    *ret_request = request;
    return WEIR_OK;
}

static void clear_body(weir_http_request *request)
{
    free(request->body);
    free(request->content_type);
    request->body = NULL;
    request->body_size = 0;
    request->content_type = NULL;
    request->has_body = false;
    request->has_reader = false;
}

void weir_http_request_close(weir_http_request *request)
{
    if (request == NULL)
        return;

    for (size_t i = 0; i < request->field_count; i++)
        weir__free_secret(request->fields[i].line, strlen(request->fields[i].line));
    clear_body(request);
    weir__history_clear(&request->history);
    weir__url_clear(&request->url);
    weir__mutex_clear(&request->lock);
    free(request->method);
    free(request);
}

const weir_error *weir_http_request_error(const weir_http_request *request)
{
    return request->error.status == WEIR_OK ? NULL : &request->error;
}

/* ---- the URL ----------------------------------------------------------------------------- */

/* Let a text that is malloc'ed, and given up here, be the URL. */
static weir_status move_to(weir_http_request *request, char *text, weir_error *reterr)
{
    struct url url = {0};
    weir_status status = weir__url_parse(text, &url, reterr);

    weir__free_secret(text, strlen(text));
    if (status != WEIR_OK)
        return status;
    assert(strcmp(url.origin, request->url.origin) == 0);
    weir__history_keep_url(&request->history, &request->url);
    weir__url_clear(&request->url);
    request->url = url;
    return WEIR_OK;
}

weir_status weir_http_request_segment(weir_http_request *request, const char *segment)
{
    weir_error error;
    char *text = NULL;
    weir_status status = weir__url_add_segment(request->url.text, segment, &text, &error);

    if (status == WEIR_OK)
        status = move_to(request, text, &error);
    return weir__request_keep(request, status, &error);
}

weir_status weir_http_request_query(weir_http_request *request, const char *name, const char *value)
{
    weir_error error;
    char *text = NULL;
    weir_status status = weir__url_add_query(request->url.text, name, value, &text, &error);

    if (status == WEIR_OK)
        status = move_to(request, text, &error);
    return weir__request_keep(request, status, &error);
}

const char *weir_http_request_url(weir_http_request *request)
{
    return request->url.text;
}

/* ---- header fields ----------------------------------------------------------------------- */

static weir_status check_name(const char *name, weir_error *reterr)
{
    size_t size = strnlen(name, FIELDS_SIZE_LIMIT + 1);
    size_t fault = weir__token_length(name, size);

    if (size == 0)
        return weir_error_set(reterr, WEIR_INVALID, "header: its name must not be empty");
    if (fault < size)
        return weir_error_set(
            reterr, WEIR_INVALID,
            "header name, position %zu: must be letters, digits and !#$%%&'*+-.^_`|~", fault + 1);
    if (is_ours(name))
        return weir_error_set(reterr, WEIR_INVALID, "header %s: is set by weir itself", name);
    return WEIR_OK;
}

static weir_status check_value(const char *name, const char *value, weir_error *reterr)
{
    size_t size = strnlen(value, FIELDS_SIZE_LIMIT + 1);
    size_t fault = weir__value_fault(value, size);

    if (fault < size)
        return weir_error_set(reterr, WEIR_INVALID,
                              "header %s, position %zu of its value: a control character", name,
                              fault + 1);
    return WEIR_OK;
}

/* Whether a line of this size, and its end on the wire, can be added. */
static weir_status check_room(const weir_http_request *request, const char *name, size_t size,
                              weir_error *reterr)
{
    if (request->field_count == FIELDS_LIMIT)
        return weir_error_set(reterr, WEIR_LIMIT, "header %.64s: more than %d fields", name,
                              FIELDS_LIMIT);
    if (size + 2 > FIELDS_SIZE_LIMIT - request->fields_size)
        return weir_error_set(reterr, WEIR_LIMIT, "header %.64s: more than %d bytes of fields",
                              name, FIELDS_SIZE_LIMIT);
    return WEIR_OK;
}

static void put_line(weir_http_request *request, const char *name, char *line, bool secret)
{
    size_t size = strlen(line);

    request->fields[request->field_count++] =
        (struct field){.line = line, .is_secret = secret || is_secret(name)};
    request->fields_size += size + 2;
    request->has_idempotency_key |= weir__is_same_name(name, "Idempotency-Key");
    request->has_accept_encoding |= weir__is_same_name(name, "Accept-Encoding");
    request->has_range |= weir__is_same_name(name, "Range");
    request->has_content_type |= weir__is_same_name(name, "Content-Type");
}

/* The key says what is one request: two of them, or none in the field, say nothing. */
static weir_status check_key(const weir_http_request *request, const char *name, size_t value_size,
                             weir_error *reterr)
{
    if (!weir__is_same_name(name, "Idempotency-Key"))
        return WEIR_OK;
    if (value_size == 0)
        return weir_error_set(reterr, WEIR_INVALID, "header %s: must not be empty", name);
    if (request->has_idempotency_key)
        return weir_error_set(reterr, WEIR_INVALID, "header %s: is already set", name);
    return WEIR_OK;
}

weir_status weir__request_add_field(weir_http_request *request, const char *name, const char *value,
                                    bool secret, weir_error *reterr)
{
    weir_status status = check_name(name, reterr);
    if (status != WEIR_OK || (status = check_value(name, value, reterr)) != WEIR_OK)
        return status;

    size_t name_size = strnlen(name, FIELDS_SIZE_LIMIT + 1);
    size_t size = strnlen(value, FIELDS_SIZE_LIMIT + 1);
    weir__trim(&value, &size);
    if ((status = check_key(request, name, size, reterr)) != WEIR_OK ||
        (status = check_room(request, name, name_size + 2 + size, reterr)) != WEIR_OK)
        return status;

    char *line = malloc(name_size + 2 + size + 1);
    if (line == NULL)
        return weir__request_no_memory(reterr);
    /* libcurl takes "Name:" for a field to leave out, and "Name;" for one that is empty. */
    snprintf(line, name_size + 2 + size + 1, "%s%s%.*s", name, size == 0 ? ";" : ": ", (int)size,
             value);
    put_line(request, name, line, secret);
    return WEIR_OK;
}

weir_status weir_http_request_header(weir_http_request *request, const char *name,
                                     const char *value)
{
    weir_error error;

    return weir__request_keep(request, weir__request_add_field(request, name, value, false, &error),
                              &error);
}

weir_status weir_http_request_secret(weir_http_request *request, const char *name,
                                     const char *value)
{
    weir_error error;

    return weir__request_keep(request, weir__request_add_field(request, name, value, true, &error),
                              &error);
}

/* ---- the body ---------------------------------------------------------------------------- */

/* A copy without the blanks around it; *ret_copy is NULL when there is no type. */
static weir_status copy_type(const char *content_type, char **ret_copy, weir_error *reterr)
{
    *ret_copy = NULL;
    if (content_type == NULL)
        return WEIR_OK;
    weir_status status = check_value("Content-Type", content_type, reterr);
    if (status != WEIR_OK)
        return status;

    const char *type = content_type;
    size_t size = strnlen(type, FIELDS_SIZE_LIMIT + 1);
    weir__trim(&type, &size);
    if (size > FIELDS_SIZE_LIMIT)
        return weir_error_set(reterr, WEIR_LIMIT, "header Content-Type: more than %d bytes",
                              FIELDS_SIZE_LIMIT);
    if (size == 0)
        return WEIR_OK;
    *ret_copy = strndup(type, size);
    return *ret_copy != NULL ? WEIR_OK : weir__request_no_memory(reterr);
}

weir_status weir_http_request_body(weir_http_request *request, const void *data, size_t size,
                                   const char *content_type)
{
    weir_error error;
    char *type = NULL;
    weir_status status = copy_type(content_type, &type, &error);
    if (status != WEIR_OK)
        return weir__request_keep(request, status, &error);

    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        free(type);
        return weir__request_keep(request, weir__request_no_memory(&error), &error);
    }
    if (size > 0)
        memcpy(copy, data, size);
    clear_body(request);
    request->has_body = true;
    request->body = copy;
    request->body_size = size;
    request->content_type = type;
    return WEIR_OK;
}

weir_status weir_http_request_reader(weir_http_request *request, const weir_http_reader *reader,
                                     const char *content_type)
{
    weir_error error;
    char *type = NULL;
    weir_status status = WEIR_OK;

    assert(reader->read != NULL);
    if (reader->size < -1)
        status = weir_error_set(&error, WEIR_INVALID, "reader size %lld: must be -1 or more",
                                (long long)reader->size);
    if (status == WEIR_OK)
        status = copy_type(content_type, &type, &error);
    if (status != WEIR_OK)
        return weir__request_keep(request, status, &error);

    clear_body(request);
    request->has_body = true;
    request->has_reader = true;
    request->reader = *reader;
    request->is_reader_begun = false;
    request->content_type = type;
    return WEIR_OK;
}

/* ---- how it is sent ---------------------------------------------------------------------- */

weir_status weir_http_request_sink(weir_http_request *request, weir_http_sink *sink, void *arg)
{
    request->sink = sink;
    request->sink_arg = arg;
    return WEIR_OK;
}

weir_status weir_http_request_retry(weir_http_request *request, const weir_retry_options *retry)
{
    weir_error error;
    weir_status status = weir_retry_check(retry, &error);
    if (status != WEIR_OK) {
        weir_error_set(&error, status, "retry: %s", error.text);
        return weir__request_keep(request, status, &error);
    }

    request->retry = *retry;
    request->has_retry = true;
    return WEIR_OK;
}

weir_status weir_http_request_try_timeout(weir_http_request *request, int timeout_ms)
{
    weir_error error;

    if (timeout_ms < 1 || timeout_ms > DAY_MS)
        return weir__request_keep(request,
                                  weir_error_set(&error, WEIR_INVALID,
                                                 "try_timeout_ms %d: must be 1 to %d", timeout_ms,
                                                 DAY_MS),
                                  &error);
    request->try_timeout_ms = timeout_ms;
    return WEIR_OK;
}

weir_status weir_http_request_max_body(weir_http_request *request, int64_t bytes)
{
    weir_error error;

    if (bytes < 0 || bytes > BODY_LIMIT)
        return weir__request_keep(request,
                                  weir_error_set(&error, WEIR_INVALID,
                                                 "max_body_bytes %lld: must be 0 to %lld",
                                                 (long long)bytes, (long long)BODY_LIMIT),
                                  &error);
    request->max_body_bytes = bytes;
    return WEIR_OK;
}

weir_status weir_http_request_follow_redirects(weir_http_request *request, bool follow)
{
    request->follow_redirects = follow;
    return WEIR_OK;
}

/* ---- other threads, and afterwards ------------------------------------------------------- */

/*
 * The word first, then the wake: a sender that goes on the wire sets `wake` under the lock and looks at
 * the word after that, so one of the two finds the other.
 */
void weir__request_signal(weir_http_request *request, enum request_signal signal)
{
    uint32_t was = SIGNAL_NONE;

    while (was < (uint32_t)signal &&
           !atomic_compare_exchange_weak(&request->word, &was, (uint32_t)signal))
        continue;
    weir_wake((uint32_t *)(uintptr_t)&request->word);
    weir__lock(&request->lock);
    if (request->wake != NULL)
        request->wake(request->wake_arg);
    weir__unlock(&request->lock);
}

void weir_http_request_cancel(weir_http_request *request)
{
    weir__request_signal(request, SIGNAL_CANCELLED);
}

const weir_http_report *weir_http_request_report(const weir_http_request *request)
{
    return &request->report;
}
