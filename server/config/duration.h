/* SPDX-License-Identifier: MIT */
/* Spans of time as people write them: 30, 2.5s, 500ms, 10m, 1h, 7d. */
#ifndef WEIR_SERVER_DURATION_H
#define WEIR_SERVER_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Read a span of time: a decimal number with an optional fraction and one of ms, s, m, h, d; a bare
 * number means seconds. Rounded down to milliseconds. False for anything else, for a negative one,
 * and for more than 100 years.
 */
bool duration_parse(const char *text, int64_t *ret_ms);

#endif
