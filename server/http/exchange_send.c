/* SPDX-License-Identifier: MIT */
/* Sends the response of an exchange. */
#include "exchange_send.h"

#include <stdlib.h>

#define DAY_SECONDS 86400u

static struct MHD_Response *make_body(struct http_response *response)
{
    struct MHD_Response *made;

    if (response->status < 200 || response->status > 599)
        http_reply_detail(response, 500, "the handler gave no valid status");
    /* A 304 has the length of what it does not send. */
    if (response->body == NULL || response->status == 204) {
        char nothing[] = "";

        return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    }
    made = MHD_create_response_from_buffer_with_free_callback(response->body_size, response->body,
                                                              free);
    if (made == NULL)
        return NULL;
    response->body = NULL; /* the library frees it from now on */
    if (response->content_type != NULL)
        MHD_add_response_header(made, "Content-Type", response->content_type);
    return made;
}

/* A feed's response; the connection ends with it. */
static struct MHD_Response *make_stream(struct exchange *x)
{
    struct MHD_Response *made;

    x->must_close = true;
    x->stream = (struct stream){.connection = x->connection,
                                .events = x->door->events,
                                .reaper = x->door->reaper,
                                .conn = x->conn,
                                .reader = x->response.reader};
    made = stream_response(&x->stream);
    if (made != NULL)
        MHD_add_response_header(made, "Content-Type", x->response.content_type);
    return made;
}

void exchange_release_body(struct exchange *x)
{
    request_drop_body(&x->request);
    atomic_fetch_sub(&x->listener->body_bytes, x->reserved);
    x->reserved = 0;
}

void exchange_ask_before_reading(struct exchange *x, bool is_wanted)
{
    if (is_wanted != x->is_asked_first)
        MHD_set_connection_option(x->connection, MHD_CONNECTION_OPTION_TIMEOUT,
                                  is_wanted ? DAY_SECONDS : 0u);
    x->is_asked_first = is_wanted;
}

enum MHD_Result exchange_send(struct exchange *x)
{
    struct listener *listener = x->listener;
    struct http_response *response = &x->response;
    struct MHD_Response *made = response->reader != NULL ? make_stream(x) : make_body(response);
    enum MHD_Result result;

    exchange_release_body(x);
    exchange_ask_before_reading(x, false);
    if (made == NULL)
        return MHD_NO;
    for (size_t i = 0; i < response->header_count; i++)
        MHD_add_response_header(made, response->headers[i].name, response->headers[i].value);
    MHD_add_response_header(made, "X-Request-Id", x->request.id);
    if (x->must_close || atomic_load(&listener->is_draining))
        MHD_add_response_header(made, "Connection", "close");
    reaper_move(x->door->reaper, x->conn, CONN_WRITE);
    x->stage = STAGE_SENT;
    x->sent_status = response->status;
    x->sent_bytes = response->status == 304 ? 0 : response->body_size;
    atomic_fetch_add(&listener->requests, 1);
    result = MHD_queue_response(x->connection, response->status, made);
    MHD_destroy_response(made);
    return result;
}

enum MHD_Result exchange_send_and_close(struct exchange *x)
{
    x->must_close = true;
    x->conn->wants_linger = true;
    return exchange_send(x);
}

enum MHD_Result exchange_refuse(struct exchange *x, unsigned status, const char *reason)
{
    http_reply_detail(&x->response, status, "%s", reason);
    return exchange_send_and_close(x);
}

enum MHD_Result exchange_send_busy(struct exchange *x, const char *reason)
{
    atomic_fetch_add(&x->listener->rejected_full, 1);
    http_reply_detail(&x->response, 503, "%s", reason);
    http_reply_header(&x->response, "Retry-After", "1");
    return x->stage == STAGE_HEAD ? exchange_send_and_close(x) : exchange_send(x);
}
