/* SPDX-License-Identifier: MIT */
/* A small HTTP server on 127.0.0.1, in a thread of the program, that fails as often as it is told. */
#ifndef WEIR_CLI_VERIFY_SITE_H
#define WEIR_CLI_VERIFY_SITE_H

#include <weir/base.h>

struct verify_site;

/* The caller ends it with verify_site_stop(). Errors: WEIR_SYSTEM, WEIR_NO_MEMORY. */
WEIR_MUST_CHECK weir_status verify_site_start(struct verify_site **ret_site, weir_error *reterr);
void verify_site_stop(struct verify_site *site); /* NULL is fine */

/* Its URL. Valid until the stop. */
const char *verify_site_url(const struct verify_site *site);

/* Answer so many of the next requests with 503, the others with 200; -1: all. */
void verify_site_fail(struct verify_site *site, int count);

/* Connections accepted and requests answered since the start. */
int verify_site_connections(struct verify_site *site);
int verify_site_requests(struct verify_site *site);

#endif
