/* SPDX-License-Identifier: MIT */
/* Requests: from the raw target and header lines to what a handler asks for by name. */
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/urltext.h"

void request_clear(struct http_request *request)
{
    free(request->target);
    free(request->path);
    free(request->fields);
    free(request->trimmed);
    free(request->body);
    *request = (struct http_request){0};
}

bool request_keep_target(struct http_request *request, const char *target)
{
    request->target = strdup(target);
    return request->target != NULL;
}

/* ---- Header lines ------------------------------------------------------------------------- */

static size_t trimmed_size(const struct head_field *field)
{
    size_t size = field->value_size;

    while (size > 0 && (field->value[size - 1] == ' ' || field->value[size - 1] == '\t'))
        size--;
    return size;
}

static bool wants_trimming(const struct head_field *field)
{
    return trimmed_size(field) < field->value_size &&
           strcasecmp(field->name, "Content-Length") != 0 &&
           strcasecmp(field->name, "Transfer-Encoding") != 0;
}

bool request_trim_fields(struct http_request *request)
{
    size_t need = 0;
    char *out;

    for (size_t i = 0; i < request->field_count; i++) {
        if (wants_trimming(&request->fields[i]))
            need += trimmed_size(&request->fields[i]) + 1;
    }
    if (need == 0)
        return true;
    request->trimmed = out = malloc(need);
    if (out == NULL)
        return false;
    for (size_t i = 0; i < request->field_count; i++) {
        struct head_field *field = &request->fields[i];
        size_t size = trimmed_size(field);

        if (!wants_trimming(field))
            continue;
        memcpy(out, field->value, size);
        out[size] = '\0';
        field->value = out;
        field->value_size = size;
        out += size + 1;
    }
    return true;
}

/* ---- Target: [scheme://authority] path [? query] -------------------------------------------- */

/* Where the path begins: a proxy's client sends the whole URL, whose authority Host repeats. */
static const char *skip_authority(const char *target)
{
    const char *authority = target[0] == '/' ? NULL : strstr(target, "://");

    return authority == NULL ? target : authority + 3 + strcspn(authority + 3, "/?");
}

/*
 * One allocation holds the raw path, the scratch that decodes it and the decoded query: no part
 * grows when decoded, and each needs one byte more for its end.
 */
static const char *split(struct http_request *request, char **ret_query_out)
{
    const char *start = skip_authority(request->target);
    const char *mark = strchr(start, '?');
    size_t path_size = mark == NULL ? strlen(start) : (size_t)(mark - start);
    size_t query_size = mark == NULL ? 0 : strlen(mark + 1);
    bool is_empty = path_size == 0;

    request->path = malloc(2 * (path_size + 2) + query_size + 1);
    if (request->path == NULL)
        return "out of memory";
    memcpy(request->path, is_empty ? "/" : start, is_empty ? 1 : path_size);
    path_size += is_empty;
    request->path[path_size] = '\0';
    request->path_scratch = request->path + path_size + 1;
    request->raw_query = mark == NULL ? NULL : mark + 1;
    *ret_query_out = request->path_scratch + path_size + 1;
    return NULL;
}

/* Decode one "name=value" to *out and move *out behind it. */
static bool decode_pair(const char *text, size_t size, char **out, struct http_pair *ret_pair)
{
    const char *equals = memchr(text, '=', size);
    size_t name_size = equals == NULL ? size : (size_t)(equals - text);
    size_t decoded_size;

    if (!url_decode(text, name_size, true, *out, &decoded_size))
        return false;
    ret_pair->name = *out;
    ret_pair->value = *out + decoded_size; /* the zero byte: "" */
    *out += decoded_size + 1;
    if (equals == NULL)
        return true;
    if (!url_decode(equals + 1, size - name_size - 1, true, *out, &decoded_size))
        return false;
    ret_pair->value = *out;
    *out += decoded_size + 1;
    return true;
}

static const char *decode_query(struct http_request *request, char *out)
{
    const char *at = request->raw_query;

    while (at != NULL && *at != '\0') {
        size_t size = strcspn(at, "&");

        if (size > 0 && request->query_count == REQUEST_QUERY_PARAMS)
            return "there are too many query parameters";
        if (size > 0 && !decode_pair(at, size, &out, &request->query[request->query_count]))
            return "the query is not percent-encoded UTF-8";
        request->query_count += size > 0;
        at += size + (at[size] == '&');
    }
    return NULL;
}

const char *request_cut_target(struct http_request *request)
{
    char *query_out = NULL;
    const char *problem = split(request, &query_out);

    return problem != NULL ? problem : decode_query(request, query_out);
}

void request_bind(struct http_request *request, const struct router_match *match)
{
    for (size_t i = 0; i < match->param_count; i++)
        request->params[i] = (struct http_pair){match->names[i], match->values[i]};
    request->param_count = match->param_count;
}

/* ---- Body --------------------------------------------------------------------------------- */

/* Grows with what really came, not with what a header announced: an announcement costs nothing. */
bool request_append_body(struct http_request *request, const char *data, size_t size)
{
    size_t need = request->body_size + size + 1;

    if (need > request->body_capacity) {
        size_t capacity = 2 * request->body_capacity < need ? need : 2 * request->body_capacity;
        char *body;

        if (capacity > request->body_limit)
            capacity = request->body_limit;
        body = realloc(request->body, capacity);
        if (body == NULL)
            return false;
        request->body = body;
        request->body_capacity = capacity;
    }
    memcpy(request->body + request->body_size, data, size);
    request->body_size += size;
    request->body[request->body_size] = '\0';
    return true;
}

void request_drop_body(struct http_request *request)
{
    free(request->body);
    request->body = NULL;
    request->body_size = 0;
    request->body_capacity = 0;
}

/* ---- What a handler reads ----------------------------------------------------------------- */

const char *http_request_method(const struct http_request *request)
{
    return request->method;
}

const char *http_request_path(const struct http_request *request)
{
    return request->path;
}

static const char *look_up(const struct http_pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    }
    return NULL;
}

const char *http_request_path_param(const struct http_request *request, const char *name)
{
    return look_up(request->params, request->param_count, name);
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    return look_up(request->query, request->query_count, name);
}

bool http_request_has_query(const struct http_request *request, const char *name)
{
    return http_request_query(request, name) != NULL;
}

bool http_request_query_at(const struct http_request *request, size_t index, const char **ret_name,
                           const char **ret_value)
{
    if (index >= request->query_count)
        return false;
    *ret_name = request->query[index].name;
    *ret_value = request->query[index].value;
    return true;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->field_count; i++) {
        if (strcasecmp(request->fields[i].name, name) == 0)
            return request->fields[i].value;
    }
    return NULL;
}

const char *http_request_header_at(const struct http_request *request, const char *name,
                                   size_t index)
{
    for (size_t i = 0; i < request->field_count; i++) {
        if (strcasecmp(request->fields[i].name, name) == 0 && index-- == 0)
            return request->fields[i].value;
    }
    return NULL;
}

const char *http_request_body(const struct http_request *request, size_t *ret_size)
{
    *ret_size = request->body_size;
    return request->body == NULL ? "" : request->body;
}

const char *http_request_client_ip(const struct http_request *request)
{
    return request->client_ip;
}

const char *http_request_id(const struct http_request *request)
{
    return request->id;
}

weir_time http_request_arrived(const struct http_request *request)
{
    return request->arrived;
}

weir_time http_request_deadline(const struct http_request *request)
{
    return request->deadline;
}
