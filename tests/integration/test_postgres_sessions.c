/* SPDX-License-Identifier: MIT */
/* PostgreSQL sessions: connecting, cleaning on return, disconnects, limits of time and size. */
#include "postgres_session.h"
#include "relay.h"

#include <sys/resource.h>

/* ---- connecting ------------------------------------------------------------------------- */

static void tcp_with_a_password_that_needs_encoding_connects(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    check_text(answer(&s, "SELECT current_user"), "weir");
    check_text(answer(&s, "SHOW application_name"), "weir");
    check_text(answer(&s, "SHOW client_encoding"), "UTF8");
    check_text(answer(&s, "SHOW datestyle"), "ISO, MDY");
    check_text(answer(&s, "SHOW statement_timeout"), "29950ms");
    session_close(&s);
}

static void options_of_the_url_reach_the_session_and_survive_discard(void)
{
    struct session s;
    char url[512];

    snprintf(url, sizeof(url),
             "%s&options=-c%%20search_path%%3Dpg_catalog%%20-c%%20statement_timeout%%3D7s",
             need_env("WEIR_TEST_PG_SOCKET_URL"));
    session_open(&s, url);
    check_text(answer(&s, "SHOW search_path"), "pg_catalog");
    check_text(answer(&s, "SHOW statement_timeout"), "7s");
    must(&s, "SET search_path TO public");
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_text(answer(&s, "SHOW search_path"), "pg_catalog");
    session_close(&s);
}

static void a_wrong_password_is_refused_and_shown_nowhere(void)
{
    struct session s;
    char url[256];

    snprintf(url, sizeof(url), "postgresql://weir:hunter2@127.0.0.1:%d/weir",
             relay_port_of(need_env("WEIR_TEST_PG_URL")));
    check(session_init(&s, url, 8));
    check_int(session_connect(&s, SOON), WEIR_CONNECT);
    check_contains(s.error.text, "password authentication failed for user \"weir\"");
    check_int(s.error.status, WEIR_CONNECT);
    check(strstr(s.error.text, "hunter2") == NULL);
    check(strchr(s.error.text, '\n') == NULL);
    session_close(&s);
}

static void a_refused_port_fails_at_once(void)
{
    struct session s;
    weir_time start = weir_now();

    check(session_init(&s, "postgresql://weir:hunter2@127.0.0.1:1/weir", 8));
    check_int(session_connect(&s, SOON), WEIR_CONNECT);
    check_contains(s.error.text, "Connection refused");
    check(took_less_than(start, 2000));
    session_close(&s);
}

static void a_server_that_accepts_and_says_nothing_costs_the_deadline_only(void)
{
    struct session s;
    struct relay relay;
    char url[512];

    check(relay_start(&relay, relay_port_of(need_env("WEIR_TEST_PG_URL"))));
    atomic_store(&relay.is_silent, true);
    check(
        session_init(&s, relay_url(need_env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url)), 8));
    weir_time start = weir_now();
    check_int(session_connect(&s, weir_deadline_in(200)), WEIR_CONNECT);
    check(took_less_than(start, 1000));
    check(weir_now() - start >= 200 * WEIR_MS);
    check_contains(s.error.text, "did not answer in time");
    check(strstr(s.error.text, need_env("WEIR_TEST_PG_PASSWORD")) == NULL);
    check(strstr(s.error.text, "p%40ss") == NULL);
    session_close(&s);
    relay_stop(&relay);
}

static void hosts_are_tried_in_order_until_one_answers(void)
{
    struct session s;
    char url[512];
    const char *good = need_env("WEIR_TEST_PG_URL");
    const char *host = strrchr(good, '@') + 1;

    snprintf(url, sizeof(url), "%.*s127.0.0.1:1,%s", (int)(host - good), good, host);
    check(session_init(&s, url, 8));
    check_int(session_connect(&s, SOON), WEIR_OK);
    if (s.conn != NULL)
        check_text(answer(&s, "SELECT 1"), "1");
    session_close(&s);
}

