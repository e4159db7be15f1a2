/* SPDX-License-Identifier: MIT */
/* The SQLite driver: opening and closing, waiting for locks, deadlines, cleaning. */
#include "db/drivers/sqlite.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Steps of SQLite's machine between two looks at the clock: some tens of microseconds. */
#define STEPS_PER_LOOK 2000

const char weir__sqlite_begin_read[] = "BEGIN DEFERRED /* for reading */";

/* ---- callbacks from SQLite --------------------------------------------------------------- */

static int stop_at_deadline(void *arg)
{
    struct sqlite_conn *conn = arg;

    if (conn->deadline == WEIR_DEADLINE_NEVER || weir_now() < conn->deadline)
        return 0;
    conn->is_late = true;
    return 1;
}

/*
 * Sleep a little while another connection has the lock, or give up. SQLite has no queue for writers,
 * so short sleeps are what keeps them from waiting for longer than needed; they grow to 5 ms, and
 * the address of the connection varies them so that two do not march in step.
 */
static int wait_for_lock(void *arg, int count)
{
    struct sqlite_conn *conn = arg;
    weir_time now = weir_now();

    if (conn->busy_until == 0) {
        weir_time limit = now + conn->config->options.busy_timeout_ms * WEIR_MS;
        conn->busy_until = limit < conn->deadline ? limit : conn->deadline;
    }
    if (now >= conn->busy_until) {
        conn->has_waited = true;
        return 0;
    }

    weir_time longest = (count < 7 ? 50 * WEIR_US << count : 5 * WEIR_MS);
    weir_time nap = longest / 2 + (now ^ (weir_time)((uintptr_t)conn >> 4)) % (longest / 2 + 1);
    if (nap > conn->busy_until - now)
        nap = conn->busy_until - now;
    struct timespec t = {.tv_sec = nap / WEIR_SECOND, .tv_nsec = nap % WEIR_SECOND};
    nanosleep(&t, NULL);
    return 1;
}

/* PRAGMAs with a value that concern the database and not the session, or that only ask. */
static bool is_session_pragma(const char *name, const char *value)
{
    static const char *const harmless[] = {
        "application_id",     "data_version", "foreign_key_check", "foreign_key_list",
        "incremental_vacuum", "index_info",   "index_list",        "index_xinfo",
        "integrity_check",    "optimize",     "quick_check",       "table_info",
        "table_list",         "table_xinfo",  "user_version",      "wal_checkpoint",
    };

    if (value == NULL)
        return false;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (strcasecmp(name, harmless[i]) == 0)
            return false;
    return true;
}

/*
 * Asked while a statement is compiled, about everything it would do. Other files are out of reach:
 * ATTACH is refused in what holders write; while a statement runs, it is VACUUM's own, to a nameless
 * temporary file. And a statement that would change the session for its next holder is marked.
 */
static int authorize(void *arg, int action, const char *first, const char *second,
                     const char *database, const char *trigger)
{
    struct sqlite_conn *conn = arg;

    (void)trigger;
    if (!conn->is_preparing)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return SQLITE_DENY;
    case SQLITE_PRAGMA:
        conn->was_dirty_text |= is_session_pragma(first, second);
        return SQLITE_OK;
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
        conn->was_dirty_text = true;
        return SQLITE_OK;
    case SQLITE_CREATE_VTABLE:
        conn->was_dirty_text |= database != NULL && strcasecmp(database, "temp") == 0;
        return SQLITE_OK;
    default:
        return SQLITE_OK;
    }
}

/* ---- :memory: ---------------------------------------------------------------------------- */

/* A database in memory that several connections of this process share: it has a name, and lives as
 * long as one connection is open, which the anchor is. */
struct memory_database {
    char name[32];
    sqlite3 *anchor;
};

static bool is_memory(const struct db_config *config)
{
    return strcmp(config->url->database, ":memory:") == 0;
}

