/* SPDX-License-Identifier: MIT */
/* What the backend says about itself: name, health, readiness, pools. */
#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "db_manager.h"
#include "pool_json.h"
#include "suggestions_db_manager.h"

void handle_root(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg, (void)request;
    reply_json(response, 200,
               json_pack("{s:s, s:s, s:s}", "message", "weir lends database connections", "name",
                         "weir", "version", weir_version()));
}

void handle_healthz(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg, (void)request;
    http_reply_bytes(response, 200, "text/plain; charset=utf-8", strdup("alive\n"), 6);
}

void handle_readyz(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    bool is_ready = false;
    char *report = health_report(app->health, &is_ready);

    (void)request;
    http_reply_bytes(response, is_ready ? 200 : 503, "text/plain; charset=utf-8", report,
                     report != NULL ? strlen(report) : 0);
    if (!is_ready)
        http_reply_header(response, "Retry-After", "1");
}

static const char *reset_name(weir_reset reset)
{
    switch (reset) {
    case WEIR_RESET_COMMIT:
        return "commit";
    case WEIR_RESET_NONE:
        return "none";
    case WEIR_RESET_ROLLBACK:
        break;
    }
    return "rollback";
}

static json_t *settings(const weir_pool_options *options)
{
    return json_pack(
        "{s:i, s:i, s:f, s:i, s:i, s:b, s:i, s:i, s:i, s:b, s:s, s:i, s:i}", "pool_size",
        options->pool_size, "max_overflow", options->max_overflow, "pool_timeout",
        options->pool_timeout_ms / 1000.0, "pool_recycle", options->pool_recycle_s,
        "recycle_jitter", options->recycle_jitter_percent, "pool_pre_ping",
        (int)options->pool_pre_ping, "ping_bypass_ms", options->ping_bypass_ms, "ping_timeout_ms",
        options->ping_timeout_ms, "reset_timeout_ms", options->reset_timeout_ms, "pool_use_lifo",
        (int)options->use_lifo, "pool_reset_on_return", reset_name(options->reset_on_return),
        "handoff_after_us", options->handoff_after_us, "max_waiters", options->max_waiters);
}

static json_t *holders(weir_pool *pool)
{
    weir_pool_holder found[64];
    size_t count = weir_pool_get_holders(pool, found, 64);
    json_t *array = json_array();

    for (size_t i = 0; i < count && i < 64; i++) {
        const char *slash = found[i].file != NULL ? strrchr(found[i].file, '/') : NULL;
        json_array_append_new(array, json_pack("{s:I, s:s, s:i, s:i, s:f}", "connection",
                                               (json_int_t)found[i].connection_id, "file",
                                               slash != NULL           ? slash + 1
                                               : found[i].file != NULL ? found[i].file
                                                                       : "",
                                               "line", found[i].line, "thread", found[i].thread,
                                               "age_ms", (double)found[i].age / 1e6));
    }
    return array;
}

static json_t *describe_pool(struct managed_db *manager)
{
    struct db_handle *handle;
    weir_pool_stats stats;
    char line[160];

    if (managed_db_get_engine(manager, &handle, NULL) != WEIR_OK)
        return json_pack("{s:s, s:b}", "name", manager->pool_name, "is_initialized", 0);
    weir_pool *pool = weir_db_pool(db_handle_db(handle));
    weir_pool_get_stats(pool, &stats);
    weir_pool_status_line(pool, line, sizeof line);
    json_t *object = json_pack(
        "{s:s, s:b, s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:o, s:{s:o, s:o, s:o}, s:o}",
        "name", weir_pool_name(pool), "is_initialized", 1, "engine",
        weir_db_engine(db_handle_db(handle)), "settings", settings(weir_pool_get_options(pool)),
        "size", stats.pool_size, "idle", stats.idle, "used", stats.leased, "overflow",
        stats.overflow, "connections", stats.connections, "waiters", stats.waiters, "status", line,
        "counters", pool_json_counters(&stats), "times", "wait", pool_json_times(&stats.wait_time),
        "create", pool_json_times(&stats.create_time), "use", pool_json_times(&stats.use_time),
        "holders", holders(pool));
    managed_db_put_engine(handle);
    return object;
}

void handle_pools(void *arg, const struct http_request *request, struct http_response *response)
{
    struct auth_claims claims;

    if (!is_authorized(arg, request, response, &claims))
        return;
    reply_json(response, 200,
               json_pack("{s:[o, o], s:o}", "pools", describe_pool(db_manager()),
                         describe_pool(suggestions_db_manager()), "http", http_session_json()));
}
