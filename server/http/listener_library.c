/* SPDX-License-Identifier: MIT */
/* Starts libmicrohttpd for a door, and logs what it has to say. */
#include "listener_library.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exchange.h"
#include "exchange_chunks.h"
#include "listener_events.h"

/* Connections the library may hold beyond a door's limit: those cut or closed a moment ago, which it has
 * not cleaned up yet. Our own limit has to be the one that is met, always: whom the library refuses it
 * closes without an answer. */
enum { CONNECTION_MARGIN = 65536 };

/*
 * Whether a message of the library is about us. Nearly all are about a client's mistake, which
 * must not fill anybody's log; during the start there are no clients.
 */
static bool is_about_us(const struct listener *listener, const char *format)
{
    static const char *const parts[] = {"Call to epoll", "Error allocating", "Failed to signal"};

    if (!atomic_load(&listener->is_started))
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(format, parts[i]) != NULL)
            return true;
    }
    return false;
}

static void on_library_message(void *arg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_library_message(void *arg, const char *format, va_list args)
{
    struct door *door = arg;
    const struct listener *listener = door->listener;
    int level = is_about_us(listener, format) ? LISTENER_LOG_WARNING : LISTENER_LOG_DEBUG;
    char text[512];
    size_t size;

    vsnprintf(text, sizeof(text), format, args);
    size = strlen(text);
    while (size > 0 && text[size - 1] == '\n')
        text[--size] = '\0';
    listener_log(listener, level, "libmicrohttpd: %s", text);
    if (strncmp(format, "Error processing request", 24) == 0 &&
        strstr(text, "chunk size line") != NULL)
        chunks_refuse_overlong(door);
}

/* Targets are decoded by urltext.h, from a copy. */
static size_t leave_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

bool listener_library_is_lenient(void)
{
    return strncmp(MHD_get_version(), "0.", 2) == 0;
}

#if MHD_VERSION >= 0x01000000
#define STRICTNESS_OPTION MHD_OPTION_CLIENT_DISCIPLINE_LVL
#else
#define STRICTNESS_OPTION MHD_OPTION_STRICT_FOR_CLIENT
#endif

static struct MHD_Daemon *start_daemon(struct door *door)
{
    struct listener *listener = door->listener;
    const struct listener_options *o = &listener->options;
    size_t memory = connection_memory(o);
    /* The lenient parser's own strict mode only adds a check for Host that answers worse. */
    int strictness = listener->checks_block ? 0 : 1;

    /* One option per line: */
    /* clang-format off */
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET,
        0, NULL, NULL, exchange_on_request, door,
        MHD_OPTION_EXTERNAL_LOGGER, on_library_message, door, /* first, for later errors */
        MHD_OPTION_CONNECTION_LIMIT, door->limit + CONNECTION_MARGIN,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, door->is_reserve ? 0u : (unsigned)o->max_connections_per_ip,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_NOTIFY_CONNECTION, exchange_on_connection, door,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_on_target, door,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, door,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        STRICTNESS_OPTION, strictness,
        MHD_OPTION_END);
    /* clang-format on */
}

weir_status listener_library_start(struct door *door, weir_error *reterr)
{
    weir_status status;
    int error;

    errno = 0;
    door->daemon = start_daemon(door);
    error = errno;
    if (door->daemon == NULL) {
        weir_error_set(reterr, WEIR_SYSTEM, "start the HTTP library: %s",
                       error == 0 ? "it refused: the log says why" : strerror(error));
        if (reterr != NULL)
            reterr->native = error;
        return WEIR_SYSTEM;
    }
    status = event_thread_start(door, &door->events, reterr);
    if (status != WEIR_OK)
        MHD_stop_daemon(door->daemon);
    return status;
}
