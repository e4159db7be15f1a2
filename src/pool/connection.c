/* SPDX-License-Identifier: MIT */
/* The connection of a slot that the caller holds: opened, validated at checkout, reset on return, closed. */
#include "pool/validation.h"

#include <assert.h>

static weir_time expiry(weir_pool *pool, weir_time opened, uint64_t connection_id)
{
    if (pool->recycle < 0)
        return INT64_MAX;

    weir_time longest_cut = pool->recycle / 100 * pool->options.recycle_jitter_percent;
    uint64_t seed = connection_id ^ (pool->id << 48) ^ (uint64_t)opened;
    weir_time cut =
        longest_cut == 0 ? 0 : (weir_time)(weir__scatter(seed) % ((uint64_t)longest_cut + 1));
    return opened + pool->recycle - cut;
}

/* ---- closing ----------------------------------------------------------------------------- */

/* Whether a connection closed for this reason ended before its time. */
static bool is_invalidation(weir_reason reason)
{
    return reason == WEIR_REASON_DISCARDED || reason == WEIR_REASON_STALE ||
           reason == WEIR_REASON_PING || reason == WEIR_REASON_RESET || reason == WEIR_REASON_HOOK;
}

void weir__slot_close(weir_pool *pool, struct weir_slot *slot, weir_reason reason,
                      const weir_error *cause)
{
    if (is_invalidation(reason))
        weir__emit_for(pool, slot, WEIR_EVENT_INVALIDATE, reason, cause);
    if (weir__is_heard(pool, WEIR_EVENT_CLOSE))
        weir__emit_timed(pool, slot, WEIR_EVENT_CLOSE, reason, NULL,
                         weir__pool_now(pool) - slot->opened_at);
    WEIR_PROBE2(close, pool->options.name, weir_reason_name(reason));
    pool->driver.close(pool->driver_arg, slot->connection);
    slot->connection = NULL;
    slot->origin = SLOT_EMPTY;
    atomic_store_explicit(&slot->connection_id, 0, memory_order_relaxed);
    slot_bump(&slot->counts[COUNT_CLOSES]);
    slot_bump(&slot->closed_by[reason]);
}

/* ---- opening ----------------------------------------------------------------------------- */

/* An acquire that ends at its deadline with a slot in hand: the error's text is the caller's. */
static weir_status give_up(weir_pool *pool, struct acquire *acquire, const weir_error *error,
                           weir_error *reterr)
{
    weir_pool_event event = {.file = acquire->file,
                             .line = acquire->line,
                             .thread = weir__this_thread(),
                             .error = error,
                             .duration = weir__pool_now(pool) - acquire->started};

    atomic_fetch_add_explicit(&pool->timeouts, 1, memory_order_relaxed);
    weir__emit(pool, WEIR_EVENT_TIMEOUT, &event);
    if (reterr != NULL)
        *reterr = *error;
    return WEIR_TIMEOUT;
}

static weir_status give_up_late(weir_pool *pool, struct acquire *acquire, weir_error *reterr)
{
    weir_error error;

    weir_error_set(
        &error, WEIR_TIMEOUT,
        "pool \"%s\": the deadline passed before a connection could be checked or opened",
        pool->name);
    return give_up(pool, acquire, &error, reterr);
}

static weir_status give_up_unannounced(weir_pool *pool, struct acquire *acquire, weir_error *reterr)
{
    weir_error error;

    weir_error_set(&error, WEIR_TIMEOUT,
                   "pool \"%s\": the deadline passed before the first_connect listener of another "
                   "acquire had finished",
                   pool->name);
    return give_up(pool, acquire, &error, reterr);
}

/*
 * What is to be done once is done by one, and again by the next if it was refused. Others who open
 * at the same time wait with their new connections until it is done: they may depend on it. False:
 * another was in its listeners until the deadline.
 */
