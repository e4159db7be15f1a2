/* SPDX-License-Identifier: MIT */
/* Lines on a descriptor: stamped, escaped, cut, and dropped rather than waited for. */
#include "log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "urltext.h"

/* With stamp and level below PIPE_BUF (4096): poll() then tells whether a whole line fits. */
#define MESSAGE_SIZE 4000

static const char *const level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

static _Atomic int least_level = LOG_LEVEL_INFO;

/* The lock guards the descriptor's use and the count; lines of two threads never mix. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int descriptor_locked = STDERR_FILENO;
static unsigned long dropped_locked;

bool log_level_parse(const char *word, enum log_level *ret_level)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof *level_names); i++) {
        if (strcasecmp(word, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_level(enum log_level level)
{
    atomic_store(&least_level, (int)level);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

void log_set_descriptor(int descriptor)
{
    pthread_mutex_lock(&lock);
    descriptor_locked = descriptor;
    pthread_mutex_unlock(&lock);
}

/* Whether a terminal would act on this character instead of showing it: C0, DEL and C1. */
static bool is_control(const unsigned char *at, size_t size)
{
    if (size == 1)
        return at[0] < 0x20 || at[0] == 0x7f;
    return size == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

static size_t escape_byte(unsigned char byte, char *out)
{
    switch (byte) {
    case '\n':
        return (size_t)sprintf(out, "\\n");
    case '\r':
        return (size_t)sprintf(out, "\\r");
    case '\t':
        return (size_t)sprintf(out, "\\t");
    default:
        return (size_t)sprintf(out, "\\x%02x", byte);
    }
}

/* Copy `text` to `out`, escaping what is not plain text; cut to MESSAGE_SIZE. */
static size_t escape(const char *text, char *out)
{
    size_t length = strlen(text), used = 0;

    for (size_t i = 0; i < length && used + 8 < MESSAGE_SIZE;) {
        size_t size = utf8_char_size(text + i, length - i);
        const unsigned char *at = (const unsigned char *)text + i;

        if (size == 0 || is_control(at, size)) {
            for (size_t k = 0; k < (size == 0 ? 1 : size); k++)
                used += escape_byte(at[k], out + used);
        } else {
            memcpy(out + used, at, size);
            used += size;
        }
        i += size == 0 ? 1 : size;
    }
    return used;
}

static size_t stamp(enum log_level level, char *out, size_t size)
{
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t)snprintf(out + used, size - used, ".%03ldZ %-7s ", now.tv_nsec / 1000000,
                             level_names[level]);
    return used;
}

static bool would_block(int descriptor)
{
    struct pollfd look = {.fd = descriptor, .events = POLLOUT};

    return poll(&look, 1, 0) == 0;
}

static void put_locked(const char *line, size_t size)
{
    /* Nowhere is left to report a log that cannot be written. */
    ssize_t ignored = write(descriptor_locked, line, size);
    (void)ignored;
}

static void put_dropped_locked(void)
{
    char line[128];
    size_t used = stamp(LOG_LEVEL_WARNING, line, sizeof line);

    used += (size_t)snprintf(line + used, sizeof line - used,
                             "%lu log lines dropped: nobody read them in time\n", dropped_locked);
    put_locked(line, used);
    dropped_locked = 0;
}

