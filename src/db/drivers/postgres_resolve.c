/* SPDX-License-Identifier: MIT */
/* Looking up the names of PostgreSQL hosts under a deadline. */
#include "common/condition.h"
#include "db/drivers/postgres_connect.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * getaddrinfo() takes as long as the resolver's own limits let it, and libpq calls it on the thread
 * that connects. So it runs on a thread of its own; who asks waits until the deadline and no longer.
 * All who ask for the same name meanwhile wait for the same look-up: there are never more threads
 * than names, and never more than MOST_LOOKUPS.
 */
#define MOST_LOOKUPS 16

struct lookup {
    struct lookup *next; /* of those that have not ended */
    char *name;
    int owners; /* its thread until it has ended, and each who waits */
    bool has_ended;
    int failure; /* getaddrinfo()'s */
    struct pg_addresses addresses;
};

/* Guards the list, its length, and `owners` and the outcome of every look-up. */
static struct weir__mutex lock = WEIR_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* a look-up ended; on the monotonic clock */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct lookup *running;
static int running_count;

static void prepare_condition(void)
{
    condition_init(&changed);
}

/* ---- one look-up --------------------------------------------------------------------------- */

static struct lookup *lookup_new(const char *name)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL)
        return NULL;
    lookup->name = strdup(name);
    if (lookup->name == NULL) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

static void lookup_free(struct lookup *lookup)
{
    free(lookup->name);
    free(lookup);
}

static void leave_locked(struct lookup *lookup) WEIR_REQUIRES(lock)
{
    if (--lookup->owners == 0)
        lookup_free(lookup);
}

static void take_addresses(const struct addrinfo *found, struct pg_addresses *ret)
{
    for (; found != NULL && ret->count < PG_MOST_ADDRESSES; found = found->ai_next) {
        char *room = ret->list[ret->count];
        if (getnameinfo(found->ai_addr, found->ai_addrlen, room, PG_ADDRESS_BYTES, NULL, 0,
                        NI_NUMERICHOST) == 0)
            ret->count++;
    }
}

static int look_up(const char *name, int flags, struct pg_addresses *ret)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(name, NULL, &hints, &found);

    if (failure != 0)
        return failure;
    take_addresses(found, ret);
    freeaddrinfo(found);
    return ret->count > 0 ? 0 : EAI_NONAME;
}

static void end_locked(struct lookup *lookup) WEIR_REQUIRES(lock)
{
    struct lookup **at = &running;

    while (*at != lookup)
        at = &(*at)->next;
    *at = lookup->next;
    running_count--;
    lookup->has_ended = true;
    pthread_cond_broadcast(&changed);
}

static void *lookup_run(void *arg)
{
    struct lookup *lookup = arg;
    struct pg_addresses addresses = {0};
    int failure = look_up(lookup->name, 0, &addresses);

    weir__lock(&lock);
    lookup->failure = failure;
    lookup->addresses = addresses;
    end_locked(lookup);
    leave_locked(lookup);
    weir__unlock(&lock);
    return NULL;
}

/* Detached, and deaf to signals: those are for the program's own threads. */
static bool start_thread(struct lookup *lookup)
{
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool has_started = pthread_create(&thread, &detached, lookup_run, lookup) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return has_started;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* Until something changed; false at the deadline. */
static bool wait_locked(weir_time deadline) WEIR_REQUIRES(lock)
{
    return condition_wait(&changed, &lock, deadline) == 0 || weir_now() < deadline;
}

static struct lookup *find_locked(const char *name) WEIR_REQUIRES(lock)
{
    struct lookup *lookup = running;

    while (lookup != NULL && strcmp(lookup->name, name) != 0)
        lookup = lookup->next;
    return lookup;
}

/*
 * Join the look-up of this name, or make `fresh` that look-up. NULL: the deadline passed while
 * MOST_LOOKUPS others were running. The caller owns a share of what is returned.
 */
static struct lookup *join_locked(const char *name, struct lookup *fresh, weir_time deadline)
    WEIR_REQUIRES(lock)
{
    struct lookup *lookup;

    while ((lookup = find_locked(name)) == NULL && running_count == MOST_LOOKUPS) {
        if (!wait_locked(deadline))
            return NULL;
    }
    if (lookup == NULL) {
        lookup = fresh;
        lookup->owners = 1; /* the thread's */
        lookup->next = running;
        running = lookup;
        running_count++;
    }
    lookup->owners++;
    return lookup;
}

static weir_status outcome_of(const struct lookup *lookup, struct pg_addresses *ret,
                              weir_error *reterr)
{
    if (lookup->failure == EAI_MEMORY)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "look up a host: out of memory");
    if (lookup->failure != 0)
        return weir_error_set(reterr, WEIR_CONNECT,
                              "the address of host \"%.100s\" could not be found: %s", lookup->name,
                              gai_strerror(lookup->failure));
    *ret = lookup->addresses;
    return WEIR_OK;
}

/* Start the thread of a look-up that was just made; without a thread it has ended already. */
static void start(struct lookup *lookup)
{
    if (start_thread(lookup))
        return;
    weir__lock(&lock);
    lookup->failure = EAI_MEMORY;
    end_locked(lookup);
    lookup->owners--; /* the thread's share; the caller still has its own */
    weir__unlock(&lock);
}

static weir_status await(struct lookup *lookup, weir_time deadline, struct pg_addresses *ret,
                         weir_error *reterr)
{
    weir_status status = WEIR_TIMEOUT;

    weir__lock(&lock);
    while (!lookup->has_ended && wait_locked(deadline))
        ;
    if (lookup->has_ended)
        status = outcome_of(lookup, ret, reterr);
    leave_locked(lookup);
    weir__unlock(&lock);
    return status;
}

weir_status weir__pg_resolve(const char *name, weir_time deadline, struct pg_addresses *ret,
                             weir_error *reterr)
{
    ret->count = 0;
    if (look_up(name, AI_NUMERICHOST, ret) == 0)
        return WEIR_OK;
    pthread_once(&once, prepare_condition);
    struct lookup *fresh = lookup_new(name);
    if (fresh == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "look up a host: out of memory");
    weir__lock(&lock);
    struct lookup *lookup = join_locked(name, fresh, deadline);
    weir__unlock(&lock);
    if (lookup == fresh)
        start(fresh);
    else
        lookup_free(fresh);
    return lookup == NULL ? WEIR_TIMEOUT : await(lookup, deadline, ret, reterr);
}
