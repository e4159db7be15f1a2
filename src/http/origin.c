/* SPDX-License-Identifier: MIT */
/* Origins by name, and by when they were used last. */
#include "http/origin.h"

#include "common/hash.h"
#include "common/list.h"
#include "common/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint32_t weir__origin_hash(const char *name)
{
    return (uint32_t)fnv1a_text(FNV1A_START, name);
}

/* ---- making one -------------------------------------------------------------------------- */

struct origin *weir__origin_new(const weir_http_options *options, const char *name)
{
    struct origin *origin = calloc(1, sizeof *origin);

    if (origin == NULL)
        return NULL;
    memcpy(origin->name, name, strlen(name) + 1);
    origin->hash = weir__origin_hash(name);
    origin->unstated_pause_ms = options->unstated_pause_ms;
    if (getrandom(&origin->random, sizeof origin->random, GRND_NONBLOCK) < 0)
        origin->random = (uint64_t)weir_now();
    /* The options were checked by whoever has them. */
    weir_status status = weir_breaker_init(&origin->breaker, &options->breaker, NULL);
    if (status == WEIR_OK)
        status = weir_budget_init(&origin->budget, &options->budget, NULL);
    if (status == WEIR_OK)
        status = weir_rate_limiter_init(&origin->rate_limit, &options->rate_limit, NULL);
    assert(status == WEIR_OK);
    (void)status;
    weir__mutex_init_adaptive(&origin->lock);
    return origin;
}

void weir__origin_free(struct origin *origin)
{
    if (origin == NULL)
        return;
    assert(origin->pool == NULL);
    weir__mutex_clear(&origin->lock);
    free(origin);
}

/* ---- the container ----------------------------------------------------------------------- */

struct origin *weir__origins_find(const struct origins *all, const char *name, uint32_t hash)
{
    struct origin *origin = all->buckets[hash % ORIGIN_BUCKETS];

    while (origin != NULL && (origin->hash != hash || strcmp(origin->name, name) != 0))
        origin = origin->next_in_bucket;
    return origin;
}

void weir__origins_add(struct origins *all, struct origin *origin)
{
    struct origin **bucket = &all->buckets[origin->hash % ORIGIN_BUCKETS];

    origin->next_in_bucket = *bucket;
    *bucket = origin;
    LIST_ADD_FIRST(origin, older, newer, all->newest, all->oldest);
    all->count++;
}

static void remove_origin(struct origins *all, struct origin *origin)
{
    struct origin **link = &all->buckets[origin->hash % ORIGIN_BUCKETS];

    while (*link != origin)
        link = &(*link)->next_in_bucket;
    *link = origin->next_in_bucket;
    LIST_REMOVE(origin, older, newer, all->newest, all->oldest);
    all->count--;
}

void weir__origins_use(struct origins *all, struct origin *origin)
{
    if (all->newest == origin)
        return;
    LIST_REMOVE(origin, older, newer, all->newest, all->oldest);
    LIST_ADD_FIRST(origin, older, newer, all->newest, all->oldest);
}

struct origin *weir__origins_next(const struct origins *all, const struct origin *origin)
{
    size_t bucket = origin == NULL ? 0 : origin->hash % ORIGIN_BUCKETS + 1;
    struct origin *next = origin == NULL ? NULL : origin->next_in_bucket;

    while (next != NULL ? next->pool == NULL : bucket < ORIGIN_BUCKETS)
        next = next != NULL ? next->next_in_bucket : all->buckets[bucket++];
    return next;
}

struct surplus weir__origins_trim(struct origins *all, int most_pools)
{
    struct surplus surplus = {0};

    for (struct origin *o = all->oldest; o != NULL && all->pools > most_pools; o = o->newer) {
        if (o->references > 0 || o->pool == NULL)
            continue;
        surplus.pool = o->pool;
        o->pool = NULL;
        all->pools--;
        break;
    }
    for (struct origin *o = all->oldest; o != NULL && all->count > ORIGINS_REMEMBERED;
         o = o->newer) {
        if (o->references > 0 || o->pool != NULL || o->is_set)
            continue;
        remove_origin(all, o);
        surplus.origin = o;
        break;
    }
    return surplus;
}

bool weir__origins_have_surplus(const struct origins *all, int most_pools)
{
    return all->pools > most_pools || all->count > ORIGINS_REMEMBERED;
}

uint64_t weir__origin_random_locked(struct origin *origin)
{
    return weir__scatter_next(&origin->random);
}
