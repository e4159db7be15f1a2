/* SPDX-License-Identifier: MIT */
/* A program around the listener, for tests: options as arguments, commands on stdin, answers on stdout. */
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/base.h>
#include <weir/clock.h>

#include "http/listener.h"

/*
 * Arguments: name=value for every integer option of struct listener_options, and host=….
 * Commands:  release N   let N blocked handlers go on (-1: all, for ever)
 *            drain       listener_set_draining()
 *            stats       one line of counters
 *            stop MS     listener_stop() within MS milliseconds
 * The end of the input ends the program, which stops the listener first if nobody did.
 * Lines out: "port N" first; "access …" per request; "log LEVEL …"; "stats …";
 *            "stopped STATUS ABANDONED MS".
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long permits; /* blocked handlers that may go on; negative: all */

static void release(long count)
{
    pthread_mutex_lock(&lock);
    permits = count < 0 ? -1 : permits + count;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* ---- Handlers ----------------------------------------------------------------------------- */

static void hello(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)request;
    http_reply_json_text(response, 200, strdup(arg));
}

static void block(void *arg, const struct http_request *request, struct http_response *response)
{
    pthread_mutex_lock(&lock);
    while (permits == 0)
        pthread_cond_wait(&changed, &lock);
    permits -= permits > 0;
    pthread_mutex_unlock(&lock);
    hello(arg, request, response);
}

static void echo(void *arg, const struct http_request *request, struct http_response *response)
{
    size_t size;
    const char *body = http_request_body(request, &size);
    char *copy = malloc(size + 1);

    (void)arg;
    if (copy == NULL) {
        http_reply_detail(response, 500, "out of memory");
        return;
    }
    memcpy(copy, body, size);
    http_reply_bytes(response, 200, "application/octet-stream", copy, size);
}

static void big(void *arg, const struct http_request *request, struct http_response *response)
{
    const char *text = http_request_query(request, "size");
    size_t size = text == NULL ? 0 : strtoul(text, NULL, 10);
    char *body = malloc(size + 1);

    (void)arg;
    if (body == NULL) {
        http_reply_detail(response, 500, "out of memory");
        return;
    }
    memset(body, 'x', size);
    http_reply_bytes(response, 200, "text/plain", body, size);
}

/* Everything a handler can learn about its request. */
static void mirror(void *arg, const struct http_request *request, struct http_response *response)
{
    const char *query = http_request_query(request, "q");
    const char *header = http_request_header(request, "x-SAMPLE");
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:b, s:b, s:s, s:b}", "method",
        http_request_method(request), "path", http_request_path(request), "table",
        http_request_path_param(request, "table"), "id", http_request_path_param(request, "id"),
        "q", query, "sample", header, "has_q", http_request_has_query(request, "q"), "has_nothing",
        http_request_path_param(request, "nothing") != NULL, "ip", http_request_client_ip(request),
        "in_time", http_request_deadline(request) > http_request_arrived(request));

    (void)arg;
    http_reply_header(response, "X-Mirror", http_request_id(request));
    http_reply_json_text(response, 200, object == NULL ? NULL : json_dumps(object, 0));
    json_decref(object);
}

static void fail(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg;
    (void)request;
    http_reply_detail(response, 418, "a \"quote\", a \\ and a %s", "\xff byte");
    if (http_reply_header(response, "Content-Length", "1") ||
        http_reply_header(response, "X-Split", "a\r\nSet-Cookie: b"))
        http_reply_detail(response, 500, "a header was taken that must not be");
}

static void nothing(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg;
    (void)request;
    response->status = 204;
}

static char hello_json[] = "{\"ok\": true}";
static char alive_json[] = "{\"alive\": true}";
static char released_json[] = "{\"released\": true}";

static const struct http_route routes[] = {
    {"GET", "/fast", hello, hello_json, false, false, NULL, NULL, false},
    {"GET", "/healthz", hello, alive_json, true, true, NULL, NULL, false},
    {"GET", "/block", block, released_json, false, false, NULL, NULL, false},
    {"POST", "/block", block, released_json, false, false, NULL, NULL, false},
    {"POST", "/echo", echo, NULL, false, false, NULL, NULL, false},
    {"GET", "/big", big, NULL, false, false, NULL, NULL, false},
    {"GET", "/tables/{table}", mirror, NULL, false, false, NULL, NULL, false},
    {"GET", "/tables/{table}/{id}", mirror, NULL, false, false, NULL, NULL, false},
    {"GET", "/fail", fail, NULL, false, false, NULL, NULL, false},
    {"DELETE", "/fast", nothing, NULL, false, false, NULL, NULL, false},
};

/* ---- Options, messages, commands ----------------------------------------------------------- */

static void on_log(void *arg, int level, const char *text)
{
    (void)arg;
    printf("log %d %s\n", level, text);
}

