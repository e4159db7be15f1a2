/* SPDX-License-Identifier: MIT */
/* What a pool says of itself: every counter exact, histograms and their quantiles, who holds what. */
#include "unit/steps.h"

#include <unistd.h>

static weir_pool_stats stats_of(weir_pool *pool)
{
    weir_pool_stats s;

    memset(&s, 0x55, sizeof s);
    weir_pool_get_stats(pool, &s);
    return s;
}

/* ---- counters ---------------------------------------------------------------------------- */

static weir_lease held;
static weir_pool *pool_of_hook;

static void release_after_3_ms(struct fake *fake)
{
    fake->on_wait = NULL;
    fake->now += 3 * WEIR_MS;
    check_int(weir_pool_release(&held), WEIR_OK);
}

/* Everything that is counted, at least once and never the same number of times as its neighbours. */
static void live_a_full_life(weir_pool *pool)
{
    f.behaviour[FAKE_CONNECT].takes = 2 * WEIR_MS;
    weir_lease a = take(pool); /* connect 1 */
    weir_lease b = take(pool); /* connect 2 */
    weir_lease c = take(pool); /* connect 3 */

    f.now += 4 * WEIR_MS;
    refused(pool, WEIR_TIMEOUT); /* waits 5 ms in vain */
    weir_lease none = {0};
    check_int(weir_pool_try_acquire(pool, &none, &e), WEIR_TIMEOUT);
    give(pool, &a);
    discard(pool, &b, NULL);
    f.behaviour[FAKE_CONNECT].fail_next = 1;
    weir_lease d = take(pool);
    check_int(weir_pool_try_acquire(pool, &none, &e), WEIR_CONNECT);
    b = take(pool); /* connect 4 */
    held = c;
    f.on_wait = release_after_3_ms;
    c = take(pool); /* handed over */
    check_int(weir_pool_detach(&b), WEIR_OK);
    weir_lease copy = c;
    give(pool, &c);
    check_int(weir_pool_release(&copy), WEIR_MISUSE);
    f.now += WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = 1;
    c = take(pool); /* connect 5, after a ping that failed */
    give(pool, &c);
    give(pool, &d); /* evicted by that */
    f.now += WEIR_SECOND;
    c = take(pool); /* pinged */
    f.behaviour[FAKE_RESET].fail_next = 1;
    give(pool, &c);
    give(pool, &b);
}

static void every_counter_is_exact(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 1);
    o.pool_timeout_ms = 5;
    weir_pool *pool = fake_open(&f, &o);

    live_a_full_life(pool);
    weir_pool_stats s = stats_of(pool);
    check_int(s.pool_size, 2);
    check_int(s.max_overflow, 1);
    check_int(s.slots, 3);
    check_int(s.idle, 2);
    check_int(s.leased, 0);
    check_int(s.overflow, 0);
    check_int(s.connections, 0);
    check_int(s.waiters, 0);
    check(!s.is_closed);
    check_int(s.checkouts, 8);
    check_int(s.waits, 2);
    check_int(s.handed_over, 1);
    check_int(s.overtaken, 0);
    check_int(s.timeouts, 2);
    check_int(s.refused, 0);
    check_int(s.connects, 5);
    check_int(s.connect_errors, 1);
    check_int(s.closes, 4);
    check_int(s.detached, 1);
    check_int(s.pings, 2);
    check_int(s.ping_failures, 1);
    check_int(s.resets, 5);
    check_int(s.misuses, 1);
    check_int(s.closed_by[WEIR_REASON_DISCARDED], 1);
    check_int(s.closed_by[WEIR_REASON_PING], 1);
    check_int(s.closed_by[WEIR_REASON_EVICTED], 1);
    check_int(s.closed_by[WEIR_REASON_RESET], 1);
    check_int(s.wait_time.count, 2);
    check_int(s.wait_time.sum, 5 * WEIR_MS + 3 * WEIR_MS);
    check_int(s.wait_time.max, 5 * WEIR_MS);
    check_int(s.create_time.count, 5);
    check_int(s.create_time.sum, 10 * WEIR_MS);
    check_int(s.create_time.max, 2 * WEIR_MS);
    check_int(s.use_time.count, 8);
    weir_pool_close(pool);
}

