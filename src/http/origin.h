/* SPDX-License-Identifier: MIT */
/* What a session knows of one origin: its connections, its breaker, budget and rate limiter, its counts. */
#ifndef WEIR_HTTP_ORIGIN_H
#define WEIR_HTTP_ORIGIN_H

#include "http/session.h"
#include "http/url.h"

/* What an origin counts, under its lock; the names are those of weir_http_origin. */
struct origin_counts {
    uint64_t attempts, opened, reused, resends, redirects;
    uint64_t responses[6];
    uint64_t failed_connect, failed_read, failed_other, refused, cancelled;
    uint64_t budget_denied, invalid_retry_afters;
    uint64_t causes[WEIR_CAUSE_REFUSED + 1];
};

struct origin {
    char name[ORIGIN_SIZE];
    uint32_t hash;

    /* under the session's lock */
    struct origin *next_in_bucket;
    struct origin *newer;
    struct origin *older;
    weir_pool *pool; /* NULL: its connections are not kept at the moment */
    int references;  /* who has it from weir__origin_acquire() or weir__origin_begin_call() */
    int in_flight;   /* calls that visit it */
    uint64_t requests;
    bool is_set; /* by hand: never forgotten */

    /* under its own lock, which is held for arithmetic only */
    pthread_mutex_t lock;
    weir_breaker breaker;
    weir_breaker_state told_state; /* the state that listeners were told last */
    weir_budget budget;
    weir_rate_limiter rate_limit;
    int unstated_pause_ms;
    uint64_t cool_downs;      /* at the origin's wish */
    weir_time trim_at;        /* when its pool is looked through next */
    weir_time http_1_0_until; /* its last answer was in HTTP/1.0, which is believed until then */
    weir_time http_1_0_evicted_at; /* the session's evicted_at when that attempt began */
    uint64_t random;               /* moves on with every use */
    struct origin_counts counts;
};

/*
 * The origin of a name, made if need be, with a pool of connections; it keeps both until
 * weir__origin_release(). Of more pools than pool_connections, the one used least recently is closed,
 * but none that somebody has.
 * Errors: WEIR_CLOSED, WEIR_NO_MEMORY.
 */
weir_status weir__origin_acquire(weir_http *session, const char *name, struct origin **ret_origin,
                                 weir_error *reterr);
void weir__origin_release(weir_http *session, struct origin *origin);

/*
 * The same for a call, counted as a request there. One that begins with it enters the session, and
 * one that ends with it leaves the session, under the same lock: `request`; NULL for a call that
 * goes on. Whoever has left may find the session freed. Leaving takes no origin, too: NULL.
 */
weir_status weir__origin_begin_call(weir_http *session, const char *name,
                                    weir_http_request *request, struct origin **ret_origin,
                                    weir_error *reterr);
void weir__origin_end_call(weir_http *session, struct origin *origin, weir_http_request *request);

/* 64 random bits. With the origin's lock. */
uint64_t weir__origin_random_locked(struct origin *origin);

/* Free all origins; nobody has one any more. */
void weir__origins_clear(weir_http *session);

/* Call for every origin with a pool that is there from beginning to end, without any lock. */
void weir__origins_each(weir_http *session, void (*visit)(weir_pool *pool, void *arg), void *arg);

#endif
