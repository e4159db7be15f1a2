/* SPDX-License-Identifier: MIT */
/* The schema of a SQLite database, read through its PRAGMA functions in one view of it. */
#include "db/drivers/sqlite.h"

/* Shadow tables of virtual ones are theirs alone, and sqlite_… is SQLite's own. */
static const char tables_sql[] =
    "SELECT name, type = 'view', type = 'table' AND NOT wr FROM pragma_table_list "
    "WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') "
    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";

/* hidden: 1 is a virtual table's hidden column, 2 and 3 are generated ones. The last value but
 * one tells the column that is another name of the row's number: INTEGER, and the whole primary key. */
static const char columns_sql[] =
    "SELECT name, type, \"notnull\", dflt_value IS NOT NULL OR hidden > 1, pk, "
    "pk = 1 AND upper(type) = 'INTEGER' "
    "AND (SELECT count(*) FROM pragma_table_xinfo(?1) WHERE pk > 0) = 1, hidden > 1 "
    "FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";

/* SQLite numbers them from the last declared one on. */
static const char keys_sql[] =
    "SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq";

/* What the three statements fill. */
struct reader {
    struct sqlite_conn *conn;
    sqlite3_stmt *tables;
    sqlite3_stmt *columns;
    sqlite3_stmt *keys;
    weir_schema *schema;
    weir_error *reterr;
};

static const char *text_of(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    return text == NULL ? "" : text;
}

/* The end of a loop over rows. */
static weir_status end_rows(struct reader *r, sqlite3_stmt *stmt, int code, weir_status status)
{
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = weir__sqlite_error(r->conn, code, r->reterr);
    sqlite3_reset(stmt);
    return status;
}

/* `has_rowid`: its INTEGER PRIMARY KEY is never null and numbers itself. */
static weir_status read_columns(struct reader *r, struct schema_table *table, const char *name,
                                bool is_view, bool has_rowid)
{
    weir_status status = WEIR_OK;
    int code;

    sqlite3_bind_text(r->columns, 1, name, -1, SQLITE_STATIC);
    while (status == WEIR_OK && (code = sqlite3_step(r->columns)) == SQLITE_ROW) {
        const char *declared = text_of(r->columns, 1);
        bool is_rowid = has_rowid && sqlite3_column_int(r->columns, 5);
        weir_column column = {
            .name = text_of(r->columns, 0),
            .sql_type = declared,
            .type = weir__sqlite_type(declared),
            .is_nullable = !is_rowid && !sqlite3_column_int(r->columns, 2),
            .has_default = is_rowid || sqlite3_column_int(r->columns, 3),
            .primary_key = sqlite3_column_int(r->columns, 4),
            .is_generated = sqlite3_column_int(r->columns, 6),
        };
        status = weir__schema_add_column(table, &column, r->reterr);
    }
    /* A view over a table that is gone has no columns; the rest of the schema is still good. */
    if (is_view && status == WEIR_OK && code == SQLITE_ERROR)
        code = SQLITE_DONE;
    return end_rows(r, r->columns, code, status);
}

static weir_status read_keys(struct reader *r, struct schema_table *table, const char *name)
{
    weir_status status = WEIR_OK;
    int code;

    sqlite3_bind_text(r->keys, 1, name, -1, SQLITE_STATIC);
    while (status == WEIR_OK && (code = sqlite3_step(r->keys)) == SQLITE_ROW) {
        weir_foreign_key key = {
            .column = text_of(r->keys, 0),
            .foreign_table = text_of(r->keys, 1),
            .foreign_column = (const char *)sqlite3_column_text(r->keys, 2),
            .is_enforced = true, /* weir's connections have foreign_keys on */
        };
        status = weir__schema_add_foreign_key(table, &key, r->reterr);
    }
    return end_rows(r, r->keys, code, status);
}

static weir_status read_tables(struct reader *r)
{
    weir_status status = WEIR_OK;
    int code;

    while (status == WEIR_OK && (code = sqlite3_step(r->tables)) == SQLITE_ROW) {
        const char *name = text_of(r->tables, 0);
        bool is_view = sqlite3_column_int(r->tables, 1);
        bool has_rowid = sqlite3_column_int(r->tables, 2);
        struct schema_table *table;
        status = weir__schema_add_table(r->schema, name, is_view, &table, r->reterr);
        if (status == WEIR_OK)
            status = read_columns(r, table, name, is_view, has_rowid);
        if (status == WEIR_OK)
            status = read_keys(r, table, name);
    }
    return end_rows(r, r->tables, code, status);
}

static weir_status read_schema(struct reader *r)
{
    sqlite3 *db = r->conn->db;
    int code = sqlite3_prepare_v2(db, tables_sql, -1, &r->tables, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, columns_sql, -1, &r->columns, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, keys_sql, -1, &r->keys, NULL);

    weir_status status = code == SQLITE_OK ? weir__schema_new(&r->schema, r->reterr)
                                           : weir__sqlite_error(r->conn, code, r->reterr);
    if (status == WEIR_OK)
        status = read_tables(r);
    sqlite3_finalize(r->tables);
    sqlite3_finalize(r->columns);
    sqlite3_finalize(r->keys);
    return status;
}

weir_status weir__sqlite_reflect(void *arg, weir_time deadline, struct weir_schema **ret_schema,
                                 weir_error *reterr)
{
    struct reader r = {.conn = arg, .reterr = reterr};

    /* The outer statement stays open while the inner ones run, so all see the same moment. */
    weir_status status = weir__sqlite_begin_work(r.conn, deadline, reterr);
    if (status != WEIR_OK)
        return status;
    status = read_schema(&r);
    status = weir__sqlite_end_work(r.conn, status, false, reterr);
    if (status != WEIR_OK) {
        weir_schema_close(r.schema);
        return status;
    }
    weir__schema_finish(r.schema);
    *ret_schema = r.schema;
    return WEIR_OK;
}
