/* SPDX-License-Identifier: MIT */
/* What a session knows of one origin: found by name, its pool opened and let go, least used first. */
#include "http/origin.h"

#include "http/handle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

/* ---- making one -------------------------------------------------------------------------- */

static struct origin *make_origin(weir_http *session, const char *name)
{
    const weir_http_options *options = &session->options;
    struct origin *origin = calloc(1, sizeof *origin);

    if (origin == NULL)
        return NULL;
    memcpy(origin->name, name, strlen(name) + 1);
    origin->hash = hash_of(name);
    origin->unstated_pause_ms = options->unstated_pause_ms;
    if (getrandom(&origin->random, sizeof origin->random, GRND_NONBLOCK) < 0)
        origin->random = (uint64_t)weir_now();
    /* The options were checked when the session was opened. */
    weir_status status = weir_breaker_init(&origin->breaker, &options->breaker, NULL);
    if (status == WEIR_OK)
        status = weir_budget_init(&origin->budget, &options->budget, NULL);
    if (status == WEIR_OK)
        status = weir_rate_limiter_init(&origin->rate_limit, &options->rate_limit, NULL);
    assert(status == WEIR_OK);
    (void)status;
    weir__lock_init(&origin->lock);
    return origin;
}

static void free_origin(struct origin *origin)
{
    if (origin == NULL)
        return;
    assert(origin->pool == NULL);
    pthread_mutex_destroy(&origin->lock);
    free(origin);
}

static weir_status open_pool(weir_http *session, const char *name, weir_pool **ret_pool,
                             weir_error *reterr)
{
    const weir_http_options *o = &session->options;
    weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;
    char pool_name[64];
    int most = o->max_per_origin > o->pool_maxsize ? o->max_per_origin : o->pool_maxsize;
    size_t length = strlen(name);

    /* A pool's name is short; the end of a long host says more than its beginning. */
    strcpy(pool_name, length < sizeof pool_name ? name : name + length + 1 - sizeof pool_name);
    options.name = pool_name;
    options.pool_size = o->pool_maxsize;
    options.max_overflow =
        o->pool_block == WEIR_HTTP_WHEN_FULL_OVERFLOW ? most - o->pool_maxsize : 0;
    options.pool_timeout_ms = o->acquire_timeout_ms;
    options.pool_recycle_s = o->max_lifetime_s;
    options.recycle_jitter_percent = o->lifetime_jitter_percent;
    options.pool_pre_ping = false;
    options.reset_on_return = WEIR_RESET_NONE;
    options.max_waiters = o->max_waiters;
    options.clock = o->clock;
    return weir_pool_open(&options, &weir__handle_driver, session, ret_pool, reterr);
}

/* ---- the list, all with the session's lock ----------------------------------------------- */

static struct origin *find_locked(struct session_guarded *g, const char *name, uint32_t hash)
{
    struct origin *origin = g->buckets[hash % ORIGIN_BUCKETS];

    while (origin != NULL && (origin->hash != hash || strcmp(origin->name, name) != 0))
        origin = origin->next_in_bucket;
    return origin;
}

static void unlink_locked(struct session_guarded *g, struct origin *origin)
{
    *(origin->newer != NULL ? &origin->newer->older : &g->newest) = origin->older;
    *(origin->older != NULL ? &origin->older->newer : &g->oldest) = origin->newer;
}

static void link_newest_locked(struct session_guarded *g, struct origin *origin)
{
    origin->newer = NULL;
    origin->older = g->newest;
    *(g->newest != NULL ? &g->newest->newer : &g->oldest) = origin;
    g->newest = origin;
}

static void add_locked(struct session_guarded *g, struct origin *origin)
{
    struct origin **bucket = &g->buckets[origin->hash % ORIGIN_BUCKETS];

    origin->next_in_bucket = *bucket;
    *bucket = origin;
    link_newest_locked(g, origin);
    g->origins++;
}

