/* SPDX-License-Identifier: MIT */
/* Sendings that are cancelled, run out of time or lose their session, at any moment: all comes back. */
#include "http_steps.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* ---- names that do not resolve ----------------------------------------------------------- */

/*
 * libcurl's resolver threads call this one, because the program exports it: "hang.test" has no answer
 * until the test lets go, "unknown.test" does not exist, "slow.test" is this machine after a while,
 * everything else is as ever.
 */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t names_changed = PTHREAD_COND_INITIALIZER;
static bool names_answer;
static int
    names_hanging; /* lookups: since 8.20 libcurl asks twice for each, the second time for IPv6 */
static int calls_hanging;

static void hang_until_let_go(bool is_second)
{
    pthread_mutex_lock(&names_lock);
    names_hanging += !is_second;
    calls_hanging++;
    pthread_cond_broadcast(&names_changed);
    while (!names_answer)
        pthread_cond_wait(&names_changed, &names_lock);
    names_hanging -= !is_second;
    calls_hanging--;
    pthread_cond_broadcast(&names_changed);
    pthread_mutex_unlock(&names_lock);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    static int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (name != NULL && strcmp(name, "hang.test") == 0) {
        hang_until_let_go(hints->ai_family == AF_INET6);
        return EAI_AGAIN;
    }
    if (name != NULL && strcmp(name, "unknown.test") == 0)
        return EAI_NONAME;
    if (name != NULL && strcmp(name, "slow.test") == 0) {
        nap(50);
        name = "127.0.0.1";
    }
    pthread_mutex_lock(&names_lock);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    pthread_mutex_unlock(&names_lock);
    return next(name, service, hints, ret_list);
}

static void wait_for_hanging(int count)
{
    pthread_mutex_lock(&names_lock);
    while (names_hanging != count)
        pthread_cond_wait(&names_changed, &names_lock);
    pthread_mutex_unlock(&names_lock);
}

static void let_names_go(void)
{
    pthread_mutex_lock(&names_lock);
    names_answer = true;
    pthread_cond_broadcast(&names_changed);
    while (calls_hanging != 0)
        pthread_cond_wait(&names_changed, &names_lock);
    names_answer = false;
    pthread_mutex_unlock(&names_lock);
}

/* Pitfall 14: libcurl joins its resolver thread, which would take until the answer comes. */
static void a_name_that_hangs_holds_nobody_beyond_the_deadline(void)
{
    weir_http_options options = quick_options();

    options.retry.total = 1;
    weir_http *session = open_session(&options);
    struct outcome o = send_to(session, "GET", "http://hang.test/", 150);
    check_outcome(o, WEIR_TIMEOUT);
    check_took(o, 150, 150);
    check(!o.report.was_sent);
    close_session(session);

    options.connect_timeout_ms = 80;
    session = open_session(&options);
    o = send_to(session, "POST", "http://hang.test/", -1);
    check_outcome(o, WEIR_CONNECT);
    check_took(o, 160, 160);
    check_int(o.report.attempts, 2);
    check_contains(o.error.text, "hang.test");
    weir_time start = weir_now();
    close_session(session);
    check(weir_now() - start < SLACK_MS * WEIR_MS);
    let_names_go();
}

/* Pitfall 14 */
static void a_name_that_hangs_lets_go_of_who_is_cancelled_or_disposed(void)
{
    weir_http *session = open_quick();
    struct call calls[2];

    for (int i = 0; i < 2; i++)
        call_start(&calls[i], session, "GET", "http://hang.test/", -1);
    wait_for_hanging(2);
    weir_time start = weir_now();
    weir_http_request_cancel(calls[0].request);
    struct outcome o = call_join(&calls[0]);
    check_outcome(o, WEIR_CANCELLED);
    check(weir_now() - start < SLACK_MS * WEIR_MS);
    start = weir_now();
    check_int(weir_http_dispose(session, WEIR_DEADLINE_NOW, &error), WEIR_TIMEOUT);
    o = call_join(&calls[1]);
    check_outcome(o, WEIR_CLOSED);
    check(weir_now() - start < SLACK_MS * WEIR_MS);
    weir_http_close(session);
    let_names_go();
}

