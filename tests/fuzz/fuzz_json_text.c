/* SPDX-License-Identifier: MIT */
/* Two texts as JSON objects: merged and picked from as text, they mean what jansson makes of them. */
#include "fuzz.h"

#include "text/json_text.h"

const char *const fuzz_seeds[] = {
    "{\"a\":1,\"b\":[2,{\"c\":null}]}|{\"a\":0.10}",
    "{ \"x\" : \"\\\"}\" , \"\\u0061\" : true }|{\"a\":\"\\\\\"}",
    "{}|{}",
    "{\"n\":123456789012345678901234567890}|{\"n\":-1e-5}",
    "[]|{\"a\":{\"a\":{}}}",
    "{\"\":\"\"}|{\"moderation_status\":\"approved\"}",
    "\xc3\xa9",
    "\\ud83d\\ude00",
    NULL,
};

/* The value if the text is an object that we take, else NULL. */
static json_t *object_of(const char *text, size_t size)
{
    json_t *json = NULL;
    weir_error error = {0};
    weir_status status = json_text_parse(text, size, &json, &error);

    must(status == WEIR_OK || status == WEIR_INVALID || status == WEIR_LIMIT);
    must((status == WEIR_OK) == (json != NULL));
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static void check_same(char *text, const json_t *expected)
{
    must(text != NULL);
    json_t *json = object_of(text, strlen(text));
    must(json != NULL && json_equal(json, expected));
    json_decref(json);
    free(text);
}

static void check_merge(const char *base, size_t base_size, json_t *base_json, const char *over,
                        size_t over_size, json_t *over_json)
{
    json_t *merged = json_copy(base_json);

    must(merged != NULL && json_object_update(merged, over_json) == 0);
    check_same(json_text_merge(base, base_size, over, over_size), merged);
    json_decref(merged);
}

static void check_members(const char *text, size_t size, json_t *json)
{
    json_t *value, *picked;
    const char *name;
    size_t found_size;

    json_object_foreach(json, name, value)
    {
        const char *found = json_text_member(text, size, name, &found_size);
        json_t *parsed = NULL;
        must(found != NULL && found >= text && found + found_size <= text + size);
        must(json_text_parse(found, found_size, &parsed, NULL) == WEIR_OK);
        must(json_equal(parsed, value));
        json_decref(parsed);

        picked = json_object();
        must(picked != NULL && json_object_set(picked, name, value) == 0);
        check_same(json_text_pick(text, size, &name, 1), picked);
        json_decref(picked);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size > 0 ? size : 1);
    const char *bar;

    if (size > 0)
        memcpy(text, data, size);
    bar = size > 0 ? memchr(text, '|', size) : NULL;
    size_t base_size = bar != NULL ? (size_t)(bar - text) : size;
    const char *over = bar != NULL ? bar + 1 : text + size;
    size_t over_size = size - (size_t)(over - text);

    json_t *base_json = object_of(text, base_size);
    json_t *over_json = object_of(over, over_size);
    if (base_json != NULL)
        check_members(text, base_size, base_json);
    if (base_json != NULL && over_json != NULL)
        check_merge(text, base_size, base_json, over, over_size, over_json);
    json_decref(base_json);
    json_decref(over_json);
    free(text);
    return 0;
}
