/* SPDX-License-Identifier: MIT */
/* The HTTP listener of `weir serve`: requests in, responses out, and no type of the HTTP library in sight. */
#ifndef WEIR_SERVER_LISTENER_H
#define WEIR_SERVER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/base.h>
#include <weir/clock.h>

/*
 * One thread accepts, one reads and writes (the event thread). Handlers run on a bounded set of
 * workers behind a bounded queue; those marked is_inline run on the event thread itself, so that
 * they answer even while every worker is blocked. Those marked is_health have a reserve of connections
 * with an event thread of its own, so that they answer also when max_connections are open.
 *
 * A request reaches a handler only after it passed the rules of head_validation.h and its whole
 * body arrived within the deadline and the limit. Everything refused before that is answered by
 * the listener itself, with {"detail": "…"} wherever an answer is possible at all.
 */

/* ---- Requests: what a handler reads ------------------------------------------------------- */

/*
 * One request. It belongs to the listener; it and every string read from it are valid until the
 * handler returns. Only the thread running the handler may touch it.
 */
struct http_request;

/* The method as sent ("GET"). A HEAD request served by a GET route still reads "HEAD". */
const char *http_request_method(const struct http_request *request);

/* The path as sent, undecoded, without the query ("/api/v1/tables/Court%20Decisions"). */
const char *http_request_path(const struct http_request *request);

/*
 * The segment that matched {name} in the route's pattern, percent-decoded; NULL when the pattern
 * has no such name. Always well-formed UTF-8 without NUL; never empty. A decoded "/" (%2F) stays
 * inside its segment.
 */
const char *http_request_path_param(const struct http_request *request, const char *name);

/*
 * The first query parameter of that name, decoded (%XX, and "+" as a space); NULL when absent,
 * "" for "?name" and "?name=". Always well-formed UTF-8 without NUL. The second tells whether
 * it is there at all.
 */
const char *http_request_query(const struct http_request *request, const char *name);
bool http_request_has_query(const struct http_request *request, const char *name);

/* The parameters in the order they came, those of one name too; false beyond the last. */
bool http_request_query_at(const struct http_request *request, size_t index, const char **ret_name,
                           const char **ret_value);

/* The first header of that name, in any case; NULL when absent. Blanks and tabs around the value are no
 * part of it. The second gives the others too, in the order they came; NULL beyond the last. */
const char *http_request_header(const struct http_request *request, const char *name);
const char *http_request_header_at(const struct http_request *request, const char *name,
                                   size_t index);

/* The whole body and its length in bytes. Never NULL, and a zero byte follows the last one; the
 * body itself may hold any byte. */
const char *http_request_body(const struct http_request *request, size_t *ret_size);

/* The peer's address as text ("127.0.0.1", "::1"), at most 45 characters. */
const char *http_request_client_ip(const struct http_request *request);

/* An id of this request, unique over all processes in practice; also sent as X-Request-Id. */
const char *http_request_id(const struct http_request *request);

/* When the request's last byte had arrived, and the deadline a handler is asked to keep
 * (options.handler_deadline_ms after that; WEIR_DEADLINE_NEVER when 0). */
weir_time http_request_arrived(const struct http_request *request);
weir_time http_request_deadline(const struct http_request *request);

/* ---- Responses: what a handler fills ------------------------------------------------------ */

#define HTTP_RESPONSE_HEADERS 16

struct feed;
struct feed_reader;

struct http_response_header {
    char *name;
    char *value;
};

/*
 * One response. The listener hands it over cleared: status 200, no body, Content-Type
 * "application/json; charset=utf-8". Use the helpers below; the fields are open to be read.
 * `body` is malloc'ed memory that the listener frees after sending.
 */
struct http_response {
    unsigned status;
    const char *content_type; /* a string that outlives the response, normally a literal */
    char *body;
    size_t body_size;
    struct feed_reader
        *reader; /* what is sent instead of `body`, if not NULL; see http_reply_feed() */
    struct http_response_header headers[HTTP_RESPONSE_HEADERS];
    size_t header_count;
    char trace_id[33]; /* for the access log, not sent; "": none */
};

/* Answer with `text`, JSON already serialized and malloc'ed; the response takes it over, and
 * frees it in every case. NULL (the serializer ran out of memory) becomes a 500. */
