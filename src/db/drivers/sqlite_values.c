/* SPDX-License-Identifier: MIT */
/* Values to and from SQLite, refined by the declared types of columns. */
#include "db/drivers/sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- to SQLite --------------------------------------------------------------------------- */

static int bind_value(sqlite3_stmt *stmt, int at, const weir_value *value)
{
    switch (value->type) {
    case WEIR_NULL:
        break;
    case WEIR_BOOL:
        return sqlite3_bind_int(stmt, at, value->boolean);
    case WEIR_INT:
        return sqlite3_bind_int64(stmt, at, value->integer);
    case WEIR_DOUBLE:
        return sqlite3_bind_double(stmt, at, value->real);
    case WEIR_BLOB:
        /* A NULL pointer would bind NULL. */
        return sqlite3_bind_blob64(stmt, at, value->text == NULL ? "" : value->text, value->size,
                                   SQLITE_STATIC);
    case WEIR_TEXT:
    case WEIR_JSON:
    case WEIR_TIMESTAMP:
        return sqlite3_bind_text64(stmt, at, value->text == NULL ? "" : value->text, value->size,
                                   SQLITE_STATIC, SQLITE_UTF8);
    }
    return sqlite3_bind_null(stmt, at);
}

int weir__sqlite_bind(sqlite3_stmt *stmt, const weir_value *values, int count)
{
    for (int i = 0; i < count; i++) {
        int code = bind_value(stmt, i + 1, &values[i]);
        if (code != SQLITE_OK)
            return code;
    }
    return SQLITE_OK;
}

/* ---- declared types ---------------------------------------------------------------------- */

static bool begins_with(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

enum sqlite_refinement weir__sqlite_refinement(const char *declared)
{
    if (declared == NULL)
        return REFINE_NOTHING;
    if (begins_with(declared, "BOOL"))
        return REFINE_BOOLEAN;
    if (begins_with(declared, "JSON"))
        return REFINE_JSON;
    if (begins_with(declared, "DATE") || begins_with(declared, "TIMESTAMP"))
        return REFINE_TIMESTAMP;
    return REFINE_NOTHING;
}

/* SQLite's rules of affinity, in their order, after the refinements. */
weir_type weir__sqlite_type(const char *declared)
{
    switch (weir__sqlite_refinement(declared)) {
    case REFINE_BOOLEAN:
        return WEIR_BOOL;
    case REFINE_JSON:
        return WEIR_JSON;
    case REFINE_TIMESTAMP:
        return WEIR_TIMESTAMP;
    case REFINE_NOTHING:
        break;
    }
    /* Without a declared type anything may come; text is what a client is least wrong with. */
    if (declared == NULL || declared[0] == '\0')
        return WEIR_TEXT;
    if (strcasestr(declared, "INT") != NULL)
        return WEIR_INT;
    if (strcasestr(declared, "CHAR") != NULL || strcasestr(declared, "CLOB") != NULL ||
        strcasestr(declared, "TEXT") != NULL)
        return WEIR_TEXT;
    if (strcasestr(declared, "BLOB") != NULL)
        return WEIR_BLOB;
    if (strcasestr(declared, "REAL") != NULL || strcasestr(declared, "FLOA") != NULL ||
        strcasestr(declared, "DOUB") != NULL || strcasestr(declared, "NUMERIC") != NULL ||
        strcasestr(declared, "DECIMAL") != NULL)
        return WEIR_DOUBLE;
    return WEIR_TEXT;
}

weir_status weir__sqlite_describe(struct sqlite_prepared *prepared, weir_error *reterr)
{
    size_t count = (size_t)sqlite3_column_count(prepared->stmt);
    const char **names = malloc((count + 1) * sizeof *names);
    unsigned char *refinements = malloc(count + 1);
    struct columns *columns = NULL;
    bool has_all = names != NULL && refinements != NULL;

    for (size_t i = 0; i < count && has_all; i++) {
        names[i] = sqlite3_column_name(prepared->stmt, (int)i);
        const char *declared = sqlite3_column_decltype(prepared->stmt, (int)i);
        refinements[i] = (unsigned char)weir__sqlite_refinement(declared);
        has_all = names[i] != NULL;
    }
    if (has_all)
        columns = weir__columns_new(count, names);
    free((void *)names);
    if (columns == NULL) {
        free(refinements);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "sqlite: out of memory for %zu columns",
                              count);
    }
    weir__columns_unref(prepared->columns);
    free(prepared->refinements);
    prepared->columns = columns;
    prepared->refinements = refinements;
    prepared->column_count = (int)count;
    prepared->recompiled = sqlite3_stmt_status(prepared->stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
    return WEIR_OK;
}

/* ---- from SQLite ------------------------------------------------------------------------- */

/* A refinement that does not fit the value is no error: SQLite's columns hold anything. */
static weir_status read_text(sqlite3_stmt *stmt, int column, enum sqlite_refinement refinement,
                             weir_result *result, struct cell *cell, weir_error *reterr)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    size_t size = (size_t)sqlite3_column_bytes(stmt, column);
    if (text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "sqlite: out of memory for a value");

    if (refinement == REFINE_TIMESTAMP && size < WEIR_TIMESTAMP_ROOM - 8) {
        char room[WEIR_TIMESTAMP_ROOM];
        size_t length = weir__timestamp_normalise(text, size, room);
        if (length > 0)
            return weir__cell_set_text(result, cell, WEIR_TIMESTAMP, room, length, reterr);
    }
    weir_type type =
        refinement == REFINE_JSON && weir__json_is_valid(text, size) ? WEIR_JSON : WEIR_TEXT;
    return weir__cell_set_text(result, cell, type, text, size, reterr);
}

