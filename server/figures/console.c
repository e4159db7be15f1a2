/* SPDX-License-Identifier: MIT */
/* The console: the figures of the backend, collected once a second, kept for ten minutes, sent to its readers. */
#include "console.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "figures_history.h"
#include "lately.h"
#include "managers/db_manager.h"
#include "managers/suggestions_db_manager.h"
#include "pool_json.h"
#include "request_rates.h"
#include "threads/thread_start.h"

/* How often the figures are looked at, and how soon after another there is an issue for somebody new. */
#define LOOK_EVERY WEIR_SECOND
#define ISSUE_GAP (100 * WEIR_MS)

/* A stream ends after this time, so that its reader comes again with a token that is still valid. */
#define STREAM_AGE (300 * WEIR_SECOND)

struct console {
    struct feed *feed;
    struct lately *lately;
    struct figures_history *history;
    struct request_rates *rates;
    console_source *source;
    void *source_arg;
    struct request_figures last; /* of the last second; its thread only */
    pthread_t thread;
    bool has_ended;
};

/* ---- Figures ------------------------------------------------------------------------------ */

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static json_t *requests_json(const struct request_figures *figures)
{
    return json_pack("{s:f, s:I, s:I, s:I, s:f, s:f, s:f}", "seconds",
                     (double)figures->span / (double)WEIR_SECOND, "requests",
                     (json_int_t)figures->requests, "refused", (json_int_t)figures->refused,
                     "failed", (json_int_t)figures->failed, "p50_ms", (double)figures->p50 / 1e6,
                     "p99_ms", (double)figures->p99 / 1e6, "max_ms", (double)figures->max / 1e6);
}

/* What the source says of the server, and how it answered within the last minute and the last second. */
static void add_server(struct console *console, json_t *object)
{
    struct request_figures figures;

    if (console->source != NULL)
        console->source(console->source_arg, object);
    request_rates_lately(console->rates, weir_now(), &figures);
    json_t *server = json_object_get(object, "server");
    if (server == NULL)
        return;
    json_object_set_new(server, "recent", requests_json(&figures));
    json_object_set_new(server, "last", requests_json(&console->last));
}

json_t *console_pools_json(struct console *console, bool is_look)
{
    json_t *object = pools_json();

    if (object != NULL)
        lately_add(console->lately, object, weir_now(), is_look);
    return object;
}

static uint32_t number_of(const json_t *object, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(object, name));

    return number > 0 ? (uint32_t)number : 0;
}

static void keep(struct console *console, const json_t *object, int64_t at_ms)
{
    const json_t *pools = json_object_get(object, "pools");
    struct figures_moment moment = {.at_ms = at_ms};

    for (size_t i = 0; i < FIGURES_HISTORY_POOLS; i++) {
        const json_t *pool = json_array_get(pools, i);

        moment.pools[i].used = number_of(pool, "used");
        moment.pools[i].idle = number_of(pool, "idle");
        moment.pools[i].waiters = number_of(pool, "waiters");
    }
    request_rates_step(console->rates, weir_now(), &console->last);
    moment.requests = (uint32_t)console->last.requests;
    moment.failed = (uint32_t)console->last.failed;
    moment.p99_us = (uint32_t)(console->last.p99 / WEIR_US);
    figures_history_add(console->history, &moment);
}

/* Compact JSON has no line break, so it is one line of data. */
static void publish(struct console *console, json_t *object)
{
    char *json = json_dumps(object, JSON_COMPACT);
    char *event = NULL;
    int size = json == NULL ? -1 : asprintf(&event, "event: figures\ndata: %s\n\n", json);

    free(json);
    if (size > 0)
        feed_publish(console->feed, event, (size_t)size);
}

static void look(struct console *console, bool is_due)
{
    json_t *object = console_pools_json(console, is_due);
    int64_t at_ms = wall_ms();

    if (object == NULL)
        return;
    if (is_due)
        keep(console, object, at_ms);
    if (feed_reader_count(console->feed) > 0) {
        json_object_set_new(object, "at", json_integer(at_ms));
        add_server(console, object);
        publish(console, object);
    }
    json_decref(object);
}

char *console_history_json(struct console *console)
{
    return figures_history_json(console->history);
}

/* Those who watch the server are not those whom it serves; and a stream lasts for as long as it likes. */
static bool is_watching(const char *route)
{
    static const char *const watching[] = {"/api/v1/events", "/healthz", "/readyz", "/metrics"};

    for (size_t i = 0; i < sizeof watching / sizeof *watching; i++)
        if (strcmp(watching[i], route) == 0)
            return true;
    return false;
}

void console_count_request(struct console *console, const struct http_access *access)
{
    if (access->status > 0 && !is_watching(access->route))
        request_rates_count(console->rates, access->status, access->duration);
}

/* ---- Its thread --------------------------------------------------------------------------- */

static void sleep_until(weir_time until)
{
    struct timespec limit = {.tv_sec = until / WEIR_SECOND, .tv_nsec = until % WEIR_SECOND};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &limit, NULL) == EINTR)
        continue;
}

/* Once a second, and at once for somebody new. */
static void *run(void *arg)
{
    struct console *console = arg;
    weir_time next = weir_now();
    weir_time last = 0;

    while (feed_wait(console->feed, next)) {
        sleep_until(last + ISSUE_GAP);
        last = weir_now();
        bool is_due = last >= next;
        if (is_due)
            next = last + LOOK_EVERY;
        look(console, is_due);
    }
    return NULL;
}

/* ---- Opening and closing ------------------------------------------------------------------ */

static void free_console(struct console *console)
{
    feed_close(console->feed);
    lately_close(console->lately);
    figures_history_close(console->history);
    request_rates_close(console->rates);
    free(console);
}

static weir_status open_parts(struct console *console, unsigned max_streams, weir_error *reterr)
{
    const char *const names[] = {db_manager()->pool_name, suggestions_db_manager()->pool_name};

    console->lately = lately_open(weir_now());
    console->history = figures_history_open(names);
    console->rates = request_rates_open(weir_now());
    if (console->lately == NULL || console->history == NULL || console->rates == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start the console: out of memory");
    return feed_open(max_streams, STREAM_AGE, &console->feed, reterr);
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
    status = open_parts(console, max_streams, reterr);
    if (status != WEIR_OK) {
        free_console(console);
        return status;
    }
    error = thread_start(&console->thread, run, console);
    if (error == 0) {
        *ret_console = console;
        return WEIR_OK;
    }
    feed_end(console->feed);
    free_console(console);
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
    free_console(console);
}

struct feed *console_feed(struct console *console)
{
    return console->feed;
}
