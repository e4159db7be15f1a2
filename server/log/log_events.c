/* SPDX-License-Identifier: MIT */
/* What pools and HTTP sessions tell, as log lines. */
#include "log.h"

#include <stdio.h>
#include <string.h>

/* What somebody ought to see at any level. */
#define TROUBLE                                                                                    \
    (WEIR_EVENT_BIT(WEIR_EVENT_TIMEOUT) | WEIR_EVENT_BIT(WEIR_EVENT_PING_FAILURE) |                \
     WEIR_EVENT_BIT(WEIR_EVENT_LEAK) | WEIR_EVENT_BIT(WEIR_EVENT_NESTED) |                         \
     WEIR_EVENT_BIT(WEIR_EVENT_PEER_LIMIT))

static double milliseconds(weir_time span)
{
    return (double)span / (double)WEIR_MS;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static weir_status log_pool_event(const weir_pool_event *event, void *arg)
{
    bool is_trouble = (WEIR_EVENT_BIT(event->kind) & TROUBLE) != 0;
    enum log_level level = is_trouble ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
    struct log_about about = {.pool = weir_pool_name(event->pool),
                              .connection_id = event->connection_id};
    char which[40] = "", place[96] = "", why[64] = "", took[48] = "", kind[128];

    (void)arg;
    if (!log_is_on(level))
        return WEIR_OK;
    /* Each of many timeouts names other holders. A leak is told once for each place. */
    snprintf(kind, sizeof kind, "pool %s %s", about.pool, weir_pool_event_name(event->kind));
    if (event->kind == WEIR_EVENT_TIMEOUT || event->kind == WEIR_EVENT_PING_FAILURE)
        about.kind = kind;
    if (event->connection_id != 0)
        snprintf(which, sizeof which, " connection %llu", (unsigned long long)event->connection_id);
    if (event->file != NULL)
        snprintf(place, sizeof place, " at %s:%d", base_name(event->file), event->line);
    if (event->reason != WEIR_REASON_NONE)
        snprintf(why, sizeof why, " (%s)", weir_reason_name(event->reason));
    if (event->duration != 0)
        snprintf(took, sizeof took, " (%.1f ms)", milliseconds(event->duration));
    log_write_about(level, &about, "pool \"%s\": %s%s%s%s%s%s%s", about.pool,
                    weir_pool_event_name(event->kind), which, place, why, took,
                    event->error != NULL ? ": " : "",
                    event->error != NULL ? event->error->text : "");
    return WEIR_OK;
}

/* What sessions of this database are without: said at the first of them, they are all alike. */
static weir_status log_note(const weir_pool_event *event, void *arg)
{
    const char *note = weir_conn_note(event->connection);

    if (note != NULL)
        log_write(LOG_LEVEL_WARNING, "database %s: %s", weir_db_url(arg), note);
    return WEIR_OK;
}

weir_status log_follow_db(weir_db *db, weir_error *reterr)
{
    /* Each checkout and checkin only where they are written: listening to them has its price. */
    unsigned mask = log_is_on(LOG_LEVEL_DEBUG) ? WEIR_EVENT_ALL : TROUBLE;
    weir_status status = weir_pool_listen(weir_db_pool(db), mask, log_pool_event, NULL, reterr);

    if (status == WEIR_OK)
        status = weir_pool_listen(weir_db_pool(db), WEIR_EVENT_BIT(WEIR_EVENT_FIRST_CONNECT),
                                  log_note, db, reterr);
    return status;
}

weir_status log_follow_db_closely(weir_db *db, weir_error *reterr)
{
    return weir_pool_listen(weir_db_pool(db), WEIR_EVENT_ALL & ~(unsigned)TROUBLE, log_pool_event,
                            NULL, reterr);
}

/* What an attempt or a call led to: a status, or why there is none. */
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
    else if (event->kind == WEIR_HTTP_EVENT_COOL_DOWN)
        log_write(LOG_LEVEL_WARNING, "http: %s asked for a pause of %.1f s, which holds for all",
                  event->origin, milliseconds(event->delay) / 1000.0);
    else if (log_is_on(LOG_LEVEL_DEBUG))
        log_request_event(event);
}

#define HTTP_TROUBLE                                                                               \
    (WEIR_EVENT_BIT(WEIR_HTTP_EVENT_BREAKER) | WEIR_EVENT_BIT(WEIR_HTTP_EVENT_COOL_DOWN))

weir_status log_follow_http_closely(weir_http *session, weir_error *reterr)
{
    unsigned mask = (WEIR_EVENT_BIT(WEIR_HTTP_EVENT_COUNT) - 1) & ~HTTP_TROUBLE;

    return weir_http_listen(session, mask, log_http_event, NULL, reterr);
}

weir_status log_follow_http(weir_http *session, weir_error *reterr)
{
    unsigned mask = HTTP_TROUBLE;

    if (log_is_on(LOG_LEVEL_DEBUG))
        mask = WEIR_EVENT_BIT(WEIR_HTTP_EVENT_COUNT) - 1;
    return weir_http_listen(session, mask, log_http_event, NULL, reterr);
}
