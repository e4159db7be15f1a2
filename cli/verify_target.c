/* SPDX-License-Identifier: MIT */
/* What the configuration names, made fit to be checked without leaving a trace. */
#include "verify.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/managers/pool_url.h"

/* The sizes that are used at most: enough to be seen, few enough for any server. */
#define SIZE_LIMIT 10

#define STEP_MS 10000

const struct verify_calls verify_weir_calls = {weir_db_open, weir_db_acquire_at, weir_conn_release,
                                               weir_pool_get_stats, weir_http_open};

/* ---- the databases ----------------------------------------------------------------------- */

static void limit(int *size)
{
    if (*size > SIZE_LIMIT || *size < 0)
        *size = SIZE_LIMIT;
}

static void clear(struct verify_database *database)
{
    free(database->url);
    free(database->shown);
    free(database->missing.url);
}

/* A URL that cannot be read stays as it is, so that every check says what is wrong with it. */
static weir_status describe(const char *label, char **config_url, struct verify_database *ret,
                            weir_error *reterr)
{
    static const weir_pool_options defaults = WEIR_POOL_OPTIONS_DEFAULT;
    struct verify_database database = {.label = label, .pool = defaults};

    weir_status status = target_stand_in(config_url, &database.missing, reterr);
    if (status != WEIR_OK)
        return status;
    const char *url = *config_url;
    status = pool_url_split(url, &database.url, &database.pool);
    database.shown = status == WEIR_OK ? target_shown(database.url) : NULL;
    if (database.shown == NULL) {
        clear(&database);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    }
    if (database.pool.pool_size == 0)
        database.pool.pool_size = SIZE_LIMIT;
    limit(&database.pool.pool_size);
    limit(&database.pool.max_overflow);
    database.is_postgres = strncmp(url, "postgres", 8) == 0;
    database.wal_path = target_remember_mode(url);
    *ret = database;
    return WEIR_OK;
}

/* The suggestions go where the main database is, which may be another than the configured one. */
static weir_status use_same(struct config *config, weir_error *reterr)
{
    char *url = strdup(config->sql_conn_string);

    if (url == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    free(config->suggestions_sql_conn_string);
    config->suggestions_sql_conn_string = url;
    return WEIR_OK;
}

weir_status verify_open(struct config *config, struct verification *ret_verification,
                        weir_error *reterr)
{
    struct verification verification = {.calls = &verify_weir_calls,
                                        .managers = verify_weir_managers,
                                        .config = config,
                                        .step_ms = STEP_MS};
    bool are_same = strcmp(config->sql_conn_string, config->suggestions_sql_conn_string) == 0;

    weir_status status =
        describe("main", &config->sql_conn_string, &verification.databases[0], reterr);
    if (status != WEIR_OK)
        return status;
    verification.database_count = 1;
    if (!are_same) {
        status = describe("suggestions", &config->suggestions_sql_conn_string,
                          &verification.databases[1], reterr);
        verification.database_count += status == WEIR_OK;
    } else {
        status = use_same(config, reterr);
    }
    if (status != WEIR_OK)
        verify_close(&verification);
    else
        *ret_verification = verification;
    return status;
}

void verify_close(struct verification *verification)
{
    for (size_t i = 0; i < verification->database_count; i++) {
        struct verify_database *database = &verification->databases[i];
        target_restore_mode(database->url, database->wal_path);
        clear(database);
    }
    verification->database_count = 0;
}

weir_db_options verify_db_options(const struct verify_database *database, int pool_size,
                                  int max_overflow, char *name)
{
    static _Atomic unsigned counter;
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;

    snprintf(name, VERIFY_NAME, "weir-verify-%ld-%u", (long)getpid(),
             atomic_fetch_add(&counter, 1) + 1);
    /* Of the configured pool, but for what would keep the checks from waiting or from
     * borrowing twice in one thread. */
    int max_waiters = options.pool.max_waiters, pool_timeout_ms = options.pool.pool_timeout_ms;
    options.pool = database->pool;
    options.pool.max_waiters = max_waiters;
    options.pool.pool_timeout_ms = pool_timeout_ms;
    options.pool.nested = WEIR_NESTED_ALLOW;
    options.pool.name = name;
    options.pool.pool_size = pool_size;
    options.pool.max_overflow = max_overflow;
    options.pool.use_time_every = 1;
    options.application_name = name;
    return options;
}
