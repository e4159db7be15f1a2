/* SPDX-License-Identifier: MIT */
/* The choice of a grammar, the quotes, and the reading of `column:value`. */
#include "nocodb_where.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "text/parse.h"
#include "text/text.h"
#include "common/utf8.h"

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

static bool is_truth(const char *value)
{
    return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
}

/* Step over digits; whether there were any. */
static bool skip_digits(const char **at)
{
    size_t count = strspn(*at, "0123456789");

    *at += count;
    return count > 0;
}

/* A number in shape, as JSON has it, but for zeros at its beginning. */
static bool is_number(const char *value)
{
    value += *value == '-';
    if (!skip_digits(&value))
        return false;
    if (*value == '.') {
        value++;
        if (!skip_digits(&value))
            return false;
    }
    if (*value == 'e' || *value == 'E') {
        value++;
        value += *value == '+' || *value == '-';
        if (!skip_digits(&value))
            return false;
    }
    return *value == '\0';
}

/* NocoDB compares times of the day by the minute, or as texts: only days come out right on each database. */
static bool is_day(const char *value)
{
    return parse_date(value, NULL);
}

static weir_status refuse(const struct nocodb_condition *condition, const char *what,
                          const char *fault, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_INVALID, "filter on column \"%.64s\": its %s %s",
                          condition->column, what, fault);
}

static const char *like_fault(const char *value)
{
    if (strchr(value, '\\') != NULL)
        return "holds a backslash, which NocoDB on PostgreSQL takes for an escape and elsewhere "
               "does "
               "not: write _ in its place, which stands for any one character, or ask for the "
               "whole "
               "text";
    return text_fault(value);
}

static weir_status check(const struct nocodb_condition *condition, weir_error *reterr)
{
    const char *value = condition->value, *fault = text_fault(condition->column);

    if (fault != NULL)
        return weir_error_set(reterr, WEIR_INVALID, "filter: the name of a column %s", fault);
    switch (condition->op) {
    case NOCODB_LIKE:
        fault = like_fault(value);
        break;
    case NOCODB_TEXT:
        fault = value[0] == '\0' ? NULL : text_fault(value);
        break;
    case NOCODB_EQ:
        if (!is_number(value) && !is_truth(value) && !is_day(value))
            fault = "is neither a number, true, false nor a day";
        break;
    case NOCODB_LT:
    case NOCODB_LE:
    case NOCODB_GT:
    case NOCODB_GE:
        if (!is_number(value) && !is_day(value))
            fault = "is neither a number nor a day, as 2024-01-31";
        break;
    case NOCODB_BLANK:
    case NOCODB_UNSET:
        break;
    }
    return fault == NULL ? WEIR_OK : refuse(condition, "value", fault, reterr);
}

/* ---- Which grammar --------------------------------------------------------------------------- */

static bool is_text(const struct nocodb_condition *condition)
{
    return condition->op == NOCODB_LIKE || condition->op == NOCODB_TEXT;
}

static bool has_edges(const char *text)
{
    return text[0] == ' ' || (text[0] != '\0' && text[strlen(text) - 1] == ' ');
}

/* Whether the older grammar takes the condition for what it is. A value ends at the last parenthesis, so
 * that a comma does not end it. */
static bool can_be_plain(const struct nocodb_condition *condition)
{
    if (strpbrk(condition->column, "(),~") != NULL || has_edges(condition->column))
        return false;
    if (!is_text(condition))
        return true;
    /* The signs of `like` stand around a text, so that its own edges do not matter. */
    return strpbrk(condition->value, "()~") == NULL &&
           (condition->op == NOCODB_LIKE || !has_edges(condition->value));
}

static bool can_all_be_plain(const struct nocodb_condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!can_be_plain(&conditions[i]))
            return false;
    }
    return true;
}

/* The quote to wrap a text in, or why there is none. The reader takes a backslash before a quote for part
 * of the text, and reads on. */
