/* SPDX-License-Identifier: MIT */
/* The parts of the backend, wired through a lifecycle, run until a signal. */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/lifecycle.h>

#include "api/routes.h"
#include "api/traced_routes.h"
#include "banner.h"
#include "config/config_unused.h"
#include "figures/console.h"
#include "figures/metrics.h"
#include "managers/db_manager.h"
#include "managers/db_trouble.h"
#include "managers/http_session_manager.h"
#include "managers/suggestions_db_manager.h"
#include "reload.h"
#include "serve_figures.h"
#include "serve_listener.h"
#include "serve_pools.h"
#include "serve_services.h"
#include "services/nocodb_version_check.h"
#include "signals.h"
#include "trace/tracing.h"

#define START_LIMIT_MS 30000

/* Static, because a handler that outlives the drain's deadline goes on using it. */
static struct server {
    struct config
        *config; /* in force; this thread changes it, and only what the others do not read */
    struct app app;
    struct server_metrics *metrics;
    struct tracing *tracing;
    struct traced_route traced[ROUTES_MAX];
    struct nocodb_version_check *nocodb_version_check; /* NULL without a NocoDB */
    char *own_secret;                 /* made at this start; NULL when the configuration has one */
    struct serve_addresses addresses; /* none once the listener has them, or they are closed */
    struct listener *listener;
    /* The same, for the console; NULL before it has started. */
    struct listener *_Atomic shown_listener;
    int port;
    weir_time started;
    /* When, in a drain, waits for other servers are ended, and when what is on its way to them is cut.
     * 0 until the drain. Written by the thread that drains, the first after the second; read by the
     * prober's, the first before the second. */
    _Atomic weir_time waits_end_at;
    _Atomic weir_time requests_end_at;
    /* A handler is still running: nothing it might use may be freed. */
    bool is_abandoned;
} server;

/* ---- Metrics ------------------------------------------------------------------------------ */

/* The first part to start and the last to stop: the others tell of themselves until they end. */
static weir_status start_metrics(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline;
    weir_status status = server_metrics_open(&server.metrics, reterr);
    if (status == WEIR_OK)
        server.app.metrics = server_metrics_registry(server.metrics);
    return status;
}

static weir_status stop_metrics(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline, (void)reterr;
    if (!server.is_abandoned)
        server_metrics_close(server.metrics);
    return WEIR_OK;
}

/* ---- Traces ------------------------------------------------------------------------------- */

static weir_status start_traces(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline;
    weir_status status = tracing_open(server.config, server.app.metrics, &server.tracing, reterr);
    if (status == WEIR_OK)
        server.app.tracer = tracing_tracer(server.tracing);
    return status;
}

/* Spans that the collector did not take are no reason to call a stop failed. */
static weir_status stop_traces(void *arg, weir_time deadline, weir_error *reterr)
{
    weir_error error;

    (void)arg, (void)reterr;
    if (server.is_abandoned)
        return WEIR_OK;
    if (tracing_stop(server.tracing, deadline, &error) != WEIR_OK)
        log_write(LOG_LEVEL_WARNING, "traces: %s", error.text);
    tracing_close(server.tracing);
    return WEIR_OK;
}

/* ---- Connection pools --------------------------------------------------------------------- */

static weir_status start_pools(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline;
    return serve_start_pools(server.config, server.metrics, reterr);
}

static weir_status stop_pools(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg;
    return serve_stop_pools(server.metrics, deadline, reterr);
}

/* ---- Services ----------------------------------------------------------------------------- */

static weir_status start_services(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline;
    return serve_start_services(server.config, &server.app, reterr);
}

static weir_status stop_services(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline, (void)reterr;
    if (!server.is_abandoned)
        serve_close_services(&server.app);
    return WEIR_OK;
}

/* ---- Health checks ------------------------------------------------------------------------ */

static weir_status check_suggestions(void *arg, weir_time deadline, weir_error *reterr)
{
    weir_status status = managed_db_check(suggestions_db_manager(), true, deadline, reterr);

    (void)arg;
    if (status != WEIR_OK)
        return status;
    return suggestions_prepare(server.app.suggestions, deadline, reterr);
}

/*
 * What is to be done about once a second for the HTTP session. In a drain, what waits for its turn at
 * another server is let go when half of the time has passed, and what waits for its answer shortly
 * before the end: it might take longer than the drain, and a request that is never answered is worse
 * than a 503.
 */
static void maintain_http(void)
{
    weir_time end = atomic_load(&server.waits_end_at);

    if (end != 0 && weir_now() >= end)
        http_manager_end_waits(atomic_load(&server.requests_end_at));
    else
        http_manager_maintain();
}

/* The prober's rounds are the clock of all that is to be done about once a second. */
static void maintain(void)
{
    maintain_http();
    managed_db_maintain(db_manager());
    managed_db_maintain(suggestions_db_manager());
    log_maintain(false);
}

static weir_status check_main(void *arg, weir_time deadline, weir_error *reterr)
{
    maintain();
    return managed_db_check(arg, false, deadline, reterr);
}

