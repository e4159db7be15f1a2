/* SPDX-License-Identifier: MIT */
/* Deadlines on PostgreSQL, one by one: who runs into one, servers that do not answer, and the process's end. */
#include "cancel_scene.h"

#include <sys/wait.h>

static const char *program;

/* ---- the one who ran into his deadline ----------------------------------------------------- */

static void releasing_waits_for_nothing_and_the_slot_stays_taken(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 10000);
    weir_conn *conn = acquire(db);
    weir_conn *other = NULL;
    int64_t pid = number_of(conn, "SELECT pg_backend_pid()");

    kill((pid_t)pid, SIGSTOP);
    check_int(run_for(conn, "SELECT 1", 20, &error), WEIR_TIMEOUT);
    check_text(error.sqlstate, "57014");
    weir_conn_release(conn);
    check_int(stats_of(db).leased, 1);
    check_int(stats_of(db).cancelling, 1);
    weir_pool_maintain(weir_db_pool(db));
    check_int(weir_db_acquire(db, weir_deadline_in(5), &other, &error), WEIR_TIMEOUT);
    check_contains(error.text, "cancel_scene.h:");
    check_contains(error.text, "(being cancelled, ");
    kill((pid_t)pid, SIGCONT);
    conn = acquire(db);
    check_int(number_of(conn, "SELECT pg_backend_pid()"), pid);
    weir_conn_release(conn);
    check_int(stats_of(db).cancelling, 0);
    check_int(stats_of(db).connects, 1);
    check_int(stats_of(db).nested, 0);
    check_int(stats_of(db).leaks, 0);
    close_db(db);
}

static void a_transaction_goes_on_with_its_rollback(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 60000);
    weir_conn *conn = acquire(db);

    observe("CREATE TABLE IF NOT EXISTS noted (n int)");
    for (int i = 0; i < 3; i++) {
        const char *slow = i == 0   ? SLEEP
                           : i == 1 ? STUBBORN
                                    : "SELECT pg_sleep(20) FROM generate_series(1, 3)";
        weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
        check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK);
        check_int(run_for(conn, "INSERT INTO noted VALUES (1)", 5000, &error), WEIR_OK);
        check_int(run_for(conn, slow, 20, &error), WEIR_TIMEOUT);
        check_int(run_for(conn, "SELECT 1", 60000, &error), WEIR_QUERY);
        check_text(error.sqlstate, "25P02");
        check_int(weir_conn_rollback(conn, &error), WEIR_OK);
        check_int(number_of(conn, "SELECT count(*) FROM noted"), 0);
    }
    weir_conn_release(conn);
    check_int(stats_of(db).connects, 1);
    close_db(db);
}

static void a_savepoint_saves_the_transaction_around_it(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 60000);
    weir_conn *conn = acquire(db);

    observe("CREATE TABLE IF NOT EXISTS noted (n int)");
    check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK);
    check_int(run_for(conn, "INSERT INTO noted VALUES (1)", 5000, &error), WEIR_OK);
    check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK);
    check_int(run_for(conn, STUBBORN, 20, &error), WEIR_TIMEOUT);
    check_int(weir_conn_rollback(conn, &error), WEIR_OK);
    weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
    check_int(weir_conn_commit(conn, &error), WEIR_OK);
    check_int(number_of(conn, "SELECT count(*) FROM noted"), 1);
    weir_conn_release(conn);
    observe("DELETE FROM noted");
    close_db(db);
}

static void a_commit_after_a_deadline_fails_and_stores_nothing(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 60000);
    weir_conn *conn = acquire(db);

    observe("CREATE TABLE IF NOT EXISTS noted (n int)");
    for (int is_late = 0; is_late < 2; is_late++) {
        weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
        check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK);
        check_int(run_for(conn, "INSERT INTO noted VALUES (1)", 5000, &error), WEIR_OK);
        check_int(run_for(conn, STUBBORN, 20, &error), WEIR_TIMEOUT);
        if (!is_late)
            weir_conn_set_deadline(conn, weir_deadline_in(60000));
        check_int(weir_conn_commit(conn, &error), is_late ? WEIR_TIMEOUT : WEIR_QUERY);
        check_int(weir_conn_depth(conn), 0);
        check_int(number_of(conn, "SELECT count(*) FROM noted"), 0);
    }
    weir_conn_release(conn);
    close_db(db);
}

