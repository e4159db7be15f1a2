/* SPDX-License-Identifier: MIT */
/* weir through the poolers of this machine, with their defaults on both sides. */
#include "postgres_session.h"

/* Where each pooler listens; NULL when it is not installed. */
static const struct {
    const char *name;
    const char *variable;
    bool is_shared; /* one server session for all clients, from transaction to transaction */
} poolers[] = {
    {"PgBouncer, transaction mode", "WEIR_TEST_PGBOUNCER_TRANSACTION_URL", true},
    {"PgBouncer, session mode", "WEIR_TEST_PGBOUNCER_SESSION_URL", false},
    {"pgpool-II", "WEIR_TEST_PGPOOL_URL", false},
    {"Odyssey, transaction mode", "WEIR_TEST_ODYSSEY_TRANSACTION_URL", true},
    {"Odyssey, session mode", "WEIR_TEST_ODYSSEY_SESSION_URL", false},
};

#define POOLERS (sizeof(poolers) / sizeof(*poolers))

static const char *url_of(size_t pooler, const char *more)
{
    static char url[512];
    const char *base = getenv(poolers[pooler].variable);

    /* Statements are not what this is about. */
    snprintf(url, sizeof(url), "%s?sslmode=disable%s", base != NULL ? base : "", more);
    return base != NULL ? url : NULL;
}

/* False when it cannot be done, which fails the test. */
static bool connect_to(struct session *s, const char *url)
{
    if (!session_init(s, url, 0) || session_connect(s, SOON) != WEIR_OK) {
        check_failures_in_test++;
        printf("# %s: %s\n", url, s->error.text);
        return false;
    }
    return true;
}

/* What a client that knows nothing of weir sees through the pooler. */
static const char *stranger_sees(const char *url, const char *sql)
{
    static char seen[128];
    PGconn *pg = PQconnectdb(url);
    PGresult *rows = PQexec(pg, sql);

    snprintf(seen, sizeof(seen), "%.120s",
             PQntuples(rows) > 0 ? PQgetvalue(rows, 0, 0) : PQerrorMessage(pg));
    PQclear(rows);
    PQfinish(pg);
    return seen;
}

static void set_role(const char *setting)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "ALTER ROLE weir %s", setting);
    must(&observer, sql);
    /* Server sessions that the poolers keep began before. */
    must(&observer, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
}

static void connects_with_the_poolers_defaults(void)
{
    for (size_t i = 0; i < POOLERS; i++) {
        struct session s;
        const char *url = url_of(i, "");
        if (url == NULL)
            continue;
        if (!connect_to(&s, url))
            continue;
        check_text(answer(&s, "SELECT 1"), "1");
        check_text(answer(&s, "SELECT 0.1::float8 + 0.2::float8"), "0.30000000000000004");
        check_text(answer(&s, "SHOW client_encoding"), "UTF8");
        const char *note = ((struct pg_conn *)s.conn)->note;
        printf("# %s: %s\n", poolers[i].name, note != NULL ? note : "everything is set");
        check(note != NULL || !poolers[i].is_shared);
        if (note != NULL)
            check_contains(note, "pooler");
        session_close(&s);
    }
}

static void nothing_is_left_to_other_clients(void)
{
    set_role("SET extra_float_digits = 0");
    for (size_t i = 0; i < POOLERS; i++) {
        struct session s;
        const char *url = url_of(i, "");
        if (url == NULL)
            continue;
        if (!connect_to(&s, url))
            continue;
        check_text(answer(&s, "SELECT 1"), "1");
        if (poolers[i].is_shared) {
            check_contains(((struct pg_conn *)s.conn)->note, "extra_float_digits");
            check_text(stranger_sees(url, "SHOW statement_timeout"), "0");
            check_text(stranger_sees(url, "SHOW extra_float_digits"), "0");
        }
        session_close(&s);
        check_text(stranger_sees(url, "SHOW statement_timeout"), "0");
        check_text(stranger_sees(url, "SHOW extra_float_digits"), "0");
    }
    set_role("RESET extra_float_digits");
}

/* What strangers see is what the pooler gives them: PgBouncer what it learnt from its first server. */
static void dates_are_read_whatever_the_role_has(void)
{
    set_role("SET datestyle = 'German'");
    for (size_t i = 0; i < POOLERS; i++) {
        struct session s, other;
        char before[32];
        if (url_of(i, "") == NULL)
            continue;
        snprintf(before, sizeof(before), "%s",
                 stranger_sees(url_of(i, ""), "SELECT date '2024-02-29'"));
        if (!connect_to(&s, url_of(i, "")) || !connect_to(&other, url_of(i, "")))
            continue;
        for (int turn = 0; turn < 3; turn++) {
            check_text(answer(&s, "SELECT date '2024-02-29'"), "2024-02-29");
            check_text(answer(&other, "SELECT timestamp '2024-02-29 12:00'"),
                       "2024-02-29T12:00:00");
            check_text(stranger_sees(url_of(i, ""), "SELECT date '2024-02-29'"), before);
        }
        session_close(&s);
        session_close(&other);
    }
    set_role("RESET datestyle");
}

