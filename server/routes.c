/* SPDX-License-Identifier: MIT */
/* The table of routes. */
#include "routes.h"

size_t routes_fill(struct app *app, struct http_route routes[ROUTES_MAX])
{
    const struct http_route all[] = {
        {"GET", "/", handle_console, app, true},
        {"GET", "/console/{file}", handle_console_file, app, true},
        {"GET", "/docs", handle_docs, app, true},
        {"GET", "/api/v1/openapi.json", handle_openapi, app, true},
        {"GET", "/healthz", handle_healthz, app, true},
        {"GET", "/readyz", handle_readyz, app, true},
        {"GET", "/metrics", handle_metrics, app, true},
        {"GET", "/api/v1", handle_root, app, true},
        {"GET", "/api/v1/pools", handle_pools, app, true},
        {"GET", "/api/v1/pools/{name}/connections", handle_connections, app, false},
        {"GET", "/api/v1/traces", handle_traces, app, false},
        {"GET", "/api/v1/events", handle_events, app, true},
        {"GET", "/api/v1/tables", handle_tables, app, false},
        {"GET", "/api/v1/tables/{table}", handle_rows, app, false},
        {"GET", "/api/v1/tables/{table}/{id}", handle_row, app, false},
        {"POST", "/api/v1/suggestions", handle_suggest_generic, app, false},
        {"POST", "/api/v1/suggestions/{kind}", handle_suggest_kind, app, false},
        {"GET", "/api/v1/suggestions/{kind}/pending", handle_pending, app, false},
        {"POST", "/api/v1/suggestions/{kind}/{id}/status", handle_status, app, false},
        {"PUT", "/api/v1/suggestions/{kind}/{id}/payload", handle_payload, app, false},
        {"GET", "/api/v1/nocodb/{table}", handle_nocodb_rows, app, false},
        {"GET", "/api/v1/nocodb/{table}/{id}", handle_nocodb_row, app, false},
    };
    size_t count = sizeof all / sizeof *all;

    _Static_assert(sizeof all / sizeof *all <= ROUTES_MAX, "room for every route");
    for (size_t i = 0; i < count; i++)
        routes[i] = all[i];
    return count;
}
