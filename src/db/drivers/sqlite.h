/* SPDX-License-Identifier: MIT */
/* What the files of the SQLite driver share: the connection, values, errors. */
#ifndef WEIR_DB_SQLITE_H
#define WEIR_DB_SQLITE_H

#include "db/driver.h"

#include <sqlite3.h>

/* One connection; one thread at a time, so SQLite's own mutexes are off. */
struct sqlite_conn {
    sqlite3 *db;
    const struct db_config *config;
    const char *path; /* what errors name: the file, or ":memory:" */

    /* Of the running statement: when it must end, how long it may wait for another writer, and what
     * the two callbacks decided. */
    weir_time deadline;
    weir_time busy_until; /* 0: it has not met a lock yet */
    bool is_late;         /* stopped at the deadline */
    bool has_waited;      /* gave up at busy_until */

    bool is_preparing;   /* the text of a holder is being compiled; see authorize() */
    bool was_dirty_text; /* and it would change the session */

    bool is_reading;  /* begun as WEIR_TX_READ: writes are refused until it ends */
    bool is_dirty;    /* temporary objects or PRAGMAs: closed instead of lent again */
    bool is_doubtful; /* the disk failed */
    bool is_lost;     /* the file is gone or replaced */
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
    bool begins_read; /* it is begin_sql(WEIR_TX_READ) */
};

/* ---- sqlite.c ----------------------------------------------------------------------------- */

/* What starts a WEIR_TX_READ: by its text the driver knows it again. */
extern const char weir__sqlite_begin_read[];

/* ---- sqlite_query.c ----------------------------------------------------------------------- */

weir_status weir__sqlite_query(void *conn, struct statement *statement, const weir_value *values,
                               weir_time deadline, struct weir_result **ret_result,
                               weir_error *reterr);
void weir__sqlite_forget(void *conn, struct statement *statement);
weir_status weir__sqlite_script(void *conn, const char *sql, weir_time deadline,
                                weir_error *reterr);

/* A new statement's limits. */
void weir__sqlite_start(struct sqlite_conn *conn, weir_time deadline);

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

/* The same for a failed open: WEIR_CONNECT (or WEIR_TIMEOUT) with the path and what to do. */
weir_status weir__sqlite_open_error(struct sqlite_conn *conn, int code, weir_error *reterr);

/* A refusal of our own, with its SQLSTATE. */
weir_status weir__sqlite_refuse(weir_error *reterr, const char *sqlstate, const char *text);

/* ---- sqlite_reflect.c --------------------------------------------------------------------- */

weir_status weir__sqlite_reflect(void *conn, weir_time deadline, struct weir_schema **ret_schema,
                                 weir_error *reterr);

#endif
