/* SPDX-License-Identifier: MIT */
/* Lingering close: keep reading a refused client's leftovers, so that it gets to see the refusal. */
#ifndef WEIR_SERVER_LINGER_H
#define WEIR_SERVER_LINGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/clock.h>

#include "common/lock.h"

/*
 * A socket closed while bytes of the client are still unread (or on their way) is reset by the
 * kernel, and the reset overtakes the answer: a client that got 413 for its upload would see
 * "connection reset by peer" instead. So such a socket is kept a little: its write side is shut,
 * what comes in is thrown away, until the client closes too, or LINGER_MS passed, or LINGER_BYTES
 * came. At most LINGER_SOCKETS at a time; one more is closed at once.
 */
#define LINGER_SOCKETS 64
#define LINGER_MS 2000
#define LINGER_BYTES (16u << 20)

struct lingering {
    int fd;
    uint64_t discarded;
    weir_time until;
};

/* Memory is the owner's; linger_init() first, linger_clear() last. */
struct linger_set {
    struct weir__mutex lock;
    /* Guarded by lock; entries are added by any thread and removed by the thread of linger_maintain() only. */
    struct lingering sockets[LINGER_SOCKETS];
    size_t count;
};

void linger_init(struct linger_set *set);

/* Close what is left. */
void linger_clear(struct linger_set *set);

/* Take over a non-blocking socket. Threads: any. */
void linger_add(struct linger_set *set, int fd);

/*
 * One housekeeping step: wait up to `timeout_ms`, or until `wake_fd` or a lingering socket becomes
 * readable; then discard and close what is due. The owner drains wake_fd.
 * Threads: one.
 */
void linger_maintain(struct linger_set *set, int wake_fd, int timeout_ms);

#endif
