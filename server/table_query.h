/* SPDX-License-Identifier: MIT */
/* Statements for one reflected table: a page of it, or one row by its id. */
#ifndef WEIR_SERVER_TABLE_QUERY_H
#define WEIR_SERVER_TABLE_QUERY_H

#include <weir/db.h>

/* A statement and its parameters. All zero is none; `sql` is NULL after memory ran out. */
struct table_query {
    char *sql;
    weir_param params[2];
    size_t param_count;
    bool is_never; /* the id cannot be of the column's type, so no row has it */
};

/* The column that identifies a table's rows, or NULL: the one its name prescribes if it is there,
 * else the primary key if that is one column. */
const weir_column *table_id_column(const weir_table *table);

/* Rows `offset` and on, at most `limit`, in a stable order wherever there is one. */
void table_query_page(struct table_query *query, const weir_table *table, bool is_sqlite,
                      int64_t limit, int64_t offset);

/* The row with that id. `id` is borrowed. Errors: WEIR_INVALID when nothing identifies the rows. */
WEIR_MUST_CHECK weir_status table_query_row(struct table_query *query, const weir_table *table,
                                            const char *id, weir_error *reterr);

void table_query_clear(struct table_query *query);

#endif
