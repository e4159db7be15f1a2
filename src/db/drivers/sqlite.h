/* SPDX-License-Identifier: MIT */
/* What the files of the SQLite driver share: the connection, values, errors. */
#ifndef WEIR_DB_SQLITE_H
#define WEIR_DB_SQLITE_H

#include "db/driver.h"
#include "db/drivers/sqlite_file.h"
#include "db/drivers/sqlite_watch.h"

#include <sqlite3.h>
#include <sys/types.h>
#include <time.h>

/* How a file is opened: the URL's mode and immutable, in the words of SQLite's own URIs. */
enum sqlite_mode { SQLITE_MODE_CREATE, SQLITE_MODE_WRITE, SQLITE_MODE_READ };

/* What the connections of one weir_db share: config->engine_state. */
struct sqlite_engine {
    char *path; /* absolute, so that a later chdir() changes nothing; NULL: in memory */
    enum sqlite_mode mode;
    bool is_immutable;

    /* A database in memory has a name, and lives as long as one connection is open: the anchor. */
    char name[32];
    sqlite3 *anchor;
    weir_pool *writers;
};

/* How a file lay there that nobody can write, so that it is read without locks. */
struct sqlite_still {
    off_t size;
    struct timespec changed;
    struct timespec modified;
};

/* One connection; one thread at a time, so SQLite's own mutexes are off. */
struct sqlite_conn {
    sqlite3 *db;
    const struct db_config *config;
    const struct sqlite_engine *engine;
    const char *path; /* what errors name: the file, or ":memory:" */

    struct sqlite_file *file; /* NULL: in memory */
    weir_time looked_at;      /* when the file was seen at its path, by the coarse clock */
    bool is_still;            /* read without locks, as long as the file is as it was then: */
    struct sqlite_still still;

    /* Whose turn to write it is: everybody's of this process, and, while it has a connection, ours. */
    weir_pool *writers; /* NULL: nobody can write */
    weir_lease turn;

    struct sqlite_watch watch;

    /* Of the running statement: when it must end, how long it may wait for another writer, and what
     * the two callbacks decided. */
    weir_time deadline;
    weir_time busy_until; /* 0: it has not met a lock yet */
    bool is_late;         /* stopped at the deadline */
    bool has_waited;      /* gave up at busy_until */

    bool is_preparing;   /* the text of a holder is being compiled; see authorize() */
    bool was_dirty_text; /* and it would change the session */
    bool was_asking;     /* it only asks, though SQLite takes it for a write */
    bool was_begin;      /* BEGIN of any kind */
    bool was_outsider;   /* it does nothing, or fails, within a transaction */

    bool is_reading; /* begun as WEIR_TX_READ: writes are refused until it ends */
    bool is_dirty;   /* temporary objects or PRAGMAs: closed instead of lent again */
    bool is_broken;  /* the disk failed */
    bool is_lost;    /* the file is gone or replaced */
};

/* How a column's declared type refines its values. */
enum sqlite_refinement { REFINE_NOTHING, REFINE_BOOLEAN, REFINE_JSON, REFINE_TIMESTAMP };

/* What the driver keeps of a prepared statement. */
struct sqlite_prepared {
    sqlite3_stmt *stmt;
    struct columns
        *columns; /* with the refinements, of its last compilation; NULL before any row */
    unsigned char *refinements;
    int column_count;
    int recompiled; /* SQLite's count of that when `columns` was made */
    bool is_readonly;
    bool is_dirty;    /* running it changes the session */
    bool is_begin;    /* BEGIN of any kind */
    bool is_outsider; /* it does nothing, or fails, within a transaction */
    bool begins_read; /* it is begin_sql(WEIR_TX_READ) */
};

/* ---- sqlite.c ----------------------------------------------------------------------------- */

/* What starts a WEIR_TX_READ: by its text the driver knows it again. */
extern const char weir__sqlite_begin_read[];

/* ---- sqlite_open.c ------------------------------------------------------------------------ */

weir_status weir__sqlite_engine_open(struct db_config *config, weir_error *reterr);
void weir__sqlite_engine_close(struct db_config *config);
weir_status weir__sqlite_connect(struct db_config *config, weir_time deadline, void **ret_conn,
                                 weir_error *reterr);
