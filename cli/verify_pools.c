/* SPDX-License-Identifier: MIT */
/* A database's pool by one thread: statements, overflow, timeout, recycling, and sessions the server ended. */
#include "verify_scene.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define OVERFLOW 2
#define TIMEOUT_MS 300
#define TOLERANCE_MS 2000 /* what a busy machine may add */
#define RECYCLE_S 1
#define RECYCLE_WAIT_MS 1100

/* A server lets go of a session a moment after its client has. Whether it counts `expected` in time. */
static bool server_comes_to(const struct verify_scene *scene, int64_t expected, int64_t *ret_count)
{
    weir_time end = weir_deadline_in(scene->step_ms);

    do {
        *ret_count = verify_server_count(scene);
        if (*ret_count == expected || scene->observer == NULL)
            return true;
        verify_nap();
    } while (weir_now() < end);
    return false;
}

static weir_status acquire(const struct verify_scene *scene, weir_time deadline,
                           weir_conn **ret_conn, weir_error *reterr)
{
    return scene->calls->acquire(scene->db, deadline, ret_conn, reterr, __FILE__, __LINE__);
}

/* ---- statements -------------------------------------------------------------------------- */

static weir_status ask_with_parameters(weir_conn *conn, bool *ret_is_right, weir_error *reterr)
{
    static const char text[] = "Zürich; DROP TABLE \"x\" --'";
    const weir_param params[] = {{"number", weir_int(41)}, {"text", weir_text(text)}};
    weir_result *result;

    weir_status status =
        weir_conn_query(conn, "SELECT CAST(:number AS bigint) + 1, CAST(:text AS text)", params, 2,
                        &result, reterr);
    if (status != WEIR_OK)
        return status;
    weir_value value = weir_result_value(result, 0, 1);
    *ret_is_right =
        verify_number_of(result) == 42 && value.type == WEIR_TEXT && strcmp(value.text, text) == 0;
    weir_result_close(result);
    return WEIR_OK;
}

static void judge_statements(weir_conn *conn, struct verify_finding *finding)
{
    bool is_right = false;
    int64_t one = 0;
    weir_error error;
    weir_time begin = weir_now();

    if (verify_number(conn, "SELECT 1", &one, &error) != WEIR_OK) {
        verify_fail(finding, "SELECT 1: %s", error.text);
        return;
    }
    weir_time took = weir_now() - begin;
    if (ask_with_parameters(conn, &is_right, &error) != WEIR_OK) {
        verify_fail(finding, "with parameters: %s", error.text);
        return;
    }
    weir_status refused = verify_number(conn, "SELECT weir_verify_no_such_column", &one, &error);
    if (!is_right)
        verify_fail(finding, "parameters came back as something else");
    else if (refused != WEIR_QUERY)
        verify_fail(finding, "a wrong statement was answered %s", weir_status_name(refused));
    else if (verify_number(conn, "SELECT 1", &one, &error) != WEIR_OK || one != 1)
        verify_fail(finding, "after a wrong statement the connection is unusable");
    else
        verify_pass(finding,
                    "SELECT 1 took %.2f ms; parameters came back as sent, a wrong statement was "
                    "refused (SQLSTATE %s) and the connection went on",
                    (double)took / (double)WEIR_MS, error.sqlstate);
}

void verify_query(const struct verification *verification, const struct verify_database *database,
                  struct verify_finding *finding)
{
    char name[VERIFY_NAME];
    weir_db_options options = verify_db_options(database, 1, 0, name);
    struct verify_scene scene;
    weir_conn *conn;
    weir_error error;

    if (!verify_scene_begin(&scene, verification, database, &options, finding))
        return;
    if (acquire(&scene, WEIR_DEADLINE_DEFAULT, &conn, &error) != WEIR_OK) {
        verify_fail(finding, "%s", error.text);
    } else {
        judge_statements(conn, finding);
        scene.calls->release(conn);
    }
    verify_scene_end(&scene);
}

