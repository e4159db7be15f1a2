/* SPDX-License-Identifier: MIT */
/* `weir verify` on pools, sessions and managers that break one promise each: the right check fails, and says why. */
#include "verify.h"

#include "check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/managers/db_manager.h"
#include "server/managers/suggestions_db_manager.h"
#include "verify_site.h"

static struct verify_calls calls;
static struct verify_manager managers[VERIFY_MANAGERS];
static struct config config;
static struct verification verification;

/* Begin with what works: libweir's own calls and managers, on a database in memory or on PostgreSQL
 * where the test was given one. */
static void begin(void)
{
    const char *url = getenv("WEIR_TEST_PG_URL");
    weir_error error = {0};

    calls = verify_weir_calls;
    memcpy(managers, verify_weir_managers, sizeof managers);
    config = (struct config){0};
    config.sql_conn_string = strdup(url != NULL ? url : "sqlite:///:memory:");
    config.suggestions_sql_conn_string = strdup(config.sql_conn_string);
    check(verify_open(&config, &verification, &error) == WEIR_OK);
    check_text(error.text, "");
    verification.calls = &calls;
    verification.managers = managers;
    verification.step_ms = 1500; /* what is broken is waited for; what works is quicker */
}

static void end(void)
{
    verify_close(&verification);
    free(config.sql_conn_string);
    free(config.suggestions_sql_conn_string);
}

static struct verify_finding found(const char *name)
{
    const struct verify_check *it = verify_checks;
    struct verify_finding finding = {VERIFY_PASS, ""};

    while (it->name != NULL && strcmp(it->name, name) != 0)
        it++;
    check(it->name != NULL);
    check(verify_run_check(it, &verification,
                           it->is_per_database ? &verification.databases[0] : NULL, NULL, NULL,
                           &finding));
    return finding;
}

/* The check fails with these words, and passes once nothing is broken any more. */
static void fails(const char *name, const char *words)
{
    struct verify_finding finding = found(name);

    check_int(finding.outcome, VERIFY_FAIL);
    check_contains(finding.text, words);
    end();
    begin();
    verification.step_ms = 20000;
    finding = found(name);
    check(finding.outcome != VERIFY_FAIL);
    if (finding.outcome == VERIFY_FAIL)
        printf("# %s: %s\n", name, finding.text);
    end();
}

/* ---- the pool ---------------------------------------------------------------------------- */

static weir_status open_larger(const char *url, const weir_db_options *options, weir_db **ret_db,
                               weir_error *reterr)
{
    weir_db_options broken = *options;

    broken.pool.max_overflow += 4;
    return weir_db_open(url, &broken, ret_db, reterr);
}

static weir_status open_without_overflow(const char *url, const weir_db_options *options,
                                         weir_db **ret_db, weir_error *reterr)
{
    weir_db_options broken = *options;

    broken.pool.max_overflow = 0;
    return weir_db_open(url, &broken, ret_db, reterr);
}

static void a_pool_that_lends_more_than_its_bound_fails_bound(void)
{
    begin();
    calls.open = open_larger;
    fails("bound", "connections at once, where 15 are allowed");
}

static void a_pool_that_lends_less_than_its_bound_fails_bound(void)
{
    begin();
    verification.databases[0].pool.pool_size = 1;
    verification.databases[0].pool.max_overflow = 1;
    calls.open = open_without_overflow;
    struct verify_finding finding = found("bound");
    check_int(finding.outcome, VERIFY_FAIL);
    check_contains(finding.text, "held only 1 connections at once, where 2 are allowed");
    end();
}

static void a_pool_without_overflow_fails_overflow(void)
{
    begin();
    calls.open = open_without_overflow;
    fails("overflow", "only 1 of 3 connections could be acquired");
}

static void a_pool_with_more_overflow_than_it_may_have_fails_overflow(void)
{
    begin();
    calls.open = open_larger;
    fails("overflow", "connection 4 was checked out, though pool_size 1 and max_overflow 2");
}

/* Keeps what it should close, and believes that it is overflow. */
static weir_status open_that_keeps(const char *url, const weir_db_options *options,
                                   weir_db **ret_db, weir_error *reterr)
{
    weir_db_options broken = *options;

    broken.pool.pool_size += broken.pool.max_overflow;
    broken.pool.max_overflow = 0;
    return weir_db_open(url, &broken, ret_db, reterr);
}

