/* SPDX-License-Identifier: MIT */
/* A driver, a clock and a listener that tests steer, and the check of a pool's invariants. One thread only. */
#ifndef WEIR_TESTS_FAKE_H
#define WEIR_TESTS_FAKE_H

#include "pool/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_CONNECTIONS 4096
#define FAKE_START (1000 * WEIR_SECOND)

/* The calls of a driver that can be counted, failed, delayed and hooked. */
enum fake_call { FAKE_CONNECT, FAKE_CLOSE, FAKE_IS_ALIVE, FAKE_PING, FAKE_RESET, FAKE_CALLS };

struct fake;

struct fake_connection {
    struct fake *fake;
    int number; /* counts from 1 */
    bool is_open;
};

/* What a test tells one of the calls to do, and what came of it. */
struct fake_behaviour {
    int fail_next;                   /* so many calls fail, then they succeed again; -1: all */
    weir_status status;              /* with this; WEIR_OK stands for the call's own usual one */
    weir_time takes;                 /* moves the clock, but never beyond the call's deadline */
    void (*hook)(struct fake *fake); /* called in the middle of it */
    int calls;
    weir_time deadline; /* of the last call */
};

/*
 * The clock is part of it, so that calls can take time. A wait plays the other threads' part: it
 * calls `on_wait`, and if the word has still not changed, jumps to the end of the wait. A wait
 * without an end that nobody ends is a stranded waiter, and stops the program.
 */
struct fake {
    weir_clock clock; /* first: a pointer to it is a pointer to the whole */
    weir_time now;
    int waits;
    int spurious; /* so many waits return at once and for no reason, a millisecond later */
    void (*on_wait)(struct fake *fake);
    void (*on_now)(struct fake *fake); /* called once, before the clock is next read */
    struct fake_behaviour behaviour[FAKE_CALLS];
    struct fake_connection connections[FAKE_CONNECTIONS];
    int opened;
    int live;
    int max_live;
    int room; /* so many the peer takes at once, and refuses others with WEIR_FULL; 0: any number */
    int faults; /* calls that no pool may make: a closed connection used, or closed again */
    weir_reset last_reset;
    weir_pool *pool; /* the one opened last: nothing of this may be called under its lock */
};

static inline void fake_fault(struct fake *fake, const char *what, int number)
{
    printf("# connection %d %s\n", number, what);
    fake->faults++;
}

static inline void fake_check_unlocked(struct fake *fake)
{
    if (fake->pool == NULL)
        return;
    if (pthread_mutex_trylock(&fake->pool->lock.raw) != 0)
        fake_fault(fake, "or the clock was used under the pool's lock", 0);
    else
        pthread_mutex_unlock(&fake->pool->lock.raw);
}

/* ---- the clock --------------------------------------------------------------------------- */

static inline weir_time fake_now(weir_clock *clock)
{
    struct fake *fake = (struct fake *)(void *)clock;
    void (*hook)(struct fake * fake) = fake->on_now;

    fake_check_unlocked(fake);
    fake->on_now = NULL;
    if (hook != NULL)
        hook(fake);
    return fake->now;
}

static inline void fake_wait(weir_clock *clock, uint32_t *word, uint32_t expected, weir_time until)
{
    struct fake *fake = (struct fake *)(void *)clock;

    fake_check_unlocked(fake);
    fake->waits++;
    if (fake->spurious > 0) {
        fake->spurious--;
        fake->now += WEIR_MS;
        return;
    }
    if (fake->on_wait != NULL)
        fake->on_wait(fake);
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected)
        return;
    if (until == WEIR_DEADLINE_NEVER) {
        printf("Bail out! a waiter is stranded: it waits for ever and nobody will wake it\n");
        fflush(stdout);
        abort();
    }
    if (fake->now < until)
        fake->now = until;
}

/* ---- the driver -------------------------------------------------------------------------- */

