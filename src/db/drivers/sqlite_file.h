/* SPDX-License-Identifier: MIT */
/* The database files that this process has open: who writes next, and whose -wal and -shm those are. */
#ifndef WEIR_DB_SQLITE_FILE_H
#define WEIR_DB_SQLITE_FILE_H

#include <weir/pool.h>

/*
 * One database file, shared by every connection of this process to it, of whichever weir_db: found by
 * its identity, so that two names of one file are one, and two files of one name are two.
 */
struct sqlite_file;

/*
 * A queue of writers: a pool of one lease, which is the right to write. First come, first served, each
 * with its own deadline. Closed with weir_pool_close().
 */
weir_status weir__sqlite_writers_open(weir_pool **ret_writers, weir_error *reterr);

/*
 * Whether what lies at `path` may be opened by SQLite: not when the file there was replaced or removed
 * while this process had it open, and the -wal or -shm of the former one still lies beside it. SQLite
 * would replay that into the new file, or delete it with the rows in it. `name` is what errors call it.
 */
weir_status weir__sqlite_file_check(const char *path, const char *name, weir_error *reterr);

/* The entry of the file at `path`, which was just opened. Balanced by weir__sqlite_file_leave(), after
 * the connection was closed. WEIR_CONNECT: nothing lies there. */
weir_status weir__sqlite_file_join(const char *path, const char *name,
                                   struct sqlite_file **ret_file, weir_error *reterr);
void weir__sqlite_file_leave(struct sqlite_file *file);

/* Note whose the -wal and -shm beside it are, now that SQLite uses them. */
void weir__sqlite_file_note_sides(struct sqlite_file *file);

/* Whether the path still leads to this file. Where the question cannot be answered (no permission to
 * look), it is taken to. */
bool weir__sqlite_file_is_at(const struct sqlite_file *file, const char *path);

/* Those of this process who want to write to it. */
weir_pool *weir__sqlite_file_writers(const struct sqlite_file *file);

#endif
