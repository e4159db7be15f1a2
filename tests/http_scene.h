/* SPDX-License-Identifier: MIT */
/* For tests of HTTP sessions: a clock and servers that tests steer, senders in threads, and what was heard. */
#ifndef WEIR_TESTS_HTTP_SCENE_H
#define WEIR_TESTS_HTTP_SCENE_H

#include "base/park.h"

#include "check.h"
#include "http_peer.h"

#include <weir/http.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* What a call that must be prompt may take, on a machine that does other things too. */
#define AT_ONCE (200 * WEIR_MS)

static inline void bail_out(const char *what)
{
    printf("Bail out! %s\n", what);
    fflush(stdout);
    exit(1);
}

/* For a wait that ends long before, in a test that is not to hang. */
static inline struct timespec ten_seconds_on(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    return until;
}

/* ---- the clock --------------------------------------------------------------------------- */

#define CLOCK_START (1000 * WEIR_SECOND)
#define CLOCK_SLEEPERS 128

/*
 * Time that only tests move. A wait jumps to its end, so that pauses of hours are over at once; or,
 * when the clock `stands`, it waits until the test moves the time or somebody wakes the sleeper.
 */
struct scene_clock {
    weir_clock clock; /* first: a pointer to it is a pointer to the whole */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    weir_time now;
    bool stands;
    uint32_t *sleepers[CLOCK_SLEEPERS]; /* the words they sleep on; NULL: a free place */
    weir_time until;                    /* of the sleep begun last; 0: none was */
};

static inline weir_time scene_clock_now(weir_clock *clock)
{
    struct scene_clock *c = (struct scene_clock *)(void *)clock;

    pthread_mutex_lock(&c->lock);
    weir_time now = c->now;
    pthread_mutex_unlock(&c->lock);
    return now;
}

/* A place for a sleeper, which is told of when the time moves. */
static inline uint32_t **scene_clock_lie_down_locked(struct scene_clock *c, uint32_t *word,
                                                     weir_time until)
{
    int i = 0;

    while (i < CLOCK_SLEEPERS && c->sleepers[i] != NULL)
        i++;
    if (i == CLOCK_SLEEPERS)
        bail_out("too many sleep by the clock");
    c->sleepers[i] = word;
    c->until = until;
    pthread_cond_broadcast(&c->changed);
    return &c->sleepers[i];
}

/* Half a second is for who is woken in the moment before it sleeps: a wait may end early. */
static inline void scene_clock_wait(weir_clock *clock, uint32_t *word, uint32_t expected,
                                    weir_time until)
{
    struct scene_clock *c = (struct scene_clock *)(void *)clock;
    uint32_t **place = NULL;

    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected)
        return;
    pthread_mutex_lock(&c->lock);
    if (!c->stands && until == WEIR_DEADLINE_NEVER)
        bail_out("a sender waits for ever, and nobody will wake it");
    if (until > c->now && c->stands)
        place = scene_clock_lie_down_locked(c, word, until);
    else if (until > c->now)
        c->now = until;
    pthread_mutex_unlock(&c->lock);
    if (place == NULL)
        return;
    weir__park((_Atomic uint32_t *)word, expected, weir_now() + 500 * WEIR_MS);
    pthread_mutex_lock(&c->lock);
    *place = NULL;
    pthread_mutex_unlock(&c->lock);
}

static inline void scene_clock_init(struct scene_clock *c)
{
    *c = (struct scene_clock){.clock = {scene_clock_now, scene_clock_wait}, .now = CLOCK_START};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
}

static inline void scene_clock_set(struct scene_clock *c, weir_time now)
{
    pthread_mutex_lock(&c->lock);
    c->now = now;
    for (int i = 0; i < CLOCK_SLEEPERS; i++)
        if (c->sleepers[i] != NULL)
            weir__unpark((_Atomic uint32_t *)c->sleepers[i]);
    pthread_mutex_unlock(&c->lock);
}

static inline void scene_clock_move(struct scene_clock *c, weir_time by)
{
    scene_clock_set(c, scene_clock_now(&c->clock) + by);
}

/* Wait until somebody sleeps by a clock that stands: until this instant, or 0: any. */
static inline void scene_clock_await_sleeper(struct scene_clock *c, weir_time until)
{
    struct timespec at_most = ten_seconds_on();

    pthread_mutex_lock(&c->lock);
    while (c->until == 0 || (until != 0 && c->until != until))
        if (pthread_cond_timedwait(&c->changed, &c->lock, &at_most) != 0)
            bail_out("nobody sleeps by the clock until then");
    pthread_mutex_unlock(&c->lock);
}

/* ---- servers ----------------------------------------------------------------------------- */

#define SERVER_INSTANTS 64

/* What a server does with each request. */
enum server_mood {
    SERVER_REPLIES, /* `status`, `headers`, and "ok" */
    SERVER_DROPS,   /* closes the connection instead */
    SERVER_HANGS,   /* never answers */
    SERVER_HOLDS    /* answers once it is let go */
};

