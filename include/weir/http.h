/* SPDX-License-Identifier: MIT */
/* HTTP sessions: requests to other servers over pooled connections, with a time limit on every wait. */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <weir/breaker.h>
#include <weir/budget.h>
#include <weir/http_report.h>
#include <weir/http_request.h>
#include <weir/pool.h>
#include <weir/rate_limit.h>
#include <weir/retry.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Terms: for each origin (scheme, host and port) that it talks to, a session keeps a pool of connections, a
 * circuit breaker, a retry budget and a rate limiter. A request is made once and may be sent several times;
 * each send is a call. A call makes one or more attempts, each over a connection that no other call uses at the
 * same time. The pool's options are named after those of HTTPAdapter in requests, the options for retries after
 * those of urllib3 (weir/retry.h).
 *
 * HTTP/1.1 over http and https. No cookies, no netrc, no environment (unless asked for). weir never
 * calls curl_global_cleanup().
 */
typedef struct weir_http weir_http;

/* ---- the session ------------------------------------------------------------------------- */

/* What happens to a request when pool_maxsize connections to its origin are busy. */
typedef enum weir_http_when_full {
    /* Open another, up to max_per_origin in all, and close it after use; at that limit, wait. */
    WEIR_HTTP_WHEN_FULL_OVERFLOW,
    WEIR_HTTP_WHEN_FULL_BLOCK, /* wait in the queue, first come, first served */
    WEIR_HTTP_WHEN_FULL_FAIL   /* fail at once with WEIR_FULL */
} weir_http_when_full;

/*
 * Options. Start from WEIR_HTTP_OPTIONS_DEFAULT and assign: zero keeps its own meaning. Values out
 * of range are refused by weir_http_open() with an error that names the option and its range. Texts
 * are copied.
 */
