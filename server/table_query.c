/* SPDX-License-Identifier: MIT */
/* SQL is put together from reflected, quoted names only; everything else is a parameter. */
#include "table_query.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text.h"
#include "validate.h"

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
static void add_order(struct text *sql, const weir_table *table, bool is_sqlite)
{
    const weir_column *column = key_column(table, 1);

    if (column != NULL) {
        for (int place = 1; (column = key_column(table, place)) != NULL; place++) {
            text_add(sql, place == 1 ? " ORDER BY " : ", ");
            add_name(sql, column->name);
        }
        return;
    }
    column = table_id_column(table);
    if (column != NULL) {
        text_add(sql, " ORDER BY ");
        add_name(sql, column->name);
    } else if (!table->is_view) {
        text_add(sql, is_sqlite ? " ORDER BY rowid" : " ORDER BY ctid");
    }
}

void table_query_page(struct table_query *query, const weir_table *table, bool is_sqlite,
                      int64_t limit, int64_t offset)
{
    struct text sql = {0};

    text_add(&sql, "SELECT * FROM ");
    add_name(&sql, table->name);
    add_order(&sql, table, is_sqlite);
    text_add(&sql, " LIMIT :limit OFFSET :offset");
    query->sql = text_take(&sql);
    query->params[0] = (weir_param){"limit", weir_int(limit)};
    query->params[1] = (weir_param){"offset", weir_int(offset)};
    query->param_count = 2;
}

/* Whether the column's values compare with a text parameter as they stand, using its index. */
static bool is_plain_text(const weir_column *column)
{
    static const char *const types[] = {"text", "character", "varchar", "char", "name", "clob"};

    if (column->type != WEIR_TEXT)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strncasecmp(column->sql_type, types[i], strlen(types[i])) == 0)
            return strchr(column->sql_type, '[') == NULL; /* and is no array of them */
    }
    return false;
}

/*
 * `column = :id` in the column's own type. Integers are compared as 64-bit ones, which every integer
 * index serves; an id that is no integer equals none of them. Other types than text are compared
 * by what they look like, so that no id can make the statement fail.
 */
static void add_condition(struct table_query *query, struct text *sql, const weir_column *column,
                          const char *id)
{
    int64_t number;

    query->param_count = 1;
    if (column->type == WEIR_INT) {
        query->is_never = !validate_is_integer(id, INT64_MIN, INT64_MAX, &number);
        query->params[0] = (weir_param){"id", weir_int(query->is_never ? 0 : number)};
        add_name(sql, column->name);
        text_add(sql, " = CAST(:id AS bigint)");
        return;
    }
    query->params[0] = (weir_param){"id", weir_text(id)};
    if (is_plain_text(column)) {
        add_name(sql, column->name);
        text_add(sql, " = :id");
        return;
    }
    text_add(sql, "CAST(");
    add_name(sql, column->name);
    text_add(sql, " AS text) = :id");
}

weir_status table_query_row(struct table_query *query, const weir_table *table, const char *id,
                            weir_error *reterr)
{
    struct text sql = {0};
    const weir_column *column = table_id_column(table);

    if (column == NULL)
        return weir_error_set(reterr, WEIR_INVALID,
                              "table \"%s\" has no primary key of one column, so no id finds a row",
                              table->name);
    text_add(&sql, "SELECT * FROM ");
    add_name(&sql, table->name);
    text_add(&sql, " WHERE ");
    add_condition(query, &sql, column, id);
    text_add(&sql, " LIMIT 1");
    query->sql = text_take(&sql);
    return WEIR_OK;
}

void table_query_clear(struct table_query *query)
{
    free(query->sql);
    *query = (struct table_query){0};
}
