/* SPDX-License-Identifier: MIT */
/* For tests: changes that another program makes to the database of a session. */
#ifndef WEIR_TESTS_POSTGRES_CHANGES_H
#define WEIR_TESTS_POSTGRES_CHANGES_H

#include "postgres_session.h"

/* `observer` is another program, whose changes nobody tells the session under test. */
static inline void change(const char *sql)
{
    check_int(driver.script(observer.conn, sql, SOON, &observer.error), WEIR_OK);
}

/* As if all that is prepared had been for longer than prepared_max_age_ms. */
static inline void grow_old(struct session *s)
{
    weir_time age = (s->config.options.prepared_max_age_ms + 1) * WEIR_MS;

    for (struct statement *at = s->cache.newest; at != NULL; at = at->older) {
        struct pg_prepared *prepared = at->prepared;
        if (prepared == NULL)
            continue;
        prepared->checked_at -= age;
        if (prepared->unprepared_at != 0)
            prepared->unprepared_at -= age;
    }
}

/* How many of these doubles went through no `real`, which makes 0.10000000149 of them. */
#define EXACT "SELECT count(*) FROM measures WHERE v::numeric = 0.1"

static inline weir_status give(struct session *s, const char *sql, weir_value value)
{
    return session_query(s, sql, &value, SOON, NULL);
}

#endif
