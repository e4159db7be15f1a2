/* SPDX-License-Identifier: MIT */
/* One collection: what was counted and what the sources write, by metric and labels, at one moment. */
#ifndef WEIR_OBSERVE_COLLECT_H
#define WEIR_OBSERVE_COLLECT_H

#include "observe/registry.h"

/* What one series says. */
struct sample {
    struct sample *next;          /* of its table, in no order */
    struct sample *next_in_chain; /* of those whose hash ends alike */
    uint32_t hash;
    double value;      /* of a histogram: the sum */
    uint64_t *buckets; /* of a histogram: not cumulative; NULL otherwise */
    char labels[];
};

/* The series of one metric; a metric without any is not shown. */
struct table {
    struct sample *first;
    struct sample **chains; /* CHAINS of them; NULL while there is no sample */
    size_t count;           /* the one for overflow not counted */
    size_t shown;           /* with it */
    struct sample *overflow;
};

struct block;

/* Memory that is given back all at once. */
struct arena {
    struct block *newest;
};

struct weir_metrics_writer {
    weir_metrics *metrics;
    weir_metric *const *source_table; /* of the source that is being called */
    struct arena arena;
    bool has_failed;       /* memory ran out: what was collected is not whole */
    size_t count;          /* metrics at the beginning; later ones are for the next collection */
    struct table tables[]; /* one for each */
};

/* NULL: no memory. The caller ends it with weir__collection_close(). */
weir_metrics_writer *weir__collect(weir_metrics *metrics);
void weir__collection_close(weir_metrics_writer *writer);

#endif
