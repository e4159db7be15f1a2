/* SPDX-License-Identifier: MIT */
/*
 * Watches over the connections whose statement is being cancelled, on one thread of the process, and
 * gives them back.
 */
#include "db/drivers/postgres_canceller.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Looked at so often where there is no memory to poll all sockets, or no descriptor to be woken by. */
#define BLIND_SLICE (20 * WEIR_MS)

/* How long the sender of a cancel waits for the statement's end before others watch over it. */
#define END_SLICE (10 * WEIR_MS)

#define FIRST_POLLS 32

struct pg_canceller weir__pg_canceller = {.lock = WEIR_MUTEX_INITIALIZER, .wake_fd = -1};

void weir__pg_canceller_wake_locked(void) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    uint64_t one = 1;

    /* It can only fail when the watcher is awake already, or looks again soon. */
    if (weir__pg_canceller.wake_fd >= 0 && write(weir__pg_canceller.wake_fd, &one, sizeof(one)) < 0)
        return;
}

/* ---- giving back --------------------------------------------------------------------------- */

/* The connection is the giver's alone: its holder is gone, and the watcher is done with it. */
static void give_back(struct pg_cancel *cancel)
{
    struct pg_conn *conn = cancel->conn;
    weir_lease lease = cancel->lease;
    bool is_broken = conn->is_lost || conn->is_broken;
    weir_error cause;

    weir__pg_canceller_end_phase(cancel);
    if (is_broken) {
        weir_error_set(&cause, WEIR_TIMEOUT,
                       conn->is_lost ? "the server closed the connection while its statement was "
                                       "being cancelled"
                                     : "the statement could not be cancelled in time");
        weir_pool_discard(&lease, &cause);
    } else if (cancel->is_discarded) {
        weir_pool_discard(&lease, NULL);
    } else {
        weir_pool_release(&lease);
    }
}

void weir__pg_canceller_give_back(struct pg_task *task)
{
    struct pg_cancel *cancel =
        (struct pg_cancel *)(void *)((char *)task - offsetof(struct pg_cancel, task));

    give_back(cancel);
    weir__lock(&weir__pg_canceller.lock);
    weir__pg_canceller.giving_back--;
    pthread_cond_broadcast(&weir__pg_canceller.changed);
    weir__unlock(&weir__pg_canceller.lock);
}

/* Giving back may take its time (a rollback, a close, listeners), so it is done elsewhere; without a
 * thread for it, here. */
static void give_back_all(struct pg_cancel *ended)
{
    while (ended != NULL) {
        struct pg_cancel *next = ended->next;
        ended->task.run = weir__pg_canceller_give_back;
        if (!weir__pg_workers_run(&ended->task))
            weir__pg_canceller_give_back(&ended->task);
        ended = next;
    }
}

/* ---- the watcher --------------------------------------------------------------------------- */

/* What the watcher polls: its own descriptor, then two for each connection, its socket and that of
 * a cancel request. */
struct round {
    struct pollfd first[1 + 2 * FIRST_POLLS];
    struct pollfd *polls;
    size_t room;
    size_t count;
    weir_time until;
};

static void add_poll(struct round *round, int fd, int events)
{
    round->polls[round->count] = (struct pollfd){.fd = fd, .events = (short)events};
    round->count++;
}

/* List what to wait for; false when there is no room for all. */
static bool fill_locked(struct round *round, weir_time now) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    bool has_all = true;

    round->count = 0;
    round->until = now + PG_LINGER;
    add_poll(round, weir__pg_canceller.wake_fd, POLLIN);
    for (struct pg_cancel *c = weir__pg_canceller.first; c != NULL; c = c->next) {
        short events = 0;
        c->poll_index = -1;
        if (c->is_stepped)
            continue; /* whoever steps it wakes us */
        has_all = round->count + 2 <= round->room;
        if (!has_all)
            continue;
        weir_time next = weir__pg_cancel_next(c, now);
        round->until = next < round->until ? next : round->until;
        c->poll_index = (int)round->count;
        int of_session = weir__pg_cancel_events(c);
        add_poll(round, of_session != 0 ? PQsocket(c->conn->pg) : -1, of_session);
        int of_request = weir__pg_request_socket(c, &events);
        add_poll(round, of_request, events);
    }
    return has_all;
}

static void grow(struct round *round)
{
    struct pollfd *more = malloc(2 * round->room * sizeof(*more));

    if (more == NULL)
        return;
    if (round->polls != round->first)
        free(round->polls);
    round->polls = more;
    round->room *= 2;
}

/* Sleep until there is something to do. */
static void sleep_unlocked(struct round *round, bool has_all, weir_time now)
{
    if (!has_all || round->polls[0].fd < 0)
        round->until = round->until < now + BLIND_SLICE ? round->until : now + BLIND_SLICE;
    weir_time left = round->until > now ? round->until - now : 0;
    /* An error other than a signal leaves nothing marked; then time alone decides. */
    if (poll(round->polls, round->count, (int)((left + WEIR_MS - 1) / WEIR_MS)) <= 0)
        for (size_t i = 0; i < round->count; i++)
            round->polls[i].revents = 0;
}

static bool is_due(const struct round *round, const struct pg_cancel *cancel, weir_time now)
{
    bool was_woken = round->polls[0].revents != 0 || round->polls[0].fd < 0;

    if (cancel->is_stepped)
        return false;
    if (cancel->poll_index <= 0)
        return true;
    const struct pollfd *polls = &round->polls[cancel->poll_index];
    if (polls[0].revents != 0 || polls[1].revents != 0)
        return true;
    if (was_woken && (cancel->request != NULL || cancel->is_capped))
        return true;
    return weir__pg_cancel_next(cancel, now) <= now;
}

