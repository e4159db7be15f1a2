/* SPDX-License-Identifier: MIT */
/* One thread, one poll(), a fixed number of connections. */
#include "verify_site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 64
#define HEAD_LIMIT 4096

struct client {
    char head[HEAD_LIMIT];
    size_t size;
};

struct verify_site {
    char url[64];
    pthread_t thread;
    int stop_fd;
    /* The two last fixed places: the end, and the listener; before them one for each client. */
    struct pollfd fds[CLIENTS + 2];
    struct client clients[CLIENTS];
    _Atomic int failures_left; /* written by the user; counted down by the thread alone */
    _Atomic int connections;   /* these two are counted by the thread alone */
    _Atomic int requests;
};

#define STOP_AT CLIENTS
#define LISTEN_AT (CLIENTS + 1)

static void drop(struct verify_site *site, size_t at)
{
    close(site->fds[at].fd);
    site->fds[at].fd = -1;
    site->clients[at].size = 0;
}

static bool is_to_fail(struct verify_site *site)
{
    int left = atomic_load(&site->failures_left);

    if (left > 0)
        atomic_store(&site->failures_left, left - 1);
    return left != 0;
}

/* The answer is short enough for the buffer of any socket, so it is written at once or not at all. */
static void answer(struct verify_site *site, size_t at)
{
    static const char fine[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    static const char failed[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    const char *text = is_to_fail(site) ? failed : fine;

    atomic_fetch_add(&site->requests, 1);
    if (send(site->fds[at].fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) !=
        (ssize_t)strlen(text))
        drop(site, at);
}

static void read_request(struct verify_site *site, size_t at)
{
    struct client *client = &site->clients[at];
    ssize_t got = recv(site->fds[at].fd, client->head + client->size, HEAD_LIMIT - 1 - client->size,
                       MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        drop(site, at);
        return;
    }
    client->size += (size_t)got;
    client->head[client->size] = '\0';
    if (strstr(client->head, "\r\n\r\n") != NULL) {
        client->size = 0;
        answer(site, at);
    } else if (client->size == HEAD_LIMIT - 1) {
        drop(site, at);
    }
}

static void accept_client(struct verify_site *site)
{
    int on = 1;
    int fd = accept4(site->fds[LISTEN_AT].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    atomic_fetch_add(&site->connections, 1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (site->fds[i].fd < 0) {
            site->fds[i].fd = fd;
            return;
        }
    }
    close(fd);
}

static void *serve(void *arg)
{
    struct verify_site *site = arg;

    while (site->fds[STOP_AT].revents == 0) {
        if (poll(site->fds, CLIENTS + 2, -1) < 0)
            continue;
        for (size_t i = 0; i < CLIENTS; i++) {
            if (site->fds[i].fd >= 0 && site->fds[i].revents != 0)
                read_request(site, i);
        }
        if (site->fds[LISTEN_AT].revents != 0)
            accept_client(site);
    }
    return NULL;
}

/* Listen on a port that the system chooses; -1 with errno. */
static int listen_on_loopback(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, CLIENTS) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void free_site(struct verify_site *site)
{
    for (size_t i = 0; i < CLIENTS + 2; i++) {
        if (site->fds[i].fd >= 0)
            close(site->fds[i].fd);
    }
    free(site);
}

weir_status verify_site_start(struct verify_site **ret_site, weir_error *reterr)
{
    struct verify_site *site = calloc(1, sizeof *site);
    int port = 0;

    if (site == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start a server on loopback: out of memory");
    for (size_t i = 0; i < CLIENTS + 2; i++)
        site->fds[i] = (struct pollfd){-1, POLLIN, 0};
    site->fds[STOP_AT].fd = site->stop_fd = eventfd(0, EFD_CLOEXEC);
    site->fds[LISTEN_AT].fd = listen_on_loopback(&port);
    int code = errno;
    if (site->stop_fd >= 0 && site->fds[LISTEN_AT].fd >= 0) {
        snprintf(site->url, sizeof site->url, "http://127.0.0.1:%d/", port);
        code = pthread_create(&site->thread, NULL, serve, site);
        if (code == 0) {
            *ret_site = site;
            return WEIR_OK;
        }
    }
    free_site(site);
    weir_error_set(reterr, WEIR_SYSTEM, "start a server on loopback: %s", strerror(code));
    return WEIR_SYSTEM;
}

void verify_site_stop(struct verify_site *site)
{
    if (site == NULL)
        return;
    eventfd_write(site->stop_fd, 1);
    pthread_join(site->thread, NULL);
    free_site(site);
}

const char *verify_site_url(const struct verify_site *site)
{
    return site->url;
}

void verify_site_fail(struct verify_site *site, int count)
{
    atomic_store(&site->failures_left, count);
}

int verify_site_connections(struct verify_site *site)
{
    return atomic_load(&site->connections);
}

int verify_site_requests(struct verify_site *site)
{
    return atomic_load(&site->requests);
}
