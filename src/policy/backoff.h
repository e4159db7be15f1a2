/* SPDX-License-Identifier: MIT */
/* How long to wait before a retry. */
#ifndef WEIR_POLICY_BACKOFF_H
#define WEIR_POLICY_BACKOFF_H

#include <weir/retry.h>

/* The back-off after the failures that `state` has counted, with its jitter; kept in last_delay. */
weir_time weir__backoff(const weir_retry_options *options, weir_retry_state *state,
                        uint64_t random);

/* What is added to a Retry-After, so that clients told the same instant do not come together. */
weir_time weir__retry_after_spread(const weir_retry_options *options, const weir_retry_state *state,
                                   uint64_t random);

#endif
