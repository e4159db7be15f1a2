/* SPDX-License-Identifier: MIT */
/* Statements of one connection: translated once, found again by their text, least used dropped first. */
#ifndef WEIR_DB_STATEMENT_H
#define WEIR_DB_STATEMENT_H

#include "db/params.h"

/*
 * One statement. The driver reads the text in its dialect and keeps what it prepared in `prepared`;
 * everything else belongs to the cache.
 *
 * A driver whose session has lost all that was prepared (DISCARD ALL) need not find the statements:
 * it keeps a generation in what `prepared` points to and prepares anew when that is not the current
 * one. `id` is unique on its connection and never used again, so that it can name a statement on the
 * server.
 */
struct statement {
    const char *text; /* in the engine's dialect, terminated */
    size_t text_size;
    int param_count;          /* placeholders are 1 to param_count */
    const char *const *names; /* names[i] is that of placeholder i + 1; NULL when positional */
    bool is_cached;           /* kept, so worth preparing; false: used once and then forgotten */
    uint64_t id;
    void *prepared; /* the driver's; NULL until its first use */

    /* the cache's own */
    struct translation translation;
    const char *source; /* as the user wrote it: the key */
    size_t source_size;
    uint64_t hash;
    struct statement *next_in_bucket;
    struct statement *newer;
    struct statement *older;
};

/* Longer statements are not worth their memory in every connection: they are translated each time. */
#define STATEMENT_LONGEST_CACHED 32768

/* Where to look first, by the address of the text: most programs ask with the same literals. */
#define STATEMENT_HINTS 64

/*
 * The cache of one connection; one thread at a time.
 *
 * Every cached statement is in its bucket's chain and in the list from newest to oldest, and
 * nowhere else; count <= capacity. A hint may point at any cached statement or be NULL: it is only
 * believed after its text was compared.
 */
struct statement_cache {
    enum sql_dialect dialect;
    size_t capacity; /* 0: nothing is kept */
    size_t count;
    size_t bucket_count; /* a power of two */
    struct statement **buckets;
    struct statement *newest;
    struct statement *oldest;
    struct statement *hints[STATEMENT_HINTS];
    uint64_t last_id;

    /* Called before a statement goes away, when its `prepared` is not NULL. */
    void (*forget)(void *forget_arg, struct statement *statement);
    void *forget_arg;
};

weir_status weir__statement_cache_init(struct statement_cache *cache, enum sql_dialect dialect,
                                       size_t capacity,
                                       void (*forget)(void *arg, struct statement *statement),
                                       void *forget_arg, weir_error *reterr);

/* Drop all statements and the memory. Everything was forgotten by the driver then. */
void weir__statement_cache_clear(struct statement_cache *cache);

/*
 * The statement of this text: found, or translated and added, the oldest making room.
 *
 * Valid until the next call on the cache; one that is not cached must be given to
 * weir__statement_done(), others may be.
 * Errors: as weir__translate().
 */
weir_status weir__statement_get(struct statement_cache *cache, const char *sql,
                                struct statement **ret_statement, weir_error *reterr);

/* After its use: frees a statement that is not kept, and drops one that the driver could not
 * prepare, so that broken SQL does not push out what works. */
void weir__statement_done(struct statement_cache *cache, struct statement *statement);

/* Check the invariant above; for tests. */
bool weir__statement_cache_is_sane(const struct statement_cache *cache);

#endif
