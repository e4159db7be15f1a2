/* SPDX-License-Identifier: MIT */
/* Waiting for PostgreSQL under a deadline, and stopping a statement that runs into it. */
#include "db/drivers/postgres.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

/* A TLS library may hold decrypted bytes that poll() cannot see, so no sleep is longer than this.
 * */
#define TLS_SLICE (50 * WEIR_MS)

/* Results of so few reads are not worth counting. */
#define FREE_READS 16
#define LIBPQ_ROOM 8192

/* At most this much of a statement's time is kept back for stopping it cleanly. */
#define LONGEST_FAREWELL (500 * WEIR_MS)

/* One sleep: whole milliseconds with poll(), whose timer costs less, and what remains with
 * ppoll(). */
static int sleep_once(struct pollfd *poller, weir_time now, weir_time deadline)
{
    if (deadline == WEIR_DEADLINE_NEVER)
        return poll(poller, 1, -1);
    weir_time left = deadline - now;
    if (left >= WEIR_MS)
        return poll(poller, 1, left < WEIR_SECOND * 1000 ? (int)(left / WEIR_MS) : 1000000);
    struct timespec rest = {.tv_nsec = left > 0 ? left : 0};
    return ppoll(poller, 1, &rest, NULL);
}

int weir__pg_poll(int fd, int events, weir_time now, weir_time deadline)
{
    struct pollfd poller = {.fd = fd, .events = (short)events};

    for (;;) {
        int count = sleep_once(&poller, now, deadline);
        if (count > 0)
            return poller.revents;
        if (count < 0 && errno != EINTR)
            return POLLERR;
        now = weir_now();
        if (count == 0 && now >= deadline)
            return 0;
    }
}

/* Sleep until the socket may have something for us; false at the deadline. */
static bool sleep_on_socket(struct pg_conn *conn, weir_time deadline)
{
    /* The first sleep of a statement comes so soon after its start that it need not ask the time.
     * */
    weir_time now = conn->asked_at != 0 ? conn->asked_at : weir_now();
    weir_time until = deadline;
    int events = POLLIN;

    conn->asked_at = 0;
    /* A failed flush needs no care here: libpq reports it after what the server had to say. */
    if (PQflush(conn->pg) > 0)
        events |= POLLOUT;
    if (conn->is_tls && now + TLS_SLICE < deadline)
        until = now + TLS_SLICE;
    return weir__pg_poll(PQsocket(conn->pg), events, now, until) != 0 || until != deadline;
}

/*
 * Read what is there. Nobody outside libpq can see how much it has read, so once a result is
 * longer than a few reads the kernel is asked how much lay there before and after. libpq always
 * has room for 8 KiB, so this counts at least what came, and with rows of common size no less
 * than half of it.
 */
static bool read_socket(struct pg_conn *conn)
{
    int before = 0;
    int after = 0;
    int fd = PQsocket(conn->pg);

    if (++conn->reads <= FREE_READS)
        return PQconsumeInput(conn->pg) != 0;
    ioctl(fd, FIONREAD, &before);
    bool is_fine = PQconsumeInput(conn->pg) != 0;
    if (is_fine)
        ioctl(fd, FIONREAD, &after);
    int least = before < LIBPQ_ROOM ? before : LIBPQ_ROOM;
    conn->received += before - after > least ? before - after : least;
    return is_fine;
}

/*
 * What was sent as a pipeline ends with the answer to its Sync, at which libpq leaves the mode; the
 * NULL behind each of its commands is none of the caller's business. True: there is more to come.
 * Two NULLs without a result between them mean that libpq waits for nothing any more.
 */
static bool goes_on(struct pg_conn *conn, bool *was_null, PGresult **result)
{
    if (PQpipelineStatus(conn->pg) == PQ_PIPELINE_OFF || conn->is_lost)
        return false;
    if (*result == NULL) {
        bool is_first = !*was_null;
        *was_null = true;
        return is_first;
    }
    if (PQresultStatus(*result) != PGRES_PIPELINE_SYNC)
        return false;
    PQclear(*result);
    *result = NULL;
    PQexitPipelineMode(conn->pg);
    return false;
}

weir_status weir__pg_next(struct pg_conn *conn, weir_time deadline, int64_t max_bytes,
                          PGresult **ret_result)
{
    bool was_null = false;

    conn->reads = 0;
    conn->received = 0;
    do {
        while (PQisBusy(conn->pg)) {
            if (!sleep_on_socket(conn, deadline))
                return WEIR_TIMEOUT;
            if (!read_socket(conn))
                break; /* the socket is gone, so PQgetResult() answers at once, with the reason */
            if (conn->received > max_bytes)
                return WEIR_LIMIT;
        }
        *ret_result = PQgetResult(conn->pg);
        if (PQstatus(conn->pg) == CONNECTION_BAD)
            conn->is_lost = true;
    } while (goes_on(conn, &was_null, ret_result));
    return WEIR_OK;
}

weir_time weir__pg_patience(weir_time now, weir_time deadline)
{
    if (deadline == WEIR_DEADLINE_NEVER)
        return deadline;
    weir_time farewell = (deadline - now) / 10;
    return deadline - (farewell < LONGEST_FAREWELL ? farewell : LONGEST_FAREWELL);
}

/* ---- cancelling ---------------------------------------------------------------------------- */

/*
 * A cancel under way. PQcancel() connects and waits without any limit of time, so it runs on a
 * thread of its own. Two own this, the thread and the one who waits for it; the last to leave
 * frees it.
 */
