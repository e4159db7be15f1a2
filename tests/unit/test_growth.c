/* SPDX-License-Identifier: MIT */
/* Growth: a minute of each counter, whoever comes, goes and begins anew. */
#include "check.h"

#include <stdio.h>

#include "figures/growth.h"

#define BEGAN (1000 * WEIR_SECOND)

static uint64_t grown[GROWTH_COUNTERS];

static uint64_t since(struct growth *growth, const char *name, weir_time now, uint64_t value)
{
    const uint64_t values[] = {value, 2 * value};

    growth_since(growth, name, now, values, grown);
    check_int(grown[1], 2 * grown[0]);
    return grown[0];
}

static void note(struct growth *growth, const char *name, weir_time now, uint64_t value)
{
    const uint64_t values[] = {value, 2 * value};

    growth_note(growth, name, now, values);
}

static void what_grew_within_the_last_minute_is_told_and_what_before_is_not(void)
{
    struct growth *growth = growth_open(2, 2);

    for (uint64_t second = 0; second <= 200; second++)
        note(growth, "main", BEGAN + (weir_time)second * WEIR_SECOND, 10 * second);
    check_int(since(growth, "main", BEGAN + 200 * WEIR_SECOND, 2000), 600);
    check_int(since(growth, "main", BEGAN + 200 * WEIR_SECOND, 2007), 607);
    check_int(since(growth, "main", BEGAN + 230 * WEIR_SECOND, 2000), 300);
    growth_close(growth);
}

static void one_that_is_new_has_begun_at_zero(void)
{
    struct growth *growth = growth_open(2, 2);

    check_int(since(growth, "https://new", BEGAN, 5), 5);
    note(growth, "https://new", BEGAN, 5);
    check_int(since(growth, "https://new", BEGAN, 5), 5);
    check_int(since(growth, "https://new", BEGAN + WEIR_SECOND, 8), 8);
    growth_close(growth);
}

static void counters_that_fell_begin_anew(void)
{
    struct growth *growth = growth_open(2, 2);

    note(growth, "main", BEGAN, 100);
    check_int(since(growth, "main", BEGAN + WEIR_SECOND, 3), 3);
    note(growth, "main", BEGAN + WEIR_SECOND, 3);
    check_int(since(growth, "main", BEGAN + 2 * WEIR_SECOND, 4), 4);
    growth_close(growth);
}

/* Its whole life would be told as the last minute. */
static void one_that_may_have_been_forgotten_counts_from_here_on(void)
{
    struct growth *growth = growth_open(2, 2);

    note(growth, "a", BEGAN, 100);
    note(growth, "b", BEGAN + WEIR_SECOND, 1);
    note(growth, "c", BEGAN + 2 * WEIR_SECOND, 1); /* "a" goes */
    check_int(since(growth, "a", BEGAN + 3 * WEIR_SECOND, 100), 0);
    note(growth, "a", BEGAN + 3 * WEIR_SECOND, 100);
    check_int(since(growth, "a", BEGAN + 4 * WEIR_SECOND, 101), 1);
    check_int(since(growth, "c", BEGAN + 4 * WEIR_SECOND, 4), 3);
    growth_close(growth);
}

int main(void)
{
    run(what_grew_within_the_last_minute_is_told_and_what_before_is_not);
    run(one_that_is_new_has_begun_at_zero);
    run(counters_that_fell_begin_anew);
    run(one_that_may_have_been_forgotten_counts_from_here_on);
    return check_done();
}
