/* SPDX-License-Identifier: MIT */
/* Telling a database's listeners of each statement: who is told, and what is measured for them. */
#ifndef WEIR_DB_EVENTS_H
#define WEIR_DB_EVENTS_H

#include "db/lexer.h"

#include <weir/db.h>

#include <stdatomic.h>

#define DB_LISTENERS 8

struct db_listener {
    weir_db_listener *function;
    bool (*wants)(void *arg); /* NULL: always */
    void *arg;
    void (*free_arg)(void *arg); /* at the database's end; NULL: the argument is somebody else's */
};

/* The listeners of one database: an array that only grows, read without a lock. */
struct db_listeners {
    _Atomic int
        count; /* stored (release) after the entry it counts; grows under a lock of events.c */
    struct db_listener entries[DB_LISTENERS];
};

/* Add one. After a failure the argument is still the caller's. */
weir_status weir__db_listen(weir_db *db, const struct db_listener *listener, weir_error *reterr);

/* At the database's end. */
void weir__db_listeners_clear(struct db_listeners *listeners);

/* Whether anybody wants to hear of a statement that begins now. */
static inline bool db_is_heard(const struct db_listeners *listeners)
{
    int count = atomic_load_explicit(&listeners->count, memory_order_acquire);

    for (int i = 0; i < count; i++)
        if (listeners->entries[i].wants == NULL ||
            listeners->entries[i].wants(listeners->entries[i].arg))
            return true;
    return false;
}

/* A statement in progress, for those who will hear of it. `error` is where its failure is to be
 * written: the caller's, or `own` when the caller wants none. */
struct observed_statement {
    weir_db_event event;
    weir_time started;
    weir_error *error;
    weir_error own;
};

/* Begin and end: one call of each around a statement, when somebody listens at its beginning. */
void weir__observed_begin(struct observed_statement *observed, weir_conn *conn,
                          const char *operation, const char *sql, weir_error *reterr);
void weir__observed_end(struct observed_statement *observed, weir_status status, size_t rows);

/* The first word of a statement in upper case where it is one of a fixed set, else "OTHER"; static. */
const char *weir__operation_of(const char *sql, enum sql_dialect dialect);

#endif
