/* SPDX-License-Identifier: MIT */
/* What an unsuccessful answer of NocoDB's means: by its own code first, then by its status. */
#ifndef WEIR_SERVER_NOCODB_FAILURE_H
#define WEIR_SERVER_NOCODB_FAILURE_H

#include <weir/http.h>

/* What is known of a failed exchange beyond its error. */
struct nocodb_failure {
    int status; /* of the answer; 0: there was none */
    char code
        [48]; /* NocoDB's own, without ERR_ before it, such as INVALID_OFFSET_VALUE; "" when it has
                      none */
    char sqlstate[6]; /* of the database behind it, where it tells; else "" */
    /* How long to stay away: the cool-down that came of what the server asked for, 30 s where a 429 does not
     * say, or until breaker and rate limiter let the next through. 0: nobody said. */
    weir_time retry_after;
};

/*
 * Put an answer into words, with NocoDB's own message, bounded, cleaned, and never with the token.
 * failure->retry_after is read, the rest of it filled in.
 *
 * The same trouble has other statuses in other versions of its API, and under load; its code is the same.
 *   WEIR_NOT_FOUND  no such base, table, view or row, whatever the status; 404 without a code
 *   WEIR_INVALID    what was asked is wrong: no such field, a filter, sort, offset or value that it or
 *                   the database behind it does not take; 400 and 422 without a code
 *   WEIR_REFUSED    429, or 503 with a Retry-After above 0
 *   WEIR_RESPONSE   any other status, and 404 where the server does not know the path; `native` is the
 *                   status
 */
weir_status nocodb_failure_read(const weir_http_response *response, const char *api_token,
                                struct nocodb_failure *failure, weir_error *reterr);

/* The sentence for clients where there was no answer: no host, no address, no path. The log has the error's own
 * text. Static. */
const char *nocodb_failure_text(weir_status status);

#endif