void weir__sqlite_close(void *conn);

/* ---- sqlite_turn.c: limits, locks and the file, around each statement -------------------- */

/* The callbacks of a connection whose argument is the connection: while another has the lock, and at
 * every so many steps. */
int weir__sqlite_wait_for_lock(void *conn, int count);
int weir__sqlite_stop_at_deadline(void *conn);

/* Begin to work under a deadline, and end. */
void weir__sqlite_start(struct sqlite_conn *conn, weir_time deadline);
void weir__sqlite_end(struct sqlite_conn *conn);

/* The same for a holder's statements: WEIR_DISCONNECTED when the file is found to be gone, before the
 * first or, for what was written meanwhile, after the last; `status` is what came of them. */
weir_status weir__sqlite_begin_work(struct sqlite_conn *conn, weir_time deadline,
                                    weir_error *reterr);
weir_status weir__sqlite_end_work(struct sqlite_conn *conn, weir_status status, bool has_written,
                                  weir_error *reterr);

/* WEIR_DISCONNECTED when the file is not at its path any more. `is_busy`: asked so often that a look
 * within the last LOOK_EVERY will do. */
weir_status weir__sqlite_is_alive(struct sqlite_conn *conn, bool is_busy, weir_error *reterr);

/* Remember how the file lies there now; false: it is written to. */
bool weir__sqlite_note_still(struct sqlite_conn *conn);

/* Wait in the queue for the right to write, before a statement that may write. It is given back when no
 * transaction that writes is open any more. */
weir_status weir__sqlite_take_turn(struct sqlite_conn *conn, weir_error *reterr);
void weir__sqlite_leave_turn(struct sqlite_conn *conn);

/* ---- sqlite_query.c ----------------------------------------------------------------------- */

weir_status weir__sqlite_query(void *conn, struct statement *statement, const weir_value *values,
                               weir_time deadline, struct weir_result **ret_result,
                               weir_error *reterr);
void weir__sqlite_forget(void *conn, struct statement *statement);
weir_status weir__sqlite_script(void *conn, const char *sql, weir_time deadline,
                                weir_error *reterr);

/* ---- sqlite_values.c ---------------------------------------------------------------------- */

/* Bind value i to parameter i + 1. They stay where they are, so they must outlive the run. */
int weir__sqlite_bind(sqlite3_stmt *stmt, const weir_value *values, int count);

/* Make columns and refinements those of the statement's present compilation. */
weir_status weir__sqlite_describe(struct sqlite_prepared *prepared, weir_error *reterr);

/* Add the row that the statement stands on. */
weir_status weir__sqlite_read_row(const struct sqlite_prepared *prepared, weir_result *result,
                                  weir_error *reterr);

/* What a declared type means: how it refines, and what its values come as. NULL: undeclared. */
enum sqlite_refinement weir__sqlite_refinement(const char *declared);
weir_type weir__sqlite_type(const char *declared);

/* ---- sqlite_error.c ----------------------------------------------------------------------- */

/* Fill *reterr from SQLite's last error, take note of it in the connection, and return the status. */
weir_status weir__sqlite_error(struct sqlite_conn *conn, int code, weir_error *reterr);

/* The same for another's lock; `holder` goes behind the text. */
weir_status weir__sqlite_lock_error(struct sqlite_conn *conn, int code, const char *holder,
                                    weir_error *reterr);

/* The same for a failed open: WEIR_CONNECT (or WEIR_TIMEOUT) with the path and what to do. */
weir_status weir__sqlite_open_error(struct sqlite_conn *conn, int code, weir_error *reterr);

/* An errno in words. Static, or valid until this thread's next call. */
const char *weir__sqlite_system_text(int number);

/* A refusal of our own, with its SQLSTATE. */
weir_status weir__sqlite_refuse(weir_error *reterr, const char *sqlstate, const char *text);

/* ---- sqlite_reflect.c --------------------------------------------------------------------- */

weir_status weir__sqlite_reflect(void *conn, weir_time deadline, struct weir_schema **ret_schema,
                                 weir_error *reterr);

#endif
