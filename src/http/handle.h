/* SPDX-License-Identifier: MIT */
/* What the pools lease: one libcurl handle with its one connection. */
#ifndef WEIR_HTTP_HANDLE_H
#define WEIR_HTTP_HANDLE_H

#include "http/session.h"

#include <curl/curl.h>

struct transfer;

/*
 * An easy handle in a multi handle of its own, which holds at most one connection. Its holder owns
 * it; libcurl allows that to be another thread each time. The options that are the session's are
 * set once; a borrower that sets others than a plain GET marks it, and the next one begins anew.
 */
struct handle {
    weir_http *session;
    CURLM *multi;
    CURL *easy;
    curl_socket_t socket; /* of the connection at rest; CURL_SOCKET_BAD: none */
    weir_time idle_until; /* of that connection */
    curl_socket_t
        lent; /* the one that libcurl was lent last; meaningful while its connection stands */
    bool has_written; /* bytes of the request under way have left, as the filter of unread.h saw */
    bool is_marked;
    bool is_stale;             /* its connection is not to be used again */
    bool is_http_1_0;          /* nor for a body in chunks: what came over it last was HTTP/1.0 */
    int timeout_ms;            /* as it is set; 0: not yet */
    bool is_routed;            /* whether it goes by the proxy is set */
    int memory_s;              /* how old a remembered name may be, as it is set */
    struct transfer *transfer; /* the attempt under way; what libcurl's callbacks work for */
    char detail[CURL_ERROR_SIZE];
};

/* The driver of every origin's pool; its argument is the session. */
extern const weir_driver weir__handle_driver;

/* How long all of an attempt may take, and its connection, which is no longer than that. */
void weir__handle_set_timeouts(struct handle *handle, int timeout_ms, int connect_ms);

/* How old in seconds a name that libcurl remembers may be; 0: it is looked up anew. */
void weir__handle_set_memory(struct handle *handle, int seconds);

/* Go to an origin by the proxy, if there is one, or past it. */
void weir__handle_route(struct handle *handle, const char *origin);

/* Forget what a borrower has set: back to the session's options. */
void weir__handle_renew(struct handle *handle);

/* Look at the connection once more, when the holder had to wait since the pool did. */
void weir__handle_check_again(struct handle *handle);

#endif