static void stats_that_count_overflow(weir_pool *pool, weir_pool_stats *ret_stats)
{
    weir_pool_get_stats(pool, ret_stats);
    ret_stats->overflow = ret_stats->connections - 1;
}

static void a_pool_that_keeps_its_overflow_open_fails_overflow(void)
{
    begin();
    calls.open = open_that_keeps;
    calls.get_stats = stats_that_count_overflow;
    /* A server is asked until it counts one; it never will. */
    fails("overflow", "after the rush 3 connections stayed open instead of 1");
}

/* ---- timeouts ---------------------------------------------------------------------------- */

static weir_status acquire_at_leisure(weir_db *db, weir_time deadline, weir_conn **ret_conn,
                                      weir_error *reterr, const char *file, int line)
{
    return weir_db_acquire_at(db,
                              deadline == WEIR_DEADLINE_DEFAULT ? weir_deadline_in(2500) : deadline,
                              ret_conn, reterr, file, line);
}

static weir_status acquire_in_haste(weir_db *db, weir_time deadline, weir_conn **ret_conn,
                                    weir_error *reterr, const char *file, int line)
{
    return weir_db_acquire_at(db, deadline == WEIR_DEADLINE_DEFAULT ? WEIR_DEADLINE_NOW : deadline,
                              ret_conn, reterr, file, line);
}

static weir_status acquire_from_nowhere(weir_db *db, weir_time deadline, weir_conn **ret_conn,
                                        weir_error *reterr, const char *file, int line)
{
    (void)file, (void)line;
    return weir_db_acquire_at(db, deadline, ret_conn, reterr, "elsewhere.c", 1);
}

static void a_pool_that_waits_beyond_its_timeout_fails_timeout(void)
{
    begin();
    calls.acquire = acquire_at_leisure;
    fails("timeout", "long after its timeout of 300 ms");
}

static void a_pool_that_does_not_wait_fails_timeout(void)
{
    begin();
    calls.acquire = acquire_in_haste;
    fails("timeout", "before its timeout of 300 ms");
}

static void a_pool_that_lends_the_only_connection_twice_fails_timeout(void)
{
    begin();
    calls.open = open_larger;
    fails("timeout", "was checked out twice");
}

static void a_pool_that_does_not_name_the_holder_fails_timeout(void)
{
    begin();
    calls.acquire = acquire_from_nowhere;
    fails("timeout", "does not name the holder");
}

/* ---- recycling and pings ----------------------------------------------------------------- */

static weir_status open_without_recycling(const char *url, const weir_db_options *options,
                                          weir_db **ret_db, weir_error *reterr)
{
    weir_db_options broken = *options;

    broken.pool.pool_recycle_s = -1;
    return weir_db_open(url, &broken, ret_db, reterr);
}

static void release_for_replacement(weir_conn *conn)
{
    check(weir_pool_soft_invalidate(weir_conn_lease(conn)) == WEIR_OK);
    weir_conn_release(conn);
}

static weir_status open_without_pings(const char *url, const weir_db_options *options,
                                      weir_db **ret_db, weir_error *reterr)
{
    weir_db_options broken = *options;

    broken.pool.pool_pre_ping = false;
    return weir_db_open(url, &broken, ret_db, reterr);
}

static void a_pool_that_does_not_recycle_fails_recycle(void)
{
    begin();
    calls.open = open_without_recycling;
    fails("recycle", "the same connection was checked out 1.");
}

static void a_pool_that_recycles_too_early_fails_recycle(void)
{
    begin();
    calls.release = release_for_replacement;
    fails("recycle", "before pool_recycle (1 s)");
}

static void a_pool_that_does_not_ping_fails_pre_ping(void)
{
    begin();
    calls.open = open_without_pings;
    fails("pre-ping", "was checked out without a ping");
}

/* A pool that lends the same connection for ever, without a look at it. */
static weir_conn *kept;

static weir_status acquire_the_same(weir_db *db, weir_time deadline, weir_conn **ret_conn,
                                    weir_error *reterr, const char *file, int line)
{
    weir_status status = WEIR_OK;

    if (kept == NULL)
        status = weir_db_acquire_at(db, deadline, &kept, reterr, file, line);
    *ret_conn = kept;
    return status;
}

static void keep(weir_conn *conn)
{
    (void)conn;
}

static void stats_with_a_ping(weir_pool *pool, weir_pool_stats *ret_stats)
{
    weir_pool_get_stats(pool, ret_stats);
    ret_stats->pings++;
}

