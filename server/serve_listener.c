/* SPDX-License-Identifier: MIT */
#include "serve_listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"

static void log_listener(void *arg, int level, const char *text)
{
    static const enum log_level levels[] = {
        [LISTENER_LOG_DEBUG] = LOG_LEVEL_DEBUG,
        [LISTENER_LOG_INFO] = LOG_LEVEL_INFO,
        [LISTENER_LOG_WARNING] = LOG_LEVEL_WARNING,
        [LISTENER_LOG_ERROR] = LOG_LEVEL_ERROR,
    };

    (void)arg;
    log_write(levels[level], "%s", text);
}

void serve_log_access(const struct http_access *access)
{
    /* Why it is not ready is logged once, by the health checks, and not at every question. */
    bool is_trouble = access->status >= 500 && strncmp(access->path, "/readyz", 7) != 0;
    enum log_level level = is_trouble ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
    char kind[96];
    struct log_about about = {.kind = kind};

    /* Each names its request, so they are counted by what they answer; 503 is the same for all routes. */
    snprintf(kind, sizeof kind, "answered %u %s", access->status,
             access->status == 503 ? "" : access->route);
    log_write_about(level, &about, "%s \"%s %s\" %u %llu bytes %.1f ms, request %s%s%s",
                    access->client_ip, access->method, access->path, access->status,
                    (unsigned long long)access->body_bytes,
                    (double)access->duration / (double)WEIR_MS, access->request_id,
                    access->trace_id[0] != '\0' ? ", trace " : "", access->trace_id);
}

int serve_outbound_workers(const struct config *config)
{
    return config->nocodb_base_url != NULL ? (int)config->nocodb_calls : 0;
}

struct listener_options serve_listener_options(const struct config *config)
{
    struct listener_options options = LISTENER_OPTIONS_DEFAULT;

    options.host = config->host;
    options.port = (int)config->port;
    options.workers = (int)config->workers;
    options.outbound_workers = serve_outbound_workers(config);
    options.queue_limit = (int)config->queue_limit;
    options.max_connections = (int)config->max_connections;
    options.max_connections_per_ip = (int)config->max_connections_per_ip;
    options.max_body_bytes = (size_t)config->max_body_bytes;
    options.max_total_body_bytes = (size_t)config->max_total_body_bytes;
    options.max_header_bytes = (size_t)config->max_header_bytes;
    options.header_deadline_ms = (int)config->header_timeout_ms;
    options.body_deadline_ms = (int)config->body_timeout_ms;
    options.keepalive_idle_ms = (int)config->keepalive_timeout_ms;
    options.write_deadline_ms = (int)config->write_timeout_ms;
    options.handler_deadline_ms = (int)config->request_timeout_ms;
    options.log = log_listener;
    return options;
}

static weir_status bind_address(const struct listener_options *options, const char *choice,
                                int *ret_socket, weir_error *reterr)
{
    weir_error error;

    weir_status status = listener_bind(options, ret_socket, &error);
    if (status == WEIR_OK)
        return WEIR_OK;
    if (error.native == EADDRINUSE) {
        weir_error_set(&error, status,
                       "port %d on %s is in use by another program; %s chooses another",
                       options->port, options->host, choice);
        error.native = EADDRINUSE;
    }
    if (reterr != NULL)
        *reterr = error;
    return status;
}

static weir_status bind_health(const struct config *config, struct listener_options options,
                               struct serve_addresses *addresses, weir_error *reterr)
{
    const char *choice = "--health-port or WEIR_HEALTH_PORT";
    weir_error error;

    if (config->health_port == 0)
        return WEIR_OK;
    options.port = (int)config->health_port;
    if (config->health_host != NULL)
        options.host = config->health_host;
    weir_status status = bind_address(&options, choice, &addresses->health_socket, &error);
    if (status == WEIR_OK) {
        log_write(LOG_LEVEL_INFO, "/healthz, /readyz and /metrics are answered on %s port %d too",
                  options.host, options.port);
        return WEIR_OK;
    }
    if (error.native == EADDRINUSE && options.port == listener_socket_port(addresses->socket)) {
        weir_error_set(&error, status, "port %d is already the main port: %s chooses another",
                       options.port, choice);
        error.native = EADDRINUSE;
    }
    if (reterr != NULL)
        *reterr = error;
    return status;
}

weir_status serve_bind(const struct config *config, struct serve_addresses *ret_addresses,
                       weir_error *reterr)
{
    struct listener_options options = serve_listener_options(config);
    struct serve_addresses addresses = SERVE_NO_ADDRESSES;

    weir_status status = bind_address(&options, "--port or PORT", &addresses.socket, reterr);
    if (status == WEIR_OK)
        status = bind_health(config, options, &addresses, reterr);
    if (status != WEIR_OK)
        serve_close_addresses(&addresses);
    *ret_addresses = addresses;
    return status;
}

void serve_close_addresses(struct serve_addresses *addresses)
{
    if (addresses->socket >= 0)
        close(addresses->socket);
    if (addresses->health_socket >= 0)
        close(addresses->health_socket);
    *addresses = SERVE_NO_ADDRESSES;
}
