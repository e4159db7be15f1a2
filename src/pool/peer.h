/* SPDX-License-Identifier: MIT */
/* How many connections the peer takes, as far as its refusals told: arithmetic on (state, event, now). */
#ifndef WEIR_POOL_PEER_H
#define WEIR_POOL_PEER_H

#include <weir/clock.h>

/*
 * A peer that refuses a connection because it has too many takes as many of ours as are open then.
 * So much is allowed without further ado: a connection that ends may be replaced. Beyond it one more is
 * tried at a time, after a pause that grows with each refusal. All zero: nothing is known.
 */
struct peer {
    int limit;        /* so many it took; 0: no limit is known */
    unsigned refused; /* refusals in a row, of attempts that began after the last one */
    weir_time refused_at;
    weir_time retry_at; /* from then on one more may be tried */
};

/* The limit that holds at this moment, 0 for none: a refusal is forgotten after a minute. */
int weir__peer_limit(const struct peer *peer, weir_time now);
/* Whether another connection may be opened while `taken` are open, being opened or being closed. */
bool weir__peer_allows(const struct peer *peer, int taken, weir_time now);
/* One is about to be opened: if it is beyond the limit, the next has to wait for its end, or a pause. */
void weir__peer_attempt(struct peer *peer, int taken, weir_time now, uint64_t random);
/* The peer refused a connection whose opening began at `began`, while `open` others were open. */
void weir__peer_refused(struct peer *peer, int open, weir_time began, weir_time now,
                        uint64_t random);
/* It took one, opened from `began` on, and has `open` now, of at most `most` that the pool can have. */
void weir__peer_opened(struct peer *peer, int open, int most, weir_time began, weir_time now);

#endif
