/* SPDX-License-Identifier: MIT */
/* PostgreSQL's catalogs as weir's schema. */
#include "db/drivers/postgres.h"

#include <stdlib.h>
#include <string.h>

/* Relations that a plain name finds, temporary and the system's own left out. */
#define VISIBLE                                                                                    \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                                    \
    " AND n.nspname = ANY (pg_catalog.current_schemas(false))"                                     \
    " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"                               \
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.pg_table_is_visible(c.oid)"

/* One row per column; a table without columns has one whose column is NULL. The values of a domain
 * come as those of the type beneath, so that type is looked up. */
static const char columns_sql[] =
    "SELECT c.relname, c.relkind IN ('v', 'm') AS is_view, a.attname,"
    " pg_catalog.format_type(a.atttypid, a.atttypmod) AS sql_type,"
    " CASE WHEN t.typtype = 'd' THEN ("
    "  WITH RECURSIVE base AS ("
    "   SELECT t.oid, t.typtype, t.typbasetype UNION ALL"
    "   SELECT b.oid, b.typtype, b.typbasetype FROM pg_catalog.pg_type b JOIN base"
    "   ON b.oid = base.typbasetype AND base.typtype = 'd')"
    "  SELECT oid FROM base WHERE typtype <> 'd') ELSE t.oid END AS base_type,"
    " NOT (a.attnotnull OR t.typnotnull) AS is_nullable,"
    " a.atthasdef OR a.attidentity <> '' AS has_default,"
    " CASE WHEN k.place < i.indnkeyatts THEN k.place + 1 ELSE 0 END AS primary_key"
    " FROM pg_catalog.pg_class c"
    " LEFT JOIN pg_catalog.pg_attribute a"
    "  ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary"
    " LEFT JOIN LATERAL (SELECT pg_catalog.array_position(i.indkey::int2[], a.attnum) AS place) k"
    "  ON true" VISIBLE " ORDER BY c.relname COLLATE \"C\", a.attnum";

static const char keys_sql[] =
    "SELECT c.relname, a.attname, f.relname, fa.attname"
    " FROM pg_catalog.pg_constraint k"
    " JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
    " JOIN pg_catalog.pg_class f ON f.oid = k.confrelid"
    " CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u (own, other, place)"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own"
    " JOIN pg_catalog.pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.other" VISIBLE
    " AND k.contype = 'f' ORDER BY c.relname COLLATE \"C\", k.conname COLLATE \"C\", u.place";

static bool is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static weir_status add_column(struct schema_table *table, const PGresult *rows, int row,
                              weir_error *reterr)
{
    weir_column column = {
        .name = PQgetvalue(rows, row, 2),
        .sql_type = PQgetvalue(rows, row, 3),
        .type = weir__pg_type((Oid)strtoul(PQgetvalue(rows, row, 4), NULL, 10)),
        .is_nullable = is_true(rows, row, 5),
        .has_default = is_true(rows, row, 6),
        .primary_key = atoi(PQgetvalue(rows, row, 7)),
    };

    return weir__schema_add_column(table, &column, reterr);
}

static weir_status add_tables(weir_schema *schema, const PGresult *rows, weir_error *reterr)
{
    struct schema_table *table = NULL;
    const char *name = "";

    for (int row = 0; row < PQntuples(rows); row++) {
        weir_status status = WEIR_OK;
        if (row == 0 || strcmp(name, PQgetvalue(rows, row, 0)) != 0) {
            name = PQgetvalue(rows, row, 0);
            status = weir__schema_add_table(schema, name, is_true(rows, row, 1), &table, reterr);
        }
        if (status == WEIR_OK && !PQgetisnull(rows, row, 2))
            status = add_column(table, rows, row, reterr);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static weir_status add_keys(weir_schema *schema, const PGresult *rows, weir_error *reterr)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        struct schema_table *table = weir__schema_table_named(schema, PQgetvalue(rows, row, 0));
        weir_foreign_key key = {
            .column = PQgetvalue(rows, row, 1),
            .foreign_table = PQgetvalue(rows, row, 2),
            .foreign_column = PQgetvalue(rows, row, 3),
        };
        if (table == NULL)
            continue;
        weir_status status = weir__schema_add_foreign_key(table, &key, reterr);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* Run one of the statements above and have its rows read. */
static weir_status read_with(struct pg_conn *conn, const char *sql, weir_schema *schema,
                             weir_status (*add)(weir_schema *, const PGresult *, weir_error *),
                             weir_time deadline, weir_error *reterr)
{
    PGresult *rows = NULL;
    weir_status status = weir__pg_command(conn, sql, deadline, &rows, reterr);

    if (status == WEIR_OK)
        status = add(schema, rows, reterr);
    PQclear(rows);
    return status;
}

/* Both statements see the same moment, since they run in one transaction of their own. */
weir_status weir__pg_reflect(void *arg, weir_time deadline, struct weir_schema **ret_schema,
                             weir_error *reterr)
{
    struct pg_conn *conn = arg;
    weir_schema *schema = NULL;
    bool is_own = PQtransactionStatus(conn->pg) == PQTRANS_IDLE;

    weir_status status = weir__schema_new(&schema, reterr);
    if (status == WEIR_OK && is_own)
        status = weir__pg_command(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline,
                                  NULL, reterr);
    if (status == WEIR_OK)
        status = read_with(conn, columns_sql, schema, add_tables, deadline, reterr);
    if (status == WEIR_OK)
        status = read_with(conn, keys_sql, schema, add_keys, deadline, reterr);
    if (status == WEIR_OK && is_own)
        status = weir__pg_command(conn, "COMMIT", deadline, NULL, reterr);
    if (status != WEIR_OK) {
        weir_schema_close(schema);
        return status;
    }
    weir__schema_finish(schema);
    *ret_schema = schema;
    return WEIR_OK;
}
