/* SPDX-License-Identifier: MIT */
/* What one attempt sends: its method, target, fields and body, as libcurl is told of them. */
#include "http/outgoing.h"

#include "http/no_proxy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static size_t on_read(char *buffer, size_t size, size_t count, void *arg)
{
    struct handle *handle = arg;
    struct transfer *t = handle->transfer;
    const weir_http_reader *reader = &t->request->reader;
    size_t got = 0;

    t->has_read = true;
    weir_status status = reader->read(reader->arg, buffer, size * count, &got, t->error);
    bool is_within = got <= size * count &&
                     (reader->size < 0 || (int64_t)got <= reader->size - t->read) &&
                     (got > 0 || t->read >= reader->size);
    if (status == WEIR_OK && is_within) {
        t->read += (int64_t)got;
        return got;
    }
    if (status == WEIR_OK)
        weir_error_set(
            t->error, WEIR_INVALID,
            "the reader of the body returned %zu bytes: the buffer has room for %zu, and "
            "%lld of its size %lld were read before",
            got, size * count, (long long)t->read, (long long)reader->size);
    else
        weir__transfer_blame(t, status, "the reader of the body failed");
    t->stop = STOP_FAILED;
    return CURL_READFUNC_ABORT;
}

/* libcurl's list has no const. */
static char expect_nothing[] = "Expect:";
static char ask_coded[] = "Accept-Encoding: " DECODE_CODINGS;
/* Nobody can decode a part of a coded body. */
static char ask_plain[] = "Accept-Encoding: identity";

/* Whether a field is one of this name; its line has a colon after it, or a semicolon where it is empty. */
static bool is_field(const struct field *field, const char *name)
{
    size_t size = strlen(name);

    return strncasecmp(field->line, name, size) == 0 &&
           (field->line[size] == ':' || field->line[size] == ';');
}

/* Whether a field describes the content of a message (RFC 9110, 8; 15.4 says that they go with it). */
static bool is_of_content(const struct field *field)
{
    return strncasecmp(field->line, "Content-", 8) == 0 || is_field(field, "Digest") ||
           is_field(field, "Repr-Digest") || is_field(field, "Last-Modified");
}

static bool is_left_out(const struct transfer *t, const struct field *field)
{
    return (field->is_secret && t->drops_secrets) ||
           (!t->has_body && is_field(field, "Content-Type")) ||
           (t->has_turned && is_of_content(field));
}

/* The request's own fields, then what libcurl shall send or leave out. The nodes are the transfer's:
 * libcurl only reads them. */
static void chain_fields(struct transfer *t, char *type_line)
{
    struct curl_slist *last = NULL;
    size_t count = 0;

    for (size_t i = 0; i < t->request->field_count; i++) {
        if (!is_left_out(t, &t->request->fields[i]))
            t->fields[count++].data = t->request->fields[i].line;
    }
    if (t->has_body) {
        t->fields[count++].data = expect_nothing;
        if (type_line != NULL)
            t->fields[count++].data = type_line;
    }
    if (t->session->options.decompress && !t->request->has_accept_encoding)
        t->fields[count++].data = t->request->has_range ? ask_plain : ask_coded;
    if (t->propagation->traceparent[0] != '\0')
        t->fields[count++].data = t->propagation->traceparent;
    if (t->propagation->tracestate[0] != '\0')
        t->fields[count++].data = t->propagation->tracestate;
    for (size_t i = 0; i < count; i++) {
        t->fields[i].next = NULL;
        if (last != NULL)
            last->next = &t->fields[i];
        last = &t->fields[i];
    }
    if (count == 0)
        t->fields[0].data = NULL;
}

/* "Content-Type: …", or the line that keeps libcurl from making one up. */
static char *make_type_line(const weir_http_request *request)
{
    static const char name[] = "Content-Type:";
    size_t length = request->content_type != NULL ? strlen(request->content_type) : 0;
    char *line = malloc(sizeof name + 1 + length);

    if (line == NULL)
        return NULL;
    memcpy(line, name, sizeof name);
    if (length > 0) {
        line[sizeof name - 1] = ' ';
        memcpy(line + sizeof name, request->content_type, length + 1);
    }
    return line;
}

