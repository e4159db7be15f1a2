/* SPDX-License-Identifier: MIT */
/* A feed: one text that is replaced now and then, and a bounded number of readers who follow it. */
#include "feed.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/condition.h"
#include "common/list.h"

/* Nothing but `users` changes, and that under the feed's lock. */
struct issue {
    uint64_t number; /* counted from 1 */
    char *bytes;
    size_t size;
    unsigned users; /* the feed itself, while it is the newest, and readers in the middle of it */
};

struct feed_reader {
    struct feed *feed;
    weir_time expires_at;
    struct feed_sleeper sleeper;
    /* Only the thread that reads. */
    struct issue *issue; /* in the middle of it; NULL: between two */
    size_t offset;
    /* Guarded by the feed's lock. */
    uint64_t last; /* number of the last issue begun */
    bool is_asleep;
    struct feed_reader *previous;
    struct feed_reader *next;
};

struct feed {
    unsigned max_readers;
    weir_time max_age;

    struct weir__mutex lock;
    /* Guarded by lock. */
    pthread_cond_t is_wanted;  /* an issue is, or it has ended */
    struct feed_reader *first; /* of the readers */
    struct feed_reader *last;
    unsigned reader_count;
    struct issue *newest; /* NULL before the first, and while nobody reads */
    uint64_t issued;
    bool has_ended;
};

/* ---- Issues ------------------------------------------------------------------------------- */

/* Give up one use; returns the issue to be freed outside the lock, or NULL. */
static struct issue *drop_locked(struct issue *issue)
{
    if (issue == NULL)
        return NULL;
    assert(issue->users > 0);
    return --issue->users == 0 ? issue : NULL;
}

static void free_issue(struct issue *issue)
{
    if (issue == NULL)
        return;
    free(issue->bytes);
    free(issue);
}

static void wake_all_locked(struct feed *feed) WEIR_REQUIRES(feed->lock)
{
    for (struct feed_reader *reader = feed->first; reader != NULL; reader = reader->next) {
        if (reader->is_asleep) {
            reader->is_asleep = false;
            reader->sleeper.wake(reader->sleeper.arg);
        }
    }
}

void feed_publish(struct feed *feed, char *bytes, size_t size)
{
    struct issue *issue = calloc(1, sizeof(*issue));
    struct issue *unused;

    if (issue == NULL) {
        free(bytes);
        return;
    }
    *issue = (struct issue){.bytes = bytes, .size = size, .users = 1};
    weir__lock(&feed->lock);
    if (feed->has_ended || feed->reader_count == 0) {
        unused = issue;
    } else {
        unused = drop_locked(feed->newest);
        issue->number = ++feed->issued;
        feed->newest = issue;
        wake_all_locked(feed);
    }
    weir__unlock(&feed->lock);
    free_issue(unused);
}

void feed_end(struct feed *feed)
{
    struct issue *unused;

    weir__lock(&feed->lock);
    feed->has_ended = true;
    unused = drop_locked(feed->newest);
    feed->newest = NULL;
    wake_all_locked(feed);
    pthread_cond_broadcast(&feed->is_wanted);
    weir__unlock(&feed->lock);
    free_issue(unused);
}

/* Somebody reads, and finds nothing. */
static bool is_wanted_locked(const struct feed *feed) WEIR_REQUIRES(feed->lock)
{
    return feed->reader_count > 0 && feed->newest == NULL;
}

bool feed_wait(struct feed *feed, weir_time until)
{
    int error = 0;
    bool has_ended;

    weir__lock(&feed->lock);
    while (!feed->has_ended && !is_wanted_locked(feed) && error == 0)
        error = condition_wait(&feed->is_wanted, &feed->lock, until);
    has_ended = feed->has_ended;
    weir__unlock(&feed->lock);
    return !has_ended;
}

/* ---- Readers ------------------------------------------------------------------------------ */

unsigned feed_reader_count(struct feed *feed)
{
    unsigned count;

    weir__lock(&feed->lock);
    count = feed->reader_count;
    weir__unlock(&feed->lock);
    return count;
}

