/* SPDX-License-Identifier: MIT */
/* The listener's life: options checked, socket bound, threads started, drained and stopped in order. */
#include "listener.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/option.h"
#include "exchange.h"
#include "listener_accept.h"
#include "listener_events.h"
#include "listener_library.h"

/* Descriptors that are not for connections of the main door: of the reserve, of the lobby, of sockets that
 * linger, the spare ones, and those of databases, other servers and files. */
enum { OTHER_DESCRIPTORS = 2 * LISTENER_RESERVE + ACCEPTOR_LOBBY + 64 + ACCEPTOR_SPARES + 120 };

/* How long the reserve waits for a request, and keeps a connection that rests. */
#define RESERVE_TIMEOUT_MS 1000

/* How long responses cancelled at the deadline may take to reach the kernel; how often the drain
 * looks for idle connections; how long they must have been idle, which is long enough for a busy
 * client to send its next request and be told to go elsewhere. */
#define CANCEL_GRACE (50 * WEIR_MS)
#define DRAIN_STEP (20 * WEIR_MS)
#define DRAIN_IDLE_AGE (200 * WEIR_MS)

void listener_log(const struct listener *listener, int level, const char *format, ...)
{
    char text[512];
    va_list args;

    if (listener->options.log == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    listener->options.log(listener->options.log_arg, level, text);
}

/* ---- Options ------------------------------------------------------------------------------ */

struct range {
    const char *name;
    int64_t value, least, most;
};

static weir_status check_options(const struct listener_options *o, weir_error *reterr)
{
    weir_status status = WEIR_OK;
    const struct range ranges[] = {
        {"port", o->port, 0, 65535},
        {"workers", o->workers, 1, 1024},
        {"outbound_workers", o->outbound_workers, 0, 1024},
        {"queue_limit", o->queue_limit, 0, 65536},
        {"max_connections", o->max_connections, 8, 65536},
        {"max_connections_per_ip", o->max_connections_per_ip, 0, o->max_connections},
        {"max_body_bytes", (int64_t)o->max_body_bytes, 0, INT64_C(1) << 30},
        {"max_total_body_bytes", (int64_t)o->max_total_body_bytes, (int64_t)o->max_body_bytes,
         INT64_C(64) << 30},
        {"max_header_bytes", (int64_t)o->max_header_bytes, INT64_C(1) << 10, INT64_C(1) << 20},
        {"max_headers", o->max_headers, 1, 1000},
        {"header_deadline_ms", o->header_deadline_ms, 10, 3600000},
        {"body_deadline_ms", o->body_deadline_ms, 10, 3600000},
        {"keepalive_idle_ms", o->keepalive_idle_ms, 10, 3600000},
        {"write_deadline_ms", o->write_deadline_ms, 10, 3600000},
        {"handler_deadline_ms", o->handler_deadline_ms, 0, 3600000},
    };

    for (size_t i = 0; i < COUNT_OF(ranges) && status == WEIR_OK; i++)
        status = option_check_range(ranges[i].name, ranges[i].value, ranges[i].least,
                                    ranges[i].most, reterr);
    if (status != WEIR_OK)
        return status;
    if (o->host == NULL || o->host[0] == '\0')
        return weir_error_set(reterr, WEIR_INVALID, "host: must not be empty");
    return WEIR_OK;
}

/* Raise the limit of descriptors as far as is needed and allowed; with too few of them there is room for
 * fewer connections, so that the others remain. */
static void fit_to_descriptors(struct listener *listener)
{
    struct rlimit limit;
    rlim_t most = (rlim_t)listener->options.max_connections;
    rlim_t need = most + OTHER_DESCRIPTORS;

    listener->main.limit = (unsigned)most;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return;
    limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= need)
        return;
    rlim_t rest = limit.rlim_cur / 2 < OTHER_DESCRIPTORS ? limit.rlim_cur / 2 : OTHER_DESCRIPTORS;
    if (limit.rlim_cur - rest < most)
        most = limit.rlim_cur - rest;
    listener->main.limit = (unsigned)most;
    listener_log(
        listener, LISTENER_LOG_WARNING,
        "max_connections %d needs %llu file descriptors, the limit (ulimit -Hn) is %llu: at "
        "most %u connections are accepted",
        listener->options.max_connections, (unsigned long long)need,
        (unsigned long long)limit.rlim_cur, listener->main.limit);
}

/* ---- Starting ----------------------------------------------------------------------------- */

static int at_most(int value, int limit)
{
    return value < limit ? value : limit;
}

static void fill_limits(const struct door *door, const struct listener_options *o,
                        weir_time limits[CONN_PHASES])
{
    int longest_ms = door->is_reserve ? RESERVE_TIMEOUT_MS : INT_MAX;

    memset(limits, 0, CONN_PHASES * sizeof(*limits));
    limits[CONN_HEADER] = at_most(o->header_deadline_ms, longest_ms) * WEIR_MS;
    limits[CONN_BODY] = at_most(o->body_deadline_ms, longest_ms) * WEIR_MS;
    limits[CONN_WRITE] = o->write_deadline_ms * WEIR_MS;
    limits[CONN_STREAM_WRITE] = o->write_deadline_ms * WEIR_MS;
    limits[CONN_IDLE] = at_most(o->keepalive_idle_ms, longest_ms) * WEIR_MS;
}

