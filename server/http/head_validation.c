/* SPDX-License-Identifier: MIT */
/* Validation of a request's head: pure checks that refuse a request whose head two readers could understand differently. */
#include "head_validation.h"

#include <string.h>
#include <strings.h>

static const struct head_verdict passed = {0, NULL};

static struct head_verdict refuse(unsigned status, const char *reason)
{
    return (struct head_verdict){status, reason};
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool http_is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\0' || (!is_alphanumeric(text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    }
    return size > 0;
}

bool http_is_field_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool field_is(const struct head_field *field, const char *name)
{
    return strcasecmp(field->name, name) == 0;
}

/* The only field of that name; NULL when there is none. Uniqueness was checked before. */
static const struct head_field *find(const struct request_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (field_is(&head->fields[i], name))
            return &head->fields[i];
    }
    return NULL;
}

/* ---- The request line --------------------------------------------------------------------- */

static bool target_bytes_are_clean(const char *target)
{
    for (; *target != '\0'; target++) {
        unsigned char c = (unsigned char)*target;

        if (c <= 0x20 || c == 0x7f || c == '#')
            return false;
    }
    return true;
}

static bool target_has_a_known_form(const struct request_head *head)
{
    if (head->target[0] == '/')
        return true;
    if (strcmp(head->target, "*") == 0)
        return strcmp(head->method, "OPTIONS") == 0;
    return strncasecmp(head->target, "http://", 7) == 0 ||
           strncasecmp(head->target, "https://", 8) == 0;
}

static struct head_verdict validate_request_line(const struct request_head *head)
{
    if (!http_is_token(head->method, strlen(head->method)))
        return refuse(400, "the method is not a token");
    if (strcmp(head->version, "HTTP/1.1") != 0 && strcmp(head->version, "HTTP/1.0") != 0)
        return refuse(505, "only HTTP/1.1 and HTTP/1.0 are supported");
    if (!target_bytes_are_clean(head->target))
        return refuse(400, "the request target holds a space, a control byte or a fragment");
    if (!target_has_a_known_form(head))
        return refuse(400, "the request target is not a path");
    return passed;
}

/* ---- Header lines ------------------------------------------------------------------------- */

/* The headers that a message may carry once; a second one is how two readers come to disagree. */
static const char *const single_names[] = {
    "Host", "Content-Length", "Transfer-Encoding", "Content-Type", "Authorization",
};
enum { SINGLE_NAMES = sizeof(single_names) / sizeof(single_names[0]) };

static struct head_verdict validate_fields(const struct request_head *head)
{
    bool was_seen[SINGLE_NAMES] = {false};

    for (size_t i = 0; i < head->field_count; i++) {
        const struct head_field *field = &head->fields[i];

        if (!http_is_token(field->name, field->name_size))
            return refuse(400, "a header name is not a token");
        if (!http_is_field_value(field->value, field->value_size))
            return refuse(400, "a header value holds a control byte");
        for (size_t k = 0; k < SINGLE_NAMES; k++) {
            if (!field_is(field, single_names[k]))
                continue;
            if (was_seen[k])
                return refuse(400, "a header that may appear only once is repeated");
            was_seen[k] = true;
        }
    }
    return passed;
}

/* Registered name, IPv4 address or [IPv6], with an optional port: what may stand there is a set of
 * characters (RFC 3986 section 3.2.2); notably no space, comma, slash or @. */
static bool is_host(const struct head_field *field)
{
    for (size_t i = 0; i < field->value_size; i++) {
        if (!is_alphanumeric(field->value[i]) && !strchr("-._~%!$&'()*+;=:[]", field->value[i]))
            return false;
    }
    return true;
}

static struct head_verdict validate_host(const struct request_head *head)
{
    const struct head_field *host = find(head, "Host");

    if (host == NULL)
        return strcmp(head->version, "HTTP/1.1") == 0 ? refuse(400, "the Host header is missing")
                                                      : passed;
    return is_host(host) ? passed : refuse(400, "the Host header is not a host");
}

/* ---- Framing ------------------------------------------------------------------------------ */

static struct head_verdict validate_length(const struct head_field *field,
                                           struct body_framing *ret_body)
{
    uint64_t length = 0;