static void a_commit_at_its_deadline_is_not_waited_for_and_nothing_follows_it(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 10000);
    weir_conn *conn = acquire(db);
    pid_t pid = (pid_t)number_of(conn, "SELECT pg_backend_pid()");

    observe("CREATE TABLE IF NOT EXISTS noted (n int)");
    for (int is_ended_first = 0; is_ended_first < 2; is_ended_first++) {
        weir_conn_set_deadline(conn, weir_deadline_in(10000));
        check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK);
        check_int(run_for(conn, "INSERT INTO noted VALUES (1)", 5000, &error), WEIR_OK);
        kill(pid, SIGSTOP);
        weir_conn_set_deadline(conn, weir_deadline_in(20));
        check_int(weir_conn_commit(conn, &error), WEIR_TIMEOUT);
        check_int(weir_conn_depth(conn), 0);
        if (is_ended_first) {
            kill(pid, SIGCONT);
            check(comes_to("SELECT count(*) " OURS " AND wait_event = 'ClientRead'", 1, 10000));
        }
        check_int(run_for(conn, "INSERT INTO noted VALUES (7)", 10000, &error), WEIR_DISCONNECTED);
        check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_DISCONNECTED);
        weir_conn_release(conn);
        kill(pid, SIGCONT);
        conn = acquire(db);
        check_int(number_of(conn, "SELECT pg_backend_pid()"), pid);
        check_int(observe("SELECT count(*) FROM noted WHERE n = 7"), 0);
    }
    weir_conn_release(conn);
    observe("DELETE FROM noted");
    close_db(db);
}

static void a_begin_at_its_deadline_opens_no_transaction_for_what_follows(void)
{
    struct relay relay;
    char url[600];

    check(relay_start(&relay, relay_port_of(env("WEIR_TEST_PG_URL"))));
    weir_db *db = open_db(relay_url(env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url)), 1, 200);
    weir_conn *conn = acquire(db);

    atomic_store(&relay.is_silent, true);
    weir_conn_set_deadline(conn, weir_deadline_in(20));
    check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_TIMEOUT);
    check_int(run_for(conn, "SELECT 1", 5000, &error), WEIR_DISCONNECTED);
    check_contains(error.text, "may still take effect");
    weir_conn_release(conn);
    atomic_store(&relay.is_silent, false);
    conn = acquire(db);
    check_int(number_of(conn, "SELECT 1"), 1);
    weir_conn_release(conn);
    close_db(db);
    relay_stop(&relay);
}

static void a_later_call_waits_no_longer_than_its_own_deadline(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 10000);
    weir_conn *conn = acquire(db);
    pid_t pid = (pid_t)number_of(conn, "SELECT pg_backend_pid()");

    kill(pid, SIGSTOP);
    check_int(run_for(conn, "SELECT 1", 10, &error), WEIR_TIMEOUT);
    check_int(run_for(conn, "SELECT 1", 10, &error), WEIR_TIMEOUT);
    check_contains(error.text, "still being cancelled");
    check_int(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_TIMEOUT);
    kill(pid, SIGCONT);
    check_int(run_for(conn, "SELECT 1", 10000, &error), WEIR_OK);
    weir_conn_release(conn);
    check_int(stats_of(db).connects, 1);
    close_db(db);
}

static void a_result_above_its_limit_costs_no_session(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 10000);
    weir_result *rows = NULL;
    char url[600];

    close_db(db);
    snprintf(url, sizeof(url), "%s?max_result_bytes=65536", env("WEIR_TEST_PG_URL"));
    db = open_db(url, 1, 10000);
    for (int i = 0; i < 3; i++)
        check_int(weir_db_query(db, "SELECT repeat('x', 100) FROM generate_series(1, 5000000)",
                                NULL, 0, &rows, &error),
                  WEIR_LIMIT);
    check_int(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    check_int(stats_of(db).connects, 1);
    close_db(db);
}

