/* SPDX-License-Identifier: MIT */
/* What a metric may be called, and what it is called in Prometheus' text. */
#include "observe/labels.h"
#include "observe/registry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_SIZE 127
#define LABEL_MAX_SIZE 63
#define UNIT_MAX_SIZE 63
#define SERIES_MAX 4096

/* Room for a name with its unit and `_total`. */
#define EXPOSED_ROOM (NAME_MAX_SIZE + 32)

struct unit {
    const char *ucum;
    const char *word; /* NULL: none follows */
};

/* "1" is a share where it can go down; counted, it is just a number. */
static const struct unit units[] = {
    {"", NULL},         {"1", "ratio"},  {"s", "seconds"}, {"By", "bytes"},
    {"Cel", "celsius"}, {"J", "joules"}, {"V", "volts"},   {"A", "amperes"},
    {"W", "watts"},     {"m", "meters"}, {"g", "grams"},   {"Hz", "hertz"},
};

/* ---- checks ------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A letter, then letters, digits, `_` and, if `dots`, `.`. */
static bool is_name(const char *name, size_t most, bool dots)
{
    size_t size = name == NULL ? 0 : strnlen(name, most + 1);

    if (size == 0 || size > most || !is_letter(name[0]))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_letter(name[i]) && !(name[i] >= '0' && name[i] <= '9') && name[i] != '_' &&
            !(name[i] == '.' && dots))
            return false;
    return true;
}

static bool is_remark(const char *unit)
{
    size_t size = strnlen(unit, UNIT_MAX_SIZE + 1);

    if (size < 2 || size > UNIT_MAX_SIZE || unit[0] != '{' || unit[size - 1] != '}')
        return false;
    for (size_t i = 0; i < size; i++)
        if (unit[i] < 0x21 || unit[i] > 0x7E)
            return false;
    return true;
}

/* False for a unit that Prometheus has no word for here. */
static bool find_unit(const char *unit, weir_metric_kind kind, const char **ret_word)
{
    *ret_word = NULL;
    if (unit == NULL)
        return false;
    if (is_remark(unit))
        return true;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(units[i].ucum, unit) != 0)
            continue;
        if (strcmp(unit, "1") != 0 || kind != WEIR_METRIC_COUNTER)
            *ret_word = units[i].word;
        return true;
    }
    return false;
}

static size_t count_labels(const weir_metric_options *options)
{
    size_t count = 0;

    while (count < WEIR_METRIC_LABELS_MAX && options->labels[count] != NULL)
        count++;
    return count;
}

static void expose(const char *name, char *to)
{
    for (; *name != '\0'; name++)
        *to++ = *name == '.' ? '_' : *name;
    *to = '\0';
}

static weir_status check_labels(const weir_metric_options *options, weir_error *reterr)
{
    char seen[WEIR_METRIC_LABELS_MAX][LABEL_MAX_SIZE + 1];
    size_t count = count_labels(options);

    for (size_t i = 0; i < count; i++) {
        if (!is_name(options->labels[i], LABEL_MAX_SIZE, true))
            return weir_error_set(reterr, WEIR_INVALID,
                                  "metric \"%s\": label \"%.64s\": must be a letter, then letters, "
                                  "digits, _ and ., %d bytes at most",
                                  options->name, options->labels[i], LABEL_MAX_SIZE);
        expose(options->labels[i], seen[i]);
        bool is_taken = strcmp(seen[i], "otel_metric_overflow") == 0 ||
                        (strcmp(seen[i], "le") == 0 && options->kind == WEIR_METRIC_HISTOGRAM);
        for (size_t j = 0; j < i; j++)
            is_taken |= strcmp(seen[i], seen[j]) == 0;
        if (is_taken)
            return weir_error_set(reterr, WEIR_INVALID, "metric \"%s\": label \"%s\" is taken",
                                  options->name, options->labels[i]);
    }
    return WEIR_OK;
}

static weir_status check_bounds(const weir_metric_options *options, weir_error *reterr)
{
    bool is_histogram = options->kind == WEIR_METRIC_HISTOGRAM;
    size_t count = options->bound_count;

    if (is_histogram ? count < 1 || count > WEIR_METRIC_BOUNDS_MAX : count > 0)
        return weir_error_set(
            reterr, WEIR_INVALID,
            "metric \"%s\": bound_count %zu: must be 1 to %d in a histogram, else 0", options->name,
            count, WEIR_METRIC_BOUNDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(options->bounds[i]) || options->bounds[i] < 0 ||
            (i > 0 && options->bounds[i] <= options->bounds[i - 1]))
            return weir_error_set(reterr, WEIR_INVALID,
                                  "metric \"%s\": bounds: must be 0 or above, and rise",
                                  options->name);
    return WEIR_OK;
}

