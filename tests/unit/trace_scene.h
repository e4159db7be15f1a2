/* SPDX-License-Identifier: MIT */
/* A tracer with one open root span, for tests of what ends below it. */
#ifndef WEIR_TESTS_TRACE_SCENE_H
#define WEIR_TESTS_TRACE_SCENE_H

#include "unit/trace_steps.h"

static weir_tracer *tracer;
static weir_span root;

static inline void begin_trace(void)
{
    tracer = open_tracer(1, 64);
    check(weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL));
}

static inline void end_trace(void)
{
    weir_span_end(&root);
    weir_tracer_close(tracer);
}

#endif
