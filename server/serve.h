/* SPDX-License-Identifier: MIT */
/* `weir serve`: the parts put together, started, kept running until a signal, and stopped. */
#ifndef WEIR_SERVER_SERVE_H
#define WEIR_SERVER_SERVE_H

#include "config.h"

/*
 * Run the backend until SIGTERM, SIGINT or SIGHUP, then drain it within the configured time; a second
 * signal ends the process at once. Prints where it listens on standard output and, when there is no
 * JWT_SECRET, a token and a `curl` line that works; everything else goes to the log.
 *
 * Returns the exit status: 0 after a complete drain, 1 when it could not start or was cut off. Once
 * per process, on its first thread, before it has others.
 */
int serve_run(const struct config *config);

#endif
