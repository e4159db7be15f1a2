/* SPDX-License-Identifier: MIT */
/* The shapes of a page, and keys compared as numbers of any size. */
#include "nocodb_page.h"

#include <string.h>
#include <strings.h>

/* Parse, as what another server sent: any fault is the server's. */
static weir_status parse(const char *text, size_t size, json_t **ret_json, weir_error *reterr)
{
    weir_error error;

    weir_status status = json_text_parse(text, size, ret_json, &error);
    if (status == WEIR_OK)
        return WEIR_OK;
    return weir_error_set(reterr, status == WEIR_NO_MEMORY ? status : WEIR_PROTOCOL,
                          "NocoDB's answer is unusable: %s", error.text);
}

/* ---- Pages ----------------------------------------------------------------------------------- */

/* The member that holds the rows; NULL for a bare array. */
static const char *rows_member(const json_t *json)
{
    static const char *const names[] = {"list", "records", "data"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (json_is_array(json_object_get(json, names[i])))
            return names[i];
    }
    return NULL;
}

/* A link to the next page says that there is one; where it leads is of no interest, see
 * nocodb_service.c. */
static enum nocodb_more more_by_link(const json_t *holder)
{
    const json_t *next = json_object_get(holder, "next");

    if (next == NULL)
        return NOCODB_MORE_UNKNOWN;
    return json_string_length(next) > 0 ? NOCODB_MORE_YES : NOCODB_MORE_NO;
}

static enum nocodb_more more_of(const json_t *json, const char *member)
{
    const json_t *info = json_object_get(json, "pageInfo");
    const json_t *is_last = json_object_get(info, "isLastPage");

    if (json_is_boolean(is_last))
        return json_is_true(is_last) ? NOCODB_MORE_NO : NOCODB_MORE_YES;
    enum nocodb_more more = more_by_link(json);
    if (more == NOCODB_MORE_UNKNOWN)
        more = more_by_link(info);
    bool is_v3 = member != NULL && strcmp(member, "records") == 0;
    return more == NOCODB_MORE_UNKNOWN && is_v3 ? NOCODB_MORE_NO_LINK : more;
}

static int64_t page_size_of(const json_t *json)
{
    double size = json_number_value(json_object_get(json_object_get(json, "pageInfo"), "pageSize"));

    return size >= 1 && size <= 1e9 ? (int64_t)size : 0;
}

static bool are_objects(const json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (!json_is_object(json_array_get(rows, i)))
            return false;
    }
    return true;
}

static weir_status read_json(const json_t *json, const char *text, size_t size,
                             struct nocodb_page *ret_page, weir_error *reterr)
{
    const char *member = rows_member(json);
    const json_t *rows = member != NULL ? json_object_get(json, member) : json;

    if (!json_is_array(rows))
        return weir_error_set(reterr, WEIR_PROTOCOL,
                              "NocoDB's answer has neither \"list\", \"records\" nor \"data\"");
    if (!are_objects(rows))
        return weir_error_set(reterr, WEIR_PROTOCOL,
                              "NocoDB's answer has rows that are not objects");
    if (member != NULL)
        text = json_text_member(text, size, member, &size);
    if (text == NULL || !json_text_array(text, size, &ret_page->rows))
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read NocoDB's answer: out of memory");
    ret_page->row_count = json_array_size(rows);
    ret_page->more = more_of(json, member);
    ret_page->page_size = page_size_of(json);
    return WEIR_OK;
}

weir_status nocodb_page_read(const char *text, size_t size, struct nocodb_page *ret_page,
                             weir_error *reterr)
{
    json_t *json = NULL;
    weir_status status = parse(text, size, &json, reterr);

    if (status == WEIR_OK)
        status = read_json(json, text, size, ret_page, reterr);
    json_decref(json);
    return status;
}

static bool is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static weir_status check_columns(const json_t *row, const char *const *columns, size_t count,
                                 weir_error *reterr)
{
    const char *missing = NULL;
    size_t asked = 0;

    for (size_t i = 0; i < count; i++) {
        asked += !is_among(columns[i], columns, i);
        if (missing == NULL && json_object_get(row, columns[i]) == NULL)
            missing = columns[i];
    }
    if (missing == NULL || json_object_size(row) >= asked)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_INVALID,
                          "NocoDB gave the row without column \"%.64s\": the table has none of "
                          "that name",
                          missing);
}

weir_status nocodb_row_check(const char *text, size_t size, const char *const *columns,
                             size_t column_count, weir_error *reterr)
{
    json_t *json = NULL;
    weir_status status = parse(text, size, &json, reterr);

    if (status == WEIR_OK && !json_is_object(json))
        status = weir_error_set(reterr, WEIR_PROTOCOL,
                                "NocoDB's answer is not a row: not a JSON object");
    if (status == WEIR_OK)
        status = check_columns(json, columns, column_count, reterr);
    json_decref(json);
    return status;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static const char *key_text(const char *row, size_t size, const char *column, size_t *ret_size)
{
    size_t fields_size;
    const char *value = json_text_member(row, size, column, ret_size);
    const char *fields = json_text_member(row, size, "fields", &fields_size);

    if (value == NULL && fields != NULL)
        value = json_text_member(fields, fields_size, column, ret_size);
    /* v3 takes the primary key out of the fields. For any other column that is missing, the id would be
     * a wrong value, above which rows are asked for and others lost. */
    if (value == NULL && fields != NULL && strcasecmp(column, "Id") == 0)
        value = json_text_member(row, size, "id", ret_size);
    return value;
}

bool nocodb_row_key(const char *row, size_t size, const char *column, char out[NOCODB_KEY_TEXT])
{
    size_t length;
    const char *value = key_text(row, size, column, &length);

    if (value == NULL)
        return false;
    /* Large numbers come as strings. */
    if (length >= 2 && value[0] == '"') {
        value++;
        length -= 2;
    }
    size_t sign = length > 0 && value[0] == '-';
    if (length == sign || length > 39 + sign)
        return false;
    for (size_t i = sign; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
    }
    if (value[sign] == '0' && (length > 1 || sign > 0))
        return false;
    memcpy(out, value, length);
    out[length] = '\0';
    return true;
}

bool nocodb_row_has_id(const char *row, size_t size)
{
    size_t length;

    return json_text_member(row, size, "Id", &length) != NULL ||
           json_text_member(row, size, "id", &length) != NULL;
}

int nocodb_key_compare(const char *a, const char *b)
{
    bool is_negative = a[0] == '-';
    size_t a_size = strlen(a), b_size = strlen(b);

    if (is_negative != (b[0] == '-'))
        return is_negative ? -1 : 1;
    int order = a_size != b_size ? (a_size < b_size ? -1 : 1) : strcmp(a, b);
    return is_negative ? -order : order;
}

bool nocodb_key_is_exact(const char *key)
{
    return nocodb_key_compare(key[0] == '-' ? key + 1 : key, "9007199254740991") <= 0;
}
