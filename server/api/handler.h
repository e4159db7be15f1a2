/* SPDX-License-Identifier: MIT */
/* What the handlers of the API share: the application, the caller's identity, the request's fields, how errors are reported. */
#ifndef WEIR_SERVER_HANDLER_H
#define WEIR_SERVER_HANDLER_H

#include <jansson.h>

#include <weir/metrics.h>
#include <weir/trace.h>

#include "auth.h"
#include "config/secret.h"
#include "figures/health.h"
#include "http/listener.h"
#include "services/database_service.h"
#include "services/nocodb_service.h"
#include "services/suggestion_service.h"
#include "validate.h"

struct console;

/* What handlers work with; the argument of every route. Nothing in it changes while they run. */
struct app {
    struct secret *jwt_secret; /* its text may be replaced */
    const char *jwt_audience;  /* NULL: tokens for anybody */
    struct database_service *database;
    struct suggestion_service *suggestions;
    struct nocodb_service *nocodb; /* NULL: not configured */
    struct health *health;
    weir_metrics *metrics;
    weir_tracer *tracer;
    struct console *console;
};

/*
 * Whether the request carries a valid token; if not, the 401 is filled in. The second also wants the
 * role "moderator" and a `sub`, else 403. *ret_claims is written when true.
 */
bool is_authorized(const struct app *app, const struct http_request *request,
                   struct http_response *response, struct auth_claims *ret_claims);
bool is_moderator(const struct app *app, const struct http_request *request,
                  struct http_response *response, struct auth_claims *ret_claims);

/* The same before a request's body is read, as guards of routes whose argument is the app. */
bool guard_user(void *arg, const struct http_request *request, struct http_response *response);
bool guard_moderator(void *arg, const struct http_request *request, struct http_response *response);

/*
 * Tell a failure of the layers below: 503 with Retry-After for what passes by itself, 502 for another
 * server's answer that is of no use, 404, 422, 507 or 500 for what their words are.
 */
void reply_error(struct http_response *response, const weir_error *error);

/*
 * The same for a database: 503 with Retry-After also for a full disk and a server that only reads, in words
 * that name neither host nor path, which the log has; 500 with SQLSTATE and message for a statement that
 * was refused. `doubt` is added to a 503's words; "" when there is none.
 */
void reply_database_error(struct http_response *response, const weir_error *error,
                          const char *doubt);

/* Answer 422 with every wrong field, if there are any; whether there were. Empties the list. */
bool reply_if_wrong(struct http_response *response, struct validation *validation);

/* Answer with a json value, which it takes over (NULL becomes a 500). */
void reply_json(struct http_response *response, unsigned status, json_t *json);

/*
 * Answer 200 with rows of the database as JSON text, which it takes over (NULL becomes a 500). Where it
 * has U+FFFD for bytes that are not UTF-8, the header X-Replaced-Text says so.
 */
void reply_rows(struct http_response *response, char *text, bool is_utf8);

/*
 * A whole number from the query, noted in `validation` when it is none or out of range; `fallback`
 * when the query does not have it.
 */
int64_t query_integer(const struct http_request *request, struct validation *validation,
                      const char *name, int64_t least, int64_t most, int64_t fallback);

/* The body as a JSON object, or NULL after filling in the answer: 400 for nothing and for what is no
 * JSON, 422 for another value. The caller decrefs it. */
json_t *read_body(const struct http_request *request, struct http_response *response);

#endif
