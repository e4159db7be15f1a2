/* SPDX-License-Identifier: MIT */
/* Cancel requests: each is a connection of its own, sent without anybody having to wait for it. */
#include "common/hash.h"
#include "common/lock.h"
#include "db/drivers/postgres.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* The pause between an answered cancel and the next doubles up to this. */
#define LONGEST_PAUSE (2 * WEIR_SECOND)

/* When to try again what could not be sent. */
static void put_off(struct pg_cancel *cancel, weir_time now)
{
    cancel->send_at = now + cancel->pause;
    cancel->pause = cancel->pause * 2 < LONGEST_PAUSE ? cancel->pause * 2 : LONGEST_PAUSE;
}

#ifdef WEIR_WITH_PQ_CANCEL

/*
 * libpq 17 and later: without blocking, and with TLS where the connection has it. The watcher polls
 * the request's socket beside those of the sessions.
 */
struct pg_request {
    PGcancelConn *conn;
    PostgresPollingStatusType next;
};

static void request_free(struct pg_request *request)
{
    PQcancelFinish(request->conn);
    free(request);
}

static struct pg_request *request_new(PGconn *pg)
{
    struct pg_request *request = calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->next = PGRES_POLLING_WRITING;
    request->conn = PQcancelCreate(pg);
    if (request->conn != NULL && PQcancelStart(request->conn))
        return request;
    request_free(request);
    return NULL;
}

void weir__pg_request_start(struct pg_cancel *cancel, weir_time now)
{
    if (cancel->request != NULL || cancel->is_drained || now < cancel->send_at)
        return;
    cancel->request = request_new(cancel->conn->pg);
    if (cancel->request == NULL)
        put_off(cancel, now);
}

int weir__pg_request_socket(const struct pg_cancel *cancel, short *ret_events)
{
    if (cancel->request == NULL)
        return -1;
    *ret_events = cancel->request->next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    return PQcancelSocket(cancel->request->conn);
}

void weir__pg_request_step(struct pg_cancel *cancel, weir_time now)
{
    struct pollfd poller = {0};

    if (cancel->request == NULL)
        return;
    poller.fd = weir__pg_request_socket(cancel, &poller.events);
    if (poll(&poller, 1, 0) == 0)
        return;
    cancel->request->next = PQcancelPoll(cancel->request->conn);
    if (cancel->request->next == PGRES_POLLING_READING ||
        cancel->request->next == PGRES_POLLING_WRITING)
        return;
    request_free(cancel->request);
    cancel->request = NULL;
    put_off(cancel, now);
}

void weir__pg_request_abandon(struct pg_cancel *cancel)
{
    if (cancel->request != NULL)
        request_free(cancel->request);
    cancel->request = NULL;
}

void weir__pg_requests_hold(void)
{
}

void weir__pg_requests_let_go(bool is_child)
{
    (void)is_child;
}

#else

/*
 * libpq 14 to 16 have PQcancel() alone: it connects, sends and waits for the answer, blocking,
 * without any limit of time, and never with TLS. So each runs on a thread of the process's; a
 * server that does not answer keeps at most MOST_OF_SERVER of them, and its other cancels wait.
 */
#define MOST_OF_SERVER 4
#define MOST_ON_THEIR_WAY 24

enum request_state { REQUEST_SENT, REQUEST_ANSWERED, REQUEST_ABANDONED };

/* Two own it, the watcher and the thread that sends it; whoever leaves last frees it. */
struct pg_request {
    struct pg_task task; /* first, so that it is the request */
    PGcancel *pg;
    uint64_t server;
    _Atomic int state; /* from SENT by either, with acquire and release: the second frees */
};

/* Whose requests are on their way; 0: nobody's. */
static struct weir__mutex lock = WEIR_MUTEX_INITIALIZER;
static uint64_t on_their_way[MOST_ON_THEIR_WAY];

