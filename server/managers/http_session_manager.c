/* SPDX-License-Identifier: MIT */
/* The session and those who hold it. */
#include "http_session_manager.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/lock.h"
#include "log/log.h"
#include "trace/tracing.h"

#define NAME "HTTPSessionManager"

/*
 * A session and those who hold it: the manager while it is initialized, and whoever is between
 * get_session and put_session. The last one out closes it, so nobody ever meets a closed weir_http.
 */
struct http_handle {
    weir_http *session;
    uint64_t number;
    bool is_followed_closely; /* by the log; only the thread that opens and reloads */
    /* Counts up under the manager's lock, down anywhere; acquire-release, so that the closer sees
     * everything the others did. */
    _Atomic unsigned references;
};

static struct weir__mutex lock = WEIR_MUTEX_INITIALIZER; /* guards the two below */
static struct http_handle *handle_locked;                /* NULL while not initialized */
static uint64_t last_number_locked;

static weir_http_options session_options(const struct http_session_options *options)
{
    weir_http_options all = WEIR_HTTP_OPTIONS_DEFAULT;

    all.pool_connections = options->pool_connections;
    all.pool_maxsize = options->pool_maxsize;
    all.pool_block = options->pool_block ? WEIR_HTTP_WHEN_FULL_BLOCK : WEIR_HTTP_WHEN_FULL_OVERFLOW;
    all.retry.total = options->max_retries;
    all.retry.backoff_factor_ms = options->backoff_factor_ms;
    all.try_timeout_ms = options->timeout_ms;
    if (all.total_timeout_ms < options->timeout_ms)
        all.total_timeout_ms = options->timeout_ms;
    all.ca_file = options->ca_file;
    all.proxy = options->proxy;
    all.no_proxy = options->no_proxy;
    return all;
}

static weir_status open_handle(const struct http_session_options *options,
                               struct http_handle **ret_handle, weir_error *reterr)
{
    weir_http_options all = session_options(options);
    struct http_handle *handle = calloc(1, sizeof *handle);

    if (handle == NULL) {
        weir_error_set(reterr, WEIR_NO_MEMORY, "initialize " NAME ": out of memory");
        return WEIR_NO_MEMORY;
    }
    atomic_init(&handle->references, 1);
    handle->is_followed_closely = log_is_on(LOG_LEVEL_DEBUG);
    weir_status status = weir_http_open(&all, &handle->session, reterr);
    if (status == WEIR_OK) {
        status = log_follow_http(handle->session, reterr);
        if (status == WEIR_OK)
            status = tracing_follow_http(handle->session, reterr);
        if (status != WEIR_OK)
            weir_http_close(handle->session);
    }
    if (status != WEIR_OK) {
        free(handle);
        return status;
    }
    *ret_handle = handle;
    return WEIR_OK;
}

static weir_status already(weir_error *reterr)
{
    log_write(LOG_LEVEL_WARNING, NAME " already initialized, skipping");
    return weir_error_set(reterr, WEIR_ALREADY, NAME " already initialized, skipping");
}

/* Make the handle the manager's unless there is one; whether it was. */
static bool install(struct http_handle *handle)
{
    weir__lock(&lock);
    bool is_first = handle_locked == NULL;
    if (is_first) {
        handle_locked = handle;
        handle->number = ++last_number_locked;
    }
    weir__unlock(&lock);
    return is_first;
}

weir_status http_manager_initialize(const struct http_session_options *options, weir_error *reterr)
{
    static const struct http_session_options defaults = HTTP_SESSION_OPTIONS_DEFAULT;
    struct http_handle *handle = NULL;

    if (http_manager_is_initialized())
        return already(reterr);
    if (options == NULL)
        options = &defaults;
    weir_status status = open_handle(options, &handle, reterr);
    if (status != WEIR_OK)
        return status;

    /* Opened outside the lock; if another thread was quicker, its session stays. */
    if (!install(handle)) {
        http_manager_put_session(handle);
        return already(reterr);
    }
    log_write(LOG_LEVEL_INFO,
              NAME " initialized: pool_connections %d, pool_maxsize %d, pool_block %s, max_retries "
                   "%d, backoff_factor %d ms, timeout %d ms%s",
              options->pool_connections, options->pool_maxsize, options->pool_block ? "on" : "off",
              options->max_retries, options->backoff_factor_ms, options->timeout_ms,
              options->proxy != NULL ? ", through a proxy" : "");
    return WEIR_OK;
}

bool http_manager_is_initialized(void)
{
    weir__lock(&lock);
    bool is_initialized = handle_locked != NULL;
    weir__unlock(&lock);
    return is_initialized;
}

bool http_manager_find_session(struct http_handle **ret_handle)
{
    weir__lock(&lock);
    struct http_handle *handle = handle_locked;
    if (handle != NULL)
        atomic_fetch_add_explicit(&handle->references, 1, memory_order_relaxed);
    weir__unlock(&lock);
    if (handle == NULL)
        return false;
    *ret_handle = handle;
    return true;
}

weir_status http_manager_get_session(struct http_handle **ret_handle, weir_error *reterr)
{
    weir_error error;

    while (!http_manager_find_session(ret_handle)) {
        log_write(LOG_LEVEL_INFO, NAME " not initialized, initializing with the defaults");
        weir_status status = http_manager_initialize(NULL, &error);
        if (status == WEIR_OK || status == WEIR_ALREADY)
            continue; /* if another thread was quicker, its session is as good */
        if (reterr != NULL)
            *reterr = error;
        return status;
    }
    return WEIR_OK;
}

void http_manager_put_session(struct http_handle *handle)
{
    if (atomic_fetch_sub_explicit(&handle->references, 1, memory_order_acq_rel) != 1)
        return;
    weir_http_close(handle->session);
    free(handle);
}

weir_http *http_handle_session(const struct http_handle *handle)
{
    return handle->session;
}

uint64_t http_handle_number(const struct http_handle *handle)
{
    return handle->number;
}

weir_status http_manager_follow_closely(weir_error *reterr)
{
    struct http_handle *handle;
    weir_status status = WEIR_OK;

    if (!http_manager_find_session(&handle))
        return WEIR_OK;
    if (!handle->is_followed_closely)
        status = log_follow_http_closely(handle->session, reterr);
    handle->is_followed_closely |= status == WEIR_OK;
    http_manager_put_session(handle);
    return status;
}

void http_manager_maintain(void)
{
    struct http_handle *handle;

    if (!http_manager_find_session(&handle))
        return;
    weir_http_maintain(handle->session);
    http_manager_put_session(handle);
}

void http_manager_end_waits(weir_time deadline)
{
    struct http_handle *handle;

    if (!http_manager_find_session(&handle))
        return;
    (void)weir_http_dispose(handle->session, deadline, NULL);
    http_manager_put_session(handle);
}

weir_status http_manager_close(weir_time deadline, weir_error *reterr)
{
    weir__lock(&lock);
    struct http_handle *handle = handle_locked;
    handle_locked = NULL;
    weir__unlock(&lock);
    if (handle == NULL)
        return WEIR_OK;

    weir_status status = weir_http_dispose(handle->session, deadline, reterr);
    log_write(LOG_LEVEL_INFO, NAME " closed");
    http_manager_put_session(handle);
    return status;
}
