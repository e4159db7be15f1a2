/* SPDX-License-Identifier: MIT */
/* The ways in which bench_http.c makes one request. */
#ifndef WEIR_BENCH_HTTP_WAYS_H
#define WEIR_BENCH_HTTP_WAYS_H

#include "bench.h"

#include <weir/http.h>

#include <curl/curl.h>
#include <string.h>

#define MOST_THREADS 8
#define BODY_SIZE 1024
#define TEXT_SIZE 65536 /* of /gzip, once it is decoded */
#define USER_AGENT "weir/" WEIR_VERSION

/* ---- what is asked, and by whom ------------------------------------------------------------ */

static char url[128];
static const char *ca_file;
static size_t body_size = BODY_SIZE; /* what is to come */

/* One thread's handles, made when first used and kept for all rounds. */
struct client {
    CURL *once; /* its options are set once */
    CURL *again;
    weir_http_request *request;
    char body[TEXT_SIZE];
    size_t size;
    char *copy; /* body and head of the response, for those who keep them */
    size_t copied;
    char pad[128];
};

static struct client clients[MOST_THREADS];
static weir_http *session;

static size_t take_body(char *data, size_t one, size_t size, void *arg)
{
    struct client *client = arg;

    (void)one;
    if (client->size + size > sizeof client->body)
        return 0;
    memcpy(client->body + client->size, data, size);
    client->size += size;
    return size;
}

static size_t take_copy(char *data, size_t one, size_t size, void *arg)
{
    struct client *client = arg;
    char *larger = realloc(client->copy, client->copied + size);

    (void)one;
    bench_must(larger != NULL, "realloc");
    client->copy = larger;
    memcpy(client->copy + client->copied, data, size);
    client->copied += size;
    return size;
}

/* What weir sets too, as far as it costs something. */
static void set_options(CURL *easy, struct client *client)
{
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, client);
}

static CURL *new_handle(struct client *client)
{
    CURL *easy = curl_easy_init();

    bench_must(easy != NULL, "curl_easy_init");
    set_options(easy, client);
    return easy;
}

static void must_perform(CURL *easy)
{
    long status = 0;
    CURLcode code = curl_easy_perform(easy);

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status == 200)
        return;
    fprintf(stderr, "bench_http: %s: %s, status %ld\n", url, curl_easy_strerror(code), status);
    exit(1);
}

static void perform(CURL *easy, struct client *client)
{
    client->size = 0;
    must_perform(easy);
    bench_must(client->size == body_size, "reading the body");
}

/* ---- one request, each way ----------------------------------------------------------------- */

static void ask_once(struct client *client)
{
    if (client->once == NULL)
        client->once = new_handle(client);
    perform(client->once, client);
}

static void ask_again(struct client *client)
{
    if (client->again == NULL)
        client->again = new_handle(client);
    curl_easy_reset(client->again);
    set_options(client->again, client);
    curl_easy_setopt(client->again, CURLOPT_WRITEFUNCTION, take_copy);
    curl_easy_setopt(client->again, CURLOPT_HEADERFUNCTION, take_copy);
    curl_easy_setopt(client->again, CURLOPT_HEADERDATA, client);
    client->copied = 0;
    must_perform(client->again);
    bench_must(client->copied > BODY_SIZE, "reading head and body");
    free(client->copy);
    client->copy = NULL;
}

/* A stack of handles behind one lock, as many as there are threads. */
static struct {
    pthread_mutex_t lock;
    CURL *handles[MOST_THREADS];
    int count;
} stack = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void ask_stack(struct client *client)
{
    CURL *easy = NULL;

    pthread_mutex_lock(&stack.lock);
    if (stack.count > 0)
        easy = stack.handles[--stack.count];
    pthread_mutex_unlock(&stack.lock);
    if (easy == NULL)
        easy = new_handle(client);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, client);
    perform(easy, client);
    pthread_mutex_lock(&stack.lock);
    stack.handles[stack.count++] = easy;
    pthread_mutex_unlock(&stack.lock);
}

static void ask_new(struct client *client)
{
    CURL *easy = new_handle(client);

    perform(easy, client);
    curl_easy_cleanup(easy);
}

/* One handle that opens a connection for each request. libcurl keeps the certificates that it read
 * for the handle, if there is no directory of them. */
static void ask_fresh(struct client *client)
{
    if (client->once == NULL) {
        client->once = new_handle(client);
        curl_easy_setopt(client->once, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(client->once, CURLOPT_FORBID_REUSE, 1L);
    }
    perform(client->once, client);
}

static void take_response(weir_status status, weir_http_response *response, const weir_error *error)
{
    size_t size = 0;

    if (status != WEIR_OK) {
        fprintf(stderr, "bench_http: %s\n", error->text);
        exit(1);
    }
    weir_http_response_body(response, &size);
    bench_must(weir_http_response_status(response) == 200 && size == body_size, "a response");
    weir_http_response_close(response);
}

static void ask_send(struct client *client)
{
    weir_http_response *response = NULL;
    weir_error error = {0};

    if (client->request == NULL)
        bench_must(weir_http_request_open("GET", url, &client->request, &error) == WEIR_OK,
                   "weir_http_request_open");
    weir_status status =
        weir_http_send(session, client->request, WEIR_DEADLINE_DEFAULT, &response, &error);
    take_response(status, response, &error);
}

static void ask_get(struct client *client)
{
    weir_http_response *response = NULL;
    weir_error error = {0};

    (void)client;
    weir_status status = weir_http_get(session, url, &response, &error);
    take_response(status, response, &error);
}

static void open_session(int idle_timeout_ms)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_error error;

    options.ca_file = ca_file;
    options.idle_timeout_ms = idle_timeout_ms;
    if (weir_http_open(&options, &session, &error) == WEIR_OK)
        return;
    fprintf(stderr, "bench_http: %s\n", error.text);
    exit(1);
}

static void close_all(void)
{
    for (int i = 0; i < MOST_THREADS; i++) {
        curl_easy_cleanup(clients[i].once);
        curl_easy_cleanup(clients[i].again);
        weir_http_request_close(clients[i].request);
        clients[i] = (struct client){0};
    }
    while (stack.count > 0)
        curl_easy_cleanup(stack.handles[--stack.count]);
    weir_http_close(session);
    session = NULL;
}

#endif
