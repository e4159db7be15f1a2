/* SPDX-License-Identifier: MIT */
/* SQLite's result codes as statuses and SQLSTATEs. */
#include "db/drivers/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Codes with one meaning. The extended code is looked up first, then its primary one. */
static const struct {
    int code;
    weir_status status;
    const char *sqlstate;
} meanings[] = {
    {SQLITE_BUSY_SNAPSHOT, WEIR_RETRY, "40001"},
    {SQLITE_CONSTRAINT_UNIQUE, WEIR_QUERY, "23505"},
    {SQLITE_CONSTRAINT_PRIMARYKEY, WEIR_QUERY, "23505"},
    {SQLITE_CONSTRAINT_ROWID, WEIR_QUERY, "23505"},
    {SQLITE_CONSTRAINT_FOREIGNKEY, WEIR_QUERY, "23503"},
    {SQLITE_CONSTRAINT_NOTNULL, WEIR_QUERY, "23502"},
    {SQLITE_CONSTRAINT_CHECK, WEIR_QUERY, "23514"},
    {SQLITE_CONSTRAINT_DATATYPE, WEIR_QUERY, "42804"},
    {SQLITE_CONSTRAINT_TRIGGER, WEIR_QUERY, "P0001"},
    {SQLITE_CONSTRAINT, WEIR_QUERY, "23000"},
    {SQLITE_READONLY_DBMOVED, WEIR_DISCONNECTED, "08006"},
    {SQLITE_READONLY, WEIR_QUERY, "25006"},
    {SQLITE_MISMATCH, WEIR_QUERY, "42804"},
    {SQLITE_TOOBIG, WEIR_QUERY, "54000"},
    {SQLITE_FULL, WEIR_QUERY, "53100"},
    {SQLITE_IOERR_NOMEM, WEIR_NO_MEMORY, "53200"},
    {SQLITE_IOERR, WEIR_QUERY, "58030"},
    {SQLITE_CANTOPEN, WEIR_QUERY, "58030"},
    {SQLITE_CORRUPT, WEIR_QUERY, "XX001"},
    {SQLITE_NOTADB, WEIR_QUERY, "XX001"},
    {SQLITE_AUTH, WEIR_QUERY, "42501"},
    {SQLITE_ABORT, WEIR_QUERY, "40000"},
    {SQLITE_NOMEM, WEIR_NO_MEMORY, "53200"},
};

/* SQLITE_ERROR says what it means only in its text. */
static const struct {
    const char *part;
    const char *sqlstate;
} phrases[] = {
    {"no such table", "42P01"},
    {"no such view", "42P01"},
    {"no such column", "42703"},
    {"has no column named", "42703"},
    {"ambiguous column", "42702"},
    {"no such function", "42883"},
    {"wrong number of arguments to function", "42883"},
    {"syntax error", "42601"},
    {"unrecognized token", "42601"},
    {"incomplete input", "42601"},
    {"already exists", "42P07"},
    {"within a transaction", "25001"},
    {"no transaction is active", "25P01"},
    {"no such savepoint", "3B001"},
    {"malformed JSON", "22P02"},
    {"not authorized", "42501"},
};

static void set_codes(weir_error *reterr, int native, const char *sqlstate)
{
    if (reterr == NULL)
        return;
    reterr->native = native;
    memcpy(reterr->sqlstate, sqlstate, sizeof reterr->sqlstate);
}

weir_status weir__sqlite_refuse(weir_error *reterr, const char *sqlstate, const char *text)
{
    weir_error_set(reterr, WEIR_QUERY, "sqlite: %s", text);
    set_codes(reterr, 0, sqlstate);
    return WEIR_QUERY;
}

static const char *sqlstate_of_text(const char *text)
{
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (strstr(text, phrases[i].part) != NULL)
            return phrases[i].sqlstate;
    return "HY000";
}

static weir_status meaning_of(int code, const char *text, const char **ret_sqlstate)
{
    const int codes[] = {code, code & 0xFF};

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof meanings / sizeof meanings[0]; k++)
            if (meanings[k].code == codes[i]) {
                *ret_sqlstate = meanings[k].sqlstate;
                return meanings[k].status;
            }
    *ret_sqlstate = sqlstate_of_text(text);
    return WEIR_QUERY;
}

/* Another's lock. It was waited for until a limit; or it was not waited for at all, because that could
 * never help: a reader that wants to write after another has. */
weir_status weir__sqlite_lock_error(struct sqlite_conn *conn, int code, const char *holder,
                                    weir_error *reterr)
{
    weir_status status = conn->has_waited ? WEIR_TIMEOUT : WEIR_RETRY;

    if (conn->has_waited && weir_now() >= conn->deadline)
        weir_error_set(reterr, status, "sqlite: the deadline passed waiting for another writer%s",
                       holder);
    else if (conn->has_waited)
        weir_error_set(
            reterr, status,
            "sqlite: another writer held the database for longer than busy_timeout_ms (%d)%s",
            conn->config->options.busy_timeout_ms, holder);
    else
        weir_error_set(reterr, status,
                       "sqlite: another connection wrote in the meantime, or is writing: roll back "
                       "and retry the transaction");
    set_codes(reterr, code, conn->has_waited ? "55P03" : "40001");
    return status;
}

