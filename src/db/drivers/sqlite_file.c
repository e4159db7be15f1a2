/* SPDX-License-Identifier: MIT */
/* The database files that this process has open: who writes next, and whose -wal and -shm those are. */
#include "common/lock.h"
#include "db/drivers/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files that were replaced and left a -wal or -shm behind; more than these are not remembered. */
#define MOST_LEFT 16

/*
 * How long the first in the queue has waited before nobody may overtake it. Without it each of many
 * short writes would wait for a thread to wake up: decision 19.
 */
#define HANDOFF_AFTER_US 2000

/* A file's identity; all zero: none. */
struct file_id {
    dev_t device;
    ino_t inode;
};

/* What lies beside a database. */
struct sides {
    struct file_id wal;
    struct file_id shm;
};

/*
 * While a connection is open, SQLite holds the file and both at its side open, so their identities
 * cannot be given to other files. When the last one is closed although something else lies at the path,
 * SQLite leaves -wal and -shm where they are. Then the entry stays, and descriptors keep the identities
 * for as long as one of the two is there.
 */
struct sqlite_file {
    struct file_id id;
    char *path; /* its own, without links */
    int pin;    /* an O_PATH descriptor of it */
    weir_pool *writers;

    /* Under the lock of all. */
    struct sides sides;
    int users;        /* 0: it is one of those left behind */
    int side_pins[2]; /* of -wal and -shm while there are no users; -1: none */
    struct sqlite_file *next;
};

static struct {
    struct weir__mutex lock;
    struct sqlite_file *first;
} all = {.lock = WEIR_MUTEX_INITIALIZER};

/* ---- identities -------------------------------------------------------------------------- */

static bool is_same(struct file_id a, struct file_id b)
{
    return a.inode == b.inode && a.device == b.device;
}

static bool is_some(struct file_id id)
{
    return id.inode != 0;
}

/* What lies at a path; nothing when it cannot be told. */
static struct file_id identify(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return (struct file_id){0};
    return (struct file_id){info.st_dev, info.st_ino};
}

/* The path of what SQLite keeps beside a file, which it names after the file and not after a link. */
static struct file_id identify_side(const char *path, const char *suffix)
{
    char side[PATH_MAX + 8];

    snprintf(side, sizeof side, "%s%s", path, suffix);
    return identify(side);
}

static struct sides look_beside(const char *path)
{
    return (struct sides){identify_side(path, "-wal"), identify_side(path, "-shm")};
}

/*
 * Hold on to what lies at a path, so that its identity is given to no other file; -1 when that is not
 * the expected one. Such a descriptor takes part in no lock: closing it does not end those that SQLite
 * holds on the file, as closing any other one would (POSIX).
 */
static int pin(const char *path, struct file_id expected)
{
    struct stat info;
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (fstat(fd, &info) == 0 && is_same((struct file_id){info.st_dev, info.st_ino}, expected))
        return fd;
    close(fd);
    errno = ENOENT;
    return -1;
}

static int pin_side(const char *path, const char *suffix, struct file_id expected)
{
    char side[PATH_MAX + 8];

    if (!is_some(expected))
        return -1;
    snprintf(side, sizeof side, "%s%s", path, suffix);
    return pin(side, expected);
}