typedef struct weir_http_options {
    /* The session's name in errors, logs and metrics. 1 to 31 bytes, no control characters. */
    const char *name;

    /* How many origins may keep connections. When there are more, the connections of the least recently
     * used origin are closed, but never those of an origin with a call in flight. Default 10, 1 to 1024. */
    int pool_connections;

    /* Connections kept per origin. Default 20, 1 to 1024. */
    int pool_maxsize;

    /* What happens when they are all busy. Default WEIR_HTTP_WHEN_FULL_OVERFLOW, like HTTPAdapter's
     * pool_block=False. */
    weir_http_when_full pool_block;

    /* Most connections per origin with WEIR_HTTP_WHEN_FULL_OVERFLOW, including those kept. Default 100, 1 to
     * 1024; a value below pool_maxsize counts as pool_maxsize. */
    int max_per_origin;

    /* Attempts in flight at once, over all origins. Default 200, 1 to 1024. */
    int max_total;

    /* How long a request may wait for a connection, in the queues of the origin's pool and of
     * max_total together. Milliseconds; default 30000, 0 to 86400000. 0: never wait. */
    int acquire_timeout_ms;

    /* How many callers may wait in each of these queues; the next one fails at once with WEIR_FULL. Default
     * 1024, 0 to 1000000. */
    int max_waiters;

    /* A connection that was idle for longer is closed, at its next checkout or by weir_http_maintain(). A
     * server's `Keep-Alive: timeout=n` shortens this to n - 1 seconds for its connections; one that is past
     * that limit is not reused, and is closed at its next checkout. Milliseconds; default 30000, 0 to
     * 86400000. 0: no connection is reused. */
    int idle_timeout_ms;

    /* Age at which a connection is replaced before its next use, shortened for each by a random part
     * of up to lifetime_jitter_percent. Seconds; default 3600, -1 to 31536000. -1: never. */
    int max_lifetime_s;
    int lifetime_jitter_percent; /* default 10, 0 to 100 */

    /* Longest time to open a connection: name lookup, TCP and TLS. If a host has several addresses, the next
     * one is tried in parallel after 250 ms without an answer, or when one has refused (RFC 8305).
     * Milliseconds; default 10000, 1 to 86400000. */
    int connect_timeout_ms;

    /* Longest time for one attempt, from the checkout of its connection, which may have to be opened first,
     * to the last byte of the response. Milliseconds; default 30000, 1 to 86400000. */
    int try_timeout_ms;

    /* Longest time for a whole call with WEIR_DEADLINE_DEFAULT: waits, attempts, pauses and redirects.
     * Milliseconds; default 120000, 1 to 86400000. */
    int total_timeout_ms;

    /* What is retried. `redirect` is the number of redirects followed; they do not count in `total`. */
    weir_retry_options retry;

    /* Each origin's budget for retries, and whether to use one. Default true. */
    weir_budget_options budget;
    bool use_budget;

    /* Each origin's circuit breaker, and whether to use one. Default true. permit_lease_ms is raised to twice
     * try_timeout_ms if it is less, because a probe must end before its permit goes to another call. */
    weir_breaker_options breaker;
    bool use_breaker;

    /* Each origin's rate limiter, and the length of the cool-down that a 429 without a Retry-After begins.
     * Milliseconds; default 0 (no cool-down), 0 to 86400000. A 429 or 503 with a Retry-After always begins a
     * cool-down, of the length that it asks for. */
    weir_rate_limit_options rate_limit;
    int unstated_pause_ms;

    /* Largest header of a response, all fields together. Bytes; default 65536, 256 to 262144. */
    int max_header_bytes;

    /* Largest body of a response, decoded. Bytes; default 16777216, 0 to 2^53. If the status is below 300, a
     * larger body fails with WEIR_LIMIT; if it is 300 to 399 and no redirect is followed, the body is truncated
     * at this limit. */
    int64_t max_body_bytes;

    /* How much of the body of a response of 400 and above is kept, and how much of a redirect's body is read.
     * The rest is not read, and the connection is closed. Bytes; default 65536, 0 to 16777216. */
    int max_error_bytes;

    /*
     * Ask for compressed bodies (gzip, deflate, and br and zstd unless weir was built without them), and decode
     * what arrives, whatever was asked for. A body that ends before its compressed stream does is lost
     * (WEIR_DISCONNECTED, or WEIR_AMBIGUOUS); one that is not a valid stream is WEIR_PROTOCOL. With a status of
     * 300 and above, the response has what could be decoded: weir_http_response_is_truncated(). A request with
     * its own Accept-Encoding keeps it; a request with a Range asks for no coding. A 206 is returned as it
     * came, since a part cannot be decoded. Default true.
     */
    bool decompress;

    /* How many bytes one compressed byte may expand to, in each coding; checked after the first mebibyte.
     * More is WEIR_LIMIT. Default 100, 1 to 10000. */
    int max_expansion;

    /* Follow redirects. Default true. */
    bool follow_redirects;

    /* Check the server's certificate and the name in it. Default true. Set it to false only in a test
     * against your own server. */
    bool verify_tls;

    /* The certificates to trust: a PEM file and a directory; NULL (default) means the system's. The file is
     * read once, at open; the directory is searched when a certificate is needed. */
    const char *ca_file;
    const char *ca_path;

    /* The client's certificate (with its chain) and key, as PEM files; the key must have no passphrase. NULL
     * (default): none. If key_file is NULL, cert_file also contains the key. */
    const char *cert_file;
    const char *key_file;

    /* A proxy's URL (http://, https://, socks5://, socks5h://), which may contain a user and password, and the
     * hosts to reach without it, separated by commas or blanks. NULL (default): none. no_proxy may list:
     *   example.com, .example.com   this host and all below it
     *   *.example.com               all below it
     *   192.0.2.1, ::1, [::1]       an address, however the URL spells it
     *   10.0.0.0/8, fe80::/10       all addresses with this prefix
     *   *                           all
     * Any of these except a prefix may end with a port (example.com:8080, [::1]:443), and then applies to that
     * port only. Names are compared as text and are not looked up. Non-ASCII names, including the proxy's own,
     * are converted to their xn-- form. */
    const char *proxy;
    const char *no_proxy;

    /* Take proxy and no_proxy from the environment instead (http_proxy, https_proxy, no_proxy).
     * weir_http_open() reads and checks the list. libcurl reads the proxy's URL, so a non-ASCII name must be in
     * its xn-- form there. Default false. */
    bool proxy_from_environment;

    /* The User-Agent of requests that set none. Default "weir/<version>"; "": none is sent. */
    const char *user_agent;

    /* NULL: the machine's clock. Must outlive the session. For tests: deadlines and pauses follow this
     * clock, but libcurl times each attempt with the machine's. */
    weir_clock *clock;
} weir_http_options;