/* ---- overflow ---------------------------------------------------------------------------- */

static void judge_overflow(const struct verify_scene *scene, int held, int64_t server_most,
                           const weir_pool_stats *most, struct verify_finding *finding)
{
    weir_pool_stats stats = verify_scene_stats(scene);
    int64_t server = -1;
    char seen[96];

    snprintf(seen, sizeof seen, "%s", verify_hidden_text(scene));
    bool is_let_go = server_comes_to(scene, 1, &server);
    if (scene->observer != NULL)
        snprintf(seen, sizeof seen, "; the server counted %lld, then %lld", (long long)server_most,
                 (long long)server);
    if (most->overflow != OVERFLOW)
        verify_fail(finding, "with %d connections checked out the pool reports overflow %d, not %d",
                    held, most->overflow, OVERFLOW);
    else if (stats.connections != 1 || stats.closed_by[WEIR_REASON_OVERFLOW] != OVERFLOW)
        verify_fail(finding, "after the rush %d connections stayed open instead of 1%s",
                    stats.connections, seen);
    else if (!is_let_go || (scene->observer != NULL && server_most != held))
        verify_fail(finding, "%d connections were checked out and %d kept%s", held,
                    stats.connections, seen);
    else
        verify_pass(
            finding,
            "with pool_size 1 and max_overflow %d, %d connections were checked out at once and 1 "
            "was kept%s",
            OVERFLOW, held, seen);
}

void verify_overflow(const struct verification *verification,
                     const struct verify_database *database, struct verify_finding *finding)
{
    char name[VERIFY_NAME];
    weir_db_options options = verify_db_options(database, 1, OVERFLOW, name);
    weir_conn *conns[1 + OVERFLOW], *more = NULL;
    struct verify_scene scene;
    weir_status status = WEIR_OK;
    weir_error error;
    int held = 0;

    if (!verify_scene_begin(&scene, verification, database, &options, finding))
        return;
    while (held < 1 + OVERFLOW && status == WEIR_OK) {
        status = acquire(&scene, weir_deadline_in(scene.step_ms), &conns[held], &error);
        held += status == WEIR_OK;
    }
    weir_pool_stats most = verify_scene_stats(&scene);
    int64_t server_most = verify_server_count(&scene);
    bool is_beyond =
        status == WEIR_OK && acquire(&scene, WEIR_DEADLINE_NOW, &more, NULL) == WEIR_OK;
    if (is_beyond)
        scene.calls->release(more);
    for (int i = 0; i < held; i++)
        scene.calls->release(conns[i]);
    if (status != WEIR_OK)
        verify_fail(finding, "only %d of %d connections could be acquired: %s", held, 1 + OVERFLOW,
                    error.text);
    else if (is_beyond)
        verify_fail(finding,
                    "connection %d was checked out, though pool_size 1 and max_overflow %d",
                    held + 1, OVERFLOW);
    else
        judge_overflow(&scene, held, server_most, &most, finding);
    verify_scene_end(&scene);
}

/* ---- timeout ----------------------------------------------------------------------------- */

static void judge_timeout(weir_status status, weir_time took, const weir_error *error,
                          struct verify_finding *finding)
{
    double ms = (double)took / (double)WEIR_MS;

    if (status == WEIR_OK)
        verify_fail(finding, "the one connection of the pool was checked out twice");
    else if (status != WEIR_TIMEOUT)
        verify_fail(finding, "instead of a timeout: %s", error->text);
    else if (took < TIMEOUT_MS * WEIR_MS)
        verify_fail(finding, "it gave up after %.0f ms, before its timeout of %d ms", ms,
                    TIMEOUT_MS);
    else if (took > (TIMEOUT_MS + TOLERANCE_MS) * WEIR_MS)
        verify_fail(finding, "it gave up after %.0f ms, long after its timeout of %d ms", ms,
                    TIMEOUT_MS);
    else if (strstr(error->text, "verify_pools.c:") == NULL)
        verify_fail(finding, "it gave up after %.0f ms, but does not name the holder: %s", ms,
                    error->text);
    else
        verify_pass(
            finding,
            "with its one connection checked out, the pool gave up after %.0f ms (pool_timeout %d "
            "ms) and named the holder: %s",
            ms, TIMEOUT_MS, strstr(error->text, "verify_pools.c:"));
}

