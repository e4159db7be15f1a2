/* SPDX-License-Identifier: MIT */
/* The figures of the backend: its pools, databases and session, the requests it answers, its process. */
#ifndef WEIR_SERVER_METRICS_H
#define WEIR_SERVER_METRICS_H

#include <weir/metrics.h>

#include "http/listener.h"

struct server_metrics;

/* Make them; the process is shown from now on. Errors: as weir_metrics_add(). */
WEIR_MUST_CHECK weir_status server_metrics_open(struct server_metrics **ret_metrics,
                                                weir_error *reterr);

/* After server_metrics_unwatch(), and after the databases and the session were closed, which tell of
 * what they do until then. NULL is fine. */
void server_metrics_close(struct server_metrics *metrics);

/* Where other parts add figures of their own. */
weir_metrics *server_metrics_registry(struct server_metrics *metrics);

/* Show the databases and the HTTP session, which their managers have opened; again, to show a database that
 * was opened anew in place of the former one. Errors: as weir_metrics_watch_db() and
 * weir_metrics_watch_http(); some may then be watched. */
WEIR_MUST_CHECK weir_status server_metrics_watch(struct server_metrics *metrics,
                                                 weir_error *reterr);

/* Show them no longer; before their managers close them. */
void server_metrics_unwatch(struct server_metrics *metrics);

/* Show what the listener says of itself, until unwatched, which must come before listener_stop(). */
WEIR_MUST_CHECK weir_status server_metrics_watch_listener(struct server_metrics *metrics,
                                                          struct listener *listener,
                                                          weir_error *reterr);
void server_metrics_unwatch_listener(struct server_metrics *metrics);

/* Count a request that is over. Threads: any. */
void server_metrics_count_request(struct server_metrics *metrics, const struct http_access *access);

#endif
