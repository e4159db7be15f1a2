/* SPDX-License-Identifier: MIT */
/* The router: which route serves a method and a path, and what its {names} stand for. */
#ifndef WEIR_SERVER_ROUTER_H
#define WEIR_SERVER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/base.h>

#include "listener.h"

/* Most {names} in a pattern, most segments in a pattern (longer paths are simply not found), and
 * room for the text of an Allow header. */
#define ROUTER_PARAMS 8
#define ROUTER_SEGMENTS 32
#define ROUTER_ALLOW 128

struct router;

/*
 * Compile the routes. Their strings must outlive the router, the array need not.
 *
 * Errors: WEIR_INVALID for a pattern without a leading "/", with an empty segment, a trailing
 *         slash, a malformed or repeated {name}, too many of either; a method that is not made of
 *         capital letters; no handler; two routes that no request could tell apart; more methods
 *         than an Allow header here has room for. The text names the route. WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status router_open(const struct http_route *routes, size_t count,
                                        struct router **ret_router, weir_error *reterr);

/* NULL is fine. */
void router_close(struct router *router);

/* What was found. The parameters' values lie in the caller's scratch memory. */
struct router_match {
    unsigned status; /* 200: route is set. 204: OPTIONS; 405: other methods; both set allow.
                        404: no such path. 400: the path's percent-encoding is broken. */
    const struct http_route *route;
    size_t param_count;
    const char *names[ROUTER_PARAMS];
    const char *values[ROUTER_PARAMS];
    char allow[ROUTER_ALLOW]; /* "GET, HEAD, OPTIONS" */
};

/*
 * Find the route of a method and a raw path (undecoded, without the query), which `scratch`, of
 * path_size + 1 bytes, helps to decode.
 *
 * Segments are compared decoded. One trailing slash is ignored. HEAD falls back to GET. Where
 * several patterns fit, the one with a literal at the first place they differ wins.
 * Threads: any, at once, each with its own scratch.
 */
void router_find(const struct router *router, const char *method, const char *path,
                 size_t path_size, char *scratch, struct router_match *ret_match);

#endif
