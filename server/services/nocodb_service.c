/* SPDX-License-Identifier: MIT */
/* One row, and lists put together from pages. */
#include "nocodb_service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nocodb_blank.h"
#include "nocodb_exchange.h"
#include "nocodb_page.h"
#include "text/text.h"

struct nocodb_service {
    struct nocodb_server server;
};

weir_status nocodb_service_open(const struct nocodb_options *options,
                                struct nocodb_service **ret_service, weir_error *reterr)
{
    struct nocodb_service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open NocoDB service: out of memory");
    weir_status status =
        nocodb_server_init(options->base_url, options->api_token, options->rate_limit,
                           options->max_calls, &service->server, reterr);
    if (status == WEIR_OK)
        status = nocodb_server_set_rate_limit(&service->server, reterr);
    if (status != WEIR_OK) {
        nocodb_service_close(service);
        return status;
    }
    *ret_service = service;
    return WEIR_OK;
}

void nocodb_service_close(struct nocodb_service *service)
{
    if (service == NULL)
        return;
    nocodb_server_clear(&service->server);
    free(service);
}

/* Calls may wait long for their turn, so only so many threads may be given to them. */
static bool enter(struct nocodb_server *server)
{
    if (atomic_fetch_add_explicit(&server->calls, 1, memory_order_relaxed) < server->max_calls)
        return true;
    atomic_fetch_sub_explicit(&server->calls, 1, memory_order_relaxed);
    return false;
}

static void leave(struct nocodb_server *server)
{
    atomic_fetch_sub_explicit(&server->calls, 1, memory_order_relaxed);
}

static weir_status refuse_call(const struct nocodb_server *server, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_FULL, "%d calls to NocoDB are already in flight",
                          server->max_calls);
}

/* ---- One row --------------------------------------------------------------------------------- */

/* What is asked for. */
struct row {
    struct nocodb_server *server;
    const char *const *fields;
    size_t field_count;
};

