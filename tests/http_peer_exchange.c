/* SPDX-License-Identifier: MIT */
/* For tests: what a handler of the HTTP server does with its exchange. */
#include "http_peer_inside.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Pieces are kept apart by a zero, so that no text is found across two of them. */
static void record(struct peer *peer, const char *data, size_t size)
{
    pthread_mutex_lock(&peer->lock);
    if (peer->recorded + size + 1 > PEER_RECORD_SIZE)
        peer_bail_out("too much was received to be recorded; call peer_forget() now and then");
    memcpy(peer->record + peer->recorded, data, size);
    peer->recorded += size;
    peer->record[peer->recorded++] = '\0';
    pthread_mutex_unlock(&peer->lock);
}

uint64_t peer_hash(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* Read what is there, at least one byte, into the empty part of the buffer; false: it ended. */
static bool fill(struct peer_connection *c)
{
    if (c->size == 0)
        c->begin = 0;
    if (c->begin + c->size == sizeof(c->buffer)) {
        memmove(c->buffer, c->buffer + c->begin, c->size);
        c->begin = 0;
    }
    size_t end = c->begin + c->size;
    size_t room = sizeof(c->buffer) - end;
    if (room == 0)
        return false;
    ssize_t count = c->ssl != NULL ? SSL_read(c->ssl, c->buffer + end, (int)room)
                                   : recv(c->fd, c->buffer + end, room, 0);
    if (count <= 0)
        return false;
    c->size += (size_t)count;
    return true;
}

static void consume(struct peer_connection *c, size_t size)
{
    c->begin += size;
    c->size -= size;
}

bool peer_write(struct peer_exchange *x, const void *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        const char *rest = (const char *)data + sent;
        size_t piece = size - sent < 1048576 ? size - sent : 1048576;
        ssize_t count = x->c->ssl != NULL ? SSL_write(x->c->ssl, rest, (int)piece)
                                          : send(x->fd, rest, piece, MSG_NOSIGNAL);
        if (count <= 0)
            return false;
        sent += (size_t)count;
    }
    return true;
}

bool peer_print(struct peer_exchange *x, const char *text)
{
    return peer_write(x, text, strlen(text));
}

bool peer_reply(struct peer_exchange *x, int status, const char *headers, const void *body,
                size_t size)
{
    char head[512];
    bool has_length = status >= 200 && status != 204 && status != 304;
    bool has_body = has_length && strcmp(x->method, "HEAD") != 0;

    snprintf(head, sizeof(head),
             has_length ? "HTTP/1.1 %d Peer\r\nContent-Length: %zu\r\n" : "HTTP/1.1 %d Peer\r\n",
             status, size);
    return peer_print(x, head) && peer_print(x, headers) && peer_print(x, "\r\n") &&
           (!has_body || peer_write(x, body, size));
}

/* ---- requests ------------------------------------------------------------------------------ */

