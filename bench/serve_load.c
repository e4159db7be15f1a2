/* SPDX-License-Identifier: MIT */
/* Load for `weir serve`: many connections, each call the same GET as soon as its answer is there. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MOST 4096
#define ANSWER_MOST 65536
#define TIMES_MOST 4000000

struct client {
    int fd;
    int64_t sent_at;
    size_t size; /* of what has come of the answer */
    char answer[ANSWER_MOST];
};

/* What one run has come to. */
struct tally {
    uint64_t good;
    uint64_t busy; /* 503 */
    uint64_t bad;  /* any other answer, or none */
    uint32_t *times_us;
    size_t time_count;
};

static char request[4096];

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "serve_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void ask(struct client *client)
{
    size_t size = strlen(request);

    client->size = 0;
    client->sent_at = now_us();
    if (write(client->fd, request, size) != (ssize_t)size)
        fail("write");
}

/* The size of the whole answer, 0 while its head is not whole. */
static size_t whole_size(const struct client *client)
{
    const char *end = memmem(client->answer, client->size, "\r\n\r\n", 4);
    const char *length = end == NULL ? NULL : strcasestr(client->answer, "Content-Length:");

    if (end == NULL)
        return 0;
    size_t body = length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0;
    return (size_t)(end + 4 - client->answer) + body;
}

static void count(struct tally *tally, const struct client *client)
{
    int status = client->size > 12 ? atoi(client->answer + 9) : 0;

    tally->good += status == 200;
    tally->busy += status == 503;
    tally->bad += status != 200 && status != 503;
    if (status == 200 && tally->time_count < TIMES_MOST)
        tally->times_us[tally->time_count++] = (uint32_t)(now_us() - client->sent_at);
}

/* False when the server has closed the connection. */
static bool read_on(struct client *client, struct tally *tally)
{
    ssize_t got = recv(client->fd, client->answer + client->size, ANSWER_MOST - 1 - client->size,
                       MSG_DONTWAIT);

    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    client->size += (size_t)got;
    client->answer[client->size] = '\0';
    size_t whole = whole_size(client);
    if (whole == 0 || client->size < whole)
        return client->size < ANSWER_MOST - 1;
    count(tally, client);
    ask(client);
    return true;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double quantile_ms(const struct tally *tally, double fraction)
{
    if (tally->time_count == 0)
        return 0;
    return tally->times_us[(size_t)((double)(tally->time_count - 1) * fraction)] / 1000.0;
}

static void load(struct client *clients, int connections, double seconds, struct tally *tally)
{
    struct epoll_event events[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int64_t end = now_us() + (int64_t)(seconds * 1e6);

    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) != 0)
            fail("epoll");
        ask(&clients[i]);
    }
    while (now_us() < end) {
        int ready = epoll_wait(epoll, events, 64, 100);

        for (int i = 0; i < ready; i++) {
            if (!read_on(events[i].data.ptr, tally))
                fail("a connection was closed");
        }
    }
    close(epoll);
}

int main(int argc, char **argv)
{
    struct tally tally = {0};

    if (argc != 6 || atoi(argv[4]) < 1 || atoi(argv[4]) > CONNECTIONS_MOST) {
        fprintf(stderr, "usage: serve_load PORT PATH TOKEN CONNECTIONS SECONDS\n");
        return 2;
    }
    int connections = atoi(argv[4]);
    double seconds = atof(argv[5]);
    tally.times_us = calloc(TIMES_MOST, sizeof(uint32_t));
    struct client *clients = calloc((size_t)connections, sizeof *clients);
    if (clients == NULL || tally.times_us == NULL)
        fail("memory");
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", argv[2],
             argv[3]);
    for (int i = 0; i < connections; i++)
        clients[i].fd = connect_to(atoi(argv[1]));
    load(clients, connections, seconds, &tally);
    qsort(tally.times_us, tally.time_count, sizeof *tally.times_us, compare);
    printf("{\"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"busy\": %llu, \"bad\": %llu}\n",
           (double)tally.good / seconds, quantile_ms(&tally, 0.5), quantile_ms(&tally, 0.99),
           (unsigned long long)tally.busy, (unsigned long long)tally.bad);
    free(clients);
    free(tally.times_us);
    return 0;
}
