/* SPDX-License-Identifier: MIT */
/* What the listener makes of the statements of a database. */
#include "unit/trace_scene.h"

#include <weir/db.h>

static weir_db_event statement(void)
{
    return (weir_db_event){
        .engine = "postgresql",
        .database = "laws",
        .operation = "SELECT",
        .sql = "SELECT name FROM t WHERE id = :id AND code = 'secret'",
        .duration = 3 * WEIR_MS,
        .rows = 2,
        .status = WEIR_OK,
        .connection_id = 7,
    };
}

static void a_statement_is_a_span_without_its_values(void)
{
    weir_db_event event = statement();

    begin_trace();
    weir_trace_on_db_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "SELECT laws");
    check(is_child_of(&span, &root));
    check_int(span.kind, WEIR_SPAN_CLIENT);
    check_int(span.duration, 3 * WEIR_MS);
    check_text(text_of(&span, "db.system.name"), "postgresql");
    check_text(text_of(&span, "db.namespace"), "laws");
    check_text(text_of(&span, "db.operation.name"), "SELECT");
    check_text(text_of(&span, "db.query.text"), "SELECT name FROM t WHERE id = :id AND code = ?");
    check_int(number_of(&span, "db.response.returned_rows"), 2);
    check_int(number_of(&span, "weir.connection.id"), 7);
    check(find_attribute(&span, "db.response.status_code") == NULL && !span.has_failed);
    end_trace();
}

static void a_refused_statement_shows_its_sqlstate_and_not_the_text(void)
{
    weir_db_event event = statement();
    weir_error error = {WEIR_QUERY, 0, "23505", "Key (code)=(secret) already exists"};

    event.status = WEIR_QUERY;
    event.error = &error;
    event.rows = 0;
    begin_trace();
    weir_trace_on_db_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check(span.has_failed && weir_span_message(&span) == NULL);
    check_text(text_of(&span, "error.type"), "23505");
    check_text(text_of(&span, "db.response.status_code"), "23505");
    check(find_attribute(&span, "db.response.returned_rows") == NULL);
    for (size_t i = 0; i < span.attribute_count; i++)
        check(strstr(weir_span_attribute_text(&span, i) == NULL
                         ? ""
                         : weir_span_attribute_text(&span, i),
                     "secret") == NULL);
    end_trace();
}

static void a_failure_without_a_sqlstate_is_named_by_its_status(void)
{
    weir_db_event event = statement();
    weir_error error = {WEIR_DISCONNECTED, 0, "", "the server went away"};

    event.status = WEIR_DISCONNECTED;
    event.error = &error;
    event.sql = NULL;
    event.operation = "REFLECT";
    event.database = "";
    begin_trace();
    weir_trace_on_db_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "REFLECT");
    check_text(text_of(&span, "error.type"), "disconnected");
    check(find_attribute(&span, "db.response.status_code") == NULL);
    check(find_attribute(&span, "db.query.text") == NULL);
    check(find_attribute(&span, "db.namespace") == NULL);
    end_trace();
}

static void long_statements_are_cut_and_names_too(void)
{
    char sql[4000];
    char database[500];
    weir_db_event event = statement();

    memset(sql, 'x', sizeof sql - 1);
    sql[sizeof sql - 1] = '\0';
    memset(database, 'y', sizeof database - 1);
    database[sizeof database - 1] = '\0';
    event.sql = sql;
    event.database = database;
    begin_trace();
    weir_trace_on_db_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check_int(strlen(span.name), WEIR_SPAN_NAME - 1);
    check(strlen(text_of(&span, "db.query.text")) > 100);
    end_trace();
}

static void outside_of_a_trace_a_database_records_nothing(void)
{
    weir_db_event event = statement();

    weir_trace_on_db_event(&event, NULL);
    tracer = open_tracer(0, 16);
    check(!weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL));
    weir_trace_on_db_event(&event, NULL);
    check_int(weir_tracer_count(tracer), 0);
    end_trace();
}

int main(void)
{
    run(a_statement_is_a_span_without_its_values);
    run(a_refused_statement_shows_its_sqlstate_and_not_the_text);
    run(a_failure_without_a_sqlstate_is_named_by_its_status);
    run(long_statements_are_cut_and_names_too);
    run(outside_of_a_trace_a_database_records_nothing);
    return check_done();
}