void verify_timeout(const struct verification *verification, const struct verify_database *database,
                    struct verify_finding *finding)
{
    char name[VERIFY_NAME];
    weir_db_options options = verify_db_options(database, 1, 0, name);
    struct verify_scene scene;
    weir_conn *conn, *second;
    weir_error error;

    options.pool.pool_timeout_ms = TIMEOUT_MS;
    if (!verify_scene_begin(&scene, verification, database, &options, finding))
        return;
    if (acquire(&scene, weir_deadline_in(scene.step_ms), &conn, &error) != WEIR_OK) {
        verify_fail(finding, "%s", error.text);
        verify_scene_end(&scene);
        return;
    }
    weir_time begin = weir_now();
    weir_status status = acquire(&scene, WEIR_DEADLINE_DEFAULT, &second, &error);
    judge_timeout(status, weir_now() - begin, &error, finding);
    if (status == WEIR_OK && second != conn)
        scene.calls->release(second);
    scene.calls->release(conn);
    verify_scene_end(&scene);
}

/* ---- recycling --------------------------------------------------------------------------- */

/* Borrow a connection for a moment; 0 when that failed. */
static uint64_t borrow(const struct verify_scene *scene, struct verify_finding *finding)
{
    weir_conn *conn;
    weir_error error;

    if (acquire(scene, weir_deadline_in(scene->step_ms), &conn, &error) != WEIR_OK) {
        verify_fail(finding, "%s", error.text);
        return 0;
    }
    uint64_t id = weir_lease_connection_id(weir_conn_lease(conn));
    scene->calls->release(conn);
    return id;
}

static void judge_recycling(const struct verify_scene *scene, struct verify_finding *finding)
{
    weir_time opened = weir_now();
    uint64_t first = borrow(scene, finding), again = first != 0 ? borrow(scene, finding) : 0;
    weir_time lent = weir_now();

    if (again == 0)
        return;
    if (again != first && lent < opened + RECYCLE_S * WEIR_SECOND) {
        verify_fail(finding, "a connection was replaced after %.0f ms, before pool_recycle (%d s)",
                    (double)(lent - opened) / (double)WEIR_MS, RECYCLE_S);
        return;
    }
    weir_time end = lent + RECYCLE_WAIT_MS * WEIR_MS;
    while (weir_now() < end)
        verify_nap();
    uint64_t later = borrow(scene, finding);
    weir_pool_stats stats = verify_scene_stats(scene);
    if (later == 0)
        return;
    if (later == again)
        verify_fail(finding,
                    "the same connection was checked out %.1f s after it was opened, with "
                    "pool_recycle %d s",
                    (double)(weir_now() - opened) / (double)WEIR_SECOND, RECYCLE_S);
    else if (stats.closed_by[WEIR_REASON_RECYCLED] == 0 || stats.connections != 1)
        verify_fail(finding,
                    "another connection was checked out, but %llu were recycled and %d are open",
                    (unsigned long long)stats.closed_by[WEIR_REASON_RECYCLED], stats.connections);
    else
        verify_pass(
            finding,
            "with pool_recycle %d s a connection was checked out again at once, and %.1f s after "
            "its opening another in its place; 1 is open",
            RECYCLE_S, (double)(weir_now() - opened) / (double)WEIR_SECOND);
}

void verify_recycle(const struct verification *verification, const struct verify_database *database,
                    struct verify_finding *finding)
{
    char name[VERIFY_NAME];
    weir_db_options options = verify_db_options(database, 1, 0, name);
    struct verify_scene scene;

