/* SPDX-License-Identifier: MIT */
/* SuggestionService on SQLite or on PostgreSQL (WEIR_TEST_PG_URL). */
#include "services/suggestion_service.h"

#include "stage.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- Suggestions --------------------------------------------------------------------------- */

static struct suggestion_service *suggestions;

static void the_tables_are_made_when_missing_and_never_altered(void)
{
    weir_error error;
    struct suggestion_service *again = NULL;

    must(suggestion_service_open(NULL, url, &suggestions, &error), &error);
    script(suggestions_db_manager(),
           on_sqlite
               ? "CREATE TABLE suggestions_literature (id INTEGER PRIMARY KEY, created_at "
                 "TIMESTAMP DEFAULT CURRENT_TIMESTAMP, payload JSON NOT NULL, client_ip TEXT, "
                 "user_agent TEXT, source TEXT, token_sub TEXT, extra TEXT)"
               : "CREATE TABLE suggestions_literature (id SERIAL PRIMARY KEY, created_at "
                 "TIMESTAMPTZ DEFAULT now(), payload JSONB NOT NULL, client_ip TEXT, "
                 "user_agent TEXT, source TEXT, token_sub TEXT, extra TEXT)");
    must(suggestions_prepare(suggestions, soon(), &error), &error);
    must(suggestions_prepare(suggestions, soon(), &error), &error);
    must(suggestion_service_open(NULL, url, &again, &error), &error);
    must(suggestions_prepare(again, soon(), &error), &error);
    suggestion_service_close(again);

    struct db_handle *handle;
    weir_schema *schema = NULL;
    must(managed_db_get_engine(suggestions_db_manager(), &handle, &error), &error);
    must(weir_db_reflect(db_handle_db(handle), &schema, &error), &error);
    for (const char *const *table = suggestion_tables(); *table != NULL; table++)
        check(weir_schema_find(schema, *table) != NULL);
    const weir_table *kept = weir_schema_find(schema, "suggestions_literature");
    check_text(kept->columns[kept->column_count - 1].name, "extra");
    weir_schema_close(schema);
    managed_db_put_engine(handle);
}

static int64_t save(const char *kind, const char *payload)
{
    struct suggestion suggestion = {.payload = payload, .client_ip = "127.0.0.1"};
    const struct suggestion_kind *found =
        strcmp(kind, "generic") == 0 ? suggestion_kind_generic() : suggestion_kind_find(kind);
    int64_t id = 0;
    weir_error error;

    must(suggestions_save(suggestions, found, &suggestion, soon(), &id, &error), &error);
    check(id > 0);
    return id;
}

/* One field of a stored suggestion, as the text of a JSON array of one object. */
static char *stored(const char *table, const char *column, int64_t id)
{
    static const struct db_retry retry = DB_RETRY_NONE;
    const weir_param params[] = {{"id", weir_int(id)}};
    weir_result *result = NULL;
    char sql[256], *json = NULL, *copy;
    weir_error error;

    snprintf(sql, sizeof sql, "SELECT %s AS it FROM %s WHERE id = CAST(:id AS bigint)", column,
             table);
    must(managed_db_query(suggestions_db_manager(), &retry, true, sql, params, 1, soon(), &result,
                          &error),
         &error);
    must(weir_result_to_json(result, &json, NULL, &error), &error);
    copy = strdup(json);
    free(json);
    weir_result_close(result);
    return copy;
}

static void a_suggestion_is_stored_with_everything_around_it(void)
{
    struct suggestion suggestion = {.payload = "{\"a\":{\"b\":[1,2.50,\"ü\"]}}",
                                    .client_ip = "2001:db8::1",
                                    .user_agent = "agent",
                                    .source = "form"};
    int64_t id = 0;
    weir_error error;

    suggestion.token_sub = "anna";
    must(suggestions_save(suggestions, suggestion_kind_generic(), &suggestion, soon(), &id, &error),
         &error);
    same_json(stored("suggestions_generic", "payload", id),
              "[{\"it\":{\"a\":{\"b\":[1,2.50,\"ü\"]}}}]");
    same_json(stored("suggestions_generic", "client_ip", id), "[{\"it\":\"2001:db8::1\"}]");
    same_json(stored("suggestions_generic", "user_agent", id), "[{\"it\":\"agent\"}]");
    same_json(stored("suggestions_generic", "source", id), "[{\"it\":\"form\"}]");
    same_json(stored("suggestions_generic", "token_sub", id), "[{\"it\":\"anna\"}]");

    suggestion.token_sub = NULL;
    must(suggestions_save(suggestions, suggestion_kind_generic(), &suggestion, soon(), &id, &error),
         &error);
    same_json(stored("suggestions_generic", "token_sub", id), "[{\"it\":null}]");
}

