/* SPDX-License-Identifier: MIT */
/* A thread, and what wakes it. */
#include "background.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/condition.h"
#include "thread_start.h"

struct background {
    background_work *work;
    void *arg;
    pthread_t thread;

    /* Never held while the thread works. Guards what follows. */
    struct weir__mutex lock;
    pthread_cond_t wake; /* signalled when one of these becomes true */
    bool is_stopping;
    bool has_ended; /* the work has returned */
};

bool background_sleep(struct background *background, weir_time until)
{
    weir__lock(&background->lock);
    while (!background->is_stopping && weir_now() < until)
        condition_wait(&background->wake, &background->lock, until);
    bool goes_on = !background->is_stopping;
    weir__unlock(&background->lock);
    return goes_on;
}

static void *run(void *arg)
{
    struct background *background = arg;

    background->work(background, background->arg);
    weir__lock(&background->lock);
    background->has_ended = true;
    pthread_cond_broadcast(&background->wake);
    weir__unlock(&background->lock);
    return NULL;
}

static void clear(struct background *background)
{
    pthread_cond_destroy(&background->wake);
    weir__mutex_clear(&background->lock);
    free(background);
}

weir_status background_start(const char *what, background_work *work, void *arg,
                             struct background **ret_background, weir_error *reterr)
{
    struct background *background = calloc(1, sizeof *background);

    if (background == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "%s: out of memory", what);
    background->work = work;
    background->arg = arg;
    weir__mutex_init(&background->lock);
    condition_init(&background->wake);
    int code = thread_start(&background->thread, run, background);
    if (code != 0) {
        clear(background);
        weir_error_set(reterr, WEIR_SYSTEM, "%s: cannot start a thread: %s", what, strerror(code));
        if (reterr != NULL)
            reterr->native = code;
        return WEIR_SYSTEM;
    }
    *ret_background = background;
    return WEIR_OK;
}

weir_status background_stop(struct background *background, weir_time deadline)
{
    weir_time least = weir_now() + BACKGROUND_GRACE;
    weir_time limit = deadline > least ? deadline : least;

    if (background == NULL)
        return WEIR_OK;
    weir__lock(&background->lock);
    background->is_stopping = true;
    pthread_cond_broadcast(&background->wake);
    while (!background->has_ended && weir_now() < limit)
        condition_wait(&background->wake, &background->lock, limit);
    bool has_ended = background->has_ended;
    weir__unlock(&background->lock);
    if (!has_ended)
        return WEIR_TIMEOUT;
    pthread_join(background->thread, NULL);
    clear(background);
    return WEIR_OK;
}
