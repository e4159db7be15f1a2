/* SPDX-License-Identifier: MIT */
/* The strict parser around jansson, and a walk over the top-level members of an object's text. */
#include "json_text.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* ---- Checking ----------------------------------------------------------------------------- */

/* jansson recurses as deep as its input is nested, up to 2048; we stop far earlier, before it. */
static bool is_too_deep(const char *text, size_t size)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if ((c == '[' || c == '{') && ++depth > JSON_TEXT_MAX_DEPTH) {
            return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

/* What jansson says is wrong, but for a hint that is meant for its callers. */
static const char *fault_text(const json_error_t *error)
{
    return json_error_code(error) == json_error_null_character ? "\\u0000 is not allowed"
                                                               : error->text;
}

weir_status json_text_parse(const char *text, size_t size, json_t **ret_json, weir_error *reterr)
{
    json_error_t error;
    const char *nul = size > 0 ? memchr(text, '\0', size) : NULL;

    /* jansson overlooks one right behind a literal or a number. */
    if (nul != NULL)
        return weir_error_set(reterr, WEIR_INVALID, "malformed JSON: a NUL byte at offset %zu",
                              (size_t)(nul - text));
    if (is_too_deep(text, size))
        return weir_error_set(reterr, WEIR_LIMIT, "JSON is nested more than %d levels deep",
                              JSON_TEXT_MAX_DEPTH);
    json_t *json = json_loadb(
        text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    if (json == NULL && error.text[0] == '\0') /* it finds no fault: out of memory */
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read JSON: out of memory");
    if (json == NULL)
        return weir_error_set(reterr, WEIR_INVALID, "malformed JSON at line %d, column %d: %s",
                              error.line, error.column, fault_text(&error));
    *ret_json = json;
    return WEIR_OK;
}

/* ---- Walking ------------------------------------------------------------------------------ */

/* One member as text: the name with its quotes, and the value. */
struct member {
    const char *name;
    size_t name_size;
    const char *value;
    size_t value_size;
};

static void skip_space(struct json_text_walk *walk)
{
    while (walk->at < walk->end && strchr(" \t\r\n", *walk->at) != NULL && *walk->at != '\0')
        walk->at++;
}

/* Step over one expected byte. */
static bool take(struct json_text_walk *walk, char expected)
{
    skip_space(walk);
    if (walk->at == walk->end || *walk->at != expected)
        return false;
    walk->at++;
    return true;
}

static bool skip_string(struct json_text_walk *walk)
{
    if (walk->at == walk->end || *walk->at != '"')
        return false;
    for (walk->at++; walk->at < walk->end; walk->at++) {
        if (*walk->at == '\\')
            walk->at++;
        else if (*walk->at == '"')
            break;
    }
    if (walk->at >= walk->end)
        return false;
    walk->at++;
    return true;
}

/* Step over a value: to the comma or bracket that ends it at its own level. */
static bool skip_value(struct json_text_walk *walk)
{
    int depth = 0;

    while (walk->at < walk->end) {
        char c = *walk->at;

        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return true;
        if (c == '"') {
            if (!skip_string(walk))
                return false;
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        walk->at++;
    }
    return false;
}

/* Begin at an object or array, as the bracket says; false when it is none. */
static bool begin(struct json_text_walk *walk, const char *text, size_t size, char bracket)
{
    *walk = (struct json_text_walk){text, text + size};
    return take(walk, bracket);
}

/* The value here, without the blanks around it; false when there is none. */
static bool take_value(struct json_text_walk *walk, const char **ret_value, size_t *ret_size)
{
    skip_space(walk);
    const char *value = walk->at;
    if (!skip_value(walk))
        return false;
    size_t size = (size_t)(walk->at - value);
    while (size > 0 && strchr(" \t\r\n", value[size - 1]) != NULL)
        size--;
    *ret_value = value;
    *ret_size = size;
    return size > 0;
}

/* The next member; false after the last one. */
static bool next_member(struct json_text_walk *walk, struct member *ret_member)
{
    struct member member;

    skip_space(walk);
    if (walk->at < walk->end && *walk->at == ',')
        walk->at++;
    skip_space(walk);
    member.name = walk->at;
    if (!skip_string(walk))
        return false;
    member.name_size = (size_t)(walk->at - member.name);
    if (!take(walk, ':'))
        return false;
    if (!take_value(walk, &member.value, &member.value_size))
        return false;
    *ret_member = member;
    return true;
}

/* The name as it is meant, since it may be written with escapes; a JSON string or NULL. */
static json_t *member_name(const struct member *member)
{
    return json_loadb(member->name, member->name_size, JSON_DECODE_ANY, NULL);
}

static void add_member(struct text *out, const struct member *member)
{
    text_add(out, out->size <= 1 ? "" : ",");
    text_add_n(out, member->name, member->name_size);
    text_add(out, ":");
    text_add_n(out, member->value, member->value_size);
}

const char *json_text_member(const char *text, size_t size, const char *name, size_t *ret_size)
{
    struct json_text_walk walk;
    struct member member;

    for (bool more = begin(&walk, text, size, '{'); more && next_member(&walk, &member);) {
        json_t *found = member_name(&member);
        bool is_it = json_is_string(found) && strcmp(json_string_value(found), name) == 0;

        json_decref(found);
        if (is_it) {
            *ret_size = member.value_size;
            return member.value;
        }
    }
    return NULL;
}

bool json_text_array(const char *text, size_t size, struct json_text_walk *ret_walk)
{
    return begin(ret_walk, text, size, '[');
}

bool json_text_next(struct json_text_walk *walk, const char **ret_value, size_t *ret_size)
{
    skip_space(walk);
    if (walk->at < walk->end && *walk->at == ',')
        walk->at++;
    return take_value(walk, ret_value, ret_size);
}

/* Add the members whose name is (or is not) a key of `names`. */
static bool add_members(struct text *out, const char *text, size_t size, const json_t *names,
                        bool is_wanted)
{
    struct json_text_walk walk;
    struct member member;

    if (!begin(&walk, text, size, '{'))
        return false;
    while (next_member(&walk, &member)) {
        json_t *name = member_name(&member);
        if (name == NULL) /* out of memory: the text is known to be right */
            return false;
        bool is_there = json_object_get(names, json_string_value(name)) != NULL;

        json_decref(name);
        if (is_there == is_wanted)
            add_member(out, &member);
    }
    return true;
}

static char *finish(struct text *out, bool is_fine)
{
    if (!is_fine) {
        text_clear(out);
        return NULL;
    }
    text_add(out, "}");
    return text_take(out);
}

char *json_text_merge(const char *base, size_t base_size, const char *over, size_t over_size)
{
    struct text out = {0};
    json_t *none = json_object();
    json_t *names = json_loadb(over, over_size, JSON_DECODE_INT_AS_REAL, NULL);
    bool is_fine = none != NULL && json_is_object(names);

    text_add(&out, "{");
    is_fine = is_fine && add_members(&out, base, base_size, names, false) &&
              add_members(&out, over, over_size, none, false);
    json_decref(names);
    json_decref(none);
    return finish(&out, is_fine);
}

char *json_text_pick(const char *text, size_t size, const char *const *names, size_t count)
{
    struct text out = {0};
    json_t *wanted = json_object();
    bool is_fine = wanted != NULL;

    for (size_t i = 0; i < count && is_fine; i++)
        is_fine = json_object_set_new(wanted, names[i], json_true()) == 0;
    text_add(&out, "{");
    is_fine = is_fine && add_members(&out, text, size, wanted, true);
    json_decref(wanted);
    return finish(&out, is_fine);
}
