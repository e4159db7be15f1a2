/* SPDX-License-Identifier: MIT */
/* What the console shows of the server itself. */
#ifndef WEIR_SERVER_SERVE_FIGURES_H
#define WEIR_SERVER_SERVE_FIGURES_H

#include <jansson.h>

#include "config/config.h"
#include "http/listener.h"

/* A new object. `listener` is NULL before it has started. */
json_t *serve_figures(const struct config *config, struct listener *listener, weir_time started);

#endif
