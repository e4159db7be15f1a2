/* SPDX-License-Identifier: MIT */
/* The API: which path leads to which handler. */
#ifndef WEIR_SERVER_ROUTES_H
#define WEIR_SERVER_ROUTES_H

#include "handler.h"

/* How many there are at most. */
#define ROUTES_MAX 32

/* Fill `routes` with every route, `app` as their argument; returns how many. */
size_t routes_fill(struct app *app, struct http_route routes[ROUTES_MAX]);

/* The handlers, by subject: routes_meta.c, routes_pools.c, routes_tables.c, routes_suggestions.c,
 * routes_moderation.c, routes_nocodb.c, routes_console.c, routes_traces.c. */
http_handler handle_root, handle_healthz, handle_readyz, handle_pools, handle_history,
    handle_metrics;
http_handler handle_evict, handle_trim;
http_handler handle_tables, handle_rows, handle_row;
http_handler handle_suggest_generic, handle_suggest_kind;
http_handler handle_pending, handle_status, handle_payload;
http_handler handle_nocodb_rows, handle_nocodb_row;
http_handler handle_traces, handle_connections;
http_handler handle_console, handle_console_file, handle_docs, handle_openapi, handle_events;

/* The kind named in the path, or NULL after filling in the 404. */
const struct suggestion_kind *find_kind(const struct http_request *request,
                                        struct http_response *response);

#endif
