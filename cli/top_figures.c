/* SPDX-License-Identifier: MIT */
/* Reading the answer of GET /api/v1/pools. A member that is missing or of another kind counts as 0 or "". */
#include "top_figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

void top_copy_text(char *out, size_t size, const char *text)
{
    size_t used = 0;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        bool is_plain = byte >= ' ' && byte <= '~';
        size_t need = is_plain ? 1 : 4;

        if (used + need + 1 > size) {
            if (used > 0)
                out[used - 1] = '~';
            break;
        }
        if (is_plain)
            out[used] = (char)byte;
        else
            snprintf(out + used, size - used, "\\x%02x", byte);
        used += need;
    }
    out[used] = '\0';
}

static void read_text(const json_t *object, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));

    top_copy_text(out, size, text != NULL ? text : "");
}

/* No count of a server is larger: what is, is cut, so that sums and products of a few stay within 64 bits. */
#define MOST INT64_C(1000000000000000)

static int64_t whole(const json_t *value)
{
    int64_t number = json_integer_value(value);

    return number > MOST ? MOST : number < -MOST ? -MOST : number;
}

static int64_t read_whole(const json_t *object, const char *name)
{
    return whole(json_object_get(object, name));
}

static double read_number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

/* How many more there are in a second; -1 where there is nothing to compare with, as after a restart. */
static double rate(int64_t now, int64_t then, weir_time elapsed)
{
    if (elapsed <= 0 || now < then)
        return -1;
    return (double)(now - then) / ((double)elapsed / (double)WEIR_SECOND);
}

/* ---- Pools -------------------------------------------------------------------------------- */

static int compare_holders(const void *a, const void *b)
{
    double x = ((const struct top_holder *)a)->age_ms;
    double y = ((const struct top_holder *)b)->age_ms;

    return (x < y) - (x > y);
}

static void read_holders(const json_t *array, struct top_pool *pool)
{
    for (size_t i = 0; i < json_array_size(array) && i < TOP_HOLDERS; i++) {
        const json_t *object = json_array_get(array, i);
        struct top_holder *holder = &pool->holders[pool->holder_count++];

        holder->connection = read_whole(object, "connection");
        holder->line = read_whole(object, "line");
        holder->thread = read_whole(object, "thread");
        holder->age_ms = read_number(object, "age_ms");
        holder->is_cancelling = json_is_true(json_object_get(object, "is_cancelling"));
        read_text(object, "file", holder->file, sizeof holder->file);
    }
    qsort(pool->holders, pool->holder_count, sizeof *pool->holders, compare_holders);
}

static void read_pool(const json_t *object, struct top_pool *pool)
{
    const json_t *settings = json_object_get(object, "settings");
    const json_t *counters = json_object_get(object, "counters");
    const json_t *wait = json_object_get(json_object_get(object, "times"), "wait");

    read_text(object, "name", pool->name, sizeof pool->name);
    pool->is_initialized = json_is_true(json_object_get(object, "is_initialized"));
    pool->size = read_whole(object, "size");
    pool->max_overflow = read_whole(settings, "max_overflow");
    pool->used = read_whole(object, "used");
    pool->idle = read_whole(object, "idle");
    pool->overflow = read_whole(object, "overflow");
    pool->waiters = read_whole(object, "waiters");
    pool->wait_p50_ms = read_number(wait, "p50_ms");
    pool->wait_p99_ms = read_number(wait, "p99_ms");
    pool->checkouts = read_whole(counters, "checkouts");
    pool->timeouts = read_whole(counters, "timeouts");
    read_holders(json_object_get(object, "holders"), pool);
}

static const struct top_pool *find_pool(const struct top_figures *figures, const char *name)
{
    for (size_t i = 0; figures != NULL && i < figures->pool_count; i++) {
        if (strcmp(figures->pools[i].name, name) == 0)
            return &figures->pools[i];
    }
    return NULL;
}

/* ---- Origins ------------------------------------------------------------------------------ */

static void read_origin(const json_t *object, struct top_origin *origin)
{
    const json_t *counters = json_object_get(object, "counters");
    const json_t *responses = json_object_get(counters, "responses");
    const json_t *budget = json_object_get(object, "budget_balance");

    read_text(object, "origin", origin->name, sizeof origin->name);
    read_text(json_object_get(object, "breaker"), "state", origin->breaker, sizeof origin->breaker);
    origin->cool_down = read_number(object, "cool_down");
    origin->has_budget = json_is_integer(budget);
    origin->budget = whole(budget);
    origin->reuse_rate = read_number(object, "reuse_rate");
    origin->in_flight = read_whole(object, "in_flight");
    origin->requests = read_whole(counters, "requests");
    origin->ok = read_whole(responses, "2xx");
    origin->client_errors = read_whole(responses, "4xx");
    origin->server_errors = read_whole(responses, "5xx");
}

static const struct top_origin *find_origin(const struct top_figures *figures, const char *name)
{
    for (size_t i = 0; figures != NULL && i < figures->origin_count; i++) {
        if (strcmp(figures->origins[i].name, name) == 0)
            return &figures->origins[i];
    }
    return NULL;
}

/* ---- The whole ---------------------------------------------------------------------------- */

static void set_rates(struct top_figures *figures, const struct top_figures *before)
{
    weir_time elapsed = before != NULL ? figures->at - before->at : 0;

    for (size_t i = 0; i < figures->pool_count; i++) {
        struct top_pool *pool = &figures->pools[i];
        const struct top_pool *then = find_pool(before, pool->name);

        pool->checkouts_per_second =
            then != NULL ? rate(pool->checkouts, then->checkouts, elapsed) : -1;
    }
    for (size_t i = 0; i < figures->origin_count; i++) {
        struct top_origin *origin = &figures->origins[i];
        const struct top_origin *then = find_origin(before, origin->name);

        origin->requests_per_second =
            then != NULL ? rate(origin->requests, then->requests, elapsed) : -1;
    }
}

weir_status top_figures_read(const char *json, size_t size, weir_time at,
                             const struct top_figures *before, struct top_figures *ret_figures,
                             weir_error *reterr)
{
    json_t *answer = json_loadb(json, size, 0, NULL);
    const json_t *pools = json_object_get(answer, "pools");
    const json_t *origins = json_object_get(json_object_get(answer, "http"), "origins");

    if (!json_is_array(pools)) {
        json_decref(answer);
        return weir_error_set(reterr, WEIR_PROTOCOL, "the server there is not `weir serve`");
    }
    memset(ret_figures, 0, sizeof *ret_figures);
    ret_figures->at = at;
    for (size_t i = 0; i < json_array_size(pools) && i < TOP_POOLS; i++)
        read_pool(json_array_get(pools, i), &ret_figures->pools[ret_figures->pool_count++]);
    for (size_t i = 0; i < json_array_size(origins) && i < TOP_ORIGINS; i++)
        read_origin(json_array_get(origins, i), &ret_figures->origins[ret_figures->origin_count++]);
    set_rates(ret_figures, before);
    json_decref(answer);
    return WEIR_OK;
}
