/* SPDX-License-Identifier: MIT */
/* SuggestionService: one statement per act, in the words of each engine. */
#include "suggestion_service.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "managers/suggestions_db_manager.h"
#include "suggestion_tables.h"
#include "text/json_text.h"
#include "text/text.h"

struct suggestion_service {
    struct managed_db *manager;
    /* Whether the tables are known to be there. Set by whoever made sure, cleared when a statement
     * misses one; a stale value costs one look too many or one failed statement. */
    _Atomic bool is_prepared;
};

static const struct db_retry retry = DB_RETRY_DEFAULT;

weir_status suggestion_service_open(const char *url, const char *main_url,
                                    struct suggestion_service **ret_service, weir_error *reterr)
{
    struct managed_db *manager = suggestions_db_manager();
    const char *chosen = url != NULL && url[0] != '\0' ? url : main_url;

    if (chosen != NULL && !managed_db_is_initialized(manager)) {
        weir_status status = managed_db_initialize(manager, chosen, NULL, reterr);
        if (status != WEIR_OK && status != WEIR_ALREADY)
            return status;
    }
    struct suggestion_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open SuggestionService: out of memory");
    service->manager = manager;
    *ret_service = service;
    return WEIR_OK;
}

void suggestion_service_close(struct suggestion_service *service)
{
    free(service);
}

weir_status suggestions_prepare(struct suggestion_service *service, weir_time deadline,
                                weir_error *reterr)
{
    if (atomic_load(&service->is_prepared))
        return WEIR_OK;
    weir_status status = suggestion_tables_make(service->manager, deadline, reterr);
    if (status == WEIR_OK)
        atomic_store(&service->is_prepared, true);
    return status;
}

/* The column that holds the payload. */
static const char *payload_column(const struct suggestion_kind *kind)
{
    return kind->is_case_analyzer ? "data" : "payload";
}

/* Look for missing tables again when a statement did not find one. */
static weir_status noted(struct suggestion_service *service, weir_status status, weir_error *error,
                         weir_error *reterr)
{
    if (status == WEIR_QUERY && strcmp(error->sqlstate, "42P01") == 0)
        atomic_store(&service->is_prepared, false);
    if (status != WEIR_OK && reterr != NULL)
        *reterr = *error;
    return status;
}

