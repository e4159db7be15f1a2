/* SPDX-License-Identifier: MIT */
/* Every allocation of the pool fails once: no crash, no leak, and what was lent stays lent. */
#include "alloc_fail.h"
#include "unit/steps.h"

static bool is_fine(weir_status status)
{
    check(status == WEIR_OK || status == WEIR_NO_MEMORY);
    return status == WEIR_OK;
}

/* Detaching allocates; when that fails, the lease is what it was. */
static void detach_or_keep(weir_pool *pool, weir_lease *lease)
{
    weir_lease before = *lease;

    if (!is_fine(weir_pool_detach(lease)))
        check(memcmp(&before, lease, sizeof before) == 0);
    check(lease->connection == before.connection);
    check_int(pool_check_live(pool, &f), 0);
}

static void use_a_pool(weir_pool *pool)
{
    weir_lease a = take(pool);
    weir_lease b = take(pool);
    weir_lease c = take(pool);

    fake_listen(pool, &heard);
    detach_or_keep(pool, &a);
    detach_or_keep(pool, &b);
    give(pool, &a);
    discard(pool, &b, NULL);
    give(pool, &c);
    c = take(pool);
    weir_pool_evict_all(pool);
    detach_or_keep(pool, &c);
    weir_pool_close(pool);
    check_int(weir_pool_release(&c), WEIR_OK);
    check_int(f.live, 0);
}

static void on_a_fake_clock(void)
{
    weir_pool *pool = NULL;

    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 1);
    if (!is_fine(weir_pool_open(&o, &fake_driver, &f, &pool, &e))) {
        check(pool == NULL);
        check_contains(e.text, "pool \"fake\": out of memory");
        return;
    }
    use_a_pool(pool);
}

static void on_the_machines_clock(void)
{
    weir_pool *pool = NULL;

    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 1);
    o.clock = NULL;
    if (is_fine(weir_pool_open(&o, &fake_driver, &f, &pool, NULL)))
        use_a_pool(pool);
}

static void every_allocation_fails_once(void)
{
    check_int(alloc_fail_each(on_a_fake_clock), 5); /* pool, slots, three detached */
    check_int(alloc_fail_each(on_the_machines_clock), 5);
}

/* Acquiring, giving back, waiting and closing need no memory: they work when there is none. */
static void lending_and_giving_back_allocate_nothing(void)
{
    weir_pool *pool = open_pool(1, 1);
    weir_lease a = take(pool);
    weir_lease b = take(pool);

    atomic_store(&alloc_fail_in, 0);
    refused(pool, WEIR_TIMEOUT);
    give(pool, &a);
    discard(pool, &b, NULL);
    a = take(pool);
    weir_pool_evict_all(pool);
    give(pool, &a);
    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, &e), WEIR_OK);
    weir_pool_close(pool);
    check_int(atomic_exchange(&alloc_fail_in, -1), 0);
}

int main(void)
{
    run(every_allocation_fails_once);
    run(lending_and_giving_back_allocate_nothing);
    return check_done();
}