static void an_option_that_nobody_knows_is_refused_by_its_name(void)
{
    struct session s;

    check(!session_init(&s, "postgresql://localhost/weir?pool_sise=5", 8));
    check_int(s.error.status, WEIR_INVALID);
    check_contains(s.error.text, "pool_sise");
    session_close(&s);
}

static void tls_is_used_when_asked_for_and_carries_large_results(void)
{
    struct session s;
    weir_result *result = NULL;
    char url[512];

    must(&observer, "ALTER SYSTEM SET ssl = on");
    must(&observer, "SELECT pg_reload_conf()");
    if (!comes_to(&observer, "SHOW ssl", "on")) {
        check_cannot("the server has no certificate: openssl is not installed");
        must(&observer, "ALTER SYSTEM RESET ssl");
        return;
    }
    snprintf(url, sizeof(url), "%s?sslmode=require", need_env("WEIR_TEST_PG_URL"));
    session_open(&s, url);
    check(((struct pg_conn *)s.conn)->is_tls);
    check_text(answer(&s, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "true");
    check_int(session_query(&s, "SELECT repeat('x', n) FROM generate_series(1, 4000) AS n", NULL,
                            SOON, &result),
              WEIR_OK);
    check_int(weir_result_row_count(result), 4000);
    check_int(weir_result_value(result, 3999, 0).size, 4000);
    weir_result_close(result);
    check(driver.is_alive(s.conn));
    session_close(&s);
    must(&observer, "ALTER SYSTEM RESET ssl");
    must(&observer, "SELECT pg_reload_conf()");
}

static void a_closed_connection_is_no_longer_counted_by_the_server(void)
{
    static const char count[] =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weir' AND pid <> "
        "pg_backend_pid()";

    for (int i = 0; i < 30; i++) {
        struct session s;
        session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
        check_text(answer(&observer, count), "1");
        session_close(&s);
        check_text(answer(&observer, count), "0");
    }
}

/* ---- the return ------------------------------------------------------------------------- */

/* Whatever was asked of the server; see also test_postgres_round_trips.c. */
static void a_clean_connection_is_reset_without_a_word(void)
{
    static const char *const roles[] = {"", "&target_session_attrs=read-write",
                                        "&target_session_attrs=primary",
                                        "&target_session_attrs=prefer-standby"};
    struct session s;
    char url[512];
    char changed[128];
    char sql[200];

    for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
        snprintf(url, sizeof(url), "%s%s", need_env("WEIR_TEST_PG_SOCKET_URL"), roles[i]);
        session_open(&s, url);
        driver.keep_baseline(s.conn);
        snprintf(sql, sizeof(sql), "SELECT state_change::text FROM pg_stat_activity WHERE pid = %s",
                 answer(&s, "SELECT pg_backend_pid()"));
        snprintf(changed, sizeof(changed), "%s", answer(&observer, sql));
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&observer, sql), changed);
        session_close(&s);
    }
}

static void an_open_transaction_ends_as_asked(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "CREATE TABLE kept (a int)");
    must(&s, "BEGIN");
    must(&s, "INSERT INTO kept VALUES (1)");
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_text(answer(&observer, "SELECT count(*) FROM kept"), "0");
    must(&s, "BEGIN");
    must(&s, "INSERT INTO kept VALUES (2)");
    check_int(driver.reset(s.conn, WEIR_RESET_COMMIT, SOON, &s.error), WEIR_OK);
    check_text(answer(&observer, "SELECT count(*) FROM kept"), "1");
    must(&s, "BEGIN");
    must(&s, "INSERT INTO kept VALUES (3)");
    check_int(run_sql(&s, "SELECT 1/0"), WEIR_QUERY);
    check_int(driver.state(s.conn), CONN_FAILED);
    check_int(driver.reset(s.conn, WEIR_RESET_COMMIT, SOON, &s.error), WEIR_OK);
    check_int(driver.state(s.conn), CONN_IDLE);
    check_text(answer(&observer, "SELECT count(*) FROM kept"), "1");
    must(&s, "BEGIN");
    check_int(driver.reset(s.conn, WEIR_RESET_NONE, SOON, &s.error), WEIR_OK);
    check_int(driver.state(s.conn), CONN_TRANSACTION);
    must(&s, "ROLLBACK");
    must(&s, "DROP TABLE kept");
    session_close(&s);
}