void log_write(enum log_level level, const char *format, ...)
{
    char message[MESSAGE_SIZE], line[MESSAGE_SIZE + 64];
    va_list args;

    if (!log_is_on(level))
        return;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (length < 0)
        return;

    size_t used = stamp(level, line, sizeof line);
    used += escape(message, line + used);
    line[used++] = '\n';

    pthread_mutex_lock(&lock);
    if (dropped_locked > 0 && !would_block(descriptor_locked))
        put_dropped_locked();
    if (would_block(descriptor_locked))
        dropped_locked++;
    else
        put_locked(line, used);
    pthread_mutex_unlock(&lock);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static weir_status log_pool_event(const weir_pool_event *event, void *arg)
{
    bool is_trouble = event->kind == WEIR_EVENT_TIMEOUT || event->kind == WEIR_EVENT_PING_FAILURE;
    enum log_level level = is_trouble ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
    char place[96] = "", why[64] = "";

    (void)arg;
    if (!log_is_on(level))
        return WEIR_OK;
    if (event->file != NULL)
        snprintf(place, sizeof place, " at %s:%d", base_name(event->file), event->line);
    if (event->reason != WEIR_REASON_NONE)
        snprintf(why, sizeof why, " (%s)", weir_reason_name(event->reason));
    log_write(level, "pool \"%s\": %s connection %llu%s%s%s%s", weir_pool_name(event->pool),
              weir_pool_event_name(event->kind), (unsigned long long)event->connection_id, place,
              why, event->error != NULL ? ": " : "",
              event->error != NULL ? event->error->text : "");
    return WEIR_OK;
}

weir_status log_follow_pool(weir_pool *pool, weir_error *reterr)
{
    unsigned mask = WEIR_EVENT_BIT(WEIR_EVENT_TIMEOUT) | WEIR_EVENT_BIT(WEIR_EVENT_PING_FAILURE);

    if (log_is_on(LOG_LEVEL_DEBUG))
        mask = WEIR_EVENT_ALL;
    return weir_pool_listen(pool, mask, log_pool_event, NULL, reterr);
}

static double milliseconds(weir_time span)
{
    return (double)span / (double)WEIR_MS;
}

/* What an attempt or a sending led to: a status, or why there is none. */
static void describe_end(const weir_http_event *event, char *out, size_t size)
{
    if (event->status != 0)
        snprintf(out, size, "%d", event->status);
    else if (event->error != NULL)
        snprintf(out, size, "%s", event->error->text);
    else
        snprintf(out, size, "no response (curl %d)", event->curl_code);
}

/* Events that belong to one request. */
static void log_request_event(const weir_http_event *event)
{
    char end[WEIR_ERROR_TEXT];

    describe_end(event, end, sizeof end);
    if (event->kind == WEIR_HTTP_EVENT_RETRY)
        log_write(LOG_LEVEL_DEBUG, "http: %s %s: again in %.0f ms (%s)", event->method, event->url,
                  milliseconds(event->delay), weir_retry_cause_name(event->cause));
    else if (event->kind == WEIR_HTTP_EVENT_REDIRECT)
        log_write(LOG_LEVEL_DEBUG, "http: redirected to %s %s", event->method, event->url);
    else if (event->kind == WEIR_HTTP_EVENT_ATTEMPT)
        log_write(LOG_LEVEL_DEBUG, "http: %s %s: attempt %u over a %s connection, %.1f ms: %s",
                  event->method, event->url, event->attempt, event->is_reused ? "kept" : "new",
                  milliseconds(event->duration), end);
    else
        log_write(LOG_LEVEL_DEBUG, "http: %s %s: done in %.1f ms: %s", event->method, event->url,
                  milliseconds(event->duration), end);
}

static void log_http_event(const weir_http_event *event, void *arg)
{
    bool is_open = event->breaker == WEIR_BREAKER_OPEN;

    (void)arg;
    if (event->kind == WEIR_HTTP_EVENT_BREAKER)
        log_write(is_open ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "http: %s: breaker %s%s",
                  event->origin, weir_breaker_state_name(event->breaker),
                  is_open ? ", requests to it are refused for a while" : "");
    else if (event->kind == WEIR_HTTP_EVENT_GATE)
        log_write(LOG_LEVEL_WARNING, "http: %s asked for a pause of %.1f s, which holds for all",
                  event->origin, milliseconds(event->delay) / 1000.0);
    else if (log_is_on(LOG_LEVEL_DEBUG))
        log_request_event(event);
}

weir_status log_follow_http(weir_http *session, weir_error *reterr)
{
    unsigned mask = WEIR_EVENT_BIT(WEIR_HTTP_EVENT_BREAKER) | WEIR_EVENT_BIT(WEIR_HTTP_EVENT_GATE);

    if (log_is_on(LOG_LEVEL_DEBUG))
        mask = WEIR_EVENT_BIT(WEIR_HTTP_EVENT_COUNT) - 1;
    return weir_http_listen(session, mask, log_http_event, NULL, reterr);
}