static weir_status check(const weir_metric_options *options, weir_error *reterr)
{
    const char *word;

    if (!is_name(options->name, NAME_MAX_SIZE, true))
        return weir_error_set(
            reterr, WEIR_INVALID,
            "metric name \"%.128s\": must be a letter, then letters, digits, _ and "
            "., %d bytes at most",
            options->name != NULL ? options->name : "", NAME_MAX_SIZE);
    if ((unsigned)options->kind > WEIR_METRIC_HISTOGRAM)
        return weir_error_set(reterr, WEIR_INVALID, "metric \"%s\": kind %d: must be 0 to 2",
                              options->name, (int)options->kind);
    if (!find_unit(options->unit, options->kind, &word))
        return weir_error_set(
            reterr, WEIR_INVALID,
            "metric \"%s\": unit \"%.64s\": must be empty, {a remark} or one of 1, "
            "s, By, Cel, J, V, A, W, m, g, Hz",
            options->name, options->unit != NULL ? options->unit : "");
    if (options->prometheus_name != NULL &&
        !is_name(options->prometheus_name, NAME_MAX_SIZE, false))
        return weir_error_set(reterr, WEIR_INVALID,
                              "metric \"%s\": prometheus_name \"%.128s\": must be a letter, then "
                              "letters, digits and _, %d bytes at most",
                              options->name, options->prometheus_name, NAME_MAX_SIZE);
    if (!isfinite(options->per_unit) || options->per_unit <= 0)
        return weir_error_set(reterr, WEIR_INVALID, "metric \"%s\": per_unit %g: must be above 0",
                              options->name, options->per_unit);
    if (options->max_series < 1 || options->max_series > SERIES_MAX)
        return weir_error_set(reterr, WEIR_INVALID, "metric \"%s\": max_series %d: must be 1 to %d",
                              options->name, options->max_series, SERIES_MAX);
    weir_status status = check_labels(options, reterr);
    return status != WEIR_OK ? status : check_bounds(options, reterr);
}

/* ---- making ------------------------------------------------------------------------------ */

/* Whether one of the words that `_` parts the name into is this one. */
static bool has_word(const char *name, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = name; (at = strstr(at, word)) != NULL; at++) {
        bool begins = at == name || at[-1] == '_';
        bool ends = at[size] == '\0' || at[size] == '_';
        if (begins && ends)
            return true;
    }
    return false;
}

static void add_word(char *name, const char *word)
{
    if (word == NULL || has_word(name, word))
        return;
    size_t size = strlen(name);
    snprintf(name + size, EXPOSED_ROOM - size, "_%s", word);
}

static void make_exposed(const weir_metric_options *options, char exposed[EXPOSED_ROOM])
{
    const char *word;

    if (options->prometheus_name != NULL) {
        snprintf(exposed, EXPOSED_ROOM, "%s", options->prometheus_name);
        return;
    }
    expose(options->name, exposed);
    (void)find_unit(options->unit, options->kind, &word);
    add_word(exposed, word);
    if (options->kind == WEIR_METRIC_COUNTER)
        add_word(exposed, "total");
}

/* The largest number that is not above the bound. A bound that is a whole number but for the error
 * of the multiplication is that number. */
static int64_t limit_of(double bound, double per_unit)
{
    double exact = bound * per_unit;

    if (exact >= 9.2e18)
        return INT64_MAX;
    int64_t near = (int64_t)(exact + 0.5);
    return fabs(exact - (double)near) <= exact * 1e-12 ? near : (int64_t)exact;
}

/* Copies of a metric's texts lie behind it, in the same memory. */
static const char *keep(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);

    *at += size;
    return copy;
}

static size_t size_of_texts(const weir_metric_options *options)
{
    size_t size =
        strlen(options->name) + 1 + strlen(options->unit) + 1 + EXPOSED_ROOM + ESCAPED_MAX + 1;

    for (size_t i = 0; i < count_labels(options); i++)
        size += strlen(options->labels[i]) + 1;
    return size;
}

