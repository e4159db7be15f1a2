/* SPDX-License-Identifier: MIT */
/* What a session knows of one origin: its connections, its breaker, budget and rate limiter, its counts. */
#ifndef WEIR_HTTP_ORIGIN_H
#define WEIR_HTTP_ORIGIN_H

#include <weir/http.h>

#include "common/lock.h"
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

    /* under the lock of the container that has it */
    struct origin *next_in_bucket;
    struct origin *newer;
    struct origin *older;
    weir_pool *pool; /* NULL: its connections are not kept at the moment */
    int references;  /* who has it from weir__origin_acquire() or weir__origin_begin_call() */
    int in_flight;   /* calls that go there */
    uint64_t requests;
    bool is_set; /* by hand: never forgotten */

    /* under its own lock, which is held for arithmetic only */
    struct weir__mutex lock;
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

/* Origins with their names, at most ORIGINS_REMEMBERED and those that are in use. All zero is none. */
#define ORIGIN_BUCKETS 256
#define ORIGINS_REMEMBERED 1024
struct origins {
    struct origin *buckets[ORIGIN_BUCKETS];
    struct origin *newest; /* all of them, used last first */
    struct origin *oldest;
    int count;
    int pools; /* origins that have one */
};

/* One without a pool, in no container. NULL: out of memory. */
struct origin *weir__origin_new(const weir_http_options *options, const char *name);
void weir__origin_free(struct origin *origin);

/* The container. Its owner's lock guards it, and the fields of an origin that are said to be under it. */
uint32_t weir__origin_hash(const char *name);
struct origin *weir__origins_find(const struct origins *all, const char *name, uint32_t hash);
void weir__origins_add(struct origins *all, struct origin *origin);
void weir__origins_use(struct origins *all, struct origin *origin); /* it was used last */

/* The next origin with a pool, by the buckets, where an origin stays in its place however often it is used; NULL:
 * the first, and no more. */
struct origin *weir__origins_next(const struct origins *all, const struct origin *origin);

/* What there is no room for any more, taken out, one of each at a time. An origin that was in use when it should
 * have gone goes later, so that there may be several. */
struct surplus {
    weir_pool *pool;
    struct origin *origin;
};
struct surplus weir__origins_trim(struct origins *all, int most_pools);
bool weir__origins_have_surplus(const struct origins *all, int most_pools);

/* 64 random bits. */
uint64_t weir__origin_random_locked(struct origin *origin) WEIR_REQUIRES(origin->lock);

#endif
