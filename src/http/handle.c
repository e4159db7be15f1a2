/* SPDX-License-Identifier: MIT */
/* What the pools lease: one libcurl handle with its one connection. */
#include "http/handle.h"

#include "http/leftover.h"
#include "http/no_proxy.h"
#include "http/transfer.h"
#include "http/unread.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what the session decides for all ---------------------------------------------------- */

/* An answer that was found at the end of the connection stands. */
static void refuse_repeat(struct transfer *transfer)
{
    transfer->has_refused = true;
    if (transfer->stop == STOP_NONE)
        transfer->stop = STOP_RESEND;
}

/*
 * libcurl wants a socket. After something was sent that is its silent retry of a request whose old
 * connection was dead, which is for weir to decide.
 */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct handle *handle = arg;
    struct transfer *transfer = handle->transfer;

    (void)purpose;
    if (transfer->sends > 0) {
        refuse_repeat(transfer);
        return CURL_SOCKET_BAD;
    }
    curl_socket_t lent = weir__dial_socket(transfer->dial, address);
    if (lent != CURL_SOCKET_BAD)
        handle->lent = lent;
    return lent;
}

static int socket_is_connected(void *arg, curl_socket_t socket, curlsocktype purpose)
{
    (void)arg, (void)socket, (void)purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* libcurl is about to ask the resolver, which it does not for a name that it remembers. */
static int note_lookup(void *resolver, void *reserved, void *arg)
{
    struct handle *handle = arg;

    (void)resolver, (void)reserved;
    handle->transfer->dial->has_looked_up = true;
    return 0;
}

/* The connection stands, the request goes out next: once. */
static int before_request(void *arg, char *peer, char *local, int peer_port, int local_port)
{
    struct handle *handle = arg;
    struct transfer *transfer = handle->transfer;

    (void)peer, (void)local, (void)peer_port;
    if (transfer->sends == 0) {
        transfer->sends = 1;
        transfer->local_port = local_port;
        transfer->header_bytes = 0; /* what a proxy said is none of the server's */
        weir__response_clear(transfer->response);
        handle->has_written = false;
        if (transfer->has_body)
            weir__read_before_failing(handle);
        return CURL_PREREQFUNC_OK;
    }
    refuse_repeat(transfer);
    return CURL_PREREQFUNC_ABORT;
}

static int close_socket(void *arg, curl_socket_t socket)
{
    weir__read_leftover(arg, socket);
    return close(socket);
}

static void set_proxy(CURL *easy, const weir_http_options *options)
{
    if (options->proxy_from_environment)
        return;
    curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy != NULL ? options->proxy : "");
}

/* A handle is one origin's for all its life. */
void weir__handle_route(struct handle *handle, const char *origin)
{
    if (handle->is_routed)
        return;
    handle->is_routed = true;
    curl_easy_setopt(handle->easy, CURLOPT_NOPROXY,
                     weir__no_proxy_has(handle->session->no_proxy, origin) ? "*" : "");
}

static void set_session(struct handle *handle)
{
    const weir_http_options *options = &handle->session->options;
    CURL *easy = handle->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A name lookup that hangs is left behind instead of waited for; its thread ends by itself. This
     * is for libcurl before 8.20, where each lookup has a thread; see open_handle(). */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->detail);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, handle);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, socket_is_connected);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, note_lookup);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, handle);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, handle);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, weir__on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, weir__on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle);
    curl_easy_setopt(easy, CURLOPT_SHARE, handle->session->names);
    set_proxy(easy, options);
    if (options->user_agent != NULL && options->user_agent[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent);
    if (options->idle_timeout_ms == 0)
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    if (options->cert_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
    if (options->key_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key_file);
    weir__trust_apply(handle->session->trust, options, easy);
}

void weir__handle_renew(struct handle *handle)
{
    curl_easy_reset(handle->easy);
    set_session(handle);
    handle->is_marked = false;
    handle->is_routed = false;
    handle->timeout_ms = 0;
    handle->memory_s = NAMES_REMEMBERED_S;
}

void weir__handle_set_timeouts(struct handle *handle, int timeout_ms, int connect_ms)
{
    connect_ms = connect_ms < timeout_ms ? connect_ms : timeout_ms;
    curl_easy_setopt(handle->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(handle->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
}

void weir__handle_set_memory(struct handle *handle, int seconds)
{
    if (handle->memory_s == seconds)
        return;
    handle->memory_s = seconds;
    curl_easy_setopt(handle->easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)seconds);
}

/* ---- the driver -------------------------------------------------------------------------- */

/*
 * CURLMOPT_QUICK_EXIT: since 8.20 lookups run on threads of the multi handle, and closing it waits for
 * those that hang, whatever CURLOPT_QUICK_EXIT says. By number, because what runs may be newer than the
 * headers that weir was built with; an older libcurl refuses it and does not need it.
 */
#define MULTI_QUICK_EXIT ((CURLMoption)21)

static void close_handle(void *arg, void *connection)
{
    struct handle *handle = connection;

    (void)arg;
    curl_easy_cleanup(handle->easy);
    curl_multi_cleanup(handle->multi);
    free(handle);
}

/* libcurl does not say what it lacked. */
static weir_status no_handle(weir_error *reterr)
{
    int error = weir__lacking();

    if (error == 0)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "http: out of memory");
    weir_error_set(reterr, WEIR_SYSTEM, "http: no handle for a connection: %s", strerror(error));
    if (reterr != NULL)
        reterr->native = error;
    return WEIR_SYSTEM;
}

/* Makes the handle; its connection is opened by the first attempt. */
static weir_status open_handle(void *arg, weir_time deadline, void **ret_connection,
                               weir_error *reterr)
{
    struct handle *handle = calloc(1, sizeof *handle);

    (void)deadline;
    if (handle == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "http: out of memory");
    handle->session = arg;
    handle->socket = CURL_SOCKET_BAD;
    handle->memory_s = NAMES_REMEMBERED_S;
    handle->easy = curl_easy_init();
    handle->multi = curl_multi_init();
    /* One that has no descriptors to be woken by could not be cancelled. */
    if (handle->easy == NULL || handle->multi == NULL ||
        curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK ||
        curl_multi_wakeup(handle->multi) != CURLM_OK) {
        weir_status status = no_handle(reterr);
        close_handle(arg, handle);
        return status;
    }
    (void)curl_multi_setopt(handle->multi, MULTI_QUICK_EXIT, 1L);
    set_session(handle);
    *ret_connection = handle;
    return WEIR_OK;
}

/* A connection at rest has nothing to say: what can be read from it is its end. */
static bool handle_is_alive(void *arg, void *connection)
{
    struct handle *handle = connection;
    struct pollfd look = {handle->socket, POLLIN | POLLRDHUP, 0};

    (void)arg;
    if (handle->socket == CURL_SOCKET_BAD)
        return true;
    return weir__http_now(handle->session) < handle->idle_until && poll(&look, 1, 0) == 0;
}

void weir__handle_check_again(struct handle *handle)
{
    handle->is_stale = !handle_is_alive(handle->session, handle);
}

const weir_driver weir__handle_driver = {
    .connect = open_handle,
    .close = close_handle,
    .is_alive = handle_is_alive,
};
