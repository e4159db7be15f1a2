/* SPDX-License-Identifier: MIT */
/* How many round trips statements on PostgreSQL take, counted between weir and the server. */
#include "postgres_changes.h"
#include "text_pooler.h"

#define FIND "SELECT v FROM counted WHERE v = $1"

static struct text_pooler pooler; /* is plain: nobody there */
static char url[512];

static void open_counted(struct session *s, const char *more, size_t cache_size)
{
    char full[600];

    snprintf(full, sizeof(full), "%s%s", url, more);
    check(session_init(s, full, cache_size));
    /* However slow the machine is, nothing grows old that the test does not age. */
    s->config.options.prepared_max_age_ms = 3600 * 1000;
    if (session_connect(s, SOON) != WEIR_OK) {
        printf("Bail out! %s\n", s->error.text);
        exit(1);
    }
}

/* How many answers came for so many uses. */
static int answers_for(struct session *s, int uses)
{
    weir_value one = weir_int(1);
    int before = atomic_load(&pooler.answers);

    for (int i = 0; i < uses; i++)
        check_text(answer_to(s, FIND, &one), "1");
    return atomic_load(&pooler.answers) - before;
}

static void begin_with(const char *type)
{
    char sql[160];

    snprintf(sql, sizeof(sql),
             "DROP TABLE IF EXISTS counted; CREATE TABLE counted (v %s); "
             "INSERT INTO counted VALUES (1)",
             type);
    change(sql);
}

static void a_hundred_uses_of_what_is_prepared_are_a_hundred_round_trips(void)
{
    struct session s;

    begin_with("int");
    open_counted(&s, "", 128);
    check_int(answers_for(&s, 1), 2); /* prepared and described, and run */
    check_int(answers_for(&s, 100), 100);
    int before = atomic_load(&pooler.answers);
    for (int i = 0; i < 100; i++)
        must(&s, "SELECT 1");
    check_int(atomic_load(&pooler.answers) - before, 101);

    /* Inside a transaction the savepoint goes along. */
    change("COMMENT ON TABLE counted IS 'no definition'");
    must(&s, "BEGIN");
    before = atomic_load(&pooler.answers);
    check_int(give(&s, "SELECT v FROM counted WHERE v < $1", weir_int(1)), WEIR_OK);
    check_int(atomic_load(&pooler.answers) - before, 2);
    check_int(answers_for(&s, 100), 100);
    must(&s, "COMMIT");
    session_close(&s);
}

/* First unprepared, then described, then as before. */
static void what_has_grown_old_takes_one_round_trip_more_in_all(void)
{
    struct session s;

    begin_with("int");
    open_counted(&s, "", 128);
    answers_for(&s, 2);
    for (int i = 0; i < 3; i++) {
        grow_old(&s);
        check_int(answers_for(&s, 1), 1);
        check_int(answers_for(&s, 1), 2);
        check_int(answers_for(&s, 100), 100);
    }

    /* A change that this connection has seen comes so soon that it is described at once. */
    for (int i = 0; i < 3; i++) {
        must(&s, "SET search_path TO public");
        check_int(answers_for(&s, 1), 2);
        check_int(answers_for(&s, 100), 100);
    }

    /* What is around it costs no more, and a transaction that failed can be ended. */
    for (int i = 0; i < 3; i++) {
        int before = atomic_load(&pooler.answers);
        grow_old(&s);
        must(&s, "BEGIN");
        must(&s, "SET LOCAL search_path TO public");
        check_int(run_sql(&s, "SELECT 1 / (SELECT 0)"), WEIR_QUERY);
        must(&s, "ROLLBACK");
        if (i > 0)
            check(atomic_load(&pooler.answers) - before <= 5);
    }

    /* Used less often than that, it takes none more. */
    for (int i = 0; i < 10; i++) {
        grow_old(&s);
        check_int(answers_for(&s, 1), 1);
    }
    session_close(&s);
}

static void what_has_changed_is_prepared_anew_in_one_round_trip_more(void)
{
    static const char *const types[] = {"bigint", "numeric", "int"};
    struct session s;

    begin_with("int");
    open_counted(&s, "", 128);
    answers_for(&s, 2);
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        char sql[80];
        snprintf(sql, sizeof(sql), "ALTER TABLE counted ALTER v TYPE %s", types[i]);
        change(sql);
        grow_old(&s);
        check_int(answers_for(&s, 1), 1);
        check_int(answers_for(&s, 1), 3);
        check_int(answers_for(&s, 100), 100);
    }
    session_close(&s);
}

/* Whatever was asked of the server: it reports by itself when that has changed. */
static void a_clean_return_takes_no_round_trip(void)
{
    static const char *const roles[] = {
        "", "&target_session_attrs=any", "&target_session_attrs=read-write",
        "&target_session_attrs=primary", "&target_session_attrs=prefer-standby"};

    begin_with("int");
    for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
        struct session s;
        open_counted(&s, roles[i], 128);
        driver.keep_baseline(s.conn);
        answers_for(&s, 3);
        for (int loan = 0; loan < 100; loan++) {
            int before = atomic_load(&pooler.answers);
            check(driver.is_alive(s.conn));
            check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
            check_int(answers_for(&s, 1), 1);
            check_int(driver.reset(s.conn, WEIR_RESET_COMMIT, SOON, &s.error), WEIR_OK);
            check_int(atomic_load(&pooler.answers) - before, 1);
        }
        session_close(&s);
    }
}

/* Each of a hundred statements once, in a cache of four. */
static void run_a_hundred(struct session *s)
{
    char sql[64];
    weir_value one = weir_int(1);

    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof(sql), "SELECT $1::int + %d", i);
        check_int(atoi(answer_to(s, sql, &one)), i + 1);
    }
}

static void no_statement_is_deallocated_as_text(void)
{
    struct session s;
    int before = atomic_load(&pooler.deallocates);

    open_counted(&s, "", 4);
    run_a_hundred(&s);
    must(&s, "BEGIN");
    run_a_hundred(&s);
    must(&s, "COMMIT");
    must(&s, "SET work_mem TO '64kB'");
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    run_a_hundred(&s);
    check_int(atomic_load(&pooler.deallocates) - before, 0);
    if (PG_CAN_CLOSE)
        check(atomic_load(&pooler.closes) > 250);
    else
        check_int(atomic_load(&pooler.closes), 0);
    check(atoi(answer(&s, "SELECT count(*) FROM pg_prepared_statements")) <= 4 + PG_DROPPED);

    /* Only a caller's own is sent, and counted here. */
    must(&s, "DEALLOCATE ALL");
    check(atomic_load(&pooler.deallocates) > before);
    session_close(&s);
}

int main(void)
{
    const char *server = need_env("WEIR_TEST_PG_URL");

    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    if (!text_pooler_start(&pooler, relay_port_of(server)))
        return 1;
    pooler.is_plain = true;
    relay_url(server, pooler.port, url, sizeof(url) - 32);
    strcat(url, strchr(url, '?') != NULL ? "&sslmode=disable" : "?sslmode=disable");
    run(a_hundred_uses_of_what_is_prepared_are_a_hundred_round_trips);
    run(what_has_grown_old_takes_one_round_trip_more_in_all);
    run(what_has_changed_is_prepared_anew_in_one_round_trip_more);
    run(a_clean_return_takes_no_round_trip);
    run(no_statement_is_deallocated_as_text);
    change("DROP TABLE counted");
    text_pooler_stop(&pooler);
    session_close(&observer);
    return check_done();
}
