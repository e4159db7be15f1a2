/* SPDX-License-Identifier: MIT */
/* What the checks of a pool share: a database of their own, and a connection that watches its server. */
#ifndef WEIR_CLI_VERIFY_SCENE_H
#define WEIR_CLI_VERIFY_SCENE_H

#include "verify.h"

/* A database that is opened for one check, and another connection that looks on. */
struct verify_scene {
    const struct verify_calls *calls;
    const struct verify_database *database;
    int step_ms;
    weir_db *db;
    weir_db *observer; /* NULL with SQLite, which has no server to ask, and behind a pooler */
    bool is_hidden;    /* a pooler stands before the server, so its sessions are not ours */
    char name[VERIFY_NAME];
};

/* false: the finding says why. */
WEIR_MUST_CHECK bool verify_scene_begin(struct verify_scene *scene,
                                        const struct verification *verification,
                                        const struct verify_database *database,
                                        const weir_db_options *options,
                                        struct verify_finding *finding);
void verify_scene_end(struct verify_scene *scene);

weir_pool_stats verify_scene_stats(const struct verify_scene *scene);

/* How many connections of this scene the server counts; -1 when there is no server, or no answer. */
int64_t verify_server_count(const struct verify_scene *scene);

/* The end of a finding about numbers: "", or that the server's cannot be seen. */
const char *verify_hidden_text(const struct verify_scene *scene);

/* The first number of a result; -1 when it has none. */
int64_t verify_number_of(weir_result *result);

/* The number that a statement gives; -1 when it gives none. */
WEIR_MUST_CHECK weir_status verify_number(weir_conn *conn, const char *sql, int64_t *ret_number,
                                          weir_error *reterr);

/* Let some milliseconds pass, before looking again. */
void verify_nap(void);

#endif
