/* SPDX-License-Identifier: MIT */
/* Opening a connection: the addresses of a name side by side, in the order and at the pace of RFC 8305. */
#ifndef WEIR_HTTP_DIAL_H
#define WEIR_HTTP_DIAL_H

#include <weir/http.h>

#include <curl/curl.h>
#include <sys/socket.h>

/* Of more addresses the rest is not tried. */
#define DIAL_ADDRESSES 16

/* How long an address may be silent before the next one is tried beside it. */
#define DIAL_PACE (250 * WEIR_MS)

struct dial_address {
    struct sockaddr_storage address;
    socklen_t size;
    int socktype;
    int protocol;
    bool is_begun;
    int socket; /* -1: not begun, or over */
    int error;  /* the errno that ended it; 0: none did */
};

/*
 * libcurl tries the addresses of one family one after the other, each for half of the time that is
 * left. So it is asked for them only: as long as nothing is connected it gets no socket for the
 * address it comes with (weir__dial_socket()), which is noted, and it goes on to the next. What is
 * connected first is lent to it when it asks again, in a second run.
 *
 * Owned by the attempt; not one thread's and another's.
 */
struct dial {
    bool is_lending;
    bool has_looked_up; /* libcurl asked the resolver, rather than what it remembers */
    bool is_renewed;    /* it was made to, because what it remembers was of no use */
    int connected;      /* the socket to be lent; -1: none */
    weir_time next_at;  /* when the next address is due */
    unsigned asked;     /* how often libcurl wanted a socket */
    size_t count;
    size_t begun;
    struct dial_address addresses[DIAL_ADDRESSES];
};

enum dial_state {
    DIAL_WAITS,    /* for an address to answer, or for the next one's turn */
    DIAL_IS_READY, /* one is connected */
    DIAL_FAILED    /* none of those known is left */
};

void weir__dial_init(struct dial *dial);

/* Close what was not lent. */
void weir__dial_clear(struct dial *dial);

/* What libcurl gets when it asks for a socket. */
curl_socket_t weir__dial_socket(struct dial *dial, const struct curl_sockaddr *address);

/* Look at what is under way, and begin what is due. */
enum dial_state weir__dial_step(struct dial *dial, weir_time now);

/* Whether what libcurl remembers of the name should be looked up anew: all of it has failed, or has
 * been silent for a while. True once. */
bool weir__dial_should_renew(struct dial *dial, enum dial_state state, weir_time now);

/* What to wait for: sockets into `ret_waits`, room for DIAL_ADDRESSES; returns how many. *ret_until is
 * the instant of the next step, WEIR_DEADLINE_NEVER where there is none. */
unsigned weir__dial_waits(const struct dial *dial, struct curl_waitfd *ret_waits,
                          weir_time *ret_until);

/* Say why there is no connection: "192.0.2.1 port 443: Connection refused (and 2 more addresses)".
 * Returns the errno where the cause is this machine and not the other side, else 0. */
int weir__dial_describe(const struct dial *dial, char *text, size_t size);

/* Whether an errno tells of this machine: no descriptors, ports or memory, or a filter of its own. */
bool weir__is_local_error(int error);

/* The errno for which this machine has no descriptor or thread at the moment; 0: it has both. For
 * failures of libraries that keep their reason to themselves. */
int weir__lacking(void);

#endif
