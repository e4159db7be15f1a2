/* SPDX-License-Identifier: MIT */
/* A database: its URL, its options, and a pool whose connections the driver opens. */
#include "db/conn.h"
#include "db/options.h"

#include <stdlib.h>
#include <string.h>

/* ---- the database's life ----------------------------------------------------------------- */

static const struct db_driver *driver_of(const char *engine)
{
#ifdef WEIR_WITH_SQLITE
    if (strcmp(engine, weir__sqlite_driver.engine) == 0)
        return &weir__sqlite_driver;
#endif
#ifdef WEIR_WITH_POSTGRES
    if (strcmp(engine, weir__postgres_driver.engine) == 0)
        return &weir__postgres_driver;
#endif
    (void)engine;
    return NULL;
}

static void free_db(weir_db *db)
{
    if (db == NULL)
        return;
    weir__db_listeners_clear(&db->listeners);
    weir_url_close(db->url);
    free(db->name);
    free(db->application_name);
    free(db);
}

static void unref(weir_db *db)
{
    if (atomic_fetch_sub_explicit(&db->references, 1, memory_order_acq_rel) != 1)
        return;
    if (db->driver->engine_close != NULL)
        db->driver->engine_close(&db->config);
    free_db(db);
}

/* ---- what the pool calls ----------------------------------------------------------------- */

/*
 * Whether the server, or the pooler before it, answers but takes no more connections: 53300 is
 * PostgreSQL's for max_connections and for the limits of a role or database, and Odyssey's and pgpool's
 * own. PgBouncer has the same code, 08P01, for whatever it does not like (1.18 to 1.26), so there the
 * text alone tells.
 */
static bool is_full(const weir_error *error)
{
    static const char *const texts[] = {"no more connections allowed",
                                        "client connections exceeded"};

    if (error == NULL || strcmp(error->sqlstate, "53300") == 0)
        return error != NULL;
    if (error->sqlstate[0] != '\0' && strcmp(error->sqlstate, "08P01") != 0)
        return false;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strstr(error->text, texts[i]) != NULL)
            return true;
    return false;
}

static weir_status connect_for_pool(void *arg, weir_time deadline, void **ret_connection,
                                    weir_error *reterr)
{
    weir_db *db = arg;
    weir_time limit = weir_now() + db->config.options.connect_timeout_ms * WEIR_MS;
    void *native = NULL;
    weir_conn *conn = NULL;

    weir_status status =
        db->driver->connect(&db->config, deadline < limit ? deadline : limit, &native, reterr);
    if (status == WEIR_CONNECT && is_full(reterr))
        return WEIR_FULL;
    if (status != WEIR_OK)
        return status;
    status = weir__conn_new(db, native, &conn, reterr);
    if (status != WEIR_OK) {
        db->driver->close(native);
        return status;
    }
    atomic_fetch_add_explicit(&db->references, 1, memory_order_relaxed);
    *ret_connection = conn;
    return WEIR_OK;
}

static void close_for_pool(void *arg, void *connection)
{
    weir__conn_close(connection);
    unref(arg);
}

static bool is_alive_for_pool(void *arg, void *connection)
{
    weir_conn *conn = connection;

    (void)arg;
    return conn->driver->is_alive(conn->native);
}

static weir_status ping_for_pool(void *arg, void *connection, weir_time deadline,
                                 weir_error *reterr)
{
    weir_conn *conn = connection;

    (void)arg;
    return conn->driver->ping(conn->native, deadline, reterr);
}

static weir_status reset_for_pool(void *arg, void *connection, weir_reset how, weir_time deadline,
                                  weir_error *reterr)
{
    weir_conn *conn = connection;

    (void)arg;
    if (how != WEIR_RESET_NONE)
        conn->depth = 0;
    conn->is_stopped = false;
    conn->is_spent = false;
    return conn->driver->reset(conn->native, how, deadline, reterr);
}

static weir_status open_pool(weir_db *db, weir_error *reterr)
{
    const weir_driver glue = {
        .connect = connect_for_pool,
        .close = close_for_pool,
        .is_alive = db->driver->is_alive == NULL ? NULL : is_alive_for_pool,
        .ping = ping_for_pool,
        .reset = reset_for_pool,
    };

    return weir_pool_open(&db->config.options.pool, &glue, db, &db->pool, reterr);
}

