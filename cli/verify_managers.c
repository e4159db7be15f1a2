/* SPDX-License-Identifier: MIT */
/* The managers of a process: one instance, a life that can be begun again, and an engine that is shared. */
#include "verify.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/managers/db_manager.h"
#include "server/managers/http_session_manager.h"
#include "server/managers/suggestions_db_manager.h"
#include "server/services/database_service.h"

#define THREADS 8
#define SERVICES 3
#define LIMIT_MS 15000

/* ---- weir's own managers ----------------------------------------------------------------- */

static weir_status hold_db(struct managed_db *manager, void **ret_hold, const void **ret_identity,
                           weir_error *reterr)
{
    struct db_handle *handle;

    weir_status status = managed_db_get_engine(manager, &handle, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_hold = handle;
    *ret_identity = db_handle_db(handle);
    return WEIR_OK;
}

static void put_db(void *hold)
{
    managed_db_put_engine(hold);
}

static weir_status use_db(struct managed_db *manager, weir_time deadline, weir_error *reterr)
{
    static const struct db_retry once = DB_RETRY_NONE;
    weir_result *result = NULL;

    weir_status status =
        managed_db_query(manager, &once, true, "SELECT 1", NULL, 0, deadline, &result, reterr);
    if (status == WEIR_OK)
        weir_result_close(result);
    return status;
}

static weir_status initialize_main(const struct config *config, weir_error *reterr)
{
    return managed_db_initialize(db_manager(), config->sql_conn_string, NULL, reterr);
}

static weir_status hold_main(void **ret_hold, const void **ret_identity, weir_error *reterr)
{
    return hold_db(db_manager(), ret_hold, ret_identity, reterr);
}

static weir_status use_main(weir_time deadline, weir_error *reterr)
{
    return use_db(db_manager(), deadline, reterr);
}

static weir_status dispose_main(weir_time deadline, weir_error *reterr)
{
    return managed_db_dispose(db_manager(), deadline, reterr);
}

static weir_status initialize_suggestions(const struct config *config, weir_error *reterr)
{
    return managed_db_initialize(suggestions_db_manager(), config->suggestions_sql_conn_string,
                                 NULL, reterr);
}

static weir_status hold_suggestions(void **ret_hold, const void **ret_identity, weir_error *reterr)
{
    return hold_db(suggestions_db_manager(), ret_hold, ret_identity, reterr);
}

static weir_status use_suggestions(weir_time deadline, weir_error *reterr)
{
    return use_db(suggestions_db_manager(), deadline, reterr);
}

static weir_status dispose_suggestions(weir_time deadline, weir_error *reterr)
{
    return managed_db_dispose(suggestions_db_manager(), deadline, reterr);
}

static weir_status initialize_http(const struct config *config, weir_error *reterr)
{
    struct http_session_options options = HTTP_SESSION_OPTIONS_DEFAULT;

    options.ca_file = config->http_ca_file;
    options.proxy = config->http_proxy;
    options.no_proxy = config->http_no_proxy;
    return http_manager_initialize(&options, reterr);
}

static weir_status hold_http(void **ret_hold, const void **ret_identity, weir_error *reterr)
{
    struct http_handle *handle;

    if (!http_manager_find_session(&handle))
        return weir_error_set(reterr, WEIR_NOT_READY, "HTTPSessionManager not initialized");
    *ret_hold = handle;
    *ret_identity = http_handle_session(handle);
    return WEIR_OK;
}

static void put_http(void *hold)
{
    http_manager_put_session(hold);
}

const struct verify_manager verify_weir_managers[VERIFY_MANAGERS] = {
    {"DatabaseManager", initialize_main, hold_main, put_db, use_main, dispose_main},
    {"SuggestionsDBManager", initialize_suggestions, hold_suggestions, put_db, use_suggestions,
     dispose_suggestions},
    {"HTTPSessionManager", initialize_http, hold_http, put_http, NULL, http_manager_close},
};

/* ---- one instance ------------------------------------------------------------------------ */

/* Threads that initialize at the same moment, and what they got. */
struct race {
    const struct verify_manager *manager;
    const struct config *config;
    pthread_barrier_t start;
    _Atomic int initialized;
    _Atomic int already;
    weir_error error; /* written by one: whoever raises `failed` from 0 */
    _Atomic int failed;
    _Atomic(const void *) identity; /* of whoever held first */
    _Atomic int others;             /* who held another */
};

static void note_failure(struct race *race, const weir_error *error)
{
    if (atomic_fetch_add(&race->failed, 1) == 0)
        race->error = *error;
}

static void *initialize_and_hold(void *arg)
{
    struct race *race = arg;
    const void *identity, *first = NULL;
    weir_error error;
    void *hold;

    pthread_barrier_wait(&race->start);
    weir_status status = race->manager->initialize(race->config, &error);
    if (status == WEIR_OK)
        atomic_fetch_add(&race->initialized, 1);
    else if (status == WEIR_ALREADY)
        atomic_fetch_add(&race->already, 1);
    else
        note_failure(race, &error);
    if (race->manager->hold(&hold, &identity, &error) != WEIR_OK) {
        note_failure(race, &error);
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&race->identity, &first, identity) && first != identity)
        atomic_fetch_add(&race->others, 1);
    race->manager->put(hold);
    return NULL;
}