/* The common part of every call: count, take time, call the hook, and say how it ends. */
static inline weir_status fake_act(struct fake *fake, enum fake_call call, weir_time deadline,
                                   weir_status usual)
{
    struct fake_behaviour *b = &fake->behaviour[call];
    weir_time end = fake->now + b->takes;

    fake_check_unlocked(fake);
    b->calls++;
    b->deadline = deadline;
    if (b->hook != NULL)
        b->hook(fake);
    if (b->takes > 0 && end > deadline) {
        if (fake->now < deadline)
            fake->now = deadline;
        return WEIR_TIMEOUT;
    }
    if (fake->now < end)
        fake->now = end;
    if (b->fail_next == 0)
        return WEIR_OK;
    if (b->fail_next > 0)
        b->fail_next--;
    return b->status != WEIR_OK ? b->status : usual;
}

static inline weir_status fake_connect(void *arg, weir_time deadline, void **ret_connection,
                                       weir_error *reterr)
{
    struct fake *fake = arg;
    weir_status status = fake_act(fake, FAKE_CONNECT, deadline, WEIR_CONNECT);

    if (status != WEIR_OK)
        return weir_error_set(reterr, status, "fake connect: %s", weir_status_text(status));
    if (fake->room > 0 && fake->live >= fake->room) {
        weir_error_set(reterr, WEIR_FULL, "fake connect: too many clients already");
        if (reterr != NULL)
            memcpy(reterr->sqlstate, "53300", sizeof reterr->sqlstate);
        return WEIR_FULL;
    }
    if (fake->opened == FAKE_CONNECTIONS) {
        printf("Bail out! the fake driver has no more connections\n");
        abort();
    }
    struct fake_connection *c = &fake->connections[fake->opened++];
    *c = (struct fake_connection){fake, fake->opened, true};
    if (++fake->live > fake->max_live)
        fake->max_live = fake->live;
    *ret_connection = c;
    return WEIR_OK;
}

static inline struct fake_connection *fake_used(struct fake *fake, void *connection,
                                                const char *what)
{
    struct fake_connection *c = connection;

    if (c == NULL || !c->is_open)
        fake_fault(fake, what, c == NULL ? 0 : c->number);
    return c;
}

static inline void fake_close(void *arg, void *connection)
{
    struct fake *fake = arg;
    struct fake_connection *c = fake_used(fake, connection, "was closed twice");

    (void)fake_act(fake, FAKE_CLOSE, WEIR_DEADLINE_NEVER, WEIR_OK);
    if (c == NULL || !c->is_open)
        return;
    c->is_open = false;
    fake->live--;
}

static inline bool fake_is_alive(void *arg, void *connection)
{
    fake_used(arg, connection, "was looked at after its close");
    return fake_act(arg, FAKE_IS_ALIVE, WEIR_DEADLINE_NEVER, WEIR_DISCONNECTED) == WEIR_OK;
}

static inline weir_status fake_ping(void *arg, void *connection, weir_time deadline,
                                    weir_error *reterr)
{
    struct fake_connection *c = fake_used(arg, connection, "was pinged after its close");
    weir_status status = fake_act(arg, FAKE_PING, deadline, WEIR_DISCONNECTED);

    if (status == WEIR_OK)
        return WEIR_OK;
    return weir_error_set(reterr, status, "fake ping of %d", c == NULL ? 0 : c->number);
}

static inline weir_status fake_reset(void *arg, void *connection, weir_reset how,
                                     weir_time deadline, weir_error *reterr)
{
    struct fake_connection *c = fake_used(arg, connection, "was reset after its close");
    weir_status status = fake_act(arg, FAKE_RESET, deadline, WEIR_DISCONNECTED);

    ((struct fake *)arg)->last_reset = how;
    if (status == WEIR_OK)
        return WEIR_OK;
    return weir_error_set(reterr, status, "fake reset of %d", c == NULL ? 0 : c->number);
}

