/* SPDX-License-Identifier: MIT */
/* For tests: one PostgreSQL connection of the driver, without a pool, and ways to ask it. */
#ifndef WEIR_TESTS_POSTGRES_SESSION_H
#define WEIR_TESTS_POSTGRES_SESSION_H

#include "check.h"
#include "db/drivers/postgres_connect.h"

#include <stdlib.h>

#define driver weir__postgres_driver
#define SOON weir_deadline_in(10000)

struct session {
    weir_url *url;
    struct db_config config;
    struct statement_cache cache;
    void *conn;
    weir_error error; /* of the last call that failed */
};

/* A connection that only looks on, for tests that open it. */
__attribute__((unused)) static struct session observer;

static inline const char *need_env(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        printf("Bail out! %s is not set: run this through tests/with_postgres.sh\n", name);
        exit(1);
    }
    return value;
}

static inline void session_forget(void *arg, struct statement *statement)
{
    struct session *session = arg;

    if (session->conn != NULL)
        driver.forget(session->conn, statement);
}

/* Prepare everything but the connection; false when the URL or its options are refused. */
static inline bool session_init(struct session *session, const char *url, size_t cache_size)
{
    weir_db_options defaults = WEIR_DB_OPTIONS_DEFAULT;

    memset(session, 0, sizeof(*session));
    session->config.options = defaults;
    session->config.options.statement_cache_size = (int)cache_size;
    if (weir_url_parse(url, &session->url, &session->error) != WEIR_OK)
        return false;
    session->config.url = session->url;
    if (driver.engine_open(&session->config, &session->error) != WEIR_OK)
        return false;
    return weir__statement_cache_init(&session->cache, DIALECT_POSTGRES, cache_size, session_forget,
                                      session, &session->error) == WEIR_OK;
}

static inline weir_status session_connect(struct session *session, weir_time deadline)
{
    return driver.connect(&session->config, deadline, &session->conn, &session->error);
}

static inline void session_open(struct session *session, const char *url)
{
    bool is_open = session_init(session, url, 128) && session_connect(session, SOON) == WEIR_OK;

    if (!is_open) {
        printf("Bail out! %s\n", session->error.text);
        exit(1);
    }
}

static inline void session_close(struct session *session)
{
    if (session->cache.buckets != NULL)
        weir__statement_cache_clear(&session->cache);
    if (session->conn != NULL)
        driver.close(session->conn);
    if (session->config.engine_state != NULL)
        driver.engine_close(&session->config);
    weir_url_close(session->url);
    memset(session, 0, sizeof(*session));
}

/* Run with positional values. */
static inline weir_status session_query(struct session *session, const char *sql,
                                        const weir_value *values, weir_time deadline,
                                        weir_result **ret_result)
{
    struct statement *statement = NULL;
    weir_status status = weir__statement_get(&session->cache, sql, &statement, &session->error);

    if (status != WEIR_OK)
        return status;
    status = driver.query(session->conn, statement, values, deadline, ret_result, &session->error);
    weir__statement_done(&session->cache, statement);
    return status;
}

static inline weir_status run_sql(struct session *session, const char *sql)
{
    return session_query(session, sql, NULL, SOON, NULL);
}

/* Must succeed: says why if it does not. */
#define must(session, sql)                                                                         \
    do {                                                                                           \
        if (run_sql(session, sql) != WEIR_OK) {                                                    \
            check_failures_in_test++;                                                              \
            printf("# %s:%d: %s: %s\n", __FILE__, __LINE__, sql, (session)->error.text);           \
        }                                                                                          \
    } while (0)

static inline const char *value_text(weir_value value, char *room, size_t size)
{
    switch (value.type) {
    case WEIR_NULL:
        return "NULL";
    case WEIR_BOOL:
        return value.boolean ? "true" : "false";
    case WEIR_INT:
        snprintf(room, size, "%lld", (long long)value.integer);
        return room;
    case WEIR_DOUBLE:
        snprintf(room, size, "%.17g", value.real);
        return room;
    default:
        snprintf(room, size, "%s", value.text);
        return room;
    }
}

/* The first value of the first row as text, good until the next call; "(error) …" when there is
 * none. */
static inline const char *answer_to(struct session *session, const char *sql,
                                    const weir_value *values)
{
    static char room[512];
    weir_result *result = NULL;

    if (session_query(session, sql, values, SOON, &result) != WEIR_OK) {
        snprintf(room, sizeof(room), "(error) %.400s", session->error.text);
        return room;
    }
    const char *text = value_text(weir_result_value(result, 0, 0), room, sizeof(room));
    if (weir_result_row_count(result) == 0)
        text = "(no row)";
    if (text != room)
        snprintf(room, sizeof(room), "%s", text);
    weir_result_close(result);
    return room;
}

static inline const char *answer(struct session *session, const char *sql)
{
    return answer_to(session, sql, NULL);
}

static inline bool took_less_than(weir_time start, int64_t ms)
{
    weir_time taken = weir_now() - start;

    if (taken >= ms * WEIR_MS)
        printf("# took %lld ms, not less than %lld\n", (long long)(taken / WEIR_MS), (long long)ms);
    return taken < ms * WEIR_MS;
}

/* Poll until the answer is as wanted, for at most five seconds. */
static inline bool comes_to(struct session *session, const char *sql, const char *wanted)
{
    weir_time deadline = weir_deadline_in(5000);

    do {
        if (strcmp(answer(session, sql), wanted) == 0)
            return true;
        weir__pg_poll(-1, 0, weir_now(), weir_deadline_in(10));
    } while (weir_now() < deadline);
    return false;
}

#endif