/* v2 and v3 refuse columns that they do not have themselves. */
static weir_status copy_row(const struct row *row, const weir_http_response *response,
                            char **ret_text, weir_error *reterr)
{
    size_t checked = row->server->address.api == NOCODB_API_V1 ? row->field_count : 0;
    size_t size;
    const char *body = weir_http_response_body(response, &size);

    weir_status status = nocodb_row_check(body, size, row->fields, checked, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_text = strndup(body, size);
    if (*ret_text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read a row: out of memory");
    return WEIR_OK;
}

static weir_status send_for_row(const struct row *row, weir_http_request *request,
                                weir_time deadline, char **ret_text, struct nocodb_failure *failure,
                                weir_error *reterr)
{
    weir_http_response *response;

    weir_http_request_max_body(request, NOCODB_MAX_ANSWER);
    weir_status status =
        nocodb_request_send(row->server, request, deadline, &response, failure, reterr);
    if (status == WEIR_OK) {
        status = copy_row(row, response, ret_text, reterr);
        weir_http_response_close(response);
    }
    return status;
}

weir_status nocodb_get_row(struct nocodb_service *service, const char *table, const char *id,
                           const char *const *fields, size_t field_count, weir_time deadline,
                           char **ret_text, weir_time *ret_retry_after, weir_error *reterr)
{
    struct nocodb_server *server = &service->server;
    const struct row row = {server, fields, field_count};
    struct nocodb_failure failure = {0};
    weir_http_request *request = NULL;

    weir_status status = nocodb_request_open(server, table, id, &request, reterr);
    if (status == WEIR_OK)
        status = nocodb_fields_write(fields, field_count, request, reterr);
    if (status == WEIR_OK && !enter(server)) {
        status = refuse_call(server, reterr);
    } else if (status == WEIR_OK) {
        status = send_for_row(&row, request, deadline, ret_text, &failure, reterr);
        leave(server);
    }
    weir_http_request_close(request);
    if (status != WEIR_OK && ret_retry_after != NULL)
        *ret_retry_after = failure.retry_after;
    return status;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

/* A list in progress. */
struct list {
    struct nocodb_server *server;
    const char *table;
    struct nocodb_query query; /* with its conditions below */
    struct nocodb_condition conditions[NOCODB_WHERE_CONDITIONS];
    bool has_resolved; /* which of the conditions are of Checkboxes */
    weir_time deadline;
    const char *key;
    int page_size;                  /* asked for, the same for all pages */
    int64_t limit;                  /* -1: none */
    int64_t pages;                  /* read so far */
    int64_t rows;                   /* added to `out` so far */
    int64_t seen;                   /* rows in the pages read so far */
    size_t largest_page;            /* in rows */
    char last_key[NOCODB_KEY_TEXT]; /* "" before the first row */
    size_t last_page_at;            /* where in `out` the last page begins, */
    size_t last_page_size;          /* and its size */
    struct text out;                /* "[row,row" */
    struct nocodb_failure failure;
};

static weir_status open_page_request(const struct list *list, weir_http_request **ret_request,
                                     weir_error *reterr)
{
    weir_http_request *request;

    weir_status status = nocodb_request_open(list->server, list->table, NULL, &request, reterr);
    if (status != WEIR_OK)
        return status;
    weir_http_request_max_body(request, NOCODB_MAX_ANSWER);
    const struct nocodb_place place = {list->page_size, list->seen, list->last_key};
    status = nocodb_query_write(&list->query, list->server->dialect, &place, request, reterr);
    if (status != WEIR_OK) {
        weir_http_request_close(request);
        return status;
    }
    *ret_request = request;
    return WEIR_OK;
}

/* ---- A page ---------------------------------------------------------------------------------- */

static weir_status check_key(struct list *list, const char *row, size_t size, weir_error *reterr)
{
    char key[NOCODB_KEY_TEXT];

    if (!nocodb_row_key(row, size, list->key, key))
        return weir_error_set(reterr, WEIR_PROTOCOL,
                              "keyset paging: a row has no whole number in column \"%.64s\"",
                              list->key);
    if (!nocodb_key_is_exact(key))
        return weir_error_set(
            reterr, WEIR_INVALID,
            "keyset paging: key %s of column \"%.64s\" is beyond 2^53 - 1, where "
            "NocoDB rounds numbers and rows would be lost: leave out paging=keyset, "
            "or name another key",
            key, list->key);
    if (list->last_key[0] != '\0' && nocodb_key_compare(key, list->last_key) <= 0)
        return weir_error_set(reterr, WEIR_PROTOCOL,
                              "keyset paging: after key %s of column \"%.64s\" came %s; NocoDB did "
                              "not sort or filter by it",
                              list->last_key, list->key, key);
    memcpy(list->last_key, key, sizeof key);
    return WEIR_OK;
}

static bool is_full(const struct list *list)
{
    return list->limit >= 0 && list->rows >= list->limit;
}

static weir_status add_row(struct list *list, const char *row, size_t size, weir_error *reterr)
{
    if (list->rows >= NOCODB_MAX_ROWS)
        return weir_error_set(reterr, WEIR_LIMIT,
                              "table \"%.64s\" has more than %d rows: ask for fewer by filters or "
                              "limit",
                              list->table, NOCODB_MAX_ROWS);
    if (list->out.size + size > NOCODB_MAX_BYTES)
        return weir_error_set(
            reterr, WEIR_LIMIT,
            "the rows of table \"%.64s\" are more than %d bytes: ask for fewer by "
            "filters or limit",
            list->table, NOCODB_MAX_BYTES);
    text_add(&list->out, list->rows > 0 ? "," : "");
    text_add_n(&list->out, row, size);
    list->rows++;
    return WEIR_OK;
}

/* Whether two pages that are alike can only be one. Where rows have no id they may all be alike, and
 * the server's word that another page follows is the better witness. */
static bool are_pages_distinct(const struct nocodb_page *page)
{
    struct json_text_walk rows = page->rows;
    const char *row;
    size_t size;

    return page->more == NOCODB_MORE_UNKNOWN ||
           (json_text_next(&rows, &row, &size) && nocodb_row_has_id(row, size));
}

/* The page just added is the one before it, to the byte. */
static bool is_same_page(const struct list *list, size_t at)
{
    size_t size = list->out.size - at;

    return !list->out.has_failed && list->pages > 0 && size == list->last_page_size && size > 0 &&
           memcmp(list->out.data + at, list->out.data + list->last_page_at, size) == 0;
}

static weir_status add_rows(struct list *list, struct nocodb_page *page, weir_error *reterr)
{
    const char *row;
    size_t size;
    weir_status status = WEIR_OK;
    size_t at = list->out.size + (list->rows > 0);
    bool must_differ = are_pages_distinct(page);

    while (status == WEIR_OK && !is_full(list) && json_text_next(&page->rows, &row, &size)) {
        if (list->query.paging == NOCODB_KEYSET)
            status = check_key(list, row, size, reterr);
        if (status == WEIR_OK)
            status = add_row(list, row, size, reterr);
    }
    if (status != WEIR_OK)
        return status;
    if (list->out.has_failed)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "list rows: out of memory");
    if (must_differ && is_same_page(list, at))
        return weir_error_set(reterr, WEIR_PROTOCOL,
                              "NocoDB gave the same page twice: it ignores the offset");
    list->last_page_at = at;
    list->last_page_size = list->out.size > at ? list->out.size - at : 0;
    return WEIR_OK;
}

/* Whether v3 takes the page just read, which is not counted yet, for one that has a number. */
static bool begins_at_multiple(const struct list *list)
{
    return list->query.paging == NOCODB_KEYSET ||
           (list->query.offset + list->seen) % list->page_size == 0;
}

/*
 * Whether the page is the last. Where the server does not say, a page is short when it has fewer rows
 * than a page is said to have, or than an earlier page had: fewer than were asked for may be all that
 * the server ever gives.
 */
static bool is_last(const struct list *list, const struct nocodb_page *page)
{
    size_t whole = page->page_size > 0 ? (size_t)page->page_size : list->largest_page;

    if (page->row_count == 0 || is_full(list))
        return true;
    switch (page->more) {
    case NOCODB_MORE_YES:
        return false;
    case NOCODB_MORE_NO:
        return true;
    case NOCODB_MORE_NO_LINK:
        if (begins_at_multiple(list))
            return true;
        break;
    case NOCODB_MORE_UNKNOWN:
        break;
    }
    return page->row_count < whole;
}

static weir_status take_page(struct list *list, const weir_http_response *response,
                             bool *ret_is_last, weir_error *reterr)
{
    struct nocodb_page page;
    size_t size;
    const char *body = weir_http_response_body(response, &size);

    weir_status status = nocodb_page_read(body, size, &page, reterr);
    if (status == WEIR_OK)
        status = add_rows(list, &page, reterr);
    if (status != WEIR_OK)
        return status;
    if (page.row_count > list->largest_page)
        list->largest_page = page.row_count;
    *ret_is_last = is_last(list, &page);
    list->pages++;
    list->seen += (int64_t)page.row_count;
    return WEIR_OK;
}

/* Servers answer so where a page would begin behind the last row. */
static bool is_past_the_end(const struct list *list)
{
    return list->query.paging == NOCODB_OFFSET && list->query.offset + list->seen > 0 &&
           strcmp(list->failure.code, "INVALID_OFFSET_VALUE") == 0;
}

/*
 * Whether the list's own time is over, with some of its pages read: the rate limit would let the next
 * one through after the deadline, or the answer does not come before it. Another attempt would come no
 * further, so to ask for one is wrong. Not so where the server or the breaker wants a pause.
 */
static bool is_out_of_time(const struct list *list, weir_status status)
{
    weir_time wait = list->failure.retry_after;

    if (list->pages == 0 || list->failure.status != 0 || wait > NOCODB_PERIOD_MS * WEIR_MS)
        return false;
    return (status == WEIR_REFUSED || status == WEIR_TIMEOUT) &&
           weir_now() + wait >= list->deadline;
}

static weir_status tell_out_of_time(struct list *list, weir_error *reterr)
{
    list->failure.retry_after = 0;
    return weir_error_set(
        reterr, WEIR_TIMEOUT,
        "NocoDB: time ran out after %" PRId64 " rows of table \"%.64s\" in %" PRId64
        " page%s: ask for longer pages (page_size) or fewer rows (limit, filter), "
        "or set a longer --request-timeout",
        list->rows, list->table, list->pages, list->pages == 1 ? "" : "s");
}

/* What was too large is told by the words of the error that is passed in. */
static weir_status tell_large_page(const struct list *list, const weir_error *error,
                                   weir_error *reterr)
{
    return weir_error_set(
        reterr, WEIR_LIMIT,
        "%s; that was a page of %d rows of table \"%.64s\": ask for shorter pages "
        "(page_size)",
        error->text, list->page_size, list->table);
}

static weir_status read_page(struct list *list, bool *ret_is_last, weir_error *reterr)
{
    weir_http_request *request;
    weir_http_response *response;
    weir_error error = {0};

    if (list->pages >= NOCODB_MAX_PAGES)
        return weir_error_set(reterr, WEIR_LIMIT,
                              "table \"%.64s\" has more than %d pages: ask for fewer rows by "
                              "filters or limit, or for longer pages",
                              list->table, NOCODB_MAX_PAGES);
    weir_status status = open_page_request(list, &request, reterr);
    if (status != WEIR_OK)
        return status;
    status = nocodb_request_send(list->server, request, list->deadline, &response, &list->failure,
                                 &error);
    if (status == WEIR_OK) {
        status = take_page(list, response, ret_is_last, reterr);
        weir_http_response_close(response);
    } else if (is_past_the_end(list)) {
        *ret_is_last = true;
        status = WEIR_OK;
    } else if (!list->has_resolved &&
               nocodb_is_blank_refused(list->conditions, list->query.condition_count,
                                       &list->failure)) {
        list->has_resolved = true; /* and the page is asked for again */
        status = nocodb_blank_resolve(list->server, list->table, list->conditions,
                                      list->query.condition_count, list->deadline, &list->failure,
                                      reterr);
    } else if (is_out_of_time(list, status)) {
        status = tell_out_of_time(list, reterr);
    } else if (status == WEIR_LIMIT && list->page_size > 1) {
        status = tell_large_page(list, &error, reterr);
    } else if (reterr != NULL) {
        *reterr = error;
    }
    weir_http_request_close(request);
    return status;
}

static weir_status list_rows(struct list *list, char **ret_text, weir_error *reterr)
{
    bool is_done = list->limit == 0;
    weir_status status = WEIR_OK;

    text_add(&list->out, "[");
    while (status == WEIR_OK && !is_done)
        status = read_page(list, &is_done, reterr);
    text_add(&list->out, "]");
    if (status != WEIR_OK) {
        text_clear(&list->out);
        return status;
    }
    *ret_text = text_take(&list->out);
    if (*ret_text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "list rows: out of memory");
    return WEIR_OK;
}

weir_status nocodb_list_rows(struct nocodb_service *service, const char *table,
                             const struct nocodb_query *query, weir_time deadline, char **ret_text,
                             weir_time *ret_retry_after, weir_error *reterr)
{
    struct list list = {.server = &service->server,
                        .table = table,
                        .query = *query,
                        .deadline = deadline,
                        .key = nocodb_query_key(query),
                        .page_size = query->page_size,
                        .limit = query->limit};

    if (ret_retry_after != NULL)
        *ret_retry_after = 0;
    weir_status status = nocodb_query_check(query, service->server.dialect, reterr);
    if (status != WEIR_OK)
        return status;
    if (query->limit > 0 && query->limit < query->page_size)
        list.page_size = (int)query->limit;
    for (size_t i = 0; i < query->condition_count; i++)
        list.conditions[i] = query->conditions[i];
    list.query.conditions = list.conditions;
    if (!enter(&service->server))
        return refuse_call(&service->server, reterr);
    status = list_rows(&list, ret_text, reterr);
    leave(&service->server);
    if (status != WEIR_OK && ret_retry_after != NULL)
        *ret_retry_after = list.failure.retry_after;
    return status;
}
