/* SPDX-License-Identifier: MIT */
/*
 * A load whose every answer is known before it is asked for, for the tests of poolers:
 *
 *   pooler_load URL WORK THREADS SECONDS
 *
 * WORK is one of
 *   direct     statements as text, nothing prepared (give statement_cache_size=0 in the URL)
 *   prepared   the same statements with parameters, over and over
 *   transfer   transactions that move amounts between rows, so that their sum stays
 *   rows       whole rows of a table that somebody else changes meanwhile
 *   changes    the same, where the first thread is who changes it
 *   price      a number into a column that the first thread makes real and double precision in turns
 *   insert     connect, say "ready", wait for a line; then one INSERT, which has 300 ms; then wait until its
 *              connection is closed, SECONDS at most, and the end
 *   deadline   half of the threads run into a deadline of 100 ms again and again, the others do not
 *
 * SECONDS 0 is until a line comes on standard input, and two minutes at most.
 *
 * Needs the tables that test_pooler_load.py makes, or makes them by the script in POOLER_LOAD_TABLES. Prints one line of JSON: how many steps were right, wrong
 * (an answer that is not that of its question: the worst that can happen) and failed, by status, with the
 * first failure's text; and what its pool did.
 */
#include <weir/db.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 200
#define ACCOUNTS 8
#define STATUSES 32
#define CHANGE_EVERY 4 /* steps of the first thread */

static weir_db *db;
static _Atomic weir_time end;
static _Atomic long right;
static _Atomic long wrong;
static _Atomic long failed;
static _Atomic long timed_out; /* as they were meant to */
static _Atomic long late;      /* right or failed, but long after their deadline */
static _Atomic long changed;   /* changes of the table */
static _Atomic long last_right_ms;
static _Atomic long by_status[STATUSES];
static pthread_mutex_t first_lock = PTHREAD_MUTEX_INITIALIZER;
static char first_error[WEIR_ERROR_TEXT + 64];
static char first_wrong[256];
static weir_time started;

struct worker {
    pthread_t thread;
    int number;
    long step;
    int64_t count;  /* of its row of `tally`, as far as it knows; -1: not at all */
    bool is_unsure; /* a statement that counts failed: it may have been carried out */
    int64_t offers; /* rows of `offer` that are its own */
    unsigned random;
};

static unsigned draw(struct worker *worker, unsigned below)
{
    worker->random = worker->random * 1103515245u + 12345u;
    return (worker->random >> 8) % below;
}

/* ---- what came of a step ----------------------------------------------------------------- */

static bool note_failure(weir_status status, const weir_error *error)
{
    pthread_mutex_lock(&first_lock);
    if (first_error[0] == '\0')
        snprintf(first_error, sizeof first_error, "%s %s: %s", weir_status_name(status),
                 error->sqlstate, error->text);
    pthread_mutex_unlock(&first_lock);
    atomic_fetch_add(&failed, 1);
    atomic_fetch_add(&by_status[(unsigned)status % STATUSES], 1);
    return false;
}

static bool note_wrong(const char *what, const weir_result *rows)
{
    bool is_empty = rows == NULL || weir_result_row_count(rows) == 0;
    weir_value first = is_empty ? weir_null() : weir_result_value(rows, 0, 0);

    pthread_mutex_lock(&first_lock);
    if (first_wrong[0] == '\0')
        snprintf(first_wrong, sizeof first_wrong, "%s: %zu rows, the first value %s, %lld, %.64s",
                 what, is_empty ? 0 : weir_result_row_count(rows), weir_type_name(first.type),
                 (long long)first.integer, first.type == WEIR_TEXT ? first.text : "");
    pthread_mutex_unlock(&first_lock);
    atomic_fetch_add(&wrong, 1);
    return false;
}

static bool note_right(void)
{
    atomic_fetch_add(&right, 1);
    atomic_store(&last_right_ms, (long)((weir_now() - started) / WEIR_MS));
    return true;
}

static weir_value cell(const weir_result *rows, const char *name)
{
    int column = rows == NULL ? -1 : weir_result_column_index(rows, name);

    if (column < 0 || weir_result_row_count(rows) != 1)
        return weir_null();
    return weir_result_value(rows, 0, (size_t)column);
}