static void close_pin(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* ---- the queue --------------------------------------------------------------------------- */

static weir_status connect_nothing(void *arg, weir_time deadline, void **ret_connection,
                                   weir_error *reterr)
{
    static char right_to_write;

    (void)arg;
    (void)deadline;
    (void)reterr;
    *ret_connection = &right_to_write;
    return WEIR_OK;
}

static void close_nothing(void *arg, void *connection)
{
    (void)arg;
    (void)connection;
}

weir_status weir__sqlite_writers_open(weir_pool **ret_writers, weir_error *reterr)
{
    static const weir_driver nothing = {.connect = connect_nothing, .close = close_nothing};
    weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;

    options.name = "sqlite writers";
    options.pool_size = 1;
    options.max_overflow = 0;
    options.pool_recycle_s = -1;
    options.pool_pre_ping = false;
    options.max_waiters = 1000000;
    options.handoff_after_us = HANDOFF_AFTER_US;
    return weir_pool_open(&options, &nothing, NULL, ret_writers, reterr);
}

/* ---- what was left behind ---------------------------------------------------------------- */

static void free_file(struct sqlite_file *file)
{
    if (file == NULL)
        return;
    for (int i = 0; i < 2; i++)
        close_pin(file->side_pins[i]);
    close_pin(file->pin);
    weir_pool_close(file->writers);
    free(file->path);
    free(file);
}

static void unlink_file_locked(struct sqlite_file *file) WEIR_REQUIRES(all.lock)
{
    struct sqlite_file **at = &all.first;

    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
}

static bool is_gone(int pin)
{
    struct stat info;

    return pin < 0 || (fstat(pin, &info) == 0 && info.st_nlink == 0);
}

/* Take from the list one that nothing is left of, or the oldest when there are too many; NULL: none. */
static struct sqlite_file *take_forgotten_locked(void) WEIR_REQUIRES(all.lock)
{
    struct sqlite_file *oldest = NULL;
    int count = 0;

    for (struct sqlite_file *file = all.first; file != NULL; file = file->next) {
        if (file->users > 0)
            continue;
        oldest = file;
        count++;
        if (is_gone(file->side_pins[0]) && is_gone(file->side_pins[1])) {
            unlink_file_locked(file);
            return file;
        }
    }
    if (count <= MOST_LEFT)
        return NULL;
    unlink_file_locked(oldest);
    return oldest;
}

static void forget_the_gone(void)
{
    struct sqlite_file *file;

    do {
        weir__lock(&all.lock);
        file = take_forgotten_locked();
        weir__unlock(&all.lock);
        free_file(file);
    } while (file != NULL);
}

static bool is_foreign_locked(struct file_id id, const struct sides *sides) WEIR_REQUIRES(all.lock)
{
    for (struct sqlite_file *file = all.first; file != NULL; file = file->next) {
        if (is_same(file->id, id))
            continue;
        if ((is_some(file->sides.wal) && is_same(file->sides.wal, sides->wal)) ||
            (is_some(file->sides.shm) && is_same(file->sides.shm, sides->shm)))
            return true;
    }
    return false;
}

weir_status weir__sqlite_file_check(const char *path, const char *name, weir_error *reterr)
{
    char real[PATH_MAX];
    const char *own = realpath(path, real) != NULL ? real : path;
    struct file_id id = identify(own);
    struct sides sides = look_beside(own);
    if (!is_some(sides.wal) && !is_some(sides.shm))
        return WEIR_OK;

    forget_the_gone();
    weir__lock(&all.lock);
    bool is_foreign = is_foreign_locked(id, &sides);
    weir__unlock(&all.lock);
    if (!is_foreign)
        return WEIR_OK;
    weir_error_set(reterr, WEIR_CONNECT,
                   is_some(id)
                       ? "connect sqlite \"%s\": it was replaced while it was in use, and the -wal "
                         "and -shm beside it belong to the old file: put the old file back, or "
                         "remove these two"
                       : "connect sqlite \"%s\": it was removed while it was in use, and its -wal "
                         "and -shm are still there: put the file back, or remove these two as well",
                   name);
    if (reterr != NULL)
        memcpy(reterr->sqlstate, "08001", 6);
    return WEIR_CONNECT;
}

/* ---- coming and going -------------------------------------------------------------------- */

static struct sqlite_file *find_locked(struct file_id id) WEIR_REQUIRES(all.lock)
{
    for (struct sqlite_file *file = all.first; file != NULL; file = file->next)
        if (is_same(file->id, id))
            return file;
    return NULL;
}

/* One more user of a known file, which may be one that was left behind and put back. */
static struct sqlite_file *join_known(struct file_id id)
{
    int pins[2] = {-1, -1};

    weir__lock(&all.lock);
    struct sqlite_file *file = find_locked(id);
    if (file != NULL && file->users++ == 0) {
        memcpy(pins, file->side_pins, sizeof pins);
        file->side_pins[0] = file->side_pins[1] = -1;
    }
    weir__unlock(&all.lock);
    for (int i = 0; i < 2; i++)
        close_pin(pins[i]);
    return file;
}

static weir_status make_file(const char *path, const char *name, struct file_id id,
                             struct sqlite_file **ret_file, weir_error *reterr)
{
    char real[PATH_MAX];
    const char *own = realpath(path, real) != NULL ? real : path;
    struct sqlite_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "connect sqlite: out of memory");

    file->id = id;
    file->users = 1;
    file->side_pins[0] = file->side_pins[1] = -1;
    file->pin = pin(own, id);
    int error = errno;
    file->path = strdup(own);
    weir_status status = WEIR_OK;
    if (file->pin < 0)
        status = weir_error_set(reterr, WEIR_CONNECT, "connect sqlite \"%s\": %s", name,
                                weir__sqlite_system_text(error));
    else if (file->path == NULL)
        status = weir_error_set(reterr, WEIR_NO_MEMORY, "connect sqlite: out of memory");
    if (status == WEIR_OK)
        status = weir__sqlite_writers_open(&file->writers, reterr);
    if (status != WEIR_OK) {
        free_file(file);
        return status;
    }
    *ret_file = file;
    return WEIR_OK;
}