static const weir_driver fake_driver = {fake_connect, fake_close, fake_is_alive, fake_ping,
                                        fake_reset};

/* ---- a pool to test ---------------------------------------------------------------------- */

static inline void fake_init(struct fake *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->clock = (weir_clock){fake_now, fake_wait};
    fake->now = FAKE_START;
}

/* Options of a pool on the fake clock. No jitter, so that ages are exact. */
static inline weir_pool_options fake_options(struct fake *fake, int pool_size, int max_overflow)
{
    weir_pool_options o = WEIR_POOL_OPTIONS_DEFAULT;

    o.name = "fake";
    o.pool_size = pool_size;
    o.max_overflow = max_overflow;
    o.recycle_jitter_percent = 0;
    o.use_time_every = 1;
    o.clock = &fake->clock;
    return o;
}

static inline weir_pool *fake_open(struct fake *fake, const weir_pool_options *options)
{
    weir_pool *pool = NULL;
    weir_error e;

    if (weir_pool_open(options, &fake_driver, fake, &pool, &e) != WEIR_OK) {
        printf("Bail out! no pool to test: %s\n", e.text);
        abort();
    }
    fake->pool = pool;
    return pool;
}

/* The number of the connection a lease holds, in the order of opening; 0 for a lease of nothing. */
static inline int fake_number(const weir_lease *lease)
{
    return lease->connection == NULL ? 0 : ((struct fake_connection *)lease->connection)->number;
}

/* ---- listening --------------------------------------------------------------------------- */

#define FAKE_EVENTS 256

/* An event as it was heard, with what it pointed to copied. */
struct fake_event {
    weir_pool_event_kind kind;
    weir_reason reason;
    int number; /* of the connection; 0: none */
    uint64_t connection_id;
    const char *file;
    int line;
    int thread;
    weir_status error; /* WEIR_OK: none */
    weir_time duration;
};

struct fake_log {
    struct fake_event events[FAKE_EVENTS];
    int count;
    char text[WEIR_ERROR_TEXT];           /* of the last error that was heard */
    weir_status answer[WEIR_EVENT_COUNT]; /* what to say to each kind */
    int answers_left[WEIR_EVENT_COUNT];   /* how often to say it; -1: always */
};

static inline weir_status fake_listener(const weir_pool_event *event, void *arg)
{
    struct fake_log *log = arg;
    struct fake_connection *c = event->connection;

    if (c != NULL)
        fake_check_unlocked(c->fake);

    if (event->error != NULL)
        snprintf(log->text, sizeof log->text, "%s", event->error->text);
    if (log->count < FAKE_EVENTS)
        log->events[log->count++] =
            (struct fake_event){event->kind,
                                event->reason,
                                c == NULL ? 0 : c->number,
                                event->connection_id,
                                event->file,
                                event->line,
                                event->thread,
                                event->error == NULL ? WEIR_OK : event->error->status,
                                event->duration};
    if (log->answers_left[event->kind] == 0)
        return WEIR_OK;
    if (log->answers_left[event->kind] > 0)
        log->answers_left[event->kind]--;
    return log->answer[event->kind];
}

static inline void fake_listen(weir_pool *pool, struct fake_log *log)
{
    memset(log, 0, sizeof *log);
    if (weir_pool_listen(pool, WEIR_EVENT_ALL, fake_listener, log, NULL) != WEIR_OK)
        abort();
}

/* Answer the next `times` events of a kind with `status`. */
static inline void fake_answer(struct fake_log *log, weir_pool_event_kind kind, weir_status status,
                               int times)
{
    log->answer[kind] = status;
    log->answers_left[kind] = times;
}

/* What was heard since the last call, as words: "connect checkout". Valid until the next call. */
static inline const char *fake_heard(struct fake_log *log)
{
    static char text[FAKE_EVENTS * 20];
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < log->count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : " ",
                                 weir_pool_event_name(log->events[i].kind));
    log->count = 0;
    return text;
}

