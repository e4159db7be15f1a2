/* SPDX-License-Identifier: MIT */
/* The parameters of a page: how long, from where, in which order, which rows and columns. */
#include "nocodb_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

/* ---- What can be asked ----------------------------------------------------------------------- */

/* Names stand one after another, with commas between them, and - or + before one that is sorted by. */
static const char *name_fault(const char *name, bool is_sorted_by)
{
    if (name[0] == '\0')
        return "is empty";
    if (strchr(name, ',') != NULL)
        return "holds a comma, which NocoDB takes for the end of the name";
    if (is_sorted_by && (name[0] == '-' || name[0] == '+'))
        return "begins with a sign, which NocoDB takes for the direction";
    return NULL;
}

static weir_status check_fields(const char *const *fields, size_t count, weir_error *reterr)
{
    if (count > NOCODB_FIELDS)
        return weir_error_set(reterr, WEIR_INVALID, "fields: %zu columns: at most %d are possible",
                              count, NOCODB_FIELDS);
    for (size_t i = 0; i < count; i++) {
        const char *fault = name_fault(fields[i], false);
        if (fault != NULL)
            return weir_error_set(reterr, WEIR_INVALID, "fields: column \"%.64s\" %s", fields[i],
                                  fault);
    }
    return WEIR_OK;
}

static weir_status check_sorts(const struct nocodb_query *query, enum nocodb_dialect dialect,
                               weir_error *reterr)
{
    if (query->sort_count > NOCODB_SORTS)
        return weir_error_set(reterr, WEIR_INVALID, "sort: %zu columns: at most %d are possible",
                              query->sort_count, NOCODB_SORTS);
    if (query->sort_count > 0 && query->paging == NOCODB_KEYSET)
        return weir_error_set(reterr, WEIR_INVALID,
                              "sort: not possible with keyset paging, which sorts by the key");
    for (size_t i = 0; i < query->sort_count; i++) {
        const char *fault = name_fault(query->sorts[i].column, true);
        if (fault != NULL && (dialect == NOCODB_V2 || query->sorts[i].column[0] == '\0'))
            return weir_error_set(reterr, WEIR_INVALID, "sort: column \"%.64s\" %s",
                                  query->sorts[i].column, fault);
    }
    return WEIR_OK;
}

weir_status nocodb_query_check(const struct nocodb_query *query, enum nocodb_dialect dialect,
                               weir_error *reterr)
{
    if (query->page_size < 1 || query->page_size > 1000)
        return weir_error_set(reterr, WEIR_INVALID, "page_size %d: must be 1 to 1000",
                              query->page_size);
    if (query->offset < 0 || query->limit < -1)
        return weir_error_set(reterr, WEIR_INVALID, "limit and offset: must not be negative");
    if (query->offset > 0 && query->paging == NOCODB_KEYSET)
        return weir_error_set(reterr, WEIR_INVALID, "offset: not possible with keyset paging");
    if (query->key != NULL && name_fault(query->key, true) != NULL)
        return weir_error_set(reterr, WEIR_INVALID,
                              "key: NocoDB cannot sort by a column of that name");
    if (query->condition_count >= NOCODB_WHERE_CONDITIONS)
        return weir_error_set(reterr, WEIR_INVALID, "%zu filters: at most %d are possible",
                              query->condition_count, NOCODB_WHERE_CONDITIONS - 1);
    weir_status status = check_fields(query->fields, query->field_count, reterr);
    return status == WEIR_OK ? check_sorts(query, dialect, reterr) : status;
}

const char *nocodb_query_key(const struct nocodb_query *query)
{
    return query->key != NULL ? query->key : "Id";
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static void add_number(weir_http_request *request, const char *name, int64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, number);
    weir_http_request_query(request, name, text);
}

/* Add what was put together; "" adds nothing. */
static weir_status add_text(weir_http_request *request, const char *name, struct text *text,
                            weir_error *reterr)
{
    char *value = text_take(text);

    if (value == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "list rows: out of memory");
    if (value[0] != '\0')
        weir_http_request_query(request, name, value);
    free(value);
    return WEIR_OK;
}

