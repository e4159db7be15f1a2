/* SPDX-License-Identifier: MIT */
/* SQL is put together from reflected, quoted names only; everything else is a parameter. */
#include "table_query.h"

#include <stdlib.h>
#include <string.h>

#include "text/parse.h"
#include "text/text.h"

static const struct {
    const char *table;
    const char *column;
} id_columns[] = {
    {"Answers", "ID"},
    {"HCCH Answers", "ID"},
    {"Domestic Instruments", "ID"},
    {"Domestic Legal Provisions", "Name"},
    {"Regional Instruments", "ID"},
    {"Regional Legal Provisions", "ID"},
    {"International Instruments", "ID"},
    {"International Legal Provisions", "ID"},
    {"Court Decisions", "ID"},
    {"Jurisdictions", "Alpha-3 Code"},
    {"Literature", "ID"},
};

static const weir_column *find_column(const weir_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    }
    return NULL;
}

/* The column at a place of the primary key, from 1. */
static const weir_column *key_column(const weir_table *table, int place)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].primary_key == place)
            return &table->columns[i];
    }
    return NULL;
}

const weir_column *table_id_column(const weir_table *table)
{
    for (size_t i = 0; i < sizeof id_columns / sizeof *id_columns; i++) {
        if (strcmp(id_columns[i].table, table->name) == 0) {
            const weir_column *column = find_column(table, id_columns[i].column);
            if (column != NULL)
                return column;
        }
    }
    return key_column(table, 2) == NULL ? key_column(table, 1) : NULL;
}

static void add_name(struct text *sql, const char *name)
{
    char quoted[512];
    size_t size = weir_quote_name(name, quoted, sizeof quoted);

    if (size < sizeof quoted) {
        text_add_n(sql, quoted, size);
        return;
    }
    char *longer = malloc(size + 1);
    if (longer == NULL) {
        text_clear(sql);
        sql->has_failed = true;
        return;
    }
    weir_quote_name(name, longer, size + 1);
    text_add_n(sql, longer, size);
    free(longer);
}

/* Rows keep their order from page to page only if something orders them: the primary key, else the
 * id column, else where the row is stored. */
static void add_order(struct text *sql, const weir_table *table, bool is_sqlite, bool has_id_order)
{
    const weir_column *column = key_column(table, 1);

    if (column != NULL) {
        for (int place = 1; (column = key_column(table, place)) != NULL; place++) {
            text_add(sql, place == 1 ? " ORDER BY " : ", ");
            add_name(sql, column->name);
        }
        return;
    }
    column = has_id_order ? table_id_column(table) : NULL;
    if (column != NULL) {
        text_add(sql, " ORDER BY ");
        add_name(sql, column->name);
    } else if (!table->is_view) {
        text_add(sql, is_sqlite ? " ORDER BY rowid" : " ORDER BY ctid");
    }
}

void table_query_page(struct table_query *query, const weir_table *table, bool is_sqlite,
                      bool has_id_order, int64_t limit, int64_t offset)
{
    struct text sql = {0};

    text_add(&sql, "SELECT * FROM ");
    add_name(&sql, table->name);
    add_order(&sql, table, is_sqlite, has_id_order);
    text_add(&sql, " LIMIT :limit OFFSET :offset");
    query->sql = text_take(&sql);
    query->params[0] = (weir_param){"limit", weir_int(limit)};
    query->params[1] = (weir_param){"offset", weir_int(offset)};
    query->param_count = 2;
}

/* ---- one row ------------------------------------------------------------------------------ */

static void add_param(struct table_query *query, const char *name, weir_value value)
{
    query->params[query->param_count++] = (weir_param){name, value};
}

/* One kind of value that the id may stand for: `values` is what stands behind the column. */
static void add_kind(struct text *sql, const weir_column *column, const char *values,
                     const char *kind)
{
    text_add(sql, sql->data[sql->size - 1] == '(' ? "(" : " OR (");
    add_name(sql, column->name);
    text_addf(sql, " %s AND typeof(", values);
    add_name(sql, column->name);
    text_addf(sql, ") = '%s')", kind);
}

/* Whole numbers, and what a column declared as BOOLEAN shows as true and false. */
static bool read_integer(const weir_column *column, const char *id, int64_t *ret_number)
{
    if (column->type == WEIR_BOOL && (strcmp(id, "true") == 0 || strcmp(id, "false") == 0)) {
        *ret_number = id[0] == 't';
        return true;
    }
    return parse_integer(id, INT64_MIN, INT64_MAX, ret_number);
}

/* Texts, of which a time may be stored in several spellings. `room` has room for all of them. */
static void add_texts(struct table_query *query, struct text *sql, const weir_column *column,
                      const char *id, char *room)
{
    static const char *const names[ROW_ID_TIMES] = {"t0",  "t1",  "t2",  "t3",  "t4",
                                                    "t5",  "t6",  "t7",  "t8",  "t9",
                                                    "t10", "t11", "t12", "t13", "t14"};
    unsigned most = column->type == WEIR_TIMESTAMP ? ROW_ID_TIMES : 1;
    struct text values = {0};

    for (unsigned i = 0; i < most; i++) {
        if (!row_id_spell_time(id, i, room))
            continue;
        text_addf(&values, "%s:%s", values.size == 0 ? "IN (" : ", ", names[i]);
        add_param(query, names[i], weir_text(room));
        room += strlen(room) + 1;
    }
    text_add(&values, ")");
    char *list = text_take(&values);
    if (list == NULL)
        sql->has_failed = true;
    else
        add_kind(sql, column, list, "text");
    free(list);
}

