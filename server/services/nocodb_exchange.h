/* SPDX-License-Identifier: MIT */
/* One request to NocoDB and what came of it: the token, the rate limit, the errors. */
#ifndef WEIR_SERVER_NOCODB_EXCHANGE_H
#define WEIR_SERVER_NOCODB_EXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <weir/http.h>

#include "nocodb_address.h"
#include "nocodb_failure.h"
#include "nocodb_where.h"

/*
 * In what time the rate limit's number of requests may be sent, evenly spaced, in milliseconds. The
 * server counts over a second that begins when it likes, and what is sent a second apart may arrive
 * closer together, since the first of them also had a connection to open. A quarter of a second more
 * costs less than a block.
 */
#define NOCODB_PERIOD_MS 1250

/* A NocoDB as it was configured. All but the last two never change. */
struct nocodb_server {
    struct nocodb_address address;
    char *api_token;             /* NULL: none is sent */
    enum nocodb_dialect dialect; /* of its filters, by the API of the address */
    int rate_limit; /* requests in any second, as the server counts them; 0: no limit */
    int max_calls;
    /* Calls in flight; any thread, relaxed: only the count matters. */
    _Atomic int calls;
    /* The session whose rate limiter is set, by its number. Any thread stores it, after it has set the rate limiter:
     * release, so that whoever reads it there, acquire, sends through that rate limiter. */
    _Atomic uint64_t limited_session;
};

/*
 * Fill *ret_server. Errors: as nocodb_address_read(); WEIR_INVALID why the URL or the token cannot be
 * used; WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status nocodb_server_init(const char *base_url, const char *api_token,
                                               int rate_limit, int max_calls,
                                               struct nocodb_server *ret_server,
                                               weir_error *reterr);
void nocodb_server_clear(struct nocodb_server *server);

/* Set the rate limit on the present session, unless that was done; where there is no session, one is
 * made. Errors: as http_manager_get_session() and weir_http_set_rate_limit(). */
WEIR_MUST_CHECK weir_status nocodb_server_set_rate_limit(struct nocodb_server *server,
                                                         weir_error *reterr);

/* Begin a GET of a table's rows, or of one row where `id` is not NULL. The caller closes it. Errors:
 * WEIR_INVALID for an id that reads like a path of NocoDB's own, such as "count", which would answer
 * something else; otherwise as weir_http_request_open(). */
WEIR_MUST_CHECK weir_status nocodb_request_open(const struct nocodb_server *server,
                                                const char *table, const char *id,
                                                weir_http_request **ret_request,
                                                weir_error *reterr);

/*
 * Send it over the present session. WEIR_OK means an answer of 200 to 299, which the caller closes.
 *
 * Errors, whose texts carry NocoDB's own message, bounded, and never the token; where there was no answer
 * they are those of nocodb_failure_text(), and the log is told the rest. *ret_failure tells more:
 *   WEIR_NOT_FOUND, WEIR_INVALID, WEIR_REFUSED, WEIR_RESPONSE  as nocodb_failure_read()
 *   WEIR_REFUSED    also: not sent because the breaker is open or the origin cools down
 *   WEIR_CLOSED     there is no session any more; none is made, which would not have its options
 *   otherwise as weir_http_send() and weir_http_set_rate_limit()
 */
WEIR_MUST_CHECK weir_status nocodb_request_send(struct nocodb_server *server,
                                                weir_http_request *request, weir_time deadline,
                                                weir_http_response **ret_response,
                                                struct nocodb_failure *ret_failure,
                                                weir_error *reterr);

#endif
