/* SPDX-License-Identifier: MIT */
/* What users propose: checked field by field, then stored as it was sent. */
#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "text/json_text.h"
#include "text/parse.h"
#include "text/text.h"
#include "common/utf8.h"

#define MAX_SOURCE 256

/* What each kind's fields must be, beside the submitter's that all have. */
struct field {
    const char *kind;
    const char *name;
    bool is_date;
};

static const struct field required_fields[] = {
    {"court-decisions", "case_citation", false},
    {"court-decisions", "date_publication", true},
    {"court-decisions", "official_source_url", false},
    {"court-decisions", "copyright_issues", false},
    {"domestic-instruments", "jurisdiction_link", false},
    {"domestic-instruments", "official_title", false},
    {"domestic-instruments", "title_en", false},
    {"domestic-instruments", "entry_into_force", true},
    {"domestic-instruments", "source_url", false},
    {"regional-instruments", "abbreviation", false},
    {"international-instruments", "name", false},
    {"international-instruments", "url", false},
    {"international-instruments", "instrument_date", true},
};

static const char year_field[] = "date_year_of_entry_into_force";

const struct suggestion_kind *find_kind(const struct http_request *request,
                                        struct http_response *response)
{
    const char *name = http_request_path_param(request, "kind");
    const struct suggestion_kind *kind = suggestion_kind_find(name);

    if (kind == NULL)
        http_reply_detail(response, 404,
                          "no kind of suggestion named \"%s\": there are court-decisions, "
                          "domestic-instruments, regional-instruments, international-instruments, "
                          "literature and case-analyzer",
                          name);
    return kind;
}

/* ---- Checking ----------------------------------------------------------------------------- */

static void check_submitter(struct validation *validation, const json_t *body)
{
    validate_optional_email(validation, body, "submitter_email");
    validate_optional_text(validation, body, "submitter_comments", SIZE_MAX);
}

static void check_reserved(struct validation *validation, const json_t *payload)
{
    validate_absent(validation, payload, suggestion_reserved, SUGGESTION_RESERVED_COUNT,
                    "is set by moderation only");
}

/* A whole number or its digits, as the year of a date. */
static void check_year(struct validation *validation, const json_t *body)
{
    const json_t *year = json_object_get(body, year_field);
    int64_t number;

    if (year == NULL || json_is_null(year))
        return;
    if (json_is_real(year)) {
        double value = json_real_value(year);
        if (value >= 1 && value <= 9999 && value == (double)(int)value)
            return;
    } else if (json_is_string(year) && parse_integer(json_string_value(year), 1, 9999, &number)) {
        return;
    }
    validation_add(validation, year_field, "must be a year from 1 to 9999");
}

static void check_case_analyzer(struct validation *validation, const json_t *body)
{
    static const char *const columns[] = {"username", "user_email", "model", "case_citation"};

    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        validate_optional_text(validation, body, columns[i], SIZE_MAX);
}

static void check_kind(struct validation *validation, const struct suggestion_kind *kind,
                       const json_t *body)
{
    for (size_t i = 0; i < sizeof required_fields / sizeof *required_fields; i++) {
        const struct field *field = &required_fields[i];
        if (strcmp(field->kind, kind->name) != 0)
            continue;
        if (field->is_date)
            validate_required_date(validation, body, field->name);
        else
            validate_required_text(validation, body, field->name);
    }
    if (strcmp(kind->name, "domestic-instruments") == 0)
        check_year(validation, body);
    if (kind->is_case_analyzer)
        check_case_analyzer(validation, body);
    check_submitter(validation, body);
    check_reserved(validation, body);
}

static void check_source_header(struct validation *validation, const char *source)
{
    json_t *object;

    if (source == NULL)
        return;
    if (!utf8_is_valid(source, strlen(source))) {
        validation_add(validation, "source", "must be UTF-8");
        return;
    }
    object = json_pack("{s:s}", "source", source);
    validate_optional_text(validation, object, "source", MAX_SOURCE);
    json_decref(object);
}

/* ---- Storing ------------------------------------------------------------------------------ */

/* A header may hold any byte; what is not UTF-8 becomes U+FFFD. malloc'ed. */
static char *readable(const char *header)
{
    struct text out = {0};

    text_add_repaired(&out, header);
    return text_take(&out);
}

/* Whether a failed INSERT may have been stored all the same: its connection broke, or it was stopped
 * at its deadline (57014; an acquire that came too late has no SQLSTATE, a lock not had has 55P03). */
static bool is_outcome_unknown(const weir_error *error)
{
    return error->status == WEIR_DISCONNECTED ||
           (error->status == WEIR_TIMEOUT && strcmp(error->sqlstate, "57014") == 0);
}

