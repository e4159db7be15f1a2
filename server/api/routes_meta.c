/* SPDX-License-Identifier: MIT */
/* What the backend says about itself: name, health, readiness, metrics, pools. */
#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "figures/console.h"

void handle_root(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg, (void)request;
    reply_json(response, 200,
               json_pack("{s:s, s:s, s:s}", "message", "weir lends database connections", "name",
                         "weir", "version", weir_version()));
}

void handle_healthz(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg, (void)request;
    http_reply_bytes(response, 200, "text/plain; charset=utf-8", strdup("alive\n"), 6);
}

void handle_readyz(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    bool is_ready = false;
    char *report = health_report(app->health, &is_ready);

    (void)request;
    http_reply_bytes(response, is_ready ? 200 : 503, "text/plain; charset=utf-8", report,
                     report != NULL ? strlen(report) : 0);
    if (!is_ready)
        http_reply_header(response, "Retry-After", "1");
}

void handle_metrics(void *arg, const struct http_request *request, struct http_response *response)
{
    const struct app *app = arg;
    weir_error error;
    char *text;
    size_t size;

    (void)request;
    if (weir_metrics_render(app->metrics, &text, &size, &error) == WEIR_OK)
        http_reply_bytes(response, 200, WEIR_METRICS_CONTENT_TYPE, text, size);
    else
        reply_error(response, &error);
}

void handle_pools(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;

    if (!is_authorized(app, request, response, &claims))
        return;
    reply_json(response, 200, console_pools_json(app->console, false));
}

void handle_history(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;

    if (!is_authorized(app, request, response, &claims))
        return;
    http_reply_json_text(response, 200, console_history_json(app->console));
}
