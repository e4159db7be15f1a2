/* SPDX-License-Identifier: MIT */
/* By how much counters grew within the last minute, for many things that count the same. */
#include "growth.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Points of a thing: one a second, and some more for those that come early. */
#define POINTS 64
#define NAME_SIZE 256

struct point {
    weir_time at;
    uint64_t values[GROWTH_COUNTERS];
};

struct thing {
    char name[NAME_SIZE]; /* "": never used */
    uint64_t count;       /* points noted; number n stands at n % POINTS */
    struct point points[POINTS];
};

struct growth {
    size_t capacity;
    size_t counters;
    bool has_forgotten;
    struct thing *things;
};

struct growth *growth_open(size_t things, size_t counters)
{
    struct growth *growth = calloc(1, sizeof *growth);
    struct thing *all = calloc(things, sizeof *all);

    if (growth == NULL || all == NULL) {
        free(growth);
        free(all);
        return NULL;
    }
    *growth = (struct growth){.capacity = things, .counters = counters, .things = all};
    return growth;
}

void growth_close(struct growth *growth)
{
    if (growth == NULL)
        return;
    free(growth->things);
    free(growth);
}

static const struct point *point_of(const struct thing *thing, uint64_t number)
{
    return &thing->points[number % POINTS];
}

static struct thing *find(const struct growth *growth, const char *name)
{
    for (size_t i = 0; i < growth->capacity; i++)
        if (growth->things[i].name[0] != '\0' &&
            strncmp(growth->things[i].name, name, NAME_SIZE - 1) == 0)
            return &growth->things[i];
    return NULL;
}

static weir_time noted_at(const struct thing *thing)
{
    return thing->count > 0 ? point_of(thing, thing->count - 1)->at : INT64_MIN;
}

static void add_point(const struct growth *growth, struct thing *thing, weir_time at,
                      const uint64_t *values)
{
    struct point *point = &thing->points[thing->count++ % POINTS];

    point->at = at;
    for (size_t i = 0; i < growth->counters; i++)
        point->values[i] = values != NULL ? values[i] : 0;
}

/* A place for a thing that is not there yet. */
static struct thing *begin(struct growth *growth, const char *name, weir_time now)
{
    struct thing *oldest = &growth->things[0];

    for (size_t i = 1; i < growth->capacity; i++)
        if (noted_at(&growth->things[i]) < noted_at(oldest))
            oldest = &growth->things[i];
    growth->has_forgotten |= oldest->name[0] != '\0';
    oldest->count = 0;
    strncpy(oldest->name, name, NAME_SIZE - 1);
    oldest->name[NAME_SIZE - 1] = '\0';
    if (!growth->has_forgotten)
        add_point(growth, oldest, now, NULL);
    return oldest;
}

static bool has_fallen(const struct growth *growth, const struct thing *thing,
                       const uint64_t *values)
{
    for (size_t i = 0; i < growth->counters && thing->count > 0; i++)
        if (values[i] < point_of(thing, thing->count - 1)->values[i])
            return true;
    return false;
}

void growth_note(struct growth *growth, const char *name, weir_time now, const uint64_t *values)
{
    struct thing *thing = find(growth, name);

    if (thing == NULL)
        thing = begin(growth, name, now);
    if (has_fallen(growth, thing, values)) {
        thing->count = 0;
        add_point(growth, thing, now, NULL);
    }
    add_point(growth, thing, now, values);
}

/* The oldest point that is kept and not older than a minute. */
static const struct point *base_of(const struct thing *thing, weir_time now)
{
    uint64_t first = thing->count > POINTS ? thing->count - POINTS : 0;

    while (first + 1 < thing->count && point_of(thing, first)->at < now - GROWTH_WINDOW)
        first++;
    return point_of(thing, first);
}

void growth_since(const struct growth *growth, const char *name, weir_time now,
                  const uint64_t *values, uint64_t *ret_growth)
{
    const struct thing *thing = find(growth, name);
    bool is_known = thing != NULL && !has_fallen(growth, thing, values);
    const uint64_t *base = is_known ? base_of(thing, now)->values : NULL;

    if (thing == NULL && growth->has_forgotten)
        base = values;
    for (size_t i = 0; i < growth->counters; i++)
        ret_growth[i] = values[i] - (base != NULL ? base[i] : 0);
}
