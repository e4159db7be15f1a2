/* SPDX-License-Identifier: MIT */
/* The console: the figures of the backend, collected once a second, kept for ten minutes, sent to its readers. */
#ifndef WEIR_SERVER_CONSOLE_H
#define WEIR_SERVER_CONSOLE_H

#include <jansson.h>

#include "http/feed.h"
#include "http/listener.h"

struct console;

/* What else an issue tells beside the pools: members for `object`. Must not block. */
typedef void console_source(void *arg, json_t *object);

/*
 * Start it: a thread that looks once a second. At most `max_streams` may read at once.
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
 * `at` (milliseconds since 1970) and what the source adds; to its `server`, if there is one, the console
 * adds as `recent` how it answered within the last minute, and as `last` within the last second. */
struct feed *console_feed(struct console *console);

/* What GET /api/v1/pools answers: pools_json() with what happened within the last minute. `is_look` is the
 * console's own. NULL: out of memory. Threads: any. */
json_t *console_pools_json(struct console *console, bool is_look);

/* What GET /api/v1/history answers, malloc'ed: the last ten minutes, a moment a second, of the time before
 * anybody looked too. NULL: out of memory. Threads: any. */
char *console_history_json(struct console *console);

/* Count a request that is over; those by which somebody watches the server are left out. Threads: any, not
 * after console_close(). */
void console_count_request(struct console *console, const struct http_access *access);

#endif
