/* SPDX-License-Identifier: MIT */
/* The acceptor: accepts newcomers, and when the listener is full, sorts them by the first bytes they send. */
#include "listener_accept.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"
#include "health_request.h"
#include "listener_events.h"
#include "raw_response.h"
#include "threads/thread_start.h"

/* Taken from one socket, and events taken, before the others have their turn. */
enum { ACCEPTS = 64, EVENTS = 64 };

/* What is read ahead of a request, to tell what it asks for. */
enum { PEEK_BYTES = 128 };

/* How old a connection whose head has not arrived must be to make room for one whose head has. */
#define HALF_AGE (500 * WEIR_MS)

/* How long a newcomer may take for its first bytes when the listener is full; how often that is looked at. */
#define LOBBY_LIMIT WEIR_SECOND
enum { LOBBY_TICK_MS = 100 };

/* Connections whose memory is worth giving back, and how often it is looked whether they have left. */
enum { CROWD = 32, CROWD_TICK_MS = 500 };

/* How long the reserve's event thread may take to meet those it was handed. */
enum { CATCH_UP_MS = 200 };

/* How long the thread may take to close the main socket: longer than it waits anywhere. */
enum { CLOSE_MS = 2 * CATCH_UP_MS };

/* How long to wait when there are no descriptors at all, and how long a newcomer may stay before another
 * gets its descriptor or its place in the lobby: who asks for health does so at once. */
enum { PAUSE_MS = 10 };
#define LEAST_STAY (20 * WEIR_MS)

/* How long to wait when the lobby is full of newcomers that have not had that time. */
enum { CROWDED_MS = 1 };

/* One that came when the listener was full. Its bytes are looked at and left where they are. */
struct newcomer {
    int fd;
    weir_time since;
    bool is_spare; /* lives on a spare descriptor, so it cannot stay */
    struct sockaddr_storage address;
    socklen_t address_size;
};

struct acceptor {
    struct listener *listener;
    int epoll_fd;
    int wake_fd;
    atomic_bool is_closing; /* the main socket */
    atomic_bool has_closed; /* it: nobody comes in by the main door any more */
    atomic_bool is_stopping;
    pthread_t thread;

    /* Only the thread. */
    int sockets[ACCEPTOR_SOCKETS];
    int spares[ACCEPTOR_SPARES]; /* descriptors kept for newcomers; -1: in use */
    struct newcomer lobby[ACCEPTOR_LOBBY];
    size_t count;   /* of the lobby; the oldest come first */
    unsigned most;  /* connections that were open since memory was given back */
    weir_time left; /* since when most of these have left; 0: they have not */
};

/* ---- Letting in --------------------------------------------------------------------------- */

static void enter(struct door *door, const struct newcomer *newcomer)
{
    event_thread_enter(door->events, newcomer->fd, &newcomer->address, newcomer->address_size);
}

static bool has_room(const struct door *door)
{
    return reaper_count_open(door->reaper) + atomic_load(&door->entering) < door->limit;
}

/* Who asks for health always gets in: the oldest of those who have not asked yet, or rest, makes room. Those
 * whom the event thread has not met yet cannot be told apart, so there may be as many again of them. */
static void enter_reserve(struct acceptor *acceptor, const struct newcomer *newcomer)
{
    struct door *door = &acceptor->listener->reserve;

    for (int i = 0; i < CATCH_UP_MS && atomic_load(&door->entering) >= door->limit; i++)
        poll(NULL, 0, 1);
    if (has_room(door) || reaper_cut_oldest(door->reaper, CONN_HEADER, 0) ||
        reaper_cut_oldest(door->reaper, CONN_IDLE, 0) || atomic_load(&door->entering) < door->limit)
        enter(door, newcomer);
    else
        close(newcomer->fd);
}

