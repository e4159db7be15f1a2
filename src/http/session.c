/* SPDX-License-Identifier: MIT */
/* A session's life: opened, maintained, disposed; and what it tells. */
#include "http/session.h"

#include "http/handle.h"
#include "http/no_proxy.h"
#include "http/options.h"
#include "http/request.h"
#include "http/session_origins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the clock --------------------------------------------------------------------------- */

weir_time weir__http_now(const weir_http *session)
{
    weir_clock *clock = session->options.clock;

    return clock == NULL ? weir_now() : clock->now(clock);
}

void weir__http_wait(const weir_http *session, _Atomic uint32_t *word, uint32_t expected,
                     weir_time until)
{
    weir_clock *clock = session->options.clock;

    if (clock == NULL)
        weir_wait((uint32_t *)(uintptr_t)word, expected, until);
    else
        clock->wait(clock, (uint32_t *)(uintptr_t)word, expected, until);
}

/* ---- open -------------------------------------------------------------------------------- */

/* Taken here and given back there, at libcurl's wish. */
static void lock_names(CURL *easy, curl_lock_data data, curl_lock_access access,
                       void *arg) WEIR_UNCHECKED
{
    weir_http *session = arg;

    (void)easy, (void)access;
    weir__lock(&session->name_locks[data]);
}

static void unlock_names(CURL *easy, curl_lock_data data, void *arg) WEIR_UNCHECKED
{
    weir_http *session = arg;

    (void)easy;
    weir__unlock(&session->name_locks[data]);
}

/* Only names are shared between handles: connections and TLS sessions cannot be, in libcurl before 8.10
 * (its issues 4915 and 14751). */
static weir_status share_names(weir_http *session, weir_error *reterr)
{
    session->names = curl_share_init();
    if (session->names == NULL ||
        curl_share_setopt(session->names, CURLSHOPT_LOCKFUNC, lock_names) != CURLSHE_OK ||
        curl_share_setopt(session->names, CURLSHOPT_UNLOCKFUNC, unlock_names) != CURLSHE_OK ||
        curl_share_setopt(session->names, CURLSHOPT_USERDATA, session) != CURLSHE_OK ||
        curl_share_setopt(session->names, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "http: out of memory");
    return WEIR_OK;
}

/* The driver of `total`, whose slots hold no connection: they only limit the attempts in flight. */
static weir_status open_leave(void *arg, weir_time deadline, void **ret_connection,
                              weir_error *reterr)
{
    (void)deadline, (void)reterr;
    *ret_connection = arg;
    return WEIR_OK;
}

static void close_leave(void *arg, void *connection)
{
    (void)arg, (void)connection;
}

static weir_status open_total(weir_http *session, weir_error *reterr)
{
    static const weir_driver driver = {.connect = open_leave, .close = close_leave};
    weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;

    options.name = "max_total";
    options.pool_size = session->options.max_total;
    options.max_overflow = 0;
    options.pool_timeout_ms = session->options.acquire_timeout_ms;
    options.pool_recycle_s = -1;
    options.pool_pre_ping = false;
    options.reset_on_return = WEIR_RESET_NONE;
    options.max_waiters = session->options.max_waiters;
    options.clock = session->options.clock;
    return weir_pool_open(&options, &driver, session, &session->total, reterr);
}

/* Once for the process, and never undone: others may use libcurl too. */
static void start_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static weir_status start_libcurl(weir_error *reterr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start_once);
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    if (info->version_num < 0x075700)
        return weir_error_set(reterr, WEIR_UNSUPPORTED, "libcurl %s is older than 7.87",
                              info->version);
    if ((info->features & CURL_VERSION_SSL) == 0)
        return weir_error_set(reterr, WEIR_UNSUPPORTED, "libcurl %s has no TLS", info->version);
    return WEIR_OK;
}

