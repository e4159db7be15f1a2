/* SPDX-License-Identifier: MIT */
/* Files of SQLite behind a URL: what stands in for those that are not there, and the mode they come in. */
#include "target.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/text/urltext.h"

char *target_sqlite_path(const char *url)
{
    const char *at = strstr(url, "://");
    size_t length;

    if (strncmp(url, "sqlite", 6) != 0 || at == NULL || at[3] != '/')
        return NULL;
    at += 4;
    size_t size = strcspn(at, "?");
    char *path = malloc(size + 1);
    if (path == NULL)
        return NULL;
    if (size == 0 || !url_decode(at, size, false, path, &length) || strcmp(path, ":memory:") == 0) {
        free(path);
        return NULL;
    }
    return path;
}

/* ---- files of SQLite --------------------------------------------------------------------- */

#define SQLITE_HEADER 100
#define WRITE_VERSION_AT 18 /* 1: a rollback journal; 2: WAL */

/* The write version in a file's header; 0 when there is no file, or nothing in it. -1: not known. */
static int write_version(const char *path)
{
    unsigned char header[SQLITE_HEADER];
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return stat(path, &about) != 0 ? 0 : -1;
    ssize_t size = read(fd, header, sizeof header);
    close(fd);
    if (size == 0)
        return 0;
    return size == SQLITE_HEADER ? header[WRITE_VERSION_AT] : -1;
}

/* Whether the directory that the file would be in exists; else opening it must fail and be seen. */
static bool has_directory(const char *path)
{
    struct stat about;
    char *directory = strdup(path);

    if (directory == NULL)
        return false;
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        slash[1] = '\0';
    bool exists = slash == NULL || stat(directory, &about) == 0;
    free(directory);
    return exists;
}

char *target_shown(const char *url)
{
    weir_url *parsed = NULL;

    weir_status status = weir_url_parse(url, &parsed, NULL);
    if (status == WEIR_NO_MEMORY)
        return NULL;
    char *shown =
        strdup(status == WEIR_OK ? weir_url_redacted(parsed) : "a URL that cannot be read");
    weir_url_close(parsed);
    return shown;
}

/* *url with another one in its place, and what it was. */
static weir_status put_in_place(char **url, const char *reason, struct target_missing *ret_missing)
{
    const char *query = strchr(*url, '?');
    char *shown = target_shown(*url);
    char *memory = text_format("sqlite:///:memory:%s", query != NULL ? query : "");

    if (shown == NULL || memory == NULL) {
        free(shown);
        free(memory);
        return WEIR_NO_MEMORY;
    }
    free(*url);
    *url = memory;
    *ret_missing = (struct target_missing){shown, reason};
    return WEIR_OK;
}

weir_status target_stand_in(char **url, struct target_missing *ret_missing, weir_error *reterr)
{
    char *path = target_sqlite_path(*url);
    weir_status status = WEIR_OK;
    struct stat about;

    *ret_missing = (struct target_missing){0};
    if (path != NULL && write_version(path) == 0 && has_directory(path))
        status =
            put_in_place(url, stat(path, &about) == 0 ? "is empty" : "does not exist", ret_missing);
    free(path);
    return status == WEIR_OK ? status : weir_error_set(reterr, status, "out of memory");
}

void target_add_missing(struct text *json, const struct target_missing *missing)
{
    if (missing->url == NULL) {
        text_add(json, "null");
        return;
    }
    text_add(json, "{\"url\": ");
    text_add_json(json, missing->url);
    text_addf(json, ", \"reason\": \"%s\"}", missing->reason);
}

/* Opening a file switches it to WAL; a connection that is alone with it can switch it back. */
static void leave_wal(const char *url)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *db;
    weir_conn *conn;

    if (weir_db_open(url, &options, &db, NULL) != WEIR_OK)
        return;
    if (weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, NULL) == WEIR_OK) {
        /* A server that has it open meanwhile keeps its mode, and that is as well. */
        (void)!weir_conn_query(conn, "PRAGMA journal_mode=DELETE", NULL, 0, NULL, NULL);
        weir_conn_discard(conn);
    }
    weir_db_close(db);
}

char *target_remember_mode(const char *url)
{
    char *path = target_sqlite_path(url);

    if (path != NULL && write_version(path) == 1)
        return path;
    free(path);
    return NULL;
}

void target_restore_mode(const char *url, char *path)
{
    if (path != NULL && write_version(path) == 2)
        leave_wal(url);
    free(path);
}
