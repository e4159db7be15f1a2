/* SPDX-License-Identifier: MIT */
/* What reflection last saw, shared by threads that may still read it while it is replaced. */
#ifndef WEIR_SERVER_SCHEMA_CACHE_H
#define WEIR_SERVER_SCHEMA_CACHE_H

#include "managed_db.h"

/* One reading of the tables; valid until schema_ref_drop(). */
struct schema_ref;

struct schema_cache {
    struct managed_db *manager;
    struct weir__mutex lock;           /* guards `current_locked` */
    struct schema_ref *current_locked; /* NULL until the first reading */
};

void schema_cache_init(struct schema_cache *cache, struct managed_db *manager);
void schema_cache_clear(struct schema_cache *cache);

/* The last reading; the first call reads. Errors as schema_cache_refresh(). Threads: any. */
WEIR_MUST_CHECK weir_status schema_cache_get(struct schema_cache *cache, weir_time deadline,
                                             struct schema_ref **ret_ref, weir_error *reterr);

/* Read now and keep it. Errors as managed_db_get_session() and weir_conn_reflect(). Threads: any. */
WEIR_MUST_CHECK weir_status schema_cache_refresh(struct schema_cache *cache, weir_time deadline,
                                                 struct schema_ref **ret_ref, weir_error *reterr);

const weir_schema *schema_ref_schema(const struct schema_ref *ref);
bool schema_ref_is_sqlite(const struct schema_ref *ref);
void schema_ref_drop(struct schema_ref *ref);

#endif