/* Many gave up after 4 s, one was served after 0.4 s: the figures say so. */
static void who_gave_up_waiting_is_in_the_wait_figures(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.pool_timeout_ms = 4000;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease a = take(pool);

    for (int i = 0; i < 23; i++)
        refused(pool, WEIR_TIMEOUT);
    held = a;
    f.on_wait = release_after_3_ms;
    a = take(pool);
    weir_pool_stats s = stats_of(pool);
    check_int(s.timeouts, 23);
    check_int(s.waits, 24);
    check_int(s.wait_time.count, 24);
    check_int(s.wait_time.max, 4 * WEIR_SECOND);
    check_int(s.wait_time.sum, 23 * 4 * WEIR_SECOND + 3 * WEIR_MS);
    check_int(weir_histogram_quantile(&s.wait_time, 0.5), 4 * WEIR_SECOND);
    give(pool, &a);
    weir_pool_close(pool);
}

/* Who is refused at once never waited. */
static void who_did_not_wait_is_not_in_the_wait_figures(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    weir_pool *pool = fake_open(&f, &o);
    weir_lease a = take(pool);
    weir_lease none = {0};

    check_int(weir_pool_try_acquire(pool, &none, &e), WEIR_TIMEOUT);
    weir_pool_stats s = stats_of(pool);
    check_int(s.timeouts, 1);
    check_int(s.waits, 0);
    check_int(s.wait_time.count, 0);
    give(pool, &a);
    weir_pool_close(pool);
}

static void dispose_the_pool(struct fake *fake)
{
    fake->on_wait = NULL;
    fake->now += 7 * WEIR_MS;
    check_int(weir_pool_dispose(pool_of_hook, WEIR_DEADLINE_NOW, NULL), WEIR_TIMEOUT);
}

static void who_waited_until_the_pool_was_closed_is_in_the_wait_figures(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    weir_pool *pool = fake_open(&f, &o);
    weir_lease a = take(pool);

    pool_of_hook = pool;
    f.on_wait = dispose_the_pool;
    refused(pool, WEIR_CLOSED);
    weir_pool_stats s = stats_of(pool);
    check_int(s.wait_time.count, 1);
    check_int(s.wait_time.sum, 7 * WEIR_MS);
    check_int(weir_pool_release(&a), WEIR_OK);
    weir_pool_close(pool);
}

static void gauges_follow_connections_in_every_state(void)
{
    weir_pool *pool = open_pool(2, 2);
    weir_lease a = take(pool);
    weir_lease b = take(pool);
    weir_lease c = take(pool);

    discard(pool, &a, NULL);
    weir_pool_stats s = stats_of(pool);
    check_int(s.idle, 1);
    check_int(s.leased, 2);
    check_int(s.connections, 2);
    check_int(s.overflow, 1);
    check_int(weir_pool_detach(&b), WEIR_OK);
    s = stats_of(pool);
    check_int(s.idle, 2);
    check_int(s.connections, 1);
    check_int(s.closes, 1);
    give(pool, &b);
    s = stats_of(pool);
    check_int(s.closes, 1); /* detached ones are not counted */
    check_int(s.detached, 1);
    give(pool, &c);
    s = stats_of(pool);
    check_int(s.closed_by[WEIR_REASON_OVERFLOW], 1);
    check_int(s.idle, 2);
    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, NULL), WEIR_OK);
    s = stats_of(pool);
    check(s.is_closed);
    check_int(s.idle + s.leased + s.connections, 0);
    check_int(s.overflow, -2);
    weir_pool_close(pool);
}

static void a_pool_without_limit_says_what_its_limit_is(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 7, -1);
    weir_pool *pool = fake_open(&f, &o);
    weir_pool_stats s = stats_of(pool);

    check_int(s.slots, WEIR_POOL_CEILING);
    check_int(s.max_overflow, WEIR_POOL_CEILING - 7);
    check_text(weir_pool_name(pool), "fake");
    check_int(weir_pool_get_options(pool)->max_overflow, -1);
    check(weir_pool_get_options(pool)->name == weir_pool_name(pool));
    weir_pool_close(pool);
}

static void one_use_in_so_many_is_measured(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    o.use_time_every = 10;
    weir_pool *pool = fake_open(&f, &o);

    for (int i = 0; i < 100; i++) {
        weir_lease c = take(pool);
        f.now += WEIR_MS;
        give(pool, &c);
    }
    weir_pool_stats s = stats_of(pool);
    check_int(s.checkouts, 100);
    check_int(s.use_time.count, 10);
    check_int(s.use_time.sum, 10 * WEIR_MS);
    weir_pool_close(pool);
}

/* ---- histograms -------------------------------------------------------------------------- */