/* Pitfall 14 */
static void a_name_that_hangs_is_no_matter_to_other_origins(void)
{
    struct peer *healthy = start_peer(say_hello, NULL);
    weir_http *session = open_quick();
    struct call call;
    char url[PEER_URL_SIZE];

    call_start(&call, session, "GET", "http://hang.test/", -1);
    wait_for_hanging(1);
    for (int i = 0; i < 10; i++) { /* by address, and by a name that is looked up meanwhile */
        struct outcome o =
            get(session, peer_url_at(healthy, i % 2 == 0 ? "127.0.0.1" : "localhost", "/", url));
        check_outcome(o, WEIR_OK);
        check_int(o.report.attempts, 1);
        check_took(o, 0, 0);
    }
    check_int(origin_of(session, "http://hang.test/").in_flight, 1);
    weir_http_request_cancel(call.request);
    struct outcome o = call_join(&call);
    check_outcome(o, WEIR_CANCELLED);
    close_session(session);
    wait_for_hanging(1); /* it hung all the while */
    let_names_go();
    peer_stop(healthy);
}

static void a_name_that_is_unknown_or_slow_is_an_error_or_a_while(void)
{
    struct peer *peer = start_peer(say_hello, NULL);
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.retry.total = 1;
    weir_http *session = open_session(&options);
    struct outcome o = get(session, peer_url_at(peer, "unknown.test", "/", url));
    check_outcome(o, WEIR_CONNECT);
    check_int(o.error.native, 6); /* CURLE_COULDNT_RESOLVE_HOST */
    check_contains(o.error.text, "unknown.test");
    check_int(o.report.attempts, 2);
    o = get(session, peer_url_at(peer, "slow.test", "/", url));
    check_outcome(o, WEIR_OK);
    check_took(o, 50, 50);
    close_session(session);
    peer_stop(peer);
}

/* ---- four places to be in ------------------------------------------------------------------ */

static bool answer_or_hang(struct peer_exchange *x, void *arg)
{
    (void)arg;
    if (!peer_read_body(x))
        return false;
    if (strcmp(x->target, "/hang") == 0)
        return peer_hang(x);
    if (strcmp(x->target, "/hold") == 0 && !peer_hold(x))
        return false;
    if (strcmp(x->target, "/later") == 0)
        return peer_reply(x, 503, "Retry-After: 3600\r\n", NULL, 0);
    return peer_reply(x, 200, "", "hello", 5);
}

/* One call on the wire and one in the queue behind it, one that pauses before its next attempt and one
 * at the rate limiter, which its server made cool down. */
struct scene {
    struct peer *peers[2];
    weir_http *session;
    struct call wire, line, pause, rate_limit;
};

static void open_scene(struct scene *scene, const char *wire_path)
{
    weir_http_options options = quick_options();
    char url[PEER_URL_SIZE];

    options.pool_maxsize = 1;
    options.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    options.total_timeout_ms = 86400000;
    scene->session = open_session(&options);
    for (int i = 0; i < 2; i++)
        scene->peers[i] = start_peer(answer_or_hang, NULL);
    peer_url(scene->peers[0], wire_path, url);
    call_start(&scene->wire, scene->session, "POST", url, -1);
    check(peer_wait(scene->peers[0], PEER_HELD, 1));
    peer_url(scene->peers[0], "/", url);
    call_start(&scene->line, scene->session, "GET", url, -1);
    wait_for_waiters(scene->session, url, 1);
    peer_url(scene->peers[1], "/later", url);
    call_start(&scene->pause, scene->session, "GET", url, -1);
    while (origin_of(scene->session, url).cool_down_until == 0)
        nap(1);
    peer_url(scene->peers[1], "/", url);
    call_start(&scene->rate_limit, scene->session, "GET", url, -1);
    while (origin_of(scene->session, url).in_flight < 2)
        nap(1);
}

static void close_scene(struct scene *scene)
{
    close_session(scene->session);
    for (int i = 0; i < 2; i++)
        peer_stop(scene->peers[i]);
}

