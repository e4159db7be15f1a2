/* SPDX-License-Identifier: MIT */
/* Opening and closing SQLite's databases: files, what can only be read, and memory. */
#include "common/hex.h"
#include "db/drivers/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Steps of SQLite's machine between two looks at the clock: some tens of microseconds. */
#define STEPS_PER_LOOK 2000

/* ---- options of the URL ------------------------------------------------------------------ */

static weir_status refuse_option(weir_error *reterr, const char *text)
{
    return weir_error_set(reterr, WEIR_INVALID, "database URL: %s", text);
}

static weir_status set_mode(struct sqlite_engine *engine, const char *value, weir_error *reterr)
{
    static const char *const modes[] = {
        [SQLITE_MODE_CREATE] = "rwc", [SQLITE_MODE_WRITE] = "rw", [SQLITE_MODE_READ] = "ro"};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(value, modes[i]) == 0) {
            engine->mode = (enum sqlite_mode)i;
            return WEIR_OK;
        }
    return refuse_option(reterr, "mode must be ro, rw or rwc");
}

static weir_status set_immutable(struct sqlite_engine *engine, const char *value,
                                 weir_error *reterr)
{
    static const char *const words[2][4] = {{"0", "false", "no", "off"},
                                            {"1", "true", "yes", "on"}};

    for (int is_on = 0; is_on < 2; is_on++)
        for (int i = 0; i < 4; i++)
            if (strcasecmp(value, words[is_on][i]) == 0) {
                engine->is_immutable = is_on;
                return WEIR_OK;
            }
    return refuse_option(reterr, "immutable must be true or false");
}