/* Zero is a server that drops no hint: initialize with server_start(). */
struct server {
    struct peer *peer;
    struct scene_clock *clock; /* whose instants are noted; NULL: the machine's */
    char url[PEER_URL_SIZE];
    char origin[PEER_URL_SIZE]; /* as weir names it */
    _Atomic int mood;
    _Atomic int status;
    const char *_Atomic headers;
    pthread_mutex_t lock;
    weir_time came[SERVER_INSTANTS];     /* when each of the first requests came */
    weir_time answered[SERVER_INSTANTS]; /* and when its answer began */
    int count;
};

static inline weir_time server_now(struct server *s)
{
    return s->clock == NULL ? weir_now() : scene_clock_now(&s->clock->clock);
}

static inline bool server_act(struct peer_exchange *x, void *arg)
{
    struct server *s = arg;

    pthread_mutex_lock(&s->lock);
    int number = s->count++;
    if (number < SERVER_INSTANTS)
        s->came[number] = server_now(s);
    pthread_mutex_unlock(&s->lock);
    int mood = atomic_load(&s->mood);
    if (!peer_read_body(x) || mood == SERVER_DROPS || (mood == SERVER_HANGS && !peer_hang(x)) ||
        (mood == SERVER_HOLDS && !peer_hold(x)))
        return false;
    pthread_mutex_lock(&s->lock);
    if (number < SERVER_INSTANTS)
        s->answered[number] = server_now(s);
    pthread_mutex_unlock(&s->lock);
    return peer_reply(x, atomic_load(&s->status), atomic_load(&s->headers), "ok", 2);
}

static inline void server_start(struct server *s, struct scene_clock *clock, int status,
                                const char *headers)
{
    memset(s, 0, sizeof *s);
    s->clock = clock;
    atomic_store(&s->mood, SERVER_REPLIES);
    atomic_store(&s->status, status);
    atomic_store(&s->headers, headers);
    pthread_mutex_init(&s->lock, NULL);
    s->peer = peer_start(&(struct peer_options){.handler = server_act, .arg = s});
    peer_url(s->peer, "/", s->url);
    peer_url(s->peer, "", s->origin);
}

static inline void server_stop(struct server *s)
{
    peer_stop(s->peer);
    pthread_mutex_destroy(&s->lock);
}

/* ---- sessions ---------------------------------------------------------------------------- */

/* Options of a session on a clock, with neither breaker nor budget in the way. Without certificates,
 * which take most of the time of an open and serve no server of plain http. */
static inline weir_http_options scene_options(struct scene_clock *clock)
{
    weir_http_options o = WEIR_HTTP_OPTIONS_DEFAULT;

    o.name = "scene";
    o.use_budget = false;
    o.use_breaker = false;
    o.verify_tls = false;
    o.clock = clock == NULL ? NULL : &clock->clock;
    return o;
}

static inline weir_http *scene_open(const weir_http_options *options)
{
    weir_http *session = NULL;
    weir_error error;

    if (weir_http_open(options, &session, &error) != WEIR_OK) {
        printf("# %s\n", error.text);
        bail_out("no session to test");
    }
    return session;
}

/* What the session knows of the origin of a name ("http://127.0.0.1:4711"); all zero: nothing. */
static inline weir_http_origin scene_origin(weir_http *session, const char *name)
{
    weir_http_origin origins[16];
    size_t count = weir_http_get_origins(session, origins, 16);

    for (size_t i = 0; i < count && i < 16; i++)
        if (strcmp(origins[i].name, name) == 0)
            return origins[i];
    printf("# no origin %s\n", name);
    return (weir_http_origin){0};
}

/* ---- calls ------------------------------------------------------------------------------- */

/* One call, here or in a thread of its own, and what became of it. */
struct call {
    weir_http *session;
    weir_http_request *request;
    weir_time deadline;
    pthread_t thread;
    /* results */
    weir_status status;
    int code; /* the response's status; 0: none */
    weir_http_response *response;
    weir_http_report report;
    weir_error error;
    weir_time took; /* by the machine's clock */
};

static inline struct call call_make(weir_http *session, const char *method, const char *url)
{
    struct call s = {.session = session, .deadline = WEIR_DEADLINE_DEFAULT};
    weir_error error;

    if (weir_http_request_open(method, url, &s.request, &error) != WEIR_OK) {
        printf("# %s %s: %s\n", method, url, error.text);
        bail_out("no request to send");
    }
    return s;
}

static inline weir_status call_go(struct call *s)
{
    weir_time begun = weir_now();

    weir_http_response_close(s->response);
    s->response = NULL;
    s->error = (weir_error){0};
    s->status = weir_http_send(s->session, s->request, s->deadline, &s->response, &s->error);
    s->took = weir_now() - begun;
    s->report = *weir_http_request_report(s->request);
    s->code = s->response == NULL ? 0 : weir_http_response_status(s->response);
    return s->status;
}