static void a_discarded_one_is_closed_when_its_statement_has_ended(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 1, 60000);
    weir_conn *conn = acquire(db);
    int64_t pid = number_of(conn, "SELECT pg_backend_pid()");

    check_int(run_for(conn, STUBBORN, 20, &error), WEIR_TIMEOUT);
    weir_conn_discard(conn);
    check_int(observe("SELECT count(*) " OURS), 1);
    check_int(stats_of(db).cancelling, 1);
    conn = acquire(db);
    check(number_of(conn, "SELECT pg_backend_pid()") != pid);
    check_int(observe("SELECT count(*) " OURS), 1);
    weir_conn_release(conn);
    check_int(stats_of(db).closed_by[WEIR_REASON_DISCARDED], 1);
    close_db(db);
}

/* ---- servers that do not answer ------------------------------------------------------------ */

static void a_silent_server_costs_its_slots_for_a_stated_time_and_no_cancels_of_others(void)
{
    struct relay relay;
    char url[600];
    weir_conn *conns[10];

    check(relay_start(&relay, relay_port_of(env("WEIR_TEST_PG_URL"))));
    weir_db *silent =
        open_db(relay_url(env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url)), 10, 1500);
    weir_db *other = open_db(env("WEIR_TEST_PG_SOCKET_URL"), 1, 10000);
    for (int i = 0; i < 10; i++)
        conns[i] = acquire(silent);
    atomic_store(&relay.is_silent, true);
    for (int i = 0; i < 10; i++) {
        check_int(run_for(conns[i], "SELECT 1", 5, &error), WEIR_TIMEOUT);
        weir_conn_release(conns[i]);
    }
    check_int(stats_of(silent).cancelling, 10);
    for (int i = 0; i < 5; i++) {
        weir_conn *conn = acquire(other);
        check_int(run_for(conn, SLEEP, 10, &error), WEIR_TIMEOUT);
        weir_conn_release(conn);
    }
    weir_conn_release(acquire(other));
    check_int(stats_of(other).connects, 1);
    check_int(stats_of(silent).cancelling, 10);
    /* Its limit is 1.5 s to cancel and as much to end: then the slots are free again. */
    atomic_store(&relay.is_silent, false);
    for (int i = 0; i < 10; i++)
        conns[i] = acquire(silent);
    for (int i = 0; i < 10; i++)
        weir_conn_release(conns[i]);
    check_int(stats_of(silent).connects, 20);
    check_int(weir_db_dispose(silent, weir_deadline_in(5000), &error), WEIR_OK);
    weir_db_close(silent);
    close_db(other);
    relay_stop(&relay);
}

static void a_frozen_server_gives_its_sessions_back_when_it_goes_on(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 3, 20000);
    weir_conn *conns[3];
    pid_t pids[3];

    for (int i = 0; i < 3; i++) {
        conns[i] = acquire(db);
        pids[i] = (pid_t)number_of(conns[i], "SELECT pg_backend_pid()");
    }
    for (int i = 0; i < 3; i++) {
        kill(pids[i], SIGSTOP);
        check_int(run_for(conns[i], "SELECT 1", 10, &error), WEIR_TIMEOUT);
        weir_conn_release(conns[i]);
    }
    check_int(stats_of(db).cancelling, 3);
    check_int(weir_db_acquire(db, weir_deadline_in(10), &conns[0], &error), WEIR_TIMEOUT);
    for (int i = 0; i < 3; i++)
        kill(pids[i], SIGCONT);
    for (int i = 0; i < 3; i++)
        conns[i] = acquire(db);
    for (int i = 0; i < 3; i++)
        weir_conn_release(conns[i]);
    check_int(stats_of(db).connects, 3);
    close_db(db);
}

