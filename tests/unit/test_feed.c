/* SPDX-License-Identifier: MIT */
/* The feed: who reads gets whole issues and the newest only, sleeps without losing one, and is one of few. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http/feed.h"

#define HOUR (3600 * WEIR_SECOND)

static struct feed *open_feed(unsigned max_readers, weir_time max_age)
{
    struct feed *feed = NULL;

    check(feed_open(max_readers, max_age, &feed, NULL) == WEIR_OK);
    return feed;
}

static void publish(struct feed *feed, const char *text)
{
    feed_publish(feed, strdup(text), strlen(text));
}

/* How often a reader was put to sleep and woken. */
struct sleeps {
    int asleep;
    int awake;
};

static void fall_asleep(void *arg)
{
    ((struct sleeps *)arg)->asleep++;
}

static void wake_up(void *arg)
{
    ((struct sleeps *)arg)->awake++;
}

static struct sleeps slept;
static char got[64];

/* One reading of at most `size` bytes into `got`. */
static ssize_t read_some(struct feed_reader *reader, size_t size, bool *ret_begins)
{
    const struct feed_sleeper sleeper = {fall_asleep, wake_up, &slept};
    ssize_t count = feed_read(reader, &sleeper, got, size, ret_begins);

    got[count > 0 ? count : 0] = '\0';
    return count;
}

static const char *read_all(struct feed_reader *reader)
{
    bool begins;

    return read_some(reader, sizeof got - 1, &begins) > 0 ? got : "";
}

static void a_reader_gets_each_issue_whole_and_sleeps_between_two(void)
{
    struct feed *feed = open_feed(2, HOUR);
    struct feed_reader *reader = feed_join(feed);
    bool begins;

    slept = (struct sleeps){0};
    check_int(read_some(reader, 10, &begins), FEED_ASLEEP);
    publish(feed, "first");
    check_int(slept.awake, 1);
    check_int(read_some(reader, 3, &begins), 3);
    check_text(got, "fir");
    check(begins);
    check_int(read_some(reader, 3, &begins), 2);
    check_text(got, "st");
    check(!begins);
    check_int(read_some(reader, 3, &begins), FEED_ASLEEP);
    publish(feed, "second");
    check_text(read_all(reader), "second");
    check_int(slept.asleep, 2);
    check_int(slept.awake, 2);
    feed_leave(reader);
    feed_end(feed);
    feed_close(feed);
}

static void a_slow_reader_finishes_its_issue_and_goes_on_with_the_newest(void)
{
    struct feed *feed = open_feed(2, HOUR);
    struct feed_reader *slow = feed_join(feed);
    bool begins;

    publish(feed, "first");
    check_int(read_some(slow, 2, &begins), 2);
    publish(feed, "second");
    publish(feed, "third");
    check_text(read_all(slow), "rst");
    check_text(read_all(slow), "third");
    feed_leave(slow);
    feed_end(feed);
    feed_close(feed);
}

static void who_joins_later_begins_with_the_newest_issue(void)
{
    struct feed *feed = open_feed(2, HOUR);
    struct feed_reader *first = feed_join(feed);

    publish(feed, "old");
    publish(feed, "new");
    struct feed_reader *second = feed_join(feed);
    check_text(read_all(second), "new");
    feed_leave(first);
    feed_leave(second);
    check_int(feed_reader_count(feed), 0);
    feed_end(feed);
    feed_close(feed);
}

static void nobody_is_shown_what_was_true_when_the_last_one_left(void)
{
    struct feed *feed = open_feed(2, HOUR);
    struct feed_reader *first = feed_join(feed);
    bool begins;

    publish(feed, "stale");
    feed_leave(first);
    publish(feed, "to nobody");
    struct feed_reader *second = feed_join(feed);
    check_int(read_some(second, 10, &begins), FEED_ASLEEP);
    publish(feed, "fresh");
    check_text(read_all(second), "fresh");
    feed_leave(second);
    feed_end(feed);
    feed_close(feed);
}

static void one_more_than_allowed_is_refused_until_somebody_leaves(void)
{
    struct feed *feed = open_feed(2, HOUR);
    struct feed_reader *readers[] = {feed_join(feed), feed_join(feed)};

    check(readers[0] != NULL && readers[1] != NULL);
    check(feed_join(feed) == NULL);
    feed_leave(readers[0]);
    readers[0] = feed_join(feed);
    check(readers[0] != NULL);
    check_int(feed_reader_count(feed), 2);
    feed_leave(readers[1]);
    feed_leave(readers[0]);
    feed_end(feed);
    feed_close(feed);
}

