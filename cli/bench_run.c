/* SPDX-License-Identifier: MIT */
/* The measuring: rounds in turn with a pool and without, so that what else the machine does hits both. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_UP 5 /* statements of each thread before the measuring */
#define STATEMENT_LIMIT_MS 30000
#define ERRORS_LIMIT 20 /* of a thread in a row; then it gives up */
#define SAY_EVERY (100 * WEIR_MS)

/* Who is told how far it is, and what the slice in progress is of the whole. */
struct watch {
    bench_say *say;
    const struct bench_options *options;
    int concurrency;
    int round;
    enum bench_way way;
    int slices_before; /* of all levels */
};

/* What the threads of one slice share. */
struct slice {
    weir_db *db;
    const char *statement;
    enum bench_way way;
    int count; /* statements of each thread; 0: until `end` */
    weir_time end;
    bool (*is_stopped)(void);
    const struct watch *watch; /* NULL: nobody is told how far it is */
    _Atomic int running;       /* threads */
    _Atomic bool has_failed;   /* whoever sets it writes the error */
    weir_error error;
};

/* One thread of a slice, and what it measured. */
struct worker {
    pthread_t thread;
    struct slice *slice;
    struct bench_times times;
    uint64_t errors;
    weir_time ended;
};

/* *ret_answered is the instant at which the answer was there; giving back comes after it. */
static weir_status ask_once(const struct slice *slice, weir_time *ret_answered, weir_error *reterr)
{
    weir_time deadline = weir_deadline_in(STATEMENT_LIMIT_MS);
    weir_result *rows;
    weir_conn *conn;

    weir_status status = weir_db_acquire(slice->db, deadline, &conn, reterr);
    if (status != WEIR_OK)
        return status;
    weir_conn_set_deadline(conn, deadline);
    status = weir_conn_query(conn, slice->statement, NULL, 0, &rows, reterr);
    if (status == WEIR_OK)
        weir_result_close(rows);
    *ret_answered = weir_now();
    /* Without a pool a connection serves one statement, and is closed. */
    if (slice->way == BENCH_POOLED)
        weir_conn_release(conn);
    else
        weir_conn_discard(conn);
    return status;
}

static bool goes_on(const struct slice *slice, int done, weir_time now)
{
    if (slice->is_stopped())
        return false;
    return slice->count > 0 ? done < slice->count : now < slice->end;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct slice *slice = worker->slice;
    weir_error error;
    weir_time now = weir_now();
    int errors_in_a_row = 0;

    for (int done = 0; goes_on(slice, done, now) && errors_in_a_row < ERRORS_LIMIT; done++) {
        weir_time begin = now, answered = now;
        weir_status status = ask_once(slice, &answered, &error);
        now = weir_now();
        if (status == WEIR_OK) {
            bench_times_add(&worker->times, answered - begin);
            errors_in_a_row = 0;
            continue;
        }
        worker->errors++;
        errors_in_a_row++;
        if (!atomic_exchange(&slice->has_failed, true))
            slice->error = error;
    }
    worker->ended = weir_now();
    atomic_fetch_sub(&slice->running, 1);
    return NULL;
}

/* ---- How far it is ------------------------------------------------------------------------ */

static weir_time slice_length(const struct bench_options *options)
{
    return (weir_time)(options->seconds * (double)WEIR_SECOND) / BENCH_ROUNDS;
}

static void tell(const struct watch *watch, weir_time left)
{
    const struct bench_options *options = watch->options;
    double slices = options->level_count * BENCH_ROUNDS * BENCH_WAYS;
    double done = 1 - (double)(left > 0 ? left : 0) / (double)slice_length(options);
    struct bench_progress progress = {
        .concurrency = watch->concurrency,
        .round = watch->round,
        .way = watch->way,
        .share = (watch->slices_before + (done > 0 ? done : 0)) / slices,
    };

    progress.seconds_left =
        (1 - progress.share) * options->seconds * options->level_count * BENCH_WAYS;
    watch->say(&progress);
}

