/* SPDX-License-Identifier: MIT */
/* Opening a connection: the addresses of a name side by side, in the order and at the pace of RFC 8305. */
#include "http/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- whose trouble it is ----------------------------------------------------------------- */

bool weir__is_local_error(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EADDRNOTAVAIL: /* no free local port, or no local address of this kind */
    case EAGAIN:        /* no place in the kernel's tables */
    case EPERM:         /* a filter of this machine's */
        return true;
    default:
        return false;
    }
}

static void *do_nothing(void *arg)
{
    return arg;
}

int weir__lacking(void)
{
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = descriptor < 0 ? errno : 0;
    pthread_t thread;

    if (descriptor >= 0)
        close(descriptor);
    if (error == 0)
        error = pthread_create(&thread, NULL, do_nothing, NULL);
    if (error == 0)
        pthread_join(thread, NULL);
    return weir__is_local_error(error) ? error : 0;
}

/* What tells most of why nobody could be reached: an answer of the other side, then what this machine
 * lacks, then that there is no way there (as for IPv6 where only IPv4 is in use). */
static int weight_of(int error)
{
    if (error == 0)
        return 0;
    if (error == ENETUNREACH || error == EAFNOSUPPORT)
        return 1;
    return weir__is_local_error(error) ? 2 : 3;
}

/* ---- addresses --------------------------------------------------------------------------- */

void weir__dial_init(struct dial *dial)
{
    dial->is_lending = false;
    dial->has_looked_up = false;
    dial->is_renewed = false;
    dial->connected = -1;
    dial->next_at = 0;
    dial->asked = 0;
    dial->count = 0;
    dial->begun = 0;
}

static void close_socket(int *socket)
{
    if (*socket >= 0)
        close(*socket);
    *socket = -1;
}

void weir__dial_clear(struct dial *dial)
{
    for (size_t i = 0; i < dial->count; i++)
        close_socket(&dial->addresses[i].socket);
    close_socket(&dial->connected);
    dial->count = 0;
}

static bool is_known(const struct dial *dial, const struct curl_sockaddr *address)
{
    for (size_t i = 0; i < dial->count; i++)
        if (dial->addresses[i].size == address->addrlen &&
            memcmp(&dial->addresses[i].address, &address->addr, address->addrlen) == 0)
            return true;
    return false;
}

static void note_address(struct dial *dial, const struct curl_sockaddr *address)
{
    if (dial->count == DIAL_ADDRESSES || address->addrlen > sizeof(struct sockaddr_storage) ||
        is_known(dial, address))
        return;

    struct dial_address *a = &dial->addresses[dial->count++];
    memcpy(&a->address, &address->addr, address->addrlen);
    a->size = address->addrlen;
    a->socktype = address->socktype;
    a->protocol = address->protocol;
    a->is_begun = false;
    a->socket = -1;
    a->error = 0;
}

curl_socket_t weir__dial_socket(struct dial *dial, const struct curl_sockaddr *address)
{
    int lent = dial->connected;

    dial->asked++;
    if (!dial->is_lending) {
        note_address(dial, address);
        return CURL_SOCKET_BAD;
    }
    dial->connected = -1;
    return lent < 0 ? CURL_SOCKET_BAD : lent;
}

/* ---- steps ------------------------------------------------------------------------------- */

/* The socket is the one to be lent; what else is under way is not needed any more. */
static void win(struct dial *dial, struct dial_address *a)
{
    dial->connected = a->socket;
    a->socket = -1;
    for (size_t i = 0; i < dial->count; i++)
        close_socket(&dial->addresses[i].socket);
}

static void lose(struct dial *dial, struct dial_address *a, int error)
{
    close_socket(&a->socket);
    a->error = error;
    dial->next_at = 0; /* the next one need not wait for this one */
}

/* Look at an address under way. Not by another connect(): libcurl 7.88 does that with what is lent to it,
 * and only the first one of a socket that is connected says so. */
