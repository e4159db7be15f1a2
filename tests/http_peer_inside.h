/* SPDX-License-Identifier: MIT */
/* For http_peer*.c alone: what the peer, its connections and their exchanges share. */
#ifndef WEIR_TESTS_HTTP_PEER_INSIDE_H
#define WEIR_TESTS_HTTP_PEER_INSIDE_H

#include "http_peer.h"

#include <openssl/ssl.h>
#include <pthread.h>

enum connection_state {
    CONNECTION_FREE,
    CONNECTION_BUSY,    /* in a handler, or opening */
    CONNECTION_WAITING, /* for a request */
    CONNECTION_CLOSING, /* told to by peer_end_idle() */
    CONNECTION_DONE     /* closed; the thread is to be joined */
};

/* `state` and `end` are guarded by the peer's lock, and so is `wake` against being closed while the
 * test writes to it; the rest is the connection's thread's. */
struct peer_connection {
    struct peer *peer;
    enum connection_state state;
    enum peer_end end;
    pthread_t thread;
    int number;
    int fd;
    int wake; /* an eventfd: look at the state, or at the peer's */
    SSL *ssl;
    size_t begin, size; /* what was read and not consumed yet */
    char buffer[PEER_HEAD_LIMIT];
    char head[PEER_HEAD_LIMIT + 1];
    char line[1024]; /* the first line, cut into method and target */
    char body[PEER_BODY_KEPT + 1];
};

struct peer {
    struct peer_options options;
    SSL_CTX *tls;
    int listener;
    int port;
    int wake; /* ends the thread that accepts */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a count or a state */
    int counts[PEER_COUNTERS];
    bool is_stopping;
    bool has_let_go;
    size_t recorded;
    char record[PEER_RECORD_SIZE];
    struct peer_connection connections[PEER_CONNECTIONS_LIMIT];
};

/* End the test: it cannot go on. */
void peer_bail_out(const char *what);

void peer_add(struct peer *peer, enum peer_counter which, int value);

/* Wait for the next request and read its head into the connection; false: there is none. */
bool peer_read_head(struct peer_connection *c);

/* Take it apart, and count and record it. */
void peer_begin_exchange(struct peer_exchange *x);

#endif
