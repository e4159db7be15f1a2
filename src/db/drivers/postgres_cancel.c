/* SPDX-License-Identifier: MIT */
/* One connection that is being cancelled: what is read of it, when it is asked again, and when it is given up. */
#include "db/drivers/postgres.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* The pause between an answered cancel and the next, to begin with; postgres_request.c makes it grow. */
#define FIRST_PAUSE (50 * WEIR_MS)

/* A TLS library may hold decrypted bytes that poll() cannot see, so no sleep is longer than this. */
#define TLS_SLICE (50 * WEIR_MS)

/* A session that was shut down is waited for as many times longer than it was cancelled. As long as
 * its socket lives, so does the server's end of it: TCP itself finds out when that is not so
 * (keepalives, TCP_USER_TIMEOUT), and what is busy without a look at its socket is still counted. */
#define SHUT_FACTOR 30

/* What a sender and a receiver may have on its way when a result has grown beyond its limit. */
#define ON_ITS_WAY ((int64_t)16 << 20)

/* So many pieces are thrown away in one step, and then others have their turn. */
#define MOST_PIECES 16

static weir_time limit_of(const struct pg_cancel *cancel)
{
    return cancel->conn->config->options.cancel_timeout_ms * WEIR_MS;
}

void weir__pg_cancel_begin(struct pg_cancel *cancel, weir_time now)
{
    cancel->has_lease = false;
    cancel->is_discarded = false;
    cancel->was_null = false;
    cancel->is_drained = false;
    cancel->is_shut = false;
    cancel->wants_write = false;
    cancel->is_capped = false;
    cancel->poll_index = 0;
    cancel->request = NULL;
    cancel->send_at = now;
    cancel->pause = FIRST_PAUSE;
    cancel->shut_at = now + limit_of(cancel);
    cancel->conn->reads = 0;
    cancel->conn->received = 0;
}

/* COPY has no end that could be waited for without a call for each of its rows. */
static void throw_away(struct pg_cancel *cancel, PGresult *result, weir_time now)
{
    struct pg_conn *conn = cancel->conn;

    cancel->is_drained = result == NULL;
    cancel->was_null = false;
    conn->received = 0;
    switch (PQresultStatus(result)) {
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        cancel->shut_at = now;
        break;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK: /* it changed the session all the same */
        weir__pg_note_command(conn, PQcmdStatus(result));
        break;
    default:
        break;
    }
    PQclear(result);
    if (cancel->is_drained)
        weir__pg_note_end(conn);
}

/* libpq keeps a result until it is complete, so one that grows beyond what a result may have is not
 * waited for. */
static void drain(struct pg_cancel *cancel, weir_time now)
{
    struct pg_conn *conn = cancel->conn;

    /* A failed flush or read needs no care here: PQgetResult() answers with the reason. */
    cancel->wants_write = PQflush(conn->pg) > 0;
    weir__pg_read(conn);
    if (conn->received > conn->config->options.max_result_bytes + ON_ITS_WAY)
        cancel->shut_at = now;
    while (!cancel->is_drained && !PQisBusy(conn->pg)) {
        PGresult *result = NULL;
        if (!weir__pg_take(conn, &cancel->was_null, &result))
            throw_away(cancel, result, now);
        if (cancel->shut_at <= now)
            return;
    }
}

/* The session is of no use any more: past libpq, and without keeping anything. */
static void await_end(struct pg_cancel *cancel)
{
    char rest[8192];

    for (int i = 0; i < MOST_PIECES; i++) {
        ssize_t count = recv(PQsocket(cancel->conn->pg), rest, sizeof(rest), MSG_DONTWAIT);
        if (count > 0)
            continue;
        if (count == 0 || (errno != EAGAIN && errno != EINTR))
            cancel->conn->is_lost = true;
        return;
    }
}

/* With the sending side closed, the server ends the session as soon as it looks: at its next
 * read, or, where client_connection_check_interval is set, in the middle of a statement. */
static void shut(struct pg_cancel *cancel, weir_time now)
{
    cancel->conn->is_broken = true;
    cancel->is_shut = true;
    cancel->close_at = now + SHUT_FACTOR * limit_of(cancel);
    shutdown(PQsocket(cancel->conn->pg), SHUT_WR);
}

enum cancel_end weir__pg_cancel_step(struct pg_cancel *cancel, weir_time now)
{
    struct pg_conn *conn = cancel->conn;

    if (cancel->is_shut)
        await_end(cancel);
    else if (!cancel->is_drained)
        drain(cancel, now);
    if (conn->is_lost)
        return CANCEL_BROKEN;
    if (cancel->is_drained && cancel->request == NULL)
        return CANCEL_CLEAN;
    if (cancel->is_drained && now >= cancel->shut_at) {
        /* A cancel that is never answered could still hit whatever runs next. */
        conn->is_broken = true;
        return CANCEL_BROKEN;
    }
    if (!cancel->is_shut && now >= cancel->shut_at)
        shut(cancel, now);
    if (!cancel->is_shut || now < cancel->close_at)
        return CANCEL_GOES_ON;
    conn->is_silent = true;
    return CANCEL_BROKEN;
}

int weir__pg_cancel_events(const struct pg_cancel *cancel)
{
    if (cancel->is_drained)
        return 0;
    return POLLIN | (cancel->wants_write && !cancel->is_shut ? POLLOUT : 0);
}

static weir_time earlier(weir_time a, weir_time b)
{
    return a < b ? a : b;
}

weir_time weir__pg_cancel_next(const struct pg_cancel *cancel, weir_time now)
{
    weir_time next = cancel->is_shut ? cancel->close_at : cancel->shut_at;

    if (cancel->is_drained)
        return next;
    if (cancel->request == NULL && !cancel->is_capped)
        next = earlier(next, cancel->send_at);
    return cancel->conn->is_tls && !cancel->is_shut ? earlier(next, now + TLS_SLICE) : next;
}
