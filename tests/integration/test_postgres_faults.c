/* SPDX-License-Identifier: MIT */
/* A pool of PostgreSQL connections under load and misfortune: no answer and no slot is lost. */
#include "check.h"
#include "relay.h"

#include <weir/db.h>

#include <libpq-fe.h>

#define MOST_THREADS 64

static weir_error error; /* of the last call of the main thread that failed */

static const char *env(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        printf("Bail out! %s is not set: run this through tests/with_postgres.sh\n", name);
        exit(1);
    }
    return value;
}

/* ---- the server, seen from outside --------------------------------------------------------- */

static PGconn *observer; /* bare libpq, so that what is tested does not measure itself */

static void observe_from_now(void)
{
    PQfinish(observer);
    observer = PQconnectdb(env("WEIR_TEST_PG_SOCKET_URL"));
    if (PQstatus(observer) != CONNECTION_OK) {
        printf("Bail out! %s\n", PQerrorMessage(observer));
        exit(1);
    }
    PQclear(PQexec(observer, "SET client_min_messages TO warning"));
}

/* The first value of the first row as a number; -1 when there is none. */
static long observe(const char *sql)
{
    PGresult *rows = PQexec(observer, sql);
    long number = -1;

    if (PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) > 0)
        number = strtol(PQgetvalue(rows, 0, 0), NULL, 10);
    else if (PQresultStatus(rows) != PGRES_COMMAND_OK)
        printf("# %s: %s", sql, PQerrorMessage(observer));
    PQclear(rows);
    return number;
}

static void control(const char *verb)
{
    char command[512];

    snprintf(command, sizeof(command), "%s %s", env("WEIR_TEST_PG_CONTROL"), verb);
    if (system(command) != 0)
        printf("# %s failed\n", command);
}

static void nap(int ms)
{
    poll(NULL, 0, ms);
}

#define OURS "FROM pg_stat_activity WHERE application_name = 'weir'"

static weir_db *open_db(const char *url, int pool_size, int max_overflow)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *db = NULL;

    options.pool.pool_size = pool_size;
    options.pool.max_overflow = max_overflow;
    if (weir_db_open(url, &options, &db, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return db;
}

static void close_db(weir_db *db)
{
    weir_pool_stats stats;

    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.leased, 0);
    check_int(stats.waiters, 0);
    check_int(stats.misuses, 0);
    check_int(weir_db_dispose(db, weir_deadline_in(2000), &error), WEIR_OK);
    weir_db_close(db);
}

/* Borrow every slot at once: none was lost. */
static void check_every_slot(weir_db *db, int slots)
{
    weir_conn *conns[MOST_THREADS] = {NULL};

    for (int i = 0; i < slots; i++)
        check_int(weir_db_acquire(db, weir_deadline_in(5000), &conns[i], &error), WEIR_OK);
    weir_conn *one_more = NULL;
    check_int(weir_db_acquire(db, WEIR_DEADLINE_NOW, &one_more, &error), WEIR_TIMEOUT);
    for (int i = 0; i < slots; i++)
        weir_conn_release(conns[i]);
}

/* ---- load ------------------------------------------------------------------------------- */

/*
 * Threads that ask questions whose answers they know, and store numbers that nobody else stores.
 * What they were told is counted: a stored number is one the database said it has.
 */
#define LONG_MS 120000 /* longer than what the test itself takes */

struct load {
    weir_db *db;
    weir_time until;
    atomic_bool is_over;
    int pause_us;   /* between two statements */
    bool has_churn; /* now and then discard, fail, or leave a transaction open */
    atomic_int next_number;
    atomic_int answered;
    atomic_int wrong;
    atomic_int stored;
    atomic_int acquire_failed;
    atomic_int statement_failed;
    atomic_llong slowest; /* of all acquires and statements, in ns */
    atomic_int unexpected;
    pthread_t threads[MOST_THREADS];
    int thread_count;
};

static void note_time(struct load *load, weir_time start)
{
    long long taken = weir_now() - start;
    long long before = atomic_load(&load->slowest);

    while (taken > before && !atomic_compare_exchange_weak(&load->slowest, &before, taken))
        continue;
}

