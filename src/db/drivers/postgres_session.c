/* SPDX-License-Identifier: MIT */
/* Which statements leave a PostgreSQL session other than they found it. */
#include "db/drivers/postgres.h"

#include <string.h>
#include <strings.h>

/* The next word at or after *at: letters, digits and underscores. Its size; 0 at the end. */
static size_t next_word(const char **at)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *start = *at;

    while (*start != '\0' && strchr(word, *start) == NULL)
        start++;
    *at = start;
    return strspn(start, word);
}

static bool is_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

static bool is_one_of(const char *text, size_t size, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (is_word(text, size, *words))
            return true;
    }
    return false;
}

bool weir__pg_touches_session(const char *sql)
{
    static const char *const alone[] = {"set_config",
                                        "pg_temp",
                                        "pg_advisory_lock",
                                        "pg_advisory_lock_shared",
                                        "pg_try_advisory_lock",
                                        "pg_try_advisory_lock_shared",
                                        NULL};
    static const char *const temporary[] = {"temp", "temporary", NULL};
    static const char *const before_temporary[] = {"create", "into",    "local",
                                                   "global", "replace", NULL};
    const char *previous = sql;
    size_t previous_size = 0;
    size_t size;

    for (const char *at = sql; (size = next_word(&at)) > 0; at += size) {
        if (is_one_of(at, size, alone))
            return true;
        if (is_one_of(at, size, temporary) && is_one_of(previous, previous_size, before_temporary))
            return true;
        if (is_word(at, size, "hold") && is_word(previous, previous_size, "with"))
            return true;
        previous = at;
        previous_size = size;
    }
    return false;
}

static bool starts_with(const char *tag, const char *start)
{
    return strncmp(tag, start, strlen(start)) == 0;
}

/* Tags of what may change the session by its nature. DO runs code that nobody can look into. */
static bool tag_touches_session(const char *tag)
{
    switch (tag[0]) {
    case 'S':
        return strcmp(tag, "SET") == 0;
    case 'R':
        return strcmp(tag, "RESET") == 0;
    case 'L':
        return strcmp(tag, "LISTEN") == 0 || strcmp(tag, "LOAD") == 0;
    case 'P':
        return strcmp(tag, "PREPARE") == 0;
    case 'D':
        return strcmp(tag, "DO") == 0 || starts_with(tag, "DEALLOCATE") ||
               starts_with(tag, "DISCARD");
    default:
        return false;
    }
}

void weir__pg_note_command(struct pg_conn *conn, const char *tag, bool touches_session)
{
    if (touches_session || tag_touches_session(tag))
        conn->is_dirty = true;

    /* Someone else may have taken our prepared statements away; they are made anew when needed. */
    if (tag[0] == 'D' && (strcmp(tag, "DEALLOCATE ALL") == 0 || strcmp(tag, "DISCARD ALL") == 0))
        conn->epoch++;
}