/* Check that those who wait have ended, with a status, and none of them was sent since. */
static void join_waiting(struct scene *scene, weir_status status, bool has_line)
{
    struct outcome o = call_join(&scene->pause);
    check_outcome(o, status);
    check_int(o.report.attempts, 1);
    o = call_join(&scene->rate_limit);
    check_outcome(o, status);
    check_int(o.report.attempts, 0);
    check(!o.report.was_sent);
    check_int(peer_requests(scene->peers[1]), 1);
    if (!has_line)
        return;
    o = call_join(&scene->line);
    check_outcome(o, status);
    check_int(o.report.attempts, 0);
    check_int(peer_requests(scene->peers[0]), 1);
}

/* ---- cancelling -------------------------------------------------------------------------- */

static void a_cancelled_call_ends_at_once_on_the_wire_for_the_rate_limit_and_in_a_pause(void)
{
    struct scene scene;

    open_scene(&scene, "/hang");
    weir_http_request_cancel(scene.line.request);
    weir_http_request_cancel(scene.pause.request);
    weir_http_request_cancel(scene.rate_limit.request);
    join_waiting(&scene, WEIR_CANCELLED, false);
    weir_http_request_cancel(scene.wire.request);
    struct outcome o = call_join(&scene.wire);
    check_outcome(o, WEIR_CANCELLED);
    check(o.report.was_sent);
    o = call_join(&scene.line); /* now it was its turn */
    check_outcome(o, WEIR_CANCELLED);
    check_int(o.report.attempts, 0);
    check_int(peer_requests(scene.peers[0]), 1);
    check(peer_wait(scene.peers[0], PEER_OPEN, 0));
    char url[PEER_URL_SIZE];
    check_int(origin_of(scene.session, peer_url(scene.peers[0], "/", url)).cancelled, 2);
    check_text(get(scene.session, url).body, "hello");
    close_scene(&scene);
}

static void a_cancelling_holds_for_one_call(void)
{
    struct peer *peer = start_peer(answer_or_hang, NULL);
    weir_http *session = open_quick();
    char url[PEER_URL_SIZE];

    weir_http_request *request = new_request("GET", peer_url(peer, "/", url));
    for (int i = 0; i < 3; i++) {
        weir_http_request_cancel(request);
        weir_http_request_cancel(request);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_CANCELLED);
        check_int(o.report.attempts, 0);
        o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
        check_text(o.body, "hello");
    }
    check_int(peer_requests(peer), 3);
    weir_http_request_close(request);
    close_session(session);
    peer_stop(peer);
}

static weir_status read_nothing(void *arg, char *buffer, size_t size, size_t *ret_size,
                                weir_error *reterr)
{
    (void)arg, (void)buffer, (void)size, (void)reterr;
    *ret_size = 0;
    return WEIR_OK;
}

/* Whatever keeps it from beginning: it was the next. */
static void a_call_that_does_not_begin_is_the_one_that_was_cancelled(void)
{
    static const weir_http_reader once = {.read = read_nothing, .size = -1};
    struct peer *peer = start_peer(answer_or_hang, NULL);
    weir_http *session = open_quick();
    weir_http *closed = open_quick();
    char url[PEER_URL_SIZE];

    check_int(weir_http_dispose(closed, WEIR_DEADLINE_NOW, &error), WEIR_OK);
    weir_http_request *request = new_request("POST", peer_url(peer, "/", url));
    for (int i = 0; i < 3; i++) {
        weir_http_request_reader(request, &once, NULL);
        struct outcome o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
        if (i > 0)
            weir_http_request_reader(request, &once, NULL);
        weir_http_request_cancel(request);
        o = send_request(i == 1 ? closed : session, request, i == 2 ? 0 : -1);
        check_outcome(o, i == 0 ? WEIR_INVALID : i == 1 ? WEIR_CLOSED : WEIR_TIMEOUT);
        weir_http_request_reader(request, &once, NULL);
        o = send_request(session, request, -1);
        check_outcome(o, WEIR_OK);
    }
    weir_http_request_close(request);
    close_session(closed);
    close_session(session);
    peer_stop(peer);
}

/* ---- deadlines between any two steps ------------------------------------------------------- */

