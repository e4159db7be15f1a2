/* SPDX-License-Identifier: MIT */
/* Responses that are written to a socket past libmicrohttpd. */
#ifndef WEIR_SERVER_RAW_RESPONSE_H
#define WEIR_SERVER_RAW_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

struct raw_response {
    unsigned status;
    const char *reason;     /* of the status line */
    const char *detail;     /* at most 64 bytes, none of which JSON would escape */
    const char *fields;     /* further lines, each with its CRLF; or "" */
    const char *request_id; /* X-Request-Id */
    bool is_head;           /* without the body */
};

/*
 * Write it at once, and that the connection closes. The socket's buffer has room: nothing was sent since the
 * request began. False when it could not be sent whole.
 */
bool raw_response_send(int fd, const struct raw_response *response);

/* The size of its body, if it has one. */
size_t raw_response_body_size(const struct raw_response *response);

#endif
