/* SPDX-License-Identifier: MIT */
/* What stands around each statement of SQLite: its limits, the queue of writers, a look at the file. */
#include "db/drivers/sqlite.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A file is looked at this often while it is used, however busy it is: what is written to one that was
 * removed or replaced is answered with success for no longer. */
#define LOOK_EVERY (100 * WEIR_MS)

/* ---- limits ------------------------------------------------------------------------------ */

void weir__sqlite_start(struct sqlite_conn *conn, weir_time deadline)
{
    conn->deadline = deadline;
    conn->busy_until = 0;
    conn->is_late = false;
    conn->has_waited = false;
    weir__sqlite_watch_start(&conn->watch, deadline);
}

void weir__sqlite_end(struct sqlite_conn *conn)
{
    weir__sqlite_watch_stop(&conn->watch);
    weir__sqlite_leave_turn(conn);
}

int weir__sqlite_stop_at_deadline(void *arg)
{
    struct sqlite_conn *conn = arg;

    if (conn->deadline == WEIR_DEADLINE_NEVER || weir_now() < conn->deadline)
        return 0;
    conn->is_late = true;
    return 1;
}

/* ---- locks ------------------------------------------------------------------------------- */

/* Until when a statement that meets a lock now may wait for it. */
static weir_time lock_limit(const struct sqlite_conn *conn, weir_time now)
{
    weir_time limit = now + conn->config->options.busy_timeout_ms * WEIR_MS;

    return limit < conn->deadline ? limit : conn->deadline;
}

/*
 * Sleep a little while another connection has the lock, or give up. Writers of this process do not come
 * here, they wait in the queue; this is for other processes, for readers of a database in memory, and for
 * checkpoints. SQLite has no queue for them, so short sleeps are what keeps them from waiting for longer
 * than needed; they grow to 5 ms, and the address of the connection varies them so that two do not march
 * in step.
 */
int weir__sqlite_wait_for_lock(void *arg, int count)
{
    struct sqlite_conn *conn = arg;
    weir_time now = weir_now();

    if (conn->busy_until == 0)
        conn->busy_until = lock_limit(conn, now);
    if (now >= conn->busy_until) {
        conn->has_waited = true;
        return 0;
    }

    weir_time longest = (count < 7 ? 50 * WEIR_US << count : 5 * WEIR_MS);
    weir_time nap = longest / 2 + (now ^ (weir_time)((uintptr_t)conn >> 4)) % (longest / 2 + 1);
    if (nap > conn->busy_until - now)
        nap = conn->busy_until - now;
    struct timespec t = {.tv_sec = nap / WEIR_SECOND, .tv_nsec = nap % WEIR_SECOND};
    nanosleep(&t, NULL);
    return 1;
}

/* Who has the turn, in words. */
static void describe_holder(weir_pool *writers, char *text, size_t size)
{
    weir_pool_holder holder;

    text[0] = '\0';
    if (weir_pool_get_holders(writers, &holder, 1) > 0)
        snprintf(text, size, "; thread %d of this process has held it for %.2f s", holder.thread,
                 (double)holder.age / (double)WEIR_SECOND);
}

/*
 * One who holds a view of the database already does not wait in the queue. Were another to write meanwhile,
 * its view would be too old to write from, whenever its turn came; and in a database in memory the
 * writer could not commit while this one reads, so that each would wait for the other. SQLite's own rule
 * is the same: the lock is refused at once, without asking the busy handler.
 */
weir_status weir__sqlite_take_turn(struct sqlite_conn *conn, weir_error *reterr)
{
    if (conn->writers == NULL || conn->turn.pool != NULL)
        return WEIR_OK;

    weir_error refusal = {0};
    char holder[80];
    bool is_reading = sqlite3_txn_state(conn->db, "main") == SQLITE_TXN_READ;
    weir_time now = weir_now();
    weir_time limit = is_reading ? WEIR_DEADLINE_NOW : lock_limit(conn, now);
    weir_status status = weir_pool_acquire(conn->writers, limit, &conn->turn, &refusal);
    if (status == WEIR_OK) {
        /* What was waited here is no more to be had for another process's lock. */
        if (limit != WEIR_DEADLINE_NOW && weir_now() - now > WEIR_MS)
            conn->busy_until = limit;
        return WEIR_OK;
    }
    if (status != WEIR_TIMEOUT)
        return weir_error_set(reterr, status, "sqlite: %s", refusal.text);

    conn->has_waited = !is_reading;
    describe_holder(conn->writers, holder, sizeof holder);
    return weir__sqlite_lock_error(conn, SQLITE_BUSY, holder, reterr);
}

