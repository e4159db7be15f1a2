/* SPDX-License-Identifier: MIT */
/* The listener's event side: one exchange from its request line to the last byte of its response. */
#include "exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange_send.h"
#include "listener_events.h"

/* ---- Heads -------------------------------------------------------------------------------- */

void listener_make_request_id(struct listener *listener, char out[REQUEST_ID_BYTES])
{
    snprintf(out, REQUEST_ID_BYTES, "%016llx-%llx", (unsigned long long)listener->id_prefix,
             (unsigned long long)atomic_fetch_add(&listener->next_id, 1) + 1);
}

void *exchange_on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct door *door = arg;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct conn *conn = info == NULL ? NULL : info->socket_context;
    struct exchange *x = conn == NULL ? NULL : calloc(1, sizeof(*x));

    if (x == NULL)
        return NULL;
    x->listener = door->listener;
    x->door = door;
    x->must_close = door->is_reserve;
    x->connection = connection;
    x->conn = conn;
    x->started = weir_now();
    x->target_at = target;
    x->request.client_ip = conn->ip;
    x->request.method = "";
    listener_make_request_id(x->listener, x->request.id);
    http_response_clear(&x->response);
    reaper_begin_request(door->reaper, conn);
    if (!request_keep_target(&x->request, target == NULL ? "" : target)) {
        request_clear(&x->request);
        free(x);
        return NULL;
    }
    return x;
}

/* MHD_KeyValueIteratorN: collect one header line. */
static enum MHD_Result collect_field(void *arg, enum MHD_ValueKind kind, const char *name,
                                     size_t name_size, const char *value, size_t value_size)
{
    struct http_request *request = arg;

    (void)kind;
    request->fields[request->field_count++] = (struct head_field){
        name, name_size, value == NULL ? "" : value, value == NULL ? 0 : value_size};
    return MHD_YES;
}

static bool collect_fields(struct exchange *x)
{
    int count = MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, NULL, NULL);

    x->request.fields = calloc((size_t)(count < 0 ? 0 : count) + 1, sizeof(*x->request.fields));
    if (x->request.fields == NULL)
        return false;
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, collect_field, &x->request);
    return true;
}

static size_t block_size(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    return info == NULL ? 0 : info->header_size;
}

/* Everything that can be said against the head alone. */
static struct head_verdict validate(struct exchange *x)
{
    const struct listener_options *options = &x->listener->options;
    struct request_head head = {x->request.method, x->request.target, x->version, x->request.fields,
                                x->request.field_count};
    struct head_verdict verdict;
    size_t size = block_size(x);

    if (size > options->max_header_bytes)
        return (struct head_verdict){431, "the request's headers are too large"};
    if (head.field_count > (size_t)options->max_headers)
        return (struct head_verdict){431, "the request has too many headers"};
    if (x->listener->checks_block &&
        !head_accounts_for_block(x->method_at, size, x->target_at, &head))
        return (struct head_verdict){400, "a line of the head is folded, holds a NUL, or does "
                                          "not end with CRLF"};
    if (!request_trim_fields(&x->request))
        return (struct head_verdict){503, "out of memory"};
    verdict = head_validate(&head, &x->framing);
    if (verdict.status != 0)
        return verdict;
    x->max_body = atomic_load(&x->listener->max_body_bytes);
    if (x->framing.has_length && x->framing.length > x->max_body)
        return (struct head_verdict){413, "the request's body is too large"};
    return verdict;
}

static bool has_body(const struct exchange *x)
{
    return x->framing.is_chunked || (x->framing.has_length && x->framing.length > 0);
}

/* No handler: 404, 405, or the answer to OPTIONS. */
static enum MHD_Result send_unrouted(struct exchange *x, const struct router_match *match)
{
    if (match->allow[0] != '\0')
        http_reply_header(&x->response, "Allow", match->allow);
    if (match->status == 204)
        x->response.status = 204;
    else if (match->status == 405)
        http_reply_detail(&x->response, 405, "Method Not Allowed");
    else
        http_reply_detail(&x->response, 404, "Not Found");
    if (has_body(x))
        return exchange_send_and_close(x);
    /* The library closes a connection that is answered this early; at the request's end it keeps
     * it. */
    x->stage = STAGE_DONE;
    return MHD_YES;
}

