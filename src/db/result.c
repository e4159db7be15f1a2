/* SPDX-License-Identifier: MIT */
/* Results: one allocation while they are small, a growing array of cells and an arena of texts after. */
#include "db/result.h"

#include <stdlib.h>
#include <string.h>

/* A small result's whole allocation: malloc serves up to this size from its per-thread cache. */
#define FIRST_BLOCK 1024

/* Cells that are still put into the first allocation. */
#define INLINE_CELLS 24

#define SMALLEST_CHUNK 4096
#define LARGEST_CHUNK (1 << 20)

struct result_chunk {
    struct result_chunk *next;
    size_t size;
    char bytes[];
};

/* ---- column heads ------------------------------------------------------------------------ */

struct columns *weir__columns_new(size_t count, const char *const *names)
{
    size_t size = sizeof(struct columns) + count * sizeof(const char *);
    for (size_t i = 0; i < count; i++)
        size += strlen(names[i]) + 1;

    struct columns *columns = malloc(size);
    if (columns == NULL)
        return NULL;
    atomic_init(&columns->references, 1);
    columns->count = count;

    char *to = (char *)&columns->names[count];
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]) + 1;
        columns->names[i] = memcpy(to, names[i], length);
        to += length;
    }
    return columns;
}

void weir__columns_unref(struct columns *columns)
{
    if (columns == NULL)
        return;
    /* Release, so that this thread's reads are over before another frees; acquire for that one. */
    if (atomic_fetch_sub_explicit(&columns->references, 1, memory_order_acq_rel) == 1)
        free(columns);
}

/* ---- building ---------------------------------------------------------------------------- */

static bool grow_cells(weir_result *result, size_t needed)
{
    size_t capacity = result->cell_capacity * 2;
    if (capacity < needed)
        capacity = needed;
    if (capacity < 64)
        capacity = 64;

    struct cell *old = result->cells_are_inline ? NULL : result->cells;
    struct cell *cells = realloc(old, capacity * sizeof(struct cell));
    if (cells == NULL)
        return false;
    if (result->cells_are_inline && result->columns != NULL)
        memcpy(cells, result->cells,
               result->row_count * result->columns->count * sizeof(struct cell));
    result->cells = cells;
    result->cell_capacity = capacity;
    result->cells_are_inline = false;
    return true;
}

weir_status weir__result_new(struct columns *columns, size_t row_hint, int64_t max_bytes,
                             weir_result **ret_result, weir_error *reterr)
{
    size_t column_count = columns == NULL ? 0 : columns->count;
    size_t inline_cells = column_count <= INLINE_CELLS ? INLINE_CELLS : 0;
    size_t head = sizeof(weir_result) + inline_cells * sizeof(struct cell);
    size_t size = head + 256 > FIRST_BLOCK ? head + 256 : FIRST_BLOCK;
    weir_result *result = malloc(size);
    if (result == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "result: out of memory");

    *result = (weir_result){
        .columns = columns,
        .cells = (struct cell *)(result + 1),
        .cell_capacity = inline_cells,
        .cells_are_inline = true,
        .text_at = (char *)result + head,
        .text_end = (char *)result + size,
        .max_bytes = max_bytes,
    };
    if (columns != NULL)
        atomic_fetch_add_explicit(&columns->references, 1, memory_order_relaxed);

    /* Only a hint: when there is no memory for all of it, the rows will find out. */
    size_t most_cells = (size_t)max_bytes / sizeof(struct cell);
    if (column_count > 0 && row_hint > inline_cells / column_count &&
        row_hint <= most_cells / column_count)
        (void)grow_cells(result, row_hint * column_count);
    *ret_result = result;
    return WEIR_OK;
}

static weir_status over_limit(const weir_result *result, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_LIMIT,
                          "the result is larger than max_result_bytes (%lld) after %zu rows: ask "
                          "for fewer rows, or raise it",
                          (long long)result->max_bytes, result->row_count);
}

/* Count `size` more bytes against the limit. */
static bool account(weir_result *result, size_t size)
{
    if ((uint64_t)size > (uint64_t)(result->max_bytes - result->bytes))
        return false;
    result->bytes += (int64_t)size;
    return true;
}