static weir_status is_sqlite(struct suggestion_service *service, bool *ret_is_sqlite,
                             weir_error *reterr)
{
    struct db_handle *handle;

    weir_status status = managed_db_get_engine(service->manager, &handle, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_is_sqlite = strcmp(weir_db_engine(db_handle_db(handle)), "sqlite") == 0;
    managed_db_put_engine(handle);
    return WEIR_OK;
}

/* Prepare, run one statement, free its text. */
static weir_status run(struct suggestion_service *service, char *sql, bool is_repeatable,
                       const weir_param *params, size_t param_count, weir_time deadline,
                       weir_result **ret_result, weir_error *reterr)
{
    weir_error error = {0};

    if (sql == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "make statement: out of memory");
    weir_status status = suggestions_prepare(service, deadline, &error);
    if (status == WEIR_OK)
        status = managed_db_query(service->manager, &retry, is_repeatable, sql, params, param_count,
                                  deadline, ret_result, &error);
    free(sql);
    return noted(service, status, &error, reterr);
}

/* ---- Storing ------------------------------------------------------------------------------ */

weir_status suggestions_save(struct suggestion_service *service, const struct suggestion_kind *kind,
                             const struct suggestion *suggestion, weir_time deadline,
                             int64_t *ret_id, weir_error *reterr)
{
    weir_result *result = NULL;
    const weir_param params[] = {
        {"payload", weir_json(suggestion->payload)},
        {"client_ip", weir_text(suggestion->client_ip)},
        {"user_agent", weir_text(suggestion->user_agent)},
        {"source", weir_text(suggestion->source)},
        {"token_sub", weir_text(suggestion->token_sub)},
        {"username", weir_text(suggestion->username)},
        {"user_email", weir_text(suggestion->user_email)},
        {"model", weir_text(suggestion->model)},
        {"case_citation", weir_text(suggestion->case_citation)},
    };
    size_t count = kind->is_case_analyzer ? 9 : 5;
    char *sql = text_format(
        "INSERT INTO %s (%s, client_ip, user_agent, source, token_sub%s) VALUES (:payload, "
        ":client_ip, :user_agent, :source, :token_sub%s) RETURNING id",
        kind->table, payload_column(kind),
        kind->is_case_analyzer ? ", username, user_email, model, case_citation" : "",
        kind->is_case_analyzer ? ", :username, :user_email, :model, :case_citation" : "");

    weir_status status = run(service, sql, false, params, count, deadline, &result, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_id = weir_result_value(result, 0, 0).integer;
    weir_result_close(result);
    return WEIR_OK;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static char *pending_statement(const struct suggestion_kind *kind, bool sqlite)
{
    const char *column = payload_column(kind);
    struct text sql = {0};

    text_addf(&sql,
              "SELECT id, created_at, %s AS payload, client_ip, user_agent, source, token_sub",
              column);
    if (kind->is_case_analyzer)
        text_add(&sql, ", username, user_email, model, case_citation");
    text_addf(&sql, " FROM %s WHERE ", kind->table);
    text_addf(&sql,
              sqlite ? "json_extract(%s, '$.moderation_status')" : "%s ->> 'moderation_status'",
              column);
    text_add(&sql, " IS NULL ORDER BY created_at DESC, id DESC LIMIT :limit");
    return text_take(&sql);
}

weir_status suggestions_list_pending(struct suggestion_service *service,
                                     const struct suggestion_kind *kind, int64_t limit,
                                     weir_time deadline, char **ret_text, bool *ret_is_utf8,
                                     weir_error *reterr)
{
    const weir_param params[] = {{"limit", weir_int(limit)}};
    weir_result *result = NULL;
    char *json = NULL;
    bool sqlite;

    weir_status status = is_sqlite(service, &sqlite, reterr);
    if (status == WEIR_OK)
        status = run(service, pending_statement(kind, sqlite), true, params, 1, deadline, &result,
                     reterr);
    if (status != WEIR_OK)
        return status;
    status = weir_result_to_json(result, &json, NULL, reterr);
    if (status == WEIR_OK && ret_is_utf8 != NULL)
        *ret_is_utf8 = weir_result_is_utf8(result, NULL, NULL);
    weir_result_close(result);
    if (status != WEIR_OK)
        return status;
    *ret_text = strdup(json);
    free(json);
    if (*ret_text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "list suggestions: out of memory");
    return WEIR_OK;
}

/* ---- Moderating --------------------------------------------------------------------------- */

static char *mark_statement(const struct suggestion_kind *kind, bool sqlite)
{
    const char *column = payload_column(kind);

    if (sqlite)
        return text_format("UPDATE %s SET %s = json_set(%s, '$.moderation_status', :status, "
                           "'$.moderated_by', :moderator, '$.moderation_note', :note, "
                           "'$.merged_record_id', json(:merged)) WHERE id = :id RETURNING id",
                           kind->table, column, column);
    return text_format(
        "UPDATE %s SET %s = %s || jsonb_build_object('moderation_status', CAST(:status AS text), "
        "'moderated_by', CAST(:moderator AS text), 'moderation_note', CAST(:note AS text), "
        "'merged_record_id', CAST(:merged AS jsonb)) WHERE id = CAST(:id AS bigint) RETURNING id",
        kind->table, column, column);
}

static weir_status no_such_id(const struct suggestion_kind *kind, int64_t id, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_NOT_FOUND, "no suggestion with id %lld in %s", (long long)id,
                          kind->name);
}

weir_status suggestions_mark_status(struct suggestion_service *service,
                                    const struct suggestion_kind *kind, int64_t id,
                                    const struct suggestion_verdict *verdict, weir_time deadline,
                                    weir_error *reterr)
{
    const weir_param params[] = {
        {"status", weir_text(verdict->status)},
        {"moderator", weir_text(verdict->moderator)},
        {"note", weir_text(verdict->note != NULL ? verdict->note : "")},
        {"merged", weir_json(verdict->merged_id != NULL ? verdict->merged_id : "null")},
        {"id", weir_int(id)},
    };
    weir_result *result = NULL;
    bool sqlite;

    if (strcmp(verdict->status, "approved") != 0 && strcmp(verdict->status, "rejected") != 0)
        return weir_error_set(reterr, WEIR_INVALID, "status \"%s\": must be approved or rejected",
                              verdict->status);
    weir_status status = is_sqlite(service, &sqlite, reterr);
    /* Retrying it sets the same four values again, so that does no harm. */
    if (status == WEIR_OK)
        status =
            run(service, mark_statement(kind, sqlite), true, params, 5, deadline, &result, reterr);
    if (status != WEIR_OK)
        return status;
    bool is_found = weir_result_row_count(result) > 0;
    weir_result_close(result);
    return is_found ? WEIR_OK : no_such_id(kind, id, reterr);
}

/* What is to be stored in place of `stored`; NULL when memory ran out or `stored` is no object. */
static char *updated_payload(const struct suggestion_kind *kind, const weir_value *stored,
                             const char *payload)
{
    size_t size = strlen(payload);

    if (kind->is_case_analyzer)
        return json_text_merge(stored->text, stored->size, payload, size);
    char *kept =
        json_text_pick(stored->text, stored->size, suggestion_reserved, SUGGESTION_RESERVED_COUNT);
    char *merged = kept != NULL ? json_text_merge(kept, strlen(kept), payload, size) : NULL;
    free(kept);
    return merged;
}

static weir_status read_locked(struct db_session *session, const struct suggestion_kind *kind,
                               int64_t id, weir_result **ret_result, weir_error *reterr)
{
    const weir_param params[] = {{"id", weir_int(id)}};
    char *sql =
        text_format("SELECT %s FROM %s WHERE id = CAST(:id AS bigint)%s", payload_column(kind),
                    kind->table, db_session_is_sqlite(session) ? "" : " FOR UPDATE");

    if (sql == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "make statement: out of memory");
    weir_status status = db_session_query(session, sql, params, 1, ret_result, reterr);
    free(sql);
    if (status == WEIR_OK && weir_result_row_count(*ret_result) == 0) {
        weir_result_close(*ret_result);
        return no_such_id(kind, id, reterr);
    }
    return status;
}

static weir_status write_payload(struct db_session *session, const struct suggestion_kind *kind,
                                 int64_t id, const char *payload, weir_error *reterr)
{
    const weir_param params[] = {{"payload", weir_json(payload)}, {"id", weir_int(id)}};
    char *sql = text_format("UPDATE %s SET %s = :payload WHERE id = CAST(:id AS bigint)",
                            kind->table, payload_column(kind));

    if (sql == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "make statement: out of memory");
    weir_status status = db_session_query(session, sql, params, 2, NULL, reterr);
    free(sql);
    return status;
}

/* The work inside the transaction: read under a lock, put together, write. */
static weir_status replace_locked(struct db_session *session, const struct suggestion_kind *kind,
                                  int64_t id, const char *payload, weir_error *reterr)
{
    weir_result *result = NULL;

    weir_status status = read_locked(session, kind, id, &result, reterr);
    if (status != WEIR_OK)
        return status;
    weir_value stored = weir_result_value(result, 0, 0);
    char *updated = updated_payload(kind, &stored, payload);
    weir_result_close(result);
    if (updated == NULL)
        return weir_error_set(reterr, WEIR_QUERY,
                              "update suggestion %lld in %s: the stored payload is "
                              "not a JSON object, or memory ran out",
                              (long long)id, kind->name);
    status = write_payload(session, kind, id, updated, reterr);
    free(updated);
    return status;
}

static weir_status update_once(struct suggestion_service *service,
                               const struct suggestion_kind *kind, int64_t id, const char *payload,
                               weir_time deadline, weir_error *reterr)
{
    struct db_session session;

    weir_status status = managed_db_get_session(service->manager, deadline, &session, reterr);
    if (status != WEIR_OK)
        return status;
    status = weir_conn_begin(session.conn, WEIR_TX_WRITE, reterr);
    if (status == WEIR_OK) {
        status = replace_locked(&session, kind, id, payload, reterr);
        if (status == WEIR_OK)
            status = db_session_commit(&session, reterr);
        else
            (void)weir_conn_rollback(session.conn, NULL);
    }
    db_session_end(&session);
    return status;
}

weir_status suggestions_update_payload(struct suggestion_service *service,
                                       const struct suggestion_kind *kind, int64_t id,
                                       const char *payload, weir_time deadline, weir_error *reterr)
{
    weir_error error = {0};

    weir_status status = suggestions_prepare(service, deadline, &error);
    if (status == WEIR_OK)
        status = update_once(service, kind, id, payload, deadline, &error);
    /* A deadlock or serialization failure undid the whole transaction. */
    for (int i = 0; i < retry.max_retries && status == WEIR_RETRY; i++)
        status = update_once(service, kind, id, payload, deadline, &error);
    return noted(service, status, &error, reterr);
}