static void free_session(weir_http *session)
{
    weir__origins_clear(session);
    weir_pool_close(session->total);
    if (session->names != NULL)
        curl_share_cleanup(session->names);
    weir__trust_close(session->trust);
    free(session->no_proxy);
    weir__http_listeners_clear(session);
    weir__http_options_clear(&session->options);
    for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
        weir__mutex_clear(&session->name_locks[i]);
    weir__mutex_clear(&session->lock);
    free(session);
}

/* libcurl reads the environment for the proxy itself; its list is read here, once. */
static weir_status copy_no_proxy(weir_http *session, weir_error *reterr)
{
    const weir_http_options *options = &session->options;
    const char *name = "no_proxy";
    char what[48];

    if (!options->proxy_from_environment) {
        if (options->proxy == NULL || options->no_proxy == NULL)
            return WEIR_OK;
        return weir__no_proxy_copy(options->no_proxy, name, &session->no_proxy, reterr);
    }
    const char *list = getenv(name);
    if (list == NULL)
        list = getenv(name = "NO_PROXY");
    if (list == NULL)
        return WEIR_OK;
    snprintf(what, sizeof what, "%s of the environment", name);
    return weir__no_proxy_copy(list, what, &session->no_proxy, reterr);
}

static weir_status fill(weir_http *session, const weir_http_options *options, weir_error *reterr)
{
    weir_status status = weir__http_options_copy(options, &session->options, reterr);

    if (status != WEIR_OK)
        return status;
    session->idle_timeout = options->idle_timeout_ms * WEIR_MS;
    status = weir__trust_open(&session->options, &session->trust, reterr);
    if (status == WEIR_OK)
        status = copy_no_proxy(session, reterr);
    if (status == WEIR_OK)
        status = share_names(session, reterr);
    if (status == WEIR_OK)
        status = open_total(session, reterr);
    return status;
}

weir_status weir_http_open(const weir_http_options *options, weir_http **ret_session,
                           weir_error *reterr)
{
    static const weir_http_options defaults = WEIR_HTTP_OPTIONS_DEFAULT;

    if (options == NULL)
        options = &defaults;
    weir_status status = weir__http_options_check(options, reterr);
    if (status == WEIR_OK)
        status = start_libcurl(reterr);
    if (status != WEIR_OK)
        return status;

    weir_http *session = calloc(1, sizeof *session);
    if (session == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "http: out of memory");
    weir__mutex_init_adaptive(&session->lock);
    for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
        weir__mutex_init(&session->name_locks[i]);
    status = fill(session, options, reterr);
    if (status != WEIR_OK) {
        free_session(session);
        return status;
    }
    *ret_session = session;
    return WEIR_OK;
}

const char *weir_http_name(const weir_http *session)
{
    return session->options.name;
}

const weir_http_options *weir_http_get_options(const weir_http *session)
{
    return &session->options;
}

/* ---- the end ----------------------------------------------------------------------------- */

static void shut_pool(weir_pool *pool, void *arg)
{
    (void)arg;
    (void)weir_pool_dispose(pool, WEIR_DEADLINE_NOW, NULL);
}

/* Signal every call; returns how many there are. */
static int signal_all(weir_http *session)
{
    int count = 0;

    weir__lock(&session->lock);
    weir__session_guarded_locked(session)->is_closing = true;
    for (weir_http_request *r = weir__session_guarded_locked(session)->first; r != NULL;
         r = r->next, count++)
        weir__request_signal(r, SIGNAL_CLOSED);
    weir__unlock(&session->lock);
    return count;
}

static int count_calls(weir_http *session)
{
    int count = 0;

    weir__lock(&session->lock);
    for (weir_http_request *r = weir__session_guarded_locked(session)->first; r != NULL;
         r = r->next)
        count++;
    weir__unlock(&session->lock);
    return count;
}

