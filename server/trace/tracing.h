/* SPDX-License-Identifier: MIT */
/* Traces of the backend: the tracer, what it records of databases and sessions, and where finished spans go. */
#ifndef WEIR_SERVER_TRACING_H
#define WEIR_SERVER_TRACING_H

#include <weir/db.h>
#include <weir/http.h>
#include <weir/metrics.h>
#include <weir/trace.h>

#include "config/config.h"

struct tracing;

/*
 * Make the tracer, and start the export when the configuration names an endpoint. With `metrics`, which
 * may be NULL, its figures are shown there until tracing_close().
 *
 * Errors: WEIR_INVALID as otlp_start(), otherwise what the parts answer.
 */
WEIR_MUST_CHECK weir_status tracing_open(const struct config *config, weir_metrics *metrics,
                                         struct tracing **ret_tracing, weir_error *reterr);

weir_tracer *tracing_tracer(struct tracing *tracing);

/* Send what is finished, until the deadline. Errors: WEIR_TIMEOUT: not everything was sent. */
weir_status tracing_stop(struct tracing *tracing, weir_time deadline, weir_error *reterr);

/* After tracing_stop(), when no request is in flight any more. NULL is fine. */
void tracing_close(struct tracing *tracing);

/* Let a database and an HTTP session record what happens below a request's span. Once each. Errors:
 * WEIR_FULL. */
WEIR_MUST_CHECK weir_status tracing_follow_db(weir_db *db, weir_error *reterr);
WEIR_MUST_CHECK weir_status tracing_follow_http(weir_http *session, weir_error *reterr);

#endif
