/* SPDX-License-Identifier: MIT */
/* The backend's log: one line per message on standard error, which never waits for its reader. */
#ifndef WEIR_SERVER_LOG_H
#define WEIR_SERVER_LOG_H

#include <stdbool.h>

#include <weir/db.h>
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

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON, /* one object a line */
};

/* The format of a word in any case; false when there is none of that name. TEXT until set. Threads:
 * any. */
bool log_format_parse(const char *word, enum log_format *ret_format);
void log_set_format(enum log_format format);

/* Where lines go; 2 until set. For tests; not while others log. */
void log_set_descriptor(int descriptor);

/*
 * Write one line: `2024-05-01T12:00:00.123Z INFO    text`, in UTC, or the object
 * `{"time":"2024-05-01T12:00:00.123Z","level":"INFO","message":"text"}`. Where the thread works for a
 * traced request, the trace's id follows (`, trace 4bf9…`; `"trace_id"`).
 *
 * Of warnings and errors that differ in digits only, five are written in ten seconds; of the others a
 * line tells how many there were. So is what comes while 64 such messages are being counted already, taken
 * together: whatever happens, the log is bounded.
 *
 * Control characters and bytes that are not UTF-8 are escaped (\n, \x1b), so that one message is
 * one line whatever a client put into it. Lines are cut at 4000 bytes, which a pipe takes whole
 * or not at all. A reader that does not read stops nobody: while the descriptor would block, lines
 * are dropped, and the next one that gets through is preceded by how many.
 *
 * Threads: any. The caller keeps secrets out of it.
 */
void log_write(enum log_level level, const char *format, ...) WEIR_PRINTF(2, 3);

/* What a line is about; the JSON has fields for pool and connection. */
struct log_about {
    const char *pool;       /* NULL: none */
    uint64_t connection_id; /* 0: none */

    /* What a warning or error is counted by, for those whose words differ where the matter is the same, or
     * that a whole outage repeats: of one kind, the first in ten seconds is written. NULL: the message. */
    const char *kind;
};
void log_write_about(enum log_level level, const struct log_about *about, const char *format, ...)
    WEIR_PRINTF(3, 4);

/* Write what was held back of repeated messages and is due; at the end, all of it. Call it about once a
 * second. Threads: any. */
void log_maintain(bool is_end);

/*
 * Log the life of a database's pool: timeouts, failed pings, leaks, nested acquires and limits of the
 * server as warnings, and once what its sessions are without (weir_conn_note()); with the level at DEBUG, also checkouts,
 * checkins, opens, closes and their reasons. Call it once per database.
 */
weir_status log_follow_db(weir_db *db, weir_error *reterr);

/*
 * Log an HTTP session's life: an origin whose breaker opened or that asked for a pause as warnings;
 * with the level at DEBUG, also attempts, retries and redirects. Neither queries nor headers are
 * shown, which may hold secrets. Call it once per session.
 */
weir_status log_follow_http(weir_http *session, weir_error *reterr);

/* The same for what these leave out below DEBUG, when that is wanted later; once for each database and
 * session, which it then costs the same until it is closed. Errors: WEIR_FULL. Threads: any. */
WEIR_MUST_CHECK weir_status log_follow_db_closely(weir_db *db, weir_error *reterr);
WEIR_MUST_CHECK weir_status log_follow_http_closely(weir_http *session, weir_error *reterr);

#endif
