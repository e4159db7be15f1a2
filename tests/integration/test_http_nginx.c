/* SPDX-License-Identifier: MIT */
/* HTTP sessions against nginx: connections as the server counts them, and its reload and restart. */
#include "check.h"

#include <weir/http.h>

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BODY_SIZE 1024
#define MOST_THREADS 8

static weir_error error; /* of the last call of the main thread that failed */

static const char *env(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        printf("Bail out! %s is not set: run this through tests/with_nginx.sh\n", name);
        exit(1);
    }
    return value;
}

/* ---- the server, seen from outside --------------------------------------------------------- */

static size_t take(char *data, size_t one, size_t size, void *arg)
{
    char *page = arg;
    size_t length = strlen(page);

    (void)one;
    if (length + size > 511)
        return 0;
    memcpy(page + length, data, size);
    page[length + size] = '\0';
    return size;
}

/*
 * How many connections nginx has accepted, less those of these questions themselves. Bare libcurl, so
 * that what is tested does not measure itself. -1: no answer.
 */
static long count_accepts(void)
{
    static long own;
    char page[512] = "";
    long opened = 0;
    long accepts = -1;
    CURL *observer = curl_easy_init();

    curl_easy_setopt(observer, CURLOPT_URL, env("WEIR_TEST_NGINX_STATUS"));
    curl_easy_setopt(observer, CURLOPT_PROXY, "");
    curl_easy_setopt(observer, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(observer, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(observer, CURLOPT_WRITEDATA, page);
    CURLcode code = curl_easy_perform(observer);
    curl_easy_getinfo(observer, CURLINFO_NUM_CONNECTS, &opened);
    curl_easy_cleanup(observer);
    own += opened;
    const char *table = code == CURLE_OK ? strstr(page, "requests\n") : NULL;
    if (table == NULL || sscanf(table, "requests %ld", &accepts) != 1)
        return -1;
    return accepts - own;
}

static int control(const char *verb)
{
    char command[512];

    snprintf(command, sizeof(command), "%s %s", env("WEIR_TEST_NGINX_CONTROL"), verb);
    return system(command);
}

/* ---- clients ------------------------------------------------------------------------------- */

static weir_http *session;
static char url[128];

static void open_session(const char *base)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.ca_file = env("WEIR_TEST_NGINX_CA");
    snprintf(url, sizeof(url), "%s/", base);
    if (weir_http_open(&options, &session, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
}

static void close_session(void)
{
    check_int(weir_http_dispose(session, weir_deadline_in(2000), &error), WEIR_OK);
    weir_http_close(session);
}

static bool is_right(const weir_http_response *response)
{
    static const char line[] = "0123456789abcdef";
    size_t size = 0;
    const char *body = weir_http_response_body(response, &size);

    if (weir_http_response_status(response) != 200 || size != BODY_SIZE)
        return false;
    for (size_t i = 0; i < size; i += sizeof line - 1)
        if (memcmp(body + i, line, sizeof line - 1) != 0)
            return false;
    return true;
}

/* One thread's GETs. */
struct client {
    pthread_t id;
    int failed; /* while the server was up all the time */
    int wrong;  /* bodies */
    int right;
    char first[sizeof error.text]; /* what the first failure said */
};

static struct client clients[MOST_THREADS];

static void get_one(struct client *client, atomic_uint *down)
{
    weir_http_response *response = NULL;
    weir_error failure = {0};
    unsigned before = atomic_load(down);

    if (weir_http_get(session, url, &response, &failure) == WEIR_OK) {
        client->right += is_right(response);
        client->wrong += !is_right(response);
        weir_http_response_close(response);
        return;
    }
    /* What overlaps with a time when the server was down may fail. */
    if (before % 2 == 1 || atomic_load(down) != before)
        return;
    if (client->failed++ == 0)
        memcpy(client->first, failure.text, sizeof client->first);
}

static void start(void *(*body)(void *), int threads)
{
    memset(clients, 0, sizeof clients);
    for (int i = 0; i < threads; i++)
        check_int(pthread_create(&clients[i].id, NULL, body, &clients[i]), 0);
}

/* Wait for the threads' ends, and hold what they saw to what a user may expect; the right GETs. */
static int finish(int threads)
{
    int right = 0;

    for (int i = 0; i < threads; i++) {
        pthread_join(clients[i].id, NULL);
        check_int(clients[i].wrong, 0);
        check_int(clients[i].failed, 0);
        if (clients[i].failed > 0)
            printf("# the first: %s\n", clients[i].first);
        right += clients[i].right;
    }
    return right;
}

static const weir_http_origin *origin_of_session(void)
{
    static weir_http_origin origin;

    check_int(weir_http_get_origins(session, &origin, 1), 1);
    return &origin;
}

/* ---- connections --------------------------------------------------------------------------- */

#define GETS 2000

static void *get_many(void *arg)
{
    static atomic_uint never_down;

    for (int i = 0; i < GETS; i++)
        get_one(arg, &never_down);
    return NULL;
}

static void check_few_connections(const char *base)
{
    open_session(base);
    long before = count_accepts();
    check(before >= 0);
    start(get_many, 8);
    check_int(finish(8), 8 * GETS);
    long opened = count_accepts() - before;
    check(opened >= 1);
    check(opened <= 20);
    const weir_http_origin *origin = origin_of_session();
    check_int(origin->opened, opened);
    check_int(origin->reused, 8 * GETS - opened);
    check_int(origin->requests, 8 * GETS);
    check_int(origin->attempts, 8 * GETS);
    check_int(origin->responses[2], 8 * GETS);
    check_int(origin->in_flight, 0);
    close_session();
}

static void eight_threads_share_at_most_twenty_connections_over_http(void)
{
    check_few_connections(env("WEIR_TEST_NGINX_HTTP"));
}

static void eight_threads_share_at_most_twenty_connections_over_https(void)
{
    check_few_connections(env("WEIR_TEST_NGINX_HTTPS"));
}

/* ---- the server goes and comes back -------------------------------------------------------- */

static atomic_uint outages; /* odd while the server is down */
static atomic_bool is_over;

static pthread_barrier_t warm;

/* The last one is sent when all is over, and so must succeed. */
static void *get_until_over(void *arg)
{
    get_one(arg, &outages);
    pthread_barrier_wait(&warm);
    while (!atomic_load(&is_over))
        get_one(arg, &outages);
    get_one(arg, &outages);
    return NULL;
}

static void start_load(const char *base)
{
    open_session(base);
    atomic_store(&is_over, false);
    pthread_barrier_init(&warm, NULL, 5);
    start(get_until_over, 4);
    pthread_barrier_wait(&warm);
}

static void check_load(void)
{
    atomic_store(&is_over, true);
    check(finish(4) >= 8);
    pthread_barrier_destroy(&warm);
    /* What the first GETs used is gone. */
    check(origin_of_session()->opened >= 2);
    check_int(origin_of_session()->in_flight, 0);
    close_session();
}

static void check_reload(const char *base)
{
    start_load(base);
    for (int i = 0; i < 3; i++)
        check_int(control("reload"), 0);
    check_load();
}

static void reloads_under_load_cost_no_get_over_http(void)
{
    check_reload(env("WEIR_TEST_NGINX_HTTP"));
}

static void reloads_under_load_cost_no_get_over_https(void)
{
    check_reload(env("WEIR_TEST_NGINX_HTTPS"));
}

static void check_restart(const char *base)
{
    start_load(base);
    atomic_fetch_add(&outages, 1);
    check_int(control("stop"), 0);
    check_int(control("start"), 0);
    atomic_fetch_add(&outages, 1);
    check_load();
}

static void a_restart_costs_no_get_but_those_of_the_time_it_takes_over_http(void)
{
    check_restart(env("WEIR_TEST_NGINX_HTTP"));
}

static void a_restart_costs_no_get_but_those_of_the_time_it_takes_over_https(void)
{
    check_restart(env("WEIR_TEST_NGINX_HTTPS"));
}

int main(void)
{
    run(eight_threads_share_at_most_twenty_connections_over_http);
    run(eight_threads_share_at_most_twenty_connections_over_https);
    run(reloads_under_load_cost_no_get_over_http);
    run(reloads_under_load_cost_no_get_over_https);
    run(a_restart_costs_no_get_but_those_of_the_time_it_takes_over_http);
    run(a_restart_costs_no_get_but_those_of_the_time_it_takes_over_https);
    return check_done();
}
