/* SPDX-License-Identifier: MIT */
/*
 * Many writers of one SQLite file, through weir_db beside the same threads with plain connections and
 * SQLite's busy timeout. Two loads: transactions that hold the lock for long, where what counts is how
 * long one waits for its turn, and short ones, where what counts is how many there are.
 *
 * Both sides take turns and the ratio of short writes is the median of the rounds' ratios. With --check,
 * a wait or a ratio beyond its limit is a failure. A directory for the file may be given: on tmpfs a
 * write costs no disk.
 */
#include "bench.h"

#include <weir/db.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONG_WRITERS 15
#define SHORT_WRITERS 8
#define MOST_WRITERS 15
#define HOLD_MS 50
#define LONG_RUN (8 * WEIR_SECOND)
#define SHORT_RUN (WEIR_SECOND / 2)
#define ROUNDS 9
#define MOST_WAITS 200000

struct load {
    int writers;
    int hold_ms; /* 0: one INSERT by itself */
    weir_time length;
};

/* One thread's part. */
struct part {
    const struct load *load;
    weir_db *db; /* NULL: a plain connection */
    const char *path;
    weir_time until;
    pthread_t thread;
    int done;
    int failed;
    weir_time *waits; /* for the lock, of `done` transactions */
};

/* What came of a run. */
struct outcome {
    int done;
    int failed;
    double per_second;
    weir_time median;
    weir_time p99;
    weir_time worst;
};

static void hold(const struct load *load)
{
    nanosleep(&(struct timespec){.tv_nsec = load->hold_ms * WEIR_MS}, NULL);
}

static void note(struct part *part, bool is_done, weir_time wait)
{
    if (!is_done)
        part->failed++;
    else if (part->done < MOST_WAITS)
        part->waits[part->done++] = wait;
}

static bool write_once(weir_conn *conn, const struct load *load, weir_time *ret_wait)
{
    weir_time start = weir_now();

    if (load->hold_ms == 0) {
        bool is_done =
            weir_conn_query(conn, "INSERT INTO t VALUES (1)", NULL, 0, NULL, NULL) == WEIR_OK;
        *ret_wait = weir_now() - start;
        return is_done;
    }
    if (weir_conn_begin(conn, WEIR_TX_WRITE, NULL) != WEIR_OK)
        return false;
    *ret_wait = weir_now() - start;
    hold(load);
    if (weir_conn_query(conn, "INSERT INTO t VALUES (1)", NULL, 0, NULL, NULL) == WEIR_OK)
        return weir_conn_commit(conn, NULL) == WEIR_OK;
    (void)weir_conn_rollback(conn, NULL);
    return false;
}

static void *write_through_weir(void *arg)
{
    struct part *part = arg;
    weir_conn *conn = NULL;
    weir_time wait = 0;

    while (weir_now() < part->until) {
        bench_must(weir_db_acquire(part->db, WEIR_DEADLINE_DEFAULT, &conn, NULL) == WEIR_OK,
                   "acquire");
        bool is_done = write_once(conn, part->load, &wait);
        weir_conn_release(conn);
        note(part, is_done, wait);
    }
    return NULL;
}

