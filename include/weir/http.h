/* SPDX-License-Identifier: MIT */
/* HTTP sessions: requests to other people's servers over pooled connections, every wait bounded. */
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
 * Words: a session keeps a pool of connections for each origin (scheme, host and port) it talks to,
 * and beside it that origin's circuit breaker, retry budget and rate limiter. A request is made once and may
 * be sent several times; each call makes one or more attempts, each over one connection that
 * nobody else uses meanwhile. The names and defaults of the pools are those of requests'
 * HTTPAdapter, those of repeats urllib3's (weir/retry.h).
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
    WEIR_HTTP_WHEN_FULL_OVERFLOW, /* another is opened and closed afterwards, up to max_per_origin; then wait */
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

    /* Origins whose connections are kept; of more, the one used least recently is let go, but never
     * one with a request under way. Default 10, 1 to 1024. */
    int pool_connections;

    /* Connections kept per origin. Default 20, 1 to 1024. */
    int pool_maxsize;

    /* What happens when they are all busy. Default WEIR_HTTP_WHEN_FULL_OVERFLOW, as HTTPAdapter's
     * pool_block=False. */
    weir_http_when_full pool_block;

    /* Connections per origin with WEIR_HTTP_WHEN_FULL_OVERFLOW, those kept included. Default 100, 1 to 1024;
     * below pool_maxsize it counts as that. */
    int max_per_origin;

    /* Requests on the wire at once, over all origins. Default 200, 1 to 1024. */
    int max_total;

    /* How long a request may wait for a connection, in the queues of the origin's pool and of
     * max_total together. Milliseconds; default 30000, 0 to 86400000. 0: never wait. */
    int acquire_timeout_ms;

    /* How many may stand in each of these lines; the next is refused at once with WEIR_FULL. Default
     * 1024, 0 to 1000000. */
    int max_waiters;

    /* A connection that rested for longer is closed: when it would be used, or by weir_http_maintain().
     * A server's `Keep-Alive: timeout=n` makes it n - 1 seconds where that is shorter; then it is no
     * longer used, and closed when it would be. Milliseconds; default 30000, 0 to 86400000. 0: no
     * connection is used twice. */
    int idle_timeout_ms;

    /* Age at which a connection is replaced before its next use, shortened for each by a random part
     * of up to lifetime_jitter_percent. Seconds; default 3600, -1 to 31536000. -1: never. */
    int max_lifetime_s;
    int lifetime_jitter_percent; /* default 10, 0 to 100 */

    /* How long opening a connection may take: name, TCP, TLS. Of several addresses the next is tried
     * beside the others after 250 ms of silence, or when one has refused (RFC 8305). Milliseconds;
     * default 10000, 1 to 86400000. */
    int connect_timeout_ms;

    /* How long one attempt may take, opening included: from the moment it has a connection to the
     * last byte of the response. Milliseconds; default 30000, 1 to 86400000. */
    int try_timeout_ms;

    /* How long WEIR_DEADLINE_DEFAULT lets a call take in all: waits, attempts, pauses, redirects.
     * Milliseconds; default 120000, 1 to 86400000. */
    int total_timeout_ms;

    /* Repeats; `redirect` is the number of redirects followed, which do not count in `total`. */
    weir_retry_options retry;

    /* Each origin's budget of repeats, and whether there is one. Default true. */
    weir_budget_options budget;
    bool use_budget;

    /* Each origin's breaker, and whether there is one. Default true. Its permit_lease_ms is made twice
     * try_timeout_ms where it is less: a probe must be back before its permit goes to another. */
    weir_breaker_options breaker;
    bool use_breaker;

    /* Each origin's rate limiter, and how long a 429 without a Retry-After makes it cool down. Milliseconds; default
     * 0: not at all; 0 to 86400000. A 429 or 503 with one always does, for as long as it says. */
    weir_rate_limit_options rate_limit;
    int unstated_pause_ms;

    /* The header of a response. Bytes, all fields together; default 65536, 256 to 262144. */
    int max_header_bytes;

    /* The body of a response, decoded. Bytes; default 16777216, 0 to 2^53. More is WEIR_LIMIT below 300; of
     * a redirect that is not followed, and the like, what is beyond is left out. */
    int64_t max_body_bytes;

    /* How much is kept of the body of a response of 400 and above, and read of that of a redirect.
     * The rest is not read: the connection is closed. Bytes; default 65536, 0 to 16777216. */
    int max_error_bytes;

    /*
     * Ask for compressed bodies (gzip, deflate, and br and zstd unless weir was built without them), and
     * decode them, whatever was asked for. A body that ends before its stream does is lost
     * (WEIR_DISCONNECTED, or WEIR_AMBIGUOUS), one that is no such stream is WEIR_PROTOCOL, and of one with
     * a status of 300 and above there is what could be had: weir_http_response_is_truncated(). A
     * request with an Accept-Encoding of its own asks for that, one with a Range for no coding; a
     * 206 is handed out as it came, since a part cannot be decoded. Default true.
     */
    bool decompress;

    /* How many bytes one compressed byte may become, in each of its codings, looked at beyond the first
     * mebibyte. More is WEIR_LIMIT. Default 100, 1 to 10000. */
    int max_expansion;

    /* Follow redirects. Default true. */
    bool follow_redirects;

    /* Check the certificate and the name in it. Default true. False only against a server of one's
     * own in a test. */
    bool verify_tls;

    /* The certificates to trust, PEM file and directory; NULL (default) means the system's. The file
     * is read once, at open; a directory is looked into when a certificate is needed. */
    const char *ca_file;
    const char *ca_path;

    /* The client's own certificate (and what leads to its root) and key, PEM files, the key without a
     * passphrase; NULL (default): none. key_file NULL: the key stands in cert_file. */
    const char *cert_file;
    const char *key_file;

    /* A proxy's URL (http://, https://, socks5://, socks5h://), which may carry a user and password, and the
     * hosts reached without it, separated by commas or blanks. NULL (default): none. Of these:
     *   example.com, .example.com   this host and all below it
     *   *.example.com               all below it
     *   192.0.2.1, ::1, [::1]       an address, however the URL spells it
     *   10.0.0.0/8, fe80::/10       all addresses that begin with so many of these bits
     *   *                           all
     * Each but the ranges may end with a port (example.com:8080, [::1]:443), and means that one only then.
     * Names are compared as names, and not looked up. Those in other scripts than ASCII are compared, and a
     * proxy's is kept, in their xn-- form. */
    const char *proxy;
    const char *no_proxy;

    /* Take both from the environment instead (http_proxy, https_proxy, no_proxy). The list is read, and
     * checked, by weir_http_open(); the proxy's URL by libcurl, so a name in another script than ASCII must
     * stand there in its xn-- form. Default false. */
    bool proxy_from_environment;

    /* The User-Agent of requests that set none. Default "weir/<version>"; "": none is sent. */
    const char *user_agent;

    /* NULL: the machine's clock. Must outlive the session. For tests: it decides about deadlines
     * and pauses, while libcurl counts the time of an attempt by the machine's. */
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
 * Stop: new calls fail with WEIR_CLOSED, and so do, at once, those that wait in the queue, for a rate limit
 * or for their next attempt; resting connections are closed; attempts on the wire may finish until
 * the deadline and are cut then. Returns when nothing is under way any more. May be called again.
 * WEIR_DEADLINE_DEFAULT means try_timeout_ms from now.
 *
 * Errors:  WEIR_TIMEOUT: attempts had to be cut; the text says how many.
 * Threads: any; not from a listener, reader or sink.
 */
