/* SPDX-License-Identifier: MIT */
/* JSON from outside: checked as a whole, and put together as text, so that every number stays as it was sent. */
#ifndef WEIR_SERVER_JSON_TEXT_H
#define WEIR_SERVER_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <weir/base.h>

/* How deeply arrays and objects may be nested. */
#define JSON_TEXT_MAX_DEPTH 64

/*
 * Parse one JSON value: UTF-8, no key twice in one object, no NUL in a string, nested at most
 * JSON_TEXT_MAX_DEPTH deep, nothing after it. Every number becomes a real, so that the size of an
 * integer is no reason to refuse it; who stores the value stores the text. The caller owns *ret_json.
 *
 * Errors: WEIR_INVALID with line and column; WEIR_LIMIT when it is nested too deeply; WEIR_NO_MEMORY
 * where jansson says so.
 */
WEIR_MUST_CHECK weir_status json_text_parse(const char *text, size_t size, json_t **ret_json,
                                            weir_error *reterr);

/*
 * The raw text of one member of an object, or NULL when it has none of that name. `text` must be
 * an object that json_text_parse() has accepted; the result points into it.
 */
const char *json_text_member(const char *text, size_t size, const char *name, size_t *ret_size);

/* Where a walk over an array's text is. */
struct json_text_walk {
    const char *at;
    const char *end;
};

/*
 * Begin at an array; false when the text is none. Then the raw text of each element in turn; false
 * after the last. Under the same terms.
 */
bool json_text_array(const char *text, size_t size, struct json_text_walk *ret_walk);
bool json_text_next(struct json_text_walk *walk, const char **ret_value, size_t *ret_size);

/*
 * A new object: the members of `base` that `over` does not have, then those of `over`. One level
 * deep; values are copied as they stand. Both must be objects that json_text_parse() has accepted.
 * malloc'ed; NULL when memory ran out or one of them is no object.
 */
char *json_text_merge(const char *base, size_t base_size, const char *over, size_t over_size);

/* A new object of those members of `text` that are among the `count` names, under the same terms. */
char *json_text_pick(const char *text, size_t size, const char *const *names, size_t count);

#endif