static void publish_limits(struct listener *listener, const struct listener_options *o)
{
    atomic_store(&listener->max_body_bytes, o->max_body_bytes);
    atomic_store(&listener->max_total_body_bytes, o->max_total_body_bytes);
    atomic_store(&listener->handler_deadline_ms, o->handler_deadline_ms);
}

static weir_status open_door(struct door *door, weir_error *reterr)
{
    weir_time limits[CONN_PHASES];
    weir_status status;

    fill_limits(door, &door->listener->options, limits);
    status = reaper_start(limits, &door->reaper, reterr);
    return status == WEIR_OK ? listener_library_start(door, reterr) : status;
}

/* Closes the connections that are left. None may be suspended. */
static void close_door(struct door *door)
{
    event_thread_stop(door->events);
    reaper_stop(door->reaper);
}

static void close_socket(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void free_listener(struct listener *listener)
{
    close_door(&listener->main);
    close_door(&listener->reserve);
    router_close(listener->router);
    free(listener->health_paths);
    free(listener->host);
    free(listener);
}

static weir_status note_health_paths(struct listener *listener, const struct http_route *routes,
                                     size_t count, weir_error *reterr)
{
    listener->health_paths = calloc(count + 1, sizeof(*listener->health_paths));
    if (listener->health_paths == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "listener: out of memory");
    for (size_t i = 0; i < count; i++) {
        if (!routes[i].is_health)
            continue;
        if (!routes[i].is_inline || strcmp(routes[i].method, "GET") != 0 ||
            strchr(routes[i].pattern, '{') != NULL)
            return weir_error_set(reterr, WEIR_INVALID,
                                  "listener: route \"%s %s\": health must be an inline GET without "
                                  "a {name}",
                                  routes[i].method, routes[i].pattern);
        listener->health_paths[listener->health_count++] = routes[i].pattern;
    }
    return WEIR_OK;
}

static weir_status start_parts(struct listener *listener, const struct http_route *routes,
                               size_t route_count, weir_error *reterr)
{
    const struct listener_options *o = &listener->options;
    weir_status status = router_open(routes, route_count, &listener->router, reterr);
    int sockets[ACCEPTOR_SOCKETS] = {o->socket, o->health_socket};

    if (status == WEIR_OK)
        status = note_health_paths(listener, routes, route_count, reterr);
    if (status == WEIR_OK && o->socket < 0)
        status = listener_bind(o, &sockets[ACCEPTOR_MAIN], reterr);
    if (status == WEIR_OK) {
        listener->socket = sockets[ACCEPTOR_MAIN];
        listener->port = listener_socket_port(sockets[ACCEPTOR_MAIN]);
        status = workers_start(o->workers, o->queue_limit, &listener->workers, reterr);
    }
    if (status == WEIR_OK && o->outbound_workers > 0)
        status = workers_start(o->outbound_workers, o->queue_limit, &listener->outbound, reterr);
    if (status == WEIR_OK)
        status = open_door(&listener->main, reterr);
    if (status == WEIR_OK)
        status = open_door(&listener->reserve, reterr);
    if (status == WEIR_OK) {
        atomic_store(&listener->is_started, true);
        status = acceptor_start(listener, sockets, &listener->acceptor, reterr);
    }
    if (status != WEIR_OK) {
        close_socket(sockets[ACCEPTOR_MAIN]);
        close_socket(sockets[ACCEPTOR_HEALTH]);
    }
    return status;
}

/* Options that were refused: their sockets are ours all the same. */
static weir_status give_up(const struct listener_options *options, weir_status status)
{
    close_socket(options->socket);
    close_socket(options->health_socket);
    return status;
}

weir_status listener_start(const struct listener_options *options, const struct http_route *routes,
                           size_t route_count, struct listener **ret_listener, weir_error *reterr)
{
    weir_status status = check_options(options, reterr);
    struct listener *listener;

    if (status != WEIR_OK)
        return give_up(options, status);
    listener = calloc(1, sizeof(*listener));
    if (listener == NULL || (listener->host = strdup(options->host)) == NULL) {
        free(listener);
        weir_error_set(reterr, WEIR_NO_MEMORY, "listener: out of memory");
        return give_up(options, WEIR_NO_MEMORY);
    }
    listener->options = *options;
    listener->options.host = listener->host;
    publish_limits(listener, options);
    listener->checks_block = listener_library_is_lenient();
    if (getrandom(&listener->id_prefix, sizeof(listener->id_prefix), 0) < 0)
        listener->id_prefix = (uint64_t)weir_now() ^ (uint64_t)getpid() << 48;
    listener->main.listener = listener->reserve.listener = listener;
    listener->reserve.is_reserve = true;
    listener->reserve.limit = LISTENER_RESERVE;
    fit_to_descriptors(listener);
    status = start_parts(listener, routes, route_count, reterr);
    if (status != WEIR_OK) {
        (void)workers_stop(listener->workers, WEIR_DEADLINE_NEVER);
        (void)workers_stop(listener->outbound, WEIR_DEADLINE_NEVER);
        free_listener(listener);
        return status;
    }
    *ret_listener = listener;
    return WEIR_OK;
}

weir_status listener_set_limits(struct listener *listener, const struct listener_options *options,
                                weir_error *reterr)
{
    weir_time limits[CONN_PHASES];
    weir_status status = check_options(options, reterr);

    if (status != WEIR_OK)
        return status;
    publish_limits(listener, options);
    fill_limits(&listener->main, options, limits);
    reaper_set_limits(listener->main.reaper, limits);
    fill_limits(&listener->reserve, options, limits);
    reaper_set_limits(listener->reserve.reaper, limits);
    workers_set_queue_limit(listener->workers, options->queue_limit);
    if (listener->outbound != NULL)
        workers_set_queue_limit(listener->outbound, options->queue_limit);
    listener_tune_socket(listener->socket, options);
    return WEIR_OK;
}

int listener_port(const struct listener *listener)
{
    return listener->port;
}

void listener_stats(const struct listener *listener, struct listener_stats *ret_stats)
{
    *ret_stats = (struct listener_stats){
        .connections = reaper_count(listener->main.reaper) + reaper_count(listener->reserve.reaper),
        .requests = atomic_load(&listener->requests),
        .rejected_full = atomic_load(&listener->rejected_full),
        .body_bytes = atomic_load(&listener->body_bytes),
        .reaped =
            reaper_cut_count(listener->main.reaper) + reaper_cut_count(listener->reserve.reaper),
    };
    workers_count(listener->workers, &ret_stats->workers_busy, &ret_stats->queued);
    if (listener->outbound != NULL)
        workers_count(listener->outbound, &ret_stats->outbound_busy, &ret_stats->outbound_queued);
}

/* ---- Stopping ----------------------------------------------------------------------------- */

void listener_set_draining(struct listener *listener)
{
    atomic_store(&listener->is_draining, true);
}

/* Requests that have not arrived whole are not waited for to the end: one open body would take all of
 * the time, and those that are being answered would be cut with it. */
static void cut_unfinished(struct listener *listener)
{
    unsigned count = reaper_cut_unfinished(listener->main.reaper);

    if (count > 0)
        listener_log(listener, LISTENER_LOG_WARNING,
                     "%u %s not fully arrived when the drain timed out: closed", count,
                     count == 1 ? "request had" : "requests had");
}

/* True when every connection is gone, those among them that have been accepted and that the library has not
 * shown yet: the workers are still needed for them. Idle ones are closed; one that was answered before the
 * drain began may become idle at any step. */
static bool drain(struct listener *listener, weir_time deadline)
{
    weir_time begin = weir_now();
    weir_time cut_at = begin + (deadline > begin ? (deadline - begin) / 10 * 9 : 0);

    for (;;) {
        weir_time now = weir_now();
        weir_time until = deadline - now < DRAIN_STEP ? deadline : now + DRAIN_STEP;

        reaper_close_idle(listener->main.reaper, DRAIN_IDLE_AGE);
        if (now >= cut_at)
            cut_unfinished(listener);
        /* Asked for first: who has entered by then is among those that the reaper counts. */
        bool is_one_entering = atomic_load(&listener->main.entering) > 0;
        bool are_gone = reaper_wait_gone(listener->main.reaper, CONN_PHASES, until);
        if (are_gone && !is_one_entering)
            return true;
        if (now >= deadline)
            return false;
        if (are_gone)
            poll(NULL, 0, 1);
    }
}

/* Both are told to stop, also where the first has not ended. */
static bool stop_workers(struct listener *listener, weir_time deadline)
{
    bool has_stopped = workers_stop(listener->outbound, deadline);

    return workers_stop(listener->workers, deadline) && has_stopped;
}

weir_status listener_stop(struct listener *listener, weir_time deadline, bool *ret_is_abandoned)
{
    bool is_drained;

    if (ret_is_abandoned != NULL)
        *ret_is_abandoned = false;
    if (listener == NULL)
        return WEIR_OK;
    if (deadline < WEIR_DEADLINE_NOW)
        deadline = WEIR_DEADLINE_NOW;
    listener_set_draining(listener);
    acceptor_close_main(listener->acceptor);
    is_drained = drain(listener, deadline);
    acceptor_stop(listener->acceptor);
    /* The library aborts the process when stopped with a suspended connection: every handler must
     * have handed its own back, or the library has to be left running. */
    if (!stop_workers(listener, deadline)) {
        if (ret_is_abandoned != NULL)
            *ret_is_abandoned = true;
        return WEIR_TIMEOUT;
    }
    if (!is_drained)
        reaper_wait_gone(listener->main.reaper, CONN_HANDLER, weir_now() + CANCEL_GRACE);
    free_listener(listener);
    return is_drained ? WEIR_OK : WEIR_TIMEOUT;
}
