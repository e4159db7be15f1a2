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
    case WEIR_SYSTEM: /* this machine has nothing left to connect with */
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

/* A query and the memory that it points into. */
struct asked {
    struct nocodb_query query;
    struct nocodb_condition conditions[NOCODB_WHERE_CONDITIONS];
    char *memory[NOCODB_WHERE_CONDITIONS];
    const char *fields[NOCODB_FIELDS];
    struct nocodb_sort sorts[NOCODB_SORTS];
    char *lists[NOCODB_FIELDS +
                NOCODB_SORTS]; /* the texts of `fields` and `sort`, cut at their commas */
    size_t list_count;
};

static void clear_asked(struct asked *asked)
{
    for (size_t i = 0; i < asked->query.condition_count; i++)
        free(asked->memory[i]);
    for (size_t i = 0; i < asked->list_count; i++)
        free(asked->lists[i]);
}

static void add_filter(struct asked *asked, const char *name, enum nocodb_op op, const char *text,
                       struct validation *validation)
{
    size_t count = asked->query.condition_count;
    weir_error error;

    if (count == NOCODB_WHERE_CONDITIONS)
        validation_add(validation, name, "at most %d are possible", NOCODB_WHERE_CONDITIONS - 1);
    else if (nocodb_condition_parse(op, text, &asked->conditions[count], &asked->memory[count],
                                    &error) == WEIR_OK)
        asked->query.condition_count++;
    else
        validation_add(validation, name, "%s", error.text);
}

static void add_field(struct asked *asked, const char *column, struct validation *validation)
{
    if (asked->query.field_count == NOCODB_FIELDS)
        validation_add(validation, "fields", "at most %d columns are possible", NOCODB_FIELDS);
    else
        asked->fields[asked->query.field_count++] = column;
}

/* -Year is from the greatest down. */
static void add_sort(struct asked *asked, const char *column, struct validation *validation)
{
    bool is_descending = column[0] == '-';

    if (asked->query.sort_count == NOCODB_SORTS)
        validation_add(validation, "sort", "at most %d columns are possible", NOCODB_SORTS);
    else
        asked->sorts[asked->query.sort_count++] =
            (struct nocodb_sort){column + is_descending, is_descending};
}

typedef void add_column(struct asked *asked, const char *column, struct validation *validation);

/* Columns with commas between them. */
static void add_columns(struct asked *asked, const char *name, const char *text, add_column *add,
                        struct validation *validation)
{
    char *list =
        asked->list_count < sizeof asked->lists / sizeof *asked->lists ? strdup(text) : NULL;
    size_t count = json_array_size(validation->errors);
    char *rest = list;

    if (list == NULL) {
        validation_add(validation, name, "is given too often");
        return;
    }
    asked->lists[asked->list_count++] = list;
    while (rest != NULL && json_array_size(validation->errors) == count)
        add(asked, strsep(&rest, ","), validation);
}

/* A filter, or columns; false: the parameter is neither. */
static bool add_parameter(struct asked *asked, const char *name, const char *value,
                          struct validation *validation)
{
    static const struct {
        const char *name;
        enum nocodb_op op;
    } filters[] = {{"filter", NOCODB_LIKE}, {"eq", NOCODB_TEXT}, {"lt", NOCODB_LT},
                   {"le", NOCODB_LE},       {"gt", NOCODB_GT},   {"ge", NOCODB_GE}};

    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (strcmp(name, filters[i].name) == 0) {
            add_filter(asked, name, filters[i].op, value, validation);
            return true;
        }
    }
    if (strcmp(name, "fields") == 0)
        add_columns(asked, name, value, add_field, validation);
    else if (strcmp(name, "sort") == 0)
        add_columns(asked, name, value, add_sort, validation);
    else
        return false;
    return true;
}

/* A parameter that is not known might be meant as a filter; to leave it out would give all rows. */
static void read_parameters(const struct http_request *request, struct asked *asked,
                            struct validation *validation)
{
    static const char *const known[] = {"limit", "offset", "page_size", "paging", "key"};
    const char *name, *value;

    for (size_t i = 0; http_request_query_at(request, i, &name, &value); i++) {
        bool is_known = add_parameter(asked, name, value, validation);

        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            is_known |= strcmp(name, known[k]) == 0;
        if (!is_known)
            validation_add(validation, name,
                           "is not a parameter; a filter is written filter=column:value");
    }
    asked->query.conditions = asked->conditions;
    asked->query.fields = asked->fields;
    asked->query.sorts = asked->sorts;
}

/* The columns of one row; nothing else there could be meant to choose rows. */
static void read_fields(const struct http_request *request, struct asked *asked,
                        struct validation *validation)
{
    const char *name, *value;

    for (size_t i = 0; http_request_query_at(request, i, &name, &value); i++) {
        if (strcmp(name, "fields") == 0)
            add_columns(asked, name, value, add_field, validation);
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
        validation_add(validation, "key", "is valid only with paging=keyset");
}

/* ---- Handlers -------------------------------------------------------------------------------- */

static void reply(struct http_response *response, weir_status status, char *text,
                  const weir_error *error, weir_time retry_after)
{
    if (status == WEIR_OK)
        http_reply_json_text(response, 200, text);
    else
        reply_failure(response, error, retry_after);
}

void handle_nocodb_rows(void *arg, const struct http_request *request,
                        struct http_response *response)
{
    struct app *app = arg;
    struct asked asked = {.query = NOCODB_QUERY_DEFAULT};
    struct validation validation = {0};
    weir_time retry_after = 0;
    weir_error error;
    char *text = NULL;

    if (!is_possible(app, request, response))
        return;
    read_parameters(request, &asked, &validation);
    read_paging(request, &asked.query, &validation);
    if (!reply_if_wrong(response, &validation)) {
        weir_status status =
            nocodb_list_rows(app->nocodb, http_request_path_param(request, "table"), &asked.query,
                             http_request_deadline(request), &text, &retry_after, &error);
        reply(response, status, text, &error, retry_after);
    }
    clear_asked(&asked);
}

void handle_nocodb_row(void *arg, const struct http_request *request,
                       struct http_response *response)
{
    struct app *app = arg;
    struct asked asked = {.query = NOCODB_QUERY_DEFAULT};
    struct validation validation = {0};
    weir_time retry_after = 0;
    weir_error error;
    char *text = NULL;

    if (!is_possible(app, request, response))
        return;
    read_fields(request, &asked, &validation);
    if (!reply_if_wrong(response, &validation)) {
        weir_status status = nocodb_get_row(app->nocodb, http_request_path_param(request, "table"),
                                            http_request_path_param(request, "id"), asked.fields,
                                            asked.query.field_count, http_request_deadline(request),
                                            &text, &retry_after, &error);
        reply(response, status, text, &error, retry_after);
    }
    clear_asked(&asked);
}
