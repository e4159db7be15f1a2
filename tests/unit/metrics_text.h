/* SPDX-License-Identifier: MIT */
/* What tests of metrics share: a registry, its text, and a look for one line in it. */
#ifndef WEIR_TESTS_METRICS_TEXT_H
#define WEIR_TESTS_METRICS_TEXT_H

#include "check.h"

#include <weir/metrics.h>

#include <stdlib.h>

static weir_metrics *registry;
static weir_error e;
static char *text; /* of the last render() */

static inline void open_metrics(void)
{
    check_int(weir_metrics_open(&registry, &e), WEIR_OK);
}

static inline void close_metrics(void)
{
    weir_metrics_close(registry);
    registry = NULL;
    free(text);
    text = NULL;
}

static inline const char *render(void)
{
    size_t size = 0;

    free(text);
    text = NULL;
    check_int(weir_metrics_render(registry, &text, &size, &e), WEIR_OK);
    check(text != NULL && strlen(text) == size);
    return text != NULL ? text : "";
}

/* Whether this is one of the lines of the text rendered last. */
static inline bool has_line(const char *line)
{
    size_t size = strlen(line);

    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1)
        if (strncmp(at, line, size) == 0 && at[size] == '\n')
            return true;
    return false;
}

#define check_line(line)                                                                           \
    do {                                                                                           \
        if (!has_line(line)) {                                                                     \
            check_failures_in_test++;                                                              \
            printf("# %s:%d: no line %s\n", __FILE__, __LINE__, line);                             \
        }                                                                                          \
    } while (0)

/* The options of a counter with one label, or none. */
static inline weir_metric_options counter(const char *name, const char *label)
{
    weir_metric_options options = WEIR_METRIC_OPTIONS_DEFAULT;

    options.name = name;
    options.labels[0] = label;
    return options;
}

static inline weir_metric *add(const weir_metric_options *options)
{
    weir_metric *metric = NULL;

    weir_status status = weir_metrics_add(registry, options, &metric, &e);
    check_int(status, WEIR_OK);
    if (status != WEIR_OK)
        printf("# %s\n", e.text);
    return metric;
}

static inline weir_series *series_of(weir_metric *metric, const char *value)
{
    const char *const values[] = {value};

    return weir_metric_series(metric, values);
}

#endif
