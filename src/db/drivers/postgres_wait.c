/* SPDX-License-Identifier: MIT */
/* Waiting for PostgreSQL under a deadline. */
#include "db/drivers/postgres.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

/* A TLS library may hold decrypted bytes that poll() cannot see, so no sleep is longer than this.
 * */
#define TLS_SLICE (50 * WEIR_MS)

/* Results of so few reads are not worth counting. */
#define FREE_READS 16
#define LIBPQ_ROOM 8192

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
bool weir__pg_read(struct pg_conn *conn)
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

bool weir__pg_take(struct pg_conn *conn, bool *was_null, PGresult **ret_result)
{
    *ret_result = PQgetResult(conn->pg);
    if (PQstatus(conn->pg) == CONNECTION_BAD)
        conn->is_lost = true;
    return goes_on(conn, was_null, ret_result);
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
            if (!weir__pg_read(conn))
                break; /* the socket is gone, so PQgetResult() answers at once, with the reason */
            if (conn->received > max_bytes)
                return WEIR_LIMIT;
        }
    } while (weir__pg_take(conn, &was_null, ret_result));
    return WEIR_OK;
}

weir_status weir__pg_command(struct pg_conn *conn, const char *sql, weir_time deadline,
                             PGresult **ret_result, weir_error *reterr)
{
    weir_status status = weir__pg_await_stop(conn, deadline, reterr);
    PGresult *last = NULL;
    PGresult *next = NULL;

    if (status != WEIR_OK)
        return status;
    if (!PQsendQuery(conn->pg, sql))
        return weir__pg_error(conn, NULL, reterr);
    while ((status = weir__pg_next(conn, deadline, INT64_MAX, &next)) == WEIR_OK && next != NULL) {
        PQclear(last);
        last = next;
    }
    if (status != WEIR_OK) {
        weir__pg_stop(conn);
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
