/* SPDX-License-Identifier: MIT */
/* What the files that open PostgreSQL connections share: options, hosts, addresses, the session's settings. */
#ifndef WEIR_DB_POSTGRES_CONNECT_H
#define WEIR_DB_POSTGRES_CONNECT_H

#include "db/drivers/postgres.h"

/* ---- postgres_options.c ------------------------------------------------------------------- */

/* What PQconnectStartParams() takes, ended by NULL. Later names win over earlier ones. */
struct pg_keywords {
    const char **names;
    const char **values;
    size_t count;
};

/* Those of the database, with room for PG_KEYWORDS_MORE others. False when there is no memory. */
#define PG_KEYWORDS_MORE 4
bool weir__pg_keywords_init(struct pg_keywords *keywords, const struct db_config *config);
void weir__pg_keywords_add(struct pg_keywords *keywords, const char *name, const char *value);
void weir__pg_keywords_clear(struct pg_keywords *keywords);

/* ---- postgres_hosts.c --------------------------------------------------------------------- */

/* One entry of the lists `host`, `hostaddr` and `port`; "" where libpq's default holds. */
struct pg_host {
    const char *name;
    const char *address;
    const char *port;
};

/* The hosts to try, in the order to try them, as libpq reads them from the URL, its environment and
 * service files; and what is wanted of the server. */
struct pg_hosts {
    enum pg_role wanted;
    bool is_random;
    bool is_for_libpq; /* the lists do not agree: libpq has the words for it */
    size_t count;
    struct pg_host *list;
    char *strings; /* what the list points into */
};

/* Errors: WEIR_NO_MEMORY. End with weir__pg_hosts_clear(). */
weir_status weir__pg_hosts_init(struct pg_hosts *hosts, const struct pg_keywords *keywords,
                                weir_error *reterr);
void weir__pg_hosts_clear(struct pg_hosts *hosts);

/* A number below `limit`, to choose among hosts with. */
size_t weir__pg_choose(size_t limit);

/* The role that a value of target_session_attrs asks for; -1 when there is no such value. */
int weir__pg_role_of(const char *attrs);

/* ---- postgres_resolve.c ------------------------------------------------------------------- */

/* More addresses than this of one name are not tried. */
#define PG_MOST_ADDRESSES 16
#define PG_ADDRESS_BYTES 64 /* IPv6 with a scope */

struct pg_addresses {
    size_t count;
    char list[PG_MOST_ADDRESSES][PG_ADDRESS_BYTES];
};

/*
 * Look up a host's name, IPv4 and IPv6, in the resolver's order, and stop waiting at the deadline.
 * An address stands for itself.
 *
 * Errors:  WEIR_CONNECT: there is no such name; the resolver's reason. WEIR_TIMEOUT, without a text: no
 *          answer by the deadline. WEIR_NO_MEMORY.
 * Threads: any. A look-up that nobody waits for any more ends by itself.
 */
weir_status weir__pg_resolve(const char *name, weir_time deadline, struct pg_addresses *ret,
                             weir_error *reterr);

/* ---- postgres_settings.c ------------------------------------------------------------------ */

/*
 * Give the session what the driver relies on, in one round trip: after connecting, and again after
 * DISCARD ALL, which takes it away. What the server refuses, and what must not be set because a
 * pooler shares the session with others, is left out and told in `note`.
 *
 * Errors:  WEIR_TIMEOUT, WEIR_DISCONNECTED.
 */
weir_status weir__pg_set_up(struct pg_conn *conn, weir_time deadline, weir_error *reterr);

/* Whether the server tells by itself when it becomes a standby, or is none any more. */
bool weir__pg_reports_role(const struct pg_conn *conn);

/* Whether the server, by what it reported last, is (still) what target_session_attrs asks for. True
 * when it reports nothing. */
bool weir__pg_fits(const struct pg_conn *conn);

/*
 * For a connection that was what target_session_attrs asks for: is it still? Without a round trip
 * where the server reports it; `must_ask` asks in any case.
 *
 * Errors:  WEIR_CONNECT: it is not. Others as weir__pg_command().
 */
weir_status weir__pg_check_role(struct pg_conn *conn, bool must_ask, weir_time deadline,
                                weir_error *reterr);

#endif