static void numbers_are_stored_as_they_were_written(void)
{
    int64_t id = save("literature", "{\"n\":12345678901234567890123,\"x\":0.10}");
    char *text = stored("suggestions_literature", "payload", id);

    check_contains(text, "12345678901234567890123");
    check_contains(text, "0.10");
    free(text);
}

/* The ids that are pending, in their order, as "3,2,1". */
static const char *pending(const char *kind, int64_t limit)
{
    static char ids[256];
    char *text = NULL;
    size_t i, used = 0;
    json_t *one;
    weir_error error;

    must(suggestions_list_pending(suggestions, suggestion_kind_find(kind), limit, soon(), &text,
                                  NULL, &error),
         &error);
    json_t *all = json_loads(text != NULL ? text : "[]", 0, NULL);
    ids[0] = '\0';
    json_array_foreach(all, i, one) used +=
        (size_t)snprintf(ids + used, sizeof ids - used, "%s%lld", i > 0 ? "," : "",
                         (long long)json_integer_value(json_object_get(one, "id")));
    json_decref(all);
    free(text);
    return ids;
}

static weir_status mark(const char *kind, int64_t id, const char *status, const char *moderator,
                        const char *note, const char *merged, weir_error *error)
{
    struct suggestion_verdict verdict = {status, moderator, note, merged};

    return suggestions_mark_status(suggestions, suggestion_kind_find(kind), id, &verdict, soon(),
                                   error);
}

static void pending_ones_are_listed_newest_first_until_decided(void)
{
    char expected[64];
    weir_error error;
    int64_t a = save("regional-instruments", "{\"n\":1}");
    int64_t b = save("regional-instruments", "{\"n\":2,\"moderation_status\":null}");
    int64_t c = save("regional-instruments", "{\"n\":3}");

    snprintf(expected, sizeof expected, "%lld,%lld,%lld", (long long)c, (long long)b, (long long)a);
    check_text(pending("regional-instruments", 100), expected);
    snprintf(expected, sizeof expected, "%lld,%lld", (long long)c, (long long)b);
    check_text(pending("regional-instruments", 2), expected);
    must(mark("regional-instruments", b, "approved", "anna", "fine", "17", &error), &error);
    must(mark("regional-instruments", c, "rejected", "anna", NULL, NULL, &error), &error);
    snprintf(expected, sizeof expected, "%lld", (long long)a);
    check_text(pending("regional-instruments", 100), expected);
    same_json(stored("suggestions_regional_instruments", "payload", b),
              "[{\"it\":{\"n\":2,\"moderation_status\":\"approved\",\"moderated_by\":\"anna\","
              "\"moderation_note\":\"fine\",\"merged_record_id\":17}}]");
    same_json(stored("suggestions_regional_instruments", "payload", c),
              "[{\"it\":{\"n\":3,\"moderation_status\":\"rejected\",\"moderated_by\":\"anna\","
              "\"moderation_note\":\"\",\"merged_record_id\":null}}]");
}

static void pending_case_analyses_show_their_own_columns(void)
{
    struct suggestion suggestion = {.payload = "{\"k\":1}",
                                    .username = "u",
                                    .user_email = "u@example.org",
                                    .model = "m",
                                    .case_citation = "c"};
    const struct suggestion_kind *kind = suggestion_kind_find("case-analyzer");
    int64_t id;
    char *text = NULL;
    weir_error error;

    must(suggestions_save(suggestions, kind, &suggestion, soon(), &id, &error), &error);
    must(suggestions_list_pending(suggestions, kind, 1, soon(), &text, NULL, &error), &error);
    json_t *all = json_loads(text, 0, NULL);
    const json_t *one = json_array_get(all, 0);
    check_text(json_string_value(json_object_get(one, "user_email")), "u@example.org");
    check_int(json_integer_value(json_object_get(json_object_get(one, "payload"), "k")), 1);
    const char *created = json_string_value(json_object_get(one, "created_at"));
    check(created != NULL && created[10] == 'T' && strlen(created) > 19);
    json_decref(all);
    free(text);
}

static void unknown_statuses_and_ids_are_errors(void)
{
    weir_error error;
    int64_t id = save("literature", "{}");

    check(mark("literature", id, "maybe", "anna", NULL, NULL, &error) == WEIR_INVALID);
    check_contains(error.text, "approved or rejected");
    check(mark("literature", id + 1000, "approved", "anna", NULL, NULL, &error) == WEIR_NOT_FOUND);
    check_contains(error.text, "no suggestion with id");
    check(suggestions_update_payload(suggestions, suggestion_kind_find("literature"), id + 1000,
                                     "{}", soon(), &error) == WEIR_NOT_FOUND);
    check(suggestion_kind_find("generic") == NULL);
    check(suggestion_kind_find("nothing") == NULL);
}

