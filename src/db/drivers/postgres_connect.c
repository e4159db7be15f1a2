/* SPDX-License-Identifier: MIT */
/* Opening and closing PostgreSQL connections in bounded time. */
#include "db/drivers/postgres_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long close() waits for the server to be done with a connection that was in good order. */
#define CLOSE_GRACE WEIR_SECOND

/* ---- one address --------------------------------------------------------------------------- */

/* The server's notices are nobody's business, except that a fatal one, sent to an idle session,
 * comes this way too. */
static void hear_notice(void *arg, const PGresult *notice)
{
    struct pg_conn *conn = arg;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        conn->is_lost = true;
}

/* Go on connecting until it is done, one way or the other, or the deadline. */
static weir_status finish_connecting(PGconn *pg, weir_time deadline)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    while (PQstatus(pg) != CONNECTION_BAD) {
        int events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (weir__pg_poll(PQsocket(pg), events, weir_now(), deadline) == 0)
            return WEIR_TIMEOUT;
        next = PQconnectPoll(pg);
        if (next == PGRES_POLLING_OK)
            return WEIR_OK;
        if (next == PGRES_POLLING_FAILED)
            return WEIR_CONNECT;
    }
    return WEIR_CONNECT;
}

/* From libpq's hands into the driver's. */
static weir_status take_over(struct pg_conn *conn, weir_time deadline, weir_error *reterr)
{
    PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);
    if (PQsetnonblocking(conn->pg, 1) != 0)
        return weir__pg_error(conn, NULL, reterr);
    conn->is_tls = PQsslInUse(conn->pg) != 0;
    return weir__pg_set_up(conn, deadline, reterr);
}

static weir_status say_late(PGconn *pg, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_CONNECT,
                          "\"%.100s\", port %.10s: the server did not answer in time", PQhost(pg),
                          PQport(pg));
}

/*
 * Connect as the keywords say, which name one address. libpq has no call that gives the SQLSTATE of
 * a refused connection (nor in 18); with verbose errors the message carries it.
 */
static weir_status try_keywords(struct db_config *config, const struct pg_keywords *keywords,
                                weir_time deadline, struct pg_conn **ret_conn, weir_error *reterr)
{
    struct pg_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect: out of memory");
    conn->config = config;
    conn->pg = PQconnectStartParams(keywords->names, keywords->values, 0);
    if (conn->pg == NULL) {
        free(conn);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect: out of memory");
    }
    PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn->pg, hear_notice, conn);
    weir_status status = finish_connecting(conn->pg, deadline);
    if (status == WEIR_CONNECT)
        weir__pg_refusal(conn->pg, reterr);
    else if (status == WEIR_OK)
        status = take_over(conn, deadline, reterr);
    weir__pg_take_back(conn);
    if (status == WEIR_TIMEOUT)
        status = say_late(conn->pg, reterr);
    if (status == WEIR_OK) {
        *ret_conn = conn;
        return WEIR_OK;
    }
    PQfinish(conn->pg);
    free(conn);
    return status;
}

/* ---- the walk over hosts and addresses ----------------------------------------------------- */

/*
 * libpq goes from host to host by itself, but leaves one only when the kernel does: a server that is
 * frozen, or a port behind which nobody speaks, has it wait for ever. So weir takes one address after
 * the other, and each has its share of the time that is left. As in libpq an answer of the server
 * ends the walk, unless it is that the server is starting up (57P03), or not what
 * target_session_attrs asks for.
 */
struct walk {
    struct db_config *config;
    struct pg_keywords keywords; /* their first `base` are every host's */
    size_t base;
    struct pg_hosts hosts;
    weir_time deadline;
    struct pg_conn *conn;
    weir_error failure; /* what all hosts said */
    bool is_over;
};

static weir_time share_of(weir_time deadline, size_t tries)
{
    weir_time now = weir_now();

    if (deadline == WEIR_DEADLINE_NEVER || tries == 1 || now >= deadline)
        return deadline;
    return now + (deadline - now) / (weir_time)tries;
}

static void note_failure(struct walk *walk, const weir_error *error)
{
    char before[WEIR_ERROR_TEXT];

    if (walk->failure.text[0] == '\0') {
        walk->failure = *error;
        return;
    }
    memcpy(before, walk->failure.text, sizeof(before));
    weir_error_set(&walk->failure, error->status, "%s; %s", before, error->text);
    memcpy(walk->failure.sqlstate, error->sqlstate, sizeof(error->sqlstate));
}

static bool ends_walk(const weir_error *error)
{
    return error->status == WEIR_NO_MEMORY ||
           (error->sqlstate[0] != '\0' && strcmp(error->sqlstate, "57P03") != 0);
}

