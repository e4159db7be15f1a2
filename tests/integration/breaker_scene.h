/* SPDX-License-Identifier: MIT */
/* For tests of the breaker on the wire: a clock that stands, a server and a session whose breaker opens soon. */
#ifndef WEIR_TESTS_BREAKER_SCENE_H
#define WEIR_TESTS_BREAKER_SCENE_H

#include "http_scene.h"

#define NEVER WEIR_DEADLINE_NEVER
#define CALLS 8   /* make a rate */
#define PERMITS 3 /* half-open */

/* Opens after CALLS failures for a minute, without jitter; nothing is repeated. */
static inline weir_http_options breaker_options(struct scene_clock *clock)
{
    weir_http_options o = scene_options(clock);

    o.use_breaker = true;
    o.breaker.window_size = CALLS;
    o.breaker.minimum_calls = CALLS;
    o.breaker.permitted_calls_in_half_open = PERMITS;
    o.breaker.wait_in_open_ms = 60000;
    o.breaker.wait_jitter_percent = 0;
    o.retry.total = 0;
    return o;
}

/* A clock, a server and a session, as most tests here need them. */
struct scene {
    struct scene_clock clock;
    struct server server;
    weir_http *session;
};

/* All but the session, for which these are the options. */
static inline weir_http_options scene_prepare(struct scene *scene, int status)
{
    scene_clock_init(&scene->clock);
    scene->clock.stands = true;
    server_start(&scene->server, &scene->clock, status, "");
    return breaker_options(&scene->clock);
}

static inline void scene_begin(struct scene *scene, int status)
{
    weir_http_options o = scene_prepare(scene, status);

    scene->session = scene_open(&o);
}

static inline void scene_end(struct scene *scene)
{
    weir_http_close(scene->session);
    server_stop(&scene->server);
}

static inline struct call call(struct scene *scene)
{
    return fetch(scene->session, "GET", scene->server.url, NEVER);
}

static inline weir_breaker_stats stats_of(struct scene *scene)
{
    return scene_origin(scene->session, scene->server.origin).breaker;
}

static inline void call_times(struct scene *scene, int count, weir_status status, int code)
{
    for (int i = 0; i < count; i++) {
        struct call s = call(scene);
        check(call_is(&s, status, code));
    }
}

/* Let it open by failures. */
static inline void open_it(struct scene *scene)
{
    atomic_store(&scene->server.status, 503);
    for (int i = 0; i < CALLS; i++)
        call(scene);
    check_int(stats_of(scene).state, WEIR_BREAKER_OPEN);
}

#endif