static bool may_announce(weir_pool *pool, weir_time deadline, bool *ret_is_first)
{
    uint32_t state = FIRST_CONNECT_DUE;

    *ret_is_first = false;
    while (!atomic_compare_exchange_strong_explicit(&pool->first_connect, &state, FIRST_CONNECT_NOW,
                                                    memory_order_acquire, memory_order_acquire)) {
        if (state == FIRST_CONNECT_DONE)
            return true;
        if (deadline != WEIR_DEADLINE_NEVER && weir__pool_now(pool) >= deadline)
            return false;
        weir__pool_wait(pool, &pool->first_connect, FIRST_CONNECT_NOW, deadline);
        state = FIRST_CONNECT_DUE;
    }
    *ret_is_first = true;
    return true;
}

static weir_status announce_first(weir_pool *pool, struct weir_slot *slot)
{
    weir_status status =
        weir__emit_for(pool, slot, WEIR_EVENT_FIRST_CONNECT, WEIR_REASON_NONE, NULL);

    atomic_store_explicit(&pool->first_connect,
                          status == WEIR_OK ? FIRST_CONNECT_DONE : FIRST_CONNECT_DUE,
                          memory_order_release);
    weir__unpark(&pool->first_connect);
    return status;
}

/*
 * Let the listeners have a connection that none of them has seen; any of them may refuse it. One whose
 * turn does not come by the deadline stays in its slot, and is announced to them at its next checkout.
 */
static weir_status announce(weir_pool *pool, struct weir_slot *slot, struct acquire *acquire,
                            bool is_new, weir_error *reterr)
{
    enum slot_state origin = slot->origin;
    weir_status status = WEIR_OK;
    bool is_first;

    if (!may_announce(pool, weir__acquire_deadline(pool, acquire), &is_first))
        return give_up_unannounced(pool, acquire, reterr);
    if (is_first)
        status = announce_first(pool, slot);
    if (status == WEIR_OK)
        status = weir__emit_timed(pool, slot, WEIR_EVENT_CONNECT, WEIR_REASON_NONE, NULL,
                                  slot->open_took);
    if (status == WEIR_OK) {
        slot->is_announced = true;
        slot_freshen(pool, slot, weir__pool_now(pool));
        return WEIR_OK;
    }
    weir__slot_close(pool, slot, WEIR_REASON_HOOK, NULL);
    if (is_new)
        slot->origin = origin; /* as after a failed open: what was not counted is so again */
    return weir_error_set(reterr, status, "pool \"%s\": a listener refused the new connection: %s",
                          pool->name, weir_status_text(status));
}

/* The peer has too many connections: for the caller that one could not be opened, unless it can wait
 * for another. */
static weir_status refused_by_peer(struct acquire *acquire, weir_time began, weir_error *reterr)
{
    acquire->is_peer_full = true;
    acquire->began = began;
    if (reterr != NULL)
        reterr->status = WEIR_CONNECT;
    return WEIR_CONNECT;
}

static weir_status open_connection(weir_pool *pool, struct weir_slot *slot, struct acquire *acquire,
                                   weir_error *reterr)
{
    weir_time deadline = weir__acquire_deadline(pool, acquire);
    weir_time started = weir__pool_now(pool);
    uint32_t epoch = atomic_load_explicit(&pool->epoch, memory_order_acquire);
    void *connection = NULL;

    if (deadline == WEIR_DEADLINE_NOW)
        deadline = WEIR_DEADLINE_NEVER;
    weir_status status = pool->driver.connect(pool->driver_arg, deadline, &connection, reterr);
    weir_time now = weir__pool_now(pool);
    WEIR_PROBE3(connect, pool->options.name, now - started, (int)status);
    if (status != WEIR_OK) {
        slot_bump(&slot->counts[COUNT_CONNECT_ERRORS]);
        return status == WEIR_FULL ? refused_by_peer(acquire, started, reterr) : status;
    }
    assert(connection != NULL);

    uint64_t id = atomic_fetch_add_explicit(&pool->next_connection_id, 1, memory_order_relaxed) + 1;
    slot->connection = connection;
    atomic_store_explicit(&slot->epoch, epoch, memory_order_relaxed);
    atomic_store_explicit(&slot->connection_id, id, memory_order_relaxed);
    atomic_store_explicit(&slot->expires_at, expiry(pool, started, id), memory_order_relaxed);
    atomic_store_explicit(&slot->last_used, now, memory_order_relaxed);
    atomic_store_explicit(&slot->fresh_until, INT64_MIN, memory_order_relaxed);
    slot->opened_at = now;
    slot->open_took = now - started;
    slot->is_announced = false;
    slot_bump(&slot->counts[COUNT_CONNECTS]);
    weir__histogram_observe(&slot->create_time, now - started);
    if (atomic_load_explicit(&pool->peer_limit, memory_order_relaxed) != 0)
        weir__queue_note_opened(pool, started, now);
    return WEIR_OK;
}

