/* SPDX-License-Identifier: MIT */
/* A driver for many threads, which sees every connection used by two at once and every one too many. */
#ifndef WEIR_TESTS_CROWD_H
#define WEIR_TESTS_CROWD_H

#include "check.h"
#include "unit/fake.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define CROWD_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CROWD_TSAN 1
#endif
#endif
#ifndef CROWD_TSAN
#define CROWD_TSAN 0
#endif

#define CROWD_THREADS 64

struct crowd_connection {
    _Atomic int busy; /* somebody's, holder or driver, at this moment */
};

/* What the calls of a driver do: each fails once in so many calls (0: never). */
struct crowd {
    int connect_fails;
    int check_fails;
    int ping_fails;
    int reset_fails;
    int slow;     /* every so many calls give the processor away */
    sem_t *stuck; /* the next connect waits for it, once */
    int limit;    /* connections there may be, detached ones not counted; 0: not checked */
    _Atomic bool is_stuck;
    _Atomic int live;
    _Atomic int detached; /* so many left the pool, or are about to */
    _Atomic int detached_closed;
    _Atomic int max_live;
    _Atomic int opened;
    _Atomic int faults;
};

static inline void crowd_fault(struct crowd *crowd, const char *what)
{
    if (atomic_fetch_add(&crowd->faults, 1) < 10)
        printf("# fault: %s\n", what);
}

/* Numbers that look random, for each thread its own. */
static inline unsigned crowd_random(void)
{
    static _Thread_local uint64_t state;
    static _Atomic uint64_t threads;

    if (state == 0)
        state = UINT64_C(0x9E3779B97F4A7C15) * (atomic_fetch_add(&threads, 1) + 1);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 32);
}

static inline bool one_in(int count)
{
    return count > 0 && crowd_random() % (unsigned)count == 0;
}

static inline void crowd_enter(struct crowd *crowd, struct crowd_connection *c, const char *what)
{
    if (atomic_exchange(&c->busy, 1) != 0)
        crowd_fault(crowd, what);
    if (one_in(crowd->slow))
        sched_yield();
}

static inline void crowd_leave(struct crowd_connection *c)
{
    atomic_store(&c->busy, 0);
}

/* ---- the driver -------------------------------------------------------------------------- */

static inline weir_status crowd_connect(void *arg, weir_time deadline, void **ret_connection,
                                        weir_error *reterr)
{
    struct crowd *crowd = arg;
    sem_t *stuck = crowd->stuck;

    (void)deadline;
    if (stuck != NULL && !atomic_exchange(&crowd->is_stuck, true)) {
        sem_wait(stuck);
        return weir_error_set(reterr, WEIR_CONNECT, "stuck, and then refused");
    }
    if (one_in(crowd->slow))
        sched_yield();
    if (one_in(crowd->connect_fails))
        return weir_error_set(reterr, WEIR_CONNECT, "refused");
    struct crowd_connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "no memory");
    /* Read in this order: then those detached at the moment of the addition are among these. */
    int closed = atomic_load(&crowd->detached_closed);
    int live = atomic_fetch_add(&crowd->live, 1) + 1;
    int most = atomic_load(&crowd->max_live);
    while (live > most && !atomic_compare_exchange_weak(&crowd->max_live, &most, live))
        continue;
    if (crowd->limit > 0 && live > crowd->limit + atomic_load(&crowd->detached) - closed)
        crowd_fault(crowd, "more connections than slots");
    atomic_fetch_add(&crowd->opened, 1);
    *ret_connection = c;
    return WEIR_OK;
}

static inline void crowd_close(void *arg, void *connection)
{
    struct crowd *crowd = arg;

    crowd_enter(crowd, connection, "closed while in use");
    free(connection);
    atomic_fetch_sub(&crowd->live, 1);
}

static inline bool crowd_is_alive(void *arg, void *connection)
{
    struct crowd *crowd = arg;

    crowd_enter(crowd, connection, "looked at while in use");
    crowd_leave(connection);
    return !one_in(crowd->check_fails);
}

