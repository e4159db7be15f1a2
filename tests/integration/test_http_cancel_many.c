/* SPDX-License-Identifier: MIT */
/* A hundred thousand calls cancelled at any moment, many of them while they connect: no slot is lost. */
#include "http_deaf.h"
#include "http_steps.h"
#include "unit/chance.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>

#define CANCELS (HAS_SANITIZER ? 3000 : 100000)
#define SLOTS 3
#define GIVE_UP (240 * WEIR_SECOND) /* where no more are cancelled because all is stuck */

/* Who sends where: to a server that answers, to one that never accepts, and to one whose name takes longer
 * to look up than anybody waits. */
enum { PLAIN_CLIENTS = 3, DEAF_CLIENT = PLAIN_CLIENTS, SLOW_CLIENT, CLIENTS };

#define SLOW_MS 50
#define PATIENCE_MS 20 /* of who asks for that name, so that it is never known */

static int (*next_getaddrinfo)(const char *, const char *, const struct addrinfo *,
                               struct addrinfo **);
static atomic_int slow_names; /* being looked up */

/* libcurl's resolver threads call this one, because the program exports it. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    if (name != NULL && strcmp(name, "slow.test") == 0) {
        atomic_fetch_add(&slow_names, 1);
        nap(SLOW_MS);
        int result = next_getaddrinfo("127.0.0.1", service, hints, ret_list);
        atomic_fetch_sub(&slow_names, 1);
        return result;
    }
    return next_getaddrinfo(name, service, hints, ret_list);
}

/* Each answer takes 0 to 2 ms, or never comes, or the connection goes with it or instead. */
static bool answer_any_time(struct peer_exchange *x, void *arg)
{
    uint64_t random = (uint64_t)x->connection * 1000 + (uint64_t)x->number;

    (void)arg;
    random = draw(&random);
    if (strcmp(x->target, "/hold") == 0)
        return peer_hold(x) && peer_reply(x, 200, "", "hello", 5);
    if (random % 4 == 0 && !peer_pause(x, (int)(random / 4 % 3)))
        return false;
    x->end = random / 16 % 2 == 0 ? PEER_FIN : PEER_RST;
    if (random / 32 % 16 == 0)
        return false;
    if (random / 32 % 16 == 1)
        return peer_hang(x);
    return peer_reply(x, 200, "", "hello", 5) && random / 32 % 16 > 3;
}

/* ---- those who send ---------------------------------------------------------------------- */

static struct {
    weir_http *session;
    weir_http_request *requests[CLIENTS];
    weir_time give_up_at;
    atomic_int counts[WEIR_SYSTEM + 1];
    atomic_int connecting[CLIENTS]; /* cancelled in an attempt of which nothing was sent */
    atomic_int ended;
    atomic_bool is_over;
} scene;

/* One in four has little time, the others end by themselves or are cancelled. */
static weir_time draw_deadline(int client, uint64_t bits)
{
    weir_time now = weir_now();

    if (client == SLOW_CLIENT)
        return now + (weir_time)(bits / 4 % (PATIENCE_MS * WEIR_MS));
    if (bits % 4 == 0)
        return now + (weir_time)(bits / 4 % (3 * WEIR_MS));
    return now + 20 * WEIR_SECOND;
}

static void *send_until_enough(void *arg)
{
    int client = *(const int *)arg;
    weir_http_request *request = scene.requests[client];
    uint64_t random = (uint64_t)client;

    while (atomic_load(&scene.counts[WEIR_CANCELLED]) < CANCELS && weir_now() < scene.give_up_at) {
        weir_http_response *response = NULL;
        weir_time deadline = draw_deadline(client, draw(&random));
        weir_status status = weir_http_send(scene.session, request, deadline, &response, NULL);
        const weir_http_report *report = weir_http_request_report(request);

        weir_http_response_close(response);
        atomic_fetch_add(&scene.counts[status], 1);
        if (status == WEIR_CANCELLED && report->attempts > 0 && !report->was_sent)
            atomic_fetch_add(&scene.connecting[client], 1);
        atomic_fetch_add(&scene.ended, 1);
    }
    return NULL;
}

/*
 * Cancel anybody at random moments, until all have ended. No more than three times for every four that
 * have, so that some end by themselves also where all is slow; unless none ended for a while, since those
 * at the deaf server and those that are never answered end in no other way.
 */
