/* SPDX-License-Identifier: MIT */
/* A server that answers before it has read the request's body, and closes: its answer is not lost. */
#include "http_certs.h"
#include "http_steps.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

/* ---- the network ------------------------------------------------------------------------- */

/* Whether a large piece is sent only when the other side has answered and closed already. */
static atomic_bool is_late;
static atomic_bool is_tls; /* where the first large piece goes out at once: the head may be in it */
static atomic_int late_count;
static sem_t sending; /* a large piece is about to be sent */

/* The one that libcurl calls. */
ssize_t send(int fd, const void *data, size_t size, int flags)
{
    struct pollfd polled = {.fd = fd, .events = POLLRDHUP};

    if (size >= 8192 && atomic_load(&is_late)) {
        /* libcurl 8 sends the head with the beginning of the body: the other side gets it first. */
        const char *head_end = memmem(data, size, "\r\n\r\n", 4);
        if (head_end != NULL && *(const char *)data == 'P')
            return sendto(fd, data, (size_t)(head_end + 4 - (const char *)data), flags, NULL, 0);
        if (atomic_exchange(&is_tls, false))
            return sendto(fd, data, size, flags, NULL, 0);
        if (atomic_fetch_add(&late_count, 1) == 0)
            sem_post(&sending);
        while ((polled.revents & (POLLERR | POLLHUP | POLLRDHUP)) == 0)
            if (poll(&polled, 1, 10000) <= 0)
                break;
    }
    return sendto(fd, data, size, flags, NULL, 0);
}

/* ---- the other side ---------------------------------------------------------------------- */

#define BODY_SIZE 4194304

static char body[BODY_SIZE];

/* "/413": that status, with a body; "/413-close", "/413-chunked", "/413-cut", "/413-odd": as it says. */
static bool answer_early(struct peer_exchange *x, void *arg)
{
    char line[128];

    (void)arg;
    if (strcmp(x->target, "/") == 0)
        return peer_reply(x, 200, "", "hello", 5);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    while (sem_timedwait(&sending, &until) != 0 && errno == EINTR)
        continue;
    bool is_odd = strstr(x->target, "odd") != NULL;
    bool is_chunked = strstr(x->target, "chunked") != NULL;
    snprintf(line, sizeof line, "HTTP/1.1 %.3s%s As it is\r\n", x->target + 1, is_odd ? "4" : "");
    peer_print(x, line);
    if (strstr(x->target, "close") != NULL)
        peer_print(x, "Connection: close\r\n");
    if (strstr(x->target, "503") != NULL)
        peer_print(x, "Retry-After: 40\r\n");
    peer_print(x, is_chunked ? "Transfer-Encoding: chunked\r\n\r\n8\r\ntoo much\r\n0\r\n\r\n"
                  : strstr(x->target, "cut") != NULL ? "Content-Length: 100\r\n\r\ntoo much"
                  : strstr(x->target, "head") != NULL
                      ? "Content-Le"
                      : "X-Why: size\r\nContent-Length: 8\r\n\r\ntoo much");
    x->end = strstr(x->target, "fin") != NULL      ? PEER_FIN
             : strstr(x->target, "abrupt") != NULL ? PEER_ABRUPT
                                                   : PEER_RST;
    return false;
}

static struct peer *peer;
static struct peer *tls_peer;
static struct certs certs;

/* The connection is used before, or not. */
static struct outcome upload_to(struct peer *to, const weir_http_options *options, bool is_reused,
                                const char *method, const char *path)
{
    weir_http *session = open_session(options);
    char url[PEER_URL_SIZE];

    if (is_reused)
        get(session, peer_url(to, "/", url));
    weir_http_request *request = new_request(method, peer_url(to, path, url));
    weir_http_request_body(request, body, BODY_SIZE, "application/octet-stream");
    atomic_store(&late_count, 0);
    atomic_store(&is_tls, to == tls_peer);
    atomic_store(&is_late, true);
    struct outcome o = send_request(session, request, -1);
    atomic_store(&is_late, false);
    check(atomic_load(&late_count) > 0);
    weir_http_request_close(request);
    close_session(session);
    return o;
}

static struct outcome upload(const weir_http_options *options, bool is_reused, const char *method,
                             const char *path)
{
    return upload_to(peer, options, is_reused, method, path);
}

static weir_http_options no_repeats(void)
{
    weir_http_options options = quick_options();

    options.retry.total = 0;
    return options;
}