/* Nothing of the request is read before it is refused but what has come. */
static void turn_away(struct acceptor *acceptor, int fd, bool is_head)
{
    struct listener *listener = acceptor->listener;
    struct conn conn = {.fd = fd};
    char id[REQUEST_ID_BYTES];
    char waste[4096];
    const struct raw_response response = {.status = 503,
                                          .reason = "Service Unavailable",
                                          .detail = "every connection is in use",
                                          .fields = "Retry-After: 1\r\n",
                                          .request_id = id,
                                          .is_head = is_head};

    listener_make_request_id(listener, id);
    if (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0 && raw_response_send(fd, &response)) {
        atomic_fetch_add(&listener->requests, 1);
        atomic_fetch_add(&listener->rejected_full, 1);
    }
    if (conn_bytes_unread(&conn) > 0)
        reaper_linger(listener->main.reaper, fd);
    else
        close(fd);
}

/* ---- The lobby ---------------------------------------------------------------------------- */

static void leave_lobby(struct acceptor *acceptor, size_t i)
{
    epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_DEL, acceptor->lobby[i].fd, NULL);
    memmove(&acceptor->lobby[i], &acceptor->lobby[i + 1],
            (--acceptor->count - i) * sizeof(acceptor->lobby[0]));
}

static void drop(struct acceptor *acceptor, size_t i)
{
    int fd = acceptor->lobby[i].fd;

    leave_lobby(acceptor, i);
    close(fd);
}

/* One that asks for anything but health: in, if there is room, or somebody who dawdles makes some. */
static void decide(struct acceptor *acceptor, const struct newcomer *newcomer, bool is_head)
{
    struct door *door = &acceptor->listener->main;

    if (!newcomer->is_spare && !atomic_load(&acceptor->is_closing) &&
        (has_room(door) || reaper_cut_oldest(door->reaper, CONN_HEADER, HALF_AGE)))
        enter(door, newcomer);
    else
        turn_away(acceptor, newcomer->fd, is_head);
}

/* Look at what the i-th has sent. False when it is no longer in the lobby. */
static bool look(struct acceptor *acceptor, size_t i)
{
    struct newcomer newcomer = acceptor->lobby[i];
    char head[PEEK_BYTES];
    ssize_t size = recv(newcomer.fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);

    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return true;
    if (size <= 0) {
        drop(acceptor, i);
        return false;
    }
    switch (health_request_find(acceptor->listener->health_paths, acceptor->listener->health_count,
                                head, (size_t)size)) {
    case HEALTH_REQUEST_UNKNOWN:
        return true;
    case HEALTH_REQUEST_YES:
        leave_lobby(acceptor, i);
        enter_reserve(acceptor, &newcomer);
        return false;
    case HEALTH_REQUEST_NO:
        leave_lobby(acceptor, i);
        decide(acceptor, &newcomer, head[0] == 'H');
        return false;
    }
    return true;
}

static void look_at_event(struct acceptor *acceptor, const struct epoll_event *event)
{
    for (size_t i = 0; i < acceptor->count; i++) {
        if (acceptor->lobby[i].fd != event->data.fd)
            continue;
        if (look(acceptor, i) && (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
            drop(acceptor, i);
        return;
    }
}

static void enter_lobby(struct acceptor *acceptor, const struct newcomer *newcomer)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = newcomer->fd};

    if (acceptor->count == ACCEPTOR_LOBBY)
        drop(acceptor, 0);
    acceptor->lobby[acceptor->count++] = *newcomer;
    if (look(acceptor, acceptor->count - 1) &&
        epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_ADD, newcomer->fd, &event) != 0)
        drop(acceptor, acceptor->count - 1);
}

static void drop_overdue(struct acceptor *acceptor)
{
    weir_time now = weir_now();

    while (acceptor->count > 0 && now - acceptor->lobby[0].since >= LOBBY_LIMIT)
        drop(acceptor, 0);
}

/* ---- Descriptors -------------------------------------------------------------------------- */

static void refill_spares(struct acceptor *acceptor)
{
    for (size_t i = 0; i < ACCEPTOR_SPARES; i++) {
        if (acceptor->spares[i] < 0)
            acceptor->spares[i] = fcntl(acceptor->wake_fd, F_DUPFD_CLOEXEC, 0);
    }
}

static bool free_a_spare(struct acceptor *acceptor)
{
    for (size_t i = 0; i < ACCEPTOR_SPARES; i++) {
        if (acceptor->spares[i] < 0)
            continue;
        close(acceptor->spares[i]);
        acceptor->spares[i] = -1;
        return true;
    }
    return false;
}

