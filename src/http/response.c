/* SPDX-License-Identifier: MIT */
/* Responses while they arrive, and what their holder reads of them. */
#include "http/response.h"

#include "http/text.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a body begins with whose size is not known, and at most if it is. */
#define BODY_FIRST 4096
#define BODY_FIRST_MOST 1048576

/* ---- leaves ------------------------------------------------------------------------------ */

static weir_status no_memory(weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_NO_MEMORY, "response: out of memory");
}

/* The values are the server's and may be secret, so that no error quotes them. */
static weir_status malformed(weir_error *reterr, const char *fault)
{
    return weir_error_set(reterr, WEIR_PROTOCOL, "header of the response: %s", fault);
}

/*
 * Let *memory hold `size` and `more` units of `unit` bytes: at least twice as many as before, so that
 * what is appended piece by piece is copied only a few times. Memory `inside` something else is left
 * behind. false: out of memory; it is as it was.
 */
static bool grow(void **memory, const void *inside, size_t *capacity, size_t size, size_t more,
                 size_t unit)
{
    const size_t most = SIZE_MAX / 2 / unit;
    if (size > most || more > most - size)
        return false;
    if (size + more <= *capacity)
        return true;

    size_t wanted = *capacity > most / 2 ? most : *capacity * 2;
    if (wanted < size + more)
        wanted = size + more;
    bool is_inside = inside != NULL && *memory == inside;
    void *grown = realloc(is_inside ? NULL : *memory, wanted * unit);
    if (grown == NULL)
        return false;
    if (is_inside)
        memcpy(grown, inside, size * unit);
    *memory = grown;
    *capacity = wanted;
    return true;
}

static bool grow_head(weir_http_response *response, size_t more)
{
    void *memory = response->head;
    bool has_room =
        grow(&memory, response->first_head, &response->head_capacity, response->head_size, more, 1);

    response->head = memory;
    return has_room;
}

static bool grow_fields(weir_http_response *response)
{
    void *memory = response->fields;
    bool has_room = grow(&memory, response->first_fields, &response->field_capacity,
                         response->field_count, 1, sizeof response->fields[0]);

    response->fields = memory;
    return has_room;
}

static bool grow_body(weir_http_response *response, size_t more)
{
    void *memory = response->body;
    size_t first = more < response->body_first && memory == NULL ? response->body_first : more;
    bool has_room = grow(&memory, NULL, &response->body_capacity, response->body_size, first, 1);

    response->body = memory;
    return has_room;
}

/* ---- the whole --------------------------------------------------------------------------- */

weir_http_response *weir__response_new(void)
{
    weir_http_response *response = malloc(sizeof *response);

    if (response == NULL)
        return NULL;
    /* What comes after is written before it is read. */
    memset(response, 0, offsetof(weir_http_response, first_fields));
    response->head = response->first_head;
    response->head_capacity = sizeof response->first_head;
    response->fields = response->first_fields;
    response->field_capacity = sizeof response->first_fields / sizeof response->first_fields[0];
    response->body_first = BODY_FIRST;
    return response;
}

/* What came with the last status line. */
static void forget(weir_http_response *response)
{
    response->status = 0;
    response->is_in_head = false;
    response->is_http_1_0 = false;
    response->url = 0;
    response->head_size = 0;
    response->field_count = 0;
    free(response->body);
    response->body = NULL;
    response->body_size = 0;
    response->body_capacity = 0;
    response->body_first = BODY_FIRST;
    response->is_truncated = false;
}

void weir__response_clear(weir_http_response *response)
{
    forget(response);
    response->received = 0;
}

void weir_http_response_close(weir_http_response *response)
{
    if (response == NULL)
        return;

    if (response->head != response->first_head)
        free(response->head);
    if (response->fields != response->first_fields)
        free(response->fields);
    free(response->body);
    free(response);
}

/* ---- the header -------------------------------------------------------------------------- */

