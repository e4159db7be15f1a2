/* SPDX-License-Identifier: MIT */
/* Workers: a fixed set of threads behind a bounded queue, which refuses rather than grows. */
#ifndef WEIR_SERVER_WORKERS_H
#define WEIR_SERVER_WORKERS_H

#include <stdbool.h>

#include <weir/base.h>
#include <weir/clock.h>

/*
 * One piece of work, embedded in the caller's own struct: queueing it allocates nothing. Exactly
 * one of the two functions is called, once; after its call the workers do not touch the work.
 */
struct work {
    struct work *next;
    void (*run)(struct work *work);    /* on a worker */
    void (*cancel)(struct work *work); /* on the thread that stops the workers or that pushes */
};

struct workers;

/*
 * Start `threads` threads that run with every signal blocked.
 *
 * Errors: WEIR_SYSTEM (native is the errno), WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status workers_start(int threads, int queue_limit,
                                          struct workers **ret_workers, weir_error *reterr);

/* Another limit; what waits already stays. Threads: any. */
void workers_set_queue_limit(struct workers *workers, int queue_limit);

/*
 * Claim a place for one piece of work; workers_push() must follow. False when as many are running
 * as there are threads and queue_limit more are waiting, or when the workers are stopping.
 *
 * Claiming comes apart from pushing because the caller has something to do in between that it
 * must not do in vain: the connection has to be suspended before a worker can see its request.
 * Threads: any.
 */
bool workers_claim(struct workers *workers);

/* Hand over the work for a claimed place. Threads: any. */
void workers_push(struct workers *workers, struct work *work);

/* How many are running, and how many are waiting. Threads: any. */
void workers_count(struct workers *workers, unsigned *ret_running, unsigned *ret_waiting);

/*
 * Stop: refuse new work, cancel what still waits, wait until `deadline` for what is running.
 *
 * True: every thread was joined and the workers are freed. False: some work is still running; the
 * workers stay as they are for ever, because a thread can not be ended from outside.
 */
bool workers_stop(struct workers *workers, weir_time deadline);

#endif