/* A clock on which every look takes a millisecond. */
struct ticking {
    weir_clock clock;
    _Atomic weir_time now;
};

static weir_time tick(weir_clock *clock)
{
    return atomic_fetch_add(&((struct ticking *)clock)->now, WEIR_MS);
}

static void tick_instead_of_waiting(weir_clock *clock, uint32_t *word, uint32_t expected,
                                    weir_time until)
{
    (void)word, (void)expected, (void)until;
    tick(clock);
}

/* Wherever the deadline passes, that is what is said: nobody refused it, and it was not lost. */
static void a_deadline_that_passes_at_any_step_is_a_timeout(void)
{
    struct ticking ticking = {.clock = {tick, tick_instead_of_waiting}, .now = 1000 * WEIR_SECOND};
    struct peer *peer = start_peer(answer_or_hang, NULL);
    weir_http_options options = quick_options();
    int counts[2] = {0, 0};
    char url[PEER_URL_SIZE];

    options.clock = &ticking.clock;
    weir_http *session = open_session(&options);
    weir_http_request *request = new_request("GET", peer_url(peer, "/", url));
    for (int i = 0; i < 200; i++) {
        weir_http_response *response = NULL;
        weir_time deadline = atomic_load(&ticking.now) + i % 50 * WEIR_MS;
        weir_status status = weir_http_send(session, request, deadline, &response, &error);
        if (status != WEIR_OK && status != WEIR_TIMEOUT)
            printf("# %d ms: %s: %s\n", i % 50, weir_status_name(status), error.text);
        check(status == WEIR_OK || status == WEIR_TIMEOUT);
        counts[status != WEIR_OK]++;
        weir_http_response_close(response);
    }
    check(counts[0] > 0);
    check(counts[1] > 0);
    weir_http_request_close(request);
    check_at_rest(session);
    weir_http_close(session);
    peer_stop(peer);
}

/* ---- disposing --------------------------------------------------------------------------- */

struct disposal {
    weir_http *session;
    int ms;
    weir_status status;
    weir_error error;
};

static void *dispose(void *arg)
{
    struct disposal *d = arg;

    d->status = weir_http_dispose(d->session, weir_deadline_in(d->ms), &d->error);
    return NULL;
}

static void disposing_ends_who_waits_at_once_and_lets_the_wire_finish(void)
{
    struct scene scene;
    pthread_t thread;

    open_scene(&scene, "/hold");
    struct disposal disposal = {.session = scene.session, .ms = 20000};
    check_int(pthread_create(&thread, NULL, dispose, &disposal), 0);
    join_waiting(&scene, WEIR_CLOSED, true);
    peer_let_go(scene.peers[0]);
    struct outcome o = call_join(&scene.wire);
    check_outcome(o, WEIR_OK);
    check_text(o.body, "hello");
    pthread_join(thread, NULL);
    check_int(disposal.status, WEIR_OK);
    check(peer_wait(scene.peers[0], PEER_OPEN, 0));
    char url[PEER_URL_SIZE];
    o = get(scene.session, peer_url(scene.peers[0], "/", url));
    check_outcome(o, WEIR_CLOSED);
    check_int(o.report.attempts, 0);
    close_scene(&scene);
}

static void who_is_cancelled_while_the_session_ends_is_cut_at_once(void)
{
    struct scene scene;
    pthread_t thread;

    open_scene(&scene, "/hang");
    struct disposal disposal = {.session = scene.session, .ms = 20000};
    check_int(pthread_create(&thread, NULL, dispose, &disposal), 0);
    join_waiting(&scene, WEIR_CLOSED, true);
    weir_time start = weir_now();
    weir_http_request_cancel(scene.wire.request);
    struct outcome o = call_join(&scene.wire);
    check_outcome(o, WEIR_CANCELLED);
    pthread_join(thread, NULL);
    check(weir_now() - start < SLACK_MS * WEIR_MS);
    check_int(disposal.status, WEIR_OK);
    close_scene(&scene);
}

