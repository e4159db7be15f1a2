/* SPDX-License-Identifier: MIT */
/* Workers: a fixed set of threads behind a bounded queue, which refuses rather than grows. */
#include "workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/condition.h"
#include "threads/thread_start.h"

struct workers {
    unsigned thread_count;
    pthread_t *threads;

    struct weir__mutex lock;
    /* Guarded by lock. */
    pthread_cond_t has_work; /* or is stopping */
    pthread_cond_t is_quiet; /* running fell to 0 */
    struct work *head;
    struct work **tail;
    unsigned capacity; /* threads + queue_limit */
    unsigned claimed;  /* places taken: claimed only, waiting or running */
    unsigned waiting;
    unsigned running;
    bool is_stopping;
};

static struct work *pop_locked(struct workers *workers) WEIR_REQUIRES(workers->lock)
{
    struct work *work = workers->head;

    workers->head = work->next;
    if (workers->head == NULL)
        workers->tail = &workers->head;
    workers->waiting--;
    return work;
}

static void *serve(void *arg)
{
    struct workers *workers = arg;

    weir__lock(&workers->lock);
    for (;;) {
        struct work *work;

        while (workers->head == NULL && !workers->is_stopping)
            condition_wait(&workers->has_work, &workers->lock, WEIR_DEADLINE_NEVER);
        if (workers->head == NULL)
            break;
        work = pop_locked(workers);
        workers->running++;
        weir__unlock(&workers->lock);
        work->run(work);
        weir__lock(&workers->lock);
        workers->claimed--;
        if (--workers->running == 0)
            pthread_cond_broadcast(&workers->is_quiet);
    }
    weir__unlock(&workers->lock);
    return NULL;
}

static void free_workers(struct workers *workers)
{
    pthread_cond_destroy(&workers->has_work);
    pthread_cond_destroy(&workers->is_quiet);
    weir__mutex_clear(&workers->lock);
    free(workers->threads);
    free(workers);
}

static int start_threads(struct workers *workers, int threads)
{
    int error = 0;

    while (error == 0 && workers->thread_count < (unsigned)threads) {
        error = thread_start(&workers->threads[workers->thread_count], serve, workers);
        workers->thread_count += error == 0;
    }
    return error;
}

weir_status workers_start(int threads, int queue_limit, struct workers **ret_workers,
                          weir_error *reterr)
{
    struct workers *workers = calloc(1, sizeof(*workers));
    int error;

    if (workers == NULL ||
        (workers->threads = calloc((size_t)threads, sizeof(pthread_t))) == NULL) {
        free(workers);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start %d workers: out of memory", threads);
    }
    workers->capacity = (unsigned)threads + (unsigned)queue_limit;
    workers->tail = &workers->head;
    weir__mutex_init(&workers->lock);
    pthread_cond_init(&workers->has_work, NULL);
    condition_init(&workers->is_quiet);
    error = start_threads(workers, threads);
    if (error != 0) {
        (void)workers_stop(workers, WEIR_DEADLINE_NEVER);
        weir_error_set(reterr, WEIR_SYSTEM, "start %d workers: %s", threads, strerror(error));
        if (reterr != NULL)
            reterr->native = error;
        return WEIR_SYSTEM;
    }
    *ret_workers = workers;
    return WEIR_OK;
}

void workers_set_queue_limit(struct workers *workers, int queue_limit)
{
    weir__lock(&workers->lock);
    workers->capacity = workers->thread_count + (unsigned)queue_limit;
    weir__unlock(&workers->lock);
}

bool workers_claim(struct workers *workers)
{
    bool is_granted;

    weir__lock(&workers->lock);
    is_granted = !workers->is_stopping && workers->claimed < workers->capacity;
    workers->claimed += is_granted;
    weir__unlock(&workers->lock);
    return is_granted;
}

void workers_push(struct workers *workers, struct work *work)
{
    bool is_late;

    work->next = NULL;
    weir__lock(&workers->lock);
    is_late = workers->is_stopping;
    if (is_late) {
        workers->claimed--;
    } else {
        *workers->tail = work;
        workers->tail = &work->next;
        workers->waiting++;
        pthread_cond_signal(&workers->has_work);
    }
    weir__unlock(&workers->lock);
    if (is_late)
        work->cancel(work);
}

void workers_count(struct workers *workers, unsigned *ret_running, unsigned *ret_waiting)
{
    weir__lock(&workers->lock);
    *ret_running = workers->running;
    *ret_waiting = workers->waiting;
    weir__unlock(&workers->lock);
}

/* Take what waits out of the queue and cancel it outside the lock. */
static void cancel_waiting(struct workers *workers)
{
    struct work *rest;

    weir__lock(&workers->lock);
    workers->is_stopping = true;
    rest = workers->head;
    workers->head = NULL;
    workers->tail = &workers->head;
    workers->claimed -= workers->waiting;
    workers->waiting = 0;
    pthread_cond_broadcast(&workers->has_work);
    weir__unlock(&workers->lock);
    while (rest != NULL) {
        struct work *work = rest;

        rest = work->next;
        work->cancel(work);
    }
}

static bool wait_until_quiet(struct workers *workers, weir_time deadline)
{
    bool is_quiet;
    int error = 0;

    weir__lock(&workers->lock);
    while (workers->running > 0 && error == 0)
        error = condition_wait(&workers->is_quiet, &workers->lock, deadline);
    is_quiet = workers->running == 0;
    weir__unlock(&workers->lock);
    return is_quiet;
}

bool workers_stop(struct workers *workers, weir_time deadline)
{
    if (workers == NULL)
        return true;
    cancel_waiting(workers);
    if (!wait_until_quiet(workers, deadline))
        return false;
    for (unsigned i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
    free_workers(workers);
    return true;
}
