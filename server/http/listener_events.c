/* SPDX-License-Identifier: MIT */
/* A door's event thread: it runs libmicrohttpd, and hands it the newcomers. */
#include "listener_events.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/lock.h"
#include "exchange.h"
#include "exchange_chunks.h"
#include "threads/thread_start.h"

/*
 * libmicrohttpd's own epoll thread may wait for more events before it has handled those that it has, for
 * ever (0.9.75 to 1.0.1, MHD_epoll() in daemon.c: a crowd was left unanswered until somebody else came).
 * MHD_run() never waits, so the waiting is done here.
 *
 * Nor does 0.9.75's MHD_get_timeout() tell of a connection that was resumed while the library took its
 * events: so whoever resumes one wakes this thread, too.
 */

struct arrival {
    struct arrival *next;
    int fd;
    struct sockaddr_storage address;
    socklen_t address_size;
};

struct event_thread {
    struct door *door;
    int library_fd; /* the library's epoll */
    int wake_fd;
    pthread_t thread;
    atomic_bool is_woken; /* wake_fd has an event, or will have one */
    atomic_bool is_stopping;

    struct weir__mutex lock;
    /* Guarded by lock. No more than the door has room for, which the acceptor sees to. */
    struct arrival *first;
    struct arrival *last;
};

/* ---- From other threads ------------------------------------------------------------------- */

static void wake(struct event_thread *thread)
{
    uint64_t one = 1;

    if (atomic_exchange(&thread->is_woken, true))
        return;
    /* Fails only when the counter is full, and then the thread is awake anyway. */
    if (write(thread->wake_fd, &one, sizeof(one)) < 0)
        return;
}

void event_thread_enter(struct event_thread *thread, int fd, const struct sockaddr_storage *address,
                        socklen_t address_size)
{
    struct arrival *arrival = malloc(sizeof(*arrival));

    if (arrival == NULL) {
        close(fd);
        return;
    }
    *arrival = (struct arrival){NULL, fd, *address, address_size};
    atomic_fetch_add(&thread->door->entering, 1);
    weir__lock(&thread->lock);
    *(thread->first == NULL ? &thread->first : &thread->last->next) = arrival;
    thread->last = arrival;
    weir__unlock(&thread->lock);
    wake(thread);
}

void event_thread_resume(struct event_thread *thread, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    wake(thread);
}

/* ---- The thread --------------------------------------------------------------------------- */

static struct arrival *take_arrivals(struct event_thread *thread)
{
    struct arrival *first;

    weir__lock(&thread->lock);
    first = thread->first;
    thread->first = NULL;
    weir__unlock(&thread->lock);
    return first;
}

/* The library has the sockets from now on, and closes those that it refuses: at once, or (1.0) when it
 * runs. Returns how many there were. */
static unsigned add_arrivals(struct event_thread *thread)
{
    struct arrival *arrival = take_arrivals(thread);
    unsigned count = 0;

    while (arrival != NULL) {
        struct arrival *next = arrival->next;

        (void)MHD_add_connection(thread->door->daemon, arrival->fd,
                                 (const struct sockaddr *)(const void *)&arrival->address,
                                 arrival->address_size);
        free(arrival);
        arrival = next;
        count++;
    }
    return count;
}

static void run_once(struct event_thread *thread)
{
    struct door *door = thread->door;
    unsigned count;

    door->admitted = 0;
    count = add_arrivals(thread);
    MHD_run(door->daemon);
    atomic_fetch_sub(&door->entering, count - door->admitted);
    chunks_maintain(door);
}

/* The event is read before is_woken is cleared: who wakes in between finds it set, and is seen by the round
 * that follows; who wakes afterwards writes another event. */
static void wait_for_work(struct event_thread *thread)
{
    struct pollfd fds[] = {{thread->library_fd, POLLIN, 0}, {thread->wake_fd, POLLIN, 0}};
    MHD_UNSIGNED_LONG_LONG limit = 0;
    uint64_t count;
    int wait_ms = -1;

    if (MHD_get_timeout(thread->door->daemon, &limit) == MHD_YES)
        wait_ms = limit < INT_MAX ? (int)limit : INT_MAX;
    wait_ms = chunks_wait_ms(thread->door, wait_ms);
    if (wait_ms == 0 || poll(fds, 2, wait_ms) <= 0 || fds[1].revents == 0)
        return;
    if (read(thread->wake_fd, &count, sizeof(count)) < 0)
        count = 0;
    atomic_exchange(&thread->is_woken, false);
}

static void *run(void *arg)
{
    struct event_thread *thread = arg;

    while (!atomic_load(&thread->is_stopping)) {
        wait_for_work(thread);
        run_once(thread);
    }
    return NULL;
}

/* ---- Life --------------------------------------------------------------------------------- */

static void free_thread(struct event_thread *thread)
{
    struct arrival *arrival = take_arrivals(thread);

    while (arrival != NULL) {
        struct arrival *next = arrival->next;

        close(arrival->fd);
        free(arrival);
        arrival = next;
    }
    if (thread->wake_fd >= 0)
        close(thread->wake_fd);
    weir__mutex_clear(&thread->lock);
    free(thread);
}

static int start(struct event_thread *thread)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(thread->door->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    if (info == NULL)
        return ENOTSUP;
    thread->library_fd = info->epoll_fd;
    thread->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return thread->wake_fd < 0 ? errno : thread_start(&thread->thread, run, thread);
}

weir_status event_thread_start(struct door *door, struct event_thread **ret_thread,
                               weir_error *reterr)
{
    struct event_thread *thread = calloc(1, sizeof(*thread));
    int error;

    if (thread == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start the event thread: out of memory");
    thread->door = door;
    thread->wake_fd = -1;
    weir__mutex_init(&thread->lock);
    error = start(thread);
    if (error == 0) {
        *ret_thread = thread;
        return WEIR_OK;
    }
    free_thread(thread);
    weir_error_set(reterr, WEIR_SYSTEM, "start the event thread: %s", strerror(error));
    if (reterr != NULL)
        reterr->native = error;
    return WEIR_SYSTEM;
}

void event_thread_stop(struct event_thread *thread)
{
    if (thread == NULL)
        return;
    atomic_store(&thread->is_stopping, true);
    wake(thread);
    pthread_join(thread->thread, NULL);
    MHD_stop_daemon(thread->door->daemon);
    free_thread(thread);
}
