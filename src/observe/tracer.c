/* SPDX-License-Identifier: MIT */
/* The tracer: which traces are recorded, and the ring of the spans that ended last. */
#include "observe/tracer.h"

#include "common/lock.h"
#include "base/park.h"
#include "observe/trace_ids.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A trace id is sampled when its last 56 bits, taken for a number, are below this; OpenTelemetry's
 * TraceIdRatioBased, so that several services agree about a trace. */
#define SAMPLE_ALL ((uint64_t)1 << 56)

struct weir_tracer {
    /* immutable after open */
    uint64_t sampled_below;
    uint64_t capacity;
    unsigned forks;

    /* The reader sleeps on it. Written under the lock, when the reader is to look. */
    _Atomic uint32_t word;

    struct weir__mutex lock;
    struct tracer_guarded {
        uint64_t finished; /* spans so far; number n stands at n % capacity */
        uint64_t awaited;  /* the reader sleeps until there are so many; 0: it does not */
        bool is_woken;
        weir_span *ring;
    } guarded;
};

static struct tracer_guarded *state_of(weir_tracer *tracer) WEIR_REQUIRES(&tracer->lock)
{
    return &tracer->guarded;
}

/* ---- opening ----------------------------------------------------------------------------- */

weir_status weir_tracer_open(const weir_tracer_options *options, weir_tracer **ret_tracer,
                             weir_error *reterr)
{
    static const weir_tracer_options defaults = WEIR_TRACER_OPTIONS_DEFAULT;
    const weir_tracer_options *o = options != NULL ? options : &defaults;

    /* A NaN is in no range. */
    if (!(o->sample_ratio >= 0 && o->sample_ratio <= 1))
        return weir_error_set(reterr, WEIR_INVALID, "sample_ratio %g: must be 0 to 1",
                              o->sample_ratio);
    if (o->capacity < 16 || o->capacity > 65536)
        return weir_error_set(reterr, WEIR_INVALID, "capacity %d: must be 16 to 65536",
                              o->capacity);

    weir_tracer *tracer = calloc(1, sizeof *tracer);
    weir_span *ring = tracer != NULL ? malloc((size_t)o->capacity * sizeof *ring) : NULL;
    if (ring == NULL) {
        free(tracer);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "tracer: out of memory for %d spans",
                              o->capacity);
    }
    tracer->sampled_below = (uint64_t)(o->sample_ratio * (double)SAMPLE_ALL);
    tracer->capacity = (uint64_t)o->capacity;
    tracer->forks = weir__forks();
    weir__mutex_init(&tracer->lock);
    tracer->guarded.ring = ring;
    *ret_tracer = tracer;
    return WEIR_OK;
}

void weir_tracer_close(weir_tracer *tracer)
{
    if (tracer == NULL)
        return;
    weir__mutex_clear(&tracer->lock);
    free(tracer->guarded.ring);
    free(tracer);
}

bool weir__tracer_samples(const weir_tracer *tracer, const uint8_t trace_id[16])
{
    uint64_t number = 0;

    for (int i = 9; i < 16; i++)
        number = number << 8 | trace_id[i];
    return number < tracer->sampled_below;
}

bool weir__tracer_is_usable(const weir_tracer *tracer)
{
    return tracer->forks == weir__forks();
}

/* ---- the ring ---------------------------------------------------------------------------- */

/* Only what is used of attributes and texts. */
static void copy_span(weir_span *to, const weir_span *from)
{
    memcpy(to, from,
           offsetof(weir_span, attributes) + from->attribute_count * sizeof *from->attributes);
    memcpy(to->texts, from->texts, from->text_used);
}

/* The copy under the lock is of some hundred bytes, and cannot fail or wait. */
void weir__tracer_push(weir_tracer *tracer, const weir_span *span)
{
    weir__lock(&tracer->lock);
    struct tracer_guarded *g = state_of(tracer);
    weir_span *slot = &g->ring[g->finished % tracer->capacity];

    copy_span(slot, span);
    slot->tracer = NULL;
    slot->outer = NULL;
    slot->tracestate = NULL;
    g->finished++;
    bool is_awaited = g->awaited != 0 && g->finished >= g->awaited;
    if (is_awaited) {
        g->awaited = 0;
        atomic_fetch_add_explicit(&tracer->word, 1, memory_order_relaxed);
    }
    weir__unlock(&tracer->lock);
    if (is_awaited)
        weir__unpark(&tracer->word);
}

uint64_t weir_tracer_count(weir_tracer *tracer)
{
    if (!weir__tracer_is_usable(tracer))
        return 0;
    weir__lock(&tracer->lock);
    uint64_t finished = state_of(tracer)->finished;
    weir__unlock(&tracer->lock);
    return finished;
}

bool weir_tracer_read(weir_tracer *tracer, uint64_t *position, weir_span *ret_span)
{
    if (!weir__tracer_is_usable(tracer))
        return false;
    weir__lock(&tracer->lock);
    struct tracer_guarded *g = state_of(tracer);
    uint64_t oldest = g->finished > tracer->capacity ? g->finished - tracer->capacity : 0;
    uint64_t number = *position > oldest ? *position : oldest;
    bool is_there = number < g->finished;

    if (is_there)
        copy_span(ret_span, &g->ring[number % tracer->capacity]);
    weir__unlock(&tracer->lock);
    if (is_there)
        *position = number + 1;
    return is_there;
}

/* ---- waiting for spans ------------------------------------------------------------------- */

/* Whether the reader has to sleep; *ret_word is then what it sleeps on. */
static bool must_sleep(weir_tracer *tracer, uint64_t count, uint32_t *ret_word)
{
    weir__lock(&tracer->lock);
    struct tracer_guarded *g = state_of(tracer);
    bool sleeps = !g->is_woken && g->finished < count;

    if (!sleeps)
        g->is_woken = false;
    g->awaited = sleeps ? count : 0;
    *ret_word = atomic_load_explicit(&tracer->word, memory_order_relaxed);
    weir__unlock(&tracer->lock);
    return sleeps;
}

void weir_tracer_wait(weir_tracer *tracer, uint64_t count, weir_time until)
{
    uint32_t word;

    if (!weir__tracer_is_usable(tracer))
        return;
    while (must_sleep(tracer, count, &word) && weir_now() < until)
        weir__park(&tracer->word, word, until);
}

void weir_tracer_wake(weir_tracer *tracer)
{
    if (!weir__tracer_is_usable(tracer))
        return;
    weir__lock(&tracer->lock);
    state_of(tracer)->is_woken = true;
    atomic_fetch_add_explicit(&tracer->word, 1, memory_order_relaxed);
    weir__unlock(&tracer->lock);
    weir__unpark(&tracer->word);
}