#define WEIR_HTTP_OPTIONS_DEFAULT                                                                  \
    {                                                                                              \
        "http",                              /* name */                                            \
            10,                              /* pool_connections */                                \
            20,                              /* pool_maxsize */                                    \
            WEIR_HTTP_WHEN_FULL_OVERFLOW,    /* pool_block */                                      \
            100,                             /* max_per_origin */                                  \
            200,                             /* max_total */                                       \
            30000,                           /* acquire_timeout_ms */                              \
            1024,                            /* max_waiters */                                     \
            30000,                           /* idle_timeout_ms */                                 \
            3600,                            /* max_lifetime_s */                                  \
            10,                              /* lifetime_jitter_percent */                         \
            10000,                           /* connect_timeout_ms */                              \
            30000,                           /* try_timeout_ms */                                  \
            120000,                          /* total_timeout_ms */                                \
            WEIR_RETRY_OPTIONS_DEFAULT,      /* retry */                                           \
            WEIR_BUDGET_OPTIONS_DEFAULT,     /* budget */                                          \
            true,                            /* use_budget */                                      \
            WEIR_BREAKER_OPTIONS_DEFAULT,    /* breaker */                                         \
            true,                            /* use_breaker */                                     \
            WEIR_RATE_LIMIT_OPTIONS_DEFAULT, /* rate_limit */                                      \
            0,                               /* unstated_pause_ms */                               \
            65536,                           /* max_header_bytes */                                \
            16777216,                        /* max_body_bytes */                                  \
            65536,                           /* max_error_bytes */                                 \
            true,                            /* decompress */                                      \
            100,                             /* max_expansion */                                   \
            true,                            /* follow_redirects */                                \
            true,                            /* verify_tls */                                      \
            NULL, NULL,                      /* ca_file, ca_path */                                \
            NULL, NULL,                      /* cert_file, key_file */                             \
            NULL, NULL,                      /* proxy, no_proxy */                                 \
            false,                           /* proxy_from_environment */                          \
            "weir/" WEIR_VERSION,            /* user_agent */                                      \
            NULL                             /* clock */                                           \
    }

/*
 * Make a session. Opens no connection. `options` may be NULL for the defaults.
 *
 * The caller owns *ret_session and ends it with weir_http_close().
 *
 * Errors:  WEIR_INVALID names the option, its value and its range, or the certificate file that
 *          cannot be used; WEIR_UNSUPPORTED when libcurl is older than 7.87 or lacks TLS;
 *          WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_http_open(const weir_http_options *options,
                                                    weir_http **ret_session, weir_error *reterr);

/*
 * Shut the session down. New calls fail with WEIR_CLOSED; calls that wait in the queue, for a rate limit or
 * for their next attempt fail with it at once. Idle connections are closed. Attempts in flight may finish by
 * the deadline; those that have not finished by then are aborted. Returns when no call is in flight. May be
 * called again. WEIR_DEADLINE_DEFAULT means try_timeout_ms from now.
 *
 * Errors:  WEIR_TIMEOUT: attempts had to be aborted; the text says how many.
 * Threads: any; not from a listener, reader or sink.
 */
WEIR_API weir_status weir_http_dispose(weir_http *session, weir_time deadline, weir_error *reterr);

/* Dispose of the session at once, and free it. No other call on it may be in progress or follow; requests
 * and responses stay valid. NULL is fine. */
WEIR_API void weir_http_close(weir_http *session);

/* Run one step of housekeeping: close the connections that were idle for longer than idle_timeout_ms.
 * weir_http_send() also does this, for the origins that it uses. Call this function now and then if
 * connections to origins that you no longer use should not stay open. Threads: any. */
WEIR_API void weir_http_maintain(weir_http *session);

/* Replace every connection opened before this call: idle ones are closed now, the others after their current
 * exchange. Host names are looked up again, and the session forgets which servers answered in HTTP/1.0.
 * ca_file is not read again; only weir_http_open() reads it. Threads: any. */
WEIR_API void weir_http_evict_all(weir_http *session);

/* Return the name and the options given at open, in the session's own copy. Valid until weir_http_close(). */
WEIR_API const char *weir_http_name(const weir_http *session);
WEIR_API const weir_http_options *weir_http_get_options(const weir_http *session);

