/* SPDX-License-Identifier: MIT */
/* All of weir in one include. */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/base.h>
#include <weir/breaker.h>
#include <weir/budget.h>
#include <weir/clock.h>
#include <weir/db.h>
#include <weir/event.h>
#include <weir/histogram.h>
#include <weir/http.h>
#include <weir/http_report.h>
#include <weir/http_request.h>
#include <weir/lifecycle.h>
#include <weir/metrics.h>
#include <weir/pool.h>
#include <weir/rate_limit.h>
#include <weir/result.h>
#include <weir/retry.h>
#include <weir/trace.h>

#endif