/* "HTTP/1.1 200 OK"; also "HTTP/2 200", should libcurl be told to speak it. */
static weir_status add_status(weir_http_response *response, const char *line, size_t size,
                              weir_error *reterr)
{
    const char *end = line + size;
    const char *at = memchr(line, ' ', size);
    int status = 0;

    while (at != NULL && at < end && *at == ' ')
        at++;
    if (at == NULL || end - at < 3 || (end - at > 3 && at[3] != ' '))
        return malformed(reterr, "a status line without a status of three digits");
    for (int i = 0; i < 3; i++) {
        if (!weir__is_digit(at[i]))
            return malformed(reterr, "a status line without a status of three digits");
        status = status * 10 + (at[i] - '0');
    }
    if (status < 100)
        return malformed(reterr, "a status below 100");
    forget(response);
    response->status = status;
    response->is_in_head = true;
    response->is_http_1_0 = size > 8 && strncasecmp(line, "HTTP/1.0 ", 9) == 0;
    return WEIR_OK;
}

/* Whether a name says where the body ends. */
static bool is_framing(const char *name, size_t size)
{
    return (size == strlen("Content-Length") && strncasecmp(name, "Content-Length", size) == 0) ||
           (size == strlen("Transfer-Encoding") &&
            strncasecmp(name, "Transfer-Encoding", size) == 0);
}

/* The last field's value ends where `head` does. libcurl reads framing from a field's first line only, and
 * others from all of them (RFC 9112, 5.2). */
static weir_status add_folded(weir_http_response *response, const char *value, size_t size,
                              weir_error *reterr)
{
    if (response->field_count == 0)
        return malformed(reterr, "a line that continues nothing");
    if (size == 0)
        return WEIR_OK;
    const char *name = response->head + response->fields[response->field_count - 1].name;
    if (is_framing(name, strlen(name)))
        return malformed(reterr, "a folded Content-Length or Transfer-Encoding");
    if (!grow_head(response, size + 1))
        return no_memory(reterr);

    size_t end = response->head_size - 1;
    if (end > response->fields[response->field_count - 1].value)
        response->head[end++] = ' ';
    memcpy(response->head + end, value, size);
    response->head[end + size] = '\0';
    response->head_size = end + size + 1;
    return WEIR_OK;
}

/* Returns where it stands. There is room for it, and less than 4 GiB of head: max_header_bytes is an
 * int. */
static uint32_t put_text(weir_http_response *response, const char *text, size_t size)
{
    size_t place = response->head_size;

    memcpy(response->head + place, text, size);
    response->head[place + size] = '\0';
    response->head_size += size + 1;
    return (uint32_t)place;
}

/* Blanks before the colon belong to nothing (RFC 9112, 5.1) and are passed over; but libcurl reads no
 * framing from such a field, so that it and others would see the body end at different places. */
static weir_status add_field(weir_http_response *response, const char *line, size_t size,
                             weir_error *reterr)
{
    size_t name = weir__token_length(line, size);
    size_t colon = name;

    while (colon < size && weir__is_blank(line[colon]))
        colon++;
    if (name == 0 || colon == size || line[colon] != ':')
        return malformed(reterr, "a line that is not a field");
    if (colon > name && is_framing(line, name))
        return malformed(reterr, "a blank before the colon of Content-Length or Transfer-Encoding");
    if (response->field_count == RESPONSE_FIELDS_LIMIT)
        return weir_error_set(reterr, WEIR_LIMIT, "header of the response: more than %d fields",
                              RESPONSE_FIELDS_LIMIT);

    if (!grow_head(response, size + 1) || !grow_fields(response))
        return no_memory(reterr);
    const char *value = line + colon + 1;
    size_t value_size = size - colon - 1;
    weir__trim(&value, &value_size);
    size_t end = (size_t)(value - line) + value_size;
    struct response_field *field = &response->fields[response->field_count++];
    field->name = put_text(response, line, end);
    field->value = field->name + (uint32_t)(value - line);
    response->head[field->name + name] = '\0';
    return WEIR_OK;
}

