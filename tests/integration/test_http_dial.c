/* SPDX-License-Identifier: MIT */
/* Opening connections: names with several addresses, names that moved, and machines that have nothing left. */
#include "http_deaf.h"
#include "http_steps.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <sys/resource.h>

/* ---- names ------------------------------------------------------------------------------- */

/*
 * libcurl's resolver calls this one, because the program exports it. "moving.test" has the addresses that
 * the test says; everything else is as ever.
 */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static const char *names[8]; /* up to NULL */
static int names_asked;      /* for IPv4 at least: since 8.20 libcurl asks once for each family */

static void let_name_be(const char *first, const char *second, const char *third,
                        const char *fourth)
{
    pthread_mutex_lock(&names_lock);
    names[0] = first;
    names[1] = second;
    names[2] = third;
    names[3] = fourth;
    pthread_mutex_unlock(&names_lock);
}

static int count_asked(void)
{
    pthread_mutex_lock(&names_lock);
    int count = names_asked;
    pthread_mutex_unlock(&names_lock);
    return count;
}

typedef int resolver(const char *name, const char *service, const struct addrinfo *hints,
                     struct addrinfo **ret_list);

static int resolve_moving(resolver *next, const char *service, const struct addrinfo *hints,
                          struct addrinfo **ret_list)
{
    struct addrinfo **last = ret_list;

    *ret_list = NULL;
    for (int i = 0; names[i] != NULL; i++)
        if (next(names[i], service, hints, last) == 0)
            last = &(*last)->ai_next;
    return *ret_list == NULL ? EAI_NONAME : 0;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    static resolver *next;

    pthread_mutex_lock(&names_lock);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    bool is_moving = name != NULL && strcmp(name, "moving.test") == 0;
    names_asked += is_moving && hints->ai_family != AF_INET6;
    int result = is_moving ? resolve_moving(next, service, hints, ret_list) : 0;
    pthread_mutex_unlock(&names_lock);
    return is_moving ? result : next(name, service, hints, ret_list);
}

/* ---- the machine ------------------------------------------------------------------------- */

/* What connect() fails with, one after the other, the last for ever; 0: it does what it does. */
static _Atomic int refusals[2];
static _Atomic int refused;

int connect(int descriptor, const struct sockaddr *address, socklen_t size)
{
    int (*next)(int, const struct sockaddr *, socklen_t);

    *(void **)&next = dlsym(RTLD_NEXT, "connect");
    if (address->sa_family == AF_UNIX || atomic_load(&refusals[0]) == 0)
        return next(descriptor, address, size);
    errno = atomic_load(&refusals[atomic_fetch_add(&refused, 1) > 0]);
    return -1;
}

static void let_machine_refuse(int first, int others)
{
    atomic_store(&refused, 0);
    atomic_store(&refusals[1], others);
    atomic_store(&refusals[0], first);
}

#if !HAS_SANITIZER /* which have their own */
static _Atomic bool has_no_threads;

int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *arg)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    return has_no_threads ? EAGAIN : next(ret_thread, attributes, start, arg);
}
#endif