static bool is_int(weir_value value, int64_t expected)
{
    return value.type == WEIR_INT && value.integer == expected;
}

static bool is_text(weir_value value, const char *expected)
{
    return value.type == WEIR_TEXT && strcmp(value.text, expected) == 0;
}

/* ---- steps ------------------------------------------------------------------------------- */

/* One row with what was asked for in it, so that nobody else's answer can pass for this one. */
static bool echo(struct worker *worker, bool is_direct)
{
    int64_t n = worker->number * INT64_C(1000000000) + worker->step;
    weir_param params[] = {{"n", weir_int(n)}, {"t", weir_text("größer")}};
    weir_result *rows = NULL;
    weir_error error;
    char sql[160], text[64];

    snprintf(text, sizeof text, "größer %lld", (long long)n);
    if (is_direct)
        snprintf(sql, sizeof sql, "SELECT %lld::bigint AS n, 'größer ' || %lld AS t", (long long)n,
                 (long long)n);
    else
        snprintf(
            sql, sizeof sql,
            "SELECT CAST(:n AS bigint) AS n, CAST(:t AS text) || ' ' || CAST(:n AS bigint) AS t");
    weir_status status = weir_db_query(db, sql, params, is_direct ? 0 : 2, &rows, &error);
    if (status != WEIR_OK)
        return note_failure(status, &error);
    bool is_right = is_int(cell(rows, "n"), n) && is_text(cell(rows, "t"), text);
    if (!is_right)
        note_wrong("echo", rows);
    weir_result_close(rows);
    return is_right && note_right();
}

/* Read what the row says after a statement whose outcome is not known. */
static bool recount(struct worker *worker)
{
    weir_param params[] = {{"id", weir_int(worker->number)}};
    weir_result *rows = NULL;
    weir_error error;
    weir_status status =
        weir_db_query(db, "SELECT n FROM tally WHERE id = :id", params, 1, &rows, &error);

    if (status != WEIR_OK)
        return note_failure(status, &error);
    int64_t n = cell(rows, "n").integer;
    /* It was carried out or it was not, and never twice. */
    bool is_right = worker->count < 0 || n == worker->count || n == worker->count + 1;
    if (!is_right)
        note_wrong("recount", rows);
    worker->count = n;
    worker->is_unsure = false;
    weir_result_close(rows);
    return is_right && note_right();
}

/* Each thread counts in its own row: a statement that ran twice, or not, is seen by the next. */
static bool count(struct worker *worker, bool is_direct)
{
    weir_param params[] = {{"id", weir_int(worker->number)}};
    weir_result *rows = NULL;
    weir_error error;
    char sql[96] = "UPDATE tally SET n = n + 1 WHERE id = :id RETURNING n";

    if (worker->is_unsure && !recount(worker))
        return false;
    if (is_direct)
        snprintf(sql, sizeof sql, "UPDATE tally SET n = n + 1 WHERE id = %d RETURNING n",
                 worker->number);
    weir_status status = weir_db_query(db, sql, params, is_direct ? 0 : 1, &rows, &error);
    if (status != WEIR_OK) {
        worker->is_unsure = true;
        return note_failure(status, &error);
    }
    worker->count++;
    bool is_right = is_int(cell(rows, "n"), worker->count);
    if (!is_right)
        note_wrong("count", rows);
    weir_result_close(rows);
    return is_right && note_right();
}

/* A whole row, whatever columns the table has at this moment. */
static bool read_item(struct worker *worker)
{
    int64_t id = 1 + draw(worker, ITEMS);
    weir_param params[] = {{"id", weir_int(id)}};
    weir_result *rows = NULL;
    weir_error error;
    char name[32];
    weir_status status =
        weir_db_query(db, "SELECT * FROM item WHERE id = :id", params, 1, &rows, &error);

    if (status != WEIR_OK)
        return note_failure(status, &error);
    snprintf(name, sizeof name, "item %lld", (long long)id);
    weir_value price = cell(rows, "price");
    bool is_right = is_int(cell(rows, "id"), id) && is_text(cell(rows, "name"), name) &&
                    (price.type == WEIR_DOUBLE || price.type == WEIR_TEXT);
    if (is_right && price.type == WEIR_DOUBLE)
        is_right = price.real > (double)id && price.real < (double)id + 1;
    else if (is_right)
        is_right = strtoll(price.text, NULL, 10) == id;
    if (!is_right)
        note_wrong("item", rows);
    weir_result_close(rows);
    return is_right && note_right();
}