static void look(struct dial *dial, struct dial_address *a)
{
    struct pollfd poller = {a->socket, POLLOUT, 0};
    socklen_t size = sizeof(int);
    int error = 0;

    if (poll(&poller, 1, 0) != 1)
        return;
    if (getsockopt(a->socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error == 0)
        win(dial, a);
    else
        lose(dial, a, error);
}

static void begin(struct dial *dial, struct dial_address *a, weir_time now)
{
    a->is_begun = true;
    dial->begun++;
    dial->next_at = now + DIAL_PACE;
    a->socket =
        socket(a->address.ss_family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
    if (a->socket < 0)
        lose(dial, a, errno);
    else if (connect(a->socket, (const struct sockaddr *)&a->address, a->size) == 0)
        win(dial, a);
    else if (errno != EINPROGRESS)
        lose(dial, a, errno);
}

/* The next one: of the family that the last one was not of, if there is one (RFC 8305, 4). */
static struct dial_address *next_address(struct dial *dial)
{
    struct dial_address *next = NULL;
    int families[2] = {0, 0}; /* begun: IPv6, others */

    for (size_t i = 0; i < dial->count; i++)
        if (dial->addresses[i].is_begun)
            families[dial->addresses[i].address.ss_family != AF_INET6]++;
    for (size_t i = 0; i < dial->count; i++) {
        struct dial_address *a = &dial->addresses[i];
        bool is_other = a->address.ss_family != AF_INET6;

        if (a->is_begun)
            continue;
        if (families[is_other] < families[!is_other])
            return a;
        if (next == NULL)
            next = a;
    }
    return next;
}

static bool is_pending(const struct dial *dial)
{
    for (size_t i = 0; i < dial->count; i++)
        if (dial->addresses[i].socket >= 0)
            return true;
    return false;
}

enum dial_state weir__dial_step(struct dial *dial, weir_time now)
{
    for (size_t i = 0; i < dial->count && dial->connected < 0; i++)
        if (dial->addresses[i].socket >= 0)
            look(dial, &dial->addresses[i]);
    while (dial->connected < 0 && dial->begun < dial->count && now >= dial->next_at)
        begin(dial, next_address(dial), now);
    if (dial->connected >= 0)
        return DIAL_IS_READY;
    return is_pending(dial) ? DIAL_WAITS : DIAL_FAILED;
}

bool weir__dial_should_renew(struct dial *dial, enum dial_state state, weir_time now)
{
    bool is_due = state == DIAL_FAILED ||
                  (state == DIAL_WAITS && dial->begun == dial->count && now >= dial->next_at);

    if (!is_due || dial->has_looked_up || dial->is_renewed)
        return false;
    dial->is_renewed = true;
    return true;
}

unsigned weir__dial_waits(const struct dial *dial, struct curl_waitfd *ret_waits,
                          weir_time *ret_until)
{
    bool has_next =
        dial->begun < dial->count || (!dial->has_looked_up && !dial->is_renewed && dial->count > 0);
    unsigned count = 0;

    for (size_t i = 0; i < dial->count; i++)
        if (dial->addresses[i].socket >= 0)
            ret_waits[count++] =
                (struct curl_waitfd){dial->addresses[i].socket, CURL_WAIT_POLLOUT, 0};
    *ret_until = has_next ? dial->next_at : WEIR_DEADLINE_NEVER;
    return count;
}

/* ---- why there is none ------------------------------------------------------------------- */

static void write_address(const struct dial_address *a, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a->address;
    const struct sockaddr_in *four = (const struct sockaddr_in *)&a->address;
    bool is_six = a->address.ss_family == AF_INET6;

    inet_ntop(a->address.ss_family, is_six ? (const void *)&six->sin6_addr : &four->sin_addr, host,
              sizeof host);
    snprintf(text, size, "%s port %d", host, ntohs(is_six ? six->sin6_port : four->sin_port));
}

int weir__dial_describe(const struct dial *dial, char *text, size_t size)
{
    const struct dial_address *worst = &dial->addresses[0];
    char address[INET6_ADDRSTRLEN + sizeof " port 65535"];
    char more[64] = "";

    for (size_t i = 1; i < dial->count; i++)
        if (weight_of(dial->addresses[i].error) > weight_of(worst->error))
            worst = &dial->addresses[i];
    write_address(worst, address, sizeof address);
    if (dial->count > 1)
        snprintf(more, sizeof more, " (and %zu more address%s)", dial->count - 1,
                 dial->count == 2 ? "" : "es");
    snprintf(text, size, "%s: %s%s", address, strerror(worst->error), more);
    return weir__is_local_error(worst->error) ? worst->error : 0;
}
