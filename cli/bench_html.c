/* SPDX-License-Identifier: MIT */
/* The report as one page: its table, its figures, Chart.js and the script that draws, with nothing to fetch. */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/figures/console_assets.h"
#include "server/text/text.h"

#define CHART_JS "chart.min.js"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src "
    "'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<link rel=\"icon\" href=\"data:,\">\n<title>weir bench</title>\n<style>\n"
    ":root { color-scheme: light dark; --text: #1d2733; --back: #ffffff; --line: #c9d3dd; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root { --text: #e3e9ef; --back: #12181f; --line: #3a4754; }\n}\n"
    "body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: var(--text);\n"
    "  background: var(--back); font: 1rem/1.5 system-ui, sans-serif; }\n"
    "table { border-collapse: collapse; font-variant-numeric: tabular-nums; }\n"
    "th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--line); text-align: right; }\n"
    "th:nth-child(2), td:nth-child(2) { text-align: left; }\n"
    ".wide { overflow-x: auto; }\n.plot { position: relative; height: 20rem; }\n"
    "code { overflow-wrap: anywhere; }\n</style>\n</head>\n<body>\n<h1>With a pool and "
    "without</h1>\n";

static const char plots[] =
    "<h2>Time of a statement</h2>\n<p>From asking for a connection to having the answer; "
    "the scale is logarithmic.</p>\n<div class=\"plot\"><canvas id=\"times\" role=\"img\" "
    "aria-label=\"Median, "
    "90th and 99th percentile of each level with a pool and without, as in the table\"></canvas>"
    "</div>\n<h2>Statements per second</h2>\n<p>The scale is logarithmic.</p>\n<div "
    "class=\"plot\"><canvas id=\"rates\" "
    "role=\"img\" aria-label=\"Statements per second of each level with a pool and without, as in "
    "the table\"></canvas></div>\n<h2>Connections opened per thousand statements</h2>\n<p>The "
    "scale is logarithmic.</p>\n<div class=\"plot\"><canvas id=\"churn\" role=\"img\" "
    "aria-label=\"Connections opened per thousand statements with a pool and without, from the "
    "table\"></canvas></div>\n";

static const char draw[] =
    "'use strict';\n"
    "const report = JSON.parse(document.getElementById('figures').textContent);\n"
    "const style = getComputedStyle(document.documentElement);\n"
    "Chart.defaults.color = style.getPropertyValue('--text');\n"
    "Chart.defaults.borderColor = style.getPropertyValue('--line');\n"
    "Chart.defaults.animation = false;\n"
    "Chart.defaults.maintainAspectRatio = false;\n"
    "const labels = report.levels.map(level => level.concurrency +\n"
    "  (level.concurrency === 1 ? ' thread' : ' threads'));\n"
    "function bars(way, label, color, value) {\n"
    "  return { label, backgroundColor: color, data: report.levels.map(level => value(level[way])) "
    "};\n}\n"
    "function plot(id, type, unit, datasets) {\n"
    "  new Chart(document.getElementById(id), { type: 'bar', data: { labels, datasets },\n"
    "    options: { scales: { y: { type, title: { display: true, text: unit } } } } });\n}\n"
    "plot('times', 'logarithmic', 'milliseconds', [\n"
    "  bars('pooled', 'pooled, median', '#1f77b4', way => way.p50_ms),\n"
    "  bars('pooled', 'pooled, 90 %', '#5b9fd0', way => way.p90_ms),\n"
    "  bars('pooled', 'pooled, 99 %', '#9cc6e6', way => way.p99_ms),\n"
    "  bars('unpooled', 'unpooled, median', '#d9650b', way => way.p50_ms),\n"
    "  bars('unpooled', 'unpooled, 90 %', '#ee9350', way => way.p90_ms),\n"
    "  bars('unpooled', 'unpooled, 99 %', '#f7c49c', way => way.p99_ms)]);\n"
    "for (const [id, type, unit, value] of [\n"
    "  ['rates', 'logarithmic', 'statements per second', way => way.statements_per_second],\n"
    "  ['churn', 'logarithmic', 'connections', way => way.statements > 0 ?\n"
    "    1000 * way.connections_opened / way.statements : 0]])\n"
    "  plot(id, type, unit, [bars('pooled', 'pooled', '#1f77b4', value),\n"
    "    bars('unpooled', 'unpooled', '#d9650b', value)]);\n"
    "document.body.dataset.state = 'drawn';\n";

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