static void on_request_done(void *arg, const struct http_access *access)
{
    (void)arg;
    printf("access %s %s %u %d %llu %s %s\n", access->method, access->path, access->status,
           access->is_complete, (unsigned long long)access->body_bytes, access->client_ip,
           access->request_id);
}

static bool set_option(struct listener_options *o, const char *argument)
{
    const char *equals = strchr(argument, '=');
    long value = equals == NULL ? 0 : strtol(equals + 1, NULL, 10);
    const struct {
        const char *name;
        int *field;
    } integers[] = {
        {"port", &o->port},
        {"workers", &o->workers},
        {"queue_limit", &o->queue_limit},
        {"max_connections", &o->max_connections},
        {"max_connections_per_ip", &o->max_connections_per_ip},
        {"max_headers", &o->max_headers},
        {"header_deadline_ms", &o->header_deadline_ms},
        {"body_deadline_ms", &o->body_deadline_ms},
        {"keepalive_idle_ms", &o->keepalive_idle_ms},
        {"write_deadline_ms", &o->write_deadline_ms},
        {"handler_deadline_ms", &o->handler_deadline_ms},
    };
    size_t size = equals == NULL ? 0 : (size_t)(equals - argument);

    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        if (strlen(integers[i].name) == size && strncmp(integers[i].name, argument, size) == 0) {
            *integers[i].field = (int)value;
            return true;
        }
    }
    if (strncmp(argument, "host=", 5) == 0)
        o->host = argument + 5;
    else if (strncmp(argument, "max_body_bytes=", 15) == 0)
        o->max_body_bytes = (size_t)value;
    else if (strncmp(argument, "max_total_body_bytes=", 21) == 0)
        o->max_total_body_bytes = (size_t)value;
    else if (strncmp(argument, "max_header_bytes=", 17) == 0)
        o->max_header_bytes = (size_t)value;
    else
        return false;
    return true;
}

/* Stopping takes a thread of its own, so that handlers can be released meanwhile. */
struct stopping {
    struct listener *listener;
    long ms;
    bool is_abandoned;
};

static void *stop(void *arg)
{
    struct stopping *stopping = arg;
    weir_time before = weir_now();
    weir_status status =
        listener_stop(stopping->listener, weir_deadline_in(stopping->ms), &stopping->is_abandoned);

    printf("stopped %s %d %lld\n", weir_status_name(status), stopping->is_abandoned,
           (long long)((weir_now() - before) / WEIR_MS));
    return NULL;
}

static void print_stats(const struct listener *listener)
{
    struct listener_stats stats;

    listener_stats(listener, &stats);
    printf("stats connections=%u busy=%u queued=%u requests=%llu rejected=%llu reaped=%llu "
           "bodies=%llu\n",
           stats.connections, stats.workers_busy, stats.queued, (unsigned long long)stats.requests,
           (unsigned long long)stats.rejected_full, (unsigned long long)stats.reaped,
           (unsigned long long)stats.body_bytes);
}

/* Obey until the end of the input; returns the exit status. */
static int serve(struct listener *listener)
{
    struct stopping stopping = {.listener = listener, .ms = 1000};
    pthread_t stopper;
    bool is_stopping = false;
    char line[128];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (strncmp(line, "release ", 8) == 0)
            release(strtol(line + 8, NULL, 10));
        else if (strncmp(line, "drain", 5) == 0)
            listener_set_draining(listener);
        else if (strncmp(line, "stats", 5) == 0)
            print_stats(listener);
        else if (strncmp(line, "stop ", 5) == 0 && !is_stopping) {
            stopping.ms = strtol(line + 5, NULL, 10);
            is_stopping = pthread_create(&stopper, NULL, stop, &stopping) == 0;
        }
    }
    if (is_stopping) {
        pthread_join(stopper, NULL);
    } else {
        release(-1);
        stop(&stopping);
    }
    fflush(stdout);
    if (stopping.is_abandoned)
        _Exit(3);
    return 0;
}

int main(int argc, char **argv)
{
    struct listener_options options = LISTENER_OPTIONS_DEFAULT;
    struct listener *listener = NULL;
    weir_error error;

    setvbuf(stdout, NULL, _IOLBF, 0);
    options.port = 0;
    options.log = on_log;
    options.on_request_done = on_request_done;
    for (int i = 1; i < argc; i++) {
        if (!set_option(&options, argv[i])) {
            printf("error unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    if (listener_start(&options, routes, sizeof(routes) / sizeof(routes[0]), &listener, &error) !=
        WEIR_OK) {
        printf("error %s %s\n", weir_status_name(error.status), error.text);
        return 1;
    }
    printf("port %d\n", listener_port(listener));
    return serve(listener);
}
