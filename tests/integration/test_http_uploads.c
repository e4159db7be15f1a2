/* SPDX-License-Identifier: MIT */
/* Bodies of unknown length, and servers that turn out to speak HTTP/1.0, which has no chunks (RFC 9112, 6.1). */
#include "http_scene.h"

/* ---- the other side ---------------------------------------------------------------------- */

/* Answers in the version that it is in. "/hold" waits to be let go; "/11" is always 1.1, "/10" always 1.0,
 * "/close" ends the connection after it, "/503" and the like are that status, "/cut" breaks off in the body. A
 * target with "?" in it leads to what follows that. */
struct old {
    struct peer *peer;
    _Atomic bool is_modern;
};

static int status_of(const char *target)
{
    for (const char *at = target; at != NULL; at = strchr(at + 1, '/'))
        if (atoi(at + 1) >= 200)
            return atoi(at + 1);
    return 200;
}

static bool answer(struct peer_exchange *x, void *arg)
{
    struct old *old = arg;
    char head[512];

    bool is_modern = atomic_load(&old->is_modern);
    bool closes = strstr(x->target, "close") != NULL;
    const char *to = strchr(x->target, '?');
    if (strstr(x->target, "/11") != NULL || strstr(x->target, "/10") != NULL)
        is_modern = strstr(x->target, "/11") != NULL;
    if (!peer_read_body(x) || (strstr(x->target, "hold") != NULL && !peer_hold(x)))
        return false;
    if (strstr(x->target, "lost") != NULL)
        return false;
    snprintf(head, sizeof head,
             "HTTP/1.%d %d OK\r\nConnection: %s\r\n%s%s%sContent-Length: %d\r\n\r\nok", is_modern,
             status_of(x->target), closes ? "close" : "keep-alive", to != NULL ? "Location: " : "",
             to != NULL ? to + 1 : "", to != NULL ? "\r\n" : "",
             strstr(x->target, "cut") != NULL ? 20 : 2);
    return peer_print(x, head) && !closes && strstr(x->target, "cut") == NULL;
}

static void start(struct old *old)
{
    *old = (struct old){.peer = NULL};
    old->peer = peer_start(&(struct peer_options){.handler = answer, .arg = old});
}

/* ---- this side --------------------------------------------------------------------------- */

/* A body of two pieces. */
struct body {
    int pieces; /* given since it was rewound */
    int reads;
};

static weir_status read_body(void *arg, char *buffer, size_t size, size_t *ret_size,
                             weir_error *reterr)
{
    struct body *body = arg;

    (void)reterr;
    check(size >= 6);
    *ret_size = body->pieces++ < 2 ? 6 : 0;
    body->reads++;
    memcpy(buffer, "piece.", *ret_size);
    return WEIR_OK;
}

static weir_status rewind_body(void *arg, weir_error *reterr)
{
    (void)reterr;
    ((struct body *)arg)->pieces = 0;
    return WEIR_OK;
}

/* Send to a path of a server with a body of `size`, -1: unknown. */
static struct call upload(weir_http *session, const struct old *old, const char *method,
                          const char *path, int64_t size, struct body *body)
{
    char url[PEER_URL_SIZE];
    struct call s = call_make(session, method, peer_url(old->peer, path, url));

    *body = (struct body){0};
    weir_http_request_reader(s.request, &(weir_http_reader){read_body, rewind_body, body, size},
                             "text/plain");
    call_go(&s);
    return s;
}

static struct call fetch_path(weir_http *session, const struct old *old, const char *path)
{
    char url[PEER_URL_SIZE];

    return get(session, peer_url(old->peer, path, url));
}

static weir_http_origin origin_of(weir_http *session, const struct old *old)
{
    char name[PEER_URL_SIZE];

    return scene_origin(session, peer_url(old->peer, "", name));
}

/* It was not sent, and says why. */
static void check_refused(const struct call *s, const struct body *body)
{
    check(call_is(s, WEIR_UNSUPPORTED, 0));
    check_contains(s->error.text, "HTTP/1.0");
    check_contains(s->error.text, "size");
    check_int(body->reads, 0);
}

/* No request had chunks in HTTP/1.0, which is what must never be. */
static void check_never_both(const struct old *old)
{
    check(!peer_saw(old->peer, " HTTP/1.0\r\n"));
}

