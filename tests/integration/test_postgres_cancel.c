/* SPDX-License-Identifier: MIT */
/* Deadlines on PostgreSQL under load: what the server counts, and what they cost the others. */
#include "cancel_scene.h"

#define MOST_THREADS 32

/* ---- load ---------------------------------------------------------------------------------- */

/* Threads that run into their deadlines, and threads that do not. */
struct load {
    weir_db *db;
    const char *slow;
    int deadline_ms; /* of the slow ones; 0: none */
    const char *quick;
    int cancels; /* they stop after so many deadlines in all; 0: at `until` */
    weir_time until;
    atomic_int timeouts;
    atomic_int answers; /* of the quick */
    atomic_int failures;
    atomic_bool is_over;
    pthread_t threads[MOST_THREADS];
    int count;
};

static bool goes_on(struct load *load)
{
    bool has_all = load->cancels > 0 && atomic_load(&load->timeouts) >= load->cancels;

    return !has_all && !atomic_load(&load->is_over) && weir_now() < load->until;
}

static void note_failure(struct load *load, const char *what, const weir_error *why)
{
    if (atomic_fetch_add(&load->failures, 1) < 5)
        printf("# %s: %s %s\n", what, why->sqlstate, why->text);
}

static void *be_slow(void *arg)
{
    struct load *load = arg;

    while (goes_on(load)) {
        weir_error why;
        weir_conn *conn = NULL;
        if (weir_db_acquire(load->db, weir_deadline_in(60000), &conn, &why) != WEIR_OK) {
            note_failure(load, "acquire", &why);
            continue;
        }
        weir_status status =
            run_for(conn, load->slow, load->deadline_ms > 0 ? load->deadline_ms : 60000, &why);
        weir_conn_release(conn);
        if (status == WEIR_TIMEOUT)
            atomic_fetch_add(&load->timeouts, 1);
        else if (status != WEIR_OK)
            note_failure(load, "slow", &why);
    }
    return NULL;
}

static void *be_quick(void *arg)
{
    struct load *load = arg;

    while (goes_on(load)) {
        weir_error why;
        if (weir_db_query(load->db, load->quick, NULL, 0, NULL, &why) == WEIR_OK)
            atomic_fetch_add(&load->answers, 1);
        else
            note_failure(load, "quick", &why);
    }
    return NULL;
}

static void load_start(struct load *load, int slow, int quick, int ms)
{
    load->until = weir_deadline_in(ms);
    load->count = slow + quick;
    for (int i = 0; i < load->count; i++)
        pthread_create(&load->threads[i], NULL, i < slow ? be_slow : be_quick, load);
}

static void load_join(struct load *load)
{
    for (int i = 0; i < load->count; i++)
        pthread_join(load->threads[i], NULL);
}

/* ---- what the server counts ---------------------------------------------------------------- */

static char *long_text(const char *first, const char *more, int count, const char *last)
{
    size_t room = strlen(first) + (size_t)count * strlen(more) + strlen(last) + 1;
    char *text = malloc(room);
    char *end = stpcpy(text, first);

    for (int i = 0; i < count; i++)
        end = stpcpy(end, more);
    strcpy(end, last);
    return text;
}

/* Run into deadlines for `ms`, or for as long as it takes a busy machine to have looked often enough; the most
 * that the server counted at one moment. */
static long most_counted(const char *url, const char *slow, int threads, int ms)
{
    struct load load = {.db = open_db(url, 4, 10000), .slow = slow, .deadline_ms = 60};
    long most = 0;
    int samples = 0;

    weir_time until = weir_deadline_in(ms);
    load_start(&load, threads, 0, 60000);
    while (weir_now() < until ||
           (weir_now() < load.until && (samples <= 20 || atomic_load(&load.timeouts) == 0))) {
        long count = observe("SELECT count(*) " OURS);
        most = count > most ? count : most;
        samples++;
        nap(2);
    }
    atomic_store(&load.is_over, true);
    load_join(&load);
    weir_pool_stats stats = stats_of(load.db);
    printf("# %.40s…: at most %ld sessions in %d samples; %d deadlines, %llu connections opened\n",
           slow, most, samples, atomic_load(&load.timeouts), (unsigned long long)stats.connects);
    check(samples > 20);
    check(atomic_load(&load.timeouts) > 0);
    check_int(atomic_load(&load.failures), 0);
    check(stats.connects <= 4 + (uint64_t)atomic_load(&load.timeouts) / 20);
    check_int(stats.nested, 0);
    check_int(stats.leaks, 0);
    close_db(load.db);
    return most;
}

static void a_statement_in_the_compiler_never_makes_more_sessions_than_the_pool_has(void)
{
    /* Hundreds of terms: seconds in LLVM, which looks for no cancel. */
    char *terms = long_text("SELECT n", " + (CASE WHEN n % 7 > 3 THEN n * 3 ELSE n - 1 END)", 250,
                            " FROM generate_series(1, 10) AS n");
    char url[600];

    snprintf(url, sizeof(url), "%s&options=-c%%20jit_above_cost%%3D0",
             env("WEIR_TEST_PG_SOCKET_URL"));
    check(most_counted(url, terms, 4, 6000) <= 4);
    check(most_counted(url, terms, 12, 4000) <= 4);
    free(terms);
}

static void a_statement_that_looks_for_no_cancel_never_makes_more_sessions_than_the_pool_has(void)
{
    check(most_counted(env("WEIR_TEST_PG_URL"), STUBBORN, 8, 5000) <= 4);
}

