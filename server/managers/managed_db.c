/* SPDX-License-Identifier: MIT */
/* The one implementation behind both database managers. */
#include "managed_db.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "db_trouble.h"
#include "loans.h"
#include "log/log.h"
#include "trace/tracing.h"

/*
 * An engine and those who hold it: the manager while it is initialized, and whoever is between
 * get_engine and put_engine. The last one out closes it, so nobody ever meets a closed weir_db.
 */
struct db_handle {
    weir_db *db;
    struct pool_history *history;
    struct loans *loans;
    bool echo;
    bool is_followed_closely; /* by the log; only the thread that opens and reloads */

    /* The last failure of a write for want of space or of the right to write. `stops_writes` spares those
     * who succeed the lock. */
    atomic_bool stops_writes;
    struct weir__mutex trouble_lock;
    weir_error trouble_locked;
    weir_time trouble_until_locked;

    /* Counts up under the manager's lock, down anywhere; acquire-release, so that the closer sees
     * everything the others did. */
    _Atomic unsigned holders;
};

/* Whoever wants to know what happens in it. */
static weir_status follow(struct db_handle *handle, bool shows_loans, weir_error *reterr)
{
    weir_pool *pool = weir_db_pool(handle->db);
    weir_pool_stats stats;

    weir_status status = log_follow_db(handle->db, reterr);
    if (status == WEIR_OK)
        status = tracing_follow_db(handle->db, reterr);
    if (status == WEIR_OK)
        status = pool_history_open(pool, shows_loans, &handle->history, reterr);
    if (status != WEIR_OK)
        return status;
    weir_pool_get_stats(pool, &stats);
    handle->loans = loans_open(stats.slots);
    if (handle->loans == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "holders of connections: out of memory");
    return WEIR_OK;
}

/* No request may take half as long. leak_report_after_ms in the URL's query sets another. */
#define LEAK_REPORT_AFTER_MS 60000

static weir_status open_handle(const struct managed_db *manager, const char *url,
                               const struct managed_db_options *options,
                               struct db_handle **ret_handle, weir_error *reterr)
{
    weir_db_options db_options = WEIR_DB_OPTIONS_DEFAULT;
    struct db_handle *handle = calloc(1, sizeof *handle);

    if (handle == NULL) {
        weir_error_set(reterr, WEIR_NO_MEMORY, "initialize %s: out of memory", manager->name);
        return WEIR_NO_MEMORY;
    }
    db_options.pool.name = manager->pool_name;
    db_options.pool.pool_size = options->pool_size;
    db_options.pool.max_overflow = options->max_overflow;
    db_options.pool.pool_timeout_ms = options->pool_timeout_ms;
    db_options.pool.pool_recycle_s = options->pool_recycle_s;
    db_options.pool.pool_pre_ping = options->pool_pre_ping;
    db_options.pool.leak_report_after_ms = LEAK_REPORT_AFTER_MS;
    handle->echo = options->echo;
    handle->is_followed_closely = log_is_on(LOG_LEVEL_DEBUG);
    atomic_init(&handle->holders, 1);
    weir__mutex_init(&handle->trouble_lock);

    weir_status status = weir_db_open(url, &db_options, &handle->db, reterr);
    if (status == WEIR_OK) {
        status = follow(handle, options->shows_loans, reterr);
        if (status != WEIR_OK) {
            weir_db_close(handle->db);
            pool_history_close(handle->history);
        }
    }
    if (status != WEIR_OK) {
        weir__mutex_clear(&handle->trouble_lock);
        free(handle);
        return status;
    }
    *ret_handle = handle;
    return WEIR_OK;
}

static void log_opened(const struct managed_db *manager, const struct db_handle *handle,
                       const char *how)
{
    const weir_pool_options *options = weir_pool_get_options(weir_db_pool(handle->db));

    log_write(LOG_LEVEL_INFO,
              "%s %s: %s, pool_size %d, max_overflow %d, pool_timeout %d ms, pool_recycle "
              "%d s, pool_pre_ping %s",
              manager->name, how, weir_db_url(handle->db), options->pool_size,
              options->max_overflow, options->pool_timeout_ms, options->pool_recycle_s,
              options->pool_pre_ping ? "on" : "off");
}

