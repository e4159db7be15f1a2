/* SPDX-License-Identifier: MIT */
/* What the listeners make of the events of pools, databases and HTTP sessions. */
#include "unit/steps.h"
#include "unit/trace_steps.h"

#include <weir/db.h>
#include <weir/http.h>

static weir_tracer *tracer;
static weir_span root;

static void begin_trace(void)
{
    tracer = open_tracer(1, 64);
    check(weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL));
}

static void end_trace(void)
{
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

/* ---- pools ------------------------------------------------------------------------------- */

static weir_pool *open_traced_pool(int pool_size)
{
    weir_pool *pool = open_pool(pool_size, 0);

    check_int(weir_pool_listen(pool, WEIR_TRACE_POOL_EVENTS, weir_trace_on_pool_event, NULL, NULL),
              WEIR_OK);
    return pool;
}

static void opening_a_connection_is_a_span(void)
{
    begin_trace();
    weir_pool *pool = open_traced_pool(1);
    f.behaviour[FAKE_CONNECT].takes = 30 * WEIR_MS;
    int here = __LINE__ + 1;
    weir_lease lease = take(pool);

    check_int(weir_tracer_count(tracer), 1);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "connect fake");
    check(is_child_of(&span, &root));
    check_int(span.kind, WEIR_SPAN_INTERNAL);
    check_int(span.duration, 30 * WEIR_MS);
    check_text(text_of(&span, "db.client.connection.pool.name"), "fake");
    check_int(number_of(&span, "weir.connection.id"), 1);
    check_text(text_of(&span, "code.file.path"), __FILE__);
    check_int(number_of(&span, "code.line.number"), here);
    check(!span.has_failed);
    give(pool, &lease);
    weir_pool_close(pool);
    check_int(weir_tracer_count(tracer), 1);
    end_trace();
}

static weir_lease lent;

static void give_back_after_a_while(struct fake *fake)
{
    fake->now += 20 * WEIR_MS;
    weir_pool_release(&lent);
}

static void standing_in_line_is_a_span(void)
{
    weir_pool *pool = open_traced_pool(1);
    lent = take(pool);
    begin_trace();
    f.on_wait = give_back_after_a_while;
    weir_lease lease = take(pool);

    check_int(weir_tracer_count(tracer), 1);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "wait fake");
    check(is_child_of(&span, &root));
    check_int(span.duration, 20 * WEIR_MS);
    check_int(number_of(&span, "weir.connection.id"), 1);
    check(!span.has_failed);
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void giving_up_is_a_failed_span_that_says_who_holds_what(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);
    begin_trace();
    refused(pool, WEIR_TIMEOUT);

    weir_span span = finished(tracer, 0);
    check_text(span.name, "wait fake");
    check(span.has_failed && span.duration > 0);
    check_text(text_of(&span, "error.type"), "timeout");
    check_contains(weir_span_message(&span), "test_trace_weir.c");
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void a_ping_without_an_answer_is_a_failed_span(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);
    give(pool, &lease);
    f.now += 60 * WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = 1;
    begin_trace();
    lease = take(pool);

    check_int(weir_tracer_count(tracer), 2);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "ping fake");
    check(span.has_failed);
    check_text(text_of(&span, "error.type"), "disconnected");
    check_text(finished(tracer, 1).name, "connect fake");
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void a_ping_that_was_answered_is_a_span(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);
    give(pool, &lease);
    f.now += 60 * WEIR_SECOND;
    f.behaviour[FAKE_PING].takes = 7 * WEIR_MS;
    begin_trace();
    lease = take(pool);

    check_int(weir_tracer_count(tracer), 1);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "ping fake");
    check_int(span.duration, 7 * WEIR_MS);
    check(is_child_of(&span, &root) && !span.has_failed);
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void a_traced_pool_keeps_its_fast_path(void)
{
    check_int(WEIR_TRACE_POOL_EVENTS & WEIR_EVENT_EACH_LOAN, 0);
}

static void outside_of_a_trace_a_pool_records_nothing(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);

    tracer = open_tracer(0, 16);
    check(!weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL));
    discard(pool, &lease, NULL);
    lease = take(pool);
    refused(pool, WEIR_TIMEOUT);
    check_int(weir_tracer_count(tracer), 0);
    give(pool, &lease);
    weir_pool_close(pool);
    end_trace();
}

/* ---- databases --------------------------------------------------------------------------- */

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

/* ---- HTTP sessions ----------------------------------------------------------------------- */

