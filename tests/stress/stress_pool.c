/* SPDX-License-Identifier: MIT */
/* Many threads do everything to one pool at once; every connection has one owner, and none is lost. */
#include "crowd.h"

/* How long one crowd is at it, in milliseconds: the program's argument, so that it can run for hours. */
static int crowd_ms = 400;

static struct crowd crowd;
static weir_pool *pool;
static _Atomic bool is_over;
static _Atomic uint64_t progress;
static _Atomic uint64_t loans;
static _Atomic uint64_t failures;

/* ---- one of the crowd -------------------------------------------------------------------- */

static weir_time choose_deadline(void)
{
    switch (crowd_random() % 10) {
    case 0:
        return WEIR_DEADLINE_NOW;
    case 1:
        return WEIR_DEADLINE_NEVER;
    case 2:
    case 3:
    case 4:
        return weir_now() + crowd_random() % 300 * WEIR_US;
    default:
        return WEIR_DEADLINE_DEFAULT;
    }
}

static void use(struct crowd_connection *c)
{
    crowd_enter(&crowd, c, "lent while in use");
    for (unsigned i = crowd_random() % 200; i > 0; i--)
        __asm__ volatile("" ::: "memory");
    crowd_leave(c);
}

static void must_be(weir_status status, weir_status expected, const char *what)
{
    if (status != expected)
        crowd_fault(&crowd, what);
}

/* Detached ones are counted before they leave the pool, and again when they are closed. */
static void detach_and_close(weir_lease *lease)
{
    atomic_fetch_add(&crowd.detached, 1);
    must_be(weir_pool_detach(lease), WEIR_OK, "a lease could not be detached");
    use(lease->connection);
    must_be(weir_pool_release(lease), WEIR_OK, "a detached lease was not taken back");
    atomic_fetch_add(&crowd.detached_closed, 1);
}

static void give_back(weir_lease *lease)
{
    weir_lease copy = *lease;
    unsigned way = crowd_random() % 100;

    if (way < 4)
        must_be(weir_pool_discard(lease, NULL), WEIR_OK, "a lease could not be discarded");
    else if (way < 7)
        detach_and_close(lease);
    else {
        if (way < 10)
            must_be(weir_pool_soft_invalidate(lease), WEIR_OK, "a lease was not its holder's");
        must_be(weir_pool_release(lease), WEIR_OK, "a lease was not taken back");
    }
    if (way == 99)
        must_be(weir_pool_release(&copy), WEIR_MISUSE, "a lease was taken back twice");
    if (way == 98)
        weir_pool_evict_all(pool);
}

static void take_part(void)
{
    weir_lease lease = {0};
    weir_status status = weir_pool_acquire(pool, choose_deadline(), &lease, NULL);

    atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
    if (status != WEIR_OK) {
        atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
        if (status == WEIR_FULL)
            usleep(50);
        return;
    }
    use(lease.connection);
    atomic_fetch_add_explicit(&loans, 1, memory_order_relaxed);
    give_back(&lease);
}

static void *member(void *number)
{
    (void)number;
    while (!atomic_load(&is_over))
        take_part();
    return NULL;
}

static void *watcher(void *arg)
{
    weir_pool_stats s;
    char line[200];
    weir_pool_holder holders[4];

    (void)arg;
    while (!atomic_load(&is_over)) {
        weir_pool_get_stats(pool, &s);
        if (s.idle + s.leased > s.slots || s.connections > s.slots)
            crowd_fault(&crowd, "gauges above the number of slots");
        weir_pool_status_line(pool, line, sizeof line);
        weir_pool_get_holders(pool, holders, 4);
        if (pool_check(pool) != 0)
            crowd_fault(&crowd, "an invariant is broken");
        usleep(500);
    }
    return NULL;
}

/* Let them be at it for the given time, and see that something always happens. */
static void watch(weir_time duration)
{
    weir_time end = weir_now() + duration;
    uint64_t last = 0;
    weir_time last_change = weir_now();

    while (weir_now() < end) {
        uint64_t now = atomic_load(&progress);

        usleep(10000);
        if (now != last)
            last_change = weir_now();
        last = now;
        if (weir_now() - last_change > 30 * WEIR_SECOND) {
            printf("Bail out! no progress for 30 seconds\n");
            fflush(stdout);
            abort();
        }
    }
}

static void gather(int threads, const weir_driver *driver, const weir_pool_options *options)
{
    pthread_t watching;
    weir_pool_stats s;

    atomic_store(&is_over, false);
    atomic_store(&loans, 0);
    atomic_store(&failures, 0);
    atomic_store(&crowd.opened, 0);
    crowd.limit = options->pool_size + options->max_overflow;
    pool = crowd_open(&crowd, driver, options);
    crowd_start(threads, member);
    pthread_create(&watching, NULL, watcher, NULL);
    watch(crowd_ms * WEIR_MS);
    atomic_store(&is_over, true);
    crowd_join(threads);
    pthread_join(watching, NULL);
    weir_pool_get_stats(pool, &s);
    printf("# %d threads on %d slots: %llu loans, %llu failed, %llu handed over, %llu overtaken, "
           "%llu timeouts, %llu opened\n",
           threads, s.slots, (unsigned long long)loans, (unsigned long long)failures,
           (unsigned long long)s.handed_over, (unsigned long long)s.overtaken,
           (unsigned long long)s.timeouts, (unsigned long long)s.connects);
    check(atomic_load(&loans) > 0);
    check(s.checkouts == atomic_load(&loans));
    crowd_end(&crowd, pool);
}