/* The first connection of its epoch that shows the server is not what it was ends the epoch; others
 * that find out at the same time find it ended and spare the connections opened since. */
static void end_epoch_of(weir_pool *pool, const struct weir_slot *slot)
{
    uint32_t epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed);

    atomic_compare_exchange_strong_explicit(&pool->epoch, &epoch, epoch + 1, memory_order_acq_rel,
                                            memory_order_relaxed);
}

/* ---- validation at checkout -------------------------------------------------------------- */

/* The check that costs a round trip. A ping cut short by the caller's own deadline proves nothing about
 * the other connections. */
static weir_status ping(weir_pool *pool, struct weir_slot *slot, struct acquire *acquire,
                        weir_error *cause)
{
    weir_time limit = weir__acquire_deadline(pool, acquire);
    weir_time started = weir__pool_now(pool);
    weir_time deadline = started + pool->options.ping_timeout_ms * WEIR_MS;
    bool is_cut_short = limit != WEIR_DEADLINE_NOW && limit < deadline;

    slot_bump(&slot->counts[COUNT_PINGS]);
    weir_status status = pool->driver.ping(pool->driver_arg, slot->connection,
                                           is_cut_short ? limit : deadline, cause);
    if (status == WEIR_OK) {
        if (weir__is_heard(pool, WEIR_EVENT_PING))
            weir__emit_timed(pool, slot, WEIR_EVENT_PING, WEIR_REASON_NONE, NULL,
                             weir__pool_now(pool) - started);
        return WEIR_OK;
    }
    slot_bump(&slot->counts[COUNT_PING_FAILURES]);
    weir__emit_timed(pool, slot, WEIR_EVENT_PING_FAILURE, WEIR_REASON_NONE, cause,
                     weir__pool_now(pool) - started);
    if (!(is_cut_short && status == WEIR_TIMEOUT))
        end_epoch_of(pool, slot);
    return status;
}

/* Ping the slot's connection, and close it if it does not answer. */
static void check_with_ping(weir_pool *pool, struct weir_slot *slot, struct acquire *acquire)
{
    weir_error cause;

    if (ping(pool, slot, acquire, &cause) != WEIR_OK)
        weir__slot_close(pool, slot, WEIR_REASON_PING, &cause);
}

/* A checkout that was announced and came to nothing ends with a checkin, as SQLAlchemy's do. */
static weir_status refuse(weir_pool *pool, struct weir_slot *slot, weir_status status,
                          weir_error *reterr)
{
    weir__emit_for(pool, slot, WEIR_EVENT_CHECKIN, WEIR_REASON_NONE, NULL);
    return weir_error_set(reterr, status, "pool \"%s\": a checkout listener refused: %s",
                          pool->name, weir_status_text(status));
}

/* Whether the acquire's deadline has passed; one that never waits has none. */
static bool is_late(weir_pool *pool, struct acquire *acquire)
{
    weir_time deadline = weir__acquire_deadline(pool, acquire);

    return deadline != WEIR_DEADLINE_NOW && deadline != WEIR_DEADLINE_NEVER &&
           weir__pool_now(pool) >= deadline;
}