/* Count a failure; only a lost connection or server may be its cause. */
static void note_failure(struct load *load, weir_status status, const weir_error *why)
{
    if (status != WEIR_DISCONNECTED && status != WEIR_CONNECT &&
        atomic_fetch_add(&load->unexpected, 1) == 0)
        printf("# %s: %s\n", weir_status_name(status), why->text);
}

static weir_status ask(struct load *load, weir_conn *conn, weir_error *why)
{
    int number = atomic_fetch_add(&load->next_number, 1);
    weir_param param = {"n", weir_int(number)};
    weir_result *rows = NULL;
    bool stores = number % 2 == 0;
    const char *sql =
        stores ? "INSERT INTO stored VALUES (:n) RETURNING n" : "SELECT CAST(:n AS INTEGER) AS n";

    weir_status status = weir_conn_query(conn, sql, &param, 1, &rows, why);
    if (status != WEIR_OK)
        return status;
    if (weir_result_row_count(rows) != 1 || weir_result_value(rows, 0, 0).integer != number)
        atomic_fetch_add(&load->wrong, 1);
    weir_result_close(rows);
    atomic_fetch_add(&load->answered, 1);
    if (stores)
        atomic_fetch_add(&load->stored, 1);
    return WEIR_OK;
}

/* What badly behaved holders do. True when the connection is given back already. */
static bool misbehave(weir_conn *conn, unsigned dice)
{
    switch (dice % 100) {
    case 0:
        weir_conn_discard(conn);
        return true;
    case 1:
        if (weir_conn_begin(conn, WEIR_TX_WRITE, NULL) == WEIR_OK &&
            weir_conn_query(conn, "INSERT INTO stored VALUES (-1)", NULL, 0, NULL, NULL) != WEIR_OK)
            printf("# the insert of a transaction that is left open failed\n");
        return false;
    case 2:
        if (weir_conn_query(conn, "SELECT 1/0", NULL, 0, NULL, NULL) == WEIR_OK)
            printf("# a division by zero succeeded\n");
        return false;
    default:
        return false;
    }
}

static void *work(void *arg)
{
    struct load *load = arg;
    unsigned dice = (unsigned)(uintptr_t)&dice ^ (unsigned)weir_now();

    while (weir_now() < load->until && !atomic_load(&load->is_over)) {
        weir_error why;
        weir_conn *conn = NULL;
        weir_time start = weir_now();
        weir_status status = weir_db_acquire(load->db, weir_deadline_in(30000), &conn, &why);
        if (status != WEIR_OK) {
            atomic_fetch_add(&load->acquire_failed, 1);
            note_failure(load, status, &why);
            note_time(load, start);
            nap(5); /* as a program would that has nothing to work with */
            continue;
        }
        status = ask(load, conn, &why);
        note_time(load, start);
        if (status != WEIR_OK) {
            atomic_fetch_add(&load->statement_failed, 1);
            note_failure(load, status, &why);
        }
        dice = dice * 1664525 + 1013904223;
        if (!load->has_churn || !misbehave(conn, dice >> 8))
            weir_conn_release(conn);
        if (load->pause_us > 0)
            usleep((useconds_t)load->pause_us);
    }
    return NULL;
}

/* For so long, or until `is_over`. */
static void load_start(struct load *load, weir_db *db, int threads, int ms)
{
    observe("DROP TABLE IF EXISTS stored");
    observe("CREATE TABLE stored (n INTEGER)");
    load->db = db;
    load->until = weir_now() + ms * WEIR_MS;
    load->thread_count = threads;
    for (int i = 0; i < threads; i++)
        pthread_create(&load->threads[i], NULL, work, load);
}

/* Wait for its end; every answer was right and every number that was confirmed is there. */
static void load_finish(struct load *load)
{
    for (int i = 0; i < load->thread_count; i++)
        pthread_join(load->threads[i], NULL);
    long rows = observe("SELECT count(*) FROM stored WHERE n >= 0");
    long numbers = observe("SELECT count(DISTINCT n) FROM stored WHERE n >= 0");

    printf("# %d answers, %d statements and %d acquires failed, slowest %lld ms\n",
           atomic_load(&load->answered), atomic_load(&load->statement_failed),
           atomic_load(&load->acquire_failed), atomic_load(&load->slowest) / (long long)WEIR_MS);
    check(atomic_load(&load->answered) > 0);
    check_int(atomic_load(&load->wrong), 0);
    check_int(atomic_load(&load->unexpected), 0);
    check_int(rows, numbers);
    check(rows >= atomic_load(&load->stored));
    check(rows <= atomic_load(&load->stored) + atomic_load(&load->statement_failed));
    check_int(observe("SELECT count(*) FROM stored WHERE n < 0"), 0);
}