static weir_status already(const struct managed_db *manager, weir_error *reterr)
{
    log_write(LOG_LEVEL_WARNING, "%s already initialized, skipping", manager->name);
    return weir_error_set(reterr, WEIR_ALREADY, "%s already initialized, skipping", manager->name);
}

weir_status managed_db_initialize(struct managed_db *manager, const char *url,
                                  const struct managed_db_options *options, weir_error *reterr)
{
    struct db_handle *handle = NULL;

    if (managed_db_is_initialized(manager))
        return already(manager, reterr);
    if (url == NULL || url[0] == '\0')
        return weir_error_set(reterr, WEIR_INVALID, "Connection string is required");
    weir_status status =
        open_handle(manager, url, options != NULL ? options : &manager->defaults, &handle, reterr);
    if (status != WEIR_OK)
        return status;

    /* Opened outside the lock; if another thread was quicker, its engine stays. */
    weir__lock(&manager->lock);
    bool is_first = manager->handle_locked == NULL;
    if (is_first)
        manager->handle_locked = handle;
    weir__unlock(&manager->lock);
    if (!is_first) {
        managed_db_put_engine(handle);
        return already(manager, reterr);
    }
    log_opened(manager, handle, "initialized");
    return WEIR_OK;
}

static bool is_in_memory(const struct db_handle *handle)
{
    return strncmp(weir_db_url(handle->db), "sqlite:///:memory:", 18) == 0;
}

weir_status managed_db_prepare(struct managed_db *manager, const char *url,
                               const struct managed_db_options *options,
                               struct db_handle **ret_next, weir_error *reterr)
{
    struct db_handle *former;

    weir_status status = managed_db_get_engine(manager, &former, reterr);
    if (status != WEIR_OK)
        return status;
    if (is_in_memory(former))
        status = weir_error_set(reterr, WEIR_UNSUPPORTED,
                                "%s: an in-memory database cannot be reopened", manager->name);
    else
        status = open_handle(manager, url, options, ret_next, reterr);
    managed_db_put_engine(former);
    return status;
}

weir_status managed_db_take(struct managed_db *manager, struct db_handle *next, weir_error *reterr)
{
    weir__lock(&manager->lock);
    struct db_handle *former = manager->handle_locked;
    if (former != NULL)
        manager->handle_locked = next;
    weir__unlock(&manager->lock);
    if (former == NULL) {
        managed_db_put_engine(next);
        return weir_error_set(reterr, WEIR_CLOSED, "%s was disposed in the meantime",
                              manager->name);
    }
    log_opened(manager, next, "reopened");
    weir_pool_trim(weir_db_pool(former->db), 0);
    managed_db_put_engine(former); /* the manager's own hold */
    return WEIR_OK;
}

weir_status managed_db_follow_closely(struct managed_db *manager, weir_error *reterr)
{
    struct db_handle *handle;

    weir_status status = managed_db_get_engine(manager, &handle, reterr);
    if (status != WEIR_OK)
        return status;
    if (!handle->is_followed_closely)
        status = log_follow_db_closely(handle->db, reterr);
    handle->is_followed_closely |= status == WEIR_OK;
    managed_db_put_engine(handle);
    return status;
}

bool managed_db_is_initialized(struct managed_db *manager)
{
    weir__lock(&manager->lock);
    bool is_initialized = manager->handle_locked != NULL;
    weir__unlock(&manager->lock);
    return is_initialized;
}

weir_status managed_db_get_engine(struct managed_db *manager, struct db_handle **ret_handle,
                                  weir_error *reterr)
{
    weir__lock(&manager->lock);
    struct db_handle *handle = manager->handle_locked;
    if (handle != NULL)
        atomic_fetch_add_explicit(&handle->holders, 1, memory_order_relaxed);
    weir__unlock(&manager->lock);
    if (handle == NULL) {
        weir_error_set(reterr, WEIR_NOT_READY, "%s not initialized. Call initialize() first.",
                       manager->name);
        return WEIR_NOT_READY;
    }
    *ret_handle = handle;
    return WEIR_OK;
}

