/* SPDX-License-Identifier: MIT */
/* A response without an end: a feed's issues, sent on one connection as they come. */
#ifndef WEIR_SERVER_EXCHANGE_STREAM_H
#define WEIR_SERVER_EXCHANGE_STREAM_H

#include <microhttpd.h>
#include <stdint.h>

#include "feed.h"
#include "reaper.h"

/* Only the event thread, except that publishing resumes the connection. Must stay as it is until the
 * request is over. */
struct stream {
    struct MHD_Connection *connection;
    struct event_thread *events;
    struct reaper *reaper;
    struct conn *conn;
    struct feed_reader *reader;
    uint64_t bytes; /* handed to the library so far */
};

/* The body that reads from stream->reader. While there is nothing to send, the connection is
 * suspended: it costs no thread and no processor time. NULL when memory ran out. */
struct MHD_Response *stream_response(struct stream *stream);

#endif