/* ---- the bound -------------------------------------------------------------------------- */

static void sixty_four_threads_never_open_more_than_the_pool_allows(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_SOCKET_URL"), 5, 10);
    struct load load = {.has_churn = true};
    long most = 0;
    int samples = 0;
    weir_pool_stats stats;

    load_start(&load, db, 64, 10000);
    while (weir_now() < load.until) {
        long count = observe("SELECT count(*) " OURS);
        most = count > most ? count : most;
        samples++;
        nap(3);
    }
    load_finish(&load);
    weir_pool_get_stats(weir_db_pool(db), &stats);
    printf("# at most %ld connections in %d samples; %llu opened, %llu closed, %llu waits\n", most,
           samples, (unsigned long long)stats.connects, (unsigned long long)stats.closes,
           (unsigned long long)stats.waits);
    check(most <= 15);
    check(most >= 5);
    check(samples >= 50);
    check_int(atomic_load(&load.statement_failed), 0);
    check_int(atomic_load(&load.acquire_failed), 0);
    check(stats.connects > 15);
    check_int(stats.leased, 0);
    check(stats.connections <= stats.idle); /* a discarded one leaves a slot to be reopened */
    check_int(observe("SELECT count(*) " OURS), stats.connections);
    check_every_slot(db, 15);
    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.connections, 5);
    check_int(observe("SELECT count(*) " OURS), 5);
    close_db(db);
    check_int(observe("SELECT count(*) " OURS), 0);
}

/* ---- killed connections ----------------------------------------------------------------- */

static int failures_of(struct load *load)
{
    return atomic_load(&load->acquire_failed) + atomic_load(&load->statement_failed);
}

/* Whether something fails within ten seconds. */
static bool begins_to_fail(struct load *load)
{
    for (int i = 0; i < 1000 && failures_of(load) == 0; i++)
        nap(10);
    return failures_of(load) > 0;
}

/* Whether for half a second nothing fails any more, at the latest after ten. */
static bool comes_to_rest(struct load *load)
{
    int failed = -1;

    for (int i = 0; i < 20 && failed != failures_of(load); i++) {
        failed = failures_of(load);
        nap(500);
    }
    return failed == failures_of(load);
}

/* Whether something is answered within ten seconds. */
static bool goes_on_answering(struct load *load)
{
    int before = atomic_load(&load->answered);

    for (int i = 0; i < 1000 && atomic_load(&load->answered) == before; i++)
        nap(10);
    return atomic_load(&load->answered) > before;
}

/* Counted at the end: on a busy machine a statement may hear of its end long after that. */
static void killing_every_connection_fails_at_most_one_statement_of_each(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_SOCKET_URL"), 5, 10);
    struct load load = {.pause_us = 200};
    long all_killed = 0;

    load_start(&load, db, 12, LONG_MS);
    for (int round = 0; round < 6; round++) {
        nap(300);
        long killed = observe("SELECT count(pg_terminate_backend(pid)) " OURS);
        all_killed += killed;
        check(killed > 0);
        check(goes_on_answering(&load));
    }
    atomic_store(&load.is_over, true);
    load_finish(&load);
    printf("# %ld killed, %d statements failed\n", all_killed, atomic_load(&load.statement_failed));
    /* A session may be killed while it is still being opened. */
    check(failures_of(&load) <= all_killed);
    check_every_slot(db, 15);
    close_db(db);
}

static void connections_killed_while_idle_fail_nobody(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 5, 0);
    weir_pool_stats stats;

    for (int round = 0; round < 5; round++) {
        check_every_slot(db, 5);
        check_int(observe("SELECT count(*) " OURS), 5);
        observe("SELECT count(pg_terminate_backend(pid, 5000)) " OURS);
        for (int i = 0; i < 5; i++)
            check_int(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    }
    weir_pool_get_stats(weir_db_pool(db), &stats);
    check(stats.closed_by[WEIR_REASON_STALE] + stats.closed_by[WEIR_REASON_EVICTED] >= 5);
    close_db(db);
}

