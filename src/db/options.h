/* SPDX-License-Identifier: MIT */
/* The database's options: from the caller, then from the URL, then checked. */
#ifndef WEIR_DB_OPTIONS_H
#define WEIR_DB_OPTIONS_H

#include "db/url.h"

/*
 * Apply the URL's options to *options and mark them as taken; check what is the database's own (the
 * pool checks its part when it is opened). Strings then point into the URL or are the caller's.
 *
 * Errors:  WEIR_INVALID, with the option's name and its range; for SQLite also for an option that
 *          nobody knows.
 */
weir_status weir__db_options_resolve(struct weir_url *url, weir_db_options *options,
                                     weir_error *reterr);

#endif