static void a_pool_that_lends_a_connection_the_server_ended_fails_pre_ping(void)
{
    begin();
    calls.acquire = acquire_the_same;
    calls.release = keep;
    calls.get_stats = stats_with_a_ping;
    struct verify_finding finding = found("pre-ping");
    weir_conn_discard(kept);
    kept = NULL;
    if (verification.databases[0].is_postgres) {
        check_int(finding.outcome, VERIFY_FAIL);
        check_contains(finding.text, "the connection that was checked out does not work");
    } else {
        check_int(finding.outcome, VERIFY_SKIP);
        check_contains(finding.text, "SQLite has no server");
    }
    end();
}

/* ---- statements -------------------------------------------------------------------------- */

static weir_status open_elsewhere(const char *url, const weir_db_options *options, weir_db **ret_db,
                                  weir_error *reterr)
{
    (void)url;
    return weir_db_open("sqlite:////nonexistent-weir-directory/x.db", options, ret_db, reterr);
}

static void a_database_that_cannot_be_opened_fails_every_check_of_it(void)
{
    static const char *const names[] = {"query",   "bound",   "overflow",
                                        "timeout", "recycle", "pre-ping"};

    begin();
    verification.databases[0].is_postgres = false;
    calls.open = open_elsewhere;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct verify_finding finding = found(names[i]);
        check_int(finding.outcome, VERIFY_FAIL);
        check_contains(finding.text, "does not exist: create it first");
    }
    end();
}

/* Lends what is lost: every statement on it fails. */
static weir_status acquire_tired(weir_db *db, weir_time deadline, weir_conn **ret_conn,
                                 weir_error *reterr, const char *file, int line)
{
    weir_status status = weir_db_acquire_at(db, deadline, ret_conn, reterr, file, line);

    if (status == WEIR_OK)
        weir_conn_set_deadline(*ret_conn, WEIR_DEADLINE_NOW);
    return status;
}

static void a_connection_on_which_nothing_can_be_asked_fails_query(void)
{
    begin();
    calls.acquire = acquire_tired;
    fails("query", "SELECT 1: ");
}

/* ---- managers ---------------------------------------------------------------------------- */

static _Atomic int holds;
static const char instances[1024];

static weir_status initialize_always(const struct config *unused, weir_error *reterr)
{
    (void)unused, (void)reterr;
    return WEIR_OK;
}

static weir_status initialize_never_twice(const struct config *unused, weir_error *reterr)
{
    static _Atomic int times;

    (void)unused;
    if (atomic_fetch_add(&times, 1) == 0)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_ALREADY, "already initialized");
}

static weir_status hold_another(void **ret_hold, const void **ret_identity, weir_error *reterr)
{
    (void)reterr;
    *ret_hold = NULL;
    *ret_identity = &instances[atomic_fetch_add(&holds, 1)];
    return WEIR_OK;
}

static weir_status hold_the_one(void **ret_hold, const void **ret_identity, weir_error *reterr)
{
    (void)reterr;
    *ret_hold = NULL;
    *ret_identity = instances;
    return WEIR_OK;
}

static weir_status hold_nothing(void **ret_hold, const void **ret_identity, weir_error *reterr)
{
    (void)ret_hold, (void)ret_identity;
    return weir_error_set(reterr, WEIR_NOT_READY, "not initialized");
}

static void put_nothing(void *hold)
{
    (void)hold;
}

static weir_status dispose_nothing(weir_time deadline, weir_error *reterr)
{
    (void)deadline, (void)reterr;
    return WEIR_OK;
}

static void a_manager_that_is_initialized_by_every_thread_fails_managers(void)
{
    begin();
    managers[1] = (struct verify_manager){"Many", initialize_always, hold_the_one, put_nothing,
                                          NULL,   dispose_nothing};
    fails("managers", "Many was initialized 8 times by 8 threads");
}

static void a_manager_that_gives_each_thread_another_fails_managers(void)
{
    begin();
    managers[2] = (struct verify_manager){"Many", initialize_never_twice, hold_another, put_nothing,
                                          NULL,   dispose_nothing};
    fails("managers", "Many: 7 of 8 threads were given another instance");
}

