/* SPDX-License-Identifier: MIT */
/* The bound of a pool: more threads than connections, first all at once, then one after the other. */
#include "verify_scene.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define EXTRA_THREADS 6
#define THREADS_LIMIT 64
#define ROUNDS 25

/* Threads that borrow, and what they saw. */
struct crowd {
    const struct verify_scene *scene;
    _Atomic int held;     /* connections that are lent now, by the threads' own count */
    _Atomic int most;     /* the greatest value of `held` */
    _Atomic int loans;    /* given back */
    _Atomic bool is_open; /* those of the first round may go on */
    _Atomic int failed;
    weir_error error; /* of whoever raised `failed` from 0 */
};

static void count_in(struct crowd *crowd)
{
    int held = atomic_fetch_add(&crowd->held, 1) + 1;
    int most = atomic_load(&crowd->most);

    while (held > most && !atomic_compare_exchange_weak(&crowd->most, &most, held))
        continue;
}

static bool borrow_once(struct crowd *crowd, bool waits_for_start)
{
    weir_conn *conn;
    weir_error error;
    int64_t one;

    weir_status status =
        crowd->scene->calls->acquire(crowd->scene->db, weir_deadline_in(2 * crowd->scene->step_ms),
                                     &conn, &error, __FILE__, __LINE__);
    if (status == WEIR_OK) {
        count_in(crowd);
        while (waits_for_start && !atomic_load(&crowd->is_open))
            verify_nap();
        status = verify_number(conn, "SELECT 1", &one, &error);
        atomic_fetch_sub(&crowd->held, 1);
        crowd->scene->calls->release(conn);
        atomic_fetch_add(&crowd->loans, 1);
    }
    if (status != WEIR_OK && atomic_fetch_add(&crowd->failed, 1) == 0)
        crowd->error = error;
    return status == WEIR_OK;
}

static void *come(void *arg)
{
    struct crowd *crowd = arg;
    bool goes_on = borrow_once(crowd, true);

    for (int i = 1; i < ROUNDS && goes_on; i++)
        goes_on = borrow_once(crowd, false);
    return NULL;
}

/* Until all slots are lent and the others wait in the queue, or it is clear that this will not be. */
static void await_crowd(struct crowd *crowd, int slots, int threads)
{
    weir_time end = weir_deadline_in(crowd->scene->step_ms);

    while (weir_now() < end && atomic_load(&crowd->failed) == 0 &&
           atomic_load(&crowd->held) <= slots) {
        weir_pool_stats stats = verify_scene_stats(crowd->scene);
        if (atomic_load(&crowd->held) == slots && stats.waiters == threads - slots)
            return;
        verify_nap();
    }
}

static void judge(const struct crowd *crowd, int slots, int threads, int64_t server_most,
                  struct verify_finding *finding)
{
    const weir_pool_options *pool = weir_pool_get_options(weir_db_pool(crowd->scene->db));
    weir_pool_stats stats = verify_scene_stats(crowd->scene);
    char seen[96];

    snprintf(seen, sizeof seen, "%s", verify_hidden_text(crowd->scene));
    if (server_most >= 0)
        snprintf(seen, sizeof seen, "; the server counted at most %lld", (long long)server_most);
    if (crowd->most > slots)
        verify_fail(finding, "%d threads held %d connections at once, where %d are allowed%s",
                    threads, (int)crowd->most, slots, seen);
    else if (server_most > slots)
        verify_fail(finding, "the server counted %lld connections, where %d are allowed",
                    (long long)server_most, slots);
    else if (crowd->failed > 0)
        verify_fail(finding, "%d of %d threads failed: %s", (int)crowd->failed, threads,
                    crowd->error.text);
    else if (crowd->most < slots && stats.peer_refusals > 0)
        verify_fail(finding,
                    "the server accepts no more than %d connections at once, where %d are allowed "
                    "(pool_size %d, max_overflow %d)%s",
                    (int)crowd->most, slots, pool->pool_size, pool->max_overflow, seen);
    else if (crowd->most < slots)
        verify_fail(finding, "%d threads held only %d connections at once, where %d are allowed%s",
                    threads, (int)crowd->most, slots, seen);
    else
        verify_pass(finding,
                    "%d threads acquired %d times and held at most %d connections at once "
                    "(pool_size %d, max_overflow %d)%s",
                    threads, (int)crowd->loans, (int)crowd->most, pool->pool_size,
                    pool->max_overflow, seen);
}

/* Look on while the crowd goes through; the most connections that the server counted. */
static int64_t look_on(struct crowd *crowd, int threads, int64_t most)
{
    while (atomic_load(&crowd->loans) < threads * ROUNDS && atomic_load(&crowd->failed) == 0) {
        int64_t count = verify_server_count(crowd->scene);
        most = count > most ? count : most;
        verify_nap();
    }
    return most;
}

static void run_crowd(struct crowd *crowd, int slots, int wanted, struct verify_finding *finding)
{
    pthread_t threads[THREADS_LIMIT];
    int count = 0;

    while (count < wanted && pthread_create(&threads[count], NULL, come, crowd) == 0)
        count++;
    if (count == wanted)
        await_crowd(crowd, slots, wanted);
    int64_t most = verify_server_count(crowd->scene);
    atomic_store(&crowd->is_open, true);
    if (count == wanted)
        most = look_on(crowd, wanted, most);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (count < wanted)
        verify_fail(finding, "only %d of %d threads could be started", count, wanted);
    else
        judge(crowd, slots, wanted, most, finding);
}

void verify_bound(const struct verification *verification, const struct verify_database *database,
                  struct verify_finding *finding)
{
    char name[VERIFY_NAME];
    weir_db_options options =
        verify_db_options(database, database->pool.pool_size, database->pool.max_overflow, name);
    int slots = options.pool.pool_size + options.pool.max_overflow;
    struct verify_scene scene;

    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd == NULL) {
        verify_fail(finding, "out of memory");
        return;
    }
    if (verify_scene_begin(&scene, verification, database, &options, finding)) {
        crowd->scene = &scene;
        run_crowd(crowd, slots, slots + EXTRA_THREADS, finding);
        verify_scene_end(&scene);
    }
    free(crowd);
}
