/* SPDX-License-Identifier: MIT */
/* For tests of HTTP sessions: a server that never accepts, so that whoever connects to it goes on connecting. */
#ifndef WEIR_TESTS_HTTP_DEAF_H
#define WEIR_TESTS_HTTP_DEAF_H

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEAF_QUEUE 4

/* A listener whose queue is full: the kernel drops what comes. */
struct deaf {
    int listener;
    int queued[DEAF_QUEUE];
    char url[64];
};

/* false: there is no such address here, or it is taken. */
static inline bool deaf_listen(struct deaf *deaf, const struct sockaddr *address, socklen_t size)
{
    struct sockaddr_storage own;
    socklen_t own_size = sizeof(own);

    deaf->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (deaf->listener < 0)
        return false;
    if (bind(deaf->listener, address, size) != 0) {
        close(deaf->listener);
        return false;
    }
    check_int(listen(deaf->listener, 0), 0);
    check_int(getsockname(deaf->listener, (struct sockaddr *)&own, &own_size), 0);
    for (int i = 0; i < DEAF_QUEUE; i++) {
        deaf->queued[i] = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        check(connect(deaf->queued[i], (struct sockaddr *)&own, own_size) == 0 ||
              errno == EINPROGRESS);
    }
    return true;
}

/* At 127.0.0.`last`; port 0 is any. */
static inline void deaf_open_at(struct deaf *deaf, int last, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof(address);

    address.sin_addr.s_addr = htonl(0x7F000000u + (uint32_t)last);
    check(deaf_listen(deaf, (struct sockaddr *)&address, size));
    check_int(getsockname(deaf->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(deaf->url, sizeof(deaf->url), "http://127.0.0.%d:%d/", last, ntohs(address.sin_port));
}

/* At ::1. false: as deaf_listen(). */
static inline bool deaf_open_v6(struct deaf *deaf, int port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                                   .sin6_port = htons((uint16_t)port)};

    return deaf_listen(deaf, (struct sockaddr *)&address, sizeof(address));
}

static inline void deaf_open(struct deaf *deaf)
{
    deaf_open_at(deaf, 1, 0);
}

static inline void deaf_close(struct deaf *deaf)
{
    for (int i = 0; i < DEAF_QUEUE; i++)
        close(deaf->queued[i]);
    close(deaf->listener);
}

#endif