static void a_payload_is_replaced_and_a_decision_survives_it(void)
{
    const struct suggestion_kind *kind = suggestion_kind_find("literature");
    weir_error error;
    int64_t id = save("literature", "{\"a\":1,\"b\":2}");

    must(suggestions_update_payload(suggestions, kind, id, "{\"c\":3.10}", soon(), &error), &error);
    same_json(stored("suggestions_literature", "payload", id), "[{\"it\":{\"c\":3.10}}]");
    must(mark("literature", id, "approved", "anna", "n", "\"r\"", &error), &error);
    must(suggestions_update_payload(suggestions, kind, id, "{\"d\":4}", soon(), &error), &error);
    same_json(stored("suggestions_literature", "payload", id),
              "[{\"it\":{\"d\":4,\"moderation_status\":\"approved\",\"moderated_by\":\"anna\","
              "\"moderation_note\":\"n\",\"merged_record_id\":\"r\"}}]");
}

static void a_case_analysis_is_merged_one_level_deep(void)
{
    const struct suggestion_kind *kind = suggestion_kind_find("case-analyzer");
    weir_error error;
    int64_t id = save("case-analyzer", "{\"a\":1,\"b\":{\"x\":1},\"c\":3}");

    must(suggestions_update_payload(suggestions, kind, id, "{\"b\":{\"y\":2},\"c\":null}", soon(),
                                    &error),
         &error);
    same_json(stored("suggestions_case_analyzer", "data", id),
              "[{\"it\":{\"a\":1,\"b\":{\"y\":2},\"c\":null}}]");
}

/* ---- Two moderators at once ---------------------------------------------------------------- */

#define ROUNDS 25

static int64_t contested;
static _Atomic int failures;

static void *decide(void *arg)
{
    const char *moderator = arg;
    char note[32];

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(note, sizeof note, "%s %d", moderator, i);
        if (mark("case-analyzer", contested, moderator[0] == 'a' ? "approved" : "rejected",
                 moderator, note, NULL, NULL) != WEIR_OK)
            atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

static void *correct(void *arg)
{
    char payload[64];

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(payload, sizeof payload, "{\"%s%d\":%d}", (const char *)arg, i, i);
        if (suggestions_update_payload(suggestions, suggestion_kind_find("case-analyzer"),
                                       contested, payload, soon(), NULL) != WEIR_OK)
            atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

static void moderators_at_once_lose_nothing_of_each_other(void)
{
    static char names[4][8] = {"anna", "bert", "x", "y"};
    pthread_t threads[4];

    contested = save("case-analyzer", "{\"first\":true}");
    atomic_store(&failures, 0);
    for (int i = 0; i < 4; i++)
        check(pthread_create(&threads[i], NULL, i < 2 ? decide : correct, names[i]) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check_int(atomic_load(&failures), 0);

    char *text = stored("suggestions_case_analyzer", "data", contested);
    json_t *all = json_loads(text, 0, NULL);
    const json_t *data = json_object_get(json_array_get(all, 0), "it");
    /* The first member, every correction of both, and one decision, whole. */
    check_int(json_object_size(data), 1 + 2 * ROUNDS + 4);
    const char *status = json_string_value(json_object_get(data, "moderation_status"));
    const char *by = json_string_value(json_object_get(data, "moderated_by"));
    const char *note = json_string_value(json_object_get(data, "moderation_note"));
    check(status != NULL && by != NULL && note != NULL);
    check(strncmp(note, by, strlen(by)) == 0);
    check_text(status, by[0] == 'a' ? "approved" : "rejected");
    json_decref(all);
    free(text);
}

static void a_dropped_table_is_made_again(void)
{
    struct suggestion suggestion = {.payload = "{}"};
    const struct suggestion_kind *kind = suggestion_kind_find("court-decisions");
    int64_t id = 0;
    weir_error error;

    script(suggestions_db_manager(), "DROP TABLE suggestions_court_decisions");
    check(suggestions_save(suggestions, kind, &suggestion, soon(), &id, &error) == WEIR_QUERY);
    check_text(error.sqlstate, "42P01");
    must(suggestions_save(suggestions, kind, &suggestion, soon(), &id, &error), &error);
    check_int(id, 1);
}

static void everything_was_given_back(void)
{
    suggestion_service_close(suggestions);
    dispose_all();
}

int main(void)
{
    if (!open_stage())
        return 1;
    run(the_tables_are_made_when_missing_and_never_altered);
    run(a_suggestion_is_stored_with_everything_around_it);
    run(numbers_are_stored_as_they_were_written);
    run(pending_ones_are_listed_newest_first_until_decided);
    run(pending_case_analyses_show_their_own_columns);
    run(unknown_statuses_and_ids_are_errors);
    run(a_payload_is_replaced_and_a_decision_survives_it);
    run(a_case_analysis_is_merged_one_level_deep);
    run(moderators_at_once_lose_nothing_of_each_other);
    run(a_dropped_table_is_made_again);
    run(everything_was_given_back);
    close_stage();
    return check_done();
}
