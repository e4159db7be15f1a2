/* SPDX-License-Identifier: MIT */
/* The retry budget: 20 % and a floor of 10 a second over 10 seconds, exactly. */
#include "check.h"

#include <weir/retry.h>

static weir_error e;

static weir_budget make(int percent, int min_per_second, int window_s)
{
    weir_budget_options o = WEIR_BUDGET_OPTIONS_DEFAULT;
    weir_budget budget;

    o.percent = percent;
    o.min_per_second = min_per_second;
    o.window_s = window_s;
    check_int(weir_budget_init(&budget, &o, &e), WEIR_OK);
    return budget;
}

static int spend_all(weir_budget *budget, weir_time now)
{
    int spent = 0;

    while (weir_budget_withdraw(budget, false, now))
        spent++;
    check_int(weir_budget_balance(budget, now), 0);
    return spent;
}

/* ---- numbers ----------------------------------------------------------------------------- */

static void it_begins_with_the_floor_of_a_whole_window(void)
{
    weir_budget budget;

    check_int(weir_budget_init(&budget, NULL, &e), WEIR_OK);
    check_int(weir_budget_balance(&budget, WEIR_SECOND), 100);
    check_int(spend_all(&budget, WEIR_SECOND), 100);
}

static void five_requests_pay_for_one_repeat_and_four_do_not(void)
{
    weir_budget budget = make(20, 0, 10);

    for (int i = 0; i < 4; i++)
        weir_budget_deposit(&budget, 5);
    check(!weir_budget_withdraw(&budget, false, 5));
    weir_budget_deposit(&budget, 5);
    check(weir_budget_withdraw(&budget, false, 5));
    check(!weir_budget_withdraw(&budget, false, 5));
}

static void every_percentage_is_exact(void)
{
    for (int percent = 0; percent <= 100; percent++) {
        weir_budget budget = make(percent, 0, 10);

        for (int i = 0; i < 1000; i++)
            weir_budget_deposit(&budget, i * WEIR_MS);
        check_int(spend_all(&budget, WEIR_SECOND), percent * 10);
    }
}

static void a_refusal_takes_nothing(void)
{
    weir_budget budget = make(20, 0, 10);

    for (int i = 0; i < 1000; i++)
        check(!weir_budget_withdraw(&budget, false, 1));
    for (int i = 0; i < 5; i++)
        weir_budget_deposit(&budget, 1);
    check(weir_budget_withdraw(&budget, false, 1));
}

static void what_was_saved_is_forgotten_after_the_window_and_not_before(void)
{
    weir_budget budget = make(20, 0, 10);

    for (int i = 0; i < 500; i++)
        weir_budget_deposit(&budget, 0);
    check_int(weir_budget_balance(&budget, 10 * WEIR_SECOND - 1), 100);
    check_int(weir_budget_balance(&budget, 10 * WEIR_SECOND), 0);
}

static void what_was_spent_of_the_floor_is_forgiven_after_the_window(void)
{
    weir_budget budget = make(20, 10, 10);

    check_int(spend_all(&budget, 0), 100);
    check_int(weir_budget_balance(&budget, 10 * WEIR_SECOND - 1), 0);
    check_int(weir_budget_balance(&budget, 10 * WEIR_SECOND), 100);
}

static void a_long_silence_and_a_clock_that_goes_back_are_harmless(void)
{
    weir_budget budget = make(20, 10, 1);

    for (int i = 0; i < 50; i++)
        weir_budget_deposit(&budget, 1000000 * WEIR_SECOND);
    check_int(weir_budget_balance(&budget, 1000000 * WEIR_SECOND), 20);
    check_int(weir_budget_balance(&budget, 0), 20);
    weir_budget_deposit(&budget, INT64_MAX);
    check_int(weir_budget_balance(&budget, INT64_MAX), 10);
}

