/* SPDX-License-Identifier: MIT */
/* A secret that can be replaced while others use it. */
#ifndef WEIR_SERVER_SECRET_H
#define WEIR_SERVER_SECRET_H

#include <weir/base.h>

struct secret;

/* One text of it, as long as somebody holds it. */
struct secret_hold;

/* Open a secret with a copy of `text`. Errors: WEIR_NO_MEMORY. */
WEIR_MUST_CHECK weir_status secret_open(const char *text, struct secret **ret_secret,
                                        weir_error *reterr);

/* Free it; nobody holds it any more. NULL is fine. */
void secret_close(struct secret *secret);

/* From now on it is a copy of `text`; who holds the former one goes on with that, and the last to put it
 * back overwrites it. Errors: WEIR_NO_MEMORY; it is then as it was. Threads: any. */
WEIR_MUST_CHECK weir_status secret_replace(struct secret *secret, const char *text,
                                           weir_error *reterr);

/* Hold the text of now, until secret_put(). Threads: any. */
struct secret_hold *secret_take(struct secret *secret);
const char *secret_text(const struct secret_hold *hold);
void secret_put(struct secret_hold *hold);

#endif
