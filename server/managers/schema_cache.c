/* SPDX-License-Identifier: MIT */
/* Counted references to the last reflection. */
#include "schema_cache.h"

#include <stdatomic.h>
#include <stdlib.h>

struct schema_ref {
    weir_schema *schema;
    bool is_sqlite;
    /* The cache's own hold and one per reader. Up under the cache's lock, down anywhere;
     * acquire-release, so that the one who frees it comes after every reader. */
    _Atomic unsigned holders;
};

void schema_cache_init(struct schema_cache *cache, struct managed_db *manager)
{
    cache->manager = manager;
    weir__mutex_init(&cache->lock);
    cache->current_locked = NULL;
}

void schema_ref_drop(struct schema_ref *ref)
{
    if (ref == NULL || atomic_fetch_sub_explicit(&ref->holders, 1, memory_order_acq_rel) != 1)
        return;
    weir_schema_close(ref->schema);
    free(ref);
}

void schema_cache_clear(struct schema_cache *cache)
{
    schema_ref_drop(cache->current_locked);
    weir__mutex_clear(&cache->lock);
}

weir_status schema_cache_get(struct schema_cache *cache, weir_time deadline,
                             struct schema_ref **ret_ref, weir_error *reterr)
{
    weir__lock(&cache->lock);
    struct schema_ref *ref = cache->current_locked;
    if (ref != NULL)
        atomic_fetch_add_explicit(&ref->holders, 1, memory_order_relaxed);
    weir__unlock(&cache->lock);
    if (ref == NULL)
        return schema_cache_refresh(cache, deadline, ret_ref, reterr);
    *ret_ref = ref;
    return WEIR_OK;
}

static weir_status read_schema(struct managed_db *manager, weir_time deadline,
                               struct schema_ref *ref, weir_error *reterr)
{
    struct db_session session;

    weir_status status = managed_db_get_session(manager, deadline, &session, reterr);
    if (status != WEIR_OK)
        return status;
    ref->is_sqlite = db_session_is_sqlite(&session);
    status = weir_conn_reflect(session.conn, &ref->schema, reterr);
    db_session_end(&session);
    return status;
}

weir_status schema_cache_refresh(struct schema_cache *cache, weir_time deadline,
                                 struct schema_ref **ret_ref, weir_error *reterr)
{
    struct schema_ref *ref = calloc(1, sizeof *ref);

    if (ref == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read tables: out of memory");
    weir_status status = read_schema(cache->manager, deadline, ref, reterr);
    if (status != WEIR_OK) {
        free(ref);
        return status;
    }
    atomic_init(&ref->holders, 2);
    weir__lock(&cache->lock);
    struct schema_ref *old = cache->current_locked;
    cache->current_locked = ref;
    weir__unlock(&cache->lock);
    schema_ref_drop(old);
    *ret_ref = ref;
    return WEIR_OK;
}

const weir_schema *schema_ref_schema(const struct schema_ref *ref)
{
    return ref->schema;
}

bool schema_ref_is_sqlite(const struct schema_ref *ref)
{
    return ref->is_sqlite;
}
