/* SPDX-License-Identifier: MIT */
/* The Database service: statements made of reflected names, and their results as text. */
#include "database_service.h"

#include <stdlib.h>
#include <string.h>

#include "managers/db_manager.h"
#include "managers/schema_cache.h"
#include "table_query.h"
#include "text/text.h"

struct database_service {
    struct managed_db *manager;
    struct db_retry retry;
    struct schema_cache schemas;
};

weir_status database_service_open(const char *url, const struct db_retry *retry,
                                  struct database_service **ret_service, weir_error *reterr)
{
    static const struct db_retry default_retry = DB_RETRY_DEFAULT;
    struct managed_db *manager = db_manager();

    if (url != NULL && !managed_db_is_initialized(manager)) {
        weir_status status = managed_db_initialize(manager, url, NULL, reterr);
        if (status != WEIR_OK && status != WEIR_ALREADY)
            return status;
    }
    struct database_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open Database service: out of memory");
    service->manager = manager;
    service->retry = retry != NULL ? *retry : default_retry;
    schema_cache_init(&service->schemas, manager);
    *ret_service = service;
    return WEIR_OK;
}

void database_service_close(struct database_service *service)
{
    if (service == NULL)
        return;
    schema_cache_clear(&service->schemas);
    free(service);
}

/* ---- Results as text ---------------------------------------------------------------------- */

static weir_status copy_text(char *text, size_t size, char **ret_text, weir_error *reterr)
{
    char *copy = strndup(text, size);

    free(text);
    if (copy == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "make JSON: out of memory");
    *ret_text = copy;
    return WEIR_OK;
}

/* All rows of a result as an array; closes the result. */
static weir_status rows_to_text(weir_result *result, char **ret_text, bool *ret_is_utf8,
                                weir_error *reterr)
{
    char *text = NULL;
    size_t size = 0;

    weir_status status = weir_result_to_json(result, &text, &size, reterr);
    if (status == WEIR_OK && ret_is_utf8 != NULL)
        *ret_is_utf8 = weir_result_is_utf8(result, NULL, NULL);
    weir_result_close(result);
    if (status != WEIR_OK)
        return status;
    return copy_text(text, size, ret_text, reterr);
}

/* The first row as an object, NULL when there is none; closes the result, which may be NULL. */
static weir_status first_row_to_text(weir_result *result, char **ret_text, bool *ret_is_utf8,
                                     weir_error *reterr)
{
    char *text = NULL;
    size_t size = 0;

    if (result == NULL || weir_result_row_count(result) == 0) {
        weir_result_close(result);
        *ret_text = NULL;
        return WEIR_OK;
    }
    weir_status status = weir_result_row_to_json(result, 0, &text, &size, reterr);
    if (status == WEIR_OK && ret_is_utf8 != NULL)
        *ret_is_utf8 = weir_result_is_utf8(result, NULL, NULL);
    weir_result_close(result);
    if (status != WEIR_OK)
        return status;
    return copy_text(text, size, ret_text, reterr);
}

/* ---- One table ---------------------------------------------------------------------------- */

/* Whether an answer may be wrong because what reflection saw is no longer there. */
static bool is_stale(weir_status status, const weir_error *error)
{
    return status == WEIR_QUERY &&
           (strcmp(error->sqlstate, "42P01") == 0 || strcmp(error->sqlstate, "42703") == 0);
}

/* Whether a type lacks a way to be compared or ordered: 0A000, 42883, 42725 (more than one), 42846 (no such cast). */
static bool lacks_match(const weir_error *error)
{
    static const char *const states[] = {"0A000", "42883", "42725", "42846"};

    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (strcmp(error->sqlstate, states[i]) == 0)
            return true;
    }
    return false;
}

static weir_status run_table_query(struct database_service *service,
                                   const struct table_query *query, weir_time deadline,
                                   weir_result **ret_result, weir_error *reterr)
{
    if (query->sql == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "make statement: out of memory");
    return managed_db_query(service->manager, &service->retry, true, query->sql, query->params,
                            query->param_count, deadline, ret_result, reterr);
}

/*
 * The row with an id; *ret_result is NULL, or has no rows, when there is none. An id that cannot be of the
 * column's type is not found: PostgreSQL says so with an error of class 22 (data exceptions), which a view may
 * also have from computing its rows.
 */
static weir_status ask_row(struct database_service *service, const weir_table *table,
                           const char *id, bool is_sqlite, weir_time deadline,
                           weir_result **ret_result, bool *ret_may_be_stale, weir_error *reterr)
{
    weir_status status = WEIR_OK;

    for (int match = ID_MATCH_VALUE; match <= ID_MATCH_TEXT; match++) {
        struct table_query query = {0};
        status = table_query_row(&query, table, id, is_sqlite, (enum id_match)match, reterr);
        if (status != WEIR_OK || query.is_never) {
            table_query_clear(&query);
            return status;
        }
        status = run_table_query(service, &query, deadline, ret_result, reterr);
        table_query_clear(&query);
        if (status != WEIR_QUERY || is_sqlite || !lacks_match(reterr))
            break;
    }
    *ret_may_be_stale = is_stale(status, reterr);
    if (status == WEIR_QUERY && !is_sqlite && !table->is_view &&
        strncmp(reterr->sqlstate, "22", 2) == 0)
        return WEIR_OK;
    return status;
}