static void a_statement_that_sleeps_or_waits_never_makes_more_sessions_than_the_pool_has(void)
{
    check(most_counted(env("WEIR_TEST_PG_URL"), SLEEP, 12, 2000) <= 4);
    observe("SELECT pg_advisory_lock(42)");
    check(most_counted(env("WEIR_TEST_PG_SOCKET_URL"), "SELECT pg_advisory_lock(42)", 8, 2000) <=
          4);
    observe("SELECT pg_advisory_unlock(42)");
}

/* ---- what deadlines cost the others -------------------------------------------------------- */

/* How many quick statements eight threads get done in `ms`, beside eight others. */
static int answers_beside(weir_db *db, const char *slow, int deadline_ms, const char *quick, int ms,
                          uint64_t *timeouts)
{
    struct load load = {.db = db, .slow = slow, .deadline_ms = deadline_ms, .quick = quick};

    load_start(&load, 8, 8, ms);
    load_join(&load);
    check_int(atomic_load(&load.failures), 0);
    *timeouts += (uint64_t)atomic_load(&load.timeouts);
    return atomic_load(&load.answers);
}

/* The same beside neighbours who need their connections for as long and end by themselves, in turns,
 * so that what else the machine does hits both. */
static double kept_throughput(const char *quick, int pool_size)
{
    weir_db *db = open_db(env("WEIR_TEST_PG_URL"), pool_size, 10000);
    int quiet = 0;
    int busy = 0;
    uint64_t timeouts = 0;

    int turns = 0;
    for (; turns < 6 || (timeouts <= 20 && turns < 60); turns++) {
        quiet += answers_beside(db, "SELECT pg_sleep(0.06)", 0, quick, 300, &timeouts);
        busy += answers_beside(db, SLEEP, 60, quick, 300, &timeouts);
    }
    weir_pool_stats stats = stats_of(db);
    printf("# pool of %2d, %s: %d in %.1f s beside others, %d beside %llu deadlines: %.2f; %llu "
           "connections opened\n",
           pool_size, quick, quiet, 0.3 * turns, busy, (unsigned long long)timeouts,
           (double)busy / quiet, (unsigned long long)stats.connects);
    check(timeouts > 20);
    check(stats.connects <= (uint64_t)pool_size + timeouts / 20);
    close_db(db);
    return (double)busy / quiet;
}

/* On a machine that does nothing else (WEIR_TEST_QUIET) 0.8 and more; 0.6 where sixteen share eight,
 * because a slot is kept until its statement has ended. A cancel costs the server a process, so on a
 * machine that is busy it is less, by turns, and least where the statements need the processor, too. A
 * connection closed for each deadline is found by their count, whatever the machine does. */
static void half_of_the_callers_timing_out_leave_the_other_half_its_throughput(void)
{
    static const struct {
        const char *quick;
        int pool_size;
        double bound;
        double quiet_bound;
    } scenes[] = {{"SELECT pg_sleep(0.001)", 16, 0.5, 0.8},
                  {"SELECT pg_sleep(0.001)", 8, 0.3, 0.6},
                  {"SELECT count(*) FROM generate_series(1, 200)", 16, 0.3, 0.8}};
    bool is_quiet = getenv("WEIR_TEST_QUIET") != NULL;

    for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++) {
        double bound = is_quiet ? scenes[i].quiet_bound : scenes[i].bound;
        double best = 0;
        for (int tries = 0; tries < 8 && best < bound; tries++) {
            double kept = kept_throughput(scenes[i].quick, scenes[i].pool_size);
            best = kept > best ? kept : best;
        }
        check(best >= bound);
    }
}

static void no_cancel_hits_another_borrower(void)
{
    const char *wanted = getenv("WEIR_TEST_CANCELS");
    struct load load = {.db = open_db(env("WEIR_TEST_PG_SOCKET_URL"), 6, 10000),
                        .slow = SLEEP,
                        .deadline_ms = 1,
                        .quick = "SELECT pg_sleep(0.001)",
                        .cancels = wanted != NULL ? atoi(wanted) : 2000};
    weir_time start = weir_now();

    load_start(&load, 8, 8, wanted != NULL ? 3600000 : 300000);
    load_join(&load);
    weir_pool_stats stats = stats_of(load.db);
    printf("# %d cancelled and %d others answered in %.1f s; %d others hit, %llu connections "
           "opened\n",
           atomic_load(&load.timeouts), atomic_load(&load.answers),
           (double)(weir_now() - start) / 1e9, atomic_load(&load.failures),
           (unsigned long long)stats.connects);
    check(atomic_load(&load.timeouts) >= load.cancels);
    check_int(atomic_load(&load.failures), 0);
    check(stats.connects <= 6 + (uint64_t)atomic_load(&load.timeouts) / 20);
    close_db(load.db);
}

int main(void)
{
    observe_from_now();
    if (observe("SELECT pg_jit_available()::int") == 1)
        run(a_statement_in_the_compiler_never_makes_more_sessions_than_the_pool_has);
    else /* from 18 on Debian has it in a package of its own */
        check_skip(a_statement_in_the_compiler_never_makes_more_sessions_than_the_pool_has,
                   "the server has no compiler (Debian's postgresql-18-jit)");
    run(a_statement_that_looks_for_no_cancel_never_makes_more_sessions_than_the_pool_has);
    run(a_statement_that_sleeps_or_waits_never_makes_more_sessions_than_the_pool_has);
    run(half_of_the_callers_timing_out_leave_the_other_half_its_throughput);
    run(no_cancel_hits_another_borrower);
    PQfinish(observer);
    return check_done();
}
