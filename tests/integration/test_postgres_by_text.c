/* SPDX-License-Identifier: MIT */
/* Statements behind a pooler that finds each by its text, also the unnamed one, and tables that change. */
#include "postgres_changes.h"
#include "text_pooler.h"

#define CHANGES 6

static struct text_pooler pooler;
static char url[512];

static void open_behind(struct session *s, size_t cache_size)
{
    bool is_open = session_init(s, url, cache_size) && session_connect(s, SOON) == WEIR_OK;

    if (!is_open) {
        printf("Bail out! %s\n", s->error.text);
        exit(1);
    }
}

static void begin_with_one_column(void)
{
    change("DROP TABLE IF EXISTS growing; CREATE TABLE growing (id int); "
           "INSERT INTO growing VALUES (1)");
}

/* Its rows have as many columns as the table has now. */
static void check_columns(struct session *s, const char *sql, const weir_value *values,
                          size_t expected)
{
    weir_result *result = NULL;

    check_int(session_query(s, sql, values, SOON, &result), WEIR_OK);
    if (result == NULL) {
        printf("# %s: %s %s\n", sql, s->error.sqlstate, s->error.text);
        return;
    }
    check_int(weir_result_column_count(result), expected);
    check_int(weir_result_row_count(result), 1);
    weir_result_close(result);
}

static void add_column(int number)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "ALTER TABLE growing ADD c%d int", number);
    change(sql);
}

static void rows_are_those_of_the_changed_table_with(size_t cache_size)
{
    struct session s;
    weir_value one = weir_int(1);

    begin_with_one_column();
    open_behind(&s, cache_size);
    for (int i = 0; i < CHANGES; i++) {
        for (int use = 0; use < 3; use++) {
            check_columns(&s, "SELECT * FROM growing WHERE id = $1", &one, (size_t)i + 1);
            check_columns(&s, "SELECT * FROM growing", NULL, (size_t)i + 1);
        }
        add_column(i);
    }
    session_close(&s);
}

static void a_kept_statement_goes_on_after_a_change(void)
{
    rows_are_those_of_the_changed_table_with(128);
}

static void a_statement_that_is_not_kept_goes_on_after_a_change(void)
{
    rows_are_those_of_the_changed_table_with(0);
}

/* It is prepared under another name, and the pooler has what it prepared before for that text. */
static void a_statement_that_is_kept_again_goes_on_after_a_change(void)
{
    struct session s;
    weir_value one = weir_int(1);

    begin_with_one_column();
    open_behind(&s, 1);
    for (int i = 0; i < CHANGES; i++) {
        check_columns(&s, "SELECT * FROM growing WHERE id = $1", &one, (size_t)i + 1);
        check_columns(&s, "SELECT 1", NULL, 1);
        add_column(i);
    }
    session_close(&s);
}

/* Old by its time, and so run unprepared first and described then. */
static void an_old_statement_goes_on_after_a_change(void)
{
    struct session s;
    weir_value one = weir_int(1);

    begin_with_one_column();
    open_behind(&s, 128);
    for (int i = 0; i < CHANGES; i++) {
        for (int use = 0; use < 3; use++)
            check_columns(&s, "SELECT * FROM growing WHERE id = $1", &one, (size_t)i + 1);
        add_column(i);
        grow_old(&s);
    }
    session_close(&s);
}

/* The transaction has failed, and its owner may repeat it; then it holds. */
static void a_transaction_can_be_repeated_after_a_change(void)
{
    struct session s;
    weir_value one = weir_int(1);

    for (int cache_size = 0; cache_size <= 128; cache_size += 128) {
        begin_with_one_column();
        open_behind(&s, (size_t)cache_size);
        check_columns(&s, "SELECT * FROM growing WHERE id = $1", &one, 1);
        add_column(0);
        must(&s, "BEGIN");
        weir_status status = give(&s, "SELECT * FROM growing WHERE id = $1", one);
        check(status == WEIR_RETRY || status == WEIR_OK);
        must(&s, "ROLLBACK");
        must(&s, "BEGIN");
        check_columns(&s, "SELECT * FROM growing WHERE id = $1", &one, 2);
        must(&s, "COMMIT");
        session_close(&s);
    }
}

/* EXECUTE of the caller's own statement is his: it fails once, and is not sent again. */
static void a_statement_of_the_caller_s_own_stays_his(void)
{
    struct session s;

    begin_with_one_column();
    open_behind(&s, 0);
    must(&s, "PREPARE mine AS SELECT * FROM growing");
    must(&s, "EXECUTE mine");
    add_column(0);
    check_int(run_sql(&s, "EXECUTE mine"), WEIR_QUERY);
    check_text(s.error.sqlstate, "0A000");
    session_close(&s);
}

/* The column is changed to and fro, and neither an error nor a result tells of it. */
static void a_value_is_stored_as_the_column_is_now(void)
{
    struct session s;
    weir_value price = weir_double(0.1);

    change("DROP TABLE IF EXISTS offer; CREATE TABLE offer (price real)");
    open_behind(&s, 128);
    for (int i = 0; i < CHANGES; i++) {
        for (int use = 0; use < 3; use++)
            check_int(session_query(&s, "INSERT INTO offer VALUES ($1)", &price, SOON, NULL),
                      WEIR_OK);
        if (i % 2 == 1)
            check_text(answer(&observer, "SELECT count(*)::text FROM offer WHERE price = 0.1"),
                       "3");
        must(&observer, "TRUNCATE offer");
        must(&s, i % 2 == 1 ? "ALTER TABLE offer ALTER price TYPE real"
                            : "ALTER TABLE offer ALTER price TYPE double precision");
    }
    session_close(&s);
    change("DROP TABLE offer");
}

/* Some are prepared and some run unprepared; what the cache lets go of is never named in a text. */
static void no_statement_is_deallocated_as_text(void)
{
    struct session s;
    char sql[64];
    int before = atomic_load(&pooler.deallocates);

    open_behind(&s, 4);
    for (int i = 0; i < 100; i++) {
        if (i == 50)
            must(&s, "BEGIN");
        snprintf(sql, sizeof(sql), "SELECT $1::int + %d", i);
        check_int(give(&s, sql, weir_int(1)), WEIR_OK);
    }
    check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_int(give(&s, "SELECT $1::int + 1", weir_int(1)), WEIR_OK);
    check_int(atomic_load(&pooler.deallocates) - before, 0);
    session_close(&s);
}

int main(void)
{
    const char *server = need_env("WEIR_TEST_PG_URL");

    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    if (!text_pooler_start(&pooler, relay_port_of(server)))
        return 1;
    relay_url(server, pooler.port, url, sizeof(url) - 32);
    strcat(url, strchr(url, '?') != NULL ? "&sslmode=disable" : "?sslmode=disable");
    run(a_kept_statement_goes_on_after_a_change);
    run(a_statement_that_is_not_kept_goes_on_after_a_change);
    run(a_statement_that_is_kept_again_goes_on_after_a_change);
    run(an_old_statement_goes_on_after_a_change);
    run(a_transaction_can_be_repeated_after_a_change);
    run(a_statement_of_the_caller_s_own_stays_his);
    run(a_value_is_stored_as_the_column_is_now);
    run(no_statement_is_deallocated_as_text);
    change("DROP TABLE growing");
    text_pooler_stop(&pooler);
    session_close(&observer);
    return check_done();
}