/* NocoDB is not among them: its absence takes nothing from the rest of the service, a restart would not
 * bring it back, and asking it every second would use up its rate limit. The breaker's state is in
 * /api/v1/pools. */
static weir_status start_health(void *arg, weir_time deadline, weir_error *reterr)
{
    const struct health_component components[] = {
        {"main database", check_main, db_manager(), db_trouble_text},
        {"suggestions database", check_suggestions, NULL, db_trouble_text},
    };

    (void)arg, (void)deadline;
    return health_start(components, 2, &server.app.health, reterr);
}

static weir_status stop_health(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg;
    if (server.is_abandoned)
        return WEIR_OK;
    weir_status status = health_stop(server.app.health, deadline);
    if (status != WEIR_OK) {
        /* The prober's thread goes on using the services. */
        server.is_abandoned = true;
        return weir_error_set(reterr, status, "a health check has not finished");
    }
    return WEIR_OK;
}

/* In the background: a NocoDB that is down keeps nothing else from starting. */
static weir_status start_nocodb_version_check(void *arg, weir_time deadline, weir_error *reterr)
{
    const struct config *config = server.config;
    const struct nocodb_version_check_options options = {
        config->nocodb_base_url, config->http_ca_file, config->http_proxy, config->http_no_proxy};

    (void)arg, (void)deadline;
    if (config->nocodb_base_url == NULL)
        return WEIR_OK;
    return nocodb_version_check_start(&options, &server.nocodb_version_check, reterr);
}

static weir_status stop_nocodb_version_check(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg;
    weir_status status = nocodb_version_check_stop(server.nocodb_version_check, deadline);
    if (status != WEIR_OK) {
        server.is_abandoned = true; /* its thread goes on using OpenSSL */
        weir_error_set(reterr, status, "the request for NocoDB's version has not ended");
    }
    return status;
}

/* ---- Console ------------------------------------------------------------------------------ */

static void add_server(void *arg, json_t *object)
{
    (void)arg;
    json_object_set_new(
        object, "server",
        serve_figures(server.config, atomic_load(&server.shown_listener), server.started));
}

static weir_status start_console(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline;
    return console_open((unsigned)server.config->max_streams, add_server, NULL, &server.app.console,
                        reterr);
}

static weir_status stop_console(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline, (void)reterr;
    if (!server.is_abandoned)
        console_close(server.app.console);
    return WEIR_OK;
}

/* ---- Listener ----------------------------------------------------------------------------- */

static void on_request_done(void *arg, const struct http_access *access)
{
    (void)arg;
    serve_log_access(access);
    server_metrics_count_request(server.metrics, access);
    console_count_request(server.app.console, access);
}

/* Bound first: whoever starts a second server by mistake is told before that one has opened a
 * database, or made a file. */
static weir_status start_address(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline;
    return serve_bind(server.config, &server.addresses, reterr);
}

static weir_status stop_address(void *arg, weir_time deadline, weir_error *reterr)
{
    (void)arg, (void)deadline, (void)reterr;
    serve_close_addresses(&server.addresses);
    return WEIR_OK;
}

static weir_status start_listener(void *arg, weir_time deadline, weir_error *reterr)
{
    struct listener_options options = serve_listener_options(server.config);
    struct http_route routes[ROUTES_MAX];
    size_t count = routes_fill(&server.app, routes);

    (void)arg, (void)deadline;
    trace_routes(server.app.tracer, routes, count, server.traced);
    options.on_request_done = on_request_done;
    options.socket = server.addresses.socket;
    options.health_socket = server.addresses.health_socket;
    server.addresses = SERVE_NO_ADDRESSES;
    weir_status status = listener_start(&options, routes, count, &server.listener, reterr);
    if (status != WEIR_OK)
        return status;
    server.port = listener_port(server.listener);
    atomic_store(&server.shown_listener, server.listener);
    status = server_metrics_watch_listener(server.metrics, server.listener, reterr);
    if (status != WEIR_OK) {
        console_end(server.app.console);
        (void)listener_stop(server.listener, WEIR_DEADLINE_NOW, NULL);
    }
    return status;
}

static weir_status drain_listener(void *arg, weir_time deadline, weir_error *reterr)
{
    weir_time now = weir_now();
    weir_time left = deadline > now ? deadline - now : 0;

    (void)arg;
    atomic_store(&server.requests_end_at, now + left / 10 * 9);
    atomic_store(&server.waits_end_at, now + left / 2);
    health_set_draining(server.app.health);
    listener_set_draining(server.listener);
    console_end(server.app.console);
    server_metrics_unwatch_listener(server.metrics);
    weir_status status = listener_stop(server.listener, deadline, &server.is_abandoned);
    if (status != WEIR_OK)
        weir_error_set(reterr, status, "not every request in flight was answered in time");
    return status;
}

/* ---- The whole ---------------------------------------------------------------------------- */

static void log_step(void *arg, const char *part, const char *step, const weir_error *error)
{
    (void)arg;
    if (error != NULL)
        log_write(LOG_LEVEL_ERROR, "%s", error->text);
    else
        log_write(LOG_LEVEL_DEBUG, "%s: %s", part, step);
}