static void a_manager_that_goes_on_after_dispose_fails_lifecycle(void)
{
    begin();
    managers[0] = (struct verify_manager){"Undead", initialize_always, hold_the_one, put_nothing,
                                          NULL,     dispose_nothing};
    fails("lifecycle", "Undead still gives what it manages after the first dispose");
}

static weir_status initialize_once(const struct config *unused, weir_error *reterr)
{
    static int times;

    (void)unused;
    if (times++ == 0)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_CLOSED, "closed for ever");
}

static void a_manager_that_cannot_begin_again_fails_lifecycle(void)
{
    begin();
    managers[2] = (struct verify_manager){"Once", initialize_once, hold_nothing, put_nothing,
                                          NULL,   dispose_nothing};
    fails("lifecycle", "Once, second initialize: closed for ever");
}

static weir_status cannot_be_used(weir_time deadline, weir_error *reterr)
{
    (void)deadline;
    return weir_error_set(reterr, WEIR_QUERY, "no such thing");
}

static void a_manager_that_cannot_be_used_fails_lifecycle(void)
{
    begin();
    managers[1].use = cannot_be_used;
    fails("lifecycle", "first statement after the first initialize: no such thing");
}

static void services_on_an_engine_of_their_own_fail_shared_engine(void)
{
    begin();
    check(managed_db_initialize(db_manager(), "sqlite:///:memory:", NULL, NULL) == WEIR_OK);
    managers[0] = managers[1]; /* the services go on using DatabaseManager's */
    struct verify_finding finding = found("shared-engine");
    check_int(finding.outcome, VERIFY_FAIL);
    check_contains(finding.text, "checked out a connection only 0 times: they have others");
    check(managed_db_dispose(db_manager(), WEIR_DEADLINE_NOW, NULL) == WEIR_OK);
    end();
    begin();
    check_int(found("shared-engine").outcome, VERIFY_PASS);
    end();
}

/* ---- HTTP -------------------------------------------------------------------------------- */

static weir_status open_without_reuse(const weir_http_options *options, weir_http **ret_session,
                                      weir_error *reterr)
{
    weir_http_options broken = *options;

    broken.idle_timeout_ms = 0;
    return weir_http_open(&broken, ret_session, reterr);
}

static weir_status open_without_retries(const weir_http_options *options, weir_http **ret_session,
                                        weir_error *reterr)
{
    weir_http_options broken = *options;

    broken.retry.total = 0;
    return weir_http_open(&broken, ret_session, reterr);
}

static weir_status open_with_every_retry(const weir_http_options *options, weir_http **ret_session,
                                         weir_error *reterr)
{
    weir_http_options broken = *options;

    broken.retry.allowed_methods = WEIR_METHOD_ANY;
    return weir_http_open(&broken, ret_session, reterr);
}

static weir_status open_without_breaker(const weir_http_options *options, weir_http **ret_session,
                                        weir_error *reterr)
{
    weir_http_options broken = *options;

    broken.use_breaker = false;
    return weir_http_open(&broken, ret_session, reterr);
}

static weir_status open_with_a_hasty_breaker(const weir_http_options *options,
                                             weir_http **ret_session, weir_error *reterr)
{
    weir_http_options broken = *options;

    broken.breaker.minimum_calls = 2;
    return weir_http_open(&broken, ret_session, reterr);
}

static void a_session_that_does_not_reuse_fails_http_reuse(void)
{
    begin();
    calls.open_http = open_without_reuse;
    fails("http-reuse", "20 requests, one after the other, opened 20 connections");
}

static void a_session_that_does_not_repeat_fails_http_retries(void)
{
    begin();
    calls.open_http = open_without_retries;
    fails("http-retries", "a GET that was answered 503 twice was sent 1 times and failed");
}

static void a_session_that_repeats_a_post_fails_http_retries(void)
{
    begin();
    calls.open_http = open_with_every_retry;
    fails("http-retries", "a POST that was answered 503 was sent 2 times");
}

static void a_session_without_a_breaker_fails_http_breaker(void)
{
    begin();
    calls.open_http = open_without_breaker;
    fails("http-breaker", "of 8 requests to a server that failed them all, 8 reached it");
}

static void a_breaker_that_opens_too_early_fails_http_breaker(void)
{
    begin();
    calls.open_http = open_with_a_hasty_breaker;
    fails("http-breaker", "of 8 requests to a server that failed them all, 2 reached it");
}

