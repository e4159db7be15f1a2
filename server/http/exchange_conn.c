/* SPDX-License-Identifier: MIT */
/* The listener's connections: where they come from, and how they end. */
#include "exchange.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

static void describe_address(const struct sockaddr *address, char *out, size_t size)
{
    out[0] = '\0';
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

        inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)size);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, (socklen_t)size);
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)size);
    }
}

/* What MHD_get_connection_info() returns is valid until its next call, so each is read at once. */
static struct conn *open_conn(struct MHD_Connection *connection)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    const union MHD_ConnectionInfo *info;

    if (conn == NULL)
        return NULL;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    conn->fd = info == NULL ? -1 : info->connect_fd;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL)
        describe_address(info->client_addr, conn->ip, sizeof(conn->ip));
    return conn;
}

static void close_conn(struct door *door, struct conn *conn)
{
    bool was_cut = reaper_remove(door->reaper, conn);

    if (!was_cut && !conn->is_lingering && (conn->wants_linger || conn_bytes_unread(conn) > 0)) {
        int fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);

        if (fd >= 0)
            reaper_linger(door->reaper, fd);
    }
    free(conn);
}

void exchange_on_connection(void *arg, struct MHD_Connection *connection, void **slot,
                            enum MHD_ConnectionNotificationCode code)
{
    struct door *door = arg;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *slot = open_conn(connection);
        if (*slot != NULL)
            reaper_add(door->reaper, *slot);
        atomic_fetch_sub(&door->entering, 1);
        door->admitted++;
        return;
    }
    if (*slot != NULL)
        close_conn(door, *slot);
    *slot = NULL;
}
