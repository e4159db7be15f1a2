/* SPDX-License-Identifier: MIT */
/* What watching shows of a database. */
#include "db_fixture.h"
#include "unit/metrics_text.h"

#include "db/conn.h"

#include <pthread.h>

static weir_db *db;
static const char *database; /* in the events that are told */

static void open_watched(void)
{
    weir_db_options o = WEIR_DB_OPTIONS_DEFAULT;

    o.pool.name = "fake";
    o.pool.pool_size = 2;
    o.pool.max_overflow = 1;
    db = fixture_open("sqlite:///:memory:?pool_size=2&max_overflow=1", &o);
    database = "shop";
    check_status(weir_metrics_watch_db(registry, db, &e), WEIR_OK, e);
}

static void close_watched(void)
{
    weir_metrics_unwatch_db(registry, db);
    weir_db_close(db);
}

static void tell_statement(const char *operation, weir_time duration, size_t rows,
                           const weir_error *error)
{
    const weir_db_event event = {
        .db = db,
        .engine = "postgresql",
        .database = database,
        .operation = operation,
        .sql = "never shown",
        .duration = duration,
        .rows = rows,
        .status = error != NULL ? error->status : WEIR_OK,
        .error = error,
    };

    db->listeners.entries[0].function(&event, db->listeners.entries[0].arg);
}

#define STATEMENT(operation)                                                                       \
    "{db_system_name=\"postgresql\",db_namespace=\"shop\",db_operation_name=\"" operation          \
    "\",db_client_connection_pool_name=\"fake\""

static void statements_are_shown_by_operation_and_error(void)
{
    weir_error error = {.status = WEIR_QUERY, .sqlstate = "23505"};

    open_metrics();
    open_watched();
    tell_statement("SELECT", 2 * WEIR_MS, 3, NULL);
    tell_statement("SELECT", 4 * WEIR_MS, 0, NULL);
    tell_statement("INSERT", WEIR_MS, 0, NULL);
    tell_statement("INSERT", WEIR_MS, 0, &error);
    error = (weir_error){.status = WEIR_TIMEOUT};
    tell_statement("SELECT", 20 * WEIR_SECOND, 0, &error);
    render();
    check_line("db_client_operation_duration_seconds_count" STATEMENT("SELECT") "} 2");
    check_line("db_client_operation_duration_seconds_sum" STATEMENT("SELECT") "} 0.006");
    check_line(
        "db_client_operation_duration_seconds_bucket" STATEMENT("SELECT") ",le=\"0.001\"} 0");
    check_line(
        "db_client_operation_duration_seconds_bucket" STATEMENT("SELECT") ",le=\"0.005\"} 2");
    check_line("db_client_operation_duration_seconds_count" STATEMENT("INSERT") "} 1");
    check_line("db_client_operation_duration_seconds_count" STATEMENT(
        "INSERT") ",error_type=\"query\",db_response_status_code=\"23505\"} 1");
    check_line("db_client_operation_duration_seconds_bucket" STATEMENT(
        "SELECT") ",error_type=\"timeout\",le=\"10\"} 0");
    check_line("db_client_response_returned_rows_sum" STATEMENT("SELECT") "} 3");
    check_line("db_client_response_returned_rows_count" STATEMENT("SELECT") "} 2");
    check(strstr(text, "returned_rows_count" STATEMENT("INSERT")) == NULL);
    check(strstr(text, "never shown") == NULL);
    close_watched();
    close_metrics();
}

#define COUNT_OF_SELECTS(database)                                                                 \
    "db_client_operation_duration_seconds_count{db_system_name=\"postgresql\",db_namespace="       \
    "\"" database "\",db_operation_name=\"SELECT\",db_client_connection_pool_name=\"fake\"}"

static void databases_that_follow_each_other_are_told_apart(void)
{
    open_metrics();
    open_watched();
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    close_watched();
    open_watched();
    database = "store";
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    close_watched();
    open_watched();
    database = "";
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    close_watched();
    render();
    check_line(COUNT_OF_SELECTS("shop") " 1");
    check_line(COUNT_OF_SELECTS("store") " 2");
    check_line("db_client_operation_duration_seconds_count{db_system_name=\"postgresql\","
               "db_operation_name=\"SELECT\",db_client_connection_pool_name=\"fake\"} 1");
    close_metrics();
}