static inline void *call_run(void *arg)
{
    call_go(arg);
    return NULL;
}

static inline void call_start(struct call *s)
{
    if (pthread_create(&s->thread, NULL, call_run, s) != 0)
        bail_out("no thread");
}

static inline weir_status call_join(struct call *s)
{
    pthread_join(s->thread, NULL);
    return s->status;
}

static inline void call_end(struct call *s)
{
    weir_http_response_close(s->response);
    weir_http_request_close(s->request);
    s->response = NULL;
    s->request = NULL;
}

/* Say what was not expected. */
static inline bool call_is(const struct call *s, weir_status status, int code)
{
    bool is_so = s->status == status && s->code == code;

    if (!is_so)
        printf("# %s (%d) instead of %s (%d): %s\n", weir_status_name(s->status), s->code,
               weir_status_name(status), code, s->status == WEIR_OK ? "" : s->error.text);
    return is_so;
}

/* Send and forget; what came of it is left in the result, whose request and response are gone. */
static inline struct call fetch(weir_http *session, const char *method, const char *url,
                                weir_time deadline)
{
    struct call s = call_make(session, method, url);

    s.deadline = deadline;
    call_go(&s);
    call_end(&s);
    return s;
}

static inline struct call get(weir_http *session, const char *url)
{
    return fetch(session, "GET", url, WEIR_DEADLINE_DEFAULT);
}

/* ---- what was heard ---------------------------------------------------------------------- */

#define HEARD_LIMIT 256

/* An event, with what it pointed to copied. */
struct heard {
    weir_http_event event;
    char origin[128];
    char method[16];
    char url[256];
    weir_status status; /* of its error; WEIR_OK: none */
    char text[WEIR_ERROR_TEXT];
};

struct ear {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    struct heard heard[HEARD_LIMIT];
};

static inline void ear_listen(const weir_http_event *event, void *arg)
{
    struct ear *ear = arg;

    pthread_mutex_lock(&ear->lock);
    if (ear->count < HEARD_LIMIT) {
        struct heard *h = &ear->heard[ear->count++];
        h->event = *event;
        snprintf(h->origin, sizeof h->origin, "%s", event->origin == NULL ? "" : event->origin);
        snprintf(h->method, sizeof h->method, "%s", event->method == NULL ? "" : event->method);
        snprintf(h->url, sizeof h->url, "%s", event->url == NULL ? "" : event->url);
        h->status = event->error == NULL ? WEIR_OK : event->error->status;
        snprintf(h->text, sizeof h->text, "%s", event->error == NULL ? "" : event->error->text);
    }
    pthread_cond_broadcast(&ear->changed);
    pthread_mutex_unlock(&ear->lock);
}

/* Hear of the events in `mask`; the ear must outlive the session. */
static inline void ear_attach(struct ear *ear, weir_http *session, unsigned mask)
{
    weir_error error;

    memset(ear, 0, sizeof *ear);
    pthread_mutex_init(&ear->lock, NULL);
    pthread_cond_init(&ear->changed, NULL);
    check_int(weir_http_listen(session, mask, ear_listen, ear, &error), WEIR_OK);
}

static inline int ear_count_locked(const struct ear *ear, weir_http_event_kind kind)
{
    int count = 0;

    for (int i = 0; i < ear->count; i++)
        count += ear->heard[i].event.kind == kind;
    return count;
}

static inline int ear_count(struct ear *ear, weir_http_event_kind kind)
{
    pthread_mutex_lock(&ear->lock);
    int count = ear_count_locked(ear, kind);
    pthread_mutex_unlock(&ear->lock);
    return count;
}

/* Wait until so many of a kind were heard. */
static inline void ear_await(struct ear *ear, weir_http_event_kind kind, int count)
{
    struct timespec until = ten_seconds_on();

    pthread_mutex_lock(&ear->lock);
    while (ear_count_locked(ear, kind) < count)
        if (pthread_cond_timedwait(&ear->changed, &ear->lock, &until) != 0)
            bail_out("the events that were waited for do not come");
    pthread_mutex_unlock(&ear->lock);
}

/* The event number `index` (from 0) of a kind; one of kind WEIR_HTTP_EVENT_COUNT when there is none. */
static inline const struct heard *ear_at(const struct ear *ear, weir_http_event_kind kind,
                                         int index)
{
    static const struct heard none = {.event = {.kind = WEIR_HTTP_EVENT_COUNT}};

    for (int i = 0; i < ear->count; i++)
        if (ear->heard[i].event.kind == kind && index-- == 0)
            return &ear->heard[i];
    printf("# no such event was heard: %s\n", weir_http_event_name(kind));
    return &none;
}

#endif