WEIR_API weir_status weir_http_dispose(weir_http *session, weir_time deadline, weir_error *reterr);

/* Dispose at once and free the session. No other call on it may be in progress or follow; requests
 * and responses live on. NULL is fine. */
WEIR_API void weir_http_close(weir_http *session);

/* One step of housekeeping: close the connections that rested for longer than idle_timeout_ms. Sending
 * does it too, for the origins it uses; call this now and then where connections to an origin that
 * is not used any more should not stay open. Threads: any. */
WEIR_API void weir_http_maintain(weir_http *session);

/* Replace every connection opened before this call: those at rest are closed now, the others when
 * their exchange is over. Their names are looked up again, and what servers answered in HTTP/1.0 is
 * forgotten; certificates are read by weir_http_open() only. Threads: any. */
WEIR_API void weir_http_evict_all(weir_http *session);

/* The name and the options given at open, in the session's own copy. Valid until weir_http_close(). */
WEIR_API const char *weir_http_name(const weir_http *session);
WEIR_API const weir_http_options *weir_http_get_options(const weir_http *session);

/*
 * Set the rate limiter of one origin otherwise than the session's: the origin of `url`, now and from now on.
 * It begins open and full.
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
 * The functions below add to it. Each returns what went wrong, and the request also keeps the first
 * failure: weir_http_send() then returns it without sending anything, so a chain of calls needs no
 * checks in between. Texts are copied. What has a length is UTF-8 or any other bytes; what has none
 * ends at its zero.
 *
 * Refused in a method, a header's name or value and a URL: control characters, CR and LF above all.
 * Refused in a URL: another scheme than http and https, a user or password (see
 * weir_http_request_basic_auth()), no host. A fragment is dropped. A host in another script than ASCII is
 * UTF-8, and becomes lower case with its xn-- form (UTS #46, non-transitional, as in browsers): in all that
 * is sent, compared and told from then on. What has no such form is refused.
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

/* The first failure of a call that added to the request, or NULL. Valid until it is closed. */
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

