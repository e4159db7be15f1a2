/* SPDX-License-Identifier: MIT */
/* The acceptor: accepts newcomers, and when the listener is full, sorts them by the first bytes they send. */
#ifndef WEIR_SERVER_LISTENER_ACCEPT_H
#define WEIR_SERVER_LISTENER_ACCEPT_H

#include <weir/base.h>

/*
 * A thread accepts, so that an event thread that is busy with its connections keeps nobody waiting.
 *
 * While there is room, a newcomer is handed to the main event thread at once. When the listener is full,
 * it waits in the lobby for its first bytes, for at most a second: one that asks for a health route goes to
 * the reserve, an event thread of its own with LISTENER_RESERVE connections; any other one gets the place
 * of the oldest connection whose head has not arrived within half a second, or a 503. When the lobby is
 * full too, the oldest in it is closed unanswered, but not before it had 20 ms; until then the others wait in
 * the kernel's queue. A connection of the health socket always goes to the
 * reserve.
 *
 * Some descriptors are kept: when the process has no other ones, newcomers live on them just long enough to
 * ask for health, or to be told 503.
 */
struct acceptor;
struct listener;

enum acceptor_socket { ACCEPTOR_MAIN, ACCEPTOR_HEALTH, ACCEPTOR_SOCKETS };

/* Newcomers in the lobby, and descriptors kept. */
enum { ACCEPTOR_LOBBY = 128, ACCEPTOR_SPARES = 8 };

/*
 * Start the thread, which takes the listening sockets over (-1: there is none). The event threads must be
 * running.
 *
 * Errors: WEIR_SYSTEM (native is the errno), WEIR_NO_MEMORY; the sockets then remain the caller's.
 */
WEIR_MUST_CHECK weir_status acceptor_start(struct listener *listener,
                                           const int sockets[ACCEPTOR_SOCKETS],
                                           struct acceptor **ret_acceptor, weir_error *reterr);

/* Close the main socket, and wait until that is done: who comes then is refused by the kernel, and whoever was
 * accepted has been handed to the event thread. Threads: any. */
void acceptor_close_main(struct acceptor *acceptor);

/* Take no more newcomers, join the thread, close the sockets. NULL is fine. */
void acceptor_stop(struct acceptor *acceptor);

#endif
