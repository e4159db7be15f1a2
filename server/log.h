/* SPDX-License-Identifier: MIT */
/* The backend's log: one line per message on standard error, which never waits for its reader. */
#ifndef WEIR_SERVER_LOG_H
#define WEIR_SERVER_LOG_H

#include <stdbool.h>

#include <weir/http.h>
#include <weir/pool.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
};

/* The level of a word in any case ("debug", "WARNING"); false when there is none of that name. */
bool log_level_parse(const char *word, enum log_level *ret_level);

/* Least level that is written; INFO until set. Threads: any. */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/* Where lines go; 2 until set. For tests; not while others log. */
void log_set_descriptor(int descriptor);

/*
 * Write one line: `2024-05-01T12:00:00.123Z INFO    text`, in UTC.
 *
 * Control characters and bytes that are not UTF-8 are escaped (\n, \x1b), so that one message is
 * one line whatever a client put into it. Lines are cut at 4000 bytes, which a pipe takes whole
 * or not at all. A reader that does not read stops nobody: while the descriptor would block, lines
 * are dropped, and the next one that gets through is preceded by how many.
 *
 * Threads: any. The caller keeps secrets out of it.
 */
void log_write(enum log_level level, const char *format, ...) WEIR_PRINTF(2, 3);

/*
 * Log a pool's life: timeouts and failed pings as warnings; with the level at DEBUG, also
 * checkouts, checkins, opens, closes and their reasons. Call it once per pool.
 */
weir_status log_follow_pool(weir_pool *pool, weir_error *reterr);

/*
 * Log an HTTP session's life: an origin whose breaker opened or that asked for a pause as warnings;
 * with the level at DEBUG, also attempts, retries and redirects. Neither queries nor headers are
 * shown, which may hold secrets. Call it once per session.
 */
weir_status log_follow_http(weir_http *session, weir_error *reterr);

#endif
