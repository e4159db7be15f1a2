/* SPDX-License-Identifier: MIT */
/* A database below a trace: its spans, and that it measures nothing for who does not want to know. */
#include "db_fixture.h"
#include "unit/trace_steps.h"

static weir_error e;

static weir_db *open_traced(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);

    check_status(weir_pool_listen(weir_db_pool(db), WEIR_TRACE_POOL_EVENTS,
                                  weir_trace_on_pool_event, NULL, &e),
                 WEIR_OK, e);
    check_status(weir_db_listen_when(db, weir_trace_wants, weir_trace_on_db_event, NULL, &e),
                 WEIR_OK, e);
    return db;
}

static void a_query_is_the_opening_of_its_connection_and_its_statement(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_db *db = open_traced();
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    fixture_run_in(db, "SELECT 'secret'");
    check_int(weir_tracer_count(tracer), 2);
    weir_span connect = finished(tracer, 0);
    weir_span statement = finished(tracer, 1);
    check_contains(connect.name, "connect ");
    check(is_child_of(&connect, &root) && is_child_of(&statement, &root));
    check_text(statement.name, "SELECT :memory:");
    check_text(text_of(&statement, "db.system.name"), "sqlite");
    check_text(text_of(&statement, "db.query.text"), "SELECT ?");
    check_int(number_of(&statement, "weir.connection.id"),
              number_of(&connect, "weir.connection.id"));
    check(connect.started + connect.duration <= statement.started + statement.duration);
    weir_span_end(&root);
    weir_db_close(db);
    weir_tracer_close(tracer);
}

static void a_transaction_is_its_statements(void)
{
    weir_tracer *tracer = open_tracer(1, 16);
    weir_db *db = open_traced();
    weir_conn *conn = fixture_acquire(db);
    weir_span root;

    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &e), WEIR_OK, e);
    check(weir_conn_query(conn, "SELEC 1", NULL, 0, NULL, &e) == WEIR_QUERY);
    check_status(weir_conn_rollback(conn, &e), WEIR_OK, e);
    check_int(weir_tracer_count(tracer), 3);
    check_text(finished(tracer, 0).name, "BEGIN :memory:");
    check_text(finished(tracer, 2).name, "ROLLBACK :memory:");
    weir_span failed = finished(tracer, 1);
    check_text(failed.name, "OTHER :memory:");
    check(failed.has_failed);
    check_text(text_of(&failed, "db.response.status_code"), e.sqlstate);
    weir_span_end(&root);
    weir_conn_release(conn);
    weir_db_close(db);
    weir_tracer_close(tracer);
}

/* ---- who wants to know ------------------------------------------------------------------- */

struct ear {
    bool is_open;
    int asked;
    int heard;
};

static bool is_open(void *arg)
{
    struct ear *ear = arg;

    ear->asked++;
    return ear->is_open;
}

static void hear(const weir_db_event *event, void *arg)
{
    struct ear *ear = arg;

    check(event->duration >= 0);
    ear->heard++;
}

static void a_listener_that_does_not_want_to_hear_is_asked_and_not_called(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    struct ear ear = {false, 0, 0};

    check_status(weir_db_listen_when(db, is_open, hear, &ear, &e), WEIR_OK, e);
    fixture_run_in(db, "SELECT 1");
    check_int(ear.asked, 1);
    check_int(ear.heard, 0);
    ear.is_open = true;
    fixture_run_in(db, "SELECT 1");
    check_int(ear.asked, 2);
    check_int(ear.heard, 1);
    weir_db_close(db);
}

static void it_may_hear_what_another_one_wants(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    struct ear closed = {false, 0, 0};
    struct ear open = {true, 0, 0};

    check_status(weir_db_listen_when(db, is_open, hear, &closed, &e), WEIR_OK, e);
    check_status(weir_db_listen_when(db, is_open, hear, &open, &e), WEIR_OK, e);
    fixture_run_in(db, "SELECT 1");
    check_int(closed.heard, 1);
    check_int(open.heard, 1);
    weir_db_close(db);
}

static void an_unsampled_trace_does_not_want_to_know(void)
{
    weir_tracer *tracers[] = {open_tracer(0, 16), open_tracer(1, 16)};
    weir_span root;

    check(!weir_trace_wants(NULL));
    for (int i = 0; i < 2; i++) {
        weir_span_begin_root(tracers[i], &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
        check(weir_trace_wants(NULL) == (i == 1));
        weir_span_end(&root);
    }
    check(!weir_trace_wants(NULL));
    weir_tracer_close(tracers[0]);
    weir_tracer_close(tracers[1]);
}

int main(void)
{
    fixture_start();
    run(a_query_is_the_opening_of_its_connection_and_its_statement);
    run(a_transaction_is_its_statements);
    run(a_listener_that_does_not_want_to_hear_is_asked_and_not_called);
    run(it_may_hear_what_another_one_wants);
    run(an_unsampled_trace_does_not_want_to_know);
    fixture_stop();
    return check_done();
}
