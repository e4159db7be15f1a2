/* SPDX-License-Identifier: MIT */
/* Which hosts a PostgreSQL connection may go to, as libpq would read it. */
#include "db/drivers/postgres_connect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int weir__pg_role_of(const char *attrs)
{
    static const char *const names[] = {
        [PG_ANY] = "any",
        [PG_READ_WRITE] = "read-write",
        [PG_READ_ONLY] = "read-only",
        [PG_PRIMARY] = "primary",
        [PG_STANDBY] = "standby",
        [PG_PREFER_STANDBY] = "prefer-standby",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(names[i], attrs) == 0)
            return (int)i;
    }
    return -1;
}

size_t weir__pg_choose(size_t limit)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        return 0;
    return random % limit;
}

/* ---- asking libpq -------------------------------------------------------------------------- */

/*
 * What libpq makes of the keywords together with the environment, a service file and its defaults.
 * No call of libpq gives that without connecting, and PQconndefaults() knows no service that is
 * named in the URL. So a connection is begun that libpq refuses before it does anything (an
 * sslmode that does not exist; so in 10 to 18), but which it has filled in by then. NULL: out of memory.
 */
static PQconninfoOption *ask_libpq(const struct pg_keywords *keywords)
{
    struct pg_keywords asked = *keywords;
    PQconninfoOption *info = NULL;

    weir__pg_keywords_add(&asked, "sslmode", "none, this is a question");
    PGconn *pg = PQconnectStartParams(asked.names, asked.values, 0);
    keywords->names[keywords->count] = NULL;
    if (pg != NULL && PQstatus(pg) == CONNECTION_BAD)
        info = PQconninfo(pg);
    PQfinish(pg);
    return info;
}

static const char *value_of(const PQconninfoOption *info, const char *name)
{
    while (info->keyword != NULL && strcmp(info->keyword, name) != 0)
        info++;
    return info->keyword != NULL && info->val != NULL ? info->val : "";
}

/* ---- the lists ----------------------------------------------------------------------------- */

static size_t length_of(const char *list)
{
    size_t length = 1;

    if (*list == '\0')
        return 0;
    for (; *list != '\0'; list++)
        length += *list == ',';
    return length;
}

/* Copy a list to *room and put its entries into one field of the hosts; an entry alone is
 * everybody's. */
static void spread(struct pg_hosts *hosts, size_t field, const char *list, char **room)
{
    size_t length = length_of(list);
    char *entry = strcpy(*room, list);

    *room += strlen(list) + 1;
    for (size_t i = 0; i < hosts->count; i++) {
        *(const char **)((char *)&hosts->list[i] + field) = entry;
        if (length <= 1)
            continue;
        char *end = strchr(entry, ',');
        if (end != NULL) {
            *end = '\0';
            entry = end + 1;
        }
    }
}

static void shuffle(struct pg_hosts *hosts)
{
    for (size_t i = hosts->count; i > 1; i--) {
        size_t other = weir__pg_choose(i);
        struct pg_host host = hosts->list[i - 1];
        hosts->list[i - 1] = hosts->list[other];
        hosts->list[other] = host;
    }
}

static bool agrees(size_t length, size_t count)
{
    return length == 0 || length == count;
}

static weir_status read_lists(struct pg_hosts *hosts, const PQconninfoOption *info,
                              weir_error *reterr)
{
    const char *names = value_of(info, "host");
    const char *addresses = value_of(info, "hostaddr");
    const char *ports = value_of(info, "port");
    size_t count = length_of(addresses) > 0 ? length_of(addresses) : length_of(names);

    hosts->count = count > 0 ? count : 1;
    hosts->is_for_libpq = !agrees(length_of(names), hosts->count) ||
                          (length_of(ports) > 1 && length_of(ports) != hosts->count);
    if (hosts->is_for_libpq)
        hosts->count = 1;
    hosts->list = calloc(hosts->count, sizeof(*hosts->list));
    char *room = hosts->strings = malloc(strlen(names) + strlen(addresses) + strlen(ports) + 3);
    if (hosts->list == NULL || room == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read the hosts: out of memory");
    spread(hosts, offsetof(struct pg_host, name), names, &room);
    spread(hosts, offsetof(struct pg_host, address), addresses, &room);
    spread(hosts, offsetof(struct pg_host, port), ports, &room);
    hosts->is_random = strcmp(value_of(info, "load_balance_hosts"), "random") == 0;
    if (hosts->is_random)
        shuffle(hosts);
    return WEIR_OK;
}

weir_status weir__pg_hosts_init(struct pg_hosts *hosts, const struct pg_keywords *keywords,
                                weir_error *reterr)
{
    PQconninfoOption *info = ask_libpq(keywords);

    *hosts = (struct pg_hosts){.wanted = PG_ANY};
    if (info == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read libpq's options: out of memory");
    int wanted = weir__pg_role_of(value_of(info, "target_session_attrs"));
    if (wanted >= 0)
        hosts->wanted = (enum pg_role)wanted;
    weir_status status = read_lists(hosts, info, reterr);
    PQconninfoFree(info);
    if (status != WEIR_OK)
        weir__pg_hosts_clear(hosts);
    return status;
}

void weir__pg_hosts_clear(struct pg_hosts *hosts)
{
    free(hosts->list);
    free(hosts->strings);
    hosts->list = NULL;
    hosts->strings = NULL;
}