/* ---- early answers ----------------------------------------------------------------------- */

static void check_early_at(struct peer *at, const char *method, const char *path, bool is_whole)
{
    weir_http_options options = no_repeats();
    int before = check_failures_in_test;

    for (int is_reused = 0; is_reused < 2; is_reused++) {
        struct outcome o = upload_to(at, &options, is_reused != 0, method, path);
        check_outcome(o, WEIR_OK);
        check_int(o.http, atoi(path + 1));
        check_int(o.is_truncated, !is_whole);
        check_int(o.report.attempts, 1);
        check_int(o.report.opened, is_reused == 0);
        if (is_whole)
            check_text(o.body, "too much");
    }
    if (check_failures_in_test != before)
        printf("# %s %s\n", method, path);
}

static void check_early(const char *method, const char *path, bool is_whole)
{
    check_early_at(peer, method, path, is_whole);
}

static void an_early_answer_is_read_before_the_loss_is_told(void)
{
    check_early("POST", "/413", true);
    check_early("PUT", "/413-close", true);
    check_early("POST", "/401", true);
    check_early("POST", "/413-cut", false);
    check_early("POST", "/400-chunked", false);
    check_early("POST", "/200", true);
}

static void an_early_answer_is_read_over_tls_too(void)
{
    check_early_at(tls_peer, "POST", "/413", true);
    check_early_at(tls_peer, "PUT", "/413-close", true);
    check_early_at(tls_peer, "POST", "/401-fin", true);
    check_early_at(tls_peer, "POST", "/413-abrupt", true);
    check_early_at(tls_peer, "PUT", "/501-close-abrupt", true);
    check_early_at(tls_peer, "POST", "/413-cut", false);
    check_early_at(tls_peer, "POST", "/413-cut-fin", false);
    check_early_at(tls_peer, "POST", "/200", true);
    check_early_at(tls_peer, "POST", "/200-fin", true);
}

static void no_answer_over_tls_and_half_of_one_are_a_loss_and_no_wait(void)
{
    static const char *const paths[] = {"/413-head", "/413-odd-abrupt", "/200-cut", "/200-cut-fin",
                                        "/200-cut-abrupt"};
    weir_http_options options = no_repeats();

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int before = check_failures_in_test;
        struct outcome o = upload_to(tls_peer, &options, i % 2 != 0, "POST", paths[i]);
        check(o.status == WEIR_AMBIGUOUS || o.status == WEIR_PROTOCOL);
        check(strstr(o.error.text, "in time") == NULL);
        if (check_failures_in_test != before)
            printf("# %s: %s\n", paths[i], o.error.text);
    }
}

/* Reads some of the body and answers; nothing is held back, so that the answer comes at any moment. */
static bool answer_somewhere(struct peer_exchange *x, void *arg)
{
    (void)arg;
    peer_skip_body(x, atoi(x->target + 1) * 5001 % 300000);
    peer_print(x, "HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo much");
    x->end = (enum peer_end)(atoi(x->target + 1) % 3);
    return false;
}

static void check_every(struct peer *at, int count)
{
    weir_http_options options = no_repeats();
    weir_http *session = open_session(&options);
    char url[PEER_URL_SIZE];
    char path[16];
    int seen = 0;

    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/%d", i);
        weir_http_request *request = new_request("POST", peer_url(at, path, url));
        weir_http_request_body(request, body, BODY_SIZE, "application/octet-stream");
        struct outcome o = send_request(session, request, -1);
        seen += o.status == WEIR_OK && o.http == 413 && strcmp(o.body, "too much") == 0;
        if (o.status != WEIR_OK)
            printf("# %d: %s\n", i, o.error.text);
        weir_http_request_close(request);
    }
    printf("# %d of %d early answers seen\n", seen, count);
    check_int(seen, count);
    close_session(session);
}

static void every_early_answer_is_seen_whenever_it_comes(void)
{
    struct peer *plain = start_peer(answer_somewhere, NULL);
    struct peer *tls = peer_start(&(struct peer_options){
        .handler = answer_somewhere, .cert_file = certs.good, .key_file = certs.good_key});

    check_every(plain, 120);
    check_every(tls, 120);
    peer_stop(tls);
    peer_stop(plain);
}