static bool count_in(uint64_t server)
{
    uint64_t *place = NULL;
    int same = 0;

    weir__lock(&lock);
    for (int i = 0; i < MOST_ON_THEIR_WAY; i++) {
        same += on_their_way[i] == server;
        if (on_their_way[i] == 0)
            place = &on_their_way[i];
    }
    bool is_in = place != NULL && same < MOST_OF_SERVER;
    if (is_in)
        *place = server;
    weir__unlock(&lock);
    return is_in;
}

static void count_out(uint64_t server)
{
    int i = 0;

    weir__lock(&lock);
    while (on_their_way[i] != server)
        i++;
    on_their_way[i] = 0;
    weir__unlock(&lock);
}

void weir__pg_requests_hold(void) WEIR_ACQUIRES(lock)
{
    weir__lock(&lock);
}

void weir__pg_requests_let_go(bool is_child) WEIR_RELEASES(lock)
{
    if (is_child)
        memset(on_their_way, 0, sizeof(on_their_way));
    weir__unlock(&lock);
}

static uint64_t mix(uint64_t hash, const char *text)
{
    return fnv1a(fnv1a_text(hash, text != NULL ? text : ""), '/');
}

/* A number for the server of a connection; never 0. */
static uint64_t server_of(PGconn *pg)
{
    uint64_t hash = mix(FNV1A_START, PQhost(pg));

    hash = mix(hash, PQhostaddr(pg));
    return mix(hash, PQport(pg)) | 1;
}

static void request_free(struct pg_request *request)
{
    PQfreeCancel(request->pg);
    free(request);
}

static void send_request(struct pg_task *task)
{
    struct pg_request *request = (struct pg_request *)task;
    const struct pg_request *answered = request;
    char error[256];

    if (atomic_load_explicit(&request->state, memory_order_relaxed) != REQUEST_ABANDONED)
        PQcancel(request->pg, error, sizeof(error));
    count_out(request->server);
    if (atomic_exchange_explicit(&request->state, REQUEST_ANSWERED, memory_order_acq_rel) ==
        REQUEST_ABANDONED) {
        request_free(request);
        answered = NULL;
    }
    weir__pg_canceller_answered(answered);
}

/* NULL: out of memory, or no thread. The place is counted already, and given up then. */
static struct pg_request *request_new(PGconn *pg, uint64_t server)
{
    struct pg_request *request = calloc(1, sizeof(*request));

    if (request == NULL)
        goto fail;
    request->task.run = send_request;
    request->server = server;
    request->pg = PQgetCancel(pg);
    if (request->pg != NULL && weir__pg_workers_run(&request->task))
        return request;
    request_free(request);
fail:
    count_out(server);
    return NULL;
}

void weir__pg_request_start(struct pg_cancel *cancel, weir_time now)
{
    if (cancel->request != NULL || cancel->is_drained || now < cancel->send_at)
        return;
    uint64_t server = server_of(cancel->conn->pg);
    cancel->is_capped = !count_in(server);
    if (cancel->is_capped)
        return;
    cancel->request = request_new(cancel->conn->pg, server);
    if (cancel->request == NULL)
        put_off(cancel, now);
}

void weir__pg_request_step(struct pg_cancel *cancel, weir_time now)
{
    if (cancel->request == NULL ||
        atomic_load_explicit(&cancel->request->state, memory_order_acquire) == REQUEST_SENT)
        return;
    request_free(cancel->request);
    cancel->request = NULL;
    put_off(cancel, now);
}

void weir__pg_request_abandon(struct pg_cancel *cancel)
{
    if (cancel->request != NULL &&
        atomic_exchange_explicit(&cancel->request->state, REQUEST_ABANDONED,
                                 memory_order_acq_rel) == REQUEST_ANSWERED)
        request_free(cancel->request);
    cancel->request = NULL;
}

int weir__pg_request_socket(const struct pg_cancel *cancel, short *ret_events)
{
    (void)cancel;
    *ret_events = 0;
    return -1;
}

#endif
