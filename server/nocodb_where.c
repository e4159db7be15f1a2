/* SPDX-License-Identifier: MIT */
/* The choice of a grammar, the quotes, and the reading of `column:value`. */
#include "nocodb_where.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "text.h"
#include "urltext.h"

/* ---- What can be said at all ---------------------------------------------------------------- */

static bool has_control(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return true;
    }
    return false;
}

/*
 * U+2028 or U+2029, in UTF-8. The older grammar is read by an expression of JavaScript, whose dot stands
 * for neither: the condition would be lost, and all rows come.
 */
static bool has_separator(const char *text)
{
    return strstr(text, "\xe2\x80\xa8") != NULL || strstr(text, "\xe2\x80\xa9") != NULL;
}

/* Why a name or text cannot be said in either grammar; NULL when it can. */
static const char *text_fault(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (!utf8_is_valid(text, strlen(text)))
        return "is not UTF-8";
    if (has_separator(text))
        return "holds a line or paragraph separator (U+2028, U+2029), "
               "which NocoDB's filters cannot express";
    return has_control(text) ? "holds a control character" : NULL;
}

/* A JSON number in shape, or a boolean: nothing in it that a grammar could take for its own. */
static bool is_literal(const char *value)
{
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
        return true;
    return strpbrk(value, "0123456789") != NULL && value[strspn(value, "+-.0123456789eE")] == '\0';
}

static bool is_whole(const char *value)
{
    value += *value == '-';
    return *value != '\0' && value[strspn(value, "0123456789")] == '\0';
}

static weir_status refuse(const struct nocodb_condition *condition, const char *what,
                          const char *fault, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_INVALID, "filter on column \"%.64s\": its %s %s",
                          condition->column, what, fault);
}

static weir_status check(const struct nocodb_condition *condition, weir_error *reterr)
{
    const char *fault = text_fault(condition->column);

    if (fault != NULL)
        return weir_error_set(reterr, WEIR_INVALID, "filter: the name of a column %s", fault);
    switch (condition->op) {
    case NOCODB_LIKE:
        fault = text_fault(condition->value);
        break;
    case NOCODB_EQ:
        fault = is_literal(condition->value) ? NULL : "is neither a number nor true or false";
        break;
    case NOCODB_GT:
        fault = is_whole(condition->value) ? NULL : "is no whole number";
        break;
    case NOCODB_BLANK:
        break;
    }
    return fault == NULL ? WEIR_OK : refuse(condition, "value", fault, reterr);
}

/* ---- Which grammar --------------------------------------------------------------------------- */

/* Whether the older grammar takes the text for what it is. */
static bool is_plain(const char *text)
{
    return strpbrk(text, "(),~") == NULL && text[0] != ' ' && text[strlen(text) - 1] != ' ';
}

static bool can_be_plain(const struct nocodb_condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* The signs of `like` stand around a text, so that its own edges do not matter. */
        if (!is_plain(conditions[i].column) ||
            (conditions[i].op == NOCODB_LIKE && strpbrk(conditions[i].value, "(),~") != NULL))
            return false;
    }
    return true;
}

