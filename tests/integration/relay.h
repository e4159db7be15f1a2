/* SPDX-License-Identifier: MIT */
/* For tests: a TCP relay in front of a server, which can fall silent, lose cancels and end late as networks do. */
#ifndef WEIR_TESTS_RELAY_H
#define WEIR_TESTS_RELAY_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RELAY_PAIRS 64
#define RELAY_CANCELS 64

/* What the client sees of the end of the server's side. */
enum relay_ending {
    RELAY_ENDS,       /* as the server does */
    RELAY_ENDS_LAST,  /* not before its own side has ended */
    RELAY_NEVER_ENDS, /* nothing, until the relay stops */
};

/* One connection: the client's side and the server's. */
struct relay_pair {
    int fd[2];
    bool has_ended[2]; /* nothing more comes from there */
};

/*
 * One thread carries bytes both ways for every connection. While `is_silent`, it accepts
 * connections and reads, but passes nothing on: to both sides the other one has stopped
 * answering. PostgreSQL's cancel requests are counted; the next `swallowed` of them get their
 * answer, which is the end of their connection, and never reach the server.
 */
struct relay {
    int listener;
    int port;
    int server_port;
    int pipe[2]; /* closing the second ends the thread */
    atomic_bool is_silent;
    _Atomic enum relay_ending ending;
    atomic_int swallowed;
    atomic_int cancels; /* written by the thread, after the time of the newest */
    struct timespec cancelled_at[RELAY_CANCELS];
    pthread_t thread;
    struct relay_pair pairs[RELAY_PAIRS];
    int count;
};

static inline int relay_connect(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void relay_drop(struct relay *relay, int pair)
{
    close(relay->pairs[pair].fd[0]);
    close(relay->pairs[pair].fd[1]);
    memmove(&relay->pairs[pair], &relay->pairs[pair + 1],
            (size_t)(--relay->count - pair) * sizeof(relay->pairs[0]));
}

/* The connection has ended, as far as its client may know. */
static inline void relay_finish(struct relay *relay, int pair)
{
    if (atomic_load(&relay->ending) == RELAY_NEVER_ENDS)
        relay->pairs[pair].has_ended[0] = relay->pairs[pair].has_ended[1] = true;
    else
        relay_drop(relay, pair);
}

/* Whether this is a cancel request that the server does not get: its code follows its length. */
static inline bool relay_swallows(struct relay *relay, const char *bytes, ssize_t count)
{
    static const char code[] = {0x04, (char)0xd2, 0x16, 0x2e};

    if (count < 16 || bytes[0] != 0 || memcmp(bytes + 4, code, sizeof(code)) != 0)
        return false;
    int number = atomic_load(&relay->cancels);
    if (number < RELAY_CANCELS)
        clock_gettime(CLOCK_MONOTONIC, &relay->cancelled_at[number]);
    atomic_store(&relay->cancels, number + 1);
    if (atomic_load(&relay->swallowed) == 0)
        return false;
    atomic_fetch_sub(&relay->swallowed, 1);
    return true;
}

/* One side has ended: whether the whole connection has. */
static inline bool relay_end(struct relay *relay, struct relay_pair *pair, int side)
{
    pair->has_ended[side] = true;
    if (side == 0 || atomic_load(&relay->ending) == RELAY_ENDS)
        shutdown(pair->fd[!side], SHUT_WR);
    return pair->has_ended[!side];
}

/* Carry what is there from one side to the other; false when the connection has ended. */
static inline bool relay_carry(struct relay *relay, struct relay_pair *pair, int side)
{
    char buffer[65536];
    ssize_t count = recv(pair->fd[side], buffer, sizeof(buffer), MSG_DONTWAIT);
    /* Then a server that resets the connection has ended as one that closes it. */
    bool is_late = atomic_load(&relay->ending) != RELAY_ENDS;

    if (count == 0 || (count < 0 && is_late))
        return !relay_end(relay, pair, side);
    if (count < 0 || (side == 0 && relay_swallows(relay, buffer, count)))
        return false;
    for (ssize_t sent = 0; sent < count && !atomic_load(&relay->is_silent);) {
        ssize_t step = send(pair->fd[!side], buffer + sent, (size_t)(count - sent), MSG_NOSIGNAL);
        if (step <= 0)
            return is_late;
        sent += step;
    }
    return true;
}

static inline void relay_accept(struct relay *relay)
{
    int client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    int server = client < 0 ? -1 : relay_connect(relay->server_port);

    if (server < 0 || relay->count == RELAY_PAIRS) {
        close(client);
        close(server);
        return;
    }
    relay->pairs[relay->count++] = (struct relay_pair){.fd = {client, server}};
}

static inline void *relay_run(void *arg)
{
    struct relay *relay = arg;
    struct pollfd polls[2 * RELAY_PAIRS + 2];

    for (;;) {
        int count = relay->count;
        polls[0] = (struct pollfd){.fd = relay->pipe[0], .events = POLLIN};
        polls[1] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
        for (int i = 0; i < 2 * count; i++) {
            const struct relay_pair *pair = &relay->pairs[i / 2];
            int fd = pair->has_ended[i % 2] ? -1 : pair->fd[i % 2];
            polls[2 + i] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
        if (poll(polls, (nfds_t)(2 + 2 * count), -1) < 0)
            continue;
        if (polls[0].revents != 0)
            break;
        for (int pair = count - 1; pair >= 0; pair--) {
            for (int side = 0; side < 2; side++) {
                if (polls[2 + 2 * pair + side].revents == 0)
                    continue;
                if (!relay_carry(relay, &relay->pairs[pair], side)) {
                    relay_finish(relay, pair);
                    break;
                }
            }
        }
        if (polls[1].revents != 0)
            relay_accept(relay);
    }
    while (relay->count > 0)
        relay_drop(relay, 0);
    return NULL;
}

/* Listen on a free port of 127.0.0.1 and relay to `server_port`. */
static inline bool relay_start(struct relay *relay, int server_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    memset(relay, 0, sizeof(*relay));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay->server_port = server_port;
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (relay->listener < 0 || bind(relay->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(relay->listener, RELAY_PAIRS) != 0 ||
        getsockname(relay->listener, (struct sockaddr *)&address, &size) != 0 ||
        pipe(relay->pipe) != 0)
        return false;
    relay->port = ntohs(address.sin_port);
    return pthread_create(&relay->thread, NULL, relay_run, relay) == 0;
}

static inline void relay_stop(struct relay *relay)
{
    close(relay->pipe[1]);
    pthread_join(relay->thread, NULL);
    close(relay->pipe[0]);
    close(relay->listener);
}

/* The URL with the port of its host replaced: `…@127.0.0.1:5432/db` → `…@127.0.0.1:6000/db`. */
static inline char *relay_url(const char *url, int port, char *room, size_t size)
{
    const char *host = strrchr(url, '@');
    const char *colon = host == NULL ? NULL : strchr(host, ':');
    const char *slash = colon == NULL ? NULL : strchr(colon, '/');

    if (slash == NULL)
        abort();
    snprintf(room, size, "%.*s:%d%s", (int)(colon - url), url, port, slash);
    return room;
}

/* The port a URL names. */
static inline int relay_port_of(const char *url)
{
    const char *host = strrchr(url, '@');
    const char *colon = host == NULL ? NULL : strchr(host, ':');

    return colon == NULL ? 0 : atoi(colon + 1);
}

#endif