/* ---- invariants -------------------------------------------------------------------------- */

#define fake_must(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# invariant broken: %s\n", #condition);                                        \
            broken++;                                                                              \
        }                                                                                          \
    } while (0)

/* How many slots are in each state, and whether every word carries the flags it should. */
static inline int pool_check_words_locked(weir_pool *pool, int states[4]) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    int high_water = atomic_load(&pool->high_water);
    int broken = 0;

    for (int i = 0; i < pool->slot_count; i++) {
        uint64_t word = atomic_load(&pool->slots[i].word);

        states[slot_state(word)]++;
        if (i >= high_water) {
            fake_must(word == 0);
            continue;
        }
        fake_must(((word & SLOT_HAS_WAITERS) != 0) == g->has_waiters);
        fake_must(((word & SLOT_OVER_CAPACITY) != 0) == g->is_over_capacity);
    }
    return broken;
}

static inline int pool_check_queue_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    const struct waiter *previous = NULL;
    int waiters = 0;
    int broken = 0;

    for (const struct waiter *w = g->first; w != NULL; previous = w, w = w->next, waiters++) {
        uint32_t signal = atomic_load(&w->signal);

        fake_must(w->previous == previous);
        fake_must(signal == WAITER_ASLEEP ||
                  (signal == WAITER_NUDGED && (previous == NULL || g->peer.limit > 0)));
    }
    fake_must(g->last == previous);
    fake_must(g->waiters == waiters);
    fake_must(waiters <= pool->options.max_waiters);
    return broken;
}

static inline int pool_check_locked(weir_pool *pool) WEIR_REQUIRES(pool->lock)
{
    struct guarded *g = weir__guarded_locked(pool);
    int states[4] = {0};
    int broken = pool_check_words_locked(pool, states) + pool_check_queue_locked(pool);
    int resting = states[SLOT_IDLE] + states[SLOT_EMPTY];

    fake_must(g->has_waiters == (g->first != NULL || g->is_closing));
    fake_must(g->is_over_capacity == (g->counted > pool->kept));
    fake_must(g->counted == pool->slot_count - states[SLOT_VACANT]);
    fake_must(resting <= pool->kept);
    if (g->first != NULL && pool->options.handoff_after_us == 0) {
        fake_must(states[SLOT_IDLE] == 0);
        fake_must(states[SLOT_LEASED] == pool->slot_count ||
                  (g->peer.limit > 0 && states[SLOT_LEASED] > 0));
    }
    fake_must(atomic_load(&pool->peer_limit) == g->peer.limit);
    if (g->is_closing)
        fake_must(g->first == NULL && states[SLOT_EMPTY] == 0);
    return broken;
}

/* All that must hold whenever the lock is free, whatever others do. Returns how much does not. */
static inline int pool_check(weir_pool *pool)
{
    weir__lock(&pool->lock);
    int broken = pool_check_locked(pool);
    weir__unlock(&pool->lock);
    return broken;
}

/* The same, and when nothing is in progress: what the driver has open is what the pool knows of. */
static inline int pool_check_live(weir_pool *pool, const struct fake *fake)
{
    int broken = pool_check(pool);
    int known = 0;

    weir__lock(&pool->lock);
    for (int i = 0; i < pool->slot_count; i++) {
        struct weir_slot *slot = &pool->slots[i];
        enum slot_state state = slot_state(atomic_load(&slot->word));
        bool is_open = slot->connection != NULL;

        known += is_open;
        fake_must(is_open == (state == SLOT_IDLE || state == SLOT_LEASED));
        fake_must(is_open == (atomic_load(&slot->connection_id) != 0));
    }
    for (const struct detached *d = weir__guarded_locked(pool)->detached; d != NULL; d = d->next)
        known++;
    weir__unlock(&pool->lock);
    fake_must(fake->live == known);
    fake_must(fake->faults == 0);
    return broken;
}

#endif