static bool link_locked(struct feed *feed, struct feed_reader *reader) WEIR_REQUIRES(feed->lock)
{
    if (feed->has_ended || feed->reader_count >= feed->max_readers)
        return false;
    LIST_ADD_FIRST(reader, next, previous, feed->first, feed->last);
    feed->reader_count++;
    if (feed->newest == NULL)
        pthread_cond_broadcast(&feed->is_wanted);
    return true;
}

void feed_set_max_readers(struct feed *feed, unsigned max_readers)
{
    weir__lock(&feed->lock);
    feed->max_readers = max_readers;
    weir__unlock(&feed->lock);
}

struct feed_reader *feed_join(struct feed *feed)
{
    struct feed_reader *reader = calloc(1, sizeof(*reader));
    bool is_in;

    if (reader == NULL)
        return NULL;
    reader->feed = feed;
    reader->expires_at = weir_now() + feed->max_age;
    weir__lock(&feed->lock);
    is_in = link_locked(feed, reader);
    weir__unlock(&feed->lock);
    if (is_in)
        return reader;
    free(reader);
    return NULL;
}

void feed_leave(struct feed_reader *reader)
{
    struct issue *own;
    struct issue *newest = NULL;
    struct feed *feed;

    if (reader == NULL)
        return;
    feed = reader->feed;
    weir__lock(&feed->lock);
    assert(!reader->is_asleep);
    own = drop_locked(reader->issue);
    LIST_REMOVE(reader, next, previous, feed->first, feed->last);
    /* Whoever comes next must not be shown what was true when the last one left. */
    if (--feed->reader_count == 0) {
        newest = drop_locked(feed->newest);
        feed->newest = NULL;
    }
    weir__unlock(&feed->lock);
    free_issue(own);
    free_issue(newest);
    free(reader);
}

/* Begin the newest issue, sleep, or hear that it is over. */
static ssize_t begin_locked(struct feed_reader *reader, const struct feed_sleeper *sleeper)
    WEIR_REQUIRES(reader->feed->lock)
{
    struct feed *feed = reader->feed;

    if (feed->has_ended || (reader->last > 0 && weir_now() >= reader->expires_at))
        return FEED_OVER;
    if (feed->newest == NULL || feed->newest->number == reader->last) {
        reader->sleeper = *sleeper;
        reader->is_asleep = true;
        sleeper->sleep(sleeper->arg);
        return FEED_ASLEEP;
    }
    reader->issue = feed->newest;
    reader->issue->users++;
    reader->last = reader->issue->number;
    reader->offset = 0;
    return 1;
}

static void finish(struct feed_reader *reader)
{
    struct issue *unused;

    weir__lock(&reader->feed->lock);
    unused = drop_locked(reader->issue);
    weir__unlock(&reader->feed->lock);
    reader->issue = NULL;
    free_issue(unused);
}

ssize_t feed_read(struct feed_reader *reader, const struct feed_sleeper *sleeper, char *out,
                  size_t size, bool *ret_begins)
{
    size_t left;

    *ret_begins = reader->issue == NULL;
    if (reader->issue == NULL) {
        ssize_t begun;

        weir__lock(&reader->feed->lock);
        begun = begin_locked(reader, sleeper);
        weir__unlock(&reader->feed->lock);
        if (begun <= 0)
            return begun;
    }
    left = reader->issue->size - reader->offset;
    if (size > left)
        size = left;
    memcpy(out, reader->issue->bytes + reader->offset, size);
    reader->offset += size;
    if (reader->offset == reader->issue->size)
        finish(reader);
    return (ssize_t)size;
}

/* ---- Opening ------------------------------------------------------------------------------ */

weir_status feed_open(unsigned max_readers, weir_time max_age, struct feed **ret_feed,
                      weir_error *reterr)
{
    struct feed *feed = calloc(1, sizeof(*feed));

    if (feed == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open a feed: out of memory");
    feed->max_readers = max_readers;
    feed->max_age = max_age;
    weir__mutex_init(&feed->lock);
    condition_init(&feed->is_wanted);
    *ret_feed = feed;
    return WEIR_OK;
}

void feed_close(struct feed *feed)
{
    if (feed == NULL)
        return;
    assert(feed->has_ended && feed->reader_count == 0);
    pthread_cond_destroy(&feed->is_wanted);
    weir__mutex_clear(&feed->lock);
    free(feed);
}