static int open_database(const struct db_config *config, sqlite3 **ret_db)
{
    const struct memory_database *memory = config->engine_state;
    const char *path = config->url->database;
    char plain[PATH_MAX + 3];
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

    if (memory != NULL)
        return sqlite3_open_v2(memory->name, ret_db, flags, "memdb");
    /* Builds of SQLite differ in whether they take this as a URI of their own: here it is a name. */
    if (strncmp(path, "file:", 5) == 0) {
        snprintf(plain, sizeof plain, "./%s", path);
        path = plain;
    }
    return sqlite3_open_v2(path, ret_db, flags, NULL);
}

static weir_status engine_open(struct db_config *config, weir_error *reterr)
{
    static _Atomic unsigned long counter;
    if (!is_memory(config))
        return WEIR_OK;

    struct memory_database *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open sqlite \":memory:\": no memory");
    snprintf(memory->name, sizeof memory->name, "/weir-%lu", atomic_fetch_add(&counter, 1));
    config->engine_state = memory;
    int code = open_database(config, &memory->anchor);
    if (code == SQLITE_OK)
        return WEIR_OK;

    sqlite3_close(memory->anchor);
    free(memory);
    config->engine_state = NULL;
    return weir_error_set(reterr, (code & 0xFF) == SQLITE_NOMEM ? WEIR_NO_MEMORY : WEIR_CONNECT,
                          "open sqlite \":memory:\": %s", sqlite3_errstr(code));
}

static void engine_close(struct db_config *config)
{
    struct memory_database *memory = config->engine_state;

    if (memory == NULL)
        return;
    sqlite3_close(memory->anchor);
    free(memory);
    config->engine_state = NULL;
}

/* ---- opening and closing ----------------------------------------------------------------- */

static int execute(struct sqlite_conn *conn, const char *sql)
{
    return sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

/* Whether the file is in WAL mode already, which most opens find. */
static int is_in_wal_mode(struct sqlite_conn *conn, bool *ret_is_wal)
{
    sqlite3_stmt *stmt;
    int code = sqlite3_prepare_v2(conn->db, "PRAGMA journal_mode", -1, &stmt, NULL);
    if (code != SQLITE_OK)
        return code;

    code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(stmt, 0);
        *ret_is_wal = mode != NULL && strcmp(mode, "wal") == 0;
    }
    int final = sqlite3_finalize(stmt);
    return code == SQLITE_ROW ? SQLITE_OK : final;
}

/* Several who open a new file at once all want to change its mode, and SQLite does not always ask
 * the busy handler there: so this waits by the same rule itself. A file that cannot be written is
 * opened as it is, for reading. */
static int enter_wal_mode(struct sqlite_conn *conn)
{
    bool is_wal = false;
    int code;
    int count = 0;

    do {
        code = is_in_wal_mode(conn, &is_wal);
        if (code == SQLITE_OK && !is_wal)
            code = execute(conn, "PRAGMA journal_mode=WAL");
    } while ((code & 0xFF) == SQLITE_BUSY && wait_for_lock(conn, count++));
    return (code & 0xFF) == SQLITE_READONLY ? SQLITE_OK : code;
}