/* Add a header field; several of one name are sent in order. Host, Content-Length,
 * Transfer-Encoding, Connection, Expect, Upgrade, TE and Trailer are weir's own and refused. */
WEIR_API weir_status weir_http_request_header(weir_http_request *request, const char *name,
                                              const char *value);

/*
 * The same for a header that holds a secret: it is not sent to another origin than the request's own
 * when a redirect leads there, nor after that anywhere on the same way. Authorization, Cookie,
 * Proxy-Authorization, X-API-Key, xc-token and xc-auth are secret whichever function adds them.
 */
WEIR_API weir_status weir_http_request_secret(weir_http_request *request, const char *name,
                                              const char *value);

/* Authorization, `Bearer <token>` or Basic; secret. The user may not contain a colon. */
WEIR_API weir_status weir_http_request_bearer(weir_http_request *request, const char *token);
WEIR_API weir_status weir_http_request_basic_auth(weir_http_request *request, const char *user,
                                                  const char *password);

/*
 * Add an Idempotency-Key, so that a POST or PATCH may be repeated: the server is to recognise a
 * second one by it. NULL makes a random one (128 bits), which stays the same for all attempts of
 * this request. weir_http_request_header() with that name does the same.
 */
WEIR_API weir_status weir_http_request_idempotency_key(weir_http_request *request, const char *key);

/* The body, copied, and its Content-Type (NULL: none is sent). Replaces an earlier one. */
WEIR_API weir_status weir_http_request_body(weir_http_request *request, const void *data,
                                            size_t size, const char *content_type);

/*
 * A body that is read while it is sent.
 *
 * read():   put up to `size` bytes into `buffer` and say how many; 0 is the end.
 * rewind(): go back to the beginning: for a repeat, a redirect, or when the request is sent again. NULL:
 *           it cannot be sent twice, so nothing is repeated once some of it was read, and sending the
 *           request again is WEIR_INVALID until it is given another reader.
 * size:     of the whole, or -1 when not known; it is then sent in chunks, which HTTP/1.0 does not know
 *           (RFC 9112, 6.1): an origin that answered in HTTP/1.0 gets none, and the call is
 *           WEIR_UNSUPPORTED before anything of the body is read. That is forgotten after a minute,
 *           with its next answer in HTTP/1.1, and by weir_http_evict_all(). Giving more than `size`, or
 *           ending before, is WEIR_INVALID.
 * Anything but WEIR_OK ends the call with that status. Called on the calling thread.
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
 * Give the body of a response below 400 to `sink` piece by piece instead of keeping it. That of an
 * error is kept in the response as always, and so is that of a redirect if redirects are followed.
 * Once `sink` was called nothing is repeated, whatever the status: what it has cannot be taken back.
 * Anything but WEIR_OK from it ends the call with that status. Called on the calling thread.
 */
