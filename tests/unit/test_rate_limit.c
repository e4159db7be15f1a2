/* SPDX-License-Identifier: MIT */
/* The rate limiter: a rate that is never exceeded, and a cool-down that one answer begins for all. */
#include "check.h"
#include "unit/chance.h"

#include <weir/rate_limit.h>

#define S WEIR_SECOND
#define START (1000 * S)

static weir_error e;
static weir_rate_limiter rate_limit;

static void make(int rate, int period_ms, int burst)
{
    weir_rate_limit_options o = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;

    o.rate = rate;
    o.period_ms = period_ms;
    o.burst = burst;
    check_int(weir_rate_limiter_init(&rate_limit, &o, &e), WEIR_OK);
}

static weir_rate_limiter_pass reserve(weir_time now)
{
    weir_rate_limiter_pass pass = {0};

    check(weir_rate_limiter_reserve(&rate_limit, now, WEIR_DEADLINE_NEVER, &pass));
    check(pass.at >= now);
    return pass;
}

/* ---- the rate ---------------------------------------------------------------------------- */

static void without_a_rate_all_pass_at_once(void)
{
    check_int(weir_rate_limiter_init(&rate_limit, NULL, &e), WEIR_OK);
    for (int i = 0; i < 1000; i++) {
        weir_rate_limiter_pass pass = reserve(START);
        check_int(pass.at, START);
        check(weir_rate_limiter_enter(&rate_limit, &pass, START));
    }
}

static void five_a_second_are_evenly_spaced(void)
{
    make(5, 1000, 1);
    for (int i = 0; i < 20; i++)
        check_int(reserve(START).at, START + i * S / 5);
}

static void a_burst_is_sent_at_once_and_then_one_by_one(void)
{
    make(5, 1000, 3);
    for (int i = 0; i < 3; i++)
        check_int(reserve(START).at, START);
    for (int i = 1; i < 10; i++)
        check_int(reserve(START).at, START + i * S / 5);
}

static void tokens_come_back_with_time_but_not_above_the_burst(void)
{
    make(5, 1000, 3);
    for (int i = 0; i < 3; i++)
        reserve(START);
    check_int(reserve(START + 400 * WEIR_MS).at, START + 400 * WEIR_MS);
    check_int(reserve(START + 400 * WEIR_MS).at, START + 400 * WEIR_MS);
    check_int(reserve(START + 400 * WEIR_MS).at, START + 600 * WEIR_MS);
    for (int i = 0; i < 3; i++)
        check_int(reserve(START + 3600 * S).at, START + 3600 * S);
    check_int(reserve(START + 3600 * S).at, START + 3600 * S + S / 5);
}

static void a_period_that_does_not_divide_is_never_exceeded(void)
{
    make(3, 1000, 1);
    for (int i = 0; i < 3000; i++)
        reserve(START);
    weir_time at = reserve(START).at;
    check(at >= START + 1000 * S);
    check(at <= START + 1000 * S + 3000);
}

#define SENT 2000

/* Callers at random instants, rates and bursts: count what any period sees. */
static void no_period_sees_more_than_the_rate_and_the_burst(void)
{
    static weir_time sent[SENT];
    uint64_t seed = 21;

    for (int round = 0; round < 20; round++) {
        int rate = 1 + (int)(draw(&seed) % 50);
        int burst = 1 + (int)(draw(&seed) % 10);
        weir_time now = START;
        make(rate, 1000, burst);
        for (int i = 0; i < SENT; i++) {
            now += (weir_time)(draw(&seed) % (uint64_t)(2 * S / rate));
            sent[i] = reserve(now).at;
            check(i == 0 || sent[i] >= sent[i - 1]);
        }
        for (int first = 0, last = 0; first < SENT; first++) {
            while (last < SENT && sent[last] < sent[first] + S)
                last++;
            check(last - first <= rate + burst - 1);
        }
    }
}

/* ---- deadlines --------------------------------------------------------------------------- */

static void what_would_be_too_late_is_refused_and_costs_nothing(void)
{
    weir_rate_limiter_pass pass = {0};

    make(5, 1000, 1);
    check_int(reserve(START).at, START);
    for (int i = 0; i < 100; i++) {
        check(!weir_rate_limiter_reserve(&rate_limit, START, START + S / 5, &pass));
        check_int(pass.at, START + S / 5);
    }
    check(weir_rate_limiter_reserve(&rate_limit, START, START + S / 5 + 1, &pass));
    check_int(pass.at, START + S / 5);
}

static void who_does_not_wait_passes_at_once_or_not_at_all(void)
{
    weir_rate_limiter_pass pass = {0};

    make(5, 1000, 1);
    check(weir_rate_limiter_reserve(&rate_limit, START, WEIR_DEADLINE_NOW, &pass));
    check(weir_rate_limiter_enter(&rate_limit, &pass, START));
    check(!weir_rate_limiter_reserve(&rate_limit, START, WEIR_DEADLINE_NOW, &pass));
    check(weir_rate_limiter_reserve(&rate_limit, START + S, WEIR_DEADLINE_NOW, &pass));
    check(!weir_rate_limiter_reserve(&rate_limit, START + 2 * S, START + 2 * S, &pass));
}

/* ---- the door ---------------------------------------------------------------------------- */

