/* SPDX-License-Identifier: MIT */
/* Statuses, errors, export macros and the version: the definitions that every other weir header uses. */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 2
#define WEIR_VERSION_PATCH 0
#define WEIR_VERSION "0.2.0"

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#define WEIR_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define WEIR_API
#define WEIR_MUST_CHECK
#define WEIR_PRINTF(format_at, args_at)
#endif

/*
 * Every status that a weir function can return: name, word in logs, meaning. The enum, the names and the
 * texts are all generated from this table.
 */
#define WEIR_STATUS_MAP(X)                                                                         \
    X(OK, "ok", "success")                                                                         \
    X(TIMEOUT, "timeout", "the deadline passed")                                                   \
    X(CLOSED, "closed", "the pool or manager is closed or closing")                                \
    X(CONNECT, "connect", "a connection could not be opened")                                      \
    X(DISCONNECTED, "disconnected", "the connection was lost while in use")                        \
    X(FULL, "full", "a bounded queue is full")                                                     \
    X(QUERY, "query", "the database refused the statement")                                        \
    X(RETRY, "retry", "the database asks the caller to retry the transaction")                     \
    X(LIMIT, "limit", "a result or input is larger than the configured limit")                     \
    X(INVALID, "invalid", "an argument, option or URL is malformed or out of range")               \
    X(MISUSE, "misuse", "a lease was returned twice, or used after its return")                    \
    X(ALREADY, "already", "it was already done, and the first one stays in effect")                \
    X(NOT_READY, "not-ready", "it was not initialized")                                            \
    X(NOT_FOUND, "not-found", "what was asked for does not exist")                                 \
    X(RESPONSE, "response", "the server answered with an error status, and no retries are left")   \
    X(AMBIGUOUS, "ambiguous", "the request may have been carried out; the outcome is unknown")     \
    X(REFUSED, "refused", "a circuit breaker or rate limiter did not let the request be sent")     \
    X(PROTOCOL, "protocol", "the peer sent an invalid response")                                   \
    X(CANCELLED, "cancelled", "the caller cancelled the call")                                     \
    X(UNSUPPORTED, "unsupported", "this build, engine or server does not support it")              \
    X(NO_MEMORY, "no-memory", "an allocation failed")                                              \
    X(SYSTEM, "system", "a system call failed; the native code is its errno")

typedef enum weir_status {
#define WEIR_STATUS_ENUM(name, word, text) WEIR_##name,
    WEIR_STATUS_MAP(WEIR_STATUS_ENUM)
#undef WEIR_STATUS_ENUM
} weir_status;

/*
 * Return the word that logs and metrics use for a status ("timeout"), or one sentence that explains the status.
 * Never NULL; an unknown value gives "unknown".
 *
 * Threads: any. The strings are static.
 */
WEIR_API const char *weir_status_name(weir_status status);
WEIR_API const char *weir_status_text(weir_status status);

/* Size of the buffer for an error's text, including the terminating NUL. A longer text is truncated, but never
 * inside a UTF-8 character. */
#define WEIR_ERROR_TEXT 1024

/*
 * The error of a failed call: its status, native code, SQLSTATE and text.
 *
 * The caller owns it, usually on the stack. A call writes it only if it fails, and then sets every field.
 * `native` is the error code of the layer below, if there is one (errno, SQLite's extended result code),
 * and 0 otherwise. `sqlstate` is the five-character SQLSTATE, or empty. `text` says what was tried, on
 * what, and what to do; it never contains a password or a token.
 */
typedef struct weir_error {
    weir_status status;
    int native;
    char sqlstate[6];
    char text[WEIR_ERROR_TEXT];
} weir_error;

/*
 * Fill *reterr (which may be NULL) with a status and a printf-style text, clearing the native
 * code and the SQLSTATE, and return `status`, so that a failing function can end with
 * `return weir_error_set(reterr, WEIR_INVALID, "pool_size %d: must be 0 to 4096", n);`.
 *
 * For authors of drivers, listeners and services. The arguments may point into *reterr's own
 * text: an error can be wrapped with more context in place. errno is left as it was.
 * Threads: any; *reterr belongs to the caller.
 */
WEIR_API weir_status weir_error_set(weir_error *reterr, weir_status status, const char *format, ...)
    WEIR_PRINTF(3, 4);

/* The same with a va_list. */
WEIR_API weir_status weir_error_setv(weir_error *reterr, weir_status status, const char *format,
                                     va_list args) WEIR_PRINTF(3, 0);

/* Return the version of the library ("0.2.0"), to compare with WEIR_VERSION of the header. */
WEIR_API const char *weir_version(void);

#ifdef __cplusplus
}
#endif

#endif
