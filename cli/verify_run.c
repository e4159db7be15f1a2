/* SPDX-License-Identifier: MIT */
/* The list of checks, and one check within its limit of time. */
#include "verify.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/condition.h"

#define TICK_MS 100

const struct verify_check verify_checks[] = {
    {"managers", "one instance per manager, however many threads initialize it", false, 60000,
     verify_managers_check},
    {"lifecycle", "initialize, use, dispose, and initialize again", false, 60000, verify_lifecycle},
    {"shared-engine", "several Database objects share one engine", false, 60000,
     verify_shared_engine},
    {"query", "statements, parameters and errors", true, 60000, verify_query},
    {"bound", "never more connections than pool_size + max_overflow, under load", true, 90000,
     verify_bound},
    {"overflow", "connections above pool_size open in a rush and close after it", true, 60000,
     verify_overflow},
    {"timeout", "an acquire gives up in time and says who holds the connections", true, 60000,
     verify_timeout},
    {"recycle", "a connection older than pool_recycle is replaced", true, 60000, verify_recycle},
    {"pre-ping", "a connection that the server ended is replaced before it is checked out", true,
     60000, verify_ping},
    {"http-reuse", "requests share a connection", false, 60000, verify_http_reuse},
    {"http-retries", "what is safe to retry is retried, and nothing else", false, 60000,
     verify_http_retries},
    {"http-breaker", "a server that keeps failing is left alone, then tried again", false, 60000,
     verify_http_breaker},
    {"nocodb", "the configured NocoDB accepts the token and gives a row", false, 60000,
     verify_nocodb},
    {NULL, NULL, false, 0, NULL},
};

/* ---- findings ---------------------------------------------------------------------------- */

static void fill(struct verify_finding *finding, enum verify_outcome outcome, const char *format,
                 va_list args) WEIR_PRINTF(3, 0);

static void fill(struct verify_finding *finding, enum verify_outcome outcome, const char *format,
                 va_list args)
{
    finding->outcome = outcome;
    vsnprintf(finding->text, sizeof finding->text, format, args);
}

void verify_pass(struct verify_finding *finding, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(finding, VERIFY_PASS, format, args);
    va_end(args);
}

void verify_fail(struct verify_finding *finding, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(finding, VERIFY_FAIL, format, args);
    va_end(args);
}

void verify_skip(struct verify_finding *finding, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(finding, VERIFY_SKIP, format, args);
    va_end(args);
}

/* ---- within a limit ---------------------------------------------------------------------- */

/* Shared by the check's thread and the one that waits for it; the last one out frees it. */
struct attempt {
    const struct verify_check *check;
    const struct verification *verification;
    const struct verify_database *database;
    struct weir__mutex lock; /* guards what follows */
    pthread_cond_t changed;
    struct verify_finding finding;
    bool is_done;
    bool is_given_up;
};

static void free_attempt(struct attempt *attempt)
{
    pthread_cond_destroy(&attempt->changed);
    weir__mutex_clear(&attempt->lock);
    free(attempt);
}

static struct attempt *new_attempt(const struct verify_check *check,
                                   const struct verification *verification,
                                   const struct verify_database *database)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);

    if (attempt == NULL)
        return NULL;
    attempt->check = check;
    attempt->verification = verification;
    attempt->database = database;
    weir__mutex_init(&attempt->lock);
    condition_init(&attempt->changed);
    return attempt;
}

static void *run_attempt(void *arg)
{
    struct attempt *attempt = arg;
    struct verify_finding finding = {VERIFY_FAIL, "the check reported no result"};

    attempt->check->run(attempt->verification, attempt->database, &finding);
    weir__lock(&attempt->lock);
    attempt->finding = finding;
    attempt->is_done = true;
    bool is_last = attempt->is_given_up;
    pthread_cond_signal(&attempt->changed);
    weir__unlock(&attempt->lock);
    if (is_last)
        free_attempt(attempt);
    return NULL;
}

/* Wait for the end, a limit, or a refused tick; whether the end came. */
static bool await_end(struct attempt *attempt, bool (*tick)(void *arg, weir_time elapsed),
                      void *arg, struct verify_finding *ret_finding)
{
    int limit_ms = attempt->check->limit_ms; /* read now: a given up attempt frees itself */
    weir_time begin = weir_now(), now = begin, end = begin + limit_ms * WEIR_MS;
    bool goes_on = true;

    weir__lock(&attempt->lock);
    while (!attempt->is_done && goes_on && now < end) {
        weir_time until = now + TICK_MS * WEIR_MS < end ? now + TICK_MS * WEIR_MS : end;
        condition_wait(&attempt->changed, &attempt->lock, until);
        now = weir_now();
        goes_on = tick == NULL || tick(arg, now - begin);
    }
    bool is_done = attempt->is_done;
    attempt->is_given_up = !is_done;
    if (is_done)
        *ret_finding = attempt->finding;
    weir__unlock(&attempt->lock);
    if (!is_done && !goes_on)
        verify_fail(ret_finding, "interrupted");
    else if (!is_done)
        verify_fail(ret_finding, "did not finish within %d ms", limit_ms);
    return is_done;
}

bool verify_run_check(const struct verify_check *check, const struct verification *verification,
                      const struct verify_database *database,
                      bool (*tick)(void *arg, weir_time elapsed), void *arg,
                      struct verify_finding *ret_finding)
{
    struct attempt *attempt = new_attempt(check, verification, database);
    pthread_t thread;

    if (attempt == NULL || pthread_create(&thread, NULL, run_attempt, attempt) != 0) {
        if (attempt != NULL)
            free_attempt(attempt);
        verify_fail(ret_finding, "the check could not be started: out of memory or threads");
        return true;
    }
    if (!await_end(attempt, tick, arg, ret_finding)) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    free_attempt(attempt);
    return true;
}
