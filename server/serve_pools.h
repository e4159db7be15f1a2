/* SPDX-License-Identifier: MIT */
/* Starts and stops the connection pools of the backend. */
#ifndef WEIR_SERVER_SERVE_POOLS_H
#define WEIR_SERVER_SERVE_POOLS_H

#include "config/config.h"
#include "figures/metrics.h"

/* Open the databases and the HTTP session, and watch them. After an error none is open. */
WEIR_MUST_CHECK weir_status serve_start_pools(const struct config *config,
                                              struct server_metrics *metrics, weir_error *reterr);

/* Close them in reverse, by the deadline. Returns the first failure, and goes on after it. */
weir_status serve_stop_pools(struct server_metrics *metrics, weir_time deadline,
                             weir_error *reterr);

#endif
