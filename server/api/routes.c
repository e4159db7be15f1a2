/* SPDX-License-Identifier: MIT */
/* The table of routes. */
#include "routes.h"

/* Which threads run a handler: the event thread (also that of the reserve, for health), a worker, or one of those
 * that wait for other servers. */
enum place { INLINE, HEALTH, WORKER, OUTBOUND };

struct row {
    const char *method;
    const char *pattern;
    http_handler *handler;
    http_guard *guard; /* NULL: open to everybody */
    enum place place;
};

size_t routes_fill(struct app *app, struct http_route routes[ROUTES_MAX])
{
    static const struct row all[] = {
        {"GET", "/", handle_console, NULL, INLINE},
        {"GET", "/console/{file}", handle_console_file, NULL, INLINE},
        {"GET", "/docs", handle_docs, NULL, INLINE},
        {"GET", "/api/v1/openapi.json", handle_openapi, NULL, INLINE},
        {"GET", "/healthz", handle_healthz, NULL, HEALTH},
        {"GET", "/readyz", handle_readyz, NULL, HEALTH},
        {"GET", "/metrics", handle_metrics, NULL, HEALTH},
        {"GET", "/api/v1", handle_root, NULL, INLINE},
        {"GET", "/api/v1/pools", handle_pools, guard_user, INLINE},
        {"GET", "/api/v1/pools/{name}/connections", handle_connections, guard_user, WORKER},
        {"POST", "/api/v1/pools/{name}/evict", handle_evict, guard_moderator, WORKER},
        {"POST", "/api/v1/pools/{name}/trim", handle_trim, guard_moderator, WORKER},
        {"GET", "/api/v1/history", handle_history, guard_user, INLINE},
        {"GET", "/api/v1/traces", handle_traces, guard_user, WORKER},
        {"GET", "/api/v1/events", handle_events, guard_user, INLINE},
        {"GET", "/api/v1/tables", handle_tables, guard_user, WORKER},
        {"GET", "/api/v1/tables/{table}", handle_rows, guard_user, WORKER},
        {"GET", "/api/v1/tables/{table}/{id}", handle_row, guard_user, WORKER},
        {"POST", "/api/v1/suggestions", handle_suggest_generic, guard_user, WORKER},
        {"POST", "/api/v1/suggestions/{kind}", handle_suggest_kind, guard_user, WORKER},
        {"GET", "/api/v1/suggestions/{kind}/pending", handle_pending, guard_moderator, WORKER},
        {"POST", "/api/v1/suggestions/{kind}/{id}/status", handle_status, guard_moderator, WORKER},
        {"PUT", "/api/v1/suggestions/{kind}/{id}/payload", handle_payload, guard_moderator, WORKER},
        {"GET", "/api/v1/nocodb/{table}", handle_nocodb_rows, guard_user, OUTBOUND},
        {"GET", "/api/v1/nocodb/{table}/{id}", handle_nocodb_row, guard_user, OUTBOUND},
    };
    size_t count = sizeof all / sizeof *all;

    _Static_assert(sizeof all / sizeof *all <= ROUTES_MAX, "room for every route");
    for (size_t i = 0; i < count; i++)
        routes[i] = (struct http_route){
            .method = all[i].method,
            .pattern = all[i].pattern,
            .handler = all[i].handler,
            .arg = app,
            .is_inline = all[i].place == INLINE || all[i].place == HEALTH,
            .is_health = all[i].place == HEALTH,
            .guard = all[i].guard,
            .guard_arg = app,
            .is_outbound = all[i].place == OUTBOUND,
        };
    return count;
}
