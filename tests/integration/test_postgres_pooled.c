/* SPDX-License-Identifier: MIT */
/* Prepared statements behind PgBouncer in transaction mode: any version, with its defaults. */
#include "postgres_session.h"

#define CHANGES 20

static const char *pooled_url(void)
{
    return need_env("WEIR_TEST_PGBOUNCER_TRANSACTION_URL");
}

static void change(const char *sql)
{
    check_int(driver.script(observer.conn, sql, SOON, &observer.error), WEIR_OK);
}

/* What PgBouncer keeps of the server is gone; its clients stay. */
static void end_sessions_of_the_server(void)
{
    must(&observer, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> "
                    "pg_backend_pid() AND usename = 'weir'");
}

static const char *number_of(struct session *s, int64_t number)
{
    weir_value value = weir_int(number);

    return answer_to(s, "SELECT $1::int + 1", &value);
}

/* The sessions of the server outlive those of the clients, and so do names. */
static void names_of_clients_that_are_gone_are_in_nobody_s_way(void)
{
    for (int client = 0; client < 5; client++) {
        struct session s;
        session_open(&s, pooled_url());
        for (int use = 0; use < 3; use++)
            check_text(number_of(&s, 41), "42");
        check_text(answer(&s, "SELECT 'x'"), "x");
        session_close(&s);
    }
}

static void two_clients_of_one_session_run_each_its_own(void)
{
    struct session one;
    struct session two;
    weir_value value = weir_text("v");

    session_open(&one, pooled_url());
    session_open(&two, pooled_url());
    for (int use = 0; use < 3; use++) {
        check_text(answer_to(&one, "SELECT 'one' || $1", &value), "onev");
        check_text(answer_to(&two, "SELECT 'two' || $1", &value), "twov");
    }
    session_close(&one);
    session_close(&two);
}

static void what_was_prepared_on_another_session_runs_unprepared(void)
{
    struct session s;

    session_open(&s, pooled_url());
    for (int round = 0; round < 3; round++) {
        check_text(number_of(&s, 41), "42");
        check_text(answer(&s, "SELECT 'x'"), "x");
        must(&s, "BEGIN");
        check_text(number_of(&s, 41), "42");
        must(&s, "COMMIT");
        end_sessions_of_the_server();
    }
    /* Where the pooler keeps no statements (before 1.21) weir has stopped preparing by now, and a
     * transaction loses nothing either. */
    must(&s, "BEGIN");
    check_text(number_of(&s, 41), "42");
    check_text(answer(&s, "SELECT 'x'"), "x");
    must(&s, "COMMIT");
    session_close(&s);
}

/* PgBouncer from 1.21 on finds by its text what it has prepared before the change. */
static void a_changed_table_fails_nothing(void)
{
    struct session s[3];
    char sql[64];
    weir_value one = weir_int(1);

    change("CREATE TABLE growing (id int); INSERT INTO growing VALUES (1)");
    for (int i = 0; i < 3; i++)
        session_open(&s[i], pooled_url());
    for (int column = 0; column < CHANGES; column++) {
        for (int i = 0; i < 9; i++) {
            weir_result *result = NULL;
            check_int(session_query(&s[i % 3], "SELECT * FROM growing WHERE id = $1", &one, SOON,
                                    &result),
                      WEIR_OK);
            if (result == NULL) {
                printf("# change %d: %s\n", column, s[i % 3].error.text);
                continue;
            }
            check_int(weir_result_column_count(result), (size_t)column + 1);
            weir_result_close(result);
            check_int(run_sql(&s[i % 3], "SELECT * FROM growing"), WEIR_OK);
        }
        snprintf(sql, sizeof(sql), "ALTER TABLE growing ADD c%d int", column);
        change(sql);
    }
    for (int i = 0; i < 3; i++)
        session_close(&s[i]);
    change("DROP TABLE growing");
}

static void a_column_of_another_type_takes_its_values(void)
{
    struct session s;

    change("CREATE TABLE keys (k int); INSERT INTO keys VALUES (7)");
    session_open(&s, pooled_url());
    for (int round = 0; round < 4; round++) {
        weir_value key = round % 2 == 0 ? weir_int(7) : weir_text("seven");
        for (int use = 0; use < 3; use++)
            check_text(answer_to(&s, "SELECT count(*) FROM keys WHERE k = $1", &key), "1");
        change(round % 2 == 0
                   ? "ALTER TABLE keys ALTER k TYPE text; UPDATE keys SET k = 'seven'"
                   : "UPDATE keys SET k = '7'; ALTER TABLE keys ALTER k TYPE int USING k::int");
    }
    session_close(&s);
    change("DROP TABLE keys");
}

static void statements_that_are_dropped_end_no_session(void)
{
    struct session s;
    char sql[64];

    check(session_init(&s, pooled_url(), 4));
    check_int(session_connect(&s, SOON), WEIR_OK);
    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof(sql), "SELECT %d", i);
        check(atoi(answer(&s, sql)) == i);
    }
    check_int(driver.state(s.conn), CONN_IDLE);
    session_close(&s);
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    printf("# %s\n", need_env("WEIR_TEST_POOLERS"));
    run(names_of_clients_that_are_gone_are_in_nobody_s_way);
    run(two_clients_of_one_session_run_each_its_own);
    run(what_was_prepared_on_another_session_runs_unprepared);
    run(a_changed_table_fails_nothing);
    run(a_column_of_another_type_takes_its_values);
    run(statements_that_are_dropped_end_no_session);
    session_close(&observer);
    return check_done();
}
