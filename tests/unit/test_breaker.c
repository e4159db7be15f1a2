/* SPDX-License-Identifier: MIT */
/* The breaker while it is closed: thresholds and windows as resilience4j compares them; states set by hand. */
#include "unit/breaker_steps.h"
#include "unit/chance.h"

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

    return weir_breaker_classify(&attempt);
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
