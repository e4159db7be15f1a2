/* SPDX-License-Identifier: MIT */
/* What the kernel knows of the socket of a connection. */
#include "reaper.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

uint64_t conn_bytes_unread(const struct conn *conn)
{
    int unread = 0;

    return ioctl(conn->fd, SIOCINQ, &unread) == 0 && unread > 0 ? (uint64_t)unread : 0;
}

uint64_t conn_bytes_received(const struct conn *conn)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
        return UINT64_MAX;
    return info.tcpi_bytes_received;
}
