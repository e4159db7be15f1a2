/* SPDX-License-Identifier: MIT */
/* For tests: an HTTP server whose connections are a thread and a callback each. */
#include "http_peer_inside.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SECONDS 10

void peer_bail_out(const char *what)
{
    printf("Bail out! peer: %s\n", what);
    fflush(stdout);
    exit(1);
}

static void ring(int wake)
{
    if (write(wake, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        peer_bail_out("eventfd");
}

void peer_add(struct peer *peer, enum peer_counter which, int value)
{
    pthread_mutex_lock(&peer->lock);
    peer->counts[which] += value;
    if (which == PEER_OPEN && peer->counts[PEER_OPEN] > peer->counts[PEER_MOST])
        peer->counts[PEER_MOST] = peer->counts[PEER_OPEN];
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
}

/* ---- connections --------------------------------------------------------------------------- */

/* Wait for the first bytes of the next request; false: none will come. */
static bool wait_for_request(struct peer_connection *c, enum peer_end *ret_end)
{
    struct pollfd polls[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = c->wake, .events = POLLIN}};
    struct peer *peer = c->peer;
    bool is_there = c->size > 0 || (c->ssl != NULL && SSL_pending(c->ssl) > 0);

    pthread_mutex_lock(&peer->lock);
    c->state = CONNECTION_WAITING;
    pthread_cond_broadcast(&peer->changed);
    for (;;) {
        bool is_wanted = c->state == CONNECTION_WAITING && !peer->is_stopping;
        if (!is_wanted)
            *ret_end = c->end;
        if (is_there || !is_wanted) {
            c->state = is_wanted ? CONNECTION_BUSY : c->state;
            pthread_mutex_unlock(&peer->lock);
            return is_wanted;
        }
        pthread_mutex_unlock(&peer->lock);
        uint64_t rings;
        int count = poll(polls, 2, -1);
        if (count > 0 && polls[1].revents != 0 && read(c->wake, &rings, sizeof(rings)) < 0)
            peer_bail_out("eventfd");
        is_there = count > 0 && polls[0].revents != 0;
        pthread_mutex_lock(&peer->lock);
    }
}

static bool shake_hands(struct peer_connection *c)
{
    if (c->peer->tls == NULL)
        return true;
    c->ssl = SSL_new(c->peer->tls);
    return c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_accept(c->ssl) == 1;
}

static void end_connection(struct peer_connection *c, enum peer_end end)
{
    char waste[4096];

    /* What the handler wrote is there for the handler of the connection that the other side opens
     * because this one ends. */
    pthread_mutex_lock(&c->peer->lock);
    pthread_mutex_unlock(&c->peer->lock);
    if (c->ssl != NULL && end == PEER_FIN)
        SSL_shutdown(c->ssl);
    if (c->ssl != NULL)
        SSL_free(c->ssl);
    if (end == PEER_RST) {
        struct linger linger = {.l_onoff = 1};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    } else {
        /* The kernel would reset a connection that is closed with something unread in it. */
        shutdown(c->fd, SHUT_WR);
        while (recv(c->fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
            continue;
    }
    pthread_mutex_lock(&c->peer->lock);
    close(c->fd);
    close(c->wake);
    c->state = CONNECTION_DONE;
    c->peer->counts[PEER_OPEN]--;
    pthread_cond_broadcast(&c->peer->changed);
    pthread_mutex_unlock(&c->peer->lock);
}

static void *serve(void *arg)
{
    struct peer_connection *c = arg;
    const struct peer_options *options = &c->peer->options;
    struct peer_exchange x = {.peer = c->peer,
                              .connection = c->number,
                              .head = "",
                              .method = "",
                              .target = "",
                              .fd = c->fd,
                              .body = "",
                              .body_size = -1,
                              .c = c};

    bool goes_on = options->greeter == NULL || options->greeter(&x, options->arg);
    goes_on = goes_on && shake_hands(c);
    while (goes_on && wait_for_request(c, &x.end) && peer_read_head(c)) {
        peer_begin_exchange(&x);
        goes_on = options->handler(&x, options->arg) && peer_read_body(&x);
    }
    end_connection(c, x.end);
    return NULL;
}

/* A place for a new connection; waits until there is one. NULL: the peer is being stopped. */
static struct peer_connection *find_place_locked(struct peer *peer)
{
    while (!peer->is_stopping) {
        for (int i = 0; i < PEER_CONNECTIONS_LIMIT; i++) {
            struct peer_connection *c = &peer->connections[i];
            if (c->state == CONNECTION_DONE) {
                pthread_join(c->thread, NULL);
                c->state = CONNECTION_FREE;
            }
            if (c->state == CONNECTION_FREE)
                return c;
        }
        pthread_cond_wait(&peer->changed, &peer->lock);
    }
    return NULL;
}

static void begin_connection(struct peer *peer, int fd)
{
    int yes = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    pthread_mutex_lock(&peer->lock);
    struct peer_connection *c = find_place_locked(peer);
    if (c == NULL) {
        close(fd);
        pthread_mutex_unlock(&peer->lock);
        return;
    }
    c->peer = peer;
    c->state = CONNECTION_BUSY;
    c->end = PEER_FIN;
    c->fd = fd;
    c->wake = eventfd(0, EFD_CLOEXEC);
    c->ssl = NULL;
    c->begin = c->size = 0;
    c->number = ++peer->counts[PEER_CONNECTIONS];
    if (++peer->counts[PEER_OPEN] > peer->counts[PEER_MOST])
        peer->counts[PEER_MOST] = peer->counts[PEER_OPEN];
    if (c->wake < 0 || pthread_create(&c->thread, NULL, serve, c) != 0)
        peer_bail_out("no thread for a connection");
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
}

static void *accept_all(void *arg)
{
    struct peer *peer = arg;
    struct pollfd polls[2] = {{.fd = peer->listener, .events = POLLIN},
                              {.fd = peer->wake, .events = POLLIN}};

    for (;;) {
        if (poll(polls, 2, -1) < 0)
            continue;
        if (polls[1].revents != 0)
            return NULL;
        int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            begin_connection(peer, fd);
    }
}

/* ---- the peer ------------------------------------------------------------------------------ */

static int listen_on(int port, int backlog, int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof(address);
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 ||
        (backlog > 0 && listen(fd, backlog) != 0) ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        peer_bail_out("no socket to listen on");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static SSL_CTX *make_tls(const struct peer_options *options)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, options->cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, options->key_file, SSL_FILETYPE_PEM) != 1)
        peer_bail_out("the certificate or its key cannot be used");
    if (options->prepare_tls != NULL)
        options->prepare_tls(tls, options->arg);
    return tls;
}

/* The peer's threads take no signal, above all no SIGPIPE: what that does to the test is the test's
 * subject. They inherit it from this thread. */
static void start_thread(struct peer *peer)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&peer->thread, NULL, accept_all, peer) != 0)
        peer_bail_out("no thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct peer *peer_start(const struct peer_options *options)
{
    /* Straight from the kernel: most of it is never touched, and a sanitizer would touch all. */
    struct peer *peer = mmap(NULL, sizeof(*peer), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pthread_condattr_t attributes;

    if (peer == MAP_FAILED)
        peer_bail_out("no memory");
    peer->options = *options;
    peer->tls = options->cert_file == NULL ? NULL : make_tls(options);
    peer->listener = listen_on(options->port, PEER_CONNECTIONS_LIMIT, &peer->port);
    peer->wake = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&peer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&peer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    start_thread(peer);
    return peer;
}

static void ring_all_locked(struct peer *peer)
{
    for (int i = 0; i < PEER_CONNECTIONS_LIMIT; i++)
        if (peer->connections[i].state != CONNECTION_FREE &&
            peer->connections[i].state != CONNECTION_DONE)
            ring(peer->connections[i].wake);
}

/* Nobody but the connections' own threads changes their states any more, and none becomes free. */
static bool has_thread(struct peer *peer, int place)
{
    pthread_mutex_lock(&peer->lock);
    bool is_so = peer->connections[place].state != CONNECTION_FREE;
    pthread_mutex_unlock(&peer->lock);
    return is_so;
}

void peer_stop(struct peer *peer)
{
    if (peer == NULL)
        return;
    pthread_mutex_lock(&peer->lock);
    peer->is_stopping = true;
    ring_all_locked(peer);
    for (int i = 0; i < PEER_CONNECTIONS_LIMIT; i++)
        if (peer->connections[i].state == CONNECTION_BUSY)
            shutdown(peer->connections[i].fd, SHUT_RDWR);
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
    ring(peer->wake);
    pthread_join(peer->thread, NULL);
    for (int i = 0; i < PEER_CONNECTIONS_LIMIT; i++)
        if (has_thread(peer, i))
            pthread_join(peer->connections[i].thread, NULL);
    close(peer->listener);
    close(peer->wake);
    SSL_CTX_free(peer->tls);
    pthread_cond_destroy(&peer->changed);
    pthread_mutex_destroy(&peer->lock);
    munmap(peer, sizeof(*peer));
}

int peer_port(const struct peer *peer)
{
    return peer->port;
}

char *peer_url_at(const struct peer *peer, const char *host, const char *path,
                  char room[PEER_URL_SIZE])
{
    snprintf(room, PEER_URL_SIZE, "%s://%s:%d%s", peer->tls == NULL ? "http" : "https", host,
             peer->port, path);
    return room;
}

char *peer_url(const struct peer *peer, const char *path, char room[PEER_URL_SIZE])
{
    return peer_url_at(peer, "127.0.0.1", path, room);
}

int peer_unused_port(void)
{
    int port;

    close(listen_on(0, 0, &port));
    return port;
}

int peer_count(struct peer *peer, enum peer_counter which)
{
    pthread_mutex_lock(&peer->lock);
    int count = peer->counts[which];
    pthread_mutex_unlock(&peer->lock);
    return count;
}

static struct timespec soon(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_SECONDS;
    return until;
}

bool peer_wait(struct peer *peer, enum peer_counter which, int value)
{
    struct timespec until = soon();
    int result = 0;

    pthread_mutex_lock(&peer->lock);
    int *count = &peer->counts[which];
    while (result == 0 && (which <= PEER_MOST ? *count < value : *count != value))
        result = pthread_cond_timedwait(&peer->changed, &peer->lock, &until);
    if (result != 0)
        printf("# peer: count %d is still %d, not %d\n", (int)which, *count, value);
    pthread_mutex_unlock(&peer->lock);
    return result == 0;
}

int peer_saw_times(struct peer *peer, const char *text)
{
    size_t length = strlen(text);
    int times = 0;

    pthread_mutex_lock(&peer->lock);
    const char *end = peer->record + peer->recorded;
    for (const char *at = peer->record; (at = memmem(at, (size_t)(end - at), text, length)) != NULL;
         at += length)
        times++;
    pthread_mutex_unlock(&peer->lock);
    return times;
}

bool peer_saw(struct peer *peer, const char *text)
{
    return peer_saw_times(peer, text) > 0;
}

void peer_forget(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->recorded = 0;
    pthread_mutex_unlock(&peer->lock);
}

static int count_locked(struct peer *peer, enum connection_state state)
{
    int count = 0;

    for (int i = 0; i < PEER_CONNECTIONS_LIMIT; i++)
        count += peer->connections[i].state == state;
    return count;
}

bool peer_end_idle(struct peer *peer, int count, enum peer_end how)
{
    struct timespec until = soon();
    int result = 0;

    pthread_mutex_lock(&peer->lock);
    while (result == 0 && count_locked(peer, CONNECTION_WAITING) < count)
        result = pthread_cond_timedwait(&peer->changed, &peer->lock, &until);
    if (result != 0)
        printf("# peer: %d connections wait, not %d\n", count_locked(peer, CONNECTION_WAITING),
               count);
    for (int i = 0; i < PEER_CONNECTIONS_LIMIT; i++) {
        struct peer_connection *c = &peer->connections[i];
        if (c->state != CONNECTION_WAITING)
            continue;
        c->state = CONNECTION_CLOSING;
        c->end = how;
        ring(c->wake);
    }
    while (count_locked(peer, CONNECTION_CLOSING) > 0)
        pthread_cond_wait(&peer->changed, &peer->lock);
    pthread_mutex_unlock(&peer->lock);
    return result == 0;
}

void peer_let_go(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->has_let_go = true;
    ring_all_locked(peer);
    pthread_mutex_unlock(&peer->lock);
}

void peer_hold_again(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->has_let_go = false;
    pthread_mutex_unlock(&peer->lock);
}
