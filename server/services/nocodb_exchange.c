/* SPDX-License-Identifier: MIT */
/* Requests to NocoDB put together, sent over the one session, and their failures put into words. */
#include "nocodb_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log/log.h"
#include "managers/http_session_manager.h"

/* How long everybody stays away after a 429 that does not say how long: NocoDB's own block. */
#define BLOCK_MS 30000

/* ---- The server ------------------------------------------------------------------------------ */

/* Ask the HTTP library whether it would take this URL and token, and make nothing of it. */
static weir_status try_request(const char *base_url, const char *api_token, weir_error *reterr)
{
    weir_http_request *request;
    weir_error error;

    if (weir_http_request_open("GET", base_url, &request, &error) != WEIR_OK)
        return weir_error_set(reterr, error.status, "NocoDB base URL: %s", error.text);
    weir_status status =
        api_token == NULL ? WEIR_OK : weir_http_request_secret(request, "xc-token", api_token);
    if (status != WEIR_OK)
        weir_error_set(reterr, status, "NocoDB API token: %s",
                       weir_http_request_error(request)->text);
    weir_http_request_close(request);
    return status;
}

weir_status nocodb_server_init(const char *base_url, const char *api_token, int rate_limit,
                               int max_calls, struct nocodb_server *ret_server, weir_error *reterr)
{
    struct nocodb_address address;

    if (api_token != NULL && api_token[0] == '\0')
        api_token = NULL;
    weir_status status = nocodb_address_read(base_url, &address, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_server = (struct nocodb_server){
        .address = address, .rate_limit = rate_limit, .max_calls = max_calls};
    status = try_request(address.base_url, api_token, reterr);
    if (status == WEIR_OK && api_token != NULL) {
        ret_server->api_token = strdup(api_token);
        if (ret_server->api_token == NULL)
            status = weir_error_set(reterr, WEIR_NO_MEMORY, "open NocoDB service: out of memory");
    }
    if (status != WEIR_OK)
        nocodb_server_clear(ret_server);
    ret_server->dialect = address.api == NOCODB_API_V3 ? NOCODB_V3 : NOCODB_V2;
    return status;
}

void nocodb_server_clear(struct nocodb_server *server)
{
    if (server->api_token != NULL)
        explicit_bzero(server->api_token, strlen(server->api_token));
    free(server->api_token);
    server->api_token = NULL;
    nocodb_address_clear(&server->address);
}

/* Of two threads that find it not done both do it, rather than that one sends without it. */
static weir_status limit_session(struct nocodb_server *server, const struct http_handle *handle,
                                 weir_error *reterr)
{
    weir_rate_limit_options rate_limit = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
    uint64_t number = http_handle_number(handle);

    if (atomic_load_explicit(&server->limited_session, memory_order_acquire) == number)
        return WEIR_OK;
    rate_limit.rate = server->rate_limit;
    rate_limit.period_ms = NOCODB_PERIOD_MS;
    weir_status status = weir_http_set_rate_limit(
        http_handle_session(handle), server->address.base_url, &rate_limit, BLOCK_MS, reterr);
    if (status == WEIR_OK)
        atomic_store_explicit(&server->limited_session, number, memory_order_release);
    return status;
}

weir_status nocodb_server_set_rate_limit(struct nocodb_server *server, weir_error *reterr)
{
    struct http_handle *handle;

    weir_status status = http_manager_get_session(&handle, reterr);
    if (status != WEIR_OK)
        return status;
    status = limit_session(server, handle, reterr);
    http_manager_put_session(handle);
    return status;
}

/* ---- Requests -------------------------------------------------------------------------------- */

/*
 * Paths of NocoDB's own where a row's would be: `count` in v1 and v2, the others in v1. Its router takes no
 * account of case, and each answers 200 with something that is no row.
 */
static weir_status check_id(const struct nocodb_server *server, const char *id, weir_error *reterr)
{
    static const char *const words[] = {"find-one", "groupby", "count"};
    enum nocodb_api api = server->address.api;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        bool is_path = api != NOCODB_API_V3 && (api != NOCODB_API_V2 || words[i][0] == 'c');
        if (is_path && strcasecmp(id, words[i]) == 0)
            return weir_error_set(reterr, WEIR_INVALID,
                                  "id \"%s\": NocoDB has a path of its own there, which answers "
                                  "something else; ask for the row by a filter on its key",
                                  words[i]);
    }
    return WEIR_OK;
}

