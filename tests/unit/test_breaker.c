/* SPDX-License-Identifier: MIT */
/* The breaker: resilience4j's states, thresholds and comparisons, and where weir's leases and waits differ. */
#include "check.h"
#include "unit/chance.h"

#include <weir/breaker.h>

#include <pthread.h>

#define QUICK WEIR_MS
#define S WEIR_SECOND

static weir_error e;
static weir_breaker b;
static weir_time now;
static uint64_t luck; /* the random bits of the next wait; half of 2^64 is no jitter */

/* What must hold between any two calls. */
static void check_invariant(void)
{
    weir_breaker_stats s;
    weir_breaker_counts sum = {0};

    weir_breaker_get_stats(&b, now, &s);
    check(s.state != WEIR_BREAKER_HALF_OPEN ||
          s.permits_out + (int)s.counts.calls <= b.options.permitted_calls_in_half_open);
    check(s.state == WEIR_BREAKER_HALF_OPEN || s.permits_out == 0);
    check(s.counts.failed <= s.counts.calls && s.counts.slow <= s.counts.calls);
    for (int i = 0; i < b.options.window_size; i++) {
        bool counts_calls = b.options.window == WEIR_WINDOW_COUNT;
        sum.calls += counts_calls ? b.ring.calls[i] & 1u : b.ring.seconds[i].calls;
        sum.failed += counts_calls ? (b.ring.calls[i] & 2u) / 2 : b.ring.seconds[i].failed;
        sum.slow += counts_calls ? (b.ring.calls[i] & 4u) / 4 : b.ring.seconds[i].slow;
    }
    check_int(sum.calls, b.total.calls);
    check_int(sum.failed, b.total.failed);
    check_int(sum.slow, b.total.slow);
}

static void make(weir_breaker_options o)
{
    now = 1000 * S;
    luck = (uint64_t)1 << 63;
    check_int(weir_breaker_init(&b, &o, &e), WEIR_OK);
}

/* 10 calls make a rate; it waits for 60 s; 4 permits. */
static weir_breaker_options small(void)
{
    weir_breaker_options o = WEIR_BREAKER_OPTIONS_DEFAULT;

    o.window_size = 10;
    o.minimum_calls = 10;
    o.permitted_calls_in_half_open = 4;
    return o;
}

static weir_permit permit(void)
{
    weir_permit p = {0};

    check(weir_breaker_acquire(&b, now, &p));
    check_invariant();
    return p;
}

static void refused(void)
{
    weir_permit p = {77, 77};

    check(!weir_breaker_acquire(&b, now, &p));
    check(p.epoch == 77 && p.ticket == 77);
    check_invariant();
}

static weir_breaker_change tell(weir_permit p, weir_breaker_outcome outcome, weir_time duration)
{
    weir_breaker_change change = weir_breaker_record(&b, &p, outcome, duration, now, luck);

    check_invariant();
    return change;
}

static weir_breaker_change succeed(void)
{
    return tell(permit(), WEIR_OUTCOME_SUCCESS, QUICK);
}

static weir_breaker_change fail(void)
{
    return tell(permit(), WEIR_OUTCOME_FAILURE, QUICK);
}

static weir_breaker_stats stats(void)
{
    weir_breaker_stats s;

    weir_breaker_get_stats(&b, now, &s);
    return s;
}

static void open_it(void)
{
    while (b.state == WEIR_BREAKER_CLOSED)
        fail();
    check_int(b.state, WEIR_BREAKER_OPEN);
}

static void half_open_it(void)
{
    open_it();
    now = b.open_until + 1;
}

/* ---- closed ------------------------------------------------------------------------------ */

static void the_defaults_are_those_of_resilience4j(void)
{
    weir_breaker_options o = WEIR_BREAKER_OPTIONS_DEFAULT;

    check_int(o.failure_rate_threshold, 50);
    check_int(o.slow_call_rate_threshold, 100);
    check_int(o.slow_call_duration_ms, 60000);
    check_int(o.window, WEIR_WINDOW_COUNT);
    check_int(o.window_size, 100);
    check_int(o.minimum_calls, 100);
    check_int(o.wait_in_open_ms, 60000);
    check_int(o.permitted_calls_in_half_open, 10);
    check_int(weir_breaker_init(&b, NULL, &e), WEIR_OK);
    check_int(stats().state, WEIR_BREAKER_CLOSED);
}

