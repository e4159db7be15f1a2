/* SPDX-License-Identifier: MIT */
/* The walk over a session's origins, while these are used. */
#include "check.h"
#include "http/session_origins.h"

#include <stdio.h>
#include <stdlib.h>

#define ORIGINS 9

static void name_origin(int i, char name[64])
{
    snprintf(name, 64, "http://host%d:80", i);
}

/* Use an origin, which makes it the one used last. */
static weir_pool *use(weir_http *session, int i)
{
    struct origin *origin = NULL;
    char name[64];

    name_origin(i, name);
    if (weir__origin_acquire(session, name, &origin, NULL) != WEIR_OK)
        abort();
    weir_pool *pool = origin->pool;
    weir__origin_release(session, origin);
    return pool;
}

struct walk {
    weir_http *session;
    weir_pool *pools[ORIGINS];
    int visits[ORIGINS];
    int next;
};

/* Everything is used while the walk goes on, the other way round each time. */
static void visit(weir_pool *pool, void *arg)
{
    struct walk *walk = arg;

    for (int i = 0; i < ORIGINS; i++) {
        walk->visits[i] += walk->pools[i] == pool;
        use(walk->session, walk->next % 2 == 0 ? i : ORIGINS - 1 - i);
    }
    walk->next++;
}

static void a_walk_comes_to_each_origin_once_however_they_are_used(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    struct walk walk = {0};

    options.verify_tls = false;
    if (weir_http_open(&options, &walk.session, NULL) != WEIR_OK)
        abort();
    for (int i = 0; i < ORIGINS; i++)
        walk.pools[i] = use(walk.session, i);
    weir__origins_each(walk.session, visit, &walk);
    for (int i = 0; i < ORIGINS; i++)
        check_int(walk.visits[i], 1);
    weir_http_close(walk.session);
}

int main(void)
{
    run(a_walk_comes_to_each_origin_once_however_they_are_used);
    return check_done();
}
