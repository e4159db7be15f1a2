/* SPDX-License-Identifier: MIT */
/* What spans need of their tracer. */
#ifndef WEIR_OBSERVE_TRACER_H
#define WEIR_OBSERVE_TRACER_H

#include <weir/trace.h>

/* Whether a new trace of this id is to be recorded, by the tracer's ratio. */
bool weir__tracer_samples(const weir_tracer *tracer, const uint8_t trace_id[16]);

/* Whether spans reach its ring: not in a forked child, which got the ring in whatever state. */
bool weir__tracer_is_usable(const weir_tracer *tracer);

/* Put a finished span into the ring. */
void weir__tracer_push(weir_tracer *tracer, const weir_span *span);

#endif
