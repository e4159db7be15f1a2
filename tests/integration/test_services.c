/* SPDX-License-Identifier: MIT */
/* Managers, the Database service and the first data, on SQLite or on PostgreSQL (WEIR_TEST_PG_URL). */
#include "services/database_service.h"
#include "seed.h"

#include "stage.h"

/* ---- Managers ------------------------------------------------------------------------------ */

static void a_manager_says_what_it_misses_before_it_is_initialized(void)
{
    struct db_handle *handle;
    struct db_session session;
    weir_error error;

    check(!managed_db_is_initialized(db_manager()));
    check(managed_db_get_engine(db_manager(), &handle, &error) == WEIR_NOT_READY);
    check_text(error.text, "DatabaseManager not initialized. Call initialize() first.");
    check(managed_db_get_session(suggestions_db_manager(), soon(), &session, &error) ==
          WEIR_NOT_READY);
    check_text(error.text, "SuggestionsDBManager not initialized. Call initialize() first.");
}

static void an_empty_url_is_refused(void)
{
    weir_error error;

    check(managed_db_initialize(db_manager(), "", NULL, &error) == WEIR_INVALID);
    check_text(error.text, "Connection string is required");
    check(managed_db_initialize(db_manager(), NULL, NULL, &error) == WEIR_INVALID);
    check(!managed_db_is_initialized(db_manager()));
}

static void a_malformed_url_leaves_it_uninitialized_and_shows_no_password(void)
{
    weir_error error;

    check(managed_db_initialize(db_manager(), "postgresql://u:geheim@h:port/db", NULL, &error) ==
          WEIR_INVALID);
    check(strstr(error.text, "geheim") == NULL);
    check(!managed_db_is_initialized(db_manager()));
}

static void initialize_again(void)
{
    weir_error error;

    check(managed_db_initialize(db_manager(), file_url("other.db"), NULL, &error) == WEIR_ALREADY);
}

static void the_second_initialize_warns_and_keeps_the_first(void)
{
    struct db_handle *handle;
    weir_error error;

    must(managed_db_initialize(db_manager(), url, NULL, &error), &error);
    check_contains(logged(initialize_again),
                   "WARNING DatabaseManager already initialized, skipping\n");
    must(managed_db_get_engine(db_manager(), &handle, &error), &error);
    check(strstr(weir_db_url(db_handle_db(handle)), "other.db") == NULL);
    managed_db_put_engine(handle);
}

static void check_pool(struct managed_db *manager, int size, int overflow)
{
    struct db_handle *handle;
    weir_error error;

    must(managed_db_get_engine(manager, &handle, &error), &error);
    const weir_pool_options *options = weir_pool_get_options(weir_db_pool(db_handle_db(handle)));
    check_int(options->pool_size, size);
    check_int(options->max_overflow, overflow);
    check_int(options->pool_timeout_ms, 30000);
    check_int(options->pool_recycle_s, 3600);
    check(options->pool_pre_ping);
    managed_db_put_engine(handle);
}

static void each_manager_has_a_pool_of_its_own_with_its_own_defaults(void)
{
    weir_error error;

    must(managed_db_initialize(suggestions_db_manager(), url, NULL, &error), &error);
    check_pool(db_manager(), 5, 10);
    check_pool(suggestions_db_manager(), 3, 5);
}

static void disposing_is_idempotent_and_initializing_works_again(void)
{
    struct db_handle *handle;
    struct db_session session;
    weir_error error;

    must(managed_db_get_engine(db_manager(), &handle, &error), &error);
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    check(!managed_db_is_initialized(db_manager()));
    /* Who still held the engine finds it closed, not gone. */
    weir_conn *conn;
    check(weir_db_acquire(db_handle_db(handle), soon(), &conn, &error) == WEIR_CLOSED);
    managed_db_put_engine(handle);

    must(managed_db_initialize(db_manager(), url, NULL, &error), &error);
    must(managed_db_get_session(db_manager(), soon(), &session, &error), &error);
    db_session_end(&session);
}

static void disposing_waits_for_sessions_until_its_deadline(void)
{
    struct db_session session;
    weir_error error;

    must(managed_db_get_session(db_manager(), soon(), &session, &error), &error);
    check(managed_db_dispose(db_manager(), weir_deadline_in(50), &error) == WEIR_TIMEOUT);
    check_contains(error.text, "test_services.c");
    check(!managed_db_is_initialized(db_manager()));
    db_session_end(&session);
    must(managed_db_initialize(db_manager(), url, NULL, &error), &error);
}