static void begin(bool is_troubled)
{
    memset(&crowd, 0, sizeof crowd);
    crowd.slow = 20;
    if (!is_troubled)
        return;
    crowd.connect_fails = 10;
    crowd.check_fails = 50;
    crowd.ping_fails = 20;
    crowd.reset_fails = 50;
}

static void every_connection_has_one_owner_on_a_healthy_server(void)
{
    begin(false);
    weir_pool_options o = crowd_options(2, 1);
    gather(8, &crowd_driver, &o);
}

static void every_connection_has_one_owner_on_a_failing_server(void)
{
    begin(true);
    weir_pool_options o = crowd_options(2, 2);
    o.ping_bypass_ms = 0;
    o.pool_timeout_ms = 20;
    gather(8, &crowd_driver, &o);
}

static void every_connection_has_one_owner_where_newcomers_may_overtake(void)
{
    begin(true);
    weir_pool_options o = crowd_options(1, 2);
    o.handoff_after_us = 200;
    o.ping_bypass_ms = 0;
    gather(8, &crowd_driver, &o);
}

static void every_connection_has_one_owner_on_the_hot_path(void)
{
    begin(false);
    weir_pool_options o = crowd_options(4, 0);
    gather(5, &crowd_plain_driver, &o);
    o.use_lifo = true;
    gather(5, &crowd_plain_driver, &o);
}

static void one_slot_serves_many(void)
{
    begin(true);
    weir_pool_options o = crowd_options(1, 0);
    gather(16, &crowd_driver, &o);
    o.max_waiters = 3;
    o.handoff_after_us = 50;
    gather(16, &crowd_driver, &o);
}

/* ---- the deadline and the grant ---------------------------------------------------------- */

static weir_time brief_now(weir_clock *clock)
{
    (void)clock;
    return weir_now();
}

/* A wait that hardly waits: timeouts meet hand-overs a million times, without a system call. */
static void brief_wait(weir_clock *clock, uint32_t *word, uint32_t expected, weir_time until)
{
    (void)clock;
    (void)until;
    for (unsigned i = crowd_random() % 64; i > 0; i--)
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected)
            return;
    if (one_in(64))
        sched_yield();
}

#define RACE_ROUNDS (CROWD_TSAN ? 40000 : 1000000)

static void *race(void *number)
{
    (void)number;
    while (atomic_fetch_add(&progress, 1) < RACE_ROUNDS) {
        weir_lease lease = {0};
        weir_time deadline = weir_now() + crowd_random() % 1500;

        if (weir_pool_acquire(pool, deadline, &lease, NULL) != WEIR_OK)
            continue;
        use(lease.connection);
        atomic_fetch_add(&loans, 1);
        must_be(weir_pool_release(&lease), WEIR_OK, "a lease was not taken back");
    }
    return NULL;
}

/* bb8#67, npgsql#1788, asyncpg#467, psycopg#1123 and many others: one who is served at the moment
 * it gives up must not take the slot with it. */
static void timeouts_that_race_with_grants_lose_no_slot(void)
{
    weir_clock clock = {brief_now, brief_wait};
    weir_pool_stats s;

    for (int handoff_us = 0; handoff_us <= 1; handoff_us++) {
        memset(&crowd, 0, sizeof crowd);
        crowd.limit = 1;
        weir_pool_options o = crowd_options(1, 0);
        o.clock = &clock;
        o.handoff_after_us = handoff_us;
        pool = crowd_open(&crowd, &crowd_driver, &o);
        atomic_store(&progress, 0);
        atomic_store(&loans, 0);
        crowd_start(4, race);
        crowd_join(4);
        weir_pool_get_stats(pool, &s);
        printf("# %d rounds: %llu loans, %llu handed over, %llu timeouts, %llu waits\n",
               RACE_ROUNDS, (unsigned long long)loans, (unsigned long long)s.handed_over,
               (unsigned long long)s.timeouts, (unsigned long long)s.waits);
        check(s.handed_over + s.overtaken > 0 && s.timeouts > 0);
        check(s.checkouts == atomic_load(&loans));
        crowd_end(&crowd, pool);
    }
}

/* ---- closing ----------------------------------------------------------------------------- */

static void *until_closed(void *number)
{
    (void)number;
    for (;;) {
        weir_lease lease = {0};
        weir_status status = weir_pool_acquire(pool, choose_deadline(), &lease, NULL);

        atomic_fetch_add(&progress, 1);
        if (status == WEIR_CLOSED)
            return NULL;
        if (status != WEIR_OK)
            continue;
        use(lease.connection);
        give_back(&lease);
    }
}

