/* SPDX-License-Identifier: MIT */
/* Requests to NocoDB put together, sent over the one session, and their failures put into words. */
#include "nocodb_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_session_manager.h"
#include "json_text.h"
#include "urltext.h"

/* How long everybody stays away after a 429 that does not say how long: NocoDB's own block. */
#define BLOCK_MS 30000

/* How much of NocoDB's message is passed on, in bytes. */
#define MESSAGE_SIZE 256

/* ---- The server ------------------------------------------------------------------------------ */

/* Whether a path ends with `tail` and, if so asked, one more segment. */
static bool ends_with(const char *url, const char *tail, bool one_more)
{
    const char *at = strstr(url, tail);

    if (at == NULL)
        return false;
    at += strlen(tail);
    if (!one_more)
        return *at == '\0';
    return at[0] == '/' && at[1] != '\0' && strchr(at + 1, '/') == NULL;
}

/* Ask the HTTP library whether it would take this URL and token, and make nothing of it. */
static weir_status try_request(const char *base_url, const char *api_token, weir_error *reterr)
{
    weir_http_request *request;
    weir_error error;

    if (strpbrk(base_url, "?#") != NULL)
        return weir_error_set(reterr, WEIR_INVALID,
                              "NocoDB base URL: must end with its path, "
                              "without a query or fragment");
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
    size_t size = base_url != NULL ? strlen(base_url) : 0;

    while (size > 0 && base_url[size - 1] == '/')
        size--;
    if (size == 0)
        return weir_error_set(reterr, WEIR_INVALID, "NocoDB base URL not configured");
    if (api_token != NULL && api_token[0] == '\0')
        api_token = NULL;
    weir_status status = try_request(base_url, api_token, reterr);
    if (status != WEIR_OK)
        return status;

    *ret_server = (struct nocodb_server){.rate_limit = rate_limit, .max_calls = max_calls};
    ret_server->base_url = strndup(base_url, size);
    ret_server->api_token = api_token != NULL ? strdup(api_token) : NULL;
    if (ret_server->base_url == NULL || (api_token != NULL && ret_server->api_token == NULL)) {
        nocodb_server_clear(ret_server);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open NocoDB service: out of memory");
    }
    const char *url = ret_server->base_url;
    ret_server->dialect = strstr(url, "/api/v3/") != NULL ? NOCODB_V3 : NOCODB_V2;
    ret_server->has_records =
        ends_with(url, "/api/v2/tables", false) || ends_with(url, "/api/v3/data", true);
    return WEIR_OK;
}

void nocodb_server_clear(struct nocodb_server *server)
{
    if (server->api_token != NULL)
        explicit_bzero(server->api_token, strlen(server->api_token));
    free(server->api_token);
    free(server->base_url);
    server->api_token = server->base_url = NULL;
}

/* Of two threads that find it not done both do it, rather than that one sends without it. */
static weir_status gate_session(struct nocodb_server *server, const struct http_handle *handle,
                                weir_error *reterr)
{
    weir_gate_options gate = WEIR_GATE_OPTIONS_DEFAULT;
    uint64_t number = http_handle_number(handle);

    if (atomic_load_explicit(&server->gated_session, memory_order_acquire) == number)
        return WEIR_OK;
    gate.rate = server->rate_limit;
    gate.period_ms = NOCODB_PERIOD_MS;
    weir_status status =
        weir_http_set_gate(http_handle_session(handle), server->base_url, &gate, BLOCK_MS, reterr);
    if (status == WEIR_OK)
        atomic_store_explicit(&server->gated_session, number, memory_order_release);
    return status;
}

weir_status nocodb_server_gate(struct nocodb_server *server, weir_error *reterr)
{
    struct http_handle *handle;

    weir_status status = http_manager_get_session(&handle, reterr);
    if (status != WEIR_OK)
        return status;
    status = gate_session(server, handle, reterr);
    http_manager_put_session(handle);
    return status;
}

/* ---- Requests -------------------------------------------------------------------------------- */

