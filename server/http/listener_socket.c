/* SPDX-License-Identifier: MIT */
/* The listening socket: an address read, bound and listened on. */
#include "exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_host(const char *host, int port, union address *ret_address, socklen_t *ret_size)
{
    memset(ret_address, 0, sizeof(*ret_address));
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1) {
        ret_address->v4.sin_family = AF_INET;
        ret_address->v4.sin_port = htons((uint16_t)port);
        *ret_size = sizeof(ret_address->v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &ret_address->v6.sin6_addr) == 1) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons((uint16_t)port);
        *ret_size = sizeof(ret_address->v6);
        return true;
    }
    return false;
}

/* Accepted sockets inherit it. Bounds what the reaper can not see: a response that the kernel took, but
 * the client's does not acknowledge. */
void listener_tune_socket(int fd, const struct listener_options *options)
{
    const unsigned unacknowledged_ms = (unsigned)options->write_deadline_ms;

    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
}

/* Accepted sockets inherit all but the first two. "::" serves IPv4 too. */
static void tune_socket(int fd, const struct listener_options *options)
{
    const int on = 1;
    const int off = 0;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    listener_tune_socket(fd, options);
}

weir_status listener_bind(const struct listener_options *options, int *ret_socket,
                          weir_error *reterr)
{
    union address address;
    socklen_t size;
    int error;
    int fd;

    if (!parse_host(options->host, options->port, &address, &size))
        return weir_error_set(reterr, WEIR_INVALID,
                              "listener: host \"%s\": must be an IPv4 or IPv6 address or localhost",
                              options->host);
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        tune_socket(fd, options);
        /* Two that are bound but do not listen yet may share a port: only listening tells. */
        if (bind(fd, &address.any, size) == 0 && listen(fd, SOMAXCONN) == 0) {
            *ret_socket = fd;
            return WEIR_OK;
        }
    }
    error = errno;
    if (fd >= 0)
        close(fd);
    weir_error_set(reterr, WEIR_SYSTEM, "listen on %s port %d: %s", options->host, options->port,
                   strerror(error));
    if (reterr != NULL)
        reterr->native = error;
    return WEIR_SYSTEM;
}

int listener_socket_port(int socket)
{
    union address address;
    socklen_t size = sizeof(address);

    memset(&address, 0, sizeof(address));
    if (getsockname(socket, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}
