/* SPDX-License-Identifier: MIT */
/* Start, drain and stop: a list of function pointers walked forwards once and backwards twice. */
#include <weir/lifecycle.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARTS 32

struct weir_lifecycle {
    weir_lifecycle_observer *observer;
    void *observer_arg;
    weir_part parts[MAX_PARTS];
    size_t part_count;
    /* How many of them have started: the first `started` ones. Only the thread that moved `phase`
     * to STARTING or DRAINING touches it. */
    size_t started;
    /* A weir_phase. NEW -> STARTING -> RUNNING or STOPPED, RUNNING -> DRAINING -> STOPPED; the
     * compare-and-exchange out of NEW and RUNNING decides who does the work. Sequentially
     * consistent, because nothing here is hot. */
    _Atomic int phase;
};

typedef weir_status step_function(void *arg, weir_time deadline, weir_error *reterr);

weir_status weir_lifecycle_open(weir_lifecycle_observer *observer, void *observer_arg,
                                weir_lifecycle **ret_lifecycle, weir_error *reterr)
{
    weir_lifecycle *lifecycle = calloc(1, sizeof *lifecycle);

    if (lifecycle == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open lifecycle: out of memory");
    lifecycle->observer = observer;
    lifecycle->observer_arg = observer_arg;
    atomic_init(&lifecycle->phase, WEIR_PHASE_NEW);
    *ret_lifecycle = lifecycle;
    return WEIR_OK;
}

void weir_lifecycle_close(weir_lifecycle *lifecycle)
{
    free(lifecycle);
}

weir_phase weir_lifecycle_phase(const weir_lifecycle *lifecycle)
{
    return (weir_phase)atomic_load(&lifecycle->phase);
}

weir_status weir_lifecycle_add(weir_lifecycle *lifecycle, const weir_part *part, weir_error *reterr)
{
    if (part->name == NULL || part->name[0] == '\0')
        return weir_error_set(reterr, WEIR_INVALID, "add part: it has no name");
    if (weir_lifecycle_phase(lifecycle) != WEIR_PHASE_NEW)
        return weir_error_set(reterr, WEIR_INVALID, "add part \"%s\": the start has already begun",
                              part->name);
    if (lifecycle->part_count == MAX_PARTS)
        return weir_error_set(reterr, WEIR_FULL, "add part \"%s\": there are already %d parts",
                              part->name, MAX_PARTS);
    lifecycle->parts[lifecycle->part_count++] = *part;
    return WEIR_OK;
}

static void tell(weir_lifecycle *lifecycle, const weir_part *part, const char *step,
                 const weir_error *error)
{
    if (lifecycle->observer != NULL)
        lifecycle->observer(lifecycle->observer_arg, part->name, step, error);
}

/* Put the part's name before what it said, keeping its codes. */
static void name_part(weir_error *error, weir_status status, const weir_part *part,
                      const char *verb)
{
    int native = error->native;
    char sqlstate[sizeof error->sqlstate];

    memcpy(sqlstate, error->sqlstate, sizeof sqlstate);
    weir_error_set(error, status, "%s %s: %s", verb, part->name,
                   error->text[0] != '\0' ? error->text : weir_status_text(status));
    error->native = native;
    memcpy(error->sqlstate, sqlstate, sizeof sqlstate);
}

/* Take one step with one part and tell of both its ends. On failure *ret_error holds the error,
 * naming the part. */
static weir_status take_step(weir_lifecycle *lifecycle, const weir_part *part,
                             step_function *function, const char *verb, const char *before,
                             const char *after, weir_time deadline, weir_error *ret_error)
{
    weir_error error = {0};
    weir_status status = WEIR_OK;

    tell(lifecycle, part, before, NULL);
    if (function != NULL)
        status = function(part->arg, deadline, &error);
    if (status != WEIR_OK) {
        name_part(&error, status, part, verb);
        *ret_error = error;
    }
    tell(lifecycle, part, after, status != WEIR_OK ? &error : NULL);
    return status;
}

static weir_status drain_part(weir_lifecycle *lifecycle, const weir_part *part, weir_time deadline,
                              weir_error *ret_error)
{
    return take_step(lifecycle, part, part->drain, "drain", "draining", "drained", deadline,
                     ret_error);
}

static weir_status stop_part(weir_lifecycle *lifecycle, const weir_part *part, weir_time deadline,
                             weir_error *ret_error)
{
    return take_step(lifecycle, part, part->stop, "stop", "stopping", "stopped", deadline,
                     ret_error);
}

/* Walk the started parts from the last to the first; the first failure is kept. */
static weir_status walk_back(weir_lifecycle *lifecycle,
                             weir_status (*step)(weir_lifecycle *, const weir_part *, weir_time,
                                                 weir_error *),
                             weir_time deadline, weir_error *ret_first)
{
    weir_status first = WEIR_OK;

    for (size_t i = lifecycle->started; i-- > 0;) {
        weir_error error;
        weir_status status = step(lifecycle, &lifecycle->parts[i], deadline, &error);

        if (status != WEIR_OK && first == WEIR_OK) {
            first = status;
            *ret_first = error;
        }
    }
    return first;
}

weir_status weir_lifecycle_start(weir_lifecycle *lifecycle, weir_time deadline, weir_error *reterr)
{
    int expected = WEIR_PHASE_NEW;
    weir_error error;

    if (!atomic_compare_exchange_strong(&lifecycle->phase, &expected, WEIR_PHASE_STARTING))
        return weir_error_set(reterr, WEIR_ALREADY, "start: it was already started");

    for (size_t i = 0; i < lifecycle->part_count; i++) {
        const weir_part *part = &lifecycle->parts[i];
        weir_status status = take_step(lifecycle, part, part->start, "start", "starting", "started",
                                       deadline, &error);
        if (status != WEIR_OK) {
            weir_error ignored;
            (void)walk_back(lifecycle, stop_part, deadline, &ignored);
            lifecycle->started = 0;
            atomic_store(&lifecycle->phase, WEIR_PHASE_STOPPED);
            if (reterr != NULL)
                *reterr = error;
            return status;
        }
        lifecycle->started = i + 1;
    }
    atomic_store(&lifecycle->phase, WEIR_PHASE_RUNNING);
    return WEIR_OK;
}

weir_status weir_lifecycle_stop(weir_lifecycle *lifecycle, weir_time deadline, weir_error *reterr)
{
    int expected = WEIR_PHASE_RUNNING;
    weir_error drain_error, stop_error;

    if (!atomic_compare_exchange_strong(&lifecycle->phase, &expected, WEIR_PHASE_DRAINING))
        return WEIR_OK;

    weir_status drained = walk_back(lifecycle, drain_part, deadline, &drain_error);
    weir_status stopped = walk_back(lifecycle, stop_part, deadline, &stop_error);
    lifecycle->started = 0;
    atomic_store(&lifecycle->phase, WEIR_PHASE_STOPPED);

    weir_status first = drained != WEIR_OK ? drained : stopped;
    if (first != WEIR_OK && reterr != NULL)
        *reterr = drained != WEIR_OK ? drain_error : stop_error;
    return first;
}
