/* SPDX-License-Identifier: MIT */
/* A database's URL and the options of a pool in its query, taken apart. */
#ifndef WEIR_SERVER_POOL_URL_H
#define WEIR_SERVER_POOL_URL_H

#include <weir/db.h>

/*
 * Split a URL into one without the pool's options and application_name, which the caller frees, and
 * those options, set in *pool. An option that cannot be read stays in the URL, whose opening then
 * says what is wrong with it.
 *
 * Errors: WEIR_NO_MEMORY; *ret_url and *pool are then untouched.
 */
WEIR_MUST_CHECK weir_status pool_url_split(const char *url, char **ret_url,
                                           weir_pool_options *pool);

#endif
