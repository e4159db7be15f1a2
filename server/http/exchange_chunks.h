/* SPDX-License-Identifier: MIT */
/* Chunked bodies on their way: what is said to one whose framing is more than libmicrohttpd has room for. */
#ifndef WEIR_SERVER_EXCHANGE_CHUNKS_H
#define WEIR_SERVER_EXCHANGE_CHUNKS_H

#include "exchange.h"

/*
 * Before 1.0 the library stops reading such a connection, for ever, and spins. It is found by that: what it
 * sent lies in the kernel, and the library does not read it. One who filled the library's buffer to the last
 * byte, and sends no more, is not found; he is cut when the body's time is up, and until then the event
 * thread pauses a little between rounds.
 *
 * From 1.0 on the library gives the request up with a page of its own (413), for which it asks nobody. All
 * it tells is a message, without saying for which connection, and that before the page goes out. So the
 * connection is found by arithmetic: of the bytes that were read from it those are known that belonged to
 * heads and bodies, and the rest is framing, of which it has a bufferful at least. If another has as much,
 * because its extensions are many, the library's page goes out: nobody is refused for somebody else's.
 *
 * Both are answered here. All of it belongs to the event thread of the door.
 */
struct chunks {
    struct conn *conn; /* NULL: not in the door's list */
    struct MHD_Connection *connection;
    const char *request_id;
    size_t room;           /* the least that the library's buffer has for the line of a size */
    unsigned refused_with; /* the status of the answer given here; 0: none was */
    size_t refused_bytes;  /* of that answer's body */
    bool is_stuck;         /* refused because the library does not read any more */
    uint64_t read;         /* bytes that were read when others lay in the kernel; 0: none did */
    struct chunks *previous;
    struct chunks *next;
};

/* The body of a request begins, or is over; the latter also where it did not begin. */
void chunks_begin(struct door *door, struct chunks *chunks, struct conn *conn,
                  struct MHD_Connection *connection, const char *request_id, size_t room);
void chunks_end(struct door *door, struct chunks *chunks);

/* The library, 1.0 or newer, is about to send a page of its own because of the line of a chunk's size. */
void chunks_refuse_overlong(struct door *door);

/* After each round of the library: now and then it is looked who is stuck. */
void chunks_maintain(struct door *door);

/* How long the event thread may wait before the next round, when the library allows `wait_ms` (-1: for ever). */
int chunks_wait_ms(struct door *door, int wait_ms);

#endif
