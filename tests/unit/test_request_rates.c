/* SPDX-License-Identifier: MIT */
/* The server's own requests: counted by step and by minute, with times that are right to a tenth. */
#include "check.h"

#include "figures/request_rates.h"

#define BEGAN (1000 * WEIR_SECOND)

static struct request_figures figures;

static bool is_near(weir_time value, weir_time wanted)
{
    return value >= wanted && value <= wanted + wanted / 7;
}

static void a_step_tells_what_happened_in_it_and_nothing_of_before(void)
{
    struct request_rates *rates = request_rates_open(BEGAN);

    for (int i = 0; i < 98; i++)
        request_rates_count(rates, 200, 3 * WEIR_MS);
    request_rates_count(rates, 404, 50 * WEIR_MS);
    request_rates_count(rates, 503, 4 * WEIR_SECOND);
    request_rates_step(rates, BEGAN + WEIR_SECOND, &figures);
    check_int(figures.span, WEIR_SECOND);
    check_int(figures.requests, 100);
    check_int(figures.refused, 1);
    check_int(figures.failed, 1);
    check(is_near(figures.p50, 3 * WEIR_MS));
    check(is_near(figures.p99, 50 * WEIR_MS));
    check_int(figures.max, 4 * WEIR_SECOND);
    request_rates_step(rates, BEGAN + 2 * WEIR_SECOND, &figures);
    check_int(figures.requests, 0);
    check_int(figures.p99, 0);
    check_int(figures.max, 0);
    request_rates_close(rates);
}

static void lately_is_the_last_minute_of_whole_steps(void)
{
    struct request_rates *rates = request_rates_open(BEGAN);
    weir_time now = BEGAN;

    request_rates_lately(rates, now, &figures);
    check_int(figures.requests, 0);
    check_int(figures.span, 0);
    for (int second = 0; second < 200; second++) {
        request_rates_count(rates, second % 2 == 0 ? 200 : 500,
                            second < 139 ? 9 * WEIR_SECOND : WEIR_MS);
        now += WEIR_SECOND;
        request_rates_step(rates, now, &figures);
    }
    request_rates_lately(rates, now, &figures);
    check_int(figures.requests, 60);
    check_int(figures.failed, 30);
    check_int(figures.span, 60 * WEIR_SECOND);
    check(is_near(figures.p99, WEIR_MS));
    check_int(figures.max, WEIR_MS);
    request_rates_lately(rates, now + 30 * WEIR_SECOND, &figures);
    check_int(figures.requests, 30);
    request_rates_lately(rates, now + 3600 * WEIR_SECOND, &figures);
    check_int(figures.requests, 0);
    check_int(figures.p50, 0);
    request_rates_close(rates);
}

static void times_of_every_size_keep_their_quantile(void)
{
    static const weir_time times[] = {
        0,           WEIR_US,         17 * WEIR_US,     33 * WEIR_US,      999 * WEIR_US,
        7 * WEIR_MS, 65537 * WEIR_US, 30 * WEIR_SECOND, 200 * WEIR_SECOND, 3600 * WEIR_SECOND};

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct request_rates *rates = request_rates_open(BEGAN);

        request_rates_count(rates, 200, times[i]);
        request_rates_count(rates, 200, 7200 * WEIR_SECOND);
        request_rates_step(rates, BEGAN + WEIR_SECOND, &figures);
        if (times[i] >= 16 * WEIR_US && times[i] <= 200 * WEIR_SECOND)
            check(is_near(figures.p50, times[i]));
        else
            check(figures.p50 <= 18 * WEIR_US || figures.p50 == 7200 * WEIR_SECOND);
        check_int(figures.max, 7200 * WEIR_SECOND);
        request_rates_close(rates);
    }
}

int main(void)
{
    run(a_step_tells_what_happened_in_it_and_nothing_of_before);
    run(lately_is_the_last_minute_of_whole_steps);
    run(times_of_every_size_keep_their_quantile);
    return check_done();
}