static void fail_a_transaction(struct session *s)
{
    must(s, "BEGIN");
    must(s, "CREATE TABLE never (a int)");
    check_int(run_sql(s, "SELECT 1 / (SELECT 0)"), WEIR_QUERY);
    check_int(driver.state(s->conn), CONN_FAILED);
}

static void a_commit_of_what_failed_is_an_error_however_it_is_written(void)
{
    static const struct {
        const char *sql;
        enum conn_state state;
    } commits[] = {
        {"COMMIT", CONN_IDLE},
        {"end", CONN_IDLE},
        {"; /* x */ Commit -- now\n WORK", CONN_IDLE},
        {"COMMIT AND CHAIN", CONN_TRANSACTION},
        {"PREPARE /**/ TRANSACTION 'x'", CONN_IDLE},
    };
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof commits / sizeof *commits; i++) {
        fail_a_transaction(&s);
        weir_result *result = NULL;
        check_int(session_query(&s, commits[i].sql, NULL, SOON, &result), WEIR_QUERY);
        check(result == NULL);
        check_text(s.error.sqlstate, "25P02");
        check_contains(s.error.text, "rolled back");
        check_int(driver.state(s.conn), commits[i].state);
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);

        fail_a_transaction(&s);
        char script[128];
        snprintf(script, sizeof script, "%s; CREATE TABLE beyond (a int)", commits[i].sql);
        check_int(driver.script(s.conn, script, SOON, &s.error), WEIR_QUERY);
        check_text(s.error.sqlstate, "25P02");
        check_int(driver.state(s.conn), CONN_IDLE);
    }
    check_text(answer(&s, "SELECT to_regclass('never') IS NULL AND to_regclass('beyond') IS NULL"),
               "true");
    session_close(&s);
}

static void what_ends_a_failed_transaction_rightly_is_no_error(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    fail_a_transaction(&s);
    must(&s, "ROLLBACK");
    fail_a_transaction(&s);
    must(&s, "ABORT");
    fail_a_transaction(&s);
    check_int(driver.script(s.conn, "ROLLBACK; BEGIN; COMMIT", SOON, &s.error), WEIR_OK);
    must(&s, "BEGIN");
    must(&s, "SAVEPOINT a");
    check_int(run_sql(&s, "SELECT 1 / (SELECT 0)"), WEIR_QUERY);
    must(&s, "ROLLBACK TO a");
    must(&s, "COMMIT");
    fail_a_transaction(&s);
    check_int(run_sql(&s, "COMMIT PREPARED 'x'"), WEIR_QUERY);
    check_int(driver.state(s.conn), CONN_FAILED);
    must(&s, "ROLLBACK");
    must(&s, "COMMIT"); /* of nothing: a warning */
    session_close(&s);
}

