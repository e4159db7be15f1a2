/* SPDX-License-Identifier: MIT */
/* How a driver builds a result: shared column heads, cells in one array, texts in an arena, a byte limit. */
#ifndef WEIR_DB_RESULT_H
#define WEIR_DB_RESULT_H

#include <weir/db.h>

#include <stdatomic.h>

/*
 * The names of a result's columns. Made once per prepared statement and shared by all its results,
 * which may outlive the connection: hence the count of references, the one thing in a result that
 * two threads may touch at once.
 */
struct columns {
    atomic_size_t references;
    size_t count;
    const char *names[]; /* never NULL */
};

/* Copy `count` names; the caller holds one reference. NULL when there is no memory. */
struct columns *weir__columns_new(size_t count, const char *const *names);
void weir__columns_unref(struct columns *columns); /* NULL is fine */

/* One value as stored: 16 bytes. */
struct cell {
    uint32_t type; /* weir_type */
    uint32_t size; /* of text; no engine gives 4 GiB in one value */
    union {
        bool boolean;
        int64_t integer;
        double real;
        const char *text; /* in the result's arena, terminated */
    };
};

struct result_chunk;

/*
 * A result. Small ones are a single allocation: this head, the first cells and the first texts behind
 * it. Cells grow into an array of their own and texts into further chunks, so that texts never move.
 */
struct weir_result {
    struct columns *columns;
    size_t row_count;
    int64_t changed;

    struct cell *cells; /* row after row; row_count * columns->count are filled */
    size_t cell_capacity;
    bool cells_are_inline;

    char *text_at; /* where the next text goes, and where its chunk ends */
    char *text_end;
    struct result_chunk *chunks; /* those after the first, newest first */

    int64_t bytes;     /* of cells and texts, what the limit is about */
    int64_t max_bytes; /* WEIR_LIMIT above it */
};

/*
 * An empty result with these columns (a reference is taken; NULL: no columns). `row_hint`: how many
 * rows will come, when the driver knows, else 0. The caller ends it with weir_result_close().
 *
 * Errors: WEIR_NO_MEMORY.
 */
weir_status weir__result_new(struct columns *columns, size_t row_hint, int64_t max_bytes,
                             weir_result **ret_result, weir_error *reterr);

/*
 * Add a row, all its values NULL. *ret_cells are its columns->count cells, valid until the next row
 * is added; write them with the functions below.
 *
 * Errors: WEIR_LIMIT, WEIR_NO_MEMORY; the row is then not there.
 */
weir_status weir__result_add_row(weir_result *result, struct cell **ret_cells, weir_error *reterr);

static inline void weir__cell_set_bool(struct cell *cell, bool boolean)
{
    cell->type = WEIR_BOOL;
    cell->boolean = boolean;
}

static inline void weir__cell_set_int(struct cell *cell, int64_t integer)
{
    cell->type = WEIR_INT;
    cell->integer = integer;
}

static inline void weir__cell_set_double(struct cell *cell, double real)
{
    cell->type = WEIR_DOUBLE;
    cell->real = real;
}

/*
 * Make the cell a value of `type` (TEXT, BLOB, JSON or TIMESTAMP) with a copy of these bytes.
 *
 * Errors: WEIR_LIMIT, WEIR_NO_MEMORY; the cell stays NULL.
 */
weir_status weir__cell_set_text(weir_result *result, struct cell *cell, weir_type type,
                                const char *bytes, size_t size, weir_error *reterr);

/*
 * The same without the bytes: *ret_room is where the caller writes them, `size` bytes (the zero
 * behind them is there already). For values that are decoded or rewritten on the way; one that turns
 * out shorter calls weir__cell_shorten().
 */
weir_status weir__cell_reserve(weir_result *result, struct cell *cell, weir_type type, size_t size,
                               char **ret_room, weir_error *reterr);
void weir__cell_shorten(struct cell *cell, size_t size);

/*
 * Write a database's date or timestamp (`2024-02-29 12:30:00.5+02`) in ISO 8601 as db.h promises:
 * 'T' between date and time, the zone as +hh:mm ("Z" becomes +00:00). Writes at most
 * WEIR_TIMESTAMP_ROOM bytes, not terminated, and returns how many; 0 when it is no such thing
 * (infinity, years BC, plain words), which the driver passes on as text.
 */
#define WEIR_TIMESTAMP_ROOM 48
size_t weir__timestamp_normalise(const char *text, size_t size, char *room);

/* Whether these bytes are one complete JSON value (RFC 8259), nested at most 512 deep. */
bool weir__json_is_valid(const char *text, size_t size);

#endif