/* ---- the server goes away and comes back ------------------------------------------------ */

/* Crashed servers lose what was not yet flushed, so these sessions wait for their commits. */
static void durable_url(const char *base, char *room, size_t size)
{
    snprintf(room, size, "%s%coptions=-c%%20synchronous_commit%%3Don", base,
             strchr(base, '?') != NULL ? '&' : '?');
}

static void ride_out(const char *verb)
{
    char url[600];
    durable_url(env("WEIR_TEST_PG_URL"), url, sizeof(url));
    weir_db *db = open_db(url, 5, 5);
    struct load load = {.pause_us = 500};

    load_start(&load, db, 16, LONG_MS);
    nap(700);
    control(verb);
    nap(500);
    check(begins_to_fail(&load));
    control("start");
    weir_time back = weir_now();
    int answered = atomic_load(&load.answered);
    while (atomic_load(&load.answered) < answered + 100 && weir_now() < back + 10 * WEIR_SECOND)
        nap(5);
    printf("# back %lld ms after the server\n", (long long)((weir_now() - back) / WEIR_MS));
    check(atomic_load(&load.answered) >= answered + 100);
    check(comes_to_rest(&load));
    observe_from_now();
    atomic_store(&load.is_over, true);
    load_finish(&load);
    check(atomic_load(&load.statement_failed) <= 10 + 16);
    check_every_slot(db, 10);
    close_db(db);
}

static void a_restart_under_load_loses_no_answer_and_no_slot(void)
{
    ride_out("stop");
}

static void a_crash_under_load_loses_no_answer_and_no_slot(void)
{
    ride_out("crash");
}

static void a_database_opens_while_its_server_is_down_and_works_when_it_is_up(void)
{
    control("stop");
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 2, 0);
    weir_time start = weir_now();

    for (int i = 0; i < 20; i++) {
        check_int(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error), WEIR_CONNECT);
        check_contains(error.text, "refused");
        check(strstr(error.text, env("WEIR_TEST_PG_PASSWORD")) == NULL);
    }
    check(weir_now() - start < 5 * WEIR_SECOND);
    control("start");
    check_int(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    check_every_slot(db, 2);
    close_db(db);
    observe_from_now();
}

/* ---- silence ---------------------------------------------------------------------------- */

/* What waits for the end of one of the limits set here takes less, on a busy machine too; what waits for
 * another one takes five seconds and more. */
static bool has_ended_in_time(weir_time start)
{
    weir_time taken = weir_now() - start;

    if (taken >= 4 * WEIR_SECOND)
        printf("# after %lld ms\n", (long long)(taken / WEIR_MS));
    return taken < 4 * WEIR_SECOND;
}

static void a_network_that_falls_silent_delays_nobody_beyond_the_limits(void)
{
    struct relay relay;
    char url[600];
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *db = NULL;
    weir_conn *idle = NULL;
    weir_conn *busy = NULL;
    weir_pool_stats stats;

    check(relay_start(&relay, relay_port_of(env("WEIR_TEST_PG_URL"))));
    options.pool.pool_size = 2;
    options.pool.max_overflow = 0;
    options.pool.ping_bypass_ms = 0;
    options.pool.ping_timeout_ms = 200;
    options.pool.reset_timeout_ms = 200;
    options.connect_timeout_ms = 1500;
    check_int(weir_db_open(relay_url(env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url)),
                           &options, &db, &error),
              WEIR_OK);
    check_int(weir_db_acquire(db, weir_deadline_in(5000), &idle, &error), WEIR_OK);
    check_int(weir_db_acquire(db, weir_deadline_in(5000), &busy, &error), WEIR_OK);
    check_int(weir_conn_begin(busy, WEIR_TX_WRITE, &error), WEIR_OK);
    weir_conn_release(idle);
    atomic_store(&relay.is_silent, true);

    weir_time start = weir_now();
    weir_conn_release(busy); /* its rollback gets no answer */
    check(has_ended_in_time(start));
    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.leased, 0);

    start = weir_now();
    check(weir_db_acquire(db, weir_deadline_in(10000), &idle, &error) != WEIR_OK);
    check(has_ended_in_time(start));
    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.leased, 0);
    check_int(stats.connections, 0);

    atomic_store(&relay.is_silent, false);
    check_every_slot(db, 2);
    close_db(db);
    relay_stop(&relay);
}

