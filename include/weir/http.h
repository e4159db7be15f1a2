/* SPDX-License-Identifier: MIT */
/* HTTP sessions: requests to other people's servers over pooled connections, with a limit on every wait. */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <weir/breaker.h>
#include <weir/budget.h>
#include <weir/rate_limit.h>
#include <weir/pool.h>
#include <weir/retry.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Terms: for each origin (scheme, host and port) that it talks to, a session keeps a pool of connections, a
 * circuit breaker, a retry budget and a rate limiter. A request is made once and may be sent several times.
 * Each time is a call. A call makes one or more attempts, each over a connection that no other call uses
 * meanwhile. The pool's options are named after those of HTTPAdapter in requests, the options for retries
 * after those of urllib3 (weir/retry.h).
 *
 * HTTP/1.1 over http and https. No cookies, no netrc, no environment (unless asked for). weir never
 * calls curl_global_cleanup().
 */
typedef struct weir_http weir_http;
typedef struct weir_http_request weir_http_request;
typedef struct weir_http_response weir_http_response;

/* ---- the session ------------------------------------------------------------------------- */

/* What happens to a request when pool_maxsize connections to its origin are busy. */
typedef enum weir_http_when_full {
    WEIR_HTTP_WHEN_FULL_OVERFLOW, /* open another, up to max_per_origin, and close it afterwards; then wait */
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

    /* What happens when they are all busy. Default WEIR_HTTP_WHEN_FULL_OVERFLOW, as HTTPAdapter's
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

    /* Largest body of a response, decoded. Bytes; default 16777216, 0 to 2^53. A larger body is WEIR_LIMIT if
     * the status is below 300; that of a redirect that is not followed, and the like, is cut there. */
    int64_t max_body_bytes;

    /* How much of the body of a response of 400 and above is kept, and how much of a redirect's body is read.
     * The rest is not read, and the connection is closed. Bytes; default 65536, 0 to 16777216. */
    int max_error_bytes;

    /*
     * Ask for compressed bodies (gzip, deflate, and br and zstd unless weir was built without them), and
     * decode what arrives, whatever was asked for. A body that ends before its compressed stream does is lost
     * (WEIR_DISCONNECTED, or WEIR_AMBIGUOUS); one that is not a valid stream is WEIR_PROTOCOL. With a status
     * of 300 and above, the response has what could be decoded: weir_http_response_is_truncated(). A request
     * with its own Accept-Encoding asks for that; a request with a Range asks for no coding. A 206 is
     * returned as it came, since a part cannot be decoded. Default true.
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

    /* A proxy's URL (http://, https://, socks5://, socks5h://), which may contain a user and password, and
     * the hosts to reach without it, separated by commas or blanks. NULL (default): none. no_proxy may list:
     *   example.com, .example.com   this host and all below it
     *   *.example.com               all below it
     *   192.0.2.1, ::1, [::1]       an address, however the URL spells it
     *   10.0.0.0/8, fe80::/10       all addresses with this prefix
     *   *                           all
     * Any of these but a range may end with a port (example.com:8080, [::1]:443), and then means that port
     * only. Names are compared as text and are not looked up. Non-ASCII names, including the proxy's own, are
     * converted to their xn-- form. */
    const char *proxy;
    const char *no_proxy;

    /* Take both from the environment instead (http_proxy, https_proxy, no_proxy). weir_http_open() reads and
     * checks the list. libcurl reads the proxy's URL, so a non-ASCII name must be in its xn-- form there.
     * Default false. */
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

/* Set the breaker of an origin by hand, as weir_breaker_set(). Errors: the same, and as above. */
WEIR_API WEIR_MUST_CHECK weir_status weir_http_set_breaker(weir_http *session, const char *url,
                                                           weir_breaker_state state,
                                                           weir_error *reterr);

/* ---- requests ---------------------------------------------------------------------------- */

/*
 * Make a request: a method and an absolute http or https URL, to which path segments and query pairs
 * can be added.
 *
 * The functions below add to it. Each returns its own failure, and the request also keeps the first one:
 * weir_http_send() then returns that without sending anything, so a chain of these functions needs no
 * checks in between. Texts are copied. Data with a length may be any bytes, UTF-8 or not; text without one
 * ends at its zero.
 *
 * Refused in a method, a header's name or value and a URL: control characters, CR and LF above all.
 * Also refused in a URL: a scheme other than http and https, a user or password (use
 * weir_http_request_basic_auth()), a missing host. A fragment is dropped. A non-ASCII host must be UTF-8.
 * It is converted to its xn-- form in lower case (UTS #46, non-transitional, as in browsers), and only that
 * form is sent, compared and reported. A host that has no such form is refused.
 *
 * Errors:  WEIR_INVALID with the position of the fault, never with the value of a header or query;
 *          WEIR_LIMIT for a URL above 64 KiB, more than 128 header fields or 64 KiB of them;
 *          WEIR_NO_MEMORY.
 * Threads: a request belongs to one thread at a time, except for weir_http_request_cancel().
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_http_request_open(const char *method, const char *url,
                                                            weir_http_request **ret_request,
                                                            weir_error *reterr);

/* Free it. Not while it is being sent. NULL is fine. */
WEIR_API void weir_http_request_close(weir_http_request *request);

/* Return the first failure of a function that added to the request, or NULL. Valid until it is closed. */
WEIR_API const weir_error *weir_http_request_error(const weir_http_request *request);

/*
 * Add one segment to the path: a slash and the text, percent-encoded so that it stays one segment
 * whatever it contains (`a/b?c` becomes `/a%2Fb%3Fc`). "." , ".." and the empty text are refused:
 * they would lead elsewhere.
 */
WEIR_API weir_status weir_http_request_segment(weir_http_request *request, const char *segment);

/* Add `name=value` to the query, both percent-encoded (a space becomes %20). */
WEIR_API weir_status weir_http_request_query(weir_http_request *request, const char *name,
                                             const char *value);

/* Add a header field. Several fields with the same name are sent in order. Host, Content-Length,
 * Transfer-Encoding, Connection, Expect, Upgrade, TE and Trailer are refused, because weir sets them. */
WEIR_API weir_status weir_http_request_header(weir_http_request *request, const char *name,
                                              const char *value);

/*
 * Add a header field that holds a secret. When a redirect leads to an origin other than the request's own,
 * the field is left out there and in every later attempt of the call. Authorization, Cookie,
 * Proxy-Authorization, X-API-Key, xc-token and xc-auth are secret, whichever function adds them.
 */
WEIR_API weir_status weir_http_request_secret(weir_http_request *request, const char *name,
                                              const char *value);

/* Add an Authorization field, `Bearer <token>` or Basic, which is secret. The user must not contain a
 * colon. */
WEIR_API weir_status weir_http_request_bearer(weir_http_request *request, const char *token);
WEIR_API weir_status weir_http_request_basic_auth(weir_http_request *request, const char *user,
                                                  const char *password);

/*
 * Add an Idempotency-Key, by which the server recognises a retried request, so that a POST or PATCH may be
 * retried. NULL makes a random key (128 bits), which stays the same for all attempts of this request.
 * weir_http_request_header() with that name does the same.
 */
WEIR_API weir_status weir_http_request_idempotency_key(weir_http_request *request, const char *key);

/* Set the body, which is copied, and its Content-Type (NULL: none is sent). It replaces an earlier body. */
WEIR_API weir_status weir_http_request_body(weir_http_request *request, const void *data,
                                            size_t size, const char *content_type);

/*
 * A reader: a body that is read while it is sent.
 *
 * read():   put up to `size` bytes into `buffer` and say how many; 0 is the end.
 * rewind(): go back to the beginning, for a retry, for a redirect, or when the request is sent again. NULL:
 *           the body cannot be sent twice. Once some of it was read, nothing is retried, and sending the
 *           request again is WEIR_INVALID until it is given another reader.
 * size:     the size of the whole body, or -1 if it is not known. A body of unknown size is sent in chunks,
 *           which HTTP/1.0 does not have (RFC 9112, 6.1): for an origin that answered in HTTP/1.0, the call
 *           fails with WEIR_UNSUPPORTED before any of the body is read. That answer is forgotten after a
 *           minute, with the origin's next answer in HTTP/1.1, and by weir_http_evict_all(). Giving more
 *           or fewer bytes than `size` is WEIR_INVALID.
 * If a function returns anything but WEIR_OK, the call ends with that status. Both are called on the thread
 * that sends.
 */
typedef struct weir_http_reader {
    weir_status (*read)(void *arg, char *buffer, size_t size, size_t *ret_size, weir_error *reterr);
    weir_status (*rewind)(void *arg, weir_error *reterr);
    void *arg;
    int64_t size;
} weir_http_reader;

WEIR_API weir_status weir_http_request_reader(weir_http_request *request,
                                              const weir_http_reader *reader,
                                              const char *content_type);

/*
 * Pass the body of a response below 400 to `sink` piece by piece instead of keeping it. An error's body is
 * kept in the response as always, and so is a redirect's body if redirects are followed. Once `sink` was
 * called, nothing is retried, whatever the status, because what it received cannot be taken back. If it
 * returns anything but WEIR_OK, the call ends with that status. It is called on the thread that sends.
 */
typedef weir_status weir_http_sink(void *arg, const char *data, size_t size, weir_error *reterr);
WEIR_API weir_status weir_http_request_sink(weir_http_request *request, weir_http_sink *sink,
                                            void *arg);

/* Override session options for this request: the retries, the time limit of an attempt (milliseconds), the
 * limit of the body (bytes), and whether redirects are followed. The ranges are those of the session. */
WEIR_API weir_status weir_http_request_retry(weir_http_request *request,
                                             const weir_retry_options *retry);
WEIR_API weir_status weir_http_request_try_timeout(weir_http_request *request, int timeout_ms);
WEIR_API weir_status weir_http_request_max_body(weir_http_request *request, int64_t bytes);
WEIR_API weir_status weir_http_request_follow_redirects(weir_http_request *request, bool follow);

/* Return the URL as it will be sent, including its query. Valid until the next call on the request. */
WEIR_API const char *weir_http_request_url(weir_http_request *request);

/*
 * Cancel the request's call in flight, or else its next one: it ends with WEIR_CANCELLED. A call with
 * an attempt in flight, at a rate limiter or between attempts ends at once; a call in the queue for a
 * connection ends when its turn comes, at the latest. A call that cannot begin fails with its own error
 * instead. Later calls are not affected.
 * Threads: any, while the request is not being closed.
 */
WEIR_API void weir_http_request_cancel(weir_http_request *request);

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
 * and WEIR_DEADLINE_NOW is WEIR_TIMEOUT at once.
 *
 * WEIR_OK means that there is a response, which the caller closes with weir_http_response_close(). Its
 * status may be 400 or more, if it calls for no retry (404) or raise_on_status is false. A status of 300
 * and above counts as soon as its header is complete, whatever happens to its body
 * (weir_http_response_is_truncated()); a status below 300 needs the whole body.
 *
 * If a reused connection ends before the first byte of a response, the attempt is retried at once on a new
 * connection, if it may be retried at all and the budget allows it, because servers close idle connections
 * without notice (RFC 9112, 9.3.1). The same happens if the first thing that comes over it is a 408 with
 * "Connection: close" and no body was sent: such a 408 is not an answer to this request. If a server answers
 * before it has read a whole body, and then closes, its answer is read before the loss is reported.
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
 *   WEIR_FULL          as max_waiters or WEIR_HTTP_WHEN_FULL_FAIL says
 *   WEIR_LIMIT         header, body, expansion or number of redirects
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
 * If the thread has a current span (weir/trace.h), each attempt, also to another origin, carries the
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

/* What became of the latest call of a request, successful or not. */
typedef struct weir_http_report {
    unsigned attempts;  /* attempts made, including those after redirects */
    unsigned resends;   /* attempts made at once because a reused connection was dead */
    unsigned redirects; /* redirects followed */
    unsigned opened;    /* connections opened for the call */
    int status;         /* status of the last response; 0: there was none */
    int curl_code; /* libcurl's result of the last attempt; with a response, that of its body */
    weir_retry_cause cause; /* why there was no further attempt */
    weir_time elapsed;      /* duration of the whole call, in nanoseconds */
    weir_time waited;       /* part of it spent in queues and for rate limits */
    weir_time paused;       /* part of it spent between attempts */
    /* How long the origin asked clients to wait, or its breaker or rate limiter will still refuse calls; 0:
     * neither. */
    weir_time retry_after;
    bool was_sent;     /* part of the request may have reached a server */
    unsigned unlisted; /* attempts that weir_http_request_attempt_at() leaves out */
} weir_http_report;

/* Return the report of the latest call. Valid until the request is sent again or closed. */
WEIR_API const weir_http_report *weir_http_request_report(const weir_http_request *request);

/* Why an attempt was made: name, word, meaning. */
#define WEIR_HTTP_REASON_MAP(X)                                                                    \
    X(FIRST, "first", "it is the first attempt of its call")                                       \
    X(RETRY, "retry", "the previous attempt is retried")                                           \
    X(RESEND, "resend",                                                                            \
      "the previous attempt is retried at once: its connection had died while idle")               \
    X(REDIRECT, "redirect", "the response to the previous attempt redirected here")

typedef enum weir_http_reason {
#define WEIR_HTTP_REASON_ENUM(name, word, text) WEIR_HTTP_REASON_##name,
    WEIR_HTTP_REASON_MAP(WEIR_HTTP_REASON_ENUM)
#undef WEIR_HTTP_REASON_ENUM
        WEIR_HTTP_REASON_COUNT
} weir_http_reason;

/* Return the word for a reason, or "unknown" for any other value. Static. */
WEIR_API const char *weir_http_reason_name(weir_http_reason reason);

/* One attempt of a call. All times in nanoseconds. */
typedef struct weir_http_attempt {
    unsigned
        number; /* counted from 1 within the call, including attempts that the list leaves out */
    weir_http_reason reason;
    const char *method; /* as sent: GET after a 303 */
    const char *url;    /* as sent, but without its query, which may contain secrets */
    bool is_reused;     /* it used a connection that was used before */
    int status;         /* status of its response, even if the body was lost; 0: there was none */
    weir_attempt_kind kind; /* how it ended */
    weir_status failure;    /* how it failed; WEIR_OK: there was a response, whatever its status */
    const char *text;       /* what went wrong, as in an error's text; "" if `failure` is WEIR_OK */
    int curl_code;          /* libcurl's result; with a response, that of its body */
    weir_retry_cause cause; /* why another attempt followed, or why none did */
    weir_time waited;       /* time before it spent in queues and for rate limits */
    weir_time paused;       /* time between the end of the previous attempt and this one */
    weir_time duration;     /* from the moment it could begin to its end, including connecting */
} weir_http_attempt;

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

/* ---- responses --------------------------------------------------------------------------- */

/* Return the status: 200 and so on. Threads, here and below: any, until the response is closed. */
WEIR_API int weir_http_response_status(const weir_http_response *response);

/* Return the value of the first header field with this name, ignoring case, or NULL. This value, and all
 * those below, are valid until weir_http_response_close(). */
WEIR_API const char *weir_http_response_header(const weir_http_response *response,
                                               const char *name);

/* Return the header fields in the order in which they came; false beyond the last. Trailers are left out. */
WEIR_API bool weir_http_response_header_at(const weir_http_response *response, size_t index,
                                           const char **ret_name, const char **ret_value);

/* Return the decoded body and its size; a zero follows it. Empty, not NULL, if there is none. */
WEIR_API const char *weir_http_response_body(const weir_http_response *response, size_t *ret_size);

/* Whether the body of a response of 300 and above is incomplete: it exceeded its limit, broke off, did not
 * end in time, or could not be decoded. The status, and its Retry-After or Location, count all the same.
 * Below 300 there is no response without its whole body. */
WEIR_API bool weir_http_response_is_truncated(const weir_http_response *response);

/* Return the URL that the response came from, after redirects, including its query. */
WEIR_API const char *weir_http_response_url(const weir_http_response *response);

/* Free it. NULL is fine. */
WEIR_API void weir_http_response_close(weir_http_response *response);

/* ---- URLs -------------------------------------------------------------------------------- */

/* Whether two absolute URLs have the same scheme, host and port, with default ports filled in. False if
 * either is not a URL that a request accepts. Ask before you send a secret to a link from a response. */
WEIR_API bool weir_http_same_origin(const char *url, const char *other);

/* ---- events and statistics --------------------------------------------------------------- */

#define WEIR_HTTP_EVENT_MAP(X)                                                                     \
    X(ATTEMPT, "attempt", "an attempt ended")                                                      \
    X(RETRY, "retry", "an attempt will be retried, after `delay`")                                 \
    X(REDIRECT, "redirect", "a redirect will be followed, to `url`")                               \
    X(BREAKER, "breaker", "the origin's breaker opened, closed, or began to let probes through")   \
    X(COOL_DOWN, "cool_down", "the origin asked for a pause of `delay`")                           \
    X(REQUEST, "request", "a call ended")

typedef enum weir_http_event_kind {
#define WEIR_HTTP_EVENT_ENUM(name, word, text) WEIR_HTTP_EVENT_##name,
    WEIR_HTTP_EVENT_MAP(WEIR_HTTP_EVENT_ENUM)
#undef WEIR_HTTP_EVENT_ENUM
        WEIR_HTTP_EVENT_COUNT
} weir_http_event_kind;

/* Return the word for an event, or "unknown" for any other value. Static. */
WEIR_API const char *weir_http_event_name(weir_http_event_kind kind);

/* One event. It is valid only during the call, as is everything it points to. */
typedef struct weir_http_event {
    weir_http_event_kind kind;
    weir_http *session;
    const char *origin; /* "https://api.example.com:443" */
    const char *method;
    const char *url;  /* without its query, which may contain secrets */
    unsigned attempt; /* counted from 1 within the call */
    int status;       /* status of the response; 0: there was none */
    int curl_code;
    bool is_reused;             /* ATTEMPT: it used a connection that was used before */
    weir_time duration;         /* ATTEMPT, REQUEST */
    weir_time delay;            /* RETRY, COOL_DOWN */
    weir_retry_cause cause;     /* RETRY, REQUEST */
    weir_breaker_state breaker; /* BREAKER: the new state */
    const weir_error *error;    /* the error of what failed; NULL if nothing did */
    /* ATTEMPT: the span that its traceparent named (weir/trace.h); NULL: weir sent none. */
    const struct weir_trace_context *trace;
} weir_http_event;

/* A listener; it is called on the thread that causes the event, with no lock held. It must not send over
 * the same session. */
typedef void weir_http_listener(const weir_http_event *event, void *arg);

/* Add a listener for the events whose bit (WEIR_EVENT_BIT) is in `mask`. A session takes up to 8, for its
 * whole life. Errors: WEIR_FULL. Threads: any; the listener may miss events of that moment. */
WEIR_API weir_status weir_http_listen(weir_http *session, unsigned mask,
                                      weir_http_listener *listener, void *arg, weir_error *reterr);

/* A snapshot of an origin. Gauges are exact while no call is in progress; counters only grow, for as long as
 * the session remembers the origin. It remembers at least the 1024 most recently used ones. */
typedef struct weir_http_origin {
    char name[280]; /* "https://api.example.com:443", cut if it is longer */
    bool has_pool;  /* its connections are kept; otherwise `pool` is all zero */
    weir_pool_stats pool;
    weir_breaker_stats breaker;
    int64_t budget_balance; /* retries that the budget could pay for now; -1: there is no budget */
    weir_time cool_down_until; /* an instant of weir_now(); 0: no cool-down */
    int in_flight;             /* calls in flight */
    /* counters */
    uint64_t requests;     /* calls that began here or were redirected here */
    uint64_t attempts;     /* attempts made */
    uint64_t opened;       /* connections opened */
    uint64_t reused;       /* attempts on a connection that was used before */
    uint64_t resends;      /* attempts retried at once because a reused connection was dead */
    uint64_t redirects;    /* redirects that were followed */
    uint64_t responses[6]; /* responses by the first digit of the status; [0]: all others */
    uint64_t failed_connect;
    uint64_t failed_read;
    uint64_t failed_other;
    /* Attempts that were not made: refused by breaker, rate limiter or pool, with a body of unknown size for
     * an HTTP/1.0 server, or because the session was closed. */
    uint64_t refused;
    uint64_t cancelled;
    uint64_t cool_downs; /* cool-downs that the origin asked for and that began or grew longer */
    uint64_t budget_denied;
    uint64_t invalid_retry_afters;
    uint64_t causes[WEIR_CAUSE_REFUSED + 1]; /* decisions of weir_retry_next(), by cause */
} weir_http_origin;

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

/* A listener that records each attempt as a span below the thread's current one (weir/trace.h), and the events that
 * it is for. */
#define WEIR_TRACE_HTTP_EVENTS WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT)
WEIR_API void weir_trace_on_http_event(const weir_http_event *event, void *arg);

#ifdef __cplusplus
}
#endif

#endif