static bool change(const char *sql)
{
    weir_error error;
    weir_status status = weir_db_query(db, sql, NULL, 0, NULL, &error);

    if (status != WEIR_OK)
        return note_failure(status, &error);
    atomic_fetch_add(&changed, 1);
    return note_right();
}

static bool change_item(void)
{
    static const char *const sql[] = {"ALTER TABLE item ADD COLUMN extra integer",
                                      "ALTER TABLE item ALTER COLUMN price TYPE numeric(12, 2)",
                                      "ALTER TABLE item DROP COLUMN extra",
                                      "ALTER TABLE item ALTER COLUMN price TYPE double precision"};

    return change(sql[atomic_load(&changed) % 4]);
}

/* Whether `offer` has had doubles for some time, as far as everybody knows; and how often that ended. */
static _Atomic bool has_doubles;
static _Atomic long doubles_ended;

static bool change_price(void)
{
    bool to_real = atomic_exchange(&has_doubles, false);
    atomic_fetch_add(&doubles_ended, to_real);
    bool is_done = change(to_real ? "ALTER TABLE offer ALTER COLUMN price TYPE real"
                                  : "ALTER TABLE offer ALTER COLUMN price TYPE double precision");

    atomic_store(&has_doubles, is_done && !to_real);
    return is_done;
}

/*
 * Store 0.1, by a statement whose result has the same types whatever the table's are, so that nothing
 * of it tells weir about a change. A value that went through `real` on its way into a double is
 * 0.100000001490116. That is right only of a statement that ran while the change was made: it may count
 * as the one before it, whose value the change converted.
 */
static bool set_price(struct worker *worker)
{
    static const char *const sql[] = {
        "INSERT INTO offer (id, price) VALUES (:id, :price) RETURNING price::text AS price,"
        " pg_typeof(price) = 'real'::regtype OR price = 0.1::numeric AS is_exact",
        "UPDATE offer SET price = :price WHERE id = :id RETURNING price::text AS price,"
        " pg_typeof(price) = 'real'::regtype OR price = 0.1::numeric AS is_exact"};
    bool is_update = worker->offers > 0 && worker->step % 3 == 0;
    int64_t number = is_update ? draw(worker, (unsigned)worker->offers) : worker->offers;
    weir_param params[] = {{"id", weir_int(worker->number * INT64_C(100000000) + number)},
                           {"price", weir_double(0.1)}};
    weir_result *rows = NULL;
    weir_error error;
    long ended = atomic_load(&doubles_ended);
    bool must_be_exact = atomic_load(&has_doubles);
    weir_status status = weir_db_query(db, sql[is_update], params, 2, &rows, &error);

    if (status != WEIR_OK)
        return note_failure(status, &error);
    worker->offers += !is_update;
    weir_value exact = cell(rows, "is_exact");
    bool is_right = exact.type == WEIR_BOOL && exact.boolean && is_text(cell(rows, "price"), "0.1");
    must_be_exact = must_be_exact && ended == atomic_load(&doubles_ended);
    if (!is_right && !must_be_exact)
        is_right = is_text(cell(rows, "price"), "0.10000000149011612");
    if (!is_right)
        note_wrong(is_update ? "changed price" : "price", rows);
    weir_result_close(rows);
    return is_right && note_right();
}