struct cancel {
    PGcancel *pg;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool has_ended;
    int owners;
};

/* More cancels than this at once mean that a server has stopped answering. */
#define MOST_CANCELS 16
static atomic_int cancels_running;

/* One owner leaves; the one who waits still finds everything in place until it leaves itself. */
static void cancel_leave(struct cancel *cancel, bool has_ended)
{
    pthread_mutex_lock(&cancel->lock);
    if (has_ended) {
        cancel->has_ended = true;
        pthread_cond_signal(&cancel->ended);
    }
    int owners = --cancel->owners;
    pthread_mutex_unlock(&cancel->lock);
    if (owners > 0)
        return;
    PQfreeCancel(cancel->pg);
    pthread_cond_destroy(&cancel->ended);
    pthread_mutex_destroy(&cancel->lock);
    free(cancel);
}

static void *cancel_run(void *arg)
{
    struct cancel *cancel = arg;
    char error[256];

    PQcancel(cancel->pg, error, sizeof(error));
    atomic_fetch_sub_explicit(&cancels_running, 1, memory_order_relaxed);
    cancel_leave(cancel, true);
    return NULL;
}

static struct cancel *cancel_new(PGconn *pg)
{
    struct cancel *cancel = calloc(1, sizeof(*cancel));
    pthread_condattr_t monotonic;

    if (cancel == NULL)
        return NULL;
    cancel->pg = PQgetCancel(pg);
    if (cancel->pg == NULL) {
        free(cancel);
        return NULL;
    }
    cancel->owners = 1;
    pthread_mutex_init(&cancel->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&cancel->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return cancel;
}

/* Start cancelling; NULL when it cannot be done. */
static struct cancel *cancel_start(PGconn *pg)
{
    struct cancel *cancel = cancel_new(pg);
    pthread_attr_t detached;
    pthread_t thread;

    if (cancel == NULL)
        return NULL;
    if (atomic_fetch_add_explicit(&cancels_running, 1, memory_order_relaxed) >= MOST_CANCELS)
        goto fail;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    cancel->owners = 2;
    int refused = pthread_create(&thread, &detached, cancel_run, cancel);
    pthread_attr_destroy(&detached);
    if (refused == 0)
        return cancel;
    cancel->owners = 1;
fail:
    atomic_fetch_sub_explicit(&cancels_running, 1, memory_order_relaxed);
    cancel_leave(cancel, false);
    return NULL;
}

/* Wait for the end of the cancel request; false at the deadline. */
static bool cancel_await(struct cancel *cancel, weir_time deadline)
{
    int waited = 0;

    pthread_mutex_lock(&cancel->lock);
    while (!cancel->has_ended && waited == 0) {
        if (deadline == WEIR_DEADLINE_NEVER) {
            waited = pthread_cond_wait(&cancel->ended, &cancel->lock);
            continue;
        }
        struct timespec until = {.tv_sec = deadline / WEIR_SECOND,
                                 .tv_nsec = deadline % WEIR_SECOND};
        waited = pthread_cond_timedwait(&cancel->ended, &cancel->lock, &until);
    }
    bool has_ended = cancel->has_ended;
    pthread_mutex_unlock(&cancel->lock);
    return has_ended;
}

/* Throw away all that still comes; false when it does not end by the deadline. */
static bool drain(struct pg_conn *conn, weir_time deadline)
{
    for (;;) {
        PGresult *result = NULL;
        if (weir__pg_next(conn, deadline, INT64_MAX, &result) != WEIR_OK)
            return false;
        if (result == NULL)
            return true;
        ExecStatusType kind = PQresultStatus(result);
        PQclear(result);
        if (kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT || kind == PGRES_COPY_BOTH)
            return false;
    }
}

/*
 * The statement's end alone does not make the connection clean: a cancel that is still on its way
 * could hit the next statement. PQcancel() returns after the server has sent the signal, and a
 * backend that gets it between two statements ignores it, so both ends together are enough.
 */
void weir__pg_stop(struct pg_conn *conn, weir_time deadline)
{
    struct cancel *cancel = cancel_start(conn->pg);

    conn->is_doubtful = true;
    if (cancel == NULL)
        return;
    bool has_drained = drain(conn, deadline);
    bool has_ended = cancel_await(cancel, deadline);
    conn->is_doubtful = !(has_drained && has_ended);
    conn->is_silent = !has_drained;
    cancel_leave(cancel, false);
}

weir_status weir__pg_command(struct pg_conn *conn, const char *sql, weir_time deadline,
                             PGresult **ret_result, weir_error *reterr)
{
    weir_status status = WEIR_OK;
    PGresult *last = NULL;
    PGresult *next = NULL;

    if (!PQsendQuery(conn->pg, sql))
        return weir__pg_error(conn, NULL, reterr);
    while ((status = weir__pg_next(conn, deadline, INT64_MAX, &next)) == WEIR_OK && next != NULL) {
        PQclear(last);
        last = next;
    }
    if (status != WEIR_OK) {
        conn->is_doubtful = conn->is_silent = true;
        PQclear(last);
        return weir__pg_timeout(reterr);
    }
    weir__pg_note_end(conn);
    if (last == NULL && !conn->is_lost)
        return weir__pg_no_answer(conn, reterr);
    if (last == NULL || PQresultStatus(last) == PGRES_FATAL_ERROR)
        status = weir__pg_error(conn, last, reterr);
    if (status == WEIR_OK && ret_result != NULL)
        *ret_result = last;
    else
        PQclear(last);
    return status;
}
