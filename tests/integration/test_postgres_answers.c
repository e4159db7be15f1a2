/* SPDX-License-Identifier: MIT */
/*
 * A PostgreSQL server that ends its answers without having given one, as a stand-in does when several
 * clients share its one session. Nothing but a peer of the test's own does that when it is wanted.
 */
#include "postgres_session.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* One connection, whose first query is refused, so that it is set up, and whose others are not
 * answered. */
struct peer {
    int listener;
    int port;
    pthread_t thread;
};

static bool take(int fd, void *room, size_t size)
{
    return recv(fd, room, size, MSG_WAITALL) == (ssize_t)size;
}

static uint32_t take_length(int fd)
{
    uint32_t length = 0;

    return take(fd, &length, sizeof(length)) ? ntohl(length) - 4 : 0;
}

static bool skip(int fd, uint32_t size)
{
    char rest[4096];

    return size == 0 || (size <= sizeof(rest) && take(fd, rest, size));
}

static void give(int fd, const char *bytes, size_t size)
{
    check_int(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static const char ready[] = {'Z', 0, 0, 0, 5, 'I'};
static const char welcome[] = {'R', 0, 0, 0, 8, 0, 0, 0, 0};
static const char refusal[] = "E\0\0\0\x33SERROR\0VERROR\0C42501\0Mnothing can be set here\0";

static void *serve(void *arg)
{
    const struct peer *peer = arg;
    int fd = accept(peer->listener, NULL, NULL);
    int queries = 0;
    char kind;

    (void)skip(fd, take_length(fd));
    give(fd, welcome, sizeof(welcome));
    give(fd, ready, sizeof(ready));
    while (take(fd, &kind, 1) && skip(fd, take_length(fd))) {
        if (kind == 'Q' && queries++ == 0)
            give(fd, refusal, sizeof(refusal));
        if (kind == 'Q' || kind == 'S')
            give(fd, ready, sizeof(ready));
    }
    close(fd);
    return NULL;
}

static void peer_start(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_int(bind(peer->listener, (struct sockaddr *)&address, size), 0);
    check_int(listen(peer->listener, 1), 0);
    check_int(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
    peer->port = ntohs(address.sin_port);
    check_int(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peer_stop(struct peer *peer)
{
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}

static void open_at(struct session *s, struct peer *peer, size_t cache_size)
{
    char url[128];

    peer_start(peer);
    snprintf(url, sizeof(url),
             "postgresql://weir@127.0.0.1:%d/weir?sslmode=disable&gssencmode=disable", peer->port);
    check(session_init(s, url, cache_size));
    check_int(session_connect(s, SOON), WEIR_OK);
}

static void is_over(struct session *s, struct peer *peer, weir_status status)
{
    check_int(status, WEIR_DISCONNECTED);
    check_contains(s->error.text, "without a result");
    check_int(driver.state(s->conn), CONN_BROKEN);
    session_close(s);
    peer_stop(peer);
}

static void a_statement_without_an_answer_is_no_success(void)
{
    static const size_t cache_sizes[] = {0, 8};
    weir_value value = weir_int(1);

    for (int i = 0; i < 2; i++) {
        struct session s;
        struct peer peer;
        weir_result *result = NULL;

        open_at(&s, &peer, cache_sizes[i]);
        weir_status status = session_query(&s, "SELECT 1", NULL, SOON, &result);
        check(result == NULL);
        is_over(&s, &peer, status);

        open_at(&s, &peer, cache_sizes[i]);
        status = session_query(&s, "SELECT $1", &value, SOON, &result);
        check(result == NULL);
        is_over(&s, &peer, status);

        open_at(&s, &peer, cache_sizes[i]);
        is_over(&s, &peer, session_query(&s, "INSERT INTO t VALUES (1)", NULL, SOON, NULL));
    }
}

static void nor_is_a_script_or_a_ping(void)
{
    struct session s;
    struct peer peer;

    open_at(&s, &peer, 8);
    is_over(&s, &peer, driver.script(s.conn, "SELECT 1; SELECT 2", SOON, &s.error));
    open_at(&s, &peer, 8);
    is_over(&s, &peer, driver.ping(s.conn, SOON, &s.error));
}

int main(void)
{
    run(a_statement_without_an_answer_is_no_success);
    run(nor_is_a_script_or_a_ping);
    return check_done();
}