    options.pool.pool_recycle_s = RECYCLE_S;
    options.pool.recycle_jitter_percent = 0;
    if (!verify_scene_begin(&scene, verification, database, &options, finding))
        return;
    judge_recycling(&scene, finding);
    verify_scene_end(&scene);
}

/* ---- pre-ping ---------------------------------------------------------------------------- */

/* Borrow a connection and ask for its server process; 0 when that failed. */
static int64_t borrow_session(const struct verify_scene *scene, struct verify_finding *finding)
{
    int64_t session = 0;
    weir_conn *conn;
    weir_error error;

    if (acquire(scene, weir_deadline_in(scene->step_ms), &conn, &error) != WEIR_OK) {
        verify_fail(finding, "%s", error.text);
        return 0;
    }
    weir_status status =
        verify_number(conn, "SELECT CAST(pg_backend_pid() AS bigint)", &session, &error);
    scene->calls->release(conn);
    if (status == WEIR_OK)
        return session;
    verify_fail(finding, "the connection that was checked out does not work: %s", error.text);
    return 0;
}

/* End a session of our own from another; whether the server has done so. */
static bool end_session(const struct verify_scene *scene, int64_t session, weir_error *reterr)
{
    const weir_param pid = {"pid", weir_int(session)};
    weir_result *result;
    int64_t count;

    if (weir_db_query(scene->observer, "SELECT pg_terminate_backend(CAST(:pid AS int))", &pid, 1,
                      &result, reterr) != WEIR_OK)
        return false;
    weir_result_close(result);
    if (server_comes_to(scene, 0, &count))
        return true;
    weir_error_set(reterr, WEIR_TIMEOUT, "the server still lists %lld sessions", (long long)count);
    return false;
}

static void judge_replacement(const struct verify_scene *scene, int64_t session,
                              struct verify_finding *finding)
{
    weir_pool_stats before = verify_scene_stats(scene);
    weir_error error;

    if (scene->is_hidden) {
        verify_skip(finding, "a connection was pinged%s", verify_hidden_text(scene));
        return;
    }
    if (!end_session(scene, session, &error)) {
        verify_skip(finding,
                    "a connection was pinged; its session could not be ended to see more: "
                    "%s",
                    error.text);
        return;
    }
    int64_t second = borrow_session(scene, finding);
    weir_pool_stats after = verify_scene_stats(scene);
    if (second == 0)
        return;
    bool is_seen = after.closed_by[WEIR_REASON_STALE] > before.closed_by[WEIR_REASON_STALE];
    if (second == session)
        verify_fail(finding, "session %lld goes on, though the server ended it",
                    (long long)session);
    else
        verify_pass(finding,
                    "the ping was answered; the server ended session %lld, %s noticed before the "
                    "connection was checked out, and session %lld works in its place",
                    (long long)session, is_seen ? "a check of the socket" : "the ping",
                    (long long)second);
}

void verify_ping(const struct verification *verification, const struct verify_database *database,
                 struct verify_finding *finding)
{
    char name[VERIFY_NAME];
    weir_db_options options = verify_db_options(database, 1, 0, name);
    struct verify_scene scene;
    int64_t session = 1;

    options.pool.pool_pre_ping = true;
    options.pool.ping_bypass_ms = 0;
    options.pool.pool_recycle_s = -1; /* what is replaced is not pinged */
    if (!verify_scene_begin(&scene, verification, database, &options, finding))
        return;
    bool is_lent = true;
    for (int i = 0; i < 2 && is_lent; i++) {
        is_lent = database->is_postgres ? (session = borrow_session(&scene, finding)) != 0
                                        : borrow(&scene, finding) != 0;
    }
    if (is_lent && verify_scene_stats(&scene).pings == 0)
        verify_fail(finding, "an idle connection was checked out without a ping");
    else if (is_lent && !database->is_postgres)
        verify_skip(finding, "SQLite has no server that could end a connection");
    else if (is_lent)
        judge_replacement(&scene, session, finding);
    verify_scene_end(&scene);
}
