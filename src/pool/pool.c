/* SPDX-License-Identifier: MIT */
/* A pool's beginning and end, and eviction. */
#include "pool/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t last_pool_id;

static int count_slots(const weir_pool_options *options)
{
    if (options->pool_size == 0 || options->max_overflow < 0)
        return WEIR_POOL_CEILING;
    return options->pool_size + options->max_overflow;
}

static void init(weir_pool *pool, const weir_pool_options *options, const weir_driver *driver,
                 void *driver_arg)
{
    memset(pool, 0, sizeof *pool);
    pool->options = *options;
    memcpy(pool->name, options->name, strlen(options->name) + 1);
    pool->options.name = pool->name;
    pool->driver = *driver;
    pool->driver_arg = driver_arg;
    pool->slot_count = count_slots(options);
    pool->kept = options->pool_size == 0 ? pool->slot_count : options->pool_size;
    pool->id = atomic_fetch_add_explicit(&last_pool_id, 1, memory_order_relaxed) + 1;
    pool->has_hints =
        !options->use_lifo && options->clock == NULL && options->nested == WEIR_NESTED_ALLOW;
    pool->is_watched = options->leak_report_after_ms > 0 || options->nested != WEIR_NESTED_ALLOW;
    pool->is_plain =
        pool->has_hints && !pool->is_watched && driver->is_alive == NULL && driver->reset == NULL;
    pool->ping_bypass = !options->pool_pre_ping || driver->ping == NULL ? INT64_MAX
                        : options->ping_bypass_ms == 0                  ? -1
                                                       : options->ping_bypass_ms * WEIR_MS;
    pool->recycle = options->pool_recycle_s < 0 ? -1 : options->pool_recycle_s * WEIR_SECOND;
    weir__mutex_init(&pool->lock);
}

weir_status weir_pool_open(const weir_pool_options *options, const weir_driver *driver,
                           void *driver_arg, weir_pool **ret_pool, weir_error *reterr)
{
    assert(driver->connect != NULL && driver->close != NULL);
    weir_status status = weir__pool_options_check(options, reterr);
    if (status != WEIR_OK)
        return status;

    size_t slots_size = (size_t)count_slots(options) * sizeof(struct weir_slot);
    weir_pool *pool = aligned_alloc(_Alignof(weir_pool), sizeof *pool);
    struct weir_slot *slots = aligned_alloc(_Alignof(struct weir_slot), slots_size);
    if (pool == NULL || slots == NULL) {
        free(pool);
        free(slots);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "pool \"%s\": out of memory for %d slots",
                              options->name, count_slots(options));
    }

    weir__checkout_init();
    init(pool, options, driver, driver_arg);
    memset(slots, 0, slots_size);
    pool->slots = slots;
    if (options->clock == NULL)
        weir__coarse_clock_start();
    *ret_pool = pool;
    return WEIR_OK;
}

/* It was nobody's when it was taken: neither events nor the lists of holders may name the last. */
static void forget_holder(weir_pool *pool, struct weir_slot *slot)
{
    atomic_store_explicit(&slot->file, NULL, memory_order_relaxed);
    atomic_store_explicit(&slot->line, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->thread, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->acquired_at, weir__pool_coarse_now(pool), memory_order_relaxed);
}

/* Close the idle connections of before an epoch or not used since an instant, each taken as any holder
 * would take it. */
static void close_idle(weir_pool *pool, uint32_t epoch, weir_time unused_since, weir_reason reason,
                       enum slot_state fate)
{
    uint64_t token = 0;
    struct weir_slot *slot;

    while ((slot = weir__slots_take_old(pool, epoch, unused_since, &token)) != NULL) {
        forget_holder(pool, slot);
        weir__slot_close(pool, slot, reason, NULL);
        weir__slot_free(pool, slot, token, fate);
    }
}

void weir_pool_evict_all(weir_pool *pool)
{
    uint32_t epoch = atomic_fetch_add_explicit(&pool->epoch, 1, memory_order_acq_rel) + 1;

    close_idle(pool, epoch, INT64_MIN, WEIR_REASON_EVICTED, SLOT_EMPTY);
}

void weir_pool_trim(weir_pool *pool, int64_t idle_ms)
{
    weir_time limit = idle_ms < 0 ? INT64_MIN : weir__pool_now(pool) - idle_ms * WEIR_MS + 1;

    close_idle(pool, 0, limit, WEIR_REASON_IDLE, SLOT_VACANT);
}

/* From now on nothing is checked out; idle connections are closed. */
static void shut(weir_pool *pool)
{
    weir__queue_close(pool);
    close_idle(pool, UINT32_MAX, INT64_MIN, WEIR_REASON_DISPOSED, SLOT_VACANT);
}

weir_status weir_pool_dispose(weir_pool *pool, weir_time deadline, weir_error *reterr)
{
    struct acquire acquire = {.deadline = deadline};
    weir_time until = weir__acquire_deadline(pool, &acquire);

    shut(pool);
    for (;;) {
        uint32_t returned = atomic_load_explicit(&pool->returned, memory_order_acquire);
        int leased = weir__slots_count_leased(pool);

        if (leased == 0)
            return WEIR_OK;
        if (until != WEIR_DEADLINE_NEVER && weir__pool_now(pool) >= until) {
            char holders[WEIR_ERROR_TEXT - 128];

            weir__describe_holders(pool, holders, sizeof holders);
            return weir_error_set(
                reterr, WEIR_TIMEOUT,
                "pool \"%s\": disposed, but %d connection%s still leased; held by: %s", pool->name,
                leased, leased == 1 ? "" : "s", holders);
        }
        weir__pool_wait(pool, &pool->returned, returned, until);
    }
}

void weir_pool_close(weir_pool *pool)
{
    if (pool == NULL)
        return;
    shut(pool);
    weir__pool_orphan(pool);
}

const char *weir_pool_name(const weir_pool *pool)
{
    return pool->name;
}

const weir_pool_options *weir_pool_get_options(const weir_pool *pool)
{
    return &pool->options;
}
