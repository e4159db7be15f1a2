/* SPDX-License-Identifier: MIT */
/* Chunked bodies on their way: who has too much framing, and the answer to that. */
#include "exchange_chunks.h"

#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

/* What the framing of a piece may have: a size of 16 digits and two ends of lines, and some more. */
#define FRAMING_OF_PIECE 24

/* Framing beyond that which is too much. The library's buffer has more. */
#define FRAMING_LEAST 1024

void chunks_begin(struct door *door, struct chunks *chunks, struct conn *conn,
                  const char *request_id)
{
    *chunks = (struct chunks){.conn = conn, .request_id = request_id, .next = door->chunks};
    if (door->chunks != NULL)
        door->chunks->previous = chunks;
    door->chunks = chunks;
}

void chunks_end(struct door *door, struct chunks *chunks)
{
    if (chunks->conn == NULL)
        return;
    if (chunks->next != NULL)
        chunks->next->previous = chunks->previous;
    *(chunks->previous != NULL ? &chunks->previous->next : &door->chunks) = chunks->next;
    chunks->conn = NULL;
}

/* How many bytes of a connection the library has read; 0: the kernel does not tell. */
static uint64_t bytes_read(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    int unread = 0;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        ioctl(fd, FIONREAD, &unread) != 0 || info.tcpi_bytes_received < (uint64_t)unread)
        return 0;
    return info.tcpi_bytes_received - (uint64_t)unread;
}

/* The framing of a body beyond what its pieces may have. */
static uint64_t framing_of(const struct chunks *chunks)
{
    uint64_t known = chunks->conn->accounted + FRAMING_OF_PIECE * (chunks->pieces + 1);
    uint64_t read = bytes_read(chunks->conn->fd);

    return read > known ? read - known : 0;
}

/* Straight to the socket, whose buffer has room: nothing was sent since the request began. What the
 * library then wants to send fails, and it closes. */
static void answer(struct chunks *chunks)
{
    static const char body[] = "{\"detail\": \"a chunk's size and extensions are too long\"}";
    char text[512];
    char date[64];
    time_t now = time(NULL);
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    int size = snprintf(text, sizeof(text),
                        "HTTP/1.1 400 Bad Request\r\nDate: %s\r\n"
                        "Content-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n"
                        "X-Request-Id: %s\r\nConnection: close\r\n\r\n%s",
                        date, strlen(body), chunks->request_id, body);
    if (send(chunks->conn->fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) != size)
        return;
    chunks->refused_with = 400;
    chunks->refused_bytes = strlen(body);
    chunks->conn->wants_linger = true;
    shutdown(chunks->conn->fd, SHUT_WR);
}

void chunks_refuse_overlong(struct door *door)
{
    struct chunks *worst = NULL;
    uint64_t most = FRAMING_LEAST;

    for (struct chunks *c = door->chunks; c != NULL; c = c->next) {
        uint64_t framing = c->refused_with == 0 ? framing_of(c) : 0;

        if (framing > most) {
            most = framing;
            worst = c;
        }
    }
    if (worst != NULL)
        answer(worst);
}
