/* SPDX-License-Identifier: MIT */
/* Rows of NocoDB's tables. */
#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OFFSET INT64_C(1000000000000)

/* ---- Answers --------------------------------------------------------------------------------- */

static void set_retry_after(struct http_response *response, weir_time retry_after)
{
    char seconds[24];
    int64_t whole = retry_after / WEIR_SECOND + (retry_after % WEIR_SECOND != 0);

    snprintf(seconds, sizeof seconds, "%lld", (long long)(whole > 0 ? whole : 1));
    http_reply_header(response, "Retry-After", seconds);
}

/* Between us and our own database a timeout or a lost connection passes by itself; here it is
 * another server that does not answer, which is what 502 and 504 say. */
static void reply_failure(struct http_response *response, const weir_error *error,
                          weir_time retry_after)
{
    switch (error->status) {
    case WEIR_TIMEOUT:
        http_reply_detail(response, 504, "%s", error->text);
        return;
    case WEIR_CONNECT:
    case WEIR_DISCONNECTED:
        http_reply_detail(response, 502, "%s", error->text);
        return;
    case WEIR_REFUSED:
    case WEIR_FULL:
    case WEIR_CLOSED:
        http_reply_detail(response, 503, "%s", error->text);
        set_retry_after(response, retry_after);
        return;
    default:
        reply_error(response, error);
    }
}

/* Whether the request may go on: it carries a token, and there is a NocoDB. */
static bool is_possible(const struct app *app, const struct http_request *request,
                        struct http_response *response)
{
    struct auth_claims claims;

    if (!is_authorized(app, request, response, &claims))
        return false;
    if (app->nocodb != NULL)
        return true;
    http_reply_detail(response, 503, "NocoDB base URL not configured");
    return false;
}

/* ---- What is asked --------------------------------------------------------------------------- */

/* A query and the memory its conditions lie in. */
struct asked {
    struct nocodb_query query;
    struct nocodb_condition conditions[NOCODB_WHERE_CONDITIONS];
    char *memory[NOCODB_WHERE_CONDITIONS];
};

static void clear_asked(struct asked *asked)
{
    for (size_t i = 0; i < asked->query.condition_count; i++)
        free(asked->memory[i]);
}

static void add_filter(struct asked *asked, const char *text, struct validation *validation)
{
    size_t count = asked->query.condition_count;
    weir_error error;

    if (count == NOCODB_WHERE_CONDITIONS)
        validation_add(validation, "filter", "at most %d are possible",
                       NOCODB_WHERE_CONDITIONS - 1);
    else if (nocodb_condition_parse(text, &asked->conditions[count], &asked->memory[count],
                                    &error) == WEIR_OK)
        asked->query.condition_count++;
    else
        validation_add(validation, "filter", "%s", error.text);
}

/* A parameter that is not known might be meant as a filter; to leave it out would give all rows. */
static void read_filters(const struct http_request *request, struct asked *asked,
                         struct validation *validation)
{
    static const char *const known[] = {"limit", "offset", "page_size", "paging", "key"};
    const char *name, *value;

    for (size_t i = 0; http_request_query_at(request, i, &name, &value); i++) {
        bool is_known = false;

        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            is_known |= strcmp(name, known[k]) == 0;
        if (strcmp(name, "filter") == 0)
            add_filter(asked, value, validation);
        else if (!is_known)
            validation_add(validation, name,
                           "is no parameter; a filter is written filter=column:value");
    }
}

static void read_paging(const struct http_request *request, struct nocodb_query *query,
                        struct validation *validation)
{
    const char *paging = http_request_query(request, "paging");

    query->page_size = (int)query_integer(request, validation, "page_size", 1, 1000, 100);
    query->limit = query_integer(request, validation, "limit", 1, NOCODB_MAX_ROWS, -1);
    query->offset = query_integer(request, validation, "offset", 0, MAX_OFFSET, 0);
    query->key = http_request_query(request, "key");
    if (paging != NULL && strcmp(paging, "keyset") == 0)
        query->paging = NOCODB_KEYSET;
    else if (paging != NULL && strcmp(paging, "offset") != 0)
        validation_add(validation, "paging", "must be offset or keyset");
    if (query->key != NULL && query->paging != NOCODB_KEYSET)
        validation_add(validation, "key", "is of use with paging=keyset only");
}

/* ---- Handlers -------------------------------------------------------------------------------- */

void handle_nocodb_rows(void *arg, const struct http_request *request,
                        struct http_response *response)
{
    struct app *app = arg;
    struct asked asked = {.query = NOCODB_QUERY_DEFAULT};
    struct validation validation = {0};
    weir_time retry_after = 0;
    weir_error error;
    char *text;

    if (!is_possible(app, request, response))
        return;
    read_filters(request, &asked, &validation);
    read_paging(request, &asked.query, &validation);
    if (!reply_if_wrong(response, &validation)) {
        asked.query.conditions = asked.conditions;
        if (nocodb_list_rows(app->nocodb, http_request_path_param(request, "table"), &asked.query,
                             http_request_deadline(request), &text, &retry_after,
                             &error) == WEIR_OK)
            http_reply_json_text(response, 200, text);
        else
            reply_failure(response, &error, retry_after);
    }
    clear_asked(&asked);
}

void handle_nocodb_row(void *arg, const struct http_request *request,
                       struct http_response *response)
{
    struct app *app = arg;
    weir_time retry_after = 0;
    weir_error error;
    char *text;

    if (!is_possible(app, request, response))
        return;
    if (nocodb_get_row(app->nocodb, http_request_path_param(request, "table"),
                       http_request_path_param(request, "id"), http_request_deadline(request),
                       &text, &retry_after, &error) == WEIR_OK)
        http_reply_json_text(response, 200, text);
    else
        reply_failure(response, &error, retry_after);
}
