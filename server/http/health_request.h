/* SPDX-License-Identifier: MIT */
/* Tells from the first bytes of a request whether it asks for a health route. */
#ifndef WEIR_SERVER_HEALTH_REQUEST_H
#define WEIR_SERVER_HEALTH_REQUEST_H

#include <stddef.h>

enum health_request { HEALTH_REQUEST_UNKNOWN, HEALTH_REQUEST_YES, HEALTH_REQUEST_NO };

/* Compare what came of a request line with the paths of the health routes. HEALTH_REQUEST_UNKNOWN: more bytes
 * are needed. */
enum health_request health_request_find(const char *const *paths, size_t count, const char *head,
                                        size_t size);

#endif
