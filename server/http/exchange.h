/* SPDX-License-Identifier: MIT */
/* The listener's event side: what libmicrohttpd calls for connections and requests. Its types end here. */
#ifndef WEIR_SERVER_EXCHANGE_H
#define WEIR_SERVER_EXCHANGE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "listener.h"
#include "reaper.h"
#include "request.h"
#include "router.h"
#include "workers.h"

struct acceptor;
struct chunks;
struct event_thread;
struct listener;

/* The library's record of a line of a head, at most. */
enum { LINE_RECORD_BYTES = 80 };

/* What the library may take for a connection: the head, its records of the lines, the response's head. */
static inline size_t connection_memory(const struct listener_options *options)
{
    return options->max_header_bytes + LINE_RECORD_BYTES * (size_t)options->max_headers + 8192;
}

/* Connections of the reserve. */
enum { LISTENER_RESERVE = 64 };

/*
 * An event thread and its connections. There are two: main, and the reserve, which answers health routes
 * only, when the other has no room and on the health socket.
 */
struct door {
    struct listener *listener;
    struct MHD_Daemon *daemon;
    struct reaper *reaper;
    bool is_reserve;
    unsigned limit; /* of connections */
    struct event_thread *events;
    atomic_uint entering; /* handed to the event thread, and not shown to us by the library yet */
    unsigned admitted;    /* shown to us in this round of the event thread; only that one's */

    /* Of chunked bodies on their way; only the event thread. */
    struct chunks *first_chunks;
    struct chunks *last_chunks;
    unsigned stuck;        /* how many of them the library does not read */
    weir_time chunks_seen; /* when they were looked at */
    unsigned restless; /* rounds in a row, up to a limit, for which the library wanted no wait */
};

/* What starting, stopping and the event threads share. What stands above the atomics is fixed before
 * the first connection and read only. */
struct listener {
    struct listener_options options;
    char *host;
    struct router *router;
    const char **health_paths; /* patterns of the routes with is_health */
    size_t health_count;
    struct workers *workers;
    struct workers *outbound; /* NULL: the workers do it all */
    int socket;               /* the main listening socket, the acceptor's */
    struct acceptor *acceptor;
    int port;
    uint64_t id_prefix;
    bool checks_block; /* the parser is one that head_accounts_for_block() has to watch */
    struct door main;
    struct door reserve;

    /* Of the options, what listener_set_limits() changes. */
    atomic_size_t max_body_bytes;
    atomic_size_t max_total_body_bytes;
    atomic_int handler_deadline_ms;

    atomic_bool is_started;
    atomic_bool is_draining;
    atomic_uint_least64_t requests;
    atomic_uint_least64_t rejected_full;
    atomic_uint_least64_t body_bytes;
    atomic_uint_least64_t next_id;
};

/* What of the options is set on a listening socket and may change later. */
void listener_tune_socket(int fd, const struct listener_options *options);

/* The id of one more request. Threads: any. */
void listener_make_request_id(struct listener *listener, char out[REQUEST_ID_BYTES]);

/* A message for options.log, if there is one. */
void listener_log(const struct listener *listener, int level, const char *format, ...)
    WEIR_PRINTF(3, 4);

/* Callbacks of libmicrohttpd, all on the door's event thread, with the door as their argument: a
 * connection came or goes; a request line was read; a request's head, body and end; a request is over. */
void exchange_on_connection(void *arg, struct MHD_Connection *connection, void **slot,
                            enum MHD_ConnectionNotificationCode code);
void *exchange_on_target(void *arg, const char *target, struct MHD_Connection *connection);
enum MHD_Result exchange_on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *data,
                                    size_t *data_size, void **slot);
void exchange_on_completed(void *arg, struct MHD_Connection *connection, void **slot,
                           enum MHD_RequestTerminationCode code);

#endif
