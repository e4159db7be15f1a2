/* SPDX-License-Identifier: MIT */
/* What happened within the last minute in pools and with other servers, added to their own figures. */
#include "lately.h"

#include <stdlib.h>

#include "common/lock.h"
#include "growth.h"

/* More origins than are listed at once, so that one that comes and goes is remembered. */
#define POOLS 8
#define ORIGINS 64

/* A counter's name in the figures, and in what is told of the last minute. */
struct counter {
    const char *in; /* the member of `counters` that it stands in; NULL: there itself */
    const char *name;
};

static const struct counter pool_counters[] = {
    {NULL, "checkouts"},      {NULL, "waits"},         {NULL, "timeouts"}, {NULL, "connects"},
    {NULL, "connect_errors"}, {NULL, "peer_refusals"}, {NULL, "leaks"},    {NULL, "nested"},
};

static const struct counter origin_counters[] = {
    {NULL, "requests"},     {NULL, "attempts"},   {NULL, "failed_connect"}, {NULL, "failed_read"},
    {NULL, "failed_other"}, {NULL, "refused"},    {NULL, "budget_denied"},  {"responses", "2xx"},
    {"responses", "3xx"},   {"responses", "4xx"}, {"responses", "5xx"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

_Static_assert(COUNT(origin_counters) <= GROWTH_COUNTERS, "room for every counter");

struct lately {
    weir_time began;
    struct weir__mutex lock;
    /* Guarded by it. */
    struct growth *pools;
    struct growth *origins;
};

struct lately *lately_open(weir_time now)
{
    struct lately *lately = calloc(1, sizeof *lately);

    if (lately == NULL)
        return NULL;
    lately->began = now;
    weir__mutex_init(&lately->lock);
    lately->pools = growth_open(POOLS, COUNT(pool_counters));
    lately->origins = growth_open(ORIGINS, COUNT(origin_counters));
    if (lately->pools != NULL && lately->origins != NULL)
        return lately;
    lately_close(lately);
    return NULL;
}

void lately_close(struct lately *lately)
{
    if (lately == NULL)
        return;
    growth_close(lately->pools);
    growth_close(lately->origins);
    weir__mutex_clear(&lately->lock);
    free(lately);
}

static void read_counters(const json_t *thing, const struct counter *counters, size_t count,
                          uint64_t *ret_values)
{
    const json_t *all = json_object_get(thing, "counters");

    for (size_t i = 0; i < count; i++) {
        const json_t *in = counters[i].in != NULL ? json_object_get(all, counters[i].in) : all;

        ret_values[i] = (uint64_t)json_integer_value(json_object_get(in, counters[i].name));
    }
}

static json_t *recent_json(const struct counter *counters, size_t count, const uint64_t *values,
                           double seconds)
{
    json_t *recent = json_object();

    json_object_set_new(recent, "seconds", json_real(seconds));
    for (size_t i = 0; i < count; i++)
        json_object_set_new(recent, counters[i].name, json_integer((json_int_t)values[i]));
    return recent;
}

/* How much of the last minute is known. */
static double known_seconds(const struct lately *lately, weir_time now)
{
    weir_time known = now - lately->began;

    return (double)(known < GROWTH_WINDOW ? known : GROWTH_WINDOW) / (double)WEIR_SECOND;
}

static void add_to(struct lately *lately, struct growth *growth, json_t *thing,
                   const struct counter *counters, size_t count, weir_time now, bool is_look)
{
    const char *name =
        json_string_value(json_object_get(thing, counters == pool_counters ? "name" : "origin"));
    uint64_t values[GROWTH_COUNTERS];
    uint64_t grown[GROWTH_COUNTERS];

    if (name == NULL || name[0] == '\0' || json_object_get(thing, "counters") == NULL)
        return;
    read_counters(thing, counters, count, values);
    weir__lock(&lately->lock);
    if (is_look)
        growth_note(growth, name, now, values);
    growth_since(growth, name, now, values, grown);
    weir__unlock(&lately->lock);
    json_object_set_new(thing, "recent",
                        recent_json(counters, count, grown, known_seconds(lately, now)));
}

void lately_add(struct lately *lately, json_t *object, weir_time now, bool is_look)
{
    json_t *origins = json_object_get(json_object_get(object, "http"), "origins");
    json_t *thing;
    size_t i;

    json_array_foreach(json_object_get(object, "pools"), i, thing)
        add_to(lately, lately->pools, thing, pool_counters, COUNT(pool_counters), now, is_look);
    json_array_foreach(origins, i, thing) add_to(lately, lately->origins, thing, origin_counters,
                                                 COUNT(origin_counters), now, is_look);
}
