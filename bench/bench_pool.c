/* SPDX-License-Identifier: MIT */
/*
 * The pool core beside its floor and a peer, in one run: a cycle of acquire and release without
 * contention for a slot, and 64 threads in the queue for 4 slots. The resource is a no-op, the options
 * are the defaults but for the sizes, so this shows the cost and the fairness of lending, not of a
 * database.
 */
#include "bench.h"
#include "nothing.h"

#include <weir/pool.h>

#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

/* ---- what is measured -------------------------------------------------------------------- */

/* A pool of `slots` as its users see it. */
struct contender {
    const char *name;
    void (*open)(int slots);
    void (*close)(void);
    void (*cycle)(void (*work)(void)); /* acquire, work (may be NULL), release */
    void (*cycles)(long count);        /* so many without work, in a loop of its own */
};

/* A loop that the compiler can see through: what is measured is the cycle, not a call through a
 * pointer. */
#define LOOP_OF(cycle)                                                                             \
    static void cycle##_loop(long count)                                                           \
    {                                                                                              \
        for (long i = 0; i < count; i++)                                                           \
            cycle(NULL);                                                                           \
    }

static weir_pool *pool;

static void open_weir_with(int slots, int handoff_after_us)
{
    const weir_driver driver = {.connect = connect_nothing, .close = close_nothing};
    weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;

    options.pool_size = slots;
    options.max_overflow = 0;
    options.handoff_after_us = handoff_after_us;
    bench_must(weir_pool_open(&options, &driver, NULL, &pool, NULL) == WEIR_OK, "weir_pool_open");
}

static void open_weir(int slots)
{
    open_weir_with(slots, 0);
}

static void open_weir_lenient(int slots)
{
    open_weir_with(slots, 1000);
}

/* What a listener of metrics, of a log or of traces does at the least: count. */
static _Atomic uint64_t heard;

static weir_status count_event(const weir_pool_event *event, void *arg)
{
    (void)event, (void)arg;
    atomic_fetch_add_explicit(&heard, 1, memory_order_relaxed);
    return WEIR_OK;
}

static void listen_for(unsigned mask, int listeners)
{
    for (int i = 0; i < listeners; i++)
        bench_must(weir_pool_listen(pool, mask, count_event, NULL, NULL) == WEIR_OK, "listen");
}

/* Metrics, a log and traces: all that does not come with every loan. */
static void open_weir_observed(int slots)
{
    open_weir(slots);
    listen_for(WEIR_EVENT_ALL & ~WEIR_EVENT_EACH_LOAN, 3);
}

static void open_weir_each_loan(int slots)
{
    open_weir(slots);
    listen_for(WEIR_EVENT_BIT(WEIR_EVENT_CHECKOUT) | WEIR_EVENT_BIT(WEIR_EVENT_CHECKIN), 1);
}

static void close_weir(void)
{
    bench_must(weir_pool_dispose(pool, weir_deadline_in(1000), NULL) == WEIR_OK, "dispose");
    weir_pool_close(pool);
}

static void cycle_weir(void (*work)(void))
{
    weir_lease lease;

    bench_must(weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &lease, NULL) == WEIR_OK, "acquire");
    if (work != NULL)
        work();
    weir_pool_release(&lease);
}

LOOP_OF(cycle_weir)

/* The peer: what one writes first, a stack of free resources behind a mutex and a condition. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int free[64];
    int count;
} naive = {.lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};

static void open_naive(int slots)
{
    naive.count = slots;
    for (int i = 0; i < slots; i++)
        naive.free[i] = i;
}

static void close_naive(void)
{
}

static void cycle_naive(void (*work)(void))
{
    pthread_mutex_lock(&naive.lock);
    while (naive.count == 0)
        pthread_cond_wait(&naive.freed, &naive.lock);
    int taken = naive.free[--naive.count];
    pthread_mutex_unlock(&naive.lock);
    if (work != NULL)
        work();
    pthread_mutex_lock(&naive.lock);
    naive.free[naive.count++] = taken;
    pthread_cond_signal(&naive.freed);
    pthread_mutex_unlock(&naive.lock);
}

LOOP_OF(cycle_naive)

/* The floors: an uncontended lock and unlock, and two bare swaps. */
static pthread_mutex_t floor_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t floor_word;

