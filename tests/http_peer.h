/* SPDX-License-Identifier: MIT */
/* For tests: an HTTP server on 127.0.0.1, in threads of the test, that behaves as a callback says. */
#ifndef WEIR_TESTS_HTTP_PEER_H
#define WEIR_TESTS_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *     static bool answer(struct peer_exchange *x, void *arg)
 *     {
 *         return peer_reply(x, 200, "", "hello", 5);
 *     }
 *
 *     struct peer *peer = peer_start(&(struct peer_options){.handler = answer});
 *     char url[PEER_URL_SIZE];
 *     ... peer_url(peer, "/path", url) ...
 *     check_int(peer_requests(peer), 1);
 *     peer_stop(peer);
 *
 * Each connection has a thread of its own, up to PEER_CONNECTIONS_LIMIT; more wait to be accepted.
 * The sockets are bare, so whatever a broken server can do, a handler can. A peer allocates nothing
 * after peer_start(), so that it may stand beside a test whose allocations fail. What it cannot go on
 * without (a socket, a certificate) ends the test with "Bail out!".
 */
#define PEER_CONNECTIONS_LIMIT 256
#define PEER_HEAD_LIMIT 131072   /* the longest head of a request it reads */
#define PEER_BODY_KEPT 65536     /* of the body of a request */
#define PEER_BODY_RECORDED 4096  /* of these, for peer_saw() */
#define PEER_RECORD_SIZE 8388608 /* all heads and beginnings of bodies; more bails out */
#define PEER_URL_SIZE 256

struct peer;
struct peer_connection;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* How a connection is closed. */
enum peer_end {
    PEER_FIN,    /* in order: FIN, after a close_notify where there is TLS */
    PEER_RST,    /* a reset */
    PEER_ABRUPT, /* FIN; with TLS, without a close_notify */
};

/* One request, and what its handler says about the connection. */
struct peer_exchange {
    struct peer *peer;
    int connection;     /* its number within the peer, from 1 */
    int number;         /* of the request within the connection, from 1; 0 for a greeter */
    const char *head;   /* as it came, with the empty line, zero-terminated; "" for a greeter */
    const char *method; /* of the first line */
    const char *target;
    int fd; /* the socket, for what the functions below cannot do */
    enum peer_end
        end; /* how it is closed once the handler returns false; PEER_FIN unless changed */

    /* Set by peer_read_body(). */
    const char *body;   /* the first PEER_BODY_KEPT bytes, decoded, zero-terminated */
    int64_t body_size;  /* of the whole; -1 until read, or when the connection broke in it */
    uint64_t body_hash; /* of the whole, peer_hash() */

    struct peer_connection *c;
    int64_t body_left; /* not read yet of a Content-Length; -1: chunked */
};

/* Answers a request. false: close the connection. true: wait for its next request (what the handler
 * left of the body is read and dropped first). */
typedef bool peer_handler(struct peer_exchange *x, void *arg);

struct peer_options {
    peer_handler *handler;
    peer_handler *greeter; /* called for a new connection before anything is read, before TLS; false
                            * closes it. NULL: none */
    void *arg;             /* of all that is called */
    const char *cert_file; /* PEM; makes it an https server. NULL: http */
    const char *key_file;
    /* Called once with the SSL_CTX, before anybody can connect. NULL: as OpenSSL has it. */
    void (*prepare_tls)(struct ssl_ctx_st *tls, void *arg);
    int port; /* 0: any free one */
};

struct peer *peer_start(const struct peer_options *options);

/* Close everything and free it; handlers that wait are told to end. NULL is fine. */
void peer_stop(struct peer *peer);

int peer_port(const struct peer *peer);

/* "http://127.0.0.1:4711/path"; peer_url_at() with another name for the host. Returns `room`. */
char *peer_url(const struct peer *peer, const char *path, char room[PEER_URL_SIZE]);
char *peer_url_at(const struct peer *peer, const char *host, const char *path,
                  char room[PEER_URL_SIZE]);

/* A port of 127.0.0.1 on which nobody listens. */
int peer_unused_port(void);

/* ---- for the test -------------------------------------------------------------------------- */

enum peer_counter {
    PEER_CONNECTIONS, /* accepted so far */
    PEER_REQUESTS,    /* whole heads received so far */
    PEER_MOST,        /* the most connections that were open at once */
    PEER_OPEN,        /* connections open now */
    PEER_HELD,        /* handlers in peer_hold() and peer_hang() now */
    PEER_COUNTERS
};

int peer_count(struct peer *peer, enum peer_counter which);

/* Wait until the count is `value` (for the first three: at least that). false: not within ten
 * seconds, which it also prints. */
bool peer_wait(struct peer *peer, enum peer_counter which, int value);

static inline int peer_connections(struct peer *peer)
{
    return peer_count(peer, PEER_CONNECTIONS);
}

static inline int peer_requests(struct peer *peer)
{
    return peer_count(peer, PEER_REQUESTS);
}

static inline int peer_most_connections(struct peer *peer)
{
    return peer_count(peer, PEER_MOST);
}

static inline int peer_open_connections(struct peer *peer)
{
    return peer_count(peer, PEER_OPEN);
}

/* Whether a text stood in the head of any request or the first PEER_BODY_RECORDED bytes of any body
 * that was read; and how often. */
bool peer_saw(struct peer *peer, const char *text);
int peer_saw_times(struct peer *peer, const char *text);

/* Forget what came so far, for peer_saw(); the counters stay. */
void peer_forget(struct peer *peer);

/* Wait until `count` connections wait for their next request, and close these; returns when they are
 * closed. false: there were not that many within ten seconds, which it also prints. */
bool peer_end_idle(struct peer *peer, int count, enum peer_end how);

/* Let the handlers in peer_hold() go on, and from now on every other at once. */
void peer_let_go(struct peer *peer);

/* Let those in peer_hold() from now on wait for peer_let_go() again. */
void peer_hold_again(struct peer *peer);

/* ---- for handlers -------------------------------------------------------------------------- */

/* Write bytes; false: the other side is gone. */
bool peer_write(struct peer_exchange *x, const void *data, size_t size);
bool peer_print(struct peer_exchange *x, const char *text);

/* A whole response with a Content-Length: `headers` is "" or lines that each end in "\r\n". To HEAD,
 * and with 1xx, 204 and 304, no body is written. `body` may be NULL when `size` is 0. */
bool peer_reply(struct peer_exchange *x, int status, const char *headers, const void *body,
                size_t size);

/* The value of a header field of the request into `room`; NULL: there is none. */
const char *peer_header(const struct peer_exchange *x, const char *name, char *room, size_t size);

/* Read the whole body (Content-Length or chunked); answers "Expect: 100-continue" first. false: the
 * connection ended in it. May be called again. */
bool peer_read_body(struct peer_exchange *x);

/* Read and drop up to `size` bytes of the body, if the request has a Content-Length. How many. */
int64_t peer_skip_body(struct peer_exchange *x, int64_t size);

/* Let `ms` pass. false: the other side is gone, or the peer is being stopped. */
bool peer_pause(struct peer_exchange *x, int ms);

/* Wait for peer_let_go(). false as above. */
bool peer_hold(struct peer_exchange *x);

/* Wait until the other side is gone or the peer is being stopped. Returns false, for `return`. */
bool peer_hang(struct peer_exchange *x);

/* Send a FIN and go on reading. Not with TLS. */
void peer_half_close(struct peer_exchange *x);

/* FNV-1a of some bytes, continued from `hash`; PEER_HASH_START begins. */
#define PEER_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t peer_hash(uint64_t hash, const void *data, size_t size);

#endif
