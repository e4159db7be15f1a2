/* SPDX-License-Identifier: MIT */
/*
 * For tests: a pooler that finds every statement by its text, also the unnamed one, as Odyssey does
 * since 1.5 (pool_reserve_prepared_statement is on by default there; xplan.c, plan_parse()). A client
 * that has a text parsed again gets what was prepared for it before. It also counts what goes by.
 */
#ifndef WEIR_TESTS_TEXT_POOLER_H
#define WEIR_TESTS_TEXT_POOLER_H

#include "relay.h"

#include <netinet/tcp.h>
#include <stdint.h>

#define TEXT_POOLER_CLIENTS 8
#define TEXT_POOLER_KEPT 256

/* A stream of messages, as far as it was read. */
struct text_pooler_stream {
    char data[1 << 16];
    size_t size;
};

struct text_pooler_client {
    struct text_pooler *pooler;
    int client;
    int server;
    bool is_started; /* the client's first message, which has no type, went by */
    struct text_pooler_stream from_client;
    struct text_pooler_stream from_server;
    struct {
        char *key; /* the text and the declared types */
        size_t size;
        int number;    /* of its name at the server */
        bool is_fresh; /* the server may still refuse it */
    } kept[TEXT_POOLER_KEPT];
    int kept_count;
    int last_number;
    struct {
        char name[64];
        int number;
    } names[TEXT_POOLER_KEPT];
    int name_count;
};

struct text_pooler {
    int listener;
    int port;
    int server_port;
    int pipe[2]; /* closing the second ends the thread */
    pthread_t thread;
    struct text_pooler_client *clients[TEXT_POOLER_CLIENTS];
    int count;

    /* Set before anybody connects: all is passed on as it came, as if there were no pooler. */
    bool is_plain;

    atomic_int answers;     /* ReadyForQuery: ends of round trips */
    atomic_int deallocates; /* texts with the word DEALLOCATE */
    atomic_int closes;      /* prepared statements closed by the protocol */
};

/* Pass a message on; what is in its middle may be replaced. */
static inline void text_pooler_send(int fd, char type, const void *head, size_t head_size,
                                    const char *name, const void *rest, size_t rest_size)
{
    char out[1 << 17];
    size_t name_size = name != NULL ? strlen(name) + 1 : 0;
    uint32_t size = htonl((uint32_t)(4 + head_size + name_size + rest_size));
    size_t used = 0;

    if (type != 0)
        out[used++] = type;
    memcpy(out + used, &size, 4);
    used += 4;
    memcpy(out + used, head, head_size);
    used += head_size;
    if (name != NULL)
        memcpy(out + used, name, name_size);
    used += name_size;
    memcpy(out + used, rest, rest_size);
    used += rest_size;
    if (send(fd, out, used, MSG_NOSIGNAL) != (ssize_t)used)
        shutdown(fd, SHUT_RDWR);
}

static inline void text_pooler_remember(struct text_pooler_client *c, const char *name, int number)
{
    int i = 0;

    while (i < c->name_count && strcmp(c->names[i].name, name) != 0)
        i++;
    if (i == TEXT_POOLER_KEPT || strlen(name) >= sizeof(c->names[i].name))
        abort();
    memcpy(c->names[i].name, name, strlen(name) + 1);
    c->names[i].number = number;
    c->name_count += i == c->name_count;
}

static inline void text_pooler_name_of(const struct text_pooler_client *c, const char *name,
                                       char *room, size_t size)
{
    int i = 0;

    while (i < c->name_count && strcmp(c->names[i].name, name) != 0)
        i++;
    snprintf(room, size, "kept_%d", i < c->name_count ? c->names[i].number : 0);
}

/* What is kept for this text is used; there the server parses nothing that matters. */
static inline void text_pooler_parse(struct text_pooler_client *c, const char *body, size_t size)
{
    size_t at = strlen(body) + 1;
    char name[32];
    int i = 0;

    while (i < c->kept_count &&
           (c->kept[i].size != size - at || memcmp(c->kept[i].key, body + at, size - at) != 0))
        i++;
    if (i < c->kept_count) {
        text_pooler_remember(c, body, c->kept[i].number);
        text_pooler_send(c->server, 'P', "\0\0\0\0", 4, NULL, "", 0);
        return;
    }
    if (i == TEXT_POOLER_KEPT || (c->kept[i].key = malloc(size - at)) == NULL)
        abort();
    memcpy(c->kept[i].key, body + at, size - at);
    c->kept[i].size = size - at;
    c->kept[i].number = ++c->last_number;
    c->kept[i].is_fresh = true;
    c->kept_count++;
    text_pooler_remember(c, body, c->last_number);
    snprintf(name, sizeof(name), "kept_%d", c->last_number);
    text_pooler_send(c->server, 'P', "", 0, name, body + at, size - at);
}

/* What a message has the server do to its prepared statements. A text with a zero behind it is in each. */
static inline void text_pooler_count(struct text_pooler *pooler, char type, const char *body)
{
    const char *text = type == 'Q' ? body : type == 'P' ? body + strlen(body) + 1 : "";

    if (strcasestr(text, "deallocate") != NULL)
        atomic_fetch_add(&pooler->deallocates, 1);
    if (type == 'C' && body[0] == 'S')
        atomic_fetch_add(&pooler->closes, 1);
}

