/* SPDX-License-Identifier: MIT */
/* What the console shows of the server itself. */
#include "serve_figures.h"

#include "serve_listener.h"

json_t *serve_figures(const struct config *config, struct listener *listener, weir_time started)
{
    struct listener_stats stats = {0};

    if (listener != NULL)
        listener_stats(listener, &stats);
    const struct {
        const char *name;
        json_int_t value;
    } figures[] = {
        {"uptime_ms", (weir_now() - started) / WEIR_MS},
        {"workers", config->workers},
        {"workers_busy", stats.workers_busy},
        {"queued", stats.queued},
        {"outbound_workers", serve_outbound_workers(config)},
        {"outbound_busy", stats.outbound_busy},
        {"outbound_queued", stats.outbound_queued},
        {"connections", stats.connections},
        {"requests", (json_int_t)stats.requests},
        {"rejected_full", (json_int_t)stats.rejected_full},
        {"reaped", (json_int_t)stats.reaped},
    };
    json_t *shown = json_pack("{s:s}", "version", weir_version());
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        json_object_set_new(shown, figures[i].name, json_integer(figures[i].value));
    return shown;
}