static void set_body(struct handle *handle, struct transfer *t)
{
    const weir_http_request *request = t->request;
    CURL *easy = handle->easy;

    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (request->has_reader) {
        /* With -1 libcurl sends chunks, but refuses to where it knows of HTTP/1.0. Told by a field to send
         * them, it does not look. */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->reader.size);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, handle);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body != NULL ? request->body : "");
}

/* GET is what a renewed handle does; whoever wants more marks it. */
static void set_method(struct handle *handle, struct transfer *t)
{
    if (t->has_body)
        set_body(handle, t);
    if (strcmp(t->method, "GET") == 0 && !t->has_body)
        return;
    handle->is_marked = true;
    if (strcmp(t->method, "HEAD") == 0 && !t->has_body) {
        curl_easy_setopt(handle->easy, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(handle->easy, CURLOPT_IGNORE_CONTENT_LENGTH, 1L); /* there is no content */
        return;
    }
    curl_easy_setopt(handle->easy, CURLOPT_CUSTOMREQUEST, t->method);
}

/* Most attempts have the same. */
static void set_timeouts(struct handle *handle, const struct transfer *t)
{
    if (handle->timeout_ms == t->timeout_ms)
        return;
    handle->timeout_ms = t->timeout_ms;
    weir__handle_set_timeouts(handle, t->timeout_ms, t->session->options.connect_timeout_ms);
}

/* libcurl 8.8 and newer send no empty query by themselves. What is asked of a proxy is the whole URL; of
 * which kind that of the environment is, libcurl alone knows. */
static void set_target(struct handle *handle, const struct transfer *t)
{
    const weir_http_options *options = &t->session->options;
    const char *text = t->url->text;
    size_t size = strlen(text);

    if (text[size - 1] != '?' || strchr(text, '?') != text + size - 1)
        return;
    bool is_plain = strncmp(t->url->origin, "http:", 5) == 0 &&
                    !weir__no_proxy_has(t->session->no_proxy, t->url->origin);
    if (is_plain && options->proxy_from_environment)
        return;
    bool is_asked_of_proxy =
        is_plain && options->proxy != NULL && strncasecmp(options->proxy, "http", 4) == 0;
    const char *path = strchr(strstr(text, "://") + 3, '/');
    curl_easy_setopt(handle->easy, CURLOPT_REQUEST_TARGET, is_asked_of_proxy ? text : path);
    handle->is_marked = true;
}

weir_status weir__outgoing_set(struct handle *handle, struct transfer *t, char **ret_type_line)
{
    CURL *easy = handle->easy;

    if (handle->is_marked)
        weir__handle_renew(handle);
    if (t->has_body && !t->request->has_content_type) {
        *ret_type_line = make_type_line(t->request);
        if (*ret_type_line == NULL)
            return weir_error_set(t->error, WEIR_NO_MEMORY, "out of memory");
    }
    handle->is_stale = handle->is_stale || (t->is_chunked && handle->is_http_1_0);
    if (handle->is_stale)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    handle->is_marked = handle->is_stale;
    handle->is_stale = false;
    chain_fields(t, *ret_type_line);
    set_method(handle, t);
    set_target(handle, t);
    set_timeouts(handle, t);
    weir__handle_set_memory(handle, weir__http_names_memory(t->session));
    weir__handle_route(handle, t->url->origin);
    /* These live no longer than the attempt, and libcurl looks at them during one only. */
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->fields[0].data != NULL ? t->fields : NULL);
    curl_easy_setopt(easy, CURLOPT_CURLU, t->url->parts);
    return WEIR_OK;
}

weir_status weir__outgoing_rewind(struct transfer *t)
{
    const weir_http_reader *reader = &t->request->reader;

    if (!t->has_body || !t->request->has_reader || t->is_from_start)
        return WEIR_OK;
    weir_status status = reader->rewind(reader->arg, t->error);
    if (status != WEIR_OK)
        weir__transfer_blame(t, status, "the reader of the body cannot rewind");
    return status;
}