void http_reply_json_text(struct http_response *response, unsigned status, char *text);

/* The same with any bytes and any content type (a literal). */
void http_reply_bytes(struct http_response *response, unsigned status, const char *content_type,
                      char *bytes, size_t size);

/*
 * Answer with what a feed (feed.h) issues, from now until it ends, each issue as soon as it is there
 * and the last one was taken; then the connection is closed. It occupies no worker. A client that
 * does not take an issue within the write deadline is cut. False, and nothing is changed, when the
 * feed is full or has ended. A feed must be ended before listener_stop().
 */
bool http_reply_feed(struct http_response *response, const char *content_type, struct feed *feed);

/* Answer {"detail": "…"} with the printf-style text, JSON-escaped; bytes that are not UTF-8
 * become U+FFFD. Replaces an earlier body. */
void http_reply_detail(struct http_response *response, unsigned status, const char *format, ...)
    WEIR_PRINTF(3, 4);

/*
 * Add one header. The strings are copied. Returns false, and adds nothing, when the name is not a
 * token, the value holds a control byte, HTTP_RESPONSE_HEADERS are already there, or the name is
 * one that the listener itself sends (Connection, Content-Length, Content-Type, Date,
 * Transfer-Encoding, X-Request-Id).
 */
bool http_reply_header(struct http_response *response, const char *name, const char *value);

/* Free what the response owns and make it an empty 200 again. The listener does it after
 * sending; a test that calls a handler by hand does it itself. */
void http_response_clear(struct http_response *response);

/* ---- Routes ------------------------------------------------------------------------------- */

/* Fill *response. Called once per request, on a worker, or on the event thread for is_inline. */
typedef void http_handler(void *arg, const struct http_request *request,
                          struct http_response *response);

/*
 * Whether a request may send its body. Called on the event thread as soon as the head of a request with a
 * body is there, before a byte of the body is kept: must not block. False: *response has been filled, is
 * sent at once, and the connection is closed. A request without a body goes to the handler alone, so the
 * handler decides for itself as well.
 */
typedef bool http_guard(void *arg, const struct http_request *request,
                        struct http_response *response);

/*
 * One route. `pattern` is a path whose segments are literal or a {name} that matches one whole
 * segment ("/api/v1/tables/{table}/{id}"); every path also answers with a trailing slash. A
 * literal beats a {name} at the same place. GET serves HEAD too (the body is left out), OPTIONS
 * is answered with Allow, a known path with another method gets 405 with Allow, anything else
 * 404; all three without a handler. The strings must outlive the listener.
 */
struct http_route {
    const char *method;
    const char *pattern;
    http_handler *handler;
    void *arg;
    bool is_inline; /* run on an event thread: must not block, must take well under 1 ms */
    bool is_health; /* answered also when the listener is full, and on the health socket; must be an
                          inline GET of a path without {name} */
    http_guard *guard; /* with guard_arg; NULL: every body is taken */
    void *guard_arg;
    bool is_outbound; /* waits for another server: run on workers of its own, if there are any */
};

/* ---- The listener ------------------------------------------------------------------------- */

/* One finished request, for the access log. The strings are valid during the call only. */
struct http_access {
    const char *method; /* "" when the request line could not be read */
    const char *path;   /* raw path without the query, "" when unknown */
    const char *route;  /* the pattern of its route, the very string of it; "" when there is none */
    const char *client_ip;
    const char *request_id;
    const char *trace_id; /* "" when it was in no trace */
    unsigned status;      /* 0 when the connection closed without an answer of ours */
    bool is_complete;     /* false when the connection died before the whole answer was sent */
    uint64_t body_bytes;  /* size of the response's body */
    weir_time duration;   /* from the request line read to the last byte handed to the kernel */
};

enum listener_log_level {
    LISTENER_LOG_DEBUG,
    LISTENER_LOG_INFO,
    LISTENER_LOG_WARNING,
    LISTENER_LOG_ERROR,
};

/*
 * Options: start from LISTENER_OPTIONS_DEFAULT, then assign. A value outside its range is refused
 * by listener_start() with its name and the range.
 */
