/* SPDX-License-Identifier: MIT */
/* The life of each connection of a pool: when it was opened, checked out, reset and closed, by whom and why. */
#include "pool_history.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/trace.h>

#include "common/lock.h"
#include "common/utf8.h"

/* How many closed connections are remembered, and how many events of each one. */
#define CLOSED_KEPT 64
#define EVENTS_KEPT 16

struct moment {
    weir_pool_event_kind kind;
    weir_reason reason;
    weir_time at;
    weir_time duration;
    const char *file; /* static storage; NULL: nobody's doing */
    int line;
    int thread;
    weir_trace_context trace; /* all zero: in no trace */
};

/* One connection. */
struct life {
    uint64_t id; /* 0: this place was never used */
    bool is_closed;
    uint64_t count;                     /* events so far; number n stands at n % EVENTS_KEPT */
    uint64_t of_kind[WEIR_EVENT_COUNT]; /* of each kind */
    struct moment events[EVENTS_KEPT];
    char cause[128]; /* the error that ended it, if one did */
};

/* Under the lock nothing is called and nothing allocated. */
struct pool_history {
    bool has_loans;
    size_t capacity; /* as many as can be open at once, and CLOSED_KEPT */
    struct weir__mutex lock;
    size_t latest; /* where the connection was that was looked for last */
    struct life *lives;
};

/* ---- Listening ---------------------------------------------------------------------------- */

/* A place that was never used, or the closed connection with the least id; NULL only when more are open
 * than the pool can have. */
static struct life *free_place_locked(struct pool_history *history) WEIR_REQUIRES(history->lock)
{
    struct life *best = NULL;

    for (size_t i = 0; i < history->capacity; i++) {
        struct life *life = &history->lives[i];

        if (life->id == 0)
            return life;
        if (life->is_closed && (best == NULL || life->id < best->id))
            best = life;
    }
    return best;
}

static struct life *life_of_locked(struct pool_history *history, uint64_t id)
    WEIR_REQUIRES(history->lock)
{
    for (size_t i = 0; i < history->capacity; i++) {
        size_t at = (history->latest + i) % history->capacity;

        if (history->lives[at].id == id) {
            history->latest = at;
            return &history->lives[at];
        }
    }
    struct life *life = free_place_locked(history);
    if (life != NULL) {
        memset(life, 0, sizeof *life);
        life->id = id;
        history->latest = (size_t)(life - history->lives);
    }
    return life;
}

static void note_cause(struct life *life, const weir_error *error)
{
    size_t size = strlen(error->text);

    if (size >= sizeof life->cause)
        size = utf8_cut(error->text, sizeof life->cause - 1);
    memcpy(life->cause, error->text, size);
    life->cause[size] = '\0';
}

static weir_status on_event(const weir_pool_event *event, void *arg)
{
    struct pool_history *history = arg;
    const weir_span *span = weir_trace_current();
    struct moment moment = {event->kind, event->reason, weir_now(),    event->duration,
                            event->file, event->line,   event->thread, {{0}, {0}, false}};

    if (event->connection_id == 0) /* the return of what was discarded before */
        return WEIR_OK;
    if (span != NULL)
        moment.trace = span->context;
    weir__lock(&history->lock);
    struct life *life = life_of_locked(history, event->connection_id);
    if (life != NULL) {
        life->events[life->count++ % EVENTS_KEPT] = moment;
        life->of_kind[event->kind]++;
        if (event->error != NULL)
            note_cause(life, event->error);
        if (event->kind == WEIR_EVENT_CLOSE || event->kind == WEIR_EVENT_CLOSE_DETACHED)
            life->is_closed = true;
    }
    weir__unlock(&history->lock);
    return WEIR_OK;
}

/* ---- Opening and closing ------------------------------------------------------------------ */

static int slots_of(weir_pool *pool)
{
    const weir_pool_options *options = weir_pool_get_options(pool);

    if (options->pool_size == 0 || options->max_overflow < 0 ||
        options->pool_size + options->max_overflow > WEIR_POOL_CEILING)
        return WEIR_POOL_CEILING;
    return options->pool_size + options->max_overflow;
}

