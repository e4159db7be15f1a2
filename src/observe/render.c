/* SPDX-License-Identifier: MIT */
/* A collection as Prometheus' text, version 0.0.4. */
#include "observe/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_FIRST 16384

/* Text that grows; after a failed allocation it stays as it is, and `has_failed` says so. */
struct text {
    char *bytes;
    size_t size;
    size_t room;
    bool has_failed;
};

/* Room for `size` bytes more and a zero; NULL when there is none. */
static char *text_room(struct text *text, size_t size)
{
    if (text->has_failed)
        return NULL;
    if (text->room - text->size > size)
        return text->bytes + text->size;

    size_t room = text->room == 0 ? TEXT_FIRST : text->room * 2;
    while (room - text->size <= size)
        room *= 2;
    char *bytes = realloc(text->bytes, room);
    if (bytes == NULL) {
        text->has_failed = true;
        return NULL;
    }
    text->bytes = bytes;
    text->room = room;
    return bytes + text->size;
}

static void text_add(struct text *text, const char *bytes)
{
    size_t size = strlen(bytes);
    char *to = text_room(text, size);

    if (to == NULL)
        return;
    memcpy(to, bytes, size + 1);
    text->size += size;
}

static void text_add_count(struct text *text, uint64_t count)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    text_add(text, digits);
}

/* ---- lines ------------------------------------------------------------------------------- */

/* `name_suffix{labels,le="bound"} `; `bound` is NULL outside of buckets. */
static void add_name(struct text *text, const weir_metric *metric, const char *suffix,
                     const struct sample *sample, const char *bound)
{
    bool has_labels = sample->labels[0] != '\0';

    text_add(text, metric->exposed);
    text_add(text, suffix);
    if (has_labels || bound != NULL)
        text_add(text, "{");
    text_add(text, sample->labels);
    if (bound != NULL) {
        text_add(text, has_labels ? ",le=\"" : "le=\"");
        text_add(text, bound);
        text_add(text, "\"");
    }
    text_add(text, has_labels || bound != NULL ? "} " : " ");
}

static void add_histogram(struct text *text, const weir_metric *metric, const struct sample *sample)
{
    char number[NUMBER_ROOM];
    uint64_t count = 0;

    for (size_t i = 0; i <= metric->bound_count; i++) {
        count += sample->buckets[i];
        add_name(text, metric, "_bucket", sample,
                 i < metric->bound_count ? metric->bound_texts[i] : "+Inf");
        text_add_count(text, count);
        text_add(text, "\n");
    }
    weir__number_write(sample->value, number);
    add_name(text, metric, "_sum", sample, NULL);
    text_add(text, number);
    text_add(text, "\n");
    add_name(text, metric, "_count", sample, NULL);
    text_add_count(text, count);
    text_add(text, "\n");
}

static void add_value(struct text *text, const weir_metric *metric, const struct sample *sample)
{
    char number[NUMBER_ROOM];

    weir__number_write(sample->value, number);
    add_name(text, metric, "", sample, NULL);
    text_add(text, number);
    text_add(text, "\n");
}

static void add_head(struct text *text, const weir_metric *metric)
{
    static const char *const types[] = {
        [WEIR_METRIC_COUNTER] = " counter\n",
        [WEIR_METRIC_GAUGE] = " gauge\n",
        [WEIR_METRIC_HISTOGRAM] = " histogram\n",
    };

    if (metric->help[0] != '\0') {
        text_add(text, "# HELP ");
        text_add(text, metric->exposed);
        text_add(text, " ");
        text_add(text, metric->help);
        text_add(text, "\n");
    }
    text_add(text, "# TYPE ");
    text_add(text, metric->exposed);
    text_add(text, types[metric->kind]);
}

/* ---- order ------------------------------------------------------------------------------- */

static int compare_samples(const void *one, const void *other)
{
    const struct sample *const *a = one;
    const struct sample *const *b = other;

    return strcmp((*a)->labels, (*b)->labels);
}

static int compare_metrics(const void *one, const void *other)
{
    const weir_metric *const *a = one;
    const weir_metric *const *b = other;

    return strcmp((*a)->exposed, (*b)->exposed);
}

static bool add_metric(struct text *text, weir_metrics_writer *writer, const weir_metric *metric)
{
    const struct table *table = &writer->tables[metric->index];
    size_t count = 0;

    if (table->shown == 0)
        return true;
    struct sample **sorted = weir_metrics_writer_alloc(writer, table->shown * sizeof *sorted);
    if (sorted == NULL)
        return false;
    for (struct sample *sample = table->first; sample != NULL; sample = sample->next)
        sorted[count++] = sample;
    qsort(sorted, count, sizeof *sorted, compare_samples);

    add_head(text, metric);
    for (size_t i = 0; i < count; i++) {
        if (metric->kind == WEIR_METRIC_HISTOGRAM)
            add_histogram(text, metric, sorted[i]);
        else
            add_value(text, metric, sorted[i]);
    }
    return true;
}

static bool add_metrics(struct text *text, weir_metrics_writer *writer)
{
    weir_metric **sorted = weir_metrics_writer_alloc(writer, (writer->count + 1) * sizeof *sorted);

    if (sorted == NULL)
        return false;
    memcpy(sorted, writer->metrics->all, writer->count * sizeof *sorted);
    qsort(sorted, writer->count, sizeof *sorted, compare_metrics);
    text_add(text, "");
    for (size_t i = 0; i < writer->count; i++)
        if (!add_metric(text, writer, sorted[i]))
            return false;
    return !text->has_failed;
}

weir_status weir_metrics_render(weir_metrics *metrics, char **ret_text, size_t *ret_size,
                                weir_error *reterr)
{
    struct text text = {0};
    weir_metrics_writer *writer = weir__collect(metrics);
    bool is_whole = writer != NULL && add_metrics(&text, writer);

    if (writer != NULL)
        weir__collection_close(writer);
    if (!is_whole) {
        free(text.bytes);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "render metrics: out of memory");
    }
    *ret_text = text.bytes;
    if (ret_size != NULL)
        *ret_size = text.size;
    return WEIR_OK;
}