static weir_status read_options(struct sqlite_engine *engine, const struct weir_url *url,
                                weir_error *reterr)
{
    for (size_t i = 0; i < url->option_count; i++) {
        const struct url_option *option = &url->options[i];
        weir_status status = WEIR_OK;
        if (option->is_taken)
            continue;
        if (strcmp(option->name, "mode") == 0)
            status = set_mode(engine, option->value, reterr);
        else if (strcmp(option->name, "immutable") == 0)
            status = set_immutable(engine, option->value, reterr);
        else
            status = weir_error_set(reterr, WEIR_INVALID, "database URL: unknown option %.64s",
                                    option->name);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---- what the connections of a weir_db share --------------------------------------------- */

static int open_memory(const struct sqlite_engine *engine, sqlite3 **ret_db)
{
    return sqlite3_open_v2(engine->name, ret_db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                               SQLITE_OPEN_EXRESCODE,
                           "memdb");
}

static weir_status start_memory(struct sqlite_engine *engine, weir_error *reterr)
{
    static _Atomic unsigned long counter;

    if (engine->mode != SQLITE_MODE_CREATE || engine->is_immutable)
        return refuse_option(reterr, "mode and immutable are for files, not for :memory:");
    weir_status status = weir__sqlite_writers_open(&engine->writers, reterr);
    if (status != WEIR_OK)
        return status;
    snprintf(engine->name, sizeof engine->name, "/weir-%lu", atomic_fetch_add(&counter, 1));
    int code = open_memory(engine, &engine->anchor);
    if (code == SQLITE_OK)
        return WEIR_OK;
    return weir_error_set(reterr, (code & 0xFF) == SQLITE_NOMEM ? WEIR_NO_MEMORY : WEIR_CONNECT,
                          "open sqlite \":memory:\": %s", sqlite3_errstr(code));
}

static weir_status find_path(struct sqlite_engine *engine, const char *path, weir_error *reterr)
{
    char directory[PATH_MAX] = "";

    if (path[0] != '/' && getcwd(directory, sizeof directory) == NULL)
        return weir_error_set(reterr, WEIR_CONNECT,
                              "open sqlite \"%s\": cannot determine the working directory: %s",
                              path, strerror(errno));
    size_t size = strlen(directory) + strlen(path) + 2;
    engine->path = malloc(size);
    if (engine->path == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open sqlite \"%s\": out of memory", path);
    snprintf(engine->path, size, "%s%s%s", directory, path[0] == '/' ? "" : "/", path);
    return WEIR_OK;
}

static void free_engine(struct sqlite_engine *engine)
{
    sqlite3_close(engine->anchor);
    weir_pool_close(engine->writers);
    free(engine->path);
    free(engine);
}

weir_status weir__sqlite_engine_open(struct db_config *config, weir_error *reterr)
{
    const char *path = config->url->database;
    struct sqlite_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open sqlite \"%s\": out of memory", path);

    weir_status status = read_options(engine, config->url, reterr);
    if (status == WEIR_OK)
        status = strcmp(path, ":memory:") == 0 ? start_memory(engine, reterr)
                                               : find_path(engine, path, reterr);
    if (status != WEIR_OK) {
        free_engine(engine);
        return status;
    }
    config->engine_state = engine;
    return WEIR_OK;
}

void weir__sqlite_engine_close(struct db_config *config)
{
    free_engine(config->engine_state);
    config->engine_state = NULL;
}

/* ---- opening one ------------------------------------------------------------------------- */

/* A path as SQLite's URIs write it. */
static char *immutable_uri(const char *path)
{
    static const char query[] = "?immutable=1";
    char *uri = malloc(strlen("file:") + 3 * strlen(path) + sizeof query);
    if (uri == NULL)
        return NULL;

    char *to = stpcpy(uri, "file:");
    for (; *path != '\0'; path++) {
        if (strchr("%?#", *path) != NULL)
            to = percent_write(to, *path);
        else
            *to++ = *path;
    }
    memcpy(to, query, sizeof query);
    return uri;
}

static int open_immutable(const char *path, sqlite3 **ret_db)
{
    char *uri = immutable_uri(path);
    if (uri == NULL)
        return SQLITE_NOMEM;

    int code = sqlite3_open_v2(
        uri, ret_db,
        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    free(uri);
    return code;
}

/* Some builds of SQLite take any path that begins with "file:" as a URI: ours begins with a slash. */
static int open_file(const struct sqlite_engine *engine, sqlite3 **ret_db)
{
    static const int flags[] = {
        [SQLITE_MODE_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
        [SQLITE_MODE_WRITE] = SQLITE_OPEN_READWRITE,
        [SQLITE_MODE_READ] = SQLITE_OPEN_READONLY,
    };

    return sqlite3_open_v2(engine->path, ret_db,
                           flags[engine->mode] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
}

static int execute(struct sqlite_conn *conn, const char *sql)
{
    return sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

/* Whether the file is in WAL mode already, which most opens find. The first that reads it. */
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
 * the busy handler there: so this waits by the same rule itself. A file that cannot be written stays in
 * the mode it is in. */
static int enter_wal_mode(struct sqlite_conn *conn)
{
    bool is_wal = false;
    int code;
    int count = 0;

    do {
        code = is_in_wal_mode(conn, &is_wal);
        if (code != SQLITE_OK || is_wal || sqlite3_db_readonly(conn->db, "main"))
            continue;
        code = execute(conn, "PRAGMA journal_mode=WAL");
        code = (code & 0xFF) == SQLITE_READONLY ? SQLITE_OK : code;
    } while ((code & 0xFF) == SQLITE_BUSY && weir__sqlite_wait_for_lock(conn, count++));
    /* The -wal and -shm of a file that has just changed its mode are made when it is next read. */
    return code == SQLITE_OK ? execute(conn, "PRAGMA schema_version") : code;
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

/* SQLite refuses most of these within a transaction; foreign_keys it ignores there without a word
 * (sqlite.org/pragma.html#pragma_foreign_keys). */
static bool is_outside_pragma(const char *name, const char *value)
{
    static const char *const outside[] = {"foreign_keys", "journal_mode", "synchronous",
                                          "temp_store"};

    if (strcasecmp(name, "wal_checkpoint") == 0)
        return true;
    for (size_t i = 0; value != NULL && i < sizeof outside / sizeof outside[0]; i++)
        if (strcasecmp(name, outside[i]) == 0)
            return true;
    return false;
}

static void note_pragma(struct sqlite_conn *conn, const char *name, const char *value)
{
    conn->was_dirty_text |= is_session_pragma(name, value);
    conn->was_asking |= value == NULL && strcasecmp(name, "journal_mode") == 0;
    conn->was_outsider |= is_outside_pragma(name, value);
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
        note_pragma(conn, first, second);
        return SQLITE_OK;
    case SQLITE_TRANSACTION:
        conn->was_begin = strcmp(first, "BEGIN") == 0;
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

static int set_up(struct sqlite_conn *conn)
{
    sqlite3 *db = conn->db;

    sqlite3_busy_handler(db, weir__sqlite_wait_for_lock, conn);
    sqlite3_progress_handler(db, STEPS_PER_LOOK, weir__sqlite_stop_at_deadline, conn);
    /* The schema's own tables cannot be written, its functions are not trusted, no extension is
     * loaded, and "x" is a name and never a string: a misspelt column is an error. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);

    int code = execute(conn, "PRAGMA foreign_keys=ON");
    if (code == SQLITE_OK && conn->file != NULL)
        code = enter_wal_mode(conn);
    if (code == SQLITE_OK)
        code = sqlite3_set_authorizer(db, authorize, conn);
    return code;
}

/* ---- a connection ------------------------------------------------------------------------ */

static void disconnect(struct sqlite_conn *conn)
{
    if (conn->db != NULL)
        weir__sqlite_watch_remove(&conn->watch);
    sqlite3_close_v2(conn->db);
    conn->db = NULL;
    if (conn->turn.pool != NULL)
        (void)weir_pool_release(&conn->turn);
    weir__sqlite_file_leave(conn->file);
    conn->file = NULL;
}

void weir__sqlite_close(void *arg)
{
    disconnect(arg);
    free(arg);
}

/* Open what lies at the path, and set it up. SQLite reads nothing of a file before set_up(), so that
 * what must not be read with the -wal beside it is recognised in time; the second check is for a file
 * that was replaced between the first and the opening. */
static weir_status open_and_set_up(struct sqlite_conn *conn, bool is_immutable, weir_error *reterr)
{
    const struct sqlite_engine *engine = conn->engine;
    weir_status status = WEIR_OK;
    int code;

    if (engine->path == NULL)
        code = open_memory(engine, &conn->db);
    else if ((status = weir__sqlite_file_check(engine->path, conn->path, reterr)) != WEIR_OK)
        return status;
    else
        code =
            is_immutable ? open_immutable(engine->path, &conn->db) : open_file(engine, &conn->db);
    if (conn->db != NULL)
        weir__sqlite_watch_add(&conn->watch, conn->db);
    if (code != SQLITE_OK)
        return weir__sqlite_open_error(conn, code, reterr);

    if (engine->path != NULL) {
        status = weir__sqlite_file_join(engine->path, conn->path, &conn->file, reterr);
        if (status == WEIR_OK)
            status = weir__sqlite_file_check(engine->path, conn->path, reterr);
        if (status != WEIR_OK)
            return status;
    }
    code = set_up(conn);
    return code == SQLITE_OK ? WEIR_OK : weir__sqlite_open_error(conn, code, reterr);
}

/* Whether nobody could make the -wal and -shm that SQLite wants beside a file in WAL mode. */
static bool is_unwritable(const char *path)
{
    char directory[PATH_MAX];
    char real[PATH_MAX];

    snprintf(directory, sizeof directory, "%s", realpath(path, real) != NULL ? real : path);
    char *slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    return faccessat(AT_FDCWD, directory, W_OK, AT_EACCESS) != 0;
}

/*
 * A file in WAL mode, where nothing can be written beside it: SQLite cannot open it with its locks. As
 * long as there is no -wal, all is in the file, and it can be read without them; `is_still` then has
 * each statement make sure that the file is as it was.
 */
static weir_status open_still(struct sqlite_conn *conn, weir_error *reterr)
{
    disconnect(conn);
    weir_status status = open_and_set_up(conn, true, reterr);
    if (status != WEIR_OK || weir__sqlite_note_still(conn))
        return status;
    return weir_error_set(reterr, WEIR_CONNECT,
                          "connect sqlite \"%s\": nothing can be written beside it, and its -wal "
                          "holds changes that are not in the file yet: open it once where it can "
                          "be written, or put immutable=1 in the URL to read it without them",
                          conn->path);
}

/* What SQLite answers to a first read that wants a -wal or -shm. */
static bool wants_sides(const struct sqlite_conn *conn, const weir_error *refusal)
{
    int primary = refusal->native & 0xFF;

    return conn->file != NULL && sqlite3_db_readonly(conn->db, "main") == 1 &&
           (primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY);
}

static weir_status open_somehow(struct sqlite_conn *conn, weir_error *reterr)
{
    weir_error refusal = {0};
    bool is_immutable = conn->engine->is_immutable;
    weir_status status = open_and_set_up(conn, is_immutable, &refusal);

    if (status == WEIR_CONNECT && !is_immutable && wants_sides(conn, &refusal) &&
        is_unwritable(conn->engine->path))
        return open_still(conn, reterr);
    if (status != WEIR_OK && reterr != NULL)
        *reterr = refusal;
    return status;
}

weir_status weir__sqlite_connect(struct db_config *config, weir_time deadline, void **ret_conn,
                                 weir_error *reterr)
{
    struct sqlite_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect sqlite: out of memory");

    conn->config = config;
    conn->engine = config->engine_state;
    conn->path = config->url->database;
    conn->deadline = deadline;
    weir_status status = open_somehow(conn, reterr);
    if (status != WEIR_OK) {
        weir__sqlite_close(conn);
        return status;
    }
    if (conn->file != NULL)
        weir__sqlite_file_note_sides(conn->file);
    if (!sqlite3_db_readonly(conn->db, "main"))
        conn->writers =
            conn->file != NULL ? weir__sqlite_file_writers(conn->file) : conn->engine->writers;
    *ret_conn = conn;
    return WEIR_OK;
}
