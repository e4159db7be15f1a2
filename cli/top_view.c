/* SPDX-License-Identifier: MIT */
/* Drawing the page of `weir top`. Every colour has a word beside it, for terminals and eyes without colours. */
#include "top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR 24
#define LONG_LOAN_MS 10000

/* ---- Lines -------------------------------------------------------------------------------- */

/* What is being drawn, and how much room there is. */
struct canvas {
    struct top_page *page;
    struct top_line *line; /* the last one; NULL while there is none or no room for another */
    size_t width, height;
};

static void begin_line(struct canvas *canvas)
{
    struct top_page *page = canvas->page;

    canvas->line = NULL;
    if (page->count == canvas->height)
        return;
    canvas->line = &page->lines[page->count++];
    canvas->line->size = 0;
    canvas->line->is_chosen = false;
}

WEIR_PRINTF(3, 4)
static void put(struct canvas *canvas, enum top_style style, const char *format, ...)
{
    struct top_line *line = canvas->line;
    char text[TOP_COLUMNS];
    va_list args;

    if (line == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (const char *at = text; *at != '\0' && line->size < canvas->width; at++) {
        line->text[line->size] = *at;
        line->style[line->size++] = (unsigned char)style;
    }
}

static size_t room(const struct canvas *canvas)
{
    return canvas->height - canvas->page->count;
}

/* ---- Numbers ------------------------------------------------------------------------------ */

struct number {
    char text[24];
};

static struct number duration(double ms)
{
    struct number n;

    if (ms <= 0)
        snprintf(n.text, sizeof n.text, "0");
    else if (ms < 1)
        snprintf(n.text, sizeof n.text, "%.0fus", ms * 1000);
    else if (ms < 1000)
        snprintf(n.text, sizeof n.text, "%.*fms", ms < 10 ? 2 : ms < 100 ? 1 : 0, ms);
    else if (ms < 120000)
        snprintf(n.text, sizeof n.text, "%.1fs", ms / 1000);
    else if (ms < 7200000)
        snprintf(n.text, sizeof n.text, "%.0fmin", ms / 60000);
    else
        snprintf(n.text, sizeof n.text, "%.1fh", ms / 3600000);
    return n;
}

static struct number per_second(double rate)
{
    struct number n;

    if (rate < 0)
        snprintf(n.text, sizeof n.text, "-");
    else
        snprintf(n.text, sizeof n.text, "%.*f", rate < 10 ? 1 : 0, rate);
    return n;
}

static struct number capacity(const struct top_pool *pool)
{
    struct number n;

    if (pool->max_overflow < 0)
        snprintf(n.text, sizeof n.text, "%lld+any", (long long)pool->size);
    else
        snprintf(n.text, sizeof n.text, "%lld+%lld", (long long)pool->size,
                 (long long)pool->max_overflow);
    return n;
}

/* ---- Pools -------------------------------------------------------------------------------- */

static bool is_full(const struct top_pool *pool)
{
    return pool->max_overflow >= 0 && pool->used >= pool->size + pool->max_overflow;
}

static const char *verdict(const struct top_pool *pool, enum top_style *ret_style)
{
    *ret_style = TOP_WARN;
    if (is_full(pool) && pool->waiters > 0) {
        *ret_style = TOP_BAD;
        return "saturated";
    }
    if (pool->waiters > 0)
        return "waiting";
    if (is_full(pool))
        return "full";
    if (pool->size > 0 && pool->used > pool->size)
        return "overflowing";
    *ret_style = TOP_GOOD;
    return "calm";
}

/* A sign for each share of the connections there can be: # lent, = idle, . not open. */
static void put_bar(struct canvas *canvas, const struct top_pool *pool, enum top_style style)
{
    int64_t most = pool->size + (pool->max_overflow > 0 ? pool->max_overflow : 0);
    int64_t open = pool->used + pool->idle;
    char bar[BAR + 1];

    if (most < open)
        most = open;
    for (int i = 0; i < BAR; i++) {
        int64_t place = most * i / BAR;
        bar[i] = place < pool->used ? '#' : place < open ? '=' : '.';
    }
    bar[BAR] = '\0';
    put(canvas, TOP_FAINT, " [");
    put(canvas, style, "%s", bar);
    put(canvas, TOP_FAINT, "]");
}

static void draw_pool(struct canvas *canvas, const struct top_pool *pool, bool is_chosen)
{
    enum top_style style;
    const char *word = verdict(pool, &style);

    begin_line(canvas);
    if (canvas->line != NULL)
        canvas->line->is_chosen = is_chosen;
    put(canvas, TOP_PLAIN, "%c %-11.11s", is_chosen ? '>' : ' ', pool->name);
    if (!pool->is_initialized) {
        put(canvas, TOP_FAINT, "  not initialized");
        return;
    }
    put(canvas, TOP_PLAIN, " %7s", capacity(pool).text);
    put(canvas, style, " %5lld", (long long)pool->used);
    put(canvas, TOP_PLAIN, " %5lld %5lld", (long long)pool->idle, (long long)pool->overflow);
    put(canvas, pool->waiters > 0 ? style : TOP_PLAIN, " %7lld", (long long)pool->waiters);
    put(canvas, TOP_PLAIN, " %7s %7s %7s", duration(pool->wait_p50_ms).text,
        duration(pool->wait_p99_ms).text, per_second(pool->checkouts_per_second).text);
    put(canvas, pool->timeouts > 0 ? TOP_WARN : TOP_PLAIN, " %8lld", (long long)pool->timeouts);
    put(canvas, style, "  %-11s", word);
    put_bar(canvas, pool, style);
}

static const char *order_name(enum top_order order)
{
    static const char *const names[TOP_ORDERS] = {"name", "used", "waiters", "checkouts"};

    return names[order];
}

static void draw_pools(struct canvas *canvas, const struct top_view *view,
                       const struct top_figures *figures)
{
    begin_line(canvas);
    put(canvas, TOP_TITLE, "  %-11s %7s %5s %5s %5s %7s %7s %7s %7s %8s  %s", "POOL", "SIZE",
        "USED", "IDLE", "OVER", "WAITERS", "P50", "P99", "OUT/S", "TIMEOUTS", "STATE");
    for (size_t i = 0; i < figures->pool_count; i++)
        draw_pool(canvas, &figures->pools[i], strcmp(figures->pools[i].name, view->chosen) == 0);
}

/* ---- Holders ------------------------------------------------------------------------------ */

static const struct top_pool *chosen_pool(const struct top_view *view,
                                          const struct top_figures *figures)
{
    for (size_t i = 0; i < figures->pool_count; i++) {
        if (strcmp(figures->pools[i].name, view->chosen) == 0)
            return &figures->pools[i];
    }
    return figures->pool_count > 0 ? &figures->pools[0] : NULL;
}

static void draw_holder(struct canvas *canvas, const struct top_holder *holder)
{
    char place[80] = "unknown";

    if (holder->file[0] != '\0')
        snprintf(place, sizeof place, "%s:%lld", holder->file, (long long)holder->line);
    begin_line(canvas);
    put(canvas, TOP_PLAIN, "  %10lld  %-40.40s ", (long long)holder->connection, place);
    if (holder->is_cancelling)
        put(canvas, TOP_PLAIN, "%8s", "cancels");
    else
        put(canvas, TOP_PLAIN, "%8lld", (long long)holder->thread);
    put(canvas, holder->age_ms > LONG_LOAN_MS ? TOP_WARN : TOP_PLAIN, " %8s",
        duration(holder->age_ms).text);
}

/* At most `most` lines, of which the last says what was left out. */
static void draw_holders(struct canvas *canvas, const struct top_pool *pool, size_t most)
{
    size_t shown = pool->holder_count;

    begin_line(canvas);
    put(canvas, TOP_TITLE, "  %10s  %-40s %8s %8s", "CONNECTION", "ACQUIRED AT", "THREAD", "FOR");
    put(canvas, TOP_FAINT, "  (of %s)", pool->name);
    if (shown == 0) {
        begin_line(canvas);
        put(canvas, TOP_FAINT, "  nobody holds a connection of %s", pool->name);
        return;
    }
    if (shown + 1 > most)
        shown = most > 2 ? most - 2 : 0;
    for (size_t i = 0; i < shown; i++)
        draw_holder(canvas, &pool->holders[i]);
    if (shown < pool->holder_count) {
        begin_line(canvas);
        put(canvas, TOP_FAINT, "  and %zu more", pool->holder_count - shown);
    }
}

/* ---- Origins ------------------------------------------------------------------------------ */

static enum top_style breaker_style(const char *state)
{
    if (strcmp(state, "open") == 0 || strcmp(state, "forced_open") == 0)
        return TOP_BAD;
    return strcmp(state, "half_open") == 0 ? TOP_WARN : TOP_GOOD;
}

static void draw_origin(struct canvas *canvas, const struct top_origin *origin)
{
    struct number cool_down = {"-"}, budget = {"-"};

    if (origin->cool_down > 0)
        cool_down = duration(origin->cool_down * 1000);
    if (origin->has_budget)
        snprintf(budget.text, sizeof budget.text, "%lld", (long long)origin->budget);
    begin_line(canvas);
    put(canvas, TOP_PLAIN, "  %-30.30s", origin->name);
    put(canvas, breaker_style(origin->breaker), " %-12.12s", origin->breaker);
    put(canvas, origin->cool_down > 0 ? TOP_WARN : TOP_PLAIN, " %6s", cool_down.text);
    put(canvas, origin->has_budget && origin->budget <= 0 ? TOP_WARN : TOP_PLAIN, " %6s",
        budget.text);
    put(canvas, TOP_PLAIN, " %4.0f%% %9lld %7s", origin->reuse_rate * 100,
        (long long)origin->in_flight, per_second(origin->requests_per_second).text);
    put(canvas, TOP_PLAIN, " %8lld %6lld", (long long)origin->ok, (long long)origin->client_errors);
    put(canvas, origin->server_errors > 0 ? TOP_WARN : TOP_PLAIN, " %6lld",
        (long long)origin->server_errors);
}

static void draw_origins(struct canvas *canvas, const struct top_figures *figures)
{
    begin_line(canvas);
    put(canvas, TOP_TITLE, "  %-30s %-12s %6s %6s %5s %9s %7s %8s %6s %6s", "HTTP ORIGIN",
        "BREAKER", "PAUSED", "BUDGET", "REUSE", "IN FLIGHT", "REQ/S", "2XX", "4XX", "5XX");
    if (figures->origin_count == 0) {
        begin_line(canvas);
        put(canvas, TOP_FAINT, "  no request has gone to another server yet");
    }
    for (size_t i = 0; i < figures->origin_count; i++)
        draw_origin(canvas, &figures->origins[i]);
}

/* ---- The page ----------------------------------------------------------------------------- */

static void draw_head(struct canvas *canvas, const struct top_view *view,
                      const struct top_snapshot *snapshot)
{
    static const struct {
        const char *word;
        enum top_style style;
    } states[] = {
        [TOP_CONNECTING] = {"connecting", TOP_WARN},
        [TOP_LIVE] = {"live", TOP_GOOD},
        [TOP_LOST] = {"lost, trying again", TOP_BAD},
        [TOP_REFUSED] = {"refused", TOP_BAD},
    };

    begin_line(canvas);
    put(canvas, TOP_TITLE, "weir top");
    put(canvas, TOP_PLAIN, "  %.100s  ", view->url);
    put(canvas, states[snapshot->state].style, "%s", states[snapshot->state].word);
    if (view->is_paused)
        put(canvas, TOP_WARN, "  paused");
    put(canvas, TOP_FAINT, "  by %s", order_name(view->order));
    begin_line(canvas);
    put(canvas, snapshot->problem[0] != '\0' ? TOP_BAD : TOP_FAINT, "%s",
        snapshot->problem[0] != '\0' ? snapshot->problem : "");
}

static void draw_help(struct canvas *canvas)
{
    static const char *const lines[] = {
        "  up, down, tab  choose the pool whose holders are shown",
        "  s              sort the pools: by name, used, waiters, checkouts",
        "  p              pause; again: continue",
        "  h, ?           this help; again: back",
        "  q              quit",
        "",
        "  P50 and P99 are waits for a connection, OUT/S is checkouts per second,",
        "  OVER is SQLAlchemy's overflow: below zero until the pool has filled.",
        "  In a bar # is checked out, = idle, . not open.",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        begin_line(canvas);
        put(canvas, TOP_PLAIN, "%s", lines[i]);
    }
}

static void draw_figures(struct canvas *canvas, const struct top_view *view,
                         const struct top_figures *figures)
{
    const struct top_pool *pool = chosen_pool(view, figures);
    size_t origins = 2 + (figures->origin_count > 0 ? figures->origin_count : 1);

    draw_pools(canvas, view, figures);
    begin_line(canvas);
    /* The holders may take what the origins leave, and three lines in any case. */
    if (pool != NULL)
        draw_holders(canvas, pool, room(canvas) > origins + 3 ? room(canvas) - origins : 3);
    begin_line(canvas);
    draw_origins(canvas, figures);
}

void top_view_draw(const struct top_view *view, const struct top_snapshot *snapshot,
                   struct top_page *page)
{
    struct canvas canvas = {
        .page = page,
        .width = view->width < TOP_COLUMNS ? view->width : TOP_COLUMNS,
        .height = view->height < TOP_LINES ? view->height : TOP_LINES,
    };

    page->count = 0;
    draw_head(&canvas, view, snapshot);
    if (view->has_help)
        draw_help(&canvas);
    else if (snapshot->has_figures)
        draw_figures(&canvas, view, &snapshot->figures);
}

/* ---- Choosing and sorting ----------------------------------------------------------------- */

static size_t chosen_place(const struct top_view *view, const struct top_figures *figures)
{
    for (size_t i = 0; i < figures->pool_count; i++) {
        if (strcmp(figures->pools[i].name, view->chosen) == 0)
            return i;
    }
    return 0;
}

void top_view_move(struct top_view *view, const struct top_figures *figures, int step)
{
    size_t count = figures->pool_count;

    if (count == 0)
        return;
    size_t place = (chosen_place(view, figures) + count + (size_t)(step % (int)count)) % count;
    memcpy(view->chosen, figures->pools[place].name, sizeof view->chosen);
}

static double rank(const struct top_pool *pool, enum top_order order)
{
    switch (order) {
    case TOP_BY_USED:
        return (double)pool->used;
    case TOP_BY_WAITERS:
        return (double)pool->waiters;
    case TOP_BY_RATE:
        return pool->checkouts_per_second;
    case TOP_BY_NAME:
    case TOP_ORDERS:
        break;
    }
    return 0;
}

static bool is_before(const struct top_pool *a, const struct top_pool *b, enum top_order order)
{
    double x = rank(a, order), y = rank(b, order);

    return x > y || (x >= y && strcmp(a->name, b->name) < 0);
}

void top_view_arrange(struct top_view *view, struct top_figures *figures)
{
    for (size_t i = 1; i < figures->pool_count; i++) {
        for (size_t k = i;
             k > 0 && is_before(&figures->pools[k], &figures->pools[k - 1], view->order); k--) {
            struct top_pool swap = figures->pools[k];
            figures->pools[k] = figures->pools[k - 1];
            figures->pools[k - 1] = swap;
        }
    }
    top_view_move(view, figures, 0);
}
