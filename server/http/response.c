/* SPDX-License-Identifier: MIT */
/* Responses: the helpers with which a handler fills one. */
#include "listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "feed.h"
#include "head_validation.h"
#include "text/text.h"

static const char content_type_json[] = "application/json; charset=utf-8";

static void drop_body(struct http_response *response)
{
    free(response->body);
    response->body = NULL;
    response->body_size = 0;
}

void http_response_clear(struct http_response *response)
{
    drop_body(response);
    feed_leave(response->reader);
    for (size_t i = 0; i < response->header_count; i++) {
        free(response->headers[i].name);
        free(response->headers[i].value);
    }
    *response = (struct http_response){.status = 200, .content_type = content_type_json};
}

void http_reply_bytes(struct http_response *response, unsigned status, const char *content_type,
                      char *bytes, size_t size)
{
    drop_body(response);
    response->status = status;
    response->content_type = content_type;
    response->body = bytes;
    response->body_size = size;
}

void http_reply_json_text(struct http_response *response, unsigned status, char *text)
{
    if (text == NULL) {
        http_reply_detail(response, 500, "out of memory");
        return;
    }
    http_reply_bytes(response, status, content_type_json, text, strlen(text));
}

bool http_reply_feed(struct http_response *response, const char *content_type, struct feed *feed)
{
    struct feed_reader *reader = feed_join(feed);

    if (reader == NULL)
        return false;
    drop_body(response);
    feed_leave(response->reader);
    response->status = 200;
    response->content_type = content_type;
    response->reader = reader;
    return true;
}

static char *detail_json(const char *detail)
{
    struct text json = {0};

    text_add(&json, "{\"detail\": ");
    text_add_json(&json, detail);
    text_add(&json, "}");
    return text_take(&json);
}

void http_reply_detail(struct http_response *response, unsigned status, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    char *json;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    json = text == NULL ? NULL : detail_json(text);
    free(text);
    /* Out of memory: the status still says the most important thing. */
    http_reply_bytes(response, status, content_type_json, json, json == NULL ? 0 : strlen(json));
}

static bool is_listeners_own(const char *name)
{
    static const char *const own[] = {"Connection", "Content-Length",    "Content-Type",
                                      "Date",       "Transfer-Encoding", "X-Request-Id"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcasecmp(own[i], name) == 0)
            return true;
    }
    return false;
}

bool http_reply_header(struct http_response *response, const char *name, const char *value)
{
    struct http_response_header *header = &response->headers[response->header_count];

    if (response->header_count == HTTP_RESPONSE_HEADERS || is_listeners_own(name) ||
        !http_is_token(name, strlen(name)) || !http_is_field_value(value, strlen(value)))
        return false;
    header->name = strdup(name);
    header->value = strdup(value);
    if (header->name == NULL || header->value == NULL) {
        free(header->name);
        free(header->value);
        *header = (struct http_response_header){NULL, NULL};
        return false;
    }
    response->header_count++;
    return true;
}
