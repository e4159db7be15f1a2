/* SPDX-License-Identifier: MIT */
/* A feed: one text that is replaced now and then, and a bounded number of readers who follow it. */
#ifndef WEIR_SERVER_FEED_H
#define WEIR_SERVER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <weir/base.h>
#include <weir/clock.h>

/*
 * Every reader gets whole issues, and only the newest: one that was slow finds on its return what is
 * newest then, not what it missed. So a feed holds the newest issue, and of older ones those that a
 * reader is in the middle of; with n readers never more than n + 1, however slow they are.
 */
struct feed;

/* One that follows. It belongs to the caller of feed_join(); only one thread reads with it. */
struct feed_reader;

/*
 * How a reader is put to sleep and woken. Both are called under the feed's lock, so that no issue
 * can come between "there is nothing" and the sleep: they must not block, and not call the feed.
 * `wake` is called once for each `sleep`, by whoever publishes or ends.
 */
struct feed_sleeper {
    void (*sleep)(void *arg);
    void (*wake)(void *arg);
    void *arg;
};

/* What feed_read() may say beside a number of bytes. */
enum { FEED_ASLEEP = 0, FEED_OVER = -1 };

/*
 * Open a feed for at most `max_readers`. `max_age`: a reader is told FEED_OVER after the first issue
 * that it finishes later than that, so that who reads is asked again who he is.
 *
 * Errors: WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status feed_open(unsigned max_readers, weir_time max_age,
                                      struct feed **ret_feed, weir_error *reterr);

/* Free it. It must have been ended, and every reader must have left. NULL is fine. */
void feed_close(struct feed *feed);

/*
 * The next issue: `size` bytes, malloc'ed, not none; the feed takes them over. Without readers, or
 * after the end, they are freed at once. Threads: any.
 */
void feed_publish(struct feed *feed, char *bytes, size_t size);

/* Readers finish what they are in the middle of and are told FEED_OVER; nobody joins any more.
 * Idempotent. Threads: any. */
void feed_end(struct feed *feed);

/*
 * Sleep until one joins that finds no issue, or until `until`. False: the feed has ended. Threads: one,
 * who publishes.
 */
bool feed_wait(struct feed *feed, weir_time until);

/* Another limit; those who read already stay. Threads: any. */
void feed_set_max_readers(struct feed *feed, unsigned max_readers);

unsigned feed_reader_count(struct feed *feed);

/* Follow the feed, beginning with the newest issue if there is one. NULL: it is full, has ended, or
 * memory ran out. Threads: any. */
struct feed_reader *feed_join(struct feed *feed);

/* Leave it. The reader must not be asleep. NULL is fine. */
void feed_leave(struct feed_reader *reader);

/*
 * Copy the next bytes, at most `size`. FEED_ASLEEP: there are none, and sleeper->sleep() was called;
 * FEED_OVER: there will be none. *ret_begins tells whether they are the first of an issue.
 */
ssize_t feed_read(struct feed_reader *reader, const struct feed_sleeper *sleeper, char *out,
                  size_t size, bool *ret_begins);

#endif