static void nocodb_fails_where_something_else_answers_or_nothing(void)
{
    struct verify_site *site = NULL;
    char url[128];

    begin();
    check_int(found("nocodb").outcome, VERIFY_SKIP);
    check(verify_site_start(&site, NULL) == WEIR_OK);
    snprintf(url, sizeof url, "%sapi/v2/tables", verify_site_url(site));
    config.nocodb_base_url = url;
    struct verify_finding finding = found("nocodb");
    check_int(finding.outcome, VERIFY_FAIL);
    check_contains(finding.text, "the server there is not NocoDB");
    verify_site_fail(site, -1);
    finding = found("nocodb");
    check_int(finding.outcome, VERIFY_FAIL);
    check_contains(finding.text, "asked for its version, it answers 503");
    verify_site_stop(site);
    finding = found("nocodb");
    check_int(finding.outcome, VERIFY_FAIL);
    check_contains(finding.text, "no connection");
    end();
}

/* ---- limits ------------------------------------------------------------------------------ */

static sem_t may_end, has_ended;

static void hang(const struct verification *unused, const struct verify_database *database,
                 struct verify_finding *finding)
{
    (void)unused, (void)database;
    sem_wait(&may_end);
    verify_pass(finding, "too late");
    sem_post(&has_ended);
}

static bool refuse(void *arg, weir_time elapsed)
{
    (void)elapsed;
    ++*(int *)arg;
    return false;
}

static void a_check_that_does_not_end_is_given_up_at_its_limit(void)
{
    const struct verify_check it = {"hang", "nothing", false, 50, hang};
    struct verify_finding finding;

    sem_init(&may_end, 0, 0);
    sem_init(&has_ended, 0, 0);
    check(!verify_run_check(&it, &verification, NULL, NULL, NULL, &finding));
    check_int(finding.outcome, VERIFY_FAIL);
    check_text(finding.text, "did not finish within 50 ms");
    sem_post(&may_end);
    sem_wait(&has_ended);
}

static void a_check_is_given_up_when_its_user_says_so(void)
{
    const struct verify_check it = {"hang", "nothing", false, 60000, hang};
    struct verify_finding finding;
    int ticks = 0;

    check(!verify_run_check(&it, &verification, NULL, refuse, &ticks, &finding));
    check_text(finding.text, "interrupted");
    check_int(ticks, 1);
    sem_post(&may_end);
    sem_wait(&has_ended);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    run(a_pool_that_lends_more_than_its_bound_fails_bound);
    run(a_pool_that_lends_less_than_its_bound_fails_bound);
    run(a_pool_without_overflow_fails_overflow);
    run(a_pool_with_more_overflow_than_it_may_have_fails_overflow);
    run(a_pool_that_keeps_its_overflow_open_fails_overflow);
    run(a_pool_that_waits_beyond_its_timeout_fails_timeout);
    run(a_pool_that_does_not_wait_fails_timeout);
    run(a_pool_that_lends_the_only_connection_twice_fails_timeout);
    run(a_pool_that_does_not_name_the_holder_fails_timeout);
    run(a_pool_that_does_not_recycle_fails_recycle);
    run(a_pool_that_recycles_too_early_fails_recycle);
    run(a_pool_that_does_not_ping_fails_pre_ping);
    run(a_pool_that_lends_a_connection_the_server_ended_fails_pre_ping);
    run(a_database_that_cannot_be_opened_fails_every_check_of_it);
    run(a_connection_on_which_nothing_can_be_asked_fails_query);
    run(a_manager_that_is_initialized_by_every_thread_fails_managers);
    run(a_manager_that_gives_each_thread_another_fails_managers);
    run(a_manager_that_goes_on_after_dispose_fails_lifecycle);
    run(a_manager_that_cannot_begin_again_fails_lifecycle);
    run(a_manager_that_cannot_be_used_fails_lifecycle);
    run(services_on_an_engine_of_their_own_fail_shared_engine);
    run(a_session_that_does_not_reuse_fails_http_reuse);
    run(a_session_that_does_not_repeat_fails_http_retries);
    run(a_session_that_repeats_a_post_fails_http_retries);
    run(a_session_without_a_breaker_fails_http_breaker);
    run(a_breaker_that_opens_too_early_fails_http_breaker);
    run(nocodb_fails_where_something_else_answers_or_nothing);
    run(a_check_that_does_not_end_is_given_up_at_its_limit);
    run(a_check_is_given_up_when_its_user_says_so);
    return check_done();
}