/* Wait until no call is in flight or the instant has come; returns how many are left. */
static int wait_for_end(weir_http *session, weir_time until)
{
    for (;;) {
        uint32_t ended = atomic_load_explicit(&session->ended, memory_order_acquire);
        int left = count_calls(session);

        if (left == 0 || (until != WEIR_DEADLINE_NEVER && weir__http_now(session) >= until))
            return left;
        weir__http_wait(session, &session->ended, ended, until);
    }
}

weir_status weir_http_dispose(weir_http *session, weir_time deadline, weir_error *reterr)
{
    if (deadline == WEIR_DEADLINE_DEFAULT)
        deadline = weir__http_now(session) + session->options.try_timeout_ms * WEIR_MS;
    signal_all(session);
    weir__origins_each(session, shut_pool, NULL);
    shut_pool(session->total, NULL);

    int cut = wait_for_end(session, deadline);
    if (cut > 0) {
        atomic_store_explicit(&session->is_cut, true, memory_order_release);
        signal_all(session);
        wait_for_end(session, WEIR_DEADLINE_NEVER);
    }
    if (cut == 0)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_TIMEOUT,
                          "http \"%s\": disposed, but %d request%s had to be aborted",
                          session->options.name, cut, cut == 1 ? "" : "s");
}

void weir_http_close(weir_http *session)
{
    if (session == NULL)
        return;
    (void)weir_http_dispose(session, WEIR_DEADLINE_NOW, NULL);
    free_session(session);
}

/* ---- housekeeping ------------------------------------------------------------------------ */

static void trim_pool(weir_pool *pool, void *arg)
{
    weir_pool_trim(pool, *(int *)arg);
}

static void evict_pool(weir_pool *pool, void *arg)
{
    (void)arg;
    weir_pool_evict_all(pool);
}

void weir_http_maintain(weir_http *session)
{
    weir__origins_each(session, trim_pool, &session->options.idle_timeout_ms);
}

int weir__http_names_memory(const weir_http *session)
{
    weir_time evicted_at = atomic_load_explicit(&session->evicted_at, memory_order_acquire);
    if (evicted_at == 0)
        return NAMES_REMEMBERED_S;

    weir_time seconds = (weir_now() - evicted_at) / WEIR_SECOND;
    return seconds < NAMES_REMEMBERED_S ? (int)seconds : NAMES_REMEMBERED_S;
}

void weir_http_evict_all(weir_http *session)
{
    /* Before, for the names that a new connection looks up; after, since an attempt that began meanwhile may
     * have got an old one. */
    atomic_store_explicit(&session->evicted_at, weir_now(), memory_order_release);
    weir__origins_each(session, evict_pool, NULL);
    atomic_store_explicit(&session->evicted_at, weir_now(), memory_order_release);
}

/* ---- one origin by hand ------------------------------------------------------------------ */

/* The origin of a URL, taken, and from now on remembered. */
static weir_status take_set(weir_http *session, const char *text, struct origin **ret_origin,
                            weir_error *reterr)
{
    struct url url = {0};
    weir_status status = weir__url_parse(text, &url, reterr);

    if (status != WEIR_OK)
        return status;
    status = weir__origin_acquire(session, url.origin, ret_origin, reterr);
    weir__url_clear(&url);
    if (status != WEIR_OK)
        return status;
    weir__lock(&session->lock);
    (*ret_origin)->is_set = true;
    weir__unlock(&session->lock);
    return WEIR_OK;
}