weir_status nocodb_request_open(const struct nocodb_server *server, const char *table,
                                const char *id, weir_http_request **ret_request, weir_error *reterr)
{
    weir_http_request *request = NULL;

    weir_status status = id != NULL ? check_id(server, id, reterr) : WEIR_OK;
    if (status == WEIR_OK)
        status = weir_http_request_open("GET", server->address.base_url, &request, reterr);
    if (status != WEIR_OK)
        return status;
    weir_http_request_segment(request, table);
    if (server->address.api == NOCODB_API_V2 || server->address.api == NOCODB_API_V3)
        weir_http_request_segment(request, "records");
    if (id != NULL)
        weir_http_request_segment(request, id);
    weir_http_request_header(request, "Accept", "application/json");
    if (server->api_token != NULL)
        weir_http_request_secret(request, "xc-token", server->api_token);
    /* What another address answers is not what was asked for, and asking it without the token would
     * still tell it the filters. */
    weir_http_request_follow_redirects(request, false);
    const weir_error *error = weir_http_request_error(request);
    if (error != NULL) {
        status = weir_error_set(reterr, error->status, "NocoDB: %s", error->text);
        weir_http_request_close(request);
        return status;
    }
    *ret_request = request;
    return WEIR_OK;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* The session's retries, but with the last response at the end instead of an error without its
 * message. */
static weir_status keep_last_response(const weir_http *session, weir_http_request *request)
{
    weir_retry_options retry = weir_http_get_options(session)->retry;

    retry.raise_on_status = false;
    return weir_http_request_retry(request, &retry);
}

/* Each kind once in a while, however many requests meet it. */
static void log_failure(const weir_error *error)
{
    char kind[64];
    struct log_about about = {.kind = kind};

    snprintf(kind, sizeof kind, "NocoDB %s", weir_status_name(error->status));
    log_write_about(LOG_LEVEL_WARNING, &about, "NocoDB: %s", error->text);
}

static weir_status send_over(struct nocodb_server *server, const struct http_handle *handle,
                             weir_http_request *request, weir_time deadline,
                             weir_http_response **ret_response, weir_error *reterr)
{
    weir_http *session = http_handle_session(handle);
    weir_error error = {0};

    weir_status status = limit_session(server, handle, reterr);
    if (status != WEIR_OK)
        return status;
    (void)keep_last_response(session, request);
    status = weir_http_send(session, request, deadline, ret_response, &error);
    if (status == WEIR_OK)
        return WEIR_OK;
    log_failure(&error);
    weir_error_set(reterr, status, "%s", nocodb_failure_text(status));
    if (reterr != NULL)
        reterr->native = error.native;
    return status;
}

weir_status nocodb_request_send(struct nocodb_server *server, weir_http_request *request,
                                weir_time deadline, weir_http_response **ret_response,
                                struct nocodb_failure *ret_failure, weir_error *reterr)
{
    struct http_handle *handle;
    weir_http_response *response;

    *ret_failure = (struct nocodb_failure){0};
    if (!http_manager_find_session(&handle))
        return weir_error_set(reterr, WEIR_CLOSED, "NocoDB: the HTTP session is closed");
    weir_status status = send_over(server, handle, request, deadline, &response, reterr);
    http_manager_put_session(handle);
    ret_failure->retry_after = weir_http_request_report(request)->retry_after;
    if (status != WEIR_OK)
        return status;
    int code = weir_http_response_status(response);
    if (code >= 200 && code < 300) {
        *ret_response = response;
        return WEIR_OK;
    }
    status = nocodb_failure_read(response, server->api_token, ret_failure, reterr);
    weir_http_response_close(response);
    return status;
}
