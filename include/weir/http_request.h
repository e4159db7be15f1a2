/* SPDX-License-Identifier: MIT */
/* A request to an HTTP server, and the response to it; weir_http_send() in weir/http.h sends one. */
#ifndef WEIR_API_HTTP_REQUEST_H
#define WEIR_API_HTTP_REQUEST_H

#include <weir/base.h>
#include <weir/retry.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_http_request weir_http_request;
typedef struct weir_http_response weir_http_response;

/* ---- requests ---------------------------------------------------------------------------- */

/*
 * Make a request: a method and an absolute http or https URL, to which path segments and query pairs
 * can be added.
 *
 * The functions below add to it. Each returns its own failure, and the request also keeps the first one:
 * weir_http_send() then returns that without sending anything, so a chain of these functions needs no checks in
 * between. Texts are copied. Data with a length may contain any bytes, UTF-8 or not; text without a length is
 * NUL-terminated.
 *
 * A method, a header's name or value, or a URL with control characters (above all CR and LF) is refused. So is
 * a URL with a scheme other than http and https, with a user or password (use weir_http_request_basic_auth()),
 * or without a host. A fragment is dropped. A non-ASCII host must be UTF-8. It is converted to its xn-- form in
 * lower case (UTS #46, non-transitional, as in browsers), and only that form is sent, compared and reported. A
 * host that has no such form is refused.
 *
 * Errors:  WEIR_INVALID with the position of the fault, never with the value of a header or query;
 *          WEIR_LIMIT for a URL above 64 KiB, more than 128 header fields or 64 KiB of them;
 *          WEIR_NO_MEMORY.
 * Threads: a request belongs to one thread at a time, except for weir_http_request_cancel().
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_http_request_open(const char *method, const char *url,
                                                            weir_http_request **ret_request,
                                                            weir_error *reterr);

/* Free it. Not while it is being sent. NULL is fine. */
WEIR_API void weir_http_request_close(weir_http_request *request);

/* Return the first failure of a function that added to the request, or NULL. Valid until it is closed. */
WEIR_API const weir_error *weir_http_request_error(const weir_http_request *request);

/*
 * Add one segment to the path: a slash and the text, percent-encoded so that it stays one segment
 * whatever it contains (`a/b?c` becomes `/a%2Fb%3Fc`). "." , ".." and the empty text are refused:
 * they would lead elsewhere.
 */
WEIR_API weir_status weir_http_request_segment(weir_http_request *request, const char *segment);

/* Add `name=value` to the query, both percent-encoded (a space becomes %20). */
WEIR_API weir_status weir_http_request_query(weir_http_request *request, const char *name,
                                             const char *value);

/* Add a header field. Several fields with the same name are sent in order. Host, Content-Length,
 * Transfer-Encoding, Connection, Expect, Upgrade, TE and Trailer are refused, because weir sets them. */
WEIR_API weir_status weir_http_request_header(weir_http_request *request, const char *name,
                                              const char *value);

/*
 * Add a header field that holds a secret. When a redirect leads to an origin other than the request's own,
 * the field is left out there and in every later attempt of the call. Authorization, Cookie,
 * Proxy-Authorization, X-API-Key, xc-token and xc-auth are secret, whichever function adds them.
 */
WEIR_API weir_status weir_http_request_secret(weir_http_request *request, const char *name,
                                              const char *value);

/* Add an Authorization field, `Bearer <token>` or Basic, which is secret. The user must not contain a
 * colon. */
WEIR_API weir_status weir_http_request_bearer(weir_http_request *request, const char *token);
WEIR_API weir_status weir_http_request_basic_auth(weir_http_request *request, const char *user,
                                                  const char *password);

/*
 * Add an Idempotency-Key, by which the server recognises a retried request, so that a POST or PATCH may be
 * retried. NULL makes a random key (128 bits), which stays the same for all attempts of this request.
 * weir_http_request_header() with that name does the same.
 */
WEIR_API weir_status weir_http_request_idempotency_key(weir_http_request *request, const char *key);

/* Set the body, which is copied, and its Content-Type (NULL: none is sent). It replaces an earlier body. */
WEIR_API weir_status weir_http_request_body(weir_http_request *request, const void *data,
                                            size_t size, const char *content_type);