/* Tell of it until the slice is over; a signal that stops it ends the sleep. */
static void tell_until_over(struct slice *slice)
{
    weir_time now = weir_now();

    while (slice->watch != NULL && now < slice->end && atomic_load(&slice->running) > 0 &&
           !slice->is_stopped()) {
        tell(slice->watch, slice->end - now);
        weir_time pause = slice->end - now < SAY_EVERY ? slice->end - now : SAY_EVERY;
        struct timespec length = {0, (long)pause};
        nanosleep(&length, NULL);
        now = weir_now();
    }
}

/* Run threads to their end and add up what they measured in *figures, which may be NULL. */
static weir_status run_slice(struct slice *slice, int threads, struct bench_figures *figures,
                             weir_error *reterr)
{
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    int count = 0;

    if (workers == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory for %d threads", threads);
    weir_time begin = weir_now(), end = begin;
    atomic_store(&slice->running, threads);
    if (slice->watch != NULL)
        tell(slice->watch, slice_length(slice->watch->options));
    for (; count < threads; count++) {
        workers[count].slice = slice;
        if (pthread_create(&workers[count].thread, NULL, work, &workers[count]) != 0)
            break;
    }
    if (count == threads)
        tell_until_over(slice);
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        end = workers[i].ended > end ? workers[i].ended : end;
    }
    if (figures != NULL)
        figures->measured += end - begin;
    for (int i = 0; i < count && figures != NULL; i++) {
        bench_times_merge(&figures->times, &workers[i].times);
        figures->errors += workers[i].errors;
    }
    free(workers);
    if (count < threads)
        return weir_error_set(reterr, WEIR_SYSTEM, "only %d of %d threads could be started", count,
                              threads);
    return WEIR_OK;
}

static uint64_t connects(weir_db *db)
{
    weir_pool_stats stats;

    weir_pool_get_stats(weir_db_pool(db), &stats);
    return stats.connects;
}

/* Every statement must work before it is worth measuring how long it takes. */
static weir_status warm_up(const struct slice *base, int threads, weir_error *reterr)
{
    struct slice slice = *base;

    slice.count = WARM_UP;
    weir_status status = run_slice(&slice, threads, NULL, reterr);
    if (status == WEIR_OK && atomic_load(&slice.has_failed)) {
        status = slice.error.status;
        if (reterr != NULL)
            *reterr = slice.error;
    }
    return status;
}