/* ---- tests ------------------------------------------------------------------------------- */

static void to_a_server_that_answered_in_http_1_0_a_body_of_unknown_length_is_not_sent(void)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "GET", "REPORT"};
    static const char *const before[] = {"/", "/close", "/404", "/500-close", "/201"};

    for (size_t i = 0; i < 5; i++) {
        struct old old;
        struct body body;
        weir_http_options o = scene_options(NULL);
        o.use_breaker = true;
        o.use_budget = true;
        o.retry.total = 0;
        o.retry.raise_on_status = false;
        start(&old);
        weir_http *session = scene_open(&o);
        check_int(fetch_path(session, &old, before[i]).status, WEIR_OK);
        int connections = peer_connections(old.peer);
        weir_http_origin known = origin_of(session, &old);
        peer_forget(old.peer);

        struct call s = upload(session, &old, methods[i], "/up", -1, &body);
        check_refused(&s, &body);
        check(!s.report.was_sent);
        check_int(s.report.attempts, 0);
        call_end(&s);
        check_int(peer_requests(old.peer), 1);
        check_int(peer_connections(old.peer), connections);
        weir_http_origin after = origin_of(session, &old);
        check_int(after.refused, 1);
        check_int(after.pool.leased, 0);
        check_int(after.breaker.counts.calls, known.breaker.counts.calls);
        check_int(after.budget_balance, known.budget_balance);
        weir_http_close(session);
        peer_stop(old.peer);
    }
}

static void an_upload_s_own_answer_tells_what_the_server_speaks(void)
{
    struct old old;
    struct body body;
    weir_http_options o = scene_options(NULL);

    start(&old);
    weir_http *session = scene_open(&o);
    struct call s = upload(session, &old, "POST", "/", -1, &body);
    check(call_is(&s, WEIR_OK, 200)); /* nothing was known */
    check(peer_saw(old.peer, "POST / HTTP/1.1\r\n"));
    check(peer_saw(old.peer, "Transfer-Encoding: chunked\r\n"));
    check(peer_saw(old.peer, "piece.piece."));
    peer_forget(old.peer);
    call_go(&s); /* the same request again */
    check(call_is(&s, WEIR_UNSUPPORTED, 0));
    call_end(&s);
    s = upload(session, &old, "POST", "/", -1, &body);
    check_refused(&s, &body);
    call_end(&s);
    check_int(peer_requests(old.peer), 1);
    check_never_both(&old);
    weir_http_close(session);
    peer_stop(old.peer);
}

static void a_body_of_known_length_goes_with_its_length_and_never_in_chunks(void)
{
    static const char *const paths[] = {"/", "/close", "/11"};

    for (size_t i = 0; i < 3; i++) {
        struct old old;
        struct body body;
        weir_http_options o = scene_options(NULL);
        char url[PEER_URL_SIZE];

        start(&old);
        weir_http *session = scene_open(&o);
        fetch_path(session, &old, paths[i]);
        struct call s = upload(session, &old, "POST", "/known", 12, &body);
        check(call_is(&s, WEIR_OK, 200));
        call_end(&s);
        s = call_make(session, "PUT", peer_url(old.peer, "/memory", url));
        weir_http_request_body(s.request, "piece.piece.", 12, NULL);
        call_go(&s);
        check(call_is(&s, WEIR_OK, 200));
        call_end(&s);
        s = fetch(session, "POST", peer_url(old.peer, "/none", url), WEIR_DEADLINE_DEFAULT);
        check_int(s.status, WEIR_OK);
        check_int(peer_saw_times(old.peer, "Content-Length: 12\r\n"), 2);
        check_int(peer_saw_times(old.peer, "Content-Length: 0\r\n"), 1);
        check_int(peer_saw_times(old.peer, "piece.piece."), 2);
        check(!peer_saw(old.peer, "Transfer-Encoding"));
        weir_http_close(session);
        peer_stop(old.peer);
    }
}

