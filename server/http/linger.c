/* SPDX-License-Identifier: MIT */
/* Lingering close: keep reading a refused client's leftovers, so that it gets to see the refusal. */
#include "linger.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void linger_init(struct linger_set *set)
{
    weir__mutex_init(&set->lock);
    set->count = 0;
}

void linger_clear(struct linger_set *set)
{
    while (set->count > 0)
        close(set->sockets[--set->count].fd);
    weir__mutex_clear(&set->lock);
}

void linger_add(struct linger_set *set, int fd)
{
    struct lingering entry = {.fd = fd, .until = weir_now() + LINGER_MS * WEIR_MS};
    bool is_taken;

    shutdown(fd, SHUT_WR);
    weir__lock(&set->lock);
    is_taken = set->count < LINGER_SOCKETS;
    if (is_taken)
        set->sockets[set->count++] = entry;
    weir__unlock(&set->lock);
    if (!is_taken)
        close(fd);
}

/* Read away what is there. True when the socket is done with. */
static bool discard(struct lingering *entry)
{
    char waste[16384];

    while (entry->discarded < LINGER_BYTES) {
        ssize_t got = recv(entry->fd, waste, sizeof(waste), MSG_DONTWAIT);

        if (got == 0)
            return true;
        if (got < 0)
            return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
        entry->discarded += (uint64_t)got;
    }
    return true;
}

static size_t snapshot(struct linger_set *set, struct lingering *ret_entries)
{
    size_t count;

    weir__lock(&set->lock);
    count = set->count;
    memcpy(ret_entries, set->sockets, count * sizeof(*ret_entries));
    weir__unlock(&set->lock);
    return count;
}

/* Put the entry's progress back, or take it out and close it. */
static void update_entry(struct linger_set *set, const struct lingering *entry, bool is_done)
{
    size_t i = 0;

    weir__lock(&set->lock);
    while (set->sockets[i].fd != entry->fd)
        i++;
    if (is_done)
        set->sockets[i] = set->sockets[--set->count];
    else
        set->sockets[i].discarded = entry->discarded;
    weir__unlock(&set->lock);
    if (is_done)
        close(entry->fd);
}

void linger_maintain(struct linger_set *set, int wake_fd, int timeout_ms)
{
    struct lingering entries[LINGER_SOCKETS];
    struct pollfd polled[LINGER_SOCKETS + 1];
    size_t count = snapshot(set, entries);
    weir_time now;

    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = entries[i].fd, .events = POLLIN};
    polled[count] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
    if (poll(polled, count + 1, timeout_ms) < 0)
        return;
    now = weir_now();
    for (size_t i = 0; i < count; i++) {
        bool is_done = now >= entries[i].until;

        if (polled[i].revents != 0)
            is_done = discard(&entries[i]) || is_done;
        if (is_done || polled[i].revents != 0)
            update_entry(set, &entries[i], is_done);
    }
}
