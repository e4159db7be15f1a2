/* SPDX-License-Identifier: MIT */
/* What moderators do: read what is pending, decide, correct. */
#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "text/json_text.h"
#include "text/parse.h"

void handle_pending(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;
    struct validation validation = {0};
    weir_error error;
    bool is_utf8;
    char *text;

    if (!is_moderator(app, request, response, &claims))
        return;
    const struct suggestion_kind *kind = find_kind(request, response);
    if (kind == NULL)
        return;
    int64_t limit = query_integer(request, &validation, "limit", 1, 1000, 100);
    if (reply_if_wrong(response, &validation))
        return;
    if (suggestions_list_pending(app->suggestions, kind, limit, http_request_deadline(request),
                                 &text, &is_utf8, &error) != WEIR_OK)
        reply_database_error(response, &error, "");
    else
        reply_rows(response, text, is_utf8);
}

/* The id in the path; false after filling in the 404 for what can be no id. */
static bool read_id(const struct http_request *request, const struct suggestion_kind *kind,
                    struct http_response *response, int64_t *ret_id)
{
    const char *text = http_request_path_param(request, "id");

    if (parse_integer(text, 1, INT64_MAX, ret_id))
        return true;
    http_reply_detail(response, 404, "no suggestion with id %s in %s", text, kind->name);
    return false;
}

static void reply_done(struct http_response *response, int64_t id, const char *status)
{
    reply_json(response, 200, json_pack("{s:I, s:s}", "id", (json_int_t)id, "status", status));
}

static void check_verdict(struct validation *validation, const json_t *body)
{
    const json_t *merged = json_object_get(body, "merged_id");
    const char *status = json_string_value(json_object_get(body, "status"));

    if (json_object_get(body, "status") == NULL)
        validation_add(validation, "status", "is required");
    else if (status == NULL || (strcmp(status, "approved") != 0 && strcmp(status, "rejected") != 0))
        validation_add(validation, "status", "must be approved or rejected");
    validate_optional_text(validation, body, "note", SIZE_MAX);
    if (merged != NULL && !json_is_null(merged) && !json_is_string(merged) && !json_is_real(merged))
        validation_add(validation, "merged_id", "must be a number or a string");
}

static void mark(struct app *app, const struct http_request *request,
                 struct http_response *response, const struct suggestion_kind *kind, int64_t id,
                 const char *moderator, const json_t *body)
{
    size_t size, merged_size = 0;
    const char *text = http_request_body(request, &size);
    const char *merged = json_text_member(text, size, "merged_id", &merged_size);
    char *merged_copy = merged != NULL ? strndup(merged, merged_size) : NULL;
    struct suggestion_verdict verdict = {
        .status = json_string_value(json_object_get(body, "status")),
        .moderator = moderator,
        .note = json_string_value(json_object_get(body, "note")),
        .merged_id = merged_copy,
    };
    weir_error error;

    if (merged != NULL && merged_copy == NULL)
        http_reply_detail(response, 500, "out of memory");
    else if (suggestions_mark_status(app->suggestions, kind, id, &verdict,
                                     http_request_deadline(request), &error) != WEIR_OK)
        reply_database_error(response, &error, "");
    else
        reply_done(response, id, verdict.status);
    free(merged_copy);
}

/* A decision or a correction: who makes it, of which suggestion, with what. */
struct moderation {
    struct auth_claims claims;
    const struct suggestion_kind *kind;
    int64_t id;
    json_t *body; /* the caller's to let go of */
};

/* False after the answer was filled in: not a moderator, no such kind or id, no JSON object. */
static bool begin_moderation(const struct app *app, const struct http_request *request,
                             struct http_response *response, struct moderation *moderation)
{
    if (!is_moderator(app, request, response, &moderation->claims))
        return false;
    moderation->kind = find_kind(request, response);
    if (moderation->kind == NULL || !read_id(request, moderation->kind, response, &moderation->id))
        return false;
    moderation->body = read_body(request, response);
    return moderation->body != NULL;
}

void handle_status(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct validation validation = {0};
    struct moderation m;

    if (!begin_moderation(app, request, response, &m))
        return;
    check_verdict(&validation, m.body);
    if (!reply_if_wrong(response, &validation))
        mark(app, request, response, m.kind, m.id, m.claims.sub, m.body);
    json_decref(m.body);
}

static void update(struct app *app, const struct http_request *request,
                   struct http_response *response, const struct suggestion_kind *kind, int64_t id)
{
    size_t size;
    const char *payload = http_request_body(request, &size);
    weir_error error;

    weir_status status = suggestions_update_payload(app->suggestions, kind, id, payload,
                                                    http_request_deadline(request), &error);
    if (status == WEIR_OK)
        reply_done(response, id, "updated");
    else if (status == WEIR_QUERY && strncmp(error.sqlstate, "22", 2) == 0)
        http_reply_detail(response, 422, "the database cannot hold this: %s", error.text);
    else
        reply_database_error(response, &error, "");
}

void handle_payload(void *arg, const struct http_request *request, struct http_response *response)
{
    struct app *app = arg;
    struct validation validation = {0};
    struct moderation m;

    if (!begin_moderation(app, request, response, &m))
        return;
    validate_absent(&validation, m.body, suggestion_reserved, SUGGESTION_RESERVED_COUNT,
                    "is set by a decision, not here");
    if (!reply_if_wrong(response, &validation))
        update(app, request, response, m.kind, m.id);
    json_decref(m.body);
}
