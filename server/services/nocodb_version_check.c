/* SPDX-License-Identifier: MIT */
/* The thread that asks until there is an answer. */
#include "nocodb_version_check.h"

#include <stdio.h>
#include <stdlib.h>

#include <weir/http.h>

#include "log/log.h"
#include "nocodb_address.h"
#include "nocodb_version.h"
#include "threads/background.h"

#define ASK_LIMIT (5 * WEIR_SECOND)
#define INTERVAL (5 * WEIR_SECOND)
#define MAX_BODY (64 << 10)

struct nocodb_version_check {
    struct nocodb_address address;
    weir_http_options http;
    weir_http *session; /* the thread's, while it asks; reading certificates takes a while */
    weir_http_request *request;
    struct background *asker;
};

/* ---- The answer ------------------------------------------------------------------------------ */

static bool is_passing(int code)
{
    return code == 429 || code >= 500;
}

/* Somebody answers, with what is too long for a version or no HTTP: asked again, it would be the same. */
static bool is_other(weir_status status)
{
    return status == WEIR_LIMIT || status == WEIR_PROTOCOL;
}

/* What answers is no NocoDB. Behind a path of somebody's own there may be anything, which need not tell a
 * version. */
static void tell_other(const struct nocodb_version_check *check, const char *how)
{
    enum log_level level =
        check->address.api == NOCODB_API_OTHER ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;

    log_write(level,
              "NocoDB's version is unknown: /api/v1/version answered%s; the oldest supported is %s",
              how, NOCODB_OLDEST);
}

static void tell_code(const struct nocodb_version_check *check, int code)
{
    char how[48];

    snprintf(how, sizeof how, " %d, not with a version", code);
    tell_other(check, how);
}

static void tell_error(const struct nocodb_version_check *check, const weir_error *error)
{
    char how[WEIR_ERROR_TEXT + 32];

    snprintf(how, sizeof how, ", not with a version: %s", error->text);
    tell_other(check, how);
}

static void tell(const struct nocodb_version_check *check, const weir_http_response *response)
{
    char version[NOCODB_VERSION_TEXT];
    size_t size;
    const char *body = weir_http_response_body(response, &size);
    int code = weir_http_response_status(response);

    if (code != 200 || !nocodb_version_read(body, size, version))
        tell_code(check, code);
    else if (version[0] == '\0')
        log_write(LOG_LEVEL_INFO,
                  "NocoDB is there, but does not report its version; the oldest supported is %s",
                  NOCODB_OLDEST);
    else if (nocodb_version_is_too_old(version))
        log_write(LOG_LEVEL_WARNING, "NocoDB %s is older than %s, the oldest supported: %s",
                  version, NOCODB_OLDEST, NOCODB_OLDEST_REASON);
    else
        log_write(LOG_LEVEL_INFO, "NocoDB %s", version);
}

/* Send the question once; whether there is nothing more to be asked. */
static bool ask(struct nocodb_version_check *check, bool is_first)
{
    weir_http_response *response = NULL;
    weir_error error = {0};

    weir_status status =
        weir_http_send(check->session, check->request, weir_now() + ASK_LIMIT, &response, &error);
    if (status == WEIR_CANCELLED)
        return true;
    int code = status == WEIR_OK ? weir_http_response_status(response) : 0;
    bool is_over = status == WEIR_OK ? !is_passing(code) : is_other(status);
    if (is_over && status == WEIR_OK)
        tell(check, response);
    else if (is_over)
        tell_error(check, &error);
    else if (is_first && status == WEIR_OK)
        log_write(LOG_LEVEL_WARNING, "NocoDB does not report its version yet: it answers %d", code);
    else if (is_first)
        log_write(LOG_LEVEL_WARNING, "NocoDB does not answer yet: %s", error.text);
    weir_http_response_close(response);
    return is_over;
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void ask_until_told(struct background *asker, void *arg)
{
    struct nocodb_version_check *check = arg;
    bool is_first = true;
    weir_error error;

    if (weir_http_open(&check->http, &check->session, &error) != WEIR_OK) {
        log_write(LOG_LEVEL_WARNING, "NocoDB: cannot ask for its version: %s", error.text);
        return;
    }
    while (!ask(check, is_first) && background_sleep(asker, weir_now() + INTERVAL))
        is_first = false;
    weir_http_close(check->session);
}

static void clear(struct nocodb_version_check *check)
{
    weir_http_request_close(check->request);
    nocodb_address_clear(&check->address);
    free(check);
}

static weir_status open_request(struct nocodb_version_check *check, weir_error *reterr)
{
    static const char *const path[] = {"api", "v1", "version"};

    weir_status status =
        weir_http_request_open("GET", check->address.root, &check->request, reterr);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < sizeof path / sizeof *path; i++)
        weir_http_request_segment(check->request, path[i]);
    weir_http_request_max_body(check->request, MAX_BODY);
    return WEIR_OK;
}

static weir_status prepare(struct nocodb_version_check *check,
                           const struct nocodb_version_check_options *options, weir_error *reterr)
{
    check->http = (weir_http_options)WEIR_HTTP_OPTIONS_DEFAULT;
    check->http.name = "nocodb-version";
    check->http.ca_file = options->ca_file;
    check->http.proxy = options->proxy;
    check->http.no_proxy = options->no_proxy;
    check->http.retry.total = WEIR_RETRY_DISABLED; /* it is asked again after a while */
    check->http.follow_redirects = false;          /* as for rows */
    weir_status status = nocodb_address_read(options->base_url, &check->address, reterr);
    return status == WEIR_OK ? open_request(check, reterr) : status;
}

weir_status nocodb_version_check_start(const struct nocodb_version_check_options *options,
                                       struct nocodb_version_check **ret_check, weir_error *reterr)
{
    struct nocodb_version_check *check = calloc(1, sizeof *check);

    if (check == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "ask NocoDB's version: out of memory");
    weir_status status = prepare(check, options, reterr);
    if (status == WEIR_OK)
        status =
            background_start("ask NocoDB's version", ask_until_told, check, &check->asker, reterr);
    if (status != WEIR_OK) {
        clear(check);
        return status;
    }
    *ret_check = check;
    return WEIR_OK;
}

weir_status nocodb_version_check_stop(struct nocodb_version_check *check, weir_time deadline)
{
    if (check == NULL)
        return WEIR_OK;
    weir_http_request_cancel(check->request);
    weir_status status = background_stop(check->asker, deadline);
    if (status == WEIR_OK)
        clear(check);
    return status;
}
