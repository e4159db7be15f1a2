/* SPDX-License-Identifier: MIT */
/* What happened within the last minute in pools and with other servers, added to their own figures. */
#ifndef WEIR_SERVER_LATELY_H
#define WEIR_SERVER_LATELY_H

#include <jansson.h>
#include <stdbool.h>

#include <weir/clock.h>

struct lately;

/* As of `now`. The caller ends it with lately_close(). NULL: out of memory. */
struct lately *lately_open(weir_time now);
void lately_close(struct lately *lately);

/*
 * Give each pool and each origin in `object`, which is pools_json()'s, a member `recent`: its counters'
 * growth within the last minute, and as `seconds` how much of that minute is known. With `is_look`, to be
 * said about once a second, these counters are what later ones are held against. Threads: any.
 */
void lately_add(struct lately *lately, json_t *object, weir_time now, bool is_look);

#endif