struct listener_options {
    /* Address to bind, a numeric IPv4 or IPv6 address or "localhost". Default "127.0.0.1". */
    const char *host;
    /* TCP port, 0 to 65535; 0 lets the kernel choose: ask listener_port(). Default 8000. */
    int port;
    /* A socket of listener_bind(), which listener_start() takes over, whatever it returns; host and port
     * are then those of the bind. -1, the default: listener_start() binds. */
    int socket;
    /* A second socket of listener_bind(), taken over in the same way, on which only routes with is_health are
     * answered, also during a drain. -1, the default: none. */
    int health_socket;
    /* Threads that run handlers, 1 to 1024. About what the pools behind can serve at once.
     * Default 8. */
    int workers;
    /* Threads for the handlers of routes that are is_outbound, 0 to 1024, so that others do not wait
     * behind a slow server elsewhere; 0: the workers run them too. Default 0. */
    int outbound_workers;
    /* Requests that may wait for a worker, 0 to 65536, and as many again for an outbound one; beyond
     * that 503 at once, with Retry-After, and the connection stays usable. Default 128. */
    int queue_limit;
    /* Open connections, 8 to 65536. When full, a newcomer that asks for a route with is_health is answered
     * all the same; any other one gets the place of a connection whose head has not arrived within half a
     * second, if there is one, or 503 with Retry-After; one that sends nothing for a second is closed. Those
     * inside whose heads arrived are not disturbed. Fewer when the process may not have as many descriptors,
     * which a warning tells; its soft limit is raised as far as the hard one. Default 1024. */
    int max_connections;
    /* Open connections from one address, 0 to max_connections; 0 means no such limit. A newcomer
     * beyond it is closed at once, unanswered. Default 0. */
    int max_connections_per_ip;
    /* Largest request body in bytes, 0 to 1 GiB; beyond it 413, or for a chunked body, where no
     * answer is possible any more, the connection is closed. Default 1 MiB. */
    size_t max_body_bytes;
    /* Memory of the bodies of all requests together in bytes, max_body_bytes to 64 GiB; a request whose
     * body would go beyond it is answered 503 on its head, with Retry-After. A body counts with its
     * announced length, a chunked one with max_body_bytes, from its head to its handler's return; those
     * of GET and HEAD, which nobody reads, are thrown away and do not count. Default 64 MiB. */
    size_t max_total_body_bytes;
    /* Request line and headers together in bytes, 1 KiB to 1 MiB; beyond it 431 (414 for a
     * target that does not fit). Default 16 KiB. */
    size_t max_header_bytes;
    /* Header lines of one request, 1 to 1000; beyond it 431. Default 100. */
    int max_headers;
    /* From accept, or from a later request's request line, to the end of the headers, 10 ms to
     * 1 h. An absolute deadline: a byte now and then does not extend it. Default 10 s. */
    int header_deadline_ms;
    /* From the end of the headers to the last byte of the body, 10 ms to 1 h. Default 30 s. */
    int body_deadline_ms;
    /* From one response to the end of the next request's request line, 10 ms to 1 h; absolute
     * too. Default 60 s. */
    int keepalive_idle_ms;
    /* From the response being ready to its last byte taken by the client, 10 ms to 1 h; of a feed, for
     * each issue. Default 30 s. */
    int write_deadline_ms;
    /* What http_request_deadline() tells handlers, 0 (no deadline) to 1 h. A handler is never
     * interrupted: it is asked to pass the deadline on to the pool and the database. A request
     * that waited this long for a worker is answered 503 without running. Default 30 s. */
    int handler_deadline_ms;
    /* Where messages go, with log_arg; NULL drops them. Called from any thread of the listener;
     * must not call back into it. Default NULL. */
    void (*log)(void *arg, int level, const char *text);
    void *log_arg;
    /* Called once per request after its last byte went out or its connection died, on one of the two
     * event threads: must be quick and must not block. Default NULL. */
    void (*on_request_done)(void *arg, const struct http_access *access);
    void *on_request_done_arg;
};