const char *peer_header(const struct peer_exchange *x, const char *name, char *room, size_t size)
{
    size_t length = strlen(name);

    for (const char *line = strstr(x->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 1;
        value += strspn(value, " \t");
        snprintf(room, size, "%.*s", (int)strcspn(value, "\r\n"), value);
        return room;
    }
    return NULL;
}

bool peer_read_head(struct peer_connection *c)
{
    size_t searched = 0;

    for (;;) {
        char *begin = c->buffer + c->begin;
        char *end = memmem(begin + searched, c->size - searched, "\r\n\r\n", 4);
        if (end != NULL) {
            size_t size = (size_t)(end - begin) + 4;
            memcpy(c->head, begin, size);
            c->head[size] = '\0';
            consume(c, size);
            return true;
        }
        searched = c->size < 3 ? 0 : c->size - 3;
        if (!fill(c))
            return false;
    }
}

void peer_begin_exchange(struct peer_exchange *x)
{
    struct peer_connection *c = x->c;
    char text[64];
    char *rest = NULL;

    snprintf(c->line, sizeof(c->line), "%.*s", (int)strcspn(c->head, "\r\n"), c->head);
    x->number++;
    x->head = c->head;
    x->method = strtok_r(c->line, " ", &rest);
    x->target = strtok_r(NULL, " ", &rest);
    x->method = x->method == NULL ? "" : x->method;
    x->target = x->target == NULL ? "" : x->target;
    x->body = "";
    x->body_size = -1;
    x->body_hash = PEER_HASH_START;
    x->body_left = 0;
    if (peer_header(x, "Content-Length", text, sizeof(text)) != NULL)
        x->body_left = strtoll(text, NULL, 10);
    if (peer_header(x, "Transfer-Encoding", text, sizeof(text)) != NULL)
        x->body_left = -1;
    record(c->peer, c->head, strlen(c->head));
    peer_add(c->peer, PEER_REQUESTS, 1);
}

/* Move up to `size` bytes of the body from the connection to the exchange; false: it ended. */
static bool take_body(struct peer_exchange *x, int64_t size)
{
    struct peer_connection *c = x->c;

    while (size > 0) {
        if (c->size == 0 && !fill(c))
            return false;
        size_t piece = (int64_t)c->size < size ? c->size : (size_t)size;
        const char *data = c->buffer + c->begin;
        x->body_hash = peer_hash(x->body_hash, data, piece);
        if (x->body_size < PEER_BODY_KEPT) {
            size_t room = (size_t)(PEER_BODY_KEPT - x->body_size);
            memcpy(c->body + x->body_size, data, piece < room ? piece : room);
        }
        x->body_size += (int64_t)piece;
        size -= (int64_t)piece;
        consume(c, piece);
    }
    return true;
}

/* Read a line of a chunked body into `line`, without its end. */
static bool read_line(struct peer_connection *c, char *line, size_t size)
{
    for (size_t length = 0; length + 1 < size;) {
        if (c->size == 0 && !fill(c))
            return false;
        char byte = c->buffer[c->begin];
        consume(c, 1);
        if (byte == '\n') {
            line[length] = '\0';
            return true;
        }
        if (byte != '\r')
            line[length++] = byte;
    }
    return false;
}

static bool take_chunks(struct peer_exchange *x)
{
    char line[256];

    for (;;) {
        if (!read_line(x->c, line, sizeof(line)))
            return false;
        int64_t size = strtoll(line, NULL, 16);
        if (size == 0)
            break;
        if (!take_body(x, size) || !read_line(x->c, line, sizeof(line)))
            return false;
    }
    do {
        if (!read_line(x->c, line, sizeof(line)))
            return false;
    } while (line[0] != '\0');
    return true;
}

bool peer_read_body(struct peer_exchange *x)
{
    char text[64];

    if (x->body_size >= 0)
        return true;
    if (peer_header(x, "Expect", text, sizeof(text)) != NULL &&
        !peer_print(x, "HTTP/1.1 100 Continue\r\n\r\n"))
        return false;
    x->body_size = 0;
    bool is_whole = x->body_left < 0 ? take_chunks(x) : take_body(x, x->body_left);
    size_t kept = x->body_size < PEER_BODY_KEPT ? (size_t)x->body_size : PEER_BODY_KEPT;
    x->c->body[kept] = '\0';
    x->body = x->c->body;
    if (kept > 0)
        record(x->peer, x->body, kept < PEER_BODY_RECORDED ? kept : PEER_BODY_RECORDED);
    if (!is_whole)
        x->body_size = -1;
    return is_whole;
}

int64_t peer_skip_body(struct peer_exchange *x, int64_t size)
{
    struct peer_connection *c = x->c;
    int64_t skipped = 0;

    while (skipped < size && x->body_left > 0) {
        if (c->size == 0 && !fill(c))
            break;
        int64_t piece = (int64_t)c->size < size - skipped ? (int64_t)c->size : size - skipped;
        piece = piece < x->body_left ? piece : x->body_left;
        consume(c, (size_t)piece);
        skipped += piece;
        x->body_left -= piece;
    }
    return skipped;
}

/* ---- waiting ------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether a handler that waits has to give up; *ret_go: whether it was let go. */
static bool is_over(struct peer *peer, bool *ret_go)
{
    pthread_mutex_lock(&peer->lock);
    bool is_stopping = peer->is_stopping;
    *ret_go = peer->has_let_go;
    pthread_mutex_unlock(&peer->lock);
    return is_stopping;
}

/* Wait for `ms` (-1: no limit), or until let go where that ends it. false: the other side is gone, or
 * the peer is being stopped. */
static bool wait_for(struct peer_exchange *x, int ms, bool ends_when_let_go)
{
    int64_t until = now_ms() + ms;
    bool has_let_go;

    for (;;) {
        if (is_over(x->peer, &has_let_go))
            return false;
        if (ends_when_let_go && has_let_go)
            return true;
        int64_t left = ms < 0 ? -1 : until - now_ms();
        if (ms >= 0 && left <= 0)
            return true;
        struct pollfd polls[2] = {{.fd = x->fd, .events = POLLRDHUP},
                                  {.fd = x->c->wake, .events = POLLIN}};
        if (poll(polls, 2, (int)left) < 0)
            continue;
        if (polls[0].revents != 0)
            return false;
        uint64_t rings;
        if (polls[1].revents != 0 && read(x->c->wake, &rings, sizeof(rings)) < 0)
            return false;
    }
}

bool peer_pause(struct peer_exchange *x, int ms)
{
    return wait_for(x, ms, false);
}

static bool hold(struct peer_exchange *x, bool ends_when_let_go)
{
    peer_add(x->peer, PEER_HELD, 1);
    bool is_there = wait_for(x, -1, ends_when_let_go);
    peer_add(x->peer, PEER_HELD, -1);
    return is_there;
}

bool peer_hold(struct peer_exchange *x)
{
    return hold(x, true);
}

bool peer_hang(struct peer_exchange *x)
{
    return hold(x, false);
}

void peer_half_close(struct peer_exchange *x)
{
    shutdown(x->fd, SHUT_WR);
}