/* What it says is done. */
static void an_early_answer_counts_as_any_other(void)
{
    weir_http_options options = no_repeats();
    struct outcome o = upload(&options, false, "PUT", "/503");

    check_outcome(o, WEIR_RESPONSE);
    check_int(o.error.native, 503);
    check(o.report.retry_after > 30 * WEIR_SECOND);
}

static void no_answer_and_half_of_one_are_a_loss(void)
{
    static const char *const paths[] = {"/413-head", "/413-odd", "/200-cut", "/200-chunked"};
    weir_http_options options = no_repeats();

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int before = check_failures_in_test;
        struct outcome o = upload(&options, false, "POST", paths[i]);
        check_outcome(o, WEIR_AMBIGUOUS);
        check_int(o.report.status, 0);
        o = upload(&options, false, "PUT", paths[i]);
        check_outcome(o, WEIR_DISCONNECTED);
        if (check_failures_in_test != before)
            printf("# %s\n", paths[i]);
    }
}

/* ---- an answer to nobody ----------------------------------------------------------------- */

/* The first request of a connection is served. The next comes while the server is about to close for
 * want of one; with "/always" the first, too. */
static bool give_up_early(struct peer_exchange *x, void *arg)
{
    bool keeps = strstr(x->target, "keep") != NULL;

    (void)arg;
    if (x->number == 1 && strstr(x->target, "always") == NULL)
        return peer_reply(x, 200, "", "hello", 5);
    peer_reply(x, 408, keeps ? "" : "Connection: keep-alive , Close\r\n", "late", 4);
    return keeps;
}

/* Send over a connection that was used once. */
static struct outcome meet_408(const weir_http_options *options, const char *method,
                               const char *path)
{
    struct peer *server = start_peer(give_up_early, NULL);
    weir_http *session = open_session(options);
    char url[PEER_URL_SIZE];

    struct outcome first = get(session, peer_url(server, "/", url));
    check_text(first.body, "hello");
    struct outcome o = send_to(session, method, peer_url(server, path, url), -1);
    close_session(session);
    peer_stop(server);
    return o;
}

static void a_408_to_what_was_not_read_is_a_stale_connection(void)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "DELETE"};
    weir_http_options options = quick_options();

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct outcome o = meet_408(&options, methods[i], "/");
        check_outcome(o, WEIR_OK);
        check_int(o.http, 200);
        check_int(o.report.attempts, 2);
        check_int(o.report.resends, 1);
        check_int(o.report.opened, 1);
    }
    /* Once. */
    struct outcome o = meet_408(&options, "GET", "/always");
    check_outcome(o, WEIR_OK);
    check_int(o.http, 408);
    check_int(o.report.attempts, 2);
}

static void any_other_408_is_an_answer(void)
{
    weir_http_options options = quick_options();
    struct outcome outcomes[] = {
        meet_408(&options, "POST", "/"),
        meet_408(&options, "PUT", "/"), /* its body may have been waited for */
        meet_408(&options, "GET", "/keep"),
        (options.retry.total = 0, meet_408(&options, "GET", "/")),
    };

    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        check_outcome(outcomes[i], WEIR_OK);
        check_int(outcomes[i].http, 408);
        check_text(outcomes[i].body, "late");
        check_int(outcomes[i].report.attempts, 1);
    }
    options = quick_options();
    struct peer *server = start_peer(give_up_early, NULL);
    weir_http *session = open_session(&options);
    char url[PEER_URL_SIZE];
    struct outcome o = get(session, peer_url(server, "/always", url)); /* over a new connection */
    check_int(o.http, 408);
    check_int(o.report.attempts, 1);
    close_session(session);
    peer_stop(server);
}

int main(void)
{
    sem_init(&sending, 0, 0);
    peer = start_peer(answer_early, NULL);
    certs_make(&certs);
    tls_peer = peer_start(&(struct peer_options){
        .handler = answer_early, .cert_file = certs.good, .key_file = certs.good_key});
    run(an_early_answer_is_read_before_the_loss_is_told);
    run(an_early_answer_is_read_over_tls_too);
    run(an_early_answer_counts_as_any_other);
    run(no_answer_and_half_of_one_are_a_loss);
    run(no_answer_over_tls_and_half_of_one_are_a_loss_and_no_wait);
    run(every_early_answer_is_seen_whenever_it_comes);
    peer_stop(tls_peer);
    certs_remove(&certs);
    peer_stop(peer);
    run(a_408_to_what_was_not_read_is_a_stale_connection);
    run(any_other_408_is_an_answer);
    return check_done();
}