/* "OPTIONS *" asks about the server as a whole. */
static void answer_for_server(struct router_match *match)
{
    *match = (struct router_match){.status = 204};
    snprintf(match->allow, sizeof(match->allow), "GET, HEAD, POST, PUT, DELETE, OPTIONS");
}

static bool reads_body(const struct exchange *x)
{
    return strcmp(x->request.method, "GET") != 0 && strcmp(x->request.method, "HEAD") != 0;
}

/*
 * Reserve memory for the body by what its head says: in the middle of an upload no answer could be given
 * any more. False when there is not enough.
 */
static bool reserve_body(struct exchange *x)
{
    struct listener *listener = x->listener;
    size_t size = x->framing.is_chunked ? x->max_body : (size_t)x->framing.length;

    if (atomic_load(&listener->body_bytes) + size > atomic_load(&listener->max_total_body_bytes))
        return false;
    x->reserved = size;
    x->request.body_limit = size + 1;
    atomic_fetch_add(&listener->body_bytes, size);
    return true;
}

/* What the library has left of a connection's memory when the head has been read. */
static size_t room_left(struct exchange *x)
{
    return connection_memory(&x->listener->options) - block_size(x) -
           LINE_RECORD_BYTES * x->request.field_count;
}

/* The head of a request whose body is still to come: what can be refused is refused now. */
static enum MHD_Result admit_body(struct exchange *x)
{
    const struct http_route *route = x->route;

    if (route->guard != NULL && !route->guard(route->guard_arg, &x->request, &x->response))
        return exchange_send_and_close(x);
    if (reads_body(x) && !reserve_body(x))
        return exchange_send_busy(x, "the bodies of other requests use all the memory for bodies");
    x->stage = STAGE_BODY;
    reaper_move(x->door->reaper, x->conn, CONN_BODY);
    if (x->framing.is_chunked)
        chunks_begin(x->door, &x->chunks, x->conn, x->connection, x->request.id, room_left(x));
    return MHD_YES;
}

static enum MHD_Result take_head(struct exchange *x)
{
    struct head_verdict verdict;
    struct router_match match;
    const char *problem;

    x->conn->accounted += block_size(x);
    if (!collect_fields(x))
        return exchange_refuse(x, 503, "out of memory");
    verdict = validate(x);
    if (verdict.status != 0)
        return exchange_refuse(x, verdict.status, verdict.reason);
    problem = request_cut_target(&x->request);
    if (problem != NULL)
        return exchange_refuse(x, 400, problem);
    if (strcmp(x->request.target, "*") == 0)
        answer_for_server(&match);
    else
        router_find(x->listener->router, x->request.method, x->request.path,
                    strlen(x->request.path), x->request.path_scratch, &match);
    if (match.status == 400)
        return exchange_refuse(x, 400, "the path is not percent-encoded UTF-8");
    if (match.status != 200)
        return send_unrouted(x, &match);
    if (x->door->is_reserve && !match.route->is_health)
        return exchange_refuse(x, 404, "this port serves only /healthz, /readyz and /metrics");
    request_bind(&x->request, &match);
    x->route = match.route;
    /* The parsers of chunks are the most lenient part of the library, so whatever follows a
     * chunked body is never read as a request. */
    x->must_close = x->must_close || x->framing.is_chunked;
    if (has_body(x))
        return admit_body(x);
    x->stage = STAGE_BODY;
    return MHD_YES;
}

/* ---- Bodies and handlers ------------------------------------------------------------------ */

/* In the middle of an upload no answer can be queued: what is too long ends the connection. */
static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *data_size)
{
    if (x->chunks.refused_with != 0)
        return MHD_NO;
    if (*data_size > x->max_body - x->body_bytes) {
        listener_log(x->listener, LISTENER_LOG_DEBUG, "%s: chunked body over %zu bytes: closed",
                     x->request.id, x->max_body);
        return MHD_NO;
    }
    x->body_bytes += *data_size;
    x->conn->accounted += *data_size;
    if (reads_body(x) && !request_append_body(&x->request, data, *data_size))
        return MHD_NO;
    *data_size = 0;
    return MHD_YES;
}

