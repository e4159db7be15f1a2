/* SPDX-License-Identifier: MIT */
/* The report as one page with nothing to fetch: web/report.html, filled in with figures, style, script and Chart.js. */
#include "bench.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/figures/web_assets.h"
#include "server/text/text.h"

struct slice {
    const char *bytes;
    size_t size;
};

/* What stands in the template for a name: for "level", in place of {{level}}, with HTML's own characters
 * escaped; for "#level", in place of everything from {{#level}} to {{/level}}, as it is. */
struct value {
    const char *name;
    const char *text; /* NULL if memory ran out */
};

/* ---- The template ------------------------------------------------------------------------ */

static const char *find(struct slice in, const char *what)
{
    return memmem(in.bytes, in.size, what, strlen(what));
}

static struct slice from(struct slice in, const char *position)
{
    return (struct slice){position, in.size - (size_t)(position - in.bytes)};
}

static struct slice until(struct slice in, const char *position)
{
    return (struct slice){in.bytes, (size_t)(position - in.bytes)};
}

/* What stands between {{#name}} and {{/name}}: what is repeated for each row of a list. */
static struct slice section(struct slice template, const char *name)
{
    char mark[32];

    snprintf(mark, sizeof mark, "{{#%s}}", name);
    const char *begin = find(template, mark);
    assert(begin != NULL);
    struct slice rest = from(template, begin + strlen(mark));
    const char *end = find(rest, "{{/");
    assert(end != NULL);
    return until(rest, end);
}

static bool is_named(const char *name, struct slice wanted)
{
    return strlen(name) == wanted.size && memcmp(name, wanted.bytes, wanted.size) == 0;
}

static const struct web_asset *find_asset(const struct web_asset *assets, size_t count,
                                          struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (is_named(assets[i].name, name))
            return &assets[i];
    }
    return NULL;
}

/* A file of the report, or one that it shares with the console. */
static struct slice file(struct slice name)
{
    const struct web_asset *asset = find_asset(report_assets, report_asset_count, name);

    if (asset == NULL)
        asset = find_asset(console_assets, console_asset_count, name);
    assert(asset != NULL);
    return (struct slice){(const char *)asset->bytes, asset->size};
}

static void add_escaped(struct text *text, const char *plain)
{
    for (; *plain != '\0'; plain++) {
        const char *entity = *plain == '<'   ? "&lt;"
                             : *plain == '>' ? "&gt;"
                             : *plain == '&' ? "&amp;"
                             : *plain == '"' ? "&quot;"
                                             : NULL;
        if (entity != NULL)
            text_add(text, entity);
        else
            text_add_n(text, plain, 1);
    }
}

static void add_value(struct text *out, struct slice name, const struct value *values)
{
    const struct value *value = values;

    while (value->name != NULL && !is_named(value->name, name))
        value++;
    assert(value->name != NULL);
    if (value->text == NULL)
        out->has_failed = true;
    else if (*value->name == '#')
        text_add(out, value->text);
    else
        add_escaped(out, value->text);
}

/* Add `rest` of a template with its names replaced. Sections do not nest. */
static void fill_in(struct text *out, struct slice rest, const struct value *values)
{
    const char *open;

    while ((open = find(rest, "{{")) != NULL) {
        text_add_n(out, rest.bytes, (size_t)(open - rest.bytes));
        rest = from(rest, open + 2);
        const char *close = find(rest, "}}");
        assert(close != NULL);
        struct slice name = until(rest, close);
        rest = from(rest, close + 2);
        if (*name.bytes == '>') {
            struct slice included = file(from(name, name.bytes + 1));
            text_add_n(out, included.bytes, included.size);
            continue;
        }
        add_value(out, name, values);
        if (*name.bytes == '#') {
            const char *end = find(rest, "{{/");
            assert(end != NULL);
            rest = from(rest, end);
            rest = from(rest, find(rest, "}}") + 2);
        }
    }
    text_add_n(out, rest.bytes, rest.size);
}

/* ---- The values -------------------------------------------------------------------------- */

struct numbers {
    char texts[12][32];
    int count;
};

WEIR_PRINTF(2, 3)
static const char *number(struct numbers *numbers, const char *format, ...)
{
    char *text = numbers->texts[numbers->count++];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof numbers->texts[0], format, arguments);
    va_end(arguments);
    return text;
}

static const char *time_at(struct numbers *numbers, const struct bench_figures *figures,
                           double fraction)
{
    return number(numbers, "%.4f",
                  (double)bench_times_quantile(&figures->times, fraction) / (double)WEIR_MS);
}