/* Put it into the list, unless another thread was quicker. */
static struct sqlite_file *add(struct sqlite_file *mine)
{
    weir__lock(&all.lock);
    struct sqlite_file *known = find_locked(mine->id);
    if (known != NULL) {
        known->users++;
    } else {
        mine->next = all.first;
        all.first = mine;
    }
    weir__unlock(&all.lock);
    if (known == NULL)
        return mine;
    free_file(mine);
    return known;
}

weir_status weir__sqlite_file_join(const char *path, const char *name,
                                   struct sqlite_file **ret_file, weir_error *reterr)
{
    struct file_id id = identify(path);
    if (!is_some(id))
        return weir_error_set(reterr, WEIR_CONNECT,
                              "connect sqlite \"%s\": it was removed while it was being "
                              "opened",
                              name);

    struct sqlite_file *file = join_known(id);
    if (file == NULL) {
        weir_status status = make_file(path, name, id, &file, reterr);
        if (status != WEIR_OK)
            return status;
        file = add(file);
    }
    *ret_file = file;
    return WEIR_OK;
}

/* Only when something else lies at the path is there anything to be remembered. */
static void pin_sides(struct sqlite_file *file, int *pins)
{
    if (weir__sqlite_file_is_at(file, file->path))
        return;

    weir__lock(&all.lock);
    struct sides sides = file->sides;
    weir__unlock(&all.lock);
    pins[0] = pin_side(file->path, "-wal", sides.wal);
    pins[1] = pin_side(file->path, "-shm", sides.shm);
}

void weir__sqlite_file_leave(struct sqlite_file *file)
{
    int pins[2] = {-1, -1};
    if (file == NULL)
        return;

    pin_sides(file, pins);
    weir__lock(&all.lock);
    bool is_last = --file->users == 0;
    bool is_left = is_last && (pins[0] >= 0 || pins[1] >= 0);
    if (is_left)
        memcpy(file->side_pins, pins, sizeof pins);
    else if (is_last)
        unlink_file_locked(file);
    weir__unlock(&all.lock);
    for (int i = 0; i < 2 && !is_left; i++)
        close_pin(pins[i]);
    if (is_last && !is_left)
        free_file(file);
}

void weir__sqlite_file_note_sides(struct sqlite_file *file)
{
    struct sides sides = look_beside(file->path);
    if (!weir__sqlite_file_is_at(file, file->path))
        return;

    weir__lock(&all.lock);
    file->sides = sides;
    weir__unlock(&all.lock);
}

bool weir__sqlite_file_is_at(const struct sqlite_file *file, const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return is_same((struct file_id){info.st_dev, info.st_ino}, file->id);
}

weir_pool *weir__sqlite_file_writers(const struct sqlite_file *file)
{
    return file->writers;
}
