/* SPDX-License-Identifier: MIT */
/* The NocoDB service: rows of somebody else's tables, read over HTTP, as JSON text. */
#ifndef WEIR_SERVER_NOCODB_SERVICE_H
#define WEIR_SERVER_NOCODB_SERVICE_H

#include <stdint.h>

#include <weir/clock.h>

#include "nocodb_query.h"

/* Most rows, pages and bytes of one list, and most bytes of one answer of NocoDB's. */
#define NOCODB_MAX_ROWS 100000
#define NOCODB_MAX_PAGES 1000
#define NOCODB_MAX_BYTES (32 << 20)
#define NOCODB_MAX_ANSWER (8 << 20)

/*
 * A service works on HTTPSessionManager's session; it may be shared by any number of threads.
 *
 * A row or list it returns is malloc'ed JSON, which the caller frees. Rows are passed on as the text
 * that NocoDB sent, so that every number keeps all its digits. Functions that take a deadline keep it.
 *
 * The token travels as header `xc-token`, to the origin of the base URL and nowhere else: redirects are
 * not followed, nor the links to the next page that v3 gives.
 */
struct nocodb_service;

struct nocodb_options {
    const char *base_url;  /* to which a table's name is added: see below */
    const char *api_token; /* NULL or "": none */
    int rate_limit;        /* requests that the server may count in any second; 0: no limit */
    int max_calls;         /* calls in flight at once; the next is refused at once with WEIR_FULL */
};

/* NocoDB's own cloud allows 5 requests per second and blocks for 30 seconds what is above it; a server of
 * one's own has no limit. */
#define NOCODB_OPTIONS_DEFAULT                                                                     \
    {                                                                                              \
        NULL, NULL, 0, 16                                                                          \
    }

/*
 * Open a service; nothing is sent. Rows are at {base}/{table} and {base}/{table}/{id}. A base that ends
 * with /api/v2/tables or /api/v3/data/{base id} stands for NocoDB's own paths:
 * {base}/{table}/records and {base}/{table}/records/{id}, tables named by their ids. Slashes at its end
 * do not count.
 *
 * Errors: WEIR_INVALID "NocoDB base URL not configured" when it is empty; why the URL or the token
 *         cannot be used; WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status nocodb_service_open(const struct nocodb_options *options,
                                                struct nocodb_service **ret_service,
                                                weir_error *reterr);
void nocodb_service_close(struct nocodb_service *service);

/*
 * One row: {…}; `fields` are its columns, none: all.
 *
 * Errors, here and below; on failure *ret_retry_after (which may be NULL) is how long to stay away, 0
 * when nobody said:
 *   WEIR_NOT_FOUND  no such table or row
 *   WEIR_INVALID    NocoDB refused what was asked (400, 422), or it cannot be asked
 *   WEIR_REFUSED    not now: NocoDB asks for a pause (429, or 503 with a Retry-After), or the breaker
 *                   or the rate limit lets nothing through until *ret_retry_after has passed
 *   WEIR_FULL       max_calls are in flight
 *   WEIR_RESPONSE   any other status, such as 401 for a token that NocoDB refuses; `native` is it
 *   WEIR_PROTOCOL   the answer is no such JSON
 *   WEIR_LIMIT      more rows, pages or bytes than above
 *   WEIR_CLOSED     HTTPSessionManager was closed
 *   otherwise as weir_http_send()
 */
WEIR_MUST_CHECK weir_status nocodb_get_row(struct nocodb_service *service, const char *table,
                                           const char *id, const char *const *fields,
                                           size_t field_count, weir_time deadline, char **ret_text,
                                           weir_time *ret_retry_after, weir_error *reterr);

/*
 * The rows of a table, page after page until the last: [{…}, …].
 *
 * Each step goes by the number of rows that came, not by the number asked for. A server that gives
 * the same page again, or keys that do not rise, is an error (WEIR_PROTOCOL) and no endless list. Pages
 * may be alike where rows have no id and the server tells the last page.
 * A list whose deadline comes between its pages is WEIR_TIMEOUT, also where the rate limit alone is why:
 * asked for again, it would come no further. At four pages a second, 30 seconds are some 120 pages.
 * Old servers ignore a condition on a column that they do not have, and give all rows.
 */
WEIR_MUST_CHECK weir_status nocodb_list_rows(struct nocodb_service *service, const char *table,
                                             const struct nocodb_query *query, weir_time deadline,
                                             char **ret_text, weir_time *ret_retry_after,
                                             weir_error *reterr);

#endif
