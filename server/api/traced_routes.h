/* SPDX-License-Identifier: MIT */
/* A span for each request, around its handler. */
#ifndef WEIR_SERVER_TRACED_ROUTES_H
#define WEIR_SERVER_TRACED_ROUTES_H

#include <weir/trace.h>

#include "http/listener.h"

/* What stands behind a route that is traced. */
struct traced_route {
    struct http_route route;
    weir_tracer *tracer;
};

/*
 * Put a server span around the handler of each route, except those that run on the event thread and
 * those by which somebody watches the server. `storage` has room for `count`; it and the tracer must
 * outlive the use of the routes.
 */
void trace_routes(weir_tracer *tracer, struct http_route *routes, size_t count,
                  struct traced_route *storage);

#endif