static void more_operations_than_there_is_room_for_are_counted_too(void)
{
    static char operations[300][8];
    char line[300];

    open_metrics();
    open_watched();
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 200; i++) {
            snprintf(operations[i], sizeof operations[i], "OP%d", i);
            tell_statement(operations[i], WEIR_MS, 0, NULL);
        }
    render();
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof line,
                 "db_client_operation_duration_seconds_count" STATEMENT("OP%d") "} 2", i);
        check_line(line);
    }
    close_watched();
    close_metrics();
}

static void rows_are_counted_from_the_first_statement_that_returns_some(void)
{
    open_metrics();
    open_watched();
    for (size_t rows = 0; rows < 4; rows++)
        tell_statement("INSERT", WEIR_MS, rows, NULL); /* … RETURNING */
    render();
    check_line("db_client_operation_duration_seconds_count" STATEMENT("INSERT") "} 4");
    check_line("db_client_response_returned_rows_count" STATEMENT("INSERT") "} 3");
    check_line("db_client_response_returned_rows_sum" STATEMENT("INSERT") "} 6");
    close_watched();
    close_metrics();
}

#define TELLERS 4
#define TOLD 500

static void *tell_many(void *arg)
{
    static const char *const operations[] = {"SELECT", "INSERT", "UPDATE", "DELETE"};

    for (int i = 0; i < TOLD; i++)
        tell_statement(operations[i % 4], WEIR_MS, 1, NULL);
    return arg;
}

static void statements_of_many_threads_are_all_counted(void)
{
    pthread_t threads[TELLERS];

    open_metrics();
    open_watched();
    for (int i = 0; i < TELLERS; i++)
        pthread_create(&threads[i], NULL, tell_many, NULL);
    for (int i = 0; i < TELLERS; i++)
        pthread_join(threads[i], NULL);
    render();
    check_line("db_client_operation_duration_seconds_count" STATEMENT("SELECT") "} 500");
    check_line("db_client_operation_duration_seconds_count" STATEMENT("DELETE") "} 500");
    check_line("db_client_response_returned_rows_sum" STATEMENT("UPDATE") "} 500");
    close_watched();
    close_metrics();
}

static void ignore(const weir_db_event *event, void *arg)
{
    (void)event, (void)arg;
}

static void a_database_without_room_for_a_listener_is_not_watched(void)
{
    open_metrics();
    db = fixture_open("sqlite:///:memory:", NULL);
    for (int i = 0; i < DB_LISTENERS; i++)
        check_status(weir_db_listen(db, ignore, NULL, &e), WEIR_OK, e);
    check_int(weir_metrics_watch_db(registry, db, &e), WEIR_FULL);
    check_contains(e.text, "8 listeners");
    check_text(render(), "");
    weir_db_close(db);
    open_watched();
    check_int(weir_metrics_watch_db(registry, db, &e), WEIR_ALREADY);
    close_watched();
    close_metrics();
}

static void what_a_database_runs_is_shown(void)
{
    open_metrics();
    open_watched();
    fixture_run_in(db, "SELECT 1");
    render();
    check_line("db_client_operation_duration_seconds_count{db_system_name=\"sqlite\","
               "db_namespace=\":memory:\",db_operation_name=\"SELECT\","
               "db_client_connection_pool_name=\"fake\"} 1");
    check_line("weir_pool_checkouts_total{db_client_connection_pool_name=\"fake\"} 1");
    weir_metrics_unwatch_db(registry, db);
    render();
    check(strstr(text, "weir_pool_checkouts_total") == NULL);
    check_contains(text, "db_client_operation_duration_seconds_count");
    weir_db_close(db);
    close_metrics();
}

int main(void)
{
    fixture_start();
    run(statements_are_shown_by_operation_and_error);
    run(databases_that_follow_each_other_are_told_apart);
    run(rows_are_counted_from_the_first_statement_that_returns_some);
    run(statements_of_many_threads_are_all_counted);
    run(a_database_without_room_for_a_listener_is_not_watched);
    run(more_operations_than_there_is_room_for_are_counted_too);
    run(what_a_database_runs_is_shown);
    fixture_stop();
    return check_done();
}
