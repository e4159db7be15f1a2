/* SPDX-License-Identifier: MIT */
/* What the parts of a call share. */
#include "http/call.h"
#include "probes.h"

weir_http_event weir__call_event(const struct call *call, weir_http_event_kind kind)
{
    return (weir_http_event){
        .kind = kind,
        .session = call->session,
        .origin = call->url->origin,
        .method = call->method,
        .url = call->url->shown,
        .attempt = call->report->attempts,
    };
}

bool weir__breaker_is_untold_locked(struct origin *origin, weir_breaker_state *ret_state)
{
    if (origin->breaker.state == origin->told_state)
        return false;
    origin->told_state = origin->breaker.state;
    *ret_state = origin->breaker.state;
    return true;
}

void weir__tell_breaker(const struct call *call, weir_breaker_state state)
{
    weir_http_event event = weir__call_event(call, WEIR_HTTP_EVENT_BREAKER);

    WEIR_PROBE2(breaker, &call->origin->name[0], weir_breaker_state_name(state));
    event.breaker = state;
    weir__http_emit(call->session, &event);
}

bool weir__is_chunked(const struct call *call)
{
    return call->has_body && call->request->has_reader && call->request->reader.size < 0;
}