/* One turn for one connection, without the lock, when something has come or `grace` is over. */
static enum cancel_end step_locked(struct pg_cancel *cancel, weir_time now, weir_time grace)
    WEIR_REQUIRES(weir__pg_canceller.lock)
{
    bool is_ending = weir__pg_canceller.is_ending;

    cancel->is_stepped = true;
    weir__unlock(&weir__pg_canceller.lock);
    if (grace > 0 && weir__pg_cancel_events(cancel) != 0)
        weir__pg_poll(PQsocket(cancel->conn->pg), POLLIN, now, now + grace);
    weir__pg_request_step(cancel, now);
    enum cancel_end end = weir__pg_cancel_step(cancel, now);
    if (end == CANCEL_GOES_ON && !is_ending)
        weir__pg_request_start(cancel, now);
    else if (end != CANCEL_GOES_ON)
        weir__pg_request_abandon(cancel);
    weir__lock(&weir__pg_canceller.lock);
    cancel->is_stepped = false;
    return end;
}

/* It is out of the list, and to be given back when the lock is let go. */
void weir__pg_canceller_collect_locked(struct pg_cancel *cancel, struct pg_cancel **ended)
    WEIR_REQUIRES(weir__pg_canceller.lock)
{
    weir__pg_canceller.giving_back++;
    cancel->next = *ended;
    *ended = cancel;
}

/* After a turn: whether it is out of the list, and nobody's, or to be given back. */
static void end_locked(struct pg_cancel *cancel, enum cancel_end end, struct pg_cancel **ended)
    WEIR_REQUIRES(weir__pg_canceller.lock)
{
    pthread_cond_broadcast(&weir__pg_canceller.changed);
    if (end == CANCEL_GOES_ON || weir__pg_canceller.is_exiting)
        return;
    weir__pg_canceller_unlink_locked(cancel);
    if (cancel->has_lease)
        weir__pg_canceller_collect_locked(cancel, ended);
    else
        weir__pg_canceller_end_phase(cancel);
}

/* One turn for each that is due. Returns those that ended and are to be given back. */
static struct pg_cancel *step_all_locked(const struct round *round, weir_time now)
    WEIR_REQUIRES(weir__pg_canceller.lock)
{
    struct pg_cancel *ended = NULL;
    struct pg_cancel *next;

    for (struct pg_cancel *c = weir__pg_canceller.first;
         c != NULL && !weir__pg_canceller.is_exiting; c = next) {
        next = c->next;
        if (!is_due(round, c, now))
            continue;
        enum cancel_end end = step_locked(c, now, 0);
        next = c->next;
        end_locked(c, end, &ended);
    }
    return ended;
}

void weir__pg_canceller_answered(const struct pg_request *request)
{
    struct pg_cancel *ended = NULL;

    weir__lock(&weir__pg_canceller.lock);
    struct pg_cancel *c = weir__pg_canceller.first;
    while (c != NULL && (c->is_stepped || c->request == NULL || c->request != request))
        c = c->next;
    if (c != NULL && !weir__pg_canceller.is_exiting)
        end_locked(c, step_locked(c, weir_now(), END_SLICE), &ended);
    if (weir__pg_canceller.first != NULL)
        weir__pg_canceller_wake_locked();
    weir__unlock(&weir__pg_canceller.lock);
    if (ended != NULL)
        weir__pg_canceller_give_back(&ended->task);
}

/* Wait once, and do what there is to do. */
static void watch_once_locked(struct round *round) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    weir_time now = weir_now();
    uint64_t wakes;

    bool has_all = fill_locked(round, now);
    weir__unlock(&weir__pg_canceller.lock);
    sleep_unlocked(round, has_all, now);
    if (round->polls[0].revents != 0 && read(round->polls[0].fd, &wakes, sizeof(wakes)) < 0)
        round->polls[0].revents = 0;
    if (!has_all)
        grow(round);
    weir__lock(&weir__pg_canceller.lock);
    struct pg_cancel *ended = step_all_locked(round, weir_now());
    weir__unlock(&weir__pg_canceller.lock);
    give_back_all(ended);
    weir__lock(&weir__pg_canceller.lock);
}

static void *watch(void *arg)
{
    struct round round = {.room = sizeof(round.first) / sizeof(round.first[0])};
    weir_time idle_since = weir_now();

    (void)arg;
    round.polls = round.first;
    pthread_setname_np(pthread_self(), "weir-canceller");
    weir__lock(&weir__pg_canceller.lock);
    while (!weir__pg_canceller.is_exiting &&
           (weir__pg_canceller.first != NULL || weir_now() < idle_since + PG_LINGER)) {
        if (weir__pg_canceller.first != NULL)
            idle_since = weir_now();
        watch_once_locked(&round);
    }
    weir__pg_canceller.is_watched = false;
    if (weir__pg_canceller.wake_fd >= 0)
        close(weir__pg_canceller.wake_fd);
    weir__pg_canceller.wake_fd = -1;
    pthread_cond_broadcast(&weir__pg_canceller.changed);
    weir__unlock(&weir__pg_canceller.lock);
    if (round.polls != round.first)
        free(round.polls);
    return NULL;
}

bool weir__pg_canceller_start_locked(void) WEIR_REQUIRES(weir__pg_canceller.lock)
{
    if (weir__pg_canceller.is_watched)
        return true;
    if (weir__pg_canceller.is_exiting)
        return false;
    weir__pg_canceller.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Under the lock, so that nobody counts on a thread that does not come to be. */
    weir__pg_canceller.is_watched = weir__pg_thread_start(watch);
    if (!weir__pg_canceller.is_watched && weir__pg_canceller.wake_fd >= 0) {
        close(weir__pg_canceller.wake_fd);
        weir__pg_canceller.wake_fd = -1;
    }
    return weir__pg_canceller.is_watched;
}