/* The databases of both ways, each with as many connections as there are threads: none has to wait. */
static weir_status open_both(const struct bench_options *options, int concurrency, weir_db **dbs,
                             weir_error *reterr)
{
    weir_db_options db = WEIR_DB_OPTIONS_DEFAULT;

    db.pool.pool_size = concurrency;
    db.pool.max_overflow = 0;
    db.application_name = "weir-bench";
    for (int way = 0; way < BENCH_WAYS; way++) {
        db.pool.name = way == BENCH_POOLED ? "pooled" : "unpooled";
        weir_status status = weir_db_open(options->url, &db, &dbs[way], reterr);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static weir_status run_rounds(const struct watch *whole, weir_db **dbs, bool (*is_stopped)(void),
                              struct bench_level *level, weir_error *reterr)
{
    struct watch watch = *whole;
    weir_status status = WEIR_OK;

    for (int i = 0; i < BENCH_ROUNDS * BENCH_WAYS && status == WEIR_OK && !is_stopped(); i++) {
        int round = i / BENCH_WAYS;
        /* The order changes with each round: neither way is always the first. */
        enum bench_way way = (enum bench_way)((i + round) % BENCH_WAYS);
        struct slice slice = {.db = dbs[way],
                              .statement = watch.options->statement,
                              .way = way,
                              .is_stopped = is_stopped,
                              .watch = watch.say != NULL ? &watch : NULL};
        uint64_t before = connects(dbs[way]);
        watch.round = round + 1;
        watch.way = way;
        slice.end = weir_now() + slice_length(watch.options);
        status = run_slice(&slice, level->concurrency, &level->ways[way], reterr);
        watch.slices_before++;
        level->ways[way].opened += connects(dbs[way]) - before;
        if (status == WEIR_OK && level->ways[way].times.count == 0 && !is_stopped()) {
            status = slice.error.status; /* nothing worked at all */
            if (reterr != NULL)
                *reterr = slice.error;
        }
    }
    return status;
}

static weir_status run_level(const struct watch *watch, bool (*is_stopped)(void),
                             struct bench_level *level, weir_error *reterr)
{
    const struct bench_options *options = watch->options;
    weir_db *dbs[BENCH_WAYS] = {NULL};

    weir_status status = open_both(options, level->concurrency, dbs, reterr);
    for (int way = 0; way < BENCH_WAYS && status == WEIR_OK; way++) {
        const struct slice slice = {.db = dbs[way],
                                    .statement = options->statement,
                                    .way = (enum bench_way)way,
                                    .is_stopped = is_stopped};
        status = warm_up(&slice, level->concurrency, reterr);
    }
    if (status == WEIR_OK) {
        level->ways[BENCH_POOLED].opened = connects(dbs[BENCH_POOLED]);
        status = run_rounds(watch, dbs, is_stopped, level, reterr);
    }
    for (int way = 0; way < BENCH_WAYS; way++)
        weir_db_close(dbs[way]);
    return status;
}

/* Name the database as it may be shown. */
static weir_status describe(const struct bench_options *options, struct bench_result *result,
                            weir_error *reterr)
{
    weir_db *db;

    weir_status status = weir_db_open(options->url, NULL, &db, reterr);
    if (status != WEIR_OK)
        return status;
    result->url = strdup(weir_db_url(db));
    result->engine = strcmp(weir_db_engine(db), "sqlite") == 0 ? "sqlite" : "postgresql";
    weir_db_close(db);
    if (result->url == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    return WEIR_OK;
}

weir_status bench_run(const struct bench_options *options, bool (*is_stopped)(void), bench_say *say,
                      struct bench_result *ret_result, weir_error *reterr)
{
    struct bench_result *result = ret_result;

    memset(result, 0, sizeof *result);
    result->options = options;
    weir_status status = describe(options, result, reterr);
    for (int i = 0; i < options->level_count && status == WEIR_OK && !is_stopped(); i++) {
        struct bench_level *level = &result->levels[i];
        const struct watch watch = {.say = say,
                                    .options = options,
                                    .concurrency = options->levels[i],
                                    .slices_before = i * BENCH_ROUNDS * BENCH_WAYS};
        level->concurrency = options->levels[i];
        status = run_level(&watch, is_stopped, level, reterr);
        result->level_count += status == WEIR_OK && !is_stopped();
        if (status != WEIR_OK && reterr != NULL) /* the text may point into itself */
            weir_error_set(reterr, status, "with %d %s: %s", level->concurrency,
                           level->concurrency == 1 ? "thread" : "threads", reterr->text);
    }
    result->was_interrupted = is_stopped();
    return status;
}

void bench_result_clear(struct bench_result *result)
{
    free(result->url);
    result->url = NULL;
}

double bench_rate(const struct bench_figures *figures)
{
    double seconds = (double)figures->measured / (double)WEIR_SECOND;

    return seconds > 0 ? (double)figures->times.count / seconds : 0;
}

weir_time bench_saved(const struct bench_level *level)
{
    return bench_times_quantile(&level->ways[BENCH_UNPOOLED].times, 0.5) -
           bench_times_quantile(&level->ways[BENCH_POOLED].times, 0.5);
}

uint64_t bench_avoided(const struct bench_level *level)
{
    const struct bench_figures *pooled = &level->ways[BENCH_POOLED];

    return pooled->times.count > pooled->opened ? pooled->times.count - pooled->opened : 0;
}