typedef weir_status weir_http_sink(void *arg, const char *data, size_t size, weir_error *reterr);
WEIR_API weir_status weir_http_request_sink(weir_http_request *request, weir_http_sink *sink,
                                            void *arg);

/* For this request, other repeats, another time limit of an attempt (milliseconds), another limit of
 * the body (bytes), and whether redirects are followed. Ranges as in the session's options. */
WEIR_API weir_status weir_http_request_retry(weir_http_request *request,
                                             const weir_retry_options *retry);
WEIR_API weir_status weir_http_request_try_timeout(weir_http_request *request, int timeout_ms);
WEIR_API weir_status weir_http_request_max_body(weir_http_request *request, int64_t bytes);
WEIR_API weir_status weir_http_request_follow_redirects(weir_http_request *request, bool follow);

/* The URL as it will be sent, query included. Valid until the next call on the request. */
WEIR_API const char *weir_http_request_url(weir_http_request *request);

/*
 * Let the call of this request, now under way or the next, end with WEIR_CANCELLED: on the wire, at
 * a rate limiter and between attempts at once, in the queue for a connection at the latest when its turn comes. One
 * that cannot begin ends with why. The next call after that one is a new one.
 * Threads: any, while the request is not being closed.
 */
WEIR_API void weir_http_request_cancel(weir_http_request *request);

/* ---- calls ------------------------------------------------------------------------------- */

/*
 * Send a request and wait for the response.
 *
 * Each attempt must be let through by the origin's rate limiter and breaker, takes a connection from the
 * origin's pool, sends, receives, and gives the connection back, or closes it when it is not clean.
 * What failed is repeated as weir_retry_next() decides, and never sent twice by anyone else. Redirects
 * are followed: 303 with GET, 301 and 302 after a POST too, 307 and 308 with the method and body. With a
 * body that stays behind, so do the fields that describe it (RFC 9110, 15.4): Content-*, Digest,
 * Repr-Digest, Last-Modified.
 * `deadline` (weir/clock.h) holds for all of it; WEIR_DEADLINE_DEFAULT means total_timeout_ms,
 * WEIR_DEADLINE_NOW is WEIR_TIMEOUT at once.
 *
 * WEIR_OK means a response, which the caller ends with weir_http_response_close(); its status is 400
 * or more where no repeat was called for (404), or where raise_on_status is false. A status of 300
 * and above counts as soon as its header is complete, whatever becomes of its body
 * (weir_http_response_is_truncated()); one below needs all of it.
 *
 * An attempt over a connection used before that ends before the first byte of a response is repeated
 * at once on a new one, if it may be repeated at all and the budget allows it: the server closes idle
 * connections without notice (RFC 9112, 9.3.1). The same is done where the first thing that comes over it
 * is a 408 with "Connection: close" and no body was sent: it is for somebody who never asked. What
 * a server answered before it had read all of a body, and then closed, is read before the loss is told.
 *
 * Errors, with what was tried, how often and for how long in the text; *ret_response is untouched:
 *   WEIR_INVALID       the request is malformed, or its reader cannot begin again; nothing was sent
 *   WEIR_CONNECT       no connection: refused, unreachable, unknown name, certificate, timeout
 *   WEIR_TIMEOUT       the deadline or the time of an attempt passed; or no connection was free in time
 *   WEIR_DISCONNECTED  the connection was lost under way, and what was asked for is safe to repeat
 *   WEIR_AMBIGUOUS     the same, or a timeout, for a request that may have been carried out and is
 *                      not safe to repeat (POST, PATCH); also any failure to reach what such a
 *                      request was redirected to by 301, 302 or 303, since that was carried out
 *   WEIR_RESPONSE      a status that should have been repeated, and no repeat is left; `native` is it
 *   WEIR_REFUSED       the breaker is open, or its cool-down lasts until after the deadline
 *   WEIR_FULL          as max_waiters or WEIR_HTTP_WHEN_FULL_FAIL says
 *   WEIR_LIMIT         header, body, expansion or number of redirects
 *   WEIR_PROTOCOL      the other side does not speak HTTP, gives a length that is none, sends a body that
 *                      cannot be decoded, or redirects to where nobody follows
 *   WEIR_SYSTEM        this machine has no descriptor, port or memory for a connection: not repeated,
 *                      not sent, and no matter of the origin's breaker and budget; `native` is errno
 *   WEIR_UNSUPPORTED   a body of unknown length, and an origin that answered in HTTP/1.0: not sent there
 *   WEIR_CANCELLED, WEIR_CLOSED, WEIR_NO_MEMORY, and whatever a reader or sink answered
 * With WEIR_REFUSED, WEIR_FULL and WEIR_UNSUPPORTED the last attempt was not made; an earlier one may have been: the
 * report's was_sent tells. `native` is libcurl's CURLcode where one is behind it, else 0 except as
 * above.
 *
 * Where the thread has a current span (weir/trace.h), each attempt carries a traceparent with a span id
 * of its own, and the tracestate; to other origins too. A request with a traceparent field keeps that.
 *
 * Threads: any, at the same time, each with a request of its own.
 */