static void the_pools_timeout_is_enforced(void)
{
    struct managed_db_options options = db_manager()->defaults;
    struct db_session session, second;
    weir_error error;

    options.pool_size = 1;
    options.max_overflow = 0;
    options.pool_timeout_ms = 2000; /* the first one has to connect in it */
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    must(managed_db_initialize(db_manager(), url, &options, &error), &error);
    must(managed_db_get_session(db_manager(), soon(), &session, &error), &error);
    weir_time before = weir_now();
    check(managed_db_get_session(db_manager(), soon(), &second, &error) == WEIR_TIMEOUT);
    check(weir_now() - before >= 2 * WEIR_SECOND);
    db_session_end(&session);
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    must(managed_db_initialize(db_manager(), url, NULL, &error), &error);
}

static void echo_a_query(void)
{
    const weir_param params[] = {{"x", weir_text("a parameter")}};
    static const struct db_retry retry = DB_RETRY_NONE;
    weir_result *result;
    weir_error error;

    must(managed_db_query(db_manager(), &retry, true, "SELECT CAST(:x AS text) AS y", params, 1,
                          soon(), &result, &error),
         &error);
    weir_result_close(result);
}

static void echo_logs_statements_without_their_parameters(void)
{
    struct managed_db_options options = db_manager()->defaults;
    weir_error error;

    options.echo = true;
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    must(managed_db_initialize(db_manager(), url, &options, &error), &error);
    log_set_level(LOG_LEVEL_INFO);
    const char *text = logged(echo_a_query);
    log_set_level(LOG_LEVEL_WARNING);
    check_contains(text, "SELECT CAST(:x AS text) AS y");
    check(strstr(text, "a parameter") == NULL);
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    must(managed_db_initialize(db_manager(), url, NULL, &error), &error);
}

/* ---- Database ------------------------------------------------------------------------------ */

static struct database_service *database;

static void set_the_stage(void)
{
    weir_error error;

    must(database_service_open(url, NULL, &database, &error), &error);
    script(db_manager(),
           "CREATE TABLE \"Answers\" (\"ID\" VARCHAR(20) PRIMARY KEY, \"Text\" TEXT);"
           "INSERT INTO \"Answers\" VALUES ('CHE_1', 'yes'), ('CHE_2', 'no'), ('FRA_1', NULL);"
           "CREATE TABLE numbers (id INTEGER PRIMARY KEY, big BIGINT, x DOUBLE PRECISION);"
           "INSERT INTO numbers VALUES (1, 9007199254740993, 0.5), (2, NULL, NULL);"
           "CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b));"
           "INSERT INTO pairs VALUES (2, 1), (1, 2), (1, 1);"
           "CREATE TABLE heap (word TEXT);"
           "INSERT INTO heap VALUES ('b'), ('a');"
           "CREATE TABLE amounts (amount NUMERIC(10,2) PRIMARY KEY);"
           "INSERT INTO amounts VALUES (1.50);"
           "CREATE TABLE \"odd \"\"name\"\"; DROP TABLE heap; --\" (id INTEGER PRIMARY KEY);"
           "CREATE VIEW words AS SELECT word FROM heap;");
}

static char *rows(const char *table, int64_t limit, int64_t offset)
{
    char *text = NULL;
    weir_error error;

    must(database_get_rows(database, table, limit, offset, soon(), &text, NULL, &error), &error);
    return text;
}

static char *row(const char *table, const char *id)
{
    char *text = NULL;
    weir_error error;

    must(database_get_entry_by_id(database, table, id, soon(), &text, NULL, &error), &error);
    return text;
}

static void absent(const char *table, const char *id)
{
    check(row(table, id) == NULL);
}

static void tables_are_listed_without_the_hidden_ones(void)
{
    static const char *const hidden[] = {"heap", "words", NULL};
    char *text = NULL;
    weir_error error;

    must(database_get_table_names(database, hidden, soon(), &text, &error), &error);
    same_json(text, "[\"Answers\",\"amounts\",\"numbers\",\"odd \\\"name\\\"; DROP TABLE heap; "
                    "--\",\"pairs\"]");
    must(database_get_table_names(database, NULL, soon(), &text, &error), &error);
    check_contains(text, "\"words\"");
    free(text);
}

