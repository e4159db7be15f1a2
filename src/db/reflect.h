/* SPDX-License-Identifier: MIT */
/* How a driver builds a schema: tables in any order, then their columns and keys. */
#ifndef WEIR_DB_REFLECT_H
#define WEIR_DB_REFLECT_H

#include <weir/db.h>

/* A table under construction; its place in the schema does not change when others are added. */
struct schema_table;

weir_status weir__schema_new(weir_schema **ret_schema, weir_error *reterr);

/* Every string is copied. */
weir_status weir__schema_add_table(weir_schema *schema, const char *name, bool is_view,
                                   struct schema_table **ret_table, weir_error *reterr);
weir_status weir__schema_add_column(struct schema_table *table, const weir_column *column,
                                    weir_error *reterr);
weir_status weir__schema_add_foreign_key(struct schema_table *table, const weir_foreign_key *key,
                                         weir_error *reterr);

/* The table of this name while building, the last one added first; NULL when there is none. */
struct schema_table *weir__schema_table_named(weir_schema *schema, const char *name);

/* Put the tables in name order. The schema is then what weir_db_reflect() hands out. */
void weir__schema_finish(weir_schema *schema);

#endif