void managed_db_put_engine(struct db_handle *handle)
{
    if (atomic_fetch_sub_explicit(&handle->holders, 1, memory_order_acq_rel) != 1)
        return;
    weir_db_close(handle->db);
    pool_history_close(handle->history);
    loans_close(handle->loans);
    weir__mutex_clear(&handle->trouble_lock);
    free(handle);
}

weir_db *db_handle_db(const struct db_handle *handle)
{
    return handle->db;
}

struct pool_history *db_handle_history(const struct db_handle *handle)
{
    return handle->history;
}

struct loans *db_handle_loans(const struct db_handle *handle)
{
    return handle->loans;
}

/* The earlier of the caller's deadline and the pool's own timeout counted from now. */
static weir_time bounded(weir_db *db, weir_time deadline)
{
    weir_time own = weir_deadline_in(weir_pool_get_options(weir_db_pool(db))->pool_timeout_ms);

    if (deadline == WEIR_DEADLINE_DEFAULT || deadline == WEIR_DEADLINE_NOW)
        return deadline;
    return own < deadline ? own : deadline;
}

static uint64_t connection_of(const struct db_session *session)
{
    return weir_lease_connection_id(weir_conn_lease(session->conn));
}

weir_status managed_db_get_session_at(struct managed_db *manager, weir_time deadline,
                                      struct db_session *ret_session, weir_error *reterr,
                                      const char *file, int line)
{
    struct db_session session;

    weir_status status = managed_db_get_engine(manager, &session.handle, reterr);
    if (status != WEIR_OK)
        return status;
    weir_db *db = session.handle->db;
    status = weir_db_acquire_at(db, bounded(db, deadline), &session.conn, reterr, file, line);
    if (status != WEIR_OK) {
        managed_db_put_engine(session.handle);
        return status;
    }
    if (deadline != WEIR_DEADLINE_DEFAULT && deadline != WEIR_DEADLINE_NOW)
        weir_conn_set_deadline(session.conn, deadline);
    loans_begin(session.handle->loans, connection_of(&session));
    *ret_session = session;
    return WEIR_OK;
}

void db_session_end(struct db_session *session)
{
    loans_end(session->handle->loans, connection_of(session));
    weir_conn_release(session->conn);
    managed_db_put_engine(session->handle);
    *session = (struct db_session){0};
}

/* ---- Writes that fail though reads go on -------------------------------------------------- */

/* How long such a failure counts. Nobody writes only to find out, so after that the next write tells. */
#define TROUBLE_COUNTS_FOR (10 * WEIR_SECOND)

static void note_failure(struct db_handle *handle, const weir_error *error)
{
    if (!db_trouble_stops_writes(error))
        return;
    weir__lock(&handle->trouble_lock);
    handle->trouble_locked = *error;
    handle->trouble_until_locked = weir_now() + TROUBLE_COUNTS_FOR;
    weir__unlock(&handle->trouble_lock);
    atomic_store_explicit(&handle->stops_writes, true, memory_order_release);
}

static void note_write(struct db_handle *handle)
{
    if (atomic_load_explicit(&handle->stops_writes, memory_order_relaxed))
        atomic_store_explicit(&handle->stops_writes, false, memory_order_release);
}

static weir_status check_writes(struct db_handle *handle, weir_error *reterr)
{
    weir_status status = WEIR_OK;

    if (!atomic_load_explicit(&handle->stops_writes, memory_order_acquire))
        return WEIR_OK;
    weir__lock(&handle->trouble_lock);
    if (weir_now() < handle->trouble_until_locked) {
        status = handle->trouble_locked.status;
        if (reterr != NULL)
            *reterr = handle->trouble_locked;
    }
    weir__unlock(&handle->trouble_lock);
    return status;
}

/* ---- Sessions ------------------------------------------------------------------------------ */

