/* SPDX-License-Identifier: MIT */
/* Errors, transactions and threads of weir/db.h: what holds whatever the engine. */
#include "db_both.h"

/* ---- errors ----------------------------------------------------------------------------- */

static void the_same_mistakes_have_the_same_sqlstate_and_cost_no_connection(void)
{
    static const struct {
        const char *sql;
        const char *sqlstate;
    } cases[] = {
        {"INSERT INTO strict VALUES (1, 1, 'again')", "23505"},
        {"INSERT INTO strict VALUES (2, 99, 'orphan')", "23503"},
        {"INSERT INTO strict VALUES (3, 1, NULL)", "23502"},
        {"INSERT INTO strict VALUES (-4, 1, 'negative')", "23514"},
        {"SELEKT 1", "42601"},
        {"SELECT * FROM no_such_table", "42P01"},
        {"SELECT no_such_column FROM strict", "42703"},
    };
    weir_pool_stats before, after;

    must("DROP TABLE IF EXISTS strict");
    must("DROP TABLE IF EXISTS parent");
    must("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    must("INSERT INTO parent VALUES (1)");
    must("CREATE TABLE strict (id INTEGER PRIMARY KEY CHECK (id > 0), parent INTEGER REFERENCES "
         "parent "
         "(id), name TEXT NOT NULL)");
    must("INSERT INTO strict VALUES (1, 1, 'one')");
    weir_conn *conn = borrow();
    weir_pool_get_stats(weir_db_pool(db), &before);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check_int(weir_conn_query(conn, cases[i].sql, NULL, 0, NULL, &error), WEIR_QUERY);
        check_int(error.status, WEIR_QUERY);
        check_text(error.sqlstate, cases[i].sqlstate);
        check(error.text[0] != '\0');
        check_int(number_on(conn, "SELECT count(*) FROM strict"), 1);
    }
    weir_conn_release(conn);
    weir_pool_get_stats(weir_db_pool(db), &after);
    check_int(after.closes, before.closes);
    must("DROP TABLE strict");
    must("DROP TABLE parent");
}