const char *weir__sqlite_system_text(int number)
{
    switch (number) {
    case EMFILE:
        return "this process has too many files open (ulimit -n)";
    case ENFILE:
        return "the system has too many files open";
    default:
        return strerror(number);
    }
}

/* What the operating system said, where that is the cause: SQLite's own texts are the same for all, and
 * only sqlite3_system_errno() tells. */
static const char *system_reason(struct sqlite_conn *conn, int primary)
{
    int number = 0;

    if (primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR)
        number = sqlite3_system_errno(conn->db);
    return number == 0 ? NULL : weir__sqlite_system_text(number);
}

weir_status weir__sqlite_error(struct sqlite_conn *conn, int code, weir_error *reterr)
{
    int primary = code & 0xFF;

    if (primary == SQLITE_INTERRUPT &&
        (conn->is_late || weir__sqlite_watch_has_fired(&conn->watch))) {
        weir_error_set(reterr, WEIR_TIMEOUT, "sqlite: the statement was stopped at its deadline");
        set_codes(reterr, code, "57014");
        return WEIR_TIMEOUT;
    }
    if ((primary == SQLITE_BUSY && code != SQLITE_BUSY_SNAPSHOT) || primary == SQLITE_LOCKED)
        return weir__sqlite_lock_error(conn, code, "", reterr);

    const char *text = primary == SQLITE_AUTH ? "ATTACH and DETACH are not available here"
                                              : sqlite3_errmsg(conn->db);
    const char *sqlstate;
    weir_status status = meaning_of(code, text, &sqlstate);
    conn->is_broken |= primary == SQLITE_IOERR || primary == SQLITE_CORRUPT ||
                       primary == SQLITE_NOTADB || primary == SQLITE_CANTOPEN;
    conn->is_lost |= status == WEIR_DISCONNECTED;
    const char *reason = system_reason(conn, primary);
    weir_error_set(reterr, status, "sqlite: %s%s%s", text, reason == NULL ? "" : ": ",
                   reason == NULL ? "" : reason);
    set_codes(reterr, code, sqlstate);
    return status;
}

/* What lies at the path, when that explains why it cannot be opened. */
static bool describe_place(const char *path, char *text, size_t size)
{
    const char *slash = strrchr(path, '/');
    char directory[512];
    struct stat info;

    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        snprintf(text, size, "it is a directory");
        return true;
    }
    int length = snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    if (length <= 0 || (size_t)length >= sizeof directory)
        return false;
    bool is_there = stat(directory, &info) == 0;
    if (!is_there && errno == ENOENT)
        snprintf(text, size, "the directory \"%s\" does not exist: create it first", directory);
    else if (is_there && !S_ISDIR(info.st_mode))
        snprintf(text, size, "\"%s\" is not a directory", directory);
    return (!is_there && errno == ENOENT) || (is_there && !S_ISDIR(info.st_mode));
}

/* Why a file could not be opened, in words that help: SQLite only says that it could not. */
static void describe_path(struct sqlite_conn *conn, char *text, size_t size)
{
    const struct sqlite_engine *engine = conn->engine;
    struct stat info;
    int number = sqlite3_system_errno(conn->db);

    if (number == EMFILE || number == ENFILE) {
        snprintf(text, size, "%s", weir__sqlite_system_text(number));
        return;
    }
    if (describe_place(engine->path, text, size))
        return;
    if (stat(engine->path, &info) != 0)
        number = errno;
    if (number == ENOENT && (engine->mode != SQLITE_MODE_CREATE || engine->is_immutable))
        snprintf(text, size,
                 "it does not exist, and the URL (mode, immutable) says not to create it");
    else if (number == 0 || number == ENOENT || number == EACCES || number == EPERM ||
             number == EROFS)
        snprintf(text, size, "no permission to read or create it, or to write beside it");
    else
        snprintf(text, size, "%s", weir__sqlite_system_text(number));
}

weir_status weir__sqlite_open_error(struct sqlite_conn *conn, int code, weir_error *reterr)
{
    int primary = code & 0xFF;
    char why[640];

    if (primary == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect sqlite \"%s\": out of memory",
                              conn->path);
    if (primary == SQLITE_BUSY || primary == SQLITE_INTERRUPT) {
        weir_error_set(reterr, WEIR_TIMEOUT,
                       "connect sqlite \"%s\": another process kept it locked", conn->path);
        set_codes(reterr, code, "55P03");
        return WEIR_TIMEOUT;
    }

    if ((primary == SQLITE_CANTOPEN || primary == SQLITE_PERM) && conn->engine->path != NULL)
        describe_path(conn, why, sizeof why);
    else if (primary == SQLITE_NOTADB)
        snprintf(why, sizeof why, "it is not a SQLite database, or it is encrypted");
    else
        snprintf(why, sizeof why, "%s",
                 conn->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(conn->db));
    weir_error_set(reterr, WEIR_CONNECT, "connect sqlite \"%s\": %s", conn->path, why);
    set_codes(reterr, code, primary == SQLITE_NOTADB ? "XX001" : "08001");
    return WEIR_CONNECT;
}