static void an_upload_that_was_answered_in_http_1_0_is_not_repeated(void)
{
    static const char *const paths[] = {"/503",     "/503-close", "/429",
                                        "/503-cut", "/cut",       "/close-cut"};

    for (size_t i = 0; i < 6; i++) {
        for (int returns = 0; returns < 2; returns++) {
            struct old old;
            struct body body;
            struct scene_clock clock;
            scene_clock_init(&clock);
            weir_http_options o = scene_options(&clock);
            o.retry.raise_on_status = !returns;

            start(&old);
            weir_http *session = scene_open(&o);
            struct call s = upload(session, &old, "PUT", paths[i], -1, &body);
            check_int(peer_requests(old.peer), 1);
            if (i >= 4)
                check(call_is(&s, WEIR_DISCONNECTED, 0));
            else if (returns)
                check(call_is(&s, WEIR_OK, atoi(paths[i] + 1)));
            else
                check(call_is(&s, WEIR_RESPONSE, 0));
            if (s.status != WEIR_OK)
                check_contains(s.error.text, "HTTP/1.0");
            if (s.status == WEIR_RESPONSE)
                check_contains(s.error.text, "HTTP/1.0, which has no chunked bodies");
            check_int(s.report.cause, WEIR_CAUSE_BODY);
            check_int(s.report.attempts, 1);
            check(scene_clock_now(&clock.clock) == CLOCK_START); /* nor waited for */
            call_end(&s);
            check_never_both(&old);
            weir_http_close(session);
            peer_stop(old.peer);
        }
    }
}

/* In 1.1 all of these are repeated, as ever. */
static void an_upload_that_was_answered_in_http_1_1_or_not_at_all_is_repeated(void)
{
    static const char *const paths[] = {"/503", "/503-close", "/503-cut", "/cut", "/lost"};

    for (size_t i = 0; i < 5; i++) {
        struct old old;
        struct body body;
        struct scene_clock clock;
        scene_clock_init(&clock);
        weir_http_options o = scene_options(&clock);

        start(&old);
        atomic_store(&old.is_modern, true);
        weir_http *session = scene_open(&o);
        struct call s = upload(session, &old, "PUT", paths[i], -1, &body);
        check_int(s.report.attempts, 4);
        check_int(s.report.cause, WEIR_CAUSE_EXHAUSTED);
        check_int(peer_saw_times(old.peer, "piece.piece."), 4);
        call_end(&s);
        check_never_both(&old);
        weir_http_close(session);
        peer_stop(old.peer);
    }
}

static void a_redirect_takes_an_upload_only_where_it_can_be_sent(void)
{
    static const int statuses[] = {307, 308, 303};

    for (size_t i = 0; i < 3; i++) {
        struct old here;
        struct old there;
        struct body body;
        weir_http_options o = scene_options(NULL);
        char path[PEER_URL_SIZE + 8];
        char url[PEER_URL_SIZE];

        start(&here);
        start(&there);
        atomic_store(&there.is_modern, true);
        weir_http *session = scene_open(&o);
        snprintf(path, sizeof path, "/%d?%s", statuses[i], peer_url(there.peer, "/up", url));
        struct call s = upload(session, &here, "POST", path, -1, &body);
        check(call_is(&s, WEIR_OK, 200)); /* from 1.0 to where nothing is known */
        check_int(peer_saw_times(there.peer, "piece.piece."), statuses[i] != 303);
        call_end(&s);

        weir_http_evict_all(session);
        snprintf(path, sizeof path, "/%d?/up", statuses[i]);
        s = upload(session, &here, "POST", path, -1, &body);
        if (statuses[i] == 303) /* a GET */
            check(call_is(&s, WEIR_OK, 200));
        else
            check(call_is(&s, WEIR_UNSUPPORTED, 0));
        check(s.report.was_sent);
        check_int(s.report.redirects, 1);
        check_int(peer_saw_times(here.peer, "POST /up"), 0);
        call_end(&s);

        snprintf(path, sizeof path, "/%d?%s", statuses[i], peer_url(here.peer, "/up", url));
        s = upload(session, &there, "POST", path, -1, &body); /* from 1.1 to what is known as 1.0 */
        check(call_is(&s, statuses[i] == 303 ? WEIR_OK : WEIR_UNSUPPORTED,
                      statuses[i] == 303 ? 200 : 0));
        check_int(peer_saw_times(here.peer, "POST /up"), 0);
        call_end(&s);
        weir_http_close(session);
        peer_stop(here.peer);
        peer_stop(there.peer);
    }
}

