/* SPDX-License-Identifier: MIT */
/* The sliding window of a breaker: the last calls, or the last seconds, and their sum. */
#ifndef WEIR_POLICY_WINDOW_H
#define WEIR_POLICY_WINDOW_H

#include <weir/breaker.h>

/* Forget everything. */
void weir__window_clear(weir_breaker *breaker);

/* Count one call. O(1), but for the seconds in which nothing was counted, and those only once. */
void weir__window_add(weir_breaker *breaker, bool is_failed, bool is_slow, weir_time now);

/* Forget the seconds that have left the window; a window of calls forgets only when it is full. */
void weir__window_advance(weir_breaker *breaker, weir_time now);

#endif
