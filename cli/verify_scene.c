/* SPDX-License-Identifier: MIT */
/* What the checks of a pool share: a database of their own, and a connection that watches its server. */
#include "verify_scene.h"

#include <stdio.h>
#include <time.h>

#define NAP_MS 10

/* A server lets go of a session within this of its client. */
#define KEPT_MS 1000

void verify_nap(void)
{
    struct timespec nap = {0, NAP_MS * WEIR_MS};

    nanosleep(&nap, NULL);
}

int64_t verify_number_of(weir_result *result)
{
    weir_value value = weir_result_value(result, 0, 0);

    return value.type == WEIR_INT ? value.integer : -1;
}

weir_status verify_number(weir_conn *conn, const char *sql, int64_t *ret_number, weir_error *reterr)
{
    weir_result *result;

    weir_status status = weir_conn_query(conn, sql, NULL, 0, &result, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_number = verify_number_of(result);
    weir_result_close(result);
    return WEIR_OK;
}

static weir_status ask_server(const struct verify_scene *scene, int64_t *ret_count,
                              weir_error *reterr)
{
    const weir_param name = {"name", weir_text(scene->name)};
    weir_result *result;

    weir_status status = weir_db_query(
        scene->observer, "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name",
        &name, 1, &result, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_count = verify_number_of(result);
    weir_result_close(result);
    return WEIR_OK;
}

int64_t verify_server_count(const struct verify_scene *scene)
{
    int64_t count = -1;

    if (scene->observer != NULL && ask_server(scene, &count, NULL) != WEIR_OK)
        return -1;
    return count;
}

const char *verify_hidden_text(const struct verify_scene *scene)
{
    return scene->is_hidden
               ? "; the count on the server is hidden: there is a pooler in front of it"
               : "";
}

/* Borrow the observer's one connection; the number of its process in the server, and whether weir takes it
 * for a pooler's. */
static weir_status ask_process(const struct verify_scene *scene, bool discards, int64_t *ret_pid,
                               bool *ret_is_pooled, weir_error *reterr)
{
    weir_conn *conn;

    weir_status status =
        weir_db_acquire(scene->observer, weir_deadline_in(scene->step_ms), &conn, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_is_pooled = weir_conn_note(conn) != NULL;
    status = verify_number(conn, "SELECT CAST(pg_backend_pid() AS bigint)", ret_pid, reterr);
    if (discards)
        weir_conn_discard(conn);
    else
        weir_conn_release(conn);
    return status;
}

/* Whether a process that has been left is still there a second later. */
static bool is_kept(const struct verify_scene *scene, int64_t pid)
{
    const weir_param param = {"pid", weir_int(pid)};
    weir_time end = weir_deadline_in(KEPT_MS);
    int64_t count = 1;

    while (count != 0 && weir_now() < end) {
        weir_result *result;
        if (weir_db_query(scene->observer,
                          "SELECT count(*) FROM pg_stat_activity WHERE pid = CAST(:pid AS int)",
                          &param, 1, &result, NULL) != WEIR_OK)
            return true;
        count = verify_number_of(result);
        weir_result_close(result);
        if (count != 0)
            verify_nap();
    }
    return count != 0;
}

/*
 * Connected at once: when the pool is full the server might have no place left for it. Behind a pooler
 * the server's sessions are not ours: most are known by their process numbers; pgpool-II, which hands
 * on the server's, by a session that outlives its client.
 */
static weir_status open_observer(struct verify_scene *scene, weir_error *reterr)
{
    char name[VERIFY_NAME];
    weir_db_options options = verify_db_options(scene->database, 1, 0, name);
    int64_t first = 0, second = 0;

    weir_status status = weir_db_open(scene->database->url, &options, &scene->observer, reterr);
    if (status == WEIR_OK)
        status = ask_process(scene, true, &first, &scene->is_hidden, reterr);
    if (status == WEIR_OK && !scene->is_hidden)
        status = ask_process(scene, false, &second, &scene->is_hidden, reterr);
    if (status != WEIR_OK)
        return status;
    scene->is_hidden = scene->is_hidden || first == second || is_kept(scene, first);
    if (scene->is_hidden) {
        weir_db_close(scene->observer);
        scene->observer = NULL;
    }
    return WEIR_OK;
}

bool verify_scene_begin(struct verify_scene *scene, const struct verification *verification,
                        const struct verify_database *database, const weir_db_options *options,
                        struct verify_finding *finding)
{
    weir_error error;

    *scene = (struct verify_scene){
        .calls = verification->calls, .database = database, .step_ms = verification->step_ms};
    snprintf(scene->name, sizeof scene->name, "%s", options->application_name);
    weir_status status = scene->calls->open(database->url, options, &scene->db, &error);
    if (status == WEIR_OK && database->is_postgres)
        status = open_observer(scene, &error);
    if (status == WEIR_OK)
        return true;
    verify_fail(finding, "%s", error.text);
    verify_scene_end(scene);
    return false;
}

void verify_scene_end(struct verify_scene *scene)
{
    weir_db_close(scene->db);
    weir_db_close(scene->observer);
}

weir_pool_stats verify_scene_stats(const struct verify_scene *scene)
{
    weir_pool_stats stats;

    scene->calls->get_stats(weir_db_pool(scene->db), &stats);
    return stats;
}
