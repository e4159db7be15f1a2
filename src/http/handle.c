/* SPDX-License-Identifier: MIT */
/* What the pools lend: one libcurl handle with its one connection. */
#include "http/handle.h"

#include "http/leftover.h"
#include "http/transfer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
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
 * libcurl opens a socket. After something was sent that is its silent repeat of a request whose old
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
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
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
    curl_easy_setopt(easy, CURLOPT_NOPROXY, options->no_proxy != NULL ? options->no_proxy : "");
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
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->detail);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, handle);
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
    handle->timeout_ms = 0;
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
    handle->easy = curl_easy_init();
    handle->multi = curl_multi_init();
    if (handle->easy == NULL || handle->multi == NULL ||
        curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK) {
        close_handle(arg, handle);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "http: out of memory");
    }
    (void)curl_multi_setopt(handle->multi, MULTI_QUICK_EXIT, 1L);
    set_session(handle);
    *ret_connection = handle;
    return WEIR_OK;
}

/* A connection at rest has nothing to say: what can be read from it is its end. */
static bool look_at_handle(void *arg, void *connection)
{
    struct handle *handle = connection;
    struct pollfd look = {handle->socket, POLLIN | POLLRDHUP, 0};

    (void)arg;
    if (handle->socket == CURL_SOCKET_BAD)
        return true;
    return weir__http_now(handle->session) < handle->idle_until && poll(&look, 1, 0) == 0;
}

void weir__handle_look_again(struct handle *handle)
{
    handle->is_stale = !look_at_handle(handle->session, handle);
}

const weir_driver weir__handle_driver = {
    .connect = open_handle,
    .close = close_handle,
    .look = look_at_handle,
};