static void disposing_and_closing_end_in_time_while_statements_are_being_cancelled(void)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), 2, 10000);
    weir_conn *conn = acquire(db);
    pid_t pid = (pid_t)number_of(conn, "SELECT pg_backend_pid()");

    kill(pid, SIGSTOP);
    check_int(run_for(conn, "SELECT 1", 10, &error), WEIR_TIMEOUT);
    weir_conn_release(conn);
    check_int(weir_db_dispose(db, weir_deadline_in(50), &error), WEIR_TIMEOUT);
    check_contains(error.text, "being cancelled");
    weir_db_close(db);
    kill(pid, SIGCONT);
    check(comes_to("SELECT count(*) " OURS, 0, 15000));
}

/* ---- cancels that do nothing --------------------------------------------------------------- */

/* A pooler may take a cancel and do nothing, and so may a server that is compiling. */
static void cancels_that_did_nothing_are_followed_by_one_that_works(void)
{
    struct relay relay;
    char url[600];

    check(relay_start(&relay, relay_port_of(env("WEIR_TEST_PG_URL"))));
    relay_url(env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url));
    for (int lost = 1; lost <= 3; lost++) {
        weir_db *db = open_db(url, 1, 15000);
        weir_conn *conn = acquire(db);
        int64_t pid = number_of(conn, "SELECT pg_backend_pid()");
        int before = atomic_load(&relay.cancels);
        atomic_store(&relay.swallowed, lost);
        check_int(run_for(conn, SLEEP, 50, &error), WEIR_TIMEOUT);
        weir_conn_release(conn);
        check(comes_to("SELECT count(*) " OURS " AND state = 'active'", 0, 15000));
        conn = acquire(db);
        check_int(number_of(conn, "SELECT pg_backend_pid()"), pid);
        weir_conn_release(conn);
        printf("# %d lost, %d sent\n", lost, atomic_load(&relay.cancels) - before);
        check_int(atomic_load(&relay.swallowed), 0);
        check(atomic_load(&relay.cancels) - before > lost);
        check_int(stats_of(db).connects, 1);
        close_db(db);
    }
    relay_stop(&relay);
}

/* Whether the cancels of seven seconds came after 50 ms, then each after twice the pause before, and
 * never after more than two seconds; a busy machine may be late, and nobody may be early. */
static bool have_grown(const struct relay *relay)
{
    static const int pauses[] = {50, 100, 200, 400, 800, 1600, 2000};
    int count = atomic_load(&relay->cancels);
    bool is_right = count >= 8;

    for (int i = 1; i < count && i < 8; i++) {
        const struct timespec *one = &relay->cancelled_at[i - 1];
        const struct timespec *next = &relay->cancelled_at[i];
        int64_t ns =
            (next->tv_sec - one->tv_sec) * INT64_C(1000000000) + next->tv_nsec - one->tv_nsec;
        int ms = (int)(ns / 1000000);
        printf("# cancel %d came %d ms after the one before\n", i + 1, ms);
        is_right = is_right && ms >= pauses[i - 1] * 9 / 10 && ms <= pauses[i - 1] + 700;
    }
    return is_right;
}

static bool give_up_after_growing_pauses(void)
{
    struct relay relay;
    char url[600];
    weir_conn *none = NULL;

    check(relay_start(&relay, relay_port_of(env("WEIR_TEST_PG_URL"))));
    atomic_store(&relay.swallowed, RELAY_CANCELS);
    weir_db *db =
        open_db(relay_url(env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url)), 1, 7000);
    weir_conn *conn = acquire(db);
    int64_t pid = number_of(conn, "SELECT pg_backend_pid()");
    weir_time start = weir_now();
    check_int(run_for(conn, "SELECT pg_sleep(60)", 50, &error), WEIR_TIMEOUT);
    weir_conn_release(conn);
    check_int(weir_db_acquire(db, weir_deadline_in(2000), &none, &error), WEIR_TIMEOUT);
    check_contains(error.text, "(being cancelled, ");
    check_int(observe("SELECT count(*) " OURS " AND state = 'active'"), 1);
    /* Then its sending side is shut down, and the server looks at it every second. */
    conn = acquire(db);
    check(weir_now() - start >= 7000 * WEIR_MS);
    check_int(observe("SELECT count(*) " OURS), 1);
    check(number_of(conn, "SELECT pg_backend_pid()") != pid);
    weir_conn_release(conn);
    check_int(stats_of(db).connects, 2);
    check_int(stats_of(db).cancelling, 0);
    close_db(db);
    relay_stop(&relay);
    return have_grown(&relay);
}

