/* SPDX-License-Identifier: MIT */
/* Labels as Prometheus' text writes them, from values that may be anything. */
#ifndef WEIR_OBSERVE_LABELS_H
#define WEIR_OBSERVE_LABELS_H

#include <weir/metrics.h>

/* A byte becomes at most three: one that is not UTF-8 the three of U+FFFD. */
#define ESCAPED_MAX (3 * WEIR_METRIC_VALUE_MAX)

/* Room for all labels of a metric: name, `="`, value, `",`. */
#define LABELS_ROOM (WEIR_METRIC_LABELS_MAX * (63 + 2 + ESCAPED_MAX + 2) + 1)

/*
 * Write at most WEIR_METRIC_VALUE_MAX bytes of `text` in whole characters, with backslash and line
 * feed escaped, double quotes if `quotes`, and U+FFFD for each byte that is not UTF-8. `to` has room
 * for ESCAPED_MAX + 1. Returns the length.
 */
size_t weir__escape(const char *text, bool quotes, char *to);

/* Write `a="x",b="y"`, labels without a value left out, terminated. Returns the length. */
size_t weir__labels_write(const char *const *names, const char *const *values, size_t count,
                          char *to);

/* For finding them again. */
uint32_t weir__labels_hash(const char *labels, size_t size);

#endif
