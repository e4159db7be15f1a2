/* SPDX-License-Identifier: MIT */
/* The attempts of a request's latest call, to be read after it. */
#ifndef WEIR_HTTP_HISTORY_H
#define WEIR_HTTP_HISTORY_H

#include "http/url.h"

#define HISTORY_LIMIT 32

/*
 * In order; of more than HISTORY_LIMIT the first ones and the last. Each listed one is malloc'ed together
 * with its texts, but for `first`: most calls have one attempt with a response, whose URL is the
 * request's own, and take no memory for it. All zero is an empty one.
 */
struct history {
    weir_http_attempt *listed[HISTORY_LIMIT];
    size_t count;
    weir_http_attempt first; /* if it is listed, then as listed[0] */
    char *first_url;         /* its URL, where the request has another one since; else NULL */
};

/* Forget all: a new sending begins, or the request is closed. */
void weir__history_clear(struct history *history);

/* List a copy of an attempt, whose method must live as long as the request; without memory, do not. `own`
 * is the URL of the request. */
void weir__history_add(struct history *history, const weir_http_attempt *attempt,
                       const struct url *own);

/* The URL of the request, `own`, is about to be freed. */
void weir__history_keep_url(struct history *history, struct url *own);

#endif