static void remove_locked(struct session_guarded *g, struct origin *origin)
{
    struct origin **link = &g->buckets[origin->hash % ORIGIN_BUCKETS];

    while (*link != origin)
        link = &(*link)->next_in_bucket;
    *link = origin->next_in_bucket;
    unlink_locked(g, origin);
    g->origins--;
}

/* What there is no room for any more, one of each at a time. An origin that was in use when it should
 * have gone goes later, so that there may be several. */
struct surplus {
    weir_pool *pool;
    struct origin *origin;
};

static struct surplus trim_locked(weir_http *session)
{
    struct session_guarded *g = &session->guarded;
    struct surplus surplus = {0};

    for (struct origin *o = g->oldest; o != NULL && g->pools > session->options.pool_connections;
         o = o->newer) {
        if (o->references > 0 || o->pool == NULL)
            continue;
        surplus.pool = o->pool;
        o->pool = NULL;
        g->pools--;
        break;
    }
    for (struct origin *o = g->oldest; o != NULL && g->origins > ORIGINS_REMEMBERED; o = o->newer) {
        if (o->references > 0 || o->pool != NULL || o->is_set)
            continue;
        remove_locked(g, o);
        surplus.origin = o;
        break;
    }
    return surplus;
}

static bool has_surplus_locked(const weir_http *session)
{
    return session->guarded.pools > session->options.pool_connections ||
           session->guarded.origins > ORIGINS_REMEMBERED;
}

static void trim(weir_http *session)
{
    bool goes_on = true;

    while (goes_on) {
        pthread_mutex_lock(&session->lock);
        struct surplus surplus = trim_locked(session);
        pthread_mutex_unlock(&session->lock);
        goes_on = surplus.pool != NULL || surplus.origin != NULL;
        weir_pool_close(surplus.pool);
        free_origin(surplus.origin);
    }
}

/* ---- taking one -------------------------------------------------------------------------- */

/* What was made outside the lock for one that is not there yet, or has no pool. */
struct spare {
    struct origin *origin;
    weir_pool *pool;
};

/* The origin, held, if it is there or can be made of what is spare; else NULL. */
static struct origin *take_locked(weir_http *session, const char *name, uint32_t hash,
                                  struct spare *spare)
{
    struct session_guarded *g = &session->guarded;
    struct origin *origin = find_locked(g, name, hash);

    if (spare->pool == NULL && (origin == NULL || origin->pool == NULL))
        return NULL;
    if (origin == NULL) {
        origin = spare->origin;
        spare->origin = NULL;
        if (origin == NULL)
            return NULL;
        add_locked(g, origin);
    } else if (g->newest != origin) {
        unlink_locked(g, origin);
        link_newest_locked(g, origin);
    }
    if (origin->pool == NULL) {
        origin->pool = spare->pool;
        spare->pool = NULL;
        g->pools++;
    }
    origin->references++;
    return origin;
}

static weir_status closed(const weir_http *session, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_CLOSED, "http \"%s\": closed", session->options.name);
}

static weir_status prepare(weir_http *session, const char *name, struct spare *spare,
                           weir_error *reterr)
{
    spare->origin = make_origin(session, name);
    if (spare->origin == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "http \"%s\": out of memory",
                              session->options.name);
    return open_pool(session, name, &spare->pool, reterr);
}

/* Who takes an origin: a call that visits it, with the request by which it enters the session. */
struct visitor {
    bool is_calling;
    weir_http_request *request; /* NULL: it is in already */
};

static void count_visit_locked(weir_http *session, struct origin *origin,
                               const struct visitor *visitor)
{
    if (!visitor->is_calling)
        return;
    origin->requests++;
    origin->in_flight++;
    if (visitor->request != NULL)
        weir__session_enter_locked(session, visitor->request);
}

