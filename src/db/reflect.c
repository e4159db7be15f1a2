/* SPDX-License-Identifier: MIT */
/* Schemas: what reflection found, in name order. */
#include "db/reflect.h"

#include <stdlib.h>
#include <string.h>

struct schema_table {
    weir_table view; /* what users see; its arrays are the two below */
    weir_column *columns;
    weir_foreign_key *foreign_keys;
};

struct weir_schema {
    struct schema_table **tables;
    size_t count;
};

static weir_status no_memory(weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_NO_MEMORY, "reflection: out of memory");
}

/* Make room for one more of `size` bytes after `count`; grows when count is a power of two. */
static void *grow(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    return realloc(array, (count == 0 ? 1 : count * 2) * size);
}

weir_status weir__schema_new(weir_schema **ret_schema, weir_error *reterr)
{
    weir_schema *schema = calloc(1, sizeof *schema);

    if (schema == NULL)
        return no_memory(reterr);
    *ret_schema = schema;
    return WEIR_OK;
}

/* Every string of a schema is its own allocation, given up by this. */
static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void free_table(struct schema_table *table)
{
    for (size_t i = 0; i < table->view.column_count; i++) {
        free_text(table->columns[i].name);
        free_text(table->columns[i].sql_type);
    }
    for (size_t i = 0; i < table->view.foreign_key_count; i++) {
        free_text(table->foreign_keys[i].column);
        free_text(table->foreign_keys[i].foreign_table);
        free_text(table->foreign_keys[i].foreign_column);
    }
    free(table->columns);
    free(table->foreign_keys);
    free_text(table->view.name);
    free(table);
}

void weir_schema_close(weir_schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < schema->count; i++)
        free_table(schema->tables[i]);
    free(schema->tables);
    free(schema);
}

weir_status weir__schema_add_table(weir_schema *schema, const char *name, bool is_view,
                                   struct schema_table **ret_table, weir_error *reterr)
{
    void *tables = grow(schema->tables, schema->count, sizeof(struct schema_table *));
    if (tables == NULL)
        return no_memory(reterr);
    schema->tables = tables;

    struct schema_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return no_memory(reterr);
    table->view.name = strdup(name);
    table->view.is_view = is_view;
    if (table->view.name == NULL) {
        free(table);
        return no_memory(reterr);
    }
    schema->tables[schema->count++] = table;
    *ret_table = table;
    return WEIR_OK;
}

weir_status weir__schema_add_column(struct schema_table *table, const weir_column *column,
                                    weir_error *reterr)
{
    weir_column *columns = grow(table->columns, table->view.column_count, sizeof *columns);
    if (columns == NULL)
        return no_memory(reterr);
    table->view.columns = table->columns = columns;

    weir_column copy = *column;
    copy.name = strdup(column->name);
    copy.sql_type = strdup(column->sql_type);
    if (copy.name == NULL || copy.sql_type == NULL) {
        free_text(copy.name);
        free_text(copy.sql_type);
        return no_memory(reterr);
    }
    columns[table->view.column_count++] = copy;
    return WEIR_OK;
}

weir_status weir__schema_add_foreign_key(struct schema_table *table, const weir_foreign_key *key,
                                         weir_error *reterr)
{
    weir_foreign_key *keys = grow(table->foreign_keys, table->view.foreign_key_count, sizeof *keys);
    if (keys == NULL)
        return no_memory(reterr);
    table->view.foreign_keys = table->foreign_keys = keys;

    weir_foreign_key copy = {
        .column = strdup(key->column),
        .foreign_table = strdup(key->foreign_table),
        .foreign_column = key->foreign_column == NULL ? NULL : strdup(key->foreign_column),
        .is_enforced = key->is_enforced,
        .is_period = key->is_period,
    };
    if (copy.column == NULL || copy.foreign_table == NULL ||
        (key->foreign_column != NULL && copy.foreign_column == NULL)) {
        free_text(copy.column);
        free_text(copy.foreign_table);
        free_text(copy.foreign_column);
        return no_memory(reterr);
    }
    keys[table->view.foreign_key_count++] = copy;
    return WEIR_OK;
}

struct schema_table *weir__schema_table_named(weir_schema *schema, const char *name)
{
    for (size_t i = schema->count; i > 0; i--)
        if (strcmp(schema->tables[i - 1]->view.name, name) == 0)
            return schema->tables[i - 1];
    return NULL;
}

static int compare_tables(const void *a, const void *b)
{
    const struct schema_table *const *left = a;
    const struct schema_table *const *right = b;

    return strcmp((*left)->view.name, (*right)->view.name);
}

void weir__schema_finish(weir_schema *schema)
{
    if (schema->count > 1)
        qsort(schema->tables, schema->count, sizeof(struct schema_table *), compare_tables);
}

size_t weir_schema_table_count(const weir_schema *schema)
{
    return schema->count;
}

const weir_table *weir_schema_table(const weir_schema *schema, size_t index)
{
    return index < schema->count ? &schema->tables[index]->view : NULL;
}

static int compare_name(const void *name, const void *table)
{
    const struct schema_table *const *found = table;

    return strcmp(name, (*found)->view.name);
}

const weir_table *weir_schema_find(const weir_schema *schema, const char *name)
{
    if (schema->count == 0)
        return NULL;

    struct schema_table **found =
        bsearch(name, schema->tables, schema->count, sizeof(struct schema_table *), compare_name);
    return found == NULL ? NULL : &(*found)->view;
}

size_t weir_quote_name(const char *name, char *buffer, size_t size)
{
    size_t length = 0;
#define PUT(c)                                                                                     \
    do {                                                                                           \
        if (length + 1 < size)                                                                     \
            buffer[length] = (c);                                                                  \
        length++;                                                                                  \
    } while (0)

    PUT('"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            PUT('"');
        PUT(*name);
    }
    PUT('"');
#undef PUT
    if (size > 0)
        buffer[length < size ? length : size - 1] = '\0';
    return length;
}