static bool write_once_plainly(sqlite3 *db, sqlite3_stmt *insert, const struct load *load,
                               weir_time *ret_wait)
{
    weir_time start = weir_now();

    if (load->hold_ms == 0) {
        bool is_done = sqlite3_step(insert) == SQLITE_DONE;
        sqlite3_reset(insert);
        *ret_wait = weir_now() - start;
        return is_done;
    }
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return false;
    *ret_wait = weir_now() - start;
    hold(load);
    bool is_done = sqlite3_step(insert) == SQLITE_DONE;
    sqlite3_reset(insert);
    return sqlite3_exec(db, is_done ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK &&
           is_done;
}

static void *write_plainly(void *arg)
{
    struct part *part = arg;
    sqlite3 *db;
    sqlite3_stmt *insert;
    weir_time wait = 0;

    bench_must(sqlite3_open_v2(part->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                               NULL) == SQLITE_OK,
               "sqlite3_open_v2");
    sqlite3_busy_timeout(db, 5000);
    bench_must(sqlite3_prepare_v2(db, "INSERT INTO t VALUES (1)", -1, &insert, NULL) == SQLITE_OK,
               "sqlite3_prepare_v2");
    while (weir_now() < part->until) {
        bool is_done = write_once_plainly(db, insert, part->load, &wait);
        note(part, is_done, wait);
    }
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return NULL;
}

/* ---- measuring ----------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    weir_time x = *(const weir_time *)a;
    weir_time y = *(const weir_time *)b;

    return (x > y) - (x < y);
}

static struct outcome sum_up(const struct part *parts, int count, weir_time took)
{
    static weir_time waits[MOST_WRITERS * MOST_WAITS];
    struct outcome outcome = {0};

    for (int i = 0; i < count; i++) {
        memcpy(waits + outcome.done, parts[i].waits, (size_t)parts[i].done * sizeof waits[0]);
        outcome.done += parts[i].done;
        outcome.failed += parts[i].failed;
    }
    if (outcome.done == 0)
        return outcome;
    qsort(waits, (size_t)outcome.done, sizeof waits[0], by_value);
    outcome.per_second = outcome.done / ((double)took / WEIR_SECOND);
    outcome.median = waits[outcome.done / 2];
    outcome.p99 = waits[(size_t)outcome.done * 99 / 100];
    outcome.worst = waits[outcome.done - 1];
    return outcome;
}

static struct outcome run_load(const struct load *load, weir_db *db, const char *path)
{
    static weir_time waits[MOST_WRITERS][MOST_WAITS];
    struct part parts[MOST_WRITERS];
    weir_time start = weir_now();

    for (int i = 0; i < load->writers; i++) {
        parts[i] = (struct part){
            .load = load, .db = db, .path = path, .until = start + load->length, .waits = waits[i]};
        pthread_create(&parts[i].thread, NULL, db != NULL ? write_through_weir : write_plainly,
                       &parts[i]);
    }
    for (int i = 0; i < load->writers; i++)
        pthread_join(parts[i].thread, NULL);
    return sum_up(parts, load->writers, weir_now() - start);
}

static void print(const char *who, const struct outcome *o)
{
    printf("%-34s %8d %7d %10.1f %10.2f %10.2f %10.2f\n", who, o->done, o->failed, o->per_second,
           (double)o->median / WEIR_MS, (double)o->p99 / WEIR_MS, (double)o->worst / WEIR_MS);
    fflush(stdout);
}

/* The fair wait is a turn of each: what one turn takes is known from how many there were. */
static bool compare_long(weir_db *db, const char *path)
{
    static const struct load load = {LONG_WRITERS, HOLD_MS, LONG_RUN};
    struct outcome plain = run_load(&load, NULL, path);
    struct outcome ours = run_load(&load, db, path);
    double fair = LONG_WRITERS / ours.per_second * 1e3;
    double worst = (double)ours.worst / WEIR_MS / fair;

    print("long, plain with a busy timeout", &plain);
    print("long, weir_db", &ours);
    printf("%-34s the worst wait is %.2f of the fair one (%.0f ms); limit 1.50, no failures\n", "",
           worst, fair);
    return ours.failed == 0 && worst <= 1.5;
}

static bool compare_short(weir_db *db, const char *path)
{
    static const struct load load = {SHORT_WRITERS, 0, SHORT_RUN};
    double ratios[ROUNDS];
    struct outcome plain = {0};
    struct outcome ours = {0};

    for (int i = 0; i < ROUNDS; i++) {
        plain = run_load(&load, NULL, path);
        ours = run_load(&load, db, path);
        ratios[i] = ours.per_second / plain.per_second;
    }
    double ratio = bench_median(ratios, ROUNDS);
    print("short, plain with a busy timeout", &plain);
    print("short, weir_db", &ours);
    printf("%-34s writes a second: %.2f of plain connections'; limit 0.95, no failures\n", "",
           ratio);
    return ours.failed == 0 && ratio >= 0.95;
}

int main(int argc, char **argv)
{
    bool checks = argc > 1 && strcmp(argv[1], "--check") == 0;
    const char *where = argc > 1 + checks ? argv[1 + checks] : "/tmp";
    char directory[256];
    char path[300];
    char url[400];
    char command[300];
    weir_db *db = NULL;

    snprintf(directory, sizeof directory, "%s/weir-bench.XXXXXX", where);
    bench_must(mkdtemp(directory) != NULL, "mkdtemp");
    snprintf(path, sizeof path, "%s/writers.db", directory);
    snprintf(url, sizeof url, "sqlite:///%s?pool_size=%d", path, MOST_WRITERS);
    bench_must(weir_db_open(url, NULL, &db, NULL) == WEIR_OK, "weir_db_open");
    bench_must(weir_db_query(db, "CREATE TABLE t (x)", NULL, 0, NULL, NULL) == WEIR_OK, "table");
    printf("%-34s %8s %7s %10s %10s %10s %10s\n", "waits in milliseconds", "done", "failed",
           "a second", "median", "p99", "worst");
    bool is_within = compare_long(db, path);
    is_within &= compare_short(db, path);
    weir_db_close(db);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    bench_must(system(command) == 0, "cleaning up");
    return checks && !is_within;
}
