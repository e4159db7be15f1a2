/* SPDX-License-Identifier: MIT */
/* The header lines by which the other side's spans become children of ours. */
#ifndef WEIR_HTTP_PROPAGATE_H
#define WEIR_HTTP_PROPAGATE_H

#include <weir/trace.h>

#include "http/request.h"

/* One attempt's place in the thread's trace. All zero: there is none. */
struct propagation {
    weir_trace_context context; /* of the attempt's own span */
    char traceparent[sizeof "traceparent: " + WEIR_TRACEPARENT_SIZE];
    char tracestate[sizeof "tracestate: " + WEIR_TRACESTATE_MAX];
};

/* Make the lines that go out with one attempt of the request; both are empty when the thread has no
 * current span, or the request a traceparent of its own. */
void weir__propagate(const weir_http_request *request, struct propagation *ret_propagation);

#endif