static void observations_fall_into_their_buckets_with_the_bound_included(void)
{
    for (int i = 0; i < WEIR_HISTOGRAM_BUCKETS - 1; i++) {
        struct histogram raw = {0};
        weir_histogram h = {0};

        check(i == 0 || weir_histogram_bounds[i] > weir_histogram_bounds[i - 1]);
        weir__histogram_observe(&raw, weir_histogram_bounds[i]);
        weir__histogram_observe(&raw, weir_histogram_bounds[i] + 1);
        weir__histogram_add(&raw, &h);
        check_int(h.buckets[i], 1);
        check_int(h.buckets[i + 1], 1);
        check_int(h.count, 2);
        check_int(h.max, weir_histogram_bounds[i] + 1);
        check_int(h.sum, 2 * weir_histogram_bounds[i] + 1);
    }
    check_int(weir_histogram_bounds[0], 10 * WEIR_US);
    check_int(weir_histogram_bounds[WEIR_HISTOGRAM_BUCKETS - 2], 30 * WEIR_SECOND);
}

static void an_observation_below_zero_counts_as_zero(void)
{
    struct histogram raw = {0};
    weir_histogram h = {0};

    weir__histogram_observe(&raw, -5);
    weir__histogram_add(&raw, &h);
    check_int(h.buckets[0], 1);
    check_int(h.sum, 0);
    check_int(h.max, 0);
}

static void quantiles_are_bounds_of_buckets_and_never_above_the_greatest(void)
{
    struct histogram raw = {0};
    weir_histogram h = {0};

    check_int(weir_histogram_quantile(&h, 0.5), 0);
    for (int i = 0; i < 90; i++)
        weir__histogram_observe(&raw, 20 * WEIR_US);
    for (int i = 0; i < 9; i++)
        weir__histogram_observe(&raw, 3 * WEIR_MS);
    weir__histogram_observe(&raw, 40 * WEIR_SECOND);
    weir__histogram_add(&raw, &h);
    check_int(weir_histogram_quantile(&h, 0), 25 * WEIR_US);
    check_int(weir_histogram_quantile(&h, 0.5), 25 * WEIR_US);
    check_int(weir_histogram_quantile(&h, 0.9), 25 * WEIR_US);
    check_int(weir_histogram_quantile(&h, 0.91), 5 * WEIR_MS);
    check_int(weir_histogram_quantile(&h, 0.99), 5 * WEIR_MS);
    check_int(weir_histogram_quantile(&h, 0.995), 40 * WEIR_SECOND);
    check_int(weir_histogram_quantile(&h, 1), 40 * WEIR_SECOND);
    check_int(weir_histogram_quantile(&h, 7), 40 * WEIR_SECOND);
    check_int(weir_histogram_quantile(&h, -7), 25 * WEIR_US);

    struct histogram one = {0};
    memset(&h, 0, sizeof h);
    weir__histogram_observe(&one, 11 * WEIR_US);
    weir__histogram_add(&one, &h);
    check_int(weir_histogram_quantile(&h, 0.5), 11 * WEIR_US);
}

/* ---- holders ----------------------------------------------------------------------------- */

static void holders_are_listed_longest_first_with_place_thread_and_age(void)
{
    weir_pool *pool = open_pool(5, 0);
    weir_lease c[5];
    weir_pool_holder h[5];
    int line = __LINE__ + 3;

    for (int i = 0; i < 5; i++) {
        c[i] = take(pool);
        f.now += WEIR_SECOND;
    }
    give(pool, &c[1]);
    check_int(weir_pool_get_holders(pool, h, 5), 4);
    static const int numbers[] = {1, 3, 4, 5};
    for (int i = 0; i < 4; i++) {
        check_int(h[i].connection_id, (uint64_t)numbers[i]);
        check_int(h[i].age, (6 - numbers[i]) * WEIR_SECOND);
        check_text(h[i].file, __FILE__);
        check_int(h[i].line, line);
        check_int(h[i].thread, gettid());
    }
    check_int(weir_pool_get_holders(pool, NULL, 0), 4);
    for (int i = 0; i < 5; i++)
        if (i != 1)
            give(pool, &c[i]);
    check_int(weir_pool_get_holders(pool, h, 5), 0);
    weir_pool_close(pool);
}

/* The list keeps the longest holders when there is no room for all, in whatever slots they are. */
static void the_list_of_holders_is_cut_at_the_youngest(void)
{
    for (int seed = 1; seed <= 50; seed++) {
        weir_pool *pool = open_pool(12, 0);
        weir_lease c[12];
        weir_pool_holder all[12];
        weir_pool_holder some[5];

        srand((unsigned)seed);
        for (int i = 0; i < 12; i++)
            c[i] = take(pool);
        for (int i = 0; i < 12; i++) {
            give(pool, &c[i]);
            f.now += rand() % 3 * WEIR_MS;
            c[i] = take(pool);
        }
        check_int(weir_pool_get_holders(pool, all, 12), 12);
        check_int(weir_pool_get_holders(pool, some, 5), 12);
        for (int i = 0; i < 12; i++) {
            check(i == 0 || all[i - 1].age >= all[i].age);
            if (i < 5)
                check_int(some[i].age, all[i].age);
        }
        for (int i = 0; i < 12; i++)
            give(pool, &c[i]);
        weir_pool_close(pool);
    }
}

