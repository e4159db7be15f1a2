/* SPDX-License-Identifier: MIT */
/* The figures of pools and of the HTTP session as JSON; NULL when memory ran out. */
#ifndef WEIR_SERVER_POOL_JSON_H
#define WEIR_SERVER_POOL_JSON_H

#include <jansson.h>

#include <weir/pool.h>

/* The counters of a pool, and one of its histograms: count, quantiles and maximum in milliseconds. */
json_t *pool_json_counters(const weir_pool_stats *stats);
json_t *pool_json_times(const weir_histogram *histogram);

/*
 * HTTPSessionManager's session: settings, and for each of the origins used last its pool, breaker,
 * budget, rate limiter and counters. {"name", "is_initialized": false} where there is none.
 */
json_t *http_session_json(void);

/* Both databases' pools and the session: what GET /api/v1/pools answers. Takes locks for moments only,
 * waits for no connection. */
json_t *pools_json(void);

#endif