/* In a script element nothing but "<" could end it or begin a comment. */
static void add_script_data(struct text *text, const char *json)
{
    for (; *json != '\0'; json++) {
        if (*json == '<')
            text_add(text, "\\u003c");
        else
            text_add_n(text, json, 1);
    }
}

static void add_row(struct text *text, const struct bench_level *level, enum bench_way way)
{
    const struct bench_figures *figures = &level->ways[way];
    static const double fractions[] = {0.5, 0.9, 0.99, 1};

    text_addf(text, "<tr><td>%d</td><td>%s</td>", level->concurrency,
              way == BENCH_POOLED ? "pooled" : "unpooled");
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++)
        text_addf(text, "<td>%.4f</td>",
                  (double)bench_times_quantile(&figures->times, fractions[i]) / (double)WEIR_MS);
    text_addf(text,
              "<td>%.0f</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n",
              bench_rate(figures), figures->times.count, figures->opened, figures->errors);
}

static void add_gains(struct text *text, const struct bench_result *result)
{
    text_add(text, "<ul>\n");
    for (int i = 0; i < result->level_count; i++) {
        const struct bench_level *level = &result->levels[i];
        double saved = (double)bench_saved(level) / (double)WEIR_MS;
        text_addf(text,
                  "<li>%d %s: pooling %s <strong>%.4f ms</strong> per statement at the median and "
                  "avoided <strong>%" PRIu64 " connections</strong> for %" PRIu64
                  " statements.</li>\n",
                  level->concurrency, level->concurrency == 1 ? "thread" : "threads",
                  saved < 0 ? "cost" : "saved", saved < 0 ? -saved : saved, bench_avoided(level),
                  level->ways[BENCH_POOLED].times.count);
    }
    text_add(text, "</ul>\n");
}

static void add_table(struct text *text, const struct bench_result *result)
{
    text_add(text, "<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead><tr><th>threads</th>"
                   "<th></th><th>p50 ms</th><th>p90 ms</th><th>p99 ms</th><th>max ms</th>"
                   "<th>statements/s</th><th>statements</th><th>connections opened</th>"
                   "<th>errors</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < result->level_count; i++) {
        add_row(text, &result->levels[i], BENCH_POOLED);
        add_row(text, &result->levels[i], BENCH_UNPOOLED);
    }
    text_add(text, "</tbody>\n</table>\n</div>\n");
}

static void add_limits(struct text *text)
{
    text_add(text, "<h2>What this does not show</h2>\n<ul>\n");
    for (size_t i = 0; bench_limits[i] != NULL; i++) {
        text_add(text, "<li>");
        add_escaped(text, bench_limits[i]);
        text_add(text, "</li>\n");
    }
    text_add(text, "</ul>\n");
}

static void add_chart_js(struct text *text)
{
    for (size_t i = 0; i < console_asset_count; i++) {
        if (strcmp(console_assets[i].name, CHART_JS) == 0)
            text_add_n(text, (const char *)console_assets[i].bytes, console_assets[i].size);
    }
}

char *bench_to_html(const struct bench_result *result)
{
    const struct target_missing *missing = &result->options->missing;
    struct text text = {0};
    char *json = bench_to_json(result);

    if (json == NULL)
        return NULL;
    text_add(&text, head);
    text_add(&text, "<p><code>");
    add_escaped(&text, result->options->statement);
    text_add(&text, "</code> on <code>");
    add_escaped(&text, result->url);
    text_add(&text, "</code>");
    if (missing->url != NULL) {
        text_add(&text, " in place of <code>");
        add_escaped(&text, missing->url);
        text_addf(&text, "</code>, which %s", missing->reason);
    }
    text_addf(&text, ", weir %s, %.3g s of each, in %d rounds%s.</p>\n", weir_version(),
              result->options->seconds, BENCH_ROUNDS,
              result->was_interrupted ? ", interrupted" : "");
    add_gains(&text, result);
    add_table(&text, result);
    text_add(&text, plots);
    add_limits(&text);
    text_add(&text, "<script type=\"application/json\" id=\"figures\">");
    add_script_data(&text, json);
    text_add(&text, "</script>\n<script>");
    add_chart_js(&text);
    text_add(&text, "</script>\n<script>\n");
    text_add(&text, draw);
    text_add(&text, "</script>\n</body>\n</html>\n");
    free(json);
    return text_take(&text);
}