static struct exchange *exchange_of(struct work *work)
{
    return (struct exchange *)((char *)work - offsetof(struct exchange, work));
}

/* Hand the exchange back to the event thread, which sends the response. */
static void finish(struct exchange *x)
{
    x->stage = STAGE_DONE;
    event_thread_resume(x->door->events, x->connection);
}

static void run_handler(struct work *work)
{
    struct exchange *x = exchange_of(work);

    if (weir_now() >= x->request.deadline)
        http_reply_detail(&x->response, 503, "no worker was free in time");
    else
        x->route->handler(x->route->arg, &x->request, &x->response);
    finish(x);
}

static void cancel_handler(struct work *work)
{
    struct exchange *x = exchange_of(work);

    http_reply_detail(&x->response, 503, "the server is shutting down");
    finish(x);
}

static enum MHD_Result dispatch(struct exchange *x)
{
    int limit_ms = atomic_load(&x->listener->handler_deadline_ms);

    chunks_end(x->door, &x->chunks);
    if (x->chunks.refused_with != 0)
        return MHD_NO;
    x->request.arrived = weir_now();
    x->request.deadline =
        limit_ms == 0 ? WEIR_DEADLINE_NEVER : x->request.arrived + limit_ms * WEIR_MS;
    if (x->route->is_inline) {
        x->route->handler(x->route->arg, &x->request, &x->response);
        return exchange_send(x);
    }
    bool is_outbound = x->route->is_outbound && x->listener->outbound != NULL;
    struct workers *workers = is_outbound ? x->listener->outbound : x->listener->workers;
    if (!workers_claim(workers))
        return exchange_send_busy(x, "every worker is busy and the queue is full");
    x->work.run = run_handler;
    x->work.cancel = cancel_handler;
    x->stage = STAGE_RUNNING;
    reaper_move(x->door->reaper, x->conn, CONN_HANDLER);
    exchange_ask_before_reading(x, true);
    MHD_suspend_connection(x->connection);
    workers_push(workers, &x->work);
    return MHD_YES;
}

enum MHD_Result exchange_on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *data,
                                    size_t *data_size, void **slot)
{
    struct exchange *x = *slot;

    (void)arg;
    (void)connection;
    (void)url;
    if (x == NULL)
        return MHD_NO;
    switch (x->stage) {
    case STAGE_HEAD:
        x->request.method = method;
        x->method_at = method;
        x->version = version;
        return take_head(x);
    case STAGE_BODY:
        return *data_size > 0 ? take_body(x, data, data_size) : dispatch(x);
    case STAGE_DONE:
        return exchange_send(x);
    case STAGE_RUNNING:
    case STAGE_SENT:
        break;
    }
    return MHD_YES;
}

/* ---- The end ------------------------------------------------------------------------------ */

static void tell_access(const struct exchange *x, bool is_complete)
{
    const struct listener_options *options = &x->listener->options;
    struct http_access access = {
        .method = x->request.method,
        .path = x->request.path == NULL ? "" : x->request.path,
        .route = x->route == NULL ? "" : x->route->pattern,
        .client_ip = x->request.client_ip,
        .request_id = x->request.id,
        .trace_id = x->response.trace_id,
        .status = x->sent_status,
        .is_complete = is_complete,
        .body_bytes = x->sent_bytes + x->stream.bytes,
        .duration = weir_now() - x->started,
    };

    if (options->on_request_done != NULL)
        options->on_request_done(options->on_request_done_arg, &access);
}

void exchange_on_completed(void *arg, struct MHD_Connection *connection, void **slot,
                           enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *slot;

    (void)arg;
    (void)connection;
    *slot = NULL;
    if (x == NULL)
        return;
    reaper_move(x->door->reaper, x->conn, CONN_IDLE);
    chunks_end(x->door, &x->chunks);
    if (x->chunks.refused_with != 0) {
        x->sent_status = x->chunks.refused_with;
        x->sent_bytes = x->chunks.refused_bytes;
        atomic_fetch_add(&x->listener->requests, 1);
        code = MHD_REQUEST_TERMINATED_COMPLETED_OK;
    }
    tell_access(x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK && x->sent_status != 0);
    http_response_clear(&x->response);
    exchange_release_body(x);
    request_clear(&x->request);
    free(x);
}