static void add_row(struct text *rows, struct slice template, const struct bench_level *level,
                    enum bench_way way)
{
    const struct bench_figures *figures = &level->ways[way];
    struct numbers numbers = {0};

    fill_in(rows, template,
            (struct value[]){
                {"threads", number(&numbers, "%d", level->concurrency)},
                {"way", way == BENCH_POOLED ? "pooled" : "unpooled"},
                {"p50", time_at(&numbers, figures, 0.5)},
                {"p90", time_at(&numbers, figures, 0.9)},
                {"p99", time_at(&numbers, figures, 0.99)},
                {"max", time_at(&numbers, figures, 1)},
                {"rate", number(&numbers, "%.0f", bench_rate(figures))},
                {"statements", number(&numbers, "%" PRIu64, figures->times.count)},
                {"opened", number(&numbers, "%" PRIu64, figures->opened)},
                {"errors", number(&numbers, "%" PRIu64, figures->errors)},
                {0},
            });
}

static char *rows_of(const struct bench_result *result, struct slice page)
{
    struct slice template = section(page, "row");
    struct text rows = {0};

    for (int i = 0; i < result->level_count; i++) {
        add_row(&rows, template, &result->levels[i], BENCH_POOLED);
        add_row(&rows, template, &result->levels[i], BENCH_UNPOOLED);
    }
    return text_take(&rows);
}

static char *gains_of(const struct bench_result *result, struct slice page)
{
    struct slice template = section(page, "gain");
    struct text gains = {0};

    for (int i = 0; i < result->level_count; i++) {
        const struct bench_level *level = &result->levels[i];
        double saved = (double)bench_saved(level) / (double)WEIR_MS;
        uint64_t statements = level->ways[BENCH_POOLED].times.count;
        struct numbers numbers = {0};
        fill_in(&gains, template,
                (struct value[]){
                    {"threads", number(&numbers, "%d %s", level->concurrency,
                                       level->concurrency == 1 ? "thread" : "threads")},
                    {"change", saved < 0 ? "cost" : "saved"},
                    {"time", number(&numbers, "%.4f", saved < 0 ? -saved : saved)},
                    {"avoided", number(&numbers, "%" PRIu64, bench_avoided(level))},
                    {"statements", number(&numbers, "%" PRIu64, statements)},
                    {0},
                });
    }
    return text_take(&gains);
}

static char *limits_of(struct slice page)
{
    struct text limits = {0};

    for (size_t i = 0; bench_limits[i] != NULL; i++)
        fill_in(&limits, section(page, "limit"), (struct value[]){{"text", bench_limits[i]}, {0}});
    return text_take(&limits);
}

/* The database that was asked for and could not be used, where there is one. */
static char *missing_of(const struct bench_result *result, struct slice page)
{
    const struct target_missing *missing = &result->options->missing;
    struct text text = {0};

    if (missing->url != NULL)
        fill_in(&text, section(page, "missing"),
                (struct value[]){
                    {"missing_url", missing->url},
                    {"reason", missing->reason},
                    {0},
                });
    return text_take(&text);
}

/* The figures for a script element, in which nothing but "<" could end it or begin a comment. */
static char *figures_of(const struct bench_result *result)
{
    char *json = bench_to_json(result);
    struct text text = {0};

    if (json == NULL)
        return NULL;
    for (const char *at = json; *at != '\0'; at++) {
        if (*at == '<')
            text_add(&text, "\\u003c");
        else
            text_add_n(&text, at, 1);
    }
    free(json);
    return text_take(&text);
}

char *bench_to_html(const struct bench_result *result)
{
    static const char name[] = "report.html";
    struct slice page = file((struct slice){name, sizeof name - 1});
    char *missing = missing_of(result, page);
    char *gains = gains_of(result, page);
    char *rows = rows_of(result, page);
    char *limits = limits_of(page);
    char *figures = figures_of(result);
    struct numbers numbers = {0};
    struct text text = {0};

    fill_in(&text, page,
            (struct value[]){
                {"statement", result->options->statement},
                {"url", result->url},
                {"#missing", missing},
                {"version", weir_version()},
                {"seconds", number(&numbers, "%.3g", result->options->seconds)},
                {"rounds", number(&numbers, "%d", BENCH_ROUNDS)},
                {"interrupted", result->was_interrupted ? ", interrupted" : ""},
                {"#gain", gains},
                {"#row", rows},
                {"#limit", limits},
                {"#figures", figures},
                {0},
            });
    free(missing);
    free(gains);
    free(rows);
    free(limits);
    free(figures);
    return text_take(&text);
}