#define weir_http_send(session, request, deadline, ret_response, reterr)                           \
    weir_http_send_at(session, request, deadline, ret_response, reterr, __FILE__, __LINE__)

/* The function behind it: `file` (static storage) and `line` say where, for the lists of holders. */
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
    unsigned attempts;      /* made, those after redirects included */
    unsigned resends;       /* of these, at once because an old connection was dead */
    unsigned redirects;     /* followed */
    unsigned opened;        /* connections opened for it */
    int status;             /* of the last response seen, 0: none */
    int curl_code;          /* libcurl's result of the last attempt; with a response, its body's */
    weir_retry_cause cause; /* why there was no further attempt */
    weir_time elapsed;      /* the whole, in nanoseconds */
    weir_time waited;       /* of it in the queue and for rate limits */
    weir_time paused;       /* of it between attempts */
    /* How long the origin asked to stay away, or its breaker or rate limiter keeps everybody away; 0: not. */
    weir_time retry_after;
    bool was_sent;     /* some of the request may have reached a server */
    unsigned unlisted; /* of the attempts, those that weir_http_request_attempt_at() leaves out */
} weir_http_report;

/* Valid until the request is sent again or closed. */
WEIR_API const weir_http_report *weir_http_request_report(const weir_http_request *request);

/* Why an attempt was made: name, word, meaning. */
#define WEIR_HTTP_REASON_MAP(X)                                                                    \
    X(FIRST, "first", "it is the first of its call")                                               \
    X(RETRY, "retry", "the one before is repeated")                                                \
    X(RESEND, "resend", "the one before is repeated at once: its connection had died at rest")     \
    X(REDIRECT, "redirect", "the response to the one before led here")

typedef enum weir_http_reason {
#define WEIR_HTTP_REASON_ENUM(name, word, text) WEIR_HTTP_REASON_##name,
    WEIR_HTTP_REASON_MAP(WEIR_HTTP_REASON_ENUM)
#undef WEIR_HTTP_REASON_ENUM
        WEIR_HTTP_REASON_COUNT
} weir_http_reason;

/* The word of a reason, static. "unknown" for any other value. */
WEIR_API const char *weir_http_reason_name(weir_http_reason reason);