static void rates_are_unknown_before_the_minimum_of_calls(void)
{
    make(small());
    for (int i = 0; i < 9; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check(stats().failure_rate == -1 && stats().slow_call_rate == -1);
    check_int(succeed(), WEIR_BREAKER_OPENED);
    check(stats().failure_rate == 90 && stats().slow_call_rate == 0);
}

static void it_opens_at_the_threshold_and_not_below(void)
{
    make(small());
    for (int i = 0; i < 5; i++)
        succeed();
    for (int i = 0; i < 4; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(fail(), WEIR_BREAKER_OPENED);
    refused();
    check_int(stats().not_permitted, 1);

    make(small());
    for (int i = 0; i < 6; i++)
        succeed();
    for (int i = 0; i < 4; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check(stats().failure_rate == 40);
}

static void any_record_may_open_it_a_success_too(void)
{
    weir_breaker_options o = small();
    o.failure_rate_threshold = 10;

    make(o);
    fail();
    for (int i = 0; i < 8; i++)
        succeed();
    check_int(succeed(), WEIR_BREAKER_OPENED);
}

static void rates_are_compared_exactly(void)
{
    weir_breaker_options o = small();
    o.window_size = o.minimum_calls = 3;
    o.failure_rate_threshold = 33;
    make(o);
    succeed(), succeed();
    check_int(fail(), WEIR_BREAKER_OPENED);

    o.failure_rate_threshold = 34;
    make(o);
    succeed(), succeed();
    check_int(fail(), WEIR_BREAKER_UNCHANGED);

    o.failure_rate_threshold = 100;
    make(o);
    fail(), fail();
    check_int(succeed(), WEIR_BREAKER_UNCHANGED);
}

static void a_window_of_calls_needs_no_more_calls_than_it_holds(void)
{
    weir_breaker_options o = small();
    o.window_size = 5;
    o.minimum_calls = 100;

    make(o);
    for (int i = 0; i < 4; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(fail(), WEIR_BREAKER_OPENED);
}

static void a_window_of_calls_forgets_the_oldest(void)
{
    make(small());
    for (int i = 0; i < 4; i++)
        fail();
    for (int i = 0; i < 6; i++)
        succeed();
    /* The four failures leave as four new ones enter. */
    for (int i = 0; i < 4; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.failed, 4);
    check_int(stats().counts.calls, 10);
    check_int(fail(), WEIR_BREAKER_OPENED);
}

static void a_call_is_slow_when_it_takes_longer_than_the_threshold(void)
{
    make(small());
    tell(permit(), WEIR_OUTCOME_SUCCESS, 60 * S);
    check_int(stats().counts.slow, 0);
    tell(permit(), WEIR_OUTCOME_SUCCESS, 60 * S + 1);
    check_int(stats().counts.slow, 1);
    check_int(stats().counts.failed, 0);
}

static void slow_calls_open_it_by_their_own_rate(void)
{
    weir_breaker_options o = small();
    o.slow_call_rate_threshold = 50;

    make(o);
    for (int i = 0; i < 5; i++)
        succeed();
    for (int i = 0; i < 4; i++)
        check_int(tell(permit(), WEIR_OUTCOME_SUCCESS, 61 * S), WEIR_BREAKER_UNCHANGED);
    check_int(tell(permit(), WEIR_OUTCOME_SUCCESS, 61 * S), WEIR_BREAKER_OPENED);
    check(stats().failure_rate == 0 && stats().slow_call_rate == 50);
}

static void what_fails_slowly_counts_in_both_rates(void)
{
    make(small());
    tell(permit(), WEIR_OUTCOME_FAILURE, 61 * S);
    check_int(stats().counts.calls, 1);
    check_int(stats().counts.failed, 1);
    check_int(stats().counts.slow, 1);
}

static void ignored_outcomes_count_nowhere(void)
{
    make(small());
    for (int i = 0; i < 50; i++)
        check_int(tell(permit(), WEIR_OUTCOME_IGNORED, 61 * S), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 0);
}

/* ---- windows of seconds ------------------------------------------------------------------ */

static weir_breaker_options seconds(int size, int minimum)
{
    weir_breaker_options o = small();

    o.window = WEIR_WINDOW_TIME;
    o.window_size = size;
    o.minimum_calls = minimum;
    return o;
}

static void a_window_of_seconds_counts_the_last_of_them_this_one_included(void)
{
    make(seconds(3, 100));
    fail();
    now += S - 1;
    succeed();
    now += 1;
    succeed();
    check_int(stats().counts.calls, 3);
    now = 1002 * S + S - 1;
    check_int(stats().counts.calls, 3);
    now = 1003 * S;
    check_int(stats().counts.calls, 1);
    check_int(stats().counts.failed, 0);
    now = 1004 * S;
    check_int(stats().counts.calls, 0);
}

static void a_window_of_seconds_needs_all_of_its_minimum(void)
{
    make(seconds(3, 20));
    for (int i = 0; i < 19; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(fail(), WEIR_BREAKER_OPENED);

    make(seconds(3, 20));
    for (int i = 0; i < 100; i++) {
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
        now += S / 6; /* 18 or 19 in any three seconds */
    }
}

static void a_window_of_seconds_survives_silence_and_a_clock_that_goes_back(void)
{
    make(seconds(300, 100));
    fail();
    now += 1000000 * S;
    check_int(stats().counts.calls, 0);
    fail();
    now -= 50 * S;
    fail();
    check_int(stats().counts.calls, 2);
    now += 50 * S + 300 * S;
    check_int(stats().counts.calls, 0);
}

static void the_sum_of_a_window_is_right_after_any_life(void)
{
    uint64_t seed = 3;

    for (int kind = 0; kind < 2; kind++) {
        weir_breaker_options o = kind == 0 ? small() : seconds(7, 10);
        o.failure_rate_threshold = 90;
        make(o);
        for (int i = 0; i < 5000; i++) {
            weir_permit p = {0};
            weir_breaker_outcome outcome = (weir_breaker_outcome)(draw(&seed) % 3);
            weir_time duration = draw(&seed) % 4 == 0 ? 61 * S : QUICK;
            now += (weir_time)(draw(&seed) % (uint64_t)(3 * S));
            if (weir_breaker_acquire(&b, now, &p))
                tell(p, outcome, duration);
            check_invariant();
        }
    }
}

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

/* ---- by hand ----------------------------------------------------------------------------- */

static void set(weir_breaker_state state)
{
    check_int(weir_breaker_set(&b, state, &e), WEIR_OK);
    check_invariant();
}

static void disabled_lets_all_through_and_counts_nothing(void)
{
    make(small());
    set(WEIR_BREAKER_DISABLED);
    for (int i = 0; i < 100; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(stats().state, WEIR_BREAKER_DISABLED);
    check_int(stats().counts.calls, 0);
    check_int(weir_breaker_open_until(&b, now + S), WEIR_BREAKER_UNCHANGED);
    check_int(stats().late, 0);
}

static void metrics_only_lets_all_through_counts_and_says_once_that_it_would_open(void)
{
    make(small());
    set(WEIR_BREAKER_METRICS_ONLY);
    for (int i = 0; i < 9; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(fail(), WEIR_BREAKER_EXCEEDED);
    for (int i = 0; i < 9; i++)
        check_int(fail(), WEIR_BREAKER_UNCHANGED);
    check_int(stats().state, WEIR_BREAKER_METRICS_ONLY);
    check(stats().failure_rate == 100);
}

static void forced_open_lets_nothing_through_at_any_time(void)
{
    make(small());
    set(WEIR_BREAKER_FORCED_OPEN);
    refused();
    now += 1000000 * S;
    refused();
    check_int(weir_breaker_open_until(&b, now + S), WEIR_BREAKER_UNCHANGED);
    check_int(stats().state, WEIR_BREAKER_FORCED_OPEN);
    check_int(stats().not_permitted, 2);
}

static void closed_by_hand_is_as_new(void)
{
    make(small());
    weir_permit early = permit();
    open_it();
    set(WEIR_BREAKER_CLOSED);
    check_int(stats().counts.calls, 0);
    check_int(stats().opened_in_a_row, 0);
    check_int(tell(early, WEIR_OUTCOME_FAILURE, QUICK), WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.calls, 0);
}

static void open_and_half_open_are_not_set_by_hand(void)
{
    make(small());
    check_int(weir_breaker_set(&b, WEIR_BREAKER_HALF_OPEN, &e), WEIR_INVALID);
    check_text(e.text, "state half_open: must be closed, disabled, metrics_only or forced_open");
    check_int(weir_breaker_set(&b, WEIR_BREAKER_OPEN, NULL), WEIR_INVALID);
    check_int(weir_breaker_set(&b, (weir_breaker_state)9, NULL), WEIR_INVALID);
    check_int(stats().state, WEIR_BREAKER_CLOSED);
}

/* ---- what counts as a failure ------------------------------------------------------------ */

static weir_breaker_outcome judged(weir_attempt_kind kind, int status)
{
    weir_attempt attempt = {.kind = kind, .status = status};

    return weir_breaker_judge(&attempt);
}

static void failures_are_lost_connections_timeouts_and_5xx(void)
{
    check_int(judged(WEIR_ATTEMPT_CONNECT, 0), WEIR_OUTCOME_FAILURE);
    check_int(judged(WEIR_ATTEMPT_READ, 0), WEIR_OUTCOME_FAILURE);
    check_int(judged(WEIR_ATTEMPT_OTHER, 0), WEIR_OUTCOME_FAILURE);
    check_int(judged(WEIR_ATTEMPT_RESPONSE, 500), WEIR_OUTCOME_FAILURE);
    check_int(judged(WEIR_ATTEMPT_RESPONSE, 503), WEIR_OUTCOME_FAILURE);
    check_int(judged(WEIR_ATTEMPT_RESPONSE, 200), WEIR_OUTCOME_SUCCESS);
    check_int(judged(WEIR_ATTEMPT_REDIRECT, 302), WEIR_OUTCOME_SUCCESS);
}

static void a_429_or_404_is_never_a_failure_and_our_own_refusal_is_no_result(void)
{
    make(small());
    for (int i = 0; i < 100; i++)
        check_int(tell(permit(), judged(WEIR_ATTEMPT_RESPONSE, i % 2 ? 429 : 404), QUICK),
                  WEIR_BREAKER_UNCHANGED);
    check_int(stats().counts.failed, 0);
    for (int i = 0; i < 100; i++)
        tell(permit(), judged(WEIR_ATTEMPT_REFUSED, 0), 61 * S);
    check_int(stats().counts.slow, 0);
    check_int(stats().state, WEIR_BREAKER_CLOSED);
}

/* ---- options ----------------------------------------------------------------------------- */

static void refuse(weir_breaker_options o, const char *text)
{
    weir_breaker untouched = {.late = 5};

    check_int(weir_breaker_init(&untouched, &o, &e), WEIR_INVALID);
    check_text(e.text, text);
    check_int(untouched.late, 5);
}

static void options_out_of_range_are_refused_by_name(void)
{
    weir_breaker_options o = small();
    o.failure_rate_threshold = 0;
    refuse(o, "failure_rate_threshold 0: must be 1 to 100");
    o = small();
    o.slow_call_rate_threshold = 101;
    refuse(o, "slow_call_rate_threshold 101: must be 1 to 100");
    o = small();
    o.window_size = 1025;
    refuse(o, "window_size 1025: must be 1 to 1024");
    o = seconds(301, 10);
    refuse(o, "window_size 301: must be 1 to 300");
    o = small();
    o.wait_in_open_max_ms = 59999;
    refuse(o, "wait_in_open_max_ms 59999: must be 60000 to 86400000");
    o = small();
    o.permitted_calls_in_half_open = 65;
    refuse(o, "permitted_calls_in_half_open 65: must be 1 to 64");
}

static void every_state_has_a_word(void)
{
    check_text(weir_breaker_state_name(WEIR_BREAKER_CLOSED), "closed");
    check_text(weir_breaker_state_name(WEIR_BREAKER_FORCED_OPEN), "forced_open");
    check_text(weir_breaker_state_name((weir_breaker_state)6), "unknown");
}

int main(void)
{
    run(the_defaults_are_those_of_resilience4j);
    run(rates_are_unknown_before_the_minimum_of_calls);
    run(it_opens_at_the_threshold_and_not_below);
    run(any_record_may_open_it_a_success_too);
    run(rates_are_compared_exactly);
    run(a_window_of_calls_needs_no_more_calls_than_it_holds);
    run(a_window_of_calls_forgets_the_oldest);
    run(a_call_is_slow_when_it_takes_longer_than_the_threshold);
    run(slow_calls_open_it_by_their_own_rate);
    run(what_fails_slowly_counts_in_both_rates);
    run(ignored_outcomes_count_nowhere);
    run(a_window_of_seconds_counts_the_last_of_them_this_one_included);
    run(a_window_of_seconds_needs_all_of_its_minimum);
    run(a_window_of_seconds_survives_silence_and_a_clock_that_goes_back);
    run(the_sum_of_a_window_is_right_after_any_life);
    run(it_stays_open_until_a_call_comes_strictly_after_its_wait);
    run(late_results_of_closed_are_recorded_and_change_nothing);
    run(the_wait_doubles_with_each_time_in_a_row_up_to_its_limit);
    run(the_wait_is_a_fifth_shorter_or_longer_by_chance);
    run(a_thousand_breakers_that_open_together_try_again_spread_out);
    run(a_retry_after_opens_it_until_then_without_a_failure);
    run(it_lets_only_the_permitted_calls_through);
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
    run(disabled_lets_all_through_and_counts_nothing);
    run(metrics_only_lets_all_through_counts_and_says_once_that_it_would_open);
    run(forced_open_lets_nothing_through_at_any_time);
    run(closed_by_hand_is_as_new);
    run(open_and_half_open_are_not_set_by_hand);
    run(failures_are_lost_connections_timeouts_and_5xx);
    run(a_429_or_404_is_never_a_failure_and_our_own_refusal_is_no_result);
    run(options_out_of_range_are_refused_by_name);
    run(every_state_has_a_word);
    return check_done();
}
