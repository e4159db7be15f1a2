/* SPDX-License-Identifier: MIT */
/* Statements for one reflected table: a page of it, or one row by its id. */
#ifndef WEIR_SERVER_TABLE_QUERY_H
#define WEIR_SERVER_TABLE_QUERY_H

#include <weir/db.h>

#include "row_id.h"

#define TABLE_QUERY_PARAMS (3 + ROW_ID_TIMES)

/* A statement and its parameters. All zero is none; `sql` is NULL after memory ran out. */
struct table_query {
    char *sql;
    weir_param params[TABLE_QUERY_PARAMS];
    size_t param_count;
    bool is_never; /* the id cannot be one of the column's, so no row has it */
    void *storage; /* of values */
};

/*
 * How PostgreSQL compares an id with its column. The first serves nearly all types; a type that has no
 * input for that (composite ones: 0A000), or no equality (json, xml, point: 42883), is what the next one
 * is for.
 */
enum id_match {
    ID_MATCH_VALUE, /* column = :id, which the server reads as the column's type */
    ID_MATCH_CAST,  /* column = CAST(:id AS the column's type) */
    ID_MATCH_TEXT,  /* CAST(column AS text) = :id: by no index */
};

/* The column that identifies a table's rows, or NULL: the one its name prescribes if it is there,
 * else the primary key if that is one column. */
const weir_column *table_id_column(const weir_table *table);

/* Rows `offset` and on, at most `limit`, in a stable order wherever there is one. has_id_order: whether
 * the type of an id column that is no key has one; PostgreSQL's json and point, for instance, have none. */
void table_query_page(struct table_query *query, const weir_table *table, bool is_sqlite,
                      bool has_id_order, int64_t limit, int64_t offset);

/*
 * The row with that id, which is as the rows' JSON shows it, so that the column's index finds it. `id` is
 * borrowed. `match` is of no meaning with SQLite, where a column holds values of any type: what the id may
 * stand for is compared with values of that type only.
 *
 * Errors: WEIR_INVALID when nothing identifies the rows.
 */
WEIR_MUST_CHECK weir_status table_query_row(struct table_query *query, const weir_table *table,
                                            const char *id, bool is_sqlite, enum id_match match,
                                            weir_error *reterr);

void table_query_clear(struct table_query *query);

#endif
