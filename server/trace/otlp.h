/* SPDX-License-Identifier: MIT */
/* Export of finished spans: OTLP over HTTP, in JSON, on a thread that no other waits for. */
#ifndef WEIR_SERVER_OTLP_H
#define WEIR_SERVER_OTLP_H

#include <stdint.h>

#include <weir/trace.h>

struct otlp_options {
    const char *endpoint; /* the whole URL: "http://127.0.0.1:4318/v1/traces" */
    const char *headers;  /* "name=value,name=value", values percent-encoded; secret; NULL: none */
    const char *certificate;  /* the certificates to trust, PEM; NULL: the system's */
    const char *service_name; /* "weir" */
    int timeout_ms;           /* for one batch, its retries included */
    int delay_ms;             /* how long a span may wait for others to go with it */
    int batch;                /* spans of one request */
};

struct otlp;

/* What became of the spans that the tracer finished. */
struct otlp_stats {
    uint64_t exported; /* the collector has taken them */
    uint64_t missed;   /* pushed out of the tracer's ring before they could be sent */
    uint64_t failed;   /* not taken: the collector was down, slow or refused them */
    uint64_t failures; /* requests that failed */
};

/*
 * Start the thread that sends what the tracer, which must outlive it, finishes from now on. It uses an
 * HTTP session of its own, so that the application's figures, limits and traces know nothing of it.
 *
 * A batch that failed for good is counted, and said in the log at most once a minute; the next one is
 * tried all the same. Spans that wait for too long are pushed out of the ring by newer ones and counted.
 *
 * Errors:  WEIR_INVALID for an endpoint, headers or certificate that cannot be used, by the name of the
 *          variable and without the headers' values; WEIR_SYSTEM (no thread), WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status otlp_start(const struct otlp_options *options, weir_tracer *tracer,
                                       struct otlp **ret_otlp, weir_error *reterr);

/* Threads: any. */
void otlp_get_stats(struct otlp *otlp, struct otlp_stats *ret_stats);

/*
 * Send what is finished, until the deadline and for at most three seconds; then end the thread and free
 * everything. A collector that does not answer by then is left alone.
 *
 * Errors:  WEIR_TIMEOUT: not everything was sent.
 * Threads: one. NULL is WEIR_OK.
 */
weir_status otlp_stop(struct otlp *otlp, weir_time deadline, weir_error *reterr);

#endif