static weir_status take(weir_http *session, const char *name, const struct visitor *visitor,
                        struct origin **ret_origin, weir_error *reterr)
{
    struct spare spare = {0};
    struct origin *origin = NULL;
    uint32_t hash = hash_of(name);
    weir_status status = WEIR_OK;
    bool is_closing = false;
    bool has_surplus = false;

    for (int round = 0; origin == NULL && !is_closing && status == WEIR_OK; round++) {
        if (round > 0)
            status = prepare(session, name, &spare, reterr);
        if (status != WEIR_OK)
            break;
        pthread_mutex_lock(&session->lock);
        is_closing = session->guarded.is_closing;
        if (!is_closing)
            origin = take_locked(session, name, hash, &spare);
        if (origin != NULL)
            count_visit_locked(session, origin, visitor);
        has_surplus = origin != NULL && has_surplus_locked(session);
        pthread_mutex_unlock(&session->lock);
    }
    weir_pool_close(spare.pool);
    free_origin(spare.origin);
    if (has_surplus)
        trim(session);
    if (is_closing)
        return closed(session, reterr);
    if (status == WEIR_OK)
        *ret_origin = origin;
    return status;
}

weir_status weir__origin_acquire(weir_http *session, const char *name, struct origin **ret_origin,
                                 weir_error *reterr)
{
    return take(session, name, &(struct visitor){0}, ret_origin, reterr);
}

void weir__origin_release(weir_http *session, struct origin *origin)
{
    pthread_mutex_lock(&session->lock);
    origin->references--;
    pthread_mutex_unlock(&session->lock);
}

weir_status weir__origin_begin_call(weir_http *session, const char *name,
                                    weir_http_request *request, struct origin **ret_origin,
                                    weir_error *reterr)
{
    return take(session, name, &(struct visitor){true, request}, ret_origin, reterr);
}

void weir__origin_end_call(weir_http *session, struct origin *origin, weir_http_request *request)
{
    pthread_mutex_lock(&session->lock);
    if (origin != NULL) {
        origin->in_flight--;
        origin->references--;
    }
    if (request != NULL)
        weir__session_leave_locked(session, request);
    pthread_mutex_unlock(&session->lock);
}

/* ---- all of them ------------------------------------------------------------------------- */

/* splitmix64 */
uint64_t weir__origin_random_locked(struct origin *origin)
{
    uint64_t n = origin->random += UINT64_C(0x9E3779B97F4A7C15);

    n = (n ^ (n >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94D049BB133111EB);
    return n ^ (n >> 31);
}

/* The next origin with a pool after one that is held, which is let go; held. By the buckets, where an
 * origin stays in its place however often it is used. */
static struct origin *next_held(weir_http *session, struct origin *held)
{
    struct session_guarded *g = &session->guarded;
    size_t bucket = held == NULL ? 0 : held->hash % ORIGIN_BUCKETS + 1;

    pthread_mutex_lock(&session->lock);
    struct origin *origin = held == NULL ? NULL : held->next_in_bucket;

    while (origin != NULL ? origin->pool == NULL : bucket < ORIGIN_BUCKETS)
        origin = origin != NULL ? origin->next_in_bucket : g->buckets[bucket++];
    if (origin != NULL)
        origin->references++;
    if (held != NULL)
        held->references--;
    pthread_mutex_unlock(&session->lock);
    return origin;
}

void weir__origins_each(weir_http *session, void (*visit)(weir_pool *pool, void *arg), void *arg)
{
    struct origin *origin = NULL;

    while ((origin = next_held(session, origin)) != NULL)
        visit(origin->pool, arg);
}

void weir__origins_clear(weir_http *session)
{
    struct origin *next = NULL;

    for (struct origin *origin = session->guarded.newest; origin != NULL; origin = next) {
        next = origin->older;
        weir_pool_close(origin->pool);
        origin->pool = NULL;
        free_origin(origin);
    }
    session->guarded.newest = NULL;
    session->guarded.oldest = NULL;
}