static const char *choose_quote(const char *text, const char **ret_fault)
{
    if (text[0] != '\0' && text[strlen(text) - 1] == '\\')
        *ret_fault = "ends with a backslash, which NocoDB's filters cannot express here";
    else if (strchr(text, '"') == NULL)
        return "\"";
    else if (strchr(text, '\'') == NULL)
        return "'";
    else
        *ret_fault = "holds both kinds of quotes, which NocoDB's filters cannot express here";
    return NULL;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static const char *op_name(enum nocodb_op op)
{
    static const char *const names[] = {
        [NOCODB_LIKE] = "like", [NOCODB_TEXT] = "eq", [NOCODB_EQ] = "eq", [NOCODB_LT] = "lt",
        [NOCODB_LE] = "lte",    [NOCODB_GT] = "gt",   [NOCODB_GE] = "gte"};

    return names[op];
}

/* A value that is no text. SQLite has no truth values: there, true is a text that no Checkbox equals. */
static void add_value(struct text *out, const struct nocodb_condition *condition)
{
    const char *value = condition->value;

    if (is_truth(value))
        text_add(out, strcmp(value, "true") == 0 ? "1" : "0");
    else if (is_day(value))
        text_addf(out, "exactDate,%s", value);
    else
        text_add(out, value);
}

/* PostgreSQL cannot compare a Checkbox with the empty text, as `blank` does. `null` finds every row where the
 * column is one of dates or links. */
static void add_absence(struct text *out, const struct nocodb_condition *condition,
                        const char *quote)
{
    const char *column = condition->column;

    if (condition->op == NOCODB_BLANK)
        text_addf(out, "(%s%s%s,is,blank)", quote, column, quote);
    else
        text_addf(out, "(%s%s%s,notchecked)~and(%s%s%s,neq,0)", quote, column, quote, quote, column,
                  quote);
}

static weir_status add_condition(struct text *out, const struct nocodb_condition *condition,
                                 bool is_quoted, weir_error *reterr)
{
    const char *fault = NULL, *quote = "", *sign = condition->op == NOCODB_LIKE ? "%" : "";

    if (is_quoted) {
        quote = choose_quote(condition->column, &fault);
        if (fault != NULL)
            return refuse(condition, "name", fault, reterr);
    }
    if (condition->op == NOCODB_BLANK || condition->op == NOCODB_UNSET) {
        add_absence(out, condition, quote);
        return WEIR_OK;
    }
    text_addf(out, "(%s%s%s,%s,", quote, condition->column, quote, op_name(condition->op));
    if (is_text(condition)) {
        if (is_quoted) {
            quote = choose_quote(condition->value, &fault);
            if (fault != NULL)
                return refuse(condition, "value", fault, reterr);
        }
        text_addf(out, "%s%s%s%s%s", quote, sign, condition->value, sign, quote);
    } else {
        add_value(out, condition);
    }
    text_add(out, ")");
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
        status == WEIR_OK && (dialect == NOCODB_V3 || !can_all_be_plain(conditions, count));
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

/* What is meant by a value that is JSON, or a day, where `op` is NOCODB_LIKE or NOCODB_TEXT. A
 * text that contains a date is one that has its signs. */
static enum nocodb_op op_for(enum nocodb_op op, const json_t *json, const char *value)
{
    if (json_is_null(json))
        return NOCODB_BLANK;
    if (json_is_boolean(json) || (json_is_number(json) && op == NOCODB_LIKE) ||
        (op == NOCODB_TEXT && is_day(value)))
        return NOCODB_EQ;
    return op;
}

weir_status nocodb_condition_parse(enum nocodb_op op, const char *text,
                                   struct nocodb_condition *ret_condition, char **ret_memory,
                                   weir_error *reterr)
{
    size_t name_size = json_string_size(text);

    if (name_size == 0 || text[name_size] != ':')
        name_size = strcspn(text, ":");
    if (text[name_size] != ':' || name_size == 0)
        return weir_error_set(reterr, WEIR_INVALID, "must be column:value, as in Name:Smith");
    const char *value = text + name_size + 1;
    /* No text of JSON is longer than its escapes. */
    char *memory = malloc(strlen(text) + 2);
    if (memory == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read filter: out of memory");

    char *out = memory;
    json_t *name_json = text[0] == '"' ? whole_json(text, name_size) : NULL;
    json_t *json = whole_json(value, strlen(value));
    ret_condition->op = op == NOCODB_LIKE || op == NOCODB_TEXT ? op_for(op, json, value) : op;
    ret_condition->column = copy_plain(text, name_size, name_json, &out);
    ret_condition->value = copy_plain(value, strlen(value), json, &out);
    if (ret_condition->op == NOCODB_BLANK)
        ret_condition->value = NULL;
    json_decref(name_json);
    json_decref(json);
    *ret_memory = memory;
    return WEIR_OK;
}
