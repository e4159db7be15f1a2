/* SPDX-License-Identifier: MIT */
/* Who hears of what a session does. */
#include "http/session.h"

const char *weir_http_event_name(weir_http_event_kind kind)
{
    switch (kind) {
#define EVENT_NAME(name, word, text)                                                               \
    case WEIR_HTTP_EVENT_##name:                                                                   \
        return word;
        WEIR_HTTP_EVENT_MAP(EVENT_NAME)
#undef EVENT_NAME
    case WEIR_HTTP_EVENT_COUNT:
        break;
    }
    return "unknown";
}

weir_status weir__http_listen(weir_http *session, const struct http_listener *listener,
                              weir_error *reterr)
{
    weir__lock(&session->lock);
    int count = atomic_load_explicit(&session->listener_count, memory_order_relaxed);
    if (count < SESSION_LISTENERS) {
        session->listeners[count] = *listener;
        atomic_store_explicit(&session->listener_count, count + 1, memory_order_release);
        atomic_fetch_or_explicit(&session->listener_mask, listener->mask, memory_order_relaxed);
    }
    weir__unlock(&session->lock);
    if (count < SESSION_LISTENERS)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_FULL,
                          "http \"%s\": it already has %d listeners, the maximum",
                          session->options.name, SESSION_LISTENERS);
}

weir_status weir_http_listen(weir_http *session, unsigned mask, weir_http_listener *listener,
                             void *arg, weir_error *reterr)
{
    return weir__http_listen(session, &(struct http_listener){mask, listener, arg, NULL}, reterr);
}

void weir__http_listeners_clear(weir_http *session)
{
    int count = atomic_load_explicit(&session->listener_count, memory_order_acquire);

    for (int i = 0; i < count; i++)
        if (session->listeners[i].free_arg != NULL)
            session->listeners[i].free_arg(session->listeners[i].arg);
}

void weir__http_emit(weir_http *session, const weir_http_event *event)
{
    if (!weir__http_is_heard(session, event->kind))
        return;
    int count = atomic_load_explicit(&session->listener_count, memory_order_acquire);
    for (int i = 0; i < count; i++)
        if ((session->listeners[i].mask & WEIR_EVENT_BIT(event->kind)) != 0)
            session->listeners[i].function(event, session->listeners[i].arg);
}