/* ---- Accepting ---------------------------------------------------------------------------- */

static bool somebody_waits(int socket)
{
    struct pollfd waiting = {socket, POLLIN, 0};

    return poll(&waiting, 1, 0) > 0;
}

/* Not one descriptor is left, and accept4() says so before it looks whether anybody is there. */
static void make_room(struct acceptor *acceptor, int socket)
{
    if (!somebody_waits(socket))
        return;
    if (acceptor->count > 0 && weir_now() - acceptor->lobby[0].since >= LEAST_STAY)
        drop(acceptor, 0);
    poll(NULL, 0, PAUSE_MS);
}

/* False when there is nobody, or nothing to do about the error at the moment. */
static bool accept_one(struct acceptor *acceptor, int socket, struct newcomer *newcomer)
{
    for (;;) {
        newcomer->address_size = sizeof(newcomer->address);
        newcomer->fd = accept4(socket, (struct sockaddr *)(void *)&newcomer->address,
                               &newcomer->address_size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (newcomer->fd >= 0)
            return true;
        if (errno == EMFILE || errno == ENFILE) {
            newcomer->is_spare = true;
            if (free_a_spare(acceptor))
                continue;
            make_room(acceptor, socket);
            return false;
        }
        if (errno == ECONNABORTED || errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            poll(NULL, 0, PAUSE_MS);
        return false;
    }
}

/* Whether another newcomer could only take the place of one that had no time to say what it asks for. */
static bool is_crowded(const struct acceptor *acceptor)
{
    return acceptor->count == ACCEPTOR_LOBBY && weir_now() - acceptor->lobby[0].since < LEAST_STAY;
}

static void accept_from(struct acceptor *acceptor, enum acceptor_socket which)
{
    struct listener *listener = acceptor->listener;

    for (int i = 0; i < ACCEPTS; i++) {
        struct newcomer newcomer = {.since = weir_now()};

        if (which == ACCEPTOR_MAIN &&
            is_crowded(acceptor)) { /* the kernel's queue keeps the others */
            poll(NULL, 0, CROWDED_MS);
            return;
        }
        if (!accept_one(acceptor, acceptor->sockets[which], &newcomer))
            return;
        if (which == ACCEPTOR_HEALTH)
            enter_reserve(acceptor, &newcomer);
        else if (!newcomer.is_spare && has_room(&listener->main))
            enter(&listener->main, &newcomer);
        else
            enter_lobby(acceptor, &newcomer);
    }
}

/* ---- Memory ------------------------------------------------------------------------------- */

/* What many connections took is kept by the allocator when they are gone, most of it for ever: when a
 * crowd has left, it is given back. */
static void give_memory_back(struct acceptor *acceptor)
{
    struct door *door = &acceptor->listener->main;
    unsigned open = reaper_count(door->reaper) + atomic_load(&door->entering);
    weir_time now = weir_now();

    if (open > acceptor->most)
        acceptor->most = open;
    if (acceptor->most < CROWD || open > acceptor->most / 4) {
        acceptor->left = 0;
    } else if (acceptor->left == 0) {
        acceptor->left = now; /* what they had is freed a little after they are counted out */
    } else if (now - acceptor->left >= CROWD_TICK_MS * WEIR_MS) {
        acceptor->most = open;
        acceptor->left = 0;
        malloc_trim(0);
    }
}

static int wait_ms(const struct acceptor *acceptor)
{
    if (acceptor->count > 0)
        return LOBBY_TICK_MS;
    return acceptor->most < CROWD ? -1 : CROWD_TICK_MS;
}

/* ---- The thread --------------------------------------------------------------------------- */

static void close_socket(struct acceptor *acceptor, enum acceptor_socket which)
{
    if (acceptor->sockets[which] >= 0)
        close(acceptor->sockets[which]);
    acceptor->sockets[which] = -1;
}

static void take_event(struct acceptor *acceptor, const struct epoll_event *event)
{
    uint64_t count;

    if (event->data.fd == acceptor->sockets[ACCEPTOR_MAIN])
        accept_from(acceptor, ACCEPTOR_MAIN);
    else if (event->data.fd == acceptor->sockets[ACCEPTOR_HEALTH])
        accept_from(acceptor, ACCEPTOR_HEALTH);
    else if (event->data.fd != acceptor->wake_fd)
        look_at_event(acceptor, event);
    else if (read(acceptor->wake_fd, &count, sizeof(count)) < 0)
        count = 0;
}

static void *serve(void *arg)
{
    struct acceptor *acceptor = arg;
    struct epoll_event events[EVENTS];

    while (!atomic_load(&acceptor->is_stopping)) {
        int count = epoll_wait(acceptor->epoll_fd, events, EVENTS, wait_ms(acceptor));

        for (int i = 0; i < count; i++)
            take_event(acceptor, &events[i]);
        drop_overdue(acceptor);
        refill_spares(acceptor);
        give_memory_back(acceptor);
        if (!atomic_load(&acceptor->is_closing))
            continue;
        close_socket(acceptor, ACCEPTOR_MAIN);
        atomic_store(&acceptor->has_closed, true);
    }
    return NULL;
}

static void wake(struct acceptor *acceptor)
{
    uint64_t one = 1;

    /* Fails only when the counter is full, and then the thread is awake anyway. */
    if (write(acceptor->wake_fd, &one, sizeof(one)) < 0)
        return;
}

/* ---- Life --------------------------------------------------------------------------------- */

static void free_acceptor(struct acceptor *acceptor)
{
    while (acceptor->count > 0)
        drop(acceptor, 0);
    while (free_a_spare(acceptor))
        continue;
    close_socket(acceptor, ACCEPTOR_MAIN);
    close_socket(acceptor, ACCEPTOR_HEALTH);
    if (acceptor->wake_fd >= 0)
        close(acceptor->wake_fd);
    if (acceptor->epoll_fd >= 0)
        close(acceptor->epoll_fd);
    free(acceptor);
}

static bool watch(struct acceptor *acceptor, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return fd < 0 || epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int start_thread(struct acceptor *acceptor)
{
    acceptor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    acceptor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (acceptor->wake_fd < 0 || acceptor->epoll_fd < 0 || !watch(acceptor, acceptor->wake_fd) ||
        !watch(acceptor, acceptor->sockets[ACCEPTOR_MAIN]) ||
        !watch(acceptor, acceptor->sockets[ACCEPTOR_HEALTH]))
        return errno;
    refill_spares(acceptor);
    return thread_start(&acceptor->thread, serve, acceptor);
}

weir_status acceptor_start(struct listener *listener, const int sockets[ACCEPTOR_SOCKETS],
                           struct acceptor **ret_acceptor, weir_error *reterr)
{
    struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
    int error;

    if (acceptor == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start the acceptor: out of memory");
    acceptor->listener = listener;
    memcpy(acceptor->sockets, sockets, sizeof(acceptor->sockets));
    for (size_t i = 0; i < ACCEPTOR_SPARES; i++)
        acceptor->spares[i] = -1;
    error = start_thread(acceptor);
    if (error == 0) {
        *ret_acceptor = acceptor;
        return WEIR_OK;
    }
    acceptor->sockets[ACCEPTOR_MAIN] = acceptor->sockets[ACCEPTOR_HEALTH] = -1;
    free_acceptor(acceptor);
    weir_error_set(reterr, WEIR_SYSTEM, "start the acceptor: %s", strerror(error));
    if (reterr != NULL)
        reterr->native = error;
    return WEIR_SYSTEM;
}

void acceptor_close_main(struct acceptor *acceptor)
{
    atomic_store(&acceptor->is_closing, true);
    wake(acceptor);
    for (int i = 0; i < CLOSE_MS && !atomic_load(&acceptor->has_closed); i++)
        poll(NULL, 0, 1);
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (acceptor == NULL)
        return;
    atomic_store(&acceptor->is_stopping, true);
    wake(acceptor);
    pthread_join(acceptor->thread, NULL);
    free_acceptor(acceptor);
}