void weir__sqlite_leave_turn(struct sqlite_conn *conn)
{
    if (conn->turn.pool != NULL && sqlite3_txn_state(conn->db, "main") != SQLITE_TXN_WRITE)
        (void)weir_pool_release(&conn->turn);
}

/* ---- the file ---------------------------------------------------------------------------- */

/* Lags by some milliseconds and costs a quarter of the precise clock: this is asked at each statement. */
static weir_time coarse_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (weir_time)t.tv_sec * WEIR_SECOND + t.tv_nsec;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* How it lies there; false when it cannot be told, or when a -wal shows that somebody writes. */
static bool see_still(const struct sqlite_conn *conn, struct sqlite_still *ret_still)
{
    struct stat info;
    const char *wal = sqlite3_filename_wal(sqlite3_db_filename(conn->db, "main"));

    if (wal != NULL && *wal != '\0' && stat(wal, &info) == 0 && info.st_size > 0)
        return false;
    if (stat(conn->engine->path, &info) != 0)
        return false;
    *ret_still = (struct sqlite_still){info.st_size, info.st_ctim, info.st_mtim};
    return true;
}

bool weir__sqlite_note_still(struct sqlite_conn *conn)
{
    conn->is_still = see_still(conn, &conn->still);
    return conn->is_still;
}

static bool is_unchanged(const struct sqlite_conn *conn)
{
    struct sqlite_still now;

    return see_still(conn, &now) && now.size == conn->still.size &&
           is_same_time(now.changed, conn->still.changed) &&
           is_same_time(now.modified, conn->still.modified);
}

/* *reterr has its text already. */
static weir_status lost(struct sqlite_conn *conn, weir_error *reterr)
{
    conn->is_lost = true;
    if (reterr != NULL)
        memcpy(reterr->sqlstate, "08006", 6);
    return WEIR_DISCONNECTED;
}

weir_status weir__sqlite_is_alive(struct sqlite_conn *conn, bool is_busy, weir_error *reterr)
{
    if (conn->file == NULL)
        return WEIR_OK;
    /* Read without locks: then each answer depends on nobody having written. */
    if (conn->is_still && !is_unchanged(conn)) {
        weir_error_set(reterr, WEIR_DISCONNECTED,
                       "sqlite \"%s\": the file was written to, though it is read-only here",
                       conn->path);
        return lost(conn, reterr);
    }

    weir_time now = coarse_now();
    if (is_busy && now - conn->looked_at < LOOK_EVERY)
        return WEIR_OK;
    if (!weir__sqlite_file_is_at(conn->file, conn->engine->path)) {
        weir_error_set(reterr, WEIR_DISCONNECTED, "sqlite \"%s\": the file was removed or replaced",
                       conn->path);
        return lost(conn, reterr);
    }
    conn->looked_at = now;
    return WEIR_OK;
}

/* ---- a holder's statements --------------------------------------------------------------- */

weir_status weir__sqlite_begin_work(struct sqlite_conn *conn, weir_time deadline,
                                    weir_error *reterr)
{
    weir_status status = weir__sqlite_is_alive(conn, true, reterr);
    if (status == WEIR_OK)
        weir__sqlite_start(conn, deadline);
    return status;
}

/*
 * What was stored in a file that had gone by then is no success. That a look was due before the
 * statement says nothing of the time since, if it took long.
 */
weir_status weir__sqlite_end_work(struct sqlite_conn *conn, weir_status status, bool has_written,
                                  weir_error *reterr)
{
    weir__sqlite_end(conn);
    if (status == WEIR_OK && (has_written || conn->is_still))
        status = weir__sqlite_is_alive(conn, true, reterr);
    return status;
}