static void a_statement_without_an_answer_gives_its_slot_back_in_time(void)
{
    struct relay relay;
    char url[600];
    weir_conn *conn = NULL;

    check(relay_start(&relay, relay_port_of(env("WEIR_TEST_PG_URL"))));
    weir_db *db = open_db(relay_url(env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url)), 1, 0);
    check_int(weir_db_acquire(db, weir_deadline_in(5000), &conn, &error), WEIR_OK);
    atomic_store(&relay.is_silent, true);
    weir_time start = weir_now();
    weir_conn_set_deadline(conn, weir_deadline_in(300));
    check_int(weir_conn_query(conn, "SELECT 1", NULL, 0, NULL, &error), WEIR_TIMEOUT);
    weir_conn_release(conn);
    check(has_ended_in_time(start));
    atomic_store(&relay.is_silent, false);
    check_int(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    close_db(db);
    relay_stop(&relay);
}

/* ---- holders that leave a mess ---------------------------------------------------------- */

static void a_copy_left_in_progress_costs_its_connection_and_not_its_slot(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_SOCKET_URL"), 1, 0);
    weir_conn *conn = NULL;

    for (int i = 0; i < 4; i++) {
        check_int(weir_db_acquire(db, weir_deadline_in(2000), &conn, &error), WEIR_OK);
        check_int(weir_conn_query(conn,
                                  i % 2 ? "COPY pg_class TO STDOUT" : "COPY pg_class FROM STDIN",
                                  NULL, 0, NULL, &error),
                  WEIR_UNSUPPORTED);
        weir_conn_release(conn);
        check_int(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
        check_int(observe("SELECT count(*) " OURS), 1);
    }
    close_db(db);
}

static void settings_and_temporary_tables_of_one_holder_are_not_the_next_ones(void)
{
    static const char *const mess[] = {"SET search_path TO pg_catalog",
                                       "CREATE TEMP TABLE mine (a int)", "LISTEN gossip",
                                       "SELECT pg_advisory_lock(7)", "SET ROLE pg_monitor"};
    weir_db *db = open_db(env("WEIR_TEST_PG_SOCKET_URL"), 1, 0);
    weir_conn *conn = NULL;
    weir_result *rows = NULL;
    weir_pool_stats stats;

    check_int(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    check_int(weir_db_acquire(db, weir_deadline_in(2000), &conn, &error), WEIR_OK);
    for (size_t i = 0; i < sizeof(mess) / sizeof(*mess); i++)
        check_int(weir_conn_query(conn, mess[i], NULL, 0, NULL, &error), WEIR_OK);
    weir_conn_release(conn);
    check_int(weir_db_query(db,
                            "SELECT current_setting('search_path'), current_user::text,"
                            " (SELECT count(*) FROM pg_listening_channels()),"
                            " to_regclass('pg_temp.mine') IS NULL,"
                            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')",
                            NULL, 0, &rows, &error),
              WEIR_OK);
    check_text(weir_result_value(rows, 0, 0).text, "\"$user\", public");
    check_text(weir_result_value(rows, 0, 1).text, "weir");
    check_int(weir_result_value(rows, 0, 2).integer, 0);
    check(weir_result_value(rows, 0, 3).boolean);
    check_int(weir_result_value(rows, 0, 4).integer, 0);
    weir_result_close(rows);
    weir_pool_get_stats(weir_db_pool(db), &stats);
    check_int(stats.connects, 1);
    close_db(db);
}

int main(void)
{
    observe_from_now();
    run(sixty_four_threads_never_open_more_than_the_pool_allows);
    run(killing_every_connection_fails_at_most_one_statement_of_each);
    run(connections_killed_while_idle_fail_nobody);
    run(a_restart_under_load_loses_no_answer_and_no_slot);
    run(a_crash_under_load_loses_no_answer_and_no_slot);
    run(a_database_opens_while_its_server_is_down_and_works_when_it_is_up);
    run(a_network_that_falls_silent_delays_nobody_beyond_the_limits);
    run(a_statement_without_an_answer_gives_its_slot_back_in_time);
    run(a_copy_left_in_progress_costs_its_connection_and_not_its_slot);
    run(settings_and_temporary_tables_of_one_holder_are_not_the_next_ones);
    PQfinish(observer);
    return check_done();
}
