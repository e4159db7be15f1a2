/* SPDX-License-Identifier: MIT */
/* A session: what all its calls share, and who may touch it. */
#ifndef WEIR_HTTP_SESSION_H
#define WEIR_HTTP_SESSION_H

#include <weir/http.h>

#include "http/origin.h"
#include "http/trust.h"

#include <stdatomic.h>

#define SESSION_LISTENERS 8

struct http_listener {
    unsigned mask;
    weir_http_listener *function;
    void *arg;
    void (*free_arg)(void *arg); /* at the session's end; NULL: the argument is somebody else's */
};

/* What the session's lock guards. Held for some comparisons and pointers only; a request's own lock
 * may be taken under it, an origin's never. */
struct session_guarded {
    struct origins origins;
    struct weir_http_request *first; /* calls in progress */
    struct weir_http_request *last;
    bool is_closing;
};

struct weir_http {
    /* immutable after open */
    weir_http_options options; /* texts are its own */
    struct trust *trust;
    char *no_proxy; /* hosts reached without a proxy; NULL: none, as where there is no proxy */
    CURLSH *names;  /* resolved names, shared by all handles */
    struct weir__mutex name_locks[CURL_LOCK_DATA_LAST]; /* libcurl takes them around `names` */
    weir_pool *total;     /* a slot is the right to one attempt in flight: max_total */
    int64_t idle_timeout; /* nanoseconds */

    _Atomic weir_time evicted_at; /* weir_now() at the last weir_http_evict_all(); 0: none was */

    _Atomic bool is_cut;    /* dispose has run out of time: attempts in flight end now */
    _Atomic uint32_t ended; /* moves at the end of each call while closing; dispose sleeps on it */

    _Atomic unsigned listener_mask;
    _Atomic int listener_count; /* grows under the lock, after the entry is written */
    struct http_listener listeners[SESSION_LISTENERS];

    struct weir__mutex lock;
    struct session_guarded guarded;
};

static inline struct session_guarded *weir__session_guarded_locked(weir_http *session)
    WEIR_REQUIRES(session->lock)
{
    return &session->guarded;
}

/* The session's clock. */
weir_time weir__http_now(const weir_http *session);
void weir__http_wait(const weir_http *session, _Atomic uint32_t *word, uint32_t expected,
                     weir_time until);

/* How long a name is remembered that was looked up, in seconds; and how old it may be now: not so old that
 * it was looked up before connections were evicted. libcurl counts in whole seconds. */
#define NAMES_REMEMBERED_S 60
int weir__http_names_memory(const weir_http *session);

/* events.c */
static inline bool weir__http_is_heard(const weir_http *session, weir_http_event_kind kind)
{
    return (atomic_load_explicit(&session->listener_mask, memory_order_relaxed) &
            WEIR_EVENT_BIT(kind)) != 0;
}
void weir__http_emit(weir_http *session, const weir_http_event *event);
/* Add a listener. After a failure its argument is still the caller's. */
weir_status weir__http_listen(weir_http *session, const struct http_listener *listener,
                              weir_error *reterr);
/* At the session's end. */
void weir__http_listeners_clear(weir_http *session);

#endif
