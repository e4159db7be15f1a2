/* SPDX-License-Identifier: MIT */
/*
 * The canceller: one thread of the process, for all databases, that watches over the connections
 * whose statement reached its deadline, until each is fit for use again or at its end.
 *
 * Its lock guards the list of them. What a connection is asked and answers is read by the watcher
 * without the lock, while is_stepped keeps others from taking the connection out of the list.
 */
#include "common/condition.h"
#include "common/list.h"
#include "db/drivers/postgres.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* With nothing to watch for so long the watcher ends. */
#define LINGER WEIR_SECOND

/* Looked at so often where there is no memory to poll all sockets, or no descriptor to be woken by. */
#define BLIND_SLICE (20 * WEIR_MS)

/* How long whoever sent a cancel waits for the statement's end before others watch over it. */
#define END_SLICE (10 * WEIR_MS)

/* How long the end of the process waits for what is being read or given back at that moment. */
#define EXIT_GRACE WEIR_SECOND

#define FIRST_POLLS 32

static struct {
    struct weir__mutex lock;
    pthread_cond_t changed; /* a connection ended, or is not stepped any more */
    struct pg_cancel *first;
    struct pg_cancel *last;
    int giving_back; /* leases, at this moment, by the watcher or a worker */
    bool is_watched; /* the watcher runs */
    bool is_ending;  /* no more cancels are sent */
    bool is_exiting; /* nothing is touched any more */
    int wake_fd;     /* the watcher's; -1: none */
    int exit_handlers;
} canceller = {.lock = WEIR_MUTEX_INITIALIZER, .wake_fd = -1};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void wake_locked(void) WEIR_REQUIRES(canceller.lock)
{
    uint64_t one = 1;

    /* It can only fail when the watcher is awake already, or looks again soon. */
    if (canceller.wake_fd >= 0 && write(canceller.wake_fd, &one, sizeof(one)) < 0)
        return;
}

/* ---- the list ------------------------------------------------------------------------------ */

static void append_locked(struct pg_cancel *cancel) WEIR_REQUIRES(canceller.lock)
{
    LIST_ADD_LAST(cancel, next, previous, canceller.first, canceller.last);
}

static void unlink_locked(struct pg_cancel *cancel) WEIR_REQUIRES(canceller.lock)
{
    LIST_REMOVE(cancel, next, previous, canceller.first, canceller.last);
}

/* From here on the connection is its holder's again. */
static void end_phase(struct pg_cancel *cancel)
{
    atomic_store_explicit(&cancel->phase, CANCEL_NONE, memory_order_release);
}

/* ---- giving back --------------------------------------------------------------------------- */