weir_status weir__result_add_row(weir_result *result, struct cell **ret_cells, weir_error *reterr)
{
    size_t count = result->columns == NULL ? 0 : result->columns->count;
    size_t used = result->row_count * count;

    if (!account(result, count * sizeof(struct cell)))
        return over_limit(result, reterr);
    if (used + count > result->cell_capacity && !grow_cells(result, used + count))
        return weir_error_set(reterr, WEIR_NO_MEMORY, "result: out of memory for %zu rows",
                              result->row_count + 1);

    struct cell *cells = result->cells + used;
    memset(cells, 0, count * sizeof *cells);
    result->row_count++;
    *ret_cells = cells;
    return WEIR_OK;
}

/* Room for `size` bytes that never moves, or NULL. A large text gets a chunk of its own, so that
 * what is left of the current one is not lost. */
static char *take_room(weir_result *result, size_t size)
{
    if ((size_t)(result->text_end - result->text_at) >= size) {
        char *room = result->text_at;
        result->text_at += size;
        return room;
    }

    size_t chunk_size = result->chunks == NULL ? SMALLEST_CHUNK : result->chunks->size * 2;
    if (chunk_size > LARGEST_CHUNK)
        chunk_size = LARGEST_CHUNK;
    bool is_alone = size > chunk_size / 4;
    struct result_chunk *chunk = malloc(sizeof *chunk + (is_alone ? size : chunk_size));
    if (chunk == NULL)
        return NULL;
    /* The next chunk doubles this size; a lone one must not count as larger than its due. */
    chunk->size = chunk_size;
    chunk->next = result->chunks;
    result->chunks = chunk;
    if (!is_alone) {
        result->text_at = chunk->bytes + size;
        result->text_end = chunk->bytes + chunk_size;
    }
    return chunk->bytes;
}

weir_status weir__cell_reserve(weir_result *result, struct cell *cell, weir_type type, size_t size,
                               char **ret_room, weir_error *reterr)
{
    if (size >= UINT32_MAX || !account(result, size + 1))
        return over_limit(result, reterr);

    char *room = take_room(result, size + 1);
    if (room == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY,
                              "result: out of memory for a value of %zu bytes", size);
    room[size] = '\0';
    cell->type = (uint32_t)type;
    cell->size = (uint32_t)size;
    cell->text = room;
    *ret_room = room;
    return WEIR_OK;
}

void weir__cell_shorten(struct cell *cell, size_t size)
{
    /* The text is in this result's own arena; const is for its readers. */
    char *text = (char *)(uintptr_t)cell->text;

    text[size] = '\0';
    cell->size = (uint32_t)size;
}

weir_status weir__cell_set_text(weir_result *result, struct cell *cell, weir_type type,
                                const char *bytes, size_t size, weir_error *reterr)
{
    char *room;
    weir_status status = weir__cell_reserve(result, cell, type, size, &room, reterr);

    if (status == WEIR_OK && size > 0)
        memcpy(room, bytes, size);
    return status;
}

/* ---- reading ----------------------------------------------------------------------------- */

void weir_result_close(weir_result *result)
{
    if (result == NULL)
        return;
    for (struct result_chunk *chunk = result->chunks; chunk != NULL;) {
        struct result_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    if (!result->cells_are_inline)
        free(result->cells);
    weir__columns_unref(result->columns);
    free(result);
}

size_t weir_result_row_count(const weir_result *result)
{
    return result->row_count;
}

size_t weir_result_column_count(const weir_result *result)
{
    return result->columns == NULL ? 0 : result->columns->count;
}

int64_t weir_result_changed(const weir_result *result)
{
    return result->changed;
}

const char *weir_result_column_name(const weir_result *result, size_t column)
{
    if (column >= weir_result_column_count(result))
        return NULL;
    return result->columns->names[column];
}

int weir_result_column_index(const weir_result *result, const char *name)
{
    for (size_t i = 0; i < weir_result_column_count(result); i++)
        if (strcmp(result->columns->names[i], name) == 0)
            return (int)i;
    return -1;
}

weir_value weir_result_value(const weir_result *result, size_t row, size_t column)
{
    size_t count = weir_result_column_count(result);
    if (row >= result->row_count || column >= count)
        return weir_null();

    const struct cell *cell = &result->cells[row * count + column];
    switch ((weir_type)cell->type) {
    case WEIR_NULL:
        break;
    case WEIR_BOOL:
        return weir_bool(cell->boolean);
    case WEIR_INT:
        return weir_int(cell->integer);
    case WEIR_DOUBLE:
        return weir_double(cell->real);
    case WEIR_TEXT:
    case WEIR_BLOB:
    case WEIR_JSON:
    case WEIR_TIMESTAMP:
        return (weir_value){.type = (weir_type)cell->type, .text = cell->text, .size = cell->size};
    }
    return weir_null();
}