/* The quote to wrap a text in, or why there is none. */
static const char *choose_quote(const char *text, const char **ret_fault)
{
    if (strchr(text, '"') == NULL)
        return "\"";
    if (strchr(text, '\'') == NULL)
        return "'";
    *ret_fault = "holds both kinds of quotes, which NocoDB's filters cannot express here";
    return NULL;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static const char *op_name(enum nocodb_op op)
{
    switch (op) {
    case NOCODB_LIKE:
        return "like";
    case NOCODB_EQ:
        return "eq";
    case NOCODB_BLANK:
        return "is";
    case NOCODB_GT:
        break;
    }
    return "gt";
}

static weir_status add_condition(struct text *out, const struct nocodb_condition *condition,
                                 bool is_quoted, weir_error *reterr)
{
    bool is_text = condition->op == NOCODB_LIKE;
    const char *value = condition->op == NOCODB_BLANK ? "blank" : condition->value;
    const char *fault = NULL, *around_name = "", *around_value = "";

    if (is_quoted) {
        around_name = choose_quote(condition->column, &fault);
        /* The reader takes a backslash before a quote for part of the text, and reads on. */
        if (condition->column[strlen(condition->column) - 1] == '\\')
            fault = "ends with a backslash, which NocoDB's filters cannot express here";
        if (fault != NULL)
            return refuse(condition, "name", fault, reterr);
    }
    if (is_quoted && is_text) {
        around_value = choose_quote(value, &fault);
        if (fault != NULL)
            return refuse(condition, "value", fault, reterr);
    }
    text_addf(out, "(%s%s%s,%s,%s%s%s%s%s)", around_name, condition->column, around_name,
              op_name(condition->op), around_value, is_text ? "%" : "", value, is_text ? "%" : "",
              around_value);
    return WEIR_OK;
}

weir_status nocodb_where(const struct nocodb_condition *conditions, size_t count,
                         enum nocodb_dialect dialect, char **ret_clause, weir_error *reterr)
{
    struct text out = {0};
    weir_status status = WEIR_OK;

    if (count > NOCODB_WHERE_CONDITIONS)
        return weir_error_set(reterr, WEIR_INVALID, "%zu filters: at most %d are possible", count,
                              NOCODB_WHERE_CONDITIONS);
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = check(&conditions[i], reterr);
    bool is_quoted =
        status == WEIR_OK && (dialect == NOCODB_V3 || !can_be_plain(conditions, count));
    if (is_quoted && dialect == NOCODB_V2 && count > 0)
        text_add(&out, "@");
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        text_add(&out, i > 0 ? "~and" : "");
        status = add_condition(&out, &conditions[i], is_quoted, reterr);
    }
    if (status == WEIR_OK && out.size > NOCODB_WHERE_BYTES)
        status = weir_error_set(reterr, WEIR_INVALID, "the filters are %zu bytes long: at most %d",
                                out.size, NOCODB_WHERE_BYTES);
    if (status != WEIR_OK) {
        text_clear(&out);
        return status;
    }
    char *clause = text_take(&out);
    if (clause == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "write filters: out of memory");
    *ret_clause = clause;
    return WEIR_OK;
}

/* ---- Reading `column:value` ------------------------------------------------------------------ */

/* The size of the JSON string at the beginning of the text, quotes included; 0: there is none. */
static size_t json_string_size(const char *text)
{
    if (text[0] != '"')
        return 0;
    for (size_t i = 1; text[i] != '\0'; i++) {
        if (text[i] == '\\' && text[i + 1] != '\0')
            i++;
        else if (text[i] == '"')
            return i + 1;
    }
    return 0;
}

/* A JSON value that is all of the text, without blanks around it; NULL otherwise. */
static json_t *whole_json(const char *text, size_t size)
{
    if (size == 0 || strchr(" \t\r\n", text[0]) != NULL ||
        strchr(" \t\r\n", text[size - 1]) != NULL)
        return NULL;
    return json_loadb(text, size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

/* Copy a text to *out, without JSON's quotes and escapes if it is a string of it; move *out on. */
static const char *copy_plain(const char *text, size_t size, const json_t *json, char **out)
{
    const char *plain = json_is_string(json) ? json_string_value(json) : text;
    size_t length = json_is_string(json) ? json_string_length(json) : size;
    char *copy = *out;

    memcpy(copy, plain, length);
    copy[length] = '\0';
    *out += length + 1;
    return copy;
}

static enum nocodb_op op_for(const json_t *json)
{
    if (json_is_null(json))
        return NOCODB_BLANK;
    return json_is_number(json) || json_is_boolean(json) ? NOCODB_EQ : NOCODB_LIKE;
}

weir_status nocodb_condition_parse(const char *text, struct nocodb_condition *ret_condition,
                                   char **ret_memory, weir_error *reterr)
{
    size_t name_size = json_string_size(text);

    if (name_size == 0 || text[name_size] != ':')
        name_size = strcspn(text, ":");
    if (text[name_size] != ':' || name_size == 0)
        return weir_error_set(reterr, WEIR_INVALID,
                              "filter: must be column:value, as in filter=Name:Smith");
    const char *value = text + name_size + 1;
    /* No text of JSON is longer than its escapes. */
    char *memory = malloc(strlen(text) + 2);
    if (memory == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read filter: out of memory");

    char *out = memory;
    json_t *name_json = text[0] == '"' ? whole_json(text, name_size) : NULL;
    json_t *json = whole_json(value, strlen(value));
    ret_condition->op = op_for(json);
    ret_condition->column = copy_plain(text, name_size, name_json, &out);
    ret_condition->value = copy_plain(value, strlen(value), json, &out);
    if (ret_condition->op == NOCODB_BLANK)
        ret_condition->value = NULL;
    json_decref(name_json);
    json_decref(json);
    *ret_memory = memory;
    return WEIR_OK;
}