static void rows_come_in_the_order_of_the_key_page_by_page(void)
{
    same_json(rows("Answers", 2, 0),
              "[{\"ID\":\"CHE_1\",\"Text\":\"yes\"},{\"ID\":\"CHE_2\",\"Text\":\"no\"}]");
    same_json(rows("Answers", 2, 2), "[{\"ID\":\"FRA_1\",\"Text\":null}]");
    same_json(rows("Answers", 2, 4), "[]");
    same_json(rows("pairs", 10, 0), "[{\"a\":1,\"b\":1},{\"a\":1,\"b\":2},{\"a\":2,\"b\":1}]");
    same_json(rows("heap", 10, 0), "[{\"word\":\"b\"},{\"word\":\"a\"}]");
    same_json(rows("words", 1, 1), "[{\"word\":\"a\"}]");
    same_json(rows("odd \"name\"; DROP TABLE heap; --", 10, 0), "[]");
}

static void a_row_is_found_by_its_id_in_the_columns_own_type(void)
{
    same_json(row("Answers", "CHE_2"), "{\"ID\":\"CHE_2\",\"Text\":\"no\"}");
    same_json(row("numbers", "1"), "{\"id\":1,\"big\":9007199254740993,\"x\":0.5}");
    absent("Answers", "che_2");
    absent("Answers", "CHE_2' OR '1'='1");
    absent("numbers", "3");
    absent("numbers", "abc");
    absent("numbers", "1.0");
    absent("numbers", "1 ");
    absent("numbers", "2147483648");
    absent("numbers", "99999999999999999999");
    absent("amounts", "nothing");
}

static void a_table_without_a_single_key_has_no_rows_by_id(void)
{
    char *text = NULL;
    weir_error error;

    check(database_get_entry_by_id(database, "pairs", "1", soon(), &text, NULL, &error) ==
          WEIR_INVALID);
    check_contains(error.text, "no single-column primary key");
    check(database_get_entry_by_id(database, "words", "a", soon(), &text, NULL, &error) ==
          WEIR_INVALID);
}

static void an_unknown_table_is_named(void)
{
    char *text = NULL;
    weir_error error;

    check(database_get_rows(database, "answers; --", 1, 0, soon(), &text, NULL, &error) ==
          WEIR_NOT_FOUND);
    check_text(error.text, "no table named \"answers; --\"");
    check(database_get_entry_by_id(database, "none", "1", soon(), &text, NULL, &error) ==
          WEIR_NOT_FOUND);
    check_text(error.text, "no table named \"none\"");
}

static void a_table_made_or_changed_later_is_found(void)
{
    script(db_manager(), "CREATE TABLE late (id INTEGER PRIMARY KEY); INSERT INTO late VALUES (7)");
    same_json(row("late", "7"), "{\"id\":7}");
    script(db_manager(),
           "DROP TABLE late;"
           "CREATE TABLE late (code TEXT PRIMARY KEY); INSERT INTO late VALUES ('x')");
    same_json(row("late", "x"), "{\"code\":\"x\"}");
    script(db_manager(), "DROP TABLE late");
    char *text = NULL;
    weir_error error;
    check(database_get_rows(database, "late", 1, 0, soon(), &text, NULL, &error) == WEIR_NOT_FOUND);
}

static weir_status execute(const struct db_retry *retry, const char *sql, bool is_repeatable,
                           weir_time deadline, char **ret_text, weir_error *error)
{
    const weir_param params[] = {{"id", weir_text("CHE_1")}};
    weir_result *result = NULL;
    size_t size;

    weir_status status =
        managed_db_query(db_manager(), retry, is_repeatable, sql, params,
                         strstr(sql, ":id") != NULL ? 1 : 0, deadline, &result, error);
    if (status != WEIR_OK)
        return status;
    status = weir_result_to_json(result, ret_text, &size, error);
    weir_result_close(result);
    return status;
}

static void queries_take_named_parameters_and_give_rows_or_an_empty_list(void)
{
    static const struct db_retry retry = DB_RETRY_DEFAULT;
    char *text = NULL;
    weir_error error;

    must(execute(&retry, "SELECT \"Text\" FROM \"Answers\" WHERE \"ID\" = :id", true, soon(), &text,
                 &error),
         &error);
    same_json(text, "[{\"Text\":\"yes\"}]");
    must(execute(&retry, "SELECT 1 AS x FROM \"Answers\" WHERE 1 = 0", true, soon(), &text, &error),
         &error);
    same_json(text, "[]");
}

static void a_wrong_query_is_an_error_with_sqlstate_and_message(void)
{
    static const struct db_retry retry = DB_RETRY_DEFAULT;
    char *text = NULL;
    weir_error error;

    check(execute(&retry, "SELEKT 1", true, soon(), &text, &error) == WEIR_QUERY);
    check_text(error.sqlstate, "42601");
    check_contains(error.text, "SELEKT");
    check(text == NULL);
}

