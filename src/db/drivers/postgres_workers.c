/* SPDX-License-Identifier: MIT */
/* A few threads of the process for what may block: started when needed, gone when idle. */
#include "common/condition.h"
#include "db/drivers/postgres.h"

#include <pthread.h>
#include <signal.h>

/* Eight more than the cancels that can be on their way at once (postgres_request.c), so that giving
 * back never waits for a server that does not answer them. */
#define MOST_WORKERS 32

/* One that has had nothing to do for so long ends. */
#define LINGER WEIR_SECOND

static struct {
    struct weir__mutex lock;
    pthread_cond_t wanted;
    struct pg_task *first;
    struct pg_task *last;
    int queued;
    int count; /* threads */
    int busy;  /* of them, with a task */
} workers = {.lock = WEIR_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

bool weir__pg_thread_start(void *(*run)(void *))
{
    pthread_attr_t detached;
    sigset_t all;
    sigset_t saved;
    pthread_t thread;

    /* The program's signals are for the program's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    bool is_started = pthread_create(&thread, &detached, run, NULL) == 0;
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return is_started;
}

static struct pg_task *take_locked(void) WEIR_REQUIRES(workers.lock)
{
    struct pg_task *task = workers.first;

    workers.first = task->next;
    workers.queued--;
    workers.busy++;
    return task;
}

/* False: nothing has come for so long that the thread is to end. */
static bool await_task_locked(void) WEIR_REQUIRES(workers.lock)
{
    weir_time until = weir_now() + LINGER;
    bool is_in_time = true;

    while (workers.queued == 0 && is_in_time)
        is_in_time = condition_wait(&workers.wanted, &workers.lock, until) == 0;
    return workers.queued > 0;
}

static void *work(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "weir-cancel");
    weir__lock(&workers.lock);
    while (await_task_locked()) {
        struct pg_task *task = take_locked();
        weir__unlock(&workers.lock);
        task->run(task);
        weir__lock(&workers.lock);
        workers.busy--;
    }
    workers.count--;
    weir__unlock(&workers.lock);
    return NULL;
}

static void init(void)
{
    condition_init(&workers.wanted);
}

/* Whether somebody will take one more task: a thread that has none, a new one, or, when there are as
 * many as there may be, the first that is done. */
static bool will_be_taken_locked(void) WEIR_REQUIRES(workers.lock)
{
    if (workers.queued < workers.count - workers.busy || workers.count == MOST_WORKERS)
        return true;
    /* Under the lock, so that nobody counts on a thread that does not come to be. */
    if (!weir__pg_thread_start(work))
        return false;
    workers.count++;
    return true;
}

bool weir__pg_workers_run(struct pg_task *task)
{
    pthread_once(&once, init);
    weir__lock(&workers.lock);
    bool is_taken = will_be_taken_locked();
    if (is_taken) {
        task->next = NULL;
        if (workers.queued == 0)
            workers.first = task;
        else
            workers.last->next = task;
        workers.last = task;
        workers.queued++;
        pthread_cond_signal(&workers.wanted);
    }
    weir__unlock(&workers.lock);
    return is_taken;
}

void weir__pg_workers_hold(void) WEIR_ACQUIRES(workers.lock)
{
    weir__lock(&workers.lock);
}

void weir__pg_workers_let_go(bool is_child) WEIR_RELEASES(workers.lock)
{
    if (is_child) {
        workers.first = NULL;
        workers.queued = 0;
        workers.count = 0;
        workers.busy = 0;
        init();
    }
    weir__unlock(&workers.lock);
}