/* An empty blob has no address either; and one of zeros is only made when it is asked for. */
static weir_status read_blob(sqlite3_stmt *stmt, int column, weir_result *result, struct cell *cell,
                             weir_error *reterr)
{
    const char *bytes = sqlite3_column_blob(stmt, column);
    size_t size = (size_t)sqlite3_column_bytes(stmt, column);

    if (bytes == NULL && size > 0)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "sqlite: out of memory for a value");
    return weir__cell_set_text(result, cell, WEIR_BLOB, bytes, size, reterr);
}

static void read_int(sqlite3_stmt *stmt, int column, enum sqlite_refinement refinement,
                     struct cell *cell)
{
    int64_t integer = sqlite3_column_int64(stmt, column);

    if (refinement == REFINE_BOOLEAN && (integer == 0 || integer == 1))
        weir__cell_set_bool(cell, integer == 1);
    else
        weir__cell_set_int(cell, integer);
}

static weir_status read_cell(sqlite3_stmt *stmt, int column, enum sqlite_refinement refinement,
                             weir_result *result, struct cell *cell, weir_error *reterr)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        read_int(stmt, column, refinement, cell);
        return WEIR_OK;
    case SQLITE_FLOAT:
        weir__cell_set_double(cell, sqlite3_column_double(stmt, column));
        return WEIR_OK;
    case SQLITE_TEXT:
        return read_text(stmt, column, refinement, result, cell, reterr);
    case SQLITE_BLOB:
        return read_blob(stmt, column, result, cell, reterr);
    default:
        return WEIR_OK;
    }
}

weir_status weir__sqlite_read_row(const struct sqlite_prepared *prepared, weir_result *result,
                                  weir_error *reterr)
{
    struct cell *cells;
    weir_status status = weir__result_add_row(result, &cells, reterr);

    for (int i = 0; i < prepared->column_count && status == WEIR_OK; i++)
        status = read_cell(prepared->stmt, i, (enum sqlite_refinement)prepared->refinements[i],
                           result, &cells[i], reterr);
    return status;
}