static void disposing_cuts_what_is_on_the_wire_at_its_deadline(void)
{
    struct scene scene;

    open_scene(&scene, "/hang");
    weir_time start = weir_now();
    check_int(weir_http_dispose(scene.session, weir_deadline_in(60), &error), WEIR_TIMEOUT);
    weir_time took = weir_now() - start;
    check(took >= 60 * WEIR_MS && took <= (60 + SLACK_MS) * WEIR_MS);
    check_contains(error.text, "1 request ");
    join_waiting(&scene, WEIR_CLOSED, true);
    struct outcome o = call_join(&scene.wire);
    check_outcome(o, WEIR_CLOSED);
    check(o.report.was_sent);
    check(peer_wait(scene.peers[0], PEER_OPEN, 0));
    close_scene(&scene);
}

static void requests_and_responses_outlive_their_session(void)
{
    struct peer *peer = start_peer(answer_or_hang, NULL);
    weir_http *first = open_quick();
    weir_http_response *response = NULL;
    char url[PEER_URL_SIZE];

    weir_http_request *request = new_request("GET", peer_url(peer, "/", url));
    check_int(weir_http_send(first, request, WEIR_DEADLINE_DEFAULT, &response, &error), WEIR_OK);
    close_session(first);
    check_text(weir_http_response_body(response, NULL), "hello");
    check_int(weir_http_request_report(request)->attempts, 1);
    weir_http_response_close(response);
    weir_http *second = open_quick();
    struct outcome o = send_request(second, request, -1);
    check_outcome(o, WEIR_OK);
    weir_http_request_close(request);
    close_session(second);
    peer_stop(peer);
}

/* ---- descriptors ------------------------------------------------------------------------- */

#define DESCRIPTORS 256

/* Mark the descriptors that are open; returns how many. */
static int list_descriptors(bool *is_open)
{
    int count = 0;

    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        is_open[fd] = fcntl(fd, F_GETFD) >= 0;
        count += is_open[fd];
    }
    return count;
}

/* libcurl also has pairs of sockets to wake itself, which it does not mark in 7.88. */
static bool is_connection(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    return getpeername(fd, (struct sockaddr *)&address, &size) == 0 && address.ss_family != AF_UNIX;
}

static void a_session_leaves_no_descriptor_open_and_gives_no_connection_to_children(void)
{
    struct peer *peer = start_peer(answer_or_hang, NULL);
    bool before[DESCRIPTORS];
    bool meanwhile[DESCRIPTORS];
    char url[PEER_URL_SIZE];
    char named_url[PEER_URL_SIZE];

    peer_url(peer, "/", url);
    peer_url_at(peer, "localhost", "/", named_url);
    close_session(open_quick()); /* what is opened once for the process is open now */
    int count = list_descriptors(before);
    weir_http *session = open_quick();
    check_int(get(session, url).http, 200);
    check_int(get(session, named_url).http, 200);
    check_int(get(session, "http://unknown.test/").status, WEIR_CONNECT);
    check(list_descriptors(meanwhile) > count);
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        if (meanwhile[fd] && is_connection(fd))
            check(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close_session(session);
    check(peer_wait(peer, PEER_OPEN, 0));
    check_int(list_descriptors(meanwhile), count);
    peer_stop(peer);
}

int main(void)
{
    run(a_name_that_hangs_holds_nobody_beyond_the_deadline);
    run(a_name_that_hangs_lets_go_of_who_is_cancelled_or_disposed);
    run(a_name_that_hangs_is_no_matter_to_other_origins);
    run(a_name_that_is_unknown_or_slow_is_an_error_or_a_while);
    run(a_cancelled_call_ends_at_once_on_the_wire_for_the_rate_limit_and_in_a_pause);
    run(a_cancelling_holds_for_one_call);
    run(a_call_that_does_not_begin_is_the_one_that_was_cancelled);
    run(a_deadline_that_passes_at_any_step_is_a_timeout);
    run(disposing_ends_who_waits_at_once_and_lets_the_wire_finish);
    run(who_is_cancelled_while_the_session_ends_is_cut_at_once);
    run(disposing_cuts_what_is_on_the_wire_at_its_deadline);
    run(requests_and_responses_outlive_their_session);
    run(a_session_leaves_no_descriptor_open_and_gives_no_connection_to_children);
    return check_done();
}