static void *cancel_at_random(void *arg)
{
    uint64_t random = 77;
    int cancels = 0;
    int ended = 0;
    int rounds_since = 0;

    for (int i = 1; !atomic_load(&scene.is_over); i++) {
        uint64_t bits = draw(&random);
        int now_ended = atomic_load(&scene.ended);

        rounds_since = now_ended != ended ? 0 : rounds_since + 1;
        ended = now_ended;
        if (cancels <= ended / 4 * 3 || rounds_since > 20) {
            weir_http_request_cancel(scene.requests[bits % CLIENTS]);
            cancels++;
        }
        if (i % 4096 == 0) /* or its record would be full */
            peer_forget(arg);
        struct timespec pause = {.tv_nsec = (long)(bits / 8 % 200000)};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void send_and_cancel(struct peer *peer, const struct deaf *deaf)
{
    int numbers[CLIENTS];
    pthread_t clients[CLIENTS];
    pthread_t canceller;
    char url[PEER_URL_SIZE];

    for (int i = 0; i < CLIENTS; i++) {
        peer_url_at(peer, i == SLOW_CLIENT ? "slow.test" : "127.0.0.1", "/", url);
        scene.requests[i] = new_request("GET", i == DEAF_CLIENT ? deaf->url : url);
        numbers[i] = i;
    }
    for (int i = 0; i < CLIENTS; i++)
        check_int(pthread_create(&clients[i], NULL, send_until_enough, &numbers[i]), 0);
    check_int(pthread_create(&canceller, NULL, cancel_at_random, peer), 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&scene.is_over, true);
    pthread_join(canceller, NULL);
    for (int i = 0; i < CLIENTS; i++)
        weir_http_request_close(scene.requests[i]);
}

/* ---- what came of it --------------------------------------------------------------------- */

static void check_counts(void)
{
    for (int i = 0; i <= WEIR_SYSTEM; i++) {
        int count = atomic_load(&scene.counts[i]);
        if (count > 0)
            printf("# %s: %d\n", weir_status_name((weir_status)i), count);
        if (i != WEIR_OK && i != WEIR_TIMEOUT && i != WEIR_CANCELLED && i != WEIR_DISCONNECTED)
            check_int(count, 0);
    }
    check(atomic_load(&scene.counts[WEIR_OK]) > 0);
    check(atomic_load(&scene.counts[WEIR_TIMEOUT]) > 0);
    check(atomic_load(&scene.counts[WEIR_CANCELLED]) >= CANCELS);
    printf("# cancelled while connecting: %d, while the name was looked up: %d\n",
           atomic_load(&scene.connecting[DEAF_CLIENT]),
           atomic_load(&scene.connecting[SLOW_CLIENT]));
    check(atomic_load(&scene.connecting[DEAF_CLIENT]) >= CANCELS / 100);
    check(atomic_load(&scene.connecting[SLOW_CLIENT]) >= CANCELS / 100);
}

/* Every slot of the origin, and every place of max_total, is held at once. */
static void check_every_slot_is_there(struct peer *peer)
{
    struct call last[SLOTS];
    char url[PEER_URL_SIZE];

    peer_url(peer, "/hold", url);
    for (int i = 0; i < SLOTS; i++)
        call_start(&last[i], scene.session, "GET", url, -1);
    check(peer_wait(peer, PEER_HELD, SLOTS));
    peer_let_go(peer);
    for (int i = 0; i < SLOTS; i++)
        check_int(call_join(&last[i]).http, 200);
}

/* Pitfall 16 */
static void no_slot_is_lost_whenever_calls_are_cancelled_or_out_of_time(void)
{
    struct peer *peer = start_peer(answer_any_time, NULL);
    weir_http_options options = quick_options();
    struct deaf deaf;

    options.pool_maxsize = SLOTS;
    options.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    options.max_total = SLOTS;
    options.connect_timeout_ms = 20000;
    options.try_timeout_ms = 20000;
    deaf_open(&deaf);
    scene.session = open_session(&options);
    scene.give_up_at = weir_now() + GIVE_UP;
    send_and_cancel(peer, &deaf);
    check_at_rest(scene.session);
    check_counts();
    check_every_slot_is_there(peer);
    close_session(scene.session);
    check(peer_wait(peer, PEER_OPEN, 0));
    peer_stop(peer);
    deaf_close(&deaf);
    while (atomic_load(&slow_names) > 0)
        nap(1);
}

int main(void)
{
    *(void **)&next_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    run(no_slot_is_lost_whenever_calls_are_cancelled_or_out_of_time);
    return check_done();
}
