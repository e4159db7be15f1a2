/* SPDX-License-Identifier: MIT */
/* Chunked bodies on their way: who has too much framing, and the answer to that. */
#include "exchange_chunks.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "raw_response.h"

/* What the framing of a piece may have: a size of 16 digits and two ends of lines, and some more. */
#define FRAMING_OF_PIECE 24

/* Framing beyond that which is too much. The library's buffer has more. */
#define FRAMING_LEAST 1024

/* How often it is looked who is stuck; how long the library may wait on its behalf, seconds. */
#define LOOK_MS 50
#define STUCK_SECONDS 1u

void chunks_begin(struct door *door, struct chunks *chunks, struct conn *conn,
                  struct MHD_Connection *connection, const char *request_id)
{
    *chunks = (struct chunks){
        .conn = conn, .connection = connection, .request_id = request_id, .next = door->chunks};
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
    door->stuck -= chunks->is_stuck;
}

/* How many bytes of a connection the library has read; 0: that cannot be told, because more are coming. */
static uint64_t bytes_read(const struct conn *conn)
{
    for (int i = 0; i < 3; i++) {
        uint64_t received = conn_bytes_received(conn);
        uint64_t unread = conn_bytes_unread(conn);

        if (conn_bytes_received(conn) == received)
            return received > unread ? received - unread : 0;
    }
    return 0;
}

/* The framing of a body beyond what its pieces may have. */
static uint64_t framing_of(const struct chunks *chunks)
{
    uint64_t known = chunks->conn->accounted + FRAMING_OF_PIECE * (chunks->pieces + 1);
    uint64_t read = bytes_read(chunks->conn);

    return read > known ? read - known : 0;
}

/* What the library then wants to send fails, and it closes. */
static void answer(struct chunks *chunks)
{
    const struct raw_response response = {.status = 400,
                                          .reason = "Bad Request",
                                          .detail = "a chunk's size and extensions are too long",
                                          .fields = "",
                                          .request_id = chunks->request_id};

    if (!raw_response_send(chunks->conn->fd, &response))
        return;
    chunks->refused_with = response.status;
    chunks->refused_bytes = raw_response_body_size(&response);
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

/* The library reads all that it may before a round ends: what lay there at the last look, and still does at
 * this one, is not read any more. */
static bool is_stuck(struct chunks *chunks)
{
    uint64_t before = chunks->read;

    chunks->read = conn_bytes_unread(chunks->conn) > 0 ? bytes_read(chunks->conn) : 0;
    return chunks->read > 0 && chunks->read == before;
}

/* Its client gets the answer at once. The library has no other way to close it than a timeout. */
static void refuse_stuck(struct door *door, struct chunks *chunks)
{
    int fd;

    answer(chunks);
    chunks->is_stuck = true;
    door->stuck++;
    fd = fcntl(chunks->conn->fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        reaper_linger(door->reaper, fd);
    chunks->conn->is_lingering = fd >= 0;
    MHD_set_connection_option(chunks->connection, MHD_CONNECTION_OPTION_TIMEOUT, STUCK_SECONDS);
}

void chunks_tend(struct door *door)
{
    weir_time now;

    if (door->chunks == NULL)
        return;
    now = weir_now();
    if (now - door->chunks_seen < LOOK_MS * WEIR_MS)
        return;
    door->chunks_seen = now;
    for (struct chunks *c = door->chunks; c != NULL; c = c->next) {
        if (c->refused_with == 0 && !c->is_stuck && is_stuck(c))
            refuse_stuck(door, c);
    }
}

int chunks_wait_ms(const struct door *door, int wait_ms)
{
    if (door->stuck > 0 && wait_ms == 0)
        return 1; /* whoever has something to say ends it */
    if (door->chunks != NULL && (wait_ms < 0 || wait_ms > LOOK_MS))
        return LOOK_MS;
    return wait_ms;
}
