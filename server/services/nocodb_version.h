/* SPDX-License-Identifier: MIT */
/* The version that NocoDB reports, and whether it is too old. */
#ifndef WEIR_SERVER_NOCODB_VERSION_H
#define WEIR_SERVER_NOCODB_VERSION_H

#include <stdbool.h>
#include <stddef.h>

/* The oldest that is supported, and why no older one is. */
#define NOCODB_OLDEST "0.301.3"
#define NOCODB_OLDEST_REASON                                                                       \
    "older ones return other rows for some filters, may have no v3 API, and before 2024 return "   \
    "all rows where a filter names a column that they do not have"

#define NOCODB_VERSION_TEXT 32

/*
 * Read the answer of /api/v1/version. True when it is one of NocoDB's; `out` is then its version, "" where
 * it does not say: a server that was not started from its package does not know its own.
 */
bool nocodb_version_read(const char *text, size_t size, char out[NOCODB_VERSION_TEXT]);

/* Whether it is a version, of numbers with dots between them, and older than NOCODB_OLDEST. */
bool nocodb_version_is_too_old(const char *version);

#endif