static int set_up(struct sqlite_conn *conn)
{
    sqlite3 *db = conn->db;

    sqlite3_busy_handler(db, wait_for_lock, conn);
    sqlite3_progress_handler(db, STEPS_PER_LOOK, stop_at_deadline, conn);
    /* The schema's own tables cannot be written, its functions are not trusted, no extension is
     * loaded, and "x" is a name and never a string: a misspelt column is an error. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);

    int code = execute(conn, "PRAGMA foreign_keys=ON");
    if (code == SQLITE_OK && conn->config->engine_state == NULL)
        code = enter_wal_mode(conn);
    if (code == SQLITE_OK)
        code = sqlite3_set_authorizer(db, authorize, conn);
    return code;
}

static weir_status connect_sqlite(struct db_config *config, weir_time deadline, void **ret_conn,
                                  weir_error *reterr)
{
    struct sqlite_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect sqlite: no memory");

    conn->config = config;
    conn->path = config->url->database;
    weir__sqlite_start(conn, deadline);
    int code = open_database(config, &conn->db);
    if (code == SQLITE_OK)
        code = set_up(conn);
    if (code != SQLITE_OK) {
        weir_status status = weir__sqlite_open_error(conn, code, reterr);
        sqlite3_close(conn->db);
        free(conn);
        return status;
    }
    *ret_conn = conn;
    return WEIR_OK;
}

static void close_sqlite(void *arg)
{
    struct sqlite_conn *conn = arg;

    sqlite3_close_v2(conn->db);
    free(conn);
}

/* ---- between two holders ----------------------------------------------------------------- */

/* There is no other side to ask. What can happen is that the file was removed or replaced: writes
 * would go to where nobody finds them. */
static weir_status ping(void *arg, weir_time deadline, weir_error *reterr)
{
    struct sqlite_conn *conn = arg;
    int has_moved = 0;

    (void)deadline;
    if (conn->config->engine_state == NULL &&
        sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) == SQLITE_OK &&
        has_moved) {
        conn->is_lost = true;
        return weir_error_set(reterr, WEIR_DISCONNECTED,
                              "sqlite \"%s\": the file was removed or replaced", conn->path);
    }
    return WEIR_OK;
}

/*
 * End an open transaction. Temporary objects, PRAGMAs and the like cannot be undone one by one, so
 * such a connection is given up and the next holder gets a new one; with WEIR_RESET_NONE it is
 * left as it is.
 */
static weir_status reset(void *arg, weir_reset how, weir_time deadline, weir_error *reterr)
{
    struct sqlite_conn *conn = arg;
    if (how == WEIR_RESET_NONE)
        return WEIR_OK;

    if (!sqlite3_get_autocommit(conn->db)) {
        weir__sqlite_start(conn, deadline);
        int code = execute(conn, how == WEIR_RESET_COMMIT ? "COMMIT" : "ROLLBACK");
        if (code != SQLITE_OK && !sqlite3_get_autocommit(conn->db))
            code = execute(conn, "ROLLBACK");
        if (!sqlite3_get_autocommit(conn->db))
            return weir__sqlite_error(conn, code, reterr);
    }
    conn->is_reading = false;
    if (conn->is_dirty)
        return weir_error_set(
            reterr, WEIR_DISCONNECTED,
            "sqlite: the session was changed (temporary objects or PRAGMAs): closed "
            "so that the next holder sees none of it");
    return WEIR_OK;
}

static void settle(void *arg)
{
    struct sqlite_conn *conn = arg;

    conn->is_dirty = false;
}

static enum conn_state state(void *arg)
{
    struct sqlite_conn *conn = arg;

    if (conn->is_lost)
        return CONN_LOST;
    if (conn->is_doubtful)
        return CONN_DOUBTFUL;
    return sqlite3_get_autocommit(conn->db) ? CONN_IDLE : CONN_TRANSACTION;
}

static const char *begin_sql(weir_tx kind)
{
    return kind == WEIR_TX_READ ? weir__sqlite_begin_read : "BEGIN IMMEDIATE";
}

const struct db_driver weir__sqlite_driver = {
    .engine = "sqlite",
    .dialect = DIALECT_SQLITE,
    .engine_open = engine_open,
    .engine_close = engine_close,
    .connect = connect_sqlite,
    .close = close_sqlite,
    .settle = settle,
    .look = NULL,
    .ping = ping,
    .reset = reset,
    .query = weir__sqlite_query,
    .forget = weir__sqlite_forget,
    .script = weir__sqlite_script,
    .state = state,
    .begin_sql = begin_sql,
    .reflect = weir__sqlite_reflect,
};
