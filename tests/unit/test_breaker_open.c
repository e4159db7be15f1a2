/* SPDX-License-Identifier: MIT */
/* The breaker once it has opened: waits, permits as leases, early decisions, results that come late. */
#include "unit/breaker_steps.h"
#include "unit/chance.h"

#include <pthread.h>

/* ---- open -------------------------------------------------------------------------------- */

static void it_stays_open_until_a_call_comes_strictly_after_its_wait(void)
{
    make(small());
    open_it();
    check_int(b.open_until, now + 60 * S);
    now += 60 * S;
    refused();
    check_int(stats().state, WEIR_BREAKER_OPEN);
    now += 1;
    check_int(stats().state, WEIR_BREAKER_OPEN);
    permit();
    check_int(stats().state, WEIR_BREAKER_HALF_OPEN);
}

static void late_results_of_closed_are_recorded_and_change_nothing(void)
{
    weir_breaker_options o = small();
    o.window_size = 20;
    make(o);
    weir_permit early[4] = {permit(), permit(), permit(), permit()};

    open_it();
    weir_breaker_stats before = stats();
    check_int(tell(early[0], WEIR_OUTCOME_SUCCESS, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(tell(early[1], WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, before.counts.calls + 2);
    check_int(stats().open_until, before.open_until);
    check_int(stats().late, 2);

    /* Nor do they decide for those who were let through half-open. */
    now = b.open_until + 1;
    weir_permit probe = permit();
    check_int(tell(early[2], WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 0);
    check_int(tell(probe, WEIR_OUTCOME_SUCCESS, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 1);
    succeed();
    check_int(succeed(), WEIR_BREAKER_RECLOSED);
    check_int(tell(early[3], WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 0);
    check_int(stats().late, 4);
}

static void the_wait_doubles_with_each_time_in_a_row_up_to_its_limit(void)
{
    const int waits_s[] = {60, 120, 240, 300, 300};

    make(small());
    open_it();
    for (int i = 0; i < 5; i++) {
        check_int(b.open_until - now, waits_s[i] * S);
        check_int(stats().opened_in_a_row, i + 1);
        now = b.open_until + 1;
        fail();
        check_int(fail(), WEIR_BREAKER_OPENED);
    }
    now = b.open_until + 1;
    succeed(), succeed();
    check_int(succeed(), WEIR_BREAKER_RECLOSED);
    check_int(stats().opened_in_a_row, 0);
    open_it();
    check_int(b.open_until - now, 60 * S);
}

static void the_wait_is_a_fifth_shorter_or_longer_by_chance(void)
{
    make(small());
    luck = 0;
    open_it();
    check_int(b.open_until - now, 48 * S);
    make(small());
    luck = UINT64_MAX;
    open_it();
    check_int(b.open_until - now, 72 * S);
}

static void a_thousand_breakers_that_open_together_try_again_spread_out(void)
{
    weir_time instants[1000];
    uint64_t seed = 8;

    for (int i = 0; i < 1000; i++) {
        make(small());
        luck = draw(&seed);
        open_it();
        instants[i] = b.open_until;
    }
    check(unevenness(instants, 1000, 1048 * S, 1072 * S) < SPREAD_LIMIT);
}

static void a_retry_after_opens_it_until_then_without_a_failure(void)
{
    make(small());
    weir_permit early = permit();
    check_int(weir_breaker_open_until(&b, now + 30 * S), WEIR_BREAKER_OPENED);
    check_int(stats().opened_in_a_row, 0);
    check_int(stats().counts.failed, 0);
    check_int(weir_breaker_open_until(&b, now + 10 * S), WEIR_BREAKER_UNCHANGED);
    now += 30 * S;
    refused();
    check_int(weir_breaker_open_until(&b, now + 5 * S), WEIR_BREAKER_UNCHANGED);
    now += 5 * S;
    refused();
    now += 1;
    permit();
    check_int(tell(early, WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(weir_breaker_open_until(&b, now + S), WEIR_BREAKER_OPENED);
    refused();
}

/* ---- half-open --------------------------------------------------------------------------- */

static void it_lets_only_the_permitted_calls_through(void)
{
    make(small());
    half_open_it();
    for (int i = 0; i < 4; i++)
        permit();
    refused();
    refused();
    check_int(stats().permits_out, 4);
    check_int(stats().not_permitted, 2);
}

static void results_that_are_in_take_the_place_of_permits(void)
{
    make(small());
    half_open_it();
    succeed();
    fail();
    permit();
    permit();
    refused();
    check_int(stats().permits_out, 2);
    check_int(stats().counts.calls, 2);
}

static void it_closes_empty_when_the_rate_is_below_the_threshold(void)
{
    make(small());
    half_open_it();
    check_int(succeed(), WEIR_BREAKER_UNCHANGED);
    check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(succeed(), WEIR_BREAKER_UNCHANGED);
    check_int(succeed(), WEIR_BREAKER_RECLOSED);
    check_int(stats().state, WEIR_BREAKER_CLOSED);
    check_int(stats().counts.calls, 0);
    for (int i = 0; i < 9; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
}

static void it_opens_again_at_the_threshold(void)
{
    make(small());
    half_open_it();
    succeed();
    check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(fail(), WEIR_BREAKER_OPENED);
    refused();
}

static void it_decides_as_soon_as_no_result_can_change_the_outcome(void)
{
    /* Two of four failed: half, whatever the others do. */
    make(small());
    half_open_it();
    weir_permit out[2] = {permit(), permit()};
    fail();
    check_int(fail(), WEIR_BREAKER_OPENED);
    check_int(tell(out[0], WEIR_OUTCOME_SUCCESS, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().state, WEIR_BREAKER_OPEN);

    /* Three of four succeeded: at most a quarter fails. */
    make(small());
    half_open_it();
    out[0] = permit();
    succeed(), succeed();
    check_int(succeed(), WEIR_BREAKER_RECLOSED);
    check_int(tell(out[0], WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 0);

    /* Slow ones are watched as well: only the last can tell whether all were. */
    make(small());
    half_open_it();
    for (int i = 0; i < 3; i++)
        check_int(tell(permit(), WEIR_OUTCOME_SUCCESS, 61 * S), WEIR_BREAKER_UNCHANGED);
    check_int(tell(permit(), WEIR_OUTCOME_SUCCESS, 61 * S), WEIR_BREAKER_OPENED);
}

/* Every order of results, against resilience4j's rule of waiting for all of them. */
static void deciding_early_decides_the_same(void)
{
    for (unsigned results = 0; results < 1u << 6; results++) {
        for (int threshold = 1; threshold <= 100; threshold += 7) {
            weir_breaker_options o = small();
            o.permitted_calls_in_half_open = 6;
            make(o);
            half_open_it();
            b.options.failure_rate_threshold = threshold;
            int failed = 0;
            for (unsigned bits = results; bits != 0; bits >>= 1)
                failed += bits & 1;
            weir_breaker_change change = WEIR_BREAKER_UNCHANGED;
            for (int i = 0; i < 6 && change == WEIR_BREAKER_UNCHANGED; i++)
                change = (results >> i & 1) ? fail() : succeed();
            check_int(change,
                      failed * 100 >= threshold * 6 ? WEIR_BREAKER_OPENED : WEIR_BREAKER_RECLOSED);
        }
    }
}

static void a_minimum_below_the_permits_is_enough(void)
{
    weir_breaker_options o = small();
    o.minimum_calls = 2;
    o.failure_rate_threshold = 60;

    make(o);
    half_open_it();
    fail();
    check_int(succeed(), WEIR_BREAKER_RECLOSED);
}

static void an_ignored_outcome_gives_the_permit_back(void)
{
    make(small());
    half_open_it();
    weir_permit out[4] = {permit(), permit(), permit(), permit()};
    refused();
    check_int(tell(out[2], WEIR_OUTCOME_IGNORED, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().permits_out, 3);
    permit();
    refused();
}

static void a_permit_that_is_lost_is_lent_again_when_its_lease_expires(void)
{
    make(small());
    half_open_it();
    weir_permit lost = permit();
    for (int i = 0; i < 3; i++)
        permit();
    now += 60 * S - 1;
    refused();
    now += 1;
    permit();
    check_int(stats().expired, 4);

    /* Its result, should it still come, belongs to nobody. */
    check_int(tell(lost, WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().late, 1);
    check_int(stats().counts.calls, 0);
    succeed(), succeed();
    check_int(succeed(), WEIR_BREAKER_RECLOSED);
}

static void a_result_is_told_once(void)
{
    make(small());
    half_open_it();
    weir_permit p = permit();
    tell(p, WEIR_OUTCOME_FAILURE, QUICK);
    check_int(tell(p, WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 1);
    check_int(stats().late, 1);
}

static void a_permit_of_nothing_is_late(void)
{
    make(small());
    check_int(tell((weir_permit){0}, WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 0);
    half_open_it();
    permit();
    check_int(tell((weir_permit){b.epoch, 0}, WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 0);
    check_int(stats().late, 2);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int let_through;

static void *try_it(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        weir_permit p;

        pthread_mutex_lock(&lock);
        let_through += weir_breaker_acquire(&b, now, &p);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void of_64_threads_at_the_end_of_the_wait_only_the_permitted_pass(void)
{
    pthread_t threads[64];

    make(small());
    half_open_it();
    let_through = 0;
    for (int i = 0; i < 64; i++)
        check_int(pthread_create(&threads[i], NULL, try_it, NULL), 0);
    for (int i = 0; i < 64; i++)
        pthread_join(threads[i], NULL);
    check_int(let_through, 4);
    check_int(stats().not_permitted, 64000 - 4);
}

int main(void)
{
    run(it_stays_open_until_a_call_comes_strictly_after_its_wait);
    run(late_results_of_closed_are_recorded_and_change_nothing);
    run(the_wait_doubles_with_each_time_in_a_row_up_to_its_limit);
    run(the_wait_is_a_fifth_shorter_or_longer_by_chance);
    run(a_thousand_breakers_that_open_together_try_again_spread_out);
    run(a_retry_after_opens_it_until_then_without_a_failure);
    run(it_lets_only_the_permitted_calls_through);
    run(results_that_are_in_take_the_place_of_permits);
    run(it_closes_empty_when_the_rate_is_below_the_threshold);
    run(it_opens_again_at_the_threshold);
    run(it_decides_as_soon_as_no_result_can_change_the_outcome);
    run(deciding_early_decides_the_same);
    run(a_minimum_below_the_permits_is_enough);
    run(an_ignored_outcome_gives_the_permit_back);
    run(a_permit_that_is_lost_is_lent_again_when_its_lease_expires);
    run(a_result_is_told_once);
    run(a_permit_of_nothing_is_late);
    run(of_64_threads_at_the_end_of_the_wait_only_the_permitted_pass);
    return check_done();
}
