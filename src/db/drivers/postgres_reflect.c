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

/*
 * One row per column; a table without columns has one whose column is NULL.
 *
 * The values of a domain come as those of the type beneath, so that type is looked up, and NOT NULL of
 * any domain on the way holds. PostgreSQL 18 sets attnotnull for NOT NULL … NOT VALID at once, while
 * nulls are still stored: its pg_constraint tells, which before 18 had no rows of that kind. The primary
 * key of a partitioned table is no key before its index is valid.
 */
static const char columns_sql[] =
    "SELECT c.relname, c.relkind IN ('v', 'm') AS is_view, a.attname,"
    " pg_catalog.format_type(a.atttypid, a.atttypmod) AS sql_type,"
    " COALESCE(d.oid, t.oid) AS base_type,"
    " NOT (COALESCE(d.is_not_null, false) OR a.attnotnull AND NOT EXISTS ("
    "  SELECT FROM pg_catalog.pg_constraint n WHERE n.conrelid = c.oid AND n.contype = 'n'"
    "  AND n.conkey[1] = a.attnum AND NOT n.convalidated)) AS is_nullable,"
    " a.atthasdef OR a.attidentity <> '' AS has_default,"
    " CASE WHEN k.place < i.indnkeyatts THEN k.place + 1 ELSE 0 END AS primary_key,"
    " a.attgenerated <> '' AS is_generated"
    " FROM pg_catalog.pg_class c"
    " LEFT JOIN pg_catalog.pg_attribute a"
    "  ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN LATERAL ("
    "  WITH RECURSIVE base AS ("
    "   SELECT t.oid, t.typtype, t.typbasetype, t.typnotnull WHERE t.typtype = 'd' UNION ALL"
    "   SELECT b.oid, b.typtype, b.typbasetype, b.typnotnull FROM pg_catalog.pg_type b JOIN base"
    "   ON b.oid = base.typbasetype AND base.typtype = 'd')"
    "  SELECT max(oid) FILTER (WHERE typtype <> 'd') AS oid, bool_or(typnotnull) AS is_not_null"
    "  FROM base) d ON true"
    " LEFT JOIN pg_catalog.pg_index i"
    "  ON i.indrelid = c.oid AND i.indisprimary AND i.indisvalid"
    " LEFT JOIN LATERAL (SELECT pg_catalog.array_position(i.indkey::int2[], a.attnum) AS place) k"
    "  ON true" VISIBLE " ORDER BY c.relname COLLATE \"C\", a.attnum";

/*
 * One row per pair of columns. For a key that refers to a partitioned table, the server keeps one more
 * row for each of that table's partitions, which is no key that anybody declared; a partition that has
 * its parent's key keeps one, too, which is. So a row with a parent counts if it refers to what the
 * first of its ancestors does.
 */
#define KEYS_SQL(is_enforced, is_period)                                                           \
    "SELECT c.relname, a.attname, f.relname, fa.attname, " is_enforced ", " is_period              \
    " FROM pg_catalog.pg_constraint k"                                                             \
    " JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"                                            \
    " JOIN pg_catalog.pg_class f ON f.oid = k.confrelid"                                           \
    " CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u (own, other, place)"     \
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own"              \
    " JOIN pg_catalog.pg_attribute fa"                                                             \
    "  ON fa.attrelid = k.confrelid AND fa.attnum = u.other" VISIBLE " AND k.contype = 'f'"        \
    " AND (k.conparentid = 0 OR k.confrelid = ("                                                   \
    "  WITH RECURSIVE up AS ("                                                                     \
    "   SELECT k.conparentid AS parent, k.confrelid UNION ALL"                                     \
    "   SELECT p.conparentid, p.confrelid FROM pg_catalog.pg_constraint p"                         \
    "   JOIN up ON p.oid = up.parent)"                                                             \
    "  SELECT confrelid FROM up WHERE parent = 0))"                                                \
    " ORDER BY c.relname COLLATE \"C\", k.conname COLLATE \"C\", u.place"

static const char keys_sql[] = KEYS_SQL("true", "false");
static const char keys_18_sql[] =
    KEYS_SQL("k.conenforced", "k.conperiod AND u.place = pg_catalog.cardinality(k.conkey)");

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
        .is_generated = is_true(rows, row, 8),
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
            .is_enforced = is_true(rows, row, 4),
            .is_period = is_true(rows, row, 5),
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

static weir_status read_catalogs(struct pg_conn *conn, weir_schema *schema, weir_time deadline,
                                 weir_error *reterr)
{
    bool is_18 = PQserverVersion(conn->pg) >= 180000;

    weir_status status = read_with(conn, columns_sql, schema, add_tables, deadline, reterr);
    if (status == WEIR_OK)
        status =
            read_with(conn, is_18 ? keys_18_sql : keys_sql, schema, add_keys, deadline, reterr);
    return status;
}

/* End a transaction of ours whatever became of it. After a failure the deadline may have passed, so
 * that has the time which the pool's reset would have to do it otherwise. */
static weir_status end_own(struct pg_conn *conn, weir_status status, weir_time deadline,
                           weir_error *reterr)
{
    enum conn_state state = weir__pg_state(conn);

    if (status == WEIR_OK)
        status = weir__pg_command(conn, "COMMIT", deadline, NULL, reterr);
    else if (state == CONN_TRANSACTION || state == CONN_FAILED)
        (void)weir__pg_command(conn, "ROLLBACK",
                               weir_deadline_in(conn->config->options.pool.reset_timeout_ms), NULL,
                               NULL);
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
    if (status != WEIR_OK)
        return status;
    if (is_own)
        status = weir__pg_command(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline,
                                  NULL, reterr);
    if (status == WEIR_OK)
        status = read_catalogs(conn, schema, deadline, reterr);
    if (is_own)
        status = end_own(conn, status, deadline, reterr);
    if (status != WEIR_OK) {
        weir_schema_close(schema);
        return status;
    }
    weir__schema_finish(schema);
    *ret_schema = schema;
    return WEIR_OK;
}
