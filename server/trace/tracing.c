/* SPDX-License-Identifier: MIT */
/* Traces of the backend: the tracer, what it records of databases and sessions, and where finished spans go. */
#include "tracing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otlp.h"
#include "text/text.h"

enum { FINISHED, EXPORTED, DROPPED, FAILURES, TRACE_METRICS };

struct tracing {
    weir_tracer *tracer;
    struct otlp *otlp; /* NULL: nothing is exported, or no longer */
    weir_metrics *metrics;
};

/* ---- Figures ------------------------------------------------------------------------------ */

static const weir_metric_options figures[TRACE_METRICS] = {
    [FINISHED] = {.name = "weir.trace.spans",
                  .unit = "{span}",
                  .description = "Spans that ended and were recorded"},
    [EXPORTED] = {.name = "weir.trace.spans.exported",
                  .unit = "{span}",
                  .description = "Spans that the collector has taken"},
    [DROPPED] = {.name = "weir.trace.spans.dropped",
                 .unit = "{span}",
                 .description = "Spans that the collector did not get, by reason",
                 .labels = {"reason"}},
    [FAILURES] = {.name = "weir.trace.export.failures",
                  .unit = "{request}",
                  .description = "Requests to the collector that failed"},
};

static void write_figures(weir_metrics_writer *writer, void *arg)
{
    static const char *const missed[] = {"queue_full"};
    static const char *const failed[] = {"export_failed"};
    weir_metric *const *all = weir_metrics_writer_table(writer);
    struct tracing *tracing = arg;
    struct otlp_stats stats = {0};

    weir_metrics_write(writer, all[FINISHED], NULL, (double)weir_tracer_count(tracing->tracer));
    if (tracing->otlp == NULL)
        return;
    otlp_get_stats(tracing->otlp, &stats);
    weir_metrics_write(writer, all[EXPORTED], NULL, (double)stats.exported);
    weir_metrics_write(writer, all[DROPPED], missed, (double)stats.missed);
    weir_metrics_write(writer, all[DROPPED], failed, (double)stats.failed);
    weir_metrics_write(writer, all[FAILURES], NULL, (double)stats.failures);
}

static weir_status show_figures(struct tracing *tracing, weir_metrics *metrics, weir_error *reterr)
{
    if (metrics == NULL)
        return WEIR_OK;
    weir_status status = weir_metrics_add_table_source(metrics, figures, TRACE_METRICS,
                                                       write_figures, tracing, reterr);
    if (status == WEIR_OK)
        tracing->metrics = metrics;
    return status;
}

static void hide_figures(struct tracing *tracing)
{
    if (tracing->metrics != NULL)
        weir_metrics_remove_source(tracing->metrics, write_figures, tracing);
    tracing->metrics = NULL;
}

/* ---- Opening and closing ------------------------------------------------------------------ */

static weir_status open_tracer(const struct config *config, weir_tracer **ret_tracer,
                               weir_error *reterr)
{
    weir_tracer_options options = WEIR_TRACER_OPTIONS_DEFAULT;

    options.sample_ratio = (double)config->otel_traces_sampler_arg / 1e6;
    options.capacity = (int)config->otel_bsp_max_queue_size;
    return weir_tracer_open(&options, ret_tracer, reterr);
}

/* The endpoint for traces alone is taken as it is, the one for all signals is where theirs begins. */
static char *endpoint_of(const struct config *config)
{
    const char *base = config->otel_exporter_otlp_endpoint;
    size_t size;

    if (config->otel_exporter_otlp_traces_endpoint != NULL)
        return strdup(config->otel_exporter_otlp_traces_endpoint);
    size = strlen(base);
    return text_format("%s%sv1/traces", base, size > 0 && base[size - 1] == '/' ? "" : "/");
}

/* Of a ring that is half full something must go, or it runs over while that is on its way. */
static int batch_of(const struct config *config)
{
    int64_t half = config->otel_bsp_max_queue_size / 2;
    int64_t batch = config->otel_bsp_max_export_batch_size;

    return (int)(batch < half ? batch : half);
}

static weir_status start_export(const struct config *config, struct tracing *tracing,
                                weir_error *reterr)
{
    if (config->otel_exporter_otlp_endpoint == NULL &&
        config->otel_exporter_otlp_traces_endpoint == NULL)
        return WEIR_OK;
    char *endpoint = endpoint_of(config);
    if (endpoint == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "export of traces: out of memory");

    const struct otlp_options options = {
        .endpoint = endpoint,
        .headers = config->otel_exporter_otlp_headers,
        .certificate = config->otel_exporter_otlp_certificate,
        .service_name = config->otel_service_name,
        .timeout_ms = (int)config->otel_exporter_otlp_timeout,
        .delay_ms = (int)config->otel_bsp_schedule_delay,
        .batch = batch_of(config),
    };
    weir_status status = otlp_start(&options, tracing->tracer, &tracing->otlp, reterr);
    free(endpoint);
    return status;
}

weir_status tracing_open(const struct config *config, weir_metrics *metrics,
                         struct tracing **ret_tracing, weir_error *reterr)
{
    struct tracing *tracing = calloc(1, sizeof *tracing);

    if (tracing == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open traces: out of memory");
    weir_status status = open_tracer(config, &tracing->tracer, reterr);
    if (status == WEIR_OK)
        status = start_export(config, tracing, reterr);
    if (status == WEIR_OK)
        status = show_figures(tracing, metrics, reterr);
    if (status != WEIR_OK) {
        (void)tracing_stop(tracing, WEIR_DEADLINE_NOW, NULL);
        tracing_close(tracing);
        return status;
    }
    *ret_tracing = tracing;
    return WEIR_OK;
}

weir_tracer *tracing_tracer(struct tracing *tracing)
{
    return tracing->tracer;
}

/* The figures go first: they are read from the exporter. */
weir_status tracing_stop(struct tracing *tracing, weir_time deadline, weir_error *reterr)
{
    hide_figures(tracing);
    weir_status status = otlp_stop(tracing->otlp, deadline, reterr);
    tracing->otlp = NULL;
    return status;
}

void tracing_close(struct tracing *tracing)
{
    if (tracing == NULL)
        return;
    weir_tracer_close(tracing->tracer);
    free(tracing);
}

/* ---- What happens below ------------------------------------------------------------------- */

weir_status tracing_follow_db(weir_db *db, weir_error *reterr)
{
    weir_status status = weir_pool_listen(weir_db_pool(db), WEIR_TRACE_POOL_EVENTS,
                                          weir_trace_on_pool_event, NULL, reterr);

    if (status != WEIR_OK)
        return status;
    return weir_db_listen_when(db, weir_trace_wants, weir_trace_on_db_event, NULL, reterr);
}

weir_status tracing_follow_http(weir_http *session, weir_error *reterr)
{
    return weir_http_listen(session, WEIR_TRACE_HTTP_EVENTS, weir_trace_on_http_event, NULL,
                            reterr);
}
