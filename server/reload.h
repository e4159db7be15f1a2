/* SPDX-License-Identifier: MIT */
/* The configuration read again while the server runs: what changes at once, and what is only named. */
#ifndef WEIR_SERVER_RELOAD_H
#define WEIR_SERVER_RELOAD_H

#include "config/config.h"
#include "config/secret.h"
#include "http/listener.h"
#include "managers/managed_db.h"

struct console;
struct server_metrics;

/* What a reload changes. */
struct reload_parts {
    struct config *config; /* in force; what has changed is changed in it */
    const struct config_source *source;
    struct secret *secret;
    struct listener *listener;
    struct console *console;
    struct server_metrics *metrics;
};

/*
 * Read the configuration again. Flags and the environment of a process do not change, so it is the `.env`
 * file that can have, where neither of them wins over it.
 *
 * These change at once: the level and format of the log; JWT_SECRET, unless it is taken away; the options
 * of pools in SQL_CONN_STRING and SUGGESTIONS_SQL_CONN_STRING, WEIR_SQL_ECHO and CONNECTION_TRACING, by
 * managed_db_prepare() and managed_db_take(), the last two in both pools or in neither; queue, bodies, deadlines and streams; the times of a shutdown. What else differs
 * stays as it is, and a warning names it. A configuration with an error changes nothing; the log tells
 * the error. Values are never logged.
 *
 * Threads: the one that starts and stops the parts.
 */
void reload(const struct reload_parts *parts);

/* The options of a manager's pool by the configuration: the manager's own, but for a pool_size of as many
 * connections as there are workers, as far as pool_size and max_overflow together allow. */
struct managed_db_options reload_pool_options(const struct managed_db *manager,
                                              const struct config *config);

#endif
