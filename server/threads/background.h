/* SPDX-License-Identifier: MIT */
/* A thread in the background that works, sleeps, and is woken to be stopped. */
#ifndef WEIR_SERVER_BACKGROUND_H
#define WEIR_SERVER_BACKGROUND_H

#include <stdbool.h>

#include <weir/clock.h>

struct background;

/* What the thread does; it ends when this returns. */
typedef void background_work(struct background *background, void *arg);

/*
 * Start a thread, with every signal blocked. `what` is for the error: "start health checks".
 *
 * Errors: WEIR_SYSTEM when the thread cannot be made (native is the errno), WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status background_start(const char *what, background_work *work, void *arg,
                                             struct background **ret_background,
                                             weir_error *reterr);

/* Sleep until the instant; false, at once, when the thread is to end. Threads: the background's own. */
bool background_sleep(struct background *background, weir_time until);

/*
 * Wake the thread, wait until its work has returned, and free everything.
 *
 * A thread that only sleeps, or is about to end, needs a moment also when the deadline has passed: it has
 * BACKGROUND_GRACE at least. WEIR_TIMEOUT when the work takes longer: the thread goes on, nothing is freed, and
 * this may be called again. NULL is WEIR_OK. Threads: one caller, not the background's own.
 */
#define BACKGROUND_GRACE (100 * WEIR_MS)
weir_status background_stop(struct background *background, weir_time deadline);

#endif