static void a_statement_that_runs_too_long_is_stopped(void)
{
    static const char endless[] = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT (n + 1) % "
                                  "1000 FROM s) SELECT count(*) FROM s";
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *hasty = NULL;
    weir_conn *conn = borrow();
    weir_time start = weir_now();

    weir_conn_set_deadline(conn, weir_deadline_in(1000));
    check_int(weir_conn_query(conn, endless, NULL, 0, NULL, &error), WEIR_TIMEOUT);
    check(weir_now() - start < 6 * WEIR_SECOND); /* no other limit comes before 30 s */
    weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
    weir_status after = weir_conn_query(conn, "SELECT 1", NULL, 0, NULL, &error);
    check(after == WEIR_OK || after == WEIR_DISCONNECTED); /* the latter on a very busy machine */
    weir_conn_release(conn);

    options.statement_timeout_ms = 200;
    must_be_ok(weir_db_open(url, &options, &hasty, &error));
    start = weir_now();
    check_int(weir_db_query(hasty, endless, NULL, 0, NULL, &error), WEIR_TIMEOUT);
    check(weir_now() - start < 5 * WEIR_SECOND);
    check_int(weir_db_query(hasty, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    weir_db_close(hasty);
}

static void a_statement_lives_through_changes_of_its_table(void)
{
    weir_conn *conn = borrow();
    weir_result *rows = NULL;

    must_on(conn, "DROP TABLE IF EXISTS growing");
    must_on(conn, "CREATE TABLE growing (a INTEGER)");
    must_on(conn, "INSERT INTO growing VALUES (1)");
    must_be_ok(weir_conn_query(conn, "SELECT * FROM growing", NULL, 0, &rows, &error));
    check_int(weir_result_column_count(rows), 1);
    weir_result_close(rows);
    must("ALTER TABLE growing ADD COLUMN b INTEGER DEFAULT 7");
    must_be_ok(weir_conn_query(conn, "SELECT * FROM growing", NULL, 0, &rows, &error));
    check_int(weir_result_column_count(rows), 2);
    check_text(weir_result_column_name(rows, 1), "b");
    check_int(weir_result_value(rows, 0, 1).integer, 7);
    weir_result_close(rows);
    must("ALTER TABLE growing RENAME COLUMN b TO c");
    must_be_ok(weir_conn_query(conn, "SELECT * FROM growing", NULL, 0, &rows, &error));
    check_text(weir_result_column_name(rows, 1), "c");
    weir_result_close(rows);
    weir_conn_release(conn);
    must("DROP TABLE growing");
    check_int(weir_db_query(db, "SELECT * FROM growing", NULL, 0, NULL, &error), WEIR_QUERY);
    check_text(error.sqlstate, "42P01");
}

/* ---- transactions ----------------------------------------------------------------------- */

static void make_ledger(void)
{
    must("DROP TABLE IF EXISTS ledger");
    must("CREATE TABLE ledger (n INTEGER PRIMARY KEY)");
}

#define LEDGER "SELECT count(*) FROM ledger"

static void a_commit_shows_to_others_and_a_rollback_does_not(void)
{
    make_ledger();
    weir_conn *conn = borrow();
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    check_int(weir_conn_depth(conn), 1);
    must_on(conn, "INSERT INTO ledger VALUES (1)");
    check_int(number(LEDGER), 0);
    must_be_ok(weir_conn_commit(conn, &error));
    check_int(weir_conn_depth(conn), 0);
    check_int(number(LEDGER), 1);
    must_be_ok(weir_conn_begin(conn, WEIR_TX_SERIALIZABLE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (2)");
    must_be_ok(weir_conn_rollback(conn, &error));
    check_int(number(LEDGER), 1);
    weir_conn_release(conn);
}

static void savepoints_nest_and_end_one_by_one(void)
{
    make_ledger();
    weir_conn *conn = borrow();
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (1)");
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (2)");
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (3)");
    check_int(weir_conn_depth(conn), 3);
    must_be_ok(weir_conn_commit(conn, &error));
    must_be_ok(weir_conn_rollback(conn, &error));
    check_int(number_on(conn, LEDGER), 1);
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (4)");
    must_be_ok(weir_conn_commit(conn, &error));
    must_be_ok(weir_conn_commit(conn, &error));
    weir_conn_release(conn);
    check_int(number(LEDGER), 2);
    check_int(number("SELECT sum(n) FROM ledger"), 5);
}

static void a_savepoint_saves_the_transaction_from_a_failed_statement(void)
{
    make_ledger();
    weir_conn *conn = borrow();
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (1)");
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    check_int(weir_conn_query(conn, "INSERT INTO ledger VALUES (1)", NULL, 0, NULL, &error),
              WEIR_QUERY);
    must_be_ok(weir_conn_rollback(conn, &error));
    must_on(conn, "INSERT INTO ledger VALUES (2)");
    must_be_ok(weir_conn_commit(conn, &error));
    weir_conn_release(conn);
    check_int(number(LEDGER), 2);
}

static void begins_and_ends_must_match(void)
{
    weir_conn *conn = borrow();

    check_int(weir_conn_commit(conn, &error), WEIR_INVALID);
    check_int(weir_conn_rollback(conn, &error), WEIR_INVALID);
    for (int i = 0; i < 32; i++)
        must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_INVALID);
    check_int(weir_conn_depth(conn), 32);
    for (int i = 0; i < 32; i++)
        must_be_ok(weir_conn_rollback(conn, &error));
    check_int(weir_conn_depth(conn), 0);
    weir_conn_release(conn);
}

static void a_transaction_left_open_is_rolled_back_on_return(void)
{
    make_ledger();
    weir_conn *conn = borrow();
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (1)");
    weir_conn_release(conn);
    check_int(number(LEDGER), 0);

    conn = borrow();
    check_int(weir_conn_depth(conn), 0);
    must_on(conn, "BEGIN");
    must_on(conn, "INSERT INTO ledger VALUES (2)");
    check_int(weir_conn_query(conn, "SELEKT 1", NULL, 0, NULL, &error), WEIR_QUERY);
    weir_conn_release(conn);
    check_int(number(LEDGER), 0);
    must("INSERT INTO ledger VALUES (3)");
    check_int(number(LEDGER), 1);
}

static void the_reset_of_the_options_may_be_a_commit(void)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *committing = NULL;
    weir_conn *conn = NULL;

    make_ledger();
    options.pool.reset_on_return = WEIR_RESET_COMMIT;
    must_be_ok(weir_db_open(url, &options, &committing, &error));
    must_be_ok(weir_db_acquire(committing, WEIR_DEADLINE_DEFAULT, &conn, &error));
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_on(conn, "INSERT INTO ledger VALUES (1)");
    weir_conn_release(conn);
    weir_db_close(committing);
    check_int(number(LEDGER), 1);
}

static void a_read_transaction_sees_one_moment_and_cannot_write(void)
{
    make_ledger();
    weir_conn *conn = borrow();
    must_be_ok(weir_conn_begin(conn, WEIR_TX_READ, &error));
    check_int(number_on(conn, LEDGER), 0);
    must("INSERT INTO ledger VALUES (1)");
    check_int(number_on(conn, LEDGER), 0);
    check_int(weir_conn_query(conn, "INSERT INTO ledger VALUES (2)", NULL, 0, NULL, &error),
              WEIR_QUERY);
    check_text(error.sqlstate, "25006");
    must_be_ok(weir_conn_rollback(conn, &error));
    check_int(number_on(conn, LEDGER), 1);
    must_on(conn, "INSERT INTO ledger VALUES (3)");
    weir_conn_release(conn);
}

static void what_a_holder_left_in_its_session_is_gone_for_the_next(void)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *single = NULL;
    weir_conn *conn = NULL;

    options.pool.pool_size = 1;
    options.pool.max_overflow = 0;
    must_be_ok(weir_db_open(url, &options, &single, &error));
    must_be_ok(weir_db_acquire(single, WEIR_DEADLINE_DEFAULT, &conn, &error));
    must_on(conn, "CREATE TEMPORARY TABLE litter (n INTEGER)");
    must_on(conn, "INSERT INTO litter VALUES (1)");
    weir_conn_release(conn);
    check_int(weir_db_query(single, "SELECT * FROM litter", NULL, 0, NULL, &error), WEIR_QUERY);
    check_text(error.sqlstate, "42P01");
    weir_db_close(single);
}

/* A listener for CONNECT that gives every session a setting of its own. */
static weir_status set_on_connect(const weir_pool_event *event, void *arg)
{
    return weir_conn_query(event->connection, arg, NULL, 0, NULL, NULL);
}

static void what_a_connect_listener_sets_holds_for_every_loan(void)
{
    const char *sets = is_postgres ? "SET work_mem TO '128kB'" : "PRAGMA recursive_triggers = 1";
    const char *spoils = is_postgres ? "SET work_mem TO '256kB'" : "PRAGMA recursive_triggers = 0";
    const char *asks = is_postgres
                           ? "SELECT setting::bigint = 128 FROM pg_settings WHERE name = 'work_mem'"
                           : "SELECT recursive_triggers = 1 FROM pragma_recursive_triggers";
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *single = NULL;
    weir_pool_stats stats;
    char setting[64];

    options.pool.pool_size = 1;
    options.pool.max_overflow = 0;
    snprintf(setting, sizeof(setting), "%s", sets);
    must_be_ok(weir_db_open(url, &options, &single, &error));
    must_be_ok(weir_pool_listen(weir_db_pool(single), WEIR_EVENT_BIT(WEIR_EVENT_CONNECT),
                                set_on_connect, setting, &error));
    for (int loan = 0; loan < 6; loan++) {
        weir_conn *conn = NULL;
        must_be_ok(weir_db_acquire(single, WEIR_DEADLINE_DEFAULT, &conn, &error));
        weir_result *rows = NULL;
        must_be_ok(weir_conn_query(conn, asks, NULL, 0, &rows, &error));
        weir_value value = weir_result_value(rows, 0, 0);
        check(value.type == WEIR_BOOL ? value.boolean : value.integer == 1);
        weir_result_close(rows);
        if (loan == 3)
            must_on(conn, spoils);
        weir_conn_release(conn);
    }
    weir_pool_get_stats(weir_db_pool(single), &stats);
    check_int(stats.connects, 2); /* one, and another after it was spoiled */
    weir_db_close(single);
}

/* ---- listening -------------------------------------------------------------------------- */

struct story {
    char text[512]; /* "BEGIN INSERT+ …": + in a transaction, ! failed */
    char sqlstate[6];
    size_t rows;
    uint64_t connection_id;
};

static void tell(const weir_db_event *event, void *arg)
{
    struct story *story = arg;
    size_t used = strlen(story->text);

    snprintf(story->text + used, sizeof(story->text) - used, "%s%s%s%s", used == 0 ? "" : " ",
             event->operation, event->in_transaction ? "+" : "",
             event->status == WEIR_OK ? "" : "!");
    if (event->error != NULL)
        memcpy(story->sqlstate, event->error->sqlstate, sizeof(story->sqlstate));
    story->rows += event->rows;
    story->connection_id = event->connection_id;
    check_text(event->engine, is_postgres ? "postgresql" : "sqlite");
    check(event->duration > 0);
    check(event->sql == NULL || strstr(event->sql, "hunter2") == NULL);
}

static void every_statement_is_heard_when_it_has_ended(void)
{
    weir_db *heard = NULL;
    weir_conn *conn = NULL;
    weir_result *rows = NULL;
    weir_schema *schema = NULL;
    struct story story = {0};
    weir_param word = {"word", weir_text("hunter2")};

    must_be_ok(weir_db_open(url, NULL, &heard, &error));
    must_be_ok(weir_db_listen(heard, tell, &story, &error));
    must_be_ok(weir_db_acquire(heard, WEIR_DEADLINE_DEFAULT, &conn, &error));
    must_on(conn, "DROP TABLE IF EXISTS heard");
    must_be_ok(weir_conn_script(conn, "CREATE TABLE heard (n INT, word TEXT)", &error));
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    must_be_ok(
        weir_conn_query(conn, "INSERT INTO heard VALUES (1, :word)", &word, 1, NULL, &error));
    must_be_ok(weir_conn_begin(conn, WEIR_TX_WRITE, &error));
    check_int(weir_conn_query(conn, "SELECT * FROM nowhere", NULL, 0, NULL, NULL), WEIR_QUERY);
    must_be_ok(weir_conn_rollback(conn, &error));
    must_be_ok(weir_conn_query(conn, "SELECT * FROM heard", NULL, 0, &rows, &error));
    must_be_ok(weir_conn_commit(conn, &error));
    must_be_ok(weir_conn_reflect(conn, &schema, &error));
    check_text(story.text, "DROP CREATE BEGIN INSERT+ SAVEPOINT+ SELECT+! ROLLBACK+ RELEASE+ "
                           "SELECT+ COMMIT+ REFLECT");
    check_text(story.sqlstate, "42P01");
    check_int(story.rows, 1);
    check_int(story.connection_id, weir_lease_connection_id(weir_conn_lease(conn)));
    weir_schema_close(schema);
    weir_result_close(rows);
    weir_conn_release(conn);
    weir_db_close(heard);
}

/* ---- many threads ----------------------------------------------------------------------- */

enum { WRITERS = 8, WRITES = 100 };
static atomic_int writes_failed;

static void *write_many(void *arg)
{
    int64_t base = *(int *)arg * 1000;

    for (int i = 0; i < WRITES; i++) {
        weir_error mine;
        weir_param param = {"n", weir_int(base + i)};
        weir_conn *conn = NULL;
        weir_status status = weir_db_acquire(db, weir_deadline_in(20000), &conn, &mine);
        if (status == WEIR_OK)
            status = weir_conn_begin(conn, WEIR_TX_WRITE, &mine);
        if (status == WEIR_OK)
            status =
                weir_conn_query(conn, "INSERT INTO ledger VALUES (:n)", &param, 1, NULL, &mine);
        if (status == WEIR_OK)
            status = weir_conn_commit(conn, &mine);
        weir_conn_release(conn);
        if (status != WEIR_OK && atomic_fetch_add(&writes_failed, 1) == 0)
            printf("# %s: %s\n", weir_status_name(status), mine.text);
    }
    return NULL;
}

static void many_threads_write_and_every_row_and_slot_is_there(void)
{
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    weir_pool_stats stats;

    make_ledger();
    atomic_store(&writes_failed, 0);
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, write_many, &numbers[i]);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    check_int(atomic_load(&writes_failed), 0);
    check_int(number(LEDGER), WRITERS * WRITES);
    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.leased, 0);
}

/* ---- all -------------------------------------------------------------------------------- */

static void run_all(const char *engine)
{
    on(the_same_mistakes_have_the_same_sqlstate_and_cost_no_connection);
    on(a_statement_that_runs_too_long_is_stopped);
    on(a_statement_lives_through_changes_of_its_table);
    on(a_commit_shows_to_others_and_a_rollback_does_not);
    on(savepoints_nest_and_end_one_by_one);
    on(a_savepoint_saves_the_transaction_from_a_failed_statement);
    on(begins_and_ends_must_match);
    on(a_transaction_left_open_is_rolled_back_on_return);
    on(the_reset_of_the_options_may_be_a_commit);
    on(a_read_transaction_sees_one_moment_and_cannot_write);
    on(what_a_holder_left_in_its_session_is_gone_for_the_next);
    on(what_a_connect_listener_sets_holds_for_every_loan);
    on(every_statement_is_heard_when_it_has_ended);
    on(many_threads_write_and_every_row_and_slot_is_there);
}

int main(void)
{
    return run_both();
}