static void a_closed_door_stops_every_caller_until_then_and_not_longer(void)
{
    weir_rate_limiter_pass pass = {0};

    make(0, 1000, 1);
    weir_rate_limiter_cool_down(&rate_limit, START, START + 30 * S);
    check(!weir_rate_limiter_reserve(&rate_limit, START, WEIR_DEADLINE_NOW, &pass));
    check(!weir_rate_limiter_reserve(&rate_limit, START, START + 30 * S, &pass));
    for (int i = 0; i < 100; i++) {
        pass = reserve(START + i * WEIR_MS);
        check_int(pass.at, START + 30 * S);
        check(!weir_rate_limiter_enter(&rate_limit, &pass, START + 30 * S - 1));
        check(weir_rate_limiter_enter(&rate_limit, &pass, START + 30 * S));
    }
    check_int(reserve(START + 31 * S).at, START + 31 * S);
}

static void those_who_had_reserved_before_it_closed_reserve_again(void)
{
    make(5, 1000, 1);
    weir_rate_limiter_pass early[10];
    for (int i = 0; i < 10; i++)
        early[i] = reserve(START);
    check(weir_rate_limiter_enter(&rate_limit, &early[0], START));
    weir_rate_limiter_cool_down(&rate_limit, START + 100 * WEIR_MS, START + 30 * S);
    for (int i = 1; i < 10; i++) {
        check(!weir_rate_limiter_enter(&rate_limit, &early[i], early[i].at));
        check(!weir_rate_limiter_enter(&rate_limit, &early[i], START + 60 * S));
        check_int(reserve(early[i].at).at, START + 30 * S + (i - 1) * S / 5);
    }
}

static void a_long_line_from_before_does_not_delay_those_after_the_pause(void)
{
    make(5, 1000, 1);
    for (int i = 0; i < 1000; i++)
        reserve(START);
    weir_rate_limiter_cool_down(&rate_limit, START, START + 30 * S);
    check_int(reserve(START).at, START + 30 * S);
    check_int(reserve(START).at, START + 30 * S + S / 5);
}

static void it_is_only_ever_closed_for_longer(void)
{
    make(0, 1000, 1);
    weir_rate_limiter_cool_down(&rate_limit, START, START + 30 * S);
    weir_rate_limiter_pass pass = reserve(START);
    weir_rate_limiter_cool_down(&rate_limit, START, START + 10 * S);
    weir_rate_limiter_cool_down(&rate_limit, START, START - S);
    check_int(reserve(START).at, START + 30 * S);
    check(weir_rate_limiter_enter(&rate_limit, &pass, START + 30 * S));
    weir_rate_limiter_cool_down(&rate_limit, START + 20 * S, START + 40 * S);
    check(!weir_rate_limiter_enter(&rate_limit, &pass, START + 30 * S));
    check_int(reserve(START).at, START + 40 * S);
}

static void a_hostile_pause_is_cut(void)
{
    make(5, 1000, 1);
    weir_rate_limiter_cool_down(&rate_limit, START, INT64_MAX);
    check_int(reserve(START).at, START + 21600 * S);
    weir_rate_limiter_cool_down(&rate_limit, INT64_MAX - 5, INT64_MAX);
    check_int(reserve(START).at, INT64_MAX);
}

static void after_a_pause_callers_leave_as_the_rate_allows(void)
{
    make(5, 1000, 2);
    weir_rate_limiter_cool_down(&rate_limit, START, START + 30 * S);
    check_int(reserve(START).at, START + 30 * S);
    for (int i = 0; i < 50; i++)
        check_int(reserve(START + i).at, START + 30 * S + i * S / 5);
}

static void options_out_of_range_are_refused_by_name(void)
{
    weir_rate_limit_options o = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;

    o.rate = -1;
    check_int(weir_rate_limiter_init(&rate_limit, &o, &e), WEIR_INVALID);
    check_text(e.text, "rate -1: must be 0 to 1000000");
    o.rate = 1;
    o.period_ms = 0;
    check_int(weir_rate_limiter_init(&rate_limit, &o, &e), WEIR_INVALID);
    check_text(e.text, "period_ms 0: must be 1 to 86400000");
    o.period_ms = 1;
    o.burst = 100001;
    check_int(weir_rate_limiter_init(&rate_limit, &o, &e), WEIR_INVALID);
    check_text(e.text, "burst 100001: must be 1 to 100000");
    o.burst = 1;
    o.max_cool_down_s = -1;
    check_int(weir_rate_limiter_init(&rate_limit, &o, NULL), WEIR_INVALID);
}

/* The slowest rate with the largest burst, at the end of time. */
static void the_ends_of_the_ranges_overflow_nothing(void)
{
    make(1, 86400000, 100000);
    for (int i = 0; i < 200; i++)
        check_int(reserve(START).at, START);
    check(reserve(INT64_MAX - 1).at >= INT64_MAX - 1);
    check_int(reserve(INT64_MAX).at, INT64_MAX);
}

int main(void)
{
    run(without_a_rate_all_pass_at_once);
    run(five_a_second_are_evenly_spaced);
    run(a_burst_is_sent_at_once_and_then_one_by_one);
    run(tokens_come_back_with_time_but_not_above_the_burst);
    run(a_period_that_does_not_divide_is_never_exceeded);
    run(no_period_sees_more_than_the_rate_and_the_burst);
    run(what_would_be_too_late_is_refused_and_costs_nothing);
    run(who_does_not_wait_passes_at_once_or_not_at_all);
    run(a_closed_door_stops_every_caller_until_then_and_not_longer);
    run(those_who_had_reserved_before_it_closed_reserve_again);
    run(a_long_line_from_before_does_not_delay_those_after_the_pause);
    run(it_is_only_ever_closed_for_longer);
    run(a_hostile_pause_is_cut);
    run(after_a_pause_callers_leave_as_the_rate_allows);
    run(options_out_of_range_are_refused_by_name);
    run(the_ends_of_the_ranges_overflow_nothing);
    return check_done();
}