static void try_address(struct walk *walk, const struct pg_host *host, const char *address,
                        weir_time deadline)
{
    struct pg_keywords *keywords = &walk->keywords;
    weir_error error = {0};

    keywords->count = walk->base;
    if (!walk->hosts.is_for_libpq) {
        weir__pg_keywords_add(keywords, "host", host->name);
        weir__pg_keywords_add(keywords, "hostaddr", address);
        weir__pg_keywords_add(keywords, "port", host->port);
    }
    keywords->names[keywords->count] = NULL;
    weir_status status = try_keywords(walk->config, keywords, deadline, &walk->conn, &error);
    if (status == WEIR_DISCONNECTED) /* ended by somebody as soon as it stood: again, once */
        status = try_keywords(walk->config, keywords, deadline, &walk->conn, &error);
    if (status != WEIR_OK) {
        note_failure(walk, &error);
        walk->is_over = ends_walk(&error);
    }
}

/* A path is a unix socket's, and @ begins the name of one without a file. */
static bool is_network_host(const struct pg_host *host)
{
    return host->name[0] != '\0' && host->name[0] != '/' && host->name[0] != '@';
}

static void try_name(struct walk *walk, const struct pg_host *host, weir_time deadline)
{
    struct pg_addresses addresses;
    weir_error error = {0};
    weir_status status = weir__pg_resolve(host->name, deadline, &addresses, &error);

    if (status == WEIR_TIMEOUT)
        status = weir_error_set(&error, WEIR_CONNECT,
                                "the address of host \"%.100s\" was not found in time", host->name);
    if (status != WEIR_OK) {
        note_failure(walk, &error);
        walk->is_over = status == WEIR_NO_MEMORY;
        return;
    }
    size_t first = walk->hosts.is_random ? weir__pg_choose(addresses.count) : 0;
    for (size_t i = 0; i < addresses.count && walk->conn == NULL && !walk->is_over; i++)
        try_address(walk, host, addresses.list[(first + i) % addresses.count],
                    share_of(deadline, addresses.count - i));
}

/* Once over the hosts; `later` hosts are left for another time over them. */
static void walk_once(struct walk *walk, size_t later)
{
    for (size_t i = 0; i < walk->hosts.count && walk->conn == NULL && !walk->is_over; i++) {
        const struct pg_host *host = &walk->hosts.list[i];
        weir_time deadline = share_of(walk->deadline, walk->hosts.count - i + later);
        if (host->address[0] == '\0' && is_network_host(host) && !walk->hosts.is_for_libpq)
            try_name(walk, host, deadline);
        else
            try_address(walk, host, host->address, deadline);
    }
}

/* prefer-standby: a standby among all of them, else any. */
static void walk_twice(struct walk *walk)
{
    size_t base = walk->base;

    weir__pg_keywords_add(&walk->keywords, "target_session_attrs", "standby");
    walk->base = walk->keywords.count;
    walk_once(walk, walk->hosts.count);
    if (walk->conn != NULL || walk->is_over)
        return;
    walk->failure = (weir_error){0};
    walk->keywords.count = base;
    weir__pg_keywords_add(&walk->keywords, "target_session_attrs", "any");
    walk_once(walk, 0);
}

weir_status weir__pg_connect(struct db_config *config, weir_time deadline, void **ret_conn,
                             weir_error *reterr)
{
    struct walk walk = {.config = config, .deadline = deadline};

    if (!weir__pg_keywords_init(&walk.keywords, config))
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect: out of memory");
    weir_status status = weir__pg_hosts_init(&walk.hosts, &walk.keywords, reterr);
    if (status == WEIR_OK) {
        walk.base = walk.keywords.count;
        if (walk.hosts.wanted == PG_PREFER_STANDBY)
            walk_twice(&walk);
        else
            walk_once(&walk, 0);
        weir__pg_hosts_clear(&walk.hosts);
        status = walk.failure.status == WEIR_NO_MEMORY ? WEIR_NO_MEMORY : WEIR_CONNECT;
    }
    weir__pg_keywords_clear(&walk.keywords);
    if (walk.conn != NULL) {
        walk.conn->wanted = walk.hosts.wanted;
        walk.conn->is_fitting = weir__pg_fits(walk.conn);
        *ret_conn = walk.conn;
        return WEIR_OK;
    }
    if (walk.failure.text[0] != '\0' && reterr != NULL) {
        *reterr = walk.failure;
        reterr->status = status;
    }
    return status;
}

/* ---- closing ------------------------------------------------------------------------------- */

/*
 * Wait until the server has closed its side: only then does it no longer count the session. A peer
 * that waits for us to close first (PGlite's socket server does not act on a Terminate) has seen our
 * side end by now.
 */
static void await_goodbye(int fd)
{
    weir_time deadline = weir_now() + CLOSE_GRACE;
    char rest[4096];

    while (weir__pg_poll(fd, POLLIN, weir_now(), deadline) != 0) {
        ssize_t count = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

void weir__pg_close(void *arg)
{
    struct pg_conn *conn = arg;
    int fd = -1;

    weir__pg_take_back(conn);
    weir__pg_note_close(conn);

    /* A second descriptor keeps the socket when libpq has said goodbye and closed its own. */
    if (!conn->is_lost && !conn->is_silent)
        fd = fcntl(PQsocket(conn->pg), F_DUPFD_CLOEXEC, 0);
    PQfinish(conn->pg);
    if (fd >= 0) {
        shutdown(fd, SHUT_WR);
        await_goodbye(fd);
        close(fd);
    }
    free(conn);
}
