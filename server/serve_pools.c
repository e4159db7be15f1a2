/* SPDX-License-Identifier: MIT */
/* Starts and stops the connection pools of the backend. */
#include "serve_pools.h"

#include "log/log.h"
#include "managers/db_manager.h"
#include "managers/http_session_manager.h"
#include "managers/suggestions_db_manager.h"
#include "reload.h"

static weir_status initialize(struct managed_db *manager, const struct config *config,
                              const char *url, weir_error *reterr)
{
    struct managed_db_options options = reload_pool_options(manager, config);

    return managed_db_initialize(manager, url, &options, reterr);
}

static weir_status initialize_http(const struct config *config, weir_error *reterr)
{
    struct http_session_options options = HTTP_SESSION_OPTIONS_DEFAULT;

    options.pool_connections = (int)config->http_pool_connections;
    options.pool_maxsize = (int)config->http_pool_maxsize;
    options.pool_block = config->http_pool_block != 0;
    options.max_retries = (int)config->http_max_retries;
    options.backoff_factor_ms = (int)config->http_backoff_factor_ms;
    options.timeout_ms = (int)config->http_timeout_ms;
    options.ca_file = config->http_ca_file;
    options.proxy = config->http_proxy;
    options.no_proxy = config->http_no_proxy;
    return http_manager_initialize(&options, reterr);
}

/* In reverse, by the deadline. Returns the first failure, and goes on after it. */
static weir_status dispose_all(weir_time deadline, weir_error *reterr)
{
    struct managed_db *managers[] = {suggestions_db_manager(), db_manager()};
    weir_error error = {0};

    weir_status first = http_manager_close(deadline, reterr);
    for (size_t i = 0; i < sizeof managers / sizeof *managers; i++) {
        weir_status status = managed_db_dispose(managers[i], deadline, &error);
        if (first == WEIR_OK && status != WEIR_OK && reterr != NULL)
            *reterr = error;
        if (first == WEIR_OK)
            first = status;
    }
    return first;
}

weir_status serve_start_pools(const struct config *config, struct server_metrics *metrics,
                              weir_error *reterr)
{
    log_write(LOG_LEVEL_INFO, "Initializing connection pools...");
    weir_status status = initialize(db_manager(), config, config->sql_conn_string, reterr);
    if (status == WEIR_OK)
        status = initialize(suggestions_db_manager(), config, config->suggestions_sql_conn_string,
                            reterr);
    if (status == WEIR_OK)
        status = initialize_http(config, reterr);
    if (status == WEIR_OK)
        status = server_metrics_watch(metrics, reterr);
    if (status != WEIR_OK) {
        server_metrics_unwatch(metrics);
        (void)dispose_all(WEIR_DEADLINE_NOW, NULL);
        return status;
    }
    log_write(LOG_LEVEL_INFO, "All connection pools initialized successfully");
    return WEIR_OK;
}

weir_status serve_stop_pools(struct server_metrics *metrics, weir_time deadline, weir_error *reterr)
{
    log_write(LOG_LEVEL_INFO, "Shutting down connection pools...");
    server_metrics_unwatch(metrics);
    weir_status status = dispose_all(deadline, reterr);
    log_maintain(true);
    if (status == WEIR_OK)
        log_write(LOG_LEVEL_INFO, "All connection pools shut down successfully");
    return status;
}