static void the_end_wakes_sleepers_lets_an_issue_be_finished_and_admits_nobody(void)
{
    struct feed *feed = open_feed(3, HOUR);
    struct feed_reader *busy = feed_join(feed);
    struct feed_reader *asleep;
    bool begins;

    publish(feed, "last");
    check_int(read_some(busy, 1, &begins), 1);
    asleep = feed_join(feed);
    check_text(read_all(asleep), "last");
    slept = (struct sleeps){0};
    check_int(read_some(asleep, 1, &begins), FEED_ASLEEP);
    feed_end(feed);
    feed_end(feed);
    check_int(slept.awake, 1);
    check_int(read_some(asleep, 1, &begins), FEED_OVER);
    check_text(read_all(busy), "ast");
    check_int(read_some(busy, 1, &begins), FEED_OVER);
    check(feed_join(feed) == NULL);
    check(!feed_wait(feed, WEIR_DEADLINE_NEVER));
    feed_leave(busy);
    feed_leave(asleep);
    feed_close(feed);
}

static void a_reader_beyond_its_age_is_done_after_one_issue(void)
{
    struct feed *feed = open_feed(1, 0);
    struct feed_reader *reader = feed_join(feed);
    bool begins;

    publish(feed, "one");
    check_text(read_all(reader), "one");
    publish(feed, "two");
    check_int(read_some(reader, 10, &begins), FEED_OVER);
    feed_leave(reader);
    feed_end(feed);
    feed_close(feed);
}

static void a_publisher_is_told_when_somebody_waits_and_not_before_time_otherwise(void)
{
    struct feed *feed = open_feed(1, HOUR);
    struct feed_reader *reader = feed_join(feed);
    weir_time until;

    check(feed_wait(feed, WEIR_DEADLINE_NEVER));
    publish(feed, "issue");
    until = weir_now() + 20 * WEIR_MS;
    check(feed_wait(feed, until));
    check(weir_now() >= until);
    feed_leave(reader);
    feed_end(feed);
    feed_close(feed);
}

/* ---- Threads ------------------------------------------------------------------------------ */

enum { READERS = 4, ISSUES = 2000 };

struct sleeper {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_asleep;
};

static void sleep_here(void *arg)
{
    struct sleeper *sleeper = arg;

    pthread_mutex_lock(&sleeper->lock);
    sleeper->is_asleep = true;
    pthread_mutex_unlock(&sleeper->lock);
}

static void wake_here(void *arg)
{
    struct sleeper *sleeper = arg;

    pthread_mutex_lock(&sleeper->lock);
    sleeper->is_asleep = false;
    pthread_cond_signal(&sleeper->changed);
    pthread_mutex_unlock(&sleeper->lock);
}

static atomic_int out_of_order;
static atomic_int at_the_last;

/* Every issue is its number in eight digits; they must come whole, and rising. */
static void *follow(void *arg)
{
    struct feed_reader *reader = feed_join(arg);
    struct sleeper self = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const struct feed_sleeper sleeper = {sleep_here, wake_here, &self};
    char number[9] = "";
    size_t size = 0;
    long last = 0;
    ssize_t count;
    bool begins;

    while (reader != NULL && (count = feed_read(reader, &sleeper, number + size, size == 0 ? 3 : 5,
                                                &begins)) != FEED_OVER) {
        pthread_mutex_lock(&self.lock);
        while (self.is_asleep)
            pthread_cond_wait(&self.changed, &self.lock);
        pthread_mutex_unlock(&self.lock);
        size += (size_t)count;
        if (size < 8)
            continue;
        atomic_fetch_add(&out_of_order, strtol(number, NULL, 10) <= last);
        last = strtol(number, NULL, 10);
        atomic_fetch_add(&at_the_last, last == ISSUES);
        size = 0;
    }
    feed_leave(reader);
    return NULL;
}

static void many_readers_follow_one_publisher_to_the_last_issue(void)
{
    struct feed *feed = open_feed(READERS, HOUR);
    pthread_t threads[READERS];
    char text[16];

    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, follow, feed);
    while (feed_reader_count(feed) < READERS)
        sched_yield();
    for (int i = 1; i <= ISSUES; i++) {
        snprintf(text, sizeof text, "%08d", i);
        publish(feed, text);
    }
    while (atomic_load(&at_the_last) < READERS)
        sched_yield();
    feed_end(feed);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    check_int(atomic_load(&out_of_order), 0);
    feed_close(feed);
}

int main(void)
{
    run(a_reader_gets_each_issue_whole_and_sleeps_between_two);
    run(a_slow_reader_finishes_its_issue_and_goes_on_with_the_newest);
    run(who_joins_later_begins_with_the_newest_issue);
    run(nobody_is_shown_what_was_true_when_the_last_one_left);
    run(one_more_than_allowed_is_refused_until_somebody_leaves);
    run(the_end_wakes_sleepers_lets_an_issue_be_finished_and_admits_nobody);
    run(a_reader_beyond_its_age_is_done_after_one_issue);
    run(a_publisher_is_told_when_somebody_waits_and_not_before_time_otherwise);
    run(many_readers_follow_one_publisher_to_the_last_issue);
    return check_done();
}
