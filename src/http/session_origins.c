/* SPDX-License-Identifier: MIT */
/* The origins of a session: taken by calls, with pools that are opened and closed. */
#include "http/session_origins.h"

#include "common/list.h"
#include "http/handle.h"
#include "http/request.h"

#include <string.h>

/* ---- calls that enter and leave ----------------------------------------------------------- */

static void enter_locked(weir_http *session, weir_http_request *request)
    WEIR_REQUIRES(session->lock)
{
    struct session_guarded *g = weir__session_guarded_locked(session);

    LIST_ADD_FIRST(request, next, previous, g->first, g->last);
}

static void leave_locked(weir_http *session, weir_http_request *request)
    WEIR_REQUIRES(session->lock)
{
    struct session_guarded *g = weir__session_guarded_locked(session);

    LIST_REMOVE(request, next, previous, g->first, g->last);
    if (!g->is_closing)
        return;
    /* Under the lock: dispose may free the session as soon as it finds the list empty. */
    atomic_fetch_add_explicit(&session->ended, 1, memory_order_release);
    weir_wake((uint32_t *)(uintptr_t)&session->ended);
}

/* ---- pools ------------------------------------------------------------------------------- */

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

static void trim(weir_http *session)
{
    bool goes_on = true;

    while (goes_on) {
        weir__lock(&session->lock);
        struct surplus surplus = weir__origins_trim(&weir__session_guarded_locked(session)->origins,
                                                    session->options.pool_connections);
        weir__unlock(&session->lock);
        goes_on = surplus.pool != NULL || surplus.origin != NULL;
        weir_pool_close(surplus.pool);
        weir__origin_free(surplus.origin);
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
                                  struct spare *spare) WEIR_REQUIRES(session->lock)
{
    struct origins *all = &weir__session_guarded_locked(session)->origins;
    struct origin *origin = weir__origins_find(all, name, hash);

    if (spare->pool == NULL && (origin == NULL || origin->pool == NULL))
        return NULL;
    if (origin == NULL) {
        origin = spare->origin;
        spare->origin = NULL;
        if (origin == NULL)
            return NULL;
        weir__origins_add(all, origin);
    } else {
        weir__origins_use(all, origin);
    }
    if (origin->pool == NULL) {
        origin->pool = spare->pool;
        spare->pool = NULL;
        all->pools++;
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
    spare->origin = weir__origin_new(&session->options, name);
    if (spare->origin == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "http \"%s\": out of memory",
                              session->options.name);
    return open_pool(session, name, &spare->pool, reterr);
}

/* Who takes an origin: a call, with the request by which it enters the session. */
struct caller {
    bool is_calling;
    weir_http_request *request; /* NULL: it is in already */
};

static void count_call_locked(weir_http *session, struct origin *origin,
                              const struct caller *caller) WEIR_REQUIRES(session->lock)
{
    if (!caller->is_calling)
        return;
    origin->requests++;
    origin->in_flight++;
    if (caller->request != NULL)
        enter_locked(session, caller->request);
}

static weir_status take(weir_http *session, const char *name, const struct caller *caller,
                        struct origin **ret_origin, weir_error *reterr)
{
    struct spare spare = {0};
    struct origin *origin = NULL;
    uint32_t hash = weir__origin_hash(name);
    weir_status status = WEIR_OK;
    bool is_closing = false;
    bool has_surplus = false;

    for (int round = 0; origin == NULL && !is_closing && status == WEIR_OK; round++) {
        if (round > 0)
            status = prepare(session, name, &spare, reterr);
        if (status != WEIR_OK)
            break;
        weir__lock(&session->lock);
        is_closing = weir__session_guarded_locked(session)->is_closing;
        if (!is_closing)
            origin = take_locked(session, name, hash, &spare);
        if (origin != NULL)
            count_call_locked(session, origin, caller);
        has_surplus = origin != NULL &&
                      weir__origins_have_surplus(&weir__session_guarded_locked(session)->origins,
                                                 session->options.pool_connections);
        weir__unlock(&session->lock);
    }
    weir_pool_close(spare.pool);
    weir__origin_free(spare.origin);
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
    return take(session, name, &(struct caller){0}, ret_origin, reterr);
}

void weir__origin_release(weir_http *session, struct origin *origin)
{
    weir__lock(&session->lock);
    origin->references--;
    weir__unlock(&session->lock);
}

weir_status weir__origin_begin_call(weir_http *session, const char *name,
                                    weir_http_request *request, struct origin **ret_origin,
                                    weir_error *reterr)
{
    return take(session, name, &(struct caller){true, request}, ret_origin, reterr);
}

void weir__origin_end_call(weir_http *session, struct origin *origin, weir_http_request *request)
{
    weir__lock(&session->lock);
    if (origin != NULL) {
        origin->in_flight--;
        origin->references--;
    }
    if (request != NULL)
        leave_locked(session, request);
    weir__unlock(&session->lock);
}

/* ---- all of them ------------------------------------------------------------------------- */

/* The next origin with a pool after one that is held, which is let go; held. */
static struct origin *next_held(weir_http *session, struct origin *held)
{
    weir__lock(&session->lock);
    struct origin *origin =
        weir__origins_next(&weir__session_guarded_locked(session)->origins, held);

    if (origin != NULL)
        origin->references++;
    if (held != NULL)
        held->references--;
    weir__unlock(&session->lock);
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

    for (struct origin *origin = session->guarded.origins.newest; origin != NULL; origin = next) {
        next = origin->older;
        weir_pool_close(origin->pool);
        origin->pool = NULL;
        weir__origin_free(origin);
    }
    session->guarded.origins.newest = NULL;
    session->guarded.origins.oldest = NULL;
}