static void what_a_holder_did_to_the_session_is_gone_afterwards(void)
{
    /* Not a word in it that would mark the session itself. */
    static const char litter[] =
        "SELECT count(*) FROM pg_class WHERE relname = 'litter' AND relpersistence = 't'";
    static const struct {
        const char *dirt;
        const char *look;
        const char *clean;
    } cases[] = {
        {"SET work_mem TO '64kB'", "SHOW work_mem", "4MB"},
        {"SELECT set_config('work_mem', '64kB', false)", "SHOW work_mem", "4MB"},
        {"CREATE TEMP TABLE litter (a int)", litter, "0"},
        {"SELECT 1 AS a INTO TEMPORARY litter", litter, "0"},
        {"LISTEN gossip", "SELECT count(*) FROM pg_listening_channels()", "0"},
        {"SELECT pg_advisory_lock(1)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
         "0"},
        {"SET ROLE pg_monitor", "SELECT current_user", "weir"},
        {"PREPARE litter AS SELECT 1",
         "SELECT count(*) FROM pg_prepared_statements WHERE name = 'litter'", "0"},
        {"DO $$ BEGIN SET work_mem TO '64kB'; END $$", "SHOW work_mem", "4MB"},
        {"CREATE /* x */ TEMP TABLE litter (a int)", litter, "0"},
        {"SELECT 1 AS a INTO /**/ TEMP litter", litter, "0"},
        {"CREATE TABLE \"pg_temp\".litter (a int)", litter, "0"},
        {"UPDATE pg_settings SET setting = '64' WHERE name = 'work_mem'", "SHOW work_mem", "4MB"},
        {"SELECT U&\"set\\005fconfig\"('work_mem', '64kB', false)", "SHOW work_mem", "4MB"},
        {"SELECT query_to_xml('SELECT set' || '_config(''work_mem'', ''64kB'', false)', true, "
         "true, '')",
         "SHOW work_mem", "4MB"},
    };
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        must(&s, cases[i].dirt);
        if (strcmp(answer(&s, cases[i].look), cases[i].clean) == 0) {
            check_failures_in_test++;
            printf("# %s left no dirt to clean\n", cases[i].dirt);
        }
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, cases[i].look), cases[i].clean);
    }
    session_close(&s);
}

/* Advisory locks of the session stay when the statement, or the whole transaction, fails. */
static void a_lock_taken_by_what_failed_is_released_on_return(void)
{
    static const char *const failing[] = {
        "SELECT pg_advisory_lock(7), 1 / (SELECT 0)",
        "DO $$ BEGIN PERFORM pg_advisory_lock(7); RAISE 'no'; END $$",
        "SELECT \"pg_try_advisory_lock_shared\"(7), 1 / (SELECT 0)",
    };
    static const char held[] = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (size_t i = 0; i < sizeof failing / sizeof *failing; i++) {
        check_int(run_sql(&s, failing[i]), WEIR_QUERY);
        check_text(answer(&s, held), "1");
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, held), "0");
        check_int(driver.script(s.conn, failing[i], SOON, &s.error), WEIR_QUERY);
        check_text(answer(&s, held), "1");
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, held), "0");
    }
    session_close(&s);
}

static void a_cursor_with_hold_is_closed_on_return(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "BEGIN");
    must(&s, "DECLARE held CURSOR WITH -- for later\n HOLD FOR SELECT 1");
    must(&s, "COMMIT");
    check_text(answer(&s, "SELECT count(*) FROM pg_cursors WHERE name = 'held'"), "1");
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_text(answer(&s, "SELECT count(*) FROM pg_cursors WHERE name = 'held'"), "0");
    session_close(&s);
}

static void copy_is_refused_and_its_connection_is_only_fit_for_closing(void)
{
    static const char *const copies[] = {"COPY pg_class TO STDOUT", "COPY pg_class FROM STDIN"};

    for (int by_script = 0; by_script < 2; by_script++) {
        for (int i = 0; i < 2; i++) {
            struct session s;
            session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
            weir_status status = by_script ? driver.script(s.conn, copies[i], SOON, &s.error)
                                           : run_sql(&s, copies[i]);
            check_int(status, WEIR_UNSUPPORTED);
            check_int(driver.state(s.conn), CONN_BROKEN);
            check_int(run_sql(&s, "SELECT 1"), WEIR_DISCONNECTED);
            check(!driver.is_alive(s.conn));
            check(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error) != WEIR_OK);
            weir_time start = weir_now();
            session_close(&s);
            check(took_less_than(start, 900));
        }
    }
}