weir_status weir__response_add_line(weir_http_response *response, const char *line, size_t size,
                                    size_t limit, weir_error *reterr)
{
    if (size > limit || response->received > limit - size)
        return weir_error_set(reterr, WEIR_LIMIT, "header of the response: more than %zu bytes",
                              limit);
    response->received += size;

    if (size > 0 && line[size - 1] == '\n')
        size--;
    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (weir__value_fault(line, size) < size)
        return malformed(reterr, "a control character");
    if (size == 0) {
        response->is_in_head = false;
        return WEIR_OK;
    }
    if (!response->is_in_head && size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        return add_status(response, line, size, reterr);
    if (!weir__is_blank(line[0]))
        return add_field(response, line, size, reterr);
    weir__trim(&line, &size);
    return add_folded(response, line, size, reterr);
}

/* ---- the body ---------------------------------------------------------------------------- */

void weir__response_expect_body(weir_http_response *response, int64_t size)
{
    if (size < 0)
        return;
    /* And a zero. */
    response->body_first = size < BODY_FIRST_MOST ? (size_t)size + 1 : BODY_FIRST_MOST;
}

weir_status weir__response_add_body(weir_http_response *response, const char *data, size_t size,
                                    weir_error *reterr)
{
    if (size == SIZE_MAX || !grow_body(response, size + 1))
        return no_memory(reterr);
    if (size > 0)
        memcpy(response->body + response->body_size, data, size);
    response->body_size += size;
    response->body[response->body_size] = '\0';
    return WEIR_OK;
}

/* ---- where it came from ------------------------------------------------------------------ */

bool weir__response_set_url(weir_http_response *response, const char *url)
{
    size_t size = strlen(url);

    if (!grow_head(response, size + 2))
        return false;
    response->head_size += response->head_size == 0; /* 0 is no place for it */
    response->url = put_text(response, url, size);
    return true;
}

/* ---- for its holder ---------------------------------------------------------------------- */

size_t weir__response_values(const weir_http_response *response, const char *name,
                             const char **values, size_t capacity)
{
    size_t count = 0;

    for (size_t i = 0; i < response->field_count; i++) {
        if (!weir__is_same_name(response->head + response->fields[i].name, name))
            continue;
        if (count < capacity)
            values[count] = response->head + response->fields[i].value;
        count++;
    }
    return count;
}

bool weir__response_says_close(const weir_http_response *response)
{
    const char *values[RESPONSE_FIELDS_LIMIT];
    const char *option;
    size_t size;
    size_t count = weir__response_values(response, "Connection", values, RESPONSE_FIELDS_LIMIT);

    for (size_t i = 0; i < count; i++)
        while (weir__next_element(&values[i], &option, &size))
            if (size == 5 && strncasecmp(option, "close", size) == 0)
                return true;
    return false;
}

/* 1*DIGIT of RFC 9110 (8.6), and nothing else. false: it is not, or does not fit. */
static bool read_length(const char *text, int64_t *ret_length)
{
    int64_t length = 0;

    for (size_t i = 0; text[i] != '\0' || i == 0; i++) {
        if (!weir__is_digit(text[i]) || length > (INT64_MAX - (text[i] - '0')) / 10)
            return false;
        length = length * 10 + (text[i] - '0');
    }
    *ret_length = length;
    return true;
}

const char *weir__response_length_fault(const weir_http_response *response)
{
    int64_t first = -1;
    int64_t length = 0;

    for (size_t i = 0; i < response->field_count; i++) {
        const struct response_field *field = &response->fields[i];

        if (!weir__is_same_name(response->head + field->name, "Content-Length"))
            continue;
        if (!read_length(response->head + field->value, &length))
            return "an invalid Content-Length";
        if (first >= 0 && length != first)
            return "two different Content-Length fields";
        first = length;
    }
    return NULL;
}

int64_t weir__response_length(const weir_http_response *response)
{
    const char *value = weir_http_response_header(response, "Content-Length");
    int64_t length = -1;

    if (response->status == 204 || response->status == 304)
        return 0;
    if (value == NULL || weir_http_response_header(response, "Transfer-Encoding") != NULL ||
        !read_length(value, &length))
        return -1;
    return length;
}

int weir_http_response_status(const weir_http_response *response)
{
    return response->status;
}

const char *weir_http_response_header(const weir_http_response *response, const char *name)
{
    const char *value = NULL;

    return weir__response_values(response, name, &value, 1) > 0 ? value : NULL;
}

bool weir_http_response_header_at(const weir_http_response *response, size_t index,
                                  const char **ret_name, const char **ret_value)
{
    if (index >= response->field_count)
        return false;

    *ret_name = response->head + response->fields[index].name;
    *ret_value = response->head + response->fields[index].value;
    return true;
}

const char *weir_http_response_body(const weir_http_response *response, size_t *ret_size)
{
    if (ret_size != NULL)
        *ret_size = response->body_size;
    return response->body == NULL ? "" : response->body;
}

bool weir_http_response_is_truncated(const weir_http_response *response)
{
    return response->is_truncated;
}

const char *weir_http_response_url(const weir_http_response *response)
{
    return response->url == 0 ? "" : response->head + response->url;
}