static bool run_race(struct race *race, struct verify_finding *finding)
{
    pthread_t threads[THREADS];
    int count = 0;

    pthread_barrier_init(&race->start, NULL, THREADS);
    while (count < THREADS && pthread_create(&threads[count], NULL, initialize_and_hold, race) == 0)
        count++;
    if (count < THREADS) {
        verify_fail(finding, "only %d of %d threads could be started", count, THREADS);
        return false; /* they stand at the barrier, which must stay */
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&race->start);
    return true;
}

static bool has_one_instance(const struct verify_manager *manager, const struct config *config,
                             struct verify_finding *finding)
{
    struct race *race = calloc(1, sizeof *race);

    if (race == NULL) {
        verify_fail(finding, "out of memory");
        return false;
    }
    race->manager = manager;
    race->config = config;
    if (!run_race(race, finding))
        return false; /* the race is left to the threads that wait in it */
    bool is_fine = false;
    if (race->failed > 0)
        verify_fail(finding, "%s: %s", manager->name, race->error.text);
    else if (race->initialized != 1)
        verify_fail(finding, "%s was initialized %d times by %d threads", manager->name,
                    (int)race->initialized, THREADS);
    else if (race->others > 0)
        verify_fail(finding, "%s: %d of %d threads were given another instance", manager->name,
                    (int)race->others, THREADS);
    else
        is_fine = true;
    free(race);
    return is_fine;
}

static void dispose_all(const struct verification *verification)
{
    for (size_t i = 0; i < VERIFY_MANAGERS; i++)
        (void)verification->managers[i].dispose(weir_deadline_in(LIMIT_MS), NULL);
}

void verify_managers_check(const struct verification *verification,
                           const struct verify_database *database, struct verify_finding *finding)
{
    bool is_fine = true;

    (void)database;
    for (size_t i = 0; i < VERIFY_MANAGERS && is_fine; i++)
        is_fine = has_one_instance(&verification->managers[i], verification->config, finding);
    dispose_all(verification);
    if (is_fine)
        verify_pass(finding,
                    "%d threads initialized each of %d managers at once: the first did, the others "
                    "were told so, all hold the same instance",
                    THREADS, VERIFY_MANAGERS);
}

/* ---- a life that can be begun again ------------------------------------------------------ */

