/* SPDX-License-Identifier: MIT */
/* The console: the figures of the backend, made once a second while somebody looks, for everybody who does. */
#ifndef WEIR_SERVER_CONSOLE_H
#define WEIR_SERVER_CONSOLE_H

#include <jansson.h>

#include "feed.h"

struct console;

/* What else an issue tells beside the pools: members for `object`. Must not block. */
typedef void console_source(void *arg, json_t *object);

/*
 * Start it: a thread that sleeps while nobody reads. At most `max_streams` may read at once.
 * Errors: WEIR_NO_MEMORY, WEIR_SYSTEM (native is the errno).
 */
WEIR_MUST_CHECK weir_status console_open(unsigned max_streams, console_source *source, void *arg,
                                         struct console **ret_console, weir_error *reterr);

/* End all streams, for good; before listener_stop(). From its return on, the source is not called.
 * Idempotent. NULL is fine. Threads: one. */
void console_end(struct console *console);

/* Free it, when the listener has stopped. NULL is fine. */
void console_close(struct console *console);

/* Server-sent events: an event `figures` about once a second, JSON as GET /api/v1/pools answers it with
 * `at` (milliseconds since 1970) and what the source adds. */
struct feed *console_feed(struct console *console);

#endif
