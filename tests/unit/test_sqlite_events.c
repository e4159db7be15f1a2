/* SPDX-License-Identifier: MIT */
/* What a database's listeners hear of its statements. */
#include "db/events.h"
#include "db_fixture.h"

#include <pthread.h>

/* ---- hearing ----------------------------------------------------------------------------- */

enum { MOST_HEARD = 32 };

/* An event as it was heard, with what it pointed to copied. */
struct heard {
    weir_db_event event;
    char sql[128];
    char sqlstate[6];
    pthread_t thread;
};

struct log {
    struct heard heard[MOST_HEARD];
    int count;
};

static struct log heard;
static weir_error e;

static void hear(const weir_db_event *event, void *arg)
{
    struct log *log = arg;
    if (log->count == MOST_HEARD)
        return;

    struct heard *h = &log->heard[log->count++];
    h->event = *event;
    h->thread = pthread_self();
    snprintf(h->sql, sizeof h->sql, "%s", event->sql == NULL ? "(none)" : event->sql);
    snprintf(h->sqlstate, sizeof h->sqlstate, "%s",
             event->error == NULL ? "" : event->error->sqlstate);
    check((event->error == NULL) == (event->status == WEIR_OK));
    check(event->error == NULL || event->error->status == event->status);
    check(event->duration >= 0);
}

static weir_db *open_heard(const char *url)
{
    weir_db *db = fixture_open(url, NULL);

    memset(&heard, 0, sizeof heard);
    check_status(weir_db_listen(db, hear, &heard, &e), WEIR_OK, e);
    return db;
}

/* What was heard since the last call, as words. Valid until the next call. */
static const char *operations_heard(void)
{
    static char text[512];
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < heard.count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s", i == 0 ? "" : " ",
                                 heard.heard[i].event.operation,
                                 heard.heard[i].event.in_transaction ? "+" : "");
    heard.count = 0;
    return text;
}

/* ---- statements -------------------------------------------------------------------------- */

static void a_statement_is_heard_once_with_what_it_was_and_gave(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_result *result = NULL;
    weir_time before = weir_now();

    check_status(weir_conn_query(conn, "SELECT 1 UNION SELECT 2", NULL, 0, &result, &e), WEIR_OK,
                 e);
    weir_time took = weir_now() - before;
    check_int(heard.count, 1);
    const weir_db_event *event = &heard.heard[0].event;
    check(event->db == db);
    check(weir_db_pool(event->db) == weir_db_pool(db));
    check_text(event->engine, "sqlite");
    check_text(event->database, ":memory:");
    check_text(event->operation, "SELECT");
    check_text(heard.heard[0].sql, "SELECT 1 UNION SELECT 2");
    check_int(event->rows, 2);
    check(event->duration > 0 && event->duration <= took);
    check_int(event->status, WEIR_OK);
    check_int(event->connection_id, weir_lease_connection_id(weir_conn_lease(conn)));
    check(event->connection_id != 0 && !event->in_transaction);
    check(pthread_equal(heard.heard[0].thread, pthread_self()));
    weir_result_close(result);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void rows_that_nobody_takes_are_not_counted(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");

    fixture_run_in(db, "SELECT 1");
    check_int(heard.heard[0].event.rows, 0);
    check_text(operations_heard(), "SELECT");
    weir_db_close(db);
}

static void values_are_in_no_event(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");
    weir_param secret = {"word", weir_text("hunter2")};
    weir_param number = {"word", weir_int(7)};

    fixture_run_in(db, "CREATE TABLE t (word TEXT NOT NULL CHECK (word <> 'hunter2'))");
    heard.count = 0;
    check_status(weir_db_query(db, "INSERT INTO t VALUES (:word)", &number, 1, NULL, &e), WEIR_OK,
                 e);
    check_status(weir_db_query(db, "INSERT INTO t VALUES (:word)", &secret, 1, NULL, &e),
                 WEIR_QUERY, e);
    for (int i = 0; i < 2; i++)
        check_text(heard.heard[i].sql, "INSERT INTO t VALUES (:word)");
    check_text(heard.heard[1].sqlstate, "23514");
    weir_db_close(db);
}

static void transactions_are_statements_too(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);

    fixture_run(conn, "CREATE TABLE t (n INT)");
    heard.count = 0;
    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &e), WEIR_OK, e);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &e), WEIR_OK, e);
    check_status(weir_conn_rollback(conn, &e), WEIR_OK, e);
    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &e), WEIR_OK, e);
    check_status(weir_conn_commit(conn, &e), WEIR_OK, e);
    check_status(weir_conn_commit(conn, &e), WEIR_OK, e);
    fixture_run(conn, "DELETE FROM t");
    check_text(heard.heard[2].sql, "SAVEPOINT weir_2");
    check_text(operations_heard(), "BEGIN INSERT+ SAVEPOINT+ ROLLBACK+ RELEASE+ SAVEPOINT+ "
                                   "RELEASE+ COMMIT+ DELETE");
    check_status(weir_conn_begin(conn, WEIR_TX_READ, &e), WEIR_OK, e);
    check_status(weir_conn_rollback(conn, &e), WEIR_OK, e);
    check_text(operations_heard(), "BEGIN ROLLBACK+");
    /* What a statement began is a transaction as well. */
    fixture_run(conn, "BEGIN");
    fixture_run(conn, "SELECT 1");
    check_text(operations_heard(), "BEGIN SELECT+");
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_failure_is_heard_with_its_error_even_if_the_caller_wants_none(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);

    check_int(weir_conn_query(conn, "SELECT * FROM nowhere", NULL, 0, NULL, NULL), WEIR_QUERY);
    check_int(heard.heard[0].event.status, WEIR_QUERY);
    check_text(heard.heard[0].sqlstate, "42P01");
    check_text(operations_heard(), "SELECT");
    check_int(weir_conn_script(conn, "DROP TABLE nowhere", NULL), WEIR_QUERY);
    check_int(heard.heard[0].event.status, WEIR_QUERY);
    check_text(operations_heard(), "DROP");
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_statement_that_could_not_begin_is_heard_too(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_result *result = NULL;

    check_status(weir_conn_query(conn, "SELECT :missing", NULL, 0, &result, &e), WEIR_INVALID, e);
    check_int(heard.heard[0].event.status, WEIR_INVALID);
    weir_conn_set_deadline(conn, 1);
    check_status(weir_conn_query(conn, "SELECT 1", NULL, 0, &result, &e), WEIR_TIMEOUT, e);
    check_int(heard.heard[1].event.status, WEIR_TIMEOUT);
    check_int(heard.heard[1].event.rows, 0);
    check_text(heard.heard[1].sqlstate, "57014");
    check_text(operations_heard(), "SELECT SELECT");
    weir_conn_release(conn);
    weir_db_close(db);
}