weir_status db_session_query(struct db_session *session, const char *sql, const weir_param *params,
                             size_t param_count, weir_result **ret_result, weir_error *reterr)
{
    if (session->handle->echo)
        log_write(LOG_LEVEL_INFO, "pool \"%s\": %s",
                  weir_pool_name(weir_db_pool(session->handle->db)), sql);
    loans_set_statement(session->handle->loans, connection_of(session), sql);

    weir_error error;
    weir_status status =
        weir_conn_query(session->conn, sql, params, param_count, ret_result, &error);
    if (status != WEIR_OK) {
        note_failure(session->handle, &error);
        if (reterr != NULL)
            *reterr = error;
    } else if (ret_result != NULL && weir_result_changed(*ret_result) > 0) {
        note_write(session->handle);
    }
    return status;
}

weir_status db_session_commit(struct db_session *session, weir_error *reterr)
{
    weir_error error;
    weir_status status = weir_conn_commit(session->conn, &error);

    if (status == WEIR_OK)
        return WEIR_OK;
    note_failure(session->handle, &error);
    if (reterr != NULL)
        *reterr = error;
    return status;
}

bool db_session_is_sqlite(const struct db_session *session)
{
    return strcmp(weir_db_engine(session->handle->db), "sqlite") == 0;
}

/* Ask anything, or with asks_mode whether the server only reads. */
static weir_status ask(struct managed_db *manager, bool asks_mode, weir_time deadline,
                       weir_error *reterr)
{
    static const struct db_retry no_retry = DB_RETRY_NONE;
    const char *sql =
        asks_mode ? "SELECT pg_catalog.current_setting('transaction_read_only')" : "SELECT 1";
    weir_result *result = NULL;

    weir_status status =
        managed_db_query(manager, &no_retry, true, sql, NULL, 0, deadline, &result, reterr);
    if (status != WEIR_OK)
        return status;
    const char *mode = weir_result_value(result, 0, 0).text;
    if (asks_mode && mode != NULL && strcmp(mode, "on") == 0) {
        status = weir_error_set(reterr, WEIR_QUERY, "%s: the server is read-only", manager->name);
        if (reterr != NULL)
            memcpy(reterr->sqlstate, "25006", sizeof reterr->sqlstate);
    }
    weir_result_close(result);
    return status;
}

weir_status managed_db_check(struct managed_db *manager, bool needs_writes, weir_time deadline,
                             weir_error *reterr)
{
    struct db_handle *handle;
    weir_pool_stats stats;

    weir_status status = managed_db_get_engine(manager, &handle, reterr);
    if (status != WEIR_OK)
        return status;
    bool is_sqlite = strcmp(weir_db_engine(handle->db), "sqlite") == 0;
    status = ask(manager, needs_writes && !is_sqlite, deadline, reterr);
    if (status == WEIR_TIMEOUT || status == WEIR_FULL) {
        weir_pool_get_stats(weir_db_pool(handle->db), &stats);
        if (stats.leased >= stats.slots && stats.connections >= stats.slots)
            status = WEIR_OK;
    }
    if (status == WEIR_OK && needs_writes)
        status = check_writes(handle, reterr);
    managed_db_put_engine(handle);
    return status;
}

void managed_db_maintain(struct managed_db *manager)
{
    struct db_handle *handle;

    if (managed_db_get_engine(manager, &handle, NULL) != WEIR_OK)
        return;
    weir_pool_maintain(weir_db_pool(handle->db));
    managed_db_put_engine(handle);
}

weir_status managed_db_dispose(struct managed_db *manager, weir_time deadline, weir_error *reterr)
{
    weir__lock(&manager->lock);
    struct db_handle *handle = manager->handle_locked;
    manager->handle_locked = NULL;
    weir__unlock(&manager->lock);
    if (handle == NULL)
        return WEIR_OK;

    weir_status status = weir_db_dispose(handle->db, deadline, reterr);
    log_write(LOG_LEVEL_INFO, "%s disposed", manager->name);
    managed_db_put_engine(handle);
    return status;
}