/* The connection is the giver's alone: its holder is gone, and the watcher is done with it. */
static void give_back(struct pg_cancel *cancel)
{
    struct pg_conn *conn = cancel->conn;
    weir_lease lease = cancel->lease;
    bool is_broken = conn->is_lost || conn->is_broken;
    weir_error cause;

    end_phase(cancel);
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

static void run_give_back(struct pg_task *task)
{
    struct pg_cancel *cancel =
        (struct pg_cancel *)(void *)((char *)task - offsetof(struct pg_cancel, task));

    give_back(cancel);
    weir__lock(&canceller.lock);
    canceller.giving_back--;
    pthread_cond_broadcast(&canceller.changed);
    weir__unlock(&canceller.lock);
}

/* Giving back may take its time (a rollback, a close, listeners), so it is done elsewhere; without a
 * thread for it, here. */
static void give_back_all(struct pg_cancel *ended)
{
    while (ended != NULL) {
        struct pg_cancel *next = ended->next;
        ended->task.run = run_give_back;
        if (!weir__pg_workers_run(&ended->task))
            run_give_back(&ended->task);
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
static bool fill_locked(struct round *round, weir_time now) WEIR_REQUIRES(canceller.lock)
{
    bool has_all = true;

    round->count = 0;
    round->until = now + LINGER;
    add_poll(round, canceller.wake_fd, POLLIN);
    for (struct pg_cancel *c = canceller.first; c != NULL; c = c->next) {
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
    WEIR_REQUIRES(canceller.lock)
{
    bool is_ending = canceller.is_ending;

    cancel->is_stepped = true;
    weir__unlock(&canceller.lock);
    if (grace > 0 && weir__pg_cancel_events(cancel) != 0)
        weir__pg_poll(PQsocket(cancel->conn->pg), POLLIN, now, now + grace);
    weir__pg_request_step(cancel, now);
    enum cancel_end end = weir__pg_cancel_step(cancel, now);
    if (end == CANCEL_GOES_ON && !is_ending)
        weir__pg_request_start(cancel, now);
    else if (end != CANCEL_GOES_ON)
        weir__pg_request_abandon(cancel);
    weir__lock(&canceller.lock);
    cancel->is_stepped = false;
    return end;
}

/* It is out of the list, and to be given back when the lock is let go. */
static void collect_locked(struct pg_cancel *cancel, struct pg_cancel **ended)
    WEIR_REQUIRES(canceller.lock)
{
    canceller.giving_back++;
    cancel->next = *ended;
    *ended = cancel;
}

/* After a turn: whether it is out of the list, and nobody's, or to be given back. */
static void end_locked(struct pg_cancel *cancel, enum cancel_end end, struct pg_cancel **ended)
    WEIR_REQUIRES(canceller.lock)
{
    pthread_cond_broadcast(&canceller.changed);
    if (end == CANCEL_GOES_ON || canceller.is_exiting)
        return;
    unlink_locked(cancel);
    if (cancel->has_lease)
        collect_locked(cancel, ended);
    else
        end_phase(cancel);
}

/* One turn for each that is due. Returns those that ended and are to be given back. */
static struct pg_cancel *step_all_locked(const struct round *round, weir_time now)
    WEIR_REQUIRES(canceller.lock)
{
    struct pg_cancel *ended = NULL;
    struct pg_cancel *next;

    for (struct pg_cancel *c = canceller.first; c != NULL && !canceller.is_exiting; c = next) {
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

    weir__lock(&canceller.lock);
    struct pg_cancel *c = canceller.first;
    while (c != NULL && (c->is_stepped || c->request == NULL || c->request != request))
        c = c->next;
    if (c != NULL && !canceller.is_exiting)
        end_locked(c, step_locked(c, weir_now(), END_SLICE), &ended);
    if (canceller.first != NULL)
        wake_locked();
    weir__unlock(&canceller.lock);
    if (ended != NULL)
        run_give_back(&ended->task);
}

/* Wait once, and do what there is to do. */
static void watch_once_locked(struct round *round) WEIR_REQUIRES(canceller.lock)
{
    weir_time now = weir_now();
    uint64_t wakes;

    bool has_all = fill_locked(round, now);
    weir__unlock(&canceller.lock);
    sleep_unlocked(round, has_all, now);
    if (round->polls[0].revents != 0 && read(round->polls[0].fd, &wakes, sizeof(wakes)) < 0)
        round->polls[0].revents = 0;
    if (!has_all)
        grow(round);
    weir__lock(&canceller.lock);
    struct pg_cancel *ended = step_all_locked(round, weir_now());
    weir__unlock(&canceller.lock);
    give_back_all(ended);
    weir__lock(&canceller.lock);
}

static void *watch(void *arg)
{
    struct round round = {.room = sizeof(round.first) / sizeof(round.first[0])};
    weir_time idle_since = weir_now();

    (void)arg;
    round.polls = round.first;
    pthread_setname_np(pthread_self(), "weir-canceller");
    weir__lock(&canceller.lock);
    while (!canceller.is_exiting && (canceller.first != NULL || weir_now() < idle_since + LINGER)) {
        if (canceller.first != NULL)
            idle_since = weir_now();
        watch_once_locked(&round);
    }
    canceller.is_watched = false;
    if (canceller.wake_fd >= 0)
        close(canceller.wake_fd);
    canceller.wake_fd = -1;
    pthread_cond_broadcast(&canceller.changed);
    weir__unlock(&canceller.lock);
    if (round.polls != round.first)
        free(round.polls);
    return NULL;
}

/* ---- the process's end and its children ------------------------------------------------------ */

static bool has_request_locked(void) WEIR_REQUIRES(canceller.lock)
{
    struct pg_cancel *c = canceller.first;

    while (c != NULL && !c->is_stepped && c->request == NULL)
        c = c->next;
    return c != NULL;
}

/* What is on its way is waited for: PgBouncer 1.18 bears no other end of a cancel (its issue 801). */
static void await_requests_locked(weir_time deadline) WEIR_REQUIRES(canceller.lock)
{
    canceller.is_ending = true;
    while (canceller.is_watched && has_request_locked() &&
           condition_wait(&canceller.changed, &canceller.lock, deadline) == 0)
        continue;
}

/*
 * Registered when it is first needed, so it runs before what the program and libpq's TLS library
 * registered earlier: whoever closes a pool after this finds its leases given back.
 */
static void at_exit(void)
{
    weir_time deadline = weir_now() + EXIT_GRACE;
    struct pg_cancel *ended = NULL;

    weir__lock(&canceller.lock);
    await_requests_locked(deadline);
    canceller.is_exiting = true;
    wake_locked();
    for (struct pg_cancel *c = canceller.first, *next; c != NULL; c = next) {
        while (c->is_stepped && condition_wait(&canceller.changed, &canceller.lock, deadline) == 0)
            continue;
        next = c->next;
        if (c->is_stepped || !c->has_lease)
            continue;
        unlink_locked(c);
        weir__pg_request_abandon(c);
        c->conn->is_broken = c->conn->is_silent = true;
        collect_locked(c, &ended);
    }
    weir__unlock(&canceller.lock);
    while (ended != NULL) {
        struct pg_cancel *next = ended->next;
        run_give_back(&ended->task);
        ended = next;
    }
    weir__lock(&canceller.lock);
    while ((canceller.giving_back > 0 || canceller.is_watched) &&
           condition_wait(&canceller.changed, &canceller.lock, deadline) == 0)
        continue;
    weir__unlock(&canceller.lock);
}

static void before_fork(void) WEIR_ACQUIRES(canceller.lock)
{
    weir__lock(&canceller.lock);
    weir__pg_workers_hold();
    weir__pg_requests_hold();
}

static void after_fork_in_parent(void) WEIR_RELEASES(canceller.lock)
{
    weir__pg_requests_let_go(false);
    weir__pg_workers_let_go(false);
    weir__unlock(&canceller.lock);
}

/* The child has neither the threads nor a right to the connections: it begins anew. */
static void after_fork_in_child(void) WEIR_RELEASES(canceller.lock)
{
    if (canceller.wake_fd >= 0)
        close(canceller.wake_fd);
    canceller.wake_fd = -1;
    canceller.first = canceller.last = NULL;
    canceller.giving_back = 0;
    canceller.is_watched = false;
    condition_init(&canceller.changed);
    weir__pg_requests_let_go(true);
    weir__pg_workers_let_go(true);
    weir__unlock(&canceller.lock);
}

static void init(void)
{
    condition_init(&canceller.changed);
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- what the driver asks --------------------------------------------------------------------- */

/* Once for the process, and once more when there is a TLS library that may have registered its own
 * end since. Without it the process ends all the same. */
static void register_exit_locked(bool is_tls) WEIR_REQUIRES(canceller.lock)
{
    int wanted = is_tls ? 2 : 1;

    while (canceller.exit_handlers < wanted) {
        (void)atexit(at_exit);
        canceller.exit_handlers++;
    }
}

static bool start_locked(void) WEIR_REQUIRES(canceller.lock)
{
    if (canceller.is_watched)
        return true;
    if (canceller.is_exiting)
        return false;
    canceller.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Under the lock, so that nobody counts on a thread that does not come to be. */
    canceller.is_watched = weir__pg_thread_start(watch);
    if (!canceller.is_watched && canceller.wake_fd >= 0) {
        close(canceller.wake_fd);
        canceller.wake_fd = -1;
    }
    return canceller.is_watched;
}

/* Whether the watcher is to look at once. Mostly whoever sends the first cancel sees the end too, and
 * the watcher, who sleeps for LINGER at most, need not. */
static bool needs_watcher(const struct pg_cancel *cancel)
{
    short events;

    return cancel->request == NULL || weir__pg_request_socket(cancel, &events) >= 0 ||
           cancel->shut_at < cancel->send_at + LINGER;
}

void weir__pg_stop(struct pg_conn *conn)
{
    struct pg_cancel *cancel = &conn->cancel;

    pthread_once(&once, init);
    cancel->conn = conn;
    weir__pg_cancel_begin(cancel, weir_now());
    weir__pg_request_start(cancel, cancel->send_at);
    weir__lock(&canceller.lock);
    register_exit_locked(conn->is_tls);
    bool is_watched = start_locked() && !canceller.is_exiting;
    if (is_watched) {
        atomic_store_explicit(&cancel->phase, CANCEL_RUNNING, memory_order_relaxed);
        append_locked(cancel);
        if (needs_watcher(cancel))
            wake_locked();
    }
    weir__unlock(&canceller.lock);
    if (is_watched)
        return;
    /* No thread: the connection is closed, which the server notices, and closing waits a little. */
    weir__pg_request_abandon(cancel);
    conn->is_broken = true;
}

weir_status weir__pg_await_stop(void *arg, weir_time deadline, weir_error *reterr)
{
    struct pg_conn *conn = arg;
    bool is_in_time = true;

    if (!weir__pg_is_cancelling(conn))
        return WEIR_OK;
    weir__lock(&canceller.lock);
    while (weir__pg_is_cancelling(conn) && is_in_time)
        is_in_time = condition_wait(&canceller.changed, &canceller.lock, deadline) == 0;
    bool is_running = weir__pg_is_cancelling(conn);
    weir__unlock(&canceller.lock);
    if (!is_running)
        return WEIR_OK;
    weir_error_set(reterr, WEIR_TIMEOUT,
                   "the previous statement, which reached its deadline, is still being cancelled");
    if (reterr != NULL)
        memcpy(reterr->sqlstate, "57014", sizeof("57014"));
    return WEIR_TIMEOUT;
}

bool weir__pg_hand_over(void *arg, const weir_lease *lease, bool is_discarded)
{
    struct pg_conn *conn = arg;
    struct pg_cancel *cancel = &conn->cancel;

    weir__lock(&canceller.lock);
    bool is_running = weir__pg_is_cancelling(conn) && !canceller.is_exiting;
    if (is_running) {
        cancel->lease = *lease;
        cancel->has_lease = true;
        cancel->is_discarded = is_discarded;
    }
    weir__unlock(&canceller.lock);
    return is_running;
}

void weir__pg_take_back(struct pg_conn *conn)
{
    struct pg_cancel *cancel = &conn->cancel;

    if (!weir__pg_is_cancelling(conn))
        return;
    weir__lock(&canceller.lock);
    while (cancel->is_stepped)
        condition_wait(&canceller.changed, &canceller.lock, WEIR_DEADLINE_NEVER);
    bool is_running = weir__pg_is_cancelling(conn);
    if (is_running) {
        unlink_locked(cancel);
        end_phase(cancel);
    }
    weir__unlock(&canceller.lock);
    if (!is_running)
        return;
    weir__pg_request_abandon(cancel);
    conn->is_broken = true;
    conn->is_silent = !cancel->is_drained;
}