/*
 * A reader: a body that is read while it is sent.
 *
 * read():   put up to `size` bytes into `buffer` and say how many; 0 is the end.
 * rewind(): go back to the beginning, for a retry, for a redirect, or when the request is sent again. NULL:
 *           the body cannot be sent twice. Once some of it was read, nothing is retried, and sending the
 *           request again fails with WEIR_INVALID until it has a new reader.
 * size:     the size of the whole body, or -1 if it is not known. A body of unknown size is sent in chunks,
 *           which HTTP/1.0 does not have (RFC 9112, 6.1): for an origin that answered in HTTP/1.0, the call
 *           fails with WEIR_UNSUPPORTED before any of the body is read. weir forgets this after a minute, at
 *           the origin's next response in HTTP/1.1, and at weir_http_evict_all(). A reader that returns more
 *           or fewer bytes than `size` fails the call with WEIR_INVALID.
 *
 * If a function returns anything but WEIR_OK, the call ends with that status. Both are called on the thread
 * that sends.
 */
typedef struct weir_http_reader {
    weir_status (*read)(void *arg, char *buffer, size_t size, size_t *ret_size, weir_error *reterr);
    weir_status (*rewind)(void *arg, weir_error *reterr);
    void *arg;
    int64_t size;
} weir_http_reader;

WEIR_API weir_status weir_http_request_reader(weir_http_request *request,
                                              const weir_http_reader *reader,
                                              const char *content_type);

/*
 * Pass the body of a response below 400 to `sink` piece by piece instead of keeping it. An error's body is
 * kept in the response as always, and so is a redirect's body if redirects are followed. Once `sink` was
 * called, nothing is retried, whatever the status, because what it received cannot be taken back. If it
 * returns anything but WEIR_OK, the call ends with that status. It is called on the thread that sends.
 */
typedef weir_status weir_http_sink(void *arg, const char *data, size_t size, weir_error *reterr);
WEIR_API weir_status weir_http_request_sink(weir_http_request *request, weir_http_sink *sink,
                                            void *arg);

/* Override session options for this request: the retries, the time limit of an attempt (milliseconds), the
 * limit of the body (bytes), and whether redirects are followed. The ranges are those of the session. */
WEIR_API weir_status weir_http_request_retry(weir_http_request *request,
                                             const weir_retry_options *retry);
WEIR_API weir_status weir_http_request_try_timeout(weir_http_request *request, int timeout_ms);
WEIR_API weir_status weir_http_request_max_body(weir_http_request *request, int64_t bytes);
WEIR_API weir_status weir_http_request_follow_redirects(weir_http_request *request, bool follow);

/* Return the URL as it will be sent, including its query. Valid until the next call on the request. */
WEIR_API const char *weir_http_request_url(weir_http_request *request);

/*
 * Cancel the request's call in flight, or else its next one: it ends with WEIR_CANCELLED. A call with
 * an attempt in flight, at a rate limiter or between attempts ends at once; a call in the queue for a
 * connection ends when its turn comes, at the latest. A call that cannot begin fails with its own error
 * instead. Later calls are not affected.
 * Threads: any, while the request is not being closed.
 */
WEIR_API void weir_http_request_cancel(weir_http_request *request);

/* ---- responses --------------------------------------------------------------------------- */

/* Return the status: 200 and so on. Threads, here and below: any, until the response is closed. */
WEIR_API int weir_http_response_status(const weir_http_response *response);

/* Return the value of the first header field with this name, ignoring case, or NULL. This value, and all
 * those below, are valid until weir_http_response_close(). */
WEIR_API const char *weir_http_response_header(const weir_http_response *response,
                                               const char *name);

/* Return the header fields in the order in which they came; false beyond the last. Trailers are left out. */
WEIR_API bool weir_http_response_header_at(const weir_http_response *response, size_t index,
                                           const char **ret_name, const char **ret_value);

/* Return the decoded body and its size; it is followed by a NUL. If there is no body, it is empty, not NULL. */
WEIR_API const char *weir_http_response_body(const weir_http_response *response, size_t *ret_size);

/* Whether the body of a response of 300 and above is incomplete: it exceeded its limit, was cut off, did not
 * end in time, or could not be decoded. The status and its Retry-After or Location are valid all the same. A
 * response with a status below 300 always has its whole body. */
WEIR_API bool weir_http_response_is_truncated(const weir_http_response *response);

/* Return the URL that the response came from, after redirects, including its query. */
WEIR_API const char *weir_http_response_url(const weir_http_response *response);

/* Free it. NULL is fine. */
WEIR_API void weir_http_response_close(weir_http_response *response);

#ifdef __cplusplus
}
#endif

#endif
