/* SPDX-License-Identifier: MIT */
/* Leases that are no longer one's own: whatever is done with one is refused, and does nothing. */
#include "unit/steps.h"

static weir_pool *the_pool;
static weir_lease held[2];

static void open_and_hold(int pool_size, int max_overflow)
{
    the_pool = open_pool(pool_size, max_overflow);
    for (int i = 0; i < pool_size + max_overflow; i++)
        held[i] = take(the_pool);
}

static void close_empty(void)
{
    weir_pool_close(the_pool);
    check_int(f.live, 0);
}

static uint64_t misuses(void)
{
    weir_pool_stats s;

    weir_pool_get_stats(the_pool, &s);
    return s.misuses;
}

/* Everything one can do with a lease that is no longer one's own. */
static void try_everything_with(const weir_lease *stale)
{
    weir_status (*const ways[])(weir_lease *) = {weir_pool_release, weir_pool_soft_invalidate,
                                                 weir_pool_detach};
    int calls = f.behaviour[FAKE_RESET].calls + f.behaviour[FAKE_CLOSE].calls;
    uint64_t before = misuses();

    for (int i = 0; i < 3; i++) {
        weir_lease copy = *stale;
        check_int(ways[i](&copy), WEIR_MISUSE);
        check(memcmp(&copy, stale, sizeof copy) == 0);
    }
    weir_lease copy = *stale;
    check_int(weir_pool_discard(&copy, NULL), WEIR_MISUSE);
    check_int(misuses() - before, 4);
    check_int(f.behaviour[FAKE_RESET].calls + f.behaviour[FAKE_CLOSE].calls, calls);
    check_int(heard.count, 0);
    check_int(pool_check_live(the_pool, &f), 0);
}

static void a_stale_lease_is_refused_whatever_became_of_its_slot(void)
{
    open_and_hold(1, 1);
    weir_lease stale = held[0];
    weir_lease overflow = held[1];

    fake_listen(the_pool, &heard);
    give(the_pool, &held[0]);
    heard.count = 0;
    try_everything_with(&stale); /* idle */
    give(the_pool, &held[1]);
    heard.count = 0;
    try_everything_with(&overflow); /* vacant */
    held[0] = take(the_pool);
    heard.count = 0;
    check(held[0].slot == stale.slot);
    try_everything_with(&stale); /* lent again */
    weir_lease second = held[0];
    discard(the_pool, &held[0], NULL);
    heard.count = 0;
    try_everything_with(&second); /* empty */
    held[0] = take(the_pool);
    weir_lease third = held[0];
    check_int(weir_pool_detach(&held[0]), WEIR_OK);
    heard.count = 0;
    try_everything_with(&third); /* detached */
    weir_lease detached = held[0];
    give(the_pool, &held[0]);
    heard.count = 0;
    check_int(weir_pool_release(&detached), WEIR_MISUSE);
    check_int(weir_pool_discard(&detached, NULL), WEIR_MISUSE);
    check_int(weir_pool_detach(&detached), WEIR_MISUSE);
    check_int(heard.count, 0);
    close_empty();
}

static weir_lease copy_of_held;

static void return_a_copy(struct fake *fake)
{
    for (int i = 0; i < FAKE_CALLS; i++)
        fake->behaviour[i].hook = NULL;
    weir_lease copy = copy_of_held;
    check_int(weir_pool_release(&copy), WEIR_MISUSE);
    check_int(weir_pool_discard(&copy, NULL), WEIR_MISUSE);
    check_int(weir_pool_detach(&copy), WEIR_MISUSE);
    check_int(weir_pool_soft_invalidate(&copy), WEIR_MISUSE);
}

/* Two threads give back copies of one lease: the second comes while the first is resetting or
 * closing the connection. If it were let in, two would work on one connection. */
static void a_copy_given_back_in_the_middle_of_the_return_is_refused(void)
{
    static const enum fake_call middles[] = {FAKE_RESET, FAKE_CLOSE, FAKE_CLOSE};

    for (int i = 0; i < 3; i++) {
        open_and_hold(1, 0);
        copy_of_held = held[0];
        f.behaviour[middles[i]].hook = return_a_copy;
        f.behaviour[FAKE_RESET].fail_next = i == 2;
        if (i == 1)
            discard(the_pool, &held[0], NULL);
        else
            give(the_pool, &held[0]);
        check_int(f.behaviour[FAKE_RESET].calls, i != 1);
        check_int(f.behaviour[FAKE_CLOSE].calls, i != 0);
        check_int(misuses(), 4);
        held[0] = take(the_pool);
        give(the_pool, &held[0]);
        close_empty();
    }
}

static void soft_invalidate_and_detach_need_a_lease(void)
{
    weir_lease nothing = {0};

    check_int(weir_pool_soft_invalidate(&nothing), WEIR_MISUSE);
    check_int(weir_pool_detach(&nothing), WEIR_MISUSE);
}

static void a_lease_of_nothing_can_be_given_back_any_number_of_times(void)
{
    weir_lease nothing = {0};

    check_int(weir_pool_release(&nothing), WEIR_OK);
    check_int(weir_pool_discard(&nothing, NULL), WEIR_OK);
    check_int(weir_lease_connection_id(&nothing), 0);
    weir_pool_close(NULL);
}

int main(void)
{
    run(a_stale_lease_is_refused_whatever_became_of_its_slot);
    run(a_copy_given_back_in_the_middle_of_the_return_is_refused);
    run(soft_invalidate_and_detach_need_a_lease);
    run(a_lease_of_nothing_can_be_given_back_any_number_of_times);
    return check_done();
}