/*
 * Give the origin of `url` a rate limiter of its own, from now on, in place of the one in the session's
 * options. The new one starts with no cool-down and a full bucket.
 *
 * Errors:  WEIR_INVALID for the URL or an option; WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_http_set_rate_limit(
    weir_http *session, const char *url, const weir_rate_limit_options *rate_limit,
    int unstated_pause_ms, weir_error *reterr);

/* Set the breaker of an origin by hand, as weir_breaker_set(). Errors: as weir_breaker_set(); WEIR_INVALID for
 * the URL; WEIR_NO_MEMORY. */
WEIR_API WEIR_MUST_CHECK weir_status weir_http_set_breaker(weir_http *session, const char *url,
                                                           weir_breaker_state state,
                                                           weir_error *reterr);

/* ---- calls ------------------------------------------------------------------------------- */

/*
 * Send a request and wait for the response.
 *
 * Each attempt passes the origin's rate limiter and circuit breaker, takes a connection from the origin's
 * pool, sends, receives, and returns the connection, or closes it if it is not clean. A failed attempt is
 * retried as weir_retry_next() decides; nothing else ever sends a request twice. Redirects are followed:
 * 303 with GET, and so are 301 and 302 after a POST; 307 and 308 with the same method and body. When the
 * body is dropped, so are the fields that describe it (RFC 9110, 15.4): Content-*, Digest, Repr-Digest,
 * Last-Modified.
 * `deadline` (weir/clock.h) covers the whole call; WEIR_DEADLINE_DEFAULT means total_timeout_ms from now,
 * and with WEIR_DEADLINE_NOW the call fails at once with WEIR_TIMEOUT.
 *
 * WEIR_OK means that there is a response, which the caller closes with weir_http_response_close(). Its
 * status may be 400 or more, if it calls for no retry (404) or raise_on_status is false. A status of 300
 * and above counts as soon as its header is complete, whatever happens to its body
 * (weir_http_response_is_truncated()); a status below 300 needs the whole body.
 *
 * If a reused connection ends before the first byte of a response, the attempt is retried at once on a new
 * connection, if it may be retried at all and the budget allows it, because servers close idle connections
 * without notice (RFC 9112, 9.3.1). The same happens if the first response on it is a 408 with "Connection:
 * close" and no request body was sent: such a 408 is not a response to this request. If a server answers before
 * it has read a whole body, and then closes, its answer is read before the loss is reported.
 *
 * Errors, with what was tried, how often and for how long, in the text (*ret_response is then untouched):
 *   WEIR_INVALID       the request is malformed, or its reader cannot begin again; nothing was sent
 *   WEIR_CONNECT       no connection: refused, unreachable, unknown name, certificate, timeout
 *   WEIR_TIMEOUT       the deadline or the time limit of an attempt passed, or no connection was free in time
 *   WEIR_DISCONNECTED  the connection was lost in flight, and the request is safe to retry
 *   WEIR_AMBIGUOUS     the same, or a timeout, for a request that may have been carried out and is not safe
 *                      to retry (POST, PATCH); also any failure to reach the target of a 301, 302 or 303
 *                      to such a request, since the request itself was carried out
 *   WEIR_RESPONSE      the status calls for a retry, and none is left; `native` is the status
 *   WEIR_REFUSED       the circuit breaker is open, or a cool-down lasts beyond the deadline
 *   WEIR_FULL          max_waiters callers already wait, or all connections are busy and
 *                      WEIR_HTTP_WHEN_FULL_FAIL is set
 *   WEIR_LIMIT         the header, the body, its expansion or the number of redirects exceeded its limit
 *   WEIR_PROTOCOL      the peer does not speak HTTP, sends an invalid length or a body that cannot be
 *                      decoded, or redirects to a URL that weir does not follow
 *   WEIR_SYSTEM        this machine has no descriptor, port or memory for a connection: nothing was sent or
 *                      retried, and the origin's breaker and budget do not count it; `native` is errno
 *   WEIR_UNSUPPORTED   a body of unknown length, for an origin that answered in HTTP/1.0: it was not sent
 *   WEIR_CANCELLED, WEIR_CLOSED, WEIR_NO_MEMORY, and whatever status a reader or sink returned
 * With WEIR_REFUSED, WEIR_FULL and WEIR_UNSUPPORTED, the last attempt was not made, but an earlier one may
 * have been: see was_sent in the report. `native` is libcurl's CURLcode if that is the cause, and otherwise
 * 0, except as above.
 *
 * If the thread has a current span (weir/trace.h), each attempt, including one to another origin, carries the
 * tracestate and a traceparent with a span id of its own. A request's own traceparent field is kept.
 *
 * Threads: any, at the same time, each with a request of its own.
 */