/* ---- disconnects ------------------------------------------------------------------------ */

static void terminate(struct session *s, const char *pid)
{
    char sql[100];

    (void)s;
    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%s, 5000)", pid);
    check_text(answer(&observer, sql), "true");
}

static void a_session_killed_while_idle_fails_the_look(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check(driver.is_alive(s.conn));
    terminate(&s, answer(&s, "SELECT pg_backend_pid()"));
    check(!driver.is_alive(s.conn));
    check_int(driver.state(s.conn), CONN_LOST);
    session_close(&s);
}

static void a_session_killed_unnoticed_is_a_disconnect_for_the_next_statement(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    terminate(&s, answer(&s, "SELECT pg_backend_pid()"));
    check_int(run_sql(&s, "SELECT 1"), WEIR_DISCONNECTED);
    check_text(s.error.sqlstate, "57P01");
    check_int(driver.state(s.conn), CONN_LOST);
    check_int(run_sql(&s, "SELECT 1"), WEIR_DISCONNECTED);
    check(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error) != WEIR_OK);
    session_close(&s);
    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    terminate(&s, answer(&s, "SELECT pg_backend_pid()"));
    check_int(driver.ping(s.conn, SOON, &s.error), WEIR_DISCONNECTED);
    session_close(&s);
}

static void a_statement_that_kills_its_own_session_is_a_disconnect(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    check_int(run_sql(&s, "SELECT pg_terminate_backend(pg_backend_pid())"), WEIR_DISCONNECTED);
    check_text(s.error.sqlstate, "57P01");
    check_int(driver.state(s.conn), CONN_LOST);
    session_close(&s);
}

static void news_from_the_server_are_not_mistaken_for_its_end(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "LISTEN gossip");
    for (int i = 0; i < 50; i++) {
        must(&observer, "NOTIFY gossip, 'hear, hear'");
        check(driver.is_alive(s.conn));
    }
    must(&s, "DO $$ BEGIN RAISE WARNING 'careful'; END $$");
    check(driver.is_alive(s.conn));
    check_int(driver.ping(s.conn, SOON, &s.error), WEIR_OK);
    session_close(&s);
}

/* ---- limits of time and size ------------------------------------------------------------ */

static void a_statement_past_its_deadline_is_stopped_and_the_connection_lives(void)
{
    struct session s;
    char sql[200];

    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    snprintf(sql, sizeof(sql), "SELECT state FROM pg_stat_activity WHERE pid = %s",
             answer(&s, "SELECT pg_backend_pid()"));
    for (int i = 0; i < 5; i++) {
        weir_time deadline = weir_deadline_in(100);
        check_int(session_query(&s, "SELECT pg_sleep(30)", NULL, deadline, NULL), WEIR_TIMEOUT);
        check(weir_now() >= deadline);
        check(took_less_than(deadline, 900));
        check_text(s.error.sqlstate, "57014");
        check_int(driver.await_stop(s.conn, SOON, &s.error), WEIR_OK);
        check_int(driver.state(s.conn), CONN_IDLE);
        check_text(answer(&observer, sql), "idle");
        check_text(answer(&s, "SELECT 1"), "1");
    }
    session_close(&s);
}

static void a_cancel_never_hits_the_next_statement(void)
{
    struct session s;
    int stopped = 0;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    for (int i = 0; i < 100; i++) {
        /* Ends about when its deadline does, so that cancel and end race each other. */
        weir_status status =
            session_query(&s, "SELECT pg_sleep(0.009)", NULL, weir_deadline_in(10), NULL);
        stopped += status == WEIR_TIMEOUT;
        /* The next waits for the end of this one by itself. */
        check_text(answer(&s, "SELECT count(*) FROM generate_series(1, 1000)"), "1000");
    }
    printf("# %d of 100 were stopped\n", stopped);
    session_close(&s);
}