static void after_any_answer_in_http_1_1_an_upload_is_sent_again(void)
{
    static const char *const paths[] = {"/11", "/11/404", "/11/503-close"};

    for (size_t i = 0; i < 3; i++) {
        struct old old;
        struct body body;
        weir_http_options o = scene_options(NULL);
        o.retry.total = 0;

        start(&old);
        weir_http *session = scene_open(&o);
        fetch_path(session, &old, "/");
        struct call s = upload(session, &old, "POST", "/11", -1, &body);
        check_refused(&s, &body);
        call_end(&s);
        fetch_path(session, &old, paths[i]);
        peer_forget(old.peer);
        s = upload(session, &old, "POST", "/11", -1, &body);
        check(call_is(&s, WEIR_OK, 200));
        check(peer_saw(old.peer, "POST /11 HTTP/1.1\r\n"));
        check(peer_saw(old.peer, "piece.piece."));
        call_end(&s);
        weir_http_close(session);
        peer_stop(old.peer);
    }
}

/* A minute, by the session's clock; whoever only uploads would else never learn of the upgrade. */
static void what_a_server_speaks_is_forgotten_after_a_minute_or_with_its_connections(void)
{
    for (int way = 0; way < 3; way++) {
        struct old old;
        struct body body;
        struct scene_clock clock;
        scene_clock_init(&clock);
        weir_http_options o = scene_options(&clock);
        o.idle_timeout_ms = 86400000; /* the connection of HTTP/1.0 stays */

        start(&old);
        weir_http *session = scene_open(&o);
        fetch_path(session, &old, "/");
        scene_clock_move(&clock, 59 * WEIR_SECOND);
        struct call s = upload(session, &old, "POST", "/", -1, &body);
        check_refused(&s, &body);
        call_end(&s);
        if (way == 0)
            weir_http_evict_all(session);
        else
            scene_clock_move(&clock, 2 * WEIR_SECOND);
        atomic_store(&old.is_modern, way != 2);
        peer_forget(old.peer);
        s = upload(session, &old, "POST", "/", -1, &body);
        check(call_is(&s, WEIR_OK, 200));
        check(peer_saw(old.peer, "POST / HTTP/1.1\r\n"));
        check(peer_saw(old.peer, "piece.piece."));
        check_int(peer_connections(old.peer), 2); /* not over that of HTTP/1.0 */
        call_end(&s);
        s = upload(session, &old, "POST", "/", -1, &body);
        check_int(s.status, way == 2 ? WEIR_UNSUPPORTED : WEIR_OK);
        call_end(&s);
        check_never_both(&old);
        weir_http_close(session);
        peer_stop(old.peer);
    }
}

/* Evict all connections while an answer is held, and join its call. */
static void evict_while_held(weir_http *session, const struct old *old, const char *path,
                             const char *meanwhile)
{
    char url[PEER_URL_SIZE];
    struct call held = call_make(session, "GET", peer_url(old->peer, path, url));

    call_start(&held);
    check(peer_wait(old->peer, PEER_HELD, 1));
    weir_http_evict_all(session);
    if (meanwhile != NULL)
        fetch_path(session, old, meanwhile);
    peer_let_go(old->peer);
    call_join(&held);
    check_int(held.code, 200);
    call_end(&held);
    peer_forget(old->peer);
}

/* It comes from the server of before. */
static void an_answer_to_what_was_sent_before_the_eviction_tells_nothing(void)
{
    static const char *const before[] = {"/hold", "/hold-close", "/10/hold"};
    struct body body;

    for (size_t i = 0; i < 4; i++) {
        bool is_late = i < 3; /* or in HTTP/1.1, while the new server speaks HTTP/1.0 */
        struct old old;
        weir_http_options o = scene_options(NULL);

        start(&old);
        weir_http *session = scene_open(&o);
        evict_while_held(session, &old, is_late ? before[i] : "/11/hold", is_late ? NULL : "/10");
        struct call s = upload(session, &old, "POST", "/11/up", -1, &body);
        if (is_late) {
            check(call_is(&s, WEIR_OK, 200));
            check(peer_saw(old.peer, "POST /11/up HTTP/1.1\r\n"));
            check(peer_saw(old.peer, "piece.piece."));
        } else {
            check_refused(&s, &body);
        }
        call_end(&s);
        check_never_both(&old);
        weir_http_close(session);
        peer_stop(old.peer);
    }
}