#define weir_http_send(session, request, deadline, ret_response, reterr)                           \
    weir_http_send_at(session, request, deadline, ret_response, reterr, __FILE__, __LINE__)

/* The function behind the macro. `file` (static storage) and `line` are the place that lists of holders
 * show. */
WEIR_API WEIR_MUST_CHECK weir_status weir_http_send_at(
    weir_http *session, weir_http_request *request, weir_time deadline,
    weir_http_response **ret_response, weir_error *reterr, const char *file, int line);

/* Make a GET request, send it with the default deadline, and close it. */
#define weir_http_get(session, url, ret_response, reterr)                                          \
    weir_http_get_at(session, url, ret_response, reterr, __FILE__, __LINE__)
WEIR_API WEIR_MUST_CHECK weir_status weir_http_get_at(weir_http *session, const char *url,
                                                      weir_http_response **ret_response,
                                                      weir_error *reterr, const char *file,
                                                      int line);

/* Return the report of the latest call. Valid until the request is sent again or closed. */
WEIR_API const weir_http_report *weir_http_request_report(const weir_http_request *request);

/*
 * Return an attempt of the latest call of a request, successful or not, in order: `index` counts from 0;
 * NULL beyond the last.
 *
 * The list has every attempt that was made, including those after redirects, up to 32; if there were more,
 * it has the first 31 and the last. If there is no memory for an attempt, the list leaves it out and the
 * call goes on. The report's `unlisted` says how many are left out, and gaps in `number` show where. An
 * attempt that the breaker, rate limiter or pool refused was not made, and is not in the list.
 *
 * An attempt and its texts belong to the request, and are valid until it is sent again or closed. An error's
 * text is shorter than WEIR_ERROR_TEXT.
 * Threads: not while the request is being sent.
 */
WEIR_API const weir_http_attempt *weir_http_request_attempt_at(const weir_http_request *request,
                                                               size_t index);

/* ---- URLs -------------------------------------------------------------------------------- */

/* Whether two absolute URLs have the same scheme, host and port, with default ports filled in. False if
 * either is not a URL that a request accepts. Ask before you send a secret to a link from a response. */
WEIR_API bool weir_http_same_origin(const char *url, const char *other);

/* ---- events and statistics --------------------------------------------------------------- */

/* A listener; it is called on the thread that causes the event, with no lock held. It must not send over
 * the same session. */
typedef void weir_http_listener(const weir_http_event *event, void *arg);

/* Add a listener for the events whose bit (WEIR_EVENT_BIT) is in `mask`. A session takes up to 8, for its whole
 * life. Errors: WEIR_FULL. Threads: any; the listener may miss events that are being emitted at that moment. */
WEIR_API weir_status weir_http_listen(weir_http *session, unsigned mask,
                                      weir_http_listener *listener, void *arg, weir_error *reterr);

/* List up to `capacity` origins, the most recently used first. Returns how many there are in all, or 0 if
 * memory ran out. Threads: any. */
WEIR_API size_t weir_http_get_origins(weir_http *session, weir_http_origin *origins,
                                      size_t capacity);

/*
 * Watch a session with metrics (weir/metrics.h): http.client.request.duration of each attempt,
 * http.client.open_connections and http.client.active_requests, and weir.http.* (requests, attempts,
 * connections opened and reused, retries by cause, budget, breaker, rate limiter and waits), with the labels
 * weir.session.name, server.address and server.port. The 64 most recently used origins are shown.
 *
 * Watch a session once, for its whole life; the metrics must live longer. weir_metrics_unwatch_http() stops
 * showing its origins; call it before weir_http_close().
 *
 * Errors:  WEIR_ALREADY when it is watched, WEIR_NO_MEMORY, and WEIR_FULL, also when the session has no room
 *          for a listener.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_metrics_watch_http(struct weir_metrics *metrics,
                                                             weir_http *session,
                                                             weir_error *reterr);
WEIR_API void weir_metrics_unwatch_http(struct weir_metrics *metrics, weir_http *session);

/* A listener that records each attempt as a child span of the thread's current span (weir/trace.h), and the
 * mask of the events that it needs. */
#define WEIR_TRACE_HTTP_EVENTS WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT)
WEIR_API void weir_trace_on_http_event(const weir_http_event *event, void *arg);

#ifdef __cplusplus
}
#endif

#endif