weir_status nocodb_request_open(const struct nocodb_server *server, const char *table,
                                const char *id, weir_http_request **ret_request, weir_error *reterr)
{
    weir_http_request *request;

    weir_status status = weir_http_request_open("GET", server->base_url, &request, reterr);
    if (status != WEIR_OK)
        return status;
    weir_http_request_segment(request, table);
    if (server->has_records)
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

/* ---- Failures -------------------------------------------------------------------------------- */

static bool is_control(const char *at, size_t bytes)
{
    const unsigned char *byte = (const unsigned char *)at;

    if (bytes == 1)
        return byte[0] < 0x20 || byte[0] == 0x7f;
    return bytes == 2 && byte[0] == 0xc2 && byte[1] < 0xa0;
}

/* Copy what is fit to be shown: no control characters, no broken or half characters. */
static void copy_clean(const char *text, char *out, size_t size)
{
    size_t length = strlen(text), used = 0;

    for (size_t i = 0; i < length;) {
        size_t bytes = utf8_char_size(text + i, length - i);
        bool is_fit = bytes > 0 && !is_control(text + i, bytes);

        if (used + (is_fit ? bytes : 1) >= size)
            break;
        memcpy(out + used, is_fit ? text + i : " ", is_fit ? bytes : 1);
        used += is_fit ? bytes : 1;
        i += bytes > 0 ? bytes : 1;
    }
    out[used] = '\0';
}

/* NocoDB's own words: {"error": "ERR_…", "message": "…"}, formerly {"msg": "…"}. */
static void read_failure(const struct nocodb_server *server, const weir_http_response *response,
                         struct nocodb_failure *failure, char message[MESSAGE_SIZE])
{
    size_t size;
    const char *body = weir_http_response_body(response, &size);
    json_t *json = NULL;

    message[0] = '\0';
    if (size == 0 || json_text_parse(body, size, &json, NULL) != WEIR_OK)
        return;
    const char *code = json_string_value(json_object_get(json, "error"));
    const char *text = json_string_value(json_object_get(json, "message"));
    if (text == NULL)
        text = json_string_value(json_object_get(json, "msg"));
    if (code != NULL)
        copy_clean(code, failure->code, sizeof failure->code);
    if (text != NULL)
        copy_clean(text, message, MESSAGE_SIZE);
    /* Some servers repeat what they were sent. */
    if (server->api_token != NULL && text != NULL && strstr(text, server->api_token) != NULL)
        snprintf(message, MESSAGE_SIZE, "(its message holds the token and is left out)");
    if (server->api_token != NULL && code != NULL && strstr(code, server->api_token) != NULL)
        failure->code[0] = '\0';
    json_decref(json);
}

/* A 503 that says for how long asks for a pause, as a 429 does; without that it is a failure. */
static weir_status status_for(int status, weir_time retry_after)
{
    switch (status) {
    case 400:
    case 422:
        return WEIR_INVALID;
    case 404:
        return WEIR_NOT_FOUND;
    case 429:
        return WEIR_REFUSED;
    case 503:
        return retry_after > 0 ? WEIR_REFUSED : WEIR_RESPONSE;
    default:
        return WEIR_RESPONSE;
    }
}

/* What to do about a status, where there is something; begins with what stands before it. */
static const char *advice_for(int status)
{
    if (status == 401 || status == 403)
        return ": it refuses the API token; check NOCODB_API_TOKEN and what it may do";
    if (status >= 300 && status < 400)
        return ": a redirect, which is not followed; set NOCODB_BASE_URL to where the API is";
    return status == 429 ? ": too many requests" : "";
}

static weir_status fail(const struct nocodb_server *server, const weir_http_response *response,
                        struct nocodb_failure *failure, weir_error *reterr)
{
    int code = weir_http_response_status(response);
    char message[MESSAGE_SIZE];

    failure->status = code;
    read_failure(server, response, failure, message);
    weir_status status = status_for(code, failure->retry_after);
    weir_error_set(reterr, status, "NocoDB answered %d%s%s%s", code, advice_for(code),
                   message[0] != '\0' ? ": " : "", message);
    if (reterr != NULL && status == WEIR_RESPONSE)
        reterr->native = code;
    return status;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* The session's repeats, but with the last response at the end instead of an error without its
 * message. */
static weir_status keep_last_response(const weir_http *session, weir_http_request *request)
{
    weir_retry_options retry = weir_http_get_options(session)->retry;

    retry.raise_on_status = false;
    return weir_http_request_retry(request, &retry);
}

static weir_status send_over(struct nocodb_server *server, const struct http_handle *handle,
                             weir_http_request *request, weir_time deadline,
                             weir_http_response **ret_response, weir_error *reterr)
{
    weir_http *session = http_handle_session(handle);
    weir_error error = {0};

    weir_status status = gate_session(server, handle, reterr);
    if (status != WEIR_OK)
        return status;
    (void)keep_last_response(session, request);
    status = weir_http_send(session, request, deadline, ret_response, &error);
    if (status == WEIR_OK)
        return WEIR_OK;
    weir_error_set(reterr, status, "NocoDB: %s", error.text);
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
    status = fail(server, response, ret_failure, reterr);
    weir_http_response_close(response);
    return status;
}
