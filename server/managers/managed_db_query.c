/* SPDX-License-Identifier: MIT */
/* One statement on a manager's database, retried where that is safe. */
#include "managed_db.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "log/log.h"

static bool is_worth_repeating(const struct db_retry *retry, bool is_repeatable, weir_status status,
                               const weir_result *result)
{
    if (status == WEIR_OK)
        return is_repeatable && retry->retries_empty_results && weir_result_row_count(result) == 0;
    return status == WEIR_RETRY || (status == WEIR_DISCONNECTED && is_repeatable);
}

/* Sleep before the next attempt; false, at once, when it would begin past the deadline. */
static bool wait_for_next(const struct db_retry *retry, weir_time deadline)
{
    weir_time until = weir_now() + retry->retry_delay_ms * WEIR_MS;
    struct timespec at = {until / WEIR_SECOND, until % WEIR_SECOND};

    if (deadline != WEIR_DEADLINE_DEFAULT && until >= deadline)
        return false;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
    return true;
}

static weir_status query_once(struct managed_db *manager, const char *sql, const weir_param *params,
                              size_t param_count, weir_time deadline, weir_result **ret_result,
                              weir_error *reterr, const char *file, int line)
{
    struct db_session session;

    weir_status status = managed_db_get_session_at(manager, deadline, &session, reterr, file, line);
    if (status != WEIR_OK)
        return status;
    status = db_session_query(&session, sql, params, param_count, ret_result, reterr);
    db_session_end(&session);
    return status;
}

static void log_repeat(const struct managed_db *manager, const weir_error *error)
{
    char kind[96];
    struct log_about about = {.pool = manager->pool_name, .kind = kind};

    snprintf(kind, sizeof kind, "retried %s %s", manager->pool_name, error->sqlstate);
    log_write_about(LOG_LEVEL_WARNING, &about, "pool \"%s\": statement retried after: %s",
                    manager->pool_name, error->text);
}

weir_status managed_db_query_at(struct managed_db *manager, const struct db_retry *retry,
                                bool is_repeatable, const char *sql, const weir_param *params,
                                size_t param_count, weir_time deadline, weir_result **ret_result,
                                weir_error *reterr, const char *file, int line)
{
    weir_error error;

    for (int attempt = 0;; attempt++) {
        weir_result *result = NULL;
        weir_status status =
            query_once(manager, sql, params, param_count, deadline, &result, &error, file, line);

        bool is_last = attempt >= retry->max_retries ||
                       !is_worth_repeating(retry, is_repeatable, status, result) ||
                       !wait_for_next(retry, deadline);
        if (is_last && status == WEIR_OK) {
            *ret_result = result;
            return WEIR_OK;
        }
        if (is_last) {
            if (reterr != NULL)
                *reterr = error;
            return status;
        }
        if (status != WEIR_OK)
            log_repeat(manager, &error);
        weir_result_close(result);
    }
}