/* What is asked of one table: a page when `id` is NULL, else one row. */
struct table_request {
    const char *table;
    const char *id;
    int64_t limit;
    int64_t offset;
};

static weir_status ask_page(struct database_service *service, const weir_table *table,
                            const struct table_request *request, bool is_sqlite, weir_time deadline,
                            weir_result **ret_result, bool *ret_may_be_stale, weir_error *reterr)
{
    weir_status status = WEIR_OK;

    for (int has_id_order = 1; has_id_order >= 0; has_id_order--) {
        struct table_query query = {0};
        table_query_page(&query, table, is_sqlite, has_id_order, request->limit, request->offset);
        status = run_table_query(service, &query, deadline, ret_result, reterr);
        table_query_clear(&query);
        if (status != WEIR_QUERY || table->is_view || !lacks_match(reterr))
            break;
    }
    *ret_may_be_stale = is_stale(status, reterr);
    return status;
}

/* Ask by what `ref` saw. *ret_may_be_stale tells that a newer look at the tables may lead to another
 * answer. */
static weir_status ask_table(struct database_service *service, const struct table_request *request,
                             const struct schema_ref *ref, weir_time deadline,
                             weir_result **ret_result, bool *ret_may_be_stale, weir_error *reterr)
{
    bool is_sqlite = schema_ref_is_sqlite(ref);
    const weir_table *table = weir_schema_find(schema_ref_schema(ref), request->table);

    *ret_may_be_stale = true;
    if (table == NULL)
        return weir_error_set(reterr, WEIR_NOT_FOUND, "no table named \"%s\"", request->table);
    if (request->id != NULL)
        return ask_row(service, table, request->id, is_sqlite, deadline, ret_result,
                       ret_may_be_stale, reterr);
    return ask_page(service, table, request, is_sqlite, deadline, ret_result, ret_may_be_stale,
                    reterr);
}

/* Ask by what reflection saw last; if that leaves a doubt, reflect and ask once more. */
static weir_status request_table(struct database_service *service,
                                 const struct table_request *request, weir_time deadline,
                                 weir_result **ret_result, weir_error *reterr)
{
    struct schema_ref *ref;
    weir_error error = {0};
    bool may_be_stale = false;

    weir_status status = schema_cache_get(&service->schemas, deadline, &ref, &error);
    if (status == WEIR_OK) {
        status = ask_table(service, request, ref, deadline, ret_result, &may_be_stale, &error);
        schema_ref_drop(ref);
    }
    if (may_be_stale) {
        status = schema_cache_refresh(&service->schemas, deadline, &ref, &error);
        if (status == WEIR_OK) {
            status = ask_table(service, request, ref, deadline, ret_result, &may_be_stale, &error);
            schema_ref_drop(ref);
        }
    }
    if (status != WEIR_OK && reterr != NULL)
        *reterr = error;
    return status;
}

weir_status database_get_rows(struct database_service *service, const char *table, int64_t limit,
                              int64_t offset, weir_time deadline, char **ret_text,
                              bool *ret_is_utf8, weir_error *reterr)
{
    struct table_request request = {.table = table, .limit = limit, .offset = offset};
    weir_result *result = NULL;

    weir_status status = request_table(service, &request, deadline, &result, reterr);
    if (status != WEIR_OK)
        return status;
    return rows_to_text(result, ret_text, ret_is_utf8, reterr);
}

weir_status database_get_entry_by_id(struct database_service *service, const char *table,
                                     const char *id, weir_time deadline, char **ret_text,
                                     bool *ret_is_utf8, weir_error *reterr)
{
    struct table_request request = {.table = table, .id = id};
    weir_result *result = NULL;

    weir_status status = request_table(service, &request, deadline, &result, reterr);
    if (status != WEIR_OK)
        return status;
    return first_row_to_text(result, ret_text, ret_is_utf8, reterr);
}

/* ---- All tables --------------------------------------------------------------------------- */

static bool is_among(const char *name, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

weir_status database_get_table_names(struct database_service *service, const char *const *hidden,
                                     weir_time deadline, char **ret_text, weir_error *reterr)
{
    struct schema_ref *ref;
    struct text names = {0};

    weir_status status = schema_cache_refresh(&service->schemas, deadline, &ref, reterr);
    if (status != WEIR_OK)
        return status;
    const weir_schema *schema = schema_ref_schema(ref);
    text_add(&names, "[");
    for (size_t i = 0; i < weir_schema_table_count(schema); i++) {
        const char *name = weir_schema_table(schema, i)->name;
        if (!is_among(name, hidden)) {
            text_add(&names, names.size > 1 ? "," : "");
            text_add_json(&names, name);
        }
    }
    text_add(&names, "]");
    schema_ref_drop(ref);
    char *text = text_take(&names);
    if (text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "list tables: out of memory");
    *ret_text = text;
    return WEIR_OK;
}