    for (size_t i = 0; i < field->value_size; i++) {
        if (!is_digit(field->value[i]))
            return refuse(400, "Content-Length is not a number");
        if (__builtin_mul_overflow(length, (uint64_t)10, &length) ||
            __builtin_add_overflow(length, (uint64_t)(field->value[i] - '0'), &length))
            return refuse(413, "Content-Length is larger than any body could be");
    }
    if (field->value_size == 0)
        return refuse(400, "Content-Length is empty");
    ret_body->has_length = true;
    ret_body->length = length;
    return passed;
}

/* Whether a Transfer-Encoding begins with the coding that is understood, or with none. */
static bool names_chunked(const char *value)
{
    size_t size = strcspn(value, " \t,;");

    return size == 0 || (size == 7 && strncasecmp(value, "chunked", size) == 0);
}

static struct head_verdict validate_framing(const struct request_head *head,
                                            struct body_framing *ret_body)
{
    const struct head_field *length = find(head, "Content-Length");
    const struct head_field *coding = find(head, "Transfer-Encoding");

    if (coding == NULL)
        return length == NULL ? passed : validate_length(length, ret_body);
    if (length != NULL)
        return refuse(400, "Content-Length and Transfer-Encoding exclude each other");
    if (strcasecmp(coding->value, "chunked") != 0)
        return refuse(names_chunked(coding->value) ? 400 : 501,
                      "the only supported Transfer-Encoding is chunked");
    if (strcmp(head->version, "HTTP/1.1") != 0)
        return refuse(400, "Transfer-Encoding needs HTTP/1.1");
    ret_body->is_chunked = true;
    return passed;
}

static struct head_verdict validate_expectation(const struct request_head *head)
{
    const struct head_field *expect = find(head, "Expect");

    if (expect != NULL && strcasecmp(expect->value, "100-continue") != 0)
        return refuse(417, "the only supported expectation is 100-continue");
    return passed;
}

struct head_verdict head_validate(const struct request_head *head, struct body_framing *ret_body)
{
    struct head_verdict verdict = validate_request_line(head);

    *ret_body = (struct body_framing){0};
    if (verdict.status == 0)
        verdict = validate_fields(head);
    if (verdict.status == 0)
        verdict = validate_host(head);
    if (verdict.status == 0)
        verdict = validate_framing(head, ret_body);
    if (verdict.status == 0)
        verdict = validate_expectation(head);
    return verdict;
}

/* ---- Every byte accounted for ------------------------------------------------------------- */

/* Addresses as numbers: strings that the parser moved may lie outside the block, and comparing
 * such pointers is undefined. */
struct block {
    uintptr_t start;
    uintptr_t end;
};

static bool block_holds(const struct block *block, const char *text, size_t size)
{
    uintptr_t at = (uintptr_t)text;

    return at >= block->start && at <= block->end && size <= block->end - at;
}

/* A value starts after its name, the colon and nothing but spaces and tabs. */
static bool value_follows_name(const struct block *block, const struct head_field *field)
{
    const char *at = field->name + field->name_size + 1;

    if (!block_holds(block, field->value, field->value_size))
        return false;
    if (!block_holds(block, field->name, field->name_size + 1))
        return false;
    if ((uintptr_t)at > (uintptr_t)field->value)
        return false;
    for (; at != field->value; at++) {
        if (*at != ' ' && *at != '\t')
            return false;
    }
    return true;
}

bool head_accounts_for_block(const char *block, size_t size, const char *target_at,
                             const struct request_head *head)
{
    const struct block bounds = {(uintptr_t)block, (uintptr_t)block + size};
    uintptr_t next = bounds.start;

    if ((uintptr_t)head->method != next)
        return false;
    next += strlen(head->method) + 1;
    if ((uintptr_t)target_at != next)
        return false;
    next += strlen(head->target) + 1;
    if ((uintptr_t)head->version != next)
        return false;
    next += strlen(head->version) + 2;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct head_field *field = &head->fields[i];

        if ((uintptr_t)field->name != next || !value_follows_name(&bounds, field))
            return false;
        next = (uintptr_t)field->value + field->value_size + 2;
    }
    return next + 2 == bounds.end;
}