/* puddle#8, pgx#1354, HikariCP#229, psycopg#784: whoever waits, opens or returns at that moment. */
static void dispose_during_everything_ends_in_time_and_leaves_nothing(void)
{
    int rounds = CROWD_TSAN ? 60 : 250;

    for (int i = 0; i < rounds; i++) {
        begin(i % 2 == 0);
        weir_pool_options o = crowd_options(1 + i % 3, i % 2);
        o.handoff_after_us = i % 4 == 0 ? 50 : 0;
        crowd.limit = o.pool_size + o.max_overflow;
        pool = crowd_open(&crowd, i % 3 == 0 ? &crowd_plain_driver : &crowd_driver, &o);
        crowd_start(6, until_closed);
        usleep(crowd_random() % 2000);
        weir_error e = {.text = ""};
        weir_status status = weir_pool_dispose(pool, weir_now() + 60 * WEIR_SECOND, &e);
        check_int(status, WEIR_OK);
        if (status != WEIR_OK)
            printf("# %s\n", e.text);
        crowd_join(6);
        crowd_end(&crowd, pool);
    }
}

static weir_lease out[8];
static pthread_barrier_t start;

static void *give_back_after_the_start(void *number)
{
    weir_lease *lease = &out[(intptr_t)number];
    unsigned way = crowd_random() % 4;

    pthread_barrier_wait(&start);
    for (unsigned i = crowd_random() % 2000; i > 0; i--)
        __asm__ volatile("" ::: "memory");
    use(lease->connection);
    if (way == 0)
        must_be(weir_pool_discard(lease, NULL), WEIR_OK, "a lease could not be discarded");
    else if (way == 1)
        detach_and_close(lease);
    else
        must_be(weir_pool_release(lease), WEIR_OK, "a lease was not taken back");
    return NULL;
}

/* The last to come back frees the pool, whichever it is; ASan and TSan see whether all agree. */
static void a_closed_pool_is_freed_once_by_whoever_comes_last(void)
{
    int rounds = CROWD_TSAN ? 150 : 1000;

    pthread_barrier_init(&start, NULL, 5);
    for (int i = 0; i < rounds; i++) {
        begin(false);
        weir_pool_options o = crowd_options(2, 4);
        pool = crowd_open(&crowd, i % 2 == 0 ? &crowd_plain_driver : &crowd_driver, &o);
        for (int j = 0; j < 4; j++) {
            out[j] = (weir_lease){0};
            check_int(weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &out[j], NULL), WEIR_OK);
        }
        crowd_start(4, give_back_after_the_start);
        pthread_barrier_wait(&start);
        weir_pool_close(pool);
        crowd_join(4);
        check_int(atomic_load(&crowd.live), 0);
        check_int(atomic_load(&crowd.faults), 0);
    }
    pthread_barrier_destroy(&start);
}

/* Two threads give back the same lease: one of them is refused, and the connection stays whole. */
static void *give_back_the_same(void *number)
{
    weir_lease mine = out[0];

    (void)number;
    pthread_barrier_wait(&start);
    weir_status status = one_in(2) ? weir_pool_release(&mine) : weir_pool_discard(&mine, NULL);
    if (status == WEIR_OK)
        atomic_fetch_add(&loans, 1);
    else if (status != WEIR_MISUSE)
        crowd_fault(&crowd, "a lease was neither taken back nor refused");
    return NULL;
}

static void of_two_who_give_back_one_lease_at_once_one_is_refused(void)
{
    int rounds = CROWD_TSAN ? 200 : 2000;

    pthread_barrier_init(&start, NULL, 2);
    for (int plain = 0; plain < 2; plain++) {
        begin(false);
        weir_pool_options o = crowd_options(1, 0);
        pool = crowd_open(&crowd, plain ? &crowd_plain_driver : &crowd_driver, &o);
        for (int i = 0; i < rounds; i++) {
            out[0] = (weir_lease){0};
            atomic_store(&loans, 0);
            check_int(weir_pool_acquire(pool, WEIR_DEADLINE_NOW, &out[0], NULL), WEIR_OK);
            crowd_start(2, give_back_the_same);
            crowd_join(2);
            check_int(atomic_load(&loans), 1);
        }
        crowd_end(&crowd, pool);
    }
    pthread_barrier_destroy(&start);
}

/* stress_pool [milliseconds for each crowd | -k NAME] */
int main(int argc, char **argv)
{
    if (argc == 2)
        crowd_ms = atoi(argv[1]);
    run(every_connection_has_one_owner_on_a_healthy_server);
    run(every_connection_has_one_owner_on_a_failing_server);
    run(every_connection_has_one_owner_where_newcomers_may_overtake);
    run(every_connection_has_one_owner_on_the_hot_path);
    run(one_slot_serves_many);
    run(timeouts_that_race_with_grants_lose_no_slot);
    run(dispose_during_everything_ends_in_time_and_leaves_nothing);
    run(a_closed_pool_is_freed_once_by_whoever_comes_last);
    run(of_two_who_give_back_one_lease_at_once_one_is_refused);
    return check_done();
}
