/* SPDX-License-Identifier: MIT */
/* What happened lately: finished spans, and the lives of connections. */
#include "routes.h"

#include <inttypes.h>
#include <string.h>

#include "managers/db_manager.h"
#include "managers/suggestions_db_manager.h"
#include "text/text.h"
#include "trace/span_json.h"

/* The last spans, the one that ended first at the beginning, so that a trace reads from its inner ends. */
static char *spans_json(weir_tracer *tracer, uint64_t limit)
{
    uint64_t count = weir_tracer_count(tracer);
    uint64_t position = count > limit ? count - limit : 0;
    struct text text = {0};
    bool is_first = true;
    weir_span span;

    text_addf(&text, "{\"count\":%" PRIu64 ",\"spans\":[", count);
    while (position < count && weir_tracer_read(tracer, &position, &span)) {
        text_add(&text, is_first ? "" : ",");
        span_json_add(&text, &span);
        is_first = false;
    }
    text_add(&text, "]}");
    return text_take(&text);
}

void handle_traces(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct validation validation = {0};
    struct auth_claims claims;

    if (!is_authorized(app, request, response, &claims))
        return;
    int64_t limit = query_integer(request, &validation, "limit", 1, 2048, 512);
    if (reply_if_wrong(response, &validation))
        return;
    http_reply_json_text(response, 200, spans_json(app->tracer, (uint64_t)limit));
}

void handle_connections(void *arg, const struct http_request *request,
                        struct http_response *response)
{
    struct managed_db *const managers[] = {db_manager(), suggestions_db_manager()};
    const char *name = http_request_path_param(request, "name");
    struct auth_claims claims;
    struct db_handle *handle;
    weir_error error;

    if (!is_authorized(arg, request, response, &claims))
        return;
    for (size_t i = 0; i < sizeof managers / sizeof *managers; i++) {
        if (strcmp(managers[i]->pool_name, name) != 0)
            continue;
        if (managed_db_get_engine(managers[i], &handle, &error) != WEIR_OK) {
            reply_error(response, &error);
            return;
        }
        reply_json(response, 200, pool_history_json(db_handle_history(handle)));
        managed_db_put_engine(handle);
        return;
    }
    http_reply_detail(response, 404, "there is no pool \"%s\"", name);
}
