/* SPDX-License-Identifier: MIT */
/* Opening and closing PostgreSQL connections in bounded time. */
#include "db/drivers/postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long close() waits for the server to be done with a connection that was in good order. */
#define CLOSE_PATIENCE WEIR_SECOND

/* What PQconnectStartParams() takes, ended by NULL. */
struct keywords {
    const char **names;
    const char **values;
    size_t count;
    char *session; /* the value of `options` */
    char user_timeout[16];
};

/* ---- options ------------------------------------------------------------------------------- */

/* Refuse options of the URL that libpq does not know while there is still somebody to tell. */
weir_status weir__pg_engine_open(struct db_config *config, weir_error *reterr)
{
    PQconninfoOption *known = PQconndefaults();

    if (known == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "no memory for libpq's options");
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < config->url->option_count && status == WEIR_OK; i++) {
        const struct url_option *option = &config->url->options[i];
        const PQconninfoOption *same = known;
        while (same->keyword != NULL && strcmp(same->keyword, option->name) != 0)
            same++;
        if (!option->is_taken && same->keyword == NULL)
            status = weir_error_set(reterr, WEIR_INVALID,
                                    "URL option \"%s\": neither the pool, the database nor libpq "
                                    "knows it",
                                    option->name);
    }
    PQconninfoFree(known);
    return status;
}

static void add(struct keywords *keywords, const char *name, const char *value)
{
    if (value == NULL)
        return;
    keywords->names[keywords->count] = name;
    keywords->values[keywords->count] = value;
    keywords->count++;
}

static const char *url_value(const struct weir_url *url, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < url->option_count; i++) {
        if (!url->options[i].is_taken && strcmp(url->options[i].name, name) == 0)
            value = url->options[i].value;
    }
    return value;
}

static int host_count(const struct weir_url *url)
{
    const char *hosts = url_value(url, "host");
    int count = 1;

    if (hosts == NULL)
        hosts = url->host != NULL ? url->host : "";
    while ((hosts = strchr(hosts, ',')) != NULL) {
        hosts++;
        count++;
    }
    return count;
}

/*
 * What every session starts with. It goes with the connection's first message, so it costs nothing
 * and DISCARD ALL restores it. The server stops a statement a little before we would, which leaves
 * the connection usable. The URL's own `options` come later and win.
 */
static bool write_session(struct keywords *keywords, const struct db_config *config)
{
    const char *own = url_value(config->url, "options");
    size_t room = 96 + (own != NULL ? strlen(own) : 0);
    int timeout = config->options.statement_timeout_ms;
    int farewell = timeout / 5 < 1000 ? timeout / 5 : 1000;
    char limit[48] = "";

    keywords->session = malloc(room);
    if (keywords->session == NULL)
        return false;
    if (timeout > 0)
        snprintf(limit, sizeof(limit), " -c statement_timeout=%d", timeout - farewell);
    snprintf(keywords->session, room, "-c datestyle=ISO%s %s", limit, own != NULL ? own : "");
    return true;
}

/*
 * Later keywords win over earlier ones. A dead peer is found within about a minute: an idle one by
 * keepalives, one that owes us an acknowledgement by the user timeout. The latter is also how libpq
 * leaves a host that drops packets for the next in the list, so each gets its share of the time.
 */
static bool fill_keywords(struct keywords *keywords, const struct db_config *config)
{
    const struct weir_url *url = config->url;

    add(keywords, "host", url->host);
    add(keywords, "port", url->port);
    add(keywords, "user", url->user);
    add(keywords, "password", url->password);
    add(keywords, "dbname", url->database);
    snprintf(keywords->user_timeout, sizeof(keywords->user_timeout), "%d",
             config->options.connect_timeout_ms / host_count(url) + 1);
    add(keywords, "tcp_user_timeout", keywords->user_timeout);
    add(keywords, "keepalives_idle", "30");
    add(keywords, "keepalives_interval", "10");
    add(keywords, "keepalives_count", "3");
    for (size_t i = 0; i < url->option_count; i++) {
        if (!url->options[i].is_taken)
            add(keywords, url->options[i].name, url->options[i].value);
    }
    if (!write_session(keywords, config))
        return false;
    add(keywords, "options", keywords->session);
    add(keywords, "application_name", config->options.application_name);
    add(keywords, "client_encoding", "UTF8");
    return true;
}

static PGconn *start(const struct db_config *config)
{
    size_t room = config->url->option_count + 16;
    struct keywords keywords = {0};
    PGconn *pg = NULL;

    keywords.names = calloc(room, sizeof(*keywords.names));
    keywords.values = calloc(room, sizeof(*keywords.values));
    if (keywords.names != NULL && keywords.values != NULL && fill_keywords(&keywords, config))
        pg = PQconnectStartParams(keywords.names, keywords.values, 0);
    free(keywords.session);
    free(keywords.names);
    free(keywords.values);
    return pg;
}

/* ---- connecting ---------------------------------------------------------------------------- */

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

/* From the user timeout for connecting to that for working, unless the URL has its own. Failure is
 * fine: a unix socket has none. */
static void set_working_timeout(const struct pg_conn *conn)
{
    unsigned timeout_ms = 30000;

    if (url_value(conn->config->url, "tcp_user_timeout") == NULL)
        setsockopt(PQsocket(conn->pg), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
                   sizeof(timeout_ms));
}

static weir_status refuse(struct pg_conn *conn, weir_status status, weir_error *reterr)
{
    if (status == WEIR_TIMEOUT)
        weir_error_set(reterr, WEIR_CONNECT, "%s did not answer in time",
                       weir_url_redacted(conn->config->url));
    else
        weir__pg_error(conn, NULL, reterr);
    if (reterr != NULL)
        reterr->status = WEIR_CONNECT;
    PQfinish(conn->pg);
    free(conn);
    return WEIR_CONNECT;
}

/*
 * Looking up a host's name is the one step that libpq does without regard to the deadline: it takes
 * as long as the resolver's own limits let it.
 */
weir_status weir__pg_connect(struct db_config *config, weir_time deadline, void **ret_conn,
                             weir_error *reterr)
{
    struct pg_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "no memory for a connection");
    conn->config = config;
    conn->pg = start(config);
    if (conn->pg == NULL) {
        free(conn);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "no memory for a connection");
    }
    PQsetNoticeReceiver(conn->pg, hear_notice, conn);
    weir_status status = finish_connecting(conn->pg, deadline);
    if (status != WEIR_OK)
        return refuse(conn, status, reterr);
    if (PQsetnonblocking(conn->pg, 1) != 0)
        return refuse(conn, WEIR_CONNECT, reterr);
    set_working_timeout(conn);
    conn->is_tls = PQsslInUse(conn->pg) != 0;
    *ret_conn = conn;
    return WEIR_OK;
}

/* ---- closing ------------------------------------------------------------------------------- */

/* Wait until the server has closed its side: only then does it no longer count the session. */
static void await_goodbye(int fd)
{
    weir_time deadline = weir_now() + CLOSE_PATIENCE;
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

    /* A second descriptor keeps the socket when libpq has said goodbye and closed its own. */
    if (!conn->is_lost && !conn->is_silent)
        fd = fcntl(PQsocket(conn->pg), F_DUPFD_CLOEXEC, 0);
    PQfinish(conn->pg);
    if (fd >= 0) {
        await_goodbye(fd);
        close(fd);
    }
    while (conn->dropped != NULL) {
        struct pg_prepared *next = conn->dropped->next_dropped;
        weir__columns_unref(conn->dropped->columns);
        free(conn->dropped);
        conn->dropped = next;
    }
    free(conn);
}