/* Behind one name there are servers of both kinds. */
static void a_resting_connection_of_http_1_0_is_not_taken_for_chunks(void)
{
    struct old old;
    struct body bodies[2] = {{0}, {0}};
    struct call uploads[2];
    weir_http_options o = scene_options(NULL);
    char url[PEER_URL_SIZE];

    start(&old);
    weir_http *session = scene_open(&o);
    struct call held = call_make(session, "GET", peer_url(old.peer, "/11/hold", url));
    call_start(&held);
    check(peer_wait(old.peer, PEER_HELD, 1));
    fetch_path(session, &old, "/10"); /* the second connection */
    peer_let_go(old.peer);
    call_join(&held);
    check_int(held.code, 200);
    call_end(&held);
    peer_hold_again(old.peer);
    for (int i = 0; i < 2; i++) {
        uploads[i] = call_make(session, "POST", peer_url(old.peer, "/11/hold", url));
        weir_http_request_reader(uploads[i].request,
                                 &(weir_http_reader){read_body, rewind_body, &bodies[i], -1}, NULL);
        call_start(&uploads[i]);
        check(peer_wait(old.peer, PEER_HELD, i + 1)); /* each has one of the two, or a new one */
    }
    check_int(peer_connections(old.peer), 3);
    peer_let_go(old.peer);
    for (int i = 0; i < 2; i++) {
        call_join(&uploads[i]);
        check(call_is(&uploads[i], WEIR_OK, 200));
        call_end(&uploads[i]);
    }
    check_int(peer_saw_times(old.peer, "POST /11/hold HTTP/1.1\r\n"), 2);
    check_int(peer_saw_times(old.peer, "piece.piece."), 2);
    check_never_both(&old);
    weir_http_close(session);
    peer_stop(old.peer);
}

/* Nothing was known when it went to wait. */
static void who_waited_for_a_connection_learns_what_it_speaks(void)
{
    struct old old;
    struct body body = {0};
    weir_http_options o = scene_options(NULL);
    char url[PEER_URL_SIZE];
    o.pool_maxsize = 1;
    o.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;

    start(&old);
    weir_http *session = scene_open(&o);
    struct call held = call_make(session, "GET", peer_url(old.peer, "/hold", url));
    call_start(&held);
    check(peer_wait(old.peer, PEER_HELD, 1));
    struct call s = call_make(session, "POST", peer_url(old.peer, "/up", url));
    weir_http_request_reader(s.request, &(weir_http_reader){read_body, rewind_body, &body, -1},
                             NULL);
    call_start(&s);
    while (origin_of(session, &old).pool.waiters < 1)
        sched_yield();
    peer_let_go(old.peer);
    call_join(&held);
    call_join(&s);
    check_refused(&s, &body);
    check_int(peer_requests(old.peer), 1);
    check_int(origin_of(session, &old).pool.leased, 0);
    call_end(&held);
    call_end(&s);
    weir_http_close(session);
    peer_stop(old.peer);
}

int main(void)
{
    run(to_a_server_that_answered_in_http_1_0_a_body_of_unknown_length_is_not_sent);
    run(an_upload_s_own_answer_tells_what_the_server_speaks);
    run(a_body_of_known_length_goes_with_its_length_and_never_in_chunks);
    run(an_upload_that_was_answered_in_http_1_0_is_not_repeated);
    run(an_upload_that_was_answered_in_http_1_1_or_not_at_all_is_repeated);
    run(a_redirect_takes_an_upload_only_where_it_can_be_sent);
    run(after_any_answer_in_http_1_1_an_upload_is_sent_again);
    run(what_a_server_speaks_is_forgotten_after_a_minute_or_with_its_connections);
    run(an_answer_to_what_was_sent_before_the_eviction_tells_nothing);
    run(a_resting_connection_of_http_1_0_is_not_taken_for_chunks);
    run(who_waited_for_a_connection_learns_what_it_speaks);
    return check_done();
}
