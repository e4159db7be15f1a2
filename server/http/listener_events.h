/* SPDX-License-Identifier: MIT */
/* A door's event thread: it runs libmicrohttpd, and hands it the newcomers. */
#ifndef WEIR_SERVER_LISTENER_EVENTS_H
#define WEIR_SERVER_LISTENER_EVENTS_H

#include <sys/socket.h>

#include <weir/base.h>

struct door;
struct event_thread;
struct MHD_Connection;

/*
 * Start the thread that runs door->daemon, which has no thread of its own and becomes the event thread's.
 *
 * Errors: WEIR_SYSTEM (native is the errno), WEIR_NO_MEMORY; the daemon then remains the caller's.
 */
WEIR_MUST_CHECK weir_status event_thread_start(struct door *door, struct event_thread **ret_thread,
                                               weir_error *reterr);

/* Hand over a newcomer, and its socket. Until the library shows it, or refuses it, door->entering counts it.
 * Threads: any. */
void event_thread_enter(struct event_thread *thread, int fd, const struct sockaddr_storage *address,
                        socklen_t address_size);

/* Go on with a suspended connection. Threads: any. */
void event_thread_resume(struct event_thread *thread, struct MHD_Connection *connection);

/* Join the thread, stop the library, close the connections that are left. None may be suspended. NULL is
 * fine. */
void event_thread_stop(struct event_thread *thread);

#endif