static void deadlines_hold_without_the_servers_own_limit(void)
{
    for (size_t i = 0; i < POOLERS; i++) {
        struct session s;
        const char *url = url_of(i, "");
        if (url == NULL)
            continue;
        if (!connect_to(&s, url))
            continue;
        weir_time start = weir_now();
        check_int(session_query(&s, "SELECT pg_sleep(20)", NULL, weir_deadline_in(1000), NULL),
                  WEIR_TIMEOUT);
        check(took_less_than(start, 5000));
        session_close(&s);
    }
}

static void options_of_ones_own_are_taken_or_refused_by_name(void)
{
    for (size_t i = 0; i < POOLERS; i++) {
        struct session s;
        const char *url = url_of(i, "&options=-c%20work_mem%3D96kB");
        if (url == NULL)
            continue;
        check(session_init(&s, url, 0));
        if (session_connect(&s, SOON) == WEIR_OK) {
            check_text(answer(&s, "SHOW work_mem"), "96kB");
        } else {
            check_text(s.error.sqlstate, "08P01");
            check_contains(s.error.text, "options");
        }
        session_close(&s);
    }
}

static void a_dirty_session_is_cleaned_and_set_up_again(void)
{
    for (size_t i = 0; i < POOLERS; i++) {
        struct session s;
        const char *url = url_of(i, "");
        if (url == NULL)
            continue;
        if (!connect_to(&s, url))
            continue;
        must(&s, "SET work_mem TO '64kB'");
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, "SHOW work_mem"), "4MB");
        check_text(answer(&s, "SELECT date '2024-02-29'"), "2024-02-29");
        session_close(&s);
    }
}

/* pgpool-II in raw mode begins a transaction for it. */
static void the_first_write_of_a_session_is_stored(void)
{
    static const struct {
        const char *sql;
        const char *sum; /* of what is stored then, where it was 1 */
    } writes[] = {
        {"INSERT INTO first_write VALUES ($1)", "6"},
        {"INSERT INTO first_write VALUES ($1) RETURNING n", "6"},
        {"UPDATE first_write SET n = n + $1", "6"},
        {"WITH w AS (SELECT $1::int AS n) INSERT INTO first_write SELECT n FROM w", "6"},
        {"DELETE FROM first_write WHERE n < $1", "0"},
    };
    const weir_value value = weir_int(5);

    must(&observer, "CREATE TABLE first_write (n int)");
    for (size_t i = 0; i < POOLERS; i++) {
        const char *url = url_of(i, "");
        for (size_t j = 0; url != NULL && j < sizeof(writes) / sizeof(*writes); j++) {
            struct session s;
            must(&observer, "TRUNCATE first_write");
            must(&observer, "INSERT INTO first_write VALUES (1)");
            if (!connect_to(&s, url))
                continue;
            check_int(session_query(&s, writes[j].sql, &value, SOON, NULL), WEIR_OK);
            check_int(driver.state(s.conn), CONN_IDLE);
            session_close(&s);
            check_text(answer(&observer, "SELECT coalesce(sum(n), 0)::text FROM first_write"),
                       writes[j].sum);
        }
    }
    must(&observer, "DROP TABLE first_write");
}

/* A transaction that the caller began is the caller's to end. */
static void a_transaction_begun_by_a_statement_stays_open(void)
{
    static const char *const begins[] = {"BEGIN", "START TRANSACTION",
                                         "/* mine */ begin read write",
                                         ";BEGIN ISOLATION LEVEL SERIALIZABLE"};

    for (size_t i = 0; i < POOLERS; i++) {
        const char *url = url_of(i, "");
        for (size_t j = 0; url != NULL && j < sizeof(begins) / sizeof(*begins); j++) {
            struct session s;
            if (!connect_to(&s, url))
                continue;
            must(&s, begins[j]);
            check_int(driver.state(s.conn), CONN_TRANSACTION);
            must(&s, "SELECT 1");
            check_int(driver.state(s.conn), CONN_TRANSACTION);
            must(&s, "ROLLBACK");
            session_close(&s);
        }
    }
}

/* Each test goes through those that are here. */
static int count_poolers(void)
{
    int count = 0;

    for (size_t i = 0; i < POOLERS; i++) {
        bool is_here = url_of(i, "") != NULL;
        count += is_here;
        if (!is_here)
            printf("# not tested, because it is not installed: %s\n", poolers[i].name);
    }
    return count;
}

int main(void)
{
    if (count_poolers() == 0) {
        printf("1..0 # SKIP no pooler is installed\n");
        return 0;
    }
    printf("# %s\n", need_env("WEIR_TEST_POOLERS"));
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    run(connects_with_the_poolers_defaults);
    run(nothing_is_left_to_other_clients);
    run(the_first_write_of_a_session_is_stored);
    run(a_transaction_begun_by_a_statement_stays_open);
    run(dates_are_read_whatever_the_role_has);
    run(deadlines_hold_without_the_servers_own_limit);
    run(options_of_ones_own_are_taken_or_refused_by_name);
    run(a_dirty_session_is_cleaned_and_set_up_again);
    session_close(&observer);
    return check_done();
}