static void empty_results_are_repeated_only_when_asked_for(void)
{
    const struct db_retry asked = {2, 40, true};
    const char *nothing = "SELECT 1 AS x FROM heap WHERE 1 = 0";
    char *text = NULL;
    weir_error error;

    weir_time before = weir_now();
    must(execute(&asked, nothing, true, soon(), &text, &error), &error);
    check(weir_now() - before >= 80 * WEIR_MS);
    same_json(text, "[]");

    /* Never beyond the deadline, which the pause would be. */
    const struct db_retry slow = {2, 20000, true};
    before = weir_now();
    must(execute(&slow, nothing, true, weir_deadline_in(5000), &text, &error), &error);
    check(weir_now() - before < 15 * WEIR_SECOND);
    same_json(text, "[]");

    const struct db_retry plain = {2, 20000, false};
    before = weir_now();
    must(execute(&plain, nothing, true, soon(), &text, &error), &error);
    check(weir_now() - before < 15 * WEIR_SECOND);
    same_json(text, "[]");
}

/* ---- Repetitions, on PostgreSQL, where a sequence counts attempts and no rollback takes back -- */

/* How often a statement was tried since the last call. */
static int64_t attempts(void)
{
    const char *sql =
        "SELECT setval('attempts', 1, false), old FROM (SELECT CASE WHEN is_called THEN "
        "last_value ELSE 0 END AS old FROM attempts) AS q";
    char *text = NULL;
    weir_error error;

    static const struct db_retry retry = DB_RETRY_DEFAULT;
    must(execute(&retry, sql, true, soon(), &text, &error), &error);
    json_t *rows_json = json_loads(text != NULL ? text : "[]", 0, NULL);
    int64_t count = json_integer_value(json_object_get(json_array_get(rows_json, 0), "old"));
    json_decref(rows_json);
    free(text);
    return count;
}

static weir_status call(const char *sql, bool is_repeatable, weir_error *error)
{
    const struct db_retry quick = {3, 5, false};
    char *text = NULL;

    weir_status status = execute(&quick, sql, is_repeatable, soon(), &text, error);
    free(text);
    return status;
}

static void transient_errors_are_repeated_where_that_is_safe(void)
{
    weir_error error;

    script(
        db_manager(),
        "CREATE SEQUENCE attempts;"
        "CREATE FUNCTION fail_until(n bigint, code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
        "IF nextval('attempts') < n THEN RAISE EXCEPTION 'not yet' USING ERRCODE = code; END IF; "
        "RETURN 1; END $$;"
        "CREATE FUNCTION vanish() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM "
        "nextval('attempts'); PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM "
        "pg_sleep(5); RETURN 1; END $$;");
    /* A serialization failure and a deadlock undid the statement, whatever it was. */
    must(call("SELECT fail_until(3, '40001')", false, &error), &error);
    check_int(attempts(), 3);
    must(call("SELECT fail_until(2, '40P01')", false, &error), &error);
    check_int(attempts(), 2);
    check(call("SELECT fail_until(99, '40001')", true, &error) == WEIR_RETRY);
    check_int(attempts(), 4);
    /* Anything else would fail again. */
    check(call("SELECT fail_until(99, '22012')", true, &error) == WEIR_QUERY);
    check_int(attempts(), 1);
    /* After a lost connection nobody knows, so only what may run twice is repeated. */
    check(call("SELECT vanish()", false, &error) == WEIR_DISCONNECTED);
    check_int(attempts(), 1);
    check(call("SELECT vanish()", true, &error) == WEIR_DISCONNECTED);
    check_int(attempts(), 4);
}

/* ---- First data ---------------------------------------------------------------------------- */

static void seed_into(const char *name, const char *path)
{
    weir_error error;

    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    must(managed_db_initialize(db_manager(), file_url(name), NULL, &error), &error);
    must(seed_jurisdictions(db_manager(), path, soon(), &error), &error);
}