/* One attempt of a call. All times in nanoseconds. */
typedef struct weir_http_attempt {
    unsigned number; /* counts from 1 within the call, attempts that are left out included */
    weir_http_reason reason;
    const char *method;     /* as sent: after a 303, GET */
    const char *url;        /* as sent, but without its query, which may hold secrets */
    bool is_reused;         /* over a connection used before */
    int status;             /* of its response, also of one whose body was lost; 0: none came */
    weir_attempt_kind kind; /* how it ended */
    weir_status failure;    /* what it failed with; WEIR_OK: a response came, whatever its status */
    const char *text;       /* what went wrong, as errors say it; "" when `failure` is WEIR_OK */
    int curl_code;          /* libcurl's result; with a response, its body's */
    weir_retry_cause cause; /* why another attempt followed, or why none did */
    weir_time waited;       /* before it, in the queue and for rate limits */
    weir_time paused;       /* before it, since the end of the one before */
    weir_time duration;     /* from when it could begin, connecting included, to its end */
} weir_http_attempt;

/*
 * The attempts of the latest call of a request, successful or not, in their order: `index` counts from
 * 0; NULL beyond the last.
 *
 * Listed are all that were made, those after redirects included, up to 32 of them: of more, the first 31 and
 * the last. Where there is no memory for one it is left out, and the call goes on. The report's
 * `unlisted` says how many are left out, and `number` where. What breaker, rate limiter or pool refused was not
 * made, and is not among them.
 *
 * An attempt and its texts belong to the request, and are valid until it is sent again or closed. The
 * text of an error is shorter than WEIR_ERROR_TEXT.
 * Threads: not while the request is being sent.
 */
WEIR_API const weir_http_attempt *weir_http_request_attempt_at(const weir_http_request *request,
                                                               size_t index);

/* ---- responses --------------------------------------------------------------------------- */

/* The status: 200 and so on. Threads, here and below: any, until it is closed. */
WEIR_API int weir_http_response_status(const weir_http_response *response);

/* The value of the first header field of this name, in any case; NULL: there is none. Valid, as all
 * that follows, until weir_http_response_close(). */
WEIR_API const char *weir_http_response_header(const weir_http_response *response,
                                               const char *name);

/* The fields in the order they came; false beyond the last. Trailers are left out. */
WEIR_API bool weir_http_response_header_at(const weir_http_response *response, size_t index,
                                           const char **ret_name, const char **ret_value);

/* The body, decoded, and its size; a zero follows it. Empty, not NULL, when there is none. */
WEIR_API const char *weir_http_response_body(const weir_http_response *response, size_t *ret_size);

/* Whether the body is not all that belongs to a status of 300 and above: longer than its limit,
 * broken off, not ended in time, or no stream of its coding. Such a status counts without it, as does
 * what goes with it: Retry-After, Location. Below 300 there is no response without its whole body. */
WEIR_API bool weir_http_response_is_truncated(const weir_http_response *response);

/* Where it came from, after redirects; query included. */
WEIR_API const char *weir_http_response_url(const weir_http_response *response);

/* NULL is fine. */
WEIR_API void weir_http_response_close(weir_http_response *response);

/* ---- URLs -------------------------------------------------------------------------------- */

/* Whether two absolute URLs have the same scheme, host and port, defaults filled in. False when either
 * is no URL that a request could have. Before a link from a response is followed with a secret. */
WEIR_API bool weir_http_same_origin(const char *url, const char *other);

/* ---- what a session tells of itself ------------------------------------------------------ */

#define WEIR_HTTP_EVENT_MAP(X)                                                                     \
    X(ATTEMPT, "attempt", "an attempt ended")                                                      \
    X(RETRY, "retry", "an attempt will be repeated, after `delay`")                                \
    X(REDIRECT, "redirect", "a redirect is followed; `url` is where to")                           \
    X(BREAKER, "breaker", "the breaker of the origin opened, closed, or let probes through")       \
    X(COOL_DOWN, "cool_down", "the origin asked for a pause of `delay`")                           \
    X(REQUEST, "request", "a call ended")

