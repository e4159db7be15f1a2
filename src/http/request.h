/* SPDX-License-Identifier: MIT */
/* A request as its builder leaves it and the sender reads it. */
#ifndef WEIR_HTTP_REQUEST_H
#define WEIR_HTTP_REQUEST_H

#include "common/lock.h"
#include "http/history.h"
#include "http/url.h"

#include <stdatomic.h>

/* One header field, as the line that is sent: "Name: value". */
struct field {
    char *line;
    bool is_secret;
};

#define FIELDS_LIMIT 128
#define FIELDS_SIZE_LIMIT 65536

/*
 * The thread that sends owns everything but what `cancel` says. Between calls the builder
 * (request.c) writes; the sender (send.c and below) writes the report, the history, `is_reader_begun` and
 * `cancel` only.
 */
struct weir_http_request {
    char *method; /* as given; checked to be a token */
    struct url url;
    struct field fields[FIELDS_LIMIT];
    size_t field_count;
    size_t fields_size;
    bool has_idempotency_key;
    bool has_accept_encoding;
    bool has_range;
    bool has_content_type; /* a field of that name was added by hand */

    /* The body: in memory, from a reader, or none. */
    bool has_body;
    char *body;
    size_t body_size;
    bool has_reader;
    weir_http_reader reader;
    bool is_reader_begun; /* a call read of it: it no longer stands at its beginning */
    char *content_type;   /* given with the body; NULL: none */

    weir_http_sink *sink;
    void *sink_arg;

    bool has_retry;
    weir_retry_options retry;
    int try_timeout_ms;     /* 0: the session's */
    int64_t max_body_bytes; /* -1: the session's */
    int follow_redirects;   /* -1: the session's */

    weir_error error; /* the first failure of the builder; status WEIR_OK: none */
    weir_http_report report;
    struct history history;

    /*
     * How another thread reaches the sender. `word` is 0 until the request is cancelled or its
     * session disposed; the sender sleeps on it. `wake` and `wake_arg`, under the lock, wake a
     * sender that is on the wire; NULL while it is not.
     */
    _Atomic uint32_t word;
    struct weir__mutex lock;
    void (*wake)(void *arg);
    void *wake_arg;

    /* Its place in the session's list of calls; under the session's lock. */
    struct weir_http_request *next;
    struct weir_http_request *previous;
};

/* What stands in a request's `word`; until the call has ended it only rises. */
enum request_signal { SIGNAL_NONE, SIGNAL_CLOSED, SIGNAL_CANCELLED };

/* Write a signal, and wake the sender wherever it is. Threads: any. */
void weir__request_signal(weir_http_request *request, enum request_signal signal);

#endif
