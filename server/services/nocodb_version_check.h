/* SPDX-License-Identifier: MIT */
/* NocoDB's version, asked for in the background once the server has started, and logged. */
#ifndef WEIR_SERVER_NOCODB_VERSION_CHECK_H
#define WEIR_SERVER_NOCODB_VERSION_CHECK_H

#include <weir/base.h>
#include <weir/clock.h>

struct nocodb_version_check;

/* Where NocoDB is, and how other servers are reached. The texts must outlive the check. */
struct nocodb_version_check_options {
    const char *base_url; /* as for nocodb_service_open() */
    const char *ca_file;  /* these as in http_session_manager.h */
    const char *proxy;
    const char *no_proxy;
};

/*
 * Start a thread that asks {root}/api/v1/version, without the token, over a session of its own: what becomes of
 * it counts for no breaker, rate limit or figure of the requests of clients. The log is told, once:
 *
 *   INFO     the version; or that it does not tell it
 *   WARNING  that it is older than NOCODB_OLDEST, and why that matters; or that what answers there is no NocoDB,
 *            which is INFO for NOCODB_API_OTHER: behind a path of somebody's own there need be none
 *
 * What is longer than any version or no HTTP is such an answer, too.
 * While nobody answers, or with 429 or a status of 500 and above, the log is told of the first time, and it is asked
 * again every five seconds.
 *
 * Errors: as nocodb_address_read() and weir_http_request_open(); WEIR_SYSTEM for no thread.
 */
WEIR_MUST_CHECK weir_status
nocodb_version_check_start(const struct nocodb_version_check_options *options,
                           struct nocodb_version_check **ret_check, weir_error *reterr);

/* End the thread, and free everything. A request in flight is aborted. NULL is fine. Errors: WEIR_TIMEOUT, with
 * nothing freed, when the thread has not ended by the deadline and BACKGROUND_GRACE (background.h). */
weir_status nocodb_version_check_stop(struct nocodb_version_check *check, weir_time deadline);

#endif
