/* SPDX-License-Identifier: MIT */
/* The life of each connection of a pool: when it was opened, checked out, reset and closed, by whom and why. */
#ifndef WEIR_SERVER_POOL_HISTORY_H
#define WEIR_SERVER_POOL_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include <weir/pool.h>

struct pool_history;

/*
 * Follow a pool from now on; before its first connection is opened. Of each connection that is open,
 * and of those closed last, what happened last is kept. With `has_loans` also each loan, which takes
 * the pool off its fast path.
 *
 * Errors: WEIR_FULL (the pool has no room for a listener), WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status pool_history_open(weir_pool *pool, bool has_loans,
                                              struct pool_history **ret_history,
                                              weir_error *reterr);

/* After the pool was closed. NULL is fine. */
void pool_history_close(struct pool_history *history);

/* {"has_loans", "connections": [{"id", "is_open", "events": [...], ...}]}, oldest connection first;
 * NULL when memory ran out. Threads: any. */
json_t *pool_history_json(struct pool_history *history);

#endif