static void cycle_mutex(void (*work)(void))
{
    (void)work;
    pthread_mutex_lock(&floor_mutex);
    pthread_mutex_unlock(&floor_mutex);
}

LOOP_OF(cycle_mutex)

static void cycle_swaps(void (*work)(void))
{
    uint64_t expected = 0;

    (void)work;
    atomic_compare_exchange_strong(&floor_word, &expected, 1);
    expected = 1;
    atomic_compare_exchange_strong(&floor_word, &expected, 0);
}

LOOP_OF(cycle_swaps)

static const struct contender weir = {"weir pool", open_weir, close_weir, cycle_weir,
                                      cycle_weir_loop};
static const struct contender observed = {"weir, metrics log and traces", open_weir_observed,
                                          close_weir, cycle_weir, cycle_weir_loop};
static const struct contender each_loan = {"weir, each loan is heard", open_weir_each_loan,
                                           close_weir, cycle_weir, cycle_weir_loop};
static const struct contender lenient = {"weir, handoff_after 1 ms", open_weir_lenient, close_weir,
                                         cycle_weir, cycle_weir_loop};
static const struct contender peer = {"naive mutex+condvar pool", open_naive, close_naive,
                                      cycle_naive, cycle_naive_loop};
static const struct contender mutex_floor = {"pthread mutex lock+unlock", open_naive, close_naive,
                                             cycle_mutex, cycle_mutex_loop};
static const struct contender swap_floor = {"two bare compare-and-swaps", open_naive, close_naive,
                                            cycle_swaps, cycle_swaps_loop};

/* ---- cycles ------------------------------------------------------------------------------ */

enum { ROUNDS = 9 };

struct cycles {
    const struct contender *contender;
    long per_thread;
};

static void run_cycles(void *arg, int number)
{
    const struct cycles *cycles = arg;

    (void)number;
    cycles->contender->cycles(cycles->per_thread);
}

/* Wall nanoseconds per cycle over all threads together. */
static double measure_cycles(const struct contender *contender, int threads)
{
    struct cycles cycles = {contender, 4000000 / threads};

    contender->open(8);
    weir_time wall = bench_run_threads(threads, run_cycles, &cycles);
    contender->close();
    return (double)wall / ((double)cycles.per_thread * threads);
}

/* The pools come first, then the floors, which are uncontended by definition. */
enum { WEIR, OBSERVED, EACH_LOAN, PEER, MUTEX, SWAPS, CONTENDERS, POOLS = MUTEX, COUNTS = 3 };

static const int thread_counts[COUNTS] = {1, 2, 8};

/* The median of each, then the best round in brackets: whatever disturbs a round only adds to it. */
static void print_cycles(const char *name, double samples[COUNTS][ROUNDS], int columns)
{
    printf("%-28s", name);
    for (int t = 0; t < columns; t++) {
        double median = bench_median(samples[t], ROUNDS);
        printf(" %7.1f (%5.1f)", median, samples[t][0]); /* sorted by now */
    }
    printf("\n");
}

static void bench_cycles(void)
{
    static const struct contender *const contenders[CONTENDERS] = {
        &weir, &observed, &each_loan, &peer, &mutex_floor, &swap_floor};
    static double samples[CONTENDERS][COUNTS][ROUNDS];

    for (int round = 0; round < ROUNDS; round++)
        for (int t = 0; t < COUNTS; t++)
            for (int c = 0; c < CONTENDERS; c++)
                if (c < POOLS || t == 0)
                    samples[c][t][round] = measure_cycles(contenders[c], thread_counts[t]);

    printf("acquire+release of a no-op resource, pool of 8: wall ns per cycle over all threads,\n"
           "median of %d interleaved rounds (and the best of them)\n",
           ROUNDS);
    printf("%-28s %15s %15s %15s\n", "", "1 thread", "2 threads", "8 threads");
    for (int c = 0; c < CONTENDERS; c++)
        print_cycles(contenders[c]->name, samples[c], c < POOLS ? COUNTS : 1);

    double one = samples[WEIR][0][0];
    printf("best rounds: one weir cycle %.1f ns (goal 20), %.2f x the mutex pair, %.2f x two bare "
           "swaps; two threads %.2f x one (goal 1.6)\n",
           one, one / samples[MUTEX][0][0], one / samples[SWAPS][0][0], one / samples[WEIR][1][0]);
    printf(
        "with listeners for metrics, log and traces %.2f x without (goal at most 1.5), with one\n"
        "for each checkout and checkin %.2f x\n\n",
        samples[OBSERVED][0][0] / one, samples[EACH_LOAN][0][0] / one);
}