/* Lay out how its series count. */
static void shape(weir_metric *metric)
{
    size_t words = metric->kind == WEIR_METRIC_HISTOGRAM ? metric->bound_count + 2 : 1;
    size_t line = SHARD_ALIGN / sizeof(int64_t);

    /* A gauge can be set, which only one word can be. */
    metric->shards = metric->kind == WEIR_METRIC_GAUGE ? 1 : SHARDS;
    metric->stride = (words + line - 1) / line * line;
}

static void fill_texts(weir_metric *metric, const weir_metric_options *options, char *at)
{
    char text[ESCAPED_MAX + 1];
    char exposed[EXPOSED_ROOM];

    metric->name = keep(&at, options->name);
    metric->unit = keep(&at, options->unit);
    make_exposed(options, exposed);
    metric->exposed = keep(&at, exposed);
    weir__escape(options->description != NULL ? options->description : "", false, text);
    metric->help = keep(&at, text);
    metric->label_count = count_labels(options);
    for (size_t i = 0; i < metric->label_count; i++) {
        expose(options->labels[i], text);
        metric->labels[i] = keep(&at, text);
    }
}

/* Returns where the texts may begin. */
static char *fill_bounds(weir_metric *metric, const weir_metric_options *options)
{
    size_t count = options->bound_count;
    double *bounds = (double *)(metric + 1);
    int64_t *limits = (int64_t *)(bounds + count);
    char(*texts)[NUMBER_ROOM] = (char(*)[NUMBER_ROOM])(limits + count);

    for (size_t i = 0; i < count; i++) {
        bounds[i] = options->bounds[i];
        limits[i] = limit_of(bounds[i], options->per_unit);
        weir__number_write(bounds[i], texts[i]);
    }
    metric->bound_count = count;
    metric->bounds = bounds;
    metric->limits = limits;
    metric->bound_texts = texts;
    return texts[count];
}

weir_status weir__metric_make(weir_metrics *metrics, const weir_metric_options *options,
                              weir_metric **ret_metric, weir_error *reterr)
{
    weir_status status = check(options, reterr);
    if (status != WEIR_OK)
        return status;

    size_t bounds = options->bound_count * (sizeof(double) + sizeof(int64_t) + NUMBER_ROOM);
    weir_metric *metric = calloc(1, sizeof *metric + bounds + size_of_texts(options));
    if (metric == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "add metric \"%s\": out of memory",
                              options->name);
    metric->metrics = metrics;
    metric->kind = options->kind;
    metric->per_unit = options->per_unit;
    metric->max_series = options->max_series;
    fill_texts(metric, options, fill_bounds(metric, options));
    shape(metric);

    metric->overflow =
        weir__series_make(metric, OVERFLOW_LABELS, strlen(OVERFLOW_LABELS),
                          weir__labels_hash(OVERFLOW_LABELS, strlen(OVERFLOW_LABELS)));
    if (metric->overflow == NULL) {
        free(metric);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "add metric \"%s\": out of memory",
                              options->name);
    }
    *ret_metric = metric;
    return WEIR_OK;
}

void weir__metric_free(weir_metric *metric)
{
    struct weir_series *series = atomic_load_explicit(&metric->newest, memory_order_acquire);

    while (series != NULL) {
        struct weir_series *next = series->next;

        free(series);
        series = next;
    }
    free(metric->overflow);
    free(metric);
}

bool weir__metric_equals(const weir_metric *one, const weir_metric *other)
{
    if (one->kind != other->kind || one->per_unit != other->per_unit ||
        one->label_count != other->label_count || one->bound_count != other->bound_count ||
        strcmp(one->unit, other->unit) != 0 || strcmp(one->exposed, other->exposed) != 0)
        return false;
    for (size_t i = 0; i < one->label_count; i++)
        if (strcmp(one->labels[i], other->labels[i]) != 0)
            return false;
    for (size_t i = 0; i < one->bound_count; i++)
        if (one->bounds[i] != other->bounds[i])
            return false;
    return true;
}

/* Whether `name` is one of the names that a metric's series have. */
static bool uses_name(const weir_metric *metric, const char *name)
{
    size_t size = strlen(metric->exposed);

    if (strncmp(metric->exposed, name, size) != 0)
        return false;
    if (metric->kind != WEIR_METRIC_HISTOGRAM || name[size] == '\0')
        return name[size] == '\0';
    return strcmp(name + size, "_bucket") == 0 || strcmp(name + size, "_sum") == 0 ||
           strcmp(name + size, "_count") == 0;
}

bool weir__metric_clashes(const weir_metric *one, const weir_metric *other)
{
    return uses_name(one, other->exposed) || uses_name(other, one->exposed);
}
