/* SPDX-License-Identifier: MIT */
/* What an exchange consists of, and how its response is sent. */
#ifndef WEIR_SERVER_EXCHANGE_SEND_H
#define WEIR_SERVER_EXCHANGE_SEND_H

#include "exchange.h"
#include "exchange_chunks.h"
#include "exchange_stream.h"
#include "head_validation.h"

/*
 * How far an exchange is. The event thread owns it except in STAGE_RUNNING, when the workers do;
 * suspending and resuming the connection, which lock, pass it from one to the other.
 *
 *   HEAD -> BODY -> RUNNING -> DONE (the response is ready) -> SENT
 *     |       `----- inline ---------------------------------^
 *     `--- refused ------------------------------------------'
 *     `--- no such route, no body -> DONE
 */
enum stage { STAGE_HEAD, STAGE_BODY, STAGE_RUNNING, STAGE_DONE, STAGE_SENT };

struct exchange {
    struct work work;
    struct listener *listener;
    struct door *door;
    struct MHD_Connection *connection;
    struct conn *conn;
    enum stage stage;
    weir_time started;
    const char *target_at; /* where the target stood in the parser's buffer */
    const char *method_at;
    const char *version;
    struct body_framing framing;
    const struct http_route *route;
    bool must_close;
    bool is_asked_first; /* see exchange_ask_before_reading() */
    size_t max_body;     /* the limit when the head came */
    size_t reserved;     /* of the memory for bodies */
    size_t body_bytes;   /* that came, kept or not */
    struct http_request request;
    struct http_response response;
    struct chunks chunks; /* of a chunked body, while it comes */
    struct stream stream; /* of a response that is read from a feed */
    unsigned sent_status; /* 0 until a response was handed over */
    uint64_t sent_bytes;
};

/* Free the body of the request, and the memory reserved for it. */
void exchange_release_body(struct exchange *x);

/*
 * When a connection is resumed, the library (0.9.75 to 1.0.1) reads from it before it asks for the response,
 * and where the client has ended its side, closes it unanswered. Those with a timeout of their own it asks
 * first, whatever the timeout: so a connection has one from when it is suspended until it is asked.
 */
void exchange_ask_before_reading(struct exchange *x, bool is_wanted);

/* Send x->response. */
enum MHD_Result exchange_send(struct exchange *x);

/* Send it before the request was read to its end. */
enum MHD_Result exchange_send_and_close(struct exchange *x);

/* Answer with a detail and close: nothing that follows on this connection can be trusted. */
enum MHD_Result exchange_refuse(struct exchange *x, unsigned status, const char *reason);

/* Answer 503 with Retry-After. */
enum MHD_Result exchange_send_busy(struct exchange *x, const char *reason);

#endif