static weir_status transfer_on(weir_conn *conn, struct worker *worker, weir_error *error)
{
    int64_t from = draw(worker, ACCOUNTS), to = draw(worker, ACCOUNTS);
    /* In one order, so that two transfers never wait for each other. */
    weir_param first[] = {{"id", weir_int(from < to ? from : to)},
                          {"amount", weir_int(from < to ? -7 : 7)}};
    weir_param second[] = {{"id", weir_int(from < to ? to : from)},
                           {"amount", weir_int(from < to ? 7 : -7)}};
    const char *sql = "UPDATE account SET amount = amount + :amount WHERE id = :id";
    weir_status status = weir_conn_begin(conn, WEIR_TX_WRITE, error);

    if (status == WEIR_OK)
        status = weir_conn_query(conn, sql, first, 2, NULL, error);
    if (status == WEIR_OK)
        status = weir_conn_query(conn, sql, second, 2, NULL, error);
    if (status == WEIR_OK && worker->step % 5 == 0)
        return weir_conn_rollback(conn, error);
    return status == WEIR_OK ? weir_conn_commit(conn, error) : status;
}

static bool transfer(struct worker *worker)
{
    weir_conn *conn = NULL;
    weir_error error;
    weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error);

    if (status == WEIR_OK) {
        status = transfer_on(conn, worker, &error);
        weir_conn_release(conn);
    }
    return status == WEIR_OK ? note_right() : note_failure(status, &error);
}

/* The sum as one reads it at any moment is that of the beginning. */
static bool check_sum(void)
{
    weir_result *rows = NULL;
    weir_error error;
    weir_status status = weir_db_query(db, "SELECT sum(amount)::bigint AS total FROM account", NULL,
                                       0, &rows, &error);

    if (status != WEIR_OK)
        return note_failure(status, &error);
    bool is_right = is_int(cell(rows, "total"), 0);
    if (!is_right)
        note_wrong("sum", rows);
    weir_result_close(rows);
    return is_right && note_right();
}

/* Until the end: what is being cancelled is closed later, and nobody is told. */
static void wait_for_a_close(void)
{
    weir_pool_stats stats = {0};

    while (weir_now() < atomic_load(&end) && stats.closes == 0) {
        weir_pool_get_stats(weir_db_pool(db), &stats);
        sched_yield();
    }
}

static void insert_once(void)
{
    weir_conn *conn = NULL;
    weir_error error;
    weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error);

    if (status == WEIR_OK) {
        printf("ready\n");
        fflush(stdout);
        while (getchar() > '\n')
            continue;
        weir_conn_set_deadline(conn, weir_now() + 300 * WEIR_MS);
        status = weir_conn_query(conn, "INSERT INTO tally VALUES (100, 1)", NULL, 0, NULL, &error);
        weir_conn_release(conn);
        wait_for_a_close();
    }
    if (status == WEIR_OK)
        note_right();
    else if (status == WEIR_TIMEOUT)
        atomic_fetch_add(&timed_out, 1);
    else
        note_failure(status, &error);
}

static bool run_into_a_deadline(void)
{
    weir_conn *conn = NULL;
    weir_result *rows = NULL;
    weir_error error;
    weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error);

    if (status != WEIR_OK)
        return note_failure(status, &error);
    weir_time began = weir_now();
    weir_conn_set_deadline(conn, began + 100 * WEIR_MS);
    status = weir_conn_query(conn, "SELECT pg_sleep(2)", NULL, 0, &rows, &error);
    if (weir_now() - began > WEIR_SECOND)
        atomic_fetch_add(&late, 1);
    weir_result_close(rows);
    weir_conn_release(conn);
    if (status != WEIR_TIMEOUT)
        return status == WEIR_OK ? note_wrong("sleep", NULL) : note_failure(status, &error);
    atomic_fetch_add(&timed_out, 1);
    return true;
}

/* ---- threads ----------------------------------------------------------------------------- */

static const char *work;