static bool live_once(const struct verify_manager *manager, const struct config *config,
                      const char *which, struct verify_finding *finding)
{
    weir_error error;
    const void *identity;
    void *hold;

    if (manager->initialize(config, &error) != WEIR_OK) {
        verify_fail(finding, "%s, %s initialize: %s", manager->name, which, error.text);
        return false;
    }
    if (manager->use != NULL && manager->use(weir_deadline_in(LIMIT_MS), &error) != WEIR_OK) {
        verify_fail(finding, "%s, first statement after the %s initialize: %s", manager->name,
                    which, error.text);
        return false;
    }
    if (manager->dispose(weir_deadline_in(LIMIT_MS), &error) != WEIR_OK) {
        verify_fail(finding, "%s, %s dispose: %s", manager->name, which, error.text);
        return false;
    }
    if (manager->hold(&hold, &identity, &error) == WEIR_OK) {
        manager->put(hold);
        verify_fail(finding, "%s still gives what it manages after the %s dispose", manager->name,
                    which);
        return false;
    }
    return true;
}

void verify_lifecycle(const struct verification *verification,
                      const struct verify_database *database, struct verify_finding *finding)
{
    bool is_fine = true;

    (void)database;
    for (size_t i = 0; i < VERIFY_MANAGERS && is_fine; i++) {
        is_fine = live_once(&verification->managers[i], verification->config, "first", finding) &&
                  live_once(&verification->managers[i], verification->config, "second", finding);
    }
    dispose_all(verification);
    if (is_fine)
        verify_pass(finding,
                    "%d managers were initialized, used and disposed, refused afterwards, and did "
                    "the same once more",
                    VERIFY_MANAGERS);
}

/* ---- an engine that is shared ------------------------------------------------------------ */

/* Open several services and ask each for the tables. */
static weir_status ask_services(weir_error *reterr)
{
    struct database_service *services[SERVICES] = {NULL};
    weir_status status = WEIR_OK;

    for (size_t i = 0; i < SERVICES && status == WEIR_OK; i++)
        status = database_service_open(NULL, NULL, &services[i], reterr);
    for (size_t i = 0; i < SERVICES && status == WEIR_OK; i++) {
        char *names = NULL;
        status =
            database_get_table_names(services[i], NULL, weir_deadline_in(LIMIT_MS), &names, reterr);
        free(names);
    }
    for (size_t i = 0; i < SERVICES; i++)
        database_service_close(services[i]);
    return status;
}

static void judge_sharing(const weir_pool_stats *before, const weir_pool_stats *after,
                          struct verify_finding *finding)
{
    unsigned long long loans = after->checkouts - before->checkouts;
    unsigned long long opened = after->connects - before->connects;

    if (loans < SERVICES)
        verify_fail(
            finding,
            "%d Database objects answered, but the manager's engine checked out a connection only "
            "%llu times: they have others",
            SERVICES, loans);
    else if (opened > 1)
        verify_fail(finding, "%d Database objects, one after the other, opened %llu connections",
                    SERVICES, opened);
    else
        verify_pass(finding,
                    "%d Database objects, one after the other: %llu checkouts from the one engine, "
                    "%llu connection opened",
                    SERVICES, loans, opened);
}

void verify_shared_engine(const struct verification *verification,
                          const struct verify_database *database, struct verify_finding *finding)
{
    const struct verify_manager *manager = &verification->managers[0];
    weir_pool_stats before, after;
    const void *identity;
    weir_error error;
    void *hold;

    (void)database;
    weir_status status = manager->initialize(verification->config, &error);
    if (status == WEIR_OK)
        status = manager->hold(&hold, &identity, &error);
    if (status == WEIR_OK) {
        weir_pool *pool = weir_db_pool((weir_db *)(uintptr_t)identity);
        verification->calls->get_stats(pool, &before);
        status = ask_services(&error);
        verification->calls->get_stats(pool, &after);
        manager->put(hold);
    }
    if (status == WEIR_OK)
        judge_sharing(&before, &after, finding);
    else
        verify_fail(finding, "%s", error.text);
    (void)manager->dispose(weir_deadline_in(LIMIT_MS), NULL);
}