/* ---- opening and closing ----------------------------------------------------------------- */

/* The strings of the options become the database's own. */
static weir_status own_strings(weir_db *db, weir_error *reterr)
{
    weir_db_options *options = &db->config.options;

    if (options->pool.name != NULL) {
        db->name = strdup(options->pool.name);
        options->pool.name = db->name;
    }
    bool has_memory = options->pool.name != NULL;
    if (options->application_name != NULL) {
        db->application_name = strdup(options->application_name);
        options->application_name = db->application_name;
        has_memory = has_memory && db->application_name != NULL;
    }
    if (!has_memory)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open database: out of memory");
    return WEIR_OK;
}

static weir_status configure(weir_db *db, const char *url, weir_error *reterr)
{
    weir_status status = weir_url_parse(url, &db->url, reterr);
    if (status == WEIR_OK)
        status = weir__db_options_resolve(db->url, &db->config.options, reterr);
    if (status == WEIR_OK && db->config.options.pool.name == NULL)
        status = weir_error_set(reterr, WEIR_INVALID, "pool name: must not be NULL");
    if (status == WEIR_OK)
        status = own_strings(db, reterr);
    if (status != WEIR_OK)
        return status;

    db->config.url = db->url;
    db->driver = driver_of(db->url->engine);
    return WEIR_OK;
}

weir_status weir_db_open(const char *url, const weir_db_options *options, weir_db **ret_db,
                         weir_error *reterr)
{
    static const weir_db_options defaults = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open database: out of memory");

    db->config.options = options == NULL ? defaults : *options;
    atomic_init(&db->references, 1);
    weir_status status = configure(db, url, reterr);
    if (status != WEIR_OK)
        goto fail;
    if (db->driver->engine_open != NULL)
        status = db->driver->engine_open(&db->config, reterr);
    if (status != WEIR_OK)
        goto fail;

    status = open_pool(db, reterr);
    if (status != WEIR_OK) {
        unref(db);
        return status;
    }
    *ret_db = db;
    return WEIR_OK;

fail:
    free_db(db);
    return status;
}

weir_status weir_db_dispose(weir_db *db, weir_time deadline, weir_error *reterr)
{
    return weir_pool_dispose(db->pool, deadline, reterr);
}

void weir_db_close(weir_db *db)
{
    if (db == NULL)
        return;
    weir_pool_close(db->pool);
    unref(db);
}

weir_pool *weir_db_pool(weir_db *db)
{
    return db->pool;
}

const char *weir_db_engine(const weir_db *db)
{
    return db->driver->engine;
}

const char *weir_db_url(const weir_db *db)
{
    return db->url->redacted;
}

/* ---- use --------------------------------------------------------------------------------- */

weir_status weir_db_acquire_at(weir_db *db, weir_time deadline, weir_conn **ret_conn,
                               weir_error *reterr, const char *file, int line)
{
    weir_lease lease;
    weir_status status = weir_pool_acquire_at(db->pool, deadline, &lease, reterr, file, line);
    if (status != WEIR_OK)
        return status;

    weir_conn *conn = lease.connection;
    conn->lease = lease;
    conn->deadline = WEIR_DEADLINE_NEVER;
    if (!conn->has_baseline) {
        conn->driver->keep_baseline(conn->native);
        conn->has_baseline = true;
    }
    *ret_conn = conn;
    return WEIR_OK;
}

weir_status weir_db_query_at(weir_db *db, const char *sql, const weir_param *params,
                             size_t param_count, weir_result **ret_result, weir_error *reterr,
                             const char *file, int line)
{
    weir_conn *conn;
    weir_status status = weir_db_acquire_at(db, WEIR_DEADLINE_DEFAULT, &conn, reterr, file, line);
    if (status != WEIR_OK)
        return status;

    status = weir_conn_query(conn, sql, params, param_count, ret_result, reterr);
    weir_conn_release(conn);
    return status;
}

weir_status weir_db_reflect(weir_db *db, weir_schema **ret_schema, weir_error *reterr)
{
    weir_conn *conn;
    weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, reterr);
    if (status != WEIR_OK)
        return status;

    status = weir_conn_reflect(conn, ret_schema, reterr);
    weir_conn_release(conn);
    return status;
}