weir_status pool_history_open(weir_pool *pool, bool has_loans, struct pool_history **ret_history,
                              weir_error *reterr)
{
    unsigned mask = WEIR_EVENT_BIT(WEIR_EVENT_CONNECT) | WEIR_EVENT_BIT(WEIR_EVENT_INVALIDATE) |
                    WEIR_EVENT_BIT(WEIR_EVENT_SOFT_INVALIDATE) | WEIR_EVENT_BIT(WEIR_EVENT_CLOSE) |
                    WEIR_EVENT_BIT(WEIR_EVENT_DETACH) | WEIR_EVENT_BIT(WEIR_EVENT_CLOSE_DETACHED) |
                    WEIR_EVENT_BIT(WEIR_EVENT_PING) | WEIR_EVENT_BIT(WEIR_EVENT_PING_FAILURE) |
                    WEIR_EVENT_BIT(WEIR_EVENT_LEAK) | (has_loans ? WEIR_EVENT_EACH_LOAN : 0);
    size_t capacity = (size_t)slots_of(pool) + CLOSED_KEPT;
    struct pool_history *history = calloc(1, sizeof *history);
    struct life *lives = calloc(capacity, sizeof *lives);

    if (history == NULL || lives == NULL) {
        free(history);
        free(lives);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "history of connections: out of memory");
    }
    history->has_loans = has_loans;
    history->capacity = capacity;
    history->lives = lives;
    weir__mutex_init(&history->lock);
    weir_status status = weir_pool_listen(pool, mask, on_event, history, reterr);
    if (status != WEIR_OK) {
        pool_history_close(history);
        return status;
    }
    *ret_history = history;
    return WEIR_OK;
}

void pool_history_close(struct pool_history *history)
{
    if (history == NULL)
        return;
    weir__mutex_clear(&history->lock);
    free(history->lives);
    free(history);
}

/* ---- Showing ------------------------------------------------------------------------------ */

static bool has_trace(const struct moment *moment)
{
    for (size_t i = 0; i < sizeof moment->trace.trace_id; i++)
        if (moment->trace.trace_id[i] != 0)
            return true;
    return false;
}

static void add_holder(json_t *object, const struct moment *moment)
{
    char id[WEIR_TRACE_ID_SIZE];
    const char *slash;

    if (moment->file != NULL) {
        slash = strrchr(moment->file, '/');
        json_object_set_new(object, "file", json_string(slash != NULL ? slash + 1 : moment->file));
        json_object_set_new(object, "line", json_integer(moment->line));
    }
    if (moment->thread != 0)
        json_object_set_new(object, "thread", json_integer(moment->thread));
    if (has_trace(moment)) {
        weir_trace_id_format(&moment->trace, id);
        json_object_set_new(object, "trace_id", json_string(id));
    }
}

/* `wall` is what weir_now() lacks to milliseconds since 1970. */
static json_t *describe_moment(const struct moment *moment, weir_time wall)
{
    json_t *object = json_pack("{s:s, s:f}", "event", weir_pool_event_name(moment->kind), "at_ms",
                               (double)(moment->at + wall) / 1e6);

    if (moment->reason != WEIR_REASON_NONE)
        json_object_set_new(object, "reason", json_string(weir_reason_name(moment->reason)));
    if (moment->duration != 0)
        json_object_set_new(object, "duration_ms", json_real((double)moment->duration / 1e6));
    add_holder(object, moment);
    return object;
}

static json_t *describe_life(const struct life *life, weir_time wall)
{
    uint64_t first = life->count > EVENTS_KEPT ? life->count - EVENTS_KEPT : 0;
    json_t *events = json_array();
    json_t *counts = json_object();

    for (uint64_t n = first; n < life->count; n++)
        json_array_append_new(events, describe_moment(&life->events[n % EVENTS_KEPT], wall));
    for (int kind = 0; kind < WEIR_EVENT_COUNT; kind++)
        if (life->of_kind[kind] > 0)
            json_object_set_new(counts, weir_pool_event_name((weir_pool_event_kind)kind),
                                json_integer((json_int_t)life->of_kind[kind]));
    json_t *object = json_pack("{s:I, s:b, s:o, s:o}", "id", (json_int_t)life->id, "is_open",
                               !life->is_closed, "counts", counts, "events", events);
    if (life->cause[0] != '\0')
        json_object_set_new(object, "error", json_string(life->cause));
    return object;
}

static int compare_lives(const void *a, const void *b)
{
    uint64_t x = ((const struct life *)a)->id;
    uint64_t y = ((const struct life *)b)->id;

    return (x > y) - (x < y);
}

/* A copy of what there is, taken at one moment, in the order of the ids; NULL: out of memory. */
static struct life *copy_lives(struct pool_history *history, size_t *ret_count)
{
    struct life *copy = malloc(history->capacity * sizeof *copy);
    size_t count = 0;

    if (copy == NULL)
        return NULL;
    weir__lock(&history->lock);
    for (size_t i = 0; i < history->capacity; i++)
        if (history->lives[i].id != 0)
            copy[count++] = history->lives[i];
    weir__unlock(&history->lock);
    qsort(copy, count, sizeof *copy, compare_lives);
    *ret_count = count;
    return copy;
}

json_t *pool_history_json(struct pool_history *history)
{
    struct timespec now;
    size_t count = 0;
    struct life *lives = copy_lives(history, &count);
    json_t *array = json_array();

    if (lives == NULL || array == NULL) {
        free(lives);
        json_decref(array);
        return NULL;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    weir_time wall = (weir_time)now.tv_sec * WEIR_SECOND + now.tv_nsec - weir_now();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, describe_life(&lives[i], wall));
    free(lives);
    return json_pack("{s:b, s:o}", "has_loans", (int)history->has_loans, "connections", array);
}