static weir_status wire(weir_lifecycle **ret_lifecycle, weir_error *reterr)
{
    const weir_part parts[] = {
        {"address", start_address, NULL, stop_address, NULL},
        {"metrics", start_metrics, NULL, stop_metrics, NULL},
        {"traces", start_traces, NULL, stop_traces, NULL},
        {"connection pools", start_pools, NULL, stop_pools, NULL},
        {"services", start_services, NULL, stop_services, NULL},
        {"health checks", start_health, NULL, stop_health, NULL},
        {"NocoDB's version", start_nocodb_version_check, NULL, stop_nocodb_version_check, NULL},
        {"console", start_console, NULL, stop_console, NULL},
        {"listener", start_listener, drain_listener, NULL, NULL},
    };
    weir_lifecycle *lifecycle;

    weir_status status = weir_lifecycle_open(log_step, NULL, &lifecycle, reterr);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        status = weir_lifecycle_add(lifecycle, &parts[i], reterr);
        if (status != WEIR_OK) {
            weir_lifecycle_close(lifecycle);
            return status;
        }
    }
    *ret_lifecycle = lifecycle;
    return WEIR_OK;
}

/* Not ready, but serving: load balancers need a while to notice. */
static void delay_shutdown(int number)
{
    weir_time until = weir_now() + server.config->shutdown_delay_ms * WEIR_MS;
    struct timespec at = {until / WEIR_SECOND, until % WEIR_SECOND};

    if (server.config->shutdown_delay_ms == 0)
        return;
    log_write(LOG_LEVEL_INFO, "SIG%s: no longer ready; the drain begins in %lld ms",
              sigabbrev_np(number), (long long)server.config->shutdown_delay_ms);
    health_set_draining(server.app.health);
    listener_set_draining(server.listener);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

static int stop(weir_lifecycle *lifecycle)
{
    weir_error error;
    weir_time limit = server.config->drain_timeout_ms * WEIR_MS;

    weir_status status = weir_lifecycle_stop(lifecycle, weir_now() + limit, &error);
    if (server.is_abandoned) {
        /* A thread that cannot be ended still runs; leaving without destructors is all that is
         * safe. */
        log_write(LOG_LEVEL_ERROR,
                  "stopped while a request or a background thread was still running");
        _exit(1);
    }
    weir_lifecycle_close(lifecycle);
    return status == WEIR_OK ? 0 : 1;
}

static weir_status choose_secret(weir_error *reterr)
{
    const char *text = server.config->jwt_secret;

    server.app.jwt_audience = server.config->jwt_audience;

    if (text == NULL) {
        weir_status status = auth_make_secret(&server.own_secret, reterr);
        if (status != WEIR_OK)
            return status;
        text = server.own_secret;
    }
    return secret_open(text, &server.app.jwt_secret, reterr);
}

/* Until a signal that ends the server, which is returned; SIGHUP is no such. */
static int wait_for_end(const struct config_source *source)
{
    const struct reload_parts parts = {.config = server.config,
                                       .source = source,
                                       .secret = server.app.jwt_secret,
                                       .listener = server.listener,
                                       .console = server.app.console,
                                       .metrics = server.metrics};
    int number;

    while ((number = signals_wait()) == SIGHUP)
        reload(&parts);
    return number;
}

static void clear(void)
{
    secret_close(server.app.jwt_secret);
    if (server.own_secret != NULL)
        explicit_bzero(server.own_secret, strlen(server.own_secret));
    free(server.own_secret);
}

/* NULL and "": of nothing. */
static void warn_of(const char *sentence)
{
    if (sentence != NULL && sentence[0] != '\0')
        log_write(LOG_LEVEL_WARNING, "%s", sentence);
}

int serve_run(struct config *config, const struct config_source *source)
{
    weir_lifecycle *lifecycle = NULL;
    weir_error error;

    server =
        (struct server){.config = config, .addresses = SERVE_NO_ADDRESSES, .started = weir_now()};
    signals_block();
    warn_of(config->unused_database);
    warn_of(config_unused_token(config->nocodb_base_url, config->nocodb_api_token));
    weir_status status = choose_secret(&error);
    if (status == WEIR_OK)
        status = wire(&lifecycle, &error);
    if (status != WEIR_OK) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        clear();
        return 1;
    }
    /* The observer has logged what went wrong. */
    if (weir_lifecycle_start(lifecycle, weir_deadline_in(START_LIMIT_MS), NULL) != WEIR_OK) {
        weir_lifecycle_close(lifecycle);
        clear();
        return 1;
    }
    banner_print(&(struct banner){.config = config,
                                  .port = server.port,
                                  .own_secret = server.own_secret,
                                  .database = server.app.database});

    int number = wait_for_end(source);
    signals_let_next_exit();
    delay_shutdown(number);
    log_write(LOG_LEVEL_INFO, "SIG%s: draining for at most %lld ms", sigabbrev_np(number),
              (long long)config->drain_timeout_ms);
    int result = stop(lifecycle);
    clear();
    return result;
}
