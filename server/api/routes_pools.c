/* SPDX-License-Identifier: MIT */
/* What moderators do to pools: replace their connections, close those that rest. */
#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "managers/db_manager.h"
#include "managers/http_session_manager.h"
#include "managers/suggestions_db_manager.h"

/* The name under which the HTTP session stands beside the databases' pools. */
#define SESSION_NAME "http"

/* What is done to one pool: by whom, and how to say it. */
struct treatment {
    const char *name;
    const char *moderator;
    const char *done; /* "evicted" */
};

static void reply_treated(struct http_response *response, const struct treatment *treatment,
                          int connections)
{
    log_write(LOG_LEVEL_INFO, "pool \"%s\": %s by %s", treatment->name, treatment->done,
              treatment->moderator);
    reply_json(response, 200,
               json_pack("{s:s, s:s, s:i}", "name", treatment->name, "status", treatment->done,
                         "connections", connections));
}

static void reply_pool_treated(struct http_response *response, const struct treatment *treatment,
                               weir_pool *pool)
{
    weir_pool_stats stats;

    weir_pool_get_stats(pool, &stats);
    reply_treated(response, treatment, stats.connections);
}

static int open_connections(weir_http *session)
{
    weir_http_origin *origins;
    size_t count = weir_http_get_origins(session, NULL, 0);
    int connections = 0;

    origins = calloc(count > 0 ? count : 1, sizeof *origins);
    if (origins == NULL)
        return 0;
    size_t found = weir_http_get_origins(session, origins, count);
    for (size_t i = 0; i < found && i < count; i++)
        connections += origins[i].has_pool ? origins[i].pool.connections : 0;
    free(origins);
    return connections;
}

/* The database of that name, held; false after the answer was filled in. */
static bool find_database(const char *name, struct http_response *response,
                          struct db_handle **ret_handle)
{
    struct managed_db *const managers[] = {db_manager(), suggestions_db_manager()};
    weir_error error;

    for (size_t i = 0; i < sizeof managers / sizeof *managers; i++) {
        if (strcmp(managers[i]->pool_name, name) != 0)
            continue;
        if (managed_db_get_engine(managers[i], ret_handle, &error) == WEIR_OK)
            return true;
        reply_error(response, &error);
        return false;
    }
    http_reply_detail(response, 404, "there is no pool \"%s\"", name);
    return false;
}

static void evict_session(struct http_response *response, const struct treatment *treatment)
{
    struct http_handle *handle;

    if (!http_manager_find_session(&handle)) {
        http_reply_detail(response, 503, "the HTTP session is closed");
        http_reply_header(response, "Retry-After", "1");
        return;
    }
    weir_http_evict_all(http_handle_session(handle));
    reply_treated(response, treatment, open_connections(http_handle_session(handle)));
    http_manager_put_session(handle);
}

void handle_evict(void *arg, const struct http_request *request, struct http_response *response)
{
    struct auth_claims claims;
    struct db_handle *handle;

    if (!is_moderator(arg, request, response, &claims))
        return;
    const struct treatment treatment = {http_request_path_param(request, "name"), claims.sub,
                                        "evicted"};
    if (strcmp(treatment.name, SESSION_NAME) == 0) {
        evict_session(response, &treatment);
        return;
    }
    if (!find_database(treatment.name, response, &handle))
        return;
    weir_pool *pool = weir_db_pool(db_handle_db(handle));
    weir_pool_evict_all(pool);
    reply_pool_treated(response, &treatment, pool);
    managed_db_put_engine(handle);
}

void handle_trim(void *arg, const struct http_request *request, struct http_response *response)
{
    struct validation validation = {0};
    struct auth_claims claims;
    struct db_handle *handle;

    if (!is_moderator(arg, request, response, &claims))
        return;
    const struct treatment treatment = {http_request_path_param(request, "name"), claims.sub,
                                        "trimmed"};
    int64_t idle_ms = query_integer(request, &validation, "idle_ms", 0, 86400000, 0);
    if (reply_if_wrong(response, &validation) || !find_database(treatment.name, response, &handle))
        return;
    weir_pool *pool = weir_db_pool(db_handle_db(handle));
    weir_pool_trim(pool, idle_ms);
    reply_pool_treated(response, &treatment, pool);
    managed_db_put_engine(handle);
}