weir_status weir_http_set_rate_limit(weir_http *session, const char *url,
                                     const weir_rate_limit_options *rate_limit,
                                     int unstated_pause_ms, weir_error *reterr)
{
    struct origin *origin = NULL;
    weir_rate_limiter fresh;

    weir_status status = weir_rate_limiter_init(&fresh, rate_limit, reterr);
    if (status != WEIR_OK)
        return status;
    if (unstated_pause_ms < 0 || unstated_pause_ms > 86400000)
        return weir_error_set(reterr, WEIR_INVALID, "unstated_pause_ms %d: must be 0 to 86400000",
                              unstated_pause_ms);
    status = take_set(session, url, &origin, reterr);
    if (status != WEIR_OK)
        return status;
    weir__lock(&origin->lock);
    /* Passes of the old rate limiter are void: their holders reserve again. */
    fresh.cool_downs = origin->rate_limit.cool_downs + 1;
    origin->rate_limit = fresh;
    origin->unstated_pause_ms = unstated_pause_ms;
    weir__unlock(&origin->lock);
    weir__origin_release(session, origin);
    return WEIR_OK;
}

weir_status weir_http_set_breaker(weir_http *session, const char *url, weir_breaker_state state,
                                  weir_error *reterr)
{
    struct origin *origin = NULL;

    weir_status status = take_set(session, url, &origin, reterr);
    if (status != WEIR_OK)
        return status;
    weir__lock(&origin->lock);
    status = weir_breaker_set(&origin->breaker, state, reterr);
    weir__unlock(&origin->lock);
    weir__origin_release(session, origin);
    return status;
}

/* ---- figures ----------------------------------------------------------------------------- */

static void copy_counts(const struct origin_counts *from, weir_http_origin *to)
{
    to->attempts = from->attempts;
    to->opened = from->opened;
    to->reused = from->reused;
    to->resends = from->resends;
    to->redirects = from->redirects;
    memcpy(to->responses, from->responses, sizeof to->responses);
    to->failed_connect = from->failed_connect;
    to->failed_read = from->failed_read;
    to->failed_other = from->failed_other;
    to->refused = from->refused;
    to->cancelled = from->cancelled;
    to->budget_denied = from->budget_denied;
    to->invalid_retry_afters = from->invalid_retry_afters;
    memcpy(to->causes, from->causes, sizeof to->causes);
}

static void describe_policies(weir_http *session, struct origin *origin, weir_http_origin *ret)
{
    weir_time now = weir__http_now(session);

    weir__lock(&origin->lock);
    weir_breaker_get_stats(&origin->breaker, now, &ret->breaker);
    ret->budget_balance =
        session->options.use_budget ? weir_budget_balance(&origin->budget, now) : -1;
    ret->cool_down_until =
        origin->rate_limit.cool_down_until > now ? origin->rate_limit.cool_down_until : 0;
    ret->cool_downs = origin->cool_downs;
    copy_counts(&origin->counts, ret);
    weir__unlock(&origin->lock);
}

/* Stays for as long as the origin is held. */
static weir_pool *pool_of(weir_http *session, const struct origin *origin)
{
    weir__lock(&session->lock);
    weir_pool *pool = origin->pool;
    weir__unlock(&session->lock);
    return pool;
}

size_t weir_http_get_origins(weir_http *session, weir_http_origin *origins, size_t capacity)
{
    struct origin **held = calloc(capacity > 0 ? capacity : 1, sizeof *held);
    size_t count = 0;
    size_t listed = 0;

    if (held == NULL)
        return 0;

    weir__lock(&session->lock);
    for (struct origin *o = weir__session_guarded_locked(session)->origins.newest; o != NULL;
         o = o->older, count++) {
        if (listed == capacity)
            continue;
        o->references++;
        origins[listed] = (weir_http_origin){.in_flight = o->in_flight, .requests = o->requests};
        held[listed++] = o;
    }
    weir__unlock(&session->lock);
    for (size_t i = 0; i < listed; i++) {
        snprintf(origins[i].name, sizeof origins[i].name, "%s", held[i]->name);
        describe_policies(session, held[i], &origins[i]);
        weir_pool *pool = pool_of(session, held[i]);
        origins[i].has_pool = pool != NULL;
        if (pool != NULL)
            weir_pool_get_stats(pool, &origins[i].pool);
        weir__origin_release(session, held[i]);
    }
    free(held);
    return count;
}