static void without_an_effect_the_pauses_grow_and_the_session_is_given_up(void)
{
    bool has_grown = false;

    for (int tries = 0; tries < 3 && !has_grown; tries++)
        has_grown = give_up_after_growing_pauses();
    check(has_grown);
}

/* ---- the process --------------------------------------------------------------------------- */

static void leave_statements_behind(const char *url, bool is_released)
{
    weir_db *db = open_db(url, 4, 10000);

    for (int i = 0; i < 4; i++) {
        weir_conn *conn = acquire(db);
        (void)run_for(conn, STUBBORN, 5, &error);
        if (is_released || i % 2 == 0)
            weir_conn_release(conn);
    }
}

static weir_db *closed_late;

static void close_late(void)
{
    if (weir_db_dispose(closed_late, weir_deadline_in(3000), &error) == WEIR_OK)
        weir_db_close(closed_late);
    else
        _exit(3);
}

/* What the program does that is started for it. */
static int be_child(const char *how)
{
    if (strcmp(how, "exit") == 0) {
        leave_statements_behind(env("WEIR_TEST_PG_URL"), false);
        return 0;
    }
    /* Its own handler comes after the library's, which was registered later. */
    closed_late = open_db(env("WEIR_TEST_PG_URL"), 1, 10000);
    atexit(close_late);
    weir_conn *conn = acquire(closed_late);
    (void)run_for(conn, "SELECT length((" POWERS " + " POWERS " + " POWERS ")::text)", 5, &error);
    weir_conn_release(conn);
    return 0;
}

static int run_child(const char *how)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        execl(program, program, how, (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return status;
}

static void a_process_may_end_while_statements_are_being_cancelled(void)
{
    check_int(run_child("exit"), 0);
    check_int(run_child("atexit"), 0);
    check(comes_to("SELECT count(*) " OURS, 0, 20000));
}

static void a_forked_child_cancels_on_threads_of_its_own(void)
{
    int status = -1;

    leave_statements_behind(env("WEIR_TEST_PG_URL"), true);
    pid_t child = fork();
    if (child == 0) {
        weir_db *db = open_db(env("WEIR_TEST_PG_SOCKET_URL"), 1, 10000);
        weir_conn *conn = acquire(db);
        if (run_for(conn, SLEEP, 10, &error) != WEIR_TIMEOUT)
            _exit(1);
        weir_conn_release(conn);
        weir_conn_release(acquire(db));
        _exit(stats_of(db).connects == 1 ? 0 : 2);
    }
    waitpid(child, &status, 0);
    check_int(status, 0);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 2)
        return be_child(argv[1]);
    observe_from_now();
    run(releasing_waits_for_nothing_and_the_slot_stays_taken);
    run(a_transaction_goes_on_with_its_rollback);
    run(a_savepoint_saves_the_transaction_around_it);
    run(a_commit_after_a_deadline_fails_and_stores_nothing);
    run(a_commit_at_its_deadline_is_not_waited_for_and_nothing_follows_it);
    run(a_begin_at_its_deadline_opens_no_transaction_for_what_follows);
    run(a_later_call_waits_no_longer_than_its_own_deadline);
    run(a_result_above_its_limit_costs_no_session);
    run(a_discarded_one_is_closed_when_its_statement_has_ended);
    run(a_silent_server_costs_its_slots_for_a_stated_time_and_no_cancels_of_others);
    run(a_frozen_server_gives_its_sessions_back_when_it_goes_on);
    run(disposing_and_closing_end_in_time_while_statements_are_being_cancelled);
    run(cancels_that_did_nothing_are_followed_by_one_that_works);
    run(without_an_effect_the_pauses_grow_and_the_session_is_given_up);
    run(a_process_may_end_while_statements_are_being_cancelled);
    run(a_forked_child_cancels_on_threads_of_its_own);
    PQfinish(observer);
    return check_done();
}
