/* SPDX-License-Identifier: MIT */
/* Files of SQLite behind a URL, for commands that leave nothing behind. */
#ifndef WEIR_CLI_TARGET_H
#define WEIR_CLI_TARGET_H

#include <weir/db.h>

#include "server/text/text.h"

/* The file a SQLite URL names, malloc'ed; NULL for memory, another engine, or when memory ran out. */
char *target_sqlite_path(const char *url);

/* What a database in memory stands in for. */
struct target_missing {
    char *url;          /* malloc'ed; NULL: it stands in for nothing */
    const char *reason; /* "does not exist" or "is empty" */
};

/*
 * A SQLite file that does not exist, or is empty, is not to be made by a look at it: *url, malloc'ed, is
 * then replaced by that of a database in memory with the same options, and *ret_missing tells which file
 * that was, so that it is said. Not where its directory is missing: that is to fail and be seen.
 * The caller frees ret_missing->url. Errors: WEIR_NO_MEMORY; *url stays.
 */
WEIR_MUST_CHECK weir_status target_stand_in(char **url, struct target_missing *ret_missing,
                                            weir_error *reterr);

/* Append {"url", "reason"} as JSON, or null. */
void target_add_missing(struct text *json, const struct target_missing *missing);

/* A URL as it may be shown, without secrets; malloc'ed, NULL when memory ran out. One that cannot be
 * read is "a URL that cannot be read". */
char *target_shown(const char *url);

/* Opening a SQLite file switches it to WAL mode. The first is called before that, and gives what the
 * second needs, once all else has closed the file, to switch it back: NULL when there is no need. The
 * second frees it. */
char *target_remember_mode(const char *url);
void target_restore_mode(const char *url, char *path);

#endif
