/* SPDX-License-Identifier: MIT */
/* A stage for tests of managers and services: a directory, a database, and the comparing of JSON. */
#ifndef WEIR_TESTS_STAGE_H
#define WEIR_TESTS_STAGE_H

#include "managers/db_manager.h"
#include "log/log.h"
#include "managers/suggestions_db_manager.h"

#include "check.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[] = "/tmp/weir-services-XXXXXX";
static char url[512];
static bool on_sqlite;

static inline weir_time soon(void)
{
    return weir_deadline_in(10000);
}

/* A URL of an SQLite file of that name. */
static inline const char *file_url(const char *name)
{
    static char text[512];

    snprintf(text, sizeof text, "sqlite:///%s/%s", directory, name);
    return text;
}

static inline void forget(const char *name)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[512];

    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s%s", directory, name, endings[i]);
        unlink(path);
    }
}

static inline void must(weir_status status, const weir_error *error)
{
    if (status != WEIR_OK)
        printf("# unexpected: %s: %s\n", weir_status_name(status), error->text);
    check(status == WEIR_OK);
}

/* Run a script on a manager's database, to set the stage. */
static inline void script(struct managed_db *manager, const char *sql)
{
    struct db_session session;
    weir_error error;
    weir_status status = managed_db_get_session(manager, soon(), &session, &error);

    must(status, &error);
    if (status != WEIR_OK)
        return;
    must(weir_conn_script(session.conn, sql, &error), &error);
    db_session_end(&session);
}

/* Compare JSON by meaning. */
static inline void same_json(char *actual, const char *expected)
{
    json_t *a = actual != NULL ? json_loads(actual, JSON_DECODE_ANY, NULL) : NULL;
    json_t *b = json_loads(expected, JSON_DECODE_ANY, NULL);

    if (a == NULL || !json_equal(a, b))
        printf("# got %s, wanted %s\n", actual != NULL ? actual : "(nothing)", expected);
    check(a != NULL && b != NULL && json_equal(a, b));
    json_decref(a);
    json_decref(b);
    free(actual);
}

/* What the manager logs while `work` runs. */
static inline const char *logged(void (*work)(void))
{
    static char text[65536];
    int ends[2];

    check(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    log_set_descriptor(ends[1]);
    work();
    log_set_descriptor(STDERR_FILENO);
    ssize_t size = read(ends[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    return text;
}

/* SQLite in a directory of its own, or PostgreSQL where WEIR_TEST_PG_URL names one. */
static inline bool open_stage(void)
{
    const char *postgres = getenv("WEIR_TEST_PG_URL");

    log_set_level(LOG_LEVEL_WARNING);
    if (mkdtemp(directory) == NULL)
        return false;
    on_sqlite = postgres == NULL;
    snprintf(url, sizeof url, "%s", postgres != NULL ? postgres : file_url("main.db"));
    return true;
}

static inline void close_stage(void)
{
    forget("main.db");
    if (rmdir(directory) != 0)
        printf("# %s was left behind\n", directory);
}

/* Both managers disposed, with nothing lent. */
static inline void dispose_all(void)
{
    struct managed_db *managers[] = {db_manager(), suggestions_db_manager()};
    weir_pool_stats stats;
    struct db_handle *handle;
    weir_error error;

    for (size_t i = 0; i < 2; i++) {
        if (!managed_db_is_initialized(managers[i]))
            continue;
        must(managed_db_get_engine(managers[i], &handle, &error), &error);
        weir_pool_get_stats(weir_db_pool(db_handle_db(handle)), &stats);
        check_int(stats.leased, 0);
        check_int(stats.waiters, 0);
        managed_db_put_engine(handle);
        must(managed_db_dispose(managers[i], soon(), &error), &error);
    }
}

#endif
