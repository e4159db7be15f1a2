/* SPDX-License-Identifier: MIT */
/* Authorization, bodies, queries and errors, the same for every route. */
#include "handler.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log/log.h"
#include "managers/db_trouble.h"
#include "text/json_text.h"
#include "text/parse.h"

bool is_authorized(const struct app *app, const struct http_request *request,
                   struct http_response *response, struct auth_claims *ret_claims)
{
    struct secret_hold *secret = secret_take(app->jwt_secret);
    enum auth_result result =
        auth_check(secret_text(secret), app->jwt_audience,
                   http_request_header(request, "Authorization"), time(NULL), ret_claims);

    secret_put(secret);
    if (result == AUTH_OK)
        return true;
    http_reply_detail(response, 401, "%s", auth_result_text(result));
    http_reply_header(response, "WWW-Authenticate", "Bearer");
    return false;
}

bool is_moderator(const struct app *app, const struct http_request *request,
                  struct http_response *response, struct auth_claims *ret_claims)
{
    if (!is_authorized(app, request, response, ret_claims))
        return false;
    if (strcmp(ret_claims->role, "moderator") != 0) {
        http_reply_detail(response, 403, "Moderator role required");
        return false;
    }
    if (ret_claims->sub[0] == '\0') {
        http_reply_detail(response, 403, "The token names no moderator: it has no sub");
        return false;
    }
    return true;
}

bool guard_user(void *arg, const struct http_request *request, struct http_response *response)
{
    struct auth_claims claims;

    return is_authorized(arg, request, response, &claims);
}

bool guard_moderator(void *arg, const struct http_request *request, struct http_response *response)
{
    struct auth_claims claims;

    return is_moderator(arg, request, response, &claims);
}

static void reply_unavailable(struct http_response *response, const weir_error *error)
{
    http_reply_detail(response, 503, "%s", error->text);
    http_reply_header(response, "Retry-After", "1");
}

void reply_error(struct http_response *response, const weir_error *error)
{
    if (is_passing_status(error->status)) {
        reply_unavailable(response, error);
        return;
    }
    switch (error->status) {
    case WEIR_RESPONSE:
    case WEIR_PROTOCOL:
    case WEIR_AMBIGUOUS:
        http_reply_detail(response, 502, "%s", error->text);
        return;
    case WEIR_NOT_FOUND:
        http_reply_detail(response, 404, "%s", error->text);
        return;
    case WEIR_INVALID:
        http_reply_detail(response, 422, "%s", error->text);
        return;
    case WEIR_LIMIT:
        http_reply_detail(response, 507, "%s", error->text);
        return;
    default:
        break;
    }
    log_write(LOG_LEVEL_ERROR, "%s", error->text);
    http_reply_detail(response, 500, "%s", error->text);
}

/* Each kind once in a while, however many requests meet it. */
static void log_database_error(enum log_level level, const weir_error *error)
{
    char kind[64];
    struct log_about about = {.kind = kind};

    snprintf(kind, sizeof kind, "database %s %s", weir_status_name(error->status), error->sqlstate);
    log_write_about(level, &about, "%s%s%s%s", error->sqlstate[0] != '\0' ? "SQLSTATE " : "",
                    error->sqlstate, error->sqlstate[0] != '\0' ? ": " : "", error->text);
}

void reply_database_error(struct http_response *response, const weir_error *error,
                          const char *doubt)
{
    char seconds[16];

    if (db_trouble_is_passing(error)) {
        log_database_error(LOG_LEVEL_WARNING, error);
        snprintf(seconds, sizeof seconds, "%d", db_trouble_retry_after(error));
        http_reply_detail(response, 503, "%s%s", db_trouble_text(error), doubt);
        http_reply_header(response, "Retry-After", seconds);
    } else if (error->status == WEIR_QUERY) {
        log_database_error(LOG_LEVEL_ERROR, error);
        http_reply_detail(response, 500, "SQLSTATE %s: %s", error->sqlstate, error->text);
    } else {
        reply_error(response, error);
    }
}

bool reply_if_wrong(struct http_response *response, struct validation *validation)
{
    if (validation_is_clean(validation))
        return false;
    http_reply_json_text(response, 422, validation_take(validation));
    return true;
}

void reply_json(struct http_response *response, unsigned status, json_t *json)
{
    http_reply_json_text(response, status, json_dumps(json, JSON_COMPACT));
    json_decref(json);
}

void reply_rows(struct http_response *response, char *text, bool is_utf8)
{
    http_reply_json_text(response, 200, text);
    if (!is_utf8)
        http_reply_header(response, "X-Replaced-Text", "true");
}

int64_t query_integer(const struct http_request *request, struct validation *validation,
                      const char *name, int64_t least, int64_t most, int64_t fallback)
{
    const char *text = http_request_query(request, name);
    int64_t number = fallback;

    if (http_request_has_query(request, name) &&
        (text == NULL || !parse_integer(text, least, most, &number)))
        validation_add(validation, name, "must be a whole number from %lld to %lld",
                       (long long)least, (long long)most);
    return number;
}

json_t *read_body(const struct http_request *request, struct http_response *response)
{
    size_t size;
    const char *body = http_request_body(request, &size);
    json_t *json = NULL;
    weir_error error;

    if (size == 0) {
        http_reply_detail(response, 400, "the body is empty: it must be a JSON object");
        return NULL;
    }
    weir_status status = json_text_parse(body, size, &json, &error);
    if (status == WEIR_NO_MEMORY) {
        reply_error(response, &error);
        return NULL;
    }
    if (status != WEIR_OK) {
        http_reply_detail(response, 400, "%s", error.text);
        return NULL;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        http_reply_detail(response, 422, "the body must be a JSON object");
        return NULL;
    }
    return json;
}
