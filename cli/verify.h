/* SPDX-License-Identifier: MIT */
/* `weir verify`: what is checked, on what, and what was found. */
#ifndef WEIR_CLI_VERIFY_H
#define WEIR_CLI_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/db.h>
#include <weir/http.h>

#include "server/config/config.h"
#include "target.h"

/* ---- what was found ---------------------------------------------------------------------- */

enum verify_outcome {
    VERIFY_PASS,
    VERIFY_FAIL,
    VERIFY_SKIP /* it does not apply here; the text says why */
};

#define VERIFY_TEXT 1400

/* What came of one check, with a sentence of what was seen. */
struct verify_finding {
    enum verify_outcome outcome;
    char text[VERIFY_TEXT];
};

/* Fill the finding. The last word counts. */
void verify_pass(struct verify_finding *finding, const char *format, ...) WEIR_PRINTF(2, 3);
void verify_fail(struct verify_finding *finding, const char *format, ...) WEIR_PRINTF(2, 3);
void verify_skip(struct verify_finding *finding, const char *format, ...) WEIR_PRINTF(2, 3);

/* ---- what it is checked on --------------------------------------------------------------- */

/*
 * The calls by which pools and sessions are reached. The command passes libweir's own; a test passes
 * ones that break a promise, and sees the check fail.
 */
struct verify_calls {
    weir_status (*open)(const char *url, const weir_db_options *options, weir_db **ret_db,
                        weir_error *reterr);
    weir_status (*acquire)(weir_db *db, weir_time deadline, weir_conn **ret_conn,
                           weir_error *reterr, const char *file, int line);
    void (*release)(weir_conn *conn);
    void (*get_stats)(weir_pool *pool, weir_pool_stats *ret_stats);
    weir_status (*open_http)(const weir_http_options *options, weir_http **ret_session,
                             weir_error *reterr);
};

extern const struct verify_calls verify_weir_calls;

/* A manager of the process, as its users see it. */
struct verify_manager {
    const char *name;
    weir_status (*initialize)(const struct config *config, weir_error *reterr);

    /* Hold what it manages; `ret_identity` says which one that is. Fails, without making one, when
     * there is none. */
    weir_status (*hold)(void **ret_hold, const void **ret_identity, weir_error *reterr);
    void (*put)(void *hold);

    /* Ask it something. NULL: there is nothing to ask. */
    weir_status (*use)(weir_time deadline, weir_error *reterr);
    weir_status (*dispose)(weir_time deadline, weir_error *reterr);
};

#define VERIFY_MANAGERS 3

/* Of the main database, of the suggestions, of the HTTP session. */
extern const struct verify_manager verify_weir_managers[VERIFY_MANAGERS];

/* A database, and how its pool is set. */
struct verify_database {
    const char *label;             /* "main", "suggestions" */
    char *url;                     /* without the options of the pool, which are in `pool` */
    char *shown;                   /* the URL for people, without secrets */
    struct target_missing missing; /* the file that it stands in for, being in memory */
    weir_pool_options pool;
    bool is_postgres;
    char *wal_path; /* a file that was not in WAL mode and is to leave as it came; else NULL */
};

#define VERIFY_DATABASES 2

struct verification {
    const struct verify_calls *calls;
    const struct verify_manager *managers;
    const struct config *config;
    int step_ms; /* how long one step of a check may take: an acquire, a wait for the server */
    struct verify_database databases[VERIFY_DATABASES];
    size_t database_count;
};

/*
 * Find out what is to be checked. A SQLite file that does not exist, or is empty, is not made:
 * `config` is changed to a database in memory that stands in for it, and the database's `missing` says
 * so. The caller ends *verification
 * with verify_close(), which puts the journal mode of SQLite files back to what it was.
 *
 * Errors: WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status verify_open(struct config *config,
                                        struct verification *ret_verification, weir_error *reterr);
void verify_close(struct verification *verification);

/* Options for a database of its own with a pool of these sizes, under a name that only it has;
 * `name` holds it, of VERIFY_NAME bytes, and must outlive the options. */
#define VERIFY_NAME 48
weir_db_options verify_db_options(const struct verify_database *database, int pool_size,
                                  int max_overflow, char *name);

/* ---- checks ------------------------------------------------------------------------------ */

/* `database` is NULL for a check that is not about one. */
typedef void verify_run(const struct verification *verification,
                        const struct verify_database *database, struct verify_finding *finding);

struct verify_check {
    const char *name;
    const char *claim; /* what it proves */
    bool is_per_database;
    int limit_ms; /* a check that has not ended by then has failed */
    verify_run *run;
};

/* In the order they are run; the last has no name. */
extern const struct verify_check verify_checks[];

verify_run verify_managers_check, verify_lifecycle, verify_shared_engine;
verify_run verify_query, verify_bound, verify_overflow, verify_timeout, verify_recycle, verify_ping;
verify_run verify_http_reuse, verify_http_retries, verify_http_breaker, verify_nocodb;

/* ---- running them ------------------------------------------------------------------------ */

/*
 * Run one check on a thread of its own, within its limit. false: it has not come back; the finding
 * says so, its thread may go on, and what it uses must stay.
 *
 * `tick`, which may be NULL, is called several times a second with the time since the beginning;
 * when it returns false the check is given up as well.
 */
WEIR_MUST_CHECK bool verify_run_check(const struct verify_check *check,
                                      const struct verification *verification,
                                      const struct verify_database *database,
                                      bool (*tick)(void *arg, weir_time elapsed), void *arg,
                                      struct verify_finding *ret_finding);

#endif