/* ---- in the queue ----------------------------------------------------------------------------- */

enum { THREADS = 64, SLOTS = 4, MOST_WAITS = 400000, WARM_UP_MS = 200, WINDOW_MS = 2000 };

struct line_run {
    const struct contender *contender;
    void (*work)(void);
    weir_time from; /* waits that end in this window count */
    weir_time until;
    uint64_t ops[THREADS];
    float *waits[THREADS];
};

static _Thread_local weir_time work_began;

static void work_asleep(void)
{
    struct timespec ten_us = {0, 10000};

    work_began = weir_now();
    nanosleep(&ten_us, NULL);
}

static void work_busy(void)
{
    work_began = weir_now();
    while (weir_now() - work_began < 10 * WEIR_US)
        continue;
}

static void sleep_in_queue(void *arg, int number)
{
    struct line_run *run = arg;

    prctl(PR_SET_TIMERSLACK, 1UL);
    for (;;) {
        weir_time asked = weir_now();
        if (asked >= run->until)
            return;
        run->contender->cycle(run->work);
        if (work_began < run->from || work_began >= run->until)
            continue;
        uint64_t n = run->ops[number]++;
        run->waits[number][n % (MOST_WAITS / THREADS)] = (float)(work_began - asked);
    }
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

static void print_line_run(struct line_run *run)
{
    static float all[MOST_WAITS];
    size_t count = 0;
    uint64_t total = 0;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    for (int i = 0; i < THREADS; i++) {
        uint64_t kept = run->ops[i] < MOST_WAITS / THREADS ? run->ops[i] : MOST_WAITS / THREADS;

        memcpy(all + count, run->waits[i], kept * sizeof all[0]);
        count += kept;
        total += run->ops[i];
        least = run->ops[i] < least ? run->ops[i] : least;
        most = run->ops[i] > most ? run->ops[i] : most;
    }
    bench_must(count > 0 && most > 0, "a run in the queue");
    qsort(all, count, sizeof all[0], compare_floats);
    double p50 = all[count / 2] / 1000.0;
    double max = all[count - 1] / 1000.0;
    printf("%-28s %9.0f %9.0f %9.0f %9.0f %8.4f %8.4f %7.3f %8.1f\n", run->contender->name,
           (double)total * 1000.0 / WINDOW_MS, p50, all[(size_t)((double)count * 0.99)] / 1000.0,
           max, (double)least / (double)total, (double)most / (double)total,
           (double)least / (double)most, p50 > 0 ? max / p50 : 0);
}

static void measure_line(const struct contender *contender, void (*work)(void))
{
    static float waits[THREADS][MOST_WAITS / THREADS];
    struct line_run run = {.contender = contender, .work = work};

    for (int i = 0; i < THREADS; i++)
        run.waits[i] = waits[i];
    contender->open(SLOTS);
    run.from = weir_now() + WARM_UP_MS * WEIR_MS;
    run.until = run.from + WINDOW_MS * WEIR_MS;
    bench_run_threads(THREADS, sleep_in_queue, &run);
    contender->close();
    print_line_run(&run);
}

static void bench_line(const char *what, void (*work)(void))
{
    printf("%d threads on %d slots, each holding for 10 us (%s), %d ms\n", THREADS, SLOTS, what,
           WINDOW_MS);
    printf("%-28s %9s %9s %9s %9s %8s %8s %7s %8s\n", "", "ops/s", "p50 us", "p99 us", "max us",
           "least", "most", "ratio", "max/p50");
    measure_line(&weir, work);
    measure_line(&lenient, work);
    measure_line(&peer, work);
    printf("\n");
}

int main(void)
{
    bench_cycles();
    bench_line("asleep, as if waiting for a database", work_asleep);
    bench_line("busy, the CPU being the bottleneck", work_busy);
    printf("goals for the first weir row: share ratio least/most >= 0.9, max wait <= 10 x p50.\n"
           "What this does not show: a database; more than the cores of this machine; maxima under "
           "load include the\nscheduler's own delays.\n");
    return 0;
}
