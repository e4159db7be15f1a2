/* SPDX-License-Identifier: MIT */
/* The statement cache: a hash table, a list by age, and hints by address for the common hit. */
#include "db/statement.h"

#include "common/hash.h"
#include "common/list.h"

#include <stdlib.h>
#include <string.h>

/* ---- leaves ------------------------------------------------------------------------------ */

/* Literals lie side by side, so the low bits of their addresses tell them apart well enough. */
static struct statement **hint_of(struct statement_cache *cache, const char *sql)
{
    uintptr_t address = (uintptr_t)sql;

    return &cache->hints[((address >> 3) ^ (address >> 9)) % STATEMENT_HINTS];
}

static struct statement **bucket_of(const struct statement_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

/* It was used last. */
static struct statement *touch(struct statement_cache *cache, struct statement *statement)
{
    if (cache->newest != statement) {
        LIST_REMOVE(statement, older, newer, cache->newest, cache->oldest);
        LIST_ADD_FIRST(statement, older, newer, cache->newest, cache->oldest);
    }
    return statement;
}

/* ---- coming and going -------------------------------------------------------------------- */

static void free_statement(struct statement_cache *cache, struct statement *statement)
{
    if (statement->prepared != NULL)
        cache->forget(cache->forget_arg, statement);
    weir__translation_clear(&statement->translation);
    free(statement);
}

static void drop(struct statement_cache *cache, struct statement *statement)
{
    struct statement **link = bucket_of(cache, statement->hash);
    while (*link != statement)
        link = &(*link)->next_in_bucket;
    *link = statement->next_in_bucket;

    LIST_REMOVE(statement, older, newer, cache->newest, cache->oldest);
    cache->count--;
    for (size_t i = 0; i < STATEMENT_HINTS; i++)
        if (cache->hints[i] == statement)
            cache->hints[i] = NULL;
    free_statement(cache, statement);
}

static void keep(struct statement_cache *cache, struct statement *statement)
{
    if (cache->count == cache->capacity)
        drop(cache, cache->oldest);

    struct statement **bucket = bucket_of(cache, statement->hash);
    statement->next_in_bucket = *bucket;
    *bucket = statement;
    LIST_ADD_FIRST(statement, older, newer, cache->newest, cache->oldest);
    cache->count++;
}

/* A translated statement, its source behind it, not yet in the cache. */
static weir_status new_statement(struct statement_cache *cache, const char *sql, size_t size,
                                 struct statement **ret_statement, weir_error *reterr)
{
    struct statement *statement = calloc(1, sizeof *statement + size + 1);
    if (statement == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "statement: out of memory");

    weir_status status = weir__translate(sql, cache->dialect, &statement->translation, reterr);
    if (status != WEIR_OK) {
        free(statement);
        return status;
    }
    statement->text = statement->translation.text;
    statement->text_size = statement->translation.text_size;
    statement->param_count = statement->translation.param_count;
    statement->names = statement->translation.names;
    statement->is_cached = cache->capacity > 0 && size <= STATEMENT_LONGEST_CACHED;
    statement->id = ++cache->last_id;
    statement->source = memcpy(statement + 1, sql, size + 1);
    statement->source_size = size;
    *ret_statement = statement;
    return WEIR_OK;
}

/* ---- the cache --------------------------------------------------------------------------- */

weir_status weir__statement_cache_init(struct statement_cache *cache, enum sql_dialect dialect,
                                       size_t capacity,
                                       void (*forget)(void *arg, struct statement *statement),
                                       void *forget_arg, weir_error *reterr)
{
    size_t bucket_count = 8;
    while (bucket_count < capacity)
        bucket_count *= 2;

    struct statement **buckets = calloc(bucket_count, sizeof *buckets);
    if (buckets == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "statement cache: out of memory");
    *cache = (struct statement_cache){
        .dialect = dialect,
        .capacity = capacity,
        .bucket_count = bucket_count,
        .buckets = buckets,
        .forget = forget,
        .forget_arg = forget_arg,
    };
    return WEIR_OK;
}

void weir__statement_cache_clear(struct statement_cache *cache)
{
    while (cache->newest != NULL)
        drop(cache, cache->newest);
    free(cache->buckets);
    *cache = (struct statement_cache){0};
}

static struct statement *find(const struct statement_cache *cache, const char *sql, size_t size,
                              uint64_t hash)
{
    struct statement *statement = *bucket_of(cache, hash);

    while (statement != NULL && (statement->hash != hash || statement->source_size != size ||
                                 memcmp(statement->source, sql, size) != 0))
        statement = statement->next_in_bucket;
    return statement;
}

weir_status weir__statement_get(struct statement_cache *cache, const char *sql,
                                struct statement **ret_statement, weir_error *reterr)
{
    /* The text behind an address may have changed since, so the address is only a place to look. */
    struct statement **hint = hint_of(cache, sql);
    if (*hint != NULL && strcmp((*hint)->source, sql) == 0) {
        *ret_statement = touch(cache, *hint);
        return WEIR_OK;
    }

    size_t size = strlen(sql);
    uint64_t hash = hash_bytes(sql, size);
    struct statement *statement = find(cache, sql, size, hash);
    if (statement == NULL) {
        weir_status status = new_statement(cache, sql, size, &statement, reterr);
        if (status != WEIR_OK)
            return status;
        statement->hash = hash;
        if (statement->is_cached)
            keep(cache, statement);
    }
    if (statement->is_cached)
        *hint = touch(cache, statement);
    *ret_statement = statement;
    return WEIR_OK;
}

void weir__statement_done(struct statement_cache *cache, struct statement *statement)
{
    if (!statement->is_cached)
        free_statement(cache, statement);
    else if (statement->prepared == NULL)
        drop(cache, statement);
}

bool weir__statement_cache_is_sane(const struct statement_cache *cache)
{
    size_t by_age = 0;
    size_t by_hash = 0;
    const struct statement *newer = NULL;

    for (const struct statement *s = cache->newest; s != NULL; newer = s, s = s->older) {
        if (s->newer != newer || !s->is_cached ||
            find(cache, s->source, s->source_size, s->hash) != s)
            return false;
        by_age++;
    }
    for (size_t i = 0; i < cache->bucket_count; i++)
        for (const struct statement *s = cache->buckets[i]; s != NULL; s = s->next_in_bucket)
            by_hash++;
    for (size_t i = 0; i < STATEMENT_HINTS; i++) {
        const struct statement *s = cache->hints[i];
        if (s != NULL && find(cache, s->source, s->source_size, s->hash) != s)
            return false;
    }
    return cache->oldest == newer && by_age == cache->count && by_hash == cache->count &&
           cache->count <= cache->capacity;
}
