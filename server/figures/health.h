/* SPDX-License-Identifier: MIT */
/* Whether the backend can serve: asked in the background, answered at once. */
#ifndef WEIR_SERVER_HEALTH_H
#define WEIR_SERVER_HEALTH_H

#include <stdbool.h>

#include <weir/clock.h>

/* One thing that must work for the backend to be ready. check() returns by the deadline; its
 * error, which must hold no secret, is logged. Whoever asks is shown what `tell` makes of it, a static text;
 * NULL: the error's own. */
struct health_component {
    const char *name;
    weir_status (*check)(void *arg, weir_time deadline, weir_error *reterr);
    void *arg;
    const char *(*tell)(const weir_error *error);
};

#define HEALTH_MAX_COMPONENTS 8

/*
 * A thread of its own checks each component about once a second, with one second for each check.
 * Whoever asks reads what the last check found and never waits for one.
 */
struct health;

/* Errors: WEIR_SYSTEM when the thread cannot be made, WEIR_NO_MEMORY. */
WEIR_MUST_CHECK weir_status health_start(const struct health_component *components, size_t count,
                                         struct health **ret_health, weir_error *reterr);

/* From now on the answer is: not ready, draining. Threads: any. */
void health_set_draining(struct health *health);

/*
 * One line per component, `name: ok` or `name: reason`, as malloc'ed text, NULL when memory ran
 * out. Takes microseconds. A component whose check has not come back for 5 s counts as failed.
 * Threads: any.
 */
char *health_report(struct health *health, bool *ret_is_ready);

/* Stop checking, join the thread and free it all. WEIR_TIMEOUT when a check outlasts the deadline and
 * BACKGROUND_GRACE: the thread and its memory are then left to the end of the process. NULL is WEIR_OK. */
weir_status health_stop(struct health *health, weir_time deadline);

#endif