#define LISTENER_OPTIONS_DEFAULT                                                                   \
    {                                                                                              \
        .host = "127.0.0.1", .port = 8000, .socket = -1, .health_socket = -1, .workers = 8,        \
        .queue_limit = 128, .max_connections = 1024, .max_body_bytes = 1 << 20,                    \
        .max_total_body_bytes = 64 << 20, .max_header_bytes = 16 << 10, .max_headers = 100,        \
        .header_deadline_ms = 10000, .body_deadline_ms = 30000, .keepalive_idle_ms = 60000,        \
        .write_deadline_ms = 30000, .handler_deadline_ms = 30000                                   \
    }

/*
 * Bind host and port of the options and listen there: for who wants to know that the address is free
 * before it opens anything else. Who connects from now on waits in the kernel's queue until a listener
 * takes the socket over, as `socket` of its options. The caller closes a socket that no listener took.
 *
 * Errors: WEIR_INVALID (the host is no address), WEIR_SYSTEM (native is the errno). *ret_socket is then
 *         untouched.
 */
WEIR_MUST_CHECK weir_status listener_bind(const struct listener_options *options, int *ret_socket,
                                          weir_error *reterr);

/* The port of such a socket. */
int listener_socket_port(int socket);

struct listener;

/*
 * Bind, start the threads and answer requests from now on. The routes are copied.
 *
 * SIGPIPE is never raised by the listener's writes, whatever the program's disposition. The
 * listener's threads block every signal, so that the program's own threads receive them.
 *
 * Errors: WEIR_INVALID (an option or a pattern; the text says which and why), WEIR_SYSTEM (bind
 *         or a thread; native is the errno), WEIR_NO_MEMORY. *ret_listener is then untouched.
 */
WEIR_MUST_CHECK weir_status listener_start(const struct listener_options *options,
                                           const struct http_route *routes, size_t route_count,
                                           struct listener **ret_listener, weir_error *reterr);

/*
 * Take other limits: queue_limit, max_body_bytes, max_total_body_bytes and the deadlines. The other
 * options stay as they were at the start. Limits of time also hold for connections that are open, those
 * of the body for requests whose head comes from now on.
 *
 * Errors: WEIR_INVALID as listener_start(); nothing has changed then. Threads: one, that which stops it.
 */
WEIR_MUST_CHECK weir_status listener_set_limits(struct listener *listener,
                                                const struct listener_options *options,
                                                weir_error *reterr);

/* The port actually bound. Threads: any. */
int listener_port(const struct listener *listener);

/* A snapshot for /readyz and for tests; the parts are each exact, not taken at one instant. */
struct listener_stats {
    unsigned connections;   /* open now */
    unsigned workers_busy;  /* handlers running now */
    unsigned queued;        /* requests waiting for a worker */
    unsigned outbound_busy; /* the same two of the outbound workers */
    unsigned outbound_queued;
    uint64_t requests; /* responses handed over for sending, refusals included */
    uint64_t
        rejected_full; /* of these, 503 because connections, queue or memory for bodies were full */
    uint64_t body_bytes; /* memory that counts against max_total_body_bytes now */
    uint64_t reaped;     /* connections closed because a deadline passed */
};
void listener_stats(const struct listener *listener, struct listener_stats *ret_stats);

/*
 * Say goodbye politely from now on: every response carries Connection: close, so clients move
 * elsewhere, but new connections and requests are still served. Idempotent. Threads: any.
 */
void listener_set_draining(struct listener *listener);

/*
 * Stop: set draining, close the listening socket (newcomers are refused by the kernel), close
 * connections that have been idle for 200 ms, let requests in flight finish until `deadline`, then
 * close what is left, join the threads and free the listener. When nine tenths of the time have passed,
 * connections are closed whose request has not arrived whole, with one warning that counts them: an
 * open body does not take the others' time, and makes no stop incomplete.
 *
 * Returns WEIR_OK when everything in flight was answered. WEIR_TIMEOUT when the deadline passed
 * first; then there are two cases. If every handler has returned meanwhile, the listener is freed
 * all the same, and unanswered connections were cut. If a handler is still running after the
 * deadline, its thread cannot be ended from outside: the listener and what its handlers use must
 * stay as they are, *ret_is_abandoned (which may be NULL) is set to true, and the caller should
 * end the process. Never waits noticeably longer than the deadline. NULL is WEIR_OK.
 *
 * Threads: one caller, not a handler.
 */
weir_status listener_stop(struct listener *listener, weir_time deadline, bool *ret_is_abandoned);

#endif