static void a_script_and_a_reflection_are_heard_as_one(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");
    weir_conn *conn = fixture_acquire(db);
    weir_schema *schema = NULL;

    check_status(weir_conn_script(conn, "CREATE TABLE a (n INT); CREATE TABLE b (n INT)", &e),
                 WEIR_OK, e);
    check_status(weir_conn_reflect(conn, &schema, &e), WEIR_OK, e);
    check_text(heard.heard[0].sql, "CREATE TABLE a (n INT); CREATE TABLE b (n INT)");
    check_text(heard.heard[1].sql, "(none)");
    check_text(operations_heard(), "CREATE REFLECT");
    weir_schema_close(schema);
    weir_conn_release(conn);
    weir_db_close(db);
}

static void the_database_of_a_file_is_its_path(void)
{
    weir_db *db = open_heard(fixture_url("events.db"));

    fixture_run_in(db, "SELECT 1");
    check_text(heard.heard[0].event.database, fixture_path("events.db"));
    weir_db_close(db);
}

/* ---- listeners --------------------------------------------------------------------------- */

static int order[DB_LISTENERS];
static int told;

static void note_order(const weir_db_event *event, void *arg)
{
    (void)event;
    *(int *)arg = ++told;
}

static void listeners_are_called_in_the_order_they_came_and_are_8_at_most(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);

    told = 0;
    for (int i = 0; i < DB_LISTENERS; i++)
        check_status(weir_db_listen(db, note_order, &order[i], &e), WEIR_OK, e);
    check_int(weir_db_listen(db, note_order, &order[0], NULL), WEIR_FULL);
    check_status(weir_db_listen(db, note_order, &order[0], &e), WEIR_FULL, e);
    check_text(e.text, "db \"db\": it already has 8 listeners, the maximum");
    fixture_run_in(db, "SELECT 1");
    for (int i = 0; i < DB_LISTENERS; i++)
        check_int(order[i], i + 1);
    check_int(told, DB_LISTENERS);
    weir_db_close(db);
}

static weir_status ask_at_connect(const weir_pool_event *event, void *arg)
{
    (void)arg;
    return weir_conn_query(event->connection, "PRAGMA cache_size", NULL, 0, NULL, NULL);
}

static void what_a_connect_listener_asks_has_no_connection_id_yet(void)
{
    weir_db *db = open_heard("sqlite:///:memory:");

    check_status(weir_pool_listen(weir_db_pool(db), WEIR_EVENT_BIT(WEIR_EVENT_CONNECT),
                                  ask_at_connect, NULL, &e),
                 WEIR_OK, e);
    fixture_run_in(db, "SELECT 1");
    check_int(heard.heard[0].event.connection_id, 0);
    check_int(heard.heard[1].event.connection_id, 1);
    check_text(operations_heard(), "PRAGMA SELECT");
    weir_db_close(db);
}

/* Linked with --wrap: each look at the precise clock comes here. Other threads look at it, too. */
static _Thread_local int clock_reads;

weir_time __real_weir_now(void);
weir_time __wrap_weir_now(void);

weir_time __wrap_weir_now(void)
{
    clock_reads++;
    return __real_weir_now();
}

static int count_clock_reads(weir_conn *conn)
{
    fixture_run(conn, "SELECT 1");
    int before = clock_reads;
    fixture_run(conn, "SELECT 1");
    return clock_reads - before;
}