static weir_http_event attempt(void)
{
    return (weir_http_event){
        .kind = WEIR_HTTP_EVENT_ATTEMPT,
        .origin = "https://api.example.com:8443",
        .method = "GET",
        .url = "https://api.example.com:8443/v2/tables",
        .attempt = 1,
        .status = 200,
        .is_reused = true,
        .duration = 40 * WEIR_MS,
    };
}

static void an_attempt_is_a_span_of_the_id_that_was_sent(void)
{
    weir_http_event event = attempt();
    weir_trace_context sent;

    begin_trace();
    check(weir_trace_call(&sent));
    event.trace = &sent;
    weir_trace_on_http_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check(is_same_id(span.context.span_id, sent.span_id, 8));
    check(is_child_of(&span, &root));
    check_text(span.name, "GET");
    check_int(span.kind, WEIR_SPAN_CLIENT);
    check_int(span.duration, 40 * WEIR_MS);
    check_text(text_of(&span, "http.request.method"), "GET");
    check_text(text_of(&span, "url.full"), "https://api.example.com:8443/v2/tables");
    check_text(text_of(&span, "server.address"), "api.example.com");
    check_int(number_of(&span, "server.port"), 8443);
    check_int(number_of(&span, "http.response.status_code"), 200);
    check_text(text_of(&span, "network.protocol.version"), "1.1");
    check_int(number_of(&span, "weir.connection.is_reused"), 1);
    check(find_attribute(&span, "http.request.resend_count") == NULL && !span.has_failed);
    end_trace();
}

static void a_repeat_is_counted_and_an_error_status_is_a_failure(void)
{
    weir_http_event event = attempt();

    event.attempt = 3;
    event.status = 503;
    event.origin = "http://[::1]:80";
    begin_trace();
    weir_trace_on_http_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check_int(number_of(&span, "http.request.resend_count"), 2);
    check_text(text_of(&span, "server.address"), "::1");
    check_int(number_of(&span, "server.port"), 80);
    check(span.has_failed && weir_span_message(&span) == NULL);
    check_text(text_of(&span, "error.type"), "503");
    event.status = 399;
    weir_trace_on_http_event(&event, NULL);
    check(!finished(tracer, 1).has_failed);
    end_trace();
}

static void an_attempt_without_a_response_is_named_by_its_status(void)
{
    weir_http_event event = attempt();
    weir_error error = {WEIR_CONNECT, 7, "", "connection refused"};

    event.status = 0;
    event.error = &error;
    event.method = "PURGE";
    begin_trace();
    weir_trace_on_http_event(&event, NULL);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "HTTP");
    check_text(text_of(&span, "http.request.method"), "_OTHER");
    check_text(text_of(&span, "http.request.method_original"), "PURGE");
    check_text(text_of(&span, "error.type"), "connect");
    check_text(weir_span_message(&span), "connection refused");
    check(find_attribute(&span, "http.response.status_code") == NULL);
    check(find_attribute(&span, "network.protocol.version") == NULL);
    end_trace();
}

static void other_events_of_a_session_are_no_spans(void)
{
    weir_http_event event = attempt();

    begin_trace();
    for (int kind = 0; kind < WEIR_HTTP_EVENT_COUNT; kind++) {
        event.kind = (weir_http_event_kind)kind;
        if (kind != WEIR_HTTP_EVENT_ATTEMPT)
            weir_trace_on_http_event(&event, NULL);
    }
    check_int(weir_tracer_count(tracer), 0);
    check_int(WEIR_TRACE_HTTP_EVENTS, WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT));
    end_trace();
}

int main(void)
{
    run(opening_a_connection_is_a_span);
    run(standing_in_line_is_a_span);
    run(giving_up_is_a_failed_span_that_says_who_holds_what);
    run(a_ping_without_an_answer_is_a_failed_span);
    run(a_ping_that_was_answered_is_a_span);
    run(a_traced_pool_keeps_its_fast_path);
    run(outside_of_a_trace_a_pool_records_nothing);
    run(a_statement_is_a_span_without_its_values);
    run(a_refused_statement_shows_its_sqlstate_and_not_the_text);
    run(a_failure_without_a_sqlstate_is_named_by_its_status);
    run(long_statements_are_cut_and_names_too);
    run(outside_of_a_trace_a_database_records_nothing);
    run(an_attempt_is_a_span_of_the_id_that_was_sent);
    run(a_repeat_is_counted_and_an_error_status_is_a_failure);
    run(an_attempt_without_a_response_is_named_by_its_status);
    run(other_events_of_a_session_are_no_spans);
    return check_done();
}