/*
 * SQLite stores values of any type in any column, and JSON shows a number, a text and a blob alike where
 * the id stands in a URL. So the id is compared as each of them, with the values of that very type:
 * without that, SQLite would convert '1.0' into the 1 of an INTEGER column. Each part is found by the
 * column's index. Where several rows match, numbers come first, then texts, then blobs.
 */
static void add_sqlite_condition(struct table_query *query, struct text *sql,
                                 const weir_column *column, const char *id)
{
    size_t length = strlen(id);
    char *room = malloc(length + 1 + ROW_ID_TIMES * (length + ROW_ID_TIME_ROOM));
    int64_t number;
    double real;
    size_t size;

    query->storage = room;
    text_add(sql, "(");
    if (room == NULL || sql->has_failed) {
        sql->has_failed = true;
        return;
    }
    if (read_integer(column, id, &number)) {
        add_param(query, "integer", weir_int(number));
        add_kind(sql, column, "= :integer", "integer");
    }
    if (row_id_read_real(id, &real)) {
        add_param(query, "real", weir_double(real));
        add_kind(sql, column, "= :real", "real");
    }
    if (row_id_read_blob(id, room, &size)) {
        add_param(query, "blob", weir_blob(room, size));
        add_kind(sql, column, "= :blob", "blob");
    }
    add_texts(query, sql, column, id, room + length + 1);
    text_add(sql, ") ORDER BY typeof(");
    add_name(sql, column->name);
    text_add(sql, ") = 'blob', typeof(");
    add_name(sql, column->name);
    text_add(sql, ")");
}

/* The name of a type without its modifiers, `numeric` for numeric(5,2): a cast to the latter would round
 * what it does not have to find. */
static void add_type(struct text *sql, const char *sql_type)
{
    const char *open = strchr(sql_type, '(');
    const char *close = open == NULL || sql_type[0] == '"' ? NULL : strchr(open, ')');

    if (close == NULL)
        text_add(sql, sql_type);
    else
        text_addf(sql, "%.*s%s", (int)(open - sql_type), sql_type, close + 1);
}

/*
 * `column = :id`, with an id that the server reads as the column's type, so that its index serves. Whole
 * numbers are compared as 64-bit ones, which every integer index takes, and blobs come as their bytes. Of
 * an id for a "char" column, PostgreSQL would only read the first byte.
 */
static void add_postgres_condition(struct table_query *query, struct text *sql,
                                   const weir_column *column, const char *id, enum id_match match)
{
    int64_t number = 0;
    size_t size = 0;

    if (strcmp(column->sql_type, "\"char\"") == 0)
        match = ID_MATCH_TEXT;
    text_add(sql, match == ID_MATCH_TEXT ? "CAST(" : "");
    add_name(sql, column->name);
    text_add(sql, match == ID_MATCH_TEXT ? " AS text) = " : " = ");
    if (match == ID_MATCH_VALUE && column->type == WEIR_INT) {
        query->is_never = !parse_integer(id, INT64_MIN, INT64_MAX, &number);
        add_param(query, "id", weir_int(number));
        text_add(sql, "CAST(:id AS bigint)");
    } else if (match == ID_MATCH_VALUE && column->type == WEIR_BLOB) {
        query->storage = malloc(strlen(id) + 1);
        sql->has_failed |= query->storage == NULL;
        query->is_never = query->storage != NULL && !row_id_read_blob(id, query->storage, &size);
        add_param(query, "id", weir_blob(query->storage, size));
        text_add(sql, ":id");
    } else if (match == ID_MATCH_CAST) {
        add_param(query, "id", weir_text(id));
        text_add(sql, "CAST(:id AS ");
        add_type(sql, column->sql_type);
        text_add(sql, ")");
    } else {
        add_param(query, "id", weir_text(id));
        text_add(sql, ":id");
    }
}

weir_status table_query_row(struct table_query *query, const weir_table *table, const char *id,
                            bool is_sqlite, enum id_match match, weir_error *reterr)
{
    struct text sql = {0};
    const weir_column *column = table_id_column(table);

    if (column == NULL)
        return weir_error_set(reterr, WEIR_INVALID,
                              "table \"%s\" has no single-column primary key, so rows cannot be "
                              "found by id",
                              table->name);
    text_add(&sql, "SELECT * FROM ");
    add_name(&sql, table->name);
    text_add(&sql, " WHERE ");
    if (is_sqlite)
        add_sqlite_condition(query, &sql, column, id);
    else
        add_postgres_condition(query, &sql, column, id, match);
    text_add(&sql, " LIMIT 1");
    query->sql = text_take(&sql);
    return WEIR_OK;
}

void table_query_clear(struct table_query *query)
{
    free(query->sql);
    free(query->storage);
    *query = (struct table_query){0};
}