static void look_at_the_opener(struct fake *fake)
{
    weir_pool_holder h[2];

    fake->now += WEIR_SECOND;
    check_int(weir_pool_get_holders(pool_of_hook, h, 2), 1);
    check_int(h[0].connection_id, 0);
    check_int(h[0].age, WEIR_SECOND);
    check_contains(h[0].file, "test_pool_stats.c");
}

static void one_who_still_opens_is_a_holder_without_a_connection(void)
{
    weir_pool *pool = open_pool(1, 0);

    pool_of_hook = pool;
    f.behaviour[FAKE_CONNECT].hook = look_at_the_opener;
    weir_lease c = take(pool);
    give(pool, &c);
    weir_pool_close(pool);
}

/* A listener that looks at the holders while an idle connection is closed by eviction. */
static weir_status nobody_is_named(const weir_pool_event *event, void *arg)
{
    weir_pool_holder h[4];
    size_t count = weir_pool_get_holders(event->pool, h, 4);

    for (size_t i = 0; i < count; i++)
        check(h[i].file == NULL);
    *(size_t *)arg += count;
    return WEIR_OK;
}

static void an_idle_connection_that_is_being_closed_names_no_former_holder(void)
{
    weir_pool *pool = open_pool(1, 0);
    weir_lease c = take(pool);
    size_t seen = 0;

    give(pool, &c);
    check_int(weir_pool_listen(pool, WEIR_EVENT_BIT(WEIR_EVENT_CLOSE), nobody_is_named, &seen, &e),
              WEIR_OK);
    weir_pool_evict_all(pool);
    check_int(seen, 1);
    weir_pool_close(pool);
}

static void a_timeout_names_the_longest_holders_and_how_many_more(void)
{
    weir_pool *pool = open_pool(10, 0);
    weir_lease c[10];
    char first[80];

    int line = __LINE__ + 2;
    for (int i = 0; i < 10; i++)
        c[i] = take(pool);
    snprintf(first, sizeof first, "held by: test_pool_stats.c:%d (thread %d, 30.00 s), ", line,
             (int)gettid());
    refused(pool, WEIR_TIMEOUT);
    check_contains(e.text, first);
    check_contains(e.text, " and 2 more");
    check_contains(e.text, "timeout 30.00");
    for (int i = 0; i < 10; i++)
        give(pool, &c[i]);
    weir_pool_close(pool);
}

static void long_names_never_break_an_error(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 9, 0);
    o.name = "a-name-of-sixty-three-bytes-which-is-the-longest-that-is-allowed";
    check_int(strlen(o.name), 64);
    o.name++;
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c[9];
    static char file[400];

    memset(file, 'f', sizeof file - 1);
    for (int i = 0; i < 9; i++)
        check_int(weir_pool_acquire_at(pool, WEIR_DEADLINE_NOW, &c[i], &e, file, i), WEIR_OK);
    refused(pool, WEIR_TIMEOUT);
    check(strlen(e.text) < sizeof e.text);
    check_contains(e.text, o.name);
    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, &e), WEIR_TIMEOUT);
    check(strlen(e.text) < sizeof e.text);
    for (int i = 0; i < 9; i++)
        give(pool, &c[i]);
    weir_pool_close(pool);
}

int main(void)
{
    run(every_counter_is_exact);
    run(who_gave_up_waiting_is_in_the_wait_figures);
    run(who_did_not_wait_is_not_in_the_wait_figures);
    run(who_waited_until_the_pool_was_closed_is_in_the_wait_figures);
    run(gauges_follow_connections_in_every_state);
    run(a_pool_without_limit_says_what_its_limit_is);
    run(one_use_in_so_many_is_measured);
    run(observations_fall_into_their_buckets_with_the_bound_included);
    run(an_observation_below_zero_counts_as_zero);
    run(quantiles_are_bounds_of_buckets_and_never_above_the_greatest);
    run(holders_are_listed_longest_first_with_place_thread_and_age);
    run(the_list_of_holders_is_cut_at_the_youngest);
    run(one_who_still_opens_is_a_holder_without_a_connection);
    run(an_idle_connection_that_is_being_closed_names_no_former_holder);
    run(a_timeout_names_the_longest_holders_and_how_many_more);
    run(long_names_never_break_an_error);
    return check_done();
}