/*
 * Validate an open connection; the slot is empty afterwards if a check failed. An acquire that
 * comes too late may have what needs no ping. A ping without time would cost a good connection.
 */
static weir_status validate(weir_pool *pool, struct weir_slot *slot, weir_time now,
                            struct acquire *acquire, weir_error *reterr)
{
    weir_reason reason = slot_outdated(pool, slot, now);

    if (reason == WEIR_REASON_NONE && pool->driver.is_alive != NULL &&
        !pool->driver.is_alive(pool->driver_arg, slot->connection))
        reason = WEIR_REASON_STALE;
    if (reason != WEIR_REASON_NONE) {
        weir__slot_close(pool, slot, reason, NULL);
        return WEIR_OK;
    }
    if (!slot_needs_ping(pool, slot, now))
        return WEIR_OK;
    if (is_late(pool, acquire))
        return give_up_late(pool, acquire, reterr);
    check_with_ping(pool, slot, acquire);
    return WEIR_OK;
}

/* Leave an open connection in the slot that its listeners know of. */
static weir_status provide(weir_pool *pool, struct weir_slot *slot, weir_time now,
                           struct acquire *acquire, weir_error *reterr)
{
    weir_status status = WEIR_OK;

    if (slot->connection != NULL)
        status = validate(pool, slot, now, acquire, reterr);
    if (status != WEIR_OK)
        return status;

    bool is_new = slot->connection == NULL;
    if (is_new && is_late(pool, acquire))
        return give_up_late(pool, acquire, reterr);
    if (is_new)
        status = open_connection(pool, slot, acquire, reterr);
    if (status == WEIR_OK && !slot->is_announced)
        status = announce(pool, slot, acquire, is_new, reterr);
    return status;
}

weir_status weir__slot_ready(weir_pool *pool, struct weir_slot *slot, weir_time now,
                             struct acquire *acquire, weir_error *reterr)
{
    for (int refusals = 0;; refusals++) {
        weir_status status = provide(pool, slot, now, acquire, reterr);

        if (status != WEIR_OK && refusals > 0)
            weir__emit_for(pool, slot, WEIR_EVENT_CHECKIN, WEIR_REASON_NONE, NULL);
        if (status != WEIR_OK || !weir__is_heard(pool, WEIR_EVENT_CHECKOUT))
            return status;

        weir_status answer =
            weir__emit_for(pool, slot, WEIR_EVENT_CHECKOUT, WEIR_REASON_NONE, NULL);
        if (answer == WEIR_OK)
            return WEIR_OK;
        if (answer == WEIR_DISCONNECTED)
            weir__slot_close(pool, slot, WEIR_REASON_HOOK, NULL);
        if (answer != WEIR_DISCONNECTED || refusals > 0)
            return refuse(pool, slot, answer, reterr);
    }
}

/* ---- reset on return --------------------------------------------------------------------- */

static void reset(weir_pool *pool, struct weir_slot *slot)
{
    weir_error cause;
    weir_time deadline = weir__pool_coarse_now(pool) + pool->options.reset_timeout_ms * WEIR_MS;

    slot_bump(&slot->counts[COUNT_RESETS]);
    weir_status status = pool->driver.reset(pool->driver_arg, slot->connection,
                                            pool->options.reset_on_return, deadline, &cause);
    if (status == WEIR_CONNECT)
        end_epoch_of(pool, slot);
    if (status != WEIR_OK)
        weir__slot_close(pool, slot, WEIR_REASON_RESET, &cause);
}

void weir__slot_clean(weir_pool *pool, struct weir_slot *slot)
{
    if (!slot_is_current(pool, slot)) {
        weir__slot_close(pool, slot, WEIR_REASON_EVICTED, NULL);
        return;
    }
    weir__emit_for(pool, slot, WEIR_EVENT_RESET, WEIR_REASON_NONE, NULL);
    if (pool->driver.reset != NULL)
        reset(pool, slot);
}
