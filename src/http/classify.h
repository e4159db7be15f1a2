/* SPDX-License-Identifier: MIT */
/* How an attempt ended, in the words of weir/retry.h and of errors. */
#ifndef WEIR_HTTP_CLASSIFY_H
#define WEIR_HTTP_CLASSIFY_H

#include "http/transfer.h"

struct classification {
    weir_attempt_kind kind;
    bool timed_out;
    bool is_ours;     /* our own limits, callbacks or signals ended it: it is not retried, and says
                         * nothing about the origin */
    int proxy_status; /* with which a proxy refused a tunnel; else 0 */
    int system_errno; /* what this machine lacked, with WEIR_SYSTEM of our own; else 0 */
    weir_status status; /* what the call fails with if this is its end; OK for a response */
};

/* `is_cut_short`: the attempt had less time than try_timeout_ms, because the deadline is near. Unless the
 * status is OK, `text` is what went wrong, without a full stop. */
struct classification weir__classify(const struct transfer *transfer, bool is_cut_short,
                                     char text[WEIR_ERROR_TEXT]);

#endif