static void a_timeout_costs_double_where_that_is_asked_for(void)
{
    weir_budget_options o = WEIR_BUDGET_OPTIONS_DEFAULT;
    weir_budget budget;

    o.timeouts_cost_double = true;
    check_int(weir_budget_init(&budget, &o, &e), WEIR_OK);
    check(weir_budget_withdraw(&budget, true, 0));
    check_int(weir_budget_balance(&budget, 0), 98);
    check(weir_budget_withdraw(&budget, false, 0));
    check_int(weir_budget_balance(&budget, 0), 97);
    budget = make(20, 10, 10);
    check(weir_budget_withdraw(&budget, true, 0));
    check_int(weir_budget_balance(&budget, 0), 99);
}

/* ---- storms ------------------------------------------------------------------------------ */

/* Each second `rate` requests come, and every one of them fails until it is not repeated any more.
 * Returns the repeats. */
static int storm(weir_budget *budget, weir_retry_options o, int rate, int from_s, int to_s)
{
    weir_attempt failed = {.kind = WEIR_ATTEMPT_RESPONSE,
                           .status = 503,
                           .method = WEIR_METHOD_GET,
                           .is_rewindable = true};
    int repeats = 0;

    for (int64_t i = (int64_t)from_s * rate; i < (int64_t)to_s * rate; i++) {
        weir_moment m = {.now = i * WEIR_SECOND / rate, .deadline = WEIR_DEADLINE_NEVER};
        weir_retry_state state;

        weir_retry_init(&state, &o);
        weir_budget_deposit(budget, m.now);
        while (weir_retry_next(&o, &state, &failed, &m, budget).verdict == WEIR_VERDICT_RETRY)
            repeats++;
    }
    return repeats;
}

static void a_server_that_fails_everything_receives_at_most_20_percent_and_10_a_second_more(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    weir_budget budget = make(20, 10, 10);

    check_int(storm(&budget, o, 1000, 0, 10), 2000 + 100);
}

static void without_a_budget_it_would_receive_four_times_its_load(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    weir_budget budget = make(100, 10000, 60);

    check_int(storm(&budget, o, 1000, 0, 10), 30000);
}

static void the_bound_holds_in_each_later_window_too(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    weir_budget budget = make(20, 10, 10);

    for (int window = 0; window < 6; window++)
        check(storm(&budget, o, 1000, window * 10, window * 10 + 10) <= 2100);
}

static void who_sends_little_has_the_floor(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    weir_budget budget = make(20, 10, 10);

    /* One request a second and three repeats each: less than ten a second. */
    check_int(storm(&budget, o, 1, 0, 30), 90);
}

static void options_out_of_range_are_refused_by_name(void)
{
    weir_budget budget = make(20, 10, 10);
    weir_budget_options o = WEIR_BUDGET_OPTIONS_DEFAULT;

    o.percent = 101;
    check_int(weir_budget_init(&budget, &o, &e), WEIR_INVALID);
    check_text(e.text, "percent 101: must be 0 to 100");
    o.percent = 20;
    o.min_per_second = -1;
    check_int(weir_budget_init(&budget, &o, &e), WEIR_INVALID);
    check_text(e.text, "min_per_second -1: must be 0 to 10000");
    o.min_per_second = 10;
    o.window_s = 61;
    check_int(weir_budget_init(&budget, &o, NULL), WEIR_INVALID);
    check_int(weir_budget_balance(&budget, 0), 100);
}

int main(void)
{
    run(it_begins_with_the_floor_of_a_whole_window);
    run(five_requests_pay_for_one_repeat_and_four_do_not);
    run(every_percentage_is_exact);
    run(a_refusal_takes_nothing);
    run(what_was_saved_is_forgotten_after_the_window_and_not_before);
    run(what_was_spent_of_the_floor_is_forgiven_after_the_window);
    run(a_long_silence_and_a_clock_that_goes_back_are_harmless);
    run(a_timeout_costs_double_where_that_is_asked_for);
    run(a_server_that_fails_everything_receives_at_most_20_percent_and_10_a_second_more);
    run(without_a_budget_it_would_receive_four_times_its_load);
    run(the_bound_holds_in_each_later_window_too);
    run(who_sends_little_has_the_floor);
    run(options_out_of_range_are_refused_by_name);
    return check_done();
}