static void a_deadline_in_the_past_sends_nothing(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    check_int(session_query(&s, "SELECT 1", NULL, weir_now() - 1, NULL), WEIR_TIMEOUT);
    check_int(driver.state(s.conn), CONN_IDLE);
    check_text(answer(&s, "SELECT 1"), "1");
    session_close(&s);
}

static void the_server_stops_a_statement_on_its_own_at_statement_timeout(void)
{
    struct session s;

    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 8));
    s.config.options.statement_timeout_ms = 500;
    check_int(session_connect(&s, SOON), WEIR_OK);
    check_text(answer(&s, "SHOW statement_timeout"), "475ms");

    /* The client would wait for much longer. */
    weir_time start = weir_now();
    check_int(session_query(&s, "SELECT pg_sleep(30)", NULL, SOON, NULL), WEIR_TIMEOUT);
    check(took_less_than(start, 5000));
    check_text(s.error.sqlstate, "57014");
    check_int(driver.state(s.conn), CONN_IDLE);
    session_close(&s);
}

static void a_peer_that_falls_silent_costs_no_more_than_each_deadline(void)
{
    struct session s;
    struct relay relay;
    char url[512];
    weir_time start;

    check(relay_start(&relay, relay_port_of(need_env("WEIR_TEST_PG_URL"))));
    relay_url(need_env("WEIR_TEST_PG_URL"), relay.port, url, sizeof(url));
    for (int step = 0; step < 3; step++) {
        session_open(&s, url);
        must(&s, "BEGIN");
        atomic_store(&relay.is_silent, true);
        check(driver.is_alive(s.conn)); /* silence alone is no sign of death */
        start = weir_now();
        if (step == 0)
            check_int(session_query(&s, "SELECT 1", NULL, weir_deadline_in(200), NULL),
                      WEIR_TIMEOUT);
        if (step == 1)
            check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, weir_deadline_in(200), &s.error),
                      WEIR_TIMEOUT);
        if (step == 2)
            check_int(driver.ping(s.conn, weir_deadline_in(200), &s.error), WEIR_TIMEOUT);
        check(took_less_than(start, 600));
        check_int(driver.state(s.conn), CONN_CANCELLING);
        check_int(driver.await_stop(s.conn, weir_deadline_in(50), &s.error), WEIR_TIMEOUT);
        start = weir_now();
        session_close(&s);
        check(took_less_than(start, 500));
        atomic_store(&relay.is_silent, false);
    }
    relay_stop(&relay);
}

static void a_result_above_its_limit_is_stopped_in_the_middle(void)
{
    struct session s;
    weir_result *result = NULL;

    check(session_init(&s, need_env("WEIR_TEST_PG_SOCKET_URL"), 8));
    s.config.options.max_result_bytes = 1 << 20;
    check_int(session_connect(&s, SOON), WEIR_OK);
    weir_time start = weir_now();
    check_int(session_query(
                  &s,
                  "SELECT repeat('x', 1000) FROM (SELECT generate_series(1, 10000000)) streamed",
                  NULL, SOON, &result),
              WEIR_LIMIT);
    check(result == NULL);
    check(took_less_than(start, 9000));
    check_contains(s.error.text, "1048576");
    check_int(driver.await_stop(s.conn, SOON, &s.error), WEIR_OK);
    check_int(driver.state(s.conn), CONN_IDLE);
    check_int(session_query(&s, "SELECT repeat('x', 1000) FROM generate_series(1, 900)", NULL, SOON,
                            &result),
              WEIR_OK);
    check_int(weir_result_row_count(result), 900);
    weir_result_close(result);
    session_close(&s);
}

