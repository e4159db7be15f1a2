/* SPDX-License-Identifier: MIT */
/* Where a database is, for people: the host and the name that stand in its URL. */
#include "database_place.h"

#include <stdbool.h>
#include <string.h>

#include "common/utf8.h"
#include "text/urltext.h"

/* Decode [from, to) behind what `out`, of 256 bytes, has already. */
static void append(char out[256], const char *from, const char *to)
{
    char part[256] = "";
    size_t used = strlen(out);
    size_t size = (size_t)(to - from);

    if (size >= sizeof part)
        size = sizeof part - 1;
    while (size > 0 && !url_decode(from, size, false, part, &(size_t){0}))
        size--; /* it was cut within a character */
    size = size > 0 ? strlen(part) : 0;
    if (used + size >= sizeof part)
        size = sizeof part - 1 - used;
    while (size > 0 && !utf8_is_valid(part, size))
        size--;
    memcpy(out + used, part, size);
    out[used + size] = '\0';
}

static void append_text(char out[256], const char *text)
{
    append(out, text, text + strlen(text));
}

static const char *first_of(const char *from, const char *to, char wanted)
{
    const char *at = memchr(from, wanted, (size_t)(to - from));

    return at != NULL ? at : to;
}

/* Behind the last "@", if there is one: a name or a password may hold one, coded or not. */
static const char *skip_user(const char *from, const char *to)
{
    for (const char *at = to; at > from; at--)
        if (at[-1] == '@')
            return at;
    return from;
}

/* The value of an option of the query; false when it is not there. */
static bool find_option(const char *query, const char *name, const char **ret_from,
                        const char **ret_to)
{
    const char *end = query + strlen(query);
    size_t size = strlen(name);

    while (query < end) {
        const char *to = first_of(query, end, '&');

        if ((size_t)(to - query) > size && strncmp(query, name, size) == 0 && query[size] == '=') {
            *ret_from = query + size + 1;
            *ret_to = to;
            return true;
        }
        query = to < end ? to + 1 : end;
    }
    return false;
}

/* Options of libpq's that stand in for parts of the URL. */
static void read_options(const char *query, struct database_place *place)
{
    const char *from;
    const char *to;

    if (place->host[0] == '\0' && find_option(query, "host", &from, &to))
        append(place->host, from, to);
    if (place->host[0] != '\0' && strchr(place->host, ':') == NULL &&
        find_option(query, "port", &from, &to)) {
        append_text(place->host, ":");
        append(place->host, from, to);
    }
    if (place->name[0] == '\0' && find_option(query, "dbname", &from, &to))
        append(place->name, from, to);
}

void database_place_read(const char *url, struct database_place *ret_place)
{
    const char *at = strstr(url, "://");

    *ret_place = (struct database_place){"", ""};
    if (at == NULL)
        return;
    at += 3;
    const char *query = first_of(at, at + strlen(at), '?');
    const char *path = first_of(at, query, '/');
    append(ret_place->host, skip_user(at, path), path);
    if (path < query)
        append(ret_place->name, path + 1, query);
    if (strncmp(url, "sqlite", 6) == 0 && ret_place->name[0] == '\0')
        append_text(ret_place->name, ":memory:");
    if (*query == '?')
        read_options(query + 1, ret_place);
}
