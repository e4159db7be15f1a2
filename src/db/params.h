/* SPDX-License-Identifier: MIT */
/* Finds `:name` and `$n` in SQL and writes the statement in an engine's own dialect. */
#ifndef WEIR_DB_PARAMS_H
#define WEIR_DB_PARAMS_H

#include "db/lexer.h"

#include <weir/db.h>

/* A statement translated. One allocation holds it all, `text` and the names behind it. */
struct translation {
    const char *text; /* the statement with $1…$n or ?1…?n */
    size_t text_size;
    int param_count; /* the highest placeholder */
    const char *const
        *names; /* of placeholder i + 1, without the colon; NULL for positional ones */
    void *storage;
};

/*
 * Translate `sql`. Text that is not a parameter is copied as it is, so the database reports its
 * own syntax errors; an unfinished string or comment just reaches to the end.
 *
 * Errors:  WEIR_INVALID for a statement with both kinds, `$0` or more parameters than the engine
 *          takes; WEIR_NO_MEMORY.
 * The caller ends *ret with weir__translation_clear().
 */
weir_status weir__translate(const char *sql, enum sql_dialect dialect, struct translation *ret,
                            weir_error *reterr);
void weir__translation_clear(struct translation *translation);

#endif
