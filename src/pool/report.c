/* SPDX-License-Identifier: MIT */
/* What an acquire reports of its wait: the error, the counters and the events. */
#include "pool/core.h"

#include <string.h>

static int known_limit(weir_pool *pool)
{
    weir_time now = weir__queue_now(pool);

    weir__lock(&pool->lock);
    int limit = weir__peer_limit(&weir__guarded_locked(pool)->peer, now);
    weir__unlock(&pool->lock);
    return limit;
}

/* Which limit it was, and who has what there is. */
static void describe_timeout(weir_pool *pool, weir_time waited, weir_error *error)
{
    double seconds = (double)waited / (double)WEIR_SECOND;
    char holders[WEIR_ERROR_TEXT - 256];
    int peer_limit = known_limit(pool);

    weir__describe_holders(pool, holders, sizeof holders);
    if (peer_limit > 0)
        weir_error_set(error, WEIR_TIMEOUT,
                       "pool \"%s\": limit of %d connections that the peer accepts reached, "
                       "connection timed out, timeout %.2f; held by: %s",
                       pool->name, peer_limit, seconds, holders);
    else
        weir_error_set(error, WEIR_TIMEOUT,
                       "pool \"%s\": limit of size %d overflow %d reached, connection timed out, "
                       "timeout %.2f; held by: %s",
                       pool->name, pool->options.pool_size,
                       pool->slot_count - pool->options.pool_size, seconds, holders);
}

weir_status weir__report_no_slot(weir_pool *pool, struct acquire *acquire, weir_status status,
                                 weir_error *reterr)
{
    if (status == WEIR_CLOSED)
        return weir_error_set(reterr, status, "pool \"%s\": closed, no connection can be acquired",
                              pool->name);
    if (status == WEIR_FULL) {
        atomic_fetch_add_explicit(&pool->refused, 1, memory_order_relaxed);
        return weir_error_set(reterr, status,
                              "pool \"%s\": %d callers are already waiting, the most that "
                              "max_waiters allows",
                              pool->name, pool->options.max_waiters);
    }

    weir_error error;
    weir_time waited = weir__pool_now(pool) - acquire->started;

    atomic_fetch_add_explicit(&pool->timeouts, 1, memory_order_relaxed);
    describe_timeout(pool, waited, &error);
    weir_pool_event event = {.file = acquire->file,
                             .line = acquire->line,
                             .thread = weir__this_thread(),
                             .error = &error,
                             .duration = waited};
    weir__emit(pool, WEIR_EVENT_TIMEOUT, &event);
    if (reterr != NULL)
        *reterr = error;
    return status;
}

/* It waited and has a slot now: count how long, and tell those who listen. */
void weir__report_wait(weir_pool *pool, struct acquire *acquire, const struct waiter *waiter)
{
    struct weir_slot *slot = waiter->slot;
    weir_time waited = weir__pool_now(pool) - waiter->queued_at;

    acquire->waited += waited;
    weir__histogram_observe(&slot->wait_time, waited);
    if (!weir__is_heard(pool, WEIR_EVENT_WAIT))
        return;
    weir_pool_event event = {
        .connection = slot->connection,
        .connection_id = atomic_load_explicit(&slot->connection_id, memory_order_relaxed),
        .file = acquire->file,
        .line = acquire->line,
        .thread = weir__this_thread(),
        .duration = waited,
    };
    weir__emit(pool, WEIR_EVENT_WAIT, &event);
}

/* Say what was learned, and what from. */
void weir__report_limit(weir_pool *pool, const struct acquire *acquire, const struct peer *peer,
                        weir_time now, const weir_error *cause)
{
    weir_error error = *cause;
    weir_time pause = peer->retry_at > now ? peer->retry_at - now : 0;

    atomic_fetch_add_explicit(&pool->peer_refusals, 1, memory_order_relaxed);
    weir_error_set(&error, WEIR_FULL,
                   "pool \"%s\": the peer accepts no more than %d connections, one more is tried "
                   "in %.2f s: %s",
                   pool->name, peer->limit, (double)pause / (double)WEIR_SECOND, cause->text);
    memcpy(error.sqlstate, cause->sqlstate, sizeof error.sqlstate);
    error.native = cause->native;
    weir_pool_event event = {.file = acquire->file,
                             .line = acquire->line,
                             .thread = weir__this_thread(),
                             .error = &error,
                             .duration = pause};
    weir__emit(pool, WEIR_EVENT_PEER_LIMIT, &event);
}
