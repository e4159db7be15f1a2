/* SPDX-License-Identifier: MIT */
/* What a request's fields must be, and the list of all that are wrong. */
#ifndef WEIR_SERVER_VALIDATE_H
#define WEIR_SERVER_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <weir/base.h>

/* An address as mail servers take it: a local part of at most 64 bytes without quotes, an @, a
 * domain of at least two labels; at most 254 bytes; other scripts in UTF-8 are fine. */
bool validate_is_email(const char *text);

/* Every wrong field of one request so far, in the order found. All zero is none. */
struct validation {
    json_t *errors;  /* [{"field": …, "message": …}], NULL while there are none */
    bool has_failed; /* memory ran out */
};

/* Note a wrong field. */
void validation_add(struct validation *validation, const char *field, const char *format, ...)
    WEIR_PRINTF(3, 4);

bool validation_is_clean(const struct validation *validation);

/*
 * The body of a 422: {"detail": "a: is required; b: must be …", "errors": [{"field", "message"}]}.
 * malloc'ed; NULL when memory ran out, also earlier.
 */
char *validation_take(struct validation *validation);

void validation_clear(struct validation *validation);

/*
 * Checks of one member of an object, each noting at most one error. A member that is null counts
 * as absent. Required ones must not be blank.
 */
void validate_required_text(struct validation *validation, const json_t *object, const char *field);
void validate_required_date(struct validation *validation, const json_t *object, const char *field);
void validate_required_object(struct validation *validation, const json_t *object,
                              const char *field);
void validate_optional_text(struct validation *validation, const json_t *object, const char *field,
                            size_t most_characters);
void validate_optional_email(struct validation *validation, const json_t *object,
                             const char *field);

/* Note every one of the `count` names that the object has. */
void validate_absent(struct validation *validation, const json_t *object, const char *const *names,
                     size_t count, const char *message);

#endif
