/* SPDX-License-Identifier: MIT */
/* The parts of a database URL as the engine and the drivers read them. */
#ifndef WEIR_DB_URL_H
#define WEIR_DB_URL_H

#include <weir/db.h>

/* One `name=value` of the query, percent-decoded. */
struct url_option {
    const char *name;
    const char *value;

    /* The pool or the database has taken it; what remains false belongs to the driver. Written by
     * weir_db_open() before the driver sees the URL. */
    bool is_taken;
};

/*
 * A parsed URL; every string is decoded and lives as long as the URL.
 *
 * A part that the URL does not name is NULL, so that the driver's own default holds. Several hosts
 * stand in `host` and `port` as libpq takes them, comma-separated and in step: `db1:5432,db2`
 * becomes "db1,db2" and "5432,". The brackets of IPv6 addresses are gone. The same option twice
 * in the query: both are kept in their order, and the later one wins.
 */
struct weir_url {
    const char *engine; /* "sqlite" or "postgresql", static */
    const char *user;
    const char *password; /* secret: for the driver's connect only */
    const char *host;
    const char *port;
    const char *database; /* SQLite: the path, or ":memory:"; never NULL there */
    struct url_option *options;
    size_t option_count;

    const char *redacted;
    char *storage; /* what all the strings point into */
    size_t storage_size;
};

/* Whether the value of a query option may hold a secret and must not be shown. */
bool weir__url_option_is_secret(const char *name);

#endif