static void a_statement_that_nobody_hears_costs_no_look_at_the_clock(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    weir_conn *conn = fixture_acquire(db);
    int unheard = count_clock_reads(conn);

    check_status(weir_db_listen(db, hear, &heard, &e), WEIR_OK, e);
    check_int(count_clock_reads(conn), unheard + 2);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* ---- threads ----------------------------------------------------------------------------- */

enum { THREADS = 4, STATEMENTS = 500 };

static _Atomic int heard_by[DB_LISTENERS];

static void count(const weir_db_event *event, void *arg)
{
    (void)event;
    ++*(_Atomic int *)arg;
}

static void *ask_often(void *db)
{
    weir_conn *conn = fixture_acquire(db);

    for (int i = 0; i < STATEMENTS; i++)
        if (weir_conn_query(conn, "SELECT 1", NULL, 0, NULL, NULL) != WEIR_OK)
            return db;
    weir_conn_release(conn);
    return NULL;
}

static void listeners_may_come_while_statements_run(void)
{
    weir_db *db = fixture_open("sqlite:///:memory:", NULL);
    pthread_t threads[THREADS];

    check_status(weir_db_listen(db, count, &heard_by[0], &e), WEIR_OK, e);
    for (int i = 0; i < THREADS; i++)
        check_int(pthread_create(&threads[i], NULL, ask_often, db), 0);
    for (int i = 1; i < DB_LISTENERS; i++)
        check_status(weir_db_listen(db, count, &heard_by[i], &e), WEIR_OK, e);
    for (int i = 0; i < THREADS; i++) {
        void *failure = NULL;
        pthread_join(threads[i], &failure);
        check(failure == NULL);
    }
    check_int(heard_by[0], THREADS * STATEMENTS);
    for (int i = 1; i < DB_LISTENERS; i++)
        check(heard_by[i] <= heard_by[i - 1]);
    fixture_run_in(db, "SELECT 1");
    check(heard_by[DB_LISTENERS - 1] > 0);
    weir_db_close(db);
}

/* ---- operations -------------------------------------------------------------------------- */

static void an_operation_is_the_first_word_and_one_of_a_fixed_set(void)
{
    static const char *const cases[][2] = {
        {"SELECT 1", "SELECT"},
        {"select 1", "SELECT"},
        {"\n\t Insert into t values (1)", "INSERT"},
        {"-- why\nUPDATE t SET n = 1", "UPDATE"},
        {"/* why\n */ /**/DELETE FROM t", "DELETE"},
        {"((SELECT 1) UNION SELECT 2)", "SELECT"},
        {";; SELECT 1", "SELECT"},
        {"with a as (select 1) select * from a", "WITH"},
        {"values (1)", "VALUES"},
        {"PRAGMA user_version", "PRAGMA"},
        {"ROLLBACK", "ROLLBACK"},
        {"commit;", "COMMIT"},
        {"DO $$ BEGIN END $$", "DO"},
        {"REFRESH MATERIALIZED VIEW v", "REFRESH"},
        {"comment on table t is 'x'", "COMMENT"},
        {"", "OTHER"},
        {"   ", "OTHER"},
        {"-- nothing else", "OTHER"},
        {"/* without an end", "OTHER"},
        {"/", "OTHER"},
        {"-", "OTHER"},
        {"SELECTED", "OTHER"},
        {"SELEC", "OTHER"},
        {"REFLECT", "OTHER"},
        {"hunter2", "OTHER"},
        {"1", "OTHER"},
        {"\"SELECT\"", "OTHER"},
        {"\xC3\xA9t\xC3\xA9", "OTHER"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_text(weir__operation_of(cases[i][0], DIALECT_SQLITE), cases[i][1]);
        check_text(weir__operation_of(cases[i][0], DIALECT_POSTGRES), cases[i][1]);
    }
    /* Comments nest in PostgreSQL only. */
    check_text(weir__operation_of("/* a /* b */ SELECT 1 */ DELETE FROM t", DIALECT_POSTGRES),
               "DELETE");
    check_text(weir__operation_of("/* a /* b */ SELECT 1", DIALECT_SQLITE), "SELECT");
}

int main(void)
{
    fixture_start();
    run(a_statement_is_heard_once_with_what_it_was_and_gave);
    run(rows_that_nobody_takes_are_not_counted);
    run(values_are_in_no_event);
    run(transactions_are_statements_too);
    run(a_failure_is_heard_with_its_error_even_if_the_caller_wants_none);
    run(a_statement_that_could_not_begin_is_heard_too);
    run(a_script_and_a_reflection_are_heard_as_one);
    run(the_database_of_a_file_is_its_path);
    run(listeners_are_called_in_the_order_they_came_and_are_8_at_most);
    run(what_a_connect_listener_asks_has_no_connection_id_yet);
    run(a_statement_that_nobody_hears_costs_no_look_at_the_clock);
    run(listeners_may_come_while_statements_run);
    run(an_operation_is_the_first_word_and_one_of_a_fixed_set);
    fixture_stop();
    return check_done();
}
