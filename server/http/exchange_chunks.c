/* SPDX-License-Identifier: MIT */
/* Chunked bodies on their way: who has too much framing, and the answer to that. */
#include "exchange_chunks.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "common/list.h"
#include "raw_response.h"

/* Rounds in a row for which the library wants no wait, after which it is taken to be spinning. */
#define SPIN_ROUNDS 1000u

/* How often it is looked who is stuck; how long the library may wait on its behalf, seconds. */
#define LOOK_MS 50
#define STUCK_SECONDS 1u

void chunks_begin(struct door *door, struct chunks *chunks, struct conn *conn,
                  struct MHD_Connection *connection, const char *request_id, size_t room)
{
    *chunks = (struct chunks){
        .conn = conn, .connection = connection, .request_id = request_id, .room = room};
    LIST_ADD_FIRST(chunks, next, previous, door->first_chunks, door->last_chunks);
}

void chunks_end(struct door *door, struct chunks *chunks)
{
    if (chunks->conn == NULL)
        return;
    LIST_REMOVE(chunks, next, previous, door->first_chunks, door->last_chunks);
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

/* Whether all framing of a body together would nearly fill the library's buffer; also where that cannot be
 * told. */
static bool may_be_overlong(const struct chunks *chunks)
{
    uint64_t known = chunks->conn->accounted + chunks->room / 4 * 3;
    uint64_t read = bytes_read(chunks->conn);

    return read == 0 || read > known;
}

/* The only one that may be overlong, and so is; NULL: it cannot be told which of several. */
static struct chunks *find_overlong(const struct door *door)
{
    struct chunks *found = NULL;

    for (struct chunks *c = door->first_chunks; c != NULL; c = c->next) {
        if (c->refused_with != 0 || !may_be_overlong(c))
            continue;
        if (found != NULL)
            return NULL;
        found = c;
    }
    return found;
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
    struct chunks *overlong = find_overlong(door);

    if (overlong != NULL)
        answer(overlong);
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

void chunks_maintain(struct door *door)
{
    weir_time now;

    if (door->first_chunks == NULL)
        return;
    now = weir_now();
    if (now - door->chunks_seen < LOOK_MS * WEIR_MS)
        return;
    door->chunks_seen = now;
    for (struct chunks *c = door->first_chunks; c != NULL; c = c->next) {
        if (c->refused_with == 0 && !c->is_stuck && is_stuck(c))
            refuse_stuck(door, c);
    }
}

int chunks_wait_ms(struct door *door, int wait_ms)
{
    door->restless = wait_ms != 0 ? 0 : door->restless + (door->restless < SPIN_ROUNDS);
    if (door->first_chunks == NULL)
        return wait_ms;
    if (wait_ms == 0 && (door->stuck > 0 || door->restless == SPIN_ROUNDS))
        return 1; /* whoever has something to say ends it */
    return wait_ms < 0 || wait_ms > LOOK_MS ? LOOK_MS : wait_ms;
}
