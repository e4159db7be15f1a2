/* SPDX-License-Identifier: MIT */
/* HTTPSessionManager: the one HTTP session of this process, initialized once, used by any thread, closed once. */
#ifndef WEIR_SERVER_HTTP_SESSION_MANAGER_H
#define WEIR_SERVER_HTTP_SESSION_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/http.h>

/* What initialize() takes, in the words of weir_http_options, which has the ranges. Start from
 * HTTP_SESSION_OPTIONS_DEFAULT. */
struct http_session_options {
    int pool_connections;  /* origins whose connections are kept; default 10 */
    int pool_maxsize;      /* connections kept per origin; default 20 */
    bool pool_block;       /* wait for one of them instead of opening another; default false */
    int max_retries;       /* retries of a request beyond its first attempt; default 3 */
    int backoff_factor_ms; /* the back-off's first value; default 300 */
    int timeout_ms;        /* of one attempt, opening the connection included; default 30000 */
    const char *ca_file;   /* the certificates to trust, PEM; NULL: the system's */
    const char *proxy;     /* its URL, which may hold a password; NULL: none */
    const char *no_proxy;  /* hosts reached without it, separated by commas; NULL: none */
};

#define HTTP_SESSION_OPTIONS_DEFAULT                                                               \
    {                                                                                              \
        10, 20, false, 3, 300, 30000, NULL, NULL, NULL                                             \
    }

struct http_handle;

/*
 * Make the session; it opens no connection. `options` may be NULL for the defaults. Retried are GET,
 * HEAD, OPTIONS, TRACE, PUT and DELETE, a POST only with an Idempotency-Key, after 429, 500, 502,
 * 503, 504 and failures of the connection.
 *
 * Errors:  WEIR_ALREADY, with a warning in the log, when it is initialized; the first stays.
 *          Otherwise as weir_http_open().
 * Threads: any.
 */
WEIR_MUST_CHECK weir_status http_manager_initialize(const struct http_session_options *options,
                                                    weir_error *reterr);

bool http_manager_is_initialized(void);

/*
 * The session, held: it stays, though it may be closed to new requests meanwhile, until it is given
 * back with http_manager_put_session(). Before initialize() it initializes with the defaults, and
 * says so in the log.
 *
 * Errors:  as initialize().
 * Threads: any.
 */
WEIR_MUST_CHECK weir_status http_manager_get_session(struct http_handle **ret_handle,
                                                     weir_error *reterr);

/* The same, but false where there is none, instead of making one. */
WEIR_MUST_CHECK bool http_manager_find_session(struct http_handle **ret_handle);

void http_manager_put_session(struct http_handle *handle);
weir_http *http_handle_session(const struct http_handle *handle);

/* Which session of this process it is, counting from 1: what was set on one does not hold for the
 * next. */
uint64_t http_handle_number(const struct http_handle *handle);

/* Log what the level DEBUG tells of the session also where that level came after it; nothing without a
 * session. Errors: WEIR_FULL. Threads: the one that initializes. */
WEIR_MUST_CHECK weir_status http_manager_follow_closely(weir_error *reterr);

/* One step of housekeeping: close connections that rested for too long. Threads: any. */
void http_manager_maintain(void);

/*
 * Let no request wait any more, in the queue, for a rate limit or for its next attempt: these end with
 * WEIR_CLOSED. Attempts in flight may finish by the deadline. The session stays the manager's, for
 * the rest of a drain. Threads: any.
 */
void http_manager_end_waits(weir_time deadline);

/*
 * Close the session: waiters and newcomers are refused, requests in flight awaited until the
 * deadline. Idempotent; afterwards initialize() works again.
 *
 * Errors:  WEIR_TIMEOUT, when requests had to be aborted.
 * Threads: any.
 */
weir_status http_manager_close(weir_time deadline, weir_error *reterr);

#endif
