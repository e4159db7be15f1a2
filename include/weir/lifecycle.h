/* SPDX-License-Identifier: MIT */
/* A lifecycle starts a program's parts in order, and drains and stops them in reverse, under a deadline. */
#ifndef WEIR_LIFECYCLE_H
#define WEIR_LIFECYCLE_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One part of a program: a pool, a manager, a listener. Any function may be NULL.
 *
 * start(): get ready by the deadline. A failure stops, in reverse, the parts already started, and
 *          weir_lifecycle_start() returns it.
 * drain(): stop taking new work, and finish current work by the deadline. Called for every started part,
 *          last started first, before any stop().
 * stop():  release everything by the deadline. Called even if drain() failed or timed out.
 */
typedef struct weir_part {
    const char *name;
    weir_status (*start)(void *arg, weir_time deadline, weir_error *reterr);
    weir_status (*drain)(void *arg, weir_time deadline, weir_error *reterr);
    weir_status (*stop)(void *arg, weir_time deadline, weir_error *reterr);
    void *arg;
} weir_part;

typedef struct weir_lifecycle weir_lifecycle;

/* The phase of a lifecycle. */
typedef enum weir_phase {
    WEIR_PHASE_NEW,
    WEIR_PHASE_STARTING,
    WEIR_PHASE_RUNNING,
    WEIR_PHASE_DRAINING,
    WEIR_PHASE_STOPPED
} weir_phase;

/*
 * An observer; it is called for each step of each part. `step` is "starting", "started", "draining", "drained",
 * "stopping" or "stopped"; `error` is NULL unless that step failed. It is called on the thread that starts
 * or stops the lifecycle.
 */
typedef void weir_lifecycle_observer(void *arg, const char *part, const char *step,
                                     const weir_error *error);

/* Make an empty lifecycle; `observer` may be NULL. Errors: WEIR_NO_MEMORY. */
WEIR_API WEIR_MUST_CHECK weir_status weir_lifecycle_open(weir_lifecycle_observer *observer,
                                                         void *observer_arg,
                                                         weir_lifecycle **ret_lifecycle,
                                                         weir_error *reterr);

/* Free it. It must be new or stopped. NULL is fine. */
WEIR_API void weir_lifecycle_close(weir_lifecycle *lifecycle);

/*
 * Add a part; it starts after, and stops before, those added earlier. `part` is copied, but its name and arg
 * must outlive the lifecycle. A lifecycle takes at most 32 parts, and only before it is started.
 *
 * Errors:  WEIR_FULL; WEIR_INVALID for a part without a name or added too late.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_lifecycle_add(weir_lifecycle *lifecycle,
                                                        const weir_part *part, weir_error *reterr);

/*
 * Start every part in order. If one fails, those already started are stopped again, and the error names the
 * part that failed. Errors: WEIR_ALREADY when the lifecycle was started before.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_lifecycle_start(weir_lifecycle *lifecycle,
                                                          weir_time deadline, weir_error *reterr);

/*
 * Drain all parts, then stop all parts, in reverse order, before the deadline. If a part fails, the others
 * are stopped all the same, and the call returns the first failure, which names its part. If the lifecycle
 * is not running, the call does nothing and returns WEIR_OK.
 */
WEIR_API weir_status weir_lifecycle_stop(weir_lifecycle *lifecycle, weir_time deadline,
                                         weir_error *reterr);

/* Return the lifecycle's current phase. Threads: any, at any time. */
WEIR_API weir_phase weir_lifecycle_phase(const weir_lifecycle *lifecycle);

#ifdef __cplusplus
}
#endif

#endif
