/* SPDX-License-Identifier: MIT */
/* The figures of the last ten minutes, one moment a second, for a console that is opened now. */
#include "figures_history.h"

#include <stdlib.h>

#include "common/lock.h"
#include "text/text.h"

struct figures_history {
    const char *names[FIGURES_HISTORY_POOLS];
    struct weir__mutex lock;
    /* Guarded by it. */
    size_t count; /* moments that were added; number n stands at n % FIGURES_HISTORY_MOMENTS */
    struct figures_moment moments[FIGURES_HISTORY_MOMENTS];
};

/* A copy of the moments, in their order. */
struct copy {
    size_t count;
    struct figures_moment moments[FIGURES_HISTORY_MOMENTS];
};

struct figures_history *figures_history_open(const char *const names[FIGURES_HISTORY_POOLS])
{
    struct figures_history *history = calloc(1, sizeof *history);

    if (history == NULL)
        return NULL;
    for (size_t i = 0; i < FIGURES_HISTORY_POOLS; i++)
        history->names[i] = names[i];
    weir__mutex_init(&history->lock);
    return history;
}

void figures_history_close(struct figures_history *history)
{
    if (history == NULL)
        return;
    weir__mutex_clear(&history->lock);
    free(history);
}

void figures_history_add(struct figures_history *history, const struct figures_moment *moment)
{
    weir__lock(&history->lock);
    history->moments[history->count++ % FIGURES_HISTORY_MOMENTS] = *moment;
    weir__unlock(&history->lock);
}

static void copy_moments(struct figures_history *history, struct copy *copy)
{
    weir__lock(&history->lock);
    size_t first =
        history->count > FIGURES_HISTORY_MOMENTS ? history->count - FIGURES_HISTORY_MOMENTS : 0;
    copy->count = history->count - first;
    for (size_t i = 0; i < copy->count; i++)
        copy->moments[i] = history->moments[(first + i) % FIGURES_HISTORY_MOMENTS];
    weir__unlock(&history->lock);
}

/* ---- JSON --------------------------------------------------------------------------------- */

/* By hand, because there are thousands, and it runs on the thread that serves every connection. */
static void add_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text_add_n(text, digits + at, sizeof digits - at);
}

typedef uint64_t column(const struct figures_moment *moment, size_t pool);

static void add_column(struct text *text, const struct copy *copy, const char *name, column *value,
                       size_t pool)
{
    text_addf(text, "\"%s\":[", name);
    for (size_t i = 0; i < copy->count; i++) {
        if (i > 0)
            text_add_n(text, ",", 1);
        add_number(text, value(&copy->moments[i], pool));
    }
    text_add(text, "]");
}

static uint64_t at_of(const struct figures_moment *moment, size_t pool)
{
    (void)pool;
    return moment->at_ms > 0 ? (uint64_t)moment->at_ms : 0;
}

static uint64_t used_of(const struct figures_moment *moment, size_t pool)
{
    return moment->pools[pool].used;
}

static uint64_t idle_of(const struct figures_moment *moment, size_t pool)
{
    return moment->pools[pool].idle;
}

static uint64_t waiters_of(const struct figures_moment *moment, size_t pool)
{
    return moment->pools[pool].waiters;
}

static uint64_t requests_of(const struct figures_moment *moment, size_t pool)
{
    (void)pool;
    return moment->requests;
}

static uint64_t failed_of(const struct figures_moment *moment, size_t pool)
{
    (void)pool;
    return moment->failed;
}

static uint64_t p99_of(const struct figures_moment *moment, size_t pool)
{
    (void)pool;
    return moment->p99_us;
}

static void add_pool(struct text *text, const struct copy *copy, const char *name, size_t pool)
{
    text_add(text, pool > 0 ? ",{\"name\":" : "{\"name\":");
    text_add_json(text, name);
    text_add(text, ",");
    add_column(text, copy, "used", used_of, pool);
    text_add(text, ",");
    add_column(text, copy, "idle", idle_of, pool);
    text_add(text, ",");
    add_column(text, copy, "waiters", waiters_of, pool);
    text_add(text, "}");
}

char *figures_history_json(struct figures_history *history)
{
    struct copy *copy = malloc(sizeof *copy);
    struct text text = {0};

    if (copy == NULL)
        return NULL;
    copy_moments(history, copy);
    text_add(&text, "{");
    add_column(&text, copy, "at", at_of, 0);
    text_add(&text, ",\"pools\":[");
    for (size_t i = 0; i < FIGURES_HISTORY_POOLS; i++)
        add_pool(&text, copy, history->names[i], i);
    text_add(&text, "],");
    add_column(&text, copy, "requests", requests_of, 0);
    text_add(&text, ",");
    add_column(&text, copy, "failed", failed_of, 0);
    text_add(&text, ",");
    add_column(&text, copy, "p99_us", p99_of, 0);
    text_add(&text, "}");
    free(copy);
    return text_take(&text);
}
