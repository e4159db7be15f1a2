/* SPDX-License-Identifier: MIT */
/* The reaper: every open connection, the phase it is in, and an absolute deadline for each phase. */
#include "reaper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/condition.h"
#include "common/list.h"
#include "linger.h"
#include "threads/thread_start.h"

/* Oldest first. All in one list have the same limit, so the first is always the next one due. */
struct conn_list {
    struct conn *first;
    struct conn *last;
    unsigned count;
};

/* How often the event thread is reminded of clients that have left. */
#define REMIND_MS 20

/* Events that are taken at once. */
enum { EVENTS = 64 };

struct reaper {
    atomic_int tick_ms;
    int wake_fd;
    int epoll_fd; /* wake_fd, and each connection until its client has left */
    pthread_t thread;
    atomic_bool is_stopping;
    struct linger_set linger;

    struct weir__mutex lock;
    /* Guarded by lock. */
    pthread_cond_t has_left; /* some connection left its phase */
    struct conn_list lists[CONN_PHASES];
    struct conn *first_left; /* of the connections whose client has left */
    weir_time remind_at;
    weir_time limits[CONN_PHASES];
    uint64_t cut_count;
};

/* ---- Lists -------------------------------------------------------------------------------- */

static void unlink_locked(struct reaper *reaper, struct conn *conn) WEIR_REQUIRES(reaper->lock)
{
    struct conn_list *list = &reaper->lists[conn->phase];

    LIST_REMOVE(conn, next, previous, list->first, list->last);
    list->count--;
}

static void link_locked(struct reaper *reaper, struct conn *conn, enum conn_phase phase,
                        weir_time now) WEIR_REQUIRES(reaper->lock)
{
    struct conn_list *list = &reaper->lists[phase];

    conn->phase = phase;
    conn->since = now;
    LIST_ADD_LAST(conn, next, previous, list->first, list->last);
    list->count++;
}

static void move_locked(struct reaper *reaper, struct conn *conn, enum conn_phase phase,
                        weir_time now) WEIR_REQUIRES(reaper->lock)
{
    if (conn->phase == CONN_CUT)
        return;
    unlink_locked(reaper, conn);
    link_locked(reaper, conn, phase, now);
    pthread_cond_broadcast(&reaper->has_left);
}

/* ---- Clients that have left --------------------------------------------------------------- */

static void note_left_locked(struct reaper *reaper, struct conn *conn) WEIR_REQUIRES(reaper->lock)
{
    if (reaper->first_left == NULL)
        reaper->remind_at = weir_now() + REMIND_MS * WEIR_MS;
    conn->has_left = true;
    conn->previous_left = NULL;
    conn->next_left = reaper->first_left;
    if (reaper->first_left != NULL)
        reaper->first_left->previous_left = conn;
    reaper->first_left = conn;
}

/* An event that nobody has taken yet goes with the descriptor, so none is of a connection that is gone. */
static void forget_left_locked(struct reaper *reaper, struct conn *conn) WEIR_REQUIRES(reaper->lock)
{
    epoll_ctl(reaper->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    if (!conn->has_left)
        return;
    *(conn->previous_left == NULL ? &reaper->first_left : &conn->previous_left->next_left) =
        conn->next_left;
    if (conn->next_left != NULL)
        conn->next_left->previous_left = conn->previous_left;
}

static bool is_being_read(const struct conn *conn)
{
    return conn->phase == CONN_HEADER || conn->phase == CONN_BODY || conn->phase == CONN_IDLE;
}

/*
 * Shutting the side that the client has shut already loses nothing that it sent, and is an edge for
 * everybody who waits for one. The first may come before the event thread has read the last bytes and be
 * taken for them again; one of the next does not.
 */
static void remind_locked(struct reaper *reaper) WEIR_REQUIRES(reaper->lock)
{
    for (struct conn *conn = reaper->first_left; conn != NULL; conn = conn->next_left) {
        if (is_being_read(conn))
            shutdown(conn->fd, SHUT_RD);
    }
}

/* Returns how long to wait before the next step, in milliseconds. */
static int maintain_connections(struct reaper *reaper)
{
    struct epoll_event events[EVENTS];
    weir_time now = weir_now();
    uint64_t woken;
    int wait_ms;
    int count;

    weir__lock(&reaper->lock);
    count = epoll_wait(reaper->epoll_fd, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr != NULL)
            note_left_locked(reaper, events[i].data.ptr);
        else if (read(reaper->wake_fd, &woken, sizeof(woken)) < 0)
            woken = 0;
    }
    if (now >= reaper->remind_at) {
        remind_locked(reaper);
        reaper->remind_at = now + REMIND_MS * WEIR_MS;
    }
    wait_ms =
        reaper->first_left != NULL && REMIND_MS < reaper->tick_ms ? REMIND_MS : reaper->tick_ms;
    weir__unlock(&reaper->lock);
    return wait_ms;
}

