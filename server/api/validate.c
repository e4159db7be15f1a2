/* SPDX-License-Identifier: MIT */
/* Addresses, numbers, and the checks of a request's fields. */
#include "validate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/parse.h"
#include "text/text.h"

/* ---- Texts -------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || (c & 0x80) != 0;
}

/* Words joined by single dots; `others` are the bytes that words may also hold. */
static bool is_dotted(const char *text, size_t size, const char *others)
{
    if (size == 0 || text[0] == '.' || text[size - 1] == '.')
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' ? text[i - 1] == '.'
                           : !is_word_byte(text[i]) && strchr(others, text[i]) == NULL)
            return false;
    }
    return true;
}

static bool is_label(const char *label, size_t size)
{
    return size >= 1 && size <= 63 && label[0] != '-' && label[size - 1] != '-';
}

static bool is_domain(const char *domain)
{
    const char *label = domain;
    size_t labels = 0;

    if (!is_dotted(domain, strlen(domain), "-"))
        return false;
    for (;;) {
        size_t size = strcspn(label, ".");
        if (!is_label(label, size))
            return false;
        labels++;
        if (label[size] == '\0')
            break;
        label += size + 1;
    }
    /* A last label of digits is no top-level domain but an address gone astray. */
    return labels >= 2 && strspn(label, "0123456789") != strlen(label);
}

bool validate_is_email(const char *text)
{
    const char *at = strrchr(text, '@');

    if (at == NULL || strlen(text) > 254 || at - text > 64)
        return false;
    return is_dotted(text, (size_t)(at - text), "!#$%&'*+-/=?^_`{|}~") && is_domain(at + 1);
}

/* ---- The list of errors ------------------------------------------------------------------- */

void validation_add(struct validation *validation, const char *field, const char *format, ...)
{
    char message[256];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (validation->errors == NULL)
        validation->errors = json_array();
    json_t *error = json_pack("{s:s, s:s}", "field", field, "message", message);
    if (validation->errors == NULL || json_array_append_new(validation->errors, error) != 0)
        validation->has_failed = true;
}

bool validation_is_clean(const struct validation *validation)
{
    return validation->errors == NULL && !validation->has_failed;
}

char *validation_take(struct validation *validation)
{
    struct text detail = {0};
    const json_t *error;
    size_t i;
    char *body = NULL;

    json_array_foreach(validation->errors, i, error) text_addf(
        &detail, "%s%s: %s", i > 0 ? "; " : "", json_string_value(json_object_get(error, "field")),
        json_string_value(json_object_get(error, "message")));
    char *sentence = text_take(&detail);
    json_t *answer = json_pack("{s:s, s:O}", "detail", sentence, "errors", validation->errors);
    if (!validation->has_failed && answer != NULL)
        body = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    free(sentence);
    validation_clear(validation);
    return body;
}

void validation_clear(struct validation *validation)
{
    json_decref(validation->errors);
    *validation = (struct validation){0};
}

/* ---- Fields ------------------------------------------------------------------------------- */

/* The member, or NULL when it is absent or null. */
static const json_t *member(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);

    return json_is_null(value) ? NULL : value;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* The text of a required field, or NULL after noting what is wrong with it. */
static const char *required_text(struct validation *validation, const json_t *object,
                                 const char *field)
{
    const json_t *value = member(object, field);

    if (value == NULL) {
        validation_add(validation, field, "is required");
        return NULL;
    }
    if (!json_is_string(value)) {
        validation_add(validation, field, "must be a string");
        return NULL;
    }
    if (is_blank(json_string_value(value))) {
        validation_add(validation, field, "must not be empty");
        return NULL;
    }
    return json_string_value(value);
}

void validate_required_text(struct validation *validation, const json_t *object, const char *field)
{
    (void)required_text(validation, object, field);
}

void validate_required_date(struct validation *validation, const json_t *object, const char *field)
{
    const char *text = required_text(validation, object, field);

    if (text != NULL && !parse_date(text, NULL))
        validation_add(validation, field, "must be a date as YYYY-MM-DD (ISO 8601)");
}

void validate_required_object(struct validation *validation, const json_t *object,
                              const char *field)
{
    const json_t *value = member(object, field);

    if (value == NULL)
        validation_add(validation, field, "is required");
    else if (!json_is_object(value))
        validation_add(validation, field, "must be an object");
}

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

void validate_optional_text(struct validation *validation, const json_t *object, const char *field,
                            size_t most_characters)
{
    const json_t *value = member(object, field);

    if (value == NULL)
        return;
    if (!json_is_string(value))
        validation_add(validation, field, "must be a string");
    else if (count_characters(json_string_value(value)) > most_characters)
        validation_add(validation, field, "must be at most %zu characters long", most_characters);
}

void validate_optional_email(struct validation *validation, const json_t *object, const char *field)
{
    const json_t *value = member(object, field);

    if (value == NULL)
        return;
    if (!json_is_string(value) || !validate_is_email(json_string_value(value)))
        validation_add(validation, field, "must be an e-mail address");
}

void validate_absent(struct validation *validation, const json_t *object, const char *const *names,
                     size_t count, const char *message)
{
    for (size_t i = 0; i < count; i++) {
        if (json_object_get(object, names[i]) != NULL)
            validation_add(validation, names[i], "%s", message);
    }
}
