/* SPDX-License-Identifier: MIT */
/* For tests of redirects and secrets: servers whose paths lead elsewhere, and that note what they were asked. */
#ifndef WEIR_TESTS_HTTP_SITE_H
#define WEIR_TESTS_HTTP_SITE_H

#include "http_scene.h"

#define SITE_ROUTES 12
#define SITE_NOTES 64

/* What is answered to a target: several of one target in order, and the last of them for ever. Every
 * other target gets 200 and "here". */
struct route {
    const char *target;
    bool was_taken;
    int status;
    char headers[PEER_URL_SIZE + 64]; /* each ends in "\r\n" */
};

/* What was asked. */
struct note {
    char method[16];
    char target[160];
    char body[64];
    char head[1024];
};

struct site {
    struct peer *peer;
    struct scene_clock *clock;
    int pause_ms; /* before each answer */
    pthread_mutex_t lock;
    struct route routes[SITE_ROUTES];
    int routes_count;
    struct note notes[SITE_NOTES];
    weir_time came[SITE_NOTES];
    int count;
};

static inline void site_take_note(struct site *site, const struct peer_exchange *x)
{
    pthread_mutex_lock(&site->lock);
    if (site->count < SITE_NOTES) {
        struct note *n = &site->notes[site->count];
        snprintf(n->method, sizeof n->method, "%s", x->method);
        snprintf(n->target, sizeof n->target, "%s", x->target);
        snprintf(n->body, sizeof n->body, "%s", x->body);
        snprintf(n->head, sizeof n->head, "%s", x->head);
        site->came[site->count++] =
            site->clock == NULL ? weir_now() : scene_clock_now(&site->clock->clock);
    }
    pthread_mutex_unlock(&site->lock);
}

/* NULL: none leads from there. */
static inline struct route *site_find_locked(struct site *site, const char *target)
{
    struct route *found = NULL;

    for (int i = 0; i < site->routes_count; i++) {
        if (strcmp(site->routes[i].target, target) != 0)
            continue;
        found = &site->routes[i];
        if (!found->was_taken)
            break;
    }
    if (found != NULL)
        found->was_taken = true;
    return found;
}

static inline bool site_answer(struct peer_exchange *x, void *arg)
{
    struct site *site = arg;
    int status = 200;
    char headers[sizeof site->routes[0].headers] = "";

    if (!peer_read_body(x))
        return false;
    site_take_note(site, x);
    pthread_mutex_lock(&site->lock);
    struct route *route = site_find_locked(site, x->target);
    if (route != NULL) {
        status = route->status;
        memcpy(headers, route->headers, sizeof headers);
    }
    pthread_mutex_unlock(&site->lock);
    if (site->pause_ms > 0 && !peer_pause(x, site->pause_ms))
        return false;
    return peer_reply(x, status, headers, status < 300 ? "here" : "away", 4);
}

static inline void site_open_tls(struct site *site, struct scene_clock *clock, const char *cert,
                                 const char *key)
{
    memset(site, 0, sizeof *site);
    site->clock = clock;
    pthread_mutex_init(&site->lock, NULL);
    site->peer = peer_start(&(struct peer_options){
        .handler = site_answer, .arg = site, .cert_file = cert, .key_file = key});
}

static inline void site_open(struct site *site, struct scene_clock *clock)
{
    site_open_tls(site, clock, NULL, NULL);
}

static inline void site_close(struct site *site)
{
    peer_stop(site->peer);
    pthread_mutex_destroy(&site->lock);
}

/* Answer a target with a status and header lines. */
static inline void site_route(struct site *site, const char *target, int status,
                              const char *headers)
{
    pthread_mutex_lock(&site->lock);
    if (site->routes_count == SITE_ROUTES)
        bail_out("too many routes");
    struct route *route = &site->routes[site->routes_count++];
    route->target = target;
    route->was_taken = false;
    route->status = status;
    snprintf(route->headers, sizeof route->headers, "%s", headers);
    pthread_mutex_unlock(&site->lock);
}

/* Answer a target with a redirect. */
static inline void site_lead(struct site *site, const char *target, int status,
                             const char *location)
{
    char headers[PEER_URL_SIZE + 64];

    snprintf(headers, sizeof headers, "Location: %s\r\n", location);
    site_route(site, target, status, headers);
}

/* To a path of another site. */
static inline void site_lead_to(struct site *site, const char *target, int status,
                                const struct site *other, const char *path)
{
    char url[PEER_URL_SIZE];

    site_lead(site, target, status, peer_url(other->peer, path, url));
}

/* Forget the routes and what was asked. */
static inline void site_reset(struct site *site)
{
    pthread_mutex_lock(&site->lock);
    site->routes_count = 0;
    site->count = 0;
    pthread_mutex_unlock(&site->lock);
    peer_forget(site->peer);
}

/* The request that came last; empty when there was none. */
static inline const struct note *site_last(const struct site *site)
{
    static const struct note none;

    return site->count == 0 ? &none : &site->notes[site->count - 1];
}

static inline struct call site_send(weir_http *session, const struct site *site, const char *method,
                                    const char *path)
{
    char url[PEER_URL_SIZE];

    return fetch(session, method, peer_url(site->peer, path, url), WEIR_DEADLINE_DEFAULT);
}

/* A request that is still to be completed. */
static inline struct call site_request(weir_http *session, const struct site *site,
                                       const char *method, const char *path)
{
    char url[PEER_URL_SIZE];

    return call_make(session, method, peer_url(site->peer, path, url));
}

#endif