static bool watch(struct reaper *reaper, int fd, uint32_t what, void *owner)
{
    struct epoll_event event = {.events = what, .data.ptr = owner};

    return epoll_ctl(reaper->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- In and out --------------------------------------------------------------------------- */

void reaper_add(struct reaper *reaper, struct conn *conn)
{
    weir__lock(&reaper->lock);
    link_locked(reaper, conn, CONN_HEADER, weir_now());
    /* Without memory for it the deadlines are left. */
    (void)watch(reaper, conn->fd, EPOLLRDHUP | EPOLLONESHOT, conn);
    weir__unlock(&reaper->lock);
}

void reaper_move(struct reaper *reaper, struct conn *conn, enum conn_phase phase)
{
    weir__lock(&reaper->lock);
    move_locked(reaper, conn, phase, weir_now());
    weir__unlock(&reaper->lock);
}

void reaper_begin_request(struct reaper *reaper, struct conn *conn)
{
    weir__lock(&reaper->lock);
    if (conn->phase == CONN_IDLE)
        move_locked(reaper, conn, CONN_HEADER, weir_now());
    weir__unlock(&reaper->lock);
}

bool reaper_remove(struct reaper *reaper, struct conn *conn)
{
    bool was_cut;

    weir__lock(&reaper->lock);
    was_cut = conn->phase == CONN_CUT;
    unlink_locked(reaper, conn);
    forget_left_locked(reaper, conn);
    pthread_cond_broadcast(&reaper->has_left);
    weir__unlock(&reaper->lock);
    return was_cut;
}

static unsigned count_locked(struct reaper *reaper, enum conn_phase phase)
    WEIR_REQUIRES(reaper->lock)
{
    unsigned count = 0;

    for (int i = 0; i < CONN_PHASES; i++)
        count += phase == CONN_PHASES || (int)phase == i ? reaper->lists[i].count : 0;
    return count;
}

unsigned reaper_count_phase(struct reaper *reaper, enum conn_phase phase)
{
    unsigned count;

    weir__lock(&reaper->lock);
    count = count_locked(reaper, phase);
    weir__unlock(&reaper->lock);
    return count;
}

unsigned reaper_count(struct reaper *reaper)
{
    return reaper_count_phase(reaper, CONN_PHASES);
}

unsigned reaper_count_open(struct reaper *reaper)
{
    unsigned count;

    weir__lock(&reaper->lock);
    count = count_locked(reaper, CONN_PHASES) - count_locked(reaper, CONN_CUT);
    weir__unlock(&reaper->lock);
    return count;
}

uint64_t reaper_cut_count(struct reaper *reaper)
{
    uint64_t count;

    weir__lock(&reaper->lock);
    count = reaper->cut_count;
    weir__unlock(&reaper->lock);
    return count;
}

bool reaper_wait_gone(struct reaper *reaper, enum conn_phase phase, weir_time until)
{
    bool is_gone;
    int error = 0;

    weir__lock(&reaper->lock);
    while (count_locked(reaper, phase) > 0 && error == 0)
        error = condition_wait(&reaper->has_left, &reaper->lock, until);
    is_gone = count_locked(reaper, phase) == 0;
    weir__unlock(&reaper->lock);
    return is_gone;
}

/* ---- Cutting ------------------------------------------------------------------------------ */

/*
 * Shut the socket; the event thread sees the end of file and closes it. A system call
 * under the lock, on purpose: reaper_remove() comes before the descriptor is closed, so
 * under the lock it can not be another connection's by now. shutdown() does not block. The looks
 * at a socket below are under the lock for the same reason.
 */
static void cut_locked(struct reaper *reaper, struct conn *conn, weir_time now)
    WEIR_REQUIRES(reaper->lock)
{
    struct linger at_once = {.l_onoff = 1};

    /* A client that reads nothing would keep the kernel's copy of the response for minutes. */
    if (conn->phase == CONN_WRITE || conn->phase == CONN_STREAM_WRITE)
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    shutdown(conn->fd, SHUT_RDWR);
    move_locked(reaper, conn, CONN_CUT, now);
}

static void cut_overdue(struct reaper *reaper)
{
    weir_time now = weir_now();

    weir__lock(&reaper->lock);
    for (int phase = 0; phase < CONN_PHASES; phase++) {
        struct conn_list *list = &reaper->lists[phase];

        while (reaper->limits[phase] > 0 && list->first != NULL &&
               now - list->first->since >= reaper->limits[phase]) {
            cut_locked(reaper, list->first, now);
            reaper->cut_count++;
        }
    }
    weir__unlock(&reaper->lock);
}

bool reaper_cut_oldest(struct reaper *reaper, enum conn_phase phase, weir_time age)
{
    weir_time now = weir_now();
    struct conn *oldest;
    bool is_old;

    weir__lock(&reaper->lock);
    oldest = reaper->lists[phase].first;
    is_old = oldest != NULL && now - oldest->since >= age;
    if (is_old) {
        cut_locked(reaper, oldest, now);
        reaper->cut_count++;
    }
    weir__unlock(&reaper->lock);
    return is_old;
}

static bool owes_nothing(const struct conn *conn)
{
    switch (conn->phase) {
    case CONN_IDLE:
        return conn_bytes_unread(conn) == 0;
    case CONN_HEADER:
        return conn_bytes_received(conn) == 0;
    case CONN_STREAM_WRITE:
        return true;
    case CONN_BODY:
    case CONN_HANDLER:
    case CONN_WRITE:
    case CONN_STREAM:
    case CONN_CUT:
    case CONN_PHASES:
        break;
    }
    return false;
}

/* The oldest come first, so the first that is too young ends the walk. */
static void close_list_locked(struct reaper *reaper, enum conn_phase phase, weir_time age)
    WEIR_REQUIRES(reaper->lock)
{
    weir_time now = weir_now();
    struct conn *next;

    for (struct conn *conn = reaper->lists[phase].first; conn != NULL; conn = next) {
        if (now - conn->since < age)
            return;
        next = conn->next;
        if (owes_nothing(conn))
            cut_locked(reaper, conn, now);
    }
}

void reaper_close_idle(struct reaper *reaper, weir_time age)
{
    weir__lock(&reaper->lock);
    close_list_locked(reaper, CONN_IDLE, age);
    close_list_locked(reaper, CONN_HEADER, age);
    close_list_locked(reaper, CONN_STREAM_WRITE, age);
    weir__unlock(&reaper->lock);
}

unsigned reaper_cut_unfinished(struct reaper *reaper)
{
    static const enum conn_phase phases[] = {CONN_HEADER, CONN_BODY};
    weir_time now = weir_now();
    unsigned count = 0;

    weir__lock(&reaper->lock);
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        for (; reaper->lists[phases[i]].first != NULL; count++)
            cut_locked(reaper, reaper->lists[phases[i]].first, now);
    }
    weir__unlock(&reaper->lock);
    return count;
}

/* ---- The thread --------------------------------------------------------------------------- */

static void wake(struct reaper *reaper)
{
    uint64_t one = 1;

    /* Fails only when the counter is full, and then the thread is awake anyway. */
    if (write(reaper->wake_fd, &one, sizeof(one)) < 0)
        return;
}

static void *reap(void *arg)
{
    struct reaper *reaper = arg;
    int wait_ms = atomic_load(&reaper->tick_ms);

    while (!atomic_load(&reaper->is_stopping)) {
        linger_maintain(&reaper->linger, reaper->epoll_fd, wait_ms);
        wait_ms = maintain_connections(reaper);
        cut_overdue(reaper);
    }
    return NULL;
}

void reaper_linger(struct reaper *reaper, int fd)
{
    linger_add(&reaper->linger, fd);
    wake(reaper);
}

static int tick_of(const weir_time limits[CONN_PHASES])
{
    weir_time tick = 250 * WEIR_MS;

    for (int i = 0; i < CONN_PHASES; i++) {
        if (limits[i] > 0 && limits[i] / 8 < tick)
            tick = limits[i] / 8;
    }
    return tick < WEIR_MS ? 1 : (int)(tick / WEIR_MS);
}

static weir_status system_error(const char *what, int error, weir_error *reterr)
{
    weir_error_set(reterr, WEIR_SYSTEM, "start the connection reaper: %s: %s", what,
                   strerror(error));
    if (reterr != NULL)
        reterr->native = error;
    return WEIR_SYSTEM;
}

static void free_reaper(struct reaper *reaper)
{
    linger_clear(&reaper->linger);
    pthread_cond_destroy(&reaper->has_left);
    weir__mutex_clear(&reaper->lock);
    if (reaper->wake_fd >= 0)
        close(reaper->wake_fd);
    if (reaper->epoll_fd >= 0)
        close(reaper->epoll_fd);
    free(reaper);
}

weir_status reaper_start(const weir_time limits[CONN_PHASES], struct reaper **ret_reaper,
                         weir_error *reterr)
{
    struct reaper *reaper = calloc(1, sizeof(*reaper));
    weir_status status;
    int error;

    if (reaper == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start the connection reaper: out of memory");
    memcpy(reaper->limits, limits, sizeof(reaper->limits));
    atomic_init(&reaper->tick_ms, tick_of(limits));
    linger_init(&reaper->linger);
    weir__mutex_init(&reaper->lock);
    condition_init(&reaper->has_left);
    reaper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reaper->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (reaper->wake_fd < 0 || reaper->epoll_fd < 0 ||
        !watch(reaper, reaper->wake_fd, EPOLLIN, NULL)) {
        status = system_error("descriptors", errno, reterr);
        goto fail;
    }
    error = thread_start(&reaper->thread, reap, reaper);
    if (error != 0) {
        status = system_error("thread", error, reterr);
        goto fail;
    }
    *ret_reaper = reaper;
    return WEIR_OK;

fail:
    free_reaper(reaper);
    return status;
}

void reaper_set_limits(struct reaper *reaper, const weir_time limits[CONN_PHASES])
{
    weir__lock(&reaper->lock);
    memcpy(reaper->limits, limits, sizeof(reaper->limits));
    weir__unlock(&reaper->lock);
    atomic_store(&reaper->tick_ms, tick_of(limits));
    wake(reaper);
}

void reaper_stop(struct reaper *reaper)
{
    if (reaper == NULL)
        return;
    atomic_store(&reaper->is_stopping, true);
    wake(reaper);
    pthread_join(reaper->thread, NULL);
    free_reaper(reaper);
}
