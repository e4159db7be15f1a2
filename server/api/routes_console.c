/* SPDX-License-Identifier: MIT */
/* The pages, embedded in the program: the console, the stream of figures it shows, the description of the API. */
#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "figures/console.h"
#include "figures/web_assets.h"

/* The page loads nothing from elsewhere, runs nothing that stands in it, sends no form, and cannot be
 * framed. */
static const char content_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const char *content_type(const char *name)
{
    static const struct {
        const char *suffix;
        const char *type;
    } all[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json; charset=utf-8"},
        {".svg", "image/svg+xml"},
    };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof all / sizeof *all; i++) {
        if (strcmp(dot, all[i].suffix) == 0)
            return all[i].type;
    }
    return "application/octet-stream";
}

static const struct web_asset *find_asset(const char *name)
{
    for (size_t i = 0; i < console_asset_count; i++) {
        if (strcmp(console_assets[i].name, name) == 0)
            return &console_assets[i];
    }
    return NULL;
}

/* Whether If-None-Match names it, in a list or by "*"; a weak tag is as good as a strong one here. */
static bool client_has(const struct http_request *request, const struct web_asset *asset)
{
    const char *tags = http_request_header(request, "If-None-Match");

    return tags != NULL && (strcmp(tags, "*") == 0 || strstr(tags, asset->etag) != NULL);
}

static void reply_asset(const struct http_request *request, struct http_response *response,
                        const char *name)
{
    const struct web_asset *asset = find_asset(name);
    char *copy;

    if (asset == NULL) {
        http_reply_detail(response, 404, "Not Found");
        return;
    }
    http_reply_header(response, "ETag", asset->etag);
    http_reply_header(response, "Cache-Control", "no-cache");
    http_reply_header(response, "Content-Security-Policy", content_policy);
    http_reply_header(response, "X-Content-Type-Options", "nosniff");
    http_reply_header(response, "Referrer-Policy", "no-referrer");
    http_reply_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    http_reply_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    copy = malloc(asset->size);
    if (copy == NULL) {
        http_reply_detail(response, 503, "out of memory");
        return;
    }
    memcpy(copy, asset->bytes, asset->size);
    http_reply_bytes(response, client_has(request, asset) ? 304 : 200, content_type(name), copy,
                     asset->size);
}

void handle_console(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg;
    reply_asset(request, response, "index.html");
}

void handle_console_file(void *arg, const struct http_request *request,
                         struct http_response *response)
{
    (void)arg;
    reply_asset(request, response, http_request_path_param(request, "file"));
}

void handle_docs(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg;
    reply_asset(request, response, "docs.html");
}

void handle_openapi(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg;
    reply_asset(request, response, "openapi.json");
}

void handle_events(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;

    if (!is_authorized(app, request, response, &claims))
        return;
    if (!http_reply_feed(response, "text/event-stream; charset=utf-8",
                         console_feed(app->console))) {
        http_reply_detail(response, 503, "the maximum number of streams is open");
        http_reply_header(response, "Retry-After", "5");
        return;
    }
    http_reply_header(response, "Cache-Control", "no-store");
    http_reply_header(response, "X-Accel-Buffering", "no");
}
