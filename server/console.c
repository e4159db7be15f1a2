/* SPDX-License-Identifier: MIT */
/* The console: the figures of the backend, made once a second while somebody looks, for everybody who does. */
#include "console.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pool_json.h"

/* How often there is an issue, and how soon after another even if somebody new is waiting for it. */
#define ISSUE_EVERY WEIR_SECOND
#define ISSUE_GAP (100 * WEIR_MS)

/* A stream ends after this time, so that its reader comes again with a token that is still valid. */
#define STREAM_AGE (300 * WEIR_SECOND)

struct console {
    struct feed *feed;
    console_source *source;
    void *source_arg;
    pthread_t thread;
    bool has_ended;
};

static json_t *figures(const struct console *console)
{
    json_t *object = pools_json();
    struct timespec now;

    if (object == NULL)
        return NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    json_object_set_new(object, "at", json_integer(now.tv_sec * 1000 + now.tv_nsec / 1000000));
    if (console->source != NULL)
        console->source(console->source_arg, object);
    return object;
}

/* Compact JSON has no line break, so it is one line of data. */
static void publish(struct console *console)
{
    json_t *object = figures(console);
    char *json = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    char *event = NULL;
    int size = json == NULL ? -1 : asprintf(&event, "event: figures\ndata: %s\n\n", json);

    free(json);
    json_decref(object);
    if (size > 0)
        feed_publish(console->feed, event, (size_t)size);
}

static void sleep_until(weir_time until)
{
    struct timespec limit = {.tv_sec = until / WEIR_SECOND, .tv_nsec = until % WEIR_SECOND};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &limit, NULL) == EINTR)
        continue;
}

static void *issue(void *arg)
{
    struct console *console = arg;
    weir_time last = 0;

    while (feed_wait(console->feed, last + ISSUE_EVERY)) {
        sleep_until(last + ISSUE_GAP);
        last = weir_now();
        publish(console);
    }
    return NULL;
}

static int spawn(struct console *console)
{
    sigset_t all;
    sigset_t before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&console->thread, NULL, issue, console);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

weir_status console_open(unsigned max_streams, console_source *source, void *arg,
                         struct console **ret_console, weir_error *reterr)
{
    struct console *console = calloc(1, sizeof(*console));
    weir_status status;
    int error;

    if (console == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start the console: out of memory");
    console->source = source;
    console->source_arg = arg;
    status = feed_open(max_streams, STREAM_AGE, &console->feed, reterr);
    if (status != WEIR_OK) {
        free(console);
        return status;
    }
    error = spawn(console);
    if (error == 0) {
        *ret_console = console;
        return WEIR_OK;
    }
    feed_end(console->feed);
    feed_close(console->feed);
    free(console);
    weir_error_set(reterr, WEIR_SYSTEM, "start the console's thread: %s", strerror(error));
    if (reterr != NULL)
        reterr->native = error;
    return WEIR_SYSTEM;
}

void console_end(struct console *console)
{
    if (console == NULL || console->has_ended)
        return;
    console->has_ended = true;
    feed_end(console->feed);
    pthread_join(console->thread, NULL);
}

void console_close(struct console *console)
{
    if (console == NULL)
        return;
    console_end(console);
    feed_close(console->feed);
    free(console);
}

struct feed *console_feed(struct console *console)
{
    return console->feed;
}
