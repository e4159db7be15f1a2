/* SPDX-License-Identifier: MIT */
/* A response that was still unread in a connection when sending on it failed. */
#include "http/leftover.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Of a body that is not needed no more is read than this. */
#define LEFTOVER_BODY 65536

/* Its own, which tells the connections of a handle from each other; 0: none. */
static int port_of(curl_socket_t socket)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t size = sizeof address;

    if (getsockname(socket, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET    ? address.v4.sin_port
                 : address.any.sa_family == AF_INET6 ? address.v6.sin6_port
                                                     : 0);
}

/* Whether something of this attempt's own may have come that nobody has looked at. */
static bool may_be_left(const struct transfer *t, curl_socket_t socket)
{
    return t != NULL && t->has_body && t->sends > 0 && !t->is_answered && t->stop == STOP_NONE &&
           port_of(socket) == t->local_port;
}

static size_t read_all(curl_socket_t socket, char *room, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t more = recv(socket, room + got, size - got, MSG_DONTWAIT);

        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    return got;
}

/* Give the lines of the head to whom libcurl would have given them. Returns how many bytes they are;
 * 0: they are not all there, or not as they should be. */
static size_t read_head(struct handle *handle, char *data, size_t size)
{
    struct transfer *t = handle->transfer;
    size_t at = 0;

    if (size < 7 || memcmp(data, "HTTP/1.", 7) != 0)
        return 0;
    while (!t->is_head_done) {
        const char *end = memchr(data + at, '\n', size - at);
        size_t line = end == NULL ? 0 : (size_t)(end + 1 - (data + at));

        if (line == 0 || weir__on_header(data + at, line, 1, handle) != line)
            return 0;
        at += line;
    }
    return at;
}

/* Take the body as far as it is there. A status that is nothing without it gets all of it or none. */
static void read_body(struct handle *handle, char *data, size_t size)
{
    struct transfer *t = handle->transfer;
    int64_t length = weir__response_length(t->response);
    bool is_whole = length >= 0 && (uint64_t)length <= size;

    if (t->response->status < 300 && !is_whole)
        return;
    if (is_whole)
        size = (size_t)length;
    if (length >= 0 && size > 0 && weir__on_body(data, size, 1, handle) != size)
        return;
    if (t->decoder != NULL && weir__decoder_end(t->decoder, t->error) != WEIR_OK)
        is_whole = false;
    if (t->response->status < 300 && !is_whole)
        return;
    t->response->is_truncated = !is_whole;
    t->stop = STOP_ENOUGH;
}

/* As if nothing had come. */
static void forget(struct transfer *t)
{
    weir__response_clear(t->response);
    *t->error = (weir_error){.status = WEIR_OK};
    t->stop = STOP_NONE;
    t->is_answered = false;
    t->is_head_done = false;
    t->header_bytes = 0;
}

void weir__read_leftover(struct handle *handle, curl_socket_t socket)
{
    struct transfer *t = handle->transfer;

    if (!may_be_left(t, socket))
        return;
    size_t room = (size_t)t->session->options.max_header_bytes + LEFTOVER_BODY;
    char *data = malloc(room);
    if (data == NULL)
        return;
    size_t size = read_all(socket, data, room);
    size_t head = read_head(handle, data, size);
    if (head > 0)
        read_body(handle, data + head, size - head);
    if (t->stop == STOP_NONE || (head == 0 && t->stop == STOP_FAILED))
        forget(t);
    free(data);
}
