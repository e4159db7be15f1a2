/* SPDX-License-Identifier: MIT */
/* The reaper: every open connection, the phase it is in, and an absolute deadline for each phase. */
#ifndef WEIR_SERVER_REAPER_H
#define WEIR_SERVER_REAPER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/base.h>
#include <weir/clock.h>

/*
 * A connection walks through these; bytes that trickle in do not restart a phase's deadline.
 *
 *   accept -> HEADER -> BODY -> HANDLER -> WRITE -> IDLE -> closed
 *                ^  `-------------^                   |
 *                `------------------------------------'  (the next request line was read)
 *
 * A response that is a stream goes to and fro between STREAM_WRITE, anew for each piece, and STREAM,
 * until it ends in IDLE.
 *
 * Any phase but HANDLER and STREAM may end in CUT: its deadline passed, the socket was shut, and the
 * event thread is about to notice. Nothing leaves CUT but by reaper_remove().
 */
enum conn_phase {
    CONN_HEADER,
    CONN_BODY,
    CONN_HANDLER, /* waiting for a worker or on one: no deadline, nobody interrupts a handler */
    CONN_WRITE,
    CONN_STREAM_WRITE,
    CONN_STREAM, /* waiting for something to send: no deadline, and nobody polls the socket */
    CONN_IDLE,
    CONN_CUT,
    CONN_PHASES
};

/*
 * The event thread may miss that a client has closed: its library waits for edges, and takes one that
 * comes with the last bytes for those bytes alone. So the reaper watches for it too, and reminds the event
 * thread until it has read the end, as long as the connection is in a phase in which it would read.
 */

/* One connection. The event thread allocates it and frees it after reaper_remove(). */
struct conn {
    int fd;
    char ip[46];
    bool wants_linger;  /* only the event thread: answered before it finished sending */
    bool is_lingering;  /* the same: somebody reads what else it sends already */
    uint64_t accounted; /* the same: its bytes that were of a head or a body, and not of framing */

    /* Guarded by the reaper's lock. */
    enum conn_phase phase;
    weir_time since;
    struct conn *previous;
    struct conn *next;
    bool has_left; /* its client sends no more, and it is in the list of those: */
    struct conn *previous_left;
    struct conn *next_left;
};

struct reaper;

/*
 * Start the thread. limits[phase] is the longest a connection may stay in a phase, 0 for no limit
 * (CONN_HANDLER, CONN_STREAM and CONN_CUT must have none). A connection is cut at most an eighth of the
 * shortest limit, and at most 250 ms, late.
 *
 * Errors: WEIR_SYSTEM (native is the errno), WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status reaper_start(const weir_time limits[CONN_PHASES],
                                         struct reaper **ret_reaper, weir_error *reterr);

/* Other limits, also for those who are in a phase already. Threads: any. */
void reaper_set_limits(struct reaper *reaper, const weir_time limits[CONN_PHASES]);

/* Join the thread, close lingering sockets, free. Every connection must be gone. NULL is fine. */
void reaper_stop(struct reaper *reaper);

/* Enter a new connection in CONN_HEADER; move it on; take it out. remove() returns true when the
 * connection was cut. The descriptor may be closed only after remove(). */
void reaper_add(struct reaper *reaper, struct conn *conn);
void reaper_move(struct reaper *reaper, struct conn *conn, enum conn_phase phase);
bool reaper_remove(struct reaper *reaper, struct conn *conn);

/* The next request line of the connection was read: CONN_IDLE becomes CONN_HEADER. The first
 * request is in CONN_HEADER since accept, and stays so. */
void reaper_begin_request(struct reaper *reaper, struct conn *conn);

/* How many bytes of the client the kernel holds that nobody has read, and how many came in all; UINT64_MAX:
 * the kernel does not tell. The descriptor must be open. */
uint64_t conn_bytes_unread(const struct conn *conn);
uint64_t conn_bytes_received(const struct conn *conn);

/* Take over a duplicate of a socket that should linger (linger.h). */
void reaper_linger(struct reaper *reaper, int fd);

/* Connections now open, those in one phase, and how many were cut for a deadline so far.
 * Threads: any. */
unsigned reaper_count(struct reaper *reaper);
unsigned reaper_count_phase(struct reaper *reaper, enum conn_phase phase);
uint64_t reaper_cut_count(struct reaper *reaper);

/* Connections now open, without those that were cut. Threads: any. */
unsigned reaper_count_open(struct reaper *reaper);

/* Cut the connection that has been in `phase` longest, if that is at least `age`; whether there was one.
 * Threads: any. */
bool reaper_cut_oldest(struct reaper *reaper, enum conn_phase phase, weir_time age);

/*
 * Shut the connections that owe no answer: those idle, or new and silent, or busy with one piece of a
 * stream, for at least `age`.
 *
 * The age spares a client that is about to send its next request and could not tell whether it
 * was served; one whose request already lies in the kernel is spared too.
 */
void reaper_close_idle(struct reaper *reaper, weir_time age);

/*
 * Shut the connections whose request has not arrived whole, in its head or its body; how many. For a
 * drain that runs out: who has been sent nothing can send it again elsewhere.
 */
unsigned reaper_cut_unfinished(struct reaper *reaper);

/* Wait until no connection is in `phase` (CONN_PHASES: none at all) or `until` came; true when
 * none is. Threads: any. */
bool reaper_wait_gone(struct reaper *reaper, enum conn_phase phase, weir_time until);

#endif