static bool step(struct worker *worker)
{
    bool is_direct = strcmp(work, "direct") == 0;

    if (strcmp(work, "transfer") == 0)
        return worker->step % 10 == 0 ? check_sum() : transfer(worker);
    if (strcmp(work, "deadline") == 0 && worker->number % 2 == 0)
        return run_into_a_deadline();
    bool is_change = worker->number == 0 && worker->step % CHANGE_EVERY == 0;
    if (strcmp(work, "price") == 0)
        return is_change ? change_price() : set_price(worker);
    bool has_changes = strcmp(work, "changes") == 0;
    if (has_changes && is_change)
        return change_item();
    if ((has_changes || strcmp(work, "rows") == 0) && worker->step % 3 != 0)
        return read_item(worker);
    return worker->step % 2 == 0 ? echo(worker, is_direct) : count(worker, is_direct);
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;

    if (strcmp(work, "insert") == 0)
        insert_once();
    while (strcmp(work, "insert") != 0 && weir_now() < atomic_load(&end)) {
        worker->step++;
        step(worker);
    }
    return NULL;
}

static void print_json_text(const char *name, const char *text)
{
    printf(", \"%s\": \"", name);
    for (; *text != '\0'; text++)
        printf((unsigned char)*text < 0x20 || *text == '"' || *text == '\\' ? "\\u%04x" : "%c",
               (unsigned char)*text);
    printf("\"");
}

static void report(void)
{
    weir_pool_stats stats;

    weir_pool_get_stats(weir_db_pool(db), &stats);
    printf("{\"right\": %ld, \"wrong\": %ld, \"failed\": %ld, \"timed_out\": %ld, \"late\": %ld, "
           "\"changed\": %ld, \"last_right_ms\": %ld, \"ended_ms\": %ld, \"connects\": %llu, "
           "\"connect_errors\": %llu, "
           "\"peer_refusals\": %llu, \"peer_limit\": %d, \"closes\": %llu, \"timeouts\": %llu",
           atomic_load(&right), atomic_load(&wrong), atomic_load(&failed), atomic_load(&timed_out),
           atomic_load(&late), atomic_load(&changed), atomic_load(&last_right_ms),
           (long)((atomic_load(&end) - started) / WEIR_MS), (unsigned long long)stats.connects,
           (unsigned long long)stats.connect_errors, (unsigned long long)stats.peer_refusals,
           stats.peer_limit, (unsigned long long)stats.closes, (unsigned long long)stats.timeouts);
    printf(", \"by_status\": {");
    const char *comma = "";
    for (int i = 0; i < STATUSES; i++) {
        if (atomic_load(&by_status[i]) == 0)
            continue;
        printf("%s\"%s\": %ld", comma, weir_status_name((weir_status)i),
               atomic_load(&by_status[i]));
        comma = ", ";
    }
    printf("}");
    print_json_text("first_error", first_error);
    print_json_text("first_wrong", first_wrong);
    printf("}\n");
}

/* Where nobody else can connect beside us, the tables are ours to make. */
static weir_status make_tables(const char *script, weir_error *error)
{
    weir_conn *conn = NULL;
    weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, error);

    if (status != WEIR_OK)
        return status;
    status = weir_conn_script(conn, script, error);
    weir_conn_release(conn);
    return status;
}

int main(int argc, char **argv)
{
    static struct worker workers[64];
    weir_error error;

    if (argc != 5) {
        fprintf(stderr, "usage: pooler_load URL WORK THREADS SECONDS\n");
        return 2;
    }
    int threads = atoi(argv[3]);
    work = argv[2];
    if (threads < 1 || threads > 64 || weir_db_open(argv[1], NULL, &db, &error) != WEIR_OK) {
        fprintf(stderr, "%s\n", threads < 1 || threads > 64 ? "1 to 64 threads" : error.text);
        return 2;
    }
    const char *script = getenv("POOLER_LOAD_TABLES");
    if (script != NULL && make_tables(script, &error) != WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    started = weir_now();
    double seconds = atof(argv[4]);
    bool is_told = seconds == 0 && strcmp(work, "insert") != 0;
    atomic_store(&end, started + (weir_time)((is_told ? 120 : seconds) * (double)WEIR_SECOND));
    for (int i = 0; i < threads; i++) {
        workers[i].number = i;
        workers[i].count = -1;
        workers[i].is_unsure = true;
        workers[i].random = (unsigned)i * 7919u + 1;
        if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0)
            return 2;
    }
    if (is_told) {
        (void)getchar();
        atomic_store(&end, weir_now());
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    report();
    weir_db_close(db);
    return 0;
}