static long peak_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* After small results a statement is read in one piece, and only its bytes are watched. */
static void a_statement_whose_results_were_small_is_stopped_as_well(void)
{
    static const char sql[] = "SELECT repeat('x', $2::int), generate_series(1, $1::int)";
    static const int sizes[] = {10, 1000, 100000};
    struct session s;
    weir_result *result = NULL;

    for (int tls = 0; tls < 2; tls++) {
        check(session_init(&s, need_env(tls ? "WEIR_TEST_PG_URL" : "WEIR_TEST_PG_SOCKET_URL"), 8));
        s.config.options.max_result_bytes = 2 << 20;
        check_int(session_connect(&s, SOON), WEIR_OK);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            weir_value one[] = {weir_int(1), weir_int(sizes[i])};
            weir_value many[] = {weir_int(20000000), weir_int(sizes[i])};
            for (int small = 0; small < 2; small++) {
                check_int(session_query(&s, sql, one, SOON, &result), WEIR_OK);
                check_int(weir_result_value(result, 0, 0).size, sizes[i]);
                weir_result_close(result);
                result = NULL;
            }
            long before = peak_kib();
            check_int(session_query(&s, sql, many, SOON, &result), WEIR_LIMIT);
            check(result == NULL);
            check_contains(s.error.text, "2097152");
            check_int(driver.await_stop(s.conn, SOON, &s.error), WEIR_OK);
            check_int(driver.state(s.conn), CONN_IDLE);
            check(peak_kib() - before < 100000);
        }
        session_close(&s);
    }
}

static void a_large_parameter_and_a_large_value_pass(void)
{
    enum { SIZE = 20 << 20 };
    struct session s;
    char *text = malloc(SIZE);
    weir_result *result = NULL;

    memset(text, 'x', SIZE);
    session_open(&s, need_env("WEIR_TEST_PG_URL"));
    weir_value value = weir_text_n(text, SIZE);
    check_int(session_query(&s, "SELECT $1::text", &value, SOON, &result), WEIR_OK);
    check_int(weir_result_value(result, 0, 0).size, SIZE);
    weir_result_close(result);
    session_close(&s);
    free(text);
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    run(tcp_with_a_password_that_needs_encoding_connects);
    run(options_of_the_url_reach_the_session_and_survive_discard);
    run(a_wrong_password_is_refused_and_shown_nowhere);
    run(a_refused_port_fails_at_once);
    run(a_server_that_accepts_and_says_nothing_costs_the_deadline_only);
    run(hosts_are_tried_in_order_until_one_answers);
    run(an_option_that_nobody_knows_is_refused_by_its_name);
    run(tls_is_used_when_asked_for_and_carries_large_results);
    run(a_closed_connection_is_no_longer_counted_by_the_server);
    run(a_clean_connection_is_reset_without_a_word);
    run(an_open_transaction_ends_as_asked);
    run(a_commit_of_what_failed_is_an_error_however_it_is_written);
    run(what_ends_a_failed_transaction_rightly_is_no_error);
    run(what_a_holder_did_to_the_session_is_gone_afterwards);
    run(a_lock_taken_by_what_failed_is_released_on_return);
    run(a_cursor_with_hold_is_closed_on_return);
    run(copy_is_refused_and_its_connection_is_only_fit_for_closing);
    run(a_session_killed_while_idle_fails_the_look);
    run(a_session_killed_unnoticed_is_a_disconnect_for_the_next_statement);
    run(a_statement_that_kills_its_own_session_is_a_disconnect);
    run(news_from_the_server_are_not_mistaken_for_its_end);
    run(a_statement_past_its_deadline_is_stopped_and_the_connection_lives);
    run(a_cancel_never_hits_the_next_statement);
    run(a_deadline_in_the_past_sends_nothing);
    run(the_server_stops_a_statement_on_its_own_at_statement_timeout);
    run(a_peer_that_falls_silent_costs_no_more_than_each_deadline);
    run(a_result_above_its_limit_is_stopped_in_the_middle);
    run(a_statement_whose_results_were_small_is_stopped_as_well);
    run(a_large_parameter_and_a_large_value_pass);
    session_close(&observer);
    return check_done();
}
