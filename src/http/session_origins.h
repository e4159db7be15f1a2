/* SPDX-License-Identifier: MIT */
/* The origins of a session: taken by calls, with pools that are opened and closed. */
#ifndef WEIR_HTTP_SESSION_ORIGINS_H
#define WEIR_HTTP_SESSION_ORIGINS_H

#include "http/session.h"

/*
 * The origin of a name, made if need be, with a pool of connections; it keeps both until
 * weir__origin_release(). Of more pools than pool_connections, the one used least recently is closed,
 * but none that somebody has.
 * Errors: WEIR_CLOSED, WEIR_NO_MEMORY.
 */
weir_status weir__origin_acquire(weir_http *session, const char *name, struct origin **ret_origin,
                                 weir_error *reterr);
void weir__origin_release(weir_http *session, struct origin *origin);

/*
 * The same for a call, counted as a request there. One that begins with it enters the session, and
 * one that ends with it leaves the session, under the same lock: `request`; NULL for a call that
 * goes on. Whoever has left may find the session freed. Leaving takes no origin, too: NULL.
 */
weir_status weir__origin_begin_call(weir_http *session, const char *name,
                                    weir_http_request *request, struct origin **ret_origin,
                                    weir_error *reterr);
void weir__origin_end_call(weir_http *session, struct origin *origin, weir_http_request *request);

/* Free all origins; nobody has one any more. */
void weir__origins_clear(weir_http *session);

/* Call for every origin with a pool that is there from beginning to end, without any lock. */
void weir__origins_each(weir_http *session, void (*visit)(weir_pool *pool, void *arg), void *arg);

#endif
