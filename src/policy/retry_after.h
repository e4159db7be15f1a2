/* SPDX-License-Identifier: MIT */
/* The Retry-After fields of an attempt together. */
#ifndef WEIR_POLICY_RETRY_AFTER_H
#define WEIR_POLICY_RETRY_AFTER_H

#include <weir/retry.h>

struct retry_after {
    size_t valid;
    size_t invalid;
    weir_time longest; /* of the valid ones */
};

/* Read them as the options say: each by itself, or all as the one value that urllib3 sees. */
struct retry_after weir__retry_after_read(const weir_retry_options *options,
                                          const weir_attempt *attempt, int64_t wall_now);

#endif