/* Leave no descriptor that could be opened; returns the limit to go back to. */
static struct rlimit take_descriptors(void)
{
    struct rlimit before;
    int next = dup(0);

    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit none = {(rlim_t)next, before.rlim_max};
    close(next);
    check_int(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

/* ---- silent addresses -------------------------------------------------------------------- */

#define FIRST_DEAF 2 /* 127.0.0.2 and the two after it never answer; 127.0.0.9 refuses */

static struct peer *peer;
static struct deaf deaf[3];
static char moving[PEER_URL_SIZE];

static weir_http_options patient_options(void)
{
    weir_http_options options = quick_options();

    options.connect_timeout_ms = 8000;
    options.try_timeout_ms = 10000;
    options.retry.total = 0;
    return options;
}

struct silence {
    const char *addresses[4];
    int least_ms;
};

#define TRIES 3
/* Of a busy machine's best try. A pace of twice a quarter of a second takes longer where three are silent. */
#define MOST_MORE_MS 700

/* Returns how long it took. The second call finds the connection open. */
static weir_time connect_once(const weir_http_options *options)
{
    weir_http *session = open_session(options);

    struct outcome first = get(session, moving);
    check_outcome(first, WEIR_OK);
    check_text(first.body, "hello");
    check_int(first.report.opened, 1);
    struct outcome second = get(session, moving);
    check_outcome(second, WEIR_OK);
    check_int(second.report.opened, 0);
    close_session(session);
    return first.elapsed;
}

static void check_silence(const struct silence *s, int connect_timeout_ms)
{
    const char *const *at = s->addresses;
    weir_http_options options = patient_options();
    weir_time best = WEIR_DEADLINE_NEVER;

    options.connect_timeout_ms = connect_timeout_ms;
    let_name_be(at[0], at[1], at[2], at[3]);
    for (int i = 0; i < TRIES && best >= (s->least_ms + MOST_MORE_MS) * WEIR_MS; i++) {
        weir_time took = connect_once(&options);
        best = took < best ? took : best;
    }
    /* libcurl alone gives each half of what is left: a second of two, five of ten to the first. */
    check(best >= (s->least_ms - 1) * WEIR_MS);
    check(best < (s->least_ms + MOST_MORE_MS) * WEIR_MS);
    if (best < (s->least_ms - 1) * WEIR_MS || best >= (s->least_ms + MOST_MORE_MS) * WEIR_MS)
        printf("# %s %s %s took %lld ms, connect_timeout %d\n", at[0], at[1],
               at[2] == NULL ? "" : at[2], (long long)(best / WEIR_MS), connect_timeout_ms);
}

static const int connect_timeouts[] = {2000, 10000};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void the_next_address_is_tried_in_a_quarter_of_a_second_whatever_the_family(void)
{
    static const struct silence cases[] = {
        {{"127.0.0.1", "127.0.0.2", "127.0.0.3"}, 0},
        {{"127.0.0.2", "127.0.0.1"}, 250},
        {{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"}, 750},
        {{"127.0.0.9", "127.0.0.2", "127.0.0.9", "127.0.0.1"}, 250},
        {{"::1", "127.0.0.2", "127.0.0.1"}, 250}, /* where nobody listens, or there is no IPv6 */
        {{"127.0.0.2", "::1", "127.0.0.1"}, 250},
    };

    for (size_t i = 0; i < COUNT(connect_timeouts); i++)
        for (size_t j = 0; j < COUNT(cases); j++)
            check_silence(&cases[j], connect_timeouts[i]);
}

static void a_silent_address_of_the_other_family_costs_no_more(void)
{
    static const struct silence cases[] = {
        {{"::1", "127.0.0.1"}, 250},
        {{"127.0.0.1", "::1"}, 0},
        {{"127.0.0.2", "::1", "127.0.0.1"}, 500},
        {{"::1", "127.0.0.2", "127.0.0.1"}, 500},
    };

    for (size_t i = 0; i < COUNT(connect_timeouts); i++)
        for (size_t j = 0; j < COUNT(cases); j++)
            check_silence(&cases[j], connect_timeouts[i]);
}

static void run_with_deaf_v6(void)
{
    struct deaf v6;

    if (!deaf_open_v6(&v6, peer_port(peer))) {
        check_skip(a_silent_address_of_the_other_family_costs_no_more, "no IPv6 here");
        return;
    }
    run(a_silent_address_of_the_other_family_costs_no_more);
    deaf_close(&v6);
}

static void a_name_of_silent_addresses_alone_costs_connect_timeout_and_can_be_cancelled(void)
{
    weir_http_options options = patient_options();
    struct call call;

    options.connect_timeout_ms = 400;
    weir_http *session = open_session(&options);
    let_name_be("127.0.0.2", "127.0.0.3", NULL, NULL);
    struct outcome o = send_to(session, "POST", moving, -1);
    check_outcome(o, WEIR_CONNECT);
    check_contains(o.error.text, "no connection in time");
    check(!o.report.was_sent);
    check_took(o, 400, 400);
    o = send_to(session, "POST", moving, 100);
    check_outcome(o, WEIR_TIMEOUT);
    check_took(o, 100, 100);
    close_session(session);

    options.connect_timeout_ms = 8000;
    session = open_session(&options);
    call_start(&call, session, "GET", moving, -1);
    nap(20); /* it may be anywhere */
    weir_time start = weir_now();
    weir_http_request_cancel(call.request);
    o = call_join(&call);
    check_outcome(o, WEIR_CANCELLED);
    check(weir_now() - start < SLACK_MS * WEIR_MS);
    close_session(session);
}

static void who_refuses_is_named_with_the_number_of_others(void)
{
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);

    let_name_be("127.0.0.9", "127.0.0.10", "127.0.0.11", NULL);
    struct outcome o = get(session, moving);
    check_outcome(o, WEIR_CONNECT);
    check_contains(o.error.text, "no connection: 127.0.0.9 port ");
    check_contains(o.error.text, ": Connection refused (and 2 more addresses)");
    close_session(session);
}

/* ---- names that moved -------------------------------------------------------------------- */

static void a_name_whose_remembered_address_is_of_no_use_is_looked_up_again(void)
{
    static const char *const old[] = {"127.0.0.2", "127.0.0.9", "127.0.0.2"};
    static const char *const others[] = {NULL, NULL, "127.0.0.9"};
    weir_http_options options = patient_options();

    options.connect_timeout_ms = 1000;
    for (int i = 0; i < 3; i++) {
        weir_http *session = open_session(&options);
        int before = count_asked();

        let_name_be(old[i], others[i], NULL, NULL);
        struct outcome o = get(session, moving);
        check_outcome(o, WEIR_CONNECT);
        check_int(count_asked(), before + 1); /* just looked up: no reason to ask again */
        let_name_be("127.0.0.1", NULL, NULL, NULL);
        o = get(session, moving);
        check_outcome(o, WEIR_OK);
        check_int(o.report.attempts, 1);
        check(count_asked() > before + 1);
        close_session(session);
    }
}

static void evicting_forgets_addresses_and_not_evicting_keeps_them(void)
{
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    int before = count_asked();

    let_name_be("127.0.0.1", NULL, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        struct outcome o = get(session, moving);
        check_outcome(o, WEIR_OK);
        check_int(o.report.opened, 1);
        check(peer_end_idle(peer, 1, PEER_FIN));
        check_int(count_asked(), before + 1);
    }
    let_name_be("127.0.0.9", NULL, NULL, NULL); /* the old one would still answer */
    weir_http_evict_all(session);
    struct outcome o = get(session, moving);
    check_outcome(o, WEIR_CONNECT);
    check_contains(o.error.text, "127.0.0.9");
    let_name_be("127.0.0.1", NULL, NULL, NULL);
    weir_http_evict_all(session);
    o = get(session, moving);
    check_outcome(o, WEIR_OK);
    close_session(session);
}

/* ---- a machine that has nothing left ----------------------------------------------------- */

static weir_http_options wary_options(void)
{
    weir_http_options options = patient_options();

    options.use_breaker = true;
    options.use_budget = true;
    options.breaker.minimum_calls = 2;
    options.breaker.window_size = 2;
    options.retry.total = 3;
    return options;
}

static void check_charges_nobody(weir_http *session, const char *url, int error_number)
{
    weir_http_origin before = origin_of(session, url);

    for (int i = 0; i < 5; i++) {
        struct outcome o = send_to(session, i % 2 == 0 ? "GET" : "POST", url, -1);
        check_outcome(o, WEIR_SYSTEM);
        check_int(o.error.native, error_number);
        check_contains(o.error.text, strerror(error_number));
        check(!o.report.was_sent);
        check(o.report.attempts <= 1);
    }
    weir_http_origin after = origin_of(session, url);
    check_int(after.breaker.state, WEIR_BREAKER_CLOSED);
    check_int(after.breaker.counts.calls, before.breaker.counts.calls);
    check_int(after.budget_denied, 0);
    check(after.budget_balance == before.budget_balance || before.requests == 0);
}

static void a_machine_without_descriptors_charges_no_origin(void)
{
    weir_http_options options = wary_options();
    char url[PEER_URL_SIZE];

    let_name_be("127.0.0.1", NULL, NULL, NULL);
    peer_url(peer, "/", url);
    for (int i = 0; i < 4; i++) {
        /* A connection that is needed; a name that is looked up; a handle, for the first time. */
        weir_http *session = open_session(&options);
        const char *to = i % 2 == 0 ? url : moving;

        if (i < 2) {
            struct outcome o = get(session, to);
            check_outcome(o, WEIR_OK);
            check(peer_end_idle(peer, 1, PEER_FIN));
            weir_http_evict_all(session);
        }
        struct rlimit before = take_descriptors();
        check_charges_nobody(session, to, EMFILE);
        check_int(setrlimit(RLIMIT_NOFILE, &before), 0);
        struct outcome o = get(session, to);
        check_outcome(o, WEIR_OK);
        check_int(o.report.attempts, 1);
        check(peer_end_idle(peer, 1, PEER_FIN));
        close_session(session);
    }
}

static void what_this_machine_lacks_to_connect_is_its_own_trouble(void)
{
    static const int lacking[] = {EADDRNOTAVAIL, ENOBUFS, ENOMEM, EAGAIN, EPERM};
    weir_http_options options = wary_options();

    let_name_be("127.0.0.1", "127.0.0.9", NULL, NULL);
    for (size_t i = 0; i < sizeof lacking / sizeof lacking[0]; i++) {
        weir_http *session = open_session(&options);
        char text[128];

        let_machine_refuse(lacking[i], lacking[i]);
        check_charges_nobody(session, moving, lacking[i]);
        let_machine_refuse(ENETUNREACH, lacking[i]); /* as where there is no IPv6 */
        struct outcome o = get(session, moving);
        check_outcome(o, WEIR_SYSTEM);
        snprintf(text, sizeof text, "this machine cannot connect: 127.0.0.9 port %d: %s",
                 peer_port(peer), strerror(lacking[i]));
        check_contains(o.error.text, text);
        let_machine_refuse(0, 0);
        o = get(session, moving);
        check_outcome(o, WEIR_OK);
        check(peer_end_idle(peer, 1, PEER_FIN));
        close_session(session);
    }
}

static void what_the_other_side_says_is_not(void)
{
    static const int says[][2] = {{ECONNREFUSED, ECONNREFUSED},  {EHOSTUNREACH, EHOSTUNREACH},
                                  {ENETUNREACH, ENETUNREACH},    {ETIMEDOUT, ECONNRESET},
                                  {ECONNREFUSED, EADDRNOTAVAIL}, {EADDRNOTAVAIL, ECONNREFUSED}};
    weir_http_options options = wary_options();

    options.retry.total = 0;
    let_name_be("127.0.0.1", "127.0.0.9", NULL, NULL);
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        weir_http *session = open_session(&options);

        let_machine_refuse(says[i][0], says[i][1]);
        struct outcome o = get(session, moving);
        check_outcome(o, WEIR_CONNECT);
        check_int(origin_of(session, moving).breaker.counts.calls, 1);
        let_machine_refuse(0, 0);
        close_session(session);
    }
}

static bool lead_to_moving(struct peer_exchange *x, void *arg)
{
    char headers[PEER_URL_SIZE + 16];

    (void)arg;
    snprintf(headers, sizeof headers, "Location: %s\r\n", moving);
    /* The machine has nothing left from now on. */
    return peer_read_body(x) && (let_machine_refuse(EADDRNOTAVAIL, EADDRNOTAVAIL), true) &&
           peer_reply(x, 303, headers, NULL, 0);
}

/* It was carried out: nobody may take the machine's trouble for leave to send it again. */
static void a_post_that_was_redirected_stays_ambiguous(void)
{
    struct peer *leader = start_peer(lead_to_moving, NULL);
    weir_http_options options = wary_options();
    weir_http *session = open_session(&options);
    char url[PEER_URL_SIZE];

    struct outcome o = send_to(session, "POST", peer_url(leader, "/", url), -1);
    let_machine_refuse(0, 0);
    check_outcome(o, WEIR_AMBIGUOUS);
    check_contains(o.error.text, strerror(EADDRNOTAVAIL));
    close_session(session);
    peer_stop(leader);
}

#if !HAS_SANITIZER
static void a_lookup_that_gets_no_thread_is_the_machines_trouble(void)
{
    weir_http_options options = wary_options();

    options.connect_timeout_ms = 200; /* for which libcurl 8.22 waits */
    weir_http *session = open_session(&options);
    has_no_threads = true;
    check_charges_nobody(session, moving, EAGAIN);
    has_no_threads = false;
    struct outcome o = get(session, moving);
    check_outcome(o, WEIR_OK);
    close_session(session);
}
#endif

int main(void)
{
    peer = start_peer(say_hello, NULL);
    for (int i = 0; i < 3; i++)
        deaf_open_at(&deaf[i], FIRST_DEAF + i, peer_port(peer));
    peer_url_at(peer, "moving.test", "/", moving);
    run(the_next_address_is_tried_in_a_quarter_of_a_second_whatever_the_family);
    run_with_deaf_v6();
    run(a_name_of_silent_addresses_alone_costs_connect_timeout_and_can_be_cancelled);
    run(who_refuses_is_named_with_the_number_of_others);
    run(a_name_whose_remembered_address_is_of_no_use_is_looked_up_again);
    run(evicting_forgets_addresses_and_not_evicting_keeps_them);
    run(a_machine_without_descriptors_charges_no_origin);
    run(what_this_machine_lacks_to_connect_is_its_own_trouble);
    run(what_the_other_side_says_is_not);
    run(a_post_that_was_redirected_stays_ambiguous);
#if !HAS_SANITIZER
    run(a_lookup_that_gets_no_thread_is_the_machines_trouble);
#endif
    for (int i = 0; i < 3; i++)
        deaf_close(&deaf[i]);
    peer_stop(peer);
    return check_done();
}