static int64_t count_tables(void)
{
    static const struct db_retry retry = DB_RETRY_NONE;
    weir_result *result = NULL;
    weir_error error;

    must(managed_db_query(db_manager(), &retry, true,
                          "SELECT count(*) FROM sqlite_master WHERE "
                          "type = 'table'",
                          NULL, 0, soon(), &result, &error),
         &error);
    int64_t count = weir_result_value(result, 0, 0).integer;
    weir_result_close(result);
    return count;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    check(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void an_empty_database_gets_the_countries_once(void)
{
    char path[512];
    weir_error error;

    snprintf(path, sizeof path, "%s/iso.json", directory);
    write_file(path,
               "{\"3166-1\":[{\"alpha_2\":\"CH\",\"alpha_3\":\"CHE\",\"name\":\"Switzerland\","
               "\"numeric\":\"756\",\"official_name\":\"Swiss Confederation\",\"flag\":\"f\"},"
               "{\"alpha_2\":\"AW\",\"alpha_3\":\"ABW\",\"name\":\"Aruba\"}]}");
    seed_into("seeded.db", path);
    same_json(row("Jurisdictions", "CHE"),
              "{\"Alpha-3 Code\":\"CHE\",\"Alpha-2 Code\":\"CH\",\"Numeric Code\":\"756\",\"Name\":"
              "\"Switzerland\",\"Official Name\":\"Swiss Confederation\",\"Common Name\":null,"
              "\"Flag\":\"f\"}");
    script(db_manager(), "DELETE FROM \"Jurisdictions\"");
    must(seed_jurisdictions(db_manager(), path, soon(), &error), &error);
    same_json(rows("Jurisdictions", 10, 0), "[]");
    forget("seeded.db");
    unlink(path);
}

static void a_database_with_any_table_is_left_alone(void)
{
    weir_error error;

    seed_into("other.db", "/nowhere/iso.json");
    script(db_manager(), "CREATE TABLE mine (id INTEGER PRIMARY KEY)");
    must(seed_jurisdictions(db_manager(), "/nowhere/iso.json", soon(), &error), &error);
    check_int(count_tables(), 1);
    forget("other.db");
}

static void seed_from_nowhere(void)
{
    seed_into("empty.db", "/nowhere/iso.json");
}

static void seed_from_rubbish(void)
{
    char path[512];

    snprintf(path, sizeof path, "%s/rubbish.json", directory);
    write_file(path, "{\"3166-2\":[]}");
    seed_into("empty.db", path);
    unlink(path);
}

static void without_iso_codes_there_is_a_warning_and_no_table(void)
{
    check_contains(logged(seed_from_nowhere), "WARNING no table Jurisdictions: cannot read");
    check_int(count_tables(), 0);
    check_contains(logged(seed_from_rubbish), "has no list \"3166-1\"");
    check_int(count_tables(), 0);
    forget("empty.db");
}

static void a_half_filled_table_is_never_left_behind(void)
{
    char path[512];
    weir_error error;

    snprintf(path, sizeof path, "%s/twice.json", directory);
    write_file(path, "{\"3166-1\":[{\"alpha_3\":\"CHE\",\"name\":\"a\"},{\"alpha_3\":\"CHE\","
                     "\"name\":\"b\"}]}");
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    must(managed_db_initialize(db_manager(), file_url("half.db"), NULL, &error), &error);
    check(seed_jurisdictions(db_manager(), path, soon(), &error) == WEIR_QUERY);
    check_int(count_tables(), 0);
    unlink(path);
    must(managed_db_dispose(db_manager(), soon(), &error), &error);
    forget("half.db");
}

static void everything_was_given_back(void)
{
    database_service_close(database);
    dispose_all();
}

static void run_managers(void)
{
    run(a_manager_says_what_it_misses_before_it_is_initialized);
    run(an_empty_url_is_refused);
    run(a_malformed_url_leaves_it_uninitialized_and_shows_no_password);
    run(the_second_initialize_warns_and_keeps_the_first);
    run(each_manager_has_a_pool_of_its_own_with_its_own_defaults);
    run(disposing_is_idempotent_and_initializing_works_again);
    run(disposing_waits_for_sessions_until_its_deadline);
    run(the_pools_timeout_is_enforced);
    run(echo_logs_statements_without_their_parameters);
}

static void run_database(void)
{
    run(set_the_stage);
    run(tables_are_listed_without_the_hidden_ones);
    run(rows_come_in_the_order_of_the_key_page_by_page);
    run(a_row_is_found_by_its_id_in_the_columns_own_type);
    run(a_table_without_a_single_key_has_no_rows_by_id);
    run(an_unknown_table_is_named);
    run(a_table_made_or_changed_later_is_found);
    run(queries_take_named_parameters_and_give_rows_or_an_empty_list);
    run(a_wrong_query_is_an_error_with_sqlstate_and_message);
    run(empty_results_are_repeated_only_when_asked_for);
    if (!on_sqlite)
        run(transient_errors_are_repeated_where_that_is_safe);
}

int main(void)
{
    if (!open_stage())
        return 1;
    run_managers();
    run_database();
    if (on_sqlite) {
        run(an_empty_database_gets_the_countries_once);
        run(a_database_with_any_table_is_left_alone);
        run(without_iso_codes_there_is_a_warning_and_no_table);
        run(a_half_filled_table_is_never_left_behind);
    }
    run(everything_was_given_back);
    close_stage();
    return check_done();
}
