/* SPDX-License-Identifier: MIT */
/* NocoDB's codes, statuses and messages. */
#include "nocodb_failure.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "text/json_text.h"
#include "common/utf8.h"

/* How much of NocoDB's message is passed on, in bytes. */
#define MESSAGE_SIZE 256

/* ---- The message ----------------------------------------------------------------------------- */

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
        size_t bytes = utf8_length(text + i, text + length);
        bool is_fit = bytes > 0 && !is_control(text + i, bytes);

        if (used + (is_fit ? bytes : 1) >= size)
            break;
        memcpy(out + used, is_fit ? text + i : " ", is_fit ? bytes : 1);
        used += is_fit ? bytes : 1;
        i += bytes > 0 ? bytes : 1;
    }
    out[used] = '\0';
}

/* Codes of servers before 0.300 have no ERR_ before them. */
static void copy_code(const char *code, struct nocodb_failure *failure)
{
    copy_clean(strncmp(code, "ERR_", 4) == 0 ? code + 4 : code, failure->code,
               sizeof failure->code);
}

/* NocoDB's own words: {"error": "ERR_…", "message": "…"}, formerly {"msg": "…"}. */
static void read_body(const weir_http_response *response, const char *api_token,
                      struct nocodb_failure *failure, char message[MESSAGE_SIZE])
{
    size_t size;
    const char *body = weir_http_response_body(response, &size);
    json_t *json = NULL;

    message[0] = failure->code[0] = failure->sqlstate[0] = '\0';
    if (size == 0 || json_text_parse(body, size, &json, NULL) != WEIR_OK)
        return;
    const char *code = json_string_value(json_object_get(json, "error"));
    const char *text = json_string_value(json_object_get(json, "message"));
    if (text == NULL)
        text = json_string_value(json_object_get(json, "msg"));
    if (code != NULL)
        copy_code(code, failure);
    if (json_string_length(json_object_get(json, "code")) == 5)
        copy_clean(json_string_value(json_object_get(json, "code")), failure->sqlstate,
                   sizeof failure->sqlstate);
    if (text != NULL)
        copy_clean(text, message, MESSAGE_SIZE);
    /* Some servers repeat what they were sent. */
    if (api_token != NULL && text != NULL && strstr(text, api_token) != NULL)
        snprintf(message, MESSAGE_SIZE, "(its message holds the token and is left out)");
    if (api_token != NULL && code != NULL && strstr(code, api_token) != NULL)
        failure->code[0] = '\0';
    json_decref(json);
}

/* ---- What it means --------------------------------------------------------------------------- */

/* A value that its database does not take, or cannot compare. */
static bool is_wrong_for_database(const struct nocodb_failure *failure)
{
    return strcmp(failure->code, "DATABASE_OP_FAILED") == 0 &&
           (strncmp(failure->sqlstate, "22", 2) == 0 || strncmp(failure->sqlstate, "42", 2) == 0);
}

static weir_status status_by_code(const struct nocodb_failure *failure)
{
    static const struct {
        const char *code;
        weir_status status;
    } codes[] = {
        {"BASE_NOT_FOUND", WEIR_NOT_FOUND},
        {"TABLE_NOT_FOUND", WEIR_NOT_FOUND},
        {"VIEW_NOT_FOUND", WEIR_NOT_FOUND},
        {"RECORD_NOT_FOUND", WEIR_NOT_FOUND},
        {"FIELD_NOT_FOUND", WEIR_INVALID},
        {"INVALID_FILTER", WEIR_INVALID},
        {"INVALID_OFFSET_VALUE", WEIR_INVALID},
        {"INVALID_LIMIT_VALUE", WEIR_INVALID},
        {"INVALID_PAGE_VALUE", WEIR_INVALID},
        {"INVALID_PK_VALUE", WEIR_INVALID},
        {"INVALID_VALUE_FOR_FIELD", WEIR_INVALID},
        {"INVALID_REQUEST_BODY", WEIR_INVALID},
        {"FILTER_VERIFICATION_FAILED", WEIR_INVALID},
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(failure->code, codes[i].code) == 0)
            return codes[i].status;
    }
    return is_wrong_for_database(failure) ? WEIR_INVALID : WEIR_OK;
}

/* A 503 that says for how long asks for a pause, as a 429 does; without that it is a failure. */
static weir_status status_by_status(int status, weir_time retry_after)
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

/* What NocoDB, and whoever is built as it is, says of a path that it does not have. */
static bool is_no_route(int status, const struct nocodb_failure *failure, const char *message)
{
    return status == 404 && (strncmp(message, "Cannot GET /", 12) == 0 ||
                             strcmp(failure->code, "INVALID_API_VERSION") == 0);
}

/* What to do about a status, where there is something; begins with what stands before it. */
static const char *advice_for(int status, bool has_route)
{
    if (status == 401 || status == 403)
        return ": it refuses the API token; check NOCODB_API_TOKEN and what it may do";
    if (status >= 300 && status < 400)
        return ": a redirect, which is not followed; set NOCODB_BASE_URL to where the API is";
    if (!has_route)
        return ": it has no such path; check NOCODB_BASE_URL, and that the server has this API";
    return status == 429 ? ": too many requests; set NOCODB_RATE_LIMIT below what it allows" : "";
}

weir_status nocodb_failure_read(const weir_http_response *response, const char *api_token,
                                struct nocodb_failure *failure, weir_error *reterr)
{
    int code = weir_http_response_status(response);
    char message[MESSAGE_SIZE];

    failure->status = code;
    read_body(response, api_token, failure, message);
    bool has_route = !is_no_route(code, failure, message);
    weir_status status = status_by_code(failure);
    if (status == WEIR_OK)
        status = has_route ? status_by_status(code, failure->retry_after) : WEIR_RESPONSE;
    const char *words = message[0] != '\0' ? message : failure->code;
    weir_error_set(reterr, status, "NocoDB answered %d%s%s%s", code, advice_for(code, has_route),
                   words[0] != '\0' ? ": " : "", words);
    if (reterr != NULL && status == WEIR_RESPONSE)
        reterr->native = code;
    return status;
}

const char *nocodb_failure_text(weir_status status)
{
    switch (status) {
    case WEIR_TIMEOUT:
        return "NocoDB did not answer in time";
    case WEIR_CONNECT:
        return "NocoDB cannot be reached";
    case WEIR_DISCONNECTED:
    case WEIR_AMBIGUOUS:
        return "the connection to NocoDB was lost";
    case WEIR_FULL:
        return "too many requests are waiting for NocoDB";
    case WEIR_REFUSED:
        return "no request is sent to NocoDB at the moment: it failed too often, or its rate "
               "limit is reached";
    case WEIR_LIMIT:
        return "NocoDB's answer is too large";
    case WEIR_PROTOCOL:
        return "NocoDB's answer is not valid HTTP, or cannot be decoded";
    case WEIR_CLOSED:
    case WEIR_CANCELLED:
        return "no more requests are sent to NocoDB: the server is stopping";
    case WEIR_NO_MEMORY:
        return "ask NocoDB: out of memory";
    default:
        return "no request can be sent to NocoDB at the moment";
    }
}
