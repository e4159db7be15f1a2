/* SPDX-License-Identifier: MIT */
/* `weir serve`: the parts put together, started, kept running until a signal, and stopped. */
#ifndef WEIR_SERVER_SERVE_H
#define WEIR_SERVER_SERVE_H

#include "config/config.h"

/*
 * Run the backend until SIGTERM or SIGINT, then drain it within the configured time; a second one ends the
 * process at once. SIGHUP reads the configuration again from its source (reload.h), which changes
 * *config, and never ends the process. Prints where it listens on standard output and, when there is no
 * JWT_SECRET, a token and a `curl` line that works; everything else goes to the log.
 *
 * Returns the exit status: 0 after a complete drain, 1 when it could not start or was cut off. Once
 * per process, on its first thread, before it has others.
 */
int serve_run(struct config *config, const struct config_source *source);

#endif