static inline weir_status crowd_ping(void *arg, void *connection, weir_time deadline,
                                     weir_error *reterr)
{
    struct crowd *crowd = arg;

    (void)deadline;
    crowd_enter(crowd, connection, "pinged while in use");
    crowd_leave(connection);
    return one_in(crowd->ping_fails) ? weir_error_set(reterr, WEIR_DISCONNECTED, "gone") : WEIR_OK;
}

static inline weir_status crowd_reset(void *arg, void *connection, weir_reset how,
                                      weir_time deadline, weir_error *reterr)
{
    struct crowd *crowd = arg;

    (void)how;
    (void)deadline;
    crowd_enter(crowd, connection, "reset while in use");
    crowd_leave(connection);
    return one_in(crowd->reset_fails) ? weir_error_set(reterr, WEIR_DISCONNECTED, "gone") : WEIR_OK;
}

static const weir_driver crowd_driver = {crowd_connect, crowd_close, crowd_is_alive, crowd_ping,
                                         crowd_reset};
/* Neither looks nor resets, so that the lock-free hot path is taken. */
static const weir_driver crowd_plain_driver = {crowd_connect, crowd_close, NULL, NULL, NULL};

/* ---- a crowd ----------------------------------------------------------------------------- */

static inline weir_pool *crowd_open(struct crowd *crowd, const weir_driver *driver,
                                    const weir_pool_options *options)
{
    weir_pool *pool = NULL;
    weir_error e;

    if (weir_pool_open(options, driver, crowd, &pool, &e) != WEIR_OK) {
        printf("Bail out! no pool: %s\n", e.text);
        abort();
    }
    return pool;
}

static inline weir_pool_options crowd_options(int pool_size, int max_overflow)
{
    weir_pool_options o = WEIR_POOL_OPTIONS_DEFAULT;

    o.name = "crowd";
    o.pool_size = pool_size;
    o.max_overflow = max_overflow;
    return o;
}

/* Start so many threads, numbered from 0, and wait for them all. */
static pthread_t crowd_threads[CROWD_THREADS];

static inline void crowd_start(int count, void *(*function)(void *))
{
    for (int i = 0; i < count; i++)
        if (pthread_create(&crowd_threads[i], NULL, function, (void *)(intptr_t)i) != 0) {
            printf("Bail out! no thread\n");
            abort();
        }
}

static inline void crowd_join(int count)
{
    for (int i = 0; i < count; i++)
        pthread_join(crowd_threads[i], NULL);
}

/* Wait until `condition`, but not for ever. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        weir_time wait_limit = weir_now() + 60 * WEIR_SECOND;                                      \
        while (!(condition) && weir_now() < wait_limit)                                            \
            usleep(200);                                                                           \
        check(condition);                                                                          \
    } while (0)

/* Nothing moves any more: everything is back and the sums agree. */
static inline void crowd_check_rest(struct crowd *crowd, weir_pool *pool)
{
    weir_pool_stats s;

    weir_pool_get_stats(pool, &s);
    check_int(pool_check(pool), 0);
    check_int(s.leased, 0);
    check_int(s.waiters, 0);
    check_int(s.connections, atomic_load(&crowd->live));
    check_int(s.connects - s.closes - s.detached, s.connections);
    check_int(s.connects, atomic_load(&crowd->opened));
    check_int(atomic_load(&crowd->faults), 0);
}

static inline void crowd_end(struct crowd *crowd, weir_pool *pool)
{
    weir_error e;

    crowd_check_rest(crowd, pool);
    check_int(weir_pool_dispose(pool, weir_now() + 60 * WEIR_SECOND, &e), WEIR_OK);
    weir_pool_close(pool);
    check_int(atomic_load(&crowd->live), 0);
    check_int(atomic_load(&crowd->faults), 0);
}

#endif