typedef enum weir_http_event_kind {
#define WEIR_HTTP_EVENT_ENUM(name, word, text) WEIR_HTTP_EVENT_##name,
    WEIR_HTTP_EVENT_MAP(WEIR_HTTP_EVENT_ENUM)
#undef WEIR_HTTP_EVENT_ENUM
        WEIR_HTTP_EVENT_COUNT
} weir_http_event_kind;

/* The word of an event, static. "unknown" for any other value. */
WEIR_API const char *weir_http_event_name(weir_http_event_kind kind);

/* One event. Valid during the call only; so is everything it points to. */
typedef struct weir_http_event {
    weir_http_event_kind kind;
    weir_http *session;
    const char *origin; /* "https://api.example.com:443" */
    const char *method;
    const char *url;  /* without its query, which may hold secrets */
    unsigned attempt; /* counts from 1 within the call */
    int status;       /* of the response; 0: none */
    int curl_code;
    bool is_reused;             /* ATTEMPT: over a connection used before */
    weir_time duration;         /* ATTEMPT, REQUEST */
    weir_time delay;            /* RETRY, COOL_DOWN */
    weir_retry_cause cause;     /* RETRY, REQUEST */
    weir_breaker_state breaker; /* BREAKER: the new state */
    const weir_error *error;    /* of what failed; NULL otherwise */
    /* ATTEMPT: the span that its traceparent named (weir/trace.h); NULL: weir sent none. */
    const struct weir_trace_context *trace;
} weir_http_event;

/* Called on the thread that causes the event, with no lock held. It must not send over the same
 * session. */
typedef void weir_http_listener(const weir_http_event *event, void *arg);

/* Hear of events whose bit (WEIR_EVENT_BIT) is in `mask`, for the session's whole life. Up to 8.
 * Errors: WEIR_FULL. Threads: any; events of that moment may be missed. */
WEIR_API weir_status weir_http_listen(weir_http *session, unsigned mask,
                                      weir_http_listener *listener, void *arg, weir_error *reterr);

/* An origin at one moment. Gauges are exact when nothing moves; counters only grow, for as long as
 * the session remembers the origin: at least the 1024 used last. */
typedef struct weir_http_origin {
    char name[280]; /* "https://api.example.com:443", cut if need be */
    bool has_pool;  /* its connections are kept; `pool` is all zero otherwise */
    weir_pool_stats pool;
    weir_breaker_stats breaker;
    int64_t budget_balance;    /* repeats that could be paid now; -1: there is no budget */
    weir_time cool_down_until; /* weir_now()'s; 0: none */
    int in_flight;             /* calls */
    /* counters */
    uint64_t requests;     /* calls begun here, or led here by a redirect */
    uint64_t attempts;     /* made */
    uint64_t opened;       /* connections opened */
    uint64_t reused;       /* attempts over a connection used before */
    uint64_t resends;      /* repeats at once because an old connection was dead */
    uint64_t redirects;    /* responses that led elsewhere and were followed */
    uint64_t responses[6]; /* by the first digit of the status; [0]: others */
    uint64_t failed_connect;
    uint64_t failed_read;
    uint64_t failed_other;
    uint64_t
        refused; /* not sent: by breaker, rate limiter or pool, for want of chunks in HTTP/1.0, or the
                       * session closed meanwhile */
    uint64_t cancelled;
    uint64_t cool_downs; /* pauses it asked for that were longer than one it had */
    uint64_t budget_denied;
    uint64_t invalid_retry_afters;
    uint64_t causes[WEIR_CAUSE_REFUSED + 1]; /* decisions of weir_retry_next(), by cause */
} weir_http_origin;

/* List up to `capacity` origins, used last first. Returns how many there are in all; 0 also
 * when memory ran out. Threads: any. */
WEIR_API size_t weir_http_get_origins(weir_http *session, weir_http_origin *origins,
                                      size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
