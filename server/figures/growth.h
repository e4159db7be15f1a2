/* SPDX-License-Identifier: MIT */
/* By how much counters grew within the last minute, for many things that count the same. */
#ifndef WEIR_SERVER_GROWTH_H
#define WEIR_SERVER_GROWTH_H

#include <stddef.h>
#include <stdint.h>

#include <weir/clock.h>

/* What "lately" means, and how many counters a thing may have. */
#define GROWTH_WINDOW (60 * WEIR_SECOND)
#define GROWTH_COUNTERS 12

struct growth;

/* For at most `things`, each of `counters`; beyond that the one that was noted longest ago is forgotten. The
 * caller ends it with growth_close(). NULL: out of memory. */
struct growth *growth_open(size_t things, size_t counters);
void growth_close(struct growth *growth);

/*
 * Note the counters of a thing, about once a second. One that is not known is taken to have begun at zero
 * just now, and so is one whose counters fell; but once others were forgotten, it may be one of those, and
 * counts from here on. Names, which are not empty, are compared up to 255 bytes.
 */
void growth_note(struct growth *growth, const char *name, weir_time now, const uint64_t *values);

/* By how much `values` are above those of a minute ago, or of as long ago as is known. */
void growth_since(const struct growth *growth, const char *name, weir_time now,
                  const uint64_t *values, uint64_t *ret_growth);

#endif