/*
 * Where the page begins, and how long it may be. v3 gives a link to the next page, too. It is not followed,
 * because it may lead to another server or another scheme than the one configured, and some versions leave
 * the filters out; its numbers of pages count by the size that the server really gives, which may be less.
 */
static void add_place(const struct nocodb_query *query, const struct nocodb_place *place,
                      weir_http_request *request)
{
    add_number(request, "limit", place->page_size);
    if (query->paging == NOCODB_OFFSET)
        add_number(request, "offset", query->offset + place->seen);
}

static weir_status add_sort(const struct nocodb_query *query, enum nocodb_dialect dialect,
                            weir_http_request *request, weir_error *reterr)
{
    const struct nocodb_sort by_key = {nocodb_query_key(query), false};
    bool is_keyset = query->paging == NOCODB_KEYSET, is_v3 = dialect == NOCODB_V3;
    const struct nocodb_sort *sorts = is_keyset ? &by_key : query->sorts;
    size_t count = is_keyset ? 1 : query->sort_count;
    struct text sort = {0};

    for (size_t i = 0; i < count; i++) {
        text_add(&sort, i > 0 ? "," : is_v3 ? "[" : "");
        if (is_v3) {
            text_add(&sort, "{\"field\":");
            text_add_json(&sort, sorts[i].column);
            text_addf(&sort, ",\"direction\":\"%s\"}", sorts[i].is_descending ? "desc" : "asc");
        } else {
            text_addf(&sort, "%s%s", sorts[i].is_descending ? "-" : "", sorts[i].column);
        }
    }
    if (count > 0 && is_v3)
        text_add(&sort, "]");
    return add_text(request, "sort", &sort, reterr);
}

/* The conditions asked for, and with keyset paging that the key is above the last one. */
static weir_status add_where(const struct nocodb_query *query, enum nocodb_dialect dialect,
                             const struct nocodb_place *place, weir_http_request *request,
                             weir_error *reterr)
{
    struct nocodb_condition all[NOCODB_WHERE_CONDITIONS];
    size_t count = query->condition_count;
    char *clause;

    for (size_t i = 0; i < count; i++)
        all[i] = query->conditions[i];
    if (place->last_key[0] != '\0')
        all[count++] =
            (struct nocodb_condition){nocodb_query_key(query), NOCODB_GT, place->last_key};
    weir_status status = nocodb_where(all, count, dialect, &clause, reterr);
    if (status != WEIR_OK)
        return status;
    if (clause[0] != '\0')
        weir_http_request_query(request, "where", clause);
    free(clause);
    return WEIR_OK;
}

static weir_status add_fields(const char *const *fields, size_t count, const char *key,
                              weir_http_request *request, weir_error *reterr)
{
    struct text text = {0};

    for (size_t i = 0; i < count; i++) {
        text_addf(&text, "%s%s", i > 0 ? "," : "", fields[i]);
        if (key != NULL && strcmp(fields[i], key) == 0)
            key = NULL;
    }
    if (count > 0 && key != NULL)
        text_addf(&text, ",%s", key);
    return add_text(request, "fields", &text, reterr);
}

weir_status nocodb_fields_write(const char *const *fields, size_t count, weir_http_request *request,
                                weir_error *reterr)
{
    weir_status status = check_fields(fields, count, reterr);

    return status == WEIR_OK ? add_fields(fields, count, NULL, request, reterr) : status;
}

weir_status nocodb_query_write(const struct nocodb_query *query, enum nocodb_dialect dialect,
                               const struct nocodb_place *place, weir_http_request *request,
                               weir_error *reterr)
{
    const char *key = query->paging == NOCODB_KEYSET ? nocodb_query_key(query) : NULL;

    add_place(query, place, request);
    weir_status status = add_sort(query, dialect, request, reterr);
    if (status == WEIR_OK)
        status = add_fields(query->fields, query->field_count, key, request, reterr);
    return status == WEIR_OK ? add_where(query, dialect, place, request, reterr) : status;
}