/* Store, and answer 201 or what went wrong. `payload` is taken over; NULL: memory ran out. */
static void store(const struct app *app, const struct http_request *request,
                  struct http_response *response, const struct suggestion_kind *kind, char *payload,
                  struct suggestion *suggestion)
{
    const char *agent = http_request_header(request, "User-Agent");
    char *user_agent = agent != NULL ? readable(agent) : NULL;
    weir_error error;
    int64_t id;

    if (payload == NULL || (agent != NULL && user_agent == NULL)) {
        http_reply_detail(response, 500, "out of memory");
    } else {
        suggestion->payload = payload;
        suggestion->client_ip = http_request_client_ip(request);
        suggestion->user_agent = user_agent;
        weir_status status = suggestions_save(app->suggestions, kind, suggestion,
                                              http_request_deadline(request), &id, &error);
        if (status == WEIR_OK)
            reply_json(response, 201,
                       json_pack("{s:I, s:s}", "id", (json_int_t)id, "status", "stored"));
        else if (status == WEIR_QUERY && strncmp(error.sqlstate, "22", 2) == 0)
            http_reply_detail(response, 422, "the database cannot hold this: %s", error.text);
        else if (is_outcome_unknown(&error))
            reply_database_error(response, &error,
                                 "; it is unknown whether the suggestion was stored");
        else
            reply_database_error(response, &error, "");
    }
    free(user_agent);
    free(payload);
}

/* The members of `data`, then the submitter's, as text. */
static char *generic_payload(const struct http_request *request)
{
    static const char *const submitter[] = {"submitter_email", "submitter_comments"};
    size_t size, data_size;
    const char *body = http_request_body(request, &size);
    const char *data = json_text_member(body, size, "data", &data_size);
    char *extra = json_text_pick(body, size, submitter, 2);
    char *payload = NULL;

    if (data != NULL && extra != NULL)
        payload = json_text_merge(data, data_size, extra, strlen(extra));
    free(extra);
    return payload;
}

void handle_suggest_generic(void *arg, const struct http_request *request,
                            struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;
    struct validation validation = {0};

    if (!is_authorized(app, request, response, &claims))
        return;
    json_t *body = read_body(request, response);
    if (body == NULL)
        return;
    validate_required_object(&validation, body, "data");
    validate_optional_text(&validation, body, "source", MAX_SOURCE);
    check_submitter(&validation, body);
    check_reserved(&validation, json_object_get(body, "data"));
    if (!reply_if_wrong(response, &validation)) {
        struct suggestion suggestion = {
            .source = json_string_value(json_object_get(body, "source")),
            .token_sub = claims.sub[0] != '\0' ? claims.sub : NULL,
        };
        store(app, request, response, suggestion_kind_generic(), generic_payload(request),
              &suggestion);
    }
    json_decref(body);
}

/* What we add to a body of that kind, as text. */
static char *added_members(const struct suggestion_kind *kind, const json_t *body)
{
    const json_t *force = json_object_get(body, "entry_into_force");
    const json_t *given = json_object_get(body, year_field);
    int year;

    if (strcmp(kind->name, "domestic-instruments") == 0 && (given == NULL || json_is_null(given)) &&
        parse_date(json_string_value(force), &year))
        return text_format("{\"%s\":%d,\"category\":\"%s\"}", year_field, year, kind->category);
    return text_format("{\"category\":\"%s\"}", kind->category);
}

static char *kind_payload(const struct http_request *request, const struct suggestion_kind *kind,
                          const json_t *body)
{
    size_t size;
    const char *text = http_request_body(request, &size);
    char *added = added_members(kind, body);
    char *payload = added != NULL ? json_text_merge(text, size, added, strlen(added)) : NULL;

    free(added);
    return payload;
}

void handle_suggest_kind(void *arg, const struct http_request *request,
                         struct http_response *response)
{
    struct app *app = arg;
    struct auth_claims claims;
    struct validation validation = {0};

    if (!is_authorized(app, request, response, &claims))
        return;
    const struct suggestion_kind *kind = find_kind(request, response);
    json_t *body = kind != NULL ? read_body(request, response) : NULL;
    if (body == NULL)
        return;
    const char *source = http_request_header(request, "source");
    check_kind(&validation, kind, body);
    check_source_header(&validation, source);
    if (!reply_if_wrong(response, &validation)) {
        struct suggestion suggestion = {
            .source = source,
            .token_sub = claims.sub[0] != '\0' ? claims.sub : NULL,
            .username = json_string_value(json_object_get(body, "username")),
            .user_email = json_string_value(json_object_get(body, "user_email")),
            .model = json_string_value(json_object_get(body, "model")),
            .case_citation = json_string_value(json_object_get(body, "case_citation")),
        };
        store(app, request, response, kind, kind_payload(request, kind, body), &suggestion);
    }
    json_decref(body);
}
