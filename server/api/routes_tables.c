/* SPDX-License-Identifier: MIT */
/* Tables and rows of the main database. The suggestions' tables, which may lie beside them, are not shown. */
#include "routes.h"

#include <string.h>

#define NO_ENTRY "no entry found with the specified id"
#define MAX_LIMIT 1000
#define DEFAULT_LIMIT 100

void handle_tables(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;
    weir_error error;
    char *text;

    if (!is_authorized(app, request, response, &claims))
        return;
    if (database_get_table_names(app->database, suggestion_tables(), http_request_deadline(request),
                                 &text, &error) != WEIR_OK)
        reply_database_error(response, &error, "");
    else
        http_reply_json_text(response, 200, text);
}

/* The table named in the path, or NULL after filling in the 404 for one that is not shown. */
static const char *shown_table(const struct http_request *request, struct http_response *response)
{
    const char *table = http_request_path_param(request, "table");

    for (const char *const *hidden = suggestion_tables(); *hidden != NULL; hidden++) {
        if (strcmp(table, *hidden) == 0) {
            http_reply_detail(response, 404, "no table named \"%s\"", table);
            return NULL;
        }
    }
    return table;
}

void handle_rows(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;
    struct validation validation = {0};
    weir_error error;
    bool is_utf8;
    char *text;

    if (!is_authorized(app, request, response, &claims))
        return;
    const char *table = shown_table(request, response);
    int64_t limit = query_integer(request, &validation, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT);
    int64_t offset = query_integer(request, &validation, "offset", 0, INT64_MAX, 0);
    if (table == NULL) {
        validation_clear(&validation);
        return;
    }
    if (reply_if_wrong(response, &validation))
        return;
    if (database_get_rows(app->database, table, limit, offset, http_request_deadline(request),
                          &text, &is_utf8, &error) != WEIR_OK)
        reply_database_error(response, &error, "");
    else
        reply_rows(response, text, is_utf8);
}

/* The old service's word for a missing row beside the one for every error. */
static void reply_no_entry(struct http_response *response)
{
    reply_json(response, 404, json_pack("{s:s, s:s}", "detail", NO_ENTRY, "error", NO_ENTRY));
}

void handle_row(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;
    weir_error error;
    bool is_utf8;
    char *text;

    if (!is_authorized(app, request, response, &claims))
        return;
    const char *table = shown_table(request, response);
    if (table == NULL)
        return;
    weir_status status =
        database_get_entry_by_id(app->database, table, http_request_path_param(request, "id"),
                                 http_request_deadline(request), &text, &is_utf8, &error);
    if (status != WEIR_OK)
        reply_database_error(response, &error, "");
    else if (text == NULL)
        reply_no_entry(response);
    else
        reply_rows(response, text, is_utf8);
}