static inline void text_pooler_from_client(struct text_pooler_client *c, char type,
                                           const char *body, size_t size)
{
    const char *name = body;
    char kept[32];

    text_pooler_count(c->pooler, type, body);
    if (c->pooler->is_plain) {
        text_pooler_send(c->server, type, body, size, NULL, "", 0);
        return;
    }
    if (type == 'P') {
        text_pooler_parse(c, body, size);
        return;
    }
    if (type == 'B')
        name += strlen(body) + 1;
    else if ((type == 'D' || type == 'C') && body[0] == 'S')
        name++;
    else {
        text_pooler_send(c->server, type, body, size, NULL, "", 0);
        return;
    }
    /* What a client closes is kept for others. */
    text_pooler_name_of(c, name, kept, sizeof(kept));
    const char *rest = name + strlen(name) + 1;
    text_pooler_send(c->server, type, body, (size_t)(name - body), type == 'C' ? "nothing" : kept,
                     rest, size - (size_t)(rest - body));
}

/* What the server refused is not kept; and the number of the process is the pooler's own. */
static inline void text_pooler_from_server(struct text_pooler_client *c, char type, char *body,
                                           size_t size)
{
    int left = 0;

    if (type == 'Z')
        atomic_fetch_add(&c->pooler->answers, 1);
    if (type == 'K' && !c->pooler->is_plain)
        body[0] ^= 0x40;
    for (int i = 0; i < c->kept_count && (type == 'E' || type == 'Z'); i++) {
        if (type == 'E' && c->kept[i].is_fresh) {
            free(c->kept[i].key);
            continue;
        }
        c->kept[i].is_fresh = false;
        c->kept[left++] = c->kept[i];
    }
    if (type == 'E' || type == 'Z')
        c->kept_count = left;
    text_pooler_send(c->client, type, body, size, NULL, "", 0);
}

/* Read once, and pass on what is complete; false when that side has ended. */
static inline bool text_pooler_carry(struct text_pooler_client *c, bool is_client)
{
    struct text_pooler_stream *s = is_client ? &c->from_client : &c->from_server;
    ssize_t count = recv(is_client ? c->client : c->server, s->data + s->size,
                         sizeof(s->data) - s->size, MSG_DONTWAIT);
    uint32_t size;

    if (count <= 0)
        return false;
    s->size += (size_t)count;
    for (;;) {
        size_t head = is_client && !c->is_started ? 0 : 1;
        if (s->size < head + 4)
            return true;
        memcpy(&size, s->data + head, 4);
        size = ntohl(size);
        if (head + size > sizeof(s->data))
            return false;
        if (s->size < head + size)
            return true;
        char *body = s->data + head + 4;
        if (is_client)
            text_pooler_from_client(c, head == 0 ? (char)0 : s->data[0], body, size - 4);
        else
            text_pooler_from_server(c, s->data[0], body, size - 4);
        c->is_started |= is_client;
        s->size -= head + size;
        memmove(s->data, s->data + head + size, s->size);
    }
}

static inline void text_pooler_drop(struct text_pooler *pooler, int i)
{
    struct text_pooler_client *c = pooler->clients[i];

    close(c->client);
    close(c->server);
    for (int k = 0; k < c->kept_count; k++)
        free(c->kept[k].key);
    free(c);
    pooler->clients[i] = pooler->clients[--pooler->count];
}

static inline void text_pooler_accept(struct text_pooler *pooler)
{
    int client = accept4(pooler->listener, NULL, NULL, SOCK_CLOEXEC);
    struct text_pooler_client *c = calloc(1, sizeof(*c));

    if (client < 0 || c == NULL || pooler->count == TEXT_POOLER_CLIENTS)
        abort();
    c->pooler = pooler;
    c->client = client;
    c->server = relay_connect(pooler->server_port);
    setsockopt(c->client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(c->server, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    pooler->clients[pooler->count++] = c;
}

static inline void *text_pooler_run(void *arg)
{
    struct text_pooler *pooler = arg;
    struct pollfd polls[2 + 2 * TEXT_POOLER_CLIENTS];

    for (;;) {
        int count = pooler->count;
        polls[0] = (struct pollfd){.fd = pooler->pipe[0], .events = POLLIN};
        polls[1] = (struct pollfd){.fd = pooler->listener, .events = POLLIN};
        for (int i = 0; i < count; i++) {
            polls[2 + 2 * i] = (struct pollfd){.fd = pooler->clients[i]->client, .events = POLLIN};
            polls[3 + 2 * i] = (struct pollfd){.fd = pooler->clients[i]->server, .events = POLLIN};
        }
        if (poll(polls, (nfds_t)(2 + 2 * count), -1) < 0)
            continue;
        if (polls[0].revents != 0)
            break;
        for (int i = count - 1; i >= 0; i--) {
            bool is_open = true;
            if (polls[2 + 2 * i].revents != 0)
                is_open = text_pooler_carry(pooler->clients[i], true);
            if (is_open && polls[3 + 2 * i].revents != 0)
                is_open = text_pooler_carry(pooler->clients[i], false);
            if (!is_open)
                text_pooler_drop(pooler, i);
        }
        if (polls[1].revents != 0)
            text_pooler_accept(pooler);
    }
    while (pooler->count > 0)
        text_pooler_drop(pooler, pooler->count - 1);
    return NULL;
}

/* Listen on a free port of 127.0.0.1. */
static inline bool text_pooler_start(struct text_pooler *pooler, int server_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    memset(pooler, 0, sizeof(*pooler));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pooler->server_port = server_port;
    pooler->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pooler->listener < 0 || bind(pooler->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(pooler->listener, TEXT_POOLER_CLIENTS) != 0 ||
        getsockname(pooler->listener, (struct sockaddr *)&address, &size) != 0 ||
        pipe(pooler->pipe) != 0)
        return false;
    pooler->port = ntohs(address.sin_port);
    return pthread_create(&pooler->thread, NULL, text_pooler_run, pooler) == 0;
}

static inline void text_pooler_stop(struct text_pooler *pooler)
{
    close(pooler->pipe[1]);
    pthread_join(pooler->thread, NULL);
    close(pooler->pipe[0]);
    close(pooler->listener);
}

#endif
